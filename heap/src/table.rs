//! Tables of atomics in reserved side memory.
//!
//! # Safety
//! The `unsafe` here turns memory from [`Pages::reserve`] (zero, aligned, ours for good) into shared references to
//! values for which zero is valid and that threads may share: atomics and locks.
#![allow(unsafe_code, reason = "turns reserved memory into references; see the module documentation")]

use crate::Pages;
use core::marker::PhantomData;
use core::sync::atomic::AtomicU64;

/// Values that may live in a table.
///
/// # Safety
/// All-zero bytes are a valid value, nothing needs to be dropped, and the alignment is at most 4096.
pub(crate) unsafe trait Plain: Sync {}

// SAFETY: an atomic integer; zero is a valid value.
unsafe impl Plain for AtomicU64 {}

/// A fixed number of values, lazily backed.
pub(crate) struct Table<T> {
    base: usize,
    length: usize,
    values: PhantomData<T>,
}

impl<T: Plain> Table<T> {
    /// `None` when there is no memory.
    pub(crate) fn reserve<P: Pages>(pages: &P, length: usize) -> Option<Table<T>> {
        let bytes = length.checked_mul(size_of::<T>())?.checked_next_multiple_of(4096)?;
        let base = pages.reserve(bytes as u64)? as usize;
        Some(Table { base, length, values: PhantomData })
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Entry `index`; `None` behind the end.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.length {
            return None;
        }
        // SAFETY: `base` is the start of `length` values of reserved memory that outlives the table (Pages lives in
        // the same Heap), the index was checked, and T is Plain.
        Some(unsafe { &*(self.base as *const T).add(index) })
    }

    /// Entry `index`, which the caller knows to exist.
    ///
    /// # Panics
    /// When it does not: the heap's own tables contradict each other.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> &T {
        self.get(index).expect("index of a side table")
    }
}

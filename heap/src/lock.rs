//! A small spin lock around a value. It knows no owner and no fairness: sections are short and contention is rare,
//! because threads come here once for many blocks.
//!
//! # Safety
//! The `unsafe` of this module is the usual one of a lock: the value is reached through a [`Guard`] only, and there
//! is at most one guard of a lock at a time.
#![allow(unsafe_code, reason = "a lock hands out exclusive access to its value")]

use crate::Pages;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// Own cache line, so that neighbouring locks do not disturb each other.
#[repr(C, align(64))]
pub(crate) struct Lock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: a Lock gives access to its value to one thread at a time, so it is enough that the value may move between
// threads.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    pub(crate) fn lock<P: Pages>(&self, pages: &P) -> Guard<'_, T> {
        let mut turn = 0u32;
        while self.taken.load(Ordering::Relaxed) || self.taken.swap(true, Ordering::Acquire) {
            pages.relax(turn);
            turn = turn.saturating_add(1);
        }
        Guard { lock: self }
    }

    /// Opens a lock whose guard was forgotten.
    ///
    /// # Safety
    /// The calling thread has locked it and has passed the guard to `forget`, once for each call.
    pub(crate) unsafe fn release(&self) {
        self.taken.store(false, Ordering::Release);
    }
}

pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one of the lock (`taken` was set by us and is cleared in drop).
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in deref; `&mut self` makes the borrow exclusive within the guard.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.taken.store(false, Ordering::Release);
    }
}

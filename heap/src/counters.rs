//! Counters of allocations: one cache line for each thread, written by that thread only, summed up on request.

use crate::Pages;
use crate::lock::Lock;
use crate::table::{Plain, Table};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Thread caches that can exist at one time.
pub(crate) const THREADS: usize = 1 << 16;

/// What a heap has done so far. Threads that run at the moment may be counted up to their last few operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Blocks ever allocated.
    pub allocations: u64,
    /// Bytes ever requested.
    pub allocated_bytes: u64,
    /// Blocks ever freed.
    pub frees: u64,
    /// Requested bytes of the blocks that were freed.
    pub freed_bytes: u64,
    /// Requested bytes of the blocks in quarantine, without those that threads have freed last.
    pub quarantined_bytes: u64,
    /// Arena bytes in use, or free but not given back to the system.
    pub mapped_bytes: u64,
    /// The most that `mapped_bytes` has been.
    pub peak_mapped_bytes: u64,
}

impl Counters {
    /// Blocks that are allocated.
    pub fn live_blocks(&self) -> u64 {
        self.allocations.wrapping_sub(self.frees)
    }

    /// Requested bytes of the blocks that are allocated.
    pub fn live_bytes(&self) -> u64 {
        self.allocated_bytes.wrapping_sub(self.freed_bytes)
    }
}

/// One thread's share.
#[repr(C, align(64))]
pub(crate) struct Line {
    values: [AtomicU64; 4],
    /// 0 = free, 1 = owned by a thread cache.
    owned: AtomicU32,
}

// SAFETY: all fields are atomics; the alignment is 64.
#[allow(unsafe_code, reason = "a promise about the type's layout only")]
unsafe impl Plain for Line {}

impl Line {
    /// Adds to value `index` and the one behind it; only the owning thread calls it.
    #[inline]
    fn add(&self, index: usize, bytes: u64) {
        for (i, amount) in [(index, 1), (index + 1, bytes)] {
            let value = &self.values[i];
            value.store(value.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn allocated(&self, bytes: u64) {
        self.add(0, bytes);
    }

    #[inline]
    pub(crate) fn freed(&self, bytes: u64) {
        self.add(2, bytes);
    }
}

/// The lines of all threads, and the sums of those that have ended.
pub(crate) struct Ledger {
    lines: Table<Line>,
    ended: Lock<Ended>,
}

pub(crate) struct Ended {
    sums: [u64; 4],
    /// Lines above were never used.
    high: usize,
}

impl Ledger {
    pub(crate) fn reserve<P: Pages>(pages: &P) -> Option<Ledger> {
        Some(Ledger {
            lines: Table::reserve(pages, THREADS)?,
            ended: Lock::new(Ended { sums: [0; 4], high: 0 }),
        })
    }

    pub(crate) fn lock(&self) -> &Lock<Ended> {
        &self.ended
    }

    #[inline]
    pub(crate) fn line(&self, index: usize) -> Option<&Line> {
        self.lines.get(index)
    }

    /// A line for a new thread; `None` when all are taken. `joined` is told its number before a fork can happen.
    pub(crate) fn claim<P: Pages>(&self, pages: &P, joined: impl Fn(usize)) -> Option<usize> {
        let mut ended = self.ended.lock(pages);
        let free = (0..ended.high).find(|&i| self.lines.at(i).owned.load(Ordering::Relaxed) == 0);
        let index = free.unwrap_or(ended.high);
        self.lines.get(index)?.owned.store(1, Ordering::Relaxed);
        ended.high = ended.high.max(index + 1);
        joined(index);
        Some(index)
    }

    /// Ends the lines of the threads that `of` accepts.
    pub(crate) fn end<P: Pages>(&self, pages: &P, of: impl Fn(usize) -> bool) {
        let mut ended = self.ended.lock(pages);
        for index in (0..ended.high).filter(|&index| of(index)) {
            let line = self.lines.at(index);
            for (sum, value) in ended.sums.iter_mut().zip(&line.values) {
                *sum = sum.wrapping_add(value.swap(0, Ordering::Relaxed));
            }
            line.owned.store(0, Ordering::Relaxed);
        }
    }

    /// `allocations, allocated bytes, frees, freed bytes`.
    pub(crate) fn sums<P: Pages>(&self, pages: &P) -> [u64; 4] {
        let ended = self.ended.lock(pages);
        let mut sums = ended.sums;
        for index in 0..ended.high {
            for (sum, value) in sums.iter_mut().zip(&self.lines.at(index).values) {
                *sum = sum.wrapping_add(value.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

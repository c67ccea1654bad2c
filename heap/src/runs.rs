//! Free granules of the arena: runs in lists by length, joined with their neighbours when they come back.
//!
//! A run is *clean* when it reads as zero (never used, or given back to the system) and *dirty* otherwise. The two
//! kinds are never joined, so that zeroed requests find clean memory. When more than a limit is dirty, all of it is
//! given back: what lies here has been through the quarantine and found no new use since.
//!
//! All of it happens under the one lock around [`Runs`].

use crate::class::GRANULE;
use crate::slots::Span;
use crate::table::Table;
use crate::{Arena, Pages};
use core::sync::atomic::{AtomicU32, Ordering};

/// `Span::kind` of a granule that begins or ends a run that is in use.
const USED: u32 = 0;
/// `Span::kind` of the first and last granule of a free run.
const FREE: [u32; 2] = [1, 2];

/// Runs of up to this many granules have a list for each length.
const EXACT: usize = 64;
const BINS: usize = EXACT + 32;

/// Granules that were handed out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) first: u32,
    /// Reads as zero.
    pub(crate) clean: bool,
}

/// State of the free granules.
pub(crate) struct Runs {
    arena: Arena,
    /// Granules of the arena that have been mapped.
    frontier: u32,
    limit: u32,
    /// Heads of the lists, granule + 1: dirty ones, clean ones.
    bins: [[u32; BINS]; 2],
    /// Bit set: the list is not empty.
    filled: [u128; 2],
    dirty: u32,
    dirty_limit: u32,
    used: u32,
    peak: u32,
}

const DIRTY: usize = 0;
const CLEAN: usize = 1;

fn load(field: &AtomicU32) -> u32 {
    field.load(Ordering::Relaxed)
}

fn store(field: &AtomicU32, value: u32) {
    field.store(value, Ordering::Relaxed);
}

fn bin(granules: u32) -> usize {
    match granules as usize {
        n if n <= EXACT => n - 1,
        _ => EXACT + granules.ilog2() as usize - EXACT.ilog2() as usize,
    }
}

impl Runs {
    pub(crate) fn new(arena: Arena, dirty_limit: u64) -> Runs {
        Runs {
            arena,
            frontier: 0,
            limit: u32::try_from(arena.size / GRANULE).unwrap_or(u32::MAX),
            bins: [[0; BINS]; 2],
            filled: [0; 2],
            dirty: 0,
            dirty_limit: u32::try_from(dirty_limit / GRANULE).unwrap_or(u32::MAX),
            used: 0,
            peak: 0,
        }
    }

    /// Granules that have been mapped; higher ones were never used.
    pub(crate) fn frontier(&self) -> u32 {
        self.frontier
    }

    /// Arena bytes that are in use or dirty: now, and at most.
    pub(crate) fn mapped(&self) -> (u64, u64) {
        (u64::from(self.used + self.dirty) * GRANULE, u64::from(self.peak) * GRANULE)
    }

    /// Takes `granules`; `None` when neither the arena nor the system has that much. `clean` tells what is preferred.
    pub(crate) fn allocate<P: Pages>(
        &mut self,
        spans: &Table<Span>,
        pages: &P,
        granules: u32,
        clean: bool,
    ) -> Option<Run> {
        let order = if clean { [CLEAN, DIRTY] } else { [DIRTY, CLEAN] };
        let found = order
            .iter()
            .find_map(|&kind| self.find(spans, kind, granules).map(|first| (first, kind)))
            .or_else(|| {
                self.grow(spans, pages, granules)
                    .then(|| self.find(spans, CLEAN, granules).map(|first| (first, CLEAN)))
                    .flatten()
            })
            .or_else(|| {
                // The free memory may suffice once dirty and clean runs can be joined.
                self.purge(spans, pages);
                self.find(spans, CLEAN, granules).map(|first| (first, CLEAN))
            });
        let (first, kind) = found?;
        let length = load(&spans.at(first as usize).granules);
        self.unlink(spans, first, kind);
        if length > granules {
            self.insert(spans, first + granules, length - granules, kind);
        }
        self.mark_used(spans, first, granules);
        self.used += granules;
        self.peak = self.peak.max(self.used + self.dirty);
        Some(Run { first, clean: kind == CLEAN })
    }

    /// Takes back what `allocate` gave.
    pub(crate) fn release<P: Pages>(&mut self, spans: &Table<Span>, pages: &P, first: u32, granules: u32) {
        self.used -= granules;
        self.join(spans, first, granules, DIRTY);
        if self.dirty > self.dirty_limit {
            self.purge(spans, pages);
        }
    }

    /// Gives the memory of all dirty runs back to the system.
    fn purge<P: Pages>(&mut self, spans: &Table<Span>, pages: &P) {
        while self.filled[DIRTY] != 0 {
            let first = self.bins[DIRTY][self.filled[DIRTY].trailing_zeros() as usize] - 1;
            let granules = load(&spans.at(first as usize).granules);
            let address = self.arena.base + u64::from(first) * GRANULE;
            if !pages.decommit(address, u64::from(granules) * GRANULE) {
                return;
            }
            self.unlink(spans, first, DIRTY);
            self.join(spans, first, granules, CLEAN);
        }
    }

    /// First run of the kind that is long enough, shortest lists first.
    fn find(&self, spans: &Table<Span>, kind: usize, granules: u32) -> Option<u32> {
        let smallest = bin(granules);
        let mut candidates = self.filled[kind] >> smallest << smallest;
        while candidates != 0 {
            let list = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let mut at = self.bins[kind][list];
            while at != 0 {
                let span = spans.at(at as usize - 1);
                if load(&span.granules) >= granules {
                    return Some(at - 1);
                }
                at = load(&span.next);
            }
        }
        None
    }

    /// Maps more of the arena: an eighth of what there is, 1 to 32 MiB, or as much as is needed.
    fn grow<P: Pages>(&mut self, spans: &Table<Span>, pages: &P, granules: u32) -> bool {
        // A clean run at the end becomes part of what is asked for.
        let tail = match self.frontier.checked_sub(1).map(|last| spans.at(last as usize)) {
            Some(last) if load(&last.kind) == FREE[CLEAN] => load(&last.granules),
            _ => 0,
        };
        let room = self.limit - self.frontier;
        let need = granules.saturating_sub(tail).max(1);
        let step = need.max((self.frontier / 8).clamp(16, 512));
        for step in [step.min(room), need] {
            if step < need || step > room {
                continue;
            }
            let address = self.arena.base + u64::from(self.frontier) * GRANULE;
            if pages.map(address, u64::from(step) * GRANULE) {
                let first = self.frontier;
                self.frontier += step;
                self.join(spans, first, step, CLEAN);
                return true;
            }
        }
        false
    }

    /// Makes a free run, together with free neighbours of its kind.
    fn join(&mut self, spans: &Table<Span>, mut first: u32, mut granules: u32, kind: usize) {
        if let Some(last) = first.checked_sub(1).map(|before| spans.at(before as usize))
            && load(&last.kind) == FREE[kind]
        {
            let length = load(&last.granules);
            self.unlink(spans, first - length, kind);
            first -= length;
            granules += length;
        }
        let behind = first + granules;
        if behind < self.frontier {
            let next = spans.at(behind as usize);
            if load(&next.kind) == FREE[kind] {
                granules += load(&next.granules);
                self.unlink(spans, behind, kind);
            }
        }
        self.insert(spans, first, granules, kind);
    }

    fn insert(&mut self, spans: &Table<Span>, first: u32, granules: u32, kind: usize) {
        let list = bin(granules);
        let head = self.bins[kind][list];
        let span = spans.at(first as usize);
        store(&span.next, head);
        store(&span.previous, 0);
        if head != 0 {
            store(&spans.at(head as usize - 1).previous, first + 1);
        }
        self.bins[kind][list] = first + 1;
        self.filled[kind] |= 1 << list;
        for end in [span, spans.at((first + granules - 1) as usize)] {
            store(&end.kind, FREE[kind]);
            store(&end.granules, granules);
        }
        if kind == DIRTY {
            self.dirty += granules;
        }
    }

    fn unlink(&mut self, spans: &Table<Span>, first: u32, kind: usize) {
        let span = spans.at(first as usize);
        let granules = load(&span.granules);
        let (next, previous) = (load(&span.next), load(&span.previous));
        if next != 0 {
            store(&spans.at(next as usize - 1).previous, previous);
        }
        if previous != 0 {
            store(&spans.at(previous as usize - 1).next, next);
        } else {
            let list = bin(granules);
            self.bins[kind][list] = next;
            if next == 0 {
                self.filled[kind] &= !(1 << list);
            }
        }
        self.mark_used(spans, first, granules);
        if kind == DIRTY {
            self.dirty -= granules;
        }
    }

    fn mark_used(&self, spans: &Table<Span>, first: u32, granules: u32) {
        for end in [first, first + granules - 1] {
            let span = spans.at(end as usize);
            store(&span.kind, USED);
            store(&span.granules, granules);
        }
    }
}

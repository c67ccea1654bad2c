//! Threads that end, and forks.
//!
//! A fork copies a heap on which other threads may be at work. What they do under a lock is never seen half done, because
//! the forking thread holds all locks; what they do without one concerns only their own caches and the blocks
//! that they are allocating or freeing. The child either loses those caches or adopts them with every slot checked.

use crate::central::Central;
use crate::chunk::CHUNK_BLOCKS;
use crate::class::CLASSES;
use crate::counters::Ended;
use crate::lock::Guard;
use crate::quarantine::FrozenQuarantine;
use crate::runs::Runs;
use crate::slots::SlotArrays;
use crate::{Heap, Pages, ThreadCache};

impl<P: Pages> Heap<P> {
    /// Takes everything back from a thread that ends; freed blocks stay in quarantine. The cache should not be used
    /// again: what it does then is not counted.
    pub fn retire(&self, cache: &mut ThreadCache) {
        self.empty(cache);
        self.ledger.end(&self.pages, |line| line == cache.line);
        cache.line = usize::MAX;
    }

    fn empty(&self, cache: &mut ThreadCache) {
        self.hand_over(cache);
        for (class, list) in cache.lists.iter_mut().enumerate() {
            if list.count > 0 {
                self.give_back(list, class, 0);
            }
        }
    }

    /// Takes all locks, so that a fork finds nothing half done under them. Drop the result in the parent and in the
    /// child; nothing else may be called on the heap before.
    #[must_use = "the locks are released when it is dropped"]
    pub fn lock_all(&self) -> Frozen<'_> {
        Frozen {
            _central: core::array::from_fn(|class| self.central[class].lock(&self.pages)),
            _runs: self.runs.lock(&self.pages),
            _arrays: self.arrays.lock(&self.pages),
            // No thread can join while the ledger is locked, so no queue is missed.
            _ended: self.ledger.lock().lock(&self.pages),
            _quarantine: self.quarantine.lock_for_fork(&self.pages),
        }
    }

    /// In a forked child, after the locks were released: the calling thread's `cache` is the only one that
    /// goes on. The others' free slots and last freed blocks are lost to the child unless [`Heap::adopt`] is
    /// called for them; live blocks stay as they are.
    pub fn after_fork(&self, cache: &ThreadCache) {
        self.ledger.end(&self.pages, |line| line != cache.line);
    }

    /// In a forked child, after [`Heap::after_fork`]: takes over what was in the cache of a thread that the child does
    /// not have. That thread may have been at work in it during the fork: what does not look like a free slot is
    /// left alone.
    pub fn adopt(&self, other: &mut ThreadCache) {
        other.batch_blocks = if other.batch == 0 { 0 } else { other.batch_blocks.min(CHUNK_BLOCKS as u32) };
        other.batch_bytes = (0..other.batch_blocks)
            .map(|i| self.quarantine.batch(other.batch).entry(i))
            .map(|entry| entry.size.map_or_else(|| self.wide(entry), u64::from))
            .sum();
        self.empty(other);
        other.line = usize::MAX;
    }
}

/// All locks of a heap, from [`Heap::lock_all`].
pub struct Frozen<'a> {
    _central: [Guard<'a, Central>; CLASSES],
    _runs: Guard<'a, Runs>,
    _arrays: Guard<'a, SlotArrays>,
    _ended: Guard<'a, Ended>,
    _quarantine: FrozenQuarantine<'a>,
}

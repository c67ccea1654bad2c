//! What a thread keeps for itself: free slots of each class, and the blocks that it freed since it last handed
//! some over to the quarantine.

use crate::class::CLASSES;

/// One guest thread's share of a [`Heap`](crate::Heap), from [`Heap::thread_cache`](crate::Heap::thread_cache). It is
/// plain data of about 1.2 KiB: the engine stores it where it likes. A cache that is dropped without
/// [`Heap::retire`](crate::Heap::retire) loses the slots in it for good, and nothing else.
pub struct ThreadCache {
    pub(crate) lists: [List; CLASSES],
    /// Line of the ledger.
    pub(crate) line: usize,
    /// The batch of freed blocks, chunk + 1; 0 = none yet.
    pub(crate) batch: u32,
    pub(crate) batch_blocks: u32,
    pub(crate) batch_bytes: u64,
}

/// Free slots of one class, linked through their metadata.
#[derive(Clone, Copy)]
pub(crate) struct List {
    /// Arena address of the first slot, 0 = empty.
    pub(crate) head: u64,
    pub(crate) count: u32,
    /// Slots taken with the last refill.
    pub(crate) batch: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: 0, count: 0, batch: 0 };
}

impl ThreadCache {
    pub(crate) const fn new(line: usize) -> ThreadCache {
        let lists = [List::EMPTY; CLASSES];
        ThreadCache { lists, line, batch: 0, batch_blocks: 0, batch_bytes: 0 }
    }
}

//! Pieces of the quarantine's queues: arrays of freed blocks, one word each.
//!
//! A chunk belongs to a thread (its batch), to a queue (under that queue's lock) or to the pool of unused ones.

use crate::table::Plain;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Blocks in a chunk.
pub(crate) const CHUNK_BLOCKS: usize = 254;

/// A piece of a queue, or a thread's batch of blocks that it has just freed.
#[repr(C)]
pub(crate) struct Chunk {
    /// Next chunk of the list + 1; 0 ends it.
    pub(crate) next: AtomicU32,
    /// Filled entries.
    pub(crate) begin: AtomicU32,
    pub(crate) end: AtomicU32,
    spare: AtomicU32,
    entries: [AtomicU64; CHUNK_BLOCKS],
}

// SAFETY: all fields are atomics.
#[allow(unsafe_code, reason = "a promise about the type's layout only")]
unsafe impl Plain for Chunk {}

/// A quarantined block: its slot and its requested bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Arena offset of the slot's (or large run's) first byte.
    pub(crate) slot: u64,
    /// Requested bytes; `None` for a large block, whose span knows them.
    pub(crate) size: Option<u16>,
}

/// An entry in one word.
#[derive(Clone, Copy, Default)]
pub(crate) struct Packed(pub(crate) u64);

impl Packed {
    pub(crate) fn entry(self) -> Entry {
        Entry::unpack(self.0)
    }
}

impl Entry {
    pub(crate) fn pack(self) -> u64 {
        (self.slot >> 4) << 16 | u64::from(self.size.unwrap_or(u16::MAX))
    }

    fn unpack(word: u64) -> Entry {
        let size = word as u16;
        Entry { slot: (word >> 16) << 4, size: (size != u16::MAX).then_some(size) }
    }
}

pub(crate) fn load(field: &AtomicU32) -> u32 {
    field.load(Ordering::Relaxed)
}

pub(crate) fn store(field: &AtomicU32, value: u32) {
    field.store(value, Ordering::Relaxed);
}

impl Chunk {
    /// Entry `index` of a batch.
    #[inline]
    pub(crate) fn put(&self, index: u32, entry: Entry) {
        self.entries[index as usize].store(entry.pack(), Ordering::Relaxed);
    }

    /// Nothing is left in it.
    pub(crate) fn is_empty(&self) -> bool {
        load(&self.begin) >= load(&self.end)
    }

    /// What lies at `index`.
    pub(crate) fn entry(&self, index: u32) -> Entry {
        Entry::unpack(self.entries[index as usize].load(Ordering::Relaxed))
    }
}

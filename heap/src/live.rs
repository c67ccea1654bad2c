//! The live blocks in address order, and the view of them that a leak scan needs.
//!
//! Other threads must stand still for a [`Snapshot`] to be right. One that was stopped in the middle of an allocation
//! or a free is harmless: no lock is taken here, and its block is live or not. If threads run, blocks are missed and
//! numbers mix up, but nothing breaks.

use crate::class::{CLASS, GRANULE, GRANULE_SHIFT};
use crate::slots::{self, Entry};
use crate::space::Place;
use crate::{Heap, Pages};
use core::sync::atomic::Ordering;
use ring::record::Family;

/// A live block in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBlock {
    /// Number of live blocks at lower addresses.
    pub index: u32,
    /// First byte.
    pub address: u64,
    /// Requested bytes.
    pub size: u64,
    /// Who allocated it.
    pub family: Family,
    /// Requested alignment; 1 = none was asked for.
    pub align: u64,
    /// Id of the allocating stack.
    pub stack: u32,
}

/// The live blocks of a heap in rising address order.
pub struct LiveBlocks<'a, P> {
    heap: &'a Heap<P>,
    granule: u32,
    /// Next slot of the granule, if that is a span of small blocks.
    slot: usize,
    /// Granules from here on were never used.
    end: u32,
    index: u32,
    /// Write each block's index into its metadata.
    number: bool,
}

impl<P: Pages> Heap<P> {
    /// The live blocks in rising address order.
    pub fn live_blocks(&self) -> LiveBlocks<'_, P> {
        let end = self.frontier.load(Ordering::Acquire);
        LiveBlocks { heap: self, granule: 0, slot: 0, end, index: 0, number: false }
    }

    /// Numbers the live blocks. The numbers hold until the next snapshot is taken.
    pub fn snapshot(&self) -> Snapshot<'_, P> {
        let mut blocks = LiveBlocks { number: true, ..self.live_blocks() };
        let bytes = blocks.by_ref().map(|block| block.size).sum();
        Snapshot {
            heap: self,
            count: u64::from(blocks.index),
            bytes,
            extent: u64::from(blocks.end) << GRANULE_SHIFT,
        }
    }
}

impl<P: Pages> LiveBlocks<'_, P> {
    fn block(&mut self, place: &Place<'_>) -> Option<LiveBlock> {
        let info = place.slot.info();
        if !slots::is_live(info) {
            return None;
        }
        let index = self.index;
        if self.number {
            place.slot.set_index(index);
        }
        self.index += 1;
        let align_log2 = slots::align_log2(info);
        Some(LiveBlock {
            index,
            address: self.heap.data(place.start, align_log2),
            size: place.size(),
            family: slots::family(info),
            align: 1 << align_log2,
            stack: place.slot.stack(),
        })
    }
}

impl<P: Pages> Iterator for LiveBlocks<'_, P> {
    type Item = LiveBlock;

    fn next(&mut self) -> Option<LiveBlock> {
        let heap = self.heap;
        while self.granule < self.end {
            let start = heap.arena.base + u64::from(self.granule) * GRANULE;
            let mut granules = 1;
            match heap.map.entry(self.granule as usize) {
                Some(Entry::Small(array)) => {
                    while let Some(slot) = array.get(self.slot) {
                        let start = start + self.slot as u64 * u64::from(array.class().size);
                        self.slot += 1;
                        let block = self.block(&Place { slot, wide: None, start });
                        if block.is_some() {
                            return block;
                        }
                    }
                }
                Some(Entry::Large(first)) if first == self.granule => {
                    let span = heap.spans.at(first as usize);
                    granules = span.granules.load(Ordering::Relaxed).max(1);
                    let block = self.block(&Place { slot: &span.slot, wide: Some(&span.wide), start });
                    if block.is_some() {
                        self.granule += granules;
                        return block;
                    }
                }
                _ => {}
            }
            self.granule += granules;
            self.slot = 0;
        }
        None
    }
}

/// The block that a pointer hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The block's index in the snapshot.
    pub index: u32,
    /// Its first byte.
    pub address: u64,
    /// Its requested bytes.
    pub size: u64,
}

/// The numbered live blocks of a heap whose guest stands still.
pub struct Snapshot<'a, P> {
    heap: &'a Heap<P>,
    count: u64,
    bytes: u64,
    extent: u64,
}

impl<'a, P: Pages> Snapshot<'a, P> {
    /// Number of blocks.
    pub fn block_count(&self) -> u64 {
        self.count
    }

    /// Sum of their requested sizes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The blocks in rising address order.
    pub fn blocks(&self) -> LiveBlocks<'a, P> {
        self.heap.live_blocks()
    }

    /// Arena addresses: start and end.
    pub fn arena(&self) -> (u64, u64) {
        (self.heap.arena.base, self.heap.arena.base + self.heap.arena.size)
    }

    /// Whether a word could point at a block at all: one comparison for the many that cannot.
    #[inline]
    pub fn may_point(&self, word: u64) -> bool {
        word.wrapping_sub(self.heap.arena.base) < self.extent
    }

    /// The live block that `pointer` hits: it points at one of the block's bytes, or at the start of an empty block.
    /// A page map, a class and a slot: no search.
    #[inline]
    pub fn find(&self, pointer: u64) -> Option<Target> {
        let offset = pointer.wrapping_sub(self.heap.arena.base);
        if offset >= self.extent {
            return None;
        }
        let (slot, size, start) = match self.heap.map.entry((offset >> GRANULE_SHIFT) as usize)? {
            Entry::Small(array) => {
                let class = &CLASS[array.class_number()];
                let index = class.slot_at((offset & (GRANULE - 1)) as u32);
                let start = (offset & !(GRANULE - 1)) + index as u64 * u64::from(class.size);
                return Self::hit(self.heap, array.get(index)?, None, start, pointer);
            }
            Entry::Large(first) => {
                let span = self.heap.spans.get(first as usize)?;
                (&span.slot, span.wide.load(Ordering::Relaxed), u64::from(first) * GRANULE)
            }
        };
        Self::hit(self.heap, slot, Some(size), start, pointer)
    }

    #[inline]
    fn hit(
        heap: &Heap<P>,
        slot: &slots::Slot,
        wide: Option<u64>,
        start: u64,
        pointer: u64,
    ) -> Option<Target> {
        let info = slot.info();
        let address = heap.data(heap.arena.base + start, slots::align_log2(info));
        let size = wide.unwrap_or_else(|| u64::from(slot.size()));
        let inside = slots::is_live(info) && pointer.wrapping_sub(address) < size.max(1);
        inside.then(|| Target { index: slot.index(), address, size })
    }
}

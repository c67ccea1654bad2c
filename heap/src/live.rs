//! The live blocks in address order, and the view of them that a leak scan needs.
//!
//! Other threads must stand still for a [`Snapshot`] to be right. One that was stopped in the middle of an allocation
//! or a free is harmless: no lock is taken here, and its block is live or not. If threads run, blocks are missed and
//! numbers mix up, but nothing breaks.

use crate::class::{CLASS, GRANULE, GRANULE_SHIFT};
use crate::client::{self, ClientBlock, REPLACED};
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
    /// Blocks of the heap that were listed.
    index: u32,
    /// Write each block's index into its metadata.
    number: bool,
    /// Blocks that the guest announced, arranged.
    client: &'a [ClientBlock],
    /// How many of them lie before the block of the heap that was found last.
    passed: usize,
    /// How many of them were listed.
    listed: usize,
    /// A block of the heap that was found and comes behind some of them.
    found: Option<LiveBlock>,
}

impl<P: Pages> Heap<P> {
    /// The live blocks in rising address order.
    pub fn live_blocks(&self) -> LiveBlocks<'_, P> {
        self.blocks_and(&[])
    }

    fn blocks_and<'a>(&'a self, client: &'a [ClientBlock]) -> LiveBlocks<'a, P> {
        let end = self.frontier.load(Ordering::Acquire);
        LiveBlocks {
            heap: self,
            granule: 0,
            slot: 0,
            end,
            index: 0,
            number: false,
            client,
            passed: 0,
            listed: 0,
            found: None,
        }
    }

    /// Numbers the live blocks. The numbers hold until the next snapshot is taken.
    pub fn snapshot(&self) -> Snapshot<'_, P> {
        self.snapshot_with(&[])
    }

    /// As [`Heap::snapshot`], with blocks that the guest announced; they have been through
    /// [`arrange`](crate::arrange).
    pub fn snapshot_with<'a>(&'a self, client: &'a [ClientBlock]) -> Snapshot<'a, P> {
        let mut blocks = LiveBlocks { number: true, ..self.blocks_and(client) };
        let (mut count, mut bytes) = (0, 0u64);
        for block in blocks.by_ref() {
            count += 1;
            bytes = bytes.saturating_add(block.size);
        }
        let extent = u64::from(blocks.end) << GRANULE_SHIFT;
        let (mut low, mut high) = (self.arena.base, self.arena.base + extent);
        if let (Some(first), Some(last)) = (client.first(), client.last()) {
            low = low.min(first.address);
            high = high.max(last.address.saturating_add(last.size.max(1)));
        }
        Snapshot { heap: self, count, bytes, extent, low, span: high - low, client }
    }
}

impl<P: Pages> LiveBlocks<'_, P> {
    fn block(&mut self, place: &Place<'_>) -> Option<LiveBlock> {
        let info = place.slot.info();
        if !slots::is_live(info) {
            return None;
        }
        let align_log2 = slots::align_log2(info);
        let address = self.heap.data(place.start, align_log2);
        let size = place.size();
        if !self.client.is_empty() && self.is_replaced(address, size) {
            if self.number {
                place.slot.set_index(REPLACED);
            }
            return None;
        }
        let index = self.index + self.passed as u32;
        if self.number {
            place.slot.set_index(index);
        }
        self.index += 1;
        Some(LiveBlock {
            index,
            address,
            size,
            family: slots::family(info),
            align: 1 << align_log2,
            stack: place.slot.stack(),
        })
    }

    /// Whether a client block begins in this block of the heap; counts those that begin before it.
    #[cold]
    fn is_replaced(&mut self, address: u64, size: u64) -> bool {
        let rest = &self.client[self.passed..];
        let before = rest.iter().take_while(|block| block.address < address).count();
        self.passed += before;
        rest.get(before).is_some_and(|block| block.address - address < size.max(1))
    }

    /// The next block, of whichever kind.
    #[cold]
    fn merged(&mut self) -> Option<LiveBlock> {
        if self.found.is_none() {
            self.found = self.of_heap();
        }
        let next = self.client.get(self.listed);
        let next = next.filter(|next| self.found.is_none_or(|found| next.address < found.address));
        let Some(block) = next else { return self.found.take() };
        // The one that was found is counted, and comes later.
        let index = self.index + self.listed as u32 - u32::from(self.found.is_some());
        if self.number {
            block.index.set(index);
        }
        self.listed += 1;
        let ClientBlock { address, size, family, stack, .. } = *block;
        Some(LiveBlock { index, address, size, family, align: 1, stack })
    }

    fn of_heap(&mut self) -> Option<LiveBlock> {
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

impl<P: Pages> Iterator for LiveBlocks<'_, P> {
    type Item = LiveBlock;

    fn next(&mut self) -> Option<LiveBlock> {
        if self.client.is_empty() { self.of_heap() } else { self.merged() }
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
    /// No block begins before this address.
    low: u64,
    /// No block lies further than this behind it.
    span: u64,
    client: &'a [ClientBlock],
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
        self.heap.blocks_and(self.client)
    }

    /// Arena addresses: start and end.
    pub fn arena(&self) -> (u64, u64) {
        (self.heap.arena.base, self.heap.arena.base + self.heap.arena.size)
    }

    /// Whether a word could point at a block at all: one comparison for the many that cannot.
    #[inline]
    pub fn may_point(&self, word: u64) -> bool {
        word.wrapping_sub(self.low) < self.span
    }

    /// The live block that `pointer` hits: it points at one of the block's bytes, or at the start of an empty block.
    /// A page map, a class and a slot: no search, except among blocks that the guest announced.
    #[inline]
    pub fn find(&self, pointer: u64) -> Option<Target> {
        if !self.client.is_empty()
            && let Some(block) = client::find(self.client, pointer)
        {
            return Some(Target { index: block.index.get(), address: block.address, size: block.size });
        }
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
        let index = slot.index();
        (inside && index != REPLACED).then_some(Target { index, address, size })
    }
}

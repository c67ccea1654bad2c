//! The live heap of a process as Massif counts it: bytes asked for, what the allocator adds, and who holds them.
//!
//! Rules: a block has its size, rounded up to a multiple of 16 (the rest is slop), and `heap_admin` bytes. A realloc to
//! no more than size and slop stays in place and changes nothing but how the bytes are shared out between size and
//! slop; either way the block belongs to the stack of the realloc from then on. Blocks of ignored stacks are followed
//! and not counted. Massif's own allocator leaves more slop behind aligned blocks, and where it reuses a gap.
//!
//! What always holds: nothing overflows, whatever sizes a trace tells.

use std::collections::HashMap;

/// What a block is rounded up to.
const ALIGNMENT: u64 = 16;

/// A live block.
#[derive(Debug, Clone, Copy)]
struct Block {
    size: u64,
    slop: u64,
    stack: u32,
    is_ignored: bool,
}

/// The live blocks and their sums.
#[derive(Debug, Default)]
pub struct Heap {
    admin: u64,
    blocks: HashMap<u64, Block>,
    /// Live bytes of every stack that ever allocated, also of those that hold nothing now: Massif counts these among its
    /// places.
    held: HashMap<u32, u64>,
    /// Bytes asked for.
    pub bytes: u64,
    /// Admin bytes and slop.
    pub extra: u64,
    /// Bytes allocated and freed so far, `extra` included.
    pub turnover: u64,
}

impl Heap {
    /// An empty heap with so many admin bytes for each block.
    pub fn new(admin: u64) -> Heap {
        Heap { admin, ..Heap::default() }
    }

    /// Adds a block; false when it does not count.
    pub fn allocate(&mut self, address: u64, size: u64, stack: u32, is_ignored: bool) -> bool {
        // Who allocates where a live block is has freed that unseen.
        self.free(address);
        self.insert(address, Block { size, slop: slop(size), stack, is_ignored });
        if is_ignored {
            return false;
        }
        self.grow(size, self.admin.saturating_add(slop(size)));
        true
    }

    /// Whether the block at an address counts.
    pub fn counts(&self, address: u64) -> bool {
        self.blocks.get(&address).is_some_and(|block| !block.is_ignored)
    }

    /// Bytes of a block that counts.
    pub fn size(&self, address: u64) -> Option<u64> {
        self.blocks.get(&address).filter(|block| !block.is_ignored).map(|block| block.size)
    }

    /// Removes a block; false when there is none that counts.
    pub fn free(&mut self, address: u64) -> bool {
        let Some(block) = self.remove(address).filter(|block| !block.is_ignored) else { return false };
        self.shrink(block.size, self.admin.saturating_add(block.slop));
        true
    }

    /// Changes a block's size, and perhaps its place; false when it does not count. A block that counts on one side only is
    /// freed or allocated.
    pub fn reallocate(&mut self, old: u64, new: u64, size: u64, stack: u32, is_ignored: bool) -> bool {
        if is_ignored || !self.counts(old) {
            let was_ignored = self.blocks.get(&old).is_some_and(|block| block.is_ignored);
            self.free(old);
            return self.allocate(new, size, stack, is_ignored || was_ignored);
        }
        let Some(before) = self.remove(old) else { return false };
        let room = before.size.saturating_add(before.slop);
        let slop = room.checked_sub(size).unwrap_or_else(|| slop(size));
        if old != new {
            self.free(new);
        }
        self.insert(new, Block { size, slop, stack, is_ignored: false });
        // Time passes by what each of the two sums changes by, together.
        let change = |after: u64, before: u64| i128::from(after) - i128::from(before);
        let moved = (change(size, before.size) + change(slop, before.slop)).unsigned_abs();
        self.bytes = self.bytes.saturating_sub(before.size).saturating_add(size);
        self.extra = self.extra.saturating_sub(before.slop).saturating_add(slop);
        self.turnover = self.turnover.saturating_add(u64::try_from(moved).unwrap_or(u64::MAX));
        true
    }

    /// How many blocks there are that count.
    pub fn count(&self) -> u64 {
        self.blocks.values().filter(|block| !block.is_ignored).count() as u64
    }

    /// Bytes by stack, by rising number; stacks that hold nothing any more are there, too.
    pub fn by_stack(&self) -> Vec<(u32, u64)> {
        let mut held: Vec<_> = self.held.iter().map(|(stack, bytes)| (*stack, *bytes)).collect();
        held.sort_unstable();
        held
    }

    fn insert(&mut self, address: u64, block: Block) {
        self.blocks.insert(address, block);
        if !block.is_ignored {
            let held = self.held.entry(block.stack).or_default();
            *held = held.saturating_add(block.size);
        }
    }

    fn remove(&mut self, address: u64) -> Option<Block> {
        let block = self.blocks.remove(&address)?;
        if let Some(held) = self.held.get_mut(&block.stack).filter(|_| !block.is_ignored) {
            *held = held.saturating_sub(block.size);
        }
        Some(block)
    }

    fn grow(&mut self, bytes: u64, extra: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.extra = self.extra.saturating_add(extra);
        self.turnover = self.turnover.saturating_add(bytes).saturating_add(extra);
    }

    fn shrink(&mut self, bytes: u64, extra: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.extra = self.extra.saturating_sub(extra);
        self.turnover = self.turnover.saturating_add(bytes).saturating_add(extra);
    }
}

/// What is behind a block up to the next multiple of 16.
fn slop(size: u64) -> u64 {
    size.wrapping_neg() % ALIGNMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(heap: &Heap) -> (u64, u64, u64) {
        (heap.bytes, heap.extra, heap.turnover)
    }

    #[test]
    fn blocks_cost_their_size_slop_and_admin_bytes() {
        let mut heap = Heap::new(8);
        assert!(heap.allocate(0x10, 1000, 1, false));
        assert_eq!(sums(&heap), (1000, 16, 1016));
        heap.allocate(0x20, 0, 2, false);
        assert_eq!(sums(&heap), (1000, 24, 1024));
        assert!(heap.free(0x10) && !heap.free(0x10));
        assert_eq!(sums(&heap), (0, 8, 2040));
        assert_eq!(heap.by_stack(), [(1, 0), (2, 0)]);
    }

    #[test]
    fn a_realloc_within_the_slop_stays_in_place() {
        let mut heap = Heap::new(8);
        heap.allocate(0x10, 10, 1, false);
        heap.reallocate(0x10, 0x10, 16, 2, false);
        assert_eq!((sums(&heap), heap.by_stack()), ((16, 8, 24), vec![(1, 0), (2, 16)]));
        // Shrinking keeps the room, and no time passes.
        heap.reallocate(0x10, 0x10, 5, 3, false);
        assert_eq!(sums(&heap), (5, 19, 24));
        // To the room again, whether or not our allocator moved it.
        heap.reallocate(0x10, 0x30, 16, 3, false);
        assert_eq!(sums(&heap), (16, 8, 24));
        heap.reallocate(0x30, 0x40, 17, 3, false);
        assert_eq!(sums(&heap), (17, 23, 40));
    }

    #[test]
    fn ignored_blocks_do_not_count() {
        let mut heap = Heap::new(0);
        assert!(!heap.allocate(0x10, 16, 1, true));
        assert!(!heap.reallocate(0x10, 0x20, 32, 2, false), "once ignored, always ignored");
        heap.allocate(0x30, 16, 2, false);
        assert!(!heap.reallocate(0x30, 0x40, 32, 1, true));
        assert_eq!(sums(&heap), (0, 0, 32));
        assert!(!heap.free(0x20) && !heap.free(0x40));
    }

    #[test]
    fn no_size_overflows() {
        let mut heap = Heap::new(8);
        heap.allocate(1, u64::MAX, 1, false);
        heap.allocate(2, u64::MAX, 1, false);
        heap.reallocate(1, 1, 0, 1, false);
        heap.reallocate(1, 1, u64::MAX, 1, false);
        heap.free(1);
        heap.free(2);
        assert_eq!(heap.turnover, u64::MAX);
    }
}

//! Blocks that the guest announces itself: what its own allocator carves from memory that it got otherwise
//! (`VALGRIND_MALLOCLIKE_BLOCK`, `VALGRIND_MEMPOOL_ALLOC`).
//!
//! They lie anywhere: in blocks of the heap, in mappings, in static memory. For a leak scan an inner block replaces the
//! outer one, as in Valgrind: a heap block that holds the start of a client block is no block of the snapshot. Always
//! holds for the blocks of a [`Snapshot`](crate::Snapshot): addresses rise, and none overlaps another.
//!
//! Not here: which blocks there are (the engine keeps the table).

use core::cell::Cell;
use ring::record::Family;

/// Index of a heap block that client blocks replace.
pub(crate) const REPLACED: u32 = u32::MAX;

/// A block that the guest announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientBlock {
    /// First byte.
    pub address: u64,
    /// Bytes; 0 counts as one, as for blocks of the heap.
    pub size: u64,
    /// [`Family::Client`] or [`Family::Pool`].
    pub family: Family,
    /// Id of the stack that announced it.
    pub stack: u32,
    /// Its index in the snapshot, once that has been taken.
    pub(crate) index: Cell<u32>,
}

impl ClientBlock {
    /// A block.
    pub fn new(address: u64, size: u64, family: Family, stack: u32) -> ClientBlock {
        ClientBlock { address, size, family, stack, index: Cell::new(0) }
    }

    fn end(&self) -> u64 {
        self.address.saturating_add(self.size.max(1))
    }

    /// Whether a pointer hits the block.
    pub(crate) fn holds(&self, pointer: u64) -> bool {
        (self.address..self.end()).contains(&pointer)
    }
}

/// Orders blocks for a snapshot: sorts them and moves those that may take part to the front, without the ones that hold
/// others entirely. Returns how many may, and how many others overlap without holding one another, which no correct
/// allocator does.
pub fn arrange(blocks: &mut [ClientBlock]) -> (usize, usize) {
    // Of two that begin together the larger is the outer one; of two that are equal, one stays.
    blocks.sort_unstable_by_key(|block| (block.address, u64::MAX - block.size, block.family));
    let (mut kept, mut overlaps) = (0usize, 0);
    for next in 0..blocks.len() {
        let mut fits = true;
        while let Some(last) = kept.checked_sub(1).and_then(|at| blocks.get(at)) {
            if last.end() <= blocks[next].address {
                break;
            }
            if blocks[next].end() > last.end() {
                overlaps += 1;
                fits = false;
                break;
            }
            kept -= 1;
        }
        if fits {
            blocks.swap(kept, next);
            kept += 1;
        }
    }
    (kept, overlaps)
}

/// The block that `pointer` hits among arranged ones.
pub(crate) fn find(blocks: &[ClientBlock], pointer: u64) -> Option<&ClientBlock> {
    let behind = blocks.partition_point(|block| block.address <= pointer);
    blocks[..behind].last().filter(|block| block.holds(pointer))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    fn arranged(blocks: &[(u64, u64)]) -> (Vec<(u64, u64)>, usize) {
        let mut list: Vec<_> =
            blocks.iter().map(|&(at, size)| ClientBlock::new(at, size, Family::Client, 0)).collect();
        let (kept, overlaps) = arrange(&mut list);
        (list[..kept].iter().map(|block| (block.address, block.size)).collect(), overlaps)
    }

    #[test]
    fn inner_blocks_replace_outer_ones() {
        assert_eq!(arranged(&[]), (std::vec![], 0));
        assert_eq!(arranged(&[(30, 5), (10, 5), (20, 5)]), (std::vec![(10, 5), (20, 5), (30, 5)], 0));
        assert_eq!(arranged(&[(0, 100), (10, 5), (20, 5)]), (std::vec![(10, 5), (20, 5)], 0));
        assert_eq!(arranged(&[(0, 100), (0, 50), (10, 5), (200, 1)]), (std::vec![(10, 5), (200, 1)], 0));
        assert_eq!(arranged(&[(0, 16), (0, 16)]), (std::vec![(0, 16)], 0), "announced twice");
        assert_eq!(arranged(&[(0, 16), (16, 0), (17, 1)]), (std::vec![(0, 16), (16, 0), (17, 1)], 0));
    }

    #[test]
    fn blocks_that_overlap_are_left_out() {
        assert_eq!(arranged(&[(0, 16), (8, 16), (32, 8)]), (std::vec![(0, 16), (32, 8)], 1));
        assert_eq!(arranged(&[(u64::MAX - 1, 16), (0, 1)]), (std::vec![(0, 1), (u64::MAX - 1, 16)], 0));
    }

    #[test]
    fn a_pointer_finds_its_block() {
        let list = [(10, 5), (20, 0)].map(|(at, size)| ClientBlock::new(at, size, Family::Pool, 0));
        let found = |pointer| find(&list, pointer).map(|block| block.address);
        assert_eq!([9, 10, 14, 15, 20, 21].map(found), [None, Some(10), Some(10), None, Some(20), None]);
    }
}

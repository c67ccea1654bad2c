//! Blocks and memory pools that the guest announces itself, with Valgrind's rules for each announcement.
//!
//! Always holds: the table knows a block under its first byte, once among the blocks and once in each pool. What does not
//! fit (an unknown pool, a block that is not there) changes nothing. A superblock of a pool of two levels is replaced by
//! the blocks announced in it, as a heap block is; Valgrind counts both. Not here: how requests arrive (`requests`), what
//! the leak scan makes of overlapping blocks (`heap::arrange`).

use crate::trace::Writer;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use heap::ClientBlock;
use ring::record::Family;

/// A block: size and the stack that announced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Bytes.
    pub size: u64,
    /// Id of the stack.
    pub stack: u32,
}

type Blocks = BTreeMap<u64, Announced>;

/// A memory pool.
#[derive(Debug, Default)]
struct Pool {
    /// Freeing a block of the pool frees the announced blocks in it.
    auto_free: bool,
    blocks: Blocks,
}

/// Bit of the flags of a pool: see [`Pool::auto_free`].
const AUTO_FREE: u64 = 1;

/// All that the guest has announced.
#[derive(Debug, Default)]
pub struct ClientBlocks {
    blocks: Blocks,
    pools: BTreeMap<u64, Pool>,
    overlap_told: bool,
}

/// A block's address and the block.
pub type Entry = (u64, Announced);

impl ClientBlocks {
    /// Nothing.
    pub const fn new() -> ClientBlocks {
        ClientBlocks { blocks: BTreeMap::new(), pools: BTreeMap::new(), overlap_told: false }
    }

    /// MALLOCLIKE_BLOCK.
    pub fn add(&mut self, address: u64, block: Announced) {
        self.blocks.insert(address, block);
    }

    /// FREELIKE_BLOCK: the block, when there was one.
    pub fn remove(&mut self, address: u64) -> Option<Announced> {
        self.blocks.remove(&address)
    }

    /// RESIZEINPLACE_BLOCK: keeps the block and the stack that allocated it. False when there is no block of the old
    /// size, or the new size is 0.
    pub fn resize(&mut self, address: u64, old: u64, new: u64) -> bool {
        match self.blocks.get_mut(&address) {
            Some(block) if block.size == old && new != 0 => {
                block.size = new;
                true
            }
            _ => false,
        }
    }

    /// CREATE_MEMPOOL. A pool that exists stays as it is.
    pub fn create_pool(&mut self, pool: u64, flags: u64) {
        let made = || Pool { auto_free: flags & AUTO_FREE != 0, blocks: Blocks::new() };
        self.pools.entry(pool).or_insert_with(made);
    }

    /// DESTROY_MEMPOOL: the blocks that were in it.
    pub fn destroy_pool(&mut self, pool: u64) -> Vec<Entry> {
        self.pools.remove(&pool).map_or_else(Vec::new, |pool| pool.blocks.into_iter().collect())
    }

    /// MEMPOOL_EXISTS.
    pub fn has_pool(&self, pool: u64) -> bool {
        self.pools.contains_key(&pool)
    }

    /// MEMPOOL_ALLOC. False when there is no such pool.
    pub fn add_to_pool(&mut self, pool: u64, address: u64, block: Announced) -> bool {
        self.pools.get_mut(&pool).map(|pool| pool.blocks.insert(address, block)).is_some()
    }

    /// MEMPOOL_FREE: the block and, of a pool that wants so, the announced blocks in it, each with its family.
    pub fn remove_from_pool(&mut self, pool: u64, address: u64) -> Vec<(Entry, Family)> {
        let Some(pool) = self.pools.get_mut(&pool) else { return Vec::new() };
        let Some(block) = pool.blocks.remove(&address) else { return Vec::new() };
        let mut gone = alloc::vec![((address, block), Family::Pool)];
        if pool.auto_free {
            let inner = self.blocks.range(address..address.saturating_add(block.size));
            gone.extend(inner.map(|(at, inner)| ((*at, *inner), Family::Client)));
            for ((at, _), _) in &gone[1..] {
                self.blocks.remove(at);
            }
        }
        gone
    }

    /// MEMPOOL_TRIM: what lies outside of the range leaves the pool, what crosses its ends is cut. The blocks that left.
    pub fn trim_pool(&mut self, pool: u64, start: u64, size: u64) -> Vec<Entry> {
        let Some(pool) = self.pools.get_mut(&pool) else { return Vec::new() };
        let end = start.saturating_add(size);
        let holds = |at: u64| (start..end).contains(&at);
        let mut gone = Vec::new();
        for (at, block) in core::mem::take(&mut pool.blocks) {
            let behind = at.saturating_add(block.size);
            match (holds(at), holds(behind.saturating_sub(1).max(at))) {
                (false, false) => gone.push((at, block)),
                _ => {
                    let (low, high) = (at.max(start), behind.min(end));
                    pool.blocks.insert(low, Announced { size: high - low, ..block });
                }
            }
        }
        gone
    }

    /// MOVE_MEMPOOL: the pool is known by another address from here on.
    pub fn move_pool(&mut self, from: u64, to: u64) {
        if let Some(pool) = self.pools.remove(&from) {
            self.pools.insert(to, pool);
        }
    }

    /// MEMPOOL_CHANGE: a block has moved, and has another size. False when it is not there.
    pub fn change_in_pool(&mut self, pool: u64, from: u64, to: u64, size: u64) -> bool {
        let Some(pool) = self.pools.get_mut(&pool) else { return false };
        let Some(block) = pool.blocks.remove(&from) else { return false };
        pool.blocks.insert(to, Announced { size, ..block });
        true
    }

    /// The blocks for a leak scan, arranged. Blocks that overlap are left out, with a remark the first time.
    pub fn for_scan(&mut self, writer: &mut Writer) -> Vec<ClientBlock> {
        let (list, overlaps) = self.arranged();
        if overlaps != 0 && !core::mem::replace(&mut self.overlap_told, true) {
            let text = alloc::format!(
                "{overlaps} blocks announced by VALGRIND_MALLOCLIKE_BLOCK or VALGRIND_MEMPOOL_ALLOC overlap others; the leak scan leaves them out"
            );
            writer.message(1, text.as_bytes());
        }
        list
    }

    fn arranged(&self) -> (Vec<ClientBlock>, usize) {
        fn of(blocks: &Blocks, family: Family) -> impl Iterator<Item = ClientBlock> {
            blocks.iter().map(move |(at, block)| ClientBlock::new(*at, block.size, family, block.stack))
        }
        let mut list: Vec<ClientBlock> = of(&self.blocks, Family::Client).collect();
        for pool in self.pools.values() {
            list.extend(of(&pool.blocks, Family::Pool));
        }
        let (kept, overlaps) = heap::arrange(&mut list);
        list.truncate(kept);
        (list, overlaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn block(size: u64) -> Announced {
        Announced { size, stack: 1 }
    }

    fn listed(table: &ClientBlocks) -> Vec<(u64, u64)> {
        table.arranged().0.iter().map(|block| (block.address, block.size)).collect()
    }

    #[test]
    fn a_block_keeps_its_stack_when_it_is_resized() {
        let mut table = ClientBlocks::new();
        table.add(100, block(8));
        assert!(!table.resize(100, 9, 16), "another size than it has");
        assert!(!table.resize(100, 8, 0));
        assert!(!table.resize(99, 8, 16));
        assert!(table.resize(100, 8, 16));
        assert_eq!(table.remove(100), Some(Announced { size: 16, stack: 1 }));
        assert_eq!(table.remove(100), None);
    }

    #[test]
    fn pools() {
        let mut table = ClientBlocks::new();
        assert!(!table.add_to_pool(1, 100, block(8)), "no such pool");
        table.create_pool(1, 0);
        assert!(table.has_pool(1) && !table.has_pool(2));
        for at in [100, 200, 300, 400] {
            assert!(table.add_to_pool(1, at, block(50)));
        }
        assert_eq!(table.trim_pool(1, 220, 190), [(100, block(50))]);
        assert_eq!(listed(&table), [(220, 30), (300, 50), (400, 10)]);
        assert!(table.change_in_pool(1, 300, 500, 5));
        assert!(!table.change_in_pool(1, 300, 600, 5));
        table.move_pool(1, 2);
        assert!(table.has_pool(2) && !table.has_pool(1));
        assert_eq!(table.remove_from_pool(2, 220), [((220, block(30)), Family::Pool)]);
        assert_eq!(table.remove_from_pool(2, 220), []);
        assert_eq!(table.destroy_pool(2), [(400, block(10)), (500, block(5))]);
        assert_eq!(listed(&table), []);
    }

    #[test]
    fn a_trim_to_the_inside_of_a_block_drops_it() {
        let mut table = ClientBlocks::new();
        table.create_pool(1, 0);
        table.add_to_pool(1, 100, block(50));
        assert_eq!(table.trim_pool(1, 110, 10), [(100, block(50))]);
    }

    #[test]
    fn a_pool_of_superblocks() {
        let mut table = ClientBlocks::new();
        table.create_pool(1, AUTO_FREE);
        table.add_to_pool(1, 100, block(50));
        table.add(110, block(5));
        table.add(140, block(5));
        table.add(150, block(5));
        assert_eq!(listed(&table), [(110, 5), (140, 5), (150, 5)]);
        let gone: Vec<_> = table.remove_from_pool(1, 100).iter().map(|((at, _), f)| (*at, *f)).collect();
        assert_eq!(gone, [(100, Family::Pool), (110, Family::Client), (140, Family::Client)]);
        assert_eq!(listed(&table), [(150, 5)]);
    }
}

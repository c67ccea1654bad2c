//! Blocks and memory pools that the guest announces itself, with Valgrind's rules for each announcement.
//!
//! Always holds: the table knows a block under its first byte, once among the blocks and once in each pool. What does not
//! fit (an unknown pool, a block that is not there) changes nothing, and the caller is told. A superblock of a pool of two levels is replaced by
//! the blocks announced in it, as a heap block is; Valgrind counts both. Not here: how requests arrive and what becomes of the
//! memory (`requests`), what the leak scan makes of overlapping blocks (`heap::arrange`).

use crate::trace::Writer;
use alloc::collections::{BTreeMap, VecDeque};
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
    /// Bytes before and behind it that are not the guest's to touch.
    pub redzone: u64,
}

impl Announced {
    /// The block and its red zones: first address and bytes.
    pub fn with_redzones(&self, address: u64) -> (u64, u64) {
        let start = address.saturating_sub(self.redzone);
        (start, address.saturating_add(self.size).saturating_add(self.redzone) - start)
    }
}

/// What a request named that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The pool.
    Pool,
    /// The block.
    Block,
}

/// A block near an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its first byte.
    pub start: u64,
    /// The block.
    pub block: Announced,
    /// Who announced it.
    pub family: Family,
    /// The stack that freed it, when it was.
    pub freed: Option<u32>,
}

/// What [`ClientBlocks::trim_pool`] has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Blocks that left the pool.
    pub gone: Vec<Entry>,
    /// Parts of blocks that stay: first address and bytes of what they have lost.
    pub cut: Vec<(u64, u64)>,
}

type Blocks = BTreeMap<u64, Announced>;

/// A memory pool.
#[derive(Debug, Default)]
struct Pool {
    /// Freeing a block of the pool frees the announced blocks in it.
    auto_free: bool,
    /// What it allocates is zero.
    zeroed: bool,
    /// See [`Announced::redzone`].
    redzone: u64,
    blocks: Blocks,
}

/// Bit of the flags of a pool: see [`Pool::auto_free`].
const AUTO_FREE: u64 = 1;

/// All that the guest has announced.
#[derive(Debug, Default)]
pub struct ClientBlocks {
    blocks: Blocks,
    pools: BTreeMap<u64, Pool>,
    /// The last blocks that were freed, the newest last.
    freed: VecDeque<Found>,
    overlap_told: bool,
}

/// Freed blocks that are remembered.
const REMEMBERED: usize = 1024;

/// A block's address and the block.
pub type Entry = (u64, Announced);

impl ClientBlocks {
    /// Nothing.
    pub const fn new() -> ClientBlocks {
        ClientBlocks {
            blocks: BTreeMap::new(),
            pools: BTreeMap::new(),
            freed: VecDeque::new(),
            overlap_told: false,
        }
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

    /// A block was freed, at a stack.
    pub fn remember(&mut self, (start, block): Entry, family: Family, stack: u32) {
        if self.freed.len() == REMEMBERED {
            self.freed.pop_front();
        }
        self.freed.push_back(Found { start, block, family, freed: Some(stack) });
    }

    /// The block that holds an address, or else has it in its red zones; or else the last one that was freed there.
    pub fn find(&self, address: u64) -> Option<Found> {
        let of = |blocks: &Blocks, family| {
            let below = blocks.range(..=address).next_back();
            let above = blocks.range(address..).next();
            below
                .into_iter()
                .chain(above)
                .map(|(&start, &block)| Found { start, block, family, freed: None })
                .find(|found| {
                    let (start, bytes) = found.block.with_redzones(found.start);
                    address.wrapping_sub(start) < bytes
                })
        };
        let pools = self.pools.values().find_map(|pool| of(&pool.blocks, Family::Pool));
        let holds = |found: &&Found| address.wrapping_sub(found.start) < found.block.size;
        pools
            .or_else(|| of(&self.blocks, Family::Client))
            .or_else(|| self.freed.iter().rev().find(holds).copied())
    }

    /// CREATE_MEMPOOL. A pool that exists stays as it is.
    pub fn create_pool(&mut self, pool: u64, redzone: u64, zeroed: bool, flags: u64) {
        let auto_free = flags & AUTO_FREE != 0;
        self.pools.entry(pool).or_insert_with(|| Pool { auto_free, zeroed, redzone, blocks: Blocks::new() });
    }

    /// DESTROY_MEMPOOL: the blocks that were in it; `None` when there is no such pool.
    pub fn destroy_pool(&mut self, pool: u64) -> Option<Vec<Entry>> {
        self.pools.remove(&pool).map(|pool| pool.blocks.into_iter().collect())
    }

    /// MEMPOOL_EXISTS.
    pub fn has_pool(&self, pool: u64) -> bool {
        self.pools.contains_key(&pool)
    }

    /// MEMPOOL_ALLOC: the block, and whether it is zero; `None` when there is no such pool.
    pub fn add_to_pool(
        &mut self,
        pool: u64,
        address: u64,
        size: u64,
        stack: u32,
    ) -> Option<(Announced, bool)> {
        let pool = self.pools.get_mut(&pool)?;
        let block = Announced { size, stack, redzone: pool.redzone };
        pool.blocks.insert(address, block);
        Some((block, pool.zeroed))
    }

    /// MEMPOOL_FREE: the block and, of a pool that wants so, the announced blocks in it, each with its family.
    ///
    /// # Errors
    /// There is no such pool, or no such block in it.
    pub fn remove_from_pool(&mut self, pool: u64, address: u64) -> Result<Vec<(Entry, Family)>, Unknown> {
        let pool = self.pools.get_mut(&pool).ok_or(Unknown::Pool)?;
        let block = pool.blocks.remove(&address).ok_or(Unknown::Block)?;
        let mut gone = alloc::vec![((address, block), Family::Pool)];
        if pool.auto_free {
            let inner = self.blocks.range(address..address.saturating_add(block.size));
            gone.extend(inner.map(|(at, inner)| ((*at, *inner), Family::Client)));
            for ((at, _), _) in &gone[1..] {
                self.blocks.remove(at);
            }
        }
        Ok(gone)
    }

    /// MEMPOOL_TRIM: what lies outside of the range leaves the pool, what crosses its ends is cut. `None` when there is no
    /// such pool.
    pub fn trim_pool(&mut self, pool: u64, start: u64, size: u64) -> Option<Trimmed> {
        let pool = self.pools.get_mut(&pool)?;
        let end = start.saturating_add(size);
        let holds = |at: u64| (start..end).contains(&at);
        let mut trimmed = Trimmed::default();
        for (at, block) in core::mem::take(&mut pool.blocks) {
            let behind = at.saturating_add(block.size);
            match (holds(at), holds(behind.saturating_sub(1).max(at))) {
                (false, false) => trimmed.gone.push((at, block)),
                _ => {
                    let (low, high) = (at.max(start), behind.min(end));
                    pool.blocks.insert(low, Announced { size: high - low, ..block });
                    let lost = [(at, low - at), (high, behind - high)];
                    trimmed.cut.extend(lost.into_iter().filter(|(_, bytes)| *bytes != 0));
                }
            }
        }
        Some(trimmed)
    }

    /// MOVE_MEMPOOL: the pool is known by another address from here on. False when there is no such pool.
    pub fn move_pool(&mut self, from: u64, to: u64) -> bool {
        let pool = self.pools.remove(&from);
        pool.map(|pool| self.pools.insert(to, pool)).is_some()
    }

    /// MEMPOOL_CHANGE: a block has moved, and has another size.
    ///
    /// # Errors
    /// There is no such pool, or no such block in it.
    pub fn change_in_pool(&mut self, pool: u64, from: u64, to: u64, size: u64) -> Result<(), Unknown> {
        let pool = self.pools.get_mut(&pool).ok_or(Unknown::Pool)?;
        let block = pool.blocks.remove(&from).ok_or(Unknown::Block)?;
        pool.blocks.insert(to, Announced { size, ..block });
        Ok(())
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
        Announced { size, stack: 1, redzone: 0 }
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
        assert_eq!(table.remove(100), Some(block(16)));
        assert_eq!(table.remove(100), None);
    }

    #[test]
    fn pools() {
        let mut table = ClientBlocks::new();
        assert!(table.add_to_pool(1, 100, 8, 1).is_none(), "no such pool");
        table.create_pool(1, 0, false, 0);
        assert!(table.has_pool(1) && !table.has_pool(2));
        for at in [100, 200, 300, 400] {
            assert_eq!(table.add_to_pool(1, at, 50, 1), Some((block(50), false)));
        }
        let trimmed = table.trim_pool(1, 220, 190).expect("the pool");
        assert_eq!(trimmed.gone, [(100, block(50))]);
        assert_eq!(trimmed.cut, [(200, 20), (410, 40)]);
        assert_eq!(listed(&table), [(220, 30), (300, 50), (400, 10)]);
        assert_eq!(table.change_in_pool(1, 300, 500, 5), Ok(()));
        assert_eq!(table.change_in_pool(1, 300, 600, 5), Err(Unknown::Block));
        assert_eq!(table.change_in_pool(2, 500, 600, 5), Err(Unknown::Pool));
        assert!(table.move_pool(1, 2) && !table.move_pool(1, 3));
        assert!(table.has_pool(2) && !table.has_pool(1));
        assert_eq!(table.remove_from_pool(2, 220), Ok(alloc::vec![((220, block(30)), Family::Pool)]));
        assert_eq!(table.remove_from_pool(2, 220), Err(Unknown::Block));
        assert_eq!(table.destroy_pool(2), Some(alloc::vec![(400, block(10)), (500, block(5))]));
        assert_eq!(table.destroy_pool(2), None);
        assert_eq!(listed(&table), []);
    }

    #[test]
    fn a_trim_to_the_inside_of_a_block_drops_it() {
        let mut table = ClientBlocks::new();
        table.create_pool(1, 0, false, 0);
        table.add_to_pool(1, 100, 50, 1);
        assert_eq!(
            table.trim_pool(1, 110, 10).map(|trimmed| trimmed.gone),
            Some(alloc::vec![(100, block(50))])
        );
    }

    #[test]
    fn a_pool_of_superblocks() {
        let mut table = ClientBlocks::new();
        table.create_pool(1, 0, true, AUTO_FREE);
        table.add_to_pool(1, 100, 50, 1);
        table.add(110, block(5));
        table.add(140, block(5));
        table.add(150, block(5));
        assert_eq!(listed(&table), [(110, 5), (140, 5), (150, 5)]);
        let gone: Vec<_> =
            table.remove_from_pool(1, 100).unwrap_or_default().iter().map(|((at, _), f)| (*at, *f)).collect();
        assert_eq!(gone, [(100, Family::Pool), (110, Family::Client), (140, Family::Client)]);
        assert_eq!(listed(&table), [(150, 5)]);
    }

    #[test]
    fn a_block_is_found_by_what_is_in_it_or_near() {
        let mut table = ClientBlocks::new();
        let announced = Announced { size: 10, stack: 1, redzone: 4 };
        table.add(100, announced);
        table.add(120, announced);
        let start = |table: &ClientBlocks, at| table.find(at).map(|found| (found.start, found.freed));
        assert_eq!(
            [95, 96, 100, 109, 113, 114, 116, 129, 134].map(|at| start(&table, at)),
            [
                None,
                Some((100, None)),
                Some((100, None)),
                Some((100, None)),
                Some((100, None)),
                None,
                Some((120, None)),
                Some((120, None)),
                None
            ]
        );
        let block = table.remove(100).expect("the block");
        table.remember((100, block), Family::Client, 7);
        assert_eq!(
            [99, 100, 109, 110].map(|at| start(&table, at)),
            [None, Some((100, Some(7))), Some((100, Some(7))), None]
        );
    }
}

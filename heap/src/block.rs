//! What callers say and learn about blocks: requests, outcomes of a free, descriptions.

use ring::record::Family;

/// What is asked of [`Heap::allocate`](crate::Heap::allocate).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Bytes. 0 gives a block of its own, too.
    pub size: u64,
    /// A power of two, or 0 when none was asked for (recorded as 1). Every block is aligned to at least 16.
    pub align: u64,
    /// Who asks.
    pub family: Family,
    /// Id of the allocating stack, 0 = none (yet: see [`Heap::set_stack`](crate::Heap::set_stack)).
    pub stack: u32,
    /// The block's bytes must be zero.
    pub zeroed: bool,
}

/// State of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Allocated.
    Live,
    /// Freed, and its memory is kept from being used again.
    Quarantined,
    /// Freed, and its memory may be used again at any time; what is known of it is about the last block there.
    Free,
}

/// Where an address lies relative to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// This many bytes (at least 1) before the block's first byte.
    Before(u64),
    /// At this offset in the block.
    Inside(u64),
    /// This many bytes behind the block's last byte; 0 is the byte next to it.
    After(u64),
}

/// A block near an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First byte.
    pub address: u64,
    /// Requested bytes.
    pub size: u64,
    /// Whether it is still allocated.
    pub state: State,
    /// Who allocated it.
    pub family: Family,
    /// Requested alignment; 1 = none was asked for.
    pub align: u64,
    /// Id of the allocating stack.
    pub stack: u32,
    /// Id of the freeing stack; 0 while live, and while another thread is in the middle of freeing it.
    pub free_stack: u32,
    /// Where the address asked for lies.
    pub relation: Relation,
}

/// A block that has just been freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// Requested bytes.
    pub size: u64,
    /// Requested alignment; 1 = none was asked for.
    pub align: u64,
    /// Who allocated it.
    pub family: Family,
    /// Id of the allocating stack.
    pub stack: u32,
}

/// Outcome of [`Heap::free`](crate::Heap::free).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeOutcome {
    /// Freed.
    Freed(Freed),
    /// Freed, but by another family than the one that allocated it: to be reported.
    Mismatched(Freed),
    /// Nothing happened: not the start of a live block.
    Invalid(InvalidFree),
}

/// Why a free was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidFree {
    /// The address is not in the heap, or nothing was ever allocated around it.
    Unknown,
    /// The address is inside or near this block but is not its start.
    NotStart(Block),
    /// The block was freed before; the free was not the first.
    AlreadyFreed(Block),
}

/// The family with this number; numbers come from [`Family`] values only.
pub(crate) fn family_from(number: u32) -> Family {
    const ALL: [Family; 5] = [Family::Malloc, Family::New, Family::NewArray, Family::Client, Family::Pool];
    ALL.get(number as usize).copied().unwrap_or(Family::Malloc)
}

//! The tree of interned stacks: a node is a frame under its caller, a stack is the id of its innermost node.
//!
//! Invariants: a node never changes once it is reachable; two reachable nodes never have the same key
//! `(parent, module, address)`; a parent's id is given before its children's. Ids are handed out in rising
//! order from 1, nearly without gaps: a thread that loses a race for a node keeps the id for a later one
//! ([`StackTree::intern`]'s `spare`). A gap stays when the thread ends or its process forks before that, or
//! when it loses again while the spare id is older than the parent at hand. Readers must expect gaps.
//!
//! The shape: each node heads a ternary trie of its children, ordered by the digits of a hash of their key,
//! whose nodes are the children themselves. A node mostly has few children, so a look-up is one or two steps,
//! memory is dense, nothing is ever rehashed, and an insertion is one compare-and-swap of an empty link.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Words of the memory given to [`StackTree::new`] that one node takes.
pub const WORDS_PER_NODE: usize = 4;

// Words of a node: `parent | module << 32`, `address`, `children | link 0 << 32`, `link 1 | link 2 << 32`.
const OWNER: usize = 0;
const ADDRESS: usize = 1;
const LINKS: usize = 2;

/// A node that was not in the tree before; the words of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewNode {
    /// Its id.
    pub id: u32,
    /// Id of its caller's node, 0 for an outermost frame.
    pub parent: u32,
    /// Module id, 0 for none.
    pub module: u32,
    /// See [`Frame::node_address`](crate::Frame::node_address).
    pub address: u64,
}

/// What [`StackTree::intern`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interned {
    /// The node's id.
    pub id: u32,
    /// It was inserted by this call.
    pub is_new: bool,
}

/// The tree. Shared by the threads of a process; a forked child goes on with its copy.
#[derive(Debug)]
pub struct StackTree<'m> {
    words: &'m [AtomicU64],
    next: AtomicU32,
}

impl<'m> StackTree<'m> {
    /// An empty tree in `words`, which must be all zero: [`WORDS_PER_NODE`] for each node and for the root.
    /// Reserved but untouched memory is fine: it is used from the start, densely.
    pub fn new(words: &'m [AtomicU64]) -> StackTree<'m> {
        StackTree { words, next: AtomicU32::new(1) }
    }

    /// The tree that another one left in `words`, with the ids up to `len` ([`StackTree::len`]) given: for
    /// memory that outlives the structure.
    pub fn resume(words: &'m [AtomicU64], len: u32) -> StackTree<'m> {
        StackTree { words, next: AtomicU32::new(len.saturating_add(1)) }
    }

    /// How many nodes fit.
    pub fn capacity(&self) -> u32 {
        let nodes = (self.words.len() / WORDS_PER_NODE).saturating_sub(1);
        u32::try_from(nodes).unwrap_or(u32::MAX - 1)
    }

    /// The number of ids handed out.
    pub fn len(&self) -> u32 {
        (self.next.load(Ordering::Relaxed) - 1).min(self.capacity())
    }

    /// True when no stack was interned yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The node `(parent, module, address)`, which is inserted when it is new. `parent` is an id that this
    /// tree gave, or 0. `spare` belongs to the calling thread, starts as 0, and keeps an id that lost a race.
    /// `None` when the tree is full or `parent` is out of range.
    #[inline]
    pub fn intern(&self, parent: u32, module: u32, address: u64, spare: &mut u32) -> Option<Interned> {
        let mut digits = None;
        // The children's trie hangs at half 0 of the parent; the links of a sibling are halves 1 to 3.
        let (mut at, mut half) = (parent, 0);
        let mut prepared = 0;
        loop {
            let link = self.words.get(at as usize * WORDS_PER_NODE + LINKS + half / 2)?;
            let shift = (half as u32 & 1) * 32;
            let mut seen = link.load(Ordering::Acquire);
            while (seen >> shift) as u32 == 0 {
                if prepared == 0 {
                    prepared = self.prepare(parent, module, address, *spare)?;
                }
                let with = seen | u64::from(prepared) << shift;
                // Release publishes the words of the new node; the other half may change under us.
                match link.compare_exchange(seen, with, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        if *spare == prepared {
                            *spare = 0;
                        }
                        return Some(Interned { id: prepared, is_new: true });
                    }
                    Err(now) => seen = now,
                }
            }
            at = (seen >> shift) as u32;
            let node = self.node_words(at)?;
            if node[ADDRESS].load(Ordering::Relaxed) == address
                && (node[OWNER].load(Ordering::Relaxed) >> 32) as u32 == module
            {
                if prepared != 0 {
                    *spare = prepared;
                }
                return Some(Interned { id: at, is_new: false });
            }
            let scaled = u64::from(digits.unwrap_or_else(|| hash(module, address))) * 3;
            half = 1 + (scaled >> 32) as usize;
            digits = Some(scaled as u32);
        }
    }

    /// Parent, module and address of a node; `None` for an id that was never given.
    pub fn node(&self, id: u32) -> Option<NewNode> {
        if id == 0 || id >= self.next.load(Ordering::Acquire) {
            return None;
        }
        let node = self.node_words(id)?;
        let owner = node[OWNER].load(Ordering::Acquire);
        let address = node[ADDRESS].load(Ordering::Acquire);
        Some(NewNode { id, parent: owner as u32, module: (owner >> 32) as u32, address })
    }

    /// Takes an id (the thread's spare one when it can) and writes its key.
    #[cold]
    fn prepare(&self, parent: u32, module: u32, address: u64, spare: u32) -> Option<u32> {
        // A spare id older than the parent would break "parents first"; it waits for a later node.
        let id = if spare > parent {
            spare
        } else {
            let capacity = self.capacity();
            let take = |next: u32| (next <= capacity).then_some(next + 1);
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?
        };
        let node = self.node_words(id)?;
        node[OWNER].store(u64::from(parent) | u64::from(module) << 32, Ordering::Relaxed);
        node[ADDRESS].store(address, Ordering::Relaxed);
        Some(id)
    }

    #[inline]
    fn node_words(&self, id: u32) -> Option<&'m [AtomicU64; WORDS_PER_NODE]> {
        let first = id as usize * WORDS_PER_NODE;
        self.words.get(first..first + WORDS_PER_NODE)?.try_into().ok()
    }
}

/// 32 well mixed bits of a key.
fn hash(module: u32, address: u64) -> u32 {
    let mixed = (address ^ u64::from(module).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}

//! The heap as a graph: blocks by rising address, root words that point into them, words in blocks that point into
//! them.
//!
//! What always holds in a [`HeapGraph`]: every index names a block; edges are grouped by their source and within it
//! in the order of their words (compressed sparse rows, 32-bit indices: 10 million blocks with 20 million edges
//! take 360 MB). [`Builder`] checks all that, since what it is given comes from a file.
//!
//! Not here: what is reachable (`classify`), and reading a trace (`load`).

/// "No block".
pub const NONE: u32 = u32::MAX;

/// What an edge says about the pointer, from the trace; see `ring::record::edge`.
pub mod edge {
    /// Points to the start of the block.
    pub const START: u8 = 1;
    /// Interior pointer that the "stdstring" heuristic accepts.
    pub const STDSTRING: u8 = 2;
    /// Interior pointer that the "length64" heuristic accepts.
    pub const LENGTH64: u8 = 4;
    /// Interior pointer that the "newarray" heuristic accepts.
    pub const NEWARRAY: u8 = 8;
    /// Interior pointer that the "multipleinheritance" heuristic accepts.
    pub const MULTIPLE_INHERITANCE: u8 = 16;
}

/// Where a root word lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A general register; its number in encoding order (rax, rcx, rdx, rbx, rsp ...).
    Register(u8),
    /// A thread's stack.
    Stack,
    /// A module's data.
    Data,
    /// Another mapping.
    Mapping,
    /// Static thread-local storage.
    Tls,
    /// A kind of memory that this build does not know.
    Other,
}

/// A root word that points at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Address of the word; nothing for a register.
    pub address: u64,
    /// What it lies in.
    pub place: Place,
    /// Thread whose register, stack or storage it is; 0 when that is not known.
    pub thread: u32,
    /// The block.
    pub block: u32,
    /// See [`edge`].
    pub flags: u8,
    /// Bytes from the start of the block to where it points.
    pub interior: u32,
}

/// A word in a block that points at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The block that holds the word.
    pub from: u32,
    /// The block that it points at.
    pub to: u32,
    /// See [`edge`].
    pub flags: u8,
    /// Bytes from the start of `from` to the word; 0 when the graph was built without offsets.
    pub offset: u64,
}

/// The graph. Built by [`Builder`].
#[derive(Debug, Default)]
pub struct HeapGraph {
    addresses: Vec<u64>,
    sizes: Vec<u64>,
    stacks: Vec<u32>,
    roots: Vec<Root>,
    /// The edges of block `b` are `first[b]..first[b + 1]` of the arrays below.
    first: Vec<u32>,
    targets: Vec<u32>,
    flags: Vec<u8>,
    /// Empty unless offsets were asked for.
    offsets: Vec<u64>,
}

impl HeapGraph {
    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Address of a block's first byte.
    pub fn address(&self, block: u32) -> u64 {
        self.addresses[block as usize]
    }

    /// Size in bytes as the program asked for it.
    pub fn size(&self, block: u32) -> u64 {
        self.sizes[block as usize]
    }

    /// Id of the stack that allocated the block.
    pub fn stack(&self, block: u32) -> u32 {
        self.stacks[block as usize]
    }

    /// All blocks' stack ids, by block.
    pub fn stacks(&self) -> &[u32] {
        &self.stacks
    }

    /// The root words.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Number of edges between blocks.
    pub fn edge_count(&self) -> usize {
        self.targets.len()
    }

    /// Targets and flags of the edges of one block, in the order of its words.
    pub fn edges(&self, block: u32) -> impl ExactSizeIterator<Item = (u32, u8)> + '_ {
        let range = self.edge_range(block);
        self.targets[range.clone()].iter().copied().zip(self.flags[range].iter().copied())
    }

    /// Indices of the edges of one block.
    pub fn edge_range(&self, block: u32) -> std::ops::Range<usize> {
        let block = block as usize;
        self.first[block] as usize..self.first[block + 1] as usize
    }

    /// The block that edge `index` points at.
    pub fn target(&self, index: usize) -> u32 {
        self.targets[index]
    }

    /// Edge `index` of `from`.
    pub fn edge(&self, from: u32, index: usize) -> Edge {
        Edge {
            from,
            to: self.targets[index],
            flags: self.flags[index],
            offset: self.offsets.get(index).copied().unwrap_or(0),
        }
    }

    /// The block that contains an address; a block of size 0 contains its first byte.
    pub fn find(&self, address: u64) -> Option<u32> {
        let after = self.addresses.partition_point(|start| *start <= address);
        let block = after.checked_sub(1)?;
        (address - self.addresses[block] < self.sizes[block].max(1)).then_some(block as u32)
    }

    /// The block whose start is nearest to an address.
    pub fn nearest(&self, address: u64) -> Option<u32> {
        let after = self.addresses.partition_point(|start| *start <= address);
        let candidates = [after.checked_sub(1), (after < self.len()).then_some(after)];
        candidates
            .into_iter()
            .flatten()
            .min_by_key(|block| self.addresses[*block].abs_diff(address))
            .map(|block| block as u32)
    }
}

/// What a trace can get wrong about a graph. Each message is one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphError {
    /// Blocks are not in rising order of addresses.
    Order(u32),
    /// A root or an edge names a block that does not exist.
    NoSuchBlock(u64),
    /// More blocks or edges than 32-bit indices can name.
    TooMany,
}

impl std::fmt::Display for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GraphError::Order(block) => write!(f, "the heap's blocks are not in order (block {block})"),
            GraphError::NoSuchBlock(index) => {
                write!(f, "the heap graph names block {index}, which does not exist")
            }
            GraphError::TooMany => write!(f, "the heap graph has more than {NONE} blocks or edges"),
        }
    }
}

/// Builds a [`HeapGraph`]: all blocks first, then roots and edges in any order.
#[derive(Debug, Default)]
pub struct Builder {
    graph: HeapGraph,
    sources: Vec<u32>,
    keep_offsets: bool,
    sorted: bool,
}

impl Builder {
    /// An empty graph. Offsets of words cost 8 bytes an edge: `keep_offsets` only when they will be shown.
    pub fn new(keep_offsets: bool) -> Builder {
        Builder { keep_offsets, sorted: true, ..Builder::default() }
    }

    /// Makes room.
    pub fn reserve(&mut self, blocks: usize, edges: usize) {
        self.graph.addresses.reserve_exact(blocks);
        self.graph.sizes.reserve_exact(blocks);
        self.graph.stacks.reserve_exact(blocks);
        self.sources.reserve_exact(edges);
        self.graph.targets.reserve_exact(edges);
        self.graph.flags.reserve_exact(edges);
        if self.keep_offsets {
            self.graph.offsets.reserve_exact(edges);
        }
    }

    /// Adds the next block.
    ///
    /// # Errors
    /// When its address is below that of the block before it.
    pub fn block(&mut self, address: u64, size: u64, stack: u32) -> Result<(), GraphError> {
        let index = u32::try_from(self.graph.len()).ok().filter(|index| *index < NONE);
        let index = index.ok_or(GraphError::TooMany)?;
        if self.graph.addresses.last().is_some_and(|last| *last > address) {
            return Err(GraphError::Order(index));
        }
        self.graph.addresses.push(address);
        self.graph.sizes.push(size);
        self.graph.stacks.push(stack);
        Ok(())
    }

    /// Adds a root word.
    ///
    /// # Errors
    /// When its block does not exist.
    pub fn root(&mut self, root: Root) -> Result<(), GraphError> {
        self.check(root.block)?;
        self.graph.roots.push(root);
        Ok(())
    }

    /// Adds a word of a block. The words of one source come in rising order.
    ///
    /// # Errors
    /// When a block does not exist.
    pub fn edge(&mut self, edge: Edge) -> Result<(), GraphError> {
        self.check(edge.from)?;
        self.check(edge.to)?;
        if self.graph.targets.len() >= NONE as usize {
            return Err(GraphError::TooMany);
        }
        self.sorted &= self.sources.last().is_none_or(|last| *last <= edge.from);
        self.sources.push(edge.from);
        self.graph.targets.push(edge.to);
        self.graph.flags.push(edge.flags);
        if self.keep_offsets {
            self.graph.offsets.push(edge.offset);
        }
        Ok(())
    }

    fn check(&self, block: u32) -> Result<(), GraphError> {
        if (block as usize) < self.graph.len() { Ok(()) } else { Err(GraphError::NoSuchBlock(block.into())) }
    }

    /// The finished graph.
    pub fn finish(mut self) -> HeapGraph {
        let blocks = self.graph.len();
        let mut first = vec![0u32; blocks + 1];
        for source in &self.sources {
            first[*source as usize + 1] += 1;
        }
        for block in 0..blocks {
            first[block + 1] += first[block];
        }
        if !self.sorted {
            // A stable counting sort keeps the words of one source in their order.
            let mut next = first.clone();
            let mut places = std::mem::take(&mut self.sources);
            for place in &mut places {
                let at = &mut next[*place as usize];
                *place = *at;
                *at += 1;
            }
            self.graph.targets = permuted(&self.graph.targets, &places);
            self.graph.flags = permuted(&self.graph.flags, &places);
            self.graph.offsets = permuted(&self.graph.offsets, &places);
        }
        self.graph.first = first;
        self.graph
    }
}

/// `values` with each element moved to its place; an empty array stays empty.
fn permuted<T: Copy + Default>(values: &[T], places: &[u32]) -> Vec<T> {
    let mut out = vec![T::default(); values.len()];
    for (value, place) in values.iter().zip(places) {
        out[*place as usize] = *value;
    }
    out
}

#[cfg(test)]
pub(crate) mod notation;

#[cfg(test)]
mod tests;

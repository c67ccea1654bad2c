//! Valgrind's rules for what is lost: which blocks the roots reach by which kind of pointer, and which lost block
//! keeps which others.
//!
//! The rules are those of memcheck's leak search, with its order of visits, since that order decides which block of a
//! lost structure is its leader: blocks by rising address, a stack of pending blocks, words by rising address.
//! Every block ends in exactly one [`State`]; a leader's indirect bytes are the sizes of all blocks below it.
//!
//! Not here: grouping by stack (`records`); cycles (`cycles`).

use crate::graph::{HeapGraph, NONE, edge};
use report::names::{Set, Table};

/// `--leak-check-heuristics`.
pub const HEURISTICS: Table =
    Table { what: "heuristic", names: &["stdstring", "length64", "newarray", "multipleinheritance"] };

/// What became of a block. The order is that of Valgrind's loss records of equal size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// A chain of start pointers leads to it from a root.
    Reachable = 0,
    /// Reachable only over an interior pointer.
    Possible = 1,
    /// Lost, and so is every block that points at it.
    Indirect = 2,
    /// Lost, and the leader of what it points at.
    Definite = 3,
}

impl State {
    fn of(mark: u8) -> State {
        match mark & 3 {
            0 => State::Reachable,
            1 => State::Possible,
            2 => State::Indirect,
            _ => State::Definite,
        }
    }
}

/// The outcome for every block of a graph.
#[derive(Debug)]
pub struct Classes {
    /// The [`State`] in bits 0 and 1; above them the index into [`HEURISTICS`] plus 1 when only a heuristic made the
    /// block reachable. One byte, since on a large heap every array that is touched costs a cache miss for each edge.
    marks: Vec<u8>,
    /// For an indirect block the lost block whose word led to it.
    parents: Vec<u32>,
    /// For a leader the bytes of all indirect blocks below it.
    indirect: Vec<u64>,
}

impl Classes {
    /// What became of a block.
    pub fn state(&self, block: u32) -> State {
        State::of(self.marks[block as usize])
    }

    /// All blocks' states, by block.
    pub fn states(&self) -> impl Iterator<Item = State> + '_ {
        self.marks.iter().map(|mark| State::of(*mark))
    }

    /// Index into [`HEURISTICS`] when the block is reachable thanks to a heuristic only.
    pub fn heuristic(&self, block: u32) -> Option<usize> {
        (usize::from(self.marks[block as usize]) >> 2).checked_sub(1)
    }

    /// The lost block whose word led to an indirect one.
    pub fn parent(&self, block: u32) -> Option<u32> {
        Some(self.parents[block as usize]).filter(|parent| *parent != NONE)
    }

    /// Bytes of the indirect blocks below a leader.
    pub fn indirect_bytes(&self, leader: u32) -> u64 {
        self.indirect[leader as usize]
    }

    /// Whether the block was found by no root.
    pub fn is_lost(&self, block: u32) -> bool {
        matches!(self.state(block), State::Definite | State::Indirect)
    }

    /// The leader that an indirect block belongs to; a leader is its own.
    pub fn leader(&self, mut block: u32) -> u32 {
        while let Some(parent) = self.parent(block) {
            block = parent;
        }
        block
    }
}

/// The edge flags that let an interior pointer count as a start pointer under `heuristics`, and `START` itself.
pub fn start_mask(heuristics: Set) -> u8 {
    let bits = [edge::STDSTRING, edge::LENGTH64, edge::NEWARRAY, edge::MULTIPLE_INHERITANCE];
    let accepted = bits.iter().enumerate().filter(|(i, _)| heuristics.has(*i));
    accepted.fold(edge::START, |mask, (_, bit)| mask | bit)
}

/// Classifies every block.
pub fn classify(graph: &HeapGraph, heuristics: Set) -> Classes {
    let mut search = Search {
        graph,
        starts: start_mask(heuristics),
        // Until the search ends, Definite stands for "no root found it yet".
        classes: Classes {
            marks: vec![State::Definite as u8; graph.len()],
            parents: vec![NONE; graph.len()],
            indirect: vec![0; graph.len()],
        },
        pending: Vec::new(),
    };
    search.among_reachable();
    search.among_lost();
    search.classes
}

struct Search<'g> {
    graph: &'g HeapGraph,
    starts: u8,
    classes: Classes,
    pending: Vec<u32>,
}

impl Search<'_> {
    /// Wave by wave, where memcheck takes the latest first: the outcome is the same, and the visits of one wave do
    /// not wait for each other's memory.
    fn among_reachable(&mut self) {
        for root in self.graph.roots() {
            self.reach(root.block, root.flags, true);
        }
        let mut wave = Vec::new();
        while !self.pending.is_empty() {
            std::mem::swap(&mut wave, &mut self.pending);
            for block in wave.drain(..) {
                let sure = self.classes.state(block) != State::Possible;
                for (target, flags) in self.graph.edges(block) {
                    self.reach(target, flags, sure);
                }
            }
        }
    }

    /// A pointer to `block` from a word that is itself reachable for `sure` or possibly. A block that rises from
    /// possible to reachable is visited again, as what it points at may rise too.
    fn reach(&mut self, block: u32, flags: u8, sure: bool) {
        let mark = &mut self.classes.marks[block as usize];
        let start = flags & edge::START != 0;
        match State::of(*mark) {
            // A start pointer makes the heuristic unnecessary.
            State::Reachable if sure && start => return *mark = State::Reachable as u8,
            State::Reachable => return,
            // Bit 1 of the flags is the first heuristic.
            _ if sure && flags & self.starts != 0 => {
                let heuristic = if start { 0 } else { (flags & self.starts).trailing_zeros() as u8 };
                *mark = State::Reachable as u8 | heuristic << 2;
            }
            State::Definite => *mark = State::Possible as u8,
            State::Possible | State::Indirect => return,
        }
        self.pending.push(block);
    }

    /// Each lost block in turn becomes a leader and takes whatever lost block it leads to by any pointer, earlier
    /// leaders with all they have among them.
    fn among_lost(&mut self) {
        for leader in 0..self.graph.len() as u32 {
            if self.classes.state(leader) != State::Definite {
                continue;
            }
            self.pending.push(leader);
            while let Some(block) = self.pending.pop() {
                for (target, _) in self.graph.edges(block) {
                    let at = target as usize;
                    if target == leader || self.classes.state(target) != State::Definite {
                        continue;
                    }
                    self.classes.marks[at] = State::Indirect as u8;
                    self.classes.parents[at] = block;
                    let taken = self.graph.size(target).saturating_add(self.classes.indirect[at]);
                    self.classes.indirect[at] = 0;
                    let total = &mut self.classes.indirect[leader as usize];
                    *total = total.saturating_add(taken);
                    self.pending.push(target);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Cycles among lost blocks: the strongly connected components of the lost part of the graph (Tarjan's algorithm,
//! without recursion, since a lost list may be millions of blocks long).
//!
//! A component counts as a cycle when it has two blocks, or one that points to itself. Components come in the order
//! of their lowest block. Not here: wording.

use crate::classify::Classes;
use crate::graph::{HeapGraph, NONE};

/// The cycles among lost blocks.
#[derive(Debug, Default)]
pub struct Cycles {
    /// Blocks of all cycles, each cycle's in rising order.
    members: Vec<u32>,
    /// Ends of the cycles in `members`.
    ends: Vec<u32>,
    /// The cycle of each block that is in one, sorted by block.
    of: Vec<(u32, u32)>,
}

impl Cycles {
    /// Number of cycles.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The blocks of a cycle in rising order.
    pub fn blocks(&self, cycle: usize) -> &[u32] {
        let start = if cycle == 0 { 0 } else { self.ends[cycle - 1] as usize };
        &self.members[start..self.ends[cycle] as usize]
    }

    /// The cycle that a block belongs to.
    pub fn of(&self, block: u32) -> Option<usize> {
        let at = self.of.binary_search_by_key(&block, |(block, _)| *block).ok()?;
        Some(self.of[at].1 as usize)
    }

    /// Blocks along one shortest way around a cycle, from its lowest block; it points at the first again.
    pub fn round(&self, cycle: usize, graph: &HeapGraph) -> Vec<u32> {
        let blocks = self.blocks(cycle);
        let start = blocks[0];
        let place = |block: u32| blocks.binary_search(&block).ok();
        let mut before = vec![NONE; blocks.len()];
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(block) = queue.pop_front() {
            for (target, _) in graph.edges(block) {
                if target == start {
                    let mut round = vec![block];
                    let mut at = block;
                    while at != start {
                        at = place(at).map_or(start, |i| before[i]);
                        round.push(at);
                    }
                    round.reverse();
                    return round;
                }
                if let Some(i) = place(target).filter(|i| before[*i] == NONE) {
                    before[i] = block;
                    queue.push_back(target);
                }
            }
        }
        blocks.to_vec()
    }
}

/// Finds the cycles among the lost blocks.
pub fn find(graph: &HeapGraph, classes: &Classes) -> Cycles {
    const NEW: u32 = 0;
    const DONE: u32 = u32::MAX;
    // Numbers of visits from 1; the lowest number that a block leads back to; DONE when its component is complete.
    let mut low = vec![NEW; graph.len()];
    let mut count = 0;
    let mut open: Vec<u32> = Vec::new();
    let mut path: Vec<(u32, u32, u32)> = Vec::new(); // block, its number, its next edge
    let mut cycles = Cycles::default();
    for start in 0..graph.len() as u32 {
        if low[start as usize] != NEW || !classes.is_lost(start) {
            continue;
        }
        let mut enter = Some(start);
        loop {
            if let Some(block) = enter.take() {
                count += 1;
                low[block as usize] = count;
                open.push(block);
                path.push((block, count, graph.edge_range(block).start as u32));
            }
            let Some((block, number, next)) = path.last_mut() else { break };
            if (*next as usize) < graph.edge_range(*block).end {
                let target = graph.target(*next as usize);
                *next += 1;
                match low[target as usize] {
                    NEW if classes.is_lost(target) => enter = Some(target),
                    NEW | DONE => {}
                    lower => low[*block as usize] = low[*block as usize].min(lower),
                }
                continue;
            }
            let (block, number) = (*block, *number);
            path.pop();
            let lowest = low[block as usize];
            if lowest == number {
                let from = open.iter().rposition(|b| *b == block).unwrap_or(0);
                for member in &open[from..] {
                    low[*member as usize] = DONE;
                }
                if open.len() - from > 1 || graph.edges(block).any(|(target, _)| target == block) {
                    open[from..].sort_unstable();
                    cycles.members.extend_from_slice(&open[from..]);
                    cycles.ends.push(cycles.members.len() as u32);
                }
                open.truncate(from);
            }
            if let Some((parent, ..)) = path.last() {
                let parent = *parent as usize;
                if lowest != number {
                    low[parent] = low[parent].min(lowest);
                }
            }
        }
    }
    cycles.in_order()
}

impl Cycles {
    /// The same cycles in the order of their lowest blocks, with the index from blocks to cycles.
    fn in_order(self) -> Cycles {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by_key(|cycle| self.blocks(*cycle)[0]);
        let mut sorted = Cycles::default();
        sorted.members.reserve_exact(self.members.len());
        sorted.of.reserve_exact(self.members.len());
        for (i, cycle) in order.into_iter().enumerate() {
            let blocks = self.blocks(cycle);
            sorted.members.extend_from_slice(blocks);
            sorted.ends.push(sorted.members.len() as u32);
            sorted.of.extend(blocks.iter().map(|block| (*block, i as u32)));
        }
        sorted.of.sort_unstable();
        sorted
    }
}

#[cfg(test)]
mod tests;

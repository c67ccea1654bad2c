//! Who points at a block, and how a root leads to it.
//!
//! Both are answered from the edges alone; words come in the order of the trace. Not here: wording.

use crate::graph::{Edge, HeapGraph, NONE, Root};
use std::collections::VecDeque;

/// The words that point at a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pointers {
    /// Root words.
    pub roots: Vec<Root>,
    /// Words in blocks.
    pub edges: Vec<Edge>,
}

/// All words that point at `block`.
pub fn pointing_at(graph: &HeapGraph, block: u32) -> Pointers {
    let roots = graph.roots().iter().copied().filter(|root| root.block == block).collect();
    let mut edges = Vec::new();
    for from in 0..graph.len() as u32 {
        let found = graph.edge_range(from).filter(|index| graph.target(*index) == block);
        edges.extend(found.map(|index| graph.edge(from, index)));
    }
    Pointers { roots, edges }
}

/// A chain of words from a root to a block.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    /// The root word.
    pub root: Root,
    /// The words behind it, in order; empty when the root points at the block itself.
    pub edges: Vec<Edge>,
}

/// A shortest path to `block` from a root over pointers whose flags have a bit of `starts`, or when there is none
/// over any pointers. `None` for a lost block.
pub fn path_to(graph: &HeapGraph, block: u32, starts: u8) -> Option<Path> {
    search(graph, block, starts).or_else(|| search(graph, block, 0))
}

fn search(graph: &HeapGraph, block: u32, starts: u8) -> Option<Path> {
    let allowed = |flags: u8| starts == 0 || flags & starts != 0;
    // The edge that led to each block and the block it came from; for a block that a root led to the root's index.
    let mut before = vec![(NONE, NONE); graph.len()];
    let mut queue = VecDeque::new();
    for (index, root) in graph.roots().iter().enumerate() {
        let seen = &mut before[root.block as usize];
        if allowed(root.flags) && seen.1 == NONE {
            *seen = (NONE, u32::try_from(index).ok()?);
            queue.push_back(root.block);
        }
    }
    while let Some(from) = queue.pop_front() {
        if from == block {
            break;
        }
        for index in graph.edge_range(from) {
            let edge = graph.edge(from, index);
            let seen = &mut before[edge.to as usize];
            if allowed(edge.flags) && seen.1 == NONE {
                *seen = (from, index as u32);
                queue.push_back(edge.to);
            }
        }
    }
    let mut edges = Vec::new();
    let mut at = block;
    loop {
        match before[at as usize] {
            (_, NONE) => return None,
            (NONE, root) => {
                edges.reverse();
                return Some(Path { root: graph.roots()[root as usize], edges });
            }
            (from, index) => {
                edges.push(graph.edge(from, index as usize));
                at = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{HEURISTICS, start_mask};
    use crate::graph::notation::graph;

    #[test]
    fn all_words_that_point_at_a_block_are_found() {
        let graph = graph(&[16; 4], "R>A R~C A>B A~C D>C C>C");
        let found = pointing_at(&graph, 2);
        assert_eq!(found.roots.len(), 1);
        let edges: Vec<_> = found.edges.iter().map(|e| (e.from, e.offset, e.flags)).collect();
        assert_eq!(edges, [(0, 8, 0), (2, 0, 1), (3, 0, 1)]);
        assert_eq!(pointing_at(&graph, 3), Pointers::default());
    }

    fn path(pointers: &str, to: u32) -> Option<Vec<u32>> {
        let graph = graph(&[16; 6], pointers);
        let path = path_to(&graph, to, start_mask(HEURISTICS.all()))?;
        Some(std::iter::once(path.root.block).chain(path.edges.iter().map(|e| e.to)).collect())
    }

    #[test]
    fn the_path_is_short_and_prefers_start_pointers() {
        assert_eq!(path("R>A", 0), Some(vec![0]));
        assert_eq!(path("R>A A>B B>C A>C", 2), Some(vec![0, 2]));
        assert_eq!(path("R>A A~C A>B B>C", 2), Some(vec![0, 1, 2]), "start pointers before a shorter way");
        assert_eq!(path("R>A A~C:newarray A>B B>C", 2), Some(vec![0, 2]), "accepted by a heuristic");
        assert_eq!(path("R~A A>B", 1), Some(vec![0, 1]), "interior when there is nothing better");
        assert_eq!(path("R>A B>C C>B", 2), None);
    }
}

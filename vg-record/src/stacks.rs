//! The stack tree of the whole recording: frames and nodes interned, and appended to the trace in order.
//!
//! Always holds: ids rise from 1 without gaps, a node's parent has a smaller id, equal stacks have equal ids
//! whichever process saw them. Not here: which node of a process is which node of the recording (`images`).

use schema::{Frame, StackNode};
use std::collections::HashMap;

/// Frames and nodes in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    frames: Vec<Frame>,
    frame_ids: HashMap<Frame, u32>,
    nodes: Vec<StackNode>,
    node_ids: HashMap<StackNode, u32>,
    written_frames: usize,
    written_nodes: usize,
}

impl Stacks {
    /// The id of the node `frame` called from `parent` (0: outermost).
    pub(crate) fn node(&mut self, parent: u32, frame: Frame) -> u32 {
        let frame = intern(&mut self.frames, &mut self.frame_ids, frame);
        intern(&mut self.nodes, &mut self.node_ids, StackNode { parent, frame })
    }

    /// Every frame so far; the n-th has id n + 1.
    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Every node so far; the n-th has id n + 1.
    pub(crate) fn nodes(&self) -> &[StackNode] {
        &self.nodes
    }

    /// Frames and nodes that were added since the last call, each with the id of the first.
    pub(crate) fn take_new(&mut self) -> (New<'_, Frame>, New<'_, StackNode>) {
        let frames = std::mem::replace(&mut self.written_frames, self.frames.len());
        let nodes = std::mem::replace(&mut self.written_nodes, self.nodes.len());
        ((frames as u32 + 1, &self.frames[frames..]), (nodes as u32 + 1, &self.nodes[nodes..]))
    }

    /// Whether [`take_new`](Self::take_new) would give anything.
    pub(crate) fn has_new(&self) -> bool {
        self.written_nodes < self.nodes.len() || self.written_frames < self.frames.len()
    }
}

/// The id of the first new entry, and the new entries.
type New<'a, T> = (u32, &'a [T]);

fn intern<T: Copy + Eq + std::hash::Hash>(list: &mut Vec<T>, ids: &mut HashMap<T, u32>, item: T) -> u32 {
    *ids.entry(item).or_insert_with(|| {
        list.push(item);
        list.len() as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_stacks_are_one() {
        let mut stacks = Stacks::default();
        let frame = |rva| Frame { module: 1, rva, exact: false, guessed: false };
        let main = stacks.node(0, frame(1));
        let a = stacks.node(main, frame(2));
        assert_eq!((main, a), (1, 2));
        assert_eq!(stacks.node(main, frame(2)), a);
        assert_eq!(stacks.node(a, frame(2)), 3, "recursion is another node of the same frame");
        let ((first_frame, frames), (first_node, nodes)) = stacks.take_new();
        assert_eq!((first_frame, frames.len(), first_node, nodes.len()), (1, 2, 1, 3));
        assert!(!stacks.has_new());
        stacks.node(0, frame(3));
        let ((first_frame, frames), (first_node, nodes)) = stacks.take_new();
        assert_eq!(
            (first_frame, frames.len(), first_node, nodes),
            (3, 1, 4, &[StackNode { parent: 0, frame: 3 }][..])
        );
        let exact = Frame { exact: true, ..frame(3) };
        assert_ne!(stacks.node(0, exact), stacks.node(0, frame(3)));
    }
}

//! The stack tree of the whole recording: frames and nodes interned, and appended to the trace in order.
//!
//! Always holds: ids rise from 1 without gaps, a node's parent has a smaller id, equal stacks have equal ids
//! whichever process saw them. Not here: which node of a process is which node of the recording (`images`).

use crate::mix::BuildMix;
use schema::{Frame, StackNode};
use std::collections::HashMap;
use std::hash::Hash;

/// Frames and nodes in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    frames: Vec<Frame>,
    frame_ids: Ids<Frame>,
    recent: Recent,
    nodes: Vec<StackNode>,
    /// `None` while all nodes are of one process image, whose engine tells each once: looking up millions of nodes
    /// costs more than everything else that is done with them.
    node_ids: Option<Ids<StackNode>>,
    written_frames: usize,
    written_nodes: usize,
}

type Ids<T> = HashMap<T, u32, BuildMix>;

/// Frames that were met lately, with their ids, by a part of a hash. Most nodes have one of few frames: millions of nodes
/// have them at a quarter of what the table takes.
#[derive(Debug)]
struct Recent([(Frame, u32); Recent::PLACES]);

impl Recent {
    /// 6 KiB.
    const PLACES: usize = 256;

    fn place(frame: Frame) -> usize {
        let key = frame.rva ^ u64::from(frame.module) << 32;
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % Recent::PLACES
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent([(Frame::default(), 0); Recent::PLACES])
    }
}

impl Stacks {
    /// The id of the node `frame` called from `parent` (0: outermost). Before [`share`](Self::share) each call makes
    /// a node.
    pub(crate) fn node(&mut self, parent: u32, frame: Frame) -> u32 {
        let frame = match self.recent.0[Recent::place(frame)] {
            (known, id) if id != 0 && known == frame => id,
            _ => self.frame(frame),
        };
        let node = StackNode { parent, frame };
        match &mut self.node_ids {
            Some(ids) => intern(&mut self.nodes, ids, node),
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32
            }
        }
    }

    /// The id of a frame.
    #[cold]
    fn frame(&mut self, frame: Frame) -> u32 {
        let id = intern(&mut self.frames, &mut self.frame_ids, frame);
        self.recent.0[Recent::place(frame)] = (frame, id);
        id
    }

    /// A second process image begins: from here on equal nodes are found.
    pub(crate) fn share(&mut self) {
        let nodes = &self.nodes;
        self.node_ids.get_or_insert_with(|| {
            let mut ids = Ids::with_capacity_and_hasher(nodes.len(), BuildMix::default());
            for (node, id) in nodes.iter().zip(1..) {
                ids.entry(*node).or_insert(id);
            }
            ids
        });
    }

    /// The frame of a stack with this index, from 0 for the innermost.
    pub(crate) fn frame_of(&self, stack: u32, index: u32) -> Option<Frame> {
        let node = |id: u32| self.nodes.get((id as usize).checked_sub(1)?);
        let mut found = node(stack)?;
        for _ in 0..index {
            found = node(found.parent)?;
        }
        self.frames.get((found.frame as usize).checked_sub(1)?).copied()
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

fn intern<T: Copy + Eq + Hash>(list: &mut Vec<T>, ids: &mut Ids<T>, item: T) -> u32 {
    *ids.entry(item).or_insert_with(|| {
        list.push(item);
        list.len() as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_share_a_place_keep_their_ids() {
        let mut stacks = Stacks::default();
        let frame = |i: u64| Frame { module: (i % 3) as u32, rva: i / 3, exact: i & 1 != 0, guessed: false };
        let count = 4 * Recent::PLACES as u64;
        for _ in 0..2 {
            for i in 0..count {
                let node = stacks.node(0, frame(i)) as usize;
                let found = stacks.nodes()[node - 1].frame as usize;
                assert_eq!(stacks.frames()[found - 1], frame(i));
            }
        }
        assert_eq!(stacks.frames().len() as u64, count);
        let none = stacks.node(0, Frame::default()) as usize;
        assert_eq!(stacks.frames()[stacks.nodes()[none - 1].frame as usize - 1], Frame::default());
    }

    #[test]
    fn equal_stacks_are_one() {
        let mut stacks = Stacks::default();
        let frame = |rva| Frame { module: 1, rva, exact: false, guessed: false };
        let main = stacks.node(0, frame(1));
        let a = stacks.node(main, frame(2));
        assert_eq!((main, a), (1, 2));
        assert_eq!(stacks.frame_of(a, 0), Some(frame(2)));
        assert_eq!(stacks.frame_of(a, 1), Some(frame(1)));
        assert_eq!((stacks.frame_of(a, 2), stacks.frame_of(0, 0)), (None, None));
        // Also those from before.
        stacks.share();
        assert_eq!(stacks.node(0, frame(1)), main);
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

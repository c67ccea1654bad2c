//! The tree of a detailed snapshot: who allocated, who called them, with live bytes.
//!
//! Rules: a node is a code address below its caller's node; functions inlined there are nodes of their own. Children with
//! less than the threshold of the snapshot's total are added up to one entry that says of how many places. Children stand by
//! falling bytes, equal ones by rising address. Places that hold nothing any more are places, too.

use crate::callers::Callers;
use report::stack::Frame;
use std::cmp::Reverse;
use std::collections::HashMap;

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'t> {
    /// All allocators: the root.
    Allocators,
    /// A function.
    Function(Frame<'t>),
    /// So many places below the threshold.
    Places(usize),
}

/// An entry of a tree, behind its parent and before its parent's next child.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'t> {
    /// The root has 0.
    pub depth: usize,
    /// Live bytes.
    pub bytes: u64,
    /// Entries directly below it.
    pub children: usize,
    /// What it is.
    pub what: What<'t>,
}

#[derive(Default)]
struct Node<'t> {
    frame: Frame<'t>,
    bytes: u64,
    children: Vec<usize>,
}

/// The tree of live bytes by stack. What has less than `threshold` percent of `total` is added up.
pub fn tree<'t>(
    detail: &[(u32, u64)],
    callers: &mut Callers<'t>,
    total: u64,
    threshold: f64,
) -> Vec<Entry<'t>> {
    let nodes = nodes(detail, callers);
    let least = match total {
        0 => 1,
        _ => (total as f64 * threshold / 100.0) as u64,
    };
    let mut entries = Vec::new();
    // What is still to be told, the next one last.
    let mut open =
        vec![(0, Some(0), Entry { depth: 0, bytes: nodes[0].bytes, children: 0, what: What::Allocators })];
    while let Some((depth, node, mut entry)) = open.pop() {
        let mut below = node.map_or_else(Vec::new, |node: usize| children(&nodes, node, least, depth + 1));
        entry.children = below.len();
        entries.push(entry);
        below.reverse();
        open.extend(below.into_iter().map(|(node, entry)| (depth + 1, node, entry)));
    }
    entries
}

/// The entries below a node, each with its node; that of several places has none.
fn children<'t>(
    nodes: &[Node<'t>],
    node: usize,
    least: u64,
    depth: usize,
) -> Vec<(Option<usize>, Entry<'t>)> {
    let mut below = Vec::new();
    let (mut places, mut rest) = (0, 0u64);
    for &child in &nodes[node].children {
        let Node { frame, bytes, .. } = nodes[child];
        if bytes >= least {
            let what = What::Function(frame);
            below.push((Some(child), Entry { depth, bytes, children: 0, what }));
        } else {
            places += 1;
            rest = rest.saturating_add(bytes);
        }
    }
    if places > 0 {
        below.push((None, Entry { depth, bytes: rest, children: 0, what: What::Places(places) }));
    }
    let address = |what| match what {
        What::Function(frame) => frame.address,
        What::Allocators | What::Places(_) => u64::MAX,
    };
    below.sort_by_key(|(_, entry)| (Reverse(entry.bytes), address(entry.what)));
    below
}

/// All nodes; the first one is the root.
fn nodes<'t>(detail: &[(u32, u64)], callers: &mut Callers<'t>) -> Vec<Node<'t>> {
    let mut nodes = vec![Node::default()];
    let mut index: HashMap<(usize, u64), usize> = HashMap::new();
    for &(stack, bytes) in detail {
        let mut at = 0;
        nodes[0].bytes = nodes[0].bytes.saturating_add(bytes);
        for frame in callers.of(stack).iter() {
            // Functions that were inlined at an address lie below each other, so below a node an address is one node.
            let next = *index.entry((at, frame.address)).or_insert_with(|| {
                nodes.push(Node { frame: *frame, ..Node::default() });
                let new = nodes.len() - 1;
                nodes[at].children.push(new);
                new
            });
            nodes[next].bytes = nodes[next].bytes.saturating_add(bytes);
            at = next;
        }
    }
    nodes
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

//! What leaders keep: the indirect blocks below definite loss records, summed up by stack.
//!
//! A [`Tree`] has one root per definite record. Children are grouped by stack, and a block whose stack already
//! occurs between it and its root is counted there: a lost list of a million nodes is one line, not a million levels.
//! No tree is deeper than [`MAX_DEPTH`]; what lies deeper is counted in the lowest level.
//!
//! Not here: wording.

use crate::classify::{Classes, State};
use crate::graph::{HeapGraph, NONE};
use crate::records::Count;
use std::collections::HashMap;

/// Levels of a tree, its root included: readers of JSON limit nesting.
pub const MAX_DEPTH: u32 = 32;

/// One line of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The group of the blocks' stacks.
    pub group: u32,
    /// The stack to show.
    pub stack: u32,
    /// The blocks, without those of the children.
    pub count: Count,
    /// Indices of the children, most bytes first.
    pub children: Vec<u32>,
    parent: u32,
    depth: u32,
}

/// The trees of all definite records.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    roots: HashMap<u32, u32>,
}

impl Tree {
    /// The root of the definite record with this group.
    pub fn root(&self, group: u32) -> Option<&Node> {
        self.roots.get(&group).map(|root| self.node(*root))
    }

    /// A node by its index in [`Node::children`].
    pub fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn with_ancestors(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(node), |node| {
            Some(self.node(*node).parent).filter(|parent| *parent != NONE)
        })
    }

    fn add(&mut self, parent: u32, group: u32, stack: u32) -> u32 {
        let index = self.nodes.len() as u32;
        let depth = if parent == NONE { 1 } else { self.node(parent).depth + 1 };
        self.nodes.push(Node { group, stack, count: Count::default(), children: Vec::new(), parent, depth });
        if parent != NONE {
            self.nodes[parent as usize].children.push(index);
        }
        index
    }
}

/// Builds the trees. `group` says which group a stack id belongs to.
pub fn build(graph: &HeapGraph, classes: &Classes, mut group: impl FnMut(u32) -> u32) -> Tree {
    let mut tree = Tree::default();
    let mut children: HashMap<(u32, u32), u32> = HashMap::new();
    let mut node_of = vec![NONE; graph.len()];
    let mut chain = Vec::new();
    for block in 0..graph.len() as u32 {
        // A parent may lie behind its children: collect the chain up to a block whose node is known.
        let mut at = block;
        while classes.is_lost(at) && node_of[at as usize] == NONE {
            chain.push(at);
            match classes.parent(at) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        while let Some(block) = chain.pop() {
            let stack = graph.stack(block);
            let key = group(stack);
            let node = match classes.parent(block) {
                None => match tree.roots.get(&key) {
                    Some(root) => *root,
                    None => {
                        let root = tree.add(NONE, key, stack);
                        tree.roots.insert(key, root);
                        root
                    }
                },
                Some(parent) => {
                    let above = node_of[parent as usize];
                    let counted = tree
                        .with_ancestors(above)
                        .find(|node| tree.node(*node).group == key)
                        .or_else(|| children.get(&(above, key)).copied())
                        .or((tree.node(above).depth >= MAX_DEPTH).then_some(above));
                    counted.unwrap_or_else(|| {
                        let node = tree.add(above, key, stack);
                        children.insert((above, key), node);
                        node
                    })
                }
            };
            node_of[block as usize] = node;
            tree.nodes[node as usize].count.add_block(graph.size(block));
            debug_assert!(classes.state(block) != State::Reachable);
        }
    }
    let counts: Vec<_> = tree.nodes.iter().map(|node| (node.count.bytes, node.stack)).collect();
    for node in &mut tree.nodes {
        node.children.sort_by_key(|child| {
            let (bytes, stack) = counts[*child as usize];
            (std::cmp::Reverse(bytes), stack)
        });
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{HEURISTICS, classify};
    use crate::graph::notation::with_stacks;

    /// The tree of a stack's record as text: `1:16[2:32[3:8]]`, bytes behind the stack.
    fn tree(sizes: &[u64], stacks: &[u32], pointers: &str, root: u32) -> Option<String> {
        fn text(tree: &Tree, node: &Node) -> String {
            let children: Vec<_> = node.children.iter().map(|child| text(tree, tree.node(*child))).collect();
            let below = if children.is_empty() { String::new() } else { format!("[{}]", children.join(" ")) };
            format!("{}:{}{below}", node.stack, node.count.bytes)
        }
        let graph = with_stacks(sizes, stacks, pointers);
        let classes = classify(&graph, HEURISTICS.all());
        let tree = build(&graph, &classes, |stack| stack);
        tree.root(root).map(|root| text(&tree, root))
    }

    #[test]
    fn children_are_grouped_by_stack_and_the_largest_comes_first() {
        let shown = tree(&[16, 8, 8, 100, 1], &[1, 2, 2, 3, 4], "A>B A>C A>D D>E", 1);
        assert_eq!(shown.as_deref(), Some("1:16[3:100[4:1] 2:16]"));
        assert_eq!(tree(&[16], &[1], "R>A", 1), None, "not lost");
    }

    #[test]
    fn records_of_several_leaders_share_a_tree() {
        let shown = tree(&[16, 8, 16, 8, 16], &[1, 2, 1, 2, 1], "A>B C>D", 1);
        assert_eq!(shown.as_deref(), Some("1:48[2:16]"));
    }

    #[test]
    fn a_list_is_one_line() {
        assert_eq!(tree(&[1; 4], &[1, 1, 1, 1], "A>B B>C C>D", 1).as_deref(), Some("1:4"));
        // Two kinds of nodes in turn.
        assert_eq!(tree(&[1; 5], &[9, 1, 2, 1, 2], "A>B B>C C>D D>E", 9).as_deref(), Some("9:1[1:2[2:2]]"));
    }

    #[test]
    fn children_below_their_parents_in_memory() {
        assert_eq!(tree(&[1, 2, 4], &[1, 2, 3], "C>B B>A", 3).as_deref(), Some("3:4[2:2[1:1]]"));
    }

    #[test]
    fn depth_is_limited() {
        let mut builder = crate::graph::Builder::new(false);
        for i in 0..200u32 {
            builder.block(u64::from(i), 1, i + 1).unwrap();
        }
        for i in 0..199 {
            builder.edge(crate::graph::Edge { from: i, to: i + 1, flags: 1, offset: 0 }).unwrap();
        }
        let graph = builder.finish();
        let tree = build(&graph, &classify(&graph, HEURISTICS.all()), |stack| stack);
        assert_eq!(tree.nodes.len(), MAX_DEPTH as usize);
        assert_eq!(tree.nodes.iter().map(|node| node.count.blocks).sum::<u64>(), 200);
    }
}

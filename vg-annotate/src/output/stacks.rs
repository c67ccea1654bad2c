//! Stacks as formats of flame graphs want them: names from the outermost function on, with one cost.
//!
//! What always holds: equal stacks are one, and their order is that of the names. Not here: how recursion is folded
//! (`crate::profile::contexts`).

use crate::profile::contexts::ContextId;
use crate::profile::{Costs, Function, Profile};
use report::cli::Stop;
use report::format::{base_name, harmless};
use std::collections::BTreeMap;

/// A tree of names. Its root, node 0, stands for all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    /// The nodes; parents before their children.
    pub(super) nodes: Vec<Node>,
}

/// A function on one stack. Costs are those before and after; of one profile, only after.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The cost of the function itself.
    pub(super) own: [u64; 2],
    /// What it calls, as numbers of nodes.
    pub(super) children: BTreeMap<String, usize>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// The node of a function that a node calls.
    pub(super) fn child(&mut self, parent: usize, name: String) -> usize {
        let next = self.nodes.len();
        let id = *self.nodes[parent].children.entry(name).or_insert(next);
        if id == next {
            self.nodes.push(Node::default());
        }
        id
    }

    /// The cost of each node with all below it.
    pub(super) fn inclusive(&self) -> Vec<[u64; 2]> {
        let mut costs: Vec<[u64; 2]> = self.nodes.iter().map(|node| node.own).collect();
        for (id, node) in self.nodes.iter().enumerate().rev() {
            for child in node.children.values() {
                let below = costs[*child];
                costs[id] = [costs[id][0].saturating_add(below[0]), costs[id][1].saturating_add(below[1])];
            }
        }
        costs
    }

    /// Adds the stacks of a profile, in one event, as those before or after (0 or 1).
    pub(super) fn add(
        &mut self,
        profile: &Profile,
        event: usize,
        side: usize,
        label: impl Fn(&Function) -> String,
    ) {
        let mut ids: Vec<usize> = Vec::with_capacity(profile.contexts.nodes().len());
        for node in profile.contexts.nodes() {
            let parent = node.parent.map_or(0, |parent| ids[parent.0]);
            let id = self.child(parent, label(profile.function(node.function)));
            let own = &mut self.nodes[id].own[side];
            *own = own.saturating_add(node.own.get(event));
            ids.push(id);
        }
    }
}

/// The name of a function on a stack: without characters that separate names.
pub(super) fn label(function: &Function) -> String {
    let name = match (function.name.as_str(), base_name(&function.module)) {
        ("", "") => "???".to_owned(),
        ("", module) => format!("??? ({module})"),
        (name, _) => name.to_owned(),
    };
    harmless(&name).replace(';', ",").trim_end().to_owned()
}

/// Refuses what has no stacks.
///
/// # Errors
/// With what has.
pub(super) fn need(profile: &Profile, format: &str) -> Result<(), Stop> {
    if !profile.contexts.is_empty() {
        return Ok(());
    }
    let why = if profile.has_calls() {
        "the input has calls, but not the stacks that they were made on"
    } else {
        "the input has none"
    };
    Err(Stop::trouble(format_args!(
        "--format={format} needs call stacks: {why}; files of massif have them, and traces of vg-record --events=instr"
    )))
}

/// The names of all nodes with costs, each stack with its costs, root first.
pub(super) fn flat(profile: &Profile) -> impl Iterator<Item = (Vec<ContextId>, &Costs)> {
    profile.contexts.nodes().iter().enumerate().filter(|(_, node)| !node.own.is_zero()).map(
        |(number, node)| {
            let mut path: Vec<ContextId> = profile.contexts.path(ContextId(number)).collect();
            path.reverse();
            (path, &node.own)
        },
    )
}

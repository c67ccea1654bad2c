//! The tree of calling contexts: which stacks the costs were spent on.
//!
//! What always holds: no function occurs twice between a node and its root. A call of a function that is already active
//! leads back to its outermost activation ([`Contexts::call`]) and is counted as a way back, without cost. So what a
//! node costs with all below it is what was spent while it was active, once; and the inclusive cost of a function is the
//! sum of the calls that lead to it. Parents have smaller numbers than their children.
//!
//! Not here: costs by line, which are the profile's.

use super::{Arc, Calls, Costs, FunctionId, Place};
use std::collections::HashMap;

/// A node of a [`Contexts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub usize);

/// A function as it was called on one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who called it; none: the outermost function that is known.
    pub parent: Option<ContextId>,
    /// What was called.
    pub function: FunctionId,
    /// Where it was called from.
    pub site: Place,
    /// How often; 0 when it is not known.
    pub calls: u64,
    /// What the function itself cost here, without what it called.
    pub own: Costs,
}

/// The tree. Empty for an input that knows no stacks.
#[derive(Debug, Clone, Default)]
pub struct Contexts {
    nodes: Vec<Context>,
    children: HashMap<(Option<ContextId>, Place, FunctionId), ContextId>,
    /// Calls that led back to a function that was active: from, where, to.
    back: HashMap<(ContextId, Place, ContextId), u64>,
}

impl Contexts {
    /// No stack is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All nodes, in the order of their numbers.
    pub fn nodes(&self) -> &[Context] {
        &self.nodes
    }

    /// Counts calls of `function` by the node `from` (none: it is outermost) and tells the node that is active then.
    pub fn call(
        &mut self,
        from: Option<ContextId>,
        site: Place,
        function: FunctionId,
        times: u64,
    ) -> ContextId {
        let active = from.and_then(|from| self.active(from, function));
        if let (Some(from), Some(active)) = (from, active) {
            let count = self.back.entry((from, site, active)).or_default();
            *count = count.saturating_add(times);
            return active;
        }
        let next = ContextId(self.nodes.len());
        let id = *self.children.entry((from, site, function)).or_insert(next);
        if id == next {
            self.nodes.push(Context { parent: from, function, site, calls: 0, own: Costs::default() });
        }
        let node = &mut self.nodes[id.0];
        node.calls = node.calls.saturating_add(times);
        id
    }

    /// Adds what a node's function itself cost.
    pub fn add(&mut self, id: ContextId, costs: &[u64]) {
        self.nodes[id.0].own.add(costs);
    }

    /// What each node itself costs.
    pub(super) fn costs_mut(&mut self) -> impl Iterator<Item = &mut Costs> {
        self.nodes.iter_mut().map(|node| &mut node.own)
    }

    /// The activation of a function at or above a node.
    fn active(&self, from: ContextId, function: FunctionId) -> Option<ContextId> {
        self.path(from).find(|id| self.nodes[id.0].function == function)
    }

    /// A node and those above it, the root last.
    pub fn path(&self, from: ContextId) -> impl Iterator<Item = ContextId> + '_ {
        std::iter::successors(Some(from), |id| self.nodes[id.0].parent)
    }

    /// What each node costs with all below it.
    pub fn inclusive(&self) -> Vec<Costs> {
        let mut costs: Vec<Costs> = self.nodes.iter().map(|node| node.own.clone()).collect();
        for (id, node) in self.nodes.iter().enumerate().rev() {
            if let Some(parent) = node.parent {
                let below = std::mem::take(&mut costs[id]);
                costs[parent.0].add(below.values());
                costs[id] = below;
            }
        }
        costs
    }

    /// The calls between functions: their numbers, and what was spent in them. Ways back cost nothing.
    pub fn arcs(&self) -> HashMap<Arc, Calls> {
        let mut arcs: HashMap<Arc, Calls> = HashMap::new();
        for (node, costs) in self.nodes.iter().zip(self.inclusive()) {
            let Some(parent) = node.parent else { continue };
            let caller = self.nodes[parent.0].function;
            let arc = Arc { caller, site: node.site, callee: node.function };
            arcs.entry(arc).or_default().add(node.calls, costs.values());
        }
        for ((from, site, to), times) in &self.back {
            let (caller, callee) = (self.nodes[from.0].function, self.nodes[to.0].function);
            arcs.entry(Arc { caller, site: *site, callee }).or_default().add(*times, &[]);
        }
        arcs
    }

    /// Adds another tree, whose functions and places are named differently.
    pub(super) fn merge(
        &mut self,
        other: &Contexts,
        function: impl Fn(FunctionId) -> FunctionId,
        place: impl Fn(Place) -> Place,
    ) {
        let mut ids: Vec<ContextId> = Vec::with_capacity(other.nodes.len());
        for node in &other.nodes {
            let from = node.parent.map(|parent| ids[parent.0]);
            let id = self.call(from, place(node.site), function(node.function), node.calls);
            self.add(id, node.own.values());
            ids.push(id);
        }
        for ((from, site, to), times) in &other.back {
            let key = (ids[from.0], place(*site), ids[to.0]);
            let count = self.back.entry(key).or_default();
            *count = count.saturating_add(*times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::FileId;
    use super::*;

    const MAIN: FunctionId = FunctionId(0);
    const F: FunctionId = FunctionId(1);
    const G: FunctionId = FunctionId(2);

    fn at(line: u32) -> Place {
        Place { file: FileId(0), line }
    }

    /// main calls f twice and g once; f calls g, which calls f, which calls g again.
    fn tree() -> Contexts {
        let mut tree = Contexts::default();
        let main = tree.call(None, at(0), MAIN, 1);
        let f = tree.call(Some(main), at(10), F, 2);
        let g = tree.call(Some(f), at(20), G, 2);
        let again = tree.call(Some(g), at(30), F, 4);
        assert_eq!(again, f, "a recursive call leads to the outermost activation");
        assert_eq!(tree.call(Some(again), at(20), G, 3), g);
        let direct = tree.call(Some(main), at(11), G, 1);
        assert_ne!(direct, g);
        for (id, cost) in [(main, 1), (f, 10), (g, 100), (direct, 1000)] {
            tree.add(id, &[cost]);
        }
        tree
    }

    #[test]
    fn recursion_is_folded() {
        let tree = tree();
        let inclusive: Vec<u64> = tree.inclusive().iter().map(|costs| costs.get(0)).collect();
        assert_eq!(inclusive, [1111, 110, 100, 1000]);
        assert_eq!(tree.nodes().len(), 4);
        let path: Vec<_> = tree.path(ContextId(2)).map(|id| id.0).collect();
        assert_eq!(path, [2, 1, 0]);
    }

    #[test]
    fn calls_follow_from_contexts() {
        let arcs = tree().arcs();
        let arc = |caller, line, callee| {
            let calls = &arcs[&Arc { caller, site: at(line), callee }];
            (calls.times, calls.inclusive.get(0))
        };
        assert_eq!(arc(MAIN, 10, F), (2, 110));
        assert_eq!(arc(MAIN, 11, G), (1, 1000));
        assert_eq!(arc(F, 20, G), (5, 100));
        assert_eq!(arc(G, 30, F), (4, 0), "a way back costs nothing");
        assert_eq!(arcs.len(), 4);
        // What a function costs with all that it calls is the sum of the calls that lead to it.
        let into = |callee| {
            arcs.iter().filter(|(arc, _)| arc.callee == callee).map(|(_, c)| c.inclusive.get(0)).sum::<u64>()
        };
        assert_eq!((into(F), into(G)), (110, 1100));
    }

    #[test]
    fn a_function_that_calls_itself_is_one_node() {
        let mut tree = Contexts::default();
        let mut at_depth = tree.call(None, at(0), F, 1);
        for _ in 0..100_000 {
            at_depth = tree.call(Some(at_depth), at(5), F, 1);
            tree.add(at_depth, &[1]);
        }
        assert_eq!(tree.nodes().len(), 1);
        let arcs = tree.arcs();
        let itself = &arcs[&Arc { caller: F, site: at(5), callee: F }];
        assert_eq!((itself.times, itself.inclusive.get(0)), (100_000, 0));
        assert_eq!(tree.inclusive()[0].get(0), 100_000);
    }
}

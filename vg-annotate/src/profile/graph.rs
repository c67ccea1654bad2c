//! What follows from a profile as a whole: totals, inclusive costs, cycles.
//!
//! What always holds: no inclusive cost is above the total. The inclusive cost of a function is its own cost and that of
//! its calls, but for calls of itself. In a file of callgrind's, the calls of functions that call each other count each other's
//! cost again and again; of a function in such a cycle at most what all of the cycle costs is counted: its functions' own
//! costs, and those of the calls that leave it. Both are upper bounds of what the function really took, and the lower
//! one is told. With contexts ([`super::contexts`]) costs are exact, and functions are in no cycle.

use super::{Arc, Calls, Contexts, Costs, FunctionId, Profile};

/// Totals, inclusive costs and cycles of a profile.
#[derive(Debug, Default)]
pub struct Graph {
    /// All costs.
    pub total: Costs,
    /// Each function's own costs, by its number.
    pub own: Vec<Costs>,
    /// Each function's costs with those of what it calls.
    pub inclusive: Vec<Costs>,
    /// The cycle that each function is in, from 1; 0 for none.
    pub cycle: Vec<usize>,
    /// All calls, sorted. What is spent in calls within a cycle is limited to what the callee costs.
    pub calls: Vec<(Arc, Calls)>,
    /// Calls that lead to each function, as indices.
    pub callers: Vec<Vec<usize>>,
    /// Calls that each function makes, as indices.
    pub callees: Vec<Vec<usize>>,
}

impl Graph {
    /// What follows from a profile.
    pub fn of(profile: &Profile) -> Graph {
        let count = profile.functions().len();
        let mut graph = Graph {
            own: vec![Costs::default(); count],
            cycle: vec![0; count],
            callers: vec![Vec::new(); count],
            callees: vec![Vec::new(); count],
            ..Graph::default()
        };
        for (function, _, costs) in profile.lines() {
            graph.total.add(costs.values());
            graph.own[function.0].add(costs.values());
        }
        graph.calls = profile.calls().map(|(arc, calls)| (arc, calls.clone())).collect();
        graph.calls.sort_by_key(|(arc, _)| *arc);
        for (index, (arc, _)) in graph.calls.iter().enumerate() {
            graph.callers[arc.callee.0].push(index);
            graph.callees[arc.caller.0].push(index);
        }
        if profile.contexts.is_empty() {
            graph.cycle = graph.find_cycles();
        }
        graph.sum();
        if !profile.contexts.is_empty() {
            graph.take_exact(&profile.contexts);
        }
        for costs in &mut graph.inclusive {
            costs.limit(&graph.total);
        }
        for (arc, calls) in &mut graph.calls {
            calls.inclusive.limit(&graph.inclusive[arc.callee.0]);
        }
        graph
    }

    /// Takes inclusive costs from contexts. They count the code of linkage stubs, and of parts of a function that have a
    /// name of their own, for the function that was active; by line these are functions, whose own costs no call has.
    fn take_exact(&mut self, contexts: &Contexts) {
        self.inclusive.fill(Costs::default());
        for (node, costs) in contexts.nodes().iter().zip(contexts.inclusive()) {
            self.inclusive[node.function.0].add(costs.values());
        }
        for (costs, own) in self.inclusive.iter_mut().zip(&self.own) {
            costs.raise(own);
        }
    }

    fn sum(&mut self) {
        self.inclusive = self.own.clone();
        let cycles = self.cycle.iter().copied().max().unwrap_or(0);
        let mut of_cycle = vec![Costs::default(); cycles + 1];
        for (function, costs) in self.own.iter().enumerate() {
            of_cycle[self.cycle[function]].add(costs.values());
        }
        for (arc, calls) in &self.calls {
            let (from, to) = (self.cycle[arc.caller.0], self.cycle[arc.callee.0]);
            if arc.caller != arc.callee {
                self.inclusive[arc.caller.0].add(calls.inclusive.values());
            }
            if from != 0 && from != to {
                of_cycle[from].add(calls.inclusive.values());
            }
        }
        for (costs, cycle) in self.inclusive.iter_mut().zip(&self.cycle) {
            if *cycle != 0 {
                costs.limit(&of_cycle[*cycle]);
            }
        }
    }

    /// The cycle of each function: sets of several functions of which each calls all others, directly or not. Calls in
    /// which nothing was spent lead nowhere. Tarjan's algorithm, with a stack of its own: chains of calls can be long.
    fn find_cycles(&self) -> Vec<usize> {
        const NEW: usize = usize::MAX;
        let count = self.own.len();
        let (mut order, mut low) = (vec![NEW; count], vec![0; count]);
        let mut is_open = vec![false; count];
        let (mut open, mut work): (Vec<usize>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
        let mut cycle = vec![0; count];
        let (mut visited, mut cycles) = (0, 0);
        for root in 0..count {
            if order[root] == NEW {
                work.push((root, 0));
            }
            while let Some((node, next)) = work.pop() {
                if next == 0 {
                    (order[node], low[node]) = (visited, visited);
                    visited += 1;
                    open.push(node);
                    is_open[node] = true;
                }
                if let Some(call) = self.callees[node].get(next) {
                    work.push((node, next + 1));
                    let (arc, calls) = &self.calls[*call];
                    let to = arc.callee.0;
                    if calls.inclusive.is_zero() {
                        continue;
                    }
                    if order[to] == NEW {
                        work.push((to, 0));
                    } else if is_open[to] {
                        low[node] = low[node].min(order[to]);
                    }
                    continue;
                }
                if let Some((caller, _)) = work.last() {
                    low[*caller] = low[*caller].min(low[node]);
                }
                if low[node] != order[node] {
                    continue;
                }
                let first = open.iter().rposition(|other| *other == node).unwrap_or(0);
                let members = open.split_off(first);
                cycles += usize::from(members.len() > 1);
                for member in &members {
                    is_open[*member] = false;
                    cycle[*member] = if members.len() > 1 { cycles } else { 0 };
                }
            }
        }
        cycle
    }

    /// A cost in percent of the total.
    pub fn percent(&self, event: usize, cost: u64) -> f64 {
        match self.total.get(event) {
            0 => 0.0,
            total => cost as f64 * 100.0 / total as f64,
        }
    }

    /// The functions, by number.
    pub fn functions(&self) -> impl Iterator<Item = FunctionId> {
        (0..self.own.len()).map(FunctionId)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Function, Place};
    use super::*;

    /// A profile of functions `f0`, `f1`… with these own costs and calls.
    fn graph(own: &[u64], calls: &[(usize, usize, u64)]) -> Graph {
        let mut profile = Profile::new(vec![Event::named("Ir")]);
        let file = profile.file_id("f.c");
        let site = Place { file, line: 1 };
        for (number, cost) in own.iter().enumerate() {
            let id = profile.function_id(Function { name: format!("f{number}"), ..Function::default() });
            profile.add_line(id, site, &[*cost]);
        }
        for (caller, callee, cost) in calls {
            let arc = Arc { caller: FunctionId(*caller), site, callee: FunctionId(*callee) };
            profile.add_calls(arc, 1, &[*cost]);
        }
        Graph::of(&profile)
    }

    fn inclusive(graph: &Graph) -> Vec<u64> {
        graph.inclusive.iter().map(|costs| costs.get(0)).collect()
    }

    #[test]
    fn calls_count_for_the_caller() {
        let graph = graph(&[1, 10, 100], &[(0, 1, 110), (1, 2, 100)]);
        assert_eq!(inclusive(&graph), [111, 110, 100]);
        assert_eq!(graph.total.get(0), 111);
        assert_eq!(graph.cycle, [0, 0, 0]);
    }

    #[test]
    fn a_call_of_itself_does_not() {
        let graph = graph(&[1, 50], &[(0, 1, 50), (1, 1, 400)]);
        assert_eq!(inclusive(&graph), [51, 50]);
        assert_eq!(graph.calls[1].1.inclusive.get(0), 50, "limited to what the function costs");
    }

    #[test]
    fn nothing_in_a_cycle_is_above_the_total() {
        // f1 and f2 call each other, f3 is called from f2.
        let graph = graph(&[1, 10, 20, 5, 7], &[(0, 1, 35), (1, 2, 300), (2, 1, 290), (2, 3, 5), (0, 4, 7)]);
        assert_eq!(inclusive(&graph), [43, 35, 35, 5, 7]);
        assert_eq!(graph.cycle, [0, 1, 1, 0, 0]);
        assert!(graph.calls.iter().all(|(_, calls)| calls.inclusive.get(0) <= 43));
    }

    /// Random programs that call and return: with contexts, inclusive costs are what was spent while a function was active.
    #[test]
    fn contexts_give_exact_inclusive_costs() {
        let mut seed = 1u64;
        let mut below = move |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for _ in 0..200 {
            let mut profile = Profile::new(vec![Event::named("Ir")]);
            let file = profile.file_id("f.c");
            let count = 1 + below(6) as usize;
            let functions: Vec<FunctionId> = (0..count)
                .map(|f| profile.function_id(Function { name: format!("f{f}"), ..Function::default() }))
                .collect();
            let mut stack = Vec::new();
            let (mut active, mut from_root) = (vec![0; count], vec![0; count]);
            for _ in 0..below(300) {
                let site = Place { file, line: 1 + below(3) as u32 };
                if stack.is_empty() || below(2) == 0 {
                    let called = functions[below(count as u64) as usize];
                    stack.push(profile.contexts.call(stack.last().copied(), site, called, 1));
                } else if below(2) == 0 {
                    stack.pop();
                }
                let Some(at) = stack.last().copied() else { continue };
                let cost = below(100);
                profile.contexts.add(at, &[cost]);
                profile.add_line(profile.contexts.nodes()[at.0].function, site, &[cost]);
                let path: Vec<_> = profile.contexts.path(at).collect();
                for id in &path {
                    active[profile.contexts.nodes()[id.0].function.0] += cost;
                }
                if let Some(root) = path.last() {
                    from_root[profile.contexts.nodes()[root.0].function.0] += cost;
                }
            }
            profile.derive_calls();
            let graph = Graph::of(&profile);
            let mut incoming = from_root;
            for (arc, calls) in &graph.calls {
                incoming[arc.callee.0] += calls.inclusive.get(0);
            }
            assert_eq!(inclusive(&graph), active);
            assert_eq!(incoming, active, "what was spent in calls of a function is its inclusive cost");
            assert!(graph.inclusive.iter().all(|costs| costs.get(0) <= graph.total.get(0)));
            assert!(graph.cycle.iter().all(|cycle| *cycle == 0));
        }
    }

    /// `f` calls `g` through a stub, whose code is a function by line and `f`'s in its context.
    #[test]
    fn what_contexts_count_for_another_function_is_in_its_inclusive_cost() {
        let mut profile = Profile::new(vec![Event::named("Ir")]);
        let site = Place { file: profile.file_id("f.c"), line: 1 };
        let [f, g, stub] = ["f", "g", "g@plt"]
            .map(|name| profile.function_id(Function { name: name.to_owned(), ..Function::default() }));
        let outer = profile.contexts.call(None, site, f, 1);
        let inner = profile.contexts.call(Some(outer), site, g, 1);
        profile.contexts.add(outer, &[13]);
        profile.contexts.add(inner, &[100]);
        for (function, cost) in [(f, 10), (g, 100), (stub, 3)] {
            profile.add_line(function, site, &[cost]);
        }
        profile.derive_calls();
        assert_eq!(inclusive(&Graph::of(&profile)), [113, 100, 3]);
    }

    #[test]
    fn a_chain_of_many_calls_and_two_cycles() {
        let count = 200_000;
        let mut calls: Vec<_> = (0..count - 1).map(|f| (f, f + 1, 1)).collect();
        calls.extend([(10, 8, 1), (count - 1, count - 3, 1)]);
        let graph = graph(&vec![1; count], &calls);
        let cycles = graph.cycle.iter().filter(|cycle| **cycle > 0).count();
        assert_eq!((cycles, graph.cycle.iter().max()), (6, Some(&2)));
        assert_ne!(graph.cycle[8], graph.cycle[count - 1]);
        assert_eq!(graph.cycle[9], graph.cycle[10]);
    }
}

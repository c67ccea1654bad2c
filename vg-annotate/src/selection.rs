//! Which functions and source lines are shown, and in which order.
//!
//! What always holds: the order is that of costs, then of names, and depends on nothing else. Not here: how they are shown.

use crate::events::Chosen;
use crate::options::Options;
use crate::profile::graph::Graph;
use crate::profile::jumps::Times;
use crate::profile::{Costs, FunctionId, Jump, Place, Profile};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A profile with what was chosen of it.
#[derive(Debug)]
pub struct View<'a> {
    /// What was read.
    pub profile: &'a Profile,
    /// What follows from it.
    pub graph: &'a Graph,
    /// The events that are shown and sorted by.
    pub chosen: &'a Chosen,
    /// The command line.
    pub options: &'a Options,
}

/// What a source line costs.
#[derive(Debug, Default)]
pub struct LineCosts {
    /// The line itself.
    pub own: Costs,
    /// With the calls that it makes.
    pub inclusive: Costs,
    /// Those calls, as indices of the graph's.
    pub calls: Vec<usize>,
}

/// Lines with costs, by source file and number. Line 0: of the file, but it is not known of which line.
pub type FileLines<'a> = BTreeMap<&'a str, BTreeMap<u32, LineCosts>>;

impl<'a> View<'a> {
    /// What functions are sorted by and compared with limits.
    pub fn costs(&self, function: FunctionId) -> &'a Costs {
        if self.options.inclusive { &self.graph.inclusive[function.0] } else { &self.graph.own[function.0] }
    }

    /// What counts of a line.
    pub fn line_costs<'l>(&self, line: &'l LineCosts) -> &'l Costs {
        if self.options.inclusive { &line.inclusive } else { &line.own }
    }

    /// What a function or line costs at least that is shown, in the event that decides.
    pub fn least(&self) -> f64 {
        self.graph.total.get(self.chosen.main()) as f64 * self.options.min_percent / 100.0
    }

    /// The expensive one of two costs first.
    pub fn compare(&self, a: &Costs, b: &Costs) -> Ordering {
        let by = |event: &usize| b.get(*event).cmp(&a.get(*event));
        self.chosen.sort.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Whether `--only` lets a function through.
    pub fn is_wanted(&self, id: FunctionId) -> bool {
        self.options.wants(self.profile.function(id))
    }

    /// The functions that are shown, the most expensive first.
    pub fn functions(&self) -> Vec<FunctionId> {
        let mut list: Vec<FunctionId> =
            self.graph.functions().filter(|function| !self.costs(*function).is_zero()).collect();
        list.sort_by(|a, b| {
            self.compare(self.costs(*a), self.costs(*b))
                .then_with(|| self.profile.function(*a).cmp(self.profile.function(*b)))
        });
        let thresholds = match self.options.cover {
            _ if !self.chosen.thresholds.is_empty() => self.chosen.thresholds.clone(),
            Some(cover) => vec![(self.chosen.main(), cover)],
            None => Vec::new(),
        };
        let (total, main, least) = (&self.graph.total, self.chosen.main(), self.least());
        let mut covered = Costs::default();
        list.retain(|function| {
            let costs = self.costs(*function);
            // Inclusive costs do not add up: then a function is shown that is a greater part than what may be left out.
            let is_open = |(event, part): &(usize, f64)| {
                let total = total.get(*event) as f64;
                if self.options.inclusive {
                    costs.get(*event) as f64 >= total * (100.0 - part) / 100.0
                } else {
                    (covered.get(*event) as f64) < total * part / 100.0
                }
            };
            let is_enough = match thresholds.is_empty() {
                true => costs.get(main) as f64 >= least,
                false => thresholds.iter().any(is_open),
            };
            covered.add(costs.values());
            is_enough && self.is_wanted(*function)
        });
        list
    }

    /// The lines of the functions that `--only` lets through.
    pub fn lines(&self) -> FileLines<'a> {
        let mut files = FileLines::new();
        let profile = self.profile;
        let mut at = |function: FunctionId, place: Place, add: &mut dyn FnMut(&mut LineCosts)| {
            if self.is_wanted(function) {
                let lines = files.entry(profile.file(place.file)).or_default();
                add(lines.entry(place.line).or_default());
            }
        };
        for (function, place, costs) in profile.lines() {
            at(function, place, &mut |line| {
                line.own.add(costs.values());
                line.inclusive.add(costs.values());
            });
        }
        for (index, (arc, calls)) in self.graph.calls.iter().enumerate() {
            at(arc.caller, arc.site, &mut |line| {
                line.calls.push(index);
                if arc.caller != arc.callee {
                    line.inclusive.add(calls.inclusive.values());
                }
            });
        }
        for line in files.values_mut().flat_map(BTreeMap::values_mut) {
            line.inclusive.limit(&self.graph.total);
            line.calls.sort_by(|a, b| {
                let (a, b) = (&self.graph.calls[*a], &self.graph.calls[*b]);
                self.compare(&a.1.inclusive, &b.1.inclusive)
                    .then_with(|| profile.function(a.0.callee).cmp(profile.function(b.0.callee)))
            });
        }
        files
    }

    /// The jumps of the functions that are `wanted`, in the order of the functions' names, then of their places.
    pub fn jumps(&self, wanted: impl Fn(FunctionId) -> bool) -> Vec<(Jump, Times)> {
        let mut list: Vec<(Jump, Times)> =
            self.profile.jumps().filter(|(jump, _)| wanted(jump.function)).collect();
        let place = |place: Place| (self.profile.file(place.file), place.line);
        list.sort_by_key(|(jump, _)| {
            let (site, target) = (place(jump.site), place(jump.target));
            (
                self.profile.function(jump.function),
                site,
                jump.address,
                target,
                jump.target_address,
                jump.conditional,
            )
        });
        list
    }

    /// Calls by the function at one end: all of one pair are one. The most expensive first.
    pub fn neighbours(&self, function: FunctionId, callers: bool) -> Vec<(FunctionId, u64, Costs)> {
        let calls = if callers { &self.graph.callers } else { &self.graph.callees };
        let mut by_function: BTreeMap<FunctionId, (u64, Costs)> = BTreeMap::new();
        for index in &calls[function.0] {
            let (arc, calls) = &self.graph.calls[*index];
            let other = if callers { arc.caller } else { arc.callee };
            let sum = by_function.entry(other).or_default();
            sum.0 = sum.0.saturating_add(calls.times);
            sum.1.add(calls.inclusive.values());
        }
        let mut list: Vec<_> =
            by_function.into_iter().map(|(other, (times, costs))| (other, times, costs)).collect();
        list.sort_by(|a, b| {
            self.compare(&a.2, &b.2).then_with(|| self.profile.function(a.0).cmp(self.profile.function(b.0)))
        });
        list
    }
}

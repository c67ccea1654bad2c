//! What changed between two profiles: by function and by line.
//!
//! What always holds: the changes of all functions add up to that of the total, and so do those of all lines. A function
//! is the same by its name without what a compiler numbers ([`names`]); of several with one name those belong together whose files
//! and modules are most alike ([`functions`]). Lines are the same by the text of the source, or by how they lie to each other
//! ([`lines`]). Events that only one of the two has are left out.
//!
//! Not here: which changes are shown.

pub mod functions;
pub mod lines;
pub mod names;

use crate::profile::graph::Graph;
use crate::profile::{Costs, Event, Function, FunctionId, Profile};
use crate::sources::Library;
use lines::FileChange;

/// A cost before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// In the old profile.
    pub old: Costs,
    /// In the new one.
    pub new: Costs,
}

impl Change {
    /// How much more one event costs now.
    pub fn by(&self, event: usize) -> i128 {
        i128::from(self.new.get(event)) - i128::from(self.old.get(event))
    }

    /// How much more or less.
    pub fn size(&self, event: usize) -> u64 {
        self.new.get(event).abs_diff(self.old.get(event))
    }

    /// Growth of an event in percent; infinite from nothing.
    pub fn growth(&self, event: usize) -> f64 {
        match (self.old.get(event), self.new.get(event)) {
            (0, 0) => 0.0,
            (0, _) => f64::INFINITY,
            (old, _) => self.by(event) as f64 * 100.0 / old as f64,
        }
    }
}

/// A function before and after.
#[derive(Debug)]
pub struct FunctionChange {
    /// As it is called now; for one that is gone, as it was called.
    pub function: Function,
    /// What it costs: own or inclusive costs, as was asked for.
    pub change: Change,
}

/// What changed.
#[derive(Debug)]
pub struct Diff {
    /// The events of both.
    pub events: Vec<Event>,
    /// The total.
    pub total: Change,
    /// All functions, in no order.
    pub functions: Vec<FunctionChange>,
    /// All source files.
    pub files: Vec<FileChange>,
}

/// Leaves the events that both have, in the order of the new one.
///
/// # Errors
/// When there is none.
pub fn align(old: &mut Profile, new: &mut Profile) -> Result<(), String> {
    let place = |profile: &Profile, name: &str| profile.events.iter().position(|event| event.name == name);
    let names: Vec<String> = new.events.iter().map(|event| event.name.clone()).collect();
    let common: Vec<(usize, usize)> =
        names.iter().enumerate().filter_map(|(at_new, name)| Some((place(old, name)?, at_new))).collect();
    if common.is_empty() {
        let old: Vec<&str> = old.events.iter().map(|event| event.name.as_str()).collect();
        return Err(format!(
            "no event is in both: the old one has {}, the new one {}",
            old.join(","),
            names.join(",")
        ));
    }
    old.keep_events(&common.iter().map(|(old, _)| *old).collect::<Vec<_>>());
    new.keep_events(&common.iter().map(|(_, new)| *new).collect::<Vec<_>>());
    Ok(())
}

/// The two profiles, and where their sources are.
#[derive(Debug)]
pub struct Side<'a> {
    /// A profile with the events of both.
    pub profile: &'a Profile,
    /// What follows from it.
    pub graph: &'a Graph,
    /// Its sources.
    pub library: Library<'a>,
}

impl Diff {
    /// Compares own costs, or inclusive ones, of functions that `is_wanted`.
    pub fn of(
        old: &mut Side<'_>,
        new: &mut Side<'_>,
        inclusive: bool,
        is_wanted: &dyn Fn(&Function) -> bool,
    ) -> Diff {
        let pairs = functions::pairs(old.profile, new.profile);
        let costs = |side: &Side<'_>, ids: &[FunctionId]| {
            let all = if inclusive { &side.graph.inclusive } else { &side.graph.own };
            let is_deeper = |id: &FunctionId| names::is_deeper(&side.profile.function(*id).name);
            // Deeper levels of recursion are in the inclusive cost of the first one.
            let leaves_out = |id: &FunctionId| inclusive && is_deeper(id) && !ids.iter().all(is_deeper);
            let mut sum = Costs::default();
            ids.iter().filter(|id| !leaves_out(id)).for_each(|id| sum.add(all[id.0].values()));
            sum.limit(&side.graph.total);
            sum
        };
        let pairs: Vec<_> = pairs.into_iter().filter(|pair| is_wanted(&pair.function)).collect();
        let functions = pairs
            .iter()
            .map(|pair| FunctionChange {
                function: pair.function.clone(),
                change: Change { old: costs(old, &pair.old), new: costs(new, &pair.new) },
            })
            .collect();
        let events = new.profile.events.iter().map(|event| match Event::named(&event.name) {
            known if known.meaning.is_empty() => event.clone(),
            known => known,
        });
        Diff {
            events: events.collect(),
            total: Change { old: old.graph.total.clone(), new: new.graph.total.clone() },
            functions,
            files: lines::changes(&pairs, old, new),
        }
    }
}

#[cfg(test)]
mod tests;

//! The parts of what processes execute, which end where the program asked for it: which of them are selected.
//!
//! Always holds: what was zeroed is not selected. Parts of a process are numbered from 1 for people, those that were zeroed left out.

use schema::read::Trace;
use std::collections::{BTreeMap, BTreeSet};

/// The parts of all processes.
pub(super) struct Parts {
    zeroed: BTreeSet<(u32, u32)>,
    /// For people, by process and number in the trace: number and name.
    known: BTreeMap<(u32, u32), (u32, String)>,
    /// The number or name that was asked for.
    wanted: Option<String>,
}

impl Parts {
    /// Those of a trace.
    pub(super) fn of(trace: &Trace, wanted: Option<&str>) -> Parts {
        let zeroed =
            trace.part_ends.iter().filter(|end| end.zeroed).map(|end| (end.process, end.part)).collect();
        let mut parts = Parts { zeroed, known: BTreeMap::new(), wanted: wanted.map(str::to_owned) };
        let executed = trace.executions.iter().map(|executions| (executions.process, executions.part));
        let ended = trace.part_ends.iter().map(|end| (end.process, end.part));
        for part in executed.chain(ended).filter(|part| !parts.zeroed.contains(part)) {
            parts.known.entry(part).or_default();
        }
        let (mut process, mut number) = (0, 0);
        for (&(of, _), (known, _)) in &mut parts.known {
            number = if of == process { number + 1 } else { 1 };
            (process, *known) = (of, number);
        }
        for end in &trace.part_ends {
            if let Some((_, name)) = parts.known.get_mut(&(end.process, end.part)) {
                *name = end.name.to_string();
            }
        }
        parts
    }

    /// Whether a part of a process is selected.
    pub(super) fn has(&self, process: u32, part: u32) -> bool {
        if self.zeroed.contains(&(process, part)) {
            return false;
        }
        let Some(wanted) = &self.wanted else { return true };
        let known = self.known.get(&(process, part));
        known.is_some_and(|(number, name)| name == wanted || number.to_string() == *wanted)
    }

    /// Why no part is selected, when that is so.
    pub(super) fn missing(&self) -> Option<String> {
        let wanted = self.wanted.as_ref()?;
        if self.known.keys().any(|&(process, part)| self.has(process, part)) {
            return None;
        }
        let names: BTreeSet<(u32, &str)> =
            self.known.values().map(|(number, name)| (*number, name.as_str())).collect();
        let names: Vec<String> = names
            .iter()
            .map(
                |(number, name)| {
                    if name.is_empty() { number.to_string() } else { format!("{number} ({name})") }
                },
            )
            .collect();
        Some(format!("no part {wanted} in the recording; it has {}", names.join(", ")))
    }
}

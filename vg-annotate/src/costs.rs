//! Executed instructions, added up by function and by source line.
//!
//! What always holds: each instruction costs its function and its line as much as it was executed; what inlined code costs
//! is its own line's, and its function is the one that it was inlined into. Not here: what is shown of it.

use crate::options::Options;
use schema::read::Trace;
use std::collections::{BTreeMap, HashMap};

/// A function: what tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Function {
    /// Demangled name; empty when it is not known.
    pub name: String,
    /// Path of the source file that it is in; empty when it is not known.
    pub file: String,
    /// Path of its module; empty for code in none.
    pub module: String,
}

/// Instructions executed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Costs {
    /// Altogether.
    pub total: u64,
    /// By function.
    pub functions: HashMap<Function, u64>,
    /// By source file and line. Line 0: of the file, but not known of which line.
    pub lines: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Of code whose source file is not known.
    pub without_source: u64,
}

impl Costs {
    /// Adds what a trace tells of the selected processes and threads. False when it tells of none.
    pub fn add(&mut self, trace: &Trace, options: &Options) -> bool {
        let mut found = false;
        // By module and place: many instructions have the same names.
        let mut by_place: HashMap<(u32, u32), u64> = HashMap::new();
        for executions in &trace.executions {
            let pid = trace.process(executions.process).map_or(0, |process| process.image().pid);
            let is_selected =
                options.process.is_none_or(|wanted| wanted == executions.process || wanted == pid)
                    && options.thread.is_none_or(|wanted| wanted == executions.thread);
            if !is_selected {
                continue;
            }
            found = true;
            for row in &executions.rows {
                for (rva, _) in row.instructions() {
                    let cost = by_place.entry((row.module, trace.code_place(row.module, rva))).or_default();
                    *cost = cost.saturating_add(row.times);
                }
            }
        }
        for ((module, place), cost) in by_place {
            self.add_place(trace, module, place, cost);
        }
        found
    }

    fn add_place(&mut self, trace: &Trace, module: u32, place: u32, cost: u64) {
        let path = trace.module(module).map_or_else(String::new, |info| info.module.path.to_string());
        let names = trace.place_symbols(module, place);
        let (inner, outer) = (names.first(), names.last());
        let function = Function {
            name: outer.map_or_else(String::new, |outer| outer.function.to_owned()),
            file: outer.map_or_else(String::new, |outer| outer.file.to_owned()),
            module: path,
        };
        self.total = self.total.saturating_add(cost);
        add(self.functions.entry(function).or_default(), cost);
        match inner.filter(|inner| !inner.file.is_empty()) {
            Some(inner) => {
                let lines = self.lines.entry(inner.file.to_owned()).or_default();
                add(lines.entry(inner.line).or_default(), cost);
            }
            None => add(&mut self.without_source, cost),
        }
    }

    /// The functions that are shown, the most expensive first.
    pub fn shown(&self, options: &Options) -> Vec<(&Function, u64)> {
        let is_wanted = |function: &Function| {
            options.only.as_ref().is_none_or(|only| {
                [&function.name, &function.file, &function.module].into_iter().any(|text| only.is_match(text))
            })
        };
        let mut list: Vec<_> = self.functions.iter().map(|(function, cost)| (function, *cost)).collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let mut covered = 0u64;
        let cover = options.cover.map(|cover| self.total as f64 * cover / 100.0);
        list.retain(|(function, cost)| {
            let is_enough = match cover {
                Some(cover) => (covered as f64) < cover,
                None => *cost as f64 >= self.least(options),
            };
            covered = covered.saturating_add(*cost);
            is_enough && is_wanted(function)
        });
        list
    }

    /// What a function or line costs at least that is shown.
    pub fn least(&self, options: &Options) -> f64 {
        self.total as f64 * options.min_percent / 100.0
    }

    /// A cost in percent of the total.
    pub fn percent(&self, cost: u64) -> f64 {
        if self.total == 0 { 0.0 } else { cost as f64 * 100.0 / self.total as f64 }
    }
}

fn add(to: &mut u64, cost: u64) {
    *to = to.saturating_add(cost);
}

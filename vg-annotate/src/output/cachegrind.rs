//! The profile as a file of cachegrind, for cg_annotate and its relatives.
//!
//! What always holds, as in cachegrind: a line is in its own file under the function that it was inlined into, whose own file and
//! module are not told; the last line is the exact sum, without which cg_annotate refuses the file.

use crate::profile::Costs;
use crate::selection::View;
use report::format::harmless;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Lines by file and function.
type Functions<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<u32, Costs>>;

/// Writes the profile.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let (profile, shown) = (view.profile, &view.chosen.shown);
    let mut functions = Functions::new();
    for (function, place, costs) in profile.lines() {
        let key = (profile.file(place.file), profile.function(function).name.as_str());
        functions.entry(key).or_default().entry(place.line).or_default().add(costs.values());
    }
    let counts =
        |costs: &Costs| shown.iter().map(|event| costs.get(*event).to_string()).collect::<Vec<_>>().join(" ");
    let command = profile.command.join(" ");
    let command = if command.is_empty() { "(unknown)".into() } else { harmless(&command) };
    let names: Vec<&str> = shown.iter().map(|event| profile.events[*event].name.as_str()).collect();
    writeln!(out, "desc: written by vg-annotate {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "cmd: {command}\nevents: {}", names.join(" "))?;
    let known = |name: &'_ str| if name.is_empty() { "???".to_owned() } else { harmless(name).into_owned() };
    for ((file, function), lines) in &functions {
        writeln!(out, "fl={}\nfn={}", known(file), known(function))?;
        for (line, costs) in lines {
            writeln!(out, "{line} {}", counts(costs))?;
        }
    }
    writeln!(out, "summary: {}", counts(&view.graph.total))
}

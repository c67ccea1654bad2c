//! The report for programs: one JSON object with `"schema": 1`.
//!
//! Names and order of fields are fixed; further ones may follow. `lines` has all lines of the source files of which one costs
//! enough to be shown. `inclusive` and `calls`, of the functions that are shown, are there where calls are known, and `jumps` of these functions with
//! `--jumps=yes`. What is not known is
//! an empty string or 0.

use crate::profile::{self, Arc, Costs, Event, FunctionId};
use crate::selection::View;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::HashSet;
use std::io::{self, Write};

/// Costs as fields with the events' names.
pub(super) struct Named<'a> {
    pub(super) events: &'a [Event],
    pub(super) shown: &'a [usize],
    pub(super) costs: &'a Costs,
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.shown.len()))?;
        for event in self.shown {
            map.serialize_entry(&self.events[*event].name, &self.costs.get(*event))?;
        }
        map.end()
    }
}

/// What an event means.
#[derive(Serialize)]
pub(super) struct Meaning<'a> {
    event: &'a str,
    meaning: &'a str,
}

impl<'a> Meaning<'a> {
    /// Of each event that is shown.
    pub(super) fn of(events: &'a [Event], shown: &[usize]) -> Vec<Meaning<'a>> {
        let event = |index: &usize| {
            let event = &events[*index];
            Meaning { event: &event.name, meaning: &event.meaning }
        };
        shown.iter().map(event).collect()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    complete: bool,
    command: &'a [String],
    events: Vec<&'a str>,
    summary: Named<'a>,
    functions: Vec<Function<'a>>,
    lines: Vec<Line<'a>>,
    meanings: Vec<Meaning<'a>>,
    calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jumps: Option<Vec<Jump<'a>>>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    #[serde(flatten)]
    cost: Named<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusive: Option<Named<'a>>,
    /// Number of the cycle of functions that call each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle: Option<usize>,
}

/// What tells a function from others.
#[derive(Serialize)]
pub(super) struct Name<'a> {
    function: &'a str,
    file: &'a str,
    module: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn of(function: &'a profile::Function) -> Name<'a> {
        Name { function: &function.name, file: &function.file, module: &function.module }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: u32,
    #[serde(flatten)]
    cost: Named<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inclusive: Option<Named<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    caller: Name<'a>,
    file: &'a str,
    line: u32,
    callee: Name<'a>,
    calls: u64,
    inclusive: Named<'a>,
}

#[derive(Serialize)]
struct Jump<'a> {
    function: Name<'a>,
    file: &'a str,
    line: u32,
    address: String,
    target: Target<'a>,
    conditional: bool,
    executed: u64,
    taken: u64,
}

/// Where a jump leads.
#[derive(Serialize)]
struct Target<'a> {
    file: &'a str,
    line: u32,
    address: String,
}

/// The jumps of these functions.
fn jumps<'a>(view: &View<'a>, is_shown: &HashSet<&FunctionId>) -> Vec<Jump<'a>> {
    let profile = view.profile;
    let address = |address: u64| if address == 0 { String::new() } else { format!("{address:#x}") };
    let jumps = view.jumps(|function| is_shown.contains(&function)).into_iter();
    jumps
        .map(|(jump, times)| Jump {
            function: Name::of(profile.function(jump.function)),
            file: profile.file(jump.site.file),
            line: jump.site.line,
            address: address(jump.address),
            target: Target {
                file: profile.file(jump.target.file),
                line: jump.target.line,
                address: address(jump.target_address),
            },
            conditional: jump.conditional,
            executed: times.executed,
            taken: times.taken,
        })
        .collect()
}

/// Writes the report.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let (profile, graph) = (view.profile, view.graph);
    let shown = view.chosen.shown.as_slice();
    let named = |costs| Named { events: &profile.events, shown, costs };
    let has_calls = profile.has_calls();
    let list = view.functions();
    let functions = list.iter().map(|id| Function {
        name: Name::of(profile.function(*id)),
        cost: named(&graph.own[id.0]),
        inclusive: has_calls.then(|| named(&graph.inclusive[id.0])),
        cycle: Some(graph.cycle[id.0]).filter(|cycle| *cycle != 0),
    });
    let mut files = view.lines();
    let (least, main) = (view.least(), view.chosen.main());
    // Lines without a file are in no file.
    files.remove("");
    files.retain(|_, lines| lines.values().any(|line| view.line_costs(line).get(main) as f64 >= least));
    let lines = files.iter().flat_map(|(file, lines)| {
        lines.iter().map(|(&line, costs)| Line {
            file,
            line,
            cost: named(&costs.own),
            inclusive: has_calls.then(|| named(&costs.inclusive)),
        })
    });
    let is_shown: HashSet<_> = list.iter().collect();
    let is_wanted = |arc: &Arc| is_shown.contains(&arc.caller) || is_shown.contains(&arc.callee);
    let mut calls: Vec<_> = graph.calls.iter().filter(|(arc, _)| is_wanted(arc)).collect();
    calls.sort_by_key(|(arc, _)| {
        let (caller, callee) = (profile.function(arc.caller), profile.function(arc.callee));
        (caller, profile.file(arc.site.file), arc.site.line, callee)
    });
    let document = Document {
        schema: 1,
        complete: profile.complete,
        command: &profile.command,
        events: shown.iter().map(|event| profile.events[*event].name.as_str()).collect(),
        summary: named(&graph.total),
        functions: functions.collect(),
        lines: lines.collect(),
        meanings: Meaning::of(&profile.events, shown),
        jumps: view.options.jumps.then(|| jumps(view, &is_shown)),
        calls: calls
            .into_iter()
            .map(|(arc, calls)| Call {
                caller: Name::of(profile.function(arc.caller)),
                file: profile.file(arc.site.file),
                line: arc.site.line,
                callee: Name::of(profile.function(arc.callee)),
                calls: calls.times,
                inclusive: named(&calls.inclusive),
            })
            .collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

//! What tables for people are made of: columns of costs, headings, names.

use crate::profile::graph::Graph;
use crate::profile::jumps::{Jump, Times};
use crate::profile::{Costs, Event, Function, FunctionId, Profile};
use crate::selection::View;
use report::format::{grouped, harmless};
use std::io::{self, Write};

/// A line across.
pub(super) const RULE: &str =
    "--------------------------------------------------------------------------------";

/// Characters of ` (12.34%)`.
const PERCENT: usize = 9;

/// One column for each event that is shown.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    graph: &'a Graph,
    events: &'a [Event],
    shown: &'a [usize],
    /// Digits of each, with their commas.
    widths: Vec<usize>,
}

impl<'a> Columns<'a> {
    /// The columns of a profile.
    pub(super) fn of(view: &View<'a>) -> Columns<'a> {
        let (graph, shown) = (view.graph, view.chosen.shown.as_slice());
        let events = view.profile.events.as_slice();
        // Room for the event's name where the numbers are small.
        let width = |event: &usize| grouped(graph.total.get(*event)).len();
        Columns { graph, events, shown, widths: shown.iter().map(width).collect() }
    }

    /// Costs with their parts of the total.
    pub(super) fn cells(&self, costs: &Costs) -> String {
        let cell = |(event, width): (&usize, &usize)| {
            let cost = costs.get(*event);
            let percent = format!("{:.2}", self.graph.percent(*event, cost));
            // As wide as all others.
            let percent = if percent == "100.00" { "100.0" } else { &percent };
            format!("{:>width$} ({percent:>5}%)", grouped(cost))
        };
        self.shown.iter().zip(&self.widths).map(cell).collect::<Vec<_>>().join(" ")
    }

    /// No costs.
    pub(super) fn blank(&self) -> String {
        let cell = |width: &usize| format!("{:>width$}{:PERCENT$}", ".", "");
        self.widths.iter().map(cell).collect::<Vec<_>>().join(" ")
    }

    /// The names of the columns between two lines across.
    pub(super) fn heading(&self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        let cell = |(event, width): (&usize, &usize)| {
            format!("{:<width$}", self.events[*event].name, width = width + PERCENT)
        };
        let names = self.shown.iter().zip(&self.widths).map(cell).collect::<Vec<_>>().join(" ");
        writeln!(out, "{RULE}\n{names}{title}\n{RULE}")
    }
}

/// A change in percent of the old total; infinite from nothing.
pub(super) fn of_total(by: i128, total: u64) -> f64 {
    match (by, total) {
        (0, _) => 0.0,
        (by, 0) => f64::INFINITY.copysign(by as f64),
        (by, total) => by as f64 * 100.0 / total as f64,
    }
}

/// What the events mean.
pub(super) fn legend(out: &mut dyn Write, events: &[Event], shown: &[usize]) -> io::Result<()> {
    let mut title = "Events:";
    let width = shown.iter().map(|event| events[*event].name.len()).max().unwrap_or(0);
    for event in shown {
        let event = &events[*event];
        if shown.len() == 1 || event.meaning.is_empty() {
            writeln!(out, "{title:<16} {}", harmless(&event.explained()))?;
        } else {
            let (name, meaning) = (harmless(&event.name), harmless(&event.meaning));
            writeln!(out, "{title:<16} {name:<width$}  {meaning}")?;
        }
        title = "";
    }
    writeln!(out)
}

/// How people know a function.
pub(super) fn name(function: &Function) -> String {
    let file = if function.file.is_empty() { "???" } else { &function.file };
    let name = if function.name.is_empty() { "???" } else { &function.name };
    // Files of other tools say less: then there is nothing to tell functions apart by.
    let module = if function.module.is_empty() { String::new() } else { format!(" [{}]", function.module) };
    harmless(&format!("{file}:{name}{module}")).into_owned()
}

/// A function of a profile, with the cycle that it is in.
pub(super) fn display(view: &View<'_>, id: FunctionId) -> String {
    let name = name(view.profile.function(id));
    match view.graph.cycle[id.0] {
        0 => name,
        cycle => format!("{name} <cycle {cycle}>"),
    }
}

/// ` (3x)`; nothing when it is not known how often.
pub(super) fn counted_calls(times: u64) -> String {
    if times == 0 { String::new() } else { format!(" ({}x)", grouped(times)) }
}

/// `line 12: 300 taken, 100 not taken (75.00%)`: where a jump leads, and how often it did.
pub(super) fn counted_jump(profile: &Profile, jump: &Jump, times: Times) -> String {
    let file = profile.file(jump.target.file);
    let place = match jump.target.line {
        0 if jump.target_address == 0 => "???".to_owned(),
        0 => format!("{:#x}", jump.target_address),
        line if jump.target.file == jump.site.file => format!("line {line}"),
        line => format!("{}:{line}", harmless(file)),
    };
    let taken = grouped(times.taken);
    if !jump.conditional {
        return format!("{place}: {taken} taken");
    }
    let not_taken = times.executed.saturating_sub(times.taken);
    let percent = times.taken as f64 * 100.0 / times.executed.max(1) as f64;
    format!("{place}: {taken} taken, {} not taken ({percent:.2}%)", grouped(not_taken))
}

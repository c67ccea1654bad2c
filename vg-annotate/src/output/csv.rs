//! The report for spreadsheets: one row for each function, under a row of names. Columns are only ever added at the end.
//!
//! The first event that is sorted by and its part of the total come first; further events, and inclusive costs where calls are
//! known, stand behind the names.

use crate::selection::View;
use report::format::csv_field;
use std::io::{self, Write};

/// Writes the report.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let (profile, graph, main) = (view.profile, view.graph, view.chosen.main());
    let others: Vec<usize> = view.chosen.shown.iter().copied().filter(|event| *event != main).collect();
    let all: Vec<usize> = std::iter::once(main).chain(others.iter().copied()).collect();
    let name = |event: usize| csv_field(&profile.events[event].name);
    write!(out, "{},percent,function,file,module", name(main))?;
    for event in &others {
        write!(out, ",{}", name(*event))?;
    }
    if profile.has_calls() {
        for event in &all {
            write!(out, ",inclusive {}", name(*event))?;
        }
    }
    writeln!(out)?;
    for id in view.functions() {
        let (function, own) = (profile.function(id), &graph.own[id.0]);
        write!(
            out,
            "{},{:.2},{},{},{}",
            own.get(main),
            graph.percent(main, view.costs(id).get(main)),
            csv_field(&function.name),
            csv_field(&function.file),
            csv_field(&function.module)
        )?;
        for event in &others {
            write!(out, ",{}", own.get(*event))?;
        }
        if profile.has_calls() {
            for event in &all {
                write!(out, ",{}", graph.inclusive[id.0].get(*event))?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

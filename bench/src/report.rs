//! The tables about the heap: ratios to native, trace sizes, counters; and what is the same for those about errors.
//!
//! Always holds: a ratio is the median of a column by the median of the native runs in the same rounds. Not here: the
//! single questions (`single`), how a table is drawn (`table`).

use crate::column::Column;
use crate::counters::Counters;
use crate::run::{Cell, Clock, Measured};
use crate::table::{NONE, Table, geometric_mean, grouped, ratio, seconds};
use crate::workload::{Group, Workload};

/// A workload and what was measured.
pub(crate) type Result<'a> = (&'a Workload, Vec<Measured>);

/// Counters that `--stats` shows: the name in `vg-record`, the head, and what to divide by.
const SHOWN: [(&str, &str, f64); 16] = [
    ("translations", "translations", 1.0),
    ("translated_instructions", "instructions", 1.0),
    ("translate_nanoseconds", "translating ms", 1e6),
    ("dispatcher_entries", "dispatcher", 1.0),
    ("indirect_misses", "indirect misses", 1.0),
    ("evictions", "evictions", 1.0),
    ("invalidations", "invalidations", 1.0),
    ("slow_syscalls", "slow syscalls", 1.0),
    ("allocations", "allocations", 1.0),
    ("frames_walked", "frames walked", 1.0),
    ("stacks", "stacks", 1.0),
    ("ring_bytes", "ring KiB", 1024.0),
    ("ring_waits", "ring waits", 1.0),
    ("scan_nanoseconds", "scan ms", 1e6),
    ("drain_nanoseconds", "late drain ms", 1e6),
    ("symbol_nanoseconds", "symbols ms", 1e6),
];

/// Below this a trace is mostly its description of modules and symbols.
const EVENTS_THAT_COUNT: f64 = 10_000.0;

/// Ratios to native of all workloads of some groups, with the geometric means of the real programs and of the
/// allocation-heavy ones.
pub(crate) fn ratios(results: &[Result<'_>], groups: &[Group], clock: Clock) -> Table {
    let columns = match groups {
        [Group::Micro] => &Column::HEAP[..5],
        _ => &Column::HEAP[..],
    };
    let kind = clock.name();
    let title = match groups {
        [Group::Micro] => format!("One thing at a time, {kind}: ratio to native"),
        _ => format!("Programs, {kind}: ratio to native"),
    };
    let mut table = Table::new(title, [""].into_iter().chain(columns.iter().map(|column| column.title())));
    let chosen = || results.iter().filter(|(workload, _)| groups.contains(&workload.group));
    for (workload, measured) in chosen() {
        let cells = cells_to_native(measured, columns, clock);
        table.row(std::iter::once(workload.name.to_owned()).chain(cells));
    }
    for (group, name) in
        [(Group::Real, "geometric mean of the real programs"), (Group::Heap, "of the two others")]
    {
        let count = chosen().filter(|(workload, _)| workload.group == group).count();
        if count < 2 {
            continue;
        }
        let cells = columns.iter().map(|&column| {
            let of = |(workload, measured): &Result<'_>| {
                (workload.group == group).then(|| to_native(measured, column, clock)).flatten()
            };
            let values: Vec<f64> = results.iter().filter_map(of).collect();
            // A mean of some of the rows would compare columns that ran different programs.
            match geometric_mean(&values) {
                Some(mean) if values.len() == count => ratio(mean),
                _ => NONE.into(),
            }
        });
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table
}

/// What an event costs in the trace.
pub(crate) fn trace_sizes(results: &[Result<'_>]) -> Table {
    let title = "Traces of the heap events";
    let head =
        ["", "events", "trace KiB", "bytes per event", "of them in event chunks", "ring bytes per event"];
    let mut table = Table::new(title, head);
    for (name, counters) in counters(results, Column::Heap) {
        let events = counters.get("events").unwrap_or(0.0);
        if events < EVENTS_THAT_COUNT {
            continue;
        }
        let per_event = |key: &str| counters.get(key).map_or(NONE.into(), |value| format!("{value:.2}"));
        table.row([
            name.to_owned(),
            grouped(events as u64),
            counters.get("trace_bytes").map_or(NONE.into(), |bytes| grouped((bytes / 1024.0) as u64)),
            per_event("trace bytes per event"),
            per_event("of them in event chunks"),
            per_event("ring bytes per event"),
        ]);
    }
    table
}

/// What `vg-record --stats` counted, one row for each workload.
pub(crate) fn highlights(results: &[Result<'_>], column: Column) -> Table {
    let title = format!("Counters: {}", column.title());
    let mut table = Table::new(title, [""].into_iter().chain(SHOWN.map(|(_, head, _)| head)));
    for (name, counters) in counters(results, column) {
        let cells = SHOWN.map(|(key, _, unit)| match counters.get(key) {
            Some(value) => grouped((value / unit).round() as u64),
            None => NONE.into(),
        });
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table
}

/// What did not work, one line each.
pub(crate) fn failures(results: &[Result<'_>]) -> Vec<String> {
    let failed = |(workload, measured): &Result<'_>| {
        let line = |measured: &Measured| match &measured.cell {
            Cell::Failed(reason) => {
                Some(format!("{} with {}: {reason}", workload.name, measured.column.title()))
            }
            _ => None,
        };
        measured.iter().filter_map(line).collect::<Vec<String>>()
    };
    results.iter().flat_map(failed).collect()
}

/// A row's cells: the native time, then the ratios to it.
pub(crate) fn cells_to_native(measured: &[Measured], columns: &[Column], clock: Clock) -> Vec<String> {
    let native = measured.first().and_then(|native| native.cell.time(clock));
    let text = |(i, &column): (usize, &Column)| match (native, cell(measured, column)) {
        (Some(native), _) if i == 0 => seconds(native),
        (_, Some(Cell::Failed(_))) => "failed".into(),
        _ => to_native(measured, column, clock).map_or(NONE.into(), ratio),
    };
    columns.iter().enumerate().map(text).collect()
}

pub(crate) fn cell(measured: &[Measured], column: Column) -> Option<&Cell> {
    measured.iter().find(|measured| measured.column == column).map(|measured| &measured.cell)
}

pub(crate) fn to_native(measured: &[Measured], column: Column, clock: Clock) -> Option<f64> {
    let native = cell(measured, Column::Native)?.time(clock)?.as_secs_f64();
    let time = cell(measured, column)?.time(clock)?.as_secs_f64();
    (native > 0.0).then(|| time / native)
}

pub(crate) fn counters<'a>(
    results: &'a [Result<'_>],
    column: Column,
) -> impl Iterator<Item = (&'static str, &'a Counters)> {
    results.iter().filter_map(move |(workload, measured)| {
        let measured = measured.iter().find(|measured| measured.column == column)?;
        Some((workload.name, measured.counters.as_ref()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;
    use std::time::Duration;

    fn measured(column: Column, milliseconds: &[u64]) -> Measured {
        let sample = |&ms: &u64| Sample {
            cpu: Duration::from_millis(ms),
            wall: Duration::from_millis(2 * ms),
            memory: 0,
        };
        let cell = Cell::Times(milliseconds.iter().map(sample).collect());
        Measured { column, cell, counters: None }
    }

    fn workload(name: &'static str) -> Workload {
        Workload { name, group: Group::Real, columns: &Column::HEAP, program: None }
    }

    #[test]
    fn ratios_are_of_medians_and_means_need_every_row() {
        let (one, two) = (workload("one"), workload("two"));
        let failed =
            Measured { column: Column::Massif, cell: Cell::Failed("it broke".into()), counters: None };
        let results = [
            (
                &one,
                vec![
                    measured(Column::Native, &[100, 300, 200]),
                    measured(Column::Heap, &[400, 400, 900]),
                    measured(Column::Massif, &[2000, 2000, 2000]),
                ],
            ),
            (&two, vec![measured(Column::Native, &[100]), measured(Column::Heap, &[800]), failed]),
        ];
        let text = ratios(&results, &[Group::Real], Clock::Cpu).text(false);
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("has the row");
            line[name.len()..].split_whitespace().map(str::to_owned).collect::<Vec<String>>()
        };
        assert_eq!(row("one"), ["0.20", "s", "-", "2.00", "-", "-", "10.0", "-", "-", "-"]);
        assert_eq!(row("two"), ["0.10", "s", "-", "8.00", "-", "-", "failed", "-", "-", "-"]);
        let mean = row("geometric mean of the real programs");
        assert_eq!(mean, ["1.00", "-", "4.00", "-", "-", "-", "-", "-", "-"]);
        assert_eq!(failures(&results), ["two with massif: it broke"]);
        let wall = ratios(&results, &[Group::Real], Clock::Wall).text(false);
        assert!(wall.contains("0.40 s"), "{wall}");
    }

    #[test]
    fn sizes_are_shown_where_there_are_events() {
        let (one, two) = (workload("one"), workload("two"));
        let with =
            |text: &str| Measured { counters: Some(Counters::parse(text)), ..measured(Column::Heap, &[1]) };
        let results = [
            (&one, vec![with("  20000  events\n  204800  trace_bytes\n  10.24  trace bytes per event\n")]),
            (&two, vec![with("  20  events\n  204800  trace_bytes\n")]),
        ];
        let text = trace_sizes(&results).text(false);
        assert!(text.contains("one  20,000        200            10.24"), "{text}");
        assert!(!text.contains("two"), "{text}");
        let text = highlights(&results, Column::Heap).text(false);
        assert!(text.contains("two"), "{text}");
    }
}

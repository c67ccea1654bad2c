//! Single questions: start-up of `true`, two threads against one, a leak scan of ten million blocks.
//!
//! Always holds: a column that is missing or failed is a cell without a value, with a note when it failed.
//! Not here: the workloads (`workload`).

use crate::column::{Column, Program, trace};
use crate::input::Inputs;
use crate::measure::{self, Sample};
use crate::run::{Bench, Cell, Clock, LIMIT};
use crate::table::{NONE, Table, grouped, seconds};
use crate::tools::in_path;
use anyhow::Context as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Blocks of the list that the leak scan follows.
const BLOCKS: u64 = 10_000_000;
/// Allocations of each thread; each comes with some microsecond of computing.
const ROUNDS: &str = "1000000";

/// Starts of `true`, each column in turn.
pub(crate) fn startup(bench: &Bench<'_>, notes: &mut Vec<String>) -> Option<Table> {
    let program = Program { path: in_path("true")?, ..Program::default() };
    let times = 5 * bench.runs.max(3);
    eprintln!("start-up: {times} rounds");
    let mut cells = Column::HEAP.map(|_| Cell::Missing);
    for _ in 0..times {
        for (column, cell) in Column::HEAP.iter().zip(&mut cells) {
            add(bench, *column, &program, cell, notes, "true");
        }
    }
    let title = format!("Start-up of `true`: milliseconds over native (wall time, median of {times})");
    let mut table = Table::new(title, [""].into_iter().chain(Column::HEAP.map(Column::title)));
    for (name, clock) in [("wall ms", Clock::Wall), ("processor ms", Clock::Cpu)] {
        let native = cells[0].time(clock)?.as_secs_f64() * 1e3;
        let row = cells.iter().enumerate().map(|(i, cell)| match cell.time(clock) {
            Some(time) if i == 0 => format!("{:.1}", time.as_secs_f64() * 1e3),
            Some(time) => format!("+{:.1}", time.as_secs_f64() * 1e3 - native),
            None => NONE.into(),
        });
        table.row(std::iter::once(name.to_owned()).chain(row));
    }
    Some(table)
}

/// The same work per thread, with one and with two threads.
pub(crate) fn threads(bench: &Bench<'_>, inputs: &Inputs, notes: &mut Vec<String>) -> Table {
    let columns =
        [Column::Native, Column::Translation, Column::Heap, Column::ValgrindNone, Column::Heaptrack];
    let program = |threads: &str| Program {
        path: inputs.path("threads"),
        arguments: vec![threads.into(), ROUNDS.into()],
        ..Program::default()
    };
    let programs = [program("1"), program("2")];
    let mut cells = columns.map(|_| [Cell::Missing, Cell::Missing]);
    for round in 0..bench.runs.max(3) {
        eprintln!("threads: round {}", round + 1);
        // What a run prints depends on the number of threads: natively first, each time.
        for (which, program) in programs.iter().enumerate() {
            for (column, cells) in columns.iter().zip(&mut cells) {
                add(bench, *column, program, &mut cells[which], notes, "threads");
            }
        }
    }
    let title = "Two threads against one, the same work each: 2.00 is the best possible";
    let mut table = Table::new(title, [""].into_iter().chain(columns.map(Column::title)));
    let time = |cells: &[Cell; 2], clock| Some((cells[0].time(clock)?, cells[1].time(clock)?));
    let mut row = |name: &str, clock, value: fn(f64, f64) -> f64| {
        let cells = cells.iter().map(|cells| match time(cells, clock) {
            Some((one, two)) => format!("{:.2}", value(one.as_secs_f64(), two.as_secs_f64())),
            None => NONE.into(),
        });
        table.row(std::iter::once(name.to_owned()).chain(cells));
    };
    row("one thread (wall s)", Clock::Wall, |one, _| one);
    row("two threads (wall s)", Clock::Wall, |_, two| two);
    row("speed-up (wall)", Clock::Wall, |one, two| 2.0 * one / two);
    // Processor time does not see other programs on the machine.
    row("processor time, two / one", Clock::Cpu, |one, two| two / one);
    table
}

/// Records a list of ten million blocks and reads the trace.
pub(crate) fn scan(bench: &Bench<'_>, inputs: &Inputs) -> anyhow::Result<Table> {
    eprintln!("leak scan of {BLOCKS} blocks");
    let arguments = vec![BLOCKS.to_string().into()];
    let program = Program { path: inputs.path("list"), arguments, ..Program::default() };
    let available = "the native run and ours need nothing installed";
    let native = bench.once(Column::Native, &program, LIMIT).context(available)??;
    let ours = bench.once(Column::Heap, &program, LIMIT).context(available)??;
    let counters = ours.counters.unwrap_or_default();
    let trace = trace(bench.scratch);
    let bytes = fs::metadata(&trace).map_or(0, |data| data.len());
    let leaks = leaks(bench, &trace)?;

    let mut table = Table::new(format!("Leak scan of {} live blocks", grouped(BLOCKS)), ["", "value"]);
    let counted = |name: &str| counters.get(name);
    let nanoseconds =
        |name: &str| counted(name).map_or(NONE.into(), |ns| seconds(Duration::from_nanos(ns as u64)));
    table.row(["scan".into(), nanoseconds("scan_nanoseconds")]);
    table.row(["program natively (wall)".into(), seconds(native.sample.wall)]);
    table.row(["recording (wall)".into(), seconds(ours.sample.wall)]);
    table.row(["recording (processor)".into(), seconds(ours.sample.cpu)]);
    table.row(["guest, with its scan (wall)".into(), nanoseconds("guest_nanoseconds")]);
    table.row(["emptying the rings afterwards (wall)".into(), nanoseconds("drain_nanoseconds")]);
    table.row(["vg-leaks on the trace (wall)".into(), seconds(leaks.wall)]);
    table.row(["trace bytes".into(), grouped(bytes)]);
    let per_event = counted("trace bytes per event");
    table.row(["trace bytes per event".into(), per_event.map_or(NONE.into(), |bytes| format!("{bytes:.2}"))]);
    Ok(table)
}

fn leaks(bench: &Bench<'_>, trace: &std::path::Path) -> anyhow::Result<Sample> {
    let errors = bench.scratch.join("stderr");
    let mut command = Command::new(&bench.tools.vg_leaks);
    command.arg(trace).stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&errors)?);
    let (status, sample) = measure::run(&mut command, LIMIT)?;
    // 1: there are leaks of the kinds that count.
    let good = status.and_then(|status| status.code()).is_some_and(|code| code <= 1);
    anyhow::ensure!(good, "vg-leaks failed: {}", fs::read_to_string(&errors).unwrap_or_default().trim());
    Ok(sample)
}

/// One more run of `program`, added to `cell`.
fn add(
    bench: &Bench<'_>,
    column: Column,
    program: &Program,
    cell: &mut Cell,
    notes: &mut Vec<String>,
    name: &str,
) {
    if matches!(cell, Cell::Failed(_)) {
        return;
    }
    match bench.once(column, program, LIMIT) {
        None => {}
        Some(Ok(outcome)) => match cell {
            Cell::Times(samples) => samples.push(outcome.sample),
            cell => *cell = Cell::Times(vec![outcome.sample]),
        },
        Some(Err(error)) => {
            let reason = format!("{error:#}");
            notes.push(format!("{name} with {}: {reason}", column.title()));
            *cell = Cell::Failed(reason);
        }
    }
}

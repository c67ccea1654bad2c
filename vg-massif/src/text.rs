//! The report for people: the highest snapshot, the graph, who held the heap at the peak, all snapshots.
//!
//! The tree is that of the peak; where the heap only grew, that of the detailed snapshot with the most bytes.

use crate::callers::Callers;
use crate::graph;
use crate::load::Process;
use crate::options::{At, Options, TimeUnit};
use crate::run::Report;
use crate::snapshots::Snapshot;
use crate::tree::{Entry, What, tree};
use report::format::{grouped, harmless};
use std::cmp::Reverse;
use std::io::{self, Write};

/// Writes a report.
pub(crate) fn write(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    let unit = options.time_unit.name();
    write_head(out, report.process)?;
    if options.at.is_some() {
        return write_moment(out, report, options);
    }
    let highest = report
        .snapshots
        .iter()
        .enumerate()
        .max_by_key(|(number, one)| (one.total(), one.is_peak, Reverse(*number)));
    if let Some((number, one)) = highest {
        writeln!(
            out,
            "Highest:  {} bytes, {} of them asked for, at {} {unit} (snapshot {number})",
            grouped(one.total()),
            grouped(one.bytes),
            grouped(one.time)
        )?;
    }
    writeln!(out)?;
    graph::write(out, &report.snapshots, options.time_unit)?;
    writeln!(out, "\n: snapshot   @ with who allocated   # peak\n")?;
    write_tree(out, report, options)?;
    write_table(out, &report.snapshots, options.time_unit)
}

/// Whose heap it is.
pub(crate) fn write_head(out: &mut dyn Write, process: &Process) -> io::Result<()> {
    writeln!(out, "Command:  {}", harmless(&process.image().command.join(" ")))?;
    writeln!(out, "Process:  {} (pid {})", process.number, process.pid)
}

/// The only snapshot: that of `--at`.
fn write_moment(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    let Some(one) = report.snapshots.first() else { return Ok(()) };
    let which = match options.at {
        Some(At::Peak) => ", the peak",
        Some(At::End) => ", the end",
        Some(At::Time(_)) | None => "",
    };
    writeln!(
        out,
        "Then:     {} bytes, {} of them asked for, at {} {}{which}\n",
        grouped(one.total()),
        grouped(one.bytes),
        grouped(one.time),
        options.time_unit.name()
    )?;
    writeln!(out, "Who allocated what was there:\n")?;
    write_snapshot(out, report, 0, options)
}

/// The place in the list of the snapshot whose tree is shown.
pub(crate) fn shown(snapshots: &[Snapshot]) -> Option<usize> {
    let detailed = snapshots.iter().enumerate().filter(|(_, one)| one.detail.is_some());
    // The first of equal ones.
    detailed.min_by_key(|(_, one)| Reverse((one.is_peak, one.bytes))).map(|(number, _)| number)
}

fn write_tree(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    let Some(number) = shown(&report.snapshots) else {
        return writeln!(out, "No snapshot tells who allocated; see --detailed-freq.\n");
    };
    let is_peak = report.snapshots[number].is_peak;
    let what = if is_peak { "the peak" } else { "the highest that tells who allocated" };
    writeln!(out, "Who allocated what was there at snapshot {number}, {what}:\n")?;
    write_snapshot(out, report, number, options)?;
    writeln!(out)
}

/// The tree of a snapshot.
fn write_snapshot(
    out: &mut dyn Write,
    report: &mut Report<'_>,
    number: usize,
    options: &Options,
) -> io::Result<()> {
    let one = &report.snapshots[number];
    let Some(detail) = &one.detail else { return Ok(()) };
    write_entries(out, &mut report.callers, detail, one.total(), options, None)
}

/// The tree of numbers by stack, of `total` in all; of who asked allocators, at most so many.
pub(crate) fn write_entries(
    out: &mut dyn Write,
    callers: &mut Callers<'_>,
    detail: &[(u32, u64)],
    total: u64,
    options: &Options,
    most: Option<usize>,
) -> io::Result<()> {
    let entries = tree(detail, callers, total, options.threshold);
    let mut firsts = 0;
    for (at, (entry, indent)) in entries.iter().zip(indents(&entries)).enumerate() {
        firsts += usize::from(entry.depth == 1 && matches!(entry.what, What::Function(_)));
        if most.is_some_and(|most| firsts > most) {
            let places = |entry: &Entry<'_>| match entry.what {
                What::Places(places) => places,
                _ => 1,
            };
            let more: usize = entries[at..].iter().filter(|entry| entry.depth == 1).map(places).sum();
            return writeln!(out, "{:23} {more} more", "");
        }
        let percent = entry.bytes as f64 / total.max(1) as f64 * 100.0;
        write!(out, "{percent:6.2}% {:>13} {:indent$}", grouped(entry.bytes), "")?;
        match entry.what {
            What::Allocators => writeln!(out, "all"),
            What::Function(frame) => writeln!(out, "{}", frame.place()),
            What::Places(1) => writeln!(out, "1 place below {:.2}%", options.threshold),
            What::Places(places) => writeln!(out, "{places} places, each below {:.2}%", options.threshold),
        }?;
    }
    Ok(())
}

/// Columns by which entries are indented: two more where a caller is one of several. An only caller stands below what it called,
/// so that deep stacks stay in sight.
fn indents(entries: &[Entry<'_>]) -> Vec<usize> {
    let mut indents: Vec<usize> = Vec::with_capacity(entries.len());
    // The entries that the next one may lie below.
    let mut above: Vec<usize> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        above.truncate(entry.depth);
        let indent = above
            .last()
            .map_or(0, |parent| indents[*parent] + if entries[*parent].children > 1 { 2 } else { 0 });
        indents.push(indent);
        above.push(at);
    }
    indents
}

fn write_table(out: &mut dyn Write, snapshots: &[Snapshot], unit: TimeUnit) -> io::Result<()> {
    let time = format!("time ({})", unit.name());
    writeln!(out, "   n {time:>20} {:>18} {:>18} {:>14}", "bytes", "asked for", "extra")?;
    for (number, one) in snapshots.iter().enumerate() {
        let kind = match one.kind() {
            "empty" => "",
            "peak" => "  # peak",
            _ => "  @",
        };
        writeln!(
            out,
            "{number:>4} {:>20} {:>18} {:>18} {:>14}{kind}",
            grouped(one.time),
            grouped(one.total()),
            grouped(one.bytes),
            grouped(one.extra)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_callers_are_not_indented() {
        let entry = |depth, children| Entry { depth, bytes: 1, children, what: What::Allocators };
        let entries =
            [entry(0, 2), entry(1, 1), entry(2, 2), entry(3, 0), entry(3, 0), entry(1, 1), entry(2, 0)];
        assert_eq!(indents(&entries), [0, 2, 2, 4, 4, 2, 2]);
        assert_eq!(indents(&[]), [0usize; 0]);
    }

    #[test]
    fn the_peak_is_shown_or_else_the_highest() {
        let one = |bytes, is_peak, is_detailed: bool| Snapshot {
            time: 0,
            bytes,
            extra: 0,
            is_peak,
            detail: is_detailed.then(Vec::new),
        };
        assert_eq!(shown(&[one(1, false, false)]), None);
        assert_eq!(shown(&[one(1, false, true), one(5, false, true), one(9, false, false)]), Some(1));
        assert_eq!(shown(&[one(9, false, true), one(5, true, true)]), Some(1));
    }
}

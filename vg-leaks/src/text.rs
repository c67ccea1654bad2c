//! The report for people: a plain sentence for each record above Valgrind's line and stack, then the summaries.
//!
//! What always holds: the lines that Valgrind prints too (without `==PID== `) have its words and alignment, so that
//! scripts that read those can read these. Not here: sentences (`sentence`), what is listed (`findings`).

use crate::classify::{HEURISTICS, State};
use crate::findings::{Answer, Child, CycleGroup, Listed, Spot};
use crate::load::Process;
use crate::options::{KINDS, LeakCheck, Options};
use crate::records::Count;
use crate::run::{Report, Section};
use crate::sentence;
use report::format::{counted, grouped, harmless};
use report::stack::{Frame, Line, fold};
use report::style::Style;
use schema::Reason;
use std::io::{self, Write};

/// Most blocks of a cycle, and most words that point at a block, that are listed.
const MOST: usize = 20;

/// Writes the report.
pub(crate) fn write(
    out: &mut dyn Write,
    report: &Report<'_>,
    options: &Options,
    style: Style,
) -> io::Result<()> {
    let mut folded = false;
    for (i, section) in report.sections.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        if report.sections.len() > 1 {
            writeln!(out, "{}", style.strong(heading(section, report)))?;
        }
        if let Some(moment) = moment(section, report.all_snapshots) {
            writeln!(out, "{moment}")?;
        }
        match &section.answer {
            Some(answer) => write_answer(out, answer, style)?,
            None => folded |= write_section(out, section, options, style)?,
        }
    }
    if folded {
        writeln!(out)?;
        let hint =
            "Frames of allocators and standard libraries are folded; --show-internal-frames shows them.";
        writeln!(out, "{}", style.faint(hint))?;
    }
    Ok(())
}

fn heading(section: &Section<'_>, report: &Report<'_>) -> String {
    let Process { number, pid, parent, command, .. } = section.process;
    let command: Vec<_> = command.iter().map(|word| harmless(word)).collect();
    let from = if *parent == 0 { String::new() } else { format!(", started by process {parent}") };
    let trace = if report.traces > 1 { format!(" in {}", harmless(section.trace)) } else { String::new() };
    format!("PROCESS {number}{trace}: {} (pid {pid}{from})", command.join(" "))
}

/// When the snapshot is not the only one at the end of the process.
fn moment(section: &Section<'_>, all: bool) -> Option<String> {
    let snapshot = section.snapshot;
    if matches!(snapshot.reason, Reason::Exit | Reason::Other(_)) && !all {
        return None;
    }
    let when = occasion(snapshot.reason);
    let seconds = snapshot.time as f64 / 1e9;
    Some(format!("Snapshot {} {when}, {seconds:.3} s after the start", snapshot.number))
}

/// When a snapshot was taken, in words.
pub(crate) fn occasion(reason: Reason) -> &'static str {
    match reason {
        Reason::Exit => "at exit",
        Reason::Signal => "when a signal killed the program",
        Reason::Request => "at the user's request",
        Reason::Client => "at the program's request",
        Reason::Exec => "when the process executed another program",
        Reason::Other(_) => "for a reason that this version does not know",
    }
}

/// Whether anything was folded.
fn write_section(
    out: &mut dyn Write,
    section: &Section<'_>,
    options: &Options,
    style: Style,
) -> io::Result<bool> {
    let findings = &section.findings;
    writeln!(out, "{}", style.strong("HEAP SUMMARY:"))?;
    writeln!(out, "    in use at exit: {}", amount(section.in_use))?;
    if let Some(usage) = section.usage {
        writeln!(
            out,
            "  total heap usage: {} allocs, {} frees, {} bytes allocated{}",
            grouped(usage.allocs),
            grouped(usage.frees),
            grouped(usage.bytes),
            if section.process.since_fork { " since the fork" } else { "" }
        )?;
    }
    writeln!(out)?;
    if section.in_use == Count::default() {
        writeln!(out, "All heap blocks were freed -- no leaks are possible")?;
        return Ok(false);
    }
    if options.leak_check == LeakCheck::No {
        writeln!(out, "Leaks were not looked for (--leak-check=no)")?;
        return Ok(false);
    }
    let mut folded = false;
    for listed in &findings.listed {
        folded |= write_record(out, listed, findings.records_total, options, style)?;
        writeln!(out)?;
    }
    if let Some(cycles) = &findings.cycles {
        write_cycles(out, cycles, style)?;
        writeln!(out)?;
    }
    let summary = &findings.summary;
    writeln!(out, "{}", style.strong("LEAK SUMMARY:"))?;
    writeln!(out, "   definitely lost: {}", amount(summary.definite))?;
    writeln!(out, "   indirectly lost: {}", amount(summary.indirect))?;
    writeln!(out, "     possibly lost: {}", amount(summary.possible))?;
    writeln!(out, "   still reachable: {}", amount(summary.reachable))?;
    let heuristics = summary.heuristics.iter().zip(HEURISTICS.names).filter(|(count, _)| count.blocks > 0);
    for (i, (count, name)) in heuristics.enumerate() {
        if i == 0 {
            writeln!(out, "                      of which reachable via heuristic:")?;
        }
        writeln!(out, "                        {name:<19}: {}", amount(*count))?;
    }
    writeln!(out, "        suppressed: {}", amount(summary.suppressed))?;
    write_not_listed(out, findings.not_listed, options, style)?;
    Ok(folded)
}

fn amount(count: Count) -> String {
    format!("{} bytes in {} blocks", grouped(count.bytes), grouped(count.blocks))
}

fn write_not_listed(
    out: &mut dyn Write,
    hidden: [usize; 4],
    options: &Options,
    style: Style,
) -> io::Result<()> {
    let total: usize = hidden.iter().sum();
    if total == 0 {
        return Ok(());
    }
    let parts: Vec<_> = KINDS
        .names
        .iter()
        .zip(hidden)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", grouped(count as u64)))
        .collect();
    let how = match (options.leak_check, options.min_bytes) {
        (LeakCheck::Summary, _) => "--leak-check=full --kinds=all",
        (_, 0) => "--kinds=all",
        _ => "--kinds=all --min-bytes=0",
    };
    let verb = if total == 1 { "is" } else { "are" };
    let records = counted(total as u64, "loss record", "loss records");
    writeln!(out)?;
    writeln!(out, "{}", style.faint(format!("{records} {verb} not listed ({}); see {how}", parts.join(", "))))
}

fn write_record(
    out: &mut dyn Write,
    listed: &Listed<'_>,
    total: usize,
    options: &Options,
    style: Style,
) -> io::Result<bool> {
    let plain = sentence::plain(listed);
    let plain = match listed.record.kind {
        State::Definite => style.bad(plain),
        State::Possible => style.doubtful(plain),
        State::Indirect | State::Reachable => style.strong(plain),
    };
    writeln!(out, "{plain}")?;
    writeln!(out, "{}", sentence::valgrind(listed, total))?;
    let folded = write_stack(out, &listed.frames, options.show_internal_frames, style)?;
    if let Some(addresses) = &listed.addresses {
        write_addresses(out, addresses, listed.record.blocks)?;
    }
    match listed.children.as_deref() {
        None => {}
        Some([]) => writeln!(out, "   keeps no other block")?,
        Some(children) => {
            writeln!(out, "   keeps")?;
            write_children(out, children, 2)?;
        }
    }
    Ok(folded)
}

fn write_stack(out: &mut dyn Write, frames: &[Frame<'_>], all: bool, style: Style) -> io::Result<bool> {
    if frames.is_empty() {
        writeln!(out, "   at an unknown place: the recording has no stack")?;
    }
    let lines = if all { (0..frames.len()).map(Line::Frame).collect() } else { fold(frames) };
    let mut folded = false;
    for (i, line) in lines.into_iter().enumerate() {
        match line {
            Line::Frame(frame) => {
                writeln!(out, "   {} {}", if i == 0 { "at" } else { "by" }, frames[frame].valgrind())?;
            }
            Line::Folded(range) => {
                folded = true;
                writeln!(out, "   {}", style.faint(format!(".. {} internal frames", range.len())))?;
            }
        }
    }
    Ok(folded)
}

/// The addresses of some of the `blocks` of a record.
fn write_addresses(out: &mut dyn Write, addresses: &[(u64, u64)], blocks: u64) -> io::Result<()> {
    writeln!(out, "   blocks")?;
    for (address, bytes) in addresses {
        writeln!(out, "      0x{address:X} ({})", counted(*bytes, "byte", "bytes"))?;
    }
    match blocks.saturating_sub(addresses.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "      and {} more (all of them: --addresses={blocks})", grouped(more)),
    }
}

fn write_children(out: &mut dyn Write, children: &[Child<'_>], level: usize) -> io::Result<()> {
    for child in children {
        let indent = "   ".repeat(level);
        writeln!(out, "{indent}{}", sentence::amount_from(child.count, child.user.as_ref()))?;
        write_children(out, &child.children, level + 1)?;
    }
    Ok(())
}

fn write_cycles(out: &mut dyn Write, groups: &[CycleGroup<'_>], style: Style) -> io::Result<()> {
    writeln!(out, "{}", style.strong("CYCLES AMONG LOST BLOCKS:"))?;
    if groups.is_empty() {
        writeln!(out, "   none")?;
    }
    for group in groups {
        let each = counted(group.blocks, "block", "blocks");
        let bytes = counted(group.count.bytes, "byte", "bytes");
        match group.cycles {
            1 => writeln!(out, "   a cycle of {each}, {bytes}:")?,
            many => writeln!(out, "   {} cycles of {each} each, {bytes}; the first:", grouped(many))?,
        }
        for spot in group.round.iter().take(MOST) {
            writeln!(out, "      {} points to", describe(spot))?;
        }
        match group.round.len().checked_sub(MOST) {
            None | Some(0) => writeln!(out, "      the first")?,
            Some(more) => writeln!(
                out,
                "      {} and so on to the first",
                counted(more as u64, "more block", "more blocks")
            )?,
        }
    }
    Ok(())
}

/// `0x4A5B040 (16 bytes allocated in f (a.c:3))`.
fn describe(spot: &Spot<'_>) -> String {
    let count = Count { bytes: spot.size, blocks: 1 };
    format!("0x{:X} ({})", spot.address, sentence::amount_from(count, spot.user.as_ref()))
}

fn write_answer(out: &mut dyn Write, answer: &Answer<'_>, style: Style) -> io::Result<()> {
    let block = &answer.block;
    let inside = match answer.address - block.address {
        0 => "is the start of".to_owned(),
        offset => format!("lies {} inside", counted(offset, "byte", "bytes")),
    };
    let line = format!(
        "0x{:X} {inside} the block {}, which is {}",
        answer.address,
        describe(block),
        sentence::valgrind_kind(block.state)
    );
    writeln!(out, "{}", style.strong(line))?;
    writeln!(out)?;
    let pointers = answer.roots.len() + answer.edges.len();
    if pointers == 0 {
        writeln!(out, "No word in memory and no register points at it.")?;
    } else {
        writeln!(out, "{} it:", counted(pointers as u64, "word points at", "words point at"))?;
        for (root, place) in answer.roots.iter().take(MOST) {
            writeln!(out, "   {} -> {}", place, target(root.flags, Some(root.interior.into())))?;
        }
        for (edge, spot) in answer.edges.iter().take(MOST) {
            let word = word(edge.offset, spot);
            writeln!(out, "   {word} -> {}", target(edge.flags, None))?;
        }
        let left = answer.roots.len().saturating_sub(MOST) + answer.edges.len().saturating_sub(MOST);
        if left > 0 {
            writeln!(out, "   and {} more (all of them: --format=json)", grouped(left as u64))?;
        }
    }
    writeln!(out)?;
    match (&answer.path, &answer.leader) {
        (Some(((root, place), edges)), _) => {
            writeln!(out, "A path from a root to it:")?;
            writeln!(out, "   {place} -> {}", target(root.flags, Some(root.interior.into())))?;
            for (edge, spot) in edges {
                writeln!(out, "   {} -> {}", word(edge.offset, spot), target(edge.flags, None))?;
            }
            writeln!(out, "   which is the block")
        }
        (None, Some(leader)) => {
            writeln!(out, "No root leads to it. It was lost with the block {}.", describe(leader))
        }
        (None, None) => writeln!(out, "No root leads to it."),
    }
}

/// The word in a block, as the source of a pointer.
fn word(offset: u64, spot: &Spot<'_>) -> String {
    format!("0x{:X}: word at offset {offset} of {}", spot.address.wrapping_add(offset), describe(spot))
}

/// Where in a block a pointer points.
fn target(flags: u8, interior: Option<u64>) -> String {
    if flags & crate::graph::edge::START != 0 {
        return "start".to_owned();
    }
    let mut text = match interior {
        Some(offset) if offset > 0 => format!("interior, offset {offset}"),
        _ => "interior".to_owned(),
    };
    for (i, name) in HEURISTICS.names.iter().enumerate() {
        if flags & 2 << i != 0 {
            text += &format!(", accepted by {name}");
        }
    }
    text
}

//! The report for people: a plain sentence for each finding above Valgrind's lines and stacks, then the summary.
//!
//! What always holds: the lines that Valgrind prints too (without `==PID== `) have its words and indentation, so that
//! scripts that read those can read these. Not here: sentences (`sentence`), Valgrind's words (`words`).

use crate::excerpt::Sources;
use crate::findings::{Finding, Findings, Stack};
use crate::kinds::KINDS;
use crate::load::Process;
use crate::options::Options;
use crate::run::Report;
use crate::sentence;
use crate::words::{self, Part};
use report::format::{counted, grouped, harmless};
use report::stack::{Line, fold};
use report::style::Style;
use schema::ErrorKind;
use std::io::{self, Write};

/// Writes the report.
pub(crate) fn write(
    out: &mut dyn Write,
    report: &Report<'_>,
    options: &Options,
    style: Style,
) -> io::Result<()> {
    let findings = &report.findings;
    let several = several_processes(findings);
    let mut sources = Sources::default();
    let mut folded = false;
    let mut last: Option<&Process> = None;
    for finding in &findings.listed {
        let process = finding.process;
        if several && last.is_none_or(|last| !std::ptr::eq(last, process)) {
            writeln!(out, "{}", style.strong(heading(finding, report.recordings.len() > 1)))?;
        }
        last = Some(process);
        folded |= write_finding(out, finding, options, style, &mut sources)?;
        writeln!(out)?;
    }
    let summary = findings.summary;
    let line = format!(
        "ERROR SUMMARY: {} errors from {} contexts (suppressed: {} from {})",
        grouped(summary.errors),
        grouped(summary.contexts),
        grouped(summary.suppressed),
        grouped(summary.suppressed_contexts)
    );
    writeln!(out, "{}", style.strong(line))?;
    write_hints(out, report, folded, style)
}

fn several_processes(findings: &Findings<'_>) -> bool {
    let mut listed = findings.listed.iter();
    let first = listed.next().map(|finding| finding.process);
    listed.any(|finding| first.is_some_and(|first| !std::ptr::eq(first, finding.process)))
}

fn heading(finding: &Finding<'_>, several_traces: bool) -> String {
    let process = finding.process;
    let command: Vec<_> = process.command.iter().map(|word| harmless(word)).collect();
    let from =
        if process.parent == 0 { String::new() } else { format!(", started by process {}", process.parent) };
    let trace =
        if several_traces { format!(" in {}", harmless(&finding.recording.name)) } else { String::new() };
    format!("PROCESS {}{trace}: {} (pid {}{from})", process.number, command.join(" "), process.pid)
}

/// Writes one finding. Whether anything was folded.
pub(crate) fn write_finding(
    out: &mut dyn Write,
    finding: &Finding<'_>,
    options: &Options,
    style: Style,
    sources: &mut Sources,
) -> io::Result<bool> {
    let plain = sentence::plain(finding);
    writeln!(out, "{}", if KINDS[finding.kind].is_error { style.bad(plain) } else { style.doubtful(plain) })?;
    if let (Some(around), Some(frame)) = (options.source, &finding.stack.user) {
        for line in sources.excerpt(frame, &finding.recording.directory, around) {
            writeln!(out, "   {}", style.faint(line))?;
        }
    }
    let thread = finding.error.thread;
    if thread != finding.process.main_thread && thread != 0 {
        let name = match harmless(finding.recording.thread_name(thread)) {
            name if name.is_empty() => String::new(),
            name => format!(" {name}"),
        };
        writeln!(out, "Thread {thread}{name}:")?;
    }
    writeln!(out, "{}", words::what(finding))?;
    let parts = words::parts(finding);
    // Valgrind says of a fatal signal why it came before it says where.
    let early = finding.error.kind == ErrorKind::FatalSignal;
    let mut folded = false;
    let inherited = finding.error.descriptor.as_ref().is_some_and(|descriptor| descriptor.inherited);
    if inherited && finding.stack.frames.is_empty() {
        // What Valgrind prints in place of the stack.
        return parts.iter().try_fold(folded, |folded, part| match part {
            Part::Aux(line, _) | Part::Declared(line, ..) => writeln!(out, "   {line}").map(|()| folded),
        });
    }
    if !early {
        folded |= write_stack(out, &finding.stack, options, style)?;
    }
    for part in &parts {
        match part {
            Part::Aux(line, stack) => {
                writeln!(out, " {line}")?;
                if let Some(stack) = stack {
                    folded |= write_stack(out, stack, options, style)?;
                }
            }
            Part::Declared(line, ..) => writeln!(out, " {line}")?,
        }
    }
    if early {
        folded |= write_stack(out, &finding.stack, options, style)?;
    }
    Ok(folded)
}

fn write_stack(out: &mut dyn Write, stack: &Stack<'_>, options: &Options, style: Style) -> io::Result<bool> {
    let frames = &stack.frames;
    if frames.is_empty() {
        writeln!(out, "   at an unknown place: the recording has no stack")?;
    }
    let lines = if options.show_internal_frames {
        (0..frames.len()).map(Line::Frame).collect()
    } else {
        fold(frames)
    };
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

fn write_hints(out: &mut dyn Write, report: &Report<'_>, folded: bool, style: Style) -> io::Result<()> {
    let mut hints = Vec::new();
    let hidden: u64 = report.findings.not_listed.iter().map(|(_, count)| count).sum();
    if hidden > 0 {
        let kinds: Vec<_> = report
            .findings
            .not_listed
            .iter()
            .map(|(kind, count)| format!("{} {}", grouped(*count), KINDS[*kind].name))
            .collect();
        let verb = if hidden == 1 { "is" } else { "are" };
        let findings = counted(hidden, "finding", "findings");
        hints.push(format!(
            "{findings} of other kinds {verb} not listed ({}); see --kinds=all",
            kinds.join(", ")
        ));
    }
    if !report.not_checked.is_empty() {
        hints.push(format!("The recording did not look for {}.", report.not_checked.join(", ")));
    }
    if folded {
        hints.push("Frames of standard libraries are folded; --show-internal-frames shows them.".to_owned());
    }
    if !hints.is_empty() {
        writeln!(out)?;
    }
    hints.iter().try_for_each(|hint| writeln!(out, "{}", style.faint(hint)))
}

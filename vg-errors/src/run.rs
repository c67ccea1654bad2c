//! From the options to the exit status: reads the traces, groups their errors, writes the report.
//!
//! A recording that did not look for errors cannot answer: status 2 and one line. So does one that looked for none of
//! the selected kinds. One that is incomplete and in which nothing was found ends with 2, too: a program that was killed
//! does not pass. So does one that looked at no access to memory, as most do, unless only other kinds are selected: what
//! it says of calls of allocators is not what most people take 'no errors' for. Not here: formats, grouping.

use crate::findings::{self, Findings};
use crate::kinds::{self, CHECKS, KINDS, NAMES};
use crate::load::{self, Recording};
use crate::options::{Format, Options};
use crate::{csv, github, json, sarif, text, xml};
use report::cli::{self, Stop};
use report::style::Style;
use schema::check;
use std::io::{BufWriter, Write};

/// The name in messages.
pub const TOOL: &str = "vg-errors";

/// All that is reported.
pub struct Report<'t> {
    /// The traces.
    pub recordings: &'t [Recording],
    /// Every trace is whole and nothing in it is missing.
    pub complete: bool,
    /// What was found.
    pub findings: Findings<'t>,
    /// What is missing, a line each.
    pub problems: &'t [String],
    /// What some recording did not look for, in words.
    pub not_checked: Vec<&'static str>,
    /// The exit status.
    pub status: u8,
}

/// Runs the tool.
///
/// # Errors
/// Whatever keeps it from an answer.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<u8, Stop> {
    let options: Options = cli::parse(arguments)?;
    let mut recordings = Vec::new();
    for source in cli::sources(&options.traces, TOOL)? {
        let recording = load::read(&source)?;
        for warning in &recording.warnings {
            cli::warn(TOOL, format_args!("{}: {warning}", recording.name));
        }
        recordings.push(recording);
    }
    let mut problems: Vec<String> = Vec::new();
    for recording in &recordings {
        problems.extend(recording.problems.iter().map(|problem| format!("{}: {problem}", recording.name)));
    }
    let blind: Vec<String> = recordings.iter().filter_map(|recording| blind(recording, &options)).collect();
    check_process(&recordings, &options)?;
    if blind.len() == recordings.len() {
        // The recorder's own complaints may be the reason.
        problems.iter().for_each(|problem| cli::warn(TOOL, problem));
        return Err(Stop::trouble(blind.join("; ")));
    }
    problems.extend(blind.iter().cloned());
    problems.iter().for_each(|problem| cli::warn(TOOL, problem));
    let complete = problems.is_empty() && recordings.iter().all(|recording| recording.complete);
    let findings = findings::analyse(&recordings, &options);
    let status = match (findings.listed.is_empty(), complete) {
        (false, _) => options.error_exitcode,
        (true, true) => match recordings.iter().find_map(|recording| without_accesses(recording, &options)) {
            Some(why) => {
                cli::warn(TOOL, why);
                cli::TROUBLE
            }
            None => cli::CLEAN,
        },
        (true, false) => {
            cli::warn(TOOL, "nothing was found, but the recording is not complete: that is no clean result");
            cli::TROUBLE
        }
    };
    let report = Report {
        recordings: &recordings,
        complete,
        findings,
        problems: &problems,
        not_checked: not_checked(&recordings),
        status,
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = match options.output() {
        Format::Text => text::write(&mut out, &report, &options, Style::for_stdout(options.color)),
        Format::Json => json::write(&mut out, &report),
        Format::Csv => csv::write(&mut out, &report),
        Format::Xml => xml::write(&mut out, &report, &options),
        Format::Sarif => sarif::write(&mut out, &report, &options),
        Format::Github => github::write(&mut out, &report, &options),
    };
    // Who stops reading early still wants to know whether there were findings.
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(Stop::from_write(&error)),
        _ => {}
    }
    Ok(status)
}

/// Why a recording cannot say anything about the selected kinds.
fn blind(recording: &Recording, options: &Options) -> Option<String> {
    let selected = options.selected();
    if recording.errors.iter().any(|error| selected.has(kinds::index(error.kind))) {
        return None;
    }
    let name = &recording.name;
    if recording.checks == 0 {
        return Some(format!(
            "{name}: the recording did not look for errors, so that it cannot say whether there are any; record \
             with --events=alloc,shadow"
        ));
    }
    let looked = |index: &usize| KINDS[*index].checks == 0 || KINDS[*index].checks & recording.checks != 0;
    let chosen: Vec<usize> = (0..KINDS.len()).filter(|index| selected.has(*index)).collect();
    if chosen.is_empty() || chosen.iter().any(looked) {
        return None;
    }
    Some(format!("{name}: the recording did not look for {}", NAMES.list(selected)))
}

/// That a recording in which nothing was found did not look at the accesses to memory whose errors are selected.
fn without_accesses(recording: &Recording, options: &Options) -> Option<String> {
    const ACCESSES: u32 = check::ADDRESSES | check::VALUES;
    let selected = options.selected();
    let asked = (0..KINDS.len()).any(|index| selected.has(index) && KINDS[index].checks & ACCESSES != 0);
    (asked && recording.checks & ACCESSES == 0).then(|| {
        format!(
            "{}: nothing was found, but the recording did not look at accesses to memory: record with \
             --events=alloc,shadow, or ask for what it looked for alone, with --kinds=free,size",
            recording.name
        )
    })
}

/// What at least one recording did not look for.
fn not_checked(recordings: &[Recording]) -> Vec<&'static str> {
    let all = recordings.iter().fold(u32::MAX, |all, recording| all & recording.checks);
    CHECKS.iter().filter(|(bit, _)| all & bit == 0).map(|(_, words)| *words).collect()
}

/// That `--process` names one that is there.
fn check_process(recordings: &[Recording], options: &Options) -> Result<(), Stop> {
    let Some(wanted) = options.process else { return Ok(()) };
    let mut processes = recordings.iter().flat_map(|recording| &recording.processes);
    if processes.any(|process| process.is(wanted)) {
        return Ok(());
    }
    let known: Vec<_> = recordings
        .iter()
        .flat_map(|recording| &recording.processes)
        .map(|process| format!("{} (pid {})", process.number, process.pid))
        .collect();
    let name = recordings.first().map_or("", |recording| recording.name.as_str());
    Err(Stop::trouble(format!("{name}: no process {wanted} in the recording; it has {}", known.join(", "))))
}

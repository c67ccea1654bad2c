//! From the options to the exit status: reads the trace, chooses processes, writes a report of each.

use crate::callers::Callers;
use crate::load::{self, Keep, Process, Recording};
use crate::options::{At, Format, Options};
use crate::profile::{Events, Settings};
use crate::snapshots::{Rules, Snapshot};
use crate::totals::Totals;
use crate::{csv, json, massif, text, top};
use report::cli::{self, Stop};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// The name in messages.
pub const TOOL: &str = "vg-massif";

/// Processes that are named beside the one that is shown.
const NAMED: usize = 5;

/// What is reported of a process.
pub(crate) struct Report<'t> {
    pub(crate) process: &'t Process,
    /// The trace has all of the recording.
    pub(crate) is_complete: bool,
    pub(crate) snapshots: Vec<Snapshot>,
    /// For `--summary` and `--top`; then the peak is the only snapshot.
    pub(crate) totals: Option<Totals>,
    pub(crate) callers: Callers<'t>,
}

impl Report<'_> {
    /// Something was allocated, and no snapshot says by whom.
    fn tells_nothing(&self) -> bool {
        self.snapshots.iter().all(|snapshot| snapshot.detail.is_none())
            && self.snapshots.iter().any(|snapshot| snapshot.bytes > 0)
    }
}

/// Runs the tool.
///
/// # Errors
/// Whatever keeps it from an answer.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<u8, Stop> {
    let options: Options = cli::parse(arguments)?;
    options.check()?;
    let sources = cli::sources(options.trace.as_slice(), TOOL)?;
    let pattern = options.output.as_deref().and_then(Path::to_str).filter(|name| name.contains("%p"));
    let keep = if pattern.is_some() || options.process.is_some() { Keep::All } else { Keep::First };
    for source in &sources {
        let recording = load::read(source, keep)?;
        for problem in &recording.problems {
            cli::warn(TOOL, format_args!("{}: {problem}", recording.name));
        }
        if !recording.has_heap {
            return Err(Stop::trouble(format_args!(
                "{}: no heap events in the recording; record it again with --events=alloc,clock",
                recording.name
            )));
        }
        match (pattern, options.process) {
            (Some(pattern), None) => write_all(&recording, pattern, &options)?,
            _ => write_one(&recording, pattern, &options)?,
        }
    }
    Ok(cli::CLEAN)
}

/// Each process that allocated, to a file of its own.
fn write_all(recording: &Recording, pattern: &str, options: &Options) -> Result<(), Stop> {
    let mut names = HashSet::new();
    for process in recording.processes.iter().filter(|process| process.events > 0) {
        let mut name = pattern.replace("%p", &process.pid.to_string());
        if !names.insert(name.clone()) {
            // The kernel used an id again.
            name = format!("{name}.{}", process.number);
        }
        write_file(Path::new(&name), &mut report(recording, process, options), options)?;
    }
    Ok(())
}

/// The process that was asked for, or the first one.
fn write_one(recording: &Recording, pattern: Option<&str>, options: &Options) -> Result<(), Stop> {
    let process = choose(recording, options.process)?;
    if options.process.is_none() {
        let others =
            recording.processes.iter().filter(|other| other.number != process.number && other.events > 0);
        let others: Vec<_> = others.map(Process::describe).collect();
        if !others.is_empty() {
            let (named, more) = others.split_at(others.len().min(NAMED));
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            cli::warn(
                TOOL,
                format_args!(
                    "{}: this is process {}; others that allocated: {}{more}; choose with --process=N, or write all with \
                     -o massif.out.%p",
                    recording.name,
                    process.describe(),
                    named.join(", ")
                ),
            );
        }
    }
    let mut report = report(recording, process, options);
    if report.tells_nothing() && options.format != Some(Format::Csv) {
        cli::warn(
            TOOL,
            format_args!(
                "{}: no snapshot tells who allocated, since there are few and the heap only grew; --detailed-freq=1 has it \
                 told",
                recording.name
            ),
        );
    }
    match (&options.output, pattern) {
        (None, _) => {
            write(&mut io::stdout().lock(), &mut report, options).map_err(|error| Stop::from_write(&error))
        }
        (Some(_), Some(pattern)) => {
            let name = pattern.replace("%p", &process.pid.to_string());
            write_file(Path::new(&name), &mut report, options)
        }
        (Some(path), None) => write_file(path, &mut report, options),
    }
}

fn choose(recording: &Recording, wanted: Option<u32>) -> Result<&Process, Stop> {
    let processes = &recording.processes;
    let Some(wanted) = wanted else {
        let none = || Stop::trouble(format_args!("{}: no process in the recording", recording.name));
        return processes.first().ok_or_else(none);
    };
    let by_number = processes.iter().find(|process| process.number == wanted);
    by_number.or_else(|| processes.iter().find(|process| process.pid == wanted)).ok_or_else(|| {
        let known: Vec<_> = processes.iter().map(Process::describe).collect();
        Stop::trouble(format_args!(
            "{}: no process {wanted} in the recording; it has {}",
            recording.name,
            known.join(", ")
        ))
    })
}

fn report<'t>(recording: &'t Recording, process: &'t Process, options: &'t Options) -> Report<'t> {
    let mut callers = Callers::new(&recording.symbols, &options.alloc_fn, &options.ignore_fn, options.depth);
    let settings = Settings {
        unit: options.time_unit,
        heap_admin: options.heap_admin,
        rules: Rules {
            max_snapshots: options.max_snapshots as usize,
            detailed_freq: options.detailed_freq,
            peak_inaccuracy: options.peak_inaccuracy,
        },
    };
    let (pieces, began) = recording.history(process);
    let events = Events { pieces: &pieces, began };
    let totals = options.totals().then(|| Totals::of(&events, settings, |stack| callers.is_ignored(stack)));
    let is_ignored = |stack| callers.is_ignored(stack);
    let snapshots = match options.at.or(totals.is_some().then_some(At::Peak)) {
        None => events.snapshots(settings, is_ignored),
        Some(at) => vec![events.at(at, settings, is_ignored)],
    };
    Report { process, is_complete: recording.is_complete, snapshots, totals, callers }
}

fn write_file(path: &Path, report: &mut Report<'_>, options: &Options) -> Result<(), Stop> {
    let trouble = |error: &io::Error| {
        Stop::trouble(format_args!("{}: cannot write: {}", path.display(), cli::plain(error)))
    };
    let mut file = File::create(path).map_err(|error| trouble(&error))?;
    write(&mut file, report, options).map_err(|error| trouble(&error))
}

fn write(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match options.format(io::stdout().is_terminal()) {
        Format::Text if options.totals() => top::write(&mut out, report, options)?,
        Format::Json if options.totals() => top::write_json(&mut out, report, options)?,
        Format::Massif => massif::write(&mut out, report, options)?,
        Format::Text => text::write(&mut out, report, options)?,
        Format::Json => json::write(&mut out, report, options)?,
        Format::Csv => csv::write(&mut out, report)?,
    }
    out.flush()
}

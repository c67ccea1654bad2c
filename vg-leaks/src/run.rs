//! From the options to the exit status: reads the traces, analyses each process, writes the report.
//!
//! A recording without any heap snapshot cannot answer and ends with status 2; one where only some process has none
//! is reported with a warning, and with status 2 when that process is the recorded program itself and nothing was
//! found elsewhere. Not here: formats, analysis.

use crate::classify::classify;
use crate::findings::{self, Answer, Findings, Stacks, Usage};
use crate::graph::{Place, Root};
use crate::load::{self, Process, Recording, SnapshotId};
use crate::options::{Format, LeakCheck, Options, Snapshot};
use crate::records::{Count, Summary};
use crate::{csv, json, list, text};
use report::cli::{self, Stop};
use report::format::signal_name;
use report::style::Style;
use schema::{End, Start};
use std::io::{BufWriter, Write};

/// The name in messages.
pub const TOOL: &str = "vg-leaks";

/// All that is reported.
pub struct Report<'t> {
    /// Command line of the recorded program (of the first trace).
    pub command: &'t [String],
    /// Every trace is whole and every process could be analysed.
    pub complete: bool,
    /// Totals over all processes.
    pub summary: Summary,
    /// Number of traces read.
    pub traces: usize,
    /// Sections may be snapshots of one process; the totals are those of the last one of each.
    pub all_snapshots: bool,
    /// One for each process with a heap snapshot.
    pub sections: Vec<Section<'t>>,
    /// What is missing, a line each.
    pub problems: &'t [String],
}

/// A process in a report.
pub struct Section<'t> {
    /// Name of the trace.
    pub trace: &'t str,
    /// The process.
    pub process: &'t Process,
    /// The snapshot that was analysed.
    pub snapshot: SnapshotId,
    /// All live blocks.
    pub in_use: Count,
    /// Calls of the allocator, when the trace has them.
    pub usage: Option<Usage>,
    /// The leaks.
    pub findings: Findings<'t>,
    /// The answer to `--who-points-at`.
    pub answer: Option<Answer<'t>>,
}

/// Runs the tool.
///
/// # Errors
/// Whatever keeps it from an answer.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<u8, Stop> {
    let options: Options = cli::parse(arguments)?;
    let mut recordings = Vec::new();
    for source in cli::sources(&options.traces, TOOL)? {
        let recording = load::read(&source, &options)?;
        for warning in &recording.warnings {
            cli::warn(TOOL, format_args!("{}: {warning}", recording.name));
        }
        recordings.push(recording);
    }
    let mut problems = Vec::new();
    let mut unanswered = false;
    for recording in &recordings {
        problems.extend(recording.problems.iter().map(|problem| format!("{}: {problem}", recording.name)));
        for (process, problem) in without_heap(recording, &options) {
            unanswered |= process.how == Start::Root;
            problems.push(format!("{}: {problem}", recording.name));
        }
    }
    if options.snapshot == Snapshot::List {
        problems.iter().for_each(|problem| cli::warn(TOOL, problem));
        list::print(&recordings, &options)?;
        return Ok(cli::CLEAN);
    }
    if recordings.iter().all(|recording| recording.heaps.is_empty()) {
        return Err(Stop::trouble(nothing_to_report(&recordings, &problems, &options)));
    }
    for problem in &problems {
        cli::warn(TOOL, problem);
    }
    let report = make_report(&recordings, &problems, &options)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = match options.format {
        Format::Text => text::write(&mut out, &report, &options, Style::for_stdout(options.color)),
        Format::Json => json::write(&mut out, &report),
        Format::Csv => csv::write(&mut out, &report),
    };
    // Who stops reading early still wants to know whether there were findings.
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(Stop::from_write(&error)),
        _ => {}
    }
    let found = report.sections.iter().any(|section| section.findings.findings > 0);
    Ok(match (found, unanswered) {
        _ if options.who_points_at.is_some() || options.leak_check == LeakCheck::No => cli::CLEAN,
        (true, _) => options.error_exitcode,
        (false, true) => cli::TROUBLE,
        (false, false) => cli::CLEAN,
    })
}

fn make_report<'t>(
    recordings: &'t [Recording],
    problems: &'t [String],
    options: &Options,
) -> Result<Report<'t>, Stop> {
    let mut sections = Vec::new();
    let mut nearest = None;
    for recording in recordings {
        for heap in &recording.heaps {
            let process = &recording.processes[heap.process];
            let graph = &heap.graph;
            let mut stacks = Stacks::new(&recording.symbols, &process.executable, options);
            let classes = classify(graph, options.leak_check_heuristics);
            let answer = match options.who_points_at {
                None => None,
                Some(address) => {
                    let describe = |root: &Root| describe(root, recording, process.number);
                    match findings::answer(graph, &classes, &stacks, options, address, describe) {
                        Ok(answer) => Some(answer),
                        Err(block) => {
                            nearest = nearest.or(block);
                            continue;
                        }
                    }
                }
            };
            let mut in_use = Count::default();
            (0..graph.len() as u32).for_each(|block| in_use.add_block(graph.size(block)));
            let findings = match (options.leak_check, &answer) {
                (LeakCheck::No, _) => Findings::default(),
                (_, Some(_)) => Findings { summary: Summary::of(graph, &classes), ..Findings::default() },
                (_, None) => findings::analyse(graph, &classes, &mut stacks, options),
            };
            sections.push(Section {
                trace: &recording.name,
                process,
                snapshot: heap.snapshot,
                in_use,
                usage: heap.usage.or(process.usage),
                findings,
                answer,
            });
        }
    }
    if let (Some(address), true) = (options.who_points_at, sections.is_empty()) {
        let hint = nearest.map_or_else(String::new, |(start, size)| {
            format!("; the nearest one is the block of {size} bytes at 0x{start:X}")
        });
        return Err(Stop::trouble(format_args!("no block on the heap contains 0x{address:X}{hint}")));
    }
    let mut summary = Summary::default();
    for (i, section) in sections.iter().enumerate() {
        let next = sections.get(i + 1);
        if next.is_none_or(|next| !std::ptr::eq(next.process, section.process)) {
            summary.add(&section.findings.summary);
        }
    }
    Ok(Report {
        command: recordings.first().map_or(&[], |recording| &recording.command),
        complete: problems.is_empty() && recordings.iter().all(|recording| recording.complete),
        summary,
        traces: recordings.len(),
        all_snapshots: options.snapshot == Snapshot::All,
        sections,
        problems,
    })
}

/// Where a root word lies, for people.
fn describe(root: &Root, recording: &Recording, process: u32) -> String {
    const REGISTERS: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    let thread = match root.thread {
        0 => String::new(),
        number => format!(" of thread {number}{}", recording.thread_name(number)),
    };
    let address = root.address;
    match root.place {
        Place::Register(number) => match REGISTERS.get(usize::from(number)) {
            Some(name) => format!("register {name}{thread}"),
            None => format!("register {number}{thread}"),
        },
        Place::Stack => format!("0x{address:X}: word on the stack{thread}"),
        Place::Data => match recording.module_at(process, address) {
            Some(module) => format!("0x{address:X}: word in the data of {module}"),
            None => format!("0x{address:X}: word in a module's data"),
        },
        Place::Mapping => format!("0x{address:X}: word in mapped memory"),
        Place::Tls => format!("0x{address:X}: word in thread-local storage{thread}"),
        Place::Other => format!("0x{address:X}: word outside of the heap"),
    }
}

/// The processes that should have a heap snapshot and have none, with the reason.
fn without_heap<'r>(recording: &'r Recording, options: &Options) -> Vec<(&'r Process, String)> {
    let lacking = |(index, process): &(usize, &Process)| {
        recording.heaps.iter().all(|heap| heap.process != *index)
            && options.process.is_none_or(|wanted| process.is(wanted))
            && matches!(options.snapshot, Snapshot::Last | Snapshot::All)
            // A child of vfork uses its parent's memory until it executes something.
            && process.how != Start::Vfork
            && !matches!(process.end, Some((End::NativeExec, _)))
    };
    let processes = recording.processes.iter().enumerate();
    processes.filter(lacking).map(|(_, process)| (process, missing(process))).collect()
}

fn missing(process: &Process) -> String {
    let why = match process.end {
        None => "it had not ended".to_owned(),
        Some((End::Exit, status)) => format!("it exited with status {status}"),
        Some((End::Signal, signal)) => format!("it was killed by {}", signal_name(signal)),
        Some((End::EngineError, _)) => "recording it failed".to_owned(),
        Some((End::Lost, 0)) => "it was lost".to_owned(),
        Some((End::Lost, signal)) => format!("it was killed by {}", signal_name(signal)),
        Some((End::Exec | End::NativeExec, _)) => "it executed another program".to_owned(),
        Some((End::Other(how), value)) => {
            format!("it ended in a way that this version does not know ({how}, {value})")
        }
    };
    format!(
        "process {} (pid {}): the recording ended before the leak scan: {why}",
        process.number, process.pid
    )
}

fn nothing_to_report(recordings: &[Recording], problems: &[String], options: &Options) -> String {
    let name = recordings.first().map_or("", |recording| recording.name.as_str());
    let processes: Vec<_> = recordings.iter().flat_map(|recording| &recording.processes).collect();
    if let Some(wanted) = options.process.filter(|wanted| !processes.iter().any(|p| p.is(*wanted))) {
        let known: Vec<_> = processes.iter().map(|p| format!("{} (pid {})", p.number, p.pid)).collect();
        return format!("{name}: no process {wanted} in the recording; it has {}", known.join(", "));
    }
    if let Snapshot::Number(number) = options.snapshot {
        return format!("{name}: no snapshot {number} in the recording; see --snapshot=list");
    }
    match problems {
        [] => format!("{name}: no heap snapshot in the recording; record it again with --events=alloc"),
        problems => problems.join("; "),
    }
}

//! The end of a recording: names for frames, remarks, counters, the trailer.
//!
//! Always holds: whatever was lost is in the trailer, and a trace whose trailer says "complete" holds everything.
//! Not here: draining (`drain`), ending this process (`wait`).

use crate::decode::{ROOT, Recording};
use crate::modules::{Binary, is_system};
use crate::stats::{self, Phases};
use crate::symbols::{self, Quality, Wanted};
use crate::trace::Trace;
use crate::variables;
use crate::wait::Outcome;
use schema::{Counters, End, Lost, Severity, Trailer};
use std::collections::BTreeMap;
use std::time::Instant;

/// What was asked for and what was seen, as far as the end needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// How the first process ended.
    pub outcome: Outcome,
    /// Processes that still ran then.
    pub running: usize,
    /// Allocation events were asked for.
    pub heap: bool,
    /// Wall time of the phases so far.
    pub phases: Phases,
}

/// Completes the trace. Returns the wall times, with that of the symbols.
pub(crate) fn finish(recording: &mut Recording, ending: Ending) -> Phases {
    let mut phases = ending.phases;
    if let Some(live) = recording.live.take() {
        let contexts = live.finish();
        let (pid, errors) =
            (recording.processes.get(&ROOT).map_or(0, |root| root.pid), recording.errors.total());
        eprintln!("=={pid}== ERROR SUMMARY: {errors} errors from {contexts} contexts (suppressed: 0 from 0)");
    }
    let lost = end_processes(recording, ending);
    let time = recording.now();
    recording.flush();
    let start = Instant::now();
    name_frames(recording, time);
    recording.finish_counts();
    recording.finish_contexts();
    recording.finish_costs();
    variables::write(recording);
    phases.symbols = start.elapsed();
    if ending.heap {
        explain_silence(recording, time);
    }
    let counters = Counters { process: 0, values: stats::recorder(recording, phases) };
    recording.trace.put(|writer| writer.counters(&counters));
    let (how, value) = outcome_in_trace(ending.outcome, recording);
    let complete = lost.is_empty();
    let trailer = Trailer { time, how, value, complete, lost, messages: 0, events: 0 };
    recording.trace.put(|writer| writer.trailer(&trailer));
    phases
}

fn outcome_in_trace(outcome: Outcome, recording: &Recording) -> (End, u32) {
    let said = recording.processes.get(&ROOT).and_then(|process| process.end);
    match (outcome, said) {
        // The engine's own word tells more: what it failed at, or that the last program ran natively.
        (_, Some((how @ (End::EngineError | End::NativeExec), value))) => (how, value),
        (Outcome::Exited(status), _) => (End::Exit, u32::from(status)),
        (Outcome::Killed(signal), Some((End::Signal, _))) => (End::Signal, signal as u32),
        (Outcome::Killed(signal), _) => (End::Lost, signal as u32),
    }
}

/// Tells the end of every process that has not told it. Returns what is missing in the trace.
fn end_processes(recording: &mut Recording, ending: Ending) -> Vec<Lost> {
    let time = recording.now();
    let mut lost = Vec::new();
    let silent: Vec<u32> = recording
        .processes
        .iter()
        .filter(|(_, process)| process.end.is_none())
        .map(|(&number, _)| number)
        .collect();
    for number in silent {
        let (value, reason) = match (number, ending.outcome) {
            (ROOT, Outcome::Killed(signal)) => {
                (signal as u32, format!("killed by signal {signal} before it could complete its recording"))
            }
            (ROOT, Outcome::Exited(_)) => (0, "it ended without completing its recording".into()),
            _ => (0, "it was killed, or still ran when the first process had ended".into()),
        };
        recording.process_end(number, time, End::Lost, value, 0);
        recording.totals.lost_processes += 1;
        lost.push(Lost { process: number, events: 0, reason });
    }
    // Those that were found dead while the recording went on.
    for (&number, process) in &recording.processes {
        if process.end == Some((End::Lost, 0)) && !lost.iter().any(|lost| lost.process == number) {
            let reason = "it was killed before it could complete its recording".into();
            lost.push(Lost { process: number, events: 0, reason });
        }
    }
    if ending.running > 0 {
        let processes = if ending.running == 1 {
            "1 process was".into()
        } else {
            format!("{} processes were", ending.running)
        };
        let text =
            format!("{processes} still running when the program ended; what came later is not recorded");
        recording.trace.remark(Severity::Warning, 0, 0, time, &text);
    }
    let totals = recording.totals.clone();
    if totals.without_stack > 0 {
        let text = format!("{} heap events have no stack: its description was lost", totals.without_stack);
        recording.trace.remark(Severity::Warning, 0, 0, time, &text);
        lost.push(Lost { process: 0, events: 0, reason: text });
    }
    if totals.corrupt_rings > 0 {
        let reason = format!("{} threads: their rings were overwritten", totals.corrupt_rings);
        lost.push(Lost { process: 0, events: 0, reason });
    }
    if totals.cut_snapshots > 0 {
        let reason = format!("{} leak graphs are incomplete", totals.cut_snapshots);
        lost.push(Lost { process: 0, events: 0, reason });
    }
    if totals.unknown_records > 0 {
        let reason = format!("{} records of the engine made no sense", totals.unknown_records);
        lost.push(Lost { process: 0, events: 0, reason });
    }
    lost
}

/// Looks up every frame of every stack and writes the names.
fn name_frames(recording: &mut Recording, time: u64) {
    let mut by_module: BTreeMap<u32, Vec<Wanted>> = BTreeMap::new();
    for (at, frame) in recording.trace.stacks.frames().iter().enumerate() {
        let wanted = Wanted { frame: at as u32 + 1, rva: frame.rva, exact: frame.exact };
        by_module.entry(frame.module).or_default().push(wanted);
    }
    if recording.trace.has_failed() {
        return;
    }
    let work: Vec<(&Binary, Vec<Wanted>)> = recording
        .modules
        .binaries()
        .iter()
        .filter_map(|binary| Some((binary.as_ref(), by_module.remove(&binary.module)?)))
        .collect();
    let answers = symbols::resolve(&work);
    let mut without_lines = Vec::new();
    let mut unreadable = Vec::new();
    for ((binary, _), answer) in work.iter().zip(&answers) {
        recording.trace.symbols(&answer.frames);
        match answer.quality {
            Quality::NoLines { rust } if !is_system(&binary.path) => without_lines.push((*binary, rust)),
            Quality::Unreadable => unreadable.push(*binary),
            _ => {}
        }
    }
    advise(&mut recording.trace, time, &without_lines, &unreadable);
}

/// One remark for files without line numbers, one for files that are gone. Files of the system's packages are not
/// named: their users can do nothing about them.
fn advise(trace: &mut Trace, time: u64, without_lines: &[(&Binary, bool)], unreadable: &[&Binary]) {
    let others = |count: usize| match count {
        0 | 1 => String::new(),
        more => format!(" (and {} more files)", more - 1),
    };
    if let Some((binary, rust)) = without_lines.first() {
        let fix = if *rust {
            "set debug = true in the Cargo profile ([profile.release] for cargo build --release)"
        } else {
            "compile it with -g and do not strip it"
        };
        let text = format!(
            "{} has no debug information, so the trace has no line numbers for it{}; {fix}",
            binary.path.display(),
            others(without_lines.len()),
        );
        trace.remark(Severity::Note, 0, 0, time, &text);
        trace.say(&text);
    }
    if let Some(binary) = unreadable.first() {
        let text = format!(
            "{} cannot be read any more, or was changed since: its functions have no names in the trace{}",
            binary.path.display(),
            others(unreadable.len()),
        );
        trace.remark(Severity::Warning, 0, 0, time, &text);
    }
}

/// A recording without a single heap event is rarely what was wanted.
fn explain_silence(recording: &mut Recording, time: u64) {
    if recording.trace.events().0 > 0 {
        return;
    }
    let why = match &recording.notes[..] {
        [] if recording.processes.is_empty() => "the engine did not start to record".to_owned(),
        [] => "the program allocates no memory, or has an allocator that is not known".to_owned(),
        notes => notes.join("; "),
    };
    let text = format!("no heap event was recorded: {why}");
    recording.trace.remark(Severity::Warning, 0, 0, time, &text);
}

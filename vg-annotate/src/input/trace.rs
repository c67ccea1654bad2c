//! Traces of `vg-record`: executed instructions by function and line.
//!
//! What always holds: each instruction costs its function and its line as much as it was executed; what inlined code costs
//! is its own line's, and its function is the one that it was inlined into. Calls are not in traces yet.

use crate::options::Options;
use crate::profile::{Event, Function, Place, Profile};
use crate::run::TOOL;
use report::cli::{self, Source, Stop};
use schema::read::{Ending, Trace};
use std::collections::BTreeMap;
use std::io::Read;

/// Reads a trace.
///
/// # Errors
/// When it cannot be read, or says nothing of the selected processes and threads.
pub(super) fn read(input: impl Read, source: &Source, options: &Options) -> Result<Profile, Stop> {
    let name = source.name();
    let trace = Trace::load(input).map_err(|ending| match ending {
        Ending::Truncated { bytes: 0, .. } => {
            Stop::trouble(format_args!("{name}: empty; did vg-record say why it wrote nothing?"))
        }
        Ending::NotATrace(why) => Stop::trouble(format_args!(
            "{name}: neither a trace that can be read ({why}) nor a file of callgrind, cachegrind or massif"
        )),
        ending => Stop::trouble(format_args!("{name}: {ending}")),
    })?;
    let mut profile = Profile::new(vec![Event::named("Ir")]);
    profile.command = trace.header.argv.iter().map(ToString::to_string).collect();
    profile.directory = trace.header.cwd.to_string();
    profile.complete = is_complete(&trace, source);
    if add(&mut profile, &trace, options) {
        Ok(profile)
    } else {
        Err(Stop::trouble(format!("{name}: {}", missing(&trace, options))))
    }
}

/// Adds what a trace tells of the selected processes and threads. False when it tells of none.
fn add(profile: &mut Profile, trace: &Trace, options: &Options) -> bool {
    let mut found = false;
    // By module and place: many instructions have the same names.
    let mut by_place: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for executions in &trace.executions {
        let pid = trace.process(executions.process).map_or(0, |process| process.image().pid);
        let is_selected = options.process.is_none_or(|wanted| wanted == executions.process || wanted == pid)
            && options.thread.is_none_or(|wanted| wanted == executions.thread);
        if !is_selected {
            continue;
        }
        if !found {
            profile.pid = pid;
        }
        found = true;
        for row in &executions.rows {
            for (rva, _) in row.instructions() {
                let cost = by_place.entry((row.module, trace.code_place(row.module, rva))).or_default();
                *cost = cost.saturating_add(row.times);
            }
        }
    }
    for ((module, place), cost) in by_place {
        let path = trace.module(module).map_or_else(String::new, |info| info.module.path.to_string());
        let names = trace.place_symbols(module, place);
        let (inner, outer) = (names.first(), names.last());
        let function = profile.function_id(Function {
            name: outer.map_or_else(String::new, |outer| outer.function.to_owned()),
            file: outer.map_or_else(String::new, |outer| outer.file.to_owned()),
            module: path,
        });
        let file = profile.file_id(inner.map_or("", |inner| inner.file));
        let line = inner.filter(|inner| !inner.file.is_empty()).map_or(0, |inner| inner.line);
        profile.add_line(function, Place { file, line }, &[cost]);
    }
    found
}

/// Says what is missing in a trace.
fn is_complete(trace: &Trace, source: &Source) -> bool {
    if trace.ending != Ending::Complete {
        cli::warn(TOOL, format_args!("{}: {}", source.name(), trace.ending));
        return false;
    }
    let lost = trace.trailer.iter().flat_map(|trailer| &trailer.lost);
    for lost in lost.clone() {
        cli::warn(TOOL, format_args!("{}: process {}: {}", source.name(), lost.process, lost.reason));
    }
    trace.trailer.as_ref().is_some_and(|trailer| trailer.complete)
}

/// Why there is nothing to show.
fn missing(trace: &Trace, options: &Options) -> String {
    if trace.executions.is_empty() {
        return "the recording has no counts of executed code; record with --events=blocks".to_owned();
    }
    let list = |numbers: Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let mut processes: Vec<u32> = trace.executions.iter().map(|executions| executions.process).collect();
    let mut threads: Vec<u32> = trace.executions.iter().map(|executions| executions.thread).collect();
    processes.sort_unstable();
    processes.dedup();
    threads.sort_unstable();
    threads.dedup();
    match (options.process, options.thread) {
        (Some(process), None) => {
            format!("no counts of process {process} in the recording; it has those of {}", list(processes))
        }
        (_, Some(thread)) => {
            format!("no such counts of thread {thread} in the recording; it has those of {}", list(threads))
        }
        (None, None) => "the recording has no counts of executed code".to_owned(),
    }
}

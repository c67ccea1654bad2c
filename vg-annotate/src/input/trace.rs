//! Traces of `vg-record`: executed instructions by function and line, and jumps.
//!
//! What always holds: each instruction costs its function and its line as much as it was executed; what inlined code costs
//! is its own line's, and its function is the one that it was inlined into. Calls follow from contexts, where those were recorded.

mod functions;
mod parts;
mod simulated;

use crate::options::Options;
use crate::profile::contexts::ContextId;
use crate::profile::jumps::{Jump, Times};
use crate::profile::{Event, FunctionId, Place, Profile};
use crate::run::TOOL;
use functions::{CodePlace, Functions};
use parts::Parts;
use report::cli::{self, Source, Stop};
use schema::read::{Ending, Trace};
use schema::{Context, Contexts};
use simulated::Simulated;
use std::collections::HashMap;
use std::io::Read;

/// Reads a trace.
///
/// # Errors
/// When it cannot be read, or says nothing of the selected processes and threads.
pub(super) fn read(input: impl Read, source: &Source, options: &Options) -> Result<Profile, Stop> {
    let name = source.name();
    let mut simulated = options.simulate.simulate.then(|| Simulated::new(&options.simulate));
    let loaded = match &mut simulated {
        None => Trace::load(input),
        Some(simulated) => Trace::load_seeing(input, |message| simulated.see(message)),
    };
    let mut trace = loaded.map_err(|ending| match ending {
        Ending::Truncated { bytes: 0, .. } => {
            Stop::trouble(format_args!("{name}: empty; did vg-record say why it wrote nothing?"))
        }
        Ending::NotATrace(why) => Stop::trouble(format_args!(
            "{name}: neither a trace that can be read ({why}) nor a file of callgrind, cachegrind or massif"
        )),
        ending => Stop::trouble(format_args!("{name}: {ending}")),
    })?;
    if let Some(simulated) = simulated {
        let lost = simulated.replace(&mut trace);
        let lost = lost.map_err(|why| Stop::trouble(format_args!("{name}: {why}")))?;
        if let Some(first) = lost.first() {
            let others = match lost.len() - 1 {
                0 => String::new(),
                others => format!(" and of {others} others"),
            };
            let text = format_args!(
                "{name}: accesses of process {first}{others} are missing, and cost nothing here"
            );
            cli::warn(TOOL, text);
        }
    }
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
    let is_selected = |process: u32, thread: u32| {
        let pid = trace.process(process).map_or(0, |process| process.image().pid);
        options.process.is_none_or(|wanted| wanted == process || wanted == pid)
            && options.thread.is_none_or(|wanted| wanted == thread)
    };
    let parts = Parts::of(trace, options.part.as_deref());
    let costs: Vec<&schema::Costs> = trace
        .costs
        .iter()
        // They are of processes; which thread made an access is not known.
        .filter(|costs| {
            options.thread.is_none() && is_selected(costs.process, 0) && parts.has(costs.process, costs.part)
        })
        .collect();
    let events = add_events(profile, trace, &costs);
    let mut found = false;
    // By module and place, with the lowest address: many instructions have the same names.
    let mut by_place: HashMap<CodePlace, (u64, Vec<u64>)> = HashMap::new();
    let mut add_cost = |module, rva, event: usize, times| {
        let place = (module, trace.code_place(module, rva));
        let (first, cost) = by_place.entry(place).or_insert_with(|| (rva, vec![0; 1 + events.len()]));
        *first = (*first).min(rva);
        cost[event] = u64::saturating_add(cost[event], times);
    };
    for executions in &trace.executions {
        if !is_selected(executions.process, executions.thread) {
            continue;
        }
        if !found {
            profile.pid = trace.process(executions.process).map_or(0, |process| process.image().pid);
        }
        found = true;
        if !parts.has(executions.process, executions.part) {
            continue;
        }
        for row in &executions.rows {
            for (rva, _) in row.instructions() {
                add_cost(row.module, rva, 0, row.times);
            }
        }
    }
    for row in costs.iter().flat_map(|costs| &costs.rows).filter(|row| row.times > 0) {
        add_cost(row.module, row.rva, events[&row.event], row.times);
    }
    let is_wanted = |contexts: &&Contexts| {
        is_selected(contexts.process, contexts.thread) && parts.has(contexts.process, contexts.part)
    };
    let contexts: Vec<&Contexts> = trace.contexts.iter().filter(is_wanted).collect();
    let starts =
        contexts.iter().flat_map(|contexts| &contexts.rows).map(|row| (row.module, row.rva)).collect();
    let places = by_place.iter().map(|((module, place), (first, _))| (*module, *first, *place)).collect();
    let mut functions = Functions::of(profile, trace, places, &starts);
    for (place, (_, cost)) in by_place {
        let (function, written) = functions.at(profile, trace, place);
        profile.add_line(function, written, &cost);
    }
    for contexts in contexts {
        let ids = add_contexts(profile, trace, &mut functions, &contexts.rows);
        let of = (contexts.process, contexts.thread, contexts.part);
        let spent =
            trace.context_costs.iter().filter(|costs| (costs.process, costs.thread, costs.part) == of);
        for row in spent.flat_map(|costs| &costs.rows) {
            let id = row.context.checked_sub(1).and_then(|at| ids.get(at as usize).copied().flatten());
            if let (Some(id), Some(&event)) = (id, events.get(&row.event)) {
                let mut costs = vec![0; 1 + event];
                costs[event] = row.times;
                profile.contexts.add(id, &costs);
            }
        }
    }
    let is_wanted = |jumps: &&schema::Jumps| {
        is_selected(jumps.process, jumps.thread) && parts.has(jumps.process, jumps.part)
    };
    for jumps in trace.jumps.iter().filter(is_wanted) {
        add_jumps(profile, trace, &mut functions, &jumps.rows);
    }
    profile.derive_calls();
    found && parts.missing().is_none()
}

/// Adds the events of costs to the profile: their numbers there, by the strings that are their names.
fn add_events(profile: &mut Profile, trace: &Trace, costs: &[&schema::Costs]) -> HashMap<u32, usize> {
    let mut events = HashMap::new();
    for row in costs.iter().flat_map(|costs| &costs.rows) {
        events.entry(row.event).or_insert_with(|| {
            profile.events.push(Event::named(trace.string(row.event)));
            profile.events.len() - 1
        });
    }
    events
}

/// Adds the jumps of a thread.
fn add_jumps(profile: &mut Profile, trace: &Trace, functions: &mut Functions, rows: &[schema::Jump]) {
    let unknown = Place { file: profile.file_id(""), line: 0 };
    for row in rows {
        let place = |rva| (row.module, trace.code_place(row.module, rva));
        let (function, site) = functions.at(profile, trace, place(row.rva));
        // What was never executed has no name.
        let to = Some(place(row.target)).filter(|(_, place)| *place != 0);
        let to = to.map(|to| functions.at(profile, trace, to));
        let jump = Jump {
            function,
            site,
            address: row.rva,
            target: to.map_or(unknown, |(_, place)| place),
            target_address: row.target,
            conditional: row.conditional,
            leaves: to.is_some_and(|(other, _)| other != function),
        };
        profile.add_jump(jump, Times { executed: row.executed, taken: row.executed - row.passed });
    }
}

/// Adds the contexts of a thread; those of the profile, by row.
fn add_contexts(
    profile: &mut Profile,
    trace: &Trace,
    functions: &mut Functions,
    rows: &[Context],
) -> Vec<Option<ContextId>> {
    // By row; none: what is called there is outermost.
    let mut ids: Vec<Option<ContextId>> = Vec::with_capacity(rows.len());
    // Many rows are of the same functions and places.
    let mut known: HashMap<(u32, u64), (FunctionId, Place)> = HashMap::new();
    for row in rows {
        let mut name = |module, rva| {
            *known
                .entry((module, rva))
                .or_insert_with(|| functions.at(profile, trace, (module, trace.code_place(module, rva))))
        };
        let (function, _) = name(row.module, row.rva);
        let (_, site) = name(row.site_module, row.site_rva);
        let from = row.parent.checked_sub(1).and_then(|parent| ids[parent as usize]);
        let is_function = (row.module, row.rva) != (0, 0);
        if !is_function && row.cost == 0 {
            ids.push(from);
            continue;
        }
        let is_jump = (row.site_module, row.site_rva) == (0, 0) && row.again == 0;
        if let Some(from) =
            from.filter(|from| is_jump && profile.contexts.nodes()[from.0].function == function)
        {
            // A part of the function that lies elsewhere ("f.cold"), and is called by its name: no recursion.
            profile.contexts.add(from, &[row.cost]);
            ids.push(Some(from));
            continue;
        }
        let id = profile.contexts.call(from, site, function, row.calls);
        profile.contexts.add(id, &[row.cost]);
        ids.push(if is_function { Some(id) } else { from });
    }
    ids
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
    let waits = |option: &String| {
        ["--toggle-collect=", "--collect-atstart=no", "--instr-atstart=no"]
            .iter()
            .any(|waits| option.starts_with(waits))
    };
    if let Some(option) = trace.header.options.iter().find(|option| waits(option))
        && trace.executions.is_empty()
    {
        return format!("nothing was collected: with {option} it has to be asked for while the program runs");
    }
    if trace.executions.is_empty() {
        return "the recording has no counts of executed code; record with --events=instr or --events=blocks"
            .to_owned();
    }
    let list = |numbers: Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let mut processes: Vec<u32> = trace.executions.iter().map(|executions| executions.process).collect();
    let mut threads: Vec<u32> = trace.executions.iter().map(|executions| executions.thread).collect();
    processes.sort_unstable();
    processes.dedup();
    threads.sort_unstable();
    threads.dedup();
    if let Some(missing) = Parts::of(trace, options.part.as_deref()).missing() {
        return missing;
    }
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

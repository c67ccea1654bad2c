//! The counters of engine and recorder: their names in the trace, and what `--stats` prints.
//!
//! Always holds: the n-th name belongs to the n-th counter of a `Stats` record; names are never changed, only added.

use crate::decode::Recording;
use ring::record::{STAT_COUNT, Stat};
use std::fmt::Write as _;
use std::time::Duration;

/// Names of the engine's counters, in the order of [`Stat`].
const NAMES: [&str; STAT_COUNT] = [
    "translations",
    "translated_instructions",
    "guest_bytes",
    "cache_bytes",
    "links",
    "indirect_misses",
    "dispatcher_entries",
    "invalidations",
    "evictions",
    "slow_syscalls",
    "signals",
    "allocations",
    "frees",
    "stack_nodes",
    "frames_walked",
    "unwind_rules",
    "ring_bytes",
    "ring_waits",
    "engine_heap_peak",
    "guest_heap_peak",
    "translate_nanoseconds",
    "scan_nanoseconds",
    "check_slow_paths",
    "errors",
    "precise_switches",
    "precise_instructions",
    "conservative_instructions",
    "precise_steps",
    "clean_instructions",
    "guarded_instructions",
    "calls_asked",
];

/// The values of a `Stats` record with their names. Counters of a newer engine are called by their number.
pub(crate) fn named(values: &[u64]) -> Vec<(String, u64)> {
    let name = |i: usize| NAMES.get(i).map_or_else(|| format!("counter_{i}"), |&name| name.to_owned());
    values.iter().enumerate().map(|(i, &value)| (name(i), value)).collect()
}

/// How long the phases of a recording took, in wall time.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Phases {
    /// From the start of the guest to its end.
    pub guest: Duration,
    /// Emptying the rings afterwards.
    pub drain: Duration,
    /// Reading symbols.
    pub symbols: Duration,
}

/// The recorder's own counters.
pub(crate) fn recorder(recording: &Recording, phases: Phases) -> Vec<(String, u64)> {
    let totals = &recording.totals;
    let (events, lost) = recording.trace.events();
    let pairs = [
        ("events", events),
        ("events_not_written", lost),
        ("events_without_stack", totals.without_stack),
        ("records", totals.records),
        ("unknown_records", totals.unknown_records),
        ("rings", totals.rings),
        ("corrupt_rings", totals.corrupt_rings),
        ("ring_bytes_read", totals.ring_bytes),
        ("drain_passes", totals.passes),
        ("processes", recording.processes.len() as u64),
        ("modules", u64::from(recording.modules.count())),
        ("frames", recording.trace.stacks.frames().len() as u64),
        ("stacks", recording.trace.stacks.nodes().len() as u64),
        ("guest_nanoseconds", phases.guest.as_nanos() as u64),
        ("drain_nanoseconds", phases.drain.as_nanos() as u64),
        ("symbol_nanoseconds", phases.symbols.as_nanos() as u64),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// The text of `--stats`, one line each.
pub(crate) fn text(recording: &Recording, phases: Phases) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: u64| {
        let _ = writeln!(out, "{value:>16}  {name}");
    };
    // A peak of two processes is no sum of theirs.
    let is_peak = |i| i == Stat::EngineHeapPeak as usize || i == Stat::GuestHeapPeak as usize;
    if !recording.engine.is_empty() {
        let longest = recording.engine.values().map(Vec::len).max().unwrap_or(0);
        let sums: Vec<u64> = (0..longest)
            .map(|i| {
                let values = recording.engine.values().filter_map(|values| values.get(i).copied());
                if is_peak(i) { values.max().unwrap_or(0) } else { values.sum() }
            })
            .collect();
        for (name, value) in named(&sums) {
            line(&name, value);
        }
        out.push_str(&shares(&sums));
    }
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: u64| {
        let _ = writeln!(out, "{value:>16}  {name}");
    };
    for (name, value) in recorder(recording, phases) {
        line(&name, value);
    }
    let bytes = recording.trace.bytes();
    line("trace_bytes", bytes);
    for kind in recording.trace.statistics().iter().filter(|kind| kind.messages != 0) {
        line(&format!("trace_bytes in {} {} messages", kind.messages, kind.kind), kind.bytes);
    }
    let (events, _) = recording.trace.events();
    if events != 0 {
        let per_event = |bytes: u64| bytes as f64 / events as f64;
        let chunks: u64 = recording
            .trace
            .statistics()
            .iter()
            .filter(|kind| kind.kind == "chunk")
            .map(|kind| kind.bytes)
            .sum();
        let _ = writeln!(out, "{:>16.2}  trace bytes per event", per_event(bytes));
        let _ = writeln!(out, "{:>16.2}  of them in event chunks", per_event(chunks));
        let _ = writeln!(out, "{:>16.2}  ring bytes per event", per_event(recording.totals.ring_bytes));
    }
    out
}

/// Where the guest's instructions were executed, if they were counted and undefined values followed.
fn shares(counters: &[u64]) -> String {
    let value = |stat: Stat| counters.get(stat as usize).map_or(0.0, |&value| value as f64);
    let clean = value(Stat::CleanInstructions);
    let (guarded, precise) = (value(Stat::GuardedInstructions), value(Stat::PreciseInstructions));
    if clean == 0.0 || precise == 0.0 {
        return String::new();
    }
    let all = clean + guarded + precise;
    let mut out = String::new();
    // Writing to a String cannot fail.
    for (part, name) in [(clean, "clean"), (guarded, "guarded"), (precise, "precise")] {
        let _ = writeln!(out, "{:>16.3}  % of instructions in {name} code", 100.0 * part / all);
    }
    let switches = 1000.0 * value(Stat::PreciseSwitches) / all;
    let _ = writeln!(out, "{switches:>16.3}  switches to precise code per 1000 instructions");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_order_of_the_counters() {
        let values: Vec<u64> = (0..STAT_COUNT as u64 + 1).collect();
        let names = named(&values);
        assert_eq!(names[Stat::RingWaits as usize].0, "ring_waits");
        assert_eq!(names[Stat::Translations as usize].0, "translations");
        assert_eq!(names[Stat::ScanNanoseconds as usize].0, "scan_nanoseconds");
        assert_eq!(names[STAT_COUNT], (format!("counter_{STAT_COUNT}"), STAT_COUNT as u64));
    }

    #[test]
    fn shares_are_of_what_was_counted() {
        let mut counters = [0; STAT_COUNT];
        counters[Stat::PreciseInstructions as usize] = 10;
        assert_eq!(shares(&counters), "");
        assert_eq!(shares(&[]), "");
        counters[Stat::CleanInstructions as usize] = 940;
        counters[Stat::GuardedInstructions as usize] = 50;
        counters[Stat::PreciseSwitches as usize] = 4;
        let text = shares(&counters);
        let values: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(values, ["94.000", "5.000", "1.000", "4.000"]);
    }
}

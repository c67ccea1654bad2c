//! A trace of Lackey as runs of instructions with the addresses of their accesses.

use models::{Caches, Segment};
use std::collections::HashMap;

/// One line of Lackey's trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// I, L, S or M.
    pub(crate) kind: u8,
    pub(crate) address: u64,
    pub(crate) size: u32,
}

/// Reads the text that `--trace-mem=yes` writes.
pub(crate) fn read(text: &str) -> Vec<Step> {
    text.lines().filter_map(step).collect()
}

fn step(line: &str) -> Option<Step> {
    let (kind, place) = line.trim_start().split_once(' ')?;
    let (address, size) = place.trim_start().split_once(',')?;
    let kind = kind.bytes().next().filter(|kind| b"ILSM".contains(kind))?;
    Some(Step { kind, address: u64::from_str_radix(address, 16).ok()?, size: size.parse().ok()? })
}

/// What was executed: which segment, and how many of the addresses are its.
pub(crate) struct Log {
    pub(crate) segments: Vec<Segment>,
    pub(crate) executed: Vec<(usize, usize)>,
    pub(crate) addresses: Vec<u64>,
}

/// Cuts where the next instruction does not lie behind the last one.
pub(crate) fn log(trace: &[Step], caches: &Caches) -> Log {
    let mut log = Log { segments: Vec::new(), executed: Vec::new(), addresses: Vec::new() };
    let mut known: HashMap<Vec<(u8, u64, u32)>, usize> = HashMap::new();
    let mut rest = trace;
    while let Some(first) = rest.iter().position(|step| step.kind == b'I') {
        rest = &rest[first..];
        let mut next = rest[0].address;
        let behind = |step: &&Step| {
            let behind = step.kind != b'I' || step.address == next;
            if step.kind == b'I' {
                next = step.address.wrapping_add(u64::from(step.size));
            }
            behind
        };
        let (run, others) = rest.split_at(rest.iter().take_while(behind).count());
        rest = others;
        // What the run is does not depend on the addresses of its data.
        let form = |step: &Step| (step.kind, if step.kind == b'I' { step.address } else { 0 }, step.size);
        let which = *known.entry(run.iter().map(form).collect()).or_insert_with(|| {
            log.segments.push(segment(run, caches));
            log.segments.len() - 1
        });
        log.executed.push((which, log.segments[which].accesses()));
        log.addresses.extend(run.iter().filter(|step| step.kind != b'I').map(|step| step.address));
    }
    log
}

fn segment(run: &[Step], caches: &Caches) -> Segment {
    let mut builder = caches.segment();
    for step in run {
        match step.kind {
            b'I' => builder.instruction(step.address, step.size),
            b'L' => builder.read(step.size),
            b'S' => builder.write(step.size),
            _ => builder.modify(step.size),
        }
    }
    builder.finish()
}

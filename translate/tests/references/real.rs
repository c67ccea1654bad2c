//! Real programs: addresses differ, so what is compared is, for each instruction of the program itself, how often it was
//! executed and which kinds and sizes of references it made.
//!
//! Where both sides execute an instruction equally often, they have to agree. Elsewhere the program went another way: it
//! depends on addresses (hash tables, alignment), on the environment, which has more in Valgrind, on the time, or on what libc
//! finds out about the processor.

use crate::steps::{self, Step};
use crate::valgrind::{self, AS_CALLGRIND, EACH_INSTRUCTION, command, directory, installed};
use std::collections::BTreeMap;
use std::path::Path;
use translate::references::Kind;

/// Executions, and references by kind and size, of the instructions of the program, by their distance from the first one:
/// it is the program that lies lowest, on both sides.
type Uses = BTreeMap<u64, (u64, BTreeMap<(Kind, u32), u64>)>;

/// More bytes than the programs have.
const PROGRAM: u64 = 1 << 24;

fn uses(trace: &[Step]) -> Uses {
    let first = trace.iter().filter(|step| step.kind.is_none()).map(|step| step.address).min().unwrap();
    let mut uses = Uses::new();
    let mut last = None;
    let mut counts = None;
    for step in trace {
        let Some(kind) = step.kind else {
            let at = step.address - first;
            if last != Some(at) {
                counts = (at < PROGRAM).then(|| {
                    uses.entry(at).or_default().0 += 1;
                    at
                });
            }
            last = Some(at);
            continue;
        };
        if let Some(at) = counts {
            *uses.entry(at).or_default().1.entry((kind, step.size)).or_default() += 1;
        }
    }
    uses
}

/// Whether the long tests are wanted, of half a million instructions and more: `VG_LONG=1`.
fn long() -> bool {
    let long = std::env::var_os("VG_LONG").is_some();
    if !long {
        eprintln!("skipped: VG_LONG=1 runs it");
    }
    long
}

/// At most `others` percent of the instructions are executed otherwise.
fn check(test: &str, program: &str, arguments: &[&str], others: usize) {
    if !installed(&["valgrind", program]) {
        return;
    }
    let directory = directory(test);
    let path = valgrind::find(program);
    let mut program = command(Path::new(&path), arguments);
    let native = uses(&steps::trace(&mut program).steps);
    let each = uses(&valgrind::trace(&program, EACH_INSTRUCTION, &directory));
    let optimised = uses(&valgrind::trace(&program, AS_CALLGRIND, &directory));
    let (mut same, mut all, mut dropped, mut made) = (0, 0, 0, 0);
    for (at, (times, found)) in &native {
        all += 1;
        let Some((_, expected)) = each.get(at).filter(|(others, _)| others == times) else { continue };
        same += 1;
        assert_eq!(found, expected, "{test}: instruction {at:#x}");
        let Some((_, kept)) = optimised.get(at).filter(|(others, _)| others == times) else { continue };
        for (&(kind, size), &count) in found {
            let missing = count.checked_sub(kept.get(&(kind, size)).copied().unwrap_or(0));
            let missing = missing.unwrap_or_else(|| panic!("{test}: {at:#x} has more {kind:?}"));
            assert!(missing == 0 || kind == Kind::Read, "{test}: {at:#x} loses {kind:?}");
            dropped += missing;
            made += count;
        }
    }
    eprintln!("{test}: {same} of {all} instructions; Callgrind drops {dropped} of {made} references");
    assert!(all > 1000 && (all - same) * 100 <= all * others, "{test}: {same} of {all}");
    assert!(dropped * 100 <= made, "{test}: {dropped} of {made} references are dropped");
}

#[test]
fn perl() {
    if !long() {
        return;
    }
    let script = "my $t = 0; my %h; for my $i (1 .. 50) { $h{$i % 17} .= chr(65 + $i % 26); $t += length $h{$i % 17}; } \
                  my @s = sort { $a <=> $b } map { ($_ * 7919) % 1000 } 1 .. 30; print $t, join(',', @s), sprintf('%.3f', 1 / 7);";
    check("perl", "perl", &["-e", script], 5);
}

#[test]
fn bash() {
    if !long() {
        return;
    }
    let script = "f() { local i=$1; while ((i > 0)); do s=\"$s${i#1}\"; i=$((i - 1)); done; }; f 12; [[ $s == *12* ]]; case $s in a*) :;; esac; true";
    check("bash", "bash", &["--norc", "-c", script], 5);
}

#[test]
fn gzip() {
    check("gzip", "gzip", &["-c", "/etc/passwd"], 0);
}

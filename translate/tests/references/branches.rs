//! Branches, also those that only Valgrind has, against Callgrind's totals.

use crate::steps::{self, Trace};
use crate::valgrind::{self, EACH_INSTRUCTION, build, command, directory, installed};
use crate::{MODELS, OWN};
use iced_x86::{Instruction, InstructionInfoFactory};
use std::collections::HashMap;
use translate::references::branch::{Artificial, Branch, artificial, branch};
use translate::references::references;

/// `Bc` and `Bi` of a trace of Valgrind, which has an instruction for each round, and for the look that finds the count 0.
fn counted(trace: &[steps::Step], code: &HashMap<u64, Instruction>) -> [u64; 2] {
    let mut counts = [0, 0];
    let mut info = InstructionInfoFactory::new();
    let mut steps = trace.iter().peekable();
    while let Some(step) = steps.next() {
        let insn = &code[&step.address];
        let mut made = 0;
        while steps.next_if(|step| step.kind.is_some()).is_some() {
            made += 1;
        }
        match branch(insn) {
            Some(Branch::Conditional) => counts[0] += 1,
            Some(Branch::Indirect) => counts[1] += 1,
            None => {}
        }
        let mut list = Vec::new();
        references(insn, &mut info, &mut list);
        counts[0] += match artificial(insn) {
            None => 0,
            Some(Artificial::Exchange | Artificial::Rounds) => 1,
            Some(Artificial::ComparingRounds) => 1 + u64::from(made == list.len()),
        };
    }
    counts
}

fn check(folder: &str, source: &str) {
    if !installed(&["valgrind", "gcc"]) {
        return;
    }
    let directory = directory(&format!("branches-{source}"));
    let mut program = command(&build(folder, source, &directory), &[] as &[&str]);
    let Trace { code, .. } = steps::trace(&mut program);
    let found = counted(&valgrind::trace(&program, EACH_INSTRUCTION, &directory), &code);
    let expected = valgrind::totals(&program, &["--branch-sim=yes".to_owned()], &["Bc", "Bi"], &directory);
    assert_eq!(found.to_vec(), expected, "Bc and Bi of {source}");
}

#[test]
fn special() {
    check(OWN, "special.S");
}

#[test]
fn lines() {
    check(MODELS, "lines.c");
}

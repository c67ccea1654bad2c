//! The references of instructions against Valgrind: programs run natively by single steps, with references computed from
//! registers, and under Lackey.
//!
//! Programs at fixed addresses have exactly the same references, in the same order. Real programs are compared instruction by
//! instruction (`real`). The tests say so and pass where a program that they need is not installed.
#![allow(unsafe_code, reason = "ptrace and waitpid have no safe equivalent in std")]

mod branches;
mod caches;
mod every_form;
mod forms;
mod real;
mod steps;
mod valgrind;

use iced_x86::Mnemonic;
use steps::{Step, Trace};
use translate::references::Kind;
use valgrind::{AS_CALLGRIND, EACH_INSTRUCTION, build, command, directory, installed};

/// Where the programs of the models' oracle are.
const MODELS: &str = "../models/tests/oracle/programs";
const OWN: &str = "tests/references/programs";

/// Instructions with their references behind them. What repeats itself is one instruction: Valgrind has one more round,
/// which finds the count 0.
pub(crate) fn by_instruction(trace: &[Step]) -> Vec<Vec<Step>> {
    let mut all: Vec<Vec<Step>> = Vec::new();
    for step in trace {
        match all.last_mut() {
            Some(last) if step.kind.is_some() => last.push(*step),
            Some(last) if last[0].address == step.address => {}
            _ => all.push(vec![*step]),
        }
    }
    all
}

/// Both traces of a program: exactly the same references, but for `losses` loads that VEX drops where it optimises as for
/// Callgrind.
fn check(folder: &str, source: &str, losses: usize) {
    if !installed(&["valgrind", "gcc"]) {
        return;
    }
    let directory = directory(source);
    let mut program = command(&build(folder, source, &directory), &[] as &[&str]);
    let Trace { steps, code } = steps::trace(&mut program);
    let native = by_instruction(&steps);
    let each = by_instruction(&valgrind::trace(&program, EACH_INSTRUCTION, &directory));
    for (native, each) in native.iter().zip(&each) {
        assert_eq!(native, each, "{}", code[&native[0].address]);
    }
    assert_eq!(native.len(), each.len());
    let optimised = by_instruction(&valgrind::trace(&program, AS_CALLGRIND, &directory));
    assert_eq!(native.len(), optimised.len());
    let mut lost = 0;
    for (native, optimised) in native.iter().zip(&optimised) {
        let insn = &code[&native[0].address];
        let mut rest = optimised.iter().peekable();
        for step in native {
            if rest.next_if_eq(&step).is_none() {
                // A modification can lose its load only together with its store.
                assert_eq!(step.kind, Some(Kind::Read), "{insn}");
                assert_ne!(insn.mnemonic(), Mnemonic::Ret, "a return address is used");
                lost += 1;
            }
        }
        assert_eq!(rest.next(), None, "{insn}");
    }
    assert_eq!(lost, losses, "loads that are dropped");
}

#[test]
fn special() {
    // Each is overwritten by the next instruction: registers, and flags of `bt`.
    check(OWN, "special.S", 8);
}

#[test]
fn arrays() {
    check(MODELS, "arrays.c", 0);
}

#[test]
fn pointers() {
    check(MODELS, "pointers.c", 0);
}

#[test]
fn lines() {
    check(MODELS, "lines.c", 0);
}

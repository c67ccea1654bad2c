//! The references of instructions against Valgrind: programs run natively by single steps, with references computed from
//! registers, and under Lackey.
//!
//! The tests say so and pass where a program that they need is not installed.
#![allow(unsafe_code, reason = "ptrace and waitpid have no safe equivalent in std")]

mod forms;
mod steps;
mod valgrind;

use steps::Step;
use valgrind::{AS_CALLGRIND, EACH_INSTRUCTION, build, command, directory, installed};

/// Instructions with their references behind them. What repeats itself is one instruction: Valgrind has one more round,
/// which finds the count 0.
fn by_instruction(trace: &[Step]) -> Vec<Vec<Step>> {
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

/// A program of the given folder: exactly the same references, and a loss of loads only where VEX optimises.
fn check(folder: &str, source: &str) {
    if !installed(&["valgrind", "gcc"]) {
        return;
    }
    let directory = directory(source);
    let program = build(folder, source, &directory);
    let mut program = command(&program, &[] as &[&str]);
    let native = by_instruction(&steps::trace(&mut program));
    let each = by_instruction(&valgrind::trace(&program, EACH_INSTRUCTION, &directory));
    let mut wrong = Vec::new();
    for (native, each) in native.iter().zip(&each) {
        if native != each {
            wrong.push(format!("{native:x?}\n  {each:x?}"));
            if native[0] != each[0] {
                break;
            }
        }
    }
    for w in wrong.iter().take(40) {
        eprintln!("{w}");
    }
    assert!(wrong.is_empty());
    assert_eq!(native.len(), each.len());
    let _ = AS_CALLGRIND;
}

#[test]
fn special() {
    check("tests/references/programs", "special.S");
}

#[test]
fn arrays() {
    check("../models/tests/oracle/programs", "arrays.c");
}

#[test]
fn pointers() {
    check("../models/tests/oracle/programs", "pointers.c");
}

#[test]
fn lines() {
    check("../models/tests/oracle/programs", "lines.c");
}

/// Each form: what the processor and Valgrind both execute.
#[test]
fn forms() {
    if !installed(&["valgrind"]) {
        return;
    }
    let directory = directory("forms");
    let path = directory.join("program");
    let mut forms = forms::all();
    eprintln!("{} forms", forms.len());
    for valgrind in [false, true] {
        forms::write(&forms, &path);
        let mut program = if valgrind {
            command(
                "valgrind".as_ref(),
                &["-q".as_ref(), "--tool=none".as_ref(), "--vex-guest-chase=no".as_ref(), path.as_os_str()],
            )
        } else {
            command(&path, &[] as &[&str])
        };
        let output = program.stdout(std::process::Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{program:?}: {}", output.status);
        let mut index = 0;
        let failed: std::collections::HashSet<u64> =
            output.stdout.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        forms.retain(|_| {
            index += 1;
            !failed.contains(&forms::slot(index))
        });
        eprintln!("{} forms", forms.len());
    }
    forms::write(&forms, &path);
    let mut program = command(&path, &[] as &[&str]);
    let by_form = |trace: &[Step]| {
        let mut all = vec![Vec::new(); forms.len()];
        let mut of = None;
        for step in trace {
            if step.kind.is_none() {
                of = forms::index(step.address, forms.len());
            } else if let Some(index) = of {
                all[index].push(*step);
            }
        }
        all
    };
    let native = by_form(&steps::trace(&mut program));
    let each = by_form(&valgrind::trace(&program, EACH_INSTRUCTION, &directory));
    let mut wrong = 0;
    for (index, form) in forms.iter().enumerate() {
        if native[index] != each[index] {
            wrong += 1;
            let f = |l: &[Step]| {
                l.iter()
                    .map(|s| format!("{:?} {:x} {}", s.kind.unwrap(), s.address, s.size))
                    .collect::<Vec<_>>()
                    .join("; ")
            };
            eprintln!(
                "{:?} {}: {} | {}",
                form.code(),
                form.has_lock_prefix(),
                f(&native[index]),
                f(&each[index])
            );
        }
    }
    assert_eq!(wrong, 0);
}

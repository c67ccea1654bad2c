//! Every instruction form that the processor and Valgrind both execute, once.

use crate::forms;
use crate::steps::{self, Step};
use crate::valgrind::{self, EACH_INSTRUCTION, command, directory, installed};
use iced_x86::Instruction;
use std::collections::HashSet;
use std::process::{Command, Stdio};

/// Leaves out the forms that raise a signal where the command runs their program.
fn without_failures(forms: &mut Vec<Instruction>, program: &mut Command) {
    let output = program.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", output.status);
    let failed: HashSet<u64> =
        output.stdout.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let mut index = 0;
    forms.retain(|_| {
        index += 1;
        // What is written is the slot behind it.
        !failed.contains(&forms::slot(index))
    });
}

fn by_form(trace: &[Step], count: usize) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new(); count];
    let mut of = None;
    for step in trace {
        if step.kind.is_none() {
            of = forms::index(step.address, count);
        } else if let Some(index) = of {
            all[index].push(*step);
        }
    }
    all
}

#[test]
fn each_has_the_references_of_valgrind() {
    if !installed(&["valgrind"]) {
        return;
    }
    let directory = directory("forms");
    let path = directory.join("program");
    let mut forms = forms::all();
    forms::write(&forms, &path);
    without_failures(&mut forms, &mut command(&path, &[] as &[&str]));
    forms::write(&forms, &path);
    let arguments =
        ["-q".as_ref(), "--tool=none".as_ref(), "--vex-guest-chase=no".as_ref(), path.as_os_str()];
    without_failures(&mut forms, &mut command("valgrind".as_ref(), &arguments));
    // 1625 on a processor with AVX2.
    assert!(forms.len() > 1000, "{} forms", forms.len());
    forms::write(&forms, &path);
    let mut program = command(&path, &[] as &[&str]);
    let native = by_form(&steps::trace(&mut program).steps, forms.len());
    let each = by_form(&valgrind::trace(&program, EACH_INSTRUCTION, &directory), forms.len());
    let wrong: Vec<String> = (forms.iter().zip(native.iter().zip(&each)))
        .filter(|(_, (native, each))| native != each)
        .map(|(form, (native, each))| format!("{form}: {native:x?}, and for Valgrind {each:x?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

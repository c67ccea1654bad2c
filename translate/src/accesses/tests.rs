//! Tests of records: their first words, and what they hold.

use super::*;
use crate::references::Kind;
use crate::{Block, Config, First, Limits, Translator};
use alloc::vec::Vec;

/// The forms of the runs of a block at 0x1000.
fn forms(bytes: &[u8]) -> Vec<Form> {
    translated(bytes).expect("can be translated")
}

/// The same; none if it cannot be translated.
fn translated(bytes: &[u8]) -> Option<Vec<Form>> {
    let block = Block::decode(bytes, 0x1000, Limits::default());
    let config = Config { log_accesses: true, exit_stubs_end: 0x6010_0000, ..Config::default() };
    let mut buffer = [0; 4096];
    let fragment =
        Translator::new().translate(&block, &config, None, First::default(), 0x6000_0000, &mut buffer);
    Some(fragment.ok()?.runs.into_iter().map(|(form, _)| form).collect())
}

/// The bytes of this program, from everywhere in its code and its data: all kinds of instructions.
#[test]
fn the_form_of_a_run_follows_from_its_own_code() {
    let program = std::fs::read("/proc/self/exe").expect("this program");
    let mut planner = Planner::default();
    let (mut runs, mut special) = (0, 0);
    let pieces = (0..program.len() - 512).step_by(program.len() / 20_000 + 1);
    for bytes in pieces.map(|at| &program[at..at + 512]) {
        for form in translated(bytes).unwrap_or_default() {
            let (from, to) = (form.start - 0x1000, form.end - 0x1000);
            let again = planner.form(form.start, &bytes[from as usize..to as usize]);
            let again = again.expect("it is a run");
            assert_eq!(std::format!("{again:?}"), std::format!("{form:?}"));
            runs += 1;
            special += usize::from(form.is_special());
        }
    }
    assert!(runs > 10_000 && special > 10, "{runs} {special}");
}

#[test]
fn what_is_no_single_run_has_no_form() {
    let mut planner = Planner::default();
    // nop; ret; half a call; two returns; a run and a repeated instruction; cpuid.
    assert!(planner.form(0x1000, &[0x90, 0xc3]).is_some());
    for code in [&[][..], &[0xe8, 0], &[0xc3, 0xc3], &[0x90, 0xf3, 0xa4], &[0x0f], &[0x06]] {
        assert!(planner.form(0x1000, code).is_none(), "{code:x?}");
    }
    assert!(planner.form(u64::MAX - 1, &[0x90, 0x90, 0x90]).is_none());
    // rol rdi, 3, with which a client request begins.
    assert!(planner.form(0x1000, &[0x48, 0xc1, 0xc7, 0x03]).is_some());
}

fn addresses(form: &Form, record: &[u64]) -> Vec<(Kind, u64)> {
    form.accesses.iter().map(|access| (access.kind, access.address(record, Bases::default()))).collect()
}

#[test]
fn first_words_tell_records_apart() {
    // As it is stored: 32 bits, with their sign.
    assert_eq!(whole(77), i64::from(!(77 + FIRST_RUN) as i32) as u64);
    for number in [0, 1, 77, MOST_RUNS - 1] {
        assert_eq!(Head::of(whole(number)), Head::Whole(number));
        for bytes in [0, 9, u16::MAX] {
            assert_eq!(Head::of(partly(number, bytes)), Head::Partly(number, bytes));
        }
    }
    assert_eq!(Head::of(goes_on(0x7fff_1234_5678)), Head::GoesOn(0x7fff_1234_5678));
    // Entries of functions, and places on the stack.
    for word in [!0, !u64::from(FIRST_RUN - 1), 0, 0x7fff_ffff_fff8] {
        assert_eq!(Head::of(word), Head::Call);
    }
}

#[test]
fn a_register_that_changed_by_constants_is_put_down_once() {
    // push rbx; push rbp; mov rbp, rsp; sub rsp, 0x20; mov [rbp - 8], rax; mov rcx, [rsp + 16]; ret
    let code = [
        0x53, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0x48, 0x89, 0x45, 0xf8, 0x48, 0x8b, 0x4c, 0x24,
        0x10, 0xc3,
    ];
    let forms = forms(&code);
    let [form] = &forms[..] else { panic!("one run, not {}", forms.len()) };
    assert_eq!(form.words, 2, "its number, rsp");
    let found = addresses(form, &[0, 0x8000]);
    let expected = [
        (Kind::Write, 0x7ff8),
        (Kind::Write, 0x7ff0),
        (Kind::Write, 0x7fe8),
        (Kind::Read, 0x7fe0),
        (Kind::Read, 0x7fd0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_absolute_address_needs_nothing_and_an_index_is_scaled() {
    // mov eax, [rip + 0x10]; mov eax, [rbx + rcx * 4 + 8]; add rcx, 2; mov eax, [rbx + rcx * 4]; jmp 0x1000
    let code =
        [0x8b, 0x05, 0x10, 0, 0, 0, 0x8b, 0x44, 0x8b, 8, 0x48, 0x83, 0xc1, 2, 0x8b, 0x04, 0x8b, 0xeb, 0xed];
    let forms = forms(&code);
    let [form] = &forms[..] else { panic!("one run, not {}", forms.len()) };
    assert_eq!(form.words, 3);
    // What is put down first lies highest.
    let found = addresses(form, &[0, 3, 0x5000]);
    assert_eq!(found, [(Kind::Read, 0x1016), (Kind::Read, 0x5014), (Kind::Read, 0x5014)]);
}

#[test]
fn a_repeated_instruction_is_a_run_of_its_own() {
    // inc rax; rep movsb; ret
    let forms = forms(&[0x48, 0xff, 0xc0, 0xf3, 0xa4, 0xc3]);
    let special: Vec<bool> = forms.iter().map(Form::is_special).collect();
    assert_eq!(special, [false, true, false]);
    // rcx, rsi, rdi before it and behind it: the first one lies highest.
    let record = [0, 0x7005, 0x6005, 0, 0x7000, 0x6000, 5];
    assert_eq!(usize::from(forms[1].words), record.len());
    assert_eq!(forms[1].rounds(&record), Some(Rounds { count: 5, ran_out: true, backwards: false }));
    let mut found = Vec::new();
    forms[1].special(&record, Bases::default(), |kind, size, address| found.push((kind, size, address)));
    assert_eq!(found, [(Kind::Read, 1, 0x6000), (Kind::Write, 1, 0x7000)]);
}

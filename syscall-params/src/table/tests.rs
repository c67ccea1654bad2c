//! Rules of the table as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::string::String;
use std::vec::Vec;

use super::PARTS;
use crate::Kept;
use crate::describe::{Item, Shape};
use crate::fake::Fake;

#[test]
fn numbers_ascend() {
    let numbers: Vec<u16> = PARTS.iter().flat_map(|part| part.iter()).map(|call| call.number).collect();
    let later = PARTS[2].iter().map(|call| call.number).min().unwrap();
    assert!(later > PARTS[1].iter().map(|call| call.number).max().unwrap());
    assert!(numbers.is_sorted_by(|left, right| left < right), "{numbers:?}");
}

/// Numbers and names against the header that is installed.
#[test]
fn names_are_those_of_the_kernel() {
    let paths = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"];
    let Some(header) = paths.iter().find_map(|path| fs::read_to_string(path).ok()) else {
        std::eprintln!("skipped: linux/asm headers are not installed");
        return;
    };
    let mut seen = 0;
    for line in header.lines() {
        let Some((name, number)) = line.strip_prefix("#define __NR_").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let Ok(number) = number.trim().parse() else { continue };
        assert_eq!(crate::name(number), Some(name), "{number}");
        seen += 1;
    }
    assert!(seen > 350, "only {seen} calls in the header");
}

#[test]
fn all_numbers_of_the_first_part_are_there() {
    assert!((0..=334).all(|number| crate::name(number).is_some()));
    assert!((424..=470).all(|number| crate::name(number).is_some()));
}

#[test]
fn unknown_numbers_check_and_mark_nothing() {
    for number in [337, 400, 471, 512, 0x1_0001, u64::MAX] {
        let before = crate::before(number, &[0; 6], &Fake::default(), true, &mut |_| panic!("{number}"));
        assert!(!before.known);
        crate::after(number, &[0; 6], 0, &before.kept, &Fake::default(), &mut |_, _| panic!("{number}"));
        assert_eq!(crate::name(number), None);
    }
}

#[test]
fn registers_are_at_most_six_and_names_differ() {
    for call in PARTS.iter().flat_map(|part| part.iter()) {
        assert!(call.arguments.len() <= 6, "{}", call.name);
        let names: BTreeSet<&str> = call.arguments.iter().map(|argument| argument.name).collect();
        assert_eq!(names.len(), call.arguments.len(), "{}", call.name);
        assert!(call.arguments.iter().all(|argument| (1..=8).contains(&argument.size)));
        if let Shape::Items(items) = call.shape {
            // A pointer is a whole register.
            let narrow = |item: &Item| call.arguments[item.argument].size != 8;
            assert!(!items.iter().any(narrow), "{}", call.name);
        }
    }
}

/// Whatever is in registers and memory: no panic, no endless loop, texts that fit, ranges that are not empty.
#[test]
fn any_input_is_survived() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let interesting = [0, 1, 2, 8, 16, 1023, 1 << 31, u64::MAX, u64::MAX - 7, 0x1000, 0x1008, 0x1ff8];
    // Requests of ioctl with memory behind memory.
    let nested = [0x8912, 0x8946, 0x2285, 0xc020_660b, 0xc068_6611, 0x8100_4506];
    let mut memory = Vec::new();
    for _ in 0..512 {
        let word = random();
        memory.push(if word % 2 == 0 { interesting[word as usize / 2 % interesting.len()] } else { word });
    }
    let memory = Fake { semaphores: Some(u64::MAX), map: Some((u64::MAX, u64::MAX)), ..Fake::default() }
        .words(0x1000, &memory);
    for call in PARTS.iter().flat_map(|part| part.iter()) {
        for _ in 0..60 {
            let mut arguments = [0; 6];
            for argument in &mut arguments {
                let word = random();
                *argument = match word % 4 {
                    0 => word,
                    1 => word % 64,
                    _ => interesting[word as usize / 4 % interesting.len()],
                };
            }
            let number = u64::from(call.number);
            if number == 16 {
                arguments[1] = nested[random() as usize % nested.len()];
            }
            let mut checks = 0;
            let before = crate::before(number, &arguments, &memory, true, &mut |check| {
                checks += 1;
                let (crate::Check::Register { parameter, .. } | crate::Check::Memory { parameter, .. }) =
                    check;
                if checks < 10 {
                    let text: String = std::format!("{parameter}");
                    // Texts that are cut off would be without their end; Valgrind's own are, in bpf.
                    let whole = text.ends_with(')') || text.contains(").") || text.starts_with("bpf(attr->");
                    assert!(text.contains('(') && whole, "{text}");
                }
            });
            for (result, kept) in [0, 1, 64, i64::MAX, -4, -7, -14, -75, i64::MIN]
                .into_iter()
                .flat_map(|result| [(result, before.kept), (result, Kept::default())])
            {
                crate::after(number, &arguments, result, &kept, &memory, &mut |_, size| assert_ne!(size, 0));
            }
        }
    }
}

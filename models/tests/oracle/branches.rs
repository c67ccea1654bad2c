//! The predictors against Valgrind: Lackey's trace has no branches, so the program's own code says which instructions
//! are branches, and the next instruction of the trace where they went.

use crate::batch::Step;
use crate::valgrind::{Program, Tool, installed};
use iced_x86::{Decoder, DecoderOptions, FlowControl};
use models::{Branches, Counts, Event};
use std::collections::HashMap;

/// Bytes of the program at an address: from its loadable segments (ELF, 64 bits).
fn code(image: &[u8], address: u64) -> &[u8] {
    let word = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
    let half = |at: usize| u16::from_le_bytes(image[at..at + 2].try_into().unwrap());
    let first = word(32) as usize;
    (0..usize::from(half(56)))
        .map(|index| first + index * 56)
        .filter(|at| half(*at) == 1)
        .find_map(|at| {
            let (offset, start, size) = (word(at + 8), word(at + 16), word(at + 32));
            let inside = address.checked_sub(start).filter(|inside| *inside < size)?;
            image.get((offset + inside) as usize..(offset + size) as usize)
        })
        .unwrap_or_else(|| panic!("no code at {address:#x}"))
}

fn simulate(image: &[u8], trace: &[Step]) -> Counts {
    let mut branches = Branches::new();
    let mut counts = Counts::default();
    let mut flows = HashMap::new();
    let executed: Vec<&Step> = trace.iter().filter(|step| step.kind == b'I').collect();
    for pair in executed.windows(2) {
        let (pc, next) = (pair[0].address, pair[1].address);
        let flow = flows.entry(pc).or_insert_with(|| {
            let decoded = Decoder::with_ip(64, code(image, pc), pc, DecoderOptions::NONE).decode();
            assert_eq!(decoded.len(), pair[0].size as usize, "{pc:#x}");
            decoded.flow_control()
        });
        match flow {
            FlowControl::ConditionalBranch => {
                counts += branches.conditional(pc, next != pc + u64::from(pair[0].size));
            }
            FlowControl::IndirectBranch | FlowControl::IndirectCall => counts += branches.indirect(pc, next),
            _ => {}
        }
    }
    counts
}

/// `lines` has instructions that Valgrind calls branches and the processor does not: `rep` and `lock`.
fn check(name: &str, tool: Tool) {
    if !installed() {
        return;
    }
    let program = Program::build(name, &format!("branches-{}", tool.name()));
    let found = simulate(&program.image(), &program.trace(tool));
    let expected = program.totals(tool, &[]);
    for event in crate::BRANCHES {
        assert_eq!(found[event], expected[event], "{} of {name} by {}", event.name(), tool.name());
    }
    assert!(expected[Event::Bcm] > 0, "nothing is mispredicted");
}

#[test]
fn arrays_by_callgrind() {
    check("arrays", Tool::Callgrind);
}

#[test]
fn pointers_by_callgrind() {
    check("pointers", Tool::Callgrind);
}

#[test]
fn arrays_by_cachegrind() {
    check("arrays", Tool::Cachegrind);
}

#[test]
fn pointers_by_cachegrind() {
    check("pointers", Tool::Cachegrind);
}

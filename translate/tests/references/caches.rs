//! The models' segments from decoded runs of instructions: the whole way from code and logged addresses to misses, against
//! Callgrind's totals.

use crate::MODELS;
use crate::steps::{self, Step, Trace};
use crate::valgrind::{self, build, command, directory, installed};
use iced_x86::{Instruction, InstructionInfoFactory};
use models::{Caches, Counts, Event, Events, Options, Segment, Shapes};
use std::collections::HashMap;
use translate::references::{Kind, Reference, When, references};

const SHAPES: [&str; 3] = ["1024,2,64", "512,2,64", "4096,4,64"];

const EVENTS: [Event; 9] = [
    Event::Ir,
    Event::Dr,
    Event::Dw,
    Event::I1mr,
    Event::D1mr,
    Event::D1mw,
    Event::ILmr,
    Event::DLmr,
    Event::DLmw,
];

/// Whether a run of instructions can be logged as one: nothing in it depends on more than general registers.
fn is_plain(insn: &Instruction, info: &mut InstructionInfoFactory) -> bool {
    list(insn, info).iter().all(Reference::is_plain)
}

fn list(insn: &Instruction, info: &mut InstructionInfoFactory) -> Vec<Reference> {
    let mut list = Vec::new();
    references(insn, info, &mut list);
    list
}

/// A run of instructions as the caches want it.
fn segment(run: &[Instruction], caches: &Caches, info: &mut InstructionInfoFactory) -> Segment {
    let mut builder = caches.segment();
    for insn in run {
        builder.instruction(insn.ip(), insn.len() as u32);
        for reference in list(insn, info).iter().filter(|reference| reference.is_plain()) {
            match reference.kind {
                Kind::Read => builder.read(reference.size.into()),
                Kind::Write => builder.write(reference.size.into()),
                Kind::Modify => builder.modify(reference.size.into()),
            }
        }
    }
    builder.finish()
}

/// What the caches make of a program without `repe`: each run of plain instructions is a segment, each other instruction one
/// by itself.
fn simulate(Trace { steps, code }: &Trace, mut caches: Caches) -> Counts {
    let mut info = InstructionInfoFactory::new();
    let mut counts = Counts::default();
    let mut known: HashMap<Vec<u64>, Segment> = HashMap::new();
    let mut rest = steps.as_slice();
    while let Some(first) = rest.first() {
        let plain = is_plain(&code[&first.address], &mut info);
        let (mut pcs, mut addresses, mut next) = (Vec::new(), Vec::new(), first.address);
        let mut taken = 0;
        for step in rest {
            let begins = step.kind.is_none();
            let another = !plain || step.address != next || !is_plain(&code[&step.address], &mut info);
            if begins && taken > 0 && another {
                break;
            }
            if begins {
                pcs.push(step.address);
                next = code[&step.address].next_ip();
            } else {
                addresses.push(step.address);
            }
            taken += 1;
        }
        let run: Vec<Instruction> = pcs.iter().map(|pc| code[pc]).collect();
        let segment = known.entry(pcs).or_insert_with(|| segment(&run, &caches, &mut info));
        let mut costs = vec![Counts::default(); segment.instructions()];
        segment.add_executions(1, &mut costs);
        costs.into_iter().for_each(|more| counts += more);
        if plain {
            caches.run(segment, &addresses, &mut counts);
        } else {
            caches.run(segment, &[], &mut counts);
            rest[1..taken].iter().for_each(|step| counts += accessed(step, &mut caches));
            // Valgrind's last look at the count, which is the only one where there is no round.
            let repeated = list(&run[0], &mut info).iter().any(|one| matches!(one.when, When::Round(_)));
            let goes_on = rest.get(taken).is_some_and(|step| step.address == first.address);
            if repeated && taken > 1 && !goes_on {
                counts += caches.fetch(first.address, run[0].len() as u32);
            }
        }
        rest = &rest[taken..];
    }
    counts
}

/// What an access is counted as, and what it misses.
fn accessed(step: &Step, caches: &mut Caches) -> Events {
    match step.kind {
        Some(Kind::Read) => caches.read(step.address, step.size),
        Some(Kind::Write) => caches.write(step.address, step.size),
        _ => caches.modify(step.address, step.size),
    }
}

fn check(folder: &str, source: &str) {
    if !installed(&["valgrind", "gcc"]) {
        return;
    }
    let directory = directory(&format!("caches-{source}"));
    let mut program = command(&build(folder, source, &directory), &[] as &[&str]);
    let [i1, d1, ll] = SHAPES.map(|text| text.parse().unwrap());
    let caches = Caches::new(&Shapes { i1, d1, ll }, Options::default()).unwrap();
    let found = simulate(&steps::trace(&mut program), caches);
    let options =
        ["--I1=", "--D1=", "--LL="].into_iter().zip(SHAPES).map(|(name, shape)| format!("{name}{shape}"));
    let options: Vec<String> = options.chain(["--cache-sim=yes".to_owned()]).collect();
    let names = EVENTS.map(Event::name);
    let expected = valgrind::totals(&program, &options, &names, &directory);
    let found = EVENTS.map(|event| (event.name(), found[event]));
    assert_eq!(found.to_vec(), names.into_iter().zip(expected).collect::<Vec<_>>(), "{source}");
}

#[test]
fn lines() {
    check(MODELS, "lines.c");
}

#[test]
fn pointers() {
    check(MODELS, "pointers.c");
}

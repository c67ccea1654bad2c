//! The models against Valgrind: programs without libc run under Lackey, whose trace of addresses is simulated, and under
//! Callgrind and Cachegrind, whose totals have to be the same.
//!
//! The tests say so and pass where Valgrind or gcc is not installed.

mod batch;
mod branches;
mod valgrind;

use batch::Step;
use models::{Caches, Counts, Event, Geometry, LineUses, Loss, Modify, Options, Shapes};
use valgrind::{Program, Tool, installed};

/// I1, D1 and LL as options have them: small ones, one way, many ways, and lines of different sizes.
const GEOMETRIES: [[&str; 3]; 5] = [
    ["1024,2,64", "512,2,64", "4096,4,64"],
    ["512,1,32", "1024,4,32", "8192,8,64"],
    ["2048,4,128", "2048,2,64", "16384,16,32"],
    ["1024,16,64", "512,8,64", "8192,1,128"],
    ["32768,8,64", "49152,12,64", "1048576,16,64"],
];

const BRANCHES: [Event; 4] = [Event::Bc, Event::Bcm, Event::Bi, Event::Bim];

fn shapes(texts: [&str; 3]) -> Shapes {
    let [i1, d1, ll] = texts.map(|text| text.parse::<Geometry>().unwrap());
    Shapes { i1, d1, ll }
}

fn options(texts: [&str; 3]) -> Vec<String> {
    ["--I1=", "--D1=", "--LL="].iter().zip(texts).map(|(option, text)| format!("{option}{text}")).collect()
}

/// By single accesses.
fn simulate(trace: &[Step], mut caches: Caches) -> Counts {
    let mut counts = Counts::default();
    for step in trace {
        counts += match step.kind {
            b'I' => caches.fetch(step.address, step.size),
            b'L' => caches.read(step.address, step.size),
            b'S' => caches.write(step.address, step.size),
            _ => caches.modify(step.address, step.size),
        };
    }
    counts
}

/// By runs of instructions.
fn simulate_batch(trace: &[Step], mut caches: Caches) -> Counts {
    let log = batch::log(trace, &caches);
    let mut addresses = log.addresses.as_slice();
    let mut executions = vec![0; log.segments.len()];
    let mut counts = Counts::default();
    for (which, accesses) in log.executed {
        let (own, others) = addresses.split_at(accesses);
        caches.run(&log.segments[which], own, &mut counts);
        executions[which] += 1;
        addresses = others;
    }
    for (segment, times) in log.segments.iter().zip(executions) {
        let mut costs = vec![Counts::default(); segment.instructions()];
        segment.add_executions(times, &mut costs);
        costs.into_iter().for_each(|more| counts += more);
    }
    counts
}

/// With the use of lines.
fn simulate_uses(trace: &[Step], mut uses: LineUses) -> Counts {
    let mut counts = Counts::default();
    let mut losses = Counts::default();
    let mut charge = |loss: Loss| {
        let [cost, space] = match loss.last_level {
            false => [Event::AcCost1, Event::SpLoss1],
            true => [Event::AcCost2, Event::SpLoss2],
        };
        losses[cost] += loss.access_cost;
        losses[space] += loss.space_loss;
    };
    for step in trace {
        counts += match step.kind {
            b'I' => uses.fetch(step.address, step.size, 0, &mut charge),
            b'L' => uses.read(step.address, step.size, 0, &mut charge),
            b'S' => uses.write(step.address, step.size, 0, &mut charge),
            _ => uses.modify(step.address, step.size, 0, &mut charge),
        };
    }
    uses.finish(&mut charge);
    counts += losses;
    counts
}

/// All events but those of branches; `expected` has those of branches as well.
fn compare(found: &Counts, expected: &Counts, what: &str) {
    for event in Event::ALL.iter().filter(|event| !BRANCHES.contains(event)) {
        assert_eq!(found[*event], expected[*event], "{} of {what}", event.name());
    }
}

/// The caches of `tool`; `variants` are further options with their forms for Valgrind.
fn check(name: &str, tool: Tool, variants: &[(Options, &[&str])]) {
    if !installed() {
        return;
    }
    let program = Program::build(name, tool.name());
    let trace = program.trace(tool);
    for texts in GEOMETRIES {
        for (model, more) in variants {
            let mut arguments = options(texts);
            arguments.extend(more.iter().map(|option| (*option).to_owned()));
            let what = format!("{name} by {} {arguments:?}", tool.name());
            let expected = program.totals(tool, &arguments);
            let caches = Caches::new(&shapes(texts), *model).unwrap();
            compare(&simulate(&trace, caches.clone()), &expected, &what);
            compare(&simulate_batch(&trace, caches), &expected, &format!("{what}, in runs"));
            let dirty = [Event::ILdmr, Event::DLdmr, Event::DLdmw].map(|event| expected[event]);
            let is_small = texts[2] != GEOMETRIES[4][2];
            assert!(
                !(model.write_back && is_small) || dirty.iter().sum::<u64>() > 0,
                "{what}: nothing dirty"
            );
            assert!(expected[Event::D1mr] > 0 && expected[Event::ILmr] > 0, "{what}: no misses");
        }
    }
}

fn callgrind(name: &str) {
    let plain = Options::default();
    check(
        name,
        Tool::Callgrind,
        &[
            (plain, &[]),
            (Options { write_back: true, ..plain }, &["--simulate-wb=yes"]),
            (Options { prefetch: true, ..plain }, &["--simulate-hwpref=yes"]),
        ],
    );
}

fn cachegrind(name: &str) {
    check(name, Tool::Cachegrind, &[(Options { modify: Modify::Read, ..Options::default() }, &[])]);
}

#[test]
fn arrays_by_callgrind() {
    callgrind("arrays");
}

#[test]
fn pointers_by_callgrind() {
    callgrind("pointers");
}

#[test]
fn lines_by_callgrind() {
    callgrind("lines");
}

#[test]
fn arrays_by_cachegrind() {
    cachegrind("arrays");
}

#[test]
fn pointers_by_cachegrind() {
    cachegrind("pointers");
}

#[test]
fn lines_by_cachegrind() {
    cachegrind("lines");
}

#[test]
fn uses_of_lines_by_callgrind() {
    if !installed() {
        return;
    }
    let program = Program::build("lines", "uses");
    let trace = program.trace(Tool::Callgrind);
    // With one set Callgrind overlooks second lines here: see `uses`.
    for texts in GEOMETRIES.into_iter().filter(|texts| shapes(*texts).d1.sets() > 1) {
        let mut arguments = options(texts);
        arguments.push("--cacheuse=yes".to_owned());
        let uses = LineUses::new(&shapes(texts), Modify::Write).unwrap();
        let expected = program.totals(Tool::Callgrind, &arguments);
        compare(&simulate_uses(&trace, uses), &expected, &format!("lines {arguments:?}"));
        assert!(expected[Event::AcCost2] > 0 && expected[Event::SpLoss1] > 0);
    }
}

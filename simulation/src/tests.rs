//! Tests of the way from logs to events.

use super::*;
use std::collections::BTreeMap;
use translate::accesses::{goes_on, partly, whole};
use translate::{Block, Config, First, Limits, Translator};

/// mov rax, [rdi]; add [rsi], eax; jne 0x1000
const LOOP: [u8; 7] = [0x48, 0x8b, 0x07, 0x01, 0x06, 0x75, 0xf9];

fn simulation(models: Models) -> Simulation {
    let block = Block::decode(&LOOP, 0x1000, Limits { segments: 1, ..Limits::default() });
    let config = Config { log_accesses: true, exit_stubs_end: 0x6010_0000, ..Config::default() };
    let mut buffer = [0; 4096];
    let mut translator = Translator::new();
    let fragment = translator.translate(&block, &config, None, First::default(), 0x6000_0000, &mut buffer);
    let mut simulation = Simulation::new(&Shapes::FALLBACK, models).unwrap();
    fragment.unwrap().runs.into_iter().for_each(|(form, _)| simulation.add(form));
    simulation
}

const BOTH: Models = Models { caches: true, branches: true, write_back: false, prefetch: false };
/// What a whole record of the loop begins with; behind it are rsi and rdi.
const WHOLE: u64 = whole(0);

fn costs(simulation: &Simulation, events: [Event; 4]) -> BTreeMap<u64, [u64; 4]> {
    simulation.costs().map(|(pc, counts)| (pc, events.map(|event| counts[event]))).collect()
}

#[test]
fn executions_accesses_and_misses_are_counted() {
    let (mut simulation, mut thread) = (simulation(BOTH), Thread::default());
    let log = [WHOLE, 0x6000, 0x5000, WHOLE, 0x6000, 0x5008];
    assert_eq!(simulation.follow(&mut thread, &log), log.len());
    let found = costs(&simulation, [Event::Dr, Event::D1mr, Event::Dw, Event::D1mw]);
    assert_eq!(found, BTreeMap::from([(0x1000, [2, 1, 0, 0]), (0x1003, [0, 0, 2, 1]), (0x1005, [0; 4])]));
    let spent = simulation.take_spent();
    assert_eq!((spent[Event::Dr], spent[Event::Dw], spent[Event::D1mr]), (2, 2, 1));
    assert_eq!(simulation.take_spent(), Counts::default());
}

#[test]
fn a_branch_is_known_when_the_next_record_begins() {
    let (mut simulation, mut thread) = (simulation(BOTH), Thread::default());
    let bcm =
        |simulation: &Simulation| costs(simulation, [Event::Bc, Event::Bcm, Event::Ir, Event::Bi])[&0x1005];
    // Predicted not to be taken, which comes true where the thread goes on behind it.
    simulation.follow(&mut thread, &[WHOLE, 0x6000, 0x5000]);
    assert_eq!(bcm(&simulation), [1, 0, 1, 0]);
    simulation.follow(&mut thread, &[WHOLE, 0x6000, 0x5000]);
    assert_eq!(bcm(&simulation), [2, 1, 2, 0]);
    simulation.follow(&mut thread, &[goes_on(0x1007)]);
    assert_eq!(bcm(&simulation), [2, 1, 2, 0]);
}

#[test]
fn a_run_that_was_cut_short_counts_up_to_there() {
    for models in [BOTH, Models::default()] {
        let (mut simulation, mut thread) = (simulation(models), Thread::default());
        simulation.follow(&mut thread, &[partly(0, 3), 0, 0x5000, partly(0, 0), 0, 0]);
        let found = costs(&simulation, [Event::Ir, Event::Dr, Event::Dw, Event::Bc]);
        assert_eq!(found, BTreeMap::from([(0x1000, [1, 1, 0, 0])]));
    }
}

#[test]
fn what_is_not_collected_is_seen_by_the_models_only() {
    let (mut simulation, mut thread) = (simulation(BOTH), Thread::default());
    thread.collects = false;
    simulation.follow(&mut thread, &[WHOLE, 0x6000, 0x5000]);
    assert_eq!(simulation.costs().count(), 0);
    thread.collects = true;
    simulation.follow(&mut thread, &[WHOLE, 0x6000, 0x5000]);
    let found = costs(&simulation, [Event::Dr, Event::D1mr, Event::I1mr, Event::Ir])[&0x1000];
    assert_eq!(found, [1, 0, 0, 1]);
    simulation.clear_costs();
    assert_eq!(simulation.costs().count(), 0);
}

#[test]
fn calls_stop_it_and_nonsense_ends_a_log() {
    let (mut simulation, mut thread) = (simulation(BOTH), Thread::default());
    let log = [WHOLE, 0x6000, 0x5000, 0x7fff_0000, 12, WHOLE];
    assert_eq!(simulation.follow(&mut thread, &log), 3);
    for nonsense in [&[WHOLE, 1][..], &[WHOLE - 1, 1, 2, 3], &[partly(9, 1)]] {
        assert_eq!(simulation.follow(&mut thread, nonsense), nonsense.len());
    }
}

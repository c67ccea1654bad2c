//! Small graphs written as text, for tests.
//!
//! Blocks are capital letters: `A` has index 0 and lies at 0x1000, `B` index 1 at 0x2000 and so on; `R` is the roots.
//! Pointers are words like `R>A` (to the start) and `A~B` (interior), `A~B:newarray` (interior, accepted by a
//! heuristic), in the order of their words.

use super::*;
use crate::classify::{Classes, HEURISTICS, State, classify};
use report::names::Set;

/// The graph over blocks of these sizes. Block `i` has stack `i + 1`.
pub(crate) fn graph(sizes: &[u64], pointers: &str) -> HeapGraph {
    let stacks: Vec<u32> = (1..=sizes.len() as u32).collect();
    with_stacks(sizes, &stacks, pointers)
}

/// The same with chosen stacks.
pub(crate) fn with_stacks(sizes: &[u64], stacks: &[u32], pointers: &str) -> HeapGraph {
    let mut builder = Builder::new(true);
    for (i, (size, stack)) in sizes.iter().zip(stacks).enumerate() {
        builder.block(0x1000 * (i as u64 + 1), *size, *stack).unwrap();
    }
    let mut words = [0; 26];
    for word in pointers.split_whitespace() {
        let (pair, heuristic) = word.split_once(':').unwrap_or((word, ""));
        let from = pair.as_bytes()[0];
        let to = u32::from(pair.as_bytes()[2] - b'A');
        let flags = match pair.as_bytes()[1] {
            b'>' => edge::START,
            b'~' if heuristic.is_empty() => 0,
            b'~' => 2 << HEURISTICS.names.iter().position(|name| *name == heuristic).unwrap(),
            other => panic!("pointer {}", other as char),
        };
        if from == b'R' {
            let place = Place::Data;
            builder.root(Root { address: 0x100, place, thread: 0, block: to, flags, interior: 0 }).unwrap();
        } else {
            let from = u32::from(from - b'A');
            let offset = &mut words[from as usize];
            builder.edge(Edge { from, to, flags, offset: *offset }).unwrap();
            *offset += 8;
        }
    }
    builder.finish()
}

/// The states as letters in the order of the blocks: r(eachable) p(ossible) i(ndirect) d(efinite).
pub(crate) fn states(classes: &Classes) -> String {
    let letter = |state: State| match state {
        State::Reachable => 'r',
        State::Possible => 'p',
        State::Indirect => 'i',
        State::Definite => 'd',
    };
    classes.states().map(letter).collect()
}

/// The states of blocks of 16 bytes under all heuristics.
pub(crate) fn classified(blocks: usize, pointers: &str) -> String {
    states(&classify(&graph(&vec![16; blocks], pointers), HEURISTICS.all()))
}

/// The same under a list of heuristics.
pub(crate) fn classified_under(heuristics: Set, blocks: usize, pointers: &str) -> String {
    states(&classify(&graph(&vec![16; blocks], pointers), heuristics))
}

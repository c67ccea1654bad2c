//! The table of nine cases from Valgrind's manual, the heuristics, leaders and their absorption.

use super::*;
use crate::graph::notation::{classified, classified_under, graph, states};

/// <https://valgrind.org/docs/manual/mc-manual.html#mc-manual.leaks>; A is AAA and B is BBB.
#[test]
fn the_nine_cases_of_the_manual() {
    assert_eq!(classified(1, "R>A"), "r", "case 1");
    assert_eq!(classified(2, "R>A A>B"), "rr", "case 2");
    assert_eq!(classified(1, ""), "d", "case 3");
    assert_eq!(classified(2, "A>B"), "di", "case 4");
    assert_eq!(classified(1, "R~A"), "p", "case 5");
    assert_eq!(classified(2, "R>A A~B"), "rp", "case 6");
    assert_eq!(classified(2, "R~A A>B"), "pp", "case 7");
    assert_eq!(classified(2, "R~A A~B"), "pp", "case 8");
    assert_eq!(classified(2, "A~B"), "di", "case 9");
}

#[test]
fn the_best_path_counts() {
    // B is first seen over an interior pointer, then over a start pointer: it and what it points at rise.
    assert_eq!(classified(3, "R~B R>A A>B B>C"), "rrr");
    assert_eq!(classified(3, "R>A R~B B>C A>B"), "rrr");
    assert_eq!(classified(4, "R~A A>B R>C C>B B~D"), "prrp");
    // A possible source never makes its target reachable.
    assert_eq!(classified(3, "R~A A>B B>C"), "ppp");
    // A reachable block is never lowered.
    assert_eq!(classified(2, "R>A R~A A>B"), "rr");
}

#[test]
fn each_heuristic_turns_its_interior_pointers_into_start_pointers() {
    for (i, name) in HEURISTICS.names.iter().enumerate() {
        let pointers = format!("R~A:{name} A~B:{name} B>C");
        assert_eq!(classified_under(HEURISTICS.all(), 3, &pointers), "rrr", "{name}");
        assert_eq!(classified_under(Set::of(&[i]), 3, &pointers), "rrr", "{name}");
        assert_eq!(classified_under(Set::NONE, 3, &pointers), "ppp", "{name}");
        let others: Vec<usize> = (0..4).filter(|other| *other != i).collect();
        assert_eq!(classified_under(Set::of(&others), 3, &pointers), "ppp", "{name}");
    }
}

#[test]
fn a_heuristic_is_named_only_where_it_was_needed() {
    let of = |pointers: &str| {
        let graph = graph(&[16; 2], pointers);
        let classes = classify(&graph, HEURISTICS.all());
        (states(&classes), classes.heuristic(0), classes.heuristic(1))
    };
    assert_eq!(of("R~A:newarray A>B"), ("rr".to_owned(), Some(2), None));
    assert_eq!(of("R~A:newarray R>A A~B:stdstring"), ("rr".to_owned(), None, Some(0)));
    assert_eq!(of("R>A R~A:newarray"), ("rd".to_owned(), None, None));
    assert_eq!(of("R~A:multipleinheritance R~B"), ("rp".to_owned(), Some(3), None));
    assert_eq!(of("R~A A~B:length64"), ("pp".to_owned(), None, None), "a possible source needs no name");
}

#[test]
fn a_leader_counts_what_it_leads_to() {
    let graph = graph(&[10, 20, 30, 40], "A>B B>C B~D");
    let classes = classify(&graph, HEURISTICS.all());
    assert_eq!(states(&classes), "diii");
    assert_eq!(classes.indirect_bytes(0), 90);
    assert_eq!(
        (classes.parent(0), classes.parent(1), classes.parent(2), classes.parent(3)),
        (None, Some(0), Some(1), Some(1))
    );
    assert_eq!(classes.leader(3), 0);
}

#[test]
fn a_later_leader_absorbs_an_earlier_one() {
    // A leads B until D, at a higher address, turns out to lead A.
    let graph1 = graph(&[1, 10, 100, 1000], "A>B D>A");
    let classes = classify(&graph1, HEURISTICS.all());
    assert_eq!(states(&classes), "iidd");
    assert_eq!(classes.indirect_bytes(0), 0, "handed on");
    assert_eq!(classes.indirect_bytes(3), 11);
    assert_eq!(classes.leader(1), 3);
    // Twice: C absorbs B, which had absorbed A.
    let graph2 = graph(&[1, 10, 100], "B>A C>B");
    let classes = classify(&graph2, HEURISTICS.all());
    assert_eq!(states(&classes), "iid");
    assert_eq!(classes.indirect_bytes(2), 11);
    // What an earlier leader already has is not taken from it.
    let graph3 = graph(&[1, 10, 100], "A>B C>B");
    let classes = classify(&graph3, HEURISTICS.all());
    assert_eq!(states(&classes), "did");
    assert_eq!((classes.indirect_bytes(0), classes.indirect_bytes(2)), (10, 0));
}

#[test]
fn the_lowest_block_of_a_cycle_leads_it() {
    let ring = graph(&[1, 10, 100], "A>B B>C C>A");
    let classes = classify(&ring, HEURISTICS.all());
    assert_eq!(states(&classes), "dii");
    assert_eq!(classes.indirect_bytes(0), 110);
    assert_eq!(classified(1, "A>A"), "d");
    // A tail that leads into a cycle becomes the leader when it lies higher.
    let tail = graph(&[1, 10, 100], "A>B B>A C>B");
    let classes = classify(&tail, HEURISTICS.all());
    assert_eq!(states(&classes), "did", "B was taken by A already, so C has nothing");
    let tail = graph(&[1, 10, 100], "A>B B>A C>A");
    let classes = classify(&tail, HEURISTICS.all());
    assert_eq!(states(&classes), "iid");
    assert_eq!(classes.indirect_bytes(2), 11);
}

#[test]
fn lost_blocks_that_point_at_reachable_ones_change_nothing() {
    assert_eq!(classified(3, "R>A B>A B>C"), "rdi");
    assert_eq!(classified(3, "R~A B>A A>B C>B"), "ppd");
}

#[test]
fn mixed() {
    // memcheck/tests/leak-tree in shape: a tree whose root is lost, a shared child, a reachable stray.
    assert_eq!(classified(8, "A>B A>C B>D B>E C>E R>F F~G H>A H~H"), "iiiiirpd");
}

#[test]
fn an_empty_heap() {
    assert_eq!(classified(0, ""), "");
}

/// Against a literal transcription of the rules for arbitrary graphs.
#[test]
fn random_graphs_agree_with_the_rules_by_definition() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..3000 {
        let blocks = 1 + random(10) as usize;
        let mut pointers = String::new();
        for _ in 0..random(16) {
            let from = if random(4) == 0 { b'R' } else { b'A' + random(blocks as u64) as u8 };
            let to = b'A' + random(blocks as u64) as u8;
            let how = if random(2) == 0 { '>' } else { '~' };
            pointers += &format!("{}{how}{} ", from as char, to as char);
        }
        let graph = graph(&vec![16; blocks], &pointers);
        let classes = classify(&graph, HEURISTICS.all());
        // Reachable: closure over start pointers. Possible: closure over all. The rest is lost.
        let closure = |starts_only: bool| {
            let mut in_it = vec![false; blocks];
            loop {
                let before = in_it.clone();
                for root in graph.roots() {
                    in_it[root.block as usize] |= !starts_only || root.flags & edge::START != 0;
                }
                for from in 0..blocks {
                    for (to, flags) in graph.edges(from as u32) {
                        in_it[to as usize] |= in_it[from] && (!starts_only || flags & edge::START != 0);
                    }
                }
                if in_it == before {
                    return in_it;
                }
            }
        };
        let (sure, any) = (closure(true), closure(false));
        let mut indirect = 0;
        for block in 0..blocks {
            let state = classes.state(block as u32);
            match (sure[block], any[block]) {
                (true, _) => assert_eq!(state, State::Reachable, "{pointers}"),
                (_, true) => assert_eq!(state, State::Possible, "{pointers}"),
                _ => assert!(classes.is_lost(block as u32), "{pointers}"),
            }
            if state == State::Indirect {
                indirect += 16;
                // Some lost block points at it, and its leader is definite.
                let parent = classes.parent(block as u32).unwrap();
                assert!(graph.edges(parent).any(|(to, _)| to as usize == block), "{pointers}");
                assert_eq!(classes.state(classes.leader(block as u32)), State::Definite, "{pointers}");
            }
        }
        let led: u64 = (0..blocks as u32).map(|b| classes.indirect_bytes(b)).sum();
        assert_eq!(led, indirect, "{pointers}");
    }
}

//! Rings, self pointers, and components of random graphs.

use super::*;
use crate::classify::{HEURISTICS, classify};
use crate::graph::notation::graph;

fn cycles(blocks: usize, pointers: &str) -> Vec<Vec<u32>> {
    let graph = graph(&vec![16; blocks], pointers);
    let found = find(&graph, &classify(&graph, HEURISTICS.all()));
    (0..found.len()).map(|cycle| found.blocks(cycle).to_vec()).collect()
}

#[test]
fn rings_are_found_among_lost_blocks_only() {
    assert_eq!(cycles(3, "A>B B>C C>A"), [[0, 1, 2]]);
    assert_eq!(cycles(3, "A>B B>C"), Vec::<Vec<u32>>::new());
    assert_eq!(cycles(2, "A>A"), [[0]], "a block that points to itself");
    assert_eq!(cycles(4, "A>B B>A C>D D>C R>C"), [[0, 1]], "a reachable ring is no leak");
    assert_eq!(cycles(5, "A>B B>A B>C C>D D>E E>C"), [vec![0, 1], vec![2, 3, 4]]);
    assert_eq!(cycles(4, "D>A A>B B>A B>C C>B"), [[0, 1, 2]]);
}

#[test]
fn blocks_know_their_cycle_and_the_way_around() {
    let graph = graph(&[16; 6], "A>B B>C C>D D>A B>A F>B");
    let found = find(&graph, &classify(&graph, HEURISTICS.all()));
    assert_eq!(found.len(), 1);
    assert_eq!((found.of(0), found.of(3), found.of(4), found.of(5)), (Some(0), Some(0), None, None));
    assert_eq!(found.round(0, &graph), [0, 1], "the shortest way around");
    let ring = notation_ring();
    let found = find(&ring, &classify(&ring, HEURISTICS.all()));
    assert_eq!(found.round(0, &ring), [0, 2, 1]);
}

fn notation_ring() -> HeapGraph {
    graph(&[16; 3], "A>C C>B B>A")
}

#[test]
fn a_long_list_needs_no_recursion() {
    let mut builder = crate::graph::Builder::new(false);
    let count = 300_000u32;
    for i in 0..count {
        builder.block(u64::from(i) * 16, 16, 1).unwrap();
    }
    for i in 0..count {
        let to = (i + 1) % count;
        builder.edge(crate::graph::Edge { from: i, to, flags: 1, offset: 0 }).unwrap();
    }
    let graph = builder.finish();
    let found = find(&graph, &classify(&graph, HEURISTICS.all()));
    assert_eq!(found.len(), 1);
    assert_eq!(found.blocks(0).len(), count as usize);
}

/// Two blocks are in one cycle exactly when each leads to the other.
#[test]
fn random_graphs_agree_with_the_definition() {
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..2000 {
        let blocks = 1 + random(8) as usize;
        let mut pointers = String::new();
        for _ in 0..random(14) {
            let letter = |i: u64| (b'A' + i as u8) as char;
            pointers += &format!("{}>{} ", letter(random(blocks as u64)), letter(random(blocks as u64)));
        }
        let graph = graph(&vec![16; blocks], &pointers);
        let found = find(&graph, &classify(&graph, HEURISTICS.all()));
        // Pairs by one number: from * blocks + to.
        let mut leads = vec![false; blocks * blocks];
        for from in 0..blocks {
            for (to, _) in graph.edges(from as u32) {
                leads[from * blocks + to as usize] = true;
            }
        }
        for via in 0..blocks {
            for pair in 0..blocks * blocks {
                let (from, to) = (pair / blocks, pair % blocks);
                leads[pair] |= leads[from * blocks + via] && leads[via * blocks + to];
            }
        }
        for pair in 0..blocks * blocks {
            let (a, b) = (pair / blocks, pair % blocks);
            let (cycle_a, cycle_b) = (found.of(a as u32), found.of(b as u32));
            let both = leads[pair] && leads[b * blocks + a];
            assert_eq!(cycle_a.is_some() && cycle_a == cycle_b, both, "{pointers}");
        }
        for cycle in 0..found.len() {
            let round = found.round(cycle, &graph);
            for (i, block) in round.iter().enumerate() {
                let next = round[(i + 1) % round.len()];
                assert!(graph.edges(*block).any(|(to, _)| to == next), "{pointers}");
            }
        }
    }
}

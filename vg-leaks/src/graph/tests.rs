//! Building from unsorted and wrong input; lookup by address.

use super::notation::graph;
use super::*;

fn blocks(count: u32) -> Builder {
    let mut builder = Builder::new(true);
    for i in 0..count {
        builder.block(0x1000 * u64::from(i + 1), 16, 1).unwrap();
    }
    builder
}

#[test]
fn edges_in_any_order_end_up_with_their_source() {
    let mut builder = blocks(3);
    for (from, to, offset) in [(2, 0, 0), (0, 1, 0), (2, 1, 8), (0, 2, 8)] {
        builder.edge(Edge { from, to, flags: edge::START, offset }).unwrap();
    }
    let graph = builder.finish();
    let all: Vec<_> = (0..3)
        .flat_map(|b| graph.edge_range(b).map(move |i| (b, i)))
        .map(|(b, i)| graph.edge(b, i))
        .map(|e| (e.from, e.to, e.offset))
        .collect();
    assert_eq!(all, [(0, 1, 0), (0, 2, 8), (2, 0, 0), (2, 1, 8)]);
    assert_eq!(graph.edges(1).len(), 0);
    assert_eq!(graph.edge_count(), 4);
}

#[test]
fn wrong_input_is_refused() {
    let mut builder = blocks(2);
    assert_eq!(builder.block(0x1fff, 1, 1), Err(GraphError::Order(2)));
    let edge = |from, to| Edge { from, to, flags: 0, offset: 0 };
    assert_eq!(builder.edge(edge(0, 2)), Err(GraphError::NoSuchBlock(2)));
    assert_eq!(builder.edge(edge(7, 0)), Err(GraphError::NoSuchBlock(7)));
    let root = Root { address: 0, place: Place::Stack, thread: 0, block: 2, flags: 0, interior: 0 };
    assert_eq!(builder.root(root), Err(GraphError::NoSuchBlock(2)));
    assert_eq!(builder.finish().edge_count(), 0);
}

#[test]
fn addresses_find_their_block() {
    let graph = graph(&[16, 0, 16], "");
    assert_eq!(graph.find(0x1000), Some(0));
    assert_eq!(graph.find(0x100f), Some(0));
    assert_eq!(graph.find(0x1010), None);
    assert_eq!(graph.find(0x2000), Some(1), "a block of size 0 covers its first byte");
    assert_eq!(graph.find(0x2001), None);
    assert_eq!(graph.find(0xfff), None);
    assert_eq!(graph.find(u64::MAX), None);
    assert_eq!(graph.nearest(0x1f00), Some(1));
    assert_eq!(graph.nearest(0), Some(0));
    assert_eq!(HeapGraph::default().nearest(1), None);
}

//! Trees that follow from logs written by hand.

use super::*;
use alloc::format;
use alloc::string::String;

const MAIN: u32 = 1;
const F: u32 = 2;
const G: u32 = 3;

fn enter(function: u32, clock: u64, sp: u64, site: u64) -> [u64; 4] {
    [!u64::from(function), clock, site, sp]
}

/// `function*calls=cost` of each node but the first, with `^` for one that leads back to an ancestor, children in brackets.
fn shape(contexts: &[Context]) -> String {
    fn node(contexts: &[Context], number: usize) -> String {
        let Context { function, calls, cost, target, .. } = contexts[number];
        let back = if target as usize == number { "" } else { "^" };
        let children: Vec<_> = called(contexts, number).map(|child| node(contexts, child)).collect();
        let children = if children.is_empty() { String::new() } else { format!("({})", children.join(" ")) };
        format!("{back}{function}*{calls}={cost}{children}")
    }
    fn called(contexts: &[Context], parent: usize) -> impl Iterator<Item = usize> {
        (1..contexts.len()).filter(move |&child| {
            contexts[child].parent as usize == parent && contexts[child].function != NO_FUNCTION
        })
    }
    called(contexts, 0).map(|number| node(contexts, number)).collect::<Vec<_>>().join(" ")
}

fn begun() -> Tree {
    Tree::new(Memory::own())
}

fn after(events: &[&[u64]], clock: u64) -> Vec<Context> {
    let mut tree = begun();
    tree.follow(&events.concat());
    tree.contexts(clock)
}

#[test]
fn each_call_site_has_its_node() {
    let tree = after(
        &[
            &enter(MAIN, 5, 1000, 11),
            &enter(F, 10, 900, 21),
            &[900, 17],
            &enter(F, 20, 900, 22),
            &enter(G, 21, 800, 31),
            &[800, 25],
            &[900, 26],
            &enter(F, 30, 900, 21),
            &[900, 33],
        ],
        40,
    );
    assert_eq!(shape(&tree), "1*1=19(2*2=10 2*1=2(3*1=4))");
    assert_eq!(tree[0].cost, 5);
    assert_eq!(tree.iter().map(|node| node.cost).sum::<u64>(), 40);
}

#[test]
fn an_active_function_goes_on_at_its_node() {
    let mut events: Vec<u64> = enter(MAIN, 0, 1000, 11).to_vec();
    // F calls itself, twice nested, then G, which calls F.
    events.extend(enter(F, 1, 900, 21));
    events.extend(enter(F, 2, 800, 31));
    events.extend(enter(F, 3, 700, 31));
    events.extend(enter(G, 4, 600, 32));
    events.extend(enter(F, 6, 500, 41));
    for (sp, clock) in [(500, 8), (600, 10), (700, 11), (800, 12), (900, 13)] {
        events.extend([sp, clock]);
    }
    let tree = after(&[&events], 20);
    assert_eq!(shape(&tree), "1*1=8(2*1=8(^2*2=0 3*1=4(^2*1=0)))");
}

#[test]
fn an_event_that_is_told_again_tells_nothing_new() {
    let f = enter(F, 10, 900, 21);
    let again = enter(F, 11, 900, 21);
    let tree = after(&[&enter(MAIN, 5, 1000, 11), &f, &again, &[900, 20], &[900, 21]], 30);
    assert_eq!(shape(&tree), "1*1=15(2*1=10)");
}

#[test]
fn what_is_jumped_to_returns_for_who_jumped() {
    let tree = after(
        &[
            &enter(MAIN, 0, 1000, 11),
            &enter(F, 1, 900, 21),
            &enter(G, 3, 900, 21),
            // And back, and forth: tail calls in a circle.
            &enter(F, 6, 900, 21),
            &enter(G, 7, 900, 21),
            &[900, 9],
        ],
        10,
    );
    assert_eq!(shape(&tree), "1*1=2(2*1=3(3*2=5))");
    assert_eq!(tree[3].site, JUMP);
}

#[test]
fn a_function_that_left_by_a_jump_does_not_stay() {
    // F pops its return address and jumps there; then the caller calls G with the same stack pointer.
    let events: [&[u64]; 4] =
        [&enter(MAIN, 0, 1000, 11), &enter(F, 1, 900, 21), &enter(G, 5, 900, 22), &[900, 8]];
    assert_eq!(shape(&after(&events, 9)), "1*1=2(2*1=4 3*1=3)");
}

#[test]
fn longjmp_ends_the_frames_below_it() {
    let events: [&[u64]; 5] = [
        &enter(MAIN, 0, 1000, 11),
        &enter(F, 1, 900, 21),
        &enter(G, 2, 800, 31),
        // The stack pointer becomes main's.
        &[950, 5],
        &enter(G, 9, 900, 22),
    ];
    assert_eq!(shape(&after(&events, 10)), "1*1=5(2*1=1(3*1=3) 3*1=1)");
}

#[test]
fn a_handler_is_called_by_nobody() {
    for stack in [None, Some(5000..6000)] {
        let sp = if stack.is_some() { 5900 } else { 700 };
        let mut tree = begun();
        tree.follow(&[enter(MAIN, 0, 1000, 11), enter(F, 1, 900, 21)].concat());
        tree.handle(G, 4, sp, 77, stack.clone());
        // Its entry is told as well.
        tree.follow(
            &[&enter(G, 4, sp, 77)[..], &enter(F, 5, sp - 100, 31), &[sp - 100, 8], &[sp, 9]].concat(),
        );
        tree.handled(10);
        tree.follow(&[900, 12]);
        assert_eq!(shape(&tree.contexts(13)), "1*1=2(2*1=5) 3*1=2(2*1=3)", "{stack:?}");
    }
}

#[test]
fn a_handler_that_is_left_by_a_jump_ends() {
    for stack in [None, Some(5000..6000)] {
        let sp = if stack.is_some() { 5900 } else { 700 };
        let mut tree = begun();
        tree.follow(&[enter(MAIN, 0, 1000, 11), enter(F, 1, 900, 21)].concat());
        tree.handle(G, 4, sp, 77, stack);
        tree.follow(&[950, 6]);
        tree.follow(&enter(G, 8, 900, 22));
        assert!(tree.handlers.is_empty());
        assert_eq!(shape(&tree.contexts(9)), "1*1=3(2*1=3 3*1=1) 3*1=2");
    }
}

#[test]
fn many_contexts_are_found_again() {
    let mut tree = begun();
    for round in 0..2 {
        for function in 10..3000 {
            let clock = round * 100_000 + u64::from(function);
            tree.follow(&enter(function, clock, 900, 21));
            tree.follow(&[900, clock]);
        }
    }
    let contexts = tree.contexts(300_000);
    assert_eq!(contexts.len(), 2991);
    assert!(contexts[1..].iter().all(|node| node.calls == 2));
    tree.forget(300_000);
    // The thread itself goes on.
    assert!(tree.contexts(300_001)[1..].iter().all(|node| (node.calls, node.cost) == (0, 0)));
}

#[test]
fn what_is_not_collected_leaves_the_stack_as_it_is() {
    let mut tree = begun();
    tree.collect(0, false);
    tree.follow(&[enter(MAIN, 5, 1000, 11), enter(F, 10, 900, 21)].concat());
    tree.collect(12, true);
    tree.follow(&[&enter(G, 14, 800, 31)[..], &[800, 17], &[900, 20]].concat());
    tree.collect(24, false);
    tree.follow(&[&enter(F, 30, 900, 22)[..], &[900, 33], &[1000, 35]].concat());
    let contexts = tree.contexts(40);
    assert_eq!(shape(&contexts), "1*0=4(2*0=5(3*1=3) 2*0=0)");
    assert_eq!(contexts.iter().map(|node| node.cost).sum::<u64>(), 12);
}

#[test]
fn what_is_active_is_told_once() {
    let mut tree = begun();
    tree.follow(&[enter(MAIN, 5, 1000, 11), enter(F, 10, 900, 21)].concat());
    assert_eq!(shape(&tree.contexts(12)), "1*1=5(2*1=2)");
    tree.forget(12);
    tree.follow(&[&[900, 20][..], &enter(F, 21, 900, 21)].concat());
    assert_eq!(shape(&tree.contexts(24)), "1*0=1(2*1=11)");
    // Emitted code has counted a leave, was interrupted, and counts it again.
    tree.follow(&[900, 24]);
    let left = tree.contexts(24);
    tree.memory.set_top(2);
    tree.take_back(24, true);
    assert_eq!(tree.contexts(24), left);
}

#[test]
fn a_node_is_among_its_callers_children_unless_its_function_has_jumped_back() {
    let mut tree = begun();
    let events = [
        enter(MAIN, 0, 1000, 11),
        enter(F, 1, 900, 21),
        // F jumps to G, which jumps to main: that goes on at its own node.
        enter(G, 2, 900, 21),
        enter(MAIN, 3, 900, 21),
    ];
    tree.follow(&events.concat());
    let mut child = |parent: u32, site: u64, function: u32| {
        tree.memory.node(parent).children[frames::child(site, function)] / NODE_BYTES
    };
    assert_eq!([child(0, 11, MAIN), child(1, 21, F), child(2, JUMP, G), child(3, JUMP, MAIN)], [1, 2, 3, 0]);
    assert_eq!(tree.current(), 1);
}

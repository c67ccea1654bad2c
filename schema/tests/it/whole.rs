//! A whole trace in memory.

use schema::{
    read::{Ending, Trace},
    write::Codec,
    *,
};

use crate::sample::{messages, write};

fn load(messages: &[Message]) -> Trace {
    Trace::load(&write(messages, Codec::Lz4)[..]).expect("it has a header")
}

#[test]
fn tables_are_resolved() {
    let mut events = Vec::new();
    let bytes = write(&messages(), Codec::Zstd);
    let trace = Trace::load_events(&bytes[..], |trace, batch| {
        assert!(trace.stack_node(2).is_some(), "tables come before the events that need them");
        events.extend(batch.events);
    })
    .expect("it has a header");
    assert_eq!((events.len(), trace.events, &trace.ending), (5, 5, &Ending::Complete));
    assert_eq!(trace.header.tool, "vg-record 0.1.0");

    let process = trace.process(1).expect("known");
    assert_eq!(process.images.len(), 2);
    assert_eq!(process.image().exe.to_string(), "/bin/true");
    assert_eq!(process.end.map(|end| (end.how, end.value)), Some((End::Signal, 11)));
    assert!(trace.process(2).is_none());
    assert_eq!(trace.thread(1).and_then(|t| t.name.clone()), Some("main".into()));
    assert_eq!(trace.thread(2).and_then(|t| t.end).map(|end| end.instructions), Some(1_000_000));
    assert_eq!(trace.module(2).and_then(|m| m.unloaded), Some(550));
    assert_eq!(trace.module(1).and_then(|m| m.unloaded), None);

    assert_eq!(trace.stack(2).collect::<Vec<_>>(), [2, 1]);
    let names: Vec<_> =
        trace.resolve(2).iter().map(|f| (f.function, f.raw_name, f.file, f.line, f.inlined)).collect();
    let expected = [
        ("setup()", "_Z5setupv", "leaky.cc", 12, true),
        ("größe", "", "leaky.cc", 12, false),
        ("setup()", "_Z5setupv", "leaky.cc", 30, false),
    ];
    assert_eq!(names, expected);
    assert_eq!(trace.resolve(1)[0].module.map(|m| m.path.to_string()), Some("/tmp/leaky".to_owned()));
    let unknown: Vec<_> = trace.resolve_frame(3).map(|f| (f.function, f.module, f.code.guessed)).collect();
    assert_eq!(unknown, [("", None, true)]);
    for id in [0, 3, u32::MAX] {
        assert!(trace.resolve(id).is_empty());
    }
    assert_eq!([0, 3, 6, u32::MAX].map(|id| trace.string(id)), ["", "leaky.cc", "", ""]);

    let names = |module, rva| {
        let symbols = trace.code_symbols(module, rva);
        symbols.iter().map(|f| (f.function, f.line, f.inlined)).collect::<Vec<_>>()
    };
    assert_eq!(names(1, 0x1233), [("setup()", 30, false)]);
    assert_eq!(names(1, 0x1234), [("setup()", 12, true), ("größe", 12, false)]);
    // Before the first line; in none; of a place that never came, or without entries; of no module.
    for (module, rva) in [(1, 0x11ff), (1, 0x1250), (1, 0x2000), (2, 0), (0, 0x1234), (u32::MAX, u64::MAX)] {
        assert_eq!(names(module, rva), [("", 0, false)], "{module} {rva:#x}");
    }
    let [symbol] = trace.code_symbols(1, 0x1200)[..] else { panic!("one function") };
    assert_eq!(symbol.module.map(|m| m.path.to_string()), Some("/tmp/leaky".to_owned()));
    assert_eq!(symbol.code, Frame { module: 1, rva: 0x1200, exact: true, guessed: false });
    assert_eq!((symbol.frame, symbol.raw_name, symbol.file, symbol.column), (0, "_Z5setupv", "leaky.cc", 5));
    let executions: Vec<_> = trace.executions.iter().map(|e| (e.process, e.thread, e.rows.len())).collect();
    assert_eq!(executions, [(1, 1, 4), (1, 2, 1), (1, 2, 1)]);

    let [snapshot] = &trace.snapshots[..] else { panic!("one snapshot") };
    assert!(snapshot.complete && snapshot.dangling == 0 && snapshot.scanned == 4096);
    assert_eq!((snapshot.blocks.len(), snapshot.roots.len(), snapshot.edges.len()), (3, 2, 2));
    assert_eq!(snapshot.roots[0].kind(), RootKind::Register);
    assert_eq!((trace.remarks.len(), trace.not_followed.len()), (1, 1));
    // The last count is kept, with all that the first entry said.
    let errors: Vec<_> = trace.errors.iter().map(|e| (e.number, e.kind, e.count, e.stack)).collect();
    assert_eq!(errors, [(1, ErrorKind::InvalidRead, 9, 2), (2, ErrorKind::Other(900), 1, 0)]);
    assert_eq!(trace.trailer.map(|trailer| trailer.lost.len()), Some(1));
}

#[test]
fn a_later_entry_of_an_error_brings_a_count_and_an_address() {
    let about = |text: &str| {
        let text = text.to_owned();
        Some(AddressInfo { kind: AddressKind::Stack, text, ..AddressInfo::default() })
    };
    let error =
        |count, stack, about| Error { number: 1, process: 1, count, stack, about, ..Error::default() };
    let entries = vec![error(1, 2, about("")), error(3, 0, about("x")), error(4, 0, None)];
    let trace = load(&[messages()[0].clone(), Message::Errors(entries)]);
    let [known] = &trace.errors[..] else { panic!("one error") };
    assert_eq!((known.count, known.stack), (4, 2));
    assert_eq!(known.about, about("x"));
    assert!(known.about.as_ref().is_some_and(AddressInfo::is_variable));
    assert!(!about("").is_some_and(|about| about.is_variable()));
}

#[test]
fn events_are_counted_without_being_decoded() {
    assert_eq!(load(&messages()).events, 5);
}

#[test]
fn counters_are_merged_by_name() {
    let counters = |process, values: &[(&str, u64)]| {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Message::Counters(Counters { process, values })
    };
    let trace = load(&[
        messages()[0].clone(),
        counters(1, &[("a", 1), ("b", 2)]),
        counters(0, &[("a", 5)]),
        counters(1, &[("c", 4), ("a", 3)]),
    ]);
    let values = |i: usize| {
        trace.counters[i].values.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>()
    };
    assert_eq!(values(0), [("a", 3), ("b", 2), ("c", 4)]);
    assert_eq!(values(1), [("a", 5)]);
}

fn corrupt(messages: &[Message], why_contains: &str) {
    let trace = load(messages);
    let last = messages.len() as u64 - 1;
    let Ending::Corrupt { message, why, .. } = &trace.ending else { panic!("{}", trace.ending) };
    assert_eq!(*message, last);
    assert!(why.contains(why_contains), "{why:?} should say {why_contains:?}");
}

#[test]
fn what_contradicts_itself_is_named() {
    let header = messages()[0].clone();
    let strings = |first_id| Message::Strings(Strings { first_id, strings: vec!["a".to_owned()] });
    corrupt(&[header.clone(), strings(2)], "begins with string 2, and the next one is 1");
    corrupt(&[header.clone(), strings(1), strings(1)], "begins with string 1, and the next one is 2");
    let stacks =
        |first_id, parent| Message::Stacks(Stacks { first_id, nodes: vec![StackNode { parent, frame: 1 }] });
    corrupt(&[header.clone(), stacks(1, 1)], "stack 1 names 1 as its parent");
    corrupt(&[header.clone(), stacks(1, 0), stacks(2, 9)], "stack 2 names 9 as its parent");
    let places = |first_id| Message::Places(Places { first_id, places: vec![vec![]] });
    corrupt(&[header.clone(), places(1), places(3)], "begins with place 3, and the next one is 2");
    let lines =
        |module, rva| Message::CodeLines(CodeLines { module, rows: vec![CodeLine { rva, place: 0 }] });
    let why = "the line of module 1 at 0x9 comes after the one at 0x9";
    corrupt(&[header.clone(), lines(1, 9), lines(2, 1), lines(1, 9)], why);
    let end = Message::ThreadEnd(ThreadEnd { thread: 3, time: 0, instructions: 0 });
    corrupt(&[header.clone(), end], "thread 3");

    let block = |address| Block { address, size: 1, stack: 0, family: Family::Malloc, align_log2: 0 };
    let blocks = |rows: Vec<Block>| Message::SnapshotBlocks(SnapshotPiece { process: 1, snapshot: 1, rows });
    let begin =
        Message::SnapshotBegin(SnapshotBegin { process: 1, snapshot: 1, reason: Reason::Exit, time: 0 });
    let start = [header, begin];
    let with = |rest: &[Message]| [&start[..], rest].concat();
    corrupt(&[start[0].clone(), blocks(vec![block(1)])], "has not begun");
    corrupt(&with(&[blocks(vec![block(2), block(1)])]), "block 0x1 comes after block 0x2");
    corrupt(&with(&[blocks(vec![block(2)]), blocks(vec![block(2)])]), "block 0x2 comes after");
    let end = |blocks, roots, edges| {
        Message::SnapshotEnd(SnapshotEnd { process: 1, snapshot: 1, blocks, roots, edges, scanned: 0 })
    };
    corrupt(&with(&[blocks(vec![block(1), block(2)]), end(3, 0, 0)]), "has 2 blocks, not 3");
    let edges = |source, target| {
        let rows = vec![Edge { source, target, offset: 0, flags: 1 }];
        Message::SnapshotEdges(SnapshotPiece { process: 1, snapshot: 1, rows })
    };
    for edges in [edges(0, 1), edges(1, 0)] {
        corrupt(&with(&[blocks(vec![block(1)]), edges, end(1, 0, 1)]), "block number 1");
    }
    corrupt(&with(&[end(0, 0, 0), blocks(vec![block(1)])]), "goes on after its end");

    // Cut before its end, a snapshot keeps what names blocks that are there.
    let trace = load(&with(&[blocks(vec![block(1)]), edges(0, 0), edges(0, 7)]));
    let snapshot = &trace.snapshots[0];
    assert_eq!((snapshot.complete, snapshot.edges.len(), snapshot.dangling), (false, 1, 1));
}

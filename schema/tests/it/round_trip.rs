//! What is written is read back.

use schema::{
    read::{Ending, Trace, TraceReader},
    write::Codec,
    *,
};

use crate::{
    random::Random,
    sample::{messages, read, write},
};

#[test]
fn every_kind_of_message_comes_back_with_every_codec() {
    let messages = messages();
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        assert_eq!(read(&write(&messages, codec)), (messages.clone(), Ending::Complete), "{codec:?}");
    }
}

#[test]
fn long_tables_are_cut_and_come_back() {
    let count = 100_000u32;
    let mut random = Random(1);
    let strings: Vec<String> = (0..count).map(|i| "x".repeat((i % 50) as usize)).collect();
    let frames: Vec<Frame> = (0..count)
        .map(|i| Frame { module: i % 3, rva: random.next(), exact: i % 2 == 0, guessed: i % 5 == 0 })
        .collect();
    let nodes: Vec<StackNode> = (0..count).map(|i| StackNode { parent: i, frame: i / 2 }).collect();
    let place = Place { function: 1, raw_name: 2, file: 3, line: 4, column: 5 };
    let symbols: Vec<FrameSymbols> =
        (0..count).map(|i| FrameSymbols { frame: i, places: vec![place; (i % 4) as usize] }).collect();
    let blocks: Vec<Block> = (0..count)
        .map(|i| Block {
            address: 0x1000_0000 + u64::from(i) * 32,
            size: random.below(33),
            stack: random.below(500) as u32,
            family: Family::from_number(random.below(5) as u8),
            align_log2: random.below(7) as u8,
        })
        .collect();
    let edges: Vec<Edge> = (0..count)
        .map(|i| Edge { source: i, target: random.below(count.into()) as u32, offset: 8, flags: 1 })
        .collect();
    let runs: Vec<Executed> = (0..count)
        .map(|i| Executed {
            module: i / 40_000,
            rva: u64::from(i) * 20,
            times: random.next(),
            lengths: random.next() | 1,
        })
        .collect();
    let places: Vec<Vec<Place>> = (0..count).map(|i| vec![place; (i % 3) as usize]).collect();
    let lines: Vec<CodeLine> =
        (0..count).map(|i| CodeLine { rva: u64::from(i) * 3, place: random.next() as u32 }).collect();
    let all = [
        messages()[0].clone(),
        Message::Strings(Strings { first_id: 1, strings: strings.clone() }),
        Message::Frames(Frames { first_id: 1, frames: frames.clone() }),
        Message::Stacks(Stacks { first_id: 1, nodes: nodes.clone() }),
        Message::Symbols(symbols.clone()),
        Message::SnapshotBlocks(SnapshotPiece { process: 1, snapshot: 1, rows: blocks.clone() }),
        Message::SnapshotEdges(SnapshotPiece { process: 1, snapshot: 1, rows: edges.clone() }),
        Message::Executions(Executions { process: 1, thread: 2, part: 0, rows: runs.clone() }),
        Message::Places(Places { first_id: 1, places: places.clone() }),
        Message::CodeLines(CodeLines { module: 3, rows: lines.clone() }),
    ];
    let bytes = write(&all, Codec::Zstd);
    let mut back = (vec![], vec![], vec![], vec![], vec![], vec![]);
    let mut code = (vec![], vec![], vec![]);
    for message in TraceReader::new(&bytes[..]).skip(1) {
        match message {
            Message::Strings(table) => {
                assert_eq!(table.first_id as usize, back.0.len() + 1);
                back.0.extend(table.strings);
            }
            Message::Frames(table) => {
                assert_eq!(table.first_id as usize, back.1.len() + 1);
                back.1.extend(table.frames);
            }
            Message::Stacks(table) => {
                assert_eq!(table.first_id as usize, back.2.len() + 1);
                back.2.extend(table.nodes);
            }
            Message::Symbols(symbols) => back.3.extend(symbols),
            Message::SnapshotBlocks(piece) => back.4.extend(piece.rows),
            Message::SnapshotEdges(piece) => back.5.extend(piece.rows),
            Message::Executions(piece) => {
                assert_eq!((piece.process, piece.thread), (1, 2));
                code.0.extend(piece.rows);
            }
            Message::Places(table) => {
                assert_eq!(table.first_id as usize, code.1.len() + 1);
                code.1.extend(table.places);
            }
            Message::CodeLines(piece) => {
                assert_eq!(piece.module, 3);
                code.2.extend(piece.rows);
            }
            other => panic!("{other:?} was not written"),
        }
    }
    assert!(back == (strings, frames, nodes, symbols, blocks, edges));
    assert!(code == (runs.clone(), places, lines));
    let bytes = write(&[&all[..1], &all[7..]].concat(), Codec::Lz4);
    let trace = Trace::load(&bytes[..]).expect("it has a header");
    assert!(
        trace.executions == [Executions { process: 1, thread: 2, part: 0, rows: runs }],
        "{}",
        trace.ending
    );
}

#[test]
fn extreme_events_come_back() {
    let mut random = Random(2);
    let mut anything = || match random.below(4) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << random.below(64),
        _ => random.next(),
    };
    let events: Vec<HeapEvent> = (0..5000)
        .map(|_| {
            let op = Op::from_number(anything() as u8);
            HeapEvent {
                op,
                family: Family::from_number(anything() as u8),
                align_log2: if op == Op::Free { 0 } else { anything() as u8 },
                thread: anything() as u32,
                stack: anything() as u32,
                time: anything(),
                instructions: anything(),
                address: anything(),
                size: if op == Op::Free { 0 } else { anything() },
                old_address: if op == Op::Realloc { anything() } else { 0 },
            }
        })
        .collect();
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let batch = EventBatch { process: 3, first_time: 0, last_time: 0, events: events.clone() };
        let (back, _) = read(&write(&[messages()[0].clone(), Message::Events(batch)], codec));
        let [_, Message::Events(back)] = &back[..] else { panic!("{back:?}") };
        assert!(back.events == events, "{codec:?}");
        assert_eq!((back.first_time, back.last_time), (0, u64::MAX));
    }
}

#[test]
fn events_can_be_left_out() {
    let bytes = write(&messages(), Codec::Lz4);
    let reader = TraceReader::new(&bytes[..]).skip_events();
    let skipped: Vec<Message> =
        reader.filter(|message| matches!(message, Message::Events(_) | Message::Skipped(_))).collect();
    let events = Message::Skipped(Skipped::Events { process: 1, rows: 5 });
    let log = Message::Skipped(Skipped::AccessLog);
    assert_eq!(skipped, [events, log.clone(), log]);
}

#[test]
fn the_clock_converts_ticks() {
    let clock = Clock { tsc_hz: 3_000_000_000, tsc_start: 100, unix_start: 0 };
    assert_eq!(clock.nanoseconds(100), 0);
    assert_eq!(clock.nanoseconds(99), 0);
    assert_eq!(clock.nanoseconds(100 + 3_000_000_000), 1_000_000_000);
    // A year of ticks times 10^9 does not fit into 64 bits.
    assert_eq!(clock.nanoseconds(100 + 94_608_000_000_000_000), 31_536_000_000_000_000);
    assert_eq!(Clock::default().nanoseconds(5), 0);
}

#[test]
fn numbers_agree_with_those_of_the_ring() {
    use ring::record;
    let start = [record::Start::Root, record::Start::Fork, record::Start::Vfork, record::Start::Exec];
    let trace = [Start::Root, Start::Fork, Start::Vfork, Start::Exec];
    assert_eq!(start.map(|start| Start::from_number(start as u16)), trace);
    use record::End as E;
    let end = [E::Exit, E::Signal, E::Exec, E::NativeExec, E::EngineError];
    let trace = [End::Exit, End::Signal, End::Exec, End::NativeExec, End::EngineError];
    assert_eq!(end.map(|end| End::from_number(end as u16)), trace);
    use record::Family as F;
    let family = [F::Malloc, F::New, F::NewArray, F::Client, F::Pool];
    let trace = [Family::Malloc, Family::New, Family::NewArray, Family::Client, Family::Pool];
    assert_eq!(family.map(|family| Family::from_number(family as u8)), trace);
    use record::Reason as R;
    let reason = [R::Exit, R::Signal, R::Request, R::Client, R::Exec];
    let trace = [Reason::Exit, Reason::Signal, Reason::Request, Reason::Client, Reason::Exec];
    assert_eq!(reason.map(|reason| Reason::from_number(reason as u16)), trace);
    use record::edge as e;
    assert_eq!(
        [e::START, e::STDSTRING, e::LENGTH64, e::NEWARRAY, e::MULTIPLE_INHERITANCE, e::ROOT_MASK],
        [
            edge::START,
            edge::STDSTRING,
            edge::LENGTH64,
            edge::NEWARRAY,
            edge::MULTIPLE_INHERITANCE,
            edge::ROOT_MASK
        ]
    );
    let kinds = [e::ROOT_REGISTER, e::ROOT_STACK, e::ROOT_DATA, e::ROOT_MAPPING, e::ROOT_TLS];
    let root = |flags| Root { location: 0, block: 0, flags, thread: 0, offset: 0 }.kind();
    let trace = [RootKind::Register, RootKind::Stack, RootKind::Data, RootKind::Mapping, RootKind::Tls];
    assert_eq!(kinds.map(root), trace);
}

//! Records in, messages out.

use super::*;
use crate::testing::{
    Said, Sink, alloc, feed, fork_start, messages, node, process_start, record, record_with, recording,
};
use ring::record::{self as raw, pair};
use schema::{Family, HeapEvent, Message, Op};

fn events(sink: &Sink) -> Vec<HeapEvent> {
    let batches = messages(sink).into_iter().filter_map(|message| match message {
        Message::Events(batch) => Some(batch.events),
        _ => None,
    });
    batches.flatten().collect()
}

/// The addresses of a stack of the trace, innermost first.
fn rvas(recording: &Recording, mut stack: u32) -> Vec<u64> {
    let mut list = Vec::new();
    while stack != 0 {
        let node = recording.trace.stacks.nodes()[stack as usize - 1];
        list.push(recording.trace.stacks.frames()[node.frame as usize - 1].rva);
        stack = node.parent;
    }
    list
}

#[test]
fn a_process_from_start_to_end() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    feed(
        &mut recording,
        &mut stream,
        &[
            process_start(10, 1, 0, raw::Start::Root),
            record(Kind::ThreadStart, &[11, pair(1001, 0)]),
            record_with(Kind::ThreadName, &[], &[b"worker"]),
            record_with(Kind::Module, &[12, 1, 0x40_0000, 0x1000, 0x40_0000, 0], &[b"[vdso]"]),
            record(Kind::Node, &[pair(1, 0), 1, 0x123 | 1 << 63]),
            alloc(20, 0x5000, 1),
            record(Kind::Realloc, &[21, 0x6000, 48, pair(1, 0), 78, 0x5000]),
            record(Kind::Free, &[22, 0x6000, 0, pair(0, 2), 79]),
            record(Kind::Stats, &[5, 6]),
            record_with(Kind::NotFollowed, &[23, 4711], &[b"it is 32-bit"]),
            record(Kind::ModuleGone, &[24, 1]),
            record(Kind::ThreadExit, &[25, 100]),
            record(Kind::ProcessEnd, &[26, 0, 3, 100]),
        ],
    );
    assert!(stream.ended && stream.is_settled());
    recording.trace.flush();
    let list = messages(&sink);
    let Message::Process(process) = &list[1] else { panic!("{:?}", list[1]) };
    assert_eq!((process.number, process.pid, process.how, process.time), (1, 1001, Start::Root, 10));
    assert_eq!(process.argv, [Bytes::from("prog"), Bytes::from("an arg")]);
    assert!(list.contains(&Message::ThreadName(schema::ThreadName { thread: 1, name: "worker".into() })));
    let end = schema::ProcessEnd { process: 1, time: 26, how: End::Exit, value: 3, instructions: 100 };
    assert!(list.contains(&Message::ProcessEnd(end)));
    assert!(list.contains(&Message::ModuleEnd(schema::ModuleEnd { module: 1, time: 24 })));
    assert!(list.contains(&Message::ThreadEnd(schema::ThreadEnd { thread: 1, time: 25, instructions: 100 })));
    let frame = schema::Frame { module: 1, rva: 0x123, exact: true, guessed: false };
    assert!(list.contains(&Message::Frames(schema::Frames { first_id: 1, frames: vec![frame] })));
    let not_followed = list.iter().find_map(|message| match message {
        Message::NotFollowed(child) => Some((child.pid, child.reason.as_str())),
        _ => None,
    });
    assert_eq!(not_followed, Some((4711, "it is 32-bit")));

    let events = events(&sink);
    let first = HeapEvent {
        op: Op::Alloc,
        family: Family::New,
        align_log2: 4,
        thread: 1,
        stack: 1,
        time: 20,
        instructions: 77,
        address: 0x5000,
        size: 24,
        old_address: 0,
    };
    assert_eq!(events[0], first);
    assert_eq!((events[1].op, events[1].address, events[1].old_address), (Op::Realloc, 0x6000, 0x5000));
    assert_eq!((events[2].op, events[2].family, events[2].stack), (Op::Free, Family::NewArray, 0));
    assert_eq!(events.len(), 3);
    assert_eq!(said.lines(), Vec::<String>::new());
}

#[test]
fn an_event_waits_for_the_stack_that_another_thread_describes() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let (mut a, mut b) = (Stream::new(1), Stream::new(1));
    feed(&mut recording, &mut a, &[process_start(1, 1, 0, raw::Start::Root), node(1, 0, 10)]);
    // B uses nodes 2 and 3 before A's description of 2 has been read; its own later node must not wait.
    feed(
        &mut recording,
        &mut b,
        &[node(3, 2, 30), alloc(5, 0x100, 1), alloc(6, 0x200, 3), alloc(7, 0x300, 1), node(4, 1, 40)],
    );
    assert!(!b.is_settled());
    recording.settle();
    recording.retry(&mut b, false);
    assert!(!b.is_settled(), "node 2 is still missing");
    feed(&mut recording, &mut a, &[node(2, 1, 20)]);
    recording.settle();
    recording.retry(&mut b, false);
    assert!(b.is_settled());
    recording.trace.flush();
    let events = events(&sink);
    let addresses: Vec<u64> = events.iter().map(|event| event.address).collect();
    assert_eq!(addresses, [0x100, 0x200, 0x300], "the order of the thread");
    assert_eq!(rvas(&recording, events[1].stack), [30, 20, 10]);
    assert_eq!(recording.totals.without_stack, 0);
}

#[test]
fn a_stack_that_never_comes_costs_the_stack_only() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    let start = process_start(1, 1, 0, raw::Start::Root);
    feed(&mut recording, &mut stream, &[start, alloc(5, 0x100, 9), alloc(6, 0x200, 0)]);
    assert!(!stream.is_settled());
    recording.close(&mut stream);
    recording.trace.flush();
    assert_eq!(events(&sink).iter().map(|event| event.stack).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(recording.totals.without_stack, 1);
}

#[test]
fn a_backlog_is_given_up_before_it_eats_the_memory() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    feed(&mut recording, &mut stream, &[process_start(1, 1, 0, raw::Start::Root)]);
    let event = alloc(5, 0x100, 9);
    for _ in 0..BACKLOG_WORDS / event.len() + 2 {
        recording.take(&mut stream, Record { words: &event });
    }
    assert!(stream.backlog.len() < 100);
    assert!(recording.totals.without_stack > 1000);
}

#[test]
fn forks_inherit_and_execs_forget() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let (mut parent, mut child, mut next, mut vfork) =
        (Stream::new(1), Stream::new(2), Stream::new(1), Stream::new(3));
    feed(
        &mut recording,
        &mut parent,
        &[process_start(1, 1, 0, raw::Start::Root), node(1, 0, 10), node(2, 1, 20)],
    );
    // The parent adds node 3 and executes another program before the child's first record is read.
    feed(&mut recording, &mut parent, &[node(3, 1, 31)]);
    feed(&mut recording, &mut next, &[process_start(50, 1, 0, raw::Start::Exec), node(1, 0, 99)]);
    feed(
        &mut recording,
        &mut child,
        &[fork_start(40, 2, 1, 3), alloc(41, 0x1, 2), node(3, 2, 30), alloc(42, 0x2, 3)],
    );
    feed(&mut recording, &mut next, &[alloc(60, 0x3, 1)]);
    // A vforked child shares the tables of the new image.
    feed(
        &mut recording,
        &mut vfork,
        &[process_start(70, 3, 1, raw::Start::Vfork), node(2, 1, 98), alloc(71, 0x4, 2)],
    );
    feed(&mut recording, &mut next, &[alloc(72, 0x5, 2)]);
    recording.trace.flush();
    let mut stacks: Vec<(u64, Vec<u64>)> =
        events(&sink).iter().map(|event| (event.address, rvas(&recording, event.stack))).collect();
    stacks.sort();
    let expected =
        [(1, vec![20, 10]), (2, vec![30, 20, 10]), (3, vec![99]), (4, vec![98, 99]), (5, vec![98, 99])];
    assert_eq!(stacks, expected);
}

#[test]
fn snapshots_keep_their_rows() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    feed(
        &mut recording,
        &mut stream,
        &[
            process_start(1, 1, 0, raw::Start::Root),
            record(Kind::ThreadStart, &[2, pair(1001, 0)]),
            node(1, 0, 10),
            // The engine of a second image counts anew; the recorder goes on.
            record(Kind::SnapshotBegin, &[20, pair(0, 3)]),
            record(Kind::SnapshotEnd, &[0, 0, 0, 0]),
            record(Kind::SnapshotBegin, &[30, pair(0, 1)]),
            record(Kind::SnapshotBlocks, &[0x100, 8, pair(1, 2), 0x200, 9, pair(0, 0)]),
            record(Kind::SnapshotBlocks, &[0x300, 10, pair(1, 0)]),
            record(Kind::SnapshotRoots, &[5, pair(2, raw::edge::ROOT_REGISTER), pair(1001, 3)]),
            record(Kind::SnapshotEdges, &[pair(2, 0), 16 | u64::from(raw::edge::START) << 40]),
            record(Kind::SnapshotEnd, &[3, 1, 1, 4096]),
        ],
    );
    recording.close(&mut stream);
    recording.trace.flush();
    let list = messages(&sink);
    let blocks: Vec<schema::Block> = list
        .iter()
        .filter_map(|message| match message {
            Message::SnapshotBlocks(piece) => Some(piece.rows.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(blocks.iter().map(|block| block.address).collect::<Vec<_>>(), [0x100, 0x200, 0x300]);
    assert_eq!((blocks[0].stack, blocks[0].family), (1, Family::NewArray));
    let root = schema::Root { location: 5, block: 2, flags: raw::edge::ROOT_REGISTER, thread: 1, offset: 3 };
    let piece = schema::SnapshotPiece { process: 1, snapshot: 1, rows: vec![root] };
    assert!(list.contains(&Message::SnapshotRoots(piece)));
    let edge = schema::Edge { source: 2, target: 0, offset: 16, flags: raw::edge::START };
    let piece = schema::SnapshotPiece { process: 1, snapshot: 1, rows: vec![edge] };
    assert!(list.contains(&Message::SnapshotEdges(piece)));
    assert_eq!(recording.totals.cut_snapshots, 0);

    // Another one, cut off.
    feed(&mut recording, &mut stream, &[record(Kind::SnapshotBegin, &[31, pair(5, 0)])]);
    recording.close(&mut stream);
    assert_eq!(recording.totals.cut_snapshots, 1);
    assert!(said.lines()[0].contains("leak graph"), "{:?}", said.lines());
}

#[test]
fn a_warning_of_many_processes_is_printed_once() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    for process in 1..=3 {
        let mut stream = Stream::new(process);
        let start = process_start(u64::from(process), process, 0, raw::Start::Root);
        let note = record_with(Kind::Message, &[pair(0, 0)], &[b"no allocator here"]);
        let warning = record_with(Kind::Message, &[pair(1, 7)], &[b"something is odd\n"]);
        feed(&mut recording, &mut stream, &[start, note, warning]);
    }
    recording.trace.flush();
    assert_eq!(said.lines(), ["something is odd"]);
    assert_eq!(recording.notes, ["no allocator here"]);
    let remarks = messages(&sink).into_iter().filter(|message| matches!(message, Message::Remark(_)));
    assert_eq!(remarks.count(), 6);
}

#[test]
fn wild_records_are_counted_and_survived() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    for _ in 0..20_000 {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let length = next() as usize % 9 + 1;
        let mut words: Vec<u64> = (0..length).map(|_| next() >> (next() % 64)).collect();
        words[0] = u64::from(next() as u16 % 24) | (length as u64) << 32;
        recording.take(&mut stream, Record { words: &words });
        recording.settle();
    }
    recording.close(&mut stream);
    recording.trace.flush();
    assert!(recording.totals.unknown_records > 0);
    let bytes = sink.bytes.lock().expect("no panic").clone();
    let mut reader = schema::read::TraceReader::new(&bytes[..]);
    assert!(reader.by_ref().count() > 100);
    assert!(matches!(reader.ending(), Some(schema::read::Ending::Truncated { .. })), "{:?}", reader.ending());
}

#[test]
fn runs_of_records_give_what_single_ones_give() {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    for round in 0..30 {
        let mut words = [
            process_start(1, 1, 0, raw::Start::Root),
            record(Kind::ThreadStart, &[2, pair(1001, 0)]),
            record_with(Kind::Module, &[3, 1, 0x40_0000, 0x1000, 0x40_0000, 0], &[b"[vdso]"]),
        ]
        .concat();
        let mut nodes = 0;
        // More than a chunk, with all that can stand between events.
        for tsc in 10..10 + 25_000 * (round % 3) / 2 + 600 {
            let who = pair(below(nodes + 1) as u32, below(1 << 12) as u32);
            let event = |kind| record(kind, &[tsc ^ (tsc % 3), 16 * tsc, tsc % 99, who, 2 * tsc, 7 * tsc]);
            words.extend(match below(400) {
                0 => record(Kind::Pad, &[0; 2]),
                1 => record_with(Kind::ThreadName, &[], &[b"worker"]),
                2 => record(Kind::Free, &[tsc]),
                3 if round % 2 == 1 => alloc(tsc, 0x100, nodes as u32 + 3),
                4..60 => {
                    nodes += 1;
                    let about =
                        [pair(nodes as u32, below(nodes) as u32), below(2), below(9) | below(4) << 62];
                    record(Kind::Node, &about)
                }
                60..70 => event(Kind::Realloc),
                70..240 => event(Kind::Free)[..6].iter().copied().chain([7]).collect(),
                _ => event(Kind::Alloc),
            });
        }
        let (single, runs, said) = (Sink::default(), Sink::default(), Said::default());
        let mut totals = Vec::new();
        for sink in [&single, &runs] {
            let mut recording = recording(sink, &said);
            let mut stream = Stream::new(1);
            let mut rest = &words[..];
            while let Some((record, behind)) = raw::split_first(rest) {
                if std::ptr::eq(sink, &runs) {
                    rest = recording.take_some(&mut stream, rest).expect("whole records");
                    continue;
                }
                if record.kind() != Some(Kind::Pad) {
                    recording.take(&mut stream, record);
                }
                rest = behind;
            }
            recording.settle();
            recording.close(&mut stream);
            recording.trace.flush();
            totals.push((recording.totals.clone(), recording.trace.events()));
        }
        assert_eq!(totals[0], totals[1], "round {round}");
        assert!(*single.bytes.lock().unwrap() == *runs.bytes.lock().unwrap(), "round {round}");
    }
}

#[test]
fn what_is_no_record_is_said_when_nothing_stands_before_it() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    feed(&mut recording, &mut stream, &[process_start(1, 1, 0, raw::Start::Root)]);
    for wild in [0, 8, 9 << 32, u64::MAX] {
        let words = [&alloc(5, 0x100, 0)[..], &[wild, 1]].concat();
        assert_eq!(recording.take_some(&mut stream, &words), Some(&[wild, 1][..]));
        assert_eq!(recording.take_some(&mut stream, &[wild, 1]), None);
    }
    assert_eq!(recording.trace.events().0, 4);
}

#[test]
fn what_the_program_prints_comes_in_lines() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    let text = |bytes: &[u8]| record_with(Kind::Message, &[pair(0, raw::CLIENT_TEXT)], &[bytes]);
    let start = process_start(1, 1, 0, raw::Start::Root);
    feed(
        &mut recording,
        &mut stream,
        &[start, text(b"one\ntw"), text(b"o\n"), text(b"one\n"), text(b"rest")],
    );
    recording.process_end(1, 9, End::Exit, 0, 0);
    recording.trace.flush();
    let pid = recording.processes[&1].pid;
    let expected = ["one", "two", "one", "rest"];
    assert_eq!(said.lines(), expected.map(|line| format!("**{pid}** {line}")));
    let kept = messages(&sink).into_iter().filter_map(|message| match message {
        Message::Remark(remark) => Some((remark.severity, remark.code, remark.text)),
        _ => None,
    });
    let remark = |line: &str| (schema::Severity::Note, raw::CLIENT_TEXT, line.to_owned());
    assert_eq!(kept.collect::<Vec<_>>(), expected.map(remark));
    assert!(recording.notes.is_empty(), "nothing is missing because of it");
}

#[test]
fn each_thread_says_which_part_its_counts_are_of() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let (mut first, mut second) = (Stream::new(1), Stream::new(1));
    let executed = |times| record(Kind::Executed, &[0x1000, times, 0x4]);
    let context = |cost| record(Kind::Contexts, &[0, 0, 0, 0, 1, cost]);
    let part = |ends, begins, how, name: &[u8]| {
        record_with(Kind::Part, &[50, pair(ends, begins), how as u64], &[name])
    };
    let records = [
        process_start(10, 1, 0, raw::Start::Root),
        record(Kind::ThreadStart, &[11, pair(1001, 0), 0]),
        executed(1),
        context(1),
        part(0, 3, raw::PartEnd::Dumped, b"one"),
        executed(2),
        part(3, 4, raw::PartEnd::Zeroed, b""),
        executed(4),
        context(4),
    ];
    feed(&mut recording, &mut first, &records);
    let records = [
        record(Kind::ThreadStart, &[12, pair(1002, 1001), 3]),
        executed(8),
        record(Kind::ThreadExit, &[13, 0]),
    ];
    feed(&mut recording, &mut second, &records);
    recording.finish_contexts();
    recording.finish_counts();
    recording.flush();
    let (mut counts, mut costs, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for message in messages(&sink) {
        match message {
            Message::Executions(piece) => counts.push((piece.thread, piece.part, piece.rows[0].times)),
            Message::Contexts(piece) => costs.push((piece.thread, piece.part, piece.rows[0].cost)),
            Message::PartEnd(end) => ends.push((end.part, end.zeroed, end.name.to_string())),
            _ => {}
        }
    }
    assert_eq!(counts, [(1, 0, 1), (2, 3, 8), (1, 4, 4)]);
    assert_eq!(costs, [(1, 0, 1), (1, 4, 4)]);
    assert_eq!(ends, [(0, false, "one".to_owned()), (3, true, String::new())]);
}

//! Records of the stream in, messages out: their order, forks, and what is lost.

use super::*;
use crate::testing::{Said, Sink, feed, fork_start, messages, process_start, record, recording};
use ring::record::{Start, pair};
use schema::Message;

/// The first word of a record of run 0, as emitted code writes it (`translate::accesses::whole`).
const WHOLE: u64 = 0xffff_ffff << 32 | !(1u32 << 30) as u64;

fn runs(sequence: u64, start: u64) -> Vec<u64> {
    record(Kind::AccessRuns, &[sequence, start, pair(2, 3), 0xc3_9090])
}

fn log(sequence: u64, flags: u64, words: &[u64]) -> Vec<u64> {
    record(Kind::AccessLog, &[&[sequence, flags, 7, 8], words].concat())
}

fn mark(sequence: u64, what: Mark, number: u64) -> Vec<u64> {
    record(Kind::AccessMark, &[sequence, what as u64, number])
}

/// The messages of the stream, in few words.
fn stream_of(sink: &Sink) -> Vec<String> {
    let messages = messages(sink).into_iter();
    let told = messages.filter_map(|message| match message {
        Message::AccessRuns(runs) => {
            Some(format!("{}: runs from {}: {:x}", runs.of.process, runs.first, runs.runs[0].start))
        }
        Message::AccessLog(log) => Some(format!(
            "{}: thread {} {}: {:?} {:?}",
            log.of.process, log.thread, log.counts, log.heads, log.words
        )),
        Message::AccessMark(mark) => Some(format!(
            "{}: {:?} part {} child {} {:?}",
            mark.of.process, mark.kind, mark.part, mark.child, mark.places
        )),
        _ => None,
    });
    told.collect()
}

#[test]
fn rings_wait_for_each_other_and_half_records_are_put_together() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let (mut first, mut second) = (Stream::new(1), Stream::new(1));
    let start = [process_start(10, 1, 0, Start::Root), record(Kind::ThreadStart, &[11, pair(1, 0), 5])];
    feed(&mut recording, &mut first, &start);
    feed(&mut recording, &mut second, &[record(Kind::ThreadStart, &[12, pair(2, 1), 5])]);
    feed(&mut recording, &mut second, &[log(3, access_log::ENDS, &[WHOLE, 1])]);
    assert!(!second.is_settled());
    let turn = [runs(0, 0x1000), log(1, access_log::COUNTS, &[WHOLE, 1, WHOLE]), log(2, 3, &[3, WHOLE, 5])];
    feed(&mut recording, &mut first, &turn);
    assert!(recording.retry(&mut second, false) && second.is_settled());
    feed(&mut recording, &mut first, &[mark(4, Mark::Told, 0), mark(5, Mark::Forgotten, 0)]);
    recording.trace.flush();
    let expected = [
        "1: runs from 0: 1000",
        "1: thread 1 true: [4, 4, 0] [2, 4, 4]",
        "1: thread 2 false: [4] [2]",
        "1: Belongs part 5 child 0 [CodeBase { from: 4096, module: 0, bias: 0 }]",
        "1: Forgotten part 0 child 0 []",
    ];
    assert_eq!(stream_of(&sink), expected);
    assert!(said.lines().is_empty(), "{:?}", said.lines());
}

#[test]
fn a_forked_child_waits_for_what_it_begins_with() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let (mut parent, mut child) = (Stream::new(1), Stream::new(2));
    feed(&mut recording, &mut parent, &[process_start(10, 1, 0, Start::Root), runs(0, 0x1000)]);
    let first = log(0, access_log::ENDS, &[WHOLE, 1]);
    feed(&mut recording, &mut child, &[fork_start(20, 2, 1, 1), first]);
    assert!(!child.is_settled());
    feed(&mut recording, &mut parent, &[mark(1, Mark::Forks, 2)]);
    assert!(recording.retry(&mut child, false));
    recording.trace.flush();
    let expected = ["1: runs from 0: 1000", "1: Forked part 0 child 2 []", "2: thread 0 false: [4] [2]"];
    assert_eq!(stream_of(&sink), expected);
}

#[test]
fn what_is_lost_ends_the_stream_once_and_that_of_children() {
    let nonsense = [
        log(1, access_log::ENDS, &[WHOLE]),
        log(1, access_log::ENDS, &[WHOLE + 1, 1]),
        record(Kind::AccessRuns, &[1, 0x1000, pair(2, 99), 1]),
        record(Kind::AccessRuns, &[1, 0x1000, pair(1 << 16, 0)]),
        record(Kind::AccessMark, &[1, 99]),
    ];
    for record in nonsense {
        let (sink, said) = (Sink::default(), Said::default());
        let mut recording = recording(&sink, &said);
        let (mut parent, mut child) = (Stream::new(1), Stream::new(2));
        feed(
            &mut recording,
            &mut parent,
            &[process_start(10, 1, 0, Start::Root), runs(0, 0x1000), record.clone()],
        );
        feed(&mut recording, &mut parent, &[mark(2, Mark::Forks, 2), log(3, 2, &[WHOLE, 1])]);
        feed(&mut recording, &mut child, &[fork_start(20, 2, 1, 1), log(0, 2, &[WHOLE, 1])]);
        recording.trace.flush();
        assert_eq!(
            stream_of(&sink)[1..],
            ["1: Lost part 0 child 0 []", "2: Lost part 0 child 0 []"],
            "{record:x?}"
        );
        assert_eq!(said.lines().len(), 2);
    }
}

#[test]
fn a_gap_is_waited_for_and_then_told() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let mut stream = Stream::new(1);
    feed(
        &mut recording,
        &mut stream,
        &[process_start(10, 1, 0, Start::Root), runs(0, 0x1000), runs(2, 0x2000)],
    );
    assert!(!stream.is_settled());
    recording.close(&mut stream);
    recording.trace.flush();
    assert_eq!(stream_of(&sink), ["1: runs from 0: 1000", "1: Lost part 0 child 0 []"]);
}

/// What a child tells before it executes another program may be read after that program has ended.
#[test]
fn a_program_that_waits_is_not_forgotten_with_its_process() {
    let (sink, said) = (Sink::default(), Said::default());
    let mut recording = recording(&sink, &said);
    let (mut parent, mut child, mut later) = (Stream::new(1), Stream::new(2), Stream::new(2));
    feed(&mut recording, &mut parent, &[process_start(10, 1, 0, Start::Root), runs(0, 0x1000)]);
    let waits = [log(0, access_log::ENDS, &[WHOLE, 1]), runs(1, 0x2000)];
    feed(&mut recording, &mut child, &[fork_start(20, 2, 1, 1)]);
    feed(&mut recording, &mut child, &waits);
    let end = record(Kind::ProcessEnd, &[40, 0, 0, 0]);
    feed(&mut recording, &mut later, &[process_start(30, 2, 2, Start::Exec), runs(0, 0x3000), end]);
    recording.close(&mut later);
    feed(&mut recording, &mut parent, &[mark(1, Mark::Forks, 2)]);
    assert!(recording.retry(&mut child, false) && child.is_settled());
    recording.close(&mut child);
    recording.trace.flush();
    let expected = [
        "1: runs from 0: 1000",
        "2: runs from 0: 3000",
        "2: Ended part 0 child 0 []",
        "1: Forked part 0 child 2 []",
        "2: thread 0 false: [4] [2]",
        "2: runs from 1: 2000",
        "2: Ended part 0 child 0 []",
    ];
    assert_eq!(stream_of(&sink), expected);
}

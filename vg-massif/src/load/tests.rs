//! Which events are a process's: by time, program and ancestry.

use super::*;
use schema::{EventBatch, Family, Op};

fn start(number: u32, parent: u32, how: Start, time: u64) -> Message {
    Message::Process(schema::Process {
        number,
        parent,
        pid: number * 100,
        ppid: 0,
        how,
        time,
        exe: "/p".into(),
        argv: vec![format!("p{number}").as_str().into()],
        cwd: "/".into(),
        environment: vec![],
    })
}

/// A block at each of these times, of that address.
fn events(process: u32, times: &[u64]) -> Message {
    let event = |time: &u64| HeapEvent {
        op: Op::Alloc,
        family: Family::Malloc,
        align_log2: 0,
        thread: process,
        stack: 1,
        time: *time,
        instructions: 0,
        address: *time,
        size: 1,
        old_address: 0,
    };
    let events = times.iter().map(event).collect();
    Message::Events(EventBatch { process, first_time: 0, last_time: 0, events })
}

fn load(messages: Vec<Message>, keep: Keep) -> Recording {
    let mut recording = Recording::default();
    messages.into_iter().for_each(|message| recording.take(message, keep));
    recording.finish();
    recording
}

fn history(recording: &Recording, number: u32) -> Vec<Vec<u64>> {
    let process = recording.processes.iter().find(|process| process.number == number).unwrap();
    let (pieces, _) = recording.history(process);
    pieces.iter().map(|piece| piece.iter().map(|event| event.time).collect()).collect()
}

#[test]
fn programs_and_children() {
    let messages = vec![
        start(1, 0, Start::Root, 10),
        start(2, 1, Start::Fork, 30),
        start(2, 0, Start::Exec, 50),
        start(3, 2, Start::Fork, 70),
        start(4, 1, Start::Fork, 25),
        start(5, 1, Start::Vfork, 26),
        events(2, &[60, 40, 80]),
        events(3, &[75]),
        events(1, &[35, 20, 28]),
        events(4, &[90]),
        events(5, &[91]),
    ];
    let recording = load(messages.clone(), Keep::All);
    assert_eq!(history(&recording, 1), [[20, 28, 35]]);
    assert_eq!(history(&recording, 2), [[60, 80]], "exec begins anew");
    assert_eq!(history(&recording, 3), [[60], [75]]);
    assert_eq!(history(&recording, 4), [[20], [90]]);
    assert_eq!(history(&recording, 5), [[91]], "a child of vfork has no heap of its own");
    let first = load(messages, Keep::First);
    assert_eq!(history(&first, 1), [[20, 28, 35]]);
    assert_eq!((history(&first, 2), first.processes[1].events), (vec![vec![]], 3));
}

#[test]
fn damage_ends_no_walk() {
    let messages = vec![
        events(7, &[5]),
        start(1, 2, Start::Fork, 10),
        start(2, 1, Start::Fork, 10),
        start(3, 3, Start::Fork, 10),
        events(3, &[11]),
        start(4, 99, Start::Fork, 10),
        start(5, 0, Start::Exec, 10),
    ];
    let recording = load(messages, Keep::All);
    assert_eq!(history(&recording, 7), [[5]]);
    assert!(history(&recording, 1).len() > 1);
    assert!(history(&recording, 3).len() > 1);
    assert_eq!(history(&recording, 4), [[0u64; 0]]);
    assert_eq!(history(&recording, 5), [[0u64; 0]]);
}

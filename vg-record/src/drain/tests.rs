//! Rings as engines write them, drained.

use super::*;
use crate::testing::{Said, Sink, alloc, fork_start, messages, node, process_start, record, recording};
use ring::Producer;
use ring::record::{End, Start, pair};
use schema::Message;

struct Bench {
    memory: Memory,
    sink: Sink,
    said: Said,
}

impl Bench {
    fn new() -> Bench {
        Bench { memory: Memory::new().expect("shared memory"), sink: Sink::default(), said: Said::default() }
    }

    fn drain(&self) -> Drain {
        Drain::new(self.memory.shared(), self.memory.fd(), recording(&self.sink, &self.said))
    }

    /// A ring of a thread that lives as long as the test, so that it never counts as dead.
    fn ring(&self, process: u32) -> Producer {
        let own = std::process::id();
        self.memory.shared().claim(process, own, own).expect("a free ring")
    }

    fn events(&self) -> Vec<(u32, u64)> {
        let list = self.batches();
        list.flat_map(|batch| batch.events.into_iter().map(move |event| (batch.process, event.address)))
            .collect()
    }

    fn all_events(&self) -> Vec<schema::HeapEvent> {
        self.batches().flat_map(|batch| batch.events).collect()
    }

    fn batches(&self) -> impl Iterator<Item = schema::EventBatch> {
        messages(&self.sink).into_iter().filter_map(|message| match message {
            Message::Events(batch) => Some(batch),
            _ => None,
        })
    }
}

fn push(producer: &mut Producer, records: &[Vec<u64>]) {
    for words in records {
        assert!(producer.try_push(words), "the ring has room");
    }
}

fn start(process: u32) -> [Vec<u64>; 2] {
    let tsc = u64::from(process) * 100;
    let first = match process {
        1 => process_start(tsc, 1, 0, Start::Root),
        _ => fork_start(tsc, process, process - 1, process),
    };
    [first, record(Kind::ThreadStart, &[tsc + 1, pair(7, 0)])]
}

#[test]
fn a_closed_ring_is_emptied_and_freed() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let mut producer = bench.ring(1);
    let slot = producer.slot();
    push(&mut producer, &start(1));
    assert!(drain.pass() > 0);
    push(&mut producer, &[node(1, 0, 5), alloc(110, 0x10, 1), record(Kind::ThreadExit, &[120, 9])]);
    producer.close();
    drain.pass();
    assert_eq!(bench.memory.shared().ring(slot).state.load(Ordering::Relaxed), SLOT_FREE);
    assert!(drain.active.is_empty());
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(1, 0x10)]);
    // The slot serves again.
    let mut next = bench.ring(1);
    push(&mut next, &[record(Kind::ThreadStart, &[130, pair(8, 7)]), alloc(131, 0x20, 1)]);
    assert!(drain.pass() > 0);
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(1, 0x10), (1, 0x20)]);
}

#[test]
fn a_ring_is_opened_again_only_before_the_recorder_takes_it() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let mut producer = bench.ring(1);
    let state = &bench.memory.shared().ring(producer.slot()).state;
    let open =
        || state.compare_exchange(ring::shared::SLOT_CLOSED, SLOT_OPEN, Ordering::AcqRel, Ordering::Relaxed);
    push(&mut producer, &start(1));
    drain.pass();
    // An exec that failed at once, and one that the recorder came between.
    producer.close();
    open().expect("nobody has seen it");
    push(&mut producer, &[node(1, 0, 5), alloc(110, 0x10, 1)]);
    drain.pass();
    assert_eq!(drain.active.len(), 1);
    producer.close();
    drain.pass();
    assert!(open().is_err() && drain.active.is_empty());
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(1, 0x10)]);
}

#[test]
fn an_exec_ends_the_rings_of_all_threads_of_before() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let (mut old, mut other) = (bench.ring(1), bench.ring(2));
    push(&mut old, &start(1));
    push(&mut other, &start(2));
    drain.pass();
    push(&mut old, &[node(1, 0, 5), alloc(110, 0x10, 1)]);
    let mut new = bench.ring(1);
    push(&mut new, &[process_start(120, 1, 0, Start::Exec), node(1, 0, 6), alloc(130, 0x20, 1)]);
    drain.pass();
    drain.pass();
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(1, 0x10), (1, 0x20)]);
    let left: Vec<usize> = drain.active.keys().copied().collect();
    assert_eq!(left, [other.slot(), new.slot()]);
}

#[test]
fn new_rings_are_read_in_the_order_that_images_need() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    // A second thread of a forked child, the child's first ring, its parent's: claimed in the wrong order.
    let (mut thread, mut child, mut parent) = (bench.ring(2), bench.ring(2), bench.ring(1));
    push(&mut thread, &[record(Kind::ThreadStart, &[250, pair(9, 0)]), alloc(251, 0x30, 2)]);
    push(&mut child, &start(2));
    push(&mut child, &[node(2, 1, 6)]);
    push(&mut parent, &start(1));
    push(&mut parent, &[node(1, 0, 5)]);
    drain.pass();
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(2, 0x30)]);
    assert_eq!(drain.recording.totals.without_stack, 0);
    assert_eq!(drain.recording.trace.stacks.nodes().len(), 2);
}

#[test]
fn a_ring_of_before_an_exec_that_is_found_after_it_keeps_its_stacks() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let mut first = bench.ring(1);
    push(&mut first, &start(1));
    push(&mut first, &[node(1, 0, 5)]);
    drain.pass();
    // All in one pass: a thread allocates, another one executes a program.
    let mut thread = bench.ring(1);
    push(&mut thread, &[record(Kind::ThreadStart, &[110, pair(8, 7)]), alloc(111, 0x10, 1)]);
    let mut new = bench.ring(1);
    push(&mut new, &[process_start(120, 1, 0, Start::Exec), node(1, 0, 6), alloc(130, 0x20, 1)]);
    drain.pass();
    drain.pass();
    drain.recording.trace.flush();
    let mut events = bench.all_events();
    events.sort_by_key(|event| event.address);
    let stacks: Vec<_> = events.iter().map(|event| (event.address, event.stack)).collect();
    assert_eq!(stacks, [(0x10, 1), (0x20, 2)]);
    assert_eq!(drain.active.keys().copied().collect::<Vec<_>>(), [new.slot()]);
}

#[test]
fn a_finished_ring_waits_for_a_thread_that_is_kept_from_describing_its_stacks() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let (mut slow, mut quick) = (bench.ring(1), bench.ring(1));
    push(&mut slow, &start(1));
    push(&mut quick, &[record(Kind::ThreadStart, &[110, pair(8, 7)]), alloc(111, 0x10, 1)]);
    quick.close();
    for _ in 0..5 {
        drain.pass();
    }
    assert_eq!(drain.active.len(), 2);
    push(&mut slow, &[node(1, 0, 5)]);
    drain.pass();
    drain.pass();
    assert_eq!((drain.active.len(), drain.recording.totals.without_stack), (1, 0));
    // Nobody is left who could describe this one.
    push(&mut slow, &[alloc(120, 0x20, 2)]);
    slow.close();
    for _ in 0..2 {
        drain.pass();
    }
    assert_eq!((drain.active.len(), drain.recording.totals.without_stack), (0, 1));
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(1, 0x10), (1, 0x20)]);
}

#[test]
fn a_wild_ring_is_dropped_and_the_others_go_on() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let (mut wild, mut good) = (bench.ring(1), bench.ring(1));
    push(&mut wild, &start(1));
    drain.pass();
    // The guest has written nonsense over the ring.
    wild.ring().head.fetch_add(3, Ordering::Relaxed);
    push(&mut good, &[record(Kind::ThreadStart, &[250, pair(9, 0)]), alloc(251, 0x30, 0)]);
    wild.ring().waiting.store(1, Ordering::Relaxed);
    drain.pass();
    drain.pass();
    assert_eq!(drain.recording.totals.corrupt_rings, 1);
    assert_eq!(wild.ring().waiting.load(Ordering::Relaxed), 0, "its thread does not wait for ever");
    drain.recording.trace.flush();
    assert_eq!(bench.events(), [(1, 0x30)]);
    assert!(bench.said.lines()[0].contains("overwritten"), "{:?}", bench.said.lines());
}

#[test]
fn dead_writers_lose_nothing_that_they_committed() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let mut child = std::process::Command::new("true").spawn().expect("true runs");
    let pid = child.id();
    let mut producer = bench.memory.shared().claim(1, pid, pid).expect("a free ring");
    push(&mut producer, &start(1));
    push(&mut producer, &[alloc(110, 0x10, 0)]);
    // Nobody collects it before this wait: a zombie counts as dead.
    while is_alive(pid, pid) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.try_wait().expect("waits").is_some());
    let over = AtomicBool::new(true);
    assert_eq!(drain.run(&over), 0, "nobody runs any more");
    assert_eq!(bench.events(), [(1, 0x10)]);
    assert_eq!(drain.recording.processes[&1].end, None);
}

#[test]
fn processes_that_outlive_the_first_are_let_go() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let (mut first, mut daemon) = (bench.ring(1), bench.ring(2));
    push(&mut first, &start(1));
    push(&mut first, &[record(Kind::ProcessEnd, &[300, End::Exit as u64, 0, 5])]);
    first.close();
    push(&mut daemon, &start(2));
    daemon.ring().waiting.store(1, Ordering::Relaxed);
    assert_eq!(drain.run(&AtomicBool::new(true)), 1);
    let control = bench.memory.shared().control();
    assert_eq!(control.recorder_state.load(Ordering::Relaxed), shared::RECORDER_GONE);
    assert_eq!(daemon.ring().waiting.load(Ordering::Relaxed), 0);
    assert!(drain.recording.processes[&1].end.is_some() && drain.recording.processes[&2].end.is_none());
}

#[test]
fn a_full_ring_of_a_busy_thread_is_emptied_while_it_waits() {
    const EVENTS: u64 = 200_000;
    let bench = Bench::new();
    let mut drain = bench.drain();
    let over = AtomicBool::new(false);
    let mut producer = bench.ring(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let control = producer.control();
            let mut send = |words: Vec<u64>| {
                while !producer.try_push(&words) {
                    let waiting = &producer.ring().waiting;
                    waiting.store(1, Ordering::SeqCst);
                    control.wake.fetch_add(1, Ordering::SeqCst);
                    sys::futex_wake(&control.wake);
                    sys::futex_wait(waiting, 1, Duration::from_millis(100));
                }
            };
            start(1).into_iter().for_each(&mut send);
            for i in 0..EVENTS {
                send(alloc(200 + i, 0x1000 + 32 * i, 0));
            }
            producer.close();
            over.store(true, Ordering::Release);
        });
        assert_eq!(drain.run(&over), 0);
    });
    let events = bench.events();
    assert_eq!(events.len() as u64, EVENTS);
    assert!(events.windows(2).all(|pair| pair[0].1 + 32 == pair[1].1));
}

#[test]
fn many_short_threads_reuse_slots() {
    let bench = Bench::new();
    let mut drain = bench.drain();
    let mut long = bench.ring(1);
    push(&mut long, &start(1));
    drain.pass();
    for i in 0..RING_COUNT as u64 + 50 {
        let mut producer = bench.ring(1);
        push(&mut producer, &[record(Kind::ThreadStart, &[300, pair(9, 7)]), alloc(301, i, 0)]);
        producer.close();
        drain.pass();
        assert!(drain.active.len() <= 2, "after {i} threads {} rings are in use", drain.active.len());
    }
    drain.recording.trace.flush();
    assert_eq!(bench.events().len(), RING_COUNT + 50);
}

#[test]
fn a_full_disk_is_told_once_and_the_rest_is_counted() {
    let mut bench = Bench::new();
    bench.sink.room = 1000;
    let mut drain = bench.drain();
    let mut producer = bench.ring(1);
    push(&mut producer, &start(1));
    for i in 0..5000 {
        push(&mut producer, &[alloc(200 + i * i % 977, 0x1000 * (i * 7919 % 65_537), 0)]);
    }
    drain.pass();
    drain.recording.trace.flush();
    push(&mut producer, &[alloc(90_000, 1, 0)]);
    drain.pass();
    drain.recording.trace.flush();
    assert!(drain.recording.trace.has_failed());
    assert_eq!(drain.recording.trace.events(), (5001, 5001));
    let lines = bench.said.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("No space left on device"), "{lines:?}");
    let readable = messages(&bench.sink);
    assert!(readable.len() >= 3, "what was written can be read");
}

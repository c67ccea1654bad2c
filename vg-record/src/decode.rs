//! Records of the engine into messages of the trace.
//!
//! [`Recording`] holds what all rings share; a [`Stream`] is one ring's state. Always holds: the records of one ring
//! reach the trace in order; a record that refers to a stack node which another thread has yet to describe waits,
//! and with it the rest of its ring. Wild values in a damaged ring cost data, never the recorder. Not here: reading
//! the rings (`drain`), snapshots (`snapshot`), the end of the recording (`finish`).

use crate::accesses::{Accesses, Turn};
use crate::clock::Clock;
use crate::contexts::Contexts;
use crate::costs::Costs;
use crate::counts::Counts;
use crate::errors::Errors;
use crate::images::{First, ImageId, Images};
use crate::jumps::Jumps;
use crate::live::Live;
use crate::modules::{Mapping, Modules};
use crate::snapshot::Snapshot;
use crate::stats;
use crate::trace::Trace;
use crate::variables::Mapped;
use ring::record::{CLIENT_TEXT, Kind, Record, halves};
use schema::{Bytes, End, Message, Severity, Start};
use std::collections::{BTreeMap, BTreeSet, HashMap};

mod heap;

/// Most 64-bit words of a ring that wait for a stack node of another thread (16 MiB); beyond, stacks are given up.
const BACKLOG_WORDS: usize = 2 << 20;

/// Number of the first process.
pub(crate) const ROOT: u32 = 1;

/// Everything known about the recording.
pub(crate) struct Recording {
    /// Where it goes.
    pub trace: Trace,
    /// The time scale.
    pub clock: Clock,
    /// What the engines' numbers mean.
    pub images: Images,
    /// Modules and their files.
    pub modules: Modules,
    /// By process number.
    pub processes: BTreeMap<u32, Process>,
    /// Numbers that only add up.
    pub totals: Totals,
    /// Counters of each process's engine.
    pub engine: BTreeMap<u32, Vec<u64>>,
    /// Notes of the engines: why something may be missing.
    pub notes: Vec<String>,
    /// Errors of the guest.
    pub errors: Errors,
    /// What it has executed.
    pub counts: Counts,
    /// How often jumps were taken on the way.
    pub jumps: Jumps,
    /// In which contexts.
    pub contexts: Contexts,
    pub costs: Costs,
    /// The whole stream of accesses.
    pub accesses: Accesses,
    /// Where they are printed meanwhile.
    pub live: Option<Live>,
    threads: HashMap<(u32, u32), u32>,
    last_thread: u32,
    /// Modules by their numbers in an image.
    pub(crate) mapped: HashMap<(ImageId, u32), Mapped>,
    said: BTreeSet<String>,
    /// Parts whose end is in the trace, with their processes.
    pub(crate) parts: BTreeSet<(u32, u32)>,
}

/// A process of the recording.
#[derive(Debug, Default)]
pub(crate) struct Process {
    /// Its images, in the order of their starts.
    pub images: Vec<ImageId>,
    /// How its present image ended, once it has said so.
    pub end: Option<(End, u32)>,
    /// Rings that are in use.
    pub rings: u32,
    /// The kernel's id.
    pub pid: u32,
    /// Its program, for messages.
    pub exe: String,
    /// Snapshots that were begun.
    snapshots: u32,
    /// What it printed by a client request since the last end of a line.
    line: Vec<u8>,
}

/// Sums over the whole recording.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Bytes that came through the rings.
    pub ring_bytes: u64,
    /// Records that came through the rings.
    pub records: u64,
    /// Heap events whose stack never came.
    pub without_stack: u64,
    /// Rings whose contents made no sense.
    pub corrupt_rings: u64,
    /// Records that this recorder does not know or that made no sense.
    pub unknown_records: u64,
    /// Processes that ended without a word.
    pub lost_processes: u64,
    /// Snapshots that were begun and not completed.
    pub cut_snapshots: u64,
    /// Rings that were in use.
    pub rings: u64,
    /// Passes over the rings.
    pub passes: u64,
}

/// One ring's state.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Process number.
    pub process: u32,
    image: Option<ImageId>,
    /// Number of the thread in the recording.
    pub thread: u32,
    /// The part of what it executes.
    pub part: u32,
    time: u64,
    /// Records that wait, as in the ring.
    backlog: Vec<u64>,
    snapshot: Snapshot,
    /// Its thread's turn in the stream of accesses.
    pub accesses: Turn,
    /// Its last record has come.
    pub ended: bool,
}

impl Stream {
    /// A ring of this process.
    pub(crate) fn new(process: u32) -> Stream {
        Stream { process, ..Stream::default() }
    }

    /// Nothing waits.
    pub(crate) fn is_settled(&self) -> bool {
        self.backlog.is_empty()
    }

    /// The program that its thread runs; `None` before the ring's first record.
    pub(crate) fn image(&self) -> Option<ImageId> {
        self.image
    }
}

impl Recording {
    /// A recording of which nothing is known yet. The trace has its header already.
    pub(crate) fn new(trace: Trace, clock: Clock) -> Recording {
        Recording {
            trace,
            clock,
            images: Images::default(),
            modules: Modules::default(),
            processes: BTreeMap::new(),
            totals: Totals::default(),
            engine: BTreeMap::new(),
            notes: Vec::new(),
            errors: Errors::default(),
            counts: Counts::default(),
            jumps: Jumps::default(),
            contexts: Contexts::default(),
            costs: Costs::default(),
            accesses: Accesses::default(),
            live: None,
            threads: HashMap::new(),
            last_thread: 0,
            mapped: HashMap::new(),
            parts: BTreeSet::new(),
            said: BTreeSet::new(),
        }
    }

    /// Takes some records of a ring, one at least, and gives back the words behind them. `None` when the words do not
    /// begin with a whole record.
    pub(crate) fn take_some<'a>(&mut self, stream: &mut Stream, words: &'a [u64]) -> Option<&'a [u64]> {
        let rest = if stream.is_settled() { self.take_heap(stream, words) } else { words };
        let Some((record, rest)) = ring::record::split_first(rest) else {
            // What is not a record is told when nothing stands before it.
            return (rest.len() < words.len()).then_some(rest);
        };
        if record.kind() != Some(Kind::Pad) {
            self.take(stream, record);
        }
        Some(rest)
    }

    /// Takes the next record of a ring.
    pub(crate) fn take(&mut self, stream: &mut Stream, record: Record<'_>) {
        self.totals.records += 1;
        match record.kind() {
            // These refer to nothing later, and other rings wait for them.
            Some(Kind::Node) => self.node(stream, record),
            Some(Kind::Module) => self.module(stream, record),
            _ => {
                if !stream.backlog.is_empty() || !self.apply(stream, record, false) {
                    self.put_off(stream, record);
                }
            }
        }
    }

    /// A record waits for a stack node of another thread, and what follows it waits too.
    #[cold]
    fn put_off(&mut self, stream: &mut Stream, record: Record<'_>) {
        stream.backlog.extend_from_slice(record.words);
        if stream.backlog.len() > BACKLOG_WORDS {
            self.retry(stream, true);
        }
    }

    /// Tries the records of a ring that wait; with `force` they are taken without what never came. Whether any was taken.
    pub(crate) fn retry(&mut self, stream: &mut Stream, force: bool) -> bool {
        let mut backlog = std::mem::take(&mut stream.backlog);
        let mut rest = &backlog[..];
        while let Some(&first) = rest.first() {
            let length = ring::record::length(first).clamp(1, rest.len());
            if !self.apply(stream, Record { words: &rest[..length] }, force) {
                break;
            }
            rest = &rest[length..];
        }
        let done = backlog.len() - rest.len();
        backlog.drain(..done);
        stream.backlog = backlog;
        done > 0
    }

    /// Nodes that have come since refer to each other: resolves what can be.
    pub(crate) fn settle(&mut self) {
        self.images.settle(&mut self.trace.stacks);
    }

    /// A stack of the recording; `None` when it must be waited for.
    #[inline]
    pub(crate) fn stack(&mut self, stream: &mut Stream, number: u32, force: bool) -> Option<u32> {
        let image = self.image(stream);
        let found = self.images.node(image, number);
        if found.is_none() && force {
            self.totals.without_stack += 1;
            return Some(0);
        }
        found
    }

    /// The first record of a ring, if it begins no process, tells the time and with it the image: the process may have
    /// executed another program since.
    fn place(&mut self, stream: &mut Stream, tsc: u64) {
        if stream.image.is_none() {
            let process = self.processes.get(&stream.process);
            stream.image = process.and_then(|process| self.images.at(&process.images, tsc));
        }
    }

    /// The image that a ring belongs to.
    #[inline]
    pub(crate) fn image(&mut self, stream: &mut Stream) -> ImageId {
        stream.image.unwrap_or_else(|| self.find_image(stream))
    }

    #[cold]
    fn find_image(&mut self, stream: &mut Stream) -> ImageId {
        let process = self.processes.entry(stream.process).or_default();
        let image = match process.images.last() {
            Some(&image) => image,
            None => {
                // Its first ring was dropped: nothing is known of its past.
                let own = First { node: 1, module: 1 };
                let image = self.images.begin(0, None, own, &mut self.trace.stacks);
                process.images.push(image);
                image
            }
        };
        stream.image = Some(image);
        image
    }

    #[inline]
    pub(crate) fn time(&self, stream: &mut Stream, tsc: u64) -> u64 {
        // A new segment of the scale may lie some nanoseconds back: a thread's own time never does.
        stream.time = stream.time.max(self.clock.ns(tsc));
        stream.time
    }

    /// Takes a record, or says false when it must wait.
    fn apply(&mut self, stream: &mut Stream, record: Record<'_>, force: bool) -> bool {
        let word = |i| record.word(i);
        let Some(kind) = record.kind() else {
            self.totals.unknown_records += 1;
            return true;
        };
        match kind {
            Kind::Alloc | Kind::Free | Kind::Realloc => return self.heap_event(stream, record, force),
            Kind::ProcessStart => self.process_start(stream, record),
            Kind::ThreadStart => {
                self.place(stream, word(1));
                let (tid, parent_tid) = halves(word(2));
                self.last_thread += 1;
                stream.thread = self.last_thread;
                stream.part = record.word(3) as u32;
                let start = schema::ThreadStart {
                    number: stream.thread,
                    process: stream.process,
                    tid,
                    parent: self.thread(stream.process, parent_tid),
                    time: self.time(stream, word(1)),
                };
                self.threads.insert((stream.process, tid), stream.thread);
                self.trace.put(|writer| writer.thread_start(&start));
                self.live(|| Message::ThreadStart(start));
            }
            Kind::ThreadName => {
                let name = Bytes(strings(record, 1).swap_remove(0));
                let name = schema::ThreadName { thread: stream.thread, name };
                self.trace.put(|writer| writer.thread_name(&name));
                self.live(|| Message::ThreadName(name));
            }
            Kind::ThreadExit => {
                stream.ended = true;
                let time = self.time(stream, word(1));
                self.write_counts(stream.process, stream.thread, stream.part);
                let end = schema::ThreadEnd { thread: stream.thread, time, instructions: word(2) };
                self.trace.put(|writer| writer.thread_end(&end));
            }
            Kind::ModuleGone => {
                let image = self.image(stream);
                let time = self.time(stream, word(1));
                // An inherited mapping is its parent's in the trace, where it stays.
                if let Some(Mapped { module, .. }) = self.mapped.remove(&(image, word(2) as u32)) {
                    self.trace.put(|writer| writer.module_end(&schema::ModuleEnd { module, time }));
                }
            }
            Kind::Message => self.message(stream, record),
            Kind::Error => return self.error(stream, record, force),
            Kind::Contexts => return self.contexts(stream, record),
            Kind::Costs => return self.costs(stream, record),
            Kind::ContextCosts => return self.context_costs(stream, record),
            Kind::Part => return self.part_end(stream, record),
            Kind::Executed => return self.executed(stream, record),
            Kind::Jumps => return self.jumps(stream, record),
            Kind::AccessRuns | Kind::AccessLog | Kind::AccessMark => {
                return self.access(stream, kind, record, force);
            }
            Kind::SnapshotBegin
            | Kind::SnapshotBlocks
            | Kind::SnapshotRoots
            | Kind::SnapshotEdges
            | Kind::SnapshotEnd => return self.snapshot(stream, kind, record, force),
            Kind::Stats => {
                let values = record.words.get(1..).unwrap_or_default().to_vec();
                let counters = schema::Counters { process: stream.process, values: stats::named(&values) };
                self.trace.put(|writer| writer.counters(&counters));
                self.engine.insert(stream.process, values);
            }
            Kind::ProcessEnd => {
                stream.ended = true;
                let image = self.image(stream);
                self.accesses.is_over(image, stream.process);
                let time = self.time(stream, word(1));
                self.write_counts(stream.process, stream.thread, stream.part);
                let how = End::from_number(word(2) as u16);
                let value = word(3) as u32;
                self.process_end(stream.process, time, how, value, word(4));
            }
            Kind::NotFollowed => {
                let reason = String::from_utf8_lossy(&strings(record, 3)[0]).into_owned();
                let child = schema::NotFollowed {
                    process: stream.process,
                    time: self.time(stream, word(1)),
                    pid: word(2) as u32,
                    reason,
                };
                self.trace.put(|writer| writer.not_followed(&child));
            }
            Kind::Pad | Kind::Node | Kind::Module => {}
        }
        true
    }

    /// A snapshot record, with the snapshot taken out of the stream for the while.
    fn snapshot(&mut self, stream: &mut Stream, kind: Kind, record: Record<'_>, force: bool) -> bool {
        let mut snapshot = std::mem::take(&mut stream.snapshot);
        if kind == Kind::SnapshotBegin {
            self.place(stream, record.word(1));
            self.trace.flush_events(stream.process);
        }
        let time = self.time(stream, if kind == Kind::SnapshotBegin { record.word(1) } else { 0 });
        let taken = snapshot.take(self, stream, kind, record, time, force);
        stream.snapshot = snapshot;
        taken
    }

    /// A ring gives no more records: what was begun and not completed is told.
    pub(crate) fn close(&mut self, stream: &mut Stream) {
        self.retry(stream, true);
        self.close_accesses(stream);
        if stream.snapshot.is_open() {
            self.totals.cut_snapshots += 1;
            let text = format!("the leak graph of process {} is incomplete", self.describe(stream.process));
            let time = stream.time;
            self.trace.remark(Severity::Warning, 0, stream.process, time, &text);
        }
    }

    /// A ring of a process was given back.
    pub(crate) fn ring_ended(&mut self, process: u32) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        known.rings = known.rings.saturating_sub(1);
        if known.rings == 0 {
            self.trace.process_ended(process);
        }
    }

    /// Tells the end of processes that are gone without a word. The first process is left to `finish`.
    pub(crate) fn lose(&mut self, is_alive: impl Fn(&Process) -> bool) {
        let silent = |process: &Process| process.end.is_none() && process.rings == 0;
        let gone: Vec<u32> = self
            .processes
            .iter()
            .filter(|&(&number, process)| number != ROOT && silent(process) && !is_alive(process))
            .map(|(&number, _)| number)
            .collect();
        for number in gone {
            self.totals.lost_processes += 1;
            let time = self.now();
            self.process_end(number, time, End::Lost, 0, 0);
        }
    }

    /// Writes everything that waits, so that a reader sees it and a killed recorder does not lose it.
    pub(crate) fn flush(&mut self) {
        self.errors.flush(&mut self.trace);
        self.trace.flush();
    }

    /// Tells whoever prints errors meanwhile.
    fn live(&self, message: impl FnOnce() -> Message) {
        if let Some(live) = &self.live {
            live.message(message());
        }
    }

    /// Nanoseconds since the start of the recording.
    pub(crate) fn now(&self) -> u64 {
        self.clock.ns(crate::sys::tsc())
    }

    /// Number of a thread by its kernel id; 0 when it is not known.
    pub(crate) fn thread(&self, process: u32, tid: u32) -> u32 {
        self.threads.get(&(process, tid)).copied().unwrap_or(0)
    }

    /// The number of a process's next snapshot, from 0.
    pub(crate) fn next_snapshot(&mut self, process: u32) -> u32 {
        let process = self.processes.entry(process).or_default();
        process.snapshots += 1;
        process.snapshots - 1
    }

    /// A process as messages name it.
    pub(crate) fn describe(&self, number: u32) -> String {
        match self.processes.get(&number) {
            Some(process) if process.pid != 0 => format!("{} ({})", process.pid, process.exe),
            _ => format!("number {number}"),
        }
    }

    fn module(&mut self, stream: &mut Stream, record: Record<'_>) {
        let image = self.image(stream);
        let number = record.word(2) as u32;
        let mapping = Mapping {
            process: stream.process,
            start: record.word(3),
            size: record.word(4),
            bias: record.word(5),
            time: self.clock.ns(record.word(1)),
            flags: record.word(6) as u32,
        };
        let path = strings(record, 7).swap_remove(0);
        let (module, for_frames) = self.modules.add(path, mapping);
        self.trace.put(|writer| writer.modules(std::slice::from_ref(&module)));
        if let (Some(live), Some(binary)) = (&self.live, self.modules.binary(for_frames)) {
            live.binary(for_frames, binary);
            live.message(Message::Modules(vec![module.clone()]));
        }
        if self.images.add_module(image, number, for_frames) {
            let mapped = Mapped { module: module.id, for_frames, bias: mapping.bias };
            self.mapped.insert((image, number), mapped);
            self.counts.map(image, mapping.start, mapping.size, mapping.bias, for_frames);
        } else {
            self.totals.unknown_records += 1;
        }
    }

    fn process_start(&mut self, stream: &mut Stream, record: Record<'_>) {
        let tsc = record.word(1);
        let (number, parent) = halves(record.word(2));
        let (pid, ppid) = halves(record.word(3));
        let how = Start::from_number(record.word(4) as u16);
        let (node, module) = halves(record.word(5));
        stream.process = number;
        let parent_image =
            self.processes.get(&parent).and_then(|process| self.images.at(&process.images, tsc));
        let first = First { node, module };
        let image = match (how, parent_image) {
            // Shares its parent's memory, tables included.
            (Start::Vfork, Some(image)) => image,
            (Start::Fork, parent) => self.images.begin(tsc, parent, first, &mut self.trace.stacks),
            _ => self.images.begin(tsc, None, first, &mut self.trace.stacks),
        };
        stream.image = Some(image);
        let mut texts = strings(record, 6);
        texts.resize(4, Vec::new());
        let texts: [Vec<u8>; 4] = texts.try_into().unwrap_or_default();
        let [exe, argv, cwd, environment] = texts;
        let split = |text: Vec<u8>| {
            let text = text.strip_suffix(b"\0").unwrap_or(&text);
            let words = text.split(|&byte| byte == 0).map(Bytes::from);
            if text.is_empty() { Vec::new() } else { words.collect() }
        };
        let process = self.processes.entry(number).or_default();
        process.images.push(image);
        let program = process.images.len() as u32 - 1;
        process.end = None;
        process.pid = pid;
        process.exe = String::from_utf8_lossy(&exe).into_owned();
        if how != Start::Vfork {
            self.accesses.begin(image, schema::Modelled { process: number, program }, how == Start::Fork);
        }
        let message = schema::Process {
            number,
            parent,
            pid,
            ppid,
            how,
            time: self.clock.ns(tsc),
            exe: Bytes(exe),
            argv: split(argv),
            cwd: Bytes(cwd),
            environment: split(environment),
        };
        stream.time = stream.time.max(message.time);
        self.trace.put(|writer| writer.process(&message));
        self.live(|| Message::Process(message));
    }

    /// The process has ended, by its own word or by what the recorder found.
    pub(crate) fn process_end(&mut self, process: u32, time: u64, how: End, value: u32, instructions: u64) {
        if self.processes.get(&process).is_some_and(|process| !process.line.is_empty()) {
            self.client_text(process, time, b"\n");
        }
        self.trace.flush_events(process);
        let end = schema::ProcessEnd { process, time, how, value, instructions };
        self.trace.put(|writer| writer.process_end(&end));
        if let Some(process) = self.processes.get_mut(&process) {
            process.end = Some((how, value));
        }
    }

    /// What the program prints by VALGRIND_PRINTF: whole lines, marked as Valgrind marks them.
    fn client_text(&mut self, number: u32, time: u64, text: &[u8]) {
        let process = self.processes.entry(number).or_default();
        process.line.extend_from_slice(text);
        let Some(end) = process.line.iter().rposition(|&byte| byte == b'\n') else { return };
        let rest = process.line.split_off(end + 1);
        let lines = std::mem::replace(&mut process.line, rest);
        let pid = process.pid;
        for line in String::from_utf8_lossy(&lines).lines() {
            self.trace.tell(&format!("**{pid}** {line}"));
            self.trace.remark(Severity::Note, CLIENT_TEXT, number, time, line);
        }
    }

    fn message(&mut self, stream: &mut Stream, record: Record<'_>) {
        let (severity, code) = halves(record.word(1));
        if code == CLIENT_TEXT {
            return self.client_text(stream.process, stream.time, &strings(record, 2)[0]);
        }
        let text = String::from_utf8_lossy(&strings(record, 2)[0]).trim_end().to_owned();
        let severity = Severity::from_number(severity as u16);
        if severity == Severity::Note && !self.notes.contains(&text) {
            self.notes.push(text.clone());
        }
        // The same warning from a thousand processes is printed once, and kept for each.
        let first = self.said.insert(text.clone());
        if let Some(live) = self.live.as_ref().filter(|_| first && severity != Severity::Note) {
            live.line(&text);
        }
        if first && self.live.is_none() {
            self.trace.remark(severity, code, stream.process, stream.time, &text);
        } else {
            let remark = schema::Remark { severity, code, process: stream.process, time: stream.time, text };
            self.trace.put(|writer| writer.remark(&remark));
        }
    }
}

/// The byte strings of a record from word `first`; at least one, which is empty when the record has none.
pub(crate) fn strings(record: Record<'_>, first: usize) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    record.strings(first, |bytes| list.push(bytes.collect()));
    if list.is_empty() {
        list.push(Vec::new());
    }
    list
}

#[cfg(test)]
mod tests;

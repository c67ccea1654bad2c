//! From a trace to heap graphs: one pass over the messages, keeping the wanted snapshot of each process.
//!
//! What always holds: a damaged or cut trace gives what could be read and a line that says what could not; a
//! snapshot counts only when its end was read and its counts agree. Not here: decoding messages (crate `schema`).

use crate::findings::Usage;
use crate::graph::{Builder, Edge, GraphError, HeapGraph, Place, Root};
use crate::options::{Options, Snapshot};
use report::format::{counted, harmless};
use report::symbols::Symbols;
use schema::{End, Message, Op, Reason, RootKind, Severity, Start};
use std::collections::HashMap;

mod source;
pub use source::read;

/// A process of the recording, as its last program.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number in the recording.
    pub number: u32,
    /// The kernel's id.
    pub pid: u32,
    /// Number of the process that started it; 0 for the root.
    pub parent: u32,
    /// How it came to be.
    pub how: Start,
    /// Command line.
    pub command: Vec<String>,
    /// Path of the executable.
    pub executable: String,
    /// How it ended, with the exit status or signal; nothing when the trace does not say.
    pub end: Option<(End, u32)>,
    /// Calls of the allocator, when there are any in the trace.
    pub usage: Option<Usage>,
    /// The blocks of its parent are its own too, so that `usage` does not count all it has.
    pub since_fork: bool,
}

impl Process {
    /// Whether `--process=N` means it.
    pub fn is(&self, wanted: u32) -> bool {
        self.number == wanted || self.pid == wanted
    }
}

/// Which snapshot of a process.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotId {
    /// Its number in the process.
    pub number: u32,
    /// Why it was taken.
    pub reason: Reason,
    /// Nanoseconds since the recording began.
    pub time: u64,
}

/// A heap to be analysed.
#[derive(Debug)]
pub struct Heap {
    /// Index of its process in [`Recording::processes`].
    pub process: usize,
    /// Which snapshot it is.
    pub snapshot: SnapshotId,
    /// The blocks and pointers.
    pub graph: HeapGraph,
    /// Calls of the allocator until then, unless the process was about to end.
    pub usage: Option<Usage>,
}

/// A snapshot that the trace holds, wanted or not.
#[derive(Debug, Clone)]
pub struct Found {
    /// Number of its process.
    pub process: u32,
    /// Which snapshot it is.
    pub snapshot: SnapshotId,
    /// Live blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its end was read.
    pub complete: bool,
}

/// What a trace holds for us.
#[derive(Debug, Default)]
pub struct Recording {
    /// Name of the trace in messages.
    pub name: String,
    /// Command line of the root process.
    pub command: Vec<String>,
    /// The trace ended in order and says that nothing is missing.
    pub complete: bool,
    /// What is missing or damaged, a line each.
    pub problems: Vec<String>,
    /// What the recorder warned of, a line each.
    pub warnings: Vec<String>,
    /// Tables for names.
    pub symbols: Symbols,
    /// The processes, in the order in which they began.
    pub processes: Vec<Process>,
    /// The wanted snapshots, by process.
    pub heaps: Vec<Heap>,
    /// All snapshots, in the order in which they began.
    pub found: Vec<Found>,
    threads: HashMap<u32, String>,
    mappings: Vec<Mapping>,
}

/// A module's place in memory.
#[derive(Debug)]
struct Mapping {
    process: u32,
    start: u64,
    size: u64,
    path: String,
}

impl Recording {
    /// ` ("name")` for a thread that has one.
    pub fn thread_name(&self, thread: u32) -> String {
        self.threads.get(&thread).map_or_else(String::new, |name| format!(" (\"{}\")", harmless(name)))
    }

    /// Path of the module whose mapping holds an address.
    pub fn module_at(&self, process: u32, address: u64) -> Option<&str> {
        let holds = |m: &&Mapping| {
            (m.process == process || m.process == 0)
                && address.checked_sub(m.start).is_some_and(|at| at < m.size)
        };
        self.mappings.iter().rev().find(holds).map(|mapping| mapping.path.as_str())
    }
}

/// A snapshot that is being read.
struct Pending {
    id: SnapshotId,
    usage: Usage,
    builder: Builder,
    counts: [u64; 3],
    error: Option<GraphError>,
}

/// Takes the messages of one trace.
struct Loader {
    recording: Recording,
    wanted_process: Option<u32>,
    wanted_snapshot: Snapshot,
    keep_offsets: bool,
    index: HashMap<u32, usize>,
    pending: HashMap<(u32, u32), Pending>,
}

impl Loader {
    fn new(name: String, options: &Options) -> Loader {
        Loader {
            recording: Recording { name, ..Recording::default() },
            wanted_process: options.process,
            wanted_snapshot: options.snapshot,
            keep_offsets: options.who_points_at.is_some(),
            index: HashMap::new(),
            pending: HashMap::new(),
        }
    }

    fn take(&mut self, message: Message) {
        if let Message::Modules(modules) = &message {
            self.recording.mappings.extend(modules.iter().map(|module| Mapping {
                process: module.process,
                start: module.start,
                size: module.size,
                path: module.path.to_string(),
            }));
        }
        let Some(message) = self.recording.symbols.take(message) else { return };
        match message {
            Message::Header(header) => {
                self.recording.command = header.argv.iter().map(ToString::to_string).collect();
            }
            Message::Process(process) => self.process(&process),
            Message::ProcessEnd(end) if end.how != End::Exec => {
                self.process_mut(end.process).end = Some((end.how, end.value));
            }
            Message::ThreadName(name) => {
                self.recording.threads.insert(name.thread, name.name.to_string());
            }
            Message::Events(batch) => self.events(&batch),
            Message::SnapshotBegin(begin) => self.begin(&begin),
            Message::SnapshotBlocks(piece) => {
                if let Some(found) = self.found(piece.process, piece.snapshot) {
                    found.blocks += piece.rows.len() as u64;
                    found.bytes = piece.rows.iter().fold(found.bytes, |sum, b| sum.saturating_add(b.size));
                }
                self.piece(piece.process, piece.snapshot, |pending| {
                    pending.counts[0] += piece.rows.len() as u64;
                    piece.rows.iter().try_for_each(|b| pending.builder.block(b.address, b.size, b.stack))
                });
            }
            Message::SnapshotRoots(piece) => self.piece(piece.process, piece.snapshot, |pending| {
                pending.counts[1] += piece.rows.len() as u64;
                piece.rows.iter().try_for_each(|row| pending.builder.root(root(row)))
            }),
            Message::SnapshotEdges(piece) => self.piece(piece.process, piece.snapshot, |pending| {
                pending.counts[2] += piece.rows.len() as u64;
                piece.rows.iter().try_for_each(|row| {
                    let schema::Edge { source, target, offset, flags } = *row;
                    pending.builder.edge(Edge { from: source, to: target, flags: flags as u8, offset })
                })
            }),
            Message::SnapshotEnd(end) => self.end(&end),
            Message::Remark(remark) if remark.severity != Severity::Note => {
                self.recording.warnings.push(harmless(&remark.text).into_owned());
            }
            Message::NotFollowed(child) => self.recording.warnings.push(format!(
                "process {} (child of process {}) was not recorded: {}",
                child.pid,
                child.process,
                harmless(&child.reason)
            )),
            Message::Trailer(trailer) => {
                self.recording.complete = trailer.complete;
                for lost in &trailer.lost {
                    self.recording.problems.push(lost_line(lost));
                }
            }
            _ => {}
        }
    }

    fn process_mut(&mut self, number: u32) -> &mut Process {
        let processes = &mut self.recording.processes;
        let index = *self.index.entry(number).or_insert_with(|| {
            // Known again from its events alone when its first message is lost.
            processes.push(Process {
                number,
                pid: 0,
                parent: 0,
                how: Start::Root,
                command: Vec::new(),
                executable: String::new(),
                end: None,
                usage: None,
                since_fork: false,
            });
            processes.len() - 1
        });
        &mut processes[index]
    }

    fn process(&mut self, start: &schema::Process) {
        if start.how == Start::Exec && self.wanted_snapshot == Snapshot::Last {
            // The memory of the program before is gone, and what it leaked with it.
            let index = self.index.get(&start.number).copied();
            self.recording.heaps.retain(|heap| Some(heap.process) != index);
        }
        let process = self.process_mut(start.number);
        process.pid = start.pid;
        process.command = start.argv.iter().map(ToString::to_string).collect();
        process.executable = start.exe.to_string();
        process.usage = None;
        process.since_fork = start.how == Start::Fork;
        if start.how != Start::Exec {
            process.how = start.how;
            process.parent = start.parent;
        } else if process.how == Start::Vfork {
            // On its own from here.
            process.how = Start::Fork;
        }
    }

    fn events(&mut self, batch: &schema::EventBatch) {
        let usage = self.process_mut(batch.process).usage.get_or_insert_default();
        batch.events.iter().for_each(|event| count(usage, event));
        // What other threads did before a snapshot may be told behind its begin.
        let processes = &self.recording.processes;
        let heaps = self.recording.heaps.iter_mut();
        let done = heaps.filter(|heap| processes[heap.process].number == batch.process);
        let done = done.filter_map(|heap| Some((heap.snapshot.time, heap.usage.as_mut()?)));
        let pending = self.pending.iter_mut().filter(|((process, _), _)| *process == batch.process);
        for (time, usage) in done.chain(pending.map(|(_, pending)| (pending.id.time, &mut pending.usage))) {
            batch.events.iter().filter(|event| event.time <= time).for_each(|event| count(usage, event));
        }
    }

    fn begin(&mut self, begin: &schema::SnapshotBegin) {
        let id = SnapshotId { number: begin.snapshot, reason: begin.reason, time: begin.time };
        self.recording.found.push(Found {
            process: begin.process,
            snapshot: id,
            blocks: 0,
            bytes: 0,
            complete: false,
        });
        let wanted = match self.wanted_snapshot {
            Snapshot::Last | Snapshot::All => true,
            Snapshot::Number(number) => begin.snapshot == number,
            Snapshot::List => false,
        };
        let usage = self.process_mut(begin.process).usage.unwrap_or_default();
        if !wanted || self.wanted_process.is_some_and(|wanted| !self.process_mut(begin.process).is(wanted)) {
            return;
        }
        self.pending.insert(
            (begin.process, begin.snapshot),
            Pending { id, usage, builder: Builder::new(self.keep_offsets), counts: [0; 3], error: None },
        );
    }

    fn piece(
        &mut self,
        process: u32,
        snapshot: u32,
        add: impl FnOnce(&mut Pending) -> Result<(), GraphError>,
    ) {
        let Some(pending) = self.pending.get_mut(&(process, snapshot)) else { return };
        if pending.error.is_none() {
            pending.error = add(pending).err();
        }
    }

    fn found(&mut self, process: u32, snapshot: u32) -> Option<&mut Found> {
        let is = |found: &&mut Found| found.process == process && found.snapshot.number == snapshot;
        self.recording.found.iter_mut().rev().find(is)
    }

    fn end(&mut self, end: &schema::SnapshotEnd) {
        if let Some(found) = self.found(end.process, end.snapshot) {
            found.complete = found.blocks == end.blocks;
        }
        let Some(pending) = self.pending.remove(&(end.process, end.snapshot)) else { return };
        let wrong = match pending.error {
            Some(error) => Some(error.to_string()),
            None if pending.counts != [end.blocks, end.roots, end.edges] => {
                Some("parts of it are missing".to_owned())
            }
            None => None,
        };
        if let Some(wrong) = wrong {
            let line =
                format!("snapshot {} of process {} cannot be used: {wrong}", end.snapshot, end.process);
            return self.recording.problems.push(line);
        }
        self.process_mut(end.process);
        let process = self.index[&end.process];
        let early = matches!(pending.id.reason, Reason::Request | Reason::Client);
        let usage = early.then_some(pending.usage);
        let heap = Heap { process, snapshot: pending.id, graph: pending.builder.finish(), usage };
        let heaps = &mut self.recording.heaps;
        let old = heaps.iter_mut().find(|old| old.process == process);
        match old.filter(|_| self.wanted_snapshot != Snapshot::All) {
            Some(old) => *old = heap,
            None => heaps.push(heap),
        }
    }

    /// The recording, after the last message. `cut` says where and why the trace stopped when that was not its end.
    fn finish(mut self, cut: Option<String>) -> Recording {
        let mut pending: Vec<_> = self.pending.keys().copied().collect();
        pending.sort_unstable();
        for (process, snapshot) in pending {
            self.recording.problems.push(format!(
                "the trace ends within snapshot {snapshot} of process {process}, which is left out"
            ));
        }
        if let Some(cut) = cut {
            self.recording.complete = false;
            self.recording.problems.insert(0, cut);
        }
        let processes = &self.recording.processes;
        // Stable: the snapshots of a process stay in the order in which they were taken.
        self.recording.heaps.sort_by_key(|heap| processes[heap.process].number);
        self.recording
    }
}

fn count(usage: &mut Usage, event: &schema::HeapEvent) {
    let (allocs, frees) = match event.op {
        Op::Alloc => (1, 0),
        Op::Free => (0, 1),
        // As Valgrind counts it.
        Op::Realloc => (1, 1),
        Op::Other(_) => (0, 0),
    };
    usage.allocs += allocs;
    usage.frees += frees;
    usage.bytes = usage.bytes.saturating_add(event.size);
}

fn lost_line(lost: &schema::Lost) -> String {
    let what = match lost.events {
        0 => "something".to_owned(),
        events => counted(events, "event", "events"),
    };
    let whose = if lost.process == 0 { String::new() } else { format!(" of process {}", lost.process) };
    let verb = if lost.events <= 1 { "is" } else { "are" };
    format!("{what}{whose} {verb} missing: {}", harmless(&lost.reason))
}

fn root(row: &schema::Root) -> Root {
    Root {
        address: row.location,
        place: match row.kind() {
            RootKind::Register => Place::Register(row.location as u8),
            RootKind::Stack => Place::Stack,
            RootKind::Data => Place::Data,
            RootKind::Mapping => Place::Mapping,
            RootKind::Tls => Place::Tls,
            RootKind::Other(_) => Place::Other,
        },
        thread: row.thread,
        block: row.block,
        flags: row.flags as u8,
        interior: u32::try_from(row.offset).unwrap_or(u32::MAX),
    }
}

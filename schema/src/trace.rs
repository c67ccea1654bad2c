//! A whole trace in memory, its tables resolved.
//!
//! [`Trace::load`] owns the checks that go beyond one message: tables grow without gaps, a stack node's parent comes
//! before it, a snapshot's blocks rise and its roots and edges name blocks of it, a module's lines rise. What always
//! holds: lookups by id take any number and answer "nothing" for one that is not there; stacks are finite. Events are
//! not kept: a visitor sees them. Memory is in proportion to the tables, snapshots and executions of the trace. Not here:
//! reading messages (`read`).

use std::{collections::HashMap, io::Read};

use crate::{
    model::*,
    read::{Ending, TraceReader},
};

mod code;
mod snapshot;

use code::Code;
pub use snapshot::Snapshot;

/// A process of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// How it began; then once more for each program that it executed. Never empty.
    pub images: Vec<Process>,
    /// How it ended; `None` when the trace does not tell. An end by exec only ends an image and is not kept.
    pub end: Option<ProcessEnd>,
}

impl ProcessInfo {
    /// The program that it ran last.
    pub fn image(&self) -> &Process {
        &self.images[self.images.len() - 1]
    }
}

/// A thread of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadInfo {
    /// How it began.
    pub start: ThreadStart,
    /// Its last name.
    pub name: Option<Bytes>,
    /// How it ended; `None` when it did not end in order.
    pub end: Option<ThreadEnd>,
}

/// A module of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// The module.
    pub module: Module,
    /// When it was unmapped.
    pub unloaded: Option<u64>,
}

/// A function on a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedFrame<'a> {
    /// Id of the frame; 0 for executed code.
    pub frame: u32,
    /// Demangled name; empty when not known.
    pub function: &'a str,
    /// Name as in the symbol table; empty when not known.
    pub raw_name: &'a str,
    /// Path of the source file; empty when not known.
    pub file: &'a str,
    /// Line from 1; 0 when not known.
    pub line: u32,
    /// Column from 1; 0 when not known.
    pub column: u32,
    /// The module; `None` for an address in none.
    pub module: Option<&'a Module>,
    /// The code address: module, offset in it, flags.
    pub code: Frame,
    /// The function was inlined into the one that follows.
    pub inlined: bool,
}

/// A whole trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The header.
    pub header: Header,
    /// Processes in the order in which they began.
    pub processes: Vec<ProcessInfo>,
    /// Threads in the order in which they began.
    pub threads: Vec<ThreadInfo>,
    /// Modules in the order in which they were mapped.
    pub modules: Vec<ModuleInfo>,
    /// Heap snapshots in the order in which they began.
    pub snapshots: Vec<Snapshot>,
    /// Counters, one entry a process, with the last value of each name.
    pub counters: Vec<Counters>,
    /// Remarks for the user.
    pub remarks: Vec<Remark>,
    /// Children that ran natively.
    pub not_followed: Vec<NotFollowed>,
    /// Errors in the order in which the trace tells them, with their last counts.
    pub errors: Vec<Error>,
    /// How often threads executed code. Messages of the same thread and part that follow each other are one entry; the same
    /// instruction may be in several rows, whose counts add up.
    pub executions: Vec<Executions>,
    /// How often threads executed direct jumps, as the messages came; the same jump may be in several rows, whose counts add up.
    pub jumps: Vec<Jumps>,
    /// Calling-context trees, one for each thread whose calls were recorded, and each part.
    pub contexts: Vec<Contexts>,
    /// What instructions have cost besides, by process.
    pub costs: Vec<Costs>,
    /// What was spent in contexts besides instructions, by thread.
    pub context_costs: Vec<ContextCosts>,
    /// Ends of parts, in the order in which they are told.
    pub part_ends: Vec<PartEnd>,
    /// The trailer; `None` in an incomplete trace.
    pub trailer: Option<Trailer>,
    /// How the trace ended.
    pub ending: Ending,
    /// Heap events that the trace holds.
    pub events: u64,
    /// What was skipped because it is newer than this build, heap events not counted.
    pub skipped: Vec<Skipped>,
    strings: Vec<String>,
    frames: Vec<Frame>,
    places: HashMap<u32, Vec<Place>>,
    nodes: Vec<StackNode>,
    code: Code,
    process_index: HashMap<u32, usize>,
    thread_index: HashMap<u32, usize>,
    module_index: HashMap<u32, usize>,
    snapshot_index: HashMap<(u32, u32), usize>,
    error_index: HashMap<(u32, u32), usize>,
}

impl Trace {
    /// Reads a trace without its events. An error is an input with no header; anything else is told by `ending`.
    pub fn load(input: impl Read) -> Result<Self, Ending> {
        Self::run(TraceReader::new(input).skip_events(), |_| Ok(()), |_, _| ())
    }

    /// Reads a trace; `visit` sees each batch of events with the trace as far as it was read.
    pub fn load_events(input: impl Read, visit: impl FnMut(&Self, EventBatch)) -> Result<Self, Ending> {
        Self::run(TraceReader::new(input), |_| Ok(()), visit)
    }

    /// Reads a trace; `see` sees each message, also what the trace keeps nothing of, and may say why the trace ends in front of it.
    pub fn load_seeing(
        input: impl Read,
        see: impl FnMut(&Message) -> Result<(), String>,
    ) -> Result<Self, Ending> {
        Self::run(TraceReader::new(input), see, |_, _| ())
    }

    fn run<R: Read>(
        mut reader: TraceReader<R>,
        mut see: impl FnMut(&Message) -> Result<(), String>,
        mut visit: impl FnMut(&Self, EventBatch),
    ) -> Result<Self, Ending> {
        let ended = |reader: &TraceReader<R>| {
            // The iterator ends only when it knows why.
            reader.ending().cloned().unwrap_or(Ending::Truncated { bytes: reader.bytes_read(), messages: 0 })
        };
        let first = reader.next();
        if let Some(Err(why)) = first.as_ref().map(&mut see) {
            reader.refuse(why);
        }
        let Some(Message::Header(header)) = first else { return Err(ended(&reader)) };
        let mut trace = Self::new(header);
        while let Some(message) = reader.next() {
            match see(&message).and_then(|()| trace.take(message)) {
                Ok(None) => {}
                Ok(Some(batch)) => visit(&trace, batch),
                Err(why) => reader.refuse(why),
            }
        }
        trace.ending = ended(&reader);
        trace.snapshots.iter_mut().for_each(Snapshot::drop_dangling);
        Ok(trace)
    }

    fn new(header: Header) -> Self {
        Self {
            header,
            processes: Vec::new(),
            threads: Vec::new(),
            modules: Vec::new(),
            snapshots: Vec::new(),
            counters: Vec::new(),
            remarks: Vec::new(),
            not_followed: Vec::new(),
            errors: Vec::new(),
            executions: Vec::new(),
            jumps: Vec::new(),
            contexts: Vec::new(),
            costs: Vec::new(),
            context_costs: Vec::new(),
            part_ends: Vec::new(),
            trailer: None,
            ending: Ending::Truncated { bytes: 0, messages: 1 },
            events: 0,
            skipped: Vec::new(),
            strings: Vec::new(),
            frames: Vec::new(),
            places: HashMap::new(),
            nodes: Vec::new(),
            code: Code::default(),
            process_index: HashMap::new(),
            thread_index: HashMap::new(),
            module_index: HashMap::new(),
            snapshot_index: HashMap::new(),
            error_index: HashMap::new(),
        }
    }

    /// Takes one message in; gives events back.
    fn take(&mut self, message: Message) -> Result<Option<EventBatch>, String> {
        match message {
            Message::Header(_) => return Err("a second header".to_owned()),
            Message::Process(process) => self.take_process(process),
            Message::ProcessEnd(end) => {
                if !matches!(end.how, End::Exec) {
                    find(&mut self.processes, &self.process_index, "process", end.process)?.end = Some(end);
                }
            }
            Message::ThreadStart(start) => {
                self.thread_index.insert(start.number, self.threads.len());
                self.threads.push(ThreadInfo { start, name: None, end: None });
            }
            Message::ThreadName(name) => {
                find(&mut self.threads, &self.thread_index, "thread", name.thread)?.name = Some(name.name);
            }
            Message::ThreadEnd(end) => {
                find(&mut self.threads, &self.thread_index, "thread", end.thread)?.end = Some(end);
            }
            Message::Modules(modules) => {
                for module in modules {
                    self.module_index.insert(module.id, self.modules.len());
                    self.modules.push(ModuleInfo { module, unloaded: None });
                }
            }
            Message::ModuleEnd(end) => {
                find(&mut self.modules, &self.module_index, "module", end.module)?.unloaded = Some(end.time);
            }
            Message::Strings(table) => append("string", &mut self.strings, table.first_id, table.strings)?,
            Message::Frames(table) => append("frame", &mut self.frames, table.first_id, table.frames)?,
            Message::Symbols(symbols) => {
                self.places.extend(symbols.into_iter().map(|entry| (entry.frame, entry.places)));
            }
            Message::Stacks(table) => self.take_stacks(table)?,
            Message::Events(batch) => {
                self.events += batch.events.len() as u64;
                return Ok(Some(batch));
            }
            Message::SnapshotBegin(begin) => {
                self.snapshot_index.insert((begin.process, begin.snapshot), self.snapshots.len());
                self.snapshots.push(Snapshot::new(begin));
            }
            Message::SnapshotBlocks(piece) => {
                self.open_snapshot(piece.process, piece.snapshot)?.add_blocks(piece.rows)?;
            }
            Message::SnapshotRoots(piece) => {
                self.open_snapshot(piece.process, piece.snapshot)?.roots.extend(piece.rows);
            }
            Message::SnapshotEdges(piece) => {
                self.open_snapshot(piece.process, piece.snapshot)?.edges.extend(piece.rows);
            }
            Message::SnapshotEnd(end) => self.open_snapshot(end.process, end.snapshot)?.finish(&end)?,
            Message::Counters(counters) => self.take_counters(counters),
            Message::Remark(remark) => self.remarks.push(remark),
            Message::NotFollowed(child) => self.not_followed.push(child),
            Message::Trailer(trailer) => self.trailer = Some(trailer),
            Message::Errors(errors) => self.take_errors(errors),
            Message::Executions(executions) => code::merge(&mut self.executions, executions),
            Message::Jumps(jumps) => self.jumps.push(jumps),
            Message::Contexts(contexts) => code::extend(&mut self.contexts, contexts)?,
            Message::Costs(costs) => code::merge_costs(&mut self.costs, costs),
            Message::ContextCosts(costs) => self.context_costs.push(costs),
            Message::PartEnd(end) => self.part_ends.push(end),
            Message::Places(table) => self.code.take_places(table)?,
            Message::CodeLines(lines) => self.code.take_lines(lines)?,
            // Only whoever asks for them sees them.
            Message::AccessRuns(_) | Message::AccessLog(_) | Message::AccessMark(_) => {}
            Message::Skipped(Skipped::AccessLog) => {}
            Message::Skipped(Skipped::Events { rows, .. }) => self.events += u64::from(rows),
            Message::Skipped(skipped) => self.skipped.push(skipped),
        }
        Ok(None)
    }

    fn take_process(&mut self, process: Process) {
        let known = self.process_index.get(&process.number).and_then(|&i| self.processes.get_mut(i));
        match known {
            Some(known) if process.how == Start::Exec => known.images.push(process),
            _ => {
                self.process_index.insert(process.number, self.processes.len());
                self.processes.push(ProcessInfo { images: vec![process], end: None });
            }
        }
    }

    fn take_stacks(&mut self, table: Stacks) -> Result<(), String> {
        let first = u64::from(table.first_id);
        // Walking towards smaller ids ends; a cycle would not.
        let bad = (first..).zip(&table.nodes).find(|(id, node)| u64::from(node.parent) >= *id);
        if let Some((id, node)) = bad {
            return Err(format!(
                "stack {id} names {} as its parent, which does not come before it",
                node.parent
            ));
        }
        append("stack", &mut self.nodes, table.first_id, table.nodes)
    }

    fn take_counters(&mut self, counters: Counters) {
        let known = self.counters.iter_mut().find(|known| known.process == counters.process);
        let Some(known) = known else { return self.counters.push(counters) };
        let mut places: HashMap<String, usize> =
            known.values.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)).collect();
        for (name, value) in counters.values {
            match places.get(&name) {
                Some(&i) => known.values[i].1 = value,
                None => {
                    places.insert(name.clone(), known.values.len());
                    known.values.push((name, value));
                }
            }
        }
    }

    fn take_errors(&mut self, errors: Vec<Error>) {
        for error in errors {
            let known = self.error_index.get(&(error.process, error.number));
            match known.and_then(|&i| self.errors.get_mut(i)) {
                Some(known) => {
                    known.count = error.count;
                    known.about = error.about.or(known.about.take());
                }
                None => {
                    self.error_index.insert((error.process, error.number), self.errors.len());
                    self.errors.push(error);
                }
            }
        }
    }

    fn open_snapshot(&mut self, process: u32, snapshot: u32) -> Result<&mut Snapshot, String> {
        let known = self.snapshot_index.get(&(process, snapshot)).and_then(|&i| self.snapshots.get_mut(i));
        match known {
            Some(known) if !known.complete => Ok(known),
            Some(_) => Err(format!("snapshot {snapshot} of process {process} goes on after its end")),
            None => Err(format!("snapshot {snapshot} of process {process} has not begun")),
        }
    }

    /// Appends a string to the table and gives its id.
    pub fn add_string(&mut self, text: &str) -> u32 {
        self.strings.push(text.to_owned());
        u32::try_from(self.strings.len()).unwrap_or(0)
    }

    /// The string with this id; empty for 0 and for an id that the trace does not have.
    pub fn string(&self, id: u32) -> &str {
        entry(&self.strings, id).map_or("", String::as_str)
    }

    /// The frame with this id.
    pub fn frame(&self, id: u32) -> Option<&Frame> {
        entry(&self.frames, id)
    }

    /// Names of a frame, innermost inlined function first; empty when none are known.
    pub fn places(&self, frame: u32) -> &[Place] {
        self.places.get(&frame).map_or(&[], Vec::as_slice)
    }

    /// Node of the stack tree.
    pub fn stack_node(&self, stack: u32) -> Option<StackNode> {
        entry(&self.nodes, stack).copied()
    }

    /// Ids of the frames of a stack, innermost first.
    pub fn stack(&self, stack: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.stack_node(stack), |node| self.stack_node(node.parent))
            .map(|node| node.frame)
    }

    /// A stack with names, innermost function first, inlined functions included.
    pub fn resolve(&self, stack: u32) -> Vec<ResolvedFrame<'_>> {
        self.stack(stack).flat_map(|frame| self.resolve_frame(frame)).collect()
    }

    /// The functions at a frame: the inlined ones, then the real one. A frame without names gives one with empty
    /// names.
    pub fn resolve_frame(&self, frame: u32) -> impl Iterator<Item = ResolvedFrame<'_>> + '_ {
        self.named(frame, self.frame(frame).copied().unwrap_or_default(), self.places(frame))
    }

    /// The functions at the instruction at `rva` of a module (0: none, and an absolute address), which was executed:
    /// as [`resolve_frame`](Self::resolve_frame), with frame 0.
    pub fn code_symbols(&self, module: u32, rva: u64) -> Vec<ResolvedFrame<'_>> {
        let code = Frame { module, rva, exact: true, guessed: false };
        self.named(0, code, self.code.places_at(module, rva)).collect()
    }

    /// The id of the place of an instruction that was executed: equal for all of the same function and line. 0 when nothing
    /// is known.
    pub fn code_place(&self, module: u32, rva: u64) -> u32 {
        self.code.place_at(module, rva)
    }

    /// The functions at a place of executed code of a module, as [`code_symbols`](Self::code_symbols) gives them.
    pub fn place_symbols(&self, module: u32, place: u32) -> Vec<ResolvedFrame<'_>> {
        let code = Frame { module, ..Frame::default() };
        self.named(0, code, self.code.places(place)).collect()
    }

    fn named<'t>(
        &'t self,
        frame: u32,
        code: Frame,
        places: &'t [Place],
    ) -> impl Iterator<Item = ResolvedFrame<'t>> + 't {
        let module = self.module(code.module).map(|info| &info.module);
        (0..places.len().max(1)).map(move |i| {
            let place = places.get(i).copied().unwrap_or_default();
            ResolvedFrame {
                frame,
                function: self.string(place.function),
                raw_name: self.string(place.raw_name),
                file: self.string(place.file),
                line: place.line,
                column: place.column,
                module,
                code,
                inlined: i + 1 < places.len(),
            }
        })
    }

    /// The process with this number.
    pub fn process(&self, number: u32) -> Option<&ProcessInfo> {
        self.process_index.get(&number).and_then(|&i| self.processes.get(i))
    }

    /// The thread with this number.
    pub fn thread(&self, number: u32) -> Option<&ThreadInfo> {
        self.thread_index.get(&number).and_then(|&i| self.threads.get(i))
    }

    /// The module with this id.
    pub fn module(&self, id: u32) -> Option<&ModuleInfo> {
        self.module_index.get(&id).and_then(|&i| self.modules.get(i))
    }
}

fn entry<T>(table: &[T], id: u32) -> Option<&T> {
    table.get(usize::try_from(id).ok()?.checked_sub(1)?)
}

fn find<'t, T>(
    table: &'t mut [T],
    index: &HashMap<u32, usize>,
    what: &str,
    number: u32,
) -> Result<&'t mut T, String> {
    let known = index.get(&number).and_then(|&i| table.get_mut(i));
    known.ok_or_else(|| format!("it ends or names {what} {number}, which has not begun"))
}

fn append<T>(what: &str, table: &mut Vec<T>, first_id: u32, entries: Vec<T>) -> Result<(), String> {
    let next = table.len() as u64 + 1;
    if u64::from(first_id) != next {
        return Err(format!("it begins with {what} {first_id}, and the next one is {next}"));
    }
    table.extend(entries);
    Ok(())
}

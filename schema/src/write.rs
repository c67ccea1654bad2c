//! Writing a trace.
//!
//! [`TraceWriter`] owns the order and the framing of messages: single segment, at most 4 MiB, numbered. Tables that
//! are longer are cut into several messages. What always holds: what reached the output is a readable prefix of a
//! trace, also after a failed write, and the caller learns how long it is. Not here: the messages' fields (`fill`),
//! columns (`codec`, `rows`).

use std::io::{self, Write};

use capnp::message::{Builder, HeapAllocator};

pub use crate::codec::Codec;
pub use crate::events::EventChunk;
use crate::{
    codec::Packer,
    model::*,
    raw::trace_capnp::message,
    rows::{Piece, ROWS},
};

mod accesses;
mod arm;
mod code;
mod fill;

pub use arm::KindBytes;
use arm::{ARMS, Arm};

/// Greatest size of a message in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Bytes that are collected before they are written.
const BUFFER: usize = 128 << 10;

/// Most entries of a table in one message.
const TABLE_ROWS: usize = 32768;

/// Most bytes of names in one message, unless a single one is longer.
const TABLE_BYTES: usize = 1 << 20;

/// Why a message was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output failed. Nothing more can be written; what is there is readable.
    #[error("the trace cannot be written any further after {written} bytes: {source}")]
    Io {
        /// Bytes that the output took.
        written: u64,
        /// Bytes of them up to the end of the last whole message.
        whole: u64,
        /// What the output said.
        source: io::Error,
    },
    /// The message is too large. It is left out; others can be written.
    #[error(
        "a {kind} message of {bytes} bytes does not fit into a trace (at most {MAX_MESSAGE_BYTES} bytes)"
    )]
    TooLarge {
        /// What kind of message.
        kind: &'static str,
        /// Its size, about.
        bytes: usize,
    },
    /// A trace begins with its header and has only one.
    #[error("the header must be the first message of a trace and the only header")]
    Order,
}

/// Writes a trace. Messages are collected: call [`flush`](Self::flush) when a reader waits for them; nothing is
/// written on drop. After a [`WriteError::Io`] every call fails with the same error.
pub struct TraceWriter<W: Write> {
    out: W,
    packer: Packer,
    /// Whole messages that the output has not taken yet.
    pending: Vec<u8>,
    messages: u64,
    events: u64,
    written: u64,
    kinds: [KindBytes; ARMS],
    failed: Option<Failure>,
}

/// A failed write, kept so that it can be told again.
#[derive(Clone, Copy)]
struct Failure {
    written: u64,
    whole: u64,
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        let source = failure.code.map_or_else(|| failure.kind.into(), io::Error::from_raw_os_error);
        Self::Io { written: failure.written, whole: failure.whole, source }
    }
}

impl<W: Write> TraceWriter<W> {
    /// A writer of a new trace. The first message must be the header.
    pub fn new(out: W, codec: Codec) -> Self {
        Self {
            out,
            packer: Packer::new(codec),
            pending: Vec::with_capacity(BUFFER),
            messages: 0,
            events: 0,
            written: 0,
            kinds: arm::no_bytes(),
            failed: None,
        }
    }

    /// Writes the header.
    pub fn header(&mut self, header: &Header) -> Result<(), WriteError> {
        self.put(Arm::Header, fill::header_bytes(header), &|m| fill::header(m.init_header(), header))
    }

    /// Writes that a process begins or executes another program.
    pub fn process(&mut self, process: &Process) -> Result<(), WriteError> {
        self.put(Arm::Process, fill::process_bytes(process), &|m| fill::process(m.init_process(), process))
    }

    /// Writes that a process ends.
    pub fn process_end(&mut self, end: &ProcessEnd) -> Result<(), WriteError> {
        self.put(Arm::ProcessEnd, 0, &|m| fill::process_end(m.init_process_end(), end))
    }

    /// Writes that a thread begins.
    pub fn thread_start(&mut self, start: &ThreadStart) -> Result<(), WriteError> {
        self.put(Arm::ThreadStart, 0, &|m| fill::thread_start(m.init_thread_start(), start))
    }

    /// Writes the name of a thread.
    pub fn thread_name(&mut self, name: &ThreadName) -> Result<(), WriteError> {
        self.put(Arm::ThreadName, name.name.0.len(), &|m| fill::thread_name(m.init_thread_name(), name))
    }

    /// Writes that a thread ends.
    pub fn thread_end(&mut self, end: &ThreadEnd) -> Result<(), WriteError> {
        self.put(Arm::ThreadEnd, 0, &|m| fill::thread_end(m.init_thread_end(), end))
    }

    /// Writes modules, before the first frame in them.
    pub fn modules(&mut self, modules: &[Module]) -> Result<(), WriteError> {
        for part in cut(modules, fill::module_bytes) {
            let bytes = part.iter().map(fill::module_bytes).sum();
            self.put(Arm::Modules, bytes, &|m| fill::modules(m.init_modules(part.len() as u32), part))?;
        }
        Ok(())
    }

    /// Writes that a module is unmapped.
    pub fn module_end(&mut self, end: &ModuleEnd) -> Result<(), WriteError> {
        self.put(Arm::ModuleEnd, 0, &|m| fill::module_end(m.init_module_end(), end))
    }

    /// Appends strings to the table; the first gets id `first_id`, which is 1 more than the last id so far.
    pub fn strings<S: AsRef<str>>(&mut self, first_id: u32, strings: &[S]) -> Result<(), WriteError> {
        let size = |string: &S| 4 + string.as_ref().len();
        let mut id = first_id;
        for part in cut(strings, size) {
            let bytes = part.iter().map(size).sum();
            self.put(Arm::Strings, bytes, &|m| fill::strings(m.init_strings(), id, part))?;
            id = id.wrapping_add(part.len() as u32);
        }
        Ok(())
    }

    /// Appends frames to the table; the first gets id `first_id`, which is 1 more than the last id so far.
    pub fn frames(&mut self, first_id: u32, frames: &[Frame]) -> Result<(), WriteError> {
        let mut id = first_id;
        for part in frames.chunks(TABLE_ROWS) {
            self.put(Arm::Frames, part.len() * 13, &|m| fill::frames(m.init_frames(), id, part))?;
            id = id.wrapping_add(part.len() as u32);
        }
        Ok(())
    }

    /// Writes what frames are called. The frames and the strings must have been written before.
    pub fn symbols(&mut self, symbols: &[FrameSymbols]) -> Result<(), WriteError> {
        for part in cut(symbols, fill::symbol_bytes) {
            let bytes = part.iter().map(fill::symbol_bytes).sum();
            self.put(Arm::Symbols, bytes, &|m| fill::symbols(m.init_symbols(), part))?;
        }
        Ok(())
    }

    /// Appends nodes to the stack tree; the first gets id `first_id`, which is 1 more than the last id so far.
    pub fn stacks(&mut self, first_id: u32, nodes: &[StackNode]) -> Result<(), WriteError> {
        let mut id = first_id;
        for part in nodes.chunks(TABLE_ROWS) {
            self.put(Arm::Stacks, part.len() * 8, &|m| fill::stacks(m.init_stacks(), id, part))?;
            id = id.wrapping_add(part.len() as u32);
        }
        Ok(())
    }

    /// Adds an event to its chunk and writes the chunk when it is full.
    pub fn event(&mut self, chunk: &mut EventChunk, event: HeapEvent) -> Result<(), WriteError> {
        if chunk.push(event) { self.events(chunk) } else { Ok(()) }
    }

    /// Writes the events of a chunk and empties it, also when the write fails.
    pub fn events(&mut self, chunk: &mut EventChunk) -> Result<(), WriteError> {
        let result = self.event_columns(chunk);
        chunk.clear();
        result
    }

    fn event_columns(&mut self, chunk: &EventChunk) -> Result<(), WriteError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let columns = self.packer.pack_events(chunk);
        let bytes = fill::column_bytes(&columns);
        let result = self.put(Arm::Chunk, bytes, &|m| fill::chunk(m.init_chunk(), chunk, &columns));
        self.packer.take_back(columns);
        result?;
        self.events += chunk.len() as u64;
        Ok(())
    }

    fn event_rows(&mut self, process: u32, events: &[HeapEvent]) -> Result<(), WriteError> {
        let mut chunk = EventChunk::new(process);
        for event in events {
            self.event(&mut chunk, *event)?;
        }
        self.events(&mut chunk)
    }

    /// Writes that a heap snapshot begins.
    pub fn snapshot_begin(&mut self, begin: &SnapshotBegin) -> Result<(), WriteError> {
        self.put(Arm::SnapshotBegin, 0, &|m| fill::snapshot_begin(m.init_snapshot_begin(), begin))
    }

    /// Writes live blocks of a snapshot, in rising order of address over all calls.
    pub fn snapshot_blocks(
        &mut self,
        process: u32,
        snapshot: u32,
        blocks: &[Block],
    ) -> Result<(), WriteError> {
        self.snapshot_rows(Arm::SnapshotBlocks, process, snapshot, blocks)
    }

    /// Writes root words of a snapshot.
    pub fn snapshot_roots(&mut self, process: u32, snapshot: u32, roots: &[Root]) -> Result<(), WriteError> {
        self.snapshot_rows(Arm::SnapshotRoots, process, snapshot, roots)
    }

    /// Writes block to block edges of a snapshot.
    pub fn snapshot_edges(&mut self, process: u32, snapshot: u32, edges: &[Edge]) -> Result<(), WriteError> {
        self.snapshot_rows(Arm::SnapshotEdges, process, snapshot, edges)
    }

    fn snapshot_rows<T: Piece>(
        &mut self,
        arm: Arm,
        process: u32,
        snapshot: u32,
        rows: &[T],
    ) -> Result<(), WriteError> {
        for part in rows.chunks(ROWS) {
            let columns = self.packer.pack(part);
            self.put(arm, fill::column_bytes(&columns), &|m| {
                let piece = match arm {
                    Arm::SnapshotBlocks => m.init_snapshot_blocks(),
                    Arm::SnapshotRoots => m.init_snapshot_roots(),
                    _ => m.init_snapshot_edges(),
                };
                fill::snapshot_piece(piece, process, snapshot, part.len() as u32, &columns);
            })?;
        }
        Ok(())
    }

    /// Writes that a heap snapshot is complete.
    pub fn snapshot_end(&mut self, end: &SnapshotEnd) -> Result<(), WriteError> {
        self.put(Arm::SnapshotEnd, 0, &|m| fill::snapshot_end(m.init_snapshot_end(), end))
    }

    /// Writes counters.
    pub fn counters(&mut self, counters: &Counters) -> Result<(), WriteError> {
        let bytes = fill::counters_bytes(counters);
        self.put(Arm::Counters, bytes, &|m| fill::counters(m.init_counters(), counters))
    }

    /// Writes a remark for the user.
    pub fn remark(&mut self, remark: &Remark) -> Result<(), WriteError> {
        self.put(Arm::Remark, remark.text.len(), &|m| fill::remark(m.init_remark(), remark))
    }

    /// Writes that a child runs natively.
    pub fn not_followed(&mut self, child: &NotFollowed) -> Result<(), WriteError> {
        self.put(Arm::NotFollowed, child.reason.len(), &|m| fill::not_followed(m.init_not_followed(), child))
    }

    /// Writes errors, or later counts of those that were written. Their stacks must have been written before.
    pub fn errors(&mut self, errors: &[Error]) -> Result<(), WriteError> {
        for part in cut(errors, fill::error_bytes) {
            let bytes = part.iter().map(fill::error_bytes).sum();
            self.put(Arm::Errors, bytes, &|m| fill::errors(m.init_errors(part.len() as u32), part))?;
        }
        Ok(())
    }

    /// Writes the trailer, with this writer's own totals in place of `messages` and `events`, and flushes.
    pub fn trailer(&mut self, trailer: &Trailer) -> Result<(), WriteError> {
        let trailer = Trailer { messages: self.messages, events: self.events, ..trailer.clone() };
        let bytes = fill::trailer_bytes(&trailer);
        self.put(Arm::Trailer, bytes, &|m| fill::trailer(m.init_trailer(), &trailer))?;
        self.flush()
    }

    /// Writes any message as a reader gave it; skipped ones have no contents to write and are left out.
    pub fn message(&mut self, message: &Message) -> Result<(), WriteError> {
        match message {
            Message::Header(header) => self.header(header),
            Message::Process(process) => self.process(process),
            Message::ProcessEnd(end) => self.process_end(end),
            Message::ThreadStart(start) => self.thread_start(start),
            Message::ThreadName(name) => self.thread_name(name),
            Message::ThreadEnd(end) => self.thread_end(end),
            Message::Modules(modules) => self.modules(modules),
            Message::ModuleEnd(end) => self.module_end(end),
            Message::Strings(table) => self.strings(table.first_id, &table.strings),
            Message::Frames(table) => self.frames(table.first_id, &table.frames),
            Message::Symbols(symbols) => self.symbols(symbols),
            Message::Stacks(table) => self.stacks(table.first_id, &table.nodes),
            Message::Events(batch) => self.event_rows(batch.process, &batch.events),
            Message::SnapshotBegin(begin) => self.snapshot_begin(begin),
            Message::SnapshotBlocks(piece) => {
                self.snapshot_blocks(piece.process, piece.snapshot, &piece.rows)
            }
            Message::SnapshotRoots(piece) => self.snapshot_roots(piece.process, piece.snapshot, &piece.rows),
            Message::SnapshotEdges(piece) => self.snapshot_edges(piece.process, piece.snapshot, &piece.rows),
            Message::SnapshotEnd(end) => self.snapshot_end(end),
            Message::Counters(counters) => self.counters(counters),
            Message::Remark(remark) => self.remark(remark),
            Message::NotFollowed(child) => self.not_followed(child),
            Message::Trailer(trailer) => self.trailer(trailer),
            Message::Errors(errors) => self.errors(errors),
            Message::Executions(piece) => {
                self.executions(piece.process, piece.thread, piece.part, &piece.rows)
            }
            Message::Places(table) => self.places(table.first_id, &table.places),
            Message::Costs(piece) => self.costs(piece.process, piece.part, &piece.rows),
            Message::ContextCosts(piece) => {
                self.context_costs(piece.process, piece.thread, piece.part, &piece.rows)
            }
            Message::Contexts(piece) => self.contexts(piece.process, piece.thread, piece.part, &piece.rows),
            Message::PartEnd(end) => self.part_end(end),
            Message::Jumps(piece) => self.jumps(piece.process, piece.thread, piece.part, &piece.rows),
            Message::AccessRuns(runs) => self.access_runs(runs.of, runs.first, &runs.runs),
            Message::AccessLog(log) => self.access_log(log),
            Message::AccessMark(mark) => self.access_mark(mark),
            Message::CodeLines(piece) => self.code_lines(piece.module, &piece.rows),
            Message::Skipped(_) => Ok(()),
        }
    }

    /// Hands everything to the output and flushes it.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.drain()?;
        loop {
            match self.out.flush() {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(0, &error)),
            }
        }
    }

    /// Bytes that the output took.
    pub fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Messages and bytes of each kind of message so far, the ones that wait included.
    pub fn statistics(&self) -> &[KindBytes] {
        &self.kinds
    }

    /// The output. Messages that were not flushed are lost.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Builds a message of about `bytes` bytes of contents and appends it to what waits.
    fn put(
        &mut self,
        arm: Arm,
        bytes: usize,
        build: &dyn Fn(message::Builder<'_>),
    ) -> Result<(), WriteError> {
        if let Some(failure) = self.failed {
            return Err(failure.into());
        }
        if (self.messages == 0) != (arm == Arm::Header) {
            return Err(WriteError::Order);
        }
        // Enough for the fixed part of every message; a segment that is too short only costs a second try.
        let mut words = bytes / 8 + 64;
        let before = self.pending.len();
        loop {
            if words > MAX_MESSAGE_BYTES / 8 {
                return Err(WriteError::TooLarge { kind: arm.name(), bytes: words * 8 });
            }
            let mut builder = Builder::new(HeapAllocator::new().first_segment_words(words as u32));
            let mut root = builder.init_root::<message::Builder<'_>>();
            root.set_seq(self.messages);
            build(root);
            let segments = builder.get_segments_for_output();
            if let [segment] = segments[..] {
                self.pending.extend_from_slice(&0u32.to_le_bytes());
                self.pending.extend_from_slice(&((segment.len() / 8) as u32).to_le_bytes());
                self.pending.extend_from_slice(segment);
                break;
            }
            words = segments.iter().map(|segment| segment.len()).sum::<usize>() / 8 * 2;
        }
        self.messages += 1;
        self.kinds[arm as usize].messages += 1;
        self.kinds[arm as usize].bytes += (self.pending.len() - before) as u64;
        if self.pending.len() >= BUFFER { self.drain() } else { Ok(()) }
    }

    /// Hands what waits to the output.
    fn drain(&mut self) -> Result<(), WriteError> {
        if let Some(failure) = self.failed {
            return Err(failure.into());
        }
        let mut done = 0;
        while done < self.pending.len() {
            match self.out.write(&self.pending[done..]) {
                Ok(0) => return Err(self.fail(done, &io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    done += count;
                    self.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(done, &error)),
            }
        }
        self.pending.clear();
        Ok(())
    }

    /// Notes that the output failed after it took `done` bytes of what waits, which starts with a whole message.
    fn fail(&mut self, done: usize, error: &io::Error) -> WriteError {
        let mut whole = 0;
        while let Some(words) = self.pending.get(whole + 4..whole + 8).and_then(|word| word.try_into().ok()) {
            let end = whole + 8 + u32::from_le_bytes(words) as usize * 8;
            if end > done {
                break;
            }
            whole = end;
        }
        let failure = Failure {
            written: self.written,
            whole: self.written - (done - whole) as u64,
            kind: error.kind(),
            code: error.raw_os_error(),
        };
        self.failed = Some(failure);
        self.pending = Vec::new();
        failure.into()
    }
}

/// Cuts a table so that each part holds at most [`TABLE_ROWS`] entries and, unless it is a single entry,
/// [`TABLE_BYTES`] bytes.
fn cut<T>(entries: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fits = rest.iter().take(TABLE_ROWS).take_while(|entry| {
            sum += bytes(entry);
            sum <= TABLE_BYTES
        });
        let (part, left) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = left;
        (!part.is_empty()).then_some(part)
    })
}

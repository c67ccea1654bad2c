//! The trace as the recorder writes it: tables before what refers to them, and failures of the output.
//!
//! Always holds: the guest never notices that the output failed. The first failure is told once on standard error;
//! from then on events are counted only. Not here: the format (`schema`), where the output goes (`output`).

use crate::numbered::Numbered;
use crate::stacks::Stacks;
use schema::write::{Codec, EventChunk, KindBytes, TraceWriter, WriteError};
use schema::{FrameSymbols, HeapEvent, Remark, Severity};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

/// Where messages for the user go.
pub(crate) trait Say: Send {
    /// Prints one line.
    fn say(&mut self, line: &str);
}

/// Standard error, with the tool's name.
#[derive(Debug)]
pub(crate) struct StandardError;

impl Say for StandardError {
    fn say(&mut self, line: &str) {
        // Nobody could be told about a failure here.
        let _ = writeln!(std::io::stderr(), "vg-record: {line}");
    }
}

/// The trace.
pub(crate) struct Trace {
    writer: TraceWriter<Box<dyn Write + Send>>,
    /// How messages name the output.
    name: String,
    say: Box<dyn Say>,
    failed: bool,
    events: u64,
    /// Events that the output has certainly taken: all up to the last flush.
    safe: u64,
    /// Of the process that had the last event: nearly always also that of the next.
    current: Option<EventChunk>,
    /// Of the other processes.
    chunks: BTreeMap<u32, EventChunk>,
    /// Memory of a process that has ended, for the next one.
    spare: Option<EventChunk>,
    /// The stack tree.
    pub stacks: Stacks,
    strings: Numbered,
    /// What code is called, each with its id.
    places: HashMap<Vec<schema::Place>, u32>,
}

/// A place with the ids of its texts.
fn numbered(place: &crate::symbols::PlaceText, id: &mut impl FnMut(&str) -> u32) -> schema::Place {
    schema::Place {
        function: id(&place.function),
        raw_name: id(&place.raw_name),
        file: id(&place.file),
        line: place.line,
        column: place.column,
    }
}

impl Trace {
    /// A trace into `out`, which messages call `name`.
    pub(crate) fn new(out: Box<dyn Write + Send>, name: &str, codec: Codec, say: Box<dyn Say>) -> Trace {
        Trace {
            writer: TraceWriter::new(out, codec),
            name: name.to_owned(),
            say,
            failed: false,
            events: 0,
            safe: 0,
            current: None,
            chunks: BTreeMap::new(),
            spare: None,
            stacks: Stacks::default(),
            strings: Numbered::default(),
            places: HashMap::new(),
        }
    }

    /// Writes with `write`, unless the output has failed.
    pub(crate) fn put(
        &mut self,
        write: impl FnOnce(&mut TraceWriter<Box<dyn Write + Send>>) -> Result<(), WriteError>,
    ) {
        if self.failed {
            return;
        }
        if let Err(error) = write(&mut self.writer) {
            self.note(error);
        }
    }

    fn note(&mut self, error: WriteError) {
        match error {
            WriteError::Io { source, whole, .. } => {
                self.failed = true;
                let name = &self.name;
                let line = if source.kind() == std::io::ErrorKind::BrokenPipe {
                    format!(
                        "the reader of the trace has quit; the program goes on without being recorded ({name})"
                    )
                } else {
                    format!(
                        "cannot write {name} beyond {whole} bytes: {}; \
                         the program goes on, the trace ends here",
                        plain(&source)
                    )
                };
                self.say.say(&line);
            }
            other => self.say.say(&format!("a part of the trace is left out: {other}")),
        }
    }

    /// Adds an event of `process`.
    pub(crate) fn event(&mut self, process: u32, event: HeapEvent) {
        let mut event = Some(event);
        self.extend(process, |_| event.take());
    }

    /// Adds events of `process` until `next`, which may add to the stack tree, gives none.
    // With a single call of `next`, so that it is inlined in the loop.
    #[inline(always)]
    pub(crate) fn extend(&mut self, process: u32, mut next: impl FnMut(&mut Stacks) -> Option<HeapEvent>) {
        loop {
            self.choose(process);
            let chunk = self.current.get_or_insert_with(|| EventChunk::new(process));
            let before = chunk.len();
            let is_full = chunk.extend(|| next(&mut self.stacks));
            self.events += (chunk.len() - before) as u64;
            if !is_full {
                return;
            }
            self.flush_events(process);
        }
    }

    /// The chunk of `process`, if it has one, is the present one from here on.
    #[inline]
    fn choose(&mut self, process: u32) {
        if self.current.as_ref().is_none_or(|current| current.process() != process) {
            self.set_current(process);
        }
    }

    #[cold]
    fn set_current(&mut self, process: u32) {
        if let Some(other) = self.current.take() {
            self.chunks.insert(other.process(), other);
        }
        let spare = || self.spare.take().map(|chunk| chunk.for_process(process));
        self.current = self.chunks.remove(&process).or_else(spare);
    }

    /// Writes the stack tables, and then the waiting events of `process`, which are lost when the output has failed.
    pub(crate) fn flush_events(&mut self, process: u32) {
        self.flush_tables();
        let current = self.current.as_mut().filter(|current| current.process() == process);
        let Some(chunk) = current.or_else(|| self.chunks.get_mut(&process)) else { return };
        if self.failed {
            chunk.clear();
            return;
        }
        // Emptied by the writer; its memory serves the next events.
        if let Err(error) = self.writer.events(chunk) {
            self.note(error);
        }
    }

    /// Writes frames and stacks that are new since the last call.
    pub(crate) fn flush_tables(&mut self) {
        if self.failed || !self.stacks.has_new() {
            return;
        }
        let ((first_frame, frames), (first_node, nodes)) = self.stacks.take_new();
        let result = self.writer.frames(first_frame, frames);
        if let Err(error) = result.and_then(|()| self.writer.stacks(first_node, nodes)) {
            self.note(error);
        }
    }

    /// Writes everything that waits, so that a reader sees it and a killed recorder does not lose it.
    pub(crate) fn flush(&mut self) {
        let chunks = self.chunks.values().chain(&self.current);
        let waiting: Vec<u32> = chunks.filter(|chunk| !chunk.is_empty()).map(EventChunk::process).collect();
        for process in waiting {
            self.flush_events(process);
        }
        self.flush_tables();
        self.put(TraceWriter::flush);
        if !self.failed {
            self.safe = self.events;
        }
    }

    /// Forgets the memory of a process that has ended.
    pub(crate) fn process_ended(&mut self, process: u32) {
        self.flush_events(process);
        let current = self.current.take_if(|current| current.process() == process);
        self.spare = current.or_else(|| self.chunks.remove(&process)).or(self.spare.take());
    }

    /// Prints a line.
    pub(crate) fn tell(&mut self, text: &str) {
        self.say.say(text);
    }

    /// Adds a remark to the trace; warnings and errors are also printed.
    pub(crate) fn remark(&mut self, severity: Severity, code: u32, process: u32, time: u64, text: &str) {
        if severity != Severity::Note {
            self.say.say(text);
        }
        let remark = Remark { severity, code, process, time, text: text.to_owned() };
        self.put(|writer| writer.remark(&remark));
    }

    /// Prints one line for the user.
    pub(crate) fn say(&mut self, line: &str) {
        self.say.say(line);
    }

    /// Writes what frames are called; `texts` gives for each frame id its places.
    pub(crate) fn symbols(&mut self, texts: &[(u32, Vec<crate::symbols::PlaceText>)]) {
        let first = self.strings.next();
        let mut new: Vec<String> = Vec::new();
        let mut id = |text: &str| self.strings.number(text, |_| new.push(text.to_owned()));
        let symbols: Vec<FrameSymbols> = texts
            .iter()
            .map(|(frame, places)| FrameSymbols {
                frame: *frame,
                places: places.iter().map(|place| numbered(place, &mut id)).collect(),
            })
            .collect();
        self.put(|writer| {
            writer.strings(first, &new)?;
            writer.symbols(&symbols)
        });
    }

    /// Writes what code is called. Returns the id of each of the places.
    pub(crate) fn places(&mut self, texts: &[Vec<crate::symbols::PlaceText>]) -> Vec<u32> {
        let first = self.strings.next();
        let mut new: Vec<String> = Vec::new();
        let mut id = |text: &str| self.strings.number(text, |_| new.push(text.to_owned()));
        let first_id = self.places.len() as u32 + 1;
        let mut new_places: Vec<Vec<schema::Place>> = Vec::new();
        let mut ids = Vec::with_capacity(texts.len());
        for places in texts {
            let named: Vec<schema::Place> = places.iter().map(|place| numbered(place, &mut id)).collect();
            let next = self.places.len() as u32 + 1;
            ids.push(*self.places.entry(named).or_insert_with_key(|named| {
                new_places.push(named.clone());
                next
            }));
        }
        self.put(|writer| {
            writer.strings(first, &new)?;
            writer.places(first_id, &new_places)
        });
        ids
    }

    /// The id of a string.
    pub(crate) fn string(&mut self, text: &str) -> u32 {
        let mut new = false;
        let id = self.strings.number(text, |_| new = true);
        if new {
            self.put(|writer| writer.strings(id, &[text]));
        }
        id
    }

    /// Events that were handed in, and how many of them at most the failed output did not take.
    pub(crate) fn events(&self) -> (u64, u64) {
        (self.events, if self.failed { self.events - self.safe } else { 0 })
    }

    /// The output has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Bytes that the output took.
    pub(crate) fn bytes(&self) -> u64 {
        self.writer.bytes_written()
    }

    /// Messages and bytes of each kind.
    pub(crate) fn statistics(&self) -> &[KindBytes] {
        self.writer.statistics()
    }
}

/// The text of an error without "(os error 28)".
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

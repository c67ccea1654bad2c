//! From a trace to the heap events of its processes, in the order in which they happened.
//!
//! What always holds: a damaged or cut trace gives what could be read and a line that says what could not. Events of
//! processes that nobody asked for are counted and not kept: an event takes 56 bytes.
//!
//! Rules: a process that executes another program begins anew, and its last program counts; events belong to the program
//! that ran at their time. A child of fork has the heap of its parent. Not here: what follows from the events.

use report::cli::{Source, Stop};
use report::format::harmless;
use report::symbols::Symbols;
use schema::read::{Ending, TraceReader};
use schema::{HeapEvent, Message, Severity, Start};

/// A process of the recording, as one of its programs.
#[derive(Debug)]
pub struct Image {
    /// When it began, in nanoseconds of the recording.
    pub time: u64,
    /// Command line.
    pub command: Vec<String>,
    how: Start,
    /// By rising time.
    events: Vec<HeapEvent>,
}

/// A process of the recording.
#[derive(Debug)]
pub struct Process {
    /// Its number in the recording.
    pub number: u32,
    /// The kernel's id.
    pub pid: u32,
    /// Heap events that the trace has of it, kept or not.
    pub events: u64,
    parent: u32,
    /// Its programs, one after the other; never empty.
    images: Vec<Image>,
}

impl Process {
    /// Its last program.
    pub fn image(&self) -> &Image {
        // There is one from the start; an index names the last.
        &self.images[self.images.len() - 1]
    }

    /// `2 (pid 4711, ./worker)`.
    pub fn describe(&self) -> String {
        let program = self.image().command.first().map_or("?", String::as_str);
        format!("{} (pid {}, {})", self.number, self.pid, harmless(program))
    }
}

/// Which processes' events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those of the first one.
    First,
    /// All, since any may be asked for or be the parent of one that is.
    All,
}

/// What a trace holds for us.
#[derive(Debug, Default)]
pub struct Recording {
    /// Name of the trace in messages.
    pub name: String,
    /// Everything that happened is in the trace.
    pub is_complete: bool,
    /// What is missing or damaged, or what the recorder warned of, a line each.
    pub problems: Vec<String>,
    /// Tables for names.
    pub symbols: Symbols,
    /// The processes, in the order in which they began.
    pub processes: Vec<Process>,
    /// The recorder followed the heap.
    pub has_heap: bool,
}

impl Recording {
    /// The events of the last program of a process; first those of its ancestors until each forked. With them, when the
    /// first of these programs began.
    pub fn history<'r>(&'r self, process: &'r Process) -> (Vec<&'r [HeapEvent]>, u64) {
        let mut image = process.image();
        let mut number = process.parent;
        let mut pieces = vec![image.events.as_slice()];
        // A damaged trace may have processes that are their own ancestors.
        for _ in 0..self.processes.len() {
            let parent = self.processes.iter().find(|parent| parent.number == number);
            let (Start::Fork, Some(parent)) = (image.how, parent) else { break };
            let forked = image.time;
            let Some(program) = parent.images.iter().rfind(|program| program.time <= forked) else { break };
            let until = program.events.partition_point(|event| event.time <= forked);
            pieces.push(&program.events[..until]);
            (image, number) = (program, parent.parent);
        }
        pieces.reverse();
        (pieces, image.time)
    }

    fn process(&mut self, number: u32) -> &mut Process {
        let known = self.processes.iter().position(|process| process.number == number);
        let at = known.unwrap_or_else(|| {
            // Known again from its events alone when its first message is lost.
            let image = Image { time: 0, command: Vec::new(), how: Start::Root, events: Vec::new() };
            self.processes.push(Process { number, pid: 0, events: 0, parent: 0, images: vec![image] });
            self.processes.len() - 1
        });
        &mut self.processes[at]
    }

    fn begin(&mut self, start: &schema::Process) {
        let image = Image {
            time: start.time,
            command: start.argv.iter().map(ToString::to_string).collect(),
            how: start.how,
            events: Vec::new(),
        };
        let is_known = self.processes.iter().any(|process| process.number == start.number);
        let process = self.process(start.number);
        process.pid = start.pid;
        match start.how {
            Start::Exec if is_known => process.images.push(image),
            _ => {
                process.parent = start.parent;
                process.images = vec![image];
            }
        }
    }

    fn events(&mut self, batch: schema::EventBatch, keep: Keep) {
        self.has_heap = true;
        let is_first = self.processes.first().is_none_or(|first| first.number == batch.process);
        let process = self.process(batch.process);
        process.events = process.events.saturating_add(batch.events.len() as u64);
        if keep == Keep::First && !is_first {
            return;
        }
        // What happened before it executed this program may be told behind its beginning.
        for event in batch.events {
            let at = process.images.iter().rposition(|image| image.time <= event.time).unwrap_or(0);
            process.images[at].events.push(event);
        }
    }

    fn take(&mut self, message: Message, keep: Keep) {
        let Some(message) = self.symbols.take(message) else { return };
        match message {
            Message::Process(start) => self.begin(&start),
            Message::Events(batch) => self.events(batch, keep),
            Message::SnapshotBegin(_) => self.has_heap = true,
            Message::Remark(remark) if remark.severity != Severity::Note => {
                self.problems.push(harmless(&remark.text).into_owned());
            }
            Message::NotFollowed(child) => self.problems.push(format!(
                "process {} (child of process {}) was not recorded: {}",
                child.pid,
                child.process,
                harmless(&child.reason)
            )),
            Message::Trailer(trailer) => {
                self.is_complete = trailer.complete;
                let lost = trailer.lost.iter();
                self.problems
                    .extend(lost.map(|lost| format!("process {}: {}", lost.process, harmless(&lost.reason))));
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        for image in self.processes.iter_mut().flat_map(|process| &mut process.images) {
            // Events of one thread are in order; with one thread there is nothing to sort.
            if !image.events.is_sorted_by_key(|event| event.time) {
                image.events.sort_by_key(|event| event.time);
            }
        }
    }
}

/// Reads a trace.
///
/// # Errors
/// When it cannot be opened or read, or is no trace.
pub fn read(source: &Source, keep: Keep) -> Result<Recording, Stop> {
    let name = source.name();
    let mut reader = TraceReader::new(source.open()?);
    let mut recording = Recording { name: name.clone(), ..Recording::default() };
    for message in reader.by_ref() {
        recording.take(message, keep);
    }
    recording.finish();
    match reader.ending() {
        None | Some(Ending::Complete) => {}
        Some(Ending::Truncated { bytes: 0, .. }) => {
            return Err(Stop::trouble(format_args!(
                "{name}: empty; did vg-record say why it wrote nothing?"
            )));
        }
        Some(ending @ (Ending::NotATrace(_) | Ending::Failed { .. })) => {
            return Err(Stop::trouble(format_args!("{name}: {ending}")));
        }
        Some(ending) => {
            recording.is_complete = false;
            recording.problems.insert(0, ending.to_string());
        }
    }
    Ok(recording)
}

#[cfg(test)]
mod tests;

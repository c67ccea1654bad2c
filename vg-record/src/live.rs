//! `--live`: errors on standard error while the program runs.
//!
//! A thread of its own looks up names and prints, so that draining goes on meanwhile. Always holds: what it is told of an
//! error comes behind all that the error refers to; a failure to print changes nothing. Not here: which errors are
//! alike, and their words (`vg_errors::live`).

use crate::modules::Binary;
use crate::numbered::Numbered;
use crate::stacks::Stacks;
use crate::symbols::{self, PlaceText, Wanted};
use crate::trace::{Say as _, StandardError};
use crate::variables::{self, Wish};
use schema::{AddressInfo, Error, FrameSymbols, Frames, Message, Place, Strings};
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What the thread is told.
enum Note {
    /// A process, a thread, a part of the tables.
    Message(Box<Message>),
    /// A file that frames name by this module.
    Binary(u32, Arc<Binary>),
    /// A line for the user, which comes behind the errors before it.
    Line(String),
    /// An error that is new in the trace, and what is to be looked up for its address.
    Error(Box<(Error, Option<Wish>)>),
}

/// The recorder's end.
#[derive(Debug)]
pub(crate) struct Live {
    sender: Sender<Note>,
    thread: JoinHandle<u64>,
    /// Frames and nodes that were told.
    frames: usize,
    nodes: usize,
}

impl Live {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start() -> std::io::Result<Live> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name("live".into()).spawn(|| print(receiver))?;
        Ok(Live { sender, thread, frames: 0, nodes: 0 })
    }

    fn tell(&self, note: Note) {
        // The thread is there as long as this is, unless it panicked, which was printed.
        let _ = self.sender.send(note);
    }

    /// A process, a thread, its name, or a module.
    pub(crate) fn message(&self, message: Message) {
        self.tell(Note::Message(Box::new(message)));
    }

    /// A line for the user, in its place between the errors.
    pub(crate) fn line(&self, text: &str) {
        self.tell(Note::Line(text.to_owned()));
    }

    /// The file behind the module that frames name.
    pub(crate) fn binary(&self, module: u32, binary: Arc<Binary>) {
        self.tell(Note::Binary(module, binary));
    }

    /// An error, whose stacks are in the tables.
    pub(crate) fn error(&mut self, error: &Error, wish: Option<Wish>, stacks: &Stacks) {
        let frames = stacks.frames().get(self.frames..).unwrap_or_default();
        if !frames.is_empty() {
            let frames = Frames { first_id: self.frames as u32 + 1, frames: frames.to_vec() };
            self.message(Message::Frames(frames));
            self.frames = stacks.frames().len();
        }
        let nodes = stacks.nodes().get(self.nodes..).unwrap_or_default();
        if !nodes.is_empty() {
            let nodes = schema::Stacks { first_id: self.nodes as u32 + 1, nodes: nodes.to_vec() };
            self.message(Message::Stacks(nodes));
            self.nodes = stacks.nodes().len();
        }
        self.tell(Note::Error(Box::new((error.clone(), wish))));
    }

    /// Waits until all is printed. The number of findings.
    pub(crate) fn finish(self) -> u64 {
        drop(self.sender);
        self.thread.join().unwrap_or(0)
    }
}

/// The thread: prints until the recorder's end is gone.
fn print(receiver: Receiver<Note>) -> u64 {
    let mut printer = Printer::default();
    while let Ok(first) = receiver.recv() {
        // What has come meanwhile is looked up in one go.
        let mut errors = Vec::new();
        let mut wishes = Vec::new();
        let mut lines = Vec::new();
        for note in std::iter::once(first).chain(receiver.try_iter()) {
            match note {
                Note::Message(message) => printer.message(*message),
                Note::Binary(module, binary) => {
                    printer.binaries.insert(module, binary);
                }
                Note::Line(line) => lines.push((errors.len(), line)),
                Note::Error(told) => {
                    let (error, wish) = *told;
                    if printer.words.is_new(&error) {
                        errors.push(error);
                        wishes.extend(wish);
                    }
                }
            }
        }
        printer.name(&errors);
        printer.name_variables(&mut errors, &wishes);
        let mut lines = lines.into_iter().peekable();
        for (at, error) in errors.into_iter().map(Some).chain([None]).enumerate() {
            while let Some((_, line)) = lines.next_if(|(before, _)| *before <= at) {
                StandardError.say(&line);
            }
            error.into_iter().for_each(|error| printer.print(error));
        }
    }
    printer.words.contexts()
}

#[derive(Default)]
struct Printer {
    words: vg_errors::live::Live,
    binaries: BTreeMap<u32, Arc<Binary>>,
    frames: Vec<schema::Frame>,
    nodes: Vec<schema::StackNode>,
    /// Frames that were looked up.
    named: HashSet<u32>,
    strings: Numbered,
}

impl Printer {
    fn message(&mut self, message: Message) {
        match &message {
            Message::Frames(frames) => self.frames.extend_from_slice(&frames.frames),
            Message::Stacks(stacks) => self.nodes.extend_from_slice(&stacks.nodes),
            _ => {}
        }
        self.words.take(message);
    }

    /// Looks up the names of all frames on the stacks of errors.
    fn name(&mut self, errors: &[Error]) {
        let mut wanted: BTreeMap<u32, Vec<Wanted>> = BTreeMap::new();
        for stack in errors.iter().flat_map(stacks) {
            let mut node = stack;
            while let Some(known) = (node as usize).checked_sub(1).and_then(|at| self.nodes.get(at)) {
                let frame = (known.frame as usize).checked_sub(1).and_then(|at| self.frames.get(at));
                if let Some(frame) = frame.filter(|_| self.named.insert(known.frame)) {
                    let one = Wanted { frame: known.frame, rva: frame.rva, exact: frame.exact };
                    wanted.entry(frame.module).or_default().push(one);
                }
                node = known.parent;
            }
        }
        let work: Vec<(&Binary, Vec<Wanted>)> = wanted
            .into_iter()
            .filter_map(|(module, wanted)| Some((self.binaries.get(&module)?.as_ref(), wanted)))
            .collect();
        let answers = symbols::resolve(&work);
        let names = answers.into_iter().flat_map(|answer| answer.frames);
        let names: Vec<FrameSymbols> = names.map(|(frame, places)| self.symbols(frame, &places)).collect();
        self.words.take(Message::Symbols(names));
    }

    /// Looks up variables, and says in the errors what is found.
    fn name_variables(&mut self, errors: &mut [Error], wishes: &[Wish]) {
        let found = variables::look_up(wishes, |module| self.binaries.get(&module).map(AsRef::as_ref));
        for (wish, found) in wishes.iter().zip(found) {
            let error = errors.iter_mut().find(|error| wish.is_of(error));
            if let (Some(error), Some((about, file))) = (error, found) {
                error.about = Some(AddressInfo { file: self.string(&file), ..about });
            }
        }
    }

    fn symbols(&mut self, frame: u32, places: &[PlaceText]) -> FrameSymbols {
        let mut place = |place: &PlaceText| Place {
            function: self.string(&place.function),
            raw_name: self.string(&place.raw_name),
            file: self.string(&place.file),
            line: place.line,
            column: place.column,
        };
        FrameSymbols { frame, places: places.iter().map(&mut place).collect() }
    }

    fn string(&mut self, text: &str) -> u32 {
        let words = &mut self.words;
        self.strings.number(text, |id| {
            words.take(Message::Strings(Strings { first_id: id, strings: vec![text.to_owned()] }));
        })
    }

    /// Prints an error in one piece, marked as Valgrind marks its lines.
    fn print(&mut self, error: Error) {
        let pid = self.words.pid(error.process);
        let mut block = String::new();
        for line in self.words.report(error).lines() {
            block += &format!("=={pid}== {line}\n");
        }
        block += &format!("=={pid}== \n");
        // Nobody could be told about a failure here.
        let _ = std::io::stderr().write_all(block.as_bytes());
    }
}

/// The stacks that an error names.
fn stacks(error: &Error) -> impl Iterator<Item = u32> {
    let about = error.about.as_ref().map_or([0; 2], |about| [about.allocated, about.freed]);
    let descriptor = error.descriptor.as_ref().map_or([0; 2], |known| [known.opened, known.closed]);
    let origin = error.origin.map_or(0, |origin| origin.stack);
    [error.stack, origin].into_iter().chain(about).chain(descriptor)
}

//! From a trace to its errors: one pass over the messages, each error with its last count.
//!
//! What always holds: a damaged or cut trace gives what could be read and a line that says what could not; what was read
//! is never taken for all there was. Not here: decoding messages (crate `schema`), what is reported (`findings`).

use report::cli::{Source, Stop};
use report::format::{counted, harmless, signal_name};
use report::symbols::Symbols;
use schema::read::{Ending, TraceReader};
use schema::{End, Error, Message, Severity, Start};
use std::collections::HashMap;

/// A process of the recording, as its last program.
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// Its number in the recording.
    pub number: u32,
    /// The kernel's id.
    pub pid: u32,
    /// The kernel's id of its parent.
    pub ppid: u32,
    /// Number of the process that started it; 0 for the root.
    pub parent: u32,
    /// Command line.
    pub command: Vec<String>,
    /// Path of the executable.
    pub executable: String,
    /// Its first thread; 0 when not known.
    pub main_thread: u32,
    /// It began by this recording, and not by a fork in it.
    pub root: bool,
    /// When it began, and when it ended: nanoseconds since the recording began.
    pub times: (u64, u64),
}

impl Process {
    /// Whether `--process=N` means it.
    pub fn is(&self, wanted: u32) -> bool {
        self.number == wanted || self.pid == wanted
    }
}

/// What a trace holds for us.
#[derive(Debug, Default)]
pub struct Recording {
    /// Name of the trace in messages.
    pub name: String,
    /// Name and version of what wrote it.
    pub tool: String,
    /// Command line of the root process.
    pub command: Vec<String>,
    /// Working directory of the root process.
    pub directory: String,
    /// What the recording looked for: bits of `schema::check`.
    pub checks: u32,
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
    /// The errors, in the order in which the trace tells them.
    pub errors: Vec<Error>,
    threads: HashMap<u32, String>,
}

impl Recording {
    /// Name of a thread; empty when it has none.
    pub fn thread_name(&self, thread: u32) -> &str {
        self.threads.get(&thread).map_or("", String::as_str)
    }
}

/// Reads a trace.
///
/// # Errors
/// When it cannot be opened or read, or is no trace.
pub fn read(source: &Source) -> Result<Recording, Stop> {
    let name = source.name();
    let mut reader = TraceReader::new(source.open()?).skip_events();
    let mut loader =
        Loader { recording: Recording { name: name.clone(), ..Recording::default() }, ..Loader::default() };
    for message in reader.by_ref() {
        loader.take(message);
    }
    match reader.ending() {
        None | Some(Ending::Complete) => Ok(loader.finish(None)),
        Some(Ending::Truncated { bytes: 0, .. }) => {
            Err(Stop::trouble(format_args!("{name}: empty; did vg-record say why it wrote nothing?")))
        }
        Some(ending @ (Ending::NotATrace(_) | Ending::Failed { .. })) => {
            Err(Stop::trouble(format_args!("{name}: {ending}")))
        }
        Some(ending) => Ok(loader.finish(Some(ending.to_string()))),
    }
}

/// Takes the messages of one trace.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    /// What has come so far.
    pub(crate) recording: Recording,
    processes: HashMap<u32, usize>,
    errors: HashMap<(u32, u32), usize>,
}

impl Loader {
    /// Takes the next message.
    pub(crate) fn take(&mut self, message: Message) {
        let Some(message) = self.recording.symbols.take(message) else { return };
        match message {
            Message::Header(header) => {
                self.recording.tool = header.tool;
                self.recording.command = header.argv.iter().map(ToString::to_string).collect();
                self.recording.directory = header.cwd.to_string();
                self.recording.checks = header.checks;
            }
            Message::Process(start) => {
                let process = self.process(start.number);
                process.pid = start.pid;
                process.command = start.argv.iter().map(ToString::to_string).collect();
                process.executable = start.exe.to_string();
                if start.how != Start::Exec {
                    process.ppid = start.ppid;
                    process.parent = start.parent;
                    process.root = start.how == Start::Root;
                    process.times = (start.time, start.time);
                }
            }
            Message::ProcessEnd(end) => {
                let process = self.process(end.process);
                process.times.1 = end.time;
                let failed = match end.how {
                    End::EngineError => Some("recording it failed".to_owned()),
                    End::Lost if end.value != 0 => {
                        Some(format!("it was killed by {}", signal_name(end.value)))
                    }
                    End::Lost => Some("it was lost".to_owned()),
                    _ => None,
                };
                if let Some(why) = failed {
                    let (number, pid) = (process.number, process.pid);
                    self.recording.problems.push(format!(
                        "process {number} (pid {pid}): the recording ended before the process did: {why}"
                    ));
                }
            }
            Message::ThreadStart(start) => {
                let process = self.process(start.process);
                if process.main_thread == 0 {
                    process.main_thread = start.number;
                }
            }
            Message::ThreadName(name) => {
                self.recording.threads.insert(name.thread, name.name.to_string());
            }
            Message::Errors(errors) => errors.into_iter().for_each(|error| self.error(error)),
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
                self.recording.problems.extend(trailer.lost.iter().map(lost_line));
            }
            _ => {}
        }
    }

    /// The process with this number, which is known from what it did alone when its first message is lost.
    fn process(&mut self, number: u32) -> &mut Process {
        let processes = &mut self.recording.processes;
        let index = *self.processes.entry(number).or_insert_with(|| {
            processes.push(Process { number, ..Process::default() });
            processes.len() - 1
        });
        &mut processes[index]
    }

    fn error(&mut self, error: Error) {
        self.process(error.process);
        let errors = &mut self.recording.errors;
        let index = *self.errors.entry((error.process, error.number)).or_insert(errors.len());
        match errors.get_mut(index) {
            Some(known) => {
                known.count = error.count;
                known.about = error.about.or(known.about.take());
            }
            None => errors.push(error),
        }
    }

    /// The recording, after the last message. `cut` says where and why the trace stopped when that was not its end.
    fn finish(mut self, cut: Option<String>) -> Recording {
        if let Some(cut) = cut {
            self.recording.complete = false;
            self.recording.problems.insert(0, cut);
        }
        self.recording.processes.sort_by_key(|process| process.number);
        self.recording
    }
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

//! Errors as they happen, for a recorder that prints them while the program runs: each in the words of the report, once
//! for all that are alike there.
//!
//! What always holds: what is printed is what a report of the trace would say first. From the hundredth finding on, fewer
//! frames are compared, and after the thousandth nothing more is printed, as in Valgrind. Not here: where tables and errors
//! come from, and where the text goes (`vg-record`).

use crate::excerpt::Sources;
use crate::findings::{self, Key};
use crate::load::Loader;
use crate::options::Options;
use crate::{kinds, text};
use clap::Parser;
use report::style::Style;
use schema::{Error, ErrorKind, Message};
use std::collections::HashSet;

/// Findings after which two frames decide whether errors are alike (Valgrind: 100).
const CAREFUL: usize = 100;
/// Findings after which no more are printed (Valgrind: 1000).
const MOST: usize = 1000;

/// Prints errors while their program runs.
#[derive(Debug)]
pub struct Live {
    loader: Loader,
    options: Options,
    known: HashSet<Key>,
    /// Findings that count as errors: all but fatal signals.
    contexts: u64,
    /// There were too many, and the user knows.
    full: bool,
}

impl Default for Live {
    fn default() -> Self {
        // All that the recording looks for was asked for.
        let options = Options::parse_from(["vg-errors", "--kinds=all"]);
        Self { loader: Loader::default(), options, known: HashSet::new(), contexts: 0, full: false }
    }
}

impl Live {
    /// Takes a message of the trace: a process, a thread, or a part of the tables that an error refers to.
    pub fn take(&mut self, message: Message) {
        self.loader.take(message);
    }

    /// Whether an error is unlike all before, so that [`report`](Self::report) is to print it. The tables for its stack
    /// must be known, its names need not.
    pub fn is_new(&mut self, error: &Error) -> bool {
        if self.full {
            return false;
        }
        let most = self.options.compared_frames();
        let frames = if self.known.len() < CAREFUL { most } else { 2 };
        if !self.known.insert(Key::of(0, &self.loader.recording, error, frames)) {
            return false;
        }
        self.contexts += u64::from(error.kind != ErrorKind::FatalSignal);
        true
    }

    /// The lines about an error, without a blank one behind them.
    pub fn report(&mut self, error: Error) -> String {
        if self.known.len() > MOST {
            self.full = true;
            return format!(
                "More than {MOST} different errors: no more are printed. The trace has them all; vg-errors reads it.\n"
            );
        }
        let mut out = Vec::new();
        self.loader.recording.errors = vec![error];
        let recordings = std::slice::from_ref(&self.loader.recording);
        for finding in &findings::analyse(recordings, &self.options).listed {
            // Nothing fails in memory.
            let _ =
                text::write_finding(&mut out, finding, &self.options, Style::PLAIN, &mut Sources::default());
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Kernel's number of a process; 0 when it is not known.
    pub fn pid(&self, process: u32) -> u32 {
        let mut processes = self.loader.recording.processes.iter();
        processes.find(|known| known.number == process).map_or(0, |process| process.pid)
    }

    /// Findings so far, without fatal signals.
    pub fn contexts(&self) -> u64 {
        self.contexts
    }
}

/// Whether an error counts as one: a fatal signal does not, as in Valgrind.
pub fn counts(kind: ErrorKind) -> bool {
    kinds::index(kind) != kinds::FATAL_SIGNAL
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::{Bytes, Frame, Frames, Process, StackNode, Stacks, Start};

    fn live() -> Live {
        let mut live = Live::default();
        let process = Process {
            number: 1,
            parent: 0,
            pid: 77,
            ppid: 1,
            how: Start::Root,
            time: 0,
            exe: Bytes::default(),
            argv: Vec::new(),
            cwd: Bytes::default(),
            environment: Vec::new(),
        };
        live.take(Message::Process(process));
        let frame = |rva| Frame { rva, ..Frame::default() };
        live.take(Message::Frames(Frames { first_id: 1, frames: (1..=4000).map(frame).collect() }));
        // Stack n: code address n, called by address 1.
        let node = |frame| StackNode { parent: u32::from(frame > 1), frame };
        live.take(Message::Stacks(Stacks { first_id: 1, nodes: (1..=4000).map(node).collect() }));
        live
    }

    fn error(stack: u32, size: u64) -> Error {
        Error {
            number: stack,
            process: 1,
            kind: ErrorKind::InvalidRead,
            count: 1,
            size,
            stack,
            ..Error::default()
        }
    }

    #[test]
    fn each_is_printed_once() {
        let mut live = live();
        assert_eq!(live.pid(1), 77);
        assert!(live.is_new(&error(2, 4)));
        assert!(live.report(error(2, 4)).contains("\nInvalid read of size 4\n   at 0x2: ???"));
        assert!(!live.is_new(&error(2, 4)));
        assert!(live.is_new(&error(2, 8)) && live.is_new(&error(3, 4)));
        let signal = Error { kind: ErrorKind::FatalSignal, value: 11, ..error(2, 0) };
        assert!(live.is_new(&signal));
        assert!(
            live.report(signal).contains("Process terminating with default action of signal 11 (SIGSEGV)")
        );
        assert_eq!(live.contexts(), 3);
    }

    #[test]
    fn after_a_thousand_is_silence() {
        let mut live = live();
        for stack in 1..=MOST as u32 {
            assert!(live.is_new(&error(stack, 4)));
            assert!(live.report(error(stack, 4)).contains("Invalid read"));
        }
        assert!(live.is_new(&error(2000, 4)));
        assert!(live.report(error(2000, 4)).starts_with("More than 1000 different errors"));
        assert!(!live.is_new(&error(2001, 4)));
    }
}

//! The whole stream of data accesses, told to the recorder as the models see it (vg-record --accesses=full).
//!
//! What always holds: each record has the next number of the process, and is given that and pushed while the models' lock is held. So
//! whoever sees one has all earlier ones in the rings, and the order is that in which the models saw everything. Not here: working
//! through logs (`super`), calls, which are left out.

use crate::state::Engine;
use crate::trace::Writer;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ring::record::{AccessMark, Kind, MAX_RECORD_WORDS, access_log, header, pair};
use ring::shared::FLAG_ALL_ACCESSES;
use translate::accesses::{Bases, Form};

/// Words of a record of the log in front of those of the log.
const HEAD: usize = 5;

/// Whether the stream is told.
pub(super) fn is_told(engine: &Engine) -> bool {
    engine.options.flags & FLAG_ALL_ACCESSES != 0
}

/// Pushes a record, whose kind and number are set. Without a ring it is lost, which its missing number tells.
fn push(engine: &Engine, writer: &mut Option<Writer>, kind: Kind, words: &mut [u64]) {
    words[0] = header(kind, words.len());
    words[1] = engine.access_records.fetch_add(1, Ordering::Relaxed);
    if let Some(writer) = writer {
        writer.push(words);
    }
}

/// What a thread sends in its turn.
#[derive(Default)]
pub(super) struct Turn {
    /// A record.
    words: Vec<u64>,
}

impl Turn {
    /// Begins a turn: with runs that are new, whose code is this.
    pub(super) fn begin(
        &mut self,
        engine: &Engine,
        writer: &mut Option<Writer>,
        (forms, mut code): (&[Form], &[u8]),
        (counts, bases): (bool, Bases),
    ) {
        self.words.clear();
        self.words.extend([0, 0]);
        for form in forms {
            let of;
            let bytes = (form.end.wrapping_sub(form.start) as usize).min(code.len());
            (of, code) = code.split_at(bytes);
            if self.words.len() + 2 + bytes.div_ceil(8) > MAX_RECORD_WORDS {
                push(engine, writer, Kind::AccessRuns, &mut self.words);
                self.words.truncate(2);
            }
            self.words.extend([form.start, pair(form.words.into(), bytes as u32)]);
            self.words.extend(of.chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            }));
        }
        if self.words.len() > 2 {
            push(engine, writer, Kind::AccessRuns, &mut self.words);
        }
        self.words.clear();
        let flags = if counts { access_log::COUNTS } else { 0 };
        self.words.extend([0, 0, flags, bases.fs, bases.gs]);
    }

    /// These words of the log have been simulated.
    pub(super) fn add(&mut self, engine: &Engine, writer: &mut Option<Writer>, mut log: &[u64]) {
        while !log.is_empty() {
            let room = MAX_RECORD_WORDS - self.words.len();
            let (some, rest) = log.split_at(room.min(log.len()));
            self.words.extend_from_slice(some);
            log = rest;
            if self.words.len() == MAX_RECORD_WORDS {
                push(engine, writer, Kind::AccessLog, &mut self.words);
                self.words.truncate(HEAD);
            }
        }
    }

    /// The turn ends.
    pub(super) fn end(&mut self, engine: &Engine, writer: &mut Option<Writer>) {
        self.words[2] |= access_log::ENDS;
        push(engine, writer, Kind::AccessLog, &mut self.words);
    }
}

/// Tells something between turns. The lock of the models is held.
pub(super) fn mark(engine: &Engine, writer: &mut Option<Writer>, what: AccessMark, number: u32) {
    if is_told(engine) {
        push(engine, writer, Kind::AccessMark, &mut [0, 0, what as u64, number.into()]);
    }
}

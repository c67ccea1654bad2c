//! What addresses are called: functions, files, lines and inlined functions of code, and variables.
//!
//! Works after the guest has ended, or for `--live` meanwhile, on the frames that occur, several files at a time. Always holds: whatever a file
//! contains, the worst outcome is a frame without a name. Not here: files and their identity (`modules`), writing
//! the names into the trace (`trace`).

mod debug_file;
mod demangle;
mod elf;
mod labels;
mod names;
mod path;
mod plt;
mod sections;
mod table;
mod types;
mod variables;

pub(crate) use names::Named;
pub(crate) use variables::{Registers, Sought, VariableText};

use crate::modules::Binary;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A function and a line in it. Empty texts and zeros: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PlaceText {
    /// Demangled name.
    pub function: String,
    /// Name in the symbol table.
    pub raw_name: String,
    /// Path of the source file, in one spelling (`path`).
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// A frame to look up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its id in the trace.
    pub frame: u32,
    /// Address in the file.
    pub rva: u64,
    /// The address itself is meant; otherwise it is a return address and the call lies before it.
    pub exact: bool,
}

impl Wanted {
    /// The address that belongs to the instruction.
    pub(crate) fn probe(&self) -> u64 {
        if self.exact { self.rva } else { self.rva.wrapping_sub(1) }
    }
}

/// What a file could tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    /// It has line numbers, in itself or in a separate file.
    Lines,
    /// It has function names at most.
    NoLines {
        /// Compiled by rustc.
        rust: bool,
    },
    /// It is gone, was changed since it was mapped, or is no ELF file.
    Unreadable,
    /// It is no file: the vdso and the like.
    NoFile,
}

/// The answer for one file.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Frames that have a name, each with its places, innermost first.
    pub frames: Vec<(u32, Vec<PlaceText>)>,
    /// What the file could tell.
    pub quality: Quality,
}

/// Frames that one thread looks up in one go: a file with more is cut, since most of the time goes into its units.
const PIECE: usize = 2000;

/// Looks up frames of several files in parallel. The answers are in the order of the work.
pub(crate) fn resolve(work: &[(&Binary, Vec<Wanted>)]) -> Vec<Answer> {
    let mut pieces = Vec::new();
    for (at, (binary, wanted)) in work.iter().enumerate() {
        // Neighbouring addresses share units, which are parsed once for each piece.
        let mut sorted = wanted.clone();
        sorted.sort_by_key(|wanted| (wanted.rva, wanted.exact, wanted.frame));
        pieces.extend(sorted.chunks(PIECE).map(|piece| (at, *binary, piece.to_vec())));
    }
    // The largest first, so that no thread begins it last.
    pieces.sort_by_key(|(at, _, wanted)| (std::cmp::Reverse(wanted.len()), *at));
    let answers = in_parallel(&pieces, |(at, binary, wanted)| (*at, elf::look_up(binary, wanted)));
    let mut merged: Vec<Answer> =
        work.iter().map(|_| Answer { frames: Vec::new(), quality: Quality::Unreadable }).collect();
    for (at, answer) in answers {
        merged[at].frames.extend(answer.frames);
        merged[at].quality = answer.quality;
    }
    for answer in &mut merged {
        answer.frames.sort_by_key(|(frame, _)| *frame);
    }
    merged
}

/// Looks up executed code of several files in parallel, whose addresses are sorted. The answers are in the order of the
/// work.
pub(crate) fn code(work: &[(&Binary, &[u64])]) -> Vec<Named> {
    let mut order: Vec<usize> = (0..work.len()).collect();
    // The largest first, so that no thread begins it last.
    order.sort_by_key(|&at| (std::cmp::Reverse(work[at].1.len()), at));
    let look_up = |&at: &usize| {
        let (binary, addresses) = work[at];
        (at, elf::look_up_code(binary, addresses))
    };
    let mut answers = in_parallel(&order, look_up);
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, named)| named).collect()
}

/// Looks up variables of several files in parallel. The answers are in the order of the work.
pub(crate) fn variables(work: &[(&Binary, Vec<Sought>)]) -> Vec<Vec<Option<VariableText>>> {
    let numbered: Vec<_> = work.iter().enumerate().collect();
    let mut answers =
        in_parallel(&numbered, |(at, (binary, sought))| (*at, elf::look_up_variables(binary, sought)));
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, found)| found).collect()
}

/// Does work with as many threads as there are processors. The results are in no order.
fn in_parallel<T: Sync, R: Send>(pieces: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len());
    std::thread::scope(|scope| {
        let worker = || {
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = work(piece);
                if let Ok(mut results) = results.lock() {
                    results.push(result);
                }
            }
        };
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    results.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests;

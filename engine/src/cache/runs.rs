//! The runs of the fragments, whose accesses are told of in the threads' logs (`translate::accesses`).
//!
//! A run keeps its number for the life of the process, also when its code is gone: logs may still name it.

use super::{Cache, FragmentId};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use translate::accesses::{Form, Logged};

/// Where a run is.
#[derive(Debug, Clone, Copy)]
struct Place {
    fragment: FragmentId,
    logged: Logged,
    /// Guest pc of its first instruction, and how many bytes it has.
    start: u64,
    bytes: u16,
    /// Offset of its last instruction.
    last: u16,
    /// Something is put down behind that.
    ends_behind: bool,
    /// Of a record.
    words: u16,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Number of the first one in the list.
    first: u32,
    /// In the order of their fragments.
    list: Vec<Place>,
    /// Those that nobody has taken yet, and their code, one behind the other.
    fresh: Vec<Form>,
    fresh_code: Vec<u8>,
    /// Those of instructions that were translated for a single use, by pc and bytes: such code comes again and again.
    once: BTreeMap<(u64, Vec<u8>), u32>,
}

impl Runs {
    /// The number of the next fragment's first one. `once`: pc and bytes of an instruction for a single use.
    pub(super) fn next(&self, once: Option<&(u64, Vec<u8>)>) -> u32 {
        let known = once.and_then(|key| self.once.get(key));
        known.copied().unwrap_or(self.first + self.list.len() as u32)
    }

    /// Whether there are numbers for those of another fragment.
    pub(super) fn has_room(&self) -> bool {
        self.next(None) < translate::accesses::MOST_RUNS - 256
    }

    /// Adds those of a fragment, which was translated from these bytes at `pc`.
    pub(super) fn add(
        &mut self,
        fragment: FragmentId,
        runs: Vec<(Form, Logged)>,
        once: Option<(u64, Vec<u8>)>,
        (pc, bytes): (u64, &[u8]),
    ) {
        let number = self.next(None);
        if let Some(key) = once.filter(|_| !runs.is_empty())
            && *self.once.entry(key).or_insert(number) != number
        {
            return;
        }
        for (form, logged) in runs {
            self.list.push(Place {
                fragment,
                logged,
                start: form.start,
                bytes: form.end.wrapping_sub(form.start) as u16,
                last: form.pieces.last().map_or(0, |piece| piece.offset),
                ends_behind: form.ends_behind(),
                words: form.words,
            });
            let code = |address: u64| (address.wrapping_sub(pc) as usize).min(bytes.len());
            self.fresh_code.extend_from_slice(&bytes[code(form.start)..code(form.end)]);
            self.fresh.push(form);
        }
    }

    /// The code of all of them is gone.
    pub(super) fn clear(&mut self) {
        self.first = self.next(None);
        self.list.clear();
    }
}

/// A run that a thread was interrupted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The run.
    pub number: u32,
    /// Bytes of it that have been executed; none: all.
    pub bytes: Option<u16>,
    /// Of a record.
    pub words: u16,
    /// Its record is there, as if all had been executed.
    pub is_told: bool,
}

impl Cache {
    /// The runs that are new since this was asked last, from the next number on, and their code, one behind the other.
    pub fn take_fresh_runs(&mut self) -> (Vec<Form>, Vec<u8>) {
        (core::mem::take(&mut self.runs.fresh), core::mem::take(&mut self.runs.fresh_code))
    }

    /// The run that was being executed at cache address `code`, in front of the guest's instruction at `pc`.
    pub fn cut_run(&self, code: u64, pc: u64) -> Option<Cut> {
        let fragment = self.fragment_id_at(code)?;
        let offset = u16::try_from(code - self.fragments[fragment as usize].start).ok()?;
        let list = &self.runs.list;
        let first = list.partition_point(|place| place.fragment < fragment);
        let of_fragment = list[first..].iter().take_while(|place| place.fragment == fragment);
        let (at, place) = of_fragment.enumerate().filter(|(_, place)| place.logged.begun <= offset).last()?;
        let bytes = u16::try_from(pc.wrapping_sub(place.start)).ok()?;
        let number = self.runs.first + (first + at) as u32;
        let cut = |bytes, is_told| Some(Cut { number, bytes, words: place.words, is_told });
        if place.logged.done <= offset {
            // Then the last instruction alone is left, if it is: somewhere else is where it has led.
            return if bytes == place.last { cut(Some(bytes), true) } else { None };
        }
        match bytes {
            _ if bytes < place.bytes => cut(Some(bytes), false),
            _ if bytes == place.bytes && !place.ends_behind => cut(None, false),
            _ => None,
        }
    }
}

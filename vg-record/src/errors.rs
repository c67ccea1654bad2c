//! Errors of the guest on their way into the trace: one entry for each kind, place and block, then only its count.
//!
//! Always holds: an entry is written before its count is raised, and every count has been written when the recording
//! ends. Not here: the record's words (`ring`), which entries are alike for a reader (`vg-errors`).

use crate::decode::{Recording, Stream, strings};
use crate::trace::Trace;
use crate::variables::Wish;
use ring::record::{FRAME_WORDS, Record, halves};
use schema::{
    AddressInfo, AddressKind, Bytes, Descriptor, DescriptorKind, Error, ErrorKind, Family, Origin,
    OriginKind, Severity,
};
use std::collections::HashMap;

/// Entries of one process; further ones are lost, and the trace says so.
const LIMIT: u32 = 100_000;

/// What the trace says of an address that lies in the pages below a stack which nobody may touch.
const GUARD_PAGE: &str = "guard page";

/// What makes two errors one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    process: u32,
    kind: u16,
    flags: u32,
    stack: u32,
    size: u64,
    /// What was given, or the descriptor.
    given: u64,
    /// Kind of address.
    about: u16,
    /// Stack of the block's allocation.
    allocated: u32,
    text: Vec<u8>,
}

/// The errors met so far.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    entries: HashMap<Key, Entry>,
    /// By process: entries made, and whether the user knows that there were too many.
    processes: HashMap<u32, (u32, bool)>,
    /// Entries whose count has changed since it was written.
    changed: Vec<Key>,
    /// Those whose address may be a variable's.
    wishes: Vec<Wish>,
}

#[derive(Debug)]
struct Entry {
    number: u32,
    count: u64,
    /// The trace has this count.
    written: bool,
}

impl Errors {
    /// Writes the counts that have changed.
    pub(crate) fn flush(&mut self, trace: &mut Trace) {
        let entry = |(key, entry): (&Key, &mut Entry)| {
            entry.written = true;
            Error { number: entry.number, process: key.process, count: entry.count, ..Error::default() }
        };
        let changed = std::mem::take(&mut self.changed);
        let list: Vec<Error> =
            changed.iter().filter_map(|key| Some(entry((key, self.entries.get_mut(key)?)))).collect();
        if !list.is_empty() {
            trace.put(|writer| writer.errors(&list));
        }
    }

    /// Errors so far, each time that they happened; fatal signals are none.
    pub(crate) fn total(&self) -> u64 {
        let counts = |key: &Key| vg_errors::live::counts(ErrorKind::from_number(key.kind));
        self.entries.iter().filter(|(key, _)| counts(key)).map(|(_, entry)| entry.count).sum()
    }

    /// The wishes for variables so far, which are then nobody's.
    pub(crate) fn take_wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// How often each happened, by process and number.
    pub(crate) fn counts(&self) -> HashMap<(u32, u32), u64> {
        self.entries.iter().map(|(key, entry)| ((key.process, entry.number), entry.count)).collect()
    }

    /// Counts an error; the number of its entry when that is new.
    fn meet(&mut self, key: Key) -> Met {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.count += 1;
            if std::mem::replace(&mut entry.written, false) {
                self.changed.push(key);
            }
            return Met::Known;
        }
        let process = self.processes.entry(key.process).or_default();
        if process.0 == LIMIT {
            return if std::mem::replace(&mut process.1, true) { Met::Known } else { Met::TooMany };
        }
        process.0 += 1;
        self.entries.insert(key, Entry { number: process.0, count: 1, written: true });
        Met::New(process.0)
    }
}

enum Met {
    Known,
    New(u32),
    TooMany,
}

impl Recording {
    /// Takes an error, or says false when it must wait for one of its stacks.
    pub(crate) fn error(&mut self, stream: &mut Stream, record: Record<'_>, force: bool) -> bool {
        let word = |i| record.word(i);
        let (kind, stack) = halves(word(2));
        let (about, family) = halves(word(6));
        let (allocated, freed) = halves(word(10));
        let Some(stack) = self.stack(stream, stack, force) else { return false };
        let Some(allocated) = self.stack(stream, allocated, force) else { return false };
        let Some(freed) = self.stack(stream, freed, force) else { return false };
        let (origin, source) = halves(word(14));
        let Some(source) = self.stack(stream, source, force) else { return false };
        let flags = if kind & ring::record::UNADDRESSABLE != 0 { schema::flag::UNADDRESSABLE } else { 0 };
        let (kind, about, size, given) = (kind as u16, about as u16, word(4), word(13));
        let process = stream.process;
        let (kind_of_error, strings) = (ErrorKind::from_number(kind), strings(record, 15 + FRAME_WORDS));
        let descriptor = descriptor(kind_of_error, record, &strings, (allocated, freed));
        let given_or_descriptor = match &descriptor {
            // A loop that closes whatever may be open makes one error.
            Some(descriptor) if descriptor.never_open() => 0,
            Some(descriptor) => descriptor.number as u64,
            None => given,
        };
        let text = strings[0].clone();
        let key =
            Key { process, kind, flags, stack, size, given: given_or_descriptor, about, allocated, text };
        match self.errors.meet(key) {
            Met::Known => {}
            Met::TooMany => {
                let name = self.describe(process);
                let text =
                    format!("process {name} makes more than {LIMIT} different errors; no more are recorded");
                let time = self.time(stream, word(1));
                self.trace.remark(Severity::Warning, 0, process, time, &text);
            }
            Met::New(number) => {
                let kind_of_address = AddressKind::from_number(about);
                // What stands in place of the family where there is none.
                let mut described = AddressInfo::default();
                match kind_of_address {
                    AddressKind::Data | AddressKind::Code => {
                        described.module = self.mapped(stream, family).map_or(0, |mapped| mapped.module);
                    }
                    AddressKind::Mapping => {
                        described.protection = family as u8;
                        let path = strings.get(1).map(|path| String::from_utf8_lossy(path).into_owned());
                        described.text = path.unwrap_or_default();
                    }
                    AddressKind::Stack => described.frame = family,
                    AddressKind::BelowStack if family == ring::record::about::GUARD_PAGE => {
                        described.text = GUARD_PAGE.to_owned();
                    }
                    AddressKind::BelowStack => {}
                    AddressKind::Described => {
                        let name = strings.get(1).map(|name| String::from_utf8_lossy(name).into_owned());
                        described.text = name.unwrap_or_default();
                    }
                    _ => described.family = Family::from_number(family as u8),
                }
                let on_stack = matches!(kind_of_address, AddressKind::Stack | AddressKind::BelowStack);
                let about = AddressInfo {
                    kind: kind_of_address,
                    start: word(7),
                    size: word(8),
                    offset: word(9) as i64,
                    thread: if on_stack { stream.thread } else { 0 },
                    allocated,
                    freed,
                    ..described
                };
                let error = Error {
                    number,
                    process,
                    thread: stream.thread,
                    kind: kind_of_error,
                    count: 1,
                    time: self.time(stream, word(1)),
                    instructions: word(5),
                    flags,
                    size,
                    stack,
                    address: word(3),
                    origin: (origin != ring::record::origin::UNKNOWN)
                        .then(|| Origin { kind: OriginKind::from_number(origin as u16), stack: source }),
                    other_address: if is_other(kind) { word(11) } else { 0 },
                    about: (about.kind != AddressKind::Unknown).then_some(about),
                    text: String::from_utf8_lossy(&strings[0]).into_owned(),
                    value: if is_other(kind) || descriptor.is_some() { 0 } else { word(11) as i64 },
                    wanted: word(12),
                    given: if descriptor.is_some() { 0 } else { given },
                    descriptor,
                };
                self.trace.flush_tables();
                self.trace.put(|writer| writer.errors(std::slice::from_ref(&error)));
                let wish = self.wish(stream, record, &error);
                if let Some(live) = &mut self.live {
                    live.error(&error, wish.clone(), &self.trace.stacks);
                }
                self.errors.wishes.extend(wish);
            }
        }
        true
    }
}

/// Whether the word for a value holds an address.
fn is_other(kind: u16) -> bool {
    kind == ring::record::Error::Overlap as u16
}

/// The descriptor that an error is about, with the stacks of its opening and of the close before.
fn descriptor(
    kind: ErrorKind,
    record: Record<'_>,
    strings: &[Vec<u8>],
    (opened, closed): (u32, u32),
) -> Option<Descriptor> {
    if !matches!(kind, ErrorKind::FdNotClosed | ErrorKind::FdBadClose | ErrorKind::FdBadUse) {
        return None;
    }
    let bits = record.word(13) as u32;
    Some(Descriptor {
        number: record.word(11) as i32,
        kind: DescriptorKind::from_number((bits & ring::record::descriptor::KINDS) as u16),
        name: Bytes(strings.get(1).cloned().unwrap_or_default()),
        opened,
        closed,
        inherited: bits & ring::record::descriptor::INHERITED != 0,
    })
}

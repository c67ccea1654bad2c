//! Errors of the guest on their way into the trace: one entry for each kind, place and block, then only its count.
//!
//! Always holds: an entry is written before its count is raised, and every count has been written when the recording
//! ends. Not here: the record's words (`ring`), which entries are alike for a reader (`vg-errors`).

use crate::decode::{Recording, Stream};
use crate::trace::Trace;
use ring::record::{Record, halves};
use schema::{AddressInfo, AddressKind, Error, ErrorKind, Family, Origin, OriginKind, Severity};
use std::collections::HashMap;

/// Entries of one process; further ones are lost, and the trace says so.
const LIMIT: u32 = 100_000;

/// What makes two errors one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    process: u32,
    kind: u16,
    flags: u32,
    stack: u32,
    size: u64,
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
        let mut texts = Vec::new();
        record.strings(15, |bytes| texts.push(bytes.collect::<Vec<u8>>()));
        let mut texts = texts.into_iter();
        let (text, name) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        let key = Key { process, kind, flags, stack, size, given, about, allocated, text: text.clone() };
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
                let (family, module, protection) = match kind_of_address {
                    AddressKind::Data | AddressKind::Code => {
                        let image = self.image(stream);
                        (0, self.mapped.get(&(image, family)).copied().unwrap_or(0), 0)
                    }
                    AddressKind::Mapping => (0, 0, family as u8),
                    _ => (family as u8, 0, 0),
                };
                let on_stack = matches!(kind_of_address, AddressKind::Stack | AddressKind::BelowStack);
                let about = AddressInfo {
                    kind: kind_of_address,
                    start: word(7),
                    size: word(8),
                    offset: word(9) as i64,
                    family: Family::from_number(family),
                    module,
                    protection,
                    thread: if on_stack { stream.thread } else { 0 },
                    allocated,
                    freed,
                    text: String::from_utf8_lossy(&name).into_owned(),
                    ..AddressInfo::default()
                };
                let error = Error {
                    number,
                    process,
                    thread: stream.thread,
                    kind: ErrorKind::from_number(kind),
                    count: 1,
                    time: self.time(stream, word(1)),
                    instructions: word(5),
                    flags,
                    size,
                    stack,
                    address: word(3),
                    origin: (origin != ring::record::origin::UNKNOWN)
                        .then(|| Origin { kind: OriginKind::from_number(origin as u16), stack: source }),
                    other_address: if kind == ring::record::Error::Overlap as u16 { word(11) } else { 0 },
                    about: (about.kind != AddressKind::Unknown).then_some(about),
                    text: String::from_utf8_lossy(&text).into_owned(),
                    value: if kind == ring::record::Error::Overlap as u16 { 0 } else { word(11) as i64 },
                    wanted: word(12),
                    given,
                    ..Error::default()
                };
                self.trace.flush_tables();
                self.trace.put(|writer| writer.errors(std::slice::from_ref(&error)));
            }
        }
        true
    }
}

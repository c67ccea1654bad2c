//! What the unit tests of several modules share: scratch directories, recordings into memory, records as an engine
//! would write them.

use crate::clock::Clock;
use crate::decode::{Recording, Stream};
use crate::trace::Trace;
use ring::record::{Kind, Record, Start, header, pair, put_string};
use schema::write::Codec;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new directory that goes away with the value.
pub(crate) struct Scratch(PathBuf);

impl std::ops::Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-overs in the temporary directory are no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a directory whose name holds `purpose`.
pub(crate) fn directory(purpose: &str) -> Scratch {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("vg-record-{purpose}-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a scratch directory");
    Scratch(path)
}

/// An output in memory that a test can read while the trace is written, and that can be made to fail.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    /// What was written.
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
    /// Bytes after which writing fails; 0 means never.
    pub(crate) room: usize,
}

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = self.bytes.lock().expect("no panic");
        let left = if self.room == 0 { bytes.len() } else { self.room.saturating_sub(written.len()) };
        if left == 0 && !bytes.is_empty() {
            return Err(std::io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let count = bytes.len().min(left);
        written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lines that were said to the user.
#[derive(Clone, Default)]
pub(crate) struct Said(pub(crate) Arc<Mutex<Vec<String>>>);

impl crate::trace::Say for Said {
    fn say(&mut self, line: &str) {
        self.0.lock().expect("no panic").push(line.to_owned());
    }
}

impl Said {
    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A recording into `sink`, whose time scale is one nanosecond per tick from 0.
pub(crate) fn recording(sink: &Sink, said: &Said) -> Recording {
    let mut trace = Trace::new(Box::new(sink.clone()), "the sink", Codec::Lz4, Box::new(said.clone()));
    trace.put(|writer| writer.header(&schema::Header::default()));
    Recording::new(trace, Clock::new((0, 0), (1 << 40, 1 << 40)))
}

/// The messages that reached the sink.
pub(crate) fn messages(sink: &Sink) -> Vec<schema::Message> {
    let bytes = sink.bytes.lock().expect("no panic").clone();
    schema::read::TraceReader::new(&bytes[..]).collect()
}

/// A record of fixed words.
pub(crate) fn record(kind: Kind, words: &[u64]) -> Vec<u64> {
    [&[header(kind, words.len() + 1)], words].concat()
}

/// A record of fixed words and byte strings.
pub(crate) fn record_with(kind: Kind, words: &[u64], strings: &[&[u8]]) -> Vec<u64> {
    let mut list = record(kind, words);
    for string in strings {
        let mut space = vec![0; 1 + string.len().div_ceil(8)];
        put_string(&mut space, string).expect("there is room");
        list.extend(space);
    }
    list[0] = header(kind, list.len());
    list
}

/// The record that begins a process.
pub(crate) fn process_start(tsc: u64, number: u32, parent: u32, how: Start) -> Vec<u64> {
    first_record(tsc, (number, parent), how, 1)
}

/// The record that begins a forked process, whose own nodes and modules are numbered from `own`.
pub(crate) fn fork_start(tsc: u64, number: u32, parent: u32, own: u32) -> Vec<u64> {
    first_record(tsc, (number, parent), Start::Fork, own)
}

fn first_record(tsc: u64, (number, parent): (u32, u32), how: Start, own: u32) -> Vec<u64> {
    let fixed = [tsc, pair(number, parent), pair(1000 + number, 1000 + parent), how as u64, pair(own, own)];
    record_with(Kind::ProcessStart, &fixed, &[b"/bin/prog", b"prog\0an arg\0", b"/", b""])
}

/// The record of an allocation.
pub(crate) fn alloc(tsc: u64, address: u64, stack: u32) -> Vec<u64> {
    record(Kind::Alloc, &[tsc, address, 24, pair(stack, 1 | 4 << 8), 77])
}

/// The record of a stack node without a module.
pub(crate) fn node(id: u32, parent: u32, address: u64) -> Vec<u64> {
    record(Kind::Node, &[pair(id, parent), 0, address])
}

/// Gives a recording these records of a ring.
pub(crate) fn feed(recording: &mut Recording, stream: &mut Stream, records: &[Vec<u64>]) {
    for words in records {
        recording.take(stream, Record { words });
    }
}

//! The writer's own promises: a readable prefix after a failed write, limits, order, statistics.

use std::io::{self, Write};

use schema::{
    Message, Strings,
    read::Ending,
    write::{Codec, EventChunk, MAX_MESSAGE_BYTES, TraceWriter, WriteError},
};

use crate::sample::{event, messages, read, write};

/// A disk that is full after some bytes, takes only a few at a time, and is interrupted now and then.
struct Disk {
    bytes: Vec<u8>,
    room: usize,
    calls: usize,
}

impl Disk {
    fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room, calls: 0 }
    }
}

impl Write for &mut Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = bytes.len().min(1000).min(self.room - self.bytes.len());
        if count == 0 {
            return Err(io::Error::from_raw_os_error(28)); // ENOSPC
        }
        self.bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_leaves_a_readable_prefix() {
    let messages = messages();
    let all = write(&messages, Codec::Lz4);
    for room in (0..all.len()).step_by(7) {
        let mut disk = Disk::new(room);
        let mut writer = TraceWriter::new(&mut disk, Codec::Lz4);
        let mut failed = None;
        for message in &messages {
            failed = writer.message(message).and_then(|()| writer.flush()).err();
            if failed.is_some() {
                break;
            }
        }
        let Some(WriteError::Io { written, whole, source }) = failed else { panic!("{failed:?}") };
        assert_eq!((written, source.raw_os_error()), (room as u64, Some(28)));
        let again = writer.remark(&schema::Remark {
            severity: schema::Severity::Note,
            code: 0,
            process: 0,
            time: 0,
            text: String::new(),
        });
        let Err(WriteError::Io { written: still, source, .. }) = again else { panic!("{again:?}") };
        assert_eq!((still, source.raw_os_error()), (written, Some(28)));
        assert_eq!(writer.bytes_written(), written);
        assert_eq!(disk.bytes, all[..room]);
        let (back, ending) = read(&disk.bytes);
        assert!(back == messages[..back.len()]);
        assert!(matches!(ending, Ending::Truncated { .. }));
        assert_eq!(read(&disk.bytes[..whole as usize]).0, back, "whole messages end at {whole}");
        let ending = read(&disk.bytes[..whole as usize]).1;
        assert_eq!(ending, Ending::Truncated { bytes: whole, messages: back.len() as u64 });
    }
}

#[test]
fn buffered_messages_fail_at_message_borders_too() {
    let messages = messages();
    let all = write(&messages, Codec::None);
    let mut disk = Disk::new(all.len() - 1);
    let mut writer = TraceWriter::new(&mut disk, Codec::None);
    let result = messages.iter().try_for_each(|message| writer.message(message));
    // The trailer flushes, and all but its last byte fits.
    let Err(WriteError::Io { written, whole, .. }) = result else { panic!("{result:?}") };
    assert_eq!(written, all.len() as u64 - 1);
    assert_eq!(read(&all[..whole as usize]).0.len(), messages.len() - 1);
}

#[test]
fn the_header_comes_first_and_once() {
    let messages = messages();
    let mut writer = TraceWriter::new(Vec::new(), Codec::None);
    assert!(matches!(writer.message(&messages[1]), Err(WriteError::Order)));
    writer.message(&messages[0]).expect("the header");
    assert!(matches!(writer.message(&messages[0]), Err(WriteError::Order)));
    writer.message(&messages[1]).expect("a process");
    writer.flush().expect("memory");
    assert_eq!(read(&writer.into_inner()).0, messages[..2]);
}

#[test]
fn a_message_that_is_too_large_is_left_out() {
    let mut writer = TraceWriter::new(Vec::new(), Codec::None);
    writer.message(&messages()[0]).expect("the header");
    let error = writer.strings(1, &["x".repeat(MAX_MESSAGE_BYTES)]).expect_err("too large");
    assert!(error.to_string().starts_with("a strings message of "), "{error}");
    let strings = vec!["y".repeat(MAX_MESSAGE_BYTES - 1000), "z".to_owned()];
    writer.strings(1, &strings).expect("these fit");
    writer.flush().expect("memory");
    let (back, _) = read(&writer.into_inner());
    let expected = [
        Message::Strings(Strings { first_id: 1, strings: strings[..1].to_vec() }),
        Message::Strings(Strings { first_id: 2, strings: strings[1..].to_vec() }),
    ];
    assert!(back[1..] == expected);
}

#[test]
fn chunks_are_written_when_full() {
    let mut writer = TraceWriter::new(Vec::new(), Codec::Lz4);
    writer.message(&messages()[0]).expect("the header");
    let mut chunk = EventChunk::new(1);
    let count = EventChunk::CAPACITY as u64 + 10;
    for i in 0..count {
        writer.event(&mut chunk, event(schema::Op::Alloc, i, 4096 + i * 16, 16)).expect("memory");
    }
    assert_eq!(chunk.len(), 10);
    writer.events(&mut chunk).expect("memory");
    assert!(chunk.is_empty());
    writer.events(&mut chunk).expect("nothing to write");
    writer.flush().expect("memory");
    let statistics = writer.statistics().to_vec();
    let bytes = writer.into_inner();
    let (back, _) = read(&bytes);
    let events: Vec<u64> = back
        .iter()
        .filter_map(|message| match message {
            Message::Events(batch) => Some(batch.events.iter().map(|event| event.time)),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(events == (0..count).collect::<Vec<_>>());
    assert_eq!(back.len(), 3);
    assert_eq!(statistics.iter().map(|kind| kind.bytes).sum::<u64>(), bytes.len() as u64);
    let chunks = statistics.iter().find(|kind| kind.kind == "chunk").expect("listed");
    assert_eq!(chunks.messages, 2);
}

#[test]
fn every_message_of_the_writer_is_one_segment() {
    let bytes = write(&messages(), Codec::None);
    let mut at = 0;
    while at < bytes.len() {
        assert_eq!(bytes[at..at + 4], [0; 4]);
        at += 8 + 8 * u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
    }
    assert_eq!(at, bytes.len());
}

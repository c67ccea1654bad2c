//! Cut and damaged traces: never a panic, always a clear statement, and what lies before the damage is kept.

use schema::{
    Message,
    read::{Ending, Trace},
    write::Codec,
};

use crate::{
    random::Random,
    sample::{messages, read, write},
};

/// Bytes at which the messages of a single-segment trace end.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let words = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        at += 8 + words as usize * 8;
        ends.push(at);
    }
    ends
}

#[test]
fn every_prefix_is_readable() {
    let messages = messages();
    for codec in [Codec::None, Codec::Lz4] {
        let bytes = write(&messages, codec);
        let ends = ends(&bytes);
        assert_eq!(ends.len(), messages.len());
        for length in 0..bytes.len() {
            let whole = ends.iter().filter(|&&end| end <= length).count();
            let (back, ending) = read(&bytes[..length]);
            assert!(back == messages[..whole], "cut at {length}");
            let cut = Ending::Truncated { bytes: length as u64, messages: whole as u64 };
            assert_eq!(ending, cut, "cut at {length}");
            match Trace::load(&bytes[..length]) {
                Ok(trace) => assert_eq!((whole > 0, trace.ending), (true, cut)),
                Err(ending) => assert_eq!((whole, ending), (0, cut)),
            }
        }
        assert_eq!(read(&bytes).1, Ending::Complete);
    }
}

#[test]
fn random_damage_never_panics_and_keeps_what_lies_before() {
    let messages = messages();
    let mut random = Random(3);
    let mut seen = [0; 5];
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let bytes = write(&messages, codec);
        let ends = ends(&bytes);
        for _ in 0..3000 {
            let mut damaged = bytes.clone();
            let mut first = usize::MAX;
            for _ in 0..1 + random.below(3) {
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] ^= 1 << random.below(8);
                first = first.min(at);
            }
            let good = ends.iter().filter(|&&end| end <= first).count();
            let (back, ending) = read(&damaged);
            assert!(back.len() >= good && back[..good] == messages[..good]);
            seen[match ending {
                Ending::Complete => 0,
                Ending::Truncated { .. } => 1,
                Ending::Corrupt { .. } => 2,
                Ending::NotATrace(_) => 3,
                Ending::Failed { .. } => 4,
            }] += 1;
            let sentence = ending.to_string();
            assert!(sentence.starts_with("th") && !sentence.contains('\n'), "{sentence:?}");
            // The whole trace may find more wrong, never less.
            let ending = Trace::load_events(&damaged[..], |_, _| ()).map_or_else(|e| e, |trace| trace.ending);
            assert!(!ending.to_string().is_empty());
        }
    }
    // Damage in names and numbers of small messages is not noticed; damage in columns is.
    assert!(seen[0] > 100 && seen[1] > 100 && seen[2] > 100 && seen[3] > 10 && seen[4] == 0, "{seen:?}");
}

#[test]
fn damage_in_columns_is_noticed() {
    let messages = messages();
    let bytes = write(&messages, Codec::None);
    let ends = ends(&bytes);
    let kinds: [fn(&Message) -> bool; 8] = [
        |m| matches!(m, Message::Events(_)),
        |m| matches!(m, Message::Executions(_)),
        |m| matches!(m, Message::Jumps(_)),
        |m| matches!(m, Message::Contexts(_)),
        |m| matches!(m, Message::Costs(_)),
        |m| matches!(m, Message::ContextCosts(_)),
        |m| matches!(m, Message::CodeLines(_)),
        |m| matches!(m, Message::AccessLog(_)),
    ];
    for kind in kinds {
        let with_columns = messages.iter().position(kind).expect("the sample has every kind");
        // The encoded columns are the last contents of the message.
        let mut damaged = bytes.clone();
        damaged[ends[with_columns] - 8] ^= 0x10;
        let (back, ending) = read(&damaged);
        assert_eq!(back.len(), with_columns);
        let Ending::Corrupt { message, at, why } = ending else { panic!("{ending:?}") };
        assert_eq!((message as usize, at as usize), (with_columns, ends[with_columns - 1]));
        assert!(why.contains("checksum"), "{why}");
    }
}

#[test]
fn random_bytes_and_other_files_are_no_trace() {
    let mut random = Random(4);
    for length in [1, 3, 4, 8, 100, 5000] {
        let mut noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        noise[0] |= 1;
        let (back, ending) = read(&noise);
        assert!(back.is_empty() && matches!(ending, Ending::NotATrace(_)), "{length}: {ending}");
    }
    for file in ["#!/bin/sh\n", "\x7fELF\x02\x01\x01", "desc: --massif", "x"] {
        let ending = Trace::load(file.as_bytes()).expect_err("no trace");
        assert!(matches!(ending, Ending::NotATrace(_)), "{file:?}: {ending}");
    }
    let zeros = read(&[0; 4096]);
    assert!(zeros.0.is_empty() && matches!(zeros.1, Ending::NotATrace(_)), "{}", zeros.1);
    assert_eq!(read(&[]).1.to_string(), "the trace is empty: nothing was recorded");
}

#[test]
fn a_tail_of_zeros_is_named() {
    // What a file system leaves after a power failure.
    let mut bytes = write(&messages()[..5], Codec::Lz4);
    bytes.extend([0; 512]);
    let (back, ending) = read(&bytes);
    assert_eq!(back.len(), 5);
    assert!(matches!(ending, Ending::Corrupt { message: 5, .. }), "{ending}");
}

#[test]
fn two_traces_in_one_stream_are_named() {
    let one = write(&messages(), Codec::Lz4);
    let (back, ending) = read(&[&one[..], &one].concat());
    assert_eq!(back.len(), messages().len());
    assert!(ending.to_string().contains("another trace begins here"), "{ending}");
}

#[test]
fn a_lost_message_is_noticed() {
    let bytes = write(&messages(), Codec::Lz4);
    let ends = ends(&bytes);
    let without = [&bytes[..ends[3]], &bytes[ends[4]..]].concat();
    let (back, ending) = read(&without);
    assert_eq!(back.len(), 4);
    assert!(ending.to_string().contains("messages are lost"), "{ending}");
}

#[test]
fn a_failing_input_is_told() {
    struct Failing<'a>(&'a [u8]);
    impl std::io::Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::Error::other("the cable broke"));
            }
            self.0.read(buffer)
        }
    }
    let bytes = write(&messages()[..4], Codec::Lz4);
    let mut reader = schema::read::TraceReader::new(Failing(&bytes));
    assert_eq!(reader.by_ref().count(), 4);
    let ending = reader.ending().expect("it ended");
    assert_eq!(*ending, Ending::Failed { at: bytes.len() as u64, why: "the cable broke".to_owned() });
}

//! Messages that no writer makes: limits and checks, each with the sentence that the user reads.

use capnp::message::{Builder, HeapAllocator};
use schema::{
    Message, Op, Skipped,
    raw::trace_capnp as raw,
    read::{Ending, Trace},
    write::Codec,
};

use crate::sample::{messages, read, write};

/// Message number 1 of a trace, built by hand, behind the header of the sample.
pub(crate) fn second(build: impl Fn(raw::message::Builder<'_>)) -> Vec<u8> {
    let mut builder = Builder::new(HeapAllocator::new().first_segment_words(1 << 16));
    let mut root = builder.init_root::<raw::message::Builder<'_>>();
    root.set_seq(1);
    build(root);
    let mut bytes = write(&messages()[..1], Codec::None);
    bytes.extend(capnp::serialize::write_message_to_words(&builder));
    bytes
}

/// A column as it is stored. The default is one value 0.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) id: u16,
    pub(crate) encoding: u8,
    pub(crate) codec: u8,
    pub(crate) shift: u8,
    pub(crate) values: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) damage: u32,
}

/// A column of at most 16 values below 256: one block of 8 bits each.
pub(crate) fn small(id: u16, values: &[u8]) -> Stored {
    let data = if values.is_empty() { Vec::new() } else { [&[8], values].concat() };
    let (encoding, codec, shift, damage) = (1, 0, 0, 0);
    let (values, raw_bytes) = (values.len() as u32, data.len() as u32);
    Stored { id, encoding, codec, shift, values, raw_bytes, data, damage }
}

/// The four required columns of one free of address 5.
pub(crate) fn one_free() -> Vec<Stored> {
    vec![small(1, &[Op::Free.number()]), small(5, &[5]), small(8, &[]), small(10, &[])]
}

pub(crate) fn chunk(kind: u16, count: u32, columns: &[Stored]) -> Vec<u8> {
    second(|m| {
        let mut chunk = m.init_chunk();
        chunk.set_kind(kind);
        chunk.set_process(1);
        chunk.set_count(count);
        store(chunk.init_columns(columns.len() as u32), columns);
    })
}

pub(crate) fn store(mut list: capnp::struct_list::Builder<'_, raw::column::Owned>, columns: &[Stored]) {
    for (i, column) in columns.iter().enumerate() {
        let mut m = list.reborrow().get(i as u32);
        m.set_id(column.id);
        m.set_encoding(column.encoding);
        m.set_codec(column.codec);
        m.set_shift(column.shift);
        m.set_values(column.values);
        m.set_raw_bytes(column.raw_bytes);
        m.set_crc32(crc32fast::hash(&column.data) ^ column.damage);
        m.set_data(&column.data);
    }
}

pub(crate) fn refused(bytes: &[u8], why_contains: &str) {
    let (back, ending) = read(bytes);
    assert_eq!(back.len(), 1);
    let Ending::Corrupt { message: 1, why, .. } = &ending else { panic!("{ending:?}") };
    assert!(why.contains(why_contains), "{why:?} should say {why_contains:?}");
}

/// One free, with the address column changed.
fn refused_address(change: impl Fn(&mut Stored), why_contains: &str) {
    let mut columns = one_free();
    change(&mut columns[1]);
    refused(&chunk(1, 1, &columns), why_contains);
}

#[test]
fn a_chunk_made_by_hand_is_read() {
    let (back, ending) = read(&chunk(1, 1, &one_free()));
    let [_, Message::Events(batch)] = &back[..] else { panic!("{ending}") };
    assert_eq!((batch.events.len(), batch.events[0].op, batch.events[0].address), (1, Op::Free, 5));
}

#[test]
fn columns_have_limits() {
    refused(&chunk(1, 65_537, &one_free()), "65537 rows");
    refused(&chunk(1, u32::MAX, &one_free()), "4294967295 rows");
    refused_address(|column| column.values = 2, "2 values for 1 rows");
    refused_address(|column| column.values = 0, "address");
    refused_address(|column| column.raw_bytes = 81, "81 bytes are too many for 1 values");
    refused_address(|column| column.raw_bytes = u32::MAX, "too many");
    refused_address(|column| column.raw_bytes = 80, "names 80");
    refused_address(|column| column.damage = 1, "checksum");
    let short = |column: &mut Stored| (column.data, column.raw_bytes) = (vec![8], 1);
    refused_address(short, "middle of a value");
    refused_address(|column| column.shift = 64, "64 bits");
    let overlong = |column: &mut Stored| {
        column.data = vec![0xff; 12];
        column.raw_bytes = 12;
    };
    refused_address(overlong, "255 bits");
    let overlong_runs = |column: &mut Stored| {
        overlong(column);
        column.encoding = 4;
    };
    refused_address(overlong_runs, "more than 64 bits");
    let mut twice = one_free();
    twice.push(small(5, &[5]));
    refused(&chunk(1, 1, &twice), "twice");
    let mut wide = one_free();
    let data = vec![35, 0xff, 0xff, 0xff, 0xff, 0x07];
    wide.push(Stored { raw_bytes: 6, data, ..small(6, &[0]) });
    refused(&chunk(1, 1, &wide), "stack holds 34359738367");
}

#[test]
fn compressed_columns_cannot_grow_beyond_their_size() {
    let zeros = vec![0; 4 << 20];
    for (codec, data) in [
        (1, lz4_flex::block::compress(&zeros)),
        (2, zstd::bulk::compress(&zeros, 1).expect("memory for a test")),
    ] {
        for raw_bytes in [0, 1, 80] {
            let mut columns = one_free();
            columns[1] = Stored { codec, raw_bytes, data: data.clone(), ..columns[1].clone() };
            refused(&chunk(1, 1, &columns), "column 5 (address)");
        }
    }
    // Bytes that no compressor made, of every length.
    let mut random = crate::random::Random(5);
    for codec in [1, 2] {
        for length in 0..200 {
            let data = (0..length).map(|_| random.next() as u8).collect();
            let raw_bytes = random.below(81) as u32;
            refused_address(
                |column| {
                    *column = Stored { codec, raw_bytes, data: Clone::clone(&data), ..column.clone() };
                    // Nothing may decode to a single good value by chance.
                    column.values = 0;
                },
                "address",
            );
        }
    }
}

#[test]
fn a_run_cannot_be_longer_than_its_column() {
    let runs = |data: &[u8]| {
        let mut columns = one_free();
        let data = data.to_vec();
        columns[1] = Stored { encoding: 4, raw_bytes: data.len() as u32, data, ..columns[1].clone() };
        chunk(1, 1, &columns)
    };
    refused(&runs(&[5, 2]), "longer than the column");
    refused(&runs(&[5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), "longer than the column");
    assert_eq!(read(&runs(&[5, 1])).0.len(), 2);
}

#[test]
fn tables_are_checked() {
    let frames = second(|m| {
        let mut frames = m.init_frames();
        frames.reborrow().init_module(2);
        frames.reborrow().init_rva(2);
        frames.init_flags(1);
    });
    refused(&frames, "flags has 1 values, not 2");
    for ends in [[3, 2], [0, 6], [u32::MAX, 5]] {
        let strings = second(|m| {
            let mut strings = m.init_strings();
            strings.set_bytes(b"abcde");
            let mut list = strings.init_ends(2);
            list.set(0, ends[0]);
            list.set(1, ends[1]);
        });
        refused(&strings, "does not lie in");
        let symbols = second(|m| {
            let mut symbols = m.init_symbols();
            symbols.reborrow().init_frame(2);
            let mut list = symbols.reborrow().init_ends(2);
            list.set(0, ends[0]);
            list.set(1, ends[1]);
            symbols.reborrow().init_function(5);
            symbols.reborrow().init_raw_name(5);
            symbols.reborrow().init_file(5);
            symbols.reborrow().init_line(5);
            symbols.init_column(5);
        });
        refused(&symbols, "does not lie in");
        let places = second(|m| {
            let mut places = m.init_places();
            let mut list = places.reborrow().init_ends(2);
            list.set(0, ends[0]);
            list.set(1, ends[1]);
            places.reborrow().init_function(5);
            places.reborrow().init_raw_name(5);
            places.reborrow().init_file(5);
            places.reborrow().init_line(5);
            places.init_column(5);
        });
        refused(&places, "does not lie in");
    }
    let places = second(|m| {
        let mut places = m.init_places();
        places.reborrow().init_function(1);
        places.reborrow().init_raw_name(1);
        places.init_file(2);
    });
    refused(&places, "file has 2 values, not 1");
    let newer = {
        let mut builder = Builder::new_default();
        builder
            .init_root::<raw::message::Builder<'_>>()
            .init_header()
            .set_format_version(schema::FORMAT_VERSION + 1);
        capnp::serialize::write_message_to_words(&builder)
    };
    let (back, ending) = read(&newer);
    let text = format!("format version {}", schema::FORMAT_VERSION + 1);
    assert!(back.is_empty() && ending.to_string().contains(&text), "{ending}");
}

#[test]
fn false_lengths_take_no_memory() {
    let header = write(&messages()[..1], Codec::None);
    let with = |tail: &[u32]| {
        let mut bytes = header.clone();
        bytes.extend(tail.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    };
    refused(&with(&[0, u32::MAX]), "34359738360 bytes, more than");
    refused(&with(&[0, (32 << 20) / 8 + 1]), "more than");
    refused(&with(&[512, 1]), "513 segments");
    refused(&with(&[u32::MAX, 1]), "4294967296 segments");
    refused(&with(&[0, 0]), "no bytes");
    // Within the limit, but nothing follows: the trace is cut.
    let cut = with(&[0, (32 << 20) / 8, 7, 7]);
    let expected = Ending::Truncated { bytes: cut.len() as u64, messages: 1 };
    assert_eq!(read(&cut).1, expected);
    // A list of 2^29 - 1 structs of no size: 24 bytes that claim gigabytes.
    let list = second(|m| {
        m.init_modules(1);
    });
    let mut bytes = list.clone();
    // Words of the message: framing, root, seq, arm, list pointer, tag. The tag holds count and element size.
    let tag = header.len() + 8 * 5;
    bytes[tag..tag + 8].copy_from_slice(&(((1u64 << 29) - 1) << 2).to_le_bytes());
    let pointer = tag - 8;
    bytes[pointer..pointer + 8].copy_from_slice(&(1u64 | 7 << 32).to_le_bytes());
    let (back, ending) = read(&bytes);
    assert!(back.len() == 1 && matches!(ending, Ending::Corrupt { .. }), "{ending}");
}

/// Errors that are no errors: lists of entries without a size, pointers to what is no struct or text.
#[test]
fn hostile_errors_are_refused() {
    let header = write(&messages()[..1], Codec::None);
    let one = second(|m| m.init_errors(1).get(0).set_number(7));
    let (back, _) = read(&one);
    assert!(
        matches!(&back[1], Message::Errors(errors) if errors[0].number == 7 && errors[0].about.is_none())
    );
    // Words of the message: framing, root, seq, arm, list pointer, tag, the fields. The tag holds count and size.
    let tag = header.len() + 8 * 5;
    for (count, refusal) in
        [(1u64 << 15, None), ((1 << 15) + 1, Some("more than 32768")), ((1 << 29) - 1, None)]
    {
        let mut bytes = one.clone();
        bytes[tag..tag + 8].copy_from_slice(&(count << 2).to_le_bytes());
        bytes[tag - 8..tag].copy_from_slice(&(1u64 | 7 << 32).to_le_bytes());
        match refusal {
            Some(why) => refused(&bytes, why),
            None if count == 1 << 15 => {
                let (back, _) = read(&bytes);
                assert!(matches!(&back[1], Message::Errors(errors) if errors.len() == 1 << 15));
            }
            None => assert!(matches!(read(&bytes).1, Ending::Corrupt { .. })),
        }
    }
    // Each pointer of an entry in turn becomes one that leaves the message, one of the wrong kind, a far one.
    let full = second(|m| {
        let mut m = m.init_errors(1).get(0);
        m.set_text("x");
        m.reborrow().init_about().set_text("y");
        m.reborrow().init_origin().set_stack(1);
        m.init_descriptor().set_name(b"z");
    });
    let tag_word = u64::from_le_bytes(full[tag..tag + 8].try_into().expect("eight bytes"));
    let (data, pointers) = ((tag_word >> 32 & 0xffff) as usize, (tag_word >> 48) as usize);
    assert_eq!(pointers, 4);
    for pointer in 0..pointers {
        let at = tag + 8 + 8 * (data + pointer);
        for word in [0x7fff_fffcu64 | 1 << 32, 0x7fff_fffd | 2 << 32, 2 | 99 << 32, 3, u64::MAX] {
            let mut bytes = full.clone();
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            let (back, ending) = read(&bytes);
            assert!(
                back.len() == 1 && matches!(ending, Ending::Corrupt { .. }),
                "{pointer} {word:x}: {ending}"
            );
        }
    }
}

#[test]
fn several_segments_are_read() {
    let mut builder = Builder::new(HeapAllocator::new().first_segment_words(8));
    let mut root = builder.init_root::<raw::message::Builder<'_>>();
    root.set_seq(1);
    let mut remark = root.init_remark();
    remark.set_text("a text that does not fit into eight words, so that it takes a segment of its own");
    assert!(builder.get_segments_for_output().len() > 1);
    let mut bytes = write(&messages()[..1], Codec::None);
    bytes.extend(capnp::serialize::write_message_to_words(&builder));
    let (back, _) = read(&bytes);
    assert!(matches!(&back[1], Message::Remark(remark) if remark.text.starts_with("a text that")));
    for length in bytes.len() - 100..bytes.len() {
        assert!(matches!(read(&bytes[..length]).1, Ending::Truncated { messages: 1, .. }));
    }
}

#[test]
fn a_missing_column_skips_the_rows() {
    let columns = one_free();
    for i in 0..columns.len() {
        let mut columns = columns.clone();
        let id = columns.remove(i).id;
        let (back, _) = read(&chunk(1, 1, &columns));
        assert_eq!(back[1], Message::Skipped(Skipped::Column { column: id, rows: 1 }));
        let trace =
            Trace::load_events(&chunk(1, 1, &columns)[..], |_, _| panic!("no events")).expect("header");
        assert_eq!(trace.skipped, [Skipped::Column { column: id, rows: 1 }]);
    }
}

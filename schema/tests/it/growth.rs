//! Old readers on new traces: what they do not know is skipped, the rest is read.

use schema::{Message, Skipped, read::Ending, write::Codec};

use crate::{
    hostile::{Stored, chunk, one_free, small},
    sample::{messages, read, write},
};

#[test]
fn an_unknown_arm_is_skipped() {
    let all = messages();
    let known = write(&all[..1], Codec::None).len();
    let mut bytes = write(&all, Codec::None);
    // Framing, root pointer, sequence number, then the union's discriminant.
    let arm = known + 24;
    assert_eq!(bytes[arm..arm + 2], [1, 0], "message 1 is a process");
    bytes[arm..arm + 2].copy_from_slice(&999u16.to_le_bytes());
    let (back, ending) = read(&bytes);
    assert_eq!(ending, Ending::Complete);
    assert_eq!(back[1], Message::Skipped(Skipped::Arm(999)));
    assert!(back[2..] == all[2..]);
}

#[test]
fn unknown_columns_and_encodings_are_skipped() {
    let expected = read(&chunk(1, 1, &one_free())).0;
    let mut more = one_free();
    more.push(small(999, &[1]));
    // An optional column (the stack) in an encoding, and with a codec, of the future.
    more.push(Stored { encoding: 77, ..small(6, &[1]) });
    more.push(Stored { codec: 77, damage: 1, ..small(4, &[1]) });
    assert_eq!(read(&chunk(1, 1, &more)).0, expected);
    let skipped = Message::Skipped(Skipped::Column { column: 5, rows: 1 });
    let mut columns = one_free();
    columns[1].encoding = 7;
    assert_eq!(read(&chunk(1, 1, &columns)).0[1], skipped);
    let mut columns = one_free();
    columns[1].codec = 3;
    assert_eq!(read(&chunk(1, 1, &columns)).0[1], skipped);
}

#[test]
fn an_unknown_kind_of_chunk_is_skipped() {
    let (back, ending) = read(&chunk(2, u32::MAX, &[]));
    assert_eq!(back[1], Message::Skipped(Skipped::ChunkKind(2)));
    assert_eq!(ending, Ending::Truncated { bytes: chunk(2, u32::MAX, &[]).len() as u64, messages: 2 });
}

#[test]
fn new_fields_are_ignored() {
    let end = schema::ModuleEnd { module: 7, time: 9 };
    let all = [messages()[0].clone(), Message::ModuleEnd(end)];
    let known = write(&all[..1], Codec::None).len();
    let mut bytes = write(&all, Codec::None);
    // Words: framing, root pointer, sequence number, arm, struct pointer (2 words of data), the data. Make it 3.
    let pointer = known + 32;
    assert_eq!(bytes[pointer + 4..pointer + 8], [2, 0, 0, 0]);
    bytes[pointer + 4] = 3;
    bytes.extend([0xaa; 8]);
    let words = (bytes.len() - known - 8) / 8;
    bytes[known + 4..known + 8].copy_from_slice(&(words as u32).to_le_bytes());
    assert_eq!(read(&bytes).0, all);
}

#[test]
fn unknown_code_numbers_are_kept() {
    use schema::{
        AddressKind, DescriptorKind, End, ErrorKind, Family, OriginKind, Reason, RootKind, Severity, Start,
    };
    assert_eq!(End::from_number(999), End::Other(999));
    assert_eq!(End::Other(999).number(), 999);
    assert_eq!(Start::from_number(4).number(), 4);
    assert_eq!(Reason::from_number(5).number(), 5);
    assert_eq!(Family::from_number(9).number(), 9);
    assert_eq!(RootKind::from_number(6).number(), 6);
    assert_eq!(Severity::from_number(3).number(), 3);
    assert_eq!(ErrorKind::from_number(23), ErrorKind::Other(23));
    assert_eq!(AddressKind::from_number(13).number(), 13);
    assert_eq!(OriginKind::from_number(4).number(), 4);
    assert_eq!(DescriptorKind::from_number(5).number(), 5);
}

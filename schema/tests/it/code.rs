//! Messages about executed code that no writer makes.

use schema::{CodeLine, Executed, Message, Skipped, read::Trace};

use crate::{
    hostile::{Stored, refused, second, small, store},
    sample::read,
};

fn executions(count: u32, columns: &[Stored]) -> Vec<u8> {
    second(|m| {
        let mut m = m.init_executions();
        m.set_process(1);
        m.set_thread(2);
        m.set_count(count);
        store(m.init_columns(columns.len() as u32), columns);
    })
}

fn lines(count: u32, columns: &[Stored]) -> Vec<u8> {
    second(|m| {
        let mut m = m.init_code_lines();
        m.set_module(1);
        m.set_count(count);
        store(m.init_columns(columns.len() as u32), columns);
    })
}

/// The required columns of two runs.
fn two_runs() -> Vec<Stored> {
    vec![small(2, &[5, 9]), small(3, &[7, 8]), small(4, &[0x21, 0x04])]
}

#[test]
fn optional_columns_are_zeros() {
    let (back, ending) = read(&executions(2, &two_runs()));
    let [_, Message::Executions(piece)] = &back[..] else { panic!("{ending}") };
    let run = Executed { module: 0, rva: 5, times: 7, lengths: 0x21 };
    assert_eq!((piece.process, piece.thread), (1, 2));
    assert_eq!(piece.rows, [run, Executed { rva: 9, times: 8, lengths: 4, ..run }]);
    let (back, ending) = read(&lines(2, &[small(1, &[5, 9])]));
    let [_, Message::CodeLines(piece)] = &back[..] else { panic!("{ending}") };
    assert_eq!(piece.rows, [CodeLine { rva: 5, place: 0 }, CodeLine { rva: 9, place: 0 }]);
}

#[test]
fn runs_and_lines_have_limits() {
    for count in [65_537, u32::MAX] {
        let why = format!("it has {count} rows, more than 65536");
        refused(&executions(count, &two_runs()), &why);
        refused(&lines(count, &[small(1, &[5])]), &why);
    }
    refused(&executions(3, &two_runs()), "column rva has 2 values for 3 rows");
    refused(&executions(1, &two_runs()), "column 2 (rva): it has 2 values for 1 rows");
    let mut damaged = two_runs();
    damaged[1].damage = 1;
    refused(&executions(2, &damaged), "column 3 (times): its checksum");
    let data = vec![35, 0xff, 0xff, 0xff, 0xff, 0x07];
    let wide = |id| Stored { raw_bytes: 6, data: data.clone(), ..small(id, &[0]) };
    let run = [small(2, &[5]), small(3, &[7]), small(4, &[1]), wide(1)];
    refused(&executions(1, &run), "module holds 34359738367");
    refused(&lines(1, &[small(1, &[5]), wide(2)]), "place holds 34359738367");
}

#[test]
fn runs_have_an_instruction_and_lines_rise() {
    for lengths in [0, 0x10] {
        let mut columns = two_runs();
        columns[2] = small(4, &[1, lengths]);
        refused(&executions(2, &columns), "row 1 has no instruction");
    }
    refused(&lines(3, &[small(1, &[5, 9, 9])]), "rva 0x9 comes after 0x9");
    refused(&lines(3, &[small(1, &[5, 9, 2])]), "rva 0x2 comes after 0x9");
}

#[test]
fn a_missing_column_skips_runs_and_lines() {
    let skipped = |bytes: &[u8], column, rows| {
        let expected = Skipped::Column { column, rows };
        assert_eq!(read(bytes).0[1], Message::Skipped(expected.clone()));
        assert_eq!(Trace::load(bytes).expect("it has a header").skipped, [expected]);
    };
    for i in 0..two_runs().len() {
        let mut columns = two_runs();
        let id = columns.remove(i).id;
        skipped(&executions(2, &columns), id, 2);
    }
    skipped(&lines(1, &[small(2, &[1])]), 1, 1);
    // In an encoding of the future.
    skipped(&lines(1, &[Stored { encoding: 77, ..small(1, &[1]) }]), 1, 1);
}

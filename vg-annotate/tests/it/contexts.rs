//! The real binary on a trace with calls, written for the purpose: parts of a function that look like functions of their own.

use super::report::source;
use super::support::{vg_annotate, whole};
use schema::write::{Codec, TraceWriter};
use schema::{
    Bytes, CodeLine, Context, Executed, Header, Module, PartEnd, Place, Process, Start, ThreadStart,
};

/// `main` calls `f` twice and once through a stub; `f` has code that the line table puts into a header without saying that it
/// is inlined, and jumps once to a part of itself that lies elsewhere.
fn trace(file: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = TraceWriter::new(&mut bytes, Codec::Lz4);
    writer.header(&Header::default()).unwrap();
    let process = Process {
        number: 1,
        parent: 0,
        pid: 101,
        ppid: 1,
        how: Start::Root,
        time: 0,
        exe: Bytes::from("/bin/prog"),
        argv: Vec::new(),
        cwd: Bytes::from("/"),
        environment: Vec::new(),
    };
    writer.process(&process).unwrap();
    writer.thread_start(&ThreadStart { number: 1, process: 1, tid: 101, parent: 0, time: 0 }).unwrap();
    writer
        .modules(&[Module { id: 1, path: Bytes::from("/bin/prog"), size: 0x1000, ..Module::default() }])
        .unwrap();
    writer.strings(1, &["main", file, "f", "/usr/include/h.h", "f@plt"]).unwrap();
    let place = |function, file, line| vec![Place { function, file, line, ..Place::default() }];
    let places = [place(1, 2, 1), place(3, 2, 2), place(3, 4, 9), place(5, 0, 0), place(3, 2, 6)];
    writer.places(1, &places).unwrap();
    let line = |rva, place| CodeLine { rva, place };
    let lines = [
        line(0x10, 1),
        line(0x14, 0),
        line(0x20, 2),
        line(0x24, 3),
        line(0x28, 4),
        line(0x2c, 0),
        line(0x40, 5),
    ];
    writer.code_lines(1, &lines).unwrap();
    let row = |rva, times| Executed { module: 1, rva, times, lengths: 0x4 };
    writer
        .executions(1, 1, 0, &[row(0x10, 3), row(0x20, 3), row(0x24, 1000), row(0x28, 1), row(0x40, 20)])
        .unwrap();
    let context = |parent, rva, site_rva: u64, calls, cost| Context {
        parent,
        module: 1,
        rva,
        site_module: u32::from(site_rva != 0),
        site_rva,
        calls,
        cost,
        again: 0,
    };
    // The stub's instruction is main's.
    let rows = [context(0, 0x10, 0, 1, 4), context(1, 0x20, 0x13, 3, 1003), context(2, 0x40, 0, 1, 20)];
    writer.contexts(1, 1, 0, &rows).unwrap();
    writer.trailer(&whole()).unwrap();
    bytes
}

/// Four parts of a process that executes one instruction: the second has a name, the third was zeroed, the last has no end.
fn parts() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = TraceWriter::new(&mut bytes, Codec::Lz4);
    writer.header(&Header::default()).unwrap();
    for (part, times) in [(0, 1), (4, 10), (5, 100), (9, 1000)] {
        let context = Context { module: 1, rva: 0x10, calls: 1, cost: times, ..Context::default() };
        writer.executions(1, 1, part, &[Executed { module: 1, rva: 0x10, times, lengths: 4 }]).unwrap();
        writer.contexts(1, 1, part, &[context]).unwrap();
    }
    for (part, name) in [(0, ""), (4, "loop"), (5, "")] {
        let end = PartEnd { process: 1, part, zeroed: part == 5, time: 7, name: Bytes::from(name) };
        writer.part_end(&end).unwrap();
    }
    writer.trailer(&whole()).unwrap();
    bytes
}

#[test]
fn parts_add_up_and_can_be_told_apart() {
    let bytes = parts();
    let total = |arguments: &[&str]| {
        let outcome = vg_annotate(&[&["--format=collapsed"], arguments].concat(), &bytes);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        outcome.stdout.trim_end().rsplit(' ').next().map(str::to_owned)
    };
    let parts = [
        (vec![], "1011"),
        (vec!["--part=1"], "1"),
        (vec!["--part=2"], "10"),
        (vec!["--part=loop"], "10"),
        (vec!["--part=3"], "1000"),
    ];
    for (arguments, expected) in parts {
        assert_eq!(total(&arguments).as_deref(), Some(expected), "{arguments:?}");
    }
    let outcome = vg_annotate(&["--part=4"], &bytes);
    assert_eq!(outcome.status, 2);
    assert!(
        outcome.stderr.ends_with("no part 4 in the recording; it has 1, 2 (loop), 3\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn parts_of_a_function_are_one_and_its_callers_pay_for_all_of_them() {
    let file = source("contexts");
    let file = file.display().to_string();
    let arguments = ["--format=csv", "--inclusive=yes", "--min-percent=0"];
    let outcome = vg_annotate(&arguments, &trace(&file));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let rows: Vec<&str> = outcome.stdout.lines().skip(1).collect();
    let expected = [
        format!("3,100.00,main,{file},/bin/prog,1027"),
        format!("1023,99.61,f,{file},/bin/prog,1023"),
        "1,0.10,f@plt,,/bin/prog,1".to_owned(),
    ];
    assert_eq!(rows, expected);
    let arguments = ["--tree=both", "--inclusive=yes", "--annotate=no", "--only=^f$", "--color=never"];
    let outcome = vg_annotate(&arguments, &trace(&file));
    let calls: Vec<&str> =
        outcome.stdout.lines().filter(|line| line.contains(" < ") || line.contains(" > ")).collect();
    assert_eq!(calls, [format!("1,023 (99.61%)  < {file}:main [/bin/prog] (3x)")]);
}

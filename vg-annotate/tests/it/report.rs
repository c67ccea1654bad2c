//! The real binary on a trace written for the purpose: text, CSV and JSON, what is selected, and what cannot be answered.

use super::support::{vg_annotate, whole};
use schema::write::{Codec, TraceWriter};
use schema::{Bytes, CodeLine, Executed, Header, Jump, Module, Place, Process, Start, ThreadStart};
use std::path::{Path, PathBuf};

/// A source file of six lines.
pub(crate) fn source(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vg-annotate-{name}.c"));
    std::fs::write(&path, "one\n\ttwo\nthree\nfour\nfive\nsix\n").expect("a file");
    path
}

/// Two threads in two processes: `work` with an inlined `helper`, a function of a library without a source, and code in no
/// module.
pub(crate) fn trace(file: &Path, counts: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = TraceWriter::new(&mut bytes, Codec::Lz4);
    let argv: Vec<Bytes> = ["./prog", "arg"].map(Bytes::from).to_vec();
    writer.header(&Header { argv: argv.clone(), ..Header::default() }).unwrap();
    for (number, how) in [(1, Start::Root), (2, Start::Fork)] {
        let process = Process {
            number,
            parent: number - 1,
            pid: 100 + number,
            ppid: 1,
            how,
            time: 0,
            exe: Bytes::from("/bin/prog"),
            argv: argv.clone(),
            cwd: Bytes::from("/"),
            environment: Vec::new(),
        };
        writer.process(&process).unwrap();
        writer
            .thread_start(&ThreadStart { number, process: number, tid: number, parent: 0, time: 0 })
            .unwrap();
    }
    let module = |id, path: &str| Module { id, path: Bytes::from(path), size: 0x1000, ..Module::default() };
    writer.modules(&[module(1, "/bin/prog"), module(2, "/lib/lib.so")]).unwrap();
    if counts {
        let file = file.display().to_string();
        writer.strings(1, &["work", file.as_str(), "helper", "lib_sort"]).unwrap();
        let place = |function, file, line| Place { function, file, line, ..Place::default() };
        writer
            .places(1, &[vec![place(1, 2, 2)], vec![place(3, 2, 5), place(1, 2, 3)], vec![place(4, 0, 0)]])
            .unwrap();
        let line = |rva, place| CodeLine { rva, place };
        writer.code_lines(1, &[line(0x10, 1), line(0x14, 2), line(0x18, 0)]).unwrap();
        writer.code_lines(2, &[line(0x100, 3), line(0x104, 0)]).unwrap();
        let row = |module, rva, times, lengths| Executed { module, rva, times, lengths };
        let first =
            [row(0, 0x7000, 1, 3), row(1, 0x10, 10, 0x22), row(1, 0x14, 1000, 0x4), row(2, 0x100, 200, 0x4)];
        writer.executions(1, 1, 0, &first).unwrap();
        writer.executions(2, 2, 0, &[row(1, 0x10, 5, 0x22)]).unwrap();
        let jump = Jump { module: 1, rva: 0x12, target: 0x14, executed: 10, passed: 4, conditional: true };
        // It leads to what was never executed.
        let never = Jump { target: 0x40, passed: 10, ..jump };
        let back = Jump { rva: 0x14, target: 0x10, executed: 1000, passed: 0, conditional: false, ..jump };
        writer.jumps(1, 1, 0, &[jump, never, back]).unwrap();
        writer.jumps(2, 2, 0, &[Jump { executed: 5, ..jump }]).unwrap();
    }
    writer.trailer(&whole()).unwrap();
    bytes
}

#[test]
fn functions_and_lines_for_people() {
    let file = source("text");
    let outcome = vg_annotate(&["--context=1", "--color=never"], &trace(&file, true));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let rule = "-".repeat(80);
    let file = file.display();
    let expected = format!(
        "Command:         ./prog arg
Events:          Ir (instructions executed)

{rule}
Ir
{rule}
1,231 (100.0%)  PROGRAM TOTALS

{rule}
Ir              file:function
{rule}
1,030 (83.67%)  {file}:work [/bin/prog]
  200 (16.25%)  ???:lib_sort [/lib/lib.so]
    1 ( 0.08%)  1 other function

{rule}
-- Annotated source: {file}
{rule}

    .           one
   30 ( 2.44%)      two
    .           three
    .           four
1,000 (81.23%)  five
    .           six

  201 (16.33%)  in code without line numbers
"
    );
    let squeezed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(squeezed(&outcome.stdout), squeezed(&expected));
}

#[test]
fn what_is_selected() {
    let file = source("selected");
    let bytes = trace(&file, true);
    let rows = |arguments: &[&str]| {
        let outcome = vg_annotate(&[&["--format=csv"], arguments].concat(), &bytes);
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        outcome
            .stdout
            .lines()
            .skip(1)
            .map(|row| row.split(',').next().unwrap_or_default().to_owned())
            .collect()
    };
    let all: Vec<String> = rows(&["--min-percent=0"]);
    assert_eq!(all, ["1030", "200", "1"]);
    let one: Vec<String> = rows(&["--only=^lib_"]);
    assert_eq!(one, ["200"]);
    let module: Vec<String> = rows(&["--only=/bin/prog"]);
    assert_eq!(module, ["1030"]);
    let process: Vec<String> = rows(&["--process=102"]);
    assert_eq!(process, ["10"]);
    let thread: Vec<String> = rows(&["--thread=1"]);
    assert_eq!(thread, ["1020", "200"]);
    let covered: Vec<String> = rows(&["--cover=84"]);
    assert_eq!(covered, ["1030", "200"]);
    let enough: Vec<String> = rows(&["--threshold=50"]);
    assert_eq!(enough, ["1030"]);
}

#[test]
fn json_for_programs() {
    let file = source("json");
    let outcome = vg_annotate(&["--format=json", "--min-percent=1"], &trace(&file, true));
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["complete"], true);
    assert_eq!(json["summary"]["Ir"], 1231);
    assert_eq!(json["functions"][0]["function"], "work");
    assert_eq!(json["functions"][0]["Ir"], 1030);
    assert_eq!(json["functions"].as_array().map(Vec::len), Some(2));
    let lines: Vec<_> = json["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["line"].as_u64(), line["Ir"].as_u64()))
        .collect();
    assert_eq!(lines, [(Some(2), Some(30)), (Some(5), Some(1000))]);
}

#[test]
fn what_cannot_be_answered() {
    let file = source("missing");
    let whole = trace(&file, true);
    let none = vg_annotate(&[], &trace(&file, false));
    assert_eq!(none.status, 2);
    assert_eq!(
        none.stderr,
        "vg-annotate: stdin: the recording has no counts of executed code; record with --events=instr or --events=blocks\n"
    );
    let process = vg_annotate(&["--process=7"], &whole);
    assert_eq!((process.status, process.stderr.lines().count()), (2, 1), "{}", process.stderr);
    assert!(process.stderr.contains("it has those of 1, 2"), "{}", process.stderr);
    let cut = vg_annotate(&["--format=json"], &whole[..whole.len() - 40]);
    assert_eq!(cut.status, 0);
    assert!(cut.stdout.contains("\"complete\": false") && !cut.stderr.is_empty());
    let empty = vg_annotate(&[], b"");
    assert_eq!((empty.status, empty.stderr.lines().count()), (2, 1));
    let other = vg_annotate(&[], b"no trace at all, but long enough for one");
    assert_eq!((other.status, other.stderr.lines().count()), (2, 1));
    let wrong = vg_annotate(&["--only=("], &whole);
    assert_eq!((wrong.status, wrong.stderr.lines().count()), (2, 1), "{}", wrong.stderr);
}

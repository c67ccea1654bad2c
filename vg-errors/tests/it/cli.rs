//! Exit statuses, errors in one line, where input comes from, damaged input.

use crate::support::{Outcome, directory, golden_trace, trace, vg_errors};
use std::process::{Command, Stdio};

const BAD: &str = "
header all ./a
process 1 root 0 10 /home/u/a ./a
thread 1 1 -
stack f f|/home/u/a.c|3| < main|/home/u/a.c|9|
error 1 1 InvalidRead size=4 stack=f address=0x1028 about.kind=live about.size=40 about.offset=40 about.allocated=f
error 1 2 UninitCondition stack=f origin=heap:f
count 1 1 5
exit 1 0
trailer";

fn run(name: &str, arguments: &[&str], stdin: &[u8]) -> Outcome {
    vg_errors(&directory(name), arguments, stdin)
}

#[test]
fn exit_statuses() {
    let trace = trace(BAD);
    let status = |arguments: &[&str]| run("exit", arguments, &trace).status;
    assert_eq!(status(&[]), 1);
    assert_eq!(status(&["--kinds=access"]), 1);
    assert_eq!(status(&["--kinds=InvalidWrite"]), 0);
    assert_eq!(status(&["--kinds=none"]), 0);
    assert_eq!(status(&["--error-exitcode=42"]), 42);
    assert_eq!(status(&["--error-exitcode=0"]), 0);
    assert_eq!(status(&["--kinds=free", "--error-exitcode=42"]), 0);
    assert_eq!(status(&["--exclude=f"]), 0);
    assert_eq!(status(&["--process=10", "--thread=1"]), 1);
    assert_eq!(status(&["--thread=2"]), 0);
    for format in ["text", "json", "csv", "xml", "sarif", "github"] {
        assert_eq!(status(&["--format", format]), 1, "{format}");
    }
    assert_eq!(status(&["-"]), 1);
    assert_eq!(status(&["-", "-"]), 2);
    assert_eq!(status(&["no-such-trace"]), 2);
    assert_eq!(status(&["."]), 2);
    assert_eq!(status(&["--no-such-option"]), 2);
    assert_eq!(status(&["--help"]), 0);
    assert_eq!(status(&["--version"]), 0);
}

#[test]
fn errors_are_one_line_that_names_the_thing() {
    let blind = golden_trace("unchecked");
    let good = trace(BAD);
    let all: [(&[&str], &[u8], &str); 8] = [
        (&["no-such-trace"], b"", "vg-errors: no-such-trace: No such file or directory\n"),
        (&[], b"", "vg-errors: stdin: empty; did vg-record say why it wrote nothing?\n"),
        (&[], b"#!/bin/sh\necho no trace\n", "vg-errors: stdin: this is not a trace that can be read"),
        (
            &["--kinds=leaks"],
            b"",
            "unknown kind of error 'leaks'; use all, none, default, or a list of access,",
        ),
        (&["--undef-value-errors=maybe"], b"", "use yes or no"),
        (&["--format=html"], b"", "possible values: text, json, csv, xml, sarif, github"),
        (&[], &blind, "stdin: the recording did not look for errors, so that it cannot say"),
        (&["--process=99"], &good, "stdin: no process 99 in the recording; it has 1 (pid 10)\n"),
    ];
    for (arguments, stdin, expected) in all {
        let outcome = run("errors", arguments, stdin);
        assert_eq!(outcome.status, 2, "{arguments:?}");
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert!(
            outcome.stderr.starts_with("vg-errors: ") && outcome.stderr.lines().count() == 1,
            "{}",
            outcome.stderr
        );
    }
}

/// A recording that could have found something beside one that could not: what was found counts, and nothing is no
/// clean result.
#[test]
fn a_blind_recording_beside_another_is_told() {
    let folder = directory("two");
    std::fs::write(folder.join("blind"), golden_trace("unchecked")).unwrap();
    std::fs::write(folder.join("good"), trace(BAD)).unwrap();
    let both = vg_errors(&folder, &["good", "blind"], b"");
    assert_eq!(both.status, 1);
    assert!(both.stderr.contains("blind: the recording did not look for errors"), "{}", both.stderr);
    assert!(both.stdout.contains("ERROR SUMMARY: 6 errors from 2 contexts"), "{}", both.stdout);
    let none = vg_errors(&folder, &["--kinds=free", "good", "blind"], b"");
    assert_eq!(none.status, 2, "{}", none.stderr);
}

/// What was read before the cut is either enough for a finding, or there is a line that says why it is no clean result.
#[test]
fn a_trace_cut_at_every_byte_is_never_clean() {
    let whole = trace(BAD);
    let folder = directory("cut");
    let mut reports = 0;
    for cut in 0..whole.len() {
        let outcome = vg_errors(&folder, &["--format=json"], &whole[..cut]);
        assert!(!outcome.stderr.is_empty(), "cut at {cut}");
        assert!(outcome.stderr.lines().all(|line| line.starts_with("vg-errors: ")), "{}", outcome.stderr);
        if !outcome.stdout.is_empty() {
            let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
            assert_eq!(json["complete"], false);
            let found = json["errors"].as_array().is_some_and(|errors| !errors.is_empty());
            assert_eq!(outcome.status, if found { 1 } else { 2 }, "cut at {cut}");
            reports += usize::from(found);
        } else {
            assert_eq!(outcome.status, 2, "cut at {cut}");
        }
    }
    assert!(reports > 0, "a cut behind an error leaves a report");
}

#[test]
fn flipped_bits_never_end_in_a_panic() {
    let folder = directory("flip");
    for (name, format) in
        [("accesses", "text"), ("values", "xml"), ("calls", "sarif"), ("descriptors", "json")]
    {
        let whole = golden_trace(name);
        for at in (0..whole.len()).step_by(37) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let outcome = vg_errors(&folder, &["--kinds=all", "--source", "--format", format], &bytes);
            assert!(matches!(outcome.status, 0..=2), "{name}: byte {at}: status {}", outcome.status);
            assert!(!outcome.stderr.contains("panicked"), "{name}: byte {at}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = directory("pipe");
    // Enough text to fill the pipe.
    let (head, _) = BAD.split_once("\nexit").unwrap();
    let mut text = head.to_owned();
    for i in 0..2000 {
        text += &format!("\nstack s{i} f{i}|/home/u/a.c|{}| < main|/home/u/a.c|9|", i + 1);
        text += &format!("\nerror 1 {} UninitCondition stack=s{i}", i + 3);
    }
    std::fs::write(folder.join("trace.capnp"), trace(&(text + "\nexit 1 0\ntrailer"))).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_vg-errors"))
        .arg(folder.join("trace.capnp"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(1), "the findings still count");
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let folder = directory("full");
    std::fs::write(folder.join("trace.capnp"), trace(BAD)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vg-errors"))
        .arg(folder.join("trace.capnp"))
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(message, "vg-errors: cannot write the report: No space left on device\n");
}

#[test]
fn json_has_the_documented_shape() {
    let outcome = run("json", &["--format=json"], &trace(BAD));
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&json["schema"], &json["complete"]), (&1.into(), &true.into()));
    let summary = &json["summary"];
    assert_eq!(
        (&summary["errors"], &summary["contexts"], &summary["suppressed"]),
        (&6.into(), &2.into(), &0.into())
    );
    let error = &json["errors"][0];
    assert_eq!(
        (&error["kind"], &error["size"], &error["count"], &error["thread"], &error["address"]),
        (&"InvalidRead".into(), &4.into(), &5.into(), &1.into(), &"0x1028".into())
    );
    assert!(error["message"].as_str().is_some_and(|message| message.starts_with("f (a.c:3) reads 4 bytes")));
    let block = &error["block"];
    assert_eq!(
        (&block["state"], &block["size"], &block["offset"], &block["position"]),
        (&"live".into(), &40.into(), &0.into(), &"after".into())
    );
    assert_eq!(block["allocated"][0]["function"], "f");
    assert_eq!(block["freed"], serde_json::json!([]));
    assert!(error["origin"].is_null());
    assert_eq!(json["errors"][1]["origin"]["kind"], "heap");
    assert_eq!(json["errors"][1]["origin"]["stack"][1]["function"], "main");
    let frame = &error["stack"][0];
    assert_eq!(
        (&frame["function"], &frame["file"], &frame["line"], &frame["inlined"]),
        (&"f".into(), &"/home/u/a.c".into(), &3.into(), &false.into())
    );
}

#[test]
fn source_lines_are_shown_when_the_file_is_there() {
    let folder = directory("source");
    let file = folder.join("a.c");
    let trace = trace(&BAD.replace("/home/u/a.c", &file.display().to_string()));
    let without = vg_errors(&folder, &["--source=1"], &trace).stdout;
    std::fs::write(&file, "int f(int *p)\n{\n\treturn p[10];\n}\n").unwrap();
    let with = vg_errors(&folder, &["--source=1"], &trace).stdout;
    assert!(!without.contains(" | "), "{without}");
    assert!(with.contains("     2 | {\n   > 3 |     return p[10];\n     4 | }\nInvalid read"), "{with}");
    assert!(!vg_errors(&folder, &[] as &[&str], &trace).stdout.contains(" | "), "off by default");
}

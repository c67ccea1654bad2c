//! Exit statuses, errors in one line, where input comes from, damaged input.

use crate::support::{Outcome, directory, trace, vg_leaks};
use std::process::{Command, Stdio};

const LEAK: &str = "
header ./a
process 1 root 0 10 /home/u/a ./a
stack f malloc||| < f|/home/u/a.c|3| < main|/home/u/a.c|9|
alloc 1 2 32
snapshot 1 1 exit
block A 0x1000 32 f
block B 0x2000 32 f
edge A+0 B
root data 0x10 0 A+8
end
exit 1 0
trailer";

fn run(name: &str, arguments: &[&str], stdin: &[u8]) -> Outcome {
    vg_leaks(&directory(name), arguments, stdin)
}

#[test]
fn exit_statuses() {
    let trace = trace(LEAK);
    let status = |arguments: &[&str]| run("exit", arguments, &trace).status;
    assert_eq!(status(&[]), 1);
    assert_eq!(status(&["--kinds=possible"]), 1);
    assert_eq!(status(&["--kinds=definite"]), 0);
    assert_eq!(status(&["--kinds=none"]), 0);
    assert_eq!(status(&["--error-exitcode=42"]), 42);
    assert_eq!(status(&["--error-exitcode=0"]), 0);
    assert_eq!(status(&["--kinds=definite", "--error-exitcode=42"]), 0);
    assert_eq!(status(&["--min-bytes=64"]), 1);
    assert_eq!(status(&["--min-bytes=65"]), 0);
    assert_eq!(status(&["--leak-check=summary"]), 1);
    assert_eq!(status(&["--leak-check=no"]), 0);
    assert_eq!(status(&["-"]), 1);
    assert_eq!(status(&["-", "-"]), 2);
    assert_eq!(status(&["no-such-trace"]), 2);
    assert_eq!(status(&["."]), 2);
    assert_eq!(status(&["--kinds=lost"]), 2);
    assert_eq!(status(&["--no-such-option"]), 2);
    assert_eq!(status(&["--help"]), 0);
    assert_eq!(status(&["--version"]), 0);
}

#[test]
fn errors_are_one_line_that_names_the_thing() {
    let all: [(&[&str], &[u8], &str); 8] = [
        (&["no-such-trace"], b"", "vg-leaks: no-such-trace: No such file or directory\n"),
        (&[], b"", "vg-leaks: stdin: empty; did vg-record say why it wrote nothing?\n"),
        (&[], b"#!/bin/sh\necho no trace\n", "vg-leaks: stdin: this is not a trace that can be read"),
        (&["--kinds=lost"], b"", "'lost'; use all, none, or a list of definite,indirect,possible,reachable"),
        (&["--show-reachable=maybe"], b"", "use yes or no"),
        (&["--format=xml"], b"", "possible values: text, json, csv"),
        (&["--num-callers=0"], b"", "1..=500"),
        (&["--leak-check-heuristics=x"], b"", "unknown heuristic 'x'"),
    ];
    for (arguments, stdin, expected) in all {
        let outcome = run("errors", arguments, stdin);
        assert_eq!(outcome.status, 2, "{arguments:?}");
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert!(
            outcome.stderr.starts_with("vg-leaks: ") && outcome.stderr.lines().count() == 1,
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn help_names_every_option_of_the_manual() {
    let help = run("help", &["--help"], b"").stdout;
    for option in [
        "--kinds",
        "--show-leak-kinds",
        "--errors-for-leak-kinds",
        "--leak-check",
        "--show-reachable",
        "--num-callers",
        "--leak-resolution",
        "--leak-check-heuristics",
        "--min-bytes",
        "--sort",
        "--tree",
        "--who-points-at",
        "--cycles",
        "--show-internal-frames",
        "--format",
        "--error-exitcode",
        "--color",
        "--process",
        "--snapshot",
        "Exit status:",
    ] {
        assert!(help.contains(option), "{option}");
    }
}

/// What was read before the cut is either enough for a report, or there is a line that says why not.
#[test]
fn a_trace_cut_at_every_byte_gives_an_answer_or_a_reason() {
    let whole = trace(LEAK);
    let folder = directory("cut");
    let mut reports = 0;
    for cut in 0..whole.len() {
        let outcome = vg_leaks(&folder, &["--format=json"], &whole[..cut]);
        assert!(!outcome.stderr.is_empty(), "cut at {cut}");
        assert!(outcome.stderr.lines().all(|line| line.starts_with("vg-leaks: ")), "{}", outcome.stderr);
        match outcome.status {
            1 => {
                let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
                assert_eq!(json["complete"], false);
                reports += 1;
            }
            status => assert_eq!((status, outcome.stdout.as_str()), (2, ""), "cut at {cut}"),
        }
    }
    assert!(reports > 0, "a cut behind the snapshot leaves a report");
}

#[test]
fn flipped_bits_never_end_in_a_panic() {
    let whole = trace(LEAK);
    let folder = directory("flip");
    for at in (0..whole.len()).step_by(11) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let outcome = vg_leaks(&folder, &["--kinds=all", "--tree", "--cycles"], &bytes);
        assert!(matches!(outcome.status, 0..=2), "byte {at}: status {}", outcome.status);
        assert!(!outcome.stderr.contains("panicked"), "byte {at}: {}", outcome.stderr);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = directory("pipe");
    // Enough text to fill the pipe.
    let mut text = LEAK.split("snapshot").next().unwrap().to_owned();
    for i in 0..3000 {
        text +=
            &format!("\nstack s{i} malloc||| < function_{i}|/home/u/a.c|{}| < main|/home/u/a.c|9|", i + 1);
    }
    text += "\nsnapshot 1 1 exit";
    for i in 0..3000 {
        text += &format!("\nblock B{i} {} 8 s{i}", 4096 + i * 16);
    }
    text += "\nend\nexit 1 0\ntrailer";
    std::fs::write(folder.join("trace.capnp"), trace(&text)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_vg-leaks"))
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
    std::fs::write(folder.join("trace.capnp"), trace(LEAK)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vg-leaks"))
        .arg(folder.join("trace.capnp"))
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(message, "vg-leaks: cannot write the report: No space left on device\n");
}

#[test]
fn json_has_the_documented_shape() {
    let outcome = run("json", &["--format=json", "--kinds=all"], &trace(LEAK));
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["command"], serde_json::json!(["./a"]));
    assert_eq!(json["complete"], true);
    let possible = serde_json::json!({"bytes": 64, "blocks": 2});
    assert_eq!(json["summary"]["possible"], possible);
    for kind in ["definite", "indirect", "reachable", "suppressed"] {
        assert_eq!(json["summary"][kind], serde_json::json!({"bytes": 0, "blocks": 0}), "{kind}");
    }
    let record = &json["records"][0];
    assert_eq!(json["records"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&record["kind"], &record["bytes"], &record["blocks"]),
        (&"possible".into(), &64.into(), &2.into())
    );
    assert_eq!((&record["direct_bytes"], &record["indirect_bytes"]), (&64.into(), &0.into()));
    let frame = &record["stack"][1];
    assert_eq!(
        (&frame["function"], &frame["file"], &frame["line"]),
        (&"f".into(), &"/home/u/a.c".into(), &3.into())
    );
    assert_eq!((&frame["module"], &frame["inlined"]), (&"".into(), &false.into()));
}

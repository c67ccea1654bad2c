//! The `capnp` program (Debian: capnproto) understands traces and agrees with the committed request.
//!
//! The tests say so and pass when it is not installed: nothing in the build needs it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use schema::write::Codec;

use crate::sample::{messages, write};

fn installed() -> bool {
    let found = Command::new("capnp").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: the program capnp is not installed (Debian package capnproto)");
    }
    found
}

fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn capnp_decodes_a_trace() {
    if !installed() {
        return;
    }
    let all = messages();
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let mut child = Command::new("capnp")
            .args(["decode", "--short", "trace.capnp", "Message"])
            .current_dir(directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("capnp starts");
        // The output of this small trace fits into the pipe while the input is written.
        child.stdin.take().expect("piped").write_all(&write(&all, codec)).expect("capnp reads");
        let output = child.wait_with_output().expect("capnp ends");
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), all.len(), "{text}");
        for (line, number) in lines.iter().zip(0..) {
            assert!(line.starts_with(&format!("(seq = {number}, ")), "{line}");
        }
        for part in [
            "header = (formatVersion = 2, id = \"0123456789abcdef\", tool = \"vg-record 0.1.0\"",
            "strings = (firstId = 1, bytes = \"setup()_Z5setupvleaky.cc",
            "stacks = (firstId = 1, parent = [0, 1], frame = [1, 2])",
            "chunk = (kind = 1, process = 1, count = 5, firstTime = 100, lastTime = 400, columns = [(id = 1, ",
            "snapshotEnd = (process = 1, snapshot = 1, blocks = 3, roots = 2, edges = 2, scanned = 4096)",
            "executions = (process = 1, thread = 2, count = 1, columns = [(id = 1, ",
            "jumps = (process = 1, thread = 2, count = 1, columns = [(id = 1, ",
            "places = (firstId = 3, ends = [1], function = [1], rawName = [2], file = [3], line = [30], column = [5])",
            "codeLines = (module = 2, count = 1, columns = [(id = 1, ",
            "errors = [(number = 1, process = 1, thread = 2, kind = 1, count = 3, time = 610, ",
            "trailer = (time = 800, how = 1, value = 11, complete = false, messages = ",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }
}

/// Rust code for a compiled request. Requests themselves hold the version of the compiler and differ.
fn generate(request: &[u8], name: &str) -> String {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&out).expect("a directory for the test");
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(out.clone())
        .default_parent_module(vec!["raw".to_owned()])
        .run(request)
        .expect("the request is good");
    fs::read_to_string(out.join("trace_capnp.rs")).expect("code was generated")
}

#[test]
fn the_committed_request_is_up_to_date() {
    if !installed() {
        return;
    }
    // The command of regenerate.sh.
    let output = Command::new("capnp")
        .args(["compile", "-o-", "trace.capnp"])
        .current_dir(directory())
        .output()
        .expect("capnp starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed = fs::read(directory().join("trace.cgr")).expect("it is committed");
    assert!(
        generate(&output.stdout, "fresh") == generate(&committed, "committed"),
        "trace.cgr is older than trace.capnp: run schema/regenerate.sh"
    );
}

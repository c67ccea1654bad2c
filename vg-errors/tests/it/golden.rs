//! Reports on small traces, each with its input and what is expected in one file of `tests/golden/`.
//!
//! A file begins with a trace (see `support`); then for each run a line `== vg-errors ARGUMENTS` (with the trace as
//! `trace.capnp` in the current directory and on stdin), its output, `== stderr` and its output when there is any, and
//! `== status N`. `VG_BLESS=1 cargo test -p vg-errors` writes what the program says now into the files.

use crate::support;

use std::fmt::Write as _;
use std::path::Path;

#[test]
fn reports_are_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{} has only {} files", folder.display(), files.len());
    let bless = std::env::var_os("VG_BLESS").is_some_and(|value| value == "1");
    let mut different = Vec::new();
    for file in files {
        let expected = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let actual = rerun(name, &expected);
        if actual != expected {
            if bless {
                std::fs::write(&file, actual).unwrap();
            } else {
                different.push(format!("{}:\n{}", file.display(), first_difference(&expected, &actual)));
            }
        }
    }
    assert!(different.is_empty(), "{}\nVG_BLESS=1 accepts what the program says now", different.join("\n"));
}

/// The file as it would be if every run were as expected.
fn rerun(name: &str, file: &str) -> String {
    let (description, _) = file.split_once("\n== vg-errors").unwrap_or_else(|| panic!("{name}: no run"));
    let trace = support::trace(description);
    let directory = support::directory(&format!("golden-{name}"));
    std::fs::write(directory.join("trace.capnp"), &trace).unwrap();
    let mut out = format!("{}\n", description.trim_end());
    for line in file.lines().filter_map(|line| line.strip_prefix("== vg-errors")) {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let outcome = support::vg_errors(&directory, &arguments, &trace);
        write!(out, "\n== vg-errors{line}\n{}", outcome.stdout).unwrap();
        if !outcome.stderr.is_empty() {
            write!(out, "== stderr\n{}", outcome.stderr).unwrap();
        }
        writeln!(out, "== status {}", outcome.status).unwrap();
    }
    out
}

fn first_difference(expected: &str, actual: &str) -> String {
    let (mut e, mut a) = (expected.lines(), actual.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (e, a) = (e.next(), a.next());
        if e != a || e.is_none() {
            return format!(
                "  line {number}\n  expected: {}\n  actual:   {}",
                e.unwrap_or("(end of the file)"),
                a.unwrap_or("(end of the output)")
            );
        }
    }
}

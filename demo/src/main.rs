//! `cargo demo`: builds the tools and the bundled leaking example, then pipes the recording of it into `vg-leaks`.
//!
//! Always holds: the command line that is shown is the one that runs, so that it can be pasted into a shell; the exit
//! status is 0 only when the recording worked and leaks were found. Not here: the example, which is
//! `tests/programs/leaks/demo.rs`.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What `cargo build` is asked for.
const PRODUCTS: [&str; 8] = [
    "build",
    "--release",
    "-p=vg-record",
    "-p=vg-leaks",
    "-p=tests",
    "--bin=vg-record",
    "--bin=vg-leaks",
    "--example=leaky",
];

/// The status with which `vg-leaks` says that there are findings.
const FINDINGS: i32 = 1;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("demo: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err("only x86-64 Linux programs can be recorded; run this on such a machine".to_owned());
    }
    // The same settings and the same current directory as the cargo that started us, so the same target directory.
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let status = cargo.args(PRODUCTS).status().map_err(|error| cannot("start cargo", error))?;
    if !status.success() {
        return Err("building vg-record, vg-leaks and the example failed".to_owned());
    }

    let exe = env::current_exe().map_err(|error| cannot("find the built programs", error))?;
    let folder = exe.parent().map(from_here).ok_or("this program lies in no directory")?;
    let (record, leaks) = (folder.join("vg-record"), folder.join("vg-leaks"));
    let example = folder.join("examples/leaky");
    let kinds = "--kinds=definite,indirect";
    println!("$ {} {} | {} {kinds}", record.display(), example.display(), leaks.display());

    let mut recording = Command::new(&record)
        .arg(&example)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot("start vg-record", error))?;
    let trace = recording.stdout.take().ok_or("vg-record has no standard output")?;
    let leaks = Command::new(&leaks).arg(kinds).stdin(trace).status();
    let recording = recording.wait().map_err(|error| cannot("wait for vg-record", error))?;
    let leaks = leaks.map_err(|error| cannot("start vg-leaks", error))?;

    if !recording.success() {
        return Err(format!("vg-record should have ended with status 0, but: {recording}"));
    }
    if leaks.code() != Some(FINDINGS) {
        return Err(format!(
            "vg-leaks should have found leaks and ended with status {FINDINGS}, but: {leaks}"
        ));
    }
    println!("\nvg-leaks ended with status {FINDINGS}, which means that it found leaks.");
    Ok(())
}

fn cannot(what: &str, error: impl Display) -> String {
    format!("cannot {what}: {error}")
}

/// A path that can be typed from the current directory; commands need at least one slash in it.
fn from_here(path: &Path) -> PathBuf {
    let short = env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    match short {
        Some(short) if short.as_os_str().is_empty() => PathBuf::from("."),
        Some(short) => short,
        None => path.to_owned(),
    }
}

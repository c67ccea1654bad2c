//! Transparency corpus: real programs that nobody here wrote, each run natively and recorded in the same fresh
//! directory with the same input, must print the same and end the same way.
//!
//! What always holds: both runs begin with equal files with equal times; a case whose programs are missing is
//! ignored with the reason; a case that cannot pass yet stands in the table with the reason.
//!
//! Not here: programs of our own (`programs.rs`).

#[path = "corpus/cases.rs"]
mod cases;

use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use cases::{CASES, Case, Errors};
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::{compare, tools};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for case in CASES {
        let known = case.known.map(str::to_owned);
        if case.long {
            suite.long_case(case.name, known, || both_ways(case));
        } else {
            suite.case(case.name, known, || both_ways(case));
        }
    }
    suite.run()
}

fn both_ways(case: &Case) -> Verdict {
    for program in case.needs {
        need(program)?;
    }
    let argv = command(case)?;
    let scratch = Scratch::new("corpus")?;
    let native = run(case, &scratch, argv.clone())?;
    if !case.ends.is_empty() && native.ending() != case.ends {
        return Err(Problem::wrong(format!("natively not {}: {}", case.ends, native.summary())));
    }
    if std::env::var_os("VG_NATIVE_ONLY").is_some() {
        return Err(Problem::skip(format!("VG_NATIVE_ONLY: passed natively in {:.1?}", native.took)));
    }
    let trace = scratch.path().join("trace.capnp");
    let mut recorded_argv = vec![tools::tool("vg-record")?.display().to_string()];
    recorded_argv.extend(tools::without_counts(&[]));
    recorded_argv.extend(["-o".into(), trace.display().to_string(), "--".into()]);
    recorded_argv.extend(argv);
    let recorded = run(case, &scratch, recorded_argv)?;
    match case.errors {
        Errors::Same => compare::outcomes(&native, &recorded, true)?,
        Errors::Ignored => compare::outcomes(&native, &recorded, false)?,
        Errors::TestCounts => {
            compare::outcomes(&with_counts(&native), &with_counts(&recorded), true)?;
        }
    }
    compare::trace(&trace, !case.partial)
}

/// The command with `PYTHON` replaced by an interpreter that has its test package.
fn command(case: &Case) -> Result<Vec<String>, Problem> {
    let mut argv: Vec<String> = case.argv.iter().map(|word| (*word).to_owned()).collect();
    if argv[0] == "PYTHON" {
        argv[0] = python_with_tests()?;
    }
    Ok(argv)
}

fn python_with_tests() -> Result<String, Problem> {
    let script = "import sys, test.test_json; print(sys.executable)";
    // A version manager finds its interpreters below the real HOME.
    let home = std::env::var("HOME").unwrap_or_default();
    let scratch = Scratch::new("python")?;
    for name in ["python3", "/usr/bin/python3"] {
        let outcome = Run::new([name, "-c", script], scratch.path()).env("HOME", &home).run();
        if let Ok(outcome) = outcome
            && outcome.code() == Some(0)
        {
            return Ok(outcome.out().trim().to_owned());
        }
    }
    Err(Problem::skip("no python3 with its test package"))
}

fn run(case: &Case, scratch: &Scratch, argv: Vec<String>) -> Result<Outcome, Problem> {
    let cwd = scratch.fresh("cwd")?;
    fixture(&cwd)?;
    let deadline = Duration::from_secs(case.seconds);
    if !case.prepare.is_empty() {
        let prepared = Run::new(["bash", "-ec", case.prepare], &cwd).timeout(deadline).run()?;
        if prepared.code() != Some(0) {
            return Err(Problem::skip(format!("cannot be prepared: {}", prepared.summary())));
        }
    }
    let run = Run::new(argv, &cwd).stdin(case.stdin).timeout(deadline);
    Ok(case.env.iter().fold(run, |run, (name, value)| run.env(name, value)).run()?)
}

/// Files that every case finds in its directory, with times that do not change.
fn fixture(cwd: &Path) -> std::io::Result<()> {
    let mut text = String::new();
    let mut state = 1_u32;
    for line in 0..4000_u32 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
        let word = words[(state >> 16) as usize % words.len()];
        text.push_str(&format!("{line} {word} {} {:x}\n", state >> 20, state));
    }
    fs::write(cwd.join("data.txt"), &text)?;
    fs::create_dir_all(cwd.join("tree/deep/deeper"))?;
    for (index, part) in text.as_bytes().chunks(20_000).enumerate() {
        let folder = ["tree", "tree/deep", "tree/deep/deeper"][index % 3];
        fs::write(cwd.join(format!("{folder}/part{index}.txt")), part)?;
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    set_times(cwd, time)
}

fn set_times(path: &Path, time: SystemTime) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            set_times(&entry?.path(), time)?;
        }
    }
    File::open(path)?.set_modified(time)
}

/// The outcome with nothing left but the result lines of a test runner, without their times.
fn with_counts(outcome: &Outcome) -> Outcome {
    let kept: Vec<String> = outcome
        .err()
        .lines()
        .filter(|line| ["Ran ", "OK", "FAILED", "ERROR:", "FAIL:"].iter().any(|word| line.starts_with(word)))
        .map(|line| line.split(" in ").next().unwrap_or(line).to_owned() + "\n")
        .collect();
    Outcome { stdout: Vec::new(), stderr: kept.concat().into_bytes(), ..outcome.clone() }
}

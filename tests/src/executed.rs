//! Recordings of what a program executes, and what vg-annotate says of them.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, Run, Scratch};
use crate::suite::{Problem, Verdict};
use crate::tools;

/// Records `exe`, which must pass, and gives the trace and what the program said.
pub fn record(options: &[&str], exe: &Path, scratch: &Scratch) -> Result<(PathBuf, Outcome), Problem> {
    let (trace, outcome) = record_command(options, &[exe.display().to_string()], scratch)?;
    if outcome.out() != "EXIT-SUCCESS\n" {
        return Err(Problem::wrong(format!("{options:?}: {}", outcome.summary())));
    }
    Ok((trace, outcome))
}

/// Records a command, which must end with 0, and gives the trace and what the program said.
pub fn record_command(
    options: &[&str],
    command: &[String],
    scratch: &Scratch,
) -> Result<(PathBuf, Outcome), Problem> {
    let trace = scratch.path().join("trace.capnp");
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(options.iter().map(|option| (*option).to_owned()));
    argv.extend(["-o".into(), trace.display().to_string(), "--".into()]);
    argv.extend(command.iter().cloned());
    let outcome = Run::new(argv, &scratch.fresh("cwd")?).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(format!("{options:?}: {}", outcome.summary())));
    }
    Ok((trace, outcome))
}

/// The numbers that a program has written to standard error.
pub fn told(outcome: &Outcome) -> Vec<u64> {
    let error = outcome.err();
    let line = error.lines().find(|line| !line.starts_with("vg-record: ")).unwrap_or_default();
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Holds two values against each other.
pub fn same<T: PartialEq + Debug>(what: &str, expected: &T, found: &T) -> Verdict {
    if expected == found {
        return Ok(());
    }
    Err(Problem::wrong(format!("{what}:\nexpected {expected:?}\nfound    {found:?}")))
}

/// Runs vg-annotate, which must not panic.
pub fn annotate(options: &[&str], trace: &Path) -> Result<Outcome, Problem> {
    let mut argv = vec![tools::tool("vg-annotate")?.display().to_string()];
    argv.extend(options.iter().map(|option| (*option).to_owned()));
    argv.push(trace.display().to_string());
    let outcome = Run::new(argv, &std::env::temp_dir()).run()?;
    if !matches!(outcome.code(), Some(0 | 2)) || outcome.err().contains("panicked") {
        return Err(Problem::wrong(format!("vg-annotate {}", outcome.summary())));
    }
    Ok(outcome)
}

//! The front of every suite: named cases with a filter argument, skips with a reason, known failures that must
//! be removed once they pass.
//!
//! What always holds: a known failure runs; when it fails the case is reported as ignored with its reason, and
//! when it passes the suite fails, so that the list of known failures stays true.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::Path;
use std::process::ExitCode;

use crate::tools;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Problem {
    /// It cannot run here; the reason is printed.
    Skip(String),
    /// It ran and something is wrong.
    Wrong(String),
}

impl Problem {
    /// A failure.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self::Wrong(text.into())
    }

    /// A skip.
    pub fn skip(text: impl Into<String>) -> Self {
        Self::Skip(text.into())
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Wrong(text)
    }
}

/// What a case gives.
pub type Verdict = Result<(), Problem>;

/// A suite under construction.
#[derive(Debug, Default)]
pub struct Suite {
    trials: Vec<Trial>,
}

/// Whether the long cases and the full numbers of the gates are asked for.
pub fn is_long() -> bool {
    std::env::var_os("VG_LONG").is_some_and(|value| value == "1")
}

impl Suite {
    /// An empty suite.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a case. `known` is the reason why it cannot pass yet.
    pub fn case(
        &mut self,
        name: impl Into<String>,
        known: Option<String>,
        body: impl FnOnce() -> Verdict + Send + 'static,
    ) {
        self.trials.push(trial(name.into(), known, body));
    }

    /// Adds a case that runs only with `--include-ignored`, `--ignored` or `VG_LONG=1`.
    pub fn long_case(
        &mut self,
        name: impl Into<String>,
        known: Option<String>,
        body: impl FnOnce() -> Verdict + Send + 'static,
    ) {
        let asked = is_long();
        self.trials.push(trial(name.into(), known, body).with_ignored_flag(!asked));
    }

    /// Runs what the command line selects, at most two cases at a time unless it says otherwise.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        if arguments.test_threads.is_none() {
            arguments.test_threads = Some(2);
        }
        let conclusion = libtest_mimic::run(&arguments, self.trials);
        conclusion.exit_code()
    }
}

fn trial(name: String, known: Option<String>, body: impl FnOnce() -> Verdict + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match (body(), known) {
        (Ok(()), None) => Ok(Completion::Completed),
        (Ok(()), Some(reason)) => {
            Err(Failed::from(format!("it passes now: remove its known failure ({reason})")))
        }
        (Err(Problem::Skip(reason)), _) => Ok(Completion::ignored_with(format!("skipped: {reason}"))),
        (Err(Problem::Wrong(_)), Some(reason)) => {
            Ok(Completion::ignored_with(format!("known failure: {reason}")))
        }
        (Err(Problem::Wrong(text)), None) => Err(Failed::from(text)),
    })
}

/// A skip when `program` is not installed.
pub fn need(program: &str) -> Verdict {
    match tools::which(program) {
        Some(_) => Ok(()),
        None => Err(Problem::Skip(format!("{program} is not installed"))),
    }
}

/// `name` of a file without directory and extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

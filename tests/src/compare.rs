//! Compares a native run with a recorded one, and asks the readers about the trace that it left.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::run::{Outcome, Run};
use crate::suite::{Problem, Verdict};
use crate::{diff, tools};

/// Prefix of what the recorder itself says on the guest's standard error.
const OWN_PREFIX: &str = "vg-record: ";

/// Equal standard output and ending, and equal standard error without the recorder's own lines.
pub fn outcomes(native: &Outcome, recorded: &Outcome, errors: bool) -> Verdict {
    let mut text = String::new();
    if native.ending() != recorded.ending() {
        let _ = writeln!(text, "ends with {} natively, {} recorded", native.ending(), recorded.ending());
    }
    if native.stdout != recorded.stdout {
        let difference = diff::lines(&native.out(), &recorded.out(), 20);
        let _ = writeln!(text, "stdout: {}", difference.unwrap_or_else(|| "differs in bytes".to_owned()));
    }
    let recorded_errors: String =
        recorded.err().split_inclusive('\n').filter(|line| !line.starts_with(OWN_PREFIX)).collect();
    if errors && let Some(difference) = diff::lines(&native.err(), &recorded_errors, 20) {
        let _ = writeln!(text, "stderr: {difference}");
    }
    if text.is_empty() {
        return Ok(());
    }
    let _ = write!(text, "recorded {}", recorded.summary());
    Err(Problem::Wrong(text))
}

/// The trace is readable, and complete if that is asked; otherwise the reader may also say why it gives no report.
pub fn trace(trace: &Path, complete: bool) -> Verdict {
    let argv = [
        tools::tool("vg-leaks")?.display().to_string(),
        "--format=json".to_owned(),
        trace.display().to_string(),
    ];
    let outcome = Run::new(argv, &std::env::temp_dir()).timeout(Duration::from_secs(120)).run()?;
    // The leak scan of a process that was killed is lost, which the reader must say.
    let lost = !complete && outcome.code() == Some(2) && !outcome.stderr.is_empty();
    if lost {
        return Ok(());
    }
    if !matches!(outcome.code(), Some(0 | 1)) {
        return Err(Problem::wrong(format!("vg-leaks on the trace: {}", outcome.summary())));
    }
    let json: serde_json::Value = serde_json::from_slice(&outcome.stdout)
        .map_err(|error| Problem::wrong(format!("vg-leaks wrote no JSON: {error}")))?;
    if complete && json["complete"] != true {
        return Err(Problem::wrong(format!("the trace is not complete: {}", outcome.err())));
    }
    Ok(())
}

//! Errors as the suites compare them: expectations beside a guest's lines, vg-errors' JSON, Valgrind's log.
//!
//! What always holds: an error belongs to the innermost frame that lies in the guest's own source file, and is compared
//! once for each kind, size and line.

use crate::leaks;
use crate::run::Run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// An error of the program under test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Error {
    /// Line in the guest's source; `None` when no frame lies in it.
    pub line: Option<u32>,
    /// Valgrind's name of its kind.
    pub kind: String,
    /// Bytes accessed, or the length that was given for a copy.
    pub size: u64,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: ")?,
            None => f.write_str("elsewhere: ")?,
        }
        write!(f, "{} {}", self.kind, self.size)
    }
}

/// The expectations `//~ KIND SIZE` of a source; several on a line repeat the mark.
pub fn expectations(text: &str) -> Result<BTreeSet<Error>, String> {
    let mut found = BTreeSet::new();
    for (line, text) in (1..).zip(text.lines()) {
        for mark in text.split("//~").skip(1) {
            let mut words = mark.split_whitespace();
            let (kind, size) = (words.next(), words.next().and_then(|size| size.parse().ok()));
            let (Some(kind), Some(size), None) = (kind, size, words.next()) else {
                return Err(format!("line {line}: bad expectation {mark:?}"));
            };
            found.insert(Error { line: Some(line), kind: kind.to_owned(), size });
        }
    }
    Ok(found)
}

/// Reads `vg-errors --format=json`; `source` is the file name of the guest's source.
pub fn from_json(text: &str, source: &str) -> Result<BTreeSet<Error>, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if json["schema"] != 1 {
        return Err(format!("schema is {}, not 1", json["schema"]));
    }
    let mut found = BTreeSet::new();
    for error in json["errors"].as_array().ok_or("no errors")? {
        let stack = error["stack"].as_array().ok_or("an error without a stack")?;
        let own = stack
            .iter()
            .find(|frame| frame["file"].as_str().is_some_and(|file| leaks::is_file(file, source)));
        found.insert(Error {
            line: own.and_then(|frame| frame["line"].as_u64()).and_then(|line| u32::try_from(line).ok()),
            kind: error["kind"].as_str().unwrap_or_default().to_owned(),
            size: error["size"].as_u64().unwrap_or(0),
        });
    }
    Ok(found)
}

/// Reads the log of memcheck.
pub fn from_log(text: &str, source: &str) -> BTreeSet<Error> {
    let mut found = BTreeSet::new();
    let mut open: Option<Error> = None;
    for line in crate::peer::lines(text) {
        if let Some(error) = headline(line) {
            open = Some(error);
        } else if let Some(error) = &mut open
            && let Some((file, number)) = crate::peer::position(line)
            && file == source
        {
            error.line = Some(number);
            found.extend(open.take());
        } else if !line.starts_with("at ") && !line.starts_with("by ") {
            // What follows is about the address.
            found.extend(open.take());
        }
    }
    found.extend(open);
    found
}

/// `Invalid read of size 4`, or `Source and destination overlap in memcpy(0x4a8e040, 0x4a8e045, 20)`: without a length, of
/// size 0.
fn headline(line: &str) -> Option<Error> {
    if let Some(call) = line.strip_prefix("Source and destination overlap in ") {
        let arguments = call.split_once('(')?.1.strip_suffix(')')?;
        let size = arguments.split(", ").nth(2).map_or(Ok(0), str::parse);
        return Some(Error { line: None, kind: "Overlap".to_owned(), size: size.ok()? });
    }
    let (kind, rest) = [("InvalidRead", "Invalid read of size "), ("InvalidWrite", "Invalid write of size ")]
        .iter()
        .find_map(|(kind, text)| Some((kind, line.strip_prefix(text)?)))?;
    Some(Error { line: None, kind: (*kind).to_owned(), size: rest.trim().parse().ok()? })
}

/// What is different between two lists; empty when nothing is.
pub fn differences(expected: &BTreeSet<Error>, found: &BTreeSet<Error>) -> Vec<String> {
    let unexpected = found.difference(expected).map(|error| format!("not expected: {error}"));
    unexpected.chain(expected.difference(found).map(|error| format!("not found:    {error}"))).collect()
}

/// The options of memcheck for a run of `command` with its log in `log`.
pub fn under_memcheck(command: &[String], log: &str, cwd: &std::path::Path) -> Run {
    let mut argv: Vec<String> =
        ["valgrind", "-q", "--num-callers=40", "--undef-value-errors=no", "--leak-check=no"]
            .map(str::to_owned)
            .to_vec();
    argv.push(format!("--log-file={log}"));
    argv.extend(command.iter().cloned());
    Run::new(argv, cwd)
}

//! Valgrind as the peer: runs a program under memcheck and reads its leak report.
//!
//! What always holds: the reports of all processes of a run are added up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::leaks::{Findings, Kind, Record, Totals};
use crate::run::{Outcome, Run, Scratch};
use crate::suite::{Problem, need};
use crate::tools::which;

/// What a run under memcheck gave.
#[derive(Debug)]
pub struct PeerRun {
    /// Outputs and ending of the program.
    pub outcome: Outcome,
    /// Its leaks.
    pub findings: Findings,
    /// The totals of each leak check, in their order; those of the end come last.
    pub checks: Vec<Totals>,
}

/// How a program is run under memcheck.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// File name of the source for the lines of the records.
    pub source: &'a str,
    /// The deadline.
    pub timeout: Duration,
    /// What starts Valgrind; empty for nothing.
    pub under: &'a [&'a str],
}

impl Peer<'_> {
    /// Runs `command`, whose first word is a path, in `cwd`. A skip when Valgrind is not installed.
    pub fn run(
        &self,
        command: &[String],
        cwd: &Path,
        adapt: impl Fn(Run) -> Run,
    ) -> Result<PeerRun, Problem> {
        need("valgrind")?;
        let logs = Scratch::new("valgrind")?;
        let log = logs.path().join("log.%p");
        let mut argv: Vec<String> = self.under.iter().map(|word| (*word).to_owned()).collect();
        argv.extend(
            ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--num-callers=40"].map(str::to_owned),
        );
        argv.push("--trace-children=yes".into());
        argv.push("--keep-debuginfo=yes".into());
        argv.push(format!("--log-file={}", log.display()));
        argv.extend(command.iter().cloned());
        let outcome = adapt(Run::new(argv, cwd).timeout(self.timeout)).run()?;
        let mut findings = Findings::default();
        let mut checks = Vec::new();
        let mut found = false;
        for entry in fs::read_dir(logs.path())? {
            let text = String::from_utf8_lossy(&fs::read(entry?.path())?).into_owned();
            found |= text.contains("HEAP SUMMARY");
            read_log(&text, self.source, &mut findings);
            checks.extend(text.split("LEAK SUMMARY").skip(1).map(|text| {
                let mut totals = Totals::new();
                lines(text).for_each(|line| add_total(line, &mut totals));
                totals
            }));
        }
        findings.records.sort();
        if !found {
            return Err(Problem::skip(format!("valgrind gave no leak report: {}", outcome.summary())));
        }
        Ok(PeerRun { outcome, findings, checks })
    }
}

/// The variables that Valgrind adds to the environment of a program run in `cwd`, for programs that copy their
/// environment to the heap. The libraries that it preloads are replaced by as many separators, which load nothing.
pub fn added_variables(cwd: &Path) -> Result<Vec<(String, String)>, Problem> {
    need("valgrind")?;
    let env = which("env").ok_or_else(|| Problem::skip("env is not installed"))?.display().to_string();
    let plain = Run::new([&env], cwd).run()?.out();
    let theirs = Run::new(["valgrind", "-q", &env], cwd).run()?.out();
    let known: Vec<&str> = plain.lines().collect();
    let added = theirs.lines().filter(|line| !known.contains(line)).filter_map(|line| line.split_once('='));
    Ok(added
        .map(|(name, value)| match name {
            "LD_PRELOAD" => (name.to_owned(), ":".repeat(value.len())),
            _ => (name.to_owned(), value.to_owned()),
        })
        .collect())
}

/// The lines of a log, each of which begins with `==PID== `.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| Some(line.split_once("== ")?.1.trim()))
}

fn read_log(text: &str, source: &str, findings: &mut Findings) {
    let mut open: Option<Record> = None;
    for line in lines(text) {
        if let Some(record) = headline(line) {
            findings.records.extend(open.replace(record));
            continue;
        }
        if line.is_empty() {
            findings.records.extend(open.take());
        } else if let Some(record) = &mut open
            && record.line.is_none()
            && let Some((file, number)) = position(line)
            && file == source
        {
            record.line = Some(number);
        }
        add_total(line, &mut findings.totals);
    }
    findings.records.extend(open);
}

/// `16 bytes in 1 blocks are definitely lost in loss record 1 of 3`
fn headline(line: &str) -> Option<Record> {
    let (head, rest) = line.split_once(" bytes in ")?;
    let (blocks, rest) = rest.split_once(" blocks are ")?;
    let (kind, _) = rest.split_once(" in loss record ")?;
    let kind = kind_of(kind)?;
    let mut numbers = head.split(|c: char| !c.is_ascii_digit() && c != ',').filter_map(number);
    let total = numbers.next()?;
    let direct = numbers.next().unwrap_or(total);
    Some(Record { line: None, kind, direct, indirect: total - direct, blocks: number(blocks)? })
}

fn kind_of(words: &str) -> Option<Kind> {
    Some(match words {
        "definitely lost" => Kind::Definite,
        "indirectly lost" => Kind::Indirect,
        "possibly lost" => Kind::Possible,
        "still reachable" => Kind::Reachable,
        _ => return None,
    })
}

fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

/// `by 0x10914A: main (a.c:1)`
pub(crate) fn position(line: &str) -> Option<(&str, u32)> {
    let (_, place) = line.strip_suffix(')')?.rsplit_once('(')?;
    let (file, number) = place.rsplit_once(':')?;
    Some((file, number.parse().ok()?))
}

/// `definitely lost: 16 bytes in 1 blocks`; a check that compares with the one before: `16 (+8) bytes in 1 (+1) blocks`.
fn add_total(line: &str, totals: &mut Totals) {
    let words: Vec<&str> =
        line.split(' ').filter(|word| !word.starts_with("(+") && !word.starts_with("(-")).collect();
    let line = words.join(" ");
    let parse = || {
        let (name, rest) = line.split_once(": ")?;
        let (bytes, rest) = rest.split_once(" bytes in ")?;
        let blocks = rest.strip_suffix(" blocks")?;
        Some((kind_of(name)?, number(bytes)?, number(blocks)?))
    };
    if let Some((kind, bytes, blocks)) = parse() {
        let entry = totals.entry(kind).or_default();
        entry.0 += bytes;
        entry.1 += blocks;
    }
}

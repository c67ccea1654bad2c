//! Leak findings as the suites compare them: expectations beside a guest's lines, vg-leaks' JSON, and totals
//! per kind.
//!
//! What always holds: a finding belongs to the innermost frame that lies in the guest's own source file, so
//! that allocators and standard libraries above it do not matter.
//!
//! Not here: the peer's reports (`peer`).

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// How a block was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No pointer to it was found.
    Definite,
    /// Only pointers in lost blocks.
    Indirect,
    /// Only pointers into its interior.
    Possible,
    /// A chain of pointers from a root.
    Reachable,
}

impl Kind {
    /// All kinds in the order of the reports.
    pub const ALL: [Self; 4] = [Self::Definite, Self::Indirect, Self::Possible, Self::Reachable];

    /// The name in expectations and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Definite => "definite",
            Self::Indirect => "indirect",
            Self::Possible => "possible",
            Self::Reachable => "reachable",
        }
    }

    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One loss record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Line in the guest's source of the innermost frame there; `None` when no frame lies in it.
    pub line: Option<u32>,
    /// Its kind.
    pub kind: Kind,
    /// Bytes in the blocks themselves.
    pub direct: u64,
    /// Bytes in blocks that are lost with them.
    pub indirect: u64,
    /// Number of blocks, without the indirect ones.
    pub blocks: u64,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: ")?,
            None => f.write_str("elsewhere: ")?,
        }
        write!(f, "{} {}", self.kind.name(), self.direct)?;
        if self.indirect != 0 {
            write!(f, "+{}", self.indirect)?;
        }
        write!(f, " {}", self.blocks)
    }
}

/// Bytes and blocks per kind.
pub type Totals = BTreeMap<Kind, (u64, u64)>;

/// All that a report says.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The summary.
    pub totals: Totals,
    /// The loss records.
    pub records: Vec<Record>,
}

impl Findings {
    /// The sums of the records per kind, which the summary must equal when every kind is listed.
    pub fn sums(&self) -> Totals {
        let mut sums = Totals::new();
        for record in &self.records {
            let sum = sums.entry(record.kind).or_default();
            sum.0 += record.direct;
            sum.1 += record.blocks;
        }
        sums
    }
}

/// An expected loss record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    record: Record,
    /// The bytes are a matter of the C library: only kind, line and blocks are compared.
    any_bytes: bool,
    /// Whatever the line allocates belongs to the C library and is not compared.
    any: bool,
}

impl Expected {
    fn matches(&self, record: &Record) -> bool {
        let (a, b) = (&self.record, record);
        let bytes = self.any_bytes || (a.direct, a.indirect) == (b.direct, b.indirect);
        bytes && (a.line, a.kind, a.blocks) == (b.line, b.kind, b.blocks)
    }
}

/// The expectations `//~ KIND BYTES[+INDIRECT] BLOCKS` of a source; several on a line repeat the mark, and `*`
/// stands for any number of bytes. `//~ any` takes whatever the line allocates. An expectation that holds for some variants only names them:
/// `//~{static,musl} KIND ...`.
pub fn expectations(text: &str, variant: &str) -> Result<Vec<Expected>, String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index as u32 + 1;
        for mark in line.split("//~").skip(1) {
            let mut mark = mark.trim();
            if let Some(rest) = mark.strip_prefix('{') {
                let (names, rest) = rest.split_once('}').ok_or(format!("line {number}: no closing brace"))?;
                if !names.split(',').any(|name| name.trim() == variant) {
                    continue;
                }
                mark = rest.trim();
            }
            found.push(parse(number, mark).ok_or(format!("line {number}: bad expectation {mark:?}"))?);
        }
    }
    found.sort();
    Ok(found)
}

fn parse(number: u32, mark: &str) -> Option<Expected> {
    let mut words = mark.split_whitespace();
    let kind = words.next()?;
    if kind == "any" {
        let record = Record { line: Some(number), kind: Kind::Reachable, direct: 0, indirect: 0, blocks: 0 };
        return words.next().is_none().then_some(Expected { record, any_bytes: true, any: true });
    }
    let kind = Kind::parse(kind)?;
    let bytes = words.next()?;
    let any_bytes = bytes == "*";
    let bytes = if any_bytes { "0" } else { bytes };
    let (direct, indirect) = bytes.split_once('+').unwrap_or((bytes, "0"));
    let blocks = words.next()?.parse().ok()?;
    if words.next().is_some() {
        return None;
    }
    let (direct, indirect) = (direct.parse().ok()?, indirect.parse().ok()?);
    Some(Expected {
        record: Record { line: Some(number), kind, direct, indirect, blocks },
        any_bytes,
        any: false,
    })
}

/// Reads `vg-leaks --format=json`; `source` is the file name of the guest's source.
pub fn from_json(text: &str, source: &str) -> Result<Findings, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if json["schema"] != 1 {
        return Err(format!("schema is {}, not 1", json["schema"]));
    }
    let number = |value: &Value, what: &str| value.as_u64().ok_or(format!("{what} is {value}"));
    let mut findings = Findings::default();
    for kind in Kind::ALL {
        let total = &json["summary"][kind.name()];
        let pair = (number(&total["bytes"], "summary bytes")?, number(&total["blocks"], "summary blocks")?);
        findings.totals.insert(kind, pair);
    }
    for record in json["records"].as_array().ok_or("no records")? {
        let name = record["kind"].as_str().unwrap_or_default();
        let direct = number(&record["direct_bytes"], "direct_bytes")?;
        let indirect = number(&record["indirect_bytes"], "indirect_bytes")?;
        let bytes = number(&record["bytes"], "bytes")?;
        if bytes != direct + indirect {
            return Err(format!("a record has {bytes} bytes but {direct} direct and {indirect} indirect"));
        }
        let stack = record["stack"].as_array().ok_or("a record without a stack")?;
        let own = stack.iter().find(|frame| frame["file"].as_str().is_some_and(|file| is_file(file, source)));
        findings.records.push(Record {
            line: own.and_then(|frame| frame["line"].as_u64()).and_then(|line| u32::try_from(line).ok()),
            kind: Kind::parse(name).ok_or(format!("unknown kind {name:?}"))?,
            direct,
            indirect,
            blocks: number(&record["blocks"], "blocks")?,
        });
    }
    findings.records.sort();
    Ok(findings)
}

/// Whether a path ends in this file name.
pub fn is_file(path: &str, name: &str) -> bool {
    path.rsplit('/').next() == Some(name)
}

/// What is different between the expectations and the records in the guest's source; empty when nothing is.
pub fn differences(expected: &[Expected], found: &[Record]) -> Vec<String> {
    let (free, mut missing): (Vec<&Expected>, Vec<&Expected>) =
        expected.iter().partition(|expected| expected.any);
    let is_free = |record: &Record| free.iter().any(|expected| expected.record.line == record.line);
    let mut messages = Vec::new();
    for record in found.iter().filter(|record| record.line.is_some() && !is_free(record)) {
        match missing.iter().position(|expected| expected.matches(record)) {
            Some(index) => {
                missing.remove(index);
            }
            None => messages.push(format!("not expected: {record}")),
        }
    }
    messages.extend(missing.iter().map(|expected| format!("not found:    {}", expected.record)));
    messages
}

/// What is different between two summaries; empty when nothing is.
pub fn total_differences(left: &str, a: &Totals, right: &str, b: &Totals) -> Vec<String> {
    let of = |totals: &Totals, kind| totals.get(&kind).copied().unwrap_or_default();
    Kind::ALL
        .into_iter()
        .filter(|kind| of(a, *kind) != of(b, *kind))
        .map(|kind| {
            let ((x, m), (y, n)) = (of(a, kind), of(b, kind));
            format!("{}: {x} bytes in {m} blocks by {left}, {y} bytes in {n} blocks by {right}", kind.name())
        })
        .collect()
}

//! One JSON object, `"schema": 1`: the snapshots, each detailed one with its tree as a list of entries that name their
//! parents by index.

use crate::callers::Callers;
use crate::options::Options;
use crate::run::Report;
use crate::tree::{Entry, What, tree};
use serde::Serialize;
use std::io::{self, Write};

/// What each document begins with.
#[derive(Serialize)]
pub(crate) struct Head<'a> {
    schema: u32,
    tool: &'static str,
    command: &'a [String],
    process: u32,
    pid: u32,
    complete: bool,
    time_unit: &'static str,
}

impl<'a> Head<'a> {
    pub(crate) fn of(report: &Report<'a>, options: &Options) -> Head<'a> {
        Head {
            schema: 1,
            tool: "vg-massif",
            command: &report.process.image().command,
            process: report.process.number,
            pid: report.process.pid,
            complete: report.is_complete,
            time_unit: options.time_unit.name(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Index of the highest snapshot by the rules.
    peak: Option<usize>,
    snapshots: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    time: u64,
    heap_bytes: u64,
    extra_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<Vec<Node<'a>>>,
}

/// A tree.
pub(crate) type Entries<'a> = Vec<Node<'a>>;

/// The tree of numbers by stack, of `total` in all.
pub(crate) fn entries<'t>(
    detail: &[(u32, u64)],
    callers: &mut Callers<'t>,
    total: u64,
    options: &Options,
) -> Entries<'t> {
    nodes(&tree(detail, callers, total, options.threshold))
}

#[derive(Serialize)]
pub(crate) struct Node<'a> {
    parent: Option<usize>,
    bytes: u64,
    #[serde(flatten)]
    what: Kind<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Kind<'a> {
    Allocators {},
    Function { address: String, function: &'a str, file: &'a str, line: u32, module: &'a str, inlined: bool },
    Places { places: usize },
}

/// Writes a report.
pub(crate) fn write(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    let head = Head::of(report, options);
    let callers = &mut report.callers;
    let snapshots = report.snapshots.iter().map(|snapshot| One {
        time: snapshot.time,
        heap_bytes: snapshot.bytes,
        extra_bytes: snapshot.extra,
        tree: snapshot.detail.as_ref().map(|detail| entries(detail, callers, snapshot.total(), options)),
    });
    let document = Document {
        head,
        peak: report.snapshots.iter().position(|snapshot| snapshot.is_peak),
        snapshots: snapshots.collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}

fn nodes<'t>(entries: &[Entry<'t>]) -> Vec<Node<'t>> {
    // The entries that the next one may lie below.
    let mut above: Vec<usize> = Vec::new();
    let node = |(at, entry): (usize, &Entry<'t>)| {
        above.truncate(entry.depth);
        let parent = above.last().copied();
        above.push(at);
        let what = match entry.what {
            What::Allocators => Kind::Allocators {},
            What::Places(places) => Kind::Places { places },
            What::Function(frame) => Kind::Function {
                address: format!("0x{:X}", frame.address),
                function: frame.function,
                file: frame.file,
                line: frame.line,
                module: frame.module,
                inlined: frame.inlined,
            },
        };
        Node { parent, bytes: entry.bytes, what }
    };
    entries.iter().enumerate().map(node).collect()
}

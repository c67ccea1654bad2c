//! The report for programs: one JSON object with `"schema": 1`.
//!
//! Names and order of the fields that come first are fixed: schema, command, complete, summary, records; in a record
//! kind, bytes, direct_bytes, indirect_bytes, blocks, stack; in a frame function, file, line, module, inlined. Further
//! fields follow them and may grow. What is not known is an empty string or 0. Addresses are strings, since they
//! do not fit into a JSON number everywhere.

use crate::classify::HEURISTICS;
use crate::findings::{Answer, Child, CycleGroup, Listed, Spot, Usage};
use crate::graph::{self, Root};
use crate::options::kind_name;
use crate::records::{Count, Summary};
use crate::run::{Report, Section};
use crate::sentence;
use report::stack;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'a [String],
    complete: bool,
    summary: Summary,
    records: Vec<Record<'a>>,
    processes: Vec<Process<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
}

#[derive(Serialize)]
struct Record<'a> {
    kind: &'static str,
    bytes: u64,
    direct_bytes: u64,
    indirect_bytes: u64,
    blocks: u64,
    stack: Vec<Frame<'a>>,
    message: String,
    process: u32,
    record: usize,
    /// Number of the snapshot, when there may be several of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    /// The frame that the message names.
    site: Option<Frame<'a>>,
    cycle_blocks: u64,
    heuristics: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<Below<'a>>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
    module: &'a str,
    inlined: bool,
    address: String,
    internal: bool,
}

#[derive(Serialize)]
struct Address {
    address: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Below<'a> {
    bytes: u64,
    blocks: u64,
    site: Option<Frame<'a>>,
    children: Vec<Below<'a>>,
}

#[derive(Serialize)]
struct Process<'a> {
    process: u32,
    pid: u32,
    parent: u32,
    command: &'a [String],
    executable: &'a str,
    trace: &'a str,
    snapshot: u32,
    in_use: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap: Option<Usage>,
    summary: Summary,
    loss_records: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles: Option<Vec<Cycle<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    who_points_at: Option<WhoPointsAt<'a>>,
}

#[derive(Serialize)]
struct Cycle<'a> {
    cycles: u64,
    bytes: u64,
    blocks: u64,
    blocks_per_cycle: u64,
    /// One way around the first of them; at most [`MOST`] blocks.
    example: Vec<Block<'a>>,
}

#[derive(Serialize)]
struct Block<'a> {
    address: String,
    bytes: u64,
    kind: &'static str,
    site: Option<Frame<'a>>,
}

#[derive(Serialize)]
struct WhoPointsAt<'a> {
    address: String,
    block: Block<'a>,
    pointers: Vec<Pointer<'a>>,
    /// Empty when no root leads to the block.
    path: Vec<Pointer<'a>>,
    lost_with: Option<Block<'a>>,
}

#[derive(Serialize)]
struct Pointer<'a> {
    /// Address of the word; empty for a register.
    word: String,
    place: String,
    start: bool,
    heuristics: Vec<&'static str>,
    /// The block that the word lies in; nothing for a root.
    block: Option<Block<'a>>,
}

/// Most blocks of a cycle that are listed.
const MOST: usize = 1000;

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    let records = report.sections.iter().flat_map(|section| {
        section.findings.listed.iter().map(move |listed| record(report, section, listed))
    });
    let document = Document {
        schema: 1,
        command: report.command,
        complete: report.complete,
        summary: report.summary,
        records: records.collect(),
        processes: report.sections.iter().map(process).collect(),
        problems: report.problems,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn record<'a>(report: &Report<'_>, section: &'a Section<'a>, listed: &'a Listed<'a>) -> Record<'a> {
    let record = &listed.record;
    Record {
        kind: kind_name(record.kind),
        bytes: record.bytes(),
        direct_bytes: record.direct,
        indirect_bytes: record.indirect,
        blocks: record.blocks,
        stack: listed.frames.iter().map(frame).collect(),
        message: sentence::plain(listed),
        process: section.process.number,
        record: record.number,
        snapshot: report.all_snapshots.then_some(section.snapshot.number),
        trace: (report.traces > 1).then_some(section.trace),
        site: listed.user.as_ref().map(frame),
        cycle_blocks: record.cycle_blocks,
        heuristics: heuristics(|i| record.heuristics >> i & 1 == 1),
        addresses: listed.addresses.as_deref().map(|list| {
            list.iter().map(|&(address, bytes)| Address { address: hex(address), bytes }).collect()
        }),
        children: listed.children.as_deref().map(below),
    }
}

fn heuristics(has: impl Fn(usize) -> bool) -> Vec<&'static str> {
    HEURISTICS.names.iter().enumerate().filter(|(i, _)| has(*i)).map(|(_, name)| *name).collect()
}

fn frame<'a>(frame: &stack::Frame<'a>) -> Frame<'a> {
    Frame {
        function: frame.function,
        file: frame.file,
        line: frame.line,
        module: frame.module,
        inlined: frame.inlined,
        address: hex(frame.address),
        internal: frame.origin().is_internal(),
    }
}

fn hex(address: u64) -> String {
    format!("0x{address:x}")
}

/// Depth is limited by the tree.
fn below<'a>(children: &'a [Child<'a>]) -> Vec<Below<'a>> {
    children
        .iter()
        .map(|child| Below {
            bytes: child.count.bytes,
            blocks: child.count.blocks,
            site: child.user.as_ref().map(frame),
            children: below(&child.children),
        })
        .collect()
}

fn process<'a>(section: &'a Section<'a>) -> Process<'a> {
    let process = section.process;
    Process {
        process: process.number,
        pid: process.pid,
        parent: process.parent,
        command: &process.command,
        executable: &process.executable,
        trace: section.trace,
        snapshot: section.snapshot.number,
        in_use: section.in_use,
        heap: section.usage,
        summary: section.findings.summary,
        loss_records: section.findings.records_total,
        cycles: section.findings.cycles.as_deref().map(|groups| groups.iter().map(cycle).collect()),
        who_points_at: section.answer.as_ref().map(who_points_at),
    }
}

fn cycle<'a>(group: &CycleGroup<'a>) -> Cycle<'a> {
    Cycle {
        cycles: group.cycles,
        bytes: group.count.bytes,
        blocks: group.count.blocks,
        blocks_per_cycle: group.blocks,
        example: group.round.iter().take(MOST).map(block).collect(),
    }
}

fn block<'a>(spot: &Spot<'a>) -> Block<'a> {
    Block {
        address: hex(spot.address),
        bytes: spot.size,
        kind: kind_name(spot.state),
        site: spot.user.as_ref().map(frame),
    }
}

fn who_points_at<'a>(answer: &Answer<'a>) -> WhoPointsAt<'a> {
    let root = |(root, place): &(Root, String)| Pointer {
        word: if matches!(root.place, graph::Place::Register(_)) { String::new() } else { hex(root.address) },
        place: place.clone(),
        start: root.flags & graph::edge::START != 0,
        heuristics: heuristics(|i| root.flags & 2 << i != 0),
        block: None,
    };
    let edge = |(edge, spot): &(graph::Edge, Spot<'a>)| Pointer {
        word: hex(spot.address.wrapping_add(edge.offset)),
        place: "heap".to_owned(),
        start: edge.flags & graph::edge::START != 0,
        heuristics: heuristics(|i| edge.flags & 2 << i != 0),
        block: Some(block(spot)),
    };
    WhoPointsAt {
        address: hex(answer.address),
        block: block(&answer.block),
        pointers: answer.roots.iter().map(root).chain(answer.edges.iter().map(edge)).collect(),
        path: answer
            .path
            .iter()
            .flat_map(|(first, rest)| std::iter::once(root(first)).chain(rest.iter().map(edge)))
            .collect(),
        lost_with: answer.leader.as_ref().map(block),
    }
}

//! The report for programs: one JSON object with `"schema": 1`.
//!
//! Names and order of the fields that come first are fixed: schema, complete, summary, errors; in an error kind, size,
//! count, thread, message, stack, address, block, origin; in a frame function, file, line, module, inlined. Further
//! fields follow them and may grow. What is not known is left out, an empty string or 0. Addresses are strings, since
//! they do not fit into a JSON number everywhere.

use crate::findings::{Finding, Stack, Summary};
use crate::kinds::KINDS;
use crate::run::Report;
use crate::sentence;
use crate::words::{self, position};
use report::stack;
use schema::{AddressKind, DescriptorKind, Family, OriginKind, flag};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    complete: bool,
    summary: Summary,
    errors: Vec<Error<'a>>,
    command: &'a [String],
    /// What the recording did not look for, in words.
    not_checked: &'a [&'static str],
    processes: Vec<Process<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
}

#[derive(Serialize)]
struct Error<'a> {
    kind: &'static str,
    size: u64,
    count: u64,
    thread: u32,
    message: String,
    stack: Vec<Frame<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<Block<'a>>,
    /// What the address is when it lies in or near no block.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<Descriptor<'a>>,
    /// Valgrind's words.
    what: String,
    number: usize,
    contexts: u64,
    process: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    /// The frame that the message names.
    site: Option<Frame<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    thread_name: &'a str,
    /// Seconds since the recording began.
    time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unaddressable: Option<bool>,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
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
struct Block<'a> {
    state: &'static str,
    size: u64,
    offset: u64,
    position: &'static str,
    allocated: Vec<Frame<'a>>,
    freed: Vec<Frame<'a>>,
    start: String,
    family: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    allocated_by: u32,
    #[serde(skip_serializing_if = "is_zero")]
    freed_by: u32,
}

#[derive(Serialize)]
struct Location<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    module: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    thread: u32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<Variable<'a>>,
}

/// A variable of the program. Its offsets are those of the address, in it and in its part.
#[derive(Serialize)]
struct Variable<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    part: &'a str,
    file: &'a str,
    line: u32,
    size: u64,
    offset: i64,
    part_offset: u64,
    /// The frame of the error's stack that it is in, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<usize>,
}

#[derive(Serialize)]
struct Origin<'a> {
    kind: &'static str,
    stack: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Descriptor<'a> {
    number: i32,
    kind: &'static str,
    name: String,
    opened: Vec<Frame<'a>>,
    closed: Vec<Frame<'a>>,
    inherited: bool,
}

#[derive(Serialize)]
struct Process<'a> {
    process: u32,
    pid: u32,
    parent: u32,
    command: &'a [String],
    executable: &'a str,
    trace: &'a str,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    let document = Document {
        schema: 1,
        complete: report.complete,
        summary: report.findings.summary,
        errors: report.findings.listed.iter().map(|finding| error(finding, report)).collect(),
        command: report.recordings.first().map_or(&[], |recording| &recording.command),
        not_checked: &report.not_checked,
        processes: report
            .recordings
            .iter()
            .flat_map(|recording| recording.processes.iter().map(move |process| (recording, process)))
            .map(|(recording, process)| Process {
                process: process.number,
                pid: process.pid,
                parent: process.parent,
                command: &process.command,
                executable: &process.executable,
                trace: &recording.name,
            })
            .collect(),
        problems: report.problems,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn error<'a>(finding: &'a Finding<'a>, report: &Report<'_>) -> Error<'a> {
    let error = finding.error;
    let about = error.about.as_ref();
    let (block, location) = match about.map(|about| (about, state(about.kind))) {
        None => (None, None),
        Some((about, Ok(state))) => {
            let (offset, position) = position(about);
            let block = Block {
                state,
                size: about.size,
                offset,
                position,
                allocated: frames(&finding.allocated),
                freed: frames(&finding.freed),
                start: hex(about.start),
                family: family(about.family),
                allocated_by: about.allocated_by,
                freed_by: about.freed_by,
            };
            (Some(block), None)
        }
        Some((about, Err(kind))) => {
            let location = Location {
                kind,
                name: &about.text,
                module: finding.recording.symbols.module_path(about.module),
                thread: about.thread,
                offset: about.offset,
                variable: about.is_variable().then(|| Variable {
                    name: &about.text,
                    part: &about.part,
                    file: finding.recording.symbols.string(about.file),
                    line: about.line,
                    size: about.size,
                    offset: about.offset,
                    part_offset: if about.part.is_empty() {
                        about.offset.unsigned_abs()
                    } else {
                        about.part_offset
                    },
                    frame: words::frame_number(finding, about),
                }),
            };
            (None, Some(location))
        }
    };
    Error {
        kind: KINDS[finding.kind].name,
        size: error.size,
        count: finding.count,
        thread: error.thread,
        message: sentence::plain(finding),
        stack: frames(&finding.stack),
        address: (error.address != 0 || words::has_address(finding)).then(|| hex(error.address)),
        block,
        location,
        origin: error.origin.map(|origin| Origin {
            kind: match origin.kind {
                OriginKind::Heap => "heap",
                OriginKind::Stack => "stack",
                OriginKind::Client => "client",
                OriginKind::Unknown | OriginKind::Other(_) => "unknown",
            },
            stack: frames(&finding.origin),
        }),
        descriptor: error.descriptor.as_ref().map(|descriptor| Descriptor {
            number: descriptor.number,
            kind: match descriptor.kind {
                DescriptorKind::File => "file",
                DescriptorKind::Socket => "socket",
                DescriptorKind::Pipe => "pipe",
                DescriptorKind::Special => "special",
                DescriptorKind::Unknown | DescriptorKind::Other(_) => "unknown",
            },
            name: descriptor.name.to_string(),
            opened: frames(&finding.opened),
            closed: frames(&finding.closed),
            inherited: descriptor.inherited,
        }),
        what: words::what(finding),
        number: finding.number,
        contexts: finding.contexts,
        process: finding.process.number,
        trace: (report.recordings.len() > 1).then_some(&finding.recording.name),
        site: finding.stack.user.as_ref().map(frame),
        thread_name: finding.recording.thread_name(error.thread),
        time: error.time as f64 / 1e9,
        unaddressable: matches!(KINDS[finding.kind].name, "SyscallParam" | "ClientCheck")
            .then_some(error.flags & flag::UNADDRESSABLE != 0),
        text: &error.text,
    }
}

/// The state of a block, or what else an address is.
fn state(kind: AddressKind) -> Result<&'static str, &'static str> {
    match kind {
        AddressKind::Live => Ok("live"),
        AddressKind::Freed => Ok("freed"),
        AddressKind::Client => Ok("client"),
        AddressKind::Described => Ok("described"),
        AddressKind::Reallocated => Ok("reallocated"),
        AddressKind::Stack => Err("stack"),
        AddressKind::BelowStack => Err("below-stack"),
        AddressKind::Data => Err("data"),
        AddressKind::Mapping => Err("mapping"),
        AddressKind::Unmapped => Err("unmapped"),
        AddressKind::Code => Err("code"),
        AddressKind::Tls => Err("tls"),
        AddressKind::Unknown | AddressKind::Other(_) => Err("unknown"),
    }
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Malloc => "malloc",
        Family::New => "new",
        Family::NewArray => "new[]",
        Family::Client => "client",
        Family::Pool => "pool",
        Family::Other(_) => "unknown",
    }
}

fn frames<'a>(stack: &Stack<'a>) -> Vec<Frame<'a>> {
    stack.frames.iter().map(frame).collect()
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
    format!("{address:#x}")
}

//! Traces written as text, and running the real binary on them.
//!
//! A line is a message or a part of one; `#` begins a comment. Words in capitals are the writer's:
//!
//! ```text
//! header CHECKS ARG...                               CHECKS: all, none, or names of `schema::check` in small letters
//! process N root|fork|vfork|exec PARENT PID EXE ARG...
//! module ID START SIZE PATH                          (of process 1)
//! thread N PROCESS NAME                              `-` for no name
//! stack NAME FRAME < FRAME ...                       innermost first; FRAME is function|file|line|module id,
//!                                                    functions inlined at one address are joined by ^
//! error PROCESS N KIND KEY=VALUE...                  keys: see `Scribe::error`; `_` in `about.text` is a space
//! count PROCESS N COUNT                              a later count
//! exit PROCESS STATUS, killed PROCESS SIGNAL, lost PROCESS SIGNAL
//! remark note|warning|error TEXT...
//! missing PROCESS EVENTS REASON...                   for the trailer
//! trailer                                            without it the trace is cut short
//! ```

use schema::write::{Codec, TraceWriter};
use schema::*;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the binary gave.
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary in `directory` with these bytes on stdin, in an environment that does not change the output.
pub(crate) fn vg_errors(directory: &Path, arguments: &[impl AsRef<OsStr>], stdin: &[u8]) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vg-errors"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vg-errors runs");
    // The binary may end without reading its input.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    let output = child.wait_with_output().expect("vg-errors ends");
    Outcome {
        status: output.status.code().expect("an exit status"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A fresh directory of this test.
pub(crate) fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vg-errors-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory for the test");
    path
}

/// The trace of a golden file.
pub(crate) fn golden_trace(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    let text = std::fs::read_to_string(path).expect("a golden file");
    trace(text.split("\n== vg-errors").next().expect("a trace"))
}

/// The trace that the text describes.
pub(crate) fn trace(text: &str) -> Vec<u8> {
    let mut scribe = Scribe {
        writer: TraceWriter::new(Vec::new(), Codec::Lz4),
        tables: Tables::default(),
        lost: vec![],
        now: 0,
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            scribe.line(line);
        }
    }
    scribe.writer.flush().expect("memory takes all");
    scribe.writer.into_inner()
}

#[derive(Default)]
struct Tables {
    strings: HashMap<String, u32>,
    frames: HashMap<String, u32>,
    nodes: HashMap<(u32, u32), u32>,
    stacks: HashMap<String, u32>,
}

struct Scribe {
    writer: TraceWriter<Vec<u8>>,
    tables: Tables,
    lost: Vec<Lost>,
    /// Time of the last error; each is a millisecond after the one before.
    now: u64,
}

fn number(text: &str) -> u64 {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("'{text}' is no number"))
}

fn small(text: &str) -> u32 {
    number(text).try_into().expect("32 bits")
}

fn checks(text: &str) -> u32 {
    let one = |name: &str| match name {
        "all" => 127,
        "none" => 0,
        "addresses" => check::ADDRESSES,
        "values" => check::VALUES,
        "allocators" => check::ALLOCATORS,
        "syscalls" => check::SYSCALLS,
        "overlaps" => check::OVERLAPS,
        "descriptors" => check::DESCRIPTORS | check::UNCLOSED,
        other => panic!("check {other}"),
    };
    text.split(',').map(one).sum()
}

/// The kind by Valgrind's name, or `NUMBER`.
fn kind(name: &str) -> ErrorKind {
    let names = vg_errors::kinds::KINDS.iter().map(|kind| kind.name);
    match names.zip(1..).find(|(known, _)| *known == name) {
        Some((_, number)) => ErrorKind::from_number(number),
        None => ErrorKind::from_number(number(name) as u16),
    }
}

impl Scribe {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = |from: usize| words[from..].iter().map(|word| Bytes::from(*word)).collect::<Vec<_>>();
        match (words[0], &words[1..]) {
            ("header", [looked, ..]) => {
                let header = Header {
                    tool: "vg-record 0.1.0".to_owned(),
                    argv: rest(2),
                    cwd: "/home/u".into(),
                    checks: checks(looked),
                    ..Header::default()
                };
                self.writer.header(&header).unwrap();
            }
            ("process", [n, how, parent, pid, exe, ..]) => {
                let how = match *how {
                    "root" => Start::Root,
                    "fork" => Start::Fork,
                    "vfork" => Start::Vfork,
                    "exec" => Start::Exec,
                    other => panic!("start {other}"),
                };
                let process = Process {
                    number: small(n),
                    parent: small(parent),
                    pid: small(pid),
                    ppid: 9,
                    how,
                    time: 2_000_000,
                    exe: (*exe).into(),
                    argv: rest(6),
                    cwd: "/".into(),
                    environment: vec![],
                };
                self.writer.process(&process).unwrap();
            }
            ("module", [id, start, size, path]) => {
                let (id, start, size) = (small(id), number(start), number(size));
                let path = (*path).into();
                let module = Module { id, process: 1, path, start, size, bias: start, ..Module::default() };
                self.writer.modules(&[module]).unwrap();
            }
            ("thread", [n, process, name]) => {
                let start =
                    ThreadStart { number: small(n), process: small(process), tid: 1, parent: 0, time: 0 };
                self.writer.thread_start(&start).unwrap();
                if *name != "-" {
                    self.writer.thread_name(&ThreadName { thread: small(n), name: (*name).into() }).unwrap();
                }
            }
            ("stack", [name, ..]) => {
                let frames = line.splitn(3, ' ').nth(2).expect("frames");
                self.stack(name, frames);
            }
            ("error", [process, n, kind, fields @ ..]) => self.error(process, n, kind, fields),
            ("count", [process, n, count]) => {
                let error = Error {
                    process: small(process),
                    number: small(n),
                    count: number(count),
                    ..Error::default()
                };
                self.writer.errors(&[error]).unwrap();
            }
            ("exit", [process, status]) => self.process_end(process, End::Exit, status),
            ("killed", [process, signal]) => self.process_end(process, End::Signal, signal),
            ("lost", [process, signal]) => self.process_end(process, End::Lost, signal),
            ("remark", [severity, text @ ..]) => {
                let severity = match *severity {
                    "note" => Severity::Note,
                    "warning" => Severity::Warning,
                    "error" => Severity::Error,
                    other => panic!("severity {other}"),
                };
                let text = text.join(" ");
                self.writer.remark(&Remark { severity, code: 0, process: 0, time: 0, text }).unwrap();
            }
            ("missing", [process, events, reason @ ..]) => {
                let reason = reason.join(" ");
                self.lost.push(Lost { process: small(process), events: number(events), reason });
            }
            ("trailer", []) => {
                let lost = std::mem::take(&mut self.lost);
                let complete = lost.is_empty();
                let trailer =
                    Trailer { time: 0, how: End::Exit, value: 0, complete, lost, messages: 0, events: 0 };
                self.writer.trailer(&trailer).unwrap();
            }
            _ => panic!("not understood: {line}"),
        }
    }

    /// An error. Fields of the address have a dot: `about.kind=freed`.
    fn error(&mut self, process: &str, n: &str, name: &str, fields: &[&str]) {
        self.now += 1_000_000;
        let mut error = Error {
            process: small(process),
            number: small(n),
            kind: kind(name),
            thread: 1,
            count: 1,
            time: self.now,
            ..Error::default()
        };
        for field in fields {
            let (key, value) = field.split_once('=').unwrap_or_else(|| panic!("{field} has no value"));
            let text = value.replace('_', " ");
            let about = || AddressInfo::default();
            match key {
                "thread" => error.thread = small(value),
                "count" => error.count = number(value),
                "time" => error.time = number(value),
                "size" => error.size = number(value),
                "stack" => error.stack = self.stack_of(value),
                "address" => error.address = number(value),
                "unaddressable" => error.flags = flag::UNADDRESSABLE,
                "text" => error.text = value.to_owned(),
                "other" => error.other_address = number(value),
                "value" => error.value = value.parse().expect("a number"),
                "wanted" => error.wanted = number(value),
                "given" => error.given = number(value),
                "origin" => {
                    let (kind, stack) = value.split_once(':').expect("KIND:STACK");
                    let kind = match kind {
                        "heap" => OriginKind::Heap,
                        "stack" => OriginKind::Stack,
                        "client" => OriginKind::Client,
                        _ => OriginKind::Unknown,
                    };
                    error.origin = Some(Origin { kind, stack: self.stack_of(stack) });
                }
                "fd" => {
                    let parts: Vec<&str> = value.split(':').collect();
                    let [number, name, opened, closed] = parts[..] else {
                        panic!("NUMBER:NAME:OPENED:CLOSED")
                    };
                    error.descriptor = Some(Descriptor {
                        number: number.parse().expect("a number"),
                        kind: DescriptorKind::File,
                        name: name.into(),
                        opened: self.stack_of(opened),
                        closed: self.stack_of(closed),
                        inherited: opened == "parent",
                    });
                }
                _ => {
                    let about = error.about.get_or_insert_with(about);
                    match key {
                        "about.kind" => about.kind = address_kind(value),
                        "about.start" => about.start = number(value),
                        "about.size" => about.size = number(value),
                        "about.offset" => about.offset = value.parse().expect("a number"),
                        "about.family" => about.family = Family::from_number(small(value) as u8),
                        "about.allocated" => about.allocated = self.stack_of(value),
                        "about.freed" => about.freed = self.stack_of(value),
                        "about.freedby" => about.freed_by = small(value),
                        "about.thread" => about.thread = small(value),
                        "about.frame" => about.frame = small(value),
                        "about.text" => about.text = text,
                        "about.module" => about.module = small(value),
                        "about.protection" => about.protection = small(value) as u8,
                        "about.line" => about.line = small(value),
                        "about.file" => about.file = self.string(value),
                        "about.part" => about.part = text,
                        "about.partoffset" => about.part_offset = number(value),
                        other => panic!("field {other}"),
                    }
                }
            }
        }
        self.writer.errors(&[error]).unwrap();
    }

    fn stack_of(&self, name: &str) -> u32 {
        match name {
            "none" | "parent" | "" => 0,
            name => *self.tables.stacks.get(name).unwrap_or_else(|| panic!("no stack {name}")),
        }
    }

    fn process_end(&mut self, process: &str, how: End, value: &str) {
        let (process, value) = (small(process), small(value));
        let end = ProcessEnd { process, time: 1_234_000_000, how, value, instructions: 0 };
        self.writer.process_end(&end).unwrap();
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let next = self.tables.strings.len() as u32 + 1;
        if let Some(id) = self.tables.strings.get(text) {
            return *id;
        }
        self.writer.strings(next, &[text]).unwrap();
        self.tables.strings.insert(text.to_owned(), next);
        next
    }

    fn stack(&mut self, name: &str, frames: &str) {
        let mut parent = 0;
        for text in frames.split(" < ").collect::<Vec<_>>().into_iter().rev() {
            let frame = self.frame(text.trim());
            let next = self.tables.nodes.len() as u32 + 1;
            parent = match self.tables.nodes.get(&(parent, frame)) {
                Some(node) => *node,
                None => {
                    self.writer.stacks(next, &[StackNode { parent, frame }]).unwrap();
                    self.tables.nodes.insert((parent, frame), next);
                    next
                }
            };
        }
        self.tables.stacks.insert(name.to_owned(), parent);
    }

    fn frame(&mut self, text: &str) -> u32 {
        if let Some(id) = self.tables.frames.get(text) {
            return *id;
        }
        let id = self.tables.frames.len() as u32 + 1;
        let (mut places, mut module) = (vec![], 0);
        for part in text.split(" ^ ") {
            let fields: Vec<&str> = part.split('|').collect();
            let [function, file, line, module_id] = fields[..] else { panic!("frame {part}") };
            module = if module_id.is_empty() { 0 } else { small(module_id) };
            let line = if line.is_empty() { 0 } else { small(line) };
            if !function.is_empty() {
                let (function, file) = (self.string(function), self.string(file));
                places.push(Place { function, raw_name: 0, file, line, column: 0 });
            }
        }
        let frame = Frame { module, rva: 0x100 + 0x10 * u64::from(id), exact: false, guessed: false };
        self.writer.frames(id, &[frame]).unwrap();
        self.writer.symbols(&[FrameSymbols { frame: id, places }]).unwrap();
        self.tables.frames.insert(text.to_owned(), id);
        id
    }
}

fn address_kind(name: &str) -> AddressKind {
    match name {
        "unknown" => AddressKind::Unknown,
        "live" => AddressKind::Live,
        "freed" => AddressKind::Freed,
        "client" => AddressKind::Client,
        "described" => AddressKind::Described,
        "stack" => AddressKind::Stack,
        "below" => AddressKind::BelowStack,
        "data" => AddressKind::Data,
        "mapping" => AddressKind::Mapping,
        "unmapped" => AddressKind::Unmapped,
        "code" => AddressKind::Code,
        "tls" => AddressKind::Tls,
        "reallocated" => AddressKind::Reallocated,
        other => panic!("address {other}"),
    }
}

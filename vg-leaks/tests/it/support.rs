//! Traces written as text, and running the real binary on them.
//!
//! A line is a message or a part of one; `#` begins a comment. Words in capitals are the writer's:
//!
//! ```text
//! header ARG...                                      the recorded command line
//! process N root|fork|vfork|exec PARENT PID EXE ARG...
//! module ID START SIZE PATH                          (of process 1)
//! thread N PROCESS NAME
//! stack NAME FRAME < FRAME ...                       innermost first; FRAME is function|file|line|module id,
//!                                                    functions inlined at one address are joined by ^
//! alloc PROCESS COUNT SIZE, free PROCESS COUNT, realloc PROCESS COUNT SIZE
//! snapshot PROCESS N exit|signal|request|client|exec
//! block NAME ADDRESS SIZE STACK                      in rising order
//! root KIND WHERE THREAD TARGET                      TARGET is NAME, NAME+OFFSET, or NAME+OFFSET:HEURISTIC
//! edge NAME+OFFSET TARGET
//! end                                                ends the snapshot; `end short` leaves out a count
//! exit PROCESS STATUS, killed PROCESS SIGNAL, lost PROCESS SIGNAL, native PROCESS
//! remark note|warning|error TEXT...
//! missing PROCESS EVENTS REASON...                   for the trailer
//! trailer                                            without it the trace is cut short
//! ```

use schema::write::{Codec, EventChunk, TraceWriter};
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
pub(crate) fn vg_leaks(directory: &Path, arguments: &[impl AsRef<OsStr>], stdin: &[u8]) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vg-leaks"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vg-leaks runs");
    // The binary may end without reading its input.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    let output = child.wait_with_output().expect("vg-leaks ends");
    Outcome {
        status: output.status.code().expect("an exit status"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A fresh directory of this test.
pub(crate) fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory for the test");
    path
}

/// The trace that the text describes.
pub(crate) fn trace(text: &str) -> Vec<u8> {
    let mut scribe = Scribe {
        writer: TraceWriter::new(Vec::new(), Codec::Lz4),
        tables: Tables::default(),
        heap: None,
        now: 0,
        lost: vec![],
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

/// The snapshot that is being described.
struct Heap {
    process: u32,
    number: u32,
    names: HashMap<String, u32>,
    blocks: Vec<Block>,
    roots: Vec<Root>,
    edges: Vec<Edge>,
}

struct Scribe {
    writer: TraceWriter<Vec<u8>>,
    tables: Tables,
    heap: Option<Heap>,
    lost: Vec<Lost>,
    /// Time of heap events: before the first snapshot, or behind all of them.
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

impl Scribe {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = |from: usize| words[from..].iter().map(|word| Bytes::from(*word)).collect::<Vec<_>>();
        match (words[0], &words[1..]) {
            ("header", _) => {
                let header = Header { tool: "test".to_owned(), argv: rest(1), ..Header::default() };
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
                    ppid: 0,
                    how,
                    time: 0,
                    exe: (*exe).into(),
                    argv: rest(6),
                    cwd: "/".into(),
                    environment: vec![],
                };
                self.writer.process(&process).unwrap();
            }
            ("module", [id, start, size, path]) => {
                let (id, start, size) = (small(id), number(start), number(size));
                let module = Module {
                    id,
                    process: 1,
                    path: (*path).into(),
                    start,
                    size,
                    bias: start,
                    ..Module::default()
                };
                self.writer.modules(&[module]).unwrap();
            }
            ("thread", [n, process, name]) => {
                let start =
                    ThreadStart { number: small(n), process: small(process), tid: 1, parent: 0, time: 0 };
                self.writer.thread_start(&start).unwrap();
                self.writer.thread_name(&ThreadName { thread: small(n), name: (*name).into() }).unwrap();
            }
            ("stack", [name, ..]) => {
                let frames = line.splitn(3, ' ').nth(2).expect("frames");
                self.stack(name, frames);
            }
            ("alloc", [process, count, size]) => self.events(Op::Alloc, process, count, size),
            ("realloc", [process, count, size]) => self.events(Op::Realloc, process, count, size),
            ("free", [process, count]) => self.events(Op::Free, process, count, "0"),
            ("snapshot", [process, number, reason]) => {
                let reason = match *reason {
                    "exit" => Reason::Exit,
                    "signal" => Reason::Signal,
                    "request" => Reason::Request,
                    "client" => Reason::Client,
                    "exec" => Reason::Exec,
                    other => panic!("reason {other}"),
                };
                let (process, number) = (small(process), small(number));
                let begin = SnapshotBegin { process, snapshot: number, reason, time: 1_250_000_000 };
                self.now = 2_000_000_000;
                self.writer.snapshot_begin(&begin).unwrap();
                let (names, blocks) = (HashMap::new(), vec![]);
                self.heap = Some(Heap { process, number, names, blocks, roots: vec![], edges: vec![] });
            }
            ("block", [name, address, size, stack]) => {
                let stack = if *stack == "none" { 0 } else { self.tables.stacks[*stack] };
                let heap = self.heap.as_mut().expect("a snapshot");
                heap.names.insert((*name).to_owned(), heap.blocks.len() as u32);
                let (address, size) = (number(address), number(size));
                heap.blocks.push(Block { address, size, stack, family: Family::Malloc, align_log2: 0 });
            }
            ("root", [kind, place, thread, target]) => {
                let kind = match *kind {
                    "register" => RootKind::Register,
                    "stack" => RootKind::Stack,
                    "data" => RootKind::Data,
                    "mapping" => RootKind::Mapping,
                    "tls" => RootKind::Tls,
                    other => panic!("root {other}"),
                };
                let heap = self.heap.as_mut().expect("a snapshot");
                let (block, offset, flags) = heap.target(target);
                let flags = flags | u32::from(kind.number()) << edge::ROOT_SHIFT;
                heap.roots.push(Root {
                    location: number(place),
                    block,
                    flags,
                    thread: small(thread),
                    offset,
                });
            }
            ("edge", [from, target]) => {
                let heap = self.heap.as_mut().expect("a snapshot");
                let (source, offset, _) = heap.target(from);
                let (target, _, flags) = heap.target(target);
                heap.edges.push(Edge { source, target, offset, flags });
            }
            ("end", how) => {
                let heap = self.heap.take().expect("a snapshot");
                let Heap { process, number, blocks, roots, edges, .. } = heap;
                self.writer.snapshot_blocks(process, number, &blocks).unwrap();
                self.writer.snapshot_roots(process, number, &roots).unwrap();
                self.writer.snapshot_edges(process, number, &edges).unwrap();
                let missing = u64::from(how == ["short"]);
                let end = SnapshotEnd {
                    process,
                    snapshot: number,
                    blocks: blocks.len() as u64 + missing,
                    roots: roots.len() as u64,
                    edges: edges.len() as u64,
                    scanned: 0,
                };
                self.writer.snapshot_end(&end).unwrap();
            }
            ("exit", [process, status]) => self.process_end(process, End::Exit, status),
            ("killed", [process, signal]) => self.process_end(process, End::Signal, signal),
            ("lost", [process, signal]) => self.process_end(process, End::Lost, signal),
            ("native", [process]) => self.process_end(process, End::NativeExec, "0"),
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

    fn process_end(&mut self, process: &str, how: End, value: &str) {
        let end = ProcessEnd { process: small(process), time: 0, how, value: small(value), instructions: 0 };
        self.writer.process_end(&end).unwrap();
    }

    fn events(&mut self, op: Op, process: &str, count: &str, size: &str) {
        let mut chunk = EventChunk::new(small(process));
        for _ in 0..number(count) {
            let event = HeapEvent {
                op,
                family: Family::Malloc,
                align_log2: 0,
                thread: 1,
                stack: 0,
                time: self.now,
                instructions: 0,
                address: 0x1000,
                size: number(size),
                old_address: 0,
            };
            self.writer.event(&mut chunk, event).unwrap();
        }
        self.writer.events(&mut chunk).unwrap();
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

impl Heap {
    /// Block, offset and flags of `NAME+OFFSET:HEURISTIC`.
    fn target(&self, text: &str) -> (u32, u64, u32) {
        let (text, heuristic) = text.split_once(':').unwrap_or((text, ""));
        let (name, offset) = text.split_once('+').map_or((text, 0), |(name, offset)| (name, number(offset)));
        let flags = match heuristic {
            "" if offset == 0 => edge::START,
            "" => 0,
            "stdstring" => edge::STDSTRING,
            "length64" => edge::LENGTH64,
            "newarray" => edge::NEWARRAY,
            "multipleinheritance" => edge::MULTIPLE_INHERITANCE,
            other => panic!("heuristic {other}"),
        };
        (self.names[name], offset, flags)
    }
}

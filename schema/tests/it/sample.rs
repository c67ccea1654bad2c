//! A small trace that has every kind of message, and ways to write and read it.

use schema::{
    read::{Ending, TraceReader},
    write::{Codec, TraceWriter},
    *,
};

pub(crate) fn event(op: Op, time: u64, address: u64, size: u64) -> HeapEvent {
    HeapEvent {
        op,
        family: Family::Malloc,
        align_log2: 0,
        thread: 1,
        stack: 2,
        time,
        instructions: time * 3,
        address,
        size,
        old_address: 0,
    }
}

fn events() -> Vec<HeapEvent> {
    vec![
        event(Op::Alloc, 100, 0x1000_0000, 24),
        HeapEvent { family: Family::NewArray, align_log2: 6, ..event(Op::Alloc, 200, 0x1000_0040, u64::MAX) },
        HeapEvent { thread: 2, stack: 0, ..event(Op::Alloc, 150, 0x7fff_ffff_fff0, 0) },
        HeapEvent { old_address: 0x1000_0000, ..event(Op::Realloc, 300, 0x1000_0080, 48) },
        HeapEvent { family: Family::Other(200), ..event(Op::Free, 400, 0x1000_0080, 0) },
    ]
}

fn snapshot() -> Vec<Message> {
    let block = |address, size, family| Block { address, size, stack: 2, family, align_log2: 4 };
    let blocks = vec![
        block(0x1000_0000, 24, Family::Malloc),
        block(0x1000_0040, 0, Family::Pool),
        block(u64::MAX - 15, 15, Family::Client),
    ];
    let roots = vec![
        Root { location: 5, block: 0, flags: edge::START | 1 << edge::ROOT_SHIFT, thread: 1, offset: 0 },
        Root { location: 0x7ffe_0000_0008, block: 2, flags: 2 << edge::ROOT_SHIFT, thread: 2, offset: 7 },
    ];
    let edges = vec![
        Edge { source: 0, target: 1, offset: 8, flags: edge::START },
        Edge { source: 0, target: 2, offset: 1 << 39, flags: edge::HEURISTICS },
    ];
    let (process, snapshot) = (1, 1);
    vec![
        Message::SnapshotBegin(SnapshotBegin { process, snapshot, reason: Reason::Signal, time: 500 }),
        Message::SnapshotBlocks(SnapshotPiece { process, snapshot, rows: blocks }),
        Message::SnapshotRoots(SnapshotPiece { process, snapshot, rows: roots }),
        Message::SnapshotEdges(SnapshotPiece { process, snapshot, rows: edges }),
        Message::SnapshotEnd(SnapshotEnd { process, snapshot, blocks: 3, roots: 2, edges: 2, scanned: 4096 }),
    ]
}

/// What executed code is called, how often two threads executed it, and in which contexts.
fn code() -> Vec<Message> {
    let place = Place { function: 1, raw_name: 2, file: 3, line: 12, column: 5 };
    let line = |rva, place| CodeLine { rva, place };
    let run = Executed { module: 1, rva: 0x1230, times: 1000, lengths: 0x5_1f43 };
    let spent = |thread, rows| Message::ContextCosts(ContextCosts { process: 1, thread, part: 0, rows });
    let costs = |process, rows| Message::Costs(Costs { process, part: 0, rows });
    let cost = Cost { module: 1, rva: 0x1230, event: 1, times: 1000 };
    let executions = |thread, rows| Message::Executions(Executions { process: 1, thread, part: 0, rows });
    let contexts = |thread, rows| Message::Contexts(Contexts { process: 1, thread, part: 0, rows });
    let jump = Jump { module: 1, rva: 0x1238, target: 0x1230, executed: 1000, passed: 1, conditional: true };
    let jumps = |thread, rows| Message::Jumps(Jumps { process: 1, thread, part: 0, rows });
    let context = Context {
        parent: 1,
        module: 1,
        rva: 0x1230,
        site_module: 1,
        site_rva: 0x1249,
        calls: u64::MAX,
        cost: 1000,
        again: 1,
    };
    vec![
        Message::Places(Places {
            first_id: 1,
            places: vec![vec![place, Place { function: 5, raw_name: 0, ..place }], vec![]],
        }),
        Message::Places(Places { first_id: 3, places: vec![vec![Place { line: 30, ..place }]] }),
        Message::CodeLines(CodeLines { module: 1, rows: vec![line(0x1200, 3), line(0x1234, 1)] }),
        Message::CodeLines(CodeLines { module: 1, rows: vec![line(0x1250, 0), line(0x2000, u32::MAX)] }),
        Message::CodeLines(CodeLines { module: 2, rows: vec![line(0, 2)] }),
        executions(
            1,
            vec![Executed { module: 0, rva: u64::MAX, ..run }, run, Executed { rva: 0x2000, ..run }],
        ),
        executions(1, vec![Executed { times: u64::MAX, lengths: u64::MAX, ..run }]),
        executions(2, vec![run]),
        jumps(1, vec![jump, Jump { rva: 0x1240, target: u64::MAX, passed: 0, conditional: false, ..jump }]),
        jumps(2, vec![jump]),
        contexts(1, vec![Context { cost: 5, ..Context::default() }, context]),
        contexts(2, vec![Context { parent: 0, again: 0, ..context }]),
        contexts(1, vec![Context { parent: 2, cost: 0, ..context }]),
        costs(1, vec![Cost { module: 0, rva: u64::MAX, ..cost }, cost, Cost { event: 5, ..cost }]),
        costs(1, vec![Cost { times: u64::MAX, ..cost }]),
        costs(2, vec![cost]),
        spent(1, vec![ContextCost { context: 1, event: 1, times: 0 }]),
        spent(
            2,
            vec![
                ContextCost { context: 1, event: 1, times: 5 },
                ContextCost { context: 3, event: 2, times: u64::MAX },
            ],
        ),
        Message::Executions(Executions { process: 1, thread: 2, part: 3, rows: vec![run] }),
        Message::PartEnd(PartEnd { process: 1, part: 0, zeroed: true, time: 5, name: Bytes::default() }),
        Message::PartEnd(PartEnd { process: 1, part: 3, zeroed: false, time: 6, name: "set up".into() }),
    ]
}

/// The stream of data accesses of a process.
fn accesses() -> Vec<Message> {
    let run = |start, code: &str| AccessRun { start, words: 3, code: code.into() };
    let of = Modelled { process: 1, program: 0 };
    let log = AccessLog {
        of: Modelled { program: 2, ..of },
        thread: 2,
        series: 3,
        counts: true,
        fs: u64::MAX,
        gs: 0,
        heads: (0..200).map(|i| if i % 19 == 0 { 1 << 31 } else { i % 2 }).collect(),
        words: (0..200).map(|i| if i % 23 == 0 { u64::MAX - i } else { i % 3 }).collect(),
    };
    let empty = AccessLog { counts: false, heads: vec![], words: vec![], ..log.clone() };
    let mark = AccessMark { of, kind: MarkKind::Forked, part: 0, child: 2, places: vec![] };
    let place = CodeBase { from: 0x40_0000, module: 1, bias: 0u64.wrapping_sub(0x1000) };
    let places = vec![CodeBase::default(), place];
    vec![
        Message::AccessRuns(AccessRuns { of, first: 0, runs: vec![run(0x40_1230, "run"), run(0, "")] }),
        Message::AccessRuns(AccessRuns { of, first: 2, runs: vec![run(u64::MAX, "another run")] }),
        Message::AccessLog(log),
        Message::AccessLog(empty),
        Message::AccessMark(mark.clone()),
        Message::AccessMark(AccessMark { kind: MarkKind::Other(77), ..mark.clone() }),
        Message::AccessMark(AccessMark { kind: MarkKind::Belongs, part: 3, child: 0, places, ..mark }),
    ]
}

/// One error with everything that an error can have, and one with nothing.
fn errors() -> Vec<Error> {
    let about = AddressInfo {
        kind: AddressKind::Freed,
        start: 0x1000_0040,
        size: 16,
        offset: -4,
        family: Family::NewArray,
        allocated: 1,
        freed: 2,
        allocated_by: 1,
        freed_by: 2,
        thread: 1,
        frame: 2,
        text: "größe".to_owned(),
        module: 1,
        protection: 5,
        line: 46,
        file: 3,
        part: "[3].größe".to_owned(),
        part_offset: 1,
    };
    let full = Error {
        number: 1,
        process: 1,
        thread: 2,
        kind: ErrorKind::InvalidRead,
        count: 3,
        time: 610,
        instructions: 77,
        flags: flag::UNADDRESSABLE,
        size: 4,
        stack: 2,
        address: 0x1000_003c,
        about: Some(about),
        origin: Some(Origin { kind: OriginKind::Heap, stack: 1 }),
        text: "write(buf)".to_owned(),
        other_address: u64::MAX,
        value: i64::MIN,
        wanted: 16,
        given: 24,
        descriptor: Some(Descriptor {
            number: -1,
            kind: DescriptorKind::File,
            name: Bytes(vec![b'/', 0xff]),
            opened: 1,
            closed: 2,
            inherited: true,
        }),
    };
    vec![full, Error { number: 2, process: 1, kind: ErrorKind::Other(900), count: 1, ..Error::default() }]
}

/// Every kind of message, as a reader gives it back.
pub(crate) fn messages() -> Vec<Message> {
    let header = Header {
        id: *b"0123456789abcdef",
        tool: "vg-record 0.1.0".to_owned(),
        argv: vec!["./leaky".into(), "".into(), Bytes(vec![0xff, b'x'])],
        cwd: "/tmp".into(),
        exe: "/tmp/leaky".into(),
        clock: Clock { tsc_hz: 2_000_000_000, tsc_start: 77, unix_start: 1_790_000_000_000_000_000 },
        options: vec!["--children=no".to_owned()],
        machine: Machine {
            host: "box".to_owned(),
            kernel: "Linux 6.12.0 x86_64".to_owned(),
            cpu: "Some CPU".to_owned(),
            cpus: 2,
            page_size: 4096,
            memory: 8 << 30,
        },
        checks: check::ADDRESSES | check::VALUES,
    };
    let process = Process {
        number: 1,
        parent: 0,
        pid: 4242,
        ppid: 4241,
        how: Start::Root,
        time: 1,
        exe: "/tmp/leaky".into(),
        argv: vec!["./leaky".into()],
        cwd: "/tmp".into(),
        environment: vec!["LANG=C".into()],
    };
    let executed = Process { how: Start::Exec, time: 600, exe: "/bin/true".into(), ..process.clone() };
    let thread = ThreadStart { number: 1, process: 1, tid: 4242, parent: 0, time: 2 };
    let module = Module {
        id: 1,
        process: 1,
        path: "/tmp/leaky".into(),
        build_id: vec![1, 2, 3],
        start: 0x40_0000,
        size: 0x5000,
        bias: 0u64.wrapping_sub(0x1000),
        time: 3,
        flags: 9,
    };
    let frame = |module, rva| Frame { module, rva, exact: false, guessed: false };
    let place = Place { function: 1, raw_name: 2, file: 3, line: 12, column: 5 };
    let mut all = vec![
        Message::Header(header),
        Message::Process(process),
        Message::ThreadStart(thread),
        Message::ThreadName(ThreadName { thread: 1, name: "main".into() }),
        Message::ThreadStart(ThreadStart { number: 2, process: 1, tid: 4243, parent: 1, time: 4 }),
        Message::Modules(vec![
            module.clone(),
            Module { id: 2, path: "[vdso]".into(), build_id: vec![], ..module },
        ]),
        Message::Strings(Strings {
            first_id: 1,
            strings: ["setup()", "_Z5setupv", "leaky.cc", "", "größe"].map(str::to_owned).to_vec(),
        }),
        Message::Frames(Frames {
            first_id: 1,
            frames: vec![
                frame(1, 0x1234),
                Frame { exact: true, ..frame(1, 0x2000) },
                Frame { guessed: true, ..frame(0, u64::MAX) },
            ],
        }),
        Message::Symbols(vec![
            FrameSymbols { frame: 2, places: vec![place, Place { function: 5, raw_name: 0, ..place }] },
            FrameSymbols { frame: 3, places: vec![] },
            FrameSymbols { frame: 1, places: vec![Place { line: 30, ..place }] },
        ]),
        Message::Stacks(Stacks {
            first_id: 1,
            nodes: vec![StackNode { parent: 0, frame: 1 }, StackNode { parent: 1, frame: 2 }],
        }),
        Message::Events(EventBatch { process: 1, first_time: 100, last_time: 400, events: events() }),
    ];
    all.extend(snapshot());
    all.extend(code());
    all.extend(accesses());
    all.extend([
        Message::ModuleEnd(ModuleEnd { module: 2, time: 550 }),
        Message::ThreadEnd(ThreadEnd { thread: 2, time: 560, instructions: 1_000_000 }),
        Message::ProcessEnd(ProcessEnd { process: 1, time: 590, how: End::Exec, value: 0, instructions: 5 }),
        Message::Process(executed),
        Message::Counters(Counters {
            process: 1,
            values: vec![("translations".to_owned(), 12), ("links".to_owned(), u64::MAX)],
        }),
        Message::Errors(errors()),
        Message::Errors(vec![Error { number: 1, process: 1, count: 9, ..Error::default() }]),
        Message::Remark(Remark {
            severity: Severity::Warning,
            code: 3,
            process: 1,
            time: 591,
            text: "no debug information in /tmp/leaky: compile with -g".to_owned(),
        }),
        Message::NotFollowed(NotFollowed { process: 1, time: 592, pid: 99, reason: "32-bit".to_owned() }),
        Message::ProcessEnd(ProcessEnd {
            process: 1,
            time: 700,
            how: End::Signal,
            value: 11,
            instructions: 6,
        }),
        Message::Trailer(Trailer {
            time: 800,
            how: End::Signal,
            value: 11,
            complete: false,
            lost: vec![Lost { process: 1, events: 7, reason: "the ring was full".to_owned() }],
            messages: 0,
            events: 5,
        }),
    ]);
    let before = all.len() as u64 - 1;
    if let Some(Message::Trailer(trailer)) = all.last_mut() {
        trailer.messages = before;
    }
    all
}

/// The bytes of a trace of these messages.
pub(crate) fn write(messages: &[Message], codec: Codec) -> Vec<u8> {
    let mut writer = TraceWriter::new(Vec::new(), codec);
    for message in messages {
        writer.message(message).expect("writing into memory works");
    }
    writer.flush().expect("flushing memory works");
    writer.into_inner()
}

/// The messages of a trace and how it ended.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Message>, Ending) {
    let mut reader = TraceReader::new(bytes);
    let messages = reader.by_ref().collect();
    let ending = reader.ending().cloned().expect("a reader that ended says how");
    (messages, ending)
}

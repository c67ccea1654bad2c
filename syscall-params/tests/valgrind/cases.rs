//! The calls that are tried under Valgrind: all of the table in five ways, and awkward ones by hand.
//!
//! What always holds: nothing here may end, stop or change the machine even if the filter let it through by
//! mistake: descriptors and processes do not exist, numbers are small.

use syscall_params::Need;

use crate::model::{ARENA, Case, PAGE, UPPER, WHOLE, ranges};

/// Calls that cannot be tried: what Valgrind does itself on them ends or derails the process.
const LEFT_OUT: [u64; 2] = [
    15,  // rt_sigreturn takes a frame off the stack
    219, // restart_syscall has none to go on with
];

/// Arguments of 8 bytes that are numbers; all others are taken for pointers.
const COUNTS: &[&str] = &[
    "count",
    "len",
    "length",
    "size",
    "nfds",
    "new_size",
    "old_size",
    "msgsz",
    "msg_len",
    "plen",
    "bufsize",
    "nr",
    "nr_segs",
    "vlen",
    "usize",
    "sigsetsize",
    "sigsz",
    "liovcnt",
    "riovcnt",
    "maxnode",
    "nr_pages",
    "nr_mnt_ids",
    "nr_ns_ids",
    "size_t",
    "min_nr",
    "offset",
    "nbytes",
    "num",
    "cmdline_len",
    "bytecount",
    "flags",
    "option",
    "request",
    "nr_segments",
    "fd",
];

/// Calls after which the process is another one, or not there.
const ENDING: [u64; 18] = [
    9, 10, 11, 12, 25, // mappings
    56, 57, 58, 59, 60, 231, 322, 435, // processes
    37, 157, // alarm, prctl
    209, 298,
    304, // io_submit, perf_event_open, open_by_handle_at: Valgrind reads through a null pointer
];

/// The family of calls that must not share a process with another call at all.
pub(crate) const ALONE: u64 = u64::MAX;

/// Calls of one family have texts in common, so that the second one's complaint would be no new one.
pub(crate) fn family(case: &Case) -> u64 {
    // Requests of ioctl with a text of their own are as different as calls.
    let request = |kind: u64| kind << 32 | 16;
    match case.number {
        16 if case.title.contains("registers") || case.title.contains("halves") => 16,
        16 => match case.arguments[1] {
            0x5402..=0x5404 => request(0x5402),
            0x5406..=0x5408 => request(0x5406),
            0x540f | 0x5410 => request(0x540f),
            0x8916 | 0x8918 | 0x891a | 0x891c => request(0x8916),
            encoded if encoded >> 30 != 0 => 16,
            other => request(other),
        },
        number if ENDING.contains(&number) => ALONE,
        288 => 43,
        293 => 22,
        289 => 282,
        294 => 253,
        305 => 159,
        278 => 275,
        307 => 46,
        299 => 47,
        249 => 248,
        315 => 314,
        446 => 444,
        460 => 459,
        296 | 328 => 20,
        number => number,
    }
}

/// A page of the arena for each argument.
pub(crate) fn page(index: usize) -> u64 {
    ARENA + index as u64 * PAGE
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for number in (0..512).filter(|number| !LEFT_OUT.contains(number)) {
        let Some(arguments) = syscall_params::arguments(number) else { continue };
        let values: Vec<u64> = arguments
            .iter()
            .enumerate()
            .map(|(index, argument)| match argument.size {
                8 if COUNTS.contains(&argument.name) => 8,
                8 => page(index),
                // Neither a descriptor that is open nor a signal; even, so that it is no flag O_WRONLY.
                _ => 64 + 2 * index as u64,
            })
            .collect();
        let pages = (0..6).map(page);
        let plain = |title: &str| Case::new(number, title, &values);
        cases.extend(edges(&plain("plain")));
        cases.push(plain("undefined registers").masked(WHOLE));
        cases.push(plain("undefined upper halves").masked(UPPER));
        cases.push(pages.clone().fold(plain("undefined memory"), |case, page| case.undefine(page, PAGE)));
        cases.push(pages.fold(plain("closed memory"), |case, page| case.close(page, PAGE)));
        let nulls: Vec<u64> =
            values.iter().map(|value| if (ARENA..).contains(value) { 0 } else { *value }).collect();
        cases.push(Case::new(number, "null pointers", &nulls));
    }
    cases.extend(by_hand());
    cases
}

/// A case in three or four forms (of ioctl only two): registers undefined, then the arena's first `pages` undefined
/// or closed, where `inner` ranges stay as they are, so that what is behind them is reached.
fn forms(case: &Case, pages: usize, inner: &[(u64, u64)]) -> Vec<Case> {
    let mut undefined = case.clone();
    let mut closed = case.clone();
    let end = page(pages);
    let mut at = ARENA;
    let mut inner = inner.to_vec();
    inner.sort_unstable();
    for (start, size) in inner.into_iter().chain([(end, 0)]) {
        if start > at {
            undefined = undefined.undefine(at, start - at);
            closed = closed.close(at, start - at);
        }
        at = start + size;
    }
    if case.number == 16 {
        undefined.title += ", undefined memory";
        closed.title += ", closed memory";
        return vec![undefined, closed];
    }
    undefined.title += ", undefined memory";
    closed.title += ", closed memory";
    let mut registers = case.clone().masked(WHOLE);
    registers.title += ", undefined registers";
    let mut forms = vec![registers, undefined, closed];
    // Where the width of registers depends on a command.
    if matches!(case.number, 66 | 72 | 157 | 202 | 250) {
        let mut upper = case.clone().masked(UPPER);
        upper.title += ", undefined upper halves";
        forms.push(upper);
    }
    forms
}

/// A case in two forms that hold the sizes: the last byte of each range that the table checks is bad, and the first
/// byte behind each, where that is in no other range.
fn edges(case: &Case) -> Vec<Case> {
    let ranges = ranges(case);
    let (mut last, mut behind) = (case.clone(), case.clone());
    last.title += ", last bytes bad";
    behind.title += ", bytes behind bad";
    for (need, start, size) in &ranges {
        let end = start + size;
        last = match need {
            Need::Write => last.close(end - 1, 1),
            _ => last.undefine(end - 1, 1),
        };
        if !ranges.iter().any(|(_, start, size)| (*start..start + size).contains(&end)) {
            behind = behind.close(end, 1);
        }
    }
    if ranges.is_empty() { Vec::new() } else { vec![last, behind] }
}

fn by_hand() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |case: Case, inner: &[(u64, u64)]| {
        cases.extend(forms(&case, 16, inner));
        cases.extend(edges(&case));
    };
    let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(page);
    let far = page(8);

    // Modes of new files.
    add(Case::new(2, "O_CREAT", &[a, 0o101, 0o600]), &[]);
    add(Case::new(257, "O_CREAT", &[64, a, 0o101, 0o600]), &[]);
    add(Case::new(240, "O_CREAT", &[a, 0o101, 0o600, b]), &[]);
    add(Case::new(25, "MREMAP_FIXED", &[a, 0x1000, 0x1000, 3, b]), &[]);

    // Vectors: the first entry is as it should be, its buffer is not.
    for number in [19, 20, 295, 296, 327, 328] {
        let vector = Case::new(number, "two buffers", &[64, a, 2, 0, 0, 0]).words(a, &[b, 16, c, 8]);
        add(vector, &[(a, 32)]);
        add(Case::new(number, "no buffers", &[64, a, 0, 0, 0, 0]), &[]);
        add(Case::new(number, "too many", &[64, a, u64::MAX, 0, 0, 0]), &[]);
    }
    for number in [310, 311] {
        let vector = Case::new(number, "buffer", &[64, a, 1, b, 1, 0]).words(a, &[c, 16]).words(b, &[d, 16]);
        add(vector.clone(), &[(a, 16), (b, 16)]);
        add(vector, &[]);
    }

    // Addresses, by family.
    for (family, length) in [(0u16, 16), (1, 20), (2, 16), (10, 28), (16, 12), (31, 10), (5, 16)] {
        for number in [42, 49] {
            let title = format!("family {family}");
            let address =
                Case::new(number, &*title, &[64, a, length]).put(a, &family.to_le_bytes()).put(a + 2, b"/x");
            add(address.clone(), &[(a, 2)]);
        }
        let send = Case::new(44, format!("family {family}"), &[64, b, 16, 0, a, length]);
        add(send.put(a, &family.to_le_bytes()).put(a + 2, b"/x"), &[(a, 2)]);
    }
    for number in [43, 51, 52, 288] {
        add(Case::new(number, "length of 28", &[64, a, b, 0]).put(b, &[28]), &[(b, 4)]);
        add(Case::new(number, "length undefined", &[64, a, b, 0]).put(b, &[28]), &[(a, 64)]);
    }
    add(Case::new(45, "address", &[64, a, 16, 0, b, c]).put(c, &[16]), &[(c, 4)]);
    add(Case::new(45, "no address", &[64, a, 16, 0, 0, 0]), &[]);
    add(Case::new(54, "option", &[64, 1, 2, a, 4]), &[]);
    add(Case::new(54, "filter", &[64, 1, 26, a, 16]).words(a, &[2, b]), &[(a, 16)]);
    add(Case::new(54, "filter undefined", &[64, 1, 26, a, 16]).words(a, &[2, b]), &[(b, 64)]);
    add(Case::new(55, "option", &[64, 1, 2, a, b]).put(b, &[4]), &[(b, 4)]);

    // Messages: name, two buffers, control data.
    let header = |case: Case, at: u64| {
        case.words(at, &[b, 16, c, 2, d, 24, 0]).words(c, &[e, 16, far, 8]).put(b, &[2]).words(d, &[20])
    };
    for number in [46, 47] {
        add(header(Case::new(number, "message", &[64, a, 0]), a), &[(a, 56), (c, 32), (d, 8), (b, 2)]);
        add(header(Case::new(number, "header", &[64, a, 0]), a), &[]);
        add(header(Case::new(number, "vector", &[64, a, 0]), a), &[(a, 56)]);
    }
    for number in [299, 307] {
        add(header(Case::new(number, "message", &[64, a, 1, 0, 0]), a), &[(a, 60), (c, 32), (d, 8), (b, 2)]);
        add(header(Case::new(number, "header", &[64, a, 1, 0, far]), a), &[]);
    }

    // Waiting.
    for number in [7, 271] {
        let descriptors = Case::new(number, "two", &[a, 2, 0, 0, 8])
            .put(a, &[5, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        add(descriptors.clone(), &[]);
        add(descriptors, &[(a, 4), (a + 8, 4)]);
    }
    add(Case::new(271, "mask", &[a, 0, b, c, 8]), &[]);
    add(Case::new(270, "mask", &[64, a, b, c, d, e]).words(e, &[far, 8]), &[(e, 16)]);
    add(Case::new(23, "sets", &[64, a, b, c, d]), &[]);
    for op in [1, 2, 3] {
        add(Case::new(233, format!("operation {op}"), &[64, op, 65, a]), &[]);
    }
    add(Case::new(281, "mask", &[64, a, 4, 0, b, 8]), &[]);
    add(Case::new(281, "odd mask", &[64, a, 4, 0, b, 4]), &[]);
    add(Case::new(441, "mask", &[64, a, 4, b, c, 8]), &[]);

    // Commands.
    for command in [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 37, 38, 1024, 1025, 1026, 1030, 1031, 1032, 1033,
        1034,
    ] {
        add(Case::new(72, format!("command {command}"), &[64, command, a]), &[]);
    }
    for operation in 0..=12 {
        let futex = Case::new(202, format!("operation {operation}"), &[a, operation | 128, 0, b, c, 0]);
        add(futex, &[]);
    }
    for option in (1..=16).chain([19, 20, 22, 23, 24, 0x5961_6d61, 1000]) {
        add(Case::new(157, format!("option {option}"), &[option, a, 0, 0, 0]).put(a, b"name"), &[]);
    }
    for option in 0..=16 {
        add(Case::new(250, format!("operation {option}"), &[option, a, b, 8, 8]), &[]);
    }
    add(Case::new(250, "KEYCTL_SEARCH", &[10, 1, a, b, 2]), &[]);
    add(Case::new(250, "KEYCTL_JOIN_SESSION_KEYRING", &[1, 0, 0, 0, 0]), &[]);
    for command in [0, 1, 2, 3, 11, 12, 13, 14, 16, 18, 19] {
        add(Case::new(31, format!("command {command}"), &[64, command, a]), &[]);
        add(Case::new(71, format!("command {command}"), &[64, command, a]), &[]);
        add(Case::new(66, format!("command {command}"), &[64, 0, command, a]), &[]);
    }
    for request in [1, 2, 3, 4, 12, 13, 14, 15, 25, 26, 0x4200, 0x4201, 0x4202, 0x4203] {
        add(Case::new(101, format!("request {request:x}"), &[request, 64, a, b]), &[]);
    }
    for request in [0x4204, 0x4205] {
        add(
            Case::new(101, format!("request {request:x}"), &[request, 64, 1, b]).words(b, &[a, 16]),
            &[(b, 16)],
        );
        add(Case::new(101, format!("vector of {request:x}"), &[request, 64, 1, b]).words(b, &[a, 16]), &[]);
    }
    for command in 1..=4 {
        add(Case::new(103, format!("action {command}"), &[command, a, 16]), &[]);
        add(Case::new(139, format!("option {command}"), &[command, a, b]), &[]);
    }
    for (command, title) in [
        (0x80_0001, "Q_SYNC"),
        (0x80_0002, "Q_QUOTAON"),
        (0x80_0003, "Q_QUOTAOFF"),
        (0x80_0004, "Q_GETFMT"),
        (0x80_0005, "Q_GETINFO"),
        (0x80_0006, "Q_SETINFO"),
        (0x80_0007, "Q_GETQUOTA"),
        (0x80_0008, "Q_SETQUOTA"),
    ] {
        add(Case::new(179, title, &[command << 8, a, 0, b]), &[]);
    }
    for kind in 0..=7 {
        add(Case::new(312, format!("kind {kind}"), &[64, 65, kind, 1, 2]), &[]);
    }
    for bit in [0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x80, 0x4000, 0x8001, 0xa001] {
        add(Case::new(159, format!("modes {bit:x}"), &[a]).words(a, &[bit]), &[(a, 4)]);
        add(Case::new(305, format!("modes {bit:x}"), &[64, a]).words(a, &[bit]), &[(a, 4)]);
    }

    // Structures with conditions.
    add(Case::new(40, "offset", &[64, 65, a, 8]), &[]);
    add(Case::new(13, "restorer", &[10, a, b, 8]).words(a, &[0, 0x0400_0000]), &[(a + 8, 8)]);
    add(Case::new(13, "no restorer", &[10, a, b, 8]), &[(a + 8, 8)]);
    add(Case::new(222, "thread", &[64, a, b]).put(a + 12, &[4]), &[(a + 12, 4)]);
    add(Case::new(280, "times", &[64, a, b, 0]), &[(b + 8, 8), (b + 24, 8)]);
    let omitted = 0x3fff_fffe;
    add(
        Case::new(280, "omitted", &[64, a, b, 0]).words(b, &[0, omitted, 0, omitted + 1]),
        &[(b + 8, 8), (b + 24, 8)],
    );
    add(Case::new(303, "handle", &[64, a, b, c, 0]).put(b, &[32]), &[(b, 4)]);
    add(Case::new(304, "handle", &[64, b, 0]).put(b, &[32]), &[(b, 4)]);
    add(Case::new(298, "size", &[a, 64, 0, 65, 0]).put(a + 4, &[64]), &[(a + 4, 4)]);
    add(Case::new(314, "size", &[64, a, 0]).put(a, &[48]), &[(a, 4)]);
    add(Case::new(209, "one", &[64, 1, a]).words(a, &[b]), &[(a, 8)]);
    for (operation, title) in [(0, "read"), (1, "write"), (7, "readv"), (8, "writev")] {
        let request = Case::new(209, title, &[64, 1, a]).words(a, &[b]).put(b + 16, &[operation]);
        add(request.words(b + 24, &[c, 1]).words(c, &[d, 8]), &[(a, 8), (b, 64), (c, 16)]);
    }
    add(Case::new(333, "mask", &[64, 1, 1, a, b, c]).words(c, &[d, 8]), &[]);
    for number in [59, 322] {
        let arguments: &[u64] = if number == 59 { &[a, b, c] } else { &[64, a, b, c, 0] };
        let exec = Case::new(number, "strings", arguments).words(b, &[d, e, 0]).words(c, &[far, 0]);
        add(exec.clone().put(a, b"/no/such/file").put(d, b"x"), &[(b, 24), (c, 16)]);
    }
    for flags in [0x10_0000, 0x20_0000, 0x100_0000] {
        add(Case::new(56, format!("flags {flags:x}"), &[flags | 17, 0, a, b, 0]), &[]);
    }

    // bpf: commands with all of the structure.
    for command in (0..=20).chain([21, 22]) {
        add(Case::new(321, format!("command {command}"), &[command, a, 144]), &[]);
    }

    // ioctl: a selection of the table, networks, and numbers that say what they do.
    let requests = [
        0x5401,
        0x5402,
        0x5403,
        0x5404,
        0x5405,
        0x5406,
        0x5409,
        0x540a,
        0x540b,
        0x540e,
        0x540f,
        0x5410,
        0x5413,
        0x5414,
        0x5415,
        0x5416,
        0x5417,
        0x5418,
        0x541b,
        0x541e,
        0x541f,
        0x5421,
        0x5422,
        0x5425,
        0x5450,
        0x5451,
        0x5452,
        0x5460,
        0x8004_5430,
        0x4004_5431,
        0x8912,
        0x8910,
        0x8913,
        0x8914,
        0x8915,
        0x8916,
        0x891b,
        0x891d,
        0x891e,
        0x8921,
        0x8922,
        0x8924,
        0x8927,
        0x8933,
        0x8942,
        0x8943,
        0x8970,
        0x8971,
        0x8904,
        0x8906,
        0x8902,
        0x890b,
        0x8954,
        0x1260,
        0x125d,
        0x125e,
        0x1268,
        0x8008_1272,
        0x127b,
        0x0301,
        0x4c00,
        0x4c03,
        0x4c05,
        0x8024_7009,
        0x4b33,
        0x4b3b,
        0x4600,
        0x4004_54ca,
        0x8004_54cf,
        0x800c_0000 | 0x4508,
        0x8010_4506,
        0x8004_4501,
        0x4020_7a01,
        0x8020_7a02,
        0xc020_7a03,
        0x7a04,
        0x0020_7a05,
        0x2400,
        0x8008_2407,
        0x4008_2404,
        0x2285,
        0x2272,
        0x2282,
    ];
    for request in requests.into_iter().filter(|request| *request != 0x2285) {
        add(Case::new(16, format!("request {request:x}"), &[64, request, a]).put(a, b"lo"), &[]);
    }
    cases
}

//! The emitted code of representative blocks, one file each in `golden/`.
//!
//! A file holds what is shown, the guest's bytes with their options, then (behind `---`) the guest's disassembly, the
//! code with its map, and the exits. `VG_BLESS=1` rewrites the part behind `---`.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use translate::frames;
use translate::layout::{self, Fix};
use translate::models::{Models, Shape, place};
use translate::{
    Block, Config, First, Limits, Mode, Pointer, Prefix, Scratch, StubAddresses, Tables, Translator, What,
};

const CACHE: u64 = 0x6000_1000;
const EXIT_STUBS_END: u64 = 0x6100_0000;
const CHECK_STUBS: u64 = 0x6200_0000;
const INDIRECT_TABLE: u32 = 0x6800_0000;
const RETURN_TABLE: u32 = 0x6900_0000;
const MODELS: u32 = 0x1000_0000;
const STUBS: StubAddresses = StubAddresses {
    direct_exit: 0x6000_0100,
    special_exit: 0x6000_0200,
    indirect_miss: 0x6000_0300,
    return_miss: 0x6000_0400,
    syscall: 0x6000_0500,
    heap_call: 0x6000_0600,
    check: 0x6000_0700,
    step: 0x6000_0800,
    call: 0x6000_0850,
    access: [0x6000_0860, 0x6000_0870],
    store: [0x6000_0900, 0x6000_0a00, 0x6000_0b00, 0x6000_0c00, 0x6000_0d00, 0x6000_0e00, 0x6000_0f00],
    store_keeping_flags: [
        0x6000_0910,
        0x6000_0a10,
        0x6000_0b10,
        0x6000_0c10,
        0x6000_0d10,
        0x6000_0e10,
        0x6000_0f10,
    ],
};

struct Case {
    pc: u64,
    bytes: Vec<u8>,
    limits: Limits,
    prefix: Option<Prefix>,
    count: bool,
    count_segments: bool,
    calls: bool,
    follows: bool,
    accesses: bool,
    models: Option<Models>,
    watch: bool,
    check: bool,
    mode: Mode,
    pointer: Pointer,
}

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Parses the lines `key: value` in front of `---`; lines that begin with `#` say what is shown.
fn parse(text: &str) -> Case {
    let mut case = Case {
        pc: 0x1000_0000,
        bytes: vec![],
        limits: Limits::default(),
        prefix: None,
        count: false,
        count_segments: false,
        calls: false,
        follows: false,
        accesses: false,
        models: None,
        watch: false,
        check: false,
        mode: Mode::Plain,
        pointer: Pointer::Unknown,
    };
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("no `key: value`: {line}"));
        match key {
            "pc" => case.pc = number(value),
            "bytes" => {
                case.bytes
                    .extend(value.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect(byte)));
            }
            "prefix" if value == "return" => case.prefix = Some(Prefix::Return),
            "prefix" if value == "indirect" => case.prefix = Some(Prefix::Indirect),
            "watch" => case.watch = true,
            "accesses" => case.accesses = value == "yes",
            "models" => {
                let (i1, d1) =
                    (Shape { line_bits: 6, sets: 64, ways: 8 }, Shape { line_bits: 6, sets: 64, ways: 12 });
                let (caches, branches) = (value != "branches", value != "caches");
                case.models =
                    Some(Models::new(MODELS, caches.then_some([i1, d1]), branches, 64, case.follows));
                (case.accesses, case.count_segments) = (true, true);
            }
            "calls" => (case.count, case.calls) = (true, true),
            "follows" => (case.count, case.follows) = (true, true),
            "count" => (case.count, case.count_segments) = (value != "segments", value != "yes"),
            "check" => case.check = value == "yes",
            "mode" => {
                case.mode = match value {
                    "clean" => Mode::Clean,
                    "guarded" => Mode::Guarded,
                    "precise" => Mode::Clean.precise(),
                    "precise from guarded" => Mode::Guarded.precise(),
                    _ => panic!("unknown mode: {value}"),
                };
                case.check = true;
                case.limits.checked = !case.mode.is_precise();
            }
            "pointer" if value == "unresolved" => case.pointer = Pointer::Unresolved,
            "pointer" => case.pointer = Pointer::LeadsTo(number(value)),
            "instructions" => case.limits.instructions = number(value) as usize,
            "segments" => case.limits.segments = number(value) as usize,
            _ => panic!("unknown line: {line}"),
        }
    }
    case
}

fn name(fix: Fix) -> String {
    const REGISTERS: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    if fix.without_log() != fix {
        let mut name = name(fix.without_log());
        if let Some(register) = fix.log() {
            name += &format!(", {} holds the place in the log", REGISTERS[usize::from(register)]);
        }
        let homes: Vec<_> = fix.homes().map(|register| REGISTERS[usize::from(register)]).collect();
        if !homes.is_empty() {
            name += &format!(", {} at home", homes.join(" "));
        }
        return name;
    }
    if let Some(left) = fix.left() {
        let saved = if fix.scratch().is_empty() { "rcx, r11" } else { "rax, rcx, r11, flags" };
        return format!(" {saved} saved, cost{} counted", if left { " and leave" } else { "" });
    }
    match fix {
        Fix::NONE => String::new(),
        Fix::R11 => " r11 saved".into(),
        Fix::R11_TO_R11 => " r11 saved, pc in r11".into(),
        Fix::R11_TO_TARGET => " r11 saved, pc in TARGET".into(),
        Fix::R11_TO_STACK => " r11 saved, pc in [rsp-8]".into(),
        Fix::UNPUSH => " half pushed".into(),
        Fix::UNPUSH_R11 => " half pushed, r11 saved".into(),
        Fix::RCX_R11 => " rcx spilled, r11 saved".into(),
        Fix::RCX_R11_TO_TARGET => " rcx spilled, r11 saved, pc in TARGET".into(),
        Fix::RCX_R11_TO_STACK => " rcx spilled, r11 saved, pc in [rsp-8]".into(),
        Fix::RCX_IN_R11 => " rcx in r11, r11 saved".into(),
        Fix::RCX_IN_R11_TO_TARGET => " rcx in r11, r11 saved, pc in TARGET".into(),
        Fix::RCX_IN_R11_TO_STACK => " rcx in r11, r11 saved, pc in [rsp-8]".into(),
        Fix::FLAGS => " flags saved".into(),
        Fix::RAX => " rax saved".into(),
        Fix::RAX_FLAGS => " rax, flags saved".into(),
        Fix::SCRATCH => " rax, rcx, r11 saved".into(),
        Fix::SCRATCH_FLAGS => " rax, rcx, r11, flags saved".into(),
        fix => {
            let register = REGISTERS[usize::from(fix.spilled().expect("no other fixes"))];
            let second = match fix.in_r11() {
                Some(11) => ", r11 saved".into(),
                Some(other) => format!(", {} in R11", REGISTERS[usize::from(other)]),
                None => String::new(),
            };
            let string = [Fix::string(false, false), Fix::string(false, true), Fix::string(true, false)]
                .into_iter()
                .chain([Fix::string(true, true)])
                .zip(["", ", low half", " (GS)", " (GS), low half"])
                .find(|(known, _)| *known == fix)
                .map_or(String::new(), |(_, which)| format!(", rsi with base{which}"));
            format!(" {register} spilled{second}{string}")
        }
    }
}

/// Names in place of addresses that are no part of what is shown.
fn symbolic(text: &str) -> String {
    let mut text = text.to_owned();
    let slots = [
        ("GUEST_FS", layout::GUEST_FS),
        ("GUEST_GS", layout::GUEST_GS),
        ("R11", layout::R11),
        ("TARGET", layout::TARGET),
        ("SPILL", layout::SPILL),
        ("LOG", layout::LOG),
        ("TOP", frames::TOP),
        ("END", frames::END),
        ("EXIT", layout::EXIT),
        ("CONTINUE", layout::CONTINUE),
        ("HOMES", layout::HOMES),
        ("HOMES+1", layout::HOMES + 8),
        ("HOMES+2", layout::HOMES + 16),
        ("ACCESS", MODELS + place::ACCESS),
        ("HISTORY", MODELS + place::HISTORY),
    ];
    let counts = [
        ("INSTRUCTIONS", layout::INSTRUCTIONS, layout::INSTRUCTION_SLOTS),
        ("GUARDED", layout::GUARDED_INSTRUCTIONS, layout::GUARDED_SLOTS),
    ];
    let counts = counts
        .into_iter()
        .flat_map(|(name, first, slots)| (0..slots).map(move |n| (format!("{name}+{n}"), first + 8 * n)));
    for (name, slot) in slots.map(|(name, slot)| (name.to_owned(), slot)).into_iter().chain(counts) {
        // A number never begins with a letter.
        let number = match format!("{slot:X}h") {
            _ if slot < 10 => slot.to_string(),
            hex if hex.starts_with(|first: char| first.is_ascii_alphabetic()) => format!("0{hex}"),
            hex => hex,
        };
        text = text.replace(&format!("fs:[{number}]"), &format!("fs:[{name}]"));
    }
    let stubs = [
        ("direct_exit", STUBS.direct_exit),
        ("special_exit", STUBS.special_exit),
        ("indirect_miss", STUBS.indirect_miss),
        ("return_miss", STUBS.return_miss),
        ("syscall", STUBS.syscall),
        ("heap_call", STUBS.heap_call),
        ("check", STUBS.check),
        ("step", STUBS.step),
        ("call", STUBS.call),
        ("fetched", STUBS.access[0]),
        ("accessed", STUBS.access[1]),
        ("store_1", STUBS.store[0]),
        ("store_2", STUBS.store[1]),
        ("store_4", STUBS.store[2]),
        ("store_8", STUBS.store[3]),
        ("store_16", STUBS.store[4]),
        ("store_32", STUBS.store[5]),
        ("store_64", STUBS.store[6]),
        ("store_1_keeping_flags", STUBS.store_keeping_flags[0]),
        ("store_2_keeping_flags", STUBS.store_keeping_flags[1]),
        ("store_4_keeping_flags", STUBS.store_keeping_flags[2]),
        ("store_8_keeping_flags", STUBS.store_keeping_flags[3]),
        ("store_16_keeping_flags", STUBS.store_keeping_flags[4]),
        ("store_32_keeping_flags", STUBS.store_keeping_flags[5]),
        ("store_64_keeping_flags", STUBS.store_keeping_flags[6]),
    ];
    for (name, address) in stubs {
        text = text.replace(&format!("{address:016X}h"), name);
    }
    text = text.replace(&format!("{INDIRECT_TABLE:X}h"), "indirect_table");
    text.replace(&format!("{RETURN_TABLE:X}h"), "return_table")
}

fn render(case: &Case) -> String {
    let block = Block::decode_in(Scratch::default(), &case.bytes, case.pc, case.limits, |_, _| case.pointer);
    let config = Config {
        tables: Tables { indirect: INDIRECT_TABLE, returns: RETURN_TABLE, bmi2: true },
        guarded_tables: Tables { indirect: 0x6006_0000, returns: 0x6007_0000, bmi2: true },
        stubs: STUBS,
        exit_stubs_end: EXIT_STUBS_END,
        count: case.count,
        count_segments: case.count_segments,
        log_calls: case.calls,
        follow_calls: case.follows,
        log_accesses: case.accesses,
        models: case.models,
        watch_stack: case.watch,
        check_stubs: case.check.then_some(CHECK_STUBS),
        mode: case.mode,
    };
    let mut buffer = [0u8; 4096];
    let mut translator = Translator::new();
    let function = (case.calls || case.follows).then_some(9);
    let first = First { exit: 7, check: 3, counter: 5, function, steps: 0x7100_0000_1000, run: 0, site: 30 };
    let fragment = translator.translate(&block, &config, case.prefix, first, CACHE, &mut buffer).unwrap();

    let guest = support::disassemble(&case.bytes[..(fragment.end - case.pc) as usize], case.pc);
    let mut out = String::new();
    let _ = writeln!(out, "\ncache: {} bytes", fragment.size);
    let mut map: BTreeMap<u32, String> = BTreeMap::new();
    for entry in &fragment.map {
        map.insert(entry.cache, format!("  @ {:x}{}\n", entry.guest, name(entry.fix)));
    }
    let code = support::disassemble(&buffer[..fragment.size as usize], CACHE);
    for line in code.lines() {
        let at =
            (u64::from_str_radix(line.trim_start().split(' ').next().unwrap(), 16).unwrap() - CACHE) as u32;
        if at == fragment.body {
            out += "body\n";
        }
        out += &map.remove(&at).unwrap_or_default();
        let line = line.trim_start().split_once(' ').unwrap().1;
        let _ = writeln!(out, "    +{at:02x} {line}");
    }
    for (counted, number) in fragment.counted.iter().zip(5..) {
        let pc = |offset: u16| case.pc + u64::from(offset);
        let (start, end, at) = (pc(counted.start), pc(counted.end), pc(counted.at));
        if let Some(conditional) = counted.mispredicted {
            let branch = if conditional { "conditional" } else { "indirect" };
            let _ = writeln!(out, "counter {number}: {branch} branch at {start:x} mispredicted");
            continue;
        }
        let _ = writeln!(
            out,
            "counter {number}: {start:x}..{end:x}, at {at:x}, counted from +{:x}",
            counted.behind
        );
    }
    for (site, number) in fragment.sites.iter().zip(30..) {
        let kind = site.kind.map_or("Fetch".into(), |kind| format!("{kind:?}"));
        let _ = writeln!(out, "site {number}: {kind} at {:x}", site.pc);
    }
    assert!(map.is_empty(), "map entries inside of instructions: {map:?}");
    for (exit, number) in fragment.exits.iter().zip(7..) {
        let special = exit.special.map_or(String::new(), |special| format!(" {special:?}"));
        let (patch, stub) = (exit.patch, config.exit_stub(number));
        let _ = writeln!(out, "exit {number} to {:x}{special}, patched at +{patch:x}", exit.target);
        out = out.replace(&format!("{stub:016X}h"), &format!("exit_{number}"));
        for line in support::disassemble(&config.exit_stub_code(number, exit), stub).lines() {
            let _ = writeln!(out, "    {}", line.trim_start().split_once(' ').unwrap().1);
        }
    }
    for (check, number) in fragment.checks.iter().zip(3..) {
        let (pc, stub) = (check.pc, config.check_stub(number));
        let what = match check.what {
            What::Memory { size, access } => format!("{access:?} of {size}"),
            What::Registers => "registers".to_owned(),
        };
        let adjust = if check.adjust == 0 { String::new() } else { format!(", count {:+}", check.adjust) };
        let _ = writeln!(out, "check {number} at {pc:x}: {what}{adjust}, goes on at +{:x}", check.resume);
        out = out.replace(&format!("{stub:016X}h"), &format!("check_{number}"));
        let code = config.check_stub_code(number, check, CACHE);
        // Behind the jump that a link changes, up to the one that ends it.
        for line in support::disassemble(&code, stub).lines().skip(1) {
            let text = line.trim_start().split_once(' ').unwrap().1;
            let _ = writeln!(out, "    {text}");
            if text.trim_start().starts_with("jmp") {
                break;
            }
        }
    }
    format!("guest\n{guest}{}", symbolic(&out))
}

#[test]
fn emitted_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bless = std::env::var_os("VG_BLESS").is_some();
    let (mut files, mut wrong) = (0, Vec::new());
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "txt")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let (input, expected) = text.split_once("---\n").unwrap_or((&text, ""));
        let got = render(&parse(input));
        files += 1;
        if bless {
            std::fs::write(&path, format!("{input}---\n{got}")).unwrap();
        } else if got != expected {
            let first = got.lines().zip(expected.lines()).find(|(a, b)| a != b);
            eprintln!("{}: first difference (got, expected): {first:#?}\nwhole:\n{got}", path.display());
            wrong.push(path);
        }
    }
    assert!(files >= 25, "only {files} files in {}", folder.display());
    assert!(wrong.is_empty(), "emitted code changed; VG_BLESS=1 accepts it: {wrong:?}");
}

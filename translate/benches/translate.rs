//! Speed of translation: the functions of the system's libc, decoded and translated one superblock after another.
//!
//! `cargo bench -p translate [-- FILE]`; prints the median of several passes.

use iced_x86::{Decoder, DecoderOptions};
use std::time::{Duration, Instant};
use translate::{Block, Config, Limits, Prefix, StubAddresses, Tables, Translator};

const PASSES: usize = 7;
const CACHE: u64 = 0x6000_0000;
const GUEST: u64 = 0x3000_0000;

fn u16_at(file: &[u8], at: usize) -> usize {
    u16::from_le_bytes(file[at..at + 2].try_into().unwrap()).into()
}

fn u64_at(file: &[u8], at: usize) -> usize {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize
}

/// The bytes of the section `.text`.
fn text(file: &[u8]) -> Option<&[u8]> {
    let (table, size, count) = (u64_at(file, 40), u16_at(file, 58), u16_at(file, 60));
    let header = |n: usize| table + n * size;
    let names = u64_at(file, header(u16_at(file, 62)) + 24);
    (0..count).map(header).find_map(|at| {
        let name = names + u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let (offset, length) = (u64_at(file, at + 24), u64_at(file, at + 32));
        file[name..].starts_with(b".text\0").then(|| &file[offset..offset + length])
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn measure(name: &str, per: u64, unit: &str, mut pass: impl FnMut()) {
    let times = (0..PASSES).map(|_| {
        let start = Instant::now();
        pass();
        start.elapsed()
    });
    let time = median(times.collect());
    let nanos = time.as_secs_f64() * 1e9 / per as f64;
    println!("{name:34} {nanos:7.1} ns per {unit}, {:6.2} M/s", 1e3 / nanos);
}

fn main() {
    let path = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let path = path.unwrap_or_else(|| "/lib/x86_64-linux-gnu/libc.so.6".into());
    let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; name another ELF file"));
    let text = text(&file).unwrap_or_else(|| panic!("{path} has no .text section"));
    println!("{path}: {} bytes of code", text.len());

    let config = |count, check: bool| Config {
        count_segments: false,
        log_calls: false,
        follow_calls: false,
        watch_stack: false,
        log_accesses: false,
        models: None,
        tables: Tables { indirect: 0x5000_0000, returns: 0x5008_0000, bmi2: true },
        guarded_tables: Tables::default(),
        stubs: StubAddresses {
            direct_exit: CACHE + 0x100,
            special_exit: CACHE + 0x180,
            indirect_miss: CACHE + 0x200,
            return_miss: CACHE + 0x280,
            syscall: CACHE + 0x300,
            heap_call: CACHE + 0x380,
            check: CACHE + 0x400,
            call: 0x6000_0850,
            access: [CACHE + 0x4c0; 2],
            step: CACHE + 0x480,
            store: [CACHE + 0x500; 7],
            store_keeping_flags: [CACHE + 0x500; 7],
        },
        exit_stubs_end: CACHE + 0x100_0000,
        count,
        check_stubs: check.then_some(CACHE + 0x200_0000),
        mode: translate::Mode::Plain,
    };
    // Block starts, found once: the text from end to end.
    let mut starts = Vec::new();
    let (mut at, mut insns) = (0, 0u64);
    while at < text.len() {
        let block = Block::decode(&text[at..], GUEST + at as u64, Limits::default());
        starts.push(at);
        insns += block.instructions() as u64;
        at = (block.end() - GUEST) as usize;
    }
    println!("{} superblocks, {insns} instructions", starts.len());

    measure("iced decode only", insns, "instruction", || {
        let mut decoder = Decoder::with_ip(64, text, GUEST, DecoderOptions::NONE);
        let mut insn = iced_x86::Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut insn);
            std::hint::black_box(&insn);
        }
    });
    measure("Block::decode", insns, "instruction", || {
        for &at in &starts {
            std::hint::black_box(Block::decode(&text[at..], GUEST + at as u64, Limits::default()));
        }
    });
    for (name, count, check, prefix) in [
        ("decode and translate", false, false, None),
        ("decode and translate, counting", true, false, None),
        ("decode and translate, checking", false, true, None),
        ("decode and translate, with prefixes", false, false, Some(Prefix::Indirect)),
    ] {
        let mut translator = Translator::new();
        let config = config(count, check);
        let mut buffer = vec![0u8; 64 * 1024];
        let (mut bytes, mut entries, mut exits, mut checks) = (0u64, 0u64, 0u64, 0u64);
        measure(name, insns, "instruction", || {
            (bytes, entries, exits, checks) = (0, 0, 0, 0);
            for &at in &starts {
                let block = Block::decode(&text[at..], GUEST + at as u64, Limits::default());
                let fragment = translator.translate(
                    &block,
                    &config,
                    prefix,
                    translate::First::default(),
                    CACHE + 0x10_0000,
                    &mut buffer,
                );
                let fragment = fragment.expect("64 KiB hold any fragment");
                bytes += u64::from(fragment.size);
                entries += fragment.map.len() as u64;
                exits += fragment.exits.len() as u64;
                checks += fragment.checks.len() as u64;
            }
        });
        println!(
            "  {:.2} bytes out per byte in; per superblock {:.1} exits, {:.1} checks, {:.1} map entries",
            bytes as f64 / text.len() as f64,
            exits as f64 / starts.len() as f64,
            checks as f64 / starts.len() as f64,
            entries as f64 / starts.len() as f64,
        );
    }
}

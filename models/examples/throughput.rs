//! Prints what the models cost: nanoseconds for an access, a segment and a branch, in mixes of hits and misses.
//!
//! Run it with `cargo run --release -p models --example throughput [TRACE]`. TRACE is that of a real program:
//! `valgrind --tool=lackey --trace-mem=yes --log-file=TRACE PROGRAM`.

#[path = "../tests/oracle/batch.rs"]
mod batch;

use models::{Branches, Caches, Counts, Event, Geometry, Options, Segment, Shapes};
use std::hint::black_box;
use std::time::Instant;

const RUNS: usize = 5000;
/// Runs of instructions of a real program that are measured at once.
const PIECE: usize = 1000;

/// Numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn shapes() -> Shapes {
    let geometry = |size, ways| Geometry::new(size, ways, 64).expect("a geometry");
    Shapes { i1: geometry(32768, 8), d1: geometry(49152, 12), ll: geometry(8 << 20, 16) }
}

/// A segment of `instructions` of 4 bytes, of which the first `accesses` read or write.
fn segment(caches: &Caches, pc: u64, instructions: u64, accesses: u64) -> Segment {
    let mut builder = caches.segment();
    for i in 0..instructions {
        builder.instruction(pc + i * 4, 4);
        match i % 3 {
            _ if i >= accesses => {}
            0 => builder.write(8),
            _ => builder.read(8),
        }
    }
    builder.conditional();
    builder.finish()
}

/// Nanoseconds of the fastest of many short runs: the machine may be busy with other things.
fn best_of(runs: usize, mut run: impl FnMut()) -> f64 {
    let times = (0..runs).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e9
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Runs `segments`, in turn or `scattered`, with addresses of `address`.
fn measure(
    name: &str,
    options: Options,
    segments: impl Fn(&Caches) -> Vec<Segment>,
    mut address: impl FnMut(u64) -> u64,
    scattered: bool,
) {
    let mut caches = Caches::new(&shapes(), options).expect("caches");
    let segments = segments(&caches);
    let mut random = Random(88_172_645_463_325_252);
    // The log that is simulated again and again.
    let count = segments.len() as u64;
    let executed = if scattered { 20_000 } else { 512u64 };
    let batch: Vec<(usize, Vec<u64>)> = (0..executed)
        .map(|i| {
            let which = if scattered { random.below(count) } else { i % count } as usize;
            (which, (0..segments[which].accesses()).map(|_| address(i)).collect())
        })
        .collect();
    let accesses: usize = batch.iter().map(|(_, addresses)| addresses.len()).sum();
    let mut counts = Counts::default();
    let best = best_of(RUNS / batch.len().div_ceil(512), || {
        counts = Counts::default();
        for (which, addresses) in &batch {
            caches.run(&segments[*which], black_box(addresses), &mut counts);
        }
    });
    print!("  {name:44} {:6.2} ns a segment", best / batch.len() as f64);
    if accesses > 0 {
        let misses = (counts[Event::D1mr] + counts[Event::D1mw]) as f64 * 100.0 / accesses as f64;
        print!(", {:5.2} ns an access; {misses:.1} % of them miss D1", best / accesses as f64);
    }
    println!();
}

fn branches() {
    let mut branches = Branches::new();
    let mut random = Random(1);
    let log: Vec<(u64, bool)> =
        (0..4096).map(|_| (0x401000 + random.below(4096), random.below(10) != 0)).collect();
    let mut missed = 0;
    let conditional = best_of(RUNS, || {
        missed =
            log.iter().filter(|(pc, taken)| branches.conditional(*pc, *taken).contains(Event::Bcm)).count();
    });
    let indirect = best_of(RUNS, || {
        for (pc, taken) in &log {
            black_box(branches.indirect(*pc, u64::from(*taken)));
        }
    });
    let each = |time: f64| time / log.len() as f64;
    println!(
        "  {:5.2} ns a conditional branch, of which {:.1} % are mispredicted; {:5.2} ns an indirect one",
        each(conditional),
        missed as f64 * 100.0 / log.len() as f64,
        each(indirect)
    );
}

/// The accesses of a real program, from a trace.
fn program(path: &str, options: Options) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let trace = batch::read(&text);
    let instructions = trace.iter().filter(|step| step.kind == b'I').count();
    let mut caches = Caches::new(&shapes(), options).expect("caches");
    let log = batch::log(&trace, &caches);
    drop((text, trace));
    let mut counts = Counts::default();
    // The fastest of each piece: the whole takes too long to be left alone by other programs.
    let mut best = vec![f64::INFINITY; log.executed.len().div_ceil(PIECE)];
    for _ in 0..20 {
        counts = Counts::default();
        let mut addresses = log.addresses.as_slice();
        for (piece, best) in log.executed.chunks(PIECE).zip(&mut best) {
            let start = Instant::now();
            for (which, accesses) in piece {
                let (own, others) = addresses.split_at(*accesses);
                caches.run(&log.segments[*which], own, &mut counts);
                addresses = others;
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e9);
        }
    }
    let time: f64 = best.iter().sum();
    let (accesses, runs) = (log.addresses.len() as f64, log.executed.len() as f64);
    println!(
        "  {instructions} instructions: {:.2} ns each, {:.2} ns an access, {:.2} ns a run of {:.1}; \
         misses of D1 {:.2} %, of I1 {:.3} %",
        time / instructions as f64,
        time / accesses,
        time / runs,
        instructions as f64 / runs,
        (counts[Event::D1mr] + counts[Event::D1mw]) as f64 * 100.0 / accesses,
        counts[Event::I1mr] as f64 * 100.0 / instructions as f64
    );
}

fn main() {
    let plain = Options::default();
    if let Some(path) = std::env::args().nth(1) {
        program(&path, plain);
        program(&path, Options { write_back: true, ..plain });
        return;
    }
    let one = |instructions, accesses| {
        move |caches: &Caches| vec![segment(caches, 0x401000, instructions, accesses)]
    };
    measure("6 instructions, no access", plain, one(6, 0), |_| 0, false);
    measure("6 instructions, 2 accesses of one line", plain, one(6, 2), |_| 0x7000_0000, false);
    measure("48 instructions, 32 accesses of one line", plain, one(48, 32), |_| 0x7000_0000, false);
    let mut at = 0;
    let mut sequential = move |_| {
        at += 8;
        0x7000_0000 + at % 32768
    };
    measure("6 instructions, 2 accesses, 32 KiB in a row", plain, one(6, 2), &mut sequential, false);
    measure("48 instructions, 32 accesses, the same", plain, one(48, 32), &mut sequential, false);
    let functions = |size: u64| {
        move |caches: &Caches| {
            (0..size / 24).map(|i| segment(caches, 0x401000 + i * 24, 6, 2)).collect::<Vec<_>>()
        }
    };
    // Half to a stack frame, a third to 16 KiB, the rest to 4 MiB.
    let mixed = || {
        let mut random = Random(7);
        move |_| match random.below(6) {
            0..3 => 0x7fff_0000 + random.below(256) / 8 * 8,
            3 | 4 => 0x7000_0000 + random.below(16 << 10) / 8 * 8,
            _ => 0x6000_0000 + random.below(4 << 20) / 8 * 8,
        }
    };
    let nearby = || {
        let mut random = Random(7);
        move |_| match random.below(20) {
            0..12 => 0x7fff_0000 + random.below(256) / 8 * 8,
            12..19 => 0x7000_0000 + random.below(8 << 10) / 8 * 8,
            _ => 0x6000_0000 + random.below(1 << 20) / 8 * 8,
        }
    };
    measure("8 KiB of code, stack, 8 KiB, few misses", plain, functions(8 << 10), nearby(), true);
    measure("64 KiB of code, stack, 8 KiB, few misses", plain, functions(64 << 10), nearby(), true);
    measure("64 KiB of code, mixed", plain, functions(64 << 10), mixed(), true);
    let write_back = Options { write_back: true, ..plain };
    measure("the same, write-back", write_back, functions(64 << 10), mixed(), true);
    measure("the same, prefetch", Options { prefetch: true, ..plain }, functions(64 << 10), mixed(), true);
    branches();
}

//! Prints what a pair of allocation and free costs, with the quarantine on and off, with one and with two threads.
//!
//! Run it with `cargo run --release -p heap --example throughput`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Mapped, allocate, free, heap, request};
use heap::{Heap, Options, Request};
use std::hint::black_box;
use std::time::Instant;

const PAIRS: u64 = 5_000_000;

/// Nanoseconds for a pair when `window` blocks are live at a time.
fn pairs(heap: &Heap<Mapped>, size: impl Fn(u64) -> u64, window: usize, pairs: u64) -> f64 {
    let mut cache = heap.thread_cache().expect("a cache");
    let mut blocks = vec![0u64; window];
    let start = Instant::now();
    for i in 0..pairs {
        let place = &mut blocks[i as usize % window];
        if *place != 0 {
            free(heap, &mut cache, *place);
        }
        *place = black_box(allocate(heap, &mut cache, black_box(size(i))));
    }
    let time = start.elapsed();
    blocks.iter().filter(|block| **block != 0).for_each(|block| free(heap, &mut cache, *block));
    heap.retire(&mut cache);
    time.as_secs_f64() * 1e9 / pairs as f64
}

/// The best of three: the machine may be busy with other things.
fn best<const N: usize>(name: &str, mut measure: impl FnMut() -> [f64; N]) {
    let mut best = [f64::INFINITY; N];
    for _ in 0..3 {
        let times = measure();
        if times.iter().sum::<f64>() < best.iter().sum() {
            best = times;
        }
    }
    let times: Vec<String> = best.iter().map(|time| format!("{time:6.1}")).collect();
    println!("  {name:24} {} ns a pair", times.join(" and"));
}

fn two(heaps: [&Heap<Mapped>; 2]) -> [f64; 2] {
    std::thread::scope(|scope| {
        let threads = heaps.map(|heap| scope.spawn(|| pairs(heap, |_| 64, 1000, PAIRS)));
        threads.map(|thread| thread.join().expect("no panic"))
    })
}

fn main() {
    let off = Options { quarantine_bytes: 0, quarantine_blocks: 0, ..Options::default() };
    let small = Options { quarantine_bytes: 200_000, ..Options::default() };
    for (name, options) in [("20 MB", Options::default()), ("200 kB", small), ("none", off)] {
        println!("quarantine {name}:");
        let new = || heap(16 << 30, options);
        best("24 bytes, 1 live", || [pairs(&new(), |_| 24, 1, PAIRS)]);
        best("64 bytes, 1 live", || [pairs(&new(), |_| 64, 1, PAIRS)]);
        best("64 bytes, 1000 live", || [pairs(&new(), |_| 64, 1000, PAIRS)]);
        best("8..500 bytes, 1000 live", || [pairs(&new(), |i| 8 + i * 37 % 493, 1000, PAIRS)]);
        best("20000 bytes, 10 live", || [pairs(&new(), |_| 20_000, 10, PAIRS / 10)]);
        best("100000 bytes, 10 live", || [pairs(&new(), |_| 100_000, 10, PAIRS / 10)]);
        best("64 bytes, two threads", || {
            let shared = new();
            two([&shared, &shared])
        });
        best("... with a heap each", || two([&new(), &new()]));
    }
    let heap = heap(16 << 30, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    let start = Instant::now();
    for _ in 0..PAIRS {
        let request = Request { zeroed: false, ..request(64) };
        black_box(heap.allocate(&mut cache, request));
    }
    println!("allocation of fresh 64 bytes {:6.1} ns", start.elapsed().as_secs_f64() * 1e9 / PAIRS as f64);
    let addresses: Vec<u64> = heap.live_blocks().map(|block| block.address).collect();
    let start = Instant::now();
    let found = addresses.iter().filter(|address| heap.lookup(**address + 70).is_some()).count();
    println!("lookup                       {:6.1} ns", start.elapsed().as_secs_f64() * 1e9 / found as f64);
}

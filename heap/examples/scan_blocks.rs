//! Prints how long the leak scan takes for ten million blocks of 64 bytes with two pointers in each.
//!
//! Run it with `cargo run --release -p heap --example scan_blocks [BLOCKS]`; it needs some 1.5 GB of memory.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Random, allocate, heap, write};
use heap::Options;
use heap::scan::{Edge, Memory, Page, Root, Sink, scan};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

struct Arena;

impl Memory for Arena {
    fn page(&self, address: u64, into: &mut Page) -> bool {
        // SAFETY: the scan asks for pages of live blocks only, and the whole arena is mapped.
        *into = unsafe { *(address as *const Page) };
        true
    }

    fn word(&self, address: u64) -> Option<u64> {
        // SAFETY: as above; words of the arena only, because nothing is a file mapping.
        Some(unsafe { *(address as *const u64) })
    }

    fn readable_file_mapping(&self, _: u64) -> Option<u64> {
        None
    }

    fn in_executable_file_mapping(&self, _: u64) -> bool {
        false
    }
}

#[derive(Default)]
struct Count {
    edges: u64,
    sum: u64,
}

impl Sink for Count {
    fn root(&mut self, _: Root) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn edge(&mut self, edge: Edge) -> ControlFlow<()> {
        self.edges += 1;
        self.sum = self.sum.wrapping_add(u64::from(edge.destination) ^ edge.offset);
        ControlFlow::Continue(())
    }
}

fn main() {
    let blocks: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    for random_targets in [false, true] {
        let heap = heap(64 << 30, Options::default());
        let mut cache = heap.thread_cache().expect("a cache");
        let addresses: Vec<u64> = (0..blocks).map(|_| allocate(&heap, &mut cache, 64)).collect();
        let mut random = Random(1);
        for (i, &address) in addresses.iter().enumerate() {
            let (one, two) = match random_targets {
                true => (random.below(blocks) as usize, random.below(blocks) as usize),
                false => ((i + 1) % addresses.len(), i / 2),
            };
            write(address, addresses[one]);
            write(address + 40, addresses[two] + 8 * (i as u64 % 2));
        }
        let start = Instant::now();
        let snapshot = heap.snapshot();
        let numbered = start.elapsed();
        let mut count = Count::default();
        let start = Instant::now();
        let _ = scan(&snapshot, &mut [], &[], &Arena, &mut count);
        let scanned = start.elapsed();
        let start = Instant::now();
        let found = addresses.iter().filter(|address| snapshot.find(**address + 8).is_some()).count();
        let lookups = start.elapsed();
        black_box(count.sum);
        println!(
            "{blocks} blocks, {} edges to {} targets: numbering {:.2} s, scan {:.2} s; one lookup {:.1} ns in order",
            count.edges,
            if random_targets { "random" } else { "near" },
            numbered.as_secs_f64(),
            scanned.as_secs_f64(),
            lookups.as_secs_f64() * 1e9 / found as f64,
        );
    }
}

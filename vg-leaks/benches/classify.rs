//! How long a heap of many blocks takes, from the graph alone and through a trace: `cargo bench -p vg-leaks`.
//!
//! `BLOCKS=N` changes the number of blocks (10 million). Prints seconds, and the peak memory of this process after
//! the part that works on the graph alone.

use schema::write::{Codec, TraceWriter};
use std::process::Command;
use std::time::Instant;
use vg_leaks::classify::{HEURISTICS, classify};
use vg_leaks::graph::{Builder, Edge, HeapGraph, Place, Root};
use vg_leaks::{cycles, records};

/// Blocks per piece of a snapshot.
const PIECE: usize = 32768;

/// Reproducible and without structure.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(limit)) >> 32) as u32
    }
}

/// Two edges from each block: one to a near block, as lists and trees have them, one to any.
fn edges(blocks: u32) -> impl Iterator<Item = Edge> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..blocks).flat_map(move |from| {
        let near = (from + 1 + random.below(16)) % blocks;
        let far = random.below(blocks);
        let flags = if random.below(16) == 0 { 0 } else { 1 };
        [Edge { from, to: near, flags, offset: 0 }, Edge { from, to: far, flags: 1, offset: 8 }]
    })
}

fn graph(blocks: u32, roots: u32) -> HeapGraph {
    let mut builder = Builder::new(false);
    for i in 0..blocks {
        builder.block(0x10_0000 + u64::from(i) * 64, 48, 1 + i % 5000).expect("in order");
    }
    for block in 0..roots {
        let root = Root { address: 0x1000, place: Place::Data, thread: 0, block, flags: 1, interior: 0 };
        builder.root(root).expect("a block");
    }
    for edge in edges(blocks) {
        builder.edge(edge).expect("blocks");
    }
    builder.finish()
}

fn write_trace(path: &std::path::Path, blocks: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = TraceWriter::new(std::fs::File::create(path)?, Codec::Lz4);
    writer.header(&schema::Header { argv: vec!["bench".into()], ..schema::Header::default() })?;
    writer.stacks(1, &vec![schema::StackNode { parent: 0, frame: 0 }; 5000])?;
    writer.snapshot_begin(&schema::SnapshotBegin {
        process: 1,
        snapshot: 1,
        reason: schema::Reason::Exit,
        time: 0,
    })?;
    let row = |i: u32| schema::Block {
        address: 0x10_0000 + u64::from(i) * 64,
        size: 48,
        stack: 1 + i % 5000,
        family: schema::Family::Malloc,
        align_log2: 0,
    };
    for first in (0..blocks).step_by(PIECE) {
        let rows: Vec<_> = (first..blocks.min(first + PIECE as u32)).map(row).collect();
        writer.snapshot_blocks(1, 1, &rows)?;
    }
    let mut all = edges(blocks);
    let mut count = 0;
    loop {
        let rows: Vec<_> = all
            .by_ref()
            .take(PIECE)
            .map(|edge| schema::Edge {
                source: edge.from,
                target: edge.to,
                offset: edge.offset,
                flags: edge.flags.into(),
            })
            .collect();
        if rows.is_empty() {
            break;
        }
        count += rows.len() as u64;
        writer.snapshot_edges(1, 1, &rows)?;
    }
    let end = schema::SnapshotEnd {
        process: 1,
        snapshot: 1,
        blocks: blocks.into(),
        roots: 0,
        edges: count,
        scanned: 0,
    };
    writer.snapshot_end(&end)?;
    writer.flush()?;
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what:<40}{:>8.2} s", start.elapsed().as_secs_f64());
    result
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test --benches` starts this too, without the argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let blocks: u32 = std::env::var("BLOCKS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    println!("{blocks} blocks, {} edges", 2 * u64::from(blocks));
    for (name, roots) in [("all lost", 0), ("mostly reachable", 100)] {
        let graph = timed(&format!("{name}: build"), || graph(blocks, roots));
        let classes = timed(&format!("{name}: classify"), || classify(&graph, HEURISTICS.all()));
        let cycles = timed(&format!("{name}: cycles"), || cycles::find(&graph, &classes));
        let records =
            timed(&format!("{name}: records"), || records::collect(&graph, &classes, &cycles, |stack| stack));
        println!("{name}: {} records, {} cycles", records.len(), cycles.len());
    }
    if let Some(line) = std::fs::read_to_string("/proc/self/status")?.lines().find(|l| l.starts_with("VmHWM"))
    {
        println!("peak memory {}", line.trim_start_matches("VmHWM:").trim());
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.capnp");
    timed("write the trace", || write_trace(&path, blocks))?;
    println!("trace: {} MB", std::fs::metadata(&path)?.len() / 1_000_000);
    let output = timed("vg-leaks --leak-check=summary", || {
        Command::new(env!("CARGO_BIN_EXE_vg-leaks")).arg("--leak-check=summary").arg(&path).output()
    })?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    std::fs::remove_file(&path)?;
    Ok(())
}

//! What events cost in bytes.

use schema::{
    read::TraceReader,
    write::{Codec, EventChunk, TraceWriter},
    *,
};

use crate::{random::Random, sample::messages};

/// A heap as programs use it: size classes, addresses used again last in first out, few stacks often, short bursts
/// of allocations and frees, one thread.
pub(crate) fn realistic_events(count: usize) -> Vec<HeapEvent> {
    const CLASSES: [u64; 12] = [16, 24, 32, 40, 48, 64, 96, 128, 256, 512, 1024, 4096];
    let mut random = Random(6);
    let mut free = vec![Vec::<u64>::new(); CLASSES.len()];
    let mut live: Vec<(u64, usize)> = Vec::new();
    let (mut top, mut time, mut instructions) = (0x5555_5575_9000, 0, 0);
    let mut stacks = [0; 16];
    (0..count)
        .map(|_| {
            // Mean 120 ns and 300 instructions between events, with a long tail.
            let pause = 20 + random.below(100) + if random.below(10) == 0 { random.below(1000) } else { 0 };
            time += pause;
            instructions += pause * 2 + random.below(100);
            let stack_slot = random.below(16) as usize;
            if random.below(4) == 0 {
                // Zipf-like: most stacks are among the first of 20000.
                stacks[stack_slot] = (20_000 >> random.below(15)) as u32 + random.below(8) as u32;
            }
            let stack = stacks[stack_slot] + 1;
            let event = HeapEvent {
                op: Op::Alloc,
                family: Family::Malloc,
                align_log2: 0,
                thread: 1,
                stack,
                time,
                instructions,
                address: 0,
                size: 0,
                old_address: 0,
            };
            if !live.is_empty() && random.below(200) < 97 {
                // Mostly recent blocks die.
                let age = if random.below(4) == 0 { random.below(1 << 14) } else { random.below(16) };
                let index = live.len().saturating_sub(1 + age as usize);
                let (address, class) = live.remove(index);
                free[class].push(address);
                return HeapEvent { op: Op::Free, address, ..event };
            }
            let class = (random.below(12).min(random.below(12))) as usize;
            let size = CLASSES[class] - random.below(8);
            let address = free[class].pop().unwrap_or_else(|| {
                top += CLASSES[class].next_multiple_of(16) + 16;
                top
            });
            live.push((address, class));
            HeapEvent { address, size, ..event }
        })
        .collect()
}

/// Bytes an event in a trace of these events, the chunks alone.
fn bytes_per_event(events: &[HeapEvent], codec: Codec) -> f64 {
    let mut writer = TraceWriter::new(Vec::new(), codec);
    writer.message(&messages()[0]).expect("memory");
    let mut chunk = EventChunk::new(1);
    for event in events {
        writer.event(&mut chunk, *event).expect("memory");
    }
    writer.events(&mut chunk).expect("memory");
    writer.flush().expect("memory");
    let bytes = writer.statistics().iter().find(|kind| kind.kind == "chunk").expect("listed").bytes;
    let trace = writer.into_inner();
    let mut back = events.iter();
    for message in TraceReader::new(&trace[..]) {
        if let Message::Events(batch) = message {
            assert!(batch.events.iter().eq(back.by_ref().take(batch.events.len())));
        }
    }
    assert_eq!(back.len(), 0);
    bytes as f64 / events.len() as f64
}

#[test]
fn a_million_events_take_at_most_eight_bytes_each() {
    let events = realistic_events(1_000_000);
    let plain = bytes_per_event(&events, Codec::None);
    let lz4 = bytes_per_event(&events, Codec::Lz4);
    let zstd = bytes_per_event(&events, Codec::Zstd);
    println!("bytes per event: no codec {plain:.2}, lz4 {lz4:.2}, zstd-1 {zstd:.2}");
    assert!(plain <= 8.0, "{plain:.2}");
    assert!(lz4 <= plain && zstd <= lz4, "{plain:.2} {lz4:.2} {zstd:.2}");
}

/// Runs of 1 to 7 instructions of 2 to 8 bytes, a line begins with every third one, counts as of loops.
#[test]
fn executed_code_is_small() {
    let mut random = Random(7);
    let (mut runs, mut lines) = (Vec::new(), Vec::new());
    let mut rva = 0x1000;
    let mut times = 1;
    for _ in 0..30_000 {
        if random.below(3) == 0 {
            let bits = random.below(24);
            times = 1 + random.below(1 << bits);
        }
        let mut run = Executed { module: 1, rva, times, lengths: 0 };
        for i in 0..1 + random.below(7) {
            let length = 2 + random.below(4) + random.below(4);
            if random.below(3) == 0 || lines.is_empty() {
                // Mostly the next line, sometimes one of before.
                let last = lines.last().map_or(0, |line: &CodeLine| line.place);
                let place = if random.below(3) == 0 {
                    last.saturating_sub(random.below(20) as u32)
                } else {
                    last + 1
                };
                lines.push(CodeLine { rva, place });
            }
            run.lengths |= length << (4 * i);
            rva += length;
        }
        if random.below(8) == 0 {
            rva += random.below(200);
        }
        runs.push(run);
    }
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let mut writer = TraceWriter::new(Vec::new(), codec);
        writer.message(&messages()[0]).expect("memory");
        writer.executions(1, 1, 0, &runs).expect("memory");
        writer.code_lines(1, &lines).expect("memory");
        let bytes = |kind| writer.statistics().iter().find(|k| k.kind == kind).map_or(0, |k| k.bytes) as f64;
        let run = bytes("executions") / runs.len() as f64;
        let line = bytes("codeLines") / lines.len() as f64;
        println!("{codec:?}: {run:.2} bytes a run, {line:.2} a line");
        assert!(run <= 7.5 && line <= 1.6, "{codec:?}: {run:.2} {line:.2}");
    }
}

#[test]
fn errors_are_small() {
    let about = AddressInfo { kind: AddressKind::Freed, ..AddressInfo::default() };
    let error = Error {
        kind: ErrorKind::SyscallParam,
        about: Some(about),
        origin: Some(Origin { kind: OriginKind::Heap, stack: 1 }),
        text: "write(buf)".to_owned(),
        ..Error::default()
    };
    let mut writer = TraceWriter::new(Vec::new(), Codec::Lz4);
    writer.header(&Header::default()).expect("writing into memory works");
    let before = writer.statistics().iter().map(|kind| kind.bytes).sum::<u64>();
    writer.errors(&vec![error; 1000]).expect("writing into memory works");
    let bytes = writer.statistics().iter().map(|kind| kind.bytes).sum::<u64>() - before;
    assert!((200_000..=250_000).contains(&bytes), "{bytes} bytes for 1000 errors");
}

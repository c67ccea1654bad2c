//! When the heap is looked at, on made-up events.

use super::*;

fn event(op: Op, address: u64, size: u64, old_address: u64) -> HeapEvent {
    HeapEvent {
        op,
        family: Family::Malloc,
        align_log2: 0,
        thread: 1,
        stack: 1,
        time: 0,
        instructions: 0,
        address,
        size,
        old_address,
    }
}

fn alloc(address: u64, size: u64) -> HeapEvent {
    event(Op::Alloc, address, size, 0)
}

fn free(address: u64) -> HeapEvent {
    event(Op::Free, address, 0, 0)
}

fn realloc(address: u64, size: u64) -> HeapEvent {
    event(Op::Realloc, address, size, address)
}

fn settings(unit: TimeUnit) -> Settings {
    Settings {
        unit,
        heap_admin: 8,
        rules: Rules { max_snapshots: 100, detailed_freq: 100, peak_inaccuracy: 1.0 },
    }
}

/// Time, bytes, extra and kind of each snapshot.
fn seen(pieces: &[&[HeapEvent]], unit: TimeUnit) -> Vec<(u64, u64, u64, &'static str)> {
    let snapshots = snapshots(pieces, 0, settings(unit), |stack| stack == 99);
    snapshots.iter().map(|one| (one.time, one.bytes, one.extra, one.kind())).collect()
}

#[test]
fn peaks_come_before_memory_is_given_back() {
    let events = [alloc(1, 1000), free(1), alloc(2, 160), realloc(2, 170), realloc(2, 32), free(2), free(2)];
    assert_eq!(
        seen(&[&events], TimeUnit::Bytes),
        [
            (0, 0, 0, "empty"),
            (1016, 1000, 16, "empty"),
            (1016, 1000, 16, "peak"),
            (2032, 0, 0, "empty"),
            (2200, 160, 8, "empty"),
            (2216, 170, 14, "empty"),
            (2216, 32, 152, "empty"),
            (2400, 0, 0, "empty"),
        ]
    );
    // Nothing that only grows has a peak.
    let growing = [alloc(1, 16), realloc(1, 32), alloc(2, 5)];
    assert!(seen(&[&growing], TimeUnit::Bytes).iter().all(|one| one.3 == "empty"));
    // One that shrinks has, also by a realloc.
    assert_eq!(seen(&[&[alloc(1, 32), realloc(1, 16)]], TimeUnit::Bytes)[2], (40, 32, 8, "peak"));
}

#[test]
fn ignored_blocks_and_pools_change_nothing() {
    let ignored = HeapEvent { stack: 99, ..alloc(1, 1000) };
    let pool = HeapEvent { family: Family::Pool, ..alloc(2, 1000) };
    let client = HeapEvent { family: Family::Client, ..alloc(3, 16) };
    let events = [ignored, pool, free(1), free(2), client];
    assert_eq!(seen(&[&events], TimeUnit::Bytes), [(0, 0, 0, "empty"), (24, 16, 8, "empty")]);
}

#[test]
fn a_child_begins_with_its_parents_heap() {
    let parents = HeapEvent { instructions: 100, ..alloc(1, 32) };
    let childs = HeapEvent { thread: 2, instructions: 130, ..free(1) };
    assert_eq!(
        seen(&[&[parents], &[childs]], TimeUnit::Instructions),
        [(0, 0, 0, "empty"), (100, 32, 8, "empty"), (130, 32, 8, "peak"), (130, 0, 0, "empty")]
    );
}

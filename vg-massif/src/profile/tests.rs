//! When the heap is looked at, on made-up events.

use super::*;

pub(crate) fn event(op: Op, address: u64, size: u64, old_address: u64) -> HeapEvent {
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
    let snapshots = Events { pieces, began: 0 }.snapshots(settings(unit), |stack| stack == 99);
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

#[test]
fn any_moment() {
    let events = [
        HeapEvent { stack: 2, ..alloc(1, 1000) },
        HeapEvent { instructions: 5, ..free(1) },
        HeapEvent { instructions: 5, ..alloc(2, 1000) },
        HeapEvent { instructions: 9, ..realloc(2, 16) },
    ];
    let at = |at, unit| {
        let one = Events { pieces: &[&events], began: 0 }.at(at, settings(unit), |_| false);
        (one.time, one.bytes, one.is_peak, one.detail.unwrap())
    };
    let i = TimeUnit::Instructions;
    // The first of two that are as high.
    assert_eq!(at(At::Peak, i), (0, 1000, true, vec![(2, 1000)]));
    assert_eq!(at(At::End, i), (9, 16, false, vec![(1, 16), (2, 0)]));
    assert_eq!(at(At::Time(4), i), (0, 1000, false, vec![(2, 1000)]));
    // All that happened then.
    assert_eq!(at(At::Time(5), i), (5, 1000, false, vec![(1, 1000), (2, 0)]));
    assert_eq!(at(At::Time(1000), i), at(At::End, i));
    // In front of the first event, which lasts for 1016 bytes.
    assert_eq!(at(At::Time(1015), TimeUnit::Bytes), (0, 0, false, vec![]));
    assert_eq!(at(At::Time(1016), TimeUnit::Bytes).1, 1000);
}

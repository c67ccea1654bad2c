//! Valgrind's rules about freed blocks: volume, order, big blocks, and that they leave at an allocation only.

mod common;

use common::{Mapped, allocate, free, heap, request};
use heap::{FreeOutcome, Heap, InvalidFree, Options, State};
use ring::record::Family;

fn options() -> Options {
    Options { quarantine_bytes: 1000, big_block: 300, ..Options::default() }
}

fn is_kept(heap: &Heap<Mapped>, address: u64) -> bool {
    heap.lookup(address).is_some_and(|block| block.address == address && block.state == State::Quarantined)
}

fn kept(heap: &Heap<Mapped>, blocks: &[u64]) -> Vec<bool> {
    blocks.iter().map(|&block| is_kept(heap, block)).collect()
}

#[test]
fn the_oldest_leave_at_the_next_allocation() {
    let heap = heap(1 << 30, options());
    let mut cache = heap.thread_cache().expect("a cache");
    let blocks: Vec<_> = (0..15).map(|_| allocate(&heap, &mut cache, 100)).collect();
    for &block in &blocks {
        free(&heap, &mut cache, block);
    }
    assert_eq!(kept(&heap, &blocks), [true; 15], "a free releases nothing");
    allocate(&heap, &mut cache, 5000);
    let expected: Vec<_> = (0..15).map(|i| i >= 5).collect();
    assert_eq!(kept(&heap, &blocks), expected);
    assert_eq!(heap.counters().quarantined_bytes, 1000, "exactly the volume may stay");
}

#[test]
fn big_blocks_leave_first_and_in_order() {
    let heap = heap(1 << 30, options());
    let mut cache = heap.thread_cache().expect("a cache");
    let blocks: Vec<_> =
        [200, 300, 200, 299, 400, 100].iter().map(|&size| allocate(&heap, &mut cache, size)).collect();
    for &block in &blocks {
        free(&heap, &mut cache, block);
    }
    // 1499 bytes: 300 and 400 go although 200 is older.
    allocate(&heap, &mut cache, 5000);
    assert_eq!(kept(&heap, &blocks), [true, false, true, true, false, true]);
    let one = allocate(&heap, &mut cache, 280);
    free(&heap, &mut cache, one);
    allocate(&heap, &mut cache, 5000);
    assert_eq!(
        kept(&heap, &blocks),
        [false, false, true, true, false, true],
        "1079 bytes: the oldest small one"
    );
}

#[test]
fn a_block_beyond_the_volume_goes_to_the_head_of_its_list() {
    let heap = heap(1 << 30, options());
    let mut cache = heap.thread_cache().expect("a cache");
    let blocks: Vec<_> = [300, 300, 1000, 70_000].iter().map(|&n| allocate(&heap, &mut cache, n)).collect();
    for &block in &blocks {
        free(&heap, &mut cache, block);
    }
    assert!(kept(&heap, &blocks).iter().all(|kept| *kept), "each is kept until the next allocation");
    allocate(&heap, &mut cache, 5000);
    assert_eq!(kept(&heap, &blocks), [true, true, false, false]);
}

#[test]
fn so_it_does_in_the_list_of_small_blocks() {
    let heap = heap(1 << 30, Options { big_block: 1 << 20, ..options() });
    let mut cache = heap.thread_cache().expect("a cache");
    let blocks: Vec<_> = [400, 400, 1200].iter().map(|&n| allocate(&heap, &mut cache, n)).collect();
    for &block in &blocks {
        free(&heap, &mut cache, block);
    }
    allocate(&heap, &mut cache, 5000);
    assert_eq!(kept(&heap, &blocks), [true, true, false]);
}

#[test]
fn without_a_volume_a_block_is_still_known_until_the_next_allocation() {
    let heap = heap(1 << 30, Options { quarantine_bytes: 0, ..Options::default() });
    let mut cache = heap.thread_cache().expect("a cache");
    let block = allocate(&heap, &mut cache, 100);
    free(&heap, &mut cache, block);
    let outcome = heap.free(&mut cache, block, Family::Malloc, 3);
    assert!(matches!(outcome, FreeOutcome::Invalid(InvalidFree::AlreadyFreed(_))));
    assert_eq!(allocate(&heap, &mut cache, 100), block, "the memory is used again at once");
}

#[test]
fn the_default_volume_holds_to_one_part_in_256() {
    let heap = heap(4 << 30, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    let mut last_seen = std::collections::HashMap::new();
    let mut nearest = u64::MAX;
    for i in 0..400_000u64 {
        let block = allocate(&heap, &mut cache, 400);
        if let Some(before) = last_seen.insert(block, i) {
            nearest = nearest.min(i - before);
        }
        free(&heap, &mut cache, block);
    }
    // 50,000 blocks of 400 bytes fill the volume.
    assert!(nearest >= 50_000, "a block came back after {nearest} others");
    assert!(last_seen.len() < 51_500, "{} blocks were needed", last_seen.len());
}

#[test]
fn the_number_of_tiny_blocks_is_limited() {
    let heap = heap(1 << 30, Options { quarantine_blocks: 10_000, ..Options::default() });
    let mut cache = heap.thread_cache().expect("a cache");
    for size in [0, 1] {
        for _ in 0..100_000 {
            let block = allocate(&heap, &mut cache, size);
            free(&heap, &mut cache, block);
        }
    }
    assert!(heap.counters().peak_mapped_bytes < 3 << 20, "{:?}", heap.counters());
}

#[test]
fn large_blocks_return_their_address_space() {
    let heap = heap(1 << 30, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    for i in 0..10_000u64 {
        let block = heap.allocate(&mut cache, request(50_000 + i * 211)).expect("address space");
        free(&heap, &mut cache, block);
    }
    assert!(heap.counters().peak_mapped_bytes < 100 << 20, "{:?}", heap.counters());
}

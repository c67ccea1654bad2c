//! One thread: blocks against a model, sizes, alignment, zeroing, refused frees, lookup, memory that comes back.

mod common;

use common::{Mapped, Random, allocate, bytes, free, heap, request};
use heap::{Error, FreeOutcome, Heap, InvalidFree, Options, Relation, Request, State};
use ring::record::Family;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const GIB: u64 = 1 << 30;

fn fill(address: u64, size: u64, seed: u64) {
    for (i, byte) in bytes(address, size).iter_mut().enumerate() {
        *byte = (seed as usize).wrapping_mul(31).wrapping_add(i * 7) as u8;
    }
}

fn is_filled(address: u64, size: u64, seed: u64) -> bool {
    let expected = |i: usize| (seed as usize).wrapping_mul(31).wrapping_add(i * 7) as u8;
    bytes(address, size).iter().enumerate().all(|(i, byte)| *byte == expected(i))
}

/// Random operations; every answer is compared with a sorted map of the live blocks.
fn against_a_model(options: Options, seed: u64, steps: u32) {
    let heap = heap(4 * GIB, options);
    let mut cache = heap.thread_cache().expect("a cache");
    let redzone = heap.options().redzone;
    let mut random = Random(seed);
    let mut model: BTreeMap<u64, (u64, u64, u64)> = BTreeMap::new();
    let mut order = Vec::new();
    let (mut allocations, mut frees) = (0, 0);
    for step in 0..steps {
        if order.len() < 20 || random.below(100) < 52 {
            let size = random.size();
            let align = if random.below(8) == 0 { 1 << random.below(18) } else { 16 };
            let zeroed = random.below(4) == 0;
            let request = Request { size, align, family: Family::New, stack: step, zeroed };
            let address = heap.allocate(&mut cache, request).expect("memory");
            assert_eq!(address % align.max(16), 0);
            if zeroed {
                assert!(bytes(address, size).iter().all(|byte| *byte == 0));
            }
            if let Some((before, (length, ..))) = model.range(..=address).next_back() {
                assert!(before + length + 2 * redzone <= address, "red zones of neighbours overlap");
            }
            if let Some((behind, _)) = model.range(address..).next() {
                assert!(address + size + 2 * redzone <= *behind, "red zones of neighbours overlap");
            }
            fill(address, size, u64::from(step));
            assert!(model.insert(address, (size, u64::from(step), align)).is_none());
            order.push(address);
            allocations += 1;
        } else {
            let address = order.swap_remove(random.below(order.len() as u64) as usize);
            let (size, seed, align) = model.remove(&address).expect("in the model");
            assert!(is_filled(address, size, seed), "contents were damaged");
            let FreeOutcome::Freed(freed) = heap.free(&mut cache, address, Family::New, 7) else {
                panic!("a live block");
            };
            assert_eq!((freed.size, freed.stack, freed.align), (size, seed as u32, align));
            frees += 1;
        }
        if step % 5000 == 0 || step + 1 == steps {
            let live: Vec<_> =
                heap.live_blocks().map(|b| (b.address, (b.size, u64::from(b.stack), b.align))).collect();
            assert!(live.iter().eq(model.iter().map(|(a, b)| (*a, *b)).collect::<Vec<_>>().iter()));
            let counters = heap.counters();
            assert_eq!((counters.allocations, counters.frees), (allocations, frees));
            assert_eq!(counters.live_blocks(), model.len() as u64);
            assert_eq!(counters.live_bytes(), model.values().map(|b| b.0).sum::<u64>());
        }
    }
    for (address, (size, seed, _)) in model {
        assert!(is_filled(address, size, seed));
        let block = heap.lookup(address).expect("a block");
        assert_eq!((block.address, block.size, block.state), (address, size, State::Live));
    }
}

#[test]
fn random_operations_agree_with_a_model() {
    against_a_model(Options::default(), 1, 30_000);
}

#[test]
fn so_they_do_without_quarantine() {
    let options =
        Options { quarantine_bytes: 0, quarantine_blocks: 0, dirty_bytes: 1 << 20, ..Options::default() };
    against_a_model(options, 2, 30_000);
}

#[test]
fn so_they_do_with_a_small_quarantine_and_wide_red_zones() {
    let options = Options { quarantine_bytes: 100_000, big_block: 5000, redzone: 100, ..Options::default() };
    against_a_model(options, 3, 30_000);
}

#[test]
fn so_they_do_without_red_zones() {
    let options = Options { quarantine_bytes: 100_000, redzone: 0, ..Options::default() };
    against_a_model(options, 4, 30_000);
}

#[test]
fn red_zones_are_rounded_and_limited() {
    for (asked, used) in [(0, 0), (1, 16), (16, 16), (17, 32), (4096, 4096), (u64::MAX, 4096)] {
        assert_eq!(heap(GIB, Options { redzone: asked, ..Options::default() }).options().redzone, used);
    }
}

#[test]
fn an_arena_that_is_not_aligned_is_refused() {
    for (base, size) in [(1, 65536), (65536, 1), (65536, 0), (0, 128 << 40)] {
        let pages = Mapped::new(65536);
        let arena = heap::Arena { base, size };
        assert_eq!(Heap::new(pages, arena, Options::default()).err(), Some(Error::BadArena));
    }
}

#[test]
fn every_size_around_a_class_boundary_has_its_red_zone() {
    let heap = heap(GIB, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    for size in (0..40_000).step_by(13).chain([32735, 32736, 32737, 65504, 65505, 1 << 20]) {
        let address = allocate(&heap, &mut cache, size);
        let at = |address: u64| heap.lookup(address).expect("a block").relation;
        assert_eq!(at(address - 16), Relation::Before(16));
        assert_eq!(at(address - 1), Relation::Before(1));
        assert_eq!(at(address + size), Relation::After(0));
        assert_eq!(at(address + size + 15), Relation::After(15));
        if size > 0 {
            assert_eq!(at(address), Relation::Inside(0));
            assert_eq!(at(address + size - 1), Relation::Inside(size - 1));
        }
        assert_eq!(heap.lookup(address + size).map(|block| block.address), Some(address));
    }
}

#[test]
fn empty_blocks_are_unique() {
    for redzone in [0, 16] {
        let heap = heap(GIB, Options { redzone, ..Options::default() });
        let mut cache = heap.thread_cache().expect("a cache");
        let mut addresses: Vec<_> = (0..10_000).map(|_| allocate(&heap, &mut cache, 0)).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 10_000);
        addresses.into_iter().for_each(|address| free(&heap, &mut cache, address));
        assert_eq!(heap.counters().live_blocks(), 0);
    }
}

#[test]
fn impossible_requests_fail_and_leave_the_heap_usable() {
    let heap = heap(8 * GIB, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    for size in [8 * GIB, 100 * GIB, 1 << 46, u64::MAX - 64, u64::MAX] {
        assert_eq!(heap.allocate(&mut cache, request(size)), None);
    }
    for align in [0, 3, 24, 48, 1 << 50, 1 << 63, u64::MAX] {
        let outcome = heap.allocate(&mut cache, Request { align, ..request(8) });
        assert_eq!(outcome.is_some(), align == 0, "alignment {align}");
    }
    let large = allocate(&heap, &mut cache, 5 * GIB);
    bytes(large, 5 * GIB)[(5 * GIB - 1) as usize] = 1;
    assert_eq!(heap.allocate(&mut cache, request(5 * GIB)), None, "the arena is full");
    free(&heap, &mut cache, large);
    // Larger than the whole quarantine, so it leaves at the next allocation.
    let again = allocate(&heap, &mut cache, 5 * GIB);
    assert_eq!(again, large);
    assert_eq!(heap.counters().allocations, 3);
}

#[test]
fn memory_that_the_system_refuses_is_a_failed_allocation() {
    let heap = heap(GIB, Options { quarantine_bytes: 0, quarantine_blocks: 0, ..Options::default() });
    heap.pages().limit.store(8 << 20, Ordering::Relaxed);
    let mut cache = heap.thread_cache().expect("a cache");
    let mut blocks = Vec::new();
    while let Some(address) = heap.allocate(&mut cache, request(1000)) {
        blocks.push(address);
    }
    // A kilobyte and its red zones take 1152 bytes: 7281 of them would fill 8 MiB.
    assert!((7000..7300).contains(&blocks.len()), "{}", blocks.len());
    assert_eq!(heap.allocate(&mut cache, request(1 << 20)), None);
    blocks.iter().for_each(|&address| free(&heap, &mut cache, address));
    heap.retire(&mut cache);
    let mut cache = heap.thread_cache().expect("a cache");
    // Small spans have become large runs again.
    allocate(&heap, &mut cache, 6 << 20);
}

#[test]
fn large_alignments_hold_and_need_no_luck() {
    let heap = heap(4 * GIB, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    for log2 in 0..25 {
        for size in [0, 1, 100, 5000, 70_000] {
            let request = Request { align: 1 << log2, ..request(size) };
            let address = heap.allocate(&mut cache, request).expect("memory");
            assert_eq!(address % (1 << log2).max(16), 0);
            bytes(address, size).fill(0xff);
            let block = heap.lookup(address - 1).expect("the red zone in front");
            assert_eq!((block.address, block.align), (address, 1 << log2));
            let FreeOutcome::Freed(freed) = heap.free(&mut cache, address, Family::Malloc, 2) else {
                panic!()
            };
            assert_eq!((freed.align, freed.size), (1 << log2, size));
        }
    }
}

#[test]
fn zeroed_blocks_are_zero_when_their_memory_was_used_before() {
    let heap = heap(4 * GIB, Options { quarantine_bytes: 0, quarantine_blocks: 0, ..Options::default() });
    let mut cache = heap.thread_cache().expect("a cache");
    for size in [1, 100, 4096, 30_000, 60_000, 300_000, 3 << 20] {
        let mut seen_again = false;
        let first = allocate(&heap, &mut cache, size);
        bytes(first, size).fill(0xaa);
        free(&heap, &mut cache, first);
        for _ in 0..4 {
            let request = Request { zeroed: true, ..request(size) };
            let address = heap.allocate(&mut cache, request).expect("memory");
            assert!(bytes(address, size).iter().all(|byte| *byte == 0));
            bytes(address, size).fill(0xaa);
            seen_again |= address == first;
            free(&heap, &mut cache, address);
        }
        assert!(seen_again || size >= 256 * 1024, "the test did not see used memory again");
    }
}

#[test]
fn fresh_zeroed_memory_is_not_touched() {
    let heap = heap(64 * GIB, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    heap.allocate(&mut cache, Request { zeroed: true, ..request(40 * GIB) }).expect("address space");
    assert_eq!(heap.pages().zeroed.load(Ordering::Relaxed), 0);
}

#[test]
fn wrong_frees_are_told_apart() {
    let heap = heap(GIB, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    for size in [0, 1, 100, 10_000, 100_000, 2_000_000] {
        let address = heap
            .allocate(&mut cache, Request { family: Family::NewArray, stack: 11, ..request(size) })
            .expect("memory");
        for wrong in [address - 1, address + 1, address + size + 3] {
            let outcome = heap.free(&mut cache, wrong, Family::Malloc, 9);
            let FreeOutcome::Invalid(InvalidFree::NotStart(block)) = outcome else { panic!("{outcome:?}") };
            assert_eq!((block.address, block.size, block.state), (address, size, State::Live));
        }
        let outcome = heap.free(&mut cache, address, Family::New, 12);
        let FreeOutcome::Mismatched(freed) = outcome else { panic!("{outcome:?}") };
        assert_eq!((freed.family, freed.size, freed.stack), (Family::NewArray, size, 11));
        let outcome = heap.free(&mut cache, address, Family::NewArray, 13);
        let FreeOutcome::Invalid(InvalidFree::AlreadyFreed(block)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((block.stack, block.free_stack, block.state), (11, 12, State::Quarantined));
    }
    let arena = heap.arena();
    for unknown in [0, 8, 0x7fff_0000_0000, u64::MAX, arena.base + arena.size - 8, arena.base + arena.size] {
        let outcome = heap.free(&mut cache, unknown, Family::Malloc, 1);
        assert_eq!(outcome, FreeOutcome::Invalid(InvalidFree::Unknown));
        assert_eq!(heap.lookup(unknown), None);
    }
    assert_eq!(heap.counters().frees, 6);
}

#[test]
fn a_stack_can_be_named_later() {
    let heap = heap(GIB, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    for size in [10, 100_000] {
        let address = allocate(&heap, &mut cache, size);
        assert!(heap.set_stack(address, 77));
        assert!(!heap.set_stack(address + 1, 78));
        assert_eq!(heap.lookup(address).map(|block| block.stack), Some(77));
        free(&heap, &mut cache, address);
        assert!(!heap.set_stack(address, 79));
    }
    assert!(!heap.set_stack(16, 79));
}

#[test]
fn freed_memory_is_given_back_and_joined() {
    let options = Options { quarantine_bytes: 0, quarantine_blocks: 0, ..Options::default() };
    let heap = heap(GIB, options);
    let mut cache = heap.thread_cache().expect("a cache");
    let blocks: Vec<_> = (0..1000).map(|_| allocate(&heap, &mut cache, 200_000)).collect();
    let before = heap.counters().mapped_bytes;
    assert!(before >= 200_000_000);
    blocks.iter().for_each(|&address| free(&heap, &mut cache, address));
    allocate(&heap, &mut cache, 1);
    let after = heap.counters();
    assert!(after.mapped_bytes <= (33 << 20) + 65536, "{after:?}");
    assert!(after.peak_mapped_bytes >= before);
    assert!(heap.pages().decommitted.load(Ordering::Relaxed) > 150_000_000);
    // A block larger than the arena's unused part fits into what was given back.
    allocate(&heap, &mut cache, GIB - (40 << 20));
}

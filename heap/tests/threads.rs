//! Many threads on one heap: blocks that change hands, frees and lookups that race, threads that end, forks.

mod common;

use common::{Mapped, Random, allocate, bytes, free, heap, request};
use heap::{FreeOutcome, Heap, InvalidFree, Options, Request, State, ThreadCache};
use ring::record::Family;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Barrier, Mutex};

const THREADS: u64 = 8;

#[test]
fn blocks_passed_between_threads_alternate_between_allocated_and_free() {
    let options =
        Options { quarantine_bytes: 300_000, big_block: 20_000, dirty_bytes: 1 << 20, ..Options::default() };
    let heap = heap(1 << 30, options);
    // One flag for each possible block address: set by the allocating thread, cleared by the freeing one.
    let taken: Vec<AtomicU8> = (0..(1 << 30) / 16).map(|_| AtomicU8::new(0)).collect();
    let flag = |address: u64| &taken[((address - heap.arena().base) / 16) as usize];
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel::<(u64, u64)>()).unzip();
    std::thread::scope(|scope| {
        for (thread, receiver) in receivers.into_iter().enumerate() {
            let (senders, heap) = (senders.clone(), &heap);
            scope.spawn(move || {
                let mut random = Random(thread as u64 + 1);
                let mut cache = heap.thread_cache().expect("a cache");
                let release = |cache: &mut ThreadCache, (address, size): (u64, u64)| {
                    assert!(bytes(address, size).iter().all(|b| *b == size as u8), "contents were damaged");
                    assert_eq!(flag(address).swap(0, Ordering::AcqRel), 1);
                    free(heap, cache, address);
                };
                let mut kept = VecDeque::new();
                for _ in 0..20_000 {
                    let size = random.size() / 4;
                    let address = allocate(heap, &mut cache, size);
                    assert_eq!(flag(address).swap(1, Ordering::AcqRel), 0, "allocated twice");
                    bytes(address, size).fill(size as u8);
                    if random.below(2) == 0 {
                        let to = random.below(THREADS) as usize;
                        senders[to].send((address, size)).expect("all threads listen until all have sent");
                    } else {
                        kept.push_back((address, size));
                    }
                    if kept.len() > 50 {
                        release(&mut cache, kept.pop_front().expect("not empty"));
                    }
                    while let Ok(block) = receiver.try_recv() {
                        release(&mut cache, block);
                    }
                }
                drop(senders);
                kept.into_iter().chain(receiver).for_each(|block| release(&mut cache, block));
                heap.retire(&mut cache);
            });
        }
        drop(senders);
    });
    let counters = heap.counters();
    assert_eq!((counters.allocations, counters.frees), (THREADS * 20_000, THREADS * 20_000));
    assert_eq!((counters.live_blocks(), counters.live_bytes(), heap.live_blocks().count()), (0, 0, 0));
}

#[test]
fn of_two_threads_that_free_one_block_one_is_refused() {
    let heap = heap(1 << 30, Options::default());
    const ROUNDS: usize = 2000;
    let current = AtomicU64::new(0);
    let (start, end) = (Barrier::new(3), Barrier::new(3));
    // Looked at when all threads have ended: one that panics would leave the others at a barrier for ever.
    let outcomes = Mutex::new(vec![Vec::new(); ROUNDS]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut cache = heap.thread_cache().expect("a cache");
                for round in 0..ROUNDS {
                    start.wait();
                    let address = current.load(Ordering::Acquire);
                    let outcome = heap.free(&mut cache, address, Family::Malloc, 5);
                    outcomes.lock().expect("not poisoned")[round].push(outcome);
                    end.wait();
                }
            });
        }
        let mut cache = heap.thread_cache().expect("a cache");
        for round in 0..ROUNDS {
            current.store(allocate(&heap, &mut cache, 10 + round as u64 * 40), Ordering::Release);
            start.wait();
            end.wait();
        }
    });
    for pair in outcomes.into_inner().expect("not poisoned") {
        let freed = pair.iter().filter(|outcome| matches!(outcome, FreeOutcome::Freed(_))).count();
        // The one that is refused may look before the other has noted its stack.
        let refused = |outcome: &&FreeOutcome| matches!(outcome, FreeOutcome::Invalid(InvalidFree::AlreadyFreed(block)) if [0, 5].contains(&block.free_stack));
        assert_eq!((freed, pair.iter().filter(refused).count()), (1, 1), "{pair:?}");
    }
    assert_eq!(heap.counters().frees, ROUNDS as u64);
}

/// Ends the helper threads of a test, also when it fails: a scope waits for them.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The stack id that the racing test gives to blocks of a size.
fn stack_for(size: u64) -> u32 {
    (size as u32).wrapping_mul(0x9e37_79b1) | 1
}

#[test]
fn a_lookup_that_races_sees_one_moment() {
    let options =
        Options { quarantine_bytes: 20_000, quarantine_blocks: 100, dirty_bytes: 0, ..Options::default() };
    let heap = heap(1 << 26, options);
    let running = AtomicBool::new(true);
    let mut states = [0u64; 3];
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&running);
        for seed in 1..4 {
            let (heap, running) = (&heap, &running);
            scope.spawn(move || {
                let mut random = Random(seed);
                let mut cache = heap.thread_cache().expect("a cache");
                let mut blocks = VecDeque::new();
                while running.load(Ordering::Relaxed) {
                    let size = random.size() / 2;
                    let request = Request { stack: stack_for(size), ..request(size) };
                    blocks.push_back((heap.allocate(&mut cache, request).expect("memory"), size));
                    if blocks.len() > 30 {
                        let (address, size) = blocks.pop_front().expect("not empty");
                        heap.free(&mut cache, address, Family::Malloc, !stack_for(size));
                    }
                }
            });
        }
        let mut random = Random(99);
        let extent = heap.arena().size / 16;
        // As many as it takes: how soon the threads get going is the scheduler's affair.
        while states.iter().sum::<u64>() < 300_000 || states.contains(&0) {
            let address = heap.arena().base + random.below(extent);
            let Some(block) = heap.lookup(address) else { continue };
            assert_eq!(block.stack, stack_for(block.size), "{block:?}");
            let freed_by = |stack| block.free_stack == stack;
            assert!(
                match block.state {
                    State::Live => freed_by(0),
                    // 0: just being freed.
                    State::Quarantined => freed_by(!stack_for(block.size)) || freed_by(0),
                    State::Free => freed_by(!stack_for(block.size)),
                },
                "{block:?}"
            );
            states[block.state as usize] += 1;
        }
    });
}

#[test]
fn a_producer_and_a_consumer_need_no_more_memory_with_time() {
    let heap = heap(1 << 30, Options { quarantine_bytes: 1_000_000, ..Options::default() });
    let (sender, receiver) = mpsc::sync_channel(100);
    std::thread::scope(|scope| {
        let heap = &heap;
        scope.spawn(move || {
            let mut cache = heap.thread_cache().expect("a cache");
            receiver.into_iter().for_each(|address| free(heap, &mut cache, address));
            heap.retire(&mut cache);
        });
        let mut cache = heap.thread_cache().expect("a cache");
        for _ in 0..100_000 {
            sender.send(allocate(heap, &mut cache, 200)).expect("the consumer listens");
        }
        drop(sender);
    });
    // 20 MB went through; the volume, its overhead, and two threads' caches stay.
    assert!(heap.counters().peak_mapped_bytes < 3 << 20, "{:?}", heap.counters());
}

#[test]
fn threads_that_end_leave_nothing_behind() {
    let heap = heap(1 << 30, Options { quarantine_bytes: 0, quarantine_blocks: 0, ..Options::default() });
    for round in 0..300 {
        let mut cache = heap.thread_cache().expect("a cache");
        let blocks: Vec<_> = (0..100).map(|i| allocate(&heap, &mut cache, i * 300)).collect();
        blocks.into_iter().for_each(|address| free(&heap, &mut cache, address));
        heap.retire(&mut cache);
        let counters = heap.counters();
        assert_eq!((counters.allocations, counters.live_blocks()), (100 * (round + 1), 0));
    }
    assert!(heap.counters().peak_mapped_bytes < 20 << 20, "{:?}", heap.counters());
}

#[test]
fn a_retired_cache_that_is_used_again_breaks_nothing() {
    let heap = heap(1 << 30, Options::default());
    let mut cache = heap.thread_cache().expect("a cache");
    heap.retire(&mut cache);
    let address = allocate(&heap, &mut cache, 10);
    free(&heap, &mut cache, address);
    heap.retire(&mut cache);
}

/// Goes on in the child of a fork: only memory of the heap is used, no lock of the test's process.
fn child(
    heap: &Heap<Mapped>,
    cache: &mut ThreadCache,
    other: &mut ThreadCache,
    adopt: bool,
) -> Result<(), i32> {
    heap.after_fork(cache);
    if adopt {
        heap.adopt(other);
    }
    let mut blocks = [0u64; 3000];
    for round in 0..10u64 {
        for (i, block) in blocks.iter_mut().enumerate() {
            *block = heap.allocate(cache, request((i as u64 * 7 + round) % 2000)).ok_or(2)?;
        }
        let mut behind = 0;
        let (mut count, mut mine) = (0, 0);
        for block in heap.live_blocks() {
            if block.address < behind {
                return Err(3);
            }
            behind = block.address + block.size;
            count += 1;
            mine += u64::from(block.stack == 1);
        }
        if mine < blocks.len() as u64 || count < mine {
            return Err(4);
        }
        for (i, block) in blocks.iter().enumerate() {
            if blocks[..i].iter().rev().take(50).any(|other| other == block) {
                return Err(5);
            }
            let outcome = heap.free(cache, *block, Family::Malloc, 2);
            if !matches!(outcome, FreeOutcome::Freed(_)) {
                return Err(6);
            }
        }
    }
    Ok(())
}

#[test]
fn a_forked_child_goes_on_with_its_own_thread_only() {
    let options = Options { quarantine_bytes: 100_000, ..Options::default() };
    let heap = heap(1 << 30, options);
    let running = AtomicBool::new(true);
    let other = AtomicPtr::new(std::ptr::null_mut::<ThreadCache>());
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&running);
        scope.spawn(|| {
            let mut cache = heap.thread_cache().expect("a cache");
            other.store(&raw mut cache, Ordering::Release);
            let mut random = Random(5);
            let mut blocks = VecDeque::new();
            while running.load(Ordering::Relaxed) {
                let size = random.size() / 8;
                let request = Request { stack: 9, ..request(size) };
                blocks.push_back(heap.allocate(&mut cache, request).expect("memory"));
                if blocks.len() > 500 {
                    free(&heap, &mut cache, blocks.pop_front().expect("not empty"));
                }
            }
        });
        let mut cache = heap.thread_cache().expect("a cache");
        for round in 0..40 {
            for size in 0..500 {
                let address = allocate(&heap, &mut cache, size);
                free(&heap, &mut cache, address);
            }
            let frozen = heap.lock_all();
            // SAFETY: the child uses nothing but the heap, and then _exit.
            let pid = unsafe { libc::fork() };
            drop(frozen);
            if pid == 0 {
                // SAFETY: in the child, the thread that the cache belongs to does not exist; a null pointer (the
                // thread has not started yet) is not followed.
                let code = match unsafe { other.load(Ordering::Acquire).as_mut() } {
                    Some(other) => child(&heap, &mut cache, other, round % 2 == 0).err().unwrap_or(0),
                    None => 0,
                };
                // SAFETY: ends the child.
                unsafe { libc::_exit(code) };
            }
            assert!(pid > 0, "fork");
            let mut status = 0;
            // SAFETY: waits for our own child.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status), "the child was killed: status {status:#x}");
            assert_eq!(libc::WEXITSTATUS(status), 0, "see `child`");
        }
    });
}

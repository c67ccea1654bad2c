//! How often each segment of guest code was executed, and each direct jump taken: the counters of each thread, and telling
//! the recorder.
//!
//! Emitted code adds to them behind FS, without locks; what they count is the cache's (`cache::counted`). They are told when
//! the thread or the process ends, before another program is executed, and before the cache is emptied. What of it is to be
//! collected is decided elsewhere (`windows`).
//!
//! # Safety
//! `unsafe` here reads and writes a thread's counters: `THREAD_BYTES` behind its structure, all mapped by `threads::create`.
//! Only the thread itself does, or whoever has stopped the world.
#![allow(unsafe_code, reason = "counters behind a thread's structure")]

use crate::accesses::{self, Models};
use crate::cache::Cache;
use crate::calls;
use crate::context::{Context, Thread};
use crate::space::PAGE;
use crate::state::Engine;
use crate::sys;
use crate::threads::stop::WorldStopped;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ring::record::{EXECUTED_LENGTHS, EXECUTED_WORDS, JUMP_WORDS, Kind, header, jump};
use ring::shared::EVENTS_BLOCKS;
use translate::layout;

/// Most counters. A cache of the largest size has fewer.
pub const MOST: usize = layout::MOST_COUNTERS as usize;
/// Bytes of a thread's memory from its structure to the end of its counters.
pub const THREAD_BYTES: u64 = layout::COUNTERS as u64 + 8 * MOST as u64;

const _: () = assert!(size_of::<Thread>() <= layout::COUNTERS as usize);
const _: () = assert!(THREAD_BYTES <= layout::CALLS as u64);

/// Whether anything is counted.
pub fn are_kept(engine: &Engine) -> bool {
    engine.options.events & EVENTS_BLOCKS != 0
}

fn counter(context: *const Context, number: usize) -> *mut u64 {
    (context as usize + layout::COUNTERS as usize + 8 * number) as *mut u64
}

/// Counts once with this counter. The thread is the calling one.
pub fn count(context: &mut Context, number: u32) {
    // SAFETY: see the head of this file.
    unsafe { *counter(context, number as usize) += 1 };
}

/// The calling thread was interrupted at cache address `code`, where its state is that in front of the guest's instruction at
/// `pc`, and does not go on there.
pub fn interrupted(engine: &Engine, thread: &mut Thread, code: u64, pc: u64) {
    if !are_kept(engine) {
        return;
    }
    let context = &thread.context;
    // On its way from the engine into the cache it is where that leads.
    let is_leaving = context.state.load(Ordering::Relaxed) == layout::STATE_LEAVING;
    let code = if is_leaving { context.next } else { code };
    let code = if accesses::misses::is_answered(engine, code) { context.resume } else { code };
    calls::interrupted(engine, thread, code, pc);
    let context = &mut thread.context;
    let code = if engine.stubs.store_fix(code).is_some() { context.resume } else { code };
    let mut cache = engine.cache.lock();
    let Some((part, lacking)) = cache.interrupted(code, pc) else { return };
    let instructions = part.map_or(0, |number| cache.instructions_of(number)) + lacking;
    let costs = part.map(|number| cache.costs_of(number));
    drop(cache);
    if let Some(number) = part {
        count(context, number);
    }
    context.instruction_slots[0].fetch_add(instructions as u64, Ordering::Relaxed);
    if let Some(costs) = costs {
        calls::spend(thread, costs);
    }
}

/// A check's number of the code that the calling thread leaves for precise code.
pub fn bailed_out(engine: &Engine, context: &mut Context, check: u32) {
    if !are_kept(engine) {
        return;
    }
    let number = engine.cache.lock().bailed_out_of(check);
    if let Some(number) = number {
        count(context, number);
    }
}

/// Tells the recorder what a thread has executed, and in which contexts, since it was told last. The thread is the calling one, or stopped.
pub fn tell(engine: &Engine, thread: &mut Thread) {
    if are_kept(engine) {
        let mut accesses = engine.accesses.lock();
        tell_from(&engine.cache.lock(), accesses.as_mut(), thread);
    }
    calls::tell(engine, thread);
}

fn tell_from(cache: &Cache, mut accesses: Option<&mut Models>, thread: &mut Thread) {
    const MOST_ENTRIES: usize = 1024;
    let mut words = Vec::with_capacity(1 + EXECUTED_WORDS * MOST_ENTRIES);
    let mut jumps = Vec::with_capacity(1 + JUMP_WORDS * MOST_ENTRIES);
    if thread.counters != cache.counters_generation() {
        // They are of code that is gone: of a child of vfork, which nobody could tell of in time.
        return begin(cache, thread);
    }
    let counts = thread.window.as_ref().is_some_and(|window| window.counts());
    take(cache, thread, counts);
    let kept = thread.window.as_mut().map(|window| core::mem::take(&mut window.kept)).unwrap_or_default();
    for (number, &count) in kept.iter().enumerate().filter(|(_, count)| **count != 0) {
        let executed = cache.executed(number);
        let signed = if executed.less { count.wrapping_neg() } else { count };
        if let Some(models) = &mut accesses {
            models.executed(&executed, signed);
        }
        let mut pc = executed.pc;
        for lengths in executed.lengths.chunks(EXECUTED_LENGTHS) {
            if words.is_empty() {
                words.push(0);
            }
            // A client request counts as one instruction, which is longer than any other.
            let packed =
                lengths.iter().rev().fold(0u64, |packed, length| packed << 4 | u64::from(*length.min(&15)));
            words.extend([pc, signed, packed]);
            pc += lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
        }
        let executed_jump = executed.jump.map(|(pc, executed)| {
            (pc, executed.target, if executed.conditional { jump::CONDITIONAL } else { jump::ALWAYS })
        });
        let passed_jump = executed.passes.map(|(pc, passed)| (pc, passed.target, jump::PASSED));
        for (pc, target, what) in executed_jump.into_iter().chain(passed_jump) {
            if jumps.is_empty() {
                jumps.push(0);
            }
            jumps.extend([pc & !jump::BITS | what, target, signed]);
        }
        if words.len() > EXECUTED_WORDS * (MOST_ENTRIES - 32) {
            push(thread, Kind::Executed, &mut words);
        }
        if jumps.len() > JUMP_WORDS * (MOST_ENTRIES - 2) {
            push(thread, Kind::Jumps, &mut jumps);
        }
    }
    push(thread, Kind::Executed, &mut words);
    push(thread, Kind::Jumps, &mut jumps);
}

/// Takes what the thread has counted, to be told of later if that is wanted. The thread is the calling one, or stopped.
pub fn take(cache: &Cache, thread: &mut Thread, keep: bool) {
    if thread.counters != cache.counters_generation() {
        return begin(cache, thread);
    }
    let used = cache.counters_used();
    let first = counter(&raw const thread.context, 0);
    // SAFETY: see the head of this file; there are no more of them in use than `MOST`.
    let counters = unsafe { core::slice::from_raw_parts_mut(first, used) };
    match &mut thread.window {
        Some(window) if keep => {
            window.kept.resize(used.max(window.kept.len()), 0);
            for (kept, count) in window.kept.iter_mut().zip(counters) {
                *kept = kept.wrapping_add(*count);
                *count = 0;
            }
        }
        _ => counters.fill(0),
    }
}

/// Does something with each thread of the process.
pub fn each(engine: &Engine, _: &WorldStopped<'_>, mut act: impl FnMut(&mut Thread)) {
    let threads = engine.threads.lock();
    for &thread in threads.pointers() {
        // SAFETY: registered, and stopped, or the calling one, which holds no reference to what is changed.
        act(unsafe { &mut *thread });
    }
}

fn push(thread: &mut Thread, kind: Kind, words: &mut Vec<u64>) {
    if let (Some(writer), Some(_)) = (&mut thread.writer, words.first()) {
        words[0] = header(kind, words.len());
        writer.push(words);
    }
    words.clear();
}

/// Tells it of all threads. The world is stopped.
pub fn tell_all(engine: &Engine) {
    if !are_kept(engine) {
        return;
    }
    let threads = engine.threads.lock();
    let mut accesses = engine.accesses.lock();
    let cache = engine.cache.lock();
    for &thread in threads.pointers() {
        // SAFETY: registered, and stopped, or the calling one, which uses neither its counters nor its ring meanwhile.
        tell_from(&cache, accesses.as_mut(), unsafe { &mut *thread });
    }
}

/// A thread begins anew where its counters may be those of code that is no longer there.
pub fn begin(cache: &Cache, thread: &mut Thread) {
    if thread.counters != cache.counters_generation() {
        forget(thread);
        thread.counters = cache.counters_generation();
    }
}

/// What the thread has counted was its parent's.
pub fn forget(thread: &mut Thread) {
    if let Some(window) = &mut thread.window {
        window.kept.clear();
    }
    let start = &raw const *thread as u64 + u64::from(layout::COUNTERS);
    let (from, to) = (start.next_multiple_of(PAGE), (start + 8 * MOST as u64) & !(PAGE - 1));
    // SAFETY: see the head of this file; what lies between whole pages is cleared by itself.
    unsafe {
        core::ptr::write_bytes(start as *mut u8, 0, (from - start) as usize);
        core::ptr::write_bytes(to as *mut u8, 0, (start + 8 * MOST as u64 - to) as usize);
        const DONTNEED: u64 = 4;
        sys::call(sys::nr::MADVISE, &[from, to - from, DONTNEED]);
    }
}

//! The end of a thread and of a process: last records, the leak scan, the real exit or the real signal.
//!
//! # Safety
//! `unsafe` here makes the last system calls.
#![allow(unsafe_code, reason = "last system calls")]

use crate::context::{Thread, gpr};
use crate::signals::{self, Action, bit};
use crate::state::Engine;
use crate::syscalls::{Outcome, again};
use crate::threads::stop::{WorldStopped, stop_world};
use crate::trace::Writer;
use crate::{accesses, calls, counts, descriptors, errors, guest_mem, leak, space, sys};
use core::sync::atomic::Ordering;
use ring::record::{End, Kind, Reason, STAT_COUNT, Stat, header};
use ring::shared::{FLAG_NO_FREERES, FLAG_NO_LEAK_SCAN, FLAG_STATS, SLOT_CLOSED, SLOT_OPEN};

/// Guest functions that the engine calls return to this address, where nothing can be mapped.
pub const RETURN_TO_ENGINE: u64 = space::CACHE_END + 0x8000;

/// exit of one thread. The last thread's exit ends the process.
pub fn exit_thread(engine: &'static Engine, thread: &mut Thread, status: u64) -> Outcome {
    let last = !thread.foreign && engine.threads.lock().len() == 1;
    if last || thread.foreign {
        return exit(engine, thread, status as i32);
    }
    // From here on nothing may arrive: the thread leaves its memory to others. What has arrived comes first.
    if !signals::block_all(thread) {
        return again(thread);
    }
    if let (Some(heap), Some(cache)) = (engine.heap.get(), &mut thread.heap) {
        heap.retire(cache);
    }
    let instructions = thread.context.instructions();
    fold_stats(engine, thread);
    counts::tell(engine, thread);
    if let Some(mut writer) = thread.writer.take() {
        writer.push(&[header(Kind::ThreadExit, 3), sys::tsc(), instructions]);
        writer.close();
    }
    thread.unwinder = None;
    thread.calls = None;
    thread.descriptors = None;
    thread.heap = None;
    let mut threads = engine.threads.lock();
    threads.remove(thread);
    drop(threads);
    signals::waits::bequeath(engine, thread);
    let mut threads = engine.threads.lock();
    threads.recycle_later(thread.pid, thread.tid.load(Ordering::Relaxed), thread.memory.0);
    drop(threads);
    loop {
        // SAFETY: ends the thread.
        unsafe { sys::call(sys::nr::EXIT, &[status]) };
    }
}

/// Adds a thread's counters to those of the process; once for each thread.
fn fold_stats(engine: &Engine, thread: &Thread) {
    let add = |stat: Stat, by| engine.count(stat, by);
    if let Some(writer) = &thread.writer {
        add(Stat::RingBytes, writer.bytes);
        add(Stat::RingWaits, writer.waits);
    }
    if let Some(unwinder) = &thread.unwinder {
        let (frames, rules) = unwinder.work();
        add(Stat::FramesWalked, frames);
        add(Stat::UnwindRules, rules);
    }
    for (stat, count) in thread.context.counts() {
        add(stat, count);
    }
    for (total, own) in engine.counters.iter().zip(&thread.stats) {
        total.fetch_add(*own, Ordering::Relaxed);
    }
}

/// exit_group: first lets libc give back what it holds, then ends the process.
pub fn exit(engine: &'static Engine, thread: &mut Thread, status: i32) -> Outcome {
    if let Some(pc) = next_freeres(engine, thread) {
        if thread.signals.freeres_done == 1 {
            // The functions also flush stdio. A program that ends by _exit does not want that, and one that ends by
            // exit has done it: from here on nothing is written. The other threads have stopped for good.
            core::mem::forget(stop_world(engine));
            crate::syscalls::discard_output(engine);
        }
        thread.signals.exit_status = status;
        // The guest function runs on the guest's stack below the red zone and returns to the engine.
        let sp = (thread.context.regs[gpr::RSP].wrapping_sub(256) & !15) - 8;
        if guest_mem::write_u64(sp, RETURN_TO_ENGINE) {
            thread.context.regs[gpr::RSP] = sp;
            thread.context.pc = pc;
            return Outcome::Resume;
        }
    }
    if thread.foreign {
        finish(engine, thread, End::Exit, status as u64 & 0xff);
    } else {
        let world = stop_world_again(engine, thread);
        descriptors::tell_open(engine, thread);
        last_scan(engine, thread, &world, Reason::Exit);
        // A descriptor that is still open is an error, too.
        let failed = engine.at_first_error.load(Ordering::Relaxed) != 0;
        let status = if failed { error_status(engine) } else { status as u64 & 0xff };
        finish(engine, thread, End::Exit, status);
        sys::exit_group(status as i32)
    }
    sys::exit_group(status)
}

/// Stops the world unless this thread has done so already and for good.
fn stop_world_again<'a>(engine: &'a Engine, thread: &Thread) -> WorldStopped<'a> {
    if engine.stopper.load(Ordering::Relaxed) == thread.tid.load(Ordering::Relaxed) {
        engine.stopper.store(0, Ordering::Relaxed);
    }
    stop_world(engine)
}

/// A guest function that the engine called has returned (or failed): goes on with the exit.
pub fn returned(engine: &'static Engine, thread: &mut Thread) {
    let status = thread.signals.exit_status;
    exit(engine, thread, status);
}

/// The next function to call before the exit; none when only this thread's process image matters.
fn next_freeres(engine: &Engine, thread: &mut Thread) -> Option<u64> {
    if thread.foreign
        || engine.options.flags & FLAG_NO_FREERES != 0
        || engine.heap.get().is_none()
        || thread.signals.abandon_freeres
    {
        return None;
    }
    let at = thread.signals.freeres_done;
    let table = engine.modules.lock();
    // libstdc++'s before libc's, which are found in any order.
    let pc = table.freeres.iter().rev().nth(at).copied();
    drop(table);
    thread.signals.freeres_done += 1;
    pc
}

fn last_scan(engine: &Engine, thread: &mut Thread, world: &WorldStopped<'_>, reason: Reason) {
    if engine.options.flags & FLAG_NO_LEAK_SCAN == 0 {
        leak::snapshot(engine, thread, world, reason);
    }
}

/// Says why a process has no heap events, after a look at how many functions could have made some.
fn no_heap_events(writer: &mut Writer, functions: usize) {
    if functions == 0 {
        writer.message(1, b"no allocation function was found in the program: it is stripped and linked statically, or it uses an allocator of its own; heap events are missing (keep the symbol table to get them)");
        return;
    }
    let mut text = crate::fatal::Text::new();
    let _ = core::fmt::Write::write_fmt(
        &mut text,
        format_args!(
            "none of the {functions} allocation functions in the program and its libraries was called \
             (an allocator whose functions have no symbols would not be seen)"
        ),
    );
    writer.message(0, text.as_bytes());
}

/// The last records of the process.
fn finish(engine: &Engine, thread: &mut Thread, how: End, value: u64) {
    if let (Some(heap), false) = (engine.heap.get(), thread.foreign) {
        let counters = heap.counters();
        engine.counters[Stat::GuestHeapPeak as usize].store(counters.peak_mapped_bytes, Ordering::Relaxed);
        // A process that ended while it was still being linked has no functions yet.
        let started = engine.modules.lock().iter().next().is_some_and(|program| program.analysed);
        if started
            && counters.allocations == 0
            && let Some(writer) = &mut thread.writer
        {
            no_heap_events(writer, engine.heap.targets.lock().len());
        }
    }
    engine.counters[Stat::EngineHeapPeak as usize].store(crate::own_heap::mapped_bytes(), Ordering::Relaxed);
    engine.counters[Stat::StackNodes as usize].store(engine.stacks.nodes(), Ordering::Relaxed);
    {
        let cache = engine.cache.lock();
        let stats = [Stat::Translations, Stat::TranslatedInstructions, Stat::GuestBytes, Stat::Links];
        for (stat, value) in stats.into_iter().zip(cache.counters) {
            engine.counters[stat as usize].store(value, Ordering::Relaxed);
        }
        engine.counters[Stat::CacheBytes as usize].store(cache.used(), Ordering::Relaxed);
    }
    if thread.foreign {
        counts::tell(engine, thread);
        fold_stats(engine, thread);
    } else {
        counts::tell_all(engine);
        calls::tell_all(engine);
        accesses::tell(engine, thread);
        // The world stands still: nobody counts any more.
        engine.threads.lock().iter().for_each(|thread| fold_stats(engine, thread));
    }
    if let Some(mut writer) = thread.writer.take() {
        if engine.options.flags & FLAG_STATS != 0 {
            let mut words = [0u64; STAT_COUNT + 1];
            words[0] = header(Kind::Stats, STAT_COUNT + 1);
            for (word, counter) in words[1..].iter_mut().zip(&engine.counters) {
                *word = counter.load(Ordering::Relaxed);
            }
            // Counted in ticks, which are cheap to take.
            let translating = &mut words[1 + Stat::TranslateNanoseconds as usize];
            *translating = engine.started.nanoseconds(*translating);
            writer.push(&words);
        }
        let instructions = thread.context.instructions();
        writer.push(&[header(Kind::ThreadExit, 3), sys::tsc(), instructions]);
        writer.push(&[header(Kind::ProcessEnd, 5), sys::tsc(), how as u64, value, instructions]);
        writer.close();
    }
    if !thread.foreign {
        close_rings(engine);
    }
}

/// The thread's fatal signal: ends the process as the kernel would have.
pub fn die(engine: &'static Engine, thread: &mut Thread) -> ! {
    let signal = thread.signals.fatal;
    if thread.foreign {
        errors::fatal_signal(engine, thread);
        finish(engine, thread, End::Signal, u64::from(signal));
    } else {
        let world = stop_world_again(engine, thread);
        errors::fatal_signal(engine, thread);
        descriptors::tell_open(engine, thread);
        last_scan(engine, thread, &world, Reason::Signal);
        finish(engine, thread, End::Signal, u64::from(signal));
    }
    // The same siginfo, the default action.
    let default = Action::default();
    // SAFETY: the kernel reads the structures; the process ends here.
    unsafe {
        sys::call(sys::nr::RT_SIGACTION, &[u64::from(signal), &raw const default as u64, 0, 8]);
        let info = thread.signals.info.as_ptr() as u64;
        let (pid, tid) = (u64::from(thread.pid), u64::from(sys::gettid()));
        sys::call(sys::nr::RT_TGSIGQUEUEINFO, &[pid, tid, u64::from(signal), info]);
        signals::set_kernel_mask(!bit(signal));
        // A real-time signal that the user's full queue refused is sent without its siginfo.
        sys::call(sys::nr::KILL, &[pid, u64::from(signal)]);
    }
    sys::exit_group(128 + signal as i32)
}

/// The process has made an error at which it is to end: nothing more of it is run, and no leak is looked for.
pub fn end_at_error(engine: &'static Engine, thread: &mut Thread) -> ! {
    let status = error_status(engine);
    let mut text = crate::fatal::Text::new();
    let _ = core::fmt::Write::write_fmt(
        &mut text,
        format_args!("process {} was ended at its first error (--exit-on-first-error=yes)", thread.pid),
    );
    if let Some(writer) = &mut thread.writer {
        writer.message(1, text.as_bytes());
    }
    if thread.foreign {
        finish(engine, thread, End::Exit, status);
    } else {
        let _world = stop_world_again(engine, thread);
        finish(engine, thread, End::Exit, status);
    }
    sys::exit_group(status as i32)
}

fn error_status(engine: &Engine) -> u64 {
    u64::from(engine.shared.control().error_status.load(Ordering::Relaxed))
}

/// Marks the rings of all threads of this process as finished, which therefore write nothing any more.
fn close_rings(engine: &Engine) {
    engine.threads.lock().iter().for_each(close_ring);
}

/// Marks the thread's ring as finished.
fn close_ring(thread: &Thread) {
    if let Some(writer) = &thread.writer {
        writer.shared().ring(writer.slot()).state.store(SLOT_CLOSED, Ordering::Release);
        writer.flush();
    }
}

/// Executes `exec`, which returns only when it fails, with the thread's ring marked as finished: the new program does not
/// go on with it. Other threads may still write until they are gone; the recorder finds that out itself.
pub fn with_closed_ring(engine: &Engine, thread: &mut Thread, exec: impl FnOnce() -> i64) -> i64 {
    counts::tell(engine, thread);
    accesses::tell(engine, thread);
    close_ring(thread);
    let error = exec();
    if let Some(writer) = &thread.writer {
        let state = &writer.shared().ring(writer.slot()).state;
        if state.compare_exchange(SLOT_CLOSED, SLOT_OPEN, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            // The recorder has taken it.
            let tid = thread.tid.load(Ordering::Relaxed);
            thread.writer = crate::trace::Writer::open(engine.shared, thread.process, thread.pid, tid);
        }
    }
    error
}

//! The thread that takes a snapshot when the user asks for one: `vg-record --snapshot-signal`.
//!
//! A kernel thread of the engine's own, because all of the guest's may sleep in the kernel, and waking one would end its
//! system call. It exists only when the option was given, since the kernel shows it among the guest's threads. Always
//! holds: it takes no signal that was meant for the guest, keeps none of the guest's descriptors open, and never runs
//! guest code. It is not in the registry: the world is stopped around it. Not here: the scan (`leak`).
//!
//! # Safety
//! `unsafe` here creates the thread and makes system calls on descriptors of its own table.
#![allow(unsafe_code, reason = "a kernel thread and its descriptors")]

use super::stop::stop_world;
use super::{adopt, clone, create, current};
use crate::context::Thread;
use crate::leak;
use crate::signals;
use crate::state::{Engine, engine};
use crate::sys::{self, nr};
use crate::trace::Writer;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use ring::record::Reason;
use ring::shared::FLAG_WATCH;

/// Requests that were there when the watcher began.
static SEEN: AtomicU32 = AtomicU32::new(0);
/// Futex: 1 once the watcher has closed its copies of the guest's descriptors.
static READY: AtomicU32 = AtomicU32::new(0);
/// Memory of the watcher's thread.
static MEMORY: AtomicU64 = AtomicU64::new(0);

/// Starts the watcher of a process, if the user wants one. Called by its only thread, with all signals blocked.
pub fn start(engine: &'static Engine, thread: &mut Thread) {
    if engine.options.flags & FLAG_WATCH == 0 || engine.heap.get().is_none() {
        return;
    }
    // In a forked child: what the parent's watcher has there.
    let old = MEMORY.swap(0, Ordering::Relaxed);
    if old != 0 {
        engine.threads.lock().recycle(old);
    }
    SEEN.store(engine.shared.control().snapshots_asked.load(Ordering::Acquire), Ordering::Relaxed);
    READY.store(0, Ordering::Relaxed);
    let made = create(engine, u64::MAX).and_then(|watcher| {
        // SAFETY: a fresh structure that nobody else knows yet.
        unsafe {
            (*watcher).process = thread.process;
            MEMORY.store((*watcher).memory.0, Ordering::Relaxed);
            clone::engine_thread(watcher, run)
        }
    });
    if made.is_err() {
        if let Some(writer) = &mut thread.writer {
            writer.message(1, b"no thread could be made that answers --snapshot-signal in this process");
        }
        return;
    }
    // Until then, a pipe that the guest closes would seem open.
    while READY.load(Ordering::Acquire) == 0 {
        sys::futex_wait(&READY, 0, 0, false);
    }
}

/// The watcher's life, on its engine stack, FS being its context; it ends with the process.
unsafe extern "C" fn run(thread: *mut Thread) -> ! {
    // SAFETY: the structure was made for this kernel thread.
    unsafe { adopt(thread) };
    let (engine, me) = (engine(), current());
    close_all();
    READY.store(1, Ordering::Release);
    sys::futex_wake(&READY, 1, false);
    let asked = &engine.shared.control().snapshots_asked;
    let mut seen = SEEN.load(Ordering::Relaxed);
    loop {
        sys::futex_wait(asked, seen, 0, true);
        let now = asked.load(Ordering::Acquire);
        if now != seen {
            seen = now;
            snapshot(engine, me);
        }
    }
}

/// Closes the copies of the guest's descriptors: this thread's table is its own.
fn close_all() {
    // SAFETY: no descriptor of this table is used by anybody.
    let closed = unsafe { sys::call(nr::CLOSE_RANGE, &[0, u64::from(u32::MAX), 0]) };
    if closed < 0 {
        // Before Linux 5.9; programs that raise their limit beyond this are rarer still.
        for fd in 0..65_536 {
            crate::loader::close(fd);
        }
    }
}

fn snapshot(engine: &'static Engine, me: &mut Thread) {
    let world = stop_world(engine);
    me.writer = Writer::open(engine.shared, me.process, me.pid, me.tid.load(Ordering::Relaxed));
    // The scan may meet memory that is not there; all else stays blocked.
    signals::set_kernel_mask(signals::HELD_MASK);
    leak::snapshot(engine, me, &world, Reason::Request);
    signals::set_kernel_mask(u64::MAX);
    drop(world);
    if let Some(writer) = me.writer.take() {
        writer.close();
    }
    if me.signals.is_held() {
        // One of the five, sent to the process by somebody, and taken here.
        me.signals.set_held(false);
        signals::waits::give_back(engine, me, me.signals.info);
    }
}

//! Stopping the world: every other thread waits in the engine with its guest state in its context, or is inside a
//! system call that it cannot leave before the world goes on.

use super::current;
use crate::context::Thread;
use crate::signals::{STOP_VALUE, send_own, sig};
use crate::state::Engine;
use crate::sys::{self, nr};
use core::sync::atomic::Ordering;
use translate::layout::{STATE_ENGINE, STATE_SYSCALL};

/// Proof that no other guest thread runs. The world goes on when it is dropped.
pub struct WorldStopped<'a> {
    engine: &'a Engine,
    /// It was stopped before by the same thread, which goes on with that.
    nested: bool,
}

/// Sends a thread the engine's stop signal.
fn signal(thread: &Thread) {
    if !send_own(thread, sig::ENGINE, STOP_VALUE) && thread.stop_sent.swap(1, Ordering::SeqCst) == 0 {
        // The user's queue is full (RLIMIT_SIGPENDING): the kernel refuses real-time signals, and sends others without a
        // siginfo. This one nobody else sends, and one at a time is known by the flag.
        send_own(thread, sig::ILL, STOP_VALUE);
    }
}

/// Makes all loads and stores of all threads of this process visible in order, once.
#[allow(unsafe_code, reason = "membarrier")]
fn barrier() {
    // SAFETY: touches no memory. Registered at the start of the process.
    let done = unsafe { sys::call(nr::MEMBARRIER, &[8, 0, 0]) };
    if done < 0 {
        core::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Registers the process for expedited barriers.
#[allow(unsafe_code, reason = "membarrier")]
pub fn register() {
    // SAFETY: touches no memory.
    unsafe { sys::call(nr::MEMBARRIER, &[16, 0, 0]) };
}

/// Stops all other threads. The caller must hold no engine lock. When another thread is stopping the world
/// already, this one stops for it first.
pub fn stop_world(engine: &Engine) -> WorldStopped<'_> {
    let me = current();
    let tid = me.tid.load(Ordering::Relaxed);
    if engine.stopper.load(Ordering::Relaxed) == tid {
        // For good, while guest functions still run at the exit.
        return WorldStopped { engine, nested: true };
    }
    while engine.stopper.compare_exchange(0, tid, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        park_if_asked(engine, me);
        core::hint::spin_loop();
        sys::futex_wait(&engine.stopper, engine.stopper.load(Ordering::Relaxed), 1_000_000, false);
    }
    let mut rounds = 0u32;
    loop {
        let mut running = 0;
        let threads = engine.threads.lock();
        for thread in threads.iter().filter(|thread| !core::ptr::eq(*thread, &*me)) {
            if thread.stop_asked.swap(1, Ordering::SeqCst) == 0 || rounds.is_multiple_of(16) {
                thread.context.pending.store(1, Ordering::SeqCst);
            }
        }
        barrier();
        for thread in threads.iter().filter(|thread| !core::ptr::eq(*thread, &*me)) {
            if thread.stopped.load(Ordering::SeqCst) != 0 {
                continue;
            }
            match thread.context.state.load(Ordering::SeqCst) {
                // It looks at `pending` before the next begins, and at its own when it comes back.
                STATE_SYSCALL => continue,
                STATE_ENGINE => running += 1,
                _ => {
                    running += 1;
                    if rounds.is_multiple_of(8) {
                        signal(thread);
                    }
                }
            }
        }
        drop(threads);
        if running == 0 {
            return WorldStopped { engine, nested: false };
        }
        rounds += 1;
        if rounds < 20 {
            for _ in 0..200 {
                core::hint::spin_loop();
            }
        } else {
            let word = core::sync::atomic::AtomicU32::new(0);
            sys::futex_wait(&word, 0, 200_000, false);
        }
    }
}

/// Waits while another thread has stopped the world. Called with no lock held, on the way into the cache.
pub fn park_if_asked(engine: &Engine, me: &Thread) {
    while me.stop_asked.load(Ordering::SeqCst) != 0 {
        me.stopped.store(1, Ordering::SeqCst);
        sys::futex_wait(&me.stop_asked, 1, 100_000_000, false);
    }
    me.stopped.store(0, Ordering::SeqCst);
    let _ = engine;
}

impl Drop for WorldStopped<'_> {
    fn drop(&mut self) {
        if self.nested {
            return;
        }
        let threads = self.engine.threads.lock();
        for thread in threads.iter() {
            if thread.stop_asked.swap(0, Ordering::SeqCst) != 0 {
                sys::futex_wake(&thread.stop_asked, 1, false);
            }
        }
        drop(threads);
        self.engine.stopper.store(0, Ordering::Release);
        sys::futex_wake(&self.engine.stopper, i32::MAX as u32, false);
    }
}

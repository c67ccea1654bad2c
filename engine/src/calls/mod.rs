//! Calls: each thread's log of them, and the tree that is made of it.
//!
//! Emitted code appends to the log (`translate::calls`) until it meets the page behind it; then the thread works through it and
//! begins anew. It also does so before it is interrupted by a handler, and before what it has counted is told.
//!
//! # Safety
//! `unsafe` here protects the end of a thread's log and reads what emitted code has written there: up to the context's `log`, by the thread
//! itself or while it is stopped.
#![allow(unsafe_code, reason = "a log that emitted code writes")]

pub mod tree;

use crate::context::{Context, Thread};
use crate::counts;
use crate::space::PAGE;
use crate::state::Engine;
use crate::sys;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use ring::record::{CONTEXT_WORDS, Kind, header, pair};
use ring::shared::EVENTS_CALLS;
use tree::Tree;

/// Bytes of a log. It is read again from the processor's second cache.
const LOG_BYTES: u64 = 256 * 1024;

/// A thread's.
pub struct Calls {
    /// The first byte of its log.
    log: u64,
    tree: Tree,
}

/// Whether calls are told of.
pub fn are_kept(engine: &Engine) -> bool {
    engine.options.events & EVENTS_CALLS != 0
}

/// Bytes that a thread's memory has to have for its log, behind what it counts.
pub fn bytes(engine: &Engine) -> u64 {
    if are_kept(engine) { LOG_BYTES + 2 * PAGE } else { 0 }
}

/// The log of a thread, in its memory.
fn log_of(thread: *const Thread) -> u64 {
    (thread as u64 + counts::THREAD_BYTES).next_multiple_of(PAGE)
}

/// Protects the page behind the log of a thread whose memory has just been mapped.
pub fn protect(engine: &Engine, thread: *const Thread) {
    if are_kept(engine) {
        // SAFETY: within the thread's fresh memory.
        unsafe { sys::call(sys::nr::MPROTECT, &[log_of(thread) + LOG_BYTES, PAGE, 0]) };
    }
}

/// Of a thread that has executed nothing yet, whose context this is.
pub fn begin(engine: &Engine, thread: *const Thread, context: &mut Context) -> Option<Box<Calls>> {
    are_kept(engine).then(|| {
        context.log = log_of(thread);
        Box::new(Calls { log: context.log, tree: Tree::new() })
    })
}

impl Calls {
    /// Works through the log.
    fn follow(&mut self, context: &mut Context) {
        let words = (context.log - self.log) as usize / 8;
        // SAFETY: see the head of this file.
        let events = unsafe { core::slice::from_raw_parts(self.log as *const u64, words) };
        self.tree.follow(events);
        context.log = self.log;
    }
}

/// A store has faulted at `address`: true when that was the end of the thread's log, which is at its beginning now.
pub fn is_full(thread: &mut Thread, address: u64) -> bool {
    let Some(calls) = &mut thread.calls else { return false };
    if address.wrapping_sub(calls.log + LOG_BYTES) >= PAGE {
        return false;
    }
    calls.follow(&mut thread.context);
    true
}

/// A signal's handler begins at `pc` with this stack pointer and return address. `stack`: it has been switched to this one.
pub fn handler_begins(
    engine: &Engine,
    thread: &mut Thread,
    (pc, sp, restorer): (u64, u64, u64),
    stack: Option<Range<u64>>,
) {
    let Some(calls) = &mut thread.calls else { return };
    calls.follow(&mut thread.context);
    let function = engine.cache.lock().function(pc);
    calls.tree.handle(function, thread.context.instructions(), sp, restorer, stack);
}

/// A handler has returned.
pub fn handler_ends(thread: &mut Thread) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(&mut thread.context);
        calls.tree.handled(thread.context.instructions());
    }
}

/// A forked child begins to count.
pub fn forget(thread: &mut Thread) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(&mut thread.context);
        calls.tree.spend(thread.context.instructions());
        calls.tree.forget();
    }
}

/// From here on what the thread executes is collected, or is not.
pub fn collect(thread: &mut Thread, on: bool) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(&mut thread.context);
        calls.tree.collect(thread.context.instructions(), on);
    }
}

/// Tells the recorder of the contexts of all threads. The world is stopped.
pub fn tell_all(engine: &Engine) {
    let threads = engine.threads.lock();
    for &thread in threads.pointers() {
        // SAFETY: registered, and stopped, or the calling one, which uses neither its log nor its ring meanwhile.
        tell(engine, unsafe { &mut *thread });
    }
}

/// Tells the recorder of the contexts of a thread. It is the calling one, or stopped.
pub fn tell(engine: &Engine, thread: &mut Thread) {
    const MOST_ENTRIES: usize = 1024;
    let Some(mut calls) = thread.calls.take() else { return };
    calls.follow(&mut thread.context);
    calls.tree.spend(thread.context.instructions());
    let functions = engine.cache.lock().functions().to_vec();
    for (nodes, first) in calls.tree.nodes().chunks(MOST_ENTRIES).zip((0u32..).step_by(MOST_ENTRIES)) {
        let mut words = Vec::with_capacity(1 + CONTEXT_WORDS * nodes.len());
        words.push(0);
        for (node, number) in nodes.iter().zip(first..) {
            let function = functions.get(node.function as usize).copied().unwrap_or(0);
            words.extend([
                pair(number, node.parent),
                u64::from(node.target),
                function,
                node.site,
                node.calls,
                node.cost,
            ]);
        }
        words[0] = header(Kind::Contexts, words.len());
        if let Some(writer) = &mut thread.writer {
            writer.push(&words);
        }
    }
    calls.tree.forget();
    thread.calls = Some(calls);
}

//! Each thread's calls, and its log of data accesses.
//!
//! Calls are followed by emitted code (`translate::frames`), which asks here where one is not plain. Where data accesses are told of, they are
//! told in the same log instead: emitted code appends to it (`translate::calls`, `translate::accesses`) until it meets the page behind it; then the
//! thread works through it and begins anew. It also does so before it is interrupted by a handler, and before what it has counted is
//! told.
//!
//! # Safety
//! `unsafe` here protects the end of a thread's log and reads what emitted code has written there: up to the context's `log`, by the thread
//! itself or while it is stopped.
#![allow(unsafe_code, reason = "a log that emitted code writes")]

mod memory;
pub mod tree;

use crate::accesses;
use crate::context::{Context, Thread, gpr};
use crate::counts;
use crate::guest_mem;
use crate::space::PAGE;
use crate::state::Engine;
use crate::sys;
use crate::trace::Writer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use memory::Memory;
use ring::record::{CONTEXT_WORDS, Kind, Stat, header, pair};
use ring::shared::{EVENTS_ACCESS, EVENTS_CALLS};
use translate::accesses::{goes_on, partly, whole};
use translate::calls::LEAVE_WORDS;
use translate::{frames, layout};
use tree::Tree;

/// Bytes of a log. It is read again from the processor's second cache.
const LOG_BYTES: u64 = 256 * 1024;

/// A thread's.
pub struct Calls {
    /// The first byte of its log.
    log: u64,
    tree: Option<Tree>,
    /// Of its data accesses.
    accesses: Option<accesses::Log>,
}

/// Whether calls are told of.
pub fn are_kept(engine: &Engine) -> bool {
    engine.options.events & EVENTS_CALLS != 0
}

/// Whether emitted code follows calls, rather than telling of them.
fn follows(engine: &Engine) -> bool {
    !has_logs(engine) || engine.options.models.is_some()
}

/// Whether threads have logs.
fn has_logs(engine: &Engine) -> bool {
    engine.options.events & EVENTS_ACCESS != 0
}

/// Bytes that a thread's memory has to have for its calls, its models and its log, behind what it counts.
pub fn bytes(engine: &Engine) -> u64 {
    let logs = if has_logs(engine) { LOG_BYTES + 2 * PAGE } else { 0 };
    behind(engine).saturating_sub(counts::THREAD_BYTES) + logs
}

/// How far behind a context all else ends but its log.
fn behind(engine: &Engine) -> u64 {
    let calls = if are_kept(engine) { u64::from(frames::BEHIND) } else { counts::THREAD_BYTES };
    engine.options.models.map_or(calls, |models| models.end().into())
}

/// The log of a thread, in its memory.
fn log_of(engine: &Engine, thread: *const Thread) -> u64 {
    (thread as u64 + behind(engine)).next_multiple_of(PAGE)
}

/// Prepares the memory of a thread, which has just been mapped: protects the page behind its log.
pub fn prepare(engine: &Engine, thread: *const Thread) {
    if has_logs(engine) {
        // SAFETY: within the thread's fresh memory.
        unsafe { sys::call(sys::nr::MPROTECT, &[log_of(engine, thread) + LOG_BYTES, PAGE, 0]) };
    }
}

/// Of a thread that has executed nothing yet, whose context this is. `again`: its memory was another one's.
pub fn begin(
    engine: &Engine,
    thread: *const Thread,
    context: &mut Context,
    again: bool,
) -> Option<Box<Calls>> {
    if has_logs(engine) {
        context.log = log_of(engine, thread);
    }
    let tree = are_kept(engine).then(|| {
        let mut memory = Memory::of(thread as u64);
        if again {
            memory.clear_table();
        }
        Tree::new(memory)
    });
    (has_logs(engine) || tree.is_some())
        .then(|| Box::new(Calls { log: context.log, tree, accesses: accesses::begin(engine, thread, again) }))
}

impl Calls {
    /// Whether what it accesses counts.
    pub fn collects(&self) -> bool {
        self.accesses.as_ref().is_none_or(accesses::Log::collects)
    }

    /// Works through the log; what is to be told meanwhile goes to the thread's writer.
    fn follow(&mut self, engine: &Engine, context: &mut Context, writer: &mut Option<Writer>) {
        let Some(log) = &mut self.accesses else { return };
        let words = (context.log - self.log) as usize / 8;
        // SAFETY: see the head of this file.
        let events = unsafe { core::slice::from_raw_parts(self.log as *const u64, words) };
        log.follow(engine, context, events, self.tree.as_mut(), writer);
        context.log = self.log;
    }

    /// What is `words` behind the log's end, which is where emitted code goes on; negative: in front of it.
    fn word(&mut self, context: &Context, words: i64) -> Option<&mut u64> {
        let at = context.log.wrapping_add((8 * words) as u64);
        let is_there = at >= self.log && at < self.log + LOG_BYTES;
        // SAFETY: see the head of this file.
        is_there.then(|| unsafe { &mut *(at as *mut u64) })
    }

    /// Sees to it that so many words can be appended.
    fn make_room(&mut self, engine: &Engine, context: &mut Context, writer: &mut Option<Writer>, words: u16) {
        if context.log + 8 * u64::from(words) > self.log + LOG_BYTES {
            self.follow(engine, context, writer);
        }
    }

    /// The run that was cut short is told as such, and that the thread goes on at `pc`.
    fn cut(
        &mut self,
        engine: &Engine,
        context: &mut Context,
        writer: &mut Option<Writer>,
        (code, pc): (u64, u64),
    ) {
        let cut = engine.cache.lock().cut_run(code, pc);
        if let Some(cut) = cut {
            let head = cut.bytes.map_or(whole(cut.number), |bytes| partly(cut.number, bytes));
            if cut.is_told {
                // Perhaps a return has been told since.
                for behind in [0, LEAVE_WORDS as i64] {
                    if let Some(word) = self.word(context, -(i64::from(cut.words) + behind))
                        && *word == whole(cut.number)
                    {
                        *word = head;
                        break;
                    }
                }
            } else {
                // If there was none, nothing of it was stored yet.
                self.make_room(engine, context, writer, cut.words);
                if let Some(word) = self.word(context, 0) {
                    *word = head;
                    context.log += 8 * u64::from(cut.words);
                }
            }
        }
        self.make_room(engine, context, writer, 1);
        if let Some(word) = self.word(context, 0) {
            *word = goes_on(pc);
            context.log += 8;
        }
    }
}

/// A store has faulted at `address`: true when that was the end of the thread's log, which is at its beginning now.
pub fn is_full(engine: &Engine, thread: &mut Thread, address: u64) -> bool {
    let Some(calls) = &mut thread.calls else { return false };
    if calls.log == 0 || address.wrapping_sub(calls.log + LOG_BYTES) >= PAGE {
        return false;
    }
    calls.follow(engine, &mut thread.context, &mut thread.writer);
    true
}

/// The calling thread was interrupted at cache address `code`, where its state is that in front of the guest's instruction at
/// `pc`, and does not go on there.
pub fn interrupted(engine: &Engine, thread: &mut Thread, code: u64, pc: u64) {
    let Some(calls) = &mut thread.calls else { return };
    if calls.accesses.is_some() {
        calls.cut(engine, &mut thread.context, &mut thread.writer, (code, pc));
    }
    if let Some(tree) = calls.tree.as_mut().filter(|_| follows(engine)) {
        let position = engine.cache.lock().position(code);
        if let Some(left) = position.and_then(|position| position.fix.left()) {
            tree.take_back(thread.context.instructions(), left);
        }
    }
}

/// Emitted code has met a call or a return that it does not follow itself.
pub fn asked(engine: &Engine, thread: &mut Thread) {
    match thread.context.exit {
        layout::NOTHING => return,
        layout::LOGGED => return work_through(engine, thread),
        _ => thread.stats[Stat::CallsAsked as usize] += 1,
    }
    let context = &thread.context;
    let (clock, sp, what) = (context.instructions(), context.regs[gpr::RSP], context.exit);
    let Some(tree) = thread.calls.as_mut().and_then(|calls| calls.tree.as_mut()) else { return };
    match what {
        frames::RETURNS => tree.leave(sp, clock),
        // The return address is still there, if there is one.
        frames::LEAVES => tree.leave(sp.wrapping_sub(8), clock),
        function => tree.enter(function, clock, sp, guest_mem::read_u64(sp).unwrap_or(0)),
    }
    tree.settle();
}

/// What is known of a thread's data accesses, where they are told of.
fn accesses_of(thread: &mut Thread) -> Option<&mut accesses::Log> {
    thread.calls.as_mut().and_then(|calls| calls.accesses.as_mut())
}

/// The thread has executed instructions that cost this much, by `translate::models::Costs`, and that is not spent yet; negative: that has been spent, and is
/// not executed.
pub fn spend(thread: &mut Thread, costs: [i64; 4]) {
    if let Some(log) = accesses_of(thread) {
        log.spend_part(costs);
    }
}

/// The thread's misses are told to the last level.
pub fn tell_misses(engine: &Engine, thread: &mut Thread) {
    if let Some(log) = accesses_of(thread) {
        log.tell_misses(engine);
    }
}

/// What a thread accesses costs nobody anything: that of a child of vfork, which shares its parent's models.
pub fn never_costs(thread: &mut Thread) {
    if let Some(log) = accesses_of(thread) {
        log.never_costs();
    }
}

/// The bases of the thread's segments are about to be changed, by other than its own instructions.
pub fn changes_bases(engine: &Engine, thread: &mut Thread, change: impl FnOnce(&mut Context)) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(engine, &mut thread.context, &mut thread.writer);
    }
    change(&mut thread.context);
    if let Some(log) = thread.calls.as_mut().and_then(|calls| calls.accesses.as_mut()) {
        log.set_bases(&thread.context);
    }
}

/// A signal's handler begins at `pc` with this stack pointer and return address. `stack`: it has been switched to this one.
pub fn handler_begins(
    engine: &Engine,
    thread: &mut Thread,
    (pc, sp, restorer): (u64, u64, u64),
    stack: Option<Range<u64>>,
) {
    let Some(calls) = &mut thread.calls else { return };
    calls.follow(engine, &mut thread.context, &mut thread.writer);
    let Some(tree) = &mut calls.tree else { return };
    let function = engine.cache.lock().function(pc);
    tree.handle(function, thread.context.instructions(), sp, restorer, stack);
}

/// A handler has returned.
pub fn handler_ends(engine: &Engine, thread: &mut Thread) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(engine, &mut thread.context, &mut thread.writer);
        if let Some(tree) = &mut calls.tree {
            tree.handled(thread.context.instructions());
        }
    }
}

/// A forked child begins to count.
pub fn forget(engine: &Engine, thread: &mut Thread) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(engine, &mut thread.context, &mut thread.writer);
        if let Some(tree) = &mut calls.tree {
            tree.forget(thread.context.instructions());
        }
        if let Some(log) = &mut calls.accesses {
            log.forget(calls.tree.as_ref());
        }
        accesses::forget(engine);
    }
}

/// From here on what the thread executes is collected, or is not.
pub fn collect(engine: &Engine, thread: &mut Thread, on: bool) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(engine, &mut thread.context, &mut thread.writer);
        if let Some(tree) = &mut calls.tree {
            tree.collect(thread.context.instructions(), on);
        }
        if let Some(log) = &mut calls.accesses {
            log.collect(on);
        }
    }
}

/// Works through the log of a thread, which is the calling one, or stopped.
pub fn work_through(engine: &Engine, thread: &mut Thread) {
    if let Some(calls) = &mut thread.calls {
        calls.follow(engine, &mut thread.context, &mut thread.writer);
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
    calls.follow(engine, &mut thread.context, &mut thread.writer);
    let Some(tree) = &mut calls.tree else {
        thread.calls = Some(calls);
        return;
    };
    let clock = thread.context.instructions();
    let contexts = tree.contexts(clock);
    let functions = engine.cache.lock().functions().to_vec();
    for (nodes, first) in contexts.chunks(MOST_ENTRIES).zip((0u32..).step_by(MOST_ENTRIES)) {
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
    tree.forget(clock);
    if let (Some(log), Some(writer)) = (&mut calls.accesses, &mut thread.writer) {
        log.tell(engine, calls.tree.as_ref(), writer);
    }
    thread.calls = Some(calls);
}

//! Replaced functions whose own code runs after all, in the guest.
//!
//! An operator new that runs out of memory: it asks malloc, which is replaced and fails again; then it calls the
//! new_handler, throws std::bad_alloc or returns null, as it would natively. What a retry gets from malloc is recorded as
//! the block of the operator new that the program called: its stack, its family.
//!
//! A function of an allocator with blocks of its own, such as mimalloc's heaps: those are its business.
//!
//! Not here: the functions' own fragments (`Cache::translate_own`), when it happens (`heap_calls`).
//!
//! # Safety
//! `unsafe` here reads the flags.
#![allow(unsafe_code, reason = "reads the flags")]

use crate::context::{Thread, gpr};
use crate::state::Engine;
use crate::{dispatch, guest_mem};
use core::ops::Range;
use ring::record::Family;

/// The last operator new of a thread that failed. Only its own code calls with a return address in `code`, and that
/// runs only after a failure, which writes this anew: so it may stay when the function has long ended.
pub struct FailedNew {
    /// The function that runs, without its callees.
    code: Range<u64>,
    /// The function that the program called: another one where forms of operator new call each other.
    caller: Caller,
    /// No replaced function was called since: one at the same stack pointer is what the code has jumped to.
    fresh: bool,
}

/// The state at the entry of an operator new.
#[derive(Clone, Copy)]
pub struct Caller {
    /// Its pc.
    pub pc: u64,
    /// General registers.
    pub regs: [u64; 16],
    /// Its blocks' family.
    pub family: Family,
}

/// The operator new in whose own code the thread called the replaced function that it is at now. Once for each call.
#[cold]
pub fn failed_caller(thread: &mut Thread) -> Option<Caller> {
    let failed = thread.failed_new.as_mut()?;
    let sp = thread.context.regs[gpr::RSP];
    let jumped = core::mem::take(&mut failed.fresh) && sp == failed.caller.regs[gpr::RSP];
    let called = || guest_mem::read_u64(sp).is_some_and(|back| failed.code.contains(&back));
    (jumped || called()).then_some(failed.caller)
}

/// [`run`] for an operator new at `pc` that has failed, called by the program or by another one.
pub fn run_failed_new(
    engine: &'static Engine,
    thread: &mut Thread,
    pc: u64,
    family: Family,
    caller: Option<&Caller>,
) -> ! {
    let code = engine.heap.targets.lock().code(pc);
    let caller = caller.copied().unwrap_or(Caller { pc, regs: thread.context.regs, family });
    thread.failed_new = Some(FailedNew { code, caller, fresh: true });
    run(engine, thread, pc)
}

/// Runs the guest's own code of the function at `pc`, at whose entry the thread is. The frames of the engine's caller
/// are abandoned: they must hold nothing that has to be dropped.
pub fn run(engine: &'static Engine, thread: &mut Thread, pc: u64) -> ! {
    // The stub for replaced functions saves neither flags nor what a callee may change.
    // SAFETY: one word on the engine's stack, taken off again.
    unsafe { core::arch::asm!("pushfq", "pop {}", out(reg) thread.context.flags, options(preserves_flags)) };
    thread.context.pc = pc;
    dispatch::enter_own_code(engine, thread)
}

//! What the kernel reads and writes in a system call: parameters are looked at before it, and what was written is defined
//! from then on.
//!
//! Always holds: between [`before`] and [`finish`] nothing is forgotten. A call that is interrupted and made again begins
//! anew; one that the engine makes again is not looked at twice. Not here: which call reads and writes what (crate
//! `syscall-params`), what is wrong with it (`params`).

use super::{Call, Outcome, params};
use crate::context::{Thread, gpr};
use crate::state::Engine;
use crate::{guest_mem, precise, shadow};
use syscall_params::{Kept, Memory};

/// A system call that the kernel executes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under {
    call: Call,
    kept: Kept,
    /// Guest pc behind it.
    behind: u64,
}

struct GuestMemory;

impl Memory for GuestMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        guest_mem::read(address, into) == into.len()
    }
}

/// Looks at the parameters of a call that is about to be made. What has to be known of it afterwards; `None` where nobody
/// follows.
pub(crate) fn before(engine: &Engine, thread: &mut Thread, call: Call) -> Option<Under> {
    if !shadow::is_on() {
        return None;
    }
    let behind = thread.context.pc;
    let again = core::mem::take(&mut thread.call_again) == behind;
    if !again {
        params::check_number(engine, thread);
    }
    let registers = precise::has_undefined_core(thread);
    let before = syscall_params::before(call.number, &call.args, &GuestMemory, registers, &mut |check| {
        if !again {
            params::check(engine, thread, check);
        }
    });
    if !before.known {
        params::unknown(thread, &call);
    }
    shadow::follows().then_some(Under { call, kept: before.kept, behind })
}

/// The handler of a call has ended. True when the kernel is to do it and the thread is to come back afterwards.
pub(crate) fn after(thread: &mut Thread, under: Under, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Done(result) => mark(&under, result),
        Outcome::Pass => {
            precise::of(thread).call = Some(under);
            return true;
        }
        Outcome::Resume => (),
    }
    false
}

/// A thread that was in a system call stands at `pc` with `result` in rax: behind the call, it is done.
pub(crate) fn finish(thread: &mut Thread, pc: u64, result: u64) {
    if let Some(undefined) = &mut thread.undefined
        && let Some(under) = undefined.call.take()
        && under.behind == pc
    {
        mark(&under, result as i64);
    }
}

/// As [`finish`], with the state in the context.
pub(crate) fn finish_here(thread: &mut Thread) {
    let (pc, result) = (thread.context.pc, thread.context.regs[gpr::RAX]);
    finish(thread, pc, result);
}

fn mark(under: &Under, result: i64) {
    syscall_params::after(
        under.call.number,
        &under.call.args,
        result,
        &under.kept,
        &GuestMemory,
        &mut |address, bytes| shadow::written(address, bytes),
    );
}

/// Whether the engine has to see a call for what it reads and writes; `follow`: undefined values are followed.
pub(crate) fn is_wanted(number: usize, follow: bool) -> bool {
    let number = number as u64;
    syscall_params::has_memory(number).is_none_or(|memory| memory || follow)
}

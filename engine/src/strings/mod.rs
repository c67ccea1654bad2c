//! libc's mem*, str* and wcs* functions, answered by the engine while the guest's accesses are checked: at the speed of
//! libc's own, with their V bits moved and their ranges checked in bulk, and with overlaps told.
//!
//! libc's own would be checked instruction by instruction, and read far ahead on purpose. The function's result and what
//! it writes are libc's; what is told of it is what a loop over units would meet, once for each range.
//!
//! A fault is the guest's: the function's own code then runs from its beginning, in the guest, and meets it again.
//! Nothing was written by then that would make that differ.
//!
//! Modules: `names`, `targets` and `resolve` (where the functions are), `call` (what all have in common), `scan` and
//! `fold` (the work), `read` and `write` (the functions), `shape` (how Valgrind's versions go through memory),
//! `undecided` (undefined values in it).

mod call;
mod fold;
pub mod names;
mod read;
pub mod resolve;
mod scan;
pub mod shape;
pub mod targets;
mod undecided;
mod write;

use crate::context::{Context, Thread, gpr};
use crate::heap_calls::Helper;
use crate::signals::recover::Gregs;
use crate::state::Engine;
use crate::{precise, threads};
use call::Call;
use core::sync::atomic::{AtomicBool, Ordering};
use names::Function;
use shape::Shape;
use translate::Replaced;

/// A thread's part.
#[derive(Debug, Default)]
pub struct ThreadStrings {
    /// It is touching the guest's memory for a call: a fault is the guest's.
    touching: AtomicBool,
    /// Resolvers that run.
    resolving: resolve::Running,
}

/// What stands in for the code at a pc.
pub fn replacement(engine: &Engine, pc: u64) -> Option<Replaced> {
    let replaced = |number, helper: Helper| Replaced { number, helper: helper as *const () as u64 };
    let targets = engine.strings.lock();
    if let Some(target) = targets.function(pc) {
        return Some(replaced(target.function as u32, helper(target.function)));
    }
    targets.is_resolver(pc).then(|| replaced(0, resolver))
}

/// What answers a function. The most frequent ones find out nothing about themselves.
fn helper(function: Function) -> Helper {
    match function {
        Function::Memcpy => known::<{ Function::Memcpy as u8 }>,
        Function::Memmove => known::<{ Function::Memmove as u8 }>,
        Function::Memset => known::<{ Function::Memset as u8 }>,
        Function::Memcmp => known::<{ Function::Memcmp as u8 }>,
        Function::Memchr => known::<{ Function::Memchr as u8 }>,
        Function::Strlen => known::<{ Function::Strlen as u8 }>,
        Function::Strcmp => known::<{ Function::Strcmp as u8 }>,
        _ => any,
    }
}

extern "C" fn resolver(_: *mut Context) -> u64 {
    let thread = threads::current();
    let result = resolve::entered(crate::state::engine(), thread);
    precise::function_done(thread);
    result
}

extern "C" fn any(_: *mut Context) -> u64 {
    let thread = threads::current();
    let number = thread.context.exit as u8;
    answer(thread, number)
}

extern "C" fn known<const FUNCTION: u8>(_: *mut Context) -> u64 {
    answer(threads::current(), FUNCTION)
}

/// The pc that the name of the function at `pc` belongs to.
pub fn symbol(engine: &Engine, pc: u64) -> u64 {
    engine.strings.lock().function(pc).map_or(pc, |target| target.symbol)
}

/// Stands in for the function with a number. The result goes to rax.
#[inline(always)]
fn answer(thread: &mut Thread, number: u8) -> u64 {
    let Some(function) = Function::from_number(number) else { return 0 };
    let regs = &thread.context.regs;
    let arguments = [regs[gpr::RDI], regs[gpr::RSI], regs[gpr::RDX], regs[gpr::RCX]];
    let result = run(&mut Call::new(crate::state::engine(), thread, function), arguments);
    precise::function_done(thread);
    result
}

#[inline(always)]
fn run(call: &mut Call<'_>, [a, b, c, d]: [u64; 4]) -> u64 {
    use Function as F;
    const ALL: u64 = u64::MAX;
    match call.function {
        F::Memcpy => call.copy(a, b, c, true),
        F::Memmove => call.copy(a, b, c, false),
        F::Mempcpy => call.copy(a, b, c, true).wrapping_add(c),
        F::Memset => call.fill(a, b as u8, c),
        F::Memcmp => call.compare::<u8>(a, b, c, Shape::Compare((a | b).is_multiple_of(8))),
        F::Memchr => call.find::<u8>(a, b, c),
        F::Memrchr => call.find_last::<u8>(a, b, c),
        F::Rawmemchr => call.find::<u8>(a, b, ALL),
        F::Memccpy => call.copy_through(a, b, c as u8, d),
        F::Strlen => call.length::<u8>(a, ALL),
        F::Strnlen => call.length::<u8>(a, b),
        F::Strcpy => call.copy_string::<u8>(a, b, ALL).0,
        F::Stpcpy => call.copy_string::<u8>(a, b, ALL).1,
        F::Strncpy => call.copy_padded::<u8>(a, b, c, ALL).0,
        F::Stpncpy => call.copy_padded::<u8>(a, b, c, ALL).1,
        F::Strlcpy => call.copy_limited(a, b, c),
        F::Strcat => call.append::<u8>(a, b, None, ALL),
        F::Strncat => call.append::<u8>(a, b, Some(c), ALL),
        F::Strlcat => call.append_limited(a, b, c),
        F::Strcmp => call.compare_strings::<u8>(a, b, ALL),
        F::Strncmp => call.compare_strings::<u8>(a, b, c),
        F::Strcasecmp => call.compare_folded(a, b, ALL, None),
        F::Strncasecmp => call.compare_folded(a, b, c, None),
        F::StrcasecmpL => call.compare_folded(a, b, ALL, Some(c)),
        F::StrncasecmpL => call.compare_folded(a, b, c, Some(d)),
        F::Strchr => call.find_in_string::<u8>(a, b, false),
        F::Strchrnul => call.find_in_string::<u8>(a, b, true),
        F::Strrchr => call.find_last_in_string::<u8>(a, b),
        F::Strstr => call.find_string(a, b),
        F::Strspn => call.span(a, b, false).0,
        F::Strcspn => call.span(a, b, true).0,
        F::Strpbrk => call.span(a, b, true).1,
        F::MemcpyChk => call.with_room(c, d).copy(a, b, c, true),
        F::MemmoveChk => call.with_room(c, d).copy(a, b, c, false),
        F::MempcpyChk => call.with_room(c, d).copy(a, b, c, true).wrapping_add(c),
        F::MemsetChk => call.with_room(c, d).fill(a, b as u8, c),
        F::StrcpyChk => call.copy_string::<u8>(a, b, c).0,
        F::StpcpyChk => call.copy_string::<u8>(a, b, c).1,
        F::StrncpyChk => call.copy_padded::<u8>(a, b, c, d).0,
        F::StpncpyChk => call.copy_padded::<u8>(a, b, c, d).1,
        F::StrcatChk => call.append::<u8>(a, b, None, c),
        F::StrncatChk => call.append::<u8>(a, b, Some(c), d),
        F::Wcslen => call.length::<i32>(a, ALL),
        F::Wcsnlen => call.length::<i32>(a, b),
        F::Wcscpy => call.copy_string::<i32>(a, b, ALL).0,
        F::Wcpcpy => call.copy_string::<i32>(a, b, ALL).1,
        F::Wcsncpy => call.copy_padded::<i32>(a, b, c, ALL).0,
        F::Wcpncpy => call.copy_padded::<i32>(a, b, c, ALL).1,
        F::Wcscat => call.append::<i32>(a, b, None, ALL),
        F::Wcsncat => call.append::<i32>(a, b, Some(c), ALL),
        F::Wcscmp => call.compare_strings::<i32>(a, b, ALL),
        F::Wcsncmp => call.compare_strings::<i32>(a, b, c),
        F::Wcschr => call.find_in_string::<i32>(a, b, false),
        F::Wcsrchr => call.find_last_in_string::<i32>(a, b),
        F::Wmemchr => call.find::<i32>(a, b, c),
        F::Wmemcmp => call.compare::<i32>(a, b, c, Shape::Units(4)),
        F::Wmemset => call.fill_wide(a, b as u32, c),
    }
}

/// The thread has faulted in the engine. True when that was for a call: the kernel's frame then leads to the function's
/// own code.
pub fn leads_to_own_code(thread: &mut Thread, gregs: &mut Gregs) -> bool {
    const RSP: usize = 15;
    const RIP: usize = 16;
    if !thread.strings.touching.swap(false, Ordering::Relaxed) {
        return false;
    }
    // As if the stub had called it.
    gregs[RIP] = faulted as *const () as u64;
    gregs[RSP] = thread.context.engine_rsp - 8;
    true
}

extern "C" fn faulted() -> ! {
    call::run_own_code(crate::state::engine(), crate::threads::current())
}

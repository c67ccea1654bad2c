//! What each system call of x86-64 Linux reads and writes: checks before a call, marks after it.
//!
//! What always holds: nothing here touches memory, the kernel or a global; the guest's memory is read through
//! [`Memory`]. Nothing allocates, panics or runs long on any input: every count that comes from the guest is
//! held to the kernel's own limit before a loop. Not here: V bits and addressability (the caller looks at the
//! bytes that a [`Check`] names), and what a call does to mappings, signals and threads.
//!
//! How the caller uses it:
//! 1. [`before`] a call: each [`Check`] names a register or bytes of memory and what must hold of them.
//! 2. The call. What [`before`] returned is kept meanwhile: lengths that the kernel overwrites are in it.
//! 3. [`after`] it: ranges that the kernel has written, which are defined from now on.
//!
//! A call is one line of `table`; what a line cannot say is a function in `hand`, which serves both phases.
//! The texts are those of Valgrind, because suppressions name them (`Memcheck:Param`, then `write(buf)`);
//! where Valgrind checks nothing, names come from the kernel's `uapi` headers and manual pages.
//!
//! A system call may fault or be interrupted half way: what `after` reports for a failed call is only what
//! the kernel writes on that failure by contract (the rest of a sleep, the events of an interrupted poll).

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod describe;
mod evaluate;
mod hand;
mod parameter;
mod table;
mod visit;

#[cfg(test)]
mod fake;

pub use describe::Argument;
pub use parameter::Parameter;
pub use visit::{Check, Kept, Need};

use describe::{Call, Shape};
use visit::Visit;

/// The guest's memory, and three questions that only the kernel can answer.
pub trait Memory {
    /// Copies guest bytes from `address` into `into`; false when not all of them are readable. Undefined bytes
    /// are read as they are: the caller is told of them by a check.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    /// How many semaphores are in a set (`semctl(IPC_STAT)` says it); without an answer, their values are neither
    /// checked nor marked.
    fn semaphores(&self, _set: u32) -> Option<u64> {
        None
    }

    /// Bytes of a key and of a value of a BPF map (`/proc/self/fdinfo` says it); without an answer, they are
    /// neither checked nor marked.
    fn bpf_map(&self, _descriptor: u32) -> Option<(u64, u64)> {
        None
    }

    /// Whether a descriptor is open for reading only (`fcntl(F_GETFL)` says it): vmsplice then writes to its
    /// buffers. Without an answer, they are only checked to be addressable.
    fn read_only(&self, _descriptor: u32) -> Option<bool> {
        None
    }
}

/// What Valgrind calls the register that holds the number of the call; it is checked whole, before all others.
pub const NUMBER_PARAMETER: &str = "(syscallno)";

/// What [`before`] found out about a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// False for a number that is not in the table: nothing was checked, and nothing will be marked.
    pub known: bool,
    /// For [`after`].
    pub kept: Kept,
}

/// Reports what call `number` with `arguments` will read and write, in the order of the arguments: registers
/// first, then memory. `registers`: false leaves those out, for a caller that knows them to be defined.
pub fn before(
    number: u64,
    arguments: &[u64; 6],
    memory: &dyn Memory,
    registers: bool,
    check: &mut dyn FnMut(Check),
) -> Before {
    let Some(call) = find(number) else { return Before::default() };
    let mut visit = Visit::before(call, arguments, memory, registers, check);
    evaluate::call(&mut visit);
    Before { known: true, kept: visit.kept() }
}

/// Reports what the kernel has written in call `number`, which returned `result` (an error is -4095 to -1):
/// address and size in bytes, never 0, of each range. `kept` is what [`before`] returned, or its default when
/// the call was not checked; then lengths that the kernel has overwritten are taken as they are now.
pub fn after(
    number: u64,
    arguments: &[u64; 6],
    result: i64,
    kept: &Kept,
    memory: &dyn Memory,
    written: &mut dyn FnMut(u64, u64),
) {
    let Some(call) = find(number) else { return };
    let mut visit = Visit::after(call, arguments, result, kept, memory, written);
    evaluate::call(&mut visit);
}

/// The kernel's name of a call; `None` for a number that is not in the table.
pub fn name(number: u64) -> Option<&'static str> {
    find(number).map(|call| call.name)
}

/// Whether a call may read or write memory; `None` for a number that is not in the table.
pub fn has_memory(number: u64) -> Option<bool> {
    find(number).map(|call| match call.shape {
        Shape::Items(items) => !items.is_empty(),
        Shape::By(_) | Shape::AllBy(_) => true,
    })
}

/// The arguments of a call, at most six: all that it can have, whatever its command.
pub fn arguments(number: u64) -> Option<&'static [Argument]> {
    find(number).map(|call| call.arguments)
}

fn find(number: u64) -> Option<&'static Call> {
    let number = u16::try_from(number).ok()?;
    table::PARTS.iter().find_map(|part| {
        // Most numbers have a call, so that it stands where it would without gaps.
        let guess = number.checked_sub(part.first()?.number)?;
        if let Some(call) = part.get(usize::from(guess)).filter(|call| call.number == number) {
            return Some(call);
        }
        let at = part.binary_search_by_key(&number, |call| call.number).ok()?;
        part.get(at)
    })
}

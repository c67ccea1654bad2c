//! What is wrong with memory that the kernel is about to use for the guest, or that the guest asks about: not mapped, not the
//! guest's to touch, undefined.
//!
//! Always holds: only the first flaw of a range is looked for, as in Valgrind; a range that is sound and not of the heap
//! costs a look at the stack's bounds or at the table of mappings. Not here: which ranges (`syscalls::marks`, `requests`), the
//! V bits (`shadow`), who may touch what (`errors`).

use crate::context::{Thread, gpr};
use crate::space::{GUEST_END, PAGE};
use crate::state::Engine;
use crate::{client_memory, errors, guest_mem, shadow, shadow_range};

/// The first byte of a range that is not as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) address: u64,
    /// It is not the guest's to touch; otherwise it is undefined.
    pub(crate) unaddressable: bool,
}

impl Flaw {
    const fn unaddressable(address: u64) -> Flaw {
        Flaw { address, unaddressable: true }
    }
}

/// What has to hold of each byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Must {
    /// It is the guest's to touch.
    BeAddressable,
    /// It is defined, too, where undefined values are followed.
    BeDefined,
}

/// The first flaw of `bytes` bytes from `start` on.
pub(crate) fn first_flaw(
    engine: &Engine,
    thread: &Thread,
    start: u64,
    bytes: u64,
    must: Must,
) -> Option<Flaw> {
    if bytes == 0 {
        return None;
    }
    if start >= GUEST_END {
        return Some(Flaw::unaddressable(start));
    }
    let end = start.saturating_add(bytes);
    let mapped = mapped_until(engine, thread, start, end.min(GUEST_END));
    let within = match must {
        Must::BeAddressable => first_unaddressable(engine, start, mapped),
        Must::BeDefined => first_undefined(engine, start, mapped),
    };
    within.or_else(|| (mapped < end).then_some(Flaw::unaddressable(mapped)))
}

/// The first flaw of a string of at most `most` bytes, up to and with its NUL.
pub(crate) fn first_flaw_of_string(engine: &Engine, thread: &Thread, start: u64, most: u64) -> Option<Flaw> {
    /// The longest string that the kernel takes, an argument of execve (MAX_ARG_STRLEN).
    const LONGEST: u64 = 128 << 10;
    const PIECE: u64 = 256;
    let end = start.saturating_add(most.min(LONGEST));
    let mut at = start;
    while at < end {
        let mut bytes = [0; PIECE as usize];
        // Never across a page end in one piece: the next page may be missing.
        let bytes = &mut bytes[..(PAGE - at % PAGE).min(PIECE).min(end - at) as usize];
        let read = guest_mem::read(at, bytes);
        let length = bytes[..read].iter().position(|byte| *byte == 0).map(|nul| nul + 1);
        let flaw = first_flaw(engine, thread, at, length.unwrap_or(read) as u64, Must::BeDefined);
        if flaw.is_some() || length.is_some() {
            return flaw;
        }
        if read < bytes.len() {
            return Some(Flaw::unaddressable(at + read as u64));
        }
        at += read as u64;
    }
    None
}

/// The first address of a range of the guest's zone at which nothing is mapped, or its end.
fn mapped_until(engine: &Engine, thread: &Thread, start: u64, end: u64) -> u64 {
    let stack = thread.stack_bounds.0..thread.stack_bounds.1;
    if stack.contains(&thread.context.regs[gpr::RSP]) && stack.contains(&start) && end <= stack.end {
        return end;
    }
    if engine.heap.get().is_some_and(|heap| heap.contains(start)) {
        // All of the arena is; what is no block's has its V pattern.
        return end;
    }
    let mut at = start;
    while at < end {
        let mapping = engine.space.lock().find(at).map(|(_, mapping)| (mapping.end, mapping.protection));
        match mapping {
            Some((behind, 1..)) => at = behind,
            // Memory that the kernel has mapped by itself (io_setup) is in no table.
            _ if guest_mem::read(at, &mut [0]) == 1 => at = (at | (PAGE - 1)) + 1,
            _ => return at,
        }
    }
    end
}

fn first_unaddressable(engine: &Engine, start: u64, end: u64) -> Option<Flaw> {
    /// From so many bytes on, finding their block is faster than going through their V bits.
    const MUCH: u64 = 2048;
    let heap = engine.heap.get().filter(|heap| heap.contains(start));
    let marked = client_memory::is_marked();
    if heap.is_none() && !marked {
        return None;
    }
    if end - start >= MUCH
        && !marked
        && let Some(heap) = heap
        && errors::live_block_around(heap, start).is_some_and(|block| end <= block.address + block.size)
    {
        return None;
    }
    let mut at = start;
    while at < end {
        let run = errors::run(engine, at, end);
        if !run.addressable {
            return Some(Flaw::unaddressable(at));
        }
        at = run.end;
    }
    None
}

/// The first bytes of a range that are undefined and that are not the guest's to touch.
pub(crate) fn first_of_both(engine: &Engine, thread: &Thread, start: u64, bytes: u64) -> [Option<u64>; 2] {
    let end = start.saturating_add(bytes);
    let mut unaddressable = None;
    let mut at = start;
    while at < end {
        let Some(flaw) = first_flaw(engine, thread, at, end - at, Must::BeDefined) else { break };
        if !flaw.unaddressable {
            return [Some(flaw.address), unaddressable.or_else(|| first_bad(engine, thread, start, bytes))];
        }
        unaddressable = unaddressable.or(Some(flaw.address));
        if flaw.address >= GUEST_END {
            break;
        }
        let is_there = guest_mem::read(flaw.address, &mut [0]) == 1;
        at = if is_there {
            errors::run(engine, flaw.address, end.min(GUEST_END)).end
        } else {
            (flaw.address | (PAGE - 1)) + 1
        };
    }
    [None, unaddressable]
}

/// The first byte of a range that is not the guest's to touch.
pub(crate) fn first_bad(engine: &Engine, thread: &Thread, start: u64, bytes: u64) -> Option<u64> {
    first_flaw(engine, thread, start, bytes, Must::BeAddressable).map(|flaw| flaw.address)
}

fn first_undefined(engine: &Engine, start: u64, end: u64) -> Option<Flaw> {
    if !shadow::follows() {
        return first_unaddressable(engine, start, end);
    }
    let address = start + shadow_range::first_set(start, end - start)?;
    let mut bits = [0];
    shadow::read(address, &mut bits);
    Some(Flaw { address, unaddressable: errors::unaddressable(engine, address, &bits) != 0 })
}

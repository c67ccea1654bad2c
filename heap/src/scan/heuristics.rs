//! Valgrind's four heuristics: interior pointers that C++ and C libraries use as the only pointer to a block.
//!
//! The rules are those of `--leak-check-heuristics` (memcheck manual and `mc_leakcheck.c`). Each that accepts sets its
//! flag, unlike in Valgrind, which stops at the first: a reader may switch them on and off one by one.

use super::Memory;
use crate::live::Target;
use ring::record::edge;

/// Most words of a vtable that are looked at.
const VTABLE_WORDS: u64 = 20;
/// Addresses below are no vtables.
const PAGE: u64 = 4096;

/// [`edge`] flags of a pointer that hits `target`.
#[inline]
pub(super) fn flags<M: Memory>(memory: &M, pointer: u64, target: &Target) -> u32 {
    match pointer - target.address {
        0 => edge::START,
        offset if offset % 8 == 0 => interior(memory, pointer, offset, target),
        _ => 0,
    }
}

fn interior<M: Memory>(memory: &M, pointer: u64, offset: u64, target: &Target) -> u32 {
    let mut flags = 0;
    // A block of fewer than 8 bytes has no aligned interior, so its first word lies in the block from here on.
    let Some(first) = memory.word(target.address) else { return 0 };
    if offset == 24 && is_stdstring(memory, first, target) {
        flags |= edge::STDSTRING;
    }
    if offset == 8 && first > 0 {
        let rest = target.size - 8;
        if rest == first {
            flags |= edge::LENGTH64;
        }
        if rest.is_multiple_of(first) {
            flags |= edge::NEWARRAY;
        }
    }
    // A pointer into the last, incomplete word has no word to read.
    if offset + 8 <= target.size
        && let Some(inner) = memory.word(pointer)
        && is_vtable(memory, inner)
        && is_vtable(memory, first)
    {
        flags |= edge::MULTIPLE_INHERITANCE;
    }
    flags
}

/// Length, capacity and reference count in front of the characters (libstdc++ before C++11).
fn is_stdstring<M: Memory>(memory: &M, length: u64, target: &Target) -> bool {
    memory
        .word(target.address + 8)
        .is_some_and(|capacity| capacity.wrapping_add(25) == target.size && length <= capacity)
}

/// Whether `address` lies in a readable file mapping, at a table whose first two words that are not null point at code.
fn is_vtable<M: Memory>(memory: &M, address: u64) -> bool {
    if !address.is_multiple_of(8) || address < PAGE {
        return false;
    }
    let Some(end) = memory.readable_file_mapping(address) else { return false };
    let mut functions = 0;
    // Valgrind never reads the last word of the mapping.
    for word in (0..VTABLE_WORDS).map(|i| address + 8 * i).take_while(|&at| at < end.saturating_sub(9)) {
        match memory.word(word) {
            Some(0) => continue,
            Some(function) if memory.in_executable_file_mapping(function) => functions += 1,
            _ => return false,
        }
        if functions == 2 {
            return true;
        }
    }
    false
}

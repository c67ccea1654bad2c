//! V bits of ranges: scans, moves and settings in bulk, for functions that the engine stands in for.
//!
//! Always holds: what the guest may not touch stays as it is marked, whatever is copied there; what comes from there is
//! defined, as in Valgrind, so that one error is told once. Not here: the shadow's memory (`shadow`), who may touch what
//! (`errors`).
//!
//! # Safety
//! `unsafe` here reads and writes the shadow, all of which is mapped. Callers give ranges of the guest's zone.
#![allow(unsafe_code, reason = "reads and writes the shadow in bulk")]

use crate::errors;
use crate::shadow::{self, Bits, DISTANCE};
use crate::state::Engine;
use alloc::vec::Vec;
use core::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    _mm_setzero_si128,
};

/// Bytes looked at in one step.
const STEP: u64 = 64;

/// Bits set where one of the 16 bytes at `at` has V bits.
unsafe fn set_bytes(at: u64) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let bits = _mm_loadu_si128(at as *const __m128i);
        _mm_movemask_epi8(_mm_cmpeq_epi8(bits, _mm_setzero_si128())) as u32 ^ 0xffff
    }
}

/// Whether one of the 64 bytes at `at` has V bits.
unsafe fn any(at: u64) -> bool {
    // SAFETY: the caller's.
    unsafe {
        let part = |i: u64| _mm_loadu_si128((at + 16 * i) as *const __m128i);
        let all = _mm_or_si128(_mm_or_si128(part(0), part(1)), _mm_or_si128(part(2), part(3)));
        _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128())) != 0xffff
    }
}

/// Offset of the first byte of a range that has V bits.
#[inline]
pub fn first_set(start: u64, length: u64) -> Option<u64> {
    debug_assert!(length <= crate::space::GUEST_END && start <= crate::space::GUEST_END - length);
    // SAFETY: addresses of the shadow, which reaches far enough behind the guest's zone for what the last step reads.
    unsafe { first_set_at(start + DISTANCE, length) }
}

/// # Safety
/// The range and 15 bytes behind it are readable.
#[inline]
unsafe fn first_set_at(start: u64, length: u64) -> Option<u64> {
    let mut at = 0;
    // SAFETY: steps of 64 inside the range, then of 16 that begin inside it.
    unsafe {
        while at + STEP <= length && !any(start + at) {
            at += STEP;
        }
        while at < length {
            let set = set_bytes(start + at);
            if set != 0 {
                let found = at + u64::from(set.trailing_zeros());
                return (found < length).then_some(found);
            }
            at += 16;
        }
    }
    None
}

/// Offset of the first byte of a range that may be one that the guest must not touch: it has their pattern.
pub fn first_unaddressable(start: u64, length: u64) -> Option<u64> {
    const PATTERN: u8 = Bits::Unaddressable as u8;
    let mut at = 0;
    while at < length {
        // SAFETY: as for `first_set`; steps of 16 that begin inside the range.
        let found = unsafe {
            let bits = _mm_loadu_si128((start + DISTANCE + at) as *const __m128i);
            _mm_movemask_epi8(_mm_cmpeq_epi8(bits, _mm_set1_epi8(PATTERN as i8))) as u32
        };
        if found != 0 {
            let found = at + u64::from(found.trailing_zeros());
            return (found < length).then_some(found);
        }
        at += 16;
    }
    None
}

/// Whether no byte of a range may be one that the guest must not touch.
pub fn is_addressable(start: u64, length: u64) -> bool {
    first_unaddressable(start, length).is_none()
}

/// Whether no byte of a range has V bits.
#[inline]
pub fn is_clean(start: u64, length: u64) -> bool {
    first_set(start, length).is_none()
}

/// A part of two ranges: offset, bytes, and whether the guest may touch those of the source.
struct Part {
    offset: u64,
    bytes: u64,
    source: bool,
}

/// The guest's bytes of a range have been copied, as memmove does: their V bits follow. Whether there were none, on either
/// side: then there is no byte that the guest must not touch, too.
#[inline]
pub fn copied(engine: &Engine, to: u64, from: u64, length: u64) -> bool {
    let clean = is_clean(from, length) && is_clean(to, length);
    if !clean {
        copied_with_bits(engine, to, from, length);
    }
    clean
}

fn copied_with_bits(engine: &Engine, to: u64, from: u64, length: u64) {
    // A copy to a fresh block, mostly.
    if is_addressable(from, length) && is_addressable(to, length) {
        copy_bits(to, from, length);
    } else {
        copied_between_blocks(engine, to, from, length);
    }
}

/// Copies V bits, as memmove does.
fn copy_bits(to: u64, from: u64, length: u64) {
    // SAFETY: inside the shadow.
    unsafe {
        core::ptr::copy((from + DISTANCE) as *const u8, (to + DISTANCE) as *mut u8, length as usize);
    }
}

#[cold]
fn copied_between_blocks(engine: &Engine, to: u64, from: u64, length: u64) {
    // Who may touch what does not depend on V bits of what may be touched: found out before any is changed.
    let mut parts = Vec::new();
    let mut offset = 0;
    while offset < length {
        let source = errors::run(engine, from + offset, from + length);
        let target = errors::run(engine, to + offset, to + length);
        let end = (source.end - from).min(target.end - to);
        if target.addressable {
            parts.push(Part { offset, bytes: end - offset, source: source.addressable });
        }
        offset = end;
    }
    let copy = |part: &Part| {
        let (to, from) = (to + part.offset, from + part.offset);
        if part.source {
            copy_bits(to, from, part.bytes);
        } else {
            shadow::set(to, part.bytes, Bits::Defined);
        }
    };
    // Parts of ranges that overlap, in the order in which none is overwritten before it was read.
    if to <= from { parts.iter().for_each(copy) } else { parts.iter().rev().for_each(copy) }
}

/// Defined values have been stored to a range. Whether it had no V bits before.
#[inline]
pub fn stored(engine: &Engine, start: u64, length: u64) -> bool {
    let clean = is_clean(start, length);
    if !clean {
        stored_over_bits(engine, start, length);
    }
    clean
}

fn stored_over_bits(engine: &Engine, start: u64, length: u64) {
    if is_addressable(start, length) {
        shadow::set(start, length, Bits::Defined);
        return;
    }
    let (mut at, end) = (start, start + length);
    while at < end {
        let run = errors::run(engine, at, end);
        if run.addressable {
            shadow::set(at, run.end - at, Bits::Defined);
        }
        at = run.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_set_byte_is_found_everywhere() {
        let mut bytes = [0u8; 400];
        let start = bytes.as_ptr() as u64;
        // SAFETY: ranges of the array with 16 bytes behind them.
        let first = |from: u64, length: u64| unsafe { first_set_at(start + from, length) };
        for from in 0..70 {
            for length in 0..200 {
                assert_eq!(first(from, length), None);
            }
        }
        for set in 0..300u64 {
            bytes[set as usize] = 1;
            core::hint::black_box(&mut bytes);
            for (from, length) in [(0, 384), (0, set), (0, set + 1), (set, 1), (set / 2, 384 - set / 2)] {
                let expected = (from..from + length).contains(&set).then(|| set - from);
                assert_eq!(first(from, length), expected, "{set} in {length} from {from}");
            }
            bytes[set as usize] = 0;
        }
    }
}

//! Searches in memory of the guest, at the speed of libc's own: for units of a byte or of four.
//!
//! Always holds: what is read lies in the range, or in the 16 or 64 bytes, aligned so, of one of its units that a plain
//! loop would have read, too: it is mapped if the loop's own reads are.
//!
//! # Safety
//! `unsafe` here reads at the guest's addresses. Callers see to faults (`strings::Call::guarded`).
#![allow(unsafe_code, reason = "reads at the guest's addresses")]

use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpeq_epi32, _mm_load_si128, _mm_loadu_si128,
    _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_set1_epi32, _mm_setzero_si128,
};

/// A character: of a string, or a `wchar_t` of a wide one.
///
/// # Safety
/// Implemented for integers of `BYTES` bytes only.
pub(super) unsafe trait Unit: Copy + Ord {
    /// Its size.
    const BYTES: u64;
    /// The end of a string.
    const NUL: Self;
    /// The unit in an argument.
    fn of(argument: u64) -> Self;
    /// Its value.
    fn value(self) -> i32;
    /// Bytes of all ones where a vector has this unit.
    fn equal(vector: __m128i, unit: Self) -> __m128i;
}

// SAFETY: a byte.
unsafe impl Unit for u8 {
    const BYTES: u64 = 1;
    const NUL: u8 = 0;

    #[inline(always)]
    fn of(argument: u64) -> u8 {
        argument as u8
    }

    #[inline(always)]
    fn value(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn equal(vector: __m128i, unit: u8) -> __m128i {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_cmpeq_epi8(vector, _mm_set1_epi8(unit as i8)) }
    }
}

// SAFETY: four bytes.
unsafe impl Unit for i32 {
    const BYTES: u64 = 4;
    const NUL: i32 = 0;

    #[inline(always)]
    fn of(argument: u64) -> i32 {
        argument as i32
    }

    #[inline(always)]
    fn value(self) -> i32 {
        self
    }

    #[inline(always)]
    fn equal(vector: __m128i, unit: i32) -> __m128i {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_cmpeq_epi32(vector, _mm_set1_epi32(unit)) }
    }
}

/// The unit with an index.
///
/// # Safety
/// It is the guest's, and may fault.
#[inline(always)]
pub(super) unsafe fn unit<U: Unit>(start: u64, index: u64) -> U {
    // SAFETY: the caller's.
    unsafe { ((start + index * U::BYTES) as *const U).read_unaligned() }
}

#[inline(always)]
fn mask(vector: __m128i) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_movemask_epi8(vector) as u32 }
}

/// Index of the first of at most `limit` units that `hits` marks: by vectors, and by itself.
///
/// # Safety
/// The units up to that one are the guest's, and may fault.
#[inline(always)]
unsafe fn search<U: Unit>(
    start: u64,
    limit: u64,
    hits: impl Fn(__m128i) -> __m128i,
    hit: impl Fn(U) -> bool,
) -> Option<u64> {
    if !start.is_multiple_of(U::BYTES) {
        // SAFETY: the caller's.
        return (0..limit).find(|index| hit(unsafe { unit(start, *index) }));
    }
    if limit == 0 {
        return None;
    }
    let bytes = limit.saturating_mul(U::BYTES);
    let found = |at: u64, set: u32| {
        let index = (at + u64::from(set.trailing_zeros())) / U::BYTES;
        (index < limit).then_some(index)
    };
    // SAFETY: aligned to 16, or four such that are aligned to 64, with a byte in it that is asked for.
    unsafe {
        let part = |at: u64| hits(_mm_load_si128(at as *const __m128i));
        let skipped = start % 16;
        let set = mask(part(start - skipped)) >> skipped;
        if set != 0 {
            return found(0, set);
        }
        let mut at = 16 - skipped;
        while at < bytes && !(start + at).is_multiple_of(64) {
            let set = mask(part(start + at));
            if set != 0 {
                return found(at, set);
            }
            at += 16;
        }
        while at < bytes {
            let parts = [0, 16, 32, 48].map(|i| part(start + at + i));
            let any = _mm_or_si128(_mm_or_si128(parts[0], parts[1]), _mm_or_si128(parts[2], parts[3]));
            if mask(any) != 0 {
                let (low, high) =
                    (mask(parts[0]) | mask(parts[1]) << 16, mask(parts[2]) | mask(parts[3]) << 16);
                return if low != 0 { found(at, low) } else { found(at + 32, high) };
            }
            at += 64;
        }
    }
    None
}

/// Index of the first `wanted` among at most `limit` units.
///
/// # Safety
/// The units up to that one are the guest's, and may fault.
#[inline]
pub(super) unsafe fn find<U: Unit>(start: u64, limit: u64, wanted: U) -> Option<u64> {
    // SAFETY: the caller's.
    unsafe { search(start, limit, |vector| U::equal(vector, wanted), |unit: U| unit == wanted) }
}

/// Units of a string.
///
/// # Safety
/// They are the guest's, and may fault.
#[inline]
pub(super) unsafe fn length<U: Unit>(start: u64) -> u64 {
    // SAFETY: the caller's. Without an end, a fault comes first.
    unsafe { find(start, u64::MAX, U::NUL).unwrap_or(u64::MAX) }
}

/// Index of the first `wanted` in a string, or of its end.
///
/// # Safety
/// The units up to that one are the guest's, and may fault.
#[inline]
pub(super) unsafe fn find_or_end<U: Unit>(start: u64, wanted: U) -> u64 {
    // SAFETY: the caller's, and SSE2.
    unsafe {
        let hits = |vector| _mm_or_si128(U::equal(vector, wanted), U::equal(vector, U::NUL));
        search(start, u64::MAX, hits, |unit: U| unit == wanted || unit == U::NUL).unwrap_or(u64::MAX)
    }
}

/// Index of the last `wanted` among `count` units.
///
/// # Safety
/// The units are the guest's, and may fault.
#[inline]
pub(super) unsafe fn find_last<U: Unit>(start: u64, count: u64, wanted: U) -> Option<u64> {
    let per_vector = 16 / U::BYTES;
    let mut left = count;
    // SAFETY: inside the range.
    unsafe {
        while left >= per_vector {
            let first = left - per_vector;
            let vector = _mm_loadu_si128((start + first * U::BYTES) as *const __m128i);
            let set = mask(U::equal(vector, wanted));
            if set != 0 {
                return Some(first + u64::from(31 - set.leading_zeros()) / U::BYTES);
            }
            left = first;
        }
        (0..left).rev().find(|index| unit::<U>(start, *index) == wanted)
    }
}

/// Index of the first difference between two ranges of `count` units.
///
/// # Safety
/// The units are the guest's, and may fault.
#[inline]
pub(super) unsafe fn difference<U: Unit>(a: u64, b: u64, count: u64) -> Option<u64> {
    let (bytes, mut at) = (count * U::BYTES, 0);
    // SAFETY: inside the ranges.
    unsafe {
        while at + 16 <= bytes {
            let same = _mm_cmpeq_epi8(
                _mm_loadu_si128((a + at) as *const __m128i),
                _mm_loadu_si128((b + at) as *const __m128i),
            );
            if mask(same) != 0xffff {
                return Some((at + u64::from(mask(same).trailing_ones())) / U::BYTES);
            }
            at += 16;
        }
        (at / U::BYTES..count).find(|index| unit::<U>(a, *index) != unit(b, *index))
    }
}

/// Index of the first difference between two strings, or of their common end; at most `limit`.
///
/// # Safety
/// The units up to that one are the guest's, and may fault.
#[inline]
pub(super) unsafe fn difference_or_end<U: Unit>(a: u64, b: u64, limit: u64) -> u64 {
    const PAGE: u64 = crate::space::PAGE;
    let per_vector = 16 / U::BYTES;
    let in_page = |start: u64| start % PAGE <= PAGE - 16;
    let mut index = 0;
    // SAFETY: units that a plain loop would read, or vectors in the page of one such.
    unsafe {
        while index < limit {
            let (x, y) = (a + index * U::BYTES, b + index * U::BYTES);
            if in_page(x) && in_page(y) {
                let (x, y) = (_mm_loadu_si128(x as *const __m128i), _mm_loadu_si128(y as *const __m128i));
                let ends = U::equal(x, U::NUL);
                let same =
                    mask(_mm_and_si128(_mm_cmpeq_epi8(x, y), _mm_cmpeq_epi8(ends, _mm_setzero_si128())));
                if same != 0xffff {
                    return limit.min(index + u64::from(same.trailing_ones()) / U::BYTES);
                }
                index += per_vector;
            } else {
                let (x, y) = (unit::<U>(a, index), unit::<U>(b, index));
                if x != y || x == U::NUL {
                    return index;
                }
                index += 1;
            }
        }
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 512;

    /// Units at an alignment, all of them `fill`.
    fn filled<U: Unit>(align: usize, fill: U) -> (Vec<U>, usize) {
        (vec![fill; ROOM], align)
    }

    fn searches<U: Unit>(fill: U, wanted: U) {
        for align in 0..64 {
            for length in (0..140).chain([200, 255, 256, 300]) {
                let (mut units, first) = filled(align, fill);
                units[first + length] = U::NUL;
                let start = &raw const units[first] as u64;
                // SAFETY: in the vector, with room on both sides.
                unsafe {
                    let size = length as u64;
                    assert_eq!(super::length::<U>(start), size);
                    assert_eq!(find(start, size, U::NUL), None);
                    assert_eq!(find(start, size + 1, U::NUL), Some(size));
                    assert_eq!(find_or_end(start, wanted), size);
                    assert_eq!(find_last(start, size + 1, wanted), None);
                    let place = length / 2;
                    units[first + place] = wanted;
                    core::hint::black_box(&mut units);
                    let expected = (place != length).then_some(place as u64);
                    assert_eq!(find(start, size, wanted), expected);
                    assert_eq!(find_last(start, size, wanted), expected);
                }
            }
        }
    }

    #[test]
    fn searches_at_all_alignments() {
        searches(7u8, 9);
        searches(0xffu8, 0x80);
        searches(0x0101_0101i32, 0x0001_0101);
        searches(-1i32, 0x100);
    }

    fn comparisons<U: Unit>(fill: U, other: U) {
        for (x, y) in (0..20).flat_map(|x| [0, 1, 3, 15, 16].map(|y| (x, y))) {
            for place in (0..70).chain([130, 200]) {
                let (mut a, first_a) = filled(x, fill);
                let (mut b, first_b) = filled(y, fill);
                let (start_a, start_b) = (&raw const a[first_a] as u64, &raw const b[first_b] as u64);
                let at = place as u64;
                // SAFETY: in the vectors, with room behind.
                unsafe {
                    assert_eq!(difference::<U>(start_a, start_b, at), None);
                    assert_eq!(difference_or_end::<U>(start_a, start_b, at), at);
                    b[first_b + place] = other;
                    core::hint::black_box(&mut b);
                    assert_eq!(difference::<U>(start_a, start_b, at + 1), Some(at));
                    assert_eq!(difference::<U>(start_a, start_b, at), None);
                    assert_eq!(difference_or_end::<U>(start_a, start_b, u64::MAX), at);
                    (a[first_a + place], b[first_b + place]) = (U::NUL, U::NUL);
                    core::hint::black_box((&mut a, &mut b));
                    assert_eq!(difference_or_end::<U>(start_a, start_b, u64::MAX), at);
                    assert_eq!(difference_or_end::<U>(start_a, start_b, at / 2), at / 2);
                }
            }
        }
    }

    #[test]
    fn comparisons_at_all_alignments() {
        comparisons(7u8, 8);
        comparisons(0x0102_0304i32, 0x0102_0305);
        comparisons(-1i32, 0x7fff_ffff);
    }
}

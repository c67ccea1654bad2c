//! memcpy and its relatives of the engine's image, for which libc's stand in nowhere: all small sizes at all alignments.
//!
//! The file of the image is part of this test, so that the functions take the place of libc's in it, too.
#![allow(unsafe_code, reason = "calls the functions that are tested")]

#[path = "../../engine/image/src/memory.rs"]
mod memory;

use std::hint::black_box;

unsafe extern "C" {
    fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8;
    fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8;
    fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8;
    fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32;
}

const MOST: usize = 600;
/// Bytes in front of what is written and behind it.
const GUARD: usize = 64;
const ROOM: usize = MOST + 3 * GUARD;
const FILL: u8 = 0xa5;

/// Memory that begins at a multiple of 64.
#[repr(align(64))]
struct Aligned([u8; ROOM]);

/// All bytes differ from their neighbours, and from those of another seed.
fn numbered(seed: u8) -> Aligned {
    let mut bytes = Aligned([0; ROOM]);
    for (i, byte) in bytes.0.iter_mut().enumerate() {
        *byte = (i as u8).wrapping_mul(7).wrapping_add((i >> 8) as u8).wrapping_add(seed);
    }
    bytes
}

/// Compares without the functions that are tested.
fn check(found: &[u8; ROOM], expected: impl Fn(usize) -> u8, what: std::fmt::Arguments<'_>) {
    for (i, byte) in found.iter().enumerate() {
        assert!(*byte == expected(i), "{what}: byte {i} is {byte:#x} instead of {:#x}", expected(i));
    }
}

#[test]
fn memset_sets_its_bytes_alone() {
    for size in 0..=MOST {
        for at in GUARD..GUARD + 16 {
            let mut to = Aligned([FILL; ROOM]);
            let value = 0x1_0000 | i32::from(size as u8 ^ 0x3c);
            let start = to.0[at..].as_mut_ptr();
            // SAFETY: within the array.
            let result = unsafe { memset(black_box(start), black_box(value), black_box(size)) };
            assert_eq!(result, start);
            let expected = |i| if (at..at + size).contains(&i) { value as u8 } else { FILL };
            check(black_box(&to.0), expected, format_args!("{size} at {at}"));
        }
    }
}

#[test]
fn memcpy_copies_its_bytes_alone() {
    let from = numbered(1);
    for size in 0..=MOST {
        for at in GUARD..GUARD + 16 {
            let source = GUARD + (at * 5 + size) % 16;
            let mut to = Aligned([FILL; ROOM]);
            let start = to.0[at..].as_mut_ptr();
            // SAFETY: within both arrays.
            let result = unsafe { memcpy(start, black_box(from.0[source..].as_ptr()), black_box(size)) };
            assert_eq!(result, start);
            let expected = |i| if (at..at + size).contains(&i) { from.0[i - at + source] } else { FILL };
            check(black_box(&to.0), expected, format_args!("{size} from {source} to {at}"));
        }
    }
}

#[test]
fn memmove_reads_before_it_overwrites() {
    let before = numbered(2);
    for size in 0..=MOST {
        for distance in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63] {
            for (from, at) in [(GUARD, GUARD + distance), (GUARD + distance, GUARD)] {
                let mut bytes = numbered(2);
                let start = bytes.0.as_mut_ptr();
                // SAFETY: within the array.
                unsafe { memmove(start.add(at), black_box(start).add(from), black_box(size)) };
                let expected =
                    |i: usize| before.0[if (at..at + size).contains(&i) { i - at + from } else { i }];
                check(black_box(&bytes.0), expected, format_args!("{size} from {from} to {at}"));
            }
        }
    }
}

#[test]
fn memcmp_finds_the_first_difference() {
    for size in 0..80 {
        for at in 0..16 {
            let a = numbered(3);
            // SAFETY: within both arrays.
            let compare =
                |b: &Aligned| unsafe { memcmp(a.0[at..].as_ptr(), black_box(b.0[at..].as_ptr()), size) };
            assert_eq!(compare(&numbered(3)), 0);
            for differs in 0..size {
                let mut b = numbered(3);
                b.0[at + differs] = b.0[at + differs].wrapping_add(1);
                b.0[at + size - 1] ^= if differs + 1 < size { 0x80 } else { 0 };
                let sign = if a.0[at + differs] < b.0[at + differs] { -1 } else { 1 };
                assert_eq!(compare(&b).signum(), sign, "{size} at {at}, {differs}");
            }
        }
    }
}

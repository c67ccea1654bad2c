//! The functions that only read.
//!
//! # Safety
//! `unsafe` here reads at the guest's addresses, inside `Call::guarded`.
#![allow(unsafe_code, reason = "reads at the guest's addresses")]

use super::call::Call;
use super::fold::{self, Lower, Set};
use super::scan::{self, Unit};
use super::shape::Shape;
use crate::guest_mem;

/// An int as it lies in rax.
fn int(value: i32) -> u64 {
    u64::from(value as u32)
}

/// What a comparison says of its last two units.
fn order<U: Unit>(a: U, b: U) -> u64 {
    // libc subtracts bytes, and only compares wide characters.
    int(if U::BYTES == 1 { a.value() - b.value() } else { a.cmp(&b) as i32 })
}

impl Call<'_> {
    /// strlen, strnlen.
    pub(super) fn length<U: Unit>(&mut self, start: u64, limit: u64) -> u64 {
        self.expect(start, 0);
        // SAFETY: guarded.
        let end = self.guarded(|| unsafe { scan::find(start, limit, U::NUL) });
        let (length, read) = end.map_or((limit, limit), |end| (end, end + 1));
        self.has_searched(start, read, &[U::NUL]);
        length
    }

    /// memchr, rawmemchr.
    pub(super) fn find<U: Unit>(&mut self, start: u64, wanted: u64, limit: u64) -> u64 {
        self.expect(start, 0);
        // SAFETY: guarded.
        let found = self.guarded(|| unsafe { scan::find(start, limit, U::of(wanted)) });
        self.has_searched(start, found.map_or(limit, |index| index + 1), &[U::of(wanted)]);
        found.map_or(0, |index| start + index * U::BYTES)
    }

    /// memrchr.
    pub(super) fn find_last<U: Unit>(&mut self, start: u64, wanted: u64, count: u64) -> u64 {
        self.expect(start, count);
        // SAFETY: guarded.
        let found = self.guarded(|| unsafe { scan::find_last(start, count, U::of(wanted)) });
        let first = found.unwrap_or(0);
        self.has_searched(start + first * U::BYTES, count - first, &[U::of(wanted)]);
        found.map_or(0, |index| start + index * U::BYTES)
    }

    /// strchr, strchrnul (`or_end`).
    pub(super) fn find_in_string<U: Unit>(&mut self, start: u64, wanted: u64, or_end: bool) -> u64 {
        self.expect(start, 0);
        // SAFETY: guarded.
        let (index, found) = self.guarded(|| unsafe {
            let index = scan::find_or_end(start, U::of(wanted));
            (index, scan::unit::<U>(start, index) == U::of(wanted))
        });
        self.has_searched(start, index + 1, &[U::of(wanted), U::NUL]);
        if found || or_end { start + index * U::BYTES } else { 0 }
    }

    /// strrchr.
    pub(super) fn find_last_in_string<U: Unit>(&mut self, start: u64, wanted: u64) -> u64 {
        self.expect(start, 0);
        // SAFETY: guarded.
        let (count, found) = self.guarded(|| unsafe {
            let count = scan::length::<U>(start) + 1;
            (count, scan::find_last(start, count, U::of(wanted)))
        });
        self.has_searched(start, count, &[U::of(wanted), U::NUL]);
        found.map_or(0, |index| start + index * U::BYTES)
    }

    /// memcmp, wmemcmp: told of is what lies up to the difference.
    pub(super) fn compare<U: Unit>(&mut self, a: u64, b: u64, count: u64, shape: Shape) -> u64 {
        let bytes = count.saturating_mul(U::BYTES);
        self.expect(a, bytes);
        self.expect(b, bytes);
        // SAFETY: guarded.
        let found = self.guarded(|| unsafe { scan::difference::<U>(a, b, count) });
        let read = match (found, shape) {
            (None, _) => bytes,
            // To the end of the word that differs.
            (Some(index), Shape::Compare(true)) => {
                let (at, size) = shape.access(index, bytes);
                at + size
            }
            (Some(index), _) => (index + 1) * U::BYTES,
        };
        if self.has_read(a, read, shape) | self.has_read(b, read, shape) {
            let compared = found.map_or(count, |index| index + 1);
            self.tell_compared(a, b, compared, U::BYTES, false);
        }
        found.map_or(0, |index| self.order_at::<U>(a, b, index))
    }

    /// strcmp, strncmp.
    pub(super) fn compare_strings<U: Unit>(&mut self, a: u64, b: u64, limit: u64) -> u64 {
        self.expect(a, 0);
        self.expect(b, 0);
        // SAFETY: guarded.
        let index = self.guarded(|| unsafe { scan::difference_or_end::<U>(a, b, limit) });
        let compared = limit.min(index.saturating_add(1));
        let (read, shape) = (compared * U::BYTES, Shape::Units(U::BYTES));
        if self.has_read(a, read, shape) | self.has_read(b, read, shape) {
            self.tell_compared(a, b, compared, U::BYTES, true);
        }
        if index == limit { 0 } else { self.order_at::<U>(a, b, index) }
    }

    /// The result of a comparison that ends at an index.
    #[inline(always)]
    fn order_at<U: Unit>(&mut self, a: u64, b: u64, index: u64) -> u64 {
        // SAFETY: guarded.
        let (x, y) = self.guarded(|| unsafe { (scan::unit::<U>(a, index), scan::unit::<U>(b, index)) });
        order(x, y)
    }

    /// strcasecmp and its relatives. `locale`: glibc's structure of one.
    pub(super) fn compare_folded(&mut self, a: u64, b: u64, limit: u64, locale: Option<u64>) -> u64 {
        self.expect(a, 0);
        self.expect(b, 0);
        let lower = self.lower(locale);
        // SAFETY: guarded.
        let (read, result) = self.guarded(|| unsafe { fold::compare(a, b, limit, lower) });
        self.has_used(a, read);
        self.has_used(b, read);
        int(result)
    }

    /// What a locale, or the thread's own, takes for the small form of a letter.
    fn lower(&self, locale: Option<u64>) -> Lower {
        /// Where the table is in a `struct __locale_struct`: behind 13 pointers to categories, and one to classes.
        const TABLE: u64 = 14 * 8;
        let finder = self.engine.strings.lock().tolower_location;
        // Only glibc has such a function that reads thread-local memory.
        let Some(own) = crate::symbols::thread_local(self.thread, finder) else { return Lower::Ascii };
        let place = locale.map_or(own, |locale| locale.wrapping_add(TABLE));
        match guest_mem::read_u64(place) {
            None | Some(0) => Lower::Ascii,
            Some(table) => Lower::Table(table),
        }
    }

    /// strspn, strcspn (`wanted`) and strpbrk: length of the span, and where it ends (0: with the string).
    pub(super) fn span(&mut self, start: u64, set: u64, wanted: bool) -> (u64, u64) {
        self.expect(start, 0);
        self.expect(set, 0);
        // SAFETY: guarded.
        let (length, found, members) = self.guarded(|| unsafe {
            let members = scan::length::<u8>(set);
            let length = Set::of_string(set, members, wanted).first(start, wanted);
            (length, scan::unit::<u8>(start, length) != 0, members)
        });
        self.has_used(start, length + 1);
        self.has_used(set, members + 1);
        (length, if found { start + length } else { 0 })
    }

    /// strstr.
    pub(super) fn find_string(&mut self, start: u64, wanted: u64) -> u64 {
        self.expect(start, 0);
        self.expect(wanted, 0);
        // SAFETY: guarded.
        let (found, length) = self.guarded(|| unsafe {
            let length = scan::length::<u8>(wanted);
            (search(start, wanted, length), length)
        });
        self.has_used(wanted, length + 1);
        match found {
            Found::At(index) => {
                self.has_used(start, index + length);
                start + index
            }
            Found::Not(end) => {
                self.has_used(start, end + 1);
                0
            }
            // libc's own knows better ways.
            Found::TooSlowly => self.give_up(),
        }
    }
}

/// What a search for a string came to: its index, or the end of the string that was searched.
#[derive(Clone, Copy)]
enum Found {
    At(u64),
    Not(u64),
    TooSlowly,
}

/// Searches at each place where the first byte is.
///
/// # Safety
/// The strings are the guest's, and may fault.
unsafe fn search(start: u64, wanted: u64, length: u64) -> Found {
    if length == 0 {
        return Found::At(0);
    }
    let (mut index, mut compared) = (0, 0);
    // SAFETY: the caller's.
    unsafe {
        let first: u8 = scan::unit(wanted, 0);
        loop {
            index += scan::find_or_end(start + index, first);
            if scan::unit::<u8>(start, index) == 0 {
                return Found::Not(index);
            }
            let same = scan::difference_or_end::<u8>(start + index, wanted, length);
            if same == length {
                return Found::At(index);
            }
            compared += same;
            if compared > 4096 + 16 * index {
                return Found::TooSlowly;
            }
            index += 1;
        }
    }
}

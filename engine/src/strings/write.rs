//! The functions that write.
//!
//! # Safety
//! `unsafe` here reads and writes at the guest's addresses, inside `Call::guarded`.
#![allow(unsafe_code, reason = "writes at the guest's addresses")]

use super::call::Call;
use super::scan::{self, Unit};
use super::shape::{self, Shape};
use crate::shadow_range;
use crate::space::PAGE;
use core::arch::asm;

impl Call<'_> {
    /// Makes sure that a range can be written, where a function could not begin anew after a part of its work.
    fn touch_writable(&mut self, start: u64, bytes: u64) {
        self.guarded(|| {
            let mut at = start;
            while at < start + bytes {
                // SAFETY: changes nothing, also while other threads write there; guarded.
                unsafe { asm!("lock or byte ptr [{at}], 0", at = in(reg) at, options(nostack)) };
                at = (at | (PAGE - 1)) + 1;
            }
        });
    }

    /// The same for reading.
    fn touch_readable(&mut self, start: u64, bytes: u64) {
        self.guarded(|| {
            let mut at = start;
            while at < start + bytes {
                // SAFETY: guarded.
                unsafe { (at as *const u8).read_volatile() };
                at = (at | (PAGE - 1)) + 1;
            }
        });
    }

    /// Copies as memmove does, V bits and all. Whether there were none in either range.
    #[inline]
    fn move_bytes(&mut self, to: u64, from: u64, bytes: u64) -> bool {
        self.expect(to, bytes);
        self.expect(from, bytes);
        if shape::overlap(to, bytes, from, bytes) {
            self.touch_readable(from, bytes);
            self.touch_writable(to, bytes);
        }
        self.guarded(|| {
            // SAFETY: guarded.
            unsafe { core::ptr::copy(from as *const u8, to as *mut u8, bytes as usize) };
        });
        shadow_range::copied(self.engine, to, from, bytes)
    }

    /// Stores units.
    fn put<U: Unit>(&mut self, start: u64, unit: U, count: u64) {
        self.guarded(|| {
            for index in 0..count {
                // SAFETY: guarded.
                unsafe { ((start + index * U::BYTES) as *mut U).write_unaligned(unit) };
            }
        });
        shadow_range::stored(self.engine, start, count * U::BYTES);
    }

    /// memmove, and memcpy (`apart`: the ranges must be).
    pub(super) fn copy(&mut self, to: u64, from: u64, bytes: u64, apart: bool) -> u64 {
        let clean = self.move_bytes(to, from, bytes);
        if apart {
            self.must_not_overlap((to, bytes), (from, bytes), bytes);
        }
        if !clean {
            let shape = Shape::of_copy(to, from, bytes);
            let _ = self.has_read(from, bytes, shape);
            self.has_written(to, bytes, shape);
        }
        to
    }

    /// memccpy.
    pub(super) fn copy_through(&mut self, to: u64, from: u64, last: u8, limit: u64) -> u64 {
        self.expect(from, 0);
        // SAFETY: guarded.
        let found = self.guarded(|| unsafe { scan::find(from, limit, last) });
        let bytes = found.map_or(limit, |index| index + 1);
        self.move_bytes(to, from, bytes);
        self.must_not_overlap((to, bytes), (from, bytes), limit);
        self.has_searched(from, bytes, &[last]);
        self.has_written(to, bytes, Shape::Units(1));
        if found.is_some() { to + bytes } else { 0 }
    }

    /// memset.
    pub(super) fn fill(&mut self, start: u64, byte: u8, bytes: u64) -> u64 {
        self.expect(start, bytes);
        self.guarded(|| {
            // SAFETY: guarded.
            unsafe { core::ptr::write_bytes(start as *mut u8, byte, bytes as usize) };
        });
        if !shadow_range::stored(self.engine, start, bytes) {
            self.has_written(start, bytes, Shape::Fill(start));
        }
        start
    }

    /// wmemset.
    pub(super) fn fill_wide(&mut self, start: u64, unit: u32, count: u64) -> u64 {
        let bytes = count.saturating_mul(4);
        self.expect(start, bytes);
        self.put(start, unit as i32, count);
        self.has_written(start, bytes, Shape::Units(4));
        start
    }

    /// strcpy and stpcpy, into so many bytes: the copy, and its end.
    pub(super) fn copy_string<U: Unit>(&mut self, to: u64, from: u64, room: u64) -> (u64, u64) {
        self.expect(from, 0);
        // SAFETY: guarded.
        let length = self.guarded(|| unsafe { scan::length::<U>(from) }) * U::BYTES;
        let bytes = length + U::BYTES;
        self.with_room(bytes, room).move_bytes(to, from, bytes);
        self.must_not_overlap((to, bytes), (from, bytes), 0);
        self.has_searched(from, bytes / U::BYTES, &[U::NUL]);
        self.has_written(to, bytes, Shape::Units(U::BYTES));
        (to, to + length)
    }

    /// strncpy and stpncpy, into so many bytes: the copy, and the end of the string in it.
    pub(super) fn copy_padded<U: Unit>(&mut self, to: u64, from: u64, count: u64, room: u64) -> (u64, u64) {
        let bytes = count.saturating_mul(U::BYTES);
        self.with_room(bytes, room).expect(from, 0);
        self.expect(to, bytes);
        // SAFETY: guarded.
        let end = self.guarded(|| unsafe { scan::find(from, count, U::NUL) });
        let length = end.unwrap_or(count);
        let read = end.map_or(count, |end| end + 1);
        self.move_bytes(to, from, length * U::BYTES);
        self.put(to + length * U::BYTES, U::NUL, count - length);
        self.must_not_overlap((to, bytes), (from, read * U::BYTES), count);
        self.has_searched(from, read, &[U::NUL]);
        self.has_written(to, bytes, Shape::Units(U::BYTES));
        (to, to + length * U::BYTES)
    }

    /// strcat and strncat, into so many bytes.
    pub(super) fn append<U: Unit>(&mut self, to: u64, from: u64, limit: Option<u64>, room: u64) -> u64 {
        self.expect(to, 0);
        self.expect(from, 0);
        let count = limit.unwrap_or(u64::MAX);
        // SAFETY: guarded.
        let (before, end) =
            self.guarded(|| unsafe { (scan::length::<U>(to), scan::find(from, count, U::NUL)) });
        let length = end.unwrap_or(count) * U::BYTES;
        let read = end.map_or(count, |end| end + 1);
        let before = before * U::BYTES;
        let behind = to + before;
        self.with_room(before.saturating_add(length).saturating_add(U::BYTES), room);
        self.expect(behind, length + U::BYTES);
        self.touch_writable(behind, length + U::BYTES);
        // Its end is about to be overwritten.
        self.has_searched(to, before / U::BYTES + 1, &[U::NUL]);
        self.move_bytes(behind, from, length);
        self.put(behind + length, U::NUL, 1);
        self.must_not_overlap(
            (to, before + length + U::BYTES),
            (from, length + U::BYTES),
            limit.unwrap_or(0),
        );
        self.has_searched(from, read, &[U::NUL]);
        self.has_written(behind, length + U::BYTES, Shape::Units(U::BYTES));
        to
    }

    /// strlcpy.
    pub(super) fn copy_limited(&mut self, to: u64, from: u64, room: u64) -> u64 {
        self.expect(from, 0);
        // SAFETY: guarded.
        let length = self.guarded(|| unsafe { scan::length::<u8>(from) });
        self.has_searched(from, length + 1, &[0u8]);
        if let Some(most) = room.checked_sub(1) {
            let bytes = length.min(most);
            self.move_bytes(to, from, bytes);
            self.put(to + bytes, 0u8, 1);
            self.must_not_overlap((to, bytes + 1), (from, bytes + 1), room);
            self.has_written(to, bytes + 1, Shape::Units(1));
        }
        length
    }

    /// strlcat.
    pub(super) fn append_limited(&mut self, to: u64, from: u64, room: u64) -> u64 {
        self.expect(to, 0);
        self.expect(from, 0);
        // SAFETY: guarded.
        let (end, length) = self.guarded(|| unsafe { (scan::find(to, room, 0u8), scan::length::<u8>(from)) });
        self.has_searched(from, length + 1, &[0u8]);
        let Some(before) = end else {
            self.has_searched(to, room, &[0u8]);
            return room + length;
        };
        let bytes = length.min(room - before - 1);
        self.expect(to, before + bytes + 1);
        self.touch_writable(to + before, bytes + 1);
        self.has_searched(to, before + 1, &[0u8]);
        self.move_bytes(to + before, from, bytes);
        self.put(to + before + bytes, 0u8, 1);
        self.must_not_overlap((to, before + bytes + 1), (from, bytes + 1), room);
        self.has_written(to + before, bytes + 1, Shape::Units(1));
        before + length
    }
}

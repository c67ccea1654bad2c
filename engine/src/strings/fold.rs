//! Comparisons that ignore case, and sets of bytes. Pure, but for the table of the guest's locale.
//!
//! # Safety
//! `unsafe` here reads at the guest's addresses. Callers see to faults (`strings::Call::guarded`).
#![allow(unsafe_code, reason = "reads at the guest's addresses")]

use super::scan::unit;

/// The small form of each byte: that of the guest's locale.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lower {
    /// Letters of ASCII.
    Ascii,
    /// glibc's table: an int for each byte, at this address.
    Table(u64),
}

impl Lower {
    /// # Safety
    /// A table is the guest's, and may fault.
    #[inline]
    unsafe fn of(self, byte: u8) -> i32 {
        match self {
            Lower::Ascii => i32::from(byte.to_ascii_lowercase()),
            // SAFETY: the caller's.
            Lower::Table(table) => unsafe { unit(table, u64::from(byte)) },
        }
    }
}

/// Of strcasecmp and strncasecmp: units looked at, and the result.
///
/// # Safety
/// The bytes up to the difference are the guest's, and may fault.
pub(super) unsafe fn compare(a: u64, b: u64, limit: u64, lower: Lower) -> (u64, i32) {
    let mut index = 0;
    while index < limit {
        // SAFETY: the caller's.
        unsafe {
            let (x, y) = (unit::<u8>(a, index), unit::<u8>(b, index));
            index += 1;
            let difference = if x == y { 0 } else { lower.of(x) - lower.of(y) };
            if difference != 0 || x == 0 {
                return (index, difference);
            }
        }
    }
    (limit, 0)
}

/// A set of bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Set([u64; 4]);

impl Set {
    /// The bytes of a string, its end among them if `end`.
    ///
    /// # Safety
    /// The string is the guest's, and may fault.
    pub(super) unsafe fn of_string(start: u64, bytes: u64, end: bool) -> Set {
        let mut set = Set::default();
        set.0[0] = u64::from(end);
        for index in 0..bytes {
            // SAFETY: the caller's.
            let byte: u8 = unsafe { unit(start, index) };
            set.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        set
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    /// Index of the first byte of a string that is in the set (or, if `!wanted`, is not).
    ///
    /// # Safety
    /// The bytes up to that one are the guest's, and may fault. The string's end is such a byte.
    pub(super) unsafe fn first(&self, start: u64, wanted: bool) -> u64 {
        let mut index = 0;
        // SAFETY: the caller's.
        while self.has(unsafe { unit(start, index) }) != wanted {
            index += 1;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ignored() {
        let compare = |a: &[u8], b: &[u8], limit, lower| {
            // SAFETY: strings with an end.
            unsafe { compare(a.as_ptr() as u64, b.as_ptr() as u64, limit, lower) }
        };
        let all = u64::MAX;
        assert_eq!(compare(b"Straight\0", b"sTRAIGHT\0", all, Lower::Ascii), (9, 0));
        assert_eq!(compare(b"ab\0", b"aC\0", all, Lower::Ascii), (2, -1));
        assert_eq!(compare(b"ab", b"aC", 1, Lower::Ascii), (1, 0));
        assert_eq!(compare(b"", b"", 0, Lower::Ascii), (0, 0));
        assert_eq!(compare(b"\xe4\0", b"\xc4\0", all, Lower::Ascii), (1, 0x20));
        let latin: Vec<i32> = (0..256).map(|i| if i == 0xc4 { 0xe4 } else { i }).collect();
        let table = Lower::Table(latin.as_ptr() as u64);
        assert_eq!(compare(b"\xe4\0", b"\xc4\0", all, table), (2, 0));
        assert_eq!(compare(b"a\0", b"A\0", all, table), (1, 0x20), "whatever the locale says");
    }

    #[test]
    fn sets() {
        let text = b"hello, \xffworld\0";
        let start = text.as_ptr() as u64;
        // SAFETY: strings with an end.
        unsafe {
            let accepted = Set::of_string(b"ehlo".as_ptr() as u64, 4, false);
            assert_eq!(accepted.first(start, false), 5);
            let rejected = Set::of_string(b"\xff,".as_ptr() as u64, 2, true);
            assert_eq!((rejected.first(start, true), rejected.first(start + 6, true)), (5, 1));
            assert_eq!(Set::of_string(start, 0, true).first(start, true), 13);
            assert_eq!(Set::of_string(start, 13, false).first(start, false), 13);
        }
    }
}

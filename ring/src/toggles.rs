//! Patterns of names of functions that switch collection, from the recorder to the engines, and which of them were met.
//!
//! Always holds: the patterns are written before the first guest starts, and never again. Not here: what matches a pattern (the engine).

use core::sync::atomic::{AtomicU64, Ordering};

/// Most patterns: each has a bit.
pub const MOST: usize = 64;
/// Bytes of all of them together.
pub const BYTES: usize = 8192;

/// The patterns. All zero: none.
#[repr(C)]
pub struct Toggles {
    /// Those whose functions have been entered.
    entered: AtomicU64,
    /// Eight bytes in a word. Each pattern ends with a zero byte.
    words: [AtomicU64; BYTES / 8],
}

impl Toggles {
    /// Writes the patterns. False when they are too many or too long, or hold a zero byte or nothing.
    #[must_use]
    pub fn write<'a>(&self, patterns: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut at = 0;
        for (number, pattern) in patterns.enumerate() {
            if number == MOST || at + pattern.len() + 2 > BYTES || pattern.is_empty() || pattern.contains(&0)
            {
                return false;
            }
            for (byte, at) in pattern.iter().zip(at..) {
                self.words[at / 8].fetch_or(u64::from(*byte) << (8 * (at % 8)), Ordering::Relaxed);
            }
            at += pattern.len() + 1;
        }
        true
    }

    /// The bytes of all patterns, with the zero behind each.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        let bytes = self.words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        let mut last = 0;
        bytes.take_while(move |&byte| {
            let goes_on = (last, byte) != (0, 0);
            last = byte;
            goes_on
        })
    }

    /// A function has been entered that these patterns stand for, a bit each.
    pub fn note(&self, patterns: u64) {
        self.entered.fetch_or(patterns, Ordering::Relaxed);
    }

    /// The patterns of all functions that have been entered.
    pub fn entered(&self) -> u64 {
        self.entered.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Toggles {
        Toggles { entered: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; BYTES / 8] }
    }

    #[test]
    fn patterns_come_back() {
        let toggles = empty();
        assert_eq!(toggles.bytes().count(), 0);
        assert!(toggles.write([b"main".as_slice(), b"ns::f*"].into_iter()));
        assert!(toggles.bytes().eq(*b"main\0ns::f*\0"));
        toggles.note(0b10);
        assert_eq!(toggles.entered(), 0b10);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(!empty().write(core::iter::repeat_n(b"f".as_slice(), MOST + 1)));
        assert!(empty().write(core::iter::repeat_n(b"f".as_slice(), MOST)));
        assert!(!empty().write([[b'x'; BYTES].as_slice()].into_iter()));
        assert!(!empty().write([b"".as_slice()].into_iter()));
        let longest = [b'x'; BYTES - 2];
        let toggles = empty();
        assert!(toggles.write([longest.as_slice()].into_iter()));
        assert_eq!(toggles.bytes().count(), BYTES - 1);
    }
}

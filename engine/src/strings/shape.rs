//! In which accesses a function goes through its ranges, for what is told of one that it may not make, and when two
//! ranges overlap: as the functions do that Valgrind puts in libc's place, so that reports agree.
//!
//! Pure.

/// Bytes of a word.
const WORD: u64 = 8;

/// How a function goes through a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Unit by unit, of so many bytes.
    Units(u64),
    /// memcpy and its relatives, between these addresses: words, where they are aligned alike.
    Copy {
        /// Of the destination.
        to: u64,
        /// Of the source.
        from: u64,
        /// From the end.
        backward: bool,
    },
    /// memset at an address: words, where they are aligned.
    Fill(u64),
    /// memcmp; true: of two ranges that are aligned to words.
    Compare(bool),
}

impl Shape {
    /// That of memmove.
    pub fn of_copy(to: u64, from: u64, length: u64) -> Shape {
        Shape::Copy { to, from, backward: to > from && overlap(to, length, from, length) }
    }

    /// Whether the last bytes come first.
    pub fn is_backward(self) -> bool {
        matches!(self, Shape::Copy { backward: true, .. })
    }

    /// Offset and size of the access in a range of `length` bytes that touches the byte at an offset.
    pub fn access(self, offset: u64, length: u64) -> (u64, u64) {
        match self {
            Shape::Units(bytes) => (offset / bytes * bytes, bytes),
            Shape::Fill(start) => in_words(start.wrapping_neg() % WORD, offset, length, 1),
            Shape::Compare(true) => in_words(0, offset, length, 1),
            Shape::Compare(false) => (offset, 1),
            Shape::Copy { to, from, backward: false } => copy(to, from, offset, length),
            Shape::Copy { to, from, backward: true } => {
                // The same, mirrored: alignments are those of the ends.
                let end = |start: u64| start.wrapping_add(length).wrapping_neg();
                let (at, size) = copy(end(to), end(from), length - 1 - offset, length);
                (length - at - size, size)
            }
        }
    }
}

fn copy(to: u64, from: u64, offset: u64, length: u64) -> (u64, u64) {
    if (to ^ from).is_multiple_of(WORD) {
        return in_words(from.wrapping_neg() % WORD, offset, length, 2);
    }
    in_pairs(0, offset, length, if (to | from).is_multiple_of(2) { 2 } else { 1 })
}

/// Bytes up to offset `head`, then words, then what is left in pieces of `rest` bytes.
fn in_words(head: u64, offset: u64, length: u64, rest: u64) -> (u64, u64) {
    let Some(inside) = offset.checked_sub(head) else { return (offset, 1) };
    let words = (length - head) / WORD * WORD;
    if inside < words {
        return (head + inside / WORD * WORD, WORD);
    }
    in_pairs(head + words, offset, length, rest)
}

/// Pieces of `bytes` bytes from `start` on, as many as fit, then bytes.
fn in_pairs(start: u64, offset: u64, length: u64, bytes: u64) -> (u64, u64) {
    let at = start + (offset - start) / bytes * bytes;
    if at + bytes <= length { (at, bytes) } else { (offset, 1) }
}

/// Whether two ranges share a byte.
pub fn overlap(a: u64, a_bytes: u64, b: u64, b_bytes: u64) -> bool {
    a_bytes != 0 && b_bytes != 0 && (a <= b && b - a < a_bytes || b < a && a - b < b_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        assert!(overlap(100, 10, 105, 10) && overlap(105, 10, 100, 10));
        assert!(overlap(100, 1, 100, 1), "the same start");
        assert!(!overlap(100, 0, 100, 5) && !overlap(100, 5, 100, 0), "nothing is copied");
        assert!(!overlap(100, 5, 105, 5) && !overlap(105, 5, 100, 5), "next to each other");
        assert!(overlap(0, u64::MAX, 7, 1));
    }

    /// The loops of Valgrind's memmove.
    fn accesses(to: u64, from: u64, length: u64) -> Vec<(u64, u64)> {
        let (mut at, mut made) = (0, Vec::new());
        let mut go = |at: &mut u64, size: u64| {
            made.push((*at, size));
            *at += size;
        };
        if (to ^ from).is_multiple_of(8) {
            while !(from + at).is_multiple_of(8) && at < length {
                go(&mut at, 1);
            }
            while length - at >= 8 {
                go(&mut at, 8);
            }
        }
        if (to + at).is_multiple_of(2) && (from + at).is_multiple_of(2) {
            while length - at >= 2 {
                go(&mut at, 2);
            }
        }
        while at < length {
            go(&mut at, 1);
        }
        made
    }

    #[test]
    fn copies_are_those_of_valgrind() {
        for to in 64..80 {
            for from in 64..80 {
                for length in 1..40 {
                    let made = accesses(to, from, length);
                    let shape = Shape::Copy { to, from, backward: false };
                    for offset in 0..length {
                        let expected = made.iter().find(|(at, size)| (*at..at + size).contains(&offset));
                        assert_eq!(Some(&shape.access(offset, length)), expected, "{to} {from} {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn copies_from_the_end() {
        let shape = Shape::of_copy(68, 64, 21);
        assert!(shape.is_backward());
        assert_eq!(shape.access(20, 21), (20, 1), "aligned differently, and odd at the end");
        let shape = Shape::of_copy(72, 64, 20);
        assert_eq!((shape.access(19, 20), shape.access(15, 20)), ((19, 1), (8, 8)));
        assert!(!Shape::of_copy(64, 72, 20).is_backward());
        assert!(!Shape::of_copy(164, 72, 20).is_backward());
    }

    #[test]
    fn other_shapes() {
        assert_eq!(Shape::Units(1).access(7, 9), (7, 1));
        assert_eq!(Shape::Units(4).access(7, 12), (4, 4));
        assert_eq!(Shape::Fill(61).access(2, 20), (2, 1));
        assert_eq!(Shape::Fill(61).access(4, 20), (3, 8));
        assert_eq!(Shape::Fill(61).access(19, 20), (19, 1));
        assert_eq!(Shape::Fill(61).access(1, 2), (1, 1));
        assert_eq!(Shape::Compare(true).access(16, 24), (16, 8));
        assert_eq!(Shape::Compare(true).access(16, 17), (16, 1));
        assert_eq!(Shape::Compare(false).access(16, 24), (16, 1));
    }
}

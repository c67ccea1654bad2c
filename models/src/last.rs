//! The last level: which lines a cache holds, in the order of their last use, and which of them memory does not have yet.
//!
//! The set of a line is the low bits of its number (address divided by line size); within a set the line that was used
//! longest ago is replaced. What always holds: the lines of a set lie in the order of their last use, the latest first. A
//! number of a line is below 2^60, which leaves the top bit as the mark of a dirty line; without writes none is dirty. As
//! in Valgrind the line at address 0 counts as present at the beginning. Not here: the first level, which keeps the same
//! order in another way (`first`).

use crate::geometry::Geometry;
use alloc::boxed::Box;
use alloc::vec;

/// Mark of a dirty line.
const DIRTY: u64 = 1 << 63;

/// What became of a use of a line, the worse the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Hit,
    /// The line that it replaced was clean.
    Miss,
    /// The line that it replaced was dirty.
    MissDirty,
}

/// A set-associative write-back cache with true LRU.
#[derive(Debug)]
pub(crate) struct LastLevel {
    line_bits: u32,
    set_mask: usize,
    ways: usize,
    /// Set by set.
    lines: Box<[u64]>,
}

impl Clone for LastLevel {
    /// Touches no memory for what was never used: most of a large cache, mostly.
    fn clone(&self) -> LastLevel {
        const PIECE: usize = 512;
        let mut lines = vec![0; self.lines.len()].into_boxed_slice();
        for (to, from) in lines.chunks_mut(PIECE).zip(self.lines.chunks(PIECE)) {
            if from.iter().any(|line| *line != 0) {
                to.copy_from_slice(from);
            }
        }
        LastLevel { lines, ..*self }
    }
}

impl LastLevel {
    /// Allocates 8 bytes for each line that it can hold.
    pub(crate) fn new(geometry: Geometry) -> LastLevel {
        let (sets, ways) = (geometry.sets() as usize, geometry.ways() as usize);
        LastLevel {
            line_bits: geometry.line().ilog2(),
            set_mask: sets - 1,
            ways,
            lines: vec![0; sets * ways].into_boxed_slice(),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.lines.fill(0);
    }

    /// Bytes in a line, as a power of two.
    pub(crate) fn line_bits(&self) -> u32 {
        self.line_bits
    }

    /// Uses the one or two lines of an access; tells the worse of what became of them.
    pub(crate) fn uses(&mut self, address: u64, span: u8, written: bool) -> Use {
        let (first, last) =
            (address >> self.line_bits, address.wrapping_add(u64::from(span)) >> self.line_bits);
        let became = self.uses_line(first, written);
        if first == last { became } else { became.max(self.uses_line(last, written)) }
    }

    /// Uses a line, which is dirty afterwards if it was or if it is written now.
    pub(crate) fn uses_line(&mut self, line: u64, written: bool) -> Use {
        let mark = if written { DIRTY } else { 0 };
        let set = &mut self.lines[(line as usize & self.set_mask) * self.ways..][..self.ways];
        // Each line moves one place back, until the place is found where this one was.
        let mut carried = line | mark;
        for place in 0..set.len() {
            carried = core::mem::replace(&mut set[place], carried);
            if carried & !DIRTY == line {
                set[0] |= carried & DIRTY;
                return Use::Hit;
            }
        }
        if carried & DIRTY == 0 { Use::Miss } else { Use::MissDirty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(size: u32, ways: u32, line: u32) -> LastLevel {
        LastLevel::new(Geometry::new(size, ways, line).unwrap())
    }

    fn hits(cache: &mut LastLevel, line: u64) -> bool {
        cache.uses_line(line, false) == Use::Hit
    }

    #[test]
    fn the_line_that_was_used_longest_ago_is_replaced() {
        // Two sets of four ways: odd lines are in the second.
        let mut cache = cache(512, 4, 64);
        let mut hits = |line| hits(&mut cache, line);
        for line in [1, 3, 5, 7] {
            assert!(!hits(line));
        }
        assert!(hits(1) && hits(1) && hits(5));
        // In the order of their use: 5 1 7 3.
        assert!(!hits(9));
        assert!(hits(7), "7 was used after 3");
        assert!(!hits(3));
        // 3 7 9 5; 1 has left.
        assert!(hits(5) && hits(9) && !hits(1));
        assert!(!hits(2) && hits(2), "the other set is on its own");
    }

    #[test]
    fn one_way_and_one_set() {
        let mut direct = cache(256, 1, 64);
        let mut hit = |line| hits(&mut direct, line);
        assert!(!hit(4) && hit(4) && !hit(8) && !hit(4));
        let mut full = cache(256, 4, 64);
        let mut hit = |line| hits(&mut full, line);
        assert!([10, 11, 12, 13].into_iter().all(|line| !hit(line)));
        assert!(hit(10) && !hit(14) && hit(10) && !hit(11));
    }

    #[test]
    fn after_clear_nothing_is_there() {
        let mut cache = cache(512, 4, 64);
        assert!(!hits(&mut cache, 1) && !hits(&mut cache, 3) && hits(&mut cache, 1));
        cache.clear();
        assert!(!hits(&mut cache, 3) && !hits(&mut cache, 1));
    }

    #[test]
    fn a_written_line_is_dirty_until_it_is_replaced() {
        let mut cache = cache(128, 2, 64);
        assert_eq!(cache.uses_line(1, true), Use::Miss);
        assert_eq!(cache.uses_line(2, false), Use::Miss);
        // A read keeps the mark, also behind another line.
        assert_eq!(cache.uses_line(1, false), Use::Hit);
        assert_eq!(cache.uses_line(3, false), Use::Miss, "2 was clean");
        assert_eq!(cache.uses_line(4, false), Use::MissDirty, "1 was dirty");
        // A write of a line that was read first, as the most recent one and as an older one.
        assert_eq!(cache.uses_line(4, true), Use::Hit);
        assert_eq!(cache.uses_line(3, true), Use::Hit);
        assert_eq!(cache.uses_line(5, false), Use::MissDirty);
        assert_eq!(cache.uses_line(6, false), Use::MissDirty);
        assert_eq!(cache.uses_line(7, false), Use::Miss);
    }

    #[test]
    fn of_two_lines_the_worse_is_told_and_both_are_used() {
        let mut cache = cache(512, 4, 64);
        cache.uses(0x1000, 7, false);
        assert_eq!(cache.uses(0x103c, 7, true), Use::Miss);
        assert_eq!(cache.uses(0x1078, 7, false), Use::Hit);
        for line in [2, 4, 6] {
            cache.uses(0x1000 + line * 64, 7, false);
        }
        // The set of 0x1000 holds it, dirty, as its oldest line.
        assert_eq!(cache.uses(0x107c + 6 * 64, 8, false), Use::MissDirty);
    }
}

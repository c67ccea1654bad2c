//! One cache: which lines it holds, in the order of their last use.
//!
//! The set of a line is the low bits of its number (address divided by line size); within a set the line that was used
//! longest ago is replaced. What always holds: `recent` has the most recently used line of each set, `older` the rest of
//! its ways, most recent first; so a hit of what was used last changes nothing. A number of a line is below 2^60, which
//! leaves the top bit as the dirty mark of a write-back cache. As in Valgrind the line at address 0 counts as present at
//! the beginning. Not here: levels, and accesses of more than one line (`caches`).

use crate::geometry::Geometry;
use alloc::boxed::Box;
use alloc::vec;

/// Mark of a line that memory does not have yet; only in a write-back cache.
const DIRTY: u64 = 1 << 63;

/// What became of a reference to a line of a write-back cache, the worse the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteBack {
    Hit,
    /// The line that it replaced was clean.
    Miss,
    /// The line that it replaced was dirty.
    MissDirty,
}

/// A set-associative cache with true LRU.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    line_bits: u32,
    ways: usize,
    recent: Box<[u64]>,
    older: Box<[u64]>,
}

/// The most recently used line of each set.
#[derive(Clone, Copy)]
pub(crate) struct Recent<'a> {
    lines: &'a [u64],
    line_bits: u32,
    /// Of the last byte in a line.
    offset_max: u64,
}

impl Recent<'_> {
    /// Whether an access lies in one line whose use would change nothing.
    #[inline(always)]
    pub(crate) fn serves(self, address: u64, span: u8) -> bool {
        let line = address >> self.line_bits;
        let within = (address & self.offset_max) + u64::from(span) <= self.offset_max;
        // The index is in range: there is at least one set, and their number is a power of two.
        within && self.lines.get(line as usize & (self.lines.len() - 1)) == Some(&line)
    }
}

impl Cache {
    /// Allocates 8 bytes for each line that it can hold.
    pub(crate) fn new(geometry: Geometry) -> Cache {
        let (sets, ways) = (geometry.sets() as usize, geometry.ways() as usize);
        Cache {
            line_bits: geometry.line().ilog2(),
            ways,
            recent: vec![0; sets].into_boxed_slice(),
            older: vec![0; sets * (ways - 1)].into_boxed_slice(),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.recent.fill(0);
        self.older.fill(0);
    }

    /// Bytes in a line, as a power of two.
    pub(crate) fn line_bits(&self) -> u32 {
        self.line_bits
    }

    /// Number of the line at `address`.
    #[inline(always)]
    pub(crate) fn line(&self, address: u64) -> u64 {
        address >> self.line_bits
    }

    /// Whether a use of `line` would change nothing: it is there, and was used last in its set.
    #[inline(always)]
    pub(crate) fn is_recent(&self, line: u64) -> bool {
        self.recent[line as usize & (self.recent.len() - 1)] == line
    }

    /// A view of the most recent lines, for a series of accesses that change nothing.
    #[inline(always)]
    pub(crate) fn recent(&self) -> Recent<'_> {
        Recent { lines: &self.recent, line_bits: self.line_bits, offset_max: (1 << self.line_bits) - 1 }
    }

    /// Uses a line; says whether it was there.
    #[inline(always)]
    pub(crate) fn hits(&mut self, line: u64) -> bool {
        self.is_recent(line) || self.reorder(line)
    }

    /// Makes a line the most recent one of its set, in which it is not; says whether it was there.
    #[inline(never)]
    fn reorder(&mut self, line: u64) -> bool {
        let set = line as usize & (self.recent.len() - 1);
        let mut carried = core::mem::replace(&mut self.recent[set], line);
        for place in &mut self.older[set * (self.ways - 1)..][..self.ways - 1] {
            let here = core::mem::replace(place, carried);
            if here == line {
                return true;
            }
            carried = here;
        }
        false
    }

    /// Uses a line of a write-back cache, which is dirty afterwards if it was or if it is written now.
    pub(crate) fn uses(&mut self, line: u64, written: bool) -> WriteBack {
        let mark = if written { DIRTY } else { 0 };
        let set = line as usize & (self.recent.len() - 1);
        let mut carried = self.recent[set];
        if carried & !DIRTY == line {
            self.recent[set] |= mark;
            return WriteBack::Hit;
        }
        self.recent[set] = line | mark;
        for place in &mut self.older[set * (self.ways - 1)..][..self.ways - 1] {
            let here = core::mem::replace(place, carried);
            if here & !DIRTY == line {
                self.recent[set] |= here & DIRTY;
                return WriteBack::Hit;
            }
            carried = here;
        }
        if carried & DIRTY == 0 { WriteBack::Miss } else { WriteBack::MissDirty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(size: u32, ways: u32, line: u32) -> Cache {
        Cache::new(Geometry::new(size, ways, line).unwrap())
    }

    #[test]
    fn the_line_that_was_used_longest_ago_is_replaced() {
        // Two sets of four ways: odd lines are in the second.
        let mut cache = cache(512, 4, 64);
        for line in [1, 3, 5, 7] {
            assert!(!cache.hits(line));
        }
        assert!(cache.hits(1) && cache.hits(1) && cache.hits(5));
        // In the order of their use: 5 1 7 3.
        assert!(!cache.hits(9));
        assert!(cache.hits(7), "7 was used after 3");
        assert!(!cache.hits(3));
        // 3 7 9 5; 1 has left.
        assert!(cache.hits(5) && cache.hits(9) && !cache.hits(1));
        assert!(!cache.hits(2) && cache.hits(2), "the other set is on its own");
    }

    #[test]
    fn one_way_and_one_set() {
        let mut direct = cache(256, 1, 64);
        assert!(!direct.hits(4) && direct.hits(4) && !direct.hits(8) && !direct.hits(4));
        let mut full = cache(256, 4, 64);
        assert!([10, 11, 12, 13].into_iter().all(|line| !full.hits(line)));
        assert!(full.hits(10) && !full.hits(14) && full.hits(10) && !full.hits(11));
    }

    #[test]
    fn a_recent_line_is_one_whose_use_changes_nothing() {
        let mut cache = cache(512, 4, 64);
        cache.hits(1);
        cache.hits(3);
        assert!(cache.is_recent(3) && !cache.is_recent(1));
        cache.clear();
        assert!(!cache.is_recent(3) && !cache.hits(3));
    }

    #[test]
    fn a_written_line_is_dirty_until_it_is_replaced() {
        let mut cache = cache(128, 2, 64);
        assert_eq!(cache.uses(1, true), WriteBack::Miss);
        assert_eq!(cache.uses(2, false), WriteBack::Miss);
        // A read keeps the mark, also behind another line.
        assert_eq!(cache.uses(1, false), WriteBack::Hit);
        assert_eq!(cache.uses(3, false), WriteBack::Miss, "2 was clean");
        assert_eq!(cache.uses(4, false), WriteBack::MissDirty, "1 was dirty");
        // A write of a line that was read first, as the most recent one and as an older one.
        assert_eq!(cache.uses(4, true), WriteBack::Hit);
        assert_eq!(cache.uses(3, true), WriteBack::Hit);
        assert_eq!(cache.uses(5, false), WriteBack::MissDirty);
        assert_eq!(cache.uses(6, false), WriteBack::MissDirty);
        assert_eq!(cache.uses(7, false), WriteBack::Miss);
    }
}

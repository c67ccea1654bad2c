//! A map from ranges of addresses to what holds there.
//!
//! Always holds: ranges are not empty and do not overlap. Not here: what the ranges mean.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// By first address: end (exclusive) and value.
#[derive(Debug, Default)]
pub(crate) struct RangeMap<T>(BTreeMap<u64, (u64, T)>);

impl<T: Copy + PartialEq> RangeMap<T> {
    /// An empty map.
    pub(crate) const fn new() -> RangeMap<T> {
        RangeMap(BTreeMap::new())
    }

    /// What holds at an address.
    pub(crate) fn at(&self, address: u64) -> Option<T> {
        let (_, (end, value)) = self.0.range(..=address).next_back()?;
        (address < *end).then_some(*value)
    }

    /// The parts of a range at which something holds, in order.
    pub(crate) fn within(&self, start: u64, end: u64) -> Vec<(u64, u64, T)> {
        let before = self.0.range(..start).next_back();
        let inside = self.0.range(start..end.max(start));
        let cut = |(&at, &(behind, value)): (&u64, &(u64, T))| (at.max(start), behind.min(end), value);
        before.into_iter().chain(inside).map(cut).filter(|(at, behind, _)| at < behind).collect()
    }

    /// Nothing holds in a range any more.
    pub(crate) fn clear(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        if let Some((_, around)) = self.0.range_mut(..start).next_back()
            && around.0 > start
        {
            let (behind, value) = *around;
            around.0 = start;
            if behind > end {
                self.0.insert(end, (behind, value));
            }
        }
        while let Some((&at, &(behind, value))) = self.0.range(start..end).next() {
            self.0.remove(&at);
            if behind > end {
                self.0.insert(end, (behind, value));
            }
        }
    }

    /// `value` holds in a range, whatever did before.
    pub(crate) fn set(&mut self, start: u64, end: u64, value: T) {
        self.clear(start, end);
        if start < end {
            self.0.insert(start, (end, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_and_replaced() {
        let mut map = RangeMap::new();
        map.set(10, 20, 'a');
        map.set(30, 40, 'b');
        map.set(15, 35, 'c');
        assert_eq!(map.within(0, 100), [(10, 15, 'a'), (15, 35, 'c'), (35, 40, 'b')]);
        assert_eq!(map.within(12, 36), [(12, 15, 'a'), (15, 35, 'c'), (35, 36, 'b')]);
        map.clear(20, 25);
        assert_eq!(
            [9, 10, 14, 15, 19, 20, 24, 25, 39, 40].map(|at| map.at(at)),
            [None, Some('a'), Some('a'), Some('c'), Some('c'), None, None, Some('c'), Some('b'), None]
        );
        map.set(0, 100, 'd');
        assert_eq!(map.within(0, 200), [(0, 100, 'd')]);
        map.set(50, 50, 'e');
        assert_eq!(map.within(0, 200), [(0, 100, 'd')]);
        map.clear(0, 200);
        assert_eq!(map.within(0, 200), []);
    }
}

//! Rows that are added up by key while they come in.
//!
//! They are appended, and sorted and merged whenever their number has doubled: for millions of them a third of what a hash
//! table takes, and in the end they are wanted in order anyway. Always holds: memory is for twice the different
//! keys at most, and a few.

/// Keys with values.
#[derive(Debug)]
pub(crate) struct Gathered<K, V> {
    rows: Vec<(K, V)>,
    /// Rows at which they are merged next.
    limit: usize,
}

/// Rows below which merging does not pay: 1 MiB.
const LEAST: usize = 1 << 15;

impl<K, V> Default for Gathered<K, V> {
    fn default() -> Self {
        Gathered { rows: Vec::new(), limit: LEAST }
    }
}

impl<K: Ord, V> Gathered<K, V> {
    /// Adds a row. `merge` makes one value of two with the same key, the earlier one first.
    #[inline]
    pub(crate) fn add(&mut self, key: K, value: V, merge: impl Fn(&mut V, V)) {
        self.rows.push((key, value));
        if self.rows.len() >= self.limit {
            self.merge(merge);
            self.limit = (2 * self.rows.len()).max(LEAST);
        }
    }

    /// All rows, by rising key, each key once.
    pub(crate) fn into_sorted(mut self, merge: impl Fn(&mut V, V)) -> Vec<(K, V)> {
        self.merge(merge);
        self.rows
    }

    fn merge(&mut self, merge: impl Fn(&mut V, V)) {
        // Stable, and quick with what has been sorted before.
        self.rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut merged: Vec<(K, V)> = Vec::with_capacity(self.rows.len());
        for (key, value) in self.rows.drain(..) {
            match merged.last_mut() {
                Some((last, sum)) if *last == key => merge(sum, value),
                _ => merged.push((key, value)),
            }
        }
        self.rows = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn rows_add_up_whenever_they_are_merged() {
        let mut gathered = Gathered::default();
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        let mut first: BTreeMap<u64, u64> = BTreeMap::new();
        let mut kept = Gathered::default();
        for i in 0..4 * LEAST as u64 {
            let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
            gathered.add(key, i, |sum, value| *sum += value);
            *expected.entry(key).or_default() += i;
            kept.add(key, i, |_, _| {});
            first.entry(key).or_insert(i);
            assert!(gathered.rows.len() <= 2 * (LEAST + expected.len()));
        }
        let sorted = gathered.into_sorted(|sum, value| *sum += value);
        assert_eq!(sorted, expected.into_iter().collect::<Vec<_>>());
        assert_eq!(kept.into_sorted(|_, _| {}), first.into_iter().collect::<Vec<_>>());
    }
}

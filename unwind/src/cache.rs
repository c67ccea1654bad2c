//! The rule cache of one thread: from a pc to its rule, in sets of two entries.
//!
//! Invariant: a rule is only found for the pc and the generation of modules that it was made for. A rule is
//! inserted through the [`Miss`] that its look-up gave, never elsewhere.
//!
//! It grows with the program: each time that as many rules were inserted as it has entries, it doubles, to 1 MiB at
//! most. (A compiler has tens of thousands of pcs on its stacks, most programs some hundreds.)
//!
//! Why two: a miss costs as much as fifty hits, and with single entries a stack of which two frames collide (a
//! matter of load addresses) misses on every walk.

use crate::rule::Rule;
use alloc::{boxed::Box, vec};

/// 16 bytes; key 0 is empty (no walk looks up pc 0).
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    key: u64,
    rule: Rule,
}

/// Proof that a key is not in the cache; names the set where its rule goes.
#[derive(Debug)]
pub(crate) struct Miss {
    set: usize,
    key: u64,
}

#[derive(Debug)]
pub(crate) struct RuleCache {
    /// The newer entry of a set is the first.
    sets: Box<[[Entry; 2]]>,
    generation: u64,
    /// Insertions at this size.
    inserted: usize,
}

/// Sets that a cache has at most.
const MAX_SETS: usize = 1 << 15;

impl RuleCache {
    /// A cache of `1 << log2_entries` entries to begin with.
    pub(crate) fn new(log2_entries: u32) -> RuleCache {
        RuleCache { sets: empty(1 << log2_entries.saturating_sub(1)), generation: 0, inserted: 0 }
    }

    /// Empties the cache when the generation is another one; true when it is.
    #[inline]
    pub(crate) fn enter(&mut self, generation: u64) -> bool {
        let changed = self.generation != generation;
        if changed {
            self.sets.fill(Default::default());
            self.generation = generation;
        }
        changed
    }

    #[inline]
    pub(crate) fn find(&self, key: u64) -> Result<Rule, Miss> {
        let set = self.set(key);
        if let Some([first, second]) = self.sets.get(set) {
            if first.key == key {
                return Ok(first.rule);
            }
            if second.key == key {
                return Ok(second.rule);
            }
        }
        Err(Miss { set, key })
    }

    #[inline]
    fn set(&self, key: u64) -> usize {
        // Low bits of return addresses are spread well; bits from 13 on tell functions of equal offsets apart.
        (key ^ key >> 13) as usize & (self.sets.len() - 1)
    }

    pub(crate) fn insert(&mut self, Miss { mut set, key }: Miss, rule: Rule) {
        self.inserted += 1;
        if self.inserted > 2 * self.sets.len() && self.sets.len() < MAX_SETS {
            self.grow();
            set = self.set(key);
        }
        self.put(set, Entry { key, rule });
    }

    fn put(&mut self, set: usize, entry: Entry) {
        let [first, second] = &mut self.sets[set];
        *second = core::mem::replace(first, entry);
    }

    #[cold]
    fn grow(&mut self) {
        let larger = empty(2 * self.sets.len());
        let old = core::mem::replace(&mut self.sets, larger);
        self.inserted = 0;
        for [first, second] in old {
            // The newer one last, so that it is the first again where they stay together.
            for entry in [second, first] {
                if entry.key != 0 {
                    self.put(self.set(entry.key), entry);
                }
            }
        }
    }
}

fn empty(sets: usize) -> Box<[[Entry; 2]]> {
    vec![[Entry::default(); 2]; sets].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Form;

    #[test]
    fn two_colliding_keys_stay_and_a_generation_ends_all() {
        let mut cache = RuleCache::new(8);
        let keys = [0x40_0010, 0x40_0010 + (1 << 20), 0x40_0010 + (1 << 21)];
        for key in keys {
            let miss = cache.find(key).expect_err("not there yet");
            assert_eq!(
                miss.set,
                cache.find(keys[2]).map_or_else(|miss| miss.set, |_| miss.set),
                "they collide"
            );
            cache.insert(miss, Rule::of(Form::Cfi).in_module(Some(key as u16)));
        }
        assert_eq!(keys.map(|key| cache.find(key).is_ok()), [false, true, true]);
        assert!(cache.enter(1) && !cache.enter(1));
        assert!(keys.iter().all(|&key| cache.find(key).is_err()));
    }

    #[test]
    fn many_rules_make_it_grow() {
        let mut cache = RuleCache::new(8);
        let keys = || (0..2000u64).map(|n| 0x40_0000 + 24 * n);
        let rule = |key: u64| Rule::of(Form::Cfi).in_module(Some(key as u16));
        for _ in 0..4 {
            for key in keys() {
                if let Err(miss) = cache.find(key) {
                    cache.insert(miss, rule(key));
                }
            }
        }
        assert!(keys().all(|key| cache.find(key).is_ok_and(|found| found == rule(key))));
        assert_eq!(cache.sets.len(), 2048);
    }
}

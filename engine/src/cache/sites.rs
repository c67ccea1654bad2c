//! The accesses that emitted code looks at models for, by number (`translate::models`), with what they have missed.

use super::Cache;
use crate::accesses::misses::Costs;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use translate::models::Site;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sites {
    list: Vec<Costs>,
    /// The first ones of instructions that were translated for a single use, by pc and bytes.
    once: BTreeMap<(u64, Vec<u8>), u32>,
}

impl Sites {
    /// The number of the next fragment's first one. `once`: pc and bytes of an instruction for a single use.
    pub(super) fn next(&self, once: Option<&(u64, Vec<u8>)>) -> u32 {
        let known = once.and_then(|key| self.once.get(key));
        known.copied().unwrap_or(self.list.len() as u32)
    }

    /// Adds those of a fragment.
    pub(super) fn add(&mut self, sites: Vec<Site>, once: Option<&(u64, Vec<u8>)>) {
        let number = self.list.len() as u32;
        if let Some(key) = once.filter(|_| !sites.is_empty())
            && *self.once.entry(key.clone()).or_insert(number) != number
        {
            return;
        }
        self.list.extend(sites.into_iter().map(Costs::of));
    }

    /// Their code is gone.
    pub(super) fn clear(&mut self) {
        *self = Sites::default();
    }
}

impl Cache {
    /// One of them.
    pub fn site(&mut self, number: u32) -> Option<&mut Costs> {
        self.sites.list.get_mut(number as usize)
    }

    /// All of them.
    pub fn sites(&mut self) -> &mut [Costs] {
        &mut self.sites.list
    }
}

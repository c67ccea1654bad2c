//! The two branch tables and the chains of prefixes that share an entry.
//!
//! # Safety
//! `unsafe` here stores to table entries and prefix displacements, which lie in the cache's mapping.
#![allow(unsafe_code, reason = "writes to the code cache's mapping")]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use translate::Prefix;

struct Link {
    entry: u64,
    chain: u64,
}

/// Both tables.
pub(super) struct Chains {
    tables: [u64; 2],
    misses: [u64; 2],
    /// By table and entry: the prefixes in the order of the chain.
    used: BTreeMap<u32, Vec<Link>>,
}

/// Index by prefix kind: the discriminants of `Prefix`.
fn index(kind: Prefix) -> usize {
    match kind {
        Prefix::Indirect => 0,
        Prefix::Return => 1,
    }
}

/// Points a branch displacement at `target`.
pub(super) fn patch(field: u64, target: u64) {
    let displacement = target.wrapping_sub(field + 4) as u32;
    debug_assert!(field & 63 <= 60);
    // SAFETY: the field is four bytes of emitted code within one cache line, so the store is one access; it need
    // not be aligned to four for the processor. The cell outlives the cache.
    unsafe { (field as *mut u32).write_volatile(displacement) };
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

impl Chains {
    pub(super) fn new(indirect: u64, returns: u64) -> Chains {
        Chains { tables: [indirect, returns], misses: [0; 2], used: BTreeMap::new() }
    }

    fn store(&self, table: usize, slot: u16, value: u64) {
        let address = self.tables[table] + 8 * u64::from(slot);
        // SAFETY: an aligned entry of the table, which lives as long as the cache.
        unsafe { AtomicU64::from_ptr(address as *mut u64) }.store(value, Ordering::Release);
    }

    /// Points every entry at its miss stub.
    pub(super) fn clear(&mut self, misses: [u64; 2]) {
        let first = self.misses[0] == 0;
        self.misses = misses;
        let used = core::mem::take(&mut self.used);
        if first {
            for (table, miss) in misses.into_iter().enumerate() {
                for slot in 0..=u16::MAX {
                    self.store(table, slot, miss);
                }
            }
        }
        for key in used.keys() {
            self.store((key >> 16) as usize, *key as u16, misses[(key >> 16) as usize]);
        }
    }

    pub(super) fn add(&mut self, kind: Prefix, pc: u64, entry: u64, chain: u64) {
        let table = index(kind);
        let slot = pc as u16;
        patch(chain, self.misses[table]);
        let links = self.used.entry((table as u32) << 16 | u32::from(slot)).or_default();
        match links.last() {
            Some(last) => patch(last.chain, entry),
            None => {
                let address = self.tables[table] + 8 * u64::from(slot);
                // SAFETY: an aligned entry of the table, which lives as long as the cache.
                unsafe { AtomicU64::from_ptr(address as *mut u64) }.store(entry, Ordering::Release);
            }
        }
        links.push(Link { entry, chain });
    }

    pub(super) fn remove(&mut self, kind: Prefix, pc: u64, entry: u64) {
        let table = index(kind);
        let key = (table as u32) << 16 | u32::from(pc as u16);
        let Some(links) = self.used.get_mut(&key) else { return };
        let Some(at) = links.iter().position(|link| link.entry == entry) else { return };
        links.remove(at);
        let next = links.get(at).map_or(self.misses[table], |link| link.entry);
        match at.checked_sub(1) {
            Some(before) => patch(links[before].chain, next),
            None => self.store(table, pc as u16, next),
        }
    }
}

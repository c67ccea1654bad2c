//! The two branch tables and the chains of prefixes that share an entry.
//!
//! A chain is in the code alone: the table's entry leads to its newest prefix, the displacement in each to the one
//! before, and the last one's to the miss stub.
//!
//! # Safety
//! `unsafe` here loads and stores table entries and prefix displacements, which lie in the cache's mapping.
#![allow(unsafe_code, reason = "access to the code cache's mapping")]

use super::PrefixAt;
use core::sync::atomic::{AtomicU64, Ordering};
use translate::Prefix;

/// Both tables.
pub(super) struct Chains {
    tables: [u64; 2],
    misses: [u64; 2],
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

/// Where a branch displacement leads.
fn target(field: u64) -> u64 {
    // SAFETY: four bytes of emitted code, which only the holder of the cache's lock changes.
    let displacement = unsafe { (field as *const i32).read_unaligned() };
    (field + 4).wrapping_add(displacement as i64 as u64)
}

impl Chains {
    pub(super) fn new(indirect: u64, returns: u64) -> Chains {
        Chains { tables: [indirect, returns], misses: [0; 2] }
    }

    fn entry(&self, table: usize, pc: u64) -> &AtomicU64 {
        let address = self.tables[table] + 8 * (pc & 0xffff);
        // SAFETY: an aligned entry of the table, which lives as long as the cache.
        unsafe { AtomicU64::from_ptr(address as *mut u64) }
    }

    /// Points every entry at its miss stub.
    pub(super) fn clear(&mut self, misses: [u64; 2]) {
        self.misses = misses;
        for (table, miss) in misses.into_iter().enumerate() {
            for slot in 0..=0xffff {
                self.entry(table, slot).store(miss, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn add(&mut self, kind: Prefix, pc: u64, at: PrefixAt) {
        let entry = self.entry(index(kind), pc);
        patch(u64::from(at.chain), entry.load(Ordering::Relaxed));
        entry.store(u64::from(at.entry), Ordering::Release);
    }

    /// `chain_of` tells where the displacement is in the prefix of the same kind that begins at an address.
    pub(super) fn remove(
        &mut self,
        kind: Prefix,
        pc: u64,
        gone: PrefixAt,
        chain_of: impl Fn(u32) -> Option<u32>,
    ) {
        let entry = self.entry(index(kind), pc);
        let next = target(u64::from(gone.chain));
        let mut at = entry.load(Ordering::Relaxed);
        if at == u64::from(gone.entry) {
            entry.store(next, Ordering::Release);
            return;
        }
        while let Some(chain) = chain_of(at as u32) {
            at = target(u64::from(chain));
            if at == u64::from(gone.entry) {
                patch(u64::from(chain), next);
                return;
            }
        }
    }
}

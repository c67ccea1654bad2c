//! The two branch tables and the chains of prefixes that share an entry.
//!
//! A chain is in the code alone: the table's entry leads to its newest prefix, the displacement in each to the one
//! before, and the last one's to the miss stub.
//!
//! # Safety
//! `unsafe` here loads and stores table entries and prefix displacements, which lie in the cache's mapping.
#![allow(unsafe_code, reason = "access to the code cache's mapping")]

use super::PrefixAt;
use core::sync::atomic::{AtomicU32, Ordering};
use translate::{Prefix, StubAddresses, Tables};

/// The tables.
pub(super) struct Chains {
    tables: Tables,
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
    pub(super) fn new(tables: Tables) -> Chains {
        Chains { tables }
    }

    fn entry(&self, kind: Prefix, index: u64) -> &AtomicU32 {
        let table = match kind {
            Prefix::Indirect => self.tables.indirect,
            Prefix::Return => self.tables.returns,
        };
        let address = u64::from(table) + Tables::ENTRY_BYTES * index;
        // SAFETY: an aligned entry of the table, which lives as long as the cache.
        unsafe { AtomicU32::from_ptr(address as *mut u32) }
    }

    /// The entry that leads to the prefix for `pc`.
    fn entry_of(&self, kind: Prefix, pc: u64) -> &AtomicU32 {
        self.entry(kind, self.tables.index(pc))
    }

    /// Points every entry at its miss stub.
    pub(super) fn clear(&mut self, misses: &StubAddresses) {
        for (kind, miss) in [(Prefix::Indirect, misses.indirect_miss), (Prefix::Return, misses.return_miss)] {
            for index in 0..Tables::ENTRIES {
                self.entry(kind, index).store(miss as u32, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn add(&mut self, kind: Prefix, pc: u64, at: PrefixAt) {
        let entry = self.entry_of(kind, pc);
        patch(u64::from(at.chain), u64::from(entry.load(Ordering::Relaxed)));
        entry.store(at.entry, Ordering::Release);
    }

    /// `chain_of` tells where the displacement is in the prefix of the same kind that begins at an address.
    pub(super) fn remove(
        &mut self,
        kind: Prefix,
        pc: u64,
        gone: PrefixAt,
        chain_of: impl Fn(u32) -> Option<u32>,
    ) {
        let entry = self.entry_of(kind, pc);
        let next = target(u64::from(gone.chain));
        let mut at = entry.load(Ordering::Relaxed);
        if at == gone.entry {
            entry.store(next as u32, Ordering::Release);
            return;
        }
        while let Some(chain) = chain_of(at) {
            at = target(u64::from(chain)) as u32;
            if at == gone.entry {
                patch(u64::from(chain), next);
                return;
            }
        }
    }
}

//! Guest code that changes: what the cache must forget, and write-protection of pages whose code was translated.
//!
//! A page that the guest may write to and from which code was translated is write-protected in the kernel. The
//! first store to it faults, its fragments are removed, and the guest goes on with the page writable again.
//!
//! # Safety
//! `unsafe` here changes the protection of guest pages.
#![allow(unsafe_code, reason = "changes protection of guest pages")]

use crate::space::PAGE;
use crate::state::Engine;
use crate::{guest_mem, sys};
use ring::record::Stat;

/// Removes all fragments that depend on bytes of a range.
pub fn discard(engine: &Engine, start: u64, end: u64) {
    let removed = engine.cache.lock().invalidate(start, end);
    engine.count(Stat::Invalidations, removed as u64);
}

/// Copies the executable bytes at `pc`, as many as fit and exist. Pages that the guest may write to are guarded
/// first, so that no later store goes unseen.
pub fn fetch(engine: &Engine, pc: u64, to: &mut [u8]) -> usize {
    let mut space = engine.space.lock();
    let mut end = pc;
    let limit = pc.saturating_add(to.len() as u64);
    let mut writable = false;
    while end < limit {
        let Some((_, mapping)) = space.find(end) else { break };
        if mapping.protection & 4 == 0 {
            break;
        }
        writable |= mapping.protection & 2 != 0 && !mapping.guarded;
        end = mapping.end;
    }
    let length = (end.min(limit) - pc) as usize;
    if length == 0 {
        return 0;
    }
    if writable {
        let first = pc & !(PAGE - 1);
        let last = (pc + length as u64).next_multiple_of(PAGE);
        space.guard(first, last, true, |start, end, mapping| {
            if mapping.protection & 2 != 0 {
                let protection = u64::from(mapping.protection & !2);
                // SAFETY: the guest's own pages lose only the right to be written, which unguard gives back.
                unsafe { sys::call(sys::nr::MPROTECT, &[start, end - start, protection]) };
            }
        });
    }
    drop(space);
    guest_mem::read(pc, &mut to[..length])
}

/// A store has faulted: true when that was our write-protection; the page is writable again then and its
/// fragments are gone.
pub fn unguard(engine: &Engine, address: u64, error: u64) -> bool {
    const WRITE: u64 = 2;
    if error & WRITE == 0 {
        return false;
    }
    let page = address & !(PAGE - 1);
    let mut space = engine.space.lock();
    let ours = space.find(page).is_some_and(|(_, mapping)| mapping.guarded && mapping.protection & 2 != 0);
    if !ours {
        return false;
    }
    space.guard(page, page + PAGE, false, |start, end, mapping| {
        // SAFETY: gives the guest's page the protection that the guest asked for.
        unsafe { sys::call(sys::nr::MPROTECT, &[start, end - start, u64::from(mapping.protection)]) };
    });
    drop(space);
    discard(engine, page, page + PAGE);
    true
}

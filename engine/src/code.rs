//! Guest code that changes: what the cache must forget, and write-protection of pages whose code was translated.
//!
//! A page that the guest may write to and from which code was translated is write-protected in the kernel. The
//! first store to it faults, its fragments are removed, and the guest goes on with the page writable again.
//!
//! # Safety
//! `unsafe` here changes the protection of guest pages.
#![allow(unsafe_code, reason = "changes protection of guest pages")]

use crate::space::{Mapping, PAGE, Space};
use crate::state::Engine;
use crate::{guest_mem, sys};
use alloc::vec::Vec;
use ring::record::Stat;

/// Removes all fragments that depend on bytes of a range.
pub fn discard(engine: &Engine, start: u64, end: u64) {
    if start >= end {
        return;
    }
    let removed = engine.cache.lock().invalidate(start, end);
    engine.count(Stat::Invalidations, removed as u64);
}

/// A range of pages through which code bytes can be written.
struct View {
    start: u64,
    end: u64,
}

/// All writable views of the pages `[start, end)`: the pages themselves, and other mappings of the same shared file.
fn writable_views(space: &Space, start: u64, end: u64) -> Vec<View> {
    let mut views = Vec::new();
    let mut at = start;
    while at < end {
        let Some((base, mapping)) = space.find(at) else { break };
        let piece_end = mapping.end.min(end);
        if mapping.protection & 2 != 0 && !mapping.guarded {
            views.push(View { start: at, end: piece_end });
        }
        if mapping.shared && mapping.file.is_some() {
            let (from, to) = (mapping.offset + (at - base), mapping.offset + (piece_end - base));
            for (other, alias) in space.iter() {
                let alias_end = alias.offset + (alias.end - other);
                let writable = alias.protection & 2 != 0 && !alias.guarded;
                if other != base
                    && alias.file == mapping.file
                    && writable
                    && alias.offset < to
                    && alias_end > from
                {
                    let first = other + from.saturating_sub(alias.offset);
                    views.push(View { start: first, end: alias.end.min(first + (to - from)) });
                }
            }
        }
        at = piece_end;
    }
    views
}

/// Copies the executable bytes at `pc`, as many as fit and exist. With `guard`, pages through which the guest may
/// change them are guarded first, so that no later store goes unseen.
pub fn fetch(engine: &Engine, pc: u64, to: &mut [u8], guard: bool) -> usize {
    let mut space = engine.space.lock();
    let mut end = pc;
    let limit = pc.saturating_add(to.len() as u64);
    let mut changeable = false;
    while end < limit {
        let Some((_, mapping)) = space.find(end) else { break };
        if mapping.protection & 4 == 0 {
            break;
        }
        changeable |= mapping.protection & 2 != 0 || mapping.shared;
        end = mapping.end;
    }
    let length = (end.min(limit) - pc) as usize;
    if length == 0 {
        return 0;
    }
    if changeable && guard {
        let first = pc & !(PAGE - 1);
        let last = (pc + length as u64).next_multiple_of(PAGE);
        for view in writable_views(&space, first, last) {
            space.guard(view.start, view.end, true, |start, end, mapping| {
                let protection = u64::from(mapping.protection & !2);
                // SAFETY: the guest's own pages lose only the right to be written, which unguard gives back.
                unsafe { sys::call(sys::nr::MPROTECT, &[start, end - start, protection]) };
            });
        }
    }
    drop(space);
    guest_mem::read_code(pc, &mut to[..length])
}

/// Copies executable bytes at `pc` that no store can change unseen, as many as fit; none if that cannot be found out without
/// waiting: for the cache, whose lock comes behind that of the mappings.
pub fn peek(engine: &Engine, pc: u64, to: &mut [u8]) -> usize {
    let Some(space) = engine.space.try_lock() else { return 0 };
    let Some((_, mapping)) = space.find(pc) else { return 0 };
    let changeable = mapping.shared || (mapping.protection & 2 != 0 && !mapping.guarded);
    if mapping.protection & 4 == 0 || changeable {
        return 0;
    }
    let length = (mapping.end - pc).min(to.len() as u64) as usize;
    drop(space);
    guest_mem::read_code(pc, &mut to[..length])
}

/// Bit of a page fault's error code: a write.
const WRITE: u64 = 2;

/// A store has faulted: true when that was our write-protection; the page is writable again then and the fragments
/// of its code are gone, in whatever mapping they were. `denied`: the mapping did not allow it (SEGV_ACCERR).
pub fn unguard(engine: &Engine, address: u64, error: u64, denied: bool) -> bool {
    const KEY: u64 = 0x20;
    if error & WRITE == 0 || error & KEY != 0 {
        return false;
    }
    let page = address & !(PAGE - 1);
    let mut space = engine.space.lock();
    let Some((start, mapping)) = space.find(page) else { return false };
    if mapping.protection & 2 == 0 {
        return false;
    }
    if !mapping.guarded {
        // Another thread's store to the page has faulted first and was dealt with: this one can go on, too. (The page may
        // even be missing just then: the kernel moves pages.)
        return denied;
    }
    let mut stale = alloc::vec![page];
    if mapping.shared && mapping.file.is_some() {
        let offset = mapping.offset + (page - start);
        let same = |other: &Mapping| other.file == mapping.file && other.protection & 4 != 0;
        let aliases = space.iter().filter(|(_, other)| same(other)).filter_map(|(base, other)| {
            let at = base + offset.checked_sub(other.offset)?;
            (at < other.end).then_some(at)
        });
        stale.extend(aliases);
    }
    // Before the page can be written to: another thread's store would not fault any more, and what it then runs must not
    // be the old fragment. The lock keeps new ones from being made of the old bytes meanwhile.
    for page in stale {
        discard(engine, page, page + PAGE);
    }
    space.guard(page, page + PAGE, false, |start, end, mapping| {
        // SAFETY: gives the guest's page the protection that the guest asked for.
        unsafe { sys::call(sys::nr::MPROTECT, &[start, end - start, u64::from(mapping.protection)]) };
    });
    true
}

/// Makes every guarded page writable again and forgets its fragments; false when none was guarded.
pub fn unguard_all(engine: &Engine) -> bool {
    let guarded = |mapping: &Mapping| mapping.guarded && mapping.protection & 2 != 0;
    let space = engine.space.lock();
    let pages: Vec<u64> = space
        .iter()
        .filter(|(_, mapping)| guarded(mapping))
        .flat_map(|(start, mapping)| (start..mapping.end).step_by(PAGE as usize))
        .collect();
    drop(space);
    let mut any = false;
    for page in pages {
        any |= unguard(engine, page, WRITE, false);
    }
    any
}

/// Removes all fragments of code mapped from a file.
pub fn discard_file(engine: &Engine, file: (u64, u64)) {
    let ranges: Vec<(u64, u64)> = engine
        .space
        .lock()
        .iter()
        .filter(|(_, mapping)| mapping.file == Some(file) && mapping.protection & 4 != 0)
        .map(|(start, mapping)| (start, mapping.end))
        .collect();
    for (start, end) in ranges {
        discard(engine, start, end);
    }
}

//! Where an address in the cache belongs: which guest state it stands for, and whose code it is.
//!
//! # Safety
//! `unsafe` here reads the stubs of checks, in the cache's mapping.
#![allow(unsafe_code, reason = "reads emitted stubs")]

use super::{Cache, CheckInfo, Fragment, FragmentId, Position};
use crate::space;
use translate::Mode;
use translate::layout::{self, CHECK_STUB_BYTES, EXIT_STUB_BYTES, Fix};

impl Cache {
    /// Which guest state an address in the cache stands for; `None` for stubs and addresses outside.
    pub fn position(&self, address: u64) -> Option<Position> {
        if (self.exit_stubs()..self.config.exit_stubs_end).contains(&address) {
            let number = (self.config.exit_stubs_end - 1 - address) / EXIT_STUB_BYTES;
            let exit = self.exits.get(number as usize)?;
            return Some(Position { pc: exit.target, fix: Fix::NONE });
        }
        if let Some(offset) = self.in_check_stub(address) {
            let fix = if offset < layout::CHECK_STUB_SAVED { Fix::NONE } else { Fix::SCRATCH_R11 };
            return self.position(self.resumes_at(address)?).map(|position| Position { fix, ..position });
        }
        if address < self.first || address >= self.at {
            return None;
        }
        if let Some((start, detached)) = self.detached.range(..=address).next_back()
            && address < start + u64::from(detached.size)
        {
            let offset = (address - start) as u32;
            let entry = detached.map.iter().rev().find(|entry| entry.cache <= offset)?;
            return Some(Position { pc: detached.pc, fix: entry.fix });
        }
        let fragment = self.fragment_at(address)?;
        let offset = (address - fragment.start) as u32;
        let (first, count) = fragment.exits;
        let map = &self.maps[fragment.map.0 as usize..][..fragment.map.1 as usize];
        let entry = map.iter().rev().find(|entry| u32::from(entry.cache) <= offset)?;
        if entry.guest == i16::MIN {
            // Between a call's push or a branch's decision and its exit.
            let exit = self.exits[first as usize..(first + count) as usize]
                .iter()
                .filter(|exit| exit.patch == 0 || exit.patch + 4 > address)
                .min_by_key(|exit| exit.patch)?;
            return Some(Position { pc: exit.target, fix: entry.fix });
        }
        Some(Position { pc: fragment.pc.wrapping_add(entry.guest as i64 as u64), fix: entry.fix })
    }

    /// Offset of an address in the stub of a check.
    fn in_check_stub(&self, address: u64) -> Option<u64> {
        let stubs = self.config.check_stubs?;
        let used = stubs..self.config.check_stub(self.checks.len() as u32);
        used.contains(&address).then(|| (address - stubs) % CHECK_STUB_BYTES)
    }

    /// Where the check goes on in whose stub an address lies.
    pub(super) fn resumes_at(&self, address: u64) -> Option<u64> {
        let offset = self.in_check_stub(address)?;
        // SAFETY: a whole stub, of which others than the first bytes never change.
        let code = unsafe { &*((address - offset) as *const [u8; CHECK_STUB_BYTES as usize]) };
        Some(layout::check_resume(code))
    }

    /// The number of the fragment whose code holds a cache address.
    pub(super) fn fragment_id_at(&self, address: u64) -> Option<FragmentId> {
        let index = self.fragments.partition_point(|fragment| fragment.start <= address).checked_sub(1)?;
        let fragment = &self.fragments[index];
        (address < fragment.start + u64::from(fragment.size)).then_some(index as FragmentId)
    }

    /// The fragment whose code holds a cache address.
    pub(super) fn fragment_at(&self, address: u64) -> Option<&Fragment> {
        self.fragment_id_at(address).map(|id| &self.fragments[id as usize])
    }

    /// What the code at a cache address takes for granted.
    pub fn mode_at(&self, address: u64) -> Option<Mode> {
        self.fragment_at(address).map(|fragment| fragment.mode)
    }

    /// The check that goes on at `resume`, its number, and where the guest is there.
    pub fn check_before(&self, resume: u64) -> Option<(CheckInfo, u32, Position)> {
        let at = self.checks.binary_search_by_key(&resume, |check| u64::from(check.resume)).ok()?;
        Some((self.checks[at], at as u32, self.position(resume)?))
    }

    /// Whether an address lies in emitted code or the stubs.
    pub fn contains(&self, address: u64) -> bool {
        (space::CACHE_BASE..self.end).contains(&address)
    }
}

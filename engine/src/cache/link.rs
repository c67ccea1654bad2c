//! Links: direct exits patched to the body of the fragment they lead to, and checks to the precise code that takes over.
//!
//! # Safety
//! `unsafe` here writes to the cache's mapping, as in the module above.
#![allow(unsafe_code, reason = "writes to the code cache's mapping")]

use super::chain::patch;
use super::{Arrival, Cache, CheckInfo, Detached, FragmentId, Full, NONE};
use translate::layout::CHECK_STUB_LINK;

impl Cache {
    /// Patches exit `number` to the fragment, if the exit's own fragment still lives and leads to such code.
    pub fn link(&mut self, number: u32, to: FragmentId, arrival: Arrival) {
        let body = self.body(to, arrival);
        let mode = self.fragments[to as usize].mode;
        let exit = &mut self.exits[number as usize];
        if exit.to != mode {
            return;
        }
        if exit.patch == 0 || exit.linked != NONE || !self.fragments[exit.fragment as usize].alive {
            return;
        }
        exit.linked = to;
        exit.next_incoming = self.fragments[to as usize].incoming;
        self.fragments[to as usize].incoming = number;
        patch(exit.patch, body);
        self.counters[3] += 1;
    }

    /// Points every exit that is linked to a fragment back at its stub.
    pub(super) fn unlink_incoming(&mut self, id: FragmentId) {
        let mut at = core::mem::replace(&mut self.fragments[id as usize].incoming, NONE);
        while at != NONE {
            let stub = self.config.exit_stub(at);
            let exit = &mut self.exits[at as usize];
            at = core::mem::replace(&mut exit.next_incoming, NONE);
            exit.linked = NONE;
            patch(exit.patch, stub);
        }
    }

    /// Leads check `number` to the precise code that takes over from it, if that is what the fragment is, and both live.
    ///
    /// # Errors
    /// [`Full`] when the code that adjusts the number of instructions on the way does not fit.
    pub fn link_check(&mut self, number: u32, to: FragmentId) -> Result<(), Full> {
        let CheckInfo { adjust, keeps_flags, resume, linked, .. } = self.checks[number as usize];
        let (Some(from), false) = (self.fragment_at(u64::from(resume)), linked != NONE) else {
            return Ok(());
        };
        let target = &self.fragments[to as usize];
        if from.mode.precise() != target.mode || !from.alive || !target.alive {
            return Ok(());
        }
        let (pc, mode, mut way) = (target.pc, from.mode, self.body(to, Arrival::Within));
        let counts_segments = self.config.count_segments;
        let counter = counts_segments.then(|| self.bailed_out_of(number)).flatten();
        if counter.is_none() && counts_segments && (adjust != 0 || !self.counted.has_room()) {
            return Err(Full);
        }
        if counter.is_some() || self.config.count && adjust != 0 {
            let adjust = self.config.count.then_some(adjust);
            if self.room() < 256 {
                return Err(Full);
            }
            let at = self.at;
            // SAFETY: the range lies between the fragments and the exits' stubs; nothing there is reachable yet.
            let room = unsafe { core::slice::from_raw_parts_mut(at as *mut u8, 256) };
            let Ok((size, map)) =
                translate::emit_adjustment(pc, mode, (adjust, counter), keeps_flags, way, at, room)
            else {
                return Err(Full);
            };
            self.at = at + u64::from(size);
            self.detached.insert(at, Detached { size, pc, chain: 0, map });
            way = at;
        }
        let check = &mut self.checks[number as usize];
        check.linked = to;
        check.next_incoming = core::mem::replace(&mut self.fragments[to as usize].incoming_checks, number);
        patch(self.config.check_stub(number) + CHECK_STUB_LINK.0, way);
        self.counters[3] += 1;
        Ok(())
    }

    /// Points every check that is linked to a fragment back at the rest of its stub.
    pub(super) fn unlink_checks(&mut self, id: FragmentId) {
        let mut at = core::mem::replace(&mut self.fragments[id as usize].incoming_checks, NONE);
        while at != NONE {
            let stub = self.config.check_stub(at);
            let check = &mut self.checks[at as usize];
            at = core::mem::replace(&mut check.next_incoming, NONE);
            check.linked = NONE;
            patch(stub + CHECK_STUB_LINK.0, stub + CHECK_STUB_LINK.1);
        }
    }
}

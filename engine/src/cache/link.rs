//! Links: direct exits patched to the body of the fragment they lead to.

use super::chain::patch;
use super::{Cache, FragmentId, NONE};
use translate::Mode;

impl Cache {
    /// Patches exit `number` to the fragment, if the exit's own fragment still lives and takes the same for granted. From
    /// precise code the way is through the dispatcher, which looks what is undefined by then.
    pub fn link(&mut self, number: u32, to: FragmentId) {
        let body = self.body(to);
        let mode = self.fragments[to as usize].mode;
        let exit = &mut self.exits[number as usize];
        if mode == Mode::Precise || self.fragments[exit.fragment as usize].mode != mode {
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
}

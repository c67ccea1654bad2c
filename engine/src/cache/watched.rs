//! Places of guest code at which the engine is asked first: where functions begin that switch collection, and where they return to.
//!
//! Always holds: all ways to such a place lead to a fragment of its own, which is a way out to the engine and nothing else. What is
//! executed there is the place's own code, to which no table leads ([`Cache::find_own`]). Not here: what the engine does (`windows`).

use super::{Cache, ExitInfo, FRAGMENT_ROOM, FragmentId, Full, NONE};
use alloc::collections::BTreeMap;
use translate::{Calls, Exit, Mode, Special};

/// Bytes of the fragment: a jump to the exit's stub.
const BYTES: u64 = 5;

/// All places, by guest pc: the patterns by which the function switches collection that begins there, a bit each; none, where
/// such functions only return to.
#[derive(Debug, Default)]
pub(super) struct Watched(BTreeMap<u64, u64>);

impl Cache {
    /// The function at `pc` switches collection, by these patterns.
    pub fn watch_function(&mut self, pc: u64, patterns: u64) {
        *self.watch(pc) |= patterns;
    }

    /// A function that does returns to `pc`.
    pub fn watch_return(&mut self, pc: u64) {
        self.watch(pc);
    }

    /// Whether the engine is asked there.
    pub(super) fn is_watched(&self, pc: u64, mode: Mode) -> bool {
        // Who goes on in precise code has been there.
        !mode.is_precise() && !self.watched.0.is_empty() && self.watched.0.contains_key(&pc)
    }

    /// By which patterns the function switches collection that begins there, if one does.
    pub fn watched_function(&self, pc: u64) -> Option<u64> {
        self.watched.0.get(&pc).copied().filter(|patterns| *patterns != 0)
    }

    /// Other code comes to these addresses.
    pub fn forget_watched(&mut self, start: u64, end: u64) {
        self.watched.0.retain(|pc, _| !(start..end).contains(pc));
    }

    /// From now on a jump that takes another place on the stack with it leads to the engine.
    pub fn watch_stack(&mut self) {
        self.config.watch_stack = true;
        self.realms.iter_mut().for_each(|realm| realm.config.watch_stack = true);
    }

    fn watch(&mut self, pc: u64) -> &mut u64 {
        if !self.watched.0.contains_key(&pc) {
            // What leads there is to lead to the engine.
            for at in 0..self.realms.len() {
                let realm = &self.realms[at];
                if !realm.config.mode.is_precise()
                    && let Some(id) = realm.table.get(pc)
                {
                    self.remove(id);
                }
            }
        }
        self.watched.0.entry(pc).or_default()
    }

    /// The fragment of a watched place.
    pub(super) fn translate_watched(&mut self, pc: u64, mode: Mode) -> Result<FragmentId, Full> {
        if self.room() < FRAGMENT_ROOM {
            return Err(Full);
        }
        let (at, number) = (self.at, self.exits.len() as u32);
        let special = Some(Special::Watched);
        let exit = Exit { target: pc, patch: 0, special, to: mode, calls: Calls::No };
        let stub = self.config.exit_stub_code(number, &exit);
        let place = self.config.exit_stub(number);
        let mut jump = [0xe9, 0, 0, 0, 0];
        jump[1..].copy_from_slice(&(place.wrapping_sub(at + BYTES) as u32).to_le_bytes());
        self.put(at, &jump);
        self.put(place, &stub);
        self.exits.push(ExitInfo {
            fragment: self.fragments.len() as FragmentId,
            target: pc,
            patch: 0,
            linked: NONE,
            next_incoming: NONE,
            special,
            to: mode,
            calls: Calls::No,
        });
        self.at = at + BYTES;
        Ok(self.stand_in(pc, mode, (at, BYTES as u32), (number, 1)))
    }
}

//! Places of guest code at which the engine is asked first: where functions begin that switch collection, and where they return to.
//!
//! Always holds: all ways to such a place lead to a fragment of its own, which is a way out to the engine and nothing else. What is
//! executed there is the place's own code, to which no table leads ([`Cache::find_own`]). Not here: what the engine does (`windows`).

use super::{Cache, ExitInfo, FRAGMENT_ROOM, Fragment, FragmentId, Full, NONE, PackedEntry, realm};
use alloc::collections::BTreeMap;
use translate::layout::Fix;
use translate::{Calls, Exit, Mode, Special};

/// Bytes of the fragment: a jump to the exit's stub.
const BYTES: u64 = 5;

/// What a place is watched for.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    /// The function that begins there switches collection: by these patterns, a bit each.
    function: u64,
}

/// All places, by guest pc.
#[derive(Debug, Default)]
pub(super) struct Watched(BTreeMap<u64, Place>);

impl Cache {
    /// The function at `pc` switches collection, by these patterns.
    pub fn watch_function(&mut self, pc: u64, patterns: u64) {
        self.watch(pc).function |= patterns;
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
        self.watched.0.get(&pc).map(|place| place.function).filter(|patterns| *patterns != 0)
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

    fn watch(&mut self, pc: u64) -> &mut Place {
        if !self.watched.0.contains_key(&pc) {
            // What leads there is to lead to the engine.
            for mode in self.realms.iter().map(|realm| realm.config.mode).collect::<alloc::vec::Vec<_>>() {
                if !mode.is_precise()
                    && let Some(id) = self.find(pc, mode)
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
        // SAFETY: the fragment's range lies between the fragments and the exits' stubs, and that of the stub below those of all other
        // exits, both in our mapping by the room that was asked for; nothing leads there yet.
        unsafe {
            core::ptr::copy_nonoverlapping(jump.as_ptr(), at as *mut u8, jump.len());
            core::ptr::copy_nonoverlapping(stub.as_ptr(), place as *mut u8, stub.len());
        }
        let id = self.fragments.len() as FragmentId;
        self.exits.push(ExitInfo {
            fragment: id,
            target: pc,
            patch: 0,
            linked: NONE,
            next_incoming: NONE,
            special,
            to: mode,
            calls: Calls::No,
        });
        let first_entry = self.maps.len() as u32;
        self.maps.push(PackedEntry { cache: 0, guest: 0, fix: Fix::NONE });
        self.fragments.push(Fragment {
            pc,
            mode,
            end: pc + 1,
            start: at,
            size: BYTES as u32,
            body: 0,
            jumped: 0,
            inner: 0,
            function: true,
            alive: true,
            exits: (number, 1),
            incoming: NONE,
            incoming_checks: NONE,
            prefixes: [None; 2],
            map: (first_entry, 1),
            counters: (0, 0),
            next_in_page: [NONE; 2],
        });
        self.at = at + BYTES;
        self.depends_on_source(id);
        self.realms[realm(mode)].table.insert(pc, id);
        Ok(id)
    }
}

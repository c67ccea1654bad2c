//! Before the use of an undefined condition is told: does it matter which way the branch goes?
//!
//! Not here: how that is found out (`definedness`).

use crate::state::Engine;
use crate::{code, errors, guest_mem, shadow};
use definedness::{Ahead, Guest, Registers, Rules, Surroundings};
use iced_x86::Instruction;

/// Branches that are not worth a look, by their guest pc. Where guest code changes, that may be out of date: then an error is
/// told that would not have been.
pub(super) struct Hopeless([u64; PLACES]);

const PLACES: usize = 64;

impl Default for Hopeless {
    fn default() -> Hopeless {
        Hopeless([0; PLACES])
    }
}

impl Hopeless {
    fn place(&mut self, pc: u64) -> &mut u64 {
        &mut self.0[(pc ^ pc >> 6) as usize % PLACES]
    }
}

struct Around<'a>(&'a Engine);

impl Surroundings for Around<'_> {
    fn code(&self, pc: u64, bytes: &mut [u8]) -> usize {
        code::fetch(self.0, pc, bytes, false)
    }

    fn load(&self, address: u64, a: &mut [u8], v: &mut [u8]) -> bool {
        if guest_mem::read(address, a) != a.len() {
            return false;
        }
        shadow::read(address, v);
        errors::unaddressable(self.0, address, v) == 0
    }
}

/// Whether a branch whose condition is undefined leads to the same place on both sides.
pub(super) fn leads_to_the_same(
    engine: &Engine,
    rules: &mut Rules,
    hopeless: &mut Hopeless,
    branch: &Instruction,
    guest: &dyn Guest,
    registers: &Registers,
) -> bool {
    let place = hopeless.place(branch.ip());
    if *place == branch.ip() {
        return false;
    }
    let found = rules.look_ahead(branch, guest, registers, &Around(engine));
    if found == Ahead::Never {
        *place = branch.ip();
    }
    found == Ahead::Same
}

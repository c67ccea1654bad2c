//! The V bits of memory as the rules ask for them, with a look at what the guest may not touch.

use crate::errors::{self, Finding};
use crate::shadow;
use crate::state::Engine;
use definedness::Shadow;
use ring::record::Error;
use translate::Access;

/// Errors of one instruction that are kept.
const KEPT: usize = 4;

/// Shadow memory during one instruction.
pub(super) struct Memory<'a> {
    engine: &'a Engine,
    /// Guest pc of the instruction.
    pc: u64,
    found: [Option<Finding>; KEPT],
}

impl<'a> Memory<'a> {
    pub(super) fn new(engine: &'a Engine, pc: u64) -> Memory<'a> {
        Memory { engine, pc, found: [const { None }; KEPT] }
    }

    /// The invalid accesses.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter().flatten()
    }

    fn found(&mut self, error: Error, address: u64, size: usize) {
        // Of an instruction that reads and writes, Valgrind tells the read alone.
        if error == Error::InvalidWrite && self.findings().any(|read| read.address == address) {
            return;
        }
        if let Some(free) = self.found.iter_mut().find(|place| place.is_none()) {
            *free = Some(Finding { error, address, size: size as u64, origin: 0 });
        }
    }
}

impl Shadow for Memory<'_> {
    fn load(&mut self, address: u64, v: &mut [u8]) -> u64 {
        shadow::read(address, v);
        let bad = errors::unaddressable(self.engine, address, v);
        if bad != 0 {
            let size = v.len();
            let partial = errors::is_accepted(self.engine, self.pc, address, size, bad, Access::Read);
            if !partial {
                self.found(Error::InvalidRead, address, size);
            }
            // What was told of is not told again as undefined.
            let bits = if partial { 0xff } else { 0 };
            for (_, v) in v.iter_mut().enumerate().filter(|(at, _)| bad >> at & 1 != 0) {
                *v = bits;
            }
        }
        match v.iter().position(|v| *v != 0) {
            Some(first) => address.wrapping_add(first as u64),
            None => 0,
        }
    }

    fn store(&mut self, address: u64, v: &[u8], _origin: u64) {
        const LARGEST: usize = 64;
        let mut before = [0; LARGEST];
        let mut at = 0;
        for part in v.chunks(LARGEST) {
            let to = address.wrapping_add(at);
            let before = &mut before[..part.len()];
            shadow::read(to, before);
            let bad = errors::unaddressable(self.engine, to, before);
            if bad == 0 {
                shadow::write(to, part);
            } else {
                self.found(Error::InvalidWrite, to, part.len());
                for (i, bits) in part.iter().enumerate().filter(|(i, _)| bad >> i & 1 == 0) {
                    shadow::write(to.wrapping_add(i as u64), core::slice::from_ref(bits));
                }
            }
            at += part.len() as u64;
        }
    }
}

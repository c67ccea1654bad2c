//! The functions that calls are told of, by number. Numbers stay when the cache is emptied.

use super::{Cache, FragmentId};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use translate::Mode;

/// How the guest gets to a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// From within its function.
    Within,
    /// From elsewhere, but not by a call; or it is there again.
    Jump,
    /// Perhaps by a call.
    Call,
}

#[derive(Debug, Default)]
pub(super) struct Functions {
    pcs: Vec<u64>,
    numbers: BTreeMap<u64, u32>,
}

impl Functions {
    pub(super) fn number(&mut self, pc: u64) -> u32 {
        let next = self.pcs.len() as u32;
        let number = *self.numbers.entry(pc).or_insert(next);
        if number == next {
            self.pcs.push(pc);
        }
        number
    }
}

impl Cache {
    /// Guest pcs of functions by their numbers.
    pub fn functions(&self) -> &[u64] {
        &self.functions.pcs
    }

    /// The number of the function at a guest pc.
    pub fn function(&mut self, pc: u64) -> u32 {
        self.functions.number(pc)
    }

    /// Whether calls are told of.
    pub fn logs_calls(&self) -> bool {
        self.config.tells_calls()
    }

    /// The code at `pc` is called: a fragment that does not tell of that, because it was reached otherwise, is to be translated
    /// again.
    pub fn is_called(&mut self, pc: u64, mode: Mode) {
        if self.config.tells_calls()
            && !mode.is_precise()
            && let Some(id) = self.find(pc, mode)
            && !self.fragments[id as usize].function
        {
            self.remove(id);
        }
    }

    /// Cache address of a fragment's body.
    pub fn body(&self, id: FragmentId, arrival: Arrival) -> u64 {
        let fragment = &self.fragments[id as usize];
        let offset = match arrival {
            Arrival::Within => fragment.inner,
            Arrival::Jump => fragment.jumped,
            Arrival::Call => fragment.body,
        };
        fragment.start + u64::from(offset)
    }

    /// Guest pc of the fragment that an exit belongs to.
    pub fn exit_source(&self, number: u32) -> u64 {
        self.fragments[self.exits[number as usize].fragment as usize].pc
    }
}

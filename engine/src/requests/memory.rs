//! Requests about memory: what may be touched, what is defined, what it is called, which errors are told. The answers are
//! those of memcheck.

use super::{Answer, Request, number as n};
use crate::client_memory::{self, Described};
use crate::errors::{self, About, Told};
use crate::{guest_mem, ranges, shadow, stacks};
use ring::record::{Error, origin};

/// What memcheck answers to requests that cannot fail, and to CREATE_BLOCK of no block.
const DONE: u64 = u64::MAX;

impl Request<'_> {
    pub(super) fn memory(&mut self) -> Answer {
        let [number, a, b, c, ..] = self.arguments;
        match number {
            n::MAKE_MEM_NOACCESS => client_memory::no_access(self.engine, self.thread, a, b),
            n::MAKE_MEM_UNDEFINED => {
                let stack = if shadow::follows() { stacks::here(self.engine, self.thread) } else { 0 };
                client_memory::undefined(self.engine, a, b, stack << 2 | origin::CLIENT);
            }
            n::MAKE_MEM_DEFINED => client_memory::defined(self.engine, a, b),
            n::MAKE_MEM_DEFINED_IF_ADDRESSABLE => {
                client_memory::defined_where_addressable(self.engine, a, b);
            }
            n::CHECK_MEM_IS_ADDRESSABLE => {
                let bad = ranges::first_bad(self.engine, self.thread, a, b);
                return self.checked([None, bad]);
            }
            n::CHECK_MEM_IS_DEFINED => {
                let found = ranges::first_of_both(self.engine, self.thread, a, b);
                return self.checked(found);
            }
            n::GET_VBITS => return Answer::Value(self.copy_bits(a, b, c, get_bits)),
            n::SET_VBITS => return Answer::Value(self.copy_bits(a, b, c, set_bits)),
            n::CREATE_BLOCK if a != 0 && b != 0 => {
                const LONGEST: usize = 4096;
                let name = guest_mem::read_string(c, LONGEST).unwrap_or_default();
                let stack = stacks::here(self.engine, self.thread);
                let block = Described { start: a, bytes: b, name, stack };
                return Answer::Value(self.engine.client_memory.lock().describe(block));
            }
            n::CREATE_BLOCK => (),
            n::DISCARD => {
                let known = self.engine.client_memory.lock().discard(a);
                return Answer::Value(u64::from(!known));
            }
            n::ENABLE_ADDR_ERROR_REPORTING_IN_RANGE | n::DISABLE_ADDR_ERROR_REPORTING_IN_RANGE => {
                let ignore = number == n::DISABLE_ADDR_ERROR_REPORTING_IN_RANGE;
                client_memory::ignore(self.engine, a, b, ignore);
                return Answer::Value(1);
            }
            _ => return Answer::Default,
        }
        Answer::Value(DONE)
    }

    /// Tells what a check has found: the first undefined byte, and the first that is not the guest's to touch. The answer is
    /// the lower address, 0 when all is well.
    fn checked(&mut self, [undefined, unaddressable]: [Option<u64>; 2]) -> Answer {
        for (found, unaddressable) in [(undefined, false), (unaddressable, true)] {
            if let Some(address) = found {
                let stack = stacks::here(self.engine, self.thread);
                let origin = if unaddressable { 0 } else { errors::origin(self.engine, address) };
                let about = About::anything(self.engine, self.thread, self.thread.context.pc, address);
                let told = Told { address, unaddressable, origin, ..Told::new(Error::ClientCheck, about) };
                errors::tell(self.thread, stack, &told);
            }
        }
        Answer::Value(undefined.into_iter().chain(unaddressable).min().unwrap_or(0))
    }

    /// Copies V bits of `bytes` bytes at `of` from or to the guest's bytes at `bits`, piece by piece; 1 when it is done, 3
    /// when the guest may not touch all of both.
    fn copy_bits(&mut self, of: u64, bits: u64, bytes: u64, copy: fn(u64, u64, &mut [u8])) -> u64 {
        const NOT_ADDRESSABLE: u64 = 3;
        let bad = |start| ranges::first_bad(self.engine, self.thread, start, bytes).is_some();
        if bad(of) || bad(bits) {
            return NOT_ADDRESSABLE;
        }
        let mut at = 0;
        while at < bytes {
            let mut piece = [0; 256];
            let piece = &mut piece[..(bytes - at).min(256) as usize];
            copy(of + at, bits + at, piece);
            at += piece.len() as u64;
        }
        1
    }
}

fn get_bits(of: u64, bits: u64, piece: &mut [u8]) {
    if shadow::follows() {
        shadow::read(of, piece);
    }
    guest_mem::write(bits, piece);
}

fn set_bits(of: u64, bits: u64, piece: &mut [u8]) {
    if shadow::follows() && guest_mem::read(bits, piece) == piece.len() {
        shadow::write(of, piece);
    }
}

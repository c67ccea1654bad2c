//! Telling of data accesses: what each execution of a run of instructions leaves in the thread's log, and what it means.
//!
//! A *run* is a part of a segment. Each time that it is executed it leaves a *record*: a word that says which run it was, and
//! the registers that the addresses of its accesses are made of. A register that has changed only by constants since it was put
//! down (a stack pointer behind pushes) is not put down again, and an absolute address needs nothing. The run's [`Form`] says how
//! the addresses follow, so that the log's reader works them out, and emitted code only stores. An instruction whose accesses
//! depend on more than general registers is a run of its own.
//!
//! What always holds: a record is there in full once `LOG` has been moved behind it, and not at all before. The first store to a
//! record is that to its highest place, so that it is the one that meets the page behind the log; then the thread may go on
//! with that store at the log's start. From the first to the last store to a record one register holds the place in the log,
//! and the guest's is in `LOG_HOME` ([`Fix::log`](crate::layout::Fix::log)).
//!
//! Not here: which accesses an instruction makes ([`references`](crate::references)); caches.

mod again;
mod form;
mod plan;
#[cfg(test)]
mod tests;
mod values;

pub use again::Planner;
pub use form::{Access, Bases, Form, Head, Piece, Rounds};
pub use plan::Logged;
pub(crate) use plan::{AccessPlan, sets_base};

use crate::emit::Emitter;

/// The first word of a whole record, sign-extended from 32 bits: `!(number + FIRST_RUN)`. Above it are the entries of functions
/// ([`calls`](crate::calls)).
pub const FIRST_RUN: u32 = 1 << 30;
/// Most runs that can be told apart.
pub const MOST_RUNS: u32 = 1 << 30;

/// The first word of a whole record of a run.
pub const fn whole(number: u32) -> u64 {
    0xffff_ffff << 32 | !(number + FIRST_RUN) as u64
}

/// The first word of a record of the run's instructions up to a byte of it only, counted from its start: where the thread was
/// interrupted.
pub fn partly(number: u32, bytes: u16) -> u64 {
    1 << 63 | u64::from(bytes) << 32 | u64::from(!(number + FIRST_RUN))
}

/// The word that is a record by itself: the thread went on at `pc`, but not because of a branch.
pub fn goes_on(pc: u64) -> u64 {
    1 << 62 | pc & ((1 << 62) - 1)
}

/// Words that are put down of a vector register, of which `wide` instructions have 64 bytes.
const fn vector_words(wide: bool) -> u16 {
    if wide { 8 } else { 4 }
}

/// `mov [register + 8 * word], r64`
fn store(e: &mut Emitter<'_>, register: u8, word: u16, value: u8) {
    e.bytes(&[0x48 | (value >> 3) << 2 | register >> 3, 0x89]);
    operand(e, register, word, value);
}

/// `mov qword [register + 8 * word], imm32`
fn store_imm(e: &mut Emitter<'_>, register: u8, word: u16, value: u32) {
    e.bytes(&[0x48 | register >> 3, 0xc7]);
    operand(e, register, word, 0);
    e.u32(value);
}

/// `lea register, [register + 8 * words]`
fn advance(e: &mut Emitter<'_>, register: u8, words: u16) {
    e.bytes(&[0x48 | ((register >> 3) * 5), 0x8d]);
    operand(e, register, words, register);
}

/// ModRM byte and displacement of `[register + 8 * word]`, which is neither rsp nor r12.
fn operand(e: &mut Emitter<'_>, register: u8, word: u16, field: u8) {
    let (field, register) = ((field & 7) << 3, register & 7);
    let displacement = 8 * u32::from(word);
    match i8::try_from(displacement) {
        Ok(displacement) => e.bytes(&[0x40 | field | register, displacement as u8]),
        Err(_) => {
            e.bytes(&[0x80 | field | register]);
            e.u32(displacement);
        }
    }
}

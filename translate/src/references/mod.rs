//! The memory references of an instruction, as Valgrind counts them: kind, size, and how the address follows from the
//! registers before the instruction.
//!
//! Rules: those of `models::accesses`, which are VEX's; order is that of the simulation. What always holds: a reference that
//! [`Reference::is_plain`] is made in each execution, and one `lea` computes its address; all others are for the engine, which
//! asks [`Reference::address`]. What VEX cannot execute counts like its relatives: with AVX-512 an operand is one reference of
//! all its bytes whatever its write mask, and only gathers and scatters are taken apart.
//!
//! Deviation: VEX drops a load whose result is overwritten, unused, in the same block; here it counts, as what is dropped does
//! not follow from one instruction (`explicit`). Not here: instructions that the translation does not support (far branches, loads
//! of segment registers); fetches.
//!
//! Here rather than in `models`, because emitted code names the addresses ([`Address`]), and `models` knows no instructions.

pub mod branch;
mod explicit;
mod implicit;
mod pieces;
mod resolve;
mod state;
#[cfg(test)]
mod tests;

pub use resolve::Registers;

use crate::address::Address;
use alloc::vec::Vec;
use iced_x86::{Instruction, InstructionInfoFactory};

/// What a reference does, by Callgrind's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `Dr`.
    Read,
    /// `Dw`.
    Write,
    /// A read directly followed by a write of the same bytes: `Dw` for Callgrind, `Dr` for Cachegrind.
    Modify,
}

/// Where the first byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At a sum of registers and a constant.
    Sum(Address),
    /// al bytes behind it: `xlat`.
    PlusAl(Address),
    /// In the byte that holds a bit: a number from a general register of `size` bytes, with its sign.
    Bit {
        /// Of bit 0.
        address: Address,
        /// By number.
        register: u8,
        /// Bytes of the register.
        size: u8,
    },
    /// The same with the number taken modulo the register's bits.
    BitWithin {
        /// Of bit 0.
        address: Address,
        /// By number.
        register: u8,
        /// Bytes of the register.
        size: u8,
    },
    /// At an element of a vector register, with its sign, times 1 << `scale`, behind an address: gathers and scatters.
    Element {
        /// What is added to each element.
        address: Address,
        /// The vector register that is the index, by number.
        index: u8,
        /// Which of its elements.
        lane: u8,
        /// Bytes of such an element.
        size: u8,
        /// log2.
        scale: u8,
        /// Where this is not set, VEX reads what is at the stack pointer instead.
        mask: Option<Sign>,
    },
}

/// The top bit of an element of a vector register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// The vector register, by number.
    pub register: u8,
    /// Which of its elements.
    pub lane: u8,
    /// Bytes of such an element.
    pub size: u8,
}

/// In which executions a reference is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In each.
    Always,
    /// Once in each round of a repeated string instruction: see [`Rounds`]. The address is that of the next round.
    Round(Rounds),
    /// Where a top bit is set.
    Sign(Sign),
    /// Where a bit of a mask register is set.
    Mask {
        /// The mask register, by number.
        register: u8,
        /// Which bit.
        lane: u8,
    },
    /// Where eax has this bit, a component of a saved state.
    Component(u8),
}

/// How often a repeated string instruction goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// The count is ecx instead of rcx. No round is made where it is 0.
    pub narrow: bool,
    /// It also ends behind the first round that leaves ZF other than this. Then the rounds made are known afterwards only:
    /// by how much the count has become less.
    pub while_zero: Option<bool>,
}

/// One memory reference of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// What it does.
    pub kind: Kind,
    /// Bytes.
    pub size: u16,
    /// Where.
    pub place: Place,
    /// In which executions.
    pub when: When,
}

impl Reference {
    fn new(kind: Kind, size: usize, place: Place) -> Reference {
        Reference { kind, size: u16::try_from(size).unwrap_or(u16::MAX), place, when: When::Always }
    }

    fn at(kind: Kind, size: usize, address: Address) -> Reference {
        Reference::new(kind, size, Place::Sum(address))
    }

    /// Whether emitted code can log its address in front of the instruction without a look at anything but general
    /// registers and segment bases.
    pub fn is_plain(&self) -> bool {
        matches!((self.place, self.when), (Place::Sum(_), When::Always))
    }
}

/// Appends the references of an instruction, in their order.
pub fn references(insn: &Instruction, info: &mut InstructionInfoFactory, into: &mut Vec<Reference>) {
    if !(state::add(insn, into) || implicit::add(insn, into)) {
        explicit::add(insn, info, into);
    }
}

//! The address of a memory operand, and instructions of ours that name it.

use crate::decode::number;
use crate::emit::{Emitter, fits_i32, reg};
use crate::layout::{self, SHADOW_BIAS};
use crate::references::Registers;
use iced_x86::{Instruction, Register};

/// A memory operand's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Register numbers.
    base: Option<u8>,
    index: Option<u8>,
    /// log2.
    scale: u8,
    /// With neither base nor index: the address.
    displacement: u64,
    /// Registers and sum have 32 bits.
    narrow: bool,
    /// The context's slot with the base of the segment that it lies behind.
    segment: Option<u32>,
}

/// What an address is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) base: Option<u8>,
    pub(crate) index: Option<u8>,
    pub(crate) scale: u8,
    pub(crate) displacement: u64,
    pub(crate) narrow: bool,
    pub(crate) segment: Option<u32>,
}

impl Address {
    /// What it is made of.
    pub(crate) fn parts(self) -> Parts {
        let Address { base, index, scale, displacement, narrow, segment } = self;
        Parts { base, index, scale, displacement, narrow, segment }
    }

    /// What lies at a distance from a register.
    pub(crate) fn at(register: u8, displacement: u64) -> Address {
        Address { base: Some(register), index: None, scale: 0, displacement, narrow: false, segment: None }
    }

    /// The address of the only explicit memory operand; `None` where it is made of vectors.
    pub(crate) fn of(insn: &Instruction) -> Option<Address> {
        (!insn.memory_index().is_vector_register()).then(|| Address::of_sum(insn))
    }

    /// The same, of which an index that is a vector is left out.
    pub(crate) fn of_sum(insn: &Instruction) -> Address {
        let (base, index) = (insn.memory_base(), insn.memory_index());
        let segment = slot(insn.memory_segment());
        if insn.is_ip_rel_memory_operand() {
            let displacement = insn.ip_rel_memory_address();
            return Address { base: None, index: None, scale: 0, displacement, narrow: false, segment };
        }
        let absolute = base == Register::None && index == Register::None;
        let narrow = base.is_gpr32() || index.is_gpr32() || (absolute && insn.memory_displ_size() == 4);
        let displacement = insn.memory_displacement64();
        // With no register there is nothing left to cut to 32 bits.
        let displacement = if absolute && narrow { u64::from(displacement as u32) } else { displacement };
        Address {
            base: number(base),
            index: number(index),
            scale: insn.memory_index_scale().trailing_zeros() as u8,
            displacement,
            narrow: narrow && !absolute,
            segment,
        }
    }

    /// The same without its index.
    pub(crate) fn without_index(self) -> Address {
        Address { index: None, scale: 0, ..self }
    }

    /// The same without the base of its segment.
    pub(crate) fn without_segment(self) -> Address {
        Address { segment: None, ..self }
    }

    /// The same behind FS or GS, if it is one of these; `narrow`: the register counts with its low 32 bits.
    pub(crate) fn behind(self, segment: Register, narrow: bool) -> Address {
        Address { segment: slot(segment), narrow, ..self }
    }

    /// Its value, `offset` bytes further on.
    pub fn value(self, registers: &impl Registers, offset: u64) -> u64 {
        let of = |register: Option<u8>| register.map_or(0, |number| registers.general(number));
        let sum = of(self.base)
            .wrapping_add(of(self.index) << self.scale)
            .wrapping_add(self.displacement)
            .wrapping_add(offset);
        let sum = if self.narrow { u64::from(sum as u32) } else { sum };
        sum.wrapping_add(self.segment.map_or(0, |slot| registers.base(slot)))
    }

    /// The same with an index register, times 1 << `scale`.
    pub(crate) fn indexed(self, index: u8, scale: u8) -> Address {
        Address { index: Some(index), scale, ..self }
    }

    pub(crate) fn plus(self, bytes: u64) -> Address {
        Address { displacement: self.displacement.wrapping_add(bytes), ..self }
    }

    /// How far it is above another one that is made of the same registers. Where a sum is cut to 32 bits, only that of equal
    /// ones is known.
    pub(crate) fn distance(self, from: Address) -> Option<u64> {
        let distance = self.displacement.wrapping_sub(from.displacement);
        (self == from.plus(distance) && (distance == 0 || !self.narrow)).then_some(distance)
    }

    /// Whether it is a distance from this register alone.
    pub(crate) fn is_at(self, register: u8) -> bool {
        self == Address::at(register, self.displacement)
    }

    /// Whether it does not lie below its registers' sum.
    pub(crate) fn is_not_below(self) -> bool {
        self.displacement as i64 >= 0
    }

    /// Its value, if it is made of no register and lies behind no segment.
    pub(crate) fn constant(self) -> Option<u64> {
        let is_constant = self.base.is_none() && self.index.is_none() && self.segment.is_none();
        is_constant.then_some(self.displacement)
    }

    /// Whether it lies behind FS or GS.
    pub(crate) fn is_behind_segment(self) -> bool {
        self.segment.is_some()
    }

    /// Whether [`Address::load_sum`] can make it in rcx and in r11. Behind a segment there is room for one register, which
    /// must not be the one that the base is loaded to.
    pub(crate) fn can_be_named(self) -> bool {
        self.segment.is_none()
            || !(self.narrow
                || self.uses(reg::RCX)
                || self.uses(reg::R11)
                || (self.base.is_some() && self.index.is_some())
                || !fits_i32(self.displacement))
    }

    /// Whether one instruction can name it, from anywhere in the cache.
    fn is_near(self) -> bool {
        self.base.is_some() || self.index.is_some() || fits_i32(self.displacement)
    }

    /// Where GS has its shadow; `None` when that needs a register.
    pub(crate) fn shadow(self) -> Option<Address> {
        let shadow = self.plus(SHADOW_BIAS);
        (!self.narrow && self.segment.is_none() && fits_i32(shadow.displacement)).then_some(shadow)
    }

    pub(crate) fn uses(self, register: u8) -> bool {
        self.base == Some(register) || self.index == Some(register)
    }

    /// Whether it is made of a register of which the set, by number, has the bit.
    pub(crate) fn uses_any(self, registers: u16) -> bool {
        [self.base, self.index].into_iter().flatten().any(|register| registers & 1 << register != 0)
    }

    /// Loads `register` with what is needed to name the address by it; returns that name.
    pub(crate) fn load(self, e: &mut Emitter<'_>, register: u8) -> Address {
        if let Some(slot) = self.segment {
            e.load_ctx(register, slot);
            let sum = Address { segment: None, ..self };
            return match (self.base, self.index) {
                (Some(base), _) => Address { base: Some(base), index: Some(register), scale: 0, ..sum },
                (None, _) => Address { base: Some(register), ..sum },
            };
        }
        self.load_sum(e, register);
        Address::at(register, 0)
    }

    /// Loads `register` with the address.
    pub(crate) fn load_sum(self, e: &mut Emitter<'_>, register: u8) {
        if self.segment.is_some() {
            let sum = self.load(e, register);
            sum.emit(e, &[], true, &[0x8d], register, &[]);
        } else if self.is_near() {
            // lea: it names no segment.
            self.emit(e, &[], !self.narrow, &[0x8d], register, &[]);
        } else {
            e.load_imm(register, self.displacement);
        }
    }

    /// Emits an instruction with this operand: `prefixes`, REX (`wide`: its W bit), `opcode`, operands with `register`,
    /// `immediate`.
    pub(crate) fn emit(
        self,
        e: &mut Emitter<'_>,
        prefixes: &[u8],
        wide: bool,
        opcode: &[u8],
        register: u8,
        immediate: &[u8],
    ) {
        e.bytes(prefixes);
        if self.narrow {
            e.bytes(&[0x67]);
        }
        let (base, index) = (self.base.unwrap_or(0), self.index.unwrap_or(0));
        let rex = 0x40 | u8::from(wide) << 3 | (register >> 3) << 2 | (index >> 3) << 1 | base >> 3;
        if rex != 0x40 {
            e.bytes(&[rex]);
        }
        e.bytes(opcode);
        let field = (register & 7) << 3;
        let displacement = self.displacement as u32;
        match (self.base, self.index) {
            (None, index) => {
                // Absolute: a SIB byte without base, and without index where there is none.
                let index = index.map_or(4, |index| index & 7);
                e.bytes(&[0x04 | field, self.scale << 6 | index << 3 | 5]);
                e.u32(displacement);
            }
            (Some(base), index) => {
                let short = i8::try_from(displacement as i32);
                let mode = match short {
                    Ok(0) if base & 7 != reg::RBP => 0,
                    Ok(_) => 0x40,
                    Err(_) => 0x80,
                };
                match index {
                    Some(index) => {
                        e.bytes(&[mode | field | 4, self.scale << 6 | (index & 7) << 3 | base & 7]);
                    }
                    None if base & 7 == reg::RSP => e.bytes(&[mode | field | 4, 0x24]),
                    None => e.bytes(&[mode | field | base & 7]),
                }
                match (mode, short) {
                    (0, _) => (),
                    (_, Ok(short)) => e.bytes(&[short as u8]),
                    (_, Err(_)) => e.u32(displacement),
                }
            }
        }
        e.bytes(immediate);
    }
}

/// The context's slot with the base of a segment register, if that can be other than 0.
fn slot(segment: Register) -> Option<u32> {
    match segment {
        Register::FS => Some(layout::GUEST_FS),
        Register::GS => Some(layout::GUEST_GS),
        _ => None,
    }
}

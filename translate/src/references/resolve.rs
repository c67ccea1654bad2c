//! The address of a reference, from the registers before its instruction.

use super::{Place, Reference, Sign, When};
use crate::emit::reg;

/// Registers before an instruction.
pub trait Registers {
    /// A general register, by number.
    fn general(&self, number: u8) -> u64;
    /// The base of the segment whose slot in the context this is: `layout::GUEST_FS` or `GUEST_GS`.
    fn base(&self, slot: u32) -> u64;
    /// 8 bytes of a vector register, from a byte on; 0 behind its end.
    fn vector(&self, number: u8, from: usize) -> u64;
    /// A mask register.
    fn mask(&self, number: u8) -> u64;
}

impl Reference {
    /// Where it is made in an execution that begins with these registers; `None` if it is not. Of a repeated string
    /// instruction: in its first round.
    pub fn address(&self, registers: &impl Registers) -> Option<u64> {
        let made = match self.when {
            When::Always => true,
            When::Round(rounds) => {
                let count = registers.general(reg::RCX);
                (if rounds.narrow { u64::from(count as u32) } else { count }) != 0
            }
            When::Sign(sign) => sign.is_set(registers),
            When::Mask { register, lane } => registers.mask(register) >> lane & 1 != 0,
            When::Component(bit) => registers.general(reg::RAX) & u64::from(bit) != 0,
        };
        made.then(|| self.place.address(registers))
    }
}

impl Place {
    /// The address.
    pub fn address(&self, registers: &impl Registers) -> u64 {
        match *self {
            Place::Sum(address) => address.value(registers, 0),
            Place::PlusAl(address) => address.value(registers, registers.general(reg::RAX) & 0xff),
            Place::Bit { address, register, size } => {
                let unused = 64 - 8 * u32::from(size.clamp(1, 8));
                let bit = (registers.general(register) << unused) as i64 >> unused;
                address.value(registers, (bit >> 3) as u64)
            }
            Place::BitWithin { address, register, size } => {
                let bits = 8 * u64::from(size.max(1));
                address.value(registers, (registers.general(register) % bits) >> 3)
            }
            Place::Element { mask: Some(mask), .. } if !mask.is_set(registers) => registers.general(reg::RSP),
            Place::Element { address, index, lane, size, scale, mask: _ } => {
                address.value(registers, (element(registers, index, lane, size) << scale) as u64)
            }
        }
    }
}

impl Sign {
    fn is_set(self, registers: &impl Registers) -> bool {
        element(registers, self.register, self.lane, self.size) < 0
    }
}

/// An element of a vector register, with its sign.
fn element(registers: &impl Registers, register: u8, lane: u8, size: u8) -> i64 {
    let size = size.clamp(1, 8);
    let unused = 64 - 8 * u32::from(size);
    (registers.vector(register, usize::from(lane) * usize::from(size)) << unused) as i64 >> unused
}

//! Emission of instructions on the shadow: a look at V bits, and their change.
//!
//! The shadow of guest address `a` lies at GS base + [`SHADOW_BIAS`] + `a`. Nothing else in emitted code names GS.

use crate::address::Address;
use crate::emit::{Emitter, reg};
use crate::guard;
use crate::layout::{self, Fix, SHADOW_BIAS};
use alloc::vec::Vec;
use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind, Register};

/// Of a larger piece of the stack, so many bytes at its lower end become undefined.
pub const MOST_UNDEFINED: u64 = 64 << 10;

/// An operand in pieces of 1, 2, 4 or 8 bytes.
pub(crate) fn parts(address: Address, size: u64) -> impl Iterator<Item = (Address, u64)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let left = size - at;
        if left == 0 {
            return None;
        }
        let bytes = left.min(8);
        let bytes = if bytes.is_power_of_two() { bytes } else { bytes.next_power_of_two() / 2 };
        let part = address.plus(at);
        at += bytes;
        Some((part, bytes))
    })
}

/// Makes `bytes` bytes from the stack pointer on undefined.
pub(crate) fn undefine(e: &mut Emitter<'_>, bytes: u64, pc: u64) {
    fill(e, Address::at(reg::RSP, SHADOW_BIAS), bytes / 8, pc);
}

/// Makes `bytes` bytes below the stack pointer undefined.
pub(crate) fn undefine_below(e: &mut Emitter<'_>, bytes: u64, pc: u64) {
    fill(e, Address::at(reg::RSP, SHADOW_BIAS).plus(bytes.wrapping_neg()), bytes / 8, pc);
}

/// The stack has grown by what a register holds, unless that is negative: the new part is undefined. Status flags are
/// overwritten.
pub(crate) fn undefine_by(e: &mut Emitter<'_>, register: u8, pc: u64) {
    const MOST_WORDS: [u8; 4] = ((MOST_UNDEFINED / 8) as u32).to_le_bytes();
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    // mov rcx, register; test rcx, rcx; jns over a jump to the end
    e.bytes(&[0x48 | (register >> 3) << 2, 0x89, 0xc1 | (register & 7) << 3]);
    e.bytes(&[0x48, 0x85, 0xc9, 0x79, 2, 0xeb, 0]);
    let negative = e.offset();
    // shr rcx, 3; cmp rcx, most; jbe over; mov ecx, most; jrcxz over the loop
    e.bytes(&[0x48, 0xc1, 0xe9, 3, 0x48, 0x81, 0xf9]);
    e.bytes(&MOST_WORDS);
    e.bytes(&[0x76, 5, 0xb9]);
    e.bytes(&MOST_WORDS);
    e.bytes(&[0xe3, 0]);
    let none = e.offset();
    fill_by_rcx(e, Address::at(reg::RSP, SHADOW_BIAS), 1);
    for jump in [negative, none] {
        e.patch_u8(jump - 1, (e.offset() - jump) as u8);
    }
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
}

const ONES: [u8; 4] = [0xff; 4];

/// Sets so many words of V bits from `at` on, which rcx has no part in. No flag changes.
fn fill(e: &mut Emitter<'_>, at: Address, words: u64, pc: u64) {
    /// So many words are stored one by one.
    const FEW: u64 = 12;
    if words <= FEW {
        for word in 0..words {
            at.plus(8 * word).emit(e, &[0x65], true, &[0xc7], 0, &ONES);
        }
        return;
    }
    let rest = words % ROUND;
    for word in 0..rest {
        at.plus(8 * word).emit(e, &[0x65], true, &[0xc7], 0, &ONES);
    }
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    e.load_imm(reg::RCX, words - rest);
    fill_by_rcx(e, at.plus(8 * rest), ROUND);
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
}

/// Words that a loop fills in one round; the jump back has to be a short one.
const ROUND: u64 = 8;

/// Sets as many words of V bits from `at` on as rcx says: a multiple of `round`, and at least that. No flag changes.
fn fill_by_rcx(e: &mut Emitter<'_>, at: Address, round: u64) {
    let start = e.offset();
    // lea rcx, [rcx - round]
    e.bytes(&[0x48, 0x8d, 0x49, (round as u8).wrapping_neg()]);
    for word in 0..round {
        at.plus(8 * word).indexed(reg::RCX, 3).emit(e, &[0x65], true, &[0xc7], 0, &ONES);
    }
    // jrcxz over the jump back
    e.bytes(&[0xe3, 2, 0xeb, 0]);
    let back = start.wrapping_sub(e.offset());
    e.patch_u8(e.offset() - 1, back as u8);
}

/// Compares the V bits of an operand with zero. Branches that are taken where one is set are appended to `branches`:
/// offsets of their displacements.
pub(crate) fn look(
    e: &mut Emitter<'_>,
    address: Address,
    size: u64,
    pc: u64,
    keeps_flags: bool,
    branches: &mut Vec<u32>,
) {
    for (part, bytes) in parts(address, size) {
        match part.shadow() {
            Some(shadow) if !keeps_flags => {
                compare(e, shadow, bytes, 0);
                // jne
                branches.push(e.branch(&[0x0f, 0x85]));
            }
            _ => through_rcx(e, part, bytes, pc, keeps_flags, branches),
        }
    }
}

/// `cmp gs:[address], with`
pub(crate) fn compare(e: &mut Emitter<'_>, address: Address, bytes: u64, with: i8) {
    let with = [with as u8];
    match bytes {
        1 => address.emit(e, &[0x65], false, &[0x80], 7, &with),
        2 => address.emit(e, &[0x65, 0x66], false, &[0x83], 7, &with),
        4 => address.emit(e, &[0x65], false, &[0x83], 7, &with),
        _ => address.emit(e, &[0x65], true, &[0x83], 7, &with),
    }
}

/// Defines all bytes of an operand that an instruction of ours can name.
pub(crate) fn define(e: &mut Emitter<'_>, address: Address, size: u64) {
    for (part, bytes) in parts(address, size) {
        let Some(shadow) = part.shadow() else { continue };
        // mov gs:[address], 0
        match bytes {
            1 => shadow.emit(e, &[0x65], false, &[0xc6], 0, &[0]),
            2 => shadow.emit(e, &[0x65, 0x66], false, &[0xc7], 0, &[0; 2]),
            4 => shadow.emit(e, &[0x65], false, &[0xc7], 0, &[0; 4]),
            _ => shadow.emit(e, &[0x65], true, &[0xc7], 0, &[0; 4]),
        }
    }
}

/// The look where a flag is live, or of an address whose shadow only a register can name.
fn through_rcx(
    e: &mut Emitter<'_>,
    address: Address,
    bytes: u64,
    pc: u64,
    keeps_flags: bool,
    branches: &mut Vec<u32>,
) {
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    let shadow = address.shadow().unwrap_or_else(|| address.load(e, reg::RCX).plus(SHADOW_BIAS));
    if !keeps_flags {
        compare(e, shadow, bytes, 0);
        e.load_ctx(reg::RCX, layout::SPILL);
        e.mark(pc, Fix::NONE);
        branches.push(e.branch(&[0x0f, 0x85]));
        return;
    }
    load(e, shadow, bytes, reg::RCX);
    branches.push(guard::leave_unless_rcx_is_zero(e, pc));
}

/// Loads a register with the V bits of 1, 2, 4 or 8 bytes, and zeros above them.
pub(crate) fn load(e: &mut Emitter<'_>, shadow: Address, bytes: u64, register: u8) {
    match bytes {
        1 => shadow.emit(e, &[0x65], false, &[0x0f, 0xb6], register, &[]),
        2 => shadow.emit(e, &[0x65], false, &[0x0f, 0xb7], register, &[]),
        4 => shadow.emit(e, &[0x65], false, &[0x8b], register, &[]),
        _ => shadow.emit(e, &[0x65], true, &[0x8b], register, &[]),
    }
}

/// Stores the low 1, 2, 4 or 8 bytes of rcx as V bits.
pub(crate) fn store_rcx(e: &mut Emitter<'_>, shadow: Address, bytes: u64) {
    match bytes {
        1 => shadow.emit(e, &[0x65], false, &[0x88], reg::RCX, &[]),
        2 => shadow.emit(e, &[0x65, 0x66], false, &[0x89], reg::RCX, &[]),
        4 => shadow.emit(e, &[0x65], false, &[0x89], reg::RCX, &[]),
        _ => shadow.emit(e, &[0x65], true, &[0x89], reg::RCX, &[]),
    }
}

/// What to do about an instruction on the shadow that has faulted, because its address has none: see [`faulted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faulted {
    /// Bytes of the instruction, to go on behind it: the access itself faults next, as it does natively.
    pub length: u8,
    /// What it was to do.
    pub missed: Missed,
}

/// What an instruction on the shadow was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// To compare: ZF must become 1.
    Compare,
    /// To load rcx, which must become 0.
    LoadRcx,
    /// To store: nothing is left to do.
    Store,
}

/// Recognises an instruction on the shadow in the code at an address of the cache: nothing else there names GS.
pub fn faulted(code: &[u8]) -> Option<Faulted> {
    let insn = Decoder::new(64, code, DecoderOptions::NONE).decode();
    let missed = match insn.mnemonic() {
        Mnemonic::Cmp => Missed::Compare,
        _ if insn.op0_kind() == OpKind::Register => Missed::LoadRcx,
        _ => Missed::Store,
    };
    (insn.segment_prefix() == Register::GS && !insn.is_invalid())
        .then_some(Faulted { length: insn.len() as u8, missed })
}

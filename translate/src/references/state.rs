//! Saved state: x87 environments, `fxsave`, `xsave` and what loads them again, in the pieces that VEX makes of them.
//!
//! Rule of `xsave` and `xrstor`: vector registers count where eax asks for them; the x87 and MXCSR parts always, as tools take
//! what a helper of VEX may access for accessed. VEX does not read registers that the saved image does not have (its header,
//! in memory); that is not seen here. Components behind AVX (protection keys, AVX-512), which VEX does not have, do not count.

use super::{Kind, Reference, When};
use crate::address::Address;
use alloc::vec::Vec;
use iced_x86::{Instruction, Mnemonic};

/// Bits of eax: SSE, AVX.
const SSE: u8 = 2;
const AVX: u8 = 4;

/// Begin of the vector registers in the image, and of their upper halves.
const XMM: u64 = 160;
const YMM: u64 = 576;
const HEADER: u64 = 512;
/// Vector registers in the image.
const REGISTERS: u64 = 16;

/// Whether the instruction is one of these; appends its references.
pub(super) fn add(insn: &Instruction, into: &mut Vec<Reference>) -> bool {
    use Mnemonic::*;
    let Some(address) = Address::of(insn) else { return false };
    let whole = |kind, into: &mut Vec<Reference>| {
        into.push(Reference::at(kind, insn.memory_size().size(), address));
    };
    match insn.mnemonic() {
        Fnstenv | Fstenv | Fnsave | Fsave => whole(Kind::Write, into),
        Fldenv | Frstor => whole(Kind::Read, into),
        Fxsave | Fxsave64 => legacy(Kind::Write, address, None, into),
        Fxrstor | Fxrstor64 => legacy(Kind::Read, address, None, into),
        Xsave | Xsave64 | Xsavec | Xsavec64 | Xsaveopt | Xsaveopt64 => {
            legacy(Kind::Write, address, Some(SSE), into);
            registers(Kind::Write, address.plus(YMM), Some(AVX), into);
            into.push(Reference::at(Kind::Modify, 1, address.plus(HEADER)));
        }
        Xrstor | Xrstor64 => {
            for at in [0, 8, 16] {
                into.push(Reference::at(Kind::Read, 8, address.plus(HEADER + at)));
            }
            legacy(Kind::Read, address, Some(SSE), into);
            registers(Kind::Read, address.plus(YMM), Some(AVX), into);
        }
        _ => return false,
    }
    true
}

/// The image of `fxsave`: x87, MXCSR, vector registers; `component`: what the last ones depend on.
fn legacy(kind: Kind, address: Address, component: Option<u8>, into: &mut Vec<Reference>) {
    into.push(Reference::at(kind, 160, address));
    into.push(Reference::at(kind, 8, address.plus(24)));
    registers(kind, address.plus(XMM), component, into);
}

fn registers(kind: Kind, first: Address, component: Option<u8>, into: &mut Vec<Reference>) {
    let when = component.map_or(When::Always, When::Component);
    let each = |number| Reference { when, ..Reference::at(kind, 16, first.plus(16 * number)) };
    into.extend((0..REGISTERS).map(each));
}

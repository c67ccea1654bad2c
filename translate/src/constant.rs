//! Instructions that combine one operand with a constant, so that only some of its V bits matter: tests of flags in a word
//! whose other bits are undefined, mostly.
//!
//! `test` and `and`: those where the constant is 1. `or`: those where it is 0. Where none of these is set, all that the
//! instruction writes is defined; else the rules decide (`definedness`).

use crate::address::Address;
use crate::decode::number;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// Where the operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    /// A general register. `high`: its second byte.
    Register { number: u8, high: bool },
    /// Memory.
    Memory(Address),
}

/// Such an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Constant {
    pub(crate) operand: Operand,
    /// 1, 2, 4 or 8.
    pub(crate) bytes: u8,
    /// The V bits that matter; of 8 bytes, the upper half is the sign's.
    pub(crate) matters: u32,
    /// Whether the operand is overwritten.
    pub(crate) writes: bool,
}

/// What an instruction is, whose access, if it makes one, is at `address`.
pub(crate) fn constant(insn: &Instruction, address: Option<Address>) -> Option<Constant> {
    let bytes = match insn.op0_kind() {
        OpKind::Register => insn.op0_register().size(),
        OpKind::Memory => insn.memory_size().size(),
        _ => return None,
    };
    if insn.op_count() != 2 || !matches!(bytes, 1 | 2 | 4 | 8) {
        return None;
    }
    let value = insn.try_immediate(1).ok()? as u32;
    let (matters, writes) = match insn.mnemonic() {
        Mnemonic::Test => (value, false),
        Mnemonic::And => (value, true),
        Mnemonic::Or => (!value, true),
        _ => return None,
    };
    let operand = if insn.op0_kind() == OpKind::Memory {
        Operand::Memory(address?)
    } else {
        // Of a register that is overwritten in part, the rest is kept.
        if writes && bytes < 4 {
            return None;
        }
        let register = insn.op0_register();
        let high = matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
        Operand::Register { number: number(register)?, high }
    };
    let matters = if bytes < 4 { matters & ((1 << (8 * bytes)) - 1) } else { matters };
    Some(Constant { operand, bytes: bytes as u8, matters, writes })
}

//! References that no operand names, or not with its own address: the stack, strings, tables, bits.

use super::{Kind, Place, Reference, Rounds, When};
use crate::address::Address;
use crate::decode::number;
use crate::emit::reg;
use alloc::vec::Vec;
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// How far below the stack pointer VEX puts the register operand of `bt r,r` in order to look at a bit of it.
const BITS_BELOW: u64 = 288;

/// Whether all references of the instruction are of these kinds; appends them.
pub(super) fn add(insn: &Instruction, into: &mut Vec<Reference>) -> bool {
    use Mnemonic::*;
    match insn.mnemonic() {
        Push | Pushf | Pushfq | Call => {
            // The operand comes first, with the stack pointer as it was.
            if insn.op0_kind() == OpKind::Memory
                && let Some(address) = Address::of(insn)
            {
                into.push(Reference::at(Kind::Read, insn.memory_size().size(), address));
            }
            let bytes = insn.stack_pointer_increment().unsigned_abs();
            into.push(Reference::at(Kind::Write, bytes as usize, below(u64::from(bytes))));
        }
        Pop | Popf | Popfq | Ret => {
            let bytes = match insn.mnemonic() {
                // What is popped beyond the return address is not read.
                Ret => {
                    if insn.code() == iced_x86::Code::Retnw || insn.code() == iced_x86::Code::Retnw_imm16 {
                        2
                    } else {
                        8
                    }
                }
                _ => insn.stack_pointer_increment().unsigned_abs(),
            };
            into.push(Reference::at(Kind::Read, bytes as usize, below(0)));
            if insn.op0_kind() == OpKind::Memory
                && let Some(address) = Address::of(insn)
            {
                // The address is that behind the pop.
                let popped = insn.memory_base() == Register::RSP || insn.memory_base() == Register::ESP;
                let address = if popped { address.plus(u64::from(bytes)) } else { address };
                into.push(Reference::at(Kind::Write, bytes as usize, address));
            }
        }
        Leave => {
            let bytes = if insn.code() == iced_x86::Code::Leavew { 2 } else { 8 };
            into.push(Reference::at(Kind::Read, bytes, Address::at(reg::RBP, 0)));
        }
        Enter => enter(insn, into),
        Xlatb => {
            // The operand's base; its index is al.
            if let Some(address) = Address::of(insn) {
                into.push(Reference::new(Kind::Read, 1, Place::PlusAl(address.without_index())));
            }
        }
        Bt | Bts | Btr | Btc if insn.op1_kind() == OpKind::Register => bits(insn, into),
        Maskmovq | Maskmovdqu | Vmaskmovdqu => {
            if let Some(address) = string(insn, 0) {
                into.push(Reference::at(Kind::Modify, insn.memory_size().size(), address));
            }
        }
        _ if insn.is_string_instruction() => strings(insn, into),
        _ => return false,
    }
    true
}

fn below(bytes: u64) -> Address {
    Address::at(reg::RSP, bytes.wrapping_neg())
}

/// Pushes rbp, then, with a level, copies the enclosing frames' pointers and pushes its own.
fn enter(insn: &Instruction, into: &mut Vec<Reference>) {
    let bytes = if insn.code() == iced_x86::Code::Enterw_imm16_imm8 { 2 } else { 8 };
    let level = u64::from(insn.immediate8_2nd()) % 32;
    let push = |number: u64| Reference::at(Kind::Write, bytes as usize, below(bytes * number));
    into.push(push(1));
    for number in 1..level {
        let from = Address::at(reg::RBP, (bytes * number).wrapping_neg());
        into.extend([Reference::at(Kind::Read, bytes as usize, from), push(number + 1)]);
    }
    if level > 0 {
        into.push(push(level + 1));
    }
}

/// A bit whose number is in a register. Of memory the byte with the bit; a register goes by way of the stack.
fn bits(insn: &Instruction, into: &mut Vec<Reference>) {
    let Some(register) = number(insn.op1_register().full_register()) else { return };
    let size = insn.op1_register().size();
    let tests = insn.mnemonic() == Mnemonic::Bt;
    let kind = if tests { Kind::Read } else { Kind::Modify };
    let narrow = size as u8;
    if insn.op0_kind() == OpKind::Memory {
        let Some(address) = Address::of(insn) else { return };
        let byte = Reference::new(kind, 1, Place::Bit { address, register, size: narrow });
        if insn.has_lock_prefix() {
            into.push(Reference { kind: Kind::Read, ..byte });
        }
        into.push(byte);
        return;
    }
    let address = below(BITS_BELOW);
    into.push(Reference::at(Kind::Write, size, address));
    into.push(Reference::new(kind, 1, Place::BitWithin { address, register, size: narrow }));
    if !tests {
        into.push(Reference::at(Kind::Read, size, address));
    }
}

fn strings(insn: &Instruction, into: &mut Vec<Reference>) {
    use Mnemonic::*;
    let size = insn.memory_size().size();
    let operand = |kind, which| string(insn, which).map(|address| Reference::at(kind, size, address));
    let operands = match insn.mnemonic() {
        Movsb | Movsw | Movsd | Movsq => [operand(Kind::Read, 1), operand(Kind::Write, 0)],
        // rdi comes first.
        Cmpsb | Cmpsw | Cmpsd | Cmpsq => [operand(Kind::Read, 1), operand(Kind::Read, 0)],
        Stosb | Stosw | Stosd | Stosq => [operand(Kind::Write, 0), None],
        Lodsb | Lodsw | Lodsd | Lodsq | Scasb | Scasw | Scasd | Scasq => [operand(Kind::Read, 1), None],
        // Ports.
        _ => [None, None],
    };
    let when = match rounds(insn) {
        Some(rounds) => When::Round(rounds),
        None => When::Always,
    };
    into.extend(operands.into_iter().flatten().map(|reference| Reference { when, ..reference }));
}

/// How a string instruction is repeated, if it is. Of `rep lods` VEX overlooks the prefix.
pub(super) fn rounds(insn: &Instruction) -> Option<Rounds> {
    use Mnemonic::*;
    let compares = match insn.mnemonic() {
        Movsb | Movsw | Movsd | Movsq | Stosb | Stosw | Stosd | Stosq => false,
        Cmpsb | Cmpsw | Cmpsd | Cmpsq | Scasb | Scasw | Scasd | Scasq => true,
        _ => return None,
    };
    if !insn.is_string_instruction() || !(insn.has_rep_prefix() || insn.has_repne_prefix()) {
        return None;
    }
    let narrow = (0..insn.op_count())
        .any(|operand| matches!(insn.op_kind(operand), OpKind::MemorySegESI | OpKind::MemoryESEDI));
    Some(Rounds { narrow, while_zero: compares.then_some(insn.has_rep_prefix()) })
}

/// The address of an operand that is a string's: at rsi, which a segment may be before, or at rdi.
fn string(insn: &Instruction, operand: u32) -> Option<Address> {
    let (register, narrow) = match insn.op_kind(operand) {
        OpKind::MemorySegRSI => (reg::RSI, false),
        OpKind::MemorySegESI => (reg::RSI, true),
        OpKind::MemorySegRDI | OpKind::MemoryESRDI => (reg::RDI, false),
        OpKind::MemorySegEDI | OpKind::MemoryESEDI => (reg::RDI, true),
        _ => return None,
    };
    // In 64-bit code ES begins at 0.
    let segment = if matches!(insn.op_kind(operand), OpKind::MemoryESRDI | OpKind::MemoryESEDI) {
        Register::None
    } else {
        insn.memory_segment()
    };
    Some(Address::at(register, 0).behind(segment, narrow))
}

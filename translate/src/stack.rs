//! What instructions do to the stack without an operand that says so: its growth, pushes and pops.

use crate::access::{accesses, is_common};
use crate::address::Address;
use crate::decode::{Flow, Insn};
use crate::emit::reg;
use crate::operand::Tools;
use iced_x86::{Instruction, Mnemonic, OpAccess, OpKind, Register};

/// How an instruction makes the stack grow by more than a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By so many bytes.
    Constant(u64),
    /// By what this register holds.
    Register(Register),
}

/// By how much an instruction moves the stack pointer down.
pub fn stack_growth(insn: &Instruction) -> Option<Growth> {
    if insn.op_count() != 2 || insn.op0_kind() != OpKind::Register || insn.op0_register() != Register::RSP {
        return None;
    }
    let constant = |by: u64| ((by as i64) > 0).then_some(Growth::Constant(by));
    match (insn.mnemonic(), insn.op1_kind()) {
        (Mnemonic::Sub, OpKind::Register) => Some(Growth::Register(insn.op1_register())),
        (Mnemonic::Sub, _) => constant(insn.try_immediate(1).ok()?),
        (Mnemonic::Add, _) => constant(insn.try_immediate(1).ok()?.wrapping_neg()),
        (Mnemonic::Lea, _)
            if insn.memory_base() == Register::RSP && insn.memory_index() == Register::None =>
        {
            constant(insn.memory_displacement64().wrapping_neg())
        }
        _ => None,
    }
}

/// What an instruction takes from the stack, but for a return address.
pub(crate) fn stack_read(insn: &Instruction) -> Option<(Address, u8)> {
    let size = insn.stack_pointer_increment();
    match insn.mnemonic() {
        Mnemonic::Pop | Mnemonic::Popf | Mnemonic::Popfq => Some((Address::at(reg::RSP, 0), size as u8)),
        Mnemonic::Leave => Some((Address::at(reg::RBP, 0), 8)),
        _ => None,
    }
}

/// Bytes of the stack that an instruction surely writes.
pub(crate) fn stack_write(insn: &Insn, tools: &mut Tools) -> Option<(Address, u8)> {
    let iced = &insn.iced;
    let below = |bytes: i32| (Address::at(reg::RSP, i64::from(bytes).wrapping_neg() as u64), bytes as u8);
    match insn.flow {
        Flow::Call(_) | Flow::IndirectCall => return Some(below(8)),
        Flow::Next => (),
        _ => return None,
    }
    match iced.mnemonic() {
        Mnemonic::Push | Mnemonic::Pushf | Mnemonic::Pushfq => {
            return Some(below(-iced.stack_pointer_increment()));
        }
        _ => (),
    }
    let size = iced.memory_size().size();
    if iced.op_count() == 0
        || iced.op0_kind() != OpKind::Memory
        || iced.memory_base() != Register::RSP
        || iced.memory_index() != Register::None
        || !is_common(size)
        || !accesses(iced)
        || tools.access(iced, 0) != OpAccess::Write
    {
        return None;
    }
    let address = Address::of(iced)?;
    address.shadow().map(|_| (address, size as u8))
}

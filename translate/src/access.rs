//! Which accesses to memory an instruction makes that code can look at before it is executed, and which it cannot.

use crate::address::Address;
use crate::decode::{Flow, Insn};
use crate::flags::{Incoming, incoming_flags};
use crate::mode::Mode;
use crate::operand::Tools;
use crate::stack::{Growth, stack_growth, stack_read};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpAccess, OpKind, Register};

/// What an instruction does with the memory that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads it, perhaps only under a condition.
    Read,
    /// Writes it, whatever was there.
    Write,
    /// Reads and writes it.
    Update,
}

/// The checks that an instruction needs: of its operand, and of what it takes from the stack.
pub(crate) fn needed(insn: &Insn, mode: Mode, tools: &mut Tools) -> [Option<(Address, u8, Access)>; 2] {
    let iced = &insn.iced;
    let stack = if mode != Mode::Plain { stack_read(iced) } else { None };
    [operand(insn, mode, tools), stack.map(|(address, size)| (address, size, Access::Read))]
}

fn operand(insn: &Insn, mode: Mode, tools: &mut Tools) -> Option<(Address, u8, Access)> {
    let iced = &insn.iced;
    if !matches!(insn.flow, Flow::Next | Flow::IndirectJump | Flow::IndirectCall) {
        return None;
    }
    let operand = (0..iced.op_count()).find(|&operand| iced.op_kind(operand) == OpKind::Memory)?;
    let size = iced.memory_size().size();
    if !is_common(size) || !accesses(iced) {
        return None;
    }
    let address = Address::of(iced)?;
    if address.is_behind_segment() && !(mode != Mode::Plain && address.can_be_named()) {
        return None;
    }
    let access = if operand == 0 {
        match tools.access(iced, 0) {
            OpAccess::Write | OpAccess::CondWrite => Access::Write,
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => Access::Update,
            OpAccess::Read | OpAccess::CondRead => Access::Read,
            OpAccess::None | OpAccess::NoMemAccess => return None,
        }
    } else {
        Access::Read
    };
    Some((address, size as u8, access))
}

/// Sizes of accesses that checks can look at.
pub(crate) fn is_common(size: usize) -> bool {
    matches!(size, 1 | 2 | 4 | 6 | 8 | 10 | 16 | 32 | 64)
}

/// Whether the bytes that the operand names are those that the instruction accesses, all of them.
pub(crate) fn accesses(insn: &Instruction) -> bool {
    use Mnemonic::*;
    match insn.mnemonic() {
        // The operand's address is that behind the pop.
        Pop => insn.memory_base() != Register::RSP && insn.memory_base() != Register::ESP,
        // A bit number in a register reaches beyond the operand.
        Bt | Bts | Btr | Btc => insn.op1_kind() != OpKind::Register,
        Vmaskmovps | Vmaskmovpd | Vpmaskmovd | Vpmaskmovq => false,
        // Its index is al.
        Xlatb => false,
        Verr | Verw | Fxsave | Fxsave64 | Fxrstor | Fxrstor64 | Lldt | Ltr | Lgdt | Lidt | Sgdt | Sidt => {
            false
        }
        // Elements that the mask leaves out are not accessed.
        _ => names_memory(insn) && insn.op_mask() == Register::None,
    }
}

/// Whether the memory operand is more than an address.
pub(crate) fn names_memory(insn: &Instruction) -> bool {
    use Mnemonic::*;
    !matches!(
        insn.mnemonic(),
        Lea | Nop
            | Reservednop
            | Invlpg
            | Clflush
            | Clflushopt
            | Clwb
            | Cldemote
            | Prefetch
            | Prefetchw
            | Prefetchwt1
            | Prefetchnta
            | Prefetcht0
            | Prefetcht1
            | Prefetcht2
    )
}

/// Whether the instruction at `pc` is one that only precise code can follow.
pub fn is_beyond(bytes: &[u8], pc: u64) -> bool {
    let insn = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE).decode();
    !insn.is_invalid() && insn.flow_control() == iced_x86::FlowControl::Next && is_unchecked(&insn)
}

/// Whether clean code has to leave an instruction to precise code; `behind`: the bytes behind it.
pub(crate) fn is_beyond_clean(insn: &Instruction, behind: &[u8]) -> bool {
    if let Some(Growth::Register(register)) = stack_growth(insn) {
        // Code can do it with the status flags that the instruction overwrites, once nothing reads those.
        let by_code = register.is_gpr64() && register != Register::RSP;
        return !(by_code && incoming_flags(behind, insn.next_ip()) == Incoming::Overwritten);
    }
    is_unchecked(insn)
}

/// Whether an instruction touches memory in a way that no check in code can look at: strings, gathers, masked and saved
/// state, and the like.
pub(crate) fn is_unchecked(insn: &Instruction) -> bool {
    use Mnemonic::*;
    if insn.is_string_instruction()
        || matches!(insn.mnemonic(), Enter | Xlatb | Maskmovq | Maskmovdqu | Vmaskmovdqu)
    {
        return true;
    }
    if matches!(stack_growth(insn), Some(Growth::Register(_))) {
        return true;
    }
    let has_memory = (0..insn.op_count()).any(|op| insn.op_kind(op) == OpKind::Memory);
    if !has_memory || !names_memory(insn) {
        return false;
    }
    if insn.mnemonic() == Pop || !accesses(insn) || !is_common(insn.memory_size().size()) {
        return true;
    }
    Address::of(insn).is_none_or(|address| !address.can_be_named())
}

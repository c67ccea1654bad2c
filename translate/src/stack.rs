//! What instructions do to the stack without an operand that says so: its growth, pushes and pops.

use crate::access::{accesses, is_common};
use crate::address::Address;
use crate::decode::{Block, Flow, Insn};
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

/// By how many bytes an instruction moves the stack pointer, when that is a constant.
pub(crate) fn stack_change(insn: &Instruction) -> Option<i64> {
    match insn.mnemonic() {
        Mnemonic::Push | Mnemonic::Pushf | Mnemonic::Pushfq => {
            Some(i64::from(insn.stack_pointer_increment()))
        }
        Mnemonic::Pop if insn.op0_kind() != OpKind::Register || insn.op0_register() != Register::RSP => {
            Some(i64::from(insn.stack_pointer_increment()))
        }
        Mnemonic::Add if insn.op0_kind() == OpKind::Register && insn.op0_register() == Register::RSP => {
            insn.try_immediate(1).ok().map(|by| by as i64)
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

/// Bytes below the stack pointer that a function may use, by the ABI.
const RED_ZONE: i64 = 128;

/// How many bytes below the stack pointer the function that begins with a block has for variables, without making room
/// for them; 0 for one that does not. As many as its instructions name where all are in the block, else all that there
/// can be.
pub(crate) fn red_zone(block: &Block<'_>) -> u64 {
    // Where the registers point, from the stack pointer at the beginning.
    let (mut sp, mut frame) = (0, None);
    let (mut lowest, mut limit) = (0, 0);
    for insn in &block.insns {
        let iced = &insn.iced;
        let to = if iced.op_count() > 0 && iced.op0_kind() == OpKind::Register {
            iced.op0_register()
        } else {
            Register::None
        };
        let base = match iced.memory_base() {
            Register::RSP => Some(sp),
            Register::RBP => frame,
            _ => None,
        };
        if let Some(base) = base.filter(|_| to != Register::RSP) {
            let at = base + iced.memory_displacement64() as i64;
            if (sp - RED_ZONE..sp).contains(&at) {
                lowest = at.min(lowest);
                limit = limit.min(sp - RED_ZONE);
            }
        }
        if to == Register::RSP {
            let Some(Growth::Constant(bytes)) = stack_growth(iced) else { break };
            sp -= bytes as i64;
        } else {
            sp += stack_change(iced).unwrap_or(0);
        }
        if to == Register::RBP {
            let copied = iced.mnemonic() == Mnemonic::Mov && iced.op1_kind() == OpKind::Register;
            frame = (copied && iced.op1_register() == Register::RSP).then_some(sp);
        }
    }
    let whole = block.insns.split_last().is_some_and(|(last, others)| {
        matches!(last.flow, Flow::Return(_)) && others.iter().all(|insn| insn.flow == Flow::Next)
    });
    let lowest: i64 = if whole { lowest } else { limit };
    lowest.unsigned_abs().next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Limits;

    fn of(code: &[u8]) -> u64 {
        red_zone(&Block::decode(code, 0x1000, Limits::default()))
    }

    #[test]
    fn room_below_the_stack_pointer_is_found() {
        // mov [rsp-12], edi; ret
        assert_eq!(of(&[0x89, 0x7c, 0x24, 0xf4, 0xc3]), 16);
        // push rbp; mov rbp, rsp; mov [rbp-20], edi; mov eax, [rbp-4]; pop rbp; ret
        let unoptimised = [0x55, 0x48, 0x89, 0xe5, 0x89, 0x7d, 0xec, 0x8b, 0x45, 0xfc, 0x5d, 0xc3];
        assert_eq!(of(&unoptimised), 32);
        // The same with test eax, eax; je in front of the return: there may be more.
        let branches = [0x55, 0x48, 0x89, 0xe5, 0x8b, 0x45, 0xfc, 0x85, 0xc0, 0x74, 0x10, 0x5d, 0xc3];
        assert_eq!(of(&branches), 136);
        // lea rax, [rsp-0x78]; jmp
        assert_eq!(of(&[0x48, 0x8d, 0x44, 0x24, 0x88, 0xeb, 0x10]), 128);
    }

    #[test]
    fn others_have_none() {
        // sub rsp, 24; mov [rsp+8], edi; add rsp, 24; ret
        let room = [0x48, 0x83, 0xec, 0x18, 0x89, 0x7c, 0x24, 0x08, 0x48, 0x83, 0xc4, 0x18, 0xc3];
        assert_eq!(of(&room), 0);
        // push rbp; mov rbp, rsp; sub rsp, 32; mov [rbp-20], edi; leave; ret
        let framed = [0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0x89, 0x7d, 0xec, 0xc9, 0xc3];
        assert_eq!(of(&framed), 0);
        // mov eax, [rsp+8]; mov [rbp-4], eax; ret: the frame is another function's
        assert_eq!(of(&[0x8b, 0x44, 0x24, 0x08, 0x89, 0x45, 0xfc, 0xc3]), 0);
    }
}

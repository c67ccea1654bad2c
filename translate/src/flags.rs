//! Liveness of the six status flags inside a block.
//!
//! Conservative: at every way out of the block all flags count as live, but for what the caller has found out about the
//! place that its end leads to ([`incoming_flags`]).

use crate::decode::Insn;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic, RflagsBits};

/// OF SF ZF AF CF PF: what cmp and add change.
pub(crate) const STATUS: u32 =
    RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::AF | RflagsBits::CF | RflagsBits::PF;

/// Which status flags an instruction surely overwrites, whatever its operands' values.
///
/// Flags that the manuals leave undefined count as kept, because processors do keep some of them (bsf, mul, div) and
/// a guest must not see another value than natively; but every processor clears AF in the logical operations, which
/// are too common to let AF stay live across them.
pub(crate) fn killed(insn: &iced_x86::Instruction) -> u32 {
    use iced_x86::Mnemonic::*;
    match insn.mnemonic() {
        // A count of zero changes no flag; the count may come from CL or be masked to zero.
        Shl | Sal | Shr | Sar | Rol | Ror | Rcl | Rcr | Shld | Shrd => {
            let last = insn.op_count() - 1;
            let known = insn.op_kind(last) == iced_x86::OpKind::Immediate8
                && insn.immediate8() & if insn.op0_size_is_64() { 63 } else { 31 } != 0;
            if known { overwritten(insn) } else { 0 }
        }
        // With a repeat count of zero the flags stay.
        Cmpsb | Cmpsw | Cmpsd | Cmpsq | Scasb | Scasw | Scasd | Scasq
            if insn.has_rep_prefix() || insn.has_repne_prefix() =>
        {
            0
        }
        And | Or | Xor | Test => STATUS,
        _ => overwritten(insn),
    }
}

/// What code does with the status flags that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// It overwrites all before it reads one.
    Overwritten,
    /// It reads one.
    Read,
    /// It returns before it has done either.
    Returned,
    /// It is an entry of a linkage table: a jump through a pointer at a fixed address.
    Linked,
    /// It goes elsewhere, or on beyond what is known.
    Unknown,
}

/// What the code at `pc`, of which `bytes` are known, does with the status flags.
pub fn incoming_flags(bytes: &[u8], pc: u64) -> Incoming {
    let (mut live, mut idle) = (STATUS, true);
    for insn in &mut Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE) {
        if insn.is_invalid() || insn.mnemonic() == Mnemonic::Syscall {
            break;
        }
        if insn.rflags_read() & live != 0 {
            return Incoming::Read;
        }
        match insn.flow_control() {
            FlowControl::Next => live &= !killed(&insn),
            FlowControl::Return => return Incoming::Returned,
            FlowControl::IndirectBranch if idle && insn.is_ip_rel_memory_operand() => {
                return Incoming::Linked;
            }
            _ => break,
        }
        if live == 0 {
            return Incoming::Overwritten;
        }
        idle &= is_idle(&insn);
    }
    Incoming::Unknown
}

/// Whether an instruction does nothing: what a linkage table has around its jumps.
pub(crate) fn is_idle(insn: &iced_x86::Instruction) -> bool {
    matches!(insn.mnemonic(), Mnemonic::Endbr64 | Mnemonic::Nop)
}

fn overwritten(insn: &iced_x86::Instruction) -> u32 {
    (insn.rflags_written() | insn.rflags_cleared() | insn.rflags_set()) & STATUS
}

trait Op0Size {
    fn op0_size_is_64(&self) -> bool;
}

impl Op0Size for iced_x86::Instruction {
    fn op0_size_is_64(&self) -> bool {
        match self.op0_kind() {
            iced_x86::OpKind::Register => self.op0_register().size() == 8,
            iced_x86::OpKind::Memory => self.memory_size().size() == 8,
            _ => false,
        }
    }
}

/// Status flags that are live before each instruction of the block; one more entry for the block's end. `dead_at_end`: none
/// is where its last instruction leads.
pub(crate) fn live_before(insns: &[Insn], dead_at_end: bool, out: &mut alloc::vec::Vec<u32>) {
    let mut live = if dead_at_end { 0 } else { STATUS };
    out.clear();
    out.resize(insns.len() + 1, live);
    for (i, insn) in insns.iter().enumerate().rev() {
        if insn.flow.leaves() && i + 1 != insns.len() {
            live = STATUS;
        }
        live &= !killed(&insn.iced);
        live |= insn.iced.rflags_read() & STATUS;
        out[i] = live;
    }
}

#[cfg(test)]
mod tests {
    use super::{Incoming, incoming_flags};

    #[test]
    fn entries_of_linkage_tables_are_known() {
        // jmp [rip+...]; with endbr64 and bnd in front
        let plain = [0xff, 0x25, 0x10, 0, 0, 0];
        let enforced = [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0x10, 0, 0, 0];
        assert_eq!(incoming_flags(&plain, 0x1000), Incoming::Linked);
        assert_eq!(incoming_flags(&enforced, 0x1000), Incoming::Linked);
        // mov eax, ecx; jmp [rip+...]: anything
        let other = [0x89, 0xc8, 0xff, 0x25, 0x10, 0, 0, 0];
        assert_eq!(incoming_flags(&other, 0x1000), Incoming::Unknown);
        // jmp rax
        assert_eq!(incoming_flags(&[0xff, 0xe0], 0x1000), Incoming::Unknown);
    }

    #[test]
    fn what_comes_first_counts() {
        // mov eax, ecx; cmp eax, 1
        assert_eq!(incoming_flags(&[0x89, 0xc8, 0x83, 0xf8, 1], 0x1000), Incoming::Overwritten);
        // mov eax, ecx; ret
        assert_eq!(incoming_flags(&[0x89, 0xc8, 0xc3], 0x1000), Incoming::Returned);
        // inc eax keeps the carry; adc eax, ecx
        assert_eq!(incoming_flags(&[0xff, 0xc0, 0x11, 0xc8], 0x1000), Incoming::Read);
    }
}

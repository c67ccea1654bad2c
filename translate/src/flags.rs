//! Liveness of the six status flags inside a block.
//!
//! Conservative: at every way out of the block all flags count as live, but for what the caller has found out about the
//! place that its end leads to ([`overwrites_flags`]).

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

/// Whether the code at `pc`, of which `bytes` are known, overwrites all status flags before it reads one or goes elsewhere.
pub fn overwrites_flags(bytes: &[u8], pc: u64) -> bool {
    let mut live = STATUS;
    for insn in &mut Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE) {
        let goes_on = insn.flow_control() == FlowControl::Next && insn.mnemonic() != Mnemonic::Syscall;
        if insn.is_invalid() || !goes_on || insn.rflags_read() & live != 0 {
            return false;
        }
        live &= !killed(&insn);
        if live == 0 {
            return true;
        }
    }
    false
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

//! Telling of calls: what a function's entry and its return leave in the thread's log.
//!
//! Emitted code appends to the log and nothing else; what the events mean is worked out by who reads it. Always holds: an event
//! is there in full once `LOG` has been moved behind it, and not at all before. One that is told twice, because the thread was
//! interrupted behind it, tells nothing new: it has the same stack pointer.
//!
//! The log ends at a page that cannot be touched. The first store of an event is that to its highest place, and the one that meets
//! the page: then nothing of the event is there yet, and the thread may go on with that store at the log's start ([`LOG_REGISTER`]).

use crate::count;
use crate::decode::{Block, Flow};
use crate::emit::{Emitter, reg};
use crate::layout::{self, Fix};
use iced_x86::{Mnemonic, Register};

/// Words of an event that a function has been entered: `!number`, the clock, what lies at the stack pointer (the return
/// address, if it was called), the stack pointer. The clock is the thread's executed instructions.
pub const ENTER_WORDS: usize = 4;
/// Words of an event that the stack has been left up to a place, which is included: that place, the clock. The place is a return
/// address's.
pub const LEAVE_WORDS: usize = 2;
/// The first word of an entry is negative; a stack pointer is not.
pub const IS_ENTRY: u64 = 1 << 63;
/// The register that holds the place in the log, in the encoding's order: r11.
pub const LOG_REGISTER: u8 = reg::R11;

/// Tells that function `number` has been entered. `flags`: one is live.
pub(crate) fn enter(e: &mut Emitter<'_>, number: u32, pc: u64, flags: bool) {
    debug_assert!(number < 1 << 31);
    e.store_ctx(layout::R11, reg::R11);
    e.mark(pc, Fix::R11);
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::RCX_R11);
    clock(e, flags);
    e.load_ctx(reg::R11, layout::LOG);
    // mov [r11 + 24], rsp; mov [r11 + 8], rcx; mov rcx, [rsp]; mov [r11 + 16], rcx
    e.bytes(&[0x49, 0x89, 0x63, 24, 0x49, 0x89, 0x4b, 8]);
    e.bytes(&[0x48, 0x8b, 0x0c, 0x24, 0x49, 0x89, 0x4b, 16]);
    // mov qword [r11], !number
    e.bytes(&[0x49, 0xc7, 0x03]);
    e.u32(!number);
    behind(e, ENTER_WORDS, pc);
    e.load_ctx(reg::R11, layout::R11);
    e.mark(pc, Fix::NONE);
}

/// Tells that the stack has been left by what stands in front of a return address, or of a jump; r11 has been put aside. `flags`: one
/// is live.
pub(crate) fn leave(e: &mut Emitter<'_>, pc: u64, by: By, flags: bool) {
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::RCX_R11);
    clock(e, flags);
    e.load_ctx(reg::R11, layout::LOG);
    // mov [r11 + 8], rcx
    e.bytes(&[0x49, 0x89, 0x4b, 8]);
    match by {
        // mov [r11], rsp
        By::Return => e.bytes(&[0x49, 0x89, 0x23]),
        // lea rcx, [rsp - 8]; mov [r11], rcx: the return address is still there, if there is one.
        By::Jump => e.bytes(&[0x48, 0x8d, 0x4c, 0x24, 0xf8, 0x49, 0x89, 0x0b]),
    }
    behind(e, LEAVE_WORDS, pc);
}

/// What leaves a part of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A return instruction.
    Return,
    /// A jump, in front of which the stack pointer was loaded.
    Jump,
}

/// Loads rcx with the clock; r11 is free.
pub(crate) fn clock(e: &mut Emitter<'_>, flags: bool) {
    let mut slots = count::clock_slots();
    if let Some(first) = slots.next() {
        e.load_ctx(reg::RCX, first);
    }
    for slot in slots {
        if flags {
            // mov r11, fs:[slot]; lea rcx, [rcx + r11]
            e.load_ctx(reg::R11, slot);
            e.bytes(&[0x4a, 0x8d, 0x0c, 0x19]);
        } else {
            // add rcx, fs:[slot]
            e.bytes(&[0x64, 0x48, 0x03, 0x0c, 0x25]);
            e.u32(slot);
        }
    }
}

/// The event is there; gives rcx back.
fn behind(e: &mut Emitter<'_>, words: usize, pc: u64) {
    // lea r11, [r11 + bytes]
    e.bytes(&[0x4d, 0x8d, 0x5b, 8 * words as u8]);
    e.store_ctx(layout::LOG, reg::R11);
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::R11);
}

/// Whether the indirect jump that ends a block takes another place on the stack with it, or another stack, as longjmp does.
pub(crate) fn switches_stack(block: &Block<'_>) -> bool {
    block.insns.iter().any(|insn| {
        let iced = &insn.iced;
        insn.flow == Flow::Next
            && matches!(iced.mnemonic(), Mnemonic::Mov | Mnemonic::Xchg | Mnemonic::Pop)
            && iced.op_count() > 0
            && (0..iced.op_count().min(2)).any(|operand| iced.op_register(operand) == Register::RSP)
            && !(iced.mnemonic() == Mnemonic::Mov && iced.op0_register() != Register::RSP)
    })
}

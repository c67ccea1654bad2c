//! Instructions without a rule of their own: every output is undefined in full if any input bit is.
//!
//! What is read and written comes from the decoder's tables, never from a guess; memory whose size they do not know
//! counts as 8 bytes, and an undefined address is reported as always.

use crate::bits::spread;
use crate::flags::{Flags, Status};
use crate::operand::{Step, place};
use crate::state::Access;
use iced_x86::{InstructionInfoFactory, OpAccess, Register, RflagsBits, UsedMemory};

/// The most bytes of one memory operand that are looked at.
const MOST: usize = 512;

fn reads(access: OpAccess) -> bool {
    matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

fn writes(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

fn maybe(access: OpAccess) -> bool {
    matches!(access, OpAccess::CondWrite | OpAccess::ReadCondWrite)
}

fn status_flags(rflags: u32) -> u16 {
    let pairs = [
        (RflagsBits::OF, Flags::O),
        (RflagsBits::SF, Flags::S),
        (RflagsBits::ZF, Flags::Z),
        (RflagsBits::AF, Flags::A),
        (RflagsBits::CF, Flags::C),
        (RflagsBits::PF, Flags::P),
    ];
    pairs.iter().filter(|(bit, _)| rflags & bit != 0).map(|(_, flag)| flag).sum()
}

/// Whether a register has undefined bits, and notes where they come from.
fn register_undefined(s: &mut Step<'_>, register: Register) -> bool {
    if place(register).is_some() || register.is_k() {
        s.read_register(register).v != 0
    } else if register.is_vector_register() || register.is_mm() {
        s.register_wide(register).any(64)
    } else if register.is_st() {
        let number = (s.guest.x87_top() + register.number()) % 8;
        let v = s.registers.x87[number] != [0; 2];
        s.taint(v, s.registers.origin.x87[number]);
        v
    } else {
        // No V bits are kept of tiles and bounds: whatever they hold may be undefined.
        register.is_tmm() || register.is_bnd()
    }
}

fn write_register(s: &mut Step<'_>, register: Register, v: bool, keep: bool) {
    let all = if v { u64::MAX } else { 0 };
    if keep && !v {
        return;
    }
    if place(register).is_some() || register.is_k() {
        s.write_register(register, all);
    } else if register.is_vector_register() {
        let number = register.number();
        let words = if s.legacy() { register.size() / 8 } else { 8 };
        let used = register.size() / 8;
        for (i, word) in s.registers.vector[number][..words].iter_mut().enumerate() {
            *word = if i < used { all } else { 0 };
        }
        let any = s.registers.vector[number] != [0; 8];
        let tag = if v { s.origin } else { 0 };
        let old = s.registers.origin.vector[number];
        s.registers.origin.vector[number] = if any { tag.max(if v { 0 } else { old }) } else { 0 };
    } else if register.is_mm() {
        s.write_x87(register.number(), [all, 0]);
    } else if register.is_st() {
        let number = (s.guest.x87_top() + register.number()) % 8;
        s.write_x87(number, [all, all & 0xffff]);
    }
}

fn address(s: &mut Step<'_>, memory: &UsedMemory, size: usize, access: Access) -> Option<u64> {
    let mut v = false;
    for register in [memory.base(), memory.index()] {
        v |= register_undefined(s, register);
    }
    if v {
        s.report_address(access, size, s.origin);
    }
    memory.virtual_address(0, |register, _, _| {
        (!register.is_vector_register()).then(|| s.address_register(register))
    })
}

pub(crate) fn step(s: &mut Step<'_>, info: &mut InstructionInfoFactory) {
    let insn = s.insn;
    let info = info.info(insn);
    let mut v = false;
    let size = |memory: &UsedMemory| memory.memory_size().size().clamp(1, MOST);
    let size = |memory: &UsedMemory| if memory.memory_size().size() == 0 { 8 } else { size(memory) };
    for memory in info.used_memory() {
        let access = if writes(memory.access()) { Access::Store } else { Access::Load };
        let before = core::mem::take(&mut s.origin);
        let place = address(s, memory, size(memory), access);
        s.origin = before;
        if let Some(place) = place.filter(|_| reads(memory.access())) {
            let mut bytes = [0; MOST];
            let bytes = &mut bytes[..size(memory)];
            s.load_v(place, bytes);
            v |= bytes.iter().any(|&v| v != 0);
        }
    }
    for register in info.used_registers() {
        let in_address = |memory: &UsedMemory| {
            let r = register.register().full_register();
            memory.base().full_register() == r || memory.index().full_register() == r
        };
        // A register that is only an address has been dealt with.
        let operand = (0..insn.op_count()).any(|op| s.register(op) == register.register());
        if reads(register.access()) && (operand || !info.used_memory().iter().any(in_address)) {
            v |= register_undefined(s, register.register());
        }
    }
    let flags = status_flags(insn.rflags_read());
    let flags_undefined = s.registers.flags.0 & flags != 0;
    s.taint(flags_undefined, s.registers.origin.flags);
    v |= flags_undefined;

    for register in info.used_registers().iter().filter(|r| writes(r.access())) {
        let partial = maybe(register.access()) || insn.has_op_mask();
        write_register(s, register.register(), v, partial);
    }
    for memory in info.used_memory().iter().filter(|m| writes(m.access())) {
        let place = memory.virtual_address(0, |register, _, _| {
            (!register.is_vector_register()).then(|| s.address_register(register))
        });
        if let Some(place) = place.filter(|_| v || !(maybe(memory.access()) || insn.has_op_mask())) {
            let bytes = [spread(v as u64, 0xff) as u8; MOST];
            s.store(place, &bytes[..size(memory)]);
        }
    }
    let written = status_flags(insn.rflags_modified());
    if written != 0 {
        s.set_flags(Status::lazy(written, v));
    }
}

//! Memory operands that cannot be copied: RIP-relative ones and those behind FS or GS.
//!
//! FS base belongs to the engine and GS base to the shadow, so a guest access through them adds the guest's own
//! base by hand, with a scratch register: the destination when it is only written, else one that is spilled.
//! A RIP-relative operand keeps its form with another displacement while its target is in reach of the cache.

use crate::decode::{Insn, number};
use crate::emit::{Emitter, fits_i32, reg};
use crate::layout::{self, Fix};
use crate::segment::{self, Around};
use iced_x86::{
    Code, Encoder, Instruction, InstructionInfoFactory, MemoryOperand, Mnemonic, OpAccess, OpKind, Register,
};

/// The encoder and the register-use tables, kept because making them allocates.
pub(crate) struct Tools {
    encoder: Encoder,
    info: InstructionInfoFactory,
}

impl Tools {
    pub(crate) fn new() -> Tools {
        Tools { encoder: Encoder::new(64), info: InstructionInfoFactory::new() }
    }

    /// What the instruction does with an operand.
    pub(crate) fn access(&mut self, insn: &Instruction, operand: u32) -> OpAccess {
        self.info.info(insn).op_access(operand)
    }

    /// The registers that an instruction names, and those that it uses without.
    pub(crate) fn used_registers(&mut self, insn: &Instruction) -> &[iced_x86::UsedRegister] {
        self.info.info(insn).used_registers()
    }

    /// The general registers that it has to do with: a bit for each, by number.
    pub(crate) fn may_use(&mut self, insn: &Instruction) -> u16 {
        let used = self.used_registers(insn).iter();
        used.filter_map(|used| number(used.register())).fold(0, |set, number| set | 1 << number)
    }

    /// The general registers that it may write: a bit for each, by number.
    pub(crate) fn may_write(&mut self, insn: &Instruction) -> u16 {
        let reads = |access| matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
        let used = self.info.info(insn).used_registers().iter();
        let written = used.filter(|used| !reads(used.access())).filter_map(|used| number(used.register()));
        written.fold(0, |set, number| set | 1 << number)
    }

    /// Encodes `insn` at the emitter's position. False when iced refuses.
    pub(crate) fn encode(&mut self, e: &mut Emitter<'_>, insn: &Instruction) -> bool {
        let ok = self.encoder.encode(insn, e.here()).is_ok();
        let mut bytes = self.encoder.take_buffer();
        if ok {
            e.bytes(&bytes);
        }
        bytes.clear();
        self.encoder.set_buffer(bytes);
        ok
    }
}

pub(crate) const GENERAL: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

/// The slot of the guest's base for an operand behind FS or GS.
fn guest_base(insn: &Instruction) -> Option<u32> {
    let has_memory = (0..insn.op_count()).any(|i| {
        matches!(
            insn.op_kind(i),
            OpKind::Memory
                | OpKind::MemorySegSI
                | OpKind::MemorySegESI
                | OpKind::MemorySegRSI
                | OpKind::MemorySegDI
                | OpKind::MemorySegEDI
                | OpKind::MemorySegRDI
        )
    });
    // lea and the long nops compute or name an address but never use the segment.
    if !has_memory || matches!(insn.mnemonic(), Mnemonic::Lea | Mnemonic::Nop) {
        return None;
    }
    match insn.memory_segment() {
        Register::FS => Some(layout::GUEST_FS),
        Register::GS => Some(layout::GUEST_GS),
        _ => None,
    }
}

/// Whether the instruction can be copied byte by byte.
pub(crate) fn is_plain(insn: &Instruction) -> bool {
    !insn.is_ip_rel_memory_operand() && guest_base(insn).is_none()
}

/// Copies an instruction whose only obstacle may be its memory operand. False when there is no way: a gather or scatter
/// with 32-bit addresses behind FS or GS.
pub(crate) fn copy(e: &mut Emitter<'_>, tools: &mut Tools, insn: &Insn, bytes: &[u8]) -> bool {
    let iced = &insn.iced;
    if is_plain(iced) {
        e.bytes(bytes);
        return true;
    }
    if guest_base(iced).is_none() {
        let target = iced.ip_rel_memory_address();
        let end = e.here() + bytes.len() as u64;
        let displacement = target.wrapping_sub(end);
        let field = insn.offsets.displacement_offset();
        if iced.memory_base() == Register::RIP
            && fits_i32(displacement)
            && insn.offsets.displacement_size() == 4
        {
            let start = e.offset();
            e.bytes(bytes);
            e.patch_u32(start + field, displacement as u32);
            return true;
        }
    }
    let start = e.position();
    if let Some(slot) = guest_base(iced) {
        let around = Around { pc: insn.pc(), next: insn.next_pc() };
        if let Some(done) = segment::implicit(e, tools, iced, slot, around) {
            if !done {
                e.rewind(start);
            }
            return done;
        }
    }
    let done = rewrite(e, tools, iced.clone_for_rewrite(), insn.pc(), insn.next_pc(), Fix::spill);
    if !done {
        // Nothing of a half-made sequence may be executed: it has destroyed the scratch register.
        e.rewind(start);
    }
    done
}

trait CloneForRewrite {
    fn clone_for_rewrite(&self) -> Instruction;
}

impl CloneForRewrite for Instruction {
    /// The same instruction in a form that can take a base register.
    fn clone_for_rewrite(&self) -> Instruction {
        let mut insn = *self;
        let code = match insn.code() {
            Code::Mov_AL_moffs8 => Code::Mov_r8_rm8,
            Code::Mov_AX_moffs16 => Code::Mov_r16_rm16,
            Code::Mov_EAX_moffs32 => Code::Mov_r32_rm32,
            Code::Mov_RAX_moffs64 => Code::Mov_r64_rm64,
            Code::Mov_moffs8_AL => Code::Mov_rm8_r8,
            Code::Mov_moffs16_AX => Code::Mov_rm16_r16,
            Code::Mov_moffs32_EAX => Code::Mov_rm32_r32,
            Code::Mov_moffs64_RAX => Code::Mov_rm64_r64,
            code => code,
        };
        insn.set_code(code);
        insn
    }
}

/// Emits `insn` with its memory operand rewritten to use a scratch register.
///
/// `pc` and `next` are where an interrupted guest is before and behind the instruction; `fix` names the state in
/// which a given register is spilled.
fn rewrite(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    mut insn: Instruction,
    pc: u64,
    next: u64,
    fix: fn(u8) -> Fix,
) -> bool {
    if !(0..insn.op_count()).any(|i| insn.op_kind(i) == OpKind::Memory) {
        return false;
    }
    let base_slot = guest_base(&insn);
    let ip_target = insn.is_ip_rel_memory_operand().then(|| insn.ip_rel_memory_address());
    // The elements' addresses would wrap at 4 GiB one by one.
    let narrow = insn.memory_base().is_gpr32() || insn.memory_displ_size() == 4;
    if base_slot.is_some() && narrow && insn.memory_index().is_vector_register() {
        return false;
    }
    if insn.mnemonic() == Mnemonic::Lea {
        // Only RIP-relative ones come here: the value is a constant.
        let (Some(target), Some(register)) = (ip_target, number(insn.op0_register())) else { return false };
        match insn.op0_register().size() {
            8 => e.load_imm(register, target),
            4 => e.load_imm(register, u64::from(target as u32)),
            2 => {
                // mov r16, imm16
                e.bytes(&[0x66, 0x40 | register >> 3, 0xb8 | register & 7]);
                e.bytes(&(target as u16).to_le_bytes());
            }
            _ => return false,
        }
        return true;
    }

    let (mut used, mut high_byte) = (0u32, false);
    let mut op0_only_written = false;
    {
        let info = tools.info.info(&insn);
        for register in info.used_registers() {
            if let Some(n) = number(register.register()) {
                used |= 1 << n;
            }
        }
        for i in 0..insn.op_count() {
            if insn.op_kind(i) == OpKind::Register {
                high_byte |=
                    matches!(insn.op_register(i), Register::AH | Register::BH | Register::CH | Register::DH);
            }
        }
        if insn.op0_kind() == OpKind::Register && info.op0_access() == OpAccess::Write {
            let address = [insn.memory_base(), insn.memory_index()].map(number);
            let register = insn.op0_register();
            op0_only_written = (register.is_gpr32() || register.is_gpr64())
                && !address.contains(&number(register))
                && number(register) != Some(reg::RSP)
                // As a base it would turn the #GP of a wild access into #SS.
                && number(register) != Some(reg::RBP)
                // An implicit use besides op0 would read what the scratch destroyed.
                && info
                    .used_registers()
                    .iter()
                    .filter(|u| number(u.register()) == number(register))
                    .all(|u| u.access() == OpAccess::Write);
        }
    }
    if let Some(slot) = base_slot
        && segment::is_far(&insn)
    {
        return segment::rewrite(e, tools, insn, slot, Around { pc, next }, used, high_byte);
    }
    let destination = number(insn.op0_register()).filter(|_| op0_only_written);
    let scratch = destination.or_else(|| {
        const ORDER: [u8; 14] = [1, 2, 6, 7, 0, 3, 8, 9, 10, 11, 12, 13, 14, 15];
        ORDER.into_iter().find(|&n| used & 1 << n == 0 && (n < 8 || !high_byte))
    });
    let Some(scratch) = scratch else { return false };
    let register = GENERAL[scratch as usize];
    // Also a destination: if the access faults, the guest's handler must find its old value. r11 alone is the
    // destination of an indirect branch's target, and already saved.
    let restore = destination.is_none();
    if restore || next != pc {
        e.store_ctx(layout::SPILL, scratch);
        e.mark(pc, fix(scratch));
    }

    insn.set_segment_prefix(Register::None);
    let displacement = insn.memory_displacement64();
    match (base_slot, ip_target) {
        (None, Some(target)) => {
            e.load_imm(scratch, target);
            insn.set_memory_base(register);
            insn.set_memory_displacement64(0);
            insn.set_memory_displ_size(0);
        }
        (Some(slot), Some(target)) if fits_i32(target) => {
            e.load_ctx(scratch, slot);
            insn.set_memory_base(register);
            insn.set_memory_displacement64(target);
            insn.set_memory_displ_size(8);
        }
        (Some(slot), None) => {
            e.load_ctx(scratch, slot);
            if insn.memory_base() != Register::None && insn.memory_index() != Register::None {
                if insn.memory_base() == Register::RSP {
                    // lea scratch, [scratch + index*scale]: a pop's address is that behind the pop, so the sum
                    // must leave rsp to the instruction itself.
                    let (index, scale) = (insn.memory_index(), insn.memory_index_scale());
                    let sum = MemoryOperand::with_base_index_scale(register, index, scale);
                    if !lea(e, tools, register, sum) {
                        return false;
                    }
                    insn.set_memory_index(register);
                    insn.set_memory_index_scale(1);
                } else {
                    // lea scratch, [base + scratch]
                    if !lea(e, tools, register, MemoryOperand::with_base_index(insn.memory_base(), register))
                    {
                        return false;
                    }
                    insn.set_memory_base(register);
                }
            } else if insn.memory_base() == Register::RSP {
                insn.set_memory_index(register);
                insn.set_memory_index_scale(1);
            } else if insn.memory_base() != Register::None {
                // The guest's base becomes the index: rbp as a base would turn a wild access' #GP into #SS.
                insn.set_memory_index(insn.memory_base());
                insn.set_memory_index_scale(1);
                insn.set_memory_base(register);
            } else {
                insn.set_memory_base(register);
            }
            insn.set_memory_displacement64(displacement);
            // A base of rbp or r13 has no form without a displacement.
            insn.set_memory_displ_size(8);
        }
        _ => return false,
    }
    if !tools.encode(e, &insn) {
        return false;
    }
    if restore {
        e.mark(next, fix(scratch));
        e.load_ctx(scratch, layout::SPILL);
    }
    true
}

fn lea(e: &mut Emitter<'_>, tools: &mut Tools, to: Register, address: MemoryOperand) -> bool {
    Instruction::with2(Code::Lea_r64_m, to, address).is_ok_and(|lea| tools.encode(e, &lea))
}

/// `cmp qword ptr operand, value` for the target of an indirect branch through a pointer at a fixed address. False when it is
/// out of reach.
pub(crate) fn compare_pointer(e: &mut Emitter<'_>, tools: &mut Tools, insn: &Insn, value: u32) -> bool {
    /// Bytes of the comparison.
    const LENGTH: u64 = 11;
    let iced = &insn.iced;
    if !iced.is_ip_rel_memory_operand() || iced.segment_prefix() != Register::None {
        return false;
    }
    let pointer = iced.ip_rel_memory_address();
    let memory = MemoryOperand::with_base_displ(Register::RIP, pointer as i64);
    fits_i32(pointer.wrapping_sub(e.here() + LENGTH))
        && Instruction::with2(Code::Cmp_rm64_imm32, memory, value as i32)
            .is_ok_and(|compare| tools.encode(e, &compare))
}

/// `mov r11, operand` for the target of an indirect branch; r11 has been saved.
pub(crate) fn load_target(e: &mut Emitter<'_>, tools: &mut Tools, insn: &Insn) -> bool {
    let iced = &insn.iced;
    let load = match iced.op0_kind() {
        OpKind::Register => {
            if iced.op0_register() == Register::R11 {
                return true;
            }
            Instruction::with2(Code::Mov_r64_rm64, Register::R11, iced.op0_register().full_register())
        }
        OpKind::Memory => {
            let memory = MemoryOperand::new(
                iced.memory_base(),
                iced.memory_index(),
                iced.memory_index_scale(),
                iced.memory_displacement64() as i64,
                match iced.memory_displ_size() {
                    0 => 0,
                    _ if iced.memory_base().is_gpr32() || iced.memory_index().is_gpr32() => 4,
                    _ => 8,
                },
                false,
                iced.segment_prefix(),
            );
            Instruction::with2(Code::Mov_r64_rm64, Register::R11, memory)
        }
        _ => return false,
    };
    let Ok(load) = load else { return false };
    if let Some(slot) = guest_base(&load) {
        if segment::is_far(&load) {
            return segment::load_target(e, tools, load, slot, insn.pc());
        }
        return rewrite(e, tools, load, insn.pc(), insn.pc(), Fix::spill_and_r11);
    }
    if load.is_ip_rel_memory_operand() {
        let target = load.ip_rel_memory_address();
        let distance = target.wrapping_sub(e.here() + 7);
        if !fits_i32(distance) {
            e.load_imm(reg::R11, target);
            // mov r11, [r11]
            e.bytes(&[0x4d, 0x8b, 0x1b]);
            return true;
        }
    }
    tools.encode(e, &load)
}

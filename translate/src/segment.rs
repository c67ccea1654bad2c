//! Operands behind FS or GS that a base register alone cannot reach: addresses of 32 bits, absolute addresses beyond
//! 2 GiB, and the implicit addresses of string instructions, xlat and maskmov.
//!
//! Not here: all other operands behind FS or GS (`operand`).

use crate::emit::{Emitter, fits_i32};
use crate::layout::{self, Fix};
use crate::operand::{GENERAL, Tools};
use iced_x86::{Code, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

/// Where an interrupted guest is before and behind the instruction.
#[derive(Clone, Copy)]
pub(crate) struct Around {
    pub(crate) pc: u64,
    pub(crate) next: u64,
}

/// Whether the memory operand is one that [`rewrite`] is for.
pub(crate) fn is_far(insn: &Instruction) -> bool {
    let absolute = insn.memory_base() == Register::None && insn.memory_index() == Register::None;
    insn.memory_base().is_gpr32()
        || insn.memory_index().is_gpr32()
        || (absolute && !fits_i32(insn.memory_displacement64()))
        || (insn.is_ip_rel_memory_operand() && !fits_i32(insn.ip_rel_memory_address()))
}

/// The operand's offset in its segment to a register: `lea`, or a constant. False when there is no way.
fn offset(e: &mut Emitter<'_>, tools: &mut Tools, insn: &Instruction, to: u8) -> bool {
    if insn.is_ip_rel_memory_operand() {
        e.load_imm(to, insn.ip_rel_memory_address());
        return true;
    }
    let mut displacement = insn.memory_displacement64();
    if insn.memory_base() == Register::None && insn.memory_index() == Register::None {
        e.load_imm(to, displacement);
        return true;
    }
    if insn.mnemonic() == Mnemonic::Pop && insn.memory_base() == Register::ESP {
        // Its address is that behind the pop.
        displacement = displacement.wrapping_add(insn.memory_size().size() as u64);
    }
    let operand = MemoryOperand::new(
        insn.memory_base(),
        insn.memory_index(),
        insn.memory_index_scale(),
        i64::from(displacement as i32),
        4,
        false,
        Register::None,
    );
    // Only 32 bits are kept, as by the address itself.
    let to = Register::EAX + u32::from(to);
    Instruction::with2(Code::Lea_r32_m, to, operand).is_ok_and(|lea| tools.encode(e, &lea))
}

/// Emits `insn` with its operand as the sum of two scratch registers: the guest's base and the offset. `used`: general
/// registers that it uses; `low_only`: it has no form with r8 to r15.
pub(crate) fn rewrite(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    mut insn: Instruction,
    base_slot: u32,
    around: Around,
    used: u32,
    low_only: bool,
) -> bool {
    if insn.memory_index().is_vector_register() {
        return false;
    }
    const ORDER: [u8; 14] = [1, 2, 6, 7, 0, 3, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut free = ORDER.into_iter().filter(|&n| used & 1 << n == 0 && (n < 8 || !low_only));
    let (Some(a), Some(b)) = (free.next(), free.next()) else { return false };
    let Around { pc, next } = around;
    save_two(e, pc, a, b);
    if !by_sum(e, tools, &mut insn, base_slot, a, b) {
        return false;
    }
    restore_two(e, next, a, b);
    true
}

/// `mov r11, operand`, r11 having been saved: for the target of an indirect branch.
pub(crate) fn load_target(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    mut load: Instruction,
    base_slot: u32,
    pc: u64,
) -> bool {
    const R11: u8 = 11;
    let address = [load.memory_base(), load.memory_index()].map(Register::full_register);
    let Some(a) = [1u8, 2, 6].into_iter().find(|&n| !address.contains(&GENERAL[usize::from(n)])) else {
        return false;
    };
    e.store_ctx(layout::SPILL, a);
    e.mark(pc, Fix::spill_and_r11(a));
    if !by_sum(e, tools, &mut load, base_slot, R11, a) {
        return false;
    }
    e.mark(pc, Fix::spill_and_r11(a));
    e.load_ctx(a, layout::SPILL);
    true
}

fn save_two(e: &mut Emitter<'_>, pc: u64, a: u8, b: u8) {
    e.store_ctx(layout::SPILL, a);
    e.mark(pc, Fix::spill(a));
    e.store_ctx(layout::R11, b);
    e.mark(pc, Fix::pair(a, b));
}

fn restore_two(e: &mut Emitter<'_>, next: u64, a: u8, b: u8) {
    e.mark(next, Fix::pair(a, b));
    e.load_ctx(b, layout::R11);
    e.mark(next, Fix::spill(a));
    e.load_ctx(a, layout::SPILL);
}

/// Emits the instruction with its memory operand as `[b + a]`: `a` gets the offset, `b` the segment's base.
fn by_sum(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    insn: &mut Instruction,
    base_slot: u32,
    a: u8,
    b: u8,
) -> bool {
    if !offset(e, tools, insn, a) {
        return false;
    }
    e.load_ctx(b, base_slot);
    set_sum(insn, a, b);
    tools.encode(e, insn)
}

/// Makes the memory operand `[b + a]`.
fn set_sum(insn: &mut Instruction, a: u8, b: u8) {
    insn.set_segment_prefix(Register::None);
    insn.set_memory_base(GENERAL[usize::from(b)]);
    insn.set_memory_index(GENERAL[usize::from(a)]);
    insn.set_memory_index_scale(1);
    insn.set_memory_displacement64(0);
    // A base of r13 has no form without a displacement.
    insn.set_memory_displ_size(1);
}

/// Emits an instruction whose address behind FS or GS is implicit. `None` when it has none, false when there is no way.
pub(crate) fn implicit(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    insn: &Instruction,
    base_slot: u32,
    around: Around,
) -> Option<bool> {
    if insn.code() == Code::Xlat_m8 {
        translate_byte(e, insn.memory_base() == Register::EBX, base_slot, around);
        return Some(true);
    }
    let kinds = (0..insn.op_count()).map(|i| insn.op_kind(i));
    let (mut source, mut target, mut narrow) = (false, false, false);
    for kind in kinds {
        source |= matches!(kind, OpKind::MemorySegRSI | OpKind::MemorySegESI);
        target |= matches!(kind, OpKind::MemorySegRDI | OpKind::MemorySegEDI);
        narrow |= matches!(kind, OpKind::MemorySegESI | OpKind::MemorySegEDI);
    }
    match (source, target) {
        (true, _) => Some(string(e, tools, *insn, narrow, base_slot, around)),
        (_, true) => Some(masked_store(e, tools, *insn, narrow, base_slot, around)),
        _ => None,
    }
}

/// xlat: `mov al, [base + (rbx + al)]`.
fn translate_byte(e: &mut Emitter<'_>, narrow: bool, base_slot: u32, around: Around) {
    const RDX: u8 = 2;
    const RSI: u8 = 6;
    save_two(e, around.pc, RDX, RSI);
    // movzx edx, al; lea rdx (edx), [rdx + rbx]
    e.bytes(&[0x0f, 0xb6, 0xd0]);
    e.bytes(if narrow { &[0x8d, 0x14, 0x1a] } else { &[0x48, 0x8d, 0x14, 0x1a] });
    e.load_ctx(RSI, base_slot);
    // mov al, [rsi + rdx]
    e.bytes(&[0x8a, 0x04, 0x16]);
    restore_two(e, around.next, RDX, RSI);
}

/// The same instruction with 64-bit addresses and no segment.
fn widened(mut insn: Instruction) -> Instruction {
    insn.set_segment_prefix(Register::None);
    for i in 0..insn.op_count() {
        let kind = match insn.op_kind(i) {
            OpKind::MemorySegESI => OpKind::MemorySegRSI,
            OpKind::MemorySegEDI => OpKind::MemorySegRDI,
            OpKind::MemoryESEDI => OpKind::MemoryESRDI,
            kind => kind,
        };
        insn.set_op_kind(i, kind);
    }
    insn
}

/// lods, movs, cmps, outs: rsi carries the guest's base while the instruction runs, also when it is interrupted
/// between two repetitions. With addresses of 32 bits the registers are cut before and behind: that differs from the
/// processor's work only where an address wraps at 4 GiB within the instruction.
fn string(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    insn: Instruction,
    narrow: bool,
    base_slot: u32,
    around: Around,
) -> bool {
    const RBX: u8 = Fix::STRING_SCRATCH;
    let Around { pc, next } = around;
    let repeated = insn.has_rep_prefix() || insn.has_repne_prefix();
    let has_target = (0..insn.op_count()).any(|i| insn.op_kind(i) == OpKind::MemoryESEDI);
    let fix = Fix::string(base_slot == layout::GUEST_GS, narrow);
    // mov edi, edi; mov ecx, ecx
    let cut = |e: &mut Emitter<'_>| {
        if narrow && has_target {
            e.bytes(&[0x89, 0xff]);
        }
        if narrow && repeated {
            e.bytes(&[0x89, 0xc9]);
        }
    };
    // Without a repetition no register changes: jecxz to the end.
    let start = (narrow && repeated).then(|| {
        e.bytes(&[0x67, 0xe3, 0]);
        e.offset()
    });
    e.store_ctx(layout::SPILL, RBX);
    e.mark(pc, Fix::spill(RBX));
    e.load_ctx(RBX, base_slot);
    cut(e);
    if narrow {
        // mov esi, esi
        e.bytes(&[0x89, 0xf6]);
    }
    // lea rsi, [rsi + rbx]
    e.bytes(&[0x48, 0x8d, 0x34, 0x1e]);
    e.mark(pc, fix);
    if !tools.encode(e, &widened(insn)) {
        return false;
    }
    e.mark(next, fix);
    cut(e);
    // not rbx; lea rsi (esi), [rsi + rbx + 1]: no flag changes.
    e.bytes(&[0x48, 0xf7, 0xd3]);
    e.bytes(if narrow { &[0x8d, 0x74, 0x1e, 0x01] } else { &[0x48, 0x8d, 0x74, 0x1e, 0x01] });
    e.mark(next, Fix::spill(RBX));
    e.load_ctx(RBX, layout::SPILL);
    if let Some(start) = start {
        e.patch_u8(start - 1, (e.offset() - start) as u8);
    }
    true
}

/// maskmovq and maskmovdqu: rdi carries the guest's base.
fn masked_store(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    insn: Instruction,
    narrow: bool,
    base_slot: u32,
    around: Around,
) -> bool {
    const RDX: u8 = 2;
    const RDI: u8 = 7;
    save_two(e, around.pc, RDX, RDI);
    e.load_ctx(RDX, base_slot);
    if narrow {
        // mov edi, edi
        e.bytes(&[0x89, 0xff]);
    }
    // lea rdi, [rdi + rdx]
    e.bytes(&[0x48, 0x8d, 0x3c, 0x17]);
    if !tools.encode(e, &widened(insn)) {
        return false;
    }
    restore_two(e, around.next, RDX, RDI);
    true
}

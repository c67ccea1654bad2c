//! Precise code: in front of each instruction, what it does to V bits.
//!
//! Where precise code begins, most registers are known to be defined, and stay so until something undefined is loaded. So
//! the translation keeps the set of those that may be undefined by now, and only they and memory are looked at. Where a
//! look finds nothing, what the instruction writes is defined. Where it does, V bits move along with values (`cold`), or the
//! engine follows the instruction.
//!
//! Always holds: what is not in the set is defined when the guest gets there. Not here: the rules (`definedness`).

use crate::access::{Access, is_unchecked, needed};
use crate::address::Address;
use crate::cold::{Cold, Extend, Place, Rare, set_dirty};
use crate::constant::{Constant, Operand, constant};
use crate::decode::{Flow, Insn, number};
use crate::emit::Emitter;
use crate::fragment::Config;
use crate::guard;
use crate::layout::{self, Fix};
use crate::mode::{Mode, Start};
use crate::operand::Tools;
use crate::registers::{Set, Uses};
use crate::shadow::{self, MOST_UNDEFINED};
use crate::stack::{Growth, stack_growth, stack_write};
use alloc::vec::Vec;
use iced_x86::{Code, Instruction, OpKind, Register};

/// What is known while one block is translated.
#[derive(Default)]
pub(crate) struct Precise {
    /// Registers that may be undefined.
    maybe: Set,
    /// Code to come behind the block, and the branches to each: offsets of their displacements, and whose they are.
    cold: Vec<Cold>,
    branches: Vec<(u32, usize)>,
    /// Working memory.
    fields: Vec<u32>,
}

impl Precise {
    /// Begins a block of `instructions`; counts that it is entered.
    pub(crate) fn begin(&mut self, e: &mut Emitter<'_>, mode: Mode, pc: u64, instructions: u32, flags: bool) {
        self.maybe = if mode == Mode::Precise(Start::Clean) { Set::RARE } else { Set::ALL };
        self.forget_stack_pointer();
        self.cold.clear();
        self.branches.clear();
        e.mark(pc, Fix::NONE);
        let counts = [(layout::PRECISE_SWITCHES, 1), (layout::PRECISE_INSTRUCTIONS, instructions)];
        crate::count::add(e, pc, &counts, flags);
    }

    /// Emits what is to be done in front of an instruction, whose decoded form lies at `step`. `flags`: one is live there.
    pub(crate) fn before(
        &mut self,
        e: &mut Emitter<'_>,
        config: &Config,
        insn: &Insn,
        flags: bool,
        step: u64,
        tools: &mut Tools,
    ) {
        let iced = &insn.iced;
        if matches!(insn.flow, Flow::Special(_)) {
            return;
        }
        let pc = insn.pc();
        e.mark(pc, Fix::NONE);
        let uses = Uses::of(iced, tools);
        if insn.flow == Flow::Next && is_unchecked(iced) {
            let cold = Cold { rare: Rare::Step, pc, step, keeps_flags: flags, back: 0 };
            cold.emit_in_place(e, config.stubs.step);
            // Restored state is more than the instruction names.
            self.maybe = self.maybe.or(uses.changed).or(Set::RARE);
            self.forget_stack_pointer();
            return;
        }
        // None of them is an input, so nothing that follows misses it.
        for place in uses.written.and(self.maybe).places() {
            set_dirty(e, place, 0);
        }
        let first = self.cold.len();
        let add = |rare, this: &mut Precise| this.add(Cold { rare, pc, step, keeps_flags: flags, back: 0 });
        let memory = needed(insn, config.mode, tools);
        let defined = stack_write(insn, tools);
        let address =
            memory.iter().flatten().next().map(|memory| memory.0).or(defined.map(|defined| defined.0));
        let copy = copy(iced, address).or_else(|| constant(iced, address).map(Rare::Constant));
        let step = add(Rare::Step, self);
        let mut tainted = !uses.read.and(self.maybe).is_empty();
        match copy {
            // A register whose V bits are moved is looked at by itself.
            Some(rare @ (Rare::Store { from, .. } | Rare::Move { from, .. })) => {
                let rare = match rare {
                    Rare::Store { address, bytes, from, .. } => {
                        Rare::Store { address, bytes, from, stack: defined.is_some() }
                    }
                    rare => rare,
                };
                let moved = add(rare, self);
                self.look_at_registers(e, address_registers(iced), pc, flags, step);
                self.look_at_registers(e, from.registers(&rare), pc, flags, moved);
            }
            Some(rare @ Rare::Constant(Constant { operand: Operand::Register { .. }, .. })) => {
                let combined = add(rare, self);
                self.look_at_registers(e, uses.read, pc, flags, combined);
            }
            _ => self.look_at_registers(e, uses.read, pc, flags, step),
        }
        for (address, size, access) in memory.into_iter().flatten() {
            let rare = match (access, copy) {
                (Access::Write, _) if defined.is_some_and(|(defined, _)| defined == address) => continue,
                (Access::Write, _) => add(Rare::Define { address, bytes: size }, self),
                (Access::Read, Some(load @ Rare::Load { .. })) => add(load, self),
                (_, Some(constant @ Rare::Constant(_))) => add(constant, self),
                _ => step,
            };
            tainted |= access != Access::Write;
            shadow::look(e, address, u64::from(size), pc, flags, &mut self.fields);
            self.lead_to(rare);
        }
        if let Some((address, bytes)) = defined {
            shadow::define(e, address, u64::from(bytes));
        }
        let back = e.here();
        for cold in &mut self.cold[first..] {
            cold.back = back;
        }
        self.maybe = if tainted { self.maybe.or(uses.changed) } else { self.maybe.without(uses.written) };
        self.forget_stack_pointer();
    }

    /// Emits what is to be done behind an instruction: the new part of the stack is undefined.
    pub(crate) fn behind(&mut self, e: &mut Emitter<'_>, insn: &Insn) {
        if let Some(Growth::Constant(bytes)) = stack_growth(&insn.iced) {
            shadow::undefine(e, bytes.min(MOST_UNDEFINED), insn.next_pc());
        }
    }

    /// Looks whether a general register or a flag is undefined where the block is left, at `pc`. The offsets of the
    /// displacements of branches that are taken then; none where nothing can be.
    pub(crate) fn look_at_core(&mut self, e: &mut Emitter<'_>, pc: u64) -> Vec<u32> {
        let mut fields = Vec::new();
        guard::emit(e, self.maybe.and(Set::CORE), pc, true, &mut fields);
        fields
    }

    /// Emits the code that lies behind the block.
    pub(crate) fn finish(&mut self, e: &mut Emitter<'_>, config: &Config) {
        for (number, cold) in self.cold.iter().enumerate() {
            let mut wanted = false;
            for (field, _) in self.branches.iter().filter(|(_, to)| *to == number) {
                e.patch_branch(*field, e.here());
                wanted = true;
            }
            if wanted {
                cold.emit(e, config.stubs.step, &mut self.fields);
            }
        }
    }

    fn add(&mut self, cold: Cold) -> usize {
        self.cold.push(cold);
        self.cold.len() - 1
    }

    fn look_at_registers(&mut self, e: &mut Emitter<'_>, registers: Set, pc: u64, flags: bool, to: usize) {
        guard::emit(e, registers.and(self.maybe), pc, flags, &mut self.fields);
        self.lead_to(to);
    }

    /// The branches that were just emitted lead to this piece of code.
    fn lead_to(&mut self, cold: usize) {
        self.branches.extend(self.fields.drain(..).map(|field| (field, cold)));
    }

    /// Where the stack is, is never in doubt: an error was told, and every later access would be one, too.
    fn forget_stack_pointer(&mut self) {
        self.maybe = self.maybe.without(Set::general(usize::from(crate::emit::reg::RSP)));
    }
}

impl Place {
    /// What has to be looked at before it is moved.
    fn registers(self, rare: &Rare) -> Set {
        match self {
            Place::General { number, .. } => Set::general(usize::from(number)),
            Place::Vector { number, .. } => {
                let number = usize::from(number);
                let (Rare::Load { bytes, .. } | Rare::Store { bytes, .. } | Rare::Move { bytes, .. }) = rare
                else {
                    return Set::default();
                };
                let upper = if *bytes > 16 { Set::upper(number) } else { Set::default() };
                Set::vector(number).or(upper)
            }
        }
    }
}

/// The general registers that make the address of an explicit operand.
fn address_registers(insn: &Instruction) -> Set {
    [insn.memory_base(), insn.memory_index()]
        .into_iter()
        .filter_map(number)
        .fold(Set::default(), |set, number| set.or(Set::general(usize::from(number))))
}

/// What an instruction that only moves bits is when one is undefined; `address`: that of its access, if it makes one.
fn copy(insn: &Instruction, address: Option<Address>) -> Option<Rare> {
    let (bytes, extend) = moved(insn.code())?;
    let target = insn.op0_kind() == OpKind::Register;
    let (to, from) = match insn.code() {
        Code::Push_r64 => (None, Some(insn.op0_register())),
        Code::Pop_r64 => (Some(insn.op0_register()), None),
        _ => (
            target.then(|| insn.op0_register()),
            (insn.op1_kind() == OpKind::Register).then(|| insn.op1_register()),
        ),
    };
    let place = |register: Register| {
        let high = matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
        if register.is_vector_register() {
            let keeps = insn.encoding() == iced_x86::EncodingKind::Legacy;
            return Some(Place::Vector { number: register.number() as u8, keeps });
        }
        number(register).map(|number| Place::General { number, high })
    };
    match (to, from) {
        // The stack pointer is never undefined, whatever it is loaded with.
        (Some(Register::RSP | Register::ESP), _) => None,
        // What is overwritten in part keeps the rest.
        (Some(to), Some(_)) if to.is_gpr8() || to.is_gpr16() => None,
        (Some(to), Some(from)) => {
            let (to, from) = (place(to)?, place(from)?);
            let alike = matches!(
                (to, from),
                (Place::General { .. }, Place::General { .. }) | (Place::Vector { .. }, Place::Vector { .. })
            );
            // Of one register to another, these keep or clear what is above.
            let whole = !matches!(to, Place::Vector { .. }) || bytes >= 16;
            (alike && whole).then_some(Rare::Move { bytes, extend, from, to })
        }
        (Some(to), None) => Some(Rare::Load { address: address?, bytes, extend, to: place(to)? }),
        (None, Some(from)) => {
            let from = place(from)?;
            if from.is_high() {
                return None;
            }
            Some(Rare::Store { address: address?, bytes, from, stack: false })
        }
        (None, None) => None,
    }
}

/// How many bytes an instruction moves and how it extends them, if that is all that it does.
fn moved(code: Code) -> Option<(u8, Extend)> {
    use Code::*;
    Some(match code {
        Mov_rm8_r8 => (1, Extend::Zero),
        Mov_rm16_r16 => (2, Extend::Zero),
        Mov_r32_rm32 | Mov_rm32_r32 => (4, Extend::Zero),
        Mov_r64_rm64 | Mov_rm64_r64 | Push_r64 | Pop_r64 => (8, Extend::Zero),
        Movzx_r32_rm8 | Movzx_r64_rm8 => (1, Extend::Zero),
        Movzx_r32_rm16 | Movzx_r64_rm16 => (2, Extend::Zero),
        Movsx_r32_rm8 => (1, Extend::Sign32),
        Movsx_r32_rm16 => (2, Extend::Sign32),
        Movsx_r64_rm8 => (1, Extend::Sign64),
        Movsx_r64_rm16 => (2, Extend::Sign64),
        Movsxd_r64_rm32 => (4, Extend::Sign64),
        Movups_xmm_xmmm128 | Movaps_xmm_xmmm128 | Movupd_xmm_xmmm128 | Movapd_xmm_xmmm128
        | Movdqu_xmm_xmmm128 | Movdqa_xmm_xmmm128 | Lddqu_xmm_m128 | Movups_xmmm128_xmm
        | Movaps_xmmm128_xmm | Movupd_xmmm128_xmm | Movapd_xmmm128_xmm | Movdqu_xmmm128_xmm
        | Movdqa_xmmm128_xmm | Movntdq_m128_xmm | Movntps_m128_xmm => (16, Extend::Zero),
        VEX_Vmovups_xmm_xmmm128
        | VEX_Vmovaps_xmm_xmmm128
        | VEX_Vmovdqu_xmm_xmmm128
        | VEX_Vmovdqa_xmm_xmmm128
        | VEX_Vmovups_xmmm128_xmm
        | VEX_Vmovaps_xmmm128_xmm
        | VEX_Vmovdqu_xmmm128_xmm
        | VEX_Vmovdqa_xmmm128_xmm => (16, Extend::Zero),
        VEX_Vmovups_ymm_ymmm256
        | VEX_Vmovaps_ymm_ymmm256
        | VEX_Vmovdqu_ymm_ymmm256
        | VEX_Vmovdqa_ymm_ymmm256
        | VEX_Vmovups_ymmm256_ymm
        | VEX_Vmovaps_ymmm256_ymm
        | VEX_Vmovdqu_ymmm256_ymm
        | VEX_Vmovdqa_ymmm256_ymm => (32, Extend::Zero),
        // Between memory and the low part of a register, the rest of which they clear. Moves between registers of other
        // kinds are not meant.
        Movq_xmm_xmmm64 | Movq_xmmm64_xmm | Movq_xmm_rm64 | Movq_rm64_xmm | Movsd_xmm_xmmm64
        | Movsd_xmmm64_xmm | VEX_Vmovq_xmm_xmmm64 | VEX_Vmovq_xmmm64_xmm => (8, Extend::Zero),
        Movd_xmm_rm32 | Movd_rm32_xmm | Movss_xmm_xmmm32 | Movss_xmmm32_xmm => (4, Extend::Zero),
        _ => return None,
    })
}

//! Predictors of branches: Valgrind's, a table lookup each, without a branch of ours, and without a change of flags.

use super::emit::with_base;
use super::{Models, place, spent};
use crate::address::Address;
use crate::count::{add_through, own_counter};
use crate::decode::{Flow, Insn};
use crate::emit::{Emitter, reg};
use crate::frames;
use crate::layout::{self, Fix};
use crate::operand::{self, Tools};
use iced_x86::Mnemonic;

/// What a conditional branch does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// It is taken where this condition holds, by its number in an encoding.
    If(u8),
    /// It is taken by what rcx is: the branch itself says so.
    Counted {
        /// Of the short form.
        opcode: u8,
        /// Of rcx the low 32 bits count.
        narrow: bool,
    },
    /// It is never taken, or leads where it would go on anyway, which is the same to predictors.
    Never,
}

impl Outcome {
    /// Of a branch that a block may be left by.
    pub(super) fn of(insn: &Insn) -> Option<Outcome> {
        use iced_x86::Code::{Jecxz_rel8_64, Loop_rel8_64_ECX, Loope_rel8_64_ECX, Loopne_rel8_64_ECX};
        match insn.flow {
            Flow::Condition(target) | Flow::ShortCondition(target) if target == insn.next_pc() => {
                Some(Outcome::Never)
            }
            // iced numbers the conditions in their encoding's order, from 1.
            Flow::Condition(_) => Some(Outcome::If(insn.iced.condition_code() as u8 - 1)),
            Flow::ShortCondition(_) => {
                let opcode = match insn.iced.mnemonic() {
                    Mnemonic::Loopne => 0xe0,
                    Mnemonic::Loope => 0xe1,
                    Mnemonic::Loop => 0xe2,
                    _ => 0xe3,
                };
                let code = insn.iced.code();
                let narrow =
                    [Jecxz_rel8_64, Loop_rel8_64_ECX, Loope_rel8_64_ECX, Loopne_rel8_64_ECX].contains(&code);
                Some(Outcome::Counted { opcode, narrow })
            }
            _ => None,
        }
    }
}

/// Bits of a target's place that a branch's address has.
const TARGET_MASK: u64 = (1 << 9) - 1;
/// And those of its states.
const STATE_MASK: u64 = (1 << 7) - 1;

/// A conditional branch at `pc` is about to be executed: whether it is mispredicted is added to counter `wrong`. Through three registers
/// that have been put aside.
pub(super) fn conditional(e: &mut Emitter<'_>, models: &Models, pc: u64, outcome: Outcome, wrong: u32) {
    let Some(homes) = e.homes else { return };
    let [a, b, c] = homes.registers();
    match outcome {
        // setcc a; movzx a, a
        Outcome::If(condition) => {
            e.bytes(&[0x40 | a >> 3, 0x0f, 0x90 | condition, 0xc0 | a & 7]);
            e.bytes(&[0x40 | ((a >> 3) * 5), 0x0f, 0xb6, 0xc0 | (a & 7) << 3 | a & 7]);
        }
        Outcome::Counted { opcode, narrow } => {
            // loop counts.
            e.store_ctx(layout::SPILL, reg::RCX);
            e.mark(pc, Fix::spill(reg::RCX));
            e.load_imm(a, 1);
            if narrow {
                e.bytes(&[0x67]);
            }
            e.bytes(&[opcode, 0]);
            let not_taken = e.offset();
            e.load_imm(a, 0);
            e.patch_u8(not_taken - 1, (e.offset() - not_taken) as u8);
            e.load_ctx(reg::RCX, layout::SPILL);
            e.mark(pc, Fix::NONE);
        }
        Outcome::Never => e.load_imm(a, 0),
    }
    const LOAD_BYTE: [u8; 2] = [0x0f, 0xb6];
    const STORE_BYTE: [u8; 1] = [0x88];
    let states = models.base + place::STATES + ((pc & STATE_MASK) as u32) * 256;
    let steps = models.base + place::STEPS;
    // movzx b, byte fs:[HISTORY]
    e.bytes(&[0x64, 0x40 | (b >> 3) << 2, 0x0f, 0xb6, 0x04 | (b & 7) << 3, 0x25]);
    e.u32(models.base + place::HISTORY);
    with_base(e, false, &LOAD_BYTE, c, b, states);
    // lea c, [a + 2 * c]; lea a, [a + b]; lea a, [a + a]: its low byte is the new history.
    Address::at(a, 0).indexed(c, 1).load_sum(e, c);
    Address::at(a, 0).indexed(b, 0).load_sum(e, a);
    Address::at(a, 0).indexed(a, 0).load_sum(e, a);
    // mov byte fs:[HISTORY], a
    e.bytes(&[0x64, 0x40 | (a >> 3) << 2, 0x88, 0x04 | (a & 7) << 3, 0x25]);
    e.u32(models.base + place::HISTORY);
    with_base(e, false, &LOAD_BYTE, a, c, steps);
    with_base(e, false, &STORE_BYTE, a, b, states);
    with_base(e, false, &LOAD_BYTE, c, c, steps + 8);
    let counter = own_counter(wrong);
    e.load_ctx(a, counter);
    Address::at(a, 0).indexed(c, 0).load_sum(e, a);
    e.store_ctx(counter, a);
    if let Some(spent) = models.spent {
        let of = spent + 8 * spent::BCM;
        e.load_ctx(b, frames::CURRENT);
        with_base(e, true, &[0x8b], a, b, of);
        Address::at(a, 0).indexed(c, 0).load_sum(e, a);
        with_base(e, true, &[0x89], a, b, of);
    }
}

/// An indirect jump or call is about to be executed: whether it is mispredicted is added to counter `wrong`. False where its operand
/// cannot be rewritten, as the branch itself cannot then.
pub(crate) fn indirect(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    models: &Models,
    insn: &Insn,
    wrong: u32,
) -> bool {
    let pc = insn.pc();
    let known = models.base + place::TARGETS + 8 * ((pc & TARGET_MASK) as u32);
    e.store_ctx(layout::R11, reg::R11);
    e.mark(pc, Fix::R11);
    if !operand::load_target(e, tools, insn) {
        return false;
    }
    e.mark(pc, Fix::R11);
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::RCX_R11);
    e.load_ctx(reg::RCX, known);
    e.store_ctx(known, reg::R11);
    // not r11; lea rcx, [rcx + r11 + 1]; jrcxz
    e.bytes(&[0x49, 0xf7, 0xd3, 0x4a, 0x8d, 0x4c, 0x19, 1, 0xe3, 0]);
    let jrcxz = e.offset();
    add_through(e, own_counter(wrong), 1, reg::RCX);
    if let Some(spent) = models.spent {
        let of = spent + 8 * spent::BIM;
        e.load_ctx(reg::RCX, frames::CURRENT);
        with_base(e, true, &[0x8b], reg::R11, reg::RCX, of);
        Address::at(reg::R11, 1).load_sum(e, reg::R11);
        with_base(e, true, &[0x89], reg::R11, reg::RCX, of);
    }
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::R11);
    e.load_ctx(reg::R11, layout::R11);
    e.mark(pc, Fix::NONE);
    true
}

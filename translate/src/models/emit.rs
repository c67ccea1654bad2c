//! The look for one line: hits to the end, all else out of line.

use super::{Level, Models, Which, place};
use crate::address::Address;
use crate::emit::{Emitter, Homes};
use crate::fragment::StubAddresses;
use crate::layout::{self, Fix};

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// A line that is known, of an access from this address on.
    Known(u64),
    /// The line of an address that has to be worked out, if all of the access is in it.
    Sum(Address),
}

/// An access.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) which: Which,
    pub(super) what: What,
    /// How far its last byte lies behind the first one.
    pub(super) span: u8,
    /// Which access it is.
    pub(super) site: u32,
    /// How many lines were looked for since the time was set last.
    pub(super) turn: u16,
}

/// A way to the engine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slow {
    look: Look,
    /// Fields to be patched.
    fields: [Option<u32>; 2],
    /// Where it goes on.
    behind: u64,
    /// Of the instruction in front of which it is asked.
    pc: u64,
    homes: Homes,
    fix: Fix,
}

/// `op register, fs:[base + displacement]` with 64 bits, if wide.
pub(super) fn with_base(
    e: &mut Emitter<'_>,
    wide: bool,
    opcode: &[u8],
    register: u8,
    base: u8,
    displacement: u32,
) {
    debug_assert!(base & 7 != 4, "rsp and r12 need a SIB byte");
    e.bytes(&[0x64, 0x40 | u8::from(wide) << 3 | (register >> 3) << 2 | base >> 3]);
    e.bytes(opcode);
    e.bytes(&[0x80 | (register & 7) << 3 | base & 7]);
    e.u32(displacement);
}

/// `lea to, [base + added]`
pub(super) fn add(e: &mut Emitter<'_>, to: u8, base: u8, added: u32) {
    Address::at(base, u64::from(added)).load_sum(e, to);
}

/// `mov r32, fs:[slot]`
fn load_narrow(e: &mut Emitter<'_>, register: u8, slot: u32) {
    e.bytes(&[0x64, 0x40 | (register >> 3) << 2, 0x8b, 0x04 | (register & 7) << 3, 0x25]);
    e.u32(slot);
}

/// `shr r64, n`
fn shift(e: &mut Emitter<'_>, register: u8, bits: u32) {
    e.bytes(&[0x48 | register >> 3, 0xc1, 0xe8 | register & 7, bits as u8]);
}

/// Emits it, through two registers that have been put aside. No flag is live. How many turns it takes.
pub(super) fn look(
    e: &mut Emitter<'_>,
    models: &Models,
    look: Look,
    (pc, fix): (u64, Fix),
    slow: &mut alloc::vec::Vec<Slow>,
) -> u16 {
    let (Some(level), Some(homes)) = (models.level(look.which), e.homes) else { return 0 };
    let [a, b, _] = homes.registers();
    let mut fields = [None; 2];
    let mut turns = 0;
    match look.what {
        What::Known(address) => {
            let line = |address: u64| address >> level.shape.line_bits;
            let (first, last) = (line(address), line(address.wrapping_add(look.span.into())));
            let lines = [Some(first), (last != first).then_some(last)];
            for (line, field) in lines.into_iter().flatten().zip(&mut fields) {
                let index = line as u32 & ((1 << level.index_bits) - 1);
                load_narrow(e, a, level.guesses + 4 * index);
                e.load_imm(b, line);
                *field = Some(compare_and_stamp(e, models, level, (a, b), look.turn + turns));
                turns += 1;
            }
        }
        What::Sum(address) => {
            address.load_sum(e, a);
            // If the last byte lies in another line, that is not where the first one's would be.
            add(e, b, a, look.span.into());
            shift(e, b, level.shape.line_bits);
            shift(e, a, level.shape.line_bits);
            // and a, mask; mov a, fs:[4 * a + guesses]
            let rex = 0x40 | a >> 3;
            e.bytes(&[rex, 0x81, 0xe0 | a & 7]);
            e.u32((1 << level.index_bits) - 1);
            e.bytes(&[0x64, 0x40 | (a >> 3) * 6, 0x8b, 0x04 | (a & 7) << 3, 0x85 | (a & 7) << 3]);
            e.u32(level.guesses);
            fields[0] = Some(compare_and_stamp(e, models, level, (a, b), look.turn));
            turns = 1;
        }
    }
    slow.push(Slow { look, fields, behind: e.here(), pc, homes, fix });
    turns
}

/// `a` is the distance of the place, `b` the line. Returns the field of the branch where it is another one.
fn compare_and_stamp(
    e: &mut Emitter<'_>,
    models: &Models,
    level: &Level,
    (a, b): (u8, u8),
    turn: u16,
) -> u32 {
    with_base(e, true, &[0x39], b, a, level.places);
    let field = e.branch(&[0x0f, 0x85]);
    e.load_ctx(b, models.base + place::TIME);
    if turn != 0 {
        add(e, b, b, turn.into());
    }
    with_base(e, true, &[0x89], b, a, level.places + 8);
    field
}

impl Slow {
    /// Asks the engine; nothing runs into it.
    pub(super) fn emit(&self, e: &mut Emitter<'_>, models: &Models, stubs: &StubAddresses) {
        e.homes = Some(self.homes);
        e.mark(self.pc, self.fix);
        for field in self.fields.into_iter().flatten() {
            e.patch_branch(field, e.here());
        }
        let [a, ..] = self.homes.registers();
        let Look { which, what, span, site, turn } = self.look;
        match what {
            What::Known(address) => e.load_imm(a, address),
            What::Sum(address) => address.load_sum(e, a),
        }
        e.store_ctx(layout::TARGET, a);
        e.store_ctx_imm(layout::EXIT, site);
        let what = u32::from(span) | u32::from(turn) << 8 | u32::from(which == Which::Data) << 24;
        e.store_ctx_imm(models.base + place::ACCESS, what);
        e.store_ctx_wide_imm(layout::CONTINUE, self.behind as u32);
        e.jmp(stubs.access);
        e.homes = None;
    }
}

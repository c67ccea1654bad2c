//! The look whether a line is the one that was used last in its set.

use super::{Level, Models, Which, place};
use crate::address::{Address, Parts};
use crate::emit::{Emitter, Homes};
use crate::fragment::StubAddresses;
use crate::layout::{self, Fix};
use alloc::vec::Vec;

/// Opcodes: of a comparison of memory with a register, and of jne.
const COMPARE: u8 = 0x39;
const NOT_EQUAL: [u8; 2] = [0x0f, 0x85];

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// The lines of an access from this address on.
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
}

/// A way to the stub.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slow {
    look: Look,
    /// Fields to be patched.
    fields: [Option<u32>; 2],
    /// Where it goes on.
    behind: u64,
    /// Of the instruction in front of which that is.
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

/// `add qword fs:[base + displacement], n`
pub(super) fn add_with_base(e: &mut Emitter<'_>, base: u8, displacement: u32, n: u32) {
    let short = u8::try_from(n).ok().filter(|n| *n < 0x80);
    with_base(e, true, &[if short.is_some() { 0x83 } else { 0x81 }], 0, base, displacement);
    match short {
        Some(n) => e.bytes(&[n]),
        None => e.u32(n),
    }
}

/// Loads `register` with an address, through another one: behind a segment it may have two registers, or be narrow.
fn load_sum(e: &mut Emitter<'_>, address: Address, register: u8, through: u8) {
    let Parts { segment, .. } = address.parts();
    address.without_segment().load_sum(e, register);
    if let Some(slot) = segment {
        e.load_ctx(through, slot);
        Address::at(register, 0).indexed(through, 0).load_sum(e, register);
    }
}

/// `cmp fs:[slot], r64`
fn compare_at(e: &mut Emitter<'_>, register: u8, slot: u32) {
    e.bytes(&[0x64, 0x48 | (register >> 3) << 2, COMPARE, 0x04 | (register & 7) << 3, 0x25]);
    e.u32(slot);
}

/// `and r64, -(1 << bits)`
pub(super) fn round_down(e: &mut Emitter<'_>, register: u8, bits: u32) {
    let mask = -(1i32 << bits);
    match i8::try_from(mask) {
        Ok(mask) => e.bytes(&[0x48 | register >> 3, 0x83, 0xe0 | register & 7, mask as u8]),
        Err(_) => {
            e.bytes(&[0x48 | register >> 3, 0x81, 0xe0 | register & 7]);
            e.u32(mask as u32);
        }
    }
}

/// Makes the distance of the set from an address.
pub(super) fn set_of(e: &mut Emitter<'_>, register: u8, level: &Level) {
    let (from, to) = (level.shape.line_bits, level.stride_bits());
    let rex = 0x48 | register >> 3;
    if from > to {
        // shr
        e.bytes(&[rex, 0xc1, 0xe8 | register & 7, (from - to) as u8]);
    } else if to > from {
        // shl
        e.bytes(&[rex, 0xc1, 0xe0 | register & 7, (to - from) as u8]);
    }
    // and r32, imm32
    if register >= 8 {
        e.bytes(&[0x41]);
    }
    e.bytes(&[0x81, 0xe0 | register & 7]);
    e.u32((level.shape.sets - 1) << to);
}

/// Emits it, through two registers that have been put aside. No flag is live.
pub(super) fn look(
    e: &mut Emitter<'_>,
    models: &Models,
    look: Look,
    (pc, fix): (u64, Fix),
    slow: &mut Vec<Slow>,
) {
    let (Some(level), Some(homes)) = (models.level(look.which), e.homes) else { return };
    let [a, b, _] = homes.registers();
    let mut fields = [None; 2];
    match look.what {
        What::Known(address) => {
            let (first, last) = (level.line(address), level.line(address.wrapping_add(look.span.into())));
            let lines = [Some(first), (last != first).then_some(last)];
            for (line, field) in lines.into_iter().flatten().zip(&mut fields) {
                e.load_imm(b, line);
                compare_at(e, b, level.sets + level.set(line));
                *field = Some(e.branch(&NOT_EQUAL));
            }
        }
        What::Sum(address) => {
            load_sum(e, address, a, b);
            // If the last byte lies in another line, that is of another set.
            Address::at(a, look.span.into()).load_sum(e, b);
            round_down(e, b, level.shape.line_bits);
            set_of(e, a, level);
            with_base(e, true, &[COMPARE], b, a, level.sets);
            fields[0] = Some(e.branch(&NOT_EQUAL));
        }
    }
    slow.push(Slow { look, fields, behind: e.here(), pc, homes, fix });
}

impl Slow {
    /// Goes to the stub; nothing runs into it.
    pub(super) fn emit(&self, e: &mut Emitter<'_>, models: &Models, stubs: &StubAddresses) {
        e.homes = Some(self.homes);
        e.mark(self.pc, self.fix);
        let [a, b, _] = self.homes.registers();
        let mut fields = self.fields.into_iter().flatten();
        // Of two lines the last one.
        let last = fields.next_back();
        let mut deeper = None;
        if let (Some(field), Some(level)) =
            (last, models.level(self.look.which).filter(|level| level.shape.ways > 1))
        {
            e.patch_branch(field, e.here());
            deeper = Some(self.second(e, level, (a, b)));
        } else if let Some(field) = last {
            deeper = Some(field);
        }
        for field in fields.chain(deeper) {
            e.patch_branch(field, e.here());
        }
        let Look { which, what, span, site } = self.look;
        match what {
            What::Known(address) => e.load_imm(a, address),
            What::Sum(address) => load_sum(e, address, a, b),
        }
        e.store_ctx(layout::TARGET, a);
        // mov a, site and span; mov fs:[ACCESS], a
        e.load_imm(a, u64::from(site) | u64::from(span) << 32);
        e.store_ctx(models.base + place::ACCESS, a);
        e.store_ctx_wide_imm(layout::CONTINUE, self.behind as u32);
        e.jmp(stubs.access[usize::from(which == Which::Data)]);
        e.homes = None;
    }

    /// Where it is the line that was used last but one in its set, they change places, and that is all. Returns the field of the
    /// branch where it is not.
    fn second(&self, e: &mut Emitter<'_>, level: &Level, (a, b): (u8, u8)) -> u32 {
        const LOAD: u8 = 0x8b;
        const STORE: u8 = 0x89;
        match self.look.what {
            What::Known(address) => {
                let line = level.line(address.wrapping_add(self.look.span.into()));
                let first = level.sets + level.set(line);
                compare_at(e, b, first + 8);
                let field = e.branch(&NOT_EQUAL);
                e.load_ctx(a, first);
                e.store_ctx(first, b);
                e.store_ctx(first + 8, a);
                e.jmp(self.behind);
                field
            }
            What::Sum(_) => {
                with_base(e, true, &[COMPARE], b, a, level.sets + 8);
                let field = e.branch(&NOT_EQUAL);
                e.store_ctx(layout::TARGET, b);
                with_base(e, true, &[LOAD], b, a, level.sets);
                with_base(e, true, &[STORE], b, a, level.sets + 8);
                e.load_ctx(b, layout::TARGET);
                with_base(e, true, &[STORE], b, a, level.sets);
                e.jmp(self.behind);
                field
            }
        }
    }
}

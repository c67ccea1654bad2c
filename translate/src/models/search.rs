//! The stub that searches for a line in its set, and moves it to the front.

use super::emit::{round_down, set_of, with_base};
use super::{Level, Models, Which, place};
use crate::address::Address;
use crate::emit::{Emitter, reg};
use crate::{frames, layout};
use alloc::vec::Vec;

/// Most lines of a set for which there is such a stub.
pub const MOST_WAYS: u32 = 32;

/// Registers that are used: the line, how far its set lies behind the context, and two lines of it.
const LINE: u8 = reg::RAX;
const SET: u8 = reg::RCX;
const CARRIED: u8 = reg::RSI;
const FOUND: u8 = reg::RDI;

/// Where they are put aside: what the engine's compiled code changes is saved there, too, with the same values.
fn home(register: u8) -> u32 {
    layout::REGS + 8 * u32::from(register)
}

/// Searches for the line of the access at `TARGET`; goes on, with all registers as they were, at `done`, or at `ask`, where what has
/// been put down is to be told.
pub(crate) fn emit(e: &mut Emitter<'_>, models: &Models, which: Which, (done, ask): (u64, u64)) {
    let Some(level) = models.level(which) else { return };
    for register in [LINE, SET, CARRIED, FOUND] {
        e.store_ctx(home(register), register);
    }
    let access = models.base + place::ACCESS;
    e.load_ctx(SET, layout::TARGET);
    last_byte(e, access);
    // mov rsi, rcx; xor rsi, rax; shr rsi, line_bits; jne
    e.bytes(&[0x48, 0x89, 0xce, 0x48, 0x31, 0xc6, 0x48, 0xc1, 0xee, level.shape.line_bits as u8]);
    let two = e.branch(&[0x0f, 0x85]);
    let found = find(e, level);
    // It was not there: it is put down.
    let missed = e.here();
    let misses = models.base + place::MISSES;
    e.load_ctx(SET, misses);
    // lea eax, [rcx + 1]; mov fs:[MISSES], rax; shl ecx, 5
    e.bytes(&[0x8d, 0x41, 0x01]);
    e.store_ctx(misses, LINE);
    const _: () = assert!(place::MISS_BYTES == 1 << 5);
    e.bytes(&[0xc1, 0xe1, 0x05]);
    e.load_ctx(FOUND, layout::TARGET);
    with_base(e, true, &[0x89], FOUND, SET, models.base + place::MISSED);
    e.load_ctx(FOUND, access);
    with_base(e, true, &[0x89], FOUND, SET, models.base + place::MISSED + 8);
    if models.spent.is_some() {
        e.load_ctx(FOUND, frames::CURRENT);
        with_base(e, true, &[0x89], FOUND, SET, models.base + place::MISSED + 16);
    }
    // cmp eax, MOST_MISSES; jae
    e.bytes(&[0x3d]);
    e.u32(place::MOST_MISSES);
    let full = e.branch(&[0x0f, 0x83]);
    let hit = e.here();
    for field in found {
        e.patch_branch(field, hit);
    }
    leave(e, done);

    // Two lines: whether the first one has missed is in the byte at ACCESS + 5.
    e.patch_branch(two, e.here());
    // mov rax, rcx
    e.bytes(&[0x48, 0x89, 0xc8]);
    set_missed(e, access, 0);
    let found = find(e, level);
    set_missed(e, access, 1);
    for field in found {
        e.patch_branch(field, e.here());
    }
    e.load_ctx(SET, layout::TARGET);
    last_byte(e, access);
    // mov rcx, rax
    e.bytes(&[0x48, 0x89, 0xc1]);
    let found = find(e, level);
    e.jmp(missed);
    for field in found {
        e.patch_branch(field, e.here());
    }
    // cmp byte fs:[ACCESS + 5], 0; je hit
    e.bytes(&[0x64, 0x80, 0x3c, 0x25]);
    e.u32(access + 5);
    e.bytes(&[0]);
    let is_hit = e.branch(&[0x0f, 0x84]);
    e.patch_branch(is_hit, hit);
    e.jmp(missed);

    e.patch_branch(full, e.here());
    leave(e, ask);
}

/// Adds to the address in SET what its last byte lies behind it; to LINE.
fn last_byte(e: &mut Emitter<'_>, access: u32) {
    // movzx eax, byte fs:[ACCESS + 4]; add rax, rcx
    e.bytes(&[0x64, 0x0f, 0xb6, 0x04, 0x25]);
    e.u32(access + 4);
    e.bytes(&[0x48, 0x01, 0xc8]);
}

/// `mov byte fs:[ACCESS + 5], missed`
fn set_missed(e: &mut Emitter<'_>, access: u32, missed: u8) {
    e.bytes(&[0x64, 0xc6, 0x04, 0x25]);
    e.u32(access + 5);
    e.bytes(&[missed]);
}

/// Gives all registers back.
fn leave(e: &mut Emitter<'_>, to: u64) {
    for register in [LINE, SET, CARRIED, FOUND] {
        e.load_ctx(register, home(register));
    }
    e.jmp(to);
}

/// Searches for the line of the address in LINE, whose set is that of the address in SET. Returns the branches that are taken when it has been
/// found.
fn find(e: &mut Emitter<'_>, level: &Level) -> Vec<u32> {
    round_down(e, LINE, level.shape.line_bits);
    set_of(e, SET, level);
    let mut found = Vec::new();
    lines(e, level, &mut found);
    found
}

/// Puts the line in front of the others, up to the place where it was. `found`: branches that are taken there.
fn lines(e: &mut Emitter<'_>, level: &Level, found: &mut Vec<u32>) {
    let at = |way: u32| level.sets + 8 * way;
    with_base(e, true, &[0x8b], CARRIED, SET, at(0));
    with_base(e, true, &[0x89], LINE, SET, at(0));
    // It may be there already: of two lines that are looked for the first one was.
    e.bytes(&[0x48, 0x39, 0xc6]);
    found.push(e.branch(&[0x0f, 0x84]));
    for way in 1..level.shape.ways {
        // mov found, [way]; mov [way], carried; cmp found, line; je
        with_base(e, true, &[0x8b], FOUND, SET, at(way));
        with_base(e, true, &[0x89], CARRIED, SET, at(way));
        e.bytes(&[0x48, 0x39, 0xc7]);
        found.push(e.branch(&[0x0f, 0x84]));
        // mov carried, found
        Address::at(FOUND, 0).load_sum(e, CARRIED);
    }
}

//! Emission of control flow: exits that can be linked, indirect branches through the tables, system calls.
//!
//! The guest's stack always holds the guest's own return addresses. A return or an indirect branch saves r11,
//! jumps through a table ([`Tables`]) indexed by some of the target's bits, and the fragment's prefix checks that it
//! was meant (`[rsp-8]` still holds the return address; `TARGET` the indirect target). Prefixes of fragments that share
//! a table slot form a chain, so a collision costs one more compare and never a trip to the dispatcher.

use crate::calls::{self, By};
use crate::count::Count;
use crate::decode::{Flow, Insn};
use crate::emit::{Emitter, fits_i32, reg};
use crate::fragment::{Config, Exit, Prefix, leave};
use crate::frames;
use crate::layout::{self, Fix};
use crate::mode::Mode;
use crate::operand::{self, Tools};
use crate::tables::Tables;

/// Pops the return address and jumps through the table; r11 has been saved.
pub(crate) fn return_through(e: &mut Emitter<'_>, tables: Tables) {
    // pop r11
    e.bytes(&[0x41, 0x5b]);
    tables.jump(e, tables.returns);
}

/// `count` is counted here, where r11 is free. `flags`: one is live.
pub(crate) fn ret(
    e: &mut Emitter<'_>,
    config: &Config,
    pc: u64,
    extra: u16,
    (count, flags): (Option<Count>, bool),
) {
    e.store_ctx(layout::R11, reg::R11);
    e.mark(pc, Fix::R11);
    if let Some(count) = count {
        count.through(e, reg::R11);
    }
    let mut asks = None;
    if config.follow_calls {
        asks = Some(frames::leave(e, config.spends(), pc, flags));
    } else if config.log_calls {
        calls::leave(e, pc, By::Return, flags);
    }
    if extra == 0 {
        // The state changes behind the pop.
        let start = e.offset();
        if config.watch_stack {
            // pop r11
            e.bytes(&[0x41, 0x5b]);
            e.jmp(config.stubs.return_miss);
        } else {
            return_through(e, config.tables);
        }
        e.mark_at(start + 2, pc, Fix::R11_TO_STACK);
    } else {
        // mov r11, [rsp]; lea rsp, [rsp + 8 + extra]
        e.bytes(&[0x4c, 0x8b, 0x1c, 0x24]);
        e.store_ctx(layout::TARGET, reg::R11);
        e.bytes(&[0x48, 0x8d, 0xa4, 0x24]);
        e.u32(8 + u32::from(extra));
        e.mark(pc, Fix::R11_TO_TARGET);
        go_to_target(e, config);
    }
    if let Some(asks) = asks {
        frames::ask(e, &config.stubs, pc, &asks);
    }
}

/// Goes to where `TARGET` and r11 lead.
fn go_to_target(e: &mut Emitter<'_>, config: &Config) {
    if config.watch_stack {
        e.jmp(config.stubs.indirect_miss);
    } else {
        config.tables.jump(e, config.tables.indirect);
    }
}

/// `count` is counted here, where r11 is free. False when the operand cannot be rewritten.
pub(crate) fn indirect(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    config: &Config,
    insn: &Insn,
    count: Option<Count>,
) -> bool {
    let loaded = load_target(e, tools, insn, count);
    if loaded {
        go_to_r11(e, config, insn);
    }
    loaded
}

/// As [`indirect`], for a branch that most likely leads to `likely`: compares, and leaves by a direct exit. `None` when
/// the operand cannot be rewritten, or the pc is out of reach of a comparison. `flags`: one is live.
pub(crate) fn likely(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    config: &Config,
    insn: &Insn,
    likely: u64,
    (count, flags): (Option<Count>, bool),
    to: Mode,
) -> Option<Exit> {
    let pc = insn.pc();
    let distance = u32::try_from(likely).ok().filter(|likely| *likely <= i32::MAX as u32)?;
    if flags || count.is_some() || !operand::compare_pointer(e, tools, insn, distance) {
        go_unless_likely(e, tools, config, insn, distance, count)?;
    } else {
        // je over the rare case
        e.bytes(&[0x74, 0]);
        let je = e.offset();
        if !indirect(e, tools, config, insn, None) {
            return None;
        }
        e.patch_u8(je - 1, (e.offset() - je) as u8);
        e.mark(pc, Fix::NONE);
    }
    if insn.flow == Flow::IndirectCall {
        e.push_imm(insn.next_pc(), pc);
    }
    e.mark(likely, Fix::NONE);
    Some(leave(e, likely, None, to))
}

/// Goes to where a branch leads, unless that is at `distance` from 0. Keeps the flags.
fn go_unless_likely(
    e: &mut Emitter<'_>,
    tools: &mut Tools,
    config: &Config,
    insn: &Insn,
    distance: u32,
    count: Option<Count>,
) -> Option<()> {
    let pc = insn.pc();
    if !load_target(e, tools, insn, count) {
        return None;
    }
    let add = |e: &mut Emitter<'_>, value: u32| {
        // lea r11, [r11 + value]
        e.bytes(&[0x4d, 0x8d, 0x9b]);
        e.u32(value);
    };
    // xchg r11, rcx
    const EXCHANGE: [u8; 3] = [0x4c, 0x87, 0xd9];
    add(e, distance.wrapping_neg());
    e.bytes(&EXCHANGE);
    e.mark(pc, Fix::RCX_IN_R11);
    // jrcxz over the rare case
    e.bytes(&[0xe3, 0]);
    let jrcxz = e.offset();
    e.bytes(&EXCHANGE);
    e.mark(pc, Fix::R11);
    add(e, distance);
    go_to_r11(e, config, insn);
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.mark(pc, Fix::RCX_IN_R11);
    // mov rcx, r11
    e.bytes(&[0x4c, 0x89, 0xd9]);
    e.mark(pc, Fix::R11);
    e.load_ctx(reg::R11, layout::R11);
    e.mark(pc, Fix::NONE);
    Some(())
}

/// Puts r11 aside and loads it with the target.
fn load_target(e: &mut Emitter<'_>, tools: &mut Tools, insn: &Insn, count: Option<Count>) -> bool {
    e.store_ctx(layout::R11, reg::R11);
    e.mark(insn.pc(), Fix::R11);
    if let Some(count) = count {
        count.through(e, reg::R11);
        // The operand may need the guest's.
        e.load_ctx(reg::R11, layout::R11);
    }
    let loaded = operand::load_target(e, tools, insn);
    e.mark(insn.pc(), Fix::R11);
    loaded
}

/// Jumps or calls to the target in r11.
fn go_to_r11(e: &mut Emitter<'_>, config: &Config, insn: &Insn) {
    let pc = insn.pc();
    e.store_ctx(layout::TARGET, reg::R11);
    if insn.flow == Flow::IndirectCall {
        let return_address = insn.next_pc();
        e.bytes(&[0x68]);
        e.u32(return_address as u32);
        if !fits_i32(return_address) {
            // The high half cannot fault, the push has just written the slot; but a thread may be interrupted
            // between the two, and then the call is undone.
            e.mark(pc, Fix::UNPUSH_R11);
            e.bytes(&[0xc7, 0x44, 0x24, 0x04]);
            e.u32((return_address >> 32) as u32);
        }
    }
    e.mark(pc, Fix::R11_TO_TARGET);
    go_to_target(e, config);
}

/// The entry that is reached through a table. Returns the offset of the rel32 field that leads to the next prefix of
/// the same slot.
///
/// It keeps the flags also when none is live at its own body, to be exact: a guest that is on its way to another pc of
/// the same slot, where flags are live, passes through here (and, when that pc has no fragment yet, on to the
/// dispatcher).
pub(crate) fn prefix(e: &mut Emitter<'_>, config: &Config, kind: Prefix, pc: u64) -> usize {
    // Until the check has passed, the guest may be on its way to any pc that shares the table's entry.
    let (miss, unchecked) = match kind {
        Prefix::Return => (config.stubs.return_miss, Fix::R11_TO_STACK),
        Prefix::Indirect => (config.stubs.indirect_miss, Fix::R11_TO_TARGET),
    };
    let negated = pc.wrapping_neg();
    // A far pc needs r11 as well: then rcx goes to memory.
    let far = !fits_i32(negated);
    let (unchecked_without_rcx, checked) = match (kind, far) {
        (Prefix::Return, false) => (Fix::RCX_IN_R11_TO_STACK, Fix::RCX_IN_R11),
        (Prefix::Indirect, false) => (Fix::RCX_IN_R11_TO_TARGET, Fix::RCX_IN_R11),
        (Prefix::Return, true) => (Fix::RCX_R11_TO_STACK, Fix::RCX_R11),
        (Prefix::Indirect, true) => (Fix::RCX_R11_TO_TARGET, Fix::RCX_R11),
    };
    e.mark(pc, unchecked);
    if far {
        e.store_ctx(layout::SPILL, reg::RCX);
    } else {
        // mov r11, rcx
        e.bytes(&[0x49, 0x89, 0xcb]);
    }
    let restore = |e: &mut Emitter<'_>| {
        if far {
            e.load_ctx(reg::RCX, layout::SPILL);
        } else {
            // mov rcx, r11
            e.bytes(&[0x4c, 0x89, 0xd9]);
        }
    };
    e.mark(pc, unchecked_without_rcx);
    match kind {
        // mov rcx, [rsp-8]
        Prefix::Return => e.bytes(&[0x48, 0x8b, 0x4c, 0x24, 0xf8]),
        Prefix::Indirect => e.load_ctx(reg::RCX, layout::TARGET),
    }
    if far {
        e.load_imm(reg::R11, negated);
        // lea rcx, [rcx + r11]
        e.bytes(&[0x4a, 0x8d, 0x0c, 0x19]);
    } else {
        // lea rcx, [rcx - pc]
        e.bytes(&[0x48, 0x8d, 0x89]);
        e.u32(negated as u32);
    }
    // jrcxz over the way out
    e.bytes(&[0xe3, 0]);
    let jrcxz = e.offset();
    restore(e);
    e.mark(pc, unchecked);
    e.align_for_patch(1);
    e.bytes(&[0xe9]);
    let chain = e.offset();
    e.rel32(miss);
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.mark(pc, checked);
    restore(e);
    e.mark(pc, Fix::R11);
    e.load_ctx(reg::R11, layout::R11);
    chain
}

/// Leaves for the shared system-call stub and comes back behind it.
pub(crate) fn syscall(e: &mut Emitter<'_>, config: &Config, insn: &Insn) {
    e.mark(insn.pc(), Fix::NONE);
    // mov r11d, imm32: the cache address to come back to. The kernel overwrites rcx and r11 anyway.
    e.bytes(&[0x41, 0xbb]);
    let field = e.offset();
    e.u32(0);
    e.store_ctx(layout::CONTINUE, reg::R11);
    e.load_imm(reg::RCX, insn.next_pc());
    e.jmp(config.stubs.syscall);
    let back = e.here();
    e.patch_u32(field, back as u32);
    e.mark(insn.next_pc(), Fix::NONE);
}

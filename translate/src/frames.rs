//! Following calls in emitted code: a thread's calling-context tree and the stack of its active functions, which both emitted code and
//! the engine change.
//!
//! All of it lies behind the thread's context, at fixed distances. A *node* is a context: a function, called at a place, in a
//! context. A *frame* is a function that is active. Where a function begins, emitted code looks for the node among the latest children of the
//! active one's, then in a table, and pushes a frame; where it returns, it adds what has been executed since to the node and pops the frame. All that is not plain (a
//! node that is not in the table, a return that is not the innermost frame's, several functions that jump to each other, a signal's handler) is the engine's: [`layout::EXIT_CALL`].
//!
//! What always holds: a frame is there in full once `TOP` leads to it, and not at all before, and one that is popped has counted
//! for its node. Between these, [`Fix::left`] says what has to be taken back. An entry that
//! comes twice, because the thread was interrupted behind it, has the innermost frame's stack pointer; a return that comes
//! twice has a lower one: nothing is pushed or popped for those.
//!
//! Not here: what a context is, and when functions end (`engine::calls`).

use crate::calls::clock;
use crate::cold;
use crate::emit::{Emitter, reg};
use crate::fragment::StubAddresses;
use crate::layout::{self, Fix};
use alloc::vec::Vec;
use core::mem::offset_of;

/// A context. What it counts is kept in pairs: collected, and not collected.
#[repr(C, align(128))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Node {
    /// Return address of the call.
    pub site: u64,
    /// Place of the caller's node in the list of nodes, in bytes.
    pub parent: u32,
    /// The function's number.
    pub function: u32,
    /// Instructions between its entries and its leaves.
    pub costs: [u64; 2],
    /// How often it was left.
    pub calls: [u64; 2],
    /// Place of the node where the function goes on: its own, or that of the ancestor of the same function.
    pub target: u32,
    /// It fills a line of the processor's cache.
    pub fill: [u32; 3],
    /// Places of nodes of functions that were called here, of which these were found last, each at its place, or 0: see [`child`].
    /// They are in the processor's cache while the function is active; the table is not.
    pub children: [u32; 16],
}

/// An active function.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Frame {
    /// Where its return address lies.
    pub sp: u64,
    /// Place of the node that counts it, and `SIDE`.
    pub entry: u32,
    /// Place of the node where it goes on.
    pub target: u32,
    /// The thread's executed instructions when it began.
    pub clock: u64,
    /// Its return address.
    pub site: u64,
}

/// Bytes of a node.
pub const NODE_BYTES: u32 = size_of::<Node>() as u32;
/// Bytes of a frame.
pub const FRAME_BYTES: u32 = size_of::<Frame>() as u32;
/// Entries of the table: each the place of a node, or 0, which is no called function's. No entry leads to a node that was jumped to
/// and goes on elsewhere: its function may be one of those that have jumped there, and then goes on as that.
pub const TABLE_ENTRIES: u32 = 1 << 18;
/// Most frames.
pub const MOST_FRAMES: u32 = 1 << 18;
/// Most nodes.
pub const MOST_NODES: u32 = 1 << 21;

/// Address of the innermost frame.
pub const TOP: u32 = layout::CALLS;
/// From which address of the innermost frame on the engine has to be asked to push one.
pub const END: u32 = layout::CALLS + 8;
/// 0 while what is counted is collected, else [`OTHER_SIDE`].
pub const SIDE: u32 = layout::CALLS + 16;
/// Where what is spent is counted, where that is more than instructions: the place of the innermost frame's node where it goes on, and
/// [`SPENT_SIDE`].
pub const CURRENT: u32 = layout::CALLS + 24;
/// 0 while what is spent is collected, else [`OTHER_SPENT`].
pub const SPENT_SIDE: u32 = layout::CALLS + 32;
/// Bytes of what is spent in a context: two sides, of 8 quadwords each.
pub const SPENT_BYTES: u32 = NODE_BYTES;
/// Distance of the second side from the first.
pub const OTHER_SPENT: u32 = SPENT_BYTES / 2;
/// The frames; each is above the one that it was called from.
pub const FRAMES: u32 = layout::CALLS + 0x1000;
/// The table.
pub const TABLE: u32 = FRAMES + FRAME_BYTES * MOST_FRAMES;
/// The nodes.
pub const NODES: u32 = TABLE + 4 * TABLE_ENTRIES;
/// Behind all of it.
pub const BEHIND: u32 = NODES + NODE_BYTES * MOST_NODES;
/// Distance of the second of a pair from the first.
pub const OTHER_SIDE: u32 = 8;

/// Which bits of a place of call and of a function's part say which of the children it may be: a displacement.
const CHILD: u8 = 60;

const SPREAD: u32 = 0x9e37_79b1;
const SHIFT: u32 = 14;

/// Of which entry of the table a node is, by its parent's place, its place of call, and its function.
pub fn table_entry(parent: u32, site: u64, function: u32) -> u32 {
    (site as u32 ^ parent ^ spread(function)).wrapping_mul(SPREAD) >> SHIFT
}

/// At which of its parent's children a node is found.
pub fn child(site: u64, function: u32) -> usize {
    ((site as u32 ^ spread(function)) & u32::from(CHILD)) as usize / 4
}

/// Functions that are called from one place, as an interpreter's are, have neighbouring numbers.
fn spread(function: u32) -> u32 {
    function.wrapping_mul(0x85eb_ca6b)
}

/// Place of a call that is none: the function was jumped to, and returns to its caller's caller.
pub const JUMP: u64 = 1;

/// `EXIT` where a function returns, for [`layout::EXIT_CALL`].
pub const RETURNS: u32 = u32::MAX;
/// `EXIT` in front of a jump that takes another place on the stack with it.
pub const LEAVES: u32 = u32::MAX - 1;

const _: () = {
    assert!(FRAME_BYTES == 32 && NODE_BYTES == 128);
    assert!(offset_of!(Frame, sp) == 0 && offset_of!(Frame, entry) == 8 && offset_of!(Frame, target) == 12);
    assert!(offset_of!(Frame, clock) == 16 && offset_of!(Frame, site) == 24);
    assert!(32 - SHIFT == TABLE_ENTRIES.trailing_zeros());
};

/// Displacement of a node's field from its place.
const fn field(offset: usize) -> u32 {
    NODES + offset as u32
}

/// What is put aside while a return is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aside {
    /// rcx in `SPILL`, r11 in `R11`: no flag is live.
    Registers,
    /// rax, rcx, r11 and the status flags, in `SCRATCH`.
    Flags,
}

impl Aside {
    fn of(flags: bool) -> Aside {
        if flags { Aside::Flags } else { Aside::Registers }
    }

    fn fix(self) -> Fix {
        match self {
            Aside::Registers => Fix::RCX_R11,
            Aside::Flags => Fix::SCRATCH_FLAGS,
        }
    }

    /// r11 is in `R11`.
    fn put(self, e: &mut Emitter<'_>, pc: u64) {
        match self {
            Aside::Registers => e.store_ctx(layout::SPILL, reg::RCX),
            Aside::Flags => {
                e.load_ctx(reg::R11, layout::R11);
                cold::put_aside(e, pc);
                cold::save_flags(e, pc);
            }
        }
        e.mark(pc, self.fix());
    }

    /// Gives back all but r11, which is in `R11`.
    fn give_back(self, e: &mut Emitter<'_>, pc: u64) {
        match self {
            Aside::Registers => e.load_ctx(reg::RCX, layout::SPILL),
            Aside::Flags => {
                cold::restore_flags(e, pc);
                e.load_ctx(reg::RAX, layout::SCRATCH);
                e.load_ctx(reg::RCX, layout::SCRATCH + 8);
            }
        }
        e.mark(pc, Fix::R11);
    }
}

/// Function `number` has been entered. `spends`: more is counted by context than instructions. `flags`: one is live.
pub(crate) fn enter(
    e: &mut Emitter<'_>,
    (stubs, spends): (&StubAddresses, bool),
    number: u32,
    pc: u64,
    flags: bool,
) {
    debug_assert!(number < LEAVES);
    cold::put_aside(e, pc);
    if flags {
        cold::save_flags(e, pc);
    }
    let fix = if flags { Fix::SCRATCH_FLAGS } else { Fix::SCRATCH };
    let mut asks = Vec::with_capacity(6);
    let mut ask = |e: &mut Emitter<'_>, condition| asks.push(e.branch(&[0x0f, condition]));
    e.load_ctx(reg::R11, TOP);
    // cmp r11, fs:[END]; jae ask
    e.bytes(&[0x64, 0x4c, 0x3b, 0x1c, 0x25]);
    e.u32(END);
    ask(e, AE);
    // mov rax, [rsp]; mov [r11 + 56], rax: the new frame's site; cmp rsp, [r11]; jae jumped
    e.bytes(&[0x48, 0x8b, 0x04, 0x24, 0x49, 0x89, 0x43, 56, 0x49, 0x3b, 0x23]);
    let jumped = e.branch(&[0x0f, AE]);
    let look_up = e.here();
    // mov ecx, eax; xor ecx, the function's part; and ecx, CHILD; add ecx, [r11 + 12]; mov ecx, fs:[rcx + children]
    e.bytes(&[0x89, 0xc1, 0x81, 0xf1]);
    e.u32(spread(number));
    e.bytes(&[0x83, 0xe1, CHILD, 0x41, 0x03, 0x4b, 12, 0x64, 0x8b, 0x89]);
    e.u32(field(offset_of!(Node, children)));
    compare_function(e, number);
    let other_function = e.branch(&[0x0f, NE]);
    compare_site(e);
    let other_site = e.branch(&[0x0f, NE]);
    let found = e.here();
    // mov [r11 + 32], rsp; mov eax, fs:[rcx + target]; mov [r11 + 44], eax
    e.bytes(&[0x49, 0x89, 0x63, 32, 0x64, 0x8b, 0x81]);
    e.u32(field(offset_of!(Node, target)));
    e.bytes(&[0x41, 0x89, 0x43, 44]);
    // add ecx, fs:[SIDE]; mov [r11 + 40], ecx
    e.bytes(&[0x64, 0x03, 0x0c, 0x25]);
    e.u32(SIDE);
    e.bytes(&[0x41, 0x89, 0x4b, 40]);
    if spends {
        // add eax, fs:[SPENT_SIDE]
        e.bytes(&[0x64, 0x03, 0x04, 0x25]);
        e.u32(SPENT_SIDE);
        e.store_ctx(CURRENT, reg::RAX);
    }
    clock(e, false);
    // mov [r11 + 48], rcx; lea r11, [r11 + 32]
    e.bytes(&[0x49, 0x89, 0x4b, 48, 0x4d, 0x8d, 0x5b, 32]);
    e.store_ctx(TOP, reg::R11);
    let done = e.here();
    if flags {
        cold::restore_flags(e, pc);
    }
    cold::give_back(e);
    e.mark(pc, Fix::NONE);
    let over = e.branch(&[0xe9]);

    e.mark(pc, fix);
    e.patch_branch(jumped, e.here());
    // jne ask; cmp rax, [r11 + 24]; jne ask: the same return address.
    ask(e, NE);
    e.bytes(&[0x49, 0x3b, 0x43, 24]);
    ask(e, NE);
    // mov ecx, [r11 + 8]; and ecx, -NODE_BYTES
    e.bytes(&[0x41, 0x8b, 0x4b, 8, 0x83, 0xe1, (NODE_BYTES as u8).wrapping_neg()]);
    compare_function(e, number);
    // je done: it is that function itself. mov eax, JUMP; jmp look_up
    let same = e.branch(&[0x0f, E]);
    e.patch_branch(same, done);
    e.bytes(&[0xb8]);
    e.u32(JUMP as u32);
    e.jmp(look_up);

    e.patch_branch(other_function, e.here());
    e.patch_branch(other_site, e.here());
    look_in_table(e, number, ask);
    e.jmp(found);

    for at in asks {
        e.patch_branch(at, e.here());
    }
    if flags {
        cold::restore_flags(e, pc);
    }
    cold::give_back(e);
    e.store_ctx(layout::R11, reg::R11);
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::NONE);
    let resume = jump_to_engine(e, stubs, number);
    e.patch_u32(resume, e.here() as u32);
    e.patch_branch(over, e.here());
}

/// Leads rcx to the node of the function that was called from the place in rax in the frame at r11, by the table, and makes it one of
/// its parent's children; what is not there is asked for. Overwrites rax.
fn look_in_table(e: &mut Emitter<'_>, number: u32, mut ask: impl FnMut(&mut Emitter<'_>, u8)) {
    // mov ecx, eax; xor ecx, [r11 + 12]; xor ecx, the function's part; imul ecx, ecx, SPREAD; shr ecx, SHIFT
    e.bytes(&[0x89, 0xc1, 0x41, 0x33, 0x4b, 12, 0x81, 0xf1]);
    e.u32(spread(number));
    e.bytes(&[0x69, 0xc9]);
    e.u32(SPREAD);
    e.bytes(&[0xc1, 0xe9, SHIFT as u8]);
    // mov ecx, fs:[TABLE + 4 * rcx]
    e.bytes(&[0x64, 0x8b, 0x0c, 0x8d]);
    e.u32(TABLE);
    // mov [r11 + 48], rax; mov eax, [r11 + 12]; cmp fs:[rcx + parent], eax; jne ask
    e.bytes(&[0x49, 0x89, 0x43, 48, 0x41, 0x8b, 0x43, 12, 0x64, 0x39, 0x81]);
    e.u32(field(offset_of!(Node, parent)));
    ask(e, NE);
    compare_function(e, number);
    ask(e, NE);
    // mov rax, [r11 + 48]
    e.bytes(&[0x49, 0x8b, 0x43, 48]);
    compare_site(e);
    ask(e, NE);
    // xor eax, the function's part; and eax, CHILD; add eax, [r11 + 12]; mov fs:[rax + children], ecx
    e.bytes(&[0x35]);
    e.u32(spread(number));
    e.bytes(&[0x83, 0xe0, CHILD, 0x41, 0x03, 0x43, 12, 0x64, 0x89, 0x88]);
    e.u32(field(offset_of!(Node, children)));
}

/// Second byte of conditional jumps: je, jne, jae.
const E: u8 = 0x84;
const NE: u8 = 0x85;
const AE: u8 = 0x83;

/// `cmp fs:[rcx + site], rax`
fn compare_site(e: &mut Emitter<'_>) {
    e.bytes(&[0x64, 0x48, 0x39, 0x81]);
    e.u32(field(offset_of!(Node, site)));
}

/// `cmp dword fs:[rcx + function], number`
fn compare_function(e: &mut Emitter<'_>, number: u32) {
    e.bytes(&[0x64, 0x81, 0xb9]);
    e.u32(field(offset_of!(Node, function)));
    e.u32(number);
}

/// The engine sees to it and goes on with all registers the guest's, at the address that is patched in at the offset returned.
fn call_engine(e: &mut Emitter<'_>, stubs: &StubAddresses, aside: Aside, what: u32, pc: u64) -> usize {
    if aside == Aside::Flags {
        aside.give_back(e, pc);
        // For who expects it there.
        e.store_ctx(layout::SPILL, reg::RCX);
        e.mark(pc, Fix::R11);
    }
    jump_to_engine(e, stubs, what)
}

/// The end of [`call_engine`]: rcx is in `SPILL`, r11 in `R11`.
fn jump_to_engine(e: &mut Emitter<'_>, stubs: &StubAddresses, what: u32) -> usize {
    e.store_ctx_imm(layout::EXIT, what);
    // mov qword fs:[CONTINUE], imm32
    e.bytes(&[0x64, 0x48, 0xc7, 0x04, 0x25]);
    e.u32(layout::CONTINUE);
    let resume = e.offset();
    e.u32(0);
    e.jmp(stubs.call);
    resume
}

/// What asks the engine about a return, to be emitted where nothing runs into it.
pub(crate) struct Asks {
    at: u32,
    behind: u64,
    aside: Aside,
}

/// A function returns; r11 has been put aside, and stays so. `spends`: more is counted by context than instructions. `flags`: one is live.
pub(crate) fn leave(e: &mut Emitter<'_>, spends: bool, pc: u64, flags: bool) -> Asks {
    let aside = Aside::of(flags);
    aside.put(e, pc);
    let again = e.here();
    e.load_ctx(reg::R11, TOP);
    // cmp rsp, [r11]; jne ask
    e.bytes(&[0x49, 0x3b, 0x23]);
    let at = e.branch(&[0x0f, NE]);
    clock(e, false);
    // sub rcx, [r11 + 16]; mov r11d, [r11 + 8]
    e.bytes(&[0x49, 0x2b, 0x4b, 16, 0x45, 0x8b, 0x5b, 8]);
    // add fs:[r11 + costs], rcx
    e.bytes(&[0x64, 0x49, 0x01, 0x8b]);
    e.u32(field(offset_of!(Node, costs)));
    e.mark(pc, if flags { Fix::LEFT_ONCE_FLAGS } else { Fix::LEFT_ONCE });
    // add qword fs:[r11 + calls], 1
    e.bytes(&[0x64, 0x49, 0x83, 0x83]);
    e.u32(field(offset_of!(Node, calls)));
    e.bytes(&[1]);
    e.mark(pc, if flags { Fix::LEFT_TWICE_FLAGS } else { Fix::LEFT_TWICE });
    // sub qword fs:[TOP], 32
    e.bytes(&[0x64, 0x48, 0x83, 0x2c, 0x25]);
    e.u32(TOP);
    e.bytes(&[FRAME_BYTES as u8]);
    e.mark(pc, aside.fix());
    e.load_ctx(reg::R11, TOP);
    // cmp rsp, [r11]; jae again: it has been jumped to from another function, which ends with it.
    e.bytes(&[0x49, 0x3b, 0x23]);
    let more = e.branch(&[0x0f, AE]);
    e.patch_branch(more, again);
    if spends {
        // mov r11d, [r11 + 12]; add r11d, fs:[SPENT_SIDE]
        e.bytes(&[0x45, 0x8b, 0x5b, 12, 0x64, 0x44, 0x03, 0x1c, 0x25]);
        e.u32(SPENT_SIDE);
        e.store_ctx(CURRENT, reg::R11);
    }
    aside.give_back(e, pc);
    Asks { at, behind: e.here(), aside }
}

/// Emits what asks the engine about a return.
pub(crate) fn ask(e: &mut Emitter<'_>, stubs: &StubAddresses, pc: u64, asks: &Asks) {
    e.mark(pc, asks.aside.fix());
    e.patch_branch(asks.at, e.here());
    let resume = call_engine(e, stubs, asks.aside, RETURNS, pc);
    e.patch_u32(resume, asks.behind as u32);
}

/// What the log holds is to be worked through; all registers are the guest's.
pub(crate) fn work_through_log(e: &mut Emitter<'_>, stubs: &StubAddresses, pc: u64) {
    e.store_ctx(layout::R11, reg::R11);
    e.mark(pc, Fix::R11);
    e.store_ctx(layout::SPILL, reg::RCX);
    let resume = call_engine(e, stubs, Aside::Registers, layout::LOGGED, pc);
    e.patch_u32(resume, e.here() as u32);
    e.mark(pc, Fix::NONE);
}

/// A jump takes another place on the stack with it; r11 has been put aside, and stays so.
pub(crate) fn switch(e: &mut Emitter<'_>, stubs: &StubAddresses, pc: u64) {
    e.store_ctx(layout::SPILL, reg::RCX);
    let resume = call_engine(e, stubs, Aside::Registers, LEAVES, pc);
    e.patch_u32(resume, e.here() as u32);
}

//! What precise code does where a look has found undefined bits: V bits are moved along with values, or the engine is asked.
//!
//! This code lies behind the segment's. It puts rax, rcx, r11 and, where one is live, the status flags aside, and goes back
//! to the instruction, which is executed as everywhere.
//!
//! Always holds: V bits and `DIRTY` are changed only once no byte of the access is found that the guest may not touch; who
//! finds one leaves the instruction to the engine.

use crate::address::Address;
use crate::constant::{Constant, Operand};
use crate::emit::{Emitter, reg};
use crate::layout::{
    self, DIRTY, Fix, ORIGIN_GENERAL, ORIGIN_VECTOR, SCRATCH, SHADOW_BIAS, V_GENERAL, V_VECTOR,
};
use crate::shadow;
use alloc::vec::Vec;

/// A register whose V bits are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A general register. `high`: its second byte (ah and the like).
    General { number: u8, high: bool },
    /// A vector register. `keeps`: an instruction that writes to it keeps what is above the low 128 bits.
    Vector { number: u8, keeps: bool },
}

impl Place {
    /// Whether it is the second byte of a register.
    pub(crate) fn is_high(self) -> bool {
        matches!(self, Place::General { high: true, .. })
    }
}

/// How a value is made wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extend {
    /// By zeros.
    Zero,
    /// By its sign, to 32 bits.
    Sign32,
    /// By its sign, to 64 bits.
    Sign64,
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rare {
    /// The engine follows the instruction.
    Step,
    /// A register gets what is in memory.
    Load { address: Address, bytes: u8, extend: Extend, to: Place },
    /// Memory gets what is in a register. `stack`: it is surely the thread's own.
    Store { address: Address, bytes: u8, from: Place, stack: bool },
    /// Memory gets a value that is defined.
    Define { address: Address, bytes: u8 },
    /// An operand is combined with a constant.
    Constant(Constant),
    /// A register gets what is in another one.
    Move { bytes: u8, extend: Extend, from: Place, to: Place },
}

/// One such piece of code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cold {
    pub(crate) rare: Rare,
    /// Guest pc of the instruction.
    pub(crate) pc: u64,
    /// Address of its decoded form.
    pub(crate) step: u64,
    /// A status flag is live in front of it.
    pub(crate) keeps_flags: bool,
    /// Cache address to go back to.
    pub(crate) back: u64,
}

impl Cold {
    /// Emits it. `step_stub`: where the engine is asked. `branches` is working memory.
    pub(crate) fn emit(&self, e: &mut Emitter<'_>, step_stub: u64, branches: &mut Vec<u32>) {
        branches.clear();
        e.mark(self.pc, Fix::NONE);
        match self.rare {
            Rare::Step => return self.step(e, step_stub),
            Rare::Move { bytes, extend, from, to } => {
                self.move_register(e, bytes, extend, from, to);
                e.jmp(self.back);
                return;
            }
            Rare::Load { address, bytes, extend, to } => {
                self.save(e, address);
                look_for_unaddressable(e, bytes, branches);
                load(e, bytes, extend, to);
            }
            Rare::Store { address, bytes, from, stack } => {
                self.save(e, address);
                if !stack {
                    look_for_unaddressable(e, bytes, branches);
                }
                store(e, bytes, from);
            }
            Rare::Constant(constant) => {
                self.save(
                    e,
                    match constant.operand {
                        Operand::Memory(address) => address,
                        // None is needed.
                        Operand::Register { .. } => Address::at(reg::RSP, 0),
                    },
                );
                combine(e, constant, branches);
            }
            Rare::Define { address, bytes } => {
                self.save(e, address);
                look_for_unaddressable(e, bytes, branches);
                shadow::define(e, Address::at(reg::R11, 0), u64::from(bytes));
            }
        }
        self.restore(e);
        e.jmp(self.back);
        if !branches.is_empty() {
            for field in branches.drain(..) {
                e.patch_branch(field, e.here());
            }
            e.mark(self.pc, if self.keeps_flags { Fix::SCRATCH_FLAGS } else { Fix::SCRATCH });
            self.restore(e);
            self.step(e, step_stub);
        }
    }

    /// Asks the engine here, and goes on behind.
    pub(crate) fn emit_in_place(mut self, e: &mut Emitter<'_>, step_stub: u64) {
        const BYTES: u64 = 3 * 12 + 5;
        e.mark(self.pc, Fix::NONE);
        self.back = e.here() + BYTES;
        self.step(e, step_stub);
    }

    /// Asks the engine.
    fn step(&self, e: &mut Emitter<'_>, stub: u64) {
        e.store_ctx_imm(layout::STEP, self.step as u32);
        e.store_ctx_imm(layout::STEP + 4, (self.step >> 32) as u32);
        e.store_ctx_imm(layout::CONTINUE, self.back as u32);
        e.jmp(stub);
    }

    /// Puts registers and flags aside and loads r11 with the address.
    fn save(&self, e: &mut Emitter<'_>, address: Address) {
        put_aside(e, self.pc);
        address.load_sum(e, reg::R11);
        if self.keeps_flags {
            save_flags(e, self.pc);
        }
    }

    fn restore(&self, e: &mut Emitter<'_>) {
        if self.keeps_flags {
            restore_flags(e, self.pc);
        }
        for (slot, register) in (0..).zip([reg::RAX, reg::RCX, reg::R11]) {
            e.load_ctx(register, SCRATCH + 8 * slot);
        }
        e.mark(self.pc, Fix::NONE);
    }

    fn move_register(&self, e: &mut Emitter<'_>, bytes: u8, extend: Extend, from: Place, to: Place) {
        e.store_ctx(layout::SPILL, reg::RCX);
        e.mark(self.pc, Fix::spill(reg::RCX));
        match (from, to) {
            (Place::General { number, high }, Place::General { number: target, .. }) => {
                let at = V_GENERAL + 8 * u32::from(number) + u32::from(high);
                let target = u32::from(target);
                load_v_extended(e, Source::Context(at), bytes, extend);
                e.store_ctx(V_GENERAL + 8 * target, reg::RCX);
                set_dirty(e, target, 0);
                set_dirty_unless_rcx_is_zero(e, target);
                e.load_ctx(reg::RCX, ORIGIN_GENERAL + 8 * u32::from(number));
                e.store_ctx(ORIGIN_GENERAL + 8 * target, reg::RCX);
            }
            (Place::Vector { number, .. }, Place::Vector { number: target, keeps }) => {
                let (number, target) = (u32::from(number), u32::from(target));
                let words = u32::from(bytes) / 8;
                let (from, to) = (V_VECTOR + 64 * number, V_VECTOR + 64 * target);
                if words > 2 {
                    forget_unless_dirty(e, 32 + number, [from, from + 8]);
                    forget_unless_dirty(e, 64 + number, [from + 16, from + 24]);
                }
                for word in 0..words {
                    e.load_ctx(reg::RCX, from + 8 * word);
                    e.store_ctx(to + 8 * word, reg::RCX);
                }
                set_dirty_halves(e, target, words);
                clear_above(e, target, words, keeps);
                e.load_ctx(reg::RCX, ORIGIN_VECTOR + 8 * number);
                e.store_ctx(ORIGIN_VECTOR + 8 * target, reg::RCX);
            }
            _ => (),
        }
        e.load_ctx(reg::RCX, layout::SPILL);
        e.mark(self.pc, Fix::NONE);
    }
}

/// Puts rax, rcx and r11 aside.
pub(crate) fn put_aside(e: &mut Emitter<'_>, pc: u64) {
    for (slot, register) in (0..).zip([reg::RAX, reg::RCX, reg::R11]) {
        e.store_ctx(SCRATCH + 8 * slot, register);
    }
    e.mark(pc, Fix::SCRATCH);
}

/// Gives those registers back.
pub(crate) fn give_back(e: &mut Emitter<'_>) {
    for (slot, register) in (0..).zip([reg::RAX, reg::RCX, reg::R11]) {
        e.load_ctx(register, SCRATCH + 8 * slot);
    }
}

/// Puts the status flags aside, through rax, which has been.
pub(crate) fn save_flags(e: &mut Emitter<'_>, pc: u64) {
    // lahf; seto al
    e.bytes(&[0x9f, 0x0f, 0x90, 0xc0]);
    e.store_ctx(SCRATCH + 24, reg::RAX);
    e.mark(pc, Fix::SCRATCH_FLAGS);
}

/// Gives them back, through rax.
pub(crate) fn restore_flags(e: &mut Emitter<'_>, pc: u64) {
    e.load_ctx(reg::RAX, SCRATCH + 24);
    // add al, 127: overflows if al is 1; sahf
    e.bytes(&[0x04, 0x7f, 0x9e]);
    e.mark(pc, Fix::SCRATCH);
}

/// Branches where a V bit of the operand is set that matters; else all that the instruction writes is defined.
fn combine(e: &mut Emitter<'_>, constant: Constant, branches: &mut Vec<u32>) {
    let Constant { operand, bytes, matters, writes } = constant;
    let source = match operand {
        Operand::Memory(_) => {
            look_for_unaddressable(e, bytes, branches);
            Source::Shadow
        }
        Operand::Register { number, high } => {
            Source::Context(V_GENERAL + 8 * u32::from(number) + u32::from(high))
        }
    };
    load_v_extended(e, source, bytes, Extend::Zero);
    // test rcx, matters; jne
    if bytes == 8 {
        e.bytes(&[0x48]);
    }
    e.bytes(&[0xf7, 0xc1]);
    e.u32(matters);
    branches.push(e.branch(&[0x0f, 0x85]));
    match operand {
        Operand::Memory(_) if writes => shadow::define(e, Address::at(reg::R11, 0), u64::from(bytes)),
        Operand::Register { number, .. } if writes => set_dirty(e, u32::from(number), 0),
        _ => (),
    }
}

/// The V bits at r11, word by word.
fn words(bytes: u8) -> impl Iterator<Item = (Address, u64)> {
    shadow::parts(Address::at(reg::R11, SHADOW_BIAS), u64::from(bytes))
}

/// Branches where a byte at r11 has the V bits of unaddressable memory.
pub(crate) fn look_for_unaddressable(e: &mut Emitter<'_>, bytes: u8, branches: &mut Vec<u32>) {
    for (word, size) in words(bytes) {
        // A byte of x is zero exactly when (x - 1 in each byte) & !x has the highest bit of one.
        shadow::load(e, word, size, reg::RCX);
        // xor rcx, fs:[pattern]; mov rax, rcx; add rax, fs:[-1 in each byte]; not rcx; and rax, rcx
        e.bytes(&[0x64, 0x48, 0x33, 0x0c, 0x25]);
        e.u32(layout::PATTERNS);
        e.bytes(&[0x48, 0x89, 0xc8, 0x64, 0x48, 0x03, 0x04, 0x25]);
        e.u32(layout::PATTERNS + 8);
        e.bytes(&[0x48, 0xf7, 0xd1, 0x48, 0x21, 0xc8]);
        // test fs:[highest bits], rax; jne
        e.bytes(&[0x64, 0x48, 0x85, 0x04, 0x25]);
        e.u32(layout::PATTERNS + 16);
        branches.push(e.branch(&[0x0f, 0x85]));
    }
}

/// Where V bits are loaded from.
#[derive(Clone, Copy)]
enum Source {
    /// The context.
    Context(u32),
    /// What r11 points to.
    Shadow,
}

/// Loads rcx with V bits of `bytes` bytes, made wider.
fn load_v_extended(e: &mut Emitter<'_>, source: Source, bytes: u8, extend: Extend) {
    // movzx and movsx from byte and word, movsxd, mov
    let (wide, opcode): (bool, &[u8]) = match (bytes, extend) {
        (1, Extend::Zero) => (false, &[0x0f, 0xb6]),
        (2, Extend::Zero) => (false, &[0x0f, 0xb7]),
        (1, _) => (extend == Extend::Sign64, &[0x0f, 0xbe]),
        (2, _) => (extend == Extend::Sign64, &[0x0f, 0xbf]),
        (4, Extend::Sign64) => (true, &[0x63]),
        (4, _) => (false, &[0x8b]),
        _ => (true, &[0x8b]),
    };
    match source {
        Source::Shadow => {
            Address::at(reg::R11, SHADOW_BIAS).emit(e, &[0x65], wide, opcode, reg::RCX, &[]);
        }
        Source::Context(at) => {
            e.bytes(&[0x64]);
            if wide {
                e.bytes(&[0x48]);
            }
            e.bytes(opcode);
            e.bytes(&[0x0c, 0x25]);
            e.u32(at);
        }
    }
}

fn load(e: &mut Emitter<'_>, bytes: u8, extend: Extend, to: Place) {
    match to {
        Place::General { number, .. } => {
            let number = u32::from(number);
            e.store_ctx(ORIGIN_GENERAL + 8 * number, reg::R11);
            load_v_extended(e, Source::Shadow, bytes, extend);
            e.store_ctx(V_GENERAL + 8 * number, reg::RCX);
            set_dirty(e, number, 1);
        }
        Place::Vector { number, keeps } => {
            let number = u32::from(number);
            e.store_ctx(ORIGIN_VECTOR + 8 * number, reg::R11);
            let v = V_VECTOR + 64 * number;
            let mut at = 0;
            for (word, size) in words(bytes) {
                shadow::load(e, word, size, reg::RCX);
                e.store_ctx(v + at, reg::RCX);
                at += 8;
            }
            let words = at / 8;
            for word in words..2 {
                zero(e, v + 8 * word);
            }
            set_dirty_halves(e, number, words);
            clear_above(e, number, words, keeps);
        }
    }
}

fn store(e: &mut Emitter<'_>, bytes: u8, from: Place) {
    match from {
        Place::General { number, .. } => {
            e.load_ctx(reg::RCX, V_GENERAL + 8 * u32::from(number));
            shadow::store_rcx(e, Address::at(reg::R11, SHADOW_BIAS), u64::from(bytes));
        }
        Place::Vector { number, .. } => {
            let number = u32::from(number);
            let v = V_VECTOR + 64 * number;
            if bytes > 16 {
                for (half, first) in [(32, 0), (64, 2)] {
                    forget_unless_dirty(e, half + number, [v + 8 * first, v + 8 * first + 8]);
                }
            }
            let mut at = 0;
            for (word, size) in words(bytes) {
                e.load_ctx(reg::RCX, v + at);
                shadow::store_rcx(e, word, size);
                at += 8;
            }
        }
    }
}

/// The first words of a vector register have V bits, of which at least one is set.
fn set_dirty_halves(e: &mut Emitter<'_>, number: u32, words: u32) {
    if words <= 2 {
        return set_dirty(e, 32 + number, 1);
    }
    let v = V_VECTOR + 64 * number;
    for (half, first) in [(32, 0), (64, 2)] {
        set_dirty(e, half + number, 0);
        for word in first..first + 2 {
            e.load_ctx(reg::RCX, v + 8 * word);
            set_dirty_unless_rcx_is_zero(e, half + number);
        }
    }
}

/// What is above the first `words` words of a vector register is defined, unless it is kept.
fn clear_above(e: &mut Emitter<'_>, number: u32, words: u32, keeps: bool) {
    if keeps {
        return;
    }
    if words <= 2 {
        set_dirty(e, 64 + number, 0);
    } else {
        for word in words..8 {
            zero(e, V_VECTOR + 64 * number + 8 * word);
        }
    }
}

/// Two words of V bits become zero if they do not count.
fn forget_unless_dirty(e: &mut Emitter<'_>, place: u32, words: [u32; 2]) {
    // movzx ecx, byte; jrcxz over the jump; jmp over both stores
    e.bytes(&[0x64, 0x0f, 0xb6, 0x0c, 0x25]);
    e.u32(DIRTY + place);
    e.bytes(&[0xe3, 2, 0xeb, 0]);
    let start = e.offset();
    for word in words {
        zero(e, word);
    }
    e.patch_u8(start - 1, (e.offset() - start) as u8);
}

/// `mov qword fs:[slot], 0`
fn zero(e: &mut Emitter<'_>, slot: u32) {
    e.bytes(&[0x64, 0x48, 0xc7, 0x04, 0x25]);
    e.u32(slot);
    e.u32(0);
}

/// `mov byte fs:[DIRTY + place], value`: nine bytes.
pub(crate) fn set_dirty(e: &mut Emitter<'_>, place: u32, value: u8) {
    e.bytes(&[0x64, 0xc6, 0x04, 0x25]);
    e.u32(DIRTY + place);
    e.bytes(&[value]);
}

fn set_dirty_unless_rcx_is_zero(e: &mut Emitter<'_>, place: u32) {
    const BYTES: u8 = 9;
    // jrcxz over the store
    e.bytes(&[0xe3, BYTES]);
    set_dirty(e, place, 1);
}

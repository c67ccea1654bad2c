//! The guest's registers of a thread that was interrupted in the code cache.

use crate::accesses;
use crate::context::{Context, gpr};
use crate::guest_mem;
use crate::space;
use crate::state::Engine;
use crate::sys::errno;
use core::sync::atomic::Ordering;
use translate::layout::{EXIT_CALL, Fix, STATE_LEAVING};

/// Offsets of general registers in the kernel's sigcontext, by encoding order (rax rcx rdx rbx rsp rbp rsi rdi r8..).
pub(super) const SIGCONTEXT: [usize; 16] = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];
/// Index of rip in the sigcontext.
pub const RIP: usize = 16;
/// Index of the flags.
pub const FLAGS: usize = 17;
/// Index of rcx.
pub const RCX: usize = 14;

/// Registers as the kernel saves them: 23 words from r8 on.
pub type Gregs = [u64; 23];

/// General registers, pc and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestRegs {
    /// In encoding order.
    pub regs: [u64; 16],
    /// Program counter.
    pub pc: u64,
    /// RFLAGS.
    pub flags: u64,
}

impl GuestRegs {
    /// What a context holds for a thread in the engine.
    pub fn of_context(context: &Context) -> GuestRegs {
        GuestRegs { regs: context.regs, pc: context.pc, flags: context.flags }
    }

    /// From the kernel's frame, as they are.
    pub fn of_gregs(gregs: &Gregs) -> GuestRegs {
        let regs = SIGCONTEXT.map(|index| gregs[index]);
        GuestRegs { regs, pc: gregs[RIP], flags: gregs[FLAGS] }
    }

    /// Into a kernel frame.
    pub fn store(&self, gregs: &mut Gregs) {
        for (value, index) in self.regs.iter().zip(SIGCONTEXT) {
            gregs[index] = *value;
        }
        gregs[RIP] = self.pc;
        gregs[FLAGS] = self.flags;
    }

    /// Into a context.
    pub fn to_context(&self, context: &mut Context) {
        context.regs = self.regs;
        context.pc = self.pc;
        context.flags = self.flags;
    }
}

/// What the interrupted address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// In guest code: its state. `registers_in_context`: also the vector registers are the context's.
    Guest(GuestRegs, bool),
    /// In the engine.
    Engine,
}

/// Recovers the guest state of a thread interrupted at `gregs`.
pub fn recover(engine: &Engine, context: &Context, gregs: &Gregs) -> Interrupted {
    let mut guest = GuestRegs::of_gregs(gregs);
    let pc = guest.pc;
    let stubs = &engine.stubs;
    if pc >= stubs.switch_start && pc < stubs.switch_end {
        return in_switch(engine, context, pc);
    }
    if pc >= stubs.addresses.syscall && pc < stubs.syscall_end {
        if pc <= stubs.syscall_instruction {
            // Not begun, or to be begun again (then rax is restart_syscall's number or its own).
            guest.pc = if pc == stubs.addresses.syscall { guest.regs[gpr::RCX] } else { context.pc };
            guest.pc = guest.pc.wrapping_sub(2);
        } else if guest.regs[gpr::RAX] as i64 == -errno::EFAULT && crate::code::unguard_all(engine) {
            // The kernel met memory that we protect: as EXIT_SYSCALL_FAULT, which is not reached any more.
            guest.pc = context.pc.wrapping_sub(2);
            guest.regs[gpr::RAX] = context.spill;
        } else {
            guest.pc = context.pc;
            guest.regs[gpr::RCX] = context.pc;
        }
        return Interrupted::Guest(guest, false);
    }
    if pc >= stubs.addresses.heap_call && pc < stubs.heap_call_end {
        // Before its end the thread looks at PENDING itself.
        if pc < stubs.heap_epilogue {
            return Interrupted::Engine;
        }
        let rsp = guest.regs[gpr::RSP];
        if (stubs.heap_leaving.0..stubs.heap_leaving.1).contains(&pc) {
            guest.pc = guest.regs[gpr::RCX];
        } else if pc < stubs.heap_popped {
            guest.pc = guest_mem::read_u64(rsp).unwrap_or(0);
            guest.regs[gpr::RSP] = rsp.wrapping_add(8);
        } else {
            guest.pc = guest_mem::read_u64(rsp.wrapping_sub(8)).unwrap_or(0);
            guest.regs[gpr::R11] = context.r11;
        }
        return Interrupted::Guest(guest, false);
    }
    if (stubs.access_start..stubs.access_end).contains(&pc) {
        // Before its end the thread looks at PENDING itself.
        if !accesses::misses::is_answered(engine, pc) {
            return Interrupted::Engine;
        }
        let Some(position) = engine.cache.lock().position(context.resume) else { return Interrupted::Engine };
        guest.pc = position.pc;
        apply(&mut guest, context, position.fix);
        return Interrupted::Guest(guest, false);
    }
    if let Some(fix) = stubs.store_fix(pc) {
        let Some(position) = engine.cache.lock().position(context.resume) else { return Interrupted::Engine };
        guest.pc = position.pc;
        apply(&mut guest, context, fix);
        return Interrupted::Guest(guest, false);
    }
    if pc >= stubs.raise && pc < stubs.raise_end {
        return Interrupted::Guest(GuestRegs::of_context(context), true);
    }
    if context.state.load(Ordering::SeqCst) == STATE_LEAVING {
        return Interrupted::Guest(leaving(engine, context), true);
    }
    // The engine's own code may hold the lock, so it must not be taken to find out that this is the engine's.
    if !(space::CACHE_BASE..space::CACHE_END).contains(&pc) {
        return Interrupted::Engine;
    }
    let cache = engine.cache.lock();
    let Some(position) = cache.position(pc) else { return Interrupted::Engine };
    drop(cache);
    guest.pc = position.pc;
    apply(&mut guest, context, position.fix);
    Interrupted::Guest(guest, false)
}

/// In the switch: on the way into the cache the context still holds everything; on the way out the dispatcher is
/// about to look for what is pending.
fn in_switch(engine: &Engine, context: &Context, pc: u64) -> Interrupted {
    let stubs = &engine.stubs;
    if pc >= stubs.enter && pc < stubs.addresses.direct_exit {
        let mut guest = leaving(engine, context);
        if context.next == stubs.syscall_pass {
            guest.pc = guest.pc.wrapping_sub(2);
        }
        return Interrupted::Guest(guest, true);
    }
    Interrupted::Engine
}

/// The guest's registers of a thread on its way into the cache. After a question about calls it goes on within a fragment, at a
/// place that may stand for others than those in the context.
fn leaving(engine: &Engine, context: &Context) -> GuestRegs {
    let mut guest = GuestRegs::of_context(context);
    if context.reason == EXIT_CALL && context.next == context.resume {
        to_place(engine, context, &mut guest);
    }
    guest
}

/// Recovers registers at the place where emitted code goes on that has asked about calls.
pub fn to_place(engine: &Engine, context: &Context, guest: &mut GuestRegs) {
    if let Some(position) = engine.cache.lock().position(context.resume) {
        apply(guest, context, position.fix);
        guest.pc = position.pc;
    }
}

/// What else than the pc differs.
pub fn apply(guest: &mut GuestRegs, context: &Context, fix: Fix) {
    let (log, homes) = (fix.log(), fix.homes());
    let fix = fix.without_log();
    match fix {
        Fix::R11_TO_R11 => guest.pc = guest.regs[gpr::R11],
        Fix::R11_TO_TARGET | Fix::RCX_R11_TO_TARGET | Fix::RCX_IN_R11_TO_TARGET => guest.pc = context.target,
        Fix::R11_TO_STACK | Fix::RCX_R11_TO_STACK | Fix::RCX_IN_R11_TO_STACK => {
            guest.pc = guest_mem::read_u64(guest.regs[gpr::RSP].wrapping_sub(8)).unwrap_or(guest.pc);
        }
        Fix::UNPUSH | Fix::UNPUSH_R11 => guest.regs[gpr::RSP] = guest.regs[gpr::RSP].wrapping_add(8),
        _ => (),
    }
    for &(place, register) in fix.scratch() {
        guest.regs[register as usize] = context.scratch[place];
    }
    guest.flags = fix.flags(guest.flags, context.scratch[3]);
    if fix.rcx_is_spilled() {
        guest.regs[gpr::RCX] = context.spill;
    }
    if fix.rcx_is_in_r11() {
        guest.regs[gpr::RCX] = guest.regs[gpr::R11];
    }
    if let Some(register) = fix.in_r11() {
        guest.regs[register as usize] = context.r11;
    }
    if let Some(register) = fix.spilled() {
        guest.regs[register as usize] = context.spill;
    }
    if let Some(rsi) = fix.string_source(guest.regs[gpr::RSI], context.guest_fs, context.guest_gs) {
        guest.regs[gpr::RSI] = rsi;
    }
    if let Some(register) = log {
        guest.regs[register as usize] = context.log_home;
    }
    for (register, home) in homes.zip(context.homes) {
        guest.regs[register as usize] = home;
    }
}

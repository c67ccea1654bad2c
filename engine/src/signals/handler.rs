//! The engine's one signal handler.
//!
//! It does real work only for a thread that was interrupted in the code cache: such a thread holds no engine lock,
//! so the handler may take them. Interrupted in the engine, a signal is kept for later (`raise`).
//!
//! The guest's trap flag is the processor's own: it traps behind each instruction of the cache and of the stubs, and the
//! handler passes on those traps that lie between two instructions of the guest. What runs in the engine, such as a
//! replaced allocation function, is one step.
//!
//! # Safety
//! `unsafe` here reads and writes the kernel's frame, which lies on the thread's own signal stack and belongs to the
//! handler until it returns.
#![allow(unsafe_code, reason = "the kernel's signal frame")]

use super::frame::{self, CR2, ERROR, SEGMENTS, SIGINFO_BYTES, TRAP_NUMBER, Ucontext};
use super::recover::{FLAGS, Gregs, GuestRegs, Interrupted, RCX, RIP, SIGCONTEXT, recover};
use super::waits;
use super::{
    Action, CARRIER_VALUE, DEFAULT, DefaultEffect, HELD_MASK, IGNORE, SA_NODEFER, SA_RESETHAND, SI_USER,
    STOP_VALUE, TRAP_FLAG, UNBLOCKABLE, bit, default_effect, kernel_mask, sig,
};
use crate::context::{Thread, gpr};
use crate::state::{Engine, engine};
use crate::syscalls::{descriptors, marks};
use crate::{calls, counts, faults, guest_mem, precise, shadow, space, threads};
use core::arch::global_asm;
use core::sync::atomic::Ordering;
use ring::record::Stat;
use translate::Missed;
use translate::calls::LOG_REGISTER;

global_asm!(
    ".globl vg_restorer",
    "vg_restorer:",
    "mov eax, 15",
    "syscall",
    ".globl vg_handler",
    "vg_handler:",
    "cld",
    "jmp {handle}",
    handle = sym handle,
);

unsafe extern "C" {
    fn vg_restorer();
    fn vg_handler();
}

/// Address of the handler.
pub fn address() -> u64 {
    vg_handler as *const () as u64
}

/// Address of the code that returns from it.
pub fn restorer() -> u64 {
    vg_restorer as *const () as u64
}

fn word(info: &[u8; SIGINFO_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]])
}

fn quad(info: &[u8; SIGINFO_BYTES], at: usize) -> u64 {
    u64::from(word(info, at)) | u64::from(word(info, at + 4)) << 32
}

/// Whether a siginfo tells of the thread's own instruction.
fn is_synchronous(signal: u32, info: &[u8; SIGINFO_BYTES]) -> bool {
    let code = word(info, 8) as i32;
    code > 0 && matches!(signal, sig::ILL | sig::TRAP | sig::BUS | sig::FPE | sig::SEGV)
}

unsafe extern "C" fn handle(signal: u32, info: *mut [u8; SIGINFO_BYTES], context: *mut Ucontext) {
    // SAFETY: the kernel's arguments; nobody else uses the frame while the handler runs.
    let (info, kernel) = unsafe { (&mut *info, &mut *context) };
    let pc = GuestRegs::of_gregs(&kernel.gregs).pc;
    let synchronous = is_synchronous(signal, info);
    if synchronous
        && matches!(signal, sig::SEGV | sig::BUS)
        && let Some(behind) = guest_mem::recover(pc)
    {
        kernel.gregs[16] = behind;
        return;
    }
    if synchronous && matches!(signal, sig::SEGV | sig::BUS) && skip_check(pc, &mut kernel.gregs) {
        return;
    }
    let engine = engine();
    let thread = threads::current();
    if synchronous && signal == sig::SEGV && calls::is_full(engine, thread, quad(info, 16)) {
        let position = engine.cache.lock().position(pc);
        let register = position.and_then(|position| position.fix.log()).unwrap_or(LOG_REGISTER);
        kernel.gregs[SIGCONTEXT[usize::from(register)]] = thread.context.log;
        return;
    }
    if synchronous
        && matches!(signal, sig::SEGV | sig::BUS)
        && crate::strings::leads_to_own_code(thread, &mut kernel.gregs)
    {
        return;
    }
    if !synchronous && thread.signals.own.holds(kernel.gregs[15]) {
        // In the handler of another signal, which leaves two open: when that one is through.
        super::set_kernel_mask(u64::MAX);
        kernel.mask |= bit(signal);
        super::send_to(thread.pid, thread.tid.load(Ordering::Relaxed), signal, info.as_ptr() as u64);
        return;
    }
    let purpose = Purpose::of(thread, signal, info);
    let traced = signal == sig::TRAP && word(info, 8) == TRAP_TRACE;
    let last = if traced { core::mem::replace(&mut thread.signals.trapped_at, pc) } else { 0 };
    match recover(engine, &thread.context, &kernel.gregs) {
        // The guest's trap flag is set: also on its way out of the cache and in again.
        Interrupted::Engine if traced => (),
        Interrupted::Guest(guest, _) if traced && !has_stepped(engine, thread, &guest, pc, last) => (),
        Interrupted::Engine if synchronous => engine_fault(signal, info, kernel),
        Interrupted::Engine => match purpose {
            Purpose::Guest => hold(thread, info, kernel),
            Purpose::Stop | Purpose::Unknown => thread.context.pending.store(1, Ordering::Release),
            Purpose::Carrier => (),
        },
        Interrupted::Guest(guest, from_context) => {
            marks::finish(thread, guest.pc, guest.regs[gpr::RAX]);
            descriptors::finish(thread, guest.pc, guest.regs[gpr::RAX]);
            if from_context {
                restore_xmm(thread, kernel);
            }
            if thread.signals.is_held() {
                carry(engine, thread, guest, info, kernel, purpose);
                return;
            }
            match purpose {
                Purpose::Guest => (),
                Purpose::Stop | Purpose::Unknown => {
                    thread.context.pending.store(1, Ordering::Release);
                    counts::interrupted(engine, thread, pc, guest.pc);
                    let guest = waits::made_again(engine, thread, guest, kernel);
                    resume(engine, thread, guest, kernel);
                    return;
                }
                Purpose::Carrier => {
                    kernel.mask = kernel_mask(thread.signals.mask);
                    return;
                }
            }
            let address = quad(info, 16);
            if signal == sig::SEGV
                && synchronous
                && crate::code::unguard(engine, address, kernel.gregs[ERROR], word(info, 8) == ACCESS_ERROR)
            {
                // A block that changes its own page goes on with the new bytes right behind the store.
                let source = engine.cache.lock().source(pc);
                let page = address & !(crate::space::PAGE - 1);
                if source.is_some_and(|(start, end)| start < page + crate::space::PAGE && end > page) {
                    thread.signals.step = true;
                    counts::interrupted(engine, thread, pc, guest.pc);
                    resume(engine, thread, guest, kernel);
                }
                return;
            }
            if signal == sig::SEGV && synchronous {
                faults::note(engine, thread, &guest, word(info, 8), address, kernel.gregs[ERROR]);
            }
            if synchronous && quad(info, 16) == pc {
                info[16..24].copy_from_slice(&guest.pc.to_le_bytes());
            }
            counts::interrupted(engine, thread, pc, guest.pc);
            deliver(engine, thread, guest, signal, info, kernel, synchronous);
        }
    }
}

/// A check of an address that has no shadow has faulted: the guest goes on behind it, to make the access itself.
fn skip_check(pc: u64, gregs: &mut Gregs) -> bool {
    const LONGEST: usize = 15;
    const ZERO: u64 = 0x40;
    if !shadow::is_on() || !(space::CACHE_BASE..space::CACHE_END).contains(&pc) {
        return false;
    }
    let mut code = [0; LONGEST];
    let length = guest_mem::read(pc, &mut code);
    let Some(faulted) = translate::faulted(&code[..length]) else { return false };
    match faulted.missed {
        Missed::LoadRcx => gregs[RCX] = 0,
        Missed::Compare => gregs[FLAGS] |= ZERO,
        Missed::Store => (),
    }
    gregs[RIP] += u64::from(faulted.length);
    true
}

/// SEGV_ACCERR, the si_code of an access that the mapping does not allow.
const ACCESS_ERROR: u32 = 2;
/// si_code of the trap behind an instruction.
const TRAP_TRACE: u32 = 2;

/// The processor has trapped behind an instruction of the cache, at `pc`; `last` is where it did before. Whether the guest
/// has come from one instruction to the next, or has done one round of a string instruction.
fn has_stepped(engine: &Engine, thread: &mut Thread, guest: &GuestRegs, pc: u64, last: u64) -> bool {
    const POPF: u8 = 0x9d;
    if thread.signals.is_held() {
        return false;
    }
    if (engine.stubs.syscall_done..engine.stubs.syscall_end).contains(&pc) {
        // The kernel comes back from a system call without a trap.
        thread.signals.stepped_to = Some(guest.pc);
        return false;
    }
    let mut before = [0u8];
    let just_begun = || guest_mem::read(guest.pc.wrapping_sub(1), &mut before) == 1 && before[0] == POPF;
    let stands = thread.signals.stepped_to.map_or_else(just_begun, |at| at == guest.pc && pc != last);
    thread.signals.stepped_to = stands.then_some(guest.pc);
    !stands
}

/// What a signal is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It is the guest's.
    Guest,
    /// The world is to be stopped, or something waits for this thread.
    Stop,
    /// It brings a frame for the signal that is held.
    Carrier,
    /// Stop or carrier: the kernel had no memory for the siginfo (RLIMIT_SIGPENDING), and sent zeroes.
    Unknown,
}

impl Purpose {
    fn of(thread: &Thread, signal: u32, info: &[u8; SIGINFO_BYTES]) -> Purpose {
        let value = quad(info, 24);
        let unknown = word(info, 8) == SI_USER && quad(info, 16) == 0;
        match signal {
            sig::ENGINE if value == STOP_VALUE => Purpose::Stop,
            sig::ENGINE if value == CARRIER_VALUE => Purpose::Carrier,
            sig::ENGINE if unknown => Purpose::Unknown,
            // Whatever it tells: a stop that was sent while it was pending is merged with it, and must be sent again.
            sig::ILL => match thread.stop_sent.swap(0, Ordering::SeqCst) {
                0 => Purpose::Guest,
                _ if unknown || value == STOP_VALUE => Purpose::Stop,
                _ => Purpose::Guest,
            },
            _ => Purpose::Guest,
        }
    }
}

/// Delivers the signal that is held, in the frame of whatever signal arrived in the raise stub: the carrier as a rule.
/// What came instead of it waits.
fn carry(
    engine: &Engine,
    thread: &mut Thread,
    guest: GuestRegs,
    info: &mut [u8; SIGINFO_BYTES],
    kernel: &mut Ucontext,
    purpose: Purpose,
) {
    if purpose == Purpose::Guest {
        thread.signals.blocked.push(super::words(info));
    }
    thread.context.pending.store(1, Ordering::Release);
    super::set_words(info, &thread.signals.info);
    thread.signals.set_held(false);
    kernel.mask = kernel_mask(thread.signals.mask);
    let signal = word(info, 0);
    let synchronous = is_synchronous(signal, info);
    let waits = bit(signal) & !UNBLOCKABLE != 0 && thread.signals.mask & bit(signal) != 0;
    if waits && !synchronous {
        // The guest has blocked it since: it waits in the kernel.
        let tid = thread.tid.load(Ordering::Relaxed);
        if !super::send_to(thread.pid, tid, signal, info.as_ptr() as u64) {
            thread.signals.blocked.push(super::words(info));
        }
        resume(engine, thread, guest, kernel);
        return;
    }
    deliver(engine, thread, guest, signal, info, kernel, synchronous);
}

/// A fault in the engine's own code.
fn engine_fault(signal: u32, info: &[u8; SIGINFO_BYTES], kernel: &Ucontext) -> ! {
    let guest = GuestRegs::of_gregs(&kernel.gregs);
    let context = &threads::current().context;
    crate::fatal::complain(format_args!(
        "engine: internal error: signal {signal} at {:#x}, address {:#x}, error {:#x}, rsp {:#x}, guest pc {:#x}, reason {}, exit {}",
        guest.pc,
        quad(info, 16),
        kernel.gregs[ERROR],
        guest.regs[4],
        context.pc,
        context.reason,
        context.exit,
    ));
    crate::sys::exit_group(125)
}

/// Keeps a signal for the way back into the cache and blocks all others meanwhile.
fn hold(thread: &mut Thread, info: &[u8; SIGINFO_BYTES], kernel: &mut Ucontext) {
    kernel.mask = HELD_MASK;
    thread.context.pending.store(1, Ordering::Release);
    if thread.signals.is_held() {
        thread.signals.blocked.push(super::words(info));
        return;
    }
    thread.signals.info = super::words(info);
    thread.signals.set_held(true);
}

/// The vector registers of a thread that was about to enter the cache are still in its context.
fn restore_xmm(thread: &Thread, kernel: &mut Ucontext) {
    if kernel.fpstate == 0 {
        return;
    }
    // SAFETY: the fxsave area is part of the kernel's frame; its xmm registers begin at offset 160.
    let area = unsafe { core::slice::from_raw_parts_mut((kernel.fpstate + 160) as *mut [u64; 2], 16) };
    area.copy_from_slice(&thread.context.xmm);
    // SAFETY: the header of the extended state follows the 512 bytes of the legacy area when the kernel says so.
    unsafe {
        let head = core::slice::from_raw_parts(kernel.fpstate as *const u8, 512);
        if frame::fpstate_bytes(head) > 512 {
            *((kernel.fpstate + 512) as *mut u64) |= 2;
        }
    }
}

/// Lets the thread go on in the dispatcher with `guest` as its state.
fn resume(engine: &Engine, thread: &mut Thread, guest: GuestRegs, kernel: &mut Ucontext) {
    thread.context.pc = guest.pc;
    let mut at_stub = guest;
    at_stub.pc = engine.stubs.resume;
    at_stub.store(&mut kernel.gregs);
}

fn deliver(
    engine: &Engine,
    thread: &mut Thread,
    mut guest: GuestRegs,
    signal: u32,
    info: &mut [u8; SIGINFO_BYTES],
    kernel: &mut Ucontext,
    synchronous: bool,
) {
    if !synchronous && !waits::resolve(engine, thread, info) {
        let guest = waits::made_again(engine, thread, guest, kernel);
        resume(engine, thread, guest, kernel);
        return;
    }
    let in_force = waits::mask_in_force(engine, thread, kernel);
    let blocked = in_force & bit(signal) != 0;
    if blocked && !synchronous && UNBLOCKABLE & bit(signal) != 0 {
        // The kernel never blocks these for us: kept until the guest unblocks them or asks for them.
        waits::keep(engine, thread, super::words(info));
        let guest = waits::made_again(engine, thread, guest, kernel);
        resume(engine, thread, guest, kernel);
        return;
    }
    let mut actions = thread.actions(engine).lock();
    let action = actions.guest[signal as usize - 1];
    let fatal = match action.handler {
        DEFAULT => synchronous || default_effect(signal) == DefaultEffect::Terminate,
        IGNORE => synchronous,
        // A fault under a blocked signal cannot wait.
        _ => blocked && synchronous,
    };
    if synchronous && thread.signals.freeres_done > 0 {
        // A crash while libc gives back its blocks must not cost the recording its end.
        drop(actions);
        thread.signals.abandon_freeres = true;
        guest.pc = crate::process_end::RETURN_TO_ENGINE;
        resume(engine, thread, guest, kernel);
        return;
    }
    if fatal {
        drop(actions);
        die(engine, thread, guest, signal, info, kernel);
        return;
    }
    if matches!(action.handler, DEFAULT | IGNORE) {
        drop(actions);
        // Nothing has happened, for the guest; but something else may be pending by now.
        let guest = waits::made_again(engine, thread, guest, kernel);
        resume(engine, thread, guest, kernel);
        return;
    }
    if action.flags & SA_RESETHAND != 0 {
        actions.guest[signal as usize - 1] = Action::default();
        let _ = super::install(signal, &Action::default());
    }
    drop(actions);
    engine.count(Stat::Signals, 1);
    if let Some((trap, error, address)) = thread.signals.synthetic.take() {
        // Found by the engine, not by the processor: the frame tells what the processor would have told.
        kernel.gregs[TRAP_NUMBER] = trap;
        kernel.gregs[ERROR] = error;
        kernel.gregs[CR2] = address;
    }
    // What the kernel would restore; in sigsuspend and its relatives another one is in force, for the handler too.
    let saved = thread.signals.mask;
    // SAFETY: the kernel's frame holds the floating-point state where the sigcontext says.
    let fpstate = unsafe {
        let head = core::slice::from_raw_parts(kernel.fpstate as *const u8, 512);
        core::slice::from_raw_parts_mut(kernel.fpstate as *mut u8, frame::fpstate_bytes(head))
    };
    let before = guest;
    let alternate = thread.signals.alternate;
    let mut pushed =
        frame::push(&mut guest, &mut thread.signals, &action, signal, kernel, info, fpstate, saved);
    // A stack that code was translated from is protected.
    if pushed.is_err() && crate::code::unguard_all(engine) {
        guest = before;
        pushed = frame::push(&mut guest, &mut thread.signals, &action, signal, kernel, info, fpstate, saved);
    }
    if pushed.is_err() {
        // No room for the frame: the kernel turns this into SIGSEGV.
        info[..SIGINFO_BYTES].fill(0);
        info[0] = sig::SEGV as u8;
        info[8] = 0x80;
        if signal == sig::SEGV {
            die(engine, thread, before, sig::SEGV, info, kernel);
        } else {
            deliver(engine, thread, before, sig::SEGV, info, kernel, true);
        }
        return;
    }
    let own = if action.flags & SA_NODEFER != 0 { 0 } else { bit(signal) };
    thread.signals.mask = (in_force | action.mask | own) & !(bit(sig::KILL) | bit(sig::STOP));
    kernel.mask = kernel_mask(thread.signals.mask);
    waits::cover(thread);
    thread.signals.stepped_to = None;
    let sp = guest.regs[gpr::RSP];
    let switched = alternate.holds(sp) && !alternate.holds(before.regs[gpr::RSP]);
    let stack = switched.then(|| alternate.sp..alternate.sp + alternate.size);
    calls::handler_begins(engine, thread, (action.handler, sp, action.restorer), stack);
    if shadow::follows() {
        precise::saved(thread, &frame::places(guest.regs[gpr::RSP].wrapping_add(8)));
    }
    // A handler starts with the initial floating-point state.
    fpstate[0..2].copy_from_slice(&0x37fu16.to_le_bytes());
    fpstate[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
    if fpstate.len() >= 576 {
        fpstate[512..520].fill(0);
    }
    resume(engine, thread, guest, kernel);
}

/// The process is going to end by `signal`: the dispatcher does the rest.
fn die(
    engine: &Engine,
    thread: &mut Thread,
    guest: GuestRegs,
    signal: u32,
    info: &[u8; SIGINFO_BYTES],
    kernel: &mut Ucontext,
) {
    if engine.options.debug & 1 != 0 {
        let regs = &guest.regs;
        crate::fatal::complain(format_args!(
            "signal {signal} code {} at guest {:#x} (cache {:#x}), address {:#x}, rax {:#x} rcx {:#x} rsp {:#x}",
            word(info, 8) as i32,
            guest.pc,
            kernel.gregs[16],
            quad(info, 16),
            regs[0],
            regs[1],
            regs[4],
        ));
    }
    waits::cover(thread);
    thread.signals.set_held(false);
    hold(thread, info, kernel);
    thread.signals.set_held(false);
    thread.signals.fatal = signal;
    resume(engine, thread, guest, kernel);
}

/// Makes the thread continue as a frame on the guest's stack says (rt_sigreturn). Returns only when the frame is
/// unreadable.
pub fn sigreturn(thread: &mut Thread) {
    let ucontext = thread.context.regs[gpr::RSP];
    let Ok((mut context, mut fpstate)) = frame::pull(ucontext) else { return };
    if shadow::follows() {
        precise::returns(thread, &frame::places(ucontext));
    }
    let guest = GuestRegs::of_gregs(&context.gregs);
    calls::handler_ends(engine(), thread);
    thread.signals.stepped_to = (guest.flags & TRAP_FLAG != 0).then_some(guest.pc);
    thread.signals.mask = context.mask & !(bit(sig::KILL) | bit(sig::STOP));
    let mut stack = context.stack;
    stack.flags &= super::SS_DISABLE | super::SS_AUTODISARM;
    if stack.flags & super::SS_DISABLE != 0 {
        stack = super::AltStack::NONE;
    }
    thread.signals.alternate = stack;
    crate::signals::raise::unblocked(engine(), thread);
    thread.context.pc = guest.pc;
    context.gregs[16] = engine().stubs.resume;
    context.stack = thread.signals.own;
    // A signal that is held is sent first; then all that wait are unblocked together, and the kernel orders them.
    context.mask = if thread.signals.is_held() { HELD_MASK } else { kernel_mask(thread.signals.mask) };
    // The kernel wants its own segments; a guest cannot change them.
    let segments = context.gregs[SEGMENTS];
    if segments as u16 != 0x33 {
        context.gregs[SEGMENTS] = 0x2b_0000_0000_0033;
    }
    context.gregs[TRAP_NUMBER] = 0;
    let address = if fpstate.is_empty() {
        0
    } else {
        // The kernel wants 64-byte alignment; the vector has room for it.
        let size = fpstate.len();
        fpstate.resize(size + 64, 0);
        let at = fpstate.as_ptr() as usize;
        let shift = at.next_multiple_of(64) - at;
        fpstate.copy_within(0..size, shift);
        (at + shift) as u64
    };
    context.fpstate = address;
    // SAFETY: rt_sigreturn reads the frame at rsp: the ucontext follows the (popped) return address. It does not
    // come back; the vector is given back at the thread's next entry to the dispatcher.
    thread.signals.frame = fpstate;
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("mov rsp, {frame}", "mov eax, 15", "syscall", "ud2",
            frame = in(reg) &raw const context, options(noreturn));
    }
}

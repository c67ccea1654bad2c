//! System calls that show or await signals, while the guest blocks some that the kernel never blocks for it.
//!
//! For such a call the thread is *exposed*: the kernel's mask is the guest's own, and what waits is sent again, to wait in
//! the kernel; sigtimedwait, sigpending, signalfds and what polls them then tell the truth. Behind the call, in the
//! dispatcher or when a handler is about to run, it ends: what the call did not take comes back to the engine. An exposed
//! thread runs nothing but the stubs, where no fault happens.
//!
//! A signal that was sent to the process, and that the kernel gave to a thread that blocks it, is passed on to one that
//! has it open or awaits it.
//!
//! Not exact: which of several threads that poll at that moment learns of it (poll and epoll do not say whether a signalfd
//! is among theirs; the others see it in their next call); a thread that waits already, with a mask of the call's own or
//! for a signalfd that it did not make, when the first such signal comes to another thread; and a signal from
//! pthread_sigqueue, which looks as if it were sent to the process.
//!
//! # Safety
//! `unsafe` here reads another thread's mask, and makes system calls with buffers of the engine's.
#![allow(unsafe_code, reason = "another thread's mask; system calls with engine buffers")]

use super::frame::Ucontext;
use super::waiting::Common;
use super::{
    HELD_MASK, NUDGE_VALUE, SI_USER, STOP_VALUE, UNBLOCKABLE, bit, block_all, kernel_mask, send_own, send_to,
    set_kernel_mask, sig,
};
use crate::context::{Thread, gpr};
use crate::guest_mem;
use crate::signals::recover::GuestRegs;
use crate::state::Engine;
use crate::sys::{self, errno, nr};
use crate::syscalls::Call;
use core::sync::atomic::Ordering;

const SI_TKILL: i32 = -6;

/// Calls that matter only once a signal waits, or a signalfd for one of them exists.
pub const OBSERVERS: [u64; 10] = [
    nr::READ,
    nr::READV,
    nr::PREADV2,
    nr::POLL,
    nr::PPOLL,
    nr::SELECT,
    nr::PSELECT6,
    nr::EPOLL_WAIT,
    nr::EPOLL_PWAIT,
    nr::EPOLL_PWAIT2,
];

fn signal_of(info: &[u64; 16]) -> u32 {
    info[0] as u32
}

/// Whether the kernel had no memory for the siginfo (RLIMIT_SIGPENDING), and made it zeroes.
fn is_unknown(info: &[u64; 16]) -> bool {
    info[1] as u32 == SI_USER && info[2] == 0
}

/// Whether it was sent to one thread, as far as a siginfo tells: pthread_sigqueue looks like sigqueue.
fn for_one_thread(info: &[u64; 16]) -> bool {
    signal_of(info) == sig::ENGINE || info[1] as i32 == SI_TKILL || is_unknown(info)
}

/// Where an interrupted system call's own mask lies, in its arguments: sigsuspend, ppoll, pselect, epoll_pwait.
fn mask_argument(number: u64, regs: &[u64; 16]) -> Option<u64> {
    let at = match number {
        nr::RT_SIGSUSPEND => regs[gpr::RDI],
        nr::PPOLL => regs[gpr::R10],
        nr::PSELECT6 if regs[gpr::R9] != 0 => guest_mem::read_u64(regs[gpr::R9])?,
        nr::EPOLL_PWAIT | nr::EPOLL_PWAIT2 => regs[gpr::R8],
        _ => 0,
    };
    if at == 0 { None } else { guest_mem::read_u64(at) }
}

/// Whether a signal ended a system call early.
fn was_cut_short(engine: &Engine, kernel: &Ucontext) -> bool {
    let regs = GuestRegs::of_gregs(&kernel.gregs);
    regs.pc == engine.stubs.syscall_done && regs.regs[gpr::RAX] as i64 == -errno::EINTR
}

/// Where a thread goes on that was interrupted by a signal which the guest does not see: a system call that was cut short is
/// made again.
pub(super) fn made_again(engine: &Engine, thread: &Thread, guest: GuestRegs, kernel: &Ucontext) -> GuestRegs {
    let mut guest = guest;
    if was_cut_short(engine, kernel) {
        guest.pc = thread.context.pc.wrapping_sub(2);
        guest.regs[gpr::RAX] = thread.context.spill;
    }
    guest
}

/// The mask in force when a signal arrived: that of a call that has one of its own, as long as it waits.
pub(super) fn mask_in_force(engine: &Engine, thread: &Thread, kernel: &Ucontext) -> u64 {
    if !was_cut_short(engine, kernel) {
        return thread.signals.mask;
    }
    let regs = GuestRegs::of_gregs(&kernel.gregs).regs;
    let mask = mask_argument(thread.context.spill, &regs).unwrap_or(thread.signals.mask);
    mask & !(bit(sig::KILL) | bit(sig::STOP))
}

/// Keeps a signal that the guest blocks. Called by the handler of a thread in the cache, or by the engine.
pub(super) fn keep(engine: &Engine, thread: &mut Thread, info: [u64; 16]) {
    begin(engine);
    match Common::of(engine, thread) {
        Some(common) if !for_one_thread(&info) => {
            common.push(info);
            pass_on(engine, common, thread);
        }
        _ => thread.signals.blocked.push(info),
    }
}

/// From now on the engine looks at every call that could show a waiting signal.
fn begin(engine: &Engine) {
    if engine.waiting.begin() {
        engine.cache.lock().handle_calls(&OBSERVERS);
    }
}

/// Tells of what waits for any thread one that has it open or awaits it. It is sent a signal that makes it look: the
/// kernel lets nobody send another thread the siginfo of a kill.
fn pass_on(engine: &Engine, common: &Common, me: &Thread) {
    let threads = engine.threads.lock();
    let find = |signal: u32, set: &dyn Fn(&Thread) -> u64| {
        threads.iter().find(|thread| {
            let known = thread.tid.load(Ordering::Relaxed) != 0 && !core::ptr::eq(*thread, me);
            known && set(thread) & bit(signal) != 0
        })
    };
    let mut set = common.set();
    while set != 0 {
        let signal = set.trailing_zeros() + 1;
        set &= set - 1;
        // SAFETY: a registered thread's memory stays; an aligned word. When it is out of date the thread passes the signal
        // on again.
        let open = |thread: &Thread| unsafe { !(&raw const thread.signals.mask).read_volatile() };
        if let Some(thread) = find(signal, &open) {
            // With the signal itself, so that the kernel restarts the thread's system call as the guest's action says.
            // One at a time.
            if thread.nudged.fetch_or(bit(signal), Ordering::SeqCst) & bit(signal) == 0 {
                send_own(thread, signal, NUDGE_VALUE);
            }
        } else if let Some(thread) = find(signal, &|thread| thread.awaits.load(Ordering::SeqCst))
            .or_else(|| find(signal, &|thread| thread.may_await.load(Ordering::SeqCst)))
        {
            // It makes its call again, and finds what waits.
            send_own(thread, sig::ENGINE, STOP_VALUE);
        }
    }
}

/// Whether a signal only tells the thread to look at what waits for any thread.
fn is_nudge(thread: &Thread, info: &[u64; 16]) -> bool {
    let bit = bit(signal_of(info));
    // Whatever it tells: a nudge that was sent while it was pending is merged with it, and the next must be sent.
    let nudged = thread.nudged.fetch_and(!bit, Ordering::SeqCst) & bit != 0;
    info[3] == NUDGE_VALUE || is_unknown(info) && nudged
}

/// A nudge gives way to what it tells of. False when that is not there any more.
pub(super) fn resolve(engine: &Engine, thread: &Thread, info: &mut [u8; 128]) -> bool {
    let words = super::words(info);
    let signal = bit(signal_of(&words));
    let Some(common) = Common::of(engine, thread).filter(|_| UNBLOCKABLE & signal != 0) else { return true };
    let found = is_nudge(thread, &words).then(|| common.take(signal));
    if let Some(Some(found)) = found {
        super::set_words(info, &found);
    }
    if common.set() & !thread.signals.mask != 0 {
        // Of several that were sent to the thread the kernel keeps one.
        thread.context.pending.store(1, Ordering::Release);
    }
    found != Some(None)
}

/// Something that was sent to the process waits from now on.
pub fn give_back(engine: &Engine, me: &Thread, info: [u64; 16]) {
    begin(engine);
    engine.waiting.push(info);
    pass_on(engine, &engine.waiting, me);
}

/// Signals that came while another one was held, and were sent to the process, wait for any thread. All signals are blocked.
pub(super) fn share(engine: &Engine, thread: &mut Thread) {
    let Some(common) = Common::of(engine, thread) else { return };
    let blocked = UNBLOCKABLE & thread.signals.mask;
    let mut own = [[0; 16]; 8];
    let mut count = 0;
    let mut shared = false;
    while let Some(info) = thread.signals.blocked.take(blocked & !bit(sig::ENGINE)) {
        if is_nudge(thread, &info) {
            // What it tells of is there still.
        } else if for_one_thread(&info) {
            own[count % own.len()] = info;
            count += 1;
        } else {
            begin(engine);
            common.push(info);
            shared = true;
        }
    }
    for info in &own[..count.min(own.len())] {
        thread.signals.blocked.push(*info);
    }
    if shared {
        pass_on(engine, common, thread);
    }
}

fn is_signalfd(fd: u64) -> bool {
    const TARGET: &[u8] = b"anon_inode:[signalfd]";
    let mut target = [0u8; 32];
    let link = alloc::format!("/proc/self/fd/{fd}\0");
    let arguments = [link.as_ptr() as u64, target.as_mut_ptr() as u64, target.len() as u64];
    // SAFETY: the kernel reads the path and writes at most the buffer's length.
    let length = unsafe { sys::call(nr::READLINK, &arguments) };
    usize::try_from(length).is_ok_and(|length| target.get(..length) == Some(TARGET))
}

/// The guest makes a signalfd for the signals at `mask`.
pub fn watch(engine: &Engine, thread: &Thread, mask: u64) {
    let set = guest_mem::read_u64(mask).unwrap_or(0) & UNBLOCKABLE;
    if set != 0 {
        begin(engine);
        if let Some(common) = Common::of(engine, thread) {
            common.watched.fetch_or(set, Ordering::SeqCst);
        }
    }
}

/// What a call is about, of the signals that the kernel does not block although the guest does.
#[derive(Default)]
struct About {
    /// It shows them, or is ended by them, if they wait already.
    now: u64,
    /// It awaits them.
    awaits: u64,
    /// It awaits them perhaps: if what it polls is a signalfd.
    may_await: u64,
}

fn about(call: &Call, regs: &[u64; 16], blocked: u64, watched: u64) -> About {
    let a = &call.args;
    match call.number {
        nr::RT_SIGPENDING => About { now: blocked, ..About::default() },
        nr::RT_SIGTIMEDWAIT => {
            About { awaits: guest_mem::read_u64(a[0]).unwrap_or(0) & blocked, ..About::default() }
        }
        nr::READ | nr::READV | nr::PREADV2 if watched != 0 && is_signalfd(a[0]) => {
            About { awaits: watched, ..About::default() }
        }
        nr::READ | nr::READV | nr::PREADV2 => About::default(),
        number => {
            let own = mask_argument(number, regs).map_or(0, |mask| !mask & blocked);
            let may_await = if number == nr::RT_SIGSUSPEND { 0 } else { watched };
            About { now: own, awaits: own, may_await }
        }
    }
}

/// Whether a call may show or await signals.
pub fn is_observer(number: u64) -> bool {
    matches!(number, nr::RT_SIGPENDING | nr::RT_SIGTIMEDWAIT | nr::RT_SIGSUSPEND)
        || OBSERVERS.contains(&number)
}

/// The thread is about to make a call that may show or await signals: exposes it if need be.
pub fn expose(engine: &Engine, thread: &mut Thread, call: &Call) {
    let blocked = UNBLOCKABLE & thread.signals.mask;
    if blocked == 0 {
        return;
    }
    let common = Common::of(engine, thread);
    // A signalfd that was inherited or received is not known, but what waits already must be seen in it.
    let waiting = thread.signals.blocked.set() | common.map_or(0, Common::set);
    let watched = engine.waiting.watched.load(Ordering::SeqCst) | waiting;
    let about = about(call, &thread.context.regs, blocked, watched & blocked);
    let all = about.now | about.awaits | about.may_await;
    if all == 0 {
        return;
    }
    // First this, then the look at what waits: whoever adds to that looks here afterwards.
    thread.awaits.store(about.awaits, Ordering::SeqCst);
    thread.may_await.store(about.may_await, Ordering::SeqCst);
    if !block_all(thread) {
        // The held signal's handler runs first; then the call is made again.
        thread.awaits.store(0, Ordering::SeqCst);
        thread.may_await.store(0, Ordering::SeqCst);
        return;
    }
    let (pid, tid) = (thread.pid, thread.tid.load(Ordering::Relaxed));
    let mut sent = 0;
    // One instance of a standard signal: the other queue's stays where it is.
    while let Some(info) =
        thread.signals.blocked.take(all).or_else(|| common.and_then(|common| common.take(all & !sent)))
    {
        let signal = signal_of(&info);
        if !send_to(pid, tid, signal, info.as_ptr() as u64) {
            thread.signals.blocked.push(info);
            break;
        }
        sent |= bit(signal);
    }
    thread.signals.set_exposed(true);
    // Behind the call the dispatcher is entered.
    thread.context.resume = engine.stubs.resume;
    // Open for whoever finds something for this thread.
    set_kernel_mask(thread.signals.mask & !(bit(sig::ENGINE) & !all));
}

/// The end of a thread's exposure, but for the kernel's mask.
pub(super) fn cover(thread: &mut Thread) {
    thread.signals.set_exposed(false);
    thread.awaits.store(0, Ordering::SeqCst);
    thread.may_await.store(0, Ordering::SeqCst);
}

/// The end of a thread's exposure, first of all in the dispatcher.
pub fn conceal(thread: &mut Thread) {
    if thread.signals.is_exposed() {
        cover(thread);
        set_kernel_mask(if thread.signals.is_held() { HELD_MASK } else { kernel_mask(thread.signals.mask) });
    }
}

/// The signal `signal` is ignored from now on: those that wait are forgotten.
pub fn forget(engine: &Engine, thread: &mut Thread, signal: u32) {
    if !thread.signals.blocked.is_empty() {
        let before = if thread.signals.is_held() { HELD_MASK } else { kernel_mask(thread.signals.mask) };
        set_kernel_mask(u64::MAX);
        while thread.signals.blocked.take(bit(signal)).is_some() {}
        set_kernel_mask(if thread.signals.is_held() { HELD_MASK } else { before });
    }
    if let Some(common) = Common::of(engine, thread) {
        while common.take(bit(signal)).is_some() {}
    }
}

/// Sends again all that waits, for the program that takes this one's place. The guest's own mask is in force.
pub fn hand_over(engine: &Engine, thread: &mut Thread) {
    let (pid, tid) = (thread.pid, thread.tid.load(Ordering::Relaxed));
    let blocked = thread.signals.mask;
    while let Some(info) = thread.signals.blocked.take(blocked) {
        send_to(pid, tid, signal_of(&info), info.as_ptr() as u64);
    }
    while let Some(info) = Common::of(engine, thread).and_then(|common| common.take(blocked)) {
        send_to(pid, tid, signal_of(&info), info.as_ptr() as u64);
    }
}

/// The thread is about to end, with all signals blocked, and known to nobody any more: what was sent to the process and
/// waits with it goes to the others.
pub fn bequeath(engine: &Engine, thread: &mut Thread) {
    let Some(common) = Common::of(engine, thread).filter(|common| common.is_used()) else { return };
    let mut info = [0u64; 16];
    let set = UNBLOCKABLE & !bit(sig::ENGINE);
    let now = [0u64; 2];
    let arguments = [&raw const set as u64, info.as_mut_ptr() as u64, now.as_ptr() as u64, 8];
    // SAFETY: the kernel reads the set and the time, and writes the siginfo.
    while unsafe { sys::call(nr::RT_SIGTIMEDWAIT, &arguments) } > 0 {
        // SAFETY: the kernel has written it behind the compiler's back.
        let info = unsafe { (&raw const info).read_volatile() };
        if !for_one_thread(&info) && !is_nudge(thread, &info) {
            common.push(info);
        }
    }
    while let Some(info) = thread.signals.blocked.take(set) {
        if !for_one_thread(&info) && !is_nudge(thread, &info) {
            common.push(info);
        }
    }
    pass_on(engine, common, thread);
}

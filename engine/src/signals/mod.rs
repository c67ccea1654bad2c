//! Signals: the guest's actions and masks, the engine's handler, frames on the guest's stack, delivery.
//!
//! The kernel's mask of a thread mirrors the guest's, except that the five synchronous signals and the engine's own
//! are never blocked, but for system calls that would show it (`waits`). Interrupted in the code cache, the handler recovers the exact guest state,
//! builds the guest's frame and lets the thread go on in the guest's handler. Interrupted in the engine, it keeps
//! the signal; on its way back into the cache the thread sends itself a signal of the engine's own, whose frame then
//! becomes that of the one that is held.

mod frame;
pub mod handler;
pub mod raise;
pub mod recover;
pub mod waiting;
pub mod waits;

use self::waiting::Waiting;
use crate::sys::{self, nr};

/// Signal numbers that the engine names.
#[allow(missing_docs, reason = "the kernel's names")]
pub mod sig {
    pub const ILL: u32 = 4;
    pub const TRAP: u32 = 5;
    pub const BUS: u32 = 7;
    pub const FPE: u32 = 8;
    pub const KILL: u32 = 9;
    pub const SEGV: u32 = 11;
    pub const CHLD: u32 = 17;
    pub const CONT: u32 = 18;
    pub const STOP: u32 = 19;
    pub const TSTP: u32 = 20;
    pub const TTIN: u32 = 21;
    pub const TTOU: u32 = 22;
    pub const URG: u32 = 23;
    pub const WINCH: u32 = 28;
    pub const SYS: u32 = 31;
    /// The engine's own, to stop other threads and to carry held signals. Guests may use it too: ours have
    /// [`super::STOP_VALUE`] or [`super::CARRIER_VALUE`]. glibc keeps this number for itself (SIGSETXID), where it never
    /// waits for it, and offers it to no program.
    pub const ENGINE: u32 = 33;
}

/// `si_value` of the engine's stop signal.
pub const STOP_VALUE: u64 = 0x7667_7374_6f70_2121;
/// `si_value` of the engine's signal that brings the frame for a signal that is held.
pub const CARRIER_VALUE: u64 = 0x7667_6361_7272_7921;
/// `si_value` of a signal that makes a thread look at what waits for any thread.
const NUDGE_VALUE: u64 = 0x7667_6e75_6467_6521;
/// `si_code` of kill. The carrier has it too: the kernel sends such signals even when the user's queue is full.
pub const SI_USER: u32 = 0;

/// The processor traps behind each instruction.
pub const TRAP_FLAG: u64 = 0x100;

/// Bit of a signal in a mask.
pub const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// What the handler itself may cause when it reads and writes the guest's memory.
const OWN_FAULTS: u64 = bit(sig::SEGV) | bit(sig::BUS);

/// Never blocked in the kernel.
pub const UNBLOCKABLE: u64 =
    bit(sig::ILL) | bit(sig::TRAP) | bit(sig::BUS) | bit(sig::FPE) | bit(sig::SEGV) | bit(sig::ENGINE);

/// The kernel's mask while a signal is held: all but the synchronous five. The thread is in the engine, and needs no
/// stop signal.
pub const HELD_MASK: u64 = !(bit(sig::ILL) | bit(sig::TRAP) | bit(sig::BUS) | bit(sig::FPE) | bit(sig::SEGV));

pub const SA_SIGINFO: u64 = 4;
pub const SA_ONSTACK: u64 = 0x0800_0000;
pub const SA_RESTART: u64 = 0x1000_0000;
pub const SA_NODEFER: u64 = 0x4000_0000;
pub const SA_RESETHAND: u64 = 0x8000_0000;
pub const SA_RESTORER: u64 = 0x0400_0000;
/// SIG_DFL
pub const DEFAULT: u64 = 0;
/// SIG_IGN
pub const IGNORE: u64 = 1;

/// The kernel's `struct sigaction`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Action {
    /// Handler, DEFAULT or IGNORE.
    pub handler: u64,
    /// SA_* bits.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while it runs.
    pub mask: u64,
}

/// The guest's actions by signal number minus 1.
pub struct Actions {
    /// What the guest set.
    pub guest: [Action; 64],
}

impl Actions {
    /// All default.
    pub const fn new() -> Actions {
        Actions { guest: [Action { handler: 0, flags: 0, restorer: 0, mask: 0 }; 64] }
    }
}

impl Default for Actions {
    fn default() -> Self {
        Actions::new()
    }
}

/// The kernel's `stack_t`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AltStack {
    /// Lowest address.
    pub sp: u64,
    /// SS_* bits.
    pub flags: u32,
    pad: u32,
    /// Bytes.
    pub size: u64,
}

/// SS_ONSTACK
pub const SS_ONSTACK: u32 = 1;
/// SS_DISABLE
pub const SS_DISABLE: u32 = 2;
/// SS_AUTODISARM
pub const SS_AUTODISARM: u32 = 1 << 31;

impl AltStack {
    /// No alternate stack.
    pub const NONE: AltStack = AltStack { sp: 0, flags: SS_DISABLE, pad: 0, size: 0 };

    /// A stack.
    pub const fn at(sp: u64, size: u64) -> AltStack {
        AltStack { sp, flags: 0, pad: 0, size }
    }

    /// Whether a stack pointer lies on it.
    pub fn holds(&self, rsp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && self.size != 0 && rsp > self.sp && rsp - self.sp <= self.size
    }
}

/// A siginfo as words.
pub fn words(info: &[u8; 128]) -> [u64; 16] {
    let mut words = [0u64; 16];
    for (word, bytes) in words.iter_mut().zip(info.chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

/// Words as a siginfo.
fn set_words(info: &mut [u8; 128], words: &[u64; 16]) {
    for (bytes, word) in info.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// A thread's signal state.
pub struct ThreadSignals {
    /// What the guest believes to be blocked.
    pub mask: u64,
    /// The guest's alternate stack.
    pub alternate: AltStack,
    /// The engine's own alternate stack.
    pub own: AltStack,
    /// A signal that arrived while the engine ran: its siginfo. Valid while `held` is set.
    pub info: [u64; 16],
    /// Whether `info` holds a signal; all signals are blocked in the kernel then.
    held: bool,
    /// Signal that is going to end the process, 0 = none; its siginfo is in `info`.
    pub fatal: u32,
    /// Signals that the kernel never blocks, which arrived while the guest had them blocked; and what came while
    /// another one was held.
    pub blocked: Waiting,
    /// The kernel's mask is the guest's own, for a system call; see `waits`.
    exposed: bool,
    /// The next instruction stores to the page that it lies in: it is executed alone, with the page writable.
    pub step: bool,
    /// With the trap flag set: the guest's pc when it last had, or needed, no trap.
    pub stepped_to: Option<u64>,
    /// Where in the cache or the engine the processor trapped last because of that flag.
    pub trapped_at: u64,
    /// An access of the guest's that has faulted, until the dispatcher tells of it.
    pub(crate) fault: Option<crate::faults::Fault>,
    /// Trap number, error code and address of a fault that the engine found in place of the processor.
    pub synthetic: Option<(u64, u64, u64)>,
    /// Status of the exit under way while libc gives back its blocks.
    pub exit_status: i32,
    /// How many of the functions that do so were called.
    pub freeres_done: usize,
    /// One of them failed.
    pub abandon_freeres: bool,
    /// Where the raise stub reads the mask from.
    pub kernel_mask: u64,
    /// Where it reads the carrier's siginfo from.
    pub carrier: [u64; 16],
    /// Floating-point state of the last rt_sigreturn, which the kernel reads while nobody owns it.
    pub frame: alloc::vec::Vec<u8>,
}

impl ThreadSignals {
    /// State of a new thread.
    pub const fn new(mask: u64, own: AltStack) -> ThreadSignals {
        ThreadSignals {
            mask,
            alternate: AltStack::NONE,
            own,
            info: [0; 16],
            held: false,
            fatal: 0,
            blocked: Waiting::new(),
            exposed: false,
            step: false,
            stepped_to: None,
            trapped_at: 0,
            fault: None,
            synthetic: None,
            exit_status: 0,
            freeres_done: 0,
            abandon_freeres: false,
            kernel_mask: 0,
            carrier: [0; 16],
            frame: alloc::vec::Vec::new(),
        }
    }
}

impl ThreadSignals {
    /// Whether the process is going to end by a signal. The handler sets this behind the compiler's back.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn is_fatal(&self) -> bool {
        // SAFETY: a field of a live reference.
        unsafe { (&raw const self.fatal).read_volatile() != 0 }
    }

    /// Whether `info` holds a signal. The handler sets this behind the compiler's back.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn is_held(&self) -> bool {
        // SAFETY: a field of a live reference.
        unsafe { (&raw const self.held).read_volatile() }
    }

    /// The signal that `info` holds.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn held_signal(&self) -> u32 {
        // SAFETY: a field of a live reference.
        unsafe { (&raw const self.info[0]).read_volatile() as u32 }
    }

    /// Whether the kernel's mask is the guest's own. The handler changes this behind the compiler's back.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn is_exposed(&self) -> bool {
        // SAFETY: a field of a live reference.
        unsafe { (&raw const self.exposed).read_volatile() }
    }

    /// Sets whether it is.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn set_exposed(&mut self, exposed: bool) {
        // SAFETY: a field of a live reference.
        unsafe { (&raw mut self.exposed).write_volatile(exposed) };
    }

    /// Sets whether `info` holds a signal.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn set_held(&mut self, held: bool) {
        // SAFETY: a field of a live reference.
        unsafe { (&raw mut self.held).write_volatile(held) };
    }
}

/// Sends a thread of this process a signal with the siginfo at `info`. False when the thread is gone, or when the kernel
/// has no memory for it, which it always has for the numbers below 32.
#[allow(unsafe_code, reason = "rt_tgsigqueueinfo with an engine buffer")]
fn send_to(pid: u32, tid: u32, signal: u32, info: u64) -> bool {
    // SAFETY: the kernel reads the siginfo.
    unsafe {
        sys::call(nr::RT_TGSIGQUEUEINFO, &[u64::from(pid), u64::from(tid), u64::from(signal), info]) == 0
    }
}

/// Sends a thread a signal for the engine's own purposes, `value` being one of those above. False when the kernel has no
/// memory for it.
pub fn send_own(thread: &crate::context::Thread, signal: u32, value: u64) -> bool {
    let pid = thread.pid;
    let mut info = [0u64; 16];
    info[0] = u64::from(signal);
    // si_code = SI_QUEUE: all that another thread may use.
    info[1] = 0xffff_ffff;
    info[2] = u64::from(pid);
    info[3] = value;
    send_to(pid, thread.tid.load(core::sync::atomic::Ordering::Relaxed), signal, info.as_ptr() as u64)
}

/// The mask that the kernel gets for a guest mask.
pub fn kernel_mask(guest: u64) -> u64 {
    guest & !UNBLOCKABLE
}

/// Sets the kernel's mask of the calling thread.
#[allow(unsafe_code, reason = "rt_sigprocmask with an engine buffer")]
pub fn set_kernel_mask(mask: u64) {
    // SAFETY: the kernel reads eight bytes.
    unsafe { sys::call(nr::RT_SIGPROCMASK, &[2, &raw const mask as u64, 0, 8]) };
}

/// Blocks everything. False when a signal is held, which has to be handled first; then the mask is that of a held signal.
pub fn block_all(thread: &crate::context::Thread) -> bool {
    set_kernel_mask(u64::MAX);
    let held = thread.signals.is_held();
    if held {
        set_kernel_mask(HELD_MASK);
    }
    !held
}

/// The kernel's mask of the calling thread.
#[allow(unsafe_code, reason = "rt_sigprocmask with an engine buffer")]
pub fn get_kernel_mask() -> u64 {
    let mut mask = 0u64;
    // SAFETY: the kernel writes eight bytes.
    unsafe { sys::call(nr::RT_SIGPROCMASK, &[2, 0, &raw mut mask as u64, 8]) };
    mask
}

/// Nothing may arrive before the engine is set up; the mask itself is the guest's and was inherited.
pub fn set_kernel_mask_at_start() {
    INHERITED.store(get_kernel_mask(), core::sync::atomic::Ordering::Relaxed);
    set_kernel_mask(u64::MAX);
}

/// The mask that the image was started with.
pub static INHERITED: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

/// What a signal does when its action is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultEffect {
    /// Ends the process.
    Terminate,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
}

/// signal(7)'s table.
pub fn default_effect(signal: u32) -> DefaultEffect {
    match signal {
        sig::CHLD | sig::CONT | sig::URG | sig::WINCH => DefaultEffect::Ignore,
        sig::STOP | sig::TSTP | sig::TTIN | sig::TTOU => DefaultEffect::Stop,
        _ => DefaultEffect::Terminate,
    }
}

/// Tells the kernel what a guest action means for it.
///
/// # Errors
/// The kernel's error number (a signal that cannot be caught).
#[allow(unsafe_code, reason = "rt_sigaction with engine buffers")]
pub fn install(signal: u32, guest: &Action) -> Result<(), i64> {
    let nested = if OWN_FAULTS & bit(signal) != 0 { SA_NODEFER } else { 0 };
    let ours = || Action {
        handler: handler::address(),
        flags: SA_SIGINFO | SA_ONSTACK | SA_RESTORER | nested | guest.flags & (SA_RESTART | 1 | 2),
        restorer: handler::restorer(),
        // While the handler runs nothing else arrives, except what the handler itself may cause.
        mask: !OWN_FAULTS,
    };
    let effect = default_effect(signal);
    let kernel = match guest.handler {
        _ if UNBLOCKABLE & bit(signal) != 0 => ours(),
        IGNORE => Action { flags: guest.flags & 3, ..Action { handler: IGNORE, ..Action::default() } },
        DEFAULT if effect != DefaultEffect::Terminate => {
            Action { flags: guest.flags & 3, ..Action::default() }
        }
        _ => ours(),
    };
    // SAFETY: the kernel reads the structure.
    let raw = unsafe { sys::call(nr::RT_SIGACTION, &[u64::from(signal), &raw const kernel as u64, 0, 8]) };
    sys::result(raw).map(|_| ())
}

/// At the start of a process image: takes over what was inherited and installs the engine's handler.
#[allow(unsafe_code, reason = "rt_sigaction with engine buffers")]
pub fn start(actions: &mut Actions) {
    for signal in 1..=64u32 {
        if signal == sig::KILL || signal == sig::STOP {
            continue;
        }
        let mut inherited = Action::default();
        // SAFETY: the kernel writes the structure.
        unsafe { sys::call(nr::RT_SIGACTION, &[u64::from(signal), 0, &raw mut inherited as u64, 8]) };
        if inherited.handler == IGNORE {
            actions.guest[signal as usize - 1].handler = IGNORE;
        }
        let _ = install(signal, &actions.guest[signal as usize - 1]);
    }
}

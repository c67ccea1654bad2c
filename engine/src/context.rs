//! The context that generated code reaches through FS, and the rest of what belongs to one guest thread.
//!
//! Invariant: the offsets are those of `translate::layout` (asserted below).

use crate::lock::Mutex;
use crate::signals::{Actions, ThreadSignals};
use crate::state::Engine;
use crate::trace::Writer;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use definedness::Registers;
use ring::record::{STAT_COUNT, Stat};
use translate::{Set, layout};

/// General registers in encoding order.
#[allow(missing_docs, reason = "register names")]
pub mod gpr {
    pub const RAX: usize = 0;
    pub const RCX: usize = 1;
    pub const RDX: usize = 2;
    pub const RBX: usize = 3;
    pub const RSP: usize = 4;
    pub const RBP: usize = 5;
    pub const RSI: usize = 6;
    pub const RDI: usize = 7;
    pub const R8: usize = 8;
    pub const R9: usize = 9;
    pub const R10: usize = 10;
    pub const R11: usize = 11;
    pub const R12: usize = 12;
    pub const R13: usize = 13;
    pub const R14: usize = 14;
    pub const R15: usize = 15;
}

/// What generated code reads and writes.
#[repr(C, align(64))]
pub struct Context {
    /// Address of this structure.
    pub this: u64,
    /// The guest's FS base.
    pub guest_fs: u64,
    /// The guest's GS base.
    pub guest_gs: u64,
    /// Saved r11.
    pub r11: u64,
    /// Target of an indirect branch.
    pub target: u64,
    /// Saved scratch register.
    pub spill: u64,
    /// Number of the exit taken.
    pub exit: u32,
    exit_pad: u32,
    /// Guest pc.
    pub pc: u64,
    /// Cache address behind a system call.
    pub resume: u64,
    /// `layout::STATE_*`.
    pub state: AtomicU32,
    pad0: u32,
    /// Something waits for the engine.
    pub pending: AtomicU32,
    pad1: u32,
    /// `layout::EXIT_*`.
    pub reason: u32,
    reason_pad: u32,
    /// The engine's stack pointer.
    pub engine_rsp: u64,
    /// Cache address to enter.
    pub next: u64,
    /// Where the next call is told of.
    pub log: u64,
    /// The dispatcher.
    pub dispatch: u64,
    /// Guest flags.
    pub flags: u64,
    /// The register that holds the place in the log.
    pub log_home: u64,
    /// The instruction that precise code is about to execute: an `iced_x86::Instruction` of the cache's.
    pub step: u64,
    pad3: u64,
    /// Instructions counted in guarded code: their sum.
    pub guarded_slots: [Slot; layout::GUARDED_SLOTS as usize],
    /// Those counted in other code: their sum.
    pub instruction_slots: [Slot; layout::INSTRUCTION_SLOTS as usize],
    /// Guest general registers.
    pub regs: [u64; 16],
    /// Guest xmm registers.
    pub xmm: [[u64; 2]; 16],
    /// The thread that this context belongs to.
    pub thread: *mut Thread,
    pad4: u64,
    /// Arguments of the raise stub: pid, tid, signal, siginfo, mask.
    pub raise: [u64; 5],
    pad5: u64,
    /// Which registers are not defined in full: see `layout::DIRTY`.
    pub dirty: [u8; Set::COUNT],
    /// What precise code puts aside: see `layout::SCRATCH`.
    pub scratch: [u64; 4],
    /// See `layout::PATTERNS`.
    pub patterns: [u64; 3],
    /// Instructions executed in precise code.
    pub precise_instructions: u64,
    /// How often it was entered.
    pub precise_switches: u64,
    /// See `layout::HOMES`.
    pub homes: [u64; 3],
    /// V bits of registers; those of a register count while its byte in `dirty` is not zero.
    pub v: Registers,
}

/// A part of a count that emitted code keeps. Atomic so that each is loaded by itself: two at once, by a vector, would wait
/// for the store of the one that has just been counted in.
pub type Slot = AtomicU64;

fn sum(slots: &[Slot]) -> u64 {
    slots.iter().map(|slot| slot.load(Ordering::Relaxed)).sum()
}

impl Context {
    /// Guest instructions executed by the thread; 0 when they are not counted.
    pub fn instructions(&self) -> u64 {
        sum(&self.instruction_slots) + self.guarded_instructions()
    }

    fn guarded_instructions(&self) -> u64 {
        sum(&self.guarded_slots)
    }

    /// What emitted code has counted.
    pub fn counts(&self) -> [(Stat, u64); 4] {
        let (guarded, precise) = (self.guarded_instructions(), self.precise_instructions);
        // Counting or not, precise code counts for itself.
        let clean = self.instructions().saturating_sub(guarded + precise);
        [
            (Stat::CleanInstructions, clean),
            (Stat::GuardedInstructions, guarded),
            (Stat::PreciseInstructions, precise),
            (Stat::PreciseSwitches, self.precise_switches),
        ]
    }
}

const _: () = {
    assert!(offset_of!(Context, this) == layout::SELF as usize);
    assert!(offset_of!(Context, guest_fs) == layout::GUEST_FS as usize);
    assert!(offset_of!(Context, guest_gs) == layout::GUEST_GS as usize);
    assert!(offset_of!(Context, r11) == layout::R11 as usize);
    assert!(offset_of!(Context, target) == layout::TARGET as usize);
    assert!(offset_of!(Context, spill) == layout::SPILL as usize);
    assert!(offset_of!(Context, exit) == layout::EXIT as usize);
    assert!(offset_of!(Context, pc) == layout::PC as usize);
    assert!(offset_of!(Context, resume) == layout::CONTINUE as usize);
    assert!(offset_of!(Context, state) == layout::STATE as usize);
    assert!(offset_of!(Context, pending) == layout::PENDING as usize);
    assert!(offset_of!(Context, reason) == layout::REASON as usize);
    assert!(offset_of!(Context, engine_rsp) == layout::ENGINE_RSP as usize);
    assert!(offset_of!(Context, next) == layout::NEXT as usize);
    assert!(offset_of!(Context, guarded_slots) == layout::GUARDED_INSTRUCTIONS as usize);
    assert!(offset_of!(Context, instruction_slots) == layout::INSTRUCTIONS as usize);
    assert!(offset_of!(Context, log) == layout::LOG as usize);
    assert!(offset_of!(Context, log_home) == layout::LOG_HOME as usize);
    assert!(offset_of!(Context, dispatch) == layout::DISPATCH as usize);
    assert!(offset_of!(Context, flags) == layout::FLAGS as usize);
    assert!(offset_of!(Context, regs) == layout::REGS as usize);
    assert!(offset_of!(Context, raise) == layout::RAISE as usize);
    assert!(offset_of!(Context, xmm) == layout::XMM as usize);
    assert!(offset_of!(Context, step) == layout::STEP as usize);
    assert!(offset_of!(Context, dirty) == layout::DIRTY as usize);
    assert!(offset_of!(Context, scratch) == layout::SCRATCH as usize);
    assert!(offset_of!(Context, patterns) == layout::PATTERNS as usize);
    assert!(offset_of!(Context, precise_instructions) == layout::PRECISE_INSTRUCTIONS as usize);
    assert!(offset_of!(Context, precise_switches) == layout::PRECISE_SWITCHES as usize);
    assert!(offset_of!(Context, homes) == layout::HOMES as usize);
    assert!(offset_of!(Context, v.gpr) == layout::V_GENERAL as usize);
    assert!(offset_of!(Context, v.vector) == layout::V_VECTOR as usize);
    assert!(offset_of!(Context, v.origin.gpr) == layout::ORIGIN_GENERAL as usize);
    assert!(offset_of!(Context, v.origin.vector) == layout::ORIGIN_VECTOR as usize);
};

/// Bytes mapped for a thread: this structure and its engine stack.
pub const THREAD_BYTES: u64 = 512 * 1024;
/// Bytes of a thread's signal stack, in front of the rest of its memory.
pub const SIGNAL_STACK_BYTES: u64 = 128 * 1024;

/// Everything of one guest thread.
#[repr(C)]
pub struct Thread {
    /// What generated code sees; first, so that a context's address is its thread's.
    pub context: Context,
    /// Kernel thread id.
    pub tid: AtomicU32,
    /// Non-zero once another thread has asked this one to stop at its next safe point.
    pub stop_asked: AtomicU32,
    /// Non-zero while a stop signal that may have lost its siginfo is on its way to it.
    pub stop_sent: AtomicU32,
    /// Non-zero while it is stopped.
    pub stopped: AtomicU32,
    /// Signals that a system call of this thread awaits, of those that the kernel never blocks; see `signals::waits`.
    pub awaits: AtomicU64,
    /// Signals that it perhaps awaits.
    pub may_await: AtomicU64,
    /// Signals that other threads have sent it to make it look at what waits for any thread.
    pub nudged: AtomicU64,
    /// Kernel process id: a vfork child shares all memory but not this.
    pub pid: u32,
    /// Number of its process in the recording.
    pub process: u32,
    /// Actions of its own: of a child that shares the parent's memory but not its signal actions.
    pub own_actions: Option<alloc::boxed::Box<Mutex<Actions>>>,
    /// Limits of its own: of a child that shares the parent's memory and has set some.
    pub own_limits: Option<crate::limits::Values>,
    /// The thread belongs to a process that shares another one's memory (vfork).
    pub foreign: bool,
    /// Of a child of vfork: it may be in the cache, and counts in `Engine::foreign`.
    pub in_shared_cache: AtomicU32,
    /// Signal state.
    pub signals: ThreadSignals,
    /// Of heap events.
    pub clock: crate::clock::Clock,
    /// Where its events go.
    pub writer: Option<Writer>,
    /// The guest's heap: this thread's cache of free blocks.
    pub heap: Option<heap::ThreadCache>,
    /// The operator new that could not be answered last.
    pub failed_new: Option<crate::own_code::FailedNew>,
    /// Calls of string functions.
    pub strings: crate::strings::ThreadStrings,
    /// Unwinder with its rule cache, made when the first stack is taken.
    pub unwinder: Option<alloc::boxed::Box<crate::stacks::ThreadUnwinder>>,
    /// What is known of undefined registers, made when the first is met.
    pub undefined: Option<alloc::boxed::Box<crate::precise::Undefined>>,
    /// Its descriptors, where they are tracked.
    pub(crate) descriptors: Option<crate::descriptors::Descriptors>,
    /// How often the guest has asked not to be told of its errors.
    pub errors_disabled: u32,
    /// Guest pc behind a system call that the engine makes again; 0 = none.
    pub call_again: u64,
    /// Bounds of the mapping that the stack pointer was last seen in.
    pub stack_bounds: (u64, u64),
    /// The generation of the cache's counters that its own are of.
    pub counters: u32,
    /// What of it is collected, where it is counted.
    pub window: Option<alloc::boxed::Box<crate::windows::Window>>,
    /// Its calls, where they are told of.
    pub calls: Option<alloc::boxed::Box<crate::calls::Calls>>,
    /// Counters, in the order of `ring::record::Stat`.
    pub stats: [u64; STAT_COUNT],
    /// Address and size of the whole allocation of this thread.
    pub memory: (u64, u64),
}

impl Thread {
    /// The signal actions in force for this thread.
    pub fn actions<'a>(&'a self, engine: &'a Engine) -> &'a Mutex<Actions> {
        self.own_actions.as_deref().unwrap_or(&engine.actions)
    }

    /// Begins to count for a new process: what the context has counted so far, which also is a clock, was its parent's.
    pub fn restart_stats(&mut self) {
        self.stats = [0; STAT_COUNT];
        for (stat, count) in self.context.counts() {
            self.stats[stat as usize] = count.wrapping_neg();
        }
        if let Some(unwinder) = &self.unwinder {
            let (frames, rules) = unwinder.work();
            self.stats[Stat::FramesWalked as usize] = frames.wrapping_neg();
            self.stats[Stat::UnwindRules as usize] = rules.wrapping_neg();
        }
    }
}

//! System calls that the engine handles. All others go to the kernel from the code cache, untouched.
//!
//! [`class`] is the table of which is which. A handler ends in one of three ways: [`Outcome`].

pub(crate) mod descriptors;
pub mod files;
pub(crate) mod marks;
pub mod memory;
mod params;
pub mod process;
mod signals;

use crate::context::{Context, Thread, gpr};
use crate::state::Engine;
use crate::sys::{errno, nr};
use core::sync::atomic::{AtomicBool, Ordering};
use ring::record::Stat;

/// How a handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel shall do it, from the code cache, with the guest's registers as they are.
    Pass,
    /// It is done; the raw result for rax.
    Done(i64),
    /// The context holds the state to go on with.
    Resume,
}

/// Arguments of a system call, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Number.
    pub number: u64,
    /// Up to six arguments.
    pub args: [u64; 6],
}

impl Call {
    /// The call that a context is about to make.
    pub fn of(context: &Context) -> Call {
        let r = &context.regs;
        let args = [r[gpr::RDI], r[gpr::RSI], r[gpr::RDX], r[gpr::R10], r[gpr::R8], r[gpr::R9]];
        Call { number: r[gpr::RAX], args }
    }
}

/// Bytes of the instruction.
pub(crate) const BYTES: u64 = 2;

/// The system call under way is made again.
pub fn again(thread: &mut Thread) -> Outcome {
    thread.call_again = thread.context.pc;
    thread.context.pc = thread.context.pc.wrapping_sub(BYTES);
    Outcome::Resume
}

/// 0 = the kernel's business; 1 = the engine handles it.
pub fn class(number: usize) -> u8 {
    u8::from(matches!(
        number as u64,
        nr::MMAP
            | nr::MPROTECT
            | nr::PKEY_MPROTECT
            | nr::MUNMAP
            | nr::BRK
            | nr::MREMAP
            | nr::MADVISE
            | nr::SHMAT
            | nr::SHMDT
            | nr::REMAP_FILE_PAGES
            | nr::MAP_SHADOW_STACK
            | nr::RT_SIGACTION
            | nr::RT_SIGPROCMASK
            | nr::RT_SIGRETURN
            | nr::RT_SIGPENDING
            | nr::RT_SIGTIMEDWAIT
            | nr::RT_SIGSUSPEND
            | nr::SIGNALFD
            | nr::SIGNALFD4
            | nr::SIGALTSTACK
            | nr::CLONE
            | nr::CLONE3
            | nr::FORK
            | nr::VFORK
            | nr::EXECVE
            | nr::EXECVEAT
            | nr::EXIT
            | nr::EXIT_GROUP
            | nr::ARCH_PRCTL
            | nr::PRCTL
            | nr::PERSONALITY
            | nr::RSEQ
            | nr::IO_URING_SETUP
            | nr::SECCOMP
            | nr::OPEN
            | nr::OPENAT
            | nr::READLINK
            | nr::READLINKAT
            | nr::CLOSE
            | nr::CLOSE_RANGE
            | nr::DUP2
            | nr::DUP3
            | nr::FCNTL
            | nr::GETDENTS64
            | nr::STAT
            | nr::FSTAT
            | nr::ACCESS
            | nr::NEWFSTATAT
            | nr::STATX
            | nr::FACCESSAT
            | nr::FACCESSAT2
            | nr::TRUNCATE
            | nr::FTRUNCATE
            | nr::GETRLIMIT
            | nr::SETRLIMIT
            | nr::PRLIMIT64
    ))
}

/// What the guest writes goes nowhere.
static DISCARDS_OUTPUT: AtomicBool = AtomicBool::new(false);

fn discards_output() -> bool {
    DISCARDS_OUTPUT.load(Ordering::Relaxed)
}

/// From now on what the guest writes to descriptors goes nowhere, and succeeds.
pub fn discard_output(engine: &Engine) {
    DISCARDS_OUTPUT.store(true, Ordering::Relaxed);
    engine.cache.lock().handle_calls(&[nr::WRITE, nr::PWRITE64, nr::WRITEV, nr::SENDTO]);
}

/// Handles the call that the thread is about to make.
pub fn handle(engine: &'static Engine, thread: &mut Thread) -> Outcome {
    thread.stats[Stat::SlowSyscalls as usize] += 1;
    let call = Call::of(&thread.context);
    let a = &call.args;
    match call.number {
        // Nothing is written, all of it succeeds.
        nr::WRITE | nr::PWRITE64 | nr::SENDTO if discards_output() => Outcome::Done(a[2] as i64),
        nr::WRITEV if discards_output() => Outcome::Done(files::vector_length(a[1], a[2])),
        nr::MMAP => Outcome::Done(memory::mmap(engine, a)),
        nr::MPROTECT | nr::PKEY_MPROTECT => Outcome::Done(memory::mprotect(engine, &call)),
        nr::MUNMAP => Outcome::Done(memory::munmap(engine, a[0], a[1])),
        nr::BRK => Outcome::Done(memory::brk(engine, a[0])),
        nr::MREMAP => Outcome::Done(memory::mremap(engine, a)),
        nr::MADVISE => memory::madvise(engine, a),
        nr::SHMAT => Outcome::Done(memory::shmat(engine, a)),
        nr::SHMDT => Outcome::Done(memory::shmdt(engine, a[0])),
        nr::RT_SIGACTION => Outcome::Done(signals::sigaction(engine, thread, a)),
        nr::RT_SIGPROCMASK => signals::sigprocmask(engine, thread, a),
        nr::RT_SIGRETURN => signals::sigreturn(thread),
        nr::SIGALTSTACK => Outcome::Done(signals::sigaltstack(thread, a)),
        nr::CLONE | nr::CLONE3 | nr::FORK | nr::VFORK => crate::threads::clone::handle(engine, thread, &call),
        nr::EXECVE | nr::EXECVEAT => process::exec(engine, thread, &call),
        nr::EXIT => process::exit_thread(engine, thread, a[0]),
        nr::EXIT_GROUP => process::exit(engine, thread, a[0] as i32),
        nr::ARCH_PRCTL => process::arch_prctl(thread, a),
        nr::PRCTL => process::prctl(engine, thread, a),
        nr::PERSONALITY => Outcome::Done(process::personality(engine, a[0])),
        // The kernel compares the guest's pc with address ranges; here it would never match.
        nr::RSEQ | nr::IO_URING_SETUP | nr::MAP_SHADOW_STACK | nr::REMAP_FILE_PAGES => {
            Outcome::Done(-errno::ENOSYS)
        }
        nr::SECCOMP => process::seccomp(engine, thread, a),
        nr::OPEN | nr::OPENAT => files::open(engine, &call),
        nr::READLINK | nr::READLINKAT => files::readlink(engine, &call),
        nr::CLOSE | nr::FSTAT => files::of_descriptor(engine, a[0]),
        nr::CLOSE_RANGE => files::close_range(engine, a),
        nr::DUP2 | nr::DUP3 => files::dup(engine, a),
        nr::FCNTL => files::fcntl(engine, a),
        nr::GETDENTS64 => files::getdents(engine, a),
        nr::GETRLIMIT | nr::SETRLIMIT | nr::PRLIMIT64 => files::rlimit(engine, thread, &call),
        nr::STAT | nr::ACCESS | nr::NEWFSTATAT | nr::STATX | nr::FACCESSAT | nr::FACCESSAT2 => {
            files::by_path(engine, &call)
        }
        nr::TRUNCATE | nr::FTRUNCATE => files::truncate(engine, &call),
        nr::SIGNALFD | nr::SIGNALFD4 => {
            crate::signals::waits::watch(engine, thread, a[1]);
            Outcome::Pass
        }
        // Once a signal waits, or may be watched, also whatever reads or polls.
        number => {
            if crate::signals::waits::is_observer(number) {
                crate::signals::waits::expose(engine, thread, &call);
            }
            Outcome::Pass
        }
    }
}

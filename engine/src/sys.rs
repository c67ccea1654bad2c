//! The kernel: raw system calls and the numbers and structures that the engine uses.
//!
//! Every system call that the engine makes for itself goes through [`call`].
//!
//! # Safety
//! `unsafe` here is the `syscall` instruction. A system call can do anything to memory, so each function of this
//! module that is safe takes only arguments that cannot hurt the engine's own memory.
#![allow(unsafe_code, reason = "the syscall instruction")]

use core::arch::asm;

/// System-call numbers, as far as the engine names them.
#[allow(missing_docs, reason = "the kernel's names")]
pub mod nr {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const OPEN: u64 = 2;
    pub const CLOSE: u64 = 3;
    pub const STAT: u64 = 4;
    pub const FSTAT: u64 = 5;
    pub const LSTAT: u64 = 6;
    pub const LSEEK: u64 = 8;
    pub const MMAP: u64 = 9;
    pub const MPROTECT: u64 = 10;
    pub const MUNMAP: u64 = 11;
    pub const BRK: u64 = 12;
    pub const RT_SIGACTION: u64 = 13;
    pub const RT_SIGPROCMASK: u64 = 14;
    pub const RT_SIGRETURN: u64 = 15;
    pub const POLL: u64 = 7;
    pub const IOCTL: u64 = 16;
    pub const READV: u64 = 19;
    pub const SELECT: u64 = 23;
    pub const EPOLL_WAIT: u64 = 232;
    pub const PSELECT6: u64 = 270;
    pub const PPOLL: u64 = 271;
    pub const EPOLL_PWAIT: u64 = 281;
    pub const SIGNALFD: u64 = 282;
    pub const SIGNALFD4: u64 = 289;
    pub const PREADV2: u64 = 327;
    pub const EPOLL_PWAIT2: u64 = 441;
    pub const PREAD64: u64 = 17;
    pub const PWRITE64: u64 = 18;
    pub const WRITEV: u64 = 20;
    pub const SENDTO: u64 = 44;
    pub const ACCESS: u64 = 21;
    pub const MREMAP: u64 = 25;
    pub const MADVISE: u64 = 28;
    pub const SHMAT: u64 = 30;
    pub const SHMDT: u64 = 67;
    pub const DUP2: u64 = 33;
    pub const GETPID: u64 = 39;
    pub const CLONE: u64 = 56;
    pub const FORK: u64 = 57;
    pub const VFORK: u64 = 58;
    pub const EXECVE: u64 = 59;
    pub const EXIT: u64 = 60;
    pub const KILL: u64 = 62;
    pub const FCNTL: u64 = 72;
    pub const TRUNCATE: u64 = 76;
    pub const FTRUNCATE: u64 = 77;
    pub const GETCWD: u64 = 79;
    pub const READLINK: u64 = 89;
    pub const GETRLIMIT: u64 = 97;
    pub const GETPPID: u64 = 110;
    pub const RT_SIGPENDING: u64 = 127;
    pub const RT_SIGTIMEDWAIT: u64 = 128;
    pub const RT_SIGQUEUEINFO: u64 = 129;
    pub const RT_SIGSUSPEND: u64 = 130;
    pub const SIGALTSTACK: u64 = 131;
    pub const PERSONALITY: u64 = 135;
    pub const SETRLIMIT: u64 = 160;
    pub const PRCTL: u64 = 157;
    pub const ARCH_PRCTL: u64 = 158;
    pub const GETTID: u64 = 186;
    pub const TIME: u64 = 201;
    pub const FUTEX: u64 = 202;
    pub const REMAP_FILE_PAGES: u64 = 216;
    pub const GETDENTS64: u64 = 217;
    pub const SET_TID_ADDRESS: u64 = 218;
    pub const CLOCK_GETTIME: u64 = 228;
    pub const EXIT_GROUP: u64 = 231;
    pub const TGKILL: u64 = 234;
    pub const OPENAT: u64 = 257;
    pub const NEWFSTATAT: u64 = 262;
    pub const READLINKAT: u64 = 267;
    pub const FACCESSAT: u64 = 269;
    pub const SET_ROBUST_LIST: u64 = 273;
    pub const DUP3: u64 = 292;
    pub const RT_TGSIGQUEUEINFO: u64 = 297;
    pub const PRLIMIT64: u64 = 302;
    pub const GETTIMEOFDAY: u64 = 96;
    pub const GETCPU: u64 = 309;
    pub const SECCOMP: u64 = 317;
    pub const MEMFD_CREATE: u64 = 319;
    pub const EXECVEAT: u64 = 322;
    pub const MEMBARRIER: u64 = 324;
    pub const PKEY_MPROTECT: u64 = 329;
    pub const STATX: u64 = 332;
    pub const RSEQ: u64 = 334;
    pub const IO_URING_SETUP: u64 = 425;
    pub const CLONE3: u64 = 435;
    pub const CLOSE_RANGE: u64 = 436;
    pub const OPENAT2: u64 = 437;
    pub const FACCESSAT2: u64 = 439;
    pub const MAP_SHADOW_STACK: u64 = 453;
}

/// Error numbers.
#[allow(missing_docs, reason = "the kernel's names")]
pub mod errno {
    pub const EPERM: i64 = 1;
    pub const ENOENT: i64 = 2;
    pub const EINTR: i64 = 4;
    pub const EIO: i64 = 5;
    pub const E2BIG: i64 = 7;
    pub const ENOEXEC: i64 = 8;
    pub const EBADF: i64 = 9;
    pub const ENOMEM: i64 = 12;
    pub const EACCES: i64 = 13;
    pub const EFAULT: i64 = 14;
    pub const EEXIST: i64 = 17;
    pub const EINVAL: i64 = 22;
    pub const EMFILE: i64 = 24;
    pub const ELOOP: i64 = 40;
    pub const ENAMETOOLONG: i64 = 36;
    pub const ENOSYS: i64 = 38;
}

pub const PROT_READ: u64 = 1;
pub const PROT_WRITE: u64 = 2;
pub const PROT_EXEC: u64 = 4;
pub const MAP_SHARED: u64 = 1;
pub const MAP_PRIVATE: u64 = 2;
pub const MAP_FIXED: u64 = 0x10;
pub const MAP_ANONYMOUS: u64 = 0x20;
pub const MAP_32BIT: u64 = 0x40;
pub const MAP_GROWSDOWN: u64 = 0x100;
pub const MAP_DENYWRITE: u64 = 0x800;
pub const MAP_NORESERVE: u64 = 0x4000;
pub const MAP_STACK: u64 = 0x20000;
pub const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
pub const AT_FDCWD: u64 = -100i64 as u64;
pub const AT_EMPTY_PATH: u64 = 0x1000;
pub const O_CLOEXEC: u64 = 0o2_000_000;
pub const O_PATH: u64 = 0o10_000_000;

pub const CLONE_VM: u64 = 0x100;
pub const CLONE_FILES: u64 = 0x400;
pub const CLONE_VFORK: u64 = 0x4000;
pub const CLONE_THREAD: u64 = 0x1_0000;
pub const CLONE_SETTLS: u64 = 0x8_0000;
pub const CLONE_PARENT_SETTID: u64 = 0x10_0000;
pub const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
pub const CLONE_CHILD_SETTID: u64 = 0x100_0000;
pub const CLONE_SIGHAND: u64 = 0x800;
pub const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

pub const FUTEX_WAIT: u64 = 0;
pub const FUTEX_WAKE: u64 = 1;
pub const FUTEX_PRIVATE: u64 = 128;

/// A system call with up to six arguments; the raw result (negative error number on failure).
///
/// # Safety
/// The call must not touch memory in a way that breaks Rust's rules for the engine's own objects.
#[inline]
pub unsafe fn call6(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
    let result: i64;
    // SAFETY: forwarded to the caller; rcx and r11 are clobbered by the instruction.
    unsafe {
        asm!("syscall", inlateout("rax") number as i64 => result, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// [`call6`] with the arguments as a slice of at most six.
///
/// # Safety
/// As [`call6`].
#[inline]
pub unsafe fn call(number: u64, arguments: &[u64]) -> i64 {
    let at = |i: usize| arguments.get(i).copied().unwrap_or(0);
    // SAFETY: forwarded to the caller.
    unsafe { call6(number, at(0), at(1), at(2), at(3), at(4), at(5)) }
}

/// Splits a raw result.
pub fn result(raw: i64) -> Result<u64, i64> {
    if (-4095..0).contains(&raw) { Err(-raw) } else { Ok(raw as u64) }
}

/// Writes bytes to a descriptor; errors are ignored.
pub fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the kernel only reads the slice.
    unsafe { call(nr::WRITE, &[fd as u64, bytes.as_ptr() as u64, bytes.len() as u64]) };
}

/// Ends the process.
pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { call(nr::EXIT_GROUP, &[status as u64]) };
    }
}

/// The calling thread's id.
pub fn gettid() -> u32 {
    // SAFETY: touches no memory.
    unsafe { call(nr::GETTID, &[]) as u32 }
}

/// The calling process's id.
pub fn getpid() -> u32 {
    // SAFETY: touches no memory.
    unsafe { call(nr::GETPID, &[]) as u32 }
}

/// Sends a signal to one thread.
pub fn tgkill(pid: u32, tid: u32, signal: u32) -> i64 {
    // SAFETY: touches no memory of this process.
    unsafe { call(nr::TGKILL, &[u64::from(pid), u64::from(tid), u64::from(signal)]) }
}

/// Waits until `*word != expected`, a wake-up, or the timeout in nanoseconds (0 = none). `shared`: between processes.
pub fn futex_wait(word: &core::sync::atomic::AtomicU32, expected: u32, timeout_ns: u64, shared: bool) -> i64 {
    let time = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    let timeout = if timeout_ns == 0 { 0 } else { time.as_ptr() as u64 };
    let operation = FUTEX_WAIT | if shared { 0 } else { FUTEX_PRIVATE };
    // SAFETY: the kernel reads the word and the time.
    unsafe { call(nr::FUTEX, &[word.as_ptr() as u64, operation, u64::from(expected), timeout]) }
}

/// Wakes up to `count` waiters.
pub fn futex_wake(word: &core::sync::atomic::AtomicU32, count: u32, shared: bool) {
    let operation = FUTEX_WAKE | if shared { 0 } else { FUTEX_PRIVATE };
    // SAFETY: the kernel uses the word's address only.
    unsafe { call(nr::FUTEX, &[word.as_ptr() as u64, operation, u64::from(count)]) };
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn monotonic_ns() -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: the kernel writes two words.
    unsafe { call(nr::CLOCK_GETTIME, &[1, time.as_mut_ptr() as u64]) };
    time[0] * 1_000_000_000 + time[1]
}

/// The time-stamp counter.
#[inline]
pub fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Both clocks at one moment, from which later tells how long a tick of the time-stamp counter is.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    tsc: u64,
    nanoseconds: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        Moment { tsc: tsc(), nanoseconds: monotonic_ns() }
    }

    /// Nanoseconds that `ticks` took, by what both clocks have gone on since.
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        let now = Moment::now();
        let (passed, nanoseconds) = (now.tsc.wrapping_sub(self.tsc), now.nanoseconds - self.nanoseconds);
        (u128::from(ticks) * u128::from(nanoseconds) / u128::from(passed.max(1))) as u64
    }
}

/// Asks for huge pages in a mapping. A kernel without them refuses, and all works as before.
pub fn prefer_huge_pages(address: u64, bytes: u64) {
    const MADV_HUGEPAGE: u64 = 14;
    // SAFETY: this advice changes no memory's contents or protection.
    unsafe { call(nr::MADVISE, &[address, bytes, MADV_HUGEPAGE]) };
}

/// The same of what is there already, at once, from Linux 6.1 on.
pub fn collapse_to_huge_pages(address: u64, bytes: u64) {
    const MADV_COLLAPSE: u64 = 25;
    // SAFETY: as above.
    unsafe { call(nr::MADVISE, &[address, bytes, MADV_COLLAPSE]) };
}

/// Maps memory for the engine itself.
///
/// # Safety
/// With MAP_FIXED the range must not hold anything in use.
pub unsafe fn mmap(
    at: u64,
    length: u64,
    protection: u64,
    flags: u64,
    fd: i64,
    offset: u64,
) -> Result<u64, i64> {
    // SAFETY: forwarded to the caller.
    result(unsafe { call(nr::MMAP, &[at, length, protection, flags, fd as u64, offset]) })
}

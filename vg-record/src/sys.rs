//! System calls that std does not offer, as safe functions.
//!
//! Always holds: nothing here keeps state, and every function is sound for any argument. Not here: what runs
//! between fork and exec (`launch`), and what runs before `main` (`inherited`).
#![allow(unsafe_code, reason = "wraps system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The TSC and CLOCK_MONOTONIC in nanoseconds, read as close together as possible.
pub(crate) fn clock_pair() -> (u64, u64) {
    // The tightest of a few tries: a pre-empted reading would bend the whole time scale.
    (0..4)
        .map(|_| {
            let before = tsc();
            let now = monotonic();
            let after = tsc();
            (after.wrapping_sub(before), before + after.wrapping_sub(before) / 2, now)
        })
        .min()
        .map_or((0, 0), |(_, tsc, now)| (tsc, now))
}

/// The time-stamp counter.
pub(crate) fn tsc() -> u64 {
    // SAFETY: every x86-64 processor has rdtsc, and Linux lets user code execute it unless asked otherwise.
    #[allow(unused_unsafe)]
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A new anonymous file, closed on exec. `executable` asks for one that may be executed where the kernel
/// distinguishes (6.3 and later).
pub(crate) fn memfd(name: &std::ffi::CStr, executable: bool) -> io::Result<OwnedFd> {
    let wish = if executable { libc::MFD_EXEC } else { libc::MFD_NOEXEC_SEAL };
    let mut fd = -1;
    for extra in [wish, 0] {
        // SAFETY: `name` is a C string.
        fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | extra) };
        if fd >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
            break;
        }
    }
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Maps `bytes` of `fd` shared, readable and writable, until this process ends. Returns the address.
pub(crate) fn map_shared(fd: &OwnedFd, bytes: usize) -> io::Result<usize> {
    // SAFETY: a new mapping at an address that the kernel chooses disturbs nothing.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
            fd.as_raw_fd(),
            0,
        )
    };
    if base == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(base as usize) }
}

/// Gives the pages of a part of a memfd back; they read as zeros afterwards. Failure is harmless and ignored.
pub(crate) fn punch(fd: RawFd, offset: usize, bytes: usize) {
    // SAFETY: works on the file, not on memory; the offsets are checked by the kernel.
    unsafe {
        libc::fallocate(
            fd,
            libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            offset as libc::off_t,
            bytes as libc::off_t,
        );
    }
}

/// Waits until `word` is no longer `expected`, is woken, or `limit` has passed.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, limit: Duration) {
    let limit = libc::timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
    // SAFETY: `word` outlives the call. Not FUTEX_PRIVATE: guests wake it from other processes.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            expected,
            &limit as *const libc::timespec,
        );
    }
}

/// Wakes everybody who waits for `word`, in any process.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: `word` outlives the call; waking has no other effect on memory.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX);
    }
}

/// Asks for a 1 MiB pipe behind `fd`: fewer switches between writer and reader. Ignored where impossible.
pub(crate) fn widen_pipe(fd: RawFd) {
    // SAFETY: an fcntl without pointers.
    unsafe {
        libc::fcntl(fd, libc::F_SETPIPE_SZ, 1 << 20);
    }
}

/// A copy of `fd` with a number of at least `least`, closed on exec.
pub(crate) fn duplicate(fd: RawFd, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: an fcntl without pointers.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Soft limit of the number of open files.
pub(crate) fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// Whether this process may read `path` as a program (the effective user's rights, as execve checks them).
pub(crate) fn may_execute(path: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: `path` is a C string.
    if unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The host's name, kernel release and machine, as `uname` gives them.
pub(crate) fn host() -> [String; 3] {
    // SAFETY: utsname is plain bytes; zeros are a valid value, and uname fills it.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&mut name);
        name
    };
    let text = |field: &[libc::c_char]| {
        let bytes: Vec<u8> = field.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    [text(&name.nodename), text(&name.release), text(&name.machine)]
}

/// The environment of this process as it is in memory, malformed and repeated entries included.
pub(crate) fn environment() -> Vec<std::ffi::CString> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut list = Vec::new();
    // SAFETY: `environ` is a NULL-terminated array of C strings (or NULL) that only setenv and its like change,
    // which nothing in this program calls.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            list.push(std::ffi::CStr::from_ptr(*at).to_owned());
            at = at.add(1);
        }
    }
    list
}

/// Whether no file is open under the number `fd`.
pub(crate) fn is_free(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads the descriptor's flags only.
    unsafe { libc::fcntl(fd, libc::F_GETFD) < 0 }
}

/// While it lives, files of this process may be as large as the system lets it ask for (`ulimit -f`).
///
/// The shared memory is a sparse file of gigabytes, which a limit meant for files on disk would forbid.
#[derive(Debug)]
pub(crate) struct AnyFileSize(libc::rlimit);

impl AnyFileSize {
    /// Lifts the limit as far as this process may. SIGXFSZ should be blocked, in case it may not.
    pub(crate) fn new() -> AnyFileSize {
        let mut old = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        let none = old;
        // SAFETY: both structures are valid for the calls.
        unsafe {
            libc::getrlimit(libc::RLIMIT_FSIZE, &mut old);
            if libc::setrlimit(libc::RLIMIT_FSIZE, &none) < 0 {
                let hard = libc::rlimit { rlim_cur: old.rlim_max, ..old };
                libc::setrlimit(libc::RLIMIT_FSIZE, &hard);
            }
        }
        AnyFileSize(old)
    }
}

impl Drop for AnyFileSize {
    fn drop(&mut self) {
        // SAFETY: the structure is valid; going back to the old limit is always allowed.
        unsafe {
            libc::setrlimit(libc::RLIMIT_FSIZE, &self.0);
        }
    }
}

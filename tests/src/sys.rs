//! The system calls that std does not offer: signals to a process or a process group, and limits of a child.
//!
//! Not here: anything that keeps state; every function is one system call.
#![allow(unsafe_code, reason = "thin wrappers around libc calls without a safe equivalent in std")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Sends `signal` to every process of the process group `pgid`. A group that has already gone is no error.
pub fn kill_group(pgid: u32, signal: i32) {
    let Ok(pgid) = libc::pid_t::try_from(pgid) else { return };
    assert!(pgid > 1, "never signal the own group or every process");
    // SAFETY: kill takes plain integers and touches no memory of ours.
    unsafe { libc::kill(-pgid, signal) };
}

/// A process of the process group `pgid` still exists; one that ended and was not waited for counts.
pub fn group_exists(pgid: u32) -> bool {
    let Ok(pgid) = libc::pid_t::try_from(pgid) else { return false };
    assert!(pgid > 1, "never ask for the own group or every process");
    // SAFETY: kill with signal 0 only asks and takes plain integers.
    unsafe { libc::kill(-pgid, 0) == 0 }
}

/// Sends `signal` to the process `pid`.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    assert!(pid > 1, "never signal init, the own group or every process");
    // SAFETY: kill takes plain integers and touches no memory of ours.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The effective user id is 0.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Lets `command` start with the resource limit `resource` (`libc::RLIMIT_*`) at `soft`, the hard limit
/// unchanged, and with SIGXFSZ at its default, which our own parent may have set to ignored.
pub fn limit(command: &mut Command, resource: libc::__rlimit_resource_t, soft: u64) {
    let set = move || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a valid rlimit that lives through both calls; signal takes plain values. All
        // three calls are async-signal-safe, as the code between fork and exec must be.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            if libc::getrlimit(resource, &raw mut limit) != 0 {
                return Err(io::Error::last_os_error());
            }
            limit.rlim_cur = soft;
            if libc::setrlimit(resource, &raw const limit) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure only makes async-signal-safe calls and allocates nothing.
    unsafe { command.pre_exec(set) };
}

/// Starts `command` in a session of its own, so that it leads a process group, has no terminal to disturb, and
/// with every descriptor but the first three marked to be closed by its exec.
pub fn isolate(command: &mut Command) {
    let isolate = || {
        // SAFETY: both calls take plain integers, touch no memory and are async-signal-safe; marking leaves the
        // descriptors open until exec, as std's own report of a failed exec needs.
        unsafe {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        }
        Ok(())
    };
    // SAFETY: the closure only makes async-signal-safe calls and allocates nothing.
    unsafe { command.pre_exec(isolate) };
}

//! Starting the guest: a fork of the still single-threaded recorder that executes the engine's image.
//!
//! The child restores what the recorder was started with (signals, standard descriptors), asks to die with the
//! recorder, and executes the image, which takes everything else from one environment variable. Always holds:
//! between fork and exec the child makes system calls only, on memory prepared before. Not here: loading the
//! guest (the engine), waiting for it (`wait`).
#![allow(unsafe_code, reason = "fork, and system calls between fork and exec")]

use crate::inherited::Inherited;
use crate::program::Program;
use crate::sys;
use anyhow::{Context as _, bail};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The variable that tells the image what to do: `shared descriptor,old personality in hex,program path`. It is
/// the first of the environment, and the engine removes it.
pub(crate) const VARIABLE: &str = "VG_ENGINE";

/// The engine, as built beside this program.
static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/engine-image"));

/// The engine's executable in a memory file of its own.
///
/// # Errors
/// The kernel gives no memory file, or the build has embedded no engine.
pub(crate) fn image() -> anyhow::Result<OwnedFd> {
    let fd = sys::memfd(c"vg-engine", true).context("cannot make a memory file for the engine")?;
    let mut file = File::from(fd);
    file.write_all(IMAGE).context("cannot write the engine into a memory file")?;
    Ok(file.into())
}

/// What the guest starts with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// The guest.
    pub program: &'a Program,
    /// The image to execute.
    pub image: &'a OwnedFd,
    /// The shared memory.
    pub shared: &'a OwnedFd,
    /// The guest's standard output goes to its standard error.
    pub stdout_to_stderr: bool,
    /// Signal state and descriptors to restore.
    pub inherited: Inherited,
}

/// Starts the guest and returns its process id once the engine's image runs.
///
/// # Errors
/// The system refuses a process, or the image cannot be executed.
pub(crate) fn start(what: &Start<'_>) -> anyhow::Result<libc::pid_t> {
    let parent = std::process::id() as libc::pid_t;
    // SAFETY: asks for the present value only.
    let personality = unsafe { libc::personality(0xffff_ffff) };
    let personality = u32::try_from(personality).context("cannot read the personality of this process")?;
    let shared = free_descriptor()?;
    let mut first = format!("{VARIABLE}={shared},{personality:x},").into_bytes();
    first.extend_from_slice(what.program.path.as_bytes());
    let mut environment = vec![CString::new(first).context("a NUL in the program's path")?];
    environment.extend(sys::environment());
    let environment = pointers(&environment);
    let argv = pointers(&what.program.argv);
    let (mut reader, writer) = pipe().context("cannot make a pipe")?;

    // SAFETY: this process has one thread here, so the child finds every lock free; it calls `child` only.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error()).context("cannot start a process");
    }
    if pid == 0 {
        // SAFETY: this is the child of the fork; the pointers lead to NULL-terminated arrays of C strings that
        // live in `environment`, `argv` and `what`.
        unsafe {
            let step = child(what, parent, shared, personality, argv.as_ptr(), environment.as_ptr());
            let failure = [step, *libc::__errno_location()];
            libc::write(writer.as_raw_fd(), failure.as_ptr().cast(), size_of_val(&failure));
            libc::_exit(125);
        }
    }
    drop(writer);
    // The pipe closes on exec: end of file means that the image runs.
    let mut failure = Vec::new();
    reader.read_to_end(&mut failure).context("cannot read from the new process")?;
    if let Ok(failure) = <[u8; 8]>::try_from(failure) {
        // SAFETY: collects the child that has reported its failure; no status is asked for.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        let step = i32::from_ne_bytes([failure[0], failure[1], failure[2], failure[3]]);
        let errno = i32::from_ne_bytes([failure[4], failure[5], failure[6], failure[7]]);
        let error = io::Error::from_raw_os_error(errno);
        if step == STEP_EXEC && errno == libc::EACCES {
            bail!("cannot execute the engine from memory: {error} (vm.memfd_noexec must be 0 or 1)");
        }
        bail!("cannot {}: {error}", STEPS.get(step as usize).copied().unwrap_or("start the guest"));
    }
    Ok(pid)
}

/// Names of the steps in [`child`], for messages.
const STEPS: [&str; 5] = [
    "tie the guest to the recorder",
    "set up the guest's standard output",
    "hand the shared memory to the guest",
    "fix the guest's address layout",
    "execute the engine",
];
const STEP_EXEC: i32 = 4;

/// Runs in the child; returns only when a step fails, with its number. `errno` says why.
///
/// # Safety
/// Called in the child of a fork; `argv` and `environment` are NULL-terminated arrays of C strings.
unsafe fn child(
    what: &Start<'_>,
    parent: libc::pid_t,
    shared: RawFd,
    personality: u32,
    argv: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> i32 {
    // SAFETY: each call gets numbers, C strings or pointers to live local values; nothing allocates or locks.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
            return 0;
        }
        if libc::getppid() != parent {
            // The recorder died before the wish above took effect.
            libc::_exit(125);
        }
        if what.stdout_to_stderr && libc::dup2(2, 1) < 0 {
            return 1;
        }
        for fd in 0..3 {
            if what.inherited.closed & 1 << fd != 0 {
                libc::close(fd);
            }
        }
        if libc::dup2(what.shared.as_raw_fd(), shared) < 0 {
            return 2;
        }
        let fixed = personality | libc::ADDR_NO_RANDOMIZE as u32;
        if fixed != personality && libc::personality(fixed as libc::c_ulong) < 0 {
            return 3;
        }
        for (signal, ignored) in
            [(libc::SIGPIPE, what.inherited.pipe_ignored), (libc::SIGCHLD, what.inherited.child_ignored)]
        {
            libc::signal(signal, if ignored { libc::SIG_IGN } else { libc::SIG_DFL });
        }
        // The raw call because the C library filters its own two signals out of the mask.
        let mask = what.inherited.mask;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &mask as *const u64, 0usize, 8usize);
        let no_path: &CStr = c"";
        libc::syscall(
            libc::SYS_execveat,
            what.image.as_raw_fd(),
            no_path.as_ptr(),
            argv,
            environment,
            libc::AT_EMPTY_PATH,
        );
    }
    STEP_EXEC
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for the two descriptors.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us both; nobody else owns them.
    unsafe { Ok((File::from(OwnedFd::from_raw_fd(fds[0])), OwnedFd::from_raw_fd(fds[1]))) }
}

/// The highest free descriptor that the guest may have, where nothing that it inherits or opens first will be.
fn free_descriptor() -> anyhow::Result<RawFd> {
    let limit = sys::open_files_limit().min(HIGHEST);
    // The engine keeps its own program open under the number below.
    (4..limit as RawFd)
        .rev()
        .find(|&fd| sys::is_free(fd) && sys::is_free(fd - 1))
        .context("every file descriptor is taken")
}

/// Descriptors beyond this make the kernel allocate megabytes of table for one entry.
const HIGHEST: u64 = 1 << 20;

#[cfg(test)]
mod tests;

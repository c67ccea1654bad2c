//! Counts the instructions that a program executes natively, by single steps, and where each led.
//!
//! What always holds: an instruction that faults has not been executed, and the entry of a signal handler is no instruction;
//! one that repeats itself is a step for each turn. The program dies with the value and with its tracer. Not here: programs
//! with several threads or processes.
#![allow(unsafe_code, reason = "ptrace and waitpid have no safe equivalent in std")]

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a program did.
#[derive(Debug)]
pub struct Stepped {
    /// Instructions executed, with the system call that ended it.
    pub steps: u64,
    /// How often the instruction at one address was followed by that at another one.
    pub ways: HashMap<(u64, u64), u64>,
    /// What it wrote to standard output, of which a pipe must hold all.
    pub out: String,
    /// Its exit status.
    pub code: i32,
}

/// Executed instructions after which a program is given up: some seconds.
const STEPS_MAX: u64 = 2_000_000;

/// Runs `program` without arguments and environment, one instruction after the other.
///
/// # Errors
/// It cannot be started or traced, dies of a signal, or does not end.
pub fn count(program: &Path) -> io::Result<Stepped> {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let traced = || {
        // SAFETY: the request takes no address and is async-signal-safe, as the code between fork and exec must be.
        let result = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes one async-signal-safe call and allocates nothing.
    unsafe { command.pre_exec(traced) };
    let mut traced = Traced(command.spawn()?);
    let pid = libc::pid_t::try_from(traced.0.id()).map_err(io::Error::other)?;
    if wait(pid)? != State::Stopped(libc::SIGTRAP) {
        return Err(io::Error::other("it did not stop at its first instruction"));
    }
    // SAFETY: the option is passed as a value; no memory is read or written.
    check(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_EXITKILL) })?;
    let (mut steps, mut deliver) = (0, 0);
    let mut ways: HashMap<(u64, u64), u64> = HashMap::new();
    let mut pc = instruction_pointer(pid)?;
    while steps < STEPS_MAX {
        // SAFETY: the signal is passed as a value; no memory of ours is read or written.
        check(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, deliver) })?;
        let entered = deliver != 0;
        deliver = 0;
        match wait(pid)? {
            // Where a handler begins, the kernel tells a step that none was.
            State::Stopped(libc::SIGTRAP) => {
                let before = std::mem::replace(&mut pc, instruction_pointer(pid)?);
                if !entered {
                    steps += 1;
                    *ways.entry((before, pc)).or_default() += 1;
                }
            }
            State::Stopped(signal) => deliver = signal,
            State::Exited(code) => {
                let mut out = String::new();
                if let Some(pipe) = &mut traced.0.stdout {
                    pipe.read_to_string(&mut out)?;
                }
                return Ok(Stepped { steps: steps + 1, ways, out, code });
            }
            State::Died(signal) => return Err(io::Error::other(format!("it died of signal {signal}"))),
        }
    }
    Err(io::Error::other(format!("it did not end within {STEPS_MAX} instructions")))
}

/// A child that does not outlive the value.
struct Traced(Child);

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Stopped(i32),
    Exited(i32),
    Died(i32),
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn instruction_pointer(pid: libc::pid_t) -> io::Result<u64> {
    const OFFSET: usize = 8 * libc::RIP as usize;
    // SAFETY: the offset lies in the structure of registers, of which a word is returned; no memory of ours is written.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, pid, OFFSET, 0) };
    // A pc is never -1.
    check(if word == -1 { -1 } else { 0 }).map(|()| word as u64)
}

fn wait(pid: libc::pid_t) -> io::Result<State> {
    let mut status = 0;
    // SAFETY: `status` is an integer that lives through the call.
    while unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(if libc::WIFSTOPPED(status) {
        State::Stopped(libc::WSTOPSIG(status))
    } else if libc::WIFEXITED(status) {
        State::Exited(libc::WEXITSTATUS(status))
    } else {
        State::Died(libc::WTERMSIG(status))
    })
}

//! Runs one command and measures it: processor time of the process and of all descendants that were waited for,
//! and wall time.
//!
//! Always holds: when `run` returns the process is gone, by itself or killed at the limit with its whole group.
//! Not here: what is run (`column`), and what becomes of the numbers (`table`).
#![allow(unsafe_code, reason = "std has no wait4, no pidfd_open and no kill")]

use anyhow::Context as _;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// User and system time of the process and its descendants.
    pub cpu: Duration,
    /// From before the start to after the end.
    pub wall: Duration,
}

/// Runs `command` to its end. The status is `None` when it took longer than `limit` and was killed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> anyhow::Result<(Option<ExitStatus>, Sample)> {
    command.process_group(0);
    let began = Instant::now();
    let child =
        command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let pid = child.id() as libc::pid_t;
    let ended = ends_within(pid, limit).context("cannot wait for a process")?;
    if !ended {
        // SAFETY: kill reads no memory; the group is the one that was made for this child, which nobody has waited
        // for yet, so its number belongs to nobody else.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places are valid for writes for the whole call. The child has not been waited for: `Child` is
    // never asked to.
    while unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error).context("cannot wait for a process");
        }
    }
    let wall = began.elapsed();
    let sample = Sample { cpu: duration(usage.ru_utime) + duration(usage.ru_stime), wall };
    Ok((ended.then(|| ExitStatus::from_raw(status)), sample))
}

/// Waits for the end of the child `pid`; false when `limit` is over first.
fn ends_within(pid: libc::pid_t, limit: Duration) -> io::Result<bool> {
    // SAFETY: pidfd_open takes two numbers.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has just made this descriptor and nothing else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(number as i32) };
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let mut entry = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, valid for the whole call.
        let count = unsafe { libc::poll(&mut entry, 1, left) };
        match count {
            0 => return Ok(false),
            1.. => return Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_descendants_counts() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; exit 3"]);
        let (status, sample) = run(&mut command, Duration::from_secs(60)).expect("runs");
        assert_eq!(status.expect("ends in time").code(), Some(3));
        assert!(sample.cpu > Duration::from_millis(5), "{sample:?}");
        assert!(sample.wall > Duration::from_millis(5), "{sample:?}");
    }

    #[test]
    fn the_limit_ends_the_whole_group() {
        let (read, write) = io::pipe().expect("a pipe");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]).stdout(write);
        let (status, _) = run(&mut command, Duration::from_millis(200)).expect("runs");
        assert_eq!(status, None);
        // The pipe ends when the last process that could write to it is gone.
        drop(command);
        let mut rest = String::new();
        io::Read::read_to_string(&mut { read }, &mut rest).expect("ends");
        assert_eq!(rest, "");
    }

    #[test]
    fn what_cannot_start_is_named() {
        let error = run(&mut Command::new("/no/such/program"), Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}

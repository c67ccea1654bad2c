//! Runs one command and measures it: processor time of the process and of all descendants that were waited for,
//! wall time, and the most memory that all of them had together.
//!
//! Always holds: when `run` returns the process is gone, by itself or killed at the limit with its whole group.
//! Not here: what is run (`column`), and what becomes of the numbers (`table`).
#![allow(unsafe_code, reason = "std has no wait4, no pidfd_open and no kill")]

use anyhow::Context as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use std::{fs, io};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// User and system time of the process and its descendants.
    pub cpu: Duration,
    /// From before the start to after the end.
    pub wall: Duration,
    /// The most resident memory in bytes: of all processes together as it was seen now and then, or of one of them,
    /// whichever is more. What two of them share counts twice. 0 when the end came before the first look.
    pub memory: u64,
}

/// How often the processes' memory is looked at.
const LOOKS: Duration = Duration::from_millis(20);

/// Runs `command` to its end. The status is `None` when it took longer than `limit` and was killed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> anyhow::Result<(Option<ExitStatus>, Sample)> {
    command.process_group(0);
    let began = Instant::now();
    let child =
        command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let pid = child.id() as libc::pid_t;
    let (ended, seen) = ends_within(pid, limit).context("cannot wait for a process")?;
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
    // The kernel's own number for the most memory is that of this program where the child's is less: it is kept over exec.
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    let sample = Sample { cpu, wall, memory: seen };
    Ok((ended.then(|| ExitStatus::from_raw(status)), sample))
}

/// Resident bytes of a process and its descendants; at least the most that one of them has had since it was executed.
fn resident(pid: u32) -> u64 {
    let (now, most) = resident_and_most(pid);
    now.max(most)
}

fn resident_and_most(pid: u32) -> (u64, u64) {
    let folder = format!("/proc/{pid}");
    let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let bytes = |name| field(name).map_or(0, |kib| kib * 1024);
    let (mut now, mut most) = (bytes("VmRSS:"), bytes("VmHWM:"));
    let tasks = fs::read_dir(format!("{folder}/task")).into_iter().flatten().flatten();
    for list in tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()) {
        for child in list.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let (its, its_most) = resident_and_most(child);
            now += its;
            most = most.max(its_most);
        }
    }
    (now, most)
}

/// Waits for the end of the child `pid`, and how much memory was seen meanwhile; false when `limit` is over first.
fn ends_within(pid: libc::pid_t, limit: Duration) -> io::Result<(bool, u64)> {
    // SAFETY: pidfd_open takes two numbers.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has just made this descriptor and nothing else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(number as i32) };
    let deadline = Instant::now() + limit;
    let mut seen = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok((false, seen));
        }
        let left = left.min(LOOKS).as_millis() as i32;
        let mut entry = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, valid for the whole call.
        let count = unsafe { libc::poll(&mut entry, 1, left) };
        match count {
            0 => seen = seen.max(resident(pid as u32)),
            1.. => return Ok((true, seen)),
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
    fn memory_is_that_of_all_together() {
        // One line without an end is kept until the end.
        let hold = "(head -c 30000000 /dev/zero; sleep 0.4) | tail -n 1";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{hold} & {hold}; wait")]).stdout(std::process::Stdio::null());
        let (status, sample) = run(&mut command, Duration::from_secs(60)).expect("runs");
        assert!(status.expect("ends in time").success());
        assert!(sample.memory > 40_000_000, "{sample:?}");
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

//! Living beside the guest: its end, its stops, and the signals that somebody sends to `vg-record`.
//!
//! All signals that could end the recorder are blocked from before the guest starts and taken one by one here, so
//! the recording is always completed. Always holds: the recorder ends as the guest ended. Not here: draining.
#![allow(unsafe_code, reason = "signal sets, sigwaitinfo, waitpid")]

/// How the guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
}

/// Signals that are left alone: they cannot be taken, report the recorder's own faults, or are the C library's.
const UNTOUCHED: [i32; 11] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGPIPE,
    32,
    33,
];

/// Signals that a terminal or its kernel sends to the whole foreground group.
const OF_TERMINAL: [i32; 8] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGHUP,
    libc::SIGWINCH,
    libc::SIGCONT,
];

fn taken() -> libc::sigset_t {
    // SAFETY: the set is initialised by sigfillset before use; all pointers lead to it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        for signal in UNTOUCHED {
            libc::sigdelset(&mut set, signal);
        }
        set
    }
}

/// Blocks the signals that [`supervise`] takes, for this thread and those it starts. Called before the guest starts,
/// so that none is lost in between.
pub(crate) fn block() {
    let set = taken();
    // SAFETY: the set is initialised; SIGCHLD must not be ignored, or no status could be collected.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
}

/// A signal that is taken for something else than the guest, and what is done then.
pub(crate) type Wish<'a> = (i32, &'a dyn Fn());

/// Waits until the guest has ended, and forwards signals to it meanwhile, but for the one of `wish`.
pub(crate) fn supervise(guest: libc::pid_t, wish: Option<Wish<'_>>) -> Outcome {
    let set = taken();
    loop {
        match collect(guest) {
            Some(Change::Ended(outcome)) => return outcome,
            Some(Change::Stopped(signal)) => {
                stop_with(guest, signal);
                continue;
            }
            None => {}
        }
        // SAFETY: a zeroed siginfo is a valid value to overwrite; the set is initialised.
        let (signal, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            (libc::sigwaitinfo(&set, &mut info), info)
        };
        if let Some((_, granted)) = wish.filter(|(wished, _)| *wished == signal) {
            granted();
        } else if signal > 0 && signal != libc::SIGCHLD && is_for_guest(signal, &info, guest) {
            send(guest, signal);
        }
    }
}

/// What happened to the guest.
enum Change {
    Ended(Outcome),
    Stopped(i32),
}

fn collect(guest: libc::pid_t) -> Option<Change> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let pid = unsafe { libc::waitpid(guest, &mut status, libc::WNOHANG | libc::WUNTRACED) };
    if pid != guest {
        return None;
    }
    if libc::WIFSTOPPED(status) {
        Some(Change::Stopped(libc::WSTOPSIG(status)))
    } else if libc::WIFSIGNALED(status) {
        Some(Change::Ended(Outcome::Killed(libc::WTERMSIG(status))))
    } else {
        Some(Change::Ended(Outcome::Exited(libc::WEXITSTATUS(status) as u8)))
    }
}

/// Whether a signal that the recorder received was meant for the guest and has not reached it already.
fn is_for_guest(signal: i32, info: &libc::siginfo_t, guest: libc::pid_t) -> bool {
    const SI_KERNEL: i32 = 0x80;
    if info.si_code == SI_KERNEL {
        // The terminal's driver signals the whole group; limits (SIGXCPU) are the recorder's own.
        // SAFETY: reads process groups.
        let same_group = unsafe { libc::getpgid(guest) == libc::getpgrp() };
        return signal != libc::SIGXCPU && !(OF_TERMINAL.contains(&signal) && same_group);
    }
    // SAFETY: si_pid is set for signals that a process sent; for others it holds some number or zero.
    let sender = unsafe { info.si_pid() };
    // A full disk quota (SIGXFSZ) names the recorder itself as sender.
    sender != std::process::id() as libc::pid_t
}

fn send(guest: libc::pid_t, signal: i32) {
    // SAFETY: the guest has not been collected, so its id is not another process's.
    unsafe {
        libc::kill(guest, signal);
    }
}

/// The guest has stopped: the recorder stops too, so that a shell sees its job stopped, and goes on with it.
fn stop_with(guest: libc::pid_t, signal: i32) {
    // SAFETY: numbers and initialised sets only. Stop signals have their default action here: nothing in this
    // program sets another, and one that was inherited as ignored leaves the recorder running, which is harmless.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::kill(libc::getpid(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        // Stopped here, until somebody continues the recorder.
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    // A shell continues the whole group, and the guest with it; `kill -CONT` of the recorder alone does not.
    let continued = pending_continue();
    for _ in 0..10 {
        if !is_stopped(guest) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    if continued {
        send(guest, libc::SIGCONT);
    }
}

/// Takes a waiting SIGCONT.
fn pending_continue() -> bool {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the set is initialised, and no information about the signal is asked for.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCONT);
        libc::sigtimedwait(&set, std::ptr::null_mut(), &now) == libc::SIGCONT
    }
}

fn is_stopped(guest: libc::pid_t) -> bool {
    let Ok(stat) = std::fs::read(format!("/proc/{guest}/stat")) else { return false };
    let state = stat.iter().rposition(|&byte| byte == b')').and_then(|at| stat.get(at + 2));
    state == Some(&b'T')
}

/// Ends this process as the guest ended.
pub(crate) fn end_as(outcome: Outcome) -> ! {
    let signal = match outcome {
        Outcome::Exited(status) => std::process::exit(i32::from(status)),
        Outcome::Killed(signal) => signal,
    };
    // SAFETY: numbers and initialised sets only. No core file of the recorder: it would pass for the guest's.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    // A signal that cannot kill this process (in a container's first process, for one): what a shell would show.
    std::process::exit(128 + signal)
}

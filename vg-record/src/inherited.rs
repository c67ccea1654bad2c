//! What this process was given by its parent and what Rust's runtime changes before `main`.
//!
//! The guest must see the signal state and the standard descriptors that `vg-record` itself was started with.
//! Rust's runtime ignores SIGPIPE and opens `/dev/null` for missing standard descriptors, so both are noted
//! earlier, in an `.init_array` function. Always holds: [`get`] returns the state before any of our code ran.
#![allow(unsafe_code, reason = "an .init_array entry and the system calls in it")]

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static CHILD_IGNORED: AtomicBool = AtomicBool::new(false);
static MASK: AtomicU64 = AtomicU64::new(0);
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Signal state and standard descriptors at the start of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inherited {
    /// SIGPIPE was ignored.
    pub pipe_ignored: bool,
    /// SIGCHLD was ignored.
    pub child_ignored: bool,
    /// Blocked signals; bit n - 1 stands for signal n.
    pub mask: u64,
    /// Closed descriptors among 0, 1 and 2; bit n stands for descriptor n.
    pub closed: u8,
}

/// What this process was started with.
pub(crate) fn get() -> Inherited {
    Inherited {
        pipe_ignored: PIPE_IGNORED.load(Relaxed),
        child_ignored: CHILD_IGNORED.load(Relaxed),
        mask: MASK.load(Relaxed),
        closed: CLOSED.load(Relaxed),
    }
}

extern "C" fn note() {
    let ignored = |signal| {
        // SAFETY: a zeroed sigaction is a valid value to overwrite; a null new action changes nothing.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut old) == 0 && old.sa_sigaction == libc::SIG_IGN
        }
    };
    PIPE_IGNORED.store(ignored(libc::SIGPIPE), Relaxed);
    CHILD_IGNORED.store(ignored(libc::SIGCHLD), Relaxed);
    let mut mask = 0u64;
    // SAFETY: the kernel writes 8 bytes (its own sigset size) to `mask`; a null new mask changes nothing. The raw
    // call because the C library hides its own two signals.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0usize, &mut mask as *mut u64, 8usize);
    }
    MASK.store(mask, Relaxed);
    let closed = (0..3).filter(|&fd| {
        // SAFETY: F_GETFD reads the descriptor's flags only.
        unsafe { libc::fcntl(fd, libc::F_GETFD) < 0 }
    });
    CLOSED.store(closed.fold(0, |bits, fd| bits | 1 << fd), Relaxed);
}

// SAFETY (link_section): the C runtime calls every entry of .init_array once, before `main`; `note` has the
// signature it expects (arguments are ignored) and uses only system calls and atomics.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn notes_what_the_parent_left() {
        // The test binary itself is the child: it prints what it inherited when asked to.
        if std::env::var_os("VG_TEST_PRINT_INHERITED").is_some() {
            println!("<{:?}>", super::get());
            return;
        }
        let me = std::env::current_exe().expect("own path");
        let script =
            "trap '' PIPE; exec \"$0\" --exact inherited::tests::notes_what_the_parent_left --nocapture <&-";
        let output = Command::new("sh")
            .args(["-c", script])
            .arg(me)
            .env("VG_TEST_PRINT_INHERITED", "1")
            .output()
            .expect("sh runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("pipe_ignored: true, child_ignored: false, mask: 0, closed: 1"), "{text}");
    }
}

//! Which system calls make, close and use descriptors, for `--track-fds`.
//!
//! What is used and what is closed is looked at before the call; what is made, behind it: the stack is taken before, so
//! that a signal's handler may be what comes next. Always holds: a call that is made again is looked at again, and is
//! told of once. Not here: the table of descriptors (`descriptors`).

use super::{Call, Outcome};
use crate::context::{Thread, gpr};
use crate::state::Engine;
use crate::sys::{AT_FDCWD, MAP_ANONYMOUS};
use crate::{descriptors, guest_mem, stacks};
use ring::record::Error;

/// A call that makes descriptors, while the kernel executes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under {
    made: Made,
    /// Of the call.
    stack: u32,
    /// Guest pc behind it.
    behind: u64,
}

/// Where a call leaves the descriptors that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// Its result.
    Result,
    /// Two at this address.
    Pair(u64),
    /// One at this address; the result is a process, 0 in the child.
    OfProcess(u64),
    /// In the control data of the `msghdr` at this address.
    Message(u64),
    /// In those of as many `mmsghdr` as the result says.
    Messages(u64),
    /// None: the thread's table is its own from here on.
    Unshared,
}

/// Arguments that are descriptors, by their names in the table of system calls.
const DESCRIPTORS: [&str; 17] = [
    "fd",
    "s",
    "sockfd",
    "fildes",
    "oldfd",
    "in_fd",
    "out_fd",
    "fd_in",
    "fd_out",
    "epfd",
    "mqdes",
    "fanotify_fd",
    "kernel_fd",
    "initrd_fd",
    "pidfd",
    "ruleset_fd",
    "mountdirfd",
];
/// Those that are directories for the path in the argument behind, if that is relative.
const DIRECTORIES: [&str; 6] = ["dfd", "olddfd", "newdfd", "from_dfd", "to_dfd", "dirfd"];

/// Whether the engine has to see a call.
pub(crate) fn is_wanted(number: usize) -> bool {
    let number = number as u64;
    let uses = |name| DESCRIPTORS.contains(&name) || DIRECTORIES.contains(&name);
    let arguments = syscall_params::arguments(number).unwrap_or_default();
    arguments.iter().any(|argument| uses(argument.name))
        || syscall_params::name(number).is_some_and(|name| MAKES.contains(&name))
}

/// Calls that make descriptors and use none, or that close them.
const MAKES: [&str; 28] = [
    "open",
    "creat",
    "socket",
    "socketpair",
    "pipe",
    "pipe2",
    "epoll_create",
    "epoll_create1",
    "eventfd",
    "eventfd2",
    "timerfd_create",
    "memfd_create",
    "memfd_secret",
    "inotify_init",
    "inotify_init1",
    "fanotify_init",
    "userfaultfd",
    "perf_event_open",
    "pidfd_open",
    "fsopen",
    "mq_open",
    "landlock_create_ruleset",
    "bpf",
    "clone",
    "clone3",
    "close",
    "close_range",
    "unshare",
];

const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_GETFL: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 1030;

/// What a call makes when it succeeds.
fn made(name: &str, a: &[u64; 6]) -> Option<Made> {
    const CLONE_FILES: u64 = 0x400;
    const CLONE_PIDFD: u64 = 0x1000;
    /// The commands of bpf(2) that return a descriptor.
    const BPF: [u64; 13] = [0, 5, 7, 13, 14, 17, 18, 19, 28, 30, 32, 33, 36];
    /// Requests that do: TIOCGPTPEER, NS_GET_USERNS, NS_GET_PARENT, KVM_CREATE_VM, KVM_CREATE_VCPU.
    const IOCTL: [u64; 5] = [0x5441, 0xb701, 0xb702, 0xae01, 0xae41];
    match name {
        "open" | "openat" | "openat2" | "creat" | "open_by_handle_at" | "open_tree" | "open_tree_attr" => (),
        "socket" | "accept" | "accept4" | "dup" | "epoll_create" | "epoll_create1" | "eventfd" => (),
        "eventfd2" | "timerfd_create" | "memfd_create" | "memfd_secret" | "inotify_init" => (),
        "inotify_init1" | "fanotify_init" | "userfaultfd" | "perf_event_open" | "pidfd_open" => (),
        "pidfd_getfd" | "fsopen" | "fsmount" | "fspick" | "mq_open" | "landlock_create_ruleset" => (),
        "signalfd" | "signalfd4" if a[0] as i32 == -1 => (),
        // A descriptor onto itself stays what it is.
        "dup2" | "dup3" if a[0] as i32 != a[1] as i32 => (),
        "fcntl" if matches!(a[1], F_DUPFD | F_DUPFD_CLOEXEC) => (),
        "bpf" if BPF.contains(&a[0]) => (),
        "ioctl" if IOCTL.contains(&a[1]) => (),
        "pipe" | "pipe2" => return Some(Made::Pair(a[0])),
        "socketpair" => return Some(Made::Pair(a[3])),
        "recvmsg" => return Some(Made::Message(a[1])),
        "recvmmsg" => return Some(Made::Messages(a[1])),
        "clone" if a[0] & CLONE_PIDFD != 0 => return Some(Made::OfProcess(a[2])),
        "clone3" if guest_mem::read_u64(a[0]).is_some_and(|flags| flags & CLONE_PIDFD != 0) => {
            return guest_mem::read_u64(a[0].wrapping_add(8)).map(Made::OfProcess);
        }
        "unshare" if a[0] & CLONE_FILES != 0 => return Some(Made::Unshared),
        _ => return None,
    }
    Some(Made::Result)
}

/// A thread is about to make a call. What is remembered is for [`after`].
pub(crate) fn before(engine: &Engine, thread: &mut Thread) -> Option<Under> {
    // At the end of the process nothing that libc does is the guest's.
    if thread.descriptors.is_none() || super::discards_output() {
        return None;
    }
    let call = Call::of(&thread.context);
    let name = syscall_params::name(call.number)?;
    let a = &call.args;
    match name {
        "close" => close(engine, thread, a[0] as i32),
        "close_range" => close_range(engine, thread, a),
        _ => {
            for (argument, at) in syscall_params::arguments(call.number).unwrap_or_default().iter().zip(0..) {
                if is_use(name, argument.name, at, a)
                    && thread.descriptors.as_ref().is_some_and(|known| !known.may_use(a[at] as i32))
                {
                    descriptors::tell_bad(engine, thread, Error::FdBadUse, a[at] as i32, name);
                }
            }
        }
    }
    let made = made(name, a)?;
    let stack = stacks::here(engine, thread);
    Some(Under { made, stack, behind: thread.context.pc })
}

/// Whether an argument of a call, with this name and index, is a descriptor that has to be open.
fn is_use(call: &str, argument: &str, index: usize, a: &[u64; 6]) -> bool {
    let number = a[index] as i32;
    let is_directory = |path: u64| number != AT_FDCWD as i32 && is_relative(path);
    match call {
        // Whoever asks whether one is open.
        "fcntl" => index == 0 && !matches!(a[1], F_GETFD | F_GETFL),
        "mmap" => argument == "fd" && a[3] & MAP_ANONYMOUS == 0,
        "signalfd" | "signalfd4" => index == 0 && number != -1,
        "execveat" => argument == "fd" && is_directory(a[1]),
        "open_by_handle_at" => argument == "mountdirfd" && number != AT_FDCWD as i32,
        _ if DIRECTORIES.contains(&argument) => a.get(index + 1).is_some_and(|path| is_directory(*path)),
        _ => DESCRIPTORS.contains(&argument),
    }
}

/// Whether a path is one for which a directory matters.
fn is_relative(path: u64) -> bool {
    let mut first = [0];
    guest_mem::read(path, &mut first) != 1 || first[0] != b'/'
}

fn close(engine: &Engine, thread: &mut Thread, number: i32) {
    let ours = [engine.shared_fd, engine.image_fd].contains(&i64::from(number));
    let stack = stacks::here(engine, thread);
    let closed = !ours && thread.descriptors.as_ref().is_some_and(|known| known.close(number, stack));
    if !closed {
        descriptors::tell_bad(engine, thread, Error::FdBadClose, number, "close");
    }
}

fn close_range(engine: &Engine, thread: &mut Thread, a: &[u64; 6]) {
    const UNSHARE: u64 = 2;
    const CLOEXEC: u64 = 4;
    let stack = stacks::here(engine, thread);
    let Some(known) = &mut thread.descriptors else { return };
    if a[2] & UNSHARE != 0 {
        known.part();
    }
    let number = |value: u64| i32::try_from(value as u32).unwrap_or(i32::MAX);
    if a[2] & CLOEXEC == 0 {
        known.close_range(number(a[0]), number(a[1]), stack);
    }
}

/// The handler of a call has ended. True when the kernel is to do it and the thread is to come back afterwards.
pub(crate) fn after(thread: &mut Thread, under: Under, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Done(result) => take(thread, &under, result),
        Outcome::Pass => {
            if let Some(known) = &mut thread.descriptors {
                known.under = Some(under);
            }
            return true;
        }
        Outcome::Resume => (),
    }
    false
}

/// A thread that was in a system call stands at `pc` with `result` in rax: behind the call, it is done.
pub(crate) fn finish(thread: &mut Thread, pc: u64, result: u64) {
    if let Some(known) = &mut thread.descriptors
        && let Some(under) = known.under.take()
        && under.behind == pc
    {
        take(thread, &under, result as i64);
    }
}

/// As [`finish`], with the state in the context.
pub(crate) fn finish_here(thread: &mut Thread) {
    let (pc, result) = (thread.context.pc, thread.context.regs[gpr::RAX]);
    finish(thread, pc, result);
}

/// Takes what a call has made.
fn take(thread: &mut Thread, under: &Under, result: i64) {
    let Some(known) = &mut thread.descriptors else { return };
    if result < 0 {
        return;
    }
    let stack = under.stack;
    let mut at = |address: u64| {
        let mut number = [0; 4];
        if guest_mem::read(address, &mut number) == 4 {
            known.opened(i32::from_le_bytes(number), stack);
        }
    };
    match under.made {
        Made::Result => known.opened(result as i32, stack),
        Made::Pair(address) => [0, 4].into_iter().for_each(|offset| at(address.wrapping_add(offset))),
        Made::OfProcess(address) => {
            if result > 0 {
                at(address);
            }
        }
        Made::Message(message) => of_message(message, &mut at),
        Made::Messages(first) => {
            // struct mmsghdr: a msghdr and a length.
            const BYTES: u64 = 64;
            (0..result.min(1024) as u64)
                .for_each(|index| of_message(first.wrapping_add(index * BYTES), &mut at));
        }
        Made::Unshared => known.part(),
    }
}

/// The addresses of descriptors in the control data of a `msghdr` (cmsg(3)).
fn of_message(message: u64, each: &mut impl FnMut(u64)) {
    const CONTROL: u64 = 32;
    const CONTROL_LENGTH: u64 = 40;
    const HEAD: u64 = 16;
    /// The kernel's limit of descriptors in one message is 253.
    const LONGEST: u64 = 4096;
    /// SOL_SOCKET in the low half, SCM_RIGHTS or SCM_PIDFD in the high one.
    const RIGHTS: u64 = 1 | 1 << 32;
    const PIDFD: u64 = 1 | 4 << 32;
    let word = |at: u64| guest_mem::read_u64(message.wrapping_add(at));
    let (Some(control), Some(length)) = (word(CONTROL), word(CONTROL_LENGTH)) else { return };
    let length = length.min(LONGEST);
    let mut at = 0;
    while at + HEAD <= length {
        let head = control.wrapping_add(at);
        let (Some(bytes), Some(kind)) =
            (guest_mem::read_u64(head), guest_mem::read_u64(head.wrapping_add(8)))
        else {
            return;
        };
        if bytes < HEAD {
            return;
        }
        if matches!(kind, RIGHTS | PIDFD) {
            let data = HEAD..bytes.min(length - at);
            data.step_by(4).for_each(|offset| each(head.wrapping_add(offset)));
        }
        at += bytes.min(length).next_multiple_of(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::nr;

    #[test]
    fn calls_that_are_looked_at() {
        for name in [
            "read",
            "openat",
            "recvmsg",
            "fcntl",
            "dup2",
            "accept4",
            "signalfd4",
            "epoll_ctl",
            "mq_timedsend",
        ] {
            let number = (0..500).find(|number| syscall_params::name(*number) == Some(name));
            assert!(number.is_some_and(|number| is_wanted(number as usize)), "{name}");
        }
        let known = |name: &&str| (0..500).any(|number| syscall_params::name(number) == Some(*name));
        assert!(MAKES.iter().all(known));
        for number in [nr::GETPID, nr::FUTEX, nr::BRK, nr::STAT, nr::EXECVE] {
            assert!(!is_wanted(number as usize), "{number}");
        }
    }

    #[test]
    fn what_is_a_use() {
        let a = |first: i64, second: u64| [first as u64, second, 0, 0, 0, 0];
        assert!(is_use("read", "fd", 0, &a(3, 0)) && is_use("read", "fd", 0, &a(-1, 0)));
        assert!(!is_use("read", "count", 2, &a(3, 0)));
        assert!(!is_use("fcntl", "fd", 0, &a(3, F_GETFD)) && is_use("fcntl", "fd", 0, &a(3, F_DUPFD)));
        // On the stack, which lies outside of the engine's zone here, too.
        let (relative, absolute) = (*b"x\0", *b"/x\0");
        assert!(!is_use("openat", "dfd", 0, &a(-100, relative.as_ptr() as u64)));
        assert!(is_use("openat", "dfd", 0, &a(5, relative.as_ptr() as u64)));
        assert!(!is_use("openat", "dfd", 0, &a(5, absolute.as_ptr() as u64)));
        assert!(!is_use("signalfd4", "fd", 0, &a(-1, 0)));
    }

    #[test]
    fn descriptors_in_control_data() {
        // A credential, which is none, and a message of this length with two descriptors.
        let found = |length: u64| {
            let control = [24, 1 | 2 << 32, 0, length, 1 | 1 << 32, 0];
            let base = control.as_ptr() as u64;
            let message = [0, 0, 0, 0, base, 48, 0];
            let mut found = alloc::vec::Vec::new();
            of_message(message.as_ptr() as u64, &mut |at| found.push(at - base));
            found
        };
        assert_eq!(found(24), [40, 44]);
        assert_eq!(found(u64::MAX), [40, 44]);
        // Shorter than its own head.
        assert!(found(8).is_empty());
    }
}

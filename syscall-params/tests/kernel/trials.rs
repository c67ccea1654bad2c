//! The calls that are made for real: harmless ones, on descriptors and processes of the test's own.
//!
//! What always holds: a trial prepares its own descriptors; they stay open, which a test's process can afford.
#![allow(unsafe_code, reason = "makes descriptors, queues and processes to try calls on")]

use std::ffi::CString;
use std::sync::Mutex;

use crate::{Arena, Trial};

fn trial(
    title: &'static str,
    number: i64,
    prepare: impl FnMut(&mut Arena) -> Option<Vec<u64>> + 'static,
) -> Trial {
    Trial { title, number, prepare: Box::new(prepare), excused: None, error: 0 }
}

fn excused(mut trial: Trial, bytes: u64, reason: &'static str) -> Trial {
    trial.excused = Some((bytes, reason));
    trial
}

fn failing(mut trial: Trial, error: i32) -> Trial {
    trial.error = -i64::from(error);
    trial
}

/// A descriptor, or `None` for an error.
fn descriptor(number: i32) -> Option<u64> {
    u64::try_from(number).ok()
}

fn open(path: &str, flags: i32) -> Option<u64> {
    let path = CString::new(path).ok()?;
    // SAFETY: a string that lives through the call.
    descriptor(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) })
}

/// An anonymous file with some bytes.
fn file() -> Option<u64> {
    // SAFETY: strings that live through the calls.
    unsafe {
        let file = libc::memfd_create(c"trial".as_ptr(), libc::MFD_CLOEXEC);
        libc::pwrite(file, b"abcdefghijklmnopqrstuvwxyz".as_ptr().cast(), 26, 0);
        descriptor(file)
    }
}

/// Both ends of a pipe; bytes are in it.
fn pipe() -> Option<(u64, u64)> {
    let mut ends = [0; 2];
    // SAFETY: an array of two, a string that lives through the call.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return None;
        }
        libc::write(ends[1], b"hello, pipe".as_ptr().cast(), 11);
    }
    Some((ends[0] as u64, ends[1] as u64))
}

/// Two connected sockets; the first can receive a message of 11 bytes.
fn sockets(kind: i32) -> Option<(u64, u64)> {
    let mut ends = [0; 2];
    // SAFETY: an array of two, a string that lives through the call.
    unsafe {
        if libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) != 0 {
            return None;
        }
        libc::write(ends[1], b"hello, sock".as_ptr().cast(), 11);
    }
    Some((ends[0] as u64, ends[1] as u64))
}

/// A listening socket on the loopback interface, and one that is connected to it.
fn listening() -> Option<(u64, u64)> {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::IntoRawFd;
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let stream = TcpStream::connect(listener.local_addr().ok()?).ok()?;
    Some((listener.into_raw_fd() as u64, stream.into_raw_fd() as u64))
}

/// A socket for datagrams with one of 11 bytes in it.
fn datagram() -> Option<u64> {
    use std::net::UdpSocket;
    use std::os::fd::IntoRawFd;
    let receiver = UdpSocket::bind("127.0.0.1:0").ok()?;
    let sender = UdpSocket::bind("127.0.0.1:0").ok()?;
    sender.send_to(b"hello, gram", receiver.local_addr().ok()?).ok()?;
    Some(receiver.into_raw_fd() as u64)
}

/// A child that has ended and waits to be collected.
fn child() -> Option<u64> {
    // SAFETY: the child makes only system calls.
    let child = unsafe { libc::fork() };
    match child {
        -1 => None,
        // SAFETY: as above.
        0 => unsafe { libc::_exit(3) },
        child => Some(child as u64),
    }
}

/// Objects that outlive the process: the call that removes each, and its number.
static MADE: Mutex<Vec<(i64, i32)>> = Mutex::new(Vec::new());

fn made(call: i64, number: i32) {
    if number >= 0 {
        MADE.lock().unwrap().push((call, number));
    }
}

/// Removes what would outlive the process, also when the test fails.
pub(crate) struct Objects;

impl Drop for Objects {
    fn drop(&mut self) {
        for (call, number) in MADE.lock().unwrap().drain(..) {
            // The set's command is one argument further on.
            let command = if call == libc::SYS_semctl { [0, libc::IPC_RMID] } else { [libc::IPC_RMID, 0] };
            // SAFETY: takes numbers only, of objects that this process has made.
            unsafe { libc::syscall(call, number, command[0], command[1], 0) };
        }
    }
}

const HERE: u64 = libc::AT_FDCWD as i64 as u64;

pub(crate) fn all() -> Vec<Trial> {
    let mut trials = files();
    trials.extend(waiting());
    trials.extend(sockets_and_queues());
    trials.extend(processes());
    trials.extend(times());
    trials.extend(requests());
    trials.extend(interrupted());
    trials.extend(others());
    trials
}

/// Lets a signal interrupt this thread's next call, after 20 ms.
fn interrupt() -> Option<()> {
    extern "C" fn nothing(_: i32) {}
    let mut event = [0_u32; 16];
    // SAFETY: structures that live through the calls; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut());
        (event[2], event[3]) = (libc::SIGUSR2 as u32, libc::SIGEV_THREAD_ID as u32);
        event[4] = libc::gettid() as u32;
        let mut timer = 0_i32;
        let made = libc::syscall(libc::SYS_timer_create, 1, event.as_ptr(), &raw mut timer);
        let value = [0_u64, 0, 0, 20_000_000];
        let set = libc::syscall(libc::SYS_timer_settime, timer, 0, value.as_ptr(), 0);
        (made == 0 && set == 0).then_some(())
    }
}

/// Calls that a signal interrupts: what is written all the same.
fn interrupted() -> Vec<Trial> {
    vec![
        failing(
            trial("nanosleep, interrupted", libc::SYS_nanosleep, |arena| {
                interrupt()?;
                Some(vec![arena.words(&[5, 0]), arena.room(16)])
            }),
            libc::EINTR,
        ),
        failing(
            trial("clock_nanosleep, interrupted", libc::SYS_clock_nanosleep, |arena| {
                interrupt()?;
                Some(vec![1, 0, arena.words(&[5, 0]), arena.room(16)])
            }),
            libc::EINTR,
        ),
        failing(
            trial("poll, interrupted", libc::SYS_poll, |arena| {
                interrupt()?;
                let entry = arena.room(8);
                arena.write(entry, &[0xff, 0xff, 0xff, 0xff, 1, 0]);
                Some(vec![entry, 1, 5000])
            }),
            libc::EINTR,
        ),
        failing(
            trial("ppoll, interrupted", libc::SYS_ppoll, |arena| {
                interrupt()?;
                Some(vec![0, 0, arena.words(&[5, 0]), 0, 8])
            }),
            libc::EINTR,
        ),
        failing(
            trial("select, interrupted", libc::SYS_select, |arena| {
                interrupt()?;
                Some(vec![64, arena.words(&[0]), 0, 0, arena.words(&[5, 0])])
            }),
            libc::EINTR,
        ),
    ]
}

/// A child that has stopped for its tracer, this thread.
fn traced() -> Option<u64> {
    // SAFETY: the child makes only system calls; the parent waits for it to stop.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::_exit(0);
        }
        let mut status = 0;
        let waited = libc::waitpid(child, &raw mut status, 0);
        // It ends with its tracer at the latest.
        libc::ptrace(libc::PTRACE_SETOPTIONS, child, 0, libc::PTRACE_O_EXITKILL);
        (child > 0 && waited == child).then_some(child as u64)
    }
}

/// Tracing, keys, and asynchronous reading.
fn others() -> Vec<Trial> {
    let ptrace = |title, request: u64, size: usize| {
        trial(title, libc::SYS_ptrace, move |arena: &mut Arena| {
            Some(vec![request, traced()?, 0, arena.room(size)])
        })
    };
    vec![
        ptrace("ptrace PTRACE_GETREGS", 12, 216),
        ptrace("ptrace PTRACE_GETFPREGS", 14, 512),
        ptrace("ptrace PTRACE_GETEVENTMSG", 0x4201, 8),
        ptrace("ptrace PTRACE_GETSIGINFO", 0x4202, 128),
        trial("ptrace PTRACE_GETREGSET", libc::SYS_ptrace, |arena| {
            let room = arena.room(304);
            Some(vec![0x4204, traced()?, 1, arena.words(&[room, 304])])
        }),
        trial("ptrace PTRACE_GETSIGMASK", libc::SYS_ptrace, |arena| {
            Some(vec![0x420a, traced()?, 8, arena.room(8)])
        }),
        trial("ptrace PTRACE_GET_SYSCALL_INFO", libc::SYS_ptrace, |arena| {
            Some(vec![0x420e, traced()?, 88, arena.room(88)])
        }),
        trial("keyctl KEYCTL_DESCRIBE", libc::SYS_keyctl, |arena| {
            Some(vec![6, -4_i64 as u64 & 0xffff_ffff, arena.room(256), 256])
        }),
        trial("io_getevents", libc::SYS_io_getevents, |arena| {
            let mut context = 0_u64;
            let buffer = arena.room(40);
            // struct iocb: PREAD of 40 bytes, of which the file has 26.
            let file = file()?;
            let request = arena.words(&[7, 0, file << 32, buffer, 40, 0, 0, 0]);
            let requests = [request];
            // SAFETY: numbers that live through the calls; the buffer is in the arena.
            let submitted = unsafe {
                libc::syscall(libc::SYS_io_setup, 4, &raw mut context);
                libc::syscall(libc::SYS_io_submit, context, 1, requests.as_ptr())
            };
            (submitted == 1).then_some(())?;
            // It is done: what it read is not new to this call, so it counts as an input.
            arena.write(buffer, b"abcdefghijklmnopqrstuvwxyz");
            Some(vec![context, 1, 4, arena.room(128), 0])
        }),
    ]
}

fn files() -> Vec<Trial> {
    vec![
        trial("read", libc::SYS_read, |arena| Some(vec![file()?, arena.room(100), 100])),
        trial("read at the end", libc::SYS_pread64, |arena| Some(vec![file()?, arena.room(100), 100, 26])),
        failing(
            trial("read fails", libc::SYS_read, |arena| Some(vec![9999, arena.room(100), 100])),
            libc::EBADF,
        ),
        trial("pread64", libc::SYS_pread64, |arena| Some(vec![file()?, arena.room(10), 10, 3])),
        trial("readv", libc::SYS_readv, |arena| {
            let (first, second, third) = (arena.room(10), arena.room(30), arena.room(5));
            Some(vec![file()?, arena.words(&[first, 10, second, 30, third, 5]), 3])
        }),
        trial("preadv", libc::SYS_preadv, |arena| {
            let (first, second) = (arena.room(10), arena.room(30));
            Some(vec![file()?, arena.words(&[first, 10, second, 30]), 2, 2])
        }),
        trial("preadv2", libc::SYS_preadv2, |arena| {
            let first = arena.room(10);
            Some(vec![file()?, arena.words(&[first, 10]), 1, 2, 0, 0])
        }),
        trial("stat", libc::SYS_stat, |arena| Some(vec![arena.text("/proc/self/exe"), arena.room(144)])),
        trial("lstat", libc::SYS_lstat, |arena| Some(vec![arena.text("/proc/self/exe"), arena.room(144)])),
        trial("fstat", libc::SYS_fstat, |arena| Some(vec![file()?, arena.room(144)])),
        trial("newfstatat", libc::SYS_newfstatat, |arena| {
            Some(vec![HERE, arena.text("/"), arena.room(144), 0])
        }),
        failing(
            trial("stat fails", libc::SYS_stat, |arena| Some(vec![arena.text("/no/such"), arena.room(144)])),
            libc::ENOENT,
        ),
        trial("statx", libc::SYS_statx, |arena| Some(vec![HERE, arena.text("/"), 0, 0x7ff, arena.room(256)])),
        trial("statfs", libc::SYS_statfs, |arena| Some(vec![arena.text("/proc"), arena.room(120)])),
        trial("fstatfs", libc::SYS_fstatfs, |arena| Some(vec![file()?, arena.room(120)])),
        trial("getcwd", libc::SYS_getcwd, |arena| Some(vec![arena.room(4096), 4096])),
        trial("readlink", libc::SYS_readlink, |arena| {
            Some(vec![arena.text("/proc/self/exe"), arena.room(4096), 4096])
        }),
        trial("readlinkat", libc::SYS_readlinkat, |arena| {
            Some(vec![HERE, arena.text("/proc/self/exe"), arena.room(8), 8])
        }),
        excused(
            trial("getdents64", libc::SYS_getdents64, |arena| {
                Some(vec![open("/proc/self", libc::O_DIRECTORY)?, arena.room(4096), 4096])
            }),
            7 * 128,
            "entries are aligned to 8 bytes; what fills them up is not written",
        ),
        excused(
            trial("getdents", libc::SYS_getdents, |arena| {
                Some(vec![open("/proc/self", libc::O_DIRECTORY)?, arena.room(4096), 4096])
            }),
            7 * 128,
            "entries are aligned to 8 bytes; what fills them up is not written",
        ),
        trial("pipe", libc::SYS_pipe, |arena| Some(vec![arena.room(8)])),
        trial("pipe2", libc::SYS_pipe2, |arena| Some(vec![arena.room(8), 0])),
        trial("sendfile", libc::SYS_sendfile, |arena| Some(vec![pipe()?.1, file()?, arena.words(&[1]), 4])),
        trial("splice", libc::SYS_splice, |arena| Some(vec![file()?, arena.words(&[1]), pipe()?.1, 0, 4, 0])),
        trial("copy_file_range", libc::SYS_copy_file_range, |arena| {
            Some(vec![file()?, arena.words(&[1]), file()?, arena.words(&[30]), 4, 0])
        }),
        trial("mincore", libc::SYS_mincore, |arena| {
            let page = arena.page();
            Some(vec![page & !4095, 8192, arena.room(2)])
        }),
        trial("getrandom", libc::SYS_getrandom, |arena| Some(vec![arena.room(64), 64, 0])),
        trial("name_to_handle_at", libc::SYS_name_to_handle_at, |arena| {
            let handle = arena.room(8 + 128);
            arena.write(handle, &128_u32.to_le_bytes());
            Some(vec![HERE, arena.text("/"), handle, arena.room(4), 0])
        }),
        failing(
            trial("name_to_handle_at, too small", libc::SYS_name_to_handle_at, |arena| {
                let handle = arena.room(8);
                arena.write(handle, &0_u32.to_le_bytes());
                Some(vec![HERE, arena.text("/"), handle, arena.room(4), 0])
            }),
            libc::EOVERFLOW,
        ),
        trial("getxattr", libc::SYS_fgetxattr, |arena| {
            let file = file()?;
            // SAFETY: strings that live through the call.
            let set = unsafe {
                libc::fsetxattr(file as i32, c"user.trial".as_ptr(), b"value".as_ptr().cast(), 5, 0)
            };
            (set == 0).then_some(())?;
            Some(vec![file, arena.text("user.trial"), arena.room(64), 64])
        }),
        trial("flistxattr", libc::SYS_flistxattr, |arena| Some(vec![file()?, arena.room(64), 64])),
        trial("statmount", 457, |arena| {
            let request = arena.words(&[24, mount()?, 0x3f]);
            Some(vec![request, arena.room(4096), 4096, 0])
        }),
        trial("listmount", 458, |arena| {
            let request = arena.words(&[24, u64::MAX, 0]);
            Some(vec![request, arena.room(512), 64, 0])
        }),
        trial("cachestat", 451, |arena| Some(vec![file()?, arena.words(&[0, 0]), arena.room(40), 0])),
        trial("fcntl F_GETLK", libc::SYS_fcntl, |arena| {
            let lock = arena.room(32);
            arena.write(lock, &[1, 0, 0, 0]);
            arena.write(lock + 8, &[0; 16]);
            Some(vec![file()?, libc::F_GETLK as u64, lock])
        }),
        trial("fcntl F_GETOWN_EX", libc::SYS_fcntl, |arena| Some(vec![pipe()?.0, 16, arena.room(8)])),
        trial("fcntl F_GET_RW_HINT", libc::SYS_fcntl, |arena| Some(vec![file()?, 1035, arena.room(8)])),
    ]
}

/// The number of the root's mount, by statx.
fn mount() -> Option<u64> {
    // SAFETY: a string and a structure that live through the call; the structure may be all zero.
    unsafe {
        let mut stat: libc::statx = std::mem::zeroed();
        const UNIQUE: u32 = 0x4000;
        let result = libc::statx(libc::AT_FDCWD, c"/".as_ptr(), 0, UNIQUE, &mut stat);
        (result == 0 && stat.stx_mask & UNIQUE != 0).then_some(stat.stx_mnt_id)
    }
}

fn waiting() -> Vec<Trial> {
    /// Descriptors in two entries of `struct pollfd`, the second of which is skipped.
    fn entries(arena: &mut Arena) -> Option<u64> {
        let at = arena.room(16);
        let descriptor = pipe()?.0 as u32;
        arena.write(at, &descriptor.to_le_bytes());
        arena.write(at + 4, &[1, 0]);
        arena.write(at + 8, &[0xff; 4]);
        arena.write(at + 12, &[1, 0]);
        Some(at)
    }
    /// A set with one descriptor below 1024 in it; its number and the set.
    fn set(arena: &mut Arena) -> Option<(u64, u64)> {
        let descriptor = pipe()?.0;
        let mut bytes = [0; 128];
        // Bits behind the highest descriptor are not looked at, but cleared to the end of the word.
        let byte = descriptor as usize / 8;
        bytes.get_mut(byte..)?.fill(0xff);
        *bytes.get_mut(byte)? = 1 << (descriptor % 8);
        let at = arena.room(128);
        arena.write(at, &bytes);
        Some((descriptor, at))
    }
    /// An epoll descriptor on which one event waits.
    fn epoll() -> Option<u64> {
        // SAFETY: a structure that lives through the call.
        unsafe {
            let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            let mut event = libc::epoll_event { events: 1, u64: 0x1234_5678_9abc_def0 };
            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, pipe()?.0 as i32, &mut event);
            descriptor(epoll)
        }
    }
    vec![
        trial("poll", libc::SYS_poll, |arena| Some(vec![entries(arena)?, 2, 0])),
        trial("ppoll", libc::SYS_ppoll, |arena| Some(vec![entries(arena)?, 2, arena.words(&[5, 0]), 0, 8])),
        trial("select", libc::SYS_select, |arena| {
            let (descriptor, set) = set(arena)?;
            Some(vec![descriptor + 1, set, 0, 0, arena.words(&[5, 0])])
        }),
        trial("pselect6", libc::SYS_pselect6, |arena| {
            let (descriptor, set) = set(arena)?;
            Some(vec![descriptor + 1, set, 0, 0, arena.words(&[5, 0]), 0])
        }),
        trial("epoll_wait", libc::SYS_epoll_wait, |arena| Some(vec![epoll()?, arena.room(48), 4, 0])),
        trial("epoll_pwait", libc::SYS_epoll_pwait, |arena| Some(vec![epoll()?, arena.room(48), 4, 0, 0, 8])),
        trial("epoll_pwait2", 441, |arena| {
            Some(vec![epoll()?, arena.room(48), 4, arena.words(&[0, 0]), 0, 8])
        }),
    ]
}

fn sockets_and_queues() -> Vec<Trial> {
    /// A message header with one buffer, and what is asked of the other end.
    fn header(arena: &mut Arena, name: u64, control: u64) -> u64 {
        let buffer = arena.room(64);
        let vector = arena.words(&[buffer, 4, buffer + 16, 40]);
        let at = arena.room(64);
        let mut bytes = Vec::new();
        for word in
            [name, if name == 0 { 0 } else { 64 }, vector, 2, control, if control == 0 { 0 } else { 64 }]
        {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        arena.write(at, &bytes);
        at
    }
    fn queue() -> Option<u64> {
        // SAFETY: makes a new queue.
        let queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        made(libc::SYS_msgctl, queue);
        let message: [u64; 2] = [7, u64::from_le_bytes(*b"message.")];
        // SAFETY: a type and eight bytes.
        let sent = unsafe { libc::msgsnd(queue, message.as_ptr().cast(), 8, 0) };
        (sent == 0).then_some(queue as u64)
    }
    vec![
        trial("socketpair", libc::SYS_socketpair, |arena| Some(vec![1, 1, 0, arena.room(8)])),
        trial("getsockname", libc::SYS_getsockname, |arena| {
            Some(vec![listening()?.0, arena.room(64), arena.put(&64_u32.to_le_bytes())])
        }),
        trial("getsockname, too small", libc::SYS_getsockname, |arena| {
            Some(vec![listening()?.0, arena.room(64), arena.put(&6_u32.to_le_bytes())])
        }),
        trial("getpeername", libc::SYS_getpeername, |arena| {
            Some(vec![listening()?.1, arena.room(64), arena.put(&64_u32.to_le_bytes())])
        }),
        trial("accept", libc::SYS_accept, |arena| {
            Some(vec![listening()?.0, arena.room(64), arena.put(&64_u32.to_le_bytes())])
        }),
        trial("accept4", libc::SYS_accept4, |arena| {
            Some(vec![listening()?.0, arena.room(64), arena.put(&4_u32.to_le_bytes()), 0])
        }),
        trial("recvfrom", libc::SYS_recvfrom, |arena| {
            Some(vec![datagram()?, arena.room(64), 64, 0, arena.room(64), arena.put(&64_u32.to_le_bytes())])
        }),
        trial("recvfrom, shortened", libc::SYS_recvfrom, |arena| {
            Some(vec![datagram()?, arena.room(64), 4, libc::MSG_TRUNC as u64, 0, 0])
        }),
        trial("recvmsg", libc::SYS_recvmsg, |arena| {
            let name = arena.room(64);
            let header = header(arena, name, 0);
            Some(vec![datagram()?, header, 0])
        }),
        trial("recvmsg, control", libc::SYS_recvmsg, |arena| {
            let (receiver, _) = sockets(libc::SOCK_DGRAM)?;
            let on = 1_i32;
            // SAFETY: a number that lives through the call.
            unsafe { libc::setsockopt(receiver as i32, 1, libc::SO_TIMESTAMP, (&raw const on).cast(), 4) };
            let control = arena.room(64);
            Some(vec![receiver, header(arena, 0, control), 0])
        }),
        trial("recvmmsg", libc::SYS_recvmmsg, |arena| {
            let name = arena.room(64);
            let header = header(arena, name, 0);
            Some(vec![datagram()?, header, 1, 0, 0])
        }),
        trial("sendmmsg", libc::SYS_sendmmsg, |arena| {
            let (_, sender) = sockets(libc::SOCK_DGRAM)?;
            let buffer = arena.put(b"some bytes");
            let vector = arena.words(&[buffer, 10]);
            let at = arena.room(64);
            let words: Vec<u8> =
                [0, 0, vector, 1, 0, 0, 0].iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
            arena.write(at, &words);
            Some(vec![sender, at, 1, 0])
        }),
        trial("getsockopt", libc::SYS_getsockopt, |arena| {
            Some(vec![
                sockets(1)?.0,
                1,
                libc::SO_TYPE as u64,
                arena.room(16),
                arena.put(&16_u32.to_le_bytes()),
            ])
        }),
        trial("getsockopt, credentials", libc::SYS_getsockopt, |arena| {
            Some(vec![
                sockets(1)?.0,
                1,
                libc::SO_PEERCRED as u64,
                arena.room(16),
                arena.put(&12_u32.to_le_bytes()),
            ])
        }),
        trial("msgrcv", libc::SYS_msgrcv, |arena| Some(vec![queue()?, arena.room(72), 64, 0, 0])),
        trial("msgctl IPC_STAT", libc::SYS_msgctl, |arena| Some(vec![queue()?, 2, arena.room(120)])),
        trial("msgctl IPC_INFO", libc::SYS_msgctl, |arena| Some(vec![0, 3, arena.room(32)])),
        trial("shmctl IPC_STAT", libc::SYS_shmctl, |arena| {
            // SAFETY: a new segment, of one page.
            let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) };
            made(libc::SYS_shmctl, segment);
            Some(vec![descriptor(segment)?, 2, arena.room(112)])
        }),
        trial("shmctl IPC_INFO", libc::SYS_shmctl, |arena| Some(vec![0, 3, arena.room(72)])),
        trial("shmctl SHM_INFO", libc::SYS_shmctl, |arena| Some(vec![0, 14, arena.room(48)])),
        trial("semctl IPC_STAT", libc::SYS_semctl, |arena| Some(vec![semaphores()?, 0, 2, arena.room(104)])),
        trial("semctl GETALL", libc::SYS_semctl, |arena| Some(vec![semaphores()?, 0, 13, arena.room(4)])),
        trial("semctl IPC_INFO", libc::SYS_semctl, |arena| Some(vec![0, 0, 3, arena.room(40)])),
        trial("mq_getsetattr", libc::SYS_mq_getsetattr, |arena| Some(vec![messages()?, 0, arena.room(64)])),
        trial("mq_timedreceive", libc::SYS_mq_timedreceive, |arena| {
            Some(vec![messages()?, arena.room(64), 64, arena.room(4), 0])
        }),
    ]
}

/// A set of two semaphores.
fn semaphores() -> Option<u64> {
    // SAFETY: makes a new set.
    let set = unsafe { libc::semget(libc::IPC_PRIVATE, 2, 0o600) };
    made(libc::SYS_semctl, set);
    descriptor(set)
}

/// A message queue that has no name any more, with a message of five bytes in it.
fn messages() -> Option<u64> {
    // SAFETY: strings and a structure that live through the calls; the structure may be all zero.
    unsafe {
        let name = CString::new(format!("/syscall-params-{}", libc::getpid())).ok()?;
        let mut attributes: libc::mq_attr = std::mem::zeroed();
        (attributes.mq_maxmsg, attributes.mq_msgsize) = (2, 64);
        let queue = libc::mq_open(name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600, &raw mut attributes);
        libc::mq_unlink(name.as_ptr());
        libc::mq_send(queue, c"bytes".as_ptr(), 5, 3);
        descriptor(queue)
    }
}

fn processes() -> Vec<Trial> {
    vec![
        trial("uname", libc::SYS_uname, |arena| Some(vec![arena.room(390)])),
        trial("getrlimit", libc::SYS_getrlimit, |arena| Some(vec![3, arena.room(16)])),
        trial("prlimit64", libc::SYS_prlimit64, |arena| Some(vec![0, 3, 0, arena.room(16)])),
        trial("getrusage", libc::SYS_getrusage, |arena| Some(vec![0, arena.room(144)])),
        trial("sysinfo", libc::SYS_sysinfo, |arena| Some(vec![arena.room(112)])),
        trial("getgroups", libc::SYS_getgroups, |arena| Some(vec![64, arena.room(256)])),
        trial("getresuid", libc::SYS_getresuid, |arena| {
            Some(vec![arena.room(4), arena.room(4), arena.room(4)])
        }),
        trial("getresgid", libc::SYS_getresgid, |arena| {
            Some(vec![arena.room(4), arena.room(4), arena.room(4)])
        }),
        trial("capget", libc::SYS_capget, |arena| Some(vec![arena.words(&[0x2008_0522]), arena.room(24)])),
        trial("capget, first version", libc::SYS_capget, |arena| {
            Some(vec![arena.words(&[0x1998_0330]), arena.room(24)])
        }),
        failing(
            trial("capget, no version", libc::SYS_capget, |arena| {
                Some(vec![arena.words(&[0]), arena.room(24)])
            }),
            libc::EINVAL,
        ),
        trial("rt_sigaction", libc::SYS_rt_sigaction, |arena| Some(vec![10, 0, arena.room(32), 8])),
        trial("rt_sigprocmask", libc::SYS_rt_sigprocmask, |arena| Some(vec![0, 0, arena.room(8), 8])),
        trial("rt_sigpending", libc::SYS_rt_sigpending, |arena| Some(vec![arena.room(8), 8])),
        trial("sigaltstack", libc::SYS_sigaltstack, |arena| Some(vec![0, arena.room(24)])),
        trial("sched_getparam", libc::SYS_sched_getparam, |arena| Some(vec![0, arena.room(4)])),
        trial("sched_rr_get_interval", libc::SYS_sched_rr_get_interval, |arena| {
            Some(vec![0, arena.room(16)])
        }),
        trial("sched_getaffinity", libc::SYS_sched_getaffinity, |arena| Some(vec![0, 128, arena.room(128)])),
        trial("sched_getattr", libc::SYS_sched_getattr, |arena| Some(vec![0, arena.room(56), 56, 0])),
        trial("sched_getattr, smaller", libc::SYS_sched_getattr, |arena| {
            Some(vec![0, arena.room(48), 48, 0])
        }),
        trial("getcpu", libc::SYS_getcpu, |arena| Some(vec![arena.room(4), arena.room(4), 0])),
        trial("get_robust_list", libc::SYS_get_robust_list, |arena| {
            Some(vec![0, arena.room(8), arena.room(8)])
        }),
        trial("get_mempolicy", libc::SYS_get_mempolicy, |arena| {
            Some(vec![arena.room(4), arena.room(128), 1024, 0, 0])
        }),
        trial("process_vm_readv", libc::SYS_process_vm_readv, |arena| {
            let local = arena.room(16);
            let local = arena.words(&[local, 16]);
            let remote = arena.put(b"sixteen bytes...");
            let remote = arena.words(&[remote, 16]);
            Some(vec![u64::from(std::process::id()), local, 1, remote, 1, 0])
        }),
        trial("prctl PR_GET_NAME", libc::SYS_prctl, |arena| Some(vec![16, arena.room(16)])),
        trial("prctl PR_GET_PDEATHSIG", libc::SYS_prctl, |arena| Some(vec![2, arena.room(4)])),
        trial("prctl PR_GET_TSC", libc::SYS_prctl, |arena| Some(vec![25, arena.room(4)])),
        trial("prctl PR_GET_CHILD_SUBREAPER", libc::SYS_prctl, |arena| Some(vec![37, arena.room(4)])),
        trial("arch_prctl ARCH_GET_FS", libc::SYS_arch_prctl, |arena| Some(vec![0x1003, arena.room(8)])),
        trial("wait4", libc::SYS_wait4, |arena| Some(vec![child()?, arena.room(4), 0, arena.room(144)])),
        trial("waitid", libc::SYS_waitid, |arena| {
            Some(vec![1, child()?, arena.room(128), 4, arena.room(144)])
        }),
        trial("io_uring_setup", libc::SYS_io_uring_setup, |arena| {
            let parameters = arena.room(120);
            arena.write(parameters, &[0; 120]);
            Some(vec![4, parameters])
        }),
        trial("io_setup", libc::SYS_io_setup, |arena| {
            let context = arena.words(&[0]);
            Some(vec![4, context])
        }),
        trial("lsm_list_modules", 461, |arena| {
            Some(vec![arena.room(64), arena.put(&64_u32.to_le_bytes()), 0])
        }),
        trial("seccomp SECCOMP_GET_NOTIF_SIZES", libc::SYS_seccomp, |arena| Some(vec![3, 0, arena.room(6)])),
        trial("modify_ldt", libc::SYS_modify_ldt, |arena| Some(vec![2, arena.room(40), 40])),
    ]
}

fn times() -> Vec<Trial> {
    /// A timer that does nothing.
    fn timer() -> Option<u64> {
        let mut timer = 0_i32;
        let event: [u32; 16] = {
            let mut event = [0; 16];
            event[3] = libc::SIGEV_NONE as u32;
            event
        };
        // SAFETY: numbers that live through the call.
        let result = unsafe { libc::syscall(libc::SYS_timer_create, 1, event.as_ptr(), &raw mut timer) };
        (result == 0).then_some(timer as u64)
    }
    fn timer_descriptor() -> Option<u64> {
        // SAFETY: makes a descriptor.
        descriptor(unsafe { libc::timerfd_create(1, libc::TFD_CLOEXEC) })
    }
    vec![
        trial("gettimeofday", libc::SYS_gettimeofday, |arena| Some(vec![arena.room(16), arena.room(8)])),
        trial("time", libc::SYS_time, |arena| Some(vec![arena.room(8)])),
        trial("times", libc::SYS_times, |arena| Some(vec![arena.room(32)])),
        trial("clock_gettime", libc::SYS_clock_gettime, |arena| Some(vec![1, arena.room(16)])),
        trial("clock_getres", libc::SYS_clock_getres, |arena| Some(vec![1, arena.room(16)])),
        trial("nanosleep", libc::SYS_nanosleep, |arena| Some(vec![arena.words(&[0, 1]), arena.room(16)])),
        trial("getitimer", libc::SYS_getitimer, |arena| Some(vec![1, arena.room(32)])),
        trial("setitimer", libc::SYS_setitimer, |arena| {
            let value = arena.words(&[0; 4]);
            Some(vec![1, value, arena.room(32)])
        }),
        trial("adjtimex", libc::SYS_adjtimex, |arena| {
            let time = arena.room(208);
            arena.write(time, &[0; 4]);
            Some(vec![time])
        }),
        trial("clock_adjtime", libc::SYS_clock_adjtime, |arena| {
            let time = arena.room(208);
            arena.write(time, &[0; 4]);
            Some(vec![0, time])
        }),
        trial("timer_create", libc::SYS_timer_create, |arena| {
            let mut event = [0; 64];
            event[12] = libc::SIGEV_NONE as u8;
            let event = arena.put(&event);
            Some(vec![1, event, arena.room(4)])
        }),
        trial("timer_gettime", libc::SYS_timer_gettime, |arena| Some(vec![timer()?, arena.room(32)])),
        trial("timer_settime", libc::SYS_timer_settime, |arena| {
            let value = arena.words(&[0; 4]);
            Some(vec![timer()?, 0, value, arena.room(32)])
        }),
        trial("timerfd_gettime", libc::SYS_timerfd_gettime, |arena| {
            Some(vec![timer_descriptor()?, arena.room(32)])
        }),
        trial("timerfd_settime", libc::SYS_timerfd_settime, |arena| {
            let value = arena.words(&[0; 4]);
            Some(vec![timer_descriptor()?, 0, value, arena.room(32)])
        }),
    ]
}

fn requests() -> Vec<Trial> {
    fn ioctl(
        title: &'static str,
        request: u64,
        descriptor: impl Fn() -> Option<u64> + 'static,
        size: usize,
    ) -> Trial {
        trial(title, libc::SYS_ioctl, move |arena| Some(vec![descriptor()?, request, arena.room(size)]))
    }
    fn terminal() -> Option<u64> {
        open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY)
    }
    fn socket() -> Option<u64> {
        // SAFETY: makes a descriptor.
        descriptor(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })
    }
    let interface = |title, request| {
        trial(title, libc::SYS_ioctl, move |arena: &mut Arena| {
            let at = arena.room(40);
            arena.write(at, b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
            Some(vec![socket()?, request, at])
        })
    };
    vec![
        ioctl("ioctl FIONREAD", 0x541b, || Some(pipe()?.0), 4),
        ioctl("ioctl TCGETS", 0x5401, terminal, 36),
        ioctl("ioctl TIOCGWINSZ", 0x5413, terminal, 8),
        ioctl("ioctl TIOCGPTN", 0x8004_5430, terminal, 4),
        ioctl("ioctl TIOCGETD", 0x5424, terminal, 4),
        ioctl("ioctl TIOCGPTLCK", 0x8004_5439, terminal, 4),
        ioctl("ioctl FIGETBSZ", 2, || open("/proc/self/exe", libc::O_RDONLY), 4),
        excused(
            interface("ioctl SIOCGIFFLAGS", 0x8913),
            22,
            "one field is set; the rest is copied back as it was",
        ),
        excused(
            interface("ioctl SIOCGIFINDEX", 0x8933),
            20,
            "one field is set; the rest is copied back as it was",
        ),
        excused(
            interface("ioctl SIOCGIFADDR", 0x8915),
            8,
            "one field is set; the rest is copied back as it was",
        ),
        trial("ioctl SIOCGIFCONF", libc::SYS_ioctl, |arena| {
            let buffer = arena.room(400);
            let at = arena.room(16);
            arena.write(at, &400_u32.to_le_bytes());
            arena.write(at + 8, &buffer.to_le_bytes());
            Some(vec![socket()?, 0x8912, at])
        }),
        ioctl("ioctl NS_GET_OWNER_UID", 0xb704, || open("/proc/self/ns/user", libc::O_RDONLY), 4),
        ioctl("ioctl RNDGETENTCNT", 0x8004_5200, || open("/dev/urandom", libc::O_RDONLY), 4),
        ioctl("ioctl PERF-like generic", 0x8008_6601, || open("/tmp", libc::O_RDONLY), 4),
    ]
}

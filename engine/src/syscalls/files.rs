//! Descriptors and /proc: the engine's two descriptors are hidden, and the guest sees itself under /proc/self.
//!
//! # Safety
//! `unsafe` here makes system calls with guest pointers, which the kernel checks, or with engine buffers.
#![allow(unsafe_code, reason = "system calls on guest pointers")]

use super::{Call, Outcome};
use crate::context::Thread;
use crate::limits::Resource;
use crate::state::Engine;
use crate::sys::{self, errno, nr};
use crate::{guest_mem, proc_maps};
use alloc::vec::Vec;

fn is_ours(engine: &Engine, fd: u64) -> bool {
    let fd = i64::from(fd as i32);
    fd == engine.shared_fd || fd == engine.image_fd
}

/// A path's part behind /proc/self/ (or /proc/<own pid>/, /proc/thread-self/), if it is such a path.
pub(super) fn under_proc_self(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"/proc/")?;
    let slash = rest.iter().position(|b| *b == b'/')?;
    let (who, what) = (&rest[..slash], &rest[slash + 1..]);
    let own = who == b"self"
        || who == b"thread-self"
        || core::str::from_utf8(who).ok().and_then(|who| who.parse::<u32>().ok()) == Some(sys::getpid());
    let what = match what.strip_prefix(b"task/") {
        Some(rest) => &rest[rest.iter().position(|b| *b == b'/')? + 1..],
        None => what,
    };
    own.then_some(what)
}

/// open and openat: files of /proc that would show the engine are rendered anew.
pub(super) fn open(engine: &Engine, call: &Call) -> Outcome {
    let (path, flags) =
        if call.number == nr::OPEN { (call.args[0], call.args[1]) } else { (call.args[1], call.args[2]) };
    let mut head = [0u8; 6];
    if guest_mem::read(path, &mut head) != 6 || &head != b"/proc/" {
        return Outcome::Pass;
    }
    let Some(path) = guest_mem::read_string(path, 4096) else { return Outcome::Pass };
    match under_proc_self(&path) {
        Some(b"maps") => Outcome::Done(memory_file(&proc_maps::for_guest(engine), flags)),
        Some(b"exe") => {
            let mut name = engine.program.path.clone();
            name.push(0);
            // SAFETY: the kernel reads the NUL-terminated name.
            Outcome::Done(unsafe { sys::call(nr::OPENAT, &[sys::AT_FDCWD, name.as_ptr() as u64, flags, 0]) })
        }
        _ => Outcome::Pass,
    }
}

/// A descriptor from which the bytes can be read.
fn memory_file(bytes: &[u8], flags: u64) -> i64 {
    // SAFETY: the kernel reads the name and the bytes.
    unsafe {
        const MFD_CLOEXEC: u64 = 1;
        let cloexec = if flags & sys::O_CLOEXEC != 0 { MFD_CLOEXEC } else { 0 };
        let fd = sys::call(nr::MEMFD_CREATE, &[c"maps".as_ptr() as u64, cloexec]);
        if fd < 0 {
            return fd;
        }
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let written = sys::call(nr::WRITE, &[fd as u64, rest.as_ptr() as u64, rest.len() as u64]);
            if written <= 0 {
                break;
            }
            at += written as usize;
        }
        sys::call(nr::LSEEK, &[fd as u64, 0, 0]);
        fd
    }
}

/// readlink and readlinkat: /proc/self/exe is the guest's program.
pub(super) fn readlink(engine: &Engine, call: &Call) -> Outcome {
    let (path, buffer, size) = if call.number == nr::READLINK {
        (call.args[0], call.args[1], call.args[2])
    } else {
        (call.args[1], call.args[2], call.args[3])
    };
    let mut head = [0u8; 6];
    if guest_mem::read(path, &mut head) != 6 || &head != b"/proc/" {
        return Outcome::Pass;
    }
    let Some(path) = guest_mem::read_string(path, 4096) else { return Outcome::Pass };
    if under_proc_self(&path) != Some(b"exe") {
        return Outcome::Pass;
    }
    let name = &engine.program.path;
    let length = name.len().min(size as usize);
    if (size as i64) <= 0 {
        return Outcome::Done(-errno::EINVAL);
    }
    if guest_mem::write(buffer, &name[..length]) != length {
        return Outcome::Done(-errno::EFAULT);
    }
    Outcome::Done(length as i64)
}

/// close, fstat: calls of one descriptor.
pub(super) fn of_descriptor(engine: &Engine, fd: u64) -> Outcome {
    if is_ours(engine, fd) { Outcome::Done(-errno::EBADF) } else { Outcome::Pass }
}

/// close_range: around the engine's descriptors.
pub(super) fn close_range(engine: &Engine, a: &[u64; 6]) -> Outcome {
    let (first, last) = (u64::from(a[0] as u32), u64::from(a[1] as u32));
    let (low, high) = (engine.image_fd as u64, engine.shared_fd as u64);
    if first > last || last < low || first > high {
        return Outcome::Pass;
    }
    let mut result = 0;
    let mut close = |from: u64, to: u64| {
        if from <= to {
            // SAFETY: closes descriptors that are not the engine's.
            result = unsafe { sys::call(nr::CLOSE_RANGE, &[from, to, a[2]]) };
        }
    };
    close(first, low.saturating_sub(1).min(last));
    close((low + 1).max(first), high.saturating_sub(1).min(last));
    close((high + 1).max(first), last);
    Outcome::Done(result)
}

/// dup2 and dup3.
pub(super) fn dup(engine: &Engine, a: &[u64; 6]) -> Outcome {
    if is_ours(engine, a[0]) || is_ours(engine, a[1]) { Outcome::Done(-errno::EBADF) } else { Outcome::Pass }
}

/// fcntl.
pub(super) fn fcntl(engine: &Engine, a: &[u64; 6]) -> Outcome {
    if is_ours(engine, a[0]) { Outcome::Done(-errno::EBADF) } else { Outcome::Pass }
}

/// getdents64: the engine's descriptors do not appear in /proc/self/fd.
pub(super) fn getdents(engine: &Engine, a: &[u64; 6]) -> Outcome {
    let path = crate::modules::path_of(a[0] as i64);
    let in_fd = path.starts_with(b"/proc/") && (path.ends_with(b"/fd") || path.ends_with(b"/fdinfo"));
    if !in_fd {
        return Outcome::Pass;
    }
    // SAFETY: the kernel checks the guest's buffer.
    let count = unsafe { sys::call(nr::GETDENTS64, a) };
    if count <= 0 {
        return Outcome::Done(count);
    }
    let mut bytes = alloc::vec![0u8; count as usize];
    if guest_mem::read(a[1], &mut bytes) != bytes.len() {
        return Outcome::Done(count);
    }
    let mut kept: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at + 19 <= bytes.len() {
        let length = usize::from(u16::from_le_bytes([bytes[at + 16], bytes[at + 17]]));
        if length == 0 || at + length > bytes.len() {
            break;
        }
        let name = &bytes[at + 19..at + length];
        let name = &name[..name.iter().position(|b| *b == 0).unwrap_or(name.len())];
        let number = core::str::from_utf8(name).ok().and_then(|name| name.parse::<u64>().ok());
        if !number.is_some_and(|fd| is_ours(engine, fd)) {
            kept.extend_from_slice(&bytes[at..at + length]);
        }
        at += length;
    }
    guest_mem::write(a[1], &kept);
    Outcome::Done(kept.len() as i64)
}

/// Calls that take a path and would follow /proc/self/exe to the engine's file: made with the program's own path.
pub(super) fn by_path(engine: &Engine, call: &Call) -> Outcome {
    let at = match call.number {
        nr::STAT | nr::ACCESS => 0,
        // With an empty path it is the descriptor that they ask about.
        _ if is_ours(engine, call.args[0]) => return Outcome::Done(-errno::EBADF),
        _ => 1,
    };
    let mut head = [0u8; 6];
    if guest_mem::read(call.args[at], &mut head) != 6 || &head != b"/proc/" {
        return Outcome::Pass;
    }
    const NOFOLLOW: u64 = 0x100;
    let flags = match call.number {
        nr::NEWFSTATAT | nr::FACCESSAT2 => call.args[3],
        nr::STATX => call.args[2],
        _ => 0,
    };
    let path = guest_mem::read_string(call.args[at], 4096).unwrap_or_default();
    if under_proc_self(&path) != Some(b"exe") || flags & NOFOLLOW != 0 {
        return Outcome::Pass;
    }
    let mut name = engine.program.path.clone();
    name.push(0);
    let mut args = call.args;
    args[at] = name.as_ptr() as u64;
    // SAFETY: the kernel reads the NUL-terminated name and checks the guest's other pointers.
    Outcome::Done(unsafe { sys::call(call.number, &args) })
}

/// getrlimit, setrlimit and prlimit64.
pub(super) fn rlimit(engine: &Engine, thread: &mut Thread, call: &Call) -> Outcome {
    const DATA: u64 = 2;
    const ADDRESS_SPACE: u64 = 9;
    let [a, b, c, d, ..] = call.args;
    let (resource, new, old) = match call.number {
        nr::GETRLIMIT => (a, 0, b),
        nr::SETRLIMIT => (a, b, 0),
        _ if a != 0 && a != u64::from(sys::getpid()) => return Outcome::Pass,
        _ => (b, c, d),
    };
    let resource = match resource {
        DATA => Resource::Data,
        ADDRESS_SPACE => Resource::AddressSpace,
        _ => return Outcome::Pass,
    };
    let values = thread.own_limits.unwrap_or_else(|| engine.limits.values());
    let before = values[resource as usize];
    if new != 0 {
        let (Some(soft), Some(hard)) = (guest_mem::read_u64(new), guest_mem::read_u64(new + 8)) else {
            return Outcome::Done(-errno::EFAULT);
        };
        if soft > hard {
            return Outcome::Done(-errno::EINVAL);
        }
        if hard > before[1] && !is_superuser() {
            return Outcome::Done(-errno::EPERM);
        }
        if thread.foreign {
            // The memory is the parent's, the limits are not.
            let own = thread.own_limits.get_or_insert(values);
            own[resource as usize] = [soft, hard];
        } else {
            engine.limits.set(resource, [soft, hard]);
        }
    }
    if old != 0 && !(guest_mem::write_u64(old, before[0]) && guest_mem::write_u64(old + 8, before[1])) {
        return Outcome::Done(-errno::EFAULT);
    }
    Outcome::Done(0)
}

/// Who may raise a hard limit, as far as the user tells.
fn is_superuser() -> bool {
    const GETEUID: u64 = 107;
    // SAFETY: touches no memory.
    unsafe { sys::call(GETEUID, &[]) == 0 }
}

/// Bytes that an array of `count` iovecs describes.
pub(super) fn vector_length(at: u64, count: u64) -> i64 {
    (0..count.min(1024))
        .filter_map(|i| guest_mem::read_u64(at + 16 * i + 8))
        .map(|length| length as i64)
        .sum()
}

/// ftruncate and truncate: code mapped from the file may go.
pub(super) fn truncate(engine: &Engine, call: &Call) -> Outcome {
    // SAFETY: the kernel checks the guest's pointers.
    let result = unsafe { sys::call(call.number, &call.args) };
    if result == 0 {
        let file = if call.number == nr::FTRUNCATE {
            crate::loader::identity(call.args[0] as i64)
        } else {
            guest_mem::read_string(call.args[0], 4096).and_then(|path| {
                let fd = crate::loader::open(&path).ok()?;
                let file = crate::loader::identity(fd);
                crate::loader::close(fd);
                file
            })
        };
        if let Some(file) = file {
            crate::code::discard_file(engine, file);
        }
    }
    Outcome::Done(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_own_process_are_recognised() {
        assert_eq!(under_proc_self(b"/proc/self/maps"), Some(&b"maps"[..]));
        assert_eq!(under_proc_self(b"/proc/thread-self/exe"), Some(&b"exe"[..]));
        assert_eq!(under_proc_self(b"/proc/self/task/12/maps"), Some(&b"maps"[..]));
        assert_eq!(under_proc_self(b"/proc/1x/maps"), None);
        assert_eq!(under_proc_self(b"/proc/self"), None);
    }
}

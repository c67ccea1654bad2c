//! execve, exit, prctl and what else concerns the process as a whole.
//!
//! # Safety
//! `unsafe` here makes system calls with the guest's pointers, which the kernel checks, or with engine buffers.
#![allow(unsafe_code, reason = "system calls on guest pointers")]

use super::{Call, Outcome, again};
use crate::context::Thread;
use crate::loader::{self, Format};
use crate::signals;
use crate::state::Engine;
use crate::sys::{self, errno, nr};
use crate::{counts, guest_mem, limits, process_end};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use ring::record::{End, Kind};
use ring::shared::FLAG_NO_CHILDREN;

/// Reads a NULL-terminated array of pointers.
fn pointers(at: u64) -> Result<Vec<u64>, i64> {
    let mut out = Vec::new();
    if at == 0 {
        return Ok(out);
    }
    loop {
        let pointer = guest_mem::read_u64(at + 8 * out.len() as u64).ok_or(errno::EFAULT)?;
        if pointer == 0 {
            return Ok(out);
        }
        out.push(pointer);
        if out.len() > 1 << 20 {
            return Err(errno::E2BIG);
        }
    }
}

/// The program that an exec call names: an open descriptor and the name that the kernel would use.
fn open_program(call: &Call) -> Result<(i64, Vec<u8>), i64> {
    let (directory, path, flags) = if call.number == nr::EXECVE {
        (sys::AT_FDCWD, call.args[0], 0)
    } else {
        (call.args[0], call.args[1], call.args[4])
    };
    let mut name = guest_mem::read_path(path, 4095)?;
    if super::files::under_proc_self(&name) == Some(b"exe") {
        name.clone_from(&crate::state::engine().program.path);
    }
    if name.is_empty() {
        if flags & sys::AT_EMPTY_PATH == 0 {
            return Err(errno::ENOENT);
        }
        let shown = alloc::format!("/dev/fd/{directory}").into_bytes();
        // SAFETY: duplicates a descriptor of the guest's.
        let fd = sys::result(unsafe { sys::call(nr::FCNTL, &[directory, 1030, 0]) })?;
        return Ok((fd as i64, shown));
    }
    let mut terminated = name.clone();
    terminated.push(0);
    // SAFETY: the kernel reads the NUL-terminated name.
    unsafe {
        const X_OK: u64 = 1;
        const AT_EACCESS: u64 = 0x200;
        sys::result(sys::call(
            nr::FACCESSAT2,
            &[directory, terminated.as_ptr() as u64, X_OK, AT_EACCESS | flags & 0x100],
        ))?;
        let flags = sys::O_CLOEXEC | if flags & 0x100 != 0 { 0o400_000 } else { 0 };
        let fd = sys::result(sys::call(nr::OPENAT, &[directory, terminated.as_ptr() as u64, flags, 0]))?;
        let shown = if directory == sys::AT_FDCWD || name.starts_with(b"/") {
            name
        } else {
            let mut shown = alloc::format!("/dev/fd/{directory}/").into_bytes();
            shown.extend_from_slice(&name);
            shown
        };
        Ok((fd as i64, shown))
    }
}

/// Whether executing the file would change the user or group, or give capabilities.
fn gains_privilege(fd: i64) -> bool {
    let mut stat = [0u64; 18];
    // SAFETY: struct stat is 144 bytes.
    let ok = unsafe { sys::call(nr::FSTAT, &[fd as u64, stat.as_mut_ptr() as u64]) } == 0;
    let mode = stat[3] as u32;
    let (owner, group) = ((stat[3] >> 32) as u32, stat[4] as u32);
    if !ok {
        return false;
    }
    const GETEUID: u64 = 107;
    const GETEGID: u64 = 108;
    // SAFETY: these touch no memory.
    let (user, our_group) = unsafe { (sys::call(GETEUID, &[]) as u32, sys::call(GETEGID, &[]) as u32) };
    (mode & 0o4000 != 0 && owner != user) || (mode & 0o2010 == 0o2010 && group != our_group)
}

/// Follows `#!` lines: true when an ELF program is at the end.
fn ends_in_elf(fd: i64) -> Result<bool, i64> {
    let mut current = loader::format(fd);
    for _ in 0..5 {
        match current {
            Format::Elf => return Ok(true),
            Format::Foreign => return Ok(false),
            Format::Script(name, _) => {
                let mut terminated = name.clone();
                terminated.push(0);
                // SAFETY: the kernel reads the NUL-terminated name.
                sys::result(unsafe { sys::call(nr::ACCESS, &[terminated.as_ptr() as u64, 1]) })?;
                let fd = loader::open(&name)?;
                current = loader::format(fd);
                loader::close(fd);
            }
        }
    }
    Err(errno::ELOOP)
}

fn set_cloexec(fd: i64, on: bool) {
    const F_SETFD: u64 = 2;
    // SAFETY: touches no memory.
    unsafe { sys::call(nr::FCNTL, &[fd as u64, F_SETFD, u64::from(on)]) };
}

/// execve and execveat.
pub(super) fn exec(engine: &'static Engine, thread: &mut Thread, call: &Call) -> Outcome {
    let (argv, envp) = if call.number == nr::EXECVE { (1, 2) } else { (2, 3) };
    let prepared = open_program(call).and_then(|(fd, name)| {
        let elf = ends_in_elf(fd).inspect_err(|_| loader::close(fd))?;
        Ok((fd, name, elf))
    });
    let (fd, name, elf) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Outcome::Done(-error),
    };
    let privileged = gains_privilege(fd);
    if !elf || privileged || engine.options.flags & FLAG_NO_CHILDREN != 0 {
        loader::close(fd);
        let reason: &str = if !elf {
            "not a 64-bit x86 ELF program"
        } else if privileged {
            "it would change the user or group"
        } else {
            "children are not followed"
        };
        // What has arrived comes first.
        if !signals::block_all(thread) {
            return again(thread);
        }
        return Outcome::Done(native_exec(engine, thread, call, &name, reason));
    }
    let strings = pointers(call.args[argv]).and_then(|argv| Ok((argv, pointers(call.args[envp])?)));
    let (mut arguments, environment) = match strings {
        Ok(strings) => strings,
        Err(error) => {
            loader::close(fd);
            return Outcome::Done(-error);
        }
    };
    // The kernel gives an empty argument list an empty first argument.
    let empty = [0u8; 1];
    if arguments.is_empty() {
        arguments.push(empty.as_ptr() as u64);
    }
    let is_script = matches!(loader::format(fd), Format::Script(..));
    // A descriptor that closes on exec cannot carry a script's text to its interpreter.
    let by_descriptor = call.number == nr::EXECVEAT && name.starts_with(b"/dev/fd/");
    if !by_descriptor {
        loader::close(fd);
    }
    let passed = if by_descriptor && !is_script { fd } else { -1 };
    let personality = engine.personality.load(Ordering::Relaxed);
    let mut handover =
        alloc::format!("VG_ENGINE_EXEC={},{personality:x},{},", engine.shared_fd, thread.process)
            .into_bytes();
    let limits = thread.own_limits.unwrap_or_else(|| engine.limits.values());
    let (limits, mask) = (limits::format(limits), thread.signals.mask);
    handover.extend_from_slice(alloc::format!("{limits},{mask:x},{passed},").as_bytes());
    handover.extend_from_slice(&name);
    handover.push(0);
    let mut new_environment = alloc::vec![handover.as_ptr() as u64];
    new_environment.extend(&environment);
    new_environment.push(0);
    arguments.push(0);

    // What arrives from here on waits in the kernel for the new program; what has arrived comes first.
    if !signals::block_all(thread) {
        if passed >= 0 {
            loader::close(passed);
        }
        return again(thread);
    }
    if passed >= 0 {
        set_cloexec(passed, false);
    }
    set_cloexec(engine.shared_fd, false);
    set_cloexec(engine.image_fd, false);
    signals::waits::hand_over(engine, thread);
    const PERSONALITY_NO_RANDOMIZE: u64 = 0x4_0000;
    // SAFETY: the kernel reads the arrays and strings; on success nothing of this image is left.
    let result = unsafe {
        let path = b"\0";
        sys::call(nr::PERSONALITY, &[u64::from(personality) | PERSONALITY_NO_RANDOMIZE]);
        let call = [
            engine.image_fd as u64,
            path.as_ptr() as u64,
            arguments.as_ptr() as u64,
            new_environment.as_ptr() as u64,
            sys::AT_EMPTY_PATH,
        ];
        let result = process_end::with_closed_ring(engine, thread, || sys::call(nr::EXECVEAT, &call));
        sys::call(nr::PERSONALITY, &[u64::from(personality)]);
        result
    };
    set_cloexec(engine.shared_fd, true);
    set_cloexec(engine.image_fd, true);
    if passed >= 0 {
        loader::close(passed);
    }
    signals::set_kernel_mask(signals::kernel_mask(thread.signals.mask));
    Outcome::Done(result)
}

/// Executes a program without the engine. Returns only when that fails.
fn native_exec(engine: &'static Engine, thread: &mut Thread, call: &Call, name: &[u8], reason: &str) -> i64 {
    let text =
        alloc::format!("{} runs natively from here: {reason}", alloc::string::String::from_utf8_lossy(name));
    counts::tell(engine, thread);
    crate::accesses::tell(engine, thread);
    let (pid, instructions) = (u64::from(thread.pid), thread.context.instructions());
    if let Some(writer) = &mut thread.writer {
        writer.push_strings(Kind::NotFollowed, &[sys::tsc(), pid], &[text.as_bytes()]);
        let end =
            [ring::record::header(Kind::ProcessEnd, 5), sys::tsc(), End::NativeExec as u64, 0, instructions];
        writer.push(&end);
    }
    set_cloexec(engine.shared_fd, true);
    signals::set_kernel_mask(thread.signals.mask);
    signals::waits::hand_over(engine, thread);
    let limits = thread.own_limits.unwrap_or_else(|| engine.limits.values());
    set_kernel_limits(limits.map(|[soft, _]| soft));
    // SAFETY: the kernel checks the guest's pointers.
    let native = || unsafe { sys::call(call.number, &call.args) };
    let result = process_end::with_closed_ring(engine, thread, native);
    set_kernel_limits([limits::INFINITY; 2]);
    if !thread.signals.is_held() {
        signals::set_kernel_mask(signals::kernel_mask(thread.signals.mask));
    }
    result
}

/// Gives the kernel the soft limits that are only remembered while the engine is there. The hard ones stay as they are:
/// they could not be raised again when the exec fails.
fn set_kernel_limits(soft: [u64; 2]) {
    const NUMBERS: [u64; 2] = [2, 9];
    for (number, soft) in NUMBERS.into_iter().zip(soft) {
        let mut now = [0u64; 2];
        // SAFETY: the kernel writes the array: soft and hard limit.
        if unsafe { sys::call(nr::PRLIMIT64, &[0, number, 0, now.as_mut_ptr() as u64]) } != 0 {
            continue;
        }
        let wanted = [soft.min(now[1]), now[1]];
        if wanted != now {
            // SAFETY: the kernel reads the array.
            unsafe { sys::call(nr::PRLIMIT64, &[0, number, wanted.as_ptr() as u64, 0]) };
        }
    }
}

/// exit of one thread.
pub(super) fn exit_thread(engine: &'static Engine, thread: &mut Thread, status: u64) -> Outcome {
    process_end::exit_thread(engine, thread, status)
}

/// exit_group.
pub(super) fn exit(engine: &'static Engine, thread: &mut Thread, status: i32) -> Outcome {
    process_end::exit(engine, thread, status)
}

/// arch_prctl: the guest's bases are in the context.
pub(super) fn arch_prctl(thread: &mut Thread, a: &[u64; 6]) -> Outcome {
    const SET_GS: u64 = 0x1001;
    const SET_FS: u64 = 0x1002;
    const GET_FS: u64 = 0x1003;
    const GET_GS: u64 = 0x1004;
    const SHADOW_STACK: core::ops::RangeInclusive<u64> = 0x5001..=0x5005;
    let stored = |value: u64| if guest_mem::write_u64(a[1], value) { 0 } else { -errno::EFAULT };
    Outcome::Done(match a[0] {
        SET_FS | SET_GS if a[1] >= 1 << 47 => -errno::EPERM,
        SET_FS => {
            crate::calls::changes_bases(crate::state::engine(), thread, |context| context.guest_fs = a[1]);
            0
        }
        SET_GS => {
            crate::calls::changes_bases(crate::state::engine(), thread, |context| context.guest_gs = a[1]);
            0
        }
        GET_FS => stored(thread.context.guest_fs),
        GET_GS => stored(thread.context.guest_gs),
        code if SHADOW_STACK.contains(&code) => -errno::EINVAL,
        _ => return Outcome::Pass,
    })
}

/// prctl.
pub(super) fn prctl(engine: &Engine, thread: &mut Thread, a: &[u64; 6]) -> Outcome {
    const SET_NAME: u64 = 15;
    const SET_SECCOMP: u64 = 22;
    const SET_MM: u64 = 35;
    const SET_SYSCALL_USER_DISPATCH: u64 = 59;
    const SET_PDEATHSIG: u64 = 1;
    const GET_PDEATHSIG: u64 = 2;
    match a[0] {
        SET_PDEATHSIG => {
            engine.death_signal_set.store(1, Ordering::Relaxed);
            Outcome::Pass
        }
        // The first process dies with the recorder; the guest has not asked for that.
        GET_PDEATHSIG if engine.death_signal_set.load(Ordering::Relaxed) == 0 => {
            Outcome::Done(if guest_mem::write_u32(a[1], 0) { 0 } else { -errno::EFAULT })
        }
        SET_NAME => {
            let mut name = [0u8; 16];
            let count = guest_mem::read(a[1], &mut name);
            let length = name[..count].iter().position(|b| *b == 0).unwrap_or(count.min(15));
            if let Some(writer) = &mut thread.writer {
                writer.push_strings(Kind::ThreadName, &[], &[&name[..length]]);
            }
            Outcome::Pass
        }
        SET_SECCOMP => not_installed(thread, "seccomp"),
        SET_SYSCALL_USER_DISPATCH | SET_MM => Outcome::Done(-errno::EINVAL),
        _ => Outcome::Pass,
    }
}

/// seccomp: a filter would hit the engine's own system calls.
pub(super) fn seccomp(engine: &Engine, thread: &mut Thread, a: &[u64; 6]) -> Outcome {
    let _ = engine;
    const GET_ACTION_AVAIL: u64 = 2;
    const GET_NOTIF_SIZES: u64 = 3;
    if matches!(a[0], GET_ACTION_AVAIL | GET_NOTIF_SIZES) {
        return Outcome::Pass;
    }
    // A filter with a listener descriptor cannot be pretended.
    const NEW_LISTENER: u64 = 8;
    if a[1] & NEW_LISTENER != 0 {
        return Outcome::Done(-errno::EINVAL);
    }
    not_installed(thread, "seccomp")
}

fn not_installed(thread: &mut Thread, what: &str) -> Outcome {
    let text = alloc::format!("a {what} filter of the program is not in force while it is recorded");
    if let Some(writer) = &mut thread.writer {
        writer.message(0, text.as_bytes());
    }
    Outcome::Done(0)
}

/// personality: remembered, because the engine needs its own for execve.
pub(super) fn personality(engine: &Engine, wanted: u64) -> i64 {
    let before = engine.personality.load(Ordering::Relaxed);
    if wanted as u32 != u32::MAX {
        // SAFETY: touches no memory.
        unsafe { sys::call(nr::PERSONALITY, &[wanted]) };
        engine.personality.store(wanted as u32, Ordering::Relaxed);
    }
    i64::from(before)
}

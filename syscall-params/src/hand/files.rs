//! Files: open and its mode, file handles, times, statx, quotas, and pages in memory.
//!
//! What always holds: a null pointer is no check where the kernel accepts one.

use super::PAGE;
use crate::parameter::Parameter;
use crate::visit::Visit;

const O_CREAT: u32 = 0o100;
const O_TMPFILE: u32 = 0o20_000_000;
const MREMAP_FIXED: u64 = 2;
const MREMAP_DONTUNMAP: u64 = 4;
const AT_EMPTY_PATH: u32 = 0x1000;

/// `UTIME_NOW` and `UTIME_OMIT`.
const TIME_NOW: u64 = 0x3fff_ffff;
const TIME_OMIT: u64 = 0x3fff_fffe;

/// The kernel's `MAX_HANDLE_SZ`.
const HANDLE_MAX: u64 = 128;

pub(crate) fn open(visit: &mut Visit<'_>) {
    visit.registers(if creates(visit.argument32(1)) { 3 } else { 2 });
    visit.string(visit.text(0), visit.argument(0));
}

pub(crate) fn openat(visit: &mut Visit<'_>) {
    visit.registers(if creates(visit.argument32(2)) { 4 } else { 3 });
    visit.string(visit.text(1), visit.argument(1));
}

/// Whether the mode of a new file is looked at.
fn creates(flags: u32) -> bool {
    flags & (O_CREAT | O_TMPFILE) != 0
}

pub(crate) fn mremap(visit: &mut Visit<'_>) {
    let placed = visit.argument(3) & (MREMAP_FIXED | MREMAP_DONTUNMAP) != 0;
    visit.registers(if placed { 5 } else { 4 });
}

pub(crate) fn mincore(visit: &mut Visit<'_>) {
    let pages = visit.argument(1).div_ceil(PAGE);
    visit.write(visit.text(2), visit.argument(2), pages);
}

pub(crate) fn syslog(visit: &mut Visit<'_>) {
    // SYSLOG_ACTION_READ, _READ_ALL, _READ_CLEAR.
    if matches!(visit.argument32(0), 2..=4) {
        let (size, written) = (visit.count(2), visit.result().unwrap_or(0));
        visit.write_part(visit.text(1), visit.argument(1), size, written.min(size));
    }
}

/// What the kernel copies of a file system's name: it has no limit of its own, and no name is longer.
const NAME_MAX: u64 = 256;

pub(crate) fn sysfs(visit: &mut Visit<'_>) {
    match visit.argument32(0) {
        1 => {
            visit.register(0);
            visit.register_as(Parameter::of("sysfs(path)"), 1, 8);
            visit.string("sysfs(path)", visit.argument(1));
        }
        2 => {
            visit.register(0);
            visit.register_as(Parameter::of("sysfs(desc)"), 1, 4);
            visit.register(2);
            let buffer = visit.argument(2);
            visit.write_part("sysfs(path)", buffer, 1, 0);
            if visit.result().is_some() {
                let end = (0..NAME_MAX).find(|at| visit.u8(buffer.wrapping_add(*at)) == Some(0));
                visit.mark(buffer, end.map_or(0, |end| end + 1));
            }
        }
        _ => visit.register(0),
    }
}

pub(crate) fn utimensat(visit: &mut Visit<'_>) {
    if visit.argument(1) != 0 {
        visit.string("utimensat(filename)", visit.argument(1));
    }
    let times = visit.argument(2);
    if times == 0 {
        return;
    }
    let at = |offset| times.wrapping_add(offset);
    visit.read("utimensat(times[0].tv_nsec)", at(8), 8);
    visit.read("utimensat(times[1].tv_nsec)", at(24), 8);
    for (text, seconds, nanoseconds) in
        [("utimensat(times[0].tv_sec)", times, at(8)), ("utimensat(times[1].tv_sec)", at(16), at(24))]
    {
        if visit.u64(nanoseconds).is_some_and(|value| value != TIME_NOW && value != TIME_OMIT) {
            visit.read(text, seconds, 8);
        }
    }
}

pub(crate) fn statx(visit: &mut Visit<'_>) {
    let (path, buffer) = (visit.argument(1), visit.argument(4));
    // glibc probes for the call with two null pointers.
    if path == 0 && buffer == 0 {
        return;
    }
    if path != 0 || visit.argument32(2) & AT_EMPTY_PATH == 0 {
        visit.string(visit.text(1), path);
    }
    visit.write(visit.text(4), buffer, 256);
}

pub(crate) fn name_to_handle(visit: &mut Visit<'_>) {
    // struct file_handle: bytes, type, then as many bytes.
    let (handle, mount) = (visit.argument(2), visit.argument(3));
    visit.string(visit.text(1), visit.argument(1));
    visit.read(visit.text(2), handle, 4);
    if let Some(size) = visit.u32(handle) {
        let now = u64::from(size).min(HANDLE_MAX);
        let before = visit.keep(0, now);
        visit.write_part(visit.text(2), handle, before.saturating_add(8), now.min(before) + 8);
    }
    visit.write(visit.text(3), mount, 4);
    // Too small a buffer: the size that is needed, the type, and the mount.
    const OVERFLOW: i64 = -75;
    if visit.error() == Some(OVERFLOW) {
        visit.mark(handle, 8);
        visit.mark(mount, 4);
    }
}

pub(crate) fn open_by_handle(visit: &mut Visit<'_>) {
    let handle = visit.argument(1);
    match visit.u32(handle) {
        Some(size) => visit.read(visit.text(1), handle, 8 + u64::from(size).min(HANDLE_MAX)),
        None => visit.read(visit.text(1), handle, 8),
    }
}

pub(crate) fn quotactl(visit: &mut Visit<'_>) {
    if visit.argument(1) != 0 {
        visit.string(visit.text(1), visit.argument(1));
    }
    quota(visit, visit.argument32(0));
}

pub(crate) fn quotactl_fd(visit: &mut Visit<'_>) {
    quota(visit, visit.argument32(1));
}

/// The memory of a quota command, whose number is above the kind of quota in the low eight bits.
fn quota(visit: &mut Visit<'_>, command: u32) {
    let (text, address) = (visit.text(3), visit.argument(3));
    match command >> 8 {
        // Q_QUOTAON with the old format: a path.
        0x80_0002 => visit.string(text, address),
        // Q_GETQUOTA, Q_GETNEXTQUOTA, Q_SETQUOTA.
        0x80_0007 | 0x80_0009 if address != 0 => visit.write(text, address, 72),
        0x80_0008 if address != 0 => visit.read(text, address, 72),
        // Q_GETINFO, Q_SETINFO, Q_GETFMT.
        0x80_0005 if address != 0 => visit.write(text, address, 24),
        0x80_0006 if address != 0 => visit.read(text, address, 24),
        0x80_0004 if address != 0 => visit.write(text, address, 4),
        _ => {}
    }
}

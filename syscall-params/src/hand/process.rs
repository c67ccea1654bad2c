//! Processes, clocks and what is left of the machine: waiting, capabilities, timex, scheduling attributes.
//!
//! What always holds: structures with a size in front are looked at up to that size and to a limit.

use crate::visit::Visit;

pub(crate) fn wait4(visit: &mut Visit<'_>) {
    let (status, usage) = (visit.argument(1), visit.argument(3));
    // With WNOHANG and no child that changed, the result is 0 and nothing is written.
    let waited = visit.result().is_some_and(|child| child != 0);
    if status != 0 {
        visit.write_part("wait4(status)", status, 4, if waited { 4 } else { 0 });
    }
    if usage != 0 {
        visit.write_part("wait4(rusage)", usage, 144, if waited { 144 } else { 0 });
    }
}

pub(crate) fn waitid(visit: &mut Visit<'_>) {
    let (information, usage) = (visit.argument(2), visit.argument(4));
    if information != 0 {
        // The kernel writes the fields of SIGCHLD: signal, error and code, then process, user and status.
        visit.write_part("waitid(infop)", information, 128, 0);
        if visit.result().is_some() {
            visit.mark(information, 12);
            visit.mark(information.wrapping_add(16), 12);
        }
    }
    if usage != 0 {
        let waited = visit.result().is_some() && visit.u32(information).is_none_or(|signal| signal != 0);
        visit.write_part("waitid(ru)", usage, 144, if waited { 144 } else { 0 });
    }
}

pub(crate) fn capget(visit: &mut Visit<'_>) {
    let (header, data) = (visit.argument(0), visit.argument(1));
    let size = capabilities(visit, header);
    visit.read("capget(header)", header, 8);
    if data != 0 {
        visit.write("capget(data)", data, size.unwrap_or(12));
    }
    // An unknown version is answered with the kernel's own, whatever the result.
    if !visit.is_before() && size.is_none() {
        visit.mark(header, 4);
    }
}

pub(crate) fn capset(visit: &mut Visit<'_>) {
    let (header, data) = (visit.argument(0), visit.argument(1));
    let size = capabilities(visit, header);
    visit.read("capset(header)", header, 8);
    visit.read("capset(data)", data, size.unwrap_or(12));
    if !visit.is_before() && size.is_none() {
        visit.mark(header, 4);
    }
}

/// Bytes of capabilities by the version in the header: one set of 12 bytes, or two.
fn capabilities(visit: &mut Visit<'_>, header: u64) -> Option<u64> {
    let version = visit.u32(header).map_or(0, u64::from);
    match visit.keep(0, version) {
        0x1998_0330 => Some(12),
        0x2007_1026 | 0x2008_0522 => Some(24),
        // Without what was kept, the version is at least one that the kernel knows.
        u64::MAX => Some(24),
        _ => None,
    }
}

pub(crate) fn modify_ldt(visit: &mut Visit<'_>) {
    let (address, size) = (visit.argument(1), visit.argument(2));
    match visit.argument32(0) {
        0 | 2 => {
            let written = visit.result().unwrap_or(0) as u32;
            visit.write_part(visit.text(1), address, size, u64::from(written).min(size));
        }
        1 | 0x11 => visit.read(visit.text(1), address, size),
        _ => {}
    }
}

pub(crate) fn adjtimex(visit: &mut Visit<'_>) {
    let fields = [
        "adjtimex(timex->modes)",
        "adjtimex(timex->offset)",
        "adjtimex(timex->freq)",
        "adjtimex(timex->maxerror)",
        "adjtimex(timex->esterror)",
        "adjtimex(timex->status)",
        "adjtimex(timex->constant)",
        "adjtimex(timex->tick)",
    ];
    timex(visit, visit.argument(0), fields);
}

pub(crate) fn clock_adjtime(visit: &mut Visit<'_>) {
    let fields = [
        "clock_adjtime(timex->modes)",
        "clock_adjtime(timex->offset)",
        "clock_adjtime(timex->freq)",
        "clock_adjtime(timex->maxerror)",
        "clock_adjtime(timex->esterror)",
        "clock_adjtime(timex->status)",
        "clock_adjtime(timex->constant)",
        "clock_adjtime(timex->tick)",
    ];
    timex(visit, visit.argument(1), fields);
}

/// `struct timex`: its modes say which fields are read; all fields are written.
fn timex(visit: &mut Visit<'_>, at: u64, [modes, offset, rest @ ..]: [&'static str; 8]) {
    const ADJTIME: u32 = 0x8000;
    const READ_ONLY: u32 = 0x2000;
    // Field by field: the modes that read it, its offset, its bytes.
    const FIELDS: [(u32, u64, u64); 6] =
        [(0x2, 16, 8), (0x4, 24, 8), (0x8, 32, 8), (0x10, 40, 4), (0x20 | 0x80, 48, 8), (0x4000, 88, 8)];
    visit.read(modes, at, 4);
    let chosen = visit.u32(at).unwrap_or(0);
    if visit.is_before() {
        if chosen & ADJTIME != 0 {
            if chosen & READ_ONLY == 0 {
                visit.read(offset, at.wrapping_add(8), 8);
            }
        } else {
            if chosen & 1 != 0 {
                visit.read(offset, at.wrapping_add(8), 8);
            }
            for (text, (bits, place, size)) in rest.into_iter().zip(FIELDS) {
                if chosen & bits != 0 {
                    visit.read(text, at.wrapping_add(place), size);
                }
            }
        }
    }
    visit.write_part("adjtimex(timex)", at, 208, 0);
    if visit.result().is_some() {
        // The fields; what is between and behind them is copied back as it was.
        for (offset, size) in [(0, 4), (8, 36), (48, 68), (120, 44)] {
            visit.mark(at.wrapping_add(offset), size);
        }
    }
}

pub(crate) fn clock_nanosleep(visit: &mut Visit<'_>) {
    const ABSOLUTE: u32 = 1;
    let left = visit.argument(3);
    visit.read("clock_nanosleep(rqtp)", visit.argument(2), 16);
    if left != 0 {
        visit.write_part("clock_nanosleep(rmtp)", left, 16, 0);
        // What is left of a sleep to a point in time is not told.
        if visit.interrupted() && visit.argument32(1) & ABSOLUTE == 0 {
            visit.mark(left, 16);
        }
    }
}

pub(crate) fn reboot(visit: &mut Visit<'_>) {
    const RESTART2: u32 = 0xa1b2_c3d4;
    visit.registers(3);
    if visit.argument32(2) == RESTART2 {
        visit.register(3);
        visit.string_within(visit.text(3), visit.argument(3), 256);
    }
}

pub(crate) fn kexec_load(visit: &mut Visit<'_>) {
    /// The kernel's `KEXEC_SEGMENT_MAX`; a segment is 32 bytes.
    const SEGMENTS_MAX: u64 = 16;
    let count = visit.argument(1);
    if count <= SEGMENTS_MAX {
        visit.read(visit.text(2), visit.argument(2), count * 32);
    }
}

pub(crate) fn perf_event_open(visit: &mut Visit<'_>) {
    /// The kernel refuses more than a page, and takes 0 for the first version's 64 bytes.
    const SIZE_MAX: u64 = super::PAGE;
    let attributes = visit.argument(0);
    let size_at = attributes.wrapping_add(4);
    visit.read("perf_event_open(attr->size)", size_at, 4);
    match visit.u32(size_at) {
        Some(0) => visit.read("perf_event_open(attr)", attributes, 64),
        Some(size) if u64::from(size) <= SIZE_MAX => {
            visit.read("perf_event_open(attr)", attributes, u64::from(size))
        }
        _ => {}
    }
}

pub(crate) fn getcpu(visit: &mut Visit<'_>) {
    for index in [0, 1] {
        if visit.argument(index) != 0 {
            visit.write(visit.text(index), visit.argument(index), 4);
        }
    }
    // The cache of old kernels is accepted and never written.
    if visit.argument(2) != 0 {
        visit.write_part(visit.text(2), visit.argument(2), 128, 0);
    }
}

pub(crate) fn kcmp(visit: &mut Visit<'_>) {
    const FILE: u32 = 0;
    const EPOLL_TARGET: u32 = 7;
    let kind = visit.argument32(2);
    visit.registers(if (FILE + 1..EPOLL_TARGET).contains(&kind) { 3 } else { 5 });
    if kind == EPOLL_TARGET {
        visit.read("kcmp(idx2)", visit.argument(4), 12);
    }
}

pub(crate) fn sched_setattr(visit: &mut Visit<'_>) {
    let attributes = visit.argument(1);
    visit.read("sched_setattr(attr->size)", attributes, 4);
    match visit.u32(attributes) {
        // 0 is the first version's size; the kernel refuses more than a page.
        Some(0) => visit.read("sched_setattr(attr)", attributes, 48),
        Some(size) if u64::from(size) <= super::PAGE => {
            visit.read("sched_setattr(attr)", attributes, u64::from(size));
        }
        _ => {}
    }
}

pub(crate) fn sched_getattr(visit: &mut Visit<'_>) {
    // Valgrind's name. Newer kernels fill a larger structure than their own with zeros; older ones leave the rest.
    visit.write("sched_setattr(attr)", visit.argument(1), visit.count(2));
}

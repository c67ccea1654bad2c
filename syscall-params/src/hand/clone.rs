//! clone and clone3: what is read and written depends on the flags.
//!
//! What always holds: `after` is about the parent; the child finds its number where the kernel wrote it, which
//! is the same memory or a copy of it that is marked in the same way, because the kernel writes before the
//! child runs.

use crate::visit::Visit;

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;

/// `struct clone_args` as it is today, in 8-byte words: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
/// stack_size, tls, set_tid, set_tid_size, cgroup.
const ARGUMENTS: u64 = 88;

/// The kernel refuses a larger structure.
const ARGUMENTS_MAX: u64 = 4096;

/// The kernel's `MAX_PID_NS_LEVEL`: numbers in `set_tid`.
const NUMBERS_MAX: u64 = 32;

pub(crate) fn clone(visit: &mut Visit<'_>) {
    let flags = visit.argument(0);
    visit.registers(2);
    if flags & (CLONE_PARENT_SETTID | CLONE_PIDFD) != 0 {
        visit.register(2);
        visit.write(visit.text(2), visit.argument(2), 4);
    }
    if flags & CLONE_SETTLS != 0 {
        visit.register(4);
    }
    if flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID) != 0 {
        visit.register(3);
        let written = if flags & CLONE_CHILD_SETTID != 0 { 4 } else { 0 };
        visit.write_part(visit.text(3), visit.argument(3), 4, written);
    }
}

pub(crate) fn clone3(visit: &mut Visit<'_>) {
    let (address, size) = (visit.argument(0), visit.argument(1));
    if size > ARGUMENTS_MAX {
        return;
    }
    visit.read("clone3(uargs)", address, size);
    let word = |visit: &Visit<'_>, index: u64| {
        if (index + 1) * 8 > size.min(ARGUMENTS) {
            0
        } else {
            visit.u64(address.wrapping_add(index * 8)).unwrap_or(0)
        }
    };
    let flags = word(visit, 0);
    if flags & CLONE_PIDFD != 0 {
        visit.write("clone3(uargs->pidfd)", word(visit, 1), 4);
    }
    if flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID) != 0 {
        let written = if flags & CLONE_CHILD_SETTID != 0 { 4 } else { 0 };
        visit.write_part("clone3(uargs->child_tid)", word(visit, 2), 4, written);
    }
    if flags & CLONE_PARENT_SETTID != 0 {
        visit.write("clone3(uargs->parent_tid)", word(visit, 3), 4);
    }
    let (numbers, count) = (word(visit, 8), word(visit, 9));
    if numbers != 0 && count <= NUMBERS_MAX {
        visit.read("clone3(uargs->set_tid)", numbers, count * 4);
    }
}

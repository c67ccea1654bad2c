//! io_uring: set-up, entering, registration.
//!
//! What always holds: buffers of queued requests are not here: they are in memory that is shared with the
//! kernel, which writes to them at any time.

use super::vectors::{VECTOR, VECTORS_MAX};
use crate::visit::Visit;

/// `struct io_uring_params`: 40 bytes of wishes, of which the last 12 are reserved, then two blocks of offsets.
const PARAMETERS: u64 = 120;
const WISHES: u64 = 40;

pub(crate) fn setup(visit: &mut Visit<'_>) {
    let parameters = visit.argument(1);
    if parameters == 0 {
        return;
    }
    visit.read("io_uring_setup(p)", parameters, WISHES);
    if visit.result().is_some() {
        // All of it is copied back.
        visit.mark(parameters, PARAMETERS);
    }
}

pub(crate) fn enter(visit: &mut Visit<'_>) {
    const EXTENDED: u32 = 1 << 3;
    let (argument, size) = (visit.argument(4), visit.argument(5));
    if argument == 0 {
        return;
    }
    if visit.argument32(3) & EXTENDED == 0 {
        // A mask of signals, of the kernel's size.
        if size == 8 {
            visit.read("io_uring_enter(sig)", argument, 8);
        }
        return;
    }
    // struct io_uring_getevents_arg: mask, its size, a wait in microseconds, time.
    if size != 24 {
        return;
    }
    visit.read("io_uring_enter(arg)", argument, 24);
    if let (Some(mask), Some(8)) = (visit.u64(argument), visit.u32(argument.wrapping_add(8)))
        && mask != 0
    {
        visit.read("io_uring_enter(arg->sigmask)", mask, 8);
    }
    if let Some(time) = visit.u64(argument.wrapping_add(16))
        && time != 0
    {
        visit.read("io_uring_enter(arg->ts)", time, 16);
    }
}

pub(crate) fn register(visit: &mut Visit<'_>) {
    /// `sizeof(struct io_uring_probe)` and of one operation in it.
    const PROBE: u64 = 16;
    const OPERATION: u64 = 8;
    let (address, count) = (visit.argument(2), visit.count(3));
    // Valgrind has no text for these.
    let text = "io_uring_register(arg)";
    match visit.argument32(1) {
        // IORING_REGISTER_BUFFERS
        0 if count <= VECTORS_MAX => visit.read(text, address, count * VECTOR),
        // IORING_REGISTER_FILES, IORING_REGISTER_EVENTFD, IORING_REGISTER_EVENTFD_ASYNC
        2 => visit.read(text, address, count.saturating_mul(4)),
        4 | 7 => visit.read(text, address, 4),
        // IORING_REGISTER_FILES_UPDATE: offset, reserved, pointer.
        6 => visit.read(text, address, 16),
        // IORING_REGISTER_PROBE
        8 if count <= 256 => visit.write(text, address, PROBE + count * OPERATION),
        _ => {}
    }
}

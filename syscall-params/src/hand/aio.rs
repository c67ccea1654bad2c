//! The old asynchronous I/O: io_submit and what collects its results.
//!
//! What always holds: at most [`REQUESTS_MAX`] requests are looked at. Buffers that are filled later are marked
//! when their event is collected, by the request that the event names.

use super::vectors::{VECTOR, entry, limited};
use crate::visit::Visit;

/// Far more than `fs.aio-max-nr` allows by default (65536).
const REQUESTS_MAX: u64 = 1 << 20;

/// `struct iocb` and `struct io_event`.
const REQUEST: u64 = 64;
const EVENT: u64 = 32;

const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const PREADV: u16 = 7;
const PWRITEV: u16 = 8;

/// Operation, buffer and count of a request.
fn request(visit: &Visit<'_>, at: u64) -> Option<(u16, u64, u64)> {
    Some((visit.u16(at.checked_add(16)?)?, visit.u64(at.checked_add(24)?)?, visit.u64(at.checked_add(32)?)?))
}

pub(crate) fn submit(visit: &mut Visit<'_>) {
    let (count, array) = (visit.argument(1), visit.argument(2));
    if count > REQUESTS_MAX || !visit.is_before() {
        return;
    }
    visit.read("io_submit(iocbpp)", array, count * 8);
    for index in 0..count {
        let Some(at) = visit.u64(array.wrapping_add(index * 8)) else { return };
        visit.read("io_submit(iocb)", at, REQUEST);
        let Some((operation, buffer, size)) = request(visit, at) else { continue };
        match operation {
            PREAD => visit.write("io_submit(PREAD)", buffer, size),
            PWRITE => visit.read("io_submit(PWRITE)", buffer, size),
            PREADV => {
                visit.read("io_submit(PREADV)", buffer, size.saturating_mul(VECTOR));
                for part in 0..limited(size) {
                    let Some((base, length)) = entry(visit, buffer, part) else { break };
                    visit.write("io_submit(PREADV(iov[i]))", base, length);
                }
            }
            PWRITEV => {
                visit.read("io_submit(PWRITEV)", buffer, size.saturating_mul(VECTOR));
                for part in 0..limited(size) {
                    let Some((base, length)) = entry(visit, buffer, part) else { break };
                    visit.read("io_submit(PWRITEV(iov[i]))", base, length);
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn getevents(visit: &mut Visit<'_>) {
    events(visit);
}

pub(crate) fn pgetevents(visit: &mut Visit<'_>) {
    events(visit);
    // A pointer to a mask of signals, and its size.
    let pair = visit.argument(5);
    if pair != 0 {
        visit.read("io_pgetevents(usig)", pair, 16);
        if let (Some(mask), Some(8)) = (visit.u64(pair), visit.u64(pair.wrapping_add(8)))
            && mask != 0
        {
            visit.read("io_pgetevents(usig->sigmask)", mask, 8);
        }
    }
}

fn events(visit: &mut Visit<'_>) {
    let (count, array, time) = (visit.argument(2), visit.argument(3), visit.argument(4));
    if count <= i64::MAX as u64 {
        let collected = visit.result().unwrap_or(0).min(count);
        visit.write_part(visit.text(3), array, count.saturating_mul(EVENT), collected.saturating_mul(EVENT));
        for index in 0..collected.min(REQUESTS_MAX) {
            let Some((request, done)) = event(visit, array.wrapping_add(index * EVENT)) else { break };
            finished(visit, request, done);
        }
    }
    if time != 0 {
        visit.read(visit.text(4), time, 16);
    }
}

/// The request that an event is about, and its result.
fn event(visit: &Visit<'_>, at: u64) -> Option<(u64, u64)> {
    Some((visit.u64(at.checked_add(8)?)?, visit.u64(at.checked_add(16)?)?))
}

/// Marks the buffers of a request that has read `done` bytes, or failed.
fn finished(visit: &mut Visit<'_>, at: u64, done: u64) {
    let Some((operation, buffer, size)) = request(visit, at) else { return };
    if done > i64::MAX as u64 {
        return;
    }
    match operation {
        PREAD => visit.mark(buffer, done.min(size)),
        PREADV => {
            let mut left = done;
            for part in 0..limited(size) {
                let Some((base, length)) = entry(visit, buffer, part) else { break };
                visit.mark(base, length.min(left));
                left -= length.min(left);
            }
        }
        _ => {}
    }
}

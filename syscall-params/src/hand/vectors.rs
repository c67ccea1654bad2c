//! Calls that take vectors of buffers: readv and writev with their kin, vmsplice, process_vm_readv.
//!
//! What always holds: at most [`VECTORS_MAX`] buffers are looked at; the kernel refuses more.

use crate::parameter::Parameter;
use crate::visit::Visit;

/// The kernel's `UIO_MAXIOV`.
pub(crate) const VECTORS_MAX: u64 = 1024;

/// Bytes of `struct iovec`: base, length.
pub(crate) const VECTOR: u64 = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The kernel writes to the buffers.
    In,
    /// It reads from them.
    Out,
}

pub(crate) fn readv(visit: &mut Visit<'_>) {
    numbered(visit, Way::In);
}

pub(crate) fn writev(visit: &mut Visit<'_>) {
    numbered(visit, Way::Out);
}

pub(crate) fn preadv2(visit: &mut Visit<'_>) {
    positioned(visit);
    numbered(visit, Way::In);
}

pub(crate) fn pwritev2(visit: &mut Visit<'_>) {
    positioned(visit);
    numbered(visit, Way::Out);
}

/// The register between position and flags is the high half of a position on 32-bit machines, and unused here.
fn positioned(visit: &mut Visit<'_>) {
    visit.registers(4);
    visit.register(5);
}

fn numbered(visit: &mut Visit<'_>, way: Way) {
    let call = visit.call.text;
    let count = visit.argument32(2);
    if count > i32::MAX as u32 {
        return;
    }
    let start = Parameter::of(call).text("(vector[");
    buffers(visit, visit.text(1), visit.argument(1), u64::from(count), way, |index| {
        start.number(index).text("])")
    });
}

pub(crate) fn vmsplice(visit: &mut Visit<'_>) {
    let (vector, count) = (visit.argument(1), visit.argument(2));
    // The end of the pipe decides which way the bytes go.
    let read_only = visit.memory.read_only(visit.argument32(0));
    visit.read("vmsplice(iov)", vector, count.saturating_mul(VECTOR));
    let mut left = visit.result().unwrap_or(0);
    for index in 0..limited(count) {
        let Some((base, length)) = entry(visit, vector, index) else { return };
        match read_only {
            Some(false) => visit.read("vmsplice(iov[...])", base, length),
            Some(true) => {
                let part = length.min(left);
                visit.write_part("vmsplice(iov[...])", base, length, part);
                left -= part;
            }
            None => visit.write_part("vmsplice(iov[...])", base, length, 0),
        }
    }
}

pub(crate) fn process_vm_readv(visit: &mut Visit<'_>) {
    remote(visit, Way::In, "process_vm_readv(lvec[...])");
}

pub(crate) fn process_vm_writev(visit: &mut Visit<'_>) {
    remote(visit, Way::Out, "process_vm_writev(lvec[...])");
}

fn remote(visit: &mut Visit<'_>, way: Way, text: &'static str) {
    visit.read(visit.text(3), visit.argument(3), visit.argument(4).saturating_mul(VECTOR));
    buffers(visit, visit.text(1), visit.argument(1), visit.argument(2), way, |_| Parameter::of(text));
}

/// A vector and its buffers; the result of the call is how many bytes were written to them.
fn buffers(
    visit: &mut Visit<'_>,
    whole: Parameter,
    vector: u64,
    count: u64,
    way: Way,
    text: impl Fn(u64) -> Parameter,
) {
    visit.read(whole, vector, count.saturating_mul(VECTOR));
    let mut left = visit.result().unwrap_or(0);
    for index in 0..limited(count) {
        let Some((base, length)) = entry(visit, vector, index) else { return };
        match way {
            Way::In => {
                let part = length.min(left);
                visit.write_part(text(index), base, length, part);
                left -= part;
            }
            Way::Out => visit.read(text(index), base, length),
        }
    }
}

/// How many of `count` buffers are looked at: none when the kernel refuses the vector.
pub(crate) fn limited(count: u64) -> u64 {
    if count > VECTORS_MAX { 0 } else { count }
}

/// Base and length of one buffer.
pub(crate) fn entry(visit: &Visit<'_>, vector: u64, index: u64) -> Option<(u64, u64)> {
    let at = vector.checked_add(index.checked_mul(VECTOR)?)?;
    Some((visit.u64(at)?, visit.u64(at.checked_add(8)?)?))
}

//! Calls since Linux 5.2 that take structures with a size of their own: fsconfig, landlock, statmount, the
//! security modules' attributes, extended attributes by descriptor.
//!
//! What always holds: a structure is read up to the size that it states, and that at most a page.

use super::PAGE;
use crate::visit::Visit;

pub(crate) fn fsconfig(visit: &mut Visit<'_>) {
    const STRING: u32 = 1;
    const BINARY: u32 = 2;
    const PATH: u32 = 3;
    const PATH_EMPTY: u32 = 4;
    let (key, value) = (visit.argument(2), visit.argument(3));
    if key != 0 {
        visit.string("fsconfig(key)", key);
    }
    match visit.argument32(1) {
        STRING | PATH | PATH_EMPTY => visit.string("fsconfig(value)", value),
        BINARY => visit.read("fsconfig(value)", value, visit.count(4)),
        _ => {}
    }
}

pub(crate) fn landlock_add_rule(visit: &mut Visit<'_>) {
    // A rule about files is packed: rights of 8 bytes, a descriptor of 4. One about ports: rights, port.
    let size = match visit.argument32(1) {
        1 => 12,
        2 => 16,
        _ => return,
    };
    visit.read("landlock_add_rule(rule_attr)", visit.argument(2), size);
}

pub(crate) fn statmount(visit: &mut Visit<'_>) {
    request(visit, "statmount(req)");
    let (buffer, size) = (visit.argument(1), visit.argument(2));
    // The size of what was written, strings and all, is at the front of it.
    let written = visit.u32(buffer).map_or(0, u64::from);
    visit.write_part("statmount(smbuf)", buffer, size, written.min(size));
}

pub(crate) fn listmount(visit: &mut Visit<'_>) {
    request(visit, "listmount(req)");
    numbers(visit, "listmount(mnt_ids)");
}

pub(crate) fn listns(visit: &mut Visit<'_>) {
    request(visit, "listns(req)");
    numbers(visit, "listns(ns_ids)");
}

/// A structure whose first 32 bits are its size; of an impossible one only the size is read.
fn request(visit: &mut Visit<'_>, text: &'static str) {
    let at = visit.argument(0);
    visit.read(text, at, 4);
    if let Some(size) = visit.u32(at).filter(|size| u64::from(*size) <= PAGE) {
        visit.read(text, at.wrapping_add(4), u64::from(size).saturating_sub(4));
    }
}

/// Numbers of 8 bytes: room in the third argument, the result is how many were written.
fn numbers(visit: &mut Visit<'_>, text: &'static str) {
    let size = visit.argument(2).saturating_mul(8);
    let written = visit.result().unwrap_or(0).saturating_mul(8);
    visit.write_part(text, visit.argument(1), size, written.min(size));
}

/// The kernel's `E2BIG`, as a result: the size was too small, and has been written.
const TOO_SMALL: i64 = -7;

pub(crate) fn lsm_get_self_attr(visit: &mut Visit<'_>) {
    let (buffer, size_at) = (visit.argument(1), visit.argument(2));
    sized(visit, ["lsm_get_self_attr(size)", "lsm_get_self_attr(ctx)"], buffer, size_at);
}

pub(crate) fn lsm_list_modules(visit: &mut Visit<'_>) {
    let (buffer, size_at) = (visit.argument(0), visit.argument(1));
    sized(visit, ["lsm_list_modules(size)", "lsm_list_modules(ids)"], buffer, size_at);
}

/// A buffer with its size in a 32-bit number that is read and overwritten.
fn sized(visit: &mut Visit<'_>, [size_text, text]: [&'static str; 2], buffer: u64, size_at: u64) {
    visit.read(size_text, size_at, 4);
    let now = visit.u32(size_at).map_or(0, u64::from);
    let before = visit.keep(0, now);
    if buffer != 0 {
        visit.write_part(text, buffer, before, now.min(before));
    }
    if visit.result().is_some() || visit.error() == Some(TOO_SMALL) {
        visit.mark(size_at, 4);
    }
}

pub(crate) fn setxattrat(visit: &mut Visit<'_>) {
    if let Some((value, size)) =
        attribute(visit, "setxattrat(pathname)", "setxattrat(name)", "setxattrat(uargs)")
    {
        visit.read("setxattrat(uargs->value)", value, size);
    }
}

pub(crate) fn getxattrat(visit: &mut Visit<'_>) {
    if let Some((value, size)) =
        attribute(visit, "getxattrat(pathname)", "getxattrat(name)", "getxattrat(uargs)")
    {
        let written = visit.result().unwrap_or(0).min(size);
        visit.write_part("getxattrat(uargs->value)", value, size, written);
    }
}

/// Path, name and `struct xattr_args` (pointer, size, flags): the pointer and the size.
fn attribute(
    visit: &mut Visit<'_>,
    path_text: &'static str,
    name_text: &'static str,
    text: &'static str,
) -> Option<(u64, u64)> {
    if visit.argument(1) != 0 {
        visit.string(path_text, visit.argument(1));
    }
    visit.string(name_text, visit.argument(3));
    let arguments = visit.argument(4);
    visit.read(text, arguments, visit.argument(5).min(PAGE));
    Some((visit.u64(arguments)?, u64::from(visit.u32(arguments.wrapping_add(8))?)))
}

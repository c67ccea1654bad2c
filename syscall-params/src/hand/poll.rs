//! Waiting for descriptors: poll, select, epoll and their kin.
//!
//! What always holds: at most [`DESCRIPTORS_MAX`] descriptors are looked at. Sets of select are checked as
//! Valgrind does, in whole bytes below the highest descriptor, but marked as the kernel writes them, in words.

use crate::parameter::Parameter;
use crate::visit::Visit;

/// The kernel refuses more descriptors than `RLIMIT_NOFILE`, whose own limit (`fs.nr_open`) is a million.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// `struct pollfd`: descriptor, events, revents.
const DESCRIPTOR: u64 = 8;

const TIME: u64 = 16;

/// `sigset_t` of the kernel.
const MASK: u64 = 8;

/// `struct epoll_event`, which is packed on x86-64.
const EVENT: u64 = 12;

const EPOLL_CTL_DEL: u32 = 2;

pub(crate) fn poll(visit: &mut Visit<'_>) {
    descriptors(visit, ["poll(ufds.fd)", "poll(ufds.events)", "poll(ufds.revents)"]);
}

pub(crate) fn ppoll(visit: &mut Visit<'_>) {
    descriptors(visit, ["ppoll(ufds.fd)", "ppoll(ufds.events)", "ppoll(ufds.revents)"]);
    remaining(visit, 2, "ppoll(tsp)");
    mask(visit, "ppoll(sigmask)", 3, 4);
}

fn descriptors(visit: &mut Visit<'_>, [descriptor, events, answer]: [&'static str; 3]) {
    let (address, count) = (visit.argument(0), u64::from(visit.argument32(1)));
    if count > DESCRIPTORS_MAX {
        return;
    }
    for index in 0..count {
        let at = address.wrapping_add(index * DESCRIPTOR);
        visit.read(descriptor, at, 4);
        let number = visit.u32(at);
        // A negative descriptor is skipped: its events are not read.
        if number.is_some_and(|number| number <= i32::MAX as u32) {
            visit.read(events, at.wrapping_add(4), 2);
        }
        visit.write(answer, at.wrapping_add(6), 2);
        if number.is_none() {
            break;
        }
        if visit.interrupted() {
            visit.mark(at.wrapping_add(6), 2);
        }
    }
}

/// A time that is read, and overwritten with what is left of it.
fn remaining(visit: &mut Visit<'_>, index: usize, text: &'static str) {
    let time = visit.argument(index);
    if time != 0 {
        visit.read(text, time, TIME);
        if visit.result().is_some() || visit.interrupted() {
            visit.mark(time, TIME);
        }
    }
}

/// A mask of signals whose size is another argument; the kernel refuses another size than its own.
fn mask(visit: &mut Visit<'_>, text: &'static str, address: usize, size: usize) {
    if visit.argument(address) != 0 && visit.argument(size) == MASK {
        visit.read(text, visit.argument(address), MASK);
    }
}

pub(crate) fn select(visit: &mut Visit<'_>) {
    sets(visit);
    remaining(visit, 4, "select(timeout)");
}

pub(crate) fn pselect6(visit: &mut Visit<'_>) {
    sets(visit);
    remaining(visit, 4, "pselect6(timeout)");
    // The sixth argument points to a pointer to a mask, and the size of the mask.
    let pair = visit.argument(5);
    if pair != 0 {
        visit.read("pselect6(sig)", pair, 16);
        if let (Some(mask), Some(size)) = (visit.u64(pair), visit.u64(pair.wrapping_add(8)))
            && mask != 0
            && size == MASK
        {
            visit.read("pselect6(sig->ss)", mask, MASK);
        }
    }
}

fn sets(visit: &mut Visit<'_>) {
    let count = visit.count(0).min(DESCRIPTORS_MAX);
    for index in 1..4 {
        let set = visit.argument(index);
        if set != 0 {
            visit.read(visit.text(index), set, count / 8);
            if visit.result().is_some() {
                visit.mark(set, count.div_ceil(64) * 8);
            }
        }
    }
}

pub(crate) fn epoll_ctl(visit: &mut Visit<'_>) {
    if visit.argument32(1) != EPOLL_CTL_DEL {
        // The other eight bytes are the program's own, and often only half set.
        visit.read("epoll_ctl(event)", visit.argument(3), 4);
    }
}

pub(crate) fn epoll_pwait(visit: &mut Visit<'_>) {
    events(visit, "epoll_pwait(events)");
    mask(visit, "epoll_pwait(sigmask)", 4, 5);
}

pub(crate) fn epoll_pwait2(visit: &mut Visit<'_>) {
    events(visit, "epoll_pwait2(events)");
    let time = visit.argument(3);
    if time != 0 {
        visit.read("epoll_pwait2(timeout)", time, TIME);
    }
    mask(visit, "epoll_pwait2(sigmask)", 4, 5);
}

fn events(visit: &mut Visit<'_>, text: impl Into<Parameter>) {
    let size = visit.count(2).saturating_mul(EVENT);
    let written = visit.result().unwrap_or(0).saturating_mul(EVENT);
    visit.write_part(text, visit.argument(1), size, written.min(size));
}

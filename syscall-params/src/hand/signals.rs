//! Signals and timers.
//!
//! What always holds: structures with holes are looked at field by field.

use crate::visit::Visit;

/// `struct sigaction` of the kernel: handler, flags, restorer, mask.
const ACTION: u64 = 32;
const SA_RESTORER: u64 = 0x0400_0000;
const MASK: u64 = 8;

/// `siginfo_t`.
const INFORMATION: u64 = 128;

pub(crate) fn sigaction(visit: &mut Visit<'_>) {
    let (action, old) = (visit.argument(1), visit.argument(2));
    if action != 0 {
        let at = |offset| action.wrapping_add(offset);
        visit.read("rt_sigaction(act->sa_handler)", action, 8);
        visit.read("rt_sigaction(act->sa_mask)", at(24), 8);
        visit.read("rt_sigaction(act->sa_flags)", at(8), 8);
        if visit.u64(at(8)).is_some_and(|flags| flags & SA_RESTORER != 0) {
            visit.read("rt_sigaction(act->sa_restorer)", at(16), 8);
        }
    }
    if old != 0 {
        visit.write("rt_sigaction(oldact)", old, ACTION);
    }
}

pub(crate) fn sigpending(visit: &mut Visit<'_>) {
    // The kernel writes as many bytes as it is asked for, up to its own size.
    let written = visit.argument(1).min(MASK);
    visit.write_part("rt_sigpending(set)", visit.argument(0), MASK, written);
}

pub(crate) fn sigqueueinfo(visit: &mut Visit<'_>) {
    queue(visit, "rt_sigqueueinfo(uinfo)", visit.argument32(1), visit.argument(2));
}

pub(crate) fn tgsigqueueinfo(visit: &mut Visit<'_>) {
    queue(visit, "rt_tgsigqueueinfo(uinfo)", visit.argument32(2), visit.argument(3));
}

pub(crate) fn pidfd_send_signal(visit: &mut Visit<'_>) {
    if visit.argument(2) != 0 {
        queue(visit, "pidfd_send_signal(info)", 1, visit.argument(2));
    }
}

fn queue(visit: &mut Visit<'_>, text: &'static str, signal: u32, information: u64) {
    if signal != 0 {
        visit.read(text, information, INFORMATION);
    }
}

pub(crate) fn timer_create(visit: &mut Visit<'_>) {
    const THREAD: u32 = 4;
    let event = visit.argument(1);
    if event != 0 {
        let at = |offset| event.wrapping_add(offset);
        visit.read("timer_create(evp.sigev_value)", event, 8);
        visit.read("timer_create(evp.sigev_signo)", at(8), 4);
        visit.read("timer_create(evp.sigev_notify)", at(12), 4);
        if visit.u32(at(12)).is_some_and(|kind| kind & THREAD != 0) {
            visit.read("timer_create(evp.sigev_notify_thread_id)", at(16), 4);
        }
    }
    visit.write("timer_create(timerid)", visit.argument(2), 4);
}

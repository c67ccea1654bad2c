//! Signals that the engine kept back are sent to the thread again on its way into the cache.

use super::kernel_mask;
use crate::context::Thread;
use core::sync::atomic::Ordering;

/// Prepares the raise stub for the signal that is held, if one is. True when the stub must be entered.
pub fn prepare(thread: &mut Thread) -> bool {
    if !thread.signals.held {
        return false;
    }
    thread.signals.held = false;
    thread.signals.kernel_mask = kernel_mask(thread.signals.mask);
    let pid = thread.pid;
    let tid = thread.tid.load(Ordering::Relaxed);
    let info = &thread.signals.info;
    thread.context.raise = [
        u64::from(pid),
        u64::from(tid),
        info[0] & 0xffff_ffff,
        info.as_ptr() as u64,
        &raw const thread.signals.kernel_mask as u64,
    ];
    true
}

/// The guest's mask has changed: a signal that the kernel never blocks may be due now.
pub fn unblocked(thread: &mut Thread) {
    if thread.signals.held {
        return;
    }
    if let Some(info) = thread.signals.blocked.take(thread.signals.mask) {
        thread.signals.info = info;
        thread.signals.held = true;
        thread.context.pending.store(1, Ordering::Release);
        super::set_kernel_mask(kernel_mask(u64::MAX));
    }
}

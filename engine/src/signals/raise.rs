//! Signals that the engine kept back are sent to the thread again on its way into the cache.

use super::kernel_mask;
use crate::context::Thread;
use core::sync::atomic::Ordering;

/// Prepares the raise stub for the signal that is held, if one is. True when the stub must be entered.
pub fn prepare(thread: &mut Thread) -> bool {
    if !thread.signals.is_held() {
        return false;
    }
    thread.signals.set_held(false);
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

/// The guest's mask may have changed: a signal that waits for it may be due now.
pub fn unblocked(thread: &mut Thread) {
    if thread.signals.is_held() || thread.signals.blocked.is_empty() {
        return;
    }
    // The handler must not add to the queue meanwhile.
    super::set_kernel_mask(super::HELD_MASK);
    if thread.signals.is_held() {
        return;
    }
    match thread.signals.blocked.take(thread.signals.mask) {
        Some(info) => {
            thread.signals.info = info;
            thread.signals.set_held(true);
            thread.context.pending.store(1, Ordering::Release);
        }
        None => super::set_kernel_mask(kernel_mask(thread.signals.mask)),
    }
}

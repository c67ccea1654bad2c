//! A signal that the engine kept back gets its frame on the thread's way into the cache, from a carrier: a signal of the
//! engine's own that the thread sends to itself. The one that is held need not be sent again, so it cannot fall behind
//! others that came later, be merged with them, or be refused.

use super::waiting::Common;
use super::{CARRIER_VALUE, HELD_MASK, OWN_FAULTS, SI_USER, bit, kernel_mask, set_kernel_mask, sig, waits};
use crate::context::Thread;
use crate::state::Engine;
use core::sync::atomic::{Ordering, fence};

/// Prepares the raise stub for the signal that is held, if one is. True when the stub must be entered.
pub fn prepare(thread: &mut Thread) -> bool {
    if !thread.signals.is_held() {
        return false;
    }
    // The dispatcher looks again behind the stub, and in front of the guest's handler.
    thread.context.pending.store(1, Ordering::Release);
    // Nothing but the carrier may arrive, and the faults of writing its frame.
    thread.signals.kernel_mask = !(bit(sig::ENGINE) | OWN_FAULTS);
    let pid = u64::from(thread.pid);
    let tid = u64::from(thread.tid.load(Ordering::Relaxed));
    let signal = u64::from(sig::ENGINE);
    thread.signals.carrier =
        [signal, u64::from(SI_USER), pid, CARRIER_VALUE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    thread.context.raise = [
        pid,
        tid,
        signal,
        thread.signals.carrier.as_ptr() as u64,
        &raw const thread.signals.kernel_mask as u64,
    ];
    true
}

/// Makes `info` the signal that is held, which must be due, unless one arrived before: then false. Whatever the outcome,
/// the kernel's mask is then that of a held signal.
pub fn keep(thread: &mut Thread, info: [u64; 16]) -> bool {
    set_kernel_mask(u64::MAX);
    let free = !thread.signals.is_held();
    if free {
        thread.signals.info = info;
        thread.signals.set_held(true);
        thread.context.pending.store(1, Ordering::Release);
    }
    set_kernel_mask(HELD_MASK);
    free
}

/// The guest's mask may have changed, or something came while another signal was held: one that waits may be due now.
pub fn unblocked(engine: &Engine, thread: &mut Thread) {
    let mask = thread.signals.mask;
    let common = Common::of(engine, thread);
    // Whoever adds to what waits for any thread looks at the masks afterwards: this look must not pass the new mask's store.
    fence(Ordering::SeqCst);
    if thread.signals.is_held()
        || thread.signals.blocked.is_empty() && common.is_none_or(|common| common.set() & !mask == 0)
    {
        return;
    }
    // The handler must not add to the queue meanwhile.
    set_kernel_mask(u64::MAX);
    if !thread.signals.is_held() {
        waits::share(engine, thread);
        let own = thread.signals.blocked.take(!mask);
        if let Some(info) = own.or_else(|| common.and_then(|common| common.take(!mask))) {
            thread.signals.info = info;
            thread.signals.set_held(true);
            thread.context.pending.store(1, Ordering::Release);
        }
    }
    let held = thread.signals.is_held();
    set_kernel_mask(if held { HELD_MASK } else { kernel_mask(mask) });
}

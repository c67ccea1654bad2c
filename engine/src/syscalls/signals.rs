//! sigaction, sigprocmask, sigaltstack, sigreturn.

use super::{Outcome, again};
use crate::context::{Thread, gpr};
use crate::guest_mem;
use crate::signals::{self, Action, AltStack, DEFAULT, DefaultEffect, IGNORE, bit, sig};
use crate::state::Engine;
use crate::sys::errno;

/// rt_sigaction.
pub(super) fn sigaction(engine: &Engine, thread: &mut Thread, a: &[u64; 6]) -> i64 {
    let [signal, new, old, size, ..] = *a;
    if size != 8 || signal == 0 || signal > 64 {
        return -errno::EINVAL;
    }
    let signal = signal as u32;
    let mut words = [0u8; 32];
    if new != 0 && guest_mem::read(new, &mut words) != 32 {
        return -errno::EFAULT;
    }
    let mut unblock = false;
    let mut actions = thread.actions(engine).lock();
    let before = actions.guest[signal as usize - 1];
    if new != 0 {
        if signal == sig::KILL || signal == sig::STOP {
            return -errno::EINVAL;
        }
        let word = |i: usize| u64::from_le_bytes(words[8 * i..8 * i + 8].try_into().unwrap_or([0; 8]));
        let mut action = Action { handler: word(0), flags: word(1), restorer: word(2), mask: word(3) };
        action.mask &= !(bit(sig::KILL) | bit(sig::STOP));
        if let Err(error) = signals::install(signal, &action) {
            return -error;
        }
        actions.guest[signal as usize - 1] = action;
        if action.handler == IGNORE
            || (action.handler == DEFAULT && signals::default_effect(signal) == DefaultEffect::Ignore)
        {
            unblock = true;
        }
    }
    drop(actions);
    if unblock {
        // A pending signal whose action becomes "ignore" is forgotten.
        signals::waits::forget(engine, thread, signal);
    }
    if old != 0 {
        let mut bytes = [0u8; 32];
        for (chunk, word) in
            bytes.chunks_exact_mut(8).zip([before.handler, before.flags, before.restorer, before.mask])
        {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        if guest_mem::write(old, &bytes) != 32 {
            return -errno::EFAULT;
        }
    }
    0
}

/// rt_sigprocmask.
pub(super) fn sigprocmask(engine: &Engine, thread: &mut Thread, a: &[u64; 6]) -> Outcome {
    let [how, new, old, size, ..] = *a;
    if size != 8 {
        return Outcome::Done(-errno::EINVAL);
    }
    let before = thread.signals.mask;
    if new != 0 {
        let Some(set) = guest_mem::read_u64(new) else { return Outcome::Done(-errno::EFAULT) };
        let mask = match how {
            0 => before | set,
            1 => before & !set,
            2 => set,
            _ => return Outcome::Done(-errno::EINVAL),
        };
        let mask = mask & !(bit(sig::KILL) | bit(sig::STOP));
        signals::set_kernel_mask(signals::kernel_mask(mask));
        if thread.signals.is_held() {
            // Everything stays blocked until that one has its frame.
            signals::set_kernel_mask(signals::HELD_MASK);
            if mask & bit(thread.signals.held_signal()) != 0 {
                // It came before the call: its handler runs first, then the call is made again.
                return again(thread);
            }
        }
        thread.signals.mask = mask;
        signals::raise::unblocked(engine, thread);
    }
    if old != 0 && !guest_mem::write_u64(old, before) {
        return Outcome::Done(-errno::EFAULT);
    }
    Outcome::Done(0)
}

/// sigaltstack.
pub(super) fn sigaltstack(thread: &mut Thread, a: &[u64; 6]) -> i64 {
    let [new, old, ..] = *a;
    let rsp = thread.context.regs[gpr::RSP];
    let current = thread.signals.alternate;
    let on_it = current.holds(rsp);
    if new != 0 {
        let mut bytes = [0u8; 24];
        if guest_mem::read(new, &mut bytes) != 24 {
            return -errno::EFAULT;
        }
        let quad = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or([0; 8]));
        let flags = quad(8) as u32;
        if on_it {
            return -errno::EPERM;
        }
        let mode = flags & !signals::SS_AUTODISARM;
        if mode & !(signals::SS_DISABLE | signals::SS_ONSTACK) != 0 || mode == 3 {
            return -errno::EINVAL;
        }
        const MINSIGSTKSZ: u64 = 2048;
        thread.signals.alternate = if mode & signals::SS_DISABLE != 0 {
            AltStack::NONE
        } else if quad(16) < MINSIGSTKSZ {
            return -errno::ENOMEM;
        } else {
            let mut stack = AltStack::at(quad(0), quad(16));
            stack.flags = flags & signals::SS_AUTODISARM;
            stack
        };
    }
    if old != 0 {
        let flags = current.flags | if on_it { signals::SS_ONSTACK } else { 0 };
        let mut bytes = [0u8; 24];
        bytes[..8].copy_from_slice(&current.sp.to_le_bytes());
        bytes[8..12].copy_from_slice(&flags.to_le_bytes());
        bytes[16..].copy_from_slice(&current.size.to_le_bytes());
        if guest_mem::write(old, &bytes) != 24 {
            return -errno::EFAULT;
        }
    }
    0
}

/// rt_sigreturn. Comes back only for an unreadable frame, which is a SIGSEGV.
pub(super) fn sigreturn(thread: &mut Thread) -> Outcome {
    if thread.signals.is_held() {
        // Before the mask changes.
        return again(thread);
    }
    signals::handler::sigreturn(thread);
    if !crate::dispatch::fault(thread, sig::SEGV, 0x80, 0, None) {
        return again(thread);
    }
    Outcome::Resume
}

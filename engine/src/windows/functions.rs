//! Functions that switch collection: what is done where one is entered, and where it has been left.
//!
//! Code that begins where one does, and where one returns to, leads to the engine first (`cache::watched`), and so does what takes
//! another place on the stack with it (longjmp, the unwinding of exceptions, another stack). As in Callgrind, a function that is active
//! is not entered again; it is left once the stack pointer is above its return address, however it got there.

use super::toggle;
use crate::context::{Thread, gpr};
use crate::guest_mem;
use crate::signals::AltStack;
use crate::state::Engine;

/// One that is active.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    /// Its first instruction.
    pc: u64,
    /// Where its return address lies.
    sp: u64,
}

impl Active {
    /// Whether it has been left, with this stack pointer. `alternate`: of signal handlers, which leave nothing.
    fn is_left(&self, sp: u64, alternate: &AltStack) -> bool {
        sp > self.sp && (!alternate.holds(sp) || alternate.holds(self.sp))
    }
}

/// The thread is where something is watched, and has executed nothing there. True when a function begins there.
pub fn arrived(engine: &Engine, thread: &mut Thread) -> bool {
    let pc = thread.context.pc;
    let function = engine.cache.lock().watched_function(pc);
    left(engine, thread);
    let Some(patterns) = function else { return false };
    let sp = thread.context.regs[gpr::RSP];
    let Some(window) = &mut thread.window else { return true };
    if window.active.iter().any(|active| active.pc == pc) {
        return true;
    }
    window.active.push(Active { pc, sp });
    engine.shared.control().toggles.note(patterns);
    if let Some(site) = guest_mem::read_u64(sp) {
        engine.cache.lock().watch_return(site);
    }
    toggle(engine, thread);
    true
}

/// The thread has perhaps left functions.
pub fn left(engine: &Engine, thread: &mut Thread) {
    let sp = thread.context.regs[gpr::RSP];
    while let Some(window) = &mut thread.window
        && window.active.last().is_some_and(|active| active.is_left(sp, &thread.signals.alternate))
    {
        window.active.pop();
        toggle(engine, thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_on_its_own_stack_leaves_nothing() {
        let active = Active { pc: 1, sp: 0x1000 };
        let alternate = AltStack::at(0x5000, 0x1000);
        let left = |active: Active, sp| active.is_left(sp, &alternate);
        assert!(!left(active, 0x1000) && left(active, 0x1008) && left(active, 0x8000));
        assert!(!left(active, 0x5800));
        assert!(left(Active { sp: 0x5100, ..active }, 0x5800));
    }
}

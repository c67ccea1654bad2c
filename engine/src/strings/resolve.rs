//! Resolvers: libc has several versions of a function, and a function of its name (a symbol of type GNU_IFUNC) that the
//! dynamic linker, or the start-up code of a static program, calls to get the address of one.
//!
//! A resolver's own code runs once and returns to the engine, which then knows the function's own code. What the guest
//! gets to know is an address that stands for the function (`Targets::resolve`).

use crate::context::{Thread, gpr};
use crate::process_end::RETURN_TO_ENGINE;
use crate::state::Engine;
use crate::{code, guest_mem, own_code};

/// Where resolvers return to; nothing can be mapped there.
pub const RETURN: u64 = RETURN_TO_ENGINE + 32;

/// A resolver that runs: its pc, the stack pointer at its entry, and where its caller goes on.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    pc: u64,
    sp: u64,
    back: u64,
}

/// Resolvers that run, in the order of their calls. They may call functions that have to be resolved first.
#[derive(Debug, Default)]
pub struct Running {
    runs: [Run; 8],
    count: usize,
}

impl Running {
    /// False when there are too many.
    fn push(&mut self, run: Run) -> bool {
        let Some(place) = self.runs.get_mut(self.count) else { return false };
        *place = run;
        self.count += 1;
        true
    }

    /// The run that returns to a stack pointer. Those inside it have been left by a jump.
    fn take(&mut self, sp: u64) -> Option<Run> {
        let at = self.runs[..self.count].iter().rposition(|run| run.sp.wrapping_add(8) == sp)?;
        self.count = at;
        Some(self.runs[at])
    }
}

/// The guest calls a resolver.
pub(super) fn entered(engine: &'static Engine, thread: &mut Thread) -> u64 {
    let (pc, sp) = (thread.context.pc, thread.context.regs[gpr::RSP]);
    if let Some(answer) = engine.strings.lock().resolved(pc) {
        return answer;
    }
    // It is RETURN when a signal came between this and the resolver's first instruction.
    if let Some(back) = guest_mem::read_u64(sp)
        && back != RETURN
        && thread.strings.resolving.push(Run { pc, sp, back })
        && !guest_mem::write_u64(sp, RETURN)
    {
        thread.strings.resolving.take(sp.wrapping_add(8));
    }
    own_code::run(engine, thread, pc)
}

/// The guest has returned to [`RETURN`]. False when no resolver can have done that.
pub fn returned(engine: &Engine, thread: &mut Thread) -> bool {
    let Some(run) = thread.strings.resolving.take(thread.context.regs[gpr::RSP]) else { return false };
    let found = thread.context.regs[gpr::RAX];
    let mut targets = engine.strings.lock();
    let answer = if found == 0 { None } else { targets.resolve(run.pc, found) };
    drop(targets);
    if let Some(answer) = answer {
        // What begins there may have been translated as a part of the resolver.
        code::discard(engine, answer, answer + 1);
        thread.context.regs[gpr::RAX] = answer;
    }
    thread.context.pc = run.back;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_from_the_innermost_on() {
        let mut running = Running::default();
        let run = |n: u64| Run { pc: n, sp: 1000 - 16 * n, back: n };
        for n in 0..8 {
            assert!(running.push(run(n)));
        }
        assert!(!running.push(run(9)), "full");
        let mut pc = |sp| running.take(sp).map(|run| run.pc);
        assert_eq!(pc(1000 - 16 * 7 + 8), Some(7));
        assert_eq!(pc(1000 - 16 * 4 + 8), Some(4), "5 and 6 were left");
        assert_eq!(pc(1000 - 16 * 5 + 8), None);
        assert_eq!(pc(1008), Some(0));
        assert_eq!(pc(1008), None);
    }
}

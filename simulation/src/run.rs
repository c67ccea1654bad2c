//! A run: its form, how the models want it, and what it has cost.

use alloc::boxed::Box;
use alloc::vec;
use models::{Caches, Counts, Event, Segment};
use translate::accesses::Form;
use translate::references::Kind;
use translate::references::branch::Branch;

/// The events that each execution of a run has as often, besides instructions: two in each of two words, the first one in the low
/// half.
pub(crate) const EACH: [Event; 4] = [Event::Dr, Event::Dw, Event::Bc, Event::Bi];

/// What is needed of a run whenever it was executed, in a line of the processor's caches: a program has thousands of them.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Hot {
    pub(crate) start: u64,
    /// Whole ones.
    pub(crate) executions: u64,
    pub(crate) each: [u64; 2],
    pub(crate) lines: (u64, u32),
    /// First of its accesses, and how many.
    pub(crate) accesses: (u32, u16),
    pub(crate) words: u16,
    /// To which its counts belong: see [`Simulation`](crate::Simulation).
    pub(crate) generation: u32,
    /// It does more than make accesses that general registers say.
    pub(crate) is_rare: bool,
    /// It ends in a branch that is simulated.
    pub(crate) branches: bool,
}

impl Hot {
    pub(crate) fn new(run: &Run, first: usize, branches: bool) -> Hot {
        let mut each = vec![Counts::default(); run.form.pieces.len()];
        run.segment.add_executions(1, &mut each);
        let sum = |event: Event| each.iter().map(|counts| counts[event]).sum::<u64>();
        let [reads, writes, conditional, indirect] = EACH.map(sum);
        Hot {
            start: run.form.start,
            executions: 0,
            each: [reads | writes << 32, conditional | indirect << 32],
            lines: run.segment.lines(),
            accesses: (first as u32, run.form.accesses.len() as u16),
            words: run.form.words,
            generation: NEVER,
            is_rare: run.is_artificial || run.form.is_special() || run.form.sets_base(),
            branches: branches && run.form.branch.is_some(),
        }
    }
}

/// The generation of what was never executed.
const NEVER: u32 = u32::MAX;

/// All else.
pub(crate) struct Run {
    pub(crate) form: Form,
    pub(crate) segment: Segment,
    /// Of each instruction, without what follows from the executions; empty as long as it has none.
    pub(crate) costs: Box<[Counts]>,
    /// It has branches where the processor has none.
    pub(crate) is_artificial: bool,
}

impl Run {
    pub(crate) fn new(form: Form, caches: &Caches) -> Run {
        let mut builder = caches.segment();
        let mut accesses = form.accesses.iter().peekable();
        for (i, piece) in form.pieces.iter().enumerate() {
            builder.instruction(form.start.wrapping_add(piece.offset.into()), piece.length.into());
            while let Some(access) = accesses.next_if(|access| usize::from(access.instruction) == i) {
                match access.kind {
                    Kind::Read => builder.read(access.size.into()),
                    Kind::Write => builder.write(access.size.into()),
                    Kind::Modify => builder.modify(access.size.into()),
                }
            }
        }
        match form.branch {
            Some(Branch::Conditional) => builder.conditional(),
            Some(Branch::Indirect) => builder.indirect(),
            None => (),
        }
        Run {
            segment: builder.finish(),
            costs: Box::default(),
            is_artificial: form.pieces.iter().any(|piece| piece.artificial.is_some()),
            form,
        }
    }

    /// The same code, which has cost nothing.
    pub(crate) fn fork(&self) -> Run {
        Run { form: self.form.clone(), segment: self.segment.clone(), costs: Box::default(), ..*self }
    }

    /// What each instruction has cost that was executed, by its address, with so many executions.
    pub(crate) fn total(&self, executions: u64) -> impl Iterator<Item = (u64, Counts)> {
        let mut costs = self.costs.clone();
        self.segment.add_executions(executions, &mut costs);
        let pcs = self.form.pieces.iter().map(|piece| self.form.start.wrapping_add(piece.offset.into()));
        let all = pcs.zip(costs.into_vec());
        all.filter(|(_, counts)| Event::ALL.iter().any(|event| counts[*event] != 0))
    }
}

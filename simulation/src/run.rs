//! A run: its form, how the models want it, and what it has cost.

use alloc::boxed::Box;
use alloc::vec;
use models::{Caches, Counts, Event, Segment};
use translate::accesses::Form;
use translate::references::Kind;
use translate::references::branch::Branch;

/// A run.
pub(crate) struct Run {
    pub(crate) form: Form,
    pub(crate) segment: Segment,
    /// Of each instruction, without what follows from the executions.
    pub(crate) costs: Box<[Counts]>,
    /// Whole ones.
    pub(crate) executions: u64,
    /// To which its counts belong: see [`Simulation`](crate::Simulation).
    pub(crate) generation: u32,
    /// What each execution costs, besides misses and instructions.
    pub(crate) each: Box<[(Event, u64)]>,
    /// It has branches where the processor has none.
    pub(crate) is_artificial: bool,
    /// It does more than make accesses that general registers say.
    pub(crate) is_rare: bool,
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
        let segment = builder.finish();
        let mut each = vec![Counts::default(); form.pieces.len()];
        segment.add_executions(1, &mut each);
        let each = each.into_iter().fold(Counts::default(), |mut sum, counts| {
            sum += counts;
            sum
        });
        let occurring = Event::ALL.iter().filter(|event| **event != Event::Ir && each[**event] != 0);
        Run {
            each: occurring.map(|event| (*event, each[*event])).collect(),
            segment,
            costs: vec![Counts::default(); form.pieces.len()].into_boxed_slice(),
            executions: 0,
            generation: 0,
            is_artificial: form.pieces.iter().any(|piece| piece.artificial.is_some()),
            is_rare: form.is_special() || form.sets_base(),
            form,
        }
    }

    /// What each instruction has cost that was executed, by its address.
    pub(crate) fn total(&self) -> impl Iterator<Item = (u64, Counts)> {
        let mut costs = self.costs.clone();
        self.segment.add_executions(self.executions, &mut costs);
        let pcs = self.form.pieces.iter().map(|piece| self.form.start.wrapping_add(piece.offset.into()));
        let all = pcs.zip(costs.into_vec());
        all.filter(|(_, counts)| Event::ALL.iter().any(|event| counts[*event] != 0))
    }

    /// Something of it is about to be counted: what was forgotten since is cleared now.
    #[inline]
    pub(crate) fn begin(&mut self, generation: u32) {
        if self.generation != generation {
            self.clear(generation);
        }
    }

    #[cold]
    fn clear(&mut self, generation: u32) {
        self.generation = generation;
        self.executions = 0;
        self.costs.fill(Counts::default());
    }
}

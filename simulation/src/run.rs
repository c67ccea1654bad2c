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
        Run {
            segment: builder.finish(),
            costs: vec![Counts::default(); form.pieces.len()].into_boxed_slice(),
            executions: 0,
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

    pub(crate) fn clear(&mut self) {
        self.executions = 0;
        self.costs.fill(Counts::default());
    }
}

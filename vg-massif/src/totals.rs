//! What a process allocated altogether, and each of its stacks.
//!
//! Rules, which are heaptrack's: each call that gives a block counts, also a realloc, which takes one, too; a block is temporary when it is
//! taken and nothing was given or taken since it was given.

use crate::heap::Heap;
use crate::profile::{Events, Settings, Step};
use schema::{HeapEvent, Op};
use std::collections::BTreeMap;
use std::ops::{AddAssign, ControlFlow};

/// Sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that gave a block.
    pub calls: u64,
    /// Bytes that were asked for in these.
    pub bytes: u64,
    /// Of these blocks those that were temporary.
    pub temporary: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.calls += other.calls;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.temporary += other.temporary;
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Totals {
    /// By stack.
    pub by_stack: BTreeMap<u32, Counts>,
    /// The heap as it was left.
    pub end: Heap,
}

impl Totals {
    /// Of the events of a process; `is_ignored` tells of a stack whether its allocations do not count.
    pub fn of(events: &Events<'_>, settings: Settings, is_ignored: impl FnMut(u32) -> bool) -> Totals {
        let mut by_stack = BTreeMap::new();
        // Address and stack of the block that was given last, if nothing was taken since.
        let mut last = None;
        let (_, end) = events.replay(settings, is_ignored, |step, _, _| {
            if let Step::Changed(event) = step {
                count(&mut by_stack, &mut last, event);
            }
            ControlFlow::Continue(())
        });
        Totals { by_stack, end }
    }

    /// Of all stacks.
    pub fn all(&self) -> Counts {
        let mut all = Counts::default();
        self.by_stack.values().for_each(|counts| all += *counts);
        all
    }
}

fn count(by_stack: &mut BTreeMap<u32, Counts>, last: &mut Option<(u64, u32)>, event: &HeapEvent) {
    let taken = match event.op {
        Op::Free => Some(event.address),
        Op::Realloc => Some(event.old_address),
        Op::Alloc | Op::Other(_) => None,
    };
    if let Some(taken) = taken
        && let Some((_, stack)) = last.take().filter(|(address, _)| *address == taken)
    {
        by_stack.entry(stack).or_default().temporary += 1;
    }
    if matches!(event.op, Op::Alloc | Op::Realloc) {
        *by_stack.entry(event.stack).or_default() += Counts { calls: 1, bytes: event.size, temporary: 0 };
        *last = Some((event.address, event.stack));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TimeUnit;
    use crate::profile;
    use crate::snapshots::Rules;

    fn event(op: Op, address: u64, size: u64, old_address: u64) -> HeapEvent {
        HeapEvent { stack: address as u32, ..profile::tests::event(op, address, size, old_address) }
    }

    #[test]
    fn what_is_taken_at_once_is_temporary() {
        let events = [
            event(Op::Alloc, 1, 10, 0),
            event(Op::Free, 1, 0, 0),
            // Not this one, since another was given meanwhile; that one is.
            event(Op::Alloc, 2, 10, 0),
            event(Op::Alloc, 3, 20, 0),
            event(Op::Free, 3, 0, 0),
            event(Op::Free, 2, 0, 0),
            // Each of these but the last.
            event(Op::Alloc, 4, 1, 0),
            event(Op::Realloc, 5, 2, 4),
            event(Op::Realloc, 6, 3, 5),
            event(Op::Free, 99, 0, 0),
            event(Op::Free, 99, 0, 0),
        ];
        let rules = Rules { max_snapshots: 100, detailed_freq: 1, peak_inaccuracy: 0.0 };
        let settings = Settings { unit: TimeUnit::Bytes, heap_admin: 0, rules };
        let totals = Totals::of(&Events { pieces: &[&events], began: 0 }, settings, |_| false);
        assert_eq!(totals.all(), Counts { calls: 6, bytes: 46, temporary: 4 });
        let temporary: Vec<u32> =
            totals.by_stack.iter().filter(|(_, one)| one.temporary > 0).map(|(stack, _)| *stack).collect();
        assert_eq!(temporary, [1, 3, 4, 5]);
        assert_eq!((totals.end.bytes, totals.end.count()), (3, 1));
    }
}

//! From the heap events of a process, in order, to its snapshots: when Massif looks at the heap.
//!
//! Rules: the first snapshot is taken before anything is allocated. A free, and a realloc to fewer bytes, is preceded by a
//! look for a peak; every event is followed by one for a normal snapshot. Events of ignored blocks change nothing. Blocks
//! of memory pools lie in other blocks and do not count, those that a program announces as malloc-like do.

use crate::clock::Clock;
use crate::heap::Heap;
use crate::options::TimeUnit;
use crate::snapshots::{Moment, Rules, Snapshot, Snapshots};
use schema::{Family, HeapEvent, Op};

/// What the snapshots depend on.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Of all times.
    pub unit: TimeUnit,
    /// Admin bytes of a block.
    pub heap_admin: u64,
    /// Of the array.
    pub rules: Rules,
}

/// The snapshots of a process that began at `began` (nanoseconds of the recording). The last one of `pieces` holds its own
/// events; between two pieces it was forked. `is_ignored` tells of a stack whether its allocations do not count.
pub fn snapshots(
    pieces: &[&[HeapEvent]],
    began: u64,
    settings: Settings,
    mut is_ignored: impl FnMut(u32) -> bool,
) -> Vec<Snapshot> {
    let mut clock = Clock::new(settings.unit, began);
    let mut heap = Heap::new(settings.heap_admin);
    let mut snapshots = Snapshots::new(settings.rules);
    let moment = |heap: &Heap, clock: &Clock| Moment {
        time: clock.now(heap.turnover),
        bytes: heap.bytes,
        extra: heap.extra,
    };
    snapshots.changed(moment(&heap, &clock), Vec::new);
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            clock.fork();
        }
        for event in piece.iter().filter(|event| event.family != Family::Pool) {
            clock.advance(event.time, event.thread, event.instructions);
            let gives_back = match event.op {
                Op::Free => heap.counts(event.address),
                Op::Realloc => heap.size(event.old_address).is_some_and(|size| event.size < size),
                Op::Alloc | Op::Other(_) => false,
            };
            if gives_back {
                snapshots.before_shrinking(moment(&heap, &clock), || heap.by_stack());
            }
            let has_changed = match event.op {
                Op::Alloc => heap.allocate(event.address, event.size, event.stack, is_ignored(event.stack)),
                Op::Free => heap.free(event.address),
                Op::Realloc => {
                    let ignored = is_ignored(event.stack);
                    heap.reallocate(event.old_address, event.address, event.size, event.stack, ignored)
                }
                Op::Other(_) => false,
            };
            if has_changed {
                snapshots.changed(moment(&heap, &clock), || heap.by_stack());
            }
        }
    }
    snapshots.finish()
}

#[cfg(test)]
mod tests;

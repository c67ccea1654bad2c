//! From the heap events of a process, in order, to what its heap was: when Massif looks at it, and at any one moment.
//!
//! Rules: the first snapshot is taken before anything is allocated. A free, and a realloc to fewer bytes, is preceded by a
//! look for a peak; every event is followed by one for a normal snapshot. Events of ignored blocks change nothing. Blocks
//! of memory pools lie in other blocks and do not count, those that a program announces as malloc-like do.

use crate::clock::Clock;
use crate::heap::Heap;
use crate::options::{At, TimeUnit};
use crate::snapshots::{Moment, Rules, Snapshot, Snapshots};
use schema::{Family, HeapEvent, Op};
use std::ops::ControlFlow;

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

/// Where the events stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'e> {
    /// In front of all.
    Begins,
    /// The next one gives memory back.
    Shrinks,
    /// This one has changed the heap.
    Changed(&'e HeapEvent),
}

/// The heap events of a process.
#[derive(Debug, Clone, Copy)]
pub struct Events<'e> {
    /// The last piece holds its own; between two it was forked.
    pub pieces: &'e [&'e [HeapEvent]],
    /// When the first of its programs began, in nanoseconds of the recording.
    pub began: u64,
}

impl Events<'_> {
    /// Lets the heap become what it was, step by step, until `look` breaks; then the time and the heap. `is_ignored` tells of a stack
    /// whether its allocations do not count.
    pub fn replay(
        &self,
        settings: Settings,
        mut is_ignored: impl FnMut(u32) -> bool,
        mut look: impl FnMut(Step<'_>, Moment, &Heap) -> ControlFlow<()>,
    ) -> (Moment, Heap) {
        let mut clock = Clock::new(settings.unit, self.began);
        let mut heap = Heap::new(settings.heap_admin);
        let moment = |heap: &Heap, clock: &Clock| Moment {
            time: clock.now(heap.turnover),
            bytes: heap.bytes,
            extra: heap.extra,
        };
        let mut is_over = look(Step::Begins, moment(&heap, &clock), &heap).is_break();
        for (number, piece) in self.pieces.iter().enumerate() {
            if number > 0 {
                clock.fork();
            }
            for event in piece.iter().filter(|event| event.family != Family::Pool) {
                if is_over {
                    return (moment(&heap, &clock), heap);
                }
                clock.advance(event.time, event.thread, event.instructions);
                let gives_back = match event.op {
                    Op::Free => heap.counts(event.address),
                    Op::Realloc => heap.size(event.old_address).is_some_and(|size| event.size < size),
                    Op::Alloc | Op::Other(_) => false,
                };
                if gives_back {
                    // Who breaks here sees the event itself, too.
                    is_over = look(Step::Shrinks, moment(&heap, &clock), &heap).is_break();
                }
                let has_changed = match event.op {
                    Op::Alloc => {
                        heap.allocate(event.address, event.size, event.stack, is_ignored(event.stack))
                    }
                    Op::Free => heap.free(event.address),
                    Op::Realloc => {
                        let ignored = is_ignored(event.stack);
                        heap.reallocate(event.old_address, event.address, event.size, event.stack, ignored)
                    }
                    Op::Other(_) => false,
                };
                if has_changed {
                    is_over |= look(Step::Changed(event), moment(&heap, &clock), &heap).is_break();
                }
            }
        }
        (moment(&heap, &clock), heap)
    }

    /// Massif's snapshots.
    pub fn snapshots(&self, settings: Settings, is_ignored: impl FnMut(u32) -> bool) -> Vec<Snapshot> {
        let mut snapshots = Snapshots::new(settings.rules);
        self.replay(settings, is_ignored, |step, now, heap| {
            match step {
                Step::Begins => snapshots.changed(now, Vec::new),
                Step::Shrinks => snapshots.before_shrinking(now, || heap.by_stack()),
                Step::Changed(_) => snapshots.changed(now, || heap.by_stack()),
            }
            ControlFlow::Continue(())
        });
        snapshots.finish()
    }

    /// The heap at a moment: as the last event until then has left it.
    pub fn at(&self, at: At, settings: Settings, mut is_ignored: impl FnMut(u32) -> bool) -> Snapshot {
        // Which change leads there is known only when all are: an event may last for some time, in bytes.
        let (mut changes, mut wanted, mut most) = (0u64, 0, 0);
        self.replay(settings, &mut is_ignored, |step, now, _| {
            if matches!(step, Step::Changed(_)) {
                changes += 1;
                let total = now.bytes.saturating_add(now.extra);
                let is_wanted = match at {
                    At::Peak => total > most,
                    At::End => true,
                    At::Time(time) => now.time <= time,
                };
                if is_wanted {
                    (wanted, most) = (changes, total);
                }
            }
            ControlFlow::Continue(())
        });
        let mut left = wanted;
        let (now, heap) = self.replay(settings, is_ignored, |step, _, _| {
            left -= u64::from(matches!(step, Step::Changed(_)));
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        Snapshot {
            time: now.time,
            bytes: now.bytes,
            extra: now.extra,
            is_peak: at == At::Peak,
            detail: Some(heap.by_stack()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

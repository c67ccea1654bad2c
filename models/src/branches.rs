//! The branch predictors of Cachegrind (`cg_branchpred.c`), which Callgrind has, too.
//!
//! Conditional branches: 2^14 counters of two bits, indexed by the outcomes of the last seven branches above the low
//! seven bits of the address; from 2 on a counter predicts "taken". Indirect branches: 512 targets, indexed by the low
//! nine bits of the address; what was seen last is predicted. Returns are taken to be predicted always, and are not seen
//! here. Cleared memory is the beginning of both. What always holds: tables and caches know nothing of each other.

use crate::events::{Event, Events, Sink};
use crate::segment::{Branch, Segment};
use alloc::boxed::Box;
use alloc::vec;

const HISTORY_BITS: u32 = 7;
const ADDRESS_BITS: u32 = 7;
const TARGET_BITS: u32 = 9;

/// The state of both predictors, 20 KiB, which are allocated when it is made.
#[derive(Debug, Clone)]
pub struct Branches {
    /// The latest outcome is the lowest bit; bits above the seventh are not looked at.
    history: usize,
    /// One in a byte.
    counters: Box<[u8]>,
    targets: Box<[u64]>,
}

impl Default for Branches {
    fn default() -> Branches {
        Branches::new()
    }
}

impl Branches {
    /// Predictors that have seen nothing.
    pub fn new() -> Branches {
        Branches {
            history: 0,
            counters: vec![0; 1 << (HISTORY_BITS + ADDRESS_BITS)].into_boxed_slice(),
            targets: vec![0; 1 << TARGET_BITS].into_boxed_slice(),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.history = 0;
        self.counters.fill(0);
        self.targets.fill(0);
    }

    /// The events of a conditional branch at `pc`.
    pub fn conditional(&mut self, pc: u64, taken: bool) -> Events {
        let missed = self.misses_outcome(pc, taken);
        Events::of(if missed { &[Event::Bc, Event::Bcm] } else { &[Event::Bc] })
    }

    /// The events of an indirect jump or call at `pc`.
    pub fn indirect(&mut self, pc: u64, target: u64) -> Events {
        let missed = self.misses_target(pc, target);
        Events::of(if missed { &[Event::Bi, Event::Bim] } else { &[Event::Bi] })
    }

    /// Simulates the branch at the end of a segment, behind which the instruction at `next` was executed, and tells
    /// `sink` if it was mispredicted; `Bc` and `Bi` follow from how often the segment was executed.
    pub fn run<S: Sink + ?Sized>(&mut self, segment: &Segment, next: u64, sink: &mut S) {
        let missed = match segment.branch {
            None => return,
            Some((pc, Branch::Conditional(behind))) => {
                self.misses_outcome(pc, next != behind).then_some(Event::Bcm)
            }
            Some((pc, Branch::Indirect)) => self.misses_target(pc, next).then_some(Event::Bim),
        };
        if let Some(event) = missed {
            sink.add(segment.instructions() - 1, Events::of(&[event]));
        }
    }

    #[inline]
    fn misses_outcome(&mut self, pc: u64, taken: bool) -> bool {
        let low = |value: usize, bits: u32| value & ((1 << bits) - 1);
        let index = low(self.history, HISTORY_BITS) << ADDRESS_BITS | low(pc as usize, ADDRESS_BITS);
        let counter = &mut self.counters[index];
        let predicted = *counter >= 2;
        *counter = if taken { (*counter + 1).min(3) } else { counter.saturating_sub(1) };
        self.history = self.history << 1 | usize::from(taken);
        predicted != taken
    }

    #[inline]
    fn misses_target(&mut self, pc: u64, target: u64) -> bool {
        let known = &mut self.targets[pc as usize & ((1 << TARGET_BITS) - 1)];
        core::mem::replace(known, target) != target
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::Modify;
    use crate::events::Counts;
    use crate::segment::SegmentBuilder;

    fn missed(branches: &mut Branches, pc: u64, taken: bool) -> bool {
        branches.conditional(pc, taken).contains(Event::Bcm)
    }

    #[test]
    fn a_counter_predicts_from_its_second_step_on_and_saturates() {
        // Each other outcome is another counter, but for a history of zeros only.
        let mut branches = Branches::new();
        let mut at_zero_history = |taken| {
            for _ in 0..7 {
                branches.conditional(1, false);
            }
            missed(&mut branches, 2, taken)
        };
        assert!(at_zero_history(true) && at_zero_history(true), "0 and 1 predict what is not taken");
        assert!(!at_zero_history(true) && !at_zero_history(true) && !at_zero_history(true));
        assert!(at_zero_history(false) && at_zero_history(false), "3 and 2 predict what is taken");
        assert!(!at_zero_history(false) && !at_zero_history(false));
        assert!(at_zero_history(true));
    }

    #[test]
    fn seven_outcomes_and_seven_bits_of_the_address_choose_the_counter() {
        // Taken every eighth time: with seven outcomes in the index that is learnt, every ninth time it is not.
        let wrong = |period: u64, pc: &dyn Fn(u64) -> u64| {
            let mut branches = Branches::new();
            (0..period * 100).filter(|i| missed(&mut branches, pc(*i), i % period == 0)).count()
        };
        assert_eq!(wrong(8, &|_| 0x40), 2);
        assert_eq!(wrong(9, &|_| 0x40), 100);
        assert_eq!(wrong(8, &|i| 0x40 + ((i % 3) << 7)), 2, "higher bits of the address make no difference");
        assert_eq!(wrong(8, &|i| 0x40 + i % 3), 6, "the lowest do");
    }

    #[test]
    fn the_last_target_is_predicted() {
        let mut branches = Branches::new();
        let mut missed = |pc, target| branches.indirect(pc, target).contains(Event::Bim);
        assert!(missed(0x1000, 7) && !missed(0x1000, 7) && missed(0x1000, 8));
        assert!(!missed(0x1200, 8), "512 bytes further is the same entry");
        assert!(missed(0x1001, 8) && !missed(0x1000, 8));
    }

    #[test]
    fn a_segment_tells_what_was_mispredicted() {
        let mut branches = Branches::new();
        let segment = |conditional| {
            let mut builder = SegmentBuilder::new(6, 64, Modify::Write);
            builder.instruction(0x1000, 3);
            builder.instruction(0x1003, 2);
            if conditional {
                builder.conditional()
            } else {
                builder.indirect()
            }
            builder.finish()
        };
        let (conditional, indirect) = (segment(true), segment(false));
        let mut costs = [Counts::default(); 2];
        branches.run(&conditional, 0x1005, &mut costs[..]);
        assert_eq!(costs[1][Event::Bcm], 0);
        branches.run(&conditional, 0x900, &mut costs[..]);
        assert_eq!((costs[1][Event::Bcm], costs[0][Event::Bcm]), (1, 0));
        branches.run(&indirect, 0x1005, &mut costs[..]);
        branches.run(&indirect, 0x1005, &mut costs[..]);
        assert_eq!(costs[1][Event::Bim], 1);
        assert!(branches.conditional(0x1003, true).contains(Event::Bcm));
        branches.clear();
        assert!(branches.indirect(0x1003, 0x1005).contains(Event::Bim));
    }
}

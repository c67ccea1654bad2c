//! Which rounds of a repeated string instruction can make a difference to models.
//!
//! `rep movsb` of a page is 8192 accesses, of which 128 go to another line than the one before. A round whose operands lie where those
//! of the round before lie finds their lines used last, and in the same order: nothing changes. That holds where the lines of one round
//! find room in one set, and no level has to know of each write. Predictors know as little of a round that comes behind enough of its
//! like: [`LEARNT`].

use crate::caches::REGISTER_MAX;

/// Rounds of the same branches behind which predictors are right, and stay as they are: seven outcomes are their history, and a counter
/// has three steps (rules of [`crate::Branches`]); where a round has two branches the counters take turns, each once a round.
pub const LEARNT: u64 = 7 + 3;

/// One operand of a repeated string instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// Of the first round.
    pub address: u64,
    /// Bytes.
    pub size: u32,
    /// Whether it is written, or else read.
    pub written: bool,
}

/// Which rounds make a difference to caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Each may.
    Each,
    /// One with an operand in another block of [`REGISTER_MAX`] bytes, which no line is shorter than, than in the round before.
    Moves {
        /// How many operands find room in one set.
        ways: usize,
    },
}

/// A repeated string instruction.
#[derive(Debug, Clone, Copy)]
pub struct Repeat<'a> {
    /// In the order of their accesses: see [`crate::accesses`].
    pub operands: &'a [Operand],
    /// Bytes by which each moves from round to round; negative where the direction flag is set.
    pub step: i64,
    /// How many rounds are made.
    pub rounds: u64,
}

impl Repeat<'_> {
    /// The accesses of the rounds that make a difference, with their addresses.
    pub fn accesses(&self, changes: Changes, mut access: impl FnMut(&Operand, u64)) {
        let mut round = 0u64;
        while round < self.rounds {
            let moved = (self.step as u64).wrapping_mul(round);
            for operand in self.operands {
                access(operand, operand.address.wrapping_add(moved));
            }
            round = round.saturating_add(self.alike(changes, moved).saturating_add(1));
        }
    }

    /// How many rounds make no difference behind the one that lies this far from the first.
    fn alike(&self, changes: Changes, moved: u64) -> u64 {
        match changes {
            Changes::Moves { ways } if self.operands.len() <= ways => (),
            _ => return 0,
        }
        let block = u64::from(REGISTER_MAX);
        let left = self.operands.iter().map(|operand| {
            let begin = operand.address.wrapping_add(moved) % block;
            let end = begin + u64::from(operand.size);
            let room = if self.step < 0 { begin } else { block.saturating_sub(end) };
            // One that reaches into the next block uses two lines.
            if end > block { 0 } else { room.checked_div(self.step.unsigned_abs()).unwrap_or(u64::MAX) }
        });
        left.min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caches::{Caches, Options};
    use crate::detect::Shapes;
    use crate::events::{Counts, Event};
    use crate::geometry::Geometry;
    use crate::{Branches, Events};

    fn shapes(ways: u32, line: u32) -> Shapes {
        let level = |sets: u32| Geometry::new(sets * ways * line, ways, line).unwrap();
        Shapes { i1: level(2), d1: level(2), ll: level(8) }
    }

    #[test]
    fn what_is_left_out_makes_no_difference() {
        let mut left_out = 0;
        let mut state = 88_172_645_463_325_252u64;
        for case in 0..4000u32 {
            let mut random = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 8) % below
            };
            let options =
                Options { write_back: random(4) == 0, prefetch: random(4) == 0, ..Options::default() };
            let shapes = shapes(1 << random(3), 32 << random(2));
            let mut caches = [0, 1].map(|_| Caches::new(&shapes, options).unwrap());
            let mut events = [Counts::default(); 2];
            for _ in 0..6 {
                let size = 1 << random(4);
                let operand = |written, address| Operand { address: 0x1000 + address, size, written };
                let operands = [operand(false, random(0x400)), operand(true, random(0x400))];
                let operands = &operands[..1 + random(2) as usize];
                let step = if random(2) == 0 { i64::from(size) } else { -i64::from(size) };
                let repeat = Repeat { operands, step, rounds: random(80) };
                let all = [Changes::Each, caches[0].changes()];
                for ((caches, events), changes) in caches.iter_mut().zip(&mut events).zip(all) {
                    let mut told = 0;
                    repeat.accesses(changes, |operand, address| {
                        told += 1;
                        let implied = Events::of(&[Event::Dr, Event::Dw]);
                        *events += match operand.written {
                            true => caches.write(address, size).without(implied),
                            false => caches.read(address, size).without(implied),
                        };
                    });
                    assert!(changes != Changes::Each || told == repeat.rounds * operands.len() as u64);
                    left_out += repeat.rounds * operands.len() as u64 - told;
                }
            }
            assert_eq!(events[0], events[1], "{case}: {shapes:?} {options:?}");
        }
        assert!(left_out > 100_000, "{left_out}");
    }

    #[test]
    fn no_round_and_very_many() {
        let operands = [Operand { address: 0x1000, size: 8, written: true }];
        let count = |step, rounds| {
            let mut told = 0;
            Repeat { operands: &operands, step, rounds }
                .accesses(Changes::Moves { ways: 1 }, |_, _| told += 1);
            told
        };
        assert_eq!(
            (count(8, 0), count(8, 4), count(8, 5), count(-8, 2), count(0, u64::MAX)),
            (0, 1, 2, 2, 1)
        );
    }

    #[test]
    fn predictors_have_learnt() {
        for before in 0..128u32 {
            for pattern in [&[true][..], &[false, true], &[false, false]] {
                let mut branches = Branches::new();
                // Any history, and counters that have seen everything else.
                for round in 0..1000u64 {
                    branches.conditional(3, round * u64::from(before) % 3 == 0);
                }
                for bit in 0..7 {
                    branches.conditional(3, before >> bit & 1 == 1);
                }
                for round in 0..3 * LEARNT {
                    for taken in pattern {
                        let missed = branches.conditional(3, *taken).contains(Event::Bcm);
                        assert!(!missed || round < LEARNT, "{before:#b} {pattern:?} {round}");
                    }
                }
            }
        }
    }
}

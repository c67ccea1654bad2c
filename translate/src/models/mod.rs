//! Models of caches and branch predictors in emitted code: what is where it was last, and what is predicted, is seen to here; all
//! else is the engine's.
//!
//! The models are the thread's and lie behind its context ([`Models`]). Of each level-1 cache there are its sets, each with the addresses of its
//! lines in the order of their last use. An access whose line is the one that was used last in its set changes nothing, and
//! nothing is left to do: hits are not counted, since accesses follow from how often each segment is executed. All others go to a stub
//! ([`search`]), which moves the line to the front and puts a miss down, a thousand of which are told to the engine at once. Predictors need
//! no engine, either: whether a branch was mispredicted is added to a counter of its own.
//!
//! In Perl 87 of 100 accesses are to the line that was used last in their set. With the time of the last use in each place and a guess where a
//! line is, as in `models`, all hits but 1 of 100 were seen without a search, by twice as much code: 6.4 s instead of 4.9 s. So one that was used
//! last but one changes places with it in line with its look, out of the way.
//!
//! Rules: those of the crate `models`. What always holds: accesses are seen in the order of execution, fetches among them, each in front of
//! its instruction or of one before it in the same segment. An instruction that is interrupted and begun again is seen twice, which
//! changes only what was used last. Not here: accesses that depend on more than general registers, which are told of in the log
//! (`accesses`); the last level.

mod emit;
mod plan;
mod predict;
pub(crate) mod search;
#[cfg(test)]
mod tests;

pub(crate) use plan::ModelPlan;
pub use plan::{Costs, Site};
pub(crate) use predict::indirect;
pub use search::MOST_WAYS;

use crate::frames::{MOST_NODES, SPENT_BYTES};

/// A cache of the first level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// log2 of the bytes of a line.
    pub line_bits: u32,
    /// A power of two.
    pub sets: u32,
    /// Lines in a set.
    pub ways: u32,
}

/// Where such a cache lies behind the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// What it is.
    pub shape: Shape,
    /// Where the sets begin: addresses of lines, 64 bits each, the one used last first.
    pub sets: u32,
}

impl Level {
    /// log2 of the bytes from one set to the next.
    pub fn stride_bits(&self) -> u32 {
        (8 * self.shape.ways).next_power_of_two().ilog2()
    }

    /// Address of the line that holds an address.
    pub fn line(&self, address: u64) -> u64 {
        address & !((1 << self.shape.line_bits) - 1)
    }

    /// How far the set of a line lies behind the first one.
    pub fn set(&self, line: u64) -> u32 {
        ((line >> self.shape.line_bits) as u32 & (self.shape.sets - 1)) << self.stride_bits()
    }

    fn end(&self) -> u32 {
        self.sets + (self.shape.sets << self.stride_bits())
    }
}

/// The models of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Models {
    /// How far behind the context they begin.
    pub base: u32,
    /// I1 and D1, if they are simulated.
    pub caches: Option<[Level; 2]>,
    /// Whether predictors are.
    pub branches: bool,
    /// Bytes of the longest access that counts in full.
    pub access_max: u32,
    /// Where what is spent by context is counted, if it is: see [`frames::CURRENT`](crate::frames::CURRENT) and [`spent`].
    pub spent: Option<u32>,
}

/// What is spent in a context: numbers of quadwords. The first four are those of [`Costs`].
pub mod spent {
    /// Mispredicted conditional branches.
    pub const BCM: u32 = 4;
    /// And indirect ones.
    pub const BIM: u32 = 5;
}

/// Which cache of the first level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// I1.
    Fetch,
    /// D1.
    Data,
}

/// Distances from the beginning of the models.
pub mod place {
    /// Which access is searched for; in the byte above 32 bits, how far its last byte lies behind the first one; the next one is the search's.
    pub const ACCESS: u32 = 8;
    /// Outcomes of the last conditional branches, the last one in bit 1; one byte.
    pub const HISTORY: u32 = 16;
    /// Of a state and an outcome (state * 2 + outcome): the next state, in 8 bytes, and whether that was mispredicted, in 8 more.
    pub const STEPS: u32 = 24;
    /// Misses that have not been told to the last level yet: how many.
    pub const MISSES: u32 = 48;
    /// Targets of indirect branches by the low 9 bits of their addresses.
    pub const TARGETS: u32 = 64;
    /// States of conditional branches: a byte by the low 7 bits of the address, above `HISTORY`.
    pub const STATES: u32 = TARGETS + (8 << 9);
    /// Those misses: an address, what access it was, and where it is spent, 64 bits each, and as much that is not used.
    pub const MISSED: u32 = STATES + (1 << 15);
    /// Most of them.
    pub const MOST_MISSES: u32 = 1024;
    /// Behind all that does not depend on the caches' shapes.
    pub const LEVELS: u32 = MISSED + MISS_BYTES * MOST_MISSES;
    /// Bytes of such a miss.
    pub const MISS_BYTES: u32 = 32;
}

/// What [`place::STEPS`] holds: Valgrind's counters of two bits, which predict "taken" from 2 on.
pub const STEPS: [u8; 16] = {
    let mut steps = [0; 16];
    let mut at = 0;
    while at < 8 {
        let (state, taken) = (at as u8 / 2, at as u8 % 2);
        steps[at] = if taken == 1 { if state == 3 { 3 } else { state + 1 } } else { state.saturating_sub(1) };
        steps[at + 8] = (state >= 2) as u8 ^ taken;
        at += 1;
    }
    steps
};

impl Models {
    /// Behind what else is behind the context.
    pub fn new(
        base: u32,
        caches: Option<[Shape; 2]>,
        branches: bool,
        access_max: u32,
        spends: bool,
    ) -> Models {
        let base = base.next_multiple_of(64);
        let caches = caches.map(|[i1, d1]| {
            let i1 = Level { shape: i1, sets: (base + place::LEVELS).next_multiple_of(64) };
            [i1, Level { shape: d1, sets: i1.end().next_multiple_of(64) }]
        });
        let mut models = Models { base, caches, branches, access_max, spent: None };
        models.spent = spends.then(|| models.end());
        models
    }

    /// Behind all of it.
    pub fn end(&self) -> u32 {
        let levels = self.caches.map_or(self.base + place::LEVELS, |[_, d1]| d1.end());
        self.spent.map_or(levels.next_multiple_of(64), |spent| spent + SPENT_BYTES * MOST_NODES)
    }

    /// A cache.
    pub fn level(&self, which: Which) -> Option<&Level> {
        self.caches.as_ref().map(|[i1, d1]| if which == Which::Fetch { i1 } else { d1 })
    }

    /// How far the last byte of an access that counts lies behind its first one.
    pub fn span(&self, size: u32) -> u8 {
        u8::try_from(size.clamp(1, self.access_max.max(1)) - 1).unwrap_or(u8::MAX)
    }
}

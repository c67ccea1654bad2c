//! Models of caches and branch predictors in emitted code: what is where it was last, and what is predicted, is seen to here; all
//! else is the engine's.
//!
//! The models are the thread's and lie behind its context ([`Models`]). Of each level-1 cache there are its *places*, set by
//! set, each with the line that it holds and the time of its last use, and *guesses*, which say by the low bits of a line's number where it
//! lies. An access that finds its line where that is guessed sets the time, and nothing is left to do: hits are not counted, since
//! accesses follow from how often each segment is executed. One that does not asks the engine (`StubAddresses::access`), which
//! searches the set. Predictors need no engine: whether a branch was mispredicted is added to a counter of its own.
//!
//! Rules: those of the crate `models`. What always holds: accesses are seen in the order of execution, fetches among them, each in front of
//! its instruction or of one before it in the same segment. An instruction that is interrupted and begun again is seen twice, which
//! changes only what was used last. Not here: accesses that depend on more than general registers, which are told of in the log
//! (`accesses`); the last level.

mod emit;
mod plan;
mod predict;

pub(crate) use plan::ModelPlan;
pub use plan::{Costs, Site};
pub(crate) use predict::indirect;

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
    /// Bits of a line's number that its guess is found by.
    pub index_bits: u32,
    /// Where the guesses begin: distances in bytes from the first place, 32 bits each.
    pub guesses: u32,
    /// Where the places begin: a line's number and the time of its last use, 64 bits each.
    pub places: u32,
}

/// Bytes of a place.
pub const PLACE_BYTES: u32 = 16;

impl Level {
    /// At a distance from the context.
    fn new(shape: Shape, at: u32) -> Level {
        let index_bits = (4 * shape.sets * shape.ways).next_power_of_two().ilog2();
        Level { shape, index_bits, guesses: at, places: (at + (4 << index_bits)).next_multiple_of(64) }
    }

    fn end(&self) -> u32 {
        (self.places + PLACE_BYTES * self.shape.sets * self.shape.ways).next_multiple_of(64)
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
    /// The time: accesses so far, from 1 on.
    pub const TIME: u32 = 0;
    /// Of the access that the engine is asked about: its last byte's distance from the first one, how many were seen since the time was
    /// set last, above 8 bits, and, above 24, whether it is one of data.
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
    /// Those misses: an address, then what access it was, 64 bits each.
    pub const MISSED: u32 = STATES + (1 << 15);
    /// Most of them.
    pub const MOST_MISSES: u32 = 1024;
    /// Behind all that does not depend on the caches' shapes.
    pub const LEVELS: u32 = MISSED + 16 * MOST_MISSES;
}

/// What [`place::STEPS`] holds: Valgrind's counters of two bits, which predict "taken" from 2 on.
pub const STEPS: [u8; 16] = {
    let mut steps = [0; 16];
    let mut at = 0;
    while at < 8 {
        let (state, taken) = (at as u8 / 2, at as u8 % 2);
        steps[at] = if taken == 1 {
            if state == 3 { 3 } else { state + 1 }
        } else {
            state.saturating_sub(1)
        };
        steps[at + 8] = (state >= 2) as u8 ^ taken;
        at += 1;
    }
    steps
};

impl Models {
    /// Behind what else is behind the context.
    pub fn new(base: u32, caches: Option<[Shape; 2]>, branches: bool, access_max: u32) -> Models {
        let base = base.next_multiple_of(64);
        let caches = caches.map(|[i1, d1]| {
            let i1 = Level::new(i1, base + place::LEVELS);
            [i1, Level::new(d1, i1.end())]
        });
        Models { base, caches, branches, access_max }
    }

    /// Behind all of it.
    pub fn end(&self) -> u32 {
        self.caches.map_or(self.base + place::LEVELS, |[_, d1]| d1.end())
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

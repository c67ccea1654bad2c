//! What time it is at an event, in the unit of `--time-unit`.
//!
//! Instructions are those of all threads of the process: the last count that is known of each, added up. What the others
//! executed since their own last event is not in it yet, so with several threads the clock runs in steps.

use crate::options::TimeUnit;
use std::collections::HashMap;

/// The clock of a process.
#[derive(Debug)]
pub struct Clock {
    unit: TimeUnit,
    /// When the process began, in nanoseconds of the recording.
    began: u64,
    /// Instructions of each thread.
    threads: HashMap<u32, u64>,
    instructions: u64,
    milliseconds: u64,
    /// The next thread that is seen goes on with the count of the one that forked.
    has_forked: bool,
}

impl Clock {
    /// A clock at 0.
    pub fn new(unit: TimeUnit, began: u64) -> Clock {
        Clock { unit, began, threads: HashMap::new(), instructions: 0, milliseconds: 0, has_forked: false }
    }

    /// A thread had executed so many instructions at this time of the recording, in nanoseconds.
    pub fn advance(&mut self, time: u64, thread: u32, instructions: u64) {
        self.milliseconds = self.milliseconds.max(time.saturating_sub(self.began) / 1_000_000);
        if std::mem::take(&mut self.has_forked) {
            // Which thread forked is not told: the one with the most instructions that it can have been.
            let possible = self.threads.values().filter(|count| **count <= instructions);
            let inherited = possible.max().copied().unwrap_or_default();
            self.threads.insert(thread, inherited);
        }
        let known = self.threads.entry(thread).or_default();
        self.instructions = self.instructions.saturating_add(instructions.saturating_sub(*known));
        *known = instructions.max(*known);
    }

    /// What comes next happens in a child, whose first thread goes on where the one that forked was.
    pub fn fork(&mut self) {
        self.has_forked = true;
    }

    /// The time; `turnover`: bytes allocated and freed so far.
    pub fn now(&self, turnover: u64) -> u64 {
        match self.unit {
            TimeUnit::Instructions => self.instructions,
            TimeUnit::Milliseconds => self.milliseconds,
            TimeUnit::Bytes => turnover,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let at = |unit| {
            let mut clock = Clock::new(unit, 1_000_000);
            clock.advance(2_999_999, 1, 100);
            clock.advance(3_000_000, 2, 10);
            clock.advance(2_000_000, 1, 120);
            clock.now(7)
        };
        assert_eq!(at(TimeUnit::Instructions), 130);
        assert_eq!(at(TimeUnit::Milliseconds), 2);
        assert_eq!(at(TimeUnit::Bytes), 7);
    }

    #[test]
    fn a_child_goes_on_with_its_parents_count() {
        let mut clock = Clock::new(TimeUnit::Instructions, 0);
        clock.advance(0, 1, 1000);
        clock.advance(0, 2, 50);
        clock.fork();
        clock.advance(0, 3, 1100);
        assert_eq!(clock.now(0), 1150);
        clock.advance(0, 3, 1101);
        assert_eq!(clock.now(0), 1151);
    }
}

//! Direct jumps: how often they were executed, and how often taken.
//!
//! What always holds: none is taken more often than executed, and an unconditional one is taken each time. Not here: calls,
//! returns and indirect jumps, of which it is not known where each one led.

use super::{FunctionId, Place};

/// Which jumps are one. From a source that knows no instructions, those from one line to another are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jump {
    /// The function that it is in.
    pub function: FunctionId,
    /// Where it is written.
    pub site: Place,
    /// Its address in the module; 0 when it is not known.
    pub address: u64,
    /// Where it leads when it is taken. Not known where that was never executed.
    pub target: Place,
    /// The address of that.
    pub target_address: u64,
    /// It is taken only on a condition.
    pub conditional: bool,
    /// It leads out of its function: a call of another one at its end.
    pub leaves: bool,
}

/// How often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// It was executed.
    pub executed: u64,
    /// It was taken.
    pub taken: u64,
}

impl Times {
    /// Adds others of the same jump.
    pub fn add(&mut self, other: Times) {
        self.executed = self.executed.saturating_add(other.executed);
        self.taken = self.taken.saturating_add(other.taken);
    }
}

//! The whole stream of data accesses: runs of code, and the logs of what threads have executed of them.
//!
//! Here logs are as small as they are stored. Not here: what their numbers stand for (`trace.capnp` says it; the crate `simulation`
//! makes them and reads them).

use super::{Bytes, codes};

/// Whose models are meant: a process's, while it executes one program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Modelled {
    /// The process.
    pub process: u32,
    /// Number of the program in it, from 0; exec begins the next one.
    pub program: u32,
}

/// The next runs of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRuns {
    /// Whose they are.
    pub of: Modelled,
    /// Number of the first one.
    pub first: u32,
    /// The runs.
    pub runs: Vec<AccessRun>,
}

/// A run: code that is executed from its beginning, and mostly to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRun {
    /// Address of its first instruction in the process.
    pub start: u64,
    /// Words of a record of it.
    pub words: u16,
    /// Its instructions.
    pub code: Bytes,
}

/// What a thread has executed in one turn. At most 65536 heads, and as many words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLog {
    /// Whose models saw it.
    pub of: Modelled,
    /// The thread.
    pub thread: u32,
    /// Number of the series of logs that this one follows from, and others will from this one.
    pub series: u32,
    /// It costs; otherwise the models only see it.
    pub counts: bool,
    /// Base of FS at the beginning.
    pub fs: u64,
    /// Of GS.
    pub gs: u64,
    /// Which records there are, a number for each.
    pub heads: Vec<u64>,
    /// Their other words, less what is expected there.
    pub words: Vec<u64>,
}

codes! {
    /// What an [`AccessMark`] says.
    MarkKind: u16 {
        /// What was simulated up to here belongs to the part.
        Belongs = 0,
        /// What was simulated up to here counts for nothing.
        Forgotten = 1,
        /// A child begins as a copy of the process and its models.
        Forked = 2,
        /// What comes behind is lost.
        Lost = 3,
        /// Nothing comes behind.
        Ended = 4,
    }
}

/// Something between the logs of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessMark {
    /// Whose logs.
    pub of: Modelled,
    /// What it says.
    pub kind: MarkKind,
    /// The part, with [`MarkKind::Belongs`].
    pub part: u32,
    /// The child, with [`MarkKind::Forked`].
    pub child: u32,
    /// Where the code of all runs lies, by rising address, with [`MarkKind::Belongs`].
    pub places: Vec<CodeBase>,
}

/// Where code from an address on lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodeBase {
    /// The address.
    pub from: u64,
    /// Module as in frames; 0 for none.
    pub module: u32,
    /// What to take from addresses in the process for those in the module.
    pub bias: u64,
}

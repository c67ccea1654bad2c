//! Every system call of x86-64 Linux, by number; the syntax of a line is explained in `describe`.
//!
//! What always holds: each part is in the order of numbers (a test). Numbers 335 to 423 are those of other
//! architectures' calls, and the old tables' numbers from 512 on are x32's, which the engine does not run.

mod classic_table;
mod later_table;
mod newest_table;

use crate::describe::Call;

/// Calls 0 to 199, 200 to 334, and those since Linux 5.1.
pub(crate) static PARTS: [&[Call]; 3] = [classic_table::CALLS, later_table::CALLS, newest_table::CALLS];

#[cfg(test)]
mod tests;

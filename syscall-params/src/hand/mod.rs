//! What a line of the table cannot say: calls whose registers or memory depend on a command or on memory.
//!
//! What always holds: a function describes a call once, for both phases (`visit`). Counts from the guest are
//! held to the kernel's limits before they are loops. Not here: what arguments alone say; that is in `table`.

pub(crate) mod aio;
pub(crate) mod bpf;
pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod fcntl;
pub(crate) mod files;
pub(crate) mod futex;
pub(crate) mod ioctl;
mod ioctl_nested;
mod ioctl_table;
pub(crate) mod ipc;
pub(crate) mod keyctl;
pub(crate) mod modern;
pub(crate) mod numa;
pub(crate) mod poll;
pub(crate) mod prctl;
pub(crate) mod process;
pub(crate) mod ptrace;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod uring;
pub(crate) mod vectors;

#[cfg(test)]
mod tests;

/// The page size of x86-64.
const PAGE: u64 = 4096;

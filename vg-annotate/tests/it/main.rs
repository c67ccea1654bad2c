//! The real binary, by what it reads and writes.

mod contexts;
mod diff;
mod exports;
mod inputs;
mod jumps;
mod report;
mod support;

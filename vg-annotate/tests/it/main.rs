//! The real binary, by what it reads and writes.

mod inputs;
mod report;
mod support;

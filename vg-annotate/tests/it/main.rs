//! The real binary, by what it reads and writes.

mod contexts;
mod diff;
mod exports;
mod inputs;
mod report;
mod support;

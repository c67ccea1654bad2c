//! vg-massif: the heap of a recorded program over time, as snapshots by Massif's rules, and who had allocated what was
//! live at its peak.
//!
//! ```text
//! load ──> profile (heap, clock) ──> snapshots, totals ──> callers, tree ──> massif, text, top, json, csv
//! ```
//!
//! What always holds: which snapshots there are, and their numbers, depend on the trace and the options alone; a trace
//! is never trusted. Not here: recording, and source lines (`vg-annotate` reads our output).

#![deny(unsafe_code)]

pub mod callers;
pub mod clock;
mod csv;
pub mod functions;
mod graph;
pub mod heap;
mod json;
pub mod load;
mod massif;
pub mod options;
pub mod profile;
pub mod run;
pub mod snapshots;
mod text;
mod top;
pub mod totals;
pub mod tree;

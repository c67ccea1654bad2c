//! vg-leaks: which blocks a recorded program lost, by Valgrind's rules, and who allocated them.
//!
//! ```text
//! load ──> graph ──> classify, cycles ──> records, tree, pointers ──> findings ──> text, json, csv
//! ```
//!
//! What always holds: a trace is never trusted (indices and order are checked when the graph is built); the order of
//! output depends on the trace and the options alone. Not here: scanning memory, which the recorder did, and suppression
//! files (`vg-supp`).

#![deny(unsafe_code)]

pub mod classify;
mod csv;
pub mod cycles;
pub mod findings;
pub mod graph;
mod json;
mod list;
pub mod load;
pub mod options;
pub mod pointers;
pub mod records;
pub mod run;
mod sentence;
mod text;
pub mod tree;

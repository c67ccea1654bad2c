//! vg-annotate: which functions and source lines a recorded program spent its instructions in.
//!
//! ```text
//! trace ──> costs (by function and by line) ──> text, json, csv
//! ```
//!
//! What always holds: a trace is never trusted; the costs of functions add up to the total, whatever is shown; the order of
//! output depends on the trace, the options and, for source text, the files it names. Not here: counting (the engine),
//! names of code (the recorder). Not there yet: calls and inclusive costs, costs of caches and branches, differences, files
//! of other tools.

#![deny(unsafe_code)]

pub mod costs;
mod csv;
mod json;
pub mod options;
pub mod run;
mod text;

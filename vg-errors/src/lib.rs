//! vg-errors: what a recorded program did wrong with its memory: invalid accesses and frees, uses of undefined values,
//! bad calls.
//!
//! ```text
//! load ──> findings (grouped by kind and the first frames) ──> words, sentence ──> text, json, csv, xml, sarif, github
//! ```
//!
//! What always holds: a trace is never trusted; a recording that did not look for errors is never reported as one without
//! errors; the order of output depends on the trace and the options alone. Not here: finding errors, which is the
//! engine's business, and suppression files (`vg-supp`).

#![deny(unsafe_code)]

mod csv;
mod excerpt;
pub mod findings;
mod github;
mod json;
pub mod kinds;
pub mod live;
pub mod load;
pub mod options;
pub mod run;
mod sarif;
mod sentence;
mod text;
mod words;
mod xml;

//! vg-annotate: which functions and source lines a program spent its instructions, or its memory, in.
//!
//! ```text
//! trace, callgrind.out, cachegrind.out, massif.out ──> input ──> profile (costs by line, calls, contexts)
//!   profile ──> graph (totals, inclusive costs, cycles) ──> selection ──> output (text, json, csv, callgrind, cachegrind)
//!   contexts ──> output (collapsed, flamegraph, speedscope, pprof)
//!   two profiles ──> diff (functions, lines) ──> output::changes (text, json, csv, collapsed, flamegraph)
//! ```
//!
//! What always holds: no input is trusted; the costs of functions add up to the total, whatever is shown; the order of
//! output depends on the input, the options and, for source text, the files it names. Not here: counting (the engine),
//! names of code (the recorder). Not there yet: costs of caches and branches in traces.

#![deny(unsafe_code)]

pub mod diff;
pub mod events;
pub mod input;
pub mod options;
pub mod output;
pub mod profile;
pub mod run;
pub mod selection;
pub mod sources;

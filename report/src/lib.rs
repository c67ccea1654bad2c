//! What all readers of a trace share: the manners of a Unix tool ([`cli`], [`style`]), Valgrind-like lists of
//! names ([`names`]), the model of a stack with its folding ([`stack`]), the tables that give it names ([`symbols`])
//! and small helpers for the output formats ([`format`](mod@format)).
//!
//! What always holds: nothing here panics on what a user or a trace says; results go to stdout, all else to
//! stderr; the order of output depends on nothing but the input.
//!
//! Not here: reading the trace (crate `schema`), and what a finding is (each tool).

#![deny(unsafe_code)]

pub mod cli;
pub mod format;
pub mod names;
pub mod source;
pub mod stack;
pub mod style;
pub mod symbols;

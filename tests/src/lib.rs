//! Harness of the suites in `tests/tests/`: finds the built tools, compiles guest programs, runs commands
//! under a deadline and compares what they did.
//!
//! What always holds: a suite runs the real binaries as a user would, never a library of the workspace; every
//! process has a deadline and a session of its own, whose group is killed with it; a tool or peer that is not
//! installed makes a case say "ignored" with the reason, never fail.
//!
//! Every suite takes a part of a case's name as a filter, and these variables: `VG_LONG=1` runs the long cases and
//! the full numbers of the gates; `VG_NATIVE_ONLY=1` checks the guest programs and the corpus without recording;
//! `VG_BIN_DIR` names ready binaries instead of building them; `VG_KEEP=1` keeps the temporary directories.
//!
//! Not here: the cases themselves (`tests/tests/*.rs`) and the guest programs (`tests/programs/`).
#![deny(unsafe_code)]

pub mod callgrind;
pub mod compare;
pub mod diff;
pub mod errors;
pub mod executed;
pub mod guest;
pub mod leaks;
pub mod libraries;
pub mod peer;
pub mod run;
pub mod steps;
pub mod suite;
pub mod sys;
pub mod tools;

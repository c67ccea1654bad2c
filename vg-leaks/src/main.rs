//! The program `vg-leaks`: all of it is in the library, which tests and benchmarks use too.

#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    report::cli::run(vg_leaks::run::TOOL, || vg_leaks::run::run(std::env::args_os()))
}

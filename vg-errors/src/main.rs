//! The program `vg-errors`: all of it is in the library.

#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    report::cli::run(vg_errors::run::TOOL, || vg_errors::run::run(std::env::args_os()))
}

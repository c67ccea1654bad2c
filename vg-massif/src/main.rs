//! The program `vg-massif`: all of it is in the library.

#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    report::cli::run(vg_massif::run::TOOL, || vg_massif::run::run(std::env::args_os()))
}

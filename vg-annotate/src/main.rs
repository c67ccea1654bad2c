//! The program `vg-annotate`: all of it is in the library.

#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    report::cli::run(vg_annotate::run::TOOL, || vg_annotate::run::run(std::env::args_os()))
}

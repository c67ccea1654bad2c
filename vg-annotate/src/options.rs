//! The command line: every option and its default. Not here: what they do.

use clap::{ArgAction, Parser, ValueEnum};
use regex::Regex;
use report::style::Color;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  vg-record --events=blocks -o trace.capnp ./program
  vg-annotate trace.capnp                        functions, and their source with costs
  vg-annotate --only='^mymodule::' trace.capnp   those of some functions or libraries alone
  vg-annotate --cover=90 trace.capnp             as many functions as make up 90 % of the cost
  vg-annotate --format=json trace.capnp          for programs; also csv

Events:
  Ir   instructions executed; one that repeats itself (rep movs) counts once

This version knows no calls and no costs of caches and branches yet. With --events=alloc, or shadow, the functions
that the recorder answers for the program (malloc, and memcpy and the like) cost nothing.

Exit status: 0, or 2 for a usage error, an unusable trace, or one without counts.";

/// What the user asked for.
#[derive(Debug, Parser)]
#[command(
    name = "vg-annotate",
    version,
    about = "Shows where a recorded program spent its instructions, by function and source line",
    long_about = "Shows where a recorded program spent its instructions, by function and source line.\n\nReads traces \
                  made with vg-record --events=blocks, from files or stdin.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Options {
    /// Traces to read, whose costs are added up; '-' is stdin, which is also the default
    #[arg(value_name = "TRACE")]
    pub traces: Vec<PathBuf>,

    /// Show functions alone whose name, source file or module has a match of this regular expression
    #[arg(long, value_name = "REGEX", help_heading = "What is shown")]
    pub only: Option<Regex>,
    /// Leave out functions, and lines of source, that cost less than this part of the total
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1, value_parser = percent, help_heading = "What is shown")]
    pub min_percent: f64,
    /// Show as many functions as make up this part of the total, the most expensive first, whatever --min-percent says
    #[arg(long, visible_alias = "threshold", value_name = "PERCENT", value_parser = percent,
          help_heading = "What is shown")]
    pub cover: Option<f64>,
    /// Show costs in this process of the recording alone, by its number or kernel id
    #[arg(long, value_name = "N", help_heading = "What is shown")]
    pub process: Option<u32>,
    /// Show costs in this thread alone, by its number in the recording
    #[arg(long, value_name = "N", help_heading = "What is shown")]
    pub thread: Option<u32>,
    /// no: functions without their source
    #[arg(long, visible_alias = "auto", value_name = "YES|NO", value_parser = yes_no, default_value = "yes",
          action = ArgAction::Set, help_heading = "What is shown")]
    pub annotate: bool,
    /// Lines of source to show before and behind each that has costs to show
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "What is shown")]
    pub context: u32,

    /// Output for people, or for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
    /// Colour in text; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, action = ArgAction::Set,
          help_heading = "Output")]
    pub color: Color,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and source for people
    Text,
    /// One object, with "schema": 1
    Json,
    /// One row for each function
    Csv,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("not between 0 and 100".to_owned()) }
}

fn yes_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_parts_of_the_whole() {
        assert_eq!(percent("2.5"), Ok(2.5));
        assert_eq!(percent("99%"), Ok(99.0));
        assert!(
            percent("101").is_err()
                && percent("-1").is_err()
                && percent("x").is_err()
                && percent("NaN").is_err()
        );
        assert!(Options::try_parse_from(["t", "--only=("]).is_err());
    }
}

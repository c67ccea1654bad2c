//! The command line: every option and its default. Not here: what they do.

pub mod simulate;

use crate::events::{SortKey, sort_key};
use crate::profile::Function;
use clap::{ArgAction, Parser, ValueEnum};
use regex::Regex;
use report::style::Color;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  vg-record --events=instr -o trace.capnp ./program
  vg-annotate trace.capnp                        functions, and their source with costs
  vg-annotate --only='^mymodule::' trace.capnp   those of some functions or libraries alone
  vg-annotate --cover=90 trace.capnp             as many functions as make up 90 % of the cost
  vg-annotate --inclusive=yes --tree=both trace.capnp    with what they call; callers and callees of each
  vg-annotate --jumps=yes trace.capnp            which way conditions went, and how often
  vg-annotate massif.out.42                      who held the heap at its peak
  vg-annotate --diff old.capnp new.capnp         what became dearer, and what cheaper
  vg-annotate --diff --fail-above=2 OLD NEW      in CI: status 1 if the total grew by more than 2 %
  vg-annotate --format=callgrind -o callgrind.out.1 trace.capnp    for KCachegrind
  vg-annotate --format=flamegraph -o flame.svg trace.capnp         for a browser

Events of traces:
  Ir   instructions executed; one that repeats itself (rep movs) counts once

Calls and stacks are in recordings with --events=instr; with --events=blocks, which costs less, there are none.
Caches and branches are not in traces yet; they are known from files of callgrind and cachegrind.
In recordings with --events=alloc, or shadow, the functions that the recorder answers for the program (malloc, and memcpy
and the like) cost nothing and are not called.

Exit status: 0, 1 when --fail-above says so, or 2 for a usage error, an unusable file, or one without costs.";

/// What the user asked for.
#[derive(Debug, Parser)]
#[command(
    name = "vg-annotate",
    version,
    about = "Shows where a program spent its instructions or memory, by function and source line",
    long_about = "Shows where a program spent its instructions or memory, by function and source line.\n\nReads traces \
                  made with vg-record --events=instr or blocks, and what callgrind, cachegrind and massif write, from files or stdin; \
                  what a file is follows from its content.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Options {
    /// Files to read, whose costs are added up; '-' is stdin, which is also the default
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Show functions alone whose name, source file or module has a match of this regular expression
    #[arg(long, value_name = "REGEX", help_heading = "What is shown")]
    pub only: Option<Regex>,
    /// Events that have a column, in this order; all when not given
    #[arg(long, value_name = "EVENTS", value_delimiter = ',', help_heading = "What is shown")]
    pub show: Vec<String>,
    /// Events to sort by, the most important first; EVENT:PERCENT shows as many functions as make up this part of that
    /// event; in the order of --show when not given
    #[arg(long, value_name = "EVENTS", value_delimiter = ',', value_parser = sort_key, help_heading = "What is shown")]
    pub sort: Vec<SortKey>,
    /// yes: functions and lines cost what they call, too
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "no", action = ArgAction::Set,
          help_heading = "What is shown")]
    pub inclusive: bool,
    /// Show callers or callees of each function
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Tree::None, help_heading = "What is shown")]
    pub tree: Tree,
    /// yes: show where jumps lead, how often they were taken, and how often not: below the source lines, in JSON, and in
    /// callgrind's format, whose readers draw them as arrows
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "no", action = ArgAction::Set,
          help_heading = "What is shown")]
    pub jumps: bool,
    /// Leave out functions, calls, and lines of source, that cost less than this part of the total
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1, value_parser = percent, help_heading = "What is shown")]
    pub min_percent: f64,
    /// Show as many functions as make up this part of the total, the most expensive first, whatever --min-percent says
    #[arg(long, visible_alias = "threshold", value_name = "PERCENT", value_parser = percent,
          help_heading = "What is shown")]
    pub cover: Option<f64>,
    /// Show costs in this process of a trace alone, by its number or kernel id
    #[arg(long, value_name = "N", help_heading = "What is shown")]
    pub process: Option<u32>,
    /// Show costs in this thread alone, by its number in a trace
    #[arg(long, value_name = "N", help_heading = "What is shown")]
    pub thread: Option<u32>,
    /// Show costs in this part of the recording alone, by its number in its process or by its name: parts end where the
    /// program says CALLGRIND_DUMP_STATS or CALLGRIND_DUMP_STATS_AT(NAME), and with the process
    #[arg(long, value_name = "N|NAME", help_heading = "What is shown")]
    pub part: Option<String>,
    /// no: functions without their source
    #[arg(long, visible_alias = "auto", value_name = "YES|NO", value_parser = yes_no, default_value = "yes",
          action = ArgAction::Set, help_heading = "What is shown")]
    pub annotate: bool,
    /// Lines of source to show before and behind each that has costs to show
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "What is shown")]
    pub context: u32,
    /// Folder to look for source files in, by their paths or names, when they are not where the file says; may be repeated
    #[arg(short = 'I', long, value_name = "DIR", help_heading = "What is shown")]
    pub include: Vec<PathBuf>,

    #[command(flatten)]
    pub simulate: simulate::Simulate,

    /// Compare two files, the old one first: changes by function and line, the greatest first
    #[arg(long, help_heading = "Comparing")]
    pub diff: bool,
    /// End with status 1 when the total of the first event of --sort grew by more than this part of the old one
    #[arg(long, value_name = "PERCENT", value_parser = growth, requires = "diff", help_heading = "Comparing")]
    pub fail_above: Option<f64>,
    /// Folder to look for source files of the old one in, as --include is for the new one; may be repeated
    #[arg(long, value_name = "DIR", requires = "diff", help_heading = "Comparing")]
    pub old_include: Vec<PathBuf>,

    /// Output for people, for programs, or for other tools
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// yes: names in callgrind's format are written once, and numbers from then on
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "yes", action = ArgAction::Set,
          help_heading = "Output")]
    pub compress_strings: bool,
    /// yes: lines in callgrind's format are written relative to the one before
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "yes", action = ArgAction::Set,
          help_heading = "Output")]
    pub compress_pos: bool,
    /// Colour in text; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, action = ArgAction::Set,
          help_heading = "Output")]
    pub color: Color,
}

impl Options {
    /// Whether `--only` lets a function through.
    pub fn wants(&self, function: &Function) -> bool {
        self.only.as_ref().is_none_or(|only| {
            [&function.name, &function.file, &function.module].into_iter().any(|text| only.is_match(text))
        })
    }
}

/// Which calls are shown beside a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tree {
    /// None
    None,
    /// Its callers
    Caller,
    /// What it calls, also below the source lines that do
    Calling,
    /// Both
    Both,
}

impl Tree {
    /// Whether callers are shown.
    pub fn has_callers(self) -> bool {
        matches!(self, Tree::Caller | Tree::Both)
    }

    /// Whether callees are shown.
    pub fn has_callees(self) -> bool {
        matches!(self, Tree::Calling | Tree::Both)
    }
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
    /// For KCachegrind, callgrind_annotate and others
    Callgrind,
    /// For cg_annotate
    Cachegrind,
    /// Stacks in one line each, of one event: for flame graphs, speedscope and others
    Collapsed,
    /// A flame graph of one event, as an SVG file for browsers
    Flamegraph,
    /// Stacks for speedscope
    Speedscope,
    /// Stacks for pprof, compressed
    Pprof,
}

impl Format {
    /// As it is called on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it shows stacks.
    pub fn has_stacks(self) -> bool {
        matches!(self, Format::Collapsed | Format::Flamegraph | Format::Speedscope | Format::Pprof)
    }

    /// Whether it holds all of a profile.
    pub fn is_whole(self) -> bool {
        self.has_stacks() || matches!(self, Format::Callgrind | Format::Cachegrind)
    }
}

/// A part of a whole, in percent.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("not between 0 and 100".to_owned()) }
}

/// A growth in percent: more than the whole is possible.
fn growth(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() { Ok(number) } else { Err("not a number".to_owned()) }
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

    #[test]
    fn lists_have_commas() {
        let options = Options::try_parse_from(["t", "--show=Ir,Dr", "--sort=Dr:90,Ir"]).unwrap();
        assert_eq!(options.show, ["Ir", "Dr"]);
        assert_eq!(options.sort, [("Dr".to_owned(), Some(90.0)), ("Ir".to_owned(), None)]);
    }
}

//! The command line: every option, its default and its range, which are Massif's. Not here: what they do.

use crate::functions::Pattern;
use clap::{Parser, ValueEnum};
use report::cli::Stop;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  vg-record -o trace.capnp ./program
  vg-massif trace.capnp                            a graph of the heap over time, and who held its peak
  vg-massif trace.capnp | ms_print /dev/stdin       the same by Valgrind's tool
  vg-massif trace.capnp | vg-annotate               source lines that hold the peak
  vg-massif --time-unit=B --threshold=5 trace.capnp
  vg-massif -o massif.out.%p trace.capnp            a file for each process
  vg-massif --format=csv trace.capnp                a row for each snapshot
  vg-massif --summary --top=5 trace.capnp          headline numbers, and who leads in each
  vg-massif --at=end --format=text trace.capnp     who holds what is left at the end

Exit status: 0, or 2 for a usage error or an unusable trace.";

/// What the user asked for.
#[derive(Debug, Parser)]
#[command(
    name = "vg-massif",
    version,
    about = "Shows the heap of a recorded program over time and who holds its peak",
    long_about = "Shows the heap of a recorded program over time and who holds its peak.\n\nReads a trace that vg-record \
                  wrote, from a file or stdin, and takes snapshots of the heap by the rules of Valgrind's Massif. On a terminal it shows \
                  them as a graph; elsewhere it writes Massif's format, for ms_print, massif-visualizer and vg-annotate.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Options {
    /// Trace to read; '-' is stdin, which is also the default
    #[arg(value_name = "TRACE")]
    pub trace: Option<PathBuf>,

    /// What time is: executed instructions, milliseconds, or bytes allocated and freed
    #[arg(long, value_name = "UNIT", value_enum, default_value_t = TimeUnit::Instructions, help_heading = "Snapshots")]
    pub time_unit: TimeUnit,
    /// Snapshots at most (10 to 1000); each time as many are there, half of them go
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=1000),
          help_heading = "Snapshots")]
    pub max_snapshots: u32,
    /// Every Nth snapshot tells who allocated
    #[arg(long, visible_alias = "massif-detailed-freq", value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Snapshots")]
    pub detailed_freq: u32,
    /// A new peak has to be higher by more than this part of the last one; 0: the exact peak
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent, help_heading = "Snapshots")]
    pub peak_inaccuracy: f64,
    /// Bytes that each block costs the allocator, beside what it is rounded up by (at most 1024)
    #[arg(long, value_name = "BYTES", default_value_t = 8, value_parser = clap::value_parser!(u64).range(0..=1024),
          help_heading = "Snapshots")]
    pub heap_admin: u64,
    /// One moment alone, with who allocated what was there: a time in the unit, the exact 'peak', or the 'end'
    #[arg(long, value_name = "TIME", value_parser = at, help_heading = "Snapshots")]
    pub at: Option<At>,
    /// The headline numbers: calls, temporary allocations, bytes, the peak, what is left at the end
    #[arg(long, conflicts_with = "at", help_heading = "Snapshots")]
    pub summary: bool,
    /// Who leads in calls, in bytes at the peak, in temporary allocations and in bytes allocated: N places of each [10
    /// without N]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10",
          conflicts_with = "at", help_heading = "Snapshots")]
    pub top: Option<usize>,
    /// This process, by its number in the recording or its kernel id; otherwise the first one
    #[arg(long, value_name = "N", help_heading = "Snapshots")]
    pub process: Option<u32>,

    /// Places that hold less than this part of the total are added up
    #[arg(long, visible_alias = "massif-threshold", value_name = "PERCENT", default_value_t = 1.0,
          value_parser = percent, help_heading = "Who allocated")]
    pub threshold: f64,
    /// Callers that are told (1 to 200); inlined functions do not count
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=200),
          help_heading = "Who allocated")]
    pub depth: u16,
    /// Functions that allocate for their callers, like malloc: a whole name, or a regular expression that matches
    /// all of it; may be repeated
    #[arg(long, value_name = "NAME", value_parser = pattern, help_heading = "Who allocated")]
    pub alloc_fn: Vec<Pattern>,
    /// Functions whose own allocations do not count, named likewise; may be repeated
    #[arg(long, value_name = "NAME", value_parser = pattern, help_heading = "Who allocated")]
    pub ignore_fn: Vec<Pattern>,

    /// How the report is written; text on a terminal, massif elsewhere, when not given
    #[arg(short, long, value_name = "FORMAT", value_enum, help_heading = "Output")]
    pub format: Option<Format>,
    /// Write to this file instead of stdout; with %p in its name, which becomes the kernel id, one file for each
    /// process that allocated
    #[arg(short, long, visible_alias = "massif-out-file", value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

/// `--at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// When there were most bytes, with what the allocator adds; the first time.
    Peak,
    /// Behind the last event.
    End,
    /// In the unit of `--time-unit`.
    Time(u64),
}

/// `--time-unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimeUnit {
    /// Instructions that all threads have executed
    #[value(name = "i")]
    Instructions,
    /// Milliseconds since the process began
    #[value(name = "ms")]
    Milliseconds,
    /// Bytes allocated and freed, with what the allocator adds
    #[value(name = "B")]
    Bytes,
}

impl TimeUnit {
    /// As it is called on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Instructions => "i",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Bytes => "B",
        }
    }
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For ms_print, massif-visualizer and vg-annotate
    Massif,
    /// For people: a graph, who held the peak, all snapshots
    Text,
    /// One object, with "schema": 1
    Json,
    /// One row for each snapshot
    Csv,
}

impl Options {
    /// How the report is written; `is_terminal`: stdout is one.
    pub fn format(&self, is_terminal: bool) -> Format {
        let is_shown = is_terminal && self.output.is_none() || self.totals();
        self.format.unwrap_or(if is_shown { Format::Text } else { Format::Massif })
    }

    /// Sums over the whole run are shown instead of snapshots.
    pub fn totals(&self) -> bool {
        self.summary || self.top.is_some()
    }

    /// What clap does not know.
    ///
    /// # Errors
    /// Options that exclude each other.
    pub fn check(&self) -> Result<(), Stop> {
        match self.format {
            Some(format @ (Format::Massif | Format::Csv)) if self.totals() => {
                Err(Stop::trouble(format_args!(
                    "--summary and --top are written as text or json, not as {}; see --help",
                    if format == Format::Csv { "csv" } else { "massif" }
                )))
            }
            _ => Ok(()),
        }
    }

    /// What differs from the defaults, in Massif's spelling, as its files tell it; "(none)" when nothing does.
    pub fn description(&self) -> String {
        let mut said = Vec::new();
        let mut say = |differs: bool, option: String| said.extend(differs.then_some(option));
        say(self.time_unit != TimeUnit::Instructions, format!("--time-unit={}", self.time_unit.name()));
        say(self.max_snapshots != 100, format!("--max-snapshots={}", self.max_snapshots));
        say(self.detailed_freq != 10, format!("--detailed-freq={}", self.detailed_freq));
        say(self.peak_inaccuracy != 1.0, format!("--peak-inaccuracy={}", self.peak_inaccuracy));
        say(self.heap_admin != 8, format!("--heap-admin={}", self.heap_admin));
        match self.at {
            None => {}
            Some(At::Peak) => say(true, "--at=peak".to_owned()),
            Some(At::End) => say(true, "--at=end".to_owned()),
            Some(At::Time(time)) => say(true, format!("--at={time}")),
        }
        say(self.threshold != 1.0, format!("--threshold={}", self.threshold));
        say(self.depth != 30, format!("--depth={}", self.depth));
        self.alloc_fn.iter().for_each(|name| say(true, format!("--alloc-fn={name}")));
        self.ignore_fn.iter().for_each(|name| say(true, format!("--ignore-fn={name}")));
        if said.is_empty() { "(none)".to_owned() } else { said.join(" ") }
    }
}

/// A part of a whole, in percent.
fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("not between 0 and 100".to_owned()) }
}

fn at(text: &str) -> Result<At, String> {
    match text {
        "peak" => Ok(At::Peak),
        "end" => Ok(At::End),
        _ => text
            .replace([',', '_'], "")
            .parse()
            .map(At::Time)
            .map_err(|_| "not a time, peak or end".to_owned()),
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() { Err("name a function".to_owned()) } else { Ok(Pattern::new(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, String> {
        Options::try_parse_from(["vg-massif"].iter().chain(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn values() {
        assert_eq!(options(&["--massif-threshold=2.5"]).unwrap().threshold, 2.5);
        assert_eq!(options(&["--massif-detailed-freq=2"]).unwrap().detailed_freq, 2);
        let at = ["peak", "end", "12,345"].map(|at| options(&["--at", at]).unwrap().at.unwrap());
        assert_eq!(at, [At::Peak, At::End, At::Time(12_345)]);
        assert_eq!(options(&["--massif-out-file=a"]).unwrap().output, Some("a".into()));
        let wrong = [
            "--time-unit=s",
            "--max-snapshots=9",
            "--max-snapshots=1001",
            "--detailed-freq=0",
            "--peak-inaccuracy=101",
            "--heap-admin=1025",
            "--threshold=-1",
            "--threshold=NaN",
            "--depth=0",
            "--depth=201",
            "--alloc-fn=",
            "--format=svg",
            "--process=a",
            "--at=top",
            "--at=-1",
            "--at=",
        ];
        for argument in wrong {
            assert!(options(&[argument]).is_err(), "{argument}");
        }
    }

    #[test]
    fn people_get_text_and_pipes_get_massif() {
        let format = |arguments: &[&str], is_terminal| options(arguments).unwrap().format(is_terminal);
        assert_eq!(format(&[], true), Format::Text);
        assert_eq!(format(&[], false), Format::Massif);
        assert_eq!(format(&["-o", "a"], true), Format::Massif);
        assert_eq!(format(&["--format=csv"], true), Format::Csv);
        assert_eq!(format(&["--format=text", "-o", "a"], false), Format::Text);
    }

    #[test]
    fn the_description_tells_what_differs() {
        assert_eq!(options(&["-o", "x", "--depth=30"]).unwrap().description(), "(none)");
        let all = ["--time-unit=B", "--max-snapshots=20", "--threshold=0.5", "--alloc-fn=my_.*"];
        assert_eq!(options(&all).unwrap().description(), all.join(" "));
    }
}

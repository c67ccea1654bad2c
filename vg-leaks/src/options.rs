//! The command line: every option, its default, and how Valgrind's spellings map to ours.
//!
//! Valgrind's options keep their meaning where they have one: `--show-leak-kinds` says what is listed,
//! `--errors-for-leak-kinds` what counts as a finding, and `--kinds` says both at once. Not here: what they do.

use crate::classify::{HEURISTICS, State};
use crate::records::Sort;
use clap::{ArgAction, Parser, ValueEnum};
use report::names::{Set, Table};
use report::style::Color;
use std::path::PathBuf;

/// `--kinds` and its relatives.
pub const KINDS: Table =
    Table { what: "leak kind", names: &["definite", "indirect", "possible", "reachable"] };

/// Definite and possible: what Valgrind lists and counts by default.
pub const DEFAULT_KINDS: Set = Set::of(&[0, 2]);

/// The index in [`KINDS`] of what became of a block.
pub const fn kind_index(state: State) -> usize {
    match state {
        State::Definite => 0,
        State::Indirect => 1,
        State::Possible => 2,
        State::Reachable => 3,
    }
}

/// The name in [`KINDS`].
pub const fn kind_name(state: State) -> &'static str {
    KINDS.names[kind_index(state)]
}

const EXAMPLES: &str = "\
Examples:
  vg-record ./program | vg-leaks                  definite and possible leaks
  vg-record ./program | vg-leaks --kinds=definite,indirect
  vg-leaks --kinds=all --sort=bytes trace.capnp   everything that was not freed
  vg-leaks --tree trace.capnp                     what each lost block kept
  vg-leaks --kinds=all --addresses trace.capnp    where the blocks of each record are
  vg-leaks --who-points-at=0x4A5B040 trace.capnp  why a block is still reachable

Kinds of leaks:
  definite   no pointer to the block is left, and none to a block that leads to it
  indirect   only lost blocks point to it: freeing those properly frees it too
  possible   reached only through a pointer into the middle of a block
  reachable  a pointer to it is left; it was just not freed

Exit status: 0 no finding, 1 findings, 2 a usage error or an unusable trace.";

/// What the user asked for.
#[derive(Debug, Parser)]
#[command(
    name = "vg-leaks",
    version,
    about = "Finds memory leaks in a recording and says who allocated what was lost",
    long_about = "Finds memory leaks in a recording and says who allocated what was lost.\n\nReads traces that \
                  vg-record wrote, from files or stdin, and classifies every block that was not freed by Valgrind's \
                  rules: definitely, indirectly or possibly lost, or still reachable. Blocks of one kind that the \
                  same stack allocated make one loss record.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Options {
    /// Traces to read; '-' is stdin, which is also the default
    #[arg(value_name = "TRACE")]
    pub traces: Vec<PathBuf>,

    /// Kinds that are listed and count as findings: all, none, or a list of definite, indirect, possible, reachable
    #[arg(long, value_name = "KINDS", value_parser = kinds, default_value = "definite,possible",
          hide_default_value = false, help_heading = "What is reported")]
    pub kinds: Set,
    /// Kinds that are listed, when other than --kinds
    #[arg(long, visible_alias = "show-kinds", value_name = "KINDS", value_parser = kinds,
          help_heading = "What is reported")]
    pub show_leak_kinds: Option<Set>,
    /// Kinds that count as findings, when other than --kinds
    #[arg(long, value_name = "KINDS", value_parser = kinds, help_heading = "What is reported")]
    pub errors_for_leak_kinds: Option<Set>,
    /// yes: list all kinds; no: definite and possible
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, help_heading = "What is reported",
          conflicts_with_all = ["show_leak_kinds", "show_possibly_lost"])]
    pub show_reachable: Option<bool>,
    /// yes: list definite and possible; no: definite alone
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, help_heading = "What is reported",
          conflicts_with = "show_leak_kinds")]
    pub show_possibly_lost: Option<bool>,
    /// How much to report: no leaks at all, the summary alone, or each record (yes and full are the same)
    #[arg(long, value_name = "HOW", value_enum, default_value_t = LeakCheck::Full,
          help_heading = "What is reported")]
    pub leak_check: LeakCheck,
    /// Leave out records of fewer bytes, indirect ones included; they are no findings either
    #[arg(long, value_name = "BYTES", default_value_t = 0, help_heading = "What is reported")]
    pub min_bytes: u64,
    /// Order of the records
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Sort::Record, help_heading = "What is reported")]
    pub sort: Sort,
    /// Report this process of the recording alone, by its number or kernel id
    #[arg(long, value_name = "N", help_heading = "What is reported")]
    pub process: Option<u32>,
    /// Which snapshot of the heap of each process: its number, last, all one after another; or list them
    #[arg(long, value_name = "N|last|all|list", value_parser = snapshot, default_value = "last",
          help_heading = "What is reported")]
    pub snapshot: Snapshot,

    /// Interior pointers that count as pointers to the start: all, none, or a list of stdstring, length64, newarray,
    /// multipleinheritance
    #[arg(long, value_name = "LIST", value_parser = heuristics, default_value = "all",
          help_heading = "How blocks are found and grouped")]
    pub leak_check_heuristics: Set,
    /// How many frames must be equal for two stacks to count as the same: low 2, med 4, high all of --num-callers
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Resolution::High,
          help_heading = "How blocks are found and grouped")]
    pub leak_resolution: Resolution,
    /// Frames of a stack that are shown and compared (1 to 500); inlined functions do not count
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=500),
          help_heading = "How blocks are found and grouped")]
    pub num_callers: u16,
    /// Show the frames of allocators, standard libraries and what calls main, which are folded otherwise
    #[arg(long, help_heading = "How blocks are found and grouped")]
    pub show_internal_frames: bool,

    /// Below each definite record, what its blocks kept
    #[arg(long, help_heading = "More to ask")]
    pub tree: bool,
    /// List the cycles among lost blocks
    #[arg(long, help_heading = "More to ask")]
    pub cycles: bool,
    /// Below each record the addresses of its blocks, for --who-points-at; at most N of them (20 without =N)
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20",
          value_parser = clap::value_parser!(u32).range(1..), help_heading = "More to ask")]
    pub addresses: Option<u32>,
    /// Instead of leaks: the words that point at the block that contains ADDR, and how a root leads to it
    #[arg(long, value_name = "ADDR", value_parser = address, help_heading = "More to ask")]
    pub who_points_at: Option<u64>,

    /// Output for people, or for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
    /// Exit status when there are findings
    #[arg(long, value_name = "N", default_value_t = report::cli::FINDINGS, help_heading = "Output")]
    pub error_exitcode: u8,
    /// Colour in text; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, action = ArgAction::Set,
          help_heading = "Output")]
    pub color: Color,
}

impl Options {
    /// Kinds that are listed.
    pub fn listed(&self) -> Set {
        let flags = self
            .show_reachable
            .map(|yes| if yes { KINDS.all() } else { DEFAULT_KINDS })
            .or(self.show_possibly_lost.map(|yes| if yes { DEFAULT_KINDS } else { Set::of(&[0]) }));
        self.show_leak_kinds.or(flags).unwrap_or(self.kinds)
    }

    /// Kinds that count as findings.
    pub fn findings(&self) -> Set {
        self.errors_for_leak_kinds.unwrap_or(self.kinds)
    }

    /// Frames by which stacks are compared.
    pub fn compared_frames(&self) -> usize {
        let all = usize::from(self.num_callers);
        match self.leak_resolution {
            Resolution::Low => all.min(2),
            Resolution::Med => all.min(4),
            Resolution::High => all,
        }
    }
}

/// `--leak-check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LeakCheck {
    /// Heap usage only; nothing is a finding
    No,
    /// Totals of each kind
    Summary,
    /// The same as full
    Yes,
    /// Totals and records
    Full,
}

/// `--leak-resolution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Resolution {
    /// 2 frames
    Low,
    /// 4 frames
    Med,
    /// All of --num-callers
    High,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// One row for each record
    Csv,
}

/// `--snapshot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshot {
    /// The last complete one of each process.
    Last,
    /// The one with this number.
    Number(u32),
    /// All complete ones.
    All,
    /// None: what there is.
    List,
}

fn kinds(text: &str) -> Result<Set, String> {
    KINDS.parse(text)
}

fn heuristics(text: &str) -> Result<Set, String> {
    HEURISTICS.parse(text)
}

fn yes_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("use yes or no".to_owned()),
    }
}

fn snapshot(text: &str) -> Result<Snapshot, String> {
    match text {
        "last" => Ok(Snapshot::Last),
        "all" => Ok(Snapshot::All),
        "list" => Ok(Snapshot::List),
        number => {
            number.parse().map(Snapshot::Number).map_err(|_| "use a number, last, all or list".to_owned())
        }
    }
}

fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match digits {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .map_err(|_| "use an address such as 0x4A5B040".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, String> {
        Options::try_parse_from(["vg-leaks"].iter().chain(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn kinds_and_their_aliases() {
        let set = |list| KINDS.parse(list).unwrap();
        let of = |arguments: &[&str]| {
            let options = options(arguments).unwrap();
            (options.listed(), options.findings())
        };
        assert_eq!(of(&[]), (DEFAULT_KINDS, DEFAULT_KINDS));
        assert_eq!(of(&["--kinds=definite,indirect"]), (set("definite,indirect"), set("definite,indirect")));
        assert_eq!(of(&["--show-leak-kinds=all"]), (KINDS.all(), DEFAULT_KINDS));
        assert_eq!(of(&["--show-kinds=all"]), (KINDS.all(), DEFAULT_KINDS));
        assert_eq!(of(&["--errors-for-leak-kinds=none"]), (DEFAULT_KINDS, Set::NONE));
        assert_eq!(of(&["--kinds=all", "--show-leak-kinds=definite"]), (set("definite"), KINDS.all()));
        assert_eq!(of(&["--show-reachable=yes"]).0, KINDS.all());
        assert_eq!(of(&["--show-reachable=no"]).0, DEFAULT_KINDS);
        assert_eq!(of(&["--show-possibly-lost=no"]).0, set("definite"));
    }

    #[test]
    fn values() {
        assert_eq!(options(&["--who-points-at=0x10"]).unwrap().who_points_at, Some(16));
        assert_eq!(options(&["--who-points-at", "16"]).unwrap().who_points_at, Some(16));
        assert_eq!(options(&[]).unwrap().addresses, None);
        assert_eq!(options(&["--addresses=3"]).unwrap().addresses, Some(3));
        // A trace behind it is a trace.
        let bare = options(&["--addresses", "3"]).unwrap();
        assert_eq!((bare.addresses, bare.traces), (Some(20), vec![PathBuf::from("3")]));
        assert_eq!(options(&["--snapshot=3"]).unwrap().snapshot, Snapshot::Number(3));
        assert_eq!(options(&["--snapshot=all"]).unwrap().snapshot, Snapshot::All);
        assert_eq!(options(&["--snapshot=list"]).unwrap().snapshot, Snapshot::List);
        assert_eq!(options(&["--leak-resolution=low"]).unwrap().compared_frames(), 2);
        assert_eq!(options(&["--num-callers=3", "--leak-resolution=med"]).unwrap().compared_frames(), 3);
        assert_eq!(options(&["--leak-check-heuristics=none"]).unwrap().leak_check_heuristics, Set::NONE);
        let wrong = [
            "--kinds=lost",
            "--leak-check=maybe",
            "--show-reachable=1",
            "--num-callers=0",
            "--num-callers=501",
            "--leak-resolution=all",
            "--leak-check-heuristics=magic",
            "--min-bytes=-1",
            "--sort=size",
            "--who-points-at=here",
            "--addresses=0",
            "--addresses=all",
            "--format=xml",
            "--error-exitcode=256",
            "--color=pink",
            "--process=a",
            "--snapshot=first",
            "--no-such-option",
        ];
        for argument in wrong {
            assert!(options(&[argument]).is_err(), "{argument}");
        }
    }
}

//! The command line: every option, its default, and how Valgrind's spellings map to ours.
//!
//! Valgrind chooses what to look for when a program runs; here the recording has it all, and the same options choose
//! what is reported. Not here: what they do.

use crate::kinds;
use clap::{ArgAction, Parser, ValueEnum};
use report::names::Set;
use report::style::Color;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  vg-errors trace.capnp                          what went wrong, and where
  vg-errors --kinds=access,free trace.capnp      invalid accesses and frees alone
  vg-errors --source=2 trace.capnp               with the lines of source around each place
  vg-errors --exclude='libfoo.so*' trace.capnp   without what happened in a library
  vg-errors --format=sarif trace.capnp           for code scanning; also github, xml, json, csv

Groups of kinds:
  access     InvalidRead, InvalidWrite, InvalidJump
  free       InvalidFree, MismatchedFree and other sizes or alignments than allocated
  undefined  UninitCondition, UninitValue
  size       FishyValue, ReallocSizeZero, InvalidAlignment, InvalidSize, InvalidSizeAndAlignment
  fd         FdNotClosed, FdBadClose, FdBadUse

vg-record looks for errors with --events=alloc,shadow, so far for invalid accesses to the heap and
to what is not mapped; with --track-fds, for bad file descriptors.

Exit status: 0 no finding, 1 findings, 2 a usage error, an unusable trace, or one that cannot answer.";

/// What the user asked for.
#[derive(Debug, Parser)]
#[command(
    name = "vg-errors",
    version,
    about = "Reports invalid accesses, uses of undefined values and bad frees in a recording",
    long_about = "Reports invalid accesses, uses of undefined values and bad frees in a recording.\n\nReads traces, \
                  from files or stdin, and says in plain words and in Valgrind's what the program did wrong, who \
                  allocated or freed the memory, and where undefined values came from. Errors of one kind whose first \
                  frames are equal make one finding.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Options {
    /// Traces to read; '-' is stdin, which is also the default
    #[arg(value_name = "TRACE")]
    pub traces: Vec<PathBuf>,

    /// Kinds that are listed and count as findings: all, none, default (all but FdNotClosed), or a list of Valgrind's
    /// names and of groups (see below)
    #[arg(long, value_name = "KINDS", value_parser = kinds::parse, default_value = "default",
          help_heading = "What is reported")]
    pub kinds: Set,
    /// no: leave out what is about undefined values
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "yes", action = ArgAction::Set,
          help_heading = "What is reported")]
    pub undef_value_errors: bool,
    /// no: leave out frees by another family of functions than that of the allocation
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "yes", action = ArgAction::Set,
          help_heading = "What is reported")]
    pub show_mismatched_frees: bool,
    /// no: leave out calls of realloc with size 0
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "yes", action = ArgAction::Set,
          help_heading = "What is reported")]
    pub show_realloc_size_zero: bool,
    /// no: leave out where undefined values came from
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "yes", action = ArgAction::Set,
          help_heading = "What is reported")]
    pub track_origins: bool,
    /// File descriptors, beyond --kinds: no for none of them; yes or all for those never closed too; bad for bad
    /// closes and uses alone
    #[arg(long, value_name = "HOW", value_enum, help_heading = "What is reported")]
    pub track_fds: Option<TrackFds>,
    /// Count as suppressed each error whose stack has a function, source file or module that matches; '*' and '?'
    /// stand for anything. May be given several times
    #[arg(long, value_name = "PATTERN", help_heading = "What is reported")]
    pub exclude: Vec<String>,
    /// Report this process of the recording alone, by its number or kernel id
    #[arg(long, value_name = "N", help_heading = "What is reported")]
    pub process: Option<u32>,
    /// Report errors that this thread was the first to meet alone, by its number in the recording
    #[arg(long, value_name = "N", help_heading = "What is reported")]
    pub thread: Option<u32>,
    /// Order of the findings
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Sort::First, help_heading = "What is reported")]
    pub sort: Sort,

    /// How many frames must be equal for two errors of a kind to be one finding: low 2, med 4, high all of them
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Resolution::Med,
          help_heading = "Stacks and source")]
    pub error_resolution: Resolution,
    /// Frames of a stack that are shown (1 to 500); inlined functions do not count
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=500),
          help_heading = "Stacks and source")]
    pub num_callers: u16,
    /// Show the frames of standard libraries and what calls main, which are folded otherwise
    #[arg(long, visible_alias = "show-below-main", help_heading = "Stacks and source",
          num_args = 0..=1, require_equals = true, default_missing_value = "yes", default_value = "no",
          value_name = "YES|NO", value_parser = yes_no, action = ArgAction::Set)]
    pub show_internal_frames: bool,
    /// Lines of source to show before and behind the line of each finding, when its file is there (1 without =LINES)
    #[arg(long, value_name = "LINES", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = clap::value_parser!(u8).range(0..=50), help_heading = "Stacks and source")]
    pub source: Option<u8>,
    /// Files below this directory are named relative to it in SARIF and GitHub's format; the default is the working
    /// directory of the recording
    #[arg(long, value_name = "DIR", help_heading = "Stacks and source")]
    pub source_root: Option<PathBuf>,

    /// Output for people, or for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
    /// Valgrind's spelling of --format=xml
    #[arg(long, value_name = "YES|NO", value_parser = yes_no, default_value = "no", action = ArgAction::Set,
          help_heading = "Output", conflicts_with = "format")]
    pub xml: bool,
    /// Version of Valgrind's XML; in version 4, kinds that it does not have are given as the nearest that it has
    #[arg(long, value_name = "4|6", default_value = "4", value_parser = protocol, help_heading = "Output")]
    pub xml_protocol: u8,
    /// Exit status when there are findings
    #[arg(long, value_name = "N", default_value_t = report::cli::FINDINGS, help_heading = "Output")]
    pub error_exitcode: u8,
    /// Colour in text; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, action = ArgAction::Set,
          help_heading = "Output")]
    pub color: Color,
}

impl Options {
    /// Kinds that are listed and count as findings.
    pub fn selected(&self) -> Set {
        let keep = |index: usize| {
            let name = kinds::KINDS[index].name;
            let descriptor = match self.track_fds {
                None => None,
                Some(TrackFds::No) => Some(false),
                Some(TrackFds::Yes | TrackFds::All) => Some(true),
                Some(TrackFds::Bad) => Some(index != kinds::FD_NOT_CLOSED),
            };
            match name {
                "FdNotClosed" | "FdBadClose" | "FdBadUse" => descriptor.unwrap_or(self.kinds.has(index)),
                "MismatchedFree"
                | "MismatchedAllocateDeallocateSize"
                | "MismatchedAllocateDeallocateAlignment" => {
                    self.show_mismatched_frees && self.kinds.has(index)
                }
                "ReallocSizeZero" => self.show_realloc_size_zero && self.kinds.has(index),
                "UninitCondition" | "UninitValue" => self.undef_value_errors && self.kinds.has(index),
                _ => self.kinds.has(index),
            }
        };
        let chosen: Vec<usize> = (0..kinds::KINDS.len()).filter(|index| keep(*index)).collect();
        Set::of(&chosen)
    }

    /// Frames by which stacks are compared.
    pub fn compared_frames(&self) -> usize {
        match self.error_resolution {
            Resolution::Low => 2,
            Resolution::Med => 4,
            Resolution::High => usize::MAX,
        }
    }

    /// The output format.
    pub fn output(&self) -> Format {
        if self.xml { Format::Xml } else { self.format }
    }
}

/// `--track-fds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrackFds {
    /// Nothing about descriptors
    No,
    /// Everything
    Yes,
    /// The same as yes
    All,
    /// Bad closes and uses
    Bad,
}

/// `--error-resolution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Resolution {
    /// 2 frames
    Low,
    /// 4 frames, as Valgrind does
    Med,
    /// The whole stack
    High,
}

/// `--sort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// As Valgrind: in the order in which they happened first
    First,
    /// Most often first
    Count,
    /// By kind, within a kind as first
    Kind,
    /// By source file and line of the user's own frame
    Place,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// One row for each finding
    Csv,
    /// Valgrind's XML
    Xml,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Workflow commands that GitHub shows beside the source
    Github,
}

fn yes_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("use yes or no".to_owned()),
    }
}

fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "4" => Ok(4),
        "6" => Ok(6),
        _ => Err("use 4 or 6".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, String> {
        Options::try_parse_from(["vg-errors"].iter().chain(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        <Options as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn kinds_and_what_narrows_them() {
        let of = |arguments: &[&str]| kinds::NAMES.list(options(arguments).unwrap().selected());
        assert_eq!(of(&[]), kinds::NAMES.list(kinds::default_set()));
        assert!(of(&[]).contains("FdBadUse") && !of(&[]).contains("FdNotClosed"));
        assert!(of(&["--track-fds=yes"]).contains("FdNotClosed"));
        assert!(!of(&["--track-fds=no"]).contains("Fd"));
        assert_eq!(of(&["--kinds=none", "--track-fds=bad"]), "FdBadClose,FdBadUse");
        assert!(!of(&["--undef-value-errors=no"]).contains("Uninit"));
        assert_eq!(of(&["--kinds=free", "--show-mismatched-frees=no"]), "InvalidFree");
        assert!(!of(&["--show-realloc-size-zero=no"]).contains("ReallocSizeZero"));
    }

    #[test]
    fn values() {
        assert_eq!(options(&["--xml=yes"]).unwrap().output(), Format::Xml);
        assert_eq!(options(&[]).unwrap().source, None);
        // A trace behind it is a trace.
        let bare = options(&["--source", "3"]).unwrap();
        assert_eq!((bare.source, bare.traces), (Some(1), vec![PathBuf::from("3")]));
        assert_eq!(options(&["--source=5"]).unwrap().source, Some(5));
        assert!(options(&["--show-internal-frames"]).unwrap().show_internal_frames);
        assert!(options(&["--show-below-main=yes"]).unwrap().show_internal_frames);
        assert!(!options(&["--show-below-main=no"]).unwrap().show_internal_frames);
        assert_eq!(options(&["--error-resolution=low"]).unwrap().compared_frames(), 2);
        let wrong = [
            "--kinds=leak",
            "--undef-value-errors=maybe",
            "--track-fds=some",
            "--num-callers=0",
            "--num-callers=501",
            "--error-resolution=all",
            "--sort=size",
            "--format=html",
            "--xml-protocol=5",
            "--error-exitcode=256",
            "--color=pink",
            "--process=a",
            "--thread=-1",
            "--source=51",
            "--no-such-option",
        ];
        for argument in wrong {
            assert!(options(&[argument]).is_err(), "{argument}");
        }
        assert!(options(&["--xml=yes", "--format=json"]).is_err());
    }
}

//! From the options to the exit status: reads the traces, adds up their costs, writes the report.

use crate::costs::Costs;
use crate::options::{Format, Options};
use crate::{csv, json, text};
use report::cli::{self, Source, Stop};
use report::style::Style;
use schema::read::Ending;
use schema::read::Trace;
use std::io::{BufWriter, Write};

/// The name in messages.
pub const TOOL: &str = "vg-annotate";

/// All that is reported.
pub struct Report {
    /// Command line of the first recording.
    pub command: Vec<String>,
    /// Working directory of the first recording, which relative paths of source files are relative to.
    pub directory: String,
    /// Every trace is whole.
    pub complete: bool,
    /// What was executed.
    pub costs: Costs,
}

/// Runs the tool.
///
/// # Errors
/// Whatever keeps it from an answer.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<u8, Stop> {
    let options: Options = cli::parse(arguments)?;
    let mut report =
        Report { command: Vec::new(), directory: String::new(), complete: true, costs: Costs::default() };
    for (number, source) in cli::sources(&options.traces, TOOL)?.iter().enumerate() {
        let trace = load(source)?;
        if number == 0 {
            report.command = trace.header.argv.iter().map(ToString::to_string).collect();
            report.directory = trace.header.cwd.to_string();
        }
        report.complete &= is_complete(&trace, source);
        if !report.costs.add(&trace, &options) {
            return Err(Stop::trouble(format!("{}: {}", source.name(), missing(&trace, &options))));
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = match options.format {
        Format::Text => text::write(&mut out, &report, &options, Style::for_stdout(options.color)),
        Format::Json => json::write(&mut out, &report, &options),
        Format::Csv => csv::write(&mut out, &report, &options),
    };
    written.and_then(|()| out.flush()).map_err(|error| Stop::from_write(&error))?;
    Ok(cli::CLEAN)
}

fn load(source: &Source) -> Result<Trace, Stop> {
    let name = source.name();
    Trace::load(source.open()?).map_err(|ending| match ending {
        Ending::Truncated { bytes: 0, .. } => {
            Stop::trouble(format_args!("{name}: empty; did vg-record say why it wrote nothing?"))
        }
        ending => Stop::trouble(format_args!("{name}: {ending}")),
    })
}

/// Says what is missing in a trace.
fn is_complete(trace: &Trace, source: &Source) -> bool {
    if trace.ending != Ending::Complete {
        cli::warn(TOOL, format_args!("{}: {}", source.name(), trace.ending));
        return false;
    }
    let lost = trace.trailer.iter().flat_map(|trailer| &trailer.lost);
    for lost in lost.clone() {
        cli::warn(TOOL, format_args!("{}: process {}: {}", source.name(), lost.process, lost.reason));
    }
    trace.trailer.as_ref().is_some_and(|trailer| trailer.complete)
}

/// Why there is nothing to show.
fn missing(trace: &Trace, options: &Options) -> String {
    if trace.executions.is_empty() {
        return "the recording has no counts of executed code; record with --events=blocks".to_owned();
    }
    let list = |numbers: Vec<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let mut processes: Vec<u32> = trace.executions.iter().map(|executions| executions.process).collect();
    let mut threads: Vec<u32> = trace.executions.iter().map(|executions| executions.thread).collect();
    processes.sort_unstable();
    processes.dedup();
    threads.sort_unstable();
    threads.dedup();
    match (options.process, options.thread) {
        (Some(process), None) => {
            format!("no counts of process {process} in the recording; it has those of {}", list(processes))
        }
        (_, Some(thread)) => {
            format!("no such counts of thread {thread} in the recording; it has those of {}", list(threads))
        }
        (None, None) => "the recording has no counts of executed code".to_owned(),
    }
}

//! `bench`: what recording costs, compared with running natively and under the peers.
//!
//! This file holds the command line and the order of things. Always holds: what is printed on standard output is the
//! result; progress goes to standard error. Not here: everything else; see the modules.
#![deny(unsafe_code)]

mod column;
mod counters;
mod counts;
mod errors;
mod input;
mod machine;
mod measure;
mod report;
mod run;
mod single;
mod source;
mod table;
mod tools;
mod workload;

use clap::{Parser, ValueEnum};
use column::Column;
use input::Inputs;
use run::{Bench, Clock};
use std::path::PathBuf;
use std::process::ExitCode;
use table::Table;
use workload::Group;

/// The single questions, by the names that --only knows.
const SINGLE: [&str; 3] = ["startup", "threads", "scan"];

/// Compare recording with running natively and under valgrind, heaptrack and the sanitizers
///
/// Builds vg-record, makes the inputs, runs every program in every column in turn, and prints medians as ratios to
/// native. Peers that are not installed, and sources that are not there, are "-". Use a quiet machine: the load is
/// printed with the results.
#[derive(Debug, Parser)]
#[command(max_term_width = 80)]
struct Cli {
    /// One round instead of several
    #[arg(long, conflicts_with = "runs")]
    quick: bool,

    /// Rounds; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,

    /// What is measured
    #[arg(long, value_enum, value_name = "TABLE", default_value = "heap")]
    table: Kind,

    /// Only this program or question, also several times: a name of the tables (its first word is enough), or
    /// startup, threads, scan
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Print markdown tables
    #[arg(long)]
    markdown: bool,

    /// Print what vg-record --stats counted, too
    #[arg(long)]
    stats: bool,

    /// Leave valgrind, heaptrack and the sanitizers out
    #[arg(long)]
    no_peers: bool,

    /// Take vg-record and vg-leaks from FOLDER instead of building them
    #[arg(long, value_name = "FOLDER")]
    tools: Option<PathBuf>,
}

/// Which tables are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Heap events beside massif and heaptrack, and the single questions
    Heap,
    /// Memory errors beside memcheck and the sanitizers: time, where code is executed, memory
    Errors,
    /// Counts of executed code and calls beside callgrind and cachegrind
    Counts,
}

impl Cli {
    fn wants(&self, name: &str) -> bool {
        let first = |text: &str| text.split([' ', '(']).next().unwrap_or_default().to_owned();
        self.only.is_empty() || self.only.iter().any(|only| only == name || *only == first(name))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match bench(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn bench(cli: &Cli) -> anyhow::Result<()> {
    let tools = tools::Tools::find(cli.tools.as_deref())?;
    let inputs = Inputs::make()?;
    let (workloads, single) = match cli.table {
        Kind::Heap => (workload::heap(&inputs), &SINGLE[..]),
        Kind::Errors | Kind::Counts => {
            let folder = tools::target().unwrap_or_else(std::env::temp_dir).join("bench-programs");
            let builder = source::Builder::new(folder, cli.table == Kind::Errors);
            let columns: &[Column] =
                if cli.table == Kind::Errors { &Column::ERRORS } else { &Column::COUNTS };
            let wanted = |name: &str| cli.wants(name);
            (workload::with_slow_peers(columns, &inputs, &builder, wanted)?, &SINGLE[..0])
        }
    };
    let known = |only: &String| {
        let one = Cli { only: vec![only.clone()], ..Cli::parse_from(["bench"]) };
        single.contains(&only.as_str()) || workloads.iter().any(|workload| one.wants(workload.name))
    };
    if let Some(unknown) = cli.only.iter().find(|only| !known(only)) {
        let names: Vec<&str> =
            workloads.iter().map(|workload| workload.name).chain(single.iter().copied()).collect();
        anyhow::bail!("--only={unknown}: the names are {}", names.join(", "));
    }
    let runs = if cli.quick { 1 } else { usize::from(cli.runs) };
    let bench = Bench { tools: &tools, scratch: inputs.folder(), peers: !cli.no_peers, runs };
    let mut notes = Vec::new();
    if !tools.records_nothing && cli.table != Kind::Errors {
        notes.push("translation only: this vg-record has no --events=none".into());
    }
    if tools.valgrind.is_none() && !cli.no_peers {
        notes.push("valgrind is not installed: its columns are empty".into());
    }
    println!("{}", machine::line());

    let mut results = Vec::new();
    for workload in workloads.iter().filter(|workload| cli.wants(workload.name)) {
        match &workload.program {
            Some(program) => match bench.workload(workload, program) {
                Ok(measured) => results.push((workload, measured)),
                Err(error) => notes.push(format!("{error:#}")),
            },
            None => notes.push(format!("{}: not installed", workload.name)),
        }
    }
    notes.extend(report::failures(&results));
    let tables = match cli.table {
        Kind::Heap => heap_tables(cli, &bench, &inputs, &results, &mut notes),
        Kind::Errors => vec![
            errors::ratios(&results, Clock::Cpu),
            errors::ratios(&results, Clock::Wall),
            errors::realms(&results),
            errors::memory(&results),
        ],
        Kind::Counts => vec![
            counts::ratios(&results, Clock::Cpu),
            counts::ratios(&results, Clock::Wall),
            counts::traces(&results),
        ],
    };
    let rounds = if runs == 1 { "one round".to_owned() } else { format!("medians of {runs} rounds") };
    println!("{rounds}; {}", machine::load());
    for table in tables.iter().filter(|table| !Table::is_empty(table)) {
        println!("\n{}", table.text(cli.markdown).trim_end());
    }
    for note in &notes {
        println!("\nnote: {note}");
    }
    Ok(())
}

/// The tables about the heap, and the single questions.
fn heap_tables(
    cli: &Cli,
    bench: &Bench<'_>,
    inputs: &Inputs,
    results: &[report::Result<'_>],
    notes: &mut Vec<String>,
) -> Vec<Table> {
    let programs = [Group::Real, Group::Heap];
    let mut tables = vec![
        report::ratios(results, &programs, Clock::Cpu),
        report::ratios(results, &programs, Clock::Wall),
        report::ratios(results, &[Group::Micro], Clock::Cpu),
        report::trace_sizes(results),
    ];
    if cli.wants(SINGLE[0]) {
        tables.extend(single::startup(bench, notes));
    }
    if cli.wants(SINGLE[1]) {
        tables.push(single::threads(bench, inputs, notes));
    }
    if cli.wants(SINGLE[2]) {
        match single::scan(bench, inputs) {
            Ok(table) => tables.push(table),
            Err(error) => notes.push(format!("leak scan: {error:#}")),
        }
    }
    if cli.stats {
        tables.push(report::highlights(results, Column::Translation));
        tables.push(report::highlights(results, Column::Heap));
        tables.push(report::highlights(results, Column::HeapAndClock));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_or_their_first_words_choose() {
        let cli = Cli::parse_from(["bench", "--only=xz", "--only=fib", "--only", "cc1 -O2", "--only=scan"]);
        for name in ["xz -1", "fib(38)", "cc1 -O2", "scan"] {
            assert!(cli.wants(name), "{name}");
        }
        for name in ["gzip", "threads", "x"] {
            assert!(!cli.wants(name), "{name}");
        }
        assert!(Cli::parse_from(["bench"]).wants("anything"));
        assert!(Cli::try_parse_from(["bench", "--quick", "--runs=3"]).is_err());
    }
}

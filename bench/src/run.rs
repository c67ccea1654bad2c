//! Runs workloads in their columns, in turn, and keeps the times.
//!
//! Always holds: in each round every column runs once, so that a change of the machine's mood reaches all of them; a
//! run that failed or printed something else than the native one is no time but a failure with a reason.
//! Not here: tables of the times (`report`), single questions (`single`).

use crate::column::{Column, Program};
use crate::counters::Counters;
use crate::measure::{self, Sample};
use crate::table::median;
use crate::tools::Tools;
use crate::workload::Workload;
use anyhow::Context as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// No run takes this long unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);
/// Nor this many times as long as the native run, on top of [`SHORTEST_LIMIT`] (heaptrack's interpreter may die and
/// leave the program waiting for ever).
const LIMIT_RATIO: u32 = 1000;
const SHORTEST_LIMIT: Duration = Duration::from_secs(30);

/// Everything that a run needs.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub tools: &'a Tools,
    /// A folder for the files that runs write.
    pub scratch: &'a Path,
    pub peers: bool,
    /// Rounds of each workload.
    pub runs: usize,
}

/// How the runs of one workload in one column went.
#[derive(Debug)]
pub(crate) enum Cell {
    /// Not installed or not asked for.
    Missing,
    Times(Vec<Sample>),
    /// In words.
    Failed(String),
}

/// A workload in one column.
#[derive(Debug)]
pub(crate) struct Measured {
    pub column: Column,
    pub cell: Cell,
    /// Of the last run, when it was `vg-record`.
    pub counters: Option<Counters>,
}

/// Processor time or wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Cpu,
    Wall,
}

impl Clock {
    /// In titles of tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Clock::Cpu => "processor time (user and system, all processes)",
            Clock::Wall => "wall time",
        }
    }
}

impl Cell {
    /// The median of the most resident memory, in bytes; nothing when it was too short to be seen.
    pub(crate) fn memory(&self) -> Option<f64> {
        let Cell::Times(samples) = self else { return None };
        median(samples.iter().map(|sample| sample.memory as f64).collect()).filter(|&bytes| bytes > 0.0)
    }

    /// The median.
    pub(crate) fn time(&self, clock: Clock) -> Option<Duration> {
        let Cell::Times(samples) = self else { return None };
        let of = |sample: &Sample| match clock {
            Clock::Cpu => sample.cpu.as_secs_f64(),
            Clock::Wall => sample.wall.as_secs_f64(),
        };
        median(samples.iter().map(of).collect()).map(Duration::from_secs_f64)
    }
}

/// What one run of one program gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub sample: Sample,
    pub counters: Option<Counters>,
}

impl Bench<'_> {
    /// Runs a workload in all its columns, `runs` times.
    ///
    /// # Errors
    /// The native run failed: there is nothing to compare with.
    pub(crate) fn workload(&self, workload: &Workload, program: &Program) -> anyhow::Result<Vec<Measured>> {
        let cell = |&column| Measured { column, cell: Cell::Missing, counters: None };
        let mut all: Vec<Measured> = workload.columns.iter().map(cell).collect();
        let mut limit = LIMIT;
        for round in 0..self.runs {
            for measured in &mut all {
                if matches!(measured.cell, Cell::Failed(_)) {
                    continue;
                }
                eprintln!(
                    "{}: round {} of {}: {}",
                    workload.name,
                    round + 1,
                    self.runs,
                    measured.column.title()
                );
                let outcome = match self.once(measured.column, program, limit) {
                    None => continue,
                    Some(Ok(outcome)) => outcome,
                    Some(Err(error)) if measured.column == Column::Native => {
                        return Err(error.context(format!("{} failed natively", workload.name)));
                    }
                    Some(Err(error)) => {
                        let reason = format!("{error:#}");
                        eprintln!("{} with {}: {reason}", workload.name, measured.column.title());
                        measured.cell = Cell::Failed(reason);
                        continue;
                    }
                };
                if measured.column == Column::Native {
                    limit = LIMIT.min(SHORTEST_LIMIT + outcome.sample.wall * LIMIT_RATIO);
                }
                measured.counters = outcome.counters;
                match &mut measured.cell {
                    Cell::Times(samples) => samples.push(outcome.sample),
                    cell => *cell = Cell::Times(vec![outcome.sample]),
                }
            }
        }
        Ok(all)
    }

    /// Runs a program once. `None`: this column is not available.
    ///
    /// # Errors
    /// It did not start or end well, took too long, or printed something else than the last native run did.
    pub(crate) fn once(
        &self,
        column: Column,
        program: &Program,
        limit: Duration,
    ) -> Option<anyhow::Result<Outcome>> {
        if !self.peers && column != Column::Native && !column.is_ours() {
            return None;
        }
        let command = column.command(self.tools, program, self.scratch)?;
        Some(self.measured(column, command, limit))
    }

    fn measured(
        &self,
        column: Column,
        mut command: std::process::Command,
        limit: Duration,
    ) -> anyhow::Result<Outcome> {
        let native = self.file("stdout.native");
        let stdout = if column == Column::Native { native.clone() } else { self.file("stdout") };
        let stderr = self.file("stderr");
        let create =
            |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        command.stdin(Stdio::null()).stdout(create(&stdout)?).stderr(create(&stderr)?);
        // Messages differ by language, and some tools ask servers for symbols.
        command.env("LC_ALL", "C").env_remove("DEBUGINFOD_URLS").current_dir(self.scratch);
        let (status, sample) = measure::run(&mut command, limit)?;
        let said = fs::read(&stderr).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let status =
            status.with_context(|| format!("killed: it took longer than {} seconds", limit.as_secs()))?;
        if !status.success() {
            let line =
                said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing on standard error");
            anyhow::bail!("{status}: {line}");
        }
        if column.keeps_stdout() && column != Column::Native && !same(&native, &stdout)? {
            anyhow::bail!("its output differs from the native one");
        }
        let counters = column.is_ours().then(|| Counters::parse(&said));
        Ok(Outcome { sample, counters })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }
}

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let open = |path: &Path| File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let (mut one, mut other) = (open(one)?, open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    one.read_to_end(&mut left)?;
    other.read_to_end(&mut right)?;
    Ok(left == right)
}

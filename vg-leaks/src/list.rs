//! `--snapshot=list`: which snapshots of the heap there are, in each format.
//!
//! Not here: what is in them.

use crate::load::{Found, Process, Recording};
use crate::options::{Format, Options};
use crate::text::occasion;
use report::cli::Stop;
use report::format::{csv_field, grouped, harmless};
use schema::Reason;
use serde::Serialize;
use std::io::{self, BufWriter, Write};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    snapshots: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    snapshot: u32,
    process: u32,
    pid: u32,
    reason: &'static str,
    seconds: f64,
    bytes: u64,
    blocks: u64,
    complete: bool,
    trace: &'a str,
    /// Of its trace.
    #[serde(skip)]
    order: usize,
    #[serde(skip)]
    when: &'static str,
    #[serde(skip)]
    command: String,
}

/// Prints the list.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(recordings: &[Recording], options: &Options) -> Result<(), Stop> {
    let snapshots = recordings.iter().enumerate().flat_map(|(order, recording)| {
        let wanted = |found: &&Found| {
            let process = process(recording, found);
            options.process.is_none_or(|wanted| process.is_some_and(|process| process.is(wanted)))
        };
        recording.found.iter().filter(wanted).map(move |found| entry(order, recording, found))
    });
    let mut document = Document { schema: 1, snapshots: snapshots.collect() };
    document.snapshots.sort_by_key(|entry| (entry.order, entry.process));
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match options.format {
        Format::Text => text(&mut out, &document.snapshots),
        Format::Json => json(&mut out, &document),
        Format::Csv => csv(&mut out, &document.snapshots),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Stop::from_write(&error)),
        _ => Ok(()),
    }
}

fn process<'a>(recording: &'a Recording, found: &Found) -> Option<&'a Process> {
    recording.processes.iter().find(|process| process.number == found.process)
}

fn entry<'a>(order: usize, recording: &'a Recording, found: &Found) -> Entry<'a> {
    let process = process(recording, found);
    let words = process.map(|process| process.command.iter().map(|word| harmless(word)).collect::<Vec<_>>());
    Entry {
        order,
        snapshot: found.snapshot.number,
        process: found.process,
        pid: process.map_or(0, |process| process.pid),
        reason: match found.snapshot.reason {
            Reason::Exit => "exit",
            Reason::Signal => "signal",
            Reason::Request => "request",
            Reason::Client => "client",
            Reason::Exec => "exec",
            Reason::Other(_) => "other",
        },
        seconds: found.snapshot.time as f64 / 1e9,
        bytes: found.bytes,
        blocks: found.blocks,
        complete: found.complete,
        trace: &recording.name,
        when: occasion(found.snapshot.reason),
        command: words.unwrap_or_default().join(" "),
    }
}

fn text(out: &mut dyn Write, entries: &[Entry<'_>]) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "no snapshot of the heap");
    }
    let mut before = None;
    for entry in entries {
        if before != Some((entry.trace, entry.process)) {
            writeln!(out, "PROCESS {}: {} (pid {})", entry.process, entry.command, entry.pid)?;
            before = Some((entry.trace, entry.process));
        }
        writeln!(
            out,
            "{:>4}  {:>10.3} s  {:>14} bytes in {} blocks, {}{}",
            entry.snapshot,
            entry.seconds,
            grouped(entry.bytes),
            grouped(entry.blocks),
            entry.when,
            if entry.complete { "" } else { " (incomplete)" }
        )?;
    }
    Ok(())
}

fn json(mut out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, document)?;
    writeln!(out)
}

fn csv(out: &mut dyn Write, entries: &[Entry<'_>]) -> io::Result<()> {
    writeln!(out, "snapshot,process,pid,reason,seconds,bytes,blocks,complete,trace")?;
    for entry in entries {
        let Entry { snapshot, process, pid, reason, seconds, bytes, blocks, complete, .. } = entry;
        let trace = csv_field(entry.trace);
        writeln!(out, "{snapshot},{process},{pid},{reason},{seconds},{bytes},{blocks},{complete},{trace}")?;
    }
    Ok(())
}

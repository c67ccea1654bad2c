//! `--summary` and `--top`: the headline numbers, and the places that lead in each, in the manner of heaptrack_print.

use crate::json::{Entries, Head, entries};
use crate::options::Options;
use crate::run::Report;
use crate::text;
use crate::totals::{Counts, Totals};
use report::format::grouped;
use serde::Serialize;
use std::io::{self, Write};

/// A list of places.
struct List {
    title: &'static str,
    key: &'static str,
    by_stack: Vec<(u32, u64)>,
}

impl List {
    fn sum(&self) -> u64 {
        self.by_stack.iter().fold(0, |sum, (_, value)| sum.saturating_add(*value))
    }
}

/// What is shown, in order.
fn lists(totals: &Totals, peak: &[(u32, u64)]) -> [List; 4] {
    let by = |what: fn(&Counts) -> u64| {
        let all = totals.by_stack.iter().map(|(stack, counts)| (*stack, what(counts)));
        all.filter(|(_, value)| *value > 0).collect()
    };
    [
        List { title: "Most calls of allocation functions", key: "calls", by_stack: by(|one| one.calls) },
        List { title: "Most bytes at the peak", key: "peak", by_stack: peak.to_vec() },
        List { title: "Most temporary allocations", key: "temporary", by_stack: by(|one| one.temporary) },
        List { title: "Most bytes allocated", key: "bytes", by_stack: by(|one| one.bytes) },
    ]
}

/// For people.
pub(crate) fn write(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    text::write_head(out, report.process)?;
    writeln!(out)?;
    let (Some(totals), Some(peak)) = (&report.totals, report.snapshots.first()) else { return Ok(()) };
    if options.summary {
        let Counts { calls, bytes, temporary } = totals.all();
        let percent = temporary as f64 / calls.max(1) as f64 * 100.0;
        let blocks = totals.end.count();
        writeln!(out, "calls of allocation functions:  {}", grouped(calls))?;
        writeln!(out, "temporary allocations:          {} ({percent:.2}%)", grouped(temporary))?;
        writeln!(out, "bytes allocated:                {}", grouped(bytes))?;
        writeln!(
            out,
            "peak:                           {} bytes, {} of them asked for, at {} {}",
            grouped(peak.total()),
            grouped(peak.bytes),
            grouped(peak.time),
            options.time_unit.name()
        )?;
        let plural = if blocks == 1 { "" } else { "s" };
        writeln!(
            out,
            "left at the end:                {} bytes in {} block{plural}",
            grouped(totals.end.bytes),
            grouped(blocks)
        )?;
    }
    let Some(most) = options.top else { return Ok(()) };
    for (number, list) in lists(totals, peak.detail.as_deref().unwrap_or_default()).iter().enumerate() {
        if options.summary || number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}, of {}:\n", list.title, grouped(list.sum()))?;
        text::write_entries(out, &mut report.callers, &list.by_stack, list.sum(), options, Some(most))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    calls: u64,
    temporary: u64,
    bytes: u64,
    peak_bytes: u64,
    peak_extra_bytes: u64,
    peak_time: u64,
    end_bytes: u64,
    end_blocks: u64,
    /// Trees by what they are of, as in the report of snapshots; `bytes` is the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<std::collections::BTreeMap<&'static str, Entries<'a>>>,
}

/// One JSON object, `"schema": 1`.
pub(crate) fn write_json(out: &mut dyn Write, report: &mut Report<'_>, options: &Options) -> io::Result<()> {
    let head = Head::of(report, options);
    let (Some(totals), Some(peak)) = (&report.totals, report.snapshots.first()) else { return Ok(()) };
    let callers = &mut report.callers;
    let top = options.top.map(|_| {
        let lists = lists(totals, peak.detail.as_deref().unwrap_or_default());
        lists.iter().map(|list| (list.key, entries(&list.by_stack, callers, list.sum(), options))).collect()
    });
    let Counts { calls, bytes, temporary } = totals.all();
    let document = Document {
        head,
        calls,
        temporary,
        bytes,
        peak_bytes: peak.bytes,
        peak_extra_bytes: peak.extra,
        peak_time: peak.time,
        end_bytes: totals.end.bytes,
        end_blocks: totals.end.count(),
        top,
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}

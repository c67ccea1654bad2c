//! The report for people, in the layout of callgrind_annotate: totals, functions, and source with the cost of each line.

use crate::costs::Function;
use crate::options::Options;
use crate::run::Report;
use report::format::{counted, grouped, harmless};
use report::source::Sources;
use report::style::Style;
use std::collections::BTreeMap;
use std::io::{self, Write};

const RULE: &str = "--------------------------------------------------------------------------------";

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report, options: &Options, style: Style) -> io::Result<()> {
    let costs = &report.costs;
    let width = grouped(costs.total).len();
    let cost = |cost: u64| {
        let percent = format!("{:.2}", costs.percent(cost));
        // As wide as all others.
        let percent = if percent == "100.00" { "100.0" } else { &percent };
        format!("{:>width$} ({percent:>5}%)", grouped(cost))
    };
    let heading = |out: &mut dyn Write, title: &str| {
        let (event, width) = ("Ir", width + 9);
        writeln!(out, "{RULE}\n{event:<width$}{title}\n{RULE}")
    };
    writeln!(out, "Command:         {}", harmless(&report.command.join(" ")))?;
    writeln!(out, "Events:          Ir (instructions executed)\n")?;
    heading(out, "")?;
    writeln!(out, "{}  PROGRAM TOTALS\n", cost(costs.total))?;
    heading(out, "  file:function")?;
    let shown = costs.shown(options);
    for &(function, ir) in &shown {
        writeln!(out, "{}  {}", cost(ir), name(function))?;
    }
    let left: u64 = costs.total - shown.iter().map(|(_, cost)| cost).sum::<u64>();
    let others = costs.functions.len() - shown.len();
    if others > 0 {
        let others = counted(others as u64, "other function", "other functions");
        writeln!(out, "{}  {}", cost(left), style.faint(others))?;
    }
    if !options.annotate {
        return Ok(());
    }
    let mut sources = Sources::default();
    let mut unreadable = Vec::new();
    let least = costs.least(options);
    // Of the functions that are shown, those whose source costs enough.
    let mut files: Vec<(&String, &BTreeMap<u32, u64>, u64)> = costs
        .lines
        .iter()
        .filter(|(file, lines)| {
            let is_shown =
                options.only.is_none() || shown.iter().any(|(function, _)| function.file == **file);
            is_shown && lines.iter().any(|(line, cost)| *line != 0 && *cost as f64 >= least)
        })
        .map(|(file, lines)| (file, lines, lines.values().sum()))
        .collect();
    files.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(b.0)));
    for (file, lines, total) in files {
        let Some(text) = sources.lines(file, &report.directory) else {
            unreadable.push((file, total));
            continue;
        };
        writeln!(out, "\n{RULE}\n-- Annotated source: {}\n{RULE}\n", harmless(file))?;
        annotate(out, text, lines, (least, options.context), &cost, &format!("{:>width$}{:9}", ".", ""))?;
    }
    if !unreadable.is_empty() {
        writeln!(out, "\n{RULE}\n-- Source files that are not here\n{RULE}\n")?;
        for (file, total) in unreadable {
            writeln!(out, "{}  {}", cost(total), harmless(file))?;
        }
    }
    if costs.without_source > 0 {
        writeln!(out, "\n{}  in code without line numbers", cost(costs.without_source))?;
    }
    Ok(())
}

/// Lines with costs of at least `limits.0`, and `limits.1` around each.
fn annotate(
    out: &mut dyn Write,
    text: &[String],
    lines: &BTreeMap<u32, u64>,
    limits: (f64, u32),
    cost: &dyn Fn(u64) -> String,
    blank: &str,
) -> io::Result<()> {
    let (least, context) = limits;
    let last = text.len() as u32;
    let mut shown = vec![false; text.len()];
    for (&line, _) in lines.iter().filter(|(line, cost)| **line != 0 && **cost as f64 >= least) {
        let first = line.saturating_sub(context).max(1);
        for line in first..=line.saturating_add(context).min(last) {
            shown[line as usize - 1] = true;
        }
    }
    let mut before = 0;
    for (line, text) in (1..).zip(text).filter(|(line, _)| shown[*line as usize - 1]) {
        if line != before + 1 {
            writeln!(out, "-- line {line} {}", "-".repeat(32))?;
        }
        before = line;
        match lines.get(&line) {
            Some(&ir) => writeln!(out, "{}  {text}", cost(ir))?,
            None => writeln!(out, "{}", format!("{blank}  {text}").trim_end())?,
        }
    }
    Ok(())
}

fn name(function: &Function) -> String {
    let file = if function.file.is_empty() { "???" } else { &function.file };
    let name = if function.name.is_empty() { "???" } else { &function.name };
    let module = if function.module.is_empty() { "no module" } else { &function.module };
    harmless(&format!("{file}:{name} [{module}]")).into_owned()
}

//! The report for people, in the layout of callgrind_annotate: totals, functions with their calls, and source with the cost
//! of each line.

use super::table::{Columns, RULE, counted_calls, counted_jump, display, legend};
use crate::profile::{Costs, FunctionId};
use crate::selection::{LineCosts, View};
use crate::sources::Library;
use report::format::{counted, harmless};
use report::style::Style;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

/// Writes the report.
pub(super) fn write(out: &mut dyn Write, view: &View<'_>, style: Style) -> io::Result<()> {
    let columns = Columns::of(view);
    let command = view.profile.command.join(" ");
    if !command.is_empty() {
        writeln!(out, "Command:         {}", harmless(&command))?;
    }
    legend(out, &view.profile.events, &view.chosen.shown)?;
    columns.heading(out, "")?;
    writeln!(out, "{}  PROGRAM TOTALS\n", columns.cells(&view.graph.total))?;
    let what = if view.options.inclusive { "  file:function, inclusive" } else { "  file:function" };
    columns.heading(out, what)?;
    functions(out, view, &columns, style)?;
    if view.options.annotate { sources(out, view, &columns) } else { Ok(()) }
}

fn functions(out: &mut dyn Write, view: &View<'_>, columns: &Columns<'_>, style: Style) -> io::Result<()> {
    let shown = view.functions();
    let tree = view.options.tree;
    let is_tree = tree.has_callers() || tree.has_callees();
    for (number, &function) in shown.iter().enumerate() {
        if is_tree && number > 0 {
            writeln!(out)?;
        }
        let neighbours = |out: &mut dyn Write, mark, callers| {
            let least = view.least();
            for (other, times, costs) in view.neighbours(function, callers) {
                // A call of itself costs nothing where it is folded, and tells much.
                if other != function && (costs.get(view.chosen.main()) as f64) < least {
                    continue;
                }
                let name = display(view, other);
                let line = format!("{}  {mark} {name}{}", columns.cells(&costs), counted_calls(times));
                writeln!(out, "{}", style.faint(line))?;
            }
            io::Result::Ok(())
        };
        if tree.has_callers() {
            neighbours(out, "<", true)?;
        }
        let mark = if is_tree { "* " } else { "" };
        writeln!(out, "{}  {mark}{}", columns.cells(view.costs(function)), display(view, function))?;
        if tree.has_callees() {
            neighbours(out, ">", false)?;
        }
    }
    let is_shown: HashSet<FunctionId> = shown.into_iter().collect();
    let others: Vec<FunctionId> =
        view.graph.functions().filter(|id| !view.costs(*id).is_zero() && !is_shown.contains(id)).collect();
    if others.is_empty() {
        return Ok(());
    }
    let count = counted(others.len() as u64, "other function", "other functions");
    // Inclusive costs do not add up.
    let mut left = Costs::default();
    others.iter().for_each(|id| left.add(view.graph.own[id.0].values()));
    let cells = if view.options.inclusive { columns.blank() } else { columns.cells(&left) };
    writeln!(out, "{cells}  {}", style.faint(count))
}

fn sources(out: &mut dyn Write, view: &View<'_>, columns: &Columns<'_>) -> io::Result<()> {
    let mut library = Library::new(&view.profile.directory, &view.options.include);
    let (least, main) = (view.least(), view.chosen.main());
    let mut files = view.lines();
    let mut without_source = Costs::default();
    for line in files.remove("").unwrap_or_default().into_values() {
        without_source.add(line.own.values());
    }
    let is_dear = |line: &LineCosts| {
        let cost = view.line_costs(line).get(main);
        cost > 0 && cost as f64 >= least
    };
    let mut files: Vec<(&str, BTreeMap<u32, LineCosts>, Costs)> = files
        .into_iter()
        .filter(|(_, lines)| lines.iter().any(|(number, line)| *number != 0 && is_dear(line)))
        .map(|(file, lines)| {
            let mut own = Costs::default();
            lines.values().for_each(|line| own.add(line.own.values()));
            (file, lines, own)
        })
        .collect();
    files.sort_by(|a, b| view.compare(&a.2, &b.2).then_with(|| a.0.cmp(b.0)));
    let mut jumps = jumps_by_line(view);
    let mut unreadable = Vec::new();
    for (file, lines, own) in &files {
        let Some(text) = library.lines(file) else {
            unreadable.push((file, own));
            continue;
        };
        writeln!(out, "\n{RULE}\n-- Annotated source: {}\n{RULE}\n", harmless(file))?;
        let is_dear = |number: u32| number != 0 && lines.get(&number).is_some_and(&is_dear);
        let jumps = jumps.remove(file).unwrap_or_default();
        annotate(out, view, columns, text, (lines, &jumps), &is_dear)?;
    }
    if !unreadable.is_empty() {
        writeln!(
            out,
            "\n{RULE}\n-- Source files that are not here (--include=DIR looks for them)\n{RULE}\n"
        )?;
        for (file, own) in unreadable {
            writeln!(out, "{}  {}", columns.cells(own), harmless(file))?;
        }
    }
    if !without_source.is_zero() {
        writeln!(out, "\n{}  in code without line numbers", columns.cells(&without_source))?;
    }
    Ok(())
}

/// Jumps, in words, by file and line.
fn jumps_by_line<'a>(view: &View<'a>) -> BTreeMap<&'a str, BTreeMap<u32, Vec<String>>> {
    let mut files: BTreeMap<&str, BTreeMap<u32, Vec<String>>> = BTreeMap::new();
    if view.options.jumps {
        for (jump, times) in view.jumps(|function| view.is_wanted(function)) {
            let lines = files.entry(view.profile.file(jump.site.file)).or_default();
            lines.entry(jump.site.line).or_default().push(counted_jump(view.profile, &jump, times));
        }
    }
    files
}

/// Lines of source that are dear, and some around each; with their jumps below.
fn annotate(
    out: &mut dyn Write,
    view: &View<'_>,
    columns: &Columns<'_>,
    text: &[String],
    (lines, jumps): (&BTreeMap<u32, LineCosts>, &BTreeMap<u32, Vec<String>>),
    is_dear: &dyn Fn(u32) -> bool,
) -> io::Result<()> {
    let shown = around(text.len(), lines.keys().copied().filter(|line| is_dear(*line)), view.options.context);
    let mut before = 0;
    for (number, text) in (1..).zip(text).filter(|(number, _)| shown[*number as usize - 1]) {
        if number != before + 1 {
            writeln!(out, "-- line {number} {}", "-".repeat(32))?;
        }
        before = number;
        let costs = lines.get(&number);
        match costs.filter(|line| !view.line_costs(line).is_zero()) {
            Some(line) => writeln!(out, "{}  {text}", columns.cells(view.line_costs(line)))?,
            None => writeln!(out, "{}", format!("{}  {text}", columns.blank()).trim_end())?,
        }
        for jump in jumps.get(&number).into_iter().flatten() {
            writeln!(out, "{}  -> {jump}", columns.blank())?;
        }
        if !view.options.tree.has_callees() {
            continue;
        }
        for (arc, calls) in costs.iter().flat_map(|line| &line.calls).map(|index| &view.graph.calls[*index]) {
            let name = display(view, arc.callee);
            writeln!(out, "{}  => {name}{}", columns.cells(&calls.inclusive), counted_calls(calls.times))?;
        }
    }
    Ok(())
}

/// Which of `count` lines are within `context` of one of these, which count from 1.
pub(super) fn around(count: usize, lines: impl Iterator<Item = u32>, context: u32) -> Vec<bool> {
    let mut shown = vec![false; count];
    for line in lines {
        let first = line.saturating_sub(context).max(1) as usize;
        let last = (line.saturating_add(context) as usize).min(count);
        for shown in shown.iter_mut().take(last).skip(first - 1) {
            *shown = true;
        }
    }
    shown
}

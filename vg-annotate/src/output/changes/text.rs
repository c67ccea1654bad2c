//! Changes for people: the totals, functions, and source with the change of each line. Percentages are parts of the old
//! total, so that they add up to its growth.

use super::ChangeView;
use crate::diff::lines::FileChange;
use crate::diff::{Change, Side};
use crate::output::table::{RULE, legend, name, of_total};
use crate::output::text::around;
use crate::profile::Costs;
use report::format::{counted, grouped, harmless};
use std::io::{self, Write};

/// Writes the changes.
pub(super) fn write(
    out: &mut dyn Write,
    view: &ChangeView<'_>,
    old: &mut Side<'_>,
    new: &mut Side<'_>,
) -> io::Result<()> {
    let total = &view.diff.total;
    let shown = view.functions();
    let columns = Columns::of(view, shown.iter().map(|function| &function.change));
    for (title, file, side) in [("Old:", &view.names[0], &*old), ("New:", &view.names[1], &*new)] {
        let command = side.profile.command.join(" ");
        let command = if command.is_empty() { command } else { format!(" ({command})") };
        writeln!(out, "{title:<16} {}", harmless(&format!("{file}{command}")))?;
    }
    legend(out, &view.diff.events, &view.chosen.shown)?;
    columns.heading(out, "")?;
    writeln!(out, "{}  PROGRAM TOTALS\n", columns.cells(total))?;
    let what = if view.options.inclusive { "  file:function, inclusive" } else { "  file:function" };
    columns.heading(out, what)?;
    for function in &shown {
        writeln!(out, "{}  {}", columns.cells(&function.change), name(&function.function))?;
    }
    let changed = view.diff.functions.iter().filter(|function| function.change.old != function.change.new);
    let others = changed.count().saturating_sub(shown.len());
    if others > 0 {
        let others = counted(others as u64, "other function", "other functions");
        writeln!(out, "{}  {others} changed", columns.blank())?;
    }
    if !view.options.annotate {
        return Ok(());
    }
    for file in view.files() {
        lines(out, view, &columns, file, old, new)?;
    }
    Ok(())
}

/// The lines of a file that changed, and those around them.
fn lines(
    out: &mut dyn Write,
    view: &ChangeView<'_>,
    columns: &Columns<'_>,
    file: &FileChange,
    old: &mut Side<'_>,
    new: &mut Side<'_>,
) -> io::Result<()> {
    writeln!(out, "\n{RULE}\n-- Changed source: {}\n{RULE}\n", harmless(&file.file))?;
    let is_shown =
        |line: &u32| *line != 0 && file.lines.get(line).is_some_and(|change| view.is_shown(change));
    match new.library.lines(&file.file) {
        Some(text) => {
            let changed = file.lines.keys().copied().filter(|line| is_shown(line));
            let shown = around(text.len(), changed, view.options.context);
            let mut before = 0;
            for (number, text) in (1..).zip(text).filter(|(number, _)| shown[*number as usize - 1]) {
                if number != before + 1 {
                    writeln!(out, "-- line {number} {}", "-".repeat(32))?;
                }
                before = number;
                match file.lines.get(&number).filter(|change| change.old != change.new) {
                    Some(change) => writeln!(out, "{}  {text}", columns.cells(change))?,
                    None => writeln!(out, "{}", format!("{}  {text}", columns.blank()).trim_end())?,
                }
            }
        }
        None => {
            for (number, change) in file.lines.iter().filter(|(line, _)| is_shown(line)) {
                writeln!(out, "{}  line {number}", columns.cells(change))?;
            }
        }
    }
    let gone = |costs: &Costs| Change { old: costs.clone(), new: Costs::default() };
    let lost: Vec<_> = file.gone.iter().filter(|(_, costs)| view.is_shown(&gone(costs))).collect();
    if lost.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nGone since {}:\n", harmless(&file.old_file))?;
    // Where both are one file, the old text is not there any more.
    let is_old_text = old.library.path(&file.old_file) != new.library.path(&file.file);
    let text = old.library.lines(&file.old_file).filter(|_| is_old_text).unwrap_or_default();
    for (line, costs) in lost {
        let text = (*line as usize).checked_sub(1).and_then(|line| text.get(line)).map_or("", String::as_str);
        let text = format!("{}  line {line}  {text}", columns.cells(&gone(costs)));
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// One column for each event, and the costs before and after in the first that is sorted by.
struct Columns<'a> {
    view: &'a ChangeView<'a>,
    widths: Vec<usize>,
    before: usize,
    after: usize,
}

impl<'a> Columns<'a> {
    fn of(view: &'a ChangeView<'a>, changes: impl Iterator<Item = &'a Change>) -> Columns<'a> {
        let main = view.chosen.main();
        let mut columns = Columns { view, widths: vec![0; view.chosen.shown.len()], before: 0, after: 0 };
        for change in changes.chain([&view.diff.total]) {
            for (width, event) in columns.widths.iter_mut().zip(&view.chosen.shown) {
                *width = (*width).max(columns_of(view, change, *event).chars().count());
            }
            columns.before = columns.before.max(grouped(change.old.get(main)).len());
            columns.after = columns.after.max(grouped(change.new.get(main)).len());
        }
        columns
    }

    fn cells(&self, change: &Change) -> String {
        let main = self.view.chosen.main();
        let mut cells = String::new();
        for (width, event) in self.widths.iter().zip(&self.view.chosen.shown) {
            cells.push_str(&format!("{:>width$}  ", columns_of(self.view, change, *event)));
        }
        let (before, after) = (self.before, self.after);
        let (old, new) = (grouped(change.old.get(main)), grouped(change.new.get(main)));
        format!("{cells}{old:>before$} -> {new:>after$}")
    }

    fn blank(&self) -> String {
        let cells: String = self.widths.iter().map(|width| format!("{:>width$}  ", ".")).collect();
        format!("{cells}{:>width$}", "", width = self.before + self.after + 4)
    }

    fn heading(&self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        let events = &self.view.diff.events;
        let names = self.widths.iter().zip(&self.view.chosen.shown);
        let names: String =
            names.map(|(width, event)| format!("{:>width$}  ", events[*event].name)).collect();
        let main = &events[self.view.chosen.main()].name;
        let width = self.before + self.after + 4;
        writeln!(out, "{RULE}\n{names}{:<width$}{title}\n{RULE}", format!("{main} old -> new"))
    }
}

/// `+1,234 (+5.67%)`.
fn columns_of(view: &ChangeView<'_>, change: &Change, event: usize) -> String {
    let sign = match change.by(event) {
        0 => return "0".to_owned(),
        by if by > 0 => '+',
        _ => '-',
    };
    let percent = of_total(change.by(event), view.diff.total.old.get(event));
    format!("{sign}{} ({percent:+.2}%)", grouped(change.size(event)))
}

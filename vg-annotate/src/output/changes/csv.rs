//! Changes for spreadsheets: one row for each function, under a row of names. Columns are only ever added at the end.
//!
//! The change of the first event that is sorted by, its part of the old total, the function; then the old and the new cost of
//! each event, that one first.

use super::ChangeView;
use crate::output::table::of_total;
use report::format::csv_field;
use std::io::{self, Write};

/// Writes the changes.
pub(super) fn write(out: &mut dyn Write, view: &ChangeView<'_>) -> io::Result<()> {
    let main = view.chosen.main();
    let others = view.chosen.shown.iter().copied().filter(|event| *event != main);
    let events: Vec<usize> = std::iter::once(main).chain(others).collect();
    let name = |event: usize| &view.diff.events[event].name;
    write!(out, "{},percent,function,file,module", csv_field(&format!("{} change", name(main))))?;
    for event in &events {
        let (old, new) = (format!("{} old", name(*event)), format!("{} new", name(*event)));
        write!(out, ",{},{}", csv_field(&old), csv_field(&new))?;
    }
    writeln!(out)?;
    for function in view.functions() {
        let (change, function) = (&function.change, &function.function);
        write!(
            out,
            "{},{:.2},{},{},{}",
            change.by(main),
            of_total(change.by(main), view.diff.total.old.get(main)),
            csv_field(&function.name),
            csv_field(&function.file),
            csv_field(&function.module)
        )?;
        for event in &events {
            write!(out, ",{},{}", change.old.get(*event), change.new.get(*event))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

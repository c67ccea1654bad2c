//! The report for spreadsheets: one row for each function, under a row of names. Columns are only ever added at the end.

use crate::options::Options;
use crate::run::Report;
use report::format::csv_field;
use std::io::{self, Write};

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report, options: &Options) -> io::Result<()> {
    writeln!(out, "Ir,percent,function,file,module")?;
    for (function, cost) in report.costs.shown(options) {
        writeln!(
            out,
            "{cost},{:.2},{},{},{}",
            report.costs.percent(cost),
            csv_field(&function.name),
            csv_field(&function.file),
            csv_field(&function.module)
        )?;
    }
    Ok(())
}

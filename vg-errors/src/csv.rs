//! The report for spreadsheets: one row for each listed finding, under a row of names.
//!
//! Columns are only ever added at the end. `function`, `file`, `line` and `module` are those of the frame that the
//! plain sentence names; `stack` has all functions, innermost first, with ` < ` between them.

use crate::kinds::KINDS;
use crate::run::Report;
use crate::words;
use report::format::csv_field;
use std::io::{self, Write};

const NAMES: &str =
    "kind,count,size,what,function,file,line,module,stack,address,process,pid,thread,finding,contexts,trace";

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    writeln!(out, "{NAMES}")?;
    for finding in &report.findings.listed {
        let user = finding.stack.user.unwrap_or_default();
        let functions: Vec<_> = finding
            .stack
            .frames
            .iter()
            .map(|f| if f.function.is_empty() { "???" } else { f.function })
            .collect();
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{:#x},{},{},{},{},{},{}",
            KINDS[finding.kind].name,
            finding.count,
            finding.error.size,
            csv_field(&words::what(finding)),
            csv_field(user.function),
            csv_field(user.file),
            user.line,
            csv_field(user.module),
            csv_field(&functions.join(" < ")),
            finding.error.address,
            finding.process.number,
            finding.process.pid,
            finding.error.thread,
            finding.number,
            finding.contexts,
            csv_field(&finding.recording.name)
        )?;
    }
    Ok(())
}

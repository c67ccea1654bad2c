//! The report for spreadsheets: one row for each listed record, under a row of names.
//!
//! Columns are only ever added at the end. `function`, `file`, `line` and `module` are those of the frame that the
//! plain sentence names; `stack` has all functions, innermost first, with ` < ` between them.

use crate::options::kind_name;
use crate::run::Report;
use report::format::csv_field;
use std::io::{self, Write};

const NAMES: &str = "kind,bytes,direct_bytes,indirect_bytes,blocks,function,file,line,module,stack,process,pid,record,cycle_blocks,trace,snapshot";

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    writeln!(out, "{NAMES}")?;
    for section in &report.sections {
        for listed in &section.findings.listed {
            let record = &listed.record;
            let user = listed.user.unwrap_or_default();
            let functions: Vec<_> = listed
                .frames
                .iter()
                .map(|f| if f.function.is_empty() { "???" } else { f.function })
                .collect();
            writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                kind_name(record.kind),
                record.bytes(),
                record.direct,
                record.indirect,
                record.blocks,
                csv_field(user.function),
                csv_field(user.file),
                user.line,
                csv_field(user.module),
                csv_field(&functions.join(" < ")),
                section.process.number,
                section.process.pid,
                record.number,
                record.cycle_blocks,
                csv_field(section.trace),
                section.snapshot.number
            )?;
        }
    }
    Ok(())
}

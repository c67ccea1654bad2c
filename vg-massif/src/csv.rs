//! One row for each snapshot, with a head that names the columns.

use crate::run::Report;
use std::io::{self, Write};

/// Writes a report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    writeln!(out, "snapshot,time,heap_bytes,extra_bytes,kind")?;
    for (number, snapshot) in report.snapshots.iter().enumerate() {
        let kind = snapshot.kind();
        writeln!(out, "{number},{},{},{},{kind}", snapshot.time, snapshot.bytes, snapshot.extra)?;
    }
    Ok(())
}

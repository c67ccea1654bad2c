//! The heap over time as a graph of characters, in the manner of ms_print: `:` a snapshot, `@` a detailed one, `#` the peak.
//!
//! Rules: a snapshot stands in the column of its time, as high as its total; where several share a column, the highest
//! one decides its height, and the peak, or else a detailed one, its sign. What holds anything is at least one row high.

use crate::options::TimeUnit;
use crate::snapshots::Snapshot;
use std::io::{self, Write};

/// Columns.
const WIDTH: usize = 72;
/// Rows.
const HEIGHT: usize = 20;

/// Writes the graph with its axes.
pub(crate) fn write(out: &mut dyn Write, snapshots: &[Snapshot], unit: TimeUnit) -> io::Result<()> {
    let end = snapshots.last().map_or(0, |last| last.time);
    let highest = snapshots.iter().map(Snapshot::total).max().unwrap_or_default();
    let columns = columns(snapshots, end, highest);
    let (amount, bytes) = scaled(highest, 1024.0, &["B", "KB", "MB", "GB", "TB"]);
    writeln!(out, "{bytes:>8}")?;
    for row in (1..=HEIGHT).rev() {
        let left = if row == HEIGHT { format!("{amount:>8}^") } else { "        |".to_owned() };
        let line: String =
            columns.iter().map(|(height, sign)| if *height >= row { *sign } else { ' ' }).collect();
        writeln!(out, "{}", format!("{left}{line}").trim_end())?;
    }
    let (amount, unit) = match unit {
        TimeUnit::Instructions => scaled(end, 1000.0, &["i", "ki", "Mi", "Gi", "Ti"]),
        TimeUnit::Milliseconds => scaled(end, 1000.0, &["ms", "s"]),
        TimeUnit::Bytes => scaled(end, 1024.0, &["B", "KB", "MB", "GB", "TB"]),
    };
    writeln!(out, "       0+{}>{unit}", "-".repeat(WIDTH - 1))?;
    writeln!(out, "        0{amount:>WIDTH$}")
}

/// Height and sign of each column.
fn columns(snapshots: &[Snapshot], end: u64, highest: u64) -> Vec<(usize, char)> {
    let mut columns = vec![(0, ':'); WIDTH];
    let part = |value: u64, whole: u64, of: usize| value as f64 / whole.max(1) as f64 * of as f64;
    for snapshot in snapshots {
        let at = (part(snapshot.time, end, WIDTH) as usize).min(WIDTH - 1);
        let height = (part(snapshot.total(), highest, HEIGHT).ceil() as usize).min(HEIGHT);
        let sign = match (snapshot.is_peak, &snapshot.detail) {
            (true, _) => '#',
            (false, Some(_)) => '@',
            (false, None) => ':',
        };
        let column = &mut columns[at];
        column.0 = column.0.max(height);
        if sign == '#' || sign == '@' && column.1 == ':' {
            column.1 = sign;
        }
    }
    columns
}

/// A number with three digits or four, and its unit.
fn scaled(value: u64, step: f64, units: &[&'static str]) -> (String, &'static str) {
    let mut number = value as f64;
    let mut unit = 0;
    while number >= step && unit + 1 < units.len() {
        number /= step;
        unit += 1;
    }
    let text = if unit == 0 { value.to_string() } else { format!("{number:.2}") };
    (text, units.get(unit).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(time: u64, bytes: u64, is_peak: bool, is_detailed: bool) -> Snapshot {
        Snapshot { time, bytes, extra: 0, is_peak, detail: is_detailed.then(Vec::new) }
    }

    fn drawn(snapshots: &[Snapshot]) -> Vec<String> {
        let mut out = Vec::new();
        write(&mut out, snapshots, TimeUnit::Instructions).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn heights_and_signs() {
        let snapshots = [
            snapshot(0, 0, false, true),
            snapshot(36, 1024, false, true),
            snapshot(36, 2048, true, true),
            snapshot(54, 1, false, false),
            snapshot(72, 1024, false, true),
        ];
        let lines = drawn(&snapshots);
        assert_eq!(lines.len(), 2 + 20 + 1);
        assert_eq!(lines[0], "      KB");
        assert_eq!(lines[1], format!("    2.00^{}#", " ".repeat(36)));
        assert_eq!(lines[10], format!("        |{}#", " ".repeat(36)));
        assert_eq!(lines[11], format!("        |{}#{}@", " ".repeat(36), " ".repeat(34)));
        assert_eq!(lines[20], format!("        |{}#{}:{}@", " ".repeat(36), " ".repeat(17), " ".repeat(16)));
        assert!(lines[21].starts_with("       0+---") && lines[21].ends_with("->i"));
        assert!(lines[22].ends_with(" 72"));
    }

    #[test]
    fn nothing_and_the_largest_numbers_are_drawn() {
        assert_eq!(drawn(&[]).len(), 23);
        let one = drawn(&[snapshot(0, 0, false, false)]);
        assert!(one[1..21].iter().all(|line| !line.contains(':')), "{one:?}");
        let most = drawn(&[snapshot(u64::MAX, u64::MAX, true, true)]);
        assert!(most[1].starts_with("16777216.00^") && most[1].ends_with('#'), "{most:?}");
    }

    #[test]
    fn numbers_have_the_largest_unit_that_fits() {
        assert_eq!(scaled(999, 1000.0, &["i", "ki"]), ("999".to_owned(), "i"));
        assert_eq!(scaled(1500, 1000.0, &["i", "ki"]), ("1.50".to_owned(), "ki"));
        assert_eq!(scaled(5_000_000, 1000.0, &["i", "ki"]), ("5000.00".to_owned(), "ki"));
    }
}

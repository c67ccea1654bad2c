//! Tables as aligned text or as markdown, medians and means, and how numbers are written.
//!
//! Always holds: every row has as many cells as the head. Not here: what the numbers mean.

use std::fmt::Write as _;
use std::time::Duration;

/// A cell without a value.
pub(crate) const NONE: &str = "-";

/// A table with one head row; the first column is text, the others are numbers.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: impl IntoIterator<Item = impl Into<String>>) -> Table {
        Table { title: title.into(), rows: vec![head.into_iter().map(Into::into).collect()] }
    }

    /// Appends a row; missing cells are filled with "-".
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().collect();
        row.resize(self.rows[0].len(), NONE.into());
        self.rows.push(row);
    }

    /// Whether there is nothing but the head.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The whole table with its title.
    pub(crate) fn text(&self, markdown: bool) -> String {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut out = if markdown { format!("**{}**\n\n", self.title) } else { format!("{}\n", self.title) };
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            // Writing to a String cannot fail.
            if markdown {
                let _ = writeln!(out, "| {} |", cells.join(" | "));
            } else {
                let _ = writeln!(out, "{}", cells.join("  ").trim_end());
            }
            if i == 0 && markdown {
                let _ = writeln!(out, "|---|{}", "---:|".repeat(row.len() - 1));
            }
        }
        out
    }
}

/// The middle one; of an even number, the mean of the two in the middle. `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

/// The geometric mean, for ratios. `None` of nothing.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// A geometric mean of ratios that says so when it is not of `all`.
pub(crate) fn mean_of(values: Vec<f64>, all: usize) -> String {
    match geometric_mean(&values) {
        None => NONE.into(),
        Some(mean) if values.len() == all => ratio(mean),
        Some(mean) => format!("{} ({})", ratio(mean), values.len()),
    }
}

/// A ratio with as many digits as mean something.
pub(crate) fn ratio(value: f64) -> String {
    if value < 9.95 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// A time in seconds.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A large number with its thousands set apart.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i != 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_missing_cells_filled() {
        let mut table = Table::new("Title", ["name", "a", "long"]);
        assert!(table.is_empty());
        table.row(["x".into(), "12.50".into(), "1".into()]);
        table.row(["longer".into()]);
        let text = "Title\nname        a  long\nx       12.50     1\nlonger      -     -\n";
        assert_eq!(table.text(false), text);
        let markdown = "**Title**\n\n| name   |     a | long |\n|---|---:|---:|\n| x      | 12.50 |    1 |\n\
                        | longer |     - |    - |\n";
        assert_eq!(table.text(true), markdown);
    }

    #[test]
    fn medians_and_means() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(geometric_mean(&[]), None);
        let mean = geometric_mean(&[1.0, 4.0]).expect("of two");
        assert!((mean - 2.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn numbers() {
        assert_eq!((ratio(1.284), ratio(9.949), ratio(21.46)), ("1.28".into(), "9.95".into(), "21.5".into()));
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}

//! The tables about counts of executed code: ratios to native beside callgrind and cachegrind, how many times as long a peer
//! takes as ours, and what traces hold.
//!
//! Always holds: a mean of fewer programs than the table has says of how many; a peer and ours are compared by medians of
//! the same rounds. Not here: how a table is drawn (`table`).

use crate::column::Column;
use crate::report::{Result, cells_to_native, counters, to_native};
use crate::run::Clock;
use crate::table::{NONE, Table, grouped, mean_of, ratio};

/// A peer and the column of ours that answers the same questions.
const PEERS: [(Column, Column); 4] = [
    (Column::Callgrind, Column::Calls),
    (Column::Cachegrind, Column::Blocks),
    (Column::CachegrindModels, Column::Models),
    (Column::CallgrindModels, Column::CallsAndModels),
];

/// Ratios to native, then the peers' times by ours, with geometric means.
pub(crate) fn ratios(results: &[Result<'_>], clock: Clock) -> Table {
    let title = format!("Executed code, {}: ratio to native; (n): the mean of n programs", clock.name());
    let compared = PEERS.map(|(peer, ours)| format!("{} / {}", peer.title(), ours.title()));
    let heads = Column::COUNTS.map(|column| column.title().to_owned());
    let mut table = Table::new(title, [String::new()].into_iter().chain(heads).chain(compared));
    let by_ours = |result: &Result<'_>, (peer, ours): (Column, Column)| {
        let (peer, ours) = to_native(&result.1, peer, clock).zip(to_native(&result.1, ours, clock))?;
        (ours > 0.0).then(|| peer / ours)
    };
    for result in results {
        let cells = cells_to_native(&result.1, &Column::COUNTS, clock);
        let compared = PEERS.map(|pair| by_ours(result, pair).map_or(NONE.into(), ratio));
        table.row(std::iter::once(result.0.name.to_owned()).chain(cells).chain(compared));
    }
    if results.len() > 1 {
        let mean = |value: &dyn Fn(&Result<'_>) -> Option<f64>| {
            mean_of(results.iter().filter_map(value).collect(), results.len())
        };
        let cells = Column::COUNTS.map(|column| mean(&|result| to_native(&result.1, column, clock)));
        let compared = PEERS.map(|pair| mean(&|result| by_ours(result, pair)));
        table.row(std::iter::once("geometric mean".to_owned()).chain(cells).chain(compared));
    }
    table
}

/// What a recording with calls leaves: instructions executed, and the trace's size.
pub(crate) fn traces(results: &[Result<'_>]) -> Table {
    let title = "Recordings with calls: instructions executed, in millions, and the trace";
    let mut table = Table::new(title, ["", "million instructions", "trace KiB"]);
    for (name, counters) in counters(results, Column::Calls) {
        let kinds = ["clean_instructions", "guarded_instructions", "precise_instructions"];
        let executed: Option<f64> = kinds.iter().map(|kind| counters.get(kind)).sum();
        let number = |value: Option<f64>, unit: f64| {
            value.map_or(NONE.into(), |value| grouped((value / unit).round() as u64))
        };
        table.row([name.to_owned(), number(executed, 1e6), number(counters.get("trace_bytes"), 1024.0)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::measure::Sample;
    use crate::run::{Cell, Measured};
    use crate::workload::{Group, Workload};
    use std::time::Duration;

    fn measured(column: Column, milliseconds: u64) -> Measured {
        let time = Duration::from_millis(milliseconds);
        let cell = Cell::Times(vec![Sample { cpu: time, wall: 2 * time, memory: 0 }]);
        let text = "  3000000  clean_instructions\n  0  guarded_instructions\n  0  precise_instructions\n  2048  trace_bytes\n";
        Measured { column, cell, counters: column.is_ours().then(|| Counters::parse(text)) }
    }

    fn row(table: &Table, name: &str) -> String {
        let text = table.text(false);
        let line = text.lines().find(|line| line.starts_with(name)).expect("has the row");
        line[name.len()..].split_whitespace().collect::<Vec<&str>>().join(" ")
    }

    #[test]
    fn peers_are_compared_with_what_answers_the_same() {
        let workload = |name| Workload { name, group: Group::Real, columns: &Column::COUNTS, program: None };
        let (one, two) = (workload("one"), workload("two"));
        let failed =
            Measured { column: Column::Callgrind, cell: Cell::Failed("it broke".into()), counters: None };
        let results = [
            (
                &one,
                vec![
                    measured(Column::Native, 100),
                    measured(Column::Blocks, 200),
                    measured(Column::Calls, 400),
                    measured(Column::Cachegrind, 1000),
                    measured(Column::Callgrind, 4000),
                ],
            ),
            (&two, vec![measured(Column::Native, 100), measured(Column::Calls, 900), failed]),
        ];
        let times = ratios(&results, Clock::Cpu);
        assert_eq!(row(&times, "one"), "0.10 s - - 2.00 4.00 - - 10.0 - 40.0 - 10.0 5.00 - -");
        assert_eq!(row(&times, "two"), "0.10 s - - - 9.00 - - - - failed - - - - -");
        let mean = row(&times, "geometric mean");
        assert_eq!(mean, "1.00 - - 2.00 (1) 6.00 - - 10.0 (1) - 40.0 (1) - 10.0 (1) 5.00 (1) - -");
        let wall = ratios(&results, Clock::Wall);
        assert!(row(&wall, "one").starts_with("0.20 s"));
        assert_eq!(row(&traces(&results), "one"), "3 2");
        assert!(
            ratios(&results[..1], Clock::Cpu).text(false).lines().all(|line| !line.starts_with("geometric"))
        );
    }
}

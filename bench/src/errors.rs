//! The tables about memory errors: ratios to native beside memcheck and the sanitizers, where instructions were executed,
//! and peak memory.
//!
//! Always holds: a mean of fewer programs than the table has says of how many. Not here: how a table is drawn (`table`).

use crate::column::Column;
use crate::report::{Result, cell, cells_to_native, counters, to_native};
use crate::run::{Cell, Clock};
use crate::table::{NONE, Table, mean_of, ratio};
use crate::workload::Group;

/// The table's counters: name in `vg-record`, head, digits.
const REALMS: [(&str, &str, usize); 6] = [
    ("% of instructions in clean code", "% clean", 3),
    ("% of instructions in guarded code", "% guarded", 3),
    ("% of instructions in precise code", "% precise", 3),
    ("switches to precise code per 1000 instructions", "switches", 3),
    ("precise_steps", "steps", 3),
    ("check_slow_paths", "slow checks", 3),
];

/// Resident memory may be this many times the native one, and [`MEMORY_ADDED`] more.
const MEMORY_TIMES: f64 = 2.5;
const MEMORY_ADDED: f64 = 100.0 * MIB;
const MIB: f64 = 1024.0 * 1024.0;

/// Ratios to native, with the geometric means of all programs and of those that are compiled for the sanitizers as well.
pub(crate) fn ratios(results: &[Result<'_>], clock: Clock) -> Table {
    let title = format!("Memory errors, {}: ratio to native; (n): the mean of n programs", clock.name());
    let mut table = Table::new(title, [""].into_iter().chain(Column::ERRORS.map(Column::title)));
    for (workload, measured) in results {
        let cells = cells_to_native(measured, &Column::ERRORS, clock);
        table.row(std::iter::once(workload.name.to_owned()).chain(cells));
    }
    let built = |(workload, _): &&Result<'_>| workload.group == Group::Built;
    let all: Vec<&Result<'_>> = results.iter().collect();
    let compiled: Vec<&Result<'_>> = results.iter().filter(built).collect();
    for (chosen, name) in [(all, "geometric mean"), (compiled, "of those compiled here")] {
        if chosen.len() < 2 {
            continue;
        }
        let mean = |column| {
            let values = chosen.iter().filter_map(|(_, measured)| to_native(measured, column, clock));
            mean_of(values.collect(), chosen.len())
        };
        table.row(std::iter::once(name.to_owned()).chain(Column::ERRORS.map(mean)));
    }
    table
}

/// Where instructions were executed, and how often the thread went on in precise code, was followed by the engine, and found
/// V bits; the last three per 1000 instructions.
pub(crate) fn realms(results: &[Result<'_>]) -> Table {
    let title = "Where instructions are executed; switches to precise code, steps in the engine and checks that found \
                 something, per 1000 instructions";
    let mut table = Table::new(title, [""].into_iter().chain(REALMS.map(|(_, head, _)| head)));
    for (name, counters) in counters(results, Column::Default) {
        let sum: Option<f64> = ["clean", "guarded", "precise"]
            .iter()
            .map(|realm| counters.get(&format!("{realm}_instructions")))
            .sum();
        let cells = REALMS.map(|(key, _, digits)| {
            let value = counters.get(key);
            // The whole numbers are counts, not yet divided.
            let value =
                if key.contains('_') { value.zip(sum).map(|(n, sum)| 1000.0 * n / sum) } else { value };
            value.map_or(NONE.into(), |value| format!("{value:.digits$}"))
        });
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table
}

/// Peak memory in MiB, and whether ours stays within what it may be.
pub(crate) fn memory(results: &[Result<'_>]) -> Table {
    let title =
        "Peak resident memory, MiB; ours with everything by native; at most 2.5 times native and 100 MiB?";
    let head = [""].into_iter().chain(Column::ERRORS.map(Column::title)).chain(["ours / native", "holds"]);
    let mut table = Table::new(title, head);
    let mut ratios = Vec::new();
    for (workload, measured) in results {
        let memory = |column| cell(measured, column).and_then(Cell::memory);
        let cells = Column::ERRORS
            .map(|column| memory(column).map_or(NONE.into(), |bytes| format!("{:.1}", bytes / MIB)));
        let both = memory(Column::Native).zip(memory(Column::Default));
        ratios.extend(both.map(|(native, ours)| ours / native));
        let by_native = both.map_or(NONE.into(), |(native, ours)| ratio(ours / native));
        let holds = both.map_or(NONE.into(), |(native, ours)| {
            let limit = MEMORY_TIMES * native + MEMORY_ADDED;
            if ours <= limit { "yes".to_owned() } else { format!("no: {:.1} more", (ours - limit) / MIB) }
        });
        table.row(std::iter::once(workload.name.to_owned()).chain(cells).chain([by_native, holds]));
    }
    if ratios.len() > 1 {
        let rest = Column::ERRORS.map(|_| NONE.to_owned());
        let mean = mean_of(ratios, results.len());
        table.row(std::iter::once("geometric mean".to_owned()).chain(rest).chain([mean]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::measure::Sample;
    use crate::run::Measured;
    use crate::workload::Workload;
    use std::time::Duration;

    fn measured(column: Column, milliseconds: u64, mib: u64) -> Measured {
        let time = Duration::from_millis(milliseconds);
        let cell = Cell::Times(vec![Sample { cpu: time, wall: time, memory: mib << 20 }]);
        let text = "  980  clean_instructions\n 10  guarded_instructions\n  10  precise_instructions\n  98.000  % of \
                    instructions in clean code\n  2  precise_steps\n";
        let counters = column.is_ours().then(|| Counters::parse(text));
        Measured { column, cell, counters }
    }

    fn row(table: &Table, name: &str) -> String {
        let text = table.text(false);
        let line = text.lines().find(|line| line.starts_with(name)).expect("has the row");
        line[name.len()..].split_whitespace().collect::<Vec<&str>>().join(" ")
    }

    #[test]
    fn means_say_of_how_many_and_memory_what_it_may_be() {
        let workload = |name, group| Workload { name, group, columns: &Column::ERRORS, program: None };
        let (one, two) = (workload("one", Group::Real), workload("two", Group::Built));
        let results = [
            (&one, vec![measured(Column::Native, 100, 10), measured(Column::Default, 200, 120)]),
            (
                &two,
                vec![
                    measured(Column::Native, 100, 100),
                    measured(Column::Default, 800, 400),
                    measured(Column::AddressSanitizer, 300, 300),
                ],
            ),
        ];
        let times = ratios(&results, Clock::Cpu);
        assert_eq!(row(&times, "two"), "0.10 s - - 8.00 - - 3.00 -");
        assert_eq!(row(&times, "geometric mean"), "1.00 - - 4.00 - - 3.00 (1) -");
        let memory = memory(&results);
        assert_eq!(row(&memory, "one"), "10.0 - - 120.0 - - - - 12.0 yes");
        assert_eq!(row(&memory, "two"), "100.0 - - 400.0 - - 300.0 - 4.00 no: 50.0 more");
        assert_eq!(row(&memory, "geometric mean"), "- - - - - - - - 6.93 -");
        assert_eq!(row(&realms(&results), "one"), "98.000 - - - 2.000 -");
    }
}

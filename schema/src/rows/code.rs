//! Executed code, its jumps, contexts and lines to columns and back. Owns what must hold within one message: every run has an
//! instruction, no jump is passed more often than it is executed, lines rise. Not here: that lines rise over all messages (`trace`).

use super::{Columns, Piece, Row, RowError, Spec, spec};
use crate::{
    column::Shape,
    model::{CodeLine, Context, ContextCost, Cost, Executed, Jump},
};

impl Row for Executed {
    const SPECS: &'static [Spec] = &[
        spec(1, "module", Shape::Few, false),
        spec(2, "rva", Shape::Near, true),
        spec(3, "times", Shape::Small, true),
        spec(4, "lengths", Shape::Small, true),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut module = columns.column(0, count)?;
        let mut rva = columns.column(1, count)?;
        let mut times = columns.column(2, count)?;
        let mut lengths = columns.column(3, count)?;
        (0..count)
            .map(|row| {
                let executed = Executed {
                    module: module.next_as()?,
                    rva: rva.next(),
                    times: times.next(),
                    lengths: lengths.next(),
                };
                if executed.lengths & 15 == 0 {
                    return Err(RowError::NoInstruction { row });
                }
                Ok(executed)
            })
            .collect()
    }
}

impl Piece for Executed {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| u64::from(row.module))),
            1 => out.extend(rows.iter().map(|row| row.rva)),
            2 => out.extend(rows.iter().map(|row| row.times)),
            _ => out.extend(rows.iter().map(|row| row.lengths)),
        }
    }
}

impl Row for Jump {
    const SPECS: &'static [Spec] = &[
        spec(1, "module", Shape::Few, false),
        spec(2, "rva", Shape::Near, true),
        spec(3, "distance", Shape::Small, true),
        spec(4, "executed", Shape::Small, true),
        spec(5, "passed", Shape::Small, false),
        spec(6, "conditional", Shape::Few, false),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut module = columns.column(0, count)?;
        let mut rva = columns.column(1, count)?;
        let mut distance = columns.column(2, count)?;
        let mut executed = columns.column(3, count)?;
        let mut passed = columns.column(4, count)?;
        let mut conditional = columns.column(5, count)?;
        (0..count)
            .map(|row| {
                let (module, rva) = (module.next_as()?, rva.next());
                let zigzag = distance.next();
                let target = rva.wrapping_add(zigzag >> 1 ^ (zigzag & 1).wrapping_neg());
                let (executed, passed) = (executed.next(), passed.next());
                if passed > executed {
                    return Err(RowError::Passed { row, passed, executed });
                }
                Ok(Jump { module, rva, target, executed, passed, conditional: conditional.next() != 0 })
            })
            .collect()
    }
}

impl Piece for Jump {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        let zigzag = |row: &Self| {
            let distance = row.target.wrapping_sub(row.rva) as i64;
            (distance << 1 ^ distance >> 63) as u64
        };
        match i {
            0 => out.extend(rows.iter().map(|row| u64::from(row.module))),
            1 => out.extend(rows.iter().map(|row| row.rva)),
            2 => out.extend(rows.iter().map(zigzag)),
            3 => out.extend(rows.iter().map(|row| row.executed)),
            4 => out.extend(rows.iter().map(|row| row.passed)),
            _ => out.extend(rows.iter().map(|row| u64::from(row.conditional))),
        }
    }
}

impl Row for Context {
    const SPECS: &'static [Spec] = &[
        spec(1, "parent", Shape::Near, false),
        spec(2, "module", Shape::Few, false),
        spec(3, "rva", Shape::Near, false),
        spec(4, "siteModule", Shape::Few, false),
        spec(5, "siteRva", Shape::Near, false),
        spec(6, "calls", Shape::Small, false),
        spec(7, "cost", Shape::Small, false),
        spec(8, "again", Shape::Small, false),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut parent = columns.column(0, count)?;
        let mut module = columns.column(1, count)?;
        let mut rva = columns.column(2, count)?;
        let mut site_module = columns.column(3, count)?;
        let mut site_rva = columns.column(4, count)?;
        let mut calls = columns.column(5, count)?;
        let mut cost = columns.column(6, count)?;
        let mut again = columns.column(7, count)?;
        (0..count)
            .map(|_| {
                Ok(Context {
                    parent: parent.next_as()?,
                    module: module.next_as()?,
                    rva: rva.next(),
                    site_module: site_module.next_as()?,
                    site_rva: site_rva.next(),
                    calls: calls.next(),
                    cost: cost.next(),
                    again: again.next_as()?,
                })
            })
            .collect()
    }
}

impl Piece for Context {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| u64::from(row.parent))),
            1 => out.extend(rows.iter().map(|row| u64::from(row.module))),
            2 => out.extend(rows.iter().map(|row| row.rva)),
            3 => out.extend(rows.iter().map(|row| u64::from(row.site_module))),
            4 => out.extend(rows.iter().map(|row| row.site_rva)),
            5 => out.extend(rows.iter().map(|row| row.calls)),
            6 => out.extend(rows.iter().map(|row| row.cost)),
            _ => out.extend(rows.iter().map(|row| u64::from(row.again))),
        }
    }
}

impl Row for Cost {
    const SPECS: &'static [Spec] = &[
        spec(1, "module", Shape::Few, false),
        spec(2, "rva", Shape::Near, true),
        spec(3, "event", Shape::Few, true),
        spec(4, "times", Shape::Small, true),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut module = columns.column(0, count)?;
        let mut rva = columns.column(1, count)?;
        let mut event = columns.column(2, count)?;
        let mut times = columns.column(3, count)?;
        let row = |_| {
            Ok(Cost {
                module: module.next_as()?,
                rva: rva.next(),
                event: event.next_as()?,
                times: times.next(),
            })
        };
        (0..count).map(row).collect()
    }
}

impl Piece for Cost {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| u64::from(row.module))),
            1 => out.extend(rows.iter().map(|row| row.rva)),
            2 => out.extend(rows.iter().map(|row| u64::from(row.event))),
            _ => out.extend(rows.iter().map(|row| row.times)),
        }
    }
}

impl Row for ContextCost {
    const SPECS: &'static [Spec] = &[
        spec(1, "context", Shape::Near, true),
        spec(2, "event", Shape::Few, true),
        spec(3, "times", Shape::Small, true),
    ];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut context = columns.column(0, count)?;
        let mut event = columns.column(1, count)?;
        let mut times = columns.column(2, count)?;
        let row =
            |_| Ok(ContextCost { context: context.next_as()?, event: event.next_as()?, times: times.next() });
        (0..count).map(row).collect()
    }
}

impl Piece for ContextCost {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| u64::from(row.context))),
            1 => out.extend(rows.iter().map(|row| u64::from(row.event))),
            _ => out.extend(rows.iter().map(|row| row.times)),
        }
    }
}

impl Row for CodeLine {
    const SPECS: &'static [Spec] =
        &[spec(1, "rva", Shape::Near, true), spec(2, "place", Shape::Small, false)];

    fn rows(columns: &Columns<'_>, count: usize) -> Result<Vec<Self>, RowError> {
        let mut rva = columns.column(0, count)?;
        let mut place = columns.column(1, count)?;
        let lines: Vec<Self> = (0..count)
            .map(|_| Ok(CodeLine { rva: rva.next(), place: place.next_as()? }))
            .collect::<Result<_, _>>()?;
        match lines.windows(2).find(|pair| pair[0].rva >= pair[1].rva) {
            Some(pair) => Err(RowError::Order { before: pair[0].rva, after: pair[1].rva }),
            None => Ok(lines),
        }
    }
}

impl Piece for CodeLine {
    fn values(rows: &[Self], i: usize, out: &mut Vec<u64>) {
        match i {
            0 => out.extend(rows.iter().map(|row| row.rva)),
            _ => out.extend(rows.iter().map(|row| u64::from(row.place))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<T: Row>(columns: &[Option<Vec<u64>>], count: usize) -> Result<Vec<T>, RowError> {
        T::rows(&Columns { specs: T::SPECS, values: columns }, count)
    }

    fn columns<T: Piece>(rows: &[T]) -> Vec<Option<Vec<u64>>> {
        let column = |i| {
            let mut values = Vec::new();
            T::values(rows, i, &mut values);
            Some(values)
        };
        (0..T::SPECS.len()).map(column).collect()
    }

    #[test]
    fn rows_come_back_from_their_columns() {
        let run = Executed { module: u32::MAX, rva: u64::MAX, times: 3, lengths: u64::MAX };
        let runs = [Executed { module: 0, rva: 5, ..run }, run];
        assert_eq!(rows(&columns(&runs), 2), Ok(runs.to_vec()));
        let context = Context {
            parent: 1,
            module: 2,
            rva: u64::MAX,
            site_module: u32::MAX,
            site_rva: 5,
            calls: 6,
            cost: u64::MAX,
            again: 7,
        };
        let contexts = [Context::default(), context];
        assert_eq!(rows(&columns(&contexts), 2), Ok(contexts.to_vec()));
        let costs = [Cost::default(), Cost { module: 1, rva: u64::MAX, event: u32::MAX, times: 7 }];
        assert_eq!(rows(&columns(&costs), 2), Ok(costs.to_vec()));
        let spent =
            [ContextCost::default(), ContextCost { context: u32::MAX, event: u32::MAX, times: u64::MAX }];
        assert_eq!(rows(&columns(&spent), 2), Ok(spent.to_vec()));
        let jump = Jump { module: 1, rva: 5, target: 5, executed: 3, passed: 3, conditional: true };
        let jumps = [
            jump,
            Jump { target: 4, ..jump },
            Jump { target: u64::MAX, passed: 0, conditional: false, ..jump },
            Jump { module: u32::MAX, rva: u64::MAX, target: 0, executed: u64::MAX, ..jump },
            Jump { target: 1 << 63, ..jump },
        ];
        assert_eq!(rows(&columns(&jumps), 5), Ok(jumps.to_vec()));
        let lines = [CodeLine { rva: 0, place: u32::MAX }, CodeLine { rva: u64::MAX, place: 0 }];
        assert_eq!(rows(&columns(&lines), 2), Ok(lines.to_vec()));
        assert_eq!(rows::<CodeLine>(&columns::<CodeLine>(&[]), 0), Ok(vec![]));
    }

    #[test]
    fn a_run_without_an_instruction_is_refused() {
        // What lies above the first 0 does not count.
        for lengths in [0, 0x30] {
            let columns = [None, Some(vec![1, 2]), Some(vec![1, 1]), Some(vec![1, lengths])];
            assert_eq!(rows::<Executed>(&columns, 2), Err(RowError::NoInstruction { row: 1 }));
        }
    }

    #[test]
    fn a_jump_that_was_passed_more_often_than_executed_is_refused() {
        let column = || Some(vec![1, 2]);
        let columns = [None, column(), column(), Some(vec![7, 7]), Some(vec![7, 8]), None];
        assert_eq!(rows::<Jump>(&columns, 2), Err(RowError::Passed { row: 1, passed: 8, executed: 7 }));
    }

    #[test]
    fn lines_rise() {
        for after in [0, 6, 7] {
            let result = rows::<CodeLine>(&[Some(vec![3, 7, after]), None], 3);
            assert_eq!(result, Err(RowError::Order { before: 7, after }));
        }
        let expected = [CodeLine { rva: 7, place: 0 }, CodeLine { rva: 8, place: 0 }];
        assert_eq!(rows::<CodeLine>(&[Some(vec![7, 8]), None], 2), Ok(expected.to_vec()));
    }
}

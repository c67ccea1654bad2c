//! Executed code in memory: how often it ran, and the tables that tell what it is called.
//!
//! What always holds: the lines of a module rise. A line may name a place that is not there: then nothing is known.

use std::collections::HashMap;

use super::{append, entry};
use crate::model::*;

/// Places of code, and where the code of each begins.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Code {
    places: Vec<Vec<Place>>,
    /// By module.
    lines: HashMap<u32, Vec<CodeLine>>,
}

impl Code {
    pub(super) fn take_places(&mut self, table: Places) -> Result<(), String> {
        append("place", &mut self.places, table.first_id, table.places)
    }

    /// Takes lines in, which rise among themselves.
    pub(super) fn take_lines(&mut self, lines: CodeLines) -> Result<(), String> {
        let known = self.lines.entry(lines.module).or_default();
        if let (Some(before), Some(after)) = (known.last(), lines.rows.first())
            && before.rva >= after.rva
        {
            return Err(format!(
                "the line of module {} at {:#x} comes after the one at {:#x}",
                lines.module, after.rva, before.rva
            ));
        }
        known.extend(lines.rows);
        Ok(())
    }

    /// The id of the place of an address; 0 when nothing is known.
    pub(super) fn place_at(&self, module: u32, rva: u64) -> u32 {
        let lines = self.lines.get(&module).map_or(&[][..], Vec::as_slice);
        let line = lines.partition_point(|line| line.rva <= rva).checked_sub(1).and_then(|i| lines.get(i));
        line.map_or(0, |line| line.place)
    }

    /// The functions at a place, innermost inlined one first; empty when nothing is known.
    pub(super) fn places(&self, id: u32) -> &[Place] {
        entry(&self.places, id).map_or(&[], Vec::as_slice)
    }

    /// The functions at an address.
    pub(super) fn places_at(&self, module: u32, rva: u64) -> &[Place] {
        self.places(self.place_at(module, rva))
    }
}

/// Appends executions, to the last entry when it is of the same thread.
pub(super) fn merge(all: &mut Vec<Executions>, executions: Executions) {
    match all.last_mut() {
        Some(last) if (last.process, last.thread) == (executions.process, executions.thread) => {
            last.rows.extend(executions.rows);
        }
        _ => all.push(executions),
    }
}

/// Appends costs, to the last entry when it is of the same process.
pub(super) fn merge_costs(all: &mut Vec<Costs>, costs: Costs) {
    match all.last_mut() {
        Some(last) if last.process == costs.process => last.rows.extend(costs.rows),
        _ => all.push(costs),
    }
}

/// Appends rows of a thread's tree.
pub(super) fn extend(all: &mut Vec<Contexts>, piece: Contexts) -> Result<(), String> {
    let is_of = |known: &Contexts| (known.process, known.thread) == (piece.process, piece.thread);
    let at = all.iter().position(is_of).unwrap_or(all.len());
    if at == all.len() {
        all.push(Contexts { rows: Vec::new(), ..piece });
    }
    let rows = &mut all[at].rows;
    for row in piece.rows {
        let number = rows.len() as u32 + 1;
        if row.parent >= number || row.again >= number {
            return Err(format!("context {number} names {} or {}, which comes later", row.parent, row.again));
        }
        rows.push(row);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(function: u32) -> Vec<Place> {
        vec![Place { function, ..Place::default() }]
    }

    fn lines(module: u32, rows: &[(u64, u32)]) -> CodeLines {
        CodeLines { module, rows: rows.iter().map(|&(rva, place)| CodeLine { rva, place }).collect() }
    }

    #[test]
    fn an_address_has_the_place_of_the_line_before_it() {
        let mut code = Code::default();
        code.take_places(Places { first_id: 1, places: vec![place(11), place(12)] }).expect("the first");
        code.take_lines(lines(1, &[(0x10, 1), (0x20, 0), (0x30, 2)])).expect("they rise");
        code.take_lines(lines(1, &[(0x40, 1), (0x50, 3), (u64::MAX, 2)])).expect("they rise");
        code.take_lines(lines(0, &[(0, 2)])).expect("another module");
        code.take_lines(lines(2, &[])).expect("no line");
        let function = |module, rva| code.places_at(module, rva).first().map_or(0, |place| place.function);
        let expected =
            [(0, 0), (0xf, 0), (0x10, 11), (0x1f, 11), (0x20, 0), (0x2f, 0), (0x30, 12), (0x3f, 12)];
        assert_eq!(expected.map(|(rva, _)| (rva, function(1, rva))), expected);
        // Place 3 never came.
        let expected = [(0x40, 11), (0x50, 0), (u64::MAX - 1, 0), (u64::MAX, 12)];
        assert_eq!(expected.map(|(rva, _)| (rva, function(1, rva))), expected);
        assert_eq!(
            [function(0, 0), function(0, u64::MAX), function(2, 0x10), function(3, 0x10)],
            [12, 12, 0, 0]
        );
    }

    #[test]
    fn tables_that_contradict_themselves_are_refused() {
        let mut code = Code::default();
        let why = code.take_places(Places { first_id: 2, places: vec![place(1)] });
        assert_eq!(why, Err("it begins with place 2, and the next one is 1".to_owned()));
        code.take_lines(lines(1, &[(5, 0), (6, 0)])).expect("they rise");
        code.take_lines(lines(1, &[])).expect("no line");
        for rva in [0, 6] {
            let why = code.take_lines(lines(1, &[(rva, 0)]));
            assert_eq!(why, Err(format!("the line of module 1 at {rva:#x} comes after the one at 0x6")));
        }
        code.take_lines(lines(1, &[(7, 0)])).expect("it rises");
    }

    #[test]
    fn contexts_name_earlier_ones() {
        let row = |parent, again| Context { parent, again, ..Context::default() };
        let piece = |thread, rows: &[Context]| Contexts { process: 1, thread, rows: rows.to_vec() };
        let mut all = Vec::new();
        extend(&mut all, piece(1, &[row(0, 0), row(1, 0)])).expect("earlier ones");
        extend(&mut all, piece(2, &[row(0, 0)])).expect("another thread");
        extend(&mut all, piece(1, &[row(2, 1)])).expect("it goes on");
        assert_eq!(all, [piece(1, &[row(0, 0), row(1, 0), row(2, 1)]), piece(2, &[row(0, 0)])]);
        for wrong in [row(2, 0), row(0, 2)] {
            assert!(extend(&mut all, piece(2, &[wrong])).is_err());
        }
    }

    #[test]
    fn executions_of_a_thread_that_follow_each_other_are_one() {
        let executions = |process, thread, rva| {
            let rows = vec![Executed { rva, times: 1, lengths: 1, ..Executed::default() }];
            Executions { process, thread, rows }
        };
        let mut all = Vec::new();
        for (process, thread, rva) in [(1, 1, 5), (1, 1, 5), (1, 2, 6), (2, 2, 7), (1, 1, 8)] {
            merge(&mut all, executions(process, thread, rva));
        }
        let seen: Vec<_> = all.iter().map(|e| (e.process, e.thread, e.rows.len())).collect();
        assert_eq!(seen, [(1, 1, 2), (1, 2, 1), (2, 2, 1), (1, 1, 1)]);
    }
}

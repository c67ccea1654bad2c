//! Writing of executed code. The same rules hold as in the parent module.

use std::io::Write;

use super::{Arm, TraceWriter, WriteError, cut, fill};
use crate::{model::*, rows::ROWS};

impl<W: Write> TraceWriter<W> {
    /// Writes how often a thread has executed code in a part, in rising order of module and address.
    pub fn executions(
        &mut self,
        process: u32,
        thread: u32,
        part: u32,
        rows: &[Executed],
    ) -> Result<(), WriteError> {
        for piece in rows.chunks(ROWS) {
            let columns = self.packer.pack(piece);
            let count = piece.len() as u32;
            self.put(Arm::Executions, fill::column_bytes(&columns), &|m| {
                fill::executions(m.init_executions(), [process, thread, part, count], &columns);
            })?;
        }
        Ok(())
    }

    /// Writes how often a thread has executed direct jumps, in rising order of module, address and target.
    pub fn jumps(&mut self, process: u32, thread: u32, part: u32, rows: &[Jump]) -> Result<(), WriteError> {
        for piece in rows.chunks(ROWS) {
            let columns = self.packer.pack(piece);
            self.put(Arm::Jumps, fill::column_bytes(&columns), &|m| {
                fill::jumps(m.init_jumps(), [process, thread, part, piece.len() as u32], &columns);
            })?;
        }
        Ok(())
    }

    /// Writes the next rows of a thread's calling-context tree in a part, callers first.
    pub fn contexts(
        &mut self,
        process: u32,
        thread: u32,
        part: u32,
        rows: &[Context],
    ) -> Result<(), WriteError> {
        for piece in rows.chunks(ROWS) {
            let columns = self.packer.pack(piece);
            let count = piece.len() as u32;
            self.put(Arm::Contexts, fill::column_bytes(&columns), &|m| {
                fill::contexts(m.init_contexts(), [process, thread, part, count], &columns);
            })?;
        }
        Ok(())
    }

    /// Writes what instructions have cost a process, in rising order of module and address. The names of the events must have
    /// been written before.
    pub fn costs(&mut self, process: u32, part: u32, rows: &[Cost]) -> Result<(), WriteError> {
        for some in rows.chunks(ROWS) {
            let columns = self.packer.pack(some);
            self.put(Arm::Costs, fill::column_bytes(&columns), &|m| {
                fill::costs(m.init_costs(), [process, part, some.len() as u32], &columns);
            })?;
        }
        Ok(())
    }

    /// Writes what was spent in contexts of a thread, in rising order of context. The names of the events and the contexts must
    /// have been written before.
    pub fn context_costs(
        &mut self,
        process: u32,
        thread: u32,
        part: u32,
        rows: &[ContextCost],
    ) -> Result<(), WriteError> {
        for some in rows.chunks(ROWS) {
            let columns = self.packer.pack(some);
            self.put(Arm::ContextCosts, fill::column_bytes(&columns), &|m| {
                let count = some.len() as u32;
                fill::context_costs(m.init_context_costs(), [process, thread, part, count], &columns);
            })?;
        }
        Ok(())
    }

    /// Writes that a part has ended.
    pub fn part_end(&mut self, end: &PartEnd) -> Result<(), WriteError> {
        self.put(Arm::PartEnd, end.name.0.len(), &|m| fill::part_end(m.init_part_end(), end))
    }

    /// Appends places of code to the table; the first gets id `first_id`, which is 1 more than the last id so far. The
    /// strings must have been written before.
    pub fn places(&mut self, first_id: u32, places: &[Vec<Place>]) -> Result<(), WriteError> {
        let size = |place: &Vec<Place>| fill::place_bytes(place);
        let mut id = first_id;
        for part in cut(places, size) {
            let bytes = part.iter().map(size).sum();
            self.put(Arm::Places, bytes, &|m| fill::places(m.init_places(), id, part))?;
            id = id.wrapping_add(part.len() as u32);
        }
        Ok(())
    }

    /// Writes what executed code of a module is called, in rising order of address over all calls. The places must
    /// have been written before.
    pub fn code_lines(&mut self, module: u32, rows: &[CodeLine]) -> Result<(), WriteError> {
        for part in rows.chunks(ROWS) {
            let columns = self.packer.pack(part);
            self.put(Arm::CodeLines, fill::column_bytes(&columns), &|m| {
                fill::code_lines(m.init_code_lines(), [module, part.len() as u32], &columns);
            })?;
        }
        Ok(())
    }
}

//! Writing of the stream of data accesses. The same rules hold as in the parent module.

use std::io::Write;

use super::{Arm, TraceWriter, WriteError, cut, fill};
use crate::model::*;

impl<W: Write> TraceWriter<W> {
    /// Writes the next runs of a process; the first has number `first`.
    pub fn access_runs(&mut self, of: Modelled, first: u32, runs: &[AccessRun]) -> Result<(), WriteError> {
        let size = |run: &AccessRun| 14 + run.code.0.len();
        let mut number = first;
        for part in cut(runs, size) {
            let bytes = part.iter().map(size).sum();
            self.put(Arm::AccessRuns, bytes, &|m| {
                fill::access_runs(m.init_access_runs(), of, number, part);
            })?;
            number = number.wrapping_add(part.len() as u32);
        }
        Ok(())
    }

    /// Writes what a thread has executed in one turn. Its runs must have been written before.
    pub fn access_log(&mut self, log: &AccessLog) -> Result<(), WriteError> {
        let (heads, words) = (self.packer.pack_alone(&log.heads), self.packer.pack_alone(&log.words));
        let columns = [heads, words];
        let result = self.put(Arm::AccessLog, fill::column_bytes(&columns), &|m| {
            fill::access_log(m.init_access_log(), log, &columns);
        });
        self.packer.take_back(columns.into());
        result
    }

    /// Writes something between the logs of a process.
    pub fn access_mark(&mut self, mark: &AccessMark) -> Result<(), WriteError> {
        self.put(Arm::AccessMark, 20 * mark.places.len(), &|m| {
            fill::access_mark(m.init_access_mark(), mark);
        })
    }
}

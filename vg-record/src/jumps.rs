//! How often direct jumps were executed, and taken, by thread.
//!
//! The engine tells, by absolute address, how often a jump was executed and how often a conditional one was not taken. What always
//! holds: nothing is counted twice, no jump is taken more often than it was executed, and a count that makes no sense costs
//! data, never the recorder. Not here: executed code itself (`counts`).

use crate::counts::At;
use crate::decode::{Recording, Stream};
use crate::gather::Gathered;
use ring::record::{JUMP_WORDS, Record, jump};
use schema::Jump;
use std::collections::BTreeMap;

/// How often.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    executed: i64,
    passed: i64,
}

/// By where they are and where they lead, in their module, and whether they are conditional.
type Gathering = Gathered<(At, u64, bool), Times>;

/// The jumps of all threads that run, by process, thread and part.
#[derive(Debug, Default)]
pub(crate) struct Jumps(BTreeMap<(u32, u32, u32), Gathering>);

impl Recording {
    /// Jumps that a thread has executed.
    pub(crate) fn jumps(&mut self, stream: &mut Stream, record: Record<'_>) -> bool {
        let image = self.image(stream);
        let jumps = self.jumps.0.entry((stream.process, stream.thread, stream.part)).or_default();
        for piece in record.words.get(1..).unwrap_or_default().chunks_exact(JUMP_WORDS) {
            let &[word, target, count] = piece else { break };
            let (pc, what, count) = (word & !jump::BITS, word & jump::BITS, count as i64);
            let at = self.counts.place(&self.images, image, pc);
            let target = at.1.wrapping_add(target.wrapping_sub(pc));
            let times = match what {
                jump::PASSED => Times { executed: 0, passed: count },
                _ => Times { executed: count, passed: 0 },
            };
            jumps.add((at, target, what != jump::ALWAYS), times, add);
        }
        true
    }

    /// What a thread has told of in a part, and what was not written yet, counts for nothing.
    pub(crate) fn drop_jumps(&mut self, process: u32, thread: u32, part: u32) {
        self.jumps.0.remove(&(process, thread, part));
    }

    /// Writes those of a thread in a part, which has told all of them.
    pub(crate) fn write_jumps(&mut self, process: u32, thread: u32, part: u32) {
        let Some(jumps) = self.jumps.0.remove(&(process, thread, part)) else { return };
        let rows: Vec<Jump> = jumps.into_sorted(add).into_iter().filter_map(row).collect();
        self.trace.put(|writer| writer.jumps(process, thread, part, &rows));
    }

    /// Writes what is left of all threads.
    pub(crate) fn finish_jumps(&mut self) {
        let left: Vec<_> = self.jumps.0.keys().copied().collect();
        left.into_iter().for_each(|(process, thread, part)| self.write_jumps(process, thread, part));
    }
}

/// Adds counts, of which those that take something back are negative.
fn add(sum: &mut Times, times: Times) {
    sum.executed = sum.executed.wrapping_add(times.executed);
    sum.passed = sum.passed.wrapping_add(times.passed);
}

/// A jump, if it was executed at all.
fn row((((module, rva), target, conditional), times): ((At, u64, bool), Times)) -> Option<Jump> {
    let executed = u64::try_from(times.executed).ok().filter(|executed| *executed > 0)?;
    let passed = u64::try_from(times.passed).unwrap_or(0).min(executed);
    Some(Jump { module, rva, target, executed, passed, conditional })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_jump_is_taken_more_often_than_executed_or_less_than_never() {
        let of = |executed, passed| {
            let jump = row((((1, 8), 4, true), Times { executed, passed }));
            jump.map(|jump| (jump.executed, jump.passed))
        };
        assert_eq!(of(7, 3), Some((7, 3)));
        assert_eq!([of(7, 8), of(7, -1), of(0, 3), of(-5, 3)], [Some((7, 7)), Some((7, 0)), None, None]);
    }
}

//! What was executed, by the counters of segments, wherever the guest is interrupted.
//!
//! As the engine does it (`cache::counted` there), but that nothing is written: each answer is that of one moment.

use super::Runtime;
use std::collections::BTreeMap;
use std::ops::Range;
use translate::layout;
use translate::models::Costs;
use translate::{Block, Counted, Fragment};

/// What a counter counts.
pub(super) struct Segment {
    /// Cache addresses of its fragment's code.
    code: Range<u64>,
    pc: u64,
    counted: Counted,
    /// Its instructions, by their offsets from `pc`.
    instructions: Vec<u16>,
    /// What each of them costs, where that is told.
    costs: Vec<Costs>,
}

impl Segment {
    /// Whether an offset lies behind the code that stands in the order of the guest's, where there are models.
    fn is_out_of_line(&self, code: u64) -> bool {
        !self.costs.is_empty() && code >= self.counted.cold.into()
    }

    fn part(&self, code: u16, at: u16) -> Option<(Range<u16>, bool)> {
        if self.is_out_of_line(code.into()) {
            self.counted.out_of_line(at)
        } else {
            self.counted.partly(code, at)
        }
    }
}

impl Runtime {
    pub(super) fn add_counted(&mut self, fragment: &Fragment, block: &Block<'_>, at: u64) {
        for &counted in &fragment.counted {
            let offsets = || block.decoded().map(|insn| insn.ip().wrapping_sub(fragment.pc) as u16);
            let is_its = |at: &u16| (counted.start..counted.end).contains(at);
            let costs = offsets().zip(&fragment.costs).filter(|(at, _)| is_its(at));
            let costs = costs.map(|(_, costs)| *costs).collect();
            let instructions = offsets().filter(is_its).collect();
            let code = at..at + u64::from(fragment.size);
            self.counted.push(Segment { code, pc: fragment.pc, counted, instructions, costs });
        }
    }

    /// Instructions executed, by the counters of segments and by the clock, when the guest is interrupted at `rip`, where its
    /// state is that in front of `pc`.
    pub fn executed(&self, rip: u64, pc: u64) -> [i64; 2] {
        let count = |counter: usize| self.slot(layout::COUNTERS + 8 * counter as u32) as i64;
        let whole =
            |(counter, segment): (usize, &Segment)| count(counter) * segment.instructions.len() as i64;
        let whole = [self.counted.iter().enumerate().map(whole).sum(), self.counted() as i64];
        let Some((number, code, at)) = self.segment_at(rip, pc) else { return whole };
        let segment = &self.counted[number];
        let lacking =
            if segment.counted.is_ahead_of_clock(code) { segment.instructions.len() as i64 } else { 0 };
        let part = segment.part(code, at).map_or(0, |(range, less)| {
            let part = segment.instructions.iter().filter(|at| range.contains(at)).count() as i64;
            if less { -part } else { part }
        });
        [whole[0] + part, whole[1] + part + lacking]
    }

    /// The segment that the guest is in when it is interrupted at `rip`, where its state is that in front of `pc`; both as
    /// offsets in its fragment.
    fn segment_at(&self, rip: u64, pc: u64) -> Option<(usize, u16, u16)> {
        let rip = self.resumes_at(rip).unwrap_or(rip);
        let is_here = |segment: &Segment| {
            let code = rip.wrapping_sub(segment.code.start);
            segment.code.contains(&rip)
                && match segment.is_out_of_line(code) {
                    true => segment.instructions.iter().any(|at| segment.pc + u64::from(*at) == pc),
                    false => u64::from(segment.counted.code) <= code,
                }
        };
        let number = self.counted.iter().rposition(is_here)?;
        let segment = &self.counted[number];
        let at = u16::try_from(pc.wrapping_sub(segment.pc)).ok()?;
        Some((number, (rip - segment.code.start) as u16, at))
    }

    /// Direct jumps by their pc, when the guest is interrupted so: how often executed, and how often not taken.
    #[allow(dead_code, reason = "not every suite looks at each")]
    pub fn jumps(&self, rip: u64, pc: u64) -> BTreeMap<u64, (i64, i64)> {
        let mut executed: Vec<i64> = (0..self.counted.len())
            .map(|number| self.slot(layout::COUNTERS + 8 * number as u32) as i64)
            .collect();
        // Of each segment that begins behind a jump.
        let mut passes = executed.clone();
        if let Some((number, code, at)) = self.segment_at(rip, pc) {
            let counted = &self.counted[number].counted;
            match self.counted[number].part(code, at) {
                Some((_, true)) => executed[number] -= 1,
                Some((_, false)) => passes[number] += 1,
                None => (),
            }
            if counted.has_passed(code) {
                passes[number + 1] += 1;
            }
        }
        let mut jumps: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        for (number, segment) in self.counted.iter().enumerate() {
            let (Some(jump), Some(last)) = (segment.counted.jump, segment.instructions.last()) else {
                continue;
            };
            let counts = jumps.entry(segment.pc + u64::from(*last)).or_default();
            counts.0 += executed[number];
            if jump.conditional {
                assert!(self.counted[number + 1].counted.passes);
                counts.1 += passes[number + 1];
            }
        }
        jumps.retain(|_, counts| *counts != (0, 0));
        jumps
    }

    /// Of each branch that is predicted, and whether that is a conditional one: how often mispredicted.
    #[allow(dead_code, reason = "not every suite looks at each")]
    pub fn mispredicted(&self) -> BTreeMap<(u64, bool), u64> {
        let mut wrong = BTreeMap::new();
        for (number, segment) in self.counted.iter().enumerate() {
            if let Some(conditional) = segment.counted.mispredicted {
                let pc = segment.pc + u64::from(segment.counted.start);
                *wrong.entry((pc, conditional)).or_default() +=
                    self.slot(layout::COUNTERS + 8 * number as u32);
            }
        }
        wrong.retain(|_, times| *times != 0);
        wrong
    }

    /// What each instruction has cost by how often it was executed, after the program's end.
    #[allow(dead_code, reason = "not every suite looks at each")]
    pub fn costs(&self) -> BTreeMap<u64, [u64; 4]> {
        let mut sums: BTreeMap<u64, [u64; 4]> = BTreeMap::new();
        for (number, segment) in self.counted.iter().enumerate() {
            let times = self.slot(layout::COUNTERS + 8 * number as u32);
            for (at, costs) in segment.instructions.iter().zip(&segment.costs) {
                let sum = sums.entry(segment.pc + u64::from(*at)).or_default();
                *sum = std::array::from_fn(|i| sum[i] + times * u64::from(costs[i]));
            }
        }
        sums.retain(|_, costs| *costs != [0; 4]);
        sums
    }
}

//! What the threads' counters of executed segments count.
//!
//! A counter is a number in the cache, and a quadword of each thread (`crate::counts`). Always holds: what the guest has
//! executed is the sum over the counters, each as often as it says, less those of what was not executed after all. Not
//! here: where emitted code counts (`translate`, `Counted`).

use super::{Cache, Fragment, FragmentId};
use crate::counts;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use translate::models::Costs;
use translate::{Counted, Jump};

/// What one counter counts.
#[derive(Debug, Clone, Copy)]
struct Counter {
    fragment: FragmentId,
    /// Offsets from the fragment's guest pc and in its code, as those of [`Counted`].
    start: u16,
    end: u16,
    at: u16,
    code: u16,
    behind: u16,
    clock: u16,
    instructions: u8,
    /// Its instructions were counted by another one, and not executed.
    less: bool,
    /// Distance from its end to where the jump leads that it ends with, and whether that is a conditional one.
    jump: Option<(i32, bool)>,
    /// The same for the conditional jump that was not taken when it began.
    passes: Option<i32>,
    /// Where the lengths of its instructions begin.
    lengths: u32,
    /// It counts mispredictions of the branch at its start; true: of a conditional one.
    mispredicted: Option<bool>,
}

/// `done`, `cold` and `passed` of [`Counted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rare {
    done: [(u16, u16); 2],
    cold: u16,
    passed: [(u16, u16); 4],
}

/// Of most.
const COMMON: Rare = Rare { done: [(0, 0); 2], cold: u16::MAX, passed: [(0, 0); 4] };

/// What a counter counts, as it is told.
pub struct Executed<'a> {
    /// Guest pc of the first instruction.
    pub pc: u64,
    /// Their lengths in bytes.
    pub lengths: &'a [u8],
    /// What they cost in each execution, if that is known.
    pub costs: &'a [Costs],
    /// No instruction, but mispredictions of the branch at `pc`; true: of a conditional one.
    pub mispredicted: Option<bool>,
    /// They were counted by another counter, and not executed.
    pub less: bool,
    /// The direct jump that is the last of them, and its pc.
    pub jump: Option<(u64, Jump)>,
    /// The conditional jump in front of them that was not taken, and its pc.
    pub passes: Option<(u64, Jump)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    list: Vec<Counter>,
    lengths: Vec<u8>,
    /// Of each of those, what it costs, where that is told.
    costs: Vec<Costs>,
    /// What few have that is not in the list.
    rare: BTreeMap<u32, Rare>,
    /// Counters of parts of a segment, by the segment's counter and the instruction in front of which it was left.
    parts: BTreeMap<(u32, u16, bool), u32>,
    /// Those of instructions that were translated for a single use.
    once: BTreeMap<Single, u32>,
    /// Counts the times that they began anew.
    pub(super) generation: u32,
}

/// What tells an instruction for a single use from others: pc, length, and where it jumps to.
pub(super) type Single = (u64, u16, Option<u64>);

impl Counters {
    /// Whether there is room for those of another fragment.
    pub(super) fn has_room(&self) -> bool {
        self.list.len() + 256 < counts::MOST
    }

    /// The number of the next fragment's first counter. `once`: the instruction, for a single use.
    pub(super) fn next(&self, once: Option<Single>) -> u32 {
        let known = once.and_then(|key| self.once.get(&key));
        known.copied().unwrap_or(self.list.len() as u32)
    }

    /// Adds those of a fragment from `pc` on, whose instructions have these lengths.
    pub(super) fn add(
        &mut self,
        fragment: FragmentId,
        pc: u64,
        counted: &[Counted],
        (lengths, costs): (impl Iterator<Item = u8>, Vec<Costs>),
        once: Option<Single>,
    ) {
        let number = self.list.len() as u32;
        if let Some(key) = once
            && *self.once.entry(key).or_insert(number) != number
        {
            return;
        }
        let first = self.lengths.len();
        self.lengths.extend(lengths);
        self.costs.extend(costs);
        let mut offset = 0;
        let mut at = first;
        let mut before = None;
        for (counted, number) in counted.iter().zip(number..) {
            let &Counted {
                start,
                end,
                at: place,
                code,
                behind,
                clock,
                done,
                cold,
                jump,
                passed,
                passes,
                mispredicted,
            } = counted;
            if mispredicted.is_some() {
                // Back from the others' end.
                (offset, at) = (start, first);
            }
            // Direct jumps have 32 bits.
            let distance = |jump: Jump| jump.target.wrapping_sub(pc + u64::from(end)) as i32;
            let jump = jump.map(|jump| (distance(jump), jump.conditional));
            while offset < start {
                offset += u16::from(self.lengths[at]);
                at += 1;
            }
            let begin = at;
            while offset < end {
                offset += u16::from(self.lengths[at]);
                at += 1;
            }
            let counter = Counter {
                fragment,
                start,
                end,
                at: place,
                code,
                behind,
                clock,
                instructions: (at - begin) as u8,
                less: false,
                jump,
                passes: before.filter(|_| passes).map(|(distance, _)| distance),
                lengths: begin as u32,
                mispredicted,
            };
            before = jump;
            self.list.push(counter);
            let rare = Rare { done, cold, passed };
            if rare != COMMON {
                self.rare.insert(number, rare);
            }
        }
    }

    fn counted(&self, number: u32) -> Counted {
        let Counter { start, end, at, code, behind, clock, passes, .. } = self.list[number as usize];
        let Rare { done, cold, passed } = self.rare.get(&number).copied().unwrap_or(COMMON);
        Counted {
            start,
            end,
            at,
            code,
            behind,
            clock,
            done,
            cold,
            jump: None,
            passed,
            passes: passes.is_some(),
            mispredicted: None,
        }
    }

    /// The counter of a part of what counter `number` counts.
    fn part(&mut self, number: u32, (range, less): (Range<u16>, bool)) -> Option<u32> {
        let left = if less { range.start } else { range.end };
        if let Some(&part) = self.parts.get(&(number, left, less)) {
            return Some(part);
        }
        if !self.has_room() {
            return None;
        }
        let whole = self.list[number as usize];
        let mut counter = Counter { start: range.start, end: range.end, less, instructions: 0, ..whole };
        // What is taken back ends with the jump, and what was begun began behind the one before.
        (counter.jump, counter.passes) = if less { (whole.jump, None) } else { (None, whole.passes) };
        let mut offset = whole.start;
        for at in whole.lengths as usize..whole.lengths as usize + usize::from(whole.instructions) {
            if range.contains(&offset) {
                if counter.instructions == 0 {
                    counter.lengths = at as u32;
                }
                counter.instructions += 1;
            }
            offset += u16::from(self.lengths[at]);
        }
        let part = self.list.len() as u32;
        self.list.push(counter);
        self.parts.insert((number, left, less), part);
        Some(part)
    }

    /// They begin anew: what they counted was told. Where nothing is counted no thread has counters, and all stays as it is.
    pub(super) fn clear(&mut self) {
        if self.list.is_empty() {
            return;
        }
        *self = Counters { generation: self.generation + 1, ..Counters::default() };
    }
}

impl Cache {
    /// How many counters there are.
    pub fn counters_used(&self) -> usize {
        self.counted.list.len()
    }

    /// Which counters these are: another number after they have begun anew.
    pub fn counters_generation(&self) -> u32 {
        self.counted.generation
    }

    /// What a counter counts.
    pub fn executed(&self, number: usize) -> Executed<'_> {
        let counter = &self.counted.list[number];
        let first = counter.lengths as usize;
        let behind = first + usize::from(counter.instructions);
        let start = self.fragments[counter.fragment as usize].pc;
        // A jump by where it ends, and which instruction is behind it.
        let jump = |end: u16, behind: usize, distance: i32, conditional| {
            let end = start + u64::from(end);
            let length = behind.checked_sub(1).map_or(0, |last| self.counted.lengths[last]);
            (end - u64::from(length), Jump { target: end.wrapping_add_signed(distance.into()), conditional })
        };
        Executed {
            pc: start + u64::from(counter.start),
            lengths: &self.counted.lengths[first..behind],
            costs: self.counted.costs.get(first..behind).unwrap_or(&[]),
            mispredicted: counter.mispredicted,
            less: counter.less,
            jump: counter
                .jump
                .map(|(distance, conditional)| jump(counter.end, behind, distance, conditional)),
            passes: counter.passes.map(|distance| jump(counter.start, first, distance, true)),
        }
    }

    /// The segment of a fragment that holds an instruction, by the number of its counter.
    fn segment(&self, fragment: FragmentId, is_it: impl Fn(&Counter) -> bool) -> Option<u32> {
        let (first, count) = self.fragments[fragment as usize].counters;
        (first..first + u32::from(count)).rev().find(|&number| is_it(&self.counted.list[number as usize]))
    }

    /// What is to be counted when the guest leaves a segment for precise code at this check, if anything is.
    pub fn bailed_out_of(&mut self, check: u32) -> Option<u32> {
        let resume = u64::from(self.checks[check as usize].resume);
        let fragment = self.fragment_id_at(resume)?;
        // It may stand in front of an earlier instruction than the one that makes the access.
        let pc = self.position(resume)?.pc;
        let at = u16::try_from(pc.wrapping_sub(self.fragments[fragment as usize].pc)).ok()?;
        let segment = self.segment(fragment, |counter| (counter.start..counter.end).contains(&at))?;
        let part = self.counted.counted(segment).bailed_out(at)?;
        self.counted.part(segment, part)
    }

    /// What is to be counted when the guest was interrupted at cache address `code`, in front of its instruction at `pc`, and
    /// does not go on there: a counter, and instructions that the clock lacks besides.
    pub fn interrupted(&mut self, code: u64, pc: u64) -> Option<(Option<u32>, i64)> {
        let code = self.resumes_at(code).unwrap_or(code);
        let fragment = self.fragment_id_at(code)?;
        let Fragment { pc: start, start: base, .. } = self.fragments[fragment as usize];
        let (code, at) = (u16::try_from(code - base).ok()?, u16::try_from(pc.wrapping_sub(start)).ok()?);
        let first = self.fragments[fragment as usize].counters.0;
        let is_out_of_line = self.config.models.is_some() && code >= self.counted.counted(first).cold;
        let segment = self.segment(fragment, |counter| match is_out_of_line {
            true => (counter.start..counter.end).contains(&at),
            false => counter.code <= code,
        })?;
        let counted = self.counted.counted(segment);
        let part = if is_out_of_line {
            counted.out_of_line(at).and_then(|part| self.counted.part(segment, part))
        } else if counted.has_passed(code) {
            let next = segment + 1;
            let end = self.counted.list[next as usize].start;
            self.counted.part(next, (end..end, false))
        } else {
            counted.partly(code, at).and_then(|part| self.counted.part(segment, part))
        };
        let lacking = if counted.is_ahead_of_clock(code) { self.instructions_of(segment) } else { 0 };
        Some((part, lacking))
    }

    /// What they cost each time, where that is known.
    pub fn costs_of(&self, number: u32) -> [i64; 4] {
        let executed = self.executed(number as usize);
        let sign = if executed.less { -1 } else { 1 };
        let mut sums = [0; 4];
        for costs in executed.costs {
            sums.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += sign * i64::from(*cost));
        }
        sums
    }

    /// How many instructions a counter stands for each time.
    pub fn instructions_of(&self, number: u32) -> i64 {
        let counter = &self.counted.list[number as usize];
        let instructions = i64::from(counter.instructions);
        if counter.less { -instructions } else { instructions }
    }
}

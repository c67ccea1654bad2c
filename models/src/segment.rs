//! A run of instructions in the form in which it is simulated again and again.
//!
//! What always holds: instructions lie in the order in which they are executed, all of them, to the end; at most the
//! last one is a branch whose outcome varies. A fetch is kept only where an instruction touches another line of I1 than
//! the instruction before it touched last: what is left out hits the most recent line and changes nothing. An access of
//! data is kept with its span instead of its size: what has to be added to the address of its first byte to get that of
//! its last. A segment is simulated fastest if its instructions lie behind each other. Not here: what is an access ([`crate::accesses`]); instructions whose number of accesses varies, which are
//! put in without accesses and simulated by [`crate::Caches::repeat`], `read` and `write` before the next segment.

use crate::caches::{Modify, span};
use crate::events::{Counts, Event};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// An instruction that touches a new line of I1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch {
    pub(crate) pc: u64,
    pub(crate) instruction: u32,
    /// How many accesses of the segment come before it.
    pub(crate) accesses_before: u32,
    pub(crate) span: u8,
}

/// An access whose address is logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) instruction: u32,
    pub(crate) span: u8,
    /// Whether it counts as a write, or else as a read.
    pub(crate) written: bool,
}

/// The branch at the end of a segment, if the predictors have to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    /// With the address of the instruction behind it.
    Conditional(u64),
    Indirect,
}

/// A run of instructions, prepared by [`SegmentBuilder`].
#[derive(Debug, Clone)]
pub struct Segment {
    pub(crate) fetches: Box<[Fetch]>,
    /// First line of I1 that the fetches touch, and how many of those behind it; 0 if they do not touch them in a row.
    pub(crate) first_line: u64,
    pub(crate) lines: u32,
    pub(crate) accesses: Box<[Access]>,
    /// Address of the branch, and what it is.
    pub(crate) branch: Option<(u64, Branch)>,
    instructions: u32,
}

impl Segment {
    /// Number of instructions; the last one is the branch, if there is one.
    pub fn instructions(&self) -> usize {
        self.instructions as usize
    }

    /// Number of accesses of data whose addresses are logged.
    pub fn accesses(&self) -> usize {
        self.accesses.len()
    }

    /// The first line of I1 that it touches, and how many behind each other; 0 if they are not.
    pub fn lines(&self) -> (u64, u32) {
        (self.first_line, self.lines)
    }

    /// How far the last byte that counts of each access lies behind its first one.
    pub fn spans(&self) -> impl Iterator<Item = u8> {
        self.accesses.iter().map(|access| access.span)
    }

    /// Adds `Ir`, `Dr`, `Dw`, `Bc` and `Bi` of `times` executions to the costs of its instructions. Costs that are not
    /// there are left out.
    pub fn add_executions(&self, times: u64, costs: &mut [Counts]) {
        for counts in costs.iter_mut().take(self.instructions()) {
            counts[Event::Ir] += times;
        }
        for access in &self.accesses {
            if let Some(counts) = costs.get_mut(access.instruction as usize) {
                counts[if access.written { Event::Dw } else { Event::Dr }] += times;
            }
        }
        if let Some((_, branch)) = self.branch
            && let Some(counts) = costs.get_mut(self.instructions() - 1)
        {
            counts[if branch == Branch::Indirect { Event::Bi } else { Event::Bc }] += times;
        }
    }
}

/// Collects the instructions of a segment, each with its accesses behind it.
#[derive(Debug)]
pub struct SegmentBuilder {
    i1_line_bits: u32,
    access_max: u32,
    modify: Modify,
    fetches: Vec<Fetch>,
    accesses: Vec<Access>,
    branch: Option<(u64, Branch)>,
    instructions: u32,
    /// Address and length of the last instruction.
    last: (u64, u32),
    /// The line of I1 that was touched last.
    line: Option<u64>,
}

impl SegmentBuilder {
    pub(crate) fn new(i1_line_bits: u32, access_max: u32, modify: Modify) -> SegmentBuilder {
        SegmentBuilder {
            i1_line_bits,
            access_max,
            modify,
            fetches: Vec::new(),
            accesses: Vec::new(),
            branch: None,
            instructions: 0,
            last: (0, 0),
            line: None,
        }
    }

    /// The next instruction that is executed, of `length` bytes.
    pub fn instruction(&mut self, pc: u64, length: u32) {
        let span = span(length, self.access_max);
        let (first, last) = (pc >> self.i1_line_bits, pc.wrapping_add(u64::from(span)) >> self.i1_line_bits);
        if self.line != Some(first) || first != last {
            self.fetches.push(Fetch {
                pc,
                instruction: self.instructions,
                accesses_before: self.accesses.len() as u32,
                span,
            });
        }
        self.line = Some(last);
        self.last = (pc, length);
        self.instructions += 1;
        self.branch = None;
    }

    /// The last instruction reads `size` bytes.
    pub fn read(&mut self, size: u32) {
        self.access(size, false);
    }

    /// The last instruction writes `size` bytes.
    pub fn write(&mut self, size: u32) {
        self.access(size, true);
    }

    /// The last instruction reads and writes the same `size` bytes: one access.
    pub fn modify(&mut self, size: u32) {
        self.access(size, self.modify == Modify::Write);
    }

    /// The last instruction is a conditional branch.
    pub fn conditional(&mut self) {
        let (pc, length) = self.last;
        self.branch = Some((pc, Branch::Conditional(pc.wrapping_add(u64::from(length)))));
    }

    /// The last instruction is a jump or call through a register or memory; a return is none.
    pub fn indirect(&mut self) {
        self.branch = Some((self.last.0, Branch::Indirect));
    }

    /// What was collected.
    pub fn finish(self) -> Segment {
        let line = |address: u64| address >> self.i1_line_bits;
        let mut lines: Vec<u64> = self
            .fetches
            .iter()
            .flat_map(|fetch| [line(fetch.pc), line(fetch.pc.wrapping_add(u64::from(fetch.span)))])
            .collect();
        lines.dedup();
        let in_a_row = lines.windows(2).all(|pair| pair[0].wrapping_add(1) == pair[1]);
        Segment {
            first_line: lines.first().copied().unwrap_or(0),
            lines: if in_a_row { lines.len() as u32 } else { 0 },
            fetches: self.fetches.into_boxed_slice(),
            accesses: self.accesses.into_boxed_slice(),
            branch: self.branch.filter(|_| self.instructions > 0),
            instructions: self.instructions,
        }
    }

    fn access(&mut self, size: u32, written: bool) {
        let instruction = self.instructions.saturating_sub(1);
        self.accesses.push(Access { instruction, span: span(size, self.access_max), written });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(modify: Modify) -> SegmentBuilder {
        SegmentBuilder::new(6, 64, modify)
    }

    #[test]
    fn a_fetch_is_kept_where_a_new_line_is_touched() {
        let mut builder = builder(Modify::Write);
        for (pc, length) in [(0x1030, 4), (0x1034, 8), (0x103c, 8), (0x1044, 8), (0x1080, 1), (0x1000, 2)] {
            builder.instruction(pc, length);
            builder.read(4);
        }
        let segment = builder.finish();
        let kept: Vec<_> =
            segment.fetches.iter().map(|fetch| (fetch.instruction, fetch.accesses_before)).collect();
        assert_eq!(kept, [(0, 0), (2, 2), (4, 4), (5, 5)]);
        assert_eq!(segment.lines, 0, "0x1000 comes last");
    }

    #[test]
    fn lines_in_a_row_are_known_as_such() {
        let mut builder = builder(Modify::Write);
        for (pc, length) in [(0x1030, 15), (0x103f, 2), (0x1041, 4)] {
            builder.instruction(pc, length);
        }
        let segment = builder.finish();
        assert_eq!((segment.first_line, segment.lines), (0x40, 2));
    }

    #[test]
    fn executions_are_counted_with_their_accesses() {
        let mut builder = builder(Modify::Write);
        builder.instruction(0x1000, 4);
        builder.modify(8);
        builder.instruction(0x1004, 2);
        builder.read(8);
        builder.write(8);
        builder.indirect();
        let segment = builder.finish();
        let mut costs = [Counts::default(); 3];
        segment.add_executions(5, &mut costs);
        let of = |instruction: usize| {
            [Event::Ir, Event::Dr, Event::Dw, Event::Bc, Event::Bi].map(|event| costs[instruction][event])
        };
        assert_eq!([of(0), of(1), of(2)], [[5, 0, 5, 0, 0], [5, 5, 5, 0, 5], [0; 5]]);
        segment.add_executions(1, &mut []);
    }

    #[test]
    fn a_modification_is_one_access_of_the_kind_that_was_chosen() {
        for (modify, written) in [(Modify::Write, true), (Modify::Read, false)] {
            let mut builder = builder(modify);
            builder.instruction(0, 4);
            builder.modify(4);
            let segment = builder.finish();
            assert_eq!((segment.accesses(), segment.accesses[0].written), (1, written));
        }
    }

    #[test]
    fn only_a_branch_at_the_end_counts() {
        let mut inner = builder(Modify::Write);
        inner.conditional();
        inner.instruction(0x10, 2);
        inner.conditional();
        inner.instruction(0x12, 2);
        assert_eq!(inner.finish().branch, None);
        let mut last = builder(Modify::Write);
        last.instruction(0x10, 2);
        last.conditional();
        assert_eq!(last.finish().branch, Some((0x10, Branch::Conditional(0x12))));
        let mut nothing = builder(Modify::Write);
        nothing.indirect();
        assert_eq!(nothing.finish().branch, None);
    }
}

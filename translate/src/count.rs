//! Counting executed guest instructions: where, and with which registers.
//!
//! Each segment of a superblock (up to the next way out) is counted once, as a whole, before it can be left: in a counter
//! of its own, and its instructions in a sum that is a clock of other events. Where no status flag is live these are two
//! `add`s; elsewhere a register is borrowed. Invariant: nothing that the guest can see changes. Not here: what the counts are for.

use crate::decode::{Block, Flow, Insn};
use crate::emit::{Emitter, reg};
use crate::flags::STATUS;
use crate::fragment::Config;
use crate::layout::{self, Fix};
use crate::mode::Mode;
use alloc::vec::Vec;
use core::ops::Range;

/// How one segment is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not in front of this instruction.
    Nowhere,
    /// Here, where no flag is live.
    Add(Count),
    /// Here, with a register that is put aside for it.
    Borrow(Count, u8),
    /// Within the emission of this return or indirect branch, which puts r11 aside anyway. Precise code emits it twice.
    InBranch(Count),
}

/// What is counted in front of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// Where the instructions are added, if anywhere, and how many.
    slot: Option<u32>,
    instructions: u32,
    /// Displacement of the segment's own counter, if it has one.
    own: Option<u32>,
}

impl Count {
    fn add(self, e: &mut Emitter<'_>) {
        if let Some(own) = self.own {
            add_to(e, own, 1);
        }
        let counted = e.offset();
        if let Some(slot) = self.slot {
            add_to(e, slot, self.instructions);
        }
        e.counted = (counted, e.offset());
    }

    /// Adds through a register, which is overwritten, without a change of flags.
    pub(crate) fn through(self, e: &mut Emitter<'_>, register: u8) {
        if let Some(own) = self.own {
            add_through(e, own, 1, register);
        }
        let counted = e.offset();
        if let Some(slot) = self.slot {
            add_through(e, slot, self.instructions, register);
        }
        e.counted = (counted, e.offset());
    }
}

/// `add qword fs:[slot], n`
pub(crate) fn add_to(e: &mut Emitter<'_>, slot: u32, n: u32) {
    let short = i8::try_from(n as i32);
    e.bytes(&[0x64, 0x48, if short.is_ok() { 0x83 } else { 0x81 }, 0x04, 0x25]);
    e.u32(slot);
    match short {
        Ok(n) => e.bytes(&[n as u8]),
        Err(_) => e.u32(n),
    }
}

/// The same through a register, which is overwritten, without a change of flags.
pub(crate) fn add_through(e: &mut Emitter<'_>, slot: u32, n: u32, register: u8) {
    e.load_ctx(register, slot);
    // lea r, [r + n]
    let (rex, low) = (0x48 | ((register >> 3) * 5), register & 7);
    debug_assert!(low != 4, "rsp and r12 need a SIB byte");
    match i8::try_from(n as i32) {
        Ok(n) => e.bytes(&[rex, 0x8d, 0x40 | low << 3 | low, n as u8]),
        Err(_) => {
            e.bytes(&[rex, 0x8d, 0x80 | low << 3 | low]);
            e.u32(n);
        }
    }
    e.store_ctx(slot, register);
}

/// Displacement of counter `number`.
pub(crate) fn own_counter(number: u32) -> u32 {
    layout::COUNTERS + 8 * number
}

/// What one of a fragment's counters counts: how often the guest has begun the segment. All are offsets in bytes from the
/// fragment's guest pc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// First instruction.
    pub start: u16,
    /// Behind the last one.
    pub end: u16,
    /// The instruction in front of which it is counted; where that is done within the last one, what is behind.
    pub at: u16,
    /// Offset in the code of what comes first of the segment.
    pub code: u16,
    /// Offset in the code from which on it has been counted.
    pub behind: u16,
    /// Offset from which on the clock has its instructions, too.
    pub clock: u16,
    /// From and to which offsets in the code it has been executed, whatever pc they stand for.
    pub done: [(u16, u16); 2],
    /// Offset in the code from which on each place stands for one in front of its instruction, and of what counts there.
    pub cold: u16,
    /// The direct jump that it ends with, if it does.
    pub jump: Option<Jump>,
    /// From and to which offsets in the code that jump has not been taken, and nothing has counted that yet.
    pub passed: [(u16, u16); 4],
    /// It begins behind a conditional jump, and counts how often that was not taken: the jump of the counter before.
    pub passes: bool,
    /// It counts nothing but how often the branch at `start` was mispredicted; true: a conditional one.
    pub mispredicted: Option<bool>,
}

/// A direct jump: its last instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// Guest pc that it leads to, when it is taken.
    pub target: u64,
    /// It may go on with the next instruction instead.
    pub conditional: bool,
}

/// What no code counts that stands in the order of the guest's.
const NONE: u16 = u16::MAX;

impl Counted {
    /// Counts mispredictions of a branch.
    pub(crate) fn mispredicted(at: u16, conditional: bool) -> Counted {
        Counted { passes: false, mispredicted: Some(conditional), ..Counted::nothing(at) }
    }

    /// Counts no instruction: that a conditional jump was not taken.
    fn nothing(at: u16) -> Counted {
        Counted {
            start: at,
            end: at,
            at,
            code: NONE,
            behind: NONE,
            clock: NONE,
            done: [(0, 0); 2],
            cold: NONE,
            jump: None,
            passed: [(0, 0); 4],
            passes: true,
            mispredicted: None,
        }
    }

    /// As [`Counted::partly`], for code out of line that is of the instruction at `pc`, in front of which all has been counted that is.
    pub fn out_of_line(&self, pc: u16) -> Option<(Range<u16>, bool)> {
        if self.at <= pc { self.left(pc) } else { self.begun(pc) }
    }

    /// The guest leaves the segment by an interrupt, at this offset in the code, in front of the instruction at `pc` (an offset,
    /// too): what has to be counted to have exactly what was executed. These instructions are to be counted once more, or, if
    /// that is true, once less. There may be none: where it only has to be known that the jump in front was not taken.
    pub fn partly(&self, code: u16, pc: u16) -> Option<(Range<u16>, bool)> {
        if code >= self.cold {
            return self.bailed_out(pc);
        }
        if self.done.iter().any(|&(from, to)| (from..to).contains(&code)) || pc < self.start {
            return None;
        }
        if code < self.behind { self.begun(pc) } else { self.left(pc) }
    }

    /// Whether the guest, interrupted at this offset in the code, has just passed its conditional jump, which nothing has
    /// counted: then the next counter's part without an instruction is to be counted.
    pub fn has_passed(&self, code: u16) -> bool {
        self.passed.iter().any(|&(from, to)| (from..to).contains(&code))
    }

    /// What was executed of it up to `pc`, and not counted.
    fn begun(&self, pc: u16) -> Option<(Range<u16>, bool)> {
        let is_any = self.start < pc && pc < self.end;
        Some((self.start..pc, false)).filter(|_| is_any || self.passes && pc == self.start)
    }

    /// What was counted of it from `pc` on, and not executed.
    fn left(&self, pc: u16) -> Option<(Range<u16>, bool)> {
        Some((pc..self.end, true)).filter(|_| pc < self.end)
    }

    /// Whether it has been counted at this offset in the code, but the clock does not have its instructions yet.
    pub fn is_ahead_of_clock(&self, code: u16) -> bool {
        (self.behind..self.clock).contains(&code)
    }

    /// The same for a check in front of the instruction at `pc`, and of what counts there.
    pub fn bailed_out(&self, pc: u16) -> Option<(Range<u16>, bool)> {
        if self.at < pc { self.left(pc) } else { self.begun(pc) }
    }
}

/// The first of the slots that share the count of a mode's code, and how many do. `few`: their sum is the clock of calls.
pub(crate) fn slots(mode: Mode, few: bool) -> (u32, u32) {
    match mode {
        Mode::Guarded => (layout::GUARDED_INSTRUCTIONS, if few { FEW.1 } else { layout::GUARDED_SLOTS }),
        _ => (layout::INSTRUCTIONS, if few { FEW.0 } else { layout::INSTRUCTION_SLOTS }),
    }
}

/// How many slots are used where each call adds them up, of guarded code's in the second place.
const FEW: (u32, u32) = (2, 1);

/// All slots that are used then.
pub(crate) fn clock_slots() -> impl Iterator<Item = u32> {
    [Mode::Clean, Mode::Guarded].into_iter().flat_map(|mode| {
        let (first, count) = slots(mode, true);
        (0..count).map(move |slot| first + 8 * slot)
    })
}

/// Adds to slots of the context. `flags`: one is live there.
pub(crate) fn add(e: &mut Emitter<'_>, pc: u64, counts: &[(u32, u32)], flags: bool) {
    let counts = counts.iter();
    if !flags {
        return counts.for_each(|&(slot, n)| add_to(e, slot, n));
    }
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    counts.for_each(|&(slot, n)| add_through(e, slot, n, reg::RCX));
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
}

/// First and last instruction of a segment, in front of which one it is counted, and how many count.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: usize,
    last: usize,
    at: usize,
    counted: u32,
    /// Offsets in the code: see [`Counted`].
    code: usize,
    behind: (usize, usize),
    done: [(u16, u16); 2],
    passed: [(u16, u16); 4],
}

/// The places of one superblock.
#[derive(Debug, Default)]
pub(crate) struct CounterPlan {
    places: Vec<Place>,
    segments: Vec<Segment>,
    /// Displacement of a counter of how often the conditional jump that the block ends with was not taken.
    passed: Option<u32>,
    /// Segments planned so far. Neighbours take turns at the slots; what is translated one after the other is mostly
    /// executed so, too.
    turn: u32,
}

impl CounterPlan {
    /// Plans for a block, whose counters are numbered from `counter`. `live` holds the flags that are live before each
    /// instruction.
    pub(crate) fn plan(&mut self, block: &Block<'_>, config: &Config, live: &[u32], counter: u32) {
        let mode = config.mode;
        let (first, slots) = slots(mode, config.tells_calls());
        let insns = &block.insns;
        self.places.clear();
        self.segments.clear();
        self.places.resize(insns.len(), Place::Nowhere);
        let mut start = 0;
        while start < insns.len() {
            let last = (start..insns.len()).find(|&i| insns[i].flow.leaves()).unwrap_or(insns.len() - 1);
            let slot = first + 8 * (self.turn % slots);
            // What precise code executes is counted there.
            let beyond = u32::from(insns[last].flow == Flow::Beyond);
            let slot = config.count.then_some(slot);
            let own = config.count_segments.then(|| own_counter(counter + self.segments.len() as u32));
            let count = Count { slot, instructions: (last + 1 - start) as u32 - beyond, own };
            let (at, place) = if let Some(at) = (start..=last).find(|&i| live[i] & STATUS == 0) {
                (at, Place::Add(count))
            } else if !mode.is_precise()
                && matches!(insns[last].flow, Flow::Return(_) | Flow::IndirectJump | Flow::IndirectCall)
            {
                (last, Place::InBranch(count))
            } else {
                (start, Place::Borrow(count, idle(&insns[start..])))
            };
            self.places[at] = place;
            self.segments.push(Segment {
                start,
                last,
                at,
                counted: count.instructions,
                code: 0,
                behind: (0, 0),
                done: [(0, 0); 2],
                passed: [(0, 0); 4],
            });
            self.turn = self.turn.wrapping_add(1);
            start = last + 1;
        }
        let ends_open = insns.last().is_some_and(|insn| jump_of(insn).is_some_and(|jump| jump.conditional));
        self.passed =
            (config.count_segments && ends_open).then(|| own_counter(counter + self.segments.len() as u32));
    }

    /// First and last instruction of each segment, and in front of which one it is counted.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.segments.iter().map(|segment| (segment.start, segment.last, segment.at))
    }

    /// How many counters were planned.
    pub(crate) fn count(&self) -> u32 {
        self.segments.len() as u32 + u32::from(self.passed.is_some())
    }

    /// What is to be added to the count when the guest leaves the block in front of instruction `i`, before that is counted,
    /// to have those that are done.
    pub(crate) fn adjust(&self, i: usize) -> i16 {
        let segment = self.segments.partition_point(|segment| segment.last < i);
        let Some(&Segment { start, at, counted, .. }) = self.segments.get(segment) else { return 0 };
        let done = i as i16 - start as i16;
        if at < i { done - counted as i16 } else { done }
    }

    /// What each counter counts. `cold`: where the code ends that stands in the order of the guest's.
    pub(crate) fn counted(&self, block: &Block<'_>, cold: usize, counted: &mut Vec<Counted>) {
        let offset = |i: usize| block.insns[i].pc().wrapping_sub(block.pc) as u16;
        let mut passes = false;
        counted.extend(self.segments.iter().map(|segment| {
            let beyond = block.insns[segment.last].flow == Flow::Beyond;
            let last = &block.insns[segment.last];
            let end = if beyond { last.pc() } else { last.next_pc() }.wrapping_sub(block.pc) as u16;
            let (behind, clock) = segment.behind;
            let jump = jump_of(last);
            let conditional = jump.is_some_and(|jump| jump.conditional);
            Counted {
                start: offset(segment.start),
                end,
                at: if matches!(self.places[segment.at], Place::InBranch(_)) {
                    end
                } else {
                    offset(segment.at)
                },
                code: segment.code as u16,
                behind: behind as u16,
                clock: clock as u16,
                done: segment.done,
                cold: cold as u16,
                jump,
                passed: segment.passed,
                passes: core::mem::replace(&mut passes, conditional),
                mispredicted: None,
            }
        }));
        if self.passed.is_some() {
            let end = block.insns.last().map_or(0, |last| last.next_pc().wrapping_sub(block.pc) as u16);
            // It has no code of its own: wherever it has not counted yet, the segment before says so.
            counted.push(Counted::nothing(end));
        }
    }

    /// Instruction `i` is going to be emitted.
    pub(crate) fn begins(&mut self, e: &Emitter<'_>, i: usize) {
        let segment = self.segments.partition_point(|segment| segment.last < i);
        if self.segments[segment].start == i {
            self.segments[segment].code = e.offset();
        }
    }

    /// It has been emitted, and with it what counts its segment, if that is its place.
    pub(crate) fn emitted(&mut self, e: &Emitter<'_>, i: usize) {
        let segment = self.segments.partition_point(|segment| segment.last < i);
        let segment = &mut self.segments[segment];
        if self.places[i] != Place::Nowhere {
            segment.behind = e.counted;
        }
        if segment.last == i {
            segment.done = e.done;
            segment.passed = e.passed;
        }
    }

    /// The block is left behind its last instruction, in front of `next`: counts that, if it is a conditional jump.
    pub(crate) fn pass(&mut self, e: &mut Emitter<'_>, next: u64) {
        let (Some(passed), Some(segment)) = (self.passed, self.segments.last_mut()) else { return };
        // Flags may be live in what follows.
        let (from, register) = (e.offset(), idle(&[]));
        e.store_ctx(layout::SPILL, register);
        e.mark(next, Fix::spill(register));
        add_through(e, passed, 1, register);
        e.passed_from(from);
        e.load_ctx(register, layout::SPILL);
        e.mark(next, Fix::NONE);
        segment.passed = e.passed;
    }

    /// Emits what is to be done in front of instruction `i`; returns what its own emission has to count.
    pub(crate) fn emit(&self, e: &mut Emitter<'_>, i: usize, pc: u64) -> Option<Count> {
        match self.places[i] {
            Place::Nowhere => None,
            Place::InBranch(count) => Some(count),
            Place::Add(count) => {
                e.mark(pc, Fix::NONE);
                count.add(e);
                None
            }
            Place::Borrow(count, register) => {
                e.store_ctx(layout::SPILL, register);
                e.mark(pc, Fix::spill(register));
                count.through(e, register);
                e.load_ctx(register, layout::SPILL);
                None
            }
        }
    }
}

/// The direct jump that an instruction is.
fn jump_of(insn: &Insn) -> Option<Jump> {
    match insn.flow {
        Flow::Jump(target) => Some(Jump { target, conditional: false }),
        Flow::Condition(target) | Flow::ShortCondition(target) => Some(Jump { target, conditional: true }),
        _ => None,
    }
}

/// A register that the next instructions do not name, so that none of them waits for it to come back. A guess is good
/// enough: it is restored anyway.
fn idle(insns: &[Insn]) -> u8 {
    /// rbx, rbp, r13 to r15, r8 to r10: never operands that an instruction does not name.
    const CANDIDATES: [u8; 8] = [3, 5, 15, 14, 13, 8, 9, 10];
    const AHEAD: usize = 6;
    let mut named = 0u32;
    for insn in insns.iter().take(AHEAD) {
        let iced = &insn.iced;
        let operands = (0..iced.op_count()).map(|operand| iced.op_register(operand));
        for register in operands.chain([iced.memory_base(), iced.memory_index()]) {
            named |= crate::decode::number(register).map_or(0, |number| 1 << number);
        }
    }
    CANDIDATES.into_iter().find(|number| named & 1 << number == 0).unwrap_or(CANDIDATES[0])
}

//! Counting executed guest instructions: where, and with which registers.
//!
//! Each segment of a superblock (up to the next way out) is counted once, as a whole, before it can be left. Where no
//! status flag is live that is one `add`; elsewhere a register is borrowed. Invariant: nothing that the guest can see
//! changes. Not here: what the count is for.

use crate::decode::{Block, Flow, Insn};
use crate::emit::{Emitter, reg};
use crate::flags::STATUS;
use crate::layout::{self, Fix};
use crate::mode::Mode;
use alloc::vec::Vec;

/// How one segment is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not in front of this instruction.
    Nowhere,
    /// Here, where no flag is live.
    Add(Count),
    /// Here, with a register that is put aside for it.
    Borrow(Count, u8),
    /// Within the emission of this return or indirect branch, which puts r11 aside anyway.
    InBranch(Count),
}

/// A number of instructions to add to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    slot: u32,
    instructions: u32,
}

impl Count {
    /// `add qword fs:[slot], n`
    fn add(self, e: &mut Emitter<'_>) {
        let short = i8::try_from(self.instructions);
        e.bytes(&[0x64, 0x48, if short.is_ok() { 0x83 } else { 0x81 }, 0x04, 0x25]);
        e.u32(self.slot);
        match short {
            Ok(n) => e.bytes(&[n as u8]),
            Err(_) => e.u32(self.instructions),
        }
    }

    /// Adds through a register, which is overwritten, without a change of flags.
    pub(crate) fn through(self, e: &mut Emitter<'_>, register: u8) {
        e.load_ctx(register, self.slot);
        // lea r, [r + n]
        let (rex, low) = (0x48 | ((register >> 3) * 5), register & 7);
        debug_assert!(low != 4, "rsp and r12 need a SIB byte");
        match i8::try_from(self.instructions) {
            Ok(n) => e.bytes(&[rex, 0x8d, 0x40 | low << 3 | low, n as u8]),
            Err(_) => {
                e.bytes(&[rex, 0x8d, 0x80 | low << 3 | low]);
                e.u32(self.instructions);
            }
        }
        e.store_ctx(self.slot, register);
    }
}

/// The first of the slots that share the count of a mode's code, and how many do.
pub(crate) fn slots(mode: Mode) -> (u32, u32) {
    match mode {
        Mode::Guarded => (layout::GUARDED_INSTRUCTIONS, layout::GUARDED_SLOTS),
        _ => (layout::INSTRUCTIONS, layout::INSTRUCTION_SLOTS),
    }
}

/// Adds to slots of the context. `flags`: one is live there.
pub(crate) fn add(e: &mut Emitter<'_>, pc: u64, counts: &[(u32, u32)], flags: bool) {
    let counts = counts.iter().map(|&(slot, instructions)| Count { slot, instructions });
    if !flags {
        return counts.for_each(|count| count.add(e));
    }
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    counts.for_each(|count| count.through(e, reg::RCX));
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
}

/// The places of one superblock.
#[derive(Debug, Default)]
pub(crate) struct CounterPlan {
    places: Vec<Place>,
    segments: Vec<Segment>,
    /// Segments planned so far. Neighbours take turns at the slots; what is translated one after the other is mostly
    /// executed so, too.
    turn: u32,
}

impl CounterPlan {
    /// Plans for a block. `live` holds the flags that are live before each instruction.
    pub(crate) fn plan(&mut self, block: &Block<'_>, mode: Mode, live: &[u32]) {
        let (first, slots) = slots(mode);
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
            let count = Count { slot, instructions: (last + 1 - start) as u32 - beyond };
            let (at, place) = if let Some(at) = (start..=last).find(|&i| live[i] & STATUS == 0) {
                (at, Place::Add(count))
            } else if matches!(insns[last].flow, Flow::Return(_) | Flow::IndirectJump | Flow::IndirectCall) {
                (last, Place::InBranch(count))
            } else {
                (start, Place::Borrow(count, idle(&insns[start..])))
            };
            self.places[at] = place;
            self.segments.push(Segment { start, last, at, counted: count.instructions });
            self.turn = self.turn.wrapping_add(1);
            start = last + 1;
        }
    }

    /// What is to be added to the count when the guest leaves the block in front of instruction `i`, before that is counted,
    /// to have those that are done.
    pub(crate) fn adjust(&self, i: usize) -> i16 {
        let segment = self.segments.partition_point(|segment| segment.last < i);
        let Some(&Segment { start, at, counted, .. }) = self.segments.get(segment) else { return 0 };
        let done = i as i16 - start as i16;
        if at < i { done - counted as i16 } else { done }
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

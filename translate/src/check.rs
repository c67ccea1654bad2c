//! Shadow checks: before an access, one comparison of its V bits with zero, and a branch to the rare case.
//!
//! The shadow of guest address `a` lies at GS base + [`SHADOW_BIAS`] + `a`, so the comparison has the guest's own operand
//! but for the displacement, and needs no register. It changes the status flags: it stands where none is live, in front of an earlier instruction of the same
//! segment if need be; where there is no such place, the V bits go through rcx, whose emptiness jrcxz tests.
//!
//! What a push, a call, or a store by the stack pointer writes is defined without a look: clean code stores defined
//! values, and the stack is the thread's own.
//!
//! Always holds: a check changes nothing that the guest can see; between a check and its access no register of the
//! address changes and control stays in the fragment. Not here: what the rare case does (`engine`), registers (`guard`).

use crate::access::{Access, needed};
use crate::address::Address;
use crate::count::CounterPlan;
use crate::decode::{Block, Flow, Insn};
use crate::emit::{Emitter, reg};
use crate::flags::STATUS;
use crate::fragment::{Config, StubAddresses};
use crate::guard;
use crate::known::Known;
use crate::layout::{self, Fix};
use crate::mode::Mode;
use crate::operand::Tools;
use crate::registers::{Set, Uses};
use crate::shadow::{self, MOST_UNDEFINED};
use crate::stack::{Growth, stack_change, stack_growth, stack_write};
use alloc::vec::Vec;

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Memory.
    Memory {
        /// Bytes accessed.
        size: u8,
        /// What is done with them.
        access: Access,
    },
    /// Registers that may be undefined.
    Registers,
}

/// One check of a fragment. Its stub ([`Config::check_stub_code`]) leads to the rare case.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Guest pc of the instruction that makes the access, or in front of which a guard stands.
    pub pc: u64,
    /// What it looks at.
    pub what: What,
    /// Offset in the fragment's code where it goes on after the rare case.
    pub resume: u32,
    /// What is to be added to the number of counted instructions to have those that are done, when the guest leaves the
    /// fragment here.
    pub adjust: i16,
    address: Option<Address>,
    /// For registers: those.
    registers: Set,
    /// A status flag is live there.
    pub keeps_flags: bool,
}

/// A check and the instruction in front of which it stands.
struct Planned {
    place: usize,
    check: Check,
}

/// Bytes of the stack that an instruction defines.
struct Defined {
    place: usize,
    address: Address,
    bytes: u8,
}

/// The checks of one superblock, by rising place.
#[derive(Default)]
pub(crate) struct CheckPlan {
    planned: Vec<Planned>,
    next: usize,
    defined: Vec<Defined>,
    next_defined: usize,
    /// Instructions that make the stack grow, and by how much.
    grown: Vec<(usize, Growth)>,
    next_grown: usize,
    /// What needs no second look in clean and guarded code: of memory, of registers.
    known: Known,
    seen: Set,
    /// Branches of the check that is being emitted.
    branches: Vec<u32>,
}

impl CheckPlan {
    /// Plans for a block. `live` holds the flags that are live before each instruction.
    pub(crate) fn plan(
        &mut self,
        block: &Block<'_>,
        mode: Mode,
        live: &[u32],
        counts: Option<&CounterPlan>,
        tools: &mut Tools,
    ) {
        self.planned.clear();
        self.defined.clear();
        self.grown.clear();
        (self.next, self.next_defined, self.next_grown) = (0, 0, 0);
        self.known.clear();
        self.seen = Set::default();
        let mut segment = 0;
        let mut first = true;
        for (i, insn) in block.insns.iter().enumerate() {
            if core::mem::take(&mut first) && mode.guards() {
                self.guard(block, mode, segment, live, tools);
            }
            if mode.guards()
                && insn.flow == Flow::Next
                && let Some(growth) = stack_growth(&insn.iced)
            {
                self.grown.push((i, growth));
            }
            let stack = if mode.guards() { stack_write(insn, tools) } else { None };
            if let Some((address, bytes)) =
                stack.filter(|(at, bytes)| !self.known.holds(*at, u64::from(*bytes)))
            {
                self.defined.push(Defined { place: i, address, bytes });
            }
            for (address, size, access) in needed(insn, mode, tools).into_iter().flatten() {
                // A store by the stack pointer needs no other look.
                if access == Access::Write && stack.is_some_and(|(defined, _)| defined == address) {
                    continue;
                }
                if self.known.holds(address, u64::from(size)) {
                    continue;
                }
                let place = place(&block.insns[segment..=i], &live[segment..=i], Some(address), tools);
                let check = Check {
                    pc: insn.pc(),
                    what: What::Memory { size, access },
                    resume: 0,
                    adjust: 0,
                    address: place.map_or(Some(address), |(_, address)| address),
                    registers: Set::default(),
                    keeps_flags: place.is_none(),
                };
                self.planned.push(Planned { place: place.map_or(i, |(back, _)| i - back), check });
                if mode.guards() {
                    self.known.add(address, u64::from(size));
                }
            }
            if mode.guards() {
                // The place of a push, and of what a call leaves, is named by the stack pointer before it.
                if let Some((address, bytes)) = stack {
                    self.known.add(address, u64::from(bytes));
                }
                self.known.behind(insn, tools);
            }
            if insn.flow.leaves() {
                segment = i + 1;
                first = true;
            }
        }
        // An earlier place may have been found for a later access.
        self.planned.sort_by_key(|planned| planned.place);
        for planned in &mut self.planned {
            planned.check.adjust = counts.map_or(0, |counts| counts.adjust(planned.place));
        }
    }

    /// A guard for the segment that begins at instruction `start`, if it needs one.
    fn guard(&mut self, block: &Block<'_>, mode: Mode, start: usize, live: &[u32], tools: &mut Tools) {
        let mut uses = Uses::default();
        let mut first = None;
        for (i, insn) in block.insns.iter().enumerate().skip(start) {
            uses.add(&insn.iced, tools);
            if first.is_none() && !uses.all().and(mode.guarded()).is_empty() {
                first = Some(i);
            }
            if insn.flow.leaves() {
                break;
            }
        }
        let wanted = uses.all().and(mode.guarded()).without(self.seen);
        let Some(first) = first.filter(|_| !wanted.is_empty()) else { return };
        self.seen = self.seen.or(wanted);
        let place = place(&block.insns[start..=first], &live[start..=first], None, tools);
        let at = place.map_or(first, |(back, _)| first - back);
        let check = Check {
            pc: block.insns[at].pc(),
            what: What::Registers,
            resume: 0,
            adjust: 0,
            address: None,
            registers: wanted,
            keeps_flags: place.is_none(),
        };
        self.planned.push(Planned { place: at, check });
    }

    /// Emits the checks that stand in front of instruction `i`, at guest address `pc`. `first`: the number of the
    /// fragment's first check, `done`: those emitted so far.
    pub(crate) fn emit(
        &mut self,
        e: &mut Emitter<'_>,
        config: &Config,
        i: usize,
        pc: u64,
        first: u32,
        done: &mut Vec<Check>,
    ) {
        while let Some(planned) = self.planned.get(self.next).filter(|planned| planned.place == i) {
            self.next += 1;
            e.mark(pc, Fix::NONE);
            let stub = config.check_stub(first + done.len() as u32);
            let mut check = planned.check;
            match check.what {
                What::Memory { size, .. } => {
                    if let Some(address) = check.address {
                        shadow::look(e, address, u64::from(size), pc, check.keeps_flags, &mut self.branches);
                    }
                }
                What::Registers => guard::emit(e, check.registers, pc, check.keeps_flags, &mut self.branches),
            }
            for field in self.branches.drain(..) {
                e.patch_branch(field, stub);
            }
            check.resume = e.offset() as u32;
            done.push(check);
        }
        while let Some(defined) = self.defined.get(self.next_defined).filter(|defined| defined.place == i) {
            self.next_defined += 1;
            e.mark(pc, Fix::NONE);
            shadow::define(e, defined.address, u64::from(defined.bytes));
        }
    }
}

impl CheckPlan {
    /// Emits what is to be done behind instruction `i`, at guest address `next`: the new part of the stack is undefined.
    pub(crate) fn emit_behind(&mut self, e: &mut Emitter<'_>, i: usize, next: u64) {
        let Some(&(_, growth)) = self.grown.get(self.next_grown).filter(|(at, _)| *at == i) else { return };
        self.next_grown += 1;
        match growth {
            Growth::Constant(bytes) => shadow::undefine(e, bytes.min(MOST_UNDEFINED), next),
            Growth::Register(register) => shadow::undefine_by(e, register.number() as u8, next),
        }
    }
}

/// How many instructions in front of the last one the check may stand, the fewest with no flag live there, and what it
/// looks at there.
fn place(
    insns: &[Insn],
    live: &[u32],
    mut address: Option<Address>,
    tools: &mut Tools,
) -> Option<(usize, Option<Address>)> {
    let last = insns.len() - 1;
    let mut back = 0;
    while live[last - back] & STATUS != 0 {
        let before = insns.get((last - back).checked_sub(1)?)?;
        // What the stack grows by is undefined behind that instruction, whatever was found before.
        if stack_growth(&before.iced).is_some() {
            return None;
        }
        let on_stack = address.filter(|address| address.is_at(reg::RSP));
        if let Some((there, by)) = on_stack.zip(stack_change(&before.iced)) {
            // The same bytes, named by the stack pointer before it has moved; what a push writes is not there yet.
            address = Some(there.plus(by as u64)).filter(|there| there.is_not_below());
            address?;
        } else if address.is_some_and(|address| address.uses_any(tools.may_write(&before.iced))) {
            return None;
        }
        back += 1;
    }
    Some((back, address))
}

impl Check {
    /// The stub's code: r11 is put aside and gets the address of the access, `CONTINUE` the place to go on at.
    pub(crate) fn emit_stub(&self, e: &mut Emitter<'_>, resume: u64, stubs: &StubAddresses) {
        // The jump that a link changes.
        e.jmp(e.here() + layout::CHECK_STUB_LINK.1);
        e.store_ctx(layout::SCRATCH + 16, reg::R11);
        if self.address.is_some_and(Address::is_behind_segment) {
            // There is no room for more.
            e.store_ctx_imm(layout::CONTINUE, resume as u32);
        } else {
            e.store_ctx_wide_imm(layout::CONTINUE, resume as u32);
        }
        if let Some(address) = self.address {
            address.load_sum(e, reg::R11);
        }
        e.jmp(match self.what {
            What::Memory { size, access: Access::Write } if size.is_power_of_two() => {
                let stubs = if self.keeps_flags { &stubs.store_keeping_flags } else { &stubs.store };
                stubs[size.trailing_zeros() as usize]
            }
            _ => stubs.check,
        });
    }
}

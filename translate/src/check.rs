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

use crate::address::Address;
use crate::count::CounterPlan;
use crate::decode::{Block, Flow, Insn};
use crate::emit::{Emitter, reg};
use crate::flags::STATUS;
use crate::fragment::{Config, Mode, StubAddresses};
use crate::guard;
use crate::layout::{self, Fix, SHADOW_BIAS};
use crate::operand::Tools;
use crate::registers::Uses;
use alloc::vec::Vec;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpAccess, OpKind, Register};

/// What an instruction does with the memory that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads it, perhaps only under a condition.
    Read,
    /// Writes it, whatever was there.
    Write,
    /// Reads and writes it.
    Update,
}

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
    /// Registers that may be undefined: what the rest of the segment does with registers.
    Registers(Uses),
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
    /// A status flag is live there.
    keeps_flags: bool,
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
    /// Instructions that make the stack grow, and by how many bytes.
    grown: Vec<(usize, u64)>,
    next_grown: usize,
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
        let mut segment = 0;
        let mut first = true;
        for (i, insn) in block.insns.iter().enumerate() {
            if core::mem::take(&mut first) && mode.guards() {
                self.guard(block, mode, segment, live, tools);
            }
            if mode.guards()
                && let Some(Growth::Constant(bytes)) = stack_growth(&insn.iced)
            {
                self.grown.push((i, bytes));
            }
            let stack = if mode.guards() { stack_write(insn, tools) } else { None };
            if let Some((address, bytes)) = stack {
                self.defined.push(Defined { place: i, address, bytes });
            }
            for (address, size, access) in needed(insn, mode, tools).into_iter().flatten() {
                // A store by the stack pointer needs no other look.
                if access == Access::Write && stack.is_some_and(|(defined, _)| defined == address) {
                    continue;
                }
                let place = place(&block.insns[segment..=i], &live[segment..=i], Some(address), tools);
                let check = Check {
                    pc: insn.pc(),
                    what: What::Memory { size, access },
                    resume: 0,
                    adjust: 0,
                    address: Some(address),
                    keeps_flags: place.is_none(),
                };
                self.planned.push(Planned { place: place.map_or(i, |back| i - back), check });
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
        let Some(first) = first else { return };
        let place = place(&block.insns[start..=first], &live[start..=first], None, tools);
        let at = place.map_or(first, |back| first - back);
        let check = Check {
            pc: block.insns[at].pc(),
            what: What::Registers(uses),
            resume: 0,
            adjust: 0,
            address: None,
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
            match (check.what, check.address) {
                (What::Memory { size, .. }, Some(address)) => {
                    for (part, bytes) in parts(address, u64::from(size)) {
                        match part.shadow() {
                            Some(shadow) if !check.keeps_flags => {
                                compare(e, shadow, bytes);
                                jump_if_not_zero(e, stub);
                            }
                            _ => through_rcx(e, part, bytes, pc, stub, check.keeps_flags),
                        }
                    }
                }
                (What::Registers(uses), _) => {
                    guard::emit(e, uses.all().and(config.mode.guarded()), pc, stub, check.keeps_flags);
                }
                _ => (),
            }
            check.resume = e.offset() as u32;
            done.push(check);
        }
        while let Some(defined) = self.defined.get(self.next_defined).filter(|defined| defined.place == i) {
            self.next_defined += 1;
            e.mark(pc, Fix::NONE);
            for (part, bytes) in parts(defined.address, u64::from(defined.bytes)) {
                if let Some(shadow) = part.shadow() {
                    define(e, shadow, bytes);
                }
            }
        }
    }
}

impl CheckPlan {
    /// Emits what is to be done behind instruction `i`, at guest address `next`: the new part of the stack is undefined.
    pub(crate) fn emit_behind(&mut self, e: &mut Emitter<'_>, i: usize, next: u64) {
        let Some(&(_, bytes)) = self.grown.get(self.next_grown).filter(|(at, _)| *at == i) else { return };
        self.next_grown += 1;
        undefine(e, bytes.min(MOST_UNDEFINED), next);
    }
}

/// Of a larger piece of the stack, so many bytes at its lower end become undefined.
pub const MOST_UNDEFINED: u64 = 64 << 10;

/// How an instruction makes the stack grow by more than a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By so many bytes.
    Constant(u64),
    /// By what this register holds.
    Register(Register),
}

/// By how much an instruction moves the stack pointer down.
pub fn stack_growth(insn: &Instruction) -> Option<Growth> {
    if insn.op_count() != 2 || insn.op0_kind() != OpKind::Register || insn.op0_register() != Register::RSP {
        return None;
    }
    let constant = |by: u64| ((by as i64) > 0).then_some(Growth::Constant(by));
    match (insn.mnemonic(), insn.op1_kind()) {
        (Mnemonic::Sub, OpKind::Register) => Some(Growth::Register(insn.op1_register())),
        (Mnemonic::Sub, _) => constant(insn.try_immediate(1).ok()?),
        (Mnemonic::Add, _) => constant(insn.try_immediate(1).ok()?.wrapping_neg()),
        (Mnemonic::Lea, _)
            if insn.memory_base() == Register::RSP && insn.memory_index() == Register::None =>
        {
            constant(insn.memory_displacement64().wrapping_neg())
        }
        _ => None,
    }
}

/// Makes `bytes` bytes from the stack pointer on undefined.
fn undefine(e: &mut Emitter<'_>, bytes: u64, pc: u64) {
    /// So many words are stored one by one.
    const FEW: u64 = 12;
    const ONES: [u8; 4] = [0xff; 4];
    let words = bytes / 8;
    let at = Address::at(reg::RSP, SHADOW_BIAS);
    if words <= FEW {
        for word in 0..words {
            at.plus(8 * word).emit(e, &[0x65], true, &[0xc7], 0, &ONES);
        }
        return;
    }
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    e.load_imm(reg::RCX, words);
    let start = e.offset();
    // The word below rsp + rcx * 8; no flag changes.
    at.plus(8u64.wrapping_neg()).indexed(reg::RCX, 3).emit(e, &[0x65], true, &[0xc7], 0, &ONES);
    // lea rcx, [rcx - 1]; jrcxz over the jump back
    e.bytes(&[0x48, 0x8d, 0x49, 0xff, 0xe3, 2, 0xeb, 0]);
    let back = start.wrapping_sub(e.offset());
    e.patch_u8(e.offset() - 1, back as u8);
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
}

/// An operand in pieces of 1, 2, 4 or 8 bytes.
fn parts(address: Address, size: u64) -> impl Iterator<Item = (Address, u64)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let left = size - at;
        if left == 0 {
            return None;
        }
        let bytes = left.min(8);
        let bytes = if bytes.is_power_of_two() { bytes } else { bytes.next_power_of_two() / 2 };
        let part = address.plus(at);
        at += bytes;
        Some((part, bytes))
    })
}

/// The checks that an instruction needs: of its operand, and of what it takes from the stack.
fn needed(insn: &Insn, mode: Mode, tools: &mut Tools) -> [Option<(Address, u8, Access)>; 2] {
    let iced = &insn.iced;
    let stack = if mode.guards() { stack_read(iced) } else { None };
    [operand(insn, mode, tools), stack.map(|(address, size)| (address, size, Access::Read))]
}

fn operand(insn: &Insn, mode: Mode, tools: &mut Tools) -> Option<(Address, u8, Access)> {
    let iced = &insn.iced;
    if !matches!(insn.flow, Flow::Next | Flow::IndirectJump | Flow::IndirectCall) {
        return None;
    }
    let operand = (0..iced.op_count()).find(|&operand| iced.op_kind(operand) == OpKind::Memory)?;
    let size = iced.memory_size().size();
    if !is_common(size) || !accesses(iced) {
        return None;
    }
    let address = Address::of(iced)?;
    if address.is_behind_segment() && !(mode.guards() && address.can_be_named()) {
        return None;
    }
    let access = if operand == 0 {
        match tools.access(iced, 0) {
            OpAccess::Write | OpAccess::CondWrite => Access::Write,
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => Access::Update,
            OpAccess::Read | OpAccess::CondRead => Access::Read,
            OpAccess::None | OpAccess::NoMemAccess => return None,
        }
    } else {
        Access::Read
    };
    Some((address, size as u8, access))
}

/// Sizes of accesses that checks can look at.
fn is_common(size: usize) -> bool {
    matches!(size, 1 | 2 | 4 | 6 | 8 | 10 | 16 | 32 | 64)
}

/// What an instruction takes from the stack, but for a return address.
fn stack_read(insn: &Instruction) -> Option<(Address, u8)> {
    let size = insn.stack_pointer_increment();
    match insn.mnemonic() {
        Mnemonic::Pop | Mnemonic::Popf | Mnemonic::Popfq => Some((Address::at(reg::RSP, 0), size as u8)),
        Mnemonic::Leave => Some((Address::at(reg::RBP, 0), 8)),
        _ => None,
    }
}

/// Bytes of the stack that an instruction surely writes.
fn stack_write(insn: &Insn, tools: &mut Tools) -> Option<(Address, u8)> {
    let iced = &insn.iced;
    let below = |bytes: i32| (Address::at(reg::RSP, i64::from(bytes).wrapping_neg() as u64), bytes as u8);
    match insn.flow {
        Flow::Call(_) | Flow::IndirectCall => return Some(below(8)),
        Flow::Next => (),
        _ => return None,
    }
    match iced.mnemonic() {
        Mnemonic::Push | Mnemonic::Pushf | Mnemonic::Pushfq => {
            return Some(below(-iced.stack_pointer_increment()));
        }
        _ => (),
    }
    let size = iced.memory_size().size();
    if iced.op_count() == 0
        || iced.op0_kind() != OpKind::Memory
        || iced.memory_base() != Register::RSP
        || iced.memory_index() != Register::None
        || !is_common(size)
        || !accesses(iced)
        || tools.access(iced, 0) != OpAccess::Write
    {
        return None;
    }
    let address = Address::of(iced)?;
    address.shadow().map(|_| (address, size as u8))
}

/// Whether the bytes that the operand names are those that the instruction accesses, all of them.
fn accesses(insn: &Instruction) -> bool {
    use Mnemonic::*;
    match insn.mnemonic() {
        // The operand's address is that behind the pop.
        Pop => insn.memory_base() != Register::RSP && insn.memory_base() != Register::ESP,
        // A bit number in a register reaches beyond the operand.
        Bt | Bts | Btr | Btc => insn.op1_kind() != OpKind::Register,
        Vmaskmovps | Vmaskmovpd | Vpmaskmovd | Vpmaskmovq => false,
        // Its index is al.
        Xlatb => false,
        Verr | Verw | Fxsave | Fxsave64 | Fxrstor | Fxrstor64 | Lldt | Ltr | Lgdt | Lidt | Sgdt | Sidt => {
            false
        }
        // Elements that the mask leaves out are not accessed.
        _ => names_memory(insn) && insn.op_mask() == Register::None,
    }
}

/// Whether the memory operand is more than an address.
fn names_memory(insn: &Instruction) -> bool {
    use Mnemonic::*;
    !matches!(
        insn.mnemonic(),
        Lea | Nop
            | Reservednop
            | Invlpg
            | Clflush
            | Clflushopt
            | Clwb
            | Cldemote
            | Prefetch
            | Prefetchw
            | Prefetchwt1
            | Prefetchnta
            | Prefetcht0
            | Prefetcht1
            | Prefetcht2
    )
}

/// Whether the instruction at `pc` is one that only precise code can follow.
pub fn is_beyond(bytes: &[u8], pc: u64) -> bool {
    let insn = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE).decode();
    !insn.is_invalid() && insn.flow_control() == iced_x86::FlowControl::Next && is_unchecked(&insn)
}

/// Whether an instruction touches memory in a way that no check in code can look at: strings, gathers, masked and saved
/// state, and the like.
pub(crate) fn is_unchecked(insn: &Instruction) -> bool {
    use Mnemonic::*;
    if insn.is_string_instruction()
        || matches!(insn.mnemonic(), Enter | Xlatb | Maskmovq | Maskmovdqu | Vmaskmovdqu)
    {
        return true;
    }
    if matches!(stack_growth(insn), Some(Growth::Register(_))) {
        return true;
    }
    let has_memory = (0..insn.op_count()).any(|op| insn.op_kind(op) == OpKind::Memory);
    if !has_memory || !names_memory(insn) {
        return false;
    }
    if insn.mnemonic() == Pop || !accesses(insn) || !is_common(insn.memory_size().size()) {
        return true;
    }
    Address::of(insn).is_none_or(|address| !address.can_be_named())
}

/// How many instructions in front of the last one the check may stand: the fewest with no flag live there.
fn place(insns: &[Insn], live: &[u32], address: Option<Address>, tools: &mut Tools) -> Option<usize> {
    let last = insns.len() - 1;
    let mut back = 0;
    while live[last - back] & STATUS != 0 {
        let changes = |n| address.is_some_and(|address| address.uses(n));
        // What the stack grows by is undefined behind that instruction, whatever was found before.
        let before = back != last && stack_growth(&insns[last - back - 1].iced).is_none();
        if !before || tools.writes_any(&insns[last - back - 1].iced, changes) {
            return None;
        }
        back += 1;
    }
    Some(back)
}

/// `cmp gs:[address], 0`
fn compare(e: &mut Emitter<'_>, address: Address, bytes: u64) {
    match bytes {
        1 => address.emit(e, &[0x65], false, &[0x80], 7, &[0]),
        2 => address.emit(e, &[0x65, 0x66], false, &[0x83], 7, &[0]),
        4 => address.emit(e, &[0x65], false, &[0x83], 7, &[0]),
        _ => address.emit(e, &[0x65], true, &[0x83], 7, &[0]),
    }
}

/// `jne rel32`
fn jump_if_not_zero(e: &mut Emitter<'_>, target: u64) {
    e.bytes(&[0x0f, 0x85]);
    e.rel32(target);
}

/// `mov gs:[address], 0`
fn define(e: &mut Emitter<'_>, address: Address, bytes: u64) {
    match bytes {
        1 => address.emit(e, &[0x65], false, &[0xc6], 0, &[0]),
        2 => address.emit(e, &[0x65, 0x66], false, &[0xc7], 0, &[0; 2]),
        4 => address.emit(e, &[0x65], false, &[0xc7], 0, &[0; 4]),
        _ => address.emit(e, &[0x65], true, &[0xc7], 0, &[0; 4]),
    }
}

/// The check where a flag is live, or of an address whose shadow only a register can name.
fn through_rcx(e: &mut Emitter<'_>, address: Address, bytes: u64, pc: u64, stub: u64, keep_flags: bool) {
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    let shadow = address.shadow().unwrap_or_else(|| address.load(e, reg::RCX).plus(SHADOW_BIAS));
    if !keep_flags {
        compare(e, shadow, bytes);
        e.load_ctx(reg::RCX, layout::SPILL);
        e.mark(pc, Fix::NONE);
        jump_if_not_zero(e, stub);
        return;
    }
    match bytes {
        1 => shadow.emit(e, &[0x65], false, &[0x0f, 0xb6], reg::RCX, &[]),
        2 => shadow.emit(e, &[0x65], false, &[0x0f, 0xb7], reg::RCX, &[]),
        4 => shadow.emit(e, &[0x65], false, &[0x8b], reg::RCX, &[]),
        _ => shadow.emit(e, &[0x65], true, &[0x8b], reg::RCX, &[]),
    }
    guard::leave_unless_rcx_is_zero(e, pc, stub);
}

/// What to do about an instruction on the shadow that has faulted, because its address has none: see [`faulted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faulted {
    /// Bytes of the instruction, to go on behind it: the access itself faults next, as it does natively.
    pub length: u8,
    /// What it was to do.
    pub missed: Missed,
}

/// What an instruction on the shadow was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// To compare: ZF must become 1.
    Compare,
    /// To load rcx, which must become 0.
    LoadRcx,
    /// To store: nothing is left to do.
    Store,
}

/// Recognises an instruction on the shadow in the code at an address of the cache: nothing else there names GS.
pub fn faulted(code: &[u8]) -> Option<Faulted> {
    let insn = Decoder::new(64, code, DecoderOptions::NONE).decode();
    let missed = match insn.mnemonic() {
        Mnemonic::Cmp => Missed::Compare,
        _ if insn.op0_kind() == OpKind::Register => Missed::LoadRcx,
        _ => Missed::Store,
    };
    (insn.segment_prefix() == Register::GS && !insn.is_invalid())
        .then_some(Faulted { length: insn.len() as u8, missed })
}

impl Check {
    /// The stub's code: r11 is put aside and gets the address of the access, `CONTINUE` the place to go on at.
    pub(crate) fn emit_stub(&self, e: &mut Emitter<'_>, resume: u64, stubs: &StubAddresses) {
        e.store_ctx(layout::R11, reg::R11);
        e.store_ctx_imm(layout::CONTINUE, resume as u32);
        if let Some(address) = self.address {
            address.load_sum(e, reg::R11);
        }
        e.jmp(match self.what {
            What::Memory { size, access: Access::Write }
                if !self.keeps_flags && size <= 8 && size.is_power_of_two() =>
            {
                stubs.store[size.trailing_zeros() as usize]
            }
            _ => stubs.check,
        });
    }
}

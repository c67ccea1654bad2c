//! Shadow checks: before an access, one comparison of its V bits with zero, and a branch to the rare case.
//!
//! The shadow of guest address `a` lies at GS base + [`SHADOW_BIAS`] + `a`, so the comparison has the guest's own operand
//! but for the displacement, and needs no register. It changes the status flags: it stands where none is live, in front of an earlier instruction of the same
//! segment if need be; where there is no such place, the V bits go through rcx, whose emptiness jrcxz tests.
//!
//! Always holds: a check changes nothing that the guest can see; between a check and its access no register of the
//! address changes and control stays in the fragment. Not here: what the rare case does (`engine`), implicit operands
//! (stack, strings), operands behind FS and GS, vector indices and masks: those are not checked.

use crate::decode::{Block, Flow, Insn, number};
use crate::emit::{Emitter, fits_i32, reg};
use crate::flags::STATUS;
use crate::fragment::Config;
use crate::layout::{self, Fix, SHADOW_BIAS};
use crate::operand::Tools;
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

/// One check of a fragment. Its stub ([`Config::check_stub_code`]) leads to the rare case.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Guest pc of the instruction that makes the access.
    pub pc: u64,
    /// Bytes accessed.
    pub size: u8,
    /// What it does with them.
    pub access: Access,
    /// Offset in the fragment's code where it goes on after the rare case.
    pub resume: u32,
    address: Address,
}

/// A memory operand's address.
#[derive(Debug, Clone, Copy)]
struct Address {
    /// Register numbers.
    base: Option<u8>,
    index: Option<u8>,
    /// log2.
    scale: u8,
    /// With neither base nor index: the address.
    displacement: u64,
    /// Registers and sum have 32 bits.
    narrow: bool,
}

impl Address {
    /// The address of the only explicit memory operand; `None` for the forms that are not checked.
    fn of(insn: &Instruction) -> Option<Address> {
        let (base, index) = (insn.memory_base(), insn.memory_index());
        if index.is_vector_register() || matches!(insn.memory_segment(), Register::FS | Register::GS) {
            return None;
        }
        if insn.is_ip_rel_memory_operand() {
            let displacement = insn.ip_rel_memory_address();
            return Some(Address { base: None, index: None, scale: 0, displacement, narrow: false });
        }
        let absolute = base == Register::None && index == Register::None;
        let narrow = base.is_gpr32() || index.is_gpr32() || (absolute && insn.memory_displ_size() == 4);
        let displacement = insn.memory_displacement64();
        // With no register there is nothing left to cut to 32 bits.
        let displacement = if absolute && narrow { u64::from(displacement as u32) } else { displacement };
        Some(Address {
            base: number(base),
            index: number(index),
            scale: insn.memory_index_scale().trailing_zeros() as u8,
            displacement,
            narrow: narrow && !absolute,
        })
    }

    fn plus(self, bytes: u64) -> Address {
        Address { displacement: self.displacement.wrapping_add(bytes), ..self }
    }

    /// Whether one instruction can name it, from anywhere in the cache.
    fn is_near(self) -> bool {
        self.base.is_some() || self.index.is_some() || fits_i32(self.displacement)
    }

    /// Where GS has its shadow; `None` when that needs a register.
    fn shadow(self) -> Option<Address> {
        let shadow = self.plus(SHADOW_BIAS);
        (!self.narrow && fits_i32(shadow.displacement)).then_some(shadow)
    }

    fn uses(self, register: u8) -> bool {
        self.base == Some(register) || self.index == Some(register)
    }

    /// Emits an instruction with this operand: `prefixes`, REX (`wide`: its W bit), `opcode`, operands with `register`,
    /// `immediate`.
    fn emit(
        self,
        e: &mut Emitter<'_>,
        prefixes: &[u8],
        wide: bool,
        opcode: &[u8],
        register: u8,
        immediate: &[u8],
    ) {
        e.bytes(prefixes);
        if self.narrow {
            e.bytes(&[0x67]);
        }
        let (base, index) = (self.base.unwrap_or(0), self.index.unwrap_or(0));
        let rex = 0x40 | u8::from(wide) << 3 | (register >> 3) << 2 | (index >> 3) << 1 | base >> 3;
        if rex != 0x40 {
            e.bytes(&[rex]);
        }
        e.bytes(opcode);
        let field = (register & 7) << 3;
        let displacement = self.displacement as u32;
        match (self.base, self.index) {
            (None, index) => {
                // Absolute: a SIB byte without base, and without index where there is none.
                let index = index.map_or(4, |index| index & 7);
                e.bytes(&[0x04 | field, self.scale << 6 | index << 3 | 5]);
                e.u32(displacement);
            }
            (Some(base), index) => {
                let short = i8::try_from(displacement as i32);
                let mode = match short {
                    Ok(0) if base & 7 != reg::RBP => 0,
                    Ok(_) => 0x40,
                    Err(_) => 0x80,
                };
                match index {
                    Some(index) => {
                        e.bytes(&[mode | field | 4, self.scale << 6 | (index & 7) << 3 | base & 7]);
                    }
                    None if base & 7 == reg::RSP => e.bytes(&[mode | field | 4, 0x24]),
                    None => e.bytes(&[mode | field | base & 7]),
                }
                match (mode, short) {
                    (0, _) => (),
                    (_, Ok(short)) => e.bytes(&[short as u8]),
                    (_, Err(_)) => e.u32(displacement),
                }
            }
        }
        e.bytes(immediate);
    }
}

/// A check and the instruction in front of which it stands.
struct Planned {
    place: usize,
    check: Check,
    /// A status flag is live there.
    keep_flags: bool,
}

/// The checks of one superblock, by rising place.
#[derive(Default)]
pub(crate) struct CheckPlan {
    planned: Vec<Planned>,
    next: usize,
}

impl CheckPlan {
    /// Plans for a block. `live` holds the flags that are live before each instruction.
    pub(crate) fn plan(&mut self, block: &Block<'_>, live: &[u32], tools: &mut Tools) {
        self.planned.clear();
        self.next = 0;
        let mut segment = 0;
        for (i, insn) in block.insns.iter().enumerate() {
            if let Some(check) = needed(insn, tools) {
                let place = place(&block.insns[segment..=i], &live[segment..=i], check.address, tools);
                let place = place.map(|back| i - back);
                self.planned.push(Planned { place: place.unwrap_or(i), check, keep_flags: place.is_none() });
            }
            if insn.flow.leaves() {
                segment = i + 1;
            }
        }
        // An earlier place may have been found for a later access.
        self.planned.sort_by_key(|planned| planned.place);
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
            let (mut at, end) = (0, u64::from(check.size));
            while at < end {
                let bytes = (end - at).min(8);
                let bytes = if bytes.is_power_of_two() { bytes } else { bytes.next_power_of_two() / 2 };
                let part = check.address.plus(at);
                at += bytes;
                match part.shadow() {
                    Some(shadow) if !planned.keep_flags => {
                        compare(e, shadow, bytes);
                        jump_if_not_zero(e, stub);
                    }
                    _ => through_rcx(e, part, bytes, pc, stub, planned.keep_flags),
                }
            }
            check.resume = e.offset() as u32;
            done.push(check);
        }
    }
}

/// The check that an instruction needs.
fn needed(insn: &Insn, tools: &mut Tools) -> Option<Check> {
    let iced = &insn.iced;
    if !matches!(insn.flow, Flow::Next | Flow::IndirectJump | Flow::IndirectCall) {
        return None;
    }
    let operand = (0..iced.op_count()).find(|&operand| iced.op_kind(operand) == OpKind::Memory)?;
    let size = iced.memory_size().size();
    if !matches!(size, 1 | 2 | 4 | 6 | 8 | 10 | 16 | 32 | 64) || !accesses(iced) {
        return None;
    }
    let address = Address::of(iced)?;
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
    Some(Check { pc: insn.pc(), size: size as u8, access, resume: 0, address })
}

/// Whether the bytes that the operand names are those that the instruction accesses, all of them.
fn accesses(insn: &Instruction) -> bool {
    use Mnemonic::*;
    match insn.mnemonic() {
        Lea | Nop | Invlpg | Clflush | Clflushopt | Clwb | Cldemote | Prefetch | Prefetchw | Prefetchwt1
        | Prefetchnta | Prefetcht0 | Prefetcht1 | Prefetcht2 => false,
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
        _ => insn.op_mask() == Register::None,
    }
}

/// How many instructions in front of the last one the check may stand: the fewest with no flag live there.
fn place(insns: &[Insn], live: &[u32], address: Address, tools: &mut Tools) -> Option<usize> {
    let last = insns.len() - 1;
    let mut back = 0;
    while live[last - back] & STATUS != 0 {
        if back == last || tools.writes_any(&insns[last - back - 1].iced, |n| address.uses(n)) {
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

/// The check where a flag is live, or of an address whose shadow only a register can name.
fn through_rcx(e: &mut Emitter<'_>, address: Address, bytes: u64, pc: u64, stub: u64, keep_flags: bool) {
    e.store_ctx(layout::SPILL, reg::RCX);
    e.mark(pc, Fix::spill(reg::RCX));
    let shadow = address.shadow().unwrap_or_else(|| {
        if address.is_near() {
            // lea rcx (ecx, if the address has 32 bits), [address]
            address.emit(e, &[], !address.narrow, &[0x8d], reg::RCX, &[]);
        } else {
            e.load_imm(reg::RCX, address.displacement);
        }
        Address { base: Some(reg::RCX), index: None, scale: 0, displacement: SHADOW_BIAS, narrow: false }
    });
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
    // jrcxz over the rare case
    e.bytes(&[0xe3, 0]);
    let jrcxz = e.offset();
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
    e.jmp(stub);
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.mark(pc, Fix::spill(reg::RCX));
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
}

/// What to do about a check that has faulted, because its address has no shadow: see [`faulted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faulted {
    /// Bytes of the instruction, to go on behind it: the access itself faults next, as it does natively.
    pub length: u8,
    /// It was to load rcx, which must become 0. Otherwise it was to compare, and ZF must become 1.
    pub loads_rcx: bool,
}

/// Recognises an instruction of a check in the code at an address of the cache: nothing else there names GS.
pub fn faulted(code: &[u8]) -> Option<Faulted> {
    let insn = Decoder::new(64, code, DecoderOptions::NONE).decode();
    (insn.segment_prefix() == Register::GS && !insn.is_invalid())
        .then(|| Faulted { length: insn.len() as u8, loads_rcx: insn.op0_kind() == OpKind::Register })
}

impl Check {
    /// The stub's code: r11 is put aside and gets the address of the access, `CONTINUE` the place to go on at.
    pub(crate) fn emit_stub(&self, e: &mut Emitter<'_>, resume: u64, shared: u64) {
        e.store_ctx(layout::R11, reg::R11);
        e.store_ctx_imm(layout::CONTINUE, resume as u32);
        if self.address.is_near() {
            // lea r11, [address]: it names no segment.
            self.address.emit(e, &[], true, &[0x8d], reg::R11, &[]);
        } else {
            e.load_imm(reg::R11, self.address.displacement);
        }
        e.jmp(shared);
    }
}

//! References of explicit memory operands: one of the operand's size, for most instructions.
//!
//! A load counts even where VEX drops it: its result (a register, or flags) is overwritten in the same block before anything
//! reads it. Callgrind's blocks end at each branch; an access cannot be dropped that is a write, a modification, an element's,
//! a piece of saved state, or the pop of a return address.

use super::pieces::pieces;
use super::{Kind, Place, Reference, Sign, When};
use crate::access::names_memory;
use crate::address::Address;
use alloc::vec::Vec;
use iced_x86::{
    Instruction, InstructionInfoFactory, InstructionInfoOptions, Mnemonic, OpAccess, OpKind, Register,
};

/// Appends the references of the only explicit memory operand.
pub(super) fn add(insn: &Instruction, info: &mut InstructionInfoFactory, into: &mut Vec<Reference>) {
    use Mnemonic::*;
    let Some(operand) = (0..insn.op_count()).find(|&operand| insn.op_kind(operand) == OpKind::Memory) else {
        return;
    };
    if !names_memory(insn) {
        return;
    }
    let size = insn.memory_size().size();
    let access = info
        .info_options(
            insn,
            InstructionInfoOptions::NO_MEMORY_USAGE | InstructionInfoOptions::NO_REGISTER_USAGE,
        )
        .op_access(operand);
    let kind = match access {
        OpAccess::Read | OpAccess::CondRead => Kind::Read,
        OpAccess::Write | OpAccess::CondWrite => Kind::Write,
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => Kind::Modify,
        OpAccess::None | OpAccess::NoMemAccess => return,
    };
    let Some(address) = Address::of(insn) else {
        elements(insn, kind, into);
        return;
    };
    if size == 0 {
        return;
    }
    if let Vmaskmovps | Vmaskmovpd | Vpmaskmovd | Vpmaskmovq = insn.mnemonic() {
        masked(insn, kind, size, address, into);
        return;
    }
    let pieces = pieces(insn, size);
    for piece in 0..pieces.count {
        let reference = Reference::at(kind, pieces.size, address.plus((piece * pieces.step) as u64));
        if kind == Kind::Modify && reads_first(insn) {
            into.push(Reference { kind: Kind::Read, ..reference });
        }
        into.push(reference);
    }
}

/// Whether VEX loads the operand before it compares and exchanges it: in locked instructions other than those that compare
/// and exchange by themselves.
fn reads_first(insn: &Instruction) -> bool {
    use Mnemonic::*;
    match insn.mnemonic() {
        Xchg => true,
        Cmpxchg | Cmpxchg8b | Cmpxchg16b => false,
        _ => insn.has_lock_prefix(),
    }
}

/// Elements whose mask has its top bit set; the mask is the register behind the target, or in front of the source.
fn masked(insn: &Instruction, kind: Kind, size: usize, address: Address, into: &mut Vec<Reference>) {
    let Some(register) = vector(insn.op1_register()) else { return };
    let element = if matches!(insn.mnemonic(), Mnemonic::Vmaskmovps | Mnemonic::Vpmaskmovd) { 4 } else { 8 };
    into.extend((0..(size / element) as u8).map(|lane| Reference {
        when: When::Sign(Sign { register, lane, size: element as u8 }),
        ..Reference::at(kind, element, address.plus(u64::from(lane) * element as u64))
    }));
}

/// Elements of a gather or scatter: those whose bit is set in a mask register, or in the vector that is the last operand.
fn elements(insn: &Instruction, kind: Kind, into: &mut Vec<Reference>) {
    let Some(index) = vector(insn.memory_index()) else { return };
    let size = insn.memory_size().size();
    let Some(index_size) = index_size(insn) else { return };
    let mask = number_of_mask(insn.op_mask());
    let data = (0..insn.op_count())
        .map(|operand| insn.op_register(operand))
        .find(|register| register.is_vector_register());
    let Some(data) = data else { return };
    let lanes = (data.size() / size.max(1)).min(insn.memory_index().size() / usize::from(index_size));
    let address = Address::of_sum(insn);
    let scale = insn.memory_index_scale().trailing_zeros() as u8;
    for lane in 0..lanes as u8 {
        let (when, mask) = match (mask, vector(insn.op2_register())) {
            (Some(register), _) => (When::Mask { register, lane }, None),
            (None, Some(register)) => (When::Always, Some(Sign { register, lane, size: size as u8 })),
            (None, None) => return,
        };
        let place = Place::Element { address, index, lane, size: index_size, scale, mask };
        into.push(Reference { when, ..Reference::new(kind, size, place) });
    }
}

/// Bytes of the elements of the index.
fn index_size(insn: &Instruction) -> Option<u8> {
    use Mnemonic::*;
    match insn.mnemonic() {
        Vpgatherdd | Vpgatherdq | Vgatherdps | Vgatherdpd | Vpscatterdd | Vpscatterdq | Vscatterdps
        | Vscatterdpd => Some(4),
        Vpgatherqd | Vpgatherqq | Vgatherqps | Vgatherqpd | Vpscatterqd | Vpscatterqq | Vscatterqps
        | Vscatterqpd => Some(8),
        // Prefetches of elements.
        _ => None,
    }
}

fn number_of_mask(register: Register) -> Option<u8> {
    (register != Register::None && register.is_k()).then(|| register.number() as u8)
}

fn vector(register: Register) -> Option<u8> {
    register.is_vector_register().then(|| register.number() as u8)
}

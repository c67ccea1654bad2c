//! Guards: before registers are taken for defined, a look at those that a segment names.
//!
//! The context holds one byte for each register, at its place in [`Set`], that is not zero while bits of it are undefined
//! (`layout::DIRTY`). A guard compares the bytes of all registers that the segment reads or overwrites; where one is not
//! zero, the segment is executed in precise code, which defines what is only overwritten. So nothing is ever stored while
//! all is clean, and no segment waits for the last one's store.

use crate::emit::{Emitter, reg};
use crate::layout::{self, Fix};
use crate::registers::Set;
use alloc::vec::Vec;

/// Emits the comparisons for `registers`. Branches that are taken where one is undefined are appended to `branches`: offsets
/// of their displacements.
pub(crate) fn emit(e: &mut Emitter<'_>, registers: Set, pc: u64, keeps_flags: bool, branches: &mut Vec<u32>) {
    for (at, bytes) in pieces(registers) {
        let slot = layout::DIRTY + at;
        if keeps_flags {
            e.store_ctx(layout::SPILL, reg::RCX);
            e.mark(pc, Fix::spill(reg::RCX));
            // movzx ecx, byte or word; mov ecx, dword; mov rcx, qword
            match bytes {
                1 => e.bytes(&[0x64, 0x0f, 0xb6, 0x0c, 0x25]),
                2 => e.bytes(&[0x64, 0x0f, 0xb7, 0x0c, 0x25]),
                4 => e.bytes(&[0x64, 0x8b, 0x0c, 0x25]),
                _ => e.bytes(&[0x64, 0x48, 0x8b, 0x0c, 0x25]),
            }
            e.u32(slot);
            branches.push(leave_unless_rcx_is_zero(e, pc));
            continue;
        }
        // cmp fs:[slot], 0
        match bytes {
            1 => e.bytes(&[0x64, 0x80, 0x3c, 0x25]),
            2 => e.bytes(&[0x64, 0x66, 0x83, 0x3c, 0x25]),
            4 => e.bytes(&[0x64, 0x83, 0x3c, 0x25]),
            _ => e.bytes(&[0x64, 0x48, 0x83, 0x3c, 0x25]),
        }
        e.u32(slot);
        e.bytes(&[0]);
        // jne
        branches.push(e.branch(&[0x0f, 0x85]));
    }
}

/// Branches unless rcx, whose own value is in `SPILL`, is zero; gives rcx back on both ways. Returns the offset of the
/// branch's displacement.
pub(crate) fn leave_unless_rcx_is_zero(e: &mut Emitter<'_>, pc: u64) -> u32 {
    // jrcxz over the rare case
    e.bytes(&[0xe3, 0]);
    let jrcxz = e.offset();
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
    // jmp
    let field = e.branch(&[0xe9]);
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.mark(pc, Fix::spill(reg::RCX));
    e.load_ctx(reg::RCX, layout::SPILL);
    e.mark(pc, Fix::NONE);
    field
}

/// Places of the bytes to compare, in pieces of 1, 2, 4 or 8 that hold no other's.
pub(crate) fn pieces(registers: Set) -> impl Iterator<Item = (u32, u32)> {
    let mut left = registers.0;
    core::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let at = left.trailing_zeros();
        let run = (left >> at).trailing_ones();
        let bytes = 1 << run.min(8).ilog2();
        left &= !(((1u128 << bytes) - 1) << at);
        Some((at, bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_all_registers_and_no_other() {
        for set in [0, 1, 0b1011, 0xffff, 0x7f << 30, u128::from(u64::MAX), 3 << 63, 0x8000_0001_0000_00f0] {
            let covered = pieces(Set(set)).fold(0, |all, (at, bytes)| {
                let piece = ((1u128 << bytes) - 1) << at;
                assert_eq!(all & piece, 0);
                all | piece
            });
            assert_eq!(covered, set);
        }
        assert_eq!(pieces(Set(0xffff)).count(), 2);
        assert_eq!(pieces(Set(0xf << 32)).count(), 1);
    }
}

//! Memory that code has looked at, or defined, earlier in the same fragment: it needs no second look.
//!
//! In clean and guarded code a look that finds something leaves the fragment, so what follows has found nothing; and stores
//! of defined values change nothing about that. What another thread frees meanwhile is found at the next look.
//!
//! Always holds: each operand in the list names the same bytes as when it was added.

use crate::address::Address;
use crate::decode::{Flow, Insn};
use crate::emit::reg;
use crate::operand::Tools;
use crate::stack::{stack_change, stack_growth};
use alloc::vec::Vec;

/// Operands with their sizes in bytes.
#[derive(Default)]
pub(crate) struct Known(Vec<(Address, u64)>);

impl Known {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether all bytes of an operand are known to be defined.
    pub(crate) fn holds(&self, address: Address, size: u64) -> bool {
        self.0.iter().any(|&(known, bytes)| {
            address.distance(known).is_some_and(|at| at <= bytes && size <= bytes - at)
        })
    }

    pub(crate) fn add(&mut self, address: Address, size: u64) {
        if !self.holds(address, size) {
            self.0.push((address, size));
        }
    }

    /// Forgets what an instruction changes.
    pub(crate) fn behind(&mut self, insn: &Insn, tools: &mut Tools) {
        // What the stack grows by is undefined, by whatever register it is named.
        if insn.flow == Flow::Syscall || stack_growth(&insn.iced).is_some() {
            return self.clear();
        }
        if self.0.is_empty() {
            return;
        }
        let moved = stack_change(&insn.iced);
        if let Some(by) = moved {
            self.0.retain_mut(|(address, _)| {
                if !address.is_at(reg::RSP) {
                    return !address.uses(reg::RSP);
                }
                *address = address.plus(by.wrapping_neg() as u64);
                // Below the stack pointer nothing stays.
                address.is_not_below()
            });
        }
        let written = tools.may_write(&insn.iced) & if moved.is_some() { !(1 << reg::RSP) } else { !0 };
        self.0.retain(|(address, _)| !address.is_behind_segment() && !address.uses_any(written));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Block, Limits};

    /// Whether `[register + displacement]` of `size` bytes is known behind the instructions, if its first 8 bytes at
    /// `at` are in front of them.
    fn known(code: &[u8], at: (u8, u64), then: (u8, u64), size: u64) -> bool {
        let (mut known, mut tools) = (Known::default(), Tools::new());
        known.add(Address::at(at.0, at.1), 8);
        for insn in &Block::decode(code, 0x1000, Limits::default()).insns {
            known.behind(insn, &mut tools);
        }
        known.holds(Address::at(then.0, then.1), size)
    }

    #[test]
    fn operands_are_known_until_their_registers_change() {
        const RBX: u8 = 3;
        let mov_eax_1 = [0xb8, 1, 0, 0, 0];
        assert!(known(&mov_eax_1, (RBX, 8), (RBX, 8), 8));
        assert!(known(&mov_eax_1, (RBX, 8), (RBX, 12), 4));
        assert!(!known(&mov_eax_1, (RBX, 8), (RBX, 12), 8) && !known(&mov_eax_1, (RBX, 8), (RBX, 7), 1));
        // add rbx, 8; syscall; mov bl, 1
        for code in [&[0x48, 0x83, 0xc3, 8][..], &[0x0f, 0x05], &[0xb3, 1]] {
            assert!(!known(code, (RBX, 8), (RBX, 8), 8));
        }
    }

    #[test]
    fn sums_of_32_bits_may_wrap() {
        let of = |code: &[u8]| {
            let insn = &Block::decode(code, 0x1000, Limits::default()).insns[0].iced;
            Address::of(insn).expect("an operand")
        };
        // mov rax, [ebx]; mov eax, [ebx + 4]; the same with rbx
        for (code, other, holds) in [
            (&[0x67, 0x48, 0x8b, 0x03][..], &[0x67, 0x8b, 0x43, 4][..], false),
            (&[0x48, 0x8b, 0x03], &[0x8b, 0x43, 4], true),
        ] {
            let mut known = Known::default();
            known.add(of(code), 8);
            assert!(known.holds(of(code), 4) && known.holds(of(other), 4) == holds);
        }
    }

    #[test]
    fn the_stack_moves() {
        const RSP: u8 = reg::RSP;
        const RBX: u8 = 3;
        // push rax; pop rax
        assert!(known(&[0x50], (RSP, 0), (RSP, 8), 8) && known(&[0x58], (RSP, 8), (RSP, 0), 8));
        assert!(!known(&[0x58], (RSP, 0), (RSP, 0), 8) && known(&[0x58], (RBX, 0), (RBX, 0), 8));
        // add rsp, 16; sub rsp, 16: what the stack grows by is undefined
        assert!(known(&[0x48, 0x83, 0xc4, 16], (RSP, 24), (RSP, 8), 8));
        assert!(!known(&[0x48, 0x83, 0xec, 16], (RSP, 24), (RSP, 40), 8));
        // mov rsp, rbx; pop rbx
        assert!(!known(&[0x48, 0x89, 0xdc], (RSP, 8), (RSP, 8), 8));
        assert!(!known(&[0x5b], (RBX, 8), (RBX, 8), 8));
    }
}

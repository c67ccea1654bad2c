//! Which registers a run of instructions needs, and which it overwrites: what a guard has to look at.
//!
//! Always holds: a register that an instruction may read, or of which it keeps a part, counts as read; it counts as
//! written only when none of its old bits can be left. Not here: memory.

use crate::flags::{self, STATUS};
use crate::operand::Tools;
use iced_x86::{Instruction, Mnemonic, OpAccess, OpKind, Register};

/// A set of registers, one bit each: see the constants and functions for the places. What lies above the low 128 bits of a
/// vector register counts as a register of its own: many instructions keep it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Set(pub u128);

impl Set {
    /// Places that there are.
    pub const COUNT: usize = 96;
    /// All general registers: bits 0 to 15, by number.
    pub const GENERAL: Set = Set(0xffff);
    /// The status flags, as one.
    pub const FLAGS: Set = Set(1 << 16);
    /// General registers and flags: what clean code takes for defined.
    pub const CORE: Set = Set(0x1_ffff);
    /// x87 and MMX registers with the x87 condition codes, as one.
    pub const X87: Set = Set(1 << 17);
    /// Mask registers k0 to k7: bits 24 to 31.
    pub const MASKS: Set = Set(0xff << 24);
    /// The low 128 bits of vector registers 0 to 31: bits 32 to 63.
    pub const VECTORS: Set = Set(0xffff_ffff << 32);
    /// What is above them: bits 64 to 95.
    pub const UPPER: Set = Set(0xffff_ffff << 64);
    /// All registers.
    pub const ALL: Set = Set(Self::CORE.0 | Self::RARE.0);
    /// What code must never take for defined without a look: everything but general registers and flags.
    pub const RARE: Set = Set(Self::X87.0 | Self::MASKS.0 | Self::VECTORS.0 | Self::UPPER.0);

    /// The low 128 bits of a vector register.
    pub const fn vector(number: usize) -> Set {
        Set(1 << (32 + number))
    }

    /// What is above the low 128 bits of a vector register.
    pub const fn upper(number: usize) -> Set {
        Set(1 << (64 + number))
    }

    /// A mask register.
    pub const fn mask(number: usize) -> Set {
        Set(1 << (24 + number))
    }

    /// A general register.
    pub const fn general(number: usize) -> Set {
        Set(1 << number)
    }

    /// Their places, rising.
    pub fn places(self) -> impl Iterator<Item = u32> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let place = (left != 0).then(|| left.trailing_zeros());
            left &= left.wrapping_sub(1);
            place
        })
    }

    /// Whether none is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both.
    pub const fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// Those in either.
    pub const fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// Those that are not in the other.
    pub const fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }
}

/// What a run of instructions does with registers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// Read before they are overwritten.
    pub read: Set,
    /// Overwritten in full.
    pub written: Set,
    /// Written in any way.
    pub changed: Set,
}

impl Uses {
    /// All registers that it names.
    pub fn all(self) -> Set {
        self.read.or(self.written)
    }

    /// Adds what the next instruction does.
    pub(crate) fn add(&mut self, insn: &Instruction, tools: &mut Tools) {
        let uses = Uses::of(insn, tools);
        self.read = self.read.or(uses.read.without(self.written));
        self.written = self.written.or(uses.written);
        self.changed = self.changed.or(uses.changed);
    }

    /// What one instruction does.
    pub(crate) fn of(insn: &Instruction, tools: &mut Tools) -> Uses {
        let mut uses = Uses::default();
        let forgets = forgets_its_operand(insn);
        let own = if insn.op_count() > 0 && insn.op_kind(0) == OpKind::Register {
            insn.op_register(0).full_register()
        } else {
            Register::None
        };
        for used in tools.used_registers(insn) {
            let register = used.register();
            // Overwriting less than the whole keeps a part.
            let (set, whole) = if register.is_gpr() {
                (Set::general(register.full_register().number()), register.size() >= 4)
            } else if register.is_xmm() {
                (Set::vector(register.number()), true)
            } else if register.is_vector_register() {
                (Set::vector(register.number()).or(Set::upper(register.number())), true)
            } else if register.is_k() {
                (Set::mask(register.number()), true)
            } else if register.is_mm() || register.is_st() {
                // Never overwritten as one.
                (Set::X87, false)
            } else {
                continue;
            };
            let access =
                if forgets && register.full_register() == own { OpAccess::Write } else { used.access() };
            if !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::None | OpAccess::NoMemAccess)
            {
                uses.changed = uses.changed.or(set);
            }
            match access {
                OpAccess::Write if whole => uses.written = uses.written.or(set),
                OpAccess::None | OpAccess::NoMemAccess => (),
                _ => uses.read = uses.read.or(set),
            }
        }
        // An x87 instruction that names no register still works on the stack of them.
        if insn.works_on_x87() {
            uses.read = uses.read.or(Set::X87);
            uses.changed = uses.changed.or(Set::X87);
        }
        if insn.rflags_modified() & STATUS != 0 {
            uses.changed = uses.changed.or(Set::FLAGS);
        }
        if insn.rflags_read() & STATUS != 0 {
            uses.read = uses.read.or(Set::FLAGS);
        }
        if flags::killed(insn) & STATUS == STATUS {
            uses.written = uses.written.or(Set::FLAGS);
        } else if insn.rflags_modified() & STATUS != 0 {
            // Some are kept: those may be undefined.
            uses.read = uses.read.or(Set::FLAGS);
        }
        uses.written = uses.written.without(uses.read);
        uses
    }
}

trait Fpu {
    fn works_on_x87(&self) -> bool;
}

impl Fpu for Instruction {
    fn works_on_x87(&self) -> bool {
        matches!(
            self.cpuid_features().first(),
            Some(
                iced_x86::CpuidFeature::FPU
                    | iced_x86::CpuidFeature::FPU287
                    | iced_x86::CpuidFeature::FPU387
                    | iced_x86::CpuidFeature::MMX
                    | iced_x86::CpuidFeature::D3NOW
            )
        )
    }
}

/// Whether the result does not depend on the register that is its only input, named twice.
fn forgets_its_operand(insn: &Instruction) -> bool {
    use Mnemonic::*;
    let count = insn.op_count();
    if count < 2 || (0..count).any(|op| insn.op_kind(op) != OpKind::Register) {
        return false;
    }
    let (last, before) = (insn.op_register(count - 1), insn.op_register(count - 2));
    last == before
        && matches!(
            insn.mnemonic(),
            Xor | Sub
                | Pxor
                | Xorps
                | Xorpd
                | Psubb
                | Psubw
                | Psubd
                | Psubq
                | Pcmpeqb
                | Pcmpeqw
                | Pcmpeqd
                | Vpxor
                | Vxorps
                | Vxorpd
                | Vpcmpeqb
                | Vpcmpeqw
                | Vpcmpeqd
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Decoder, DecoderOptions};

    fn uses(bytes: &[u8]) -> Uses {
        let mut tools = Tools::new();
        let mut uses = Uses::default();
        for insn in &mut Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE) {
            assert!(!insn.is_invalid());
            uses.add(&insn, &mut tools);
        }
        uses
    }

    const XMM0: Set = Set::vector(0);
    const YMM0: Set = Set(Set::vector(0).0 | Set::upper(0).0);
    const RAX: Set = Set::general(0);

    #[test]
    fn general_registers() {
        // mov eax, ecx
        let moved = uses(&[0x89, 0xc8]);
        assert_eq!((moved.read, moved.written), (Set::general(1), RAX));
        // mov al, cl keeps the rest of rax.
        assert_eq!(uses(&[0x88, 0xc8]).read, RAX.or(Set::general(1)));
        // xor eax, eax
        let zeroed = uses(&[0x31, 0xc0]);
        assert_eq!((zeroed.read, zeroed.written), (Set::default(), RAX.or(Set::FLAGS)));
        // mov rax, [rdi]; add rax, rax
        let sum = uses(&[0x48, 0x8b, 0x07, 0x48, 0x01, 0xc0]);
        assert_eq!((sum.read, sum.written), (Set::general(7), RAX.or(Set::FLAGS)));
        // inc eax keeps the carry; adc reads it.
        assert_eq!(uses(&[0xff, 0xc0]).read, RAX.or(Set::FLAGS));
        assert_eq!(uses(&[0x11, 0xc8]).read, RAX.or(Set::general(1)).or(Set::FLAGS));
        // cmove eax, ecx
        assert_eq!(uses(&[0x0f, 0x44, 0xc1]).read, RAX.or(Set::general(1)).or(Set::FLAGS));
    }

    #[test]
    fn vector_registers() {
        // movups xmm0, [rdi]: the upper bits are kept.
        let load = uses(&[0x0f, 0x10, 0x07]);
        assert_eq!((load.read, load.written), (Set::general(7), XMM0));
        // vmovups xmm0, [rdi]: they are cleared.
        let load = uses(&[0xc5, 0xf8, 0x10, 0x07]);
        assert_eq!((load.read, load.written), (Set::general(7), YMM0));
        // movss xmm0, [rdi] clears the rest of the 128 bits; movss xmm0, xmm1 keeps it.
        assert_eq!(uses(&[0xf3, 0x0f, 0x10, 0x07]).written, XMM0);
        assert_eq!(uses(&[0xf3, 0x0f, 0x10, 0xc1]).read, XMM0.or(Set::vector(1)));
        // cvtsi2sd xmm0, eax and movlps xmm0, [rdi] keep a half.
        assert_eq!(uses(&[0xf2, 0x0f, 0x2a, 0xc0]).read, XMM0.or(RAX));
        assert_eq!(uses(&[0x0f, 0x12, 0x07]).read, XMM0.or(Set::general(7)));
        // pxor xmm0, xmm0; pcmpeqd xmm0, xmm0; vpxor xmm0, xmm1, xmm1
        assert_eq!(uses(&[0x66, 0x0f, 0xef, 0xc0]), Uses { written: XMM0, changed: XMM0, ..Uses::default() });
        assert_eq!(uses(&[0x66, 0x0f, 0x76, 0xc0]), Uses { written: XMM0, changed: XMM0, ..Uses::default() });
        assert_eq!(uses(&[0xc5, 0xf1, 0xef, 0xc1]).written.and(YMM0), YMM0);
        // pxor xmm0, xmm0; addsd xmm0, xmm1: only xmm1 was there before.
        let sum = uses(&[0x66, 0x0f, 0xef, 0xc0, 0xf2, 0x0f, 0x58, 0xc1]);
        assert_eq!((sum.read, sum.written), (Set::vector(1), XMM0));
        // pxor xmm0, xmm0; vaddps ymm0, ymm0, ymm0 reads what the first has kept.
        assert_eq!(uses(&[0x66, 0x0f, 0xef, 0xc0, 0xc5, 0xfc, 0x58, 0xc0]).read, Set::upper(0));
    }

    #[test]
    fn what_is_zeroed_above_keeps_the_rest() {
        // vzeroupper
        let zeroed = uses(&[0xc5, 0xf8, 0x77]);
        assert_eq!(zeroed.written.and(Set::VECTORS), Set::default(), "{zeroed:x?}");
    }

    #[test]
    fn x87_is_one() {
        // fld st(1); fld1; emms; movd mm0, eax
        for bytes in [&[0xd9, 0xc1][..], &[0xd9, 0xe8], &[0x0f, 0x77], &[0x0f, 0x6e, 0xc0]] {
            assert_eq!(uses(bytes).read.and(Set::X87), Set::X87, "{bytes:x?}");
        }
    }
}

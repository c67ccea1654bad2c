//! Explicit operands that VEX does not access with their own size, or not at once.
//!
//! Found by `tests/references`, which holds each form against Valgrind 3.19.

use iced_x86::{Code, CpuidFeature, Instruction, Mnemonic};

/// How an operand is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pieces {
    /// Bytes of each.
    pub(super) size: usize,
    /// From one to the next.
    pub(super) step: usize,
    pub(super) count: usize,
}

/// The pieces of an operand of `size` bytes.
pub(super) fn pieces(insn: &Instruction, size: usize) -> Pieces {
    use Code::*;
    let one = |size| Pieces { size, step: size, count: 1 };
    let of = |piece: usize| Pieces { size: piece, step: piece, count: size / piece.max(1) };
    match insn.code() {
        // Every other element.
        VEX_Vmovddup_ymm_ymmm256 => Pieces { size: 8, step: 16, count: 2 },
        VEX_Vperm2f128_ymm_ymm_ymmm256_imm8 | VEX_Vperm2i128_ymm_ymm_ymmm256_imm8 => of(16),
        Cvtps2pi_mm_xmmm64
        | Cvttps2pi_mm_xmmm64
        | Cvtps2pd_xmm_xmmm64
        | VEX_Vcvtps2pd_xmm_xmmm64
        | VEX_Vcvtps2pd_ymm_xmmm128
        | Roundps_xmm_xmmm128_imm8 => of(4),
        Cvtpd2pi_mm_xmmm128 | Cvttpd2pi_mm_xmmm128 | Roundpd_xmm_xmmm128_imm8 => of(8),
        // The count is in the low half.
        Psrlw_xmm_xmmm128 | Psrld_xmm_xmmm128 | Psrlq_xmm_xmmm128 | Psraw_xmm_xmmm128 | Psrad_xmm_xmmm128
        | Psllw_xmm_xmmm128 | Pslld_xmm_xmmm128 | Psllq_xmm_xmmm128 => one(8),
        _ if is_vex_shift(insn) => one(8),
        // More than the processor reads.
        Punpcklbw_mm_mmm32 | Punpcklwd_mm_mmm32 | Punpckldq_mm_mmm32 => one(8),
        // As in 32-bit code.
        Sgdt_m1664 | Sidt_m1664 => one(6),
        // Fused multiplications, element by element.
        _ if insn.cpuid_features().contains(&CpuidFeature::FMA) => of(insn.memory_size().element_size()),
        _ => one(size),
    }
}

fn is_vex_shift(insn: &Instruction) -> bool {
    use Mnemonic::*;
    let shifts =
        matches!(insn.mnemonic(), Vpsrlw | Vpsrld | Vpsrlq | Vpsraw | Vpsrad | Vpsllw | Vpslld | Vpsllq);
    shifts
        && insn
            .cpuid_features()
            .iter()
            .all(|feature| matches!(feature, CpuidFeature::AVX | CpuidFeature::AVX2))
}

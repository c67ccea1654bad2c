//! The instructions that random programs are made of: every iced code that this processor runs, that does not
//! change the flow of control, and whose result depends only on registers and memory.

use iced_x86::{Code, CpuidFeature, EncodingKind, FlowControl, Mnemonic, OpCodeOperandKind};
use std::arch::is_x86_feature_detected as has;

pub struct Pool {
    pub integer: Vec<Code>,
    pub x87: Vec<Code>,
    pub legacy_vector: Vec<Code>,
    pub vex: Vec<Code>,
    pub evex: Vec<Code>,
}

fn available(feature: CpuidFeature) -> bool {
    use CpuidFeature::*;
    match feature {
        INTEL8086 | INTEL186 | INTEL286 | INTEL386 | INTEL486 | X64 | CMOV | CX8 | FPU | FPU287 | FPU387
        | MMX | SSE | SSE2 | MULTIBYTENOP | PREFETCHW | CET_IBT => true,
        SSE3 => has!("sse3"),
        SSSE3 => has!("ssse3"),
        SSE4_1 => has!("sse4.1"),
        SSE4_2 => has!("sse4.2"),
        POPCNT => has!("popcnt"),
        LZCNT => has!("lzcnt"),
        BMI1 => has!("bmi1"),
        BMI2 => has!("bmi2"),
        ADX => has!("adx"),
        MOVBE => has!("movbe"),
        CMPXCHG16B => has!("cmpxchg16b"),
        FSGSBASE => super::has_fsgsbase(),
        AES => has!("aes"),
        PCLMULQDQ => has!("pclmulqdq"),
        SHA => has!("sha"),
        GFNI => has!("gfni"),
        VAES => has!("vaes"),
        VPCLMULQDQ => has!("vpclmulqdq"),
        AVX => has!("avx"),
        AVX2 => has!("avx2"),
        FMA => has!("fma"),
        F16C => has!("f16c"),
        AVX512F => has!("avx512f"),
        AVX512BW => has!("avx512bw"),
        AVX512CD => has!("avx512cd"),
        AVX512DQ => has!("avx512dq"),
        AVX512VL => has!("avx512vl"),
        AVX512_IFMA => has!("avx512ifma"),
        AVX512_VBMI => has!("avx512vbmi"),
        AVX512_VBMI2 => has!("avx512vbmi2"),
        AVX512_VNNI => has!("avx512vnni"),
        AVX512_BITALG => has!("avx512bitalg"),
        AVX512_VPOPCNTDQ => has!("avx512vpopcntdq"),
        _ => false,
    }
}

/// Result depends on more than the program, needs privileges, can switch traps on, or is a template of its own.
fn excluded(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Cli | Sti | Hlt | Clts | Lgdt | Lidt | Sgdt | Sidt | Sldt | Str | Smsw | Lmsw | Lar | Lsl | Verr | Verw
            | Arpl | Ltr | Lldt | Lss | Lfs | Lgs | Int3 | Int1 | Ud0 | Ud1 | Ud2
            | Fldenv | Fnstenv | Fstenv | Fldcw | Frstor | Fnsave | Fsave | Ldmxcsr | Vldmxcsr
            | Div | Idiv | Wrfsbase | Wrgsbase | Xlatb | Popf | Popfq | Pushf | Pushfq | Enter | Leave | Invd | Wbinvd
            // Their result for an undefined input differs between two executions on some processors.
            | Rdpmc | Rdtsc | Std
    )
}

fn operand(kind: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind::*;
    matches!(
        kind,
        mem_offs
            | mem
            | r8_or_mem
            | r16_or_mem
            | r32_or_mem
            | r64_or_mem
            | mm_or_mem
            | xmm_or_mem
            | ymm_or_mem
            | zmm_or_mem
            | k_or_mem
            | r8_reg
            | r8_opcode
            | r16_reg
            | r16_rm
            | r16_opcode
            | r32_reg
            | r32_rm
            | r32_opcode
            | r32_vvvv
            | r64_reg
            | r64_rm
            | r64_opcode
            | r64_vvvv
            | k_reg
            | kp1_reg
            | k_rm
            | k_vvvv
            | mm_reg
            | mm_rm
            | xmm_reg
            | xmm_rm
            | xmm_vvvv
            | xmm_is4
            | ymm_reg
            | ymm_rm
            | ymm_vvvv
            | ymm_is4
            | zmm_reg
            | zmm_rm
            | zmm_vvvv
            | al
            | cl
            | ax
            | dx
            | eax
            | rax
            | st0
            | sti_opcode
            | imm8
            | imm8_const_1
            | imm8sex16
            | imm8sex32
            | imm8sex64
            | imm16
            | imm32
            | imm32sex64
            | imm64
    )
}

impl Pool {
    pub fn new() -> Pool {
        let mut pool =
            Pool { integer: vec![], x87: vec![], legacy_vector: vec![], vex: vec![], evex: vec![] };
        for code in Code::values() {
            let op = code.op_code();
            let usable = op.is_instruction()
                && op.mode64()
                && op.intel_decoder64()
                && !op.fwait()
                && !op.is_privileged()
                && !op.is_input_output()
                && !op.is_save_restore()
                && !op.is_stack_instruction()
                && !op.is_reserved_nop()
                && !op.requires_unique_reg_nums()
                && !op.requires_unique_dest_reg_num()
                && !op.require_op_mask_register()
                && code.flow_control() == FlowControl::Next
                && code.cpuid_features().iter().all(|feature| available(*feature))
                && op.op_kinds().iter().all(|kind| operand(*kind))
                && !excluded(code.mnemonic());
            if !usable {
                continue;
            }
            let vector = code.cpuid_features().iter().any(|feature| {
                use CpuidFeature::*;
                matches!(
                    feature,
                    MMX | SSE | SSE2 | SSE3 | SSSE3 | SSE4_1 | SSE4_2 | AES | PCLMULQDQ | SHA | GFNI
                )
            });
            let x87 = code.cpuid_features().iter().any(|feature| {
                matches!(feature, CpuidFeature::FPU | CpuidFeature::FPU287 | CpuidFeature::FPU387)
            });
            match code.encoding() {
                EncodingKind::Legacy if x87 => pool.x87.push(code),
                EncodingKind::Legacy if vector => pool.legacy_vector.push(code),
                EncodingKind::Legacy => pool.integer.push(code),
                EncodingKind::VEX => pool.vex.push(code),
                EncodingKind::EVEX => pool.evex.push(code),
                _ => (),
            }
        }
        pool
    }
}

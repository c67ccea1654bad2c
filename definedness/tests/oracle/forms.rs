//! Instruction forms: every iced code that this processor runs and that does not leave the thunk, with operands chosen
//! at random. Memory operands are based on rbx.

use crate::rng::Rng;
use iced_x86::{
    Code, CpuidFeature, EncodingKind, FlowControl, Instruction, Mnemonic, OpCodeOperandKind, OpKind, Register,
};
use std::arch::is_x86_feature_detected as has;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    X87,
    Legacy,
    Vex,
    Evex,
}

/// Whether the processor has a feature; none for those that the oracle does not cover on any.
fn available(feature: CpuidFeature) -> Option<bool> {
    use CpuidFeature::*;
    Some(match feature {
        INTEL8086 | INTEL186 | INTEL286 | INTEL386 | INTEL486 | X64 | CMOV | CX8 | FPU | FPU287 | FPU387
        | MMX | SSE | SSE2 | MULTIBYTENOP | PREFETCHW | CET_IBT | FXSR => true,
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
        AVX512F => has!("avx512f") && has!("avx512bw"),
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
        AVX_VNNI => has!("avxvnni"),
        SSE4A => has!("sse4a"),
        AVX512_BF16 => has!("avx512bf16"),
        AVX512_VP2INTERSECT => has!("avx512vp2intersect"),
        _ => return Option::None,
    })
}

/// Needs privileges, changes control state, or has a result that is not the program's.
fn excluded(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Cli | Sti | Hlt | Clts | Lgdt | Lidt | Sgdt | Sidt | Sldt | Str | Smsw | Lmsw | Lar | Lsl | Verr | Verw
            | Arpl | Ltr | Lldt | Lss | Lfs | Lgs | Int3 | Int1 | Ud0 | Ud1 | Ud2 | Rdpmc | Rdtsc | Cpuid
            | Fldenv | Fldcw | Frstor | Ldmxcsr | Vldmxcsr | Invd | Wbinvd | Popf | Popfq | Fnstenv | Fstenv
            | Fnsave | Fsave | Fxrstor | Fxrstor64 | Fxsave | Fxsave64 | Loadall | Umov | Fnclex | Syscall
            // The exceptions and the instruction pointer of x87 are no V bits.
            | Fnstsw | Fstsw | Fnstcw | Fstcw | Stmxcsr | Vstmxcsr | Fninit | Finit | Montmul | Popa | Pusha
    )
}

pub(crate) struct Pool {
    pub(crate) forms: Vec<(Kind, Code)>,
    /// Features that the oracle covers and this processor lacks, and how many forms need them.
    pub(crate) missing: std::collections::BTreeMap<String, usize>,
}

fn kind(code: Code) -> Option<Kind> {
    use CpuidFeature::*;
    let features = code.cpuid_features();
    let any = |list: &[CpuidFeature]| features.iter().any(|f| list.contains(f));
    Some(match code.encoding() {
        EncodingKind::Legacy if any(&[FPU, FPU287, FPU387, MMX]) || has_mm(code) => Kind::X87,
        EncodingKind::Legacy
            if any(&[SSE, SSE2, SSE3, SSSE3, SSE4_1, SSE4_2, AES, PCLMULQDQ, SHA, GFNI])
                && code.mnemonic() != Mnemonic::Crc32 =>
        {
            Kind::Legacy
        }
        EncodingKind::Legacy => Kind::Integer,
        EncodingKind::VEX => Kind::Vex,
        EncodingKind::EVEX => Kind::Evex,
        _ => return Option::None,
    })
}

fn has_mm(code: Code) -> bool {
    use OpCodeOperandKind::*;
    code.op_code().op_kinds().iter().any(|kind| matches!(kind, mm_reg | mm_rm | mm_or_mem))
}

impl Pool {
    pub(crate) fn new() -> Pool {
        let mut pool = Pool { forms: vec![], missing: Default::default() };
        let mut rng = Rng::new(1);
        for code in Code::values() {
            let op = code.op_code();
            let Some(kind) = kind(code) else { continue };
            let usable = op.is_instruction()
                && op.mode64()
                && op.intel_decoder64()
                && !op.fwait()
                && !op.is_privileged()
                && !op.is_input_output()
                && !op.is_reserved_nop()
                && code.flow_control() == FlowControl::Next
                && !excluded(code.mnemonic())
                && code.cpuid_features().iter().all(|feature| available(*feature).is_some())
                && Form::new(code, &mut rng).is_some();
            if !usable {
                continue;
            }
            match code.cpuid_features().iter().find(|feature| available(**feature) == Some(false)) {
                Some(feature) => *pool.missing.entry(format!("{feature:?}")).or_default() += 1,
                None => pool.forms.push((kind, code)),
            }
        }
        pool
    }
}

/// An instruction with random operands.
pub(crate) struct Form {
    pub(crate) insn: Instruction,
    /// The index register of a gather or scatter: its lanes have to be small.
    pub(crate) index: Option<Register>,
}

/// General registers that operands may be: not the base of memory, not the stack pointer.
const GENERAL: [u32; 14] = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

impl Form {
    pub(crate) fn new(code: Code, rng: &mut Rng) -> Option<Form> {
        Form::among(32, code, rng)
    }

    /// With the first `span` registers of each kind only, so that instructions use each other's results.
    pub(crate) fn among(span: u32, code: Code, rng: &mut Rng) -> Option<Form> {
        use OpCodeOperandKind::*;
        let op = code.op_code();
        let mut insn = Instruction::default();
        insn.set_code(code);
        let evex = code.encoding() == EncodingKind::EVEX;
        // Sometimes operands are the same register, which has rules of its own.
        let unique = op.requires_unique_reg_nums() || op.requires_unique_dest_reg_num();
        let alike = !unique && rng.one_in(4);
        let common = rng.below(if evex { 32 } else { 16 }) as u32;
        let mut next = rng.below(8) as u32;
        let mut number = |rng: &mut Rng, limit: u32| {
            if unique {
                next += 1;
                return next % limit;
            }
            let limit = limit.min(span);
            if alike { common % limit } else { rng.below(u64::from(limit)) as u32 }
        };
        let mut index = Option::None;
        let memory_too = rng.one_in(2);
        for (i, kind) in op.op_kinds().iter().enumerate() {
            let i = i as u32;
            let general = |n: u32| GENERAL[n as usize % 14];
            let vectors = if evex { 32 } else { 16 };
            let memory = |insn: &mut Instruction| {
                insn.set_op_kind(i, OpKind::Memory);
                insn.set_memory_base(Register::RBX);
                insn.set_memory_displ_size(0);
            };
            let register = match kind {
                mem | mem_mpx | mem_mib => {
                    memory(&mut insn);
                    continue;
                }
                r8_or_mem | r16_or_mem | r32_or_mem | r64_or_mem | mm_or_mem | xmm_or_mem | ymm_or_mem
                | zmm_or_mem | k_or_mem
                    if memory_too =>
                {
                    memory(&mut insn);
                    continue;
                }
                mem_vsib32x | mem_vsib64x | mem_vsib32y | mem_vsib64y | mem_vsib32z | mem_vsib64z => {
                    memory(&mut insn);
                    let base = match kind {
                        mem_vsib32x | mem_vsib64x => Register::XMM0,
                        mem_vsib32y | mem_vsib64y => Register::YMM0,
                        _ => Register::ZMM0,
                    };
                    let register = base + number(rng, vectors);
                    insn.set_memory_index(register);
                    insn.set_memory_index_scale(1 << rng.below(3));
                    index = Some(register);
                    continue;
                }
                seg_rSI => {
                    insn.set_op_kind(i, OpKind::MemorySegRSI);
                    continue;
                }
                es_rDI => {
                    insn.set_op_kind(i, OpKind::MemoryESRDI);
                    continue;
                }
                seg_rDI => {
                    insn.set_op_kind(i, OpKind::MemorySegRDI);
                    continue;
                }
                seg_rBX_al => {
                    insn.set_op_kind(i, OpKind::Memory);
                    insn.set_memory_base(Register::RBX);
                    insn.set_memory_index(Register::AL);
                    continue;
                }
                r8_or_mem | r8_reg | r8_opcode => {
                    if rng.one_in(3) {
                        Register::AH + rng.below(3) as u32
                    } else {
                        match general(number(rng, 14)) {
                            n @ 0..=3 => Register::AL + n,
                            n => Register::SPL + (n - 4),
                        }
                    }
                }
                r16_or_mem | r16_reg | r16_rm | r16_opcode => Register::AX + general(number(rng, 14)),
                r32_or_mem | r32_reg | r32_rm | r32_opcode | r32_vvvv => {
                    Register::EAX + general(number(rng, 14))
                }
                r64_or_mem | r64_reg | r64_rm | r64_opcode | r64_vvvv => {
                    Register::RAX + general(number(rng, 14))
                }
                k_reg | k_rm | k_vvvv | k_or_mem => Register::K0 + number(rng, 8),
                kp1_reg => Register::K0 + number(rng, 8) / 2 * 2,
                mm_reg | mm_rm | mm_or_mem => Register::MM0 + number(rng, 8),
                xmm_reg | xmm_rm | xmm_vvvv | xmm_is4 | xmm_is5 | xmm_or_mem => {
                    Register::XMM0 + number(rng, vectors)
                }
                ymm_reg | ymm_rm | ymm_vvvv | ymm_is4 | ymm_is5 | ymm_or_mem => {
                    Register::YMM0 + number(rng, vectors)
                }
                zmm_reg | zmm_rm | zmm_vvvv | zmm_or_mem => Register::ZMM0 + number(rng, vectors),
                al => Register::AL,
                cl => Register::CL,
                ax => Register::AX,
                dx => Register::DX,
                eax => Register::EAX,
                rax => Register::RAX,
                st0 => Register::ST0,
                sti_opcode => Register::ST0 + rng.below(4) as u32,
                imm8_const_1 => {
                    insn.set_op_kind(i, OpKind::Immediate8);
                    insn.set_immediate8(1);
                    continue;
                }
                imm8 => {
                    let second =
                        (0..i).any(|op| matches!(insn.op_kind(op), OpKind::Immediate8 | OpKind::Immediate16));
                    if second {
                        insn.set_op_kind(i, OpKind::Immediate8_2nd);
                        insn.set_immediate8_2nd(rng.next() as u8);
                    } else {
                        insn.set_op_kind(i, OpKind::Immediate8);
                        insn.set_immediate8(if rng.one_in(3) {
                            rng.below(8) as u8
                        } else {
                            rng.next() as u8
                        });
                    }
                    continue;
                }
                imm8sex16 | imm8sex32 | imm8sex64 => {
                    let kind = match kind {
                        imm8sex16 => OpKind::Immediate8to16,
                        imm8sex32 => OpKind::Immediate8to32,
                        _ => OpKind::Immediate8to64,
                    };
                    insn.set_op_kind(i, kind);
                    let value =
                        if rng.one_in(3) { rng.below(3) as i64 - 1 } else { i64::from(rng.next() as i8) };
                    match kind {
                        OpKind::Immediate8to16 => insn.set_immediate8to16(value as i16),
                        OpKind::Immediate8to32 => insn.set_immediate8to32(value as i32),
                        _ => insn.set_immediate8to64(value),
                    }
                    continue;
                }
                imm16 => {
                    insn.set_op_kind(i, OpKind::Immediate16);
                    insn.set_immediate16(rng.value() as u16);
                    continue;
                }
                imm32 => {
                    insn.set_op_kind(i, OpKind::Immediate32);
                    insn.set_immediate32(rng.value() as u32);
                    continue;
                }
                imm32sex64 => {
                    insn.set_op_kind(i, OpKind::Immediate32to64);
                    insn.set_immediate32to64(i64::from(rng.value() as i32));
                    continue;
                }
                imm64 => {
                    insn.set_op_kind(i, OpKind::Immediate64);
                    insn.set_immediate64(rng.value());
                    continue;
                }
                _ => return Option::None,
            };
            insn.set_op_kind(i, OpKind::Register);
            insn.set_op_register(i, register);
        }
        if insn.mnemonic() == Mnemonic::Lea {
            // Nothing is accessed, so its address can be made of anything.
            let first = if rng.one_in(3) { Register::EAX } else { Register::RAX };
            let mut register = |rng: &mut Rng| first + GENERAL[number(rng, 14) as usize % 14];
            insn.set_memory_base(register(rng));
            if rng.one_in(2) {
                insn.set_memory_index(register(rng));
                insn.set_memory_index_scale(1 << rng.below(4));
            }
            if rng.one_in(2) {
                insn.set_memory_displ_size(4);
                insn.set_memory_displacement64(rng.next() as i32 as u64);
            }
        }
        if op.can_use_op_mask_register() && (op.require_op_mask_register() || rng.one_in(2)) {
            insn.set_op_mask(Register::K1 + rng.below(7) as u32);
            if op.can_use_zeroing_masking() && insn.op0_kind() == OpKind::Register && rng.one_in(2) {
                insn.set_zeroing_masking(true);
            }
        }
        let memory = (0..insn.op_count()).any(|i| insn.op_kind(i) == OpKind::Memory);
        if memory && op.can_broadcast() && rng.one_in(3) {
            insn.set_is_broadcast(true);
        }
        if insn.is_string_instruction() {
            match rng.below(3) {
                0 if op.can_use_rep_prefix() => insn.set_has_rep_prefix(true),
                1 if op.can_use_repne_prefix() => insn.set_has_repne_prefix(true),
                _ => (),
            }
        }
        Some(Form { insn, index })
    }
}

//! A program with every instruction form that has a memory operand, each once, in a slot of its own.
//!
//! The operand is at rbx + 64, on a line of its own; registers are set anew in front of each slot. What the processor, or
//! Valgrind, cannot execute raises a signal, whose handler writes the next slot's address to standard output and goes on
//! there: so a first run tells which forms to leave out.

use iced_x86::{Code, Encoder, FlowControl, Instruction, Mnemonic, OpCodeOperandKind, OpKind, Register};
use std::path::Path;

const CODE: u64 = 0x40_0000;
const HEADERS: usize = 64 + 2 * 56;
const DATA: u64 = 0x1000_0000;
const DATA_SIZE: usize = 0x10000;
/// Of the sigaction structure.
const ACTION: u64 = DATA + 0x100;
/// Of a word that masks all exceptions of SSE.
const MXCSR: u64 = DATA + 0x140;
pub(crate) const SLOT: u64 = 64;
/// Where the first slot is.
pub(crate) const SLOTS: u64 = CODE + 0x1000;

/// All forms that code of users may execute, but for branches and vectors of addresses.
pub(crate) fn all() -> Vec<Instruction> {
    let mut forms = Vec::new();
    for code in Code::values() {
        let op = code.op_code();
        let usable = op.is_instruction()
            && op.mode64()
            && !op.fwait()
            && !op.is_privileged()
            && !op.is_input_output()
            && !op.is_reserved_nop()
            && code.flow_control() == FlowControl::Next
            && op.op_kinds().iter().any(|kind| is_memory(*kind))
            && !excluded(code);
        let Some(insn) = usable.then(|| form(code)).flatten() else { continue };
        forms.push(insn);
        if op.can_use_lock_prefix() {
            let mut locked = insn;
            locked.set_has_lock_prefix(true);
            forms.push(locked);
        }
    }
    forms
}

/// Waits for the kernel, or for a monitored line; changes segment bases or permissions; loads state of which the operand has
/// nothing valid. The short form of `fnsave` overwrites Valgrind's own state.
fn excluded(code: Code) -> bool {
    use Mnemonic::*;
    let short = [Code::Fnsave_m94byte, Code::Frstor_m94byte, Code::Fnstenv_m14byte, Code::Fldenv_m14byte];
    short.contains(&code)
        || matches!(
            code.mnemonic(),
            Lss | Lfs
                | Lgs
                | Lldt
                | Ltr
                | Lmsw
                | Xrstor
                | Xrstor64
                | Xrstors
                | Xrstors64
                | Ud0
                | Ud1
                | Tpause
                | Umwait
        )
}

fn is_memory(kind: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind::*;
    matches!(
        kind,
        mem | r8_or_mem
            | r16_or_mem
            | r32_or_mem
            | r64_or_mem
            | mm_or_mem
            | xmm_or_mem
            | ymm_or_mem
            | zmm_or_mem
            | k_or_mem
            | seg_rSI
            | es_rDI
            | seg_rDI
    )
}

fn form(code: Code) -> Option<Instruction> {
    use OpCodeOperandKind::*;
    let mut insn = Instruction::default();
    insn.set_code(code);
    for (at, kind) in code.op_code().op_kinds().iter().enumerate() {
        let at = at as u32;
        let register = match kind {
            seg_rSI => Err(OpKind::MemorySegRSI),
            es_rDI => Err(OpKind::MemoryESRDI),
            seg_rDI => Err(OpKind::MemorySegRDI),
            kind if is_memory(*kind) => {
                insn.set_memory_base(Register::RBX);
                insn.set_memory_displacement64(64);
                insn.set_memory_displ_size(1);
                Err(OpKind::Memory)
            }
            r8_reg => Ok(Register::R8L),
            r16_reg | r16_reg_mem => Ok(Register::R8W),
            r32_reg | r32_reg_mem | r32_vvvv => Ok(Register::R8D + at),
            r64_reg | r64_reg_mem | r64_vvvv => Ok(Register::R8 + at),
            k_reg | kp1_reg | k_vvvv => Ok(Register::K2 + at),
            mm_reg => Ok(Register::MM1),
            xmm_reg | xmm_vvvv | xmm_is4 | xmm_is5 => Ok(Register::XMM1 + at),
            ymm_reg | ymm_vvvv | ymm_is4 | ymm_is5 => Ok(Register::YMM1 + at),
            zmm_reg | zmm_vvvv => Ok(Register::ZMM1 + at),
            al => Ok(Register::AL),
            cl => Ok(Register::CL),
            ax => Ok(Register::AX),
            eax => Ok(Register::EAX),
            rax => Ok(Register::RAX),
            st0 => Ok(Register::ST0),
            imm8 | imm8_const_1 | imm4_m2z => Err(OpKind::Immediate8),
            imm8sex16 => Err(OpKind::Immediate8to16),
            imm8sex32 => Err(OpKind::Immediate8to32),
            imm8sex64 => Err(OpKind::Immediate8to64),
            imm16 => Err(OpKind::Immediate16),
            imm32 => Err(OpKind::Immediate32),
            imm32sex64 => Err(OpKind::Immediate32to64),
            _ => return Option::None,
        };
        match register {
            Ok(register) => {
                insn.set_op_kind(at, OpKind::Register);
                insn.set_op_register(at, register);
            }
            Err(kind) => {
                insn.set_op_kind(at, kind);
                if !matches!(
                    kind,
                    OpKind::Memory | OpKind::MemorySegRSI | OpKind::MemoryESRDI | OpKind::MemorySegRDI
                ) {
                    insn.set_immediate_u64(at, 1);
                }
            }
        }
    }
    Some(insn)
}

/// Where form number `index` begins; its instruction is the second one there.
pub(crate) fn slot(index: usize) -> u64 {
    SLOTS + index as u64 * SLOT
}

/// Which form an instruction belongs to.
pub(crate) fn index(pc: u64, count: usize) -> Option<usize> {
    let index = (pc.checked_sub(SLOTS)? / SLOT) as usize;
    (index < count).then_some(index)
}

/// Writes the program. Forms that cannot be encoded make their slot one of an `ud2`.
pub(crate) fn write(forms: &[Instruction], path: &Path) {
    let end = slot(forms.len() + 1);
    let mut code = vec![0xcc; (end - CODE) as usize];
    let mut at = CODE + 0x800;
    let mut put = |bytes: &[u8]| {
        code[(at - CODE) as usize..][..bytes.len()].copy_from_slice(bytes);
        at += bytes.len() as u64;
        at - bytes.len() as u64
    };
    // mov r32, immediate
    let mov = |register: u8, value: u64| {
        let mut bytes = if register < 8 { vec![0xb8 + register] } else { vec![0x41, 0xb0 + register] };
        bytes.extend((value as u32).to_le_bytes());
        bytes
    };
    let (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r15) =
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15);
    // fninit; cld; ldmxcsr [MXCSR]; registers; jmp r15
    let reset = put(&[0xdb, 0xe3, 0xfc, 0x0f, 0xae, 0x14, 0x25]);
    put(&(MXCSR as u32).to_le_bytes());
    let values = [
        (rax, 7),
        (rcx, 3),
        (rdx, 0),
        (rbx, DATA + 0x1000),
        (rsp, DATA + 0x8000),
        (rbp, DATA + 0x9000),
        (rsi, DATA + 0x2000),
        (rdi, DATA + 0x3000),
        (r8, 77),
        (r9, 5),
        (r10, 1),
        (r11, 1),
    ];
    for (register, value) in values {
        put(&mov(register, value));
    }
    put(&[0x41, 0xff, 0xe7]);
    // mov rax, [rdx + 168] (rip); or rax, 63; inc rax; mov [rdx + 96], rax (r15); mov qword [rdx + 168], reset
    let handler = put(&[0x48, 0x8b, 0x82, 0xa8, 0, 0, 0, 0x48, 0x83, 0xc8, 63, 0x48, 0xff, 0xc0]);
    put(&[0x48, 0x89, 0x42, 96, 0x48, 0xc7, 0x82, 0xa8, 0, 0, 0]);
    put(&(reset as u32).to_le_bytes());
    // write(1, rdx + 96, 8); ret
    put(&[0x48, 0x8d, 0x72, 96]);
    put(&[mov(rax, 1), mov(rdi, 1), mov(rdx, 8), vec![0x0f, 0x05, 0xc3]].concat());
    // rt_sigreturn
    let restorer = put(&[mov(rax, 15), vec![0x0f, 0x05]].concat());
    let mut start = None;
    for signal in [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV] {
        let action = [mov(rax, 13), mov(rdi, signal as u64), mov(rsi, ACTION), mov(rdx, 0), mov(r10, 8)];
        let place = put(&[action.concat(), vec![0x0f, 0x05]].concat());
        start.get_or_insert(place);
    }
    // mov r15, first slot; jmp reset
    let jump =
        |from: u64, to: u64| [vec![0xe9], (to.wrapping_sub(from + 5) as u32).to_le_bytes().to_vec()].concat();
    let place = put(&mov(r15, SLOTS));
    put(&jump(place + 6, reset));
    for (index, insn) in forms.iter().enumerate() {
        let mut bytes = mov(r15, slot(index + 1));
        let mut encoder = Encoder::new(64);
        match encoder.encode(insn, slot(index) + bytes.len() as u64) {
            Ok(_) => bytes.extend(encoder.take_buffer()),
            Err(_) => bytes.extend([0x0f, 0x0b]),
        }
        let jump = jump(slot(index) + bytes.len() as u64, reset);
        bytes.extend(jump);
        code[(slot(index) - CODE) as usize..][..bytes.len()].copy_from_slice(&bytes);
    }
    // exit(0), where the last form leads.
    let exit = [mov(rax, 60), mov(rdi, 0), vec![0x0f, 0x05]].concat();
    code[(slot(forms.len()) - CODE) as usize..][..exit.len()].copy_from_slice(&exit);
    let mut data = vec![0; DATA_SIZE];
    // SA_SIGINFO, SA_RESTORER, SA_NODEFER
    for (at, value) in [handler, 0x4400_0004, restorer, 0].into_iter().enumerate() {
        data[(ACTION - DATA) as usize + 8 * at..][..8].copy_from_slice(&u64::to_le_bytes(value));
    }
    data[(MXCSR - DATA) as usize..][..4].copy_from_slice(&0x1f80u32.to_le_bytes());
    std::fs::write(path, elf(code, &data, start.unwrap_or(reset))).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, executable).unwrap();
}

/// An executable of two segments, of which the headers are the beginning of the first one.
fn elf(mut code: Vec<u8>, data: &[u8], start: u64) -> Vec<u8> {
    let offset = code.len().next_multiple_of(0x1000);
    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    head.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [start, 64, 0] {
        head.extend(word.to_le_bytes());
    }
    for half in [0u16, 0, 64, 56, 2, 64, 0, 0] {
        head.extend(half.to_le_bytes());
    }
    for (flags, from, address, size) in [(5u64, 0, CODE, code.len()), (6, offset, DATA, data.len())] {
        for word in [1 | flags << 32, from as u64, address, address, size as u64, size as u64, 0x1000] {
            head.extend(word.to_le_bytes());
        }
    }
    assert_eq!(head.len(), HEADERS);
    code[..HEADERS].copy_from_slice(&head);
    code.resize(offset, 0);
    code.extend(data);
    code
}

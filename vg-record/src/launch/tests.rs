//! The embedded image: what the engine's code may use. Every byte of its executable segments is disassembled.

use super::IMAGE;
use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory, Register};

/// Address and bytes of what the kernel maps executable.
fn executable(elf: &[u8]) -> Vec<(u64, &[u8])> {
    use object::read::elf::{ElfFile64, ProgramHeader};
    let file = ElfFile64::<object::Endianness>::parse(elf).expect("an ELF file");
    let endian = file.endian();
    let segments = file.elf_program_headers().iter();
    segments
        .filter(|header| header.p_type(endian) == object::elf::PT_LOAD)
        .filter(|header| header.p_flags(endian).0 & object::elf::PF_X.0 != 0)
        .map(|header| (header.p_vaddr(endian), header.data(endian, elf).expect("inside of the file")))
        .collect()
}

/// A register whose state no switch between guest and engine saves.
fn is_foreign(register: Register) -> bool {
    let high_xmm = register.is_xmm() && register > Register::XMM15;
    high_xmm
        || register.is_ymm()
        || register.is_zmm()
        || register.is_k()
        || register.is_tmm()
        || register.is_mm()
        || register.is_st()
        || register.is_bnd()
}

/// Instructions, those that use an xmm register, and the addresses of those that use a foreign one.
fn uses(address: u64, code: &[u8]) -> (usize, usize, Vec<u64>) {
    let mut info = InstructionInfoFactory::new();
    let (mut count, mut xmm, mut foreign) = (0, 0, Vec::new());
    for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE).iter() {
        count += 1;
        let used = info.info(&instruction).used_registers();
        xmm += usize::from(used.iter().any(|used| used.register().is_xmm()));
        // The stack of the x87 is not among the used registers of instructions that push.
        if instruction.fpu_stack_increment_info().increment() != 0
            || used.iter().any(|used| is_foreign(used.register()))
        {
            foreign.push(instruction.ip());
        }
    }
    (count, xmm, foreign)
}

#[test]
fn the_engine_uses_no_vector_register_beyond_xmm15() {
    let segments = executable(IMAGE);
    let (mut count, mut xmm) = (0, 0);
    for (address, code) in segments {
        let (instructions, with_xmm, foreign) = uses(address, code);
        let shown: Vec<String> = foreign.iter().take(10).map(|at| format!("{at:#x}")).collect();
        assert!(foreign.is_empty(), "{} instructions, at {}", foreign.len(), shown.join(" "));
        count += instructions;
        xmm += with_xmm;
    }
    assert!(count > 50_000 && xmm > 100, "only {count} instructions were found, {xmm} with xmm registers");
}

#[test]
fn foreign_registers_are_seen() {
    let all: [(&[u8], usize); 6] = [
        (&[0xc5, 0xfc, 0x58, 0xc1], 1),             // vaddps ymm0, ymm0, ymm1
        (&[0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1], 1), // vaddps zmm0, zmm0, zmm1
        (&[0x62, 0xa1, 0x7c, 0x08, 0x58, 0xc1], 1), // vaddps xmm16, xmm0, xmm17
        (&[0xd9, 0xe8], 1),                         // fld1
        (&[0x0f, 0x6f, 0xc1], 1),                   // movq mm0, mm1
        (&[0x0f, 0x58, 0xc1, 0x90], 0),             // addps xmm0, xmm1; nop
    ];
    for (code, expected) in all {
        assert_eq!(uses(0x1000, code).2.len(), expected, "{code:x?}");
    }
}

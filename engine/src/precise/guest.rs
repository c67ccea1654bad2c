//! The guest's registers and memory as the rules ask for them.
//!
//! # Safety
//! `unsafe` here calls the cache's code that stores the vector registers, and the instructions that read x87 state and
//! the state that is enabled.
#![allow(unsafe_code, reason = "reads the processor's registers")]

use crate::context::Context;
use crate::guest_mem;
use crate::state::Engine;
use alloc::boxed::Box;
use core::arch::asm;
use definedness::Guest;
use iced_x86::{Instruction, Register};

/// All vector and mask registers, as the code of the cache stores them, and the state that fxsave does.
#[repr(C, align(64))]
struct Stored {
    vectors: [[u64; 8]; 32],
    masks: [u64; 8],
    legacy: [u8; 512],
}

/// A copy of the registers that the engine does not keep in the context.
pub(super) struct VectorDump(Box<Stored>);

impl Default for VectorDump {
    fn default() -> VectorDump {
        VectorDump(Box::new(Stored { vectors: [[0; 8]; 32], masks: [0; 8], legacy: [0; 512] }))
    }
}

impl VectorDump {
    /// Copies the guest's registers of now. The engine's own code changes xmm0 to xmm15 alone, whose values are in the
    /// context.
    pub(super) fn take(&mut self, engine: &Engine, context: &Context) {
        let stored = &mut *self.0;
        let to = &raw mut stored.vectors;
        // SAFETY: the cache's code is a function of this form, which stores as many bytes as `Stored` begins with, and
        // the legacy area has the size and alignment that fxsave needs (64 divides what lies before it).
        unsafe {
            let store: extern "C" fn(*mut [[u64; 8]; 32]) =
                core::mem::transmute(engine.stubs.vectors as usize);
            store(to);
            asm!("fxsave64 [{}]", in(reg) &raw mut stored.legacy, options(nostack));
        }
        for (vector, xmm) in stored.vectors.iter_mut().zip(&context.xmm) {
            vector[..2].copy_from_slice(xmm);
        }
    }
}

/// Whether an instruction may look at other registers than general ones and flags.
pub(super) fn has_rare_registers(insn: &Instruction) -> bool {
    let rare = |register: Register| {
        register.is_vector_register() || register.is_k() || register.is_mm() || register.is_st()
    };
    let plain = (0..insn.op_count()).all(|op| !rare(insn.op_register(op)))
        && !insn.memory_index().is_vector_register()
        && insn.op_mask() == Register::None
        && insn.encoding() == iced_x86::EncodingKind::Legacy
        && matches!(
            insn.cpuid_features().first(),
            None | Some(
                iced_x86::CpuidFeature::INTEL8086
                    | iced_x86::CpuidFeature::INTEL186
                    | iced_x86::CpuidFeature::INTEL286
                    | iced_x86::CpuidFeature::INTEL386
                    | iced_x86::CpuidFeature::INTEL486
                    | iced_x86::CpuidFeature::X64
                    | iced_x86::CpuidFeature::CMOV
            )
        );
    !plain
}

/// The state before an instruction.
pub(super) struct State<'a> {
    pub(super) regs: &'a [u64; 16],
    pub(super) flags: u64,
    /// Bases of the segments.
    pub(super) fs: u64,
    pub(super) gs: u64,
    pub(super) vectors: &'a VectorDump,
}

impl Guest for State<'_> {
    fn gpr(&self, number: usize) -> u64 {
        self.regs[number]
    }

    fn rflags(&self) -> u64 {
        self.flags
    }

    fn vector(&self, number: usize) -> [u64; 8] {
        self.vectors.0.vectors[number]
    }

    fn mask(&self, number: usize) -> u64 {
        self.vectors.0.masks[number]
    }

    fn mmx(&self, number: usize) -> u64 {
        // fxsave stores the stack from its top on, 16 bytes each.
        let from_top = number.wrapping_sub(self.x87_top()) & 7;
        let at = 32 + 16 * from_top;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.vectors.0.legacy[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    fn x87_top(&self) -> usize {
        usize::from(self.vectors.0.legacy[3] >> 3 & 7)
    }

    fn fs_base(&self) -> u64 {
        self.fs
    }

    fn gs_base(&self) -> u64 {
        self.gs
    }

    fn state_components(&self) -> u64 {
        extended_control(0)
    }

    fn state_in_use(&self) -> u64 {
        extended_control(1)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        guest_mem::read(address, bytes);
    }
}

/// XCR0, or which of its components are in use; only x87 and SSE where the system has no xsave.
fn extended_control(number: u32) -> u64 {
    use core::arch::x86_64::__cpuid_count;
    const OSXSAVE: u32 = 1 << 27;
    const IN_USE: u32 = 1 << 2;
    let known =
        __cpuid_count(1, 0).ecx & OSXSAVE != 0 && (number == 0 || __cpuid_count(0xd, 1).eax & IN_USE != 0);
    if !known {
        return 3;
    }
    let (low, high): (u32, u32);
    // SAFETY: the processor has the register, as was asked.
    unsafe { asm!("xgetbv", in("ecx") number, out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(low) | u64::from(high) << 32
}

//! What the processor has that emitted code uses.
//!
//! # Safety
//! `unsafe` here executes xgetbv, which the system has switched on where cpuid says so.
#![allow(unsafe_code, reason = "xgetbv")]

use translate::Vectors;

/// How wide its vector registers are, as far as the system saves them.
pub(super) fn vectors() -> Vectors {
    use core::arch::x86_64::__cpuid_count;
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid_count(1, 0).ecx & OSXSAVE == 0 {
        return Vectors::Sse;
    }
    let enabled: u32;
    // SAFETY: the system has switched it on.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack))
    };
    match enabled {
        // Masks, and both halves of what AVX-512 adds.
        _ if enabled & 0xe6 == 0xe6 => Vectors::Avx512,
        _ if enabled & 6 == 6 => Vectors::Avx,
        _ => Vectors::Sse,
    }
}

/// Whether it has BMI2.
pub(super) fn has_bmi2() -> bool {
    use core::arch::x86_64::__cpuid_count;
    const BMI2: u32 = 1 << 8;
    __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).ebx & BMI2 != 0
}

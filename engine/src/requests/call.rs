//! Calls of guest functions that a client request asks for: the guest's whole state waits on the guest's stack, as in a
//! signal frame, so that a function that never returns (longjmp, an exception) leaves nothing behind.
//!
//! From the function's stack pointer upwards: return address, the words of a [`Frame`], and the extended state.
//!
//! # Safety
//! `unsafe` here saves and restores the processor's extended state in buffers of this module.
#![allow(unsafe_code, reason = "xsave and xrstor")]

use crate::context::{Thread, gpr};
use crate::guest_mem;
use crate::process_end::RETURN_TO_ENGINE;
use alloc::vec::Vec;
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;

/// Where called functions return to; nothing can be mapped there.
pub const RETURN: u64 = RETURN_TO_ENGINE + 16;

/// x87, SSE, AVX, MPX and AVX-512 state; not the protection keys, which are the program's to change, nor AMX tiles,
/// which belong to no caller.
const COMPONENTS: u64 = 0xff;
/// Bytes of the part that fxsave knows, where the xmm registers begin in it, and where what xsave adds begins.
const LEGACY: usize = 512;
const XMM: usize = 160;
const MXCSR: usize = 24;

/// Registers, flags, pc, address of the extended state.
const WORDS: usize = 19;

/// Memory for extended state, aligned as the processor wants it.
struct Area {
    bytes: Vec<u8>,
    start: usize,
    size: usize,
}

impl Area {
    fn new() -> Area {
        let size = area_bytes();
        let bytes = alloc::vec![0u8; size + 64];
        let start = bytes.as_ptr() as usize;
        let start = start.next_multiple_of(64) - start;
        Area { bytes, start, size }
    }

    fn get(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.size]
    }
}

/// Whether the system has switched xsave on.
fn has_xsave() -> bool {
    __cpuid_count(1, 0).ecx & 1 << 27 != 0
}

fn area_bytes() -> usize {
    if !has_xsave() {
        return LEGACY;
    }
    // In the standard form each component has a fixed place.
    let end = |component| {
        let place = __cpuid_count(0xd, component);
        (place.eax + place.ebx) as usize
    };
    (2..8).map(end).fold(LEGACY + 64, usize::max)
}

/// The extended state that the guest had: that of the processor, but for the xmm registers, which the switch has saved.
fn save(thread: &Thread) -> Area {
    let mut area = Area::new();
    let extended = area.size > LEGACY;
    let at = area.get().as_mut_ptr();
    // SAFETY: the buffer is aligned to 64 and as large as the processor says for these components; its header is zero.
    unsafe {
        if extended {
            asm!("xsave64 [{at}]", at = in(reg) at, in("eax") COMPONENTS as u32, in("edx") 0, options(nostack));
        } else {
            asm!("fxsave64 [{at}]", at = in(reg) at, options(nostack));
        }
    }
    for (bytes, value) in area.get()[XMM..].chunks_exact_mut(8).zip(thread.context.xmm.as_flattened()) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    if extended {
        // The xmm registers are not in their initial state, whatever the processor thought.
        area.get()[LEGACY] |= 2;
    }
    area
}

/// Gives the processor back what [`save`] saved. The guest may have damaged it: what the processor would refuse is
/// cleared.
fn restore(thread: &mut Thread, mut area: Area) {
    let extended = area.size > LEGACY;
    let bytes = area.get();
    for (value, bytes) in thread.context.xmm.as_flattened_mut().iter_mut().zip(bytes[XMM..].chunks_exact(8)) {
        *value = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    bytes[MXCSR + 2..MXCSR + 4].fill(0);
    if extended {
        bytes[LEGACY + 1..LEGACY + 64].fill(0);
        // SAFETY: reads a control register that exists where xsave does.
        let enabled = unsafe {
            let low: u32;
            asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack));
            low
        };
        bytes[LEGACY] &= (u64::from(enabled) & COMPONENTS) as u8;
    }
    let at = bytes.as_ptr();
    // SAFETY: the buffer is aligned, large enough and valid (above); the compiler is told that vector and x87 registers
    // change. The guest's MXCSR is in force in the engine anyway.
    unsafe {
        if extended {
            asm!("xrstor64 [{at}]", at = in(reg) at, in("eax") COMPONENTS as u32, in("edx") 0,
                clobber_abi("sysv64"), options(nostack));
        } else {
            asm!("fxrstor64 [{at}]", at = in(reg) at, clobber_abi("sysv64"), options(nostack));
        }
    }
}

/// Makes the thread go on in the guest function at `function`; when that returns, at `behind` with its result in rdx and
/// everything else as it is. False when the stack has no room.
pub fn begin(thread: &mut Thread, function: u64, arguments: &[u64], behind: u64) -> bool {
    let mut area = save(thread);
    let rsp = thread.context.regs[gpr::RSP];
    // Below the red zone; rsp + 8 is a multiple of 16 at a function's entry.
    let extended = rsp.wrapping_sub(128 + area.size as u64) & !63;
    let frame = extended.wrapping_sub(8 * WORDS as u64) & !15;
    let mut words = [0u64; WORDS + 1];
    words[0] = RETURN;
    words[1..17].copy_from_slice(&thread.context.regs);
    words[17..].copy_from_slice(&[thread.context.flags, behind, extended]);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let fits = guest_mem::write(extended, area.get()) == area.size
        && guest_mem::write(frame.wrapping_sub(8), &bytes) == bytes.len();
    if !fits {
        return false;
    }
    thread.context.regs[gpr::RSP] = frame - 8;
    thread.context.regs[gpr::RAX] = 0;
    for (register, argument) in [gpr::RDI, gpr::RSI, gpr::RDX, gpr::RCX].into_iter().zip(arguments) {
        thread.context.regs[register] = *argument;
    }
    const DIRECTION: u64 = 1 << 10;
    thread.context.flags &= !DIRECTION;
    thread.context.pc = function;
    true
}

/// The function has returned: takes the state up again. False when it is not where it was left.
pub fn returned(thread: &mut Thread) -> bool {
    let mut bytes = [0u8; 8 * WORDS];
    if guest_mem::read(thread.context.regs[gpr::RSP], &mut bytes) != bytes.len() {
        return false;
    }
    let word =
        |at: usize| bytes[8 * at..8 * at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let mut area = Area::new();
    let size = area.size;
    if guest_mem::read(word(18), area.get()) != size {
        return false;
    }
    let result = thread.context.regs[gpr::RAX];
    thread.context.regs = core::array::from_fn(word);
    thread.context.regs[gpr::RDX] = result;
    // What user code may have changed; the rest is the system's.
    const USER: u64 = 0x24_0dd5;
    thread.context.flags = thread.context.flags & !USER | word(16) & USER;
    thread.context.pc = word(17);
    restore(thread, area);
    true
}

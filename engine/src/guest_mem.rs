//! Reading and writing guest memory that may not be there.
//!
//! A copy that faults ends early instead of ending the process: the signal handler recognises the copying
//! instructions by their addresses and continues behind them ([`recover`]).
//!
//! # Safety
//! This is the only module in which a guest address from the guest's hands becomes a pointer.
#![allow(unsafe_code, reason = "turns guest addresses into pointers")]

use crate::space::GUEST_END;
use core::arch::global_asm;

global_asm!(
    // rdi = to, rsi = from, rdx = count; returns the number of bytes NOT copied.
    ".globl vg_copy_guarded",
    "vg_copy_guarded:",
    "mov rcx, rdx",
    ".globl vg_copy_fault_start",
    "vg_copy_fault_start:",
    "rep movsb",
    ".globl vg_copy_fault_end",
    "vg_copy_fault_end:",
    "mov rax, rcx",
    "ret",
);

unsafe extern "C" {
    fn vg_copy_guarded(to: *mut u8, from: *const u8, count: usize) -> usize;
    static vg_copy_fault_start: u8;
    static vg_copy_fault_end: u8;
}

/// The address at which a copy interrupted by a fault at `pc` goes on; `None` when `pc` is not in the copy.
pub fn recover(pc: u64) -> Option<u64> {
    let start = &raw const vg_copy_fault_start as u64;
    let end = &raw const vg_copy_fault_end as u64;
    (start..end).contains(&pc).then_some(end)
}

/// Copies from the guest; returns the number of bytes that could be read.
pub fn read(from: u64, to: &mut [u8]) -> usize {
    if (GUEST_END..crate::space::ENGINE_END).contains(&from) {
        return 0;
    }
    // SAFETY: the destination is a slice; a fault on the source ends the copy.
    to.len() - unsafe { vg_copy_guarded(to.as_mut_ptr(), from as *const u8, to.len()) }
}

/// As [`read`], of code, which may be executable and yet unreadable: the kernel gives such pages a protection key that
/// forbids every access but the fetch.
pub fn read_code(from: u64, to: &mut [u8]) -> usize {
    let done = read(from, to);
    if done == to.len() || !has_protection_keys() {
        return done;
    }
    const ALL_ALLOWED: u32 = 0;
    let guests = exchange_key_rights(ALL_ALLOWED);
    let done = read(from, to);
    exchange_key_rights(guests);
    done
}

fn has_protection_keys() -> bool {
    use core::arch::x86_64::__cpuid_count;
    const OSPKE: u32 = 1 << 4;
    __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).ecx & OSPKE != 0
}

/// Sets the rights of the protection keys (PKRU), which are the thread's own; returns those before.
fn exchange_key_rights(rights: u32) -> u32 {
    let before: u32;
    // SAFETY: the processor has the register and the kernel uses it, as was asked; it decides about access to memory alone,
    // and the engine's own pages have key 0.
    unsafe {
        core::arch::asm!("rdpkru", in("ecx") 0, out("eax") before, out("edx") _, options(nomem, nostack));
        core::arch::asm!("wrpkru", in("eax") rights, in("ecx") 0, in("edx") 0, options(nostack));
    }
    before
}

/// Copies to the guest; returns the number of bytes that could be written.
pub fn write(to: u64, from: &[u8]) -> usize {
    if to.saturating_add(from.len() as u64) > GUEST_END {
        return 0;
    }
    // SAFETY: the range lies in the guest's zone, where no object of the engine is; a fault ends the copy.
    let done = from.len() - unsafe { vg_copy_guarded(to as *mut u8, from.as_ptr(), from.len()) };
    crate::shadow::written(to, done as u64);
    done
}

/// A 64-bit word of the guest.
pub fn read_u64(from: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (read(from, &mut bytes) == 8).then(|| u64::from_le_bytes(bytes))
}

/// Stores a 64-bit word; false when the guest has no writable memory there.
#[must_use]
pub fn write_u64(to: u64, value: u64) -> bool {
    write(to, &value.to_le_bytes()) == 8
}

/// Stores a 32-bit word; false when the guest has no writable memory there.
#[must_use]
pub fn write_u32(to: u64, value: u32) -> bool {
    write(to, &value.to_le_bytes()) == 4
}

/// A NUL-terminated string of at most `limit` bytes, without the NUL; `None` when it is unreadable or longer.
pub fn read_string(from: u64, limit: usize) -> Option<alloc::vec::Vec<u8>> {
    read_path(from, limit).ok()
}

/// [`read_string`] with the kernel's error for a path.
///
/// # Errors
/// EFAULT when it is unreadable, ENAMETOOLONG when it is longer than `limit`.
pub fn read_path(from: u64, limit: usize) -> Result<alloc::vec::Vec<u8>, i64> {
    let mut out = alloc::vec::Vec::new();
    let mut at = from;
    loop {
        let mut bytes = [0u8; 256];
        // Never across a page end in one piece: the next page may be missing.
        let room = (4096 - (at & 4095)).min(256) as usize;
        let count = read(at, &mut bytes[..room]);
        if let Some(end) = bytes[..count].iter().position(|b| *b == 0) {
            out.extend_from_slice(&bytes[..end]);
            return if out.len() > limit { Err(crate::sys::errno::ENAMETOOLONG) } else { Ok(out) };
        }
        if count < room {
            return Err(crate::sys::errno::EFAULT);
        }
        if out.len() + count > limit {
            return Err(crate::sys::errno::ENAMETOOLONG);
        }
        out.extend_from_slice(&bytes[..count]);
        at += count as u64;
    }
}

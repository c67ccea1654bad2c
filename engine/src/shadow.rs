//! The shadow: one byte of V bits for each byte of the guest's memory, at a constant distance.
//!
//! A bit is 1 where the guest's is undefined. A byte that the guest may not touch has a pattern of its own, which is rare
//! elsewhere: who finds it asks what lies there, and a store that finds a byte undefined in full need not. GS base is the
//! distance less a constant, so generated code checks an access with its own operand (`translate::check`). The distance is no round
//! number: were only high bits different, the two accesses would fight for one way of the processor's cache, and a
//! store would cost twenty times as much.
//!
//! Always holds: what was never set is defined; each byte is written by whoever changes what it stands for, with no
//! lock, as the guest's own byte is. Not here: who may touch what (`errors`), the heap's part (`heap_calls`).
//!
//! # Safety
//! `unsafe` here maps and fills the shadow, whose addresses nobody else uses.
#![allow(unsafe_code, reason = "maps and fills the shadow")]

use crate::space::{GUEST_END, PAGE};
use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use ring::shared::{ONES_BYTES, ONES_OFFSET, POISON_OFFSET, UNADDRESSABLE};
use translate::layout::SHADOW_BIAS;

const _: () = assert!(UNADDRESSABLE == translate::layout::UNADDRESSABLE);

/// Address of the V bits of address 0: a multiple of a cache line, with bits 6 to 11 and 12 to 27 that are not zero.
pub const DISTANCE: u64 = (1 << 45) + 0x1234_5840;

/// The file with pages of ones; -1 while there is no shadow.
static FILE: AtomicI64 = AtomicI64::new(-1);
/// Undefined values are followed.
static FOLLOWS: AtomicBool = AtomicBool::new(false);

/// V bits of a whole byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bits {
    /// All defined.
    Defined = 0,
    /// All undefined.
    Undefined = 0xff,
    /// Not the guest's to touch.
    Unaddressable = UNADDRESSABLE,
}

/// Maps the shadow of all of the guest's zone and points GS at it. `file`: the memory shared with the recorder;
/// `follow`: undefined values are followed.
///
/// # Errors
/// The kernel's error number.
pub fn map(file: i64, follow: bool) -> Result<(), i64> {
    FOLLOWS.store(follow, Ordering::Relaxed);
    const ARCH_SET_GS: u64 = 0x1001;
    let start = DISTANCE & !(PAGE - 1);
    let end = (DISTANCE + GUEST_END).next_multiple_of(PAGE);
    let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE | sys::MAP_FIXED_NOREPLACE;
    // SAFETY: a range that lies between the guest's zone and the engine's; GS is not used by the engine itself.
    unsafe {
        sys::mmap(start, end - start, sys::PROT_READ | sys::PROT_WRITE, flags, -1, 0)?;
        advise(start, end - start);
        match sys::call(sys::nr::ARCH_PRCTL, &[ARCH_SET_GS, DISTANCE.wrapping_sub(SHADOW_BIAS)]) {
            0 => (),
            error => return Err(-error),
        }
    }
    FILE.store(file, Ordering::Release);
    Ok(())
}

/// Whether there is a shadow.
#[inline]
pub fn is_on() -> bool {
    FILE.load(Ordering::Relaxed) >= 0
}

/// Whether undefined values are followed: memory is undefined until the guest has written to it.
#[inline]
pub fn follows() -> bool {
    FOLLOWS.load(Ordering::Relaxed)
}

/// What fresh memory of the heap is.
#[inline]
pub fn fresh() -> Bits {
    if follows() { Bits::Undefined } else { Bits::Defined }
}

/// The engine or the kernel has written to the guest's memory.
pub fn written(start: u64, bytes: u64) {
    if follows() && start < GUEST_END && bytes <= GUEST_END - start {
        set(start, bytes, Bits::Defined);
    }
}

/// The guest's bytes have been copied, perhaps between ranges that overlap.
pub fn copied(from: u64, to: u64, bytes: u64) {
    if follows() && from.max(to) < GUEST_END && bytes <= GUEST_END - from.max(to) {
        // SAFETY: both ranges lie inside the shadow.
        unsafe {
            core::ptr::copy((from + DISTANCE) as *const u8, (to + DISTANCE) as *mut u8, bytes as usize);
        }
    }
}

/// Sets the V bits of the guest's bytes from `start` on, one by one.
pub fn write(start: u64, bits: &[u8]) {
    let inside = GUEST_END.saturating_sub(start).min(bits.len() as u64) as usize;
    // SAFETY: inside the shadow.
    unsafe {
        core::ptr::copy_nonoverlapping(bits.as_ptr(), (start.min(GUEST_END) + DISTANCE) as *mut u8, inside);
    }
}

/// No huge pages, of which a touched byte would cost 2 MiB; not in core dumps, which would be 32 TiB long.
unsafe fn advise(start: u64, bytes: u64) {
    const NOHUGEPAGE: u64 = 15;
    const DONTDUMP: u64 = 16;
    // SAFETY: changes no contents.
    unsafe {
        sys::call(sys::nr::MADVISE, &[start, bytes, NOHUGEPAGE]);
        sys::call(sys::nr::MADVISE, &[start, bytes, DONTDUMP]);
    }
}

/// Brings the V bits of the first of `bytes` bytes of the guest's from `start` on near.
#[inline]
pub fn prefetch(start: u64, bytes: u64) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    const LINE: u64 = 64;
    /// What is behind them, the processor fetches by itself.
    const MOST: u64 = 4 * LINE;
    let mut at = start + DISTANCE;
    let end = at + bytes.min(MOST);
    while at < end {
        // SAFETY: a hint, which faults at no address; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at as *const i8) };
        at += LINE;
    }
}

/// Sets the V bits of `bytes` bytes of the guest's from `start` on.
#[inline]
pub fn set(start: u64, bytes: u64, bits: Bits) {
    /// From so much on pages are mapped instead of written, so that they cost nothing before they are touched.
    const MUCH: u64 = 1 << 20;
    debug_assert!(start <= GUEST_END && bytes <= GUEST_END - start);
    let at = start + DISTANCE;
    if bytes < MUCH || !replace(at, bytes, bits) {
        // SAFETY: inside the shadow.
        unsafe { core::ptr::write_bytes(at as *mut u8, bits as u8, bytes as usize) };
    }
}

/// Maps the whole pages of a range of the shadow anew, and writes what is left at its ends. False when the kernel
/// refuses: nothing is lost then, all of the range is to be written.
#[cold]
fn replace(at: u64, bytes: u64, bits: Bits) -> bool {
    let (first, last) = (at.next_multiple_of(PAGE), (at + bytes) & !(PAGE - 1));
    let protection = sys::PROT_READ | sys::PROT_WRITE;
    let flags = sys::MAP_PRIVATE | sys::MAP_NORESERVE | sys::MAP_FIXED;
    let file = FILE.load(Ordering::Relaxed);
    let mut page = first;
    while page < last {
        // SAFETY: whole pages of the shadow, all of whose bytes are to be set.
        let mapped = unsafe {
            match bits {
                Bits::Defined => sys::mmap(page, last - page, protection, flags | sys::MAP_ANONYMOUS, -1, 0)
                    .map(|_| last - page),
                Bits::Undefined | Bits::Unaddressable => {
                    let part = (last - page).min(ONES_BYTES as u64);
                    let pattern = if bits == Bits::Undefined { ONES_OFFSET } else { POISON_OFFSET };
                    sys::mmap(page, part, protection, flags, file, pattern as u64).map(|_| part)
                }
            }
        };
        match mapped {
            Ok(part) => page += part,
            Err(_) => return false,
        }
    }
    // SAFETY: inside the shadow.
    unsafe {
        advise(first, last - first);
        core::ptr::write_bytes(at as *mut u8, bits as u8, (first - at) as usize);
        core::ptr::write_bytes(last as *mut u8, bits as u8, (at + bytes - last) as usize);
    }
    true
}

/// The V bits of the guest's bytes from `start` on. What lies beyond the guest's zone is not the guest's.
pub fn read(start: u64, bits: &mut [u8]) {
    bits.fill(Bits::Unaddressable as u8);
    let inside = GUEST_END.saturating_sub(start).min(bits.len() as u64) as usize;
    // SAFETY: inside the shadow.
    unsafe {
        core::ptr::copy_nonoverlapping(
            (start.min(GUEST_END) + DISTANCE) as *const u8,
            bits.as_mut_ptr(),
            inside,
        );
    }
}

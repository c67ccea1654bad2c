//! memcpy and its relatives, which compiled code refers to by name.
//!
//! Written with string instructions and word loops, so that they are not compiled into calls of themselves.

use core::arch::asm;

/// # Safety
/// As C's memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if count < 32 {
        // SAFETY: the caller vouches for both ranges.
        unsafe { small(to, from, count) };
        return to;
    }
    // What the microcode of a string instruction costs before its first byte is more than these are worth.
    if count <= 512 {
        // SAFETY: the caller vouches for both ranges. The loop's 16-byte steps leave 1 to 16 bytes, which are in the
        // last 16; those are read before anything is written, for memmove. In assembly, since the compiler would make
        // a call of memcpy of a loop.
        unsafe {
            let last = from.add(count - 16).cast::<u128>().read_unaligned();
            asm!("2:", "movups {x}, [{from}]", "movups [{to}], {x}", "add {from}, 16", "add {to}, 16",
                 "sub {count}, 16", "ja 2b",
                 x = out(xmm_reg) _, from = inout(reg) from => _, to = inout(reg) to => _,
                 count = inout(reg) count - 16 => _, options(nostack));
            to.add(count - 16).cast::<u128>().write_unaligned(last);
        }
        return to;
    }
    // SAFETY: the caller vouches for both ranges; DF is clear in the engine.
    unsafe {
        asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _,
             options(nostack, preserves_flags));
    }
    to
}

/// Copies less than 32 bytes by overlapping words; reads all before it writes, so ranges may overlap.
#[inline(always)]
unsafe fn small(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: each branch touches only the first and the last bytes of ranges of `count` bytes.
    unsafe {
        if count >= 16 {
            let a = from.cast::<u128>().read_unaligned();
            let b = from.add(count - 16).cast::<u128>().read_unaligned();
            to.cast::<u128>().write_unaligned(a);
            to.add(count - 16).cast::<u128>().write_unaligned(b);
        } else if count >= 8 {
            let a = from.cast::<u64>().read_unaligned();
            let b = from.add(count - 8).cast::<u64>().read_unaligned();
            to.cast::<u64>().write_unaligned(a);
            to.add(count - 8).cast::<u64>().write_unaligned(b);
        } else if count >= 4 {
            let a = from.cast::<u32>().read_unaligned();
            let b = from.add(count - 4).cast::<u32>().read_unaligned();
            to.cast::<u32>().write_unaligned(a);
            to.add(count - 4).cast::<u32>().write_unaligned(b);
        } else if count > 0 {
            let a = from.read();
            let b = from.add(count / 2).read();
            let c = from.add(count - 1).read();
            to.write(a);
            to.add(count / 2).write(b);
            to.add(count - 1).write(c);
        }
    }
}

/// # Safety
/// As C's memmove.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if count < 32 {
        // SAFETY: the caller vouches for both ranges.
        unsafe { small(to, from, count) };
    } else if (to as usize).wrapping_sub(from as usize) >= count {
        // SAFETY: a forward copy never overwrites bytes that it has yet to read here.
        unsafe { memcpy(to, from, count) };
    } else {
        // From the end, in which direction string instructions are slow.
        // SAFETY: as in memcpy: the steps leave 1 to 16 bytes of the first 16.
        unsafe {
            let first = from.cast::<u128>().read_unaligned();
            asm!("2:", "movups {x}, [{from} + {count}]", "movups [{to} + {count}], {x}", "sub {count}, 16", "ja 2b",
                 x = out(xmm_reg) _, from = in(reg) from, to = in(reg) to, count = inout(reg) count - 16 => _,
                 options(nostack));
            to.cast::<u128>().write_unaligned(first);
        }
    }
    to
}

/// # Safety
/// As C's memset.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    /// String instructions take a while to begin.
    const MANY: usize = 512;
    let words = u64::from(value as u8) * 0x0101_0101_0101_0101;
    // SAFETY: the caller vouches for the range, inside which all stores lie; DF is clear in the engine.
    unsafe {
        match count {
            0 => (),
            1..4 => {
                to.write(value as u8);
                to.add(count / 2).write(value as u8);
                to.add(count - 1).write(value as u8);
            }
            4..8 => {
                to.cast::<u32>().write_unaligned(words as u32);
                to.add(count - 4).cast::<u32>().write_unaligned(words as u32);
            }
            8..16 => {
                to.cast::<u64>().write_unaligned(words);
                to.add(count - 8).cast::<u64>().write_unaligned(words);
            }
            16..MANY => {
                // All but the last 16 bytes, then those. Upwards, as string instructions do: when the guest's memory
                // ends within the range, what is in front of its end has been set.
                asm!("movq {x}, {words}", "punpcklqdq {x}, {x}",
                     "2:", "movups [{to}], {x}", "add {to}, 16", "cmp {to}, {end}", "jb 2b", "movups [{end}], {x}",
                     x = out(xmm_reg) _, words = in(reg) words, to = inout(reg) to => _,
                     end = in(reg) to.add(count - 16), options(nostack));
            }
            _ => asm!("rep stosb", inout("rdi") to => _, inout("rcx") count => _, in("al") value as u8,
                      options(nostack, preserves_flags)),
        }
    }
    to
}

/// # Safety
/// As C's memcmp.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    let mut i = 0;
    // SAFETY: every access is below `count`, for which the caller vouches.
    unsafe {
        while i + 8 <= count {
            let (x, y) = (a.add(i).cast::<u64>().read_unaligned(), b.add(i).cast::<u64>().read_unaligned());
            if x != y {
                return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
            }
            i += 8;
        }
        while i < count {
            let (x, y) = (a.add(i).read_volatile(), b.add(i).read_volatile());
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            i += 1;
        }
    }
    0
}

/// # Safety
/// As C's bcmp.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, count) }
}

/// # Safety
/// As C's strlen.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller vouches for a NUL at the end.
    while unsafe { s.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

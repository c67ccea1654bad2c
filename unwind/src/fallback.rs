//! What is known about a frame from its code bytes and the look of its stack, where CFI is missing.
//!
//! Invariant: a guessed return address always follows a call instruction (or is a signal trampoline).
//! Not here: rules (`cfi`), the order in which things are tried (`unwinder`).

use crate::memory::Memory;
use crate::modules::USER_END;
use core::ops::Range;

/// Words above sp that are looked at for a return address.
const SCAN_WORDS: u64 = 64;

/// A frame's caller, found by guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) bp: u64,
}

/// [`Memory::code`], asked for user space only.
fn code(memory: &impl Memory, address: u64, bytes: &mut [u8]) -> bool {
    let end = address.checked_add(bytes.len() as u64);
    end.is_some_and(|end| end <= USER_END) && memory.code(address, bytes)
}

/// True when the code at `pc` is `mov $15, %eax; syscall` (rt_sigreturn) in one of its two encodings, or, for
/// an exact pc, when it is the second of the two instructions.
pub(crate) fn is_sigreturn(memory: &impl Memory, pc: u64, exact: bool) -> bool {
    let is = |address: u64, expected: &[u8]| {
        let mut bytes = [0; 9];
        let bytes = &mut bytes[..expected.len()];
        code(memory, address, bytes) && bytes == expected
    };
    const LONG: &[u8] = &[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05];
    const SHORT: &[u8] = &[0xb8, 15, 0, 0, 0, 0x0f, 0x05];
    is(pc, LONG) || is(pc, SHORT) || exact && (is(pc.wrapping_sub(7), LONG) || is(pc.wrapping_sub(5), SHORT))
}

/// True when there is executable memory at this address.
pub(crate) fn is_code(memory: &impl Memory, address: u64) -> bool {
    code(memory, address, &mut [0])
}

/// True when a call instruction ends at `address`.
pub fn follows_call(memory: &impl Memory, address: u64) -> bool {
    if !(4096..USER_END).contains(&address) {
        return false;
    }
    // Seven bytes, or what there is behind the start of a mapping. Zeros match nothing below.
    let mut bytes = [0u8; 7];
    let readable = [7, 5, 2].into_iter().any(|length| {
        let bytes = &mut bytes[7 - length..];
        code(memory, address - length as u64, bytes)
    });
    if !readable || !is_code(memory, address) {
        return false;
    }
    // call rel32
    if bytes[2] == 0xe8 {
        return true;
    }
    // call r/m64: ff /2, which is 2 bytes and what the addressing mode adds.
    (0..=5).any(|at| {
        let (modrm, sib) = (bytes[at + 1], bytes.get(at + 2));
        bytes[at] == 0xff && modrm >> 3 & 7 == 2 && {
            let (mode, rm) = (modrm >> 6, modrm & 7);
            let has_sib = mode != 3 && rm == 4;
            let displacement = match mode {
                0 if rm == 5 || has_sib && sib.is_some_and(|sib| sib & 7 == 5) => 4,
                1 => 1,
                2 => 4,
                _ => 0,
            };
            at + 2 + usize::from(has_sib) + displacement == bytes.len()
        }
    })
}

/// Guesses the caller of a frame without CFI. `stack` are the readable bounds of its stack.
pub(crate) fn guess(
    memory: &impl Memory,
    stack: &Range<u64>,
    pc: u64,
    exact: bool,
    sp: u64,
    bp: u64,
) -> Option<Guess> {
    let word = |address: u64| {
        let inside = stack.contains(&address) && stack.end - address >= 8;
        if inside { memory.word(address) } else { None }
    };
    let returns_to = |slot: u64| {
        word(slot).filter(|&ra| {
            (4096..USER_END).contains(&ra) && (follows_call(memory, ra) || is_sigreturn(memory, ra, false))
        })
    };
    if exact && let Some(guess) = at_edge_of_function(memory, &word, &returns_to, pc, sp, bp) {
        return Some(guess);
    }
    // The frame pointer chain: `*bp` is the caller's bp, the return address is above it.
    if bp >= sp
        && bp.is_multiple_of(8)
        && let Some(caller) = word(bp)
        && let Some(pc) = returns_to(bp.wrapping_add(8))
        && (caller == 0 || caller > bp)
    {
        return Some(Guess { pc, sp: bp + 16, bp: caller });
    }
    (0..SCAN_WORDS).map(|n| (sp & !7).saturating_add(8 * n)).filter(|&slot| slot >= sp).find_map(|slot| {
        let pc = returns_to(slot)?;
        Some(Guess { pc, sp: slot + 8, bp })
    })
}

/// Where the instruction at an exact pc shows that the frame is not set up yet or is gone already: before and
/// behind `push %rbp`, at a return, and after a jump to nowhere.
fn at_edge_of_function(
    memory: &impl Memory,
    word: &impl Fn(u64) -> Option<u64>,
    returns_to: &impl Fn(u64) -> Option<u64>,
    pc: u64,
    sp: u64,
    bp: u64,
) -> Option<Guess> {
    let byte = |address: u64| {
        let mut bytes = [0];
        code(memory, address, &mut bytes).then_some(bytes[0])
    };
    let starts_with =
        |address: u64, code: &[u8]| (address..).zip(code).all(|(at, &code)| byte(at) == Some(code));
    let after_endbr = if starts_with(pc, &[0xf3, 0x0f, 0x1e, 0xfa]) { pc + 4 } else { pc };
    match byte(after_endbr) {
        None | Some(0x55 | 0xc3 | 0xc2) => Some(Guess { pc: returns_to(sp)?, sp: sp.wrapping_add(8), bp }),
        Some(0x48)
            if byte(pc.wrapping_sub(1)) == Some(0x55)
                && (starts_with(pc, &[0x48, 0x89, 0xe5]) || starts_with(pc, &[0x48, 0x8b, 0xec])) =>
        {
            let slot = sp.wrapping_add(8);
            Some(Guess { pc: returns_to(slot)?, sp: slot.wrapping_add(8), bp: word(sp)? })
        }
        _ => None,
    }
}

//! fxsave, xsave and their kin, fnstenv, fnsave: V bits of whole register files in memory.
//!
//! Bytes of control and status are defined. xsave writes, and xrstor reads, only the components that are asked for;
//! what a component in its initial state leaves untouched in memory keeps its V bits, and xrstor does not look at it.
//! Components beyond AVX-512 (PKRU, AMX) count as defined.

use super::{any, set_codes};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::Mnemonic;

const X87: u64 = 1 << 0;
const SSE: u64 = 1 << 1;
const AVX: u64 = 1 << 2;
const MASKS: u64 = 1 << 5;
const HIGH: u64 = 1 << 6;
const MORE: u64 = 1 << 7;

/// Component, offset and size in the standard form, and the alignment in the compacted one. The sizes of AVX-512's are
/// architectural; the offsets are those of every processor so far.
const EXTENDED: [(u64, u64, u64, u64); 4] =
    [(AVX, 576, 256, 1), (MASKS, 1088, 64, 1), (HIGH, 1152, 512, 1), (MORE, 1664, 1024, 1)];

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Fxsave | Fxsave64 => {
            let at = s.address(0, 512, Access::Store);
            store_legacy(s, at, X87 | SSE);
        }
        Fxrstor | Fxrstor64 => {
            let at = s.address(0, 512, Access::Load);
            load_legacy(s, at, X87 | SSE, X87 | SSE);
        }
        Xsave | Xsave64 => xsave(s, false, false),
        Xsaveopt | Xsaveopt64 => xsave(s, false, true),
        Xsavec | Xsavec64 => xsave(s, true, true),
        Xrstor | Xrstor64 => xrstor(s),
        Fnstenv | Fstenv => {
            let at = s.address(0, 28, Access::Store);
            store_environment(s, at);
        }
        Fnsave | Fsave => {
            let at = s.address(0, 108, Access::Store);
            store_environment(s, at);
            for st in 0..8 {
                let n = super::number(s, st);
                s.origin = s.registers.origin.x87[n];
                let v = s.registers.x87[n];
                let mut bytes = [0; 10];
                bytes[..8].copy_from_slice(&v[0].to_le_bytes());
                bytes[8..].copy_from_slice(&v[1].to_le_bytes()[..2]);
                s.store(at.wrapping_add(28 + 10 * st as u64), &bytes);
            }
            set_codes(s, false);
        }
        Fldenv | Frstor => {
            let environment = s.address(0, 28, Access::Load);
            let codes = s.load_bits(environment.wrapping_add(4), 16).v as u16 & super::CODES;
            s.registers.x87_codes = codes;
            s.registers.origin.x87_codes = if codes != 0 { s.origin } else { 0 };
            if m == Frstor {
                // The top of the stack comes with it.
                let mut word = [0; 2];
                s.guest.read(environment.wrapping_add(4), &mut word);
                let top = usize::from(word[1] >> 3 & 7);
                for st in 0..8 {
                    load_x87(s, environment.wrapping_add(28 + 10 * st as u64), (top + st) % 8);
                }
            }
        }
        _ => return false,
    }
    true
}

fn store_environment(s: &mut Step<'_>, at: u64) {
    let codes = s.registers.x87_codes.to_le_bytes();
    s.taint(any(&codes), s.registers.origin.x87_codes);
    let mut bytes = [0; 28];
    bytes[4..6].copy_from_slice(&codes);
    s.store(at, &bytes);
}

fn load_x87(s: &mut Step<'_>, at: u64, number: usize) {
    s.origin = 0;
    let low = s.load_bits(at, 64).v;
    let high = s.load_bits(at.wrapping_add(8), 16).v;
    s.write_x87(number, [low, high]);
}

/// The first 512 bytes of both forms.
fn store_legacy(s: &mut Step<'_>, at: u64, components: u64) {
    if components & X87 != 0 {
        let codes = s.registers.x87_codes.to_le_bytes();
        s.taint(any(&codes), s.registers.origin.x87_codes);
        let mut bytes = [0; 24];
        bytes[2..4].copy_from_slice(&codes);
        s.store(at, &bytes);
        for st in 0..8 {
            let n = super::number(s, st);
            s.origin = s.registers.origin.x87[n];
            let v = s.registers.x87[n];
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&v[0].to_le_bytes());
            bytes[8..10].copy_from_slice(&v[1].to_le_bytes()[..2]);
            s.store(at.wrapping_add(32 + 16 * st as u64), &bytes);
        }
    }
    if components & (SSE | AVX) != 0 {
        s.store(at.wrapping_add(24), &[0; 8]);
    }
    if components & SSE != 0 {
        for number in 0..16 {
            store_words(s, number, 0..2, at.wrapping_add(160 + 16 * number as u64));
        }
    }
}

fn store_words(s: &mut Step<'_>, number: usize, words: core::ops::Range<usize>, at: u64) {
    s.origin = s.registers.origin.vector[number];
    let mut bytes = [0; 64];
    let size = words.len() * 8;
    for (i, word) in words.enumerate() {
        bytes[8 * i..8 * i + 8].copy_from_slice(&s.registers.vector[number][word].to_le_bytes());
    }
    s.store(at, &bytes[..size]);
}

/// Puts words of a vector register: from memory, or defined ones.
fn load_words(s: &mut Step<'_>, number: usize, words: core::ops::Range<usize>, at: Option<u64>) {
    s.origin = 0;
    for (i, word) in words.enumerate() {
        let v = at.map_or(0, |at| s.load_bits(at.wrapping_add(8 * i as u64), 64).v);
        s.registers.vector[number][word] = v;
    }
    let old = s.registers.origin.vector[number];
    let any = s.registers.vector[number] != [0; 8];
    s.registers.origin.vector[number] = if any { old.max(s.origin) } else { 0 };
}

/// `asked`: what is restored; of that, `present` comes from memory and the rest is initial.
fn load_legacy(s: &mut Step<'_>, at: u64, asked: u64, present: u64) {
    if asked & X87 != 0 {
        let from_memory = present & X87 != 0;
        s.origin = 0;
        let codes = if from_memory { s.load_bits(at.wrapping_add(2), 16).v as u16 & super::CODES } else { 0 };
        s.registers.x87_codes = codes;
        s.registers.origin.x87_codes = if codes != 0 { s.origin } else { 0 };
        let mut word = [0; 2];
        s.guest.read(at.wrapping_add(2), &mut word);
        let top = usize::from(word[1] >> 3 & 7);
        for st in 0..8 {
            let number = (top + st) % 8;
            if from_memory {
                load_x87(s, at.wrapping_add(32 + 16 * st as u64), number);
            } else {
                s.write_x87(number, [0; 2]);
            }
        }
    }
    if asked & SSE != 0 {
        for number in 0..16 {
            let from = at.wrapping_add(160 + 16 * number as u64);
            load_words(s, number, 0..2, (present & SSE != 0).then_some(from));
        }
    }
}

fn requested(s: &mut Step<'_>, access: Access) -> (u64, u64) {
    let (low, high) = (s.gpr(0, 32), s.gpr(2, 32));
    let enabled = s.guest.state_components();
    let asked = (low.a | high.a << 32) & enabled;
    // Which bytes are touched depends on it.
    if (low.v | high.v << 32) & enabled != 0 {
        s.report_address(access, 8, s.origin);
    }
    s.origin = 0;
    (asked, s.address(0, 576, access))
}

/// Where each extended component lies.
fn places(compacted: Option<u64>) -> [(u64, u64); 4] {
    let mut next = 576u64;
    EXTENDED.map(|(component, offset, size, alignment)| match compacted {
        None => (component, offset),
        Some(all) if all & component == 0 => (component, next),
        Some(_) => {
            let at = next.next_multiple_of(alignment);
            next = at + size;
            (component, at)
        }
    })
}

fn xsave(s: &mut Step<'_>, compacted: bool, skips_initial: bool) {
    let (asked, at) = requested(s, Access::Store);
    let written = if skips_initial { asked & s.guest.state_in_use() } else { asked };
    store_legacy(s, at, written);
    if compacted && asked & SSE != 0 {
        // MXCSR goes with the request even if the registers are initial.
        s.store(at.wrapping_add(24), &[0; 8]);
    }
    s.origin = 0;
    // XSTATE_BV, and XCOMP_BV of the compacted form.
    let header = if compacted { 16 } else { 8 };
    s.store(at.wrapping_add(512), &[0; 16][..header]);
    for (component, offset) in places(compacted.then_some(asked)) {
        if written & component == 0 {
            continue;
        }
        let at = at.wrapping_add(offset);
        match component {
            AVX => (0..16).for_each(|n| store_words(s, n, 2..4, at.wrapping_add(16 * n as u64))),
            HIGH => (0..16).for_each(|n| store_words(s, n, 4..8, at.wrapping_add(32 * n as u64))),
            MORE => (0..16).for_each(|n| store_words(s, n + 16, 0..8, at.wrapping_add(64 * n as u64))),
            _ => {
                for n in 0..8 {
                    s.origin = s.registers.origin.mask[n];
                    s.store_bits(at.wrapping_add(8 * n as u64), 64, s.registers.mask[n]);
                }
            }
        }
    }
}

fn xrstor(s: &mut Step<'_>) {
    let (asked, at) = requested(s, Access::Load);
    let header = s.load_bits(at.wrapping_add(512), 64);
    let layout = s.load_bits(at.wrapping_add(520), 64);
    if header.v | layout.v != 0 {
        s.report_address(Access::Load, 16, s.origin);
    }
    let compacted = layout.a >> 63 != 0;
    let present = asked & header.a;
    load_legacy(s, at, asked, present);
    for (component, offset) in places(compacted.then_some(layout.a)) {
        if asked & component == 0 {
            continue;
        }
        let from = |step: u64, n: usize| {
            (present & component != 0).then(|| at.wrapping_add(offset + step * n as u64))
        };
        match component {
            AVX => (0..16).for_each(|n| load_words(s, n, 2..4, from(16, n))),
            HIGH => (0..16).for_each(|n| load_words(s, n, 4..8, from(32, n))),
            MORE => (0..16).for_each(|n| load_words(s, n + 16, 0..8, from(64, n))),
            _ => {
                for n in 0..8 {
                    s.origin = 0;
                    let v = from(8, n).map_or(0, |at| s.load_bits(at, 64).v);
                    s.registers.mask[n] = v;
                    s.registers.origin.mask[n] = if v != 0 { s.origin } else { 0 };
                }
            }
        }
    }
}

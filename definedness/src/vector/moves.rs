//! Vector moves: whole, low, scalar, halves, broadcasts, inserts and extracts.

use crate::bits::ones;
use crate::operand::Step;
use crate::wide::{Wide, ZERO};
use iced_x86::Mnemonic;

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Movaps | Movapd | Movdqa | Movups | Movupd | Movdqu | Lddqu | Movntdqa | Movntps | Movntpd
        | Movntdq | Movntq | Vmovdqa | Vmovdqu | Vlddqu | Vmovntdqa | Vmovntps | Vmovntpd | Vmovntdq
        | Vmovapd | Vmovupd | Vmovdqa64 | Vmovdqu64 => copy(s, 64),
        Vmovaps | Vmovups | Vmovdqa32 | Vmovdqu32 => copy(s, 32),
        Vmovdqu16 => copy(s, 16),
        Vmovdqu8 => copy(s, 8),
        Movd | Vmovd => low(s, 32),
        Movq | Vmovq | Movq2dq | Movdq2q => low(s, 64),
        Movss | Vmovss | Movntss => scalar(s, 32),
        Movsd | Vmovsd | Movntsd => scalar(s, 64),
        Movlps | Movlpd | Vmovlps | Vmovlpd => half(s, 0, 0),
        Movhps | Movhpd | Vmovhps | Vmovhpd => half(s, 1, 0),
        Movhlps | Vmovhlps => half(s, 0, 1),
        Movlhps | Vmovlhps => half(s, 1, 0),
        Vpbroadcastb => broadcast(s, 1, 8),
        Vpbroadcastw => broadcast(s, 2, 16),
        Vbroadcastss | Vpbroadcastd => broadcast(s, 4, 32),
        Vbroadcastsd | Vpbroadcastq => broadcast(s, 8, 64),
        Vbroadcastf32x2 | Vbroadcasti32x2 => broadcast(s, 8, 32),
        Vbroadcastf128 | Vbroadcasti128 | Vbroadcastf64x2 | Vbroadcasti64x2 => broadcast(s, 16, 64),
        Vbroadcastf32x4 | Vbroadcasti32x4 => broadcast(s, 16, 32),
        Vbroadcastf32x8 | Vbroadcasti32x8 => broadcast(s, 32, 32),
        Vbroadcastf64x4 | Vbroadcasti64x4 => broadcast(s, 32, 64),
        Pinsrb | Vpinsrb => insert(s, 8),
        Pinsrw | Vpinsrw => insert(s, 16),
        Pinsrd | Vpinsrd => insert(s, 32),
        Pinsrq | Vpinsrq => insert(s, 64),
        Insertps | Vinsertps => insert_float(s),
        Pextrb | Vpextrb => extract(s, 8),
        Pextrw | Vpextrw => extract(s, 16),
        Pextrd | Vpextrd | Extractps | Vextractps => extract(s, 32),
        Pextrq | Vpextrq => extract(s, 64),
        Vinsertf128 | Vinserti128 | Vinsertf64x2 | Vinserti64x2 => insert_part(s, 16, 64),
        Vinsertf32x4 | Vinserti32x4 => insert_part(s, 16, 32),
        Vinsertf32x8 | Vinserti32x8 => insert_part(s, 32, 32),
        Vinsertf64x4 | Vinserti64x4 => insert_part(s, 32, 64),
        Vextractf128 | Vextracti128 | Vextractf64x2 | Vextracti64x2 => extract_part(s, 16, 64),
        Vextractf32x4 | Vextracti32x4 => extract_part(s, 16, 32),
        Vextractf32x8 | Vextracti32x8 => extract_part(s, 32, 32),
        Vextractf64x4 | Vextracti64x4 => extract_part(s, 32, 64),
        Vzeroupper => zero(s, 2),
        Vzeroall => zero(s, 0),
        _ => return false,
    }
    true
}

fn copy(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let w = s.wide_lanes(1, size, width);
    s.write_lanes(0, &w, size, width);
}

/// movd, movq: the low lane, the rest of a vector register cleared.
fn low(s: &mut Step<'_>, width: u32) {
    let b = s.wide(1, width as usize / 8).lane(0, width);
    let mut r = ZERO;
    r.set(0, width, b.v);
    let register = s.register(0);
    if register.is_vector_register() {
        s.write_wide(0, &r, 16);
    } else if register.is_mm() {
        s.write_wide(0, &r, 8);
    } else {
        s.write(0, b.v);
    }
}

/// Writes a scalar result: the low lane under the first bit of the write mask, the rest of 128 bits from `upper`.
pub(super) fn write_scalar(s: &mut Step<'_>, width: u32, v: u64, upper: &Wide) {
    let mut r = *upper;
    r.set(0, width, v);
    let mask = s.write_mask();
    let bit = mask.at(0);
    if bit.v != 0 {
        r.set(0, width, u64::MAX);
    } else if bit.a == 0 {
        let old = s.wide(0, 16);
        r.set(0, width, if mask.zeroing { 0 } else { old.lane(0, width).v });
    }
    s.write_wide(0, &r, 16);
}

fn scalar(s: &mut Step<'_>, width: u32) {
    let size = width as usize / 8;
    if s.is_memory(0) {
        let w = s.wide(1, size);
        s.write_lanes(0, &w, size, width);
    } else if s.is_memory(1) {
        let w = s.wide_lanes(1, size, width);
        write_scalar(s, width, w.lane(0, width).v, &ZERO);
    } else {
        let (one, other) = if s.insn.op_count() == 3 { (1, 2) } else { (0, 1) };
        let (upper, low) = (s.wide(one, 16), s.wide(other, 16));
        write_scalar(s, width, low.lane(0, width).v, &upper);
    }
}

/// Moves 64 bits into half `to` of the destination; out of a register they come from half `from`.
fn half(s: &mut Step<'_>, to: usize, from: usize) {
    if s.is_memory(0) {
        let v = s.wide(1, 16).lane(to, 64).v;
        s.write(0, v);
        return;
    }
    let (keep, source) = s.sources();
    let mut r = s.wide(keep, 16);
    let new = if s.is_memory(source) { s.read(source) } else { s.wide(source, 16).lane(from, 64) };
    r.set(to, 64, new.v);
    s.write_wide(0, &r, 16);
}

/// Repeats the first `chunk` bytes of operand 1; elements of `width` bits count for the write mask.
fn broadcast(s: &mut Step<'_>, chunk: usize, width: u32) {
    let size = s.register(0).size();
    let w = s.wide(1, chunk);
    let mut r = ZERO;
    for i in 0..size {
        r.v[i] = w.v[i % chunk];
    }
    s.write_lanes(0, &r, size, width);
}

fn last(s: &Step<'_>) -> usize {
    usize::from(s.insn.immediate8())
}

fn insert(s: &mut Step<'_>, width: u32) {
    let (keep, from) = s.sources();
    let size = s.length();
    let mut r = s.wide(keep, size);
    let new = s.read(from);
    let lane = last(s) % (size * 8 / width as usize);
    r.set(lane, width, new.v & ones(width));
    s.write_wide(0, &r, size);
}

fn insert_float(s: &mut Step<'_>) {
    let (keep, from) = s.sources();
    let mut r = s.wide(keep, 16);
    let imm = last(s);
    let new = if s.is_memory(from) { s.read(from) } else { s.wide(from, 16).lane(imm >> 6, 32) };
    r.set(imm >> 4 & 3, 32, new.v);
    for lane in (0..4).filter(|lane| imm >> lane & 1 != 0) {
        r.set(lane, 32, 0);
    }
    s.write_wide(0, &r, 16);
}

fn extract(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let lane = last(s) % (size * 8 / width as usize);
    let v = s.wide(1, size).lane(lane, width).v;
    s.write(0, v);
}

fn insert_part(s: &mut Step<'_>, part: usize, width: u32) {
    let size = s.length();
    let mut r = s.wide(1, size);
    let new = s.wide(2, part);
    let at = last(s) % (size / part) * part;
    r.v[at..at + part].copy_from_slice(&new.v[..part]);
    s.write_lanes(0, &r, size, width);
}

fn extract_part(s: &mut Step<'_>, part: usize, width: u32) {
    let size = s.register(1).size();
    let w = s.wide(1, size);
    let at = last(s) % (size / part) * part;
    let mut r = ZERO;
    r.v[..part].copy_from_slice(&w.v[at..at + part]);
    s.write_lanes(0, &r, part, width);
}

/// Clears the first sixteen vector registers from a word on.
fn zero(s: &mut Step<'_>, from: usize) {
    for number in 0..16 {
        let register = &mut s.registers.vector[number];
        register[from..].fill(0);
        if *register == [0; 8] {
            s.registers.origin.vector[number] = 0;
        }
    }
}

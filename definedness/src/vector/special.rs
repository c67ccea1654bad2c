//! Sign masks, tests, string compares, cryptography and other instructions whose lanes mix.

use crate::bits::{Bits, ones, spread};
use crate::flags::{Flags, Status};
use crate::operand::Step;
use crate::wide::{Wide, ZERO};
use iced_x86::Mnemonic;

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Pmovmskb | Vpmovmskb => signs(s, 8),
        Movmskps | Vmovmskps => signs(s, 32),
        Movmskpd | Vmovmskpd => signs(s, 64),
        Ptest | Vptest => test(s, 64, u64::MAX),
        Vtestps => test(s, 32, 1 << 31),
        Vtestpd => test(s, 64, 1 << 63),
        Aesenc | Aesenclast | Aesdec | Aesdeclast | Vaesenc | Vaesenclast | Vaesdec | Vaesdeclast
        | Mpsadbw | Vmpsadbw | Vdbpsadbw | Sha1msg1 | Sha1msg2 | Sha1nexte | Sha1rnds4 | Sha256msg1
        | Sha256msg2 => parts(s, true),
        Aesimc | Vaesimc | Aeskeygenassist | Vaeskeygenassist => parts(s, false),
        Sha256rnds2 => {
            let key = s.implicit_vector(0);
            let (a, b) = (s.wide(0, 16), s.wide(1, 16));
            let v = key.any(8) || a.any(16) || b.any(16);
            let r = if v { Wide { v: [0xff; 64], ..ZERO } } else { ZERO };
            s.write_wide(0, &r, 16);
        }
        // The field's place comes from an immediate or from the source; what is above 64 bits is left undefined by the
        // manuals.
        Extrq | Insertq => {
            let v = s.wide(0, 8).any(8) | (s.register(1).is_xmm() && s.wide(1, 16).any(16));
            let r = if v { Wide { v: [0xff; 64], ..ZERO } } else { ZERO };
            s.write_wide(0, &r, 16);
        }
        Pclmulqdq | Vpclmulqdq => multiply_without_carry(s),
        Gf2p8affineqb | Vgf2p8affineqb | Gf2p8affineinvqb | Vgf2p8affineinvqb | Vpmultishiftqb => affine(s),
        Phminposuw | Vphminposuw => {
            let w = s.wide(1, 16);
            let mut r = ZERO;
            // A minimum of 16 bits and its index of 3.
            r.set(0, 64, if w.any(16) { 0x7_ffff } else { 0 });
            s.write_wide(0, &r, 16);
        }
        Pcmpistri | Vpcmpistri | Pcmpistrm | Vpcmpistrm | Pcmpestri | Vpcmpestri | Pcmpestrm | Vpcmpestrm
        | Pcmpestri64 | Vpcmpestri64 | Pcmpestrm64 | Vpcmpestrm64 => strings(s, m),
        Emms | Femms => {}
        Ldmxcsr | Vldmxcsr => {
            // The control word has no V bits of its own; its flags and modes count as defined.
            s.read(0);
        }
        Stmxcsr | Vstmxcsr => s.write(0, 0),
        _ => return false,
    }
    true
}

fn signs(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let w = s.wide(1, size);
    let lanes = size * 8 / width as usize;
    let v = (0..lanes).fold(0, |v, lane| v | (w.lane(lane, width).v >> (width - 1)) << lane);
    s.write(0, v);
}

/// Z: no bit in common; C: the second has none that the first has not.
fn test(s: &mut Step<'_>, width: u32, used: u64) {
    let size = s.length();
    let (a, b) = (s.wide(0, size), s.wide(1, size));
    // Of a bit in each lane: surely one somewhere, perhaps one somewhere.
    let decide = |f: &dyn Fn(Bits, Bits) -> Bits| {
        let fold = |(sure, may, is): (u64, u64, u64), lane: usize| {
            let x = f(a.lane(lane, width), b.lane(lane, width));
            (sure | (x.min() & used), may | (x.max() & used), is | (x.a & used))
        };
        let (sure, may, is) = (0..size * 8 / width as usize).fold((0, 0, 0), fold);
        (is == 0, sure == 0 && may != 0)
    };
    let z = decide(&|a, b| a.and(b));
    let c = if s.same(0, 1) { (true, false) } else { decide(&|a, b| a.not(width).and(b)) };
    let mut status = Status::lazy(Flags::STATUS, false);
    status.set(Flags::Z, z.0, z.1);
    status.set(Flags::C, c.0, c.1);
    s.set_flags(status);
}

/// Quadwords that mix within themselves; a write mask counts their bytes.
fn affine(s: &mut Step<'_>) {
    let size = s.length();
    let (one, other) = s.sources();
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let mut r = ZERO;
    for lane in 0..size / 8 {
        r.set(lane, 64, spread(a.lane(lane, 64).v | b.lane(lane, 64).v, u64::MAX));
    }
    s.write_lanes(0, &r, size, 8);
}

/// 128 bits of the result are undefined if those of the sources are.
fn parts(s: &mut Step<'_>, two: bool) {
    let size = s.length();
    let (one, other) = if two { s.sources() } else { (1, 1) };
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let mut r = ZERO;
    for part in 0..size / 16 {
        let at = part * 16..part * 16 + 16;
        if a.v[at.clone()].iter().chain(&b.v[at.clone()]).any(|&v| v != 0) {
            r.v[at].fill(0xff);
        }
    }
    s.write_lanes(0, &r, size, 16);
}

fn multiply_without_carry(s: &mut Step<'_>) {
    let size = s.length();
    let (one, other) = s.sources();
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let imm = s.insn.immediate8();
    let mut r = ZERO;
    for part in 0..size / 16 {
        let x = a.lane(2 * part + usize::from(imm & 1), 64);
        let y = b.lane(2 * part + usize::from(imm >> 4 & 1), 64);
        // A product with zero is zero; the top bit of 128 is never set.
        if x.v | y.v != 0 && x.max() != 0 && y.max() != 0 {
            r.set(2 * part, 64, u64::MAX);
            r.set(2 * part + 1, 64, u64::MAX >> 1);
        }
    }
    s.write_wide(0, &r, size);
}

/// String compares: undefined in full if an element that counts is. Elements behind the end of their string do not
/// count.
fn strings(s: &mut Step<'_>, m: Mnemonic) {
    use Mnemonic::*;
    let imm = s.insn.immediate8();
    let width = if imm & 1 != 0 { 16 } else { 8 };
    let count = 128 / width as usize;
    let implicit = matches!(m, Pcmpistri | Vpcmpistri | Pcmpistrm | Vpcmpistrm);
    let index = matches!(m, Pcmpistri | Vpcmpistri | Pcmpestri | Vpcmpestri | Pcmpestri64 | Vpcmpestri64);
    let wide_lengths = matches!(m, Pcmpestri64 | Vpcmpestri64 | Pcmpestrm64 | Vpcmpestrm64);
    let mut undefined = false;
    for (op, register) in [(0, 0), (1, 2)] {
        let w = s.wide(op, 16);
        let mut end = count;
        if implicit {
            let sure_end = |&lane: &usize| w.lane(lane, width) == Bits::default();
            end = (0..count).find(sure_end).unwrap_or(count);
        } else {
            let length = s.gpr(register, if wide_lengths { 64 } else { 32 });
            undefined |= length.v != 0;
            if length.v == 0 {
                let length = if wide_lengths { length.a as i64 } else { length.a as i32 as i64 };
                end = (length.unsigned_abs() as usize).min(count);
            }
        }
        undefined |= (0..end).any(|lane| w.lane(lane, width).v != 0);
    }
    let mut status = Status::lazy(Flags::STATUS, undefined);
    status.set(Flags::A, false, false);
    status.set(Flags::P, false, false);
    s.set_flags(status);
    let v = spread(undefined as u64, u64::MAX);
    if index {
        s.set_gpr(1, 0, 32, v & ones(5));
        return;
    }
    // The result is in xmm0; the VEX form clears what is above.
    let number = 0;
    let register = &mut s.registers.vector[number];
    register[..2].fill(v);
    if matches!(m, Vpcmpistrm | Vpcmpestrm | Vpcmpestrm64) {
        register[2..].fill(0);
    }
    if undefined {
        s.registers.origin.vector[number] = s.registers.origin.vector[number].max(s.origin);
    }
}

//! SSE to AVX-512 floating point: lanes are undefined in full if anything they are made of is.

use super::lanes::{accumulate, binary, horizontal, lazy, unary};
use super::moves::write_scalar;
use crate::bits::{ones, spread};
use crate::flags::{Flags, Status};
use crate::operand::Step;
use crate::wide::ZERO;
use iced_x86::Mnemonic;

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    // Compares and classes that write a mask register have a shape of their own.
    if s.register(0).is_k() {
        return false;
    }
    packed(s, m) || scalars(s, m) || conversions(s, m)
}

fn packed(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Addps | Subps | Mulps | Divps | Minps | Maxps | Addsubps | Cmpps | Vaddps | Vsubps | Vmulps
        | Vdivps | Vminps | Vmaxps | Vaddsubps | Vcmpps | Vscalefps | Vrangeps => binary(s, 32, lazy(32)),
        Addpd | Subpd | Mulpd | Divpd | Minpd | Maxpd | Addsubpd | Cmppd | Vaddpd | Vsubpd | Vmulpd
        | Vdivpd | Vminpd | Vmaxpd | Vaddsubpd | Vcmppd | Vscalefpd | Vrangepd => binary(s, 64, lazy(64)),
        Sqrtps | Rcpps | Rsqrtps | Roundps | Vsqrtps | Vrcpps | Vrsqrtps | Vroundps | Vrndscaleps
        | Vreduceps | Vgetexpps | Vgetmantps | Vrcp14ps | Vrsqrt14ps | Cvtdq2ps | Cvtps2dq | Cvttps2dq
        | Vcvtdq2ps | Vcvtps2dq | Vcvttps2dq | Vcvtudq2ps | Vcvtps2udq | Vcvttps2udq => {
            unary(s, 32, |a| spread(a.v, ones(32)))
        }
        Sqrtpd | Roundpd | Vsqrtpd | Vroundpd | Vrndscalepd | Vreducepd | Vgetexppd | Vgetmantpd
        | Vrcp14pd | Vrsqrt14pd | Vcvtqq2pd | Vcvtuqq2pd | Vcvtpd2qq | Vcvtpd2uqq | Vcvttpd2qq
        | Vcvttpd2uqq => unary(s, 64, |a| spread(a.v, u64::MAX)),
        Haddps | Hsubps | Vhaddps | Vhsubps => horizontal(s, 32),
        Haddpd | Hsubpd | Vhaddpd | Vhsubpd => horizontal(s, 64),
        Dpps | Vdpps => dot(s, 32),
        Dppd | Vdppd => dot(s, 64),
        Vfmadd132ps | Vfmadd213ps | Vfmadd231ps | Vfmsub132ps | Vfmsub213ps | Vfmsub231ps | Vfnmadd132ps
        | Vfnmadd213ps | Vfnmadd231ps | Vfnmsub132ps | Vfnmsub213ps | Vfnmsub231ps | Vfmaddsub132ps
        | Vfmaddsub213ps | Vfmaddsub231ps | Vfmsubadd132ps | Vfmsubadd213ps | Vfmsubadd231ps
        | Vfixupimmps | Vdpbf16ps => accumulate(s, 32),
        Vfmadd132pd | Vfmadd213pd | Vfmadd231pd | Vfmsub132pd | Vfmsub213pd | Vfmsub231pd | Vfnmadd132pd
        | Vfnmadd213pd | Vfnmadd231pd | Vfnmsub132pd | Vfnmsub213pd | Vfnmsub231pd | Vfmaddsub132pd
        | Vfmaddsub213pd | Vfmaddsub231pd | Vfmsubadd132pd | Vfmsubadd213pd | Vfmsubadd231pd
        | Vfixupimmpd => accumulate(s, 64),
        _ => return false,
    }
    true
}

/// Sums of the products that the upper half of the immediate names, put where its lower half says.
fn dot(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let (one, other) = s.sources();
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let imm = s.insn.immediate8();
    let part = 128 / width as usize;
    let mut r = ZERO;
    for base in (0..size * 8 / width as usize).step_by(part) {
        let used = (0..part).filter(|i| imm >> (4 + i) & 1 != 0);
        let v = used.fold(0, |v, i| v | a.lane(base + i, width).v | b.lane(base + i, width).v);
        for i in (0..part).filter(|i| imm >> i & 1 != 0) {
            r.set(base + i, width, spread(v, ones(width)));
        }
    }
    s.write_wide(0, &r, size);
}

/// A scalar result of `to` bits. The upper part of 128 bits comes from the first source, as does, if `both`, a lane.
fn scalar(s: &mut Step<'_>, from: u32, to: u32, both: bool) {
    let (one, other) = s.sources();
    let upper = s.wide(one, 16);
    if !both {
        // Only where it moves does the first source count: its lane is overwritten.
        s.origin = if upper.v[to as usize / 8..16].iter().any(|&v| v != 0) { s.origin } else { 0 };
    }
    let b = s.wide_lanes(other, from as usize / 8, from).lane(0, from);
    let a = if both { upper.lane(0, to).v } else { 0 };
    write_scalar(s, to, spread(a | b.v, ones(to)), &upper);
}

fn scalar_accumulate(s: &mut Step<'_>, width: u32) {
    let size = width as usize / 8;
    let upper = s.wide(0, 16);
    let (b, c) = (s.wide(1, size), s.wide_lanes(2, size, width));
    let v = upper.lane(0, width).v | b.lane(0, width).v | c.lane(0, width).v;
    write_scalar(s, width, spread(v, ones(width)), &upper);
}

fn scalars(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Addss | Subss | Mulss | Divss | Minss | Maxss | Cmpss | Vaddss | Vsubss | Vmulss | Vdivss
        | Vminss | Vmaxss | Vcmpss | Vscalefss | Vrangess => scalar(s, 32, 32, true),
        Addsd | Subsd | Mulsd | Divsd | Minsd | Maxsd | Cmpsd | Vaddsd | Vsubsd | Vmulsd | Vdivsd
        | Vminsd | Vmaxsd | Vcmpsd | Vscalefsd | Vrangesd => scalar(s, 64, 64, true),
        Sqrtss | Rcpss | Rsqrtss | Roundss | Vsqrtss | Vrcpss | Vrsqrtss | Vroundss | Vrndscaless
        | Vreducess | Vgetexpss | Vgetmantss | Vrcp14ss | Vrsqrt14ss => scalar(s, 32, 32, false),
        Sqrtsd | Roundsd | Vsqrtsd | Vroundsd | Vrndscalesd | Vreducesd | Vgetexpsd | Vgetmantsd
        | Vrcp14sd | Vrsqrt14sd => scalar(s, 64, 64, false),
        Cvtss2sd | Vcvtss2sd => scalar(s, 32, 64, false),
        Cvtsd2ss | Vcvtsd2ss => scalar(s, 64, 32, false),
        Vfmadd132ss | Vfmadd213ss | Vfmadd231ss | Vfmsub132ss | Vfmsub213ss | Vfmsub231ss | Vfnmadd132ss
        | Vfnmadd213ss | Vfnmadd231ss | Vfnmsub132ss | Vfnmsub213ss | Vfnmsub231ss => {
            scalar_accumulate(s, 32)
        }
        Vfmadd132sd | Vfmadd213sd | Vfmadd231sd | Vfmsub132sd | Vfmsub213sd | Vfmsub231sd | Vfnmadd132sd
        | Vfnmadd213sd | Vfnmadd231sd | Vfnmsub132sd | Vfnmsub213sd | Vfnmsub231sd => {
            scalar_accumulate(s, 64)
        }
        Comiss | Ucomiss | Vcomiss | Vucomiss => compare(s, 32),
        Comisd | Ucomisd | Vcomisd | Vucomisd => compare(s, 64),
        _ => return false,
    }
    true
}

fn compare(s: &mut Step<'_>, width: u32) {
    let size = width as usize / 8;
    // A NaN in either is unordered with itself, but a number is equal to itself: not constant.
    let v = s.wide(0, size).lane(0, width).v | s.wide(1, size).lane(0, width).v;
    let mut status = Status::lazy(Flags::STATUS, false);
    for flag in [Flags::Z, Flags::P, Flags::C] {
        status.set(flag, false, v != 0);
    }
    s.set_flags(status);
}

fn conversions(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Cvtdq2pd | Cvtps2pd | Vcvtdq2pd | Vcvtps2pd | Vcvtudq2pd | Vcvtps2qq | Vcvtps2uqq | Vcvttps2qq
        | Vcvttps2uqq => widen(s, 32, 64),
        Vcvtph2ps => widen(s, 16, 32),
        Cvtpd2ps | Cvtpd2dq | Cvttpd2dq | Vcvtpd2ps | Vcvtpd2dq | Vcvttpd2dq | Vcvtpd2udq | Vcvttpd2udq
        | Vcvtqq2ps | Vcvtuqq2ps => return narrow(s, 64, 32),
        Vcvtps2ph => return narrow(s, 32, 16),
        Cvtsi2ss | Vcvtsi2ss | Vcvtusi2ss => from_integer(s, 32),
        Cvtsi2sd | Vcvtsi2sd | Vcvtusi2sd => from_integer(s, 64),
        Cvtss2si | Cvttss2si | Vcvtss2si | Vcvttss2si | Vcvtss2usi | Vcvttss2usi => to_integer(s, 32),
        Cvtsd2si | Cvttsd2si | Vcvtsd2si | Vcvttsd2si | Vcvtsd2usi | Vcvttsd2usi => to_integer(s, 64),
        Cvtpi2ps | Cvtps2pi | Cvttps2pi => {
            let w = s.wide(1, 8);
            let mut r = ZERO;
            for lane in 0..2 {
                r.set(lane, 32, spread(w.lane(lane, 32).v, ones(32)));
            }
            s.write_wide(0, &r, 8);
        }
        Cvtpi2pd => {
            let w = s.wide(1, 8);
            let mut r = ZERO;
            for lane in 0..2 {
                r.set(lane, 64, spread(w.lane(lane, 32).v, u64::MAX));
            }
            s.write_wide(0, &r, 16);
        }
        Cvtpd2pi | Cvttpd2pi => {
            let w = s.wide(1, 16);
            let mut r = ZERO;
            for lane in 0..2 {
                r.set(lane, 32, spread(w.lane(lane, 64).v, ones(32)));
            }
            s.write_wide(0, &r, 8);
        }
        _ => return false,
    }
    true
}

fn widen(s: &mut Step<'_>, from: u32, to: u32) {
    let size = s.register(0).size();
    let w = s.wide_lanes(1, size * from as usize / to as usize, from);
    let mut r = ZERO;
    for lane in 0..size * 8 / to as usize {
        r.set(lane, to, spread(w.lane(lane, from).v, ones(to)));
    }
    s.write_lanes(0, &r, size, to);
}

/// Halves the lanes; what a register has above them is cleared. A broadcast source, whose length the decoder does
/// not tell, has no rule here.
fn narrow(s: &mut Step<'_>, from: u32, to: u32) -> bool {
    if s.insn.is_broadcast() {
        return false;
    }
    let size = if s.is_memory(1) { s.insn.memory_size().size() } else { s.register(1).size() };
    let w = s.wide_lanes(1, size, from);
    let mut r = ZERO;
    let count = size * 8 / from as usize;
    for lane in 0..count {
        r.set(lane, to, spread(w.lane(lane, from).v, ones(to)));
    }
    s.write_narrow(0, &r, count, to);
    true
}

fn from_integer(s: &mut Step<'_>, width: u32) {
    let (one, other) = s.sources();
    let upper = s.wide(one, 16);
    let b = s.read(other);
    write_scalar(s, width, spread(b.v, ones(width)), &upper);
}

fn to_integer(s: &mut Step<'_>, width: u32) {
    let b = s.wide(1, width as usize / 8).lane(0, width);
    s.write(0, spread(b.v, u64::MAX));
}

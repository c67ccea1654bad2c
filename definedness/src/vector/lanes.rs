//! Bitwise logic and integer arithmetic by lanes, shifts, packs.

use crate::bits::{self, Bits, Shift, equal_undefined, greater_undefined, ones, shift, spread};
use crate::operand::Step;
use crate::wide::{Wide, ZERO};
use iced_x86::{Mnemonic, OpKind};

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    logic(s, m) || arithmetic(s, m) || shifts(s, m) || widths(s, m)
}

/// A result by lanes of two sources.
pub(super) fn binary(s: &mut Step<'_>, width: u32, f: impl Fn(Bits, Bits) -> u64) {
    let size = s.length();
    let (one, other) = s.sources();
    let (a, b) = (s.wide_lanes(one, size, width), s.wide_lanes(other, size, width));
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        r.set(lane, width, f(a.lane(lane, width), b.lane(lane, width)));
    }
    s.write_lanes(0, &r, size, width);
}

/// A result by lanes of operand 1.
pub(super) fn unary(s: &mut Step<'_>, width: u32, f: impl Fn(Bits) -> u64) {
    let size = s.length();
    let a = s.wide_lanes(1, size, width);
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        r.set(lane, width, f(a.lane(lane, width)));
    }
    s.write_lanes(0, &r, size, width);
}

/// A result that is the same whatever the operands hold.
pub(super) fn constant(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    s.write_lanes(0, &ZERO, size, width);
}

pub(super) fn lazy(width: u32) -> impl Fn(Bits, Bits) -> u64 {
    move |a, b| spread(a.v | b.v, ones(width))
}

fn logic(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    // The element matters under a write mask only.
    let width = match m {
        Vpandd | Vpandnd | Vpord | Vpxord | Vandps | Vandnps | Vorps | Vxorps => 32,
        _ => 64,
    };
    match m {
        Pand | Vpand | Vpandd | Vpandq | Andps | Vandps | Andpd | Vandpd => {
            binary(s, width, |a, b| a.and(b).v)
        }
        Por | Vpor | Vpord | Vporq | Orps | Vorps | Orpd | Vorpd => binary(s, width, |a, b| a.or(b).v),
        Pandn | Vpandn | Vpandnd | Vpandnq | Andnps | Vandnps | Andnpd | Vandnpd => {
            if s.same_sources() {
                constant(s, width);
            } else {
                binary(s, width, |a, b| a.not(64).and(b).v);
            }
        }
        Pxor | Vpxor | Vpxord | Vpxorq | Xorps | Vxorps | Xorpd | Vxorpd => {
            if s.same_sources() {
                constant(s, width);
            } else {
                binary(s, width, |a, b| a.v | b.v);
            }
        }
        Vpternlogd => ternary(s, 32),
        Vpternlogq => ternary(s, 64),
        _ => return false,
    }
    true
}

/// Any function of three bits; undefined where two fillings of the undefined ones differ.
fn ternary(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let table = s.insn.immediate8();
    let [a, b, c] = [0, 1, 2].map(|op| s.wide_lanes(op, size, width));
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        let [a, b, c] = [&a, &b, &c].map(|w| w.lane(lane, width));
        let (mut can_be_0, mut can_be_1) = (0, 0);
        for row in 0..8u32 {
            let matches = |x: Bits, bit: u32| if row >> bit & 1 != 0 { x.max() } else { !x.min() };
            let possible = matches(a, 2) & matches(b, 1) & matches(c, 0);
            if table >> row & 1 != 0 {
                can_be_1 |= possible;
            } else {
                can_be_0 |= possible;
            }
        }
        r.set(lane, width, can_be_0 & can_be_1);
    }
    if s.same(0, 1) && s.same(1, 2) && matches!(table & 0x81, 0 | 0x81) {
        r = ZERO;
    }
    s.write_lanes(0, &r, size, width);
}

fn arithmetic(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    // A register against itself has one result whatever it holds.
    let unless_same = |s: &mut Step<'_>, width: u32, f: &dyn Fn(Bits, Bits) -> u64| {
        if s.same_sources() { constant(s, width) } else { binary(s, width, f) }
    };
    let add = |width| move |a, b| bits::add(a, b, Bits::default(), width).v;
    let sub = |width| move |a, b| bits::sub(a, b, width).v;
    let equal = |width| move |a, b| if equal_undefined(a, b) { ones(width) } else { 0 };
    let greater = |width| move |a, b| if greater_undefined(a, b, width, true) { ones(width) } else { 0 };
    // A compare into a mask register has another shape.
    if s.register(0).is_k() {
        return false;
    }
    match m {
        Paddb | Vpaddb => binary(s, 8, add(8)),
        Paddw | Vpaddw => binary(s, 16, add(16)),
        Paddd | Vpaddd => binary(s, 32, add(32)),
        Paddq | Vpaddq => binary(s, 64, add(64)),
        Psubb | Vpsubb => unless_same(s, 8, &sub(8)),
        Psubw | Vpsubw => unless_same(s, 16, &sub(16)),
        Psubd | Vpsubd => unless_same(s, 32, &sub(32)),
        Psubq | Vpsubq => unless_same(s, 64, &sub(64)),
        Pcmpeqb | Vpcmpeqb => unless_same(s, 8, &equal(8)),
        Pcmpeqw | Vpcmpeqw => unless_same(s, 16, &equal(16)),
        Pcmpeqd | Vpcmpeqd => unless_same(s, 32, &equal(32)),
        Pcmpeqq | Vpcmpeqq => unless_same(s, 64, &equal(64)),
        Pcmpgtb | Vpcmpgtb => unless_same(s, 8, &greater(8)),
        Pcmpgtw | Vpcmpgtw => unless_same(s, 16, &greater(16)),
        Pcmpgtd | Vpcmpgtd => unless_same(s, 32, &greater(32)),
        Pcmpgtq | Vpcmpgtq => unless_same(s, 64, &greater(64)),
        Pminub | Vpminub => extreme(s, 8, false, false),
        Pminuw | Vpminuw => extreme(s, 16, false, false),
        Pminud | Vpminud => extreme(s, 32, false, false),
        Vpminuq => extreme(s, 64, false, false),
        Pminsb | Vpminsb => extreme(s, 8, true, false),
        Pminsw | Vpminsw => extreme(s, 16, true, false),
        Pminsd | Vpminsd => extreme(s, 32, true, false),
        Vpminsq => extreme(s, 64, true, false),
        Pmaxub | Vpmaxub => extreme(s, 8, false, true),
        Pmaxuw | Vpmaxuw => extreme(s, 16, false, true),
        Pmaxud | Vpmaxud => extreme(s, 32, false, true),
        Vpmaxuq => extreme(s, 64, false, true),
        Pmaxsb | Vpmaxsb => extreme(s, 8, true, true),
        Pmaxsw | Vpmaxsw => extreme(s, 16, true, true),
        Pmaxsd | Vpmaxsd => extreme(s, 32, true, true),
        Vpmaxsq => extreme(s, 64, true, true),
        Paddusb | Vpaddusb => unsigned_sum(s, 8, false),
        Paddusw | Vpaddusw => unsigned_sum(s, 16, false),
        Psubusb | Vpsubusb => unsigned_sum(s, 8, true),
        Psubusw | Vpsubusw => unsigned_sum(s, 16, true),
        Pavgb | Vpavgb | Pavgusb => average(s, 8),
        Pavgw | Vpavgw => average(s, 16),
        Paddsb | Vpaddsb | Psubsb | Vpsubsb | Psignb | Vpsignb | Gf2p8mulb | Vgf2p8mulb => {
            binary(s, 8, lazy(8))
        }
        Paddsw | Vpaddsw | Psubsw | Vpsubsw | Psignw | Vpsignw | Pmulhw | Vpmulhw | Pmulhuw | Vpmulhuw
        | Pmulhrsw | Vpmulhrsw | Pmaddubsw | Vpmaddubsw | Pmulhrw => binary(s, 16, lazy(16)),
        Psignd | Vpsignd | Pmaddwd | Vpmaddwd => binary(s, 32, lazy(32)),
        Pmullw | Vpmullw => binary(s, 16, product(16)),
        Pmulld | Vpmulld => binary(s, 32, product(32)),
        Vpmullq => binary(s, 64, product(64)),
        Pmuludq | Vpmuludq => binary(s, 64, move |a, b| {
            let (a, b) = (a.cut(32), b.cut(32));
            let (low, high) = bits::multiply(a, b, 32, false);
            low | high << 32
        }),
        Pmuldq | Vpmuldq => binary(s, 64, |a, b| {
            let (low, high) = bits::multiply(a.cut(32), b.cut(32), 32, true);
            low | high << 32
        }),
        Pabsb | Vpabsb => unary(s, 8, |a| spread(a.v, ones(8))),
        Pabsw | Vpabsw => unary(s, 16, |a| spread(a.v, ones(16))),
        Pabsd | Vpabsd => unary(s, 32, |a| spread(a.v, ones(32))),
        Vpabsq | Vplzcntq | Vpopcntq => unary(s, 64, |a| spread(a.v, ones(64))),
        Vplzcntd | Vpopcntd => unary(s, 32, |a| spread(a.v, ones(32))),
        Vpopcntw => unary(s, 16, |a| spread(a.v, ones(16))),
        Vpopcntb => unary(s, 8, |a| spread(a.v, ones(8))),
        Phaddw | Vphaddw | Phaddsw | Vphaddsw | Phsubw | Vphsubw | Phsubsw | Vphsubsw => horizontal(s, 16),
        Phaddd | Vphaddd | Phsubd | Vphsubd => horizontal(s, 32),
        Psadbw | Vpsadbw => {
            // Sums of eight differences: 11 bits.
            binary(s, 64, |a, b| spread(a.v | b.v, 0x7ff));
        }
        Vpmadd52luq | Vpmadd52huq => accumulate(s, 64),
        Vpdpbusd | Vpdpbusds | Vpdpwssd | Vpdpwssds => accumulate(s, 32),
        _ => return false,
    }
    true
}

fn extreme(s: &mut Step<'_>, width: u32, signed: bool, greater: bool) {
    binary(s, width, |a, b| bits::extreme(a, b, width, signed, greater));
}

/// A sum or difference that stops at the ends.
fn unsigned_sum(s: &mut Step<'_>, width: u32, subtract: bool) {
    if subtract {
        // Against the complement, a difference rises with both.
        let f = |a: u64, b: u64| a.saturating_sub(!b & ones(width));
        binary(s, width, |a, b| {
            let exact = a.min() >= b.max();
            if exact { bits::sub(a, b, width).v } else { bits::rising(a, b.not(width), f) }
        });
    } else {
        let f = |a: u64, b: u64| (a + b).min(ones(width));
        binary(s, width, |a, b| {
            let exact = a.max() + b.max() <= ones(width);
            if exact { bits::add(a, b, Bits::default(), width).v } else { bits::rising(a, b, f) }
        });
    }
}

fn average(s: &mut Step<'_>, width: u32) {
    binary(s, width, |a, b| bits::add(a, b, Bits::defined(1), width + 1).v >> 1);
}

fn product(width: u32) -> impl Fn(Bits, Bits) -> u64 {
    move |a, b| bits::multiply(a, b, width, false).0
}

/// Lanes of three sources, the destination among them.
pub(super) fn accumulate(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let [a, b, c] = [0, 1, 2].map(|op| s.wide_lanes(op, size, width));
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        let v = a.lane(lane, width).v | b.lane(lane, width).v | c.lane(lane, width).v;
        r.set(lane, width, spread(v, ones(width)));
    }
    s.write_lanes(0, &r, size, width);
}

/// Sums of neighbours, within each 128 bits: first those of one source, then those of the other.
pub(super) fn horizontal(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let (one, other) = s.sources();
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let half = size.min(16) * 4 / width as usize;
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        let (part, i) = (lane / (2 * half), lane % (2 * half));
        let (source, pair) = if i < half { (&a, i) } else { (&b, i - half) };
        let from = part * 2 * half + 2 * pair;
        let v = source.lane(from, width).v | source.lane(from + 1, width).v;
        r.set(lane, width, spread(v, ones(width)));
    }
    s.write_wide(0, &r, size);
}

fn shifts(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Psllw | Vpsllw => by_one(s, 16, Shift::Left),
        Pslld | Vpslld => by_one(s, 32, Shift::Left),
        Psllq | Vpsllq => by_one(s, 64, Shift::Left),
        Psrlw | Vpsrlw => by_one(s, 16, Shift::Right),
        Psrld | Vpsrld => by_one(s, 32, Shift::Right),
        Psrlq | Vpsrlq => by_one(s, 64, Shift::Right),
        Psraw | Vpsraw => by_one(s, 16, Shift::Arithmetic),
        Psrad | Vpsrad => by_one(s, 32, Shift::Arithmetic),
        Vpsraq => by_one(s, 64, Shift::Arithmetic),
        Vpsllvw => by_lanes(s, 16, Shift::Left),
        Vpsllvd => by_lanes(s, 32, Shift::Left),
        Vpsllvq => by_lanes(s, 64, Shift::Left),
        Vpsrlvw => by_lanes(s, 16, Shift::Right),
        Vpsrlvd => by_lanes(s, 32, Shift::Right),
        Vpsrlvq => by_lanes(s, 64, Shift::Right),
        Vpsravw => by_lanes(s, 16, Shift::Arithmetic),
        Vpsravd => by_lanes(s, 32, Shift::Arithmetic),
        Vpsravq => by_lanes(s, 64, Shift::Arithmetic),
        Vprold => rotate_immediate(s, 32, false),
        Vprolq => rotate_immediate(s, 64, false),
        Vprord => rotate_immediate(s, 32, true),
        Vprorq => rotate_immediate(s, 64, true),
        Vprolvd => rotate_lanes(s, 32, false),
        Vprolvq => rotate_lanes(s, 64, false),
        Vprorvd => rotate_lanes(s, 32, true),
        Vprorvq => rotate_lanes(s, 64, true),
        Vpshldw => funnel(s, 16, true),
        Vpshldd => funnel(s, 32, true),
        Vpshldq => funnel(s, 64, true),
        Vpshrdw => funnel(s, 16, false),
        Vpshrdd => funnel(s, 32, false),
        Vpshrdq => funnel(s, 64, false),
        Vpshldvw | Vpshrdvw => accumulate(s, 16),
        Vpshldvd | Vpshrdvd => accumulate(s, 32),
        Vpshldvq | Vpshrdvq => accumulate(s, 64),
        _ => return false,
    }
    true
}

/// All lanes by one amount: an immediate, or the low 64 bits of a vector.
fn by_one(s: &mut Step<'_>, width: u32, kind: Shift) {
    let size = s.length();
    let (from, count) = s.sources();
    let x = s.wide_lanes(from, size, width);
    let amount = if s.insn.op_kind(count) == OpKind::Immediate8 {
        Bits::defined(s.insn.immediate8().into())
    } else {
        // The count operand has 128 bits, of which the low 64 count.
        let size = if s.register(0).is_mm() { 8 } else { 16 };
        s.wide(count, size).lane(0, 64)
    };
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        let v = x.lane(lane, width).v;
        let v = if amount.v != 0 { ones(width) } else { shift(v, amount.a, width, kind) };
        r.set(lane, width, v);
    }
    s.write_lanes(0, &r, size, width);
}

fn by_lanes(s: &mut Step<'_>, width: u32, kind: Shift) {
    binary(s, width, |x, count| if count.v != 0 { ones(width) } else { shift(x.v, count.a, width, kind) });
}

fn rotated(x: u64, count: u64, width: u32, right: bool) -> u64 {
    let count = count as u32 % width;
    let left = if right { (width - count) % width } else { count };
    if left == 0 { x } else { (x << left | x >> (width - left)) & ones(width) }
}

fn rotate_immediate(s: &mut Step<'_>, width: u32, right: bool) {
    let count = u64::from(s.insn.immediate8());
    unary(s, width, |x| rotated(x.v, count, width, right));
}

fn rotate_lanes(s: &mut Step<'_>, width: u32, right: bool) {
    binary(s, width, |x, count| {
        if count.v & u64::from(width - 1) != 0 { ones(width) } else { rotated(x.v, count.a, width, right) }
    });
}

/// Two lanes joined and shifted by an immediate.
fn funnel(s: &mut Step<'_>, width: u32, left: bool) {
    let count = u32::from(s.insn.immediate8()) % width;
    let rest = u64::from(width - count);
    binary(s, width, |x, y| {
        let (from, into) = if left { (Shift::Left, Shift::Right) } else { (Shift::Right, Shift::Left) };
        shift(x.v, count.into(), width, from) | shift(y.v, rest, width, into)
    });
}

fn widths(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Packsswb | Vpacksswb => pack(s, 16, true),
        Packuswb | Vpackuswb => pack(s, 16, false),
        Packssdw | Vpackssdw => pack(s, 32, true),
        Packusdw | Vpackusdw => pack(s, 32, false),
        Pmovzxbw | Vpmovzxbw => widen(s, 8, 16, false),
        Pmovzxbd | Vpmovzxbd => widen(s, 8, 32, false),
        Pmovzxbq | Vpmovzxbq => widen(s, 8, 64, false),
        Pmovzxwd | Vpmovzxwd => widen(s, 16, 32, false),
        Pmovzxwq | Vpmovzxwq => widen(s, 16, 64, false),
        Pmovzxdq | Vpmovzxdq => widen(s, 32, 64, false),
        Pmovsxbw | Vpmovsxbw => widen(s, 8, 16, true),
        Pmovsxbd | Vpmovsxbd => widen(s, 8, 32, true),
        Pmovsxbq | Vpmovsxbq => widen(s, 8, 64, true),
        Pmovsxwd | Vpmovsxwd => widen(s, 16, 32, true),
        Pmovsxwq | Vpmovsxwq => widen(s, 16, 64, true),
        Pmovsxdq | Vpmovsxdq => widen(s, 32, 64, true),
        Vpmovwb => narrow(s, 16, 8, false),
        Vpmovdb => narrow(s, 32, 8, false),
        Vpmovqb => narrow(s, 64, 8, false),
        Vpmovdw => narrow(s, 32, 16, false),
        Vpmovqw => narrow(s, 64, 16, false),
        Vpmovqd => narrow(s, 64, 32, false),
        Vpmovswb | Vpmovuswb => narrow(s, 16, 8, true),
        Vpmovsdb | Vpmovusdb => narrow(s, 32, 8, true),
        Vpmovsqb | Vpmovusqb => narrow(s, 64, 8, true),
        Vpmovsdw | Vpmovusdw => narrow(s, 32, 16, true),
        Vpmovsqw | Vpmovusqw => narrow(s, 64, 16, true),
        Vpmovsqd | Vpmovusqd => narrow(s, 64, 32, true),
        _ => return false,
    }
    true
}

/// Saturating packs of two sources, within each 128 bits. `width` is that of the source lanes.
fn pack(s: &mut Step<'_>, width: u32, signed: bool) {
    let size = s.length();
    let (one, other) = s.sources();
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let half = size.min(16) * 8 / width as usize;
    let to = width / 2;
    let (lowest, highest) = if signed { (-(1 << (to - 1)), (1 << (to - 1)) - 1) } else { (0, (1 << to) - 1) };
    let mut r = ZERO;
    for lane in 0..size * 8 / to as usize {
        let (part, i) = (lane / (2 * half), lane % (2 * half));
        let (source, i): (&Wide, usize) = if i < half { (&a, i) } else { (&b, i - half) };
        let x = source.lane(part * half + i, width);
        let v = bits::saturate(x, width, lowest, highest, to);
        r.set(lane, to, v);
    }
    s.write_lanes(0, &r, size, to);
}

fn widen(s: &mut Step<'_>, from: u32, to: u32, signed: bool) {
    let size = s.length();
    let x = s.wide_lanes(1, size * from as usize / to as usize, from);
    let mut r = ZERO;
    for lane in 0..size * 8 / to as usize {
        let b = x.lane(lane, from);
        r.set(lane, to, if signed { b.extend(from, to).v } else { b.v });
    }
    s.write_lanes(0, &r, size, to);
}

/// Truncates, or saturates; what a register has above the result is cleared.
fn narrow(s: &mut Step<'_>, from: u32, to: u32, saturates: bool) {
    let size = s.register(1).size();
    let x = s.wide(1, size);
    let mut r = ZERO;
    let count = size * 8 / from as usize;
    for lane in 0..count {
        let v = x.lane(lane, from).v;
        r.set(lane, to, if saturates { spread(v, ones(to)) } else { v });
    }
    s.write_narrow(0, &r, count, to);
}

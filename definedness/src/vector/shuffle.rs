//! Instructions that only move elements: the V bits move in the same way.
//!
//! Where the positions come from a register, an element whose control is undefined is undefined in full.

use crate::bits::{Bits, ones};
use crate::operand::Step;
use crate::wide::{Wide, ZERO};
use iced_x86::{Mnemonic, OpKind};

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    fixed(s, m) || controlled(s, m) || blends(s, m)
}

/// Writes elements that come from the two sources: `from` names an element of the first (below the count) or of the
/// second, or nothing, for a zero.
fn arrange(s: &mut Step<'_>, width: u32, mask: u32, from: impl Fn(usize) -> Option<usize>) {
    let size = s.length();
    let count = size * 8 / width as usize;
    let (one, other) = s.sources();
    let (a, b) = (s.wide(one, size), s.wide(other, size));
    let mut r = ZERO;
    for lane in 0..count {
        let v = match from(lane) {
            Some(i) if i < count => a.lane(i, width).v,
            Some(i) => b.lane(i - count, width).v,
            None => 0,
        };
        r.set(lane, width, v);
    }
    s.write_lanes(0, &r, size, mask);
}

/// The same with one source, operand 1.
fn arrange_one(s: &mut Step<'_>, width: u32, mask: u32, from: impl Fn(usize) -> usize) {
    let size = s.length();
    let w = s.wide(1, size);
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        r.set(lane, width, w.lane(from(lane), width).v);
    }
    s.write_lanes(0, &r, size, mask);
}

/// Elements of the low or high half of each 128 bits of both sources, alternating.
fn unpack(s: &mut Step<'_>, width: u32, high: bool) {
    let size = s.length();
    let count = size * 8 / width as usize;
    let part = size.min(16) * 8 / width as usize;
    arrange(s, width, width, |lane| {
        let i = lane % part;
        let from = lane - i + i / 2 + if high { part / 2 } else { 0 };
        Some(if i & 1 == 0 { from } else { count + from })
    });
}

fn fixed(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    let imm = if (0..s.insn.op_count()).any(|op| s.insn.op_kind(op) == OpKind::Immediate8) {
        usize::from(s.insn.immediate8())
    } else {
        0
    };
    match m {
        Punpcklbw | Vpunpcklbw => unpack(s, 8, false),
        Punpcklwd | Vpunpcklwd => unpack(s, 16, false),
        Punpckldq | Vpunpckldq | Unpcklps | Vunpcklps => unpack(s, 32, false),
        Punpcklqdq | Vpunpcklqdq | Unpcklpd | Vunpcklpd => unpack(s, 64, false),
        Punpckhbw | Vpunpckhbw => unpack(s, 8, true),
        Punpckhwd | Vpunpckhwd => unpack(s, 16, true),
        Punpckhdq | Vpunpckhdq | Unpckhps | Vunpckhps => unpack(s, 32, true),
        Punpckhqdq | Vpunpckhqdq | Unpckhpd | Vunpckhpd => unpack(s, 64, true),
        Pshufd | Vpshufd => arrange_one(s, 32, 32, |i| i & !3 | imm >> (2 * (i & 3)) & 3),
        Pshufw => arrange_one(s, 16, 16, |i| imm >> (2 * i) & 3),
        Pshuflw | Vpshuflw => {
            arrange_one(s, 16, 16, |i| if i & 4 == 0 { i & !3 | imm >> (2 * (i & 3)) & 3 } else { i })
        }
        Pshufhw | Vpshufhw => {
            arrange_one(s, 16, 16, |i| if i & 4 != 0 { i & !3 | imm >> (2 * (i & 3)) & 3 } else { i })
        }
        Movddup | Vmovddup => {
            // From memory it loads 64 bits where the result has 128.
            if s.length() == 16 {
                let b = s.wide(1, 8).lane(0, 64);
                let mut r = ZERO;
                r.set(0, 64, b.v);
                r.set(1, 64, b.v);
                s.write_lanes(0, &r, 16, 64);
            } else {
                arrange_one(s, 64, 64, |i| i & !1);
            }
        }
        Movshdup | Vmovshdup => arrange_one(s, 32, 32, |i| i | 1),
        Movsldup | Vmovsldup => arrange_one(s, 32, 32, |i| i & !1),
        Shufps | Vshufps => {
            let count = s.length() / 4;
            arrange(s, 32, 32, |i| {
                let from = i & !3 | imm >> (2 * (i & 3)) & 3;
                Some(if i & 2 == 0 { from } else { count + from })
            });
        }
        Shufpd | Vshufpd => {
            let count = s.length() / 8;
            arrange(s, 64, 64, |i| {
                let from = i & !1 | imm >> i & 1;
                Some(if i & 1 == 0 { from } else { count + from })
            });
        }
        Palignr | Vpalignr => {
            let size = s.length();
            let part = size.min(16);
            arrange(s, 8, 8, |i| {
                let (base, at) = (i / part * part, i % part + imm);
                match at / part {
                    0 => Some(size + base + at),
                    1 => Some(base + at - part),
                    _ => None,
                }
            });
        }
        Valignd | Valignq => {
            let width = if m == Valignd { 32 } else { 64 };
            let count = s.length() * 8 / width as usize;
            arrange(s, width, width, |i| {
                let at = i + imm % count;
                Some(if at < count { count + at } else { at - count })
            });
        }
        Pslldq | Psrldq | Vpslldq | Vpsrldq => {
            let left = matches!(m, Pslldq | Vpslldq);
            let source = if s.legacy() { 0 } else { 1 };
            let size = s.length();
            let w = s.wide(source, size);
            let mut r = ZERO;
            for i in 0..size {
                let (base, at) = (i & !15, i & 15);
                let from = if left { at.checked_sub(imm) } else { Some(at + imm).filter(|&f| f < 16) };
                r.v[i] = from.map_or(0, |from| w.v[base + from]);
            }
            s.write_wide(0, &r, size);
        }
        Vperm2f128 | Vperm2i128 => arrange(s, 64, 64, |i| {
            let control = imm >> (4 * (i / 2));
            (control & 8 == 0).then_some((control & 3) * 2 + i % 2)
        }),
        Vshuff32x4 | Vshufi32x4 | Vshuff64x2 | Vshufi64x2 => {
            let mask = if matches!(m, Vshuff32x4 | Vshufi32x4) { 32 } else { 64 };
            let count = s.length() / 8;
            arrange(s, 64, mask, |i| {
                let part = i / 2;
                let parts = count / 2;
                let bits = if parts == 4 { 2 } else { 1 };
                let chosen = imm >> (part * bits) & (parts - 1);
                let from = chosen * 2 + i % 2;
                Some(if part < parts / 2 { from } else { count + from })
            });
        }
        Vpermq | Vpermpd if s.insn.op_kind(2) == OpKind::Immediate8 => {
            arrange_one(s, 64, 64, |i| i & !3 | imm >> (2 * (i & 3)) & 3);
        }
        Vpermilps if s.insn.op_kind(2) == OpKind::Immediate8 => {
            arrange_one(s, 32, 32, |i| i & !3 | imm >> (2 * (i & 3)) & 3);
        }
        Vpermilpd if s.insn.op_kind(2) == OpKind::Immediate8 => {
            arrange_one(s, 64, 64, |i| i & !1 | imm >> i & 1);
        }
        _ => return false,
    }
    true
}

/// Elements chosen by the lanes of a control operand. `from` gives the element for a control value, or nothing for a
/// zero; `used` says which bits of the control matter.
fn choose(
    s: &mut Step<'_>,
    width: u32,
    (data, control): (u32, u32),
    used: u64,
    from: impl Fn(usize, u64) -> Option<usize>,
) {
    let size = s.length();
    let (w, c) = (s.wide(data, size), s.wide(control, size));
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        let control = c.lane(lane, width);
        let v = if control.v & used != 0 {
            ones(width)
        } else {
            from(lane, control.a).map_or(0, |i| w.lane(i, width).v)
        };
        r.set(lane, width, v);
    }
    s.write_lanes(0, &r, size, width);
}

/// Elements of two tables, chosen by an index operand.
fn choose_two(s: &mut Step<'_>, width: u32, tables: (u32, u32), index: u32) {
    let size = s.length();
    let count = size * 8 / width as usize;
    let (a, b, c) = (s.wide(tables.0, size), s.wide(tables.1, size), s.wide(index, size));
    let mut r = ZERO;
    for lane in 0..count {
        let control = c.lane(lane, width);
        let i = control.a as usize & (2 * count - 1);
        let v = if control.v & (2 * count as u64 - 1) != 0 {
            ones(width)
        } else if i < count {
            a.lane(i, width).v
        } else {
            b.lane(i - count, width).v
        };
        r.set(lane, width, v);
    }
    s.write_lanes(0, &r, size, width);
}

fn controlled(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    let size = s.length().max(1);
    let whole = |width: usize| (size * 8 / width) as u64 - 1;
    match m {
        Pshufb | Vpshufb => {
            let part = size.min(16);
            let sources = s.sources();
            choose(s, 8, sources, 0x80 | (part as u64 - 1), |lane, c| {
                (c & 0x80 == 0).then_some(lane / part * part + c as usize % part)
            });
        }
        Vpermd | Vpermps => choose(s, 32, (2, 1), whole(32), |_, c| Some((c & whole(32)) as usize)),
        Vpermq | Vpermpd => choose(s, 64, (2, 1), whole(64), |_, c| Some((c & whole(64)) as usize)),
        Vpermw => choose(s, 16, (2, 1), whole(16), |_, c| Some((c & whole(16)) as usize)),
        Vpermb => choose(s, 8, (2, 1), whole(8), |_, c| Some((c & whole(8)) as usize)),
        Vpermilps => choose(s, 32, (1, 2), 3, |lane, c| Some(lane & !3 | c as usize & 3)),
        Vpermilpd => choose(s, 64, (1, 2), 2, |lane, c| Some(lane & !1 | c as usize >> 1 & 1)),
        Vpermi2b => choose_two(s, 8, (1, 2), 0),
        Vpermi2w => choose_two(s, 16, (1, 2), 0),
        Vpermi2d | Vpermi2ps => choose_two(s, 32, (1, 2), 0),
        Vpermi2q | Vpermi2pd => choose_two(s, 64, (1, 2), 0),
        Vpermt2b => choose_two(s, 8, (0, 2), 1),
        Vpermt2w => choose_two(s, 16, (0, 2), 1),
        Vpermt2d | Vpermt2ps => choose_two(s, 32, (0, 2), 1),
        Vpermt2q | Vpermt2pd => choose_two(s, 64, (0, 2), 1),
        _ => return false,
    }
    true
}

/// V bits of "b if chosen, else a".
fn either(chosen: Bits, a: Bits, b: Bits) -> u64 {
    match (chosen.v, chosen.a) {
        (0, 0) => a.v,
        (0, _) => b.v,
        _ => a.v | b.v | (a.a ^ b.a),
    }
}

fn blend(s: &mut Step<'_>, width: u32, (a, b): (Wide, Wide), chosen: impl Fn(usize) -> Bits) {
    let size = s.length();
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        r.set(lane, width, either(chosen(lane), a.lane(lane, width), b.lane(lane, width)));
    }
    s.write_wide(0, &r, size);
}

fn blends(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    let size = s.length();
    let (one, other) = s.sources();
    let immediate = |s: &mut Step<'_>, width: u32, period: usize| {
        let imm = u64::from(s.insn.immediate8());
        let sources = (s.wide(one, size), s.wide(other, size));
        blend(s, width, sources, |lane| Bits::defined(imm >> (lane % period) & 1));
    };
    match m {
        Pblendw | Vpblendw => immediate(s, 16, 8),
        Vpblendd | Blendps | Vblendps => immediate(s, 32, 8),
        Blendpd | Vblendpd => immediate(s, 64, 8),
        Pblendvb | Blendvps | Blendvpd | Vpblendvb | Vblendvps | Vblendvpd => {
            let width = match m {
                Pblendvb | Vpblendvb => 8,
                Blendvps | Vblendvps => 32,
                _ => 64,
            };
            // The legacy forms have their control in xmm0, which iced does not always list.
            let control = if s.legacy() { s.implicit_vector(0) } else { s.wide(3, size) };
            let sources = (s.wide(one, size), s.wide(other, size));
            blend(s, width, sources, |lane| control.lane(lane, width).field(width - 1, 1));
        }
        Vpblendmb => masked_blend(s, 8),
        Vpblendmw => masked_blend(s, 16),
        Vpblendmd | Vblendmps => masked_blend(s, 32),
        Vpblendmq | Vblendmpd => masked_blend(s, 64),
        _ => return false,
    }
    true
}

/// The mask chooses; what it does not choose is the first source, or zero.
fn masked_blend(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let (a, b) = (s.wide(1, size), s.wide_lanes(2, size, width));
    let mask = s.write_mask();
    let a = if mask.zeroing { ZERO } else { a };
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        let chosen = mask.at(lane);
        // What is not chosen may not have been loaded, so its value is not at hand.
        let v = if chosen.v != 0 {
            ones(width)
        } else {
            either(chosen, a.lane(lane, width), b.lane(lane, width))
        };
        r.set(lane, width, v);
    }
    s.write_wide(0, &r, size);
}

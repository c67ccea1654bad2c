//! Shifts and rotates, with and without flags.

use crate::bits::{Bits, Shift, ones, shift, spread};
use crate::flags::{Flags, Status};
use crate::operand::Step;
use iced_x86::Mnemonic;

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Shl | Sal | Shr | Sar | Rol | Ror | Rcl | Rcr => flagged(s, m),
        Shld | Shrd => double(s, m),
        Shlx => plain(s, Shift::Left),
        Shrx => plain(s, Shift::Right),
        Sarx => plain(s, Shift::Arithmetic),
        Rorx => {
            let width = s.width(0);
            let amount = u32::from(s.insn.immediate8()) & (width - 1);
            let b = s.read(1);
            s.write(0, rotate(b.v, (width - amount) % width, width));
        }
        _ => return false,
    }
    true
}

fn rotate(x: u64, left: u32, width: u32) -> u64 {
    if left == 0 { x } else { (x << left | (x & ones(width)) >> (width - left)) & ones(width) }
}

fn bit(x: Bits, at: u32) -> (bool, bool) {
    (x.a >> at & 1 != 0, x.v >> at & 1 != 0)
}

fn plain(s: &mut Step<'_>, kind: Shift) {
    let width = s.width(0);
    let mask = u64::from(width - 1);
    let (x, count) = (s.read(1), s.read(2));
    let v = if count.v & mask != 0 {
        unknown_count(x, width, kind == Shift::Arithmetic)
    } else {
        shift(x.v, count.a & mask, width, kind)
    };
    s.write(0, v);
}

/// The result of a shift by an undefined count: all of it, but that of a zero and that of an arithmetic -1.
fn unknown_count(x: Bits, width: u32, arithmetic: bool) -> u64 {
    let same = x.max() == 0 || (arithmetic && x.min() == ones(width));
    if same { 0 } else { ones(width) }
}

fn flagged(s: &mut Step<'_>, m: Mnemonic) {
    use Mnemonic::*;
    let width = s.width(0);
    let mask = if width == 64 { 63 } else { 31 };
    let x = s.read(0);
    let count = s.read(1);
    let through = matches!(m, Rcl | Rcr);
    let rotates = through || matches!(m, Rol | Ror);
    let written = if rotates { Flags::C | Flags::O } else { Flags::STATUS };
    let carry = if through { s.flag(Flags::C) } else { Bits::default() };
    if count.v & mask != 0 {
        // Even the old flags may stay.
        s.set_flags(Status::lazy(written, true));
        s.write(0, if through { ones(width) } else { unknown_count(x, width, m == Sar) });
        return;
    }
    let count = (count.a & mask) as u32;
    if count == 0 {
        s.write(0, x.v);
        return;
    }
    // A whole turn through the carry leaves O as it was, on some processors.
    let whole = through && count.is_multiple_of(width + 1);
    let stays = whole && s.flag(Flags::O).v != 0;
    let mut status = Status::lazy(written, x.v | carry.v != 0 || stays);
    let top = width - 1;
    let out = |position: u32| if position < width { bit(x, position) } else { (false, x.v != 0) };
    let (r, c) = match m {
        Rol => {
            let left = count % width;
            let r = Bits::new(rotate(x.a, left, width), rotate(x.v, left, width));
            (r, bit(r, 0))
        }
        Ror => {
            let left = (width - count % width) % width;
            let r = Bits::new(rotate(x.a, left, width), rotate(x.v, left, width));
            (r, bit(r, top))
        }
        Rcl | Rcr => {
            // One bit more than the operand: the carry on top.
            let count = count % (width + 1);
            let left = if m == Rcl { count } else { (width + 1 - count) % (width + 1) };
            let turn = |low: u64, carry: u64| {
                let all = low as u128 | (carry as u128) << width;
                (all << left | all >> (width + 1 - left)) & ((1u128 << (width + 1)) - 1)
            };
            let (a, v) = (turn(x.a, carry.a), turn(x.v, carry.v));
            let r = Bits::new(a as u64, v as u64).cut(width);
            (r, (a >> width & 1 != 0, v >> width & 1 != 0))
        }
        Shr => (shifted(x, count, width, Shift::Right), out(count - 1)),
        Sar => (shifted(x, count, width, Shift::Arithmetic), bit(x, (count - 1).min(top))),
        _ => (shifted(x, count, width, Shift::Left), out(width.wrapping_sub(count))),
    };
    if !rotates {
        status.result(r, width);
    }
    status.set(Flags::C, c.0, c.1);
    if count == 1 {
        // O: whether the sign has changed, or what the manuals make of it.
        let xor = |a: (bool, bool), b: (bool, bool)| (a.0 != b.0, a.1 | b.1);
        let o = match m {
            Shr => bit(x, top),
            Sar => (false, false),
            Ror | Rcr => xor(bit(r, top), bit(r, top - 1)),
            _ => xor(bit(r, top), c),
        };
        status.set(Flags::O, o.0, o.1);
        if matches!(m, Shl | Sal) {
            // S != O is C.
            status.set(Flags::L, false, c.1);
        }
    }
    s.set_flags(status);
    s.write(0, r.v);
}

fn shifted(x: Bits, count: u32, width: u32, kind: Shift) -> Bits {
    Bits::new(shift(x.a, count.into(), width, kind), shift(x.v, count.into(), width, kind))
}

/// shld, shrd: bits come in from a second register.
fn double(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let mask = if width == 64 { 63 } else { 31 };
    let (x, y, count) = (s.read(0), s.read(1), s.read(2));
    if count.v & mask != 0 {
        s.set_flags(Status::lazy(Flags::STATUS, true));
        s.write(0, ones(width));
        return;
    }
    let count = (count.a & mask) as u32;
    if count == 0 {
        s.write(0, x.v);
        return;
    }
    let mut status = Status::lazy(Flags::STATUS, x.v | y.v != 0);
    if count > width {
        // Of 16 bits only; the manuals leave result and flags undefined.
        s.set_flags(status);
        s.write(0, spread(x.v | y.v, ones(width)));
        return;
    }
    let top = width - 1;
    let join = |x: u64, y: u64| {
        if m == Mnemonic::Shld {
            shift(x, count.into(), width, Shift::Left) | shift(y, (width - count).into(), width, Shift::Right)
        } else {
            shift(x, count.into(), width, Shift::Right) | shift(y, (width - count).into(), width, Shift::Left)
        }
    };
    let r = Bits::new(join(x.a, y.a), join(x.v, y.v));
    let c = bit(x, if m == Mnemonic::Shld { width - count } else { count - 1 });
    status.result(r, width);
    status.set(Flags::C, c.0, c.1);
    if count == 1 {
        let (old, new) = (bit(x, top), bit(r, top));
        status.set(Flags::O, old.0 != new.0, old.1 | new.1);
        if m == Mnemonic::Shld {
            status.set(Flags::L, false, old.1);
        }
    }
    s.set_flags(status);
    s.write(0, r.v);
}

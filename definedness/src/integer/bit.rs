//! Single bits, bit counts, and the bit-field instructions of BMI.

use crate::bits::{Bits, Shift, between, ones, shift, sign_extend, spread};
use crate::flags::{Flags, Status};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::{Mnemonic, OpKind};

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Bt | Bts | Btr | Btc => test(s, m),
        Bsf | Bsr => scan(s, m),
        Tzcnt | Lzcnt | Popcnt => count(s, m),
        Blsi | Blsr | Blsmsk => lowest(s, m),
        Bextr => {
            let width = s.width(0);
            let (x, control) = (s.read(1), s.read(2).cut(16));
            let (start, length) = (control.a & 0xff, (control.a >> 8).min(64) as u32);
            let field = |x: u64| shift(x, start, width, Shift::Right) & ones(length);
            let r = if control.v != 0 {
                Bits::new(field(x.a), spread(x.max(), ones(width)))
            } else {
                Bits::new(field(x.a), field(x.v))
            };
            field_result(s, r, width, (false, false));
        }
        Bzhi => {
            let width = s.width(0);
            let (x, index) = (s.read(1), s.read(2).cut(8));
            let over = |i: u64| i >= u64::from(width);
            let keep = ones(index.a as u32);
            let r = if index.v != 0 {
                // Bits below the least index stay as they are; above it they may be cleared.
                let low = ones(index.min() as u32);
                Bits::new(x.a & keep, (x.v & low) | (x.max() & !low & ones(index.max() as u32)))
            } else {
                Bits::new(x.a & keep, x.v & keep)
            };
            field_result(s, r, width, (over(index.a), over(index.min()) != over(index.max())));
        }
        Pdep | Pext => {
            let width = s.width(0);
            let (x, mask) = (s.read(1), s.read(2));
            let v = match (mask.v, m) {
                (0, Mnemonic::Pdep) => deposit(x.v, mask.a),
                (0, _) => extract(x.v, mask.a),
                _ => spread(x.max(), ones(width)),
            };
            s.write(0, v);
        }
        _ => return false,
    }
    true
}

/// A result with S and Z, C as given, O clear, and A and P which the manuals leave undefined.
fn field_result(s: &mut Step<'_>, r: Bits, width: u32, carry: (bool, bool)) {
    let mut status = Status::lazy(Flags::STATUS, r.v != 0);
    let p = status.v & Flags::P;
    status.result(r, width);
    status.set(Flags::P, false, p != 0);
    status.set(Flags::O, false, false);
    status.set(Flags::C, carry.0, carry.1);
    s.set_flags(status);
    s.write(0, r.v);
}

fn deposit(x: u64, mut mask: u64) -> u64 {
    let (mut r, mut from) = (0, 0);
    while mask != 0 {
        r |= (x >> from & 1) << mask.trailing_zeros();
        from += 1;
        mask &= mask - 1;
    }
    r
}

fn extract(x: u64, mut mask: u64) -> u64 {
    let (mut r, mut to) = (0, 0);
    while mask != 0 {
        r |= (x >> mask.trailing_zeros() & 1) << to;
        to += 1;
        mask &= mask - 1;
    }
    r
}

/// bt, bts, btr, btc. An index register reaches beyond a memory operand; what selects the word is an address.
fn test(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let in_word = u64::from(width - 1);
    let writes = m != Mnemonic::Bt;
    let index = s.read(1);
    let size = width as usize / 8;
    let mut memory = None;
    let x = if s.is_memory(0) {
        let access = if writes { Access::Store } else { Access::Load };
        let mut address = s.address(0, size, access);
        if s.insn.op_kind(1) == OpKind::Register {
            if index.v & !in_word != 0 {
                s.report_address(access, size, s.origin);
            }
            let words = sign_extend(index.a, width) >> width.trailing_zeros();
            address = address.wrapping_add((words * size as i64) as u64);
        }
        memory = Some(address);
        s.load_bits(address, width)
    } else {
        s.read(0)
    };
    let undefined = index.v & in_word;
    let chosen = index.a & in_word;
    // The positions that the index can name.
    let mut positions = 0u64;
    for i in 0..u64::from(width) {
        if (i ^ chosen) & !undefined == 0 {
            positions |= 1 << i;
        }
    }
    let differ = x.max() & positions != 0 && x.min() & positions != positions;
    let mut status = Status::lazy(Flags::C, false);
    status.set(Flags::C, x.a >> chosen & 1 != 0, differ);
    s.set_flags(status);
    if !writes {
        return;
    }
    let v = match (undefined, m) {
        (0, Mnemonic::Btc) => x.v,
        (0, _) => x.v & !positions,
        (_, Mnemonic::Bts) => x.v | (positions & !x.min()),
        (_, Mnemonic::Btr) => x.v | (positions & x.max()),
        _ => x.v | positions,
    };
    match memory {
        Some(address) => s.store_bits(address, width, v),
        None => s.write(0, v),
    }
}

/// Least and greatest position of the lowest bit; `width` where there may be none.
fn lowest_range(x: Bits, width: u32) -> (u64, u64) {
    let first = |x: u64| u64::from(x.trailing_zeros().min(width));
    (first(x.max()), first(x.min()))
}

fn zeros_range(x: Bits, width: u32) -> (u64, u64) {
    let leading = |x: u64| u64::from(x.leading_zeros() - (64 - width));
    (leading(x.max()), leading(x.min()))
}

/// bsf, bsr: without a bit the destination stays, as processors do it.
fn scan(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let x = s.read(1);
    let mut status = Status::lazy(Flags::STATUS, x.v != 0);
    status.set(Flags::Z, x.a == 0, x.zero_undefined());
    s.set_flags(status);
    if x.max() == 0 {
        return;
    }
    if x.zero_undefined() {
        let register = s.register(0);
        s.write_register(register, u64::MAX);
        if width == 32 {
            s.set_gpr(register.number(), 0, 64, u64::MAX);
        }
        return;
    }
    let (min, max) = if m == Mnemonic::Bsf { lowest_range(x, width) } else { zeros_range(x, width) };
    s.write(0, between(min, max));
}

fn count(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let x = s.read(1);
    let zero = (x.a == 0, x.zero_undefined());
    let mut status = Status::lazy(Flags::STATUS, x.v != 0);
    let (min, max) = match m {
        Mnemonic::Popcnt => (u64::from(x.min().count_ones()), u64::from(x.max().count_ones())),
        Mnemonic::Tzcnt => lowest_range(x, width),
        _ => zeros_range(x, width),
    };
    if m == Mnemonic::Popcnt {
        status = Status::lazy(Flags::STATUS, false);
        status.set(Flags::Z, zero.0, zero.1);
    } else {
        status.set(Flags::C, zero.0, zero.1);
        let at = if m == Mnemonic::Tzcnt { 0 } else { width - 1 };
        status.set(Flags::Z, x.a >> at & 1 != 0, x.v >> at & 1 != 0);
    }
    s.set_flags(status);
    s.write(0, between(min, max));
}

/// blsi, blsr, blsmsk. The lowest set bit lies between the lowest possible and the lowest certain one.
fn lowest(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let x = s.read(1);
    let (low, high) = lowest_range(x, width);
    let up_to = |end: u64| ones(end as u32);
    let possible = up_to(high + 1) & !up_to(low) & ones(width);
    let strictly = possible & !(1u64.checked_shl(low as u32).unwrap_or(0));
    let isolated = x.a & x.a.wrapping_neg();
    let r = match m {
        _ if x.v == 0 => Bits::default(),
        Mnemonic::Blsi => Bits::new(isolated, if low == high { 0 } else { x.max() & possible }),
        Mnemonic::Blsmsk => Bits::new(x.a ^ x.a.wrapping_sub(1), strictly),
        _ => {
            let above = x.v & !up_to(high + 1);
            Bits::new(x.a & x.a.wrapping_sub(1), above | if low == high { 0 } else { x.max() & strictly })
        }
    };
    let r = match (x.v, m) {
        (0, Mnemonic::Blsi) => Bits::defined(isolated),
        (0, Mnemonic::Blsmsk) => Bits::defined(x.a ^ x.a.wrapping_sub(1)),
        (0, _) => Bits::defined(x.a & x.a.wrapping_sub(1)),
        _ => r,
    };
    let r = r.cut(width);
    let zero = (x.a == 0) == (m != Mnemonic::Blsi);
    field_result(s, r, width, (zero, x.zero_undefined()));
}

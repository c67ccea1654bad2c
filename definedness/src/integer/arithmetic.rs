//! add .. cmp, logic, multiplication and division, checksums.

use crate::bits::{self, Bits, ones, spread};
use crate::flags::{self, Flags, Status};
use crate::operand::Step;
use iced_x86::Mnemonic;

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Add | Adc | Sub | Sbb | Cmp => sum(s, m),
        And | Or | Xor | Test => logic(s, m),
        Inc | Dec => {
            let width = s.width(0);
            let a = s.read(0);
            let (r, mut status) =
                flags::arithmetic(a, Bits::defined(1), Bits::default(), width, m == Mnemonic::Dec);
            // CF stays, so what is known of BE from this sum does not hold.
            status.written &= !Flags::C;
            status.v |= Flags::BE;
            s.set_flags(status);
            s.write(0, r.v);
        }
        Neg => {
            let width = s.width(0);
            let a = s.read(0);
            let (r, status) = flags::arithmetic(Bits::default(), a, Bits::default(), width, true);
            s.set_flags(status);
            s.write(0, r.v);
        }
        Not => {
            let a = s.read(0);
            s.write(0, a.v);
        }
        Adcx => one_carry(s, Flags::C),
        Adox => one_carry(s, Flags::O),
        Mul => multiply_accumulator(s, false),
        Imul if s.insn.op_count() == 1 => multiply_accumulator(s, true),
        Imul => {
            let width = s.width(0);
            let last = s.insn.op_count() - 1;
            let (a, b) = (s.read(last - 1), s.read(last));
            s.set_flags(product_flags(a, b, width, true));
            s.write(0, bits::multiply(a, b, width, true).0);
        }
        Mulx => {
            let width = s.width(0);
            let (a, b) = (s.gpr(2, width), s.read(2));
            let (low, high) = bits::multiply(a, b, width, false);
            // The same register twice: it gets the high half.
            s.write(1, low);
            s.write(0, high);
        }
        Div | Idiv => divide(s),
        Andn => {
            let width = s.width(0);
            let same = s.same(1, 2);
            let (a, b) = (s.read(1).not(width), s.read(2));
            let r = if same { Bits::default() } else { a.and(b) };
            s.set_flags(flags::logic(r, width));
            s.write(0, r.v);
        }
        Crc32 => {
            let a = s.read(0).cut(32);
            let b = s.read(1);
            s.write(0, spread(a.v | b.v, 0xffff_ffff));
        }
        _ => return false,
    }
    true
}

fn sum(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let subtract = matches!(m, Mnemonic::Sub | Mnemonic::Sbb | Mnemonic::Cmp);
    // x - x is 0 whatever x is.
    let (a, b) =
        if subtract && s.same(0, 1) { Default::default() } else { (s.read(0), s.read(1).cut(width)) };
    let carry = if matches!(m, Mnemonic::Adc | Mnemonic::Sbb) { s.flag(Flags::C) } else { Bits::default() };
    let (mut r, mut status) = flags::arithmetic(a, b, carry, width, subtract);
    if !subtract && s.same(0, 1) {
        // x + x is a shift: its low bit is the carry.
        r.v = (a.v << 1 | carry.v) & ones(width);
        status.set(Flags::S, r.a >> (width - 1) & 1 != 0, r.v >> (width - 1) & 1 != 0);
        status.set(Flags::P, (r.a as u8).count_ones().is_multiple_of(2), r.v & 0xff != 0);
        if r.min() != 0 {
            status.set(Flags::Z, false, false);
        }
    }
    s.set_flags(status);
    if m != Mnemonic::Cmp {
        s.write(0, r.v);
    }
}

fn logic(s: &mut Step<'_>, m: Mnemonic) {
    let width = s.width(0);
    let r = if m == Mnemonic::Xor && s.same(0, 1) {
        Bits::default()
    } else {
        let (a, b) = (s.read(0), s.read(1).cut(width));
        match m {
            Mnemonic::Or => a.or(b),
            Mnemonic::Xor => a.xor(b),
            _ => a.and(b),
        }
    };
    s.set_flags(flags::logic(r, width));
    if m != Mnemonic::Test {
        s.write(0, r.v);
    }
}

/// adcx, adox: a sum whose carry is in one flag; the others stay.
fn one_carry(s: &mut Step<'_>, flag: u16) {
    let width = s.width(0);
    let (a, b, carry) = (s.read(0), s.read(1), s.flag(flag));
    let (r, sum) = flags::arithmetic(a, b, carry, width, false);
    let mut status = Status::lazy(flag, false);
    status.set(flag, sum.values & Flags::C != 0, sum.v & Flags::C != 0);
    s.set_flags(status);
    s.write(0, if s.same(0, 1) { (a.v << 1 | carry.v) & ones(width) } else { r.v });
}

/// C and O say whether the product fits; the manuals leave the others undefined.
fn product_flags(a: Bits, b: Bits, width: u32, signed: bool) -> Status {
    let mut status = Status::lazy(Flags::STATUS, a.v | b.v != 0);
    let (set, undefined) = if signed {
        let corners = |a: [i128; 2], b: [i128; 2]| {
            let products = [a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]];
            products.into_iter().fold((i128::MAX, i128::MIN), |(l, h), p| (l.min(p), h.max(p)))
        };
        let range = |x: Bits| [x.signed_min(width), x.signed_max(width)];
        let (min, max) = corners(range(a), range(b));
        let (lowest, highest) = (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1);
        let exact = bits::sign_extend(a.a, width) as i128 * bits::sign_extend(b.a, width) as i128;
        let known = (min >= lowest && max <= highest) || min > highest || max < lowest;
        (exact < lowest || exact > highest, !known)
    } else {
        let over = |a: u64, b: u64| (a as u128 * b as u128) >> width != 0;
        (over(a.a, b.a), over(a.min(), b.min()) != over(a.max(), b.max()))
    };
    status.set(Flags::C, set, undefined);
    status.set(Flags::O, set, undefined);
    status
}

fn multiply_accumulator(s: &mut Step<'_>, signed: bool) {
    let width = s.width(0);
    let (a, b) = (s.gpr(0, width), s.read(0));
    s.set_flags(product_flags(a, b, width, signed));
    let (low, high) = bits::multiply(a, b, width, signed);
    if width == 8 {
        s.set_gpr(0, 0, 16, low | high << 8);
    } else {
        s.set_gpr(0, 0, width, low);
        s.set_gpr(2, 0, width, high);
    }
}

fn divide(s: &mut Step<'_>) {
    let width = s.width(0);
    let divisor = s.read(0);
    let v = if width == 8 {
        divisor.v | s.gpr(0, 16).v
    } else {
        divisor.v | s.gpr(0, width).v | s.gpr(2, width).v
    };
    s.set_flags(Status::lazy(Flags::STATUS, v != 0));
    if width == 8 {
        s.set_gpr(0, 0, 16, spread(v, u64::MAX));
    } else {
        s.set_gpr(0, 0, width, spread(v, u64::MAX));
        s.set_gpr(2, 0, width, spread(v, u64::MAX));
    }
}

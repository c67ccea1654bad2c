//! xchg, xadd, cmpxchg: two results, each with the origin of its own inputs where they only move.

use crate::bits::{Bits, equal_undefined, ones};
use crate::flags;
use crate::operand::{Step, place};
use crate::state::Access;
use iced_x86::Mnemonic;

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Xchg => {
            let a = s.read(0);
            let from_a = core::mem::take(&mut s.origin);
            let b = s.read(1);
            s.write(0, b.v);
            s.origin = from_a;
            s.write(1, a.v);
        }
        Xadd => {
            let width = s.width(0);
            let a = s.read(0);
            let from_a = core::mem::take(&mut s.origin);
            let b = s.read(1);
            let from_b = core::mem::replace(&mut s.origin, from_a);
            s.write(1, a.v);
            s.origin = from_a.max(from_b);
            let (r, status) = flags::arithmetic(a, b, Bits::default(), width, false);
            let v = if s.same(0, 1) { a.v << 1 & ones(width) } else { r.v };
            s.set_flags(status);
            s.write(0, v);
        }
        Cmpxchg => compare(s),
        Cmpxchg8b => compare_pair(s, 32),
        Cmpxchg16b => compare_pair(s, 64),
        _ => return false,
    }
    true
}

/// V bits of "new if equal, else old".
fn choose(undefined: bool, equal: bool, new: Bits, old: Bits) -> u64 {
    match (undefined, equal) {
        (true, _) => new.v | old.v | (new.a ^ old.a),
        (false, true) => new.v,
        (false, false) => old.v,
    }
}

fn compare(s: &mut Step<'_>) {
    let width = s.width(0);
    let (mut accumulator, mut old, new) = (s.gpr(0, width), s.read(0), s.read(1));
    // The accumulator is always equal to itself.
    if place(s.register(0)) == Some((0, 0, width)) {
        (accumulator, old) = Default::default();
    }
    let (_, status) = flags::arithmetic(accumulator, old, Bits::default(), width, true);
    s.set_flags(status);
    let undefined = equal_undefined(accumulator, old);
    let equal = accumulator.a == old.a;
    let destination = s.register(0);
    let before = s.registers.gpr;
    s.write(0, choose(undefined, equal, new, old));
    // Either way the accumulator then holds what was there; if equal, it is not written.
    if undefined || !equal {
        s.set_gpr(0, 0, width, old.v);
    }
    if width == 32 && undefined {
        keep_upper(s, 0, s.guest.gpr(0) | before[0]);
    }
    // Processors differ in whether a register that stays as it is loses its upper half.
    if width == 32 && destination.is_gpr() && (undefined || !equal) {
        let number = destination.number();
        let may_clear = if undefined { s.guest.gpr(number) } else { 0 };
        keep_upper(s, number, before[number] | may_clear);
    }
}

/// Adds V bits to the upper half of a register that may not have been written.
fn keep_upper(s: &mut Step<'_>, number: usize, v: u64) {
    let upper = v & !ones(32);
    s.registers.gpr[number] |= upper;
    if upper != 0 {
        s.registers.origin.gpr[number] = s.registers.origin.gpr[number].max(s.origin);
    }
}

/// cmpxchg8b, cmpxchg16b: edx:eax against memory, ecx:ebx into it; only Z changes.
fn compare_pair(s: &mut Step<'_>, width: u32) {
    let size = width as usize / 8;
    let address = s.address(0, 2 * size, Access::Store);
    let old = [address, address.wrapping_add(size as u64)].map(|a| s.load_bits(a, width));
    let expected = [s.gpr(0, width), s.gpr(2, width)];
    let new = [s.gpr(3, width), s.gpr(1, width)];
    let differs = |i: usize| (expected[i].a ^ old[i].a) & !(expected[i].v | old[i].v) != 0;
    let v = (0..2).fold(0, |v, i| v | expected[i].v | old[i].v);
    let undefined = v != 0 && !differs(0) && !differs(1);
    let equal = expected[0].a == old[0].a && expected[1].a == old[1].a;
    let mut status = flags::Status::lazy(flags::Flags::Z, false);
    status.set(flags::Flags::Z, equal, undefined);
    s.set_flags(status);
    for i in 0..2 {
        let v = choose(undefined, equal, new[i], old[i]);
        s.store_bits(address.wrapping_add((i * size) as u64), width, v);
        let number = 2 * i;
        if undefined || !equal {
            let upper = s.guest.gpr(number) | s.registers.gpr[number];
            s.set_gpr(number, 0, width, old[i].v);
            if width == 32 && undefined {
                keep_upper(s, number, upper);
            }
        }
    }
}

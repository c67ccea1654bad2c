//! AVX-512's mask registers: what makes them, and arithmetic on them; compress and expand.

use crate::bits::{self, Bits, equal_undefined, greater_undefined, ones, spread};
use crate::flags::{Flags, Status};
use crate::operand::Step;
use crate::wide::ZERO;
use iced_x86::{Mnemonic, OpKind};

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    compares(s, m) || logic(s, m) || moves(s, m) || rearrange(s, m)
}

/// One bit for each pair of lanes.
fn lanes(s: &mut Step<'_>, width: u32, sources: (u32, u32), f: impl Fn(Bits, Bits) -> bool) {
    let size = s.length();
    let count = size * 8 / width as usize;
    let (a, b) = (s.wide_lanes(sources.0, size, width), s.wide_lanes(sources.1, size, width));
    let undefined = |&lane: &usize| f(a.lane(lane, width), b.lane(lane, width));
    let v = (0..count).filter(undefined).map(|lane| 1u64 << lane).sum();
    s.write_mask_register(0, v, count);
}

/// vpcmp and vpcmpu: the predicate is in the immediate.
fn predicate(s: &mut Step<'_>, width: u32, signed: bool) {
    let predicate = s.insn.immediate8() & 7;
    let same = s.same(1, 2);
    lanes(s, width, (1, 2), |a, b| match predicate {
        _ if same => false,
        0 | 4 => equal_undefined(a, b),
        1 | 5 => greater_undefined(b, a, width, signed),
        2 | 6 => greater_undefined(a, b, width, signed),
        _ => false,
    });
}

fn compares(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    if !s.register(0).is_k() {
        return false;
    }
    let same = s.same(1, 2);
    let equal = |a, b| !same && equal_undefined(a, b);
    let greater = |width| move |a, b| !same && greater_undefined(a, b, width, true);
    let any = |a: Bits, b: Bits| a.v | b.v != 0;
    let common = |a: Bits, b: Bits| a.and(b).zero_undefined();
    match m {
        Vpcmpeqb => lanes(s, 8, (1, 2), equal),
        Vpcmpeqw => lanes(s, 16, (1, 2), equal),
        Vpcmpeqd => lanes(s, 32, (1, 2), equal),
        Vpcmpeqq => lanes(s, 64, (1, 2), equal),
        Vpcmpgtb => lanes(s, 8, (1, 2), greater(8)),
        Vpcmpgtw => lanes(s, 16, (1, 2), greater(16)),
        Vpcmpgtd => lanes(s, 32, (1, 2), greater(32)),
        Vpcmpgtq => lanes(s, 64, (1, 2), greater(64)),
        Vpcmpb => predicate(s, 8, true),
        Vpcmpw => predicate(s, 16, true),
        Vpcmpd => predicate(s, 32, true),
        Vpcmpq => predicate(s, 64, true),
        Vpcmpub => predicate(s, 8, false),
        Vpcmpuw => predicate(s, 16, false),
        Vpcmpud => predicate(s, 32, false),
        Vpcmpuq => predicate(s, 64, false),
        Vptestmb | Vptestnmb => lanes(s, 8, (1, 2), common),
        Vptestmw | Vptestnmw => lanes(s, 16, (1, 2), common),
        Vptestmd | Vptestnmd => lanes(s, 32, (1, 2), common),
        Vptestmq | Vptestnmq => lanes(s, 64, (1, 2), common),
        Vcmpps => lanes(s, 32, (1, 2), any),
        Vcmppd => lanes(s, 64, (1, 2), any),
        Vfpclassps if s.register(1).is_vector_register() => lanes(s, 32, (1, 1), any),
        Vfpclasspd if s.register(1).is_vector_register() => lanes(s, 64, (1, 1), any),
        Vfpclassss | Vfpclasssd => {
            let width = if m == Vfpclassss { 32 } else { 64 };
            let size = width as usize / 8;
            let v = s.wide_lanes(1, size, width).any(size);
            s.write_mask_register(0, v as u64, 1);
        }
        Vpshufbitqmb => {
            let size = s.length();
            let (a, b) = (s.wide(1, size), s.wide(2, size));
            let undefined = |&i: &usize| {
                let control = b.lane(i, 8);
                let bit = a.lane(i / 8, 64).v >> (control.a & 63) & 1 != 0;
                if control.v & 63 != 0 { true } else { bit }
            };
            let v = (0..size).filter(undefined).map(|i| 1u64 << i).sum();
            s.write_mask_register(0, v, size);
        }
        Vcmpss | Vcmpsd => {
            let width = if m == Vcmpss { 32 } else { 64 };
            let size = width as usize / 8;
            let v = s.wide(1, size).any(size) | s.wide_lanes(2, size, width).any(size);
            s.write_mask_register(0, v as u64, 1);
        }
        Vpmovb2m => signs(s, 8),
        Vpmovw2m => signs(s, 16),
        Vpmovd2m => signs(s, 32),
        Vpmovq2m => signs(s, 64),
        _ => return false,
    }
    true
}

fn signs(s: &mut Step<'_>, width: u32) {
    lanes(s, width, (1, 1), |a, _| a.v >> (width - 1) & 1 != 0);
}

/// Width of a mask instruction by its last letter.
fn logic(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    let width = match m {
        Kandb | Kandnb | Korb | Kxorb | Kxnorb | Knotb | Kaddb | Kortestb | Ktestb | Kshiftlb | Kshiftrb => 8,
        Kandw | Kandnw | Korw | Kxorw | Kxnorw | Knotw | Kaddw | Kortestw | Ktestw | Kshiftlw | Kshiftrw
        | Kunpckbw => 16,
        Kandd | Kandnd | Kord | Kxord | Kxnord | Knotd | Kaddd | Kortestd | Ktestd | Kshiftld | Kshiftrd
        | Kunpckwd => 32,
        Kandq | Kandnq | Korq | Kxorq | Kxnorq | Knotq | Kaddq | Kortestq | Ktestq | Kshiftlq | Kshiftrq
        | Kunpckdq => 64,
        _ => return false,
    };
    let amount = s.insn.op_count() == 3 && s.insn.op_kind(2) == OpKind::Immediate8;
    if amount {
        let a = s.read(1).cut(width);
        let count = u64::from(s.insn.immediate8());
        let kind = if matches!(m, Kshiftlb | Kshiftlw | Kshiftld | Kshiftlq) {
            bits::Shift::Left
        } else {
            bits::Shift::Right
        };
        s.write(0, bits::shift(a.v, count, width, kind));
        return true;
    }
    if s.insn.op_count() == 2 {
        if matches!(m, Knotb | Knotw | Knotd | Knotq) {
            let a = s.read(1).cut(width);
            s.write(0, a.v);
        } else {
            test(s, m, width);
        }
        return true;
    }
    let same = s.same(1, 2);
    let (a, b) = (s.read(1).cut(width), s.read(2).cut(width));
    let v = match m {
        Kandb | Kandw | Kandd | Kandq => a.and(b).v,
        Kandnb | Kandnw | Kandnd | Kandnq if same => 0,
        Kandnb | Kandnw | Kandnd | Kandnq => a.not(width).and(b).v,
        Korb | Korw | Kord | Korq => a.or(b).v,
        Kaddb | Kaddw | Kaddd | Kaddq => bits::add(a, b, Bits::default(), width).v,
        Kunpckbw | Kunpckwd | Kunpckdq => a.v << (width / 2) | (b.v & ones(width / 2)),
        _ if same => 0,
        _ => a.v | b.v,
    };
    s.write(0, v & ones(width));
    true
}

/// kortest: Z if nothing is set in either, C if everything is. ktest: as ptest.
fn test(s: &mut Step<'_>, m: Mnemonic, width: u32) {
    use Mnemonic::*;
    let same = s.same(0, 1);
    let (a, b) = (s.read(0).cut(width), s.read(1).cut(width));
    let (z, c) = if matches!(m, Kortestb | Kortestw | Kortestd | Kortestq) {
        let r = a.or(b);
        (r, r.not(width))
    } else {
        (a.and(b), if same { Bits::default() } else { a.not(width).and(b) })
    };
    let mut status = Status::lazy(Flags::STATUS, false);
    status.set(Flags::Z, z.a == 0, z.zero_undefined());
    status.set(Flags::C, c.a == 0, c.zero_undefined());
    s.set_flags(status);
}

fn moves(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Kmovb | Kmovw | Kmovd | Kmovq => {
            let width = match m {
                Kmovb => 8,
                Kmovw => 16,
                Kmovd => 32,
                _ => 64,
            };
            let v = s.read(1).cut(width).v;
            s.write(0, v);
        }
        Vpmovm2b => spread_mask(s, 8),
        Vpmovm2w => spread_mask(s, 16),
        Vpmovm2d => spread_mask(s, 32),
        Vpmovm2q => spread_mask(s, 64),
        Vpbroadcastmb2q => broadcast_mask(s, 8, 64),
        Vpbroadcastmw2d => broadcast_mask(s, 16, 32),
        _ => return false,
    }
    true
}

fn spread_mask(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let k = s.read(1);
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        r.set(lane, width, spread(k.v >> lane & 1, ones(width)));
    }
    s.write_wide(0, &r, size);
}

fn broadcast_mask(s: &mut Step<'_>, from: u32, width: u32) {
    let size = s.length();
    let k = s.read(1).cut(from);
    let mut r = ZERO;
    for lane in 0..size * 8 / width as usize {
        r.set(lane, width, k.v);
    }
    s.write_wide(0, &r, size);
}

fn rearrange(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Vpconflictd => conflict(s, 32),
        Vpconflictq => conflict(s, 64),
        Vpcompressb => compress(s, 8),
        Vpcompressw => compress(s, 16),
        Vpcompressd | Vcompressps => compress(s, 32),
        Vpcompressq | Vcompresspd => compress(s, 64),
        Vpexpandb => expand(s, 8),
        Vpexpandw => expand(s, 16),
        Vpexpandd | Vexpandps => expand(s, 32),
        Vpexpandq | Vexpandpd => expand(s, 64),
        _ => return false,
    }
    true
}

/// Each element is compared with those before it.
fn conflict(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let w = s.wide(1, size);
    let mut r = ZERO;
    for lane in 1..size * 8 / width as usize {
        let new = w.lane(lane, width);
        let undefined = |&before: &usize| equal_undefined(new, w.lane(before, width));
        r.set(lane, width, (0..lane).filter(undefined).map(|before| 1u64 << before).sum());
    }
    s.write_lanes(0, &r, size, width);
}

/// The chosen elements, one after the other.
fn compress(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let count = size * 8 / width as usize;
    let element = width as usize / 8;
    let w = s.wide(1, size);
    let mask = s.write_mask();
    let undefined = mask.bits.v & ones(count as u32) != 0;
    let mut r = ZERO;
    let mut next = 0;
    for lane in (0..count).filter(|&lane| mask.at(lane).a != 0) {
        r.set(next, width, w.lane(lane, width).v);
        next += 1;
    }
    if s.is_memory(0) {
        s.report_mask(undefined);
        if next != 0 {
            let address = s.address(0, next * element, crate::state::Access::Store);
            s.store(address, &r.v[..next * element]);
        }
        return;
    }
    let old = if mask.zeroing { ZERO } else { s.wide(0, size) };
    for lane in next..count {
        r.set(lane, width, old.lane(lane, width).v);
    }
    if undefined {
        r.v.fill(0xff);
    }
    s.write_wide(0, &r, size);
}

/// The first elements, put where the mask says.
fn expand(s: &mut Step<'_>, width: u32) {
    let size = s.length();
    let count = size * 8 / width as usize;
    let mask = s.write_mask();
    let undefined = mask.bits.v & ones(count as u32) != 0;
    let used = (mask.bits.a & ones(count as u32)).count_ones() as usize;
    let w = if s.is_memory(1) {
        s.report_mask(undefined);
        if used == 0 { ZERO } else { s.wide(1, used * width as usize / 8) }
    } else {
        s.wide(1, size)
    };
    let old = if mask.zeroing { ZERO } else { s.wide(0, size) };
    let mut r = ZERO;
    let mut next = 0;
    for lane in 0..count {
        if mask.at(lane).a != 0 {
            r.set(lane, width, w.lane(next, width).v);
            next += 1;
        } else {
            r.set(lane, width, old.lane(lane, width).v);
        }
    }
    if undefined {
        r.v.fill(0xff);
    }
    s.write_wide(0, &r, size);
}

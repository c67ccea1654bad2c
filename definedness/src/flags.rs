//! V bits of the status flags and of the three conditions that combine them.
//!
//! A condition can be defined although its flags are not (`cmp` with an undefined low bit: signed order known, SF and
//! OF not), so L (SF != OF), LE (ZF or L) and BE (CF or ZF) have V bits of their own. They are made where the flags are
//! made, from the operands, and hold from there on, across blocks. Also here: DF.

use crate::bits::{self, Bits, equal_undefined, ones};
use iced_x86::ConditionCode;

/// V bits of flags and conditions; 1 = undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Flags(pub u16);

impl Flags {
    pub const O: u16 = 1 << 0;
    pub const S: u16 = 1 << 1;
    pub const Z: u16 = 1 << 2;
    pub const A: u16 = 1 << 3;
    pub const C: u16 = 1 << 4;
    pub const P: u16 = 1 << 5;
    /// SF != OF.
    pub const L: u16 = 1 << 6;
    /// ZF, or SF != OF.
    pub const LE: u16 = 1 << 7;
    /// CF or ZF.
    pub const BE: u16 = 1 << 8;
    /// The direction flag.
    pub const D: u16 = 1 << 9;
    /// The six status flags.
    pub const STATUS: u16 = 0x3f;

    /// The V bit that a condition depends on; 0 for no condition.
    pub fn of(condition: ConditionCode) -> u16 {
        match condition {
            ConditionCode::None => 0,
            ConditionCode::o | ConditionCode::no => Flags::O,
            ConditionCode::b | ConditionCode::ae => Flags::C,
            ConditionCode::e | ConditionCode::ne => Flags::Z,
            ConditionCode::be | ConditionCode::a => Flags::BE,
            ConditionCode::s | ConditionCode::ns => Flags::S,
            ConditionCode::p | ConditionCode::np => Flags::P,
            ConditionCode::l | ConditionCode::ge => Flags::L,
            ConditionCode::le | ConditionCode::g => Flags::LE,
        }
    }

    /// V bits in the layout of RFLAGS. Flags other than those of this type are always defined.
    pub fn rflags(self) -> u64 {
        PLACES.iter().filter(|(flag, _)| self.0 & flag != 0).map(|(_, place)| 1 << place).sum()
    }
}

/// Each flag and its bit in RFLAGS.
const PLACES: [(u16, u32); 7] = [
    (Flags::O, 11),
    (Flags::S, 7),
    (Flags::Z, 6),
    (Flags::A, 4),
    (Flags::C, 0),
    (Flags::P, 2),
    (Flags::D, 10),
];

/// The flags in a value that has the layout of RFLAGS.
pub(crate) fn from_rflags(rflags: u64) -> u16 {
    PLACES.iter().filter(|(_, place)| rflags >> place & 1 != 0).map(|(flag, _)| flag).sum()
}

/// Whether `condition` holds for these values of the flags.
pub(crate) fn holds(condition: ConditionCode, flags: u16) -> bool {
    let set = |flag: u16| flags & flag != 0;
    let less = set(Flags::S) != set(Flags::O);
    match condition {
        ConditionCode::None => true,
        ConditionCode::o => set(Flags::O),
        ConditionCode::no => !set(Flags::O),
        ConditionCode::b => set(Flags::C),
        ConditionCode::ae => !set(Flags::C),
        ConditionCode::e => set(Flags::Z),
        ConditionCode::ne => !set(Flags::Z),
        ConditionCode::be => set(Flags::C) || set(Flags::Z),
        ConditionCode::a => !set(Flags::C) && !set(Flags::Z),
        ConditionCode::s => set(Flags::S),
        ConditionCode::ns => !set(Flags::S),
        ConditionCode::p => set(Flags::P),
        ConditionCode::np => !set(Flags::P),
        ConditionCode::l => less,
        ConditionCode::ge => !less,
        ConditionCode::le => less || set(Flags::Z),
        ConditionCode::g => !less && !set(Flags::Z),
    }
}

/// What an instruction does to the flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) written: u16,
    pub(crate) values: u16,
    /// V bits of what is written. Those of the conditions are upper bounds: a condition is undefined only if both
    /// this and the flags that it combines say so.
    pub(crate) v: u16,
}

const CONDITIONS: u16 = Flags::L | Flags::LE | Flags::BE;

impl Status {
    /// Writes `written`, all of it undefined if anything is.
    pub(crate) fn lazy(written: u16, v: bool) -> Status {
        Status { written, values: 0, v: CONDITIONS | if v { written } else { 0 } }
    }

    pub(crate) fn set(&mut self, flag: u16, value: bool, undefined: bool) {
        let put = |bits: u16, on: bool| if on { bits | flag } else { bits & !flag };
        self.values = put(self.values, value);
        self.v = put(self.v, undefined);
    }

    /// The V bits after it, given values and V bits before it.
    pub(crate) fn apply(&self, values: u16, v: Flags) -> Flags {
        let kept = !self.written;
        let values = (values & kept) | (self.values & self.written);
        let mut after = (v.0 & kept) | (self.v & self.written);
        let mut condition = |flag: u16, from: u16, undefined: &dyn Fn(u16) -> bool| {
            if self.written & from != 0 {
                after &= !flag;
                if self.v & flag != 0 && undefined(after) {
                    after |= flag;
                }
            }
        };
        let is = |flags: u16, flag: u16| flags & flag != 0;
        let less = is(values, Flags::S) != is(values, Flags::O);
        // A disjunction is undefined if a side is and none is surely true.
        let either = |v: u16, (one, value): (u16, bool), (other, other_value): (u16, bool)| {
            let sure = (value && !is(v, one)) || (other_value && !is(v, other));
            is(v, one | other) && !sure
        };
        condition(Flags::L, Flags::S | Flags::O, &|v| is(v, Flags::S | Flags::O));
        condition(Flags::LE, Flags::Z | Flags::S | Flags::O, &|v| {
            either(v, (Flags::Z, is(values, Flags::Z)), (Flags::L, less))
        });
        condition(Flags::BE, Flags::C | Flags::Z, &|v| {
            either(v, (Flags::Z, is(values, Flags::Z)), (Flags::C, is(values, Flags::C)))
        });
        Flags(after)
    }

    /// S, Z and P of a result.
    pub(crate) fn result(&mut self, r: Bits, width: u32) {
        self.written |= Flags::S | Flags::Z | Flags::P;
        self.set(Flags::S, r.a >> (width - 1) & 1 != 0, r.v >> (width - 1) & 1 != 0);
        self.set(Flags::Z, r.a & ones(width) == 0, r.zero_undefined());
        self.set(Flags::P, (r.a as u8).count_ones().is_multiple_of(2), r.v & 0xff != 0);
    }
}

/// `a + b + carry` or `a - b - carry`: the result and all flags.
///
/// The orders follow from intervals: least and greatest sums are possible, so a comparison with a constant is
/// undefined exactly if it differs between them.
pub(crate) fn arithmetic(a: Bits, b: Bits, carry: Bits, width: u32, subtract: bool) -> (Bits, Status) {
    let b = if subtract { b.not(width) } else { b };
    let carry = if subtract { carry.not(1) } else { carry };
    let r = bits::add(a, b, carry, width);
    let mut s = Status::lazy(Flags::STATUS, false);
    s.result(r, width);

    let limit = 1u128 << width;
    let sum = |a: u64, b: u64, c: u64| a as u128 + b as u128 + c as u128;
    let (min, max) = (sum(a.min(), b.min(), carry.min()), sum(a.max(), b.max(), carry.max()));
    let exact = sum(a.a, b.a, carry.a);
    s.set(Flags::C, (exact >= limit) != subtract, (min >= limit) != (max >= limit));
    let nibble = |a: u64, b: u64, c: u64| (a & 15) + (b & 15) + c > 15;
    s.set(
        Flags::A,
        nibble(a.a, b.a, carry.a) != subtract,
        nibble(a.min(), b.min(), carry.min()) != nibble(a.max(), b.max(), carry.max()),
    );

    // The sum is zero if a == -(b + carry); exact where one side is defined, or where a difference is compared.
    let zero_known = (min > 0 && max < limit) || (min > limit && max < 2 * limit);
    let mut zero = s.v & Flags::Z != 0 && !zero_known;
    if carry.v == 0 {
        let negated = |x: Bits| Bits::defined(x.a.wrapping_add(carry.a).wrapping_neg()).cut(width);
        if b.v == 0 {
            zero &= equal_undefined(a, negated(b));
        } else if a.v == 0 {
            zero &= equal_undefined(b, negated(a));
        } else if carry.a == 1 {
            zero &= equal_undefined(a, b.not(width));
        }
    }
    s.set(Flags::Z, r.a == 0, zero);

    let smin = a.signed_min(width) + b.signed_min(width) + carry.min() as i128;
    let smax = a.signed_max(width) + b.signed_max(width) + carry.max() as i128;
    let (lowest, highest) = (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1);
    let fits = smin >= lowest && smax <= highest;
    let overflows = smin > highest || smax < lowest;
    let signed = |x: u64| bits::sign_extend(x, width) as i128;
    let total = signed(a.a) + signed(b.a) + carry.a as i128;
    s.set(Flags::O, total < lowest || total > highest, !fits && !overflows);
    // SF != OF is the sign of the true sum. A sum that wraps to zero is below zero: LE needs no case of its own.
    let refine = |s: &mut Status, flag: u16, undefined: bool| s.set(flag, false, undefined);
    refine(&mut s, Flags::L, (smin < 0) != (smax < 0));
    refine(&mut s, Flags::LE, (smin <= 0) != (smax <= 0));
    let below_or_equal = if subtract {
        (min <= limit) != (max <= limit)
    } else {
        !(max == 0 || min >= limit || (min > 0 && max < limit))
    };
    refine(&mut s, Flags::BE, below_or_equal);
    (r, s)
}

/// The flags of and, or, xor, test: C, O and A are 0.
pub(crate) fn logic(r: Bits, width: u32) -> Status {
    let mut s = Status::lazy(Flags::STATUS, false);
    s.result(r, width);
    s.set(Flags::LE, false, (r.signed_min(width) <= 0) != (r.signed_max(width) <= 0));
    s
}

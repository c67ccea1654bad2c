//! Values whose bits are known in part, and exact arithmetic on them.
//!
//! A [`Bits`] stands for all values that its undefined bits can make. The intervals here are exact because the
//! least value (undefined bits 0) and the greatest (undefined bits 1) are both possible.

/// A value of up to 64 bits with its V bits. Bits above the width that a function is told are zero in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    pub(crate) a: u64,
    pub(crate) v: u64,
}

impl Bits {
    pub(crate) const fn new(a: u64, v: u64) -> Bits {
        Bits { a, v }
    }

    pub(crate) const fn defined(a: u64) -> Bits {
        Bits { a, v: 0 }
    }

    pub(crate) const fn min(self) -> u64 {
        self.a & !self.v
    }

    pub(crate) const fn max(self) -> u64 {
        self.a | self.v
    }

    pub(crate) const fn cut(self, width: u32) -> Bits {
        Bits { a: self.a & ones(width), v: self.v & ones(width) }
    }

    /// The bits from `from` up to `width`, moved down.
    pub(crate) const fn field(self, from: u32, width: u32) -> Bits {
        if from >= 64 {
            return Bits { a: 0, v: 0 };
        }
        Bits { a: self.a >> from, v: self.v >> from }.cut(width)
    }

    pub(crate) const fn not(self, width: u32) -> Bits {
        Bits { a: !self.a & ones(width), v: self.v }
    }

    /// Sign-extends value and V bits.
    pub(crate) const fn extend(self, from: u32, to: u32) -> Bits {
        Bits { a: sign_extend(self.a, from) as u64, v: sign_extend(self.v, from) as u64 }.cut(to)
    }

    /// Least value when read as signed: an undefined sign bit is 1, other undefined bits 0.
    pub(crate) const fn signed_min(self, width: u32) -> i128 {
        let sign = 1 << (width - 1);
        sign_extend(self.min() | (self.v & sign), width) as i128
    }

    pub(crate) const fn signed_max(self, width: u32) -> i128 {
        let sign = 1 << (width - 1);
        sign_extend(self.max() & !(self.v & sign), width) as i128
    }

    /// Whether it is undefined if the value is zero: no bit is surely 1, and some are undefined.
    pub(crate) const fn zero_undefined(self) -> bool {
        self.v != 0 && self.min() == 0
    }

    pub(crate) const fn and(self, b: Bits) -> Bits {
        Bits { a: self.a & b.a, v: (self.v | b.v) & self.max() & b.max() }
    }

    pub(crate) const fn or(self, b: Bits) -> Bits {
        Bits { a: self.a | b.a, v: (self.v | b.v) & !self.min() & !b.min() }
    }

    pub(crate) const fn xor(self, b: Bits) -> Bits {
        Bits { a: self.a ^ b.a, v: self.v | b.v }
    }
}

/// The low `width` bits set.
pub(crate) const fn ones(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

pub(crate) const fn sign_extend(a: u64, width: u32) -> i64 {
    ((a << (64 - width)) as i64) >> (64 - width)
}

/// `mask` if anything is undefined.
pub(crate) const fn spread(v: u64, mask: u64) -> u64 {
    if v != 0 { mask } else { 0 }
}

/// Every bit from the lowest set one upwards: how far a carry can reach.
pub(crate) const fn left(v: u64) -> u64 {
    v | v.wrapping_neg()
}

/// V bits of a value that lies between `min` and `max`: what is above the highest bit that they differ in is common.
pub(crate) const fn between(min: u64, max: u64) -> u64 {
    match min ^ max {
        0 => 0,
        differ => u64::MAX >> differ.leading_zeros(),
    }
}

/// V bits of a function that never falls when an operand rises, from the results for the least and the greatest
/// operands: all results lie between those.
pub(crate) fn rising(a: Bits, b: Bits, f: impl Fn(u64, u64) -> u64) -> u64 {
    between(f(a.min(), b.min()), f(a.max(), b.max()))
}

/// V bits of the smaller (or greater) of two values. A bit that is defined and alike in both is that of the result.
pub(crate) fn extreme(a: Bits, b: Bits, width: u32, signed: bool, greater: bool) -> u64 {
    let flip = if signed { 1 << (width - 1) } else { 0 };
    let order = |x: Bits| Bits::new(x.a ^ flip, x.v);
    let (x, y) = (order(a), order(b));
    let v = if greater { rising(x, y, u64::max) } else { rising(x, y, u64::min) };
    if !greater_undefined(x, y, width, false) {
        return if (x.a > y.a) == greater { x.v } else { y.v };
    }
    v & (a.v | b.v | (a.a ^ b.a))
}

/// V bits of a signed value brought into a range: cut off if it surely lies within.
pub(crate) fn saturate(x: Bits, width: u32, lowest: i64, highest: i64, to: u32) -> u64 {
    let (min, max) = (x.signed_min(width), x.signed_max(width));
    if min >= lowest as i128 && max <= highest as i128 {
        return x.v & ones(to);
    }
    let clamp = |x: i128| x.clamp(lowest as i128, highest as i128) as u64;
    // In an order without signs, so that what lies between has the common bits.
    let flip = if lowest < 0 { 1 << (to - 1) } else { 0 };
    between((clamp(min) ^ flip) & ones(to), (clamp(max) ^ flip) & ones(to))
}

/// V bits of `a + b + carry`, where `carry` is 0 or 1 or undefined; exact for independent operands.
///
/// Both the least and the greatest sum are possible, and a carry can only become 1 when an input does: where the
/// inputs of a position are defined, it is undefined exactly if its carry differs between the two sums.
pub(crate) const fn add(a: Bits, b: Bits, carry: Bits, width: u32) -> Bits {
    let min = a.min().wrapping_add(b.min()).wrapping_add(carry.min());
    let max = a.max().wrapping_add(b.max()).wrapping_add(carry.max());
    let sum = a.a.wrapping_add(b.a).wrapping_add(carry.a);
    Bits { a: sum, v: a.v | b.v | (min ^ max) }.cut(width)
}

/// `a - b`, as `a + !b + 1`.
pub(crate) const fn sub(a: Bits, b: Bits, width: u32) -> Bits {
    add(a, b.not(width), Bits::defined(1), width)
}

/// Whether it is undefined if `a == b`: no pair of defined bits differs.
pub(crate) const fn equal_undefined(a: Bits, b: Bits) -> bool {
    let v = a.v | b.v;
    v != 0 && (a.a ^ b.a) & !v == 0
}

/// Whether it is undefined if `a > b`.
pub(crate) const fn greater_undefined(a: Bits, b: Bits, width: u32, signed: bool) -> bool {
    if signed {
        (a.signed_min(width) > b.signed_max(width)) != (a.signed_max(width) > b.signed_min(width))
    } else {
        (a.min() > b.max()) != (a.max() > b.min())
    }
}

/// A shift of value and V bits by a defined amount. `amount` may be as large as the width or larger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shift {
    Left,
    Right,
    Arithmetic,
}

pub(crate) const fn shift(x: u64, amount: u64, width: u32, kind: Shift) -> u64 {
    let out = amount >= width as u64;
    match kind {
        Shift::Left => (if out { 0 } else { x << amount }) & ones(width),
        Shift::Right => {
            if out {
                0
            } else {
                (x & ones(width)) >> amount
            }
        }
        Shift::Arithmetic => {
            let amount = if out { width - 1 } else { amount as u32 };
            (sign_extend(x, width) >> amount) as u64 & ones(width)
        }
    }
}

/// Low and high `width` bits of the V bits of a product.
///
/// Below the lowest undefined bit that any partial product has, the product is defined; above the highest bit of
/// the greatest product it is zero, which for signed operands is used only if neither can be negative.
pub(crate) fn multiply(a: Bits, b: Bits, width: u32, signed: bool) -> (u64, u64) {
    if a.v | b.v == 0 {
        return (0, 0);
    }
    // The lowest position at which an undefined bit of `x` meets a bit of `y` that can be set.
    let lowest = |x: Bits, y: Bits| {
        if x.v == 0 || y.max() == 0 { 128 } else { x.v.trailing_zeros() + y.max().trailing_zeros() }
    };
    let low = lowest(a, b).min(lowest(b, a));
    if low >= 128 {
        return (0, 0);
    }
    let sign = 1u64 << (width - 1);
    let top = if signed && (a.max() | b.max()) & sign != 0 {
        u128::MAX
    } else {
        let greatest = a.max() as u128 * b.max() as u128;
        if greatest == 0 { 0 } else { u128::MAX >> greatest.leading_zeros() }
    };
    let v = (u128::MAX << low) & top;
    ((v as u64) & ones(width), (v >> width) as u64 & ones(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values that `x` stands for.
    fn values(x: Bits) -> impl Iterator<Item = u64> {
        (0..16u64).filter(move |y| y & !x.v == x.min())
    }

    fn differing(v: impl Iterator<Item = u64>) -> u64 {
        let (and, or) = v.fold((u64::MAX, 0), |(and, or), x| (and & x, or | x));
        and ^ or
    }

    /// Addition, subtraction and comparisons are exact: every pair of partly known nibbles.
    #[test]
    fn sums_and_orders_are_exact_for_all_nibbles() {
        let parts = || (0..256).map(|x| Bits::new(x & 15, x >> 4)).filter(|x| x.a & x.v == 0);
        for (a, b) in parts().flat_map(|a| parts().map(move |b| (a, b))) {
            let pairs = || values(a).flat_map(|x| values(b).map(move |y| (x, y)));
            assert_eq!(add(a, b, Bits::default(), 4).v, differing(pairs().map(|(x, y)| (x + y) & 15)));
            assert_eq!(sub(a, b, 4).v, differing(pairs().map(|(x, y)| x.wrapping_sub(y) & 15)));
            let differs = |f: fn(u64, u64) -> bool| differing(pairs().map(|(x, y)| f(x, y) as u64)) != 0;
            assert_eq!(equal_undefined(a, b), differs(|x, y| x == y));
            assert_eq!(greater_undefined(a, b, 4, false), differs(|x, y| x > y));
            assert_eq!(
                greater_undefined(a, b, 4, true),
                differs(|x, y| sign_extend(x, 4) > sign_extend(y, 4))
            );
            for signed in [false, true] {
                let flip = if signed { 8 } else { 0 };
                for greater in [false, true] {
                    let pick = |x: u64, y: u64| if ((x ^ flip) > (y ^ flip)) == greater { x } else { y };
                    let truth = differing(pairs().map(|(x, y)| pick(x, y)));
                    assert_eq!(truth & !extreme(a, b, 4, signed, greater), 0, "{a:?} {b:?}");
                }
                let (lowest, highest) = if signed { (-2, 1) } else { (0, 3) };
                let truth = differing(values(a).map(|x| sign_extend(x, 4).clamp(lowest, highest) as u64 & 3));
                assert_eq!(truth & !saturate(a, 4, lowest, highest, 2), 0, "{a:?}");
                let extend = |x| if signed { sign_extend(x, 4) as u64 } else { x };
                let truth = differing(pairs().map(|(x, y)| extend(x).wrapping_mul(extend(y)) & 255));
                let (low, high) = multiply(a, b, 4, signed);
                assert_eq!(truth & !(low | high << 4), 0, "{a:?} {b:?} {signed}");
            }
        }
    }
}

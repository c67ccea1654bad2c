//! Undefined units that a function's loop goes on or ends by, as it would branch on them: told once for each range.
//!
//! Always holds: where the defined bits of a unit decide, nothing is told; nor of what the guest may not touch, of which
//! an invalid read is told instead.

use super::call::Call;
use crate::{errors, guest_mem, shadow};

/// A unit: its value, and its V bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partly {
    value: u32,
    bits: u32,
}

impl Partly {
    const fn known(value: u32) -> Partly {
        Partly { value, bits: 0 }
    }

    /// Whether undefined bits decide if two are equal.
    fn may_equal(self, other: Partly) -> bool {
        let bits = self.bits | other.bits;
        bits != 0 && (self.value ^ other.value) & !bits == 0
    }
}

impl Call<'_> {
    /// The function has compared each of `count` units of `width` bytes with each of some values.
    #[cold]
    pub(super) fn tell_searched(&mut self, start: u64, count: u64, width: u64, wanted: &[u32]) {
        self.tell_undecided(start, count, width, |unit, _| {
            wanted.iter().any(|value| unit.may_equal(Partly::known(*value)))
        });
    }

    /// The function has looked at `count` bytes in some other way.
    #[cold]
    pub(super) fn tell_used(&mut self, start: u64, count: u64) {
        self.tell_undecided(start, count, 1, |unit, _| unit.bits != 0);
    }

    /// The function has compared `count` units with those at another address, and with an end if there is `nul`.
    #[cold]
    pub(super) fn tell_compared(&mut self, start: u64, other: u64, count: u64, width: u64, nul: bool) {
        let engine = self.engine;
        self.tell_undecided(start, count, width, |unit, index| {
            unit.may_equal(partly(engine, other + index * width, width))
                || nul && unit.may_equal(Partly::known(0))
        });
    }

    fn tell_undecided(
        &mut self,
        start: u64,
        count: u64,
        width: u64,
        is_undecided: impl Fn(Partly, u64) -> bool,
    ) {
        if !shadow::follows() {
            return;
        }
        let engine = self.engine;
        let first =
            (0..count).find(|index| is_undecided(partly(engine, start + index * width, width), *index));
        if let Some(index) = first {
            let pc = self.thread.context.pc;
            errors::undefined_unit(engine, self.thread, pc, start + index * width);
        }
    }
}

/// The unit at an address. What the guest may not touch counts as defined.
fn partly(engine: &crate::state::Engine, at: u64, width: u64) -> Partly {
    let (mut value, mut bits) = ([0; 4], [0; 4]);
    let size = width as usize;
    shadow::read(at, &mut bits[..size]);
    if bits != [0; 4] {
        let bad = errors::unaddressable(engine, at, &bits[..size]);
        for (index, byte) in bits.iter_mut().enumerate() {
            if bad >> index & 1 != 0 {
                *byte = 0;
            }
        }
    }
    guest_mem::read(at, &mut value[..size]);
    Partly { value: u32::from_le_bytes(value), bits: u32::from_le_bytes(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defined_bits_decide() {
        let unit = |value, bits| Partly { value, bits };
        assert!(unit(5, 0xff).may_equal(Partly::known(0)));
        assert!(!unit(5, 0).may_equal(Partly::known(5)), "all is defined");
        assert!(!unit(0x80, 0x7f).may_equal(Partly::known(0)), "the bit that is set is defined");
        assert!(unit(0x80, 0x80).may_equal(unit(0, 0)));
        assert!(unit(1, 0).may_equal(unit(3, 2)));
        assert!(!unit(1, 2).may_equal(unit(8, 4)));
    }
}

//! Unwind rules: what CFI says at one pc, in 64 bits.
//!
//! Every rule is an equation from the registers of a frame `(sp, bp)` to those of its caller; offsets are in
//! words of 8 bytes. In the three plain forms the return address is at `cfa - 8` and the caller's sp is
//! `cfa`. Not here: reading CFI (`cfi`), applying rules (`unwinder`).

use crate::unwinder::BpUse;

/// How the canonical frame address (CFA) is found, or which other way is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    /// `cfa = sp + 8x`
    Sp = 0,
    /// `cfa = bp + 8x`
    Bp = 1,
    /// `cfa = *(bp + 8x)`: a function that realigns its stack (gcc's DRAP).
    DerefBp = 2,
    /// No caller: CFI says that the return address is undefined.
    Outermost = 3,
    /// `(pc, sp, bp) = *(sp + 168), *(sp + 160), *(sp + 120)`: rt_sigreturn, the kernel's ucontext is at sp.
    Signal = 4,
    /// Everything else that CFI can say: evaluated each time.
    Cfi = 5,
    /// No unwind information.
    None = 6,
}

/// Where the caller's rbp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Saved {
    /// `bp = bp`
    Same = 0,
    /// `bp = *(cfa + 8y)`
    AtCfa = 1,
    /// `bp = *(bp + 8y)`
    AtBp = 2,
}

/// A packed rule: x in bits 0..24, y in 24..36, [`Form`] in 36..40, [`Saved`] in 40..42, and in 48..64 the
/// module's slot plus 1 (0 for no module).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rule(u64);

impl Rule {
    /// A plain rule; `None` when an offset (in bytes) does not fit or is not a multiple of 8.
    pub(crate) fn plain(form: Form, cfa: i64, saved: Saved, bp: i64) -> Option<Rule> {
        if cfa % 8 != 0 || bp % 8 != 0 {
            return None;
        }
        let (x, y) = (cfa / 8, bp / 8);
        if !(-(1 << 23)..1 << 23).contains(&x) || !(-(1 << 11)..1 << 11).contains(&y) {
            return None;
        }
        let offsets = (x as u64 & 0xff_ffff) | (y as u64 & 0xfff) << 24;
        Some(Rule(offsets | (form as u64) << 36 | (saved as u64) << 40))
    }

    /// A rule without offsets.
    pub(crate) fn of(form: Form) -> Rule {
        Rule((form as u64) << 36)
    }

    /// The same rule in the module at this slot.
    pub(crate) fn in_module(self, slot: Option<u16>) -> Rule {
        let slot = slot.map_or(0, |slot| u64::from(slot) + 1);
        Rule(self.0 & ((1 << 48) - 1) | slot << 48)
    }

    /// x in bytes.
    #[inline]
    pub(crate) fn cfa_offset(self) -> u64 {
        ((self.0 << 40) as i64 >> 40 << 3) as u64
    }

    /// y in bytes.
    #[inline]
    pub(crate) fn bp_offset(self) -> u64 {
        ((self.0 << 28) as i64 >> 52 << 3) as u64
    }

    #[inline]
    pub(crate) fn form(self) -> Form {
        match self.0 >> 36 & 15 {
            0 => Form::Sp,
            1 => Form::Bp,
            2 => Form::DerefBp,
            3 => Form::Outermost,
            4 => Form::Signal,
            5 => Form::Cfi,
            _ => Form::None,
        }
    }

    #[inline]
    pub(crate) fn saved(self) -> Saved {
        match self.0 >> 40 & 3 {
            0 => Saved::Same,
            1 => Saved::AtCfa,
            _ => Saved::AtBp,
        }
    }

    /// What a plain rule does with bp.
    #[inline]
    pub(crate) fn bp_use(self) -> BpUse {
        let saved = self.saved();
        let by_bp = matches!(self.form(), Form::Bp | Form::DerefBp);
        BpUse { reads: by_bp || saved == Saved::AtBp, restores: saved != Saved::Same }
    }

    /// Slot of the module that holds the pc.
    #[inline]
    pub(crate) fn slot(self) -> Option<u16> {
        match self.0 >> 48 {
            0 => None,
            slot => Some((slot - 1) as u16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_round_trips() {
        for form in [Form::Sp, Form::Bp, Form::DerefBp] {
            for saved in [Saved::Same, Saved::AtCfa, Saved::AtBp] {
                for (x, y) in
                    [(8, -16), (-8, 0), (8 * ((1 << 23) - 1), 8 * ((1 << 11) - 1)), (-(8 << 23), -(8 << 11))]
                {
                    for slot in [None, Some(0), Some(65534)] {
                        let rule = Rule::plain(form, x, saved, y).expect("fits").in_module(slot);
                        assert_eq!((rule.form(), rule.saved(), rule.slot()), (form, saved, slot));
                        assert_eq!((rule.cfa_offset() as i64, rule.bp_offset() as i64), (x, y));
                    }
                }
            }
        }
        for (x, y) in [(4, 0), (8, -12), (8 << 23, 0), (8, 8 << 11)] {
            assert_eq!(Rule::plain(Form::Sp, x, Saved::AtCfa, y), None);
        }
    }
}

//! MMX to AVX-512: one function per kind of instruction, in the modules below.
//!
//! Lane rules: a lane of the result depends on the same lane of the sources, and is undefined in full if any of
//! their bits is, unless something exact is known.

mod float;
mod lanes;
mod mask;
mod memory;
mod moves;
mod shuffle;
mod special;

use crate::operand::Step;
use iced_x86::Mnemonic;

pub(crate) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    moves::step(s, m)
        || lanes::step(s, m)
        || shuffle::step(s, m)
        || float::step(s, m)
        || memory::step(s, m)
        || special::step(s, m)
        || mask::step(s, m)
}

//! Undefined registers over a signal: their V bits lie in the shadow of the frame that holds their values.
//!
//! So they come back with the values, also when the handler has changed those, and nothing is left behind when it never
//! returns.

use super::{give_out, take_in};
use crate::context::{Context, Thread, gpr};
use crate::shadow;
use definedness::Registers;

/// Where a frame keeps registers: guest addresses of the general ones, in encoding order, of the flags, and of the
/// extended state (0 = none) with its size.
pub(crate) struct Places {
    /// General registers.
    pub(crate) general: [u64; 16],
    /// Flags.
    pub(crate) flags: u64,
    /// First byte and size of what fxsave or xsave store.
    pub(crate) extended: (u64, usize),
}

/// Offset of the xmm registers in the extended state, and of the halves above them.
const XMM: u64 = 160;
const YMM_HIGH: u64 = 576;

impl Places {
    /// Places of the halves of vector register `number`, as far as the frame has them.
    fn vector(&self, number: usize) -> [Option<u64>; 2] {
        let (start, size) = self.extended;
        let at = 16 * number as u64;
        let low = (start != 0).then_some(start + XMM + at);
        let high = (start != 0 && size as u64 >= YMM_HIGH + 256).then_some(start + YMM_HIGH + at);
        [low, high]
    }
}

fn is_dirty(context: &Context) -> bool {
    context.dirty.iter().any(|dirty| *dirty != 0)
}

/// A frame has been written for a handler that begins now.
pub(crate) fn saved(thread: &mut Thread, places: &Places) {
    if !shadow::follows() || !is_dirty(&thread.context) {
        return;
    }
    let context = &mut thread.context;
    take_in(context, true);
    let registers = &mut context.v;
    write(registers, places);
    // What the kernel sets for the handler.
    for number in [gpr::RAX, gpr::RDI, gpr::RSI, gpr::RDX, gpr::RSP] {
        registers.gpr[number] = 0;
    }
    registers.flags = definedness::Flags(0);
    // A handler begins with the initial state of all others.
    registers.x87 = Default::default();
    registers.x87_codes = 0;
    registers.mask = [0; 8];
    registers.vector = [[0; 8]; 32];
    give_out(context, true);
}

/// Undefined bits of a general register, and the guest address that they were loaded from.
pub(crate) fn general(thread: &Thread, number: usize) -> (u64, u64) {
    let Context { v, dirty, .. } = &thread.context;
    if dirty[number] == 0 { (0, 0) } else { (v.gpr[number], v.origin.gpr[number]) }
}

fn write(registers: &Registers, places: &Places) {
    for (at, v) in places.general.iter().zip(&registers.gpr).filter(|(_, v)| **v != 0) {
        shadow::write(*at, &v.to_le_bytes());
    }
    if registers.flags.0 != 0 {
        // The bits by their places, for a handler that looks, and above them, where no flag is, what is known of conditions.
        let word = registers.flags.rflags() | u64::from(registers.flags.0) << 32;
        shadow::write(places.flags, &word.to_le_bytes());
    }
    for (number, v) in registers.vector.iter().take(16).enumerate() {
        for (place, half) in places.vector(number).into_iter().zip(v.chunks_exact(2)) {
            if let (Some(place), false) = (place, half == [0, 0]) {
                shadow::write(place, &half[0].to_le_bytes());
                shadow::write(place + 8, &half[1].to_le_bytes());
            }
        }
    }
}

/// The registers that a frame holds are the thread's again.
pub(crate) fn returns(thread: &mut Thread, places: &Places) {
    if !shadow::follows() {
        return;
    }
    let none = !is_dirty(&thread.context);
    let word = |at: u64| {
        let mut bytes = [0; 8];
        shadow::read(at, &mut bytes);
        u64::from_le_bytes(bytes)
    };
    let clean = places.general.iter().all(|at| word(*at) == 0)
        && word(places.flags) == 0
        && (0..16).flat_map(|number| places.vector(number)).flatten().all(|at| word(at) | word(at + 8) == 0);
    if clean && none {
        return;
    }
    let context = &mut thread.context;
    take_in(context, true);
    let registers = &mut context.v;
    for (v, at) in registers.gpr.iter_mut().zip(&places.general) {
        *v = word(*at);
    }
    registers.gpr[gpr::RSP] = 0;
    registers.flags = definedness::Flags((word(places.flags) >> 32) as u16);
    for number in 0..16 {
        for (half, place) in places.vector(number).into_iter().enumerate() {
            if let Some(place) = place {
                registers.vector[number][2 * half] = word(place);
                registers.vector[number][2 * half + 1] = word(place + 8);
            }
        }
    }
    give_out(context, true);
}

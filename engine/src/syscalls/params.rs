//! Errors in the parameters of a system call that is about to be made: registers and memory that the kernel reads although
//! they are undefined, memory that is not the guest's to touch.
//!
//! Always holds: each parameter is told of once in a call, and the call is made all the same. Not here: what a call reads and
//! writes (crate `syscall-params`), what the kernel has written (`marks`).

use super::Call;
use crate::context::{Thread, gpr};
use crate::errors::{self, About, LONGEST_TEXT, Told};
use crate::ranges::{Flaw, Must, first_flaw, first_flaw_of_string};
use crate::state::Engine;
use crate::{precise, stacks};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use ring::record::Error;
use syscall_params::{Check, NUMBER_PARAMETER, Need, Parameter};

/// Registers of the arguments, in their order.
const REGISTERS: [usize; 6] = [gpr::RDI, gpr::RSI, gpr::RDX, gpr::R10, gpr::R8, gpr::R9];

/// The number of the call.
pub(super) fn check_number(engine: &Engine, thread: &mut Thread) {
    register(engine, thread, gpr::RAX, u64::MAX, format_args!("{NUMBER_PARAMETER}"));
}

/// One of the things that must hold before the call.
pub(super) fn check(engine: &Engine, thread: &mut Thread, check: Check) {
    match check {
        Check::Register { parameter, index, size } => {
            let counted = u64::MAX >> (64 - 8 * size.clamp(1, 8));
            register(engine, thread, REGISTERS[index], counted, format_args!("{parameter}"));
        }
        Check::Memory { parameter, need, address, size } => {
            let flaw = match need {
                Need::Read => first_flaw(engine, thread, address, size, Must::BeDefined),
                Need::Write => first_flaw(engine, thread, address, size, Must::BeAddressable),
                Need::String => first_flaw_of_string(engine, thread, address, size),
            };
            if let Some(flaw) = flaw {
                memory(engine, thread, &parameter, flaw);
            }
        }
    }
}

/// A register of which the bits in `counted` are read.
fn register(engine: &Engine, thread: &mut Thread, number: usize, counted: u64, name: fmt::Arguments<'_>) {
    if thread.context.dirty[number] == 0 {
        return;
    }
    let (bits, origin) = precise::general(thread, number);
    if bits & counted != 0 {
        let origin = errors::origin(engine, origin);
        tell(engine, thread, name, Told { origin, ..Told::new(Error::SyscallParam, About::NOTHING) });
    }
}

#[cold]
fn memory(engine: &Engine, thread: &mut Thread, parameter: &Parameter, flaw: Flaw) {
    let Flaw { address, unaddressable } = flaw;
    let origin = if unaddressable { 0 } else { errors::origin(engine, address) };
    let about = About::anything(engine, thread, thread.context.pc, address);
    let told = Told { address, unaddressable, origin, ..Told::new(Error::SyscallParam, about) };
    tell(engine, thread, format_args!("{parameter}"), told);
}

#[cold]
fn tell(engine: &Engine, thread: &mut Thread, name: fmt::Arguments<'_>, told: Told<'_>) {
    let mut text = Text { bytes: [0; LONGEST_TEXT], used: 0 };
    // What does not fit is cut.
    let _ = text.write_fmt(name);
    let stack = stacks::of_access(engine, thread, thread.context.pc.wrapping_sub(super::BYTES));
    let text = &text.bytes[..text.used];
    errors::tell(thread, stack, &Told { text, ..told });
}

/// The name of a parameter.
struct Text {
    bytes: [u8; LONGEST_TEXT],
    used: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.used..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.used += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Says once that a call is made of which nothing is known.
#[cold]
pub(super) fn unknown(thread: &mut Thread, call: &Call) {
    /// Numbers by their low bits; the kernel has fewer than 512.
    const WORDS: usize = 16;
    static SAID: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
    let (word, bit) = (call.number as usize / 64 % WORDS, 1 << (call.number % 64));
    if SAID[word].fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return;
    }
    if let Some(writer) = &mut thread.writer {
        let text = alloc::format!(
            "system call {} is not known: its parameters are not checked, and what it writes counts as not written",
            call.number as i64
        );
        writer.message(1, text.as_bytes());
    }
}

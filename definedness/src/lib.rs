//! Which bits an instruction leaves undefined.
//!
//! Pure: one guest instruction, the values before it and the V bits before it (1 = undefined) give the V bits after
//! it, the origins of what is undefined, and what is to be reported. No system call, no global state, no `unsafe`.
//! What always holds: a bit that can differ between two fillings of the undefined input bits is never called defined
//! (`tests/oracle` holds the rules against the processor itself). Where the manuals leave a flag undefined, it counts
//! as undefined only if an input was.
//!
//! An instruction without a rule of its own gets the conservative one: every output is undefined in full if any
//! input bit is.
//!
//! Not here: where V bits are kept, what is addressable, whether a report is shown (`engine`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod ahead;
mod bits;
mod conservative;
mod flags;
mod integer;
mod operand;
mod state;
mod vector;
mod wide;
mod x87;

#[doc(hidden)]
pub use ahead::executed;
pub use ahead::{Ahead, Surroundings};
pub use flags::Flags;
pub use state::{Access, Guest, Origins, Registers, Report, Rule, Shadow};

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic};
use operand::Step;

/// The rules, with the tables that the conservative one needs.
pub struct Rules {
    info: InstructionInfoFactory,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules::new()
    }
}

impl Rules {
    /// Allocates; [`Rules::step`] does not.
    pub fn new() -> Rules {
        let mut info = InstructionInfoFactory::new();
        // The longest lists of registers and of memory that there are, so that the tables never grow again.
        for code in [iced_x86::Code::Skinit, iced_x86::Code::Xcryptcbc_64] {
            let _ = info.info(&Instruction::with(code));
        }
        Rules { info }
    }

    /// Applies the rule of `insn`: reports what it uses, loads and stores V bits of memory, and changes `registers`.
    ///
    /// To be called before the guest executes `insn`, or with a `guest` that still answers as if. `insn` has been
    /// decoded at the guest's address. An instruction that faults has an effect on V bits here but not on the guest:
    /// the caller keeps a copy of `registers` if it goes on after faults.
    pub fn step(
        &mut self,
        insn: &Instruction,
        guest: &impl Guest,
        shadow: &mut impl Shadow,
        registers: &mut Registers,
        report: &mut impl FnMut(Report),
    ) -> Rule {
        let mut step = Step::new(insn, guest, shadow, registers, report);
        let m: Mnemonic = insn.mnemonic();
        if integer::step(&mut step, m) || vector::step(&mut step, m) || x87::step(&mut step, m) {
            return Rule::Own;
        }
        conservative::step(&mut step, &mut self.info);
        Rule::Conservative
    }
}

//! Executed code as plain Rust values: how often it ran, and what it is called.
//!
//! The same rules hold as in the parent module.

use super::{Bytes, Place};

/// How often a thread has executed code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executions {
    /// The thread's process.
    pub process: u32,
    /// The thread.
    pub thread: u32,
    /// The part: see [`PartEnd`].
    pub part: u32,
    /// Runs of instructions. Those of one message rise by module and address.
    pub rows: Vec<Executed>,
}

/// A run of 1 to 16 instructions, one behind the other, that were executed equally often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Executed {
    /// Module as in frames: the first module of a file; 0 for none.
    pub module: u32,
    /// Of the first instruction: address less the module's bias, or the absolute address when there is no module.
    pub rva: u64,
    /// How often.
    pub times: u64,
    /// Bytes of each instruction, four bits each, from the lowest four on; 0 for no more.
    pub lengths: u64,
}

impl Executed {
    /// Its instructions: rva and length in bytes (1 to 15) of each. An rva behind the last address wraps.
    pub fn instructions(self) -> impl Iterator<Item = (u64, u8)> {
        let Self { mut rva, mut lengths, .. } = self;
        std::iter::from_fn(move || {
            let (start, length) = (rva, (lengths & 15) as u8);
            lengths >>= 4;
            rva = rva.wrapping_add(u64::from(length));
            if length == 0 {
                // What lies above the first 0 is not meant, also when the iterator is asked again.
                lengths = 0;
                return None;
            }
            Some((start, length))
        })
    }
}

/// The end of a part of what a process executes. The last one ends with the process, and has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartEnd {
    /// The process.
    pub process: u32,
    /// The part's number: they rise in a process, from 0, with gaps.
    pub part: u32,
    /// Nothing of it counts.
    pub zeroed: bool,
    /// When it ended.
    pub time: u64,
    /// Its name, as the program gave it; may be empty.
    pub name: Bytes,
}

/// How often a thread has executed direct jumps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jumps {
    /// The thread's process.
    pub process: u32,
    /// The thread.
    pub thread: u32,
    /// The part.
    pub part: u32,
    /// The jumps. Those of one message rise by module, address and target.
    pub rows: Vec<Jump>,
}

/// A direct jump.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Jump {
    /// Module as in frames: the first module of a file; 0 for none.
    pub module: u32,
    /// Address less the module's bias, or the absolute address when there is no module.
    pub rva: u64,
    /// Where it leads when it is taken, in the same way and module.
    pub target: u64,
    /// How often it was executed.
    pub executed: u64,
    /// How often it was not taken; at most `executed`.
    pub passed: u64,
    /// Whether it depends on a condition.
    pub conditional: bool,
}

/// The calling-context tree of a thread, or the next rows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contexts {
    /// The thread's process.
    pub process: u32,
    /// The thread.
    pub thread: u32,
    /// The part: see [`PartEnd`].
    pub part: u32,
    /// Rows, numbered from 1 over all messages of the thread and part.
    pub rows: Vec<Context>,
}

/// A function in one context, or calls of it while it was active already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Context {
    /// The caller's row; 0 for none.
    pub parent: u32,
    /// Module of the function.
    pub module: u32,
    /// Its first instruction. 0 without a module: code of no known function.
    pub rva: u64,
    /// Module of the calling instruction.
    pub site_module: u32,
    /// Its last byte. 0 without a module: not known.
    pub site_rva: u64,
    /// How often it was called.
    pub calls: u64,
    /// Instructions executed in the function itself.
    pub cost: u64,
    /// The row of the ancestor, of the same function, where the calls went on; 0: in this one.
    pub again: u32,
}

/// What instructions have cost a process, besides that they were executed, or the next rows of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Costs {
    /// The process.
    pub process: u32,
    /// The part of what the process executed.
    pub part: u32,
    /// Instructions and events. Those of one message rise by module and address.
    pub rows: Vec<Cost>,
}

/// How often an event occurred at an instruction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Module as in frames: the first module of a file; 0 for none.
    pub module: u32,
    /// Of the instruction: address less the module's bias, or the absolute address when there is no module.
    pub rva: u64,
    /// String: the event's name, as Callgrind's.
    pub event: u32,
    /// How often.
    pub times: u64,
}

/// What was spent in contexts of a thread themselves, or the next rows of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextCosts {
    /// The thread's process.
    pub process: u32,
    /// The thread.
    pub thread: u32,
    /// The part that the contexts are of.
    pub part: u32,
    /// Contexts and events. Those of one message rise by context.
    pub rows: Vec<ContextCost>,
}

/// How often an event occurred in a context itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ContextCost {
    /// Row of the thread's contexts.
    pub context: u32,
    /// String: the event's name, as in costs.
    pub event: u32,
    /// How often.
    pub times: u64,
}

/// Places of code appended to the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Id of the first.
    pub first_id: u32,
    /// The places. Each is a function and what it was inlined into, innermost first; the last one is the real
    /// function.
    pub places: Vec<Vec<Place>>,
}

/// What executed code of a module is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeLines {
    /// Module as in frames.
    pub module: u32,
    /// Where the code of each place begins. Rows of a module rise over all its messages.
    pub rows: Vec<CodeLine>,
}

/// The code from here up to the next line of the module has this place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CodeLine {
    /// Its first address, less the module's bias.
    pub rva: u64,
    /// Id in the table of places; 0: nothing is known, or no code was executed from here on.
    pub place: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(rva: u64, lengths: u64) -> Vec<(u64, u8)> {
        Executed { module: 1, rva, times: 1, lengths }.instructions().collect()
    }

    #[test]
    fn a_run_gives_its_instructions() {
        assert_eq!(instructions(0x1000, 0xf13), [(0x1000, 3), (0x1003, 1), (0x1004, 15)]);
        let full = instructions(0x1000, u64::MAX);
        assert_eq!((full.len(), full[15]), (16, (0x1000 + 15 * 15, 15)));
    }

    #[test]
    fn a_run_ends_at_its_first_length_of_0_and_at_no_address() {
        assert_eq!(instructions(7, 0), []);
        assert_eq!(instructions(7, 0x3302), [(7, 2)]);
        assert_eq!(instructions(u64::MAX, 0x21), [(u64::MAX, 1), (0, 2)]);
        let mut run = Executed { lengths: 0x3302, ..Executed::default() }.instructions();
        assert_eq!([run.next(), run.next(), run.next()], [Some((0, 2)), None, None]);
    }
}

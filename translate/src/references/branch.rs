//! Which instructions Valgrind's predictors of branches see.
//!
//! Rules: those of `models::accesses`. VEX makes a conditional exit of what repeats itself and of each compare-and-exchange,
//! and Callgrind counts each as `Bc`.

use super::implicit::rounds;
use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind};

/// A branch that the predictors have to do with; a return is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// `Bc`: taken where the next instruction is another than the one behind it.
    Conditional,
    /// `Bi`: a jump or call through a register or memory.
    Indirect,
}

/// `Bc` that Valgrind counts where the processor has no branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artificial {
    /// One, never taken: the compare-and-exchange went well.
    Exchange,
    /// One with each round, taken, and one more that finds the count 0, not taken: the exit leads to the next instruction, which
    /// Callgrind takes for a branch that VEX has turned around.
    Rounds,
    /// Two with each round: the first as above; the second, which a count of 0 leaves out, is taken while rounds go on.
    ComparingRounds,
}

/// What kind of branch an instruction is.
pub fn branch(insn: &Instruction) -> Option<Branch> {
    match insn.flow_control() {
        FlowControl::ConditionalBranch => Some(Branch::Conditional),
        FlowControl::IndirectBranch | FlowControl::IndirectCall => Some(Branch::Indirect),
        _ => None,
    }
}

/// What `Bc` Valgrind adds to an instruction.
pub fn artificial(insn: &Instruction) -> Option<Artificial> {
    if let Some(rounds) = rounds(insn) {
        return Some(match rounds.while_zero {
            None => Artificial::Rounds,
            Some(_) => Artificial::ComparingRounds,
        });
    }
    let exchanges = insn.mnemonic() == Mnemonic::Xchg
        && (0..insn.op_count()).any(|operand| insn.op_kind(operand) == OpKind::Memory);
    // Those that compare and exchange by themselves need no second try.
    let by_itself = matches!(insn.mnemonic(), Mnemonic::Cmpxchg | Mnemonic::Cmpxchg8b | Mnemonic::Cmpxchg16b);
    (exchanges || insn.has_lock_prefix() && !by_itself).then_some(Artificial::Exchange)
}

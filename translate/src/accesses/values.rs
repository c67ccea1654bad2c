//! What is known of general registers within a run: which word of its record they differ from by a constant.

use crate::decode::number;
use crate::operand::Tools;
use iced_x86::{Instruction, Mnemonic, OpKind};

/// A register's value: a word of the record (by its number in the order in which they are put down) and what has been added
/// since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) word: u16,
    pub(super) added: u64,
}

/// The values of all general registers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values([Option<Value>; 16]);

impl Values {
    pub(super) fn get(&self, register: u8) -> Option<Value> {
        self.0[usize::from(register & 15)]
    }

    /// The register has been put down.
    pub(super) fn set(&mut self, register: u8, word: u16) {
        self.0[usize::from(register & 15)] = Some(Value { word, added: 0 });
    }

    /// The instruction has been executed.
    pub(super) fn execute(&mut self, insn: &Instruction, tools: &mut Tools) {
        let known = self.result(insn);
        let written = tools.may_write(insn);
        for (register, value) in self.0.iter_mut().enumerate() {
            if written & 1 << register != 0 {
                *value = None;
            }
        }
        if let Some((register, value)) = known {
            self.0[usize::from(register)] = value;
        }
    }

    /// The register of whose value something is known afterwards, though it is written.
    fn result(&self, insn: &Instruction) -> Option<(u8, Option<Value>)> {
        let wide = |operand: u32| {
            let register = insn.op_register(operand);
            if insn.op_kind(operand) == OpKind::Register && register.is_gpr64() {
                number(register)
            } else {
                None
            }
        };
        let plus = |register: u8, more: u64| {
            self.get(register).map(|value| Value { added: value.added.wrapping_add(more), ..value })
        };
        let immediate = || is_immediate(insn.op1_kind()).then(|| insn.immediate(1));
        match insn.mnemonic() {
            Mnemonic::Push | Mnemonic::Pop | Mnemonic::Pushfq | Mnemonic::Popfq => {
                const RSP: u8 = crate::emit::reg::RSP;
                let popped = insn.mnemonic() == Mnemonic::Pop && number(insn.op0_register()) == Some(RSP);
                let more = i64::from(insn.stack_pointer_increment()) as u64;
                (!popped).then(|| (RSP, plus(RSP, more)))
            }
            Mnemonic::Add => {
                wide(0).zip(immediate()).map(|(register, more)| (register, plus(register, more)))
            }
            Mnemonic::Sub => wide(0)
                .zip(immediate())
                .map(|(register, less)| (register, plus(register, less.wrapping_neg()))),
            Mnemonic::Inc => wide(0).map(|register| (register, plus(register, 1))),
            Mnemonic::Dec => wide(0).map(|register| (register, plus(register, u64::MAX))),
            Mnemonic::Mov => wide(0).zip(wide(1)).map(|(to, from)| (to, self.get(from))),
            Mnemonic::Lea => {
                let base = insn.memory_base();
                let plain = insn.memory_index() == iced_x86::Register::None && base.is_gpr64();
                let from = number(base).filter(|_| plain);
                wide(0).zip(from).map(|(to, from)| (to, plus(from, insn.memory_displacement64())))
            }
            _ => None,
        }
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8to64 | OpKind::Immediate32to64 | OpKind::Immediate8 | OpKind::Immediate64
    )
}

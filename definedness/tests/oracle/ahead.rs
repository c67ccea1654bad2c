//! What a look ahead computes, against the processor: each instruction that it follows, with random operands and values.

use crate::case::{Case, State, unspecified};
use crate::forms::{Form, Kind, Pool};
use crate::machine::{Machine, Processor};
use crate::rng::Rng;
use crate::seed;
use definedness::{Guest, Surroundings};
use iced_x86::{InstructionInfoFactory, Mnemonic};
use std::collections::BTreeMap;

/// Those that it has to follow.
const FOLLOWED: &str = "Mov Movzx Movsx Movsxd Lea Add Sub Cmp And Or Xor Test Not Sete Setne Seta Setae Setb Setbe Setg Setge \
    Setl Setle Sets Setns";

/// CF PF AF ZF SF OF.
const STATUS: u64 = 0x8d5;

impl Surroundings for State<'_> {
    fn code(&self, _: u64, _: &mut [u8]) -> usize {
        0
    }

    fn load(&self, address: u64, a: &mut [u8], v: &mut [u8]) -> bool {
        let at = address.wrapping_sub(self.memory) as usize;
        let inside = self.machine.memory.get(at..at.wrapping_add(a.len())).is_some();
        self.read(address, a);
        v.fill(0);
        inside
    }
}

#[test]
fn values_ahead_are_those_of_the_processor() {
    let processor = Processor::new();
    let mut info = InstructionInfoFactory::new();
    let cases = if crate::long() { 20_000 } else { 400 };
    let mut compared: BTreeMap<Mnemonic, u64> = BTreeMap::new();
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for (_, code) in Pool::new().forms.iter().filter(|(kind, _)| *kind == Kind::Integer) {
        for number in 0..cases {
            let mut rng = Rng::new(seed(*code, number));
            let Some(form) = Form::new(*code, &mut rng) else { continue };
            let Some(case) = Case::new(&form, &mut rng, &processor, &mut info) else { continue };
            let state = State { machine: &case.before, memory: processor.memory() };
            let Some((gpr, rflags)) = definedness::executed(&case.insn, &state, &state) else { continue };
            processor.prepare(&case.bytes);
            let mut after = Machine::blank();
            if processor.run(&case.before, &mut after).is_err() {
                continue;
            }
            *compared.entry(case.insn.mnemonic()).or_default() += 1;
            let flags = STATUS & !unspecified(&case.insn);
            if gpr != after.gpr || (rflags ^ after.flags) & flags != 0 {
                let text = format!(
                    "{}: {gpr:x?} {:#x} instead of {:x?} {:#x}, from {:x?}",
                    case.insn,
                    rflags & flags,
                    after.gpr,
                    after.flags & flags,
                    case.before.gpr
                );
                wrong.entry(format!("{code:?}")).or_insert(text);
                break;
            }
        }
    }
    println!("{} instructions: {compared:?}", compared.values().sum::<u64>());
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in FOLLOWED.split_whitespace() {
        assert!(
            compared.iter().any(|(mnemonic, count)| format!("{mnemonic:?}") == name && *count > 0),
            "{name}"
        );
    }
}

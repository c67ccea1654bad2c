//! Every condition after every common producer of flags: what the processor does, what our rule says, and what
//! Valgrind's says. Ours may never miss an undefined condition, and its excess may not be larger than Valgrind's.
//!
//! Valgrind's rule is stated from its documentation of the definedness of each pair of producer and condition, taken at
//! its best: as if each pair were specialised, and with exact compares wherever it has any.

use crate::case::{apply, fill, with_conditions};
use crate::machine::{FLAGS, GPR, Machine, Processor, VECTOR};
use crate::rng::Rng;
use definedness::Rules;
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction, Register};
use std::collections::BTreeMap;

/// Each V bit and the two conditions that it decides.
const CONDITIONS: [(&str, u32); 8] = [
    ("o/no", 11),
    ("b/ae", 0),
    ("e/ne", 6),
    ("be/a", 34),
    ("s/ns", 7),
    ("p/np", 2),
    ("l/ge", 32),
    ("le/g", 33),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Producer {
    Add,
    Sub,
    SubConstant,
    And,
    Or,
    Xor,
    Inc,
    Dec,
    Neg,
    Shl,
    Shr,
    Sar,
    Rol,
    Imul,
    Bt,
    Ucomisd,
    Ptest,
}

use Producer::*;

const ALL: [Producer; 17] =
    [Add, Sub, SubConstant, And, Or, Xor, Inc, Dec, Neg, Shl, Shr, Sar, Rol, Imul, Bt, Ucomisd, Ptest];

/// Operands: rcx (or the shift count in it) and rdx; xmm1 and xmm2.
fn instruction(producer: Producer, size: usize, rng: &mut Rng) -> Option<(Instruction, u64)> {
    use Code::*;
    let pick = |codes: [Code; 4]| codes[size];
    let a = [Register::DL, Register::DX, Register::EDX, Register::RDX][size];
    let b = [Register::SIL, Register::SI, Register::ESI, Register::RSI][size];
    let two = |code| Instruction::with2(code, a, b).ok().map(|insn| (insn, 0));
    let one = |code| Instruction::with1(code, a).ok().map(|insn| (insn, 0));
    let width = 8u64 << size;
    let count = 1 + rng.below(width - 1);
    // A count of one has flags of its own, all of them specified.
    let count = if rng.one_in(2) { 1 } else { count };
    let shift = |by_one, by_more| {
        let code = if count == 1 { by_one } else { by_more };
        Instruction::with2(code, a, count as u32).ok().map(|insn| (insn, count))
    };
    match producer {
        Add => two(pick([Add_rm8_r8, Add_rm16_r16, Add_rm32_r32, Add_rm64_r64])),
        Sub => two(pick([Sub_rm8_r8, Cmp_rm16_r16, Sub_rm32_r32, Cmp_rm64_r64])),
        SubConstant => {
            // Powers of two and their predecessors are what compilers make of bit fields.
            let bits = if size == 0 { 7 } else { 15.min(width - 1) };
            let constant = (1u64 << rng.below(bits)) - rng.below(2);
            let code = pick([Cmp_rm8_imm8, Cmp_rm16_imm16, Cmp_rm32_imm32, Cmp_rm64_imm32]);
            Instruction::with2(code, a, constant as i32).ok().map(|insn| (insn, constant))
        }
        And => two(pick([And_rm8_r8, And_rm16_r16, Test_rm32_r32, And_rm64_r64])),
        Or => two(pick([Or_rm8_r8, Or_rm16_r16, Or_rm32_r32, Or_rm64_r64])),
        Xor => two(pick([Xor_rm8_r8, Xor_rm16_r16, Xor_rm32_r32, Xor_rm64_r64])),
        Inc => one(pick([Inc_rm8, Inc_rm16, Inc_rm32, Inc_rm64])),
        Dec => one(pick([Dec_rm8, Dec_rm16, Dec_rm32, Dec_rm64])),
        Neg => one(pick([Neg_rm8, Neg_rm16, Neg_rm32, Neg_rm64])),
        Shl => shift(
            pick([Shl_rm8_1, Shl_rm16_1, Shl_rm32_1, Shl_rm64_1]),
            pick([Shl_rm8_imm8, Shl_rm16_imm8, Shl_rm32_imm8, Shl_rm64_imm8]),
        ),
        Shr => shift(
            pick([Shr_rm8_1, Shr_rm16_1, Shr_rm32_1, Shr_rm64_1]),
            pick([Shr_rm8_imm8, Shr_rm16_imm8, Shr_rm32_imm8, Shr_rm64_imm8]),
        ),
        Sar => shift(
            pick([Sar_rm8_1, Sar_rm16_1, Sar_rm32_1, Sar_rm64_1]),
            pick([Sar_rm8_imm8, Sar_rm16_imm8, Sar_rm32_imm8, Sar_rm64_imm8]),
        ),
        Rol => shift(
            pick([Rol_rm8_1, Rol_rm16_1, Rol_rm32_1, Rol_rm64_1]),
            pick([Rol_rm8_imm8, Rol_rm16_imm8, Rol_rm32_imm8, Rol_rm64_imm8]),
        ),
        Imul if size > 0 => two(pick([Imul_r16_rm16, Imul_r16_rm16, Imul_r32_rm32, Imul_r64_rm64])),
        Bt if size > 0 => two(pick([Bt_rm16_r16, Bt_rm16_r16, Bt_rm32_r32, Bt_rm64_r64])),
        Ucomisd if size == 3 => {
            Instruction::with2(Ucomisd_xmm_xmmm64, Register::XMM1, Register::XMM2).ok().map(|i| (i, 0))
        }
        Ptest if size == 3 => {
            Instruction::with2(Ptest_xmm_xmmm128, Register::XMM1, Register::XMM2).ok().map(|i| (i, 0))
        }
        _ => None,
    }
}

/// A value and its V bits, `width` bits of them.
#[derive(Clone, Copy)]
struct Part {
    a: u64,
    v: u64,
}

fn left(v: u64) -> u64 {
    v | v.wrapping_neg()
}

/// Valgrind's exact test for zero: undefined if no defined bit is set.
fn zero(r: Part) -> bool {
    r.v != 0 && r.a & !r.v == 0
}

/// What Valgrind calls undefined, in the order of `CONDITIONS`.
fn valgrind(producer: Producer, width: u32, a: Part, b: Part, extra: u64) -> [bool; 8] {
    let ones = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let any = a.v | b.v != 0;
    let top = |v: u64| v >> (width - 1) & 1 != 0;
    let cheap = left(a.v | b.v) & ones;
    let difference = Part { a: a.a ^ b.a, v: a.v | b.v };
    match producer {
        Add => {
            let r = Part { a: a.a.wrapping_add(b.a) & ones, v: cheap };
            [any, any, zero(r), any, top(cheap), any, any, any]
        }
        Sub | SubConstant => {
            let mut below = any;
            let mut below_or_equal = any;
            if producer == SubConstant && width == 32 {
                // The low bits cannot decide it.
                if extra.is_power_of_two() {
                    below = a.v & !(extra - 1) != 0;
                }
                if (extra + 1).is_power_of_two() {
                    below_or_equal = a.v & !extra != 0;
                }
            }
            [any, below, zero(difference), below_or_equal, top(cheap), any, any, any]
        }
        And | Or | Xor => {
            let (v, r) = match producer {
                And => ((a.v | b.v) & (a.a | a.v) & (b.a | b.v), a.a & b.a),
                Or => ((a.v | b.v) & (!a.a | a.v) & (!b.a | b.v), a.a | b.a),
                _ => (a.v | b.v, a.a ^ b.a),
            };
            let some = v != 0;
            let z = zero(Part { a: r, v });
            [some, some, z, some, top(v), some, top(v), some]
        }
        Inc | Dec => {
            let by = if producer == Inc { 1 } else { u64::MAX };
            let r = Part { a: a.a.wrapping_add(by) & ones, v: left(a.v) & ones };
            // The carry is the old one, which is defined here.
            let some = r.v != 0;
            [some, false, zero(r), some, top(r.v), some, some, some]
        }
        Neg => {
            let some = a.v != 0;
            [some, some, zero(a), some, top(left(a.v) & ones), some, some, some]
        }
        Shl | Shr | Sar => {
            let shifted = |by: u64, v: u64| match producer {
                Shl => v << by & ones,
                Shr => v >> by,
                _ => ((v << (64 - width)) as i64 >> (64 - width) >> by) as u64 & ones,
            };
            let r = Part { a: shifted(extra, a.a), v: shifted(extra, a.v) };
            let some = r.v | shifted(extra - 1, a.v) != 0;
            [some, some, zero(r), some, some, some, some, some]
        }
        Rol => {
            // Copied flags: each bit by itself.
            let by = extra % u64::from(width);
            let v = if by == 0 { a.v } else { (a.v << by | a.v >> (u64::from(width) - by)) & ones };
            let c = v & 1 != 0;
            let o = c || top(v);
            [o, c, false, c, false, false, o, o]
        }
        Imul => [any; 8],
        Bt => {
            let index = b.v & u64::from(width - 1) != 0;
            let c = index || a.v >> (b.a & u64::from(width - 1)) & 1 != 0;
            [false, c, false, c, false, false, false, false]
        }
        Ucomisd | Ptest => unreachable!("vectors have their own"),
    }
}

fn one_case(
    producer: Producer,
    size: usize,
    seed: u64,
    tools: (&Processor, &mut Rules),
    sums: &mut [[u64; 3]; 8],
) {
    let (processor, rules) = tools;
    let mut rng = Rng::new(seed);
    let Some((insn, extra)) = instruction(producer, size, &mut rng) else { return };
    let mut encoder = Encoder::new(64);
    encoder.encode(&insn, processor.slot()).unwrap();
    let bytes = encoder.take_buffer();
    let insn = Decoder::with_ip(64, &bytes, processor.slot(), DecoderOptions::NONE).decode();
    let width = 8u32 << size;
    let ones = if width == 64 { u64::MAX } else { (1 << width) - 1 };

    let mut before = Machine::blank();
    let vectors = matches!(producer, Ucomisd | Ptest);
    before.gpr[2] = rng.value();
    before.gpr[6] = rng.value();
    match rng.below(4) {
        0 => before.gpr[6] = before.gpr[2],
        1 => before.gpr[6] = before.gpr[2] ^ (1 << rng.below(width.into())),
        2 if producer == SubConstant => before.gpr[2] = extra ^ rng.below(4),
        _ => {}
    }
    for n in [1, 2] {
        for word in &mut before.vector[n][..2] {
            *word =
                if rng.one_in(2) { rng.next() & rng.next() & rng.next() & rng.next() } else { rng.next() };
        }
    }
    before.flags = (rng.next() & 0x8d5) | 0x202;
    let mut undefined = vec![];
    for _ in 0..1 + rng.below(10) {
        let word = match (vectors, rng.one_in(2)) {
            (true, first) => VECTOR + 8 * (1 + usize::from(first)) + rng.below(2) as usize,
            (false, true) => GPR + 2,
            (false, false) => GPR + 6,
        };
        let bit = 1u64 << rng.below(if vectors { 64 } else { width.into() });
        if !undefined.contains(&(word, bit)) {
            undefined.push((word, bit));
        }
    }
    let mut v = Machine::blank();
    v.fx = [0; 64];
    for (word, bit) in &undefined {
        v.words_mut()[*word] |= bit;
    }
    processor.prepare(&bytes);
    let (mut first, mut differ) = (None, 0);
    let mut after = Machine::blank();
    for filling in 0..1u64 << undefined.len() {
        let mut machine = before.clone();
        fill(&mut machine, &undefined, filling);
        if processor.run(&machine, &mut after).is_err() {
            return;
        }
        let flags = with_conditions(after.flags);
        differ |= flags ^ *first.get_or_insert(flags);
    }
    let outcome = apply(rules, &insn, &before, &v, processor.memory(), 0);
    assert_eq!(outcome.rule, definedness::Rule::Own, "{insn}");
    let ours = outcome.v.words()[FLAGS];
    let registers = |word: usize, n: usize| Part { a: before.gpr[n] & ones, v: v.words()[word] & ones };
    let (a, mut b) = (registers(GPR + 2, 2), registers(GPR + 6, 6));
    if producer == SubConstant {
        b = Part { a: extra & ones, v: 0 };
    }
    if matches!(producer, Inc | Dec | Neg | Shl | Shr | Sar | Rol) {
        b = Part { a: 0, v: 0 };
    }
    let lane = |n: usize, word: usize| Part { a: before.vector[n][word], v: v.vector[n][word] };
    let theirs = match producer {
        Ucomisd => {
            let any = lane(1, 0).v | lane(2, 0).v != 0;
            [false, any, any, any, false, any, false, any]
        }
        Ptest => {
            // Both words are combined by or, then compared with zero.
            let both = |not: bool| {
                let word = |w: usize| {
                    let (mut x, y) = (lane(1, w), lane(2, w));
                    if not {
                        x.a = !x.a;
                    }
                    Part { a: x.a & y.a, v: (x.v | y.v) & (x.a | x.v) & (y.a | y.v) }
                };
                let (x, y) = (word(0), word(1));
                let v = (x.v | y.v) & (!x.a | x.v) & (!y.a | y.v);
                zero(Part { a: x.a | y.a, v })
            };
            let (z, c) = (both(false), both(true));
            [false, c, z, z || c, false, false, false, z]
        }
        _ => valgrind(producer, width, a, b, extra),
    };
    for (i, (name, bit)) in CONDITIONS.iter().enumerate() {
        if unspecified(producer, extra, name) {
            continue;
        }
        let truth = differ >> bit & 1 != 0;
        let called = ours >> bit & 1 != 0;
        assert!(
            called || !truth,
            "seed {seed}: {insn}: {name} is called defined\n  {a:x?} {b:x?}\n  undefined {undefined:x?}",
            a = (a.a, a.v),
            b = (b.a, b.v),
        );
        sums[i][0] += u64::from(truth);
        sums[i][1] += u64::from(called && !truth);
        sums[i][2] += u64::from(theirs[i] && !truth);
    }
}

/// Conditions on flags that the manuals leave undefined.
fn unspecified(producer: Producer, extra: u64, condition: &str) -> bool {
    match producer {
        Shl | Shr | Sar | Rol => extra != 1 && matches!(condition, "o/no" | "l/ge" | "le/g"),
        Imul => !matches!(condition, "o/no" | "b/ae"),
        Bt => !matches!(condition, "b/ae" | "e/ne" | "be/a"),
        _ => false,
    }
}

#[test]
fn conditions() {
    let processor = Processor::new();
    let mut rules = Rules::new();
    let cases = if crate::long() { 20_000 } else { 150 };
    let mut table: BTreeMap<(Producer, &str), [u64; 3]> = BTreeMap::new();
    for producer in ALL {
        for size in 0..4 {
            let mut sums = [[0; 3]; 8];
            for number in 0..cases {
                let seed = (producer as u64 * 4 + size as u64) * 1_000_000 + number;
                one_case(producer, size, seed, (&processor, &mut rules), &mut sums);
            }
            for (sum, (name, _)) in sums.iter().zip(CONDITIONS) {
                let row = table.entry((producer, name)).or_default();
                (0..3).for_each(|i| row[i] += sum[i]);
            }
        }
    }
    if std::env::var_os("VG_TABLE").is_some() {
        println!("{:<12} {:<6} {:>9} {:>9} {:>9}", "", "", "undefined", "excess", "Valgrind");
        for ((producer, name), [truth, ours, theirs]) in &table {
            println!("{:<12} {name:<6} {truth:>9} {ours:>9} {theirs:>9}", format!("{producer:?}"));
        }
    }
    for ((producer, name), [_, ours, theirs]) in &table {
        assert!(ours <= theirs, "{producer:?} {name}: excess {ours}, Valgrind's {theirs}");
    }
}

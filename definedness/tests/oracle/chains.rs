//! Chains of instructions: V bits go from one to the next as the engine keeps them, with conditions whose V bits are
//! finer than those of their flags. All fillings run side by side, and after each step the rules are held against them.

use crate::case::{apply, fill, name, normal_flags, normalise, one_bit, unspecified, values};
use crate::forms::{Form, Kind, Pool};
use crate::machine::{FLAGS, GPR, Machine, Processor, VECTOR};
use crate::rng::Rng;
use definedness::Rules;
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Mnemonic};

/// Registers of each kind that take part.
const SPAN: u32 = 3;
const LENGTH: usize = 8;

/// What can move pointers or needs special values.
fn plain(code: &Code) -> bool {
    use Mnemonic::*;
    !matches!(
        code.mnemonic(),
        Push | Pop | Pushf | Pushfq | Popf | Enter | Leave | Xlatb | Std | Bt | Bts | Btr | Btc | Maskmovdqu
    ) && !Form::new(*code, &mut Rng::new(1)).is_some_and(|form| form.insn.is_string_instruction())
}

fn chain(seed: u64, codes: &[Code], processor: &Processor, rules: &mut Rules) -> Result<u32, String> {
    let mut rng = Rng::new(seed);
    let Some(form) = Form::among(SPAN, rng.pick(codes), &mut rng) else { return Ok(0) };
    let mut base = values(&form, &form.insn, &mut rng, processor);
    normal_flags(&mut base);
    let mut undefined = vec![];
    for _ in 0..1 + rng.below(5) {
        let word = match rng.below(3) {
            0 => VECTOR + 8 * rng.below(u64::from(SPAN)) as usize + rng.below(2) as usize,
            _ => GPR + rng.below(u64::from(SPAN)) as usize,
        };
        let bit = one_bit(if rng.one_in(2) { 0xff } else { u64::MAX }, &mut rng);
        if !undefined.contains(&(word, bit)) {
            undefined.push((word, bit));
        }
    }
    let mut v = Machine::blank();
    v.fx = [0; 64];
    for (word, bit) in &undefined {
        v.words_mut()[*word] |= bit;
    }
    let mut states: Vec<Box<Machine>> = (0..1u64 << undefined.len())
        .map(|filling| {
            let mut state = base.clone();
            fill(&mut state, &undefined, filling);
            state
        })
        .collect();
    let mut text = String::new();
    let mut steps = 0;
    for _ in 0..LENGTH {
        let Some(form) = Form::among(SPAN, rng.pick(codes), &mut rng) else { continue };
        let mut encoder = Encoder::new(64);
        if form.insn.is_invalid() || encoder.encode(&form.insn, processor.slot()).is_err() {
            continue;
        }
        let bytes = encoder.take_buffer();
        let insn = Decoder::with_ip(64, &bytes, processor.slot(), DecoderOptions::NONE).decode();
        // Any filling can be the guest's state.
        let guest = states[rng.below(states.len() as u64) as usize].clone();
        let outcome = apply(rules, &insn, &guest, &v, processor.memory(), 0);
        if !outcome.reports.is_empty() || outcome.outside {
            break;
        }
        processor.prepare(&bytes);
        let mut after = Machine::blank();
        let mut first: Option<Box<Machine>> = None;
        let mut differ = vec![0; v.words().len()];
        for state in &mut states {
            if processor.run(state, &mut after).is_err() {
                return Ok(steps);
            }
            let mut seen = after.clone();
            normalise(&mut seen);
            let first = first.get_or_insert_with(|| seen.clone());
            for ((d, a), b) in differ.iter_mut().zip(seen.words()).zip(first.words()) {
                *d |= a ^ b;
            }
            state.clone_from(&after);
            normal_flags(state);
            state.fx = base.fx;
        }
        v = outcome.v;
        // What the manuals leave undefined goes on as it is.
        v.flags |= differ[FLAGS] & unspecified(&insn);
        text += &format!("\n  {insn}");
        steps += 1;
        for (word, (rule, truth)) in v.words().iter().zip(&differ).enumerate() {
            if truth & !rule != 0 {
                return Err(format!(
                    "VG_SEED={seed}: after{text}\n  {} differs in {truth:#x}, called undefined {rule:#x}\n  \
                     undefined at first: {undefined:x?}\n  gpr {:x?}",
                    name(word),
                    base.gpr
                ));
            }
        }
        if states.iter().any(|state| state.gpr[3..5] != base.gpr[3..5]) {
            break;
        }
    }
    Ok(steps)
}

fn run(kinds: &[Kind], chains: u64) {
    let pool = Pool::new();
    let all = pool.forms.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, code)| *code);
    let codes: Vec<Code> = all.filter(plain).collect();
    let processor = Processor::new();
    let mut rules = Rules::new();
    let only: Option<u64> = std::env::var("VG_SEED").ok().and_then(|s| s.parse().ok());
    let chains = if crate::long() { chains * 100 } else { chains };
    let mut steps = 0;
    let mut failures = vec![];
    for number in 0..chains {
        let seed = (1 << 40) + kinds.len() as u64 * 1_000_000_000 + number;
        if only.is_some_and(|only| only != seed) {
            continue;
        }
        match chain(seed, &codes, &processor, &mut rules) {
            Ok(done) => steps += u64::from(done),
            Err(text) => failures.push(text),
        }
    }
    println!("{kinds:?}: {steps} steps in {chains} chains");
    failures.iter().take(20).for_each(|text| println!("{text}"));
    assert!(failures.is_empty(), "{} chains", failures.len());
    assert!(only.is_some() || steps > chains);
}

#[test]
fn integer_chains() {
    run(&[Kind::Integer], 3000);
}

#[test]
fn mixed_chains() {
    run(&[Kind::Integer, Kind::Legacy], 2000);
}

//! The rules against the processor.
//!
//! Each case is an instruction with random operands and values and a few undefined bits. The processor runs it with
//! all fillings of those bits; an output bit that differs between two of them must be called undefined by the rule.
//! What the rule calls undefined although it never differs is excess: counted, and printed with `VG_TABLE=1`.
//!
//! `VG_LONG=1` runs many more cases; `VG_SEED=NUMBER` repeats the one case that a failure names.

mod ahead;
mod case;
mod chains;
mod conditions;
mod forms;
mod machine;
mod rng;

use case::{Case, Verdict};
use definedness::{Rule, Rules};
use forms::{Form, Kind, Pool};
use iced_x86::{Code, InstructionInfoFactory};
use machine::Processor;
use rng::Rng;
use std::collections::BTreeMap;

/// Rules that are exact, or nearly (a register added to another that depends on it): at most a tenth of what they call
/// undefined never differs.
const EXACT: &str = "Mov Movzx Movsx Movsxd Movbe And Or Xor Test Not Add Adc Adcx Adox Sub Sbb Cmp Inc Dec Neg Xadd \
    Xchg Cmpxchg Push Pop Bt Btc Btr Bts Cmove Cmovb Cmovl Cmovs Cmovo Movsb Stosb \
    Pand Pandn Por Pxor Andps Andnps Orps Xorps Ptest Movaps Movd Movq Movss Movsd Movhlps Movlhps Movhps Movlps \
    Paddb Paddw Paddd Paddq Psubb Psubw Psubd Psubq Pcmpeqb Pcmpeqd Pcmpgtb Pcmpgtd Pminub Pmaxsw Packuswb Packsswb \
    Pmovmskb Movmskps Pmovzxbw Pmovsxwd Pshufd Shufps Shufpd Punpcklbw Punpckhqdq Unpcklps Palignr Pslldq Psrldq \
    Pinsrw Pextrb Blendps Pblendvb Pblendw Insertps Movddup";

#[derive(Default)]
struct Row {
    cases: u32,
    skipped: u32,
    named: u64,
    true_: u64,
    conservative: bool,
}

pub(crate) fn long() -> bool {
    std::env::var_os("VG_LONG").is_some()
}

fn run(kind: Kind, default_cases: u64) {
    let pool = Pool::new();
    if kind == Kind::Integer {
        for (feature, count) in &pool.missing {
            eprintln!("skipped: {count} forms need {feature}, which this processor has not");
        }
    }
    let processor = Processor::new();
    let mut rules = Rules::new();
    let mut info = InstructionInfoFactory::new();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    let mut unknown = 0;
    let only: Option<u64> = std::env::var("VG_SEED").ok().and_then(|s| s.parse().ok());
    let cases = if long() { default_cases * 50 } else { default_cases };
    for (_, code) in pool.forms.iter().filter(|(k, _)| *k == kind) {
        let row = rows.entry(format!("{:?}", code.mnemonic())).or_default();
        for number in 0..cases {
            let seed = seed(*code, number);
            if only.is_some_and(|only| only != seed) {
                continue;
            }
            let mut rng = Rng::new(seed);
            let Some(form) = Form::new(*code, &mut rng) else { continue };
            let Some(case) = Case::new(&form, &mut rng, &processor, &mut info) else { continue };
            match case::check(&case, &processor, &mut rules) {
                Verdict::Fine { named, true_, rule } => {
                    row.cases += 1;
                    row.named += u64::from(named);
                    row.true_ += u64::from(true_);
                    row.conservative |= rule == Rule::Conservative;
                }
                Verdict::Skipped => row.skipped += 1,
                Verdict::Unknown => {
                    unknown += 1;
                    break;
                }
                Verdict::Wrong(text) => {
                    failures.entry(format!("{code:?}")).or_insert(format!("VG_SEED={seed}: {text}"));
                    break;
                }
            }
        }
    }
    if std::env::var_os("VG_TABLE").is_some() {
        println!(
            "{:<20} {:>7} {:>7} {:>9} {:>9} {:>7}  rule",
            "", "cases", "skipped", "undefined", "excess", ""
        );
        for (name, row) in &rows {
            let excess = row.named - row.true_;
            let share = 100.0 * excess as f64 / row.named.max(1) as f64;
            let rule = if row.conservative { "conservative" } else { "" };
            println!(
                "{name:<20} {:>7} {:>7} {:>9} {excess:>9} {share:>6.1}%  {rule}",
                row.cases, row.skipped, row.named
            );
        }
    }
    let checked: u32 = rows.values().map(|row| row.cases).sum();
    let idle: Vec<_> = rows.iter().filter(|(_, row)| row.cases == 0).map(|(name, _)| name.as_str()).collect();
    println!("{kind:?}: {} mnemonics, {checked} cases, {unknown} forms unknown to the processor", rows.len());
    println!("never compared: {}", idle.join(" "));
    for text in failures.values() {
        println!("{text}");
    }
    assert!(failures.is_empty(), "{} forms are called defined where they are not", failures.len());
    if only.is_some() {
        return;
    }
    assert!(checked > 0);
    for name in EXACT.split_whitespace() {
        let Some(row) = rows.get(name) else { continue };
        let excess = row.named - row.true_;
        assert!(
            excess * 10 <= row.named,
            "{name} was exact: now {excess} of {} undefined bits never differ",
            row.named
        );
    }
}

fn seed(code: Code, number: u64) -> u64 {
    code as u64 * 1_000_000 + number
}

#[test]
fn integer() {
    run(Kind::Integer, 40);
}

#[test]
fn x87_and_mmx() {
    run(Kind::X87, 20);
}

#[test]
fn legacy_vector() {
    run(Kind::Legacy, 20);
}

#[test]
fn vex() {
    run(Kind::Vex, 10);
}

#[test]
fn evex() {
    run(Kind::Evex, 6);
}

//! Jumps, executed and taken: of whole programs against native single steps, of functions against callgrind.
//!
//! What always holds: counts are compared exactly. callgrind tells of jumps that were taken at least once, for each block of its own
//! that ends with one, and of those executions alone.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tests::callgrind;
use tests::executed::{annotate, record};
use tests::guest::{Program, Variant};
use tests::run::{Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};

use super::{MODES, compiled, guest, items, report, same};

/// By the address of a jump and of where it leads: how often executed, and how often taken.
type Jumps = BTreeMap<(u64, u64), (u64, u64)>;

pub(super) fn cases(suite: &mut Suite) {
    for name in ["steps.c", "handlers.c", "repeats.c"] {
        suite.case(format!("jumps/steps/{name}"), None, move || single_steps(name));
    }
    for name in ["recursion.c", "jumps.c", "exceptions.cpp"] {
        let case = format!("jumps/callgrind/{name}");
        match guest(name) {
            Ok(program) => {
                let variant = program.variants[0].clone();
                suite.case(case, None, move || against_callgrind(&program, &variant));
            }
            Err(problem) => suite.case(case, None, || Err(problem)),
        }
    }
    suite.case("jumps/threads", None, by_thread);
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(hexadecimal).unwrap_or_default()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// Jumps that a report tells, of a function or of a module.
fn jumps<'a>(
    report: &'a Value,
    key: &'a str,
    name: &'a str,
) -> impl Iterator<Item = ((u64, u64), (u64, u64))> + 'a {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    items(report, "jumps").filter(move |jump| jump["function"][key] == *name).map(move |jump| {
        let way = (number(&jump["address"]), number(&jump["target"]["address"]));
        (way, (count(&jump["executed"]), count(&jump["taken"])))
    })
}

fn jumps_of(report: &Value, module: &Path) -> Jumps {
    jumps(report, "module", &module.display().to_string()).collect()
}

/// How often each jump of a function was executed, and how often taken, in the order of their addresses.
pub(super) fn of_function(report: &Value, function: &str) -> Vec<(u64, u64)> {
    jumps(report, "function", function).collect::<Jumps>().into_values().collect()
}

/// Direct jumps of a program as the disassembler knows them: address and target.
fn disassembled(exe: &Path, scratch: &Scratch) -> Result<Vec<(u64, u64)>, Problem> {
    need("objdump")?;
    let argv =
        ["objdump".to_owned(), "-d".to_owned(), "--no-show-raw-insn".to_owned(), exe.display().to_string()];
    let text = Run::new(argv, scratch.path()).run()?.out();
    let jump = |line: &str| {
        let (address, code) = line.split_once(':')?;
        let mut words = code.split_whitespace().skip_while(|word| *word == "bnd");
        let mnemonic = words.next()?;
        let is_jump = mnemonic.starts_with('j') || mnemonic.starts_with("loop");
        Some((hexadecimal(address.trim())?, hexadecimal(words.next().filter(|_| is_jump)?)?))
    };
    Ok(text.lines().filter_map(jump).collect())
}

/// All direct jumps of a program are told, in all modes, with what single steps find.
fn single_steps(name: &str) -> Verdict {
    let exe = compiled(name)?;
    let native = tests::steps::count(&exe)?;
    let scratch = Scratch::new("jumps")?;
    let mut expected = Jumps::new();
    for (address, target) in disassembled(&exe, &scratch)? {
        let from_here = native.ways.iter().filter(|((from, _), _)| *from == address);
        let executed: u64 = from_here.map(|(_, times)| *times).sum();
        if executed > 0 {
            let taken = native.ways.get(&(address, target)).copied().unwrap_or(0);
            expected.insert((address, target), (executed, taken));
        }
    }
    if expected.is_empty() {
        return Err(Problem::wrong("it has no jumps"));
    }
    for options in MODES {
        let (trace, _) = record(options, &exe, &scratch)?;
        let found = jumps_of(&report(&["--jumps=yes"], &trace)?, &exe);
        same(&format!("jumps with {options:?}"), &expected, &found)?;
    }
    Ok(())
}

/// The jumps of the program's source are those of callgrind, by instruction; and, in a file in its format, by line.
fn against_callgrind(program: &Program, variant: &Variant) -> Verdict {
    need("valgrind")?;
    let exe = program.compile(variant)?;
    let source = program.source.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let scratch = Scratch::new("jumps")?;
    let cwd = scratch.fresh("cwd")?;
    let expected = callgrind::jumps(&exe, &source, true, &cwd)?;
    let by_line = callgrind::jumps(&exe, &source, false, &cwd)?;
    if expected.len() < 5 || by_line.len() < 3 {
        return Err(Problem::wrong(format!("callgrind knows too little: {expected:x?}")));
    }
    for options in [MODES[0], MODES[3]] {
        let (trace, _) = record(options, &exe, &scratch)?;
        let all = jumps_of(&report(&["--jumps=yes"], &trace)?, &exe);
        let told: Jumps = expected.keys().filter_map(|way| Some((*way, *all.get(way)?))).collect();
        let taken =
            |jumps: &Jumps| jumps.iter().map(|(way, times)| (*way, times.1)).collect::<BTreeMap<_, _>>();
        same(&format!("taken, with {options:?}"), &taken(&expected), &taken(&told))?;
        if let Some((way, times)) = expected.iter().find(|(way, times)| times.0 > told[*way].0) {
            return Err(Problem::wrong(format!(
                "{way:x?} is executed {times:?} times, told {:?}",
                told[way]
            )));
        }
        let options = ["--format=callgrind", "--jumps=yes", "--compress-strings=no", "--compress-pos=no"];
        let text = annotate(&options, &trace)?.out();
        let found = callgrind::read_jumps(&text, &exe.display().to_string(), &source);
        same("taken by line, in callgrind's format", &taken(&by_line), &taken(&found))?;
    }
    Ok(())
}

/// Each thread has the jumps that it executed itself, and all together those of the program.
fn by_thread() -> Verdict {
    let exe = compiled("threads.c")?;
    let scratch = Scratch::new("jumps")?;
    let (trace, _) = record(MODES[0], &exe, &scratch)?;
    let whole = jumps_of(&report(&["--jumps=yes"], &trace)?, &exe);
    let mut sum = Jumps::new();
    for thread in ["1", "2", "3"] {
        for (way, times) in jumps_of(&report(&["--jumps=yes", "--thread", thread], &trace)?, &exe) {
            let all = sum.entry(way).or_default();
            *all = (all.0 + times.0, all.1 + times.1);
        }
    }
    same("the sum of all threads", &whole, &sum)
}

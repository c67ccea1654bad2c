//! Collection windows: what functions and lines cost between the entries and the leaves of functions, against callgrind with the same
//! options; what a program says of its own collection, and its parts, against what stands in its source.
//!
//! Expectations: `//~ PART NAME 32`: `work` costs 32 more in this part; `//~ CHILD 47`: the same in the first part of the child;
//! `//~ WORK 32`: the same in all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tests::executed::{annotate, record};
use tests::guest::{Program, Variant, root};
use tests::run::Scratch;
use tests::suite::{Problem, Suite, Verdict};
use tests::{callgrind, tools};

/// Counts alone, calls, with evictions, and with all else that changes the code.
const MODES: [&[&str]; 4] = [
    &["--events=blocks"],
    &["--events=instr"],
    &["--events=instr", "--cache-size=4M"],
    &["--events=alloc,shadow,instr"],
];

/// Functions of functions.c, and of exceptions.cpp, that switch collection.
const IN_C: [&[&str]; 11] = [
    &["plain"],
    &["recursive"],
    &["outer"],
    &["outer", "inner"],
    &["inner"],
    &["tail"],
    &["loops"],
    &["jumps"],
    &["grows"],
    &["thread"],
    &["main", "p*n", "?ecursive"],
];
const IN_CPP: [&[&str]; 5] =
    [&["ns::f(int)"], &["ns::f*"], &["ns::catches(int)"], &["main", "ns::f(*"], &["ns::Guard::~Guard()"]];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (name, functions) in [("functions.c", &IN_C[..]), ("exceptions.cpp", &IN_CPP[..])] {
        each_variant(&mut suite, "callgrind", name, move |program, variant| {
            // Callgrind takes parts of functions that lie elsewhere for functions.
            let compared = variant.name != "parted";
            functions
                .iter()
                .filter(|_| compared)
                .try_for_each(|names| against_callgrind(program, variant, names))
        });
    }
    each_variant(&mut suite, "parts", "parts.c", parts);
    each_variant(&mut suite, "signals", "interrupted.c", interrupted);
    suite.case("deterministic", None, deterministic);
    suite.case("stays-off", None, stays_off);
    suite.case("names/short", None, short_names);
    suite.case("says/never-entered", None, never_entered);
    suite.case("says/not-counted", None, not_counted);
    suite.case("says/no-part", None, no_part);
    suite.run()
}

fn guest(name: &str) -> Result<Program, Problem> {
    let program = Program::read(&root().join("windows").join(name))?;
    program.ok_or_else(|| Problem::wrong(format!("{name} has no build line")))
}

fn each_variant(
    suite: &mut Suite,
    what: &str,
    name: &str,
    case: impl Fn(&Program, &Variant) -> Verdict + Copy + Send + 'static,
) {
    match guest(name) {
        Ok(program) => {
            for variant in program.variants.clone() {
                let program = program.clone();
                let title = format!("{what}/{name}::{}", variant.name);
                suite.case(title, None, move || case(&program, &variant));
            }
        }
        Err(problem) => suite.case(format!("{what}/{name}"), None, || Err(problem)),
    }
}

fn compiled(name: &str) -> Result<PathBuf, Problem> {
    let program = guest(name)?;
    program.compile(&program.variants[0])
}

/// All that vg-annotate knows of a trace.
fn report(options: &[&str], trace: &Path) -> Result<Value, Problem> {
    let outcome = annotate(&[&["--format=json", "--min-percent=0"], options].concat(), trace)?;
    serde_json::from_slice(&outcome.stdout)
        .map_err(|_| Problem::wrong(format!("no report: {}", outcome.summary())))
}

fn cost(value: &Value) -> u64 {
    value["Ir"].as_u64().unwrap_or_default()
}

fn list<'a>(report: &'a Value, what: &str) -> impl Iterator<Item = &'a Value> {
    report[what].as_array().into_iter().flatten()
}

/// What the functions of a source file cost in the program itself.
fn functions(report: &Value, exe: &Path, source: &str) -> BTreeMap<String, u64> {
    let mut costs = BTreeMap::new();
    for function in list(report, "functions") {
        let is_own = function["module"].as_str().is_some_and(|module| Path::new(module) == exe)
            && function["file"].as_str().is_some_and(|file| file.ends_with(source));
        if is_own && cost(function) > 0 {
            let name = function["function"].as_str().unwrap_or_default().to_owned();
            *costs.entry(name).or_default() += cost(function);
        }
    }
    costs
}

fn against_callgrind(program: &Program, variant: &Variant, names: &[&str]) -> Verdict {
    let exe = program.compile(variant)?;
    let source =
        program.source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let scratch = Scratch::new("windows")?;
    let toggles: Vec<String> = names.iter().map(|name| format!("--toggle-collect={name}")).collect();
    let toggles: Vec<&str> = toggles.iter().map(String::as_str).collect();
    let mut peer = callgrind::run(&exe, &source, &scratch.fresh("cwd")?, &toggles)?;
    peer.functions.retain(|_, cost| *cost > 0);
    for mode in MODES {
        let (trace, outcome) = record(&[mode, &toggles].concat(), &exe, &scratch)?;
        if outcome.err().contains("never entered") {
            return Err(Problem::wrong(outcome.summary()));
        }
        let report = report(&[], &trace)?;
        let found = functions(&report, &exe, &source);
        if found != peer.functions || found.is_empty() {
            return Err(Problem::wrong(format!(
                "{names:?} with {mode:?}:\nexpected {:?}\nfound    {found:?}",
                peer.functions
            )));
        }
        if mode[0].contains("instr") {
            stacks_cost_all(&report, &trace)?;
        }
    }
    Ok(())
}

/// The stacks cost as much as the code that was collected.
fn stacks_cost_all(report: &Value, trace: &Path) -> Verdict {
    let stacks = annotate(&["--format=collapsed"], trace)?.out();
    let costs = stacks.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    let (sum, total) = (costs.sum::<u64>(), cost(&report["summary"]));
    if sum != total {
        return Err(Problem::wrong(format!("stacks cost {sum}, collected were {total}")));
    }
    Ok(())
}

fn cost_of_work(report: &Value) -> u64 {
    list(report, "functions").filter(|function| function["function"] == "work").map(cost).sum()
}

/// Signals come at any place of windows, and a handler leaves one.
fn interrupted(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let scratch = Scratch::new("interrupted")?;
    let expectations =
        program.text.lines().filter_map(|line| line.split_once("//~ WORK ")?.1.parse::<u64>().ok());
    let expected: u64 = expectations.sum();
    for mode in MODES {
        let toggles = ["--toggle-collect=collected", "--toggle-collect=left"];
        let (trace, _) = record(&[mode, &toggles].concat(), &exe, &scratch)?;
        let report = report(&[], &trace)?;
        if cost_of_work(&report) != expected {
            return Err(Problem::wrong(format!("{mode:?}: {} instead of {expected}", cost_of_work(&report))));
        }
        if mode[0].contains("instr") {
            stacks_cost_all(&report, &trace)?;
        }
    }
    Ok(())
}

/// What `work` costs in each part.
fn parts(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let scratch = Scratch::new("parts")?;
    let mut expected: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in program.text.lines() {
        let Some((_, expectation)) = line.split_once("//~ ") else { continue };
        let words: Vec<&str> = expectation.split_whitespace().collect();
        let (part, cost) = match words[..] {
            ["PART", name, cost] => (("1", name), cost),
            ["CHILD", cost] => (("2", "1"), cost),
            _ => return Err(Problem::wrong(format!("unknown expectation: {expectation}"))),
        };
        let cost: u64 = cost.parse().map_err(|_| Problem::wrong(format!("no number: {expectation}")))?;
        *expected.entry(part).or_default() += cost;
    }
    for mode in MODES {
        let (trace, _) = record(&[mode, &["--collect-atstart=no"]].concat(), &exe, &scratch)?;
        let mut sum = 0;
        for (&(process, part), &expected) in &expected {
            let options = [format!("--process={process}"), format!("--part={part}")];
            let report = report(&options.each_ref().map(String::as_str), &trace)?;
            let found = cost_of_work(&report);
            if found != expected {
                return Err(Problem::wrong(format!(
                    "{mode:?}: part {part} of process {process}: {found} instead of {expected}"
                )));
            }
            sum += found;
        }
        let report = report(&[], &trace)?;
        if cost_of_work(&report) != sum {
            return Err(Problem::wrong(format!("{mode:?}: {} in all parts of {sum}", cost_of_work(&report))));
        }
        if mode[0].contains("instr") {
            stacks_cost_all(&report, &trace)?;
        }
    }
    Ok(())
}

/// Two recordings say the same.
fn deterministic() -> Verdict {
    let exe = compiled("exceptions.cpp")?;
    let scratch = Scratch::new("deterministic")?;
    let options = ["--events=instr", "--toggle-collect=ns::f(int)", "--toggle-collect=work*"];
    let read = || -> Result<Vec<u8>, Problem> {
        let (trace, _) = record(&options, &exe, &scratch)?;
        Ok(annotate(&["--format=json", "--min-percent=0"], &trace)?.stdout)
    };
    let (first, second) = (read()?, read()?);
    if first.is_empty() || first != second {
        return Err(Problem::wrong("two recordings differ"));
    }
    Ok(())
}

/// Nobody asks for anything to be collected.
fn stays_off() -> Verdict {
    let exe = compiled("functions.c")?;
    let scratch = Scratch::new("off")?;
    for option in ["--collect-atstart=no", "--instr-atstart=no"] {
        let (trace, _) = record(&["--events=instr", option], &exe, &scratch)?;
        let outcome = annotate(&[], &trace)?;
        if outcome.code() != Some(2)
            || !outcome.err().contains(&format!("nothing was collected: with {option}"))
        {
            return Err(Problem::wrong(outcome.summary()));
        }
    }
    Ok(())
}

/// Names of C++ without parameters stand for all overloads, names in the symbol table for one.
fn short_names() -> Verdict {
    let program = guest("exceptions.cpp")?;
    let parted = program.variants.iter().find(|variant| variant.name == "parted");
    let exe = program.compile(parted.ok_or_else(|| Problem::wrong("no such variant"))?)?;
    let scratch = Scratch::new("names")?;
    let total = |names: &[&str]| -> Result<u64, Problem> {
        let toggles: Vec<String> = names.iter().map(|name| format!("--toggle-collect={name}")).collect();
        let mut options = vec!["--events=blocks"];
        options.extend(toggles.iter().map(String::as_str));
        Ok(cost(&report(&[], &record(&options, &exe, &scratch)?.0)?["summary"]))
    };
    let pairs: [(&[&str], &[&str]); 3] = [
        (&["ns::f"], &["ns::f(int)", "ns::f(double)"]),
        (&["ns::f(int)"], &["_ZN2ns1fEi"]),
        (&["ns::twice<int>"], &["int ns::twice<int>(int)"]),
    ];
    for (some, other) in pairs {
        let (a, b) = (total(some)?, total(other)?);
        if a != b || a == 0 {
            return Err(Problem::wrong(format!("{some:?} costs {a}, {other:?} {b}")));
        }
    }
    Ok(())
}

fn never_entered() -> Verdict {
    let exe = compiled("functions.c")?;
    let scratch = Scratch::new("never")?;
    let options = ["--events=blocks", "--toggle-collect=plain", "--toggle-collect=no_such*"];
    let (_, outcome) = record(&options, &exe, &scratch)?;
    let says: Vec<String> =
        outcome.err().lines().filter(|line| line.contains("never entered")).map(str::to_owned).collect();
    if says.len() != 1 || !says[0].contains("--toggle-collect=no_such*") {
        return Err(Problem::wrong(outcome.summary()));
    }
    Ok(())
}

/// What cannot be done is refused in one line.
fn not_counted() -> Verdict {
    let cwd = Scratch::new("refused")?;
    for options in [
        ["--events=alloc", "--toggle-collect=main"],
        ["--events=clock", "--collect-atstart=no"],
        ["--events=instr", "--toggle-collect="],
    ] {
        let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
        argv.extend(options.map(str::to_owned));
        argv.extend(["-o".to_owned(), "x.capnp".to_owned(), "true".to_owned()]);
        let outcome = tests::run::Run::new(argv, cwd.path()).run()?;
        let says = outcome.err();
        if outcome.code() != Some(125) || says.lines().count() != 1 {
            return Err(Problem::wrong(outcome.summary()));
        }
    }
    Ok(())
}

fn no_part() -> Verdict {
    let exe = compiled("parts.c")?;
    let scratch = Scratch::new("part")?;
    let (trace, _) = record(&["--events=blocks", "--children=no"], &exe, &scratch)?;
    let outcome = annotate(&["--part=fourth"], &trace)?;
    let says = outcome.err();
    if outcome.code() != Some(2) || !says.contains("it has 1, 2 (second), 3 (third), 4") {
        return Err(Problem::wrong(outcome.summary()));
    }
    Ok(())
}

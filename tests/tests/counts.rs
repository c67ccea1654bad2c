//! Counts of executed instructions: of whole programs against native single steps, of functions and lines against
//! callgrind, of a loop that signals interrupt against arithmetic; jumps (`jumps`); programs of some size (`own`); and what vg-annotate says where there is
//! no count.
//!
//! What always holds: counts are compared exactly. The programs call libraries through the table of addresses (`-fno-plt`),
//! because callgrind gives the code of the linkage table to the caller. Not here: counts at each place of the code where a
//! signal may come (suite `interrupts` of `translate`).

#[path = "counts/jumps.rs"]
mod jumps;
#[path = "counts/own.rs"]
mod own;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tests::executed::{annotate, record, same, told};
use tests::guest::{Program, Variant, root};
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::{callgrind, steps, tools};

/// Counts alone, and with all else that changes the code.
const MODES: [&[&str]; 4] = [
    &["--events=blocks"],
    &["--events=blocks", "--cache-size=4M"],
    &["--events=alloc,shadow,clock,blocks"],
    &["--events=alloc,shadow,clock,blocks", "--cache-size=4M"],
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for name in ["steps.c", "handlers.c", "repeats.c"] {
        suite.case(format!("steps/{name}"), None, move || single_steps(name));
    }
    for name in ["recursion.c", "threads.c", "jumps.c", "exceptions.cpp", "evicted.c"] {
        match guest(name) {
            Ok(program) => {
                for variant in program.variants.clone() {
                    let program = program.clone();
                    let case = format!("callgrind/{name}::{}", variant.name);
                    suite.case(case, None, move || against_callgrind(&program, &variant));
                }
            }
            Err(problem) => suite.case(format!("callgrind/{name}"), None, || Err(problem)),
        }
    }
    jumps::cases(&mut suite);
    own::cases(&mut suite);
    suite.case("deterministic", None, deterministic);
    suite.case("evicted", None, evicted);
    suite.case("stripped", None, stripped);
    suite.case("threads", None, by_thread);
    for (name, options) in [("alone", MODES[0]), ("all", MODES[2])] {
        suite.case(format!("processes/{name}"), None, move || by_process(options));
    }
    for (name, options) in [("alone", MODES[0]), ("all", MODES[2])] {
        suite.case(format!("signals/{name}"), None, move || interrupted(options));
        suite.case(format!("left/{name}"), None, move || left(options));
    }
    suite.case("clock", None, clock);
    suite.case("says/no-counts", None, no_counts);
    suite.case("says/unknown-process", None, unknown_process);
    suite.case("says/truncated", None, truncated);
    suite.run()
}

fn guest(name: &str) -> Result<Program, Problem> {
    let program = Program::read(&root().join("counts").join(name))?;
    program.ok_or_else(|| Problem::wrong(format!("{name} has no build line")))
}

fn compiled(name: &str) -> Result<PathBuf, Problem> {
    let program = guest(name)?;
    program.compile(&program.variants[0])
}

/// All that vg-annotate knows of a trace.
fn report(options: &[&str], trace: &Path) -> Result<Value, Problem> {
    let outcome = annotate(&[&["--format=json", "--min-percent=0"], options].concat(), trace)?;
    let json: Result<Value, _> = serde_json::from_slice(&outcome.stdout);
    match json {
        Ok(json) if json["complete"] == true => Ok(json),
        _ => Err(Problem::wrong(format!("no complete report: {}", outcome.summary()))),
    }
}

fn cost(value: &Value) -> u64 {
    value["Ir"].as_u64().unwrap_or_default()
}

fn items<'a>(report: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    report[list].as_array().into_iter().flatten()
}

fn ends_with(value: &Value, end: &str) -> bool {
    value.as_str().is_some_and(|text| text.ends_with(end))
}

/// Costs by name of the functions of a module that are defined in a source file whose path ends with `source`.
fn functions(report: &Value, module: &Path, source: &str) -> BTreeMap<String, u64> {
    let mut costs = BTreeMap::new();
    for function in items(report, "functions") {
        if function["module"] == *module.display().to_string() && ends_with(&function["file"], source) {
            *costs.entry(function["function"].to_string().replace('"', "")).or_default() += cost(function);
        }
    }
    costs
}

/// What all functions of a name cost.
fn functions_named(report: &Value, name: &str) -> u64 {
    items(report, "functions").filter(|function| function["function"] == name).map(cost).sum()
}

/// The total of a program, in all modes, is the number of its single steps without the further turns of instructions that
/// repeat themselves, which the source tells: `//~ REPEATED 10*(99+49)`.
fn single_steps(name: &str) -> Verdict {
    let exe = compiled(name)?;
    let native = steps::count(&exe)?;
    if native.out != "EXIT-SUCCESS\n" || native.code != 0 {
        return Err(Problem::wrong(format!("by single steps: {native:?}")));
    }
    let expected = native.steps - repeated(&guest(name)?.text)?;
    let scratch = Scratch::new("steps")?;
    for options in MODES {
        let (trace, _) = record(options, &exe, &scratch)?;
        let json = report(&[], &trace)?;
        same(&format!("total with {options:?}"), &expected, &cost(&json["summary"]))?;
        let sum: u64 = items(&json, "functions").map(cost).sum();
        same(&format!("sum of functions with {options:?}"), &expected, &sum)?;
    }
    Ok(())
}

fn repeated(text: &str) -> Result<u64, Problem> {
    let Some(line) = text.lines().find_map(|line| line.strip_prefix("//~ REPEATED ")) else { return Ok(0) };
    let parse = || {
        let (times, each) = line.strip_suffix(')')?.split_once("*(")?;
        let each: Option<Vec<u64>> = each.split('+').map(|number| number.parse().ok()).collect();
        Some(times.parse::<u64>().ok()? * each?.iter().sum::<u64>())
    };
    parse().ok_or_else(|| Problem::wrong(format!("not understood: {line}")))
}

/// Functions and lines of the program's source cost what callgrind says.
fn against_callgrind(program: &Program, variant: &Variant) -> Verdict {
    need("valgrind")?;
    let exe = program.compile(variant)?;
    let source = program.source.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let scratch = Scratch::new("callgrind")?;
    let expected = callgrind::run(&exe, &source, &scratch.fresh("cwd")?, &[])?;
    if expected.functions.len() < 5 || expected.lines.len() < 10 {
        return Err(Problem::wrong(format!("callgrind knows too little: {expected:?}")));
    }
    for options in [MODES[0], MODES[3]] {
        let (trace, _) = record(options, &exe, &scratch)?;
        let json = report(&[], &trace)?;
        same(&format!("functions with {options:?}"), &expected.functions, &functions(&json, &exe, &source))?;
        let lines: BTreeMap<u64, u64> = items(&json, "lines")
            .filter(|line| ends_with(&line["file"], &source))
            .map(|line| (line["line"].as_u64().unwrap_or_default(), cost(line)))
            .collect();
        same(&format!("lines with {options:?}"), &expected.lines, &lines)?;
    }
    Ok(())
}

/// Two recordings of a program give the same reports, to the byte.
fn deterministic() -> Verdict {
    let exe = compiled("recursion.c")?;
    let scratch = Scratch::new("twice")?;
    let reports = || -> Result<Vec<String>, Problem> {
        let (trace, _) = record(MODES[0], &exe, &scratch)?;
        let formats = ["--format=json", "--format=csv", "--format=text"];
        formats.iter().map(|format| Ok(annotate(&[format, "--min-percent=0"], &trace)?.out())).collect()
    };
    let (first, second) = (reports()?, reports()?);
    for (first, second) in first.iter().zip(&second) {
        if let Some(difference) = tests::diff::lines(first, second, 20) {
            return Err(Problem::wrong(difference));
        }
    }
    same("reports", &first, &second)
}

/// Without its symbols a program's functions cost the same, under their first addresses.
fn stripped() -> Verdict {
    need("nm")?;
    need("strip")?;
    let exe = compiled("recursion.c")?;
    let scratch = Scratch::new("stripped")?;
    let (trace, _) = record(MODES[0], &exe, &scratch)?;
    let costs = functions(&report(&[], &trace)?, &exe, "recursion.c");
    let symbols = Run::new(["nm".to_owned(), exe.display().to_string()], scratch.path()).run()?.out();
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next()?;
        Some((words.nth(1)?.to_owned(), format!("0x{address}")))
    };
    let addresses: BTreeMap<String, String> = symbols.lines().filter_map(address).collect();
    let expected: BTreeMap<&String, u64> =
        costs.iter().filter_map(|(name, cost)| Some((addresses.get(name)?, *cost))).collect();
    if expected.len() < 5 || expected.len() != costs.len() {
        return Err(Problem::wrong(format!("nm knows too little: {costs:?} {addresses:?}")));
    }
    let without = scratch.path().join("stripped");
    let words = ["strip", "-o"].map(str::to_owned).into_iter();
    let strip =
        Run::new(words.chain([&without, &exe].map(|path| path.display().to_string())), scratch.path());
    if strip.run()?.code() != Some(0) {
        return Err(Problem::wrong("it cannot be stripped"));
    }
    let (trace, _) = record(MODES[0], &without, &scratch)?;
    let report = report(&[], &trace)?;
    let module = without.display().to_string();
    let in_module = |function: &&Value| function["module"] == *module;
    let named =
        |name: &str| items(&report, "functions").filter(in_module).find(|found| found["function"] == *name);
    let found = expected.keys().map(|&name| (name, named(name).map_or(0, cost))).collect();
    same("functions by address", &expected, &found)
}

/// Each thread costs what it executed itself, and all together the total.
fn by_thread() -> Verdict {
    let exe = compiled("threads.c")?;
    let scratch = Scratch::new("threads")?;
    let (trace, _) = record(MODES[0], &exe, &scratch)?;
    let whole = report(&[], &trace)?;
    let (mut sum, mut own) = (0, BTreeMap::new());
    for thread in ["1", "2", "3"] {
        let json = report(&["--thread", thread], &trace)?;
        sum += cost(&json["summary"]);
        let costs = ["counts_up", "counts_down"].map(|name| (name, functions_named(&json, name)));
        let executed: Vec<_> = costs.into_iter().filter(|(_, cost)| *cost != 0).collect();
        // Which of the two comes first in the recording is open.
        own.insert(executed.first().map_or("main", |(name, _)| name), executed);
    }
    same("the sum of all threads", &cost(&whole["summary"]), &sum)?;
    let of = |name| (name, vec![(name, functions_named(&whole, name))]);
    let expected = BTreeMap::from([("main", Vec::new()), of("counts_up"), of("counts_down")]);
    same("functions of one thread alone", &expected, &own)
}

/// Generated code is counted wherever the code cache was emptied, and whatever code was at its address before.
fn evicted() -> Verdict {
    let exe = compiled("evicted.c")?;
    let scratch = Scratch::new("evicted")?;
    for options in MODES {
        let (trace, outcome) = record(&[options, &["--stats"]].concat(), &exe, &scratch)?;
        let error = outcome.err();
        let evictions = outcome.statistic("evictions");
        let expected = error.lines().find_map(|line| line.parse::<u64>().ok());
        let (Some(evictions), Some(expected)) = (evictions, expected) else {
            return Err(Problem::wrong(outcome.summary()));
        };
        if options.contains(&"--cache-size=4M") && evictions == 0 {
            return Err(Problem::wrong(format!("nothing was evicted: {}", outcome.summary())));
        }
        let json = report(&[], &trace)?;
        let found = items(&json, "functions").filter(|function| function["module"] == "").map(cost).sum();
        same(&format!("generated code with {options:?}"), &expected, &found)?;
    }
    Ok(())
}

/// Of a large program, of which much runs in precise code and the cache is emptied on the way, the counters add up to what the
/// clock of the other events counts.
fn clock() -> Verdict {
    const SCRIPT: &str = "my %h; $h{$_ % 100} .= sprintf('%d', $_) =~ s/1/2/r for 1..3000; \
                          eval qq{sub f$_ { my \\$x = shift; \\$x + $_ } f$_(3)} for 1..300; print sort keys %h";
    let scratch = Scratch::new("clock")?;
    let trace = scratch.path().join("trace.capnp").display().to_string();
    for options in &MODES[2..] {
        let mut argv = vec![tools::tool("vg-record")?.display().to_string(), "--stats".into()];
        argv.extend(options.iter().map(|option| (*option).to_owned()));
        argv.extend(["-o", &trace, "--", "perl", "-e", SCRIPT].map(str::to_owned));
        let outcome = Run::new(argv, scratch.path()).run()?;
        if outcome.code() != Some(0) {
            return Err(Problem::wrong(outcome.summary()));
        }
        let modes = ["clean_instructions", "guarded_instructions", "precise_instructions"]
            .map(|name| outcome.statistic(name).unwrap_or(0));
        if modes[2] == 0 {
            return Err(Problem::wrong(format!("nothing ran in precise code: {}", outcome.summary())));
        }
        let json = report(&[], Path::new(&trace))?;
        same(&format!("{options:?}"), &modes.iter().sum(), &cost(&json["summary"]))?;
    }
    Ok(())
}

/// Each process costs what it executed itself after its fork, however it and its threads ended. The source tells it beside
/// each call of `spin`: `//~ PROCESS TURNS`.
fn by_process(options: &[&str]) -> Verdict {
    let exe = compiled("processes.c")?;
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    let program = guest("processes.c")?;
    for (process, turns) in program.text.lines().filter_map(|line| line.split_once("//~ ")?.1.split_once(' '))
    {
        let turns: u64 = turns.parse().map_err(|_| Problem::wrong(format!("not a number: {turns}")))?;
        *expected.entry(process).or_default() += 2 * turns + 1;
    }
    let scratch = Scratch::new("processes")?;
    let (trace, _) = record(options, &exe, &scratch)?;
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let mut sum = 0;
    for &process in expected.keys() {
        let json = report(&["--process", process], &trace)?;
        found.insert(process, functions_named(&json, "spin"));
        sum += cost(&json["summary"]);
    }
    same("spin by process", &expected, &found)?;
    same("the sum of all processes", &cost(&report(&[], &trace)?["summary"]), &sum)
}

/// A loop of known length that signals interrupt everywhere, and their handler, cost exactly what they must.
fn interrupted(options: &[&str]) -> Verdict {
    let exe = compiled("interrupted.c")?;
    let scratch = Scratch::new("signals")?;
    let (trace, outcome) = record(options, &exe, &scratch)?;
    let [turns, calls, signals] = told(&outcome)[..] else { return Err(Problem::wrong(outcome.summary())) };
    let json = report(&["--jumps=yes"], &trace)?;
    let of =
        |name: &str| items(&json, "functions").find(|function| function["function"] == name).map_or(0, cost);
    same("the loop", &(15 * turns + 4 * calls), &of("busy"))?;
    same("the handler", &(2 * signals), &of("handles"))?;
    let jumps = [(turns, turns / 2), (turns / 2, turns / 2), (turns, turns - calls)];
    same("jumps of the loop, and those taken", &jumps.to_vec(), &jumps::of_function(&json, "busy"))
}

/// A handler leaves a loop in the middle of a turn: each instruction was executed as often as it was not left out.
fn left(options: &[&str]) -> Verdict {
    let exe = compiled("left.c")?;
    let scratch = Scratch::new("left")?;
    let (trace, outcome) = record(options, &exe, &scratch)?;
    let numbers = told(&outcome);
    let Some((turns, left)) = numbers.split_first() else { return Err(Problem::wrong(outcome.summary())) };
    let json = report(&[], &trace)?;
    let expected: Vec<u64> = (1..=left.len()).map(|next| turns + left[next..].iter().sum::<u64>()).collect();
    let found: Vec<u64> =
        (0..left.len()).map(|number| functions_named(&json, &format!("at{number}"))).collect();
    same(&format!("instructions, left in front of {left:?}"), &expected, &found)
}

/// vg-annotate ends with 2, one line on standard error that has all of `words`, and nothing on standard output.
fn refused(outcome: &Outcome, words: &[&str]) -> Verdict {
    let error = outcome.err();
    let is_clear = error.starts_with("vg-annotate: ") && error.lines().count() == 1;
    let tells = words.iter().all(|word| error.contains(word));
    if outcome.code() == Some(2) && outcome.stdout.is_empty() && is_clear && tells {
        return Ok(());
    }
    Err(Problem::wrong(format!("not 2 with one line that tells {words:?}: {}", outcome.summary())))
}

fn no_counts() -> Verdict {
    let scratch = Scratch::new("none")?;
    let (trace, _) = record(&["--events=alloc"], &compiled("recursion.c")?, &scratch)?;
    for format in ["--format=text", "--format=json", "--format=csv"] {
        refused(&annotate(&[format], &trace)?, &["trace.capnp", "--events=blocks"])?;
    }
    Ok(())
}

fn unknown_process() -> Verdict {
    let scratch = Scratch::new("process")?;
    let (trace, _) = record(MODES[0], &compiled("steps.c")?, &scratch)?;
    refused(&annotate(&["--process=77"], &trace)?, &["trace.capnp", "process 77", "those of 1"])?;
    refused(&annotate(&["--thread=77"], &trace)?, &["trace.capnp", "thread 77", "those of 1"])?;
    report(&["--process=1", "--thread=1"], &trace).map(|_| ())
}

/// A trace without its end is told, whether there is an answer or not.
fn truncated() -> Verdict {
    let scratch = Scratch::new("truncated")?;
    let (trace, _) = record(MODES[0], &compiled("steps.c")?, &scratch)?;
    let bytes = fs::read(&trace)?;
    let total = cost(&report(&[], &trace)?["summary"]);
    let part = scratch.path().join("part.capnp");
    let mut answers = 0;
    for length in (0..bytes.len()).step_by(bytes.len() / 60 + 1).chain([bytes.len() - 1, bytes.len() - 40]) {
        fs::write(&part, &bytes[..length])?;
        let outcome = annotate(&["--format=json"], &part)?;
        let told = |text: String| Problem::wrong(format!("{length} of {} bytes: {text}", bytes.len()));
        if !outcome.err().contains("vg-annotate: ") || !outcome.err().contains("part.capnp") {
            return Err(told(format!("no warning: {}", outcome.summary())));
        }
        if outcome.code() == Some(0) {
            let json: Value =
                serde_json::from_slice(&outcome.stdout).map_err(|error| told(error.to_string()))?;
            if json["complete"] != false || cost(&json["summary"]) != total {
                return Err(told(outcome.summary()));
            }
            answers += 1;
        }
    }
    if answers == 0 { Err(Problem::wrong("no part of the trace gives an answer")) } else { Ok(()) }
}

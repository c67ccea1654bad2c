//! Calls: how often which function calls which, against what stands beside the calls in the source, and against callgrind;
//! what they cost inclusively; that contexts cost as much as the code that was executed; and that they are the same in the
//! next recording.
//!
//! Expectations: `//~ CALLS f g 10`: f calls g ten times in all; `//~ CALLERS f 0`: nothing calls f, which was executed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tests::executed::{annotate, record};
use tests::guest::{Program, Variant, root};
use tests::run::{Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};

/// Calls alone, with evictions, and with all else that changes the code.
const MODES: [&[&str]; 3] = [
    &["--events=instr"],
    &["--events=instr", "--cache-size=4M"],
    &["--events=alloc,shadow,instr", "--cache-size=4M"],
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for (folder, name) in [("calls", "shapes.c"), ("calls", "handlers.c")] {
        each_variant(&mut suite, "beside", folder, name, beside_the_calls);
    }
    for name in ["recursion.c", "threads.c", "jumps.c", "exceptions.cpp"] {
        each_variant(&mut suite, "callgrind", "counts", name, against_callgrind);
    }
    for name in ["processes.c", "evicted.c", "interrupted.c", "left.c"] {
        each_variant(&mut suite, "whole", "counts", name, whole);
    }
    for (folder, name) in [("calls", "shapes.c"), ("counts", "recursion.c"), ("counts", "exceptions.cpp")] {
        each_variant(&mut suite, "deterministic", folder, name, deterministic);
    }
    suite.case("says/no-stacks", None, no_stacks);
    suite.case("says/recursion", None, recursion);
    suite.run()
}

fn each_variant(
    suite: &mut Suite,
    what: &str,
    folder: &str,
    name: &str,
    case: fn(&Program, &Variant) -> Verdict,
) {
    let program = Program::read(&root().join(folder).join(name))
        .map_err(Problem::wrong)
        .and_then(|program| program.ok_or_else(|| Problem::wrong(format!("{name} has no build line"))));
    match program {
        Ok(program) => {
            for variant in program.variants.clone() {
                let program = program.clone();
                suite
                    .case(format!("{what}/{name}::{}", variant.name), None, move || case(&program, &variant));
            }
        }
        Err(problem) => suite.case(format!("{what}/{name}"), None, || Err(problem)),
    }
}

/// A function's name, and the end of its source file's path.
type Name = (String, String);

/// What a profile says of calls.
struct Calls {
    total: u64,
    /// Number and inclusive cost, by caller and callee.
    arcs: BTreeMap<(Name, Name), (u64, u64)>,
    /// Self and inclusive costs.
    functions: BTreeMap<Name, (u64, u64)>,
}

impl Calls {
    fn read(file: &Path) -> Result<Calls, Problem> {
        let outcome = annotate(&["--format=json", "--min-percent=0"], file)?;
        let json: Value = serde_json::from_slice(&outcome.stdout)
            .map_err(|_| Problem::wrong(format!("no report: {}", outcome.summary())))?;
        let mut calls =
            Calls { total: cost(&json["summary"]), arcs: BTreeMap::new(), functions: BTreeMap::new() };
        for call in list(&json["calls"]) {
            let arc = calls.arcs.entry((name(&call["caller"]), name(&call["callee"]))).or_default();
            arc.0 += call["calls"].as_u64().unwrap_or_default();
            arc.1 += cost(&call["inclusive"]);
        }
        for function in list(&json["functions"]) {
            let costs = calls.functions.entry(name(function)).or_default();
            costs.0 += cost(function);
            costs.1 += cost(&function["inclusive"]);
        }
        Ok(calls)
    }

    /// How often functions of these names call each other, in whatever files.
    fn times(&self, caller: &str, callee: &str) -> u64 {
        let is_it = |((from, to), _): &(&(Name, Name), _)| from.0 == caller && to.0 == callee;
        self.arcs.iter().filter(is_it).map(|(_, (times, _))| times).sum()
    }

    fn callers(&self, callee: &str) -> u64 {
        self.arcs.iter().filter(|((_, to), _)| to.0 == callee).map(|(_, (times, _))| times).sum()
    }

    /// All that a function calls, directly or not.
    fn below(&self, function: &Name) -> BTreeSet<Name> {
        let mut found = BTreeSet::new();
        let mut open = vec![function.clone()];
        while let Some(next) = open.pop() {
            for (_, to) in self.arcs.keys().filter(|(from, _)| *from == next) {
                if found.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        found
    }

    /// No inclusive cost is below the own one or above the total.
    fn check(&self) -> Verdict {
        let wrong =
            self.functions.iter().find(|(_, (own, inclusive))| inclusive < own || *inclusive > self.total);
        match wrong {
            Some((name, costs)) => Err(Problem::wrong(format!("{name:?} costs {costs:?} of {}", self.total))),
            None => Ok(()),
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn cost(value: &Value) -> u64 {
    value["Ir"].as_u64().unwrap_or_default()
}

/// Callgrind's `f'2` is the second level of `f`.
fn name(value: &Value) -> Name {
    let function = value["function"].as_str().unwrap_or_default();
    let function = match function.rsplit_once('\'') {
        Some((name, level)) if level.parse::<u32>().is_ok() => name,
        _ => function,
    };
    let file = value["file"].as_str().unwrap_or_default();
    (function.to_owned(), file.rsplit('/').next().unwrap_or_default().to_owned())
}

/// What stands beside the calls in the source.
fn beside_the_calls(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let scratch = Scratch::new("calls")?;
    for options in MODES {
        let calls = Calls::read(&record(options, &exe, &scratch)?.0)?;
        let mut checked = 0;
        for line in program.text.lines() {
            let Some((_, expectation)) = line.split_once("//~ ") else { continue };
            let words: Vec<&str> = expectation.split_whitespace().collect();
            let (found, expected) = match words[..] {
                ["CALLS", caller, callee, times] => (calls.times(caller, callee), times),
                ["CALLERS", callee, times] => (calls.callers(callee), times),
                _ => return Err(Problem::wrong(format!("unknown expectation: {expectation}"))),
            };
            if Ok(found) != expected.parse() {
                return Err(Problem::wrong(format!("{options:?}: {expectation}, found {found}")));
            }
            checked += 1;
        }
        if checked < 5 {
            return Err(Problem::wrong("the program expects too little"));
        }
        calls.check()?;
    }
    Ok(())
}

/// Calls between the program's own functions are as many as under callgrind, and cost as much where no library has a part in it
/// and callgrind has no cycle.
fn against_callgrind(program: &Program, variant: &Variant) -> Verdict {
    need("valgrind")?;
    let exe = program.compile(variant)?;
    let source =
        program.source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let scratch = Scratch::new("callgrind")?;
    let file = scratch.path().join("callgrind.out");
    let option = format!("--callgrind-out-file={}", file.display());
    let argv = ["valgrind", "-q", "--tool=callgrind", &option, &exe.display().to_string()];
    let outcome = Run::new(argv.map(str::to_owned), &scratch.fresh("cwd")?).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(format!("callgrind: {}", outcome.summary())));
    }
    let peer = Calls::read(&file)?;
    let own = |calls: &Calls| -> BTreeMap<(Name, Name), (u64, u64)> {
        let is_own = |(from, to): &(Name, Name)| from.1 == source && to.1 == source;
        calls.arcs.iter().filter(|(arc, _)| is_own(arc)).map(|(arc, found)| (arc.clone(), *found)).collect()
    };
    for options in MODES {
        let calls = Calls::read(&record(options, &exe, &scratch)?.0)?;
        let (expected, found) = (own(&peer), own(&calls));
        if expected.len() < 3 {
            return Err(Problem::wrong(format!("callgrind knows too little: {expected:?}")));
        }
        let times = |arcs: &BTreeMap<(Name, Name), (u64, u64)>| -> BTreeMap<String, u64> {
            arcs.iter().map(|((from, to), (times, _))| (format!("{} -> {}", from.0, to.0), *times)).collect()
        };
        if times(&expected) != times(&found) {
            return Err(Problem::wrong(format!(
                "calls with {options:?}:\nexpected {:?}\nfound    {:?}",
                times(&expected),
                times(&found)
            )));
        }
        let mut compared = 0;
        for ((from, to), (_, inclusive)) in &found {
            let below = calls.below(to);
            if below.contains(from) || below.iter().any(|(_, file)| *file != source) {
                continue;
            }
            let peers = expected[&(from.clone(), to.clone())].1;
            if peers != *inclusive {
                return Err(Problem::wrong(format!(
                    "{} -> {} with {options:?}: costs {inclusive}, callgrind says {peers}",
                    from.0, to.0
                )));
            }
            compared += 1;
        }
        // What jumps.c calls ends up in the library each time.
        if compared == 0 && source != "jumps.c" {
            return Err(Problem::wrong("no inclusive cost could be compared"));
        }
        calls.check()?;
    }
    Ok(())
}

/// The stacks cost as much as the code that was executed, whatever interrupts it, and however its processes and threads end.
fn whole(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let scratch = Scratch::new("whole")?;
    for options in MODES {
        let (trace, _) = record(options, &exe, &scratch)?;
        let calls = Calls::read(&trace)?;
        let stacks = annotate(&["--format=collapsed"], &trace)?.out();
        let costs = stacks.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        let sum: u64 = costs.sum();
        if sum != calls.total || sum == 0 {
            return Err(Problem::wrong(format!(
                "{options:?}: stacks cost {sum}, executed were {}",
                calls.total
            )));
        }
        calls.check()?;
    }
    Ok(())
}

fn shapes(options: &[&str], scratch: &Scratch) -> Result<PathBuf, Problem> {
    let program = Program::read(&root().join("calls/shapes.c"))?;
    let program = program.ok_or_else(|| Problem::wrong("shapes.c has no build line"))?;
    Ok(record(options, &program.compile(&program.variants[0])?, scratch)?.0)
}

/// Calls of a function by itself are shown, whatever share of the total they are.
fn recursion() -> Verdict {
    let scratch = Scratch::new("recursion")?;
    let trace = shapes(&["--events=instr"], &scratch)?;
    let out =
        annotate(&["--tree=both", "--annotate=no", "--only=^down$", "--min-percent=0.05"], &trace)?.out();
    let shown = out.lines().filter(|line| line.contains(":down ") && line.contains("(50x)")).count();
    if shown != 2 {
        return Err(Problem::wrong(format!("as caller and as callee:\n{out}")));
    }
    Ok(())
}

/// Stacks are asked of a trace that has none.
/// Two recordings of a program have the same contexts, with the same calls and costs, to the byte.
fn deterministic(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let scratch = Scratch::new("twice")?;
    for options in MODES {
        let reports = || -> Result<Vec<String>, Problem> {
            let (trace, _) = record(options, &exe, &scratch)?;
            let formats = ["--format=collapsed", "--format=callgrind", "--format=json"];
            formats.iter().map(|format| Ok(annotate(&[format, "--min-percent=0"], &trace)?.out())).collect()
        };
        // Of the recording, not of the program.
        let without_pid = |text: &str| {
            text.lines().filter(|line| !line.starts_with("pid: ")).collect::<Vec<_>>().join("\n")
        };
        for (first, second) in reports()?.iter().zip(&reports()?) {
            let (first, second) = (without_pid(first), without_pid(second));
            if first.is_empty() {
                return Err(Problem::wrong(format!("no report with {options:?}")));
            }
            if let Some(difference) = tests::diff::lines(&first, &second, 20) {
                return Err(Problem::wrong(format!("{options:?}:\n{difference}")));
            }
        }
    }
    Ok(())
}

fn no_stacks() -> Verdict {
    let scratch = Scratch::new("none")?;
    let trace = shapes(&["--events=blocks"], &scratch)?;
    let outcome = annotate(&["--format=flamegraph"], &trace)?;
    let says = outcome.err();
    let is_clear = says.lines().count() == 1 && says.contains("--events=instr");
    if outcome.code() != Some(2) || !is_clear || fs::metadata(&trace)?.len() == 0 {
        return Err(Problem::wrong(outcome.summary()));
    }
    Ok(())
}

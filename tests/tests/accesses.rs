//! Data accesses and misses: of programs at fixed addresses against callgrind, event for event, of a loop that signals interrupt
//! against arithmetic; and what vg-record says where they cannot be recorded.
//!
//! What always holds: events are compared exactly. The programs at fixed addresses are those of the models' own oracle. Not here: the
//! accesses of each instruction (suite `references` of `translate`), and where emitted code puts them down (its suite
//! `interrupts`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tests::executed::{annotate, record, record_command, same, told};
use tests::guest::{Program, root};
use tests::run::{Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::tools;

const CACHES: [[&str; 3]; 2] = [
    ["--I1=1024,2,64", "--D1=512,2,64", "--LL=4096,4,64"],
    ["--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,16,64"],
];

/// What keeps a translation of callgrind as it is: blocks end at branches, loops are not unrolled, loads are kept.
const AS_IT_IS: [&str; 3] =
    ["--vex-guest-chase=no", "--vex-iropt-unroll-thresh=0", "--vex-iropt-register-updates=sp-at-mem-access"];

/// All but `Ir`, of which callgrind has one for each turn of an instruction that repeats itself.
const EVENTS: &str = "Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw Bc Bcm Bi Bim";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for name in ["arrays", "lines", "pointers"] {
        for (number, caches) in CACHES.iter().enumerate() {
            for (kind, more) in [("", &[][..]), ("/written-back", &["--simulate-wb=yes"])] {
                suite.case(format!("callgrind/{name}/{number}{kind}"), None, move || {
                    against_callgrind(name, &[caches, more].concat())
                });
            }
        }
    }
    for (name, options) in [
        ("alone", &["--events=access"][..]),
        ("calls", &["--events=access,instr"]),
        ("heap", &["--events=access,alloc"]),
        ("evicted", &["--events=access,instr", "--cache-size=4M"]),
        ("counts", &["--events=access", "--cache-sim=no", "--branch-sim=no"]),
    ] {
        suite.case(format!("signals/{name}"), None, move || interrupted(options));
        suite.case(format!("threads/{name}"), None, move || sums(options));
    }
    suite.case("spawns", None, spawns);
    for name in ["arrays", "lines", "pointers"] {
        suite.case(format!("simulated/{name}"), None, move || simulated_as_recorded(name));
        suite.case(format!("contexts/{name}"), None, move || by_context(name));
    }
    for (name, options) in [
        ("counts/threads.c", &["--events=access"][..]),
        ("counts/interrupted.c", &["--events=access", "--simulate-wb=yes"]),
        ("counts/processes.c", &["--events=access"]),
        ("counts/evicted.c", &["--events=access", "--cache-size=4M", "--simulate-hwpref=yes"]),
        ("counts/words.cpp", &["--events=access", "--toggle-collect=main"]),
        ("windows/parts.c", &["--events=access"]),
        // Children that execute another program before what they begin with has been read.
        ("processes/execs.c", &["--events=access"]),
        ("processes/vforks.c", &["--events=access"]),
    ] {
        suite.case(format!("simulated/{name}"), None, move || simulated_again(name, options));
    }
    suite.case("simulated/without", None, simulated_without);
    suite.case("says/with-shadow", None, || {
        refused(&["--events=access,alloc,shadow"], &["access,shadow", "two recordings"])
    });
    suite.case("says/without-access", None, || {
        refused(&["--events=blocks", "--branch-sim=yes"], &["--branch-sim", "--events=access"])
    });
    suite.case("says/short-lines", None, || {
        refused(&["--events=access", "--D1=1024,1,16"], &["at least 32 bytes"])
    });
    suite.case("says/no-cache", None, || {
        refused(&["--events=access", "--LL=100"], &["--LL", "SIZE,ASSOC,LINE"])
    });
    suite.run()
}

/// A program of the models' oracle, which lies at fixed addresses with its stack.
fn fixed(name: &str, scratch: &Scratch) -> Result<PathBuf, Problem> {
    need("gcc")?;
    let source = root().join("../../models/tests/oracle/programs").join(format!("{name}.c"));
    let program = scratch.path().join(name);
    let arguments = "-O1 -g -nostdlib -static -no-pie -fno-pie -fno-stack-protector -fcf-protection=none -o";
    let mut argv = vec!["gcc".to_owned()];
    argv.extend(arguments.split(' ').map(str::to_owned));
    argv.extend([program.display().to_string(), source.display().to_string()]);
    let outcome = Run::new(argv, scratch.path()).run()?;
    if outcome.code() == Some(0) { Ok(program) } else { Err(Problem::wrong(outcome.summary())) }
}

fn against_callgrind(name: &str, options: &[&str]) -> Verdict {
    need("valgrind")?;
    let scratch = Scratch::new("accesses")?;
    let program = fixed(name, &scratch)?.display().to_string();
    let out = scratch.path().join("callgrind.out");
    let mut argv = vec!["valgrind".to_owned(), "-q".to_owned(), "--tool=callgrind".to_owned()];
    argv.extend(
        ["--cache-sim=yes", "--branch-sim=yes"]
            .iter()
            .chain(&AS_IT_IS)
            .chain(options)
            .map(ToString::to_string),
    );
    argv.extend([format!("--callgrind-out-file={}", out.display()), program.clone()]);
    let outcome = Run::new(argv, scratch.path()).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let expected = totals(&out)?;
    let trace = scratch.path().join("trace.capnp");
    let mut argv = vec![tools::tool("vg-record")?.display().to_string(), "--events=access".into()];
    argv.extend(options.iter().map(ToString::to_string));
    argv.extend(["-o".into(), trace.display().to_string(), "--".into(), program]);
    let outcome = Run::new(argv, scratch.path()).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let found = totals(&trace)?;
    same("events", &expected, &found)
}

/// The totals that vg-annotate knows of a file.
fn totals(file: &Path) -> Result<Vec<(String, u64)>, Problem> {
    let summary = report(file)?["summary"].clone();
    let written_back = "ILdmr DLdmr DLdmw";
    let names = EVENTS.split(' ').chain(written_back.split(' '));
    let known = names.filter_map(|name| Some((name.to_owned(), summary[name].as_u64()?)));
    Ok(known.collect())
}

fn report(file: &Path) -> Result<Value, Problem> {
    let outcome = annotate(&["--format=json", "--min-percent=0"], file)?;
    serde_json::from_slice(&outcome.stdout).map_err(|_| Problem::wrong(outcome.summary()))
}

fn compiled(name: &str) -> Result<PathBuf, Problem> {
    let program = Program::read(&root().join(name))?;
    let program = program.ok_or_else(|| Problem::wrong(format!("{name} has no build line")))?;
    program.compile(&program.variants[0])
}

/// What is simulated later, with other caches, is what a recording with those counts.
fn simulated_as_recorded(name: &str) -> Verdict {
    let scratch = Scratch::new("simulated")?;
    let program = [fixed(name, &scratch)?.display().to_string()];
    let [first, second] = CACHES;
    let whole = [&["--events=access", "--accesses=full", "--branch-sim=no"][..], &first].concat();
    let (trace, _) = record_command(&whole, &program, &scratch)?;
    let later = [&["--simulate", "--branch-sim=yes", "--simulate-wb=yes"][..], &second].concat();
    let later = costs(&later, &trace)?;
    let (trace, _) = record_command(
        &[&["--events=access", "--simulate-wb=yes"][..], &second].concat(),
        &program,
        &scratch,
    )?;
    same("costs", &costs(&[], &trace)?, &later)
}

/// Inclusive costs are the same, whether emitted code looks at models and spends, or models are fed from logs.
fn by_context(name: &str) -> Verdict {
    let scratch = Scratch::new("contexts")?;
    let program = [fixed(name, &scratch)?.display().to_string()];
    let mut found = Vec::new();
    for more in [&[][..], &["--accesses=full"]] {
        let options = [&["--events=access,instr"][..], more, &CACHES[0]].concat();
        let (trace, _) = record_command(&options, &program, &scratch)?;
        let outcome = annotate(&["--format=csv", "--min-percent=0", "--inclusive=yes"], &trace)?;
        if outcome.code() != Some(0) {
            return Err(Problem::wrong(outcome.summary()));
        }
        // The last column is left out: from logs, an indirect call's misprediction is the called function's, whose entry is told of first.
        let line = |line: &str| line.rsplit_once(',').map_or(line, |(rest, _)| rest).to_owned();
        found.push(outcome.out().lines().map(line).collect::<Vec<String>>());
    }
    same("inclusive costs", &found[1], &found[0])
}

/// What is simulated again with the same caches is what was counted.
fn simulated_again(name: &str, options: &[&str]) -> Verdict {
    let exe = compiled(name)?;
    let scratch = Scratch::new("simulated")?;
    let options = [options, &["--accesses=full"]].concat();
    let (trace, _) = record_command(&options, &[exe.display().to_string()], &scratch)?;
    for part in [&[][..], &["--process=1"], &["--part=1"]] {
        let again = [part, &["--simulate"]].concat();
        same(&format!("costs {part:?}"), &costs(part, &trace)?, &costs(&again, &trace)?)?;
    }
    Ok(())
}

/// Costs by function and line.
fn costs(options: &[&str], trace: &Path) -> Result<Vec<String>, Problem> {
    let options = [&["--format=csv", "--min-percent=0", "--inclusive=no"][..], options].concat();
    let outcome = annotate(&options, trace)?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(outcome.summary()));
    }
    Ok(outcome.out().lines().map(str::to_owned).collect())
}

fn simulated_without() -> Verdict {
    let exe = compiled("counts/threads.c")?;
    let scratch = Scratch::new("simulated")?;
    let (trace, _) = record(&["--events=access"], &exe, &scratch)?;
    let outcome = annotate(&["--simulate"], &trace)?;
    let said = outcome.err();
    if outcome.code() == Some(2) && said.lines().count() == 1 && said.contains("--accesses=full") {
        return Ok(());
    }
    Err(Problem::wrong(outcome.summary()))
}

/// A loop of known length that signals interrupt everywhere, and their handler, access exactly what they must.
fn interrupted(options: &[&str]) -> Verdict {
    let exe = compiled("counts/interrupted.c")?;
    let scratch = Scratch::new("signals")?;
    let (trace, outcome) = record(options, &exe, &scratch)?;
    let [turns, calls, signals] = told(&outcome)[..] else { return Err(Problem::wrong(outcome.summary())) };
    let json = report(&trace)?;
    let of = |name: &str, event: &str| {
        let functions = json["functions"].as_array().into_iter().flatten();
        let own = functions.filter(|function| function["function"] == name);
        own.map(|function| function[event].as_u64().unwrap_or(0)).sum::<u64>()
    };
    let found = |name| ["Dr", "Dw"].map(|event| of(name, event));
    same("the loop", &[2 * turns + calls, 2 * turns], &found("busy"))?;
    same("the handler", &[2 * signals, signals], &found("handles"))?;
    if options.contains(&"--branch-sim=no") {
        return Ok(());
    }
    same("branches of the loop", &(2 * turns), &of("busy", "Bc"))?;
    // One is turned around each time, the other each time but the last.
    let missed = of("busy", "Bcm");
    if missed > turns / 2 {
        return Err(Problem::wrong(format!("{missed} of {turns} turns mispredicted")));
    }
    Ok(())
}

/// What all functions of a program with threads have accessed adds up to the total, and each of its loops makes the accesses that
/// it must.
fn sums(options: &[&str]) -> Verdict {
    let exe = compiled("counts/threads.c")?;
    let scratch = Scratch::new("threads")?;
    let (trace, _) = record(options, &exe, &scratch)?;
    let json = report(&trace)?;
    for event in ["Dr", "Dw"] {
        let functions = json["functions"].as_array().into_iter().flatten();
        let sum: u64 = functions.map(|function| function[event].as_u64().unwrap_or(0)).sum();
        let total = json["summary"][event].as_u64().unwrap_or(0);
        if total == 0 {
            return Err(Problem::wrong(format!("no {event}")));
        }
        same(event, &total, &sum)?;
    }
    Ok(())
}

/// What a process accesses is its own, also when children that share its memory execute other programs.
fn spawns() -> Verdict {
    let program = Program::read(&root().join("accesses/spawns.c"))?;
    let program = program.ok_or_else(|| Problem::wrong("spawns.c has no build line"))?;
    let exe = program.compile(&program.variants[0])?;
    let scratch = Scratch::new("spawns")?;
    for options in [&["--events=access"][..], &["--events=access,instr"]] {
        let (trace, _) = record(options, &exe, &scratch)?;
        let outcome = annotate(&["--format=json", "--min-percent=0", "--process=1"], &trace)?;
        let json: Value =
            serde_json::from_slice(&outcome.stdout).map_err(|_| Problem::wrong(outcome.summary()))?;
        let functions = json["functions"].as_array().into_iter().flatten();
        let own: Vec<&Value> = functions.filter(|function| function["function"] == "touches").collect();
        let sum = |event: &str| own.iter().filter_map(|function| function[event].as_u64()).sum::<u64>();
        same("reads and writes", &[5 * 1001, 5 * 1000], &[sum("Dr"), sum("Dw")])?;
    }
    Ok(())
}

/// vg-record ends with 125 and one line that has all of `words`.
fn refused(options: &[&str], words: &[&str]) -> Verdict {
    let scratch = Scratch::new("says")?;
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(options.iter().map(ToString::to_string));
    argv.push("true".into());
    let outcome = Run::new(argv, scratch.path()).run()?;
    let error = outcome.err();
    let tells = words.iter().all(|word| error.contains(word))
        && (error.starts_with("vg-record: ") || error.starts_with("error: "));
    let left = fs::read_dir(scratch.path())?.count();
    if outcome.code() == Some(125) && tells && left == 0 {
        Ok(())
    } else {
        Err(Problem::wrong(outcome.summary()))
    }
}

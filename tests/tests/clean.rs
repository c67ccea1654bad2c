//! Clean programs: libraries that much depends on, compiled with optimization by gcc and clang, put through a good part of
//! what they do while undefined values are followed, give no error.
//!
//! What always holds: none is excused. Valgrind, too, has nothing to tell of any of them (cases `peer/`). The sources are
//! those that cargo has fetched with this package's dependencies; nothing is downloaded here.
//!
//! Not here: what clean code does that was once told of as an error (`programs/values`, without expectations).

use std::fs;
use std::process::ExitCode;
use std::time::Duration;
use tests::libraries::{LIBRARIES, Library, compiled, own};
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::{errors, tools};

/// Compiler, optimization, and whether large libraries are compiled so only in long runs.
const VARIANTS: [(&str, &str, bool); 4] =
    [("gcc", "-O2", false), ("gcc", "-O3", true), ("clang", "-O2", true), ("clang", "-O3", false)];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for library in &LIBRARIES {
        for (compiler, optimization, long) in VARIANTS {
            let name = format!("{}/{compiler}{optimization}", library.name);
            let body = move || clean(library, compiler, optimization);
            if long && library.large {
                suite.long_case(name, None, body);
            } else {
                suite.case(name, None, body);
            }
        }
        suite.long_case(format!("peer/{}", library.name), None, move || peer(library));
    }
    suite.run()
}

/// No error, and the program does what it does natively.
fn clean(library: &Library, compiler: &str, optimization: &str) -> Verdict {
    let command = command(library, compiler, optimization)?;
    let scratch = Scratch::new("clean")?;
    let native = run(&scratch, command.clone())?;
    let trace = scratch.path().join("trace.capnp").display().to_string();
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(["-o", &trace, "--"].map(str::to_owned));
    argv.extend(command);
    let recorded = run(&scratch, argv)?;
    if recorded.out() != native.out() {
        return Err(Problem::wrong(format!(
            "natively {}\nrecorded {}",
            native.summary(),
            recorded.summary()
        )));
    }
    let reader = tools::tool("vg-errors")?.display().to_string();
    let told = Run::new([&reader, &trace], scratch.path()).run()?;
    let end = "ERROR SUMMARY: 0 errors from 0 contexts";
    if told.code() == Some(0) && told.out().contains(end) {
        return Ok(());
    }
    let lines: Vec<String> = told.out().lines().take(40).map(str::to_owned).collect();
    Err(Problem::wrong(lines.join("\n")))
}

/// Valgrind tells of no error.
fn peer(library: &Library) -> Verdict {
    need("valgrind")?;
    let command = command(library, "gcc", "-O2")?;
    let scratch = Scratch::new("clean-peer")?;
    let log = scratch.path().join("log");
    let run = errors::under_memcheck(&command, &log.display().to_string(), true, false, scratch.path());
    let outcome = run.timeout(DEADLINE).run()?;
    let text = fs::read_to_string(&log)?;
    if outcome.code() == Some(0) && text.contains("ERROR SUMMARY: 0 errors") {
        return Ok(());
    }
    Err(Problem::wrong(format!("{}\n{text}", outcome.summary())))
}

const DEADLINE: Duration = Duration::from_secs(300);

fn run(scratch: &Scratch, argv: Vec<String>) -> Result<Outcome, Problem> {
    let outcome = Run::new(argv, &scratch.fresh("cwd")?).timeout(DEADLINE).run()?;
    if outcome.code() == Some(0) { Ok(outcome) } else { Err(Problem::wrong(outcome.summary())) }
}

/// The compiled program with its argument.
fn command(library: &Library, compiler: &str, optimization: &str) -> Result<Vec<String>, Problem> {
    let mut argv = vec![compiled(library, compiler, optimization, &[])?.display().to_string()];
    argv.extend(library.script.map(|script| own(script).display().to_string()));
    Ok(argv)
}

//! Native against recorded: every guest program must print the same, end the same way, and leave a trace that
//! vg-leaks reads and calls complete.
//!
//! What always holds: the native run is checked first, so that a broken guest program shows as such.

use std::process::ExitCode;

use tests::guest::{Program, Variant};
use tests::run::Scratch;
use tests::suite::{Problem, Suite, Verdict};
use tests::{compare, tools};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    let folders = [
        "loader",
        "threads",
        "signals",
        "processes",
        "code",
        "transparency",
        "requests",
        "soak",
        "go",
        "counts",
        "windows",
        "accesses",
    ];
    match Program::all(&folders) {
        Ok(programs) => programs.iter().for_each(|program| add(&mut suite, program)),
        Err(error) => suite.case("programs", None, move || Err(Problem::Wrong(error))),
    }
    suite.run()
}

fn add(suite: &mut Suite, program: &Program) {
    for variant in program.variants.clone() {
        let name = program.case_name(&variant);
        let (program, known, long) = (program.clone(), variant.known.clone(), program.long);
        let body = move || both_ways(&program, &variant);
        if long { suite.long_case(name, known, body) } else { suite.case(name, known, body) }
    }
}

fn both_ways(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let scratch = Scratch::new("program")?;
    let command: Vec<String> =
        std::iter::once(exe.display().to_string()).chain(program.args.iter().cloned()).collect();
    let native = program.prepare(&command, &scratch.fresh("cwd")?).run()?;
    program.check_native(&native)?;
    if std::env::var_os("VG_NATIVE_ONLY").is_some() {
        return Err(Problem::skip("VG_NATIVE_ONLY: passed natively"));
    }
    let trace = scratch.path().join("trace.capnp");
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(["-o".into(), trace.display().to_string()]);
    if variant.name != program.variants[0].name {
        // The first one is recorded with all that is recorded by default.
        let options: Vec<&str> = program.record.iter().map(String::as_str).collect();
        argv.extend(tools::without_counts(&options));
    }
    argv.extend(program.record.iter().cloned());
    argv.push("--".into());
    argv.extend(command);
    let recorded = program.prepare(&argv, &scratch.fresh("cwd")?).run()?;
    compare::outcomes(&native, &recorded, program.compare_errors)?;
    compare::trace(&trace, !program.partial)
}

//! Leak suite: every program in `programs/leaks/` carries its findings beside its lines. They are compared with
//! vg-leaks by line, kind, bytes and blocks, and its totals with memcheck's.
//!
//! The cases `peer/...` hold the same expectations against Valgrind itself, so that a wrong expectation shows;
//! the cases `system/...` compare totals of real programs; `snapshots/...` are about snapshots on the way, which the
//! program or the user asks for.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::guest::{Program, Variant};
use tests::leaks::{self, Findings, Kind};
use tests::peer::{Peer, added_variables};
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::tools;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    match Program::all(&["leaks"]) {
        Ok(programs) => {
            for program in programs {
                for variant in program.variants.clone() {
                    add(&mut suite, &program, variant);
                }
            }
        }
        Err(error) => suite.case("programs", None, move || Err(Problem::Wrong(error))),
    }
    for (name, argv) in SYSTEM {
        suite.case(format!("system/{name}"), None, move || system(argv));
    }
    suite.case("snapshots/client", None, client_snapshots);
    suite.case("snapshots/signal", None, snapshots_of_sleepers);
    suite.case("snapshots/family", None, snapshots_of_children);
    suite.case("snapshots/old_kernel", None, on_an_old_kernel);
    suite.run()
}

/// Real programs, run on small inputs.
const SYSTEM: [(&str, &[&str]); 6] = [
    (
        "bash",
        &["bash", "-c", "a=(1 2 3); f() { local x=$1; echo ${x^^}; }; for i in ${a[@]}; do f v$i; done"],
    ),
    (
        "perl",
        &[
            "perl",
            "-e",
            "my %h = map { $_ => $_ ** 2 } 1 .. 200; print join(' ', map { $h{$_} } sort keys %h), \"\\n\"",
        ],
    ),
    (
        "python",
        &["/usr/bin/python3", "-S", "-c", "import json; print(json.dumps({str(i): [i] for i in range(50)}))"],
    ),
    (
        "sqlite",
        &[
            "sqlite3",
            ":memory:",
            "create table t(a, b); insert into t values (1, 'x'), (2, 'y'); select * from t order by b desc;",
        ],
    ),
    ("sort", &["sort", "/etc/passwd"]),
    ("awk", &["awk", "BEGIN { for (i = 0; i < 100; i++) a[i] = i * i; print length(a) }"]),
];

/// How often Valgrind may differ before it is believed. Its heap lies below 4 GiB, where one number in memory of one
/// run (a time, an inode) looks like a pointer into a block of megabytes: `big_blocks` differs in every sixth run.
const PEER_RUNS: usize = 6;

fn add(suite: &mut Suite, program: &Program, variant: Variant) {
    let name = program.case_name(&variant);
    let (same, other) = (program.clone(), variant.clone());
    suite.case(format!("peer/{name}"), None, move || against_peer(&same, &other));
    let (program, known) = (program.clone(), variant.known.clone());
    suite.case(name, known, move || recorded(&program, &variant));
}

fn source_name(program: &Program) -> String {
    program.source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn command(program: &Program, exe: &Path) -> Vec<String> {
    std::iter::once(exe.display().to_string()).chain(program.args.iter().cloned()).collect()
}

fn adapt(program: &Program, run: Run) -> Run {
    let run = run.stdin(program.stdin.as_bytes());
    program.env.iter().fold(run, |run, (name, value)| run.env(name, value))
}

fn peer(
    program: &Program,
    variant: &Variant,
    exe: &Path,
    cwd: &Path,
) -> Result<(Findings, Outcome), Problem> {
    if is_static(exe)? {
        return Err(Problem::skip("valgrind does not replace the allocator of a static program"));
    }
    if let Some(reason) = &variant.other_peer {
        return Err(Problem::skip(format!("valgrind {reason}")));
    }
    let peer = Peer { source: &source_name(program), timeout: program.timeout, under: &[] };
    let run = peer.run(&command(program, exe), cwd, |run| adapt(program, run))?;
    Ok((run.findings, run.outcome))
}

fn against_peer(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let expected = leaks::expectations(&program.text, &variant.name)?;
    let scratch = Scratch::new("peer")?;
    let mut last = String::new();
    for _ in 0..PEER_RUNS {
        let (found, outcome) = peer(program, variant, &exe, &scratch.fresh("cwd")?)?;
        let problems = leaks::differences(&expected, &found.records);
        if problems.is_empty() {
            return Ok(());
        }
        last = format!("{}\n{}", problems.join("\n"), outcome.summary());
    }
    Err(Problem::wrong(last))
}

fn recorded(program: &Program, variant: &Variant) -> Verdict {
    let exe = program.compile(variant)?;
    let expected = leaks::expectations(&program.text, &variant.name)?;
    let scratch = Scratch::new("leaks")?;
    let trace = scratch.path().join("trace.capnp");
    let command = command(program, &exe);
    let native =
        adapt(program, Run::new(command.clone(), &scratch.fresh("cwd")?)).timeout(program.timeout).run()?;
    let recorded =
        record(&trace, &command, &scratch.fresh("cwd")?, program.timeout, |run| adapt(program, run))?;
    if recorded.ending() != native.ending() || recorded.stdout != native.stdout {
        return Err(Problem::wrong(format!(
            "natively {}\nrecorded {}",
            native.summary(),
            recorded.summary()
        )));
    }
    let found = report(&trace, &source_name(program))?;
    let mut problems = leaks::differences(&expected, &found.records);
    problems.extend(leaks::total_differences("the summary", &found.totals, "the records", &found.sums()));
    let mut differing = Vec::new();
    for _ in 0..PEER_RUNS {
        differing = match peer(program, variant, &exe, &scratch.fresh("cwd")?) {
            Ok((theirs, _)) => {
                leaks::total_differences("vg-leaks", &found.totals, "valgrind", &theirs.totals)
            }
            Err(Problem::Skip(reason)) => {
                println!("{}: totals not compared: {reason}", program.name);
                Vec::new()
            }
            Err(problem) => return Err(problem),
        };
        if differing.is_empty() {
            break;
        }
    }
    problems.extend(differing);
    if problems.is_empty() { Ok(()) } else { Err(Problem::wrong(problems.join("\n"))) }
}

fn record(
    trace: &Path,
    command: &[String],
    cwd: &Path,
    timeout: Duration,
    adapt: impl Fn(Run) -> Run,
) -> Result<Outcome, Problem> {
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(tools::without_counts(&[]));
    argv.extend(["-o".into(), trace.display().to_string(), "--".into()]);
    argv.extend(command.iter().cloned());
    Ok(adapt(Run::new(argv, cwd).timeout(timeout)).run()?)
}

fn report(trace: &Path, source: &str) -> Result<Findings, Problem> {
    snapshot(trace, source, &["--snapshot=last"])
}

/// What vg-leaks finds in one snapshot.
fn snapshot(trace: &Path, source: &str, which: &[&str]) -> Result<Findings, Problem> {
    let mut argv = vec![
        tools::tool("vg-leaks")?.display().to_string(),
        "--format=json".into(),
        "--kinds=definite,indirect,possible,reachable".into(),
        trace.display().to_string(),
    ];
    argv.extend(which.iter().map(|word| (*word).to_owned()));
    let outcome = Run::new(argv, &std::env::temp_dir()).run()?;
    if !matches!(outcome.code(), Some(0 | 1)) {
        return Err(Problem::wrong(format!("vg-leaks {}", outcome.summary())));
    }
    let findings = leaks::from_json(&outcome.out(), source)?;
    let any = findings.totals.values().any(|(_, blocks)| *blocks != 0);
    if any != (outcome.code() == Some(1)) {
        return Err(Problem::wrong(format!(
            "vg-leaks ended with {} for {:?}",
            outcome.ending(),
            findings.totals
        )));
    }
    Ok(findings)
}

/// bash keeps the number of its parent as text. The recorder is a new process; so is this shell, and the numbers have the
/// same length.
const PARENT: [&str; 4] = ["sh", "-c", "\"$@\"; exit $?", "sh"];

fn system(argv: &[&str]) -> Verdict {
    need(argv[0])?;
    let mut command: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    command[0] = tools::which(argv[0]).unwrap_or_else(|| PathBuf::from(argv[0])).display().to_string();
    let scratch = Scratch::new("system")?;
    let timeout = Duration::from_secs(120);
    // Hash seeds decide how large tables grow.
    let fixed = |run: Run| run.env("PYTHONHASHSEED", "0").env("PERL_HASH_SEED", "0");
    let theirs = Peer { source: "", timeout, under: &PARENT }.run(&command, &scratch.fresh("cwd")?, fixed)?;
    let trace = scratch.path().join("trace.capnp");
    let cwd = scratch.fresh("cwd")?;
    let added = added_variables(&cwd)?;
    let equal = |run: Run| added.iter().fold(fixed(run), |run, (name, value)| run.env(name, value));
    let recorded = record(&trace, &command, &cwd, timeout, equal)?;
    if recorded.stdout != theirs.outcome.stdout || recorded.ending() != theirs.outcome.ending() {
        return Err(Problem::wrong(format!("recorded {}", recorded.summary())));
    }
    let ours = report(&trace, "")?;
    let problems = leaks::total_differences("vg-leaks", &ours.totals, "valgrind", &theirs.findings.totals);
    if problems.is_empty() { Ok(()) } else { Err(Problem::wrong(problems.join("\n"))) }
}

/// The ELF file has no program interpreter.
fn is_static(exe: &Path) -> Result<bool, Problem> {
    let bytes = std::fs::read(exe)?;
    let word = |at: usize| bytes.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let offset = bytes.get(32..40).and_then(|b| Some(u64::from_le_bytes(b.try_into().ok()?) as usize));
    let (Some(offset), Some(size), Some(count)) = (offset, word(54), word(56)) else {
        return Err(Problem::wrong(format!("{} is no ELF file", exe.display())));
    };
    Ok((0..count).all(|index| bytes.get(offset + index * size) != Some(&3)))
}

/// A program of `programs/snapshots/`, compiled.
fn guest(name: &str) -> Result<(Program, PathBuf), Problem> {
    let source = tests::guest::root().join("snapshots").join(name);
    let program = Program::read(&source)?.ok_or_else(|| format!("{name} has no build line"))?;
    let exe = program.compile(&program.variants[0])?;
    Ok((program, exe))
}

/// The complete snapshots of a trace, perhaps one that still grows: process, number, reason.
fn listed(trace: &Path) -> Result<Vec<(u64, u64, String)>, Problem> {
    let argv = [
        tools::tool("vg-leaks")?.display().to_string(),
        "--snapshot=list".into(),
        "--format=json".into(),
        trace.display().to_string(),
    ];
    let outcome = Run::new(argv, &std::env::temp_dir()).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(format!("vg-leaks {}", outcome.summary())));
    }
    let json: serde_json::Value = serde_json::from_slice(&outcome.stdout)
        .map_err(|error| Problem::wrong(format!("no JSON: {error}")))?;
    let list = json["snapshots"].as_array().ok_or_else(|| Problem::wrong("no list of snapshots"))?;
    let complete = list.iter().filter(|entry| entry["complete"] == true);
    let of = |entry: &serde_json::Value| {
        let number = |name: &str| entry[name].as_u64().unwrap_or(u64::MAX);
        (number("process"), number("snapshot"), entry["reason"].as_str().unwrap_or_default().to_owned())
    };
    Ok(complete.map(of).collect())
}

/// VALGRIND_DO_LEAK_CHECK: the totals of each check, and of the end, are Valgrind's.
fn client_snapshots() -> Verdict {
    let (program, exe) = guest("client.c")?;
    let scratch = Scratch::new("client")?;
    let command = command(&program, &exe);
    let trace = scratch.path().join("trace.capnp");
    let recorded = record(&trace, &command, &scratch.fresh("cwd")?, program.timeout, |run| run)?;
    if recorded.out() != "EXIT-SUCCESS\n" || recorded.code() != Some(0) {
        return Err(Problem::wrong(recorded.summary()));
    }
    let list = listed(&trace)?;
    let expected = ["client", "client", "client", "exit"];
    if list.iter().map(|(_, _, reason)| reason.as_str()).ne(expected) {
        return Err(Problem::wrong(format!("not the expected snapshots: {list:?}")));
    }
    let source = source_name(&program);
    let theirs = Peer { source: &source, timeout: program.timeout, under: &[] };
    let theirs = theirs.run(&command, &scratch.fresh("cwd")?, |run| run)?.checks;
    if theirs.len() != list.len() {
        return Err(Problem::wrong(format!("valgrind made {} checks", theirs.len())));
    }
    let mut problems = Vec::new();
    for ((_, number, _), theirs) in list.iter().zip(&theirs) {
        let ours = snapshot(&trace, &source, &[&format!("--snapshot={number}")])?;
        let different = leaks::total_differences("vg-leaks", &ours.totals, "valgrind", theirs);
        problems.extend(different.iter().map(|text| format!("snapshot {number}: {text}")));
    }
    if problems.is_empty() { Ok(()) } else { Err(Problem::wrong(problems.join("\n"))) }
}

/// Starts a program with `--snapshot-signal`, takes two snapshots while it sleeps, and ends it by SIGTERM.
fn asked_twice(exe: &Path, trace: &Path, scratch: &Scratch, processes: usize) -> Result<Outcome, Problem> {
    let argv = [
        tools::tool("vg-record")?.display().to_string(),
        "--snapshot-signal=USR2".into(),
        "-o".into(),
        trace.display().to_string(),
        "--".into(),
        exe.display().to_string(),
    ];
    let keep = scratch.fresh("keep")?;
    let run = Run::new(argv, &scratch.fresh("cwd")?).timeout(Duration::from_secs(60));
    let running = run.spawn(&keep)?;
    let wait = |what: &str, done: &dyn Fn() -> Result<bool, Problem>| {
        let end = Instant::now() + Duration::from_secs(20);
        while !done()? {
            if Instant::now() >= end {
                return Err(Problem::wrong(format!("never {what}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    wait(
        "ready",
        &|| Ok(std::fs::read_to_string(keep.join("out")).is_ok_and(|text| text.contains("ready"))),
    )?;
    for asked in 1..=2 {
        tests::sys::kill(running.pid(), libc::SIGUSR2)?;
        // The trace can be read while it grows.
        wait("a snapshot", &|| Ok(listed(trace)?.len() >= asked * processes))?;
    }
    tests::sys::kill(running.pid(), libc::SIGTERM)?;
    Ok(running.wait()?)
}

fn snapshots_of_sleepers() -> Verdict {
    let (program, exe) = guest("idle.c")?;
    let scratch = Scratch::new("signal")?;
    let trace = scratch.path().join("trace.capnp");
    let outcome = asked_twice(&exe, &trace, &scratch, 1)?;
    // No system call ended early, and SIGTERM still arrives.
    if outcome.out() != "ready\n0 came back, signal 15\n" || outcome.code() != Some(0) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let list = listed(&trace)?;
    if list.iter().map(|(_, _, reason)| reason.as_str()).ne(["request", "request", "exit"]) {
        return Err(Problem::wrong(format!("not the expected snapshots: {list:?}")));
    }
    let expected = leaks::expectations(&program.text, "default")?;
    for number in ["--snapshot=0", "--snapshot=1"] {
        let found = snapshot(&trace, &source_name(&program), &[number])?;
        // Stacks of threads are the C library's allocations at this program's line.
        let own: Vec<_> = found.records.iter().filter(|record| record.direct < 100).cloned().collect();
        let problems = leaks::differences(&expected, &own);
        if !problems.is_empty() {
            return Err(Problem::wrong(format!("{number}:\n{}", problems.join("\n"))));
        }
    }
    Ok(())
}

/// Where the kernel cannot skip holes of the page map, it is read, with the same result.
fn on_an_old_kernel() -> Verdict {
    let (launcher, kernel) = guest("old_kernel.c")?;
    let source = tests::guest::root().join("leaks/sparse.c");
    let program = Program::read(&source)?.ok_or_else(|| "sparse.c has no build line".to_owned())?;
    let variant = program.variants.iter().find(|variant| variant.name == "small");
    let exe = program.compile(variant.ok_or_else(|| "sparse.c has no small variant".to_owned())?)?;
    let scratch = Scratch::new("old-kernel")?;
    let trace = scratch.path().join("trace.capnp");
    let mut argv = vec![kernel.display().to_string(), tools::tool("vg-record")?.display().to_string()];
    argv.extend(["-o".into(), trace.display().to_string(), "--".into()]);
    argv.extend(command(&program, &exe));
    let recorded = Run::new(argv, &scratch.fresh("cwd")?).timeout(launcher.timeout).run()?;
    if recorded.out() != "EXIT-SUCCESS\n" || recorded.code() != Some(0) {
        return Err(Problem::wrong(recorded.summary()));
    }
    let expected = leaks::expectations(&program.text, "small")?;
    let problems = leaks::differences(&expected, &report(&trace, &source_name(&program))?.records);
    if problems.is_empty() { Ok(()) } else { Err(Problem::wrong(problems.join("\n"))) }
}

fn snapshots_of_children() -> Verdict {
    let (program, exe) = guest("family.c")?;
    let scratch = Scratch::new("family")?;
    let trace = scratch.path().join("trace.capnp");
    let outcome = asked_twice(&exe, &trace, &scratch, 3)?;
    if outcome.out() != "ready\n" || outcome.code() != Some(0) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let list = listed(&trace)?;
    let expected = (1..=3).flat_map(|process| {
        ["request", "request", "exit"].into_iter().zip(0..).map(move |(why, n)| (process, n, why.to_owned()))
    });
    if !list.iter().cloned().eq(expected) {
        return Err(Problem::wrong(format!("not the expected snapshots: {list:?}")));
    }
    for (process, reachable, lost) in
        [("1", (55, 1), (0, 0)), ("2", (66, 1), (55, 1)), ("3", (77, 1), (0, 0))]
    {
        let which = ["--snapshot=1", &format!("--process={process}")];
        let totals = snapshot(&trace, &source_name(&program), &which)?.totals;
        if totals.get(&Kind::Reachable) != Some(&reachable) || totals.get(&Kind::Definite) != Some(&lost) {
            return Err(Problem::wrong(format!("process {process}: {totals:?}")));
        }
    }
    Ok(())
}

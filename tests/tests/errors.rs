//! Error suite: every program in the folders below carries its errors beside its lines. They are compared with
//! vg-errors by line, kind and size; a program without such lines must have none anywhere.
//!
//! The cases `peer/...` hold the same expectations against Valgrind itself, so that a wrong expectation shows; what the
//! installed version cannot know is left out. The cases `alloc/...` record without looking at memory accesses. Programs of
//! all other folders are recorded with undefined values followed, and so are, as `values/errors/...`, the clean ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tests::errors;
use tests::guest::{Program, Variant};
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::tools;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    match Program::all(FOLDERS) {
        Ok(programs) => {
            for program in programs {
                for variant in program.variants.clone() {
                    add(&mut suite, &program, variant);
                }
            }
        }
        Err(error) => suite.case("programs", None, move || Err(Problem::Wrong(error))),
    }
    suite.long_case("races", None, races);
    suite.case("silence", None, not_looked_for);
    for name in ["overruns.c", "bad_frees.c", "faults.c", "descriptors.c", "dies_of_jump.c", "clean.c"] {
        suite.case(format!("live/{name}"), None, move || live(name));
    }
    suite.case("live/while_it_runs", None, while_it_runs);
    suite.case("first/access", None, || first_error("overruns.c", None));
    suite.case("first/jump", None, || first_error("dies_of_jump.c", Some(7)));
    suite.case("first/descriptor", None, || first_error("descriptors.c", Some(255)));
    suite.case("first/none", None, || first_error("clean.c", None));
    suite.case("status", None, status_of_errors);
    suite.case("places/frees", None, places_of_frees);
    suite.case("places/faults", None, places_of_faults);
    suite.case("peer/words/errors", None, || same_words("errors/params.c", &["--undef-value-errors=no"]));
    suite.case("peer/words/values", None, || same_words("values/params.c", FOLLOWING));
    suite.case("client_words", None, client_words);
    suite.case("unknown_call", None, unknown_call);
    suite.run()
}

fn add(suite: &mut Suite, program: &Program, variant: Variant) {
    let name = program.case_name(&variant);
    let (same, other) = (program.clone(), variant.clone());
    let peer = format!("peer/{name}");
    let is_first = program.variants.first().is_some_and(|first| first.name == variant.name);
    // What Valgrind says of other builds rarely differs, and takes minutes in all.
    if is_first {
        suite.case(peer, None, move || against_peer(&same, &other));
    } else {
        suite.long_case(peer, None, move || against_peer(&same, &other));
    }
    let is_valid = program.name.starts_with("valid/");
    if !is_valid && errors::expectations(&program.text).is_ok_and(|errors| errors::of_allocators(&errors)) {
        let (same, other) = (program.clone(), variant.clone());
        let jumps = if program.text.contains("//~ InvalidJump") { ",invalid-jump" } else { "" };
        let kinds = format!("--kinds=free,size,fatal-signal{jumps}");
        suite.case(format!("alloc/{name}"), None, move || {
            recorded(&same, &other, &["--events=alloc"], &[&kinds])
        });
    }
    if program.name.starts_with("errors/clean") {
        let (same, other) = (program.clone(), variant.clone());
        suite.case(format!("values/{name}"), None, move || {
            recorded(&same, &other, FOLLOWING, &["--kinds=default"])
        });
    }
    if !follows(program) {
        // What is not about undefined values is the same when they are followed.
        let (same, other) = (program.clone(), variant.clone());
        suite.case(format!("following/{name}"), variant.known.clone(), move || {
            let options: Vec<&str> = same.record.iter().map(String::as_str).collect();
            recorded(&same, &other, &options, &[listed(&same), "--undef-value-errors=no"])
        });
    }
    let (program, known) = (program.clone(), variant.known.clone());
    let mut options: Vec<String> = program.record.clone();
    let events: &[&str] = if follows(&program) { FOLLOWING } else { ADDRESSES };
    options.extend(events.iter().map(|option| (*option).to_owned()));
    suite.case(name, known, move || {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        recorded(&program, &variant, &options, &[listed(&program)])
    });
}

/// What is asked for with an option of its own is listed, too.
fn listed(program: &Program) -> &'static str {
    if program.record.is_empty() { "--kinds=default" } else { "--kinds=all" }
}

/// Folders of programs: `errors` without undefined values, all others with them; those in `valid` make no error.
const FOLDERS: &[&str] = &["errors", "values", "heap", "undefined", "text", "cpp", "rust", "system", "valid"];

/// How undefined values are followed: as in every recording that is not asked for anything else.
const FOLLOWING: &[&str] = &[];
/// How addresses are looked at alone.
const ADDRESSES: &[&str] = &["--events=alloc,shadow", "--undef-value-errors=no"];

/// Whether a program is about undefined values.
fn follows(program: &Program) -> bool {
    !program.name.starts_with("errors/")
}

fn source_name(program: &Program) -> String {
    program.source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn verdict(problems: Vec<String>) -> Verdict {
    if problems.is_empty() { Ok(()) } else { Err(Problem::wrong(problems.join("\n"))) }
}

fn against_peer(program: &Program, variant: &Variant) -> Verdict {
    need("valgrind")?;
    if let Some(reason) = &variant.other_peer {
        return Err(Problem::skip(format!("valgrind {reason}")));
    }
    let exe = program.compile(variant)?.display().to_string();
    let scratch = Scratch::new("peer")?;
    let log = scratch.path().join("log");
    let (log_name, cwd) = (log.display().to_string(), scratch.fresh("cwd")?);
    let fds = program.record.iter().any(|option| option.starts_with("--track-fds"));
    let variables = errors::variables(&program.text);
    let mut run = errors::under_memcheck(&[exe], &log_name, follows(program), fds, &cwd);
    if !variables.is_empty() {
        run = run.env("VALGRIND_OPTS", "--read-var-info=yes");
    }
    let outcome = run.timeout(program.timeout).run()?;
    if outcome.ending() != ending(program) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let log = std::fs::read_to_string(&log)?;
    let found = errors::from_log(&log, &source_name(program));
    let expected = errors::known_to_peer(errors::expectations(&program.text)?);
    let mut problems = errors::differences(&expected, &found);
    if !variables.is_empty() {
        let other =
            errors::variables_in_log(&log, &source_name(program)).into_iter().filter(|(line, name)| {
                !variables.iter().any(|(own, known)| own == line && known.starts_with(name.as_str()))
            });
        problems.extend(other.map(|(line, name)| format!("Valgrind says at line {line}: {name}")));
    }
    verdict(problems)
}

fn ending(program: &Program) -> &str {
    program.ends.as_deref().unwrap_or("exit 0")
}

fn record(trace: &Path, options: &[&str], exe: &Path, cwd: &Path, program: &Program) -> Verdict {
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(tools::without_counts(options));
    argv.extend(options.iter().map(|option| (*option).to_owned()));
    argv.extend(["-o".into(), trace.display().to_string(), "--".into(), exe.display().to_string()]);
    argv.extend(program.args.clone());
    let outcome = Run::new(argv, cwd).timeout(program.timeout).run()?;
    let (line, lines) = if program.ends.is_some() { ("", 0) } else { ("EXIT-SUCCESS\n", 1) };
    if outcome.ending() == ending(program)
        && outcome.out().ends_with(line)
        && outcome.out().lines().count() == lines
    {
        return Ok(());
    }
    Err(Problem::wrong(format!("recorded {}", outcome.summary())))
}

fn recorded(program: &Program, variant: &Variant, options: &[&str], how: &[&str]) -> Verdict {
    let exe = program.compile(variant)?;
    let expected = errors::expectations(&program.text)?;
    let scratch = Scratch::new("errors")?;
    let trace = scratch.path().join("trace.capnp");
    record(&trace, options, &exe, &scratch.fresh("cwd")?, program)?;
    let reader = tools::tool("vg-errors")?.display().to_string();
    let trace = trace.display().to_string();
    let argv = [&[reader.as_str()], how, &["--format=json", &trace]].concat();
    let outcome = Run::new(argv, scratch.path()).run()?;
    let findings = i32::from(!expected.is_empty());
    if outcome.code() != Some(findings) {
        return Err(Problem::wrong(format!("vg-errors is to exit {findings}: {}", outcome.summary())));
    }
    let found = errors::from_json(&outcome.out(), &source_name(program))?;
    let mut problems = errors::differences(&expected, &found);
    let variables = errors::variables_in_json(&outcome.out(), &source_name(program))?;
    problems.extend(other_variables(program, &variables));
    verdict(problems)
}

/// What is different between the variables that a program names, if it does, and those that were found.
fn other_variables(program: &Program, found: &BTreeSet<(u32, String)>) -> Vec<String> {
    let expected = errors::variables(&program.text);
    if expected.is_empty() {
        return Vec::new();
    }
    let line = |(line, name): &(u32, String), what| format!("{what} line {line}: variable {name}");
    let unexpected = found.difference(&expected).map(|variable| line(variable, "not expected:"));
    unexpected.chain(expected.difference(found).map(|variable| line(variable, "not found:   "))).collect()
}

/// Threads that publish what they have just initialised: no race makes a false error, or hides the true one, in a hundred
/// million operations.
fn races() -> Verdict {
    let source = tests::guest::root().join("values/publish.c");
    let mut program = Program::read(&source)?.ok_or_else(|| "publish.c has no build line".to_owned())?;
    program.args = vec!["100000000".to_owned()];
    program.timeout = Duration::from_secs(1800);
    recorded(&program, &program.variants[0], FOLLOWING, &["--kinds=default"])
}

/// What vg-errors says of the first variant of a program.
fn said(name: &str, events: &str) -> Result<(String, String), Problem> {
    let source = tests::guest::root().join("errors").join(name);
    let program = Program::read(&source)?.ok_or_else(|| format!("{name} has no build line"))?;
    let exe = program.compile(&program.variants[0])?;
    let scratch = Scratch::new("places")?;
    let trace = scratch.path().join("trace.capnp");
    record(&trace, &[events], &exe, &scratch.fresh("cwd")?, &program)?;
    let reader = tools::tool("vg-errors")?.display().to_string();
    let outcome = Run::new([&reader, &trace.display().to_string()], scratch.path()).run()?;
    Ok((outcome.out(), exe.display().to_string()))
}

fn all_said(text: &str, wanted: &[String]) -> Verdict {
    let missing = wanted.iter().filter(|words| !text.contains(*words));
    verdict(missing.map(|words| format!("not said: {words}\n{text}")).collect())
}

/// What lies at an address that is freed is said in Valgrind's words.
fn places_of_frees() -> Verdict {
    let (text, module) = said("bad_frees.c", "--events=alloc")?;
    let wanted = [
        "is 0 bytes inside local[0],\n declared at bad_frees.c:17, in frame #1 of thread 1".to_owned(),
        "is 0 bytes inside global var \"global\"\n declared at bad_frees.c:11".to_owned(),
        "is 0 bytes inside zeroes[3],\n a global variable declared at bad_frees.c:12".to_owned(),
        format!("is in the Text segment of {module}"),
        "Address 0x8 is not stack'd, malloc'd or (recently) free'd".to_owned(),
        "is 1 bytes inside a block of size 40 alloc'd".to_owned(),
        "is 16 bytes before a block of size 40 alloc'd".to_owned(),
        "is 0 bytes after a block of size 40 alloc'd".to_owned(),
        "is 0 bytes inside a block of size 40 free'd".to_owned(),
        "is 64 bytes before a block of size 100 alloc'd".to_owned(),
    ];
    all_said(&text, &wanted)
}

/// The same of accesses that fault.
fn places_of_faults() -> Verdict {
    let (text, module) = said("faults_readonly.c", "--undef-value-errors=no")?;
    let wanted = [
        format!("is in a r-- mapped file {module} segment"),
        format!("is in the Text segment of {module}"),
        "is in a --- anonymous segment".to_owned(),
        "Address 0x0 is not stack'd, malloc'd or (recently) free'd".to_owned(),
        "is on thread 2's stack\n In stack guard protected page, ".to_owned(),
        "through a null pointer".to_owned(),
        ", in read-only memory of faults_readonly".to_owned(),
    ];
    all_said(&text, &wanted)
}

/// The first variant of a program, and what the recorder does with it.
fn run_recorder(name: &str, options: &[&str], scratch: &Scratch) -> Result<(Program, Outcome), Problem> {
    let source = tests::guest::root().join("errors").join(name);
    let program = Program::read(&source)?.ok_or_else(|| format!("{name} has no build line"))?;
    let exe = program.compile(&program.variants[0])?;
    let mut argv =
        vec![tools::tool("vg-record")?.display().to_string(), "--undef-value-errors=no".to_owned()];
    argv.extend(options.iter().map(|option| (*option).to_owned()).chain(program.record.clone()));
    argv.extend(["-o", "trace.capnp", "--"].map(str::to_owned));
    argv.push(exe.display().to_string());
    let outcome = Run::new(argv, scratch.path()).timeout(program.timeout).run()?;
    Ok((program, outcome))
}

/// What is printed while a program runs is what was expected, in Valgrind's form.
fn live(name: &str) -> Verdict {
    let scratch = Scratch::new("live")?;
    let (program, outcome) = run_recorder(name, &["--live"], &scratch)?;
    let expected = errors::expectations(&program.text)?;
    let text = outcome.err();
    if outcome.ending() != ending(&program) || !text.contains("== ERROR SUMMARY: ") {
        return Err(Problem::wrong(outcome.summary()));
    }
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with("==")).collect();
    let marked = marked.join("\n");
    let found = errors::from_log(&marked, &source_name(&program));
    let variables = errors::variables_in_log(&marked, &source_name(&program));
    verdict([errors::differences(&expected, &found), other_variables(&program, &variables)].concat())
}

/// An error is printed while the program runs: this one goes on only when it was.
fn while_it_runs() -> Verdict {
    const SCRIPT: &str = "\
        \"$1\" --live --undef-value-errors=no -o trace.capnp -- \"$2\" 2>printed &\n\
        until grep -q 'Invalid write of size 1' printed; do sleep 0.02; done\n\
        : >go\n\
        wait $!";
    let source = tests::guest::root().join("live/waits.c");
    let program = Program::read(&source)?.ok_or_else(|| "waits.c has no build line".to_owned())?;
    let exe = program.compile(&program.variants[0])?.display().to_string();
    let scratch = Scratch::new("live")?;
    let recorder = tools::tool("vg-record")?.display().to_string();
    let outcome = Run::new(["sh", "-c", SCRIPT, "sh", &recorder, &exe], scratch.path()).run()?;
    if outcome.code() == Some(0) && outcome.out() == "EXIT-SUCCESS\n" {
        return Ok(());
    }
    Err(Problem::wrong(outcome.summary()))
}

/// With --exit-on-first-error the program ends there, with the status that was asked for, and its trace is whole.
fn first_error(name: &str, status: Option<u8>) -> Verdict {
    let scratch = Scratch::new("first")?;
    let chosen = format!("--error-exitcode={}", status.unwrap_or(1));
    let options = if status.is_some() {
        vec!["--exit-on-first-error=yes", &chosen]
    } else {
        vec!["--exit-on-first-error=yes"]
    };
    let (program, outcome) = run_recorder(name, &options, &scratch)?;
    let fails = !errors::expectations(&program.text)?.is_empty();
    let code = if fails { i32::from(status.unwrap_or(1)) } else { 0 };
    let told = outcome.err().contains("was ended at its first error");
    if outcome.code() != Some(code) || told != fails || outcome.out().contains("EXIT-SUCCESS") == fails {
        return Err(Problem::wrong(outcome.summary()));
    }
    let reader = tools::tool("vg-errors")?.display().to_string();
    let outcome = Run::new([&reader, "--format=json", "trace.capnp"], scratch.path()).run()?;
    let found = errors::from_json(&outcome.out(), &source_name(&program))?;
    if found.len() != usize::from(fails) || !outcome.out().contains("\"complete\": true") {
        return Err(Problem::wrong(outcome.summary()));
    }
    Ok(())
}

/// --error-exitcode replaces the status of a program that made errors, and of no other.
fn status_of_errors() -> Verdict {
    for (name, ending) in [("overruns.c", "exit 9"), ("clean.c", "exit 0"), ("dies_of_jump.c", "signal 11")] {
        let scratch = Scratch::new("status")?;
        let (_, outcome) = run_recorder(name, &["--error-exitcode=9"], &scratch)?;
        if outcome.ending() != ending {
            return Err(Problem::wrong(format!("{name} is to end by {ending}: {}", outcome.summary())));
        }
    }
    let scratch = Scratch::new("status")?;
    let (_, outcome) =
        run_recorder("clean.c", &["--exit-on-first-error=yes", "--error-exitcode=0"], &scratch)?;
    if outcome.code() == Some(125) && outcome.err().lines().count() == 1 {
        return Ok(());
    }
    Err(Problem::wrong(outcome.summary()))
}

/// Compiles the program in a file.
fn built(source: &str) -> Result<(Program, PathBuf), Problem> {
    let file = tests::guest::root().join(source);
    let program = Program::read(&file)?.ok_or_else(|| format!("{source} has no build line"))?;
    let exe = program.compile(&program.variants[0])?;
    Ok((program, exe))
}

/// Errors that are named by words of their own are named as Valgrind names them.
fn same_words(source: &str, options: &[&str]) -> Verdict {
    need("valgrind")?;
    let (program, exe) = built(source)?;
    let scratch = Scratch::new("words")?;
    let trace = scratch.path().join("trace.capnp");
    record(&trace, options, &exe, &scratch.fresh("cwd")?, &program)?;
    let reader = tools::tool("vg-errors")?.display().to_string();
    let outcome = Run::new([&reader, &trace.display().to_string()], scratch.path()).run()?;
    let ours = errors::named(&outcome.out());
    let log = scratch.path().join("log").display().to_string();
    let command = [exe.display().to_string()];
    errors::under_memcheck(&command, &log, follows(&program), false, &scratch.fresh("peer")?)
        .timeout(program.timeout)
        .run()?;
    let theirs = errors::named(&std::fs::read_to_string(&log)?);
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>, who: &str| -> Vec<String> {
        a.difference(b).map(|line| format!("only {who}: {line}")).collect()
    };
    verdict([only(&ours, &theirs, "ours"), only(&theirs, &ours, "Valgrind's")].concat())
}

/// What requests have said of memory is told in Valgrind's words.
fn client_words() -> Verdict {
    let mut missing = Vec::new();
    for (source, options, wanted) in [
        (
            "errors/marked.c",
            &["--undef-value-errors=no"][..],
            &[
                "is 4 bytes inside a other table of size 16 client-defined",
                "is 0 bytes after a block of size 32 client-defined",
                "is 1 bytes before a block of size 16 alloc'd",
                "is 0 bytes inside a block of size 4 free'd",
                "is 24 bytes inside a block of size 64 alloc'd",
                "Illegal memory pool address",
                "Unaddressable byte(s) found during client check request",
            ][..],
        ),
        (
            "values/marked.c",
            FOLLOWING,
            &[
                "Uninitialised byte(s) found during client check request",
                "Unaddressable byte(s) found during client check request",
                "Uninitialised value was created by a client request",
                "Uninitialised value was created by a heap allocation",
            ],
        ),
    ] {
        let (program, exe) = built(source)?;
        let scratch = Scratch::new("client")?;
        let trace = scratch.path().join("trace.capnp");
        record(&trace, options, &exe, &scratch.fresh("cwd")?, &program)?;
        let reader = tools::tool("vg-errors")?.display().to_string();
        let text = Run::new([&reader, &trace.display().to_string()], scratch.path()).run()?.out();
        missing.extend(
            wanted
                .iter()
                .filter(|words| !text.contains(**words))
                .map(|words| format!("{source}: not said: {words}")),
        );
    }
    verdict(missing)
}

/// A system call that is not known is named once, however many processes make it.
fn unknown_call() -> Verdict {
    let (_, exe) = built("errors/clean_unknown_call.c")?;
    let scratch = Scratch::new("unknown")?;
    let trace = scratch.path().join("trace.capnp").display().to_string();
    let recorder = tools::tool("vg-record")?.display().to_string();
    let argv = [&recorder, "-o", &trace, "--", &exe.display().to_string()];
    let outcome = Run::new(argv, scratch.path()).run()?;
    if outcome.err().matches("system call 400 is not known").count() == 1 {
        return Ok(());
    }
    Err(Problem::wrong(outcome.summary()))
}

/// A recording that has not looked for errors is not one without errors.
fn not_looked_for() -> Verdict {
    let source = tests::guest::root().join("errors/freed.c");
    let program = Program::read(&source)?.ok_or_else(|| "freed.c has no build line".to_owned())?;
    let exe = program.compile(&program.variants[0])?;
    let scratch = Scratch::new("silence")?;
    let trace = scratch.path().join("trace.capnp");
    record(&trace, &["--events=alloc"], &exe, &scratch.fresh("cwd")?, &program)?;
    let reader = tools::tool("vg-errors")?.display().to_string();
    let outcome = Run::new([&reader, &trace.display().to_string()], scratch.path()).run()?;
    if outcome.code() != Some(2)
        || outcome.err().lines().count() != 1
        || !outcome.err().contains("shadow")
        || !outcome.out().contains("did not look for invalid reads, writes and jumps")
    {
        return Err(Problem::wrong(format!("vg-errors {}", outcome.summary())));
    }
    // Of what was looked for, it is one without.
    let argv = [&reader, "--kinds=free,size", &trace.display().to_string()];
    let outcome = Run::new(argv, scratch.path()).run()?;
    if outcome.code() != Some(0) || !outcome.err().is_empty() {
        return Err(Problem::wrong(format!("vg-errors --kinds=free,size {}", outcome.summary())));
    }
    let argv = [&reader, "--kinds=access", &trace.display().to_string()];
    let outcome = Run::new(argv, scratch.path()).run()?;
    if outcome.code() == Some(2) && outcome.err().contains("did not look for InvalidRead") {
        return Ok(());
    }
    Err(Problem::wrong(format!("vg-errors --kinds=access {}", outcome.summary())))
}

//! Faults: the guest or the recorder killed at any moment, a full disk, broken traces, wrong arguments. Nothing may
//! panic or hang, and the tools must say what happened.
//!
//! What always holds: moments and flipped bits come from a fixed seed, so that a failure can be repeated. The
//! numbers of the documented gate are reached with `VG_LONG=1`; without it a tenth of them runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::guest::{Program, root};
use tests::run::{Outcome, Run, Running, Scratch};
use tests::suite::{Problem, Suite, Verdict, is_long, need};
use tests::{sys, tools};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.case("kill/guest", None, || killed(Victim::Guest, repetitions(20, 200)));
    suite.case("kill/recorder", None, || killed(Victim::Recorder, repetitions(6, 50)));
    suite.case("disk/full", None, full_disk);
    suite.case("disk/file-limit", None, file_limit);
    suite.case("trace/truncated", None, truncated);
    suite.case("trace/bit-flips", None, bit_flips);
    suite.case("trace/not-a-trace", None, not_a_trace);
    suite.case("signal/term", None, || forwarded(libc::SIGTERM));
    suite.case("signal/int", None, || forwarded(libc::SIGINT));
    suite.case("pipe/piped", None, piped);
    suite.case("pipe/reader-goes-away", None, reader_goes_away);
    suite.case("process/outlives", None, outlives);
    suite.case("silence/no-call", None, || {
        silence(0, "allocation functions in the program and its libraries was called")
    });
    suite.case("silence/no-function", None, || silence(1, "no allocation function was found in the program"));
    suite.case("cache/full-at-exit", None, cache_full_at_exit);
    suite.case("stats/forks", None, forks_count_their_own);
    for (name, argv, code) in STATUS {
        suite.case(format!("status/{name}"), None, move || status(argv, code));
    }
    suite.run()
}

fn repetitions(short: u32, full: u32) -> u32 {
    if is_long() { full } else { short }
}

/// A linear congruential generator: the same sequence in every run.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn guest(name: &str) -> Result<PathBuf, Problem> {
    variant(name, 0)
}

fn variant(name: &str, number: usize) -> Result<PathBuf, Problem> {
    let source = root().join("robustness").join(name);
    let program = Program::read(&source)?.ok_or_else(|| format!("{name} has no build line"))?;
    program.compile(&program.variants[number])
}

fn record(trace: &Path, command: &[&str], cwd: &Path) -> Result<Run, Problem> {
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    argv.extend(["-o".into(), trace.display().to_string(), "--".into()]);
    argv.extend(command.iter().map(|word| (*word).to_owned()));
    Ok(Run::new(argv, cwd).timeout(Duration::from_secs(60)))
}

/// A counter of a recording with `--stats`.
fn statistic(scratch: &Scratch, options: &[&str], command: &[&str], name: &str) -> Result<u64, Problem> {
    let (tool, trace) = (tools::tool("vg-record")?.display().to_string(), scratch.path().join("trace.capnp"));
    let mut argv = vec![tool, "--stats".into(), "-o".into(), trace.display().to_string()];
    argv.extend(options.iter().chain(&["--"]).chain(command).map(|&word| word.to_owned()));
    let outcome = Run::new(argv, scratch.path()).timeout(Duration::from_secs(60)).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(format!("{command:?}: {}", outcome.summary())));
    }
    let value = outcome.statistic(name);
    value.ok_or_else(|| Problem::wrong(format!("no {name} in the statistics: {}", outcome.err())))
}

/// A process does not count what its parent did before the fork.
fn forks_count_their_own() -> Verdict {
    let scratch = Scratch::new("forks")?;
    let translations = |script: &str| statistic(&scratch, &[], &["/bin/sh", "-c", script], "translations");
    let alone = translations(":")?;
    let forks = 40;
    let all = translations(&"(:);".repeat(forks))?;
    if all > alone * forks as u64 / 2 {
        return Err(Problem::wrong(format!("{all} translations with {forks} forks, {alone} without")));
    }
    Ok(())
}

/// The code cache becomes full at any moment, also within the last functions that the engine calls at the exit: the
/// number of functions that just fit is approached from both sides.
fn cache_full_at_exit() -> Verdict {
    let exe = guest("fill.c")?.display().to_string();
    let scratch = Scratch::new("fill")?;
    let evictions = |count: u32| -> Result<bool, Problem> {
        Ok(statistic(&scratch, &["--cache-size=4M"], &[&exe, &count.to_string()], "evictions")? != 0)
    };
    let (mut fit, mut too_many) = (100, 100_000);
    if evictions(fit)? || !evictions(too_many)? {
        return Err(Problem::wrong(format!("{fit} functions do not fit or {too_many} do")));
    }
    while too_many - fit > 4 {
        let middle = fit.midpoint(too_many);
        if evictions(middle)? { too_many = middle } else { fit = middle }
    }
    Ok(())
}

/// Runs vg-leaks and checks its manners: it ends by itself with 0, 1 or 2, does not panic, and says why when it
/// gives no report.
fn read(trace: &Path) -> Result<Outcome, Problem> {
    let argv =
        [tools::tool("vg-leaks")?.display().to_string(), "--format=json".into(), trace.display().to_string()];
    // A length that is believed would ask for far more.
    let outcome =
        Run::new(argv, &std::env::temp_dir()).timeout(Duration::from_secs(30)).memory_limit(4 << 30).run()?;
    let error = outcome.err();
    let good = match outcome.code() {
        Some(0 | 1) => true,
        Some(2) => !error.trim().is_empty(),
        _ => false,
    };
    if !good || error.contains("panicked") {
        return Err(Problem::wrong(format!("vg-leaks {}", outcome.summary())));
    }
    Ok(outcome)
}

/// The report says whether the trace is complete.
fn is_complete(outcome: &Outcome) -> bool {
    serde_json::from_slice::<serde_json::Value>(&outcome.stdout).is_ok_and(|json| json["complete"] == true)
}

fn no_panic(outcome: &Outcome) -> Verdict {
    if outcome.err().contains("panicked") {
        return Err(Problem::wrong(outcome.summary()));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Guest,
    Recorder,
}

fn killed(victim: Victim, times: u32) -> Verdict {
    let exe = guest("churn.c")?.display().to_string();
    let scratch = Scratch::new("kill")?;
    let mut sequence = Sequence(7);
    for round in 0..times {
        let trace = scratch.path().join(format!("trace{round}.capnp"));
        let keep = scratch.fresh("keep")?;
        let mut running = record(&trace, &[&exe, "1.5"], &scratch.fresh("cwd")?)?.spawn(&keep)?;
        let delay = Duration::from_micros(sequence.below(800_000));
        std::thread::sleep(delay);
        let context = |problem: &str, text: String| {
            Problem::wrong(format!("round {round}, killed after {delay:?}: {problem}\n{text}"))
        };
        match victim {
            Victim::Guest => {
                let Some(pid) = wait_for_child(running.pid()) else {
                    return Err(context("no guest process appeared", running.wait()?.summary()));
                };
                // The guest may just have ended by itself.
                let _ = sys::kill(pid, libc::SIGKILL);
                let outcome = running.wait()?;
                no_panic(&outcome)?;
                if !matches!(outcome.ending().as_str(), "signal 9" | "exit 137" | "exit 3") {
                    return Err(context("the recorder does not pass the signal on", outcome.summary()));
                }
            }
            Victim::Recorder => {
                sys::kill(running.pid(), libc::SIGKILL)?;
                if !running.wait_for_group(Duration::from_secs(20)) {
                    return Err(context("the guest hangs after its recorder died", String::new()));
                }
            }
        }
        if !trace.exists() {
            // Killed before the recorder opened the file.
            continue;
        }
        let report = read(&trace)?;
        if victim == Victim::Recorder && is_complete(&report) {
            return Err(context("the trace of a killed recorder is called complete", report.summary()));
        }
        fs::remove_file(&trace)?;
    }
    Ok(())
}

/// The first child process of `parent`, waited for during ten seconds.
fn wait_for_child(parent: u32) -> Option<u32> {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        if let Some(pid) = children.split_whitespace().next().and_then(|word| word.parse().ok()) {
            return Some(pid);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

fn full_disk() -> Verdict {
    if !sys::is_root() {
        return Err(Problem::skip("only root may mount a small file system"));
    }
    need("mount")?;
    let scratch = Scratch::new("disk")?;
    let disk = scratch.fresh("disk")?;
    let mount = Run::new(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", &disk.display().to_string()],
        scratch.path(),
    );
    if mount.run()?.code() != Some(0) {
        return Err(Problem::skip("mounting is not allowed here"));
    }
    let verdict = lost_but_readable(&scratch, &disk.join("trace.capnp"), |run| run);
    let umount = Run::new(["umount", &disk.display().to_string()], scratch.path()).run()?;
    if umount.code() != Some(0) {
        return Err(Problem::wrong(umount.summary()));
    }
    verdict
}

fn file_limit() -> Verdict {
    let scratch = Scratch::new("limit")?;
    let trace = scratch.path().join("trace.capnp");
    lost_but_readable(&scratch, &trace, |run| run.file_limit(1 << 20))
}

/// The guest goes on, the recorder says that events are lost, and what was written can be read.
fn lost_but_readable(scratch: &Scratch, trace: &Path, adapt: impl Fn(Run) -> Run) -> Verdict {
    let exe = guest("churn.c")?.display().to_string();
    let outcome = adapt(record(trace, &[&exe, "3"], &scratch.fresh("cwd")?)?).run()?;
    no_panic(&outcome)?;
    if outcome.out() != "done\n" || outcome.code() != Some(3) {
        return Err(Problem::wrong(format!("the guest suffers: {}", outcome.summary())));
    }
    let size = fs::metadata(trace)?.len();
    if size < 900_000 {
        return Err(Problem::skip(format!("the trace has only {size} bytes: the disk was not full")));
    }
    if !outcome.err().contains("vg-record: ") {
        return Err(Problem::wrong(format!("the recorder says nothing: {}", outcome.summary())));
    }
    let report = read(trace)?;
    if is_complete(&report) {
        return Err(Problem::wrong("a trace that lost its end is called complete"));
    }
    Ok(())
}

/// The bytes of a small complete trace.
fn small_trace(scratch: &Scratch) -> Result<Vec<u8>, Problem> {
    let source = root().join("leaks/parser.c");
    let program = Program::read(&source)?.ok_or_else(|| "parser.c has no build line".to_owned())?;
    let exe = program.compile(&program.variants[0])?.display().to_string();
    let trace = scratch.path().join("small.capnp");
    let outcome = record(&trace, &[&exe], &scratch.fresh("cwd")?)?.run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let report = read(&trace)?;
    if report.code() != Some(1) || !is_complete(&report) {
        return Err(Problem::wrong(format!("the whole trace: {}", report.summary())));
    }
    Ok(fs::read(&trace)?)
}

fn truncated() -> Verdict {
    let scratch = Scratch::new("truncated")?;
    let bytes = small_trace(&scratch)?;
    let path = scratch.path().join("part.capnp");
    let step = if is_long() { 1 } else { bytes.len() / 800 + 1 };
    for length in (0..bytes.len()).step_by(step) {
        fs::write(&path, &bytes[..length])?;
        let report = read(&path).map_err(|problem| Problem::wrong(format!("{length} bytes: {problem:?}")))?;
        if is_complete(&report) {
            return Err(Problem::wrong(format!("{length} of {} bytes are called complete", bytes.len())));
        }
    }
    Ok(())
}

fn bit_flips() -> Verdict {
    let scratch = Scratch::new("flips")?;
    let bytes = small_trace(&scratch)?;
    let path = scratch.path().join("flipped.capnp");
    let mut sequence = Sequence(11);
    for round in 0..repetitions(600, 6000) {
        let mut broken = bytes.clone();
        // Every third trace is broken in several places.
        let flips = if round % 3 == 0 { 1 + sequence.below(8) } else { 1 };
        let mut places = Vec::new();
        for _ in 0..flips {
            let place = sequence.below(broken.len() as u64 * 8);
            broken[(place / 8) as usize] ^= 1 << (place % 8);
            places.push(place);
        }
        fs::write(&path, &broken)?;
        read(&path).map_err(|problem| Problem::wrong(format!("bits {places:?}: {problem:?}")))?;
    }
    Ok(())
}

fn not_a_trace() -> Verdict {
    let scratch = Scratch::new("other")?;
    let cwd = scratch.fresh("cwd")?;
    fs::write(cwd.join("empty"), "")?;
    fs::write(cwd.join("text"), "this is no trace\n".repeat(1000))?;
    fs::write(cwd.join("zeros"), vec![0; 100_000])?;
    fs::write(cwd.join("ones"), vec![0xff; 100_000])?;
    for name in ["empty", "text", "zeros", "ones", "missing", "."] {
        let report = read(&cwd.join(name))?;
        if report.code() != Some(2) {
            return Err(Problem::wrong(format!("{name}: {}", report.summary())));
        }
        if report.err().lines().count() > 3 || !report.err().contains("vg-leaks: ") {
            return Err(Problem::wrong(format!("{name}: not one clear line: {}", report.err())));
        }
    }
    Ok(())
}

fn forwarded(signal: i32) -> Verdict {
    let exe = guest("waits.c")?.display().to_string();
    let scratch = Scratch::new("signal")?;
    let trace = scratch.path().join("trace.capnp");
    let keep = scratch.fresh("keep")?;
    let running = record(&trace, &[&exe], &scratch.fresh("cwd")?)?.spawn(&keep)?;
    wait_for_text(&running, &keep.join("out"), "ready")?;
    sys::kill(running.pid(), signal)?;
    let outcome = running.wait()?;
    let expected = format!("ready\nsignal {signal}\n");
    if outcome.out() != expected || outcome.code() != Some(20 + signal) {
        return Err(Problem::wrong(outcome.summary()));
    }
    let report = read(&trace)?;
    if !is_complete(&report) || report.code() != Some(1) {
        return Err(Problem::wrong(report.summary()));
    }
    Ok(())
}

fn wait_for_text(running: &Running, file: &Path, text: &str) -> Verdict {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if fs::read_to_string(file).is_ok_and(|content| content.contains(text)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Problem::wrong(format!("process {} never said {text:?}", running.pid())))
}

fn shell(script: &str, cwd: &Path) -> Result<Outcome, Problem> {
    let run = Run::new(["bash", "-c", script], cwd)
        .env("RECORD", &tools::tool("vg-record")?.display().to_string())
        .env("LEAKS", &tools::tool("vg-leaks")?.display().to_string())
        .env("GUEST", &guest("outlived.c")?.display().to_string())
        .env("CHURN", &guest("churn.c")?.display().to_string());
    Ok(run.run()?)
}

/// The trace on standard output, the guest's output on standard error, and a word about it.
fn piped() -> Verdict {
    let scratch = Scratch::new("piped")?;
    let script =
        r#""$RECORD" "$CHURN" 0.2 | "$LEAKS" --format=json --kinds=definite; echo "${PIPESTATUS[@]}""#;
    let outcome = shell(script, &scratch.fresh("cwd")?)?;
    let out = outcome.out();
    let lines: Vec<&str> = out.trim_end().lines().collect();
    if lines.last() != Some(&"3 1") || !outcome.err().contains("done\n") {
        return Err(Problem::wrong(outcome.summary()));
    }
    if !outcome.err().lines().any(|line| line.starts_with("vg-record: ")) {
        return Err(Problem::wrong("the recorder does not say where the guest's output goes".to_owned()));
    }
    Ok(())
}

fn reader_goes_away() -> Verdict {
    let scratch = Scratch::new("away")?;
    let script = r#""$RECORD" "$CHURN" 1 | head -c 100 > /dev/null; echo "${PIPESTATUS[@]}""#;
    let outcome = shell(script, &scratch.fresh("cwd")?)?;
    no_panic(&outcome)?;
    if outcome.out().trim_end() != "3 0" {
        return Err(Problem::wrong(format!("the guest must go on: {}", outcome.summary())));
    }
    Ok(())
}

fn outlives() -> Verdict {
    let exe = guest("outlived.c")?.display().to_string();
    let scratch = Scratch::new("outlives")?;
    let trace = scratch.path().join("trace.capnp");
    let outcome = record(&trace, &[&exe], &scratch.fresh("cwd")?)?.run()?;
    if outcome.out() != "parent ends\n" || outcome.code() != Some(4) {
        return Err(Problem::wrong(outcome.summary()));
    }
    if read(&trace)?.code() == Some(2) {
        return Err(Problem::wrong("the trace cannot be read"));
    }
    Ok(())
}

/// A recording without a heap event says so, and why; so does the reader.
fn silence(number: usize, why: &str) -> Verdict {
    let exe = variant("silent.c", number)?.display().to_string();
    let scratch = Scratch::new("silence")?;
    let trace = scratch.path().join("trace.capnp");
    let outcome = record(&trace, &[&exe], &scratch.fresh("cwd")?)?.run()?;
    let reader = read(&trace)?;
    for (who, outcome) in [("vg-record", &outcome), ("vg-leaks", &reader)] {
        let error = outcome.err();
        if !error.contains("no heap event was recorded") || !error.contains(why) {
            return Err(Problem::wrong(format!("{who} {}", outcome.summary())));
        }
    }
    let good = outcome.out() == "silent\n" && outcome.code() == Some(0);
    if good { Ok(()) } else { Err(Problem::wrong(outcome.summary())) }
}

/// Arguments of vg-record and its exit status.
const STATUS: [(&str, &[&str], i32); 7] = [
    ("missing-program", &["--", "no-such-program-anywhere"], 127),
    ("missing-path", &["--", "./nothing/here"], 127),
    ("not-executable", &["--", "/etc/passwd"], 126),
    ("directory", &["--", "/"], 126),
    ("no-program", &[], 125),
    ("unknown-option", &["--no-such-option", "true"], 125),
    ("unwritable-output", &["-o", "/no/such/directory/trace", "--", "true"], 125),
];

fn status(arguments: &[&str], code: i32) -> Verdict {
    let scratch = Scratch::new("status")?;
    let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
    if !arguments.contains(&"-o") {
        argv.extend(["-o".into(), scratch.path().join("trace.capnp").display().to_string()]);
    }
    argv.extend(arguments.iter().map(|word| (*word).to_owned()));
    let outcome = Run::new(argv, &scratch.fresh("cwd")?).run()?;
    no_panic(&outcome)?;
    if outcome.code() != Some(code) || outcome.err().trim().lines().count() != 1 {
        return Err(Problem::wrong(format!("not {code} with a reason in one line: {}", outcome.summary())));
    }
    Ok(())
}

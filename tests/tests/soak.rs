//! The soak: guest programs full of signals, threads, processes and changing code, recorded again and again with random
//! options, each compared with its native run, and each trace read by vg-leaks.
//!
//! What always holds: a round follows from its seed alone (and from the list of guest programs); every failure is printed
//! at once with its seed and a command line, and what it left is kept; the soak goes on to the end of its time and fails then.
//!
//! - `VG_SOAK_MINUTES=N`: how long, 10 without it; fractions are allowed.
//! - `VG_SOAK_SEED=N`: the round with this seed again and again, to see how often it fails.
//! - `VG_SOAK_ONLY=TEXT`: only programs whose name contains this.
//! - `VG_SOAK_JOBS=N`: rounds at a time, 2 without it.
//!
//! Not here: the guest program that mixes all of it (`programs/soak/mix.c`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tests::guest::{Program, Variant};
use tests::run::{Run, Scratch};
use tests::suite::{Problem, Suite, Verdict};
use tests::{compare, sys, tools};

/// Deadline of one recorded run; no program needs a tenth of it.
const DEADLINE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.long_case("soak", None, soak);
    suite.run()
}

/// A number that the environment may set.
fn number<T: FromStr>(name: &str) -> Result<Option<T>, Problem> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Problem::wrong(format!("{name}={text} is not a number")))
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What can be run.
struct Programs {
    /// The one that mixes everything, when it is asked for.
    mix: Vec<(Program, Variant)>,
    others: Vec<(Program, Variant)>,
}

impl Programs {
    fn new() -> Result<Self, Problem> {
        let only = std::env::var("VG_SOAK_ONLY").unwrap_or_default();
        let of = |folders: &[&str]| -> Result<Vec<(Program, Variant)>, Problem> {
            let mut list = Vec::new();
            for program in Program::all(folders)?.into_iter().filter(|program| !program.long) {
                for variant in program.variants.clone() {
                    if variant.known.is_none() && program.case_name(&variant).contains(&only) {
                        list.push((program.clone(), variant));
                    }
                }
            }
            Ok(list)
        };
        let programs = Self {
            mix: of(&["soak"])?,
            others: of(&["threads", "signals", "processes", "code", "requests"])?,
        };
        if programs.mix.is_empty() && programs.others.is_empty() {
            return Err(Problem::wrong(format!("VG_SOAK_ONLY={only}: there is no such program")));
        }
        Ok(programs)
    }
}

/// One recording.
struct Round<'p> {
    seed: u64,
    program: &'p Program,
    variant: &'p Variant,
    arguments: Vec<String>,
    options: Vec<String>,
    /// The heap is there to look at.
    heap: bool,
    /// Snapshots are taken on the way.
    snapshots: bool,
}

impl<'p> Round<'p> {
    /// Half of all rounds are the mixture.
    fn new(seed: u64, programs: &'p Programs) -> Self {
        let mut random = Random(seed);
        let mixed = random.below(2) == 0;
        let list = match (programs.mix.is_empty(), programs.others.is_empty()) {
            (true, _) => &programs.others,
            (_, true) => &programs.mix,
            _ if mixed => &programs.mix,
            _ => &programs.others,
        };
        let (program, variant) = random.choose(list);
        let mut arguments = program.args.clone();
        if program.name == "soak/mix" {
            arguments = vec![random.below(1_000_000).to_string(), (1 + random.below(3)).to_string()];
        }
        let choices: [&[&str]; 6] = [
            &["", "", "--cache-size=1M", "--cache-size=4M"],
            &["", "", "--num-callers=4", "--num-callers=500"],
            &["", "", "--freelist-vol=0", "--freelist-vol=1M"],
            &["", "", "--redzone-size=0", "--redzone-size=256"],
            &["", "", "--run-libc-freeres=no", "--events=alloc", "--undef-value-errors=no"],
            &["", "", "", "", "--snapshot-signal=USR2", "--events=none"],
        ];
        let options = choices.iter().map(|list| (*random.choose(list)).to_owned());
        let mut options: Vec<String> = options.filter(|option| !option.is_empty()).collect();
        if program.name.starts_with("requests/") {
            // Without a heap the answers to some requests are others.
            options.retain(|option| option != "--events=none");
        }
        if program.name == "threads/names" {
            // It counts its threads, and the one that takes snapshots shows.
            options.retain(|option| !option.starts_with("--snapshot-signal"));
        }
        // What they print shows a recording that looks at memory, by flags in the frames of faults, say.
        let own = program
            .record
            .iter()
            .filter(|option| option.starts_with("--events=") && !option.contains("shadow"));
        if !options.iter().any(|option| option.starts_with("--events=")) {
            options.extend(own.cloned());
        }
        let heap = !options.iter().any(|option| option == "--events=none");
        let snapshots = options.iter().any(|option| option.starts_with("--snapshot-signal"));
        if !heap {
            options.retain(|option| option != "--events=alloc");
        }
        Self { seed, program, variant, arguments, options, heap, snapshots }
    }

    fn name(&self) -> String {
        self.program.case_name(self.variant)
    }

    /// Runs it both ways; what the runs leave goes to `keep`.
    fn run(&self, keep: &Path) -> Verdict {
        let exe = self.program.compile(self.variant)?;
        let command: Vec<String> =
            std::iter::once(exe.display().to_string()).chain(self.arguments.iter().cloned()).collect();
        let directory = |name: &str| -> Result<PathBuf, Problem> {
            let path = keep.join(name);
            fs::create_dir_all(&path)?;
            Ok(path)
        };
        let prepare = |argv: &[String], cwd: &Path| self.program.prepare(argv, cwd).timeout(DEADLINE);
        let native = prepare(&command, &directory("cwd")?).spawn(&directory("native")?)?.wait()?;
        self.program.check_native(&native)?;
        fs::remove_dir_all(keep.join("cwd"))?;
        let trace = keep.join("trace.capnp");
        let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
        argv.extend(["-o".into(), trace.display().to_string()]);
        argv.extend(self.options.iter().cloned());
        argv.push("--".into());
        argv.extend(command);
        fs::write(keep.join("command"), argv.join(" ") + "\n")?;
        let mut random = Random(!self.seed);
        let ask = |pid| {
            // Before the trace begins the signal would end the recorder.
            let begun = fs::metadata(&trace).is_ok_and(|metadata| metadata.len() > 0);
            if self.snapshots && begun && random.below(4) == 0 {
                // The recorder may just have ended.
                let _ = sys::kill(pid, libc::SIGUSR2);
            }
        };
        let hung = |pid| {
            // The failure is reported whether or not this can be written.
            let _ = fs::write(keep.join("hang.txt"), processes_of(pid));
        };
        let cwd = directory("cwd")?;
        let recorded = prepare(&argv, &cwd).spawn(&directory("recorded")?)?.wait_with(ask, hung)?;
        compare::outcomes(&native, &recorded, self.program.compare_errors)?;
        if !self.heap {
            return Ok(());
        }
        compare::trace(&trace, !self.program.partial)?;
        match native.out().lines().find_map(|line| line.strip_prefix("leaked ")) {
            Some(leaked) => check_leaks(&trace, leaked),
            None => Ok(()),
        }
    }
}

/// The blocks of `leak_one` in the first process are those that the program says it has leaked, of whatever kind.
fn check_leaks(trace: &Path, leaked: &str) -> Verdict {
    let tool = tools::tool("vg-leaks")?.display().to_string();
    let argv = [tool, "--format=json".into(), "--kinds=all".into(), trace.display().to_string()];
    let outcome = Run::new(argv, &std::env::temp_dir()).timeout(Duration::from_secs(120)).run()?;
    let json: Value = serde_json::from_slice(&outcome.stdout)
        .map_err(|error| Problem::wrong(format!("vg-leaks wrote no JSON: {error}; {}", outcome.summary())))?;
    let records = json["records"].as_array().ok_or_else(|| Problem::wrong("no records"))?;
    let is_leak = |record: &Value| {
        let stack = record["stack"].as_array();
        record["process"] == 1
            && stack.is_some_and(|frames| frames.iter().any(|frame| frame["function"] == "leak_one"))
    };
    let sum = |name: &str| -> u64 {
        records.iter().filter(|record| is_leak(record)).filter_map(|record| record[name].as_u64()).sum()
    };
    let found = format!("{} {}", sum("direct_bytes"), sum("blocks"));
    if found == leaked {
        return Ok(());
    }
    Err(Problem::wrong(format!("leaked {leaked} bytes and blocks, but vg-leaks finds {found}")))
}

/// Every process of the session that `leader` leads: where its threads are, by the kernel and by gdb.
fn processes_of(leader: u32) -> String {
    let mut text = String::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The command's name may contain anything; state, parent, group and session follow its last parenthesis.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.get(3).and_then(|session| session.parse().ok()) != Some(leader) {
            continue;
        }
        let _ = writeln!(text, "process {pid}: {}", stat.trim());
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok) {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let _ = writeln!(
                text,
                "  thread {}: in {}, system call {}",
                task.file_name().display(),
                read("wchan"),
                read("syscall").trim()
            );
            let of_interest = ["State", "SigPnd", "ShdPnd", "SigBlk", "SigCgt"];
            for line in
                read("status").lines().filter(|line| of_interest.iter().any(|name| line.starts_with(name)))
            {
                let _ = writeln!(text, "    {line}");
            }
        }
        let pid = pid.to_string();
        let commands =
            ["-ex", "thread apply all -q bt 16", "-ex", "thread apply all -q info registers rip rsp"];
        let gdb = Command::new("gdb").args(["-batch", "-nx", "-p", &pid]).args(commands).output();
        match gdb {
            Ok(output) => text += &String::from_utf8_lossy(&output.stdout),
            Err(_) => text += "gdb is not installed: no backtrace\n",
        }
    }
    text
}

/// What the soak has seen.
#[derive(Default)]
struct Tally {
    rounds: u64,
    /// Rounds and failures by the name of the program.
    programs: BTreeMap<String, (u64, u64)>,
    failures: u64,
    last_line: Option<Instant>,
}

fn soak() -> Verdict {
    let minutes: f64 = number("VG_SOAK_MINUTES")?.unwrap_or(10.0);
    let fixed: Option<u64> = number("VG_SOAK_SEED")?;
    let jobs: usize = number("VG_SOAK_JOBS")?.unwrap_or(2);
    let programs = Programs::new()?;
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
    let seeds = Mutex::new(Random(now));
    let tally = Mutex::new(Tally::default());
    let kept = tools::guest_directory()?.with_file_name("soak-failures");
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(minutes * 60.0);
    // Built before two rounds ask for it at once.
    tools::tool("vg-record")?;
    let worker = || -> Verdict {
        while Instant::now() < end {
            let seed = fixed.unwrap_or_else(|| lock(&seeds).next() >> 24);
            let round = Round::new(seed, &programs);
            let scratch = Scratch::new("soak")?;
            let verdict = round.run(scratch.path());
            let mut tally = lock(&tally);
            tally.rounds += 1;
            let failed = matches!(verdict, Err(Problem::Wrong(_)));
            let (rounds, failures) = tally.programs.entry(round.name()).or_default();
            *rounds += 1;
            *failures += u64::from(failed);
            if let Err(Problem::Wrong(text)) = verdict {
                tally.failures += 1;
                let place = kept.join(format!("{seed}-{}", tally.failures));
                let command = fs::read_to_string(scratch.path().join("command")).unwrap_or_default();
                keep(scratch.path(), &place)?;
                println!(
                    "soak: FAILED after {:.0} s: {} with VG_SOAK_SEED={seed}\n  {}\n{}  kept in {}",
                    begun.elapsed().as_secs_f64(),
                    round.name(),
                    command.trim(),
                    text.lines().take(30).fold(String::new(), |all, line| all + "  | " + line + "\n"),
                    place.display()
                );
            }
            if tally.last_line.is_none_or(|last| last.elapsed() > Duration::from_secs(30)) {
                tally.last_line = Some(Instant::now());
                println!(
                    "soak: {:.0} s, {} rounds, {} failed",
                    begun.elapsed().as_secs_f64(),
                    tally.rounds,
                    tally.failures
                );
            }
        }
        Ok(())
    };
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        let panicked = |_| Err(Problem::wrong("a worker of the soak panicked"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(panicked)).collect()
    });
    verdicts.into_iter().collect::<Verdict>()?;
    let tally = lock(&tally);
    println!("soak: {} rounds, {} failed", tally.rounds, tally.failures);
    let failed: Vec<String> = (tally.programs.iter())
        .filter(|(_, (_, failures))| *failures > 0)
        .map(|(name, (rounds, failures))| format!("{name}: {failures} of {rounds} rounds failed"))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(Problem::Wrong(failed.join("\n"))) }
}

/// The lock, also after a worker has panicked: what it guards is only counted.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Copies what a failed round has left.
fn keep(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            keep(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

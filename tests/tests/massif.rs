//! vg-massif against Valgrind's massif, with `--time-unit=B`: every snapshot and every line of the trees; what ms_print and
//! vg-annotate make of our files; processes, and what is said where there is nothing to show.
//!
//! What always holds: files are compared line by line, without what has to differ: addresses; the folders of sources; names
//! of what runs before main, for which Valgrind has its own; versions of symbols, and glibc's prefix of its own ones; classes and
//! parameters, which Valgrind leaves out where a function was inlined. Blocks with an alignment of their own are
//! compared without what the allocator leaves unused behind them, which is no rule of massif's but the state of its heap.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use tests::guest::{Program, root};
use tests::run::{Outcome, Run, Scratch};
use tests::suite::{Problem, Suite, Verdict, need};
use tests::tools;

/// Options that both tools know.
const OPTIONS: [(&str, &[&str]); 5] = [
    ("default", &[]),
    ("all_detailed", &["--detailed-freq=1", "--max-snapshots=50"]),
    ("few", &["--max-snapshots=10", "--detailed-freq=3", "--threshold=10"]),
    ("exact_peak", &["--peak-inaccuracy=0", "--threshold=0", "--depth=3", "--heap-admin=0"]),
    ("functions", &["--alloc-fn=small", "--ignore-fn=large", "--depth=2"]),
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    for program in ["waves.c", "reallocs.c", "objects.cpp", "peak.c", "calls.c"] {
        for (name, options) in OPTIONS {
            suite.case(format!("valgrind/{program}/{name}"), None, move || same_file(program, options));
        }
    }
    suite.case("valgrind/aligned.c", None, aligned);
    suite.case("valgrind/forks.c", None, forks);
    suite.case("ms_print", None, ms_print);
    suite.case("annotate", None, annotate);
    suite.case("clock", None, clock);
    suite.case("formats", None, formats);
    suite.case("moment", None, moment);
    suite.case("totals", None, totals);
    suite.case("processes", None, processes);
    suite.case("says/no_events", None, no_events);
    suite.case("says/nobody_told", None, nobody_told);
    suite.case("says/wrong", None, wrong);
    suite.case("says/truncated", None, truncated);
    suite.case("says/damaged", None, damaged);
    suite.run()
}

/// A folder with a program of `tests/programs/massif` and its recording.
struct Recorded {
    scratch: Scratch,
    exe: PathBuf,
}

impl Recorded {
    fn new(name: &str, options: &[&str]) -> Result<Recorded, Problem> {
        let program = Program::read(&root().join("massif").join(name))?;
        let program = program.ok_or_else(|| Problem::wrong(format!("{name} has no build line")))?;
        let exe = program.compile(&program.variants[0])?;
        let scratch = Scratch::new("massif")?;
        let mut argv = vec![tools::tool("vg-record")?.display().to_string()];
        argv.extend(tools::without_counts(options));
        argv.extend(options.iter().map(|option| (*option).to_owned()));
        argv.extend(["-o".into(), "trace.capnp".into(), exe.display().to_string()]);
        ended_well(&Run::new(argv, scratch.path()).run()?)?;
        Ok(Recorded { scratch, exe })
    }

    fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs vg-massif on the recording.
    fn run(&self, options: &[&str]) -> Result<Outcome, Problem> {
        let mut argv = vec![tools::tool("vg-massif")?.display().to_string()];
        argv.extend(options.iter().map(|option| (*option).to_owned()));
        argv.push("trace.capnp".into());
        let outcome = Run::new(argv, self.folder()).run()?;
        if outcome.err().contains("panicked") {
            return Err(Problem::wrong(outcome.summary()));
        }
        Ok(outcome)
    }

    /// What vg-massif writes.
    fn massif(&self, options: &[&str]) -> Result<String, Problem> {
        let outcome = self.run(options)?;
        ended_well(&outcome)?;
        Ok(outcome.out())
    }

    /// What Valgrind's massif writes of the same program, by file.
    fn valgrind(&self, options: &[&str]) -> Result<Vec<String>, Problem> {
        need("valgrind")?;
        let mut argv = vec!["valgrind".to_owned(), "--tool=massif".into(), "--trace-children=yes".into()];
        argv.extend(options.iter().map(|option| (*option).to_owned()));
        argv.push("--massif-out-file=valgrind.%p".into());
        argv.push(self.exe.display().to_string());
        let outcome = Run::new(argv, self.folder()).run()?;
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder())? {
            let path = entry?.path();
            if path.extension().is_some_and(|pid| pid.to_string_lossy().parse::<u32>().is_ok()) {
                files.push(String::from_utf8_lossy(&fs::read(path)?).into_owned());
            }
        }
        if files.is_empty() {
            return Err(Problem::wrong(outcome.summary()));
        }
        Ok(files)
    }
}

fn ended_well(outcome: &Outcome) -> Verdict {
    if outcome.code() == Some(0) { Ok(()) } else { Err(Problem::wrong(outcome.summary())) }
}

/// The lines of a file without what has to differ.
fn comparable(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("desc:") && !line.starts_with("cmd:"));
    lines.map(comparable_line).collect()
}

fn comparable_line(line: &str) -> String {
    let Some((node, label)) = line.split_once(" 0x") else { return line.to_owned() };
    let label = label.split_once(": ").map_or("", |(_, label)| label);
    let (function, place) = label.rsplit_once(" (").unwrap_or((label, ""));
    // What calls main, and the dynamic linker's first code: Valgrind has a name of its own or none.
    if ["(below main)", "???", "_start", "_dl_start_user"].contains(&function) {
        return format!("{node} start");
    }
    let place = place.rsplit('/').next().unwrap_or(place);
    format!("{node} {} ({place}", last_name(function))
}

/// `push_back` of `std::vector<int>::push_back(int const&)`: of inlined functions Valgrind knows no more.
fn last_name(function: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for c in function.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' | '@' if depth == 0 => break,
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let last = plain.rsplit([':', ' ']).next().unwrap_or_default();
    last.trim_start_matches("__GI_").to_owned()
}

fn same(what: &str, expected: &[String], found: &[String]) -> Verdict {
    if expected == found {
        return Ok(());
    }
    let at = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    let part =
        |lines: &[String]| lines.iter().skip(at.saturating_sub(12)).take(24).cloned().collect::<Vec<_>>();
    Err(Problem::wrong(format!(
        "{what}: line {at} of what is comparable\nexpected:\n{}\nfound:\n{}",
        part(expected).join("\n"),
        part(found).join("\n")
    )))
}

fn one_file(recorded: &Recorded, options: &[&str]) -> Result<String, Problem> {
    let files = recorded.valgrind(options)?;
    files.into_iter().next().ok_or_else(|| Problem::wrong("no file of valgrind's"))
}

fn same_file(program: &str, options: &[&str]) -> Verdict {
    let recorded = Recorded::new(program, &[])?;
    let options = [&["--time-unit=B"], options].concat();
    let expected = comparable(&one_file(&recorded, &options)?);
    let found = comparable(&recorded.massif(&options)?);
    if !expected.iter().any(|line| line == "heap_tree=peak") {
        return Err(Problem::wrong("the program has no peak"));
    }
    same(program, &expected, &found)
}

/// Values of lines `key=value`, in their order.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// Bytes and kinds of all snapshots; times and extra bytes have the slop in them.
fn aligned() -> Verdict {
    let recorded = Recorded::new("aligned.c", &[])?;
    let options = ["--time-unit=B"];
    let (expected, found) = (one_file(&recorded, &options)?, recorded.massif(&options)?);
    for key in ["snapshot", "mem_heap_B", "heap_tree"] {
        if values(&expected, key) != values(&found, key) {
            return Err(Problem::wrong(format!("{key}:\n{expected}\n{found}")));
        }
    }
    Ok(())
}

/// Each process has the snapshots that Valgrind writes of it.
fn forks() -> Verdict {
    let recorded = Recorded::new("forks.c", &[])?;
    let of = |text: &str| comparable(text).join("\n");
    let mut expected: Vec<_> = recorded.valgrind(&["--time-unit=B"])?.iter().map(|text| of(text)).collect();
    let mut found = Vec::new();
    for process in ["--process=1", "--process=2", "--process=3"] {
        found.push(of(&recorded.massif(&["--time-unit=B", process])?));
    }
    expected.sort_unstable();
    found.sort_unstable();
    same("forks.c", &expected, &found)
}

/// ms_print reads our file, and prints of it what it prints of Valgrind's.
fn ms_print() -> Verdict {
    need("ms_print")?;
    let recorded = Recorded::new("waves.c", &[])?;
    let options = ["--time-unit=B"];
    fs::write(recorded.folder().join("expected"), one_file(&recorded, &options)?)?;
    recorded.massif(&["--time-unit=B", "-o", "found"])?;
    let print = |name: &str| {
        let outcome = Run::new(["ms_print", name], recorded.folder()).run()?;
        ended_well(&outcome)?;
        if !outcome.err().is_empty() {
            return Err(Problem::wrong(outcome.summary()));
        }
        let heads = ["Command:", "Massif arguments:", "ms_print arguments:"];
        let text = outcome.out();
        let lines = text.lines().filter(|line| !heads.iter().any(|head| line.starts_with(head)));
        Ok(lines.map(comparable_printed).collect::<Vec<_>>())
    };
    same("ms_print", &print("expected")?, &print("found")?)
}

/// `->95.24% (200,000B) 0x1091B3: big (a.c:5)` without address and folder.
fn comparable_printed(line: &str) -> String {
    let Some((node, label)) = line.split_once(" 0x") else { return line.to_owned() };
    let label = label.split_once(": ").map_or("", |(_, label)| label);
    let (function, place) = label.rsplit_once(" (").unwrap_or((label, ""));
    format!("{node} {function} ({}", place.rsplit('/').next().unwrap_or(place))
}

/// The pipe into vg-annotate shows the lines of the peak with their bytes, as the source itself says.
fn annotate() -> Verdict {
    let recorded = Recorded::new("peak.c", &[])?;
    let annotate = tools::tool("vg-annotate")?.display().to_string();
    let run = |options: &[&str]| {
        let argv = [&[annotate.as_str()], options].concat();
        let outcome = Run::new(argv, recorded.folder()).stdin(recorded.massif(&[])?).run()?;
        ended_well(&outcome)?;
        Ok::<_, Problem>(outcome.out())
    };
    let json: Value = serde_json::from_str(&run(&["--format=json", "--min-percent=0"])?)
        .map_err(|error| Problem::wrong(error.to_string()))?;
    let source = fs::read_to_string(root().join("massif/peak.c"))?;
    let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
    for (number, line) in (1..).zip(source.lines()) {
        if let Some(bytes) = line.split("//~ peak ").nth(1) {
            expected.insert(number, bytes.parse().map_err(|_| Problem::wrong(line))?);
        }
    }
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for line in json["lines"].as_array().into_iter().flatten() {
        let bytes = line["Bytes"].as_u64().unwrap_or_default();
        if bytes > 0 && line["file"].as_str().is_some_and(|file| file.ends_with("massif/peak.c")) {
            *found.entry(line["line"].as_u64().unwrap_or_default()).or_default() += bytes;
        }
    }
    if found != expected || expected.len() != 2 {
        return Err(Problem::wrong(format!("expected {expected:?}, found {found:?} in {json}")));
    }
    let text = run(&[])?;
    let is_shown = text.lines().any(|line| line.starts_with("500,800 (") && line.contains("malloc(5008)"));
    if is_shown { Ok(()) } else { Err(Problem::wrong(text)) }
}

/// The clock of instructions is that of the recording: the same each time, and rising; without it time stands still.
fn clock() -> Verdict {
    let times = |options: &[&str]| {
        let text = Recorded::new("peak.c", options)?.massif(&["--time-unit=i"])?;
        let times: Result<Vec<u64>, _> = values(&text, "time").into_iter().map(str::parse).collect();
        times.map_err(|error| Problem::wrong(error.to_string()))
    };
    let (first, second) = (times(&[])?, times(&[])?);
    if first != second || !first.is_sorted() || first.get(1).is_none_or(|time| *time < 1000) {
        return Err(Problem::wrong(format!("{first:?}\n{second:?}")));
    }
    let without = times(&["--events=alloc"])?;
    if without.iter().all(|time| *time == 0) { Ok(()) } else { Err(Problem::wrong(format!("{without:?}"))) }
}

/// `--at`: the exact peak is that of the snapshots; the end is what nobody has freed; other tools read it.
fn moment() -> Verdict {
    let recorded = Recorded::new("waves.c", &[])?;
    let one = |options: &[&str]| -> Result<[String; 4], Problem> {
        let csv = recorded.massif(&[&["--format=csv", "--time-unit=B"], options].concat())?;
        let rows: Vec<_> = csv.lines().skip(1).collect();
        let [row] = rows[..] else { return Err(Problem::wrong(csv)) };
        let mut fields = row.split(',').skip(1).map(str::to_owned);
        Ok(std::array::from_fn(|_| fields.next().unwrap_or_default()))
    };
    let all = recorded.massif(&["--time-unit=B", "--peak-inaccuracy=0", "--max-snapshots=1000"])?;
    let (times, bytes) = (values(&all, "time"), values(&all, "mem_heap_B"));
    let (extra, kinds) = (values(&all, "mem_heap_extra_B"), values(&all, "heap_tree"));
    let row = |at: usize, kind: &str| [times[at], bytes[at], extra[at], kind].map(str::to_owned);
    let Some(peak) = kinds.iter().position(|kind| *kind == "peak") else { return Err(Problem::wrong(all)) };
    let (last, early) = (times.len() - 1, times.len() / 3);
    for (option, expected) in
        [("peak", row(peak, "peak")), ("end", row(last, "detailed")), (times[early], row(early, "detailed"))]
    {
        let found = one(&["--at", option])?;
        if found != expected {
            return Err(Problem::wrong(format!("--at={option}: {found:?}, not {expected:?} in\n{all}")));
        }
    }
    let text = recorded.massif(&["--format=text", "--at=peak"])?;
    if !text.contains(", the peak\n") || !text.contains("100.00%") && !text.contains(" all\n") {
        return Err(Problem::wrong(text));
    }
    Ok(())
}

/// `--summary` and `--top` say what heaptrack_print says; and in JSON the same as in text.
fn totals() -> Verdict {
    let recorded = Recorded::new("totals.c", &[])?;
    let json: Value = serde_json::from_str(&recorded.massif(&["--top", "--format=json"])?)
        .map_err(|error| Problem::wrong(error.to_string()))?;
    let of = |key: &str| json[key].as_u64().unwrap_or(u64::MAX);
    let found = ["calls", "temporary", "bytes", "peak_bytes", "end_bytes", "end_blocks"].map(of);
    // By hand, from the program.
    if found != [1120, 1010, 48_865, 32_015, 500, 5] {
        return Err(Problem::wrong(format!("{found:?}")));
    }
    let text = recorded.massif(&["--summary", "--top=1", "--threshold=0"])?;
    let has = |line: &str| text.lines().any(|one| one.split_whitespace().eq(line.split_whitespace()));
    let lines = [
        "calls of allocation functions: 1,120",
        "temporary allocations: 1,010 (90.18%)",
        "left at the end: 500 bytes in 5 blocks",
        "Most temporary allocations, of 1,010:",
    ];
    if let Some(missing) = lines.iter().find(|line| !has(line)) {
        return Err(Problem::wrong(format!("no {missing:?} in\n{text}")));
    }
    let places = |line: &str| text.contains(&format!(" {line} (totals.c:"));
    if !places("temporary") || !places("keep") || !text.contains(" more\n") {
        return Err(Problem::wrong(text));
    }
    let says = recorded.run(&["--summary", "--format=csv"])?;
    self::says(&says, "--summary and --top are written as text or json, not as csv")
}

/// All formats tell of the same snapshots.
fn formats() -> Verdict {
    let recorded = Recorded::new("waves.c", &[])?;
    let massif = recorded.massif(&[])?;
    let csv = recorded.massif(&["--format=csv"])?;
    let json: Value = serde_json::from_str(&recorded.massif(&["--format=json"])?)
        .map_err(|error| Problem::wrong(error.to_string()))?;
    let column = |number: usize| -> Vec<&str> {
        csv.lines().skip(1).filter_map(|line| line.split(',').nth(number)).collect()
    };
    let snapshots = json["snapshots"].as_array().cloned().unwrap_or_default();
    let of_json = |key: &str| -> Vec<String> { snapshots.iter().map(|one| one[key].to_string()).collect() };
    for (at, (massif_key, json_key)) in
        [("time", "time"), ("mem_heap_B", "heap_bytes"), ("mem_heap_extra_B", "extra_bytes")]
            .iter()
            .enumerate()
    {
        let expected = values(&massif, massif_key);
        if column(at + 1) != expected || of_json(json_key) != expected {
            return Err(Problem::wrong(format!("{massif_key} differs:\n{massif}\n{csv}\n{json}")));
        }
    }
    let kinds = values(&massif, "heap_tree");
    let peak = kinds.iter().position(|kind| *kind == "peak");
    let trees: Vec<bool> = snapshots.iter().map(|one| one["tree"].is_array()).collect();
    let detailed: Vec<bool> = kinds.iter().map(|kind| *kind != "empty").collect();
    let text = recorded.massif(&["--format=text"])?;
    let row = |line: &str| -> Option<[String; 4]> {
        let mut words = line.split_whitespace().map(|word| word.replace(',', ""));
        let number: u32 = words.next()?.parse().ok()?;
        Some([number.to_string(), words.next()?, words.nth(1)?, words.next()?])
    };
    let table: Vec<_> = text.lines().skip_while(|line| !line.starts_with("   n ")).filter_map(row).collect();
    let rows = |line: &str| line.split(',').take(4).map(str::to_owned).collect::<Vec<_>>();
    if !table.iter().map(|row| row.to_vec()).eq(csv.lines().skip(1).map(rows))
        || !text.contains(", the peak:\n")
    {
        return Err(Problem::wrong(format!("{text}\n{csv}")));
    }
    let is_same =
        column(4) == kinds && json["peak"].as_u64() == peak.map(|at| at as u64) && trees == detailed;
    if is_same { Ok(()) } else { Err(Problem::wrong(json.to_string())) }
}

fn processes() -> Verdict {
    let recorded = Recorded::new("forks.c", &[])?;
    let first = recorded.run(&[])?;
    ended_well(&first)?;
    if !first.err().contains("this is process 1 (pid ")
        || !first.err().contains("others that allocated: 2 (pid ")
    {
        return Err(Problem::wrong(first.summary()));
    }
    let all = recorded.run(&["-o", "out.%p"])?;
    ended_well(&all)?;
    let mut files = 0;
    for entry in fs::read_dir(recorded.folder())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("out.")) {
            files += 1;
            let pid = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            let alone = recorded.massif(&[&format!("--process={pid}")])?;
            if alone != fs::read_to_string(&path)? {
                return Err(Problem::wrong(format!("{} is another one:\n{alone}", path.display())));
            }
        }
    }
    let quiet = all.out().is_empty() && all.err().is_empty();
    if files == 3 && quiet {
        Ok(())
    } else {
        Err(Problem::wrong(format!("{files} files; {}", all.summary())))
    }
}

/// A message in one line, status 2, and nothing on standard output.
fn says(outcome: &Outcome, words: &str) -> Verdict {
    let is_clear = outcome.code() == Some(2)
        && outcome.out().is_empty()
        && outcome.err().contains(words)
        && outcome.err().lines().count() == 1;
    if is_clear { Ok(()) } else { Err(Problem::wrong(format!("not {words:?}: {}", outcome.summary()))) }
}

fn no_events() -> Verdict {
    let recorded = Recorded::new("peak.c", &["--events=blocks"])?;
    says(&recorded.run(&[])?, "no heap events in the recording; record it again with --events=alloc,clock")
}

/// A heap that only grew, in few snapshots, has none that tells who allocated: that is said, with what helps.
fn nobody_told() -> Verdict {
    let recorded = Recorded::new("forks.c", &[])?;
    let options = ["--process=1", "--time-unit=B"];
    let outcome = recorded.run(&options)?;
    ended_well(&outcome)?;
    if !outcome.err().contains("--detailed-freq=1 has it told") || outcome.err().lines().count() != 1 {
        return Err(Problem::wrong(outcome.summary()));
    }
    let outcome = recorded.run(&[&options[..], &["--detailed-freq=1"]].concat())?;
    let is_told = outcome.err().is_empty() && outcome.out().contains("main (");
    if is_told { Ok(()) } else { Err(Problem::wrong(outcome.summary())) }
}

fn wrong() -> Verdict {
    let recorded = Recorded::new("peak.c", &[])?;
    says(&recorded.run(&["--process=77"])?, "no process 77 in the recording; it has 1 (pid ")?;
    says(&recorded.run(&["--depth=0"])?, "1..=200")?;
    says(&recorded.run(&["-o", "no/such/file"])?, "no/such/file: cannot write: No such file or directory")?;
    let massif = tools::tool("vg-massif")?.display().to_string();
    let run = |stdin: &[u8]| Run::new([massif.as_str()], recorded.folder()).stdin(stdin).run();
    says(&run(b"")?, "stdin: empty; did vg-record say why it wrote nothing?")?;
    says(&run(b"desc: (none)\n")?, "this is not a trace that can be read")
}

/// What is left of a trace is shown, with a warning.
fn truncated() -> Verdict {
    let recorded = Recorded::new("waves.c", &[])?;
    let path = recorded.folder().join("trace.capnp");
    let whole = fs::read(&path)?;
    for parts in 1..8 {
        fs::write(&path, &whole[..whole.len() / 8 * parts])?;
        let outcome = recorded.run(&[])?;
        let is_clear = match outcome.code() {
            Some(0) => outcome.out().starts_with("desc: (none)\n") && !outcome.err().is_empty(),
            Some(2) => outcome.err().lines().last().is_some_and(|line| line.contains("no heap events")),
            _ => false,
        };
        if !is_clear {
            return Err(Problem::wrong(format!("{parts}/8: {}", outcome.summary())));
        }
    }
    Ok(())
}

/// A byte that is another one somewhere in a trace leads to a report or a message.
fn damaged() -> Verdict {
    let recorded = Recorded::new("forks.c", &[])?;
    let path = recorded.folder().join("trace.capnp");
    let whole = fs::read(&path)?;
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut trace = whole.clone();
        trace[at] ^= 0x55;
        fs::write(&path, trace)?;
        for options in [&["-o", "out.%p"][..], &["--format=json", "--detailed-freq=1", "--process=2"]] {
            let outcome = recorded.run(options)?;
            if !matches!(outcome.code(), Some(0 | 2)) {
                return Err(Problem::wrong(format!("byte {at}: {}", outcome.summary())));
            }
        }
    }
    Ok(())
}

//! The programs that are measured: real ones, allocation-heavy ones, and one thing at a time.
//!
//! Always holds: each prints the same every time, so that a run that went wrong is noticed. Not here: how they are run.

use crate::column::{Column, Program};
use crate::input::Inputs;
use crate::source::{self, Builder, Source};
use crate::tools::in_path;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a workload is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Real programs, as they are installed.
    Real,
    /// Allocation-heavy programs.
    Heap,
    /// One mechanism of the engine.
    Micro,
    /// Programs of the tables about errors that the benchmark compiles, for the sanitizers as well.
    Built,
}

/// One program to measure.
#[derive(Debug)]
pub(crate) struct Workload {
    pub name: &'static str,
    pub group: Group,
    /// The columns that say something about it.
    pub columns: &'static [Column],
    /// `None`: not installed.
    pub program: Option<Program>,
}

impl Workload {
    fn new(name: &'static str, group: Group, program: Option<Program>) -> Workload {
        let columns: &[Column] = match group {
            Group::Micro => &Column::HEAP[..5],
            Group::Built => &Column::ERRORS,
            Group::Real | Group::Heap => &Column::HEAP,
        };
        Workload { name, group, columns, program }
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// The arguments, then a file.
fn with_file(arguments: &[&str], file: PathBuf) -> Vec<OsString> {
    let mut all = words(arguments);
    all.push(file.into());
    all
}

fn installed(path: Option<PathBuf>, arguments: Vec<OsString>) -> Option<Program> {
    path.map(|path| Program { path, arguments, ..Program::default() })
}

/// All workloads of the tables about the heap, in their order.
pub(crate) fn heap(inputs: &Inputs) -> Vec<Workload> {
    let mut all = real(inputs, "text", "12");
    let own = |name, group, program, arguments: &[&str]| {
        Workload::new(name, group, installed(Some(inputs.path(program)), words(arguments)))
    };
    all.extend([
        own("tree", Group::Heap, "tree", &["10"]),
        own("pairs", Group::Heap, "pairs", &["3000000"]),
        own("fib(38)", Group::Micro, "micro", &["fib", "38"]),
        own("indirect", Group::Micro, "micro", &["indirect", "200000000"]),
        own("syscalls", Group::Micro, "micro", &["syscalls", "3000000"]),
    ]);
    all
}

/// Installed programs: compressors and interpreters, with a text and with a scale of Python's work.
fn real(inputs: &Inputs, text: &str, scale: &str) -> Vec<Workload> {
    let text = inputs.path(text);
    let read: OsString = [".read ".as_ref(), inputs.path("work.sql").as_os_str()].into_iter().collect();
    let python_work: Vec<OsString> = vec!["-I".into(), inputs.path("work.py").into(), scale.into()];
    let sql = vec!["-batch".into(), ":memory:".into(), read];
    let compiled = with_file(&["-quiet", "-O2", "-o", "-"], inputs.path("compiled.c"));
    // The same file many times: sums are quick.
    let sums = vec![OsString::from(&text); 40];
    let programs = [
        ("gzip", in_path("gzip"), with_file(&["-nc"], text.clone())),
        ("bzip2", in_path("bzip2"), with_file(&["-c"], text.clone())),
        ("xz -1", in_path("xz"), with_file(&["-1", "-T1", "-c"], text.clone())),
        ("python3", python(), python_work),
        ("sqlite3", in_path("sqlite3"), sql),
        ("perl", in_path("perl"), vec![inputs.path("work.pl").into(), text.into()]),
        ("cc1 -O2", cc1(), compiled),
        ("sha256sum", in_path("sha256sum"), sums),
    ];
    let workload = |(name, path, arguments)| Workload::new(name, Group::Real, installed(path, arguments));
    programs.into_iter().map(workload).collect()
}

/// All workloads of the tables about memory errors, and about counts of executed code, in their order, with the columns of
/// the table. Some peers are slow: there is less to do than in those about the heap. `wanted` says which are to be compiled.
///
/// # Errors
/// A program does not compile.
pub(crate) fn with_slow_peers(
    columns: &'static [Column],
    inputs: &Inputs,
    builder: &Builder,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<Vec<Workload>> {
    let mut all = real(inputs, "short", "8");
    let built: [(&str, &Source, Vec<OsString>); 8] = [
        ("bzip2", &source::BZIP2, with_file(&["-c"], inputs.path("short"))),
        ("sqlite3", &source::SQLITE, vec![inputs.path("work.sql").into()]),
        ("lua", &source::LUA, vec![inputs.path("work.lua").into()]),
        ("json", &source::JSON, words(&["6"])),
        ("tree", &source::TREE, words(&["4"])),
        ("pairs", &source::PAIRS, words(&["3000000"])),
        ("sort (2 threads)", &source::SORT, words(&["5"])),
        ("queue (2 threads)", &source::QUEUE, words(&["1000000"])),
    ];
    for (name, source, arguments) in built {
        let program = if wanted(name) { builder.program(source, arguments)? } else { None };
        let made = Workload::new(name, Group::Built, program);
        match all.iter_mut().find(|workload| workload.name == name) {
            // The installed one does without its source.
            Some(workload) if made.program.is_some() => *workload = made,
            Some(_) => {}
            None => all.push(made),
        }
    }
    for workload in &mut all {
        workload.columns = columns;
    }
    Ok(all)
}

/// The interpreter itself: what the `PATH` has may be a script of a version manager.
fn python() -> Option<PathBuf> {
    let system = Path::new("/usr/bin/python3");
    if system.exists() {
        return Some(system.to_owned());
    }
    let printed = printed(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    Some(printed.into())
}

/// The compiler proper of gcc, which only starts it.
fn cc1() -> Option<PathBuf> {
    let path = PathBuf::from(printed(Command::new("gcc").arg("-print-prog-name=cc1"))?);
    // Without a folder, gcc does not know where it is.
    path.is_absolute().then_some(path)
}

/// The first line that a command prints when it succeeds.
fn printed(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}

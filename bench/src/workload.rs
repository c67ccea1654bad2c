//! The programs that are measured: real ones, allocation-heavy ones, and one thing at a time.
//!
//! Always holds: each prints the same every time, so that a run that went wrong is noticed. Not here: how they are run.

use crate::column::{Column, Program};
use crate::input::Inputs;
use crate::tools::in_path;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a workload is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Real programs: the geometric mean is theirs.
    Real,
    /// Allocation-heavy programs.
    Heap,
    /// One mechanism of the engine.
    Micro,
}

/// One program to measure.
#[derive(Debug)]
pub(crate) struct Workload {
    pub name: &'static str,
    pub group: Group,
    /// `None`: not installed.
    pub program: Option<Program>,
}

impl Workload {
    /// The columns that say something about it.
    pub(crate) fn columns(&self) -> &'static [Column] {
        match self.group {
            Group::Real | Group::Heap => &Column::ALL,
            Group::Micro => &Column::ALL[..5],
        }
    }
}

/// All workloads, in the order of the tables.
pub(crate) fn all(inputs: &Inputs) -> Vec<Workload> {
    let text = inputs.path("text");
    let with_text = |words: &[&str]| {
        words.iter().map(OsString::from).chain([text.clone().into()]).collect::<Vec<OsString>>()
    };
    let real = |name, path: Option<PathBuf>, arguments| Workload {
        name,
        group: Group::Real,
        program: path.map(|path| Program { path, arguments }),
    };
    let own = |name, group, program, arguments: &[&str]| Workload {
        name,
        group,
        program: Some(Program {
            path: inputs.path(program),
            arguments: arguments.iter().map(OsString::from).collect(),
        }),
    };
    let read: OsString = [".read ".as_ref(), inputs.path("work.sql").as_os_str()].into_iter().collect();
    let compiled = inputs.path("compiled.c").into();
    // The same file many times: sums are quick.
    let sums = vec![OsString::from(&text); 40];
    vec![
        real("gzip", in_path("gzip"), with_text(&["-nc"])),
        real("bzip2", in_path("bzip2"), with_text(&["-c"])),
        real("xz -1", in_path("xz"), with_text(&["-1", "-T1", "-c"])),
        real("python3", python(), vec!["-I".into(), inputs.path("work.py").into(), "12".into()]),
        real("sqlite3", in_path("sqlite3"), vec!["-batch".into(), ":memory:".into(), read]),
        real("perl", in_path("perl"), vec![inputs.path("work.pl").into(), text.clone().into()]),
        real("cc1 -O2", cc1(), vec!["-quiet".into(), "-O2".into(), "-o".into(), "-".into(), compiled]),
        real("sha256sum", in_path("sha256sum"), sums),
        own("tree", Group::Heap, "tree", &["10"]),
        own("pairs", Group::Heap, "pairs", &["3000000"]),
        own("fib(38)", Group::Micro, "micro", &["fib", "38"]),
        own("indirect", Group::Micro, "micro", &["indirect", "200000000"]),
        own("syscalls", Group::Micro, "micro", &["syscalls", "3000000"]),
    ]
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

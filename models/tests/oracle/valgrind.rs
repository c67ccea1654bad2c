//! Builds a program and runs it under Valgrind's tools: the trace of Lackey, the totals of Callgrind and Cachegrind.

use crate::batch::{Step, read};
use models::{Counts, Event};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What keeps a translation of Callgrind as it is: blocks end at branches, loops are not unrolled.
const AS_CALLGRIND: [&str; 2] = ["--vex-guest-chase=no", "--vex-iropt-unroll-thresh=0"];
/// Which values of registers are kept; Lackey's default is another, which keeps other loads.
const AS_BOTH: &str = "--vex-iropt-register-updates=sp-at-mem-access";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Callgrind,
    Cachegrind,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Callgrind => "callgrind",
            Tool::Cachegrind => "cachegrind",
        }
    }
}

/// A program that was built, and a directory for it.
pub(crate) struct Program {
    directory: PathBuf,
}

/// Whether the programs that the oracle needs are there; says what is missing.
pub(crate) fn installed() -> bool {
    ["valgrind", "gcc"].iter().all(|program| {
        let found =
            Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        if !found {
            eprintln!("skipped: {program} is not installed");
        }
        found
    })
}

impl Program {
    /// Builds `name`.c in a directory of its own, that of the test `test`.
    pub(crate) fn build(name: &str, test: &str) -> Program {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/programs");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{test}"));
        std::fs::create_dir_all(&directory).unwrap();
        let arguments =
            "-O1 -nostdlib -static -no-pie -fno-pie -fno-stack-protector -fcf-protection=none -g0 -o program";
        let mut gcc = Command::new("gcc");
        gcc.current_dir(&directory).args(arguments.split(' ')).arg(sources.join(format!("{name}.c")));
        succeeded(&mut gcc);
        Program { directory }
    }

    /// The file of the program.
    pub(crate) fn image(&self) -> Vec<u8> {
        std::fs::read(self.directory.join("program")).unwrap()
    }

    /// What the program does, as the tool sees it.
    pub(crate) fn trace(&self, tool: Tool) -> Vec<Step> {
        let log = self.directory.join(format!("{}.trace", tool.name()));
        let mut valgrind = self.valgrind("lackey");
        valgrind.args(["--trace-mem=yes", "--basic-counts=no", AS_BOTH]);
        if tool == Tool::Callgrind {
            valgrind.args(AS_CALLGRIND);
        }
        valgrind.arg(format!("--log-file={}", log.display())).arg("./program");
        succeeded(&mut valgrind);
        let steps = read(&std::fs::read_to_string(log).unwrap());
        assert!(steps.len() > 10_000, "the trace has {} steps", steps.len());
        steps
    }

    /// The totals of a run; events that the tool does not have are 0.
    pub(crate) fn totals(&self, tool: Tool, options: &[String]) -> Counts {
        let name = tool.name();
        let out = self.directory.join(format!("{name}.out"));
        let mut valgrind = self.valgrind(name);
        valgrind.args(["--cache-sim=yes", "--branch-sim=yes"]).args(options);
        valgrind.arg(format!("--{name}-out-file={}", out.display())).arg("./program");
        succeeded(&mut valgrind);
        let text = std::fs::read_to_string(out).unwrap();
        let field = |key: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let totals = field(if tool == Tool::Callgrind { "totals:" } else { "summary:" });
        let mut counts = Counts::default();
        for (name, total) in field("events:").iter().zip(totals) {
            let event = Event::ALL.iter().find(|event| event.name() == name).expect("a known event");
            counts[*event] = total.parse().unwrap();
        }
        counts
    }

    fn valgrind(&self, tool: &str) -> Command {
        let mut valgrind = Command::new("valgrind");
        valgrind.current_dir(&self.directory).args(["-q", &format!("--tool={tool}")]);
        valgrind
    }
}

fn succeeded(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

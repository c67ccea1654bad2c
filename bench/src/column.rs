//! The ways to run a program that are compared: natively, recorded, under a peer.
//!
//! Always holds: a command of a column runs exactly the program and arguments that the native one runs.
//! Not here: which programs (`workload`), when (`run`).

use crate::tools::Tools;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and its arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    /// The same program, compiled with gcc's AddressSanitizer.
    pub address_sanitizer: Option<PathBuf>,
    /// The same program, compiled with clang's MemorySanitizer.
    pub memory_sanitizer: Option<PathBuf>,
}

/// One way to run a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Native,
    /// Under the engine, with nothing recorded.
    Translation,
    /// Heap events with their stacks and the leak scan, into a file.
    Heap,
    /// The same, with executed instructions as a second clock.
    HeapAndClock,
    /// Invalid accesses: shadow checks, nothing known of undefined values.
    Accesses,
    /// And undefined values.
    Values,
    /// And executed instructions: what `vg-record` does when it is not told otherwise.
    Default,
    /// Executed instructions as a clock alone.
    Clock,
    /// How often each instruction is executed.
    Blocks,
    /// And calls in their contexts: what `vg-annotate` shows all of.
    Calls,
    /// How often each instruction is executed, and misses of caches and branch predictors.
    Models,
    /// And calls in their contexts.
    CallsAndModels,
    ValgrindNone,
    Massif,
    /// Cachegrind without its caches: instructions by line, no calls.
    Cachegrind,
    /// With them, and with branch predictors.
    CachegrindModels,
    /// Instructions by line and calls.
    Callgrind,
    /// And misses of caches and branch predictors.
    CallgrindModels,
    /// The whole of heaptrack: library, interpreter and compressor.
    Heaptrack,
    /// The same without the interpreter: its trace still has to be interpreted before it can be read.
    HeaptrackRaw,
    /// Heaptrack's library alone, its output thrown away.
    Preload,
    Memcheck,
    /// Memcheck, which also says where undefined values come from, as ours always does.
    MemcheckOrigins,
    /// Compiled by gcc for it: finds no undefined values.
    AddressSanitizer,
    /// Compiled by clang for it: finds undefined values alone.
    MemorySanitizer,
}

impl Column {
    /// Those of the tables about the heap.
    pub(crate) const HEAP: [Column; 9] = [
        Column::Native,
        Column::Translation,
        Column::Heap,
        Column::HeapAndClock,
        Column::ValgrindNone,
        Column::Massif,
        Column::Heaptrack,
        Column::HeaptrackRaw,
        Column::Preload,
    ];

    /// Those of the tables about memory errors.
    pub(crate) const ERRORS: [Column; 8] = [
        Column::Native,
        Column::Accesses,
        Column::Values,
        Column::Default,
        Column::Memcheck,
        Column::MemcheckOrigins,
        Column::AddressSanitizer,
        Column::MemorySanitizer,
    ];

    /// Those of the tables about counts of executed code.
    pub(crate) const COUNTS: [Column; 11] = [
        Column::Native,
        Column::Translation,
        Column::Clock,
        Column::Blocks,
        Column::Calls,
        Column::Models,
        Column::CallsAndModels,
        Column::Cachegrind,
        Column::CachegrindModels,
        Column::Callgrind,
        Column::CallgrindModels,
    ];

    /// The head of the column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Native => "native",
            Column::Translation => "translation only",
            Column::Heap => "heap events",
            Column::HeapAndClock => "and instructions",
            Column::Accesses => "accesses",
            Column::Values => "and values",
            Column::Default => "the default",
            Column::Clock => "clock",
            Column::Blocks => "blocks",
            Column::Calls => "calls",
            Column::Models => "models",
            Column::CallsAndModels => "calls and models",
            Column::Cachegrind => "cachegrind",
            Column::Callgrind => "callgrind",
            Column::CachegrindModels => "cachegrind's models",
            Column::CallgrindModels => "callgrind's models",
            Column::ValgrindNone => "valgrind none",
            Column::Massif => "massif",
            Column::Heaptrack => "heaptrack",
            Column::HeaptrackRaw => "heaptrack raw",
            Column::Preload => "preload alone",
            Column::Memcheck => "memcheck",
            Column::MemcheckOrigins => "with origins",
            Column::AddressSanitizer => "ASan",
            Column::MemorySanitizer => "MSan",
        }
    }

    /// Whether it is `vg-record`, which can print counters.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Column::Translation
                | Column::Heap
                | Column::HeapAndClock
                | Column::Accesses
                | Column::Values
                | Column::Default
                | Column::Clock
                | Column::Blocks
                | Column::Calls
                | Column::Models
                | Column::CallsAndModels
        )
    }

    /// Whether the program's standard output comes out alone, to be compared with the native one.
    pub(crate) fn keeps_stdout(self) -> bool {
        !matches!(self, Column::Heaptrack | Column::HeaptrackRaw)
    }

    /// The command that runs `program` this way; its files go into `scratch`. `None`: not installed.
    pub(crate) fn command(self, tools: &Tools, program: &Program, scratch: &Path) -> Option<Command> {
        let ours = |events: &[&str]| {
            let mut command = Command::new(&tools.vg_record);
            command.args(events).args(["--stats", "-o"]).arg(trace(scratch)).arg("--").arg(&program.path);
            command
        };
        // With the name of the file that it writes, where it writes one.
        let tool = |options: &[&str], output: Option<&str>| {
            let mut command = Command::new(tools.valgrind.as_ref()?);
            command.arg("-q").args(options);
            if let Some(name) = output {
                let mut option = OsString::from(format!("--{name}-out-file="));
                option.push(scratch.join(format!("{name}.out")));
                command.arg(option);
            }
            command.arg(&program.path);
            Some(command)
        };
        let mut command = match self {
            Column::Native => Command::new(&program.path),
            Column::Translation => tools.records_nothing.then(|| ours(&["--events=none"]))?,
            Column::Heap => ours(&["--events=alloc"]),
            Column::HeapAndClock => ours(&["--events=alloc,clock"]),
            Column::Accesses => ours(&["--events=alloc,shadow", "--undef-value-errors=no"]),
            Column::Values => ours(&["--events=alloc,shadow"]),
            Column::Default => ours(&[]),
            Column::Clock => ours(&["--events=clock"]),
            Column::Blocks => ours(&["--events=blocks"]),
            Column::Calls => ours(&["--events=instr"]),
            Column::Models => ours(&["--events=access"]),
            Column::CallsAndModels => ours(&["--events=access,instr"]),
            Column::AddressSanitizer => {
                let mut command = Command::new(program.address_sanitizer.as_ref()?);
                // A leak is no failed run.
                command.env("ASAN_OPTIONS", "detect_leaks=0");
                command
            }
            Column::MemorySanitizer => Command::new(program.memory_sanitizer.as_ref()?),
            Column::Memcheck | Column::MemcheckOrigins => {
                let mut command = Command::new(tools.valgrind.as_ref()?);
                command.arg("-q");
                if self == Column::MemcheckOrigins {
                    command.arg("--track-origins=yes");
                }
                command.arg(&program.path);
                command
            }
            Column::ValgrindNone => tool(&["--tool=none"], None)?,
            Column::Massif => tool(&["--tool=massif"], Some("massif"))?,
            // Without its models in newer versions anyway, with them by default in older ones.
            Column::Cachegrind => tool(&["--tool=cachegrind", "--cache-sim=no"], Some("cachegrind"))?,
            Column::CachegrindModels => {
                tool(&["--tool=cachegrind", "--cache-sim=yes", "--branch-sim=yes"], Some("cachegrind"))?
            }
            Column::Callgrind => tool(&["--tool=callgrind"], Some("callgrind"))?,
            Column::CallgrindModels => {
                tool(&["--tool=callgrind", "--cache-sim=yes", "--branch-sim=yes"], Some("callgrind"))?
            }
            Column::Heaptrack | Column::HeaptrackRaw => {
                let mut command = Command::new(tools.heaptrack.as_ref()?);
                if self == Column::HeaptrackRaw {
                    command.arg("--raw");
                }
                command.arg("-o").arg(scratch.join("heaptrack")).arg(&program.path);
                command
            }
            Column::Preload => {
                let mut command = Command::new(&program.path);
                command.env("LD_PRELOAD", tools.preload.as_ref()?).env("DUMP_HEAPTRACK_OUTPUT", "/dev/null");
                command
            }
        };
        command.args(&program.arguments);
        Some(command)
    }
}

/// Where `vg-record` writes to.
pub(crate) fn trace(scratch: &Path) -> PathBuf {
    scratch.join("trace.capnp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_end_with_the_program_and_missing_peers_have_none() {
        let tools = Tools {
            vg_record: "/t/vg-record".into(),
            vg_leaks: "/t/vg-leaks".into(),
            records_nothing: false,
            valgrind: Some("/v".into()),
            heaptrack: None,
            preload: None,
        };
        let arguments = vec!["-a".into(), "b".into()];
        let program = Program { path: "/bin/p".into(), arguments, ..Program::default() };
        let made = |column: Column| column.command(&tools, &program, Path::new("/s"));
        for column in
            [Column::Native, Column::Heap, Column::HeapAndClock, Column::ValgrindNone, Column::Massif]
        {
            let words = words(&made(column).expect("installed"));
            assert_eq!(words[words.len() - 3..], ["/bin/p", "-a", "b"], "{column:?}");
        }
        for column in [
            Column::Translation,
            Column::Heaptrack,
            Column::HeaptrackRaw,
            Column::Preload,
            Column::AddressSanitizer,
            Column::MemorySanitizer,
        ] {
            assert!(made(column).is_none(), "{column:?}");
        }
        let built = Program { address_sanitizer: Some("/bin/p-asan".into()), ..program.clone() };
        let sanitized = Column::AddressSanitizer.command(&tools, &built, Path::new("/s")).expect("compiled");
        assert_eq!(words(&sanitized), ["/bin/p-asan", "-a", "b"]);
        let record = words(&made(Column::Heap).expect("ours"));
        assert_eq!(record[..5], ["/t/vg-record", "--events=alloc", "--stats", "-o", "/s/trace.capnp"]);
        for column in &Column::COUNTS[2..] {
            let words = words(&made(*column).expect("installed"));
            assert_eq!(words[words.len() - 3..], ["/bin/p", "-a", "b"], "{column:?}");
            assert_eq!(column.is_ours(), words[0] == "/t/vg-record", "{column:?}");
        }
        let peer = words(&made(Column::Callgrind).expect("installed"));
        assert_eq!(peer[..4], ["/v", "-q", "--tool=callgrind", "--callgrind-out-file=/s/callgrind.out"]);
        let models = words(&made(Column::CallgrindModels).expect("installed"));
        assert_eq!(models[3..5], ["--cache-sim=yes", "--branch-sim=yes"]);
    }
}

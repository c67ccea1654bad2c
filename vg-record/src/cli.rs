//! The command line: options, their defaults and what is not possible yet.
//!
//! Always holds: a [`Cli`] that parsed is complete and consistent; what cannot be done was refused with a reason.
//! Options behind PROGRAM belong to the program. Not here: where the trace goes (`output`).

use crate::models::ModelOptions;
use clap::{Parser, ValueEnum};
use std::ffi::OsString;

/// Run PROGRAM once and record what it does into a trace
///
/// The trace goes to FILE with -o; to standard output when that is a pipe or a file (PROGRAM's standard output
/// then goes to standard error); otherwise to the file vg.PROGRAM.PID.capnp.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Write the trace to FILE ("-": standard output); %p is the pid of vg-record, %n a number that makes the name
    /// new, %q{VAR} an environment variable, %% a percent sign
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<OsString>,

    /// Kinds of event to record [default: alloc,shadow,instr]
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_enum)]
    pub events: Vec<Events>,

    /// Record the processes that PROGRAM starts too; with "no" they run natively
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = yes_no, hide_default_value = true)]
    pub children: Flag,

    /// Print the counters of engine and recorder on standard error at the end
    #[arg(long)]
    pub stats: bool,

    /// Memory for translated code, in bytes or with K, M or G [default: the engine's choice]
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "0", hide_default_value = true)]
    pub cache_size: u64,

    /// Frames of a stack to keep
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub num_callers: u32,

    /// Bytes in front of and behind each heap block that no program should touch
    #[arg(long, value_name = "BYTES", default_value = "16", value_parser = redzone)]
    pub redzone_size: u32,

    /// Bytes of freed blocks to keep before their memory is used again
    #[arg(long, value_name = "BYTES", default_value = "20000000", value_parser = size)]
    pub freelist_vol: u64,

    /// Freed blocks of at least this size are reused first
    #[arg(long, value_name = "BYTES", default_value = "1000000", value_parser = size)]
    pub freelist_big_blocks: u64,

    /// Look for leaks when a process ends
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = leak_check, hide_default_value = true)]
    pub leak_check: Flag,

    /// Take a snapshot of the heap, for vg-leaks --snapshot, whenever vg-record receives SIG (such as USR2 or 12); PROGRAM
    /// does not get that signal then. One thread more is in each recorded process
    #[arg(long, value_name = "SIG", value_parser = signal)]
    pub snapshot_signal: Option<Signal>,

    /// Let the C library free its own memory before leaks are looked for
    #[arg(long, value_name = "yes|no", default_value = "yes", value_parser = yes_no, hide_default_value = true)]
    pub run_libc_freeres: Flag,

    /// Follow undefined values and report their uses; with "no" the shadow tells of addresses alone, at less cost
    #[arg(long, value_name = "yes|no", value_parser = yes_no)]
    pub undef_value_errors: Option<Flag>,

    /// Look for errors in the use of file descriptors
    #[arg(long, value_name = "HOW", value_enum, default_value = "no", hide_default_value = true)]
    pub track_fds: TrackFds,

    /// Print errors on standard error as they happen, each once, in the words of vg-errors
    #[arg(long)]
    pub live: bool,

    /// End PROGRAM at its first error, with the exit status of --error-exitcode (1 without it)
    #[arg(long, value_name = "yes|no", default_value = "no", value_parser = yes_no, hide_default_value = true)]
    pub exit_on_first_error: Flag,

    /// Exit status of vg-record when there were errors and no signal ended PROGRAM; with 0, the default, it is that of
    /// PROGRAM
    #[arg(long, value_name = "N")]
    pub error_exitcode: Option<u8>,

    #[command(flatten)]
    pub models: ModelOptions,

    #[command(flatten)]
    pub windows: crate::windows::Options,

    /// The program to run, found as a shell finds it, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

const AFTER_HELP: &str =
    "Exit status: that of PROGRAM; when a signal killed it, vg-record dies by the same signal.
With --error-exitcode=N, N when there were errors.
125: vg-record failed (also: bad usage), 126: PROGRAM cannot be run,
127: PROGRAM was not found.

Examples:
  vg-record ./bin | vg-leaks
  vg-record ./bin | vg-annotate --inclusive=yes
  vg-record -o trace.capnp ./bin --option-of-bin";

/// `--events=instr`.
const INSTRUCTIONS: u32 =
    ring::shared::EVENTS_CLOCK | ring::shared::EVENTS_BLOCKS | ring::shared::EVENTS_CALLS;

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Events {
    /// Allocations and frees with their stacks, the leak graph, and errors in calls of allocators, for vg-errors
    Alloc,
    /// Invalid reads and writes, uses of undefined values, overlapping copies, and what system calls are given, for
    /// vg-errors
    Shadow,
    /// Executed instructions: what clock and blocks record, and calls in the contexts in which they were made, for
    /// vg-annotate: costs, inclusive ones, callers and stacks
    Instr,
    /// The count of executed instructions alone, as a clock of all other events
    Clock,
    /// How often each instruction is executed, and each direct jump taken, for vg-annotate
    Blocks,
    /// Data accesses of each instruction, and misses of simulated caches and branch predictors, with what clock and blocks
    /// record, for vg-annotate (not together with shadow)
    Access,
    /// Nothing: the program only runs under the engine (not together with other kinds)
    None,
}

/// Which errors in the use of descriptors are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrackFds {
    /// None
    No,
    /// Descriptors that are not closed at the end (but for standard input, output and error), closed twice, or used
    /// when they are not open
    Yes,
    /// The same, with standard input, output and error
    All,
    /// Bad closes and uses alone
    Bad,
}

impl TrackFds {
    /// `FLAG_*` bits of the control block.
    pub(crate) fn flags(self) -> u32 {
        use ring::shared::{FLAG_DESCRIPTORS, FLAG_STANDARD_DESCRIPTORS, FLAG_UNCLOSED};
        match self {
            TrackFds::No => 0,
            TrackFds::Bad => FLAG_DESCRIPTORS,
            TrackFds::Yes => FLAG_DESCRIPTORS | FLAG_UNCLOSED,
            TrackFds::All => FLAG_DESCRIPTORS | FLAG_UNCLOSED | FLAG_STANDARD_DESCRIPTORS,
        }
    }

    /// What is looked for: `schema::check` bits.
    fn checks(self) -> u32 {
        use schema::check::{DESCRIPTORS, UNCLOSED};
        match self {
            TrackFds::No => 0,
            TrackFds::Bad => DESCRIPTORS,
            TrackFds::Yes | TrackFds::All => DESCRIPTORS | UNCLOSED,
        }
    }
}

/// A signal that `vg-record` can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal(pub i32);

/// A yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub bool);

impl Cli {
    /// The `EVENTS_*` bits that the engine is to record.
    ///
    /// # Errors
    /// A kind was asked for that this version cannot record.
    pub(crate) fn event_bits(&self) -> anyhow::Result<u32> {
        let bits = self.kinds()?;
        anyhow::ensure!(
            self.snapshot_signal.is_none() || bits & ring::shared::EVENTS_ALLOC != 0,
            "--snapshot-signal: there is no heap to take a snapshot of without --events=alloc"
        );
        anyhow::ensure!(
            bits & ring::shared::EVENTS_SHADOW == 0 || bits & ring::shared::EVENTS_ALLOC != 0,
            "--events=shadow: it is about the heap so far; ask for --events=alloc,shadow"
        );
        anyhow::ensure!(
            self.undef_value_errors != Some(Flag(true)) || bits & ring::shared::EVENTS_SHADOW != 0,
            "--undef-value-errors=yes: undefined values are followed with --events=alloc,shadow only; ask for that, too"
        );
        anyhow::ensure!(
            bits & ring::shared::EVENTS_ALLOC != 0
                || !(self.live || self.exit_on_first_error.0 || self.error_exitcode.is_some()),
            "--live, --exit-on-first-error and --error-exitcode: errors are found with --events=alloc only; ask for that, too"
        );
        anyhow::ensure!(
            !self.exit_on_first_error.0 || self.error_exitcode != Some(0),
            "--exit-on-first-error=yes: --error-exitcode=0 would look as if there were no error; leave it out or give another status"
        );
        anyhow::ensure!(
            self.track_fds == TrackFds::No || bits & ring::shared::EVENTS_ALLOC != 0,
            "--track-fds: stacks are known with --events=alloc only; ask for that, too"
        );
        let access = bits & ring::shared::EVENTS_ACCESS != 0;
        anyhow::ensure!(
            !access || bits & ring::shared::EVENTS_SHADOW == 0,
            "--events=access,shadow: accesses are told of in code that no check is in; make two recordings"
        );
        if let Some(name) = self.models.first_asked().filter(|_| !access) {
            anyhow::bail!(
                "{name}: caches and branches are simulated with --events=access; ask for that, too"
            );
        }
        self.windows.check(bits)?;
        Ok(bits)
    }

    /// Whether undefined values are followed.
    pub(crate) fn follows_values(&self) -> bool {
        let shadow = self.kinds().is_ok_and(|bits| bits & ring::shared::EVENTS_SHADOW != 0);
        shadow && self.undef_value_errors != Some(Flag(false))
    }

    /// Exit status when there were errors; `None`: that of the program.
    pub(crate) fn error_status(&self) -> Option<u8> {
        let without = self.exit_on_first_error.0.then_some(1);
        self.error_exitcode.or(without).filter(|status| *status != 0)
    }

    /// What is looked for in the guest: `schema::check` bits.
    pub(crate) fn checks(&self) -> u32 {
        let bits = self.kinds().unwrap_or(0);
        let looked = |events, check| if bits & events != 0 { check } else { 0 };
        looked(ring::shared::EVENTS_ALLOC, schema::check::ALLOCATORS)
            | looked(
                ring::shared::EVENTS_SHADOW,
                schema::check::ADDRESSES | schema::check::OVERLAPS | schema::check::SYSCALLS,
            )
            | if self.follows_values() { schema::check::VALUES } else { 0 }
            | self.track_fds.checks()
    }

    fn kinds(&self) -> anyhow::Result<u32> {
        if self.events.contains(&Events::None) {
            anyhow::ensure!(self.events.len() == 1, "--events=none: cannot be combined with other kinds");
            return Ok(0);
        }
        if self.events.is_empty() {
            use ring::shared::{EVENTS_ALLOC, EVENTS_SHADOW};
            return Ok(EVENTS_ALLOC | EVENTS_SHADOW | INSTRUCTIONS);
        }
        self.events.iter().try_fold(0, |bits, kind| match kind {
            Events::Alloc => Ok(bits | ring::shared::EVENTS_ALLOC),
            Events::Clock => Ok(bits | ring::shared::EVENTS_CLOCK),
            Events::Instr => Ok(bits | INSTRUCTIONS),
            Events::Shadow => Ok(bits | ring::shared::EVENTS_SHADOW),
            Events::Blocks => Ok(bits | ring::shared::EVENTS_BLOCKS),
            Events::Access => {
                use ring::shared::{EVENTS_ACCESS, EVENTS_BLOCKS};
                Ok(bits | EVENTS_BLOCKS | EVENTS_ACCESS)
            }
            // Together with others it was refused above.
            Events::None => Ok(bits),
        })
    }

    /// Options that differ from their defaults, in the spelling of the command line; they become part of the trace.
    pub(crate) fn changed(&self) -> Vec<String> {
        let mut list = Vec::new();
        let mut add = |changed: bool, text: String| {
            if changed {
                list.push(text);
            }
        };
        let no = "no";
        let names: Vec<String> = self
            .events
            .iter()
            .filter_map(ValueEnum::to_possible_value)
            .map(|value| value.get_name().to_owned())
            .collect();
        add(!names.is_empty(), format!("--events={}", names.join(",")));
        add(!self.children.0, format!("--children={no}"));
        add(self.stats, "--stats".into());
        add(self.cache_size != 0, format!("--cache-size={}", self.cache_size));
        add(self.num_callers != 64, format!("--num-callers={}", self.num_callers));
        add(self.redzone_size != 16, format!("--redzone-size={}", self.redzone_size));
        add(self.freelist_vol != 20_000_000, format!("--freelist-vol={}", self.freelist_vol));
        add(
            self.freelist_big_blocks != 1_000_000,
            format!("--freelist-big-blocks={}", self.freelist_big_blocks),
        );
        add(!self.leak_check.0, format!("--leak-check={no}"));
        if let Some(Signal(number)) = self.snapshot_signal {
            add(true, format!("--snapshot-signal={number}"));
        }
        add(self.undef_value_errors == Some(Flag(false)), format!("--undef-value-errors={no}"));
        if let Some(value) = self.track_fds.to_possible_value() {
            add(self.track_fds != TrackFds::No, format!("--track-fds={}", value.get_name()));
        }
        add(self.live, "--live".into());
        add(self.exit_on_first_error.0, "--exit-on-first-error=yes".into());
        if let Some(status) = self.error_exitcode {
            add(true, format!("--error-exitcode={status}"));
        }
        add(!self.run_libc_freeres.0, format!("--run-libc-freeres={no}"));
        list.extend(self.models.changed());
        list.extend(self.windows.changed());
        list
    }
}

pub(crate) fn yes_no(text: &str) -> Result<Flag, String> {
    match text {
        "yes" => Ok(Flag(true)),
        "no" => Ok(Flag(false)),
        _ => Err("say yes or no".into()),
    }
}

/// A name with or without SIG, or a number.
fn signal(text: &str) -> Result<Signal, String> {
    const NAMES: [(&str, i32); 17] = [
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
        ("ALRM", libc::SIGALRM),
        ("TERM", libc::SIGTERM),
        ("STKFLT", libc::SIGSTKFLT),
        ("URG", libc::SIGURG),
        ("XCPU", libc::SIGXCPU),
        ("XFSZ", libc::SIGXFSZ),
        ("VTALRM", libc::SIGVTALRM),
        ("PROF", libc::SIGPROF),
        ("WINCH", libc::SIGWINCH),
        ("IO", libc::SIGIO),
        ("PWR", libc::SIGPWR),
        ("SYS", libc::SIGSYS),
    ];
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let numbered =
        || text.parse().ok().filter(|n| NAMES.iter().any(|(_, k)| k == n) || (34..=64).contains(n));
    named
        .or_else(numbered)
        .map(Signal)
        .ok_or_else(|| "not a signal that vg-record can take; try USR2".to_owned())
}

/// Valgrind's values are accepted: how much to print is the business of the reader here.
fn leak_check(text: &str) -> Result<Flag, String> {
    match text {
        "yes" | "full" | "summary" => Ok(Flag(true)),
        "no" => Ok(Flag(false)),
        _ => Err("say yes or no".into()),
    }
}

/// A number of bytes, perhaps with K, M or G (powers of 1024).
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "k" | "K" | "KiB" => 10,
        "m" | "M" | "MiB" => 20,
        "g" | "G" | "GiB" => 30,
        unit => return Err(format!("unknown unit {unit}: use K, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".into())
}

/// Valgrind's rule: rounded up to the alignment of malloc, at most 4096.
fn redzone(text: &str) -> Result<u32, String> {
    match size(text)? {
        bytes @ 0..=4096 => Ok((bytes as u32).next_multiple_of(16)),
        _ => Err("at most 4096 bytes".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("vg-record").chain(words.iter().copied()))
    }

    #[test]
    fn options_behind_the_program_belong_to_it() {
        let cli =
            parse(&["-o", "x.capnp", "--stats", "prog", "--stats", "-o", "y", "--", "z"]).expect("parses");
        assert_eq!(cli.command, ["prog", "--stats", "-o", "y", "--", "z"]);
        assert_eq!(cli.output.as_deref(), Some("x.capnp".as_ref()));
        let cli = parse(&["--", "-odd", "--help"]).expect("parses");
        assert_eq!(cli.command, ["-odd", "--help"]);
        assert!(parse(&["--stats"]).is_err(), "a program is needed");
        assert!(parse(&["--no-such-option", "prog"]).is_err());
    }

    #[test]
    fn sizes_and_flags() {
        let cli =
            parse(&["--cache-size=64M", "--redzone-size=17", "--children=no", "--freelist-vol=2k", "p"]);
        let cli = cli.expect("parses");
        assert_eq!((cli.cache_size, cli.redzone_size, cli.freelist_vol), (64 << 20, 32, 2048));
        assert_eq!(cli.children, Flag(false));
        let expected = ["--children=no", "--cache-size=67108864", "--redzone-size=32", "--freelist-vol=2048"];
        assert_eq!(cli.changed(), expected);
        assert!(parse(&["p"]).expect("parses").changed().is_empty());
        for wrong in
            ["--cache-size=9x", "--cache-size=", "--redzone-size=8K", "--children=maybe", "--num-callers=0"]
        {
            assert!(parse(&[wrong, "p"]).is_err(), "{wrong}");
        }
        assert!(size("99999999999G").is_err());
    }

    #[test]
    fn errors_and_exit_statuses() {
        let cli = parse(&["--track-fds=all", "--live", "--exit-on-first-error=yes", "p"]).expect("parses");
        assert_eq!(cli.changed(), ["--track-fds=all", "--live", "--exit-on-first-error=yes"]);
        assert_eq!(cli.error_status(), Some(1));
        let status = |words: &[&str]| parse(words).expect("parses").error_status();
        assert_eq!(status(&["p"]), None);
        assert_eq!(status(&["--error-exitcode=0", "p"]), None);
        assert_eq!(status(&["--error-exitcode=9", "--exit-on-first-error=yes", "p"]), Some(9));
        assert!(parse(&["--error-exitcode=256", "p"]).is_err());
        let refused = |words: &[&str]| parse(words).expect("parses").event_bits().is_err();
        assert!(refused(&["--exit-on-first-error=yes", "--error-exitcode=0", "p"]));
        assert!(
            refused(&["--live", "--events=clock", "p"])
                && refused(&["--track-fds=yes", "--events=none", "p"])
        );
        assert!(!refused(&["--live", "--track-fds=bad", "p"]));
        let checks = |how: &str| parse(&["--events=alloc", how, "p"]).expect("parses").checks();
        use schema::check::{ALLOCATORS, DESCRIPTORS, UNCLOSED};
        assert_eq!(checks("--track-fds=bad"), ALLOCATORS | DESCRIPTORS);
        assert_eq!(checks("--track-fds=yes"), ALLOCATORS | DESCRIPTORS | UNCLOSED);
    }

    #[test]
    fn snapshot_signals() {
        for (text, number) in [("USR2", 12), ("SIGUSR1", 10), ("15", 15), ("64", 64)] {
            let cli = parse(&[&format!("--snapshot-signal={text}"), "p"]).expect("parses");
            assert_eq!(cli.snapshot_signal, Some(Signal(number)));
            assert_eq!(cli.changed(), [format!("--snapshot-signal={number}")]);
        }
        for wrong in ["KILL", "STOP", "SEGV", "CHLD", "9", "17", "33", "65", "0", "-1", "", "SIG", "usr2"] {
            assert!(parse(&[&format!("--snapshot-signal={wrong}"), "p"]).is_err(), "{wrong}");
        }
        let cli = parse(&["--snapshot-signal=USR2", "--events=none", "p"]).expect("parses");
        assert!(cli.event_bits().unwrap_err().to_string().contains("--snapshot-signal"));
    }

    #[test]
    fn kinds_that_cannot_be_recorded_are_refused() {
        use ring::shared::{EVENTS_ALLOC, EVENTS_BLOCKS, EVENTS_CALLS, EVENTS_CLOCK, EVENTS_SHADOW};
        let default = parse(&["p"]).expect("parses");
        let all = EVENTS_ALLOC | EVENTS_SHADOW | EVENTS_CLOCK | EVENTS_BLOCKS | EVENTS_CALLS;
        assert_eq!(default.event_bits().expect("default"), all);
        assert_eq!(default.checks() & schema::check::VALUES, schema::check::VALUES);
        assert_eq!(parse(&["--events=none", "p"]).expect("parses").event_bits().expect("none"), 0);
        assert!(parse(&["--events=none,alloc", "p"]).expect("parses").event_bits().is_err());
        let cli = parse(&["--events=alloc,shadow", "p"]).expect("parses");
        assert_eq!(
            cli.event_bits().expect("shadow"),
            ring::shared::EVENTS_ALLOC | ring::shared::EVENTS_SHADOW
        );
        assert_eq!(cli.checks() & schema::check::VALUES, schema::check::VALUES);
        let cli = parse(&["--events=alloc", "--undef-value-errors=yes", "p"]).expect("parses");
        assert!(cli.event_bits().unwrap_err().to_string().contains("--events=alloc,shadow"));
        for words in [["--events=alloc", "p"], ["--undef-value-errors=no", "p"]] {
            let cli = parse(&words).expect("parses");
            assert!(cli.event_bits().is_ok() && cli.checks() & schema::check::VALUES == 0);
        }
        let cli = parse(&["--events=shadow", "p"]).expect("parses");
        assert!(cli.event_bits().unwrap_err().to_string().contains("--events=alloc,shadow"));
        let cli = parse(&["--events=access,alloc,shadow", "p"]).expect("parses");
        assert!(cli.event_bits().unwrap_err().to_string().contains("two recordings"));
        let cli = parse(&["--events=blocks", "--D1=32768,8,64", "p"]).expect("parses");
        assert!(cli.event_bits().unwrap_err().to_string().contains("--events=access"));
        assert!(parse(&["--events=nonsense", "p"]).is_err());
    }
}

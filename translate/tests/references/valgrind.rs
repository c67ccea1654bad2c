//! A program under Valgrind: Lackey's trace of memory references.

use crate::steps::Step;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use translate::references::Kind;

/// Blocks end at branches, and nothing is moved, merged or dropped: what VEX makes of each instruction on its own.
pub(crate) const EACH_INSTRUCTION: &[&str] =
    &["--vex-guest-chase=no", "--vex-iropt-unroll-thresh=0", "--vex-iropt-level=0"];
/// As Callgrind translates.
pub(crate) const AS_CALLGRIND: &[&str] =
    &["--vex-guest-chase=no", "--vex-iropt-unroll-thresh=0", "--vex-iropt-register-updates=sp-at-mem-access"];

/// Whether these programs are there; says what is missing.
pub(crate) fn installed(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let found = find(program).exists();
        if !found {
            eprintln!("skipped: {program} is not installed");
        }
        found
    })
}

/// The file of a program; its name where there is none.
pub(crate) fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.into_iter().find(|file| file.exists()).unwrap_or_else(|| program.into())
}

/// A directory for a test.
pub(crate) fn directory(test: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("references-{test}"));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// A program of `folder`, which is relative to this crate, at fixed addresses and without libc.
pub(crate) fn build(folder: &str, source: &str, directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(source);
    let program = directory.join("program");
    let arguments = "-O1 -nostdlib -static -no-pie -fno-pie -fno-stack-protector -fcf-protection=none -g0 -o";
    let output = Command::new("gcc").args(arguments.split(' ')).args([&program, &source]).output().unwrap();
    assert!(output.status.success(), "gcc: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The command that runs a program the way in which both sides run it: without input, output and environment.
pub(crate) fn command<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Perl hashes with a number of its own for each run.
    command.env("PERL_HASH_SEED", "0");
    // The code that libc has for every processor: Valgrind's has less than this one.
    command.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-RTM,-XSAVEC");
    command
}

/// The trace of a program in Valgrind.
pub(crate) fn trace(program: &Command, options: &[&str], directory: &Path) -> Vec<Step> {
    let log = directory.join("lackey.trace");
    let mut arguments: Vec<&OsStr> = ["-q", "--tool=lackey", "--trace-mem=yes", "--basic-counts=no"]
        .into_iter()
        .chain(options.iter().copied())
        .map(OsStr::new)
        .collect();
    let file = format!("--log-file={}", log.display());
    arguments.push(file.as_ref());
    arguments.push(program.get_program());
    arguments.extend(program.get_args());
    let status = command(&find("valgrind"), &arguments).status().unwrap();
    assert!(status.success(), "{program:?} in valgrind: {status}");
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    text.lines().filter_map(step).collect()
}

/// Totals of events of a program by Callgrind.
pub(crate) fn totals(program: &Command, options: &[String], names: &[&str], directory: &Path) -> Vec<u64> {
    let out = directory.join("callgrind.out");
    let file = format!("--callgrind-out-file={}", out.display());
    let mut arguments: Vec<&OsStr> = ["-q", "--tool=callgrind", &file].into_iter().map(OsStr::new).collect();
    arguments.extend(options.iter().map(OsStr::new));
    arguments.push(program.get_program());
    let status = command(&find("valgrind"), &arguments).status().unwrap();
    assert!(status.success(), "{program:?} in callgrind: {status}");
    let text = std::fs::read_to_string(out).unwrap();
    let field = |key: &str| -> Vec<&str> {
        text.lines().find_map(|line| line.strip_prefix(key)).unwrap().split_whitespace().collect()
    };
    let (events, totals) = (field("events:"), field("totals:"));
    // Zeros at the end are left out.
    let of = |name: &&str| {
        let at = events.iter().position(|event| event == name).unwrap();
        totals.get(at).map_or(0, |total| total.parse().unwrap())
    };
    names.iter().map(of).collect()
}

fn step(line: &str) -> Option<Step> {
    let (kind, place) = line.trim_start().split_once(' ')?;
    let (address, size) = place.trim_start().split_once(',')?;
    let kind = match kind {
        "I" => None,
        "L" => Some(Kind::Read),
        "S" => Some(Kind::Write),
        "M" => Some(Kind::Modify),
        _ => return None,
    };
    Some(Step { kind, address: u64::from_str_radix(address, 16).ok()?, size: size.parse().ok()? })
}

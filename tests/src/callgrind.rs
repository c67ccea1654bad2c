//! Callgrind as the peer: runs a program under it and reads what its own functions and lines cost.
//!
//! What always holds: costs are self costs, of code in the program itself alone; the levels that callgrind tells apart in
//! recursion are added up. Not here: calls, and what libraries cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::run::{Run, Scratch};
use crate::suite::{Problem, need};

/// What a program's own code costs, in instructions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Costs {
    /// By name, of functions that the source file defines.
    pub functions: BTreeMap<String, u64>,
    /// By line of the source file.
    pub lines: BTreeMap<u64, u64>,
}

/// Runs `exe`, which is compiled from a file whose path ends with `source`, in `cwd`, with these options besides. A skip when Valgrind is
/// not installed.
pub fn run(exe: &Path, source: &str, cwd: &Path, options: &[&str]) -> Result<Costs, Problem> {
    let program = exe.display().to_string();
    Ok(read(&file(options, std::slice::from_ref(&program), cwd)?, &program, source))
}

/// Runs a command for what all functions of its program cost, by name.
pub fn functions(command: &[String], cwd: &Path) -> Result<BTreeMap<String, u64>, Problem> {
    let program = command.first().map_or("", String::as_str);
    Ok(read(&file(&[], command, cwd)?, program, "").functions)
}

/// Runs it for its jumps, by instruction or by line.
pub fn jumps(exe: &Path, source: &str, by_instruction: bool, cwd: &Path) -> Result<Jumps, Problem> {
    let by = if by_instruction { "--dump-instr=yes" } else { "--dump-instr=no" };
    let program = exe.display().to_string();
    let text = file(&["--collect-jumps=yes", by], std::slice::from_ref(&program), cwd)?;
    Ok(read_jumps(&text, &program, source))
}

/// What callgrind writes of a command, with these options and all names and positions written out.
fn file(options: &[&str], command: &[String], cwd: &Path) -> Result<String, Problem> {
    need("valgrind")?;
    let scratch = Scratch::new("callgrind")?;
    let file = scratch.path().join("out");
    let own = ["valgrind", "-q", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"];
    let mut argv: Vec<String> = own.iter().chain(options).map(|word| (*word).to_owned()).collect();
    argv.push(format!("--callgrind-out-file={}", file.display()));
    argv.extend(command.iter().cloned());
    let outcome = Run::new(argv, cwd).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(format!("callgrind: {}", outcome.summary())));
    }
    Ok(fs::read_to_string(file)?)
}

/// Reads a file in callgrind's format, version 1, with all names and positions written out.
fn read(text: &str, program: &str, source: &str) -> Costs {
    let mut costs = Costs::default();
    let (mut is_own, mut file, mut function) = (false, "", None);
    let mut is_of_call = false;
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = object == program;
        } else if let Some(name) = ["fl=", "fi=", "fe="].iter().find_map(|key| line.strip_prefix(key)) {
            file = name;
        } else if let Some(name) = line.strip_prefix("fn=") {
            function = (is_own && file.ends_with(source)).then(|| without_level(name));
        } else if line.starts_with("calls=") {
            is_of_call = true;
        } else if let Some((place, cost)) = numbers(line) {
            // The line behind `calls` is the cost of what was called.
            if std::mem::take(&mut is_of_call) {
                continue;
            }
            if let Some(function) = function {
                *costs.functions.entry(function.to_owned()).or_default() += cost;
            }
            if is_own && file.ends_with(source) {
                *costs.lines.entry(place).or_default() += cost;
            }
        }
    }
    costs
}

/// By where a jump is and where it leads, as addresses or, without those, as lines: how often executed, and how often taken.
pub type Jumps = BTreeMap<(u64, u64), (u64, u64)>;

/// Reads the conditional jumps between lines of the source file, of the program's own code.
pub fn read_jumps(text: &str, program: &str, source: &str) -> Jumps {
    let mut jumps = Jumps::new();
    let (mut is_own, mut file, mut to) = (false, "", None);
    // Times and target of the jump whose place is on the next line.
    let mut pending: Option<((u64, u64), u64)> = None;
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = object == program;
        } else if let Some(name) = ["fl=", "fi=", "fe="].iter().find_map(|key| line.strip_prefix(key)) {
            file = name;
        } else if let Some(name) = line.strip_prefix("jfi=") {
            to = Some(name);
        } else if let Some(jump) = line.strip_prefix("jcnd=") {
            pending = times_and_target(jump);
        } else if let Some(((executed, taken), target)) = pending.take() {
            let is_between = [file, to.take().unwrap_or(file)].iter().all(|file| file.ends_with(source));
            if let Some(place) = first_number(line).filter(|_| is_own && is_between) {
                let times = jumps.entry((place, target)).or_default();
                *times = (times.0 + executed, times.1 + taken);
            }
        }
    }
    jumps
}

/// `3/4 0x10 5`: taken 3 times of 4.
fn times_and_target(jump: &str) -> Option<((u64, u64), u64)> {
    let (times, target) = jump.split_once(' ')?;
    let (taken, executed) = times.split_once('/')?;
    Some(((executed.parse().ok()?, taken.parse().ok()?), first_number(target)?))
}

fn first_number(line: &str) -> Option<u64> {
    let word = line.split_whitespace().next()?;
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// `fib'2` is the second level of `fib`.
fn without_level(name: &str) -> &str {
    match name.rsplit_once('\'') {
        Some((name, level)) if level.parse::<u32>().is_ok() => name,
        _ => name,
    }
}

fn numbers(line: &str) -> Option<(u64, u64)> {
    let (place, cost) = line.split_once(' ')?;
    Some((place.parse().ok()?, cost.parse().ok()?))
}

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
    need("valgrind")?;
    let scratch = Scratch::new("callgrind")?;
    let (file, program) = (scratch.path().join("out"), exe.display().to_string());
    let mut argv = vec![
        "valgrind".to_owned(),
        "-q".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", file.display()),
        "--compress-strings=no".to_owned(),
        "--compress-pos=no".to_owned(),
    ];
    argv.extend(options.iter().map(|option| (*option).to_owned()));
    argv.push(program.clone());
    let outcome = Run::new(argv, cwd).run()?;
    if outcome.code() != Some(0) {
        return Err(Problem::wrong(format!("callgrind: {}", outcome.summary())));
    }
    Ok(read(&fs::read_to_string(file)?, &program, source))
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

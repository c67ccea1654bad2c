//! What the functions of programs of some size cost by themselves, against callgrind.
//!
//! What always holds: the total of the program's own code, and each of the functions that cost the most, differ by no more than
//! half a percent. Known differences, each with what keeps it out:
//!
//! - callgrind gives stubs of the linkage table to who calls them: the programs have none (`-fno-plt`).
//! - callgrind counts each turn of an instruction that repeats itself (`rep stos`), as a compiler may write for memset, and we
//!   one: gcc is told to call it (`-mmemset-strategy`, `-mmemcpy-strategy`). Where it clears a structure it does so all the
//!   same: [`REPEATING`].
//! - Lua's hashes begin with a number that it makes of addresses and the time, and its sort chooses where to begin by the
//!   time: both are given one. Tables whose keys are addresses remain.
//! - libc chooses its functions by what the processor can do, which Valgrind's does less: libraries are not compared.

use std::collections::BTreeMap;

use tests::callgrind;
use tests::executed::record_command;
use tests::libraries::{self, LIBRARIES, compiled};
use tests::run::Scratch;
use tests::suite::{Problem, Suite, Verdict, need};

use super::{MODES, cost, items, report};

/// How far costs may be apart, in percent.
const MOST: f64 = 0.5;

/// How many functions are compared.
const FUNCTIONS: usize = 20;

/// Functions that clear structures by an instruction that repeats itself, of those that cost the most: in sqlite's parser.
const REPEATING: [&str; 1] = ["yy_reduce"];

/// What keeps a program from doing things by chance.
const LUA: [&str; 2] = ["-Dluai_makeseed(L)=7", "-Dl_randomizePivot()=7"];

pub(super) fn cases(suite: &mut Suite) {
    suite.case("own/sqlite", None, || library("sqlite", &[], None));
    suite.case("own/lua", None, || library("lua", &LUA, None));
    suite.case("own/bzip2", None, || library("bzip2", &[], Some("15000")));
    for name in ["words.cpp", "bank.rs"] {
        suite.case(format!("own/{name}"), None, move || {
            compare(&[super::compiled(name)?.display().to_string()])
        });
    }
}

/// A library, with the program that the suite `clean` runs. `more`: further options of the compiler.
fn library(name: &str, more: &[&str], argument: Option<&str>) -> Verdict {
    need("valgrind")?;
    let library = LIBRARIES.iter().find(|library| library.name == name);
    let library = library.ok_or_else(|| Problem::wrong(format!("{name} is no library")))?;
    let mut flags =
        vec!["-fno-plt", "-mmemset-strategy=libcall:-1:noalign", "-mmemcpy-strategy=libcall:-1:noalign"];
    flags.extend(more);
    let mut command = vec![compiled(library, "gcc", "-O2", &flags)?.display().to_string()];
    command.extend(library.script.map(|script| libraries::own(script).display().to_string()));
    command.extend(argument.map(str::to_owned));
    compare(&command)
}

fn compare(command: &[String]) -> Verdict {
    let scratch = Scratch::new("own")?;
    let theirs = by_plain_name(callgrind::functions(command, &scratch.fresh("cwd")?)?);
    let (trace, _) = record_command(MODES[0], command, &scratch)?;
    let report = report(&["--annotate=no"], &trace)?;
    let own = items(&report, "functions").filter(|function| function["module"] == *command[0]);
    let ours = by_plain_name(
        own.map(|function| (function["function"].as_str().unwrap_or_default().to_owned(), cost(function))),
    );
    let mut dear: Vec<(&String, u64)> = theirs.iter().map(|(name, cost)| (name, *cost)).collect();
    dear.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    if dear.len() < FUNCTIONS {
        return Err(Problem::wrong(format!("callgrind knows too little: {theirs:?}")));
    }
    let all = |costs: &BTreeMap<String, u64>| costs.values().sum::<u64>();
    let mut wrong = Vec::new();
    let mut check = |what: &str, theirs: u64, ours: u64| {
        let percent = (ours as f64 - theirs as f64) * 100.0 / theirs as f64;
        if percent.abs() > MOST {
            wrong.push(format!("{what}: {ours}, callgrind {theirs} ({percent:+.2} %)"));
        }
    };
    check("all of the program's own code", all(&theirs), all(&ours));
    let compared = dear.into_iter().filter(|(name, _)| !REPEATING.contains(&name.as_str()));
    for (name, theirs) in compared.take(FUNCTIONS) {
        check(name, theirs, ours.get(name).copied().unwrap_or(0));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Problem::wrong(wrong.join("\n"))) }
}

/// Costs by names without what a compiler adds to those of its copies (`f.constprop.0`, `f() [clone .isra.0]`): debug information,
/// which callgrind does not ask, has none of it.
fn by_plain_name(costs: impl IntoIterator<Item = (String, u64)>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (name, cost) in costs {
        let name = name.split(" [clone ").next().unwrap_or_default();
        let copies = [".constprop.", ".isra.", ".part.", ".cold"];
        let end = copies.iter().filter_map(|copy| name.find(copy)).min().unwrap_or(name.len());
        *all.entry(name[..end].to_owned()).or_default() += cost;
    }
    all
}

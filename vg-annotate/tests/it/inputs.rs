//! Files of other tools: real ones, held against the tools that read them, and what is said of damaged ones. A tool that is
//! not installed is said so, and its test ends.

use super::support::{Outcome, folder, installed, vg_annotate};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A program with inlined code, recursion and functions that call each other.
const PROGRAM: &str = "
#include <cstdio>
#include <cstdlib>
#include <vector>
__attribute__((noinline)) static int odd(int n);
__attribute__((noinline)) static int even(int n) { return n == 0 ? 1 : odd(n - 1); }
__attribute__((noinline)) static int odd(int n) { return n == 0 ? 0 : even(n - 1); }
__attribute__((noinline)) static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
int main(int argc, char **) {
    std::vector<char *> blocks;
    for (int i = 0; i < 100; i++) blocks.push_back((char *)calloc(1000, 1));
    printf(\"%d %d\\n\", fib(12 + argc), even(1000 * argc));
    for (char *block : blocks) free(block);
}
";

/// Records the program with one of valgrind's tools. `None`: not installed.
pub(crate) fn valgrind(name: &str, arguments: &[&str]) -> Option<String> {
    if !installed(&["valgrind", "g++"]) {
        return None;
    }
    let folder = folder(name);
    std::fs::write(folder.join("program.cpp"), PROGRAM).expect("a file");
    let run = |command: &mut Command| {
        let output = command.current_dir(&folder).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let source = folder.join("program.cpp");
    run(Command::new("g++").args(["-g", "-O1", "-o", "program"]).arg(source));
    run(Command::new("valgrind").args(arguments).arg("./program"));
    Some(folder.join("out").display().to_string())
}

pub(crate) fn json(arguments: &[&str]) -> serde_json::Value {
    let outcome = vg_annotate(&[&["--format=json", "--min-percent=0"], arguments].concat(), b"");
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

/// Costs by function, of one event.
pub(crate) fn by_function(report: &serde_json::Value, event: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for function in report["functions"].as_array().expect("functions") {
        let name = function["function"].as_str().expect("a name").to_owned();
        *sums.entry(name).or_insert(0) += function[event].as_u64().expect("a cost");
    }
    sums
}

/// Costs by function that callgrind_annotate or cg_annotate print: `1,234 (5.6%)  file:function [object]`.
pub(crate) fn by_function_of_peer(text: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let rows = text.split("file:function").nth(1).expect("a table").lines().skip(2);
    for row in rows.take_while(|row| !row.is_empty()) {
        let (cost, rest) = row.trim_start().split_once(' ').expect("a cost");
        let place = rest.split_once(")  ").map_or(rest, |(_, place)| place).trim();
        let (_, name) = place.split_once(':').expect("a function");
        let name = name.split(" [").next().expect("a name").replace("???", "");
        *sums.entry(name).or_insert(0) += cost.replace(',', "").parse::<u64>().expect("a number");
    }
    sums
}

pub(crate) fn peer(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The same numbers, but for functions that only one of the two shows because they cost nothing.
fn agree(ours: BTreeMap<String, u64>, theirs: BTreeMap<String, u64>) {
    let costly =
        |all: BTreeMap<String, u64>| all.into_iter().filter(|(_, cost)| *cost > 0).collect::<Vec<_>>();
    let (ours, theirs) = (costly(ours), costly(theirs));
    assert!(ours.len() > 50);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn callgrind_and_callgrind_annotate() {
    let options = ["--tool=callgrind", "--dump-instr=yes", "--collect-jumps=yes", "--callgrind-out-file=out"];
    let Some(file) = valgrind("callgrind", &options) else { return };
    let report = json(&[&file]);
    assert_eq!(report["complete"], true);
    agree(
        by_function(&report, "Ir"),
        by_function_of_peer(&peer("callgrind_annotate", &["--threshold=100", "--auto=no", &file])),
    );
    let total = report["summary"]["Ir"].as_u64().expect("a total");
    let inclusive = |name: &str| {
        let functions = report["functions"].as_array().expect("functions");
        let function = functions.iter().find(|f| f["function"].as_str().is_some_and(|f| f.starts_with(name)));
        let function = function.unwrap_or_else(|| panic!("{name}"));
        (function["inclusive"]["Ir"].as_u64().expect("a cost"), function["Ir"].as_u64().expect("a cost"))
    };
    for function in report["functions"].as_array().expect("functions") {
        assert!(function["inclusive"]["Ir"].as_u64().expect("a cost") <= total, "{function}");
    }
    let ((main, own), (fib, _)) = (inclusive("main"), inclusive("fib"));
    assert!(main > fib && fib > 1000 && own < main, "{main} {own} {fib}");
    // Both are one cycle, whose cost is that of the two together.
    assert_eq!(inclusive("even").0, inclusive("even").1 + inclusive("odd").1);
    // An uncompressed file says the same.
    let options =
        ["--tool=callgrind", "--compress-strings=no", "--compress-pos=no", "--callgrind-out-file=out"];
    let Some(plain) = valgrind("callgrind-plain", &options) else { return };
    assert_eq!(
        by_function(&json(&[&plain]), "Ir").get("fib(int)"),
        by_function(&report, "Ir").get("fib(int)")
    );
}

#[test]
fn cachegrind_and_cg_annotate() {
    let Some(file) =
        valgrind("cachegrind", &["--tool=cachegrind", "--cache-sim=yes", "--cachegrind-out-file=out"])
    else {
        return;
    };
    let report = json(&[&file]);
    assert_eq!(report["complete"], true);
    let theirs = peer("cg_annotate", &["--threshold=0", "--show=Ir", "--auto=no", &file]);
    agree(by_function(&report, "Ir"), by_function_of_peer(&theirs));
    let dear = vg_annotate(&["--show=DLmr,Ir", "--sort=Dr:80", "--annotate=no", &file], b"");
    assert_eq!(dear.status, 0);
    let header = dear.stdout.lines().find(|line| line.ends_with("file:function")).expect("a header");
    assert!(header.starts_with("DLmr"), "{header}");
}

#[test]
fn massif_tells_who_held_the_peak() {
    let options = ["--tool=massif", "--massif-out-file=out"];
    let Some(file) = valgrind("massif", &options) else { return };
    let report = json(&[&file]);
    let bytes = by_function(&report, "Bytes");
    assert_eq!(bytes["main"], 100_000, "{bytes:?}");
    let include = format!("--include={}", Path::new(&file).parent().expect("a folder").display());
    let text = vg_annotate(&[&include, "--context=0", &file], b"").stdout;
    let line = text.lines().find(|line| line.contains("calloc(1000")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.trim_start().starts_with("100,000 ("), "{line}");
    assert!(text.contains("bytes of the heap in use at snapshot"), "{text}");
}

#[test]
fn several_files_are_added_up() {
    let folder = folder("sums");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let one = file("one", "events: Ir\nfl=a.c\nfn=f\n1 10\n2 5\n");
    let two = file("two", "# callgrind format\nevents: Ir\nfl=(1) a.c\nfn=(1) f\n+2 7\n");
    let other = file("other", "events: Dr\nfl=a.c\nfn=f\n1 10\n");
    let report = json(&[&one, &two]);
    assert_eq!(report["summary"]["Ir"], 22);
    let lines: Vec<_> = report["lines"].as_array().unwrap().iter().map(|line| line["Ir"].as_u64()).collect();
    assert_eq!(lines, [Some(10), Some(12)]);
    let refused = vg_annotate(&[&one, &other], b"");
    assert_eq!(refused.status, 2);
    assert_eq!(
        refused.stderr,
        format!("vg-annotate: {other}: cannot be added: it has the events Dr, the files before it Ir\n")
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let said = |arguments: &[&str], text: &str| {
        let Outcome { status, stdout, stderr } = vg_annotate(arguments, text.as_bytes());
        assert_eq!((status, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
        stderr
    };
    assert_eq!(
        said(&[], "# callgrind format\nevents: Ir\nfn=f\n1 2\nfm=x\n"),
        "vg-annotate: stdin:5: 'fm=x': is no line of a callgrind file\n"
    );
    assert!(said(&[], "desc: x\ncmd: y\nevents: Ir\nfl=a\nfn=b\nx 1\n").contains("stdin:6: 'x 1'"));
    assert!(said(&[], "desc: x\ncmd: y\ntime_unit: i\n").contains("stdin: no snapshot"));
    assert!(said(&[], "what?\n").contains("neither a trace"));
    assert!(said(&["--thread=1"], "events: Ir\nfn=f\n1 2\n").contains("select in traces"));
    assert!(
        said(&["--sort=Dr"], "events: Ir\nfn=f\n1 2\n").contains("--sort=Dr: no such event; there are Ir")
    );
    let cut = vg_annotate(&[], b"desc: x\ncmd: y\nevents: Ir\nfl=a\nfn=b\n1 1\n");
    assert_eq!((cut.status, cut.stderr.lines().count()), (0, 1));
    assert!(cut.stderr.contains("cut short"), "{}", cut.stderr);
}

#[test]
fn calls_beside_functions_and_lines() {
    let folder = folder("tree");
    std::fs::write(folder.join("a.c"), "one\ntwo\nthree\n").expect("a file");
    let text = "events: Ir\nob=/bin/p\nfl=a.c\nfn=main\n1 10\ncfn=f\ncalls=3 3\n2 60\nfn=f\n3 60\ncfn=f\ncalls=9 3\n3 500\n";
    let include = format!("--include={}", folder.display());
    let outcome = vg_annotate(&["--tree=both", "--inclusive=yes", "--context=0", &include], text.as_bytes());
    let rule = "-".repeat(80);
    let expected = format!(
        "Events:          Ir (instructions executed)

{rule}
Ir
{rule}
70 (100.0%)  PROGRAM TOTALS

{rule}
Ir           file:function, inclusive
{rule}
70 (100.0%)  * a.c:main [/bin/p]
60 (85.71%)  > a.c:f [/bin/p] (3x)

60 (85.71%)  < a.c:f [/bin/p] (9x)
60 (85.71%)  < a.c:main [/bin/p] (3x)
60 (85.71%)  * a.c:f [/bin/p]
60 (85.71%)  > a.c:f [/bin/p] (9x)

{rule}
-- Annotated source: a.c
{rule}

10 (14.29%)  one
60 (85.71%)  two
60 (85.71%)  => a.c:f [/bin/p] (3x)
60 (85.71%)  three
60 (85.71%)  => a.c:f [/bin/p] (9x)
"
    );
    let trimmed: String = outcome.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    assert_eq!(trimmed, expected);
}

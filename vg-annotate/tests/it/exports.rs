//! Files for other tools: what those read of them is what was meant. A tool that is not installed is said so, and its test
//! ends.

use super::inputs::{by_function, by_function_of_peer, json, peer, valgrind};
use super::report::{source, trace};
use super::support::{Outcome, folder, installed, vg_annotate};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

/// Writes a file in another format; gives its path.
fn export(name: &str, arguments: &[&str], stdin: &[u8]) -> String {
    let path = folder(&format!("export-{name}")).join("out").display().to_string();
    let outcome = vg_annotate(&[&["-o", &path], arguments].concat(), stdin);
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""));
    path
}

/// Costs by function name that are not zero.
fn costly(all: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    all.into_iter().filter(|(_, cost)| *cost > 0).collect()
}

/// A heap of 1000 bytes, by three stacks.
const MASSIF: &str = "\
desc: (none)
cmd: ./prog a
time_unit: B
#-----------
snapshot=0
#-----------
time=1000
mem_heap_B=1000
mem_heap_extra_B=0
mem_stacks_B=0
heap_tree=peak
n2: 1000 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
 n2: 900 0x10: read_all(char const*) (read.c:12)
  n0: 600 0x11: main (main.c:5)
  n0: 300 0x12: load;all (load.c:7)
 n0: 100 0x13: setup (setup.c:3)
";

#[test]
fn callgrind_annotate_reads_a_trace() {
    let file = source("callgrind");
    let bytes = trace(&file, true);
    for (name, compress) in [("plain", "no"), ("compressed", "yes")] {
        let options = [
            "--format=callgrind",
            &format!("--compress-strings={compress}"),
            &format!("--compress-pos={compress}"),
        ];
        let out = export(&format!("callgrind-{name}"), &options, &bytes);
        let text = std::fs::read_to_string(&out).expect("a file");
        if compress == "no" {
            // gungraun's reader wants these headers, and knows neither numbered names nor relative lines.
            assert!(text.contains("\npid: ") && text.contains("\ncmd: ./prog arg\n"), "{text}");
            assert!(text.contains("\ntotals: 1231\n"), "{text}");
            let is_relative = |line: &str| line.starts_with(['+', '-', '*']) || line.contains("=(");
            assert!(!text.lines().any(is_relative), "{text}");
        }
        // We read the same again.
        let again = json(&[&out]);
        assert_eq!(again["summary"]["Ir"], 1231);
        assert_eq!(again["complete"], true);
        if !installed(&["callgrind_annotate"]) {
            return;
        }
        let theirs = peer("callgrind_annotate", &["--threshold=100", "--auto=no", &out]);
        assert!(theirs.contains("1,231 (100.0%)  PROGRAM TOTALS"), "{theirs}");
        assert_eq!(costly(by_function_of_peer(&theirs)), costly(by_function(&again, "Ir")), "{theirs}");
        assert!(theirs.contains("(PID 101"), "{theirs}");
    }
}

#[test]
fn functions_of_one_name_have_numbers_of_their_own() {
    // KCachegrind takes a number for one function.
    let input = "events: Ir\nob=/a\nfl=a.c\nfn=same\n1 10\nob=/b\nfl=b.c\nfn=same\n2 20\n";
    let text = vg_annotate(&["--format=callgrind"], input.as_bytes()).stdout;
    assert!(text.contains("fn=(1) same\n") && text.contains("fn=(2) same\n"), "{text}");
}

#[test]
fn callgrind_survives_a_round_trip() {
    let options = ["--tool=callgrind", "--cache-sim=yes", "--branch-sim=yes", "--callgrind-out-file=out"];
    let Some(file) = valgrind("round-trip", &options) else { return };
    let (before, out) = (json(&[&file]), export("round-trip", &["--format=callgrind", &file], b""));
    let after = json(&[&out]);
    for part in ["summary", "functions", "lines", "calls", "events", "command"] {
        assert_eq!(before[part], after[part], "{part}");
    }
    let rows = |file: &str| {
        let text = peer("callgrind_annotate", &["--threshold=100", "--auto=no", "--show=Ir,D1mr,Bcm", file]);
        text.split("file:function").nth(1).expect("a table").to_owned()
    };
    // Functions that cost the same are in no order there, and of a name in two modules the last module is told.
    let sorted = |text: String| {
        let without_module = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
        let mut lines: Vec<String> = text.lines().map(without_module).collect();
        lines.sort();
        lines
    };
    let (theirs, ours) = (sorted(rows(&file)), sorted(rows(&out)));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(theirs.len(), ours.len());
}

#[test]
fn cg_annotate_reads_a_trace_and_a_callgrind_file() {
    let file = source("cachegrind");
    let out = export("cachegrind", &["--format=cachegrind"], &trace(&file, true));
    assert_eq!(json(&[&out])["summary"]["Ir"], 1231);
    if !installed(&["cg_annotate"]) {
        return;
    }
    let theirs = peer("cg_annotate", &["--threshold=0", "--auto=no", &out]);
    assert!(theirs.contains("1,231 (100.0%)  PROGRAM TOTALS"), "{theirs}");
    let sums = by_function_of_peer(&theirs);
    assert_eq!((sums["work"], sums["lib_sort"]), (1030, 200), "{theirs}");
    let Some(file) = valgrind("to-cachegrind", &["--tool=callgrind", "--callgrind-out-file=out"]) else {
        return;
    };
    let out = export("to-cachegrind", &["--format=cachegrind", &file], b"");
    let theirs = peer("cg_annotate", &["--threshold=0", "--auto=no", &out]);
    assert_eq!(costly(by_function_of_peer(&theirs)), costly(by_function(&json(&[&file]), "Ir")));
}

#[test]
fn stacks_in_lines() {
    let outcome = vg_annotate(&["--format=collapsed"], MASSIF.as_bytes());
    assert_eq!(
        outcome.stdout,
        "load,all;read_all(char const*) 300\nmain;read_all(char const*) 600\nsetup 100\n"
    );
    let old = export("collapsed-old", &["--format=callgrind"], MASSIF.as_bytes());
    let refused = vg_annotate(&["--format=collapsed", &old], b"");
    assert_eq!((refused.status, refused.stderr.lines().count()), (2, 1));
    assert!(refused.stderr.contains("--format=collapsed needs call stacks"), "{}", refused.stderr);
}

#[test]
fn a_flame_graph_is_a_picture() {
    let out = export("flamegraph", &["--format=flamegraph"], MASSIF.as_bytes());
    let text = std::fs::read_to_string(&out).expect("a file");
    assert!(text.contains("<title>read_all(char const*) (600 Bytes, 60.00 %)</title>"), "{text}");
    assert!(text.contains("<title>all (1,000 Bytes, 100.00 %)</title>"), "{text}");
    if installed(&["python3"]) {
        peer("python3", &["-c", "import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])", &out]);
    }
}

#[test]
fn changes_of_stacks() {
    let folder = folder("stack-changes");
    let old = folder.join("old").display().to_string();
    std::fs::write(&old, MASSIF).expect("a file");
    let new = MASSIF.replace("n0: 100 0x13: setup", "n0: 150 0x13: fresh").replace(" 1000 ", " 1050 ");
    let outcome = vg_annotate(&["--diff", "--format=collapsed", &old, "-"], new.as_bytes());
    assert_eq!(
        outcome.stdout,
        "fresh 0 150\nload,all;read_all(char const*) 300 300\nmain;read_all(char const*) 600 600\nsetup 100 0\n"
    );
    let picture = vg_annotate(&["--diff", "--format=flamegraph", &old, "-"], new.as_bytes()).stdout;
    assert!(picture.contains("<title>fresh (150 Bytes, 14.29 %; +150 since 0)</title>"), "{picture}");
    let refused = vg_annotate(&["--diff", "--format=pprof", &old, "-"], new.as_bytes());
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("cannot show changes; use text"), "{}", refused.stderr);
}

#[test]
fn speedscope_gets_what_its_schema_asks_for() {
    // By file-format-schema.json of speedscope 1.25, against which a file was validated by hand.
    let outcome = vg_annotate(&["--format=speedscope"], MASSIF.as_bytes());
    let file: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
    let frames = file["shared"]["frames"].as_array().expect("frames");
    assert!(frames.iter().all(|frame| frame["name"].is_string()));
    let profile = &file["profiles"][0];
    assert_eq!((profile["type"].as_str(), profile["unit"].as_str()), (Some("sampled"), Some("bytes")));
    let samples = profile["samples"].as_array().expect("samples");
    let weights: Vec<u64> = profile["weights"]
        .as_array()
        .expect("weights")
        .iter()
        .filter_map(serde_json::Value::as_u64)
        .collect();
    assert_eq!((samples.len(), weights.iter().sum::<u64>()), (3, 1000));
    assert_eq!((profile["startValue"].as_u64(), profile["endValue"].as_u64()), (Some(0), Some(1000)));
    let stacks: Vec<Vec<&str>> = samples
        .iter()
        .map(|sample| {
            let names = sample.as_array().expect("a stack").iter();
            names
                .map(|id| frames[id.as_u64().expect("a number") as usize]["name"].as_str().expect("a name"))
                .collect()
        })
        .collect();
    assert!(stacks.contains(&vec!["main", "read_all(char const*)"]), "{stacks:?}");
}

/// The fields of a Protocol Buffers message: numbers, and their varints or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a byte");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = varint(&mut bytes);
        if key & 7 == 2 {
            let (inner, rest) = bytes.split_at(value as usize);
            fields.push((key >> 3, 0, inner));
            bytes = rest;
        } else {
            assert_eq!(key & 7, 0, "a varint");
            fields.push((key >> 3, value, [].as_slice()));
        }
    }
    fields
}

#[test]
fn pprof_gets_what_its_format_asks_for() {
    let out = export("pprof", &["--format=pprof"], MASSIF.as_bytes());
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(&out).expect("a file")).read_to_end(&mut bytes).expect("gzip");
    let fields_of_profile = fields(&bytes);
    let all = |number: u64| fields_of_profile.iter().filter(move |field| field.0 == number);
    let strings: Vec<&str> = all(6).map(|field| std::str::from_utf8(field.2).expect("text")).collect();
    assert_eq!(strings[0], "");
    let text = |message: &[u8], number: u64| {
        let index = fields(message).iter().find(|field| field.0 == number).map_or(0, |field| field.1);
        strings[index as usize]
    };
    let kind = all(1).next().expect("a sample type");
    assert_eq!((text(kind.2, 1), text(kind.2, 2)), ("inuse_space", "bytes"));
    let mut names: Vec<&str> = all(5).map(|function| text(function.2, 2)).collect();
    names.sort_unstable();
    assert_eq!(names, ["load;all", "main", "read_all(char const*)", "setup"]);
    assert_eq!(all(2).count(), 3, "samples");
    if !installed(&["go"]) {
        return;
    }
    let top = peer("go", &["tool", "pprof", "-top", "-unit=B", &out]);
    let row = top.lines().find(|line| line.contains("read_all")).unwrap_or_else(|| panic!("{top}"));
    assert_eq!(row.split_whitespace().next(), Some("900B"), "{top}");
    let row = top.lines().find(|line| line.ends_with("  main")).unwrap_or_else(|| panic!("{top}"));
    assert_eq!(row.split_whitespace().nth(3), Some("600B"), "{top}");
}

#[test]
fn files_are_written_where_they_should_be() {
    let folder = folder("output");
    let path = folder.join("report.txt");
    let outcome = vg_annotate(&["--output", &path.display().to_string(), "--color=auto"], MASSIF.as_bytes());
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    assert!(std::fs::read_to_string(&path).expect("a file").contains("PROGRAM TOTALS"));
    let Outcome { status, stderr, .. } = vg_annotate(&["-o", "/nowhere/at/all"], MASSIF.as_bytes());
    assert_eq!((status, stderr.as_str()), (2, "vg-annotate: /nowhere/at/all: No such file or directory\n"));
    let unread = folder.join("unread.svg");
    let refused = vg_annotate(
        &["-o", &unread.display().to_string(), "--format=flamegraph"],
        b"events: Ir\nfn=f\n1 2\n",
    );
    assert_eq!(refused.status, 2);
    assert!(!Path::new(&unread).exists(), "nothing is begun that cannot be written");
    let only = vg_annotate(&["--format=callgrind", "--only=main"], MASSIF.as_bytes());
    assert_eq!((only.status, only.stderr.lines().count()), (2, 1));
    assert!(only.stderr.contains("--only"), "{}", only.stderr);
}

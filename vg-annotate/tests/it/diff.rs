//! Comparisons: all formats, the source's text and lines that moved, and the gate for CI.

use super::support::{Outcome, folder, vg_annotate};
use std::path::PathBuf;

const OLD_TEXT: &str = "int f() {\n  one;\n  two;\n}\nint main() {\n  f();\n}\n";
const NEW_TEXT: &str = "// new\n// lines\nint f() {\n  one;\n  fresh;\n}\nint main() {\n  f();\n}\n";

/// A file in callgrind's format, of functions in one source file.
fn profile(file: &str, functions: &[(&str, &[(u32, u64)])]) -> String {
    let mut text = format!("version: 1\ncmd: ./prog\nevents: Ir\nob=/bin/prog\nfl={file}\n");
    for (name, lines) in functions {
        text.push_str(&format!("fn={name}\n"));
        for (line, cost) in *lines {
            text.push_str(&format!("{line} {cost}\n"));
        }
    }
    text
}

/// Two folders with the same program before and after, and the files that were measured.
fn before_and_after(name: &str) -> (PathBuf, [String; 2]) {
    let folder = folder(name);
    let write = |side: &str, text: &str, functions: &[(&str, &[(u32, u64)])]| {
        let source = folder.join(side).join("src/main.c");
        std::fs::create_dir_all(source.parent().expect("a folder")).expect("a folder");
        std::fs::write(&source, text).expect("a file");
        let path = folder.join(format!("{side}.out"));
        std::fs::write(&path, profile(&source.display().to_string(), functions)).expect("a file");
        path.display().to_string()
    };
    let old = write(
        "old",
        OLD_TEXT,
        &[("f::h0123456789abcdef", &[(1, 10), (2, 200), (3, 90)]), ("main", &[(6, 700)])],
    );
    let new = write(
        "new",
        NEW_TEXT,
        &[("f::hfedcba9876543210", &[(3, 10), (4, 300), (5, 95)]), ("main", &[(8, 700)])],
    );
    (folder, [old, new])
}

#[test]
fn changes_for_people() {
    let (folder, [old, new]) = before_and_after("diff-text");
    let Outcome { status, stdout, stderr } = vg_annotate(&["--diff", "--context=1", &old, &new], b"");
    assert_eq!((status, stderr.as_str()), (0, ""));
    let rule = "-".repeat(80);
    let source = folder.join("new/src/main.c").display().to_string();
    let expected = format!(
        "Old:             {old} (./prog)
New:             {new} (./prog)
Events:          Ir (instructions executed)

{rule}
            Ir  Ir old -> new
{rule}
+105 (+10.50%)  1,000 -> 1,105  PROGRAM TOTALS

{rule}
            Ir  Ir old -> new   file:function
{rule}
+105 (+10.50%)    300 ->   405  {source}:f [/bin/prog]

{rule}
-- Changed source: {source}
{rule}

-- line 3 --------------------------------
             .                  int f() {{
+100 (+10.00%)    200 ->   300    one;
  +5 (+0.50%)     90 ->    95    fresh;
             .                  }}
"
    );
    let squeezed = |text: &str| {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(squeezed(&stdout), squeezed(&expected));
}

#[test]
fn changes_for_programs() {
    let (_, [old, new]) = before_and_after("diff-machines");
    let csv = vg_annotate(&["--diff", "--format=csv", "--min-percent=0", &old, &new], b"");
    let rows: Vec<&str> = csv.stdout.lines().collect();
    assert_eq!(rows[0], "Ir change,percent,function,file,module,Ir old,Ir new");
    assert!(rows[1].starts_with("105,10.50,f,") && rows[1].ends_with(",300,405"), "{}", rows[1]);
    assert_eq!(rows.len(), 2, "what did not change is left out");
    let json = vg_annotate(&["--diff", "--format=json", &old, &new], b"");
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["summary"]["change"]["Ir"], 105);
    assert_eq!(json["functions"][0]["function"], "f");
    assert_eq!(json["functions"][0]["new"]["Ir"], 405);
    let lines: Vec<_> = json["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| (line["line"].as_u64(), line["old_line"].as_u64(), line["change"]["Ir"].as_i64()))
        .collect();
    assert_eq!(lines, [(Some(4), None, Some(100)), (Some(5), None, Some(5))]);
}

#[test]
fn without_texts_lines_of_a_function_move_together() {
    let folder = folder("diff-moved");
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let old = write("old", profile("/gone/a.c", &[("f", &[(10, 5), (12, 100)]), ("lost", &[(40, 30)])]));
    let new = write("new", profile("/gone/a.c", &[("f", &[(110, 5), (112, 101)])]));
    let json = vg_annotate(&["--diff", "--format=json", "--min-percent=0", &old, &new], b"");
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let lines: Vec<_> = json["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| (line["line"].as_u64(), line["old_line"].as_u64(), line["change"]["Ir"].as_i64()))
        .collect();
    assert_eq!(lines, [(Some(112), None, Some(1)), (Some(0), Some(40), Some(-30))]);
    let text = vg_annotate(&["--diff", "--min-percent=0", &old, &new], b"").stdout;
    assert!(text.contains("Gone since /gone/a.c:") && text.contains("line 40"), "{text}");
    assert!(text.contains("line 112"), "{text}");
}

#[test]
fn growth_can_fail_a_build() {
    let (_, [old, new]) = before_and_after("diff-gate");
    let status = |arguments: &[&str]| {
        let outcome = vg_annotate(&[&["--diff", "--format=csv"], arguments].concat(), b"");
        (outcome.status, outcome.stderr)
    };
    assert_eq!(status(&["--fail-above=10.5", &old, &new]), (0, String::new()));
    let (failed, why) = status(&["--fail-above=10%", &old, &new]);
    assert_eq!((failed, why.as_str()), (1, "vg-annotate: Ir grew by 10.50 %, more than --fail-above=10\n"));
    assert_eq!(status(&["--fail-above=0", &new, &old]).0, 0, "less is no growth");
    assert_eq!(status(&["--fail-above=0", &old, &old]).0, 0);
    assert_eq!(status(&["--fail-above=-20", &new, &old]).0, 1, "less by 9.5 % is not less by 20 %");
}

#[test]
fn what_cannot_be_compared() {
    let (_, [old, new]) = before_and_after("diff-errors");
    let said = |arguments: &[&str], stdin: &str| {
        let Outcome { status, stderr, .. } = vg_annotate(arguments, stdin.as_bytes());
        assert_eq!((status, stderr.lines().count()), (2, 1), "{stderr}");
        stderr
    };
    assert!(said(&["--diff", &old], "").contains("two files"));
    assert!(said(&["--diff", &old, &new, &new], "").contains("two files"));
    assert!(said(&["--fail-above=1", &old], "").contains("--diff"));
    assert!(said(&["--diff", "--tree=both", &old, &new], "").contains("--tree"));
    let calls = "events: Ir\nfn=f\n1 1\ncfn=g\ncalls=1 1\n2 5\nfn=g\n1 5\n";
    assert!(said(&["--diff", "--inclusive=yes", &old, "-"], calls).contains("calls"));
    assert!(said(&["--diff", &old, "-"], "events: Dr\nfn=f\n1 1\n").contains("no event is in both"));
}

//! Jumps: in text, JSON and callgrind's format, and where there are none to show.

use super::report::{source, trace};
use super::support::vg_annotate;

#[test]
fn jumps_stand_below_their_lines() {
    let file = source("jumps");
    let outcome = vg_annotate(&["--jumps=yes", "--color=never"], &trace(&file, true));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = outcome.stdout.lines().map(str::trim).collect();
    let below = |text: &str| {
        let at = lines.iter().position(|line| line.ends_with(text)).expect("the line");
        let jumps = lines[at + 1..].iter().map_while(|line| line.split_once("-> ").map(|(_, jump)| jump));
        jumps.collect::<Vec<_>>()
    };
    assert_eq!(
        below("  two"),
        ["0x40: 0 taken, 10 not taken (0.00%)", "line 5: 7 taken, 8 not taken (46.67%)"],
        "{}",
        outcome.stdout
    );
    assert_eq!(below("  five"), ["line 2: 1,000 taken"]);
    let one = vg_annotate(&["--jumps=yes", "--thread=2"], &trace(&file, true)).stdout;
    assert!(
        one.contains("-> line 5: 1 taken, 4 not taken (20.00%)") && !one.contains("1,000 taken"),
        "{one}"
    );
    assert!(!vg_annotate(&[], &trace(&file, true)).stdout.contains("->"));
}

#[test]
fn jumps_for_programs() {
    let file = source("jumps-json");
    let outcome = vg_annotate(&["--jumps=yes", "--format=json"], &trace(&file, true));
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let jumps = json["jumps"].as_array().expect("jumps");
    assert_eq!(jumps.len(), 3);
    let jump = &jumps[1];
    assert_eq!((&jump["function"]["function"], &jump["line"]), (&"work".into(), &2.into()));
    assert_eq!((&jump["address"], &jump["target"]["address"]), (&"0x12".into(), &"0x14".into()));
    assert_eq!(
        (&jump["executed"], &jump["taken"], &jump["conditional"]),
        (&15.into(), &7.into(), &true.into())
    );
    assert_eq!(jump["target"]["line"], 5);
    let without: serde_json::Value =
        serde_json::from_str(&vg_annotate(&["--format=json"], &trace(&file, true)).stdout).expect("JSON");
    assert!(without["jumps"].is_null());
}

#[test]
fn jumps_survive_a_file_of_callgrind() {
    let file = source("jumps-callgrind");
    for compress in ["yes", "no"] {
        let compress = format!("--compress-pos={compress}");
        let options = ["--jumps=yes", "--format=callgrind", compress.as_str()];
        let text = vg_annotate(&options, &trace(&file, true)).stdout;
        assert!(text.contains("\njcnd=7/15 ") && text.contains("\njump=1000 "), "{text}");
        // What was never taken is no jump there.
        assert_eq!(text.matches("\nj").count(), 2, "{text}");
        assert_eq!(vg_annotate(&options, text.as_bytes()).stdout, text);
        let outcome = vg_annotate(&["--jumps=yes"], text.as_bytes());
        assert!(outcome.stdout.contains("-> line 5: 7 taken, 8 not taken (46.67%)"), "{}", outcome.stdout);
    }
    let text = vg_annotate(&["--format=callgrind"], &trace(&file, true)).stdout;
    assert!(!text.contains("\nj"), "{text}");
}

#[test]
fn where_there_are_no_jumps_to_show() {
    let file = source("jumps-none");
    let bytes = trace(&file, true);
    let refused = |arguments: &[&str], input: &[u8], why: &str| {
        let outcome = vg_annotate(arguments, input);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (2, ""));
        assert!(outcome.stderr.contains(why) && outcome.stderr.lines().count() == 1, "{}", outcome.stderr);
    };
    refused(&["--jumps=yes"], b"events: Ir\nfn=f\n1 2\n", "no jumps are known");
    for format in ["--format=csv", "--format=cachegrind"] {
        refused(&["--jumps=yes", format], &bytes, "does not show jumps");
    }
    refused(&["--jumps=yes", "--diff", "a", "b"], b"", "--jumps");
}

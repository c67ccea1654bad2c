//! Files of callgrind as the format allows them, and damaged ones.

use super::*;

fn profile(text: &str) -> Profile {
    let (profile, doubts) = read(&mut text.as_bytes()).expect("a profile");
    assert_eq!(doubts, Vec::<String>::new());
    profile
}

/// `file:function:line costs` of all lines, sorted.
fn lines(profile: &Profile) -> Vec<String> {
    let mut lines: Vec<String> = profile
        .lines()
        .map(|(function, place, costs)| {
            let function = profile.function(function);
            let file = profile.file(place.file);
            format!("{}|{file}:{}:{} {:?}", function.file, function.name, place.line, costs.values())
        })
        .collect();
    lines.sort();
    lines
}

/// `caller:line -> module|file:callee times costs` of all calls, sorted.
fn calls(profile: &Profile) -> Vec<String> {
    let mut calls: Vec<String> = profile
        .calls()
        .map(|(arc, calls)| {
            let (caller, callee) = (profile.function(arc.caller), profile.function(arc.callee));
            let costs = calls.inclusive.values();
            format!(
                "{}:{} -> {}|{}:{} {} {costs:?}",
                caller.name, arc.site.line, callee.module, callee.file, callee.name, calls.times
            )
        })
        .collect();
    calls.sort();
    calls
}

#[test]
fn names_positions_and_calls() {
    let profile = profile(
        "# callgrind format
version: 1
creator: test
pid: 42
cmd:  ./prog a=b
part: 1

desc: Trigger: Program termination

positions: line
events: Ir Dr
summary: 142 3

ob=(1) /bin/prog
fl=(1) main.c
fn=(1) main
10 2 1
fi=(2) inline.h
+5 10 2
fe=(1)
* 7
cob=(2) /lib/libc.so
cfi=(3) puts.c
cfn=(2) puts
calls=3 +100
-2 90
cfn=(3) helper
calls=1 30
20 33 1
fn=(3)
30 33
ob=(2)
fl=(3)
fn=(2)
100 90

totals: 142 3
",
    );
    assert_eq!((profile.command.as_slice(), profile.pid), (["./prog a=b".to_owned()].as_slice(), 42));
    assert_eq!(
        lines(&profile),
        [
            "main.c|inline.h:main:15 [10, 2]",
            "main.c|main.c:helper:30 [33, 0]",
            "main.c|main.c:main:10 [2, 1]",
            "main.c|main.c:main:15 [7, 0]",
            "puts.c|puts.c:puts:100 [90, 0]",
        ]
    );
    assert_eq!(
        calls(&profile),
        ["main:13 -> /lib/libc.so|puts.c:puts 3 [90, 0]", "main:20 -> /bin/prog|main.c:helper 1 [33, 1]"]
    );
}

#[test]
fn instructions_jumps_and_defined_events() {
    let profile = profile(
        "event: Sum = Ir + 10 Miss : weighted
event: Ir : Instruction Fetch
positions: instr line
events: Ir Miss
fl=(1) a.c
fn=(1) f
0x401000 3 1
+4 * 2 1
jcnd=1/2 +8 +1
* *
jump=1 0x401000 3
+2 +0
+2 5 3
jfi=(9) b.c
jfn=(8) g
fn=(8)
0x500000 0x9 4
",
    );
    assert_eq!(
        lines(&profile),
        ["a.c|a.c:f:3 [3, 1, 13]", "a.c|a.c:f:5 [3, 0, 3]", "a.c|a.c:g:9 [4, 0, 4]",]
    );
    let mut jumps: Vec<_> = profile
        .jumps()
        .map(|(jump, times)| {
            let (site, target) = ((jump.address, jump.site.line), (jump.target_address, jump.target.line));
            (site, target, jump.conditional, (times.taken, times.executed))
        })
        .collect();
    jumps.sort_unstable();
    assert_eq!(
        jumps,
        [((0x40_1004, 3), (0x40_100c, 4), true, (1, 2)), ((0x40_1006, 3), (0x40_1000, 3), false, (1, 1)),]
    );
    assert_eq!(profile.events[0].meaning, "Instruction Fetch");
    assert_eq!((profile.events[2].name.as_str(), profile.events[2].meaning.as_str()), ("Sum", "weighted"));
}

#[test]
fn parts_are_added_up() {
    let profile = profile(
        "version: 1
pid: 7
part: 1
thread: 1
positions: line
events: Ir Dr
fl=(1) a.c
fn=(1) f
5 1 10
+1 1
totals: 2 10
part: 2
thread: 2
positions: instr line
events: Dr
fl=(1)
fn=(1) f
0x10 5 100
totals: 100
",
    );
    assert_eq!(
        lines(&profile),
        ["a.c|a.c:f:5 [1, 110]", "a.c|a.c:f:6 [1]"].map(|line| line.replace("[1]", "[1, 0]"))
    );
}

#[test]
fn the_smallest_files() {
    // As other tools write them: no header but the events, no file, unknown names.
    let profile = profile("events: Ticks\nfn=f\n5 1\ncfn=g\ncalls=2\n6 3\nfn=???\n0 3");
    assert_eq!(lines(&profile), ["|:::0 [3]".replace("::", ":"), "|:f:5 [1]".to_owned()]);
    assert_eq!(calls(&profile), ["f:6 -> |:g 2 [3]"]);
}

#[test]
fn damage_is_told_with_its_line() {
    let head = "version: 1\nevents: Ir\nfl=(1) a.c\nfn=(1) f\n";
    let problem = |body: &str| {
        let problem = read(&mut format!("{head}{body}").as_bytes()).expect_err(body);
        (problem.line, problem.what)
    };
    for (body, line, word) in [
        ("5 1\nfm=x\n", 6, "no line of a callgrind file"),
        ("5 1 2\n", 5, "2 costs, but 1 events"),
        ("5 x\n", 5, "'x' is no count"),
        ("-5 1\n", 5, "'-5' is no position"),
        ("99999999999 1\n", 5, "no line"),
        ("fn=(2)\n", 5, "(2) has no name yet"),
        ("fn=(1) g\n", 5, "another name"),
        ("calls=1 2\n3 4\n", 5, "cfn="),
        ("cfn=(1)\ncalls=x 2\n", 6, "number of calls"),
        ("cfn=(1)\ncalls=1 x\n", 6, "'x' is no position"),
        ("cfn=(1)\ncalls=1 2\n", 7, "ends where"),
        ("jump=a/b 1\n", 5, "number of jumps"),
        ("nonsense\n", 5, "'nonsense'"),
    ] {
        let (at, what) = problem(body);
        assert_eq!(at, line, "{body}: {what}");
        assert!(what.contains(word), "{body}: {what}");
    }
    for (text, word) in [
        ("version: 2\nevents: Ir\n", "version"),
        ("positions: bb\nevents: Ir\n", "bb"),
        ("creator: x\n", "no line events:"),
        ("events:\n", "no events"),
        ("version: 1\n5 1\n", "before a line events:"),
    ] {
        let problem = read(&mut text.as_bytes()).expect_err(text);
        assert!(problem.what.contains(word), "{text}: {}", problem.what);
    }
    let (profile, doubts) = read(&mut format!("{head}5 1\ntotals: 2\n").as_bytes()).expect("a profile");
    assert!(!profile.complete && doubts.len() == 1 && doubts[0].contains("totals:"));
}

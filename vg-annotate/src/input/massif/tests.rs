//! Trees of massif: which frame holds the bytes, and damaged files.

use super::*;
use crate::profile::graph::Graph;

const HEAD: &str = "desc: --time-unit=i\ncmd: ./prog a\ntime_unit: i\n";

fn snapshot(number: u32, kind: &str, tree: &str) -> String {
    let rule = "#-----------";
    format!(
        "{rule}\nsnapshot={number}\n{rule}\ntime={number}00\nmem_heap_B=5\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree={kind}\n{tree}"
    )
}

const PEAK: &str = "\
n3: 1000 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
 n2: 800 0x10: __gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*) (new_allocator.h:137)
  n1: 500 0x11: std::vector<int>::push_back(int const&) (stl_vector.h:1287)
   n1: 500 0x12: Table::grow(int) (/src/table.cc:40)
    n0: 500 0x13: main (/src/main.cc:9)
  n1: 300 0x14: Table::grow(int) (/src/table.cc:41)
   n1: 280 0x15: Table::grow(int) (/src/table.cc:44)
    n0: 280 0x13: main (/src/main.cc:9)
 n0: 150 0x16: read_all (in /lib/libread.so)
 n0: 50 in 3 places, all below massif's threshold (1.00%)
";

fn read_text(text: &str) -> Profile {
    let (profile, doubts) = read(&mut text.as_bytes()).expect("a profile");
    assert!(doubts.is_empty());
    profile
}

#[test]
fn the_first_frame_of_the_programs_own_holds_the_bytes() {
    let text = format!(
        "{HEAD}{}{}{}",
        snapshot(0, "empty", ""),
        snapshot(1, "peak", PEAK),
        snapshot(2, "detailed", "n0: 2000 (heap allocation functions) malloc\n")
    );
    let profile = read_text(&text);
    assert_eq!(profile.command, ["./prog a"]);
    assert!(profile.events[0].meaning.contains("snapshot 1, the peak, at 100 i"), "{:?}", profile.events);
    let mut lines: Vec<_> = profile
        .lines()
        .map(|(f, place, costs)| (profile.function(f).name.as_str(), place.line, costs.get(0)))
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [(REST, 0, 50), ("Table::grow(int)", 40, 500), ("Table::grow(int)", 41, 300), ("read_all", 0, 150)]
    );
    let graph = Graph::of(&profile);
    let inclusive = |name: &str| {
        let function = graph.functions().find(|f| profile.function(*f).name == name).unwrap();
        graph.inclusive[function.0].get(0)
    };
    assert_eq!(graph.total.get(0), 1000);
    // 20 bytes of the recursion are of callers that massif left out.
    assert_eq!((inclusive("main"), inclusive("Table::grow(int)"), inclusive("read_all")), (780, 800, 150));
    let calls: Vec<_> =
        graph.calls.iter().map(|(arc, calls)| (arc.site.line, calls.inclusive.get(0))).collect();
    assert_eq!(calls.iter().filter(|call| **call == (9, 780)).count(), 1, "{calls:?}");
}

#[test]
fn without_a_peak_the_largest_counts() {
    let tree = |bytes| format!("n0: {bytes} (heap allocation functions) malloc\n");
    let text = format!("{HEAD}{}{}", snapshot(3, "detailed", &tree(7)), snapshot(4, "detailed", &tree(9)));
    let profile = read_text(&text);
    assert!(profile.events[0].meaning.contains("snapshot 4"), "{:?}", profile.events);
    assert_eq!(Graph::of(&profile).total.get(0), 9);
}

#[test]
fn damage_is_told_with_its_line() {
    let problem = |text: &str| {
        let problem = read(&mut text.as_bytes()).expect_err(text);
        (problem.line, problem.what)
    };
    let file = |tree: &str| format!("{HEAD}{}", snapshot(1, "peak", tree));
    for (text, line, word) in [
        (HEAD.to_owned(), 0, "no snapshot"),
        (format!("{HEAD}{}", snapshot(1, "empty", "")), 0, "who allocated"),
        (format!("{HEAD}what"), 4, "'what'"),
        (format!("{HEAD}snapshot=x"), 4, "number"),
        (file("n2: 5 x\n n0: 3 0x1: f (a.c:1)\n"), 14, "middle"),
        (file("n1: 5 x\n  n0: 3 0x1: f (a.c:1)\n"), 13, "indented by 2 instead of 1"),
        (file("n1: 5 x\n x0: 3\n"), 13, "heap tree"),
        (file("n99999999999999999999: 5 x\n"), 12, "heap tree"),
    ] {
        let (at, what) = problem(&text);
        assert_eq!(at, line, "{text}: {what}");
        assert!(what.contains(word), "{text}: {what}");
    }
}

#[test]
fn labels() {
    let of =
        |label| frame(label).map(|f| (f.function.to_owned(), f.file.to_owned(), f.line, f.module.to_owned()));
    let expected = |function: &str, file: &str, line, module: &str| {
        Some((function.to_owned(), file.to_owned(), line, module.to_owned()))
    };
    assert_eq!(of("0x1: f(int (*)()) (a b.c:7)"), expected("f(int (*)())", "a b.c", 7, ""));
    assert_eq!(of("0x1: ??? (in /lib/x (1).so)"), expected("", "", 0, "/lib/x (1).so"));
    assert_eq!(of("0xA: f"), expected("f", "", 0, ""));
    assert_eq!(of("in 2 places, all below massif's threshold (1.00%)"), None);
    assert_eq!(of("(heap allocation functions) malloc/new/new[], --alloc-fns, etc."), None);
}

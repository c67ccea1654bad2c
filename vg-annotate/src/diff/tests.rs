//! Two profiles as wholes.

use super::*;
use crate::profile::Place;

/// Lines with their costs.
type Lines<'a> = &'a [(u32, &'a [u64])];

/// A profile of functions: their names, files and lines.
fn profile(events: &[&str], functions: &[(&str, &str, Lines<'_>)]) -> Profile {
    let mut profile = Profile::new(events.iter().map(|name| Event::named(name)).collect());
    for (name, file, lines) in functions {
        let name = (*name).to_owned();
        let function =
            profile.function_id(Function { name, file: (*file).to_owned(), module: "p".to_owned() });
        let file = profile.file_id(file);
        for (line, costs) in *lines {
            profile.add_line(function, Place { file, line: *line }, costs);
        }
    }
    profile
}

fn diff(old: &Profile, new: &Profile) -> Diff {
    let (old_graph, new_graph) = (Graph::of(old), Graph::of(new));
    let library = || Library::new("/nowhere", &[]);
    let mut old = Side { profile: old, graph: &old_graph, library: library() };
    let mut new = Side { profile: new, graph: &new_graph, library: library() };
    Diff::of(&mut old, &mut new, false, &|_| true)
}

#[test]
fn changes_add_up() {
    let old = profile(
        &["Ir"],
        &[("f", "a.c", &[(1, &[10]), (2, &[20])]), ("gone", "a.c", &[(9, &[5])]), ("g", "b.c", &[(3, &[7])])],
    );
    let new = profile(
        &["Ir"],
        &[
            ("f", "a.c", &[(11, &[10]), (12, &[50])]),
            ("g", "b.c", &[(3, &[6])]),
            ("fresh", "c.c", &[(1, &[2])]),
        ],
    );
    let diff = diff(&old, &new);
    assert_eq!((diff.total.old.get(0), diff.total.new.get(0), diff.total.by(0)), (42, 68, 26));
    let functions: Vec<_> =
        diff.functions.iter().map(|change| (change.function.name.as_str(), change.change.by(0))).collect();
    assert_eq!(functions, [("f", 30), ("fresh", 2), ("g", -1), ("gone", -5)]);
    let mut lines = Vec::new();
    for file in &diff.files {
        lines.extend(file.lines.iter().map(|(line, change)| (file.file.as_str(), *line, change.by(0))));
        lines.extend(
            file.gone.iter().map(|(line, costs)| (file.file.as_str(), *line, -i128::from(costs.get(0)))),
        );
    }
    assert_eq!(lines, [("a.c", 11, 0), ("a.c", 12, 30), ("a.c", 9, -5), ("b.c", 3, -1), ("c.c", 1, 2)]);
    assert_eq!(lines.iter().map(|line| line.2).sum::<i128>(), 26);
    assert!((diff.total.growth(0) - 61.904).abs() < 0.01);
}

#[test]
fn levels_of_recursion_are_one_function() {
    let mut old = profile(&["Ir"], &[("f", "a.c", &[(1, &[10])]), ("f'2", "a.c", &[(1, &[50])])]);
    let (first, deeper) = (FunctionId(0), FunctionId(1));
    let site = Place { file: old.file_id("a.c"), line: 1 };
    old.add_calls(crate::profile::Arc { caller: first, site, callee: deeper }, 2, &[50]);
    let new = profile(&["Ir"], &[("f", "a.c", &[(1, &[61])])]);
    let (old_graph, new_graph) = (Graph::of(&old), Graph::of(&new));
    for inclusive in [false, true] {
        let library = || Library::new("/nowhere", &[]);
        let mut before = Side { profile: &old, graph: &old_graph, library: library() };
        let mut after = Side { profile: &new, graph: &new_graph, library: library() };
        let diff = Diff::of(&mut before, &mut after, inclusive, &|_| true);
        let changes: Vec<_> =
            diff.functions.iter().map(|f| (f.change.old.get(0), f.change.new.get(0))).collect();
        assert_eq!(changes, [(60, 61)]);
    }
}

#[test]
fn growth_from_nothing_has_no_limit() {
    let change = |old, new| Change { old: Costs::of(&[old]), new: Costs::of(&[new]) };
    assert_eq!((change(0, 0).growth(0), change(0, 1).growth(0)), (0.0, f64::INFINITY));
    assert_eq!((change(10, 5).growth(0), change(10, 5).size(0)), (-50.0, 5));
    assert_eq!(change(u64::MAX, 0).by(0), -i128::from(u64::MAX));
}

#[test]
fn events_of_both_are_compared() {
    let mut old = profile(&["Ir", "Dr", "Bc"], &[("f", "a.c", &[(1, &[1, 2, 3])])]);
    let mut new = profile(&["Bc", "Ir", "Dw"], &[("f", "a.c", &[(1, &[30, 10, 9])])]);
    align(&mut old, &mut new).unwrap();
    let diff = diff(&old, &new);
    assert_eq!(diff.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["Bc", "Ir"]);
    let change = &diff.functions[0].change;
    assert_eq!((change.by(0), change.by(1), change.by(2)), (27, 9, 0));
    let mut other = profile(&["Dw"], &[]);
    assert!(align(&mut old, &mut other).is_err_and(|why| why.contains("Bc,Ir") && why.contains("Dw")));
}

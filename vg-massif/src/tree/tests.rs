//! Trees of made-up stacks, as lines.

use super::testing::symbols;
use super::*;

/// Stacks are named by their places in `stacks`, from 1.
fn lines(stacks: &[&str], detail: &[(u32, u64)], total: u64, threshold: f64) -> Vec<String> {
    let (symbols, ids) = symbols(stacks);
    let detail: Vec<_> = detail.iter().map(|(stack, bytes)| (ids[*stack as usize - 1], *bytes)).collect();
    let mut callers = Callers::new(&symbols, &[], &[], 30);
    let entries = tree(&detail, &mut callers, total, threshold);
    let line = |entry: &Entry<'_>| {
        let what = match entry.what {
            What::Allocators => "all".to_owned(),
            What::Function(frame) => frame.function.to_owned(),
            What::Places(places) => format!("{places} places"),
        };
        format!("{}{} {} {what}", " ".repeat(entry.depth), entry.children, entry.bytes)
    };
    entries.iter().map(line).collect()
}

const STACKS: &[&str] =
    &["malloc|f|main", "malloc|g|main", "malloc|f|h|main", "malloc|k|main", "malloc|i^j|main"];

#[test]
fn small_places_are_added_up_at_their_place() {
    let detail = [(1, 500), (2, 4), (3, 300), (4, 7), (5, 9)];
    assert_eq!(
        lines(STACKS, &detail, 1000, 1.0),
        ["2 820 all", " 2 800 f", "  0 500 main", "  1 300 h", "   0 300 main", " 0 20 3 places"]
    );
    // Equal ones by address; with all of them above the threshold.
    assert_eq!(
        lines(STACKS, &[(4, 9), (2, 9), (5, 10)], 100, 0.0),
        ["3 28 all", " 1 10 i", "  1 10 j", "   0 10 main", " 1 9 g", "  0 9 main", " 1 9 k", "  0 9 main"]
    );
}

#[test]
fn places_that_hold_nothing_any_more_are_counted() {
    assert_eq!(
        lines(STACKS, &[(1, 200), (2, 0)], 200, 1.0),
        ["2 200 all", " 1 200 f", "  0 200 main", " 0 0 1 places"]
    );
    assert_eq!(lines(STACKS, &[(1, 0), (2, 0)], 0, 1.0), ["1 0 all", " 0 0 2 places"]);
    assert_eq!(lines(STACKS, &[], 0, 1.0), ["0 0 all"]);
}

#[test]
fn depth_is_no_danger() {
    let stack = vec!["f"; 100_000].join("|");
    let entries = lines(&[&stack], &[(1, 1)], 1, 1.0);
    assert_eq!(entries.len(), 31);
}

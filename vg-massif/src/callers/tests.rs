//! Which frames are told, and whose allocations do not count.

use super::*;
use crate::tree::testing::symbols;

fn names(callers: &mut Callers<'_>, stack: u32) -> Vec<String> {
    callers.of(stack).iter().map(|frame| frame.function.to_owned()).collect()
}

fn patterns(names: &[&str]) -> Vec<Pattern> {
    names.iter().map(|name| Pattern::new(name)).collect()
}

#[test]
fn allocators_at_the_top_and_what_calls_main_are_left_out() {
    let (symbols, ids) = symbols(&[
        "malloc|operator new(unsigned long)|f|malloc|main|__libc_start_main|_start",
        "malloc|before|_start",
        "malloc|free",
        "malloc|wrap|wrap2|f|main",
        "malloc|in^f|g^h|main",
    ]);
    let mut callers = Callers::new(&symbols, &[], &[], 30);
    assert_eq!(names(&mut callers, ids[0]), ["f", "malloc", "main"]);
    assert_eq!(names(&mut callers, ids[1]), ["before", "_start"]);
    assert_eq!(names(&mut callers, ids[2]), ["free"], "something has to be left");
    assert_eq!(names(&mut callers, 99), [""]);
    let alloc_fn = patterns(&["wrap.*"]);
    assert_eq!(names(&mut Callers::new(&symbols, &alloc_fn, &[], 30), ids[3]), ["f", "main"]);
    // Inlined functions share the address of their caller.
    assert_eq!(names(&mut Callers::new(&symbols, &[], &[], 2), ids[4]), ["in", "f", "g", "h"]);
    assert_eq!(names(&mut Callers::new(&symbols, &[], &[], 1), ids[4]), ["in", "f"]);
}

#[test]
fn the_function_that_allocates_is_ignored_and_its_callers_are_not() {
    let (symbols, ids) = symbols(&["malloc|f|g|main", "malloc|wrap|f|main"]);
    let ignored = |alloc: &[&str], ignore: &[&str], stack| {
        Callers::new(&symbols, &patterns(alloc), &patterns(ignore), 30).is_ignored(ids[stack])
    };
    assert!(ignored(&[], &["f"], 0) && !ignored(&[], &["g", "malloc", "fx"], 0));
    assert!(!ignored(&[], &["f"], 1) && ignored(&["wrap"], &["f"], 1));
}

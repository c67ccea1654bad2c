//! Rust: a doubly linked list of raw pointers, one node of which is dropped without being unlinked.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

struct Node {
    value: i64,
    next: *mut Node,
    before: *mut Node,
}

#[inline(never)]
fn push(list: *mut Node, value: i64) -> *mut Node {
    let node = Box::into_raw(Box::new(Node { value, next: list, before: null_mut() }));
    if !list.is_null() {
        // SAFETY: a live node.
        unsafe { (*list).before = node };
    }
    node
}

static LOOKS: AtomicU32 = AtomicU32::new(0);

#[inline(never)]
fn value_of(node: *mut Node) -> i64 {
    LOOKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: none for the dropped one: that is what is to be found.
    unsafe { (&raw const (*node).value).read_volatile() } //~ InvalidRead 8
}

fn main() {
    let last = push(null_mut(), 1);
    let middle = push(last, 2);
    let first = push(middle, 3);
    // SAFETY: none from here on.
    unsafe {
        assert_eq!(value_of((*first).next), 2);
        drop(Box::from_raw(middle));
        black_box(value_of((*first).next));
        (&raw mut (*(*last).before).next).write_volatile(null_mut()); //~ InvalidWrite 8
        assert_eq!((*first).next, middle);
        drop(Box::from_raw(first));
        drop(Box::from_raw(last));
    }
    println!("EXIT-SUCCESS");
}

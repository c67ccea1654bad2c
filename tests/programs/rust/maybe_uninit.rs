//! Rust: an array of MaybeUninit of which one element is assumed to be set too early.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=3

use std::hint::black_box;
use std::mem::MaybeUninit;

struct Entry {
    key: u64,
    state: u8,
}

#[inline(never)]
fn is_ready(entry: &Entry) -> bool {
    if entry.state == 1 { //~ UninitCondition 0
        return black_box(true);
    }
    black_box(false)
}

fn main() {
    let mut entries: Box<[MaybeUninit<Entry>]> = Box::new_uninit_slice(4);
    entries[0].write(Entry { key: 3, state: 1 });
    let first = entries.as_mut_ptr().cast::<Entry>();
    // SAFETY: none for the second: that is what is to be found.
    unsafe {
        (*first.add(1)).key = 5;
        assert!(is_ready(black_box(&*first)));
        assert_eq!((*first).key + (*first.add(1)).key, 8);
        is_ready(black_box(&*first.add(1)));
    }
    println!("EXIT-SUCCESS");
}

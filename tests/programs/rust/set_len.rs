//! Rust: Vec::set_len makes elements of what was never written.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;

#[inline(never)]
fn look(value: &u32) -> u32 {
    if *value == 7 { //~ UninitCondition 0
        black_box(1)
    } else {
        black_box(2)
    }
}

fn main() {
    let mut list: Vec<u32> = Vec::with_capacity(8);
    list.push(7);
    assert_eq!(look(black_box(&list[0])), 1);
    // SAFETY: none: that is what is to be found.
    unsafe { list.set_len(8) };
    look(black_box(&list[3]));
    list[3] = 7;
    assert_eq!(look(black_box(&list[3])), 1);
    println!("EXIT-SUCCESS");
}

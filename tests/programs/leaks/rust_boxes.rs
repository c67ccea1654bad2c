//! Boxes that are leaked, forgotten, turned into raw pointers, and dropped.
// build: rustc --edition 2021 -g -C opt-level=0
// build O: rustc --edition 2021 -g -C opt-level=1
use std::hint::black_box;

struct Big {
    _bytes: [u8; 300],
}

#[repr(align(128))]
struct Aligned {
    _bytes: [u8; 128],
}

#[inline(never)]
fn fill() {
    black_box(Box::leak(Box::new(Big { _bytes: [1; 300] }))); //~ definite 300 1
    std::mem::forget(black_box(Box::new(7_u64))); //~ definite 8 1
    black_box(Box::into_raw(Box::new([0_u32; 5]))); //~ definite 20 1
    black_box(Box::leak(Box::new(Aligned { _bytes: [2; 128] }))); //~ definite 128 1
    black_box(Box::leak(vec![9_u16; 50].into_boxed_slice())); //~ definite 100 1
    drop(black_box(Box::new(Big { _bytes: [3; 300] })));
}

#[inline(never)]
fn scrub() -> usize {
    black_box([0_u8; 16384]).len()
}

fn main() {
    fill();
    scrub();
    println!("EXIT-SUCCESS");
}

//! A panic that unwinds drops what it passes, except what was forgotten; the program goes on.
// build: rustc --edition 2021 -g -C opt-level=0
// errors: ignored
use std::hint::black_box;
use std::panic;

#[inline(never)]
fn fails(depth: u32) -> usize {
    let owned = vec![depth; 100];
    if depth == 3 {
        std::mem::forget(black_box(Box::new([depth; 11]))); //~ definite 44 1
    }
    if depth == 0 {
        panic!("at the bottom");
    }
    fails(depth - 1) + owned.len()
}

#[inline(never)]
fn scrub() -> usize {
    black_box([0_u8; 16384]).len()
}

fn main() {
    panic::set_hook(Box::new(|_| {}));
    assert!(panic::catch_unwind(|| fails(6)).is_err());
    drop(panic::take_hook());
    scrub();
    println!("EXIT-SUCCESS");
}

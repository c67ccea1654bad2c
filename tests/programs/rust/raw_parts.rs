//! Rust: a slice from raw parts that is longer than the allocation, and one of a vector that has gone.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;

#[inline(never)]
fn element(slice: &[u32], index: usize) -> u32 {
    let count = black_box(slice.len());
    assert!(index < count);
    // SAFETY: none: that is what is to be found.
    unsafe { slice.as_ptr().add(index).read_volatile() } //~ InvalidRead 4
}

fn main() {
    let list = black_box(vec![10_u32, 20, 30]);
    // SAFETY: none for the last element.
    let longer = unsafe { std::slice::from_raw_parts(list.as_ptr(), 4) };
    assert_eq!(element(longer, 2), 30);
    black_box(element(longer, 3));
    let gone = {
        let other = black_box(vec![1_u32; 16]);
        // SAFETY: none: it outlives the vector.
        unsafe { std::slice::from_raw_parts(other.as_ptr(), 16) }
    };
    black_box(element(gone, 5));
    println!("EXIT-SUCCESS");
}

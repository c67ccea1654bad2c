//! Rust: two boxes of one raw pointer, and two vectors of the same parts.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;

fn main() {
    let raw = black_box(Box::into_raw(Box::new(41_u64)));
    // SAFETY: none from the second owner on: that is what is to be found.
    unsafe {
        let one = Box::from_raw(raw);
        assert_eq!(*one, 41);
        drop(black_box(one));
        drop(black_box(Box::from_raw(raw))); //~ InvalidFree 0
    }
    let mut list = black_box(vec![1_u16, 2, 3]);
    let (start, length, capacity) = black_box((list.as_mut_ptr(), list.len(), list.capacity()));
    // SAFETY: none, as above.
    let other = unsafe { Vec::from_raw_parts(start, length, capacity) };
    assert_eq!(other[1], 2);
    drop(other);
    drop(list); //~ InvalidFree 0
    println!("EXIT-SUCCESS");
}

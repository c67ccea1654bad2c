//! Rust: what unsafe code can do to the heap.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;

fn main() {
    let list: Vec<u32> = black_box(vec![1, 2, 3]);
    // SAFETY: none: these are the errors that are to be found.
    let past = unsafe { list.as_ptr().add(3).read_volatile() }; //~ InvalidRead 4
    black_box(past);

    let dangling = Box::into_raw(Box::new(5_u64));
    // SAFETY: none, as above.
    unsafe {
        drop(Box::from_raw(dangling));
        black_box(dangling.read_volatile()); //~ InvalidRead 8
        dangling.write_volatile(6); //~ InvalidWrite 8
    }
    println!("EXIT-SUCCESS");
}

//! Rust: memory of an arena is given back with the layout of one of its elements, and of an array as of a boxed slice.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2
// peer: knows nothing of layouts

use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;

struct Arena {
    start: *mut u64,
    size: usize,
}

impl Arena {
    #[inline(never)]
    fn new(size: usize) -> Self {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc(Layout::array::<u64>(black_box(size)).unwrap()) };
        Self { start: black_box(start.cast()), size }
    }
}

impl Drop for Arena {
    #[inline(never)]
    fn drop(&mut self) {
        assert_eq!(self.size, 10);
        // SAFETY: none: that is what is to be found.
        unsafe { dealloc(self.start.cast(), black_box(Layout::new::<u64>())) }; //~ MismatchedAllocateDeallocateSize 0
        self.size = black_box(0);
    }
}

fn main() {
    let arena = Arena::new(10);
    // SAFETY: inside the arena.
    unsafe { arena.start.add(9).write_volatile(4) };
    drop(arena);
    let list = black_box(vec![1_u32, 2, 3, 4].into_boxed_slice());
    let raw = black_box(Box::into_raw(list).cast::<u32>());
    // SAFETY: none, as above.
    unsafe { drop(Box::from_raw(raw)) }; //~ MismatchedAllocateDeallocateSize 0
    println!("EXIT-SUCCESS");
}

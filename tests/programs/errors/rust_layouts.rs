//! Rust: deallocations with another layout than the allocation's, and of what is no block.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=3
// peer: knows nothing of layouts

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::hint::black_box;

fn layout(size: usize, align: usize) -> Layout {
    black_box(Layout::from_size_align(size, align).unwrap())
}

/// What is never looked at is not even allocated or resized.
fn block_of(layout: Layout) -> *mut u8 {
    // SAFETY: no layout here is empty.
    black_box(unsafe { alloc(layout) })
}

fn main() {
    // SAFETY: none: these are the errors that are to be found.
    unsafe {
        let block = block_of(layout(40, 8));
        dealloc(block, layout(32, 8)); //~ MismatchedAllocateDeallocateSize 0
        let block = block_of(layout(64, 64));
        dealloc(block, layout(64, 32)); //~ MismatchedAllocateDeallocateAlignment 0
        let block = block_of(layout(64, 64));
        dealloc(block, layout(64, 8)); //~ MismatchedAllocateDeallocateAlignment 0
        let block = black_box(alloc_zeroed(layout(64, 8)));
        dealloc(block, layout(60, 128)); //~ MismatchedAllocateDeallocateSize 0 //~ MismatchedAllocateDeallocateAlignment 0
        let block = block_of(layout(50, 8));
        let block = black_box(realloc(block, layout(49, 8), 100)); //~ MismatchedAllocateDeallocateSize 0
        dealloc(block, layout(100, 8));

        // A vector that is taken apart and put together with another capacity.
        let mut list: Vec<u16> = black_box(Vec::with_capacity(10));
        list.push(1);
        let start = black_box(std::mem::ManuallyDrop::new(list).as_mut_ptr());
        drop(Vec::from_raw_parts(start, 1, 1)); //~ MismatchedAllocateDeallocateSize 0

        let owned = Box::into_raw(black_box(Box::new(7_u64)));
        drop(Box::from_raw(black_box(owned)));
        dealloc(black_box(owned.cast()), layout(8, 8)); //~ InvalidFree 0

        // Nothing is wrong with these: alignments that malloc keeps anyway, and one that it does not.
        dealloc(block_of(layout(4, 16)), layout(4, 16));
        dealloc(block_of(layout(4, 8)), layout(4, 8));
        let block = block_of(layout(4, 16));
        let block = black_box(realloc(block, layout(4, 16), 32));
        let block = black_box(realloc(block, layout(32, 16), 8));
        dealloc(block, layout(8, 16));
        let block = block_of(layout(100, 4096));
        block.add(99).write_volatile(3);
        let block = black_box(realloc(block, layout(100, 4096), 5000));
        assert!(block.addr() % 4096 == 0 && block.add(99).read_volatile() == 3);
        dealloc(block, layout(5000, 4096));
    }
    let mut text = String::new();
    for i in 0..1000 {
        text.push_str(&i.to_string());
    }
    text.shrink_to_fit();
    let shared: std::sync::Arc<str> = black_box(text.into());
    drop(shared);
    println!("EXIT-SUCCESS");
}

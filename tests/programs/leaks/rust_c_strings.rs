//! Strings that go to C and do not come back, and memory from the C library's malloc called directly.
// build: rustc --edition 2021 -g -C opt-level=0
use std::ffi::{CStr, CString, c_char, c_void};
use std::hint::black_box;

extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
    fn strdup(text: *const c_char) -> *mut c_char;
}

#[inline(never)]
fn fill() {
    let text = CString::new("to the other side").unwrap(); //~ definite 18 1
    let raw = text.into_raw();
    // SAFETY: `raw` is a string with an end that was just made, and malloc takes any size.
    unsafe {
        assert_eq!(CStr::from_ptr(raw).to_bytes().len(), 17);
        black_box(strdup(raw)); //~ definite 18 1
        black_box(malloc(33)); //~ definite 33 1
        free(black_box(malloc(34)));
    }
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

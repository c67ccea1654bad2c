//! Rust: a CString's memory is given to C's free, and one of malloc to CString::from_raw.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::ffi::{CStr, CString, c_char, c_void};
use std::hint::black_box;

unsafe extern "C" {
    fn free(block: *mut c_void);
    fn strlen(text: *const c_char) -> usize;
    fn strdup(text: *const c_char) -> *mut c_char;
}

fn main() {
    let text = CString::new("a text of Rust").unwrap();
    // SAFETY: what is wrong is marked; freeing Rust's memory by C's free is not noticed where both are one allocator.
    unsafe {
        let raw = black_box(text.into_raw());
        assert_eq!(strlen(raw), 14);
        let copy = black_box(strdup(raw));
        drop(CString::from_raw(raw));
        black_box(strlen(raw)); //~ InvalidRead 1
        assert_eq!(CStr::from_ptr(copy).to_bytes(), b"a text of Rust");
        free(copy.cast());
        free(copy.cast()); //~ InvalidFree 0
    }
    println!("EXIT-SUCCESS");
}

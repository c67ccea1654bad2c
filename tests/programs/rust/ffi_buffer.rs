//! Rust: C functions are told of a larger buffer than there is, and fill one in part.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::ffi::{c_int, c_void};
use std::hint::black_box;

unsafe extern "C" {
    fn memset(start: *mut c_void, byte: c_int, size: usize) -> *mut c_void;
    fn pipe(ends: *mut c_int) -> c_int;
    fn write(fd: c_int, buffer: *const c_void, size: usize) -> isize;
    fn read(fd: c_int, buffer: *mut c_void, size: usize) -> isize;
}

#[inline(never)]
fn check(byte: &u8) -> u8 {
    if *byte > 5 { black_box(1) } else { black_box(0) } //~ UninitCondition 0
}

fn main() {
    let mut buffer: Vec<u8> = black_box(Vec::with_capacity(24));
    // SAFETY: none: that is what is to be found.
    unsafe {
        memset(buffer.as_mut_ptr().cast(), black_box(1), black_box(25)); //~ InvalidWrite 1
        let mut ends = [0; 2];
        assert_eq!(pipe(ends.as_mut_ptr()), 0);
        let mut unset: Vec<u8> = black_box(Vec::with_capacity(16));
        assert_eq!(write(ends[1], buffer.as_ptr().cast(), 10), 10);
        assert_eq!(read(ends[0], unset.as_mut_ptr().cast(), 16), 10);
        unset.set_len(16);
        assert_eq!(check(black_box(&unset[9])), 0);
        check(black_box(&unset[10]));
        write(ends[1], unset.as_ptr().cast(), 16); //~ SyscallParam 0
    }
    println!("EXIT-SUCCESS");
}

//! Rust: a union is read through a field that is larger than the one which was written.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;

#[repr(C)]
union Word {
    byte: u8,
    whole: u32,
}

#[inline(never)]
fn is_small(word: &Word) -> u32 {
    // SAFETY: none where only the byte is set: that is what is to be found.
    if unsafe { word.whole } < 1000 { black_box(1) } else { black_box(0) } //~ UninitCondition 0
}

#[inline(never)]
fn low(word: &Word) -> u8 {
    // SAFETY: the low byte is set.
    (unsafe { word.whole } & 0xff) as u8
}

fn main() {
    let mut words: Box<[std::mem::MaybeUninit<Word>]> = Box::new_uninit_slice(2);
    words[0].write(Word { whole: 70 });
    let first = words.as_mut_ptr().cast::<Word>();
    // SAFETY: none for the larger field of the second.
    unsafe {
        (&raw mut (*first.add(1)).byte).write_volatile(9);
        assert_eq!(is_small(&*first), 1);
        assert_eq!(low(black_box(&*first.add(1))), 9);
        black_box(is_small(&*first.add(1)));
    }
    println!("EXIT-SUCCESS");
}

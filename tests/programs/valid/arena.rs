//! Rust, valid: an arena of raw memory, uninitialised arrays filled step by step, enums with niches, small strings.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=3

use std::alloc::{Layout, alloc, dealloc};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::mem::MaybeUninit;

struct Arena {
    start: *mut u8,
    used: usize,
}

const LAYOUT: Layout = match Layout::from_size_align(4096, 16) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

impl Arena {
    fn new() -> Self {
        // SAFETY: the layout is not empty.
        Self { start: unsafe { alloc(LAYOUT) }, used: 0 }
    }

    fn put<T: Copy>(&mut self, value: T) -> &mut T {
        self.used = self.used.next_multiple_of(align_of::<T>());
        assert!(self.used + size_of::<T>() <= 4096);
        // SAFETY: inside the block, aligned, and nobody else's.
        let place = unsafe { &mut *self.start.add(self.used).cast::<MaybeUninit<T>>() };
        self.used += size_of::<T>();
        place.write(value)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, LAYOUT) };
    }
}

fn main() {
    let mut arena = Arena::new();
    for i in 0..50_u8 {
        assert_eq!(*arena.put((i, u32::from(i) * 3)), (i, u32::from(i) * 3));
        assert_eq!(*arena.put(Some(black_box(i))), Some(i));
    }
    let mut squares = [const { MaybeUninit::<u64>::uninit() }; 64];
    for (i, square) in squares.iter_mut().enumerate().take(40) {
        square.write((i * i) as u64);
    }
    // SAFETY: forty were set.
    let sum: u64 = squares[..40].iter().map(|square| unsafe { square.assume_init() }).sum();
    assert_eq!(sum, 20540);
    let mut words = HashMap::new();
    let mut order: BTreeMap<Option<char>, Vec<Result<u8, String>>> = BTreeMap::new();
    for i in 0..300_u32 {
        *words.entry(format!("word {}", i % 17)).or_insert(0) += i;
        let item = if i % 2 == 0 { Ok(i as u8) } else { Err(i.to_string()) };
        order.entry(char::from_u32(0x60 + i % 9).filter(|_| i % 4 != 0)).or_default().push(item);
    }
    assert_eq!(words.values().sum::<u32>(), 44850);
    assert_eq!(order.values().map(Vec::len).sum::<usize>(), 300);
    let mut list: Vec<(bool, u16, Box<str>)> = (0..90).map(|i| (i % 2 == 0, i * 7 % 31, i.to_string().into())).collect();
    list.sort();
    assert!(list.is_sorted() && list[45].0);
    println!("EXIT-SUCCESS");
}

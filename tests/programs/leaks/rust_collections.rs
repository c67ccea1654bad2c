//! Collections that are forgotten with all that they own: the owner is definite, what it owns indirect.
// build: rustc --edition 2021 -g -C opt-level=0
use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;

#[inline(never)]
fn strings() {
    let mut names = Vec::with_capacity(4); //~ definite 96+30 1
    for index in 0..3 {
        let mut name = String::with_capacity(10); //~ indirect 30 3
        name.push_str(["a", "b", "c"][index]);
        names.push(name);
    }
    std::mem::forget(black_box(names));
}

#[inline(never)]
fn growth() {
    let mut numbers = Vec::new();
    for number in 0..100_u64 {
        numbers.push(number); //~ definite 1024 1
    }
    black_box(numbers.leak());
}

#[inline(never)]
fn boxed() {
    let mut queue = Box::new(VecDeque::with_capacity(8)); //~ definite 32+64 1 //~ indirect 64 1
    queue.push_back(5_u64);
    black_box(Box::leak(queue));
}

#[inline(never)]
fn balanced() {
    let map: BTreeMap<u32, String> = (0..50).map(|number| (number, number.to_string())).collect();
    assert_eq!(black_box(map).len(), 50);
}

#[inline(never)]
fn scrub() -> usize {
    black_box([0_u8; 16384]).len()
}

fn main() {
    strings();
    growth();
    boxed();
    balanced();
    scrub();
    println!("EXIT-SUCCESS");
}

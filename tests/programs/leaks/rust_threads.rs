//! Threads that forget memory, results that are never taken, and channels that are dropped full.
// build: rustc --edition 2021 -g -C opt-level=0
use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

#[inline(never)]
fn work(index: usize) -> Vec<u8> {
    std::mem::forget(black_box(Box::new([index; 6]))); //~ definite 192 4
    vec![1; 70]
}

fn main() {
    let handles: Vec<_> = (0..4).map(|index| thread::spawn(move || work(index))).collect();
    let total: usize = handles.into_iter().map(|handle| handle.join().unwrap().len()).sum();
    assert_eq!(total, 280);
    let (sender, receiver) = mpsc::channel();
    for index in 0..100 {
        sender.send(vec![index; 10]).unwrap();
    }
    drop(receiver);
    drop(sender);
    println!("EXIT-SUCCESS");
}

//! Rust: a raw pointer crosses threads, and its owner drops the value before the other thread looks.
// build: rustc --edition 2021 -g -C opt-level=0
// build fast: rustc --edition 2021 -g -C opt-level=2

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;

static LOOKS: AtomicU32 = AtomicU32::new(0);

#[inline(never)]
fn look(address: usize) -> u64 {
    LOOKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: none for the dropped one: that is what is to be found.
    unsafe { (address as *const u64).read_volatile() } //~ InvalidRead 8
}

fn main() {
    let value = Box::new(black_box(77_u64));
    let address = &raw const *value as usize;
    let (send, receive) = channel::<usize>();
    let (done, wait) = channel::<u64>();
    let reader = thread::spawn(move || {
        for address in receive {
            done.send(look(address)).unwrap();
        }
    });
    send.send(address).unwrap();
    assert_eq!(wait.recv().unwrap(), 77);
    drop(black_box(value));
    send.send(address).unwrap();
    wait.recv().unwrap();
    drop(send);
    reader.join().unwrap();
    let shared = Arc::new(5_u32);
    let other = Arc::clone(&shared);
    assert_eq!(thread::spawn(move || *other + 1).join().unwrap(), 6);
    println!("EXIT-SUCCESS");
}

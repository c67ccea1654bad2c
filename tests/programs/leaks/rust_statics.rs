//! Roots of Rust programs: statics, lazily made statics, leaked references, thread locals of the main thread.
// build: rustc --edition 2021 -g -C opt-level=0
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, OnceLock};

static POINTER: AtomicPtr<u64> = AtomicPtr::new(std::ptr::null_mut());
static INTERIOR: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static ONCE: OnceLock<Box<[u8]>> = OnceLock::new();
static LIST: Mutex<Vec<Box<u32>>> = Mutex::new(Vec::new());

thread_local! {
    static LOCAL: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[inline(never)]
fn fill() {
    POINTER.store(Box::into_raw(Box::new(1)), Ordering::Relaxed); //~ reachable 8 1
    let bytes = vec![1_u8; 90].leak(); //~ possible 90 1
    INTERIOR.store(&raw mut bytes[7], Ordering::Relaxed);
    ONCE.get_or_init(|| vec![2_u8; 91].into_boxed_slice()); //~ reachable 91 1
    let mut list = LIST.lock().unwrap();
    list.reserve_exact(2); //~ reachable 16 1
    list.push(Box::new(3)); //~ reachable 4 1
    LOCAL.with_borrow_mut(|local| local.extend([0_u8; 92]));
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

//! Trait objects and closures: fat pointers have a start pointer as their first word.
// build: rustc --edition 2021 -g -C opt-level=0
use std::hint::black_box;
use std::sync::Mutex;

trait Shape: Send {
    fn area(&self) -> u64;
}

struct Square(u64, [u64; 4]);

impl Shape for Square {
    fn area(&self) -> u64 {
        self.0 * self.0 + self.1[0]
    }
}

static SHAPES: Mutex<Vec<Box<dyn Shape>>> = Mutex::new(Vec::new());

#[inline(never)]
fn fill() {
    let mut shapes = SHAPES.lock().unwrap();
    shapes.reserve_exact(1); //~ reachable 16 1
    shapes.push(Box::new(Square(3, [0; 4]))); //~ reachable 40 1
    let lost: Box<dyn Shape> = Box::new(Square(4, [1; 4])); //~ definite 40 1
    assert_eq!(black_box(&lost).area(), 17);
    std::mem::forget(lost);
    let text = String::from("captured"); //~ indirect 8 1
    let closure: Box<dyn Fn() -> usize> = Box::new(move || text.len()); //~ definite 24+8 1
    assert_eq!(black_box(&closure)(), 8);
    std::mem::forget(closure);
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

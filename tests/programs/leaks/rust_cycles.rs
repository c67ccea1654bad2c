//! Cycles of Rc and Arc; the same shape with Weak is freed.
// build: rustc --edition 2021 -g -C opt-level=0
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Node {
    strong: RefCell<Option<Rc<Node>>>,
    weak: RefCell<Option<Weak<Node>>>,
}

#[derive(Default)]
struct Shared {
    other: Mutex<Option<Arc<Shared>>>,
}

#[inline(never)]
fn itself() {
    let node = Rc::new(Node::default()); //~ definite 48 1
    *node.strong.borrow_mut() = Some(node.clone());
}

#[inline(never)]
fn pair() {
    let nodes: [Arc<Shared>; 2] = std::array::from_fn(|_| Arc::new(Shared::default())); //~ definite 32+32 1 //~ indirect 32 1
    *nodes[0].other.lock().unwrap() = Some(nodes[1].clone());
    *nodes[1].other.lock().unwrap() = Some(nodes[0].clone());
}

#[inline(never)]
fn weak() {
    let (parent, child) = (Rc::new(Node::default()), Rc::new(Node::default()));
    *parent.strong.borrow_mut() = Some(child.clone());
    *child.weak.borrow_mut() = Some(Rc::downgrade(&parent));
}

#[inline(never)]
fn scrub() -> usize {
    black_box([0_u8; 16384]).len()
}

fn main() {
    itself();
    pair();
    weak();
    scrub();
    println!("EXIT-SUCCESS");
}

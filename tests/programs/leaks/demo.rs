//! A small program with the leaks that Rust programs have: a cycle of reference counts, a table that is
//! forgotten on the way to C, and a cache that is kept on purpose.
// build: rustc --edition 2021 -g -C opt-level=0
use std::cell::RefCell;
use std::ffi::CString;
use std::rc::Rc;
use std::sync::Mutex;

/// A person who knows other people: strong references both ways make a cycle that nobody frees.
struct Person {
    friends: RefCell<Vec<Rc<Person>>>,
}

static CACHE: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn meet() {
    let person = || Rc::new(Person { friends: RefCell::default() }); //~ definite 48+144 1 //~ indirect 48 1
    let (ann, bob) = (person(), person());
    for (one, other) in [(&ann, &bob), (&bob, &ann)] {
        let mut friends = one.friends.borrow_mut();
        friends.reserve_exact(6); //~ indirect 96 2
        friends.push(other.clone());
    }
}

fn hand_to_c(name: &str) {
    let name = CString::new(name).unwrap_or_default(); //~ definite 14 1
    // The C side would have to give it back; nobody does.
    let pointer = name.into_raw();
    println!("handed over: {}", !pointer.is_null());
}

fn main() {
    CACHE.lock().unwrap().extend([1, 2, 3, 4]); //~ reachable 32 1
    meet();
    hand_to_c("Ada Lovelace!");
}

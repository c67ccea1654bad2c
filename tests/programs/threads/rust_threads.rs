//! Threads, channels, scoped threads, parking and panics of Rust.
// build: rustc --edition 2021 -O
// build debug: rustc --edition 2021 -g
// errors: ignored
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

fn main() {
    let (sender, receiver) = mpsc::sync_channel(3);
    let producers: Vec<_> = (0..4_u64)
        .map(|index| {
            let sender = sender.clone();
            thread::Builder::new()
                .name(format!("producer-{index}"))
                .spawn(move || (0..500).for_each(|value| sender.send(vec![index * 1000 + value]).unwrap()))
                .unwrap()
        })
        .collect();
    drop(sender);
    let total: u64 = receiver.iter().map(|values| values[0]).sum();
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    println!("total {total}");

    let words = ["one", "two", "three", "two"];
    let counts = RwLock::new(HashMap::new());
    let visits = AtomicUsize::new(0);
    thread::scope(|scope| {
        for word in words {
            let (counts, visits) = (&counts, &visits);
            scope.spawn(move || {
                *counts.write().unwrap().entry(word).or_insert(0) += 1;
                visits.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    let mut counts: Vec<_> = counts.into_inner().unwrap().into_iter().collect();
    counts.sort_unstable();
    println!("{counts:?} {}", visits.into_inner());

    let failed = thread::spawn(|| panic!("on purpose")).join();
    println!("panicked: {}", failed.is_err());

    let state = Arc::new((Mutex::new(0), Condvar::new()));
    let other = state.clone();
    let parked = thread::spawn(move || {
        thread::park();
        *other.0.lock().unwrap() = 7;
        other.1.notify_all();
    });
    parked.thread().unpark();
    let guard = state.1.wait_while(state.0.lock().unwrap(), |value| *value == 0).unwrap();
    println!("value {}", *guard);
    parked.join().unwrap();
    let (_guard, timeout) = state.1.wait_timeout(guard, Duration::from_millis(10)).unwrap();
    println!("timed out {}", timeout.timed_out());
    println!("EXIT-SUCCESS");
}

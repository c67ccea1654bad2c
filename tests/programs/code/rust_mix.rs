//! Ordinary Rust: iterators, hash maps, big integers by hand, panics caught, formatted floats, trait objects.
// build: rustc --edition 2021 -O
// build debug: rustc --edition 2021 -g
// build static: rustc --edition 2021 -O -C target-feature=+crt-static
// errors: ignored
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;

fn factorial(n: u32) -> String {
    let mut digits = vec![1_u32];
    for factor in 2..=n {
        let mut carry = 0;
        for digit in &mut digits {
            let value = *digit * factor + carry;
            *digit = value % 10;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from_digit(*digit, 10).unwrap()).collect()
}

fn main() {
    println!("{}", factorial(60));
    let words: HashMap<usize, Vec<String>> = (0..500).fold(HashMap::new(), |mut map, n: usize| {
        map.entry(n % 7).or_insert_with(Vec::new).push(format!("{n:x}"));
        map
    });
    let sorted: BTreeMap<_, _> = words.iter().map(|(key, list)| (key, list.concat().len())).collect();
    println!("{sorted:?}");
    let mut text = String::new();
    for n in 1..6 {
        write!(text, "{:.3} {:e} ", f64::from(n).sqrt(), 1.0 / f64::from(n)).unwrap();
    }
    println!("{text}");
    let mut queue: VecDeque<u64> = (1..=10).collect();
    for _ in 0..1000 {
        let value = queue.pop_front().unwrap();
        queue.push_back(value.wrapping_mul(6_364_136_223_846_793_005).rotate_left(13));
    }
    println!("{:016x}", queue.iter().fold(0, |a, b| a ^ b));
    let result = std::panic::catch_unwind(|| {
        let empty: Vec<u32> = Vec::new();
        empty[std::hint::black_box(3)]
    });
    println!("{}", result.is_err());
    println!("EXIT-SUCCESS");
}

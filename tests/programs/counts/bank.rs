//! Rust of some size: collections, iterators, sorting, formatting, parsing, trait objects, a small machine; without anything that
//! differs from run to run.
// build: rustc --edition 2021 -O -g
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::fmt::Write;
use std::rc::Rc;

struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }
}

trait Account {
    fn name(&self) -> &str;
    fn add(&mut self, amount: i64) -> Result<i64, String>;
}

struct Current {
    name: String,
    balance: i64,
}

struct Savings {
    name: String,
    balance: i64,
    moves: VecDeque<i64>,
}

impl Account for Current {
    fn name(&self) -> &str {
        &self.name
    }

    fn add(&mut self, amount: i64) -> Result<i64, String> {
        self.balance += amount;
        if self.balance < -5000 { Err(format!("{} is overdrawn by {}", self.name, -self.balance)) } else { Ok(self.balance) }
    }
}

impl Account for Savings {
    fn name(&self) -> &str {
        &self.name
    }

    fn add(&mut self, amount: i64) -> Result<i64, String> {
        if self.balance + amount < 0 {
            return Err(format!("{} has only {}", self.name, self.balance));
        }
        self.balance += amount;
        self.moves.push_back(amount);
        if self.moves.len() > 10 {
            self.moves.pop_front();
        }
        Ok(self.moves.iter().sum::<i64>() + self.balance)
    }
}

#[derive(Debug, Clone)]
enum Code {
    Push(i64),
    Add,
    Multiply,
    Swap,
    Jump(usize),
    Loop(Rc<Vec<Code>>, u32),
}

fn execute(code: &[Code], stack: &mut Vec<i64>) -> usize {
    let (mut at, mut steps) = (0, 0);
    while let Some(step) = code.get(at) {
        steps += 1;
        at += 1;
        match step {
            Code::Push(value) => stack.push(*value),
            Code::Add | Code::Multiply => {
                let (a, b) = (stack.pop().unwrap_or(1), stack.pop().unwrap_or(1));
                stack.push(if matches!(step, Code::Add) { a.wrapping_add(b) } else { a.wrapping_mul(b) % 1_000_003 });
            }
            Code::Swap => {
                let length = stack.len();
                if length > 1 {
                    stack.swap(length - 1, length - 2);
                }
            }
            Code::Jump(over) => at += over,
            Code::Loop(inner, times) => steps += (0..*times).map(|_| execute(inner, stack)).sum::<usize>(),
        }
    }
    steps
}

fn parse(text: &str) -> Result<BTreeMap<String, Vec<i64>>, std::num::ParseIntError> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, numbers) = line.split_once(':').unwrap_or((line, ""));
        let numbers: Result<Vec<i64>, _> = numbers.split_whitespace().map(str::parse).collect();
        all.entry(name.to_owned()).or_default().extend(numbers?);
    }
    Ok(all)
}

fn shortest(roads: &BTreeMap<u32, Vec<(u32, u32)>>, from: u32) -> BTreeMap<u32, u32> {
    let mut known = BTreeMap::new();
    let mut open = BinaryHeap::from([(std::cmp::Reverse(0), from)]);
    while let Some((std::cmp::Reverse(length), town)) = open.pop() {
        if known.contains_key(&town) {
            continue;
        }
        known.insert(town, length);
        for &(next, more) in roads.get(&town).into_iter().flatten() {
            open.push((std::cmp::Reverse(length + more), next));
        }
    }
    known
}

fn main() {
    let mut random = Random(12345);
    let mut accounts: Vec<Box<dyn Account>> = Vec::new();
    for number in 0..40 {
        let name = format!("account {number:03}");
        accounts.push(match number % 3 {
            0 => Box::new(Savings { name, balance: 100, moves: VecDeque::new() }),
            _ => Box::new(Current { name, balance: 0 }),
        });
    }
    let (mut text, mut refused) = (String::new(), 0);
    for _ in 0..8000 {
        let number = random.next() as usize % accounts.len();
        let amount = i64::from(random.next() % 2000) - 1000;
        match accounts[number].add(amount) {
            Ok(balance) => writeln!(text, "{}: {amount} {balance}", accounts[number].name()).unwrap(),
            Err(why) => refused += why.len(),
        }
    }
    let parsed = parse(&text).unwrap();
    assert!(parsed.len() == accounts.len() && refused > 0);
    let mut sums: Vec<(i64, &String)> = parsed.iter().map(|(name, all)| (all.iter().sum(), name)).collect();
    sums.sort_unstable();
    let mut words: Vec<String> = (0..5000).map(|_| format!("{:x}", random.next() % 70_000)).collect();
    words.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| b.cmp(a)));
    words.dedup();
    let letters: BTreeSet<char> = words.iter().flat_map(|word| word.chars()).collect();
    assert_eq!(letters.len(), 16);
    let roads = (0..600).fold(BTreeMap::new(), |mut roads: BTreeMap<u32, Vec<(u32, u32)>>, town| {
        let ways = (0..5).map(|_| (random.next() % 600, 1 + random.next() % 50));
        roads.entry(town).or_default().extend(ways);
        roads
    });
    let reached = (0..6).map(|from| shortest(&roads, from).len()).sum::<usize>();
    assert!(reached > 600);
    let inner = Rc::new(vec![Code::Push(3), Code::Add, Code::Swap, Code::Jump(1), Code::Push(7), Code::Push(5), Code::Multiply]);
    let outer = [Code::Push(2), Code::Loop(inner.clone(), 200), Code::Push(9), Code::Loop(inner, 300)];
    let mut stack = vec![1];
    let steps: usize = (0..300).map(|_| execute(&outer, &mut stack)).sum();
    assert!(steps > 100_000 && stack.len() > 1);
    println!("EXIT-SUCCESS");
}

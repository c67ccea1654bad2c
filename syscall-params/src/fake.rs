//! Guest memory for tests: pieces at addresses, and what a call's checks and marks are as text.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::{Check, Kept, Memory};

/// Pieces of memory by address.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) bytes: BTreeMap<u64, u8>,
    pub(crate) semaphores: Option<u64>,
    pub(crate) map: Option<(u64, u64)>,
    pub(crate) read_only: Option<bool>,
}

impl Fake {
    pub(crate) fn put(mut self, address: u64, bytes: &[u8]) -> Fake {
        self.bytes.extend((address..).zip(bytes.iter().copied()));
        self
    }

    pub(crate) fn words(self, address: u64, words: &[u64]) -> Fake {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(address, &bytes)
    }

    /// `read write(buf) 2000+10`, `register write(fd) 0:4`, addresses and sizes in hexadecimal.
    pub(crate) fn before(&self, number: u64, arguments: &[u64]) -> (Vec<String>, Kept) {
        let mut found = Vec::new();
        let before = crate::before(number, &six(arguments), self, true, &mut |check| {
            found.push(match check {
                Check::Register { parameter, index, size } => format!("register {parameter} {index}:{size}"),
                Check::Memory { parameter, need, address, size: u64::MAX } => {
                    format!("{need:?} {parameter} {address:x}").to_lowercase()
                }
                Check::Memory { parameter, need, address, size } => {
                    format!("{need:?} {parameter} {address:x}+{size:x}").to_lowercase()
                }
            });
        });
        assert!(before.known);
        (found, before.kept)
    }

    /// The checks of memory.
    pub(crate) fn memory(&self, number: u64, arguments: &[u64]) -> Vec<String> {
        let (mut found, _) = self.before(number, arguments);
        found.retain(|line| !line.starts_with("register "));
        found
    }

    /// The names of the registers that are checked.
    pub(crate) fn registers(&self, number: u64, arguments: &[u64]) -> Vec<String> {
        let (found, _) = self.before(number, arguments);
        found.iter().filter_map(|line| line.strip_prefix("register ")).map(Into::into).collect()
    }

    pub(crate) fn after(&self, number: u64, arguments: &[u64], result: i64, kept: &Kept) -> Vec<String> {
        let mut found = Vec::new();
        crate::after(number, &six(arguments), result, kept, self, &mut |address, size| {
            found.push(format!("{address:x}+{size:x}"));
        });
        found
    }
}

fn six(arguments: &[u64]) -> [u64; 6] {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    all
}

impl Memory for Fake {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        into.iter_mut().zip(address..).all(|(byte, at)| match self.bytes.get(&at) {
            Some(value) => {
                *byte = *value;
                true
            }
            None => false,
        })
    }

    fn semaphores(&self, _set: u32) -> Option<u64> {
        self.semaphores
    }

    fn bpf_map(&self, _descriptor: u32) -> Option<(u64, u64)> {
        self.map
    }

    fn read_only(&self, _descriptor: u32) -> Option<bool> {
        self.read_only
    }
}

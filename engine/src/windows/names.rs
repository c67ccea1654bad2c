//! Names of functions that switch collection: patterns, and the names that a linkage name matches them by.
//!
//! A pattern is matched in full, with `*` for any characters and `?` for one: against the name in the symbol table, the demangled
//! name as Callgrind prints it (C++ with parameters and result, Rust without its hash), and that of C++ without both.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use cpp_demangle::{DemangleOptions, ParseOptions};
use ring::toggles::Toggles;

/// The stack of a thread in the engine is small.
const DEEPEST: u32 = 64;

/// The patterns, in the recorder's order.
#[derive(Debug, Default)]
pub struct Patterns(Vec<Vec<u8>>);

impl Patterns {
    /// Those that the recorder has put down.
    pub fn read(toggles: &Toggles) -> Patterns {
        let mut list = Vec::new();
        let mut pattern = Vec::new();
        for byte in toggles.bytes() {
            match byte {
                0 => list.push(core::mem::take(&mut pattern)),
                byte => pattern.push(byte),
            }
        }
        Patterns(list)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A bit for each pattern that a function is meant by, given its name in the symbol table.
    pub fn matched(&self, raw: &[u8]) -> u64 {
        if is_cold(raw) {
            return 0;
        }
        let mut found = self.matched_by(raw);
        if matches!(raw, [b'_', b'Z' | b'R', ..])
            && let Ok(raw) = core::str::from_utf8(raw)
        {
            each_name(raw, |name| found |= self.matched_by(name.as_bytes()));
        }
        found
    }

    fn matched_by(&self, name: &[u8]) -> u64 {
        let patterns = self.0.iter().zip(0u32..);
        patterns
            .filter(|(pattern, _)| matches(pattern, name))
            .fold(0, |found, (_, number)| found | 1 << number)
    }
}

/// Whether it is the name of a part of a function that lies elsewhere: "f.cold", "f.cold.1".
fn is_cold(raw: &[u8]) -> bool {
    let number = raw.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    raw.ends_with(b".cold") || raw[..raw.len() - number].ends_with(b".cold")
}

/// The names of the source language.
fn each_name(raw: &str, mut each: impl FnMut(&str)) {
    if let Ok(name) = rustc_demangle::try_demangle(raw) {
        let mut text = String::new();
        let _ = write!(text, "{name:#}");
        return each(&text);
    }
    let parsing = ParseOptions::default().recursion_limit(DEEPEST);
    let Ok(symbol) = cpp_demangle::Symbol::new_with_options(raw.as_bytes(), &parsing) else { return };
    let whole = DemangleOptions::new().recursion_limit(DEEPEST);
    let short = DemangleOptions::new().recursion_limit(DEEPEST).no_params().no_return_type();
    for options in [whole, short] {
        if let Ok(name) = symbol.demangle_with_options(&options) {
            each(&name);
        }
    }
}

/// Whether a name is what a pattern stands for.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on with one more character for the last `*`.
    let mut again = None;
    let (mut at, mut in_name) = (0, 0);
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at + 1, in_name));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match &mut again {
                Some((behind, from)) => {
                    *from += 1;
                    (at, in_name) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Patterns {
        Patterns(list.iter().map(|pattern| pattern.as_bytes().to_vec()).collect())
    }

    #[test]
    fn stars_and_question_marks() {
        let is_it = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        assert!(is_it("main", "main") && !is_it("main", "main2") && !is_it("main", "mai"));
        assert!(is_it("*", "") && is_it("**", "x") && is_it("a*", "a") && !is_it("?", ""));
        assert!(
            is_it("*::bench_?::*", "my::bench_a::inner") && !is_it("*::bench_?::*", "my::bench_ab::inner")
        );
        assert!(is_it("a*b*c", "axbxbxc") && !is_it("a*b*c", "axbxbx"));
        assert!(is_it("*aab", "aaaab"));
        assert!(!is_it("", "x") && is_it("", ""));
    }

    #[test]
    fn names_of_all_languages() {
        let list = patterns(&[
            "ns::f",
            "ns::f(int)",
            "*::g",
            "_ZN2ns1fEi",
            "main",
            "void ns::t<int>(int)",
            "ns::t*",
        ]);
        assert_eq!(list.matched(b"_ZN2ns1fEi"), 0b1011);
        assert_eq!(list.matched(b"_ZN2ns1fEv"), 0b1);
        assert_eq!(list.matched(b"_ZN4core1g17h0123456789abcdefE"), 0b100);
        assert_eq!(list.matched(b"_RNvCs15kBYyAo9fc_7mycrate1g"), 0b100);
        assert_eq!(list.matched(b"main"), 0b1_0000);
        assert_eq!(list.matched(b"_ZN2ns1tIiEEvT_"), 0b110_0000);
        assert_eq!(list.matched(b"_Z"), 0);
        assert_eq!(list.matched(&[0xff, b'_']), 0);
    }

    #[test]
    fn a_part_of_a_function_is_none() {
        let list = patterns(&["*f*"]);
        assert_eq!([list.matched(b"_ZN2ns1fEi.cold"), list.matched(b"f.cold.12")], [0, 0]);
        assert_eq!([list.matched(b"f.part.0"), list.matched(b"f.coldest"), list.matched(b"f")], [1, 1, 1]);
    }

    #[test]
    fn deep_names_are_given_up() {
        let deep = [b"_Z1f".as_slice(), &[b'P'; 100_000], b"i"].concat();
        assert_eq!(patterns(&["f"]).matched(&deep), 0);
    }
}

//! Names of functions without what a compiler numbers, so that they are the same in another build.
//!
//! Removed are the hash of Rust's old mangling (`::h0123456789abcdef`), that of a crate in the new one (`core[0123456789abcdef]`), and
//! what LLVM and gcc append to a function's own copies: `.llvm.123`, `.isra.0`, `.constprop.0`, `.part.0`, `.cold`, also as c++filt
//! writes it (`[clone .isra.0]`), and callgrind's number of a level of recursion (`fib'2`).

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

static NUMBERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let clone = r"\.(?:llvm|isra|constprop|part|lto_priv|cold|localalias)(?:\.\d+)*";
    let pattern =
        format!(r"::h[0-9a-f]{{16}}\b|\[[0-9a-f]{{8,16}}\]|(?: \[clone {clone}\])+|(?:{clone})+$|'\d+$");
    Regex::new(&pattern).ok()
});

/// Whether callgrind means a deeper level of recursion, which the function's own inclusive cost has in it.
pub fn is_deeper(name: &str) -> bool {
    name.rsplit_once('\'')
        .is_some_and(|(_, level)| !level.is_empty() && level.bytes().all(|c| c.is_ascii_digit()))
}

/// The name of a function in all builds.
pub fn stable(name: &str) -> Cow<'_, str> {
    match &*NUMBERED {
        Some(numbered) => numbered.replace_all(name, ""),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_compilers_are_no_part_of_a_name() {
        for (name, stable_name) in [
            ("alloc::vec::push::h0123456789abcdef", "alloc::vec::push"),
            ("core[1e9b27a1f3aabbcc]::ptr::read", "core::ptr::read"),
            ("f.isra.0", "f"),
            ("f.part.0.constprop.1", "f"),
            ("f(int) [clone .cold]", "f(int)"),
            ("f(int) [clone .isra.0] [clone .part.3]", "f(int)"),
            ("g.llvm.1234567", "g"),
            ("std::vector<int[8]>::f()", "std::vector<int[8]>::f()"),
            ("mod::hash", "mod::hash"),
            ("fib(int)'2", "fib(int)"),
            ("f<'a>", "f<'a>"),
            ("x.cold_start", "x.cold_start"),
        ] {
            assert_eq!(stable(name), stable_name);
        }
        assert!(is_deeper("fib'2") && !is_deeper("fib") && !is_deeper("f<'a>") && !is_deeper("f'"));
    }
}

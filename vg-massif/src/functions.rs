//! Functions that options name: by the whole name, or by a regular expression that matches all of it.
//!
//! What always holds: a name means itself, also where it has signs that mean something else in a regular expression
//! (`operator new[](unsigned long)`), as in Massif, which knows names alone.

use regex::Regex;
use std::fmt;

/// What `--alloc-fn` or `--ignore-fn` names.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    /// None: the text is no regular expression.
    regex: Option<Regex>,
}

impl Pattern {
    /// From the text of the option.
    pub fn new(text: &str) -> Pattern {
        Pattern { text: text.to_owned(), regex: Regex::new(&format!("^(?:{text})$")).ok() }
    }

    /// Whether a function is meant.
    pub fn is(&self, function: &str) -> bool {
        self.text == function || self.regex.as_ref().is_some_and(|regex| regex.is_match(function))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_expressions_mean_whole_names() {
        let is = |pattern: &str, function: &str| Pattern::new(pattern).is(function);
        assert!(is("pool_get", "pool_get") && !is("pool", "pool_get"));
        assert!(is("pool_.*|slab", "pool_get") && is("pool_.*|slab", "slab") && !is("pool_.*", "a_pool_get"));
        let new = "operator new[](unsigned long)";
        assert!(is(new, new) && is(r"operator new.*", new) && is("my(", "my("));
        assert!(!is("my(", "my"));
    }
}

//! What `vg-record --stats` printed.
//!
//! Always holds: lines that are not counters (the program's own standard error) are passed over. Not here: which
//! counters are shown (`report`).

use std::collections::BTreeMap;

/// The counters of one recording by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// Reads lines of the form `NUMBER  NAME`.
    pub(crate) fn parse(text: &str) -> Counters {
        let pairs = text.lines().filter_map(|line| {
            let (number, name) = line.trim_start().split_once("  ")?;
            Some((name.trim().to_owned(), number.parse().ok()?))
        });
        Counters(pairs.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_between_other_lines() {
        let text = "guest says: 5  things\n             120  allocations\n            7.25  trace bytes per event\n\
                    3 small\n";
        let counters = Counters::parse(text);
        assert_eq!(counters.get("allocations"), Some(120.0));
        assert_eq!(counters.get("trace bytes per event"), Some(7.25));
        assert_eq!(counters.get("things"), None);
        assert_eq!(counters.0.len(), 2);
    }
}

//! Lists of names as Valgrind's options take them: `all`, `none`, or names with commas between them.
//!
//! A [`Table`] belongs to one option type; a [`Set`] is what a list selects of it. Not here: what the names mean.

/// The names that a list may hold, in their canonical order. At most 32.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What one name stands for, as messages call it ("leak kind").
    pub what: &'static str,
    /// The names.
    pub names: &'static [&'static str],
}

/// A subset of a [`Table`], by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(u32);

impl Set {
    /// No name.
    pub const NONE: Set = Set(0);

    /// The set of these indices.
    pub const fn of(indices: &[usize]) -> Set {
        let (mut bits, mut i) = (0, 0);
        while i < indices.len() {
            bits |= 1 << indices[i];
            i += 1;
        }
        Set(bits)
    }

    /// Whether it holds the name with this index.
    pub const fn has(self, index: usize) -> bool {
        index < 32 && self.0 >> index & 1 == 1
    }

    /// What is in both.
    pub const fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// Whether it holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Table {
    /// Every name.
    pub fn all(&self) -> Set {
        Set(self.names.iter().enumerate().fold(0, |bits, (i, _)| bits | 1 << i))
    }

    /// Reads `all`, `none`, or a list with commas.
    ///
    /// # Errors
    /// One line that names the unknown word and the words that exist.
    pub fn parse(&self, list: &str) -> Result<Set, String> {
        match list {
            "all" => return Ok(self.all()),
            "none" => return Ok(Set::NONE),
            _ => {}
        }
        list.split(',').try_fold(Set::NONE, |set, word| {
            match self.names.iter().position(|name| *name == word.trim()) {
                Some(index) => Ok(Set(set.0 | 1 << index)),
                None => Err(format!(
                    "unknown {} '{}'; use all, none, or a list of {}",
                    self.what,
                    word.trim(),
                    self.names.join(",")
                )),
            }
        })
    }

    /// The set as a list that [`Table::parse`] reads.
    pub fn list(&self, set: Set) -> String {
        if set.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<_> =
            self.names.iter().enumerate().filter(|(i, _)| set.has(*i)).map(|(_, n)| *n).collect();
        names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURS: Table = Table { what: "colour", names: &["red", "green", "blue"] };

    #[test]
    fn lists_are_read_and_written() {
        assert_eq!(COLOURS.parse("all"), Ok(COLOURS.all()));
        assert_eq!(COLOURS.parse("none"), Ok(Set::NONE));
        let some = COLOURS.parse("blue, red").unwrap();
        assert!(some.has(0) && !some.has(1) && some.has(2) && !some.has(40));
        assert_eq!(COLOURS.list(some), "red,blue");
        assert_eq!(COLOURS.parse(&COLOURS.list(Set::NONE)), Ok(Set::NONE));
    }

    #[test]
    fn unknown_words_are_named() {
        for bad in ["", "red,", "pink", "red;blue", "red,all"] {
            let error = COLOURS.parse(bad).unwrap_err();
            assert!(error.contains("unknown colour") && error.contains("red,green,blue"), "{error}");
        }
    }
}

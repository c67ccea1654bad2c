//! Compressed names of callgrind's files: `(12) name` gives a name a number, `(12)` is that name again.
//!
//! What always holds: a number is one name within a part of a file; a later part may give it anew. Not here: which kinds of
//! names share their numbers.

use std::collections::HashMap;

/// The names of one kind.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The name, and the part of the file that gave it.
    by_number: HashMap<u64, (String, usize)>,
}

impl Names {
    /// The name that a specification stands for, in a part of the file; empty for an unknown one (`???`).
    ///
    /// # Errors
    /// A number that has no name, or another one.
    pub(super) fn resolve(&mut self, text: &str, part: usize) -> Result<String, String> {
        let text = text.trim();
        let Some((number, name)) = numbered(text) else { return Ok(known(text)) };
        match (name, self.by_number.get(&number)) {
            ("", Some((name, _))) => Ok(name.clone()),
            ("", None) => Err(format!("({number}) has no name yet")),
            (name, Some((before, of))) if *of == part && *before != known(name) => {
                Err(format!("({number}) is another name already"))
            }
            (name, _) => {
                self.by_number.insert(number, (known(name), part));
                Ok(known(name))
            }
        }
    }
}

fn known(name: &str) -> String {
    if name == "???" { String::new() } else { name.to_owned() }
}

/// `(12) name` as its two parts. `(below main)` is not numbered.
fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, name) = text.strip_prefix('(')?.split_once(')')?;
    Some((number.parse().ok()?, name.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_its_name() {
        let mut names = Names::default();
        assert_eq!(names.resolve("(1) f(int)", 0).unwrap(), "f(int)");
        assert_eq!(names.resolve("(1)", 0).unwrap(), "f(int)");
        assert_eq!(names.resolve(" (1)", 1).unwrap(), "f(int)");
        assert_eq!(names.resolve("(1) f(int)", 0).unwrap(), "f(int)");
        assert!(names.resolve("(1) g", 0).is_err());
        assert_eq!(names.resolve("(1) g", 1).unwrap(), "g");
        assert_eq!(names.resolve("(2) ???", 0).unwrap(), "");
        assert!(names.resolve("(3)", 0).unwrap_err().contains("(3)"));
        assert_eq!(names.resolve("(below main)", 0).unwrap(), "(below main)");
        assert_eq!(names.resolve("(4) (below main)", 0).unwrap(), "(below main)");
    }
}

//! Lines of a text file with their numbers, and what is wrong in one.
//!
//! What always holds: bytes that are not UTF-8 become replacement characters. Not here: what the lines mean.

use report::format::harmless;
use std::io::BufRead;

/// Characters of a line that a message quotes.
const QUOTED: usize = 60;

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Number of the line, from 1; 0: the file as a whole.
    pub(super) line: usize,
    /// In words.
    pub(super) what: String,
}

impl Problem {
    /// Something is wrong with the file as a whole.
    pub(super) fn of_file(what: impl Into<String>) -> Problem {
        Problem { line: 0, what: what.into() }
    }
}

/// The lines of a file, one after another.
pub(super) struct Lines<'a> {
    input: &'a mut dyn BufRead,
    bytes: Vec<u8>,
    text: String,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The lines of `input`.
    pub(super) fn new(input: &'a mut dyn BufRead) -> Lines<'a> {
        Lines { input, bytes: Vec::new(), text: String::new(), number: 0 }
    }

    /// Goes to the next line, and tells whether there is one.
    ///
    /// # Errors
    /// The input's own.
    pub(super) fn advance(&mut self) -> Result<bool, Problem> {
        self.bytes.clear();
        let read = self.input.read_until(b'\n', &mut self.bytes);
        let length = read.map_err(|error| Problem::of_file(report::cli::plain(&error)))?;
        self.number += 1;
        while self.bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.bytes.pop();
        }
        self.text.clear();
        self.text.push_str(&String::from_utf8_lossy(&self.bytes));
        Ok(length > 0)
    }

    /// The line, without what ends it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Something is wrong with this line.
    pub(super) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem { line: self.number, what: what.into() }
    }

    /// Something is wrong with this line, which is quoted.
    pub(super) fn wrong(&self, what: &str) -> Problem {
        let mut quoted: String = self.text.chars().take(QUOTED).collect();
        if quoted.len() < self.text.len() {
            quoted.push('…');
        }
        self.problem(format!("'{}': {what}", harmless(&quoted)))
    }
}

/// Counts behind a position: at most `most`, separated by spaces.
pub(super) fn counts(text: &str, most: usize, into: &mut Vec<u64>) -> Result<(), String> {
    into.clear();
    for word in text.split_ascii_whitespace() {
        // cachegrind writes a dot for an event that it did not count.
        let count = if word == "." { Ok(0) } else { word.parse() };
        into.push(count.map_err(|_| format!("'{}' is no count", harmless(word)))?);
    }
    if into.len() > most {
        return Err(format!("{} costs, but {most} events", into.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_numbers_and_no_ends() {
        let mut input: &[u8] = b"one\r\n\xfftwo\n\nlast";
        let mut lines = Lines::new(&mut input);
        let mut seen = Vec::new();
        while lines.advance().unwrap() {
            seen.push(lines.text().to_owned());
        }
        assert_eq!(seen, ["one", "\u{fffd}two", "", "last"]);
        let mut input: &[u8] = b"a\n\x1bb";
        let mut lines = Lines::new(&mut input);
        lines.advance().unwrap();
        lines.advance().unwrap();
        let problem = lines.wrong("is wrong");
        assert_eq!((problem.line, problem.what.as_str()), (2, "'\\u{1b}b': is wrong"));
    }

    #[test]
    fn counts_may_be_fewer_but_not_more() {
        let mut into = vec![9];
        assert_eq!((counts(" 1  2", 3, &mut into), &into), (Ok(()), &vec![1, 2]));
        assert_eq!((counts("", 3, &mut into), into.len()), (Ok(()), 0));
        assert!(counts("1 2", 1, &mut into).is_err_and(|why| why.contains("2 costs, but 1")));
        assert!(counts("1 x", 2, &mut into).is_err());
        assert!(counts("-1", 2, &mut into).is_err());
    }
}

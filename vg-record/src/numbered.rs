//! Numbers of the strings of a trace: from 1, in the order in which they are first met. 0 is the empty one.

use std::collections::HashMap;

/// The strings met so far.
#[derive(Debug, Default)]
pub(crate) struct Numbered(HashMap<String, u32>);

impl Numbered {
    /// The number of the next new string.
    pub(crate) fn next(&self) -> u32 {
        self.0.len() as u32 + 1
    }

    /// The number of a string. `new` is told of one that was not met before.
    pub(crate) fn number(&mut self, text: &str, new: impl FnOnce(u32)) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&number) = self.0.get(text) {
            return number;
        }
        let number = self.next();
        self.0.insert(text.to_owned(), number);
        new(number);
        number
    }
}

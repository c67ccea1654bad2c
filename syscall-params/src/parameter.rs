//! The text of a parameter, as suppressions name it, put together without memory of its own.
//!
//! What always holds: a text is at most [`PARTS`] pieces, static strings and numbers; what does not fit is
//! left out (a test holds that everything fits).

use core::fmt;

/// Pieces of the longest text: `recvmsg(mmsg[7].msg_hdr.msg_iov[3])`.
const PARTS: usize = 6;

/// Which parameter of which call, for example `write(buf)` or `sendmsg(msg.msg_iov[0])`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    parts: [Part; PARTS],
    used: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Text(&'static str),
    Number(u64),
}

impl Parameter {
    /// An empty text, to be continued.
    pub(crate) const fn new() -> Parameter {
        Parameter { parts: [Part::Text(""); PARTS], used: 0 }
    }

    /// A text in one piece.
    pub(crate) const fn of(text: &'static str) -> Parameter {
        Parameter::new().text(text)
    }

    /// `call(argument)`.
    pub(crate) const fn argument(call: &'static str, argument: &'static str) -> Parameter {
        Parameter::of(call).text("(").text(argument).text(")")
    }

    pub(crate) const fn text(self, text: &'static str) -> Parameter {
        self.with(Part::Text(text))
    }

    pub(crate) const fn number(self, number: u64) -> Parameter {
        self.with(Part::Number(number))
    }

    const fn with(mut self, part: Part) -> Parameter {
        if (self.used as usize) < PARTS {
            self.parts[self.used as usize] = part;
            self.used += 1;
        }
        self
    }
}

impl From<&'static str> for Parameter {
    fn from(text: &'static str) -> Parameter {
        Parameter::of(text)
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.parts.iter().take(usize::from(self.used)) {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Number(number) => write!(f, "{number}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

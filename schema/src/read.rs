//! Reading a trace.
//!
//! [`TraceReader`] owns the framing: an iterator over the messages of a trace that takes any prefix of one and then
//! tells how it ended. What always holds: it never panics and never takes more memory than the bytes that really
//! came justify, whatever it is given. Not here: the messages' fields (`decode`), the tables of a whole trace
//! (`trace`).

use std::{
    fmt,
    io::{self, BufReader, Read},
};

use capnp::{Word, message::ReaderOptions, serialize};

use crate::{decode, model::Message};

pub use crate::trace::{ModuleInfo, ProcessInfo, ResolvedFrame, Snapshot, ThreadInfo, Trace};

/// Greatest message that is read, in bytes. Writers stay below 4 MiB.
pub const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// Bytes that are asked of the input at a time.
const BUFFER: usize = 256 << 10;

/// Most segments of a message.
const MAX_SEGMENTS: usize = 512;

/// Bytes that are read at a time, so that a false length takes no more memory than that.
const STEP: usize = 1 << 20;

/// How a trace ended. `Display` gives one sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With its trailer.
    Complete,
    /// Before its trailer: the recording still runs, or it was cut short. Everything before is good.
    Truncated {
        /// Bytes of the trace.
        bytes: u64,
        /// Whole messages.
        messages: u64,
    },
    /// A message is damaged. Everything before it is good, nothing after it was read.
    Corrupt {
        /// Number of the message, from 0.
        message: u64,
        /// Byte at which it begins.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It is no trace, or one of a newer format.
    NotATrace(String),
    /// The input failed.
    Failed {
        /// Bytes that could be read.
        at: u64,
        /// What the input said.
        why: String,
    },
}

impl Ending {
    /// True when the trailer was read and nothing was wrong.
    pub fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => write!(f, "the trace is complete"),
            Self::Truncated { bytes: 0, .. } => write!(f, "the trace is empty: nothing was recorded"),
            Self::Truncated { bytes, messages } => write!(
                f,
                "the trace is incomplete: it ends at byte {bytes} after {messages} messages, without a trailer"
            ),
            Self::Corrupt { message, at, why } => {
                write!(f, "the trace is damaged: message {message} at byte {at}: {why}")
            }
            Self::NotATrace(why) => write!(f, "this is not a trace that can be read: {why}"),
            Self::Failed { at, why } => write!(f, "the trace cannot be read after byte {at}: {why}"),
        }
    }
}

/// Reads a trace message by message. The iterator ends where the trace can be read no further; [`ending`] then tells
/// why. Files and pipes need no buffer around them.
///
/// [`ending`]: Self::ending
pub struct TraceReader<R> {
    input: BufReader<R>,
    buffer: Vec<Word>,
    /// Bytes read so far.
    offset: u64,
    /// Byte at which the last message began.
    start: u64,
    /// Messages given so far.
    messages: u64,
    skip_events: bool,
    trailer: bool,
    ending: Option<Ending>,
}

impl<R: Read> TraceReader<R> {
    /// A reader of the trace that `input` gives.
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, input),
            buffer: Vec::new(),
            offset: 0,
            start: 0,
            messages: 0,
            skip_events: false,
            trailer: false,
            ending: None,
        }
    }

    /// Does not decode heap events and logs of data accesses: they are given as [`Skipped::Events`](crate::Skipped::Events) and
    /// [`Skipped::AccessLog`](crate::Skipped::AccessLog).
    pub fn skip_events(mut self) -> Self {
        self.skip_events = true;
        self
    }

    /// How the trace ended; `None` as long as there may be more messages.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.offset
    }

    /// Ends the trace because the last message does not fit to those before it.
    pub(crate) fn refuse(&mut self, why: String) {
        let message = self.messages.saturating_sub(1);
        self.ending = Some(Ending::Corrupt { message, at: self.start, why });
    }

    /// The next message, or how the trace ended.
    fn advance(&mut self) -> Result<Message, Ending> {
        let start = self.offset;
        self.start = start;
        let words = self.read_message()?;
        let corrupt = |why: String| match self.messages {
            0 => Ending::NotATrace(why),
            message => Ending::Corrupt { message, at: start, why },
        };
        let mut options = ReaderOptions::new();
        // Every getter of a list or a blob charges its size; each is called once.
        options.traversal_limit_in_words(Some((8 << 20).max(2 * words)));
        let mut bytes = Word::words_to_bytes(&self.buffer[..words]);
        let message = serialize::read_message_from_flat_slice(&mut bytes, options)
            .map_err(|error| corrupt(error.to_string()))?;
        let (sequence, message) = decode::message(&message, self.skip_events).map_err(corrupt)?;
        match (&message, self.messages) {
            (Message::Header(_), 0) | (_, 1..) => {}
            _ => return Err(corrupt("it does not begin with a header".to_owned())),
        }
        if self.messages > 0 && matches!(message, Message::Header(_)) {
            return Err(corrupt("another trace begins here; give each trace by itself".to_owned()));
        }
        if sequence != self.messages {
            return Err(corrupt(format!("its number is {sequence}: messages are lost or out of order")));
        }
        self.messages += 1;
        self.trailer |= matches!(message, Message::Trailer(_));
        Ok(message)
    }

    /// Reads the bytes of a message into the buffer and returns its words, the segment table included.
    fn read_message(&mut self) -> Result<usize, Ending> {
        let start = self.offset;
        let refuse = |why: String, messages| match messages {
            0 => Ending::NotATrace(why),
            message => Ending::Corrupt { message, at: start, why },
        };
        match self.read(0, 8)? {
            0 if self.trailer => return Err(Ending::Complete),
            8 => {}
            count => {
                // A short file of another kind is called by its name, not a cut trace.
                let known = count.min(4);
                let expected = &[0, 0, 0, 0][..known];
                if self.messages == 0 && &Word::words_to_bytes(&self.buffer)[..known] != expected {
                    return Err(Ending::NotATrace("its first bytes are not those of a trace".to_owned()));
                }
                return Err(self.cut());
            }
        }
        let segments = self.table_entry(0) as usize;
        if segments >= MAX_SEGMENTS {
            let why = match self.messages {
                0 => "its first bytes are not those of a trace".to_owned(),
                _ => format!("it claims {} segments", segments as u64 + 1),
            };
            return Err(refuse(why, self.messages));
        }
        // The count and the sizes, 4 bytes each, rounded up to words.
        let table = (segments + 3) / 2;
        if table > 1 && self.read(1, (table - 1) * 8)? != (table - 1) * 8 {
            return Err(self.cut());
        }
        let words: u64 = (1..=segments + 1).map(|entry| u64::from(self.table_entry(entry))).sum();
        if words > (MAX_MESSAGE_BYTES / 8) as u64 {
            let why = format!("it claims {} bytes, more than {MAX_MESSAGE_BYTES}", words * 8);
            return Err(refuse(why, self.messages));
        }
        if words == 0 {
            return Err(refuse("it has no bytes".to_owned(), self.messages));
        }
        let words = words as usize;
        if self.read(table, words * 8)? != words * 8 {
            return Err(self.cut());
        }
        Ok(table + words)
    }

    fn table_entry(&self, i: usize) -> u32 {
        let bytes = Word::words_to_bytes(&self.buffer);
        bytes.get(4 * i..4 * i + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    fn cut(&self) -> Ending {
        Ending::Truncated { bytes: self.offset, messages: self.messages }
    }

    /// Reads `count` bytes to word `at` of the buffer, fewer only at the end of the input. Returns how many.
    fn read(&mut self, at: usize, count: usize) -> Result<usize, Ending> {
        let mut done = 0;
        while done < count {
            let step = (count - done).min(STEP);
            let words = at + (done + step).div_ceil(8);
            if self.buffer.len() < words {
                self.buffer.resize(words, capnp::word(0, 0, 0, 0, 0, 0, 0, 0));
            }
            let from = at * 8 + done;
            let bytes = &mut Word::words_to_bytes_mut(&mut self.buffer)[from..from + step];
            match self.input.read(bytes) {
                Ok(0) => break,
                Ok(read) => {
                    done += read;
                    self.offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Ending::Failed { at: self.offset, why: error.to_string() }),
            }
        }
        Ok(done)
    }
}

impl<R: Read> Iterator for TraceReader<R> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        if self.ending.is_some() {
            return None;
        }
        match self.advance() {
            Ok(message) => Some(message),
            Err(ending) => {
                self.ending = Some(ending);
                None
            }
        }
    }
}

impl<R: Read> std::iter::FusedIterator for TraceReader<R> {}

//! The end of a process whose engine cannot go on: a message on the real stderr, then exit status 125.

use crate::sys;
use core::fmt::{self, Write};

/// Text of bounded length on the stack, for messages that must not allocate.
pub struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Text {
    /// An empty text.
    pub const fn new() -> Text {
        Text { bytes: [0; 512], length: 0 }
    }

    /// What was written, cut at 512 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::new()
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let count = s.len().min(room.len());
        room[..count].copy_from_slice(&s.as_bytes()[..count]);
        self.length += count;
        Ok(())
    }
}

/// Writes one line to the guest's stderr, marked as ours.
pub fn complain(arguments: fmt::Arguments<'_>) {
    let mut text = Text::new();
    let _ = write!(text, "vg-record: {arguments}");
    let _ = text.write_str("\n");
    sys::write(2, text.as_bytes());
}

/// Ends the process because of `reason`.
pub fn fail(reason: &str) -> ! {
    complain(format_args!("engine: {reason}"));
    sys::exit_group(125)
}

/// The image's panic handler.
pub fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    complain(format_args!("engine: internal error: {info}"));
    sys::exit_group(125)
}

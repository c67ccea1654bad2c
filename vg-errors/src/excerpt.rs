//! Lines of source around a place, when the file is where the trace says.
//!
//! What always holds: only regular files are opened, at most [`LARGEST`] bytes of each are read, and what is printed has
//! no control characters. A file that is not there is no error: traces are read on other machines. Not here: layout of
//! the report.

use report::format::harmless;
use report::stack::Frame;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Longest line that is shown, in characters.
const WIDEST: usize = 160;

/// Source files that were read, by path.
#[derive(Default)]
pub(crate) struct Sources {
    files: HashMap<String, Option<Vec<String>>>,
}

impl Sources {
    /// The lines around that of a frame, `around` before and behind it, with their numbers and a mark: empty when
    /// there are none.
    pub(crate) fn excerpt(&mut self, frame: &Frame<'_>, directory: &str, around: u8) -> Vec<String> {
        if frame.file.is_empty() || frame.line == 0 {
            return Vec::new();
        }
        let path = std::path::Path::new(directory).join(frame.file).display().to_string();
        let lines = self.files.entry(path).or_insert_with_key(|path| read(path));
        let Some(lines) = lines else { return Vec::new() };
        let line = frame.line as usize;
        if line > lines.len() {
            return Vec::new();
        }
        let last = (line + usize::from(around)).min(lines.len());
        let first = line.saturating_sub(around.into()).max(1);
        let width = last.to_string().len();
        let numbered = (first..=last).map(|number| {
            let mark = if number == line { '>' } else { ' ' };
            format!("{mark} {number:width$} | {}", lines[number - 1]).trim_end().to_owned()
        });
        numbered.collect()
    }
}

fn read(path: &str) -> Option<Vec<String>> {
    // A pipe or a device could keep us waiting for ever.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\t', "    ");
    let shown = |line: &str| harmless(line).chars().take(WIDEST).collect();
    Some(text.lines().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_around_a_place() {
        let file = std::env::temp_dir().join(format!("vg-errors-excerpt-{}.c", std::process::id()));
        std::fs::write(&file, "one\n\ttwo\nthree\x1b[2J\n\nfive\n").unwrap();
        let path = file.display().to_string();
        let at = |line| Frame { file: &path, line, ..Frame::default() };
        let mut sources = Sources::default();
        assert_eq!(sources.excerpt(&at(2), "", 0), ["> 2 |     two"]);
        assert_eq!(sources.excerpt(&at(4), "/", 1), ["  3 | three\\u{1b}[2J", "> 4 |", "  5 | five"]);
        assert_eq!(sources.excerpt(&at(1), "", 50).len(), 5);
        assert!(sources.excerpt(&at(0), "", 1).is_empty());
        assert!(sources.excerpt(&at(6), "", 1).is_empty());
        assert!(sources.excerpt(&at(u32::MAX), "", 1).is_empty());
        std::fs::remove_file(&file).unwrap();
        for other in ["/dev/zero", "/", "/no/such/file.c"] {
            assert!(sources.excerpt(&Frame { file: other, line: 1, ..Frame::default() }, "", 1).is_empty());
        }
    }
}

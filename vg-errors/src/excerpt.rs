//! Lines of source around a place, when the file is where the trace says. Not here: reading it (`report::source`), layout of
//! the report.

use report::source;
use report::stack::Frame;

/// Source files that were read.
#[derive(Default)]
pub(crate) struct Sources {
    files: source::Sources,
}

impl Sources {
    /// The lines around that of a frame, `around` before and behind it, with their numbers and a mark: empty when
    /// there are none.
    pub(crate) fn excerpt(&mut self, frame: &Frame<'_>, directory: &str, around: u8) -> Vec<String> {
        if frame.file.is_empty() || frame.line == 0 {
            return Vec::new();
        }
        let Some(lines) = self.files.lines(frame.file, directory) else { return Vec::new() };
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

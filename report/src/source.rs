//! Source files, when they are where the trace says.
//!
//! What always holds: only regular files are opened, at most [`LARGEST`] bytes of each are read, and their lines have no
//! control characters. A file that is not there is no error: traces are read on other machines. Not here: which lines are
//! shown.

use crate::format::harmless;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Longest line that is shown, in characters.
const WIDEST: usize = 160;

/// Source files that were read, by path.
#[derive(Debug, Default)]
pub struct Sources {
    files: HashMap<String, Option<Vec<String>>>,
}

impl Sources {
    /// The lines of a file as they are shown, tabs as four spaces; a relative path is relative to `directory`.
    pub fn lines(&mut self, file: &str, directory: &str) -> Option<&[String]> {
        let path = Path::new(directory).join(file).display().to_string();
        self.files.entry(path).or_insert_with_key(|path| read(path)).as_deref()
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

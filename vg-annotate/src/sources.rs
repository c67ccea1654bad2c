//! Source text: where a file says, or in the folders of `--include`.
//!
//! What always holds: the first place where the file is counts. Not here: reading ([`report::source`]).

use report::source::Sources;
use std::path::{Path, PathBuf};

/// Looks for source files.
#[derive(Debug)]
pub struct Library<'a> {
    sources: Sources,
    /// What relative paths are relative to.
    directory: &'a str,
    include: &'a [PathBuf],
}

impl<'a> Library<'a> {
    /// Looks in `directory` for relative paths, and in the folders `include` for all.
    pub fn new(directory: &'a str, include: &'a [PathBuf]) -> Library<'a> {
        Library { sources: Sources::default(), directory, include }
    }

    /// The lines of a file as they are shown.
    pub fn lines(&mut self, file: &str) -> Option<&[String]> {
        let path = self.path(file)?;
        self.sources.lines(&path.display().to_string(), "")
    }

    /// Where a file is.
    pub fn path(&self, file: &str) -> Option<PathBuf> {
        if file.is_empty() {
            return None;
        }
        let name = Path::new(file).file_name().unwrap_or_default();
        let inside = Path::new(file).strip_prefix("/").unwrap_or(Path::new(file));
        // By its path within the folder before its name alone, which another file may have, too.
        let included = self.include.iter().map(|folder| folder.join(inside));
        let by_name = self.include.iter().map(|folder| folder.join(name));
        std::iter::once(Path::new(self.directory).join(file))
            .chain(included)
            .chain(by_name)
            .find(|path| path.is_file())
    }
}

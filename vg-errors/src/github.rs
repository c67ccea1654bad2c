//! GitHub's workflow commands: one line for each finding, shown beside the source line that it names.
//!
//! Format and escapes are those of GitHub's "Workflow commands for GitHub Actions". GitHub shows the first ten errors
//! and ten warnings of a step, so that the order of `--sort` says which. A finding without a source file has a command
//! without a place. Not here: which path a file has in the repository (`Root`, which SARIF uses too).

use crate::kinds::KINDS;
use crate::options::Options;
use crate::run::Report;
use crate::sentence;
use crate::words;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The directory below which files belong to the user's sources.
pub(crate) struct Root(PathBuf);

impl Root {
    /// What the user named, or the working directory of the first recording: one for the whole report, since a report
    /// names its base once. Files of other recordings that lie elsewhere keep their whole paths.
    pub(crate) fn of(report: &Report<'_>, options: &Options) -> Root {
        let recorded = || report.recordings.first().map_or("", |recording| &recording.directory);
        Root(options.source_root.clone().unwrap_or_else(|| PathBuf::from(recorded())))
    }

    /// The path below it; `Err` with the whole path for files elsewhere.
    pub(crate) fn relative(&self, file: &str) -> Result<String, String> {
        let path = Path::new(file);
        if path.is_relative() {
            return Ok(file.trim_start_matches("./").to_owned());
        }
        match path.strip_prefix(&self.0) {
            Ok(inner) if !self.0.as_os_str().is_empty() && self.0 != Path::new("/") => {
                Ok(inner.display().to_string())
            }
            _ => Err(file.to_owned()),
        }
    }

    /// The directory as a string; empty when there is none.
    pub(crate) fn directory(&self) -> String {
        self.0.display().to_string()
    }
}

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>, options: &Options) -> io::Result<()> {
    let root = Root::of(report, options);
    for finding in &report.findings.listed {
        let kind = &KINDS[finding.kind];
        let command = if kind.is_error { "error" } else { "warning" };
        let mut properties = Vec::new();
        if let Some(user) = finding.stack.user.filter(|user| !user.file.is_empty()) {
            let file = match root.relative(user.file) {
                Ok(path) | Err(path) => path,
            };
            properties.push(format!("file={}", property(&file)));
            if user.line > 0 {
                properties.push(format!("line={}", user.line));
            }
        }
        properties.push(format!("title={}", property(&format!("vg-errors: {}", kind.name))));
        let message = format!("{}\n{}", sentence::plain(finding), words::what(finding));
        writeln!(out, "::{command} {}::{}", properties.join(","), data(&message))?;
    }
    Ok(())
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_a_command() {
        assert_eq!(data("100%\r\n::error::"), "100%25%0D%0A::error::");
        assert_eq!(property("a,b:c\n%"), "a%2Cb%3Ac%0A%25");
    }

    #[test]
    fn paths_below_the_root() {
        let root = Root(PathBuf::from("/home/u/app"));
        assert_eq!(root.relative("/home/u/app/src/a.c"), Ok("src/a.c".to_owned()));
        assert_eq!(root.relative("./src/a.c"), Ok("src/a.c".to_owned()));
        assert_eq!(root.relative("/home/u/apple/a.c"), Err("/home/u/apple/a.c".to_owned()));
        assert_eq!(Root(PathBuf::new()).relative("/a.c"), Err("/a.c".to_owned()));
        assert_eq!(Root(PathBuf::from("/")).relative("/a.c"), Err("/a.c".to_owned()));
    }
}

//! The manners of a Unix tool: where input comes from, exit statuses, one-line errors, quiet end of a broken pipe.
//!
//! What always holds: [`run`] is the only place that turns an outcome into an exit status; a reader that goes away
//! (`vg-leaks | head`) is no error; every message is one line `TOOL: THING: problem; fix` on stderr.
//!
//! Not here: what the bytes of a trace mean.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit status: nothing found.
pub const CLEAN: u8 = 0;
/// Exit status: findings of the selected kinds.
pub const FINDINGS: u8 = 1;
/// Exit status: usage, I/O or unusable input.
pub const TROUBLE: u8 = 2;

/// Why a tool stops before its answer is complete.
#[derive(Debug)]
pub enum Stop {
    /// A problem, with status [`TROUBLE`]. One line, without the name of the tool.
    Trouble(String),
    /// `--help` or `--version`: print this on stdout, status 0.
    Show(String),
    /// The reader of our stdout went away: not our error.
    BrokenPipe,
}

impl Stop {
    /// A problem in one line.
    pub fn trouble(message: impl std::fmt::Display) -> Stop {
        Stop::Trouble(message.to_string())
    }

    /// A failed write of the report.
    pub fn from_write(error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::BrokenPipe,
            _ => Stop::Trouble(format!("cannot write the report: {}", plain(error))),
        }
    }
}

/// A system error without Rust's "(os error N)".
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Runs a tool: `body` gets nothing but its own closure, gives the exit status, or stops.
pub fn run(tool: &str, body: impl FnOnce() -> Result<u8, Stop>) -> ExitCode {
    match body() {
        Ok(status) => ExitCode::from(status),
        Err(Stop::BrokenPipe) => ExitCode::from(CLEAN),
        Err(Stop::Show(text)) => {
            // Nothing is lost when the help text finds no reader.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::from(CLEAN)
        }
        Err(Stop::Trouble(message)) => {
            warn(tool, message);
            ExitCode::from(TROUBLE)
        }
    }
}

/// One line on stderr, under the name of the tool.
pub fn warn(tool: &str, message: impl std::fmt::Display) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "{tool}: {message}");
}

/// Parses the command line; clap's explanation becomes one line.
///
/// # Errors
/// [`Stop::Show`] for `--help` and `--version`, [`Stop::Trouble`] for anything wrong.
pub fn parse<P: clap::Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<P, Stop> {
    P::try_parse_from(arguments).map_err(|error| {
        use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
        match error.kind() {
            DisplayHelp | DisplayVersion => Stop::Show(error.render().to_string()),
            _ => Stop::Trouble(one_line(&error.render().to_string())),
        }
    })
}

/// `error: invalid value 'x'\n  [possible values: a, b]\n\nFor more information …` as one line.
fn one_line(rendered: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for line in rendered.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        parts.push(line.strip_prefix("error: ").unwrap_or(line));
    }
    format!("{}; see --help", parts.join("; ").replace(":; ", ": "))
}

/// Where a trace comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `-`, or no argument.
    Stdin,
    /// A file or anything else with a path.
    Path(PathBuf),
}

/// The sources that the arguments name: each FILE, `-` for stdin, and stdin alone when there is no argument.
///
/// # Errors
/// When stdin would be read and is a terminal: nobody types a trace.
pub fn sources(arguments: &[PathBuf], tool: &str) -> Result<Vec<Source>, Stop> {
    choose_sources(arguments, tool, io::stdin().is_terminal())
}

fn choose_sources(arguments: &[PathBuf], tool: &str, terminal: bool) -> Result<Vec<Source>, Stop> {
    let stdin = PathBuf::from("-");
    let mut sources: Vec<_> = arguments
        .iter()
        .map(|path| if *path == stdin { Source::Stdin } else { Source::Path(path.clone()) })
        .collect();
    if sources.is_empty() {
        sources.push(Source::Stdin);
    }
    let stdins = sources.iter().filter(|source| **source == Source::Stdin).count();
    if stdins > 1 {
        return Err(Stop::trouble("-: stdin can be read only once; name it once"));
    }
    if stdins == 1 && terminal {
        return Err(Stop::trouble(format_args!(
            "no trace: stdin is a terminal; name a file ({tool} TRACE) or pipe a recording in (vg-record ./program | {tool})"
        )));
    }
    Ok(sources)
}

impl Source {
    /// How messages name it.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "stdin".to_owned(),
            Source::Path(path) => path.display().to_string(),
        }
    }

    /// Opens it. Reads are not buffered.
    ///
    /// # Errors
    /// The system's reason, with the name of the source.
    pub fn open(&self) -> Result<Box<dyn Read>, Stop> {
        match self {
            Source::Stdin => Ok(Box::new(io::stdin().lock())),
            Source::Path(path) => {
                let file = File::open(path)
                    .map_err(|error| Stop::trouble(format_args!("{}: {}", self.name(), plain(&error))))?;
                if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                    return Err(Stop::trouble(format_args!(
                        "{}: is a directory; name a trace file",
                        self.name()
                    )));
                }
                Ok(Box::new(file))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn stdin_is_the_default_and_the_dash() {
        assert_eq!(choose_sources(&[], "t", false).unwrap(), [Source::Stdin]);
        assert_eq!(
            choose_sources(&paths(&["a", "-"]), "t", false).unwrap(),
            [Source::Path("a".into()), Source::Stdin]
        );
        assert!(choose_sources(&paths(&["a"]), "t", true).is_ok());
        assert!(matches!(choose_sources(&[], "t", true), Err(Stop::Trouble(m)) if m.contains("terminal")));
        assert!(matches!(choose_sources(&paths(&["-", "-"]), "t", false), Err(Stop::Trouble(_))));
    }

    #[test]
    fn opening_tells_the_name_and_the_reason() {
        let Err(Stop::Trouble(message)) = Source::Path("/no/such/trace".into()).open() else { panic!() };
        assert_eq!(message, "/no/such/trace: No such file or directory");
        let Err(Stop::Trouble(message)) = Source::Path("/".into()).open() else { panic!() };
        assert!(message.contains("directory"), "{message}");
    }

    #[test]
    fn clap_errors_become_one_line() {
        #[derive(Debug, clap::Parser)]
        struct Options {
            #[arg(long)]
            color: Option<crate::style::Color>,
        }
        let arguments = ["tool", "--color=pink"].map(OsString::from);
        let Err(Stop::Trouble(message)) = parse::<Options>(arguments) else { panic!() };
        assert!(!message.contains('\n'));
        assert!(message.contains("'pink'") && message.contains("never") && message.ends_with("see --help"));
        assert!(matches!(parse::<Options>(["tool", "--help"].map(OsString::from)), Err(Stop::Show(_))));
        let options: Options = parse(["tool", "--color=never"].map(OsString::from)).unwrap();
        assert_eq!(options.color, Some(crate::style::Color::Never));
    }

    #[test]
    fn a_broken_pipe_is_quiet_and_other_errors_are_plain() {
        assert!(matches!(Stop::from_write(&io::ErrorKind::BrokenPipe.into()), Stop::BrokenPipe));
        let full = io::Error::from_raw_os_error(28);
        assert!(
            matches!(Stop::from_write(&full), Stop::Trouble(m) if m == "cannot write the report: No space left on device")
        );
    }
}

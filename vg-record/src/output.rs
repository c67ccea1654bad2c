//! Where the trace goes, and what becomes of the guest's standard output.
//!
//! Always holds: the trace is never written to a terminal, and standard output carries either the trace or the
//! guest's output, never both. Not here: what is written (`schema`).

use crate::sys;
use anyhow::{Context as _, bail};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// An opened destination.
#[derive(Debug)]
pub(crate) struct Output {
    /// The trace goes here; closed on exec.
    pub file: File,
    /// How messages name it.
    pub name: String,
    /// The trace has taken standard output: the guest's goes to standard error.
    pub takes_stdout: bool,
    /// A reader waits at the other end: speed counts for more than size.
    pub is_pipe: bool,
    /// One line for the user, when the choice is not the obvious one.
    pub notice: Option<String>,
}

/// Chooses and opens the destination. `wanted` is the value of `-o`, `program` the guest's name.
///
/// # Errors
/// A template that cannot be expanded, a file that cannot be created, a terminal as destination.
pub(crate) fn open(wanted: Option<&OsStr>, program: &OsStr) -> anyhow::Result<Output> {
    let closed = crate::inherited::get().closed & 2 != 0;
    match wanted {
        Some(name) if name == "-" => {
            if closed {
                bail!("-o -: standard output is closed");
            }
            if io::stdout().is_terminal() {
                bail!(
                    "-o -: standard output is a terminal; name a file or pipe into a reader such as vg-leaks"
                );
            }
            standard_output()
        }
        Some(template) => create(template, None),
        None if !closed && is_stream()? => standard_output(),
        None => {
            let base = Path::new(program).file_name().unwrap_or(OsStr::new("program"));
            // A percent sign in the program's name is no template.
            let base = base.as_bytes().iter().flat_map(|&b| if b == b'%' { vec![b, b] } else { vec![b] });
            let template = [b"vg.".to_vec(), base.collect(), b".%p.capnp".to_vec()].concat();
            create(&OsString::from_vec(template), Some("the trace goes to"))
        }
    }
}

/// Standard output is a pipe, a socket or a regular file.
fn is_stream() -> anyhow::Result<bool> {
    let kind = stdout_copy()?.metadata().context("cannot examine standard output")?.file_type();
    Ok(kind.is_file() || kind.is_fifo() || kind.is_socket())
}

fn stdout_copy() -> anyhow::Result<File> {
    let copy = sys::duplicate(io::stdout().as_raw_fd(), 3);
    Ok(File::from(copy.context("cannot duplicate standard output")?))
}

fn standard_output() -> anyhow::Result<Output> {
    let file = stdout_copy()?;
    let is_pipe = !file.metadata().context("cannot examine standard output")?.file_type().is_file();
    sys::widen_pipe(file.as_raw_fd());
    let notice = "the trace goes to standard output, the program's own output to standard error";
    Ok(Output {
        file,
        name: "standard output".into(),
        takes_stdout: true,
        is_pipe,
        notice: Some(notice.into()),
    })
}

fn create(template: &OsStr, notice: Option<&str>) -> anyhow::Result<Output> {
    let numbered = expands_number(template.as_bytes());
    for number in 1u32.. {
        let path = expand(template, std::process::id(), number, |name| std::env::var_os(name))?;
        let mut options = OpenOptions::new();
        options.write(true);
        if numbered {
            options.create_new(true);
        } else {
            options.create(true).truncate(true);
        }
        let file = match options.open(&path) {
            Err(error) if numbered && error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened.with_context(|| format!("cannot create {}", path.display()))?,
        };
        if file.is_terminal() {
            bail!("{} is a terminal; name a file", path.display());
        }
        let is_pipe = file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
        let name = path.display().to_string();
        let notice = notice.map(|text| format!("{text} {name}"));
        return Ok(Output { file, name, takes_stdout: false, is_pipe, notice });
    }
    bail!("every number of {} is taken", template.to_string_lossy())
}

/// Whether the template holds %n.
fn expands_number(template: &[u8]) -> bool {
    let mut rest = template.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' && rest.next() == Some(&b'n') {
            return true;
        }
    }
    false
}

/// Replaces %p, %n, %q{VAR} and %% (Valgrind's rules: an unset variable or another letter is an error).
fn expand(
    template: &OsStr,
    pid: u32,
    number: u32,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> anyhow::Result<PathBuf> {
    let mut out = Vec::new();
    let mut rest = template.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let Some((&letter, behind)) = rest.split_first() else {
            bail!("{}: % at the end; write %% for a percent sign", template.to_string_lossy());
        };
        rest = behind;
        match letter {
            b'%' => out.push(b'%'),
            b'p' => out.extend_from_slice(pid.to_string().as_bytes()),
            b'n' => out.extend_from_slice(number.to_string().as_bytes()),
            b'q' => {
                let inside = rest.strip_prefix(b"{").and_then(|rest| {
                    let end = rest.iter().position(|&byte| byte == b'}')?;
                    Some((OsStr::from_bytes(&rest[..end]), &rest[end + 1..]))
                });
                let Some((name, behind)) = inside else {
                    bail!("{}: %q needs {{VARIABLE}} behind it", template.to_string_lossy());
                };
                rest = behind;
                match variable(name) {
                    Some(value) => out.extend_from_slice(value.as_bytes()),
                    None => bail!(
                        "{}: the environment variable {} is not set",
                        template.to_string_lossy(),
                        name.to_string_lossy()
                    ),
                }
            }
            other => bail!(
                "{}: unknown %{}; there are %p, %n, %q{{VARIABLE}} and %%",
                template.to_string_lossy(),
                other.escape_ascii()
            ),
        }
    }
    if out.is_empty() {
        bail!("the name of the trace file is empty");
    }
    Ok(PathBuf::from(OsString::from_vec(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand_text(template: &str) -> anyhow::Result<String> {
        let variable = |name: &OsStr| (name == "WHO").then(|| "me".into());
        Ok(expand(OsStr::new(template), 42, 7, variable)?.display().to_string())
    }

    #[test]
    fn templates_expand() {
        assert_eq!(expand_text("a.%p.%n.%q{WHO}%%.capnp").expect("expands"), "a.42.7.me%.capnp");
        assert_eq!(expand_text("plain").expect("expands"), "plain");
        for (wrong, text) in [
            ("a%", "% at the end"),
            ("%q{NOBODY}", "NOBODY is not set"),
            ("%qx", "needs {VARIABLE}"),
            ("%q{WHO", "needs {VARIABLE}"),
            ("%z", "unknown %z"),
            ("", "empty"),
        ] {
            let error = expand_text(wrong).expect_err(wrong).to_string();
            assert!(error.contains(text), "{wrong}: {error}");
        }
    }

    #[test]
    fn numbers_make_new_files_and_plain_names_are_replaced() {
        let directory = crate::testing::directory("output");
        let template = directory.join("t%n%%n").into_os_string();
        for expected in ["t1%n", "t2%n"] {
            let output = create(&template, None).expect("creates");
            assert!(output.name.ends_with(expected), "{}", output.name);
        }
        assert!(!expands_number(b"100%%n"));
        let plain = directory.join("plain").into_os_string();
        std::fs::write(&plain, "old").expect("writes");
        let output = create(&plain, Some("it is")).expect("creates");
        assert_eq!(output.file.metadata().expect("stat").len(), 0);
        assert_eq!(output.notice, Some(format!("it is {}", output.name)));
        let error = create(directory.join("no/where").as_os_str(), None).expect_err("no directory");
        assert!(error.to_string().contains("cannot create"));
    }
}

//! Finding the program to run, as execvp(3) does, and telling early why it cannot run.
//!
//! Always holds: a [`Program`] exists, may be executed and begins like a program or a script. Its path is what
//! execve would be given, not made absolute. Not here: loading it (the engine).

use crate::sys;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A program that can be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The path for execve: with a slash as the user gave it, else joined from PATH.
    pub path: CString,
    /// The guest's arguments, its name first.
    pub argv: Vec<CString>,
}

/// Why a program cannot be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CannotRun {
    /// 127 when there is no such program, else 126.
    pub status: u8,
    /// For the user: "cannot run PROGRAM: reason".
    pub message: String,
}

/// Where execvp looks when PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Finds `command[0]` by `path`, the value of PATH.
///
/// # Errors
/// [`CannotRun`] with the exit status that `env` and `timeout` use.
pub(crate) fn find(command: &[OsString], path: Option<&OsStr>) -> Result<Program, CannotRun> {
    let name = command.first().map(OsString::as_os_str).unwrap_or_default();
    let refuse = |status, reason: &dyn std::fmt::Display| CannotRun {
        status,
        message: format!("cannot run {}: {reason}", name.to_string_lossy()),
    };
    let argv = command.iter().map(|word| CString::new(word.as_bytes()));
    let argv: Vec<CString> = argv.collect::<Result<_, _>>().map_err(|error| refuse(126, &error))?;
    if name.is_empty() {
        return Err(refuse(127, &"the name is empty"));
    }
    if name.as_bytes().contains(&b'/') {
        let found = examine(name);
        return match found.map_err(|error| refuse(status_of(&error), &reason(&error)))? {
            Form::Program => Ok(Program { path: argv[0].clone(), argv }),
            Form::ShellScript => Ok(by_shell(argv[0].clone(), argv)),
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut denied = None;
    for directory in path.as_bytes().split(|&byte| byte == b':') {
        // An empty element is the current directory: execvp joins it without a slash.
        let mut candidate = directory.to_vec();
        if !candidate.is_empty() {
            candidate.push(b'/');
        }
        candidate.extend_from_slice(name.as_bytes());
        let candidate = OsString::from_vec(candidate);
        match examine(&candidate) {
            Ok(form) => {
                let path = CString::new(candidate.into_vec()).map_err(|error| refuse(126, &error))?;
                return Ok(match form {
                    Form::Program => Program { path, argv },
                    Form::ShellScript => by_shell(path, argv),
                });
            }
            Err(error) if status_of(&error) == 127 => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EISDIR)) => {
                denied = Some(error);
            }
            Err(error) => return Err(refuse(126, &reason(&error))),
        }
    }
    Err(match denied {
        Some(error) => refuse(126, &reason(&error)),
        None => refuse(127, &"there is no such program in PATH"),
    })
}

/// What a file that may be executed begins with.
enum Form {
    Program,
    /// Neither ELF nor `#!`: execvp hands such a file to /bin/sh.
    ShellScript,
}

fn by_shell(path: CString, mut argv: Vec<CString>) -> Program {
    argv[0] = path;
    argv.insert(0, c"/bin/sh".to_owned());
    Program { path: c"/bin/sh".to_owned(), argv }
}

fn status_of(error: &io::Error) -> u8 {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => 127,
        _ => 126,
    }
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "there is no such file".into(),
        Some(libc::EISDIR) => "it is a directory".into(),
        Some(libc::EACCES) => "permission denied (is it executable? chmod +x makes it so)".into(),
        _ => crate::trace::plain(error),
    }
}

fn examine(path: &OsStr) -> io::Result<Form> {
    let name = CString::new(path.as_bytes())?;
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !metadata.is_file() {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    sys::may_execute(&name)?;
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(64).read_to_end(&mut head))
        .map_err(|error| io::Error::other(format!("it cannot be read, which recording needs: {error}")))?;
    if let Some(interpreter) = head.strip_prefix(b"#!") {
        // The engine follows `#!`; a missing interpreter is worth a clear word here.
        let interpreter = interpreter.trim_ascii_start();
        let end = interpreter.iter().position(|byte| byte.is_ascii_whitespace());
        if let Some(interpreter) = end.map(|end| OsStr::from_bytes(&interpreter[..end]))
            && !interpreter.is_empty()
            && let Err(error) = std::fs::metadata(interpreter)
        {
            let text = format!("its interpreter {}: {}", interpreter.to_string_lossy(), reason(&error));
            return Err(io::Error::other(text));
        }
        return Ok(Form::Program);
    }
    if !head.starts_with(b"\x7fELF") {
        return if head.contains(&0) {
            Err(io::Error::other("it is neither an ELF program nor a script"))
        } else {
            Ok(Form::ShellScript)
        };
    }
    let machine = head.get(18..20).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    // ELFCLASS64, ELFDATA2LSB and EM_X86_64.
    if head.get(4) != Some(&2) || head.get(5) != Some(&1) || machine != Some(62) {
        return Err(io::Error::other("it is not a program for 64-bit x86"));
    }
    Ok(Form::Program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn words(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    fn write(path: &std::path::Path, content: &[u8], mode: u32) {
        std::fs::write(path, content).expect("writes");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn looks_where_execvp_looks() {
        let directory = crate::testing::directory("path");
        let elf = std::fs::read("/proc/self/exe").expect("own image");
        std::fs::create_dir_all(directory.join("a/prog")).expect("mkdir");
        std::fs::create_dir_all(directory.join("b")).expect("mkdir");
        write(&directory.join("b/prog"), &elf[..64], 0o755);
        write(&directory.join("b/plain"), b"echo hello\n", 0o755);
        write(&directory.join("b/script"), b"#!/bin/sh\n", 0o755);
        write(&directory.join("b/orphan"), b"#!/no/such/interpreter -x\n", 0o755);
        write(&directory.join("b/locked"), b"#!/bin/sh\n", 0o644);
        let mut other = elf[..64].to_vec();
        other[18] = 0xB7;
        write(&directory.join("b/arm"), &other, 0o755);
        let path = format!("/no/such/place:{0}/a:{0}/b:{0}/c", directory.display());
        let find = |name: &str| super::find(&words(&[name, "x"]), Some(OsStr::new(&path)));

        let inside = |name: &str| CString::new(format!("{}/b/{name}", directory.display())).expect("no NUL");
        let found = find("prog").expect("found");
        assert_eq!(found, Program { path: inside("prog"), argv: vec![c"prog".into(), c"x".into()] });
        assert_eq!(find("script").expect("found").path, inside("script"));
        let shell = find("plain").expect("found");
        assert_eq!(shell.path.as_c_str(), c"/bin/sh");
        assert_eq!(shell.argv, [c"/bin/sh".into(), inside("plain"), c"x".into()]);

        let refused = |name: &str| find(name).expect_err(name);
        assert_eq!(refused("absent").status, 127);
        assert_eq!(refused("").status, 127);
        assert_eq!(refused("/no/such/file").status, 127);
        // root may "execute" nothing without any x bit either, so this holds for every user.
        assert_eq!(refused("locked").status, 126);
        assert_eq!(refused("orphan").status, 126);
        assert!(refused("orphan").message.contains("/no/such/interpreter"));
        assert_eq!(refused(&format!("{}/a", directory.display())).status, 126);
        assert!(refused("arm").message.ends_with("not a program for 64-bit x86"));
        assert!(refused("locked").message.starts_with("cannot run locked: permission denied"));
    }

    #[test]
    fn a_name_with_a_slash_stays_as_it_is() {
        let found = find(&words(&["/bin/../bin/sh", "-c", ":"]), None).expect("found");
        assert_eq!(found.path.as_c_str(), c"/bin/../bin/sh");
        assert_eq!(find(&words(&["sh"]), None).expect("found").path.as_c_str(), c"/bin/sh");
    }
}

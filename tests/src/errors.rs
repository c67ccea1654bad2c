//! Errors as the suites compare them: expectations beside a guest's lines, vg-errors' JSON, Valgrind's log.
//!
//! What always holds: an error belongs to the innermost frame that lies in the guest's own source file, and is compared
//! once for each kind, size and line.

use crate::leaks;
use crate::run::Run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// An error of the program under test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Error {
    /// Line in the guest's source; `None` when no frame lies in it.
    pub line: Option<u32>,
    /// Valgrind's name of its kind.
    pub kind: String,
    /// Bytes accessed, or the length that was given for a copy; 0 for kinds that are about none.
    pub size: u64,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: ")?,
            None => f.write_str("elsewhere: ")?,
        }
        write!(f, "{} {}", self.kind, self.size)
    }
}

/// The expectations `//~ KIND SIZE` of a source; several on a line repeat the mark.
pub fn expectations(text: &str) -> Result<BTreeSet<Error>, String> {
    let mut found = BTreeSet::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split("//=").next().unwrap_or_default();
        for mark in text.split("//~").skip(1) {
            let mut words = mark.split_whitespace();
            let (kind, size) = (words.next(), words.next().and_then(|size| size.parse().ok()));
            let (Some(kind), Some(size), None) = (kind, size, words.next()) else {
                return Err(format!("line {line}: bad expectation {mark:?}"));
            };
            found.insert(Error { line: Some(line), kind: kind.to_owned(), size });
        }
    }
    Ok(found)
}

/// The variables `//= NAME` of a source that its errors are about, behind all `//~` of a line: line and name. A program
/// that has one has them all.
pub fn variables(text: &str) -> BTreeSet<(u32, String)> {
    let named = |(line, text): (u32, &str)| {
        let (_, marks) = text.split_once("//~")?;
        Some((line, marks.split_once("//=")?.1.trim().to_owned()))
    };
    (1..).zip(text.lines()).filter_map(named).collect()
}

/// Those that `vg-errors --format=json` names, with the part that holds the address.
pub fn variables_in_json(text: &str, source: &str) -> Result<BTreeSet<(u32, String)>, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let mut found = BTreeSet::new();
    for error in json["errors"].as_array().ok_or("no errors")? {
        let variable = &error["location"]["variable"];
        if let (Some(name), Some(line)) = (variable["name"].as_str(), own_line(error, source)) {
            found.insert((line, format!("{name}{}", variable["part"].as_str().unwrap_or_default())));
        }
    }
    Ok(found)
}

/// Those that memcheck names in its log, which may be less: it does not look into unions, for one.
pub fn variables_in_log(text: &str, source: &str) -> BTreeSet<(u32, String)> {
    let mut found = BTreeSet::new();
    let mut own = None;
    for line in crate::peer::lines(text) {
        if line.starts_with("at ") {
            own = None;
        }
        let position = crate::peer::position(line).filter(|(file, _)| *file == source);
        own = own.or(position.map(|(_, line)| line));
        let name = line.strip_prefix("Location ").and_then(|line| line.split_once(" inside "));
        if let (Some(own), Some((_, name))) = (own, name) {
            let name = name.strip_prefix("local var ").or(name.strip_prefix("global var ")).unwrap_or(name);
            found.insert((own, name.trim_matches(['"', ',']).to_owned()));
        }
    }
    found
}

/// The line of the innermost frame in the guest's own source.
fn own_line(error: &Value, source: &str) -> Option<u32> {
    let mut stack = error["stack"].as_array()?.iter();
    let own = stack.find(|frame| frame["file"].as_str().is_some_and(|file| leaks::is_file(file, source)))?;
    u32::try_from(own["line"].as_u64()?).ok()
}

/// Reads `vg-errors --format=json`; `source` is the file name of the guest's source.
pub fn from_json(text: &str, source: &str) -> Result<BTreeSet<Error>, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if json["schema"] != 1 {
        return Err(format!("schema is {}, not 1", json["schema"]));
    }
    let mut found = BTreeSet::new();
    for error in json["errors"].as_array().ok_or("no errors")? {
        let stack = error["stack"].as_array().ok_or("an error without a stack")?;
        // Those that the harness left open.
        if error["kind"] == "FdNotClosed" && stack.is_empty() {
            continue;
        }
        found.insert(Error {
            line: own_line(error, source),
            kind: error["kind"].as_str().unwrap_or_default().to_owned(),
            size: error["size"].as_u64().unwrap_or(0),
        });
    }
    Ok(found)
}

/// Reads the log of memcheck.
pub fn from_log(text: &str, source: &str) -> BTreeSet<Error> {
    let mut found = BTreeSet::new();
    let mut open: Option<Error> = None;
    let mut in_stack = false;
    for line in crate::peer::lines(text) {
        if let Some(error) = headline(line) {
            found.extend(open.replace(error));
            in_stack = false;
        } else if let Some(error) = &mut open
            && let Some((file, number)) = crate::peer::position(line)
            && file == source
        {
            error.line = Some(number);
            found.extend(open.take());
        } else if line.starts_with("at ") || line.starts_with("by ") {
            in_stack = true;
        } else if in_stack {
            // What follows is about the address; before the stack, why a signal came.
            found.extend(open.take());
        }
    }
    found.extend(open);
    // Its own log, and what the harness left open.
    found.retain(|error| error.kind != "FdNotClosed" || error.line.is_some());
    found
}

/// The headlines that name a parameter of a system call, in a log of Valgrind's or in our text.
pub fn named(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| Some(&line[line.find("Syscall param ")?..]));
    // Only newer versions number the buffers: `writev(vector[...])`.
    lines.map(|line| line.replace("[...]", "[1]")).collect()
}

/// `Invalid read of size 4`, or `Source and destination overlap in memcpy(0x4a8e040, 0x4a8e045, 20)`: without a length, of
/// size 0.
fn headline(line: &str) -> Option<Error> {
    if let Some(call) = line.strip_prefix("Source and destination overlap in ") {
        let arguments = call.split_once('(')?.1.strip_suffix(')')?;
        let size = arguments.split(", ").nth(2).map_or(Ok(0), str::parse);
        return Some(Error { line: None, kind: "Overlap".to_owned(), size: size.ok()? });
    }
    let error = |kind: &str, size| Error { line: None, kind: kind.to_owned(), size };
    let sized = |(kind, text): &(&str, &str)| {
        // Newer versions go on behind the size: `Invalid size value: 24 alignment value: 16 (...)`.
        let number = line.strip_prefix(text)?.split(' ').next()?;
        Some(error(kind, number.parse().ok()?))
    };
    if let Some(error) = SIZED.iter().find_map(sized) {
        return Some(error);
    }
    let fits = |(_, start, within): &&(&str, &str, &str)| line.starts_with(start) && line.contains(within);
    OTHERS.iter().find(fits).map(|(kind, ..)| error(kind, 0))
}

/// Kinds with a size, and the beginning of Valgrind's headline before it.
const SIZED: &[(&str, &str)] = &[
    ("InvalidRead", "Invalid read of size "),
    ("InvalidWrite", "Invalid write of size "),
    ("UninitValue", "Use of uninitialised value of size "),
    ("InvalidSizeAndAlignment", "Invalid size value: "),
];

/// Kinds without one: how the headline begins, and what is in it.
const OTHERS: &[(&str, &str, &str)] = &[
    ("UninitCondition", "Conditional jump or move depends on uninitialised value(s)", ""),
    ("InvalidFree", "Invalid free() / delete", ""),
    ("MismatchedFree", "Mismatched free() / delete", ""),
    ("MismatchedAllocateDeallocateSize", "Mismatched ", " size value: "),
    ("MismatchedAllocateDeallocateAlignment", "Mismatched ", " alignment alloc value: "),
    ("FishyValue", "Argument '", "has a fishy (possibly negative) value: "),
    ("ReallocSizeZero", "realloc() with size 0", ""),
    ("InvalidAlignment", "Invalid alignment value: ", ""),
    ("FatalSignal", "Process terminating with default action of signal ", ""),
    ("InvalidJump", "Jump to the invalid address stated on the next line", ""),
    ("FdNotClosed", "Open file descriptor ", ""),
    ("FdBadClose", "File descriptor ", " is already closed"),
    ("FdBadClose", "Close of a file descriptor that is not open: ", ""),
    ("FdBadUse", "File descriptor ", " was closed already"),
    ("FdBadUse", "Invalid file descriptor ", ""),
    ("SyscallParam", "Syscall param ", " byte(s)"),
    ("ClientCheck", "", " byte(s) found during client check request"),
    ("InvalidMemPool", "Illegal memory pool address", ""),
    ("InvalidSize", "", " invalid size value: "),
    ("InvalidSize", "Unsafe allocation with size of zero", ""),
];

/// Kinds that Valgrind has not always known, with the first version that does.
const SINCE: &[(&str, (u32, u32))] = &[
    ("ReallocSizeZero", (3, 21)),
    ("MismatchedAllocateDeallocateSize", (3, 22)),
    ("MismatchedAllocateDeallocateAlignment", (3, 22)),
    ("InvalidAlignment", (3, 22)),
    ("InvalidSize", (3, 22)),
    ("InvalidSizeAndAlignment", (3, 22)),
    ("FdBadClose", (3, 23)),
    ("FdBadUse", (3, 25)),
];

/// What the installed Valgrind can find of some errors.
pub fn known_to_peer(errors: BTreeSet<Error>) -> BTreeSet<Error> {
    let text = Run::new(["valgrind", "--version"], std::path::Path::new("/")).run().map(|run| run.out());
    let version = text.ok().and_then(|text| version(&text)).unwrap_or((0, 0));
    let known = |error: &Error| SINCE.iter().all(|(kind, since)| *kind != error.kind || version >= *since);
    errors.into_iter().filter(known).collect()
}

/// Major and minor number of `valgrind-3.19.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("valgrind-")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether errors are all found where no memory access is looked at: those of calls of allocators.
pub fn of_allocators(errors: &BTreeSet<Error>) -> bool {
    const OTHERS: [&str; 10] = [
        "InvalidRead",
        "InvalidWrite",
        "Overlap",
        "UninitCondition",
        "UninitValue",
        "FdNotClosed",
        "FdBadClose",
        "FdBadUse",
        "SyscallParam",
        "ClientCheck",
    ];
    errors.iter().all(|error| !OTHERS.contains(&error.kind.as_str()))
}

/// What is different between two lists; empty when nothing is.
pub fn differences(expected: &BTreeSet<Error>, found: &BTreeSet<Error>) -> Vec<String> {
    let unexpected = found.difference(expected).map(|error| format!("not expected: {error}"));
    unexpected.chain(expected.difference(found).map(|error| format!("not found:    {error}"))).collect()
}

/// The options of memcheck for a run of `command` with its log in `log`; `values`: undefined values are looked for; `fds`:
/// descriptors.
pub fn under_memcheck(command: &[String], log: &str, values: bool, fds: bool, cwd: &std::path::Path) -> Run {
    let mut argv: Vec<String> =
        ["valgrind", "--num-callers=40", "--leak-check=no"].map(str::to_owned).to_vec();
    argv.push(format!("--undef-value-errors={}", if values { "yes" } else { "no" }));
    argv.push(format!("--log-file={log}"));
    if fds {
        argv.push("--track-fds=yes".to_owned());
    }
    argv.extend(command.iter().cloned());
    Run::new(argv, cwd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines() {
        let known = |line| headline(line).map(|error| (error.kind, error.size));
        for (line, kind, size) in [
            ("Invalid write of size 16", "InvalidWrite", 16),
            ("Invalid free() / delete / delete[] / realloc()", "InvalidFree", 0),
            ("Mismatched free() / delete / delete []", "MismatchedFree", 0),
            ("Mismatched new[]/delete[] size value: 8", "MismatchedAllocateDeallocateSize", 0),
            (
                "Mismatched new/delete alignment alloc value: 64 dealloc value: default-aligned",
                "MismatchedAllocateDeallocateAlignment",
                0,
            ),
            ("Syscall param write(buf) points to uninitialised byte(s)", "SyscallParam", 0),
            ("Argument 'size' of function malloc has a fishy (possibly negative) value: -1", "FishyValue", 0),
            ("realloc() with size 0", "ReallocSizeZero", 0),
            ("Invalid alignment value: 3 (should be power of 2)", "InvalidAlignment", 0),
            ("Invalid size value: 24 alignment value: 16 (...)", "InvalidSizeAndAlignment", 24),
            ("memalign() invalid size value: 0", "InvalidSize", 0),
        ] {
            assert_eq!(known(line), Some((kind.to_owned(), size)), "{line}");
        }
        assert_eq!(known("Address 0x4a40041 is 1 bytes inside a block of size 10 alloc'd"), None);
        assert_eq!(version("valgrind-3.19.0\n"), Some((3, 19)));
    }
}

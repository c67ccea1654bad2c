//! Files of profiles, told apart by their content: traces of `vg-record`, and what callgrind, cachegrind and massif write.
//!
//! What always holds: no file is trusted; an error names the file, the line where there is one, and what is wrong. What is
//! cut short and still means something is read, with a warning.
//! Not here: adding up several files (`crate::run`).

mod cachegrind;
mod callgrind;
mod formula;
#[cfg(test)]
mod hostile;
mod lines;
mod massif;
mod names;
mod trace;

use crate::options::Options;
use crate::profile::Profile;
use crate::run::TOOL;
use report::cli::{self, Source, Stop};
use std::io::{BufRead, BufReader, Read as _};

/// Bytes at the beginning of a file that tell what it is.
const HEAD: u64 = 64 << 10;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Trace,
    Callgrind,
    Cachegrind,
    Massif,
}

/// Reads a profile.
///
/// # Errors
/// What keeps it from being read, with the name of the file.
pub fn read(source: &Source, options: &Options) -> Result<Profile, Stop> {
    let name = source.name();
    let mut input = source.open()?;
    let mut head = Vec::new();
    input
        .by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| Stop::trouble(format_args!("{name}: {}", cli::plain(&error))))?;
    let kind = recognise(&head);
    let mut input = BufReader::new(std::io::Cursor::new(head).chain(input));
    if kind == Kind::Trace {
        return trace::read(input, source, options);
    }
    if options.simulate.simulate {
        return Err(Stop::trouble(format_args!(
            "{name}: --simulate needs a trace made with vg-record --events=access --accesses=full; this is no trace"
        )));
    }
    if options.process.is_some() || options.thread.is_some() || options.part.is_some() {
        return Err(Stop::trouble(format_args!(
            "{name}: --process, --thread and --part select in traces; this is no trace"
        )));
    }
    let read: fn(&mut dyn BufRead) -> Result<Read, lines::Problem> = match kind {
        Kind::Massif => massif::read,
        Kind::Cachegrind => cachegrind::read,
        Kind::Callgrind | Kind::Trace => callgrind::read,
    };
    let (profile, doubts) = read(&mut input).map_err(|problem| {
        let place = if problem.line == 0 { String::new() } else { format!(":{}", problem.line) };
        Stop::trouble(format_args!("{name}{place}: {}", problem.what))
    })?;
    for doubt in doubts {
        cli::warn(TOOL, format_args!("{name}: {doubt}"));
    }
    Ok(profile)
}

/// A profile, and what makes it doubtful.
type Read = (Profile, Vec<String>);

/// What a file is that begins so. What has no header of a known text goes to the reader of traces, which says so.
fn recognise(head: &[u8]) -> Kind {
    // A trace begins with the number of a message's segments less one, in four bytes.
    if head.starts_with(&[0]) {
        return Kind::Trace;
    }
    let text = String::from_utf8_lossy(head);
    if text.starts_with("# callgrind format") {
        return Kind::Callgrind;
    }
    // cachegrind describes nothing but machine and command.
    let mut is_cachegrind = text.lines().any(|line| line.starts_with("cmd:"));
    for line in text.lines() {
        match line.split_once(':').map_or("", |(key, _)| key) {
            "time_unit" => return Kind::Massif,
            "events" if is_cachegrind => return Kind::Cachegrind,
            "events" | "version" | "creator" => return Kind::Callgrind,
            "desc" | "cmd" => {}
            _ => is_cachegrind = false,
        }
    }
    Kind::Trace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_headers() {
        let is = |text: &str, kind| assert_eq!(recognise(text.as_bytes()), kind, "{text}");
        is("# callgrind format\nversion: 1\n", Kind::Callgrind);
        is("version: 1\ncreator: callgrind-3.2\ncmd: a\nevents: Ir\n", Kind::Callgrind);
        is("positions: line\nevents: Ticks\nfn=f\n1 1\n", Kind::Callgrind);
        is("events: Ticks\nfn=f\n1 1\n", Kind::Callgrind);
        is("desc: I1 cache: 1 B\ncmd: ./a events: x\nevents: Ir\nfl=a.c\n", Kind::Cachegrind);
        is("desc: (none)\ncmd: ./a\ntime_unit: i\n#-----------\n", Kind::Massif);
        is("no header", Kind::Trace);
        is("\0\0\0\0\u{7}events: Ir\n", Kind::Trace);
        is("", Kind::Trace);
    }
}

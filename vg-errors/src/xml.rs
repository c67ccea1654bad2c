//! The report as Valgrind's XML, protocol 4 or 6.
//!
//! Elements, their order and their spelling are those that Valgrind prints (docs/internals/xml-output-protocol4.txt and
//! 6), because readers are strict: one that knows 15 kinds of errors refuses a document with another. So protocol 4 has
//! the nearest of its own kinds for each that came later. All processes of a recording make one document, since a file
//! holds one. Not here: Valgrind's words (`words`).

use crate::findings::{Finding, Stack};
use crate::kinds::{FATAL_SIGNAL, FD_NOT_CLOSED, KINDS};
use crate::load::{Process, Recording};
use crate::options::Options;
use crate::run::Report;
use crate::words::{self, Part};
use report::format::{harmless, signal_name};
use report::stack::Frame;
use std::io::{self, Write};

/// Writes elements with indentation.
struct Xml<'w> {
    out: &'w mut dyn Write,
    depth: usize,
}

impl Xml<'_> {
    fn open(&mut self, name: &str) -> io::Result<()> {
        writeln!(self.out, "{:1$}<{name}>", "", self.depth * 2)?;
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, name: &str) -> io::Result<()> {
        self.depth -= 1;
        writeln!(self.out, "{:1$}</{name}>", "", self.depth * 2)
    }

    fn leaf(&mut self, name: &str, text: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{:2$}<{name}>{}</{name}>", "", escaped(&text.to_string()), self.depth * 2)
    }

    /// An element when there is something to say.
    fn known(&mut self, name: &str, text: &str) -> io::Result<()> {
        if text.is_empty() { Ok(()) } else { self.leaf(name, text) }
    }

    fn blank(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }
}

/// Text for an element. What XML 1.0 cannot hold even escaped becomes visible.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes the report.
pub(crate) fn write(out: &mut dyn Write, report: &Report<'_>, options: &Options) -> io::Result<()> {
    let nothing = Recording::default();
    let recording = report.recordings.first().unwrap_or(&nothing);
    let unknown = Process::default();
    let root = recording.processes.iter().find(|process| match options.process {
        Some(wanted) => process.is(wanted),
        None => process.root,
    });
    let root = root.unwrap_or(&unknown);
    let mut xml = Xml { out, depth: 0 };
    writeln!(xml.out, "<?xml version=\"1.0\"?>\n\n<valgrindoutput>\n")?;
    xml.leaf("protocolversion", options.xml_protocol)?;
    xml.leaf("protocoltool", "memcheck")?;
    xml.blank()?;
    head(&mut xml, recording, root)?;
    for finding in &report.findings.listed {
        if finding.kind == FATAL_SIGNAL {
            fatal_signal(&mut xml, finding)?;
        } else {
            error(&mut xml, finding, options.xml_protocol)?;
        }
    }
    status(&mut xml, "FINISHED", root.times.1)?;
    tail(&mut xml, report, options.xml_protocol)
}

fn head(xml: &mut Xml<'_>, recording: &Recording, root: &Process) -> io::Result<()> {
    xml.open("preamble")?;
    let tool = if recording.tool.is_empty() { "an unknown recorder" } else { &recording.tool };
    xml.leaf("line", format_args!("vg-errors {}, from a recording by {tool}", env!("CARGO_PKG_VERSION")))?;
    xml.leaf("line", format_args!("Command: {}", root.command.join(" ")))?;
    xml.close("preamble")?;
    xml.blank()?;
    xml.leaf("pid", root.pid)?;
    xml.leaf("ppid", root.ppid)?;
    xml.leaf("tool", "memcheck")?;
    xml.blank()?;
    xml.open("args")?;
    xml.open("vargv")?;
    xml.leaf("exe", "vg-errors")?;
    xml.close("vargv")?;
    xml.open("argv")?;
    let mut words = root.command.iter();
    xml.leaf("exe", words.next().map_or(root.executable.as_str(), String::as_str))?;
    words.try_for_each(|word| xml.leaf("arg", word))?;
    xml.close("argv")?;
    xml.close("args")?;
    xml.blank()?;
    status(xml, "RUNNING", root.times.0)
}

fn status(xml: &mut Xml<'_>, state: &str, time: u64) -> io::Result<()> {
    let milliseconds = time / 1_000_000;
    let (seconds, thousandths) = (milliseconds / 1000, milliseconds % 1000);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    xml.open("status")?;
    xml.leaf("state", state)?;
    let time =
        format!("{days:02}:{:02}:{:02}:{:02}.{thousandths:03} ", hours % 24, minutes % 60, seconds % 60);
    xml.leaf("time", time)?;
    xml.close("status")?;
    xml.blank()
}

fn error(xml: &mut Xml<'_>, finding: &Finding<'_>, protocol: u8) -> io::Result<()> {
    let kind = &KINDS[finding.kind];
    let old = protocol < 5;
    xml.open("error")?;
    xml.leaf("unique", format_args!("{:#x}", finding.number - 1))?;
    xml.leaf("tid", finding.error.thread)?;
    xml.known("threadname", finding.recording.thread_name(finding.error.thread))?;
    xml.leaf("kind", if old { kind.protocol4 } else { kind.name })?;
    let what = words::what(finding);
    match &finding.error.descriptor {
        Some(descriptor) if !old => {
            xml.leaf("fd", descriptor.number)?;
            xml.known("path", &descriptor.name.to_string())?;
            xml.leaf("what", what)?;
        }
        _ if old && finding.kind == FD_NOT_CLOSED => {
            // A leak, of no bytes.
            xml.open("xwhat")?;
            xml.leaf("text", what)?;
            xml.leaf("leakedbytes", 0)?;
            xml.leaf("leakedblocks", 1)?;
            xml.close("xwhat")?;
        }
        _ => xml.leaf("what", what)?,
    }
    stack(xml, &finding.stack)?;
    for part in words::parts(finding) {
        match part {
            Part::Aux(line, of) => {
                xml.leaf("auxwhat", line)?;
                if let Some(of) = of {
                    stack(xml, of)?;
                }
            }
            Part::Declared(text, file, line) => {
                xml.open("xauxwhat")?;
                xml.leaf("text", text)?;
                if line > 0 && !file.is_empty() {
                    xml.leaf("file", file)?;
                    xml.leaf("line", line)?;
                }
                xml.close("xauxwhat")?;
            }
        }
    }
    xml.close("error")?;
    xml.blank()
}

fn fatal_signal(xml: &mut Xml<'_>, finding: &Finding<'_>) -> io::Result<()> {
    let error = finding.error;
    xml.open("fatal_signal")?;
    xml.leaf("tid", error.thread)?;
    xml.known("threadname", finding.recording.thread_name(error.thread))?;
    xml.leaf("signo", error.value)?;
    let name = signal_name(error.value as u32);
    let name = name.split(['(', ')']).nth(1).unwrap_or("unknown");
    xml.leaf("signame", name)?;
    let code = error.given as i32;
    xml.leaf("sicode", code)?;
    match words::fatal_event(error.value, code) {
        Some(event) => {
            xml.leaf("event", event)?;
            xml.leaf("siaddr", format_args!("{:#x}", error.address))?;
        }
        None => xml.leaf("event", "The signal was sent")?,
    }
    stack(xml, &finding.stack)?;
    xml.close("fatal_signal")?;
    xml.blank()
}

fn stack(xml: &mut Xml<'_>, stack: &Stack<'_>) -> io::Result<()> {
    xml.open("stack")?;
    if stack.frames.is_empty() {
        // Readers want a frame in each stack, and a stack in each error.
        frame(xml, &Frame::default())?;
    }
    stack.frames.iter().try_for_each(|of| frame(xml, of))?;
    xml.close("stack")
}

fn frame(xml: &mut Xml<'_>, frame: &Frame<'_>) -> io::Result<()> {
    xml.open("frame")?;
    xml.leaf("ip", format_args!("0x{:X}", frame.address))?;
    xml.known("obj", frame.module)?;
    xml.known("fn", frame.function)?;
    let (directory, file) = frame.file.rsplit_once('/').unwrap_or(("", frame.file));
    xml.known("dir", directory)?;
    xml.known("file", file)?;
    if !file.is_empty() && frame.line > 0 {
        xml.leaf("line", frame.line)?;
    }
    xml.close("frame")
}

fn tail(xml: &mut Xml<'_>, report: &Report<'_>, protocol: u8) -> io::Result<()> {
    let findings = &report.findings;
    xml.open("errorcounts")?;
    for finding in findings.listed.iter().filter(|finding| finding.kind != FATAL_SIGNAL) {
        xml.open("pair")?;
        xml.leaf("count", finding.count)?;
        xml.leaf("unique", format_args!("{:#x}", finding.number - 1))?;
        xml.close("pair")?;
    }
    xml.close("errorcounts")?;
    xml.blank()?;
    xml.open("suppcounts")?;
    for (pattern, count) in findings.excluded.iter().filter(|(_, count)| *count > 0) {
        xml.open("pair")?;
        xml.leaf("count", count)?;
        xml.leaf("name", format_args!("--exclude={pattern}"))?;
        xml.close("pair")?;
    }
    xml.close("suppcounts")?;
    xml.blank()?;
    if protocol >= 6 {
        let summary = findings.summary;
        xml.open("error_summary")?;
        xml.leaf("errors", summary.errors)?;
        xml.leaf("error_contexts", summary.contexts)?;
        xml.leaf("suppressed", summary.suppressed)?;
        xml.leaf("suppressed_contexts", summary.suppressed_contexts)?;
        xml.close("error_summary")?;
        xml.blank()?;
    }
    writeln!(xml.out, "</valgrindoutput>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_well_formed() {
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;\"c\"");
        assert_eq!(escaped("\x1b]\0\n"), "\\u{1b}]\\u{0}\\n");
        assert_eq!(escaped("\u{ffff}"), "\u{fffd}");
    }

    #[test]
    fn times() {
        let mut bytes = Vec::new();
        let time = ((26 * 3600 + 3 * 60 + 4) * 1000 + 5) * 1_000_000;
        status(&mut Xml { out: &mut bytes, depth: 0 }, "FINISHED", time).unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains("<time>01:02:03:04.005 </time>"));
    }
}

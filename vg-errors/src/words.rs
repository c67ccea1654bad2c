//! Errors in Valgrind's words: the line that says what, and what follows it about addresses and origins.
//!
//! Programs and people search for these lines, so that they are never changed. Where Valgrind has no words for what a
//! trace can tell, the line is made in its manner. Not here: the plain sentence (`sentence`), layout (`text`, `xml`).

use crate::findings::{Finding, Stack};
use crate::kinds::KINDS;
use report::format::{counted, grouped, harmless, signal_name};
use schema::{AddressInfo, AddressKind, Descriptor, Error, ErrorKind, Family, OriginKind, flag};

/// What follows the line that says what.
#[derive(Debug)]
pub(crate) enum Part<'f, 't> {
    /// A line about the address, the origin, ... with the stack that it speaks of.
    Aux(String, Option<&'f Stack<'t>>),
    /// Where a variable was declared: text, file, line.
    Declared(String, String, u32),
}

/// `Invalid read of size 4`.
pub(crate) fn what(finding: &Finding<'_>) -> String {
    let error = finding.error;
    let text = harmless(&error.text);
    let bytes = if error.flags & flag::UNADDRESSABLE != 0 { "unaddressable" } else { "uninitialised" };
    match error.kind {
        ErrorKind::InvalidRead => format!("Invalid read of size {}", error.size),
        ErrorKind::InvalidWrite => format!("Invalid write of size {}", error.size),
        ErrorKind::InvalidJump => "Jump to the invalid address stated on the next line".to_owned(),
        ErrorKind::InvalidFree => "Invalid free() / delete / delete[] / realloc()".to_owned(),
        ErrorKind::MismatchedFree => "Mismatched free() / delete / delete []".to_owned(),
        ErrorKind::SizeMismatch => {
            format!("Mismatched {} size value: {}", functions(&text), error.given)
        }
        ErrorKind::AlignMismatch => format!(
            "Mismatched {} alignment alloc value: {} dealloc value: {}",
            functions(&text),
            alignment(error.wanted),
            alignment(error.given)
        ),
        ErrorKind::UninitCondition => "Conditional jump or move depends on uninitialised value(s)".to_owned(),
        ErrorKind::UninitValue => format!("Use of uninitialised value of size {}", error.size),
        ErrorKind::Overlap if error.size == 0 => format!(
            "Source and destination overlap in {text}({:#x}, {:#x})",
            error.address, error.other_address
        ),
        ErrorKind::Overlap => format!(
            "Source and destination overlap in {text}({:#x}, {:#x}, {})",
            error.address, error.other_address, error.size
        ),
        ErrorKind::SyscallParam if !is_about_memory(error) => {
            format!("Syscall param {text} contains {bytes} byte(s)")
        }
        ErrorKind::SyscallParam => format!("Syscall param {text} points to {bytes} byte(s)"),
        ErrorKind::FishyValue => {
            let (function, argument) = function_and_argument(&text);
            let value = error.value;
            format!(
                "Argument '{argument}' of function {function} has a fishy (possibly negative) value: {value}"
            )
        }
        ErrorKind::ReallocSizeZero => "realloc() with size 0".to_owned(),
        ErrorKind::InvalidAlignment => {
            format!("Invalid alignment value: {} (should be power of 2)", error.given)
        }
        ErrorKind::InvalidSize => "Unsafe allocation with size of zero is implementation-defined".to_owned(),
        ErrorKind::InvalidSizeAndAlignment => {
            format!("Invalid size value: {} (should be a multiple of alignment: {})", error.size, error.given)
        }
        ErrorKind::ClientCheck => {
            let found = if bytes == "unaddressable" { "Unaddressable" } else { "Uninitialised" };
            format!("{found} byte(s) found during client check request")
        }
        ErrorKind::InvalidMemPool => "Illegal memory pool address".to_owned(),
        ErrorKind::FatalSignal => {
            format!("Process terminating with default action of {}", signal_name(error.value as u32))
        }
        ErrorKind::FdNotClosed => match descriptor(finding) {
            (number, name) if name.is_empty() => format!("Open file descriptor {number}"),
            (number, name) => format!("Open file descriptor {number}: {name}"),
        },
        ErrorKind::FdBadClose => match descriptor(finding) {
            (number, _) if !was_open(error.descriptor.as_ref()) => {
                format!("Close of a file descriptor that is not open: {number}")
            }
            (number, name) if name.is_empty() => format!("File descriptor {number} is already closed"),
            (number, name) => format!("File descriptor {number}: {name} is already closed"),
        },
        ErrorKind::FdBadUse => match descriptor(finding) {
            (number, _) if was_open(error.descriptor.as_ref()) => {
                format!("File descriptor {number} was closed already")
            }
            (number, _) => format!("Invalid file descriptor {number}"),
        },
        ErrorKind::Other(number) => {
            format!("{} error, number {number}", KINDS[finding.kind].name)
        }
    }
}

/// `new[]/delete[]`: the functions that a size or an alignment was given to.
fn functions(text: &str) -> &str {
    if text.is_empty() { "new/delete" } else { text }
}

/// `calloc` and `nmemb` of `calloc(nmemb)`; without an argument it is the size.
pub(crate) fn function_and_argument(text: &str) -> (&str, &str) {
    text.strip_suffix(')').and_then(|text| text.split_once('(')).unwrap_or((text, "size"))
}

fn alignment(value: u64) -> String {
    if value == 0 { "default-aligned".to_owned() } else { value.to_string() }
}

/// Number and name of the descriptor that an error is about.
fn descriptor(finding: &Finding<'_>) -> (i32, String) {
    match &finding.error.descriptor {
        Some(descriptor) => (descriptor.number, harmless(&descriptor.name.to_string()).into_owned()),
        None => (-1, String::new()),
    }
}

/// Whether a descriptor was open before.
pub(crate) fn was_open(descriptor: Option<&Descriptor>) -> bool {
    descriptor.is_some_and(|descriptor| !descriptor.never_open())
}

/// What follows.
pub(crate) fn parts<'f, 't>(finding: &'f Finding<'t>) -> Vec<Part<'f, 't>> {
    let error = finding.error;
    let mut parts = Vec::new();
    match error.kind {
        ErrorKind::FatalSignal => {
            parts.extend(fatal_reason(finding).map(|reason| Part::Aux(reason, None)));
        }
        ErrorKind::FdNotClosed if error.descriptor.as_ref().is_some_and(|d| d.inherited) => {
            parts.push(Part::Aux("<inherited from parent>".to_owned(), None));
        }
        ErrorKind::FdBadClose | ErrorKind::FdBadUse => {
            if !finding.closed.frames.is_empty() {
                parts.push(Part::Aux("Previously closed".to_owned(), Some(&finding.closed)));
            }
            if !finding.opened.frames.is_empty() {
                parts.push(Part::Aux("Originally opened".to_owned(), Some(&finding.opened)));
            }
        }
        _ => address(finding, &mut parts),
    }
    let stack = Some(&finding.origin).filter(|origin| !origin.frames.is_empty());
    // The function whose variable it is, is not always known.
    if let Some(kind) = finding.origin_kind.filter(|kind| stack.is_some() || *kind == OriginKind::Stack) {
        let by = match kind {
            OriginKind::Heap => " by a heap allocation",
            OriginKind::Stack => " by a stack allocation",
            OriginKind::Client => " by a client request",
            OriginKind::Unknown | OriginKind::Other(_) => "",
        };
        parts.push(Part::Aux(format!("Uninitialised value was created{by}"), stack));
    }
    // Not of the error, but of the value: of the variable that it was read from.
    if let Some(about) = finding.error.about.as_ref().filter(|_| is_about_variable(finding)) {
        if about.is_variable() {
            variable(finding, about, &mut parts);
        } else {
            // Perhaps a copy of what was created elsewhere.
            frame(finding, about, "read from a variable", &mut parts);
        }
    }
    parts
}

/// Whether what is known of an address is about the value that the error comes from.
fn is_about_variable(finding: &Finding<'_>) -> bool {
    finding.origin_kind == Some(OriginKind::Stack) && !has_address(finding)
}

/// `in frame #1, created by main (a.c:9)`; `what` lies there.
fn frame<'f, 't>(finding: &'f Finding<'t>, about: &AddressInfo, what: &str, parts: &mut Vec<Part<'f, 't>>) {
    if let Some(number) = frame_number(finding, about) {
        let frame = finding.stack.frames[number].place();
        let text = format!("{what} in frame #{number}, created by {frame}");
        parts.push(Part::Aux(text.trim_start().to_owned(), None));
    }
}

/// Whether a parameter of a system call points to what is wrong, maybe at address 0; otherwise it is wrong itself.
pub(crate) fn is_about_memory(error: &Error) -> bool {
    error.address != 0 || error.flags & flag::UNADDRESSABLE != 0
}

/// Whether Valgrind describes the address of an error of this kind.
pub(crate) fn has_address(finding: &Finding<'_>) -> bool {
    match finding.error.kind {
        ErrorKind::InvalidRead
        | ErrorKind::InvalidWrite
        | ErrorKind::InvalidJump
        | ErrorKind::InvalidFree
        | ErrorKind::InvalidMemPool => true,
        ErrorKind::MismatchedFree
        | ErrorKind::SizeMismatch
        | ErrorKind::AlignMismatch
        | ErrorKind::ReallocSizeZero => finding.error.address != 0,
        ErrorKind::SyscallParam | ErrorKind::ClientCheck => is_about_memory(finding.error),
        _ => false,
    }
}

fn address<'f, 't>(finding: &'f Finding<'t>, parts: &mut Vec<Part<'f, 't>>) {
    if !has_address(finding) {
        return;
    }
    let at = finding.error.address;
    let Some(about) = &finding.error.about else {
        return parts.push(Part::Aux(nowhere(at), None));
    };
    let allocated = Some(&finding.allocated).filter(|stack| !stack.frames.is_empty());
    let freed = Some(&finding.freed).filter(|stack| !stack.frames.is_empty());
    let symbols = &finding.recording.symbols;
    let module = harmless(symbols.module_path(about.module)).into_owned();
    let text = harmless(&about.text);
    let line = |rest: String| Part::Aux(format!("Address {at:#x} {rest}"), None);
    match about.kind {
        AddressKind::Client if about.family == Family::Pool => {
            let what = block(about, "block");
            parts.push(Part::Aux(format!("Address {at:#x} {what} client-defined"), allocated));
        }
        AddressKind::Live | AddressKind::Client => {
            parts.push(Part::Aux(format!("Address {at:#x} {} alloc'd", block(about, "block")), allocated));
        }
        AddressKind::Reallocated => {
            let what = block(about, "recently re-allocated block");
            parts.push(Part::Aux(format!("Address {at:#x} {what} alloc'd"), allocated));
        }
        AddressKind::Freed => {
            parts.push(Part::Aux(format!("Address {at:#x} {} free'd", block(about, "block")), freed));
            if allocated.is_some() {
                parts.push(Part::Aux("Block was alloc'd at".to_owned(), allocated));
            }
        }
        AddressKind::Described => {
            let what = block(about, if text.is_empty() { "block" } else { &text });
            parts.push(Part::Aux(format!("Address {at:#x} {what} client-defined"), allocated));
        }
        _ if about.is_variable() => variable(finding, about, parts),
        AddressKind::Stack => {
            parts.push(line(format!("is on thread {}'s stack", about.thread)));
            frame(finding, about, "", parts);
        }
        AddressKind::BelowStack => {
            parts.push(line(format!("is on thread {}'s stack", about.thread)));
            let below = grouped(about.offset.unsigned_abs());
            let guard = if text.is_empty() { "" } else { "In stack guard protected page, " };
            parts.push(Part::Aux(format!("{guard}{below} bytes below stack pointer"), None));
        }
        AddressKind::Data if text.is_empty() || text.starts_with('.') => {
            let segment = match &*text {
                ".bss" => "BSS",
                "" | ".data" => "Data",
                section => section,
            };
            parts.push(line(format!("is in the {segment} segment of {module}")));
        }
        AddressKind::Data => {
            let (distance, position) = position(about);
            parts.push(line(format!("is {} bytes {position} data symbol \"{text}\"", grouped(distance))));
        }
        AddressKind::Code => parts.push(line(format!("is in the Text segment of {module}"))),
        AddressKind::Mapping => {
            let may = [(1, 'r'), (2, 'w'), (4, 'x')]
                .map(|(bit, letter)| if about.protection & bit != 0 { letter } else { '-' });
            let may = String::from_iter(may);
            parts.push(line(match text.is_empty() {
                true => format!("is in a {may} anonymous segment"),
                false => format!("is in a {may} mapped file {text} segment"),
            }));
        }
        AddressKind::Tls => {
            parts.push(line(format!("is in thread {}'s thread-local storage", about.thread)));
        }
        AddressKind::Unknown | AddressKind::Unmapped | AddressKind::Other(_) => {
            parts.push(Part::Aux(nowhere(at), None));
        }
    }
}

fn nowhere(at: u64) -> String {
    format!("Address {at:#x} is not stack'd, malloc'd or (recently) free'd")
}

/// A variable: what of it lies at the address, and where it was declared.
fn variable<'f, 't>(finding: &'f Finding<'t>, about: &AddressInfo, parts: &mut Vec<Part<'f, 't>>) {
    let at = finding.error.address;
    let local = about.kind == AddressKind::Stack;
    let name = variable_name(about);
    let (offset, what) = match about.part.is_empty() {
        true if local => (about.offset.unsigned_abs(), format!("local var \"{name}\"")),
        true => (about.offset.unsigned_abs(), format!("global var \"{name}\"")),
        // The comma is Valgrind's.
        false => (about.part_offset, format!("{name},")),
    };
    let bytes = counted(offset, "byte", "bytes");
    parts.push(Part::Aux(format!("Location {at:#x} is {bytes} inside {what}"), None));
    let file = harmless(finding.recording.symbols.string(about.file)).into_owned();
    let place = match (file.is_empty(), about.line) {
        (true, _) | (_, 0) => String::new(),
        (false, line) => format!("declared at {}:{line}", report::format::base_name(&file)),
    };
    let text = if local {
        let comma = if place.is_empty() { "" } else { ", " };
        let frame =
            frame_number(finding, about).map_or(String::new(), |number| format!("in frame #{number} "));
        format!("{place}{comma}{frame}of thread {}", about.thread)
    } else if about.part.is_empty() {
        place
    } else {
        format!("a global variable {place}").trim_end().to_owned()
    };
    if !text.is_empty() {
        parts.push(Part::Declared(text, file, about.line));
    }
}

/// `x[3].y`: a variable, and what of it holds the address.
pub(crate) fn variable_name(about: &AddressInfo) -> String {
    format!("{}{}", harmless(&about.text), harmless(&about.part))
}

/// How far an address lies from a block, and on which side: `before`, `inside` or `after`.
pub(crate) fn position(about: &AddressInfo) -> (u64, &'static str) {
    match u64::try_from(about.offset) {
        Err(_) => (about.offset.unsigned_abs(), "before"),
        Ok(offset) if offset < about.size => (offset, "inside"),
        // As Valgrind: a block without bytes contains its own address.
        Ok(0) => (0, if about.size == 0 { "after" } else { "inside" }),
        Ok(offset) => (offset - about.size, "after"),
    }
}

/// `is 0 bytes after a block of size 40`.
fn block(about: &AddressInfo, what: &str) -> String {
    let (distance, position) = position(about);
    format!("is {} bytes {position} a {what} of size {}", grouped(distance), grouped(about.size))
}

/// The index among the frames that are shown of the function whose variables hold the address.
pub(crate) fn frame_number(finding: &Finding<'_>, about: &AddressInfo) -> Option<usize> {
    let wanted = (about.frame as usize).checked_sub(1)?;
    // The trace counts code addresses; inlined functions have none of their own.
    let frames = finding.stack.frames.iter().enumerate().filter(|(_, frame)| !frame.inlined);
    frames.map(|(index, _)| index).nth(wanted)
}

/// `Access not within mapped region at address 0x0`: why the kernel sent a fatal signal.
fn fatal_reason(finding: &Finding<'_>) -> Option<String> {
    let error = finding.error;
    let reason = fatal_event(error.value, error.given as i32)?;
    Some(match reason {
        "General Protection Fault" => reason.to_owned(),
        _ => format!("{reason} at address 0x{:X}", error.address),
    })
}

/// What an `si_code` of the kernel says; nothing for a signal that was sent.
pub(crate) fn fatal_event(signal: i64, code: i32) -> Option<&'static str> {
    // Numbers of Linux's asm-generic/siginfo.h.
    Some(match (signal, code) {
        (11, 1) => "Access not within mapped region",
        (11, 2) => "Bad permissions for mapped region",
        (11, 128) => "General Protection Fault",
        (7, 1) => "Invalid address alignment",
        (7, 2) => "Non-existent physical address",
        (7, 3) => "Hardware error",
        (8, 1) => "Integer divide by zero",
        (8, 2) => "Integer overflow",
        (8, 3) => "FP divide by zero",
        (8, 4) => "FP overflow",
        (8, 5) => "FP underflow",
        (8, 6) => "FP inexact",
        (8, 7) => "FP invalid operation",
        (8, 8) => "FP subscript out of range",
        (4, 1) => "Illegal opcode",
        (4, 2) => "Illegal operand",
        (4, 3) => "Illegal addressing mode",
        (4, 4) => "Illegal trap",
        (4, 5) => "Privileged opcode",
        (4, 6) => "Privileged register",
        (4, 7) => "Coprocessor error",
        (4, 8) => "Internal stack error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let at = |offset, size| position(&AddressInfo { offset, size, ..AddressInfo::default() });
        assert_eq!(at(0, 40), (0, "inside"));
        assert_eq!(at(39, 40), (39, "inside"));
        assert_eq!(at(40, 40), (0, "after"));
        assert_eq!(at(49, 40), (9, "after"));
        assert_eq!(at(-2, 40), (2, "before"));
        assert_eq!(at(0, 0), (0, "after"));
        assert_eq!(at(i64::MIN, 1), (1 << 63, "before"));
        assert_eq!(at(i64::MAX, u64::MAX), (i64::MAX as u64, "inside"));
    }
}

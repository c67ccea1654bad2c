//! The plain sentence of a finding: who did what to whose memory, with the user's own code named.
//!
//! One line without a terminator. It may change from version to version; what programs search for is in `words`. Not
//! here: layout.

use crate::findings::{Finding, Stack};
use crate::words::{frame_number, function_and_argument, position, variable_name, was_open};
use report::format::{counted, grouped, harmless, signal_name};
use report::stack::Frame;
use schema::{AddressInfo, AddressKind, ErrorKind, Family, OriginKind, flag};

/// `AddressInfo::protection` of what can only be read.
const READ: u8 = 1;

/// What happened, in plain English, and how often when it was more than once.
pub(crate) fn plain(finding: &Finding<'_>) -> String {
    let mut text = once(finding);
    if finding.count > 1 {
        text += &format!(" ({} times)", grouped(finding.count));
    }
    text
}

fn once(finding: &Finding<'_>) -> String {
    let error = finding.error;
    let who = who(&finding.stack);
    let own = user(&finding.stack);
    let name = harmless(&error.text);
    let bytes = counted(error.size, "byte", "bytes");
    match error.kind {
        ErrorKind::InvalidRead => format!("{who} reads {bytes} {}", place(finding)),
        ErrorKind::InvalidWrite => format!("{who} writes {bytes} {}", place(finding)),
        ErrorKind::InvalidJump => format!("{own} jumps to {:#x}, where no code is", error.address),
        ErrorKind::InvalidFree => format!("{own} frees {}", freed_what(finding)),
        ErrorKind::MismatchedFree => {
            let [with, by] =
                [error.given, error.wanted].map(|number| u8::try_from(number).unwrap_or(u8::MAX));
            format!(
                "{own} frees with {} {} with {}",
                free_of(Family::from_number(with)),
                an_allocated_block(finding),
                allocation_of(Family::from_number(by))
            )
        }
        ErrorKind::SizeMismatch => format!(
            "{own} deletes as one of {} {}",
            counted(error.given, "byte", "bytes"),
            a_block(finding, error.about.as_ref())
        ),
        ErrorKind::AlignMismatch => format!(
            "{own} deletes with {} {} with {}",
            alignment(error.given),
            an_allocated_block(finding),
            alignment(error.wanted)
        ),
        ErrorKind::UninitCondition => {
            format!("a decision in {who} depends on {}", never_set(finding))
        }
        ErrorKind::UninitValue => {
            format!("{who} uses as an address or index {}", never_set(finding))
        }
        ErrorKind::Overlap => {
            let much = if error.size == 0 { "a string".to_owned() } else { bytes };
            format!("{own} copies {much} with {name} onto memory that overlaps the source")
        }
        ErrorKind::SyscallParam if error.flags & flag::UNADDRESSABLE != 0 => {
            format!("{own} gives the kernel, as {name}, memory {}", place(finding))
        }
        ErrorKind::SyscallParam => {
            format!("{own} gives the kernel, as {name}, {}", never_set(finding))
        }
        ErrorKind::FishyValue => {
            let (function, argument) = function_and_argument(&name);
            let what = if argument == "size" { "bytes" } else { "elements" };
            let function = match function {
                "__builtin_new" | "__builtin_new_aligned" => "new",
                "__builtin_vec_new" | "__builtin_vec_new_aligned" => "new[]",
                _ => function,
            };
            format!("{own} asks {function} for {} {what}, which is negative or far too much", error.value)
        }
        ErrorKind::ReallocSizeZero => {
            format!("{own} calls realloc with size 0, which does not do the same on every system")
        }
        ErrorKind::InvalidAlignment => {
            format!("{own} asks {name} for an alignment of {}, which is no power of two", error.given)
        }
        ErrorKind::InvalidSize => {
            format!("{own} asks {name} for {}", counted(error.given, "byte", "bytes"))
                + ", which does not do the same on every system"
        }
        ErrorKind::InvalidSizeAndAlignment => {
            format!("{own} asks {name} for {bytes}, which is no multiple of the alignment {}", error.given)
        }
        ErrorKind::ClientCheck if error.flags & flag::UNADDRESSABLE != 0 => {
            format!("a check that {own} asked for found memory {}", place(finding))
        }
        ErrorKind::ClientCheck => {
            format!("a check that {own} asked for found {}", never_set(finding))
        }
        ErrorKind::InvalidMemPool => format!("{own} names a memory pool that does not exist"),
        ErrorKind::FatalSignal => {
            let place = match finding.stack.frames.is_empty() {
                true => String::new(),
                false => format!(" in {}", who.trim_end_matches(',')),
            };
            format!("{} ends the program{place}", signal_name(error.value as u32))
        }
        ErrorKind::FdNotClosed => format!("{} was never closed", descriptor(finding, "opened by")),
        ErrorKind::FdBadClose => format!("{own} closes {}", bad_descriptor(finding)),
        ErrorKind::FdBadUse => format!("{own} uses {}", bad_descriptor(finding)),
        ErrorKind::Other(number) => {
            format!("{own} does something that this version has no words for (error number {number})")
        }
    }
}

fn user(stack: &Stack<'_>) -> String {
    stack.user.map_or_else(|| "code at an unknown place".to_owned(), |frame| frame.place())
}

/// `memcpy, called from main (a.c:16),`, or the user's own function alone.
fn who(stack: &Stack<'_>) -> String {
    let first = stack.frames.first().filter(|_| !stack.innermost);
    match first.filter(|frame| !frame.function.is_empty()) {
        Some(Frame { function, .. }) => format!("{}, called from {},", harmless(function), user(stack)),
        None => user(stack),
    }
}

fn alignment(value: u64) -> String {
    if value == 0 { "the default alignment".to_owned() } else { format!("alignment {}", grouped(value)) }
}

/// ` that main (a.c:7) allocated`; nothing when it is not known who did.
fn by(stack: &Stack<'_>, did: &str) -> String {
    stack.user.map_or_else(String::new, |frame| format!(" that {} {did}", frame.place()))
}

/// `a block of 40 bytes that main (a.c:7) allocated`.
fn a_block(finding: &Finding<'_>, about: Option<&AddressInfo>) -> String {
    match about {
        Some(about) => {
            let size = counted(about.size, "byte", "bytes");
            format!("a block of {size}{}", by(&finding.allocated, "allocated"))
        }
        None => "a block".to_owned(),
    }
}

/// The same, with a verb in any case.
fn an_allocated_block(finding: &Finding<'_>) -> String {
    let block = a_block(finding, finding.error.about.as_ref());
    match (&finding.error.about, finding.allocated.user) {
        (Some(_), Some(_)) => block,
        _ => format!("{block} that was allocated"),
    }
}

/// `just behind a block of 40 bytes that main (a.c:7) allocated`: where an address lies.
fn place(finding: &Finding<'_>) -> String {
    let at = finding.error.address;
    let Some(about) = finding.error.about.as_ref() else {
        return format!("at {at:#x}, which is not its own");
    };
    let text = harmless(&about.text);
    let size = counted(about.size, "byte", "bytes");
    let block = a_block(finding, Some(about));
    match about.kind {
        AddressKind::Freed => {
            let freed = by(&finding.freed, "freed");
            let freed = if freed.is_empty() { " that was freed".to_owned() } else { freed };
            match position(about) {
                (offset, "inside") => format!("at offset {} of a block of {size}{freed}", grouped(offset)),
                (distance, side) => format!("{} a block of {size}{freed}", beside(distance, side)),
            }
        }
        AddressKind::Live | AddressKind::Client | AddressKind::Reallocated => match position(about) {
            (offset, "inside") => format!("at offset {} of {block}", grouped(offset)),
            (distance, side) => format!("{} {block}", beside(distance, side)),
        },
        AddressKind::Described => {
            let name = if text.is_empty() { String::new() } else { format!(" ({text})") };
            match position(about) {
                (offset, "inside") => {
                    format!(
                        "at offset {} of a block of {size}{name} that the program described",
                        grouped(offset)
                    )
                }
                (distance, side) => {
                    format!("{} a block of {size}{name} that the program described", beside(distance, side))
                }
            }
        }
        AddressKind::Stack if !text.is_empty() => {
            format!("in the variable {} on the stack of thread {}", variable_name(about), about.thread)
        }
        AddressKind::Stack => format!("on the stack of thread {}", about.thread),
        AddressKind::BelowStack => {
            let below = counted(about.offset.unsigned_abs(), "byte", "bytes");
            match text.is_empty() {
                true => format!("{below} below the stack pointer, where no variable lives any more"),
                false => format!("{below} below the stack pointer, in a guard page: is the stack too small?"),
            }
        }
        AddressKind::Data if text.is_empty() || text.starts_with('.') => "in a module's data".to_owned(),
        AddressKind::Data => match position(about) {
            (_, "inside") => format!("in the variable {}", variable_name(about)),
            (distance, side) => format!("{} the variable {text}", beside(distance, side)),
        },
        AddressKind::Code => format!("at {at:#x}, which is code"),
        AddressKind::Mapping => {
            let whose = if text.is_empty() {
                String::new()
            } else {
                format!(" of {}", report::format::base_name(&text))
            };
            match about.protection {
                0 => format!("at {at:#x}, in memory{whose} that nobody may touch"),
                READ => format!("at {at:#x}, in read-only memory{whose}"),
                _ => format!("at {at:#x}, in memory{whose} that does not allow it"),
            }
        }
        AddressKind::Tls => format!("in the thread-local storage of thread {}", about.thread),
        AddressKind::Unmapped if at < 4096 => format!("through a null pointer (address {at:#x})"),
        AddressKind::Unmapped => format!("at {at:#x}, where no memory is"),
        AddressKind::Unknown | AddressKind::Other(_) => format!("at {at:#x}, which is not its own"),
    }
}

/// `just behind`, `3 bytes before`.
fn beside(distance: u64, side: &str) -> String {
    match (distance, side) {
        (0, _) => "just behind".to_owned(),
        (_, "after") => format!("{} behind", counted(distance, "byte", "bytes")),
        _ => format!("{} before", counted(distance, "byte", "bytes")),
    }
}

fn freed_what(finding: &Finding<'_>) -> String {
    let at = finding.error.address;
    let Some(about) = finding.error.about.as_ref() else {
        return format!("{at:#x}, which no allocator gave");
    };
    let size = counted(about.size, "byte", "bytes");
    match (about.kind, position(about)) {
        (AddressKind::Freed, (0, "inside" | "after")) => match finding.freed.user {
            Some(frame) => format!("a block of {size} again that {} freed already", frame.place()),
            None => format!("a block of {size} again that was freed already"),
        },
        (AddressKind::Live | AddressKind::Client | AddressKind::Reallocated | AddressKind::Freed, _) => {
            format!("not the start of a block, but an address {}", place(finding))
        }
        (AddressKind::Stack, _) if about.is_variable() => {
            let name = variable_name(about);
            format!("the variable {name} on the stack of thread {}, which no allocator gave", about.thread)
        }
        (AddressKind::Data, _) if about.is_variable() => {
            format!("the variable {}, which no allocator gave", variable_name(about))
        }
        (AddressKind::Stack | AddressKind::BelowStack, _) => {
            format!("memory on the stack of thread {}, which no allocator gave", about.thread)
        }
        (AddressKind::Data, _) => format!("memory {}, which no allocator gave", place(finding)),
        _ => format!("{at:#x}, which no allocator gave"),
    }
}

fn free_of(family: Family) -> &'static str {
    match family {
        Family::Malloc => "free",
        Family::New => "delete",
        Family::NewArray => "delete[]",
        Family::Client | Family::Pool => "a client request",
        Family::Other(_) => "another function",
    }
}

fn allocation_of(family: Family) -> &'static str {
    match family {
        Family::Malloc => "malloc or its relatives",
        Family::New => "new",
        Family::NewArray => "new[]",
        Family::Client | Family::Pool => "a client request",
        Family::Other(_) => "another family of functions",
    }
}

/// `a value that was never set, in memory that main (a.c:11) allocated`.
fn never_set(finding: &Finding<'_>) -> String {
    let from = match (finding.origin_kind, finding.origin.user) {
        (Some(OriginKind::Heap), Some(frame)) => format!(": memory that {} allocated", frame.place()),
        (Some(OriginKind::Stack), Some(frame)) => format!(": a variable of {}", frame.place()),
        (Some(OriginKind::Client), Some(frame)) => format!(": {} marked it as undefined", frame.place()),
        (Some(_), Some(frame)) => format!(", from {}", frame.place()),
        (Some(OriginKind::Stack), None) => {
            let about = finding.error.about.as_ref();
            let variable = about.filter(|about| about.is_variable()).map(variable_name);
            let frame = about.and_then(|about| frame_number(finding, about));
            match (variable, frame) {
                (Some(variable), _) => format!(": the variable {variable}"),
                (None, Some(number)) => {
                    format!(", read from the stack frame of {}", finding.stack.frames[number].place())
                }
                (None, None) => ": a variable on the stack".to_owned(),
            }
        }
        _ => String::new(),
    };
    format!("a value that was never set{from}")
}

/// `descriptor 3 (/dev/null), opened by main (a.c:3),`.
fn descriptor(finding: &Finding<'_>, opened: &str) -> String {
    let Some(descriptor) = &finding.error.descriptor else { return "a file descriptor".to_owned() };
    let name = match descriptor.name.to_string() {
        name if name.is_empty() => String::new(),
        name => format!(" ({})", harmless(&name)),
    };
    // Of one that was never closed, the error's own stack is that of its opening.
    let stack = if finding.opened.user.is_some() { &finding.opened } else { &finding.stack };
    let by = match stack.user {
        _ if descriptor.inherited => ", inherited from the parent,".to_owned(),
        Some(frame) => format!(", {opened} {},", frame.place()),
        None => String::new(),
    };
    format!("descriptor {}{name}{by}", descriptor.number)
}

fn bad_descriptor(finding: &Finding<'_>) -> String {
    let Some(descriptor) = &finding.error.descriptor else {
        return "a descriptor that is not open".to_owned();
    };
    let name = match descriptor.name.to_string() {
        name if name.is_empty() => String::new(),
        name => format!(" ({})", harmless(&name)),
    };
    let state = match finding.closed.user {
        Some(frame) => format!("that {} closed already", frame.place()),
        None if was_open(Some(descriptor)) => "that was closed already".to_owned(),
        None => "that is not open".to_owned(),
    };
    format!("descriptor {}{name} {state}", descriptor.number)
}

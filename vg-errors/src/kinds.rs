//! The kinds of errors: names, groups of them, what must have been looked for, and how other formats call them.
//!
//! [`KINDS`] has one row for each kind, in the order of the numbers in the trace. What always holds: names are those of
//! Valgrind's XML. Not here: the wording of single errors (`words`, `sentence`).

use report::names::{Set, Table};
use schema::{Error, ErrorKind, check, flag};

/// A kind of error.
#[derive(Debug)]
pub struct Kind {
    /// Valgrind's name.
    pub name: &'static str,
    /// Its name in protocol 4 of Valgrind's XML, whose readers refuse names that came later: the nearest old one.
    pub protocol4: &'static str,
    /// Bits of `schema::check`: one of them must have been looked for.
    pub checks: u32,
    /// It is an error; otherwise something that should be looked at.
    pub is_error: bool,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// What to do about it, in one sentence.
    pub help: &'static str,
}

macro_rules! kinds {
    ($($name:literal $protocol4:literal $checks:expr, $is_error:literal $about:literal $help:literal;)*) => {
        /// All kinds. The index of a kind is its number in the trace less 1; the last one stands for numbers that this
        /// version does not know.
        pub const KINDS: &[Kind] = &[$(Kind {
            name: $name,
            protocol4: $protocol4,
            checks: $checks,
            is_error: $is_error,
            about: $about,
            help: $help,
        },)*];

        /// `--kinds`.
        pub const NAMES: Table = Table { what: "kind of error", names: &[$($name,)*] };
    };
}

kinds! {
    "InvalidRead" "InvalidRead" check::ADDRESSES, true
        "Memory was read that is not the program's."
        "Look where the block was allocated or freed, and which index or pointer went beyond it.";
    "InvalidWrite" "InvalidWrite" check::ADDRESSES, true
        "Memory was written that is not the program's."
        "Look where the block was allocated or freed, and which index or pointer went beyond it.";
    "InvalidJump" "InvalidJump" check::ADDRESSES, true
        "The program jumped to where no code is."
        "Look for a function pointer or a return address that was overwritten or never set.";
    "InvalidFree" "InvalidFree" check::ALLOCATORS, true
        "Memory was freed that is no live block."
        "Free what an allocator returned, exactly once.";
    "MismatchedFree" "MismatchedFree" check::ALLOCATORS, true
        "A block was freed by another family of functions than allocated it."
        "Use free for malloc, delete for new, delete[] for new[].";
    "MismatchedAllocateDeallocateSize" "MismatchedFree" check::ALLOCATORS, true
        "A block was deleted as if it had another size."
        "Delete through the type that was allocated; a base class needs a virtual destructor.";
    "MismatchedAllocateDeallocateAlignment" "MismatchedFree" check::ALLOCATORS, true
        "A block was deleted as if it had another alignment."
        "Delete with the alignment of the allocation.";
    "UninitCondition" "UninitCondition" check::VALUES, true
        "A decision depends on a value that was never set."
        "Set the value where the origin says that it was created.";
    "UninitValue" "UninitValue" check::VALUES, true
        "A value that was never set was used as an address or index."
        "Set the value where the origin says that it was created.";
    "Overlap" "Overlap" check::OVERLAPS, true
        "Source and destination of a copy overlap."
        "Use memmove.";
    "SyscallParam" "SyscallParam" check::SYSCALLS, true
        "A system call was given memory that was never set or is not the program's."
        "Set all bytes, padding of structures included, or pass a shorter length.";
    "FishyValue" "ClientCheck" check::ALLOCATORS, true
        "An allocation function was asked for a size that is negative or far too large."
        "Check the computation of the size for an overflow.";
    "ReallocSizeZero" "ClientCheck" check::ALLOCATORS, false
        "realloc was called with size 0, which frees on some systems and allocates on others."
        "Call free instead.";
    "InvalidAlignment" "ClientCheck" check::ALLOCATORS, true
        "An aligned allocation was asked for with an alignment that is no power of two."
        "Use a power of two.";
    "InvalidSize" "ClientCheck" check::ALLOCATORS, false
        "An aligned allocation of size 0 was asked for, whose result differs between systems."
        "Do not allocate when there is nothing to store.";
    "InvalidSizeAndAlignment" "ClientCheck" check::ALLOCATORS, false
        "An aligned allocation was asked for whose size is no multiple of the alignment."
        "Round the size up.";
    "ClientCheck" "ClientCheck" check::ADDRESSES | check::VALUES, true
        "A check that the program asked for failed."
        "See the request in the program.";
    "InvalidMemPool" "InvalidMemPool" check::ALLOCATORS, true
        "The program named a memory pool that does not exist."
        "Create the pool before, and use it no more after it was destroyed.";
    "FatalSignal" "InvalidRead" 0, true
        "A signal ended the program."
        "See the stack, and the errors before it.";
    "FdNotClosed" "Leak_StillReachable" check::UNCLOSED, false
        "A file descriptor was still open at the end."
        "Close it.";
    "FdBadClose" "SyscallParam" check::DESCRIPTORS, true
        "A file descriptor was closed that was not open."
        "Close it once; between the two, another thread may have opened another file with the same number.";
    "FdBadUse" "SyscallParam" check::DESCRIPTORS, true
        "A file descriptor was used that was not open."
        "Use it before it is closed.";
    "Other" "ClientCheck" 0, true
        "An error that this version of the tool does not know."
        "Use the tools that came with the vg-record that wrote the trace.";
}

/// Index of FatalSignal, which is a finding but no error that is counted, as in Valgrind.
pub const FATAL_SIGNAL: usize = 18;

/// Index of FdNotClosed.
pub const FD_NOT_CLOSED: usize = 19;

/// Names for several kinds.
pub const GROUPS: &[(&str, &[usize])] = &[
    ("access", &[0, 1, 2]),
    ("free", &[3, 4, 5, 6]),
    ("undefined", &[7, 8]),
    ("size", &[11, 12, 13, 14, 15]),
    ("fd", &[19, 20, 21]),
];

/// The index of a kind in [`KINDS`].
pub fn index(kind: ErrorKind) -> usize {
    match usize::from(kind.number()).checked_sub(1) {
        Some(index) if index < KINDS.len() - 1 => index,
        _ => KINDS.len() - 1,
    }
}

/// Whether an error is about undefined values (Valgrind's `--undef-value-errors`).
pub fn is_about_values(error: &Error) -> bool {
    match error.kind {
        ErrorKind::UninitCondition | ErrorKind::UninitValue => true,
        ErrorKind::SyscallParam | ErrorKind::ClientCheck => error.flags & flag::UNADDRESSABLE == 0,
        _ => false,
    }
}

/// All but descriptors that were never closed: what counts as an error without further options.
pub fn default_set() -> Set {
    let all: Vec<usize> = (0..KINDS.len()).filter(|index| *index != FD_NOT_CLOSED).collect();
    Set::of(&all)
}

/// Reads `all`, `none`, `default`, or a list of kinds and groups; upper and lower case and hyphens do not matter.
///
/// # Errors
/// One line that names the unknown word and the words that exist.
pub fn parse(list: &str) -> Result<Set, String> {
    match list {
        "all" | "none" => return NAMES.parse(list),
        "default" => return Ok(default_set()),
        _ => {}
    }
    let plain = |word: &str| word.trim().replace('-', "").to_ascii_lowercase();
    let mut chosen = Vec::new();
    for word in list.split(',') {
        let wanted = plain(word);
        if let Some((_, group)) = GROUPS.iter().find(|(name, _)| *name == wanted) {
            chosen.extend_from_slice(group);
        } else if let Some(index) = NAMES.names.iter().position(|name| plain(name) == wanted) {
            chosen.push(index);
        } else {
            let groups: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "unknown kind of error '{}'; use all, none, default, or a list of {},{}",
                word.trim(),
                groups.join(","),
                NAMES.names.join(",")
            ));
        }
    }
    Ok(Set::of(&chosen))
}

/// What the bits of `schema::check` are about, in words.
pub const CHECKS: &[(u32, &str)] = &[
    (check::ADDRESSES, "invalid reads, writes and jumps"),
    (check::VALUES, "uses of undefined values"),
    (check::ALLOCATORS, "calls of allocators"),
    (check::SYSCALLS, "parameters of system calls"),
    (check::OVERLAPS, "overlapping copies"),
    (check::DESCRIPTORS, "bad file descriptors"),
    (check::UNCLOSED, "unclosed file descriptors"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_follow_the_numbers_of_the_trace() {
        let known = [
            (ErrorKind::InvalidRead, "InvalidRead"),
            (ErrorKind::SizeMismatch, "MismatchedAllocateDeallocateSize"),
            (ErrorKind::UninitCondition, "UninitCondition"),
            (ErrorKind::SyscallParam, "SyscallParam"),
            (ErrorKind::InvalidSizeAndAlignment, "InvalidSizeAndAlignment"),
            (ErrorKind::FatalSignal, KINDS[FATAL_SIGNAL].name),
            (ErrorKind::FdNotClosed, KINDS[FD_NOT_CLOSED].name),
            (ErrorKind::FdBadUse, "FdBadUse"),
            (ErrorKind::Other(0), "Other"),
            (ErrorKind::Other(23), "Other"),
            (ErrorKind::Other(u16::MAX), "Other"),
        ];
        for (kind, name) in known {
            assert_eq!(KINDS[index(kind)].name, name);
        }
        assert_eq!(KINDS[FATAL_SIGNAL].name, "FatalSignal");
        assert_eq!(KINDS[FD_NOT_CLOSED].name, "FdNotClosed");
        // Every number below that of "Other" has a kind of its own.
        for number in 1..KINDS.len() as u16 {
            assert!(!matches!(ErrorKind::from_number(number), ErrorKind::Other(_)), "{number}");
        }
        assert!(KINDS.len() <= 32, "a set holds 32");
    }

    #[test]
    fn lists_of_kinds() {
        let of = |list: &str| NAMES.list(parse(list).unwrap());
        assert_eq!(of("InvalidRead"), "InvalidRead");
        assert_eq!(of("invalid-read, UNINITVALUE"), "InvalidRead,UninitValue");
        assert_eq!(of("access"), "InvalidRead,InvalidWrite,InvalidJump");
        assert_eq!(of("free,fd-bad-use").split(',').count(), 5);
        assert_eq!(parse("all"), Ok(NAMES.all()));
        assert_eq!(of("none"), "none");
        assert!(!parse("default").unwrap().has(FD_NOT_CLOSED));
        let error = parse("InvalidRead,leaks").unwrap_err();
        assert!(
            error.contains("'leaks'") && error.contains("access,") && error.contains("FdBadUse"),
            "{error}"
        );
    }
}

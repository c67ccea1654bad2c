//! The stack that reports show: resolved frames, whose code each is, which frame is the user's, what is folded.
//!
//! Frames are ordered innermost first. One return address gives several frames when functions were inlined there:
//! all but the last of them have `inlined` set, as the innermost function is the inlined one. Whose code a frame is
//! follows from its source file when that is known (templates and generics of a library lie in the library's
//! files even when they are compiled into the user's program), otherwise from its name, otherwise from its module.
//!
//! Not here: unwinding, symbol lookup and demangling, which the recorder did.

use crate::format::{base_name, harmless};

mod name;

/// One function on a stack. Empty strings and line 0 mean "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Frame<'a> {
    /// Code address when the program ran.
    pub address: u64,
    /// Demangled function.
    pub function: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Line in `file`, from 1.
    pub line: u32,
    /// Path of the executable or library that holds the address.
    pub module: &'a str,
    /// The function was inlined into the next frame.
    pub inlined: bool,
}

/// Whose code a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The user's own program or library.
    Own,
    /// Another library.
    Library,
    /// The standard library of C++ or Rust.
    Standard,
    /// A function that allocates or frees.
    Allocator,
    /// What calls `main` or a thread's first function.
    Start,
}

impl Origin {
    /// Whether reports fold such frames unless asked not to.
    pub fn is_internal(self) -> bool {
        matches!(self, Origin::Standard | Origin::Allocator | Origin::Start)
    }
}

impl Frame<'_> {
    /// Whose code it is.
    pub fn origin(&self) -> Origin {
        let path = name::Name::of(self.function);
        if path.is_allocator() {
            Origin::Allocator
        } else if path.is_start() {
            Origin::Start
        } else if !self.file.is_empty() {
            match file_origin(self.file, self.module) {
                // C++ and Rust headers are told from other libraries by the names in them.
                Origin::Library if path.is_standard() => Origin::Standard,
                origin => origin,
            }
        } else if path.is_standard() {
            Origin::Standard
        } else if self.module.is_empty() || is_system_module(self.module) {
            Origin::Library
        } else {
            Origin::Own
        }
    }

    /// `setup (jit.rs:456)`, `setup (in /opt/app/lib.so)`, or an address when nothing is known.
    pub fn place(&self) -> String {
        if self.function.is_empty() && self.module.is_empty() {
            return format!("code at 0x{:X}", self.address);
        }
        if self.function.is_empty() {
            return format!("code at 0x{:X} in {}", self.address, harmless(base_name(self.module)));
        }
        match self.location() {
            location if location.is_empty() => harmless(self.function).into_owned(),
            location => format!("{} ({location})", harmless(self.function)),
        }
    }

    /// The frame as Valgrind words it behind `at ` and `by `: `0x109151: main (leak.c:5)`.
    pub fn valgrind(&self) -> String {
        let function = if self.function.is_empty() { "???".into() } else { harmless(self.function) };
        match self.location() {
            location if location.is_empty() => format!("0x{:X}: {function}", self.address),
            location => format!("0x{:X}: {function} ({location})", self.address),
        }
    }

    fn location(&self) -> String {
        match (self.file.is_empty(), self.line, self.module.is_empty()) {
            (false, 0, _) => harmless(base_name(self.file)).into_owned(),
            (false, line, _) => format!("{}:{line}", harmless(base_name(self.file))),
            (true, _, false) => format!("in {}", harmless(self.module)),
            (true, _, true) => String::new(),
        }
    }
}

/// Whether a module came with the system and not from the user.
fn is_system_module(path: &str) -> bool {
    let system = ["/usr/", "/lib/", "/lib64/", "/lib32/", "/bin/", "/sbin/", "/nix/store/", "/snap/"];
    let own = ["/usr/local/", "/usr/src/"];
    path.starts_with('[')
        || system.iter().any(|prefix| path.starts_with(prefix)) && !own.iter().any(|p| path.starts_with(p))
}

/// Whose code a source file is, by where it lies.
fn file_origin(file: &str, module: &str) -> Origin {
    // Rust's own sources: as in the compiler's builds, and from the rust-src component.
    let standard = ["/rustc/", "/lib/rustlib/src/", "/usr/include/c++/", "/include/c++/", "/libstdc++-v3/"];
    if standard.iter().any(|part| file.contains(part)) {
        return Origin::Standard;
    }
    let library =
        ["/.cargo/registry/", "/.cargo/git/", "/.rustup/", "/cargo/registry/", "/cargo/git/", "/vcpkg/"];
    // /usr/src/app is where container images like to keep the user's sources; debuginfo packages use
    // /usr/src/debug.
    let system = file.starts_with("/usr/src/debug/")
        || (file.starts_with("/usr/") && !file.starts_with("/usr/src/"))
        // Distributions map the build directory to a relative one: ../csu/libc-start.c, ./malloc/malloc.c.
        || (!file.starts_with('/') || file.starts_with("/build/")) && is_system_module(module)
        || is_libc_source(file);
    if system || library.iter().any(|part| file.contains(part)) { Origin::Library } else { Origin::Own }
}

/// Sources of a C library that was linked statically.
fn is_libc_source(file: &str) -> bool {
    let directories =
        ["csu/", "malloc/", "sysdeps/", "stdlib/", "nptl/", "elf/", "libio/", "string/", "posix/"];
    let relative = file.strip_prefix("../").or_else(|| file.strip_prefix("./"));
    relative.is_some_and(|rest| {
        // ./csu/../csu/libc-start.c
        let rest = rest.rsplit("/../").next().unwrap_or(rest);
        directories.iter().any(|directory| rest.starts_with(directory))
    }) || file.contains("/glibc-")
        || file.contains("/musl-")
}

/// The frame to name in a sentence: the first of the user's own code; when there is none the first that belongs to
/// the program itself (`executable`), then the first that does not allocate, then the first. `None` only for
/// an empty stack.
pub fn user_frame(frames: &[Frame<'_>], executable: &str) -> Option<usize> {
    let first = |wanted: &dyn Fn(&Frame<'_>) -> bool| frames.iter().position(wanted);
    first(&|frame| frame.origin() == Origin::Own)
        .or_else(|| {
            first(&|frame| {
                !frame.function.is_empty() && frame.module == executable && frame.origin() == Origin::Library
            })
        })
        .or_else(|| first(&|frame| !frame.function.is_empty() && frame.origin() == Origin::Library))
        .or_else(|| first(&|frame| !matches!(frame.origin(), Origin::Allocator | Origin::Start)))
        .or(if frames.is_empty() { None } else { Some(0) })
}

/// The stack without what calls `main` (Valgrind's `--show-below-main=no`).
pub fn above_main<'s, 'a>(frames: &'s [Frame<'a>]) -> &'s [Frame<'a>] {
    let end = frames
        .iter()
        .position(|frame| !frame.inlined && matches!(frame.function, "main" | "(below main)"))
        .map(|at| at + 1)
        .or_else(|| frames.iter().position(|frame| frame.origin() == Origin::Start).filter(|at| *at > 0));
    &frames[..end.unwrap_or(frames.len())]
}

/// A line of a folded stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The frame with this index.
    Frame(usize),
    /// A run of frames of allocators and standard libraries.
    Folded(std::ops::Range<usize>),
}

/// Folds runs of two or more internal frames. The innermost frame always stays: it says what was called.
pub fn fold(frames: &[Frame<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let runtime = rust_runtime(frames);
    let mut at = 0;
    while at < frames.len() {
        let internal = |at: usize| at > 0 && (at >= runtime || frames[at].origin().is_internal());
        let end = (at..frames.len()).find(|i| !internal(*i)).unwrap_or(frames.len());
        if end - at >= 2 {
            lines.push(Line::Folded(at..end));
            at = end;
        } else {
            lines.push(Line::Frame(at));
            at += 1;
        }
    }
    lines
}

/// Where Rust's runtime begins, which the C `main` of a Rust program belongs to; the length when there is none.
fn rust_runtime(frames: &[Frame<'_>]) -> usize {
    let names = ["__rust_begin_short_backtrace", "lang_start"];
    frames
        .iter()
        .position(|f| f.function.starts_with("std::") && names.iter().any(|name| f.function.contains(name)))
        .unwrap_or(frames.len())
}

#[cfg(test)]
mod tests;

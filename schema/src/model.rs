//! The contents of a trace as plain Rust values, shared by writer and reader.
//!
//! Units and ids are those of `trace.capnp`: times in nanoseconds since the start of the recording, sizes in bytes,
//! ids from 1 with 0 for "none". A code number that this build does not know is kept in the `Other` variant of its
//! type. Heap events and snapshots are in [`heap`], errors in
//! [`errors`], executed code in [`code`], the stream of accesses in [`accesses`]. Not here: encoding, and what readers make of the values.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, path::Path};

pub mod accesses;
pub mod code;
pub mod errors;
pub mod heap;
pub use accesses::*;
pub use code::*;
pub use errors::*;
pub use heap::*;

/// Version of the format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 2;

/// Declares an enum over code numbers that keeps numbers it does not know.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident: $int:ty { $($(#[$vmeta:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)*
            /// A number that this build does not know.
            Other($int),
        }

        impl $name {
            /// Its number in the trace.
            pub const fn number(self) -> $int {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The value with this number.
            pub const fn from_number(number: $int) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }
    };
}
pub(crate) use codes;

/// Bytes as the kernel gives them (a path, an argument, a thread's name), nearly always UTF-8. `Display` replaces
/// what is not.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// As a path.
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_os_str())
    }

    /// As a string of the operating system.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// True when there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&OsStr> for Bytes {
    fn from(text: &OsStr) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&Path> for Bytes {
    fn from(path: &Path) -> Self {
        Self::from(path.as_os_str())
    }
}

/// One message of a trace.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // Each variant is documented at its type.
pub enum Message {
    Header(Header),
    Process(Process),
    ProcessEnd(ProcessEnd),
    ThreadStart(ThreadStart),
    ThreadName(ThreadName),
    ThreadEnd(ThreadEnd),
    Modules(Vec<Module>),
    ModuleEnd(ModuleEnd),
    Strings(Strings),
    Frames(Frames),
    Symbols(Vec<FrameSymbols>),
    Stacks(Stacks),
    Events(EventBatch),
    SnapshotBegin(SnapshotBegin),
    SnapshotBlocks(SnapshotPiece<Block>),
    SnapshotRoots(SnapshotPiece<Root>),
    SnapshotEdges(SnapshotPiece<Edge>),
    SnapshotEnd(SnapshotEnd),
    Counters(Counters),
    Remark(Remark),
    NotFollowed(NotFollowed),
    Trailer(Trailer),
    Errors(Vec<Error>),
    Executions(Executions),
    Places(Places),
    CodeLines(CodeLines),
    Contexts(Contexts),
    Costs(Costs),
    ContextCosts(ContextCosts),
    PartEnd(PartEnd),
    Jumps(Jumps),
    AccessRuns(AccessRuns),
    AccessLog(AccessLog),
    AccessMark(AccessMark),
    /// Something this build does not know or was told not to decode.
    Skipped(Skipped),
}

/// Why a message was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// An arm of the union that this build does not know.
    Arm(u16),
    /// A chunk of events of a kind that this build does not know.
    ChunkKind(u16),
    /// Rows whose column `column` is missing, or stored in an encoding or with a codec that this build does not know.
    Column {
        /// Id of the column.
        column: u16,
        /// Rows skipped.
        rows: u32,
    },
    /// A log of data accesses that the reader did not ask for.
    AccessLog,
    /// Heap events that the reader did not ask for.
    Events {
        /// Their process.
        process: u32,
        /// How many.
        rows: u32,
    },
}

/// The first message: what is recorded, by whom, when and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Random bytes that name the recording.
    pub id: [u8; 16],
    /// Name and version of the writer.
    pub tool: String,
    /// Command line of the root process.
    pub argv: Vec<Bytes>,
    /// Working directory of the root process.
    pub cwd: Bytes,
    /// Absolute path of the root executable.
    pub exe: Bytes,
    /// What the times of the trace are measured by.
    pub clock: Clock,
    /// Options of the recording that are not the default.
    pub options: Vec<String>,
    /// The machine that recorded.
    pub machine: Machine,
    /// What the recording looks for and tells as errors: bits of [`check`]; 0 for nothing.
    pub checks: u32,
}

/// The clock of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    /// Ticks of the time stamp counter per second; 0 when it was not used.
    pub tsc_hz: u64,
    /// Value of the time stamp counter at time 0.
    pub tsc_start: u64,
    /// Wall clock at time 0: nanoseconds since 1970-01-01 UTC.
    pub unix_start: u64,
}

impl Clock {
    /// Nanoseconds since the start of the recording at this value of the time stamp counter; 0 for values before
    /// the start (the counters of two processors may differ by a few ticks) or when the frequency is not known.
    pub fn nanoseconds(&self, tsc: u64) -> u64 {
        let ticks = u128::from(tsc.saturating_sub(self.tsc_start));
        let nanoseconds = (ticks * 1_000_000_000).checked_div(u128::from(self.tsc_hz)).unwrap_or(0);
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

/// The machine that recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Host name.
    pub host: String,
    /// Name, release and architecture of the kernel.
    pub kernel: String,
    /// Model name of the processor.
    pub cpu: String,
    /// Processors that the recording could use.
    pub cpus: u32,
    /// Page size in bytes.
    pub page_size: u32,
    /// Physical memory in bytes.
    pub memory: u64,
}

/// A process begins, or executes another program (then with the same number and [`Start::Exec`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number in the recording.
    pub number: u32,
    /// Number of the process that started it; 0 for the root.
    pub parent: u32,
    /// The kernel's id.
    pub pid: u32,
    /// The kernel's id of the parent.
    pub ppid: u32,
    /// How it came to be.
    pub how: Start,
    /// When.
    pub time: u64,
    /// Absolute path of the executable.
    pub exe: Bytes,
    /// Command line.
    pub argv: Vec<Bytes>,
    /// Working directory.
    pub cwd: Bytes,
    /// Excerpt of the environment, NAME=VALUE.
    pub environment: Vec<Bytes>,
}

codes! {
    /// How a process (image) came to be.
    Start: u16 {
        /// The first process of the recording.
        Root = 0,
        /// fork, or clone without sharing memory.
        Fork = 1,
        /// vfork and the like: shares the parent's memory until it executes or ends.
        Vfork = 2,
        /// The same process executes another program.
        Exec = 3,
    }
}

codes! {
    /// How a process ended.
    End: u16 {
        /// It exited; the value is the status.
        Exit = 0,
        /// A fatal signal; the value is its number.
        Signal = 1,
        /// It executed another program that is recorded too.
        Exec = 2,
        /// It executed a program that runs natively.
        NativeExec = 3,
        /// The engine failed; a remark tells why.
        EngineError = 4,
        /// It was killed from outside or the recorder ended first; the value is the signal's number when known.
        Lost = 5,
    }
}

/// A process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessEnd {
    /// The process.
    pub process: u32,
    /// When.
    pub time: u64,
    /// How.
    pub how: End,
    /// Exit status or signal number.
    pub value: u32,
    /// Instructions of the thread that ended it.
    pub instructions: u64,
}

/// A thread begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadStart {
    /// Its number in the recording.
    pub number: u32,
    /// Its process.
    pub process: u32,
    /// The kernel's id, which may be used again by a later thread.
    pub tid: u32,
    /// Number of the thread that started it; 0 when not known.
    pub parent: u32,
    /// When.
    pub time: u64,
}

/// A thread gets a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadName {
    /// The thread.
    pub thread: u32,
    /// The name.
    pub name: Bytes,
}

/// A thread ends in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadEnd {
    /// The thread.
    pub thread: u32,
    /// When.
    pub time: u64,
    /// Instructions that it executed.
    pub instructions: u64,
}

/// A file (or the vdso) mapped as code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// Its id in the recording.
    pub id: u32,
    /// The process that mapped it.
    pub process: u32,
    /// Path of the file; `[vdso]` for the vdso.
    pub path: Bytes,
    /// GNU build id; empty when the file has none.
    pub build_id: Vec<u8>,
    /// Lowest mapped address.
    pub start: u64,
    /// Bytes that the mapping spans.
    pub size: u64,
    /// Address in memory less the address in the file's program headers (wraps).
    pub bias: u64,
    /// When it was mapped.
    pub time: u64,
    /// Flags as the engine gave them.
    pub flags: u32,
}

/// A module is unmapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleEnd {
    /// The module.
    pub module: u32,
    /// When.
    pub time: u64,
}

/// Strings appended to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strings {
    /// Id of the first.
    pub first_id: u32,
    /// The strings; bytes that are not UTF-8 are replaced by the reader.
    pub strings: Vec<String>,
}

/// Frames appended to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// Id of the first.
    pub first_id: u32,
    /// The frames.
    pub frames: Vec<Frame>,
}

/// A code address in a stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Module; 0 for an address in none.
    pub module: u32,
    /// Address less the module's bias, or the absolute address when there is no module.
    pub rva: u64,
    /// The address is an exact pc; otherwise a return address, whose call lies before it.
    pub exact: bool,
    /// Found without unwind information; may be wrong.
    pub guessed: bool,
}

/// What a frame is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameSymbols {
    /// The frame.
    pub frame: u32,
    /// The function and what it was inlined into, innermost first; the last one is the real function. Empty when
    /// nothing is known.
    pub places: Vec<Place>,
}

/// A function and a source line in it. Strings by id, 0 when not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Demangled name.
    pub function: u32,
    /// Name as in the symbol table.
    pub raw_name: u32,
    /// Path of the source file.
    pub file: u32,
    /// Line from 1; 0 when not known.
    pub line: u32,
    /// Column from 1; 0 when not known.
    pub column: u32,
}

/// Nodes appended to the stack tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stacks {
    /// Id of the first.
    pub first_id: u32,
    /// The nodes.
    pub nodes: Vec<StackNode>,
}

/// A node of the stack tree; the innermost one names a stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct StackNode {
    /// Node of the caller, with a smaller id; 0 for the outermost frame.
    pub parent: u32,
    /// The frame.
    pub frame: u32,
}

/// Counters by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whose; 0 for the recorder.
    pub process: u32,
    /// Names and values, in the order of the writer.
    pub values: Vec<(String, u64)>,
}

codes! {
    /// How much a remark matters.
    Severity: u16 {
        /// Good to know.
        Note = 0,
        /// Something may be missing or wrong in the recording.
        Warning = 1,
        /// The recording of a process failed.
        Error = 2,
    }
}

/// Something the user should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub severity: Severity,
    /// Names the kind of remark; 0 when it has none.
    pub code: u32,
    /// The process it is about; 0 for the recording as a whole.
    pub process: u32,
    /// When.
    pub time: u64,
    /// The text, one line.
    pub text: String,
}

/// A child that runs natively.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFollowed {
    /// The parent.
    pub process: u32,
    /// When.
    pub time: u64,
    /// The kernel's id of the child.
    pub pid: u32,
    /// Why.
    pub reason: String,
}

/// The last message: how it all ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// When the recording ended.
    pub time: u64,
    /// How the root process ended.
    pub how: End,
    /// Its exit status or signal number.
    pub value: u32,
    /// Everything that happened is in the trace.
    pub complete: bool,
    /// What is not.
    pub lost: Vec<Lost>,
    /// Messages before the trailer. The writer fills it in.
    pub messages: u64,
    /// Heap events in the trace. The writer fills it in.
    pub events: u64,
}

/// Something that is missing in the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whose; 0 when not known.
    pub process: u32,
    /// Events; 0 when it is not known how many.
    pub events: u64,
    /// Why.
    pub reason: String,
}

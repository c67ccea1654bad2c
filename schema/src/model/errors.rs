//! Errors as plain Rust values: invalid accesses and frees, uses of undefined values, bad calls.
//!
//! Owns the kinds with Valgrind's names and which fields each of them uses (see `errorKind` in `trace.capnp`). The same
//! rules hold as in the parent module. Not here: which errors are alike, and their wording (`vg-errors`).

use super::{Bytes, Family, codes};

/// What a recording looks for: bits of `Header.checks`.
pub mod check {
    /// Invalid reads, writes and jumps.
    pub const ADDRESSES: u32 = 1;
    /// Uses of undefined values.
    pub const VALUES: u32 = 2;
    /// Frees, mismatches and sizes in calls of allocators.
    pub const ALLOCATORS: u32 = 4;
    /// Parameters of system calls.
    pub const SYSCALLS: u32 = 8;
    /// Copies whose source and destination overlap.
    pub const OVERLAPS: u32 = 16;
    /// Descriptors that are closed twice, or used while closed.
    pub const DESCRIPTORS: u32 = 32;
    /// Descriptors that are open at the end.
    pub const UNCLOSED: u32 = 64;
}

codes! {
    /// What kind of error. Names are those of Valgrind's XML.
    ErrorKind: u16 {
        /// A read of bytes that are not the program's.
        InvalidRead = 1,
        /// A write to bytes that are not the program's.
        InvalidWrite = 2,
        /// A jump to where no code is.
        InvalidJump = 3,
        /// A free of what is no live block.
        InvalidFree = 4,
        /// A free by another family than that of the allocation.
        MismatchedFree = 5,
        /// A sized delete with another size.
        SizeMismatch = 6,
        /// An aligned delete with another alignment.
        AlignMismatch = 7,
        /// A branch that depends on undefined bits.
        UninitCondition = 8,
        /// An undefined value used as an address.
        UninitValue = 9,
        /// A copy between ranges that overlap.
        Overlap = 10,
        /// A parameter of a system call that is undefined, or points at what is undefined or unaddressable.
        SyscallParam = 11,
        /// A size that is negative if signed.
        FishyValue = 12,
        /// realloc with size 0.
        ReallocSizeZero = 13,
        /// An alignment that is no power of two.
        InvalidAlignment = 14,
        /// An allocation of size 0 where that is not portable.
        InvalidSize = 15,
        /// A size that is no multiple of the alignment.
        InvalidSizeAndAlignment = 16,
        /// A check that the program asked for by a client request failed.
        ClientCheck = 17,
        /// A request that names no memory pool.
        InvalidMemPool = 18,
        /// A signal ended the process.
        FatalSignal = 19,
        /// A descriptor was open at the end.
        FdNotClosed = 20,
        /// A descriptor was closed that was not open.
        FdBadClose = 21,
        /// A descriptor was used that was not open.
        FdBadUse = 22,
    }
}

codes! {
    /// What lies at an address.
    AddressKind: u16 {
        /// Nothing is known.
        Unknown = 0,
        /// A live block of the heap.
        Live = 1,
        /// A block that was freed.
        Freed = 2,
        /// A block that a client request announced.
        Client = 3,
        /// A block that the program described (VALGRIND_CREATE_BLOCK).
        Described = 4,
        /// The stack of a thread.
        Stack = 5,
        /// Just below the stack pointer.
        BelowStack = 6,
        /// Data of a module.
        Data = 7,
        /// A mapping.
        Mapping = 8,
        /// Nothing is mapped there.
        Unmapped = 9,
        /// Code of a module.
        Code = 10,
        /// Thread-local storage.
        Tls = 11,
        /// A live block whose memory was freed before.
        Reallocated = 12,
    }
}

codes! {
    /// What made undefined bits.
    OriginKind: u16 {
        /// Not known.
        Unknown = 0,
        /// An allocation on the heap.
        Heap = 1,
        /// An allocation on the stack.
        Stack = 2,
        /// A client request (VALGRIND_MAKE_MEM_UNDEFINED).
        Client = 3,
    }
}

codes! {
    /// What a descriptor is open for.
    DescriptorKind: u16 {
        /// Not known.
        Unknown = 0,
        /// A file.
        File = 1,
        /// A socket.
        Socket = 2,
        /// A pipe.
        Pipe = 3,
        /// Something else: eventfd, timerfd, ...
        Special = 4,
    }
}

/// A distinct error of a process. What `size`, `text`, `wanted`, `given` and `value` mean depends on the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Its number in its process, from 1. A later entry with the same number only replaces `count`, and `about` where
    /// it has one.
    pub number: u32,
    /// The process.
    pub process: u32,
    /// The thread that met it first.
    pub thread: u32,
    /// Its kind.
    pub kind: ErrorKind,
    /// How often it happened so far.
    pub count: u64,
    /// When it happened first.
    pub time: u64,
    /// Instructions of the thread until then.
    pub instructions: u64,
    /// See [`flag`].
    pub flags: u32,
    /// Bytes.
    pub size: u64,
    /// Where.
    pub stack: u32,
    /// The address that it is about; 0 when there is none.
    pub address: u64,
    /// What lies there.
    pub about: Option<AddressInfo>,
    /// Where the undefined bits come from; `None` when it is not about such.
    pub origin: Option<Origin>,
    /// A name, by kind.
    pub text: String,
    /// The source of a copy.
    pub other_address: u64,
    /// An argument as it was given, or the number of a signal.
    pub value: i64,
    /// What would have been right.
    pub wanted: u64,
    /// What was given.
    pub given: u64,
    /// The descriptor that it is about.
    pub descriptor: Option<Descriptor>,
}

impl Default for Error {
    /// An entry that says nothing, for `..Error::default()`. Its kind has no number of a real one.
    fn default() -> Self {
        Self {
            number: 0,
            process: 0,
            thread: 0,
            kind: ErrorKind::Other(0),
            count: 0,
            time: 0,
            instructions: 0,
            flags: 0,
            size: 0,
            stack: 0,
            address: 0,
            about: None,
            origin: None,
            text: String::new(),
            other_address: 0,
            value: 0,
            wanted: 0,
            given: 0,
            descriptor: None,
        }
    }
}

/// Flags of errors.
pub mod flag {
    /// Bytes were unaddressable; otherwise they were undefined.
    pub const UNADDRESSABLE: u32 = 1;
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressInfo {
    /// What lies there.
    pub kind: AddressKind,
    /// First byte of the block, variable, symbol or mapping.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
    /// The address less `start`; negative before a block, at least `size` behind it. Below the stack: how far.
    pub offset: i64,
    /// Who asked for the block.
    pub family: Family,
    /// Stack of the allocation.
    pub allocated: u32,
    /// Stack of the free.
    pub freed: u32,
    /// Thread that allocated.
    pub allocated_by: u32,
    /// Thread that freed.
    pub freed_by: u32,
    /// Owner of the stack or thread-local storage.
    pub thread: u32,
    /// 1 and the index of the frame of the error's stack whose variables hold the address; 0 when not known.
    pub frame: u32,
    /// Variable, symbol, section, file, or the program's name of the block.
    pub text: String,
    /// Module.
    pub module: u32,
    /// Of a mapping: 1 read, 2 write, 4 execute.
    pub protection: u8,
    /// Line of the variable's declaration; 0 when not known.
    pub line: u32,
    /// Its file, a string.
    pub file: u32,
    /// What of the variable holds the address: `[3].x`, to be read behind its name. Empty: the whole.
    pub part: String,
    /// The address less the first byte of that part.
    pub part_offset: u64,
}

impl AddressInfo {
    /// It names a variable of the program, by what debug information says.
    pub fn is_variable(&self) -> bool {
        let declared = self.line != 0 || self.file != 0;
        let kind = match self.kind {
            AddressKind::Stack => self.offset >= 0,
            AddressKind::Data => declared,
            _ => false,
        };
        kind && !self.text.is_empty()
    }
}

impl Default for AddressInfo {
    fn default() -> Self {
        Self {
            kind: AddressKind::Unknown,
            start: 0,
            size: 0,
            offset: 0,
            family: Family::Malloc,
            allocated: 0,
            freed: 0,
            allocated_by: 0,
            freed_by: 0,
            thread: 0,
            frame: 0,
            text: String::new(),
            module: 0,
            protection: 0,
            line: 0,
            file: 0,
            part: String::new(),
            part_offset: 0,
        }
    }
}

/// Where undefined bits were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// What made them.
    pub kind: OriginKind,
    /// Where.
    pub stack: u32,
}

/// A file descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// What it is open for.
    pub kind: DescriptorKind,
    /// Path or addresses; empty when not known.
    pub name: Bytes,
    /// Stack of the call that opened it; 0 when not known.
    pub opened: u32,
    /// Stack of the call that closed it before; 0 when it never was open.
    pub closed: u32,
    /// The program was started with it.
    pub inherited: bool,
}

impl Descriptor {
    /// It was not open at any time that is known of.
    pub fn never_open(&self) -> bool {
        self.closed == 0 && self.opened == 0 && !self.inherited
    }
}

//! Heap events and heap snapshots as plain Rust values.
//!
//! Owns the row types of event chunks and snapshot pieces and the meaning of their flags. The same rules hold as in
//! the parent module.

use super::codes;

codes! {
    /// Who asked for a block, or freed it.
    Family: u8 {
        /// malloc, calloc, realloc, memalign and their relatives; free.
        Malloc = 0,
        /// operator new; operator delete.
        New = 1,
        /// operator new[]; operator delete[].
        NewArray = 2,
        /// A client request of the program (VALGRIND_MALLOCLIKE_BLOCK).
        Client = 3,
        /// A block of a memory pool.
        Pool = 4,
    }
}

codes! {
    /// What a heap event did.
    Op: u8 {
        /// Made a block.
        Alloc = 0,
        /// Freed a block.
        Free = 1,
        /// Changed the size of a live block, which may have moved.
        Realloc = 2,
    }
}

/// Heap events of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventBatch {
    /// The process.
    pub process: u32,
    /// Least time of the events.
    pub first_time: u64,
    /// Greatest time of the events.
    pub last_time: u64,
    /// The events: those of one thread in program order, those of different threads in no particular order.
    pub events: Vec<HeapEvent>,
}

/// An allocation, free or realloc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeapEvent {
    /// What happened.
    pub op: Op,
    /// Who asked. Of a free: the family that freed it.
    pub family: Family,
    /// Log2 of the alignment asked for; 0 when none was asked for, and for frees.
    pub align_log2: u8,
    /// The thread.
    pub thread: u32,
    /// Stack of the call.
    pub stack: u32,
    /// Nanoseconds since the start of the recording.
    pub time: u64,
    /// Instructions of the thread so far.
    pub instructions: u64,
    /// Address of the block; of a realloc its new address.
    pub address: u64,
    /// Bytes asked for; 0 for frees.
    pub size: u64,
    /// Address before a realloc; 0 for other events.
    pub old_address: u64,
}

codes! {
    /// Why a snapshot was taken.
    Reason: u16 {
        /// The process ends.
        Exit = 0,
        /// A fatal signal.
        Signal = 1,
        /// The user asked the recorder.
        Request = 2,
        /// The program asked (VALGRIND_DO_LEAK_CHECK).
        Client = 3,
        /// The process executes another program.
        Exec = 4,
    }
}

/// A heap snapshot begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotBegin {
    /// The process.
    pub process: u32,
    /// Number of the snapshot in its process.
    pub snapshot: u32,
    /// Why it was taken.
    pub reason: Reason,
    /// When.
    pub time: u64,
}

/// Some rows of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPiece<T> {
    /// The process.
    pub process: u32,
    /// Number of the snapshot in its process.
    pub snapshot: u32,
    /// The rows.
    pub rows: Vec<T>,
}

/// A live block. The n-th block of a snapshot has index n, from 0; addresses rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Address of its first byte.
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Stack of its allocation.
    pub stack: u32,
    /// Who asked for it.
    pub family: Family,
    /// Log2 of the alignment asked for; 0 when none was asked for.
    pub align_log2: u8,
}

/// A word outside of the heap that points at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Address of the word, or the number of the register (0 rax .. 15 r15) for [`RootKind::Register`].
    pub location: u64,
    /// Index of the block.
    pub block: u32,
    /// See [`edge`].
    pub flags: u32,
    /// Thread that owns the register, stack or thread-local storage; 0 for other places.
    pub thread: u32,
    /// Bytes from the start of the block to where the word points.
    pub offset: u64,
}

impl Root {
    /// What kind of place the word lies in.
    pub fn kind(&self) -> RootKind {
        RootKind::from_number(((self.flags & edge::ROOT_MASK) >> edge::ROOT_SHIFT) as u8)
    }
}

codes! {
    /// Where a root lies.
    RootKind: u8 {
        /// A general register.
        Register = 1,
        /// The stack of a thread.
        Stack = 2,
        /// The data segment of a module.
        Data = 3,
        /// Another mapping.
        Mapping = 4,
        /// The static thread-local storage of a thread.
        Tls = 5,
    }
}

/// A word in a block that points at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Index of the block that holds the word.
    pub source: u32,
    /// Index of the block that it points at.
    pub target: u32,
    /// Bytes from the start of the source to the word.
    pub offset: u64,
    /// See [`edge`].
    pub flags: u32,
}

/// Flags of roots and edges.
pub mod edge {
    /// Points at the start of the block; otherwise into its interior.
    pub const START: u32 = 1;
    /// Valgrind's "stdstring" heuristic accepts the interior pointer as a start pointer.
    pub const STDSTRING: u32 = 2;
    /// Valgrind's "length64" heuristic does.
    pub const LENGTH64: u32 = 4;
    /// Valgrind's "newarray" heuristic does.
    pub const NEWARRAY: u32 = 8;
    /// Valgrind's "multipleinheritance" heuristic does.
    pub const MULTIPLE_INHERITANCE: u32 = 16;
    /// All four heuristics.
    pub const HEURISTICS: u32 = STDSTRING | LENGTH64 | NEWARRAY | MULTIPLE_INHERITANCE;
    /// Where the number of the [`RootKind`](super::RootKind) lies in a root's flags.
    pub const ROOT_SHIFT: u32 = 8;
    /// Mask of that number.
    pub const ROOT_MASK: u32 = 7 << ROOT_SHIFT;
}

/// A heap snapshot is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// The process.
    pub process: u32,
    /// Number of the snapshot in its process.
    pub snapshot: u32,
    /// Blocks in its pieces.
    pub blocks: u64,
    /// Roots in its pieces.
    pub roots: u64,
    /// Edges in its pieces.
    pub edges: u64,
    /// Bytes of memory scanned.
    pub scanned: u64,
}

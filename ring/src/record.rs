//! The records that the engine writes: arrays of 64-bit words, little endian, no padding, no pointers.
//!
//! Word 0 is the header: kind in bits 0..16, length in words (with the header) in bits 32..64. Each kind's words
//! are listed at its variant; `lo|hi` packs two 32-bit values into one word. Times are raw TSC values. A stack id
//! is a node of the process's stack tree; ids are given in rising order from 1, 0 is "no stack", and a forked
//! child continues with its parent's tree.

/// Longest record in 64-bit words. Longer tables are cut into several records.
pub const MAX_RECORD_WORDS: usize = 8192;

/// What a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// Fills the end of the ring; never shown to a reader.
    Pad = 0,
    /// `tsc, process|parent, pid|ppid, how, first node|first module` then four byte strings (see [`Record::strings`]):
    /// absolute path of the executable, command line (each argument ends with NUL), working directory, environment
    /// excerpt (empty). `how`: see [`Start`]. The first record of a process, and again after each execve (same process
    /// number). Smaller ids of nodes and modules than the first are those of the process that it is a fork of.
    ProcessStart = 1,
    /// `tsc, tid|parent tid, part`. The first record of each ring (after ProcessStart in a process's first ring).
    ThreadStart = 2,
    /// one byte string: the thread's name (PR_SET_NAME).
    ThreadName = 3,
    /// `tsc, instructions`. The last record of a ring whose thread ended in order.
    ThreadExit = 4,
    /// `tsc, module id, start address, size, load bias, flags` then one byte string: path ("[vdso]" for the vdso).
    /// Module ids are given in rising order from 1 for each process image. `size` spans all segments.
    Module = 5,
    /// `tsc, module id`: unmapped.
    ModuleGone = 6,
    /// `id|parent, module id, address`. A stack tree node: `address` is a return address (or, for the innermost
    /// frame, the exact pc) less the module's load bias; an absolute address when the module id is 0 (no module).
    /// Bit 63 of the address word (word 3) is set when the address is an exact pc and not a return address; bit 62 when the frame
    /// was guessed (no unwind information).
    Node = 7,
    /// `tsc, address, size, stack|kind(8 bits)+log2 of the alignment(8 bits, at bit 8), instructions`.
    Alloc = 8,
    /// `tsc, address, 0, stack|kind, instructions`. `kind` is the family that freed it.
    Free = 9,
    /// `tsc, new address, size, stack|kind, instructions, old address`: a realloc that kept or moved a live block.
    Realloc = 10,
    /// `severity(0 note, 1 warning, 2 engine error)|code` then one byte string: a remark for the user. `code` is
    /// [`CLIENT_TEXT`] or 0.
    Message = 11,
    /// `tsc, snapshot number|reason`: the heap is going to be described. `reason`: see [`Reason`].
    SnapshotBegin = 12,
    /// Live blocks in rising address order, three words each: `address, size, stack|kind`. The n-th block of the
    /// snapshot over all these records has index n (from 0).
    SnapshotBlocks = 13,
    /// Root words that point at blocks, three words each: `where, block index|flags, tid|interior offset`.
    /// `where` is the address of the word, or the register number (0 = rax .. 15 = r15, in encoding order).
    /// `flags`: see [`edge`].
    SnapshotRoots = 14,
    /// Words in blocks that point at blocks, in rising order of the source address, two words each:
    /// `source index|destination index, offset of the word in the source (bits 0..40) + flags (bits 40..64)`.
    SnapshotEdges = 15,
    /// `blocks, roots, edges, bytes scanned`: the snapshot is complete.
    SnapshotEnd = 16,
    /// Counters of the engine: `count` values in the order of [`Stat`].
    Stats = 17,
    /// `tsc, how, value, instructions`: the process ends. `how`: see [`End`].
    ProcessEnd = 18,
    /// `tsc, pid` then one byte string: a child that is not followed, and why.
    NotFollowed = 19,
    /// `tsc, error|stack, address, size, instructions, about|family, start, bytes, offset, stack of the allocation|of the
    /// free, value, wanted, given, origin|stack` then [`FRAME_WORDS`] and two byte strings: an error that the guest has
    /// made. `error`: see [`Error`], and [`UNADDRESSABLE`]; `about`:
    /// what lies at the address, see [`about`], with its first byte, its bytes and the address's offset in it (wrapped
    /// below 0 before it). What value, wanted, given and the first string mean depends on the error: see `trace.capnp`.
    /// `origin|stack`: where an undefined value comes from, see [`origin`]. The second string is the block's name.
    Error = 20,
    /// [`EXECUTED_WORDS`] each: `guest pc, count, lengths`: instructions from there on, whose lengths in bytes are in so many
    /// four bits from the lowest on (0: no more), have been executed so often, by the ring's thread. A negative count takes back
    /// what others of the same record or a later one have counted too much.
    Executed = 21,
    /// [`CONTEXT_WORDS`] each: `number|parent, target, guest pc, return address, calls, instructions`: nodes of the
    /// calling-context tree of the ring's thread, numbered from 0. `guest pc`: first instruction of the function, 0: code in no known one;
    /// `return address`: of the call, 1: a jump, 0: not known; `target`: the node's own number, or that of the ancestor of the
    /// same function, which the calls go on at. What is told of a node more than once adds up.
    Contexts = 22,
    /// `guest pc, set of events` and then how often each of them occurred, from the lowest bit of the set on, again and again: what
    /// instructions of the ring's process have cost. Bits stand for [`EVENTS`]. What is told of an instruction more than once adds up.
    Costs = 23,
    /// The same with the numbers of nodes of [`Kind::Contexts`], which were told before, in place of addresses: what was spent in the
    /// contexts themselves.
    ContextCosts = 24,
    /// `tsc, part that ends|part that begins, how` then one byte string, its name: what the ring's thread has executed is in
    /// another part from here on. Numbers rise and are those of the whole recording, each process begins with 0. In the rings of all
    /// threads of the process, each with the same. `how`: see [`PartEnd`].
    Part = 25,
    /// [`JUMP_WORDS`] each: `guest pc + what, target, count`: the direct jump at this pc was executed, or a conditional one not
    /// taken, so often by the ring's thread. `what`: see [`jump`]. Negative counts are as those of [`Kind::Executed`].
    Jumps = 26,
    /// `sequence`, then for each: `address, words of a record|bytes` and its code, padded with zeros to whole words: the next runs of
    /// code of the process, whose accesses [`Kind::AccessLog`] tells of. `sequence` counts the records of this kind and the
    /// next two in a process and those that share its memory, over all rings, from 0: one that can be seen in its ring has all lower
    /// ones before it in theirs.
    AccessRuns = 27,
    /// `sequence, flags, base of FS, base of GS` and words of the log of the ring's thread: what it has executed in one turn, as
    /// `translate::accesses` describes it. The bases are those at the beginning. `flags`: see [`access_log`].
    AccessLog = 28,
    /// `sequence, what, number`: see [`AccessMark`].
    AccessMark = 29,
}

/// `flags` of [`Kind::AccessLog`].
pub mod access_log {
    /// It costs; otherwise the models only see it.
    pub const COUNTS: u64 = 1;
    /// The turn ends with it; otherwise it goes on in the ring's next record.
    pub const ENDS: u64 = 2;
}

/// `what` of [`Kind::AccessMark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum AccessMark {
    /// What was simulated so far has been told ([`Kind::Costs`]) and forgotten.
    Told = 0,
    /// It has been forgotten.
    Forgotten = 1,
    /// The process with this number begins as a copy.
    Forks = 2,
}

/// The events of [`Kind::Costs`], by Callgrind's names.
pub const EVENTS: [&str; 15] = [
    "Dr", "Dw", "I1mr", "D1mr", "D1mw", "ILmr", "DLmr", "DLmw", "ILdmr", "DLdmr", "DLdmw", "Bc", "Bcm", "Bi",
    "Bim",
];

/// What a piece of [`Kind::Jumps`] counts, in the bits of a pc that are 0 in all programs.
pub mod jump {
    /// An unconditional jump was executed.
    pub const ALWAYS: u64 = 0;
    /// A conditional one was.
    pub const CONDITIONAL: u64 = 1 << 62;
    /// A conditional one was not taken.
    pub const PASSED: u64 = 2 << 62;
    /// All of these bits.
    pub const BITS: u64 = 3 << 62;
}

/// Words of a piece of [`Kind::Jumps`].
pub const JUMP_WORDS: usize = 3;

/// Words of a node of [`Kind::Contexts`].
pub const CONTEXT_WORDS: usize = 6;

/// Words of a piece of [`Kind::Executed`].
pub const EXECUTED_WORDS: usize = 3;
/// Most instructions of one.
pub const EXECUTED_LENGTHS: usize = 16;

impl Kind {
    /// The kind with this number.
    pub fn from_number(number: u16) -> Option<Kind> {
        use Kind::*;
        const ALL: [Kind; 30] = [
            Pad,
            ProcessStart,
            ThreadStart,
            ThreadName,
            ThreadExit,
            Module,
            ModuleGone,
            Node,
            Alloc,
            Free,
            Realloc,
            Message,
            SnapshotBegin,
            SnapshotBlocks,
            SnapshotRoots,
            SnapshotEdges,
            SnapshotEnd,
            Stats,
            ProcessEnd,
            NotFollowed,
            Error,
            Executed,
            Contexts,
            Costs,
            ContextCosts,
            Part,
            Jumps,
            AccessRuns,
            AccessLog,
            AccessMark,
        ];
        ALL.get(number as usize).copied()
    }
}

/// `code` of a [`Kind::Message`] whose text the program itself gave (VALGRIND_PRINTF): any bytes, whole lines or not.
pub const CLIENT_TEXT: u32 = 1;

/// `how` of [`Kind::ProcessStart`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Start {
    /// The first process of the recording.
    Root = 0,
    /// fork or clone without CLONE_VM.
    Fork = 1,
    /// vfork or clone with CLONE_VM and CLONE_VFORK: shares the parent's memory until it executes or ends.
    Vfork = 2,
    /// The same process executes another program; modules and stacks start anew.
    Exec = 3,
}

/// `how` of [`Kind::ProcessEnd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum End {
    /// exit or exit_group; `value` is the status.
    Exit = 0,
    /// A fatal signal; `value` is its number.
    Signal = 1,
    /// execve of another program that is recorded too.
    Exec = 2,
    /// execve of a program that runs natively from here.
    NativeExec = 3,
    /// The engine failed; a Message tells why.
    EngineError = 4,
}

/// `kind` of allocation events: who asked. Numbers are part of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// malloc, calloc, realloc, memalign and their relatives; free.
    Malloc = 0,
    /// operator new; operator delete.
    New = 1,
    /// operator new[]; operator delete[].
    NewArray = 2,
    /// VALGRIND_MALLOCLIKE_BLOCK.
    Client = 3,
    /// A block of a VALGRIND memory pool.
    Pool = 4,
}

/// `error` of [`Kind::Error`]: the numbers of the trace's error kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Error {
    /// `size` bytes read at `address`, some of which the guest may not touch.
    InvalidRead = 1,
    /// The same, written.
    InvalidWrite = 2,
    /// The guest went on at `address`, where no code is.
    InvalidJump = 3,
    /// What was freed is no live block.
    InvalidFree = 4,
    /// A block was freed by another family than the one that allocated it.
    MismatchedFree = 5,
    /// A block was freed as one of another size.
    SizeMismatch = 6,
    /// A block was freed as one of another alignment.
    AlignMismatch = 7,
    /// A branch that depends on undefined bits.
    UninitCondition = 8,
    /// An undefined value used as an address.
    UninitValue = 9,
    /// A copy of `size` bytes (0: of a string) to `address` from another address that it overlaps.
    Overlap = 10,
    /// A parameter of a system call, named by the string, or what it points to.
    SyscallParam = 11,
    /// A size that is negative if signed.
    FishyValue = 12,
    /// realloc to no bytes.
    ReallocSizeZero = 13,
    /// An alignment that is no power of two.
    InvalidAlignment = 14,
    /// No bytes asked for, where what that gives is not the same everywhere.
    InvalidSize = 15,
    /// A size that is no multiple of the alignment.
    InvalidSizeAndAlignment = 16,
    /// A check that the guest asked for failed.
    ClientCheck = 17,
    /// A request names a memory pool that there is not.
    InvalidMemPool = 18,
    /// A signal ends the process.
    FatalSignal = 19,
    /// A descriptor is open when the process ends. Of this and the next two, `value` is its number, `given` its
    /// [`descriptor`] bits, a second string what it is open for; in place of the block's stacks stand those of its
    /// opening and of the close before.
    FdNotClosed = 20,
    /// One is closed that is not open.
    FdBadClose = 21,
    /// One is used that is not open; the string is the system call.
    FdBadUse = 22,
}

/// Words of [`Kind::Error`] by which variables on the stack are found: of the frame that holds the address its canonical
/// frame address, stack pointer and rbp, then stack pointer and rbp of its callee. Zeros when they are not known, or
/// when the address is not on the stack.
pub const FRAME_WORDS: usize = 5;

/// Bit of the word's half that holds an [`Error`]: bytes were not the guest's to touch; without it, of kinds that may be about
/// either, they were undefined.
pub const UNADDRESSABLE: u32 = 1 << 16;

/// `about` of [`Kind::Error`]: the numbers of the trace's kinds of address.
pub mod about {
    /// Nothing is known.
    pub const UNKNOWN: u32 = 0;
    /// Inside or near a block that is allocated.
    pub const LIVE_BLOCK: u32 = 1;
    /// Inside or near a block that was freed.
    pub const FREED_BLOCK: u32 = 2;
    /// Inside or near a block that the guest has announced.
    pub const CLIENT_BLOCK: u32 = 3;
    /// Inside a block that the guest has described; the second string is its name.
    pub const DESCRIBED: u32 = 4;
    /// The stack of the thread that made the error. In place of the family stands 1 and the index of the frame that
    /// holds the address, 0 when it is not known.
    pub const STACK: u32 = 5;
    /// The same, below its stack pointer; the offset says how far. In place of the family stands [`ORDINARY`] or
    /// [`GUARD_PAGE`]. The frame's words are there where variables of the innermost function may be.
    pub const BELOW_STACK: u32 = 6;
    /// Data of a module, whose id stands in place of the family.
    pub const DATA: u32 = 7;
    /// Another mapping; its protection (1 read, 2 write, 4 execute) stands in place of the family. A second string of
    /// the record is the path of its file.
    pub const MAPPING: u32 = 8;
    /// Nothing is mapped there.
    pub const UNMAPPED: u32 = 9;
    /// Code of a module, as [`DATA`].
    pub const CODE: u32 = 10;

    /// Below the stack pointer: memory as any other, or none.
    pub const ORDINARY: u32 = 0;
    /// Below the stack pointer: pages that nobody may touch.
    pub const GUARD_PAGE: u32 = 1;
}

/// `origin` of [`Kind::Error`]: the numbers of the trace's kinds of origin.
pub mod origin {
    /// It is not known.
    pub const UNKNOWN: u32 = 0;
    /// A block of the heap, by its allocation.
    pub const HEAP: u32 = 1;
    /// A function's stack.
    pub const STACK: u32 = 2;
    /// A request of the guest.
    pub const CLIENT: u32 = 3;
    /// Mask of the kinds.
    pub const KINDS: u32 = 3;
}

/// What is open, in `given` of an error about a descriptor: the numbers of the trace's kinds, and a flag.
pub mod descriptor {
    /// It is not known.
    pub const UNKNOWN: u32 = 0;
    /// A file.
    pub const FILE: u32 = 1;
    /// A socket.
    pub const SOCKET: u32 = 2;
    /// A pipe.
    pub const PIPE: u32 = 3;
    /// Something else: eventfd, timerfd, ...
    pub const SPECIAL: u32 = 4;
    /// Mask of the kinds.
    pub const KINDS: u32 = 0xff;
    /// The program was started with it.
    pub const INHERITED: u32 = 0x100;
}

/// `how` of [`Kind::Part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum PartEnd {
    /// It is kept, under its name.
    Dumped = 0,
    /// Nothing of it counts.
    Zeroed = 1,
}

/// `reason` of [`Kind::SnapshotBegin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// The process ends.
    Exit = 0,
    /// A fatal signal.
    Signal = 1,
    /// The user's signal to the recorder.
    Request = 2,
    /// VALGRIND_DO_LEAK_CHECK.
    Client = 3,
    /// execve.
    Exec = 4,
}

/// Flags of root and block edges, 8 bits.
pub mod edge {
    /// The word points to the start of the block; otherwise into its interior.
    pub const START: u32 = 1;
    /// Valgrind's "stdstring" heuristic accepts the interior pointer as a start pointer.
    pub const STDSTRING: u32 = 2;
    /// Valgrind's "length64" heuristic.
    pub const LENGTH64: u32 = 4;
    /// Valgrind's "newarray" heuristic.
    pub const NEWARRAY: u32 = 8;
    /// Valgrind's "multipleinheritance" heuristic.
    pub const MULTIPLE_INHERITANCE: u32 = 16;
    /// The root is a general register (`where` is its number).
    pub const ROOT_REGISTER: u32 = 1 << 8;
    /// The root lies in a thread's stack.
    pub const ROOT_STACK: u32 = 2 << 8;
    /// The root lies in a module's data segment.
    pub const ROOT_DATA: u32 = 3 << 8;
    /// The root lies in another mapping.
    pub const ROOT_MAPPING: u32 = 4 << 8;
    /// The root lies in the static thread-local storage of a thread.
    pub const ROOT_TLS: u32 = 5 << 8;
    /// Mask of the `ROOT_*` values.
    pub const ROOT_MASK: u32 = 7 << 8;
}

/// Counters of [`Kind::Stats`], in the order of the record's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Stat {
    /// Fragments translated.
    Translations = 0,
    /// Guest instructions translated.
    TranslatedInstructions = 1,
    /// Bytes of guest code translated.
    GuestBytes = 2,
    /// Bytes of code cache written.
    CacheBytes = 3,
    /// Direct exits patched to their target.
    Links = 4,
    /// Indirect branches that had to be looked up by the dispatcher.
    IndirectMisses = 5,
    /// Returns to the dispatcher, all reasons.
    DispatcherEntries = 6,
    /// Fragments removed because code changed or was unmapped.
    Invalidations = 7,
    /// Times that the code cache was emptied for lack of space.
    Evictions = 8,
    /// System calls that went through the engine.
    SlowSyscalls = 9,
    /// Signals delivered to guest handlers.
    Signals = 10,
    /// Allocation events.
    Allocations = 11,
    /// Free events.
    Frees = 12,
    /// Stack tree nodes.
    StackNodes = 13,
    /// Frames walked.
    FramesWalked = 14,
    /// Unwind rules compiled.
    UnwindRules = 15,
    /// Bytes written to the rings.
    RingBytes = 16,
    /// Times that a guest thread waited for the recorder.
    RingWaits = 17,
    /// Peak bytes of the engine's own heap.
    EngineHeapPeak = 18,
    /// Peak bytes of guest heap mapped.
    GuestHeapPeak = 19,
    /// Nanoseconds spent translating.
    TranslateNanoseconds = 20,
    /// Nanoseconds spent in the leak scan.
    ScanNanoseconds = 21,
    /// Checks that found V bits.
    CheckSlowPaths = 22,
    /// Errors found, each time.
    Errors = 23,
    /// Times that a thread went on in precise code.
    PreciseSwitches = 24,
    /// Guest instructions executed in precise code.
    PreciseInstructions = 25,
    /// Of those that the engine followed, the ones that have no rule of their own.
    ConservativeInstructions = 26,
    /// Instructions that the engine followed, because something was undefined.
    PreciseSteps = 27,
    /// Guest instructions executed in other code than precise and guarded; 0 when executed instructions are not counted.
    CleanInstructions = 28,
    /// Guest instructions executed in guarded code; 0 when executed instructions are not counted.
    GuardedInstructions = 29,
    /// Calls and returns that emitted code asked the engine about.
    CallsAsked = 30,
}

/// Number of [`Stat`] counters.
pub const STAT_COUNT: usize = 31;

/// Word 0 of a record of `words` words, the header included.
pub const fn header(kind: Kind, words: usize) -> u64 {
    kind as u64 | (words as u64) << 32
}

/// Length in words that a header names.
pub const fn length(header: u64) -> usize {
    (header >> 32) as usize
}

/// Kind number that a header names.
pub const fn kind_number(header: u64) -> u16 {
    header as u16
}

/// Packs two 32-bit values into one word, the first in the low half.
pub const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// The low and the high half of a word.
pub const fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// Appends a byte string: one word with its length, then its bytes, padded with zeros to whole words.
/// Returns the number of words used; `None` when `out` is too short.
pub fn put_string(out: &mut [u64], bytes: &[u8]) -> Option<usize> {
    let words = 1 + bytes.len().div_ceil(8);
    let out = out.get_mut(..words)?;
    out[0] = bytes.len() as u64;
    for (word, chunk) in out[1..].iter_mut().zip(bytes.chunks(8)) {
        let mut buffer = [0; 8];
        buffer[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_le_bytes(buffer);
    }
    Some(words)
}

/// One committed record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// All its words, the header first.
    pub words: &'a [u64],
}

/// The record at the beginning of some words, and the words behind it; `None` when they do not begin with a whole one.
#[inline]
pub fn split_first(words: &[u64]) -> Option<(Record<'_>, &[u64])> {
    let length = length(*words.first()?);
    let (words, rest) = words.split_at_checked(length)?;
    (length > 0).then_some((Record { words }, rest))
}

impl<'a> Record<'a> {
    /// Its kind; `None` for a kind that this build does not know.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(kind_number(self.words[0]))
    }

    /// Word `i`, or 0 behind the end.
    pub fn word(&self, i: usize) -> u64 {
        self.words.get(i).copied().unwrap_or(0)
    }

    /// The byte strings that start at word `first`, each handed to `each`; stops at a length that does not fit.
    pub fn strings(&self, first: usize, mut each: impl FnMut(&mut dyn Iterator<Item = u8>)) {
        let mut at = first;
        while let Some(&length) = self.words.get(at) {
            let Ok(length) = usize::try_from(length) else { return };
            let Some(words) = self.words.get(at + 1..).and_then(|rest| rest.get(..length.div_ceil(8))) else {
                return;
            };
            each(&mut words.iter().flat_map(|word| word.to_le_bytes()).take(length));
            at += 1 + words.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_round_trip() {
        let mut words = [0u64; 16];
        words[0] = header(Kind::ThreadName, 16);
        let mut at = 1;
        for s in ["", "seven77", "eight888", "nine99999"] {
            at += put_string(&mut words[at..], s.as_bytes()).expect("room");
        }
        let mut seen = Vec::new();
        Record { words: &words[..at] }
            .strings(1, |bytes| seen.push(String::from_utf8(bytes.collect()).unwrap()));
        assert_eq!(seen, ["", "seven77", "eight888", "nine99999"]);
    }

    #[test]
    fn kind_numbers_agree_with_the_table() {
        for number in 0..30 {
            assert_eq!(Kind::from_number(number).map(|kind| kind as u16), Some(number));
        }
        assert_eq!(Kind::from_number(30), None);
    }
}

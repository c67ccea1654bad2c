//! The kinds of messages, for statistics. Numbers are those of the union in `trace.capnp`.

/// How much of a trace one kind of message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindBytes {
    /// Name of the kind as in `trace.capnp`.
    pub kind: &'static str,
    /// Messages of this kind.
    pub messages: u64,
    /// Their bytes, framing included.
    pub bytes: u64,
}

/// Declares the kinds with their names.
macro_rules! arms {
    ($($variant:ident $name:literal,)*) => {
        /// A kind of message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Arm { $($variant,)* }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

arms! {
    Header "header",
    Process "process",
    ProcessEnd "processEnd",
    ThreadStart "threadStart",
    ThreadName "threadName",
    ThreadEnd "threadEnd",
    Modules "modules",
    ModuleEnd "moduleEnd",
    Strings "strings",
    Frames "frames",
    Symbols "symbols",
    Stacks "stacks",
    Chunk "chunk",
    SnapshotBegin "snapshotBegin",
    SnapshotBlocks "snapshotBlocks",
    SnapshotRoots "snapshotRoots",
    SnapshotEdges "snapshotEdges",
    SnapshotEnd "snapshotEnd",
    Counters "counters",
    Remark "remark",
    NotFollowed "notFollowed",
    Trailer "trailer",
    Errors "errors",
    Executions "executions",
    Places "places",
    CodeLines "codeLines",
    Contexts "contexts",
    Costs "costs",
    ContextCosts "contextCosts",
    PartEnd "partEnd",
    Jumps "jumps",
    AccessRuns "accessRuns",
    AccessLog "accessLog",
    AccessMark "accessMark",
}

/// Number of kinds.
pub(crate) const ARMS: usize = NAMES.len();

impl Arm {
    /// Its name as in `trace.capnp`.
    pub(crate) fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// Statistics of an empty trace.
pub(crate) fn no_bytes() -> [KindBytes; ARMS] {
    std::array::from_fn(|i| KindBytes { kind: NAMES[i], messages: 0, bytes: 0 })
}

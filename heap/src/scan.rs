//! The leak scan: finds every word in the guest's roots and live blocks that points at a live block.
//!
//! It classifies nothing. It hands out the graph in an order that allows an exact replay of Valgrind's algorithm
//! later (`mc_leakcheck.c`): root ranges in rising address order, then registers, then the blocks in rising address
//! order and the words of each in rising order. The rules:
//! - A word is 8 bytes at an address that is a multiple of 8. It counts when [`Memory`] delivers it.
//! - It hits block b when `start <= word < start + max(size, 1)`. Hits at the start are flagged so; for all others
//!   the four heuristics are evaluated, each on its own.
//! - Of the arena, only live blocks are scanned: what freed blocks, red zones and unused slots hold is no pointer.
//!   Root ranges are cut accordingly; ranges that overlap are scanned once.
//!
//! The guest stands still during the scan. Not here: which ranges are roots (the engine lists the mappings that are
//! readable and writable); definedness (a [`Memory`] that knows about it delivers 0 for an undefined word, which
//! points nowhere). Valgrind ignores pointers at blocks whose pages the guest made unreadable; here they count.
//!
//! Blocks that the guest announced itself are blocks like others (`client`). What they hold outside of the arena is
//! scanned twice, as a root and as a block's contents, because Valgrind does.

mod heuristics;

use crate::live::{LiveBlock, Snapshot, Target};
use crate::pages::Pages;
use core::ops::ControlFlow;
use ring::record::edge;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;

/// The words of a page.
pub type Page = [u64; 512];

/// Safe access to the guest's memory and mappings.
pub trait Memory {
    /// Copies the page at `address` (a multiple of 4096). False when it cannot be read or was never touched (the
    /// implementor should not fault pages in): it holds no pointers then. Words that are not to be taken for
    /// pointers, such as undefined ones, are delivered as 0.
    fn page(&self, address: u64, into: &mut Page) -> bool;

    /// The word at `address` (a multiple of 8); `None` when it cannot be read or is not fully defined.
    fn word(&self, address: u64) -> Option<u64>;

    /// The first address from `address` on, not behind `end`, where a page can be present. Lets the scan skip holes
    /// of large mappings; saying `address` is always right.
    fn skip(&self, address: u64, end: u64) -> u64 {
        let _ = end;
        address
    }

    /// The end (exclusive) of the readable file mapping that holds `address`, if there is one.
    fn readable_file_mapping(&self, address: u64) -> Option<u64>;

    /// Whether `address` lies in an executable file mapping.
    fn in_executable_file_mapping(&self, address: u64) -> bool;
}

/// What a range of root memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKind {
    /// A module's data.
    Data,
    /// A thread's stack.
    Stack,
    /// A thread's static thread-local storage.
    Tls,
    /// Any other mapping.
    Mapping,
}

impl RootKind {
    fn flag(self) -> u32 {
        match self {
            RootKind::Data => edge::ROOT_DATA,
            RootKind::Stack => edge::ROOT_STACK,
            RootKind::Tls => edge::ROOT_TLS,
            RootKind::Mapping => edge::ROOT_MAPPING,
        }
    }
}

/// A range of memory that is scanned for roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootRange {
    /// First address; rounded up to a multiple of 8.
    pub start: u64,
    /// End, exclusive; rounded down to a multiple of 8.
    pub end: u64,
    /// What it is.
    pub kind: RootKind,
    /// The thread that it belongs to, 0 = none.
    pub tid: u32,
}

/// A general register of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// 0 = rax .. 15 = r15, in encoding order.
    pub number: u8,
    /// Its contents.
    pub value: u64,
    /// The thread.
    pub tid: u32,
}

/// A word in root memory, or a register, that points at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// Address of the word, or number of the register.
    pub at: u64,
    /// Index of the block.
    pub block: u32,
    /// [`edge`] flags, with the kind of root.
    pub flags: u32,
    /// The thread that the root belongs to, 0 = none.
    pub tid: u32,
    /// Where in the block it points.
    pub interior: u64,
}

/// A word in a block that points at a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Index of the block that holds the word.
    pub source: u32,
    /// Offset of the word in it, in bytes.
    pub offset: u64,
    /// Index of the block it points at.
    pub destination: u32,
    /// [`edge`] flags.
    pub flags: u32,
}

/// Takes the graph. `Break` ends the scan.
pub trait Sink {
    /// The next root.
    fn root(&mut self, root: Root) -> ControlFlow<()>;
    /// The next edge.
    fn edge(&mut self, edge: Edge) -> ControlFlow<()>;
}

/// What a scan went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Live blocks.
    pub blocks: u64,
    /// Roots handed out.
    pub roots: u64,
    /// Edges handed out.
    pub edges: u64,
    /// Bytes of memory that were looked at, roots and blocks.
    pub bytes: u64,
}

/// Scans everything. `ranges` is sorted in place. `Break` holds what was done before the sink broke off.
///
/// Uses about 5 KiB of stack and no other memory.
pub fn scan<P: Pages, M: Memory, S: Sink>(
    snapshot: &Snapshot<'_, P>,
    ranges: &mut [RootRange],
    registers: &[Register],
    memory: &M,
    sink: &mut S,
) -> ControlFlow<Totals, Totals> {
    let totals = Totals { blocks: snapshot.block_count(), ..Totals::default() };
    let mut scan = Scan { snapshot, memory, sink, totals, window: Window::new() };
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let done = scan.roots(ranges, registers).is_continue() && scan.blocks().is_continue();
    if done { ControlFlow::Continue(scan.totals) } else { ControlFlow::Break(scan.totals) }
}

/// The page that was read last: neighbouring small blocks share it.
struct Window {
    words: Page,
    /// Address of the page; 1 = none yet.
    address: u64,
    present: bool,
}

impl Window {
    fn new() -> Window {
        Window { words: [0; 512], address: 1, present: false }
    }

    #[inline]
    fn load<M: Memory>(&mut self, memory: &M, address: u64) -> bool {
        if self.address != address {
            self.present = memory.page(address, &mut self.words);
            self.address = address;
        }
        self.present
    }
}

struct Scan<'a, P, M, S> {
    snapshot: &'a Snapshot<'a, P>,
    memory: &'a M,
    sink: &'a mut S,
    totals: Totals,
    window: Window,
}

impl<P: Pages, M: Memory, S: Sink> Scan<'_, P, M, S> {
    fn roots(&mut self, ranges: &[RootRange], registers: &[Register]) -> ControlFlow<()> {
        let (arena, arena_end) = self.snapshot.arena();
        let mut done = 0;
        for range in ranges {
            let start = range.start.max(done);
            for (start, end) in [(start, range.end.min(arena)), (start.max(arena_end), range.end)] {
                if start < end {
                    self.root_range(start, end, range)?;
                }
            }
            done = done.max(range.end);
        }
        for register in registers {
            if let Some(target) = self.snapshot.find(register.value) {
                let at = u64::from(register.number);
                self.root(at, register.value, &target, edge::ROOT_REGISTER, register.tid)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn root_range(&mut self, start: u64, end: u64, range: &RootRange) -> ControlFlow<()> {
        let (kind, tid) = (range.kind.flag(), range.tid);
        self.words(start, end, |scan, at, word, target| scan.root(at, word, &target, kind, tid))
    }

    fn root(&mut self, at: u64, word: u64, target: &Target, kind: u32, tid: u32) -> ControlFlow<()> {
        self.totals.roots += 1;
        let flags = kind | heuristics::flags(self.memory, word, target);
        self.sink.root(Root { at, block: target.index, flags, tid, interior: word - target.address })
    }

    fn blocks(&mut self) -> ControlFlow<()> {
        for block in self.snapshot.blocks() {
            let LiveBlock { index: source, address, size, .. } = block;
            self.words(address, address + size, |scan, at, word, target| {
                scan.totals.edges += 1;
                let flags = heuristics::flags(scan.memory, word, &target);
                scan.sink.edge(Edge { source, offset: at - address, destination: target.index, flags })
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Hands each word of the range that hits a block to `each`: address, word, block.
    #[inline]
    fn words(
        &mut self,
        start: u64,
        end: u64,
        mut each: impl FnMut(&mut Self, u64, u64, Target) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(start) = start.checked_next_multiple_of(8) else { return ControlFlow::Continue(()) };
        let end = end & !7;
        let mut at = start;
        while at < end {
            let page = at & !(PAGE_BYTES - 1);
            let stop = page.checked_add(PAGE_BYTES).map_or(end, |next| next.min(end));
            if !self.window.load(self.memory, page) {
                at = self.memory.skip(stop, end).max(stop);
                continue;
            }
            self.totals.bytes += stop - at;
            let (first, last) = ((at - page) as usize / 8, (stop - page) as usize / 8);
            for i in first..last {
                let word = self.window.words[i];
                if self.snapshot.may_point(word)
                    && let Some(target) = self.snapshot.find(word)
                {
                    each(self, page + 8 * i as u64, word, target)?;
                }
            }
            at = stop;
        }
        ControlFlow::Continue(())
    }
}

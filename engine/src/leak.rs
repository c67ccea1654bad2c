//! The heap snapshot: live blocks, roots and edges, for the recorder; at the end of a process, and when somebody asks.

use crate::context::{Thread, gpr};
use crate::space::{HEAP_BASE, HEAP_BYTES, PAGE};
use crate::state::Engine;
use crate::threads::stop::WorldStopped;
use crate::trace::Writer;
use crate::{guest_mem, loader, sys};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU32, Ordering};
use heap::scan::{self, Edge, Memory, Page, Register, Root, RootKind, RootRange, Sink};
use ring::record::{Kind, Reason, Stat, header, pair};
use translate::layout::STATE_SYSCALL;

/// Words of a table record: small enough to be sent soon, large enough to be cheap.
const BATCH_WORDS: usize = 4096;

/// The recorder gives its own numbers: this one goes on over fork and starts anew with exec.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A table that is sent in pieces.
struct Batch<'a> {
    writer: &'a mut Writer,
    kind: Kind,
    words: Vec<u64>,
}

impl<'a> Batch<'a> {
    fn new(writer: &'a mut Writer, kind: Kind) -> Batch<'a> {
        Batch { writer, kind, words: alloc::vec![0] }
    }

    fn push(&mut self, row: &[u64]) {
        self.words.extend_from_slice(row);
        if self.words.len() + row.len() > BATCH_WORDS {
            self.send();
        }
    }

    fn send(&mut self) {
        if self.words.len() > 1 {
            self.words[0] = header(self.kind, self.words.len());
            self.writer.push(&self.words);
            self.words.truncate(1);
        }
    }
}

struct Graph<'a> {
    batch: Batch<'a>,
}

impl Sink for Graph<'_> {
    fn root(&mut self, root: Root) -> ControlFlow<()> {
        let interior = root.interior.min(u64::from(u32::MAX)) as u32;
        self.batch.push(&[root.at, pair(root.block, root.flags), pair(root.tid, interior)]);
        ControlFlow::Continue(())
    }

    fn edge(&mut self, edge: Edge) -> ControlFlow<()> {
        if self.batch.kind == Kind::SnapshotRoots {
            self.batch.send();
            self.batch.kind = Kind::SnapshotEdges;
        }
        let place = edge.offset & ((1 << 40) - 1) | u64::from(edge.flags) << 40;
        self.batch.push(&[pair(edge.source, edge.destination), place]);
        ControlFlow::Continue(())
    }
}

/// Pages that one window tells about.
const WINDOW_PAGES: u64 = 512;
/// Windows kept. Heuristics jump between blocks and code, so one is not enough.
const WINDOWS: usize = 64;

/// Guest memory during the scan. Which pages are present comes from the kernel, so that the scan touches none anew.
struct Scanned<'a> {
    pagemap: i64,
    files: &'a [FileRange],
    windows: RefCell<Vec<Window>>,
}

/// What the kernel says of an aligned run of pages.
#[derive(Clone)]
struct Window {
    /// Page number divided by [`WINDOW_PAGES`], plus 1; 0 = empty.
    number: u64,
    /// Bit for each page.
    present: [u64; WINDOW_PAGES as usize / 64],
}

struct FileRange {
    start: u64,
    end: u64,
    readable: bool,
    executable: bool,
}

impl Scanned<'_> {
    /// Whether the kernel holds the page, in memory or swapped out; true when it does not tell.
    fn present(&self, address: u64) -> bool {
        if self.pagemap < 0 {
            return true;
        }
        let page = address / PAGE;
        let number = page / WINDOW_PAGES;
        let mut windows = self.windows.borrow_mut();
        let window = &mut windows[number as usize % WINDOWS];
        if window.number != number + 1 {
            let mut entries = [0u64; WINDOW_PAGES as usize];
            #[allow(unsafe_code, reason = "reads the page map into an engine buffer")]
            // SAFETY: the kernel writes at most the buffer's length.
            let read = unsafe {
                let at = number * WINDOW_PAGES * 8;
                sys::call(
                    sys::nr::PREAD64,
                    &[self.pagemap as u64, entries.as_mut_ptr() as u64, WINDOW_PAGES * 8, at],
                )
            };
            if read < (WINDOW_PAGES * 8) as i64 {
                return true;
            }
            window.number = number + 1;
            for (bits, entries) in window.present.iter_mut().zip(entries.chunks_exact(64)) {
                // Bit 63: in memory, bit 62: swapped out.
                *bits = entries.iter().rev().fold(0, |bits, entry| bits << 1 | u64::from(entry >> 62 != 0));
            }
        }
        let bit = page % WINDOW_PAGES;
        window.present[bit as usize / 64] >> (bit % 64) & 1 != 0
    }
}

impl Memory for Scanned<'_> {
    fn page(&self, address: u64, into: &mut Page) -> bool {
        if !self.present(address) {
            return false;
        }
        #[allow(unsafe_code, reason = "views the page's words as bytes")]
        // SAFETY: the array's own bytes; any value is a valid word.
        let bytes = unsafe { core::slice::from_raw_parts_mut(into.as_mut_ptr().cast::<u8>(), PAGE as usize) };
        guest_mem::read(address, bytes) == bytes.len()
    }

    fn word(&self, address: u64) -> Option<u64> {
        if self.present(address) { guest_mem::read_u64(address) } else { None }
    }

    fn skip(&self, address: u64, end: u64) -> u64 {
        let mut at = address;
        while at < end && !self.present(at) {
            at += PAGE;
        }
        at.min(end)
    }

    fn readable_file_mapping(&self, address: u64) -> Option<u64> {
        let range = self.files.iter().find(|range| (range.start..range.end).contains(&address))?;
        range.readable.then_some(range.end)
    }

    fn in_executable_file_mapping(&self, address: u64) -> bool {
        self.files.iter().any(|range| range.executable && (range.start..range.end).contains(&address))
    }
}

/// Describes the heap as it is now.
pub fn snapshot(engine: &Engine, thread: &mut Thread, world: &WorldStopped<'_>, reason: Reason) {
    let _ = world;
    let Some(heap) = engine.heap.get() else { return };
    let begun = sys::monotonic_ns();
    let Some(mut writer) = thread.writer.take() else { return };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    writer.push(&[header(Kind::SnapshotBegin, 3), sys::tsc(), pair(number, reason as u32)]);

    let announced = engine.client.lock().for_scan(&mut writer);
    let snapshot = heap.snapshot_with(&announced);
    let mut batch = Batch::new(&mut writer, Kind::SnapshotBlocks);
    for block in snapshot.blocks() {
        batch.push(&[block.address, block.size, pair(block.stack, block.family as u32)]);
    }
    batch.send();

    let (mut roots, files) = ranges(engine);
    let own = !matches!(reason, Reason::Exit | Reason::Request);
    let registers = registers(engine, thread, own);
    let pagemap = loader::open(b"/proc/self/pagemap").unwrap_or(-1);
    let empty = Window { number: 0, present: [0; WINDOW_PAGES as usize / 64] };
    let memory = Scanned { pagemap, files: &files, windows: RefCell::new(alloc::vec![empty; WINDOWS]) };
    let mut graph = Graph { batch: Batch::new(&mut writer, Kind::SnapshotRoots) };
    let (ControlFlow::Continue(totals) | ControlFlow::Break(totals)) =
        scan::scan(&snapshot, &mut roots, &registers, &memory, &mut graph);
    graph.batch.send();
    if pagemap >= 0 {
        loader::close(pagemap);
    }
    writer.push(&[header(Kind::SnapshotEnd, 5), totals.blocks, totals.roots, totals.edges, totals.bytes]);
    thread.writer = Some(writer);
    engine.count(Stat::ScanNanoseconds, sys::monotonic_ns() - begun);
}

/// General registers of all threads; with `own`, also those of the thread that scans, unless it has left guest code for
/// good (as Valgrind does it).
fn registers(engine: &Engine, thread: &Thread, own: bool) -> Vec<Register> {
    let mut out = Vec::new();
    let mut add = |thread: &Thread| {
        let tid = thread.tid.load(Ordering::Relaxed);
        // The system-call stub leaves the registers of a thread that waits in the kernel; these three are the call's.
        let in_call = thread.context.state.load(Ordering::Relaxed) == STATE_SYSCALL;
        for (value, number) in thread.context.regs.iter().zip(0u8..) {
            if !(in_call && matches!(usize::from(number), gpr::RAX | gpr::RCX | gpr::R11)) {
                out.push(Register { number, value: *value, tid });
            }
        }
    };
    let threads = engine.threads.lock();
    for other in threads.iter().filter(|other| !core::ptr::eq(*other, thread)) {
        add(other);
    }
    if own {
        add(thread);
    }
    out
}

/// Root memory: every readable and writable mapping of the guest, the heap itself left out. And the file mappings.
fn ranges(engine: &Engine) -> (Vec<RootRange>, Vec<FileRange>) {
    let space = engine.space.lock();
    let threads: Vec<(u64, u32)> = engine
        .threads
        .lock()
        .iter()
        .map(|thread| (thread.context.regs[4], thread.tid.load(Ordering::Relaxed)))
        .collect();
    let mut roots = Vec::new();
    let mut files = Vec::new();
    for (start, mapping) in space.iter() {
        let readable = mapping.protection & 1 != 0;
        if mapping.is_file() {
            let executable = mapping.protection & 4 != 0;
            files.push(FileRange { start, end: mapping.end, readable, executable });
        }
        let in_heap = (HEAP_BASE..HEAP_BASE + HEAP_BYTES).contains(&start);
        if !readable || mapping.protection & 2 == 0 || in_heap {
            continue;
        }
        let owner = threads.iter().find(|(sp, _)| (start..mapping.end).contains(sp));
        let (kind, tid) = match owner {
            Some((_, tid)) => (RootKind::Stack, *tid),
            None if mapping.is_file() => (RootKind::Data, 0),
            None => (RootKind::Mapping, 0),
        };
        // What lies below a stack pointer (and its red zone) is dead.
        let from = match owner {
            Some((sp, _)) => sp.saturating_sub(128).max(start),
            None => start,
        };
        roots.push(RootRange { start: from, end: mapping.end, kind, tid });
    }
    drop(space);
    (roots, files)
}

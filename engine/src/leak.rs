//! The heap snapshot: live blocks, roots and edges, for the recorder; at the end of a process, and when somebody asks.

use crate::context::{Thread, gpr};
use crate::pagemap::PageMap;
use crate::space::{HEAP_BASE, HEAP_BYTES, PAGE};
use crate::state::Engine;
use crate::threads::stop::WorldStopped;
use crate::trace::Writer;
use crate::{guest_mem, sys};
use alloc::vec::Vec;
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

/// Guest memory during the scan. Which pages are present comes from the kernel, so that the scan touches none anew.
struct Scanned<'a> {
    pages: PageMap,
    files: &'a [FileRange],
}

struct FileRange {
    start: u64,
    end: u64,
    readable: bool,
    executable: bool,
}

impl Memory for Scanned<'_> {
    fn page(&self, address: u64, into: &mut Page) -> bool {
        if !self.pages.present(address) {
            return false;
        }
        #[allow(unsafe_code, reason = "views the page's words as bytes")]
        // SAFETY: the array's own bytes; any value is a valid word.
        let bytes = unsafe { core::slice::from_raw_parts_mut(into.as_mut_ptr().cast::<u8>(), PAGE as usize) };
        guest_mem::read(address, bytes) == bytes.len()
    }

    fn word(&self, address: u64) -> Option<u64> {
        if self.pages.present(address) { guest_mem::read_u64(address) } else { None }
    }

    fn skip(&self, address: u64, end: u64) -> u64 {
        self.pages.next(address, end)
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
    let memory = Scanned { pages: PageMap::open(), files: &files };
    let mut graph = Graph { batch: Batch::new(&mut writer, Kind::SnapshotRoots) };
    let (ControlFlow::Continue(totals) | ControlFlow::Break(totals)) =
        scan::scan(&snapshot, &mut roots, &registers, &memory, &mut graph);
    graph.batch.send();
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

//! Heap events that wait to be written, as columns.
//!
//! Owns the columns' memory. What always holds: all rows are there in every column that `trace.capnp` gives them, and
//! no column has more than [`EventChunk::CAPACITY`] values. Events arrive by the million, so each is stored where its
//! column will be encoded from; a chunk fits into a processor's second-level cache. Not here: encodings (`column`),
//! columns back to events (`rows`).

use crate::column::Value;
use crate::model::{HeapEvent, Op};

/// Values of one column.
type Cells<T> = Box<[T; EventChunk::CAPACITY]>;

/// Heap events of one process that wait to be written together.
#[derive(Debug, Clone)]
pub struct EventChunk {
    process: u32,
    rows: usize,
    /// Rows that are not frees.
    sized: usize,
    /// Rows that are reallocs.
    moved: usize,
    ops: Cells<u8>,
    time: Cells<u64>,
    instructions: Cells<u64>,
    thread: Cells<u32>,
    address: Cells<u64>,
    stack: Cells<u32>,
    family: Cells<u8>,
    size: Cells<u64>,
    align: Cells<u8>,
    old_address: Cells<u64>,
}

/// What is done with each column.
pub(crate) trait EachColumn {
    /// Takes column number `i` in the order of the specs.
    fn column<T: Value>(&mut self, i: usize, values: &[T]);
}

impl EventChunk {
    /// Events at which a chunk is full.
    pub const CAPACITY: usize = 16384;

    /// An empty chunk for the events of this process.
    pub fn new(process: u32) -> Self {
        Self {
            process,
            rows: 0,
            sized: 0,
            moved: 0,
            ops: cells(),
            time: cells(),
            instructions: cells(),
            thread: cells(),
            address: cells(),
            stack: cells(),
            family: cells(),
            size: cells(),
            align: cells(),
            old_address: cells(),
        }
    }

    /// Adds an event; true when the chunk is full now and must be written before the next event.
    ///
    /// # Panics
    /// The chunk was full already.
    #[inline]
    pub fn push(&mut self, event: HeapEvent) -> bool {
        assert!(self.rows < Self::CAPACITY, "a full chunk was not written");
        let mut event = Some(event);
        self.extend(|| event.take())
    }

    /// Adds events until `next` gives none, or to the last one that has room: true when the chunk is full then and must
    /// be written before the next event.
    // Inlined together with `next`: what a loop over millions of events needs stays in registers.
    #[inline(always)]
    pub fn extend(&mut self, mut next: impl FnMut() -> Option<HeapEvent>) -> bool {
        let (mut row, mut sized, mut moved) = (self.rows, self.sized, self.moved);
        // Addresses of the columns that no store to one of them can change.
        let (ops, family, align) = (&mut *self.ops, &mut *self.family, &mut *self.align);
        let (thread, stack) = (&mut *self.thread, &mut *self.stack);
        let (time, instructions) = (&mut *self.time, &mut *self.instructions);
        let (address, size, old_address) = (&mut *self.address, &mut *self.size, &mut *self.old_address);
        while row < Self::CAPACITY {
            let Some(event) = next() else { break };
            ops[row] = event.op.number();
            time[row] = event.time;
            instructions[row] = event.instructions;
            thread[row] = event.thread;
            address[row] = event.address;
            stack[row] = event.stack;
            family[row] = event.family.number();
            // Allocations and frees come in no order: rather a store in vain than a branch. There are never more of these
            // rows than of all, so the remainders are the numbers themselves.
            size[sized % Self::CAPACITY] = event.size;
            align[sized % Self::CAPACITY] = event.align_log2;
            sized += usize::from(event.op != Op::Free);
            if event.op == Op::Realloc {
                old_address[moved % Self::CAPACITY] = event.old_address;
                moved += 1;
            }
            row += 1;
        }
        (self.rows, self.sized, self.moved) = (row, sized, moved);
        row == Self::CAPACITY
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// The same memory, empty, for another process.
    pub fn for_process(mut self, process: u32) -> Self {
        self.clear();
        self.process = process;
        self
    }

    /// Events that wait.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True when no event waits.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Least and greatest time of the events; zeros when there is none.
    pub(crate) fn times(&self) -> (u64, u64) {
        let times = &self.time[..self.rows];
        let Some(&first) = times.first() else { return (0, 0) };
        times.iter().fold((first, first), |(least, greatest), &time| (least.min(time), greatest.max(time)))
    }

    /// Forgets the events.
    pub fn clear(&mut self) {
        (self.rows, self.sized, self.moved) = (0, 0, 0);
    }

    /// Shows every column, in the order of `HeapEvent`'s specs.
    pub(crate) fn columns(&self, each: &mut impl EachColumn) {
        let Self { rows, sized, moved, .. } = *self;
        each.column(0, &self.ops[..rows]);
        each.column(1, &self.time[..rows]);
        each.column(2, &self.instructions[..rows]);
        each.column(3, &self.thread[..rows]);
        each.column(4, &self.address[..rows]);
        each.column(5, &self.stack[..rows]);
        each.column(6, &self.family[..rows]);
        each.column(7, &self.size[..sized]);
        each.column(8, &self.align[..sized]);
        each.column(9, &self.old_address[..moved]);
    }
}

/// A column of zeros. The memory is taken page by page as values come.
fn cells<T: Value>() -> Cells<T> {
    match vec![T::default(); EventChunk::CAPACITY].into_boxed_slice().try_into() {
        Ok(cells) => cells,
        Err(_) => unreachable!("the length is the capacity"),
    }
}

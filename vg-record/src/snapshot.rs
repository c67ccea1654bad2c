//! Heap snapshots: records of one ring into rows of the trace.
//!
//! Always holds: the rows of a snapshot keep the engine's order, and indices count over all pieces. Not here: what
//! the graph means (`vg-leaks`).

use crate::decode::{Recording, Stream};
use ring::record::{Kind, Record, halves};
use schema::{Block, Edge, Family, Reason, Root, SnapshotBegin, SnapshotEnd};

/// Rows that are collected for one message.
const ROWS: usize = 32768;

/// A snapshot that a ring is telling.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    open: bool,
    number: u32,
    blocks: Vec<Block>,
    roots: Vec<Root>,
    edges: Vec<Edge>,
}

impl Snapshot {
    /// Begun and not completed.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Takes a record of the kinds `Snapshot*`; false when it must wait for a stack.
    pub(crate) fn take(
        &mut self,
        recording: &mut Recording,
        stream: &mut Stream,
        kind: Kind,
        record: Record<'_>,
        time: u64,
        force: bool,
    ) -> bool {
        let process = stream.process;
        let rows = record.words.get(1..).unwrap_or_default();
        match kind {
            Kind::SnapshotBegin => {
                // The engine counts for its image; a process may execute several.
                let (_, reason) = halves(record.word(2));
                let number = recording.next_snapshot(process);
                *self = Snapshot { open: true, number, ..Snapshot::default() };
                let reason = Reason::from_number(reason as u16);
                let begin = SnapshotBegin { process, snapshot: number, reason, time };
                recording.trace.put(|writer| writer.snapshot_begin(&begin));
            }
            Kind::SnapshotBlocks => {
                let before = self.blocks.len();
                for row in rows.chunks_exact(3) {
                    let (stack, bits) = halves(row[2]);
                    let Some(stack) = recording.stack(stream, stack, force) else {
                        self.blocks.truncate(before);
                        return false;
                    };
                    self.blocks.push(Block {
                        address: row[0],
                        size: row[1],
                        stack,
                        family: Family::from_number(bits as u8),
                        align_log2: (bits >> 8) as u8,
                    });
                }
                if self.blocks.len() >= ROWS {
                    self.flush_blocks(recording, process);
                }
            }
            Kind::SnapshotRoots => {
                self.flush_blocks(recording, process);
                self.roots.extend(rows.chunks_exact(3).map(|row| {
                    let (block, flags) = halves(row[1]);
                    let (tid, offset) = halves(row[2]);
                    let thread = recording.thread(process, tid);
                    Root { location: row[0], block, flags, thread, offset: u64::from(offset) }
                }));
                if self.roots.len() >= ROWS {
                    self.flush_roots(recording, process);
                }
            }
            Kind::SnapshotEdges => {
                self.flush_blocks(recording, process);
                self.flush_roots(recording, process);
                self.edges.extend(rows.chunks_exact(2).map(|row| {
                    let (source, target) = halves(row[0]);
                    Edge { source, target, offset: row[1] & ((1 << 40) - 1), flags: (row[1] >> 40) as u32 }
                }));
                if self.edges.len() >= ROWS {
                    self.flush_edges(recording, process);
                }
            }
            _ => {
                self.flush_blocks(recording, process);
                self.flush_roots(recording, process);
                self.flush_edges(recording, process);
                self.open = false;
                let end = SnapshotEnd {
                    process,
                    snapshot: self.number,
                    blocks: record.word(1),
                    roots: record.word(2),
                    edges: record.word(3),
                    scanned: record.word(4),
                };
                recording.trace.put(|writer| writer.snapshot_end(&end));
            }
        }
        true
    }

    fn flush_blocks(&mut self, recording: &mut Recording, process: u32) {
        if !self.blocks.is_empty() {
            // The stacks that the rows name come first.
            recording.trace.flush_tables();
            recording.trace.put(|writer| writer.snapshot_blocks(process, self.number, &self.blocks));
            self.blocks.clear();
        }
    }

    fn flush_roots(&mut self, recording: &mut Recording, process: u32) {
        if !self.roots.is_empty() {
            recording.trace.put(|writer| writer.snapshot_roots(process, self.number, &self.roots));
            self.roots.clear();
        }
    }

    fn flush_edges(&mut self, recording: &mut Recording, process: u32) {
        if !self.edges.is_empty() {
            recording.trace.put(|writer| writer.snapshot_edges(process, self.number, &self.edges));
            self.edges.clear();
        }
    }
}

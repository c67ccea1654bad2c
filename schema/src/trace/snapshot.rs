//! A heap snapshot in memory.
//!
//! What always holds once the trace is loaded: the addresses of blocks rise, and roots and edges name blocks of the
//! snapshot, also when it is incomplete. Not here: what is reachable.

use crate::model::*;

/// The heap of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Process, number, reason and time.
    pub begin: SnapshotBegin,
    /// Live blocks by rising address; roots and edges name them by their index.
    pub blocks: Vec<Block>,
    /// Words outside of the heap that point at blocks.
    pub roots: Vec<Root>,
    /// Words in blocks that point at blocks.
    pub edges: Vec<Edge>,
    /// Bytes of memory scanned; 0 when incomplete.
    pub scanned: u64,
    /// All of it is in the trace.
    pub complete: bool,
    /// Roots and edges of an incomplete snapshot that named blocks which are not in the trace, and were left out.
    pub dangling: u64,
}

impl Snapshot {
    pub(super) fn new(begin: SnapshotBegin) -> Self {
        Self {
            begin,
            blocks: Vec::new(),
            roots: Vec::new(),
            edges: Vec::new(),
            scanned: 0,
            complete: false,
            dangling: 0,
        }
    }

    pub(super) fn add_blocks(&mut self, blocks: Vec<Block>) -> Result<(), String> {
        let before = self.blocks.last().into_iter().chain(&blocks);
        if let Some((before, after)) = before
            .zip(blocks.iter().skip(usize::from(self.blocks.is_empty())))
            .find(|(before, after)| before.address >= after.address)
        {
            return Err(format!("block {:#x} comes after block {:#x}", after.address, before.address));
        }
        self.blocks.extend(blocks);
        Ok(())
    }

    pub(super) fn finish(&mut self, end: &SnapshotEnd) -> Result<(), String> {
        let blocks = self.blocks.len() as u64;
        let counts = [
            ("blocks", blocks, end.blocks),
            ("roots", self.roots.len() as u64, end.roots),
            ("edges", self.edges.len() as u64, end.edges),
        ];
        if let Some((what, got, named)) = counts.iter().find(|(_, got, named)| got != named) {
            return Err(format!("the snapshot has {got} {what}, not {named}"));
        }
        let mut targets = self
            .roots
            .iter()
            .map(|root| root.block)
            .chain(self.edges.iter().map(|edge| edge.source.max(edge.target)));
        if let Some(block) = targets.find(|&block| u64::from(block) >= blocks) {
            return Err(format!("the snapshot has {blocks} blocks and a pointer of block number {block}"));
        }
        self.scanned = end.scanned;
        self.complete = true;
        Ok(())
    }

    /// Leaves out what names blocks that never came.
    pub(super) fn drop_dangling(&mut self) {
        if self.complete {
            return;
        }
        let known = |block: u32| (block as usize) < self.blocks.len();
        let before = self.roots.len() + self.edges.len();
        self.roots.retain(|root| known(root.block));
        self.edges.retain(|edge| known(edge.source) && known(edge.target));
        self.dangling = (before - self.roots.len() - self.edges.len()) as u64;
    }
}

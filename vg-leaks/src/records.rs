//! Loss records: the blocks of one kind that the same stack allocated, and the totals of each kind.
//!
//! Records are keyed and ordered as memcheck does it: by rising size (direct plus indirect), then by kind, number of
//! blocks and stack; numbers count from 1 in that order over all kinds, whatever a report then shows.
//!
//! Not here: which stacks count as the same (the caller's grouping), and wording.

use crate::classify::{Classes, HEURISTICS, State};
use crate::cycles::Cycles;
use crate::graph::HeapGraph;

/// Bytes and blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Count {
    /// Bytes.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
}

impl Count {
    /// Adds a block of this size.
    pub fn add_block(&mut self, bytes: u64) {
        self.add(Count { bytes, blocks: 1 });
    }

    /// Adds another count.
    pub fn add(&mut self, other: Count) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.blocks = self.blocks.saturating_add(other.blocks);
    }
}

/// Totals of each kind. Definite counts the leaders alone, as memcheck's summary does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// Definitely lost.
    pub definite: Count,
    /// Indirectly lost.
    pub indirect: Count,
    /// Possibly lost.
    pub possible: Count,
    /// Still reachable.
    pub reachable: Count,
    /// Matched by a suppression.
    pub suppressed: Count,
    /// Of the reachable: those that only a heuristic made so, in the order of [`HEURISTICS`].
    #[serde(skip)]
    pub heuristics: [Count; HEURISTICS.names.len()],
}

impl Summary {
    /// The totals of a graph.
    pub fn of(graph: &HeapGraph, classes: &Classes) -> Summary {
        let mut summary = Summary::default();
        for block in 0..graph.len() as u32 {
            summary.kind_mut(classes.state(block)).add_block(graph.size(block));
            if let (State::Reachable, Some(heuristic)) = (classes.state(block), classes.heuristic(block)) {
                summary.heuristics[heuristic].add_block(graph.size(block));
            }
        }
        summary
    }

    /// The total of one kind.
    pub fn kind(&self, state: State) -> Count {
        match state {
            State::Definite => self.definite,
            State::Indirect => self.indirect,
            State::Possible => self.possible,
            State::Reachable => self.reachable,
        }
    }

    fn kind_mut(&mut self, state: State) -> &mut Count {
        match state {
            State::Definite => &mut self.definite,
            State::Indirect => &mut self.indirect,
            State::Possible => &mut self.possible,
            State::Reachable => &mut self.reachable,
        }
    }

    /// Adds the totals of another process.
    pub fn add(&mut self, other: &Summary) {
        self.definite.add(other.definite);
        self.indirect.add(other.indirect);
        self.possible.add(other.possible);
        self.reachable.add(other.reachable);
        self.suppressed.add(other.suppressed);
        for (mine, theirs) in self.heuristics.iter_mut().zip(other.heuristics) {
            mine.add(theirs);
        }
    }

    /// Bytes and blocks of all kinds: what was in use.
    pub fn in_use(&self) -> Count {
        let mut all = Count::default();
        [self.definite, self.indirect, self.possible, self.reachable, self.suppressed]
            .into_iter()
            .for_each(|count| all.add(count));
        all
    }
}

/// The blocks of one kind from one stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// From 1, in memcheck's order.
    pub number: usize,
    /// What became of the blocks.
    pub kind: State,
    /// Bytes of the blocks themselves.
    pub direct: u64,
    /// Bytes of the indirect blocks below them; 0 unless the kind is definite.
    pub indirect: u64,
    /// Blocks.
    pub blocks: u64,
    /// The block with the lowest address.
    pub first: u32,
    /// The group of its stacks.
    pub group: u32,
    /// The lowest stack id among the blocks: the stack that is shown.
    pub stack: u32,
    /// Leaders that are in a cycle.
    pub in_cycle: u64,
    /// Blocks of the largest cycle that a leader is in; 0 when none is.
    pub cycle_blocks: u64,
    /// Of the blocks: those that only a heuristic made reachable, by bits in the order of [`HEURISTICS`].
    pub heuristics: u8,
}

impl Record {
    /// Direct and indirect bytes.
    pub fn bytes(&self) -> u64 {
        self.direct.saturating_add(self.indirect)
    }
}

/// Makes the loss records. `group` says which group a stack id belongs to.
pub fn collect(
    graph: &HeapGraph,
    classes: &Classes,
    cycles: &Cycles,
    mut group: impl FnMut(u32) -> u32,
) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut index = std::collections::HashMap::new();
    // Neighbours on the heap often come from one place.
    let mut last = None;
    for block in 0..graph.len() as u32 {
        let (kind, stack) = (classes.state(block), graph.stack(block));
        let at = match last {
            Some((key, at)) if key == (kind, stack) => at,
            _ => {
                let group = group(stack);
                *index.entry((kind, group)).or_insert_with(|| {
                    records.push(Record {
                        number: 0,
                        kind,
                        direct: 0,
                        indirect: 0,
                        blocks: 0,
                        first: block,
                        group,
                        stack,
                        in_cycle: 0,
                        cycle_blocks: 0,
                        heuristics: 0,
                    });
                    records.len() - 1
                })
            }
        };
        last = Some(((kind, stack), at));
        let record = &mut records[at];
        record.direct = record.direct.saturating_add(graph.size(block));
        record.blocks += 1;
        record.stack = record.stack.min(stack);
        if kind == State::Definite {
            record.indirect = record.indirect.saturating_add(classes.indirect_bytes(block));
            if let Some(cycle) = cycles.of(block) {
                record.in_cycle += 1;
                record.cycle_blocks = record.cycle_blocks.max(cycles.blocks(cycle).len() as u64);
            }
        }
        if let (State::Reachable, Some(heuristic)) = (kind, classes.heuristic(block)) {
            record.heuristics |= 1 << heuristic;
        }
    }
    records.sort_by_key(|record| (record.bytes(), record.kind, record.blocks, record.stack, record.first));
    for (i, record) in records.iter_mut().enumerate() {
        record.number = i + 1;
    }
    records
}

/// `--sort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Sort {
    /// As Valgrind: rising size, the largest last
    #[default]
    Record,
    /// Most bytes first
    Bytes,
    /// Most blocks first
    Blocks,
    /// Definite, possible, indirect, reachable; most bytes first within a kind
    Kind,
    /// By the order in which the program first allocated from the stack
    Stack,
}

impl Sort {
    /// Puts records, which are in the order of their numbers, in this order.
    pub fn apply(self, records: &mut [Record]) {
        use std::cmp::Reverse;
        let severity = |kind| match kind {
            State::Definite => 0,
            State::Possible => 1,
            State::Indirect => 2,
            State::Reachable => 3,
        };
        match self {
            Sort::Record => records.sort_by_key(|r| r.number),
            Sort::Bytes => records.sort_by_key(|r| (Reverse(r.bytes()), Reverse(r.number))),
            Sort::Blocks => records.sort_by_key(|r| (Reverse(r.blocks), Reverse(r.number))),
            Sort::Kind => records.sort_by_key(|r| (severity(r.kind), Reverse(r.bytes()), Reverse(r.number))),
            Sort::Stack => records.sort_by_key(|r| (r.stack, severity(r.kind), r.number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::classify;
    use crate::graph::notation::with_stacks;

    fn records(sizes: &[u64], stacks: &[u32], pointers: &str) -> (Summary, Vec<Record>) {
        let graph = with_stacks(sizes, stacks, pointers);
        let classes = classify(&graph, HEURISTICS.all());
        let cycles = crate::cycles::find(&graph, &classes);
        (Summary::of(&graph, &classes), collect(&graph, &classes, &cycles, |stack| stack))
    }

    fn brief(records: &[Record]) -> Vec<(State, u64, u64, u64, u32)> {
        records.iter().map(|r| (r.kind, r.direct, r.indirect, r.blocks, r.stack)).collect()
    }

    #[test]
    fn blocks_of_one_kind_and_stack_make_a_record() {
        use State::*;
        let (summary, records) = records(&[8, 80, 8, 5, 7], &[1, 2, 1, 1, 3], "A>B R>D R~E");
        let expected = [
            (Reachable, 5, 0, 1, 1),
            (Possible, 7, 0, 1, 3),
            (Indirect, 80, 0, 1, 2),
            (Definite, 16, 80, 2, 1),
        ];
        assert_eq!(brief(&records), expected);
        assert_eq!(records.iter().map(|r| r.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(summary.definite, Count { bytes: 16, blocks: 2 });
        assert_eq!(summary.indirect, Count { bytes: 80, blocks: 1 });
        assert_eq!(summary.possible, Count { bytes: 7, blocks: 1 });
        assert_eq!(summary.reachable, Count { bytes: 5, blocks: 1 });
        assert_eq!(summary.in_use(), Count { bytes: 108, blocks: 5 });
    }

    #[test]
    fn equal_sizes_are_ordered_by_kind_blocks_and_stack() {
        use State::*;
        let (_, records) = records(&[8, 8, 4, 4, 8, 8], &[5, 4, 2, 2, 3, 6], "R>A R~B R>E");
        let expected = [
            (Reachable, 8, 0, 1, 3),
            (Reachable, 8, 0, 1, 5),
            (Possible, 8, 0, 1, 4),
            (Definite, 8, 0, 1, 6),
            (Definite, 8, 0, 2, 2),
        ];
        assert_eq!(brief(&records), expected);
    }

    #[test]
    fn sorting() {
        let (_, records) = records(&[8, 1, 1, 1, 50], &[4, 2, 2, 2, 1], "R~A R>E");
        let sorted = |sort: Sort| {
            let mut records = records.clone();
            sort.apply(&mut records);
            records.iter().map(|r| r.stack).collect::<Vec<_>>()
        };
        assert_eq!(sorted(Sort::Record), [2, 4, 1]);
        assert_eq!(sorted(Sort::Bytes), [1, 4, 2]);
        assert_eq!(sorted(Sort::Blocks), [2, 1, 4]);
        assert_eq!(sorted(Sort::Kind), [2, 4, 1]);
        assert_eq!(sorted(Sort::Stack), [1, 2, 4]);
    }

    #[test]
    fn cycles_and_heuristics_are_noted() {
        let (summary, records) = records(&[8, 8, 8, 8], &[1, 2, 3, 3], "A>B B>A R~C:newarray R>D");
        let definite = records.iter().find(|r| r.kind == State::Definite).unwrap();
        assert_eq!((definite.in_cycle, definite.cycle_blocks), (1, 2));
        let reachable = records.iter().find(|r| r.kind == State::Reachable).unwrap();
        assert_eq!(reachable.heuristics, 1 << 2);
        assert_eq!(summary.heuristics[2], Count { bytes: 8, blocks: 1 });
    }
}

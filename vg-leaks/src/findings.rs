//! What a report says about one process, with all names looked up: the input of every output format.
//!
//! [`analyse`] turns a heap graph into a [`Findings`]; nothing in it refers to the graph, which may be dropped. All
//! lists are in the order in which they are shown. Not here: reading traces (`load`), wording (`sentence`).

use crate::classify::{self, Classes, State};
use crate::cycles::{self, Cycles};
use crate::graph::{Edge, HeapGraph, Root};
use crate::options::{LeakCheck, Options, kind_index};
use crate::pointers;
use crate::records::{self, Count, Record, Summary};
use crate::tree::{self, Tree};
use report::stack::{Frame, above_main, user_frame};
use report::symbols::Symbols;
use std::collections::{BTreeMap, HashMap};

/// Calls of the allocator over the life of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Usage {
    /// Allocations; a realloc is one allocation and one free.
    pub allocs: u64,
    /// Frees.
    pub frees: u64,
    /// Bytes of all allocations.
    pub bytes: u64,
}

/// A loss record that is listed.
#[derive(Debug, Clone)]
pub struct Listed<'t> {
    /// Its totals.
    pub record: Record,
    /// Its stack, cut to the frames that are compared.
    pub frames: Vec<Frame<'t>>,
    /// The frame to name; it may lie outside of the cut.
    pub user: Option<Frame<'t>>,
    /// Address and bytes of its blocks by rising address, when asked for, and at most as many as asked for.
    pub addresses: Option<Vec<(u64, u64)>>,
    /// What the blocks kept, when asked for.
    pub children: Option<Vec<Child<'t>>>,
}

/// Indirect blocks below a definite record.
#[derive(Debug, Clone)]
pub struct Child<'t> {
    /// Without those below.
    pub count: Count,
    /// The frame to name.
    pub user: Option<Frame<'t>>,
    /// What these kept in turn.
    pub children: Vec<Child<'t>>,
}

/// Cycles of the same shape: their blocks come from the same stacks.
#[derive(Debug, Clone)]
pub struct CycleGroup<'t> {
    /// How many.
    pub cycles: u64,
    /// Their blocks.
    pub count: Count,
    /// Blocks on a shortest way around the first of them, each pointing at the next and the last at the first.
    pub round: Vec<Spot<'t>>,
    /// Blocks of the first cycle.
    pub blocks: u64,
}

/// A block, for a reader.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'t> {
    /// Address of its first byte.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// What became of it.
    pub state: State,
    /// The frame to name of its allocation.
    pub user: Option<Frame<'t>>,
}

/// A root word, and where it lies in words.
pub type RootWord = (Root, String);

/// A word in a block, and the block.
pub type HeapWord<'t> = (Edge, Spot<'t>);

/// The answer to `--who-points-at`.
#[derive(Debug, Clone)]
pub struct Answer<'t> {
    /// The address that was asked for.
    pub address: u64,
    /// The block that contains it.
    pub block: Spot<'t>,
    /// Root words that point at it.
    pub roots: Vec<RootWord>,
    /// Words in blocks that point at it.
    pub edges: Vec<HeapWord<'t>>,
    /// A way from a root to it: the root word and the words behind it.
    pub path: Option<(RootWord, Vec<HeapWord<'t>>)>,
    /// The leader of the lost blocks that it belongs to.
    pub leader: Option<Spot<'t>>,
}

/// All about one process.
#[derive(Debug, Clone, Default)]
pub struct Findings<'t> {
    /// Totals of each kind.
    pub summary: Summary,
    /// Loss records, listed or not.
    pub records_total: usize,
    /// Loss records by the index of their kind in `options::KINDS` that are not listed.
    pub not_listed: [usize; 4],
    /// Loss records that count as findings.
    pub findings: usize,
    /// What is listed.
    pub listed: Vec<Listed<'t>>,
    /// Cycles among lost blocks, when asked for.
    pub cycles: Option<Vec<CycleGroup<'t>>>,
}

/// Looks stacks up and groups them.
pub struct Stacks<'t> {
    symbols: &'t Symbols,
    executable: &'t str,
    compared: usize,
    shown: usize,
    below_main: bool,
    groups: HashMap<Vec<(u32, u64)>, u32>,
    group_of: HashMap<u32, u32>,
}

impl<'t> Stacks<'t> {
    /// For a process whose executable has this path.
    pub fn new(symbols: &'t Symbols, executable: &'t str, options: &Options) -> Stacks<'t> {
        Stacks {
            symbols,
            executable,
            compared: options.compared_frames(),
            shown: options.num_callers.into(),
            below_main: options.show_internal_frames,
            groups: HashMap::new(),
            group_of: HashMap::new(),
        }
    }

    /// The group of a stack: equal for stacks whose first frames are equal.
    pub fn group(&mut self, stack: u32) -> u32 {
        if let Some(group) = self.group_of.get(&stack) {
            return *group;
        }
        let key: Vec<_> = self.symbols.code(stack).take(self.compared).collect();
        let next = self.groups.len() as u32;
        let group = *self.groups.entry(key).or_insert(next);
        self.group_of.insert(stack, group);
        group
    }

    /// The frames to show.
    pub fn frames(&self, stack: u32) -> Vec<Frame<'t>> {
        let mut frames = self.symbols.frames(stack, self.shown);
        if !self.below_main {
            frames.truncate(above_main(&frames).len());
        }
        frames
    }

    /// The frame to name.
    pub fn user(&self, stack: u32) -> Option<Frame<'t>> {
        let frames = self.symbols.frames(stack, usize::MAX);
        user_frame(&frames, self.executable).map(|index| frames[index])
    }

    fn spot(&self, graph: &HeapGraph, classes: &Classes, block: u32) -> Spot<'t> {
        Spot {
            address: graph.address(block),
            size: graph.size(block),
            state: classes.state(block),
            user: self.user(graph.stack(block)),
        }
    }
}

/// Makes the records of a heap and looks up what the options ask for.
pub fn analyse<'t>(
    graph: &HeapGraph,
    classes: &Classes,
    stacks: &mut Stacks<'t>,
    options: &Options,
) -> Findings<'t> {
    let cycles = cycles::find(graph, classes);
    let mut records = records::collect(graph, classes, &cycles, |stack| stacks.group(stack));
    options.sort.apply(&mut records);
    let (listed, findings) = (options.listed(), options.findings());
    let large = |record: &&Record| record.bytes() >= options.min_bytes;
    let wanted = |record: &&Record| {
        large(record) && listed.has(kind_index(record.kind)) && options.leak_check != LeakCheck::Summary
    };
    let tree = options.tree.then(|| tree::build(graph, classes, |stack| stacks.group(stack)));
    let mut not_listed = [0; 4];
    for record in records.iter().filter(|record| !wanted(record)) {
        not_listed[kind_index(record.kind)] += 1;
    }
    let mut listed: Vec<Listed<'t>> = records
        .iter()
        .filter(wanted)
        .map(|record| Listed {
            record: *record,
            frames: stacks.frames(record.stack),
            user: stacks.user(record.stack),
            addresses: None,
            children: tree.as_ref().filter(|_| record.kind == State::Definite).map(|tree| {
                tree.root(record.group).map_or(Vec::new(), |root| kept(tree, root, record, stacks))
            }),
        })
        .collect();
    if let Some(most) = options.addresses {
        add_addresses(&mut listed, graph, classes, stacks, most as usize);
    }
    Findings {
        summary: Summary::of(graph, classes),
        records_total: records.len(),
        not_listed,
        findings: records.iter().filter(large).filter(|record| findings.has(kind_index(record.kind))).count(),
        listed,
        cycles: options.cycles.then(|| cycle_groups(graph, classes, &cycles, stacks)),
    }
}

/// The first `most` blocks of each record. Blocks of a graph are in the order of their addresses.
fn add_addresses(
    listed: &mut [Listed<'_>],
    graph: &HeapGraph,
    classes: &Classes,
    stacks: &mut Stacks<'_>,
    most: usize,
) {
    let key = |record: &Record| (kind_index(record.kind), record.group);
    let index: HashMap<_, _> =
        listed.iter().enumerate().map(|(i, listed)| (key(&listed.record), i)).collect();
    listed.iter_mut().for_each(|listed| listed.addresses = Some(Vec::new()));
    for block in 0..graph.len() as u32 {
        let group = stacks.group(graph.stack(block));
        let Some(&at) = index.get(&(kind_index(classes.state(block)), group)) else { continue };
        if let Some(addresses) = listed[at].addresses.as_mut().filter(|addresses| addresses.len() < most) {
            addresses.push((graph.address(block), graph.size(block)));
        }
    }
}

/// What the blocks of a definite record kept. Those that come from the record's own place are counted in the root.
fn kept<'t>(tree: &Tree, root: &tree::Node, record: &Record, stacks: &Stacks<'t>) -> Vec<Child<'t>> {
    let count = Count {
        bytes: root.count.bytes.saturating_sub(record.direct),
        blocks: root.count.blocks.saturating_sub(record.blocks),
    };
    let own = Child { count, user: stacks.user(record.stack), children: Vec::new() };
    let own = (count.blocks > 0).then_some(own);
    own.into_iter().chain(children(tree, root, stacks)).collect()
}

/// Depth is limited by the tree.
fn children<'t>(tree: &Tree, node: &tree::Node, stacks: &Stacks<'t>) -> Vec<Child<'t>> {
    let below = node.children.iter().map(|child| tree.node(*child));
    below
        .map(|node| Child {
            count: node.count,
            user: stacks.user(node.stack),
            children: children(tree, node, stacks),
        })
        .collect()
}

fn cycle_groups<'t>(
    graph: &HeapGraph,
    classes: &Classes,
    cycles: &Cycles,
    stacks: &mut Stacks<'t>,
) -> Vec<CycleGroup<'t>> {
    let mut shapes: BTreeMap<Vec<u32>, (u64, Count, usize)> = BTreeMap::new();
    for cycle in 0..cycles.len() {
        let blocks = cycles.blocks(cycle);
        let mut shape: Vec<u32> = blocks.iter().map(|block| stacks.group(graph.stack(*block))).collect();
        shape.sort_unstable();
        let (number, count, _) = shapes.entry(shape).or_insert((0, Count::default(), cycle));
        *number += 1;
        blocks.iter().for_each(|block| count.add_block(graph.size(*block)));
    }
    let mut groups: Vec<_> = shapes.into_values().collect();
    groups.sort_by_key(|(_, count, first)| (std::cmp::Reverse(count.bytes), *first));
    groups
        .into_iter()
        .map(|(number, count, first)| CycleGroup {
            cycles: number,
            count,
            round: cycles.round(first, graph).iter().map(|b| stacks.spot(graph, classes, *b)).collect(),
            blocks: cycles.blocks(first).len() as u64,
        })
        .collect()
}

/// Answers `--who-points-at`; `Err` is the nearest block's start and size when no block contains the address.
pub fn answer<'t>(
    graph: &HeapGraph,
    classes: &Classes,
    stacks: &Stacks<'t>,
    options: &Options,
    address: u64,
    describe: impl Fn(&Root) -> String,
) -> Result<Answer<'t>, Option<(u64, u64)>> {
    let Some(block) = graph.find(address) else {
        return Err(graph.nearest(address).map(|block| (graph.address(block), graph.size(block))));
    };
    let with_source = |edge: Edge| (edge, stacks.spot(graph, classes, edge.from));
    let with_place = |root: Root| (root, describe(&root));
    let found = pointers::pointing_at(graph, block);
    let path = pointers::path_to(graph, block, classify::start_mask(options.leak_check_heuristics));
    Ok(Answer {
        address,
        block: stacks.spot(graph, classes, block),
        roots: found.roots.into_iter().map(with_place).collect(),
        edges: found.edges.into_iter().map(with_source).collect(),
        path: path.map(|path| (with_place(path.root), path.edges.into_iter().map(with_source).collect())),
        leader: (classes.state(block) == State::Indirect)
            .then(|| stacks.spot(graph, classes, classes.leader(block))),
    })
}

//! The leak scan: which words are found, in which order, with which flags.

mod common;

use common::{Mapped, Random, allocate, free, heap, request, write};
use heap::scan::{Edge, Memory, Page, Register, Root, RootKind, RootRange, Sink, Totals, scan};
use heap::{ClientBlock, Heap, Options, ThreadCache};
use ring::record::{Family, edge};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A made-up address space around a real arena.
struct Guest {
    arena: (u64, u64),
    pages: RefCell<BTreeMap<u64, Page>>,
    /// Pages of the arena that cannot be read.
    broken: Vec<u64>,
    readable: Vec<(u64, u64)>,
    executable: Vec<(u64, u64)>,
    pages_read: Cell<u64>,
}

impl Guest {
    fn new(heap: &Heap<Mapped>) -> Guest {
        let arena = heap.arena();
        Guest {
            arena: (arena.base, arena.base + arena.size),
            pages: RefCell::default(),
            broken: Vec::new(),
            readable: Vec::new(),
            executable: Vec::new(),
            pages_read: Cell::new(0),
        }
    }

    fn poke(&self, address: u64, word: u64) {
        let mut pages = self.pages.borrow_mut();
        pages.entry(address & !4095).or_insert([0; 512])[(address & 4095) as usize / 8] = word;
    }
}

impl Memory for Guest {
    fn page(&self, address: u64, into: &mut Page) -> bool {
        assert_eq!(address % 4096, 0);
        self.pages_read.set(self.pages_read.get() + 1);
        if (self.arena.0..self.arena.1).contains(&address) && !self.broken.contains(&address) {
            // SAFETY: the whole arena is mapped.
            *into = unsafe { *(address as *const Page) };
            return true;
        }
        self.pages.borrow().get(&address).map(|page| *into = *page).is_some()
    }

    fn word(&self, address: u64) -> Option<u64> {
        assert_eq!(address % 8, 0);
        let mut page = [0; 512];
        self.page(address & !4095, &mut page).then(|| page[(address & 4095) as usize / 8])
    }

    fn skip(&self, address: u64, end: u64) -> u64 {
        if (self.arena.0..self.arena.1).contains(&address) {
            return address;
        }
        self.pages.borrow().range(address..end).next().map_or(end, |(at, _)| *at)
    }

    fn readable_file_mapping(&self, address: u64) -> Option<u64> {
        self.readable.iter().find(|(start, end)| (*start..*end).contains(&address)).map(|(_, end)| *end)
    }

    fn in_executable_file_mapping(&self, address: u64) -> bool {
        self.executable.iter().any(|(start, end)| (*start..*end).contains(&address))
    }
}

#[derive(Default)]
struct Graph {
    roots: Vec<Root>,
    edges: Vec<Edge>,
    /// Break off after this many.
    limit: Option<usize>,
}

impl Graph {
    fn go_on(&self) -> ControlFlow<()> {
        match self.limit {
            Some(limit) if self.roots.len() + self.edges.len() >= limit => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Sink for Graph {
    fn root(&mut self, root: Root) -> ControlFlow<()> {
        self.roots.push(root);
        self.go_on()
    }

    fn edge(&mut self, edge: Edge) -> ControlFlow<()> {
        self.edges.push(edge);
        self.go_on()
    }
}

fn run(
    heap: &Heap<Mapped>,
    guest: &Guest,
    ranges: &mut [RootRange],
    registers: &[Register],
) -> (Graph, Totals) {
    let mut graph = Graph::default();
    match scan(&heap.snapshot(), ranges, registers, guest, &mut graph) {
        ControlFlow::Continue(totals) => (graph, totals),
        ControlFlow::Break(_) => panic!("the sink never breaks"),
    }
}

fn data(start: u64, end: u64) -> RootRange {
    RootRange { start, end, kind: RootKind::Data, tid: 0 }
}

struct World {
    heap: Heap<Mapped>,
    cache: ThreadCache,
    guest: Guest,
}

impl World {
    fn new() -> World {
        let heap = heap(1 << 32, Options::default());
        let cache = heap.thread_cache().expect("a cache");
        let guest = Guest::new(&heap);
        World { heap, cache, guest }
    }

    /// Blocks of one size in rising address order, all zero.
    fn blocks<const N: usize>(&mut self, size: u64) -> [u64; N] {
        let request = heap::Request { zeroed: true, ..request(size) };
        let mut blocks = [0u64; N].map(|_| self.heap.allocate(&mut self.cache, request).expect("memory"));
        blocks.sort_unstable();
        blocks
    }

    /// Flags of the only root, a register with `pointer`.
    fn flags(&self, pointer: u64) -> u32 {
        let register = Register { number: 3, value: pointer, tid: 7 };
        let (graph, _) = run(&self.heap, &self.guest, &mut [], &[register]);
        assert_eq!(graph.roots.len(), 1, "{pointer:#x} hits a block");
        let root = graph.roots[0];
        assert_eq!((root.at, root.tid, root.flags & edge::ROOT_MASK), (3, 7, edge::ROOT_REGISTER));
        root.flags & !edge::ROOT_MASK
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Definite,
    Indirect,
    Possible,
    Reachable,
}
use Kind::{Definite, Indirect, Possible, Reachable};

/// Valgrind's classification, without heuristics: just enough to see that the graph carries all it needs.
fn classify(blocks: usize, graph: &Graph) -> Vec<Kind> {
    let mut kinds = vec![Definite; blocks];
    let rank = |kind: Kind| match kind {
        Reachable => 2,
        Possible => 1,
        _ => 0,
    };
    let mut work: Vec<(u32, Kind)> = graph
        .roots
        .iter()
        .map(|root| (root.block, if root.flags & edge::START != 0 { Reachable } else { Possible }))
        .collect();
    while let Some((block, kind)) = work.pop() {
        if rank(kind) <= rank(kinds[block as usize]) {
            continue;
        }
        kinds[block as usize] = kind;
        for edge in graph.edges.iter().filter(|edge| edge.source == block) {
            let start = edge.flags & edge::START != 0;
            work.push((edge.destination, if start && kind == Reachable { Reachable } else { Possible }));
        }
    }
    for leader in 0..blocks as u32 {
        if kinds[leader as usize] != Definite {
            continue;
        }
        let mut work = vec![leader];
        while let Some(block) = work.pop() {
            for edge in graph.edges.iter().filter(|edge| edge.source == block) {
                let kind = &mut kinds[edge.destination as usize];
                if *kind == Definite && edge.destination != leader {
                    *kind = Indirect;
                    work.push(edge.destination);
                }
            }
        }
    }
    kinds
}

const ROOTS: u64 = 0x40_0000;

/// `root` and `link`: offset of the pointer into A and into B, if there is one.
fn nine(root_to_a: Option<u64>, a_to_b: Option<u64>, root_to_b: Option<u64>) -> (Kind, Kind) {
    let mut world = World::new();
    let [a, b] = world.blocks(64);
    if let Some(offset) = root_to_a {
        world.guest.poke(ROOTS, a + offset);
    }
    if let Some(offset) = root_to_b {
        world.guest.poke(ROOTS + 8, b + offset);
    }
    if let Some(offset) = a_to_b {
        write(a + 40, b + offset);
    }
    let (graph, totals) = run(&world.heap, &world.guest, &mut [data(ROOTS, ROOTS + 4096)], &[]);
    assert_eq!((totals.roots, totals.edges), (graph.roots.len() as u64, graph.edges.len() as u64));
    assert_eq!(totals.blocks, 2);
    let kinds = classify(2, &graph);
    (kinds[0], kinds[1])
}

#[test]
fn the_nine_cases_of_the_memcheck_manual() {
    let (start, inside) = (Some(0), Some(16));
    assert_eq!(nine(None, None, start).1, Reachable, "case 1");
    assert_eq!(nine(start, start, None), (Reachable, Reachable), "case 2");
    assert_eq!(nine(None, None, None).1, Definite, "case 3");
    assert_eq!(nine(None, start, None), (Definite, Indirect), "case 4");
    assert_eq!(nine(None, None, inside).1, Possible, "case 5");
    assert_eq!(nine(start, inside, None), (Reachable, Possible), "case 6");
    assert_eq!(nine(inside, start, None), (Possible, Possible), "case 7");
    assert_eq!(nine(inside, inside, None), (Possible, Possible), "case 8");
    assert_eq!(nine(None, inside, None), (Definite, Indirect), "case 9");
}

#[test]
fn a_word_hits_from_the_first_to_the_last_byte() {
    let mut world = World::new();
    for size in [0, 1, 7, 64, 1000, 40_000, 3 << 20] {
        let [block] = world.blocks(size);
        let snapshot = world.heap.snapshot();
        let at = |pointer: u64| snapshot.find(pointer).map(|target| (target.address, target.size));
        let hit = Some((block, size));
        assert_eq!(at(block), hit, "size {size}");
        assert_eq!(at(block + size.max(1) - 1), hit, "size {size}");
        assert_eq!(at(block + size.max(1)), None, "size {size}");
        assert_eq!(at(block - 1), None, "size {size}");
    }
}

#[test]
fn the_graph_comes_in_the_documented_order() {
    let mut world = World::new();
    let [a, b, c] = world.blocks::<3>(64);
    let [large] = world.blocks::<1>(100_000);
    write(a + 8, c);
    write(a + 48, large + 99_999);
    write(c, a + 1);
    write(c + 56, c);
    write(large + 99_992, b);
    write(large + 8192, a);
    world.guest.poke(0x50_0010, b + 24);
    world.guest.poke(0x50_2ff8, large);
    world.guest.poke(0x60_0000, a);
    let mut ranges = [
        RootRange { start: 0x60_0000, end: 0x60_0008, kind: RootKind::Stack, tid: 12 },
        RootRange { start: 0x50_0000, end: 0x50_3000, kind: RootKind::Mapping, tid: 0 },
        RootRange { start: 0x60_0000, end: 0x60_1000, kind: RootKind::Tls, tid: 13 },
        RootRange { start: 0x50_0000, end: 0x50_0800, kind: RootKind::Data, tid: 0 },
    ];
    let registers =
        [Register { number: 4, value: c + 3, tid: 12 }, Register { number: 0, value: 17, tid: 12 }];
    let (graph, totals) = run(&world.heap, &world.guest, &mut ranges, &registers);
    let live: Vec<_> = world.heap.live_blocks().map(|block| (block.index, block.address)).collect();
    assert_eq!(live, [(0, a), (1, b), (2, c), (3, large)]);
    let root = |at, block, flags, tid, interior| Root { at, block, flags, tid, interior };
    assert_eq!(
        graph.roots,
        [
            root(0x50_0010, 1, edge::ROOT_DATA, 0, 24),
            root(0x50_2ff8, 3, edge::ROOT_MAPPING | edge::START, 0, 0),
            root(0x60_0000, 0, edge::ROOT_STACK | edge::START, 12, 0),
            root(4, 2, edge::ROOT_REGISTER, 12, 3),
        ]
    );
    let edge = |source, offset, destination, flags| Edge { source, offset, destination, flags };
    assert_eq!(
        graph.edges,
        [
            edge(0, 8, 2, edge::START),
            edge(0, 48, 3, 0),
            edge(2, 0, 0, 0),
            edge(2, 56, 2, edge::START),
            edge(3, 8192, 0, edge::START),
            edge(3, 99_992, 1, edge::START),
        ]
    );
    // Three pages of roots are present, each scanned once; then the blocks.
    assert_eq!(totals.bytes, 3 * 4096 + 3 * 64 + 100_000);
}

#[test]
fn only_live_blocks_and_roots_are_scanned() {
    let mut world = World::new();
    let [target, freed, victim] = world.blocks(64);
    // In a freed block, in red zones, behind the end of a range, in front of its start, in an incomplete last word.
    write(freed, target);
    free(&world.heap, &mut world.cache, freed);
    write(victim - 8, target);
    write(victim + 64, target);
    world.guest.poke(ROOTS, target);
    world.guest.poke(ROOTS + 16, target);
    let [odd] = world.blocks(15);
    write(odd + 8, target);
    let mut ranges =
        [data(ROOTS + 1, ROOTS + 23), data(world.heap.arena().base, world.heap.arena().base + (1 << 31))];
    let (graph, _) = run(&world.heap, &world.guest, &mut ranges, &[]);
    assert_eq!((graph.roots, graph.edges), (vec![], vec![]));
    // A word in an unreadable page does not count, its neighbours do.
    let [wide] = world.blocks(5 * 4096);
    let page = (wide + 8192) & !4095;
    for at in [page - 8, page, page + 4088, page + 4096] {
        write(at, target);
    }
    world.guest.broken.push(page);
    let (graph, _) = run(&world.heap, &world.guest, &mut ranges, &[]);
    let offsets: Vec<_> = graph.edges.iter().map(|edge| edge.offset + wide).collect();
    assert_eq!(offsets, [page - 8, page + 4096]);
}

#[test]
fn a_range_around_the_arena_is_cut_and_holes_are_skipped() {
    let mut world = World::new();
    let [a, b] = world.blocks(64);
    let arena = world.heap.arena();
    let end = arena.base + arena.size;
    write(a, b);
    world.guest.poke(arena.base - 8, a);
    world.guest.poke(end, b);
    let start = arena.base - (1 << 40);
    let (graph, _) = run(&world.heap, &world.guest, &mut [data(start, end + (1 << 40))], &[]);
    let found: Vec<_> = graph.roots.iter().map(|root| (root.at, root.block)).collect();
    assert_eq!(found, [(arena.base - 8, 0), (end, 1)]);
    assert_eq!(graph.edges.len(), 1);
    assert!(world.guest.pages_read.get() < 20, "{} pages were asked for", world.guest.pages_read.get());
    let (graph, _) = run(&world.heap, &world.guest, &mut [data(u64::MAX - 3, u64::MAX), data(9, 3)], &[]);
    assert_eq!(graph.roots, []);
}

#[test]
fn a_sink_can_break_off() {
    let mut world = World::new();
    let [a, b] = world.blocks(64);
    (0..8).for_each(|i| write(a + 8 * i, b));
    let mut graph = Graph { limit: Some(3), ..Graph::default() };
    let result = scan(&world.heap.snapshot(), &mut [], &[], &world.guest, &mut graph);
    assert!(matches!(result, ControlFlow::Break(Totals { edges: 3, .. })), "{result:?}");
    assert_eq!(graph.edges.len(), 3);
}

#[test]
fn stdstring_wants_the_characters_of_a_string_that_fills_the_block() {
    let mut world = World::new();
    let [block] = world.blocks(24 + 40 + 1);
    write(block, 5);
    write(block + 8, 40);
    assert_eq!(world.flags(block + 24), edge::STDSTRING);
    assert_eq!(world.flags(block + 23), 0);
    assert_eq!(world.flags(block + 32), 0);
    write(block, 40);
    assert_eq!(world.flags(block + 24), edge::STDSTRING, "length = capacity");
    write(block, 41);
    assert_eq!(world.flags(block + 24), 0, "length > capacity");
    write(block, 5);
    for capacity in [39, 41, u64::MAX] {
        write(block + 8, capacity);
        assert_eq!(world.flags(block + 24), 0, "capacity {capacity} does not fit the block");
    }
    let [empty] = world.blocks(25);
    assert_eq!(world.flags(empty + 24), edge::STDSTRING, "an empty string");
}

#[test]
fn length64_wants_the_length_of_the_rest() {
    let mut world = World::new();
    let [block] = world.blocks(8 + 37);
    write(block, 37);
    assert_eq!(world.flags(block + 8), edge::LENGTH64 | edge::NEWARRAY, "whatever is one array of 37");
    for length in [36, 38, 45, 0, u64::MAX] {
        write(block, length);
        assert_eq!(world.flags(block + 8), 0, "length {length}");
    }
    write(block, 37);
    assert_eq!(world.flags(block + 16), 0);
    assert_eq!(world.flags(block), edge::START, "a start pointer needs no heuristic");
}

#[test]
fn newarray_wants_a_number_of_elements_that_divides_the_rest() {
    let mut world = World::new();
    let [block] = world.blocks(8 + 60);
    for (elements, accepted) in
        [(1, true), (5, true), (12, true), (7, false), (61, false), (0, false), (30, true)]
    {
        write(block, elements);
        let flags = if accepted { edge::NEWARRAY } else { 0 };
        assert_eq!(world.flags(block + 8), flags, "{elements} elements");
    }
    let [small] = world.blocks(9);
    write(small, 1);
    assert_eq!(world.flags(small + 8), edge::NEWARRAY | edge::LENGTH64);
}

#[test]
fn multipleinheritance_wants_two_vtables() {
    let mut world = World::new();
    const TABLES: u64 = 0x70_0000;
    const CODE: u64 = 0x80_0000;
    world.guest.readable = vec![(TABLES, TABLES + 4096)];
    world.guest.executable = vec![(CODE, CODE + 4096)];
    let (first, second, null, wrong, last) =
        (TABLES, TABLES + 256, TABLES + 512, TABLES + 1024, TABLES + 4096);
    world.guest.poke(first, CODE);
    world.guest.poke(first + 8, CODE + 4095);
    world.guest.poke(second + 8 * 3, CODE + 1);
    world.guest.poke(second + 8 * 19, CODE + 2);
    // Twenty words, and only one function among them.
    world.guest.poke(null, CODE);
    world.guest.poke(null + 8 * 20, CODE);
    world.guest.poke(wrong, CODE);
    world.guest.poke(wrong + 8, 99);
    world.guest.poke(last - 24, CODE);
    world.guest.poke(last - 16, CODE);
    world.guest.poke(last - 8, CODE);
    let [block] = world.blocks(44);
    let check = |outer: u64, inner: u64, at: u64, accepted: bool| {
        write(block, outer);
        write(block + at / 8 * 8, inner);
        let flags = if accepted { edge::MULTIPLE_INHERITANCE } else { 0 };
        assert_eq!(world.flags(block + at), flags, "outer {outer:#x}, inner {inner:#x} at {at}");
        write(block + at / 8 * 8, 0);
    };
    check(first, second, 16, true);
    check(second, first, 32, true);
    check(first, first, 8, true);
    check(first, 0, 16, false);
    check(0, first, 16, false);
    check(first, second + 4, 16, false);
    check(first + 4, second, 16, false);
    check(first, null, 16, false);
    check(first, wrong, 16, false);
    check(first, CODE, 16, false);
    check(first, second, 17, false);
    check(first, last - 24, 16, true);
    // The last word of the mapping is never looked at.
    check(first, last - 16, 16, false);
    check(first, TABLES - 8, 16, false);
    // A pointer into the incomplete last word: offset 40 of 44.
    write(block, first);
    assert_eq!(world.flags(block + 40), 0);
}

#[test]
fn a_random_heap_gives_the_graph_that_brute_force_gives() {
    let mut world = World::new();
    let mut random = Random(11);
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    for _ in 0..3000 {
        let size = random.size() / 2;
        let request = heap::Request { zeroed: true, ..request(size) };
        blocks.push((world.heap.allocate(&mut world.cache, request).expect("memory"), size));
    }
    for _ in 0..1000 {
        let (address, _) = blocks.swap_remove(random.below(blocks.len() as u64) as usize);
        free(&world.heap, &mut world.cache, address);
    }
    blocks.sort_unstable();
    let span = blocks.last().expect("blocks").0 - blocks[0].0 + 200;
    for _ in 0..20_000 {
        let (address, size) = blocks[random.below(blocks.len() as u64) as usize];
        if size >= 8 {
            let pointer = match random.below(3) {
                0 => blocks[random.below(blocks.len() as u64) as usize].0,
                _ => blocks[0].0 - 100 + random.below(span),
            };
            write(address + random.below(size / 8) * 8, pointer);
        }
    }
    let find = |word: u64| {
        let index = blocks.partition_point(|(address, _)| *address <= word).checked_sub(1)?;
        let (address, size) = blocks[index];
        (word - address < size.max(1)).then_some((index as u32, word == address))
    };
    let mut expected = Vec::new();
    for (source, &(address, size)) in (0u32..).zip(&blocks) {
        for offset in (0..size / 8).map(|i| i * 8) {
            let word = world.guest.word(address + offset).expect("readable");
            if let Some((destination, start)) = find(word) {
                expected.push((source, offset, destination, start));
            }
        }
    }
    let (graph, totals) = run(&world.heap, &world.guest, &mut [], &[]);
    let found: Vec<_> = graph
        .edges
        .iter()
        .map(|edge| (edge.source, edge.offset, edge.destination, edge.flags & edge::START != 0))
        .collect();
    assert!(expected.len() > 5000, "{} edges", expected.len());
    assert!(found == expected, "{} edges instead of {}", found.len(), expected.len());
    assert_eq!(totals.blocks, blocks.len() as u64);
    let again = allocate(&world.heap, &mut world.cache, 100);
    assert_eq!(world.heap.snapshot().block_count(), blocks.len() as u64 + 1);
    assert_eq!(world.heap.lookup(again).map(|block| block.free_stack), Some(0), "indices do not show");
}

#[test]
fn blocks_of_the_guests_own_allocators_replace_what_holds_them() {
    let mut world = World::new();
    let [before, outer, after] = world.blocks(256);
    const MAPPED: u64 = 0x5000;
    let client = |address, size, family| ClientBlock::new(address, size, family, 9);
    let mut list = vec![
        client(MAPPED, 32, Family::Client),
        client(outer + 64, 32, Family::Pool),
        client(outer + 16, 24, Family::Client),
    ];
    assert_eq!(heap::arrange(&mut list), (3, 0));
    // The first inner block points at the second; what lies between them is nobody's.
    write(outer + 16, outer + 64 + 31);
    write(outer + 48, before);
    world.guest.poke(MAPPED + 8, after);
    world.guest.poke(0x6000, MAPPED + 4);
    world.guest.poke(0x6008, outer);
    let snapshot = world.heap.snapshot_with(&list);
    assert_eq!((snapshot.block_count(), snapshot.bytes()), (5, 32 + 256 + 24 + 32 + 256));
    let blocks: Vec<_> = snapshot.blocks().map(|block| (block.index, block.address, block.family)).collect();
    let expected = [
        (0, MAPPED, Family::Client),
        (1, before, Family::Malloc),
        (2, outer + 16, Family::Client),
        (3, outer + 64, Family::Pool),
        (4, after, Family::Malloc),
    ];
    assert_eq!(blocks, expected);
    let registers = [Register { number: 3, value: outer + 16, tid: 7 }];
    let mut ranges = [data(MAPPED, 0x7000)];
    let mut graph = Graph::default();
    let done = scan(&snapshot, &mut ranges, &registers, &world.guest, &mut graph);
    assert!(done.is_continue());
    let roots: Vec<_> = graph.roots.iter().map(|root| (root.at, root.block, root.interior)).collect();
    // The mapped block's own words are roots too, and the block that was replaced is hit by nothing.
    assert_eq!(roots, [(MAPPED + 8, 4, 0), (0x6000, 0, 4), (3, 2, 0)]);
    let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.source, edge.offset, edge.destination)).collect();
    assert_eq!(edges, [(0, 8, 4), (2, 0, 3)]);

    // Once they are gone, the block that held them is one again.
    let snapshot = world.heap.snapshot();
    assert_eq!(snapshot.find(outer).map(|target| target.index), Some(1));
    assert_eq!(snapshot.find(outer + 16).map(|target| target.index), Some(1));
    assert_eq!(snapshot.find(MAPPED), None);
}

//! What models say of a program that runs natively: those of the crate `models`, fed access by access.

use models::{Branches, Caches, Event, Events, Geometry, Lent, Options, Shapes};
use std::collections::BTreeMap;
use translate::references::Kind;

/// The caches of one runtime. They are small, so that much is missed; and of all relations between lines, ways and sets, that of the
/// ways being a power of two among them.
pub fn shapes(number: usize) -> Shapes {
    // Sets, ways, bytes of a line.
    const FIRST_LEVEL: [[(u32, u32, u32); 2]; 4] = [
        [(4, 2, 64), (4, 2, 64)],
        [(2, 1, 32), (8, 1, 32)],
        [(2, 3, 64), (2, 16, 32)],
        [(16, 5, 128), (4, 8, 64)],
    ];
    let geometry = |(sets, ways, line)| Geometry::new(sets * ways * line, ways, line).unwrap();
    let [i1, d1] = FIRST_LEVEL[number % FIRST_LEVEL.len()].map(geometry);
    Shapes { i1, d1, ll: geometry((16, 4, 64)) }
}

/// The models, and what they have said.
pub struct Reference {
    caches: Caches,
    branches: Branches,
    /// I1 and D1 once more: lines by sets, each in the order of their last use.
    levels: [(Geometry, Vec<u64>); 2],
    /// Misses and mispredictions by pc.
    pub events: BTreeMap<(u64, Event), u64>,
    /// Reads, writes, conditional and indirect branches of instructions that have as many in each execution.
    pub costs: BTreeMap<u64, [u64; 4]>,
}

impl Reference {
    pub fn new(number: usize) -> Reference {
        let shapes = shapes(number);
        let empty = |geometry: Geometry| {
            let stride = geometry.ways().next_power_of_two();
            (geometry, vec![0; (geometry.sets() * stride) as usize])
        };
        Reference {
            caches: Caches::new(&shapes, Options::default()).unwrap(),
            branches: Branches::new(),
            levels: [shapes.i1, shapes.d1].map(empty),
            events: BTreeMap::new(),
            costs: BTreeMap::new(),
        }
    }

    fn add(&mut self, pc: u64, events: Events) {
        use Event::*;
        for event in [I1mr, D1mr, D1mw, ILmr, DLmr, DLmw, Bcm, Bim] {
            if events.contains(event) {
                *self.events.entry((pc, event)).or_default() += 1;
            }
        }
    }

    /// An instruction has the same accesses and branches in each execution: the number of these of a kind.
    pub fn costs(&mut self, pc: u64, of: usize) {
        self.costs.entry(pc).or_default()[of] += 1;
    }

    /// Lines of I1 (0) or D1 (1).
    pub fn lines(&self, level: usize) -> &[u64] {
        &self.levels[level].1
    }

    fn uses(&mut self, level: usize, address: u64, size: u32) {
        let span = (size.min(self.caches.access_max()) - 1) as u8;
        let (geometry, lines) = &mut self.levels[level];
        let (sets, ways) = (geometry.sets() as usize, geometry.ways() as usize);
        let stride = lines.len() / sets;
        let mut lent = Lent { line_bits: geometry.line().ilog2(), sets, ways, stride, lines };
        lent.uses(address, span);
    }

    pub fn fetch(&mut self, pc: u64, length: u32) {
        let events = self.caches.fetch(pc, length);
        self.add(pc, events);
        self.uses(0, pc, length);
    }

    pub fn access(&mut self, pc: u64, kind: Kind, size: u16, address: u64) {
        let events = match kind {
            Kind::Read => self.caches.read(address, size.into()),
            Kind::Write => self.caches.write(address, size.into()),
            Kind::Modify => self.caches.modify(address, size.into()),
        };
        self.add(pc, events);
        self.uses(1, address, size.into());
    }

    pub fn conditional(&mut self, pc: u64, taken: bool) {
        let events = self.branches.conditional(pc, taken);
        self.add(pc, events);
    }

    pub fn indirect(&mut self, pc: u64, target: u64) {
        let events = self.branches.indirect(pc, target);
        self.add(pc, events);
    }
}

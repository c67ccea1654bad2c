//! Rules of the levels together, and the batch form against the form by single accesses.

use super::*;
use crate::events::Counts;
use crate::geometry::Geometry;
use crate::repeat::Operand;
use alloc::vec::Vec;

const TINY: [(u32, u32, u32); 3] = [(512, 2, 64), (512, 2, 64), (2048, 4, 64)];

fn shapes([i1, d1, ll]: [(u32, u32, u32); 3]) -> Shapes {
    let geometry = |(size, ways, line)| Geometry::new(size, ways, line).unwrap();
    Shapes { i1: geometry(i1), d1: geometry(d1), ll: geometry(ll) }
}

fn caches(options: Options) -> Caches {
    Caches::new(&shapes(TINY), options).unwrap()
}

fn set(events: &[Event]) -> Events {
    Events::of(events)
}

#[test]
fn a_miss_goes_to_the_last_level_and_a_hit_does_not() {
    use Event::*;
    let mut caches = caches(Options::default());
    assert_eq!(caches.read(0x1000, 8), set(&[Dr, D1mr, DLmr]));
    assert_eq!(caches.read(0x1038, 8), set(&[Dr]));
    assert_eq!(caches.write(0x1040, 1), set(&[Dw, D1mw, DLmw]));
    assert_eq!(caches.fetch(0x1000, 4), set(&[Ir, I1mr]), "the last level is unified");
    // Two more lines of the set of 0x1000 in D1 replace it there, but not in the last level.
    caches.read(0x1100, 1);
    caches.read(0x1200, 1);
    assert_eq!(caches.write(0x1000, 8), set(&[Dw, D1mw]));
    caches.clear();
    assert_eq!(caches.write(0x1000, 8), set(&[Dw, D1mw, DLmw]));
}

#[test]
fn an_access_of_two_lines_is_one_that_misses_if_either_line_does() {
    use Event::*;
    let mut caches = caches(Options::default());
    assert_eq!(caches.read(0x103c, 8), set(&[Dr, D1mr, DLmr]));
    assert_eq!(caches.read(0x1000, 1), set(&[Dr]));
    assert_eq!(caches.read(0x1040, 1), set(&[Dr]));
    // The second line misses both levels, the first line neither.
    assert_eq!(caches.read(0x107c, 8), set(&[Dr, D1mr, DLmr]));
    assert_eq!(caches.fetch(0x103e, 4), set(&[Ir, I1mr]));
    // The first line misses D1 only, and the last level has both.
    caches.read(0x1100, 1);
    caches.read(0x1200, 1);
    assert_eq!(caches.read(0x103c, 8), set(&[Dr, D1mr]));
}

#[test]
fn both_lines_of_a_miss_become_recent_in_the_last_level() {
    // The last level has 8 sets of 4 ways; lines that are 0x200 apart share a set.
    let mut caches = caches(Options::default());
    caches.read(0x1040, 1);
    caches.read(0x1240, 1);
    caches.read(0x1440, 1);
    // Hits 0x1040 in the last level, but misses 0x1000 there.
    caches.read(0x103f, 2);
    caches.read(0x1640, 1);
    // The fifth line replaces 0x1240, since 0x1040 was used again.
    caches.read(0x1840, 1);
    assert!(!caches.fetch(0x1040, 1).contains(Event::ILmr));
    assert!(caches.fetch(0x1240, 1).contains(Event::ILmr));
}

#[test]
fn lines_may_differ_in_size() {
    use Event::*;
    // An access within one line of D1 that lies in two lines of the last level.
    let shapes = shapes([(1024, 2, 32), (1024, 2, 128), (2048, 4, 32)]);
    let mut caches = Caches::new(&shapes, Options::default()).unwrap();
    caches.fetch(0x1020, 1);
    assert_eq!(caches.read(0x101e, 4), set(&[Dr, D1mr, DLmr]));
    assert_eq!(caches.read(0x107c, 4), set(&[Dr]));
    assert_eq!(caches.fetch(0x1000, 4), set(&[Ir, I1mr]));
    assert_eq!(caches.fetch(0x1060, 4), set(&[Ir, I1mr, ILmr]));
}

#[test]
fn of_a_long_access_the_beginning_counts() {
    use Event::*;
    let mut caches = caches(Options::default());
    assert_eq!(caches.access_max(), 64);
    caches.write(0x1000, 512);
    assert_eq!(caches.read(0x1040, 1), set(&[Dr, D1mr, DLmr]));
    assert_eq!(caches.read(u64::MAX, 0), set(&[Dr, D1mr, DLmr]));
    caches.read(u64::MAX, 64);
}

#[test]
fn a_register_has_to_fit_into_a_line() {
    let short = shapes([(512, 2, 64), (512, 2, 16), (2048, 4, 64)]);
    assert_eq!(Caches::new(&short, Options::default()).err(), Some(LineTooShort));
}

#[test]
fn a_modification_is_a_write_for_callgrind_and_a_read_for_cachegrind() {
    use Event::*;
    assert_eq!(caches(Options::default()).modify(0x1000, 4), set(&[Dw, D1mw, DLmw]));
    let cachegrind = Options { modify: Modify::Read, ..Options::default() };
    assert_eq!(caches(cachegrind).modify(0x1000, 4), set(&[Dr, D1mr, DLmr]));
}

#[test]
fn write_back_tells_which_misses_replace_a_dirty_line() {
    use Event::*;
    let mut caches = caches(Options { write_back: true, ..Options::default() });
    assert_eq!(caches.write(0x1000, 8), set(&[Dw, D1mw, DLmw]));
    assert_eq!(caches.read(0x1200, 8), set(&[Dr, D1mr, DLmr]));
    // A hit of D1 makes the line of the last level dirty, without an event.
    assert_eq!(caches.write(0x1200, 8), set(&[Dw]));
    for address in [0x1400, 0x1600] {
        caches.read(address, 1);
    }
    assert_eq!(caches.fetch(0x1800, 4), set(&[Ir, I1mr, ILmr, ILdmr]));
    assert_eq!(caches.read(0x1a00, 4), set(&[Dr, D1mr, DLmr, DLdmr]));
    assert_eq!(caches.write(0x1c00, 4), set(&[Dw, D1mw, DLmw]), "0x1400 was clean");
}

#[test]
fn write_back_of_two_lines_tells_the_worse() {
    use Event::*;
    let mut caches = caches(Options { write_back: true, ..Options::default() });
    for round in 0..4 {
        caches.write(0x1040 + round * 0x200, 8);
    }
    // The first line hits, the second one replaces a dirty line.
    caches.fetch(0x1800, 1);
    assert_eq!(caches.read(0x183c, 8), set(&[Dr, D1mr, DLmr, DLdmr]));
}

#[test]
fn prefetching_saves_misses_of_the_last_level_only() {
    let misses = |options| {
        let mut caches = caches(options);
        let mut counts = Counts::default();
        (0..16).for_each(|line| counts += caches.read(0x10000 + line * 64, 8));
        (counts[Event::D1mr], counts[Event::DLmr])
    };
    assert_eq!(misses(Options::default()), (16, 16));
    // Lines 0 to 6 miss; line 2 is the third one in a row and fetches line 7.
    let prefetch = Options { prefetch: true, ..Options::default() };
    assert_eq!(misses(prefetch), (16, 7));
    assert_eq!(misses(Options { write_back: true, ..prefetch }), (16, 7));
}

#[test]
fn with_write_back_the_prefetcher_follows_writes_that_hit() {
    let fetched = |write_back| {
        let mut caches = caches(Options { write_back, prefetch: true, ..Options::default() });
        // Into D1, without three lines in a row.
        for address in [0x10000, 0x10080, 0x10040, 0x100c0] {
            caches.read(address, 1);
        }
        for address in [0x10000, 0x10040, 0x10080] {
            caches.write(address, 1);
        }
        !caches.fetch(0x10080 + 5 * 64, 1).contains(Event::ILmr)
    };
    assert!(fetched(true) && !fetched(false));
}

/// A generator of numbers (xorshift), so that the test is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// An instruction: address and length, and its accesses: size and kind.
type Instruction = (u64, u32, Vec<(u32, u64)>);

/// What a segment was made of.
#[derive(Default)]
struct Source {
    instructions: Vec<Instruction>,
}

impl Source {
    fn random(random: &mut Random) -> Source {
        let mut pc = 0x1000 + random.below(0x1000);
        let mut source = Source::default();
        for _ in 0..1 + random.below(40) {
            let length = 1 + random.below(15) as u32;
            let accesses = (0..random.below(3)).map(|_| (1 << random.below(7), random.below(3))).collect();
            source.instructions.push((pc, length, accesses));
            pc += u64::from(length);
        }
        source
    }

    fn segment(&self, mut builder: SegmentBuilder) -> Segment {
        for (pc, length, accesses) in &self.instructions {
            builder.instruction(*pc, *length);
            for (size, kind) in accesses {
                match kind {
                    0 => builder.read(*size),
                    1 => builder.write(*size),
                    _ => builder.modify(*size),
                }
            }
        }
        builder.finish()
    }

    fn run(&self, caches: &mut Caches, addresses: &[u64], costs: &mut [Counts]) {
        let mut addresses = addresses.iter();
        for ((pc, length, accesses), costs) in self.instructions.iter().zip(costs) {
            *costs += caches.fetch(*pc, *length);
            for (size, kind) in accesses {
                let address = *addresses.next().unwrap();
                *costs += match kind {
                    0 => caches.read(address, *size),
                    1 => caches.write(address, *size),
                    _ => caches.modify(address, *size),
                };
            }
        }
    }
}

#[test]
fn a_batch_has_the_events_of_its_accesses_one_by_one() {
    let geometries = [
        TINY,
        [(1024, 1, 32), (1024, 16, 64), (8192, 8, 128)],
        [(2048, 4, 128), (512, 4, 32), (6144, 12, 32)],
        [(32768, 8, 64), (49152, 12, 64), (1 << 20, 16, 64)],
    ];
    let mut random = Random(88_172_645_463_325_252);
    for (geometries, variant) in
        geometries.into_iter().flat_map(|shapes| [0, 1, 2, 3, 4].map(|v| (shapes, v)))
    {
        let options = Options {
            modify: if variant == 4 { Modify::Read } else { Modify::Write },
            write_back: variant & 1 != 0,
            prefetch: variant & 2 != 0,
        };
        let Ok(mut batch) = Caches::new(&shapes(geometries), options) else {
            panic!("lines are long enough")
        };
        let mut single = batch.clone();
        let sources: Vec<Source> = (0..20).map(|_| Source::random(&mut random)).collect();
        let segments: Vec<Segment> = sources.iter().map(|source| source.segment(batch.segment())).collect();
        let mut found: Vec<_> = segments.iter().map(|segment| costs_of(segment.instructions())).collect();
        let mut expected = found.clone();
        for _ in 0..3000 {
            let which = random.below(20) as usize;
            let addresses: Vec<u64> =
                (0..segments[which].accesses()).map(|_| 0x8000 + random.below(0x3000)).collect();
            batch.run(&segments[which], &addresses, found[which].as_mut_slice());
            segments[which].add_executions(1, &mut found[which]);
            sources[which].run(&mut single, &addresses, &mut expected[which]);
        }
        assert_eq!(found, expected, "{geometries:?} {options:?}");
    }
}

fn costs_of(length: usize) -> Vec<Counts> {
    alloc::vec![Counts::default(); length]
}

#[test]
fn without_all_addresses_a_segment_is_simulated_as_far_as_they_go() {
    let mut caches = caches(Options::default());
    let mut builder = caches.segment();
    for pc in [0x1000, 0x1040, 0x1080] {
        builder.instruction(pc, 4);
        builder.read(8);
    }
    let segment = builder.finish();
    let mut costs = costs_of(3);
    caches.run(&segment, &[0x5000], costs.as_mut_slice());
    let counted = |event| [0, 1, 2].map(|instruction: usize| costs[instruction][event]);
    assert_eq!((counted(Event::I1mr), counted(Event::D1mr)), ([1, 1, 0], [1, 0, 0]));
    // More addresses than accesses are no matter.
    caches.run(&segment, &[0x5000; 9], &mut Counts::default());
}

#[test]
fn rounds_of_a_string_instruction_access_their_operands_in_turn() {
    let operands = [
        Operand { address: 0x5000, size: 4, written: false },
        Operand { address: 0x6100, size: 4, written: true },
    ];
    for (step, backwards) in [(4i64, false), (-4, true)] {
        let mut found = Counts::default();
        let mut by_rounds = caches(Options::default());
        by_rounds.repeat(Repeat { operands: &operands, step, rounds: 100 }, 0, &mut found);
        let mut expected = Counts::default();
        let mut single = caches(Options::default());
        for round in 0..100u64 {
            let moved = |address: u64| if backwards { address - round * 4 } else { address + round * 4 };
            let implied = set(&[Event::Dr, Event::Dw]);
            expected += single.read(moved(0x5000), 4).without(implied);
            expected += single.write(moved(0x6100), 4).without(implied);
        }
        assert_eq!(found, expected);
        assert!(found[Event::D1mr] >= 6 && found[Event::D1mw] >= 6);
    }
}

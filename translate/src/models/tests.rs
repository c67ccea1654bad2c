//! What emitted code takes for granted, against the crate `models`.

use super::{Models, STEPS, Shape, Which, place};
use alloc::vec;
use models::{Branches, Caches, Event, Geometry, Lent, Options, Shapes};

const SHAPES: [[Shape; 2]; 3] = [
    [Shape { line_bits: 6, sets: 64, ways: 8 }, Shape { line_bits: 6, sets: 64, ways: 12 }],
    [Shape { line_bits: 5, sets: 2, ways: 1 }, Shape { line_bits: 5, sets: 128, ways: 32 }],
    [Shape { line_bits: 9, sets: 1024, ways: 3 }, Shape { line_bits: 7, sets: 4, ways: 2 }],
];

#[test]
fn all_parts_lie_behind_one_another_and_begin_with_a_line() {
    for shapes in SHAPES {
        let models = Models::new(0x1001, Some(shapes), true, 32, false);
        assert_eq!(models.base, 0x1040);
        let mut end = models.base + place::LEVELS;
        for (which, shape) in [Which::Fetch, Which::Data].into_iter().zip(shapes) {
            let level = models.level(which).unwrap();
            assert_eq!(level.shape, shape);
            assert!(level.sets >= end && level.sets.is_multiple_of(64));
            let last = u64::from(shape.sets - 1) << shape.line_bits;
            end = level.sets + level.set(last) + 8 * shape.ways;
            assert!(level.set(last) + 8 * shape.ways <= shape.sets << level.stride_bits());
        }
        assert!(models.end() >= end);
        assert_eq!(Models::new(0x1001, None, true, 32, false).end(), 0x1040 + place::LEVELS);
    }
    const { assert!(place::MISSES + 8 <= place::TARGETS && place::STEPS + 16 <= place::MISSES) };
    const { assert!(place::MISSED + 16 * place::MOST_MISSES <= place::LEVELS) };
}

#[test]
fn a_line_is_put_where_its_set_begins() {
    for shape in SHAPES.as_flattened() {
        let models = Models::new(0, Some([*shape; 2]), false, 32, false);
        let level = models.level(Which::Data).unwrap();
        let stride = 1 << level.stride_bits() >> 3;
        for address in [0x1234_5678, 0x7fff_ffff_ffff, 0xffff_ffff_ff60_0fff, 0x600] {
            let mut lines = vec![0; shape.sets as usize * stride];
            let (sets, ways) = (shape.sets as usize, shape.ways as usize);
            Lent { line_bits: shape.line_bits, sets, ways, stride, lines: &mut lines }.uses(address, 0);
            let line = level.line(address);
            assert_eq!(lines[level.set(line) as usize / 8], line, "{shape:?} {address:#x}");
            assert_eq!(lines.iter().filter(|line| **line != 0).count(), 1);
        }
    }
}

#[test]
fn spans_are_those_of_segments() {
    let geometry = |line| Geometry::new(64 * line, 4, line).unwrap();
    for line in [32, 64, 256] {
        let shapes = Shapes { i1: geometry(256), d1: geometry(line), ll: geometry(256) };
        let caches = Caches::new(&shapes, Options::default()).unwrap();
        let models = Models::new(0, None, false, caches.access_max(), false);
        let sizes = [1, 2, 8, 16, 28, 31, 32, 33, 64, 108, 160, 255, 256, 257, 512];
        let mut builder = caches.segment();
        builder.instruction(0x1000, 3);
        sizes.into_iter().for_each(|size| builder.read(size));
        let spans = builder.finish().spans().zip(sizes).all(|(span, size)| span == models.span(size));
        assert!(spans, "lines of {line} bytes");
    }
}

/// What emitted code does about a conditional branch.
fn mispredicts(memory: &mut [u8], pc: u64, taken: bool) -> bool {
    let history = memory[place::HISTORY as usize];
    let state = place::STATES as usize + 256 * (pc as usize & 127) + usize::from(history);
    let step = 2 * memory[state] + u8::from(taken);
    memory[place::HISTORY as usize] = (history + u8::from(taken)) << 1;
    memory[state] = STEPS[usize::from(step)];
    STEPS[usize::from(step) + 8] != 0
}

#[test]
fn branches_are_predicted_as_by_valgrinds_tables() {
    let (mut memory, mut branches) = (vec![0; place::MISSED as usize], Branches::new());
    let (mut random, mut wrong) = (88_172_645_463_325_252u64, 0);
    for _ in 0..100_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Few places, each mostly with its own outcome, so that counters reach both ends.
        let pc = 0x40_1000 + (random >> 20) % 160;
        let taken = (random >> 40).is_multiple_of(8) != pc.is_multiple_of(3);
        let expected = branches.conditional(pc, taken).contains(Event::Bcm);
        assert_eq!(mispredicts(&mut memory, pc, taken), expected);
        wrong += u32::from(expected);
    }
    assert!((10_000..40_000).contains(&wrong), "{wrong}");
}

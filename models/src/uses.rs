//! The caches of `--cacheuse`: what becomes of a line between the miss that loads it and the one that replaces it.
//!
//! Rules of Callgrind's `sim.c`: each access of a line counts, with the parts of the line that it touches (a thirty-second
//! each). When the line is replaced, or at the end, the instruction that loaded it is charged with
//! - `AcCost1` or `AcCost2`: 1000 divided by the number of accesses, rounded down: a line that is used little is dear;
//! - `SpLoss1` or `SpLoss2`: the bytes of the parts that were never touched.
//!
//! The last level has the accesses and parts of the lines of the first one, when these are replaced; they go to where the
//! line was when it was loaded, even if another has come there since. Unlike in [`crate::Caches`] an access of two lines
//! asks the last level only for those that miss. Not with write-back or prefetching, as in Callgrind. Deviations are those
//! of `caches`: addresses are compared in full, nothing is present at the beginning, and an access of two lines is one also
//! in a cache of one set.
//!
//! What always holds: a line that was never used charges nobody. Every access counts here, so there is no form for batches.

use crate::caches::{LineTooShort, Modify, access_max, span};
use crate::detect::Shapes;
use crate::events::{Event, Events};
use crate::geometry::Geometry;
use alloc::boxed::Box;
use alloc::vec;

/// Parts of a line: bits of a mask.
const PARTS: u32 = 32;

/// What the instruction that loaded a line is charged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The caller's name of the instruction.
    pub loader: u64,
    /// Whether the line was one of the last level: `AcCost2` and `SpLoss2` instead of `AcCost1` and `SpLoss1`.
    pub last_level: bool,
    /// A thousandth of this is the share of the miss in each access.
    pub access_cost: u64,
    /// Bytes that were loaded and not used.
    pub space_loss: u64,
}

/// Who served an access, the later the more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Served {
    First,
    Last,
    Memory,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    line: u64,
    /// Of the last use, in uses of this cache; 0 while the place is empty.
    time: u64,
    loader: u64,
    accesses: u32,
    parts: u32,
    /// Where the line was in the last level when it was loaded; in the first level only.
    below: u32,
}

#[derive(Debug, Clone)]
struct Level {
    line_bits: u32,
    set_mask: usize,
    ways: usize,
    places: Box<[Place]>,
    now: u64,
    is_last: bool,
}

impl Level {
    fn new(geometry: Geometry, is_last: bool) -> Level {
        let (sets, ways) = (geometry.sets() as usize, geometry.ways() as usize);
        let places = vec![Place::default(); sets * ways].into_boxed_slice();
        Level { line_bits: geometry.line().ilog2(), set_mask: sets - 1, ways, places, now: 0, is_last }
    }

    /// Uses a line; gives its place, or else the place that it can have.
    fn find(&mut self, line: u64) -> Result<usize, usize> {
        self.now += 1;
        let first = (line as usize & self.set_mask) * self.ways;
        let set = &mut self.places[first..][..self.ways];
        if let Some(way) = set.iter().position(|place| place.line == line && place.time > 0) {
            set[way].time = self.now;
            return Ok(first + way);
        }
        let oldest = set.iter().enumerate().min_by_key(|(_, place)| place.time);
        Err(first + oldest.map_or(0, |(way, _)| way))
    }

    /// Puts a line that nobody has accessed yet into a place; gives what was there.
    fn load(&mut self, at: usize, line: u64, loader: u64) -> Place {
        let new = Place { line, time: self.now, loader, ..Place::default() };
        core::mem::replace(&mut self.places[at], new)
    }

    /// The parts of a line from one byte to another.
    fn parts(&self, first: u64, last: u64) -> u32 {
        let part = |address: u64| (address & ((1 << self.line_bits) - 1)) >> (self.line_bits - PARTS.ilog2());
        u32::MAX << part(first) & u32::MAX >> (u64::from(PARTS) - 1 - part(last))
    }

    /// What the end of a line is charged with.
    fn loss(&self, old: &Place) -> Option<Loss> {
        let unused = u64::from(old.parts.count_zeros());
        Some(Loss {
            loader: old.loader,
            last_level: self.is_last,
            access_cost: u64::from(1000u32.checked_div(old.accesses)?),
            space_loss: unused << self.line_bits >> PARTS.ilog2(),
        })
    }
}

/// I1, D1 and LL with the use of their lines. Allocates when it is made, 40 bytes for each line, and never later.
#[derive(Debug, Clone)]
pub struct LineUses {
    i1: Level,
    d1: Level,
    ll: Level,
    access_max: u32,
    modify: Modify,
}

impl LineUses {
    /// Empty caches.
    ///
    /// # Errors
    ///
    /// If a register does not fit into a line.
    pub fn new(shapes: &Shapes, modify: Modify) -> Result<LineUses, LineTooShort> {
        Ok(LineUses {
            i1: Level::new(shapes.i1, false),
            d1: Level::new(shapes.d1, false),
            ll: Level::new(shapes.ll, true),
            access_max: access_max(shapes)?,
            modify,
        })
    }

    /// The events of one execution of the instruction that the caller calls `by`, without its accesses of data. What
    /// lines that it replaces are charged with goes to `losses`.
    pub fn fetch(&mut self, pc: u64, length: u32, by: u64, losses: &mut impl FnMut(Loss)) -> Events {
        let span = span(length, self.access_max);
        let served = served(&mut self.i1, &mut self.ll, (pc, span), by, losses);
        events(served, [Event::Ir, Event::I1mr, Event::ILmr])
    }

    /// The events of a read by that instruction.
    pub fn read(&mut self, address: u64, size: u32, by: u64, losses: &mut impl FnMut(Loss)) -> Events {
        let span = span(size, self.access_max);
        let served = served(&mut self.d1, &mut self.ll, (address, span), by, losses);
        events(served, [Event::Dr, Event::D1mr, Event::DLmr])
    }

    /// The events of a write by that instruction.
    pub fn write(&mut self, address: u64, size: u32, by: u64, losses: &mut impl FnMut(Loss)) -> Events {
        let span = span(size, self.access_max);
        let served = served(&mut self.d1, &mut self.ll, (address, span), by, losses);
        events(served, [Event::Dw, Event::D1mw, Event::DLmw])
    }

    /// The events of a read and a write of the same bytes by that instruction.
    pub fn modify(&mut self, address: u64, size: u32, by: u64, losses: &mut impl FnMut(Loss)) -> Events {
        match self.modify {
            Modify::Write => self.write(address, size, by, losses),
            Modify::Read => self.read(address, size, by, losses),
        }
    }

    /// Charges for the lines that are there at the end, and forgets them.
    pub fn finish(&mut self, losses: &mut impl FnMut(Loss)) {
        for first in [&mut self.i1, &mut self.d1] {
            for at in 0..first.places.len() {
                let old = core::mem::take(&mut first.places[at]);
                replaced(first, &mut self.ll, &old, losses);
            }
        }
        for at in 0..self.ll.places.len() {
            let old = core::mem::take(&mut self.ll.places[at]);
            self.ll.loss(&old).into_iter().for_each(&mut *losses);
        }
    }
}

/// Charges for a line of the first level, and tells the last one of its accesses.
fn replaced(first: &Level, ll: &mut Level, old: &Place, losses: &mut impl FnMut(Loss)) {
    if let Some(loss) = first.loss(old) {
        losses(loss);
        let below = &mut ll.places[old.below as usize];
        below.accesses = below.accesses.wrapping_add(old.accesses);
        below.parts |= old.parts;
    }
}

/// An access of one or two lines: its first byte, and how far behind it the last one lies.
fn served(
    first: &mut Level,
    ll: &mut Level,
    (address, span): (u64, u8),
    by: u64,
    losses: &mut impl FnMut(Loss),
) -> Served {
    let last = address.wrapping_add(u64::from(span));
    if address >> first.line_bits == last >> first.line_bits {
        return served_line(first, ll, (address, last), by, losses);
    }
    let second = last >> first.line_bits << first.line_bits;
    let begins = served_line(first, ll, (address, second.wrapping_sub(1)), by, losses);
    begins.max(served_line(first, ll, (second, last), by, losses))
}

/// An access within one line: its first and its last byte.
fn served_line(
    first: &mut Level,
    ll: &mut Level,
    (begin, end): (u64, u64),
    by: u64,
    losses: &mut impl FnMut(Loss),
) -> Served {
    let line = begin >> first.line_bits;
    let (at, served) = match first.find(line) {
        Ok(at) => (at, Served::First),
        Err(at) => {
            let old = first.load(at, line, by);
            replaced(first, ll, &old, losses);
            let below = line << first.line_bits >> ll.line_bits;
            let (place, served) = match ll.find(below) {
                Ok(place) => (place, Served::Last),
                Err(place) => {
                    let old = ll.load(place, below, by);
                    ll.loss(&old).into_iter().for_each(&mut *losses);
                    (place, Served::Memory)
                }
            };
            first.places[at].below = place as u32;
            (at, served)
        }
    };
    let parts = first.parts(begin, end);
    let place = &mut first.places[at];
    place.accesses = place.accesses.wrapping_add(1);
    place.parts |= parts;
    served
}

fn events(served: Served, [access, first, last]: [Event; 3]) -> Events {
    match served {
        Served::First => Events::of(&[access]),
        Served::Last => Events::of(&[access, first]),
        Served::Memory => Events::of(&[access, first, last]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn uses() -> LineUses {
        let geometry = |size, ways| Geometry::new(size, ways, 64).unwrap();
        let shapes = Shapes { i1: geometry(512, 2), d1: geometry(512, 2), ll: geometry(1024, 4) };
        LineUses::new(&shapes, Modify::Write).unwrap()
    }

    fn loss(loader: u64, last_level: bool, access_cost: u64, space_loss: u64) -> Loss {
        Loss { loader, last_level, access_cost, space_loss }
    }

    #[test]
    fn the_loader_of_a_line_is_charged_when_it_is_replaced() {
        let mut uses = uses();
        let mut losses = Vec::new();
        let mut sink = |loss| losses.push(loss);
        // 8 bytes, then 3 bytes that touch two parts: 12 bytes of 64 in three accesses.
        uses.read(0x1000, 8, 7, &mut sink);
        uses.read(0x1009, 3, 8, &mut sink);
        uses.write(0x1001, 1, 9, &mut sink);
        for address in [0x1100, 0x1200] {
            uses.read(address, 64, 9, &mut sink);
        }
        assert_eq!(losses, [loss(7, false, 333, 52)]);
    }

    #[test]
    fn the_last_level_has_what_the_first_one_used() {
        let mut uses = uses();
        let mut losses = Vec::new();
        uses.fetch(0x1000, 4, 1, &mut |loss| losses.push(loss));
        uses.read(0x1020, 32, 2, &mut |loss| losses.push(loss));
        uses.finish(&mut |loss| losses.push(loss));
        // Loaded by 1, used by both: once for each.
        assert_eq!(losses, [loss(1, false, 1000, 60), loss(2, false, 1000, 32), loss(1, true, 500, 28)]);
        losses.clear();
        uses.finish(&mut |loss| losses.push(loss));
        assert_eq!(losses, []);
        let first = uses.read(0, 8, 1, &mut |loss| losses.push(loss));
        assert!(first.contains(Event::DLmr) && losses.is_empty(), "an empty place is not line 0");
    }

    #[test]
    fn an_access_of_two_lines_counts_at_both() {
        use Event::*;
        let mut uses = uses();
        let mut losses = Vec::new();
        let mut sink = |loss| losses.push(loss);
        assert_eq!(uses.fetch(0x103c, 1, 1, &mut sink), Events::of(&[Ir, I1mr, ILmr]));
        assert_eq!(uses.read(0x103c, 8, 2, &mut sink), Events::of(&[Dr, D1mr, DLmr]));
        assert_eq!(uses.modify(0x107e, 4, 3, &mut sink), Events::of(&[Dw, D1mw, DLmw]));
        assert_eq!(uses.read(0x1040, 1, 3, &mut sink), Events::of(&[Dr]));
        uses.finish(&mut sink);
        losses.retain(|loss| !loss.last_level);
        let expected = [loss(1, false, 1000, 62), loss(2, false, 1000, 60), loss(2, false, 333, 58)];
        assert_eq!(losses[..3], expected);
        assert_eq!(losses[3..], [loss(3, false, 1000, 62)]);
    }
}

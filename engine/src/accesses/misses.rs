//! Models that emitted code looks at: the first level and the predictors of each thread, and what the engine does about misses.
//!
//! A thread's models lie behind its context (`translate::models`). What misses the first level is put down, and told to the last level, which is the
//! process's, a thousand at a time, or before anything is to be told of it: so threads take turns there. What always holds: the misses of
//! a thread come to the last level in their order. Not here: logs (`super`), which only what depends on more than general registers is in.
//!
//! # Safety
//! `unsafe` here reads and writes the models behind a thread's context, at the distances that [`Models`] gives: all of it is mapped
//! (`threads::create`), zero is valid for all of its types, and only the thread itself uses it, in emitted code or here, or whoever has stopped it.
#![allow(unsafe_code, reason = "memory that emitted code changes")]

use crate::context::{Context, Thread};
use crate::space::PAGE;
use crate::state::{Engine, engine};
use crate::sys;
use alloc::collections::BTreeMap;
use models::{Caches, Counts, Event, Lent};
use simulation::Touch;
use translate::frames::{self, MOST_NODES, OTHER_SPENT, SPENT_BYTES};
use translate::models::{Models, STEPS, Site, Which, place};
use translate::references::Kind;

/// The models of a thread.
#[derive(Debug)]
pub struct Memory {
    /// Where they begin.
    at: u64,
    models: Models,
}

const DONTNEED: u64 = 4;

/// What is spent, by number.
const SPENT: [Event; 6] = [Event::Dr, Event::Dw, Event::Bc, Event::Bi, Event::Bcm, Event::Bim];

impl Memory {
    /// Of a thread whose context is at this address, if there are models.
    pub fn of(engine: &Engine, context: u64) -> Option<Memory> {
        let models = engine.options.models?;
        Some(Memory { at: context + u64::from(models.base), models })
    }

    /// Of a thread that has executed nothing. `again`: its memory was another one's.
    pub fn begin(&mut self, again: bool) {
        if again {
            let spent = self.models.spent.unwrap_or(self.models.end());
            let (start, end) = (self.at, self.at + u64::from(self.models.end() - self.models.base));
            let pages = (self.at + u64::from(spent - self.models.base)).next_multiple_of(PAGE);
            // SAFETY: see the head of this file. What is spent is too much to be touched; behind it the page of the log begins.
            unsafe {
                core::ptr::write_bytes(start as *mut u8, 0, (pages.min(end) - start) as usize);
                if pages < end {
                    sys::call(sys::nr::MADVISE, &[pages, end.next_multiple_of(PAGE) - pages, DONTNEED]);
                }
            }
        }
        let [next, wrong] = [&STEPS[..8], &STEPS[8..]]
            .map(|steps| steps.iter().rev().fold(0u64, |word, step| word << 8 | u64::from(*step)));
        *self.word(place::STEPS) = next;
        *self.word(place::STEPS + 8) = wrong;
    }

    fn word(&mut self, distance: u32) -> &mut u64 {
        // SAFETY: see the head of this file; the distances are multiples of 8.
        unsafe { &mut *((self.at + u64::from(distance)) as *mut u64) }
    }

    fn byte(&mut self, distance: u32) -> &mut u8 {
        // SAFETY: see the head of this file.
        unsafe { &mut *((self.at + u64::from(distance)) as *mut u8) }
    }

    fn level(&mut self, which: Which) -> Option<Lent<'_>> {
        let level = *self.models.level(which)?;
        let context = self.at - u64::from(self.models.base);
        let (sets, stride) = (level.shape.sets as usize, 1 << level.stride_bits() >> 3);
        // SAFETY: see the head of this file.
        let lines = unsafe {
            core::slice::from_raw_parts_mut((context + u64::from(level.sets)) as *mut u64, sets * stride)
        };
        let (line_bits, ways) = (level.shape.line_bits, level.shape.ways as usize);
        Some(Lent { line_bits, sets, ways, stride, lines })
    }

    /// What is spent in a context, on one of its sides: a quadword. `at`: as [`frames::CURRENT`] has it.
    fn spent(&mut self, at: u64, number: u32) -> Option<&mut u64> {
        let context = self.at - u64::from(self.models.base);
        let place = context + u64::from(self.models.spent?) + at % u64::from(SPENT_BYTES * MOST_NODES);
        // SAFETY: see the head of this file.
        Some(unsafe { &mut *((place + u64::from(8 * number)) as *mut u64) })
    }

    /// Where what is spent goes.
    fn current(&self) -> u64 {
        let context = self.at - u64::from(self.models.base);
        // SAFETY: see the head of this file; where contexts are known, frames lie there, too.
        self.models.spent.map_or(0, |_| unsafe { *((context + u64::from(frames::CURRENT)) as *const u64) })
    }

    /// Spends more, or less, by [`translate::models::Costs`].
    pub fn spend(&mut self, costs: [i64; 4]) {
        let current = self.current();
        for (number, times) in (0..).zip(costs) {
            if let Some(spent) = self.spent(current, number) {
                *spent = spent.wrapping_add_signed(times);
            }
        }
    }

    /// Takes what was spent in a context, by its number, and forgets what was spent and not collected.
    pub fn take_spent(&mut self, context: u32) -> Counts {
        let mut counts = Counts::default();
        let first = u64::from(context) * u64::from(SPENT_BYTES);
        for (number, event) in (0..).zip(SPENT) {
            if let Some(spent) = self.spent(first, number) {
                counts[event] = core::mem::take(spent);
            }
            if let Some(spent) = self.spent(first + u64::from(OTHER_SPENT), number) {
                *spent = 0;
            }
        }
        counts
    }

    /// A conditional branch; says whether it was mispredicted.
    fn mispredicts(&mut self, pc: u64, taken: bool) -> bool {
        let history = *self.byte(place::HISTORY);
        let state = self.byte(place::STATES + 256 * (pc as u32 & 127) + u32::from(history));
        let step = usize::from(*state & 3) * 2 + usize::from(taken);
        *state = STEPS[step];
        *self.byte(place::HISTORY) = (history | u8::from(taken)) << 1;
        STEPS[8 + step] != 0
    }
}

/// What an access that emitted code looks at models for has missed. By its number in the cache (`cache::sites`).
#[derive(Debug)]
pub struct Costs {
    site: Site,
    /// Misses of the first level, and of the last one.
    missed: [u64; 2],
}

impl Costs {
    /// Nothing yet.
    pub fn of(site: Site) -> Costs {
        Costs { site, missed: [0; 2] }
    }

    /// Its events of these misses.
    fn events(&self) -> [(Event, u64); 2] {
        let [first, last] = self.missed;
        let (of_first, of_last) = misses_of(self.site.kind);
        [(of_first, first), (of_last, last)]
    }
}

fn misses_of(kind: Option<Kind>) -> (Event, Event) {
    match kind {
        None => (Event::I1mr, Event::ILmr),
        Some(Kind::Read) => (Event::D1mr, Event::DLmr),
        Some(Kind::Write | Kind::Modify) => (Event::D1mw, Event::DLmw),
    }
}

/// What a process has of models that emitted code looks at.
pub struct Misses {
    /// Of which the last level is used.
    pub caches: Caches,
    /// What instructions have cost that is known by their address: of code that is gone, and what was told of in logs.
    pub costs: BTreeMap<u64, Counts>,
}

impl Misses {
    /// Adds to an instruction's.
    pub fn add(&mut self, pc: u64, event: Event, times: u64) {
        if times != 0 {
            let counts = self.costs.entry(pc).or_default();
            counts[event] = counts[event].wrapping_add(times);
        }
    }

    /// Begins anew.
    pub fn clear_costs(&mut self, sites: &mut [Costs]) {
        self.costs.clear();
        sites.iter_mut().for_each(|site| site.missed = [0; 2]);
    }

    /// Takes the misses of sites, which begin anew.
    pub fn take(&mut self, sites: &mut [Costs]) {
        for site in sites {
            for (event, times) in site.events() {
                self.add(site.site.pc, event, times);
            }
            site.missed = [0; 2];
        }
    }

    /// What an instruction has done that is told of in the log. Returns the events that count, but for accesses themselves.
    pub fn touch(&mut self, memory: &mut Memory, what: Touch, counts: bool) -> Counts {
        let mut events = Counts::default();
        let (pc, events) = match what {
            Touch::Branch { pc, taken } => {
                if memory.models.branches {
                    let wrong = memory.mispredicts(pc, taken);
                    (events[Event::Bc], events[Event::Bcm]) = (1, wrong.into());
                }
                (pc, events)
            }
            Touch::Learnt { pc, times } => {
                events[Event::Bc] = if memory.models.branches { times } else { 0 };
                (pc, events)
            }
            Touch::Access { pc, kind, size, address } => {
                let span = memory.models.span(size.into());
                let hit = memory.level(Which::Data).is_none_or(|mut level| level.uses(address, span));
                if !hit {
                    let (first, last) = misses_of(Some(kind));
                    events[first] = 1;
                    events[last] = self.caches.misses_last(address, span).into();
                }
                (pc, events)
            }
        };
        if !counts || events == Counts::default() {
            return Counts::default();
        }
        *self.costs.entry(pc).or_default() += events;
        events
    }
}

/// Tells the last level of what a thread has put down, which counts or does not; `spend` is told of the events in each context.
pub fn tell_last(engine: &Engine, memory: &mut Memory, counts: bool, mut spend: impl FnMut(u32, Counts)) {
    let count = *memory.word(place::MISSES) as u32;
    if count == 0 {
        return;
    }
    *memory.word(place::MISSES) = 0;
    let mut accesses = engine.accesses.lock();
    let Some(misses) = accesses.as_mut().and_then(|models| models.misses.as_mut()) else { return };
    let mut cache = engine.cache.lock();
    for number in 0..count.min(place::MOST_MISSES) {
        let at = place::MISSED + place::MISS_BYTES * number;
        let (address, what, spent) = (*memory.word(at), *memory.word(at + 8), *memory.word(at + 16));
        let missed = misses.caches.misses_last(address, (what >> 32) as u8);
        if counts && let Some(site) = cache.site(what as u32) {
            site.missed[0] += 1;
            site.missed[1] += u64::from(missed);
            if memory.models.spent.is_some() {
                let (first, last) = misses_of(site.site.kind);
                let mut events = Counts::default();
                (events[first], events[last]) = (1, missed.into());
                spend((spent / u64::from(SPENT_BYTES)) as u32, events);
            }
        }
    }
}

/// What emitted code calls, through a stub, when there is room for no other miss.
pub extern "C" fn accessed(context: *mut Context) {
    let engine = engine();
    // SAFETY: the calling thread's, whose first field the context is.
    let thread = unsafe { &mut *context.cast::<Thread>() };
    crate::calls::tell_misses(engine, thread);
}

/// Whether a thread that was interrupted at this address of a stub has been answered, and goes on where `CONTINUE` leads.
pub fn is_answered(engine: &Engine, code: u64) -> bool {
    (engine.stubs.access_epilogue..engine.stubs.access_answered).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use models::{Branches, Geometry, Options, Shapes};
    use translate::models::Shape;

    const GEOMETRY: (u32, u32, u32) = (512, 2, 64);

    fn memory(room: &mut Vec<u64>) -> Memory {
        let shape = Shape { line_bits: 6, sets: 4, ways: 2 };
        let models = Models::new(0x1000, Some([shape; 2]), true, 64, false);
        room.resize(models.end() as usize / 8, 1);
        let mut memory = Memory { at: room.as_ptr() as u64 + u64::from(models.base), models };
        memory.begin(true);
        memory
    }

    fn misses() -> Misses {
        let (size, ways, line) = GEOMETRY;
        let small = Geometry::new(size, ways, line).unwrap();
        let shapes = Shapes { i1: small, d1: small, ll: Geometry::new(4096, 4, 64).unwrap() };
        Misses { caches: Caches::new(&shapes, Options::default()).unwrap(), costs: BTreeMap::new() }
    }

    #[test]
    fn what_is_told_of_in_the_log_costs_what_the_models_say() {
        let (mut room, mut ours) = (Vec::new(), misses());
        let mut memory = memory(&mut room);
        let (mut caches, mut branches) = (misses().caches, Branches::new());
        let mut counts = Counts::default();
        let mut state = 88_172_645_463_325_252u64;
        for step in 0..20_000u64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (address, size) = (state >> 20 & 0xfff, 1 + (state % 40) as u16);
            let events = match step % 4 {
                0 => {
                    let taken = state & 1 << 50 != 0;
                    ours.touch(&mut memory, Touch::Branch { pc: address, taken }, true);
                    branches.conditional(address, taken)
                }
                kind => {
                    let kind = [Kind::Read, Kind::Write, Kind::Modify][kind as usize - 1];
                    ours.touch(&mut memory, Touch::Access { pc: 7, kind, size, address }, true);
                    match kind {
                        Kind::Read => caches.read(address, size.into()),
                        Kind::Write => caches.write(address, size.into()),
                        Kind::Modify => caches.modify(address, size.into()),
                    }
                }
            };
            counts += events;
        }
        let total = |event: Event| ours.costs.values().map(|counts| counts[event]).sum::<u64>();
        use Event::*;
        for event in [D1mr, D1mw, DLmr, DLmw, Bc, Bcm] {
            assert_eq!(total(event), counts[event], "{}", event.name());
            assert_ne!(total(event), 0);
        }
    }

    #[test]
    fn what_is_not_collected_costs_nothing_but_is_seen() {
        let (mut room, mut misses) = (vec![], misses());
        let mut memory = memory(&mut room);
        let read = Touch::Access { pc: 1, kind: Kind::Read, size: 8, address: 0x1000 };
        misses.touch(&mut memory, read, false);
        misses.touch(&mut memory, Touch::Branch { pc: 1, taken: true }, false);
        assert!(misses.costs.is_empty());
        misses.touch(&mut memory, read, true);
        assert!(misses.costs.is_empty(), "it is there by now");
    }
}

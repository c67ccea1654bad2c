//! The engine's part of models that emitted code looks at: as the engine does it (`accesses::misses` there), but that it is asked
//! after a few misses, not after a thousand.

use super::super::puppet::{Puppet, get_gprs, set_gprs};
use super::super::reference::shapes;
use super::{HELPER, LOG, Runtime};
use models::{Caches, Event, Lent, Shapes};
use simulation::{Simulation, Thread, Touch};
use std::collections::BTreeMap;
use translate::accesses::Bases;
use translate::models::{Level, Models, STEPS, Shape, Site, Which, place};
use translate::references::Kind;
use translate::{frames, layout};

/// As many misses have been put down when a program begins, and after each time that these were told.
const FIRST: u64 = place::MOST_MISSES as u64 - 3;
/// What a register holds that the engine's compiled code has used.
const USED: u64 = 0xdead_dead_dead_dead;

/// What is known of models, and has been told.
pub struct Looked {
    pub models: Models,
    shapes: Shapes,
    pub(super) sites: Vec<Site>,
    /// Misses and, of branches that the processor does not have, mispredictions, by pc.
    pub events: BTreeMap<(u64, Event), u64>,
    /// Of which the last level is used.
    caches: Caches,
    simulation: Simulation,
    thread: Thread,
    /// How often the engine was asked when the log of misses was full.
    pub asked: u64,
}

impl Looked {
    pub(super) fn new(number: u64) -> Looked {
        let shapes = shapes(number as usize);
        let shape = |geometry: models::Geometry| Shape {
            line_bits: geometry.line().ilog2(),
            sets: geometry.sets(),
            ways: geometry.ways(),
        };
        let caches = Caches::new(&shapes, models::Options::default()).unwrap();
        let both = Some([shape(shapes.i1), shape(shapes.d1)]);
        Looked {
            models: Models::new(frames::BEHIND, both, true, caches.access_max(), true),
            shapes,
            sites: Vec::new(),
            events: BTreeMap::new(),
            caches,
            simulation: Simulation::new(&shapes, simulation::Models::default()).unwrap(),
            thread: Thread::default(),
            asked: 0,
        }
    }

    fn add(&mut self, pc: u64, event: Event) {
        *self.events.entry((pc, event)).or_default() += 1;
    }

    /// What has missed the first level goes to the last one.
    fn missed(&mut self, pc: u64, kind: Option<Kind>, address: u64, span: u8) {
        let (first, last) = match kind {
            None => (Event::I1mr, Event::ILmr),
            Some(Kind::Read) => (Event::D1mr, Event::DLmr),
            Some(_) => (Event::D1mw, Event::DLmw),
        };
        self.add(pc, first);
        if self.caches.misses_last(address, span) {
            self.add(pc, last);
        }
    }
}

impl Runtime {
    /// A program begins, whose thread has seen nothing.
    pub(super) fn begin_models(&mut self) {
        let models = self.looked.models;
        let at = self.context(models.base);
        // All is spent in one context.
        let end = models.spent.map_or(models.end(), |spent| spent + frames::SPENT_BYTES);
        self.memory.bytes_mut(at, (end - models.base) as usize).fill(0);
        self.set_slot(frames::CURRENT, 0);
        self.memory.write(at + u64::from(place::STEPS), &STEPS);
        self.set_slot(models.base + place::MISSES, FIRST);
        self.looked.sites.clear();
        self.looked.events.clear();
        self.looked.caches.clear();
        self.looked.simulation = Simulation::new(&self.looked.shapes, simulation::Models::default()).unwrap();
        self.looked.thread = Thread::default();
    }

    /// Tells the last level of what has been put down.
    fn tell_last(&mut self) {
        let base = self.looked.models.base;
        let count = self.slot(base + place::MISSES);
        for number in FIRST..count {
            let at = base + place::MISSED + place::MISS_BYTES * number as u32;
            assert_eq!(self.slot(at + 16), self.slot(frames::CURRENT));
            let (address, what) = (self.slot(at), self.slot(at + 8));
            let Site { pc, kind } = self.looked.sites[what as u32 as usize];
            self.looked.missed(pc, kind, address, (what >> 32) as u8);
        }
        self.set_slot(base + place::MISSES, FIRST);
    }

    /// All events that were told, after the program's end.
    #[allow(dead_code, reason = "not every suite looks at each")]
    pub fn model_events(&mut self) -> &BTreeMap<(u64, Event), u64> {
        self.tell_last();
        &self.looked.events
    }

    /// What emitted code has spent by context: reads, writes, conditional and indirect branches, and how many of these were mispredicted.
    #[allow(dead_code, reason = "not every suite looks at each")]
    pub fn spent(&self) -> [u64; 6] {
        let spent = self.looked.models.spent.unwrap();
        std::array::from_fn(|number| self.slot(spent + 8 * number as u32))
    }

    /// Lines of a cache by sets, each in the order of their last use.
    pub fn lines(&self, which: Which) -> Vec<u64> {
        let level = self.level(which);
        let words = level.shape.sets << level.stride_bits() >> 3;
        (0..words).map(|word| self.slot(level.sets + 8 * word)).collect()
    }

    fn level(&self, which: Which) -> Level {
        *self.looked.models.level(which).unwrap()
    }

    /// The dispatcher was entered with `EXIT_CALL`.
    pub(super) fn asked(&mut self, what: u32) {
        if what == layout::NOTHING {
            assert_eq!(self.slot(layout::PENDING), 1, "nothing was pending");
            return self.set_slot(layout::PENDING, 0);
        }
        assert_eq!(what, layout::LOGGED);
        self.tell_last();
        let (start, end) = (self.base() + LOG, self.slot(layout::LOG));
        let log: Vec<u64> = (start..end).step_by(8).map(|at| self.region.u64(at)).collect();
        self.set_slot(layout::LOG, start);
        // Not told of in the log, where there are models.
        self.looked.thread.bases = Bases { fs: self.slot(layout::GUEST_FS), gs: self.slot(layout::GUEST_GS) };
        let Looked { simulation, thread, .. } = &mut self.looked;
        for form in &self.forms[simulation.runs()..] {
            simulation.add(form.clone());
        }
        let mut touches = Vec::new();
        let done = simulation.follow_touching(thread, &log, Some(&mut |touch| touches.push(touch)));
        assert_eq!(done, log.len(), "there are no calls in it");
        touches.into_iter().for_each(|touch| self.touch(touch));
    }

    fn touch(&mut self, touch: Touch) {
        match touch {
            Touch::Access { pc, kind, size, address } => {
                let Level { shape, sets } = self.level(Which::Data);
                let mut lines = self.lines(Which::Data);
                let mut lent = Lent {
                    line_bits: shape.line_bits,
                    sets: shape.sets as usize,
                    ways: shape.ways as usize,
                    stride: lines.len() / shape.sets as usize,
                    lines: &mut lines,
                };
                let span = self.looked.models.span(size.into());
                let hit = lent.uses(address, span);
                for (word, line) in (0..).zip(lines) {
                    self.set_slot(sets + 8 * word, line);
                }
                if !hit {
                    self.looked.missed(pc, Some(kind), address, span);
                }
            }
            Touch::Learnt { .. } => (),
            Touch::Branch { pc, taken } => {
                let base = self.context(self.looked.models.base);
                let history = base + u64::from(place::HISTORY);
                let before = self.memory.bytes(history, 1)[0];
                let state = base + u64::from(place::STATES) + 256 * (pc & 127) + u64::from(before);
                let step = 2 * usize::from(self.memory.bytes(state, 1)[0]) + usize::from(taken);
                self.memory.write(state, &[STEPS[step]]);
                self.memory.write(history, &[(before | u8::from(taken)) << 1]);
                if STEPS[8 + step] != 0 {
                    self.looked.add(pc, Event::Bcm);
                }
            }
        }
    }

    /// Whether the child stands at the function that emitted code calls when there is no room for another miss.
    pub fn at_helper(&self, pc: u64) -> bool {
        pc == self.base() + HELPER
    }

    /// What that function does: every other time something is pending afterwards.
    pub fn help(&mut self, puppet: &Puppet) {
        let (mut regs, mut xstate) = (puppet.regs(), puppet.xstate());
        assert_eq!(self.slot(layout::STATE) as u32, layout::STATE_ENGINE);
        assert_eq!(regs.rdi, self.context(0), "it is given the context");
        assert_eq!(regs.rsp % 16, 8, "the stack is not aligned");
        assert_eq!(regs.eflags & 0x4_0400, 0, "the engine runs with DF and AC clear");
        assert_eq!(self.slot(self.looked.models.base + place::MISSES), u64::from(place::MOST_MISSES));
        self.tell_last();
        self.looked.asked += 1;
        self.set_slot(layout::PENDING, self.looked.asked % 2);
        const CHANGED: [usize; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];
        let mut general = get_gprs(&regs);
        CHANGED.into_iter().for_each(|register| general[register] = USED);
        set_gprs(&mut regs, &general);
        regs.eflags ^= 0x8d5;
        regs.rip = self.region.u64(regs.rsp);
        regs.rsp += 8;
        puppet.set_regs(&regs);
        const SSE_IN_USE: (usize, u8) = (512, 2);
        xstate[160..416].fill(0xa5);
        xstate[SSE_IN_USE.0] |= SSE_IN_USE.1;
        puppet.set_xstate(&xstate);
    }
}

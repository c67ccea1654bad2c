//! From logs of data accesses to the events of models: what `translate::accesses` has emitted code put down, worked out and fed
//! to `models`, run by run. And logs made small, to be kept for other models ([`packed`]).
//!
//! Pure: words in, events out. The engine does so while the program runs; who has the logs can do it again with other models.
//! What always holds: the runs of a log are simulated in their order, each whole or up to where the thread was interrupted, and a
//! branch is told to its predictor when it is known where it led. Several threads share the models, and take turns by as much as
//! is followed at once. Words that make no sense end a log; nothing panics.
//!
//! Not here: where logs come from; calls, whose events stand in the same log ([`Simulation::follow`] stops at them).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod packed;
mod run;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;
use models::{
    Branches, Caches, Changes, Counts, Event, Events, LEARNT, LineTooShort, Modify, Operand, Repeat, Shapes,
    Sink,
};
use run::{Hot, Run};
use translate::accesses::{Access, Bases, Form, Head, Rounds};
use translate::references::Kind;
use translate::references::branch::Artificial;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Models {
    /// Caches; without, accesses are counted.
    pub caches: bool,
    /// Predictors of branches.
    pub branches: bool,
    /// The last level writes back.
    pub write_back: bool,
    /// Streams are prefetched into the last level.
    pub prefetch: bool,
}

impl Models {
    /// Whether it counts these events.
    pub fn count(&self, event: Event) -> bool {
        use Event::*;
        match event {
            Ir | Dr | Dw => true,
            I1mr | D1mr | D1mw | ILmr | DLmr | DLmw => self.caches,
            ILdmr | DLdmr | DLdmw => self.write_back,
            Bc | Bcm | Bi | Bim => self.branches,
            AcCost1 | SpLoss1 | AcCost2 | SpLoss2 => false,
        }
    }
}

/// What depends on more than general registers, for who has the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// An access.
    Access {
        /// Of the instruction.
        pc: u64,
        /// What it does.
        kind: Kind,
        /// Bytes.
        size: u16,
        /// Of the first byte.
        address: u64,
    },
    /// A branch that the processor does not have.
    Branch {
        /// Of the instruction.
        pc: u64,
        /// It is taken.
        taken: bool,
    },
    /// More branches of this kind, which predictors are right about, and learn nothing from.
    Learnt {
        /// Of the instruction.
        pc: u64,
        /// How many.
        times: u64,
    },
}

/// Where the log of a thread stands.
#[derive(Debug, Clone, Copy)]
pub struct Thread {
    /// What it does counts; the models see it in any case.
    pub collects: bool,
    /// The run whose branch has not led anywhere yet.
    branched: Option<u32>,
    /// The bases of its segments.
    pub bases: Bases,
}

impl Default for Thread {
    fn default() -> Thread {
        Thread { collects: true, branched: None, bases: Bases::default() }
    }
}

/// The models, what is known of runs, and what they have cost.
pub struct Simulation {
    models: Models,
    caches: Caches,
    branches: Branches,
    /// What is needed of a run each time, by its number, and all else.
    hot: Vec<Hot>,
    runs: Vec<Run>,
    /// The accesses of all runs, and their spans.
    accesses: Vec<(Access, u8)>,
    /// Of the run that is being simulated.
    addresses: Vec<u64>,
    /// All events since this was asked for last; in the second place those that do not count.
    spent: [Counts; 2],
    /// Those that each execution of a run has, two in a word: see [`run::EACH`]. Asked for at the end of each log, which is too short
    /// for 2^32 of them.
    each: [u64; 2],
    /// Counts how often costs were forgotten. A forked child does so first, and is not to touch all of its parent's memory.
    generation: u32,
}

/// Where events go: to their instruction, and to what was spent in all.
struct Both<'a> {
    costs: &'a mut [Counts],
    spent: &'a mut Counts,
}

impl<'a> Both<'a> {
    /// Of what does not count, nowhere.
    fn of(thread: &Thread, costs: &'a mut [Counts], spent: &'a mut [Counts; 2]) -> Both<'a> {
        let [spent, nowhere] = spent;
        if thread.collects { Both { costs, spent } } else { Both { costs: &mut [], spent: nowhere } }
    }

    /// Of one event many. A log from elsewhere may hold any number.
    fn add_times(&mut self, instruction: usize, event: Event, times: u64) {
        for sum in self.costs.get_mut(instruction).into_iter().chain([&mut *self.spent]) {
            sum[event] = sum[event].wrapping_add(times);
        }
    }
}

impl Sink for Both<'_> {
    fn add(&mut self, instruction: usize, events: Events) {
        self.costs.add(instruction, events);
        *self.spent += events;
    }
}

impl Simulation {
    /// Models of these shapes, and no runs.
    ///
    /// # Errors
    /// If a register does not fit into a line.
    pub fn new(shapes: &Shapes, models: Models) -> Result<Simulation, LineTooShort> {
        let Models { write_back, prefetch, .. } = models;
        let options = models::Options { modify: Modify::Write, write_back, prefetch };
        Ok(Simulation {
            models,
            caches: Caches::new(shapes, options)?,
            branches: Branches::new(),
            hot: Vec::new(),
            runs: Vec::new(),
            accesses: Vec::new(),
            addresses: Vec::new(),
            spent: [Counts::default(); 2],
            each: [0; 2],
            generation: 0,
        })
    }

    /// The next run, by number.
    pub fn add(&mut self, form: Form) {
        let run = Run::new(form, &self.caches);
        self.hot.push(Hot::new(&run, self.accesses.len(), self.models.branches));
        self.accesses.extend(run.form.accesses.iter().copied().zip(run.segment.spans()));
        self.runs.push(run);
    }

    /// How many runs were added.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Works through a log up to a call or return, or to its end. The words that it was.
    pub fn follow(&mut self, thread: &mut Thread, log: &[u64]) -> usize {
        self.follow_touching(thread, log, None)
    }

    /// The same; `touch` is told of what depends on more than general registers, where the models are not this one's.
    pub fn follow_touching(
        &mut self,
        thread: &mut Thread,
        log: &[u64],
        mut touch: Option<&mut dyn FnMut(Touch)>,
    ) -> usize {
        let mut rest = log;
        while let Some(&word) = rest.first() {
            let (number, part) = match Head::of(word) {
                Head::Whole(number) => (number, None),
                Head::Partly(number, bytes) => (number, Some(bytes)),
                Head::GoesOn(pc) => {
                    self.led_to(thread, pc);
                    rest = &rest[1..];
                    continue;
                }
                Head::Call => break,
            };
            let Some(&Hot { words, start, .. }) = self.hot.get(number as usize) else { return log.len() };
            let Some((record, behind)) = rest.split_at_checked(words.into()) else { return log.len() };
            self.led_to(thread, start);
            match part {
                None => self.run(thread, number, record, &mut touch),
                Some(bytes) => self.run_partly(thread, number, bytes, record),
            }
            rest = behind;
        }
        log.len() - rest.len()
    }

    /// Tells the predictors where the last branch has led.
    #[inline]
    fn led_to(&mut self, thread: &mut Thread, pc: u64) {
        if let Some(number) = thread.branched.take() {
            let Run { segment, costs, .. } = begun(&mut self.hot, &mut self.runs, number, self.generation);
            self.branches.run(segment, pc, &mut Both::of(thread, costs, &mut self.spent));
        }
    }

    #[inline]
    fn run(
        &mut self,
        thread: &mut Thread,
        number: u32,
        record: &[u64],
        touch: &mut Option<&mut dyn FnMut(Touch)>,
    ) {
        let hot = &mut self.hot[number as usize];
        if hot.generation != self.generation {
            begun(&mut self.hot, &mut self.runs, number, self.generation);
        }
        let hot = &mut self.hot[number as usize];
        if thread.collects {
            hot.executions += 1;
            self.each[0] += hot.each[0];
            self.each[1] += hot.each[1];
        }
        if hot.branches {
            thread.branched = Some(number);
        }
        if hot.is_rare {
            if let Some(touch) = touch {
                touched(&self.runs[number as usize], record, thread.bases, self.caches.changes(), touch);
            }
            return self.run_rare(thread, number, record);
        }
        if !self.models.caches {
            return;
        }
        let (first, count) = hot.accesses;
        let accesses = &self.accesses[first as usize..][..count as usize];
        let addresses = accesses.iter().map(|(access, span)| (access.address(record, thread.bases), *span));
        if let Err(done) = self.caches.run_hits(hot.lines, addresses) {
            self.run_rest(thread, number, done, record);
        }
    }

    /// A run that misses somewhere, or takes what it needs from elsewhere than it lay last.
    fn run_rest(&mut self, thread: &Thread, number: u32, done: Option<usize>, record: &[u64]) {
        let run = &mut self.runs[number as usize];
        let (form, bases) = (&run.form, thread.bases);
        self.addresses.clear();
        self.addresses.extend(form.accesses.iter().map(|access| access.address(record, bases)));
        let mut sink = Both::of(thread, &mut run.costs, &mut self.spent);
        self.caches.run_rest(&run.segment, done, &self.addresses, &mut sink);
    }

    /// A run with branches where the processor has none, that sets a segment's base, or whose accesses depend on more than general
    /// registers.
    #[cold]
    fn run_rare(&mut self, thread: &mut Thread, number: u32, record: &[u64]) {
        let run = &mut self.runs[number as usize];
        if self.models.branches && run.is_artificial {
            artificial(run, record, thread, &mut self.branches, &mut self.spent);
        }
        rare(run, record, thread, self.models.caches.then_some(&mut self.caches), &mut self.spent);
    }

    /// The instructions of a run that begin in front of a byte of it.
    #[cold]
    fn run_partly(&mut self, thread: &mut Thread, number: u32, bytes: u16, record: &[u64]) {
        let Run { form, costs, .. } = begun(&mut self.hot, &mut self.runs, number, self.generation);
        let mut sink = Both::of(thread, costs, &mut self.spent);
        let done = form.pieces.iter().take_while(|piece| piece.offset < bytes);
        for (i, piece) in done.enumerate() {
            let pc = form.start.wrapping_add(piece.offset.into());
            if self.models.caches {
                sink.add(i, self.caches.fetch(pc, piece.length.into()));
            } else {
                sink.add(i, Events::of(&[Event::Ir]));
            }
            for access in form.accesses.iter().filter(|access| usize::from(access.instruction) == i) {
                let address = form.address(access, record, thread.bases);
                let caches = self.models.caches.then_some(&mut self.caches);
                sink.add(i, accessed(caches, access.kind, access.size, address));
            }
        }
    }

    /// What each instruction has cost that was told of, by its address, and how often it was executed; one that is in several runs
    /// comes several times.
    pub fn costs(&self) -> impl Iterator<Item = (u64, Counts)> {
        let counted = |(_, hot): &(_, &Hot)| hot.generation == self.generation;
        self.runs.iter().zip(&self.hot).filter(counted).flat_map(|(run, hot)| run.total(hot.executions))
    }

    /// All events since this was asked last: what is to be spent for whatever was going on.
    pub fn take_spent(&mut self) -> Counts {
        let mut spent = core::mem::take(&mut self.spent[0]);
        let halves = core::mem::take(&mut self.each).map(|both| [both & u64::from(u32::MAX), both >> 32]);
        for (event, times) in run::EACH.into_iter().zip(halves.as_flattened()) {
            spent[event] += times;
        }
        spent
    }

    /// A copy, for which nothing has been counted yet.
    pub fn fork(&self) -> Simulation {
        let mut fork = Simulation {
            caches: self.caches.clone(),
            branches: self.branches.clone(),
            hot: self.hot.clone(),
            runs: self.runs.iter().map(Run::fork).collect(),
            accesses: self.accesses.clone(),
            addresses: Vec::new(),
            ..*self
        };
        fork.clear_costs();
        fork
    }

    /// Forgets what was counted, but not the state of the models.
    pub fn clear_costs(&mut self) {
        self.generation += 1;
    }
}

/// A run of which something is about to be counted: what was forgotten since is cleared now.
fn begun<'a>(hot: &mut [Hot], runs: &'a mut [Run], number: u32, generation: u32) -> &'a mut Run {
    let (hot, run) = (&mut hot[number as usize], &mut runs[number as usize]);
    if hot.generation != generation {
        (hot.generation, hot.executions) = (generation, 0);
        if run.costs.is_empty() {
            run.costs = vec![Counts::default(); run.form.pieces.len()].into_boxed_slice();
        }
        run.costs.fill(Counts::default());
    }
    run
}

/// The events of an access.
fn accessed(caches: Option<&mut Caches>, kind: Kind, size: u16, address: u64) -> Events {
    let size = size.into();
    match (caches, kind) {
        (Some(caches), Kind::Read) => caches.read(address, size),
        (Some(caches), Kind::Write) => caches.write(address, size),
        (Some(caches), Kind::Modify) => caches.modify(address, size),
        (None, Kind::Read) => Events::of(&[Event::Dr]),
        (None, Kind::Write | Kind::Modify) => Events::of(&[Event::Dw]),
    }
}

/// Tells of what a run touches whose only instruction has accesses that depend on more than general registers.
#[cold]
fn touched(run: &Run, record: &[u64], bases: Bases, changes: Changes, touch: &mut dyn FnMut(Touch)) {
    let form = &run.form;
    let Some(piece) = form.pieces.first() else { return };
    let pc = form.start.wrapping_add(piece.offset.into());
    let rounds = form.rounds(record);
    // An exchange has its branch in each execution, as others have.
    let artificial = piece.artificial.filter(|artificial| *artificial != Artificial::Exchange);
    rounds_of(artificial, rounds, |outcome| match outcome {
        Outcome::Is(taken) => touch(Touch::Branch { pc, taken }),
        Outcome::Learnt(times) => touch(Touch::Learnt { pc, times }),
    });
    let Some(rounds) = rounds else {
        form.special(record, bases, |kind, size, address| {
            touch(Touch::Access { pc, kind, size, address });
        });
        return;
    };
    let operands = operands(form, record, bases);
    repeat(&operands, rounds).accesses(changes, |operand, address| {
        let kind = if operand.written { Kind::Write } else { Kind::Read };
        touch(Touch::Access { pc, kind, size: operand.size as u16, address });
    });
}

/// What a repeated string instruction accesses in its first round.
fn operands(form: &Form, record: &[u64], bases: Bases) -> Vec<Operand> {
    let mut operands = Vec::new();
    form.special(record, bases, |kind, size, address| {
        operands.push(Operand { address, size: size.into(), written: kind != Kind::Read });
    });
    operands
}

fn repeat(operands: &[Operand], rounds: Rounds) -> Repeat<'_> {
    let size = operands.first().map_or(0, |operand| i64::from(operand.size));
    Repeat { operands, step: if rounds.backwards { -size } else { size }, rounds: rounds.count }
}

/// What becomes of a branch.
enum Outcome {
    /// Whether it is taken.
    Is(bool),
    /// So many are predicted, and nothing is learnt from them.
    Learnt(u64),
}

/// The branches that Valgrind makes of what the processor does in one instruction.
fn rounds_of(artificial: Option<Artificial>, rounds: Option<Rounds>, mut branch: impl FnMut(Outcome)) {
    let count = rounds.map_or(0, |rounds| rounds.count);
    match artificial {
        None => (),
        Some(Artificial::Exchange) => branch(Outcome::Is(false)),
        Some(Artificial::Rounds) => {
            (0..count.min(LEARNT)).for_each(|_| branch(Outcome::Is(true)));
            branch(Outcome::Learnt(count.saturating_sub(LEARNT)));
            branch(Outcome::Is(false));
        }
        Some(Artificial::ComparingRounds) => {
            let ran_out = rounds.is_none_or(|rounds| rounds.ran_out);
            // The last one may be another.
            let alike = count.saturating_sub(1);
            for _ in 0..alike.min(LEARNT) {
                branch(Outcome::Is(false));
                branch(Outcome::Is(true));
            }
            branch(Outcome::Learnt(alike.saturating_sub(LEARNT).saturating_mul(2)));
            if count > 0 {
                branch(Outcome::Is(false));
                branch(Outcome::Is(ran_out));
            }
            if ran_out {
                branch(Outcome::Is(true));
            }
        }
    }
}

/// A run that sets a segment's base, or whose only instruction has accesses that depend on more than general registers.
#[cold]
fn rare(
    run: &mut Run,
    record: &[u64],
    thread: &mut Thread,
    mut caches: Option<&mut Caches>,
    spent: &mut [Counts; 2],
) {
    let Run { form, segment, costs, .. } = run;
    let mut sink = Both::of(thread, costs, spent);
    let bases = thread.bases;
    if let Some(caches) = &mut caches {
        let addresses: Vec<u64> =
            form.accesses.iter().map(|access| form.address(access, record, bases)).collect();
        caches.run(segment, &addresses, &mut sink);
    }
    thread.bases = form.bases_behind(record, bases);
    if let Some(rounds) = form.rounds(record) {
        let operands = operands(form, record, bases);
        for operand in &operands {
            sink.add_times(0, if operand.written { Event::Dw } else { Event::Dr }, rounds.count);
        }
        if let Some(caches) = caches {
            caches.repeat(repeat(&operands, rounds), 0, &mut sink);
        }
    } else {
        form.special(record, bases, |kind, size, address| {
            sink.add(0, accessed(caches.as_deref_mut(), kind, size, address));
        });
    }
}

/// The branches that Valgrind makes of what the processor does in one instruction.
#[cold]
fn artificial(
    run: &mut Run,
    record: &[u64],
    thread: &Thread,
    branches: &mut Branches,
    spent: &mut [Counts; 2],
) {
    let rounds = run.form.rounds(record);
    let mut sink = Both::of(thread, &mut run.costs, spent);
    for (i, piece) in run.form.pieces.iter().enumerate() {
        let pc = run.form.start.wrapping_add(piece.offset.into());
        rounds_of(piece.artificial, rounds, |outcome| match outcome {
            Outcome::Is(taken) => sink.add(i, branches.conditional(pc, taken)),
            Outcome::Learnt(times) => sink.add_times(i, Event::Bc, times),
        });
    }
}

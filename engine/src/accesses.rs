//! What data accesses cost: the models of the process, which its threads' logs are fed to.
//!
//! A thread works through its log when that is full, and when it or the process ends (`crate::calls`). The threads share the models,
//! and take turns by a log each, as they do with one core. Not here: what the logs hold (`translate::accesses`), the models
//! (`models`).

pub mod misses;
mod stream;

use crate::cache::Executed;
use crate::calls;
use crate::calls::tree::Tree;
use crate::context::{Context, Thread};
use crate::counts;
use crate::state::Engine;
use crate::threads::stop::WorldStopped;
use crate::trace::Writer;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use misses::{Memory, Misses};
use models::{Counts, Event, Geometry, Shapes};
use ring::record::{AccessMark, EVENTS, Kind, MAX_RECORD_WORDS, header};
use ring::shared::{
    Control, EVENTS_ACCESS, EVENTS_CALLS, FLAG_ALL_ACCESSES, MODEL_BRANCHES, MODEL_CACHES, MODEL_PREFETCH,
    MODEL_WRITE_BACK,
};
use simulation::Simulation;
use translate::accesses::Bases;
use translate::calls::{ENTER_WORDS, IS_ENTRY, LEAVE_WORDS};
use translate::frames;
use translate::models::Shape;

/// The event with a number in [`EVENTS`]: those of the models behind the first, which the counters have.
fn event(number: usize) -> Event {
    Event::ALL[1 + number]
}

/// Those of branches, as bits.
const OF_BRANCHES: u64 = 0b1111 << 11;

/// Whether they are told of.
pub fn are_kept(events: u32) -> bool {
    events & EVENTS_ACCESS != 0
}

/// The models of a process.
pub struct Models {
    /// What logs are fed to.
    simulation: Simulation,
    /// Where emitted code looks at models itself: what it does not find there.
    misses: Option<Misses>,
}

impl Models {
    /// Instructions have been executed so often, or mispredicted.
    pub fn executed(&mut self, executed: &Executed<'_>, times: u64) {
        let Some(misses) = &mut self.misses else { return };
        if let Some(conditional) = executed.mispredicted {
            let event = if conditional { Event::Bcm } else { Event::Bim };
            return misses.add(executed.pc, event, times);
        }
        let mut pc = executed.pc;
        for (length, costs) in executed.lengths.iter().zip(executed.costs) {
            for (event, count) in [Event::Dr, Event::Dw, Event::Bc, Event::Bi].into_iter().zip(costs) {
                misses.add(pc, event, times.wrapping_mul((*count).into()));
            }
            pc += u64::from(*length);
        }
    }
}

/// The models that emitted code is to look at: where neither the whole stream is told, nor each write seen by the last level.
pub fn looked_at(control: &Control) -> Option<translate::models::Models> {
    let events = control.events.load(Ordering::Relaxed);
    let (models, shapes) = wanted(control);
    let is_told = control.flags.load(Ordering::Relaxed) & FLAG_ALL_ACCESSES != 0;
    let by_context = events & EVENTS_CALLS != 0;
    if !are_kept(events) || is_told || models.write_back {
        return None;
    }
    let shape = |geometry: Geometry| Shape {
        line_bits: geometry.line().ilog2(),
        sets: geometry.sets(),
        ways: geometry.ways(),
    };
    let caches = models.caches.then(|| [shape(shapes.i1), shape(shapes.d1)]);
    // With one set a line cannot be told from the one behind it. Larger caches would be out of reach.
    const MOST_SETS: u32 = 1 << 18;
    let fits =
        |shape: &Shape| (2..=MOST_SETS).contains(&shape.sets) && shape.ways <= translate::models::MOST_WAYS;
    if !caches.iter().flatten().all(fits) {
        return None;
    }
    let access_max = shapes.i1.line().min(shapes.d1.line()).min(shapes.ll.line());
    let base = if by_context { frames::BEHIND } else { u32::try_from(counts::THREAD_BYTES).ok()? };
    Some(translate::models::Models::new(base, caches, models.branches, access_max, by_context))
}

/// The models that the recorder asked for, if it did. What it says makes sense: it has checked that.
pub fn new(control: &Control) -> Option<Models> {
    if !are_kept(control.events.load(Ordering::Relaxed)) {
        return None;
    }
    let (models, shapes) = wanted(control);
    if looked_at(control).is_none() {
        return Some(Models { simulation: Simulation::new(&shapes, models).ok()?, misses: None });
    }
    let options = models::Options { prefetch: models.prefetch, ..models::Options::default() };
    let caches = models::Caches::new(&shapes, options).ok()?;
    let nothing = simulation::Models::default();
    let misses = Some(Misses { caches, costs: BTreeMap::new() });
    Some(Models { simulation: Simulation::new(&shapes, nothing).ok()?, misses })
}

fn wanted(control: &Control) -> (simulation::Models, Shapes) {
    let bits = control.models.load(Ordering::Relaxed);
    let models = simulation::Models {
        caches: bits & MODEL_CACHES != 0,
        branches: bits & MODEL_BRANCHES != 0,
        write_back: bits & MODEL_WRITE_BACK != 0,
        prefetch: bits & MODEL_PREFETCH != 0,
    };
    let [i1, d1, ll] = control.caches.each_ref().map(|cache| {
        let [size, ways, line] = cache.each_ref().map(|number| number.load(Ordering::Relaxed));
        Geometry::new(size, ways, line)
    });
    let shapes = match (i1, d1, ll) {
        (Ok(i1), Ok(d1), Ok(ll)) => Shapes { i1, d1, ll },
        _ => Shapes::FALLBACK,
    };
    (models, shapes)
}

/// What a thread's log is about.
#[derive(Default)]
pub struct Log {
    thread: simulation::Thread,
    has_bases: bool,
    /// See [`Log::never_costs`].
    is_foreign: bool,
    /// What was spent in each context, by its number in the thread's tree. Empty when calls are not told of.
    contexts: Vec<Counts>,
    /// What is told of all that is worked through, if it is.
    turn: Option<stream::Turn>,
    /// The thread's models, where emitted code looks at them.
    memory: Option<Memory>,
}

/// Of a thread that begins.
pub fn begin(engine: &Engine, thread: *const Thread, again: bool) -> Option<Log> {
    let turn = stream::is_told(engine).then(stream::Turn::default);
    let memory = Memory::of(engine, thread as u64).map(|mut memory| {
        memory.begin(again);
        memory
    });
    are_kept(engine.options.events).then(|| Log { turn, memory, ..Log::default() })
}

impl Log {
    /// Works through a log; calls are the tree's. Where the whole stream is told, that goes to this writer.
    pub fn follow(
        &mut self,
        engine: &Engine,
        context: &Context,
        mut log: &[u64],
        mut tree: Option<&mut Tree>,
        writer: &mut Option<Writer>,
    ) {
        self.tell_misses(engine);
        if log.is_empty() {
            return;
        }
        // Where emitted code looks at models, no log tells of what sets them; and it is worked through at once.
        if !self.has_bases || self.memory.is_some() {
            self.set_bases(context);
        }
        let mut accesses = engine.accesses.lock();
        let Some(Models { simulation, misses }) = &mut *accesses else { return };
        // Under this lock: they are numbered in their order, and another thread's log may name them already.
        let (fresh, code) = engine.cache.lock().take_fresh_runs();
        if let Some(turn) = &mut self.turn {
            turn.begin(engine, writer, (&fresh, &code), (self.thread.collects, self.thread.bases));
        }
        fresh.into_iter().for_each(|form| simulation.add(form));
        while !log.is_empty() {
            let counts = self.thread.collects;
            let mut missed = Counts::default();
            let done = match misses.as_mut().zip(self.memory.as_mut()) {
                Some((misses, memory)) => {
                    let mut touch = |touch| missed += misses.touch(memory, touch, counts);
                    simulation.follow_touching(&mut self.thread, log, Some(&mut touch))
                }
                None => simulation.follow(&mut self.thread, log),
            };
            let followed;
            (followed, log) = log.split_at(done);
            if let Some(turn) = &mut self.turn {
                turn.add(engine, writer, followed);
            }
            // Also where nobody asks for it: the sums are for a log's length.
            let mut spent = simulation.take_spent();
            spent += missed;
            if let Some(tree) = &mut tree {
                self.spend(spent, tree.current());
            }
            let Some(head) = log.first() else { break };
            let words = if head & IS_ENTRY != 0 { ENTER_WORDS } else { LEAVE_WORDS };
            let (event, behind) = log.split_at(words.min(log.len()));
            if let Some(tree) = &mut tree {
                tree.follow(event);
            }
            log = behind;
        }
        if let Some(turn) = &mut self.turn {
            turn.end(engine, writer);
        }
    }

    /// What was spent since this was done last was spent in the context with this number.
    fn spend(&mut self, spent: Counts, context: u32) {
        add_to(&mut self.contexts, context, spent);
    }

    /// Tells the last level of what misses have been put down.
    pub fn tell_misses(&mut self, engine: &Engine) {
        if let Some(memory) = &mut self.memory {
            let counts = self.thread.collects;
            let contexts = &mut self.contexts;
            misses::tell_last(engine, memory, counts, |context, events| add_to(contexts, context, events));
        }
    }

    /// See [`calls::spend`].
    pub fn spend_part(&mut self, costs: [i64; 4]) {
        if let Some(memory) = &mut self.memory {
            memory.spend(costs);
        }
    }

    /// From here on what is simulated counts, or does not.
    pub fn collect(&mut self, on: bool) {
        self.thread.collects = on && !self.is_foreign;
    }

    /// Whether it does.
    pub fn collects(&self) -> bool {
        self.thread.collects
    }

    /// It is a child's of vfork: nothing counts.
    pub fn never_costs(&mut self) {
        self.is_foreign = true;
        self.thread.collects = false;
    }

    /// Begins to count anew.
    pub fn forget(&mut self, tree: Option<&Tree>) {
        self.take_spent(tree);
        self.contexts.fill(Counts::default());
    }

    /// Takes what emitted code has spent.
    fn take_spent(&mut self, tree: Option<&Tree>) {
        let (Some(memory), Some(tree)) = (&mut self.memory, tree) else { return };
        for context in 0..tree.count() {
            let spent = memory.take_spent(context);
            if spent != Counts::default() {
                add_to(&mut self.contexts, context, spent);
            }
        }
    }

    /// Tells the recorder what was spent in the contexts of the thread whose writer this is, and begins anew.
    pub fn tell(&mut self, engine: &Engine, tree: Option<&Tree>, writer: &mut Writer) {
        self.take_spent(tree);
        if self.is_foreign {
            self.contexts.clear();
        }
        let costs = (0..).zip(core::mem::take(&mut self.contexts));
        push(engine, writer, Kind::ContextCosts, costs);
    }

    /// What the bases of the thread's segments are.
    pub fn set_bases(&mut self, context: &Context) {
        self.has_bases = true;
        self.thread.bases = Bases { fs: context.guest_fs, gs: context.guest_gs };
    }
}

/// Adds to what was spent in a context, by its number.
fn add_to(contexts: &mut Vec<Counts>, context: u32, spent: Counts) {
    let context = context as usize;
    if contexts.len() <= context {
        contexts.resize(context + 1, Counts::default());
    }
    contexts[context] += spent;
}

/// A forked child begins to count.
pub fn forget(engine: &Engine) {
    if let Some(Models { simulation, misses }) = &mut *engine.accesses.lock() {
        simulation.clear_costs();
        if let Some(misses) = misses {
            misses.clear_costs(engine.cache.lock().sites());
        }
    }
}

/// The cache is about to be emptied. The world is stopped.
pub fn before_clearing(engine: &Engine, world: &WorldStopped<'_>) {
    if engine.options.models.is_none() {
        return;
    }
    counts::each(engine, world, |each| calls::work_through(engine, each));
    if let Some(misses) = engine.accesses.lock().as_mut().and_then(|models| models.misses.as_mut()) {
        misses.take(engine.cache.lock().sites());
    }
}

/// Tells the recorder that what was counted since it was told last counts for nothing.
pub fn tell_forgotten(engine: &Engine, thread: &mut Thread) {
    let _order = engine.accesses.lock();
    stream::mark(engine, &mut thread.writer, AccessMark::Forgotten, 0);
}

/// Tells the recorder that the process is about to fork, and that what has been simulated is also its child's. All locks are held.
pub fn forks(engine: &Engine, thread: &mut Thread, child: u32) {
    stream::mark(engine, &mut thread.writer, AccessMark::Forks, child);
}

/// A forked child tells its own stream.
pub fn forked(engine: &Engine) {
    engine.access_records.store(0, Ordering::Relaxed);
}

/// Tells the recorder, in the ring of a thread of the process, what was counted since this was told last. All logs have been worked
/// through that are to count.
pub fn tell(engine: &Engine, thread: &mut Thread) {
    if thread.foreign {
        // What is counted is its parent's.
        return;
    }
    let mut accesses = engine.accesses.lock();
    let (Some(Models { simulation, misses }), Some(writer)) = (&mut *accesses, &mut thread.writer) else {
        return;
    };
    let mut by_pc: BTreeMap<u64, Counts> = BTreeMap::new();
    if let Some(misses) = misses {
        misses.take(engine.cache.lock().sites());
        by_pc = core::mem::take(&mut misses.costs);
    }
    for (pc, counts) in simulation.costs() {
        *by_pc.entry(pc).or_default() += counts;
    }
    simulation.clear_costs();
    push(engine, writer, Kind::Costs, by_pc.into_iter());
    stream::mark(engine, &mut thread.writer, AccessMark::Told, 0);
}

/// Tells the recorder what something has cost, by whatever number tells it apart.
fn push(engine: &Engine, writer: &mut Writer, kind: Kind, costs: impl Iterator<Item = (u64, Counts)>) {
    const MOST_WORDS: usize = MAX_RECORD_WORDS - 32;
    let bits = engine.shared.control().models.load(Ordering::Relaxed);
    let wanted = if bits & MODEL_BRANCHES != 0 { u64::MAX } else { !OF_BRANCHES };
    let mut words = Vec::with_capacity(MOST_WORDS + EVENTS.len() + 2);
    words.push(0);
    for (of, counts) in costs {
        let occurred =
            (0..EVENTS.len()).filter(|&number| wanted & 1 << number != 0 && counts[event(number)] != 0);
        let set = occurred.clone().fold(0u64, |set, number| set | 1 << number);
        if set == 0 {
            continue;
        }
        words.extend([of, set]);
        words.extend(occurred.map(|number| counts[event(number)]));
        if words.len() > MOST_WORDS {
            words[0] = header(kind, words.len());
            writer.push(&words);
            words.truncate(1);
        }
    }
    if words.len() > 1 {
        words[0] = header(kind, words.len());
        writer.push(&words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_names_that_the_recorder_gives_them() {
        for (number, name) in EVENTS.iter().enumerate() {
            assert_eq!(event(number).name(), *name);
        }
    }
}

//! What instructions cost with other models than those of the recording: its whole stream of data accesses, simulated again.
//!
//! What always holds: each process has models of its own, which see everything in the order in which those of the recording did, so the
//! same models count the same; a forked child begins with a copy of its parent's. No trace is trusted: what makes no sense ends it there.
//! Not here: the models (`models`), how logs are worked through and made small (`simulation`), which code the costs are of
//! (`super`).

use crate::options::simulate::Simulate;
use models::{Counts, Event};
use schema::read::Trace;
use schema::{AccessLog, AccessMark, AccessRuns, Cost, Costs, End, MarkKind, Message, Modelled};
use simulation::packed::Unpacker;
use simulation::{Simulation, Thread};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use translate::accesses::{Bases, Planner};

/// Most children that what they begin with is kept for. Some never come: their fork failed, or they were killed.
const MOST_FORKS: usize = 256;

/// What a child begins with.
#[derive(Clone)]
struct Known {
    simulation: Simulation,
    /// Of a record of each run.
    words: Vec<u16>,
}

/// A process, while it executes one program.
struct Process {
    /// Shared with children that have not begun.
    known: Rc<Known>,
    threads: HashMap<u32, (Thread, Unpacker)>,
}

/// Where an instruction is: module and address in it.
type At = (u32, u64);

/// The processes.
#[derive(Default)]
struct Processes {
    /// Nothing has been simulated; whoever begins without a parent begins with it. None before the trace's header has come, and where
    /// the models that were asked for cannot be.
    first: Option<Rc<Known>>,
    all: HashMap<Modelled, Process>,
    /// What children begin with, by number.
    forks: BTreeMap<u32, Rc<Known>>,
    /// One has been told of.
    is_any: bool,
}

impl Processes {
    /// The process, which begins now if it has not yet; none when nothing can be simulated.
    fn get(&mut self, of: Modelled) -> Option<&mut Process> {
        self.is_any = true;
        let first = self.first.as_ref()?;
        let forks = &mut self.forks;
        Some(self.all.entry(of).or_insert_with(|| {
            let forked = if of.program == 0 { forks.remove(&of.process) } else { None };
            let mut known = forked.unwrap_or_else(|| Rc::clone(first));
            if known.simulation.runs() > 0 {
                // What the parent has spent is the parent's.
                Rc::make_mut(&mut known).simulation.clear_costs();
            }
            Process { known, threads: HashMap::new() }
        }))
    }
}

/// All that has been simulated so far.
pub(super) struct Simulated<'a> {
    wanted: &'a Simulate,
    events: Vec<Event>,
    processes: Processes,
    planner: Planner,
    log: Vec<u64>,
    /// By process and part.
    costs: BTreeMap<(u32, u32), BTreeMap<At, Counts>>,
    /// Processes of which something is missing.
    lost: BTreeSet<u32>,
    /// Why nothing is simulated.
    problem: Option<String>,
}

impl<'a> Simulated<'a> {
    /// Nothing yet.
    pub(super) fn new(wanted: &'a Simulate) -> Simulated<'a> {
        Simulated {
            wanted,
            events: Vec::new(),
            processes: Processes::default(),
            planner: Planner::default(),
            log: Vec::new(),
            costs: BTreeMap::new(),
            lost: BTreeSet::new(),
            problem: None,
        }
    }

    /// Sees the next message of the trace.
    ///
    /// # Errors
    /// It makes no sense.
    pub(super) fn see(&mut self, message: &Message) -> Result<(), String> {
        match message {
            Message::Header(header) => {
                let (shapes, models) = self.wanted.of(&header.options);
                match Simulation::new(&shapes, models) {
                    Ok(simulation) => {
                        self.processes.first = Some(Rc::new(Known { simulation, words: Vec::new() }))
                    }
                    Err(error) => self.problem = Some(format!("nothing can be simulated: {error}")),
                }
                self.events = Event::ALL[1..].iter().copied().filter(|event| models.count(*event)).collect();
                Ok(())
            }
            Message::AccessRuns(runs) => self.runs(runs),
            Message::AccessLog(log) => self.follow(log),
            Message::AccessMark(mark) => self.mark(mark),
            Message::ProcessEnd(end) if end.how != End::Exec => {
                self.processes.all.retain(|of, _| of.process != end.process);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn runs(&mut self, told: &AccessRuns) -> Result<(), String> {
        let Some(process) = self.processes.get(told.of) else { return Ok(()) };
        let known = Rc::make_mut(&mut process.known);
        for (number, run) in (told.first as usize..).zip(&told.runs) {
            if number != known.words.len() {
                return Err(format!("run {number} comes behind {} runs", known.words.len()));
            }
            let form = self.planner.form(run.start, &run.code.0).filter(|form| form.words == run.words);
            let form = form.ok_or_else(|| {
                format!(
                    "the accesses of the code at {:#x} do not follow from it: another version recorded them",
                    run.start
                )
            })?;
            known.simulation.add(form);
            known.words.push(run.words);
        }
        Ok(())
    }

    fn follow(&mut self, told: &AccessLog) -> Result<(), String> {
        let mut log = std::mem::take(&mut self.log);
        log.clear();
        let Some(process) = self.processes.get(told.of) else { return Ok(()) };
        let (thread, unpacker) = process.threads.entry(told.thread).or_default();
        let known = Rc::make_mut(&mut process.known);
        let words = |run: u32| known.words.get(run as usize).copied();
        if !unpacker.unpack(&told.heads, &told.words, words, &mut log) {
            return Err(format!("the accesses of thread {} make no sense", told.thread));
        }
        thread.bases = Bases { fs: told.fs, gs: told.gs };
        thread.collects = told.counts;
        known.simulation.follow(thread, &log);
        // What was spent in all is not asked for, but has to stay small.
        known.simulation.take_spent();
        self.log = log;
        Ok(())
    }

    fn mark(&mut self, mark: &AccessMark) -> Result<(), String> {
        let Some(process) = self.processes.get(mark.of) else { return Ok(()) };
        match mark.kind {
            MarkKind::Belongs => {
                let known = Rc::make_mut(&mut process.known);
                let costs = self.costs.entry((mark.of.process, mark.part)).or_default();
                for (pc, counts) in known.simulation.costs() {
                    let behind = mark.places.partition_point(|place| place.from <= pc);
                    let place = behind.checked_sub(1).map(|at| mark.places[at]).unwrap_or_default();
                    let sum = costs.entry((place.module, pc.wrapping_sub(place.bias))).or_default();
                    for &event in Event::ALL {
                        sum[event] = sum[event].saturating_add(counts[event]);
                    }
                }
                known.simulation.clear_costs();
            }
            MarkKind::Forgotten => Rc::make_mut(&mut process.known).simulation.clear_costs(),
            MarkKind::Forked => {
                let known = Rc::clone(&process.known);
                let forks = &mut self.processes.forks;
                forks.insert(mark.child, known);
                if forks.len() > MOST_FORKS {
                    forks.pop_first();
                }
            }
            MarkKind::Lost => {
                self.lost.insert(mark.of.process);
            }
            MarkKind::Other(_) => {}
        }
        Ok(())
    }

    /// Puts what was simulated in the place of what was recorded. Returns the processes of which something is missing.
    ///
    /// # Errors
    /// Nothing was, and why.
    pub(super) fn replace(self, trace: &mut Trace) -> Result<BTreeSet<u32>, String> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        if !self.processes.is_any {
            return Err(
                "the recording does not hold the accesses themselves, which --simulate needs; record with \
                        vg-record --events=access --accesses=full"
                    .to_owned(),
            );
        }
        let events: Vec<(Event, u32)> =
            self.events.iter().map(|event| (*event, trace.add_string(event.name()))).collect();
        // They were spent in contexts, of which the stream knows nothing.
        trace.context_costs.clear();
        trace.costs.clear();
        for ((process, part), costs) in self.costs {
            // All that were counted are known by these.
            let mut rows: Vec<Cost> =
                events.iter().map(|(_, event)| Cost { module: 0, rva: 0, event: *event, times: 0 }).collect();
            for ((module, rva), counts) in costs {
                let occurred = events.iter().filter(|(event, _)| counts[*event] != 0);
                rows.extend(occurred.map(|&(of, event)| Cost { module, rva, event, times: counts[of] }));
            }
            trace.costs.push(Costs { process, part, rows });
        }
        Ok(self.lost)
    }
}

//! What instructions cost with other models than those of the recording: its whole stream of data accesses, simulated again.
//!
//! What always holds: each process has models of its own, which see everything in the order in which those of the recording did, so the
//! same models count the same; a forked child begins with a copy of its parent's. No trace is trusted: what makes no sense ends it there.
//! Not here: the models (`models`), how logs are worked through and made small (`simulation`), which code the costs are of
//! (`super`).

use crate::options::simulate::Simulate;
use models::{Counts, Event};
use schema::read::Trace;
use schema::{AccessLog, AccessMark, AccessRuns, Cost, Costs, MarkKind, Message, Modelled, Start};
use simulation::packed::Unpacker;
use simulation::{Simulation, Thread};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use translate::accesses::{Bases, Planner};

/// Most children that what they begin with, some megabytes each, is kept for. Some never come: their fork failed, or they were killed.
const MOST_FORKS: usize = 256;

/// What a process knows, and a child of it begins with.
struct Known {
    simulation: Simulation,
    /// Of a record of each run.
    words: Vec<u16>,
}

impl Known {
    fn fork(&self) -> Known {
        Known { simulation: self.simulation.fork(), words: self.words.clone() }
    }
}

/// A process, while it executes one program.
struct Process {
    known: Known,
    /// By the series of their logs.
    threads: HashMap<u32, (Thread, Unpacker)>,
}

/// Where an instruction is: module and address in it.
type At = (u32, u64);

/// The processes.
#[derive(Default)]
struct Processes {
    /// Nothing has been simulated; whoever begins without a parent begins with it. None before the trace's header has come, and where
    /// the models that were asked for cannot be.
    first: Option<Known>,
    all: HashMap<Modelled, Process>,
    /// What children begin with, by number.
    forks: BTreeMap<u32, Known>,
    /// Those who begin so.
    are_forks: BTreeSet<u32>,
    /// Processes of which something is missing.
    lost: BTreeSet<u32>,
    /// One has been told of.
    is_any: bool,
}

impl Processes {
    /// The process, which begins now if it has not yet; none when nothing can be simulated of it.
    fn get(&mut self, of: Modelled) -> Option<&mut Process> {
        self.is_any = true;
        let first = self.first.as_ref()?;
        match self.all.entry(of) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(free) => {
                let is_fork = of.program == 0 && self.are_forks.contains(&of.process);
                let known = if is_fork { self.forks.remove(&of.process) } else { Some(first.fork()) };
                let Some(known) = known else {
                    self.lost.insert(of.process);
                    return None;
                };
                Some(free.insert(Process { known, threads: HashMap::new() }))
            }
        }
    }
}

/// All that has been simulated so far.
pub(super) struct Simulated<'a> {
    wanted: &'a Simulate,
    events: Vec<Event>,
    processes: Processes,
    planner: Planner,
    log: Vec<u64>,
    /// With the numbers of `events` in place of strings.
    costs: Vec<Costs>,
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
            costs: Vec::new(),
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
                        self.processes.first = Some(Known { simulation, words: Vec::new() });
                    }
                    Err(error) => self.problem = Some(format!("nothing can be simulated: {error}")),
                }
                self.events = Event::ALL[1..].iter().copied().filter(|event| models.count(*event)).collect();
                Ok(())
            }
            Message::Process(process) if process.how == Start::Fork => {
                self.processes.are_forks.insert(process.number);
                Ok(())
            }
            Message::AccessRuns(runs) => self.runs(runs),
            Message::AccessLog(log) => self.follow(log),
            Message::AccessMark(mark) => self.mark(mark),
            _ => Ok(()),
        }
    }

    fn runs(&mut self, told: &AccessRuns) -> Result<(), String> {
        let Some(process) = self.processes.get(told.of) else { return Ok(()) };
        let known = &mut process.known;
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
        let (thread, unpacker) = process.threads.entry(told.series).or_default();
        let known = &mut process.known;
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
                let known = &mut process.known;
                let mut costs: BTreeMap<At, Counts> = BTreeMap::new();
                for (pc, counts) in known.simulation.costs() {
                    let behind = mark.places.partition_point(|place| place.from <= pc);
                    let place = behind.checked_sub(1).map(|at| mark.places[at]).unwrap_or_default();
                    let sum = costs.entry((place.module, pc.wrapping_sub(place.bias))).or_default();
                    for &event in Event::ALL {
                        sum[event] = sum[event].saturating_add(counts[event]);
                    }
                }
                known.simulation.clear_costs();
                let events = &self.events;
                let rows = costs.iter().flat_map(|(&(module, rva), counts)| {
                    let occurred = (0..).zip(events).filter(|(_, event)| counts[**event] != 0);
                    occurred.map(move |(event, of)| Cost { module, rva, event, times: counts[*of] })
                });
                // All that were counted are known by these.
                let counted = (0..events.len() as u32).map(|event| Cost { event, ..Cost::default() });
                let rows = counted.chain(rows).collect();
                self.costs.push(Costs { process: mark.of.process, part: mark.part, rows });
            }
            MarkKind::Forgotten => process.known.simulation.clear_costs(),
            MarkKind::Forked => {
                let known = process.known.fork();
                let forks = &mut self.processes.forks;
                forks.insert(mark.child, known);
                if forks.len() > MOST_FORKS {
                    forks.pop_first();
                }
            }
            MarkKind::Lost => {
                self.processes.lost.insert(mark.of.process);
                self.processes.all.remove(&mark.of);
            }
            MarkKind::Ended => {
                self.processes.all.remove(&mark.of);
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
        let strings: Vec<u32> = self.events.iter().map(|event| trace.add_string(event.name())).collect();
        // They were spent in contexts, of which the stream knows nothing.
        trace.context_costs.clear();
        trace.costs = self.costs;
        for row in trace.costs.iter_mut().flat_map(|costs| &mut costs.rows) {
            row.event = strings[row.event as usize];
        }
        Ok(self.processes.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::{AccessRun, Bytes, CodeBase, Header};

    const OF: Modelled = Modelled { process: 1, program: 0 };

    /// mov rax, [rdi]; ret: its record has rsp and rdi.
    fn runs(first: u32, words: u16) -> Message {
        let run = AccessRun { start: 0x1000, words, code: Bytes(vec![0x48, 0x8b, 0x07, 0xc3]) };
        Message::AccessRuns(AccessRuns { of: OF, first, runs: vec![run] })
    }

    fn log(heads: &[u64], words: &[u64]) -> Message {
        let (heads, words) = (heads.to_vec(), words.to_vec());
        let log = AccessLog { of: OF, thread: 1, series: 1, counts: true, fs: 0, gs: 0, heads, words };
        Message::AccessLog(log)
    }

    fn mark(kind: MarkKind) -> Message {
        let places = vec![CodeBase { from: 0x1000, module: 7, bias: 0x800 }];
        Message::AccessMark(AccessMark { of: OF, kind, part: 3, child: 2, places })
    }

    fn see<'a>(wanted: &'a Simulate, messages: &[Message]) -> (Simulated<'a>, Result<(), String>) {
        let mut simulated = Simulated::new(wanted);
        let result = simulated.see(&Message::Header(Header::default()));
        let result =
            messages.iter().fold(result, |result, message| result.and_then(|()| simulated.see(message)));
        (simulated, result)
    }

    #[test]
    fn a_log_costs_its_code_in_its_part() {
        let wanted = Simulate::default();
        let (simulated, result) =
            see(&wanted, &[runs(0, 3), log(&[4, 4], &[0x10000, 0x20000, 0, 0]), mark(MarkKind::Belongs)]);
        assert_eq!(result, Ok(()));
        let [costs] = &simulated.costs[..] else { panic!("{:?}", simulated.costs) };
        assert_eq!((costs.process, costs.part), (1, 3));
        let reads = |rva| {
            let of = |row: &&Cost| {
                (row.module, row.rva, simulated.events[row.event as usize]) == (7, rva, Event::Dr)
            };
            costs.rows.iter().find(of).map(|row| row.times)
        };
        assert_eq!([reads(0x800), reads(0x803)], [Some(2), Some(2)]);
    }

    #[test]
    fn nonsense_is_refused() {
        let wanted = Simulate::default();
        let refused = |messages: &[Message]| see(&wanted, messages).1.is_err();
        assert!(refused(&[runs(1, 3)]) && refused(&[runs(0, 9)]) && refused(&[runs(0, 3), runs(0, 3)]));
        assert!(refused(&[log(&[4], &[1, 2])]) && refused(&[runs(0, 3), log(&[4], &[1])]));
        assert!(refused(&[runs(0, 3), log(&[4], &[1, 2, 3])]) && refused(&[runs(0, 3), log(&[9], &[1, 2])]));
        for kind in
            [MarkKind::Forgotten, MarkKind::Forked, MarkKind::Ended, MarkKind::Lost, MarkKind::Other(9)]
        {
            assert!(!refused(&[
                mark(kind),
                runs(0, 3),
                log(&[4], &[1, 2]),
                mark(kind),
                mark(MarkKind::Belongs)
            ]));
        }
    }
}

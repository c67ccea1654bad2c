//! Where the models of a block's accesses and branches are looked at, and through which registers.

use super::emit::{Look, Slow, What, add_with_base, look};
use super::predict::{self, Outcome};
use super::{Models, Which};
use crate::decode::{Block, Flow, Insn};
use crate::emit::{Emitter, Homes, reg};
use crate::flags::STATUS;
use crate::fragment::{Exit, StubAddresses, leave};
use crate::frames;
use crate::layout::{self, Fix, SCRATCH};
use crate::mode::Mode;
use crate::operand::Tools;
use crate::references::branch::{Artificial, Branch, artificial, branch};
use crate::references::{Kind, Place, Reference, references};
use alloc::vec::Vec;
use iced_x86::InstructionInfoFactory;

/// What each execution of an instruction has as often: reads, writes, conditional branches and indirect ones.
pub type Costs = [u8; 4];

/// An access that the engine may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Of its instruction.
    pub pc: u64,
    /// What it does; none: it is the fetch of the instruction.
    pub kind: Option<Kind>,
}

/// A look at a model, in front of an instruction.
#[derive(Debug, Clone, Copy)]
struct Planned {
    /// In front of which.
    at: usize,
    look: Look,
}

/// A branch that is predicted.
#[derive(Debug, Clone, Copy)]
struct Predicted {
    /// Its instruction.
    at: usize,
    outcome: Outcome,
    /// Its counter.
    wrong: u32,
}

/// The way of a conditional jump that leaves a run.
#[derive(Debug, Clone, Copy)]
struct Side {
    homes: Homes,
    /// Of the jump.
    pc: u64,
    /// What leads there.
    field: u32,
    /// The exit that it goes on to.
    exit: usize,
}

/// A run of instructions that leave some registers alone. It goes on behind conditional jumps, whose other way gives the registers back.
#[derive(Debug, Clone, Copy)]
struct Run {
    homes: Homes,
    first: usize,
    /// Of `planned`.
    looks: (usize, usize),
    /// Of `predicted`.
    predicted: (usize, usize),
    /// Up to which instruction something is spent.
    spends: Option<usize>,
}

/// What a segment costs is spent in the context.
#[derive(Debug, Clone, Copy)]
struct Spend {
    /// In front of which instruction: where it is counted.
    at: usize,
    /// Its first and its last instruction.
    segment: (usize, usize),
    /// Of all its instructions.
    costs: [u32; 4],
}

impl Run {
    /// In front of which instruction the registers are needed last.
    fn ends_at(&self, planned: &[Planned], predicted: &[Predicted]) -> usize {
        let look = planned[self.looks.0..self.looks.1].last().map_or(0, |look| look.at);
        let branch = predicted[self.predicted.0..self.predicted.1].last().map_or(0, |branch| branch.at);
        look.max(branch).max(self.spends.unwrap_or(0))
    }
}

/// Those of a block.
pub(crate) struct ModelPlan {
    info: InstructionInfoFactory,
    references: Vec<Reference>,
    sites: Vec<Site>,
    planned: Vec<Planned>,
    predicted: Vec<Predicted>,
    runs: Vec<Run>,
    costs: Vec<Costs>,
    /// Mispredictions: pc, whether the branch is conditional; by counter.
    wrong: Vec<(u64, bool)>,
    slow: Vec<Slow>,
    sides: Vec<Side>,
    /// The run that comes next, or is emitted, and the look and the branch that do.
    at: (usize, usize, usize),
    /// What is spent next.
    spent: usize,
    spends: Vec<Spend>,
}

impl ModelPlan {
    pub(crate) fn new() -> ModelPlan {
        ModelPlan {
            info: InstructionInfoFactory::new(),
            references: Vec::new(),
            sites: Vec::new(),
            planned: Vec::new(),
            predicted: Vec::new(),
            runs: Vec::new(),
            costs: Vec::new(),
            wrong: Vec::new(),
            slow: Vec::new(),
            sides: Vec::new(),
            at: (0, 0, 0),
            spent: 0,
            spends: Vec::new(),
        }
    }

    /// Plans for a block; sites are numbered from `site`, counters of mispredictions from `counter`. `live` holds the flags that are
    /// live before each instruction.
    pub(crate) fn plan(
        &mut self,
        block: &Block<'_>,
        models: &Models,
        (site, counter): (u32, u32),
        (live, segments): (&[u32], impl Iterator<Item = (usize, usize, usize)>),
        tools: &mut Tools,
    ) {
        self.spends.clear();
        self.spends.extend(segments.filter(|_| models.spent.is_some()).map(|(first, last, at)| Spend {
            at,
            segment: (first, last),
            costs: [0; 4],
        }));
        self.sites.clear();
        self.planned.clear();
        self.predicted.clear();
        self.runs.clear();
        self.costs.clear();
        self.wrong.clear();
        self.slow.clear();
        self.sides.clear();
        (self.at, self.spent) = ((0, 0, 0), 0);
        let mut line = None;
        let mut open: Option<(Run, u16)> = None;
        for (i, insn) in block.insns.iter().enumerate() {
            let (mut costs, looks, branches) = (Costs::default(), self.planned.len(), self.predicted.len());
            let is_executed = !matches!(insn.flow, Flow::Special(_) | Flow::Beyond);
            let mut is_special = false;
            if is_executed {
                self.references.clear();
                references(&insn.iced, &mut self.info, &mut self.references);
                is_special = !self.references.iter().all(Reference::is_plain);
                self.fetch(models, insn, site, &mut line);
                if !is_special {
                    self.accesses(models, insn, site, &mut costs);
                }
            }
            let exchange = artificial(&insn.iced) == Some(Artificial::Exchange);
            let kind = branch(&insn.iced).filter(|_| is_executed);
            costs[2] = u8::from(kind == Some(Branch::Conditional)) + u8::from(exchange);
            costs[3] = u8::from(kind == Some(Branch::Indirect));
            self.costs.push(costs);
            let never = (exchange && is_executed).then_some(Outcome::Never);
            let outcome = Outcome::of(insn).or(never);
            let wrong = counter + self.wrong.len() as u32;
            if models.branches && is_executed && (outcome.is_some() || kind.is_some()) {
                self.wrong.push((insn.pc(), kind != Some(Branch::Indirect)));
            }
            if let Some(outcome) = outcome.filter(|_| models.branches) {
                self.predicted.push(Predicted { at: i, outcome, wrong });
            }

            if is_special && let Some((run, _)) = open.take() {
                self.close(run);
            }
            let begun = Run {
                homes: NO_HOMES,
                first: i,
                looks: (looks, looks),
                predicted: (branches, branches),
                spends: None,
            };
            let (run, used) = open.take().unwrap_or((begun, 0));
            let own = tools.may_use(&insn.iced);
            let predicted = self.predicted.len();
            let is_predicted = |run: &Run| predicted != run.predicted.0;
            let (run, used) = match homes(used | own, is_predicted(&run)) {
                Some(homes) => (Run { homes, ..run }, used | own),
                // Without those before it there are enough.
                None => {
                    self.close(run);
                    let homes = homes(own, is_predicted(&begun)).unwrap_or(NO_HOMES);
                    (Run { homes, ..begun }, own)
                }
            };
            let (looks, branches) = (self.planned.len(), self.predicted.len());
            let spends = self.spends.iter().any(|spend| spend.at == i).then_some(i).or(run.spends);
            let run =
                Run { looks: (run.looks.0, looks), predicted: (run.predicted.0, branches), spends, ..run };
            if is_special || !matches!(insn.flow, Flow::Next | Flow::Condition(_)) {
                self.close(run);
            } else {
                open = Some((run, used));
            }
        }
        if let Some((run, _)) = open {
            self.close(run);
        }
        for spend in &mut self.spends {
            for costs in &self.costs[spend.segment.0..=spend.segment.1] {
                spend.costs.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += u32::from(*cost));
            }
        }
        self.place_looks(block, live, tools);
    }

    fn close(&mut self, run: Run) {
        if run.looks.0 != run.looks.1 || run.predicted.0 != run.predicted.1 || run.spends.is_some() {
            self.runs.push(run);
        }
    }

    /// Plans the fetch of an instruction, for the lines of I1 that were not touched last: by `line`, which is what it will be.
    fn fetch(&mut self, models: &Models, insn: &Insn, site: u32, line: &mut Option<u64>) {
        let Some(level) = models.level(Which::Fetch) else { return };
        let of = |address: u64| address >> level.shape.line_bits;
        let pc = insn.pc();
        let span = models.span(insn.iced.len() as u32);
        let (first, last) = (of(pc), of(pc.wrapping_add(span.into())));
        let before = line.replace(last);
        if before == Some(last) && first == last {
            return;
        }
        self.look(Which::Fetch, What::Known(pc), span, site, Site { pc, kind: None });
    }

    fn accesses(&mut self, models: &Models, insn: &Insn, site: u32, costs: &mut Costs) {
        for at in 0..self.references.len() {
            let Reference { kind, size, place, .. } = self.references[at];
            let of = usize::from(kind != Kind::Read);
            costs[of] = costs[of].saturating_add(1);
            let Place::Sum(address) = place else { continue };
            if models.caches.is_none() {
                continue;
            }
            let what = match address.constant() {
                Some(address) => What::Known(address),
                None => What::Sum(address),
            };
            let span = models.span(size.into());
            self.look(Which::Data, what, span, site, Site { pc: insn.pc(), kind: Some(kind) });
        }
    }

    fn look(&mut self, which: Which, what: What, span: u8, first: u32, site: Site) {
        let look = Look { which, what, span, site: first + self.sites.len() as u32 };
        self.sites.push(site);
        // `at` is an index into the block's instructions, of which as many have costs.
        self.planned.push(Planned { at: self.costs.len(), look });
    }

    /// Each look stands in front of its instruction, or, where a flag is live there, of the last one before it where none is, if
    /// the registers of its address are the same there.
    fn place_looks(&mut self, block: &Block<'_>, live: &[u32], tools: &mut Tools) {
        let is_live = |i: usize| live[i] & STATUS != 0;
        for run in &self.runs {
            let mut lowest = run.first;
            for planned in &mut self.planned[run.looks.0..run.looks.1] {
                let mut at = planned.at;
                while is_live(at) && at > lowest {
                    let before = &block.insns[at - 1];
                    if before.flow.leaves() {
                        break;
                    }
                    let depends = match planned.look.what {
                        What::Known(_) => false,
                        What::Sum(address) => {
                            address.uses_any(tools.may_write(&before.iced))
                                || address.is_behind_segment() && crate::accesses::sets_base(&before.iced)
                        }
                    };
                    if depends {
                        break;
                    }
                    at -= 1;
                }
                if !is_live(at) {
                    planned.at = at;
                }
                lowest = planned.at;
            }
        }
    }

    /// Emits what is to be done in front of instruction `i`.
    pub(crate) fn emit(
        &mut self,
        e: &mut Emitter<'_>,
        models: &Models,
        (i, insn): (usize, &Insn),
        flags: bool,
    ) {
        let Some(&run) = self.runs.get(self.at.0) else { return };
        let pc = insn.pc();
        let here = |at: usize| at == i;
        let predicted = self.predicted[self.at.2..run.predicted.1].first().copied();
        let predicted = predicted.filter(|branch| here(branch.at));
        let looks =
            self.planned[self.at.1..run.looks.1].iter().take_while(|planned| here(planned.at)).count();
        let spends = self.spends.get(self.spent).copied().filter(|spend| here(spend.at));
        if looks == 0 && predicted.is_none() && spends.is_none() {
            return;
        }
        if e.homes.is_none() {
            e.mark(pc, Fix::NONE);
            for (home, register) in places(run.homes) {
                e.store_ctx(home, register);
            }
            e.homes = Some(run.homes);
            e.mark(pc, Fix::NONE);
        }
        if looks != 0 || spends.is_some() {
            self.looks(e, models, (looks, spends), (pc, flags));
        }
        if let Some(Predicted { outcome, wrong, .. }) = predicted {
            predict::conditional(e, models, pc, outcome, wrong);
            self.at.2 += 1;
        }
        if run.ends_at(&self.planned, &self.predicted) == i {
            give_back(e, run.homes);
            e.homes = None;
            e.mark(pc, Fix::NONE);
            self.at = (self.at.0 + 1, run.looks.1, run.predicted.1);
        }
    }

    fn looks(
        &mut self,
        e: &mut Emitter<'_>,
        models: &Models,
        (count, spends): (usize, Option<Spend>),
        (pc, flags): (u64, bool),
    ) {
        let fix = if flags { save_flags(e, pc) } else { Fix::NONE };
        for at in self.at.1..self.at.1 + count {
            look(e, models, self.planned[at].look, (pc, fix), &mut self.slow);
        }
        self.at.1 += count;
        if let (Some(Spend { costs, .. }), Some(spent), Some(homes)) = (spends, models.spent, e.homes) {
            self.spent += 1;
            let [a, ..] = homes.registers();
            e.load_ctx(a, frames::CURRENT);
            for (number, times) in (0..).zip(costs).filter(|(_, times)| *times != 0) {
                add_with_base(e, a, spent + 8 * number, times);
            }
        }
        if flags {
            restore_flags(e, pc);
        }
    }

    /// Emits what asks the engine, behind all else.
    pub(crate) fn finish(
        &mut self,
        e: &mut Emitter<'_>,
        models: &Models,
        stubs: &StubAddresses,
        exits: &mut [Exit],
    ) {
        for slow in self.slow.drain(..) {
            slow.emit(e, models, stubs);
        }
        for Side { homes, pc, field, exit } in self.sides.drain(..) {
            e.patch_branch(field, e.here());
            // In front of the jump, which would be taken again.
            e.homes = Some(homes);
            e.mark(pc, Fix::NONE);
            give_back(e, homes);
            e.homes = None;
            e.mark(pc, Fix::NONE);
            exits[exit].patch = leave(e, 0, None, Mode::Plain).patch;
        }
    }

    /// The block is left in front of an instruction that cannot be emitted.
    pub(crate) fn give_up(&mut self, e: &mut Emitter<'_>, pc: u64) {
        if let Some(homes) = e.homes.take() {
            give_back(e, homes);
            e.mark(pc, Fix::NONE);
        }
    }

    /// A conditional jump is about to be emitted: where it is to lead, if registers have to be given back there first. That is emitted by
    /// [`ModelPlan::finish`].
    pub(crate) fn side_exit(&mut self, e: &Emitter<'_>, pc: u64, field: u32, exit: usize) {
        if let Some(homes) = e.homes {
            self.sides.push(Side { homes, pc, field, exit });
        }
    }

    /// The counter of the mispredictions of an indirect branch, if it is predicted.
    pub(crate) fn wrong(&self, pc: u64, counter: u32) -> Option<u32> {
        let at = self.wrong.iter().position(|&(of, conditional)| of == pc && !conditional)?;
        Some(counter + at as u32)
    }

    /// Mispredictions that have counters, in the order of these: pc, whether the branch is conditional.
    pub(crate) fn mispredicted(&self) -> &[(u64, bool)] {
        &self.wrong
    }

    /// The sites, and what the instructions cost.
    pub(crate) fn take(&mut self) -> (Vec<Site>, Vec<Costs>) {
        (core::mem::take(&mut self.sites), core::mem::take(&mut self.costs))
    }
}

/// Where registers are put aside.
fn places(homes: Homes) -> impl Iterator<Item = (u32, u8)> {
    (layout::HOMES..).step_by(8).zip(homes.registers()).take(homes.count())
}

fn give_back(e: &mut Emitter<'_>, homes: Homes) {
    for (home, register) in places(homes) {
        e.load_ctx(register, home);
    }
}

/// Of who has none.
const NO_HOMES: Homes = Homes::new(0, 1, None);

/// Registers that are none of these, three if `third`.
fn homes(used: u16, third: bool) -> Option<Homes> {
    const CANDIDATES: [u8; 14] = [15, 14, 13, 11, 10, 9, 8, 3, 7, 6, 2, 1, 0, 5];
    let mut idle = CANDIDATES.into_iter().filter(|number| used & 1 << number == 0);
    let (first, second) = (idle.next()?, idle.next()?);
    if third {
        Some(Homes::new(first, second, Some(idle.next()?)))
    } else {
        Some(Homes::new(first, second, None))
    }
}

/// Puts the status flags aside; every register is the guest's behind it.
fn save_flags(e: &mut Emitter<'_>, pc: u64) -> Fix {
    e.store_ctx(SCRATCH, reg::RAX);
    e.mark(pc, Fix::RAX);
    // lahf; seto al
    e.bytes(&[0x9f, 0x0f, 0x90, 0xc0]);
    e.store_ctx(SCRATCH + 24, reg::RAX);
    e.load_ctx(reg::RAX, SCRATCH);
    e.mark(pc, Fix::FLAGS);
    Fix::FLAGS
}

/// Gives them back.
fn restore_flags(e: &mut Emitter<'_>, pc: u64) {
    // It is there still.
    e.mark(pc, Fix::RAX_FLAGS);
    e.load_ctx(reg::RAX, SCRATCH + 24);
    // add al, 127: overflows if al is 1; sahf
    e.bytes(&[0x04, 0x7f, 0x9e]);
    e.mark(pc, Fix::RAX);
    e.load_ctx(reg::RAX, SCRATCH);
    e.mark(pc, Fix::NONE);
}

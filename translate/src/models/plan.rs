//! Where the models of a block's accesses and branches are looked at, and through which registers.

use super::emit::{Look, Slow, What, look};
use super::predict::{self, Outcome};
use super::{Models, Which};
use crate::decode::{Block, Flow, Insn, number};
use crate::emit::{Emitter, Homes, reg};
use crate::flags::STATUS;
use crate::fragment::StubAddresses;
use crate::layout::{self, Fix, SCRATCH};
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

/// A run of instructions, all in one segment, that leave some registers alone.
#[derive(Debug, Clone, Copy)]
struct Run {
    homes: Homes,
    first: usize,
    last: usize,
    /// Of `planned`.
    looks: (usize, usize),
    /// A branch of the last instruction is predicted, or that there is none (`Artificial::Exchange`), with a counter.
    predicted: Option<(Outcome, u32)>,
}

impl Run {
    /// In front of which instruction the registers are needed last.
    fn ends_at(&self, planned: &[Planned]) -> usize {
        let looks = &planned[self.looks.0..self.looks.1];
        if self.predicted.is_some() { self.last } else { looks.last().map_or(self.first, |look| look.at) }
    }
}

/// Those of a block.
pub(crate) struct ModelPlan {
    info: InstructionInfoFactory,
    references: Vec<Reference>,
    sites: Vec<Site>,
    planned: Vec<Planned>,
    runs: Vec<Run>,
    costs: Vec<Costs>,
    /// Mispredictions: pc, whether the branch is conditional; by counter.
    wrong: Vec<(u64, bool)>,
    slow: Vec<Slow>,
    /// The run that comes next, or is emitted, and the look that does.
    at: (usize, usize),
}

impl ModelPlan {
    pub(crate) fn new() -> ModelPlan {
        ModelPlan {
            info: InstructionInfoFactory::new(),
            references: Vec::new(),
            sites: Vec::new(),
            planned: Vec::new(),
            runs: Vec::new(),
            costs: Vec::new(),
            wrong: Vec::new(),
            slow: Vec::new(),
            at: (0, 0),
        }
    }

    /// Plans for a block; sites are numbered from `site`, counters of mispredictions from `counter`. `live` holds the flags that are
    /// live before each instruction.
    pub(crate) fn plan(
        &mut self,
        block: &Block<'_>,
        models: &Models,
        (site, counter): (u32, u32),
        live: &[u32],
        tools: &mut Tools,
    ) {
        self.sites.clear();
        self.planned.clear();
        self.runs.clear();
        self.costs.clear();
        self.wrong.clear();
        self.slow.clear();
        self.at = (0, 0);
        let mut line = None;
        let mut open: Option<(Run, u16)> = None;
        for (i, insn) in block.insns.iter().enumerate() {
            let (mut costs, looks) = (Costs::default(), self.planned.len());
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
            let predicted = outcome.filter(|_| models.branches).map(|outcome| (outcome, self.wrong.len()));
            if models.branches && is_executed && (outcome.is_some() || kind.is_some()) {
                self.wrong.push((insn.pc(), kind != Some(Branch::Indirect)));
            }
            let predicted = predicted.map(|(outcome, wrong)| (outcome, counter + wrong as u32));

            if is_special && let Some((run, _)) = open.take() {
                self.close(run);
            }
            let (run, used) = match open.take() {
                Some(open) => open,
                None => {
                    (Run { homes: NO_HOMES, first: i, last: i, looks: (looks, looks), predicted: None }, 0)
                }
            };
            let together = used | uses(insn, tools);
            let run = match homes(together, predicted.is_some()) {
                Some(homes) => Run { homes, last: i, ..run },
                // Without those before it there are enough.
                None => {
                    self.close(run);
                    let homes = homes(uses(insn, tools), predicted.is_some()).unwrap_or(NO_HOMES);
                    Run { homes, first: i, last: i, looks: (looks, looks), predicted: None }
                }
            };
            let run = Run { looks: (run.looks.0, self.planned.len()), predicted, ..run };
            let used = if run.first == i { uses(insn, tools) } else { together };
            if is_special || predicted.is_some() || insn.flow != Flow::Next {
                self.close(run);
            } else {
                open = Some((run, used));
            }
        }
        if let Some((run, _)) = open {
            self.close(run);
        }
        self.place_looks(block, live, tools);
    }

    fn close(&mut self, run: Run) {
        if run.looks.0 != run.looks.1 || run.predicted.is_some() {
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
        let is_predicted = run.predicted.filter(|_| run.last == i);
        let looks = self.planned[self.at.1..run.looks.1].iter().take_while(|planned| planned.at == i).count();
        if looks == 0 && is_predicted.is_none() {
            return;
        }
        if e.homes.is_none() {
            e.mark(pc, Fix::NONE);
            for (home, register) in run.registers() {
                e.store_ctx(home, register);
            }
            e.homes = Some(run.homes);
            e.mark(pc, Fix::NONE);
        }
        if looks != 0 {
            self.looks(e, models, looks, (pc, flags));
        }
        if let Some((outcome, counter)) = is_predicted {
            predict::conditional(e, models, pc, outcome, counter);
        }
        if run.ends_at(&self.planned) == i {
            for (home, register) in run.registers() {
                e.load_ctx(register, home);
            }
            e.homes = None;
            e.mark(pc, Fix::NONE);
            self.at = (self.at.0 + 1, run.looks.1);
        }
    }

    fn looks(&mut self, e: &mut Emitter<'_>, models: &Models, count: usize, (pc, flags): (u64, bool)) {
        let fix = if flags { save_flags(e, pc) } else { Fix::NONE };
        for at in self.at.1..self.at.1 + count {
            look(e, models, self.planned[at].look, (pc, fix), &mut self.slow);
        }
        self.at.1 += count;
        if flags {
            restore_flags(e, pc);
        }
    }

    /// Emits what asks the engine, behind all else.
    pub(crate) fn finish(&mut self, e: &mut Emitter<'_>, models: &Models, stubs: &StubAddresses) {
        for slow in self.slow.drain(..) {
            slow.emit(e, models, stubs);
        }
    }

    /// The block is left in front of an instruction that cannot be emitted.
    pub(crate) fn give_up(&mut self, e: &mut Emitter<'_>, pc: u64) {
        let Some(run) = self.runs.get(self.at.0).filter(|_| e.homes.is_some()) else { return };
        for (home, register) in run.registers() {
            e.load_ctx(register, home);
        }
        e.homes = None;
        e.mark(pc, Fix::NONE);
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

impl Run {
    /// Where the registers are put aside.
    fn registers(&self) -> impl Iterator<Item = (u32, u8)> {
        let homes = (layout::HOMES..).step_by(8);
        homes.zip(self.homes.registers()).take(self.homes.count())
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

/// The general registers that an instruction has to do with, by number.
fn uses(insn: &Insn, tools: &mut Tools) -> u16 {
    let used = tools.used_registers(&insn.iced).iter();
    used.filter_map(|used| number(used.register())).fold(0, |set, number| set | 1 << number)
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

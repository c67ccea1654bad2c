//! An interrupt at any place of the code cache finds the guest at an instruction boundary.
//!
//! Random programs are single-stepped natively, which gives the sequence of their states. Then their translation is
//! single-stepped, and at every cache pc the rules of [`translate::layout`] must recover a state of that sequence:
//! the one reached so far or the next one, memory included; never one in between, and never an earlier one.
//!
//! Models that emitted code looks at say the same as those of the crate `models`.
//!
//! Counters of executed segments hold exactly what was executed at each of these places, and which jumps were taken.
//!
//! Status flags that are overwritten before anything reads them may differ: the counter and the prefixes use them.

mod support;

use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpKind};
use models::Event;
use support::generate::{Generator, Program, Style};
use support::pool::Pool;
use support::puppet::Puppet;
use support::reference::Reference;
use support::rng::Rng;
use support::runtime::{End, Options, Runtime, State, Told};
use support::space::Space;
use translate::accesses::Bases;
use translate::models::Which;
use translate::references::branch::{Artificial, Branch, artificial, branch};
use translate::references::{Kind, Registers, When, references};
use translate::{Limits, Mode, layout};

const STATUS: u32 = iced_x86::RflagsBits::OF
    | iced_x86::RflagsBits::SF
    | iced_x86::RflagsBits::ZF
    | iced_x86::RflagsBits::AF
    | iced_x86::RflagsBits::CF
    | iced_x86::RflagsBits::PF;

/// The processor's bits for iced's.
fn rflags(iced: u32) -> u64 {
    use iced_x86::RflagsBits as B;
    [(B::OF, 0x800), (B::SF, 0x80), (B::ZF, 0x40), (B::AF, 0x10), (B::CF, 1), (B::PF, 4)]
        .into_iter()
        .filter(|(bit, _)| iced & bit != 0)
        .fold(0, |all, (_, bit)| all | bit)
}

/// A state between two guest instructions.
struct Boundary {
    state: State,
    memory: Vec<u8>,
    vectors: Vec<u8>,
    /// Status flags that matter here (iced's bits).
    live: u32,
}

/// The registers between two instructions.
struct Before<'a>(&'a Boundary);

impl Registers for Before<'_> {
    fn general(&self, number: u8) -> u64 {
        self.0.state.regs[usize::from(number)]
    }

    fn base(&self, slot: u32) -> u64 {
        if slot == layout::GUEST_FS { self.0.state.fs_base } else { self.0.state.gs_base }
    }

    fn vector(&self, number: u8, from: usize) -> u64 {
        /// Of the first vector register in the image, and of its upper half.
        const PARTS: [usize; 2] = [160, 576];
        let at = PARTS[from / 16] + 16 * usize::from(number) + from % 16;
        u64::from_le_bytes(self.0.vectors[at..at + 8].try_into().unwrap())
    }

    fn mask(&self, _: u8) -> u64 {
        unreachable!("no program has them")
    }
}

/// Where the program is behind the instruction at `at`.
fn next<'a>(boundaries: &'a [Boundary], begins: &[bool], at: usize) -> &'a Boundary {
    let next = (at + 1..boundaries.len()).find(|&next| begins[next]);
    &boundaries[next.unwrap_or(boundaries.len() - 1)]
}

struct Bench {
    puppet: Puppet,
    space: Space,
    runtime: Runtime,
    pool: Pool,
    blank: Vec<u8>,
    /// Cache addresses looked at.
    looked: u64,
    kind: usize,
    /// Misses and mispredictions of models.
    missed: u64,
}

/// Flags that surely get values that depend neither on their own old ones nor on a count.
fn overwritten(insn: &Instruction) -> u32 {
    use Mnemonic::*;
    match insn.mnemonic() {
        Shl | Shr | Sar | Rol | Ror | Rcl | Rcr | Shld | Shrd => {
            let last = insn.op_count() - 1;
            // Five bits of the count are used with any operand size.
            let counts = insn.op_kind(last) == OpKind::Immediate8 && insn.immediate8() & 31 != 0;
            if counts { insn.rflags_written() | insn.rflags_cleared() } else { 0 }
        }
        // Processors clear AF, which the manuals leave undefined.
        And | Or | Xor | Test | Andn => insn.rflags_modified(),
        _ if insn.has_rep_prefix() || insn.has_repne_prefix() => 0,
        _ => insn.rflags_written() | insn.rflags_cleared() | insn.rflags_set(),
    }
}

impl Bench {
    fn new(kind: usize) -> Bench {
        let (space, runtime) = (Space::map(kind), Runtime::new(kind as u64));
        let puppet = Puppet::spawn();
        let blank = puppet.xstate();
        Bench { puppet, space, runtime, pool: Pool::new(), blank, looked: 0, kind, missed: 0 }
    }

    fn decode(&self, pc: u64) -> Instruction {
        let bytes = self.space.region.bytes(pc, 15);
        Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE).decode()
    }

    fn native(&mut self, program: &Program) -> Result<Vec<Boundary>, String> {
        program.load(&mut self.space);
        program.start_natively(&self.puppet);
        let mut boundaries = Vec::new();
        loop {
            let state = support::native_state(&self.puppet);
            let vectors = support::visible(&self.puppet.xstate());
            boundaries.push(Boundary { memory: self.space.snapshot(), live: STATUS, vectors, state });
            let pc = boundaries.last().unwrap().state.pc;
            if pc == self.space.exit() {
                break;
            }
            if boundaries.len() > 4000 {
                return Ok(Vec::new());
            }
            let stop = self.puppet.step();
            if stop.signal != libc::SIGTRAP {
                return Err(format!("bad program: natively {stop:?} at {pc:#x}\n{}", program.listing()));
            }
        }
        for i in (0..boundaries.len() - 1).rev() {
            let insn = self.decode(boundaries[i].state.pc);
            boundaries[i].live = boundaries[i + 1].live & !overwritten(&insn) | insn.rflags_read() & STATUS;
        }
        Ok(boundaries)
    }

    fn program(&self, seed: u64) -> Program {
        let style = Style { length: 25 + seed % 40, opaque: false, fault: false };
        Generator::new(seed, &self.pool, &self.space, style).program(&self.blank)
    }

    /// A program of this code, which may use rbx and rsi for data, and ends behind it.
    fn written(&self, code: &[u8]) -> Program {
        let mut program = self.program(1);
        program.start = self.space.code() + 0x40;
        let to_exit = self.space.exit() - (program.start + code.len() as u64 + 5);
        let jump = (to_exit as u32).to_le_bytes();
        program.code = vec![(program.start, [code, &[0xe9], &jump].concat())];
        program.regs[3] = self.space.data();
        program.regs[6] = self.space.data() + 0x123;
        program.regs[4] = self.space.stack();
        program
    }

    fn check(&mut self, program: &Program, options: Options) -> Result<(), String> {
        let boundaries = self.native(program)?;
        if boundaries.is_empty() {
            return Ok(());
        }
        self.space.restore(&program.memory);
        self.runtime.start(&self.puppet, &self.space, &program.first_state(), &program.xstate, options);
        // A native single step shows every iteration of a repeated string instruction.
        let begins: Vec<bool> = (0..boundaries.len())
            .map(|i| {
                i == 0
                    || boundaries[i].state.pc != boundaries[i - 1].state.pc
                    || !self.repeats(&boundaries[i])
            })
            .collect();
        let mut steps = vec![0i64];
        steps.extend((0..boundaries.len() - 1).scan(0, |sum, i| {
            *sum += i64::from(begins[i]);
            Some(*sum)
        }));
        let mut at = 0;
        let mut jumps = BTreeMap::new();
        let mut innermost = None;
        loop {
            let regs = self.puppet.regs();
            if self.runtime.at_helper(regs.rip) {
                self.runtime.help(&self.puppet);
                continue;
            }
            if self.runtime.at_dispatcher(regs.rip) {
                innermost = None;
                match self.runtime.dispatch(&self.puppet, &self.space) {
                    None => continue,
                    Some(End::Exit) => break,
                    Some(end) => return Err(format!("ended with {end:?}")),
                }
            }
            if options.follows {
                let now = self.runtime.innermost(regs.rip);
                if let Some(before) = innermost.replace(now) {
                    let clock = self.runtime.counted();
                    let place = (regs.rsp, self.space.word(regs.rsp));
                    let stepped = support::frames::step(&self.runtime.memory, (&before, &now), clock, place);
                    stepped.map_err(|error| format!("cache {:#x}: {error}", regs.rip))?;
                }
            }
            if !self.runtime.in_switch(regs.rip) {
                let state = self.runtime.recover(&self.space, &regs);
                self.looked += 1;
                let mut reasons = Vec::new();
                let found = boundaries.iter().enumerate().skip(at).take(2).find(|(_, boundary)| {
                    self.matches(boundary, &state).map_err(|reason| reasons.push(reason)).is_ok()
                });
                let Some((reached, _)) = found else {
                    let guest = support::disassemble(
                        self.space.region.bytes(boundaries[at].state.pc, 15),
                        boundaries[at].state.pc,
                    );
                    return Err(format!(
                        "cache {:#x} ({}), guest {}: against before and after:\n{}",
                        regs.rip,
                        support::disassemble(self.runtime.region.bytes(regs.rip, 15), regs.rip)
                            .lines()
                            .next()
                            .unwrap_or_default(),
                        guest.lines().next().unwrap_or_default(),
                        reasons.join("\n")
                    ));
                };
                for i in at..reached {
                    self.step_jumps(&mut jumps, &boundaries[i].state, &boundaries[i + 1].state);
                }
                at = reached;
                if options.count {
                    let mut told = self.runtime.jumps(regs.rip, state.pc);
                    for (pc, counts) in &mut told {
                        // Whether it was taken, nobody can see.
                        if self.decode(*pc).near_branch_target() == self.decode(*pc).next_ip() {
                            counts.1 = 0;
                        }
                    }
                    if told != jumps {
                        return Err(format!(
                            "at cache {:#x}, pc {:#x}: jumps (executed, not taken) {told:x?}, executed {jumps:x?}",
                            regs.rip, state.pc
                        ));
                    }
                    let executed = self.runtime.executed(regs.rip, state.pc);
                    // A repeated instruction that was interrupted begins again.
                    let again = i64::from(!begins[at]);
                    if executed != [steps[at] - again; 2] {
                        return Err(format!(
                            "at cache {:#x}, pc {:#x}: {executed:?} instructions by counters and clock, executed {}",
                            regs.rip, state.pc, steps[at]
                        ));
                    }
                }
            }
            let stop = self.puppet.step();
            if stop.signal != libc::SIGTRAP {
                return Err(format!("{stop:?} at cache {:#x}", self.puppet.regs().rip));
            }
        }
        if at + 1 < boundaries.len() - 1 {
            return Err(format!("ended at boundary {at} of {}", boundaries.len()));
        }
        if options.calls {
            self.check_calls(&boundaries, &steps)?;
        }
        if options.models {
            self.check_models(&boundaries, &begins)?;
        } else if options.accesses {
            self.check_accesses(&boundaries, &begins)?;
        }
        if options.count {
            let counted = self.runtime.counted();
            let stepped = steps[boundaries.len() - 1];
            if counted as i64 != stepped {
                return Err(format!("counted {counted} instructions, executed {stepped}"));
            }
        }
        Ok(())
    }

    /// Each return is told of once, with the instructions up to it, and each entry where the program was at its place.
    fn check_calls(&self, boundaries: &[Boundary], steps: &[i64]) -> Result<(), String> {
        let told = self.runtime.calls();
        let returns: Vec<_> = (0..boundaries.len() - 1)
            .filter(|&i| self.decode(boundaries[i].state.pc).mnemonic() == Mnemonic::Ret)
            .map(|i| (boundaries[i].state.regs[4], steps[i + 1] as u64))
            .collect();
        let left: Vec<_> = told
            .iter()
            .filter_map(|event| match *event {
                Told::Left { sp, clock } => Some((sp, clock)),
                _ => None,
            })
            .collect();
        if left != returns {
            return Err(format!("returns told {left:x?}\nexecuted {returns:x?}"));
        }
        for event in told {
            let Told::Entered { pc, clock, sp, site } = event else { continue };
            let was_there = (0..boundaries.len()).any(|i| {
                let state = &boundaries[i].state;
                (state.pc, steps[i] as u64, state.regs[4]) == (pc, clock, sp)
                    && self.space.word_of(&boundaries[i].memory, sp) == Some(site)
            });
            if !was_there {
                return Err(format!("{event:x?} never happened"));
            }
        }
        Ok(())
    }

    /// The records tell of each instruction once, in order, with what it accessed by its registers before it.
    fn check_accesses(&self, boundaries: &[Boundary], begins: &[bool]) -> Result<(), String> {
        let first = &boundaries[0].state;
        let mut bases = Bases { fs: first.fs_base, gs: first.gs_base };
        let mut at = 0;
        for told in self.runtime.calls() {
            let Told::Executed { number, record } = told else { continue };
            let form = &self.runtime.forms[number as usize];
            for (i, piece) in form.pieces.iter().enumerate() {
                while !begins[at] {
                    at += 1;
                }
                let boundary = &boundaries[at];
                let pc = form.start + u64::from(piece.offset);
                if boundary.state.pc != pc {
                    return Err(format!("told of {pc:#x}, executed {:#x}", boundary.state.pc));
                }
                let mut found = Vec::new();
                for access in form.accesses.iter().filter(|access| usize::from(access.instruction) == i) {
                    found.push((access.kind, access.size, form.address(access, &record, bases)));
                }
                form.special(&record, bases, |kind, size, address| found.push((kind, size, address)));
                let (mut list, mut expected) = (Vec::new(), Vec::new());
                references(&self.decode(pc), &mut InstructionInfoFactory::new(), &mut list);
                for reference in list {
                    let address = reference.address(&Before(boundary));
                    expected.extend(address.map(|address| (reference.kind, reference.size, address)));
                }
                if found != expected {
                    let guest = support::disassemble(self.space.region.bytes(pc, 15), pc);
                    let insn = guest.lines().next().unwrap_or_default();
                    return Err(format!(
                        "{insn}\ntold {found:x?}\nmade {expected:x?}\n{form:x?}\n{record:x?}"
                    ));
                }
                if let Some(rounds) = form.rounds(&record) {
                    let count = boundary.state.regs[1] - next(boundaries, begins, at).state.regs[1];
                    if rounds.count != count {
                        return Err(format!("told {rounds:?}, executed {count} rounds at {pc:#x}"));
                    }
                }
                at += 1;
            }
            bases = form.bases_behind(&record, bases);
        }
        let left = begins[at..boundaries.len() - 1].iter().filter(|begins| **begins).count();
        if left > 0 { Err(format!("not told of the last {left} instructions")) } else { Ok(()) }
    }

    /// The models are what those of the crate `models` are that are told of each access and branch, with the same events.
    fn check_models(&mut self, boundaries: &[Boundary], begins: &[bool]) -> Result<(), String> {
        let mut reference = Reference::new(self.kind);
        (0..boundaries.len() - 1).for_each(|at| self.refer(&mut reference, (boundaries, begins), at));
        let mut wrong: BTreeMap<_, u64> = BTreeMap::new();
        let mut spent = [0; 6];
        for ((pc, conditional), times) in self.runtime.mispredicted() {
            spent[if conditional { 4 } else { 5 }] += times;
            *wrong.entry((pc, if conditional { Event::Bcm } else { Event::Bim })).or_default() += times;
        }
        for (key, times) in self.runtime.model_events() {
            *wrong.entry(*key).or_default() += times;
        }
        let differing = |key: &&(u64, Event)| wrong.get(*key) != reference.events.get(*key);
        if let Some(key) = wrong.keys().chain(reference.events.keys()).find(differing) {
            let guest = support::disassemble(self.space.region.bytes(key.0, 15), key.0);
            return Err(format!(
                "{:?} of {}: {:?}, reference {:?}",
                key.1,
                guest.lines().next().unwrap_or_default(),
                wrong.get(key),
                reference.events.get(key)
            ));
        }
        for (which, level) in [Which::Fetch, Which::Data].into_iter().zip(0..) {
            let (lines, expected) = (self.runtime.lines(which), reference.lines(level));
            if lines != expected {
                return Err(format!("lines of {which:?}: {lines:x?}\nreference {expected:x?}"));
            }
        }
        let costs = self.runtime.costs();
        let differing = |pc: &&u64| costs.get(pc) != reference.costs.get(pc);
        if let Some(pc) = costs.keys().chain(reference.costs.keys()).find(differing) {
            return Err(format!(
                "Dr, Dw, Bc, Bi at {pc:#x}: {:?}, reference {:?}",
                costs.get(pc),
                reference.costs.get(pc)
            ));
        }
        for costs in reference.costs.values() {
            spent.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost);
        }
        if self.runtime.spent() != spent {
            return Err(format!("spent: {:?}, reference {spent:?}", self.runtime.spent()));
        }
        self.missed += wrong.values().sum::<u64>();
        Ok(())
    }

    /// Tells models of what the program does behind a boundary: the rules of `models::accesses`.
    fn refer(&self, models: &mut Reference, (boundaries, begins): (&[Boundary], &[bool]), at: usize) {
        let boundary = &boundaries[at];
        let pc = boundary.state.pc;
        let insn = self.decode(pc);
        let mut list = Vec::new();
        references(&insn, &mut InstructionInfoFactory::new(), &mut list);
        let is_plain = list.iter().all(translate::references::Reference::is_plain);
        if begins[at] {
            models.fetch(pc, insn.len() as u32);
        }
        // Natively each boundary is in front of one round.
        for reference in list.iter().filter(|list| begins[at] || matches!(list.when, When::Round(_))) {
            if let Some(address) = reference.address(&Before(boundary)) {
                models.access(pc, reference.kind, reference.size, address);
                if is_plain {
                    models.costs(pc, usize::from(reference.kind != Kind::Read));
                }
            }
        }
        if !begins[at] {
            return;
        }
        let behind = next(boundaries, begins, at);
        match artificial(&insn) {
            None => (),
            Some(Artificial::Exchange) => {
                models.costs(pc, 2);
                models.conditional(pc, false);
            }
            Some(repeated) => {
                let count = boundary.state.regs[1] - behind.state.regs[1];
                let compares = repeated == Artificial::ComparingRounds;
                let ran_out = behind.state.regs[1] == 0;
                for round in 0..count {
                    models.conditional(pc, !compares);
                    if compares {
                        models.conditional(pc, ran_out || round + 1 < count);
                    }
                }
                if !compares || ran_out {
                    models.conditional(pc, compares);
                }
            }
        }
        match branch(&insn) {
            None => (),
            Some(Branch::Conditional) => {
                models.costs(pc, 2);
                models.conditional(pc, behind.state.pc != insn.next_ip());
            }
            Some(Branch::Indirect) => {
                models.costs(pc, 3);
                models.indirect(pc, behind.state.pc);
            }
        }
    }

    /// Adds the jump at `before`, if there is one, which led to `after`.
    fn step_jumps(&self, jumps: &mut BTreeMap<u64, (i64, i64)>, before: &State, after: &State) {
        let insn = self.decode(before.pc);
        use iced_x86::FlowControl::{ConditionalBranch, UnconditionalBranch};
        if !matches!(insn.flow_control(), ConditionalBranch | UnconditionalBranch) {
            return;
        }
        let counts = jumps.entry(before.pc).or_default();
        counts.0 += 1;
        if after.pc != insn.near_branch_target() {
            counts.1 += 1;
        }
    }

    fn repeats(&self, at: &Boundary) -> bool {
        let insn = self.decode(at.state.pc);
        insn.has_rep_prefix() || insn.has_repne_prefix()
    }

    fn matches(&self, boundary: &Boundary, state: &State) -> Result<(), String> {
        let mut native = boundary.state.clone();
        let dead = rflags(STATUS & !boundary.live);
        native.flags = native.flags & !dead | state.flags & dead;
        if native != *state {
            return Err(support::describe("state", &native, state));
        }
        if let Some(at) = self.space.difference(&boundary.memory, state.regs[4]) {
            return Err(format!("memory at {at:#x}"));
        }
        if support::visible(&self.puppet.xstate()) != boundary.vectors {
            return Err("vector registers".into());
        }
        Ok(())
    }
}

const WITH_MODELS: Options = Options {
    count: true,
    calls: false,
    follows: false,
    accesses: true,
    models: true,
    limits: Limits { instructions: 96, segments: 8, checked: false },
    link: true,
    check: false,
    mode: Mode::Plain,
};

/// What random programs hardly do.
struct Written {
    what: &'static str,
    needs_bases: bool,
    bytes: &'static [u8],
}

const WRITTEN: [Written; 7] = [
    Written {
        what: "between a base that is set and what lies behind it a flag is live",
        needs_bases: true,
        // test al, al; wrfsbase rbx; mov edx, fs:[0x60]; jne next
        bytes: &[0x84, 0xc0, 0xf3, 0x48, 0x0f, 0xae, 0xd3, 0x64, 0x8b, 0x14, 0x25, 0x60, 0, 0, 0, 0x75, 0],
    },
    Written {
        what: "an access to a segment that a special one sees, too, behind a new base",
        needs_bases: true,
        // wrfsbase rbx; mov al, 3; xlat fs:[rbx] with rbx = 0x40; mov edx, fs:[rbx + rax + 8]
        bytes: &[
            0xf3, 0x48, 0x0f, 0xae, 0xd3, 0xbb, 0x40, 0, 0, 0, 0xb0, 3, 0x64, 0xd7, 0x0f, 0xb6, 0xc0, 0x64,
            0x8b, 0x54, 0x03, 0x08,
        ],
    },
    Written {
        what: "lines that are straddled, back and forth",
        needs_bases: false,
        // mov ecx, 6; again: mov rax, [rbx + 0x3c]; mov [rbx + 0xfd], ax; movups xmm0, [rbx + 0x38]; add rbx, 0x40; cmp ecx, 3;
        // sete al; loop again
        bytes: &[
            0xb9, 6, 0, 0, 0, 0x48, 0x8b, 0x43, 0x3c, 0x66, 0x89, 0x83, 0xfd, 0, 0, 0, 0x0f, 0x10, 0x43,
            0x38, 0x48, 0x83, 0xc3, 0x40, 0x83, 0xf9, 0x03, 0x0f, 0x94, 0xc0, 0xe2, 0xe5,
        ],
    },
    Written {
        what: "counts of 32 bits, and ZF",
        needs_bases: false,
        // mov rcx, 1 << 32; jrcxz next; jecxz next; mov ecx, 3; again: cmp ecx, 2; loopne again; inc ecx; addr32 loope back by 0
        bytes: &[
            0x48, 0xb9, 0, 0, 0, 0, 1, 0, 0, 0, 0xe3, 1, 0x90, 0x67, 0xe3, 1, 0x90, 0xb9, 3, 0, 0, 0, 0x83,
            0xf9, 2, 0xe0, 0xfb, 0xff, 0xc1, 0x67, 0xe1, 1, 0x90,
        ],
    },
    Written {
        what: "a branch with two outcomes in turn",
        needs_bases: false,
        // mov ecx, 40; again: test cl, 5; jp over; nop; over: test cl, 1; je over; nop; over: dec ecx; jne again
        bytes: &[
            0xb9, 40, 0, 0, 0, 0xf6, 0xc1, 5, 0x7a, 1, 0x90, 0xf6, 0xc1, 1, 0x74, 1, 0x90, 0xff, 0xc9, 0x75,
            0xf0,
        ],
    },
    Written {
        what: "two branches 64 bytes apart, after nothing that was taken",
        needs_bases: false,
        // mov ecx, 8; again: test al, al; eight times jo next; seven times jo next; 48 nops; jno over; nop; over: loop again
        bytes: &[
            0xb9, 8, 0, 0, 0, 0x84, 0xc0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0,
            0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x70, 0, 0x90, 0x90, 0x90, 0x90,
            0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
            0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
            0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x71, 1, 0x90, 0xe2,
            0xab,
        ],
    },
    Written {
        what: "the direction is down while lines are missed",
        needs_bases: false,
        // std; mov ecx, 20; lodsq; sub rsi, 0x41; mov [rsi - 8], rax; loop lodsq; cld
        bytes: &[
            0xfd, 0xb9, 20, 0, 0, 0, 0x48, 0xad, 0x48, 0x83, 0xee, 0x41, 0x48, 0x89, 0x46, 0xf8, 0xe2, 0xf4,
            0xfc,
        ],
    },
];

fn run(kind: usize, programs: u64) {
    let mut bench = Bench::new(kind);
    let Some((seeds, single)) = support::seeds(kind, programs) else { return };
    let mut failures = 0;
    for code in WRITTEN.iter().filter(|_| !single) {
        if code.needs_bases && !support::has_fsgsbase() {
            continue;
        }
        let program = bench.written(code.bytes);
        if let Err(error) = bench.check(&program, WITH_MODELS) {
            failures += 1;
            eprintln!("space {kind}, {}: {error}\n{}", code.what, program.listing());
        }
    }
    for seed in seeds.clone() {
        let mut rng = Rng::new(seed ^ 0x77);
        let small = Limits {
            instructions: 1 + rng.below(9) as usize,
            segments: 1 + rng.below(3) as usize,
            checked: false,
        };
        let limits = if rng.one_in(3) { small } else { Limits::default() };
        let modes = [Mode::Plain, Mode::Clean, Mode::Guarded, Mode::Clean.precise(), Mode::Guarded.precise()];
        let mode = rng.pick(&modes);
        let limits = match mode {
            Mode::Plain => limits,
            Mode::Precise(_) => Limits { segments: 1, ..limits },
            _ => Limits { checked: true, ..limits },
        };
        let mut check = rng.one_in(2) || mode != Mode::Plain;
        let (count, calls) = (rng.one_in(2), rng.one_in(2));
        let follows = calls && rng.one_in(2);
        let accesses = mode == Mode::Plain && rng.one_in(2);
        check &= !accesses;
        let link = !rng.one_in(4);
        let calls = calls && !follows;
        let accesses = accesses && !follows;
        let count = count || calls || follows;
        let options = Options { count, calls, follows, accesses, models: false, limits, link, check, mode };
        let limits = if rng.one_in(3) { small } else { Limits::default() };
        let with_models = Options { limits, link, ..WITH_MODELS };
        // Each address of the cache is looked at, of which there are most with models.
        let with_models = (single || seed.is_multiple_of(2)).then_some(with_models);
        for options in [Some(options), with_models].into_iter().flatten() {
            let program = bench.program(seed);
            if let Err(error) = bench.check(&program, options) {
                failures += 1;
                eprintln!("VG_SEED={kind}:{seed}: {options:?}\n{error}");
                if single {
                    eprintln!("{}", bench.runtime.listing());
                }
            }
        }
        if failures >= 6 {
            break;
        }
    }
    let asked = bench.runtime.looked.asked;
    eprintln!(
        "space {kind}: {} cache addresses looked at; models: {} misses and mispredictions, asked {asked} times",
        bench.looked, bench.missed
    );
    assert_eq!(failures, 0, "states were not recovered; see VG_SEED lines above");
    if !single {
        let programs = seeds.end - seeds.start;
        assert!(bench.looked > 200 * programs, "programs are too short to mean much");
        assert!(bench.missed > 10 * programs && asked > programs / 2, "models have hardly anything to say");
    }
}

#[test]
fn in_reach_of_the_cache() {
    run(0, 200);
}

#[test]
fn between_2_and_4_gib() {
    run(1, 200);
}

#[test]
fn across_4_gib() {
    run(2, 200);
}

#[test]
fn far_away() {
    run(3, 200);
}

//! The translation of one superblock: body, prefix, exits and the map back to the guest.

use crate::accesses::{AccessPlan, Form, Logged};
use crate::branch;
use crate::calls::{self, By};
use crate::check::{Check, CheckPlan};
use crate::count::{self, Count, Counted, CounterPlan};
use crate::decode::{Block, Flow, Insn, Special};
use crate::emit::{Emitter, reg};
use crate::flags;
use crate::frames;
use crate::layout::{self, Fix, MapEntry};
use crate::mode::Mode;
use crate::models::{self, Costs, ModelPlan, Models, Site};
use crate::operand::{self, Tools};
use crate::precise::Precise;
use crate::shadow;
use crate::stack::red_zone;
use crate::tables::Tables;
use alloc::vec::Vec;

/// Cache addresses of the shared stubs that fragments jump to; all within 2 GiB of every fragment.
#[derive(Debug, Clone, Copy, Default)]
pub struct StubAddresses {
    /// Behind `mov fs:[EXIT], number`: a direct exit that is not linked.
    pub direct_exit: u64,
    /// Behind `mov fs:[EXIT], number`: the engine must act.
    pub special_exit: u64,
    /// An indirect branch whose target is in `TARGET`.
    pub indirect_miss: u64,
    /// A return whose target is at `[rsp-8]`.
    pub return_miss: u64,
    /// A system call: rcx = guest pc behind it, `CONTINUE` = cache address behind it.
    pub syscall: u64,
    /// The guest has reached a replaced function: see [`Config`] users.
    pub heap_call: u64,
    /// A check has found V bits: r11 = address of the access, guest r11 in `SCRATCH`, `CONTINUE` = where to go on.
    pub check: u64,
    /// As [`StubAddresses::check`], for stores of 1, 2, 4 and up to 64 bytes where no status flag is live: what is
    /// undefined, also in part, is defined without the engine.
    pub store: [u64; 7],
    /// The same where a status flag is live.
    pub store_keeping_flags: [u64; 7],
    /// Precise code is about to execute an instruction: `STEP` and `CONTINUE` are set.
    pub step: u64,
    /// The engine is to follow a call or a return: `EXIT` and `CONTINUE` are set, rcx is in `SPILL`, r11 in `R11`.
    pub call: u64,
    /// The line of an access is not the one that was used last, of a fetch and of data: `TARGET` is its address, `CONTINUE` where to go
    /// on; see [`models`](crate::models).
    pub access: [u64; 2],
}

/// What translation needs to know about its surroundings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config {
    /// The branch tables; for precise code, those of clean code.
    pub tables: Tables,
    /// For precise code: the branch tables of guarded code.
    pub guarded_tables: Tables,
    /// The shared stubs.
    pub stubs: StubAddresses,
    /// The stub of exit n ends n * [`layout::EXIT_STUB_BYTES`] below this cache address. They lie apart from the
    /// fragments, because a linked exit never comes to its stub again: in between they were half of what the
    /// processor's caches have to hold.
    pub exit_stubs_end: u64,
    /// Count executed instructions in the slots of `INSTRUCTIONS`, in guarded code of `GUARDED_INSTRUCTIONS`.
    pub count: bool,
    /// Count how often each segment is executed, in counters of its own from `COUNTERS` on.
    pub count_segments: bool,
    /// Tell of calls and returns in the thread's log; with `count`.
    pub log_calls: bool,
    /// Follow calls and returns in the thread's tree; with `count`.
    pub follow_calls: bool,
    /// Tell of data accesses there; in plain code only.
    pub log_accesses: bool,
    /// Look at models instead; with `log_accesses` and `count_segments`. What depends on more than general registers is told of.
    pub models: Option<Models>,
    /// A return or an indirect jump that takes another place on the stack with it leads to the dispatcher.
    pub watch_stack: bool,
    /// Check the V bits of explicit memory operands. The stub of check n begins n * [`layout::CHECK_STUB_BYTES`] above
    /// this cache address, apart from the fragments as those of the exits are.
    pub check_stubs: Option<u64>,
    /// What is taken for granted.
    pub mode: Mode,
}

impl Config {
    /// Whether anything is counted.
    pub fn counts(&self) -> bool {
        self.count || self.count_segments
    }

    /// Whether calls are told of in the log, or followed.
    pub fn tells_calls(&self) -> bool {
        self.log_calls || self.follow_calls
    }

    /// Whether more is counted by context than instructions.
    pub(crate) fn spends(&self) -> bool {
        self.models.is_some_and(|models| models.spent.is_some())
    }

    /// Cache address of an exit's stub.
    pub fn exit_stub(&self, number: u32) -> u64 {
        self.exit_stubs_end - (u64::from(number) + 1) * layout::EXIT_STUB_BYTES
    }

    /// The code of an exit's stub.
    pub fn exit_stub_code(&self, number: u32, exit: &Exit) -> [u8; layout::EXIT_STUB_BYTES as usize] {
        let mut code = [0; layout::EXIT_STUB_BYTES as usize];
        let mut e = Emitter::new(&mut code, self.exit_stub(number));
        e.store_ctx_imm(layout::EXIT, number);
        let special = exit.special.is_some();
        e.jmp(if special { self.stubs.special_exit } else { self.stubs.direct_exit });
        code
    }

    /// Cache address of a check's stub.
    pub fn check_stub(&self, number: u32) -> u64 {
        self.check_stubs.unwrap_or(0) + u64::from(number) * layout::CHECK_STUB_BYTES
    }

    /// The code of the stub of a check in the fragment at cache address `start`.
    pub fn check_stub_code(
        &self,
        number: u32,
        check: &Check,
        start: u64,
    ) -> [u8; layout::CHECK_STUB_BYTES as usize] {
        let mut code = [0; layout::CHECK_STUB_BYTES as usize];
        let mut e = Emitter::new(&mut code, self.check_stub(number));
        check.emit_stub(&mut e, start + u64::from(check.resume), &self.stubs);
        code
    }
}

/// Which table leads to a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// The return table.
    Return,
    /// The table of indirect jumps and calls.
    Indirect,
}

/// An entry point that checks for which guest pc it was reached.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Offset of the entry.
    pub at: u32,
    /// Offset of the rel32 field that leads to the next entry of the same slot.
    pub chain: u32,
}

/// A way out of a fragment.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Guest pc it leads to.
    pub target: u64,
    /// Offset of the rel32 field to patch when it is linked, and which leads to the exit's stub before.
    pub patch: u32,
    /// Set when the engine must act instead of going on at `target`.
    pub special: Option<Special>,
    /// What the code that it leads to takes for granted.
    pub to: Mode,
    /// Whether a function begins at `target`.
    pub calls: Calls,
}

/// Whether an exit enters a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// It does not, as far as is known.
    No,
    /// By a jump through a pointer at a fixed address, as those of linkage tables: if a function begins there.
    Perhaps,
    /// It is a call.
    Surely,
}

/// The numbers of a fragment's first exit, check and counter.
#[derive(Debug, Clone, Copy, Default)]
pub struct First {
    /// Of its exits.
    pub exit: u32,
    /// Of its checks.
    pub check: u32,
    /// Of its counters.
    pub counter: u32,
    /// Of its runs, whose accesses are told of.
    pub run: u32,
    /// Of the accesses that models are looked at for.
    pub site: u32,
    /// The function that begins there, if its entry is to be told of.
    pub function: Option<u32>,
    /// For precise code: where the block's decoded instructions ([`Block::decoded`]) will lie.
    pub steps: u64,
}

/// A finished translation. Offsets count from the first byte of the code.
#[derive(Debug)]
pub struct Fragment {
    /// Guest pc of the first instruction.
    pub pc: u64,
    /// Guest pc behind the last byte that the translation depends on.
    pub end: u64,
    /// Bytes of code.
    pub size: u32,
    /// Offset of the body: where calls enter.
    pub body: u32,
    /// Offset of what enters a function by other than a call: its variables below the stack pointer may be set.
    pub jumped: u32,
    /// Offset of what all others enter: a jump back to a function's first instruction.
    pub inner: u32,
    /// The prefix in front of the body, when one was asked for.
    pub entry: Option<Entry>,
    /// Exits, in the order of their numbers.
    pub exits: Vec<Exit>,
    /// Checks, in the order of their numbers.
    pub checks: Vec<Check>,
    /// What its counters count, in the order of their numbers.
    pub counted: Vec<Counted>,
    /// What its runs leave in the log, in the order of their numbers.
    pub runs: Vec<(Form, Logged)>,
    /// The accesses that models are looked at for, in the order of their numbers.
    pub sites: Vec<Site>,
    /// What each instruction costs in each execution, where models are looked at.
    pub costs: Vec<Costs>,
    /// From cache offsets to guest states, in rising order.
    pub map: Vec<MapEntry>,
    /// Guest instructions.
    pub instructions: u32,
}

/// Why a block was not translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The buffer is too small: empty the cache and try again.
    NoSpace,
}

/// A place where a block may be left: the instruction that does it, or none where its end is reached.
#[derive(Clone, Copy)]
struct Out<'a> {
    insn: Option<&'a Insn>,
    /// Guest pc behind it.
    next: u64,
    /// What has to be counted there.
    count: Option<Count>,
    /// Whether a status flag is live in front of it.
    flags: bool,
    /// The code that its exits lead to.
    to: Mode,
}

/// Translates blocks; keeps the tools that are costly to make.
pub struct Translator {
    tools: Tools,
    live: Vec<u32>,
    counter: CounterPlan,
    checker: CheckPlan,
    precise: Precise,
    accesses: AccessPlan,
    models: ModelPlan,
    /// Of a translation that was given back.
    exits: Vec<Exit>,
    checks: Vec<Check>,
    counted: Vec<Counted>,
    map: Vec<MapEntry>,
}

impl Default for Translator {
    fn default() -> Self {
        Translator::new()
    }
}

impl Translator {
    /// A translator with its own encoder.
    pub fn new() -> Translator {
        Translator {
            tools: Tools::new(),
            live: Vec::new(),
            counter: CounterPlan::default(),
            checker: CheckPlan::default(),
            precise: Precise::default(),
            accesses: AccessPlan::new(),
            models: ModelPlan::new(),
            exits: Vec::new(),
            checks: Vec::new(),
            counted: Vec::new(),
            map: Vec::new(),
        }
    }

    /// Translates `block` to `buffer`, which will be executed at cache address `at`. Exits and checks are numbered from
    /// `first`, and the caller writes their stubs ([`Config::exit_stub_code`], [`Config::check_stub_code`]); `prefix`
    /// asks for an entry through one of the tables.
    ///
    /// # Errors
    /// [`Refusal::NoSpace`] when the buffer is too small.
    pub fn translate(
        &mut self,
        block: &Block<'_>,
        config: &Config,
        prefix: Option<Prefix>,
        first: First,
        at: u64,
        buffer: &mut [u8],
    ) -> Result<Fragment, Refusal> {
        let mut e = Emitter::new(buffer, at);
        e.map = core::mem::take(&mut self.map);
        flags::live_before(&block.insns, block.flags_dead_at_end, &mut self.live);
        let entry = prefix.map(|kind| {
            let chain = branch::prefix(&mut e, config, kind, block.pc);
            Entry { at: 0, chain: chain as u32 }
        });
        let body = e.offset() as u32;
        e.mark(block.pc, Fix::NONE);

        let mut exits = core::mem::take(&mut self.exits);
        let mut checks = core::mem::take(&mut self.checks);
        if config.counts() {
            self.counter.plan(block, config, &self.live, first.counter);
        }
        let precise = config.mode.is_precise();
        let checks_memory = config.check_stubs.is_some() && !precise;
        if checks_memory {
            let counts = config.counts().then_some(&self.counter);
            self.checker.plan(block, config.mode, &self.live, counts, &mut self.tools);
        }
        let logs_accesses = config.log_accesses && config.mode == Mode::Plain;
        let models = config.models.filter(|_| logs_accesses);
        let wrong = first.counter + self.counter.count();
        if logs_accesses {
            self.accesses.plan(block, models.is_some(), &mut self.tools);
        }
        if let Some(models) = &models {
            let counted = self.counter.segments();
            self.models.plan(block, models, (first.site, wrong), (&self.live, counted), &mut self.tools);
        }
        if config.mode.guards() && block.function {
            shadow::undefine_below(&mut e, red_zone(block), block.pc);
        }
        let is_live = |live: &[u32], i: usize| live[i] & flags::STATUS != 0;
        let jumped = e.offset() as u32;
        if let Some(function) = first.function {
            let flags = is_live(&self.live, 0);
            if config.follow_calls {
                frames::enter(&mut e, (&config.stubs, config.spends()), function, block.pc, flags);
            } else {
                calls::enter(&mut e, function, block.pc, flags);
            }
        }
        let inner = e.offset() as u32;
        if precise {
            let instructions = block.insns.len() as u32;
            self.precise.begin(&mut e, config.mode, block.pc, instructions, is_live(&self.live, 0));
        }
        let mut out = Out { insn: None, next: block.pc, count: None, flags: true, to: config.mode };
        let mut falls_through = true;
        for (i, insn) in block.insns.iter().enumerate() {
            let pc = insn.pc();
            let flags = is_live(&self.live, i);
            if config.counts() {
                self.counter.begins(&e, i);
                e.done = [(0, 0); 2];
                e.passed = [(0, 0); 4];
            }
            if precise {
                let step = first.steps + (i * size_of::<iced_x86::Instruction>()) as u64;
                self.precise.before(&mut e, config, insn, flags, step, &mut self.tools);
            }
            if checks_memory {
                self.checker.emit(&mut e, config, i, pc, first.check, &mut checks);
            }
            let count = if config.counts() { self.counter.emit(&mut e, i, pc) } else { None };
            if let Some(models) = &models {
                self.models.emit(&mut e, models, (i, insn), flags);
            }
            if logs_accesses {
                self.accesses.emit(&mut e, (i, insn), first.run, &mut self.tools);
            }
            e.mark(pc, Fix::NONE);
            out = Out { insn: Some(insn), next: insn.next_pc(), count, flags, to: config.mode };
            if insn.flow == Flow::Next {
                let bytes = bytes_of(block, insn);
                if !self.copy_or_emulate(&mut e, insn, bytes) {
                    self.accesses.give_up(&mut e, pc);
                    self.models.give_up(&mut e, pc);
                    exits.push(leave(&mut e, pc, Some(Special::Unsupported), config.mode));
                    falls_through = false;
                    break;
                }
                e.mark(insn.next_pc(), Fix::NONE);
                if logs_accesses
                    && self.accesses.emit_behind(&mut e, (i, insn), first.run, &mut self.tools)
                    && models.is_some()
                {
                    frames::work_through_log(&mut e, &config.stubs, insn.next_pc());
                }
                if checks_memory {
                    self.checker.emit_behind(&mut e, i, insn.next_pc());
                } else if precise {
                    self.precise.behind(&mut e, insn);
                }
                falls_through = true;
            } else if precise && insn.flow != Flow::Syscall {
                // The end of the block.
                falls_through = false;
                self.ways_out_of_precise(&mut e, config, block, out, &mut exits);
            } else {
                if let Some(models) = &models
                    && let Some(wrong) = self.models.wrong(pc, wrong)
                {
                    let start = e.position();
                    if !models::indirect(&mut e, &mut self.tools, models, insn, wrong) {
                        e.rewind(start);
                        e.mark(pc, Fix::NONE);
                    }
                }
                falls_through = self.flow(&mut e, config, block, out, &mut exits);
            }
            if config.counts() {
                self.counter.emitted(&e, i);
            }
        }
        if falls_through {
            let out = Out { insn: None, ..out };
            if precise {
                self.ways_out_of_precise(&mut e, config, block, out, &mut exits);
            } else {
                self.leave_behind(&mut e, config, out, &mut exits);
            }
        }
        let cold = if precise || models.is_some() { e.offset() } else { usize::from(u16::MAX) };
        if precise {
            self.precise.finish(&mut e, config);
        }
        if let Some(models) = &models {
            self.models.finish(&mut e, models, &config.stubs, &mut exits);
        }

        for (exit, number) in exits.iter().zip(first.exit..) {
            let distance = config.exit_stub(number).wrapping_sub(at + u64::from(exit.patch) + 4);
            e.patch_u32(exit.patch as usize, distance as u32);
        }
        if e.overflowed() {
            return Err(Refusal::NoSpace);
        }
        let mut counted = core::mem::take(&mut self.counted);
        if config.count_segments {
            self.counter.counted(block, cold, &mut counted);
            if models.is_some() {
                counted.extend(self.models.mispredicted().iter().map(|&(pc, conditional)| {
                    Counted::mispredicted(pc.wrapping_sub(block.pc) as u16, conditional)
                }));
            }
        }
        let (sites, costs) = self.models.take();
        Ok(Fragment {
            pc: block.pc,
            end: block.end(),
            size: e.offset() as u32,
            body,
            jumped,
            inner,
            entry,
            exits,
            checks,
            counted,
            runs: if logs_accesses { self.accesses.take() } else { Vec::new() },
            sites,
            costs,
            map: core::mem::take(&mut e.map),
            instructions: block.insns.len() as u32,
        })
    }

    /// The ways out of precise code: to clean code, and to guarded code where a general register or a flag is undefined.
    fn ways_out_of_precise(
        &mut self,
        e: &mut Emitter<'_>,
        config: &Config,
        block: &Block<'_>,
        out: Out<'_>,
        exits: &mut Vec<Exit>,
    ) {
        let pc = out.insn.map_or(out.next, Insn::pc);
        e.mark(pc, Fix::NONE);
        let undefined = self.precise.look_at_core(e, pc);
        let guarded = Config { tables: config.guarded_tables, ..*config };
        for (config, to) in [(config, Mode::Clean), (&guarded, Mode::Guarded)] {
            let out = Out { to, ..out };
            if to == Mode::Guarded {
                if undefined.is_empty() {
                    break;
                }
                for field in &undefined {
                    e.patch_branch(*field, e.here());
                }
                e.mark(pc, Fix::NONE);
            }
            if out.insn.is_none() || self.flow(e, config, block, out, exits) {
                self.leave_behind(e, config, out, exits);
            }
        }
    }

    /// The way out behind the last instruction.
    fn leave_behind(&mut self, e: &mut Emitter<'_>, config: &Config, out: Out<'_>, exits: &mut Vec<Exit>) {
        if config.counts() {
            self.counter.pass(e, out.next);
        }
        exits.push(leave(e, out.next, None, out.to));
    }

    /// Emits an instruction that can leave the block. Returns whether it may go on with the next one.
    fn flow(
        &mut self,
        e: &mut Emitter<'_>,
        config: &Config,
        block: &Block<'_>,
        out: Out<'_>,
        exits: &mut Vec<Exit>,
    ) -> bool {
        let Out { insn: Some(insn), mut count, flags, to, .. } = out else { return true };
        let pc = insn.pc();
        let asks = config.watch_stack && calls::switches_stack(block);
        let config = &Config { watch_stack: asks, ..*config };
        match insn.flow {
            Flow::Next => (),
            Flow::Jump(target) => exits.push(leave(e, target, None, to)),
            Flow::Condition(target) => {
                // iced numbers the conditions in their encoding's order, from 1.
                let condition = insn.iced.condition_code() as u8 - 1;
                e.align_for_patch(2);
                e.bytes(&[0x0f, 0x80 | condition]);
                let exit = field(e, target, None, to);
                self.models.side_exit(e, pc, exit.patch, exits.len());
                exits.push(exit);
                e.mark(insn.next_pc(), Fix::NONE);
            }
            Flow::ShortCondition(target) => {
                let bytes = bytes_of(block, insn);
                // The taken side hops over a hop: these branches have no rel32 form.
                e.bytes(&bytes[..bytes.len() - 1]);
                e.bytes(&[2]);
                let done = e.offset();
                // loop has counted by now.
                e.mark(insn.next_pc(), Fix::NONE);
                e.bytes(&[0xeb, 0]);
                let hop = e.offset();
                e.passed_from(done);
                e.mark(target, Fix::NONE);
                exits.push(leave(e, target, None, to));
                let distance = (e.offset() - hop) as u8;
                e.patch_u8(hop - 1, distance);
                e.done_from(done);
                e.mark(insn.next_pc(), Fix::NONE);
            }
            Flow::Call(target) => {
                e.push_imm(insn.next_pc(), pc);
                let done = e.offset();
                e.mark(target, Fix::NONE);
                // Code that asks for its own address calls what is behind the call.
                let calls = if target == insn.next_pc() { Calls::No } else { Calls::Surely };
                exits.push(Exit { calls, ..leave(e, target, None, to) });
                e.done_from(done);
            }
            Flow::IndirectJump | Flow::IndirectCall => {
                let switches =
                    config.tells_calls() && insn.flow == Flow::IndirectJump && calls::switches_stack(block);
                if switches {
                    e.store_ctx(layout::R11, reg::R11);
                    e.mark(pc, Fix::R11);
                    if let Some(count) = count.take() {
                        count.through(e, reg::R11);
                    }
                    if config.follow_calls {
                        frames::switch(e, &config.stubs, pc);
                    } else {
                        calls::leave(e, pc, By::Jump, flags);
                    }
                    e.load_ctx(reg::R11, layout::R11);
                    e.mark(pc, Fix::NONE);
                }
                let start = e.position();
                let likely = insn
                    .likely
                    .filter(|_| !asks)
                    .and_then(|pc| branch::likely(e, &mut self.tools, config, insn, pc, (count, flags), to));
                if let Some(exit) = likely {
                    // Who jumps through such a pointer is mostly a linkage table, or leaves its function.
                    let call = insn.flow == Flow::IndirectCall;
                    let calls = if call { Calls::Surely } else { Calls::Perhaps };
                    exits.push(Exit { calls, ..exit });
                } else {
                    e.rewind(start);
                    if !branch::indirect(e, &mut self.tools, config, insn, count) {
                        e.rewind(start);
                        exits.push(leave(e, pc, Some(Special::Unsupported), to));
                    }
                }
            }
            Flow::Return(extra) => branch::ret(e, config, pc, extra, (count, flags)),
            Flow::Syscall => branch::syscall(e, config, insn),
            Flow::TransactionAbort(target) => {
                e.load_imm(reg::RAX, 0);
                e.mark(target, Fix::NONE);
                exits.push(leave(e, target, None, to));
            }
            // To precise code there is a direct way.
            Flow::Beyond => exits.push(leave(e, pc, None, to.precise())),
            Flow::Special(special) => exits.push(leave(e, pc, Some(special), to)),
        }
        insn.flow.falls_through()
    }

    /// Takes back the memory of a translation that has been used, for the next one.
    pub fn give_back(&mut self, mut used: Fragment) {
        used.exits.clear();
        used.checks.clear();
        used.counted.clear();
        used.map.clear();
        self.exits = used.exits;
        self.checks = used.checks;
        self.counted = used.counted;
        self.map = used.map;
    }

    /// Emits an instruction that goes on with the next one. False when there is no way.
    fn copy_or_emulate(&mut self, e: &mut Emitter<'_>, insn: &Insn, bytes: &[u8]) -> bool {
        use iced_x86::{Code, Mnemonic, Register};
        let iced = &insn.iced;
        let slot = |fs: bool| if fs { layout::GUEST_FS } else { layout::GUEST_GS };
        let register = || crate::decode::number(iced.op0_register());
        match iced.code() {
            Code::Rdfsbase_r64 | Code::Rdgsbase_r64 => {
                let Some(register) = register() else { return false };
                e.load_ctx(register, slot(iced.code() == Code::Rdfsbase_r64));
            }
            Code::Rdfsbase_r32 | Code::Rdgsbase_r32 => {
                let Some(register) = register() else { return false };
                // mov r32, fs:[slot]
                e.bytes(&[0x64, 0x40 | (register >> 3) << 2, 0x8b, 0x04 | (register & 7) << 3, 0x25]);
                e.u32(slot(iced.code() == Code::Rdfsbase_r32));
            }
            Code::Wrfsbase_r64 | Code::Wrgsbase_r64 => {
                let Some(register) = register() else { return false };
                e.store_ctx(slot(iced.code() == Code::Wrfsbase_r64), register);
            }
            Code::Wrfsbase_r32 | Code::Wrgsbase_r32 => {
                let Some(register) = register() else { return false };
                e.store_ctx(layout::SPILL, register);
                e.mark(insn.pc(), Fix::spill(register));
                // mov r32, r32: the base must change in one store, with its upper half.
                let rex = 0x40 | (register >> 3) << 2 | register >> 3;
                e.bytes(&[rex, 0x89, 0xc0 | (register & 7) << 3 | (register & 7)]);
                e.store_ctx(slot(iced.code() == Code::Wrfsbase_r32), register);
                e.mark(insn.next_pc(), Fix::spill(register));
                e.load_ctx(register, layout::SPILL);
            }
            // A selector load resets the base; with the null selectors of 64-bit programs, to zero.
            Code::Mov_Sreg_r32m16 | Code::Mov_Sreg_rm16 | Code::Mov_Sreg_r64m16
                if matches!(iced.op0_register(), Register::FS | Register::GS) =>
            {
                // mov qword fs:[slot], 0
                e.bytes(&[0x64, 0x48, 0xc7, 0x04, 0x25]);
                e.u32(slot(iced.op0_register() == Register::FS));
                e.u32(0);
            }
            // They would load the segments that are the engine's.
            Code::Popq_FS | Code::Popq_GS | Code::Popw_FS | Code::Popw_GS => return false,
            _ if matches!(iced.mnemonic(), Mnemonic::Lfs | Mnemonic::Lgs) => return false,
            Code::Swapgs => return false,
            _ => return operand::copy(e, &mut self.tools, insn, bytes),
        }
        true
    }
}

/// A prefix of its own for a fragment that was made without it: checks, then jumps to the body.
/// Returns its size and the offset of its chain field.
///
/// # Errors
/// [`Refusal::NoSpace`] when the buffer is too small.
pub fn emit_prefix(
    config: &Config,
    kind: Prefix,
    pc: u64,
    body: u64,
    at: u64,
    buffer: &mut [u8],
) -> Result<(u32, Entry, Vec<MapEntry>), Refusal> {
    let mut e = Emitter::new(buffer, at);
    let chain = branch::prefix(&mut e, config, kind, pc) as u32;
    e.mark(pc, Fix::NONE);
    e.jmp(body);
    if e.overflowed() {
        return Err(Refusal::NoSpace);
    }
    Ok((e.offset() as u32, Entry { at: 0, chain }, core::mem::take(&mut e.map)))
}

/// The code that leads from a check at guest address `pc` in code of `mode` to precise code at `to`, and adds `adjust` to the
/// number of instructions, and one to a counter, where those are wanted. `flags`: one is live there. Returns its size.
///
/// # Errors
/// [`Refusal::NoSpace`] when the buffer is too small.
pub fn emit_adjustment(
    pc: u64,
    mode: Mode,
    (adjust, counter): (Option<i16>, Option<u32>),
    flags: bool,
    to: u64,
    at: u64,
    buffer: &mut [u8],
) -> Result<(u32, Vec<MapEntry>), Refusal> {
    let mut e = Emitter::new(buffer, at);
    e.mark(pc, Fix::NONE);
    let own = counter.map(|counter| (count::own_counter(counter), 1));
    let instructions = adjust.map(|adjust| (count::slots(mode, true).0, i32::from(adjust) as u32));
    let counts: Vec<_> = own.into_iter().chain(instructions).collect();
    count::add(&mut e, pc, &counts, flags);
    e.jmp(to);
    if e.overflowed() {
        return Err(Refusal::NoSpace);
    }
    Ok((e.offset() as u32, core::mem::take(&mut e.map)))
}

/// What stands in for a guest function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// What the helper knows it by.
    pub number: u32,
    /// Address of the engine's function, which is given the context and returns what goes to rax.
    pub helper: u64,
}

/// The code that stands in for the guest function at `pc`: leaves its pc in `PC`, the number in `EXIT` and the helper in rax,
/// which means nothing there, for the stub at `heap_call`. Returns its size, at most 51 bytes; `buffer` must hold them.
pub fn emit_replaced(pc: u64, replaced: Replaced, heap_call: u64, at: u64, buffer: &mut [u8]) -> u32 {
    let mut e = Emitter::new(buffer, at);
    if pc < 1 << 31 {
        // mov qword fs:[PC], imm32: one store, for one load to take it from.
        e.bytes(&[0x64, 0x48, 0xc7, 0x04, 0x25]);
        e.u32(layout::PC);
        e.u32(pc as u32);
    } else {
        e.store_ctx_imm(layout::PC, pc as u32);
        e.store_ctx_imm(layout::PC + 4, (pc >> 32) as u32);
    }
    e.store_ctx_imm(layout::EXIT, replaced.number);
    // mov rax, imm64
    e.bytes(&[0x48, 0xb8]);
    e.bytes(&replaced.helper.to_le_bytes());
    e.jmp(heap_call);
    e.offset() as u32
}

/// `jmp rel32` that will lead to the exit's stub.
pub(crate) fn leave(e: &mut Emitter<'_>, target: u64, special: Option<Special>, to: Mode) -> Exit {
    e.align_for_patch(1);
    e.bytes(&[0xe9]);
    field(e, target, special, to)
}

/// The rel32 field of an exit whose opcode has been emitted.
fn field(e: &mut Emitter<'_>, target: u64, special: Option<Special>, to: Mode) -> Exit {
    let patch = e.offset() as u32;
    e.u32(0);
    Exit { target, patch, special, to, calls: Calls::No }
}

/// The guest's bytes of an instruction.
fn bytes_of<'a>(block: &Block<'a>, insn: &Insn) -> &'a [u8] {
    &block.bytes[insn.at..(insn.at + insn.iced.len()).min(block.bytes.len())]
}

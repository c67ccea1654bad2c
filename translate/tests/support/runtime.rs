//! A minimal engine: cache, context, dispatcher and state recovery, for a guest in a [`Puppet`].
//!
//! The dispatcher's address holds a breakpoint, so the test does the dispatcher's work while the child is stopped.

mod counters;
mod models;
mod recover;

use super::frames::Followed;
use super::puppet::{Puppet, Region, Stop, set_gprs};
use super::space::Space;
use counters::Segment;
use definedness::Registers;
use models::Looked;
use std::collections::HashMap;
use translate::accesses::{Form, Head};
use translate::calls;
use translate::layout::{self, Fix, MapEntry};
use translate::{
    Block, Config, First, Fragment, Limits, Missed, Mode, Pointer, Prefix, Scratch, Special, StubTable,
    Tables, Translator, What, emit_prefix, emit_stubs,
};

const FRAGMENTS: u64 = 0x4000;
const TABLES: u64 = 0x60_0000;
const TABLE_BYTES: u64 = Tables::ENTRIES * Tables::ENTRY_BYTES;
const CLASS: u64 = 0x72_0000;
/// Where the contexts of the tests lie, and how far apart.
const CONTEXTS: (u64, u64) = (0x3000_0000_0000, 1 << 32);
const ENGINE_STACK: u64 = 0x75_0000;
const DISPATCHER: u64 = 0x76_0000;
const HELPER: u64 = DISPATCHER + 0x10;
const CHECK_STUBS: u64 = 0x77_0000;
const LOG: u64 = 0xe0_0000;
const LOG_BYTES: u64 = 0x10_0000;
const SIZE: usize = 0x100_0000;

/// What surrounds one run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub count: bool,
    /// With a log of calls: each block is a function.
    pub calls: bool,
    /// With calls followed in code instead.
    pub follows: bool,
    /// With a log of data accesses, in plain code.
    pub accesses: bool,
    /// With models that emitted code looks at instead, where that can; with all of `count`, `accesses`, and no calls.
    pub models: bool,
    pub limits: Limits,
    pub link: bool,
    /// With shadow checks, which find V bits in the shadow that the space has.
    pub check: bool,
    /// What is taken for granted of registers; all of them are defined.
    pub mode: Mode,
}

/// Everything that a guest program can see of itself, but its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// In encoding order.
    pub regs: [u64; 16],
    pub pc: u64,
    pub flags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}

/// CF PF AF ZF SF DF OF AC: the flags that a program owns.
pub const FLAGS: u64 = 0x4_0cd5;

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Entered {
        pc: u64,
        clock: u64,
        sp: u64,
        site: u64,
    },
    Left {
        sp: u64,
        clock: u64,
    },
    /// The record of a run, by its number.
    Executed {
        number: u32,
        record: Vec<u64>,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exit,
    Signal(Stop),
    Special(Special),
    /// It went where no code is.
    Wild,
}

struct Placed {
    pc: u64,
    start: u64,
    end: u64,
    body: u64,
    /// By `Prefix`: whether the table leads to it.
    prefixes: [bool; 2],
}

#[derive(Clone, Copy)]
struct PlacedExit {
    target: u64,
    patch: u64,
    special: Option<Special>,
    /// It leads from other code to the precise code of one instruction.
    beyond: bool,
}

pub struct Runtime {
    pub region: Region,
    /// The context and what lies behind it.
    pub memory: Region,
    followed: Followed,
    pub stubs: StubTable,
    tables: Tables,
    translator: Translator,
    options: Options,
    at: u64,
    fragments: Vec<Placed>,
    by_pc: HashMap<u64, usize>,
    exits: Vec<PlacedExit>,
    /// By number: place behind the check, bytes.
    checks: Vec<(u64, u8)>,
    /// Checks that have found V bits.
    pub found: u64,
    /// By table and index: where the last prefix of the chain has its displacement.
    chains: HashMap<(usize, u64), u64>,
    /// Maps: (start, end, map).
    maps: Vec<(u64, u64, Vec<MapEntry>)>,
    /// By number of the counter.
    counted: Vec<Segment>,
    /// By number of the run.
    pub forms: Vec<Form>,
    pub looked: Looked,
}

/// Where the branch at `pc` through the pointer at `address` leads: nothing, a lie, or the truth.
fn guess(space: &Space, pc: u64, address: u64) -> Pointer {
    if !space.is_data(address) {
        return Pointer::Unknown;
    }
    let truth = space.region.u64(address);
    match pc % 4 {
        0 => Pointer::Unknown,
        1 => Pointer::LeadsTo(truth ^ 0x40),
        _ => Pointer::LeadsTo(truth),
    }
}

fn index(kind: Prefix) -> usize {
    match kind {
        Prefix::Indirect => 0,
        Prefix::Return => 1,
    }
}

impl Runtime {
    /// `number` tells apart the caches of tests that run at the same time.
    pub fn new(number: u64) -> Runtime {
        let base = 0x6000_0000 + number * 0x0100_0000;
        let mut region = Region::map(base, SIZE);
        let looked = Looked::new(number);
        let memory = Region::map(CONTEXTS.0 + number * CONTEXTS.1, looked.models.end() as usize);
        let tables = Tables {
            indirect: (base + TABLES) as u32,
            returns: (base + TABLES + TABLE_BYTES) as u32,
            bmi2: number.is_multiple_of(2) && is_x86_feature_detected!("bmi2"),
        };
        let stubs = emit_stubs(
            base,
            region.bytes_mut(base, FRAGMENTS as usize),
            (base + CLASS) as u32,
            tables,
            Default::default(),
            Some((&looked.models, base + HELPER)),
        );
        let stubs = stubs.unwrap();
        region.write(base + DISPATCHER, &[0xcc]);
        region.write(base + HELPER, &[0xcc]);
        let misses = [stubs.addresses.indirect_miss, stubs.addresses.return_miss];
        for (table, miss) in (0..).zip(misses) {
            for entry in 0..Tables::ENTRIES {
                let address = base + TABLES + table * TABLE_BYTES + entry * Tables::ENTRY_BYTES;
                region.write(address, &(miss as u32).to_le_bytes());
            }
        }
        // getuid goes through the dispatcher, every other call directly.
        region.write(base + CLASS + libc::SYS_getuid as u64, &[1]);
        Runtime {
            region,
            memory,
            followed: Followed::default(),
            stubs,
            tables,
            translator: Translator::new(),
            options: Options {
                count: false,
                calls: false,
                follows: false,
                accesses: false,
                models: false,
                limits: Limits::default(),
                link: true,
                check: false,
                mode: Mode::Plain,
            },
            at: base + FRAGMENTS,
            fragments: Vec::new(),
            by_pc: HashMap::new(),
            exits: Vec::new(),
            checks: Vec::new(),
            found: 0,
            chains: HashMap::new(),
            maps: Vec::new(),
            counted: Vec::new(),
            forms: Vec::new(),
            looked,
        }
    }

    fn base(&self) -> u64 {
        self.region.base
    }

    fn config(&self) -> Config {
        Config {
            tables: self.tables,
            guarded_tables: self.tables,
            stubs: self.stubs.addresses,
            exit_stubs_end: self.base() + TABLES,
            count: self.options.count,
            count_segments: self.options.count,
            log_calls: self.options.calls,
            follow_calls: self.options.follows,
            log_accesses: self.options.accesses,
            models: self.options.models.then_some(self.looked.models),
            watch_stack: self.options.calls,
            check_stubs: self.options.check.then(|| self.base() + CHECK_STUBS),
            mode: self.options.mode,
        }
    }

    pub fn slot(&self, offset: u32) -> u64 {
        self.memory.u64(self.context(offset))
    }

    /// Guest instructions counted.
    pub fn counted(&self) -> u64 {
        let sum = |first, slots| (0..slots).map(|slot| self.slot(first + 8 * slot)).sum::<u64>();
        sum(layout::INSTRUCTIONS, layout::INSTRUCTION_SLOTS)
            + sum(layout::GUARDED_INSTRUCTIONS, layout::GUARDED_SLOTS)
    }

    /// What emitted code has told of calls, in its order.
    pub fn calls(&self) -> Vec<Told> {
        let (start, end) = (self.base() + LOG, self.slot(layout::LOG));
        assert!((start..start + LOG_BYTES).contains(&end), "the test's log is full");
        let words: Vec<u64> = (start..end).step_by(8).map(|at| self.region.u64(at)).collect();
        let mut told = Vec::new();
        let mut rest = &words[..];
        while let Some(&head) = rest.first() {
            let clock = rest.get(1).copied().unwrap_or(0);
            if let Head::Whole(number) = Head::of(head) {
                let form = &self.forms[number as usize];
                let (record, behind) = rest.split_at(form.words.into());
                told.push(Told::Executed { number, record: record.to_vec() });
                rest = behind;
                continue;
            }
            if head & calls::IS_ENTRY == 0 {
                told.push(Told::Left { sp: head, clock });
                rest = &rest[calls::LEAVE_WORDS..];
            } else {
                let pc = self.fragments[!head as usize].pc;
                told.push(Told::Entered { pc, clock, sp: rest[3], site: rest[2] });
                rest = &rest[calls::ENTER_WORDS..];
            }
        }
        told
    }

    fn set_slot(&mut self, offset: u32, value: u64) {
        self.memory.set_u64(self.context(offset), value);
    }

    /// Empties the cache.
    fn reset(&mut self, options: Options) {
        let misses = [self.stubs.addresses.indirect_miss, self.stubs.addresses.return_miss];
        let used: Vec<_> = self.chains.drain().map(|(key, _)| key).collect();
        for (table, slot) in used {
            self.set_entry(table, slot, misses[table]);
        }
        self.options = options;
        self.at = self.base() + FRAGMENTS;
        self.fragments.clear();
        self.by_pc.clear();
        self.exits.clear();
        self.checks.clear();
        self.maps.clear();
    }

    /// Points entry `index` of a table at `target`.
    fn set_entry(&mut self, table: usize, index: u64, target: u64) {
        let address = self.base() + TABLES + table as u64 * TABLE_BYTES + index * Tables::ENTRY_BYTES;
        self.region.write(address, &(target as u32).to_le_bytes());
    }

    fn patch(&mut self, field: u64, target: u64) {
        assert!(field & 63 <= 60, "a patch field must not straddle a cache line");
        self.region.write(field, &(target.wrapping_sub(field + 4) as u32).to_le_bytes());
    }

    /// The fragment of `pc`, translated now if need be.
    fn fragment(&mut self, space: &Space, pc: u64, prefix: Option<Prefix>) -> usize {
        if let Some(&id) = self.by_pc.get(&pc) {
            if let Some(kind) = prefix.filter(|kind| !self.fragments[id].prefixes[index(*kind)]) {
                let at = self.at.next_multiple_of(16);
                let body = self.fragments[id].body;
                let config = self.config();
                let buffer = self.region.bytes_mut(at, 0x100);
                let (size, entry, map) = emit_prefix(&config, kind, pc, body, at, buffer).unwrap();
                self.add_entry(id, kind, pc, at + u64::from(entry.at), at + u64::from(entry.chain));
                self.maps.push((at, at + u64::from(size), map));
                self.at = at + u64::from(size);
            }
            return id;
        }
        let room = (space.exit() - pc).min(4096) as usize;
        let bytes = space.region.bytes(pc, room);
        let pointer = |pc, address| guess(space, pc, address);
        let mut block = Block::decode_in(Scratch::default(), bytes, pc, self.options.limits, pointer);
        // The pointer tells, whatever the guess is.
        let pointee = || {
            let pointer = block.decoded().last().filter(|_| block.passes_no_flags())?;
            let fixed =
                pointer.is_ip_rel_memory_operand() && pointer.segment_prefix() == iced_x86::Register::None;
            let address = fixed.then(|| pointer.ip_rel_memory_address());
            address.filter(|&address| space.is_data(address)).map(|address| space.region.u64(address))
        };
        if let Some(target) = block.leads_to().or_else(pointee).filter(|&target| space.is_code(target)) {
            let bytes = space.region.bytes(target, (space.exit() - target).min(40) as usize);
            if translate::incoming_flags(bytes, target) == translate::Incoming::Overwritten {
                block.set_flags_dead_at_end();
            }
        }
        let at = self.at.next_multiple_of(16);
        let config = self.config();
        let first = First {
            exit: self.exits.len() as u32,
            check: self.checks.len() as u32,
            counter: self.counted.len() as u32,
            run: self.forms.len() as u32,
            site: self.looked.sites.len() as u32,
            function: ((self.options.calls || self.options.follows) && !self.options.mode.is_precise())
                .then_some(self.fragments.len() as u32),
            steps: 0,
        };
        assert!(at + 0x8000 < config.exit_stub(first.exit), "the test's cache is full");
        let buffer = self.region.bytes_mut(at, 0x4000);
        let fragment = self.translator.translate(&block, &config, prefix, first, at, buffer).unwrap();
        assert_eq!(fragment.pc, pc);
        assert_eq!(fragment.end, block.end());
        assert!(fragment.map.windows(2).all(|pair| pair[0].cache < pair[1].cache), "{:x?}", fragment.map);
        self.place_exits(&fragment, &config, at, first.exit);
        for (check, number) in fragment.checks.iter().zip(first.check..) {
            let stub = config.check_stub(number);
            self.region.write(stub, &config.check_stub_code(number, check, at));
            let resume = at + u64::from(check.resume);
            let size = match check.what {
                What::Memory { size, .. } => size,
                What::Registers => 0,
            };
            self.checks.push((resume, size));
        }
        let id = self.fragments.len();
        let end = at + u64::from(fragment.size);
        self.fragments.push(Placed {
            pc,
            start: at,
            end,
            body: at + u64::from(fragment.body),
            prefixes: [false; 2],
        });
        self.by_pc.insert(pc, id);
        if let (Some(entry), Some(kind)) = (fragment.entry, prefix) {
            self.add_entry(id, kind, pc, at + u64::from(entry.at), at + u64::from(entry.chain));
        }
        self.add_counted(&fragment, &block, at);
        self.forms.extend(fragment.runs.into_iter().map(|(form, _)| form));
        self.looked.sites.extend(&fragment.sites);
        self.maps.push((at, end, fragment.map));
        self.at = end;
        id
    }

    /// Precise code for the one instruction at `pc`: its cache address. Nothing is linked to it.
    fn precise(&mut self, space: &Space, pc: u64) -> u64 {
        let limits = Limits { instructions: 1, segments: 1, checked: false };
        let bytes = space.region.bytes(pc, (space.exit() - pc).min(16) as usize);
        let block = Block::decode(bytes, pc, limits);
        let at = self.at.next_multiple_of(16);
        let config = Config { mode: self.options.mode.precise(), ..self.config() };
        let first = First {
            exit: self.exits.len() as u32,
            check: 0,
            counter: self.counted.len() as u32,
            run: 0,
            site: 0,
            function: None,
            steps: 0x7100_0000_0000,
        };
        let buffer = self.region.bytes_mut(at, 0x1000);
        let fragment = self.translator.translate(&block, &config, None, first, at, buffer).unwrap();
        self.place_exits(&fragment, &config, at, first.exit);
        let end = at + u64::from(fragment.size);
        self.add_counted(&fragment, &block, at);
        self.maps.push((at, end, fragment.map));
        self.at = end;
        at + u64::from(fragment.body)
    }

    fn place_exits(&mut self, fragment: &Fragment, config: &Config, at: u64, first: u32) {
        for (exit, number) in fragment.exits.iter().zip(first..) {
            let stub = config.exit_stub(number);
            self.region.write(stub, &config.exit_stub_code(number, exit));
            let marks = vec![MapEntry { cache: 0, guest: exit.target, fix: Fix::NONE }];
            self.maps.push((stub, stub + layout::EXIT_STUB_BYTES, marks));
            self.exits.push(PlacedExit {
                target: exit.target,
                patch: if exit.patch == 0 { 0 } else { at + u64::from(exit.patch) },
                special: exit.special,
                beyond: exit.to.is_precise() && !self.options.mode.is_precise(),
            });
        }
    }

    fn add_entry(&mut self, id: usize, kind: Prefix, pc: u64, entry: u64, chain: u64) {
        self.fragments[id].prefixes[index(kind)] = true;
        let slot = self.tables.index(pc);
        match self.chains.insert((index(kind), slot), chain) {
            Some(last) => self.patch(last, entry),
            None => self.set_entry(index(kind), slot, entry),
        }
    }

    /// Sets up a run that begins with `state`.
    pub fn start(&mut self, puppet: &Puppet, space: &Space, state: &State, xstate: &[u8], options: Options) {
        self.reset(options);
        let base = self.base();
        self.memory.bytes_mut(self.context(0), 0x1000).fill(0);
        let counters = 8 * self.counted.len();
        self.memory.bytes_mut(self.context(layout::COUNTERS), counters).fill(0);
        if options.follows {
            self.followed.begin(&mut self.memory);
        }
        self.counted.clear();
        self.forms.clear();
        if options.models {
            self.begin_models();
        }
        self.set_slot(layout::SELF, self.context(0));
        self.set_slot(layout::LOG, base + LOG);
        for (slot, value) in (0..).zip(layout::PATTERNS_VALUES) {
            self.set_slot(layout::PATTERNS + 8 * slot, value);
        }
        self.set_slot(layout::GUEST_FS, state.fs_base);
        self.set_slot(layout::GUEST_GS, state.gs_base);
        self.set_slot(layout::ENGINE_RSP, base + ENGINE_STACK + 0x8000);
        self.set_slot(layout::DISPATCH, base + DISPATCHER);
        self.set_slot(layout::FLAGS, state.flags | 0x202);
        for (i, value) in state.regs.iter().enumerate() {
            self.set_slot(layout::REGS + 8 * i as u32, *value);
        }
        self.memory.write(self.context(layout::XMM), &xstate[160..416]);
        let id = self.fragment(space, state.pc, None);
        self.enter(puppet, self.fragments[id].body, xstate);
    }

    /// Sends the child through the `enter` stub to cache address `next`.
    fn enter(&mut self, puppet: &Puppet, next: u64, xstate: &[u8]) {
        self.set_slot(layout::NEXT, next);
        let mut regs = puppet.regs();
        set_gprs(&mut regs, &[0xdead_dead_dead_dead; 16]);
        regs.rip = self.stubs.enter;
        regs.eflags = 0x202;
        regs.fs_base = self.context(0);
        // Nothing that the guest may do must ever use the real base; without checks nothing is there.
        regs.gs_base = super::space::SHADOW.wrapping_sub(layout::SHADOW_BIAS);
        puppet.set_regs(&regs);
        puppet.set_xstate(xstate);
    }

    /// Whether the child stands at the dispatcher.
    pub fn at_dispatcher(&self, pc: u64) -> bool {
        pc == self.base() + DISPATCHER
    }

    /// What the dispatcher does. `Some` when the program has ended.
    pub fn dispatch(&mut self, puppet: &Puppet, space: &Space) -> Option<End> {
        assert_eq!(self.slot(layout::STATE) as u32, layout::STATE_ENGINE);
        let exit = self.slot(layout::EXIT) as u32 as usize;
        let (pc, kind) = match self.slot(layout::REASON) as u32 {
            layout::EXIT_DIRECT => {
                let PlacedExit { target, special, beyond, .. } = self.exits[exit];
                assert_eq!(special, None);
                if beyond {
                    let next = self.precise(space, target);
                    self.go_on(puppet, next);
                    return None;
                }
                (target, None)
            }
            layout::EXIT_INDIRECT => (self.slot(layout::TARGET), Some(Prefix::Indirect)),
            layout::EXIT_RETURN => (self.slot(layout::TARGET), Some(Prefix::Return)),
            layout::EXIT_STEP => {
                self.go_on(puppet, self.slot(layout::CONTINUE));
                return None;
            }
            layout::EXIT_SPECIAL => {
                self.set_slot(layout::PC, self.exits[exit].target);
                return Some(End::Special(self.exits[exit].special.unwrap()));
            }
            layout::EXIT_CALL if self.options.models => {
                self.asked(exit as u32);
                self.go_on(puppet, self.slot(layout::CONTINUE));
                return None;
            }
            layout::EXIT_CALL => {
                let sp = self.slot(layout::REGS + 8 * 4);
                let clock = self.counted();
                let site = space.word(sp).unwrap_or(0);
                self.followed.asked(&mut self.memory, exit as u32, (sp, site), clock);
                self.go_on(puppet, self.slot(layout::CONTINUE));
                return None;
            }
            layout::EXIT_SYSCALL => {
                self.go_on(puppet, self.stubs.syscall_pass);
                return None;
            }
            layout::EXIT_CHECK => {
                let (address, resume) = (self.slot(layout::TARGET), self.slot(layout::CONTINUE));
                let check = self.checks.iter().find(|check| check.0 == resume);
                let size = check.expect("a check leads back to behind itself").1;
                assert_ne!(size, 0, "all registers are defined");
                assert!(space.has_v_bits(address, size), "{address:#x} has no V bits");
                self.found += 1;
                self.go_on(puppet, resume);
                return None;
            }
            reason => panic!("the dispatcher was entered for reason {reason}"),
        };
        self.set_slot(layout::PC, pc);
        if pc == space.exit() {
            return Some(End::Exit);
        }
        if !space.is_code(pc) {
            return Some(End::Wild);
        }
        let id = self.fragment(space, pc, kind);
        let body = self.fragments[id].body;
        if kind.is_none() && self.options.link {
            let field = self.exits[exit].patch;
            self.patch(field, body);
        }
        self.go_on(puppet, body);
        None
    }

    /// Returns from the dispatcher as the engine's own does, but having used every register it may use.
    fn go_on(&mut self, puppet: &Puppet, next: u64) {
        self.set_slot(layout::NEXT, next);
        let mut regs = puppet.regs();
        // Behind the call that led to the dispatcher.
        regs.rip = self.region.u64(regs.rsp);
        assert_eq!(regs.rip, self.stubs.enter);
        set_gprs(&mut regs, &[0xdead_dead_dead_dead; 16]);
        regs.rsp = self.slot(layout::ENGINE_RSP);
        puppet.set_regs(&regs);
    }

    /// V bits of registers for a run that is about to begin.
    #[allow(dead_code, reason = "not every suite has undefined values")]
    pub fn set_v(&mut self, v: &Registers) {
        let dirty: Vec<bool> = dirty(v);
        for (place, dirty) in (0..).zip(dirty) {
            self.memory.write(self.context(layout::DIRTY + place), &[u8::from(dirty)]);
        }
        for (slot, v) in (0..).zip(v.gpr) {
            self.set_slot(layout::V_GENERAL + 8 * slot, v);
        }
        for (slot, v) in (0..).zip(v.vector.as_flattened()) {
            self.set_slot(layout::V_VECTOR + 8 * slot, *v);
        }
    }

    /// V bits of general and vector registers now; what does not count is zero. An error when it does not say exactly which
    /// have any.
    #[allow(dead_code, reason = "not every suite has undefined values")]
    pub fn v(&self) -> Result<Registers, String> {
        let counts = |place: usize| self.memory.bytes(self.context(layout::DIRTY + place as u32), 1)[0] != 0;
        let mut v = Registers::default();
        for (number, v) in v.gpr.iter_mut().enumerate().filter(|(number, _)| counts(*number)) {
            *v = self.slot(layout::V_GENERAL + 8 * number as u32);
        }
        for (number, v) in v.vector.iter_mut().enumerate() {
            for (word, v) in v.iter_mut().enumerate().filter(|(word, _)| counts(vector_place(number, *word)))
            {
                *v = self.slot(layout::V_VECTOR + (64 * number + 8 * word) as u32);
            }
        }
        match dirty(&v).into_iter().enumerate().find(|&(place, dirty)| dirty != counts(place)) {
            None => Ok(v),
            Some((place, dirty)) => Err(format!("register {place} has undefined bits: {dirty}")),
        }
    }

    fn context(&self, offset: u32) -> u64 {
        self.memory.base + u64::from(offset)
    }

    /// Runs up to the next stop at the dispatcher: why it was entered.
    #[allow(dead_code, reason = "not every suite looks at each")]
    pub fn run_to_dispatcher(&mut self, puppet: &Puppet) -> u32 {
        let stop = puppet.run();
        let pc = puppet.regs().rip;
        assert!(stop.signal == libc::SIGTRAP && self.at_dispatcher(pc - 1), "{stop:?} at {pc:#x}");
        self.slot(layout::REASON) as u32
    }

    /// Runs to the program's end.
    pub fn run(&mut self, puppet: &Puppet, space: &Space) -> End {
        loop {
            let stop = puppet.run();
            let pc = puppet.regs().rip;
            if stop.signal == libc::SIGTRAP && self.at_helper(pc - 1) {
                self.help(puppet);
                continue;
            }
            if stop.signal != libc::SIGTRAP || !self.at_dispatcher(pc - 1) {
                if self.skip_check(puppet) {
                    continue;
                }
                return End::Signal(stop);
            }
            if let Some(end) = self.dispatch(puppet, space) {
                return end;
            }
        }
    }

    /// Goes on behind a check whose address has no shadow. False when the child has stopped for another reason.
    fn skip_check(&self, puppet: &Puppet) -> bool {
        const ZERO: u64 = 0x40;
        let mut regs = puppet.regs();
        if !self.in_cache(regs.rip) {
            return false;
        }
        let Some(faulted) = translate::faulted(self.region.bytes(regs.rip, 15)) else { return false };
        match faulted.missed {
            Missed::LoadRcx => regs.rcx = 0,
            Missed::Compare => regs.eflags |= ZERO,
            Missed::Store => (),
        }
        regs.rip += u64::from(faulted.length);
        puppet.set_regs(&regs);
        true
    }

    /// The guest's state as the context holds it, after the dispatcher was entered.
    pub fn state_in_context(&self) -> State {
        State {
            regs: std::array::from_fn(|i| self.slot(layout::REGS + 8 * i as u32)),
            pc: self.slot(layout::PC),
            flags: self.slot(layout::FLAGS) & FLAGS,
            fs_base: self.slot(layout::GUEST_FS),
            gs_base: self.slot(layout::GUEST_GS),
        }
    }

    /// The low halves of the vector registers in the context.
    pub fn xmm_in_context(&self) -> &[u8] {
        self.memory.bytes(self.context(layout::XMM), 256)
    }

    /// Disassembly of the fragments, for messages.
    pub fn listing(&self) -> String {
        let mut out = String::new();
        for (pc, id) in &self.by_pc {
            let placed = &self.fragments[*id];
            out += &format!("guest {pc:#x}:\n");
            let bytes = self.region.bytes(placed.start, (placed.end - placed.start) as usize);
            out += &super::disassemble(bytes, placed.start);
        }
        out
    }
}

/// The place of a word of a vector register.
fn vector_place(number: usize, word: usize) -> usize {
    number + if word < 2 { 32 } else { 64 }
}

/// Which places have undefined bits.
fn dirty(v: &Registers) -> Vec<bool> {
    let mut dirty = vec![false; translate::Set::COUNT];
    for (dirty, v) in dirty.iter_mut().zip(v.gpr) {
        *dirty = v != 0;
    }
    for (number, v) in v.vector.iter().enumerate() {
        for (word, v) in v.iter().enumerate() {
            dirty[vector_place(number, word)] |= *v != 0;
        }
    }
    dirty
}

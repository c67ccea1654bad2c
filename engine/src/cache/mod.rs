//! The code cache: its memory, the guest-pc table, links between fragments, and the branch tables.
//!
//! Invariants: a fragment is reachable only when it is complete. Code that was emitted is changed only by aligned
//! 4-byte stores to branch displacements that lie within one cache line, and by 4-byte stores to branch-table
//! entries, so other threads may execute it meanwhile. Code memory is used again only after [`Cache::clear`],
//! whose caller has stopped the world.
//!
//! Not here: deciding what to translate (`dispatch`), how (crate `translate`).
//!
//! # Safety
//! `unsafe` here writes to the cache's mapping, which only this module does, under the lock around [`Cache`].
#![allow(unsafe_code, reason = "writes to the code cache's mapping")]

mod ahead;
mod chain;
mod counted;
pub use counted::Executed;
mod functions;
mod link;
mod lookup;
mod pages;
mod place;
mod pointers;
mod processor;
mod runs;
mod sites;
mod watched;

use crate::space::{self, PAGE};
use crate::sys;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use chain::Chains;
use counted::Counters;
pub use functions::Arrival;
use functions::Functions;
use iced_x86::Instruction;
use lookup::PcTable;
use pages::Pages;
use pointers::Pointers;
use runs::Runs;
use translate::layout::{CHECK_STUB_BYTES, EXIT_STUB_BYTES, Fix, MapEntry};
use translate::{
    Block, Calls, Check, Config, First, Limits, Mode, Pointer, Prefix, Replaced, Scratch, Start, StubTable,
    Tables, Translator, What,
};
use watched::Watched;

/// Bytes of one branch table.
const TABLE_BYTES: u64 = Tables::ENTRIES * Tables::ENTRY_BYTES;
/// Bytes of the table of system-call classes.
const CLASS_BYTES: u64 = 65_536;
/// Room for the stubs.
const STUB_BYTES: u64 = 16384;
/// Room that a fragment can need at most; translation is not begun with less.
const FRAGMENT_ROOM: u64 = 60 * 1024;
/// Instructions of precise code in one fragment, each of which may need a few hundred bytes.
const MOST_PRECISE: usize = 48;

/// Room for the code that leads from a replaced function to the engine.
const REPLACED_BYTES: usize = 56;

/// A fragment's number.
pub type FragmentId = u32;

/// A map entry in 8 bytes.
#[derive(Clone, Copy)]
struct PackedEntry {
    cache: u16,
    guest: i16,
    fix: Fix,
}

/// A translated superblock in the cache.
pub struct Fragment {
    /// Guest pc.
    pub pc: u64,
    /// What its code takes for granted.
    mode: Mode,
    /// Guest end of the bytes it depends on.
    pub end: u64,
    /// First byte of its code.
    pub start: u64,
    /// Bytes of code.
    pub size: u32,
    /// Offset of the body, for calls and for others.
    body: u32,
    /// Offset for those that jump there from another function.
    jumped: u32,
    inner: u32,
    /// Code that is called.
    function: bool,
    /// False once it was invalidated.
    pub alive: bool,
    /// First exit number and their count.
    exits: (u32, u32),
    /// Exits of other fragments that are linked to this one: head of a list through `ExitInfo::next_incoming`.
    incoming: u32,
    /// Checks that are linked to it: head of a list through `CheckInfo::next_incoming`.
    incoming_checks: u32,
    /// Prefixes, by table.
    prefixes: [Option<PrefixAt>; 2],
    /// First entry in `Cache::maps` and their count.
    map: (u32, u32),
    /// First counter of its segments and their count.
    counters: (u32, u8),
    /// Neighbours in the lists of the pages that it depends on: of its first page and of the one behind.
    next_in_page: [FragmentId; 2],
}

/// Where a prefix lies: cache addresses, which have 31 bits.
#[derive(Clone, Copy)]
struct PrefixAt {
    entry: u32,
    /// The displacement that leads to the next prefix of the same entry of the table.
    chain: u32,
}

struct ExitInfo {
    fragment: FragmentId,
    /// Guest pc.
    target: u64,
    /// Address of the displacement to patch; 0 = never linked.
    patch: u64,
    /// Fragment it is linked to, or NONE.
    linked: FragmentId,
    next_incoming: u32,
    special: Option<translate::Special>,
    /// What the code that it leads to takes for granted.
    to: Mode,
    /// Whether a function begins at `target`.
    calls: Calls,
}

/// How the first thread gets to a guest pc.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    /// Through this table.
    pub through: Option<Prefix>,
    /// By what is surely the call of a function.
    pub call: bool,
}

/// What a check is about.
#[derive(Debug, Clone, Copy)]
pub struct CheckInfo {
    /// Guest pc of the instruction that makes the access.
    pub pc: u64,
    /// Cache address where it goes on.
    resume: u32,
    /// What it looks at.
    pub what: What,
    /// What to add to the number of instructions when the guest leaves the fragment there.
    pub adjust: i16,
    /// A status flag is live there.
    keeps_flags: bool,
    /// Precise code that it leads to, or NONE.
    linked: FragmentId,
    next_incoming: u32,
}

/// The fragments that take the same for granted, and what leads from one to the other.
struct Realm {
    config: Config,
    table: PcTable,
    chains: Chains,
}

impl Realm {
    fn new(config: Config) -> Realm {
        Realm { config, table: PcTable::new(), chains: Chains::new(config.tables) }
    }
}

/// The place of a mode's realm. A cache that knows of no undefined values has the first alone.
fn realm(mode: Mode) -> usize {
    match mode {
        Mode::Plain | Mode::Clean => 0,
        Mode::Guarded => 1,
        Mode::Precise(Start::Clean) => 2,
        Mode::Precise(Start::Guarded) => 3,
    }
}

const NONE: u32 = u32::MAX;

/// Reads guest code that cannot change unseen: to an address, into a buffer; the number of bytes, perhaps none.
pub type Peek<'a> = &'a dyn Fn(u64, &mut [u8]) -> usize;

/// Guest code cannot be translated for lack of space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What an exit number stands for.
#[derive(Debug, Clone, Copy)]
pub struct ExitTarget {
    /// Guest pc to go on at.
    pub target: u64,
    /// The engine must act.
    pub special: Option<translate::Special>,
    /// What the code that it leads to takes for granted.
    pub to: Mode,
    /// Whether a function begins at `target`.
    pub calls: Calls,
}

/// Where an address in the cache belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Guest pc.
    pub pc: u64,
    /// What else to recover.
    pub fix: Fix,
}

/// A prefix that was emitted apart from its fragment.
struct Detached {
    size: u32,
    pc: u64,
    chain: u32,
    map: Vec<MapEntry>,
}

/// The cache. One for each process, behind a lock.
pub struct Cache {
    /// The first mode's. Stubs of exits and checks are the same for all.
    config: Config,
    realms: Vec<Realm>,
    stubs: StubTable,
    translator: Translator,
    scratch: Scratch,
    /// First byte for fragments, next free byte. They grow towards the stubs of their exits, which grow downwards.
    first: u64,
    at: u64,
    /// Behind the cache. The stubs of checks grow towards it from the middle on.
    end: u64,
    fragments: Vec<Fragment>,
    exits: Vec<ExitInfo>,
    /// By rising place where they go on.
    checks: Vec<CheckInfo>,
    /// The maps of all fragments, one behind the other.
    maps: Vec<PackedEntry>,
    /// The decoded instructions of precise code, which leads to them by address.
    steps: Vec<Vec<Instruction>>,
    counted: Counters,
    functions: Functions,
    runs: Runs,
    sites: sites::Sites,
    watched: Watched,
    pages: Pages,
    pointers: Pointers,
    detached: BTreeMap<u64, Detached>,
    /// Fragments of replaced functions' own code, and of watched places, which no table leads to.
    own: BTreeMap<(u64, usize), FragmentId>,
    /// Some function returns a flag, against the ABI.
    flags_are_returned: bool,
    /// What was translated takes for granted that none does. Until it is gone no other thread gets to such a call, either.
    is_stale: bool,
    /// Counts changes of guest code: bytes that were fetched before the last one may be stale.
    pub code_changes: u64,
    /// Counters: translations, instructions, guest bytes, links.
    pub counters: [u64; 4],
}

impl Cache {
    /// Maps `bytes` of cache and generates the stubs. Classes: one byte for each system-call number, 0 = native.
    /// `count`: instructions are counted, segments are, calls and data accesses are told of; `check`: accesses are checked; `follow`: so are undefined values.
    pub fn new(
        bytes: u64,
        (count, count_segments, log_calls, log_accesses): (bool, bool, bool, bool),
        models: Option<translate::models::Models>,
        check: bool,
        follow: bool,
        class: impl Fn(usize) -> u8,
    ) -> Result<Cache, i64> {
        let bytes = bytes.clamp(4 << 20, space::CACHE_END - space::CACHE_BASE) & !(PAGE - 1);
        let base = space::CACHE_BASE;
        let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_FIXED_NOREPLACE | sys::MAP_NORESERVE;
        let protection = sys::PROT_READ | sys::PROT_WRITE | sys::PROT_EXEC;
        // SAFETY: the zone of the code cache is ours alone.
        unsafe { sys::mmap(base, bytes, protection, flags, -1, 0)? };
        sys::prefer_huge_pages(base, bytes);
        let bmi2 = processor::has_bmi2();
        let all = [Mode::Clean, Mode::Guarded, Mode::Clean.precise(), Mode::Guarded.precise()];
        let modes: &[Mode] = if follow { &all } else { &[Mode::Plain] };
        let tables_of = |realm: u64| {
            let indirect = base + CLASS_BYTES + 2 * TABLE_BYTES * realm;
            Tables { indirect: indirect as u32, returns: (indirect + TABLE_BYTES) as u32, bmi2 }
        };
        let tables = tables_of(0);
        let classes = base;
        for number in 0..CLASS_BYTES as usize {
            let class = class(number);
            if class != 0 {
                // SAFETY: inside the mapping made above.
                unsafe { ((classes as usize + number) as *mut u8).write(class) };
            }
        }
        // No table leads to precise code.
        let with_tables = if follow { 2 } else { 1 };
        let stub_base = classes + CLASS_BYTES + 2 * TABLE_BYTES * with_tables;
        // SAFETY: inside the mapping made above; nobody executes it yet.
        let room = unsafe { core::slice::from_raw_parts_mut(stub_base as *mut u8, STUB_BYTES as usize) };
        let made = translate::emit_stubs(
            stub_base,
            room,
            classes as u32,
            tables,
            processor::vectors(),
            models.as_ref().map(|models| (models, crate::accesses::misses::accessed as *const () as u64)),
        );
        let Some(stubs) = made else { crate::fatal::fail("the stubs do not fit") };
        let first = stub_base + STUB_BYTES;
        // Most fragments have as many bytes of such stubs as of other code.
        let check_stubs = check.then(|| base + bytes / 2);
        let exit_stubs_end = check_stubs.unwrap_or(base + bytes);
        let config = Config {
            tables,
            guarded_tables: tables_of(with_tables - 1),
            stubs: stubs.addresses,
            exit_stubs_end,
            count,
            count_segments,
            log_calls: log_calls && log_accesses && models.is_none(),
            follow_calls: log_calls && (!log_accesses || models.is_some()),
            log_accesses,
            models,
            watch_stack: false,
            check_stubs,
            mode: modes[0],
        };
        let realms = modes.iter().map(|&mode| {
            let tables = if mode == Mode::Guarded { config.guarded_tables } else { tables };
            Realm::new(Config { tables, mode, ..config })
        });
        let mut cache = Cache {
            config,
            realms: realms.collect(),
            stubs,
            translator: Translator::new(),
            scratch: Scratch::default(),
            first,
            at: first,
            fragments: Vec::new(),
            exits: Vec::new(),
            checks: Vec::new(),
            end: base + bytes,
            maps: Vec::new(),
            steps: Vec::new(),
            pages: Pages::default(),
            pointers: Pointers::default(),
            detached: BTreeMap::new(),
            own: BTreeMap::new(),
            flags_are_returned: false,
            is_stale: false,
            code_changes: 0,
            counted: Counters::default(),
            functions: Functions::default(),
            runs: Runs::default(),
            sites: sites::Sites::default(),
            watched: Watched::default(),
            counters: [0; 4],
        };
        cache.reset_tables();
        Ok(cache)
    }

    fn reset_tables(&mut self) {
        for realm in &mut self.realms {
            realm.chains.clear(&self.config.stubs);
        }
    }

    /// From now on the engine handles these system calls.
    pub fn handle_calls(&mut self, numbers: &[u64]) {
        for number in numbers {
            let address = space::CACHE_BASE + number;
            // SAFETY: an entry of the class table; one byte, read by the stub in one access.
            unsafe { (address as *mut u8).write_volatile(1) };
        }
    }

    /// The stubs.
    pub fn stubs(&self) -> &StubTable {
        &self.stubs
    }

    /// Bytes of code emitted since the last clearing.
    pub fn used(&self) -> u64 {
        let checks = self.checks.len() as u64 * CHECK_STUB_BYTES;
        self.at - self.first + self.config.exit_stubs_end - self.exit_stubs() + checks
    }

    /// Lowest address of the exits' stubs.
    fn exit_stubs(&self) -> u64 {
        self.config.exit_stub(self.exits.len() as u32) + EXIT_STUB_BYTES
    }

    /// Bytes between the fragments and the stubs of their exits.
    fn room(&self) -> u64 {
        let room = self.exit_stubs().saturating_sub(self.at);
        match self.config.check_stubs {
            Some(_) => room.min(self.end - self.config.check_stub(self.checks.len() as u32)),
            None => room,
        }
    }

    /// The living fragment at a guest pc.
    pub fn find(&self, pc: u64, mode: Mode) -> Option<FragmentId> {
        self.realms[realm(mode)].table.get(pc)
    }

    /// What exit `number` leads to.
    pub fn exit_target(&self, number: u32) -> ExitTarget {
        let exit = &self.exits[number as usize];
        ExitTarget { target: exit.target, special: exit.special, to: exit.to, calls: exit.calls }
    }

    /// Translates the block at `pc` from `bytes`.
    pub fn translate(
        &mut self,
        pc: u64,
        mode: Mode,
        bytes: &[u8],
        reached: Reached,
        peek: Peek<'_>,
    ) -> Result<FragmentId, Full> {
        if self.is_watched(pc, mode) {
            return self.translate_watched(pc, mode);
        }
        // No table leads to precise code.
        let prefix = reached.through.filter(|_| !mode.is_precise());
        let reached = Reached { through: prefix, ..reached };
        let (id, entry) = self.emit(pc, mode, bytes, false, reached, peek)?;
        self.depends_on_source(id);
        self.realms[realm(mode)].table.insert(pc, id);
        if let (Some(kind), Some(at)) = (prefix, entry) {
            self.publish(id, kind, at);
        }
        Ok(id)
    }

    /// From now on a change of the fragment's guest bytes removes it.
    fn depends_on_source(&mut self, id: FragmentId) {
        self.pages.add(&mut self.fragments, id);
    }

    /// The living fragment of the own code of a replaced function, or of a watched place.
    pub fn find_own(&self, pc: u64, mode: Mode) -> Option<FragmentId> {
        self.own.get(&(pc, realm(mode))).copied().filter(|id| self.fragments[*id as usize].alive)
    }

    /// Translates the own code of the replaced function, or the watched place, at `pc`: only [`Cache::find_own`] leads to it.
    /// `call`: a function begins there, and that is to be told.
    pub fn translate_own(
        &mut self,
        pc: u64,
        mode: Mode,
        bytes: &[u8],
        call: bool,
        peek: Peek<'_>,
    ) -> Result<FragmentId, Full> {
        let reached = Reached { call, ..Reached::default() };
        let (id, _) = self.emit(pc, mode, bytes, false, reached, peek)?;
        self.depends_on_source(id);
        self.own.insert((pc, realm(mode)), id);
        Ok(id)
    }

    /// Emits a fragment that nothing leads to yet; of one instruction for a single use, if `once`.
    fn emit(
        &mut self,
        pc: u64,
        mode: Mode,
        bytes: &[u8],
        once: bool,
        reached: Reached,
        peek: Peek<'_>,
    ) -> Result<(FragmentId, Option<PrefixAt>), Full> {
        const ONE: Limits = Limits { instructions: 1, segments: 1, checked: false };
        let limits = match mode {
            _ if once => ONE,
            Mode::Plain => Limits::default(),
            Mode::Clean | Mode::Guarded => Limits { checked: true, ..Limits::default() },
            // What only precise code can do is done by itself; all else to the end of its segment.
            Mode::Precise(_) if translate::is_beyond(bytes, pc) => ONE,
            Mode::Precise(_) => Limits { segments: 1, instructions: MOST_PRECISE, checked: false },
        };
        if self.is_stale
            || self.room() < 2 * FRAGMENT_ROOM
            || !self.counted.has_room()
            || !self.runs.has_room()
        {
            return Err(Full);
        }
        let pointer = |pc, address| if once { Pointer::Unknown } else { self.pointers.look(pc, address) };
        let mut block = Block::decode_in(core::mem::take(&mut self.scratch), bytes, pc, limits, pointer);
        if reached.call && !mode.is_precise() {
            block.set_function();
        }
        let looked_at = if once { None } else { self.look_ahead(&mut block, peek)? };
        let (at, first_exit) = (self.at, self.exits.len() as u32);
        let steps: Vec<Instruction> =
            if mode.is_precise() { block.decoded().copied().collect() } else { Vec::new() };
        let config = &self.realms[realm(mode)].config;
        let single = once.then(|| (pc, (block.end() - pc) as u16, block.jumps_to()));
        let counter = self.counted.next(single);
        let lengths: Vec<u8> = if config.count_segments {
            block.decoded().map(|insn| insn.len() as u8).collect()
        } else {
            Vec::new()
        };
        let check = self.checks.len() as u32;
        let is_function = reached.call && !mode.is_precise();
        let tells = config.tells_calls() && is_function && !block.is_linkage();
        let function = tells.then(|| self.functions.number(pc));
        let bytes_once =
            once.then(|| (pc, bytes.get(..(block.end() - pc) as usize).unwrap_or(bytes).to_vec()));
        let run = self.runs.next(bytes_once.as_ref());
        let site = self.sites.next(bytes_once.as_ref());
        let first =
            First { exit: first_exit, check, counter, run, site, function, steps: steps.as_ptr() as u64 };
        // SAFETY: the range lies between the fragments and the exits' stubs, in our mapping; nothing there is reachable yet.
        let room = unsafe { core::slice::from_raw_parts_mut(at as *mut u8, FRAGMENT_ROOM as usize) };
        let translated = self.translator.translate(&block, config, reached.through, first, at, room);
        self.scratch = block.into_scratch();
        let Ok(mut code) = translated else {
            return Err(Full);
        };
        let id = self.fragments.len() as FragmentId;
        for (exit, number) in code.exits.iter().zip(first_exit..) {
            let stub = self.config.exit_stub_code(number, exit);
            self.put(self.config.exit_stub(number), &stub);
            self.exits.push(ExitInfo {
                fragment: id,
                target: exit.target,
                patch: if exit.special.is_some() { 0 } else { at + u64::from(exit.patch) },
                linked: NONE,
                next_incoming: NONE,
                special: exit.special,
                to: exit.to,
                calls: exit.calls,
            });
        }
        for (check, number) in code.checks.iter().zip(first.check..) {
            let stub = self.config.check_stub_code(number, check, at);
            let place = self.config.check_stub(number) as *mut u8;
            // SAFETY: behind the stubs of all other checks and inside the cache, by the room that was asked for: a fragment
            // has fewer checks than its room has bytes.
            unsafe { core::ptr::copy_nonoverlapping(stub.as_ptr(), place, stub.len()) };
            let Check { pc, what, adjust, keeps_flags, .. } = *check;
            self.checks.push(CheckInfo {
                pc,
                resume: at as u32 + check.resume,
                what,
                adjust,
                keeps_flags,
                linked: NONE,
                next_incoming: NONE,
            });
        }
        let pack = |entry: &MapEntry| PackedEntry {
            cache: entry.cache as u16,
            // A target far away can only be an exit's: there the state is taken from the exit, not from the map.
            guest: i16::try_from(entry.guest.wrapping_sub(pc) as i64).unwrap_or(i16::MIN),
            fix: entry.fix,
        };
        let first_entry = self.maps.len() as u32;
        self.maps.extend(code.map.iter().map(pack));
        let costs = core::mem::take(&mut code.costs);
        self.counted.add(id, pc, &code.counted, (lengths.into_iter(), costs), single);
        self.sites.add(core::mem::take(&mut code.sites), bytes_once.as_ref());
        self.runs.add(id, core::mem::take(&mut code.runs), bytes_once, (pc, bytes));
        if mode.is_precise() {
            self.steps.push(steps);
        }
        self.fragments.push(Fragment {
            pc,
            mode,
            end: code.end,
            start: at,
            size: code.size,
            body: code.body,
            jumped: code.jumped,
            inner: code.inner,
            function: is_function,
            alive: true,
            exits: (first_exit, code.exits.len() as u32),
            incoming: NONE,
            incoming_checks: NONE,
            prefixes: [None; 2],
            map: (first_entry, code.map.len() as u32),
            counters: (counter, code.counted.len() as u8),
            next_in_page: [NONE; 2],
        });
        self.at = at + u64::from(code.size);
        self.counters[0] += 1;
        self.counters[1] += u64::from(code.instructions);
        self.counters[2] += code.end - pc;
        let entry =
            code.entry.map(|entry| PrefixAt { entry: at as u32 + entry.at, chain: at as u32 + entry.chain });
        self.translator.give_back(code);
        if let Some((start, end)) = looked_at {
            self.pages.looked_at(id, start, end);
        }
        Ok((id, entry))
    }

    /// Translates the one instruction at `pc` for a single use: no table leads to the code, and nothing removes it
    /// when the bytes change. Returns the address to enter.
    pub fn translate_once(&mut self, pc: u64, mode: Mode, bytes: &[u8]) -> Result<u64, Full> {
        let (id, _) = self.emit(pc, mode, bytes, true, Reached::default(), &|_, _| 0)?;
        let fragment = &mut self.fragments[id as usize];
        fragment.alive = false;
        let (first, count) = fragment.exits;
        for exit in &mut self.exits[first as usize..(first + count) as usize] {
            exit.patch = 0;
        }
        Ok(self.body(id, Arrival::Within))
    }

    /// Guest range that the fragment at a cache address was made from.
    pub fn source(&self, address: u64) -> Option<(u64, u64)> {
        self.fragment_at(address).map(|fragment| (fragment.pc, fragment.end))
    }

    /// A fragment of its own for a replaced guest function: its pc and `number` go to the engine.
    pub fn translate_replaced(
        &mut self,
        pc: u64,
        mode: Mode,
        replaced: Replaced,
    ) -> Result<FragmentId, Full> {
        if self.room() < FRAGMENT_ROOM {
            return Err(Full);
        }
        let at = self.at;
        // SAFETY: the range lies between the fragments and the exits' stubs, in our mapping; nothing there is reachable yet.
        let room = unsafe { core::slice::from_raw_parts_mut(at as *mut u8, REPLACED_BYTES) };
        let size = translate::emit_replaced(pc, replaced, self.config.stubs.heap_call, at, room);
        self.at += REPLACED_BYTES as u64;
        Ok(self.stand_in(pc, mode, (at, size), (0, 0)))
    }

    /// Writes code to where nothing leads yet: between the fragments and the stubs of their exits, as far as either may grow.
    fn put(&mut self, at: u64, code: &[u8]) {
        assert!(at >= self.at && at + code.len() as u64 <= self.end);
        // SAFETY: in our mapping, behind the fragments, by the assertion; the lock around the cache is held.
        unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), at as *mut u8, code.len()) };
    }

    /// A fragment that all ways to a guest pc lead to and that executes nothing of the guest's: its code, and its exits.
    fn stand_in(&mut self, pc: u64, mode: Mode, (start, size): (u64, u32), exits: (u32, u32)) -> FragmentId {
        let id = self.fragments.len() as FragmentId;
        let first_entry = self.maps.len() as u32;
        self.maps.push(PackedEntry { cache: 0, guest: 0, fix: Fix::NONE });
        self.fragments.push(Fragment {
            pc,
            mode,
            end: pc + 1,
            start,
            size,
            body: 0,
            jumped: 0,
            inner: 0,
            function: true,
            alive: true,
            exits,
            incoming: NONE,
            incoming_checks: NONE,
            prefixes: [None; 2],
            map: (first_entry, 1),
            counters: (0, 0),
            next_in_page: [NONE; 2],
        });
        self.depends_on_source(id);
        self.realms[realm(mode)].table.insert(pc, id);
        id
    }

    /// Makes sure that a fragment can be reached through a branch table; the address to enter now.
    pub fn ensure_prefix(&mut self, id: FragmentId, kind: Prefix) -> Result<(), Full> {
        let fragment = &self.fragments[id as usize];
        if fragment.prefixes[kind as usize].is_some() || fragment.mode.is_precise() {
            return Ok(());
        }
        let config = &self.realms[realm(fragment.mode)].config;
        if self.room() < 256 {
            return Err(Full);
        }
        let arrival = if kind == Prefix::Indirect { Arrival::Call } else { Arrival::Within };
        let (pc, body, at) = (fragment.pc, self.body(id, arrival), self.at);
        // SAFETY: the range lies between the fragments and the exits' stubs; nothing there is reachable yet.
        let room = unsafe { core::slice::from_raw_parts_mut(at as *mut u8, 256) };
        let Ok((size, entry, map)) = translate::emit_prefix(config, kind, pc, body, at, room) else {
            return Err(Full);
        };
        self.at = at + u64::from(size);
        let chain = at as u32 + entry.chain;
        self.detached.insert(at, Detached { size, pc, chain, map });
        self.publish(id, kind, PrefixAt { entry: at as u32, chain });
        Ok(())
    }

    fn publish(&mut self, id: FragmentId, kind: Prefix, at: PrefixAt) {
        let fragment = &mut self.fragments[id as usize];
        fragment.prefixes[kind as usize] = Some(at);
        self.realms[realm(fragment.mode)].chains.add(kind, fragment.pc, at);
    }

    /// A jump through an unresolved pointer is about to be executed, at exit `number`: it is to be translated again.
    pub fn resolve_later(&mut self, number: u32) {
        let ExitInfo { fragment, target, .. } = self.exits[number as usize];
        self.pointers.note(target);
        if self.fragments[fragment as usize].alive {
            self.remove(fragment);
        }
    }

    /// Removes every fragment that depends on bytes of the range. Returns how many.
    pub fn invalidate(&mut self, start: u64, end: u64) -> usize {
        self.code_changes += 1;
        self.pointers.forget(start, end);
        let victims = self.pages.take(&mut self.fragments, start, end);
        for &id in &victims {
            self.remove(id);
        }
        victims.len()
    }

    fn remove(&mut self, id: FragmentId) {
        self.unlink_incoming(id);
        self.unlink_checks(id);
        let fragment = &mut self.fragments[id as usize];
        fragment.alive = false;
        let (pc, prefixes) = (fragment.pc, fragment.prefixes);
        let realm = &mut self.realms[realm(fragment.mode)];
        if realm.table.get(pc) == Some(id) {
            realm.table.remove(pc);
        }
        for kind in [Prefix::Indirect, Prefix::Return] {
            if let Some(at) = prefixes[kind as usize] {
                let (fragments, detached) = (&self.fragments, &self.detached);
                realm.chains.remove(kind, pc, at, |entry| chain_of(fragments, detached, kind, entry));
            }
        }
    }

    /// Empties the cache. Every thread must be outside of it, with its guest state in its context.
    pub fn clear(&mut self) {
        self.is_stale = false;
        self.fragments.clear();
        self.exits.clear();
        self.checks.clear();
        self.maps.clear();
        self.counted.clear();
        self.runs.clear();
        self.sites.clear();
        for realm in &mut self.realms {
            realm.table = PcTable::new();
        }
        self.steps.clear();
        self.pages.clear();
        self.detached.clear();
        self.own.clear();
        self.at = self.first;
        self.reset_tables();
    }
}

/// Address of the chain's displacement in the prefix that is entered at `entry`.
fn chain_of(
    fragments: &[Fragment],
    detached: &BTreeMap<u64, Detached>,
    kind: Prefix,
    entry: u32,
) -> Option<u32> {
    if let Some(prefix) = detached.get(&u64::from(entry)) {
        return Some(prefix.chain);
    }
    let at = fragments.binary_search_by_key(&u64::from(entry), |fragment| fragment.start).ok()?;
    fragments[at].prefixes[kind as usize].map(|prefix| prefix.chain)
}

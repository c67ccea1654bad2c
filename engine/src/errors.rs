//! Errors of the guest: what a check that found V bits means, and the record that tells of any error.
//!
//! Always holds: the guest goes on as natively, whatever was found. Not here: where checks stand (`translate::check`),
//! the V bits (`shadow`), errors in calls of allocators (`heap_errors`), grouping and counting (`vg-record`).

pub(crate) use crate::address::About;
use crate::context::Thread;
use crate::heap_calls::EnginePages;
use crate::state::Engine;
use crate::strings::shape::Shape;
use crate::{client_memory, counts, shadow, shadow_range, stacks, strings, symbols, sys};
use core::sync::atomic::{AtomicU64, Ordering};
use heap::{Block, Heap, Relation, State};
use iced_x86::Instruction;
use ring::record::{Error, FRAME_WORDS, Kind, Stat, UNADDRESSABLE, header, origin, pair, put_string};
use ring::shared::FLAG_FIRST_ERROR;
use translate::{Access, Mode, What};

/// The largest access of one instruction that is checked.
const LARGEST: usize = 64;

/// How a thread goes on after a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// At this cache address.
    Resume(u64),
    /// At its pc, in precise code, which takes over from code of that kind at the check with that number.
    Precise(Mode, u32),
}

/// A check has found V bits, or a guard a register that is not defined: says what is wrong, if anything is, and how the
/// guest goes on. The access is then made.
pub fn check(engine: &Engine, thread: &mut Thread) -> After {
    let (address, resume) = (thread.context.target, thread.context.resume);
    thread.stats[Stat::CheckSlowPaths as usize] += 1;
    let cache = engine.cache.lock();
    let (found, mode) = (cache.check_before(resume), cache.mode_at(resume));
    drop(cache);
    let (Some((check, number, position)), Some(mode)) = (found, mode) else {
        crate::fatal::fail("a check that the cache does not know")
    };
    thread.context.pc = position.pc;
    let precise = match check.what {
        What::Registers => true,
        What::Memory { size, access } => memory(engine, thread, check.pc, address, usize::from(size), access),
    };
    if !precise {
        return After::Resume(resume);
    }
    counts::bailed_out(engine, &mut thread.context, number);
    if engine.options.events & ring::shared::EVENTS_CLOCK != 0 {
        let context = &mut thread.context;
        let slot = match mode {
            Mode::Guarded => context.guarded_slots[0].get_mut(),
            _ => context.instruction_slots[0].get_mut(),
        };
        *slot = slot.wrapping_add_signed(i64::from(check.adjust));
    }
    After::Precise(mode, number)
}

/// An access to memory with V bits. True when it is for precise code.
fn memory(engine: &Engine, thread: &mut Thread, pc: u64, address: u64, size: usize, access: Access) -> bool {
    let mut bits = [0; LARGEST];
    let bits = &mut bits[..size];
    shadow::read(address, bits);
    let bad = unaddressable(engine, address, bits);
    let undefined = (0..size).any(|at| bits[at] != 0 && bad >> at & 1 == 0);
    let partial = bad != 0 && is_accepted(engine, pc, address, size, bad, access);
    if shadow::follows() {
        // An error is told from there, too: this fragment would not look at the same bytes again.
        if bad != 0 || access != Access::Write && undefined {
            return true;
        }
    }
    if access == Access::Write {
        // Clean code stores defined values.
        for at in (0..size).filter(|at| bad >> at & 1 == 0) {
            shadow::write(address.wrapping_add(at as u64), &[0]);
        }
    }
    if bad != 0 && !partial {
        // Of an instruction that does both, Valgrind tells the read alone, too.
        let error = if access == Access::Write { Error::InvalidWrite } else { Error::InvalidRead };
        invalid_access(engine, thread, pc, error, address, size);
    }
    false
}

/// Which of up to 64 bytes, with these V bits, are not the guest's to touch: bit n for byte n.
pub(crate) fn unaddressable(engine: &Engine, address: u64, bits: &[u8]) -> u64 {
    let mut bad = 0;
    for (at, _) in bits.iter().enumerate().filter(|(_, bits)| **bits == shadow::Bits::Unaddressable as u8) {
        if !is_addressable(engine, address.wrapping_add(at as u64)) {
            bad |= 1 << at;
        }
    }
    bad
}

/// Whether a byte is the guest's to touch: one that looks as if it were not, or as if its bits were defined in that pattern.
pub(crate) fn is_addressable(engine: &Engine, address: u64) -> bool {
    if let Some(said) = client_memory::is_addressable(engine, address) {
        return said;
    }
    match engine.heap.get() {
        Some(heap) if heap.contains(address) => live_block_around(heap, address).is_some(),
        _ => address < crate::space::GUEST_END,
    }
}

/// The live block that holds a byte of the heap.
pub(crate) fn live_block_around(heap: &Heap<EnginePages>, address: u64) -> Option<Block> {
    let inside = |block: &Block| block.state == State::Live && matches!(block.relation, Relation::Inside(_));
    heap.lookup(address).filter(inside)
}

/// Where undefined memory at an address comes from, 0 when it is not known. The low two bits are the kind, the others a
/// stack.
pub(crate) fn origin(engine: &Engine, address: u64) -> u32 {
    if address == 0 {
        return 0;
    }
    if let Some(said) = client_memory::origin(engine, address) {
        return said;
    }
    let block = engine.heap.get().and_then(|heap| heap.lookup(address));
    match block {
        Some(block) if block.state == State::Live => block.stack << 2 | origin::HEAP,
        Some(_) => 0,
        // All else that is undefined, or was copied from what is, lies on a stack; of which function, is not looked for yet.
        None => origin::STACK,
    }
}

/// Whether an access is accepted although the bytes in `bad` are not the guest's.
pub(crate) fn is_accepted(
    engine: &Engine,
    pc: u64,
    address: u64,
    size: usize,
    bad: u64,
    access: Access,
) -> bool {
    is_partial_load(address, size, bad.count_ones() as usize, access)
        || is_load_of_linker(engine, pc, address, size, access)
}

/// Whether it is a load that functions like strlen make on purpose: of words that begin or end in the block. Valgrind's
/// rule (`--partial-loads-ok=yes`) asks for an aligned address; that of vectors may be any here, because libc's own
/// functions with such loads run as they are.
fn is_partial_load(address: u64, size: usize, bad: usize, access: Access) -> bool {
    let aligned = matches!(size, 4 | 8) && address.is_multiple_of(size as u64);
    access == Access::Read && bad < size && (aligned || matches!(size, 16 | 32 | 64))
}

/// What is wrong with an instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finding {
    pub(crate) error: Error,
    /// Of the access, if it is about one.
    pub(crate) address: u64,
    pub(crate) size: u64,
    /// Guest address of the undefined bytes that were loaded, or 0.
    pub(crate) origin: u64,
}

/// Tells of an error of the instruction that the thread stands at.
pub(crate) fn tell_finding(engine: &Engine, thread: &mut Thread, insn: &Instruction, finding: &Finding) {
    let stack = stacks::of_access(engine, thread, insn.ip());
    let Finding { error, mut address, size, origin: undefined } = *finding;
    let origin = origin(engine, undefined);
    let about = match error {
        Error::InvalidRead | Error::InvalidWrite => About::anything(engine, thread, insn.ip(), address),
        _ => {
            let variable = on_own_stack(engine, thread, insn.ip(), undefined, origin);
            address = if variable.is_some() { undefined } else { address };
            variable.unwrap_or(About::NOTHING)
        }
    };
    tell(thread, stack, &Told { address, size, origin, ..Told::new(error, about) });
}

/// What lies on the thread's own stack at an address, in a frame that is still there or in the red zone, if undefined bits come
/// from there; `pc`: where the thread stands.
fn on_own_stack(engine: &Engine, thread: &mut Thread, pc: u64, address: u64, origin: u32) -> Option<About> {
    if origin != origin::STACK {
        return None;
    }
    Some(About::anything(engine, thread, pc, address)).filter(About::is_in_frame)
}

/// A string function, at whose entry the thread is, goes through a range: tells of the first access that it may not make.
/// Whether any byte of it has V bits.
#[inline(always)]
pub fn check_range(
    engine: &Engine,
    thread: &mut Thread,
    pc: u64,
    start: u64,
    length: u64,
    access: Access,
    shape: Shape,
) -> bool {
    let has_bits = !shadow_range::is_clean(start, length);
    if has_bits {
        range_has_bits(engine, thread, pc, start, length, access, shape);
    }
    has_bits
}

fn range_has_bits(
    engine: &Engine,
    thread: &mut Thread,
    pc: u64,
    start: u64,
    length: u64,
    access: Access,
    shape: Shape,
) {
    thread.stats[Stat::CheckSlowPaths as usize] += 1;
    if shadow_range::is_addressable(start, length) {
        return;
    }
    let (mut at, end) = (start, start + length);
    let mut bad = None;
    while at < end {
        let run = run(engine, at, end);
        if !run.addressable {
            if !shape.is_backward() {
                bad = Some(at);
                break;
            }
            bad = Some(run.end - 1);
        }
        at = run.end;
    }
    let Some(bad) = bad else { return };
    let (offset, size) = shape.access(bad - start, length);
    let error = if access == Access::Write { Error::InvalidWrite } else { Error::InvalidRead };
    let stack = stacks::take(engine, thread, strings::symbol(engine, pc));
    let address = start + offset;
    let about = About::anything(engine, thread, pc, address);
    tell(thread, stack, &Told { address, size, ..Told::new(error, about) });
}

/// Bytes that the guest may touch, or may not.
pub struct Run {
    /// It may.
    pub addressable: bool,
    /// Behind the last.
    pub end: u64,
}

/// The bytes from `at` on, up to `end` at most, that are addressable like the first. There may be more of them.
pub fn run(engine: &Engine, at: u64, end: u64) -> Run {
    let clean = shadow_range::first_set(at, end - at).unwrap_or(end - at);
    if clean != 0 {
        return Run { addressable: true, end: at + clean };
    }
    // What nobody may touch has a pattern of its own.
    match shadow_range::first_unaddressable(at, end - at) {
        Some(0) => (),
        Some(touchable) => return Run { addressable: true, end: at + touchable },
        None => return Run { addressable: true, end },
    }
    if client_memory::is_marked() {
        return client_memory::run(engine, at, end);
    }
    // Only the heap has memory that nobody may touch.
    let Some(heap) = engine.heap.get().filter(|heap| heap.contains(at)) else {
        return Run { addressable: true, end };
    };
    match live_block_around(heap, at) {
        Some(block) => Run { addressable: true, end: end.min(block.address + block.size) },
        // Blocks are aligned to this.
        None => Run { addressable: false, end: end.min((at | 15) + 1) },
    }
}

/// The string function at whose entry the thread is copies between ranges that overlap. `size`: its argument, or 0.
#[cold]
pub fn overlap(engine: &Engine, thread: &mut Thread, pc: u64, name: &[u8], to: u64, from: u64, size: u64) {
    let stack = stacks::take(engine, thread, strings::symbol(engine, pc));
    let told =
        Told { address: to, size, value: from, text: name, ..Told::new(Error::Overlap, About::NOTHING) };
    tell(thread, stack, &told);
}

/// The string function at whose entry the thread is goes on or ends by undefined bits of what lies at an address.
#[cold]
pub fn undefined_unit(engine: &Engine, thread: &mut Thread, pc: u64, address: u64) {
    let stack = stacks::take(engine, thread, strings::symbol(engine, pc));
    let origin = origin(engine, address);
    let variable = on_own_stack(engine, thread, pc, address, origin);
    let address = if variable.is_some() { address } else { 0 };
    let about = variable.unwrap_or(About::NOTHING);
    tell(thread, stack, &Told { address, origin, ..Told::new(Error::UninitCondition, about) });
}

/// Whether it is a load of the dynamic linker's own strlen and its like, which look at 64 bytes at a time: from the one on
/// that is in the block, or, at the end of a page, all that are aligned with it.
#[cold]
fn is_load_of_linker(engine: &Engine, pc: u64, address: u64, size: usize, access: Access) -> bool {
    const BEFORE: u64 = 48;
    if access != Access::Read || size != 16 || !address.is_multiple_of(16) {
        return false;
    }
    let linker = engine.modules.lock().find(pc).is_some_and(symbols::is_dynamic_linker);
    let end = (address | 63) + 1;
    linker && (address - BEFORE..end).step_by(16).any(|at| run(engine, at, at + 16).addressable)
}

fn invalid_access(engine: &Engine, thread: &mut Thread, pc: u64, error: Error, address: u64, size: usize) {
    let stack = stacks::of_access(engine, thread, pc);
    let about = About::anything(engine, thread, pc, address);
    tell(thread, stack, &Told { address, size: size as u64, ..Told::new(error, about) });
}

/// The thread has jumped to its pc, where no code is.
#[cold]
pub(crate) fn invalid_jump(engine: &Engine, thread: &mut Thread) {
    // The unwinder knows modules where allocations are recorded.
    if engine.heap.get().is_none() {
        return;
    }
    let address = thread.context.pc;
    let stack = stacks::of_jump(engine, thread);
    let about = About::anything(engine, thread, address, address);
    tell(thread, stack, &Told { address, ..Told::new(Error::InvalidJump, about) });
}

/// Whether nothing executable is at the thread's pc.
fn has_jumped(engine: &Engine, thread: &Thread) -> bool {
    const EXECUTE: u8 = 4;
    engine.space.lock().find(thread.context.pc).is_none_or(|(_, mapping)| mapping.protection & EXECUTE == 0)
}

/// The thread's fatal signal, when it is one that tells of a mistake: those that leave a core file. Others end programs
/// every day. The world stands still.
pub fn fatal_signal(engine: &Engine, thread: &mut Thread) {
    // signal(7): QUIT, ILL, TRAP, ABRT, BUS, FPE, SEGV, XCPU, XFSZ, SYS.
    const CORE: [u32; 10] = [3, 4, 5, 6, 7, 8, 11, 24, 25, 31];
    const OF_FAULTS: [u32; 5] = [4, 5, 7, 8, 11];
    let signal = thread.signals.fatal;
    // Modules are known to the unwinder where allocations are recorded.
    if !CORE.contains(&signal) || engine.heap.get().is_none() {
        return;
    }
    let code = thread.signals.info[1] as u32;
    let is_fault = (code as i32) > 0 && OF_FAULTS.contains(&signal);
    let address = if is_fault { thread.signals.info[2] } else { 0 };
    let stack = if has_jumped(engine, thread) {
        stacks::of_jump(engine, thread)
    } else {
        stacks::here(engine, thread)
    };
    let (value, given) = (u64::from(signal), u64::from(code));
    tell(thread, stack, &Told { address, value, given, ..Told::new(Error::FatalSignal, About::NOTHING) });
}

/// An error as it is told. What is 0 or empty does not belong to it.
pub(crate) struct Told<'a> {
    pub(crate) error: Error,
    pub(crate) address: u64,
    /// What was to be defined is not even the guest's to touch.
    pub(crate) unaddressable: bool,
    pub(crate) size: u64,
    pub(crate) about: About,
    pub(crate) value: u64,
    pub(crate) wanted: u64,
    pub(crate) given: u64,
    /// See [`origin`].
    pub(crate) origin: u32,
    /// At most [`LONGEST_TEXT`] bytes.
    pub(crate) text: &'a [u8],
    /// What a descriptor is open for.
    pub(crate) name: &'a [u8],
}

impl Told<'_> {
    pub(crate) const fn new(error: Error, about: About) -> Self {
        Told {
            error,
            address: 0,
            unaddressable: false,
            size: 0,
            about,
            value: 0,
            wanted: 0,
            given: 0,
            origin: 0,
            text: b"",
            name: b"",
        }
    }
}

/// Names of the longest parameters of system calls have 60.
pub(crate) const LONGEST_TEXT: usize = 64;

/// Errors so far.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many errors were told, each time counted; a fatal signal is none.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Whether the guest wants to hear of an error.
fn is_wanted(thread: &Thread, told: &Told<'_>) -> bool {
    match told.error {
        Error::FatalSignal => true,
        _ if thread.errors_disabled != 0 => false,
        Error::InvalidRead | Error::InvalidWrite => {
            !client_memory::is_ignored(crate::state::engine(), told.address)
        }
        _ => true,
    }
}

/// Tells the recorder.
pub(crate) fn tell(thread: &mut Thread, stack: u32, told: &Told<'_>) {
    const FIXED: usize = 15 + FRAME_WORDS;
    if !is_wanted(thread, told) {
        return;
    }
    if told.error != Error::FatalSignal {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    let instructions = thread.context.instructions();
    thread.stats[Stat::Errors as usize] += 1;
    let engine = crate::state::engine();
    if engine.options.flags & FLAG_FIRST_ERROR != 0 && told.error != Error::FatalSignal {
        // On the thread's way back into the cache, where it holds no lock.
        engine.at_first_error.store(1, Ordering::SeqCst);
        thread.context.pending.store(1, Ordering::SeqCst);
    }
    let Some(writer) = &mut thread.writer else { return };
    let about = &told.about;
    let mut words = [0; FIXED + 1 + LONGEST_TEXT.div_ceil(8)];
    words[15..FIXED].copy_from_slice(&about.frame);
    words[..15].copy_from_slice(&[
        0,
        sys::tsc(),
        pair(told.error as u32 | if told.unaddressable { UNADDRESSABLE } else { 0 }, stack),
        told.address,
        told.size,
        instructions,
        pair(about.kind, about.family),
        about.start,
        about.size,
        about.offset,
        pair(about.allocated, about.freed),
        told.value,
        told.wanted,
        told.given,
        pair(told.origin & origin::KINDS, told.origin >> origin::KINDS.count_ones()),
    ]);
    let name = if told.name.is_empty() { &about.name } else { told.name };
    if !name.is_empty() {
        writer.push_strings(Kind::Error, &words[1..FIXED], &[told.text, name]);
        return;
    }
    let used = FIXED + put_string(&mut words[FIXED..], told.text).unwrap_or(0);
    words[0] = header(Kind::Error, used);
    writer.push(&words[..used]);
}

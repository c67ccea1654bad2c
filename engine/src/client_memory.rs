//! What the guest says of its memory by client requests: not to be touched, undefined, described by a name, not to be told
//! of.
//!
//! Always holds: a byte that the guest has marked as not to be touched has the V pattern for that as long as it is so; the
//! table then tells it from one whose defined bits look alike. Until the first such mark nobody looks at the table. What
//! the kernel writes to, and what a mapping or a block of the heap replaces, is the guest's again. Not here: how requests
//! arrive (`requests`), blocks and pools (`client_blocks`).

use crate::context::{Thread, gpr};
use crate::errors::{self, Run};
use crate::range_map::RangeMap;
use crate::shadow::{self, Bits};
use crate::space::GUEST_END;
use crate::state::Engine;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

/// What was said of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    NoAccess,
    /// With its origin; see [`errors::origin`].
    Undefined(u32),
}

/// A block that was given a name.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) start: u64,
    pub(crate) bytes: u64,
    pub(crate) name: Vec<u8>,
    /// Stack of the request.
    pub(crate) stack: u32,
}

/// All that the guest has said.
#[derive(Debug)]
pub struct ClientMemory {
    said: RangeMap<Said>,
    /// Where invalid accesses are not told of.
    ignored: RangeMap<()>,
    /// By handle; discarded ones are used again.
    described: Vec<Option<Described>>,
}

/// Something was marked.
static MARKED: AtomicBool = AtomicBool::new(false);
/// Accesses to some memory are not told of.
static IGNORES: AtomicBool = AtomicBool::new(false);

/// Whether the guest has ever marked memory.
#[inline]
pub(crate) fn is_marked() -> bool {
    MARKED.load(Ordering::Relaxed)
}

impl ClientMemory {
    /// Nothing.
    pub const fn new() -> ClientMemory {
        ClientMemory { said: RangeMap::new(), ignored: RangeMap::new(), described: Vec::new() }
    }

    /// CREATE_BLOCK: the handle.
    pub(crate) fn describe(&mut self, block: Described) -> u64 {
        let free = self.described.iter().position(Option::is_none);
        let handle = free.unwrap_or_else(|| {
            self.described.push(None);
            self.described.len() - 1
        });
        self.described[handle] = Some(block);
        handle as u64
    }

    /// DISCARD: whether there was a block with this handle.
    pub(crate) fn discard(&mut self, handle: u64) -> bool {
        let place = usize::try_from(handle).ok().and_then(|handle| self.described.get_mut(handle));
        place.is_some_and(|block| block.take().is_some())
    }

    /// The described block that an address is in.
    pub(crate) fn description(&self, address: u64) -> Option<&Described> {
        let holds = |block: &&Described| address.wrapping_sub(block.start) < block.bytes;
        self.described.iter().flatten().find(holds)
    }
}

impl Default for ClientMemory {
    fn default() -> Self {
        ClientMemory::new()
    }
}

/// The most bytes that one request marks; the shadow of more would take more memory than there is.
const MOST: u64 = 4 << 30;

/// The part of a range that is the guest's; `None` where there is nothing to mark.
fn inside(start: u64, bytes: u64) -> Option<Range<u64>> {
    let end = start.saturating_add(bytes).min(GUEST_END);
    (shadow::is_on() && start < end && end - start <= MOST).then_some(start..end)
}

/// The guest does not touch a range any more.
pub(crate) fn no_access(engine: &Engine, thread: &Thread, start: u64, bytes: u64) {
    let Some(range) = inside(start, bytes) else { return };
    // Where no value is followed, nothing sees that a function has returned and another one has the same variables.
    if !shadow::follows() && is_on_stack(engine, thread, start) {
        return;
    }
    MARKED.store(true, Ordering::Relaxed);
    engine.client_memory.lock().said.set(range.start, range.end, Said::NoAccess);
    shadow::set(range.start, range.end - range.start, Bits::Unaddressable);
}

fn is_on_stack(engine: &Engine, thread: &Thread, address: u64) -> bool {
    let space = engine.space.lock();
    let bounds = space.find(thread.context.regs[gpr::RSP]).map(|(start, mapping)| start..mapping.end);
    bounds.is_some_and(|bounds| bounds.contains(&address))
}

/// A range is the guest's, and undefined. `origin`: see [`errors::origin`].
pub(crate) fn undefined(engine: &Engine, start: u64, bytes: u64, origin: u32) {
    let Some(range) = inside(start, bytes) else { return };
    if shadow::follows() {
        MARKED.store(true, Ordering::Relaxed);
        engine.client_memory.lock().said.set(range.start, range.end, Said::Undefined(origin));
    } else if is_marked() {
        engine.client_memory.lock().said.clear(range.start, range.end);
    }
    shadow::set(range.start, range.end - range.start, shadow::fresh());
}

/// A range is the guest's, and defined.
pub(crate) fn defined(engine: &Engine, start: u64, bytes: u64) {
    let Some(range) = inside(start, bytes) else { return };
    renewed(engine, range.start, range.end - range.start);
    shadow::set(range.start, range.end - range.start, Bits::Defined);
}

/// Of a range, what is the guest's is defined.
pub(crate) fn defined_where_addressable(engine: &Engine, start: u64, bytes: u64) {
    let Some(range) = inside(start, bytes) else { return };
    let mut at = range.start;
    while at < range.end {
        let run = errors::run(engine, at, range.end);
        if run.addressable {
            defined(engine, at, run.end - at);
        }
        at = run.end;
    }
}

/// A range is a new block of the heap, whose V bits the caller sets: what was said before is void.
#[inline]
pub(crate) fn renewed(engine: &Engine, start: u64, bytes: u64) {
    if is_marked() {
        engine.client_memory.lock().said.clear(start, start.saturating_add(bytes));
    }
}

/// New memory is mapped: it is defined, and what was said of other memory there is void.
pub(crate) fn mapped(engine: &Engine, start: u64, bytes: u64) {
    shadow::written(start, bytes);
    if is_marked() {
        let mut memory = engine.client_memory.lock();
        for (at, end, _) in memory.said.within(start, start.saturating_add(bytes)) {
            shadow::set(at, end - at, Bits::Defined);
        }
        memory.said.clear(start, start.saturating_add(bytes));
    }
}

/// Memory was moved by mremap: what was said of it holds where it is now.
pub(crate) fn moved(engine: &Engine, from: u64, to: u64, bytes: u64) {
    shadow::copied(from, to, bytes);
    if !is_marked() {
        return;
    }
    let mut memory = engine.client_memory.lock();
    let said = memory.said.within(from, from.saturating_add(bytes));
    memory.said.clear(from, from.saturating_add(bytes));
    memory.said.clear(to, to.saturating_add(bytes));
    for (start, end, what) in said {
        let (start, end) = (start - from + to, end - from + to);
        memory.said.set(start, end, what);
        if what == Said::NoAccess && !shadow::follows() {
            shadow::set(start, end - start, Bits::Unaddressable);
        }
    }
}

/// Whether the guest may touch a byte that has the V pattern for those that it may not; `None` where it has not said.
pub(crate) fn is_addressable(engine: &Engine, address: u64) -> Option<bool> {
    if !is_marked() {
        return None;
    }
    engine.client_memory.lock().said.at(address).map(|said| said != Said::NoAccess)
}

/// Where undefined memory comes from, when the guest has said that it is undefined.
pub(crate) fn origin(engine: &Engine, address: u64) -> Option<u32> {
    if !is_marked() {
        return None;
    }
    match engine.client_memory.lock().said.at(address) {
        Some(Said::Undefined(origin)) => Some(origin),
        _ => None,
    }
}

/// As [`errors::run`], of bytes with V bits, once the guest has marked any.
pub(crate) fn run(engine: &Engine, at: u64, end: u64) -> Run {
    let mut bits = [0; 64];
    let bits = &mut bits[..(end - at).min(64) as usize];
    shadow::read(at, bits);
    let is_pattern = |bits: &u8| *bits == Bits::Unaddressable as u8;
    let pattern = is_pattern(&bits[0]);
    if !pattern {
        let alike = bits.iter().take_while(|bits| !is_pattern(bits)).count() as u64;
        return Run { addressable: true, end: at + alike };
    }
    let addressable = errors::is_addressable(engine, at);
    let alike = bits
        .iter()
        .zip(at..)
        .take_while(|(bits, at)| is_pattern(bits) && errors::is_addressable(engine, *at) == addressable)
        .count() as u64;
    Run { addressable, end: at + alike.max(1) }
}

/// Invalid accesses to a range are told of no more, or again.
pub(crate) fn ignore(engine: &Engine, start: u64, bytes: u64, ignore: bool) {
    let end = start.saturating_add(bytes);
    let mut memory = engine.client_memory.lock();
    if ignore {
        IGNORES.store(true, Ordering::Relaxed);
        memory.ignored.set(start, end, ());
    } else {
        memory.ignored.clear(start, end);
    }
}

/// Whether an invalid access is not told of.
pub(crate) fn is_ignored(engine: &Engine, address: u64) -> bool {
    IGNORES.load(Ordering::Relaxed) && engine.client_memory.lock().ignored.at(address).is_some()
}

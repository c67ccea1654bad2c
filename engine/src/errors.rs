//! Errors of the guest: what a check that found V bits means, and the record that tells of it.
//!
//! Always holds: the guest goes on as natively, whatever was found. Not here: where checks stand (`translate::check`),
//! the V bits (`shadow`), grouping and counting (`vg-record`).

use crate::context::Thread;
use crate::state::Engine;
use crate::strings::shape::Shape;
use crate::{shadow, shadow_range};
use crate::{stacks, strings, symbols, sys};
use heap::{Block, Relation, State};
use ring::record::{Error, Kind, Stat, about, header, pair};
use translate::Access;

/// The largest access of one instruction that is checked.
const LARGEST: usize = 64;

/// A check has found V bits: says what is wrong, if anything is. The access is then made. Returns the cache address to
/// go on at.
pub fn check(engine: &Engine, thread: &mut Thread) -> Option<u64> {
    let (address, resume) = (thread.context.target, thread.context.resume);
    thread.stats[Stat::CheckSlowPaths as usize] += 1;
    let Some((check, position)) = engine.cache.lock().check_before(resume) else {
        crate::fatal::fail("a check that the cache does not know")
    };
    thread.context.pc = position.pc;
    let size = usize::from(check.size);
    let mut bits = [0; LARGEST];
    shadow::read(address, &mut bits[..size]);
    let bad = bits[..size].iter().filter(|bits| **bits == shadow::Bits::Undefined as u8).count();
    let known = || {
        is_partial_load(address, size, bad, check.access)
            || is_load_of_linker(engine, check.pc, address, size, check.access)
    };
    if bad == 0 || known() {
        return Some(resume);
    }
    // Of an instruction that does both, Valgrind tells the read alone, too.
    let error = if check.access == Access::Write { Error::InvalidWrite } else { Error::InvalidRead };
    invalid_access(engine, thread, check.pc, error, address, size);
    Some(resume)
}

/// Whether it is a load that functions like strlen make on purpose: of words that begin or end in the block. Valgrind's
/// rule (`--partial-loads-ok=yes`) asks for an aligned address; that of vectors may be any here, because libc's own
/// functions with such loads run as they are.
fn is_partial_load(address: u64, size: usize, bad: usize, access: Access) -> bool {
    let aligned = matches!(size, 4 | 8) && address.is_multiple_of(size as u64);
    access == Access::Read && bad < size && (aligned || matches!(size, 16 | 32 | 64))
}

/// A string function, at whose entry the thread is, goes through a range: tells of the first access that it may not make.
#[inline(always)]
pub fn check_range(
    engine: &Engine,
    thread: &mut Thread,
    pc: u64,
    start: u64,
    length: u64,
    access: Access,
    shape: Shape,
) {
    if !shadow_range::is_clean(start, length) {
        range_has_bits(engine, thread, pc, start, length, access, shape);
    }
}

#[cold]
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
    tell(thread, error, stack, address, size, About::of(engine, address));
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
    // Only the heap has memory that nobody may touch.
    let Some(heap) = engine.heap.get().filter(|heap| heap.contains(at)) else {
        return Run { addressable: true, end };
    };
    let block = heap.lookup(at);
    match block.filter(|block| block.state == State::Live && matches!(block.relation, Relation::Inside(_))) {
        Some(block) => Run { addressable: true, end: end.min(block.address + block.size) },
        // Blocks are aligned to this.
        None => Run { addressable: false, end: end.min((at | 15) + 1) },
    }
}

/// The string function at whose entry the thread is copies between ranges that overlap. `size`: its argument, or 0.
#[cold]
pub fn overlap(engine: &Engine, thread: &mut Thread, pc: u64, name: &[u8], to: u64, from: u64, size: u64) {
    let stack = stacks::take(engine, thread, strings::symbol(engine, pc));
    let instructions = thread.context.instructions();
    thread.stats[Stat::Errors as usize] += 1;
    if let Some(writer) = &mut thread.writer {
        let error = pair(Error::Overlap as u32, stack);
        let fixed = [sys::tsc(), error, to, size, instructions, 0, 0, 0, 0, 0, from];
        writer.push_strings(Kind::Error, &fixed, &[name]);
    }
}

/// Whether it is a load of the dynamic linker's own strlen and its like, which look at 64 bytes at a time from the one on
/// that is in the block.
#[cold]
fn is_load_of_linker(engine: &Engine, pc: u64, address: u64, size: usize, access: Access) -> bool {
    const BEFORE: u64 = 48;
    if access != Access::Read || size != 16 || !address.is_multiple_of(16) {
        return false;
    }
    let linker = engine.modules.lock().find(pc).is_some_and(symbols::is_dynamic_linker);
    linker && (address - BEFORE..address + 16).step_by(16).any(|at| run(engine, at, at + 16).addressable)
}

fn invalid_access(engine: &Engine, thread: &mut Thread, pc: u64, error: Error, address: u64, size: usize) {
    let stack = stacks::of_access(engine, thread, pc);
    let about = About::of(engine, address);
    tell(thread, error, stack, address, size as u64, about);
}

/// What lies at an address, in the words of the record.
struct About {
    kind: u32,
    start: u64,
    size: u64,
    offset: u64,
    family: u32,
    allocated: u32,
    freed: u32,
}

impl About {
    fn of(engine: &Engine, address: u64) -> About {
        let block = engine.heap.get().and_then(|heap| heap.lookup(address));
        block.map_or(
            About { kind: about::UNKNOWN, start: 0, size: 0, offset: 0, family: 0, allocated: 0, freed: 0 },
            |block| About::block(&block),
        )
    }

    fn block(block: &Block) -> About {
        let offset = match block.relation {
            Relation::Before(bytes) => bytes.wrapping_neg(),
            Relation::Inside(bytes) => bytes,
            Relation::After(bytes) => block.size.wrapping_add(bytes),
        };
        About {
            kind: if block.state == State::Live { about::LIVE_BLOCK } else { about::FREED_BLOCK },
            start: block.address,
            size: block.size,
            offset,
            family: block.family as u32,
            allocated: block.stack,
            freed: block.free_stack,
        }
    }
}

/// Tells the recorder.
fn tell(thread: &mut Thread, error: Error, stack: u32, address: u64, size: u64, about: About) {
    let instructions = thread.context.instructions();
    thread.stats[Stat::Errors as usize] += 1;
    if let Some(writer) = &mut thread.writer {
        writer.push(&[
            header(Kind::Error, 11),
            sys::tsc(),
            pair(error as u32, stack),
            address,
            size,
            instructions,
            pair(about.kind, about.family),
            about.start,
            about.size,
            about.offset,
            pair(about.allocated, about.freed),
        ]);
    }
}

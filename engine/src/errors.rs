//! Errors of the guest: what a check that found V bits means, and the record that tells of it.
//!
//! Always holds: the guest goes on as natively, whatever was found. Not here: where checks stand (`translate::check`),
//! the V bits (`shadow`), grouping and counting (`vg-record`).

use crate::context::Thread;
use crate::state::Engine;
use crate::{precise, shadow, stacks, sys};
use heap::{Block, Relation, State};
use iced_x86::Instruction;
use ring::record::{Error, Kind, Stat, about, header, origin, pair};
use translate::{Access, What};

/// The largest access of one instruction that is checked.
const LARGEST: usize = 64;

/// How a thread goes on after a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// At this cache address.
    Resume(u64),
    /// At its pc, through the dispatcher.
    Dispatch,
}

/// A check has found V bits, or a guard a register that is not defined: says what is wrong, if anything is, and how the
/// guest goes on. The access is then made.
pub fn check(engine: &Engine, thread: &mut Thread) -> After {
    let (address, resume) = (thread.context.target, thread.context.resume);
    thread.stats[Stat::CheckSlowPaths as usize] += 1;
    let cache = engine.cache.lock();
    let (found, mode) = (cache.check_before(resume), cache.mode_at(resume));
    drop(cache);
    let (Some((check, position)), Some(mode)) = (found, mode) else {
        crate::fatal::fail("a check that the cache does not know")
    };
    thread.context.pc = position.pc;
    let precise = match check.what {
        What::Registers(uses) => {
            if precise::guard(thread, mode, uses) {
                return After::Resume(resume);
            }
            true
        }
        What::Memory { size, access } => memory(engine, thread, check.pc, address, usize::from(size), access),
    };
    if !precise {
        return After::Resume(resume);
    }
    if engine.options.events & ring::shared::EVENTS_INSTR != 0 {
        let slot = &mut thread.context.instruction_slots[0];
        *slot = slot.wrapping_add_signed(i64::from(check.adjust));
    }
    After::Dispatch
}

/// An access to memory with V bits. True when it is for precise code.
fn memory(engine: &Engine, thread: &mut Thread, pc: u64, address: u64, size: usize, access: Access) -> bool {
    let mut bits = [0; LARGEST];
    let bits = &mut bits[..size];
    shadow::read(address, bits);
    let bad = unaddressable(engine, address, bits);
    let undefined = (0..size).any(|at| bits[at] != 0 && bad >> at & 1 == 0);
    let partial = is_partial_load(address, size, bad.count_ones() as usize, access);
    if access == Access::Write {
        // Clean code stores defined values.
        for at in (0..size).filter(|at| bad >> at & 1 == 0) {
            shadow::write(address.wrapping_add(at as u64), &[0]);
        }
    } else if shadow::follows() && (undefined || (bad != 0 && partial)) {
        precise::begin(thread);
        return true;
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
fn is_addressable(engine: &Engine, address: u64) -> bool {
    match engine.heap.get() {
        Some(heap) if heap.contains(address) => heap
            .lookup(address)
            .is_some_and(|block| block.state == State::Live && matches!(block.relation, Relation::Inside(_))),
        _ => address < crate::space::GUEST_END,
    }
}

/// Where undefined memory comes from: a tag for `definedness`, 0 when it is not known. Its low two bits are the kind, the
/// others a stack.
pub(crate) fn origin(engine: &Engine, address: u64) -> u32 {
    let block = engine.heap.get().and_then(|heap| heap.lookup(address));
    match block {
        Some(block) if block.state == State::Live => block.stack << 2 | origin::HEAP,
        Some(_) => 0,
        // All else that is undefined, or was copied from what is, lies on a stack; of which function, is not looked for yet.
        None => origin::STACK,
    }
}

/// Whether it is a load that functions like strlen make on purpose: of words that begin or end in the block. Valgrind's
/// rule (`--partial-loads-ok=yes`) asks for an aligned address; that of vectors may be any here, because libc's own
/// functions with such loads run as they are.
pub(crate) fn is_partial_load(address: u64, size: usize, bad: usize, access: Access) -> bool {
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
    /// See [`origin`].
    pub(crate) origin: u32,
}

/// Tells of an error of the instruction that the thread stands at.
pub(crate) fn tell_finding(engine: &Engine, thread: &mut Thread, insn: &Instruction, finding: &Finding) {
    let stack = stacks::of_access(engine, thread, insn.ip());
    let about = match finding.error {
        Error::InvalidRead | Error::InvalidWrite => About::of(engine, finding.address),
        _ => About::NONE,
    };
    tell(thread, finding.error, stack, finding.address, finding.size, about, finding.origin);
}

fn invalid_access(engine: &Engine, thread: &mut Thread, pc: u64, error: Error, address: u64, size: usize) {
    let stack = stacks::of_access(engine, thread, pc);
    let about = About::of(engine, address);
    tell(thread, error, stack, address, size as u64, about, 0);
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
    const NONE: About =
        About { kind: about::UNKNOWN, start: 0, size: 0, offset: 0, family: 0, allocated: 0, freed: 0 };

    fn of(engine: &Engine, address: u64) -> About {
        let block = engine.heap.get().and_then(|heap| heap.lookup(address));
        block.map_or(About::NONE, |block| About::block(&block))
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
fn tell(thread: &mut Thread, error: Error, stack: u32, address: u64, size: u64, about: About, origin: u32) {
    let instructions = thread.context.instructions();
    thread.stats[Stat::Errors as usize] += 1;
    if let Some(writer) = &mut thread.writer {
        writer.push(&[
            header(Kind::Error, 12),
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
            pair(origin & origin::KINDS, origin >> origin::KINDS.count_ones()),
        ]);
    }
}

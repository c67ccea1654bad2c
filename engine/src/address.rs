//! What lies at an address: a block of the heap, a stack, a module, a mapping, nothing.
//!
//! Always holds: the guest's memory is not touched. Not here: when it is asked (`errors`, `heap_errors`, `faults`).

use crate::context::{Thread, gpr};
use crate::state::Engine;
use crate::{modules, stacks};
use alloc::vec::Vec;
use heap::{Block, Freed, Relation, State};
use ring::record::{FRAME_WORDS, about};
use unwind::Holding;

/// How far below the stack pointer what is not mapped still belongs to the stack.
const BELOW_STACK_BYTES: u64 = 64 << 10;
/// How far below the stack pointer a function that calls none may have variables (System V ABI).
const RED_ZONE_BYTES: u64 = 128;
const WRITE: u8 = 2;
const EXECUTE: u8 = 4;

/// A frame in the words of the record.
fn words(frame: Option<Holding>) -> [u64; FRAME_WORDS] {
    frame.map_or([0; FRAME_WORDS], |frame| {
        [frame.cfa, frame.own.sp, frame.own.bp, frame.callee.sp, frame.callee.bp]
    })
}

/// What lies at an address, in the words of the record.
pub(crate) struct About {
    pub(crate) kind: u32,
    pub(crate) start: u64,
    pub(crate) size: u64,
    pub(crate) offset: u64,
    /// Or what stands in its place: see `ring::record::about`.
    pub(crate) family: u32,
    pub(crate) allocated: u32,
    pub(crate) freed: u32,
    /// Of the file that is mapped there; or what the guest calls the block.
    pub(crate) name: Vec<u8>,
    /// Of the frame that holds the address, what its variables are found by: see `ring::record::Kind::Error`.
    pub(crate) frame: [u64; FRAME_WORDS],
}

impl About {
    /// Nothing, for errors that are about no address.
    pub(crate) const NOTHING: About = About {
        kind: about::UNKNOWN,
        start: 0,
        size: 0,
        offset: 0,
        family: 0,
        allocated: 0,
        freed: 0,
        name: Vec::new(),
        frame: [0; FRAME_WORDS],
    };

    /// What is known of an address: a block that the guest has described or announced, or one of the heap.
    pub(crate) fn of(engine: &Engine, address: u64) -> About {
        if let Some(about) = About::client(engine, address) {
            return about;
        }
        let block = engine.heap.get().and_then(|heap| heap.lookup(address));
        block.map_or(About::NOTHING, |block| About::block(&block))
    }

    fn client(engine: &Engine, address: u64) -> Option<About> {
        let memory = engine.client_memory.lock();
        if let Some(block) = memory.description(address) {
            return Some(About {
                kind: about::DESCRIBED,
                start: block.start,
                size: block.bytes,
                offset: address - block.start,
                allocated: block.stack,
                name: block.name.clone(),
                ..About::NOTHING
            });
        }
        drop(memory);
        let found = engine.client.lock().find(address)?;
        Some(About {
            kind: if found.freed.is_some() { about::FREED_BLOCK } else { about::CLIENT_BLOCK },
            start: found.start,
            size: found.block.size,
            offset: address.wrapping_sub(found.start),
            family: found.family as u32,
            allocated: found.block.stack,
            freed: found.freed.unwrap_or(0),
            ..About::NOTHING
        })
    }

    /// The same; what is no block's is described, too. `pc`: where the thread stands.
    #[cold]
    pub(crate) fn anything(engine: &Engine, thread: &mut Thread, pc: u64, address: u64) -> About {
        if let Some(about) = About::client(engine, address) {
            return about;
        }
        if engine.heap.get().is_some_and(|heap| heap.contains(address)) {
            return About::of(engine, address);
        }
        let sp = thread.context.regs[gpr::RSP];
        let space = engine.space.lock();
        let found = space.find(address).map(|(start, mapping)| (start, mapping.clone()));
        let around_sp = space.find(sp).map(|(start, mapping)| start..mapping.end);
        drop(space);
        let below = |kind_of_memory| {
            let (start, size) =
                around_sp.as_ref().map_or((0, 0), |range| (range.start, range.end - range.start));
            let offset = sp.wrapping_sub(address);
            About { kind: about::BELOW_STACK, start, size, offset, family: kind_of_memory, ..About::NOTHING }
        };
        let Some((start, mapping)) = found else {
            if (1..=BELOW_STACK_BYTES).contains(&sp.wrapping_sub(address)) {
                return below(about::ORDINARY);
            }
            return About { kind: about::UNMAPPED, ..About::NOTHING };
        };
        let range = start..mapping.end;
        let within = |kind, start: u64, end: u64, family| {
            let (size, offset) = (end - start, address - start);
            About { kind, start, size, offset, family, ..About::NOTHING }
        };
        if range.contains(&sp) {
            if address < sp {
                let red_zone = sp - address <= RED_ZONE_BYTES;
                let innermost = red_zone.then(|| stacks::frame_of(engine, thread, pc, sp)).flatten();
                return About { frame: words(innermost), ..below(about::ORDINARY) };
            }
            let frame = stacks::frame_of(engine, thread, pc, address);
            let number = frame.map_or(0, |frame| frame.index as u32 + 1);
            return About { frame: words(frame), ..within(about::STACK, range.start, range.end, number) };
        }
        if mapping.protection == 0 && around_sp.as_ref().is_some_and(|stack| stack.start == range.end) {
            return below(about::GUARD_PAGE);
        }
        let module = engine.modules.lock().find(address).map(|module| {
            let (start, end, id) = (module.start, module.end, module.id);
            (start, end, id, module.path.clone())
        });
        let kind = if mapping.protection & EXECUTE != 0 { about::CODE } else { about::DATA };
        match module {
            Some((start, end, id, _)) if mapping.protection & (WRITE | EXECUTE) != 0 => {
                within(kind, start, end, id)
            }
            // Constants, too, are a mapping of the module's file, as in Valgrind.
            module => {
                let path = match module {
                    Some((.., path)) => path,
                    None if mapping.file.is_some() => modules::path_at(address),
                    None => Vec::new(),
                };
                About {
                    name: path,
                    ..within(about::MAPPING, start, mapping.end, u32::from(mapping.protection))
                }
            }
        }
    }

    /// Whether the address lies in a frame that was found.
    pub(crate) fn is_in_frame(&self) -> bool {
        matches!(self.kind, about::STACK | about::BELOW_STACK) && self.frame != [0; FRAME_WORDS]
    }

    /// What two stacks alone tell of: who opened and who closed a descriptor.
    pub(crate) fn stacks(opened: u32, closed: u32) -> About {
        About { allocated: opened, freed: closed, ..About::NOTHING }
    }

    /// A block that has just been freed, as it was before.
    pub(crate) fn freed_now(address: u64, block: &Freed) -> About {
        About {
            kind: about::LIVE_BLOCK,
            start: address,
            size: block.size,
            family: block.family as u32,
            allocated: block.stack,
            ..About::NOTHING
        }
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
            ..About::NOTHING
        }
    }
}

//! Stacks of the guest: taken by the unwinder, interned in a tree, new nodes told to the recorder.
//!
//! # Safety
//! `unsafe` here reads the guest's stack within the bounds of its mapping, and views unwind tables in mapped modules.
#![allow(unsafe_code, reason = "reads the guest's stack and unwind tables")]

use crate::context::{Thread, gpr};
use crate::heap_calls::map_sparse;
use crate::lock::Mutex;
use crate::modules::{GENERATION, Module};
use crate::state::Engine;
use crate::{guest_mem, space};
use alloc::boxed::Box;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use ring::record::{Kind, header, pair};
use unwind::{EncodingOrder, Holding, Memory, Modules, Section, StackTree, Unwinder, WORDS_PER_NODE};

/// Nodes that fit; sparse memory.
const NODES: usize = 1 << 26;

/// What all threads share.
pub struct Stacks {
    tree: StackTree<'static>,
    modules: Mutex<Modules>,
}

/// A thread's unwinder with its copy of the module table.
pub struct ThreadUnwinder {
    unwinder: Unwinder,
    modules: Modules,
    generation: u64,
}

impl Stacks {
    /// Reserves memory for the tree.
    pub fn new() -> Stacks {
        let bytes = (NODES * WORDS_PER_NODE * 8) as u64;
        let Ok(at) = map_sparse(space::reserve_engine(bytes), bytes) else {
            crate::fatal::fail("no address space for stacks (is `ulimit -v` set?)")
        };
        // SAFETY: a fresh mapping of that many words, zero, never unmapped.
        let words = unsafe { core::slice::from_raw_parts(at as *const AtomicU64, NODES * WORDS_PER_NODE) };
        Stacks { tree: StackTree::new(words), modules: Mutex::new(Modules::new()) }
    }

    /// Locks for fork.
    pub fn acquire(&self) {
        self.modules.acquire();
    }

    /// Unlocks after fork.
    pub fn release(&self) {
        self.modules.release();
    }

    /// Makes a module known to the unwinder; its tables must be mapped.
    pub fn add_module(&self, module: &Module) {
        let section = |range: (u64, u64)| {
            let length = range.1.saturating_sub(range.0) as usize;
            // SAFETY: a loaded segment of a mapped module; it is removed here before it is unmapped, and code that
            // is on a stack keeps its module mapped.
            let bytes = unsafe { core::slice::from_raw_parts(range.0 as *const u8, length) };
            Section { avma: range.0, bytes }
        };
        let (start, size) = module.eh_frame_hdr;
        let described = if module.has_search_table() {
            unwind::Module::with_segment(
                module.id,
                module.start..module.end,
                module.bias,
                section((start, start + size)),
                section(module.eh_segment),
            )
        } else {
            unwind::Module {
                id: module.id,
                avma: module.start..module.end,
                bias: module.bias,
                eh_frame_hdr: None,
                eh_frame: (module.eh_frame.1 != 0)
                    .then(|| section((module.eh_frame.0, module.eh_frame.0 + module.eh_frame.1))),
            }
        };
        // An overlap means that the old module was unmapped piece by piece: the new one wins.
        let mut modules = self.modules.lock();
        let mut result = modules.add(described.clone());
        while let Err(unwind::AddError::Overlap(other)) = result {
            modules.remove(other);
            result = modules.add(described.clone());
        }
        drop(modules);
        GENERATION.fetch_add(1, Ordering::Release);
    }

    /// Forgets a module.
    pub fn remove_module(&self, id: u32) {
        self.modules.lock().remove(id);
        GENERATION.fetch_add(1, Ordering::Release);
    }
}

impl Default for Stacks {
    fn default() -> Self {
        Stacks::new()
    }
}

impl ThreadUnwinder {
    /// Frames walked and unwind rules compiled.
    pub fn work(&self) -> (u64, u64) {
        let counters = self.unwinder.counters();
        (counters.frames, counters.rules)
    }
}

struct GuestMemory<'a> {
    engine: &'a Engine,
    bounds: (u64, u64),
}

impl Memory for GuestMemory<'_> {
    fn stack(&self, sp: u64) -> Option<Range<u64>> {
        if sp >= self.bounds.0 + 128 && sp < self.bounds.1 {
            return Some(self.bounds.0..self.bounds.1);
        }
        bounds(self.engine, sp).map(|(start, end)| start..end)
    }

    #[inline]
    fn word(&self, address: u64) -> Option<u64> {
        // SAFETY: the unwinder asks only for words within the bounds that `stack` gave: readable guest memory.
        Some(unsafe { (address as *const u64).read_unaligned() })
    }

    fn code(&self, address: u64, bytes: &mut [u8]) -> bool {
        let space = self.engine.space.lock();
        let executable = |at| space.find(at).is_some_and(|(_, mapping)| mapping.protection & 4 != 0);
        let sound = executable(address) && executable(address + bytes.len() as u64 - 1);
        drop(space);
        sound && guest_mem::read(address, bytes) == bytes.len()
    }
}

/// Bounds of the readable mapping that holds a stack pointer.
fn bounds(engine: &Engine, sp: u64) -> Option<(u64, u64)> {
    if let Some(heap) = engine.heap.get()
        && heap.contains(sp)
    {
        let block = heap.lookup(sp)?;
        return Some((block.address, block.address + block.size));
    }
    let space = engine.space.lock();
    let (start, mapping) = space.find(sp)?;
    (mapping.protection & 1 != 0).then_some((start, mapping.end))
}

/// In a forked child: an id that the thread kept for later is older than nodes that the child shares with its parent, and
/// the recorder takes all ids from the child's first own one on for the child's.
pub fn after_fork(thread: &mut Thread) {
    if let Some(state) = &mut thread.unwinder {
        state.unwinder.forget();
    }
}

/// The stack of a thread that is about to execute the function at `pc`; 0 when there is none to be had.
pub fn take(engine: &Engine, thread: &mut Thread, pc: u64) -> u32 {
    walk(engine, thread, pc, pc)
}

/// Whether the thread has just been called at `pc`, in code without unwind information.
pub fn is_called(engine: &Engine, thread: &Thread, pc: u64) -> bool {
    if engine.stacks.modules.lock().function(pc).is_some() {
        return false;
    }
    let back = guest_mem::read_u64(thread.context.regs[gpr::RSP]);
    let memory = GuestMemory { engine, bounds: (0, 0) };
    back.is_some_and(|back| unwind::follows_call(&memory, back))
}

/// The stack of a thread at its pc, wherever in a function that is; 0 when there is none to be had.
pub fn here(engine: &Engine, thread: &mut Thread) -> u32 {
    // No function begins there.
    walk(engine, thread, thread.context.pc, u64::MAX)
}

/// The stack of a thread that has jumped to its pc, where no code is: it looks as if that were a function's entry.
pub fn of_jump(engine: &Engine, thread: &mut Thread) -> u32 {
    take(engine, thread, thread.context.pc)
}

/// The frame that holds an address, of the stack of a thread at the entry of the function at `pc`.
pub fn frame_of(engine: &Engine, thread: &mut Thread, pc: u64, address: u64) -> Option<Holding> {
    // Brings the thread's unwinder and the bounds of its stack up to date.
    if take(engine, thread, pc) == 0 {
        return None;
    }
    let memory = GuestMemory { engine, bounds: thread.stack_bounds };
    let state = thread.unwinder.as_mut()?;
    let start = EncodingOrder { rip: pc, gpr: &thread.context.regs };
    let depth = engine.options.depth as usize;
    state.unwinder.frame_of(&state.modules, &start, &memory, address, depth)
}

/// The stack of a thread that stands at its pc and is about to make an access, at `pc` a few instructions later; 0 when
/// there is none to be had.
pub fn of_access(engine: &Engine, thread: &mut Thread, pc: u64) -> u32 {
    let stack = here(engine, thread);
    let later = pc.wrapping_sub(thread.context.pc);
    let Some(innermost) = engine.stacks.tree.node(stack).filter(|_| later != 0) else { return stack };
    let address = innermost.address.wrapping_add(later);
    // A spare id is the unwinder's; one that loses a race here is given up.
    let interned = engine.stacks.tree.intern(innermost.parent, innermost.module, address, &mut 0);
    let Some(interned) = interned else { return stack };
    if interned.is_new
        && let Some(writer) = &mut thread.writer
    {
        let ids = pair(interned.id, innermost.parent);
        writer.push(&[header(Kind::Node, 4), ids, u64::from(innermost.module), address]);
    }
    interned.id
}

fn walk(engine: &Engine, thread: &mut Thread, pc: u64, entry: u64) -> u32 {
    let sp = thread.context.regs[gpr::RSP];
    if sp < thread.stack_bounds.0 + 128 || sp >= thread.stack_bounds.1 {
        match bounds(engine, sp) {
            Some(bounds) => thread.stack_bounds = bounds,
            None => return 0,
        }
    }
    let generation = GENERATION.load(Ordering::Acquire);
    let state = thread.unwinder.get_or_insert_with(|| {
        Box::new(ThreadUnwinder { unwinder: Unwinder::new(11), modules: Modules::new(), generation: 0 })
    });
    if state.generation != generation {
        state.modules = engine.stacks.modules.lock().clone();
        state.generation = generation;
    }
    let memory = GuestMemory { engine, bounds: thread.stack_bounds };
    let writer = &mut thread.writer;
    let depth = engine.options.depth as usize;
    let unwinder = &mut state.unwinder;
    unwinder.at_entry(entry);
    let start = EncodingOrder { rip: pc, gpr: &thread.context.regs };
    unwinder.stack(&state.modules, &start, &memory, &engine.stacks.tree, depth, |node| {
        if let Some(writer) = writer {
            let ids = pair(node.id, node.parent);
            writer.push(&[header(Kind::Node, 4), ids, u64::from(node.module), node.address]);
        }
    })
}

impl Stacks {
    /// Frames of a stack, innermost first: id of the module (0 = none), address less its load bias.
    pub fn frames(&self, stack: u32) -> impl Iterator<Item = (u32, u64)> + '_ {
        let flags = unwind::Frame::EXACT | unwind::Frame::GUESSED;
        core::iter::successors(self.tree.node(stack), |node| self.tree.node(node.parent))
            .map(move |node| (node.module, node.address & !flags))
    }

    /// Whether unwind information begins at an address: a function does, or a part of one that lies elsewhere.
    pub fn is_function_start(&self, pc: u64) -> bool {
        self.modules.lock().is_function_start(pc)
    }

    /// Whether a function begins there, and not a part of one that lies elsewhere: nothing but a return address is on its stack.
    pub fn is_entry(&self, pc: u64) -> bool {
        self.modules.lock().is_entry(pc)
    }

    /// Whether the same unwind information describes both places.
    pub fn are_of_one_function(&self, a: u64, b: u64) -> bool {
        let modules = self.modules.lock();
        modules.function(a).is_some_and(|function| modules.function(b) == Some(function))
    }

    /// Nodes in the tree.
    pub fn nodes(&self) -> u64 {
        u64::from(self.tree.len())
    }
}

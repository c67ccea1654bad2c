//! The guest's malloc family, answered by the engine: what each function does, and its events.
//!
//! Not here: which addresses are such functions (`symbols`), the blocks themselves (crate `heap`), what is wrong with a
//! call (`heap_errors`).
//!
//! # Safety
//! `unsafe` here copies between guest blocks, which the heap has just vouched for, and maps the heap's arena.
#![allow(unsafe_code, reason = "memory of the guest's heap")]

use crate::allocators::{Function, Replacement};
use crate::context::{Context, Thread, gpr};
use crate::heap_errors::{Claim, NOT_SAID, rust_align};
use crate::lock::Mutex;
use crate::shadow::{self, Bits};
use crate::state::Engine;
use crate::{client_memory, clock, guest_mem, limits, own_code, space, stacks, strings, sys, threads};
use alloc::collections::BTreeMap;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use heap::{Arena, Block, Heap, Pages, Request, State, ThreadCache};
use ring::record::{Family, Kind, Stat, header, pair};
use ring::shared::{Control, EVENTS_ALLOC};
use translate::Replaced;

/// Memory for the heap crate.
pub struct EnginePages {
    next_table: AtomicU64,
}

// SAFETY: reserve hands out fresh private mappings of the engine's zone, which are zero and never unmapped.
unsafe impl Pages for EnginePages {
    fn map(&self, address: u64, bytes: u64) -> bool {
        // What the heap has not grown into stays unmapped: an access there faults as it would natively. No memory is
        // reserved, so much at once is asked for beforehand: more than the machine has is refused to a native malloc, too.
        const MUCH: u64 = 1 << 30;
        let granted = within_limits(bytes) && (bytes < MUCH || is_granted(bytes));
        let mapped = granted && map_sparse(address, bytes).is_ok();
        if mapped && shadow::is_on() {
            // No block's yet.
            shadow::set(address, bytes, Bits::Unaddressable);
        }
        mapped
    }

    fn reserve(&self, bytes: u64) -> Option<u64> {
        let bytes = bytes.next_multiple_of(space::PAGE);
        let at = self.next_table.fetch_add(bytes + space::PAGE, Ordering::Relaxed);
        map_sparse(at, bytes).ok()
    }

    fn decommit(&self, address: u64, bytes: u64) -> bool {
        const DONTNEED: u64 = 4;
        // SAFETY: a part of the arena that holds no live block.
        unsafe { sys::call(sys::nr::MADVISE, &[address, bytes, DONTNEED]) == 0 }
    }

    #[inline]
    fn is_next(&self, address: u64, bytes: u64) {
        if shadow::is_on() {
            shadow::prefetch(address, bytes);
        }
    }

    fn relax(&self, turn: u32) {
        const SCHED_YIELD: u64 = 24;
        if turn > 100 {
            // SAFETY: touches no memory.
            unsafe { sys::call(SCHED_YIELD, &[]) };
        }
        core::hint::spin_loop();
    }

    fn zero(&self, address: u64, bytes: u64) {
        // SAFETY: a part of the arena, which is mapped.
        unsafe { core::ptr::write_bytes(address as *mut u8, 0, bytes as usize) };
    }
}

/// Whether the guest's limits leave room for more of its heap.
fn within_limits(bytes: u64) -> bool {
    if !crate::state::is_installed() {
        return true;
    }
    let engine = crate::state::engine();
    let heap = limits::heap_bytes(engine);
    !engine.limits.any() || limits::allow(engine, &engine.space.lock(), heap, bytes, true)
}

/// Whether the kernel has that much memory for a mapping.
fn is_granted(bytes: u64) -> bool {
    let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses a place of nobody's; it is given back at once.
    unsafe {
        let Ok(at) = sys::mmap(0, bytes, sys::PROT_READ | sys::PROT_WRITE, flags, -1, 0) else {
            return false;
        };
        sys::call(sys::nr::MUNMAP, &[at, bytes]);
    }
    true
}

/// Maps memory that costs nothing before it is touched.
///
/// # Errors
/// The kernel's error number.
pub fn map_sparse(at: u64, bytes: u64) -> Result<u64, i64> {
    let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_NORESERVE | sys::MAP_FIXED_NOREPLACE;
    // SAFETY: a fresh range of the engine's zone or of the arena.
    unsafe { sys::mmap(at, bytes, sys::PROT_READ | sys::PROT_WRITE, flags, -1, 0) }
}

/// The guest's heap and what is known about the functions that lead to it.
pub struct GuestHeap {
    /// `None` when allocations are not recorded.
    heap: Option<Heap<EnginePages>>,
    /// Replaced functions.
    pub targets: Mutex<Targets>,
    /// It was said that an allocator's own blocks are not recorded.
    own_blocks: AtomicBool,
}

/// Replaced functions by pc: bytes of their own code, what stands in for them.
#[derive(Default)]
pub struct Targets {
    by_pc: BTreeMap<u64, (u64, Replacement)>,
}

impl Targets {
    /// No functions.
    pub const fn new() -> Targets {
        Targets { by_pc: BTreeMap::new() }
    }

    /// A function of `size` bytes was found at a pc, maybe by another name before.
    pub fn add(&mut self, pc: u64, size: u64, replacement: Replacement) {
        let known = self.by_pc.entry(pc).or_insert((size, replacement));
        known.1 = known.1.or(replacement);
    }

    /// The bytes of the function at a pc, none where its symbol does not tell.
    pub fn code(&self, pc: u64) -> Range<u64> {
        let size = self.by_pc.get(&pc).map_or(0, |(size, _)| *size);
        pc..pc.saturating_add(size)
    }

    /// A range was unmapped.
    pub fn forget(&mut self, start: u64, end: u64) {
        self.by_pc.retain(|pc, _| !(start..end).contains(pc));
    }

    /// How many functions are known.
    pub fn len(&self) -> usize {
        self.by_pc.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.by_pc.is_empty()
    }
}

impl GuestHeap {
    /// Maps the arena, if allocations are to be recorded.
    pub fn new(control: &Control) -> GuestHeap {
        let targets = Mutex::new(Targets::new());
        let own_blocks = AtomicBool::new(false);
        if control.events.load(Ordering::Relaxed) & EVENTS_ALLOC == 0 {
            return GuestHeap { heap: None, targets, own_blocks };
        }
        let options = heap::Options {
            redzone: u64::from(control.redzone_bytes.load(Ordering::Relaxed)),
            quarantine_bytes: control.freelist_bytes.load(Ordering::Relaxed),
            big_block: control.freelist_big_block.load(Ordering::Relaxed),
            ..heap::Options::default()
        };
        let arena = Arena { base: space::HEAP_BASE, size: space::HEAP_BYTES };
        let pages = EnginePages { next_table: AtomicU64::new(space::TABLES) };
        let made = Heap::new(pages, arena, options).ok();
        if made.is_none() {
            crate::fatal::fail("no address space for the heap (is `ulimit -v` set?)");
        }
        GuestHeap { heap: made, targets, own_blocks }
    }

    /// The heap, when allocations are recorded.
    pub fn get(&self) -> Option<&Heap<EnginePages>> {
        self.heap.as_ref()
    }
}

/// What stands in for the function at a pc.
pub fn replacement(engine: &Engine, pc: u64) -> Option<Replaced> {
    engine.heap.heap.as_ref()?;
    let found = engine.heap.targets.lock().by_pc.get(&pc).map(|(_, replacement)| *replacement);
    let Some(replacement) = found else { return strings::replacement(engine, pc) };
    if replacement.function == Function::OwnBlocks {
        remark_own_blocks(engine, threads::current());
        return None;
    }
    let helper: Helper = match replacement {
        Replacement { function: Function::Malloc, of_heap: false, foreign: false } => malloc,
        Replacement { function: Function::Free, of_heap: false, foreign: false } => free,
        _ => any,
    };
    Some(Replaced { number: replacement.number(), helper: helper as *const () as u64 })
}

/// Says once that an allocator has blocks that are not recorded.
fn remark_own_blocks(engine: &Engine, thread: &mut Thread) {
    if !engine.heap.own_blocks.swap(true, Ordering::Relaxed)
        && let Some(writer) = &mut thread.writer
    {
        let text = b"the program uses heaps of its allocator (mimalloc's mi_heap_ functions and offset alignments, or arenas of jemalloc's mallocx); blocks in them are not recorded";
        writer.message(1, text);
    }
}

/// In a forked child: only the calling thread's blocks in flight are known to be consistent.
pub fn after_fork(engine: &Engine, thread: &mut Thread) {
    let Some(heap) = engine.heap.get() else { return };
    if thread.heap.is_none() {
        thread.heap = heap.thread_cache();
    }
    if let Some(cache) = &thread.heap {
        heap.after_fork(cache);
    }
}

/// Stands in for a guest function; called by the heap stub. The function's fragment has stored its pc, and its number
/// in `exit`. The result goes to rax.
pub(crate) type Helper = extern "C" fn(*mut Context) -> u64;

extern "C" fn any(_: *mut Context) -> u64 {
    let thread = threads::current();
    Replacement::from_number(thread.context.exit).map_or(0, |called| answer(thread, called))
}

// The most frequent ones find out nothing about themselves.

extern "C" fn malloc(_: *mut Context) -> u64 {
    answer(threads::current(), Replacement::plain(Function::Malloc))
}

extern "C" fn free(_: *mut Context) -> u64 {
    answer(threads::current(), Replacement::plain(Function::Free))
}

#[inline(always)]
fn answer(thread: &mut Thread, called: Replacement) -> u64 {
    let engine = crate::state::engine();
    let Replacement { function, of_heap, foreign } = called;
    let pc = thread.context.pc;
    let regs = &thread.context.regs;
    // Handed on by reference: a copy by vectors of what was stored by words has to wait for those stores.
    let a = if of_heap {
        [regs[gpr::RSI], regs[gpr::RDX], regs[gpr::RCX], regs[gpr::R8]]
    } else {
        [regs[gpr::RDI], regs[gpr::RSI], regs[gpr::RDX], regs[gpr::RCX]]
    };
    let failed;
    let failed_new = if thread.failed_new.is_some() {
        failed = own_code::failed_caller(thread);
        failed.as_ref()
    } else {
        None
    };
    let mut call = HeapCall { engine, thread, pc, called, failed_new };
    if foreign && call.is_foreign(function, of_heap, &a) {
        remark_own_blocks(engine, call.thread);
        own_code::run(engine, call.thread, pc);
    }
    let result = call.run(function, &a);
    crate::precise::function_done(call.thread);
    result
}

/// A call of a replaced function.
pub(crate) struct HeapCall<'a> {
    pub(crate) engine: &'static Engine,
    pub(crate) thread: &'a mut Thread,
    pub(crate) pc: u64,
    /// What stands in for it.
    pub(crate) called: Replacement,
    /// The operator new on whose behalf the guest's code calls. (Its registers would be copied at each event.)
    pub(crate) failed_new: Option<&'a own_code::Caller>,
}

/// That no alignment was asked for. The heap aligns every block as malloc does.
pub(crate) const MALLOC_ALIGN: u64 = 1;

impl HeapCall<'_> {
    #[inline(always)]
    fn run(&mut self, function: Function, a: &[u64; 4]) -> u64 {
        use Function as F;
        match function {
            F::Malloc => self.allocate(a[0], MALLOC_ALIGN, Family::Malloc, false),
            F::Zalloc => self.allocate(a[0], MALLOC_ALIGN, Family::Malloc, true),
            F::Calloc => match a[0].checked_mul(a[1]) {
                Some(size) => self.allocate(size, MALLOC_ALIGN, Family::Malloc, true),
                None => self.no_memory(),
            },
            F::Free => self.free(a[0], Family::Malloc),
            F::FreeAny => {
                let family = self.heap().lookup(a[0]).map_or(Family::Malloc, |block| block.family);
                self.free(a[0], family)
            }
            F::Memalign | F::AlignedAlloc => self.memalign(a[0], a[1]),
            F::AlignedSizeFirst => self.aligned(a[1], a[0], Family::Malloc),
            F::ZallocAligned => match a[1].checked_next_power_of_two() {
                Some(align) => self.allocate(a[0], align.max(MALLOC_ALIGN), Family::Malloc, true),
                None => self.no_memory(),
            },
            F::CallocAligned => match (a[0].checked_mul(a[1]), a[2].checked_next_power_of_two()) {
                (Some(size), Some(align)) => {
                    self.allocate(size, align.max(MALLOC_ALIGN), Family::Malloc, true)
                }
                _ => self.no_memory(),
            },
            F::PosixMemalign => self.posix_memalign(a[0], a[1], a[2]),
            F::Valloc => self.aligned(space::PAGE, a[0], Family::Malloc),
            F::Pvalloc => {
                let size = a[0].checked_next_multiple_of(space::PAGE).unwrap_or(a[0]);
                self.aligned(space::PAGE, size, Family::Malloc)
            }
            F::New | F::NewNothrow => self.new_block(a[0], MALLOC_ALIGN, Family::New),
            F::NewArray | F::NewArrayNothrow => self.new_block(a[0], MALLOC_ALIGN, Family::NewArray),
            F::NewAligned | F::NewAlignedNothrow => self.new_aligned(a[0], a[1], Family::New),
            F::NewArrayAligned | F::NewArrayAlignedNothrow => self.new_aligned(a[0], a[1], Family::NewArray),
            F::Delete => self.delete(a[0], Family::New, NOT_SAID, 0),
            F::DeleteArray => self.delete(a[0], Family::NewArray, NOT_SAID, 0),
            F::DeleteSized => self.delete(a[0], Family::New, a[1], 0),
            F::DeleteArraySized => self.delete(a[0], Family::NewArray, a[1], 0),
            F::DeleteAligned => self.delete(a[0], Family::New, NOT_SAID, a[1]),
            F::DeleteArrayAligned => self.delete(a[0], Family::NewArray, NOT_SAID, a[1]),
            F::DeleteSizedAligned => self.delete(a[0], Family::New, a[1], a[2]),
            F::DeleteArraySizedAligned => self.delete(a[0], Family::NewArray, a[1], a[2]),
            F::RustDealloc => self.delete(a[0], Family::Malloc, a[1], rust_align(a[2])),
            F::ReturnZero => 0,
            _ => self.rare(function, a),
        }
    }

    pub(crate) fn heap(&self) -> &'static Heap<EnginePages> {
        match self.engine.heap.get() {
            Some(heap) => heap,
            None => crate::fatal::fail("a heap function without a heap"),
        }
    }

    #[inline]
    fn cache(&mut self) -> &mut ThreadCache {
        if self.thread.heap.is_none() {
            self.join();
        }
        match &mut self.thread.heap {
            Some(cache) => cache,
            None => crate::fatal::fail("more than 65536 threads use the heap"),
        }
    }

    /// The thread's first use of the heap.
    #[cold]
    fn join(&mut self) {
        self.thread.heap = self.heap().thread_cache();
    }

    pub(crate) fn stack(&mut self) -> u32 {
        stacks::take(self.engine, self.thread, self.pc)
    }

    /// The stack at the entry of an operator new that is still running.
    fn stack_of(&mut self, caller: &own_code::Caller) -> u32 {
        let regs = core::mem::replace(&mut self.thread.context.regs, caller.regs);
        let stack = stacks::take(self.engine, self.thread, caller.pc);
        self.thread.context.regs = regs;
        stack
    }

    pub(crate) fn allocate(&mut self, size: u64, align: u64, family: Family, zeroed: bool) -> u64 {
        // A big block may be made of memory that is there already.
        const BIG: u64 = 128 << 10;
        if size > i64::MAX as u64 || (size >= BIG && !within_limits(size)) {
            return self.refuse(size);
        }
        let caller = self.failed_new;
        let family = caller.map_or(family, |caller| caller.family);
        let stack = match caller {
            Some(caller) => self.stack_of(caller),
            None => self.stack(),
        };
        let request = Request { size, align, family, stack, zeroed };
        let heap = self.heap();
        let Some(address) = heap.allocate(self.cache(), request) else { return self.no_memory() };
        if shadow::is_on() {
            client_memory::renewed(self.engine, address, size);
            shadow::set(address, size, if zeroed { Bits::Defined } else { shadow::fresh() });
        }
        self.thread.stats[Stat::Allocations as usize] += 1;
        let what = u64::from(family as u8) | u64::from(align.trailing_zeros()) << 8;
        let (tsc, instructions) = clock::stamp(self.engine, self.thread);
        if let Some(writer) = &mut self.thread.writer {
            let stack = u64::from(stack) | what << 32;
            writer.push_event(&[header(Kind::Alloc, 6), tsc, address, size, stack, instructions]);
        }
        address
    }

    fn aligned(&mut self, align: u64, size: u64, family: Family) -> u64 {
        if align > 1 << 40 {
            return self.no_memory();
        }
        // memalign rounds an odd alignment up; the others fail, which posix_memalign reports itself.
        self.allocate(size, align.max(MALLOC_ALIGN).next_power_of_two(), family, false)
    }

    fn memalign(&mut self, align: u64, size: u64) -> u64 {
        let strict = self.called.function == Function::AlignedAlloc;
        if !align.is_power_of_two() || size == 0 || (strict && !size.is_multiple_of(align)) {
            self.doubtful_alignment(align, size);
            if strict && !align.is_power_of_two() {
                crate::symbols::set_errno(self.engine, self.thread, sys::errno::EINVAL as u32);
                return 0;
            }
        }
        self.aligned(align, size, Family::Malloc)
    }

    fn posix_memalign(&mut self, out: u64, align: u64, size: u64) -> u64 {
        let sound = align.is_power_of_two() && align.is_multiple_of(8);
        if !sound || size == 0 {
            self.doubtful_alignment(align, size);
        }
        if !sound {
            return sys::errno::EINVAL as u64;
        }
        let address = self.aligned(align, size, Family::Malloc);
        if address == 0 {
            return sys::errno::ENOMEM as u64;
        }
        let _ = guest_mem::write_u64(out, address);
        0
    }

    /// Any operator new: running out of memory is the business of the guest's own, with its new_handler.
    pub(crate) fn new_block(&mut self, size: u64, align: u64, family: Family) -> u64 {
        match self.aligned(align, size, family) {
            0 => own_code::run_failed_new(self.engine, self.thread, self.pc, family, self.failed_new),
            address => address,
        }
    }

    /// One with an alignment: a bad one throws in the guest's own code, as no memory does.
    fn new_aligned(&mut self, size: u64, align: u64, family: Family) -> u64 {
        if !align.is_power_of_two() {
            self.doubtful_alignment(align, size);
            own_code::run_failed_new(self.engine, self.thread, self.pc, family, self.failed_new);
        }
        self.new_block(size, align, family)
    }

    pub(crate) fn no_memory(&mut self) -> u64 {
        crate::symbols::set_errno(self.engine, self.thread, sys::errno::ENOMEM as u32);
        0
    }

    /// The live block that starts at an address.
    pub(crate) fn live_block(&self, address: u64) -> Option<Block> {
        let block = self.heap().lookup(address)?;
        (block.state == State::Live && block.address == address).then_some(block)
    }

    pub(crate) fn free(&mut self, address: u64, family: Family) -> u64 {
        self.release(address, Claim { family, size: NOT_SAID, align: NOT_SAID })
    }

    /// The same with what the caller says of the block; see [`Claim`].
    pub(crate) fn delete(&mut self, address: u64, family: Family, size: u64, align: u64) -> u64 {
        self.release(address, Claim { family, size, align })
    }

    /// In line, so that a free without claims makes none of the comparisons.
    #[inline(always)]
    fn release(&mut self, address: u64, claim: Claim) -> u64 {
        if address == 0 {
            return 0;
        }
        let heap = self.heap();
        heap.prefetch(address);
        let stack = self.stack();
        let engine = self.engine;
        let (tsc, instructions) = clock::stamp(engine, self.thread);
        let Some(freed) = heap.free_live(self.cache(), address, stack, |size| poison(engine, address, size))
        else {
            self.invalid_free(address, stack);
            return 0;
        };
        if !claim.fits(&freed) {
            self.misfit(address, stack, &claim, &freed);
        }
        self.thread.stats[Stat::Frees as usize] += 1;
        if let Some(writer) = &mut self.thread.writer {
            let stack = pair(stack, u32::from(claim.family as u8));
            writer.push_event(&[header(Kind::Free, 6), tsc, address, 0, stack, instructions]);
        }
        0
    }

    /// realloc. `zeroed`: what is new is zero.
    pub(crate) fn reallocate(&mut self, old: u64, size: u64, align: u64, zeroed: bool) -> u64 {
        if old == 0 {
            return self.allocate(size, align, Family::Malloc, zeroed);
        }
        if size == 0 {
            self.realloc_to_nothing(old);
            return 0;
        }
        if size > i64::MAX as u64 {
            return self.refuse(size);
        }
        let Some(Block { size: old_size, family, .. }) = self.live_block(old) else {
            let stack = self.stack();
            self.invalid_free(old, stack);
            return 0;
        };
        if size > old_size && !within_limits(size - old_size) {
            return self.no_memory();
        }
        let stack = self.stack();
        let mismatched = family != Family::Malloc && !self.called.foreign;
        let heap = self.heap();
        let request = Request { size, align, family: Family::Malloc, stack, zeroed };
        let Some(new) = heap.allocate(self.cache(), request) else { return self.no_memory() };
        // SAFETY: both blocks are live and at least that long; they are different blocks.
        unsafe {
            core::ptr::copy_nonoverlapping(old as *const u8, new as *mut u8, old_size.min(size) as usize)
        };
        if shadow::is_on() {
            let kept = old_size.min(size);
            client_memory::renewed(self.engine, new, size);
            shadow::set(new, size, if zeroed { Bits::Defined } else { shadow::fresh() });
            client_memory::moved(self.engine, old, new, kept);
        }
        let engine = self.engine;
        let (tsc, instructions) = clock::stamp(engine, self.thread);
        if let Some(freed) = heap.free_live(self.cache(), old, stack, |size| poison(engine, old, size))
            && mismatched
        {
            let claim = Claim { family: Family::Malloc, size: NOT_SAID, align: NOT_SAID };
            self.misfit(old, stack, &claim, &freed);
        }
        self.thread.stats[Stat::Allocations as usize] += 1;
        self.thread.stats[Stat::Frees as usize] += 1;
        let what = u64::from(Family::Malloc as u8) | u64::from(align.trailing_zeros()) << 8;
        if let Some(writer) = &mut self.thread.writer {
            let stack = u64::from(stack) | what << 32;
            writer.push_event(&[header(Kind::Realloc, 7), tsc, new, size, stack, instructions, old]);
        }
        new
    }
}

/// A block is freed: nobody may touch it any more.
#[inline]
fn poison(engine: &Engine, address: u64, size: u64) {
    if shadow::is_on() {
        client_memory::renewed(engine, address, size);
        shadow::set(address, size, Bits::Unaddressable);
    }
}

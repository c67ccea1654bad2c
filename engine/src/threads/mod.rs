//! The guest's threads: their memory, the registry, creation, stopping the world.
//!
//! # Safety
//! `unsafe` here turns the context behind FS into the thread it belongs to, and sets up memory that the kernel and
//! generated code use before Rust does.
#![allow(unsafe_code, reason = "thread memory and the context behind FS")]

pub mod clone;
pub mod stop;
pub mod watcher;

use crate::context::{Context, SIGNAL_STACK_BYTES, THREAD_BYTES, Thread};
use crate::signals::{AltStack, ThreadSignals};
use crate::state::Engine;
use crate::windows::Window;
use crate::{calls, counts, space, sys};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

/// All threads of the process.
pub struct Registry {
    threads: Vec<*mut Thread>,
    /// Memory of threads that have ended, for the next ones.
    free: Vec<u64>,
    /// Threads that are about to leave their memory: process id, thread id, memory.
    leaving: Vec<(u32, u32, u64)>,
}

// SAFETY: the pointers are to thread memory that is shared by design; fields that other threads touch are atomics.
unsafe impl Send for Registry {}

impl Registry {
    /// No threads.
    pub const fn new() -> Registry {
        Registry { threads: Vec::new(), free: Vec::new(), leaving: Vec::new() }
    }

    /// The threads.
    pub fn iter(&self) -> impl Iterator<Item = &Thread> {
        // SAFETY: a registered thread's memory is not given back before it is removed, under the registry's lock.
        self.threads.iter().map(|thread| unsafe { &**thread })
    }

    /// The threads, for who has stopped them.
    pub fn pointers(&self) -> &[*mut Thread] {
        &self.threads
    }

    /// Number of threads.
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    /// Whether no thread is left.
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Adds a thread.
    pub fn add(&mut self, thread: *mut Thread) {
        self.threads.push(thread);
    }

    /// Removes a thread; its memory can be used again once the kernel thread has left it.
    pub fn remove(&mut self, thread: *const Thread) {
        self.threads.retain(|other| !core::ptr::eq(*other, thread));
    }

    /// After fork: only `thread` is left.
    pub fn keep_only(&mut self, thread: *const Thread) {
        self.threads.retain(|other| core::ptr::eq(*other, thread));
    }

    /// Offers memory that nobody uses any more for the next thread.
    pub fn recycle(&mut self, memory: u64) {
        self.free.push(memory);
    }

    /// Offers the memory of a thread that is about to end.
    pub fn recycle_later(&mut self, pid: u32, tid: u32, memory: u64) {
        self.leaving.push((pid, tid, memory));
    }

    fn take_free(&mut self) -> Option<u64> {
        // Signal 0 asks the kernel whether the thread still exists.
        let gone = |&(pid, tid, _): &(u32, u32, u64)| sys::tgkill(pid, tid, 0) < 0;
        if self.free.is_empty()
            && let Some(at) = self.leaving.iter().position(gone)
        {
            self.free.push(self.leaving.swap_remove(at).2);
        }
        self.free.pop()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

/// The calling thread's context: valid once FS points to one.
pub fn context() -> &'static mut Context {
    let context: *mut Context;
    // SAFETY: FS base is the context while the engine runs, and its first word is its own address. The reference is
    // this thread's alone: other threads touch atomics only.
    unsafe {
        core::arch::asm!("mov {}, fs:[0]", out(reg) context, options(nostack, pure, readonly));
        &mut *context
    }
}

/// The calling thread.
pub fn current() -> &'static mut Thread {
    // SAFETY: the context is the first field of its thread; see `context`.
    unsafe { &mut *(&raw mut *context()).cast::<Thread>() }
}

/// Maps memory for a thread and initialises it. From the lowest address: signal stack, guard, engine stack growing
/// down towards the guard, the thread structure at the top; behind it what it counts.
///
/// # Errors
/// The kernel's error number.
pub fn create(engine: &Engine, mask: u64) -> Result<*mut Thread, i64> {
    let bytes = SIGNAL_STACK_BYTES + THREAD_BYTES;
    let mapped =
        bytes + if counts::are_kept(engine) { counts::THREAD_BYTES } else { 0 } + calls::bytes(engine);
    let recycled = engine.threads.lock().take_free();
    let size = (size_of::<Thread>() as u64).next_multiple_of(64);
    let place = |memory: u64| ((memory + bytes - size) & !63) as *mut Thread;
    let memory = match recycled {
        Some(memory) => memory,
        None => {
            let at = space::reserve_engine(mapped);
            let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_FIXED_NOREPLACE | sys::MAP_NORESERVE;
            // SAFETY: a fresh range of the engine's zone.
            unsafe {
                sys::mmap(at, mapped, sys::PROT_READ | sys::PROT_WRITE, flags, -1, 0)?;
                // A guard between the two stacks.
                sys::call(sys::nr::MPROTECT, &[at + SIGNAL_STACK_BYTES, space::PAGE, 0]);
            }
            calls::prepare(engine, place(at));
            at
        }
    };
    let thread = place(memory);
    let at = thread as u64;
    // SAFETY: the structure's place lies in the fresh mapping; zero is valid for the context (integers and a null
    // pointer), the other fields are written one by one before anybody sees the thread.
    unsafe {
        core::ptr::write_bytes(thread.cast::<u8>(), 0, size as usize);
        let context = &raw mut (*thread).context;
        (*context).this = at;
        (*context).patterns = translate::layout::PATTERNS_VALUES;
        (*context).thread = thread;
        (*context).engine_rsp = (at - 64) & !63;
        (*context).dispatch = crate::dispatch::dispatch as *const () as u64;
        (*context).flags = 0x202;
        (&raw mut (*thread).tid).write(AtomicU32::new(0));
        let own = AltStack::at(memory, SIGNAL_STACK_BYTES);
        (&raw mut (*thread).signals).write(ThreadSignals::new(mask, own));
        (&raw mut (*thread).clock).write(crate::clock::Clock::default());
        (&raw mut (*thread).writer).write(None);
        (&raw mut (*thread).heap).write(None);
        (&raw mut (*thread).failed_new).write(None);
        (&raw mut (*thread).strings).write(crate::strings::ThreadStrings::default());
        (&raw mut (*thread).unwinder).write(None);
        (&raw mut (*thread).descriptors).write(None);
        (&raw mut (*thread).calls).write(calls::begin(engine, thread, &mut *context, recycled.is_some()));
        (&raw mut (*thread).window).write(Window::begin(engine));
        (&raw mut (*thread).memory).write((memory, bytes));
        (&raw mut (*thread).own_actions).write(None);
        (&raw mut (*thread).own_limits).write(None);
        let on = (*thread).window.as_ref().is_none_or(|window| window.counts());
        calls::collect(engine, &mut *thread, on);
    }
    Ok(thread)
}

/// Makes the calling kernel thread run as `thread`: FS, GS, the signal stack.
///
/// # Safety
/// `thread` was made by [`create`] and belongs to no other kernel thread.
pub unsafe fn adopt(thread: *mut Thread) {
    // SAFETY: arch_prctl sets FS base only; the alternate stack is the thread's own memory.
    unsafe {
        const ARCH_SET_FS: u64 = 0x1002;
        sys::call(sys::nr::ARCH_PRCTL, &[ARCH_SET_FS, thread as u64]);
        (*thread).tid.store(sys::gettid(), Ordering::Relaxed);
        (*thread).pid = sys::getpid();
        let own = (*thread).signals.own;
        sys::call(sys::nr::SIGALTSTACK, &[&raw const own as u64, 0]);
    }
}

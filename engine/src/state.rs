//! The engine of one process: everything that its threads share.

use crate::cache::Cache;
use crate::fatal;
use crate::loader::Image;
use crate::lock::Mutex;
use crate::modules::ModuleTable;
use crate::signals::Actions;
use crate::space::Space;
use crate::threads::Registry;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use ring::Shared;

/// What the recorder asked for, fixed for the life of a process image.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `ring::shared::EVENTS_*`.
    pub events: u32,
    /// `ring::shared::FLAG_*`.
    pub flags: u32,
    /// Frames of a stack.
    pub depth: u32,
    /// Bytes of code cache.
    pub cache_bytes: u64,
    /// Developer switches.
    pub debug: u32,
    /// Models that emitted code looks at.
    pub models: Option<translate::models::Models>,
}

/// One for each process.
pub struct Engine {
    /// The shared memory with the recorder.
    pub shared: Shared,
    /// Its descriptor, kept at a high number and hidden from the guest.
    pub shared_fd: i64,
    /// Options.
    pub options: Options,
    /// The engine's own program, open at the number below `shared_fd`, for the guest's execve.
    pub image_fd: i64,
    /// The guest's mappings.
    pub space: Mutex<Space>,
    /// The code cache.
    pub cache: Mutex<Cache>,
    /// A copy of the stubs' addresses, readable without the lock.
    pub stubs: translate::StubTable,
    /// What signals do.
    pub actions: Mutex<Actions>,
    /// Signals that wait for any thread.
    pub waiting: crate::signals::waiting::Common,
    /// What their data accesses cost; of the locks the cache's alone is taken under this one.
    pub accesses: Mutex<Option<crate::accesses::Models>>,
    /// Records of the stream of accesses so far; changed under the lock of `accesses`.
    pub access_records: AtomicU64,
    /// The threads.
    pub threads: Mutex<Registry>,
    /// Modules, for unwinding, redirection and the trace.
    pub modules: Mutex<ModuleTable>,
    /// The guest's heap.
    pub heap: crate::heap_calls::GuestHeap,
    /// String functions that are answered while accesses are checked.
    pub strings: Mutex<crate::strings::targets::Targets>,
    /// Blocks that the guest announced itself.
    pub client: Mutex<crate::client_blocks::ClientBlocks>,
    /// What it has said of its memory; no other lock is taken under this one.
    pub client_memory: Mutex<crate::client_memory::ClientMemory>,
    /// Stacks.
    pub stacks: crate::stacks::Stacks,
    /// The program.
    pub program: Image,
    /// The program's arguments, separated by NUL.
    pub command: alloc::vec::Vec<u8>,
    /// Personality that the guest believes to have.
    pub personality: AtomicU32,
    /// Set once the guest has asked for a signal at its parent's death.
    pub death_signal_set: AtomicU32,
    /// The guest's limits of address space and data.
    pub limits: crate::limits::Limits,
    /// Set for ever before the process's second thread, or a child that shares its memory, starts.
    pub has_threads: AtomicBool,
    /// Thread that stops the world, 0 = none.
    pub stopper: AtomicU32,
    /// Children of vfork, which share this memory but are processes of their own, that may be in the cache.
    pub foreign: AtomicU32,
    /// Set once the process has made an error at which it is to end.
    pub at_first_error: AtomicU32,
    /// What of the executed code is collected.
    pub windows: crate::windows::Windows,
    /// Process-wide counters.
    pub counters: [AtomicU64; ring::record::STAT_COUNT],
    /// When the process image began, by both clocks.
    pub started: crate::sys::Moment,
}

static ENGINE: AtomicPtr<Engine> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the engine known; once, before the first thread runs.
pub fn install(engine: &'static mut Engine) {
    ENGINE.store(engine, Ordering::Release);
}

/// The engine of this process.
#[allow(unsafe_code, reason = "the engine is installed once and never freed")]
pub fn engine() -> &'static Engine {
    let pointer = ENGINE.load(Ordering::Acquire);
    if pointer.is_null() {
        fatal::fail("used before it was set up");
    }
    // SAFETY: install stored a reference that lives for ever; all fields that change are atomics or locks.
    unsafe { &*pointer }
}

/// Whether [`engine`] may be called.
pub fn is_installed() -> bool {
    !ENGINE.load(Ordering::Acquire).is_null()
}

impl Engine {
    /// Adds to a process-wide counter.
    pub fn count(&self, stat: ring::record::Stat, by: u64) {
        self.counters[stat as usize].fetch_add(by, Ordering::Relaxed);
    }
}

impl Engine {
    /// Takes every lock, in one order, so that a forked child finds them free and what they guard whole.
    pub fn acquire_all(&self) {
        self.threads.acquire();
        self.waiting.acquire();
        self.actions.acquire();
        self.modules.acquire();
        self.heap.targets.acquire();
        self.strings.acquire();
        self.client.acquire();
        self.stacks.acquire();
        self.space.acquire();
        self.accesses.acquire();
        self.cache.acquire();
        self.client_memory.acquire();
        crate::own_heap::acquire();
    }

    /// Gives every lock back, in the parent and in the child.
    pub fn release_all(&self) {
        crate::own_heap::release();
        self.client_memory.release();
        self.cache.release();
        self.accesses.release();
        self.space.release();
        self.stacks.release();
        self.client.release();
        self.strings.release();
        self.heap.targets.release();
        self.modules.release();
        self.actions.release();
        self.waiting.release();
        self.threads.release();
    }
}

//! Signals that arrived although the guest blocks them: the kernel never blocks those of `UNBLOCKABLE` for it.
//!
//! Those sent to one thread wait with it, those sent to the process in [`Common`], until a thread unblocks them or asks
//! for them (`waits`).

use super::bit;
use crate::context::Thread;
use crate::lock::Mutex;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of bounded size, because the handler fills it: the five synchronous signals wait once each, and the rest is for the
/// number that the engine uses itself.
const ROOM: usize = 64;

/// In order of arrival, standard signals at most once.
pub struct Waiting {
    infos: [[u64; 16]; ROOM],
    count: usize,
}

impl Waiting {
    /// None.
    pub const fn new() -> Waiting {
        Waiting { infos: [[0; 16]; ROOM], count: 0 }
    }

    fn signal(info: &[u64; 16]) -> u32 {
        info[0] as u32
    }

    /// One more, from its siginfo; dropped when there are too many.
    pub fn push(&mut self, info: [u64; 16]) {
        let signal = Waiting::signal(&info);
        let known = self.set() & bit(signal) != 0;
        if self.count < self.infos.len() && !(known && signal < 32) {
            self.infos[self.count] = info;
            self.count += 1;
        }
    }

    /// Whether none waits. The handler adds some behind the compiler's back.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    pub fn is_empty(&self) -> bool {
        // SAFETY: a field of a live reference.
        unsafe { (&raw const self.count).read_volatile() == 0 }
    }

    /// Which signals wait.
    pub fn set(&self) -> u64 {
        self.infos[..self.count].iter().fold(0, |set, info| set | bit(Waiting::signal(info)))
    }

    /// Takes the first with the lowest number of those in `set`: the kernel's order.
    pub fn take(&mut self, set: u64) -> Option<[u64; 16]> {
        let due = self.set() & set;
        let at = self.infos[..self.count]
            .iter()
            .position(|info| due != 0 && Waiting::signal(info) == due.trailing_zeros() + 1)?;
        let info = self.infos[at];
        self.infos.copy_within(at + 1..self.count, at);
        self.count -= 1;
        Some(info)
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting::new()
    }
}

/// What waits for any thread of a process, and who asks for it.
pub struct Common {
    queue: Mutex<Waiting>,
    /// Which signals are in the queue.
    set: AtomicU64,
    /// Those of the signals that the kernel never blocks which signalfds were made for.
    pub watched: AtomicU64,
    /// Whether anything was ever kept or watched.
    used: AtomicBool,
}

impl Common {
    /// Nothing waits.
    pub const fn new() -> Common {
        Common {
            queue: Mutex::new(Waiting::new()),
            set: AtomicU64::new(0),
            watched: AtomicU64::new(0),
            used: AtomicBool::new(false),
        }
    }

    /// The one that a thread's process uses: a child that shares its parent's memory has none.
    pub fn of<'a>(engine: &'a crate::state::Engine, thread: &Thread) -> Option<&'a Common> {
        (!thread.foreign).then_some(&engine.waiting)
    }

    /// Which signals wait, without the lock.
    pub fn set(&self) -> u64 {
        self.set.load(Ordering::SeqCst)
    }

    /// Whether anything was ever kept or watched.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// From now on it is used; true the first time.
    pub fn begin(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }

    /// One more.
    pub fn push(&self, info: [u64; 16]) {
        let mut queue = self.queue.lock();
        queue.push(info);
        self.set.store(queue.set(), Ordering::SeqCst);
    }

    /// As [`Waiting::take`].
    pub fn take(&self, set: u64) -> Option<[u64; 16]> {
        if self.set() & set == 0 {
            return None;
        }
        let mut queue = self.queue.lock();
        let info = queue.take(set);
        self.set.store(queue.set(), Ordering::SeqCst);
        info
    }

    /// For fork: holds the queue; see `Engine::acquire_all`.
    pub fn acquire(&self) {
        self.queue.acquire();
    }

    /// Gives it back.
    pub fn release(&self) {
        self.queue.release();
    }
}

impl Default for Common {
    fn default() -> Self {
        Common::new()
    }
}

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
/// Kept free for standard signals, which are never dropped.
const RESERVED: usize = 32;

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
        let room = if signal < 32 { ROOM } else { ROOM - RESERVED };
        let count = self.count();
        if count < room && !(known && signal < 32) {
            self.set_info(count, info);
            self.set_count(count + 1);
        }
    }

    /// How many wait. The handler adds some behind the compiler's back.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    fn count(&self) -> usize {
        // SAFETY: a field of a live reference.
        unsafe { (&raw const self.count).read_volatile() }
    }

    /// The one at `at`.
    #[allow(unsafe_code, reason = "volatile access to an own field")]
    fn info(&self, at: usize) -> [u64; 16] {
        // SAFETY: an element of a live reference's array; the index is checked.
        unsafe { (&raw const self.infos[at]).read_volatile() }
    }

    #[allow(unsafe_code, reason = "volatile access to an own field")]
    fn set_count(&mut self, count: usize) {
        // SAFETY: a field of a live reference.
        unsafe { (&raw mut self.count).write_volatile(count) };
    }

    #[allow(unsafe_code, reason = "volatile access to an own field")]
    fn set_info(&mut self, at: usize, info: [u64; 16]) {
        // SAFETY: an element of a live reference's array; the index is checked.
        unsafe { (&raw mut self.infos[at]).write_volatile(info) };
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Which signals wait.
    pub fn set(&self) -> u64 {
        (0..self.count()).fold(0, |set, at| set | bit(Waiting::signal(&self.info(at))))
    }

    /// Takes the first with the lowest number of those in `set`: the kernel's order.
    pub fn take(&mut self, set: u64) -> Option<[u64; 16]> {
        let due = self.set() & set;
        if due == 0 {
            return None;
        }
        let count = self.count();
        let at = (0..count).find(|at| Waiting::signal(&self.info(*at)) == due.trailing_zeros() + 1)?;
        let info = self.info(at);
        for behind in at + 1..count {
            self.set_info(behind - 1, self.info(behind));
        }
        self.set_count(count - 1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::sig;
    use alloc::vec::Vec;

    fn info(signal: u32, value: u64) -> [u64; 16] {
        let mut info = [0; 16];
        (info[0], info[3]) = (u64::from(signal), value);
        info
    }

    #[test]
    fn lowest_number_first_then_order_of_arrival() {
        let mut waiting = Waiting::new();
        for (signal, value) in [(sig::ENGINE, 1), (sig::SEGV, 2), (sig::ENGINE, 3), (sig::BUS, 4)] {
            waiting.push(info(signal, value));
        }
        assert_eq!(waiting.take(bit(sig::FPE)), None);
        assert_eq!(waiting.take(!bit(sig::BUS)), Some(info(sig::SEGV, 2)));
        let rest: Vec<_> = core::iter::from_fn(|| waiting.take(u64::MAX)).map(|info| info[3]).collect();
        assert_eq!(rest, [4, 1, 3]);
        assert!(waiting.is_empty() && waiting.set() == 0);
    }

    #[test]
    fn standard_signals_are_merged_and_room_ends() {
        let mut waiting = Waiting::new();
        waiting.push(info(sig::SEGV, 1));
        waiting.push(info(sig::SEGV, 2));
        (0..100).for_each(|value| waiting.push(info(sig::ENGINE, value)));
        waiting.push(info(sig::BUS, 3));
        assert_eq!(waiting.take(bit(sig::SEGV)), Some(info(sig::SEGV, 1)));
        assert_eq!(waiting.take(bit(sig::SEGV)), None);
        assert_eq!(waiting.take(bit(sig::BUS)), Some(info(sig::BUS, 3)));
        assert_eq!(waiting.take(bit(sig::ENGINE)), Some(info(sig::ENGINE, 0)));
    }

    #[test]
    fn the_common_set_follows_its_queue() {
        let common = Common::new();
        assert!(common.begin() && !common.begin());
        common.push(info(sig::SEGV, 1));
        common.push(info(sig::ILL, 2));
        assert_eq!(common.set(), bit(sig::SEGV) | bit(sig::ILL));
        assert_eq!(common.take(bit(sig::SEGV)), Some(info(sig::SEGV, 1)));
        assert_eq!((common.set(), common.take(bit(sig::SEGV))), (bit(sig::ILL), None));
    }
}

//! The time of heap events: the processor's time stamp counter, without reading it each time.
//!
//! The counter orders the events of different threads, and reading it takes as long as much else of an event together. While
//! the process has one thread, an event that comes soon after one with a time that was read is one tick later.
//! Always holds: times of a thread rise, and none lies behind the counter (an event takes more than a tick).

use crate::context::Thread;
use crate::state::Engine;
use crate::sys;
use core::sync::atomic::Ordering;

/// Guest instructions after which the counter is read again: a microsecond or less of computing.
const SOON: u64 = 2000;

/// A thread's. Zero is one that has not been read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: u64,
    /// The thread's executed instructions when the counter was read.
    read_at: u64,
}

impl Clock {
    /// The thread has been in the kernel, perhaps asleep.
    pub fn forget(&mut self) {
        self.read_at = 0;
    }

    /// The time of an event after so many instructions, 0 when they are not counted. `alone`: the process has one thread.
    #[inline]
    fn next(&mut self, instructions: u64, alone: bool, read: impl FnOnce() -> u64) -> u64 {
        if alone && self.read_at != 0 && instructions.wrapping_sub(self.read_at) < SOON {
            self.last += 1;
        } else {
            *self = Clock { last: read(), read_at: instructions };
        }
        self.last
    }
}

/// The time of an event that the thread tells now, and its executed instructions.
#[inline]
pub fn stamp(engine: &Engine, thread: &mut Thread) -> (u64, u64) {
    let instructions = thread.context.instructions();
    let alone = !engine.has_threads.load(Ordering::Relaxed);
    (thread.clock.next(instructions, alone, sys::tsc), instructions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_where_time_may_have_passed() {
        let mut clock = Clock::default();
        assert_eq!(clock.next(10, true, || 1000), 1000);
        assert_eq!(clock.next(11, true, || 2000), 1001);
        assert_eq!(clock.next(10 + SOON - 1, true, || 3000), 1002);
        assert_eq!(clock.next(10 + SOON, true, || 4000), 4000);
        clock.forget();
        assert_eq!(clock.next(11 + SOON, true, || 5000), 5000);
    }

    #[test]
    fn it_is_read_each_time_with_several_threads_or_without_a_count() {
        let mut clock = Clock::default();
        for (instructions, alone) in [(10, false), (0, true)] {
            assert_eq!(clock.next(instructions, alone, || 1000), 1000);
            assert_eq!(clock.next(instructions, alone, || 2000), 2000);
        }
    }
}

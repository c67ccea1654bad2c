//! What the answers to all calls have in common: reports, and the way out to the function's own code.

use super::names::Function;
use super::scan::Unit;
use super::shape::{self, Shape};
use crate::context::Thread;
use crate::space::GUEST_END;
use crate::state::Engine;
use crate::{errors, own_code};
use core::sync::atomic::{Ordering, compiler_fence};
use translate::Access;

/// A call.
pub(super) struct Call<'a> {
    pub(super) engine: &'static Engine,
    pub(super) thread: &'a mut Thread,
    pub(super) function: Function,
}

impl<'a> Call<'a> {
    pub(super) fn new(engine: &'static Engine, thread: &'a mut Thread, function: Function) -> Call<'a> {
        Call { engine, thread, function }
    }

    /// Does what touches the guest's memory, which may fault: the frames from here on are then abandoned. They must hold
    /// no lock, and nothing that has to be dropped.
    #[inline(always)]
    pub(super) fn guarded<T: Copy>(&mut self, work: impl FnOnce() -> T) -> T {
        self.thread.strings.touching.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let result = work();
        compiler_fence(Ordering::SeqCst);
        self.thread.strings.touching.store(false, Ordering::Relaxed);
        result
    }

    /// The function's own code runs after all: what was asked for leads to a fault, or to libc's abort.
    #[cold]
    pub(super) fn give_up(&mut self) -> ! {
        run_own_code(self.engine, self.thread)
    }

    /// The function is about to touch a range, which must be one of the guest's zone.
    #[inline(always)]
    pub(super) fn expect(&mut self, start: u64, bytes: u64) {
        if start > GUEST_END || bytes > GUEST_END - start {
            self.give_up();
        }
    }

    /// The destination of a `..._chk` function has `room` bytes, of which `bytes` are wanted.
    #[inline(always)]
    pub(super) fn with_room(&mut self, bytes: u64, room: u64) -> &mut Self {
        if bytes > room {
            self.give_up();
        }
        self
    }

    /// The function has read a range. Whether any byte of it has V bits.
    #[inline(always)]
    pub(super) fn has_read(&mut self, start: u64, bytes: u64, shape: Shape) -> bool {
        let pc = self.thread.context.pc;
        errors::check_range(self.engine, self.thread, pc, start, bytes, Access::Read, shape)
    }

    /// The function has read units, and compared each with some values.
    #[inline(always)]
    pub(super) fn has_searched<U: Unit>(&mut self, start: u64, count: u64, wanted: &[U]) {
        if self.has_read(start, count * U::BYTES, Shape::Units(U::BYTES)) {
            let mut values = [0; 2];
            for (value, wanted) in values.iter_mut().zip(wanted) {
                *value = wanted.value() as u32;
            }
            self.tell_searched(start, count, U::BYTES, &values[..wanted.len().min(2)]);
        }
    }

    /// The function has read bytes, all of which decide what it does.
    #[inline(always)]
    pub(super) fn has_used(&mut self, start: u64, bytes: u64) {
        if self.has_read(start, bytes, Shape::Units(1)) {
            self.tell_used(start, bytes);
        }
    }

    /// The function has written a range.
    #[inline(always)]
    pub(super) fn has_written(&mut self, start: u64, bytes: u64, shape: Shape) {
        let pc = self.thread.context.pc;
        errors::check_range(self.engine, self.thread, pc, start, bytes, Access::Write, shape);
    }

    /// Tells of an overlap of two ranges of so many bytes. `size`: the function's own argument, if it has one.
    #[inline(always)]
    pub(super) fn must_not_overlap(&mut self, to: (u64, u64), from: (u64, u64), size: u64) {
        if shape::overlap(to.0, to.1, from.0, from.1) {
            let pc = self.thread.context.pc;
            errors::overlap(self.engine, self.thread, pc, self.function.overlap_name(), to.0, from.0, size);
        }
    }
}

/// Runs the function at whose entry the thread is in the guest.
#[cold]
pub(super) fn run_own_code(engine: &'static Engine, thread: &mut Thread) -> ! {
    let pc = thread.context.pc;
    let own = engine.strings.lock().function(pc).map_or(pc, |target| target.own);
    own_code::run(engine, thread, own)
}

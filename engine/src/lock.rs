//! A mutual exclusion lock on a futex, for engine data that several guest threads use.
//!
//! Engine code is never preempted by guest code and the signal handler takes no lock, so a holder always goes on
//! to release it. Around fork all locks are held by the forking thread: see `threads::fork`.
//!
//! # Safety
//! `unsafe` here is the cell behind the lock.
#![allow(unsafe_code, reason = "the cell behind the lock")]

use crate::sys;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

/// A value behind a lock.
pub struct Mutex<T> {
    /// 0 = free, 1 = held, 2 = held and somebody waits.
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, of which one exists at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// Access to the value; releases the lock when dropped.
pub struct Guard<'a, T> {
    lock: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// An unlocked value.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { word: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        self.acquire();
        Guard { lock: self }
    }

    /// The lock, if nobody holds it: for whoever must not wait, because of the order of locks.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let free = self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // A guard that is made must be held: dropping one gives the lock back.
        free.then(|| Guard { lock: self })
    }

    /// Takes the lock without a guard; [`Mutex::release`] gives it back. For fork, where one thread must hold
    /// every lock over the system call.
    pub fn acquire(&self) {
        if self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
        for _ in 0..100 {
            if self.word.load(Ordering::Relaxed) == 0
                && self.word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        while self.word.swap(2, Ordering::Acquire) != 0 {
            sys::futex_wait(&self.word, 2, 0, false);
        }
    }

    /// Gives back what [`Mutex::acquire`] took.
    pub fn release(&self) {
        if self.word.swap(0, Ordering::Release) == 2 {
            sys::futex_wake(&self.word, 1, false);
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard proves that the lock is held by us.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard proves that the lock is held by us, and it is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_could_not_be_had_stays_with_its_holder() {
        let mutex = Mutex::new(0);
        let held = mutex.lock();
        assert!(mutex.try_lock().is_none());
        assert!(mutex.try_lock().is_none());
        drop(held);
        let held = mutex.try_lock();
        assert!(held.is_some() && mutex.try_lock().is_none());
        drop(held);
        assert!(mutex.try_lock().is_some());
    }
}

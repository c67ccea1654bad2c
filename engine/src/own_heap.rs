//! The engine's own heap: the global allocator of the engine image.
//!
//! Size classes (powers of two from 16 bytes to 32 KiB) with free lists, cut from 1 MiB pieces; larger requests are
//! mapped on their own. One lock; the engine allocates rarely and never in the signal handler.
//!
//! # Safety
//! `unsafe` here is the allocator contract: free lists are threaded through freed memory.
#![allow(unsafe_code, reason = "a memory allocator")]

use crate::lock::Mutex;
use crate::{space, sys};
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU64, Ordering};

const CLASSES: usize = 12;
const SMALLEST: usize = 16;
const LARGEST: usize = SMALLEST << (CLASSES - 1);
const PIECE: usize = 1 << 20;

struct State {
    free: [*mut u8; CLASSES],
    at: usize,
    end: usize,
}

// SAFETY: the pointers lead to memory that belongs to the allocator, whatever thread uses it.
unsafe impl Send for State {}

static STATE: Mutex<State> = Mutex::new(State { free: [core::ptr::null_mut(); CLASSES], at: 0, end: 0 });
static MAPPED: AtomicU64 = AtomicU64::new(0);

/// Bytes mapped for the engine's heap so far.
pub fn mapped_bytes() -> u64 {
    MAPPED.load(Ordering::Relaxed)
}

/// Takes the heap's lock for the time of a fork.
pub fn acquire() {
    STATE.acquire();
}

/// Gives the lock back, in parent and child.
pub fn release() {
    STATE.release();
}

fn class(size: usize) -> usize {
    size.max(SMALLEST).next_power_of_two().trailing_zeros() as usize - SMALLEST.trailing_zeros() as usize
}

fn map(bytes: usize) -> Option<usize> {
    let address = space::reserve_engine(bytes as u64);
    let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_FIXED_NOREPLACE;
    // SAFETY: a fresh range of the engine's own zone.
    let mapped = unsafe { sys::mmap(address, bytes as u64, sys::PROT_READ | sys::PROT_WRITE, flags, -1, 0) };
    MAPPED.fetch_add(bytes as u64, Ordering::Relaxed);
    mapped.ok().map(|address| address as usize)
}

/// The allocator.
pub struct OwnHeap;

// SAFETY: returned blocks are disjoint: each comes from a bump pointer, a free list that holds only returned blocks
// of the same class, or a mapping of its own; classes are powers of two and pieces page aligned, so a block is
// aligned to its class size.
unsafe impl GlobalAlloc for OwnHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size().max(layout.align());
        if size > LARGEST {
            let bytes = size.next_multiple_of(4096);
            return map(bytes).map_or(core::ptr::null_mut(), |address| address as *mut u8);
        }
        let class = class(size);
        let mut state = STATE.lock();
        let head = state.free[class];
        if !head.is_null() {
            // SAFETY: blocks on the list are free and hold the next pointer.
            state.free[class] = unsafe { head.cast::<*mut u8>().read() };
            return head;
        }
        let bytes = SMALLEST << class;
        let start = state.at.next_multiple_of(bytes);
        if start + bytes > state.end {
            let Some(piece) = map(PIECE) else { return core::ptr::null_mut() };
            state.at = piece + bytes;
            state.end = piece + PIECE;
            return piece as *mut u8;
        }
        state.at = start + bytes;
        start as *mut u8
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let size = layout.size().max(layout.align());
        if size > LARGEST {
            let bytes = size.next_multiple_of(4096) as u64;
            // SAFETY: a mapping of its own, made by alloc with the same size.
            unsafe { sys::call(sys::nr::MUNMAP, &[pointer as u64, bytes]) };
            MAPPED.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        let class = class(size);
        let mut state = STATE.lock();
        // SAFETY: the block is returned and at least 16 bytes long.
        unsafe { pointer.cast::<*mut u8>().write(state.free[class]) };
        state.free[class] = pointer;
    }
}

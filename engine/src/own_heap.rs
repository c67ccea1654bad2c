//! The engine's own heap: the global allocator of the engine image.
//!
//! Size classes (powers of two from 16 bytes to 32 KiB) with free lists, cut from pieces; larger requests are mapped on
//! their own, and grow by moving their pages. What is large lies on huge pages: a program with much code costs
//! thousands of page faults otherwise. One lock; the engine allocates rarely and never in the signal handler.
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
/// The first piece is enough for a small program; those behind it are huge pages.
const FIRST_PIECE: usize = 1 << 20;
const PIECE: usize = space::HUGE_PAGE as usize;

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

/// A fresh range of the engine's zone, where huge pages fit when it is large.
fn reserve(bytes: u64) -> u64 {
    if bytes >= space::HUGE_PAGE { space::reserve_engine_huge(bytes) } else { space::reserve_engine(bytes) }
}

/// Asks for huge pages in a mapping that is large enough.
fn prefer_huge(address: u64, bytes: u64) {
    if bytes >= space::HUGE_PAGE {
        sys::prefer_huge_pages(address, bytes);
    }
}

fn map(bytes: usize) -> Option<usize> {
    let bytes = bytes as u64;
    let address = reserve(bytes);
    let flags = sys::MAP_PRIVATE | sys::MAP_ANONYMOUS | sys::MAP_FIXED_NOREPLACE;
    // SAFETY: a fresh range of the engine's own zone.
    unsafe { sys::mmap(address, bytes, sys::PROT_READ | sys::PROT_WRITE, flags, -1, 0) }.ok()?;
    prefer_huge(address, bytes);
    MAPPED.fetch_add(bytes, Ordering::Relaxed);
    Some(address as usize)
}

/// Moves the pages of a mapping to a range of `new` bytes.
fn remap(old: usize, old_bytes: usize, new_bytes: usize) -> Option<usize> {
    let (old_bytes, new_bytes) = (old_bytes as u64, new_bytes as u64);
    let address = reserve(new_bytes);
    const MAYMOVE_FIXED: u64 = 3;
    // SAFETY: a whole mapping of the engine's goes to a fresh range of its zone.
    let moved =
        unsafe { sys::call(sys::nr::MREMAP, &[old as u64, old_bytes, new_bytes, MAYMOVE_FIXED, address]) };
    if moved < 0 {
        return None;
    }
    prefer_huge(address, new_bytes);
    MAPPED.fetch_add(new_bytes.wrapping_sub(old_bytes), Ordering::Relaxed);
    Some(address as usize)
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
            let size = if state.end == 0 { FIRST_PIECE } else { PIECE };
            let Some(piece) = map(size) else { return core::ptr::null_mut() };
            state.at = piece + bytes;
            state.end = piece + size;
            return piece as *mut u8;
        }
        state.at = start + bytes;
        start as *mut u8
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout.
        let block = unsafe { self.alloc(layout) };
        // A mapping of its own is cleared, and not to be touched for that.
        if !block.is_null() && layout.size().max(layout.align()) <= LARGEST {
            // SAFETY: a fresh block of that size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() > LARGEST && new_size > LARGEST && layout.align() <= 4096 {
            let (old, new) = (layout.size().next_multiple_of(4096), new_size.next_multiple_of(4096));
            if old == new {
                return pointer;
            }
            return remap(pointer as usize, old, new)
                .map_or(core::ptr::null_mut(), |address| address as *mut u8);
        }
        // SAFETY: the caller's layout has a size above zero, and so has the new one.
        let fresh = unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !fresh.is_null() {
            // SAFETY: two different blocks, each of at least that many bytes; the old one is the caller's.
            unsafe {
                core::ptr::copy_nonoverlapping(pointer, fresh, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
        }
        fresh
    }
}

//! Metadata of blocks: one [`Slot`] of 24 bytes for each, in arrays that belong to spans, and the page map that
//! leads from an address to it in two loads.
//!
//! What always holds: a page map word is made from a [`SlotArray`] whose length is that of the class in the word, and
//! slot arrays are never unmapped, only used again for the same class. So a reader that holds a stale word reads
//! a sound, if outdated, slot; it compares `info` (which changes its sequence number at each step) and the word
//! before and after.
//!
//! # Safety
//! The `unsafe` here reaches slots through the addresses in slot arrays and page map words, which only this
//! module makes.
#![allow(unsafe_code, reason = "reaches slots through addresses in map words; see the module documentation")]

use crate::block::family_from;
use crate::class::{CLASS, CLASSES, Class};
use crate::table::{Plain, Table};
use crate::{Pages, State};
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use ring::record::Family;

/// Never allocated since the span was set up.
pub(crate) const UNUSED: u32 = 0;
/// In a free list.
pub(crate) const FREE: u32 = 1;
/// Allocated.
pub(crate) const LIVE: u32 = 2;
/// Freed, not yet to be used again.
pub(crate) const QUARANTINED: u32 = 3;
const STATE: u32 = 3;
/// The fields beside `info` are being written: all of them on the way from free to live, the freeing stack alone on
/// the way to quarantined. Readers never wait for the writer, which may be off the processor, or gone in a fork.
const PENDING: u32 = 1 << 2;
const QUARANTINING: u32 = QUARANTINED | PENDING;
const ALIGN_SHIFT: u32 = 3;
const FAMILY_SHIFT: u32 = 9;
/// The slot is in its span's list of free slots, not in a thread's.
const AT_HOME: u32 = 1 << 17;
const SEQUENCE: u32 = 1 << 18;

/// Metadata of one block. All fields but `info` are written by the one thread that owns the current transition.
#[repr(C)]
pub(crate) struct Slot {
    /// State (bits 0..2), pending (2), log2 of the alignment (3..9), family (9..17), at home (17),
    /// sequence (18..32).
    info: AtomicU32,
    /// Requested bytes; the low half for large blocks.
    size: AtomicU32,
    stack: AtomicU32,
    /// The freeing stack; while live: the index in the current snapshot.
    free_stack: AtomicU32,
    /// While free: the next slot of the list it is in (arena address, or index + 1 within a span); 0 ends it.
    link: AtomicU64,
}

const _: () = assert!(size_of::<Slot>() == 24);

/// What a slot says, read consistently.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub(crate) info: u32,
    pub(crate) stack: u32,
    free_stack: u32,
}

impl View {
    /// The block's state; `None` when there is no block, or not yet.
    pub(crate) fn state(&self) -> Option<State> {
        match self.info & (STATE | PENDING) {
            LIVE => Some(State::Live),
            QUARANTINED | QUARANTINING => Some(State::Quarantined),
            FREE => Some(State::Free),
            _ => None,
        }
    }

    /// The freeing stack; 0 when there is none, or not yet.
    pub(crate) fn free_stack(&self) -> u32 {
        match self.info & (STATE | PENDING) {
            QUARANTINED | FREE => self.free_stack,
            _ => 0,
        }
    }
}

#[inline]
pub(crate) fn align_log2(info: u32) -> u32 {
    info >> ALIGN_SHIFT & 63
}

#[inline]
pub(crate) fn family(info: u32) -> Family {
    family_from(info >> FAMILY_SHIFT & 0xff)
}

#[inline]
pub(crate) fn is_live(info: u32) -> bool {
    info & (STATE | PENDING) == LIVE
}

impl Slot {
    /// `info` as it is now; what is read from other fields afterwards is at least as new.
    #[inline]
    pub(crate) fn info(&self) -> u32 {
        self.info.load(Ordering::Acquire)
    }

    /// The current state, one of the constants of this module.
    #[inline]
    pub(crate) fn state(&self) -> u32 {
        self.info.load(Ordering::Relaxed) & STATE
    }

    /// Free or never used, and not in its span's list: what a slot in a thread's list must be.
    #[inline]
    pub(crate) fn is_out(&self) -> bool {
        let info = self.info.load(Ordering::Relaxed);
        info & STATE <= FREE && info & (PENDING | AT_HOME) == 0
    }

    /// Notes whether a free slot is in its span's list. The caller owns the slot.
    pub(crate) fn set_home(&self, home: bool) {
        let info = self.info.load(Ordering::Relaxed);
        self.info.store(if home { info | AT_HOME } else { info & !AT_HOME }, Ordering::Relaxed);
    }

    /// Requested bytes; only meaningful where no transition can be under way.
    #[inline]
    pub(crate) fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn stack(&self) -> u32 {
        self.stack.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stack(&self, stack: u32) {
        self.stack.store(stack, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn link(&self) -> u64 {
        self.link.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_link(&self, link: u64) {
        self.link.store(link, Ordering::Relaxed);
    }

    /// Index in the current snapshot; only meaningful while live and numbered.
    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.free_stack.load(Ordering::Relaxed)
    }

    pub(crate) fn set_index(&self, index: u32) {
        self.free_stack.store(index, Ordering::Relaxed);
    }

    /// Free to live. The caller owns the slot; `wide` is the whole size of a large block and where to put it.
    #[inline]
    pub(crate) fn make_live(
        &self,
        size: u64,
        align_log2: u32,
        family: u8,
        stack: u32,
        wide: Option<&AtomicU64>,
    ) {
        let old = self.info.load(Ordering::Relaxed);
        self.info.store(old | PENDING, Ordering::Relaxed);
        // Orders the stores below behind PENDING for readers that check `info` twice.
        fence(Ordering::Release);
        if let Some(wide) = wide {
            wide.store(size, Ordering::Relaxed);
        }
        self.size.store(size as u32, Ordering::Relaxed);
        self.stack.store(stack, Ordering::Relaxed);
        self.free_stack.store(0, Ordering::Relaxed);
        let rest = LIVE | align_log2 << ALIGN_SHIFT | u32::from(family) << FAMILY_SHIFT;
        self.info.store((old & !(SEQUENCE - 1)).wrapping_add(SEQUENCE) | rest, Ordering::Release);
    }

    /// Live to quarantined, if `info` is still what the caller saw; false when another thread was faster.
    #[inline]
    pub(crate) fn quarantine(&self, seen: u32, stack: u32) -> bool {
        let next = seen.wrapping_add(SEQUENCE) & !STATE | QUARANTINED;
        if self.info.compare_exchange(seen, next | PENDING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        self.free_stack.store(stack, Ordering::Relaxed);
        self.info.store(next, Ordering::Release);
        true
    }

    /// Quarantined or unused to free. The caller owns the slot.
    #[inline]
    pub(crate) fn make_free(&self) {
        let old = self.info.load(Ordering::Relaxed);
        self.info.store(old.wrapping_add(SEQUENCE) & !STATE | FREE, Ordering::Release);
    }

    /// Anything to unused: the array belongs to a new span.
    pub(crate) fn make_unused(&self) {
        let old = self.info.load(Ordering::Relaxed);
        self.info.store((old & !(SEQUENCE - 1)).wrapping_add(SEQUENCE) | UNUSED, Ordering::Relaxed);
    }

    /// All fields of one moment, and what `more` reads of the same moment. Tries again only when another thread has
    /// taken a step in between.
    #[inline]
    pub(crate) fn read<T>(&self, mut more: impl FnMut() -> T) -> (View, T) {
        loop {
            let info = self.info();
            let view = View { info, stack: self.stack(), free_stack: self.index() };
            let extra = more();
            fence(Ordering::Acquire);
            if self.info.load(Ordering::Relaxed) == info {
                return (view, extra);
            }
        }
    }
}

/// The slots of one span.
pub(crate) struct SlotArray {
    address: NonZeroU64,
    class: usize,
}

impl SlotArray {
    /// Slot `index`; `None` behind the end.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&Slot> {
        if index >= CLASS[self.class].slots as usize {
            return None;
        }
        // SAFETY: an array has as many slots as its class says (made in `SlotArrays::allocate`), the index is below
        // that, the memory is never unmapped, and a slot is all atomics.
        Some(unsafe { &*(self.address.get() as *const Slot).add(index) })
    }
}

impl SlotArray {
    /// Brings slot `index` near. Any index will do.
    #[inline]
    pub(crate) fn prefetch(&self, index: usize) {
        prefetch(self.address.get().wrapping_add((index * size_of::<Slot>()) as u64));
    }
}

/// Brings the cache line at an address near, if there is memory.
#[inline]
pub(crate) fn prefetch(address: u64) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which faults at no address; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address as *const i8) };
}

/// Where slot arrays come from: cut from large pieces of side memory; used arrays wait for the next span of their class.
pub(crate) struct SlotArrays {
    next: u64,
    end: u64,
    /// For each class a chain of arrays, linked through their first slots.
    unused: [u64; CLASSES],
    reserved: u64,
}

/// Bytes of side memory that are reserved at a time.
const PIECE: u64 = 16 << 20;

impl SlotArrays {
    pub(crate) const fn new() -> SlotArrays {
        SlotArrays { next: 0, end: 0, unused: [0; CLASSES], reserved: 0 }
    }

    /// An array for a span of `class`, all of its slots unused; `None` when there is no memory.
    pub(crate) fn allocate<P: Pages>(&mut self, pages: &P, class: usize) -> Option<SlotArray> {
        if let Some(address) = NonZeroU64::new(self.unused[class]) {
            let array = SlotArray { address, class };
            self.unused[class] = array.get(0)?.link();
            for slot in (0..).map_while(|i| array.get(i)) {
                slot.make_unused();
            }
            return Some(array);
        }
        let bytes = (u64::from(CLASS[class].slots) * size_of::<Slot>() as u64).next_multiple_of(64);
        if self.end - self.next < bytes {
            self.next = pages.reserve(PIECE)?;
            self.end = self.next + PIECE;
            self.reserved += PIECE;
        }
        let address = NonZeroU64::new(self.next)?;
        self.next += bytes;
        Some(SlotArray { address, class })
    }

    /// Takes an array back whose span is gone.
    pub(crate) fn release(&mut self, array: &SlotArray) {
        if let Some(first) = array.get(0) {
            first.set_link(self.unused[array.class]);
            self.unused[array.class] = array.address.get();
        }
    }
}

/// What a granule of the arena holds: address bits 0..48, class + 1 in bits 48..56 for a span of small blocks;
/// bit 63 and the first granule's number for a part of a large block; 0 for nothing.
pub(crate) enum Entry {
    Small(SlotArray),
    Large(u32),
}

const LARGE: u64 = 1 << 63;
const CLASS_SHIFT: u32 = 48;

/// The entries of all granules.
pub(crate) struct PageMap(Table<AtomicU64>);

impl PageMap {
    pub(crate) fn reserve<P: Pages>(pages: &P, granules: usize) -> Option<PageMap> {
        Table::reserve(pages, granules).map(PageMap)
    }

    #[inline]
    fn word(&self, granule: usize) -> u64 {
        self.0.get(granule).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// What `granule` holds.
    #[inline]
    pub(crate) fn entry(&self, granule: usize) -> Option<Entry> {
        Self::unpack(self.word(granule))
    }

    #[inline]
    fn unpack(word: u64) -> Option<Entry> {
        if word & LARGE != 0 {
            return Some(Entry::Large(word as u32));
        }
        let address = NonZeroU64::new(word & ((1 << CLASS_SHIFT) - 1))?;
        Some(Entry::Small(SlotArray { address, class: (word >> CLASS_SHIFT) as usize - 1 }))
    }

    /// Runs `read` with the entry of `granule` until the entry is the same afterwards.
    #[inline]
    pub(crate) fn stable<T>(&self, granule: usize, mut read: impl FnMut(Entry) -> T) -> Option<T> {
        loop {
            let word = self.word(granule);
            let value = read(Self::unpack(word)?);
            fence(Ordering::Acquire);
            if self.word(granule) == word {
                return Some(value);
            }
        }
    }

    pub(crate) fn set_small(&self, granule: usize, array: &SlotArray) {
        let word = array.address.get() | (array.class as u64 + 1) << CLASS_SHIFT;
        self.0.at(granule).store(word, Ordering::Release);
    }

    pub(crate) fn set_large(&self, first: u32, granules: u32) {
        for granule in first..first + granules {
            self.0.at(granule as usize).store(LARGE | u64::from(first), Ordering::Release);
        }
    }

    pub(crate) fn clear(&self, first: u32, granules: u32) {
        for granule in first..first + granules {
            self.0.at(granule as usize).store(0, Ordering::Release);
        }
    }
}

impl SlotArray {
    #[inline]
    pub(crate) fn class(&self) -> &'static Class {
        &CLASS[self.class]
    }

    #[inline]
    pub(crate) fn class_number(&self) -> usize {
        self.class
    }
}

/// A granule's bookkeeping: of a span of small blocks, of a large block (in its first granule), of a run of free
/// granules (in its first and last). Except for the two fields that describe a large block, everything is read and
/// written under the lock of the class or of the runs.
#[repr(C, align(64))]
pub(crate) struct Span {
    /// Metadata of the large block that starts here.
    pub(crate) slot: Slot,
    /// Its requested bytes.
    pub(crate) wide: AtomicU64,
    /// What the granule begins or ends: constants of `runs`.
    pub(crate) kind: AtomicU32,
    /// Granules of the run.
    pub(crate) granules: AtomicU32,
    /// Next and previous span or run in its list, granule + 1.
    pub(crate) next: AtomicU32,
    pub(crate) previous: AtomicU32,
    /// First free slot of a span of small blocks, index + 1.
    pub(crate) free: AtomicU32,
    /// Number of slots in that list.
    pub(crate) free_count: AtomicU32,
    /// Slots handed out at least once; the others are unused.
    pub(crate) bump: AtomicU32,
}

// SAFETY: all fields are atomics; the alignment is 64.
unsafe impl Plain for Span {}

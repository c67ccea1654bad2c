//! A hosted [`heap::Pages`] over mmap, and small helpers for tests and examples.
//!
//! The arena is mapped as a whole at a fixed address that differs from heap to heap; everything is unmapped when the
//! value is dropped.
#![allow(dead_code, reason = "each test and example uses a part")]
#![allow(unreachable_pub, reason = "a module of tests and examples, no library")]

use heap::{Arena, Heap, Options, Pages, Request, ThreadCache};
use ring::record::Family;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Addresses that no test process uses otherwise, handed out from here on.
static NEXT: AtomicU64 = AtomicU64::new(0x1000_0000_0000);

/// Memory of one heap.
pub struct Mapped {
    arena: Arena,
    tables: Mutex<Vec<(u64, u64)>>,
    /// Bytes that were decommitted.
    pub decommitted: AtomicU64,
    /// Bytes that were cleared.
    pub zeroed: AtomicU64,
    /// `map` refuses to go behind this many bytes.
    pub limit: AtomicU64,
    mapped: AtomicU64,
}

fn mmap(address: u64, bytes: u64) -> Option<u64> {
    let fixed = if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
    // SAFETY: a new mapping; NOREPLACE keeps existing ones.
    let at = unsafe {
        libc::mmap(address as *mut _, bytes as usize, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    (at != libc::MAP_FAILED).then_some(at as u64)
}

impl Mapped {
    pub fn new(size: u64) -> Mapped {
        let base = NEXT.fetch_add(size.next_multiple_of(1 << 32) + (1 << 32), Ordering::Relaxed);
        assert_eq!(mmap(base, size), Some(base), "the arena's address is free");
        Mapped {
            arena: Arena { base, size },
            tables: Mutex::new(Vec::new()),
            decommitted: AtomicU64::new(0),
            zeroed: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            mapped: AtomicU64::new(0),
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let mut tables = self.tables.lock().expect("not poisoned");
        tables.push((self.arena.base, self.arena.size));
        for &(at, bytes) in tables.iter() {
            // SAFETY: our own mappings; the heap that used them goes away with us.
            unsafe { libc::munmap(at as *mut _, bytes as usize) };
        }
    }
}

// SAFETY: `reserve` returns fresh anonymous mappings, which stay until the value is dropped.
unsafe impl Pages for Mapped {
    fn map(&self, address: u64, bytes: u64) -> bool {
        let end = address + bytes - self.arena.base;
        assert_eq!(address - self.arena.base, self.mapped.load(Ordering::Relaxed), "rising, adjacent ranges");
        if end > self.limit.load(Ordering::Relaxed) {
            return false;
        }
        self.mapped.store(end, Ordering::Relaxed);
        true
    }

    fn reserve(&self, bytes: u64) -> Option<u64> {
        let at = mmap(0, bytes)?;
        self.tables.lock().expect("not poisoned").push((at, bytes));
        Some(at)
    }

    fn decommit(&self, address: u64, bytes: u64) -> bool {
        self.decommitted.fetch_add(bytes, Ordering::Relaxed);
        // SAFETY: a part of the arena that holds no live block.
        unsafe { libc::madvise(address as *mut _, bytes as usize, libc::MADV_DONTNEED) == 0 }
    }

    fn zero(&self, address: u64, bytes: u64) {
        self.zeroed.fetch_add(bytes, Ordering::Relaxed);
        // SAFETY: a part of the arena that belongs to a block that nobody has yet.
        unsafe { (address as *mut u8).write_bytes(0, bytes as usize) };
    }

    fn relax(&self, turn: u32) {
        if turn > 100 { std::thread::yield_now() } else { std::hint::spin_loop() }
    }
}

pub fn heap(size: u64, options: Options) -> Heap<Mapped> {
    let pages = Mapped::new(size);
    let arena = pages.arena;
    Heap::new(pages, arena, options).expect("a heap")
}

pub fn request(size: u64) -> Request {
    Request { size, align: 16, family: Family::Malloc, stack: 1, zeroed: false }
}

pub fn allocate(heap: &Heap<Mapped>, cache: &mut ThreadCache, size: u64) -> u64 {
    heap.allocate(cache, request(size)).expect("memory")
}

pub fn free(heap: &Heap<Mapped>, cache: &mut ThreadCache, address: u64) {
    let outcome = heap.free(cache, address, Family::Malloc, 2);
    assert!(matches!(outcome, heap::FreeOutcome::Freed(_)), "{outcome:?}");
}

/// The bytes of a live block.
pub fn bytes(address: u64, size: u64) -> &'static mut [u8] {
    // SAFETY: the tests only ask for blocks that they have allocated and not freed, one reference at a time.
    unsafe { std::slice::from_raw_parts_mut(address as *mut u8, size as usize) }
}

pub fn write(address: u64, word: u64) {
    // SAFETY: the tests only write to blocks of theirs, at multiples of 8.
    unsafe { (address as *mut u64).write(word) };
}

/// xorshift64*: enough for tests, and reproducible.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// Mostly small, sometimes large sizes.
    pub fn size(&mut self) -> u64 {
        let bits = match self.below(100) {
            0 => 20,
            1..5 => 16,
            5..20 => 12,
            _ => 8,
        };
        self.below((1 << bits) + 1)
    }
}

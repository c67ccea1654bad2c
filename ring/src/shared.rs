//! Layout of the shared memory and the single-producer, single-consumer protocol of a ring.
//!
//! Invariant: `head` and `tail` count bytes since the ring was opened; `tail <= head <= tail + RING_BYTES`.
//! The producer owns `head` and the bytes from `head` to `tail + RING_BYTES`; the consumer owns `tail`.
//! A record is visible only after `head` was stored behind it, so a killed producer never shows half a record.
//!
//! # Safety
//! This is the only module of the crate with `unsafe`: it turns the base address of the mapping, which the
//! caller of [`Shared::new`] vouches for, into references to atomics that live as long as the mapping.
#![allow(unsafe_code, reason = "turns the mapping into references; see the module documentation")]

use crate::record;
use crate::toggles::Toggles;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// First word of the control block: "vgring01", little endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"vgring01");
/// Bytes of the control block.
pub const CONTROL_BYTES: usize = 64 * 1024;
/// Data bytes of a ring; a power of two.
pub const RING_BYTES: usize = 1 << 20;
/// Bytes of a ring header, in front of its data.
pub const RING_HEADER_BYTES: usize = 4096;
/// Distance between two ring slots.
pub const RING_STRIDE: usize = RING_HEADER_BYTES + RING_BYTES;
/// Ring slots: the largest number of guest threads that record at one time. The memory is sparse.
pub const RING_COUNT: usize = 4096;
/// Bytes of the whole mapping.
pub const SHARED_BYTES: usize = CONTROL_BYTES + RING_COUNT * RING_STRIDE;

/// Where the file behind the mapping has pages of ones, behind all that is mapped: V bits of undefined memory.
pub const ONES_OFFSET: usize = SHARED_BYTES;
/// How many bytes of them, when [`EVENTS_SHADOW`] is asked for.
pub const ONES_BYTES: usize = 1 << 20;
/// Offset of [`ONES_BYTES`] bytes of [`UNADDRESSABLE`].
pub const POISON_OFFSET: usize = ONES_OFFSET + ONES_BYTES;
/// The shadow of a byte that the guest may not touch, and rarely that of one whose bits are defined in this pattern.
pub const UNADDRESSABLE: u8 = 0xa5;

/// A ring slot that nobody uses.
pub const SLOT_FREE: u32 = 0;
/// A slot that a guest thread writes to.
pub const SLOT_OPEN: u32 = 1;
/// The thread has ended; the recorder drains what is left and then frees the slot.
pub const SLOT_CLOSED: u32 = 2;
/// `state`: the recorder has seen that it is closed, and takes what is left. From here on the writer cannot open it again.
pub const SLOT_TAKEN: u32 = 3;

/// `Control::recorder_state`: rings are drained.
pub const RECORDER_ALIVE: u32 = 0;
/// `Control::recorder_state`: nobody reads any more; engines drop their events and never wait.
pub const RECORDER_GONE: u32 = 1;

/// Bit of `Control::events`: allocation events and the leak graph.
pub const EVENTS_ALLOC: u32 = 1;
/// Bit of `Control::events`: definedness and addressability (the memcheck shadow).
pub const EVENTS_SHADOW: u32 = 2;
/// Bit of `Control::events`: instruction counts.
pub const EVENTS_CLOCK: u32 = 4;
/// Bit of `Control::events`: how often each segment of code is executed.
pub const EVENTS_BLOCKS: u32 = 16;
/// Bit of `Control::events`: calls and returns; with [`EVENTS_CLOCK`] and [`EVENTS_BLOCKS`].
pub const EVENTS_CALLS: u32 = 32;
/// Bit of `Control::events`: what data accesses cost; with [`EVENTS_BLOCKS`], without [`EVENTS_SHADOW`].
pub const EVENTS_ACCESS: u32 = 8;

/// Bit of `Control::flags`: children that the guest starts run natively, without the engine.
pub const FLAG_NO_CHILDREN: u32 = 1;
/// Bit of `Control::flags`: the engine emits a [`record::Kind::Stats`] record when a process ends.
pub const FLAG_STATS: u32 = 2;
/// Bit of `Control::flags`: no `__libc_freeres` before the final leak scan.
pub const FLAG_NO_FREERES: u32 = 4;
/// Bit of `Control::flags`: no leak scan at the end.
pub const FLAG_NO_LEAK_SCAN: u32 = 8;

/// Bit of `Control::flags`: each process waits for requests in `Control::snapshots_asked`.
pub const FLAG_WATCH: u32 = 16;
/// Undefined values are followed (with [`EVENTS_SHADOW`]).
pub const FLAG_VALUES: u32 = 32;
/// Descriptors are tracked.
pub const FLAG_DESCRIPTORS: u32 = 64;
/// Those that are open when a process ends are told (with [`FLAG_DESCRIPTORS`]).
pub const FLAG_UNCLOSED: u32 = 128;
/// A process ends at its first error, with `Control::error_status`.
pub const FLAG_FIRST_ERROR: u32 = 512;
/// Standard input, output and error, too (with [`FLAG_UNCLOSED`]).
pub const FLAG_STANDARD_DESCRIPTORS: u32 = 256;
/// What a thread executes is not collected before it is asked for.
pub const FLAG_COLLECT_LATER: u32 = 1024;
/// The same of a process.
pub const FLAG_INSTRUMENT_LATER: u32 = 2048;
/// The whole stream of data accesses is told (with [`EVENTS_ACCESS`]).
pub const FLAG_ALL_ACCESSES: u32 = 4096;

/// Bit of `Control::models`: caches.
pub const MODEL_CACHES: u32 = 1;
/// Bit of `Control::models`: predictors of branches.
pub const MODEL_BRANCHES: u32 = 2;
/// Bit of `Control::models`: the last level writes back.
pub const MODEL_WRITE_BACK: u32 = 4;
/// Bit of `Control::models`: streams are prefetched.
pub const MODEL_PREFETCH: u32 = 8;

/// The first bytes of the shared memory. Options are written by the recorder before the first guest starts.
#[repr(C)]
pub struct Control {
    /// [`MAGIC`].
    pub magic: AtomicU64,
    /// Process id of the recorder, as the recorder sees it.
    pub recorder_pid: AtomicU32,
    /// [`RECORDER_ALIVE`] or [`RECORDER_GONE`].
    pub recorder_state: AtomicU32,
    /// Kinds of event to record: `EVENTS_*` bits.
    pub events: AtomicU32,
    /// `FLAG_*` bits.
    pub flags: AtomicU32,
    /// Futex of the recorder: producers add one and wake it when a ring is half full or a process ends.
    pub wake: AtomicU32,
    /// Where the search for a free slot starts.
    pub next_slot: AtomicU32,
    /// Next process number of this recording (the first guest is 1).
    pub next_process: AtomicU32,
    /// Largest number of stack frames of one event.
    pub stack_depth: AtomicU32,
    /// Bytes of code cache; 0 = the engine's default.
    pub cache_bytes: AtomicU64,
    /// Bytes of freed blocks that are kept before their memory is used again.
    pub freelist_bytes: AtomicU64,
    /// Freed blocks of at least this size leave the quarantine first.
    pub freelist_big_block: AtomicU64,
    /// Red zone in front of and behind each heap block, in bytes.
    pub redzone_bytes: AtomicU32,
    /// Engine's debug switches (developer use; bit 0 = log to fd 2).
    pub debug: AtomicU32,
    /// Futex of the engines: the recorder adds one for each snapshot that the user asks for, and wakes all.
    pub snapshots_asked: AtomicU32,
    /// Exit status of a process that ends at an error.
    pub error_status: AtomicU32,
    /// Caches that are simulated, I1, D1 and LL: bytes, ways, bytes in a line. With [`EVENTS_ACCESS`].
    pub caches: [[AtomicU32; 3]; 3],
    /// What is simulated: `MODEL_*` bits.
    pub models: AtomicU32,
    /// The number that the next part of what is executed gets; see [`record::Kind::Part`].
    pub next_part: AtomicU32,
    /// The functions that switch collection.
    pub toggles: Toggles,
}

/// The head of a ring slot. Producer and consumer words lie in different cache lines.
#[repr(C, align(64))]
pub struct RingHeader {
    /// `SLOT_*`.
    pub state: AtomicU32,
    /// Process number of this recording that the writer belongs to.
    pub process: AtomicU32,
    /// Kernel thread id of the writer, in its own pid namespace.
    pub thread: AtomicU32,
    /// Kernel process id of the writer, in its own pid namespace.
    pub pid: AtomicU32,
    pad0: [u8; 48],
    /// Bytes ever written.
    pub head: AtomicU64,
    pad1: [u8; 56],
    /// Bytes ever consumed.
    pub tail: AtomicU64,
    /// Futex: non-zero while the producer waits for space; the consumer clears it and wakes.
    pub waiting: AtomicU32,
    pad2: [u8; 52],
}

const _: () = assert!(size_of::<Control>() <= CONTROL_BYTES && size_of::<RingHeader>() <= RING_HEADER_BYTES);
const _: () = assert!(RING_BYTES.is_power_of_two() && record::MAX_RECORD_WORDS * 8 <= RING_BYTES / 4);

/// A view of the mapped shared memory.
#[derive(Clone, Copy)]
pub struct Shared {
    base: usize,
}

impl Shared {
    /// # Safety
    /// `base` is the page-aligned start of a readable, writable, shared mapping of [`SHARED_BYTES`] bytes that
    /// stays mapped for as long as the value or anything obtained from it is used.
    pub const unsafe fn new(base: usize) -> Shared {
        Shared { base }
    }

    /// Address of the mapping.
    pub fn base(self) -> usize {
        self.base
    }

    /// The control block.
    pub fn control(self) -> &'static Control {
        // SAFETY: `new`'s caller vouches for the mapping; a Control is all atomics, any bit pattern is valid,
        // and it fits into CONTROL_BYTES (asserted above).
        unsafe { &*(self.base as *const Control) }
    }

    fn slot_base(self, slot: usize) -> usize {
        assert!(slot < RING_COUNT);
        self.base + CONTROL_BYTES + slot * RING_STRIDE
    }

    /// The header of ring `slot`.
    pub fn ring(self, slot: usize) -> &'static RingHeader {
        // SAFETY: the slot lies inside the mapping (asserted in slot_base), is page aligned, and a RingHeader is
        // all atomics.
        unsafe { &*(self.slot_base(slot) as *const RingHeader) }
    }

    fn data(self, slot: usize) -> usize {
        self.slot_base(slot) + RING_HEADER_BYTES
    }

    /// Claims a free slot for a thread; `None` when all are taken.
    pub fn claim(self, process: u32, pid: u32, thread: u32) -> Option<Producer> {
        let control = self.control();
        let start = control.next_slot.fetch_add(1, Ordering::Relaxed) as usize;
        for i in 0..RING_COUNT {
            let slot = (start + i) % RING_COUNT;
            let ring = self.ring(slot);
            if ring.state.load(Ordering::Relaxed) != SLOT_FREE {
                continue;
            }
            // Claimed with the process field first: a slot in state FREE with process != 0 is being set up.
            if ring.process.compare_exchange(0, process, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            ring.head.store(0, Ordering::Relaxed);
            ring.tail.store(0, Ordering::Relaxed);
            ring.waiting.store(0, Ordering::Relaxed);
            ring.thread.store(thread, Ordering::Relaxed);
            ring.pid.store(pid, Ordering::Relaxed);
            ring.state.store(SLOT_OPEN, Ordering::Release);
            return Some(Producer { shared: self, slot, head: 0, limit: RING_BYTES as u64 });
        }
        None
    }
}

/// Bytes that a producer asks for before it writes to them: some records, which take a hundred nanoseconds each to make.
const AHEAD: u64 = 192;

/// The writing end of one ring; owned by one guest thread.
pub struct Producer {
    shared: Shared,
    slot: usize,
    head: u64,
    limit: u64,
}

/// Words of the records that there are millions of.
const FEW: usize = 8;

impl Producer {
    /// The slot this producer writes to.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// The ring's header.
    pub fn ring(&self) -> &'static RingHeader {
        self.shared.ring(self.slot)
    }

    /// The control block.
    pub fn control(&self) -> &'static Control {
        self.shared.control()
    }

    /// Appends one record: `words[0]` must be [`record::header`] with the length of `words`.
    /// False when there is no room now: wait for the consumer (`waiting`) and try again.
    // Always: with a length known at compile time the copy is a few stores.
    #[inline(always)]
    #[must_use]
    pub fn try_push(&mut self, words: &[u64]) -> bool {
        let bytes = (words.len() * 8) as u64;
        debug_assert!(!words.is_empty() && words.len() <= record::MAX_RECORD_WORDS);
        let offset = self.head & (RING_BYTES as u64 - 1);
        let to_end = RING_BYTES as u64 - offset;
        let pad = if to_end < bytes { to_end } else { 0 };
        let end = self.head + pad + bytes;
        if end > self.limit {
            self.limit = self.ring().tail.load(Ordering::Acquire) + RING_BYTES as u64;
            if end > self.limit {
                return false;
            }
        }
        let data = self.shared.data(self.slot);
        if pad != 0 {
            let header = record::header(record::Kind::Pad, (pad / 8) as usize);
            // SAFETY: offset is below RING_BYTES and a multiple of 8, so the word lies in the ring's data, in the
            // part that the producer owns (end <= limit).
            unsafe { ((data + offset as usize) as *mut u64).write(header) };
        }
        let at = (self.head + pad) & (RING_BYTES as u64 - 1);
        let to = (data + at as usize) as *mut u64;
        if words.len() <= FEW {
            // Word by word, as they were made: what was stored by words and is loaded by vectors has to wait until all
            // stores before it have reached the cache.
            for (i, word) in words.iter().enumerate() {
                // SAFETY: at + bytes <= RING_BYTES by the choice of pad, and the range is the producer's (end <= limit).
                unsafe { to.add(i).write_volatile(*word) };
            }
        } else {
            // SAFETY: as above.
            unsafe { core::ptr::copy_nonoverlapping(words.as_ptr(), to, words.len()) };
        }
        // The consumer's cache holds the lines that come next: they are asked for in time.
        let ahead = data + ((end + AHEAD) & (RING_BYTES as u64 - 1)) as usize;
        // SAFETY: a hint, which faults at no address. Processors that do not know it do nothing.
        unsafe {
            core::arch::asm!("prefetchw [{}]", in(reg) ahead, options(nostack, preserves_flags, readonly))
        };
        self.head = end;
        self.ring().head.store(end, Ordering::Release);
        true
    }

    /// Bytes written and not yet consumed, as far as this end knows.
    #[inline]
    pub fn backlog(&self) -> u64 {
        self.head + RING_BYTES as u64 - self.limit
    }

    /// Marks the ring as finished; the recorder frees the slot when it has drained it.
    pub fn close(&mut self) {
        self.ring().state.store(SLOT_CLOSED, Ordering::Release);
    }
}

/// The reading end of one ring; owned by the recorder.
pub struct Consumer {
    shared: Shared,
    slot: usize,
}

impl Consumer {
    /// The consumer of `slot`. There must be only one for each slot.
    pub fn new(shared: Shared, slot: usize) -> Consumer {
        Consumer { shared, slot }
    }

    /// The ring's header.
    pub fn ring(&self) -> &'static RingHeader {
        self.shared.ring(self.slot)
    }

    /// Hands every committed record to `each` and gives the space back. Returns the number of bytes consumed.
    ///
    /// # Errors
    /// [`Corrupt`] when a record's length leads out of the ring: the guest has overwritten the shared memory.
    pub fn drain(&mut self, mut each: impl FnMut(record::Record<'_>)) -> Result<u64, Corrupt> {
        self.drain_runs(|words| {
            let (record, rest) = record::split_first(words)?;
            if record::kind_number(record.words[0]) != record::Kind::Pad as u16 {
                each(record);
            }
            Some(rest)
        })
    }

    /// The same, many records at a time: `take` gets words that begin with a record, among which may be
    /// [`record::Kind::Pad`], and gives back those behind the records that it has taken, of which there is one at least.
    ///
    /// # Errors
    /// [`Corrupt`] when `take` says `None` or has taken nothing.
    #[inline]
    pub fn drain_runs(
        &mut self,
        mut take: impl for<'a> FnMut(&'a [u64]) -> Option<&'a [u64]>,
    ) -> Result<u64, Corrupt> {
        let ring = self.ring();
        let tail = ring.tail.load(Ordering::Relaxed);
        let head = ring.head.load(Ordering::Acquire);
        if head == tail {
            return Ok(0);
        }
        if head < tail
            || head - tail > RING_BYTES as u64
            || !head.is_multiple_of(8)
            || !tail.is_multiple_of(8)
        {
            return Err(Corrupt);
        }
        let data = self.shared.data(self.slot);
        let mut at = tail;
        while at < head {
            let offset = (at & (RING_BYTES as u64 - 1)) as usize;
            // No record goes around the end.
            let bytes = (RING_BYTES - offset).min((head - at) as usize);
            // SAFETY: the range lies inside the ring, begins at a multiple of 8 and is committed; the producer does not
            // write to it before `tail` moves.
            let mut words = unsafe { core::slice::from_raw_parts((data + offset) as *const u64, bytes / 8) };
            while !words.is_empty() {
                let rest = take(words).filter(|rest| rest.len() < words.len()).ok_or(Corrupt)?;
                words = rest;
            }
            at += bytes as u64;
        }
        ring.tail.store(at, Ordering::Release);
        Ok(at - tail)
    }

    /// Whether the ring is finished: the writer has closed it and cannot open it again. What it holds after this is all
    /// that it will ever hold.
    pub fn take_closed(&mut self) -> bool {
        let state = &self.ring().state;
        match state.compare_exchange(SLOT_CLOSED, SLOT_TAKEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == SLOT_TAKEN,
        }
    }

    /// Finishes the ring of a writer that is gone.
    pub fn take_abandoned(&mut self) {
        self.ring().state.store(SLOT_TAKEN, Ordering::Release);
    }

    /// Frees a finished and drained slot for another thread.
    pub fn free(&mut self) {
        let ring = self.ring();
        ring.state.store(SLOT_FREE, Ordering::Release);
        ring.process.store(0, Ordering::Release);
    }
}

/// The ring's contents make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Kind, header};

    fn memory() -> (Vec<u64>, Shared) {
        // Two slots suffice for a test that touches only those; claim() may look at more, so one full header each.
        let bytes = CONTROL_BYTES + 2 * RING_STRIDE + 4096;
        let memory = vec![0u64; bytes / 8];
        let base = (memory.as_ptr() as usize + 4095) & !4095;
        // SAFETY: the tests use slots 0 and 1 only, which lie inside `memory`.
        (memory, unsafe { Shared::new(base) })
    }

    #[test]
    fn records_come_out_in_order_across_the_wrap() {
        let (_memory, shared) = memory();
        let mut producer = shared.claim(1, 1, 1).expect("a free slot");
        let mut consumer = Consumer::new(shared, producer.slot());
        let (mut sent, mut received) = (0u64, 0u64);
        for round in 0..400u64 {
            for length in 0..100 {
                let words: Vec<u64> = std::iter::once(header(Kind::Message, 2 + length))
                    .chain(std::iter::once(sent))
                    .chain((0..length as u64).map(|i| i ^ sent))
                    .collect();
                if producer.try_push(&words) {
                    sent += 1;
                }
            }
            if round % 3 == 0 {
                consumer
                    .drain(|record| {
                        assert_eq!(record.words[1], received);
                        assert!((2..).zip(&record.words[2..]).all(|(i, w)| *w == (i - 2) ^ received));
                        received += 1;
                    })
                    .expect("sound ring");
            }
        }
        consumer.drain(|_| received += 1).expect("sound ring");
        assert!(sent > 1000);
        assert_eq!(sent, received);
    }

    #[test]
    fn a_full_ring_refuses_and_a_wild_length_is_corrupt() {
        let (_memory, shared) = memory();
        let mut producer = shared.claim(1, 1, 1).expect("a free slot");
        let words = vec![header(Kind::Message, 1024); 1024];
        let pushed = (0..).take_while(|_| producer.try_push(&words)).count();
        assert_eq!(pushed, RING_BYTES / 8192);
        let data = shared.data(producer.slot()) as *mut u64;
        // SAFETY: the first data word of the claimed slot.
        unsafe { data.write(0) };
        assert_eq!(Consumer::new(shared, producer.slot()).drain(|_| ()), Err(Corrupt));
    }
}

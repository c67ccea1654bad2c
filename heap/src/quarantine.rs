//! Freed blocks that may not be used again yet.
//!
//! Valgrind's rules: the quarantine holds a total volume of requested bytes; blocks of at least a certain size lie
//! in a list of their own that is released first; a block that alone exceeds the volume goes to the head of its
//! list; blocks leave at the next allocation, not at a free. With one thread this is what happens here, except that:
//! - A thread collects what it frees in a batch of at most 1/256 of the volume before it counts, so the quarantine
//!   may hold that much more for each thread.
//! - There is a limit to the number of blocks, too: without one, a program that churns through blocks of a few bytes
//!   would keep twenty million of them.
//!
//! Each thread has a queue of its own, so that its blocks come back to it and no line of memory wanders between
//! processors; big blocks are in one queue for all. A thread that must release takes from its own queue, unless that
//! is much shorter than the average: then from the longest. So no thread's queue is safe from being released,
//! however idle its thread is, and a thread that only allocates profits from one that only frees.
//!
//! Queues are chains of [`Chunk`]s. Each has its own lock. Lock order: queue, then pool of chunks.

use crate::Pages;
use crate::chunk::{CHUNK_BLOCKS, Chunk, Entry, Packed, load, store};
use crate::counters::THREADS;
use crate::lock::{Guard, Lock};
use crate::table::{Plain, Table};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Chunks that can exist; what finds no chunk is not kept.
const CHUNKS: usize = 1 << 22;

/// Blocks that are released at a time.
pub(crate) const RELEASE: usize = 64;

/// A chain of chunks, first in, first out.
#[repr(C)]
struct Queue {
    /// Chunk + 1; 0 = empty.
    head: u32,
    tail: u32,
    /// Requested bytes of its blocks.
    volume: u64,
    blocks: u64,
}

/// A queue, and its length for those who do not hold the lock.
#[repr(C, align(64))]
pub(crate) struct Shelf {
    queue: Lock<Queue>,
    weight: AtomicU64,
}

// SAFETY: zero is an open lock around an empty queue of integers, and an atomic; the alignment is 64.
#[allow(unsafe_code, reason = "a promise about the type's layout only")]
unsafe impl Plain for Shelf {}

/// Unused chunks.
struct Pool {
    /// Chain of chunks that were used before, chunk + 1.
    unused: u32,
    /// Chunks ever used.
    high: u32,
}

/// Everything that is quarantined, except for the threads' batches.
pub(crate) struct Quarantine {
    volume_limit: u64,
    blocks_limit: u64,
    chunks: Table<Chunk>,
    shelves: Table<Shelf>,
    total: Total,
    big: Shelf,
    pool: Lock<Pool>,
}

/// Sums over all queues, and the number of shelves that may be in use.
#[repr(align(64))]
struct Total {
    volume: AtomicU64,
    blocks: AtomicU64,
    threads: AtomicUsize,
}

/// What a block counts beside its bytes when queues are compared.
const BLOCK_WEIGHT: u64 = 16;

impl Queue {
    const EMPTY: Queue = Queue { head: 0, tail: 0, volume: 0, blocks: 0 };

    fn append_chunk(&mut self, chunks: &Table<Chunk>, number: u32) {
        match self.tail {
            0 => self.head = number,
            tail => store(&chunks.at(tail as usize - 1).next, number),
        }
        self.tail = number;
    }
}

/// A locked queue.
struct Locked<'a, P> {
    quarantine: &'a Quarantine,
    pages: &'a P,
    queue: Guard<'a, Queue>,
    weight: &'a AtomicU64,
}

impl<P: Pages> Locked<'_, P> {
    fn count(&mut self, blocks: u64, bytes: u64) {
        self.queue.volume += bytes;
        self.queue.blocks += blocks;
        self.quarantine.total.volume.fetch_add(bytes, Ordering::Relaxed);
        self.quarantine.total.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.weigh();
    }

    fn weigh(&self) {
        self.weight.store(self.queue.volume + BLOCK_WEIGHT * self.queue.blocks, Ordering::Relaxed);
    }

    fn push_back(&mut self, entry: Entry) -> Option<()> {
        let chunks = &self.quarantine.chunks;
        let tail = self.queue.tail;
        let number = match tail.checked_sub(1).map(|tail| load(&chunks.at(tail as usize).end)) {
            Some(end) if (end as usize) < CHUNK_BLOCKS => tail,
            _ => {
                let number = self.quarantine.take_chunk(self.pages)?;
                self.queue.append_chunk(chunks, number);
                number
            }
        };
        let chunk = chunks.at(number as usize - 1);
        let end = load(&chunk.end);
        chunk.put(end, entry);
        store(&chunk.end, end + 1);
        Some(())
    }

    fn push_front(&mut self, entry: Entry) -> Option<()> {
        let chunks = &self.quarantine.chunks;
        let head = self.queue.head;
        let number = match head.checked_sub(1).map(|head| chunks.at(head as usize)) {
            Some(chunk) if chunk.is_empty() => {
                store(&chunk.begin, CHUNK_BLOCKS as u32);
                store(&chunk.end, CHUNK_BLOCKS as u32);
                head
            }
            Some(chunk) if load(&chunk.begin) > 0 => head,
            _ => {
                let number = self.quarantine.take_chunk(self.pages)?;
                let chunk = chunks.at(number as usize - 1);
                store(&chunk.begin, CHUNK_BLOCKS as u32);
                store(&chunk.end, CHUNK_BLOCKS as u32);
                store(&chunk.next, head);
                self.queue.head = number;
                if head == 0 {
                    self.queue.tail = number;
                }
                number
            }
        };
        let chunk = chunks.at(number as usize - 1);
        let begin = load(&chunk.begin) - 1;
        chunk.put(begin, entry);
        store(&chunk.begin, begin);
        Some(())
    }

    /// Takes the oldest blocks while the quarantine holds too much and there is room in `out`.
    fn take(&mut self, out: &mut [Packed], bytes: &impl Fn(Entry) -> u64) -> usize {
        let total = &self.quarantine.total;
        let (mut over_bytes, mut over_blocks) = self.quarantine.excess();
        let (mut taken, mut volume) = (0, 0);
        let mut emptied = false;
        while (over_bytes > 0 || over_blocks > 0) && taken < out.len() {
            let Some(entry) = self.pop() else {
                emptied = true;
                break;
            };
            let size = entry.size.map_or_else(|| bytes(entry), u64::from);
            out[taken] = Packed(entry.pack());
            taken += 1;
            volume += size;
            over_bytes = over_bytes.saturating_sub(size);
            over_blocks = over_blocks.saturating_sub(1);
        }
        // What a forked child adopts may be counted wrongly: an empty queue puts that right.
        if emptied || volume > self.queue.volume {
            volume = self.queue.volume;
        }
        let blocks = if emptied { self.queue.blocks } else { (taken as u64).min(self.queue.blocks) };
        self.queue.volume -= volume;
        self.queue.blocks -= blocks;
        total.volume.fetch_sub(volume, Ordering::Relaxed);
        total.blocks.fetch_sub(blocks, Ordering::Relaxed);
        self.weigh();
        taken
    }

    /// The last chunk of a queue stays with it when it is empty, to save a pair of visits to the pool.
    fn pop(&mut self) -> Option<Entry> {
        loop {
            let head = self.queue.head;
            let chunk = self.quarantine.chunks.at(head.checked_sub(1)? as usize);
            let next = load(&chunk.next);
            if !chunk.is_empty() {
                let begin = load(&chunk.begin);
                store(&chunk.begin, begin + 1);
                return Some(chunk.entry(begin));
            }
            if next == 0 {
                store(&chunk.begin, 0);
                store(&chunk.end, 0);
                return None;
            }
            self.queue.head = next;
            self.quarantine.give_chunk(self.pages, head);
        }
    }
}

impl Quarantine {
    pub(crate) fn new<P: Pages>(pages: &P, volume_limit: u64, blocks_limit: u64) -> Option<Quarantine> {
        Some(Quarantine {
            volume_limit,
            blocks_limit,
            chunks: Table::reserve(pages, CHUNKS)?,
            shelves: Table::reserve(pages, THREADS)?,
            total: Total {
                volume: AtomicU64::new(0),
                blocks: AtomicU64::new(0),
                threads: AtomicUsize::new(0),
            },
            big: Shelf { queue: Lock::new(Queue::EMPTY), weight: AtomicU64::new(0) },
            pool: Lock::new(Pool { unused: 0, high: 0 }),
        })
    }

    /// Requested bytes of all blocks.
    pub(crate) fn volume(&self) -> u64 {
        self.total.volume.load(Ordering::Relaxed)
    }

    /// Notes that thread `number` is going to use its shelf.
    pub(crate) fn welcome(&self, number: usize) {
        self.total.threads.fetch_max(number + 1, Ordering::Relaxed);
    }

    /// Bytes and blocks that are too many.
    #[inline]
    fn excess(&self) -> (u64, u64) {
        let volume = self.total.volume.load(Ordering::Relaxed);
        let blocks = self.total.blocks.load(Ordering::Relaxed);
        (volume.saturating_sub(self.volume_limit), blocks.saturating_sub(self.blocks_limit))
    }

    /// Whether something must leave.
    #[inline]
    pub(crate) fn over(&self) -> bool {
        self.excess() != (0, 0)
    }

    /// The batch with this number (chunk + 1).
    #[inline]
    pub(crate) fn batch(&self, number: u32) -> &Chunk {
        self.chunks.at(number as usize - 1)
    }

    /// An empty chunk, + 1; `None` when there are none left.
    pub(crate) fn take_chunk<P: Pages>(&self, pages: &P) -> Option<u32> {
        let mut pool = self.pool.lock(pages);
        let number = match pool.unused {
            0 if (pool.high as usize) < self.chunks.length() => {
                pool.high += 1;
                pool.high
            }
            0 => return None,
            number => {
                pool.unused = load(&self.batch(number).next);
                number
            }
        };
        drop(pool);
        let chunk = self.batch(number);
        for field in [&chunk.next, &chunk.begin, &chunk.end] {
            store(field, 0);
        }
        Some(number)
    }

    pub(crate) fn give_chunk<P: Pages>(&self, pages: &P, number: u32) {
        let mut pool = self.pool.lock(pages);
        store(&self.batch(number).next, pool.unused);
        pool.unused = number;
    }

    fn lock<'a, P: Pages>(&'a self, pages: &'a P, shelf: &'a Shelf) -> Locked<'a, P> {
        Locked { quarantine: self, pages, queue: shelf.queue.lock(pages), weight: &shelf.weight }
    }

    /// The shelf of a thread; one that has ended uses the first.
    fn shelf(&self, thread: usize) -> &Shelf {
        self.shelves.get(thread).unwrap_or_else(|| self.shelves.at(0))
    }

    /// Appends a thread's batch of `blocks` blocks with `bytes` bytes.
    pub(crate) fn append<P: Pages>(&self, pages: &P, thread: usize, number: u32, blocks: u32, bytes: u64) {
        store(&self.batch(number).end, blocks);
        let mut shelf = self.lock(pages, self.shelf(thread));
        shelf.queue.append_chunk(&self.chunks, number);
        shelf.count(u64::from(blocks), bytes);
    }

    /// Adds one block of `bytes` bytes at the end, or at the head if it exceeds the volume; to the queue of big
    /// blocks or a thread's. False when there is no chunk for it.
    pub(crate) fn push<P: Pages>(
        &self,
        pages: &P,
        thread: usize,
        big: bool,
        entry: Entry,
        bytes: u64,
    ) -> bool {
        let mut shelf = self.lock(pages, if big { &self.big } else { self.shelf(thread) });
        let done = if bytes >= self.volume_limit { shelf.push_front(entry) } else { shelf.push_back(entry) };
        if done.is_some() {
            shelf.count(1, bytes);
        }
        done.is_some()
    }

    /// Takes blocks that must leave, for `thread` to release. `bytes` tells a large block's size. Returns their number;
    /// 0 when nothing needs to leave or nothing is there.
    pub(crate) fn take<P: Pages>(
        &self,
        pages: &P,
        thread: usize,
        out: &mut [Packed],
        bytes: impl Fn(Entry) -> u64,
    ) -> usize {
        let weight = |shelf: &Shelf| shelf.weight.load(Ordering::Relaxed);
        if weight(&self.big) > 0 {
            let taken = self.lock(pages, &self.big).take(out, &bytes);
            if taken > 0 {
                return taken;
            }
        }
        let threads = self.total.threads.load(Ordering::Relaxed).max(1);
        let all = self.volume() + BLOCK_WEIGHT * self.total.blocks.load(Ordering::Relaxed);
        let own = self.shelf(thread);
        if weight(own) >= all / threads as u64 / 2 {
            let taken = self.lock(pages, own).take(out, &bytes);
            if taken > 0 {
                return taken;
            }
        }
        match (0..threads).map(|thread| self.shelf(thread)).max_by_key(|shelf| weight(shelf)) {
            Some(longest) if weight(longest) > 0 => self.lock(pages, longest).take(out, &bytes),
            _ => 0,
        }
    }

    /// The locks that a fork must hold, in lock order.
    pub(crate) fn lock_for_fork<P: Pages>(&self, pages: &P) -> FrozenQuarantine<'_> {
        let threads = self.total.threads.load(Ordering::Relaxed);
        (0..threads).for_each(|thread| core::mem::forget(self.shelf(thread).queue.lock(pages)));
        FrozenQuarantine {
            quarantine: self,
            threads,
            _big: self.big.queue.lock(pages),
            _pool: self.pool.lock(pages),
        }
    }
}

/// All locks of the quarantine.
pub(crate) struct FrozenQuarantine<'a> {
    quarantine: &'a Quarantine,
    threads: usize,
    _big: Guard<'a, Queue>,
    _pool: Guard<'a, Pool>,
}

impl Drop for FrozenQuarantine<'_> {
    fn drop(&mut self) {
        for thread in 0..self.threads {
            // SAFETY: `lock_for_fork` has taken this lock and forgotten its guard; nobody else can release it.
            #[allow(unsafe_code, reason = "the number of locks is not known at compile time")]
            unsafe {
                self.quarantine.shelf(thread).queue.release();
            }
        }
    }
}

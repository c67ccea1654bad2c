//! The heap itself: allocation, freeing, lookup, threads that end, forks.

use crate::central::Central;
use crate::class::{CLASSES, GRANULE, GRANULE_SHIFT, class_for};
use crate::counters::Ledger;
use crate::lock::Lock;
use crate::quarantine::Quarantine;
use crate::runs::Runs;
use crate::slots::{self, Entry, PageMap, Slot, SlotArrays, Span};
use crate::table::Table;
use crate::{Pages, Request, ThreadCache};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where guest blocks lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arena {
    /// First address, a multiple of 64 KiB.
    pub base: u64,
    /// Bytes, a multiple of 64 KiB, at most 64 TiB.
    pub size: u64,
}

/// Settings of a heap; the defaults are Valgrind's but for the number of freed blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the red zone in front of and behind each block; rounded up to a multiple of 16, at most 4096.
    pub redzone: u64,
    /// Requested bytes of freed blocks that are kept from being used again.
    pub quarantine_bytes: u64,
    /// Number of freed blocks that are kept. A small one takes 130 bytes with its red zones, its shadow and what is known
    /// of it: without a limit of its own the volume would take 110 MB in a program that frees blocks of 24 bytes.
    pub quarantine_blocks: u64,
    /// Freed blocks of at least this size leave the quarantine first.
    pub big_block: u64,
    /// Bytes of free arena memory that are not given back to the system.
    pub dirty_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            redzone: 16,
            quarantine_bytes: 20_000_000,
            quarantine_blocks: 250_000,
            big_block: 1_000_000,
            dirty_bytes: 32 << 20,
        }
    }
}

/// Why a heap could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The arena's base or size is not a multiple of 64 KiB, or the size is 0 or more than 64 TiB.
    BadArena,
    /// [`Pages::reserve`] gave no memory for the side tables.
    NoMemory,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Error::BadArena => {
                "heap arena: base and size must be multiples of 64 KiB, size from 64 KiB to 64 TiB"
            }
            Error::NoMemory => "heap: no address space for the side tables (is `ulimit -v` set?)",
        })
    }
}

impl core::error::Error for Error {}

/// Zeroed large blocks of at least this size get fresh pages rather than cleared ones.
const FRESH_PAGES: u64 = 256 * 1024;

/// The guest's heap, shared by all threads of a process.
pub struct Heap<P> {
    pub(crate) pages: P,
    pub(crate) arena: Arena,
    pub(crate) options: Options,
    /// Bytes at which a thread's batch goes to the global quarantine.
    pub(crate) batch_bytes: u64,
    pub(crate) map: PageMap,
    pub(crate) spans: Table<Span>,
    pub(crate) ledger: Ledger,
    pub(crate) central: [Lock<Central>; CLASSES],
    pub(crate) runs: Lock<Runs>,
    /// Granules that were ever in use; the copy for those who do not lock `runs`.
    pub(crate) frontier: AtomicU32,
    pub(crate) arrays: Lock<SlotArrays>,
    pub(crate) quarantine: Quarantine,
}

/// A block's metadata and place.
pub(crate) struct Place<'a> {
    pub(crate) slot: &'a Slot,
    /// Requested bytes of a large block.
    pub(crate) wide: Option<&'a AtomicU64>,
    /// First address of the slot or run.
    pub(crate) start: u64,
}

impl Place<'_> {
    /// Requested bytes; meaningful where no transition can be under way.
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        self.wide.map_or_else(|| u64::from(self.slot.size()), |wide| wide.load(Ordering::Relaxed))
    }
}

impl<P: Pages> Heap<P> {
    /// A heap in `arena`, of which nothing is mapped before it is needed.
    ///
    /// # Errors
    /// [`Error::BadArena`], [`Error::NoMemory`].
    pub fn new(pages: P, arena: Arena, options: Options) -> Result<Heap<P>, Error> {
        let aligned = arena.base.is_multiple_of(GRANULE) && arena.size.is_multiple_of(GRANULE);
        if !aligned
            || arena.size == 0
            || arena.size > 64 << 40
            || arena.base.checked_add(arena.size).is_none()
        {
            return Err(Error::BadArena);
        }
        let redzone = options.redzone.min(4096).next_multiple_of(16);
        let granules = (arena.size / GRANULE) as usize;
        let tables = || {
            Some((
                PageMap::reserve(&pages, granules)?,
                Table::reserve(&pages, granules)?,
                Quarantine::new(&pages, options.quarantine_bytes, options.quarantine_blocks)?,
                Ledger::reserve(&pages)?,
            ))
        };
        let (map, spans, quarantine, ledger) = tables().ok_or(Error::NoMemory)?;
        Ok(Heap {
            arena,
            options: Options { redzone, ..options },
            batch_bytes: (options.quarantine_bytes / 256).min(64 * 1024),
            map,
            spans,
            ledger,
            central: core::array::from_fn(|_| Lock::new(Central::default())),
            frontier: AtomicU32::new(0),
            runs: Lock::new(Runs::new(arena, options.dirty_bytes)),
            arrays: Lock::new(SlotArrays::new()),
            quarantine,
            pages,
        })
    }

    /// The memory source.
    pub fn pages(&self) -> &P {
        &self.pages
    }

    /// The arena.
    pub fn arena(&self) -> Arena {
        self.arena
    }

    /// The settings, with the red zone as it is used.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A cache for a thread; `None` when 65536 threads have one.
    pub fn thread_cache(&self) -> Option<ThreadCache> {
        self.ledger.claim(&self.pages, |line| self.quarantine.welcome(line)).map(ThreadCache::new)
    }

    /// Whether `address` is in the part of the address space that is reserved for blocks.
    #[inline]
    pub fn contains(&self, address: u64) -> bool {
        self.offset(address).is_some()
    }

    #[inline]
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.arena.base);
        (offset < self.arena.size).then_some(offset)
    }

    /// First byte of the block in the slot at `start`. Slots and red zones are multiples of 16, so that is its alignment
    /// at least.
    #[inline]
    pub(crate) fn data(&self, start: u64, align_log2: u32) -> u64 {
        let mask = (1u64 << align_log2) - 1;
        (start + self.options.redzone + mask) & !mask
    }

    /// Brings the metadata of the block at `address` near: for a caller that knows some time before that it is going
    /// to free it.
    #[inline]
    pub fn prefetch(&self, address: u64) {
        if let Some(offset) = self.offset(address)
            && let Some(Entry::Small(array)) = self.map.entry((offset >> GRANULE_SHIFT) as usize)
        {
            array.prefetch(array.class().slot_at((offset & (GRANULE - 1)) as u32));
        }
    }

    /// The slot that `offset` of the arena lies in.
    #[inline]
    pub(crate) fn place(&self, entry: &Entry, offset: u64, then: impl FnOnce(Place<'_>)) {
        match entry {
            Entry::Small(array) => {
                let index = array.class().slot_at((offset & (GRANULE - 1)) as u32);
                if let Some(slot) = array.get(index) {
                    let start = (offset & !(GRANULE - 1)) + index as u64 * u64::from(array.class().size);
                    then(Place { slot, wide: None, start: self.arena.base + start });
                }
            }
            Entry::Large(first) => {
                let Some(span) = self.spans.get(*first as usize) else { return };
                let start = self.arena.base + u64::from(*first) * GRANULE;
                then(Place { slot: &span.slot, wide: Some(&span.wide), start });
            }
        }
    }

    /// A block for `request`: its address, or `None` when the alignment is no power of two or there is no memory.
    #[inline]
    pub fn allocate(&self, cache: &mut ThreadCache, request: Request) -> Option<u64> {
        if self.quarantine.over() {
            self.release(cache);
        }
        let align = request.align.max(1);
        if !align.is_power_of_two() {
            return None;
        }
        let around = 2 * self.options.redzone + align.saturating_sub(16);
        // One byte for an empty block: without red zones, its address must still be its own.
        let bytes = request.size.max(1).checked_add(around)?;
        let address = match class_for(bytes) {
            Some(class) => self.allocate_small(cache, &request, class, align.trailing_zeros()),
            None => self.allocate_large(&request, bytes, align.trailing_zeros()),
        }?;
        if let Some(line) = self.ledger.line(cache.line) {
            line.allocated(request.size);
        }
        Some(address)
    }

    #[inline]
    fn allocate_small(
        &self,
        cache: &mut ThreadCache,
        request: &Request,
        class: usize,
        align_log2: u32,
    ) -> Option<u64> {
        if cache.lists[class].head == 0 && !self.refill(cache, class) {
            return None;
        }
        let list = &mut cache.lists[class];
        let start = list.head;
        let offset = self.offset(start)?;
        let entry = self.map.entry((offset >> GRANULE_SHIFT) as usize)?;
        let mut address = None;
        self.place(&entry, offset, |place| {
            list.head = place.slot.link();
            list.count -= 1;
            place.slot.make_live(request.size, align_log2, request.family as u8, request.stack, None);
            address = Some(self.data(start, align_log2));
        });
        self.prefetch_next(&entry, start, list.head);
        if let (true, Some(address)) = (request.zeroed, address) {
            // Always: a guest may have scribbled over memory that it was never given.
            self.pages.zero(address, request.size);
        }
        address
    }

    /// The block that the class gives next has long been cold, in the quarantine: its metadata and its first line are
    /// fetched while the guest does something else.
    #[inline]
    fn prefetch_next(&self, entry: &Entry, last: u64, next: u64) {
        if let Entry::Small(array) = entry
            && (last ^ next) < GRANULE
        {
            array.prefetch(array.class().slot_at((next & (GRANULE - 1)) as u32));
            self.pages.is_next(next, u64::from(array.class().size));
        }
        slots::prefetch(next + self.options.redzone);
    }

    fn allocate_large(&self, request: &Request, bytes: u64, align_log2: u32) -> Option<u64> {
        let run = self.take_run(bytes, request.zeroed && request.size >= FRESH_PAGES)?;
        let start = self.arena.base + u64::from(run.first) * GRANULE;
        let address = self.data(start, align_log2);
        if request.zeroed && !run.clean {
            let fresh =
                request.size >= FRESH_PAGES && self.pages.decommit(start, bytes.next_multiple_of(GRANULE));
            if !fresh {
                self.pages.zero(address, request.size);
            }
        }
        let span = self.spans.at(run.first as usize);
        span.slot.make_live(request.size, align_log2, request.family as u8, request.stack, Some(&span.wide));
        self.map.set_large(run.first, bytes.div_ceil(GRANULE) as u32);
        Some(address)
    }
}

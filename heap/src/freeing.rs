//! Freeing a block, and the way of its slot through the quarantine back to a thread.

use crate::chunk::{self, CHUNK_BLOCKS, Packed};
use crate::class::{GRANULE, GRANULE_SHIFT};
use crate::quarantine::RELEASE;
use crate::slots::{self, Entry};
use crate::space::Place;
use crate::{FreeOutcome, Freed, Heap, InvalidFree, Pages, ThreadCache};
use core::sync::atomic::Ordering;
use ring::record::Family;

impl<P: Pages> Heap<P> {
    /// Frees the block at `address`: it is put into quarantine. `family` and `stack` tell who frees it.
    pub fn free(&self, cache: &mut ThreadCache, address: u64, family: Family, stack: u32) -> FreeOutcome {
        match self.free_live(cache, address, stack, |_| ()) {
            Some(freed) if freed.family == family => FreeOutcome::Freed(freed),
            Some(freed) => FreeOutcome::Mismatched(freed),
            None => self.refuse(address),
        }
    }

    /// The same for those who need no reason: `None` when `address` is not the start of a live block. An outcome with
    /// room for reasons is returned in memory, and copying it waits until all stores before it have reached the cache.
    ///
    /// `tell` is told the block's size once it is surely this call that frees it, and before anybody can get its memory.
    #[inline]
    pub fn free_live(
        &self,
        cache: &mut ThreadCache,
        address: u64,
        stack: u32,
        tell: impl FnOnce(u64),
    ) -> Option<Freed> {
        let offset = self.offset(address)?;
        let entry = self.map.entry((offset >> GRANULE_SHIFT) as usize)?;
        let mut freed = None;
        self.place(&entry, offset, |place| freed = self.free_place(cache, place, address, stack, tell));
        freed
    }

    #[inline(always)]
    fn free_place(
        &self,
        cache: &mut ThreadCache,
        place: Place<'_>,
        address: u64,
        stack: u32,
        tell: impl FnOnce(u64),
    ) -> Option<Freed> {
        let info = place.slot.info();
        let align_log2 = slots::align_log2(info);
        if !slots::is_live(info) || self.data(place.start, align_log2) != address {
            return None;
        }
        // Unchanged while live, so they belong to the `info` that the exchange compares.
        let (size, alloc_stack) = (place.size(), place.slot.stack());
        if !place.slot.quarantine(info, stack) {
            return None;
        }
        if let Some(line) = self.ledger.line(cache.line) {
            line.freed(size);
        }
        tell(size);
        self.keep(cache, &place, size);
        Some(Freed { size, align: 1 << align_log2, family: slots::family(info), stack: alloc_stack })
    }

    #[cold]
    fn refuse(&self, address: u64) -> FreeOutcome {
        FreeOutcome::Invalid(match self.lookup(address) {
            None => InvalidFree::Unknown,
            Some(block) if block.address != address => InvalidFree::NotStart(block),
            // A block that is live by now was freed by another thread and allocated anew while we looked.
            Some(block) => InvalidFree::AlreadyFreed(block),
        })
    }

    /// Puts a block that has just become quarantined into the thread's batch, or at once into the global lists.
    #[inline]
    fn keep(&self, cache: &mut ThreadCache, place: &Place<'_>, size: u64) {
        let slot = place.start - self.arena.base;
        let size_code = if place.wide.is_none() { Some(size as u16) } else { None };
        let entry = chunk::Entry { slot, size: size_code };
        let alone = size >= self.options.big_block || size >= self.options.quarantine_bytes;
        if alone || cache.batch == 0 {
            return self.keep_slowly(cache, entry, size, alone);
        }
        self.quarantine.batch(cache.batch).put(cache.batch_blocks, entry);
        cache.batch_blocks += 1;
        cache.batch_bytes += size;
        if cache.batch_blocks as usize == CHUNK_BLOCKS || cache.batch_bytes > self.batch_bytes {
            self.hand_over(cache);
        }
    }

    #[cold]
    fn keep_slowly(&self, cache: &mut ThreadCache, entry: chunk::Entry, size: u64, alone: bool) {
        let mut kept = false;
        if alone {
            self.hand_over(cache);
            kept = self.quarantine.push(&self.pages, cache.line, size >= self.options.big_block, entry, size);
        } else if let Some(batch) = self.quarantine.take_chunk(&self.pages) {
            cache.batch = batch;
            self.quarantine.batch(batch).put(0, entry);
            cache.batch_blocks = 1;
            cache.batch_bytes = size;
            kept = true;
        }
        if !kept {
            self.release_one(cache, entry);
        } else if cache.batch_bytes > self.batch_bytes {
            self.hand_over(cache);
        }
    }

    /// Gives the thread's batch to the quarantine.
    #[cold]
    pub(crate) fn hand_over(&self, cache: &mut ThreadCache) {
        let (batch, blocks, bytes) = (cache.batch, cache.batch_blocks, cache.batch_bytes);
        (cache.batch, cache.batch_blocks, cache.batch_bytes) = (0, 0, 0);
        if blocks > 0 {
            self.quarantine.append(&self.pages, cache.line, batch, blocks, bytes);
        } else if batch != 0 {
            self.quarantine.give_chunk(&self.pages, batch);
        }
    }

    /// Lets blocks out of the quarantine until it holds no more than it may.
    #[cold]
    pub(crate) fn release(&self, cache: &mut ThreadCache) {
        loop {
            let mut entries = [Packed::default(); RELEASE];
            let taken = self.quarantine.take(&self.pages, cache.line, &mut entries, |entry| self.wide(entry));
            for packed in &entries[..taken] {
                self.prefetch(self.arena.base + packed.entry().slot);
            }
            for packed in &entries[..taken] {
                self.release_one(cache, packed.entry());
            }
            if taken == 0 || !self.quarantine.over() {
                return;
            }
        }
    }

    /// Requested bytes of a large block in quarantine.
    pub(crate) fn wide(&self, entry: chunk::Entry) -> u64 {
        let granule = (entry.slot >> GRANULE_SHIFT) as usize;
        self.spans.get(granule).map_or(0, |span| span.wide.load(Ordering::Relaxed))
    }

    pub(crate) fn release_one(&self, cache: &mut ThreadCache, entry: chunk::Entry) {
        let granule = (entry.slot >> GRANULE_SHIFT) as usize;
        match self.map.entry(granule) {
            Some(Entry::Small(array)) => {
                let index = array.class().slot_at((entry.slot & (GRANULE - 1)) as u32);
                let Some(slot) = array.get(index) else { return };
                let class = array.class_number();
                let list = &mut cache.lists[class];
                if slot.state() != slots::QUARANTINED {
                    return;
                }
                slot.make_free();
                slot.set_link(list.head);
                list.head = self.arena.base + entry.slot;
                list.count += 1;
                let limit = array.class().cache_limit();
                if list.count > limit {
                    self.give_back(list, class, limit / 2);
                }
            }
            Some(Entry::Large(first)) => {
                let slot = &self.spans.at(first as usize).slot;
                if slot.state() == slots::QUARANTINED {
                    slot.make_free();
                    self.give_run(first);
                }
            }
            None => {}
        }
    }
}

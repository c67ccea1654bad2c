//! Spans of small blocks: how threads get free slots and give them back, many at a time, under one lock for each
//! class. Also large blocks' runs, and the return of spans that are entirely free.
//!
//! Lock order: class, then runs, then slot arrays.

use crate::cache::List;
use crate::class::{CLASS, GRANULE, GRANULE_SHIFT};
use crate::runs::Run;
use crate::slots::{Entry, SlotArray, Span};
use crate::{Heap, Pages, ThreadCache};
use core::sync::atomic::{AtomicU32, Ordering};

/// The spans of a class that have free slots.
#[derive(Default)]
pub(crate) struct Central {
    /// First of them, granule + 1.
    spans: u32,
    /// Free slots in all of them, unused ones included.
    free: u64,
}

fn load(field: &AtomicU32) -> u32 {
    field.load(Ordering::Relaxed)
}

fn store(field: &AtomicU32, value: u32) {
    field.store(value, Ordering::Relaxed);
}

impl<P: Pages> Heap<P> {
    /// Fills a thread's empty list; false when there is no memory.
    #[cold]
    pub(crate) fn refill(&self, cache: &mut ThreadCache, class: usize) -> bool {
        let list = &mut cache.lists[class];
        list.batch = (2 * list.batch).clamp(CLASS[class].first_batch(), CLASS[class].slots);
        let mut central = self.central[class].lock(&self.pages);
        while list.count < list.batch {
            if central.spans == 0 && !self.new_span(&mut central, class) {
                break;
            }
            let granule = central.spans - 1;
            let Some(Entry::Small(array)) = self.map.entry(granule as usize) else { break };
            let span = self.spans.at(granule as usize);
            let taken = self.take(list, granule, span, &array, class);
            central.free -= u64::from(taken);
            if load(&span.free_count) == 0 && load(&span.bump) == CLASS[class].slots {
                self.unlist(&mut central, span);
            }
            if taken == 0 {
                break;
            }
        }
        list.count > 0
    }

    /// Moves slots of one span into the list until that holds a batch. Returns their number.
    fn take(&self, list: &mut List, granule: u32, span: &Span, array: &SlotArray, class: usize) -> u32 {
        let class = &CLASS[class];
        let start = self.arena.base + u64::from(granule) * GRANULE;
        let before = list.count;
        let push = |index: u32, list: &mut List| {
            let Some(slot) = array.get(index as usize) else { return };
            slot.set_home(false);
            slot.set_link(list.head);
            list.head = start + u64::from(index) * u64::from(class.size);
            list.count += 1;
        };
        while list.count < list.batch && load(&span.free) != 0 {
            let index = load(&span.free) - 1;
            let next = array.get(index as usize).map_or(0, |slot| slot.link());
            store(&span.free, next as u32);
            store(&span.free_count, load(&span.free_count) - 1);
            push(index, list);
        }
        let bump = load(&span.bump);
        let fresh = list.batch.saturating_sub(list.count).min(class.slots - bump);
        // From the back, so that the lowest address is handed out first.
        for index in (bump..bump + fresh).rev() {
            push(index, list);
        }
        store(&span.bump, bump + fresh);
        list.count - before
    }

    fn new_span(&self, central: &mut Central, class: usize) -> bool {
        let mut runs = self.runs.lock(&self.pages);
        let Some(run) = runs.allocate(&self.spans, &self.pages, 1, false) else { return false };
        let Some(array) = self.arrays.lock(&self.pages).allocate(&self.pages, class) else {
            runs.release(&self.spans, &self.pages, run.first, 1);
            return false;
        };
        self.frontier.store(runs.frontier(), Ordering::Release);
        drop(runs);
        let span = self.spans.at(run.first as usize);
        for field in [&span.free, &span.free_count, &span.bump] {
            store(field, 0);
        }
        self.map.set_small(run.first as usize, &array);
        self.list(central, run.first, span);
        central.free += u64::from(CLASS[class].slots);
        true
    }

    fn list(&self, central: &mut Central, granule: u32, span: &Span) {
        store(&span.next, central.spans);
        store(&span.previous, 0);
        if central.spans != 0 {
            store(&self.spans.at(central.spans as usize - 1).previous, granule + 1);
        }
        central.spans = granule + 1;
    }

    fn unlist(&self, central: &mut Central, span: &Span) {
        let (next, previous) = (load(&span.next), load(&span.previous));
        if next != 0 {
            store(&self.spans.at(next as usize - 1).previous, previous);
        }
        if previous != 0 {
            store(&self.spans.at(previous as usize - 1).next, next);
        } else {
            central.spans = next;
        }
    }

    /// Gives slots back to their spans until `list` holds no more than `keep`. What is not a free slot of the class
    /// (the list of a thread that vanished in a fork may be inconsistent) ends the work.
    #[cold]
    pub(crate) fn give_back(&self, list: &mut List, class: usize, keep: u32) {
        let mut central = self.central[class].lock(&self.pages);
        while list.count > keep && list.head != 0 {
            let Some((granule, index, array)) = self.small_slot(list.head, class) else { break };
            let Some(slot) = array.get(index) else { break };
            list.head = slot.link();
            list.count -= 1;
            self.put(&mut central, granule, index, &array);
        }
        if list.count > keep {
            *list = List::EMPTY;
        }
    }

    /// The slot of `class` that starts at `address`, if it is one that may be in a thread's list.
    fn small_slot(&self, address: u64, class: usize) -> Option<(u32, usize, SlotArray)> {
        let offset = self.offset(address)?;
        let granule = (offset >> GRANULE_SHIFT) as u32;
        let Some(Entry::Small(array)) = self.map.entry(granule as usize) else { return None };
        let within = (offset & (GRANULE - 1)) as u32;
        let index = array.class().slot_at(within);
        let exact = index as u32 * array.class().size == within && array.class_number() == class;
        (exact && array.get(index)?.is_out()).then_some((granule, index, array))
    }

    /// Puts a slot into its span's list; a span that becomes entirely free goes away if others have slots, too.
    fn put(&self, central: &mut Central, granule: u32, index: usize, array: &SlotArray) {
        let span = self.spans.at(granule as usize);
        let Some(slot) = array.get(index) else { return };
        let slots = array.class().slots;
        let (free_count, bump) = (load(&span.free_count), load(&span.bump));
        slot.set_home(true);
        slot.set_link(u64::from(load(&span.free)));
        store(&span.free, index as u32 + 1);
        store(&span.free_count, free_count + 1);
        central.free += 1;
        if free_count == 0 && bump == slots {
            self.list(central, granule, span);
        }
        if free_count + 1 == bump && central.free >= u64::from(2 * slots) {
            self.unlist(central, span);
            central.free -= u64::from(slots);
            self.map.clear(granule, 1);
            let mut runs = self.runs.lock(&self.pages);
            self.arrays.lock(&self.pages).release(array);
            runs.release(&self.spans, &self.pages, granule, 1);
        }
    }

    /// A run for a large block; the caller enters it into the page map.
    pub(crate) fn take_run(&self, bytes: u64, clean: bool) -> Option<Run> {
        let granules = u32::try_from(bytes.div_ceil(GRANULE)).ok()?;
        if u64::from(granules) > self.arena.size / GRANULE {
            return None;
        }
        let mut runs = self.runs.lock(&self.pages);
        let run = runs.allocate(&self.spans, &self.pages, granules, clean);
        self.frontier.store(runs.frontier(), Ordering::Release);
        run
    }

    /// Takes a large block's run back; its slot is free already.
    pub(crate) fn give_run(&self, first: u32) {
        let mut runs = self.runs.lock(&self.pages);
        let granules = load(&self.spans.at(first as usize).granules);
        self.map.clear(first, granules);
        runs.release(&self.spans, &self.pages, first, granules);
    }
}

//! Questions about blocks: what lies at an address, and how much there is.

use crate::class::GRANULE_SHIFT;
use crate::slots;
use crate::space::Place;
use crate::{Block, Counters, Heap, Pages, Relation};

impl<P: Pages> Heap<P> {
    /// Names the stack that allocated the live block at `address`. False when there is none.
    pub fn set_stack(&self, address: u64, stack: u32) -> bool {
        let Some(offset) = self.offset(address) else { return false };
        let Some(entry) = self.map.entry((offset >> GRANULE_SHIFT) as usize) else { return false };
        let mut done = false;
        self.place(&entry, offset, |place| {
            let info = place.slot.info();
            done = slots::is_live(info) && self.data(place.start, slots::align_log2(info)) == address;
            if done {
                place.slot.set_stack(stack);
            }
        });
        done
    }

    /// The block in, in front of or behind which `address` lies. Takes no lock; with threads at work, the answer was
    /// true at one moment during the call.
    pub fn lookup(&self, address: u64) -> Option<Block> {
        let offset = self.offset(address)?;
        self.map.stable((offset >> GRANULE_SHIFT) as usize, |entry| {
            let mut block = None;
            self.place(&entry, offset, |place| block = self.describe(&place, address));
            block
        })?
    }

    pub(crate) fn describe(&self, place: &Place<'_>, address: u64) -> Option<Block> {
        let (view, size) = place.slot.read(|| place.size());
        let state = view.state()?;
        let data = self.data(place.start, slots::align_log2(view.info));
        let relation = match address.checked_sub(data) {
            None => Relation::Before(data - address),
            Some(offset) if offset < size => Relation::Inside(offset),
            Some(offset) => Relation::After(offset - size),
        };
        Some(Block {
            address: data,
            size,
            state,
            family: slots::family(view.info),
            align: 1 << slots::align_log2(view.info),
            stack: view.stack,
            free_stack: view.free_stack(),
            relation,
        })
    }

    /// Requested bytes of the blocks that are allocated. Takes no lock that is held while [`Pages::map`] is called.
    pub fn live_bytes(&self) -> u64 {
        let [_, allocated, _, freed] = self.ledger.sums(&self.pages);
        allocated.wrapping_sub(freed)
    }

    /// What the heap has done so far.
    pub fn counters(&self) -> Counters {
        let [allocations, allocated_bytes, frees, freed_bytes] = self.ledger.sums(&self.pages);
        let (mapped_bytes, peak_mapped_bytes) = self.runs.lock(&self.pages).mapped();
        let quarantined_bytes = self.quarantine.volume();
        Counters {
            allocations,
            allocated_bytes,
            frees,
            freed_bytes,
            quarantined_bytes,
            mapped_bytes,
            peak_mapped_bytes,
        }
    }
}

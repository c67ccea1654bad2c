//! Size classes: the slot sizes (block and both red zones together) of small blocks. Each class fills spans of one
//! granule of 64 KiB.
//!
//! Slot sizes are multiples of 16 and nothing more: a guest must not come to rely on better alignment than a real
//! allocator gives.

/// log2 of [`GRANULE`].
pub(crate) const GRANULE_SHIFT: u32 = 16;
/// Bytes of the unit in which arena memory is handed out, and size of a span of small blocks.
pub(crate) const GRANULE: u64 = 1 << GRANULE_SHIFT;
/// Largest slot; what needs more gets granules of its own.
pub(crate) const MAX_SLOT: u64 = 32768;
/// Number of classes.
pub(crate) const CLASSES: usize = 70;

/// One size class.
#[derive(Clone, Copy)]
pub(crate) struct Class {
    /// Bytes of a slot.
    pub(crate) size: u32,
    /// Slots in a span.
    pub(crate) slots: u32,
    /// 2^32 / size, rounded up: makes the division of an offset a multiplication.
    reciprocal: u32,
}

impl Class {
    /// The slot that holds byte `offset` of a span. It may be `slots` or more: the unused end of the span.
    #[inline]
    pub(crate) fn slot_at(&self, offset: u32) -> usize {
        // Exact for offsets below 2^16: the reciprocal's error times the offset is below 2^-16, and the fraction of
        // a quotient with a divisor of at most 2^15 ends at least 2^-15 below the next integer.
        ((u64::from(offset) * u64::from(self.reciprocal)) >> 32) as usize
    }

    /// Most free slots that a thread keeps.
    pub(crate) fn cache_limit(&self) -> u32 {
        (128 * 1024 / self.size).clamp(8, 1024)
    }

    /// Slots that a thread takes the first time; then twice as many each time, up to a whole span. Threads that take
    /// few slots each would share spans, and with them the cache lines of the metadata: that cost 25 ns a pair.
    pub(crate) fn first_batch(&self) -> u32 {
        (8 * 1024 / self.size).clamp(1, 16)
    }
}

pub(crate) static CLASS: [Class; CLASSES] = classes();
static CLASS_OF: [u8; (MAX_SLOT / 16) as usize + 1] = class_table();

/// The smallest class whose slots hold `bytes`; `None` for large blocks.
#[inline]
pub(crate) fn class_for(bytes: u64) -> Option<usize> {
    if bytes > MAX_SLOT {
        return None;
    }
    Some(CLASS_OF[bytes.div_ceil(16) as usize] as usize)
}

const fn classes() -> [Class; CLASSES] {
    let mut classes = [Class { size: 0, slots: 0, reciprocal: 0 }; CLASSES];
    let mut size = 0u32;
    let mut i = 0;
    while i < CLASSES {
        // Steps of 16 up to 512, then eight classes for each doubling up to 8192, then what divides a span.
        size = match size {
            0..512 => size + 16,
            512..8192 => size + (1 << size.ilog2()) / 8,
            _ => GRANULE as u32 / (GRANULE as u32 / size - 1) / 16 * 16,
        };
        classes[i] = Class {
            size,
            slots: GRANULE as u32 / size,
            reciprocal: (1u64 << 32).div_ceil(size as u64) as u32,
        };
        i += 1;
    }
    assert!(size as u64 == MAX_SLOT);
    classes
}

const fn class_table() -> [u8; (MAX_SLOT / 16) as usize + 1] {
    let classes = classes();
    let mut table = [0; (MAX_SLOT / 16) as usize + 1];
    let (mut i, mut class) = (1, 0);
    while i < table.len() {
        if i as u32 * 16 > classes[class].size {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_division_is_exact_for_every_offset() {
        for class in &CLASS {
            assert_eq!(class.size % 16, 0);
            for offset in 0..GRANULE as u32 {
                assert_eq!(class.slot_at(offset), (offset / class.size) as usize);
            }
        }
    }

    #[test]
    fn every_size_gets_the_smallest_class_that_holds_it() {
        for bytes in 0..=MAX_SLOT {
            let class = class_for(bytes).expect("a small size");
            assert!(u64::from(CLASS[class].size) >= bytes);
            assert!(class == 0 || u64::from(CLASS[class - 1].size) < bytes);
        }
        assert_eq!(class_for(MAX_SLOT + 1), None);
    }

    #[test]
    fn rounding_wastes_at_most_a_quarter() {
        for pair in CLASS.windows(2).filter(|pair| pair[0].size >= 64) {
            assert!(pair[1].size <= pair[0].size * 4 / 3 + 16 || pair[1].size >= 16384);
        }
    }
}

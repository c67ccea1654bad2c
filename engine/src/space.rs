//! The address space: who may be where, and what the guest has mapped.
//!
//! The guest lives below 32 TiB (so that a shadow at a constant offset stays canonical); modules, brk and the code
//! cache in the lowest 2 GiB (so that copied RIP-relative operands stay in reach); the engine above 112 TiB.
//!
//! Invariant: the table changes before generated code can see the change. Not here: the system calls themselves.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};

/// End of the guest's zone.
pub const GUEST_END: u64 = 32 << 40;
/// Where a position-independent executable is loaded.
pub const PIE_BASE: u64 = 0x1000_0000;
/// First address for shared objects and other file mappings that may hold code.
pub const LOW_START: u64 = 0x3000_0000;
/// First address of the code cache and end of the low zone.
pub const CACHE_BASE: u64 = 0x6000_0000;
/// End of what the code cache may use.
pub const CACHE_END: u64 = 0x7fff_0000;
/// Lowest address for other mappings that the guest leaves to us.
pub const HIGH_START: u64 = 0x1_0000_0000;
/// Mappings that the guest leaves to us are placed downwards from here.
pub const HIGH_END: u64 = 0x0fe0_0000_0000;
/// Top of the main stack.
pub const STACK_TOP: u64 = 0x0fff_0000_0000;
/// The guest's replaced heap.
pub const HEAP_BASE: u64 = 0x1000_0000_0000;
/// Bytes of address space for the guest's replaced heap.
pub const HEAP_BYTES: u64 = 4 << 40;
/// First address of the engine.
pub const ENGINE_START: u64 = 0x7000_0000_0000;
/// Start of the engine's own mappings.
const ENGINE_MEMORY: u64 = 0x7100_0000_0000;
/// Where the side tables of the guest's heap and the stack tree lie.
pub const TABLES: u64 = 0x7200_0000_0000;
/// Where the shared memory with the recorder is mapped.
pub const RINGS: u64 = 0x7300_0000_0000;
/// End of the engine's zone: what lies above is the kernel's initial stack and vdso.
pub const ENGINE_END: u64 = 0x7400_0000_0000;

/// Size of a page.
pub const PAGE: u64 = 4096;
/// Size of a huge page.
pub const HUGE_PAGE: u64 = 2 << 20;

static NEXT_ENGINE: AtomicU64 = AtomicU64::new(ENGINE_MEMORY);

/// A fresh address range for the engine itself, with an unmapped page behind it.
pub fn reserve_engine(bytes: u64) -> u64 {
    NEXT_ENGINE.fetch_add(bytes.next_multiple_of(PAGE) + PAGE, Ordering::Relaxed)
}

/// As [`reserve_engine`], at a multiple of [`HUGE_PAGE`].
pub fn reserve_engine_huge(bytes: u64) -> u64 {
    reserve_engine(bytes + HUGE_PAGE).next_multiple_of(HUGE_PAGE)
}

/// What a guest mapping is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// End (exclusive).
    pub end: u64,
    /// PROT_* bits that the guest asked for.
    pub protection: u8,
    /// MAP_SHARED.
    pub shared: bool,
    /// Device and inode of the file, when there is one.
    pub file: Option<(u64, u64)>,
    /// Offset in the file.
    pub offset: u64,
    /// Pages hold translated code and are write-protected by us although the guest may write to them.
    pub guarded: bool,
}

/// Device number that stands for shared memory without a file; the inode tells one such object from another.
pub const SHARED_MEMORY: u64 = u64::MAX;

impl Mapping {
    /// Whether it maps a file (and not shared memory without a name).
    pub fn is_file(&self) -> bool {
        self.file.is_some_and(|(device, _)| device != SHARED_MEMORY)
    }
}

/// The guest's mappings, by start address.
#[derive(Default)]
pub struct Space {
    map: BTreeMap<u64, Mapping>,
    /// Program break: start, current end.
    pub brk: (u64, u64),
    /// Lowest address of the main stack's mapping, and its top.
    pub stack: (u64, u64),
}

impl Space {
    /// An empty address space.
    pub const fn new() -> Space {
        Space { map: BTreeMap::new(), brk: (0, 0), stack: (0, 0) }
    }

    /// The mapping that holds `address`.
    pub fn find(&self, address: u64) -> Option<(u64, &Mapping)> {
        let (start, mapping) = self.map.range(..=address).next_back()?;
        (address < mapping.end).then_some((*start, mapping))
    }

    /// All mappings, by address.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Mapping)> {
        self.map.iter().map(|(start, mapping)| (*start, mapping))
    }

    fn split(&mut self, at: u64) {
        let Some((&start, mapping)) = self.map.range_mut(..at).next_back() else { return };
        if mapping.end <= at {
            return;
        }
        let mut tail = mapping.clone();
        tail.offset += at - start;
        mapping.end = at;
        self.map.insert(at, tail);
    }

    /// Forgets everything in the range; true when something executable was in it.
    pub fn remove(&mut self, start: u64, end: u64) -> bool {
        if start >= end {
            return false;
        }
        self.split(start);
        self.split(end);
        let mut executable = false;
        while let Some((&at, mapping)) = self.map.range(start..end).next() {
            executable |= mapping.protection & 4 != 0;
            self.map.remove(&at);
        }
        executable
    }

    /// Records a mapping over whatever was there; true when something executable was replaced.
    pub fn insert(&mut self, start: u64, mapping: Mapping) -> bool {
        let executable = self.remove(start, mapping.end);
        self.map.insert(start, mapping);
        executable
    }

    /// Changes the protection; true when executable memory was in the range or is now.
    pub fn protect(&mut self, start: u64, end: u64, protection: u8) -> bool {
        if start >= end {
            return false;
        }
        self.split(start);
        self.split(end);
        let mut executable = false;
        for (_, mapping) in self.map.range_mut(start..end) {
            executable |= mapping.protection & 4 != 0 || protection & 4 != 0;
            mapping.protection = protection;
            mapping.guarded = false;
        }
        executable
    }

    /// Marks the pages of a range as guarded or not, and hands each part to `each` with its protection.
    pub fn guard(&mut self, start: u64, end: u64, guarded: bool, mut each: impl FnMut(u64, u64, &Mapping)) {
        self.split(start);
        self.split(end);
        for (&at, mapping) in self.map.range_mut(start..end) {
            mapping.guarded = guarded;
            each(at, mapping.end, mapping);
        }
    }

    /// A free range of `length` bytes in the low zone, if there is one.
    pub fn free_low(&self, length: u64, alignment: u64) -> Option<u64> {
        let mut at = LOW_START.next_multiple_of(alignment);
        for (start, mapping) in self.map.range(..CACHE_BASE) {
            if mapping.end <= at {
                continue;
            }
            if *start >= at && *start - at >= length {
                break;
            }
            at = mapping.end.next_multiple_of(alignment);
        }
        (at + length <= CACHE_BASE).then_some(at)
    }

    /// A free range of `length` bytes in the high zone, as high as possible.
    pub fn free_high(&self, length: u64) -> Option<u64> {
        let mut end = HIGH_END;
        for (start, mapping) in self.map.range(HIGH_START..HIGH_END).rev() {
            if mapping.end <= end && end - mapping.end >= length {
                break;
            }
            end = end.min(*start);
        }
        (end >= HIGH_START + length).then(|| end - length)
    }

    /// Whether nothing of the guest's lies in the range.
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        self.map.range(..end).next_back().is_none_or(|(_, mapping)| mapping.end <= start)
    }
}

/// Whether the engine owns a part of the range, so that the guest must not map or unmap there.
pub fn is_engine_range(start: u64, end: u64) -> bool {
    let overlaps = |a: u64, b: u64| start < b && end > a;
    end > GUEST_END
        || overlaps(CACHE_BASE, CACHE_END + 0x1_0000)
        || overlaps(HEAP_BASE, HEAP_BASE + HEAP_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(end: u64, protection: u8) -> Mapping {
        Mapping { end, protection, shared: false, file: None, offset: 0, guarded: false }
    }

    #[test]
    fn ranges_split_and_come_free_again() {
        let mut space = Space::new();
        space.insert(0x4000, mapping(0x9000, 1));
        assert!(!space.remove(0x5000, 0x6000));
        assert_eq!(space.find(0x4fff).map(|(start, m)| (start, m.end)), Some((0x4000, 0x5000)));
        assert_eq!(space.find(0x5000), None);
        assert_eq!(space.find(0x6000).map(|(start, m)| (start, m.offset)), Some((0x6000, 0x2000)));
        assert!(space.protect(0x7000, 0x8000, 5));
        assert!(space.remove(0x6000, 0x8000));
        assert!(space.is_free(0x5000, 0x8000));
        assert!(!space.is_free(0x5000, 0x8001));
    }

    #[test]
    fn free_ranges_do_not_overlap_mappings() {
        let mut space = Space::new();
        let mut taken = 0;
        while let Some(at) = space.free_low(0x10_0000, PAGE) {
            assert!(space.is_free(at, at + 0x10_0000));
            space.insert(at, mapping(at + 0x10_0000, 1));
            taken += 1;
        }
        assert_eq!(taken, (CACHE_BASE - LOW_START) / 0x10_0000);
        let a = space.free_high(0x1000).expect("room");
        space.insert(a, mapping(a + 0x1000, 3));
        let b = space.free_high(0x3000).expect("room");
        assert_eq!(b, a - 0x3000);
    }
}

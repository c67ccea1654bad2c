//! The guest's limits of address space and data (RLIMIT_AS, RLIMIT_DATA): remembered here, because the kernel would hold
//! the engine's reservations against them, and enforced for what is the guest's alone.
//!
//! What counts: the guest's mappings, of the main stack only what a new process has, and the live blocks of its heap.
//! Freed blocks that are kept back do not count: natively they would have been given back.
//!
//! Not here: the system calls that show and set limits (`syscalls::files`).

use crate::space::{Mapping, Space};
use crate::state::Engine;
use core::sync::atomic::{AtomicU64, Ordering};

/// No limit.
pub const INFINITY: u64 = u64::MAX;

/// A limited resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Private writable memory.
    Data = 0,
    /// All memory.
    AddressSpace = 1,
}

/// Soft and hard limit of each [`Resource`].
pub type Values = [[u64; 2]; 2];

/// The limits of a process.
pub struct Limits([[AtomicU64; 2]; 2]);

impl Limits {
    /// Limits with these values.
    pub const fn new(values: Values) -> Limits {
        const fn pair(values: [u64; 2]) -> [AtomicU64; 2] {
            [AtomicU64::new(values[0]), AtomicU64::new(values[1])]
        }
        Limits([pair(values[0]), pair(values[1])])
    }

    /// All values.
    pub fn values(&self) -> Values {
        self.0.each_ref().map(|pair| pair.each_ref().map(|value| value.load(Ordering::Relaxed)))
    }

    /// Sets a soft and a hard limit.
    pub fn set(&self, resource: Resource, values: [u64; 2]) {
        for (place, value) in self.0[resource as usize].iter().zip(values) {
            place.store(value, Ordering::Relaxed);
        }
    }

    /// Whether any soft limit is set.
    #[inline]
    pub fn any(&self) -> bool {
        self.0.iter().any(|pair| pair[0].load(Ordering::Relaxed) != INFINITY)
    }

    fn soft(&self, resource: Resource) -> u64 {
        self.0[resource as usize][0].load(Ordering::Relaxed)
    }
}

/// Bytes of live blocks, when there is a limit that they count for. Not to be called with the lock of the mappings.
pub fn heap_bytes(engine: &Engine) -> u64 {
    if !engine.limits.any() {
        return 0;
    }
    engine.heap.get().map_or(0, |heap| heap.live_bytes())
}

/// Whether the guest may map `more` bytes; `data`: private and writable ones. `heap`: see [`heap_bytes`].
pub fn allow(engine: &Engine, space: &Space, heap: u64, more: u64, data: bool) -> bool {
    if !engine.limits.any() {
        return true;
    }
    const FIRST_STACK: u64 = 132 << 10;
    let bytes = |(start, mapping): (u64, &Mapping)| {
        let bytes = mapping.end - start;
        if is_stack(space, start) { bytes.min(FIRST_STACK) } else { bytes }
    };
    let all = heap.saturating_add(space.iter().map(bytes).sum());
    all.saturating_add(more) <= engine.limits.soft(Resource::AddressSpace)
        && (!data || allow_data(engine, space, heap, more))
}

/// Whether `more` bytes of the guest may become private writable memory.
pub fn allow_data(engine: &Engine, space: &Space, heap: u64, more: u64) -> bool {
    let is_data = |(start, mapping): &(u64, &Mapping)| {
        !mapping.shared && mapping.protection & 2 != 0 && !is_stack(space, *start)
    };
    let data: u64 = space.iter().filter(is_data).map(|(start, mapping)| mapping.end - start).sum();
    data.saturating_add(heap).saturating_add(more) <= engine.limits.soft(Resource::Data)
}

fn is_stack(space: &Space, start: u64) -> bool {
    (space.stack.0..space.stack.1).contains(&start)
}

/// Bytes of a range that are mapped.
pub fn mapped(space: &Space, start: u64, end: u64) -> u64 {
    within(space, start, end, |_| true)
}

/// Bytes of a range that become private writable memory when the range is made writable.
pub fn new_data(space: &Space, start: u64, end: u64) -> u64 {
    within(space, start, end, |mapping| !mapping.shared && mapping.protection & 2 == 0)
}

fn within(space: &Space, start: u64, end: u64, counts: impl Fn(&Mapping) -> bool) -> u64 {
    space
        .iter()
        .filter(|(at, mapping)| *at < end && mapping.end > start && counts(mapping))
        .map(|(at, mapping)| mapping.end.min(end) - at.max(start))
        .sum()
}

/// As text for the next image of the process; [`parse`] reads it.
pub fn format(values: Values) -> alloc::string::String {
    let [data, space] = values;
    alloc::format!("{:x}:{:x}:{:x}:{:x}", data[0], data[1], space[0], space[1])
}

/// What [`format`] wrote.
pub fn parse(text: &[u8]) -> Option<Values> {
    let mut numbers =
        core::str::from_utf8(text).ok()?.split(':').map(|field| u64::from_str_radix(field, 16).ok());
    let mut next = || numbers.next()?;
    Some([[next()?, next()?], [next()?, next()?]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let values = [[1 << 20, INFINITY], [INFINITY, 0]];
        assert_eq!(parse(format(values).as_bytes()), Some(values));
        assert_eq!(parse(b"1:2:3"), None);
    }

    #[test]
    fn bytes_of_a_range() {
        let mapping = |end, protection, shared| Mapping {
            end,
            protection,
            shared,
            file: None,
            offset: 0,
            guarded: false,
        };
        let mut space = Space::new();
        space.insert(0x4000, mapping(0x8000, 1, false));
        space.insert(0x9000, mapping(0xa000, 3, false));
        space.insert(0xb000, mapping(0xc000, 1, true));
        assert_eq!(mapped(&space, 0x5000, 0x9800), 0x3800);
        assert_eq!(new_data(&space, 0, 0x10_0000), 0x4000);
    }
}

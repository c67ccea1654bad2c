//! The rarer forms of the malloc family: resizing in all its variants, copies of strings, jemalloc's interface.
//!
//! Not here: plain allocation and freeing (`heap_calls`), names (`allocators`).

use crate::allocators::Function;
use crate::heap_calls::{HeapCall, MALLOC_ALIGN};
use crate::heap_errors::NOT_SAID;
use crate::{guest_mem, own_code, space, sys};
use ring::record::Family;

/// The pointer to a block that a function is called with.
fn pointer(function: Function, a: &[u64; 4]) -> Option<u64> {
    use Function as F;
    match function {
        F::Realloc
        | F::Rezalloc
        | F::Reallocf
        | F::ReallocArray
        | F::Recalloc
        | F::ReallocAligned
        | F::RezallocAligned
        | F::RecallocAligned
        | F::NewRealloc
        | F::NewReallocN
        | F::Expand
        | F::Free
        | F::FreeAny
        | F::Delete
        | F::DeleteArray
        | F::DeleteSized
        | F::DeleteArraySized
        | F::DeleteAligned
        | F::DeleteArrayAligned
        | F::DeleteSizedAligned
        | F::DeleteArraySizedAligned
        | F::FreeSized
        | F::FreeAlignedSized
        | F::RustDealloc
        | F::RustRealloc
        | F::UsableSize
        | F::IsOwned
        | F::Rallocx
        | F::Xallocx
        | F::Sallocx => Some(a[0]),
        F::ReallocArr => guest_mem::read_u64(a[0]),
        _ => None,
    }
}

impl HeapCall<'_> {
    /// Whether a call of a linked-in allocator is about blocks of its own. `of_heap`: a new block would be, too.
    pub(crate) fn is_foreign(&self, function: Function, of_heap: bool, a: &[u64; 4]) -> bool {
        const ARENA: u64 = !0xf_ffff;
        match pointer(function, a) {
            Some(0) => of_heap || function == Function::IsOwned,
            Some(pointer) => !self.heap().contains(pointer),
            None => function == Function::Mallocx && a[1] & 0xffff_ffff & ARENA != 0,
        }
    }

    /// All that is not a plain allocation or free.
    pub(crate) fn rare(&mut self, function: Function, a: &[u64; 4]) -> u64 {
        use Function as F;
        const NO_SIZE: u64 = u64::MAX;
        let product = |x: u64, y: u64| x.checked_mul(y).unwrap_or(NO_SIZE);
        match function {
            F::Realloc => self.resize(a[0], a[1], 0, false),
            F::Rezalloc => self.resize(a[0], a[1], 0, true),
            F::Reallocf => match self.resize(a[0], a[1], 0, false) {
                // What is no block was told already.
                0 if a[1] != 0 && self.live_block(a[0]).is_some() => self.free(a[0], Family::Malloc),
                block => block,
            },
            F::ReallocArray => self.resize(a[0], product(a[1], a[2]), 0, false),
            F::ReallocArr => {
                let Some(old) = guest_mem::read_u64(a[0]) else { return sys::errno::EINVAL as u64 };
                let size = product(a[1], a[2]);
                let new = self.resize(old, size, 0, false);
                if new == 0 && size != 0 {
                    return sys::errno::ENOMEM as u64;
                }
                let _ = guest_mem::write_u64(a[0], new);
                0
            }
            F::Recalloc => self.resize(a[0], product(a[1], a[2]), 0, true),
            F::ReallocAligned => self.resize(a[0], a[1], a[2], false),
            F::RezallocAligned => self.resize(a[0], a[1], a[2], true),
            F::RecallocAligned => self.resize(a[0], product(a[1], a[2]), a[3], true),
            F::Expand => match self.live_block(a[0]) {
                Some(block) if a[1] <= block.size => a[0],
                _ => 0,
            },
            F::NewRealloc => self.resize(a[0], a[1], 0, false),
            F::NewReallocN => self.resize(a[0], product(a[1], a[2]), 0, false),
            F::NewN => self.new_block(product(a[0], a[1]), MALLOC_ALIGN, Family::New),
            F::FreeSized => self.delete(a[0], Family::Malloc, a[1], NOT_SAID),
            F::FreeAlignedSized => self.delete(a[0], Family::Malloc, a[2], a[1]),
            F::RustRealloc => self.rust_realloc(a[0], a[1], a[2], a[3]),
            F::UsableSize | F::Xallocx | F::Sallocx => self.live_block(a[0]).map_or(0, |block| block.size),
            F::IsOwned => u64::from(self.live_block(a[0]).is_some()),
            F::Strdup => self.copy_string(a[0], u64::MAX),
            F::Strndup => self.copy_string(a[0], a[1]),
            F::Mallocx => self.allocate(a[0], flag_align(a[1]), Family::Malloc, a[1] & FLAG_ZERO != 0),
            F::Rallocx => self.resize(a[0], a[1], flag_align(a[2]), a[2] & FLAG_ZERO != 0),
            F::Nallocx => a[0],
            F::Mallinfo => {
                // The caller's space for the structure, 10 ints; its 64-bit version has the same number of fields.
                guest_mem::write(a[0], &[0; 40]);
                a[0]
            }
            F::Mallinfo2 => {
                guest_mem::write(a[0], &[0; 80]);
                a[0]
            }
            F::OwnBlocks => own_code::run(self.engine, self.thread, self.pc),
            _ => 0,
        }
    }

    /// realloc with an alignment, and with zeroes behind what was there.
    fn resize(&mut self, old: u64, size: u64, align: u64, zeroed: bool) -> u64 {
        let Some(align) = align.max(MALLOC_ALIGN).checked_next_power_of_two() else {
            return self.no_memory();
        };
        self.reallocate(old, size, align, zeroed)
    }

    /// A block with the string at `from`, of at most `limit` bytes.
    fn copy_string(&mut self, from: u64, limit: u64) -> u64 {
        if from == 0 {
            return 0;
        }
        let mut length = 0;
        let mut bytes = [0u8; 256];
        loop {
            // Never across a page end in one piece: the next page may be missing.
            let at = from.wrapping_add(length);
            let room = (space::PAGE - at % space::PAGE).min(256).min(limit - length) as usize;
            let count = guest_mem::read(at, &mut bytes[..room]);
            let end = bytes[..count].iter().position(|byte| *byte == 0);
            length += end.unwrap_or(count) as u64;
            if end.is_some() || count < room || length == limit {
                break;
            }
        }
        let block = self.allocate(length + 1, MALLOC_ALIGN, Family::Malloc, false);
        if block == 0 {
            return 0;
        }
        let mut at = 0;
        while at < length {
            let part = (length - at).min(256) as usize;
            guest_mem::read(from + at, &mut bytes[..part]);
            guest_mem::write(block + at, &bytes[..part]);
            at += part as u64;
        }
        guest_mem::write(block + length, &[0]);
        block
    }
}

/// jemalloc's flags: the alignment's logarithm in the low six bits, then this.
const FLAG_ZERO: u64 = 0x40;

fn flag_align(flags: u64) -> u64 {
    (1u64 << (flags & 63)).max(MALLOC_ALIGN)
}

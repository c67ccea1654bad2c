//! The kernel's vdso and its data pages, moved into the guest's zone so that its code is translated like any other.

#![allow(unsafe_code, reason = "moves the kernel's mappings")]

use crate::modules::{self, Module};
use crate::proc_maps;
use crate::space::{Mapping, PAGE, Space};
use crate::sys::{self, nr};

/// Moves the vdso and returns it as a module, with the address of its ELF header; `None` when there is none, or the
/// kernel does not move it.
pub fn relocate(space: &mut Space) -> Option<Module> {
    let maps = proc_maps::read();
    let names = |line: &proc_maps::Line<'_>| line.name.starts_with(b"[vvar") || line.name == b"[vdso]";
    let mut start = u64::MAX;
    let mut end = 0;
    for line in proc_maps::parse(&maps).filter(names) {
        start = start.min(line.start);
        end = end.max(line.end);
    }
    if end == 0 {
        return None;
    }
    let to = space.free_low(end - start, PAGE)?;
    let mut header = 0;
    for line in proc_maps::parse(&maps).filter(names) {
        let at = to + (line.start - start);
        let length = line.end - line.start;
        const MAYMOVE_FIXED: u64 = 3;
        // SAFETY: moves pages that nobody but the guest uses to a free range of the guest's zone; their distance from
        // each other stays, which the code relies on.
        let moved = unsafe { sys::call(nr::MREMAP, &[line.start, length, length, MAYMOVE_FIXED, at]) };
        if moved < 0 {
            return None;
        }
        let is_code = line.name == b"[vdso]";
        let protection = if is_code { 5 } else { 1 };
        let mapping =
            Mapping { end: at + length, protection, shared: false, file: None, offset: 0, guarded: false };
        space.insert(at, mapping);
        if is_code {
            header = at;
        }
    }
    let mut module = modules::read_headers(header)?;
    module.path = b"[vdso]".to_vec();
    Some(module)
}

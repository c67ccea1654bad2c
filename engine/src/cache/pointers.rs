//! Where branches through a pointer at a fixed address lead: procedure linkage tables, `call *GOT(%rip)`, hooks.
//!
//! All answers are guesses: the translation compares. Not here: the comparison (crate `translate`).

use crate::guest_mem;
use alloc::collections::BTreeSet;
use translate::Pointer;

/// Jumps that were found to lead to a dynamic linker.
#[derive(Default)]
pub(super) struct Pointers {
    unresolved: BTreeSet<u64>,
}

impl Pointers {
    /// What the branch at `pc` through the pointer at `address` is worth.
    pub(super) fn look(&self, pc: u64, address: u64) -> Pointer {
        let Some(target) = guest_mem::read_u64(address) else { return Pointer::Unknown };
        let mut code = [0; 12];
        let length = guest_mem::read(target, &mut code);
        match &code[..length] {
            [] => Pointer::Unknown,
            code if !pushes_and_jumps(code) => Pointer::LeadsTo(target),
            // Once is enough: some pointers are never resolved (LD_BIND_NOT, auditing).
            _ if self.unresolved.contains(&pc) => Pointer::Unknown,
            _ => Pointer::Unresolved,
        }
    }

    /// The jump at `pc` has been executed unresolved.
    pub(super) fn note(&mut self, pc: u64) {
        self.unresolved.insert(pc);
    }

    /// Other code may come to a range.
    pub(super) fn forget(&mut self, start: u64, end: u64) {
        while let Some(&pc) = self.unresolved.range(start..end).next() {
            self.unresolved.remove(&pc);
        }
    }
}

/// What a procedure linkage table holds for a function that is not resolved yet: its number is pushed, and the table's
/// first entry jumped to (the psABI's lazy binding; with endbr64 and bnd in the form for CET and MPX).
fn pushes_and_jumps(code: &[u8]) -> bool {
    let code = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    match code {
        [0x68, _, _, _, _, rest @ ..] => matches!(rest, [0xe9, ..] | [0xf2, 0xe9, ..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::pushes_and_jumps;

    #[test]
    fn the_forms_of_lazy_binding_are_known() {
        assert!(pushes_and_jumps(&[0x68, 3, 0, 0, 0, 0xe9, 0xb0, 0xff, 0xff, 0xff]));
        assert!(pushes_and_jumps(&[0xf3, 0x0f, 0x1e, 0xfa, 0x68, 3, 0, 0, 0, 0xf2, 0xe9, 0xb0]));
        assert!(!pushes_and_jumps(&[0x68, 3, 0, 0, 0, 0xff, 0x25]));
        assert!(!pushes_and_jumps(&[0x55, 0x48, 0x89, 0xe5]));
        assert!(!pushes_and_jumps(&[0x68, 3]));
    }
}

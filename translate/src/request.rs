//! Valgrind's special instructions in guest code: four rotations of rdi that add up to nothing, then an exchange of a
//! register with itself that says what is meant (`valgrind.h`, the part for amd64; natively all of it does nothing).
//!
//! A sequence counts only as a whole; its parts, and the one that injects test code into Valgrind's compiler
//! (`xchg rdi,rdi`), are ordinary code. Not here: what a request asks for (`engine`).

use crate::decode::Special;

/// Bytes of a whole sequence.
pub(crate) const BYTES: usize = PREAMBLE.len() + 3;

/// rol rdi,3; rol rdi,13; rol rdi,61; rol rdi,51
const PREAMBLE: [u8; 16] =
    [0x48, 0xc1, 0xc7, 3, 0x48, 0xc1, 0xc7, 13, 0x48, 0xc1, 0xc7, 61, 0x48, 0xc1, 0xc7, 51];

/// Instructions of a whole sequence.
pub(crate) const INSTRUCTIONS: usize = 5;

/// What code begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No sequence.
    Nothing,
    /// The bytes end within what may be one.
    Cut,
    /// A sequence.
    Whole(Special),
}

/// Looks at the code that `bytes` begin with.
pub(crate) fn find(bytes: &[u8]) -> Found {
    if bytes.iter().zip(PREAMBLE).any(|(byte, expected)| *byte != expected) {
        return Found::Nothing;
    }
    match bytes.get(PREAMBLE.len()..BYTES) {
        None => Found::Cut,
        // xchg rbx,rbx; xchg rcx,rcx; xchg rdx,rdx
        Some([0x48, 0x87, 0xdb]) => Found::Whole(Special::ClientRequest),
        Some([0x48, 0x87, 0xc9]) => Found::Whole(Special::ReplacedAddress),
        Some([0x48, 0x87, 0xd2]) => Found::Whole(Special::CallOriginal),
        Some(_) => Found::Nothing,
    }
}

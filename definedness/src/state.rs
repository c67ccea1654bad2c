//! What the caller keeps and answers: V bits of registers, values of the guest, shadow memory, reports.
//!
//! Register numbers are those of the encoding: rax 0, rcx 1, rdx 2, rbx 3, rsp 4, ... r15. x87 registers are
//! physical ones; MMX register N is the low 64 bits of physical register N.

use crate::flags::Flags;

/// V bits of one thread's registers; 1 = undefined. Its layout is that of C, so that generated code can name its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    pub gpr: [u64; 16],
    pub vector: [[u64; 8]; 32],
    pub mask: [u64; 8],
    /// Low 64 bits, then 16 bits of sign and exponent.
    pub x87: [[u64; 2]; 8],
    pub origin: Origins,
    pub flags: Flags,
    /// The condition codes C0 to C3 at their places in the x87 status word; its other bits are always defined.
    pub x87_codes: u16,
}

/// Where undefined bits come from, one tag for each register; 0 = no tag. Only meaningful where V bits are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Origins {
    pub gpr: [u64; 16],
    pub vector: [u64; 32],
    pub flags: u64,
    pub mask: [u64; 8],
    /// By physical register.
    pub x87: [u64; 8],
    pub x87_codes: u64,
}

/// The guest's state before the instruction.
pub trait Guest {
    fn gpr(&self, number: usize) -> u64;
    fn rflags(&self) -> u64;
    /// All 64 bytes of a vector register, zero where the processor has fewer.
    fn vector(&self, number: usize) -> [u64; 8];
    fn mask(&self, number: usize) -> u64;
    /// An MMX register: the low 64 bits of the physical x87 register.
    fn mmx(&self, number: usize) -> u64;
    /// Top of the x87 stack, 0 to 7.
    fn x87_top(&self) -> usize;
    fn fs_base(&self) -> u64;
    fn gs_base(&self) -> u64;
    /// State components that are enabled (XCR0).
    fn state_components(&self) -> u64;
    /// State components that are in use: not in their initial configuration (XGETBV with ECX = 1).
    fn state_in_use(&self) -> u64;
    /// Reads memory; what cannot be read is left as it is.
    fn read(&self, address: u64, bytes: &mut [u8]);
}

/// V bits of memory. It hears of every access, so it can decide what is addressable as well.
pub trait Shadow {
    /// Writes the V bits of memory to `v`; returns the greatest tag of what is undefined there, or 0.
    fn load(&mut self, address: u64, v: &mut [u8]) -> u64;
    fn store(&mut self, address: u64, v: &[u8], origin: u64);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Load,
    Store,
}

/// A use of an undefined value. The value counts as defined for the rest of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A branch, or how often a string instruction repeats, depends on it.
    Condition { origin: u64 },
    /// The address of an access of `size` bytes is made from it.
    Address { access: Access, size: usize, origin: u64 },
    /// It is where a branch goes to.
    Target { origin: u64 },
    /// It decides which elements a masked load or store touches.
    Mask { origin: u64 },
}

/// How an instruction was handled, to be counted by mnemonic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// By a rule of its own.
    Own,
    /// Every output undefined if any input is.
    Conservative,
}

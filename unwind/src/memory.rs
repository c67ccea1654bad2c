//! How the guest's memory and registers are seen.

use core::ops::Range;

/// Access to the guest's stacks and code. Implementations must not fault, whatever the address.
pub trait Memory {
    /// The readable bounds of the stack that holds `sp`: asked once at the start of a walk, and again when a
    /// signal frame leads to another stack. `word` is only asked for words that lie within. The 128 bytes
    /// below `sp` (the red zone) should be part of it: CFI refers to them in epilogues, where registers are
    /// popped already.
    fn stack(&self, sp: u64) -> Option<Range<u64>>;

    /// The 8 bytes at `address` (which may be unaligned), little endian.
    fn word(&self, address: u64) -> Option<u64>;

    /// Copies code bytes from `address`; false when one of them is not in executable memory.
    fn code(&self, address: u64, bytes: &mut [u8]) -> bool;
}

/// DWARF numbers of the registers with a role here (System V x86-64 ABI, figure 3.36).
pub(crate) mod number {
    pub(crate) const RBX: u16 = 3;
    pub(crate) const RBP: u16 = 6;
    pub(crate) const RSP: u16 = 7;
    pub(crate) const R12: u16 = 12;
    pub(crate) const RIP: u16 = 16;
}

/// Registers that a called function must preserve (and rsp, which CFI gives).
pub(crate) const CALLEE_SAVED: u16 =
    1 << number::RBX | 1 << number::RBP | 1 << number::RSP | 0xf << number::R12;

/// Where a walk starts. Most walks need no more than pc, stack and frame pointer, so the others are only fetched on
/// demand: copying sixteen registers that were stored just before waits for every store on the way to the cache.
pub trait Start {
    /// The pc.
    fn rip(&self) -> u64;
    /// The stack pointer.
    fn rsp(&self) -> u64;
    /// The frame pointer.
    fn rbp(&self) -> u64;
    /// All that is known.
    fn registers(&self) -> Regs;
}

impl Start for Regs {
    fn rip(&self) -> u64 {
        self.rip
    }

    fn rsp(&self) -> u64 {
        Regs::rsp(self)
    }

    fn rbp(&self) -> u64 {
        Regs::rbp(self)
    }

    fn registers(&self) -> Regs {
        *self
    }
}

/// All registers, in encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15.
#[derive(Debug, Clone, Copy)]
pub struct EncodingOrder<'a> {
    /// The pc.
    pub rip: u64,
    /// The others.
    pub gpr: &'a [u64; 16],
}

impl Start for EncodingOrder<'_> {
    #[inline]
    fn rip(&self) -> u64 {
        self.rip
    }

    #[inline]
    fn rsp(&self) -> u64 {
        self.gpr[4]
    }

    #[inline]
    fn rbp(&self) -> u64 {
        self.gpr[5]
    }

    fn registers(&self) -> Regs {
        Regs::from_encoding_order(self.rip, self.gpr)
    }
}

/// The registers that a walk may start from, and the caller's that CFI gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regs {
    /// The pc.
    pub rip: u64,
    /// General registers by DWARF number: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 .. r15.
    gpr: [u64; 16],
    /// Bit n: `gpr[n]` is known.
    known: u16,
}

impl Regs {
    /// All registers, in encoding order: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15.
    pub fn from_encoding_order(rip: u64, gpr: &[u64; 16]) -> Regs {
        let [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, rest @ ..] = *gpr;
        let mut dwarf = [rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, 0, 0, 0, 0, 0, 0, 0, 0];
        dwarf[8..].copy_from_slice(&rest);
        Regs { rip, gpr: dwarf, known: u16::MAX }
    }

    /// All registers, by DWARF number.
    pub(crate) fn from_dwarf_order(rip: u64, gpr: [u64; 16]) -> Regs {
        Regs { rip, gpr, known: u16::MAX }
    }

    /// Only what a called function preserves: enough at every call.
    #[inline]
    pub fn callee_saved(rip: u64, rsp: u64, rbp: u64, rbx: u64, r12_to_r15: [u64; 4]) -> Regs {
        let mut gpr = [0; 16];
        gpr[number::RBX as usize] = rbx;
        gpr[number::RBP as usize] = rbp;
        gpr[number::RSP as usize] = rsp;
        gpr[12..].copy_from_slice(&r12_to_r15);
        Regs { rip, gpr, known: CALLEE_SAVED }
    }

    /// Registers of which only pc, stack and frame pointer are known.
    pub(crate) fn minimal(rip: u64, rsp: u64, rbp: u64) -> Regs {
        let mut regs = Regs { rip, gpr: [0; 16], known: 0 };
        regs.set(number::RSP, rsp);
        regs.set(number::RBP, rbp);
        regs
    }

    /// The stack pointer.
    pub fn rsp(&self) -> u64 {
        self.gpr[number::RSP as usize]
    }

    /// The frame pointer.
    pub fn rbp(&self) -> u64 {
        self.gpr[number::RBP as usize]
    }

    /// The register with this DWARF number (16 is the pc), when it is known.
    pub(crate) fn get(&self, register: u16) -> Option<u64> {
        match register {
            number::RIP => Some(self.rip),
            0..16 if self.known & 1 << register != 0 => Some(self.gpr[register as usize]),
            _ => None,
        }
    }

    /// Sets the register with this DWARF number; unknown numbers are ignored.
    pub(crate) fn set(&mut self, register: u16, value: u64) {
        match register {
            number::RIP => self.rip = value,
            0..16 => {
                self.gpr[register as usize] = value;
                self.known |= 1 << register;
            }
            _ => {}
        }
    }

    /// Sets pc, stack and frame pointer.
    pub(crate) fn follow(&mut self, rip: u64, rsp: u64, rbp: u64) {
        self.rip = rip;
        self.set(number::RSP, rsp);
        self.set(number::RBP, rbp);
    }

    /// Keeps only the registers of this mask.
    pub(crate) fn keep(&mut self, mask: u16) {
        self.known &= mask;
    }
}

//! Where one test's guest program lives: code, data, stack and what FS and GS point at, in one mapping.
//!
//! There are several such spaces, so that guest addresses of every size are translated: reachable from the code
//! cache, between 2 and 4 GiB, across the 4 GiB line, and far away.

use super::puppet::Region;

/// Bytes for code; sections lie in it at multiples of 64 KiB.
const CODE_BYTES: u64 = 0xf_f000;
const EXIT: u64 = 0xf_f000;
const DATA: u64 = 0x10_0000;
const STACK: u64 = 0x11_0000;
const FS: u64 = 0x12_0000;
const GS: u64 = 0x13_0000;
const SIZE: usize = 0x14_0000;

/// What a program may read and write: offset in the space and size.
const WRITABLE: [(u64, usize); 4] = [(DATA, 0x3000), (STACK, 0x2000), (FS, 0x1000), (GS, 0x1000)];

pub const SPACES: usize = 4;

/// Address of the V bits of address 0: by no round number, see the reference on placement.
pub const SHADOW: u64 = (1 << 45) + 0x1234_5840;

pub struct Space {
    pub region: Region,
    /// The pages with the V bits of the region.
    pub shadow: Region,
}

impl Space {
    /// Space number `kind`. Tests of one process run at the same time and use different ones.
    pub fn map(kind: usize) -> Space {
        let base = match kind {
            0 => 0x1000_0000,
            1 => 0x9000_0000,
            // The line lies within the main section of most programs.
            2 => 0xffff_c000,
            _ => 0x1e00_0000_0000,
        };
        let shadow = Region::map((base + SHADOW) & !0xfff, SIZE + 0x1000);
        let mut space = Space { region: Region::map(base, SIZE), shadow };
        let exit = space.exit();
        space.region.write(exit, &[0xcc]);
        space.fill_shadow(kind as u64);
        space
    }

    /// Gives one byte in 61 of what a program may use V bits, and defines the others: stores define.
    pub fn fill_shadow(&mut self, seed: u64) {
        let shadow = self.region.base + SHADOW + DATA;
        let mut state = seed as u32 + 1;
        for byte in self.shadow.bytes_mut(shadow, SIZE - DATA as usize) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = if (state >> 16).is_multiple_of(61) { (state >> 8) as u8 | 1 } else { 0 };
        }
    }

    /// Whether one of these bytes has.
    pub fn has_v_bits(&self, address: u64, size: u8) -> bool {
        let shadow = self.shadow.bytes(address + SHADOW, usize::from(size));
        shadow.iter().any(|byte| *byte != 0)
    }

    pub fn code(&self) -> u64 {
        self.region.base
    }

    pub fn is_code(&self, pc: u64) -> bool {
        (self.region.base..self.region.base + CODE_BYTES).contains(&pc)
    }

    /// Whether the eight bytes at `address` are data of the program's.
    pub fn is_data(&self, address: u64) -> bool {
        let start = self.region.base + DATA;
        (start..start + 0x3000 - 7).contains(&address)
    }

    /// Where a program ends: natively a breakpoint.
    pub fn exit(&self) -> u64 {
        self.region.base + EXIT
    }

    /// Middle of the 8 KiB that random operands may touch.
    pub fn data(&self) -> u64 {
        self.region.base + DATA + 0x1000
    }

    /// 4 KiB of jump tables and loop counters.
    pub fn table(&self) -> u64 {
        self.region.base + DATA + 0x2000
    }

    /// The first stack pointer.
    pub fn stack(&self) -> u64 {
        self.region.base + STACK + 0x1000
    }

    pub fn stack_end(&self) -> u64 {
        self.region.base + STACK + 0x2000
    }

    pub fn fs(&self) -> u64 {
        self.region.base + FS + 0x800
    }

    pub fn gs(&self) -> u64 {
        self.region.base + GS + 0x800
    }

    /// A copy of everything writable.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut copy = Vec::new();
        for (offset, size) in WRITABLE {
            copy.extend_from_slice(self.region.bytes(self.region.base + offset, size));
        }
        copy
    }

    pub fn restore(&mut self, snapshot: &[u8]) {
        let mut at = 0;
        for (offset, size) in WRITABLE {
            self.region.write(self.region.base + offset, &snapshot[at..at + size]);
            at += size;
        }
    }

    /// The word at an address now.
    pub fn word(&self, address: u64) -> Option<u64> {
        let is_inside = self.region.contains(address) && self.region.contains(address.wrapping_add(7));
        is_inside.then(|| self.region.u64(address))
    }

    /// The word at an address, in a snapshot.
    pub fn word_of(&self, snapshot: &[u8], address: u64) -> Option<u64> {
        let mut at = 0;
        for (offset, size) in WRITABLE {
            let inside = address.wrapping_sub(self.region.base + offset);
            if inside < size as u64 - 7 {
                let start = at + inside as usize;
                return snapshot[start..start + 8].try_into().ok().map(u64::from_le_bytes);
            }
            at += size;
        }
        None
    }

    /// First address at which memory differs from the snapshot; the stack below `stack_pointer` does not count.
    pub fn difference(&self, snapshot: &[u8], stack_pointer: u64) -> Option<u64> {
        let mut at = 0;
        for (offset, size) in WRITABLE {
            let base = self.region.base + offset;
            let (now, then) = (self.region.bytes(base, size), &snapshot[at..at + size]);
            at += size;
            let skip = if offset == STACK {
                stack_pointer.saturating_sub(base).min(size as u64) as usize
            } else {
                0
            };
            if now[skip..] != then[skip..] {
                let first = (skip..size).find(|&i| now[i] != then[i])?;
                return Some(base + first as u64);
            }
        }
        None
    }
}

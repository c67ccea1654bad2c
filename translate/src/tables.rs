//! The two branch tables: where they lie, and how a guest pc leads to an entry.
//!
//! An entry is the cache address of a prefix. 65,536 entries of four bytes: what is used of them has to share the
//! processor's caches with the guest's data. With BMI2 the index leaves out the lowest four bits, so that neighbouring
//! code shares cache lines of the table too, and code comes to the same entry again only after a mebibyte.

use crate::emit::Emitter;

/// Where the tables are, below 2 GiB, and what the processor can do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tables {
    /// Address of the table for indirect jumps and calls.
    pub indirect: u32,
    /// Address of the table for returns.
    pub returns: u32,
    /// The processor has BMI2: a shift that keeps the flags.
    pub bmi2: bool,
}

const SHIFT: u32 = 4;

impl Tables {
    /// Entries of each table.
    pub const ENTRIES: u64 = 1 << 16;
    /// Bytes of an entry.
    pub const ENTRY_BYTES: u64 = 4;

    /// Index of the entry that leads to `pc`.
    pub fn index(self, pc: u64) -> u64 {
        let pc = if self.bmi2 { pc >> SHIFT } else { pc };
        pc & (Self::ENTRIES - 1)
    }

    /// Jumps to where `table` leads for the pc in r11, which is overwritten.
    pub(crate) fn jump(self, e: &mut Emitter<'_>, table: u32) {
        if self.bmi2 {
            // rorx r11d, r11d, SHIFT
            e.bytes(&[0xc4, 0x43, 0x7b, 0xf0, 0xdb, SHIFT as u8]);
        }
        // movzx r11d, r11w
        e.bytes(&[0x45, 0x0f, 0xb7, 0xdb]);
        // mov r11d, [table + r11*4]
        e.bytes(&[0x46, 0x8b, 0x1c, 0x9d]);
        e.u32(table);
        // jmp r11
        e.bytes(&[0x41, 0xff, 0xe3]);
    }
}

//! A bounded buffer of emitted code and the few instruction forms that fragments and stubs are built from.
//!
//! Invariant: writing beyond the end is recorded in `overflow`, never done; the caller checks it once.

pub(crate) use crate::layout::Homes;
use crate::layout::{Fix, MapEntry};
use alloc::vec::Vec;

/// Register numbers in encoding order.
pub(crate) mod reg {
    pub(crate) const RAX: u8 = 0;
    pub(crate) const RCX: u8 = 1;
    pub(crate) const RSP: u8 = 4;
    pub(crate) const RBP: u8 = 5;
    pub(crate) const RSI: u8 = 6;
    pub(crate) const RDI: u8 = 7;
    pub(crate) const R11: u8 = 11;
}

/// Whether a value can be a sign-extended 32-bit immediate or displacement.
pub(crate) fn fits_i32(value: u64) -> bool {
    value as i64 == i64::from(value as i32)
}

pub(crate) struct Emitter<'a> {
    buffer: &'a mut [u8],
    /// Cache address of `buffer[0]`.
    base: u64,
    length: usize,
    overflow: bool,
    pub(crate) map: Vec<MapEntry>,
    /// The register that holds the place in the log.
    pub(crate) log: Option<u8>,
    /// The registers that models are looked up through.
    pub(crate) homes: Option<Homes>,
    /// Offsets behind what counted a segment last: by its own counter, and by the clock.
    pub(crate) counted: (usize, usize),
    /// Where a segment's last instruction has been executed, which is emitted in steps: from and to which offset, in each
    /// of the ways out of precise code.
    pub(crate) done: [(u16, u16); 2],
    /// Where its last instruction is a conditional jump that was not taken, and nothing has counted that yet.
    pub(crate) passed: [(u16, u16); 4],
}

/// A place in the emitted code and its map.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    length: usize,
    marks: usize,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(buffer: &'a mut [u8], base: u64) -> Emitter<'a> {
        Emitter {
            buffer,
            base,
            length: 0,
            overflow: false,
            map: Vec::new(),
            log: None,
            homes: None,
            counted: (0, 0),
            done: [(0, 0); 2],
            passed: [(0, 0); 4],
        }
    }

    /// From `from` to here a segment's last instruction has been executed.
    pub(crate) fn done_from(&mut self, from: usize) {
        self.done = [self.done[1], (from as u16, self.length as u16)];
    }

    /// From `from` to here a segment's conditional jump was not taken, and nothing has counted that.
    pub(crate) fn passed_from(&mut self, from: usize) {
        let [_, second, third, fourth] = self.passed;
        self.passed = [second, third, fourth, (from as u16, self.length as u16)];
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflow
    }

    pub(crate) fn offset(&self) -> usize {
        self.length
    }

    /// Cache address of the next byte.
    pub(crate) fn here(&self) -> u64 {
        self.base + self.length as u64
    }

    /// Where the emitter stands, for [`Emitter::rewind`].
    pub(crate) fn position(&self) -> Position {
        Position { length: self.length, marks: self.map.len() }
    }

    /// Takes back everything since `position`. The last mark before it must be made again.
    pub(crate) fn rewind(&mut self, position: Position) {
        self.length = position.length;
        self.map.truncate(position.marks);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.length..self.length + bytes.len()) {
            Some(room) => room.copy_from_slice(bytes),
            None => {
                self.overflow = true;
                return;
            }
        }
        self.length += bytes.len();
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn patch_u32(&mut self, offset: usize, value: u32) {
        if let Some(room) = self.buffer.get_mut(offset..offset + 4) {
            room.copy_from_slice(&value.to_le_bytes());
        }
    }

    pub(crate) fn patch_u8(&mut self, offset: usize, value: u8) {
        if let Some(room) = self.buffer.get_mut(offset) {
            *room = value;
        }
    }

    /// From here on an interrupted thread is at `guest` and recovered by `fix`.
    pub(crate) fn mark(&mut self, guest: u64, fix: Fix) {
        let fix = self.log.map_or(fix, |register| fix.with_log(register));
        let fix = self.homes.map_or(fix, |homes| fix.with_homes(homes));
        let entry = MapEntry { cache: self.length as u32, guest, fix };
        match self.map.last_mut() {
            Some(last) if last.cache == entry.cache => *last = entry,
            Some(last) if last.guest == guest && last.fix == fix => (),
            _ => self.map.push(entry),
        }
    }

    /// As [`Emitter::mark`], for code that was emitted from `offset` on.
    pub(crate) fn mark_at(&mut self, offset: usize, guest: u64, fix: Fix) {
        self.map.push(MapEntry { cache: offset as u32, guest, fix });
    }

    /// Makes the 4 bytes that follow `opcode_bytes` more bytes lie in one cache line, so that they can be patched
    /// by one store while other threads execute them.
    pub(crate) fn align_for_patch(&mut self, opcode_bytes: usize) {
        let at = (self.here() as usize + opcode_bytes) & 63;
        if at > 60 {
            const NOPS: [&[u8]; 4] = [&[], &[0x90], &[0x66, 0x90], &[0x0f, 0x1f, 0x00]];
            self.bytes(NOPS[64 - at]);
        }
    }

    /// `mov fs:[slot], r64`
    pub(crate) fn store_ctx(&mut self, slot: u32, register: u8) {
        self.bytes(&[0x64, 0x48 | (register >> 3) << 2, 0x89, 0x04 | (register & 7) << 3, 0x25]);
        self.u32(slot);
    }

    /// `mov r64, fs:[slot]`
    pub(crate) fn load_ctx(&mut self, register: u8, slot: u32) {
        self.bytes(&[0x64, 0x48 | (register >> 3) << 2, 0x8b, 0x04 | (register & 7) << 3, 0x25]);
        self.u32(slot);
    }

    /// `mov dword fs:[slot], imm32`
    pub(crate) fn store_ctx_imm(&mut self, slot: u32, value: u32) {
        self.bytes(&[0x64, 0xc7, 0x04, 0x25]);
        self.u32(slot);
        self.u32(value);
    }

    /// `mov qword fs:[slot], imm32`: for who loads all of it soon, who would have to wait for two stores.
    pub(crate) fn store_ctx_wide_imm(&mut self, slot: u32, value: u32) {
        debug_assert!(value < 1 << 31);
        self.bytes(&[0x64, 0x48, 0xc7, 0x04, 0x25]);
        self.u32(slot);
        self.u32(value);
    }

    /// `mov r64, imm` in its shortest form.
    pub(crate) fn load_imm(&mut self, register: u8, value: u64) {
        let low = register & 7;
        if u64::from(value as u32) == value {
            if register >= 8 {
                self.bytes(&[0x41]);
            }
            self.bytes(&[0xb8 | low]);
            self.u32(value as u32);
        } else if fits_i32(value) {
            self.bytes(&[0x48 | register >> 3, 0xc7, 0xc0 | low]);
            self.u32(value as u32);
        } else {
            self.bytes(&[0x48 | register >> 3, 0xb8 | low]);
            self.u64(value);
        }
    }

    /// `jmp rel32` to a cache address.
    pub(crate) fn jmp(&mut self, target: u64) {
        self.bytes(&[0xe9]);
        self.rel32(target);
    }

    /// The rel32 field of a branch that ends with it.
    pub(crate) fn rel32(&mut self, target: u64) {
        let distance = target.wrapping_sub(self.here() + 4);
        debug_assert!(self.overflow || fits_i32(distance), "stubs and cache lie within 2 GiB");
        self.u32(distance as u32);
    }

    /// A branch whose opcode is given and whose rel32 field, at the offset returned, leads nowhere yet.
    pub(crate) fn branch(&mut self, opcode: &[u8]) -> u32 {
        self.bytes(opcode);
        let field = self.length as u32;
        self.u32(0);
        field
    }

    /// Points a rel32 field at a cache address.
    pub(crate) fn patch_branch(&mut self, field: u32, target: u64) {
        let distance = target.wrapping_sub(self.base + u64::from(field) + 4);
        self.patch_u32(field as usize, distance as u32);
    }

    /// `push imm` of a 64-bit value: one instruction below 2 GiB, else two; marks the half-pushed state.
    pub(crate) fn push_imm(&mut self, value: u64, at: u64) {
        self.bytes(&[0x68]);
        self.u32(value as u32);
        if !fits_i32(value) {
            self.mark(at, Fix::UNPUSH);
            self.bytes(&[0xc7, 0x44, 0x24, 0x04]);
            self.u32((value >> 32) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_recorded_and_nothing_is_written_behind_the_end() {
        let mut buffer = [0u8; 6];
        let mut emitter = Emitter::new(&mut buffer, 0x6000_0000);
        emitter.u32(1);
        emitter.u32(2);
        assert!(emitter.overflowed());
        assert_eq!(emitter.offset(), 4);
    }

    #[test]
    fn patch_fields_never_straddle_a_line() {
        for start in 0..64u64 {
            let mut buffer = [0u8; 32];
            let mut emitter = Emitter::new(&mut buffer, 0x6000_0000 + start);
            emitter.align_for_patch(2);
            let field = emitter.here() + 2;
            assert_eq!(field / 64, (field + 3) / 64);
        }
    }
}

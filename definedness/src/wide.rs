//! Vector operands: values and V bits of up to 64 bytes, by lanes, with the write masks of AVX-512.
//!
//! A write keeps what the encoding keeps: legacy forms leave the rest of the register, VEX and EVEX forms clear it.

use crate::bits::{Bits, ones};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::{EncodingKind, Register};

/// A vector with its V bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide {
    pub(crate) a: [u8; 64],
    pub(crate) v: [u8; 64],
}

pub(crate) const ZERO: Wide = Wide { a: [0; 64], v: [0; 64] };

fn get(bytes: &[u8; 64], lane: usize, width: u32) -> u64 {
    let size = width as usize / 8;
    let mut word = [0; 8];
    if let Some(from) = bytes.get(lane * size..(lane + 1) * size) {
        word[..size].copy_from_slice(from);
    }
    u64::from_le_bytes(word)
}

/// Puts the low `width` bits into a lane.
pub(crate) fn put(bytes: &mut [u8; 64], lane: usize, width: u32, x: u64) {
    let size = width as usize / 8;
    if let Some(to) = bytes.get_mut(lane * size..(lane + 1) * size) {
        to.copy_from_slice(&x.to_le_bytes()[..size]);
    }
}

impl Wide {
    /// A lane of 8, 16, 32 or 64 bits; zero beyond the end.
    pub(crate) fn lane(&self, lane: usize, width: u32) -> Bits {
        Bits::new(get(&self.a, lane, width), get(&self.v, lane, width))
    }

    pub(crate) fn set(&mut self, lane: usize, width: u32, v: u64) {
        put(&mut self.v, lane, width, v);
    }

    pub(crate) fn any(&self, bytes: usize) -> bool {
        self.v[..bytes].iter().any(|&v| v != 0)
    }
}

fn bytes(words: [u64; 8]) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (i, word) in words.iter().enumerate() {
        put(&mut bytes, i, 64, *word);
    }
    bytes
}

/// A write mask: which elements are written, and of which that is undefined.
#[derive(Clone, Copy)]
pub(crate) struct Mask {
    pub(crate) bits: Bits,
    pub(crate) zeroing: bool,
}

impl Mask {
    pub(crate) fn at(&self, element: usize) -> Bits {
        self.bits.field(element as u32, 1)
    }
}

impl Step<'_> {
    pub(crate) fn legacy(&self) -> bool {
        self.insn.encoding() == EncodingKind::Legacy
    }

    /// Bytes of the widest vector register among the operands; 8 for MMX.
    pub(crate) fn length(&self) -> usize {
        let size = |op| {
            let register = self.register(op);
            if register.is_vector_register() || register.is_mm() { register.size() } else { 0 }
        };
        (0..self.insn.op_count()).map(size).max().unwrap_or(0)
    }

    /// The operands of a binary operation: the first is the destination in legacy forms.
    pub(crate) fn sources(&self) -> (u32, u32) {
        if self.legacy() { (0, 1) } else { (1, 2) }
    }

    /// Whether both operands of a binary operation are the same register.
    pub(crate) fn same_sources(&self) -> bool {
        let (one, other) = self.sources();
        self.same(one, other)
    }

    /// The write mask; every element where there is none.
    pub(crate) fn write_mask(&mut self) -> Mask {
        let register = self.insn.op_mask();
        if register == Register::None || register == Register::K0 {
            return Mask { bits: Bits::defined(u64::MAX), zeroing: false };
        }
        Mask { bits: self.read_register(register), zeroing: self.insn.zeroing_masking() }
    }

    fn vector_register(&mut self, register: Register, size: usize) -> Wide {
        let mut w = ZERO;
        let number = register.number();
        if register.is_mm() {
            put(&mut w.a, 0, 64, self.guest.mmx(number));
            put(&mut w.v, 0, 64, self.registers.x87[number][0]);
            self.taint(w.any(8), self.registers.origin.x87[number]);
            return w;
        }
        let size = size.min(register.size());
        w.a[..size].copy_from_slice(&bytes(self.guest.vector(number))[..size]);
        w.v[..size].copy_from_slice(&bytes(self.registers.vector[number])[..size]);
        self.taint(w.any(size), self.registers.origin.vector[number]);
        w
    }

    /// All of a vector register, whether it is an operand or not.
    pub(crate) fn register_wide(&mut self, register: Register) -> Wide {
        self.vector_register(register, 64)
    }

    /// An xmm register that is no operand.
    pub(crate) fn implicit_vector(&mut self, number: u32) -> Wide {
        self.vector_register(Register::XMM0 + number, 16)
    }

    /// The low `size` bytes of a vector or memory operand; a broadcast one is spread out.
    pub(crate) fn wide(&mut self, op: u32, size: usize) -> Wide {
        self.wide_where(op, size, None)
    }

    /// The same where only the elements in the write mask are used: others are not loaded.
    pub(crate) fn wide_lanes(&mut self, op: u32, size: usize, width: u32) -> Wide {
        self.wide_where(op, size, Some(width))
    }

    fn wide_where(&mut self, op: u32, size: usize, width: Option<u32>) -> Wide {
        let register = self.register(op);
        if register.is_vector_register() || register.is_mm() {
            return self.vector_register(register, size);
        }
        let mut w = ZERO;
        if !self.is_memory(op) {
            let b = self.read(op);
            put(&mut w.a, 0, 64, b.a);
            put(&mut w.v, 0, 64, b.v);
            return w;
        }
        let masked = self.insn.op_mask() != Register::None && self.insn.op_mask() != Register::K0;
        if self.insn.is_broadcast() {
            let element = self.insn.memory_size().element_size().clamp(1, 8);
            let address = self.address(op, element, Access::Load);
            let b = self.load_bits(address, element as u32 * 8);
            for lane in 0..size / element {
                put(&mut w.a, lane, element as u32 * 8, b.a);
                put(&mut w.v, lane, element as u32 * 8, b.v);
            }
            return w;
        }
        let address = self.address(op, size, Access::Load);
        match width {
            Some(width) if masked => {
                let mask = self.write_mask();
                let element = width as usize / 8;
                for lane in 0..size / element {
                    // An element that may or may not be written is loaded as the processor does.
                    if mask.at(lane).a != 0 {
                        let at = lane * element..(lane + 1) * element;
                        let from = address.wrapping_add(at.start as u64);
                        let (a, v) = (&mut w.a[at.clone()], &mut w.v[at]);
                        self.load(from, a, v);
                    }
                }
            }
            _ => self.load(address, &mut w.a[..size], &mut w.v[..size]),
        }
        w
    }

    /// Writes `size` bytes to a vector register or memory, without a mask.
    pub(crate) fn write_wide(&mut self, op: u32, w: &Wide, size: usize) {
        let register = self.register(op);
        if self.is_memory(op) {
            let address = self.address(op, size, Access::Store);
            self.store(address, &w.v[..size]);
        } else if register.is_mm() {
            self.write_x87(register.number(), [w.lane(0, 64).v, 0]);
        } else if register.is_vector_register() {
            let number = register.number();
            let mut v = bytes(self.registers.vector[number]);
            v[..size].copy_from_slice(&w.v[..size]);
            if !self.legacy() {
                v[size..].fill(0);
            }
            let kept = v[size..].iter().any(|&v| v != 0);
            let tag = if kept { self.registers.origin.vector[number] } else { 0 };
            let tag = if w.any(size) { tag.max(self.origin) } else { tag };
            for (i, word) in self.registers.vector[number].iter_mut().enumerate() {
                *word = get(&v, i, 64);
            }
            self.registers.origin.vector[number] = tag;
        } else {
            self.write(op, w.lane(0, 64).v);
        }
    }

    /// An x87 register by its physical number.
    pub(crate) fn write_x87(&mut self, number: usize, v: [u64; 2]) {
        self.registers.x87[number] = v;
        self.registers.origin.x87[number] = if v != [0; 2] { self.origin } else { 0 };
    }

    /// Writes elements of `width` bits under the write mask.
    pub(crate) fn write_lanes(&mut self, op: u32, w: &Wide, size: usize, width: u32) {
        let masked = self.insn.op_mask() != Register::None && self.insn.op_mask() != Register::K0;
        if !masked {
            self.write_wide(op, w, size);
            return;
        }
        let mask = self.write_mask();
        let element = width as usize / 8;
        if self.is_memory(op) {
            self.report_mask(mask.bits.v & ones((size / element) as u32) != 0);
            let address = self.address(op, size, Access::Store);
            for lane in (0..size / element).filter(|&lane| mask.at(lane).a != 0) {
                let at = lane * element..(lane + 1) * element;
                self.store(address.wrapping_add(at.start as u64), &w.v[at]);
            }
            return;
        }
        let old = self.wide(op, size);
        let mut result = *w;
        for lane in 0..size / element {
            let b = mask.at(lane);
            if b.v != 0 {
                result.set(lane, width, u64::MAX);
            } else if b.a == 0 {
                result.set(lane, width, if mask.zeroing { 0 } else { old.lane(lane, width).v });
            }
        }
        self.write_wide(op, &result, size);
    }

    /// Writes `count` elements of a result that is narrower than its source: a register is cleared above them,
    /// whatever the write mask is.
    pub(crate) fn write_narrow(&mut self, op: u32, w: &Wide, count: usize, width: u32) {
        let size = count * width as usize / 8;
        if self.is_memory(op) || size >= 16 {
            self.write_lanes(op, w, size, width);
            return;
        }
        let mut r = *w;
        if self.insn.has_op_mask() {
            let old = self.wide(op, size);
            let mask = self.write_mask();
            for lane in 0..count {
                let k = mask.at(lane);
                if k.v != 0 {
                    r.set(lane, width, u64::MAX);
                } else if k.a == 0 {
                    r.set(lane, width, if mask.zeroing { 0 } else { old.lane(lane, width).v });
                }
            }
        }
        self.write_wide(op, &r, 16);
    }

    /// Writes V bits of a mask register for `count` elements; those above are cleared. A write mask clears the
    /// bits that it excludes.
    pub(crate) fn write_mask_register(&mut self, op: u32, v: u64, count: usize) {
        let mask = self.write_mask();
        let v = (v & mask.bits.max()) | mask.bits.v;
        self.write_register(self.register(op), v & ones(count as u32));
    }
}

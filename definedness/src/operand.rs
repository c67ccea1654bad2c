//! One instruction on its way through its rule: operands in, V bits out, reports and origins on the side.
//!
//! Every undefined input that is read raises `origin`; every output takes it. Not here: vector operands (`wide`).

use crate::bits::{Bits, ones, shift};
use crate::flags::{self, Flags, Status};
use crate::state::{Access, Guest, Registers, Report, Shadow};
use iced_x86::{ConditionCode, Instruction, OpKind, Register};

pub(crate) struct Step<'a> {
    pub(crate) insn: &'a Instruction,
    pub(crate) guest: &'a dyn Guest,
    pub(crate) shadow: &'a mut dyn Shadow,
    pub(crate) registers: &'a mut Registers,
    report: &'a mut dyn FnMut(Report),
    /// The greatest tag of the undefined inputs so far.
    pub(crate) origin: u64,
    /// Operands, one bit each, whose address has been reported.
    reported: u8,
}

/// The place of a general register: number, lowest bit, width.
pub(crate) fn place(register: Register) -> Option<(usize, u32, u32)> {
    if !register.is_gpr() {
        return None;
    }
    let number = register.full_register().number();
    let high = matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
    Some((number, if high { 8 } else { 0 }, register.size() as u32 * 8))
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        insn: &'a Instruction,
        guest: &'a dyn Guest,
        shadow: &'a mut dyn Shadow,
        registers: &'a mut Registers,
        report: &'a mut dyn FnMut(Report),
    ) -> Step<'a> {
        Step { insn, guest, shadow, registers, report, origin: 0, reported: 0 }
    }

    pub(crate) fn register(&self, op: u32) -> Register {
        if self.insn.op_kind(op) == OpKind::Register { self.insn.op_register(op) } else { Register::None }
    }

    pub(crate) fn is_memory(&self, op: u32) -> bool {
        matches!(
            self.insn.op_kind(op),
            OpKind::Memory
                | OpKind::MemorySegSI
                | OpKind::MemorySegESI
                | OpKind::MemorySegRSI
                | OpKind::MemorySegDI
                | OpKind::MemorySegEDI
                | OpKind::MemorySegRDI
                | OpKind::MemoryESDI
                | OpKind::MemoryESEDI
                | OpKind::MemoryESRDI
        )
    }

    /// Whether two operands are the same register, so that their values are equal whatever they are.
    pub(crate) fn same(&self, one: u32, other: u32) -> bool {
        self.register(one) != Register::None && self.register(one) == self.register(other)
    }

    /// Bits of an operand; an immediate is as wide as the first operand.
    pub(crate) fn width(&self, op: u32) -> u32 {
        match self.insn.op_kind(op) {
            OpKind::Register => self.insn.op_register(op).size() as u32 * 8,
            _ if self.is_memory(op) => self.insn.memory_size().size() as u32 * 8,
            _ if op == 0 => 64,
            _ => self.width(0),
        }
    }

    // Registers.

    pub(crate) fn taint(&mut self, v: bool, tag: u64) {
        if v {
            self.origin = self.origin.max(tag);
        }
    }

    /// A whole general register.
    pub(crate) fn gpr(&mut self, number: usize, width: u32) -> Bits {
        let b = Bits::new(self.guest.gpr(number), self.registers.gpr[number]).cut(width);
        self.taint(b.v != 0, self.registers.origin.gpr[number]);
        b
    }

    /// Writes a general register as the processor does: 32 bits clear the upper half, fewer leave the rest.
    pub(crate) fn set_gpr(&mut self, number: usize, low: u32, width: u32, v: u64) {
        let written = if width == 32 { u64::MAX } else { ones(width) << low };
        let kept = self.registers.gpr[number] & !written;
        let v = (v & ones(width)) << low;
        let tag = if kept != 0 { self.registers.origin.gpr[number] } else { 0 };
        self.registers.gpr[number] = kept | v;
        self.registers.origin.gpr[number] = if v != 0 { tag.max(self.origin) } else { tag };
    }

    pub(crate) fn read_register(&mut self, register: Register) -> Bits {
        match place(register) {
            Some((number, low, width)) => {
                let b = Bits::new(self.guest.gpr(number), self.registers.gpr[number]).field(low, width);
                self.taint(b.v != 0, self.registers.origin.gpr[number]);
                b
            }
            None if register.is_k() => {
                let number = register.number();
                let b = Bits::new(self.guest.mask(number), self.registers.mask[number]);
                self.taint(b.v != 0, self.registers.origin.mask[number]);
                b
            }
            None => Bits::default(),
        }
    }

    pub(crate) fn write_register(&mut self, register: Register, v: u64) {
        if let Some((number, low, width)) = place(register) {
            self.set_gpr(number, low, width, v);
        } else if register.is_k() {
            self.registers.mask[register.number()] = v;
            self.registers.origin.mask[register.number()] = if v != 0 { self.origin } else { 0 };
        }
    }

    // Flags.

    pub(crate) fn flag_values(&self) -> u16 {
        flags::from_rflags(self.guest.rflags())
    }

    pub(crate) fn flag(&mut self, flag: u16) -> Bits {
        let v = self.registers.flags.0 & flag != 0;
        self.taint(v, self.registers.origin.flags);
        Bits::new((self.flag_values() & flag != 0) as u64, v as u64)
    }

    pub(crate) fn condition(&mut self, condition: ConditionCode) -> Bits {
        let v = self.registers.flags.0 & Flags::of(condition) != 0;
        self.taint(v, self.registers.origin.flags);
        Bits::new(flags::holds(condition, self.flag_values()) as u64, v as u64)
    }

    pub(crate) fn set_flags(&mut self, status: Status) {
        let before = self.registers.flags;
        let after = status.apply(self.flag_values(), before);
        let kept = before.0 & !status.written & Flags::STATUS != 0;
        let tag = if kept { self.registers.origin.flags } else { 0 };
        let new = if status.v & status.written != 0 { self.origin } else { 0 };
        self.registers.flags = after;
        self.registers.origin.flags = if after.0 == 0 { 0 } else { tag.max(new) };
    }

    // Reports.

    pub(crate) fn report_condition(&mut self, v: bool) {
        if v {
            (self.report)(Report::Condition { origin: self.origin });
        }
    }

    pub(crate) fn report_target(&mut self, v: bool) {
        if v {
            (self.report)(Report::Target { origin: self.origin });
        }
    }

    pub(crate) fn report_mask(&mut self, v: bool) {
        if v {
            (self.report)(Report::Mask { origin: self.origin });
        }
    }

    pub(crate) fn report_address(&mut self, access: Access, size: usize, origin: u64) {
        (self.report)(Report::Address { access, size, origin });
    }

    // Addresses.

    /// V bits that a base or index register contributes to an address, and their tag.
    fn register_v(&self, register: Register) -> (u64, u64) {
        match place(register) {
            Some((number, low, width)) => {
                let v = self.registers.gpr[number] >> low & ones(width);
                (v, if v != 0 { self.registers.origin.gpr[number] } else { 0 })
            }
            None => (0, 0),
        }
    }

    /// Registers and scale that make a memory operand's address.
    fn address_parts(&self, op: u32) -> [(Register, u64); 2] {
        let none = (Register::None, 0);
        match self.insn.op_kind(op) {
            OpKind::Memory => [
                (self.insn.memory_base(), 0),
                (self.insn.memory_index(), self.insn.memory_index_scale().trailing_zeros() as u64),
            ],
            OpKind::MemorySegSI => [(Register::SI, 0), none],
            OpKind::MemorySegESI => [(Register::ESI, 0), none],
            OpKind::MemorySegRSI => [(Register::RSI, 0), none],
            OpKind::MemorySegDI | OpKind::MemoryESDI => [(Register::DI, 0), none],
            OpKind::MemorySegEDI | OpKind::MemoryESEDI => [(Register::EDI, 0), none],
            OpKind::MemorySegRDI | OpKind::MemoryESRDI => [(Register::RDI, 0), none],
            _ => [none, none],
        }
    }

    /// The value of a register in an address computation; a segment register stands for its base.
    pub(crate) fn address_register(&self, register: Register) -> u64 {
        match register {
            Register::FS => self.guest.fs_base(),
            Register::GS => self.guest.gs_base(),
            _ => match place(register) {
                Some((number, low, width)) => self.guest.gpr(number) >> low & ones(width),
                None => 0,
            },
        }
    }

    /// The address of a memory operand whose registers are general ones, reported if it is undefined. Once for an
    /// operand that is loaded and stored.
    pub(crate) fn address(&mut self, op: u32, size: usize, access: Access) -> u64 {
        let (mut v, mut origin) = (0, 0);
        for (register, scale) in self.address_parts(op) {
            let (part, tag) = self.register_v(register);
            // Bits that the scale moves out of the address do not count.
            let part = shift(part, scale, register.size().max(1) as u32 * 8, crate::bits::Shift::Left);
            v |= part;
            origin = if part != 0 { tag.max(origin) } else { origin };
        }
        if v != 0 && self.reported & 1 << op == 0 {
            self.reported |= 1 << op;
            self.report_address(access, size, origin);
        }
        self.raw_address(op, 0)
    }

    pub(crate) fn raw_address(&self, op: u32, element: usize) -> u64 {
        let value = |register: Register, index: usize, size: usize| {
            if register.is_vector_register() {
                let lanes = self.guest.vector(register.number());
                let word = lanes.get(index * size / 8).copied().unwrap_or(0);
                return Some(if size == 4 { word >> (index % 2 * 32) & 0xffff_ffff } else { word });
            }
            Some(self.address_register(register))
        };
        self.insn.virtual_address(op, element, value).unwrap_or(0)
    }

    // Memory.

    /// Values and V bits of memory.
    pub(crate) fn load(&mut self, address: u64, a: &mut [u8], v: &mut [u8]) {
        self.guest.read(address, a);
        self.load_v(address, v);
    }

    pub(crate) fn load_v(&mut self, address: u64, v: &mut [u8]) {
        let tag = self.shadow.load(address, v);
        self.taint(v.iter().any(|&v| v != 0), tag);
    }

    pub(crate) fn store(&mut self, address: u64, v: &[u8]) {
        let origin = if v.iter().any(|&v| v != 0) { self.origin } else { 0 };
        self.shadow.store(address, v, origin);
    }

    /// At most 8 bytes of memory.
    pub(crate) fn load_bits(&mut self, address: u64, width: u32) -> Bits {
        let (mut a, mut v) = ([0; 8], [0; 8]);
        let size = (width as usize / 8).min(8);
        self.load(address, &mut a[..size], &mut v[..size]);
        Bits::new(u64::from_le_bytes(a), u64::from_le_bytes(v))
    }

    pub(crate) fn store_bits(&mut self, address: u64, width: u32, v: u64) {
        self.store(address, &v.to_le_bytes()[..(width as usize / 8).min(8)]);
    }

    // Operands of up to 64 bits.

    pub(crate) fn read(&mut self, op: u32) -> Bits {
        let width = self.width(op);
        if self.is_memory(op) {
            let address = self.address(op, width as usize / 8, Access::Load);
            return self.load_bits(address, width);
        }
        match self.insn.op_kind(op) {
            OpKind::Register => self.read_register(self.insn.op_register(op)),
            _ => Bits::defined(self.insn.try_immediate(op).unwrap_or(0)).cut(width),
        }
    }

    pub(crate) fn write(&mut self, op: u32, v: u64) {
        let width = self.width(op);
        if self.is_memory(op) {
            let address = self.address(op, width as usize / 8, Access::Store);
            self.store_bits(address, width, v);
        } else {
            self.write_register(self.register(op), v);
        }
    }

    // The stack.

    /// Stores below the stack pointer and moves it.
    pub(crate) fn push(&mut self, width: u32, v: u64) {
        let sp = self.registers.gpr[4];
        if sp != 0 {
            self.report_address(Access::Store, width as usize / 8, self.registers.origin.gpr[4]);
        }
        self.store_bits(self.guest.gpr(4).wrapping_sub(width as u64 / 8), width, v);
        self.move_stack((width as u64 / 8).wrapping_neg());
    }

    /// Loads from the stack pointer and moves it.
    pub(crate) fn pop(&mut self, width: u32) -> Bits {
        if self.registers.gpr[4] != 0 {
            self.report_address(Access::Load, width as usize / 8, self.registers.origin.gpr[4]);
        }
        let b = self.load_bits(self.guest.gpr(4), width);
        self.move_stack(width as u64 / 8);
        b
    }

    pub(crate) fn move_stack(&mut self, by: u64) {
        let sp = Bits::new(self.guest.gpr(4), self.registers.gpr[4]);
        self.registers.gpr[4] = crate::bits::add(sp, Bits::defined(by), Bits::default(), 64).v;
    }
}

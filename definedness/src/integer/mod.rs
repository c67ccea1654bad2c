//! Instructions on general registers and flags: moves and stack here, the rest in the modules below.
//!
//! `step` answers whether the instruction has a rule here; if not, it has done nothing.

mod arithmetic;
mod bit;
mod control;
mod exchange;
mod shift;
mod string;

use crate::bits::{self, Bits, spread};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::{EncodingKind, Mnemonic, Register};

pub(crate) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    if s.insn.is_string_instruction() {
        return string::step(s, m);
    }
    if s.insn.encoding() != EncodingKind::Legacy && s.insn.encoding() != EncodingKind::VEX {
        return false;
    }
    arithmetic::step(s, m)
        || moves(s, m)
        || shift::step(s, m)
        || control::step(s, m)
        || bit::step(s, m)
        || exchange::step(s, m)
}

fn moves(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Mov | Movzx | Movnti => {
            let b = s.read(1);
            s.write(0, b.v);
        }
        Movsx | Movsxd => {
            let (from, to) = (s.width(1), s.width(0));
            let v = s.read(1).extend(from, to).v;
            s.write(0, v);
        }
        Movbe => {
            let width = s.width(0);
            let v = s.read(1).v.swap_bytes() >> (64 - width);
            s.write(0, v);
        }
        Bswap => {
            let width = s.width(0);
            // Of 16 bits it is undefined in full: processors clear or keep them.
            let b = s.read(0);
            s.write(0, if width == 16 { spread(b.v, 0xffff) } else { b.v.swap_bytes() >> (64 - width) });
        }
        Lea => lea(s),
        Cbw => extend_accumulator(s, 8),
        Cwde => extend_accumulator(s, 16),
        Cdqe => extend_accumulator(s, 32),
        Cwd => spread_sign(s, 16),
        Cdq => spread_sign(s, 32),
        Cqo => spread_sign(s, 64),
        Push => {
            let width = s.insn.stack_pointer_increment().unsigned_abs() * 8;
            let b = s.read(0);
            s.push(width, b.v);
        }
        Pop => pop(s),
        Leave => {
            let frame = s.gpr(5, 64);
            if frame.v != 0 {
                s.report_address(Access::Load, 8, s.origin);
            }
            let width = s.insn.stack_pointer_increment().unsigned_abs();
            let width = if width == 2 { 16 } else { 64 };
            s.set_gpr(4, 0, 64, bits::add(frame, Bits::defined(width / 8), Bits::default(), 64).v);
            s.origin = 0;
            let saved = s.load_bits(frame.a, width as u32);
            s.set_gpr(5, 0, width as u32, saved.v);
        }
        Enter => enter(s),
        Xlatb => {
            let (base, index) = (s.gpr(3, 64), s.gpr(0, 8));
            if base.v | index.v != 0 {
                s.report_address(Access::Load, 1, s.origin);
            }
            s.origin = 0;
            let address = s.raw_address(0, 0);
            let b = s.load_bits(address, 8);
            s.set_gpr(0, 0, 8, b.v);
        }
        _ => return false,
    }
    true
}

/// An address as a value: nothing is accessed, so the sum is what counts.
fn lea(s: &mut Step<'_>) {
    let (base, index) = (s.insn.memory_base(), s.insn.memory_index());
    let width = [base, index].iter().map(|r| r.size() as u32 * 8).max().unwrap_or(0);
    if width == 0 || base.is_ip() {
        s.write(0, 0);
        return;
    }
    let scale = s.insn.memory_index_scale().trailing_zeros();
    let b = if base == Register::None { Bits::default() } else { s.read_register(base) };
    let i = if index == Register::None { Bits::default() } else { s.read_register(index) };
    let i = Bits::new(i.a << scale, i.v << scale).cut(width);
    let displacement = Bits::defined(s.insn.memory_displacement64()).cut(width);
    // A register added to itself is moved by a bit: nothing carries into bits that are defined.
    let twice = base == index && base != Register::None && scale == 0;
    // The constant goes to the defined side, if there is one.
    let r = if twice {
        let moved = Bits::new(b.a << 1, b.v << 1).cut(width);
        bits::add(moved, displacement, Bits::default(), width)
    } else if b.v == 0 {
        let constant = bits::add(b, displacement, Bits::default(), width);
        bits::add(constant, i, Bits::default(), width)
    } else {
        let constant = bits::add(i, displacement, Bits::default(), width);
        bits::add(b, constant, Bits::default(), width)
    };
    s.write(0, r.v);
}

fn extend_accumulator(s: &mut Step<'_>, from: u32) {
    let v = s.gpr(0, from).extend(from, from * 2).v;
    s.set_gpr(0, 0, from * 2, v);
}

fn spread_sign(s: &mut Step<'_>, width: u32) {
    let v = s.gpr(0, width).v >> (width - 1);
    s.set_gpr(2, 0, width, spread(v, u64::MAX));
}

fn pop(s: &mut Step<'_>) {
    let size = s.insn.stack_pointer_increment() as u64;
    let b = s.pop(size as u32 * 8);
    if !s.is_memory(0) {
        s.write(0, b.v);
        return;
    }
    // The address is made after the stack pointer has moved.
    let mut address = s.address(0, size as usize, Access::Store);
    if matches!(s.insn.memory_base(), Register::RSP | Register::ESP) {
        address = address.wrapping_add(size);
    }
    s.store_bits(address, size as u32 * 8, b.v);
}

/// Nesting levels copy as many frame pointers from the caller's frame.
fn enter(s: &mut Step<'_>) {
    let size = s.insn.stack_pointer_increment().unsigned_abs();
    let width = if s.insn.code() == iced_x86::Code::Enterw_imm16_imm8 { 16 } else { 64 };
    let bytes = width as u64 / 8;
    let levels = u64::from(s.insn.immediate8_2nd() % 32);
    let frame = s.gpr(5, 64);
    s.push(width, frame.v);
    let (sp, v) = (s.guest.gpr(4), s.registers.gpr[4]);
    if levels > 1 && frame.v != 0 {
        s.report_address(Access::Load, bytes as usize, s.origin);
    }
    for level in 1..levels {
        s.origin = 0;
        let b = s.load_bits(frame.a.wrapping_sub(level * bytes), width);
        s.store_bits(sp.wrapping_sub((level + 1) * bytes), width, b.v);
    }
    if levels > 0 {
        s.store_bits(sp.wrapping_sub((levels + 1) * bytes), width, v);
    }
    s.taint(v != 0, s.registers.origin.gpr[4]);
    s.set_gpr(5, 0, width, v);
    // `push` has moved V bits by one word; what is left is the local frame.
    s.move_stack(u64::from(size).wrapping_neg());
}

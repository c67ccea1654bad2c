//! movs, stos, lods, cmps, scas, once or repeated.
//!
//! A repeated instruction is done in full; the V bits of its counters are those after the last round.

use crate::bits::{self, Bits};
use crate::flags::{self, Flags};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::{Mnemonic, OpKind};

/// Bytes moved at a time where order does not matter.
const CHUNK: u64 = 64;

struct Rounds {
    count: u64,
    /// Bytes of an element, as the step from one to the next.
    size: u64,
    step: u64,
    repeated: bool,
    /// Width of the pointers and the counter.
    width: u32,
    count_v: u64,
}

impl Rounds {
    fn new(s: &mut Step<'_>) -> Rounds {
        let size = s.insn.memory_size().size() as u64;
        let narrow = (0..s.insn.op_count()).any(|op| {
            matches!(s.insn.op_kind(op), OpKind::MemorySegESI | OpKind::MemoryESEDI | OpKind::MemorySegEDI)
        });
        let width = if narrow { 32 } else { 64 };
        let down = s.flag(Flags::D);
        if down.v != 0 {
            s.report_address(Access::Load, size as usize, s.origin);
            s.origin = 0;
        }
        let repeated = s.insn.has_rep_prefix() || s.insn.has_repne_prefix();
        let count = if repeated { s.gpr(1, width) } else { Bits::defined(1) };
        s.report_condition(count.v != 0);
        s.origin = 0;
        let step = if down.a != 0 { size.wrapping_neg() } else { size };
        Rounds { count: count.a, size, step, repeated, width, count_v: count.v }
    }

    fn address(&self, start: u64, round: u64) -> u64 {
        start.wrapping_add(round.wrapping_mul(self.step))
    }

    /// Moves a pointer past `done` elements.
    fn advance(&self, s: &mut Step<'_>, number: usize, done: u64) {
        s.origin = 0;
        let pointer = s.gpr(number, self.width);
        let by = Bits::new(done, self.count_v);
        let by = Bits::new(by.a.wrapping_mul(self.step), bits::left(by.v.wrapping_mul(self.size)));
        let v = bits::add(pointer, by.cut(self.width), Bits::default(), self.width).v;
        let tag = s.registers.origin.gpr[1];
        s.taint(self.count_v != 0, tag);
        s.set_gpr(number, 0, self.width, v);
    }

    /// The counter after `done` rounds.
    fn counted(&self, s: &mut Step<'_>, done: u64) {
        if self.repeated {
            s.origin = 0;
            let count = s.gpr(1, self.width);
            // It always ends at zero if nothing else ends it.
            let all = done == self.count && s.insn.op_count() > 0 && !compares(s.insn.mnemonic());
            let v = if all { 0 } else { bits::sub(count, Bits::defined(done), self.width).v };
            s.set_gpr(1, 0, self.width, v);
        }
    }
}

fn compares(m: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(m, Cmpsb | Cmpsw | Cmpsd | Cmpsq | Scasb | Scasw | Scasd | Scasq)
}

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    if !matches!(
        m,
        Movsb | Movsw | Movsd | Movsq | Stosb | Stosw | Stosd | Stosq | Lodsb | Lodsw | Lodsd | Lodsq
    ) && !compares(m)
    {
        return false;
    }
    let rounds = Rounds::new(s);
    if rounds.repeated && rounds.count == 0 {
        return true;
    }
    match m {
        Movsb | Movsw | Movsd | Movsq => copy(s, &rounds),
        Stosb | Stosw | Stosd | Stosq => fill(s, &rounds),
        Lodsb | Lodsw | Lodsd | Lodsq => load(s, &rounds),
        _ => compare(s, &rounds),
    }
    true
}

fn copy(s: &mut Step<'_>, r: &Rounds) {
    let to = s.address(0, r.size as usize, Access::Store);
    let from = s.address(1, r.size as usize, Access::Load);
    let total = r.count.wrapping_mul(r.size);
    // Upwards, a chunk may be moved at once if none of it is read after it is written.
    let chunk = if r.step == r.size && to.wrapping_sub(from) >= CHUNK { CHUNK } else { r.size };
    let mut done = 0;
    while done < total {
        let size = chunk.min(total - done);
        let offset = if r.step == r.size { done } else { done.wrapping_neg() };
        let mut v = [0; CHUNK as usize];
        let v = &mut v[..size as usize];
        s.origin = 0;
        s.load_v(from.wrapping_add(offset), v);
        s.store(to.wrapping_add(offset), v);
        done += size;
    }
    r.advance(s, 6, r.count);
    r.advance(s, 7, r.count);
    r.counted(s, r.count);
}

fn fill(s: &mut Step<'_>, r: &Rounds) {
    let to = s.address(0, r.size as usize, Access::Store);
    let value = s.gpr(0, r.size as u32 * 8);
    let mut v = [0; CHUNK as usize];
    for (i, byte) in v.iter_mut().enumerate() {
        *byte = value.v.to_le_bytes()[i % r.size as usize];
    }
    let total = r.count.wrapping_mul(r.size);
    let chunk = if r.step == r.size { CHUNK } else { r.size };
    let mut done = 0;
    while done < total {
        let size = chunk.min(total - done);
        let offset = if r.step == r.size { done } else { done.wrapping_neg() };
        s.store(to.wrapping_add(offset), &v[..size as usize]);
        done += size;
    }
    r.advance(s, 7, r.count);
    r.counted(s, r.count);
}

fn load(s: &mut Step<'_>, r: &Rounds) {
    let from = s.address(1, r.size as usize, Access::Load);
    let width = r.size as u32 * 8;
    let mut last = Bits::default();
    for round in 0..r.count {
        s.origin = 0;
        last = s.load_bits(r.address(from, round), width);
    }
    s.set_gpr(0, 0, width, last.v);
    r.advance(s, 6, r.count);
    r.counted(s, r.count);
}

fn compare(s: &mut Step<'_>, r: &Rounds) {
    let width = r.size as u32 * 8;
    let start = [0, 1].map(|op| s.is_memory(op).then(|| s.address(op, r.size as usize, Access::Load)));
    let until_equal = s.insn.has_repne_prefix();
    let mut done = 0;
    let mut reported = false;
    loop {
        s.origin = 0;
        let [a, b] = start.map(|start| match start {
            Some(start) => s.load_bits(r.address(start, done), width),
            None => s.gpr(0, width),
        });
        let (_, status) = flags::arithmetic(a, b, Bits::default(), width, true);
        done += 1;
        let last = done == r.count;
        if r.repeated && !last {
            // Whether there is another round.
            let undefined = status.v & Flags::Z != 0;
            s.report_condition(undefined && !reported);
            reported |= undefined;
        }
        if last || (a.a == b.a) == until_equal {
            s.set_flags(status);
            break;
        }
    }
    for op in 0..2 {
        let number = match s.insn.op_kind(op) {
            OpKind::MemorySegRSI | OpKind::MemorySegESI => 6,
            OpKind::MemoryESRDI | OpKind::MemoryESEDI => 7,
            _ => continue,
        };
        r.advance(s, number, done);
    }
    r.counted(s, done);
}

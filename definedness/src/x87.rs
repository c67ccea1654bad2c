//! x87 arithmetic by the lazy rule, the moves of its stack, and the instructions that save and restore state.
//!
//! V bits belong to physical registers; the top of the stack, the tags and the control word count as defined. The
//! condition codes have V bits, which fnstsw shows and the compares make.

use crate::flags::{Flags, Status};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::Mnemonic;

mod save;

/// C0 to C3 in the status word.
const CODES: u16 = 0x4700;

const FULL: [u64; 2] = [u64::MAX, 0xffff];

pub(crate) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    moves(s, m) || arithmetic(s, m) || compares(s, m) || control(s, m) || save::step(s, m)
}

/// The physical number of stack register `st`.
fn number(s: &Step<'_>, st: usize) -> usize {
    (s.guest.x87_top() + st) % 8
}

fn get(s: &mut Step<'_>, st: usize) -> [u64; 2] {
    let n = number(s, st);
    let v = s.registers.x87[n];
    s.taint(v != [0; 2], s.registers.origin.x87[n]);
    v
}

fn set(s: &mut Step<'_>, st: usize, v: [u64; 2]) {
    let n = number(s, st);
    s.write_x87(n, v);
}

/// Where a push puts its value: below the top.
const BELOW: usize = 7;

fn lazy(v: bool) -> [u64; 2] {
    if v { FULL } else { [0; 2] }
}

/// Condition codes that an instruction makes; the others stay.
fn set_some_codes(s: &mut Step<'_>, codes: u16, v: bool) {
    let kept = s.registers.x87_codes & !codes;
    let tag = if kept != 0 { s.registers.origin.x87_codes } else { 0 };
    s.registers.x87_codes = kept | if v { codes } else { 0 };
    s.registers.origin.x87_codes = if v { tag.max(s.origin) } else { tag };
}

fn set_codes(s: &mut Step<'_>, v: bool) {
    set_some_codes(s, CODES, v);
}

/// C1 says how a result was rounded.
const ROUNDED: u16 = 0x200;
/// C1, and C2 for an operand out of range.
const REDUCED: u16 = 0x600;

/// V bits of a source operand: a stack register or memory. All or nothing.
fn source(s: &mut Step<'_>, op: u32) -> bool {
    let register = s.register(op);
    if register.is_st() {
        return get(s, register.number()) != [0; 2];
    }
    if !s.is_memory(op) {
        return false;
    }
    let size = s.insn.memory_size().size().clamp(1, 16);
    let address = s.address(op, size, Access::Load);
    let mut v = [0; 16];
    s.load_v(address, &mut v[..size]);
    v.iter().any(|&v| v != 0)
}

/// The stack register that is operand `op`.
fn stack(s: &Step<'_>, op: u32) -> usize {
    let register = s.register(op);
    if register.is_st() { register.number() } else { 0 }
}

fn moves(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Fld => {
            // iced names st0 as the destination of both forms.
            let from = s.insn.op_count() - 1;
            if s.register(from).is_st() {
                let v = get(s, stack(s, from));
                set(s, BELOW, v);
            } else if s.width(from) == 80 {
                let address = s.address(from, 10, Access::Load);
                let mut v = [0; 16];
                s.load_v(address, &mut v[..10]);
                let word = |at: usize| {
                    let mut word = [0; 8];
                    word.copy_from_slice(&v[at..at + 8]);
                    u64::from_le_bytes(word)
                };
                set(s, BELOW, [word(0), word(8)]);
            } else {
                let v = source(s, from);
                set(s, BELOW, lazy(v));
            }
        }
        Fild | Fbld => {
            let v = source(s, s.insn.op_count() - 1);
            set(s, BELOW, lazy(v));
        }
        Fld1 | Fldz | Fldpi | Fldl2e | Fldl2t | Fldlg2 | Fldln2 => {
            set(s, BELOW, [0; 2]);
            set_some_codes(s, ROUNDED, false);
        }
        Fst | Fstp if s.register(0).is_st() => {
            let v = get(s, 0);
            set(s, stack(s, 0), v);
        }
        Fst | Fstp | Fist | Fistp | Fisttp | Fbstp => {
            let v = get(s, 0);
            let size = s.insn.memory_size().size().clamp(1, 10);
            let mut bytes = [0; 16];
            if m == Fstp && size == 10 {
                bytes[..8].copy_from_slice(&v[0].to_le_bytes());
                bytes[8..].copy_from_slice(&v[1].to_le_bytes());
            } else if v != [0; 2] {
                bytes.fill(0xff);
            }
            let address = s.address(0, size, Access::Store);
            s.store(address, &bytes[..size]);
            set_some_codes(s, ROUNDED, v != [0; 2] && !(m == Fstp && size == 10));
        }
        Fxch => {
            let other = (0..s.insn.op_count()).map(|op| stack(s, op)).max().unwrap_or(1);
            let a = get(s, 0);
            let from_a = core::mem::take(&mut s.origin);
            let b = get(s, other);
            set(s, 0, b);
            s.origin = from_a;
            set(s, other, a);
        }
        Fcmovb | Fcmove | Fcmovbe | Fcmovu | Fcmovnb | Fcmovne | Fcmovnbe | Fcmovnu => {
            let flag = match m {
                Fcmovb | Fcmovnb => Flags::C,
                Fcmove | Fcmovne => Flags::Z,
                Fcmovbe | Fcmovnbe => Flags::BE,
                _ => Flags::P,
            };
            let values = s.flag_values();
            let is = match flag {
                Flags::BE => values & (Flags::C | Flags::Z) != 0,
                _ => values & flag != 0,
            };
            let yes = is != matches!(m, Fcmovnb | Fcmovne | Fcmovnbe | Fcmovnu);
            let c = s.flag(flag).v != 0;
            let (old, new) = (get(s, 0), get(s, stack(s, 1)));
            if c {
                set(s, 0, FULL);
            } else {
                set(s, 0, if yes { new } else { old });
            }
        }
        Ffree | Ffreep | Fincstp | Fdecstp => {}
        _ => return false,
    }
    true
}

fn arithmetic(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Fadd | Fsub | Fsubr | Fmul | Fdiv | Fdivr | Fiadd | Fisub | Fisubr | Fimul | Fidiv | Fidivr
        | Faddp | Fsubp | Fsubrp | Fmulp | Fdivp | Fdivrp => {
            let count = s.insn.op_count();
            let v =
                if count == 1 { source(s, 0) | (get(s, 0) != [0; 2]) } else { source(s, 0) | source(s, 1) };
            // From memory into st0.
            let to = if count == 1 { 0 } else { stack(s, 0) };
            set(s, to, lazy(v));
            set_some_codes(s, ROUNDED, v);
        }
        // These change the sign bit only.
        Fabs | Fchs => {
            let [low, mut high] = get(s, 0);
            if m == Fabs {
                high &= 0x7fff;
            }
            set(s, 0, [low, high]);
            set_some_codes(s, ROUNDED, false);
        }
        Fsqrt | Frndint | F2xm1 | Fsin | Fcos => {
            let v = get(s, 0) != [0; 2];
            set(s, 0, lazy(v));
            set_some_codes(s, REDUCED, v);
        }
        Fscale | Fprem | Fprem1 => {
            let v = (get(s, 0) != [0; 2]) | (get(s, 1) != [0; 2]);
            set(s, 0, lazy(v));
            set_codes(s, v);
        }
        // The result replaces st1, and st0 is popped.
        Fpatan | Fyl2x | Fyl2xp1 => {
            let v = (get(s, 0) != [0; 2]) | (get(s, 1) != [0; 2]);
            set(s, 1, lazy(v));
            set_some_codes(s, ROUNDED, v);
        }
        // One result in place, one pushed.
        Fptan | Fsincos | Fxtract => {
            let v = get(s, 0) != [0; 2];
            set(s, 0, lazy(v));
            set(s, BELOW, lazy(v));
            set_some_codes(s, REDUCED, v);
        }
        _ => return false,
    }
    true
}

fn compares(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Fcom | Fcomp | Fucom | Fucomp | Ficom | Ficomp => {
            let last = s.insn.op_count() - 1;
            let v = (get(s, 0) != [0; 2]) | source(s, last);
            set_codes(s, v);
        }
        Fcompp | Fucompp => {
            let v = (get(s, 0) != [0; 2]) | (get(s, 1) != [0; 2]);
            set_codes(s, v);
        }
        Ftst | Fxam => {
            let v = get(s, 0) != [0; 2];
            set_codes(s, v);
        }
        Fcomi | Fcomip | Fucomi | Fucomip => {
            let v = (get(s, 0) != [0; 2]) | source(s, 1);
            let mut status = Status::lazy(Flags::STATUS, false);
            for flag in [Flags::Z, Flags::P, Flags::C] {
                status.set(flag, false, v);
            }
            s.set_flags(status);
        }
        _ => return false,
    }
    true
}

fn control(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Fnop | Wait | Fnclex | Fclex => {}
        Fninit | Finit => set_codes(s, false),
        Fnstsw | Fstsw => {
            let v = u64::from(s.registers.x87_codes);
            s.taint(v != 0, s.registers.origin.x87_codes);
            s.write(0, v);
        }
        Fnstcw | Fstcw => s.write(0, 0),
        Fldcw => {
            s.read(0);
        }
        _ => return false,
    }
    true
}

/// Whether any of the bits in `bytes` is set, as the V of a whole.
fn any(bytes: &[u8]) -> bool {
    bytes.iter().any(|&v| v != 0)
}

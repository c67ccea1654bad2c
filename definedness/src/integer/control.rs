//! Branches, conditional moves, flag instructions, and instructions that only read or set machine state.

use crate::bits::{self, Bits, spread};
use crate::flags::{self, Flags, Status};
use crate::operand::Step;
use crate::state::Access;
use iced_x86::{Code, ConditionCode, Mnemonic, OpKind, Register};

pub(super) fn step(s: &mut Step<'_>, m: Mnemonic) -> bool {
    branches(s, m) || conditions(s, m) || flag_moves(s, m) || machine(s, m)
}

fn branches(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    let far = s.insn.is_call_far()
        || s.insn.is_call_far_indirect()
        || s.insn.is_jmp_far()
        || s.insn.is_jmp_far_indirect();
    match m {
        Ja | Jae | Jb | Jbe | Je | Jg | Jge | Jl | Jle | Jne | Jno | Jnp | Jns | Jo | Jp | Js => {
            let c = s.condition(s.insn.condition_code());
            s.report_condition(c.v != 0);
        }
        Jcxz | Jecxz | Jrcxz => {
            let width = match m {
                Jcxz => 16,
                Jecxz => 32,
                _ => 64,
            };
            let c = s.gpr(1, width);
            s.report_condition(c.zero_undefined());
        }
        Loop | Loope | Loopne => {
            let code = s.insn.code();
            let narrow = matches!(code, Code::Loop_rel8_64_ECX | Code::Loope_rel8_64_ECX)
                || code == Code::Loopne_rel8_64_ECX;
            let width = if narrow { 32 } else { 64 };
            let count = s.gpr(1, width);
            let z = if m == Loop { Bits::default() } else { s.flag(Flags::Z) };
            // It ends if the count is one; a count or a flag that surely ends it makes the other idle.
            let one = Bits::defined(1);
            let last = bits::equal_undefined(count, one);
            let ends = m != Loop && z.v == 0 && (z.a == 0) == (m == Loope);
            let settled = ends || count == one;
            s.report_condition(!settled && (last || z.v != 0));
            s.set_gpr(1, 0, width, bits::sub(count, one, width).v);
        }
        Jmp if !far => {
            if s.insn.op_kind(0) == OpKind::Register || s.is_memory(0) {
                let target = s.read(0);
                s.report_target(target.v != 0);
            }
        }
        Call if !far => {
            if s.insn.op_kind(0) == OpKind::Register || s.is_memory(0) {
                let target = s.read(0);
                s.report_target(target.v != 0);
            }
            s.push(64, 0);
        }
        Ret => {
            let target = s.pop(64);
            s.report_target(target.v != 0);
            if s.insn.op_count() == 1 {
                s.move_stack(u64::from(s.insn.immediate16()));
            }
        }
        _ => return false,
    }
    true
}

fn conditions(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Cmova | Cmovae | Cmovb | Cmovbe | Cmove | Cmovg | Cmovge | Cmovl | Cmovle | Cmovne | Cmovno
        | Cmovnp | Cmovns | Cmovo | Cmovp | Cmovs => {
            let c = s.condition(s.insn.condition_code());
            let condition = core::mem::take(&mut s.origin);
            // Memory is loaded whatever the condition is.
            let no = s.read(0);
            let from_no = core::mem::take(&mut s.origin);
            let yes = s.read(1);
            if c.v != 0 {
                s.origin = s.origin.max(from_no).max(condition);
                s.write(0, yes.v | no.v | (yes.a ^ no.a));
            } else if c.a != 0 {
                s.write(0, yes.v);
            } else {
                s.origin = from_no;
                s.write(0, no.v);
            }
        }
        _ if s.insn.condition_code() != ConditionCode::None
            && s.insn.op_count() == 1
            && s.width(0) == 8
            && !s.insn.is_jcc_short_or_near() =>
        {
            let c = s.condition(s.insn.condition_code());
            s.write(0, c.v);
        }
        _ => return false,
    }
    true
}

fn flag_moves(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Pushf | Pushfq => {
            let v = s.registers.flags.rflags();
            s.taint(v != 0, s.registers.origin.flags);
            s.push(if m == Pushf { 16 } else { 64 }, v);
        }
        Popf | Popfq => {
            let b = s.pop(if m == Popf { 16 } else { 64 });
            let mut status = Status::lazy(Flags::STATUS | Flags::D, false);
            status.values = flags::from_rflags(b.a);
            status.v |= flags::from_rflags(b.v);
            s.set_flags(status);
        }
        Lahf => {
            let v = s.registers.flags.rflags() & 0xd5;
            s.taint(v != 0, s.registers.origin.flags);
            s.set_gpr(0, 8, 8, v);
        }
        Sahf => {
            let b = s.read_register(Register::AH);
            let mut status = Status::lazy(Flags::STATUS & !Flags::O, false);
            status.values = flags::from_rflags(b.a & 0xd5);
            status.v |= flags::from_rflags(b.v & 0xd5);
            s.set_flags(status);
        }
        Clc | Stc => {
            let mut status = Status::lazy(Flags::C, false);
            status.set(Flags::C, m == Stc, false);
            s.set_flags(status);
        }
        Cmc => {
            let c = s.flag(Flags::C);
            let mut status = Status::lazy(Flags::C, false);
            status.set(Flags::C, c.a == 0, c.v != 0);
            s.set_flags(status);
        }
        Cld | Std => s.set_flags(Status::lazy(Flags::D, false)),
        _ => return false,
    }
    true
}

fn machine(s: &mut Step<'_>, m: Mnemonic) -> bool {
    use Mnemonic::*;
    match m {
        Nop | Reservednop | Endbr64 | Endbr32 | Pause | Lfence | Mfence | Sfence | Prefetch | Prefetchnta
        | Prefetcht0 | Prefetcht1 | Prefetcht2 | Prefetchw | Prefetchwt1 | Int3 | Ud0 | Ud1 | Ud2 | Hlt
        | Serialize => {}
        Clflush | Clflushopt | Clwb | Cldemote => {
            s.address(0, 1, Access::Load);
        }
        Rdtsc => defined(s, &[0, 2]),
        Rdtscp => defined(s, &[0, 1, 2]),
        Rdpmc | Xgetbv => {
            let v = spread(s.gpr(1, 32).v, u64::MAX);
            s.set_gpr(0, 0, 32, v);
            s.set_gpr(2, 0, 32, v);
        }
        Cpuid => {
            // ECX is often not set where the leaf does not use it.
            let leaf = s.gpr(0, 32);
            let mut v = leaf.v;
            if matches!(
                leaf.a,
                4 | 7 | 0xb | 0xd | 0xf | 0x10 | 0x12 | 0x14 | 0x17 | 0x18 | 0x1a | 0x1b | 0x1d
                    ..=0x20 | 0x23 | 0x24 | 0x8000_001d | 0x8000_0020 | 0x8000_0026
            ) {
                v |= s.gpr(1, 32).v;
            }
            for number in [0, 1, 2, 3] {
                s.set_gpr(number, 0, 32, spread(v, u64::MAX));
            }
        }
        Rdrand | Rdseed => {
            s.set_flags(Status::lazy(Flags::STATUS, false));
            s.registers.flags.0 &= Flags::D;
            s.write(0, 0);
        }
        Rdpid | Rdfsbase | Rdgsbase => s.write(0, 0),
        Wrfsbase | Wrgsbase => {
            // It becomes part of addresses, where no V bits are kept.
            let b = s.read(0);
            if b.v != 0 {
                s.report_address(Access::Load, 8, s.origin);
            }
        }
        Syscall => {
            let v = s.registers.flags.rflags();
            s.taint(v != 0, s.registers.origin.flags);
            s.set_gpr(11, 0, 64, v);
            s.set_gpr(1, 0, 64, 0);
            s.set_gpr(0, 0, 64, 0);
        }
        _ => return false,
    }
    true
}

fn defined(s: &mut Step<'_>, numbers: &[usize]) {
    for &number in numbers {
        s.set_gpr(number, 0, 32, 0);
    }
}

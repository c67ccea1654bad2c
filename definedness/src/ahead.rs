//! A look ahead at a branch whose condition is undefined: does it matter which way it goes?
//!
//! Compilers evaluate `a && b` in the other order when that cannot fault: then a branch depends on `b`, which nobody has set
//! because `a` is false, and a few instructions later one that depends on `a` leads to the same place. So the instructions
//! on one side are followed on a copy of the registers: if a branch that is defined, or all that are reached, leads to where
//! the other side begins, the first branch decides nothing.
//!
//! What the followed side has changed by then must not be read there before it is overwritten. That is looked for in
//! straight code only: what is not found counts as dead.

use crate::flags::{self, Flags};
use crate::operand::{Step, place};
use crate::state::{Guest, Registers, Shadow};
use crate::{Rules, bits, bits::Bits};
use core::cell::Cell;
use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpAccess, OpKind, Register,
    RflagsBits,
};

/// Guest code and memory, as they can be read without an effect.
pub trait Surroundings {
    /// Copies bytes of code at `pc`; returns how many there are.
    fn code(&self, pc: u64, bytes: &mut [u8]) -> usize;
    /// Copies bytes of memory and their V bits. False when the guest may not read them all.
    fn load(&self, address: u64, a: &mut [u8], v: &mut [u8]) -> bool;
}

/// What a look ahead has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Both sides lead to the same place.
    Same,
    /// They do not, with the values of now.
    Differs,
    /// Nor would they with others: the code is not of that form.
    Never,
}

/// Instructions that are followed on one side, and branches.
const MOST: usize = 24;
/// The flags that conditions depend on.
const COMPARED: u32 = RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::CF | RflagsBits::PF;
/// Instructions that are looked at where both sides meet.
const MEETING: usize = 12;

/// A copy of the guest's state that instructions are followed on.
struct State<'a> {
    guest: &'a dyn Guest,
    around: &'a dyn Surroundings,
    gpr: [u64; 16],
    rflags: u64,
    /// An access to memory that cannot be followed.
    failed: Cell<bool>,
}

/// The side of V bits: nothing is stored.
struct Memory<'a> {
    around: &'a dyn Surroundings,
    failed: bool,
}

impl Shadow for Memory<'_> {
    fn load(&mut self, address: u64, v: &mut [u8]) -> u64 {
        let mut a = [0; 8];
        let size = v.len().min(a.len());
        self.failed |= v.len() > a.len() || !self.around.load(address, &mut a[..size], &mut v[..size]);
        address
    }

    fn store(&mut self, _: u64, _: &[u8], _: u64) {
        self.failed = true;
    }
}

impl<'a> State<'a> {
    fn new(guest: &'a dyn Guest, around: &'a dyn Surroundings) -> State<'a> {
        let gpr = core::array::from_fn(|number| guest.gpr(number));
        State { guest, around, gpr, rflags: guest.rflags(), failed: Cell::new(false) }
    }
}

impl Guest for State<'_> {
    fn gpr(&self, number: usize) -> u64 {
        self.gpr[number]
    }

    fn rflags(&self) -> u64 {
        self.rflags
    }

    fn vector(&self, number: usize) -> [u64; 8] {
        self.guest.vector(number)
    }

    fn mask(&self, number: usize) -> u64 {
        self.guest.mask(number)
    }

    fn mmx(&self, number: usize) -> u64 {
        self.guest.mmx(number)
    }

    fn x87_top(&self) -> usize {
        self.guest.x87_top()
    }

    fn fs_base(&self) -> u64 {
        self.guest.fs_base()
    }

    fn gs_base(&self) -> u64 {
        self.guest.gs_base()
    }

    fn state_components(&self) -> u64 {
        self.guest.state_components()
    }

    fn state_in_use(&self) -> u64 {
        self.guest.state_in_use()
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        let mut v = [0; 8];
        let size = bytes.len().min(v.len());
        if bytes.len() > v.len() || !self.around.load(address, bytes, &mut v[..size]) {
            self.failed.set(true);
        }
    }
}

/// Where straight code leads.
enum Way {
    To(u64),
    /// It cannot be followed.
    Nowhere,
}

impl Rules {
    /// Looks ahead at `branch`, a conditional jump whose condition is undefined. `guest` and `registers`: before it.
    pub fn look_ahead(
        &mut self,
        branch: &Instruction,
        guest: &dyn Guest,
        registers: &Registers,
        around: &dyn Surroundings,
    ) -> Ahead {
        let mut found = Ahead::Never;
        let (taken, next) = (branch.near_branch_target(), branch.next_ip());
        for (meeting, side) in [(taken, next), (next, taken)] {
            let meeting = behind_jumps(around, meeting);
            let mut state = State::new(guest, around);
            match self.follow(&mut state, registers.clone(), side, meeting) {
                Ahead::Same if !self.is_read(meeting, &state) => return Ahead::Same,
                Ahead::Same | Ahead::Differs => found = Ahead::Differs,
                Ahead::Never => (),
            }
        }
        found
    }

    /// Follows a side from `pc` on: whether it leads to `meeting` by a branch.
    fn follow(
        &mut self,
        state: &mut State<'_>,
        mut registers: Registers,
        mut pc: u64,
        meeting: u64,
    ) -> Ahead {
        let mut branches = 0;
        for _ in 0..MOST {
            let Some(insn) = decode(state.around, pc) else { break };
            match insn.flow_control() {
                FlowControl::UnconditionalBranch if insn.is_jmp_short_or_near() => {
                    pc = insn.near_branch_target();
                }
                FlowControl::ConditionalBranch if insn.is_jcc_short_or_near() => {
                    branches += 1;
                    let (taken, next) = (insn.near_branch_target(), insn.next_ip());
                    let condition = insn.condition_code();
                    let meets = |pc| behind_jumps(state.around, pc) == meeting;
                    pc = if registers.flags.0 & Flags::of(condition) == 0 {
                        let holds = flags::holds(condition, flags::from_rflags(state.rflags));
                        let to = if holds { taken } else { next };
                        if meets(to) {
                            return Ahead::Same;
                        }
                        to
                    } else if meets(taken) {
                        next
                    } else if meets(next) {
                        taken
                    } else {
                        return Ahead::Differs;
                    };
                }
                FlowControl::Next => match self.one(state, &mut registers, &insn) {
                    Way::To(next) => pc = next,
                    Way::Nowhere => break,
                },
                _ => break,
            }
        }
        if branches == 0 { Ahead::Never } else { Ahead::Differs }
    }

    /// Executes an instruction on the copy.
    fn one(&mut self, state: &mut State<'_>, registers: &mut Registers, insn: &Instruction) -> Way {
        let Some(effect) = effect(state, insn) else { return Way::Nowhere };
        let mut memory = Memory { around: state.around, failed: false };
        let mut reported = false;
        self.step(insn, &*state, &mut memory, registers, &mut |_| reported = true);
        if memory.failed || reported || state.failed.get() {
            return Way::Nowhere;
        }
        effect.apply(state, insn);
        Way::To(insn.next_ip())
    }

    /// Whether a general register or the flags, where they are not the guest's, are read in the straight code at `pc` before
    /// they are overwritten.
    fn is_read(&mut self, mut pc: u64, state: &State<'_>) -> bool {
        let mut changed: [bool; 16] =
            core::array::from_fn(|number| state.gpr[number] != state.guest.gpr(number));
        let mut flags = state.rflags != state.guest.rflags();
        for _ in 0..MEETING {
            if !flags && !changed.contains(&true) {
                return false;
            }
            let Some(insn) = decode(state.around, pc) else { return false };
            if flags && insn.rflags_read() != 0 {
                return true;
            }
            flags &= insn.rflags_modified() & COMPARED != COMPARED;
            // A register less itself is no input.
            let clears = matches!(insn.mnemonic(), Mnemonic::Xor | Mnemonic::Sub)
                && insn.op1_kind() == OpKind::Register
                && insn.op0_register() == insn.op1_register();
            for used in self.info.info(&insn).used_registers() {
                let Some((number, ..)) = place(used.register()) else { continue };
                let whole = used.register().size() >= 4;
                match used.access() {
                    OpAccess::Write if whole => changed[number] = false,
                    _ if clears => changed[number] = false,
                    OpAccess::Write | OpAccess::CondWrite | OpAccess::None | OpAccess::NoMemAccess => (),
                    _ if changed[number] => return true,
                    _ => (),
                }
            }
            if insn.flow_control() != FlowControl::Next {
                return false;
            }
            pc = insn.next_ip();
        }
        false
    }
}

/// General registers and RFLAGS behind an instruction, as a look ahead computes them; `None` for one that it does not follow.
#[doc(hidden)]
pub fn executed(
    insn: &Instruction,
    guest: &dyn Guest,
    around: &dyn Surroundings,
) -> Option<([u64; 16], u64)> {
    let mut state = State::new(guest, around);
    let effect = effect(&state, insn).filter(|_| !state.failed.get())?;
    effect.apply(&mut state, insn);
    Some((state.gpr, state.rflags))
}

/// What an instruction does to values.
struct Effect {
    result: Option<u64>,
    flags: u64,
}

impl Effect {
    fn apply(&self, state: &mut State<'_>, insn: &Instruction) {
        state.rflags = self.flags;
        let Some((result, (number, low, width))) = self.result.zip(place(insn.op0_register())) else {
            return;
        };
        let written = if width == 32 { u64::MAX } else { bits::ones(width) << low };
        state.gpr[number] = state.gpr[number] & !written | (result & bits::ones(width)) << low;
    }
}

/// `None` for instructions that are not followed: those that store, or are none of the few that compute conditions.
fn effect(state: &State<'_>, insn: &Instruction) -> Option<Effect> {
    use Mnemonic::*;
    let mut nothing = Registers::default();
    let mut memory = Memory { around: state.around, failed: false };
    let mut ignore = |_| ();
    let mut step = Step::new(insn, state, &mut memory, &mut nothing, &mut ignore);
    let m = insn.mnemonic();
    if matches!(m, Nop | Endbr64) {
        return Some(Effect { result: None, flags: state.rflags });
    }
    let compares = matches!(m, Cmp | Test);
    let first_is_register = insn.op0_kind() == OpKind::Register;
    if !(first_is_register && insn.op0_register().is_gpr() || compares && step.is_memory(0)) {
        return None;
    }
    let width = step.width(0);
    let mut status = None;
    let result = match m {
        // Segments and control registers are not known.
        Mov if step.register(1) != Register::None && !step.register(1).is_gpr() => return None,
        Mov => step.read(1).a,
        Movzx => step.read(1).a,
        Movsx | Movsxd => {
            let from = step.width(1);
            step.read(1).extend(from, width).a
        }
        // It computes without the segment.
        Lea if insn.segment_prefix() != Register::None => return None,
        Lea => step.raw_address(1, 0),
        Add | Sub | Cmp => {
            let (a, b) = (step.read(0), step.read(1));
            let (r, s) = flags::arithmetic(a, b, Bits::default(), width, m != Add);
            status = Some(s);
            r.a
        }
        And | Test | Or | Xor => {
            let (a, b) = (step.read(0), step.read(1));
            let r = match m {
                Or => a.or(b),
                Xor => a.xor(b),
                _ => a.and(b),
            };
            status = Some(flags::logic(r, width));
            r.a
        }
        Not => step.read(0).not(width).a,
        _ if insn.condition_code() != ConditionCode::None => {
            let holds = flags::holds(insn.condition_code(), flags::from_rflags(state.rflags));
            match m {
                Sete | Setne | Seta | Setae | Setb | Setbe | Setg | Setge | Setl | Setle | Sets | Setns => {
                    u64::from(holds)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let mut flags = state.rflags;
    if let Some(status) = status {
        let written = Flags(status.written).rflags();
        flags = flags & !written | Flags(status.values & status.written).rflags();
    }
    Some(Effect { result: (!compares).then_some(result), flags })
}

fn decode(around: &dyn Surroundings, pc: u64) -> Option<Instruction> {
    let mut bytes = [0; 15];
    let length = around.code(pc, &mut bytes);
    let insn = Decoder::with_ip(64, &bytes[..length], pc, DecoderOptions::NONE).decode();
    (!insn.is_invalid()).then_some(insn)
}

/// Where one gets from `pc` without doing anything.
fn behind_jumps(around: &dyn Surroundings, mut pc: u64) -> u64 {
    for _ in 0..4 {
        match decode(around, pc) {
            Some(insn) if insn.is_jmp_short_or_near() => pc = insn.near_branch_target(),
            _ => break,
        }
    }
    pc
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: u64 = 0x1000;
    const DATA: u64 = 0x2000;

    struct World {
        code: Vec<u8>,
        data: Vec<u8>,
        gpr: [u64; 16],
        rflags: u64,
    }

    impl Surroundings for World {
        fn code(&self, pc: u64, bytes: &mut [u8]) -> usize {
            let rest = pc.checked_sub(CODE).and_then(|at| self.code.get(at as usize..)).unwrap_or(&[]);
            let length = rest.len().min(bytes.len());
            bytes[..length].copy_from_slice(&rest[..length]);
            length
        }

        fn load(&self, address: u64, a: &mut [u8], v: &mut [u8]) -> bool {
            let Some(at) = address.checked_sub(DATA).map(|at| at as usize) else { return false };
            let Some(bytes) = self.data.get(at..at + a.len()) else { return false };
            a.copy_from_slice(bytes);
            v.fill(0);
            true
        }
    }

    impl Guest for World {
        fn gpr(&self, number: usize) -> u64 {
            self.gpr[number]
        }

        fn rflags(&self) -> u64 {
            self.rflags
        }

        fn vector(&self, _: usize) -> [u64; 8] {
            [0; 8]
        }

        fn mask(&self, _: usize) -> u64 {
            0
        }

        fn mmx(&self, _: usize) -> u64 {
            0
        }

        fn x87_top(&self) -> usize {
            0
        }

        fn fs_base(&self) -> u64 {
            0
        }

        fn gs_base(&self) -> u64 {
            0
        }

        fn state_components(&self) -> u64 {
            3
        }

        fn state_in_use(&self) -> u64 {
            3
        }

        fn read(&self, address: u64, bytes: &mut [u8]) {
            let mut v = [0; 8];
            self.load(address, bytes, &mut v);
        }
    }

    /// Looks ahead at the branch at the beginning of `code`, whose flags are undefined; `rdi` points to `data`.
    fn look(code: &[u8], data: &[u8], rsi: u64, rsi_v: u64) -> Ahead {
        let mut gpr = [0; 16];
        (gpr[7], gpr[6]) = (DATA, rsi);
        let world = World { code: code.to_vec(), data: data.to_vec(), gpr, rflags: 0x202 };
        let branch = decode(&world, CODE).expect("a branch");
        let mut registers = Registers {
            flags: Flags(Flags::STATUS | Flags::L | Flags::LE | Flags::BE),
            ..Registers::default()
        };
        registers.gpr[6] = rsi_v;
        Rules::new().look_ahead(&branch, &world, &registers, &world)
    }

    #[test]
    fn a_defined_branch_to_the_same_place_settles_it() {
        // je L; test esi, esi; je L; ret; L: xor eax, eax; ret
        let code = [0x74, 5, 0x85, 0xf6, 0x74, 1, 0xc3, 0x31, 0xc0, 0xc3];
        assert_eq!(look(&code, &[], 0, 0), Ahead::Same);
        assert_eq!(look(&code, &[], 1, 0), Ahead::Differs);
        assert_eq!(look(&code, &[], 0, 1), Ahead::Differs, "it is undefined, too");
        assert_eq!(look(&code, &[], 2, 1), Ahead::Differs);
    }

    #[test]
    fn the_other_side_may_be_the_one() {
        // jne S; L: ret; S: cmp byte [rdi], 0; je L; ud2
        let code = [0x75, 1, 0xc3, 0x80, 0x3f, 0, 0x74, 0xfa, 0x0f, 0x0b];
        assert_eq!(look(&code, &[0], 0, 0), Ahead::Same);
        assert_eq!(look(&code, &[7], 0, 0), Ahead::Differs);
        assert_eq!(look(&code, &[], 0, 0), Ahead::Never, "memory that cannot be read");
    }

    #[test]
    fn jumps_on_the_way_and_values_that_are_computed() {
        // je A; movzx eax, byte [rdi]; and eax, 15; sub eax, 3; je B; ret; A: jmp L; B: jmp L; L: ret
        let code = [
            0x74, 12, 0x0f, 0xb6, 0x07, 0x83, 0xe0, 15, 0x83, 0xe8, 3, 0x74, 5, 0xc3, 0xeb, 2, 0x90, 0x90,
            0xeb, 0, 0xc3,
        ];
        // A: at 14 leads to 18, and B at 18 to 20.
        assert_eq!(look(&code, &[0x33], 0, 0), Ahead::Same);
        assert_eq!(look(&code, &[0x34], 0, 0), Ahead::Differs);
    }

    #[test]
    fn what_has_changed_must_not_be_read_there() {
        // je L; mov eax, [rdi]; test eax, eax; jns L; ret; L: mov ecx, eax; ret
        let code = [0x74, 7, 0x8b, 0x07, 0x85, 0xc0, 0x79, 1, 0xc3, 0x89, 0xc1, 0xc3];
        assert_eq!(look(&code, &[0; 4], 0, 0), Ahead::Same, "it has the same value");
        assert_eq!(look(&code, &[1, 0, 0, 0], 0, 0), Ahead::Differs);
        // L: xor eax, eax; ret
        let code = [0x74, 7, 0x8b, 0x07, 0x85, 0xc0, 0x79, 1, 0xc3, 0x31, 0xc0, 0xc3];
        assert_eq!(look(&code, &[1, 0, 0, 0], 0, 0), Ahead::Same);
        // je L; test esi, esi; je L; ret; L: setc al; ret
        let code = [0x74, 5, 0x85, 0xf6, 0x74, 1, 0xc3, 0x0f, 0x92, 0xc0, 0xc3];
        assert_eq!(look(&code, &[], 0, 0), Ahead::Differs, "flags, too");
    }

    #[test]
    fn what_is_not_known_is_not_followed() {
        // je L; mov eax, ds or lea rax, fs:[rsi]; test esi, esi; je L; ret; L: ret
        let segment = [0x74, 7, 0x8c, 0xd8, 0x85, 0xf6, 0x74, 1, 0xc3, 0xc3];
        let address = [0x74, 10, 0x64, 0x48, 0x8d, 0x04, 0x26, 0x85, 0xf6, 0x74, 1, 0xc3, 0xc3];
        for code in [&segment[..], &address] {
            assert_eq!(look(code, &[], 0, 0), Ahead::Never);
        }
    }

    #[test]
    fn stores_and_calls_end_it() {
        // je L; mov [rdi], esi; test esi, esi; je L; ret; L: ret
        let store = [0x74, 7, 0x89, 0x37, 0x85, 0xf6, 0x74, 1, 0xc3, 0xc3];
        assert_eq!(look(&store, &[0; 4], 0, 0), Ahead::Never);
        // je L; call; test esi, esi; je L; ret; L: ret
        let call = [0x74, 10, 0xe8, 0, 0, 0, 0, 0x85, 0xf6, 0x74, 1, 0xc3, 0xc3];
        assert_eq!(look(&call, &[], 0, 0), Ahead::Never);
    }
}

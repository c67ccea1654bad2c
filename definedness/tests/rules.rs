//! What the oracle cannot see: reports, origins, branches, and instructions that save and restore state.

use definedness::{Access, Flags, Guest, Registers, Report, Rule, Rules, Shadow};
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction, MemoryOperand, Register::*};

const BASE: u64 = 0x10000;
const SIZE: usize = 0x2000;

struct State {
    gpr: [u64; 16],
    rflags: u64,
    vector: [[u64; 8]; 32],
    mask: [u64; 8],
    in_use: u64,
    memory: Vec<u8>,
}

impl Guest for State {
    fn gpr(&self, number: usize) -> u64 {
        self.gpr[number]
    }
    fn rflags(&self) -> u64 {
        self.rflags
    }
    fn vector(&self, number: usize) -> [u64; 8] {
        self.vector[number]
    }
    fn mask(&self, number: usize) -> u64 {
        self.mask[number]
    }
    fn mmx(&self, _: usize) -> u64 {
        0
    }
    fn x87_top(&self) -> usize {
        0
    }
    fn fs_base(&self) -> u64 {
        BASE
    }
    fn gs_base(&self) -> u64 {
        0
    }
    fn state_components(&self) -> u64 {
        0xe7
    }
    fn state_in_use(&self) -> u64 {
        self.in_use
    }
    fn read(&self, address: u64, bytes: &mut [u8]) {
        let at = (address - BASE) as usize;
        bytes.copy_from_slice(&self.memory[at..at + bytes.len()]);
    }
}

/// V bits and one tag for each byte; what is outside must not be touched.
struct Bytes {
    v: Vec<u8>,
    tags: Vec<u64>,
}

impl Shadow for Bytes {
    fn load(&mut self, address: u64, v: &mut [u8]) -> u64 {
        let at = (address - BASE) as usize;
        v.copy_from_slice(&self.v[at..at + v.len()]);
        let tags = self.tags[at..at + v.len()].iter().zip(v.iter());
        tags.filter(|(_, v)| **v != 0).map(|(tag, _)| *tag).max().unwrap_or(0)
    }
    fn store(&mut self, address: u64, v: &[u8], origin: u64) {
        let at = (address - BASE) as usize;
        self.v[at..at + v.len()].copy_from_slice(v);
        self.tags[at..at + v.len()].fill(origin);
    }
}

struct Bench {
    guest: State,
    shadow: Bytes,
    registers: Registers,
    rules: Rules,
    reports: Vec<Report>,
}

impl Bench {
    /// Everything defined; rsp in the middle of memory, rbx, rsi and rdi in it.
    fn new() -> Bench {
        let mut gpr = [1; 16];
        gpr[4] = BASE + 0x1000;
        (gpr[3], gpr[6], gpr[7]) = (BASE + 0x100, BASE + 0x200, BASE + 0x300);
        Bench {
            guest: State {
                gpr,
                rflags: 0x202,
                vector: [[0; 8]; 32],
                mask: [u64::MAX; 8],
                in_use: 0xe7,
                memory: vec![0; SIZE],
            },
            shadow: Bytes { v: vec![0; SIZE], tags: vec![0; SIZE] },
            registers: Registers::default(),
            rules: Rules::new(),
            reports: vec![],
        }
    }

    fn undefine(&mut self, number: usize, v: u64, tag: u64) {
        self.registers.gpr[number] = v;
        self.registers.origin.gpr[number] = tag;
    }

    fn undefine_memory(&mut self, at: usize, v: &[u8], tag: u64) {
        self.shadow.v[at..at + v.len()].copy_from_slice(v);
        self.shadow.tags[at..at + v.len()].fill(tag);
    }

    fn decoded(&mut self, bytes: &[u8]) -> Rule {
        let insn = Decoder::with_ip(64, bytes, BASE, DecoderOptions::NONE).decode();
        assert!(!insn.is_invalid(), "{bytes:02x?}");
        let reports = &mut self.reports;
        self.rules.step(&insn, &self.guest, &mut self.shadow, &mut self.registers, &mut |r| reports.push(r))
    }

    fn run(&mut self, insn: Result<Instruction, iced_x86::IcedError>) -> Rule {
        let mut encoder = Encoder::new(64);
        encoder.encode(&insn.unwrap(), BASE).unwrap();
        let bytes = encoder.take_buffer();
        self.decoded(&bytes)
    }

    fn taken(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }
}

fn at(base: iced_x86::Register) -> MemoryOperand {
    MemoryOperand::with_base(base)
}

fn branch(code: Code) -> Result<Instruction, iced_x86::IcedError> {
    Instruction::with_branch(code, BASE + 0x20)
}

#[test]
fn conditions_are_reported_by_branches_only() {
    let mut b = Bench::new();
    b.undefine(0, 0x80, 9);
    b.run(Instruction::with2(Code::Cmp_rm32_imm8, EAX, 5));
    assert_eq!(b.taken(), []);
    b.run(Instruction::with1(Code::Setl_rm8, CL));
    b.run(Instruction::with2(Code::Cmovl_r64_rm64, RDX, RSI));
    assert_eq!(b.taken(), []);
    // The value is 1, or 0x81: below 5 or not.
    assert_eq!(b.registers.gpr[1], 1);
    assert_eq!(b.registers.origin.gpr[1], 9);
    assert_eq!(b.registers.gpr[2], b.guest.gpr[2] ^ b.guest.gpr[6]);
    b.run(branch(Code::Jl_rel8_64));
    assert_eq!(b.taken(), [Report::Condition { origin: 9 }]);
    // Never equal to 5, and never negative.
    b.run(branch(Code::Je_rel8_64));
    b.run(branch(Code::Jo_rel8_64));
    assert_eq!(b.taken(), []);
    assert_eq!(b.registers.gpr[0], 0x80, "a report changes no register");
}

#[test]
fn loops_and_zero_tests() {
    let mut b = Bench::new();
    b.guest.gpr[1] = 0x10;
    b.undefine(1, 1, 3);
    b.run(branch(Code::Jrcxz_rel8_64));
    assert_eq!(b.taken(), []);
    // 16 or 17 before, never zero after.
    b.run(branch(Code::Loop_rel8_64_RCX));
    assert_eq!(b.taken(), []);
    assert_ne!(b.registers.gpr[1], 0);
    b.undefine(1, 0x1f, 3);
    b.run(branch(Code::Loop_rel8_64_RCX));
    assert_eq!(b.taken(), [Report::Condition { origin: 3 }]);
}

#[test]
fn targets_and_the_stack() {
    let mut b = Bench::new();
    b.undefine(0, 1, 4);
    b.run(Instruction::with1(Code::Jmp_rm64, RAX));
    b.run(Instruction::with1(Code::Call_rm64, RAX));
    assert_eq!(b.taken(), [Report::Target { origin: 4 }; 2]);
    b.undefine_memory(0x1000, &[0, 0, 1, 0, 0, 0, 0, 0], 5);
    b.run(Ok(Instruction::with(Code::Retnq)));
    assert_eq!(b.taken(), [Report::Target { origin: 5 }]);
    // A call stores a defined address.
    b.undefine_memory(0xff8, &[0xff; 8], 6);
    b.run(branch(Code::Call_rel32_64));
    assert_eq!(b.shadow.v[0xff8..0x1000], [0; 8]);
    // push, then pop, of partly undefined bits.
    b.undefine(2, 0xff00, 7);
    b.run(Instruction::with1(Code::Push_r64, RDX));
    assert_eq!(b.shadow.v[0xff8..0x1000], [0, 0xff, 0, 0, 0, 0, 0, 0]);
    b.guest.gpr[4] -= 8;
    b.run(Instruction::with1(Code::Pop_r64, RBP));
    assert_eq!((b.registers.gpr[5], b.registers.origin.gpr[5]), (0xff00, 7));
    // The address is made after the pop.
    b.run(Instruction::with1(Code::Pop_rm64, at(RSP)));
    assert_eq!(b.shadow.v[0x1000..0x1008], [0, 0xff, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b.taken(), []);
    b.run(Instruction::with1(Code::Pop_r64, RSP));
    assert_eq!(b.registers.gpr[4], 0xff00, "pop rsp is what was loaded");
}

#[test]
fn frames() {
    let mut b = Bench::new();
    b.undefine(5, 0xf0, 2);
    b.run(Instruction::with2(Code::Enterq_imm16_imm8, 0x20, 0));
    assert_eq!(b.shadow.v[0xff8], 0xf0);
    assert_eq!((b.registers.gpr[5], b.registers.gpr[4]), (0, 0));
    b.guest.gpr[5] = BASE + 0xff8;
    b.run(Ok(Instruction::with(Code::Leaveq)));
    assert_eq!((b.registers.gpr[5], b.registers.origin.gpr[5]), (0xf0, 2));
    assert_eq!(b.taken(), []);
}

#[test]
fn a_register_added_to_itself_carries_nothing_into_defined_bits() {
    let mut b = Bench::new();
    b.undefine(3, 0xf, 8);
    b.guest.gpr[3] = 0x7fff_fff0;
    b.run(Instruction::with2(Code::Lea_r64_m, RAX, MemoryOperand::with_base_index(RBX, RBX)));
    assert_eq!(b.registers.gpr[0], 0x1e);
}

#[test]
fn addresses_are_reported_once() {
    let mut b = Bench::new();
    b.undefine(3, 1, 8);
    let report = |access| [Report::Address { access, size: 4, origin: 8 }];
    b.run(Instruction::with2(Code::Mov_r32_rm32, EAX, at(RBX)));
    assert_eq!(b.taken(), report(Access::Load));
    b.run(Instruction::with2(Code::Mov_rm32_r32, at(RBX), EAX));
    assert_eq!(b.taken(), report(Access::Store));
    b.run(Instruction::with2(Code::Add_rm32_r32, at(RBX), EAX));
    assert_eq!(b.taken(), report(Access::Load));
    b.run(Instruction::with2(Code::Lea_r64_m, RAX, MemoryOperand::with_base_index_scale(RBX, RCX, 8)));
    b.run(Instruction::with1(Code::Prefetcht0_m8, at(RBX)));
    b.run(Instruction::with1(Code::Nop_rm32, at(RBX)));
    assert_eq!(b.taken(), []);
    assert_eq!(b.registers.gpr[0], 1, "lea is an adder");
    b.run(Instruction::with1(Code::Clflush_m8, at(RBX)));
    assert_eq!(b.taken().len(), 1);
    // A bit offset reaches another word: its upper part is an address.
    b.undefine(3, 0, 0);
    b.undefine(0, 0x100, 2);
    b.run(Instruction::with2(Code::Bt_rm64_r64, at(RBX), RAX));
    assert_eq!(b.taken(), [Report::Address { access: Access::Load, size: 8, origin: 2 }]);
}

#[test]
fn origins_take_the_greatest_tag_of_undefined_inputs() {
    let mut b = Bench::new();
    b.undefine(0, 1, 5);
    b.undefine(1, 1, 3);
    b.registers.origin.gpr[2] = 100;
    b.run(Instruction::with2(Code::Add_rm64_r64, RAX, RCX));
    assert_eq!((b.registers.origin.gpr[0], b.registers.origin.flags), (5, 5));
    b.run(Instruction::with2(Code::Mov_r64_rm64, RSI, RCX));
    b.run(Instruction::with2(Code::Add_rm64_r64, RSI, RDX));
    assert_eq!(b.registers.origin.gpr[6], 3, "a defined input has no say");
    b.run(Instruction::with2(Code::Xchg_rm64_r64, RAX, RCX));
    assert_eq!((b.registers.origin.gpr[0], b.registers.origin.gpr[1]), (3, 5));
    b.run(Instruction::with2(Code::Mov_r8_rm8, AH, DL));
    assert_eq!(b.registers.origin.gpr[0], 3, "the rest of rax is still undefined");
    b.run(Instruction::with2(Code::Mov_r32_rm32, EAX, EDX));
    assert_eq!(b.registers.origin.gpr[0], 0);
    assert_eq!(b.registers.gpr[0], 0);
}

#[test]
fn string_instructions() {
    let mut b = Bench::new();
    for i in 0..100 {
        b.shadow.v[0x200 + i] = i as u8 + 1;
    }
    b.guest.gpr[1] = 100;
    b.guest.gpr[7] = BASE + 0x300;
    let rep = |code| {
        let insn = match code {
            Code::Movsb_m8_m8 => Instruction::with_rep_movsb(64),
            Code::Stosd_m32_EAX => Instruction::with_rep_stosd(64),
            _ => Instruction::with_repe_cmpsb(64),
        };
        Ok(insn.unwrap())
    };
    b.run(rep(Code::Movsb_m8_m8));
    let expected: Vec<u8> = (1..=100).collect();
    assert_eq!(b.shadow.v[0x300..0x364], expected);
    // Overlapping by one byte: the first is repeated.
    b.guest.gpr[7] = b.guest.gpr[6] + 1;
    b.run(rep(Code::Movsb_m8_m8));
    assert_eq!(b.shadow.v[0x200..0x265], [1; 101]);
    // Downwards.
    b.guest.rflags |= 0x400;
    b.guest.gpr[6] = BASE + 0x363;
    b.guest.gpr[7] = BASE + 0x463;
    b.run(rep(Code::Movsb_m8_m8));
    assert_eq!(b.shadow.v[0x400..0x464], expected);
    b.guest.rflags &= !0x400;
    b.undefine(0, 0xff00, 1);
    b.guest.gpr[1] = 20;
    b.guest.gpr[7] = BASE + 0x500;
    b.run(rep(Code::Stosd_m32_EAX));
    assert_eq!(b.shadow.v[0x500..0x550], [0, 0xff, 0, 0].repeat(20));
    assert_eq!(b.taken(), []);
    // Stops before the undefined byte; with equal bytes up to it, it is reported.
    b.guest.gpr[6] = BASE + 0x600;
    b.guest.gpr[7] = BASE + 0x700;
    b.undefine_memory(0x604, &[1], 12);
    b.guest.memory[0x603] = 1;
    b.run(rep(Code::Cmpsb_m8_m8));
    assert_eq!(b.taken(), []);
    assert_eq!((b.registers.gpr[1], b.registers.flags.0), (0, 0));
    b.guest.memory[0x603] = 0;
    b.run(rep(Code::Cmpsb_m8_m8));
    assert_eq!(b.taken(), [Report::Condition { origin: 12 }]);
    // A repeat count is a condition.
    b.undefine(1, 1, 6);
    b.run(rep(Code::Movsb_m8_m8));
    assert_eq!(b.taken(), [Report::Condition { origin: 6 }]);
    // With none, nothing is touched.
    b.undefine(1, 0, 0);
    b.guest.gpr[1] = 0;
    b.guest.gpr[6] = 0;
    b.run(rep(Code::Movsb_m8_m8));
}

#[test]
fn flags_through_memory_and_ah() {
    let mut b = Bench::new();
    b.registers.flags = Flags(Flags::C | Flags::BE);
    b.registers.origin.flags = 3;
    b.run(Ok(Instruction::with(Code::Pushfq)));
    assert_eq!(b.shadow.v[0xff8..0x1000], [1, 0, 0, 0, 0, 0, 0, 0]);
    b.run(Ok(Instruction::with(Code::Lahf)));
    assert_eq!(b.registers.gpr[0], 0x100);
    b.registers.flags = Flags::default();
    b.guest.gpr[4] -= 8;
    b.run(Ok(Instruction::with(Code::Popfq)));
    assert_eq!(b.registers.flags.0, Flags::C | Flags::BE);
    assert_eq!(b.registers.origin.flags, 3);
    b.run(Ok(Instruction::with(Code::Clc)));
    assert_eq!(b.registers.flags.0, 0);
    b.run(Ok(Instruction::with(Code::Sahf)));
    assert_eq!(b.registers.flags.0, Flags::C | Flags::BE);
    // Inverted, it is as undefined as before.
    b.run(Ok(Instruction::with(Code::Cmc)));
    assert_eq!(b.registers.flags.0, Flags::C | Flags::BE);
}

#[test]
fn a_whole_turn_through_the_carry_may_leave_the_overflow_flag() {
    for (code, register, count, stays) in [
        (Code::Rcl_rm8_imm8, AL, 9, true),
        (Code::Rcr_rm8_imm8, AL, 0xc9, true),
        (Code::Rcl_rm8_imm8, AL, 27, true),
        (Code::Rcl_rm16_imm8, AX, 17, true),
        (Code::Rcl_rm8_imm8, AL, 10, false),
        (Code::Rcl_rm16_imm8, AX, 9, false),
        (Code::Rcl_rm32_imm8, EAX, 31, false),
    ] {
        let mut b = Bench::new();
        b.registers.flags = Flags(Flags::O);
        b.run(Instruction::with2(code, register, count));
        assert_eq!(b.registers.flags.0 & Flags::O != 0, stays, "{code:?} {count}");
    }
}

#[test]
fn machine_state_is_defined() {
    let mut b = Bench::new();
    for n in [1, 2] {
        b.undefine(n, u64::MAX, 1);
    }
    b.run(Ok(Instruction::with(Code::Cpuid)));
    assert_eq!(b.registers.gpr[..4], [0; 4], "this leaf does not look at ecx");
    b.guest.gpr[0] = 7;
    b.undefine(1, 1, 1);
    b.run(Ok(Instruction::with(Code::Cpuid)));
    assert_eq!(b.registers.gpr[0], 0xffff_ffff);
    b.undefine(2, u64::MAX, 1);
    b.run(Ok(Instruction::with(Code::Rdtsc)));
    assert_eq!((b.registers.gpr[0], b.registers.gpr[2]), (0, 0));
}

fn dirty_vectors(b: &mut Bench) {
    for n in 0..32 {
        b.registers.vector[n] = [n as u64 + 1; 8];
        b.registers.origin.vector[n] = 40 + n as u64;
    }
    for n in 0..8 {
        b.registers.mask[n] = 0x100 << n;
        b.registers.origin.mask[n] = 80;
        b.registers.x87[n] = [n as u64, 0x7fff];
        b.registers.origin.x87[n] = 90;
    }
    b.registers.x87_codes = 0x4500;
    b.registers.origin.x87_codes = 95;
}

#[test]
fn state_is_saved_and_restored() {
    // fxsave knows 16 bytes of 16 registers.
    let mut b = Bench::new();
    b.guest.gpr[3] = BASE + 0x400;
    dirty_vectors(&mut b);
    let dirty = b.registers.clone();
    b.run(Instruction::with1(Code::Fxsave64_m512byte, at(RBX)));
    b.registers = Registers::default();
    b.run(Instruction::with1(Code::Fxrstor64_m512byte, at(RBX)));
    assert_eq!(b.registers.vector[15], [16, 16, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b.registers.vector[16], [0; 8]);
    assert_eq!(b.registers.x87, dirty.x87);
    assert_eq!((b.registers.x87_codes, b.registers.origin.x87_codes), (0x4500, 95));
    assert_eq!(b.registers.origin.vector[15], 55);

    for compacted in [false, true] {
        let mut b = Bench::new();
        b.guest.gpr[3] = BASE + 0x400;
        dirty_vectors(&mut b);
        b.guest.gpr[0] = 0xe7;
        b.guest.gpr[2] = 0;
        let code = if compacted { Code::Xsavec_mem } else { Code::Xsave_mem };
        b.run(Instruction::with1(code, at(RBX)));
        b.registers = Registers::default();
        b.guest.memory[0x600] = 0xe7;
        if compacted {
            b.guest.memory[0x608] = 0xe7;
            b.guest.memory[0x60f] = 0x80;
        }
        b.run(Instruction::with1(Code::Xrstor_mem, at(RBX)));
        assert_eq!(b.registers, dirty, "compacted: {compacted}");
        // Components that are not in memory are initial.
        b.guest.memory[0x600] = 1;
        b.run(Instruction::with1(Code::Xrstor_mem, at(RBX)));
        assert!(b.registers.vector.iter().all(|v| *v == [0; 8]));
        assert_eq!(b.registers.mask, [0; 8]);
        assert_eq!(b.registers.x87, dirty.x87);
        assert_eq!(b.taken(), []);
    }
}

#[test]
fn what_is_not_saved_keeps_its_bits() {
    let mut b = Bench::new();
    b.guest.gpr[3] = BASE + 0x400;
    b.undefine_memory(0x400, &[0xff; 0xb00], 1);
    b.guest.gpr[0] = 0xe7;
    b.guest.gpr[2] = 0;
    b.guest.in_use = 2;
    b.run(Instruction::with1(Code::Xsavec_mem, at(RBX)));
    assert_eq!(b.shadow.v[0x400 + 160..0x400 + 416], [0; 256]);
    assert_eq!(b.shadow.v[0x400], 0xff, "x87 is initial");
    assert_eq!(b.shadow.v[0x600..0x610], [0; 16], "the header");
    assert_eq!(b.shadow.v[0x640..0x740], [0xff; 256], "so are the upper halves");
    // A request that is undefined is reported.
    b.undefine(0, 4, 6);
    b.run(Instruction::with1(Code::Xsave_mem, at(RBX)));
    assert_eq!(b.taken(), [Report::Address { access: Access::Store, size: 8, origin: 6 }]);
}

#[test]
fn gathers_touch_only_what_the_mask_names() {
    let mut b = Bench::new();
    // Lane 1 is used, the others point nowhere.
    b.guest.vector[1] = [0x7777_7777 | 16 << 32, 0x7777_7777_7777_7777, 0, 0, 0, 0, 0, 0];
    b.guest.vector[2] = [1 << 63, 0, 0, 0, 0, 0, 0, 0];
    b.registers.vector[0] = [0, u64::MAX, 5, 0, 0, 0, 0, 0];
    b.undefine_memory(0x110, &[1, 2, 3, 4], 9);
    let memory = MemoryOperand::with_base_index(RBX, XMM1);
    let gather = Instruction::with3(Code::VEX_Vpgatherdd_xmm_vm32x_xmm, XMM0, memory, XMM2);
    b.registers.vector[2] = [1, 0, 0, 0, 0, 0, 0, 0];
    b.run(gather.clone());
    assert_eq!(b.registers.vector[0], [0x0403_0201_0000_0000, u64::MAX, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b.registers.vector[2], [0; 8]);
    assert_eq!(b.taken(), []);
    // Nothing in the mask, base 0.
    b.guest.vector[2] = [0; 8];
    b.guest.gpr[3] = 0;
    b.run(gather.clone());
    // An undefined index of a lane that is used.
    b.guest.gpr[3] = BASE + 0x100;
    b.guest.vector[2] = [1 << 63, 0, 0, 0, 0, 0, 0, 0];
    b.registers.vector[1][0] = 1 << 32 | 1;
    b.registers.origin.vector[1] = 17;
    b.run(gather.clone());
    assert_eq!(b.taken(), [Report::Address { access: Access::Load, size: 4, origin: 17 }]);
    b.registers.vector[2][0] = 1 << 31;
    b.run(gather.clone());
    assert!(matches!(b.taken()[0], Report::Mask { .. }));
}

#[test]
fn masked_stores_leave_the_rest() {
    let mut b = Bench::new();
    b.undefine_memory(0x100, &[0xff; 32], 1);
    b.guest.vector[1] = [1 << 63, 0, 0, 1 << 31, 0, 0, 0, 0];
    b.run(Instruction::with3(Code::VEX_Vpmaskmovd_m256_ymm_ymm, at(RBX), YMM1, YMM2));
    let v: Vec<bool> = b.shadow.v[0x100..0x120].chunks(4).map(|c| c == [0; 4]).collect();
    assert_eq!(v, [false, true, false, false, false, false, true, false]);
    assert_eq!(b.taken(), []);
}

/// The last 4 bytes of memory: what the mask excludes lies outside, where the test's shadow panics.
#[test]
fn excluded_elements_may_point_nowhere() {
    let mut b = Bench::new();
    b.guest.gpr[3] = BASE + SIZE as u64 - 4;
    b.guest.mask[1] = 1;
    b.undefine_memory(SIZE - 4, &[0, 0, 0, 0xff], 7);
    let load = |code| Instruction::with2(code, ZMM0, at(RBX));
    // vmovdqu32 zmm0{k1}{z}, [rbx]
    let mut insn = load(Code::EVEX_Vmovdqu32_zmm_k1z_zmmm512).unwrap();
    insn.set_op_mask(K1);
    insn.set_zeroing_masking(true);
    b.registers.vector[0] = [u64::MAX; 8];
    b.run(Ok(insn));
    assert_eq!(b.registers.vector[0], [0xff00_0000, 0, 0, 0, 0, 0, 0, 0]);
    // And back, merged over memory.
    let mut insn = Instruction::with2(Code::EVEX_Vmovdqu32_zmmm512_k1z_zmm, at(RBX), ZMM1).unwrap();
    insn.set_op_mask(K1);
    b.run(Ok(insn));
    assert_eq!(b.shadow.v[SIZE - 4..], [0; 4]);
    let mut insn = Instruction::with2(Code::EVEX_Vpcompressd_zmmm512_k1z_zmm, at(RBX), ZMM0).unwrap();
    insn.set_op_mask(K1);
    b.run(Ok(insn));
    assert_eq!(b.shadow.v[SIZE - 4..], [0, 0, 0, 0xff]);
    assert_eq!(b.taken(), []);
    // A bit of the mask that is undefined decides what is touched.
    b.registers.mask[1] = 2;
    b.registers.origin.mask[1] = 5;
    let mut insn = Instruction::with2(Code::EVEX_Vmovdqu32_zmmm512_k1z_zmm, at(RBX), ZMM1).unwrap();
    insn.set_op_mask(K1);
    b.run(Ok(insn));
    assert_eq!(b.taken(), [Report::Mask { origin: 5 }]);
}

#[test]
fn vex_forms_clear_what_is_above() {
    let mut b = Bench::new();
    b.registers.vector[0] = [u64::MAX; 8];
    b.run(Instruction::with2(Code::Movaps_xmm_xmmm128, XMM0, XMM1));
    assert_eq!(b.registers.vector[0][..3], [0, 0, u64::MAX]);
    b.run(Instruction::with2(Code::VEX_Vmovaps_xmm_xmmm128, XMM0, XMM1));
    assert_eq!(b.registers.vector[0], [0; 8]);
    b.registers.vector = [[u64::MAX; 8]; 32];
    b.run(Ok(Instruction::with(Code::VEX_Vzeroupper)));
    assert_eq!(b.registers.vector[15], [u64::MAX, u64::MAX, 0, 0, 0, 0, 0, 0]);
    assert_eq!(b.registers.vector[16], [u64::MAX; 8]);
}

#[test]
fn segment_bases_are_part_of_addresses() {
    let mut b = Bench::new();
    b.undefine_memory(0x28, &[0xff; 8], 2);
    // mov rax, fs:[0x28]
    b.decoded(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0]);
    assert_eq!((b.registers.gpr[0], b.registers.origin.gpr[0]), (u64::MAX, 2));
}

#[test]
fn without_a_rule_of_its_own() {
    let mut b = Bench::new();
    let insn = Instruction::with2(Code::EVEX_Vcvtneps2bf16_ymm_k1z_zmmm512b32, YMM0, at(RBX));
    b.registers.vector[0] = [7; 8];
    assert_eq!(b.run(insn.clone()), Rule::Conservative);
    assert_eq!(b.registers.vector[0], [0; 8], "everything that it reads is defined");
    b.undefine_memory(0x13f, &[1], 33);
    assert_eq!(b.run(insn.clone()), Rule::Conservative);
    assert_eq!(b.registers.vector[0][..4], [u64::MAX; 4]);
    assert_eq!(b.registers.origin.vector[0], 33);
    assert_eq!(b.taken(), []);
    b.undefine(3, 1, 4);
    b.run(insn);
    assert_eq!(b.taken(), [Report::Address { access: Access::Load, size: 64, origin: 4 }]);
}

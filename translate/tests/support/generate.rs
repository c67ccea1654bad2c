//! Random guest programs that end, touch only their own space, and do the same in every execution.
//!
//! A program is a few sections: the main one and functions, some of them twice at addresses with equal low 16 bits
//! (so that they share entries of the branch tables; with BMI2, what lies within 16 bytes does). Some general registers are reserved: pointers into the data
//! area and loop counters; everything else holds anything at any time.

mod forms;

use super::pool::Pool;
use super::rng::Rng;
use super::space::Space;
use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, Encoder, Instruction, InstructionBlock, InstructionInfoFactory,
    MemoryOperand, Mnemonic, OpAccess, OpCodeOperandKind, OpKind, Register,
};

/// Which instructions a program may contain.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Instructions of one program's main section, about.
    pub length: u64,
    /// pushf, popf and system calls, which see the single-step flag or leave the cache.
    pub opaque: bool,
    /// End in a fault or trap.
    pub fault: bool,
}

pub struct Program {
    pub start: u64,
    /// Encoded sections by address.
    pub code: Vec<(u64, Vec<u8>)>,
    /// Memory at the start: what [`Space::restore`] takes.
    pub memory: Vec<u8>,
    pub regs: [u64; 16],
    pub flags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub xstate: Vec<u8>,
}

/// Addresses that stand for instructions until they are encoded.
const FAKE: u64 = 0x0044_0000_0000_0000;
/// Addresses that stand for labels.
const LABEL: u64 = 0x0055_0000_0000_0000;

fn fake(section: usize, index: usize) -> u64 {
    FAKE + ((section as u64) << 32) + ((index as u64) << 4)
}

#[derive(Clone, Copy)]
struct Label(usize);

impl Label {
    fn address(self) -> u64 {
        LABEL + self.0 as u64 * 64
    }
}

#[derive(Default)]
struct Section {
    insns: Vec<Instruction>,
    base: u64,
    /// The section of which this one is a copy.
    copy_of: Option<usize>,
}

struct Function {
    entries: Vec<Label>,
    /// Quadwords that its `ret` pops.
    pops: u64,
}

pub struct Generator<'a> {
    rng: Rng,
    pool: &'a Pool,
    space: &'a Space,
    style: Style,
    sections: Vec<Section>,
    current: usize,
    labels: Vec<Option<(usize, usize)>>,
    table: Vec<(u64, Label)>,
    next_table: u64,
    functions: Vec<Function>,
    /// Registers that random instructions may not write, by encoding order.
    reserved: u32,
    pointers: [(usize, u64); 3],
    counters: [usize; 2],
    small_bases: bool,
    fs_base: u64,
    gs_base: u64,
    encoder: Encoder,
    info: InstructionInfoFactory,
    in_function: bool,
}

fn gpr64(n: usize) -> Register {
    Register::RAX + n as u32
}

fn gpr32(n: usize) -> Register {
    Register::EAX + n as u32
}

const RSP: usize = 4;
const STRING_AND_COUNT: [usize; 5] = [0, 1, 2, 6, 7];

type Made = Option<Vec<Instruction>>;

impl<'a> Generator<'a> {
    pub fn new(seed: u64, pool: &'a Pool, space: &'a Space, style: Style) -> Generator<'a> {
        let mut rng = Rng::new(seed);
        let mut candidates: Vec<usize> =
            (0..16).filter(|n| *n != RSP && !STRING_AND_COUNT.contains(n)).collect();
        let mut take = || candidates.remove(rng.below(candidates.len() as u64) as usize);
        let registers = [take(), take(), take(), take(), take()];
        let mut pointer = |n: usize| (registers[n], space.data() + rng.below(16) * 64 - 512);
        let pointers = [pointer(0), pointer(1), pointer(2)];
        let counters = [registers[3], registers[4]];
        let reserved = registers.iter().fold(1 << RSP, |mask, n| mask | 1 << n);
        let small_bases = rng.one_in(2);
        let (fs_base, gs_base) = if small_bases { (0x40, 0x80) } else { (space.fs(), space.gs()) };
        Generator {
            rng,
            pool,
            space,
            style,
            sections: vec![Section::default()],
            current: 0,
            labels: Vec::new(),
            table: Vec::new(),
            next_table: space.table(),
            functions: Vec::new(),
            reserved,
            pointers,
            counters,
            small_bases,
            fs_base,
            gs_base,
            encoder: Encoder::new(64),
            info: InstructionInfoFactory::new(),
            in_function: false,
        }
    }

    // Building blocks.

    fn emit(&mut self, mut insn: Instruction) {
        let section = &mut self.sections[self.current];
        insn.set_ip(fake(self.current, section.insns.len()));
        section.insns.push(insn);
    }

    fn emit_all(&mut self, insns: Vec<Instruction>) {
        for insn in insns {
            self.emit(insn);
        }
    }

    fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some((self.current, self.sections[self.current].insns.len()));
    }

    /// As `bind`, for a label whose address a table holds: the block encoder knows no address for an instruction
    /// that it has to rewrite.
    fn bind_for_table(&mut self, label: Label) {
        self.bind(label);
        self.emit(Instruction::with(Code::Nopd));
    }

    fn branch(&mut self, code: Code, to: Label) {
        self.emit(Instruction::with_branch(code, to.address()).unwrap());
    }

    fn free(&self, n: usize) -> bool {
        self.reserved & 1 << n == 0
    }

    fn scratch(&mut self) -> usize {
        loop {
            let n = self.rng.below(16) as usize;
            if self.free(n) {
                return n;
            }
        }
    }

    fn scratch_except(&mut self, other: &[usize]) -> usize {
        loop {
            let n = self.scratch();
            if !other.contains(&n) {
                return n;
            }
        }
    }

    fn mov64(n: usize, value: u64) -> Instruction {
        if value <= u64::from(u32::MAX) {
            Instruction::with2(Code::Mov_r32_imm32, gpr32(n), value as u32).unwrap()
        } else {
            Instruction::with2(Code::Mov_r64_imm64, gpr64(n), value).unwrap()
        }
    }

    fn absolute(address: u64) -> MemoryOperand {
        MemoryOperand::with_base_displ(Register::RIP, address as i64)
    }

    fn slot(&mut self) -> u64 {
        let slot = self.next_table;
        // A program that needs more reuses the last one's neighbours, which only loop counters of other loops use.
        self.next_table += 8;
        assert!(slot < self.space.table() + 0x1000, "too many table entries");
        slot
    }

    fn table_slot(&mut self, to: Label) -> u64 {
        let slot = self.slot();
        self.table.push((slot, to));
        slot
    }

    /// Takes an instruction if iced encodes it and it leaves the reserved registers alone.
    fn accept(&mut self, insn: &Instruction) -> bool {
        // Labels stand in as far addresses, so encode RIP-relative operands where they reach.
        let at =
            if insn.is_ip_rel_memory_operand() { insn.ip_rel_memory_address() } else { self.space.code() };
        let ok = self.encoder.encode(insn, at).is_ok();
        drop(self.encoder.take_buffer());
        if !ok {
            return false;
        }
        let reserved = self.reserved;
        self.info.info(insn).used_registers().iter().all(|used| {
            let register = used.register();
            let writes =
                !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
            !(writes && register.is_gpr() && reserved & 1 << register.full_register().number() != 0)
        })
    }

    /// Fills the memory operand `operand` of `insn` for an access of `size` bytes, and says what must run before.
    fn memory(&mut self, insn: &mut Instruction, operand: u32, size: usize) -> Vec<Instruction> {
        let wide = size >= 16;
        let unit = if wide { 64 } else { 1 };
        let mut before = Vec::new();
        let mut displacement = (self.rng.below(2048) as i64 - 1024) / unit * unit;
        if self.rng.one_in(2) {
            // Mostly short forms.
            displacement = (displacement % 128) / unit * unit;
        }
        insn.set_op_kind(operand, OpKind::Memory);
        insn.set_memory_displ_size(8);
        insn.set_memory_index_scale(1);
        let (pointer, at) = self.rng.pick(&self.pointers);
        let segment = match self.rng.below(8) {
            0 | 1 => Register::FS,
            2 => Register::GS,
            _ => Register::None,
        };
        if segment != Register::None && !self.small_bases {
            // The base is far: the rest of the address is a small offset.
            insn.set_segment_prefix(segment);
            let form = self.rng.below(4);
            let displacement = displacement / 2 / unit * unit;
            insn.set_memory_displacement64(displacement as u64);
            let base = self.scratch();
            let index = self.scratch_except(&[base]);
            // An address of 32 bits does not wrap, as its offset is positive.
            let narrow = form & 1 != 0 && self.rng.one_in(3);
            let name = if narrow { gpr32 } else { gpr64 };
            let start = if narrow { 512 + self.garbage() } else { 0 };
            if narrow {
                insn.set_memory_displ_size(4);
            }
            if form & 1 != 0 {
                before.push(Self::mov64(base, start + self.rng.below(4) * 64));
                insn.set_memory_base(name(base));
            }
            if form & 2 != 0 {
                before.push(Self::mov64(index, self.rng.below(2) * 64));
                insn.set_memory_index(name(index));
                insn.set_memory_index_scale(1 << self.rng.below(2));
            }
            return before;
        }
        insn.set_segment_prefix(segment);
        insn.set_memory_displacement64(displacement as u64);
        let low = self.space.data() < 0x7000_0000;
        let narrow = self.is_narrow(self.space.data());
        match self.rng.below(11) {
            0 | 1 => insn.set_memory_base(gpr64(pointer)),
            2 => {
                let index = self.scratch();
                if wide {
                    before.push(Self::mov64(index, self.rng.below(4) * 64));
                    insn.set_memory_index_scale(1 << self.rng.below(3));
                } else {
                    let byte =
                        [Register::AL, Register::CL, Register::DL, Register::BL][self.rng.below(4) as usize];
                    before.push(Instruction::with2(Code::Movzx_r32_rm8, gpr32(index), byte).unwrap());
                    insn.set_memory_index_scale(1 << self.rng.below(4));
                }
                insn.set_memory_base(gpr64(pointer));
                insn.set_memory_index(gpr64(index));
            }
            3 | 4 => {
                insn.set_memory_base(Register::RIP);
                let target = self.space.data().wrapping_add_signed(displacement);
                insn.set_memory_displacement64(target);
            }
            5 if !wide && segment == Register::None => {
                // In the red zone, where no return address is overwritten.
                insn.set_memory_base(Register::RSP);
                insn.set_memory_displacement64((self.rng.below(104) as i64 - 120) as u64);
            }
            6 => {
                let base = self.scratch();
                before.push(Self::mov64(base, at));
                insn.set_memory_base(gpr64(base));
            }
            7 if low => {
                insn.set_memory_displacement64(self.space.data().wrapping_add_signed(displacement));
            }
            8 if narrow => {
                insn.set_memory_base(gpr32(pointer));
                insn.set_memory_displ_size(4);
            }
            9 if narrow => {
                insn.set_memory_displ_size(4);
                let address = self.space.data().wrapping_add_signed(displacement);
                let index = self.scratch();
                if self.rng.one_in(2) {
                    insn.set_memory_displacement64(address);
                } else {
                    // The sum of base and index may carry into bit 32, which counts for nothing.
                    let garbage = self.garbage();
                    let base = self.scratch_except(&[index]);
                    let scaled = self.rng.next() & 0xffff_ffc0;
                    let rest = at.wrapping_sub(scaled.wrapping_mul(4)) & 0xffff_ffff;
                    before.push(Self::mov64(index, scaled | garbage));
                    before.push(Self::mov64(base, rest | garbage));
                    insn.set_memory_base(gpr32(base));
                    insn.set_memory_index(gpr32(index));
                    insn.set_memory_index_scale(4);
                }
            }
            _ => {
                // The pointer as an index, without a base or with a small one.
                insn.set_memory_index(gpr64(pointer));
                if self.rng.one_in(2) {
                    let base = self.scratch();
                    before.push(Self::mov64(base, self.rng.below(4) * 64));
                    insn.set_memory_base(gpr64(base));
                } else if segment == Register::None {
                    insn.set_memory_index(Register::None);
                    insn.set_memory_base(gpr64(pointer));
                }
            }
        }
        before
    }

    /// Whether an address and all near it have 32 bits.
    fn is_narrow(&self, address: u64) -> bool {
        (0x1000..0xf000_0000).contains(&address)
    }

    /// The upper half of a register of which the lower one counts.
    fn garbage(&mut self) -> u64 {
        if self.rng.one_in(2) { self.rng.next() << 32 } else { 0 }
    }

    /// A memory operand of 8 bytes at a known address, in any form, with what must run before.
    fn operand_at(&mut self, insn: &mut Instruction, operand: u32, address: u64) -> Vec<Instruction> {
        insn.set_op_kind(operand, OpKind::Memory);
        insn.set_memory_displ_size(8);
        insn.set_memory_index_scale(1);
        let segment = match self.rng.below(6) {
            0 => Some((Register::FS, self.fs_base)),
            1 => Some((Register::GS, self.gs_base)),
            _ => None,
        };
        let mut offset = address;
        if let Some((segment, base)) = segment {
            insn.set_segment_prefix(segment);
            offset = address.wrapping_sub(base);
        }
        let base = self.scratch();
        let index = self.scratch_except(&[base]);
        match self.rng.below(5) {
            0 if segment.is_none_or(|_| self.small_bases) => {
                insn.set_memory_base(Register::RIP);
                insn.set_memory_displacement64(offset);
                vec![]
            }
            1 => {
                insn.set_memory_base(gpr64(base));
                insn.set_memory_index(gpr64(index));
                insn.set_memory_index_scale(8);
                let scaled = self.rng.below(64);
                vec![Self::mov64(base, offset.wrapping_sub(scaled * 8)), Self::mov64(index, scaled)]
            }
            _ => {
                insn.set_memory_base(gpr64(base));
                let displacement = self.rng.below(300) as i64 - 150;
                insn.set_memory_displacement64(displacement as u64);
                let mut value = offset.wrapping_add_signed(-displacement);
                if self.is_narrow(offset) && self.rng.one_in(2) {
                    insn.set_memory_base(gpr32(base));
                    insn.set_memory_displ_size(4);
                    value |= self.garbage();
                }
                vec![Self::mov64(base, value)]
            }
        }
    }

    // Straight-line instructions.

    fn register(&mut self, kind: OpCodeOperandKind, evex: bool) -> Option<Register> {
        use OpCodeOperandKind::*;
        let vector = if evex { 32 } else { 16 };
        Some(match kind {
            r8_or_mem | r8_reg | r8_opcode => Register::AL + self.rng.below(20) as u32,
            r16_or_mem | r16_reg | r16_rm | r16_opcode => Register::AX + self.rng.below(16) as u32,
            r32_or_mem | r32_reg | r32_rm | r32_opcode | r32_vvvv => {
                Register::EAX + self.rng.below(16) as u32
            }
            r64_or_mem | r64_reg | r64_rm | r64_opcode | r64_vvvv => {
                Register::RAX + self.rng.below(16) as u32
            }
            mm_or_mem | mm_reg | mm_rm => Register::MM0 + self.rng.below(8) as u32,
            xmm_or_mem | xmm_reg | xmm_rm | xmm_vvvv | xmm_is4 => {
                Register::XMM0 + self.rng.below(vector) as u32
            }
            ymm_or_mem | ymm_reg | ymm_rm | ymm_vvvv | ymm_is4 => {
                Register::YMM0 + self.rng.below(vector) as u32
            }
            zmm_or_mem | zmm_reg | zmm_rm | zmm_vvvv => Register::ZMM0 + self.rng.below(vector) as u32,
            k_or_mem | k_reg | kp1_reg | k_rm | k_vvvv => Register::K0 + self.rng.below(8) as u32,
            al => Register::AL,
            cl => Register::CL,
            ax => Register::AX,
            dx => Register::DX,
            eax => Register::EAX,
            rax => Register::RAX,
            st0 => Register::ST0,
            sti_opcode => Register::ST0 + self.rng.below(8) as u32,
            _ => return Option::None,
        })
    }

    fn try_plain(&mut self) -> Made {
        use OpCodeOperandKind::*;
        let class = self.rng.below(20);
        let codes: &[Code] = match class {
            0 => &self.pool.x87,
            1 | 2 => &self.pool.legacy_vector,
            3 | 4 => &self.pool.vex,
            5 => &self.pool.evex,
            _ => &self.pool.integer,
        };
        if codes.is_empty() {
            return Option::None;
        }
        let code = self.rng.pick(codes);
        let op = code.op_code();
        let evex = class == 5;
        let mut insn = Instruction::default();
        insn.set_code(code);
        let mut before = Vec::new();
        let mut memory = false;
        for (i, kind) in op.op_kinds().iter().enumerate() {
            let i = i as u32;
            let value = self.rng.value();
            match kind {
                mem | mem_offs => memory = true,
                r8_or_mem | r16_or_mem | r32_or_mem | r64_or_mem | mm_or_mem | xmm_or_mem | ymm_or_mem
                | zmm_or_mem | k_or_mem
                    if self.rng.one_in(2) =>
                {
                    memory = true;
                }
                imm8 | imm8_const_1 => {
                    let second = (0..i).any(|j| insn.op_kind(j) == OpKind::Immediate8);
                    let value = if *kind == imm8_const_1 { 1 } else { value as u8 };
                    if second {
                        insn.set_op_kind(i, OpKind::Immediate8_2nd);
                        insn.set_immediate8_2nd(value);
                    } else {
                        insn.set_op_kind(i, OpKind::Immediate8);
                        insn.set_immediate8(value);
                    }
                }
                imm8sex16 => {
                    insn.set_op_kind(i, OpKind::Immediate8to16);
                    insn.set_immediate8to16(i16::from(value as i8));
                }
                imm8sex32 => {
                    insn.set_op_kind(i, OpKind::Immediate8to32);
                    insn.set_immediate8to32(i32::from(value as i8));
                }
                imm8sex64 => {
                    insn.set_op_kind(i, OpKind::Immediate8to64);
                    insn.set_immediate8to64(i64::from(value as i8));
                }
                imm16 => {
                    insn.set_op_kind(i, OpKind::Immediate16);
                    insn.set_immediate16(value as u16);
                }
                imm32 => {
                    insn.set_op_kind(i, OpKind::Immediate32);
                    insn.set_immediate32(value as u32);
                }
                imm32sex64 => {
                    insn.set_op_kind(i, OpKind::Immediate32to64);
                    insn.set_immediate32to64(i64::from(value as i32));
                }
                imm64 => {
                    insn.set_op_kind(i, OpKind::Immediate64);
                    insn.set_immediate64(value);
                }
                kind => {
                    let register = self.register(*kind, evex)?;
                    insn.set_op_kind(i, OpKind::Register);
                    insn.set_op_register(i, register);
                }
            }
            if memory && insn.memory_displ_size() == 0 {
                // The size is known only when the operand is one of memory.
                insn.set_op_kind(i, OpKind::Memory);
                if *kind == mem_offs {
                    insn.set_memory_displ_size(8);
                    insn.set_memory_displacement64(self.space.data() + self.rng.below(1024));
                    if self.rng.one_in(2) {
                        insn.set_segment_prefix(Register::FS);
                        let offset = if self.small_bases { self.space.data() } else { self.rng.below(512) };
                        insn.set_memory_displacement64(offset);
                        if offset > i32::MAX as u64 {
                            // Reported as unsupported: no 64-bit program has such an operand.
                            return Option::None;
                        }
                    }
                } else {
                    let size = insn.memory_size().size();
                    before = self.memory(&mut insn, i, size);
                }
            }
        }
        if evex && op.can_use_op_mask_register() && self.rng.one_in(2) {
            insn.set_op_mask(Register::K1 + self.rng.below(7) as u32);
            if op.can_use_zeroing_masking() && insn.op0_kind() != OpKind::Memory {
                insn.set_zeroing_masking(self.rng.one_in(2));
            }
        }
        if memory && insn.op0_kind() == OpKind::Memory && op.can_use_lock_prefix() {
            insn.set_has_lock_prefix(self.rng.one_in(3));
        }
        if memory
            && matches!(insn.mnemonic(), Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc)
            && insn.op1_kind() == OpKind::Register
        {
            // The bit offset reaches beyond the operand: keep it small.
            let register = insn.op1_register();
            let n = register.full_register().number();
            if !self.free(n)
                || insn.memory_base().full_register() == register.full_register()
                || insn.memory_index().full_register() == register.full_register()
            {
                return Option::None;
            }
            before.push(Instruction::with2(Code::Movzx_r32_rm8, gpr32(n), Register::BL).unwrap());
        }
        if !self.accept(&insn) {
            return Option::None;
        }
        before.push(insn);
        Some(before)
    }

    fn plain(&mut self) {
        loop {
            if let Some(insns) = self.try_plain() {
                self.emit_all(insns);
                return;
            }
        }
    }

    fn plains(&mut self, most: u64) {
        for _ in 0..self.rng.below(most + 1) {
            self.plain();
        }
    }

    // Templates.

    fn push_any(&mut self) {
        match self.rng.below(4) {
            0 => {
                let n = self.rng.below(16) as usize;
                self.emit(Instruction::with1(Code::Push_r64, gpr64(n)).unwrap());
            }
            1 => {
                let value = self.rng.value() as i32;
                self.emit(Instruction::with1(Code::Pushq_imm32, value).unwrap());
            }
            _ => {
                let mut insn = Instruction::default();
                insn.set_code(Code::Push_rm64);
                let before = self.memory(&mut insn, 0, 8);
                self.emit_all(before);
                self.emit(insn);
            }
        }
    }

    fn pop_any(&mut self) {
        if self.rng.one_in(2) {
            let n = self.scratch();
            self.emit(Instruction::with1(Code::Pop_r64, gpr64(n)).unwrap());
            return;
        }
        let mut insn = Instruction::default();
        insn.set_code(Code::Pop_rm64);
        let before = self.memory(&mut insn, 0, 8);
        if insn.memory_base() == Register::RSP {
            // An address behind the popped slot: sums with RSP see it after the pop.
            let small = insn.memory_displacement64() as i64;
            insn.set_memory_displacement64((small % 40 - 60) as u64);
        }
        self.emit_all(before);
        self.emit(insn);
    }

    fn push_pop(&mut self) {
        self.push_any();
        self.plains(3);
        self.pop_any();
    }

    fn flags_on_stack(&mut self) {
        self.emit(Instruction::with(Code::Pushfq));
        let bits = (self.rng.next() & 0x8d5) as i32;
        let top = MemoryOperand::with_base(Register::RSP);
        self.emit(Instruction::with2(Code::Xor_rm64_imm32, top, bits).unwrap());
        self.emit(Instruction::with(Code::Popfq));
    }

    fn frame(&mut self) {
        const RBP: usize = 5;
        if !self.free(RBP) {
            return self.push_pop();
        }
        let level = self.rng.below(2) as i32;
        let size = 16 + self.rng.below(32) as i32;
        self.emit(Instruction::with2(Code::Enterq_imm16_imm8, size, level).unwrap());
        self.reserved |= 1 << RBP;
        self.plains(3);
        self.reserved &= !(1 << RBP);
        self.emit(Instruction::with(Code::Leaveq));
    }
}

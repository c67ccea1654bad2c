//! Random guest programs that end, touch only their own space, and do the same in every execution.
//!
//! A program is a few sections: the main one and functions, some of them twice at addresses with equal low 16 bits
//! (so that they share entries of the branch tables). Some general registers are reserved: pointers into the data
//! area and loop counters; everything else holds anything at any time.

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
            if form & 1 != 0 {
                before.push(Self::mov64(base, self.rng.below(4) * 64));
                insn.set_memory_base(gpr64(base));
            }
            if form & 2 != 0 {
                before.push(Self::mov64(index, self.rng.below(2) * 64));
                insn.set_memory_index(gpr64(index));
                insn.set_memory_index_scale(1 << self.rng.below(2));
            }
            return before;
        }
        insn.set_segment_prefix(segment);
        insn.set_memory_displacement64(displacement as u64);
        let low = self.space.data() < 0x7000_0000;
        match self.rng.below(9) {
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
            // Behind FS only where the crate supports it, below 2 GiB: no compiler combines the two.
            3 | 4 if segment == Register::None || low => {
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
            8 if self.space.data() < 0xf000_0000 && segment == Register::None => {
                insn.set_memory_base(gpr32(pointer));
                insn.set_memory_displ_size(4);
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
        match self.rng.below(4) {
            0 if segment.is_none_or(|_| self.small_bases && address < 0x7000_0000) => {
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
                vec![Self::mov64(base, offset.wrapping_add_signed(-displacement))]
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

    fn string(&mut self) {
        if ![1, 6, 7].into_iter().all(|n| self.free(n)) {
            return self.plain();
        }
        let count = self.rng.below(20);
        let (source, target) =
            (self.space.data() + self.rng.below(512), self.space.data() - self.rng.below(512));
        self.emit(Self::mov64(6, source));
        self.emit(Self::mov64(7, target));
        self.emit(Self::mov64(1, count));
        let backwards = self.rng.one_in(2);
        if backwards {
            self.emit(Instruction::with(Code::Std));
        }
        const CODES: [Code; 20] = [
            Code::Movsb_m8_m8,
            Code::Movsw_m16_m16,
            Code::Movsd_m32_m32,
            Code::Movsq_m64_m64,
            Code::Stosb_m8_AL,
            Code::Stosw_m16_AX,
            Code::Stosd_m32_EAX,
            Code::Stosq_m64_RAX,
            Code::Lodsb_AL_m8,
            Code::Lodsw_AX_m16,
            Code::Lodsd_EAX_m32,
            Code::Lodsq_RAX_m64,
            Code::Cmpsb_m8_m8,
            Code::Cmpsw_m16_m16,
            Code::Cmpsd_m32_m32,
            Code::Cmpsq_m64_m64,
            Code::Scasb_AL_m8,
            Code::Scasw_AX_m16,
            Code::Scasd_EAX_m32,
            Code::Scasq_RAX_m64,
        ];
        let n = self.rng.below(20) as usize;
        let mut insn = Instruction::default();
        insn.set_code(CODES[n]);
        for (i, kind) in CODES[n].op_code().op_kinds().iter().enumerate() {
            match kind {
                OpCodeOperandKind::seg_rSI => insn.set_op_kind(i as u32, OpKind::MemorySegRSI),
                OpCodeOperandKind::es_rDI => insn.set_op_kind(i as u32, OpKind::MemoryESRDI),
                kind => {
                    insn.set_op_kind(i as u32, OpKind::Register);
                    let register = self.register(*kind, false).unwrap();
                    insn.set_op_register(i as u32, register);
                }
            }
        }
        match self.rng.below(4) {
            0 => (),
            1 if n >= 12 => insn.set_has_repne_prefix(true),
            _ => insn.set_has_rep_prefix(true),
        }
        self.emit(insn);
        if backwards {
            self.emit(Instruction::with(Code::Cld));
        }
    }

    fn divide(&mut self) {
        let wide = self.rng.one_in(2);
        let divisor = 2 + (self.rng.next() & 0x3fff_ffff);
        let signed = self.rng.one_in(2);
        let code = match (signed, wide) {
            (true, true) => Code::Idiv_rm64,
            (true, false) => Code::Idiv_rm32,
            (false, true) => Code::Div_rm64,
            (false, false) => Code::Div_rm32,
        };
        let mut insn = Instruction::default();
        insn.set_code(code);
        let address = self.slot();
        let slot = Self::absolute(address);
        self.emit(Instruction::with2(Code::Mov_rm64_imm32, slot, divisor as i32).unwrap());
        let before = self.operand_at(&mut insn, 0, address);
        self.emit_all(before);
        // The operand's registers may be rdx or rax.
        for register in [insn.memory_base(), insn.memory_index()] {
            if [Register::RDX, Register::RAX].contains(&register) {
                return;
            }
        }
        self.emit(match (signed, wide) {
            (true, true) => Instruction::with(Code::Cqo),
            (true, false) => Instruction::with(Code::Cdq),
            _ => Self::mov64(2, 0),
        });
        self.emit(insn);
    }

    fn translate_byte(&mut self) {
        const RBX: usize = 3;
        if !self.free(RBX) {
            return self.plain();
        }
        self.emit(Self::mov64(RBX, self.space.data()));
        let mut insn = Instruction::default();
        insn.set_code(Code::Xlat_m8);
        insn.set_op0_kind(OpKind::Memory);
        insn.set_memory_base(Register::RBX);
        insn.set_memory_index(Register::AL);
        insn.set_memory_index_scale(1);
        self.emit(insn);
    }

    fn segment_base(&mut self) {
        if !super::has_fsgsbase() {
            return self.plain();
        }
        let n = self.scratch();
        let wide = self.rng.one_in(2);
        let fs = self.rng.one_in(2);
        let code = match (fs, wide) {
            (true, true) => Code::Wrfsbase_r64,
            (true, false) => Code::Wrfsbase_r32,
            (false, true) => Code::Wrgsbase_r64,
            (false, false) => Code::Wrgsbase_r32,
        };
        let value = if wide { self.rng.next() >> 17 } else { self.rng.next() };
        self.emit(Instruction::with2(Code::Mov_r64_imm64, gpr64(n), value).unwrap());
        let register = if wide { gpr64(n) } else { gpr32(n) };
        self.emit(Instruction::with1(code, register).unwrap());
        let m = self.scratch();
        let read = match (fs, self.rng.one_in(2)) {
            (true, true) => Instruction::with1(Code::Rdfsbase_r64, gpr64(m)),
            (true, false) => Instruction::with1(Code::Rdfsbase_r32, gpr32(m)),
            (false, true) => Instruction::with1(Code::Rdgsbase_r64, gpr64(m)),
            (false, false) => Instruction::with1(Code::Rdgsbase_r32, gpr32(m)),
        };
        self.emit(read.unwrap());
        let base = if fs { self.fs_base } else { self.gs_base };
        self.emit(Self::mov64(n, base));
        let back = if fs { Code::Wrfsbase_r64 } else { Code::Wrgsbase_r64 };
        self.emit(Instruction::with1(back, gpr64(n)).unwrap());
    }

    fn system_call(&mut self) {
        if ![0, 1, 11].into_iter().all(|n| self.free(n)) {
            return self.plain();
        }
        let number = self.rng.pick(&[libc::SYS_getuid, libc::SYS_getpid, libc::SYS_getppid, 5000]);
        self.emit(Self::mov64(0, number as u64));
        self.emit(Instruction::with(Code::Syscall));
    }

    fn condition(&mut self) -> Code {
        self.rng.pick(&[
            Code::Jo_rel32_64,
            Code::Jno_rel32_64,
            Code::Jb_rel32_64,
            Code::Jae_rel32_64,
            Code::Je_rel32_64,
            Code::Jne_rel32_64,
            Code::Jbe_rel32_64,
            Code::Ja_rel32_64,
            Code::Js_rel32_64,
            Code::Jns_rel32_64,
            Code::Jp_rel32_64,
            Code::Jnp_rel32_64,
            Code::Jl_rel32_64,
            Code::Jge_rel32_64,
            Code::Jle_rel32_64,
            Code::Jg_rel32_64,
        ])
    }

    fn skip(&mut self, depth: u64) {
        let end = self.label();
        let code = match self.rng.below(6) {
            0 => self.rng.pick(&[Code::Jrcxz_rel8_64, Code::Jecxz_rel8_64]),
            _ => self.condition(),
        };
        if self.rng.one_in(3) && self.free(1) && code.mnemonic() == Mnemonic::Jrcxz {
            self.emit(Self::mov64(1, 0));
        }
        self.branch(code, end);
        self.items(depth + 1, 3);
        if self.rng.one_in(3) {
            // if / else
            let other = self.label();
            self.branch(Code::Jmp_rel32_64, other);
            self.bind(end);
            self.items(depth + 1, 3);
            self.bind(other);
        } else {
            self.bind(end);
        }
    }

    fn repeat(&mut self, depth: u64) {
        let head = self.label();
        let times = 1 + self.rng.below(6);
        if self.rng.one_in(4) && self.free(1) {
            // With rcx as the counter; loope and loopne may end earlier.
            self.emit(Self::mov64(1, times));
            self.reserved |= 1 << 1;
            self.bind(head);
            self.plain();
            self.plains(3);
            self.reserved &= !(1 << 1);
            let code = self.rng.pick(&[
                Code::Loop_rel8_64_RCX,
                Code::Loop_rel8_64_ECX,
                Code::Loope_rel8_64_RCX,
                Code::Loopne_rel8_64_RCX,
            ]);
            self.branch(code, head);
            return;
        }
        if !self.in_function && depth < 2 && self.rng.one_in(2) {
            let counter = self.counters[depth as usize];
            self.emit(Self::mov64(counter, times));
            self.bind(head);
            self.items(depth + 1, 4);
            self.emit(Instruction::with1(Code::Dec_rm32, gpr32(counter)).unwrap());
        } else {
            let counter = self.slot();
            let slot = Self::absolute(counter);
            self.emit(Instruction::with2(Code::Mov_rm32_imm32, slot, times as i32).unwrap());
            self.bind(head);
            self.items(depth + 1, 4);
            self.emit(Instruction::with2(Code::Sub_rm32_imm8, slot, 1).unwrap());
        }
        self.branch(Code::Jne_rel32_64, head);
    }

    fn call(&mut self) {
        if self.in_function || self.functions.is_empty() {
            return self.plain();
        }
        let function = self.rng.below(self.functions.len() as u64) as usize;
        let pops = self.functions[function].pops;
        let entry = self.functions[function].entries
            [self.rng.below(self.functions[function].entries.len() as u64) as usize];
        for _ in 0..pops {
            self.push_any();
        }
        let lea = |n: usize, label: Label| {
            Instruction::with2(Code::Lea_r64_m, gpr64(n), Self::absolute(label.address())).unwrap()
        };
        match self.rng.below(8) {
            0 | 1 => self.branch(Code::Call_rel32_64, entry),
            2 => {
                let n = self.scratch();
                self.emit(lea(n, entry));
                self.emit(Instruction::with1(Code::Call_rm64, gpr64(n)).unwrap());
            }
            3 | 4 => {
                let slot = self.table_slot(entry);
                let mut insn = Instruction::default();
                insn.set_code(Code::Call_rm64);
                let before = self.operand_at(&mut insn, 0, slot);
                self.emit_all(before);
                self.emit(insn);
            }
            5 if pops == 0 => {
                // call [rsp + 8]: the operand is read before the push.
                let n = self.scratch();
                self.emit(lea(n, entry));
                self.emit(Instruction::with1(Code::Push_r64, gpr64(n)).unwrap());
                self.push_any();
                let slot = MemoryOperand::with_base_displ(Register::RSP, 8);
                self.emit(Instruction::with1(Code::Call_rm64, slot).unwrap());
                self.pop_any();
                self.pop_any();
            }
            6 => {
                // The return address pushed by hand.
                let back = self.label();
                let n = self.scratch();
                self.emit(lea(n, back));
                self.emit(Instruction::with1(Code::Push_r64, gpr64(n)).unwrap());
                let slot = self.table_slot(entry);
                self.emit(Instruction::with1(Code::Jmp_rm64, Self::absolute(slot)).unwrap());
                self.bind(back);
            }
            _ => {
                // Entered by a return, as a return predictor's worst case does.
                let (n, back) = (self.scratch(), self.label());
                let m = self.scratch_except(&[n]);
                self.emit(lea(n, back));
                self.emit(lea(m, entry));
                self.emit(Instruction::with1(Code::Push_r64, gpr64(n)).unwrap());
                self.emit(Instruction::with1(Code::Push_r64, gpr64(m)).unwrap());
                self.emit(Instruction::with(Code::Retnq));
                self.bind(back);
            }
        }
    }

    fn own_address(&mut self) {
        let next = self.label();
        self.branch(Code::Call_rel32_64, next);
        self.bind(next);
        self.pop_any();
    }

    fn jump(&mut self, depth: u64) {
        let end = self.label();
        match self.rng.below(5) {
            0 => self.branch(Code::Jmp_rel32_64, end),
            1 => {
                let n = self.scratch();
                let address = Self::absolute(end.address());
                self.emit(Instruction::with2(Code::Lea_r64_m, gpr64(n), address).unwrap());
                self.emit(Instruction::with1(Code::Jmp_rm64, gpr64(n)).unwrap());
            }
            _ => {
                // A switch: one of several targets by the low bits of a register.
                let other = self.label();
                let slot = self.table_slot(end);
                self.table_slot(other);
                if self.rng.one_in(2) {
                    let n = self.scratch();
                    let m = self.scratch_except(&[n]);
                    self.emit(Self::mov64(n, slot));
                    self.emit(Instruction::with2(Code::And_rm32_imm8, gpr32(m), 1).unwrap());
                    let operand = MemoryOperand::with_base_index_scale(gpr64(n), gpr64(m), 8);
                    self.emit(Instruction::with1(Code::Jmp_rm64, operand).unwrap());
                } else {
                    let mut insn = Instruction::default();
                    insn.set_code(Code::Jmp_rm64);
                    let chosen = slot + 8 * self.rng.below(2);
                    let before = self.operand_at(&mut insn, 0, chosen);
                    self.emit_all(before);
                    self.emit(insn);
                }
                self.items(depth + 1, 2);
                self.bind_for_table(other);
            }
        }
        self.items(depth + 1, 2);
        self.bind_for_table(end);
    }

    fn item(&mut self, depth: u64) {
        let nested = depth < 3;
        match self.rng.below(40) {
            0 | 1 => self.push_pop(),
            2 if self.style.opaque => self.flags_on_stack(),
            3 => self.frame(),
            4 | 5 => self.string(),
            6 => self.divide(),
            7 => self.segment_base(),
            8 if self.style.opaque => self.system_call(),
            9..12 if nested => self.skip(depth),
            12 | 13 if nested => self.repeat(depth),
            14 | 15 => self.call(),
            16 => self.own_address(),
            17 if nested => self.jump(depth),
            18 => self.translate_byte(),
            _ => self.plain(),
        }
    }

    fn items(&mut self, depth: u64, most: u64) {
        for _ in 0..1 + self.rng.below(most) {
            self.item(depth);
        }
    }

    fn function(&mut self) {
        let section = self.sections.len();
        self.sections.push(Section::default());
        self.current = section;
        self.in_function = true;
        let entry = self.label();
        self.bind_for_table(entry);
        self.items(1, 6);
        let pops = self.rng.below(3);
        self.emit(match pops {
            0 => Instruction::with(Code::Retnq),
            _ => Instruction::with1(Code::Retnq_imm16, pops as i32 * 8).unwrap(),
        });
        let offset = self.rng.below(64);
        self.sections[section].base = self.space.code() + 0x2_0000 * section as u64 + offset;
        let mut entries = vec![entry];
        if self.rng.one_in(2) {
            // The same code 64 KiB further on.
            let insns = self.sections[section].insns.clone();
            let base = self.sections[section].base + 0x1_0000;
            let copy = self.sections.len();
            self.sections.push(Section { insns, base, copy_of: Some(section) });
            let label = self.label();
            self.labels[label.0] = Some((copy, 0));
            entries.push(label);
        }
        self.functions.push(Function { entries, pops });
        self.in_function = false;
        self.current = 0;
    }

    fn fault(&mut self) {
        let n = self.scratch();
        let bad = self.rng.pick(&[0, 0x10, 0x5000_0000_0000, 0x8000_0000_0000_0000]);
        let at = |n: usize| MemoryOperand::with_base_displ(gpr64(n), 8);
        match self.rng.below(10) {
            0 => self.emit(Instruction::with(Code::Ud2)),
            1 => self.emit(Instruction::with(Code::Int3)),
            2 => {
                self.emit(Self::mov64(n, 0));
                self.emit(Instruction::with1(Code::Div_rm32, gpr32(n)).unwrap());
            }
            3 => {
                // Behind FS: the base is far from everything once it is twice a pointer.
                self.emit(Self::mov64(n, 0x5000_0000_0000));
                let mut operand = at(n);
                operand.segment_prefix = Register::FS;
                let m = self.scratch();
                let code = self.rng.pick(&[Code::Mov_r64_rm64, Code::Add_r64_rm64, Code::Cmovb_r64_rm64]);
                self.emit(Instruction::with2(code, gpr64(m), operand).unwrap());
            }
            4 => {
                self.emit(Self::mov64(n, bad));
                let code = self.rng.pick(&[Code::Call_rm64, Code::Jmp_rm64, Code::Push_rm64, Code::Pop_rm64]);
                self.emit(Instruction::with1(code, at(n)).unwrap());
            }
            5 | 6 => {
                // The stack is gone.
                self.emit(Self::mov64(RSP, bad));
                let label = self.label();
                let slot = self.table_slot(label);
                let code =
                    self.rng.pick(&[Code::Call_rel32_64, Code::Call_rm64, Code::Retnq, Code::Retnq_imm16]);
                match code {
                    Code::Call_rel32_64 => self.branch(code, label),
                    Code::Call_rm64 => self.emit(Instruction::with1(code, Self::absolute(slot)).unwrap()),
                    Code::Retnq => self.emit(Instruction::with(code)),
                    _ => self.emit(Instruction::with1(code, 16).unwrap()),
                }
                self.bind_for_table(label);
            }
            7 => {
                self.emit(Self::mov64(n, self.space.data() + 1));
                let operand = at(n);
                self.emit(Instruction::with2(Code::Movaps_xmm_xmmm128, Register::XMM3, operand).unwrap());
            }
            _ => {
                self.emit(Self::mov64(n, bad));
                let m = self.scratch();
                let code = self.rng.pick(&[Code::Mov_r64_rm64, Code::Adc_r64_rm64, Code::Xchg_rm64_r64]);
                let insn = if code == Code::Xchg_rm64_r64 {
                    Instruction::with2(code, at(n), gpr64(m))
                } else {
                    Instruction::with2(code, gpr64(m), at(n))
                };
                self.emit(insn.unwrap());
            }
        }
    }

    // Whole programs.

    pub fn program(mut self, xstate: &[u8]) -> Program {
        for _ in 0..self.rng.below(4) {
            self.function();
        }
        self.current = 0;
        for (n, value) in self.pointers {
            self.emit(Self::mov64(n, value));
        }
        while (self.sections[0].insns.len() as u64) < self.style.length {
            self.item(0);
        }
        if self.style.fault {
            self.fault();
        }
        let exit = self.space.exit();
        self.emit(Instruction::with_branch(Code::Jmp_rel32_64, exit).unwrap());
        // Across the 4 GiB line in the space that has it.
        let offset = self.rng.below(0x8000);
        self.sections[0].base = self.space.code() + offset;

        let (code, table) = self.encode();
        let mut memory = self.space.snapshot();
        for byte in memory.chunks_mut(8) {
            byte.copy_from_slice(&self.rng.value().to_le_bytes());
        }
        for (slot, value) in table {
            let at = (slot - (self.space.data() - 0x1000)) as usize;
            memory[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let start = self.sections[0].base;
        let mut regs: [u64; 16] = std::array::from_fn(|_| self.rng.value());
        regs[RSP] = self.space.stack() - self.rng.below(8) * 8;
        let flags = self.rng.next() & 0x8d5;
        let xstate = self.vectors(xstate);
        Program { start, code, memory, regs, flags, fs_base: self.fs_base, gs_base: self.gs_base, xstate }
    }

    /// Fills the vector registers; x87 begins empty.
    fn vectors(&mut self, initial: &[u8]) -> Vec<u8> {
        let mut state = initial.to_vec();
        // The kernel tells the enabled components in the bytes that the processor leaves to software.
        let enabled = u64::from_le_bytes(initial[464..472].try_into().unwrap());
        let mut parts = vec![(160, 256)];
        for component in [2u32, 5, 6, 7] {
            if enabled & 1 << component != 0 {
                let leaf = std::arch::x86_64::__cpuid_count(0xd, component);
                parts.push((leaf.ebx as usize, leaf.eax as usize));
            }
        }
        for (offset, size) in parts {
            for lane in state[offset..offset + size].chunks_mut(8) {
                let value = match self.rng.below(4) {
                    0 => (self.rng.below(2000) as f64 / 8.0 - 100.0).to_bits(),
                    _ => self.rng.value(),
                };
                lane.copy_from_slice(&value.to_le_bytes());
            }
        }
        let used = enabled & 0xe7;
        state[512..520].copy_from_slice(&used.to_le_bytes());
        // All exceptions masked, as programs start.
        state[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
        state
    }

    fn resolve(&self, section: usize, address: u64) -> u64 {
        if address < LABEL || address >= LABEL + self.labels.len() as u64 * 64 {
            return address;
        }
        let (mut home, index) = self.labels[((address - LABEL) / 64) as usize].expect("every label is bound");
        if self.sections[section].copy_of == Some(home) {
            home = section;
        }
        fake(home, index)
    }

    /// The code of all sections, and the values of the jump tables.
    #[expect(clippy::type_complexity, reason = "two lists for one caller")]
    fn encode(&mut self) -> (Vec<(u64, Vec<u8>)>, Vec<(u64, u64)>) {
        let mut all = Vec::new();
        for (s, section) in self.sections.iter().enumerate() {
            let mut insns = section.insns.clone();
            for (i, insn) in insns.iter_mut().enumerate() {
                insn.set_ip(fake(s, i));
                if insn.op_count() > 0 && insn.op0_kind() == OpKind::NearBranch64 {
                    insn.set_near_branch64(self.resolve(s, insn.near_branch_target()));
                } else if insn.is_ip_rel_memory_operand() {
                    insn.set_memory_displacement64(self.resolve(s, insn.memory_displacement64()));
                }
            }
            all.push(insns);
        }
        let blocks: Vec<_> = all
            .iter()
            .zip(&self.sections)
            .map(|(insns, section)| InstructionBlock::new(insns, section.base))
            .collect();
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let results =
            BlockEncoder::encode_slice(64, &blocks, options).expect("random programs are encodable");
        let mut table = Vec::new();
        for (slot, label) in self.table.clone() {
            let (section, index) = self.labels[label.0].expect("every label is bound");
            let offset = results[section].new_instruction_offsets[index];
            assert_ne!(offset, u32::MAX, "label of a rewritten instruction");
            table.push((slot, self.sections[section].base + u64::from(offset)));
        }
        (results.into_iter().map(|result| (result.rip, result.code_buffer)).collect(), table)
    }
}

//! The second half of the generator: the forms of instructions beyond those of plain computation.

use super::*;

impl Generator<'_> {
    pub(super) fn string(&mut self) {
        if ![1, 6, 7].into_iter().all(|n| self.free(n)) {
            return self.plain();
        }
        let count = self.rng.below(20);
        let (mut source, target) =
            (self.space.data() + self.rng.below(512), self.space.data() - self.rng.below(512));
        let segment = match self.rng.below(6) {
            0 | 1 => Some((Register::FS, self.fs_base)),
            2 => Some((Register::GS, self.gs_base)),
            _ => None,
        };
        source = source.wrapping_sub(segment.map_or(0, |(_, base)| base));
        let narrow = self.is_narrow(source) && self.is_narrow(target) && self.rng.one_in(3);
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
                OpCodeOperandKind::seg_rSI => {
                    let kind = if narrow { OpKind::MemorySegESI } else { OpKind::MemorySegRSI };
                    insn.set_op_kind(i as u32, kind);
                    insn.set_segment_prefix(segment.map_or(Register::None, |(segment, _)| segment));
                }
                OpCodeOperandKind::es_rDI => {
                    let kind = if narrow { OpKind::MemoryESEDI } else { OpKind::MemoryESRDI };
                    insn.set_op_kind(i as u32, kind);
                }
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

    pub(super) fn divide(&mut self) {
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
            if [Register::RDX, Register::RAX].contains(&register.full_register()) {
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

    pub(super) fn translate_byte(&mut self) {
        const RBX: usize = 3;
        if !self.free(RBX) {
            return self.plain();
        }
        let (segment, base) = self.any_segment();
        let table = self.space.data().wrapping_sub(base);
        let narrow = self.is_narrow(table) && self.rng.one_in(2);
        let garbage = if narrow { self.garbage() } else { 0 };
        self.emit(Self::mov64(RBX, table | garbage));
        let mut insn = Instruction::default();
        insn.set_code(Code::Xlat_m8);
        insn.set_op0_kind(OpKind::Memory);
        insn.set_segment_prefix(segment);
        insn.set_memory_base(if narrow { Register::EBX } else { Register::RBX });
        insn.set_memory_index(Register::AL);
        insn.set_memory_index_scale(1);
        self.emit(insn);
    }

    /// A segment, or none, and its base.
    fn any_segment(&mut self) -> (Register, u64) {
        match self.rng.below(3) {
            0 => (Register::FS, self.fs_base),
            1 => (Register::GS, self.gs_base),
            _ => (Register::None, 0),
        }
    }

    pub(super) fn masked_store(&mut self) {
        const RDI: usize = 7;
        if !self.free(RDI) {
            return self.plain();
        }
        let (segment, base) = self.any_segment();
        let target = (self.space.data() + self.rng.below(512)).wrapping_sub(base);
        let narrow = self.is_narrow(target) && self.rng.one_in(2);
        let garbage = if narrow { self.garbage() } else { 0 };
        self.emit(Self::mov64(RDI, target | garbage));
        let mut insn = Instruction::default();
        insn.set_code(Code::Maskmovdqu_rDI_xmm_xmm);
        insn.set_op0_kind(if narrow { OpKind::MemorySegEDI } else { OpKind::MemorySegRDI });
        insn.set_segment_prefix(segment);
        for operand in [1, 2] {
            insn.set_op_kind(operand, OpKind::Register);
            insn.set_op_register(operand, Register::XMM0 + self.rng.below(16) as u32);
        }
        self.emit(insn);
    }

    pub(super) fn segment_base(&mut self) {
        if !super::super::has_fsgsbase() {
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

    pub(super) fn system_call(&mut self) {
        if ![0, 1, 11].into_iter().all(|n| self.free(n)) {
            return self.plain();
        }
        let number = self.rng.pick(&[libc::SYS_getuid, libc::SYS_getpid, libc::SYS_getppid, 5000]);
        self.emit(Self::mov64(0, number as u64));
        self.emit(Instruction::with(Code::Syscall));
    }

    pub(super) fn condition(&mut self) -> Code {
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

    pub(super) fn skip(&mut self, depth: u64) {
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

    pub(super) fn repeat(&mut self, depth: u64) {
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

    pub(super) fn call(&mut self) {
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

    pub(super) fn own_address(&mut self) {
        let next = self.label();
        self.branch(Code::Call_rel32_64, next);
        self.bind(next);
        self.pop_any();
    }

    pub(super) fn jump(&mut self, depth: u64) {
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

    pub(super) fn item(&mut self, depth: u64) {
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
            19 => self.masked_store(),
            _ => self.plain(),
        }
    }

    pub(super) fn items(&mut self, depth: u64, most: u64) {
        for _ in 0..1 + self.rng.below(most) {
            self.item(depth);
        }
    }

    pub(super) fn function(&mut self) {
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

    pub(super) fn fault(&mut self) {
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
    pub(super) fn vectors(&mut self, initial: &[u8]) -> Vec<u8> {
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

    pub(super) fn resolve(&self, section: usize, address: u64) -> u64 {
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
    pub(super) fn encode(&mut self) -> (Vec<(u64, Vec<u8>)>, Vec<(u64, u64)>) {
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

//! One case: an instruction, values, and a few undefined bits; run with all fillings and held against the rule.

use crate::forms::Form;
use crate::machine::{self, DATA, FLAGS, GPR, MASK, MEMORY, Machine, Processor, VECTOR};
use crate::rng::Rng;
use definedness::{Flags, Guest, Registers, Report, Rule, Rules, Shadow};
use iced_x86::{Decoder, DecoderOptions, Encoder, Instruction, InstructionInfoFactory, Mnemonic, OpAccess};
use iced_x86::{Register, RflagsBits};

/// What a bit of the machine is: a word of [`Machine::words`] and a mask.
pub(crate) type Undefined = Vec<(usize, u64)>;

/// C0 to C3 of the x87 status word, in the first word of the image of fxsave.
const CODES: u64 = 0x4700 << 16;

const STATUS: [(u16, u32, u64); 6] = [
    (Flags::O, RflagsBits::OF, 1 << 11),
    (Flags::S, RflagsBits::SF, 1 << 7),
    (Flags::Z, RflagsBits::ZF, 1 << 6),
    (Flags::A, RflagsBits::AF, 1 << 4),
    (Flags::C, RflagsBits::CF, 1 << 0),
    (Flags::P, RflagsBits::PF, 1 << 2),
];

/// Flags that the rules have no V bits for are masked away; the conditions are put above the others.
pub(crate) fn with_conditions(rflags: u64) -> u64 {
    let bit = |n: u32| rflags >> n & 1 != 0;
    let (o, s, z, c) = (bit(11), bit(7), bit(6), bit(0));
    let less = u64::from(s != o) << 32 | u64::from(z || s != o) << 33 | u64::from(c || z) << 34;
    (rflags & 0x8d5) | less
}

pub(crate) fn flag_word(flags: Flags) -> u64 {
    let set = |flag: u16, to: u32| if flags.0 & flag != 0 { 1u64 << to } else { 0 };
    let status: u64 = STATUS.iter().map(|(flag, _, bit)| if flags.0 & flag != 0 { *bit } else { 0 }).sum();
    status | set(Flags::L, 32) | set(Flags::LE, 33) | set(Flags::BE, 34)
}

/// Flag bits and conditions that the manuals leave undefined.
pub(crate) fn unspecified(insn: &Instruction) -> u64 {
    let undefined = insn.rflags_undefined();
    let has = |flag: u32| undefined & flag != 0;
    let mut word: u64 = STATUS.iter().map(|(_, flag, bit)| if has(*flag) { *bit } else { 0 }).sum();
    if has(RflagsBits::OF) || has(RflagsBits::SF) {
        word |= 1 << 32 | 1 << 33;
    }
    if has(RflagsBits::ZF) {
        word |= 1 << 33 | 1 << 34;
    }
    if has(RflagsBits::CF) {
        word |= 1 << 34;
    }
    word
}

/// The state before the instruction, as the rules ask for it.
pub(crate) struct State<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) memory: u64,
}

impl Guest for State<'_> {
    fn gpr(&self, number: usize) -> u64 {
        self.machine.gpr[number]
    }
    fn rflags(&self) -> u64 {
        self.machine.flags
    }
    fn vector(&self, number: usize) -> [u64; 8] {
        self.machine.vector[number]
    }
    fn mask(&self, number: usize) -> u64 {
        self.machine.mask[number]
    }
    fn mmx(&self, number: usize) -> u64 {
        // The image has registers by their place on the stack.
        let top = self.x87_top();
        self.machine.fx[4 + 2 * ((number + 8 - top) % 8)]
    }
    fn x87_top(&self) -> usize {
        (self.machine.fx[0] >> 27 & 7) as usize
    }
    fn fs_base(&self) -> u64 {
        0
    }
    fn gs_base(&self) -> u64 {
        0
    }
    fn state_components(&self) -> u64 {
        0
    }
    fn state_in_use(&self) -> u64 {
        0
    }
    fn read(&self, address: u64, bytes: &mut [u8]) {
        let at = address.wrapping_sub(self.memory) as usize;
        if let Some(from) = self.machine.memory.get(at..at.wrapping_add(bytes.len())) {
            bytes.copy_from_slice(from);
        }
    }
}

struct Bytes {
    memory: u64,
    v: [u8; MEMORY],
    outside: bool,
}

impl Shadow for Bytes {
    fn load(&mut self, address: u64, v: &mut [u8]) -> u64 {
        let at = address.wrapping_sub(self.memory) as usize;
        match self.v.get(at..at.wrapping_add(v.len())) {
            Some(from) => v.copy_from_slice(from),
            None => self.outside = true,
        }
        1
    }
    fn store(&mut self, address: u64, v: &[u8], _: u64) {
        let at = address.wrapping_sub(self.memory) as usize;
        match self.v.get_mut(at..at.wrapping_add(v.len())) {
            Some(to) => to.copy_from_slice(v),
            None => self.outside = true,
        }
    }
}

/// V bits by the words of the machine: in, through a rule, out.
pub(crate) struct Outcome {
    pub(crate) v: Box<Machine>,
    pub(crate) rule: Rule,
    pub(crate) reports: Vec<Report>,
    pub(crate) outside: bool,
}

/// In a V machine the flags word has the layout of [`with_conditions`].
pub(crate) fn registers_of(v: &Machine, top: usize) -> Registers {
    let mut registers = Registers { gpr: v.gpr, vector: v.vector, mask: v.mask, ..Registers::default() };
    for (flag, _, bit) in STATUS {
        if v.flags & bit != 0 {
            registers.flags.0 |= flag;
        }
    }
    for (flag, bit) in [(Flags::L, 32), (Flags::LE, 33), (Flags::BE, 34)] {
        if v.flags >> bit & 1 != 0 {
            registers.flags.0 |= flag;
        }
    }
    for st in 0..8 {
        let low = v.fx[4 + 2 * st];
        registers.x87[(top + st) % 8] = [low, v.fx[5 + 2 * st] & 0xffff];
    }
    registers.x87_codes = (v.fx[0] >> 16) as u16;
    registers
}

pub(crate) fn apply(
    rules: &mut Rules,
    insn: &Instruction,
    before: &Machine,
    v: &Machine,
    memory: u64,
    top_after: usize,
) -> Outcome {
    let state = State { machine: before, memory };
    let mut registers = registers_of(v, state.x87_top());
    let mut shadow = Bytes { memory, v: v.memory, outside: false };
    let mut reports = Vec::new();
    let rule = rules.step(insn, &state, &mut shadow, &mut registers, &mut |r| reports.push(r));
    let mut after = Machine::blank();
    after.fx = [0; 64];
    for st in 0..8 {
        let v = registers.x87[(top_after + st) % 8];
        after.fx[4 + 2 * st] = v[0];
        after.fx[5 + 2 * st] = v[1];
    }
    after.fx[0] = u64::from(registers.x87_codes) << 16;
    (after.gpr, after.vector, after.mask) = (registers.gpr, registers.vector, registers.mask);
    after.flags = flag_word(registers.flags);
    after.memory = shadow.v;
    Outcome { v: after, rule, reports, outside: shadow.outside }
}

/// Machine words in which a difference between fillings counts. What else is in the image of fxsave (control,
/// pointers, xmm) is no V bit.
pub(crate) fn normalise(machine: &mut Machine) {
    machine.flags = with_conditions(machine.flags);
    machine.fx[0] &= CODES;
    for word in [1, 2, 3] {
        machine.fx[word] = 0;
    }
    for st in 0..8 {
        machine.fx[5 + 2 * st] &= 0xffff;
    }
    machine.fx[20..].fill(0);
}

/// Sets the bits of `filling` where `undefined` names them.
pub(crate) fn fill(machine: &mut Machine, bits: &[(usize, u64)], filling: u64) {
    for (i, (word, mask)) in bits.iter().enumerate() {
        let word = &mut machine.words_mut()[*word];
        *word = if filling >> i & 1 != 0 { *word | mask } else { *word & !mask };
    }
}

pub(crate) struct Case {
    pub(crate) insn: Instruction,
    pub(crate) bytes: Vec<u8>,
    pub(crate) before: Box<Machine>,
    pub(crate) undefined: Undefined,
}

/// Words and masks of what may be undefined in this case.
type Places = Vec<(usize, u64)>;

impl Case {
    /// None if the form cannot be encoded.
    pub(crate) fn new(
        form: &Form,
        rng: &mut Rng,
        processor: &Processor,
        info: &mut InstructionInfoFactory,
    ) -> Option<Case> {
        let mut encoder = Encoder::new(64);
        encoder.encode(&form.insn, processor.slot()).ok()?;
        let bytes = encoder.take_buffer();
        let mut decoder = Decoder::with_ip(64, &bytes, processor.slot(), DecoderOptions::NONE);
        let insn = decoder.decode();
        if insn.is_invalid() {
            return None;
        }
        let mut before = values(form, &insn, rng, processor);
        let places = places(&insn, &before, processor.memory(), info);
        let mut undefined: Undefined = vec![];
        if !places.is_empty() {
            let count = 1 + rng.below(if std::env::var_os("VG_LONG").is_some() { 9 } else { 6 });
            let mut last = (0usize, 0u64);
            for _ in 0..count {
                let (word, mask) = if rng.one_in(3) && last.1 != 0 { last } else { rng.pick(&places) };
                last = (word, mask);
                let bit = one_bit(mask, rng);
                if !undefined.contains(&(word, bit)) {
                    undefined.push((word, bit));
                }
            }
        }
        // The case itself is the filling that the values are.
        normal_flags(&mut before);
        Some(Case { insn, bytes, before, undefined })
    }
}

pub(crate) fn normal_flags(machine: &mut Machine) {
    machine.flags = (machine.flags & 0xcd5) | 0x202;
}

pub(crate) fn one_bit(mask: u64, rng: &mut Rng) -> u64 {
    // Ends are where arithmetic changes its mind.
    match rng.below(6) {
        0 => mask & mask.wrapping_neg(),
        1 => 1 << (63 - mask.leading_zeros()),
        _ => loop {
            let bit = 1 << rng.below(64);
            if mask & bit != 0 {
                break bit;
            }
        },
    }
}

fn lane_value(rng: &mut Rng) -> u64 {
    match rng.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => rng.next() & rng.next() & rng.next(),
        3 => f64::from(rng.below(1000) as u32).to_bits(),
        4 => {
            let x = u64::from((rng.below(1000) as f32).to_bits());
            x | x << 32
        }
        _ => rng.next(),
    }
}

pub(crate) fn values(form: &Form, insn: &Instruction, rng: &mut Rng, processor: &Processor) -> Box<Machine> {
    let mut m = Machine::blank();
    let memory = processor.memory();
    for n in 0..16 {
        m.gpr[n] = rng.value();
        if n > 0 && rng.one_in(4) {
            m.gpr[n] = m.gpr[n - 1] ^ (1u64 << rng.below(64) & rng.next());
        }
    }
    let near = rng.one_in(3);
    for n in 0..32 {
        for word in 0..8 {
            m.vector[n][word] =
                if near && n > 0 && !rng.one_in(8) { m.vector[n - 1][word] } else { lane_value(rng) };
        }
    }
    let all = rng.one_in(3);
    for n in 0..8 {
        m.mask[n] = if all { u64::MAX } else { rng.next() };
    }
    for chunk in m.memory.chunks_mut(8) {
        chunk.copy_from_slice(&lane_value(rng).to_le_bytes());
    }
    // Sometimes memory is what a register is, so that comparisons find them equal.
    if rng.one_in(3) {
        let n = rng.below(16) as usize;
        for (word, bytes) in m.vector[n].iter().zip(m.memory[512..576].chunks_mut(8)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    } else if rng.one_in(2) {
        let n = rng.below(16) as usize;
        let word = m.gpr[n].to_le_bytes();
        m.memory[512..520].copy_from_slice(&word);
    }
    // Four values on the x87 stack.
    m.fx[0] = 0x37f | 0x0f << 32;
    for st in 0..8 {
        m.fx[4 + 2 * st] = rng.next() | 1 << 63;
        m.fx[5 + 2 * st] = (0x3ff0 + rng.below(32)) | (rng.below(2) << 15);
    }
    m.flags = rng.next() & 0x8d5;
    if let Some(index) = form.index {
        let n = index.number();
        for word in &mut m.vector[n] {
            let small = |rng: &mut Rng| (rng.below(60) as u32).wrapping_sub(20);
            let narrow = insn.memory_size().element_size() == 0 || is_narrow_index(insn);
            *word = if narrow {
                u64::from(small(rng)) | u64::from(small(rng)) << 32
            } else {
                i64::from(small(rng) as i32) as u64
            };
        }
    }
    use Mnemonic::*;
    match insn.mnemonic() {
        Div | Idiv => {
            m.gpr[2] = 0;
            m.gpr[0] >>= rng.below(40) + 1;
            m.memory[512] |= 1;
            m.memory[512 + 7] &= 0x7f;
            for n in [1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
                m.gpr[n] |= 1 << rng.below(8);
            }
        }
        Bt | Bts | Btr | Btc => {
            for n in 0..16 {
                m.gpr[n] &= 0x3ff;
            }
        }
        Leave | Enter => m.gpr[5] = memory + 320,
        _ => {}
    }
    if insn.is_string_instruction() {
        m.gpr[1] = rng.below(8);
        m.gpr[6] = memory + 384 + rng.below(16);
        m.gpr[7] = memory + 640 - rng.below(260);
        if rng.one_in(3) {
            m.flags |= 1 << 10;
        }
        if rng.one_in(2) {
            let byte = rng.next() as u8;
            m.memory[320..720].fill(byte);
            m.gpr[0] = u64::from(byte) * 0x0101_0101_0101_0101;
        }
    }
    if matches!(insn.mnemonic(), Maskmovdqu | Vmaskmovdqu | Maskmovq) {
        m.gpr[7] = memory + 640;
    }
    m.gpr[3] = memory + 512;
    m.gpr[4] = memory + 256;
    m
}

fn is_narrow_index(insn: &Instruction) -> bool {
    use Mnemonic::*;
    matches!(
        insn.mnemonic(),
        Vgatherdps
            | Vgatherdpd
            | Vpgatherdd
            | Vpgatherdq
            | Vscatterdps
            | Vscatterdpd
            | Vpscatterdd
            | Vpscatterdq
    )
}

/// Inputs, and old contents of outputs, except where addresses come from.
pub(crate) fn places(
    insn: &Instruction,
    m: &Machine,
    memory: u64,
    info: &mut InstructionInfoFactory,
) -> Places {
    let mut places: Places = vec![];
    let info = info.info(insn);
    let mut fixed = vec![Register::RBX, Register::RSP];
    if insn.is_string_instruction() {
        fixed.extend([Register::RSI, Register::RDI]);
        if insn.has_rep_prefix() || insn.has_repne_prefix() {
            fixed.push(Register::RCX);
        }
    }
    for used in info.used_registers() {
        let register = used.register();
        let full = register.full_register();
        if fixed.contains(&full) {
            continue;
        }
        if register.is_gpr() {
            let word = GPR + full.number();
            let low = if matches!(register, Register::AH | Register::BH | Register::CH | Register::DH) {
                0xff00
            } else {
                definedness_ones(register.size() as u32 * 8)
            };
            places.push((word, low));
            if used.access() != OpAccess::Read {
                places.push((word, u64::MAX));
            }
        } else if register.is_vector_register() {
            let size = if used.access() == OpAccess::Read { register.size() } else { 64 };
            let word = VECTOR + register.number() * 8;
            places.extend((0..size / 8).map(|i| (word + i, u64::MAX)));
        } else if register.is_k() {
            places.push((MASK + register.number(), 0xff));
            places.push((MASK + register.number(), u64::MAX));
        } else if register.is_st() || register.is_mm() {
            let st = register.number();
            places.push((machine::FX + 4 + 2 * st, u64::MAX));
            if register.is_st() {
                places.push((machine::FX + 5 + 2 * st, 0xffff));
            }
        }
    }
    for used in info.used_memory() {
        let address = used.virtual_address(0, |register, index, size| {
            if register.is_vector_register() {
                let word = m.vector[register.number()][index * size / 8];
                return Some(if size == 4 { u64::from(word as u32 as i32 as u32) } else { word });
            }
            Some(if register.is_gpr() { m.gpr[register.full_register().number()] } else { 0 })
        });
        let size = used.memory_size().size().clamp(8, 64);
        let Some(at) = address.map(|a| a.wrapping_sub(memory) as usize) else { continue };
        if at + size <= MEMORY {
            let bytes = used.memory_size().size().clamp(1, 64);
            for byte in 0..bytes {
                let (word, shift) = (DATA + (at + byte) / 8, (at + byte) % 8 * 8);
                places.push((word, 0xff << shift));
            }
        }
    }
    if insn.rflags_read() & 0x3f != 0 || insn.rflags_modified() != 0 {
        places.push((FLAGS, 0x8d5));
    }
    places
}

fn definedness_ones(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// What came of a case.
pub(crate) enum Verdict {
    /// Undefined bits that the rule names, how many of them differ in truth, by what rule.
    Fine {
        named: u32,
        true_: u32,
        rule: Rule,
    },
    /// Not comparable: something was reported, or a filling faulted.
    Skipped,
    /// The processor does not know the instruction.
    Unknown,
    Wrong(String),
}

pub(crate) fn check(case: &Case, processor: &Processor, rules: &mut Rules) -> Verdict {
    let mut v = Machine::blank();
    v.fx = [0; 64];
    for (word, mask) in &case.undefined {
        v.words_mut()[*word] |= mask;
    }
    // A condition on the old flags is undefined as they are.
    let old = |bits: u64| v.flags & bits != 0;
    let conditions = u64::from(old(0x880)) << 32 | u64::from(old(0x8c0)) << 33 | u64::from(old(0x41)) << 34;
    v.flags |= conditions;
    let memory = processor.memory();
    let dry = apply(rules, &case.insn, &case.before, &v, memory, 0);
    if !dry.reports.is_empty() || dry.outside {
        return Verdict::Skipped;
    }
    processor.prepare(&case.bytes);
    let mut after = Machine::blank();
    let mut first: Option<Box<Machine>> = None;
    let mut differ = vec![0u64; after.words().len()];
    let mut top = 0;
    for filling in 0..1u64 << case.undefined.len() {
        let mut before = case.before.clone();
        fill(&mut before, &case.undefined, filling);
        match processor.run(&before, &mut after) {
            Ok(()) => {}
            Err(libc::SIGILL) => return Verdict::Unknown,
            Err(_) => return Verdict::Skipped,
        }
        let now = (after.fx[0] >> 27 & 7) as usize;
        if filling != 0 && now != top {
            // How much is pushed depends on the operand (fptan out of range).
            return Verdict::Skipped;
        }
        top = now;
        normalise(&mut after);
        match &first {
            None => first = Some(after.clone()),
            Some(first) => {
                for ((d, a), b) in differ.iter_mut().zip(after.words()).zip(first.words()) {
                    *d |= a ^ b;
                }
            }
        }
    }
    let outcome = apply(rules, &case.insn, &case.before, &v, memory, top);
    let loose = unspecified(&case.insn);
    let (mut named, mut truly) = (0, 0);
    for (word, (rule, truth)) in outcome.v.words().iter().zip(&differ).enumerate() {
        let truth = if word == FLAGS { truth & !loose } else { *truth };
        let rule = if word == FLAGS { rule & !loose } else { *rule };
        if truth & !rule != 0 {
            return Verdict::Wrong(describe(case, word, rule, truth));
        }
        named += rule.count_ones();
        truly += truth.count_ones();
    }
    Verdict::Fine { named, true_: truly, rule: outcome.rule }
}

pub(crate) fn describe(case: &Case, word: usize, rule: u64, truth: u64) -> String {
    let mut text = format!("{} [{:02x?}]\n  {}: ", case.insn, case.bytes, name(word));
    text += &format!("differs in {truth:#x}, called undefined {rule:#x}\n  undefined before:");
    for (word, mask) in &case.undefined {
        text += &format!(" {} {mask:#x} (is {:#x})", name(*word), case.before.words()[*word]);
    }
    text + &format!("\n  gpr {:x?}\n  flags {:#x}", case.before.gpr, case.before.flags)
}

pub(crate) fn name(word: usize) -> String {
    match word {
        _ if word >= DATA => format!("memory+{}", (word - DATA) * 8),
        _ if word >= FLAGS => "flags".into(),
        _ if word >= GPR => format!("gpr{}", word - GPR),
        _ if word >= MASK => format!("k{}", word - MASK),
        _ if word >= VECTOR => format!("vector{}.{}", (word - VECTOR) / 8, (word - VECTOR) % 8),
        _ => format!("fx+{}", word * 8),
    }
}

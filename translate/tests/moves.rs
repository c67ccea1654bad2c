//! Precise code that moves V bits by itself, held against the rules of `definedness`.
//!
//! One instruction after the other is executed in precise code with random V bits of registers and memory. Where the code
//! does not ask for the engine, V bits must be afterwards what the rules say, and the bytes that say which registers have
//! any must be exact. `VG_SEED=0:number` repeats one case.

mod support;

use definedness::{Guest, Registers, Rules, Shadow};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use support::puppet::Puppet;
use support::rng::Rng;
use support::runtime::{Options, Runtime, State};
use support::space::{SHADOW, Space};
use translate::{Limits, Mode, layout};

/// Instructions with memory at rsi (read) or rdi (written), and between registers.
const MOVES: [&[u8]; 59] = [
    &[0x48, 0x8b, 0x06],                // mov rax, [rsi]
    &[0x8b, 0x0e],                      // mov ecx, [rsi]
    &[0x44, 0x8b, 0x5e, 0x03],          // mov r11d, [rsi+3]
    &[0x48, 0x8b, 0x36],                // mov rsi, [rsi]
    &[0x48, 0x89, 0x07],                // mov [rdi], rax
    &[0x89, 0x0f],                      // mov [rdi], ecx
    &[0x66, 0x44, 0x89, 0x1f],          // mov [rdi], r11w
    &[0x88, 0x4f, 0x01],                // mov [rdi+1], cl
    &[0x88, 0x6f, 0x01],                // mov [rdi+1], ch
    &[0x48, 0x89, 0xc8],                // mov rax, rcx
    &[0x89, 0xc8],                      // mov eax, ecx
    &[0x89, 0xc9],                      // mov ecx, ecx
    &[0x88, 0xc8],                      // mov al, cl
    &[0x88, 0xcd],                      // mov ch, cl
    &[0x66, 0x89, 0xc8],                // mov ax, cx
    &[0x0f, 0xb6, 0xc1],                // movzx eax, cl
    &[0x0f, 0xb6, 0xc5],                // movzx eax, ch
    &[0x48, 0x0f, 0xbe, 0xc1],          // movsx rax, cl
    &[0x0f, 0xbf, 0xc1],                // movsx eax, cx
    &[0x48, 0x63, 0xc1],                // movsxd rax, ecx
    &[0x0f, 0xb6, 0x06],                // movzx eax, byte [rsi]
    &[0x48, 0x0f, 0xb7, 0x06],          // movzx rax, word [rsi]
    &[0x0f, 0xbe, 0x06],                // movsx eax, byte [rsi]
    &[0x48, 0x0f, 0xbf, 0x06],          // movsx rax, word [rsi]
    &[0x48, 0x63, 0x06],                // movsxd rax, dword [rsi]
    &[0x50],                            // push rax
    &[0x59],                            // pop rcx
    &[0x41, 0x5b],                      // pop r11
    &[0x48, 0x89, 0x44, 0x24, 0x10],    // mov [rsp+16], rax
    &[0x0f, 0x10, 0x06],                // movups xmm0, [rsi]
    &[0xf3, 0x44, 0x0f, 0x6f, 0x0e],    // movdqu xmm9, [rsi]
    &[0x0f, 0x11, 0x07],                // movups [rdi], xmm0
    &[0x0f, 0x28, 0xc1],                // movaps xmm0, xmm1
    &[0xf3, 0x0f, 0x10, 0x06],          // movss xmm0, [rsi]
    &[0xf2, 0x0f, 0x10, 0x06],          // movsd xmm0, [rsi]
    &[0xf2, 0x0f, 0x11, 0x07],          // movsd [rdi], xmm0
    &[0xf3, 0x0f, 0x7e, 0x06],          // movq xmm0, [rsi]
    &[0x66, 0x0f, 0xd6, 0x07],          // movq [rdi], xmm0
    &[0x66, 0x0f, 0x6e, 0x06],          // movd xmm0, [rsi]
    &[0x66, 0x0f, 0x7e, 0x07],          // movd [rdi], xmm0
    &[0xc5, 0xf8, 0x10, 0x06],          // vmovups xmm0, [rsi]
    &[0xc5, 0xfc, 0x10, 0x06],          // vmovups ymm0, [rsi]
    &[0xc5, 0xfc, 0x11, 0x07],          // vmovups [rdi], ymm0
    &[0xc5, 0xfc, 0x28, 0xc1],          // vmovaps ymm0, ymm1
    &[0x66, 0x0f, 0xef, 0xc0],          // pxor xmm0, xmm0
    &[0xa8, 0x10],                      // test al, 16
    &[0xf6, 0xc5, 0x81],                // test ch, 0x81
    &[0x66, 0xa9, 0x00, 0x80],          // test ax, 0x8000
    &[0xa9, 0x00, 0x00, 0x00, 0x80],    // test eax, 0x80000000
    &[0x48, 0xf7, 0xc1, 0, 0, 0, 0x80], // test rcx, -0x80000000
    &[0xf6, 0x46, 0x03, 0x04],          // test byte [rsi+3], 4
    &[0x48, 0xf7, 0x06, 1, 0, 0, 0],    // test qword [rsi], 1
    &[0x83, 0xe0, 0x0f],                // and eax, 15
    &[0x48, 0x83, 0xe1, 0xf0],          // and rcx, -16
    &[0x24, 0x0f],                      // and al, 15
    &[0x80, 0x27, 0x0f],                // and byte [rdi], 15
    &[0x83, 0xc8, 0xf0],                // or eax, -16
    &[0x48, 0x83, 0x0f, 0xfe],          // or qword [rdi], -2
    &[0x66, 0x83, 0x0f, 0xfe],          // or word [rdi], -2
];

/// Bytes around what is accessed.
const AROUND: usize = 256;

struct Values<'a> {
    state: &'a State,
    space: &'a Space,
}

impl Guest for Values<'_> {
    fn gpr(&self, number: usize) -> u64 {
        self.state.regs[number]
    }
    fn rflags(&self) -> u64 {
        self.state.flags
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
        7
    }
    fn state_in_use(&self) -> u64 {
        7
    }
    fn read(&self, address: u64, bytes: &mut [u8]) {
        bytes.copy_from_slice(self.space.region.bytes(address, bytes.len()));
    }
}

/// V bits of memory from an address on, and whether a byte was accessed that looks unaddressable.
struct Bits {
    start: u64,
    v: Vec<u8>,
    asks: bool,
}

impl Bits {
    fn at(&mut self, address: u64, size: usize) -> &mut [u8] {
        let at = (address - self.start) as usize;
        &mut self.v[at..at + size]
    }
}

impl Shadow for Bits {
    fn load(&mut self, address: u64, v: &mut [u8]) -> u64 {
        v.copy_from_slice(self.at(address, v.len()));
        self.asks |= v.contains(&layout::UNADDRESSABLE);
        address
    }
    fn store(&mut self, address: u64, v: &[u8], _: u64) {
        let size = v.len();
        self.asks |= self.at(address, size).contains(&layout::UNADDRESSABLE);
        self.at(address, size).copy_from_slice(v);
    }
}

fn random_v(rng: &mut Rng) -> u64 {
    match rng.below(5) {
        0 => u64::MAX,
        1 => 0xff << (8 * rng.below(8)),
        2 => rng.next() & rng.next(),
        _ => 0,
    }
}

/// Runs one case; whether the code moved V bits by itself.
fn case(rng: &mut Rng, puppet: &Puppet, space: &mut Space, runtime: &mut Runtime) -> Result<bool, String> {
    let bytes = rng.pick(&MOVES);
    // xor r15d, r15d makes the flags dead in front of it.
    let flags_are_dead = rng.one_in(2);
    let mut code = bytes.to_vec();
    if flags_are_dead {
        code.extend([0x45, 0x31, 0xff]);
    }
    let pc = space.code();
    let jump = space.exit().wrapping_sub(pc + code.len() as u64 + 5) as u32;
    code.push(0xe9);
    code.extend(jump.to_le_bytes());
    space.region.write(pc, &code);

    let mut state = State {
        regs: std::array::from_fn(|_| rng.next()),
        pc,
        flags: rng.next() & 0x8d5 | 0x202,
        fs_base: 0,
        gs_base: 0,
    };
    let data = space.data();
    let mut v = Registers::default();
    for number in (0..16).filter(|number| ![4, 6, 7].contains(number)) {
        v.gpr[number] = random_v(rng);
    }
    for v in v.vector.as_flattened_mut()[..16 * 8].iter_mut() {
        *v = random_v(rng);
    }
    state.regs[4] = data & !15;
    state.regs[6] = data + rng.below(64);
    state.regs[7] = data + 64 + rng.below(64);
    let start = data - AROUND as u64;
    let mut shadow = vec![0; 2 * AROUND];
    for byte in &mut shadow {
        *byte = match rng.below(40) {
            0 => layout::UNADDRESSABLE,
            1..10 => rng.next() as u8,
            10..16 => 0xff,
            _ => 0,
        };
    }
    space.shadow.write(start + SHADOW, &shadow);

    let limits = Limits { segments: 1, ..Limits::default() };
    let mode = Mode::Guarded.precise();
    let options = Options {
        count: false,
        calls: false,
        follows: false,
        accesses: false,
        models: false,
        limits,
        link: false,
        check: true,
        mode,
    };
    runtime.start(puppet, space, &state, &puppet.xstate(), options);
    runtime.set_v(&v);

    let mut bits = Bits { start, v: shadow, asks: false };
    let leaves_undefined = leaves_undefined(bytes, pc, &state, &v, &mut bits);
    let mut expected = v;
    let mut rules = Rules::new();
    for insn in &mut Decoder::with_ip(64, &code, pc, DecoderOptions::NONE) {
        if insn.mnemonic() != iced_x86::Mnemonic::Jmp {
            rules.step(&insn, &Values { state: &state, space }, &mut bits, &mut expected, &mut |_| ());
        }
    }
    let what = text(bytes, pc);
    if runtime.run_to_dispatcher(puppet) == layout::EXIT_STEP {
        return if bits.asks || is_for_engine(bytes, pc) || leaves_undefined {
            Ok(false)
        } else {
            Err(format!("{what} asks the engine"))
        };
    }
    let now = runtime.v().map_err(|error| format!("{what}: {error}"))?;
    if (now.gpr, now.vector) != (expected.gpr, expected.vector) {
        return Err(format!("{what}: registers are {now:x?}\ninstead of {expected:x?}"));
    }
    let memory = space.shadow.bytes(start + SHADOW, 2 * AROUND);
    if let Some(at) = (0..memory.len()).find(|&at| memory[at] != bits.v[at]) {
        return Err(format!(
            "{what}: V bits of {:#x} are {:x} instead of {:x}",
            start + at as u64,
            memory[at],
            bits.v[at]
        ));
    }
    Ok(true)
}

fn decoded(bytes: &[u8], pc: u64) -> Instruction {
    Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE).decode()
}

fn text(bytes: &[u8], pc: u64) -> String {
    decoded(bytes, pc).to_string()
}

/// Whether an instruction with a constant has an undefined result: the code need not find out which bits.
fn leaves_undefined(bytes: &[u8], pc: u64, state: &State, v: &Registers, memory: &mut Bits) -> bool {
    use iced_x86::{Mnemonic, OpKind};
    let insn = decoded(bytes, pc);
    let Ok(constant) = insn.try_immediate(1) else { return false };
    let matters = match insn.mnemonic() {
        Mnemonic::And | Mnemonic::Test => constant,
        Mnemonic::Or => !constant,
        _ => return false,
    };
    let v = if insn.op0_kind() == OpKind::Memory {
        let address = state.regs[insn.memory_base().number()].wrapping_add(insn.memory_displacement64());
        let size = insn.memory_size().size();
        (0..).zip(memory.at(address, size)).fold(0, |v, (at, byte)| v | u64::from(*byte) << (8 * at))
    } else {
        let register = insn.op0_register();
        let shift = if register == iced_x86::Register::CH { 8 } else { 0 };
        let kept = u64::MAX >> (64 - 8 * register.size());
        v.gpr[register.full_register().number()] >> shift & kept
    };
    v & matters != 0
}

/// Whether the code need not move the bits by itself: those of a high byte, or into a part of a register.
fn is_for_engine(bytes: &[u8], pc: u64) -> bool {
    let insn = decoded(bytes, pc);
    let written =
        insn.op0_kind() == iced_x86::OpKind::Register && insn.mnemonic() != iced_x86::Mnemonic::Test;
    let to_register = insn.op0_kind() == insn.op1_kind() || insn.try_immediate(1).is_ok();
    let into_part = written && to_register && insn.op0_register().size() < 4;
    into_part || text(bytes, pc).contains("ch")
}

#[test]
fn v_bits_move_as_the_rules_say() {
    let (mut space, mut runtime) = (Space::map(0), Runtime::new(0));
    let puppet = Puppet::spawn();
    let Some((seeds, _)) = support::seeds(0, 6000) else { return };
    let (count, mut moved) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        match case(&mut Rng::new(seed ^ 0x3c3c), &puppet, &mut space, &mut runtime) {
            Ok(by_itself) => moved += u64::from(by_itself),
            Err(error) => panic!("VG_SEED=0:{seed}: {error}"),
        }
    }
    assert!(count == 1 || moved > count / 2, "hardly a case moved V bits");
}

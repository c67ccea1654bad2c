//! Executes one instruction natively, with all registers and a piece of memory loaded before and read back after it.
//!
//! A thunk in low memory loads everything from one structure and stores it to another, at absolute addresses, so that
//! no register is taken from the instruction. A fault ends at the thunk's second half.
//! Not here: what is executed (`forms`), what is compared (`case`).
#![allow(unsafe_code, reason = "executes generated code; signal handler")]

use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};
use std::arch::is_x86_feature_detected as has;
use std::cell::Cell;

pub(crate) const MEMORY: usize = 1024;

/// Registers and memory; compared word by word.
#[repr(C, align(64))]
#[derive(Clone)]
pub(crate) struct Machine {
    /// The image of fxsave: x87 and MMX (its xmm part is overridden by `vector`).
    pub(crate) fx: [u64; 64],
    pub(crate) vector: [[u64; 8]; 32],
    pub(crate) mask: [u64; 8],
    pub(crate) gpr: [u64; 16],
    pub(crate) flags: u64,
    pad: [u64; 7],
    pub(crate) memory: [u8; MEMORY],
}

impl Machine {
    pub(crate) fn blank() -> Box<Machine> {
        // SAFETY: all fields are integers.
        let mut machine: Box<Machine> = Box::new(unsafe { std::mem::zeroed() });
        // Control word, MXCSR: everything masked.
        machine.fx[0] = 0x37f;
        machine.fx[3] = 0x1f80 | 0xffff_0000_0000;
        machine
    }

    pub(crate) fn words(&self) -> &[u64] {
        // SAFETY: a structure of integers without padding, aligned to 64.
        unsafe {
            std::slice::from_raw_parts((self as *const Machine).cast(), std::mem::size_of::<Machine>() / 8)
        }
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: as above.
        unsafe {
            std::slice::from_raw_parts_mut((self as *mut Machine).cast(), std::mem::size_of::<Machine>() / 8)
        }
    }
}

/// Word offsets within [`Machine::words`].
pub(crate) const FX: usize = 0;
pub(crate) const VECTOR: usize = 64;
pub(crate) const MASK: usize = VECTOR + 256;
pub(crate) const GPR: usize = MASK + 8;
pub(crate) const FLAGS: usize = GPR + 16;
pub(crate) const DATA: usize = FLAGS + 8;

thread_local! {
    /// Where a fault goes on, and which signal it was.
    static EXIT: Cell<(u64, i32)> = const { Cell::new((0, 0)) };
}

extern "C" fn fault(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    EXIT.with(|exit| {
        let (at, _) = exit.get();
        // SAFETY: the kernel's context of this signal; the thunk's second half needs no register.
        unsafe {
            if at == 0 {
                libc::abort();
            }
            let context = &mut *context.cast::<libc::ucontext_t>();
            context.uc_mcontext.gregs[libc::REG_RIP as usize] = at as i64;
        }
        exit.set((at, signal));
    });
}

/// A page that is loaded from, one that is stored to, and code.
pub(crate) struct Processor {
    base: u64,
    slot: u64,
    exit: u64,
}

const INPUT: u64 = 0;
const OUTPUT: u64 = 0x2000;
const HOST: u64 = 0x4000;
const CODE: u64 = 0x5000;
const SIZE: usize = 0x8000;

pub(crate) fn general(number: usize) -> Register {
    Register::RAX + number as u32
}

impl Processor {
    pub(crate) fn new() -> Processor {
        // SAFETY: a new mapping of our own; handlers and the alternative stack live as long as the process.
        unsafe {
            let base = libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            );
            assert!(base != libc::MAP_FAILED, "no memory below 2 GiB");
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in [libc::SIGILL, libc::SIGFPE, libc::SIGSEGV, libc::SIGBUS] {
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
            let stack = Box::leak(vec![0u8; 1 << 16].into_boxed_slice());
            let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
            libc::sigaltstack(&stack, std::ptr::null_mut());
            let mut processor = Processor { base: base as u64, slot: 0, exit: 0 };
            processor.write_thunk();
            processor
        }
    }

    /// Where the instruction will be, and where its memory is.
    pub(crate) fn slot(&self) -> u64 {
        self.slot
    }

    pub(crate) fn memory(&self) -> u64 {
        self.input() + DATA as u64 * 8
    }

    fn input(&self) -> u64 {
        self.base + INPUT
    }

    fn write_thunk(&mut self) {
        use Code::*;
        let mut encoder = Encoder::new(64);
        let start = self.base + CODE;
        let mut bytes = Vec::new();
        let at = |address: u64| MemoryOperand::with_displ(address, 4);
        let (input, output, host) = (self.base + INPUT, self.base + OUTPUT, at(self.base + HOST));
        let mut emit = |bytes: &mut Vec<u8>, insn: Result<Instruction, iced_x86::IcedError>| {
            encoder.encode(&insn.unwrap(), start + bytes.len() as u64).unwrap();
            bytes.extend(encoder.take_buffer());
        };
        let saved = [3, 5, 12, 13, 14, 15];
        let avx512 = has!("avx512bw");
        let vector = |load: bool, n: u32, state: u64| {
            let memory = at(state + (VECTOR as u64 + u64::from(n) * 8) * 8);
            let (register, load_code, store_code) = if avx512 {
                (Register::ZMM0 + n, EVEX_Vmovups_zmm_k1z_zmmm512, EVEX_Vmovups_zmmm512_k1z_zmm)
            } else if has!("avx") {
                (Register::YMM0 + n, VEX_Vmovups_ymm_ymmm256, VEX_Vmovups_ymmm256_ymm)
            } else {
                (Register::XMM0 + n, Movups_xmm_xmmm128, Movups_xmmm128_xmm)
            };
            if load {
                Instruction::with2(load_code, register, memory)
            } else {
                Instruction::with2(store_code, memory, register)
            }
        };
        let vectors = if avx512 { 32 } else { 16 };
        let masks = if avx512 { 8 } else { 0 };

        for n in saved {
            emit(&mut bytes, Instruction::with1(Push_r64, general(n)));
        }
        emit(&mut bytes, Ok(Instruction::with(Pushfq)));
        emit(&mut bytes, Instruction::with2(Mov_rm64_r64, host, Register::RSP));
        emit(&mut bytes, Instruction::with1(Fxrstor64_m512byte, at(input)));
        for n in 0..vectors {
            emit(&mut bytes, vector(true, n, input));
        }
        let mask = |state: u64, n: u64| at(state + (MASK as u64 + n) * 8);
        for n in 0..masks {
            let k = Register::K0 + n as u32;
            emit(&mut bytes, Instruction::with2(VEX_Kmovq_kr_km64, k, mask(input, n)));
        }
        emit(&mut bytes, Instruction::with1(Push_rm64, at(input + FLAGS as u64 * 8)));
        emit(&mut bytes, Ok(Instruction::with(Popfq)));
        let gpr = |state: u64, n: usize| at(state + (GPR + n) as u64 * 8);
        for n in 0..16 {
            emit(&mut bytes, Instruction::with2(Mov_r64_rm64, general(n), gpr(input, n)));
        }
        self.slot = start + bytes.len() as u64;
        bytes.resize(bytes.len() + 32, 0xcc);
        self.exit = start + bytes.len() as u64;
        for n in 0..16 {
            emit(&mut bytes, Instruction::with2(Mov_rm64_r64, gpr(output, n), general(n)));
        }
        emit(&mut bytes, Instruction::with2(Mov_r64_rm64, Register::RSP, host));
        emit(&mut bytes, Ok(Instruction::with(Pushfq)));
        emit(&mut bytes, Instruction::with1(Pop_rm64, at(output + FLAGS as u64 * 8)));
        emit(&mut bytes, Ok(Instruction::with(Cld)));
        for n in 0..vectors {
            emit(&mut bytes, vector(false, n, output));
        }
        for n in 0..masks {
            let k = Register::K0 + n as u32;
            emit(&mut bytes, Instruction::with2(VEX_Kmovq_m64_kr, mask(output, n), k));
        }
        emit(&mut bytes, Instruction::with1(Fxsave64_m512byte, at(output)));
        emit(&mut bytes, Ok(Instruction::with(Fninit)));
        if has!("avx") {
            emit(&mut bytes, Ok(Instruction::with(VEX_Vzeroupper)));
        }
        emit(&mut bytes, Ok(Instruction::with(Popfq)));
        for n in saved.into_iter().rev() {
            emit(&mut bytes, Instruction::with1(Pop_r64, general(n)));
        }
        emit(&mut bytes, Ok(Instruction::with(Retnq)));
        assert!(bytes.len() < SIZE - CODE as usize);
        // SAFETY: within our mapping.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start as *mut u8, bytes.len()) };
    }

    /// Puts the instruction's bytes into the thunk.
    pub(crate) fn prepare(&self, insn: &[u8]) {
        let mut bytes = insn.to_vec();
        let from = self.slot + bytes.len() as u64 + 5;
        bytes.push(0xe9);
        bytes.extend((self.exit.wrapping_sub(from) as u32).to_le_bytes());
        assert!(bytes.len() <= 32);
        // SAFETY: the slot has 32 bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.slot as *mut u8, bytes.len()) };
    }

    /// Runs it once from `before`; the signal if it faults.
    pub(crate) fn run(&self, before: &Machine, after: &mut Machine) -> Result<(), i32> {
        EXIT.with(|exit| exit.set((self.exit, 0)));
        // SAFETY: the thunk keeps what the ABI says; the instruction reaches registers and our memory only.
        unsafe {
            std::ptr::copy_nonoverlapping(before, self.input() as *mut Machine, 1);
            let call: extern "sysv64" fn() = std::mem::transmute(self.base + CODE);
            call();
            let output = (self.base + OUTPUT) as *const Machine;
            std::ptr::copy_nonoverlapping(output, after, 1);
            after.memory = (*(self.input() as *const Machine)).memory;
        }
        match EXIT.with(|exit| exit.replace((0, 0))).1 {
            0 => Ok(()),
            signal => Err(signal),
        }
    }
}

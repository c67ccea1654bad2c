//! What the test suites share: random programs, a child that executes them, and a small engine around the cache.
#![allow(dead_code, unreachable_pub, reason = "each test binary includes this module and uses its part")]

pub mod frames;
pub mod generate;
pub mod pool;
pub mod puppet;
pub mod reference;
pub mod rng;
pub mod runtime;
pub mod space;

use generate::Program;
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use puppet::{Puppet, Stop, get_gprs, set_gprs};
use runtime::{FLAGS, State};
use space::Space;

/// Whether programs may read and write the segment bases with instructions of their own.
pub fn has_fsgsbase() -> bool {
    const AT_HWCAP2: u64 = 26;
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(AT_HWCAP2) & 2 != 0 }
}

pub fn disassemble(bytes: &[u8], at: u64) -> String {
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_rip_relative_addresses(false);
    formatter.options_mut().set_space_after_operand_separator(true);
    let mut out = String::new();
    for insn in &mut Decoder::with_ip(64, bytes, at, DecoderOptions::NONE) {
        let mut text = String::new();
        formatter.format(&insn, &mut text);
        out += &format!("{:12x}  {text}\n", insn.ip());
    }
    out
}

/// How many times as long to test: `VG_LONG=N`.
pub fn long_factor() -> u64 {
    std::env::var("VG_LONG").ok().map_or(1, |value| value.parse::<u64>().unwrap_or(1).max(1) * 20)
}

impl Program {
    /// Puts code and memory in place.
    pub fn load(&self, space: &mut Space) {
        for (at, bytes) in &self.code {
            space.region.write(*at, bytes);
        }
        space.restore(&self.memory);
    }

    pub fn first_state(&self) -> State {
        State {
            regs: self.regs,
            pc: self.start,
            flags: self.flags,
            fs_base: self.fs_base,
            gs_base: self.gs_base,
        }
    }

    /// Makes the child ready to execute the program natively.
    pub fn start_natively(&self, puppet: &Puppet) {
        let mut regs = puppet.regs();
        set_gprs(&mut regs, &self.regs);
        regs.rip = self.start;
        regs.eflags = self.flags | 0x202;
        regs.fs_base = self.fs_base;
        regs.gs_base = self.gs_base;
        puppet.set_regs(&regs);
        puppet.set_xstate(&self.xstate);
    }

    pub fn listing(&self) -> String {
        self.code.iter().map(|(at, bytes)| disassemble(bytes, *at) + "\n").collect()
    }
}

/// The child's state when guest code runs natively.
pub fn native_state(puppet: &Puppet) -> State {
    let regs = puppet.regs();
    State {
        regs: get_gprs(&regs),
        pc: regs.rip,
        flags: regs.eflags & FLAGS,
        fs_base: regs.fs_base,
        gs_base: regs.gs_base,
    }
}

/// The part of an XSAVE image that a program owns: without the addresses of the last x87 instruction and operand,
/// which name the code cache, and without the mark of which components are in their initial state.
pub fn visible(xstate: &[u8]) -> Vec<u8> {
    let mut visible = xstate.to_vec();
    visible[6..24].fill(0);
    visible[464..576].fill(0);
    visible
}

/// Whether a native run has reached the program's end.
pub fn reached_exit(puppet: &Puppet, space: &Space, stop: Stop) -> bool {
    stop.signal == libc::SIGTRAP && puppet.regs().rip == space.exit() + 1
}

pub fn describe(what: &str, native: &State, translated: &State) -> String {
    const NAMES: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    let mut out = format!("{what}:\n");
    let mut line = |name: &str, a: u64, b: u64| {
        if a != b {
            out += &format!("  {name}: native {a:#x}, translated {b:#x}\n");
        }
    };
    for (i, name) in NAMES.iter().enumerate() {
        line(name, native.regs[i], translated.regs[i]);
    }
    line("pc", native.pc, translated.pc);
    line("flags", native.flags, translated.flags);
    line("fs base", native.fs_base, translated.fs_base);
    line("gs base", native.gs_base, translated.gs_base);
    out
}

/// The seeds to test in address space `kind`, and whether that is the single one that `VG_SEED=KIND:SEED` names; `None` for
/// the other kinds then.
#[allow(dead_code, reason = "not every suite draws seeds")]
pub fn seeds(kind: usize, programs: u64) -> Option<(std::ops::Range<u64>, bool)> {
    let Some(text) = std::env::var_os("VG_SEED") else {
        return Some((1..1 + programs * long_factor(), false));
    };
    let (wanted, seed) = text.to_str()?.split_once(':')?;
    let seed: u64 = (wanted.parse() == Ok(kind)).then(|| seed.parse().ok())??;
    Some((seed..seed + 1, true))
}

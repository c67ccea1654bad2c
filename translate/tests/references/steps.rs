//! A program natively, one instruction after the other, with the references that `translate::references` finds for each.
//!
//! What always holds: an instruction that faults has made none. Not here: programs with several threads or processes, and
//! code that changes.

use iced_x86::{Decoder, DecoderOptions, Instruction, InstructionInfoFactory};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Error;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use translate::layout::GUEST_FS;
use translate::references::{Kind, Reference, Registers, references};

/// An instruction or a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// `None`: an instruction.
    pub(crate) kind: Option<Kind>,
    pub(crate) address: u64,
    pub(crate) size: u32,
}

/// Instructions after which a program is given up: a minute or so.
const STEPS_MAX: usize = 10_000_000;

const NT_X86_XSTATE: usize = 0x202;

struct Before {
    pid: libc::pid_t,
    regs: libc::user_regs_struct,
    xstate: OnceCell<Vec<u8>>,
}

impl Before {
    fn new(pid: libc::pid_t) -> Before {
        // SAFETY: all-zero registers are a valid value.
        let mut regs: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut regs as usize);
        Before { pid, regs, xstate: OnceCell::new() }
    }

    /// 8 bytes of the vector state, in the standard format.
    fn word(&self, at: usize) -> u64 {
        let state = self.xstate.get_or_init(|| {
            let mut buffer = vec![0u8; 1 << 14];
            let mut io = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            ptrace(libc::PTRACE_GETREGSET, self.pid, NT_X86_XSTATE, &raw mut io as usize);
            buffer
        });
        u64::from_le_bytes(state[at..at + 8].try_into().unwrap())
    }
}

/// Where a component of the vector state begins.
fn component(number: u32) -> usize {
    std::arch::x86_64::__cpuid_count(0xd, number).ebx as usize
}

impl Registers for Before {
    fn general(&self, number: u8) -> u64 {
        let r = &self.regs;
        let all = [
            r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
            r.r14, r.r15,
        ];
        all[usize::from(number)]
    }

    fn base(&self, slot: u32) -> u64 {
        if slot == GUEST_FS { self.regs.fs_base } else { self.regs.gs_base }
    }

    fn vector(&self, number: u8, from: usize) -> u64 {
        let number = usize::from(number);
        let mut bytes = [0; 8];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let from = from + at;
            let place = match (number, from / 16) {
                (16.., _) => component(7) + (number - 16) * 64 + from,
                (_, 0) => 160 + number * 16 + from,
                (_, 1) => component(2) + number * 16 + from - 16,
                _ => component(6) + number * 32 + from - 32,
            };
            *byte = self.word(place) as u8;
        }
        u64::from_le_bytes(bytes)
    }

    fn mask(&self, number: u8) -> u64 {
        self.word(component(5) + usize::from(number) * 8)
    }
}

struct Traced(Child);

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program did.
pub(crate) struct Trace {
    pub(crate) steps: Vec<Step>,
    /// The instructions, by their addresses.
    pub(crate) code: HashMap<u64, Instruction>,
}

/// Runs the program to its end.
pub(crate) fn trace(command: &mut Command) -> Trace {
    let traced = || {
        // SAFETY: the request takes no address and is async-signal-safe, as the code between fork and exec must be.
        let result = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
    };
    // SAFETY: the closure makes one async-signal-safe call and allocates nothing.
    unsafe { command.pre_exec(traced) };
    let child = Traced(command.spawn().unwrap());
    let pid = child.0.id() as libc::pid_t;
    assert_eq!(wait(pid), Some(libc::SIGTRAP), "it stops at its first instruction");
    ptrace(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_EXITKILL as usize);
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut code: HashMap<u64, Instruction> = HashMap::new();
    let mut known: HashMap<u64, (u32, Vec<Reference>)> = HashMap::new();
    let mut info = InstructionInfoFactory::new();
    let mut steps = Vec::new();
    let mut deliver = 0;
    loop {
        let before = Before::new(pid);
        let pc = before.regs.rip;
        let (length, list) = known.entry(pc).or_insert_with(|| {
            let mut bytes = [0; 15];
            let count = memory.read_at(&mut bytes, pc).unwrap();
            let insn = Decoder::with_ip(64, &bytes[..count], pc, DecoderOptions::NONE).decode();
            let mut list = Vec::new();
            references(&insn, &mut info, &mut list);
            code.insert(pc, insn);
            (insn.len() as u32, list)
        });
        let begun = steps.len();
        // With a signal to deliver, the step is that into the handler.
        if deliver == 0 {
            steps.push(Step { kind: None, address: pc, size: *length });
            steps.extend(list.iter().filter_map(|reference| {
                let address = reference.address(&before)?;
                Some(Step { kind: Some(reference.kind), address, size: reference.size.into() })
            }));
        }
        assert!(steps.len() < STEPS_MAX, "the program does not end");
        ptrace(libc::PTRACE_SINGLESTEP, pid, 0, deliver);
        match wait(pid) {
            None => return Trace { steps, code },
            Some(libc::SIGTRAP) => deliver = 0,
            Some(signal) => {
                steps.truncate(begun);
                deliver = signal as usize;
            }
        }
    }
}

/// The signal that stopped it; `None` when it has ended.
fn wait(pid: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    assert_eq!(waited, pid, "waitpid: {}", Error::last_os_error());
    if libc::WIFSTOPPED(status) {
        return Some(libc::WSTOPSIG(status));
    }
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "it ended with {status:#x}");
    None
}

fn ptrace(request: libc::c_uint, pid: libc::pid_t, address: usize, data: usize) {
    // SAFETY: `data` is a number, or the address of a live buffer that fits the request.
    let result = unsafe { libc::ptrace(request, pid, address, data) };
    assert_eq!(result, 0, "ptrace request {request}: {}", Error::last_os_error());
}

//! The shared stubs at the start of the code cache: leaving it, entering it, system calls, replaced functions.
//!
//! They are generated rather than written in assembly files because fragments reach them by rel32 only, and the
//! cache's address is chosen at run time. All of them run with the guest's registers and on the guest's stack
//! pointer, but never write to the guest's stack.

use crate::define;
use crate::emit::{Emitter, reg};
use crate::fragment::StubAddresses;
use crate::layout::{self, Fix, MapEntry};
use crate::models::{Models, Which, search};
use crate::tables::Tables;
use alloc::vec::Vec;

/// The stubs and the labels that the signal handler must know.
#[derive(Debug, Clone, Default)]
pub struct StubTable {
    /// Where fragments jump to.
    pub addresses: StubAddresses,
    /// Called by the engine as `extern "C" fn()`, with the context behind FS: enters guest code at `NEXT` with the
    /// registers in the context; comes back only through the dispatcher.
    pub enter: u64,
    /// Goes on at `PC` through the dispatcher; what rt_sigreturn and new threads start at, with guest registers.
    pub resume: u64,
    /// Continues a system call natively: what [`StubTable::enter`]'s `NEXT` is set to when the engine has nothing
    /// to do for it.
    pub syscall_pass: u64,
    /// Start of the window in which a system call has not begun but `STATE` or `PENDING` were already looked at.
    pub syscall_window: u64,
    /// The `syscall` instruction itself: interrupted here, it has not begun, or will be restarted.
    pub syscall_instruction: u64,
    /// Behind the `syscall` instruction: interrupted from here on, it has been done.
    pub syscall_done: u64,
    /// Behind the last instruction of the system-call stub.
    pub syscall_end: u64,
    /// In that stub: from here on the call is done and the guest is about to return.
    pub heap_epilogue: u64,
    /// In that stub, when something is pending: from here up to the second the return address has been popped to rcx.
    pub heap_leaving: (u64, u64),
    /// In that stub: from here on the return address has been popped.
    pub heap_popped: u64,
    /// Behind the stub that calls the engine in place of a guest function.
    pub heap_call_end: u64,
    /// Sends the thread the signal that carries one which the engine held back, then unblocks it and goes on at `PC`, all
    /// registers being in the context.
    pub raise: u64,
    /// Behind it.
    pub raise_end: u64,
    /// First address of the code that saves the guest's registers for the dispatcher, or restores them.
    pub switch_start: u64,
    /// Behind it.
    pub switch_end: u64,
    /// The code that defines what a store is about to write. An interrupted thread is where the check at `CONTINUE`
    /// stands.
    pub store_start: u64,
    /// Behind it.
    pub store_end: u64,
    /// What else to recover there, by rising offset; guest addresses mean nothing.
    pub store_map: Vec<MapEntry>,
    /// `extern "C" fn(*mut [[u64; 8]; 32])`: stores the vector registers, as far as the processor has them.
    pub vectors: u64,
    /// The code that searches for lines, and asks the engine about them. An interrupted thread in it counts as in the engine ..
    pub access_start: u64,
    /// .. but from here ..
    pub access_epilogue: u64,
    /// .. up to here, where it is where `CONTINUE` leads.
    pub access_answered: u64,
    /// Behind it.
    pub access_end: u64,
    /// Behind the instructions of a system call whose results the engine has to look at: goes to the dispatcher.
    pub syscall_after: u64,
    /// Bytes used.
    pub size: usize,
}

fn save_all(e: &mut Emitter<'_>) {
    for register in 0..16u8 {
        e.store_ctx(layout::REGS + 8 * u32::from(register), register);
    }
    // mov rsp, fs:[ENGINE_RSP]; pushfq; pop rax; mov fs:[FLAGS], rax; cld
    e.load_ctx(reg::RSP, layout::ENGINE_RSP);
    e.bytes(&[0x9c, 0x58]);
    e.store_ctx(layout::FLAGS, reg::RAX);
    // The engine's own code must run with DF and AC clear.
    e.bytes(&[0x6a, 0x02, 0x9d]);
    for register in 0..16u8 {
        xmm(e, 0x11, register);
    }
}

/// `movups fs:[XMM + 16*n], xmm` (0x11) or back (0x10).
fn xmm(e: &mut Emitter<'_>, opcode: u8, register: u8) {
    e.bytes(&[0x64]);
    if register >= 8 {
        e.bytes(&[0x44]);
    }
    e.bytes(&[0x0f, opcode, 0x04 | (register & 7) << 3, 0x25]);
    e.u32(layout::XMM + 16 * u32::from(register));
}

fn restore_all(e: &mut Emitter<'_>) {
    for register in 0..16u8 {
        xmm(e, 0x10, register);
    }
    // mov rax, fs:[FLAGS]; push rax; popfq
    e.load_ctx(reg::RAX, layout::FLAGS);
    e.bytes(&[0x50, 0x9d]);
    for register in (0..16u8).rev() {
        e.load_ctx(register, layout::REGS + 8 * u32::from(register));
    }
}

/// Leaves for the dispatcher with `reason`.
fn leave(e: &mut Emitter<'_>, reason: u32, common: u64) {
    e.store_ctx_imm(layout::REASON, reason);
    e.jmp(common);
}

/// Calls the engine in place of a guest function (`EXIT` = its number, rax = the helper), then returns to the guest's caller. By the
/// ABI only the arguments and the callee-saved registers matter here; the engine's compiled code keeps the latter.
/// Fills in the labels behind its start.
fn heap_call(e: &mut Emitter<'_>, table: &mut StubTable, tables: Tables) {
    // Arguments, the stack pointer, and what an unwinder may need.
    for register in [7, 6, 2, 1, 8, 3, 4, 5, 12, 13, 14, 15] {
        e.store_ctx(layout::REGS + 8 * u32::from(register), register);
    }
    e.store_ctx_imm(layout::STATE, layout::STATE_ENGINE);
    e.load_ctx(reg::RSP, layout::ENGINE_RSP);
    e.load_ctx(7, layout::SELF);
    // call rax
    e.bytes(&[0xff, 0xd0]);
    // What the engine left in the registers that a call may change could look like pointers to blocks:
    // xor of edx, esi, edi, r8d to r11d with themselves.
    e.bytes(&[0x31, 0xd2, 0x31, 0xf6, 0x31, 0xff]);
    e.bytes(&[0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xdb]);
    e.load_ctx(reg::RSP, layout::REGS + 8 * u32::from(reg::RSP));
    e.store_ctx_imm(layout::STATE, layout::STATE_CACHE);
    table.heap_epilogue = e.here();
    // mov ecx, fs:[PENDING]; jrcxz return
    e.bytes(&[0x64, 0x8b, 0x0c, 0x25]);
    e.u32(layout::PENDING);
    e.bytes(&[0xe3, 0]);
    let jrcxz = e.offset();
    // pop rcx: the caller is where the guest goes on after what is pending.
    e.bytes(&[0x59]);
    let leaving = e.here();
    e.store_ctx(layout::PC, reg::RCX);
    e.jmp(table.resume);
    table.heap_leaving = (leaving, e.here());
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.store_ctx(layout::R11, reg::R11);
    // return_through begins with the two bytes of `pop r11`.
    table.heap_popped = e.here() + 2;
    crate::branch::return_through(e, tables);
}

/// Asks the engine about an access. What the engine's compiled code changes is put aside; no flag is live.
fn access(e: &mut Emitter<'_>, table: &mut StubTable, (models, helper): (&Models, u64), to_dispatcher: u64) {
    table.access_start = e.here();
    const CHANGED: [u8; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];
    for register in CHANGED.into_iter().chain([reg::RSP]) {
        e.store_ctx(layout::REGS + 8 * u32::from(register), register);
    }
    for register in 0..16 {
        xmm(e, 0x11, register);
    }
    e.store_ctx_imm(layout::STATE, layout::STATE_ENGINE);
    e.load_ctx(reg::RSP, layout::ENGINE_RSP);
    // pushfq; sub rsp, 8; push 2; popfq: the engine's own code must run with DF and AC clear.
    e.bytes(&[0x9c, 0x48, 0x83, 0xec, 0x08, 0x6a, 0x02, 0x9d]);
    e.load_ctx(7, layout::SELF);
    e.load_imm(reg::RAX, helper);
    // call rax; add rsp, 8; popfq
    e.bytes(&[0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0x9d]);
    for register in 0..16 {
        xmm(e, 0x10, register);
    }
    for register in CHANGED.into_iter().chain([reg::RSP]) {
        e.load_ctx(register, layout::REGS + 8 * u32::from(register));
    }
    e.store_ctx_imm(layout::STATE, layout::STATE_CACHE);
    table.access_epilogue = e.here();
    // cmp dword fs:[PENDING], 0; jne pending
    e.bytes(&[0x64, 0x83, 0x3c, 0x25]);
    e.u32(layout::PENDING);
    e.bytes(&[0, 0x75, 0]);
    let pending = e.offset();
    // jmp fs:[CONTINUE]
    e.bytes(&[0x64, 0xff, 0x24, 0x25]);
    e.u32(layout::CONTINUE);
    e.patch_u8(pending - 1, (e.offset() - pending) as u8);
    e.store_ctx_imm(layout::EXIT, layout::NOTHING);
    leave(e, layout::EXIT_CALL, to_dispatcher);
    table.access_answered = e.here();
    for (which, at) in [Which::Fetch, Which::Data].into_iter().zip(0..) {
        table.addresses.access[at] = e.here();
        search::emit(e, models, which, (table.access_epilogue, table.access_start));
    }
    table.access_end = e.here();
}

/// How wide the processor's vector registers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vectors {
    /// 16 of 128 bits.
    #[default]
    Sse,
    /// 16 of 256 bits.
    Avx,
    /// 32 of 512 bits, and masks.
    Avx512,
}

/// Stores the vector registers to 64 bytes each from rdi on, and behind them 8 bytes of each mask register.
fn store_vectors(e: &mut Emitter<'_>, vectors: Vectors) {
    let count = if vectors == Vectors::Avx512 { 32 } else { 16u8 };
    for register in 0..count {
        let at = u32::from(register) * 64;
        let (low, high) = ((register & 7) << 3, register & 8 != 0);
        match vectors {
            Vectors::Sse => {
                // movups [rdi + at], xmm
                if high {
                    e.bytes(&[0x44]);
                }
                e.bytes(&[0x0f, 0x11, 0x87 | low]);
            }
            // vmovups [rdi + at], ymm
            Vectors::Avx => e.bytes(&[0xc5, if high { 0x7c } else { 0xfc }, 0x11, 0x87 | low]),
            // vmovups [rdi + at], zmm: R and R' inverted
            Vectors::Avx512 => {
                let r = u8::from(!high) << 7 | u8::from(register & 16 == 0) << 4;
                e.bytes(&[0x62, r | 0x61, 0x7c, 0x48, 0x11, 0x87 | low]);
            }
        }
        e.u32(at);
    }
    if vectors == Vectors::Avx512 {
        for register in 0..8u8 {
            // kmovq [rdi + at], k
            e.bytes(&[0xc4, 0xe1, 0xf8, 0x91, 0x87 | register << 3]);
            e.u32(32 * 64 + 8 * u32::from(register));
        }
    }
    e.bytes(&[0xc3]);
}

/// rt_tgsigqueueinfo to itself while everything is blocked, then rt_sigprocmask: the kernel builds the frame with
/// the guest's floating-point state live, and the handler takes the general registers from the context.
fn raise(e: &mut Emitter<'_>, enter: u64) {
    const QUEUE_INFO: u64 = 297;
    const SIGPROCMASK: u64 = 14;
    e.load_imm(reg::RAX, QUEUE_INFO);
    for (slot, register) in [(0, 7), (1, 6), (2, 2), (3, 10)] {
        e.load_ctx(register, layout::RAISE + 8 * slot);
    }
    e.bytes(&[0x0f, 0x05]);
    e.load_imm(reg::RAX, SIGPROCMASK);
    e.load_imm(7, 2);
    e.load_ctx(6, layout::RAISE + 32);
    e.load_imm(2, 0);
    e.load_imm(10, 8);
    e.bytes(&[0x0f, 0x05]);
    e.store_ctx_imm(layout::STATE, layout::STATE_ENGINE);
    e.store_ctx_imm(layout::REASON, layout::EXIT_RESUME);
    e.load_ctx(reg::RSP, layout::ENGINE_RSP);
    e.load_ctx(7, layout::SELF);
    e.bytes(&[0x64, 0xff, 0x14, 0x25]);
    e.u32(layout::DISPATCH);
    e.jmp(enter);
}

/// Generates the stubs at cache address `at`. `syscall_class` is the address (below 2 GiB) of 65,536 bytes, one
/// for each system-call number: 0 = passed to the kernel, else handled by the engine. `models`: what emitted code looks at, and the engine's function
/// that it asks, which is given the context.
///
/// Returns `None` when `buffer` is too small (8 KiB suffice).
pub fn emit_stubs(
    at: u64,
    buffer: &mut [u8],
    syscall_class: u32,
    tables: Tables,
    vectors: Vectors,
    models: Option<(&Models, u64)>,
) -> Option<StubTable> {
    let mut table = StubTable::default();
    let mut e = Emitter::new(buffer, at);
    let e = &mut e;

    // To the dispatcher: all registers saved, then `NEXT = dispatch(context)`, then in again.
    table.switch_start = e.here();
    let to_dispatcher = e.here();
    e.store_ctx_imm(layout::STATE, layout::STATE_ENGINE);
    save_all(e);
    // mov rdi, fs:[SELF]; call fs:[DISPATCH]
    e.load_ctx(7, layout::SELF);
    e.bytes(&[0x64, 0xff, 0x14, 0x25]);
    e.u32(layout::DISPATCH);
    table.enter = e.here();
    // A stack pointer of the engine's for the flags; the caller's frame is abandoned.
    e.load_ctx(reg::RSP, layout::ENGINE_RSP);
    restore_all(e);
    e.store_ctx_imm(layout::STATE, layout::STATE_CACHE);
    // jmp fs:[NEXT]
    e.bytes(&[0x64, 0xff, 0x24, 0x25]);
    e.u32(layout::NEXT);

    table.addresses.direct_exit = e.here();
    leave(e, layout::EXIT_DIRECT, to_dispatcher);
    table.addresses.special_exit = e.here();
    leave(e, layout::EXIT_SPECIAL, to_dispatcher);

    table.addresses.indirect_miss = e.here();
    e.load_ctx(reg::R11, layout::R11);
    leave(e, layout::EXIT_INDIRECT, to_dispatcher);

    table.addresses.return_miss = e.here();
    // mov r11, [rsp-8]
    e.bytes(&[0x4c, 0x8b, 0x5c, 0x24, 0xf8]);
    e.store_ctx(layout::TARGET, reg::R11);
    e.load_ctx(reg::R11, layout::R11);
    leave(e, layout::EXIT_RETURN, to_dispatcher);

    table.resume = e.here();
    leave(e, layout::EXIT_RESUME, to_dispatcher);

    table.addresses.check = e.here();
    e.store_ctx(layout::TARGET, reg::R11);
    e.load_ctx(reg::R11, layout::SCRATCH + 16);
    leave(e, layout::EXIT_CHECK, to_dispatcher);
    table.addresses.call = e.here();
    e.load_ctx(reg::RCX, layout::SPILL);
    e.load_ctx(reg::R11, layout::R11);
    leave(e, layout::EXIT_CALL, to_dispatcher);
    table.addresses.step = e.here();
    leave(e, layout::EXIT_STEP, to_dispatcher);
    table.syscall_after = e.here();
    leave(e, layout::EXIT_SYSCALL_AFTER, to_dispatcher);

    let syscall_slow = e.here();
    leave(e, layout::EXIT_SYSCALL, to_dispatcher);
    table.switch_end = e.here();

    table.store_start = e.here();
    e.map.clear();
    for log in 0..7 {
        for flags in [false, true] {
            let address = e.here();
            let stubs = &mut table.addresses;
            let to = if flags { &mut stubs.store_keeping_flags } else { &mut stubs.store };
            to[log as usize] = address;
            define::store(e, 1 << log, flags, stubs.check);
        }
    }
    table.store_end = e.here();
    let start = (table.store_start - at) as u32;
    table.store_map = core::mem::take(&mut e.map);
    for entry in &mut table.store_map {
        entry.cache -= start;
    }

    table.addresses.syscall = e.here();
    e.store_ctx(layout::PC, reg::RCX);
    // movzx r11d, ax; movzx ecx, byte [r11 + class]; jrcxz pass
    e.bytes(&[0x44, 0x0f, 0xb7, 0xd8]);
    e.bytes(&[0x41, 0x0f, 0xb6, 0x8b]);
    e.u32(syscall_class);
    e.bytes(&[0xe3, 5]);
    e.jmp(syscall_slow);
    // What the thread holds while the kernel has it, for a leak scan: all but rax, rcx and r11, which are the call's.
    for register in (0..16u8).filter(|register| !matches!(register, 0 | 1 | 11)) {
        e.store_ctx(layout::REGS + 8 * u32::from(register), register);
    }
    table.syscall_pass = e.here();
    // The number, in case the call must be made again.
    e.store_ctx(layout::SPILL, reg::RAX);
    e.store_ctx_imm(layout::STATE, layout::STATE_SYSCALL);
    table.syscall_window = e.here();
    // mov ecx, fs:[PENDING]; jrcxz go
    e.bytes(&[0x64, 0x8b, 0x0c, 0x25]);
    e.u32(layout::PENDING);
    e.bytes(&[0xe3, 5]);
    e.jmp(syscall_slow);
    table.syscall_instruction = e.here();
    e.bytes(&[0x0f, 0x05]);
    table.syscall_done = e.here();
    e.store_ctx_imm(layout::STATE, layout::STATE_CACHE);
    // lea rcx, [rax + EFAULT]; jrcxz: the kernel may have met a page that the engine protects.
    e.bytes(&[0x48, 0x8d, 0x48, 14, 0xe3, 0]);
    let fault = e.offset();
    // mov ecx, fs:[PENDING]; jrcxz go: a world that was stopped meanwhile may have emptied the cache.
    e.bytes(&[0x64, 0x8b, 0x0c, 0x25]);
    e.u32(layout::PENDING);
    e.bytes(&[0xe3, 0]);
    let jrcxz = e.offset();
    e.load_ctx(reg::RCX, layout::PC);
    e.jmp(table.resume);
    e.patch_u8(jrcxz - 1, (e.offset() - jrcxz) as u8);
    e.load_ctx(reg::RCX, layout::PC);
    // jmp fs:[CONTINUE]
    e.bytes(&[0x64, 0xff, 0x24, 0x25]);
    e.u32(layout::CONTINUE);
    e.patch_u8(fault - 1, (e.offset() - fault) as u8);
    e.load_ctx(reg::RCX, layout::PC);
    leave(e, layout::EXIT_SYSCALL_FAULT, to_dispatcher);
    table.syscall_end = e.here();

    table.addresses.heap_call = e.here();
    heap_call(e, &mut table, tables);
    table.heap_call_end = e.here();

    if let Some(models) = models {
        access(e, &mut table, models, to_dispatcher);
    }

    table.vectors = e.here();
    store_vectors(e, vectors);

    table.raise = e.here();
    raise(e, table.enter);
    table.raise_end = e.here();

    table.size = e.offset();
    (!e.overflowed()).then_some(table)
}

impl StubTable {
    /// What else to recover of a thread that is interrupted in the code that defines what a store is about to write.
    pub fn store_fix(&self, pc: u64) -> Option<Fix> {
        let offset = u32::try_from(pc.checked_sub(self.store_start)?).ok().filter(|_| pc < self.store_end)?;
        self.store_map.iter().rev().find(|entry| entry.cache <= offset).map(|entry| entry.fix)
    }
}

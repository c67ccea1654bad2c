//! Precise execution: one guest instruction at a time is followed by the rules of `definedness`, then runs natively.
//!
//! Clean code takes general registers and flags for defined, guarded code looks at each, both look at vector registers
//! (`translate::guard`) and at memory (`translate::check`). Where such a look finds undefined bits that count, the thread
//! goes on in precise code, to the end of that segment; then the dispatcher decides anew.
//!
//! Always holds: a byte of `Context::dirty` is zero exactly when all bits of its register are defined; what [`Undefined`]
//! says of a register counts only while its byte is not zero. The guest's own behaviour does not change.
//!
//! Not here: the rules, code of any kind, what is addressable (`errors`).

mod frame;
mod guest;
mod memory;

pub(crate) use frame::{Places, general, returns, saved};

use crate::context::{Context, Thread, gpr};
use crate::errors::{self, Finding};
use crate::state::Engine;
use crate::{shadow, space};
use alloc::boxed::Box;
use definedness::{Registers, Report, Rules};
use guest::{State, VectorDump};
use iced_x86::Instruction;
use memory::Memory;
use ring::record::{Error, Stat};
use translate::{Growth, Mode, Set, Uses};

/// What is known of a thread's undefined registers.
pub struct Undefined {
    rules: Rules,
    registers: Registers,
    vectors: VectorDump,
    /// Guest pc at which precise code is to begin; 0 = nowhere.
    begins: u64,
    /// The system call that the kernel is executing.
    pub(crate) call: Option<crate::syscalls::marks::Under>,
}

impl Undefined {
    fn new() -> Box<Undefined> {
        Box::new(Undefined {
            rules: Rules::new(),
            registers: Registers::default(),
            vectors: VectorDump::default(),
            begins: 0,
            call: None,
        })
    }

    /// Forgets what clean and guarded code have defined since.
    fn take_in(&mut self, dirty: &[u8; 64]) {
        let registers = &mut self.registers;
        for (v, dirty) in registers.gpr.iter_mut().zip(&dirty[..16]) {
            *v = if *dirty == 0 { 0 } else { *v };
        }
        if dirty[16] == 0 {
            registers.flags = definedness::Flags(0);
        }
        if dirty[17] == 0 {
            registers.x87 = Default::default();
            registers.x87_codes = 0;
        }
        for (v, dirty) in registers.mask.iter_mut().zip(&dirty[24..32]) {
            *v = if *dirty == 0 { 0 } else { *v };
        }
        for (v, dirty) in registers.vector.iter_mut().zip(&dirty[32..]) {
            if *dirty == 0 {
                *v = [0; 8];
            }
        }
    }

    /// Says which general registers and flags are undefined; with `all`, the others, too.
    fn give_out(&self, dirty: &mut [u8; 64], all: bool) {
        let registers = &self.registers;
        for (dirty, v) in dirty[..16].iter_mut().zip(&registers.gpr) {
            *dirty = u8::from(*v != 0);
        }
        dirty[16] = u8::from(registers.flags.0 != 0);
        if all {
            let x87 = registers.x87.iter().any(|v| *v != [0; 2]) || registers.x87_codes != 0;
            dirty[17] = u8::from(x87);
            for (dirty, v) in dirty[24..32].iter_mut().zip(&registers.mask) {
                *dirty = u8::from(*v != 0);
            }
            for (dirty, v) in dirty[32..].iter_mut().zip(&registers.vector) {
                *dirty = u8::from(*v != [0; 8]);
            }
        }
    }
}

/// The thread's knowledge, made when it is first needed.
pub(crate) fn of(thread: &mut Thread) -> &mut Undefined {
    thread.undefined.get_or_insert_with(Undefined::new)
}

/// In which code the thread goes on at its pc.
pub fn mode(thread: &mut Thread) -> Mode {
    if !shadow::follows() {
        return Mode::Plain;
    }
    if let Some(undefined) = &mut thread.undefined
        && undefined.begins != 0
    {
        let begins = core::mem::take(&mut undefined.begins);
        if begins == thread.context.pc {
            return Mode::Precise;
        }
    }
    if has_undefined_core(thread) { Mode::Guarded } else { Mode::Clean }
}

/// Whether a general register or a flag is undefined.
pub(crate) fn has_undefined_core(thread: &Thread) -> bool {
    thread.context.dirty[..17].iter().any(|dirty| *dirty != 0)
}

/// The thread goes on at its pc in precise code.
pub fn begin(thread: &mut Thread) {
    let pc = thread.context.pc;
    let dirty = thread.context.dirty;
    thread.stats[Stat::PreciseSwitches as usize] += 1;
    let undefined = of(thread);
    undefined.take_in(&dirty);
    undefined.begins = pc;
}

/// The thread, which was about to go on in precise code, has to look for it again.
pub fn begin_again(thread: &mut Thread) {
    let pc = thread.context.pc;
    of(thread).begins = pc;
}

/// A guard has found a register that is not defined, at the thread's pc. True when the thread can go on behind it.
pub fn guard(thread: &mut Thread, mode: Mode, uses: Uses) -> bool {
    let dirty = set_of(&thread.context.dirty);
    if !dirty.and(uses.read).is_empty() {
        begin(thread);
        return false;
    }
    let bytes = thread.context.dirty;
    let undefined = of(thread);
    undefined.take_in(&bytes);
    let registers = &mut undefined.registers;
    for number in 0..16 {
        if !uses.written.and(Set::general(number)).is_empty() {
            registers.gpr[number] = 0;
        }
    }
    if !uses.written.and(Set::FLAGS).is_empty() {
        registers.flags = definedness::Flags(0);
    }
    for number in 0..8 {
        if !uses.written.and(Set::mask(number)).is_empty() {
            registers.mask[number] = 0;
        }
    }
    for number in 0..32 {
        if !uses.written.and(Set::vector(number)).is_empty() {
            registers.vector[number] = [0; 8];
        } else if !uses.written_low.and(Set::vector(number)).is_empty() {
            registers.vector[number][..2].fill(0);
        }
    }
    let mut bytes = bytes;
    undefined.give_out(&mut bytes, true);
    thread.context.dirty = bytes;
    // Nothing is left for guarded code to look at: clean code takes over.
    mode != Mode::Guarded || has_undefined_core(thread)
}

fn set_of(dirty: &[u8; 64]) -> Set {
    Set((0..64).filter(|&at| dirty[at] != 0).fold(0, |set, at| set | 1 << at))
}

/// Precise code is about to execute an instruction. False when something else has to be done first.
pub fn step(engine: &Engine, thread: &mut Thread) -> bool {
    // SAFETY: precise code names an instruction that the cache keeps as long as that code, and a thread that was in it
    // parks, for the cache to be emptied, only further on.
    #[allow(unsafe_code, reason = "the instruction that the code of the cache names by address")]
    let insn: Instruction = unsafe { *(thread.context.step as *const Instruction) };
    thread.context.pc = insn.ip();
    if thread.context.pending.load(core::sync::atomic::Ordering::Acquire) != 0 {
        of(thread).begins = insn.ip();
        return false;
    }
    if engine.options.events & ring::shared::EVENTS_INSTR != 0 {
        thread.context.instruction_slots[0] += 1;
    }
    thread.stats[Stat::PreciseInstructions as usize] += 1;
    let mut undefined = match thread.undefined.take() {
        Some(undefined) => undefined,
        None => Undefined::new(),
    };
    stack_grows(&insn, &thread.context);
    let wide = guest::has_rare_registers(&insn);
    if wide {
        undefined.vectors.take(engine, &thread.context);
    }
    let mut memory = Memory::new(engine, insn.ip());
    let mut reports = Reports::default();
    let rule = undefined.rules.step(
        &insn,
        &State { context: &thread.context, vectors: &undefined.vectors },
        &mut memory,
        &mut undefined.registers,
        &mut |report| reports.add(report),
    );
    if rule == definedness::Rule::Conservative {
        thread.stats[Stat::ConservativeInstructions as usize] += 1;
    }
    // Where the stack is, is never in doubt: an error was told, and every later access would be one, too.
    undefined.registers.gpr[gpr::RSP] = 0;
    let mut dirty = thread.context.dirty;
    undefined.give_out(&mut dirty, wide);
    thread.context.dirty = dirty;
    thread.undefined = Some(undefined);
    for invalid in memory.findings() {
        errors::tell_finding(engine, thread, &insn, invalid);
    }
    for report in reports.list() {
        let (error, size, origin) = match *report {
            Report::Condition { origin } | Report::Mask { origin } => (Error::UninitCondition, 0, origin),
            Report::Address { origin, .. } | Report::Target { origin } => (Error::UninitValue, 8, origin),
        };
        errors::tell_finding(engine, thread, &insn, &Finding { error, address: 0, size, origin });
    }
    true
}

/// What an instruction adds to the stack is undefined.
fn stack_grows(insn: &Instruction, context: &Context) {
    let bytes = match translate::stack_growth(insn) {
        Some(Growth::Constant(bytes)) => bytes,
        Some(Growth::Register(register)) if register.is_gpr64() => context.regs[register.number()],
        _ => return,
    };
    let sp = context.regs[gpr::RSP].wrapping_sub(bytes);
    if sp < context.regs[gpr::RSP] && context.regs[gpr::RSP] < space::GUEST_END {
        shadow::set(sp, bytes.min(translate::MOST_UNDEFINED), shadow::Bits::Undefined);
    }
}

/// The reports of one instruction: few, each kind once.
#[derive(Default)]
struct Reports {
    list: [Option<Report>; 4],
}

impl Reports {
    fn add(&mut self, report: Report) {
        let same = |other: &Report| core::mem::discriminant(other) == core::mem::discriminant(&report);
        if !self.list().any(same)
            && let Some(free) = self.list.iter_mut().find(|place| place.is_none())
        {
            *free = Some(report);
        }
    }

    fn list(&self) -> impl Iterator<Item = &Report> {
        self.list.iter().flatten()
    }
}

/// A function that the engine stands in for is done: its result is defined, and so is what a call may change.
#[inline]
pub fn function_done(thread: &mut Thread) {
    if shadow::follows() && has_undefined_core(thread) {
        results_are_defined(thread);
    }
}

#[cold]
fn results_are_defined(thread: &mut Thread) {
    let dirty = &mut thread.context.dirty;
    for number in [0, 1, 2, 6, 7, 8, 9, 10, 11, 16] {
        dirty[number] = 0;
    }
    if has_undefined_core(thread) {
        // The way back is that of clean code; who finds something pending goes by the dispatcher instead.
        thread.context.pending.store(1, core::sync::atomic::Ordering::Release);
    }
}

/// The kernel has executed a system call: these are its results.
pub(crate) fn syscall_done(thread: &mut Thread) {
    for number in [gpr::RAX, gpr::RCX, gpr::R11] {
        thread.context.dirty[number] = 0;
    }
}

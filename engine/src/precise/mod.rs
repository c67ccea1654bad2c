//! Precise execution: instructions that precise code cannot follow by itself go through the rules of `definedness`.
//!
//! Clean code takes general registers and flags for defined, guarded code looks at each, both look at vector registers
//! (`translate::guard`) and at memory (`translate::check`). Where such a look finds undefined bits, the thread goes on in
//! precise code, to the end of that segment, which moves V bits along with values and asks here for all else.
//!
//! Always holds: a byte of `Context::dirty` is zero exactly when all bits of its register are defined; what `Context::v`
//! says of a register counts only while its byte is not zero. The guest's own behaviour does not change.
//!
//! Not here: the rules, code of any kind, what is addressable (`errors`).

mod ahead;
mod frame;
mod guest;
mod memory;

pub(crate) use frame::{Places, general, returns, saved};

use crate::context::{Context, Thread, gpr};
use crate::errors::{self, Finding};
use crate::state::Engine;
use crate::{shadow, space};
use alloc::boxed::Box;
use definedness::{Report, Rules};
use guest::{State, VectorDump};
use iced_x86::Instruction;
use memory::Memory;
use ring::record::{Error, Stat};
use translate::{Growth, Mode, Start};

/// What a thread needs to follow instructions.
pub struct Undefined {
    rules: Rules,
    vectors: VectorDump,
    /// Guest pc at which precise code is to begin, and what it takes for granted.
    begins: Option<(u64, Start)>,
    /// Branches at which a look ahead never finds anything.
    hopeless: ahead::Hopeless,
    /// The system call that the kernel is executing.
    pub(crate) call: Option<crate::syscalls::marks::Under>,
}

impl Undefined {
    fn new() -> Box<Undefined> {
        Box::new(Undefined {
            rules: Rules::new(),
            vectors: VectorDump::default(),
            begins: None,
            hopeless: Default::default(),
            call: None,
        })
    }
}

/// Places in `Context::dirty`.
mod place {
    pub(super) const FLAGS: usize = 16;
    pub(super) const X87: usize = 17;
    pub(super) const MASK: usize = 24;
    pub(super) const VECTOR: usize = 32;
    pub(super) const UPPER: usize = 64;
}

/// Words of a vector register below those that have a place of their own.
const LOW: usize = 2;

/// Forgets the V bits of registers that do not count; with `all`, also those of others than general ones and flags.
fn take_in(context: &mut Context, all: bool) {
    let (v, dirty) = (&mut context.v, &context.dirty);
    for (v, dirty) in v.gpr.iter_mut().zip(&dirty[..place::FLAGS]) {
        *v = if *dirty == 0 { 0 } else { *v };
    }
    if dirty[place::FLAGS] == 0 {
        v.flags = definedness::Flags(0);
    }
    if !all {
        return;
    }
    if dirty[place::X87] == 0 {
        v.x87 = Default::default();
        v.x87_codes = 0;
    }
    for (v, dirty) in v.mask.iter_mut().zip(&dirty[place::MASK..]) {
        *v = if *dirty == 0 { 0 } else { *v };
    }
    for ((v, low), upper) in v.vector.iter_mut().zip(&dirty[place::VECTOR..]).zip(&dirty[place::UPPER..]) {
        if *low == 0 {
            v[..LOW].fill(0);
        }
        if *upper == 0 {
            v[LOW..].fill(0);
        }
    }
}

/// Says which general registers and flags are undefined; with `all`, the others, too.
fn give_out(context: &mut Context, all: bool) {
    let (v, dirty) = (&context.v, &mut context.dirty);
    for (dirty, v) in dirty.iter_mut().zip(&v.gpr) {
        *dirty = u8::from(*v != 0);
    }
    dirty[place::FLAGS] = u8::from(v.flags.0 != 0);
    if !all {
        return;
    }
    let x87 = v.x87.iter().any(|v| *v != [0; 2]) || v.x87_codes != 0;
    dirty[place::X87] = u8::from(x87);
    for (dirty, v) in dirty[place::MASK..].iter_mut().zip(&v.mask) {
        *dirty = u8::from(*v != 0);
    }
    for (number, v) in v.vector.iter().enumerate() {
        dirty[place::VECTOR + number] = u8::from(v[..LOW] != [0; LOW]);
        dirty[place::UPPER + number] = u8::from(v[LOW..] != [0; 6]);
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
        && let Some((pc, start)) = undefined.begins.take()
        && pc == thread.context.pc
    {
        return Mode::Precise(start);
    }
    if has_undefined_core(thread) { Mode::Guarded } else { Mode::Clean }
}

/// Whether a general register or a flag is undefined.
#[inline]
pub(crate) fn has_undefined_core(thread: &Thread) -> bool {
    // Asked at each call of a replaced function.
    let (words, _) = thread.context.dirty.as_chunks::<8>();
    let general = words[..place::FLAGS / 8].iter().fold(0, |all, word| all | u64::from_ne_bytes(*word));
    general != 0 || thread.context.dirty[place::FLAGS] != 0
}

/// The thread goes on at its pc in precise code, which takes over from such code.
pub fn begin(thread: &mut Thread, from: Mode) {
    if let Mode::Precise(start) = from.precise() {
        begin_at(thread, start);
    }
}

/// The thread goes on at its pc in precise code.
pub fn begin_at(thread: &mut Thread, start: Start) {
    let pc = thread.context.pc;
    of(thread).begins = Some((pc, start));
}

/// Precise code is about to execute an instruction. False when something else has to be done first.
pub fn step(engine: &Engine, thread: &mut Thread) -> bool {
    // SAFETY: precise code names an instruction that the cache keeps as long as that code, and a thread that was in it
    // parks, for the cache to be emptied, only further on.
    #[allow(unsafe_code, reason = "the instruction that the code of the cache names by address")]
    let insn: Instruction = unsafe { *(thread.context.step as *const Instruction) };
    thread.context.pc = insn.ip();
    if thread.context.pending.load(core::sync::atomic::Ordering::Acquire) != 0 {
        // The rest of the segment has been counted, and is counted again: counts are inexact by a few where a signal arrives.
        begin_at(thread, Start::Guarded);
        return false;
    }
    thread.stats[Stat::PreciseSteps as usize] += 1;
    let mut undefined = match thread.undefined.take() {
        Some(undefined) => undefined,
        None => Undefined::new(),
    };
    let context = &mut thread.context;
    stack_grows(&insn, context);
    let wide = guest::has_rare_registers(&insn);
    if wide {
        undefined.vectors.take(engine, context);
    }
    take_in(context, wide);
    let mut memory = Memory::new(engine, insn.ip());
    let mut reports = Reports::default();
    let Context { regs, flags, guest_fs, guest_gs, v, .. } = context;
    let Undefined { rules, vectors, hopeless, .. } = &mut *undefined;
    let guest = State { regs, flags: *flags, fs: *guest_fs, gs: *guest_gs, vectors };
    let rule = rules.step(&insn, &guest, &mut memory, v, &mut |report| reports.add(report));
    if insn.is_jcc_short_or_near() && !reports.is_empty() {
        // A jump has no other report, and changes no V bits.
        if ahead::leads_to_the_same(engine, rules, hopeless, &insn, &guest, v) {
            reports = Reports::default();
        }
    }
    if rule == definedness::Rule::Conservative {
        thread.stats[Stat::ConservativeInstructions as usize] += 1;
    }
    let context = &mut thread.context;
    // Where the stack is, is never in doubt: an error was told, and every later access would be one, too.
    context.v.gpr[gpr::RSP] = 0;
    give_out(context, wide);
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

/// What an instruction adds to the stack by a register is undefined; for constants there is code.
fn stack_grows(insn: &Instruction, context: &Context) {
    let Some(Growth::Register(register)) = translate::stack_growth(insn) else { return };
    if !register.is_gpr64() {
        return;
    }
    let bytes = context.regs[register.number()];
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

    fn is_empty(&self) -> bool {
        self.list[0].is_none()
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
    for number in [0, 1, 2, 6, 7, 8, 9, 10, 11, place::FLAGS] {
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

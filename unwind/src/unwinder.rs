//! Walking a stack: rules from the cache, applied frame by frame.
//!
//! Invariants: sp rises from frame to frame, except through a signal frame; a walk ends after its limit of
//! frames; every read of the stack is within the bounds that [`Memory::stack`] gave. Not here: making rules
//! (`cfi`), guessing (`fallback`), reuse of the last stack (`history`).

use crate::cache::RuleCache;
use crate::cfi::{Caller, Evaluator, Failure, UCONTEXT_RBP, UCONTEXT_RIP, UCONTEXT_RSP};
use crate::fallback;
use crate::frame::{End, Frame, FrameBuf};
use crate::history::History;
use crate::memory::{Memory, Regs, Start};
use crate::modules::{Modules, USER_END};
use crate::rule::{Form, Rule, Saved};
use crate::tree::{NewNode, StackTree};
use core::ops::Range;

/// The highest limit of frames for [`Unwinder::stack`].
pub const MAX_DEPTH: usize = 512;

/// What identifies a frame on a stack: all that plain rules depend on, but for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// pc with [`Frame::EXACT`] and [`Frame::GUESSED`].
    pub(crate) key: u64,
    pub(crate) sp: u64,
    pub(crate) bp: u64,
}

impl State {
    pub(crate) fn pc(&self) -> u64 {
        self.key & !(Frame::EXACT | Frame::GUESSED)
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.key & Frame::EXACT != 0
    }

    pub(crate) fn is_guessed(&self) -> bool {
        self.key & Frame::GUESSED != 0
    }

    /// The address whose module and CFI describe the frame: a return address may lie behind its function.
    fn lookup(&self) -> u64 {
        self.pc().wrapping_sub(u64::from(!self.is_exact()))
    }
}

/// What a frame's rule does with bp. Both may be true, and neither: then it is passed on to the caller's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BpUse {
    /// Something is computed from it.
    pub(crate) reads: bool,
    /// The caller's is read from memory.
    pub(crate) restores: bool,
}

/// Is told what a walk sees.
pub(crate) trait Visitor {
    /// True when all from this frame outward is known already: the walk ends before it.
    fn is_known(&mut self, _: State, _: &Range<u64>, _: &impl Memory) -> bool {
        false
    }
    /// A frame.
    fn frame(&mut self, state: State, slot: Option<u16>, modules: &Modules);
    /// The step out of the last frame read this word.
    fn depends_on(&mut self, _address: u64, _value: u64) {}
    /// What the step out of the last frame does with bp, when it is by a plain rule. With `restores`, the word
    /// that was read last is the caller's bp.
    fn bp(&mut self, _use: BpUse) {}
    /// The step out of the last frame depends on more than its state and those words.
    fn opaque(&mut self) {}
    /// The walk starts again.
    fn restart(&mut self);
}

impl<const N: usize> Visitor for FrameBuf<N> {
    #[inline]
    fn frame(&mut self, state: State, slot: Option<u16>, modules: &Modules) {
        self.push(state.frame(modules, slot));
    }

    fn restart(&mut self) {
        self.clear();
    }
}

/// Registers of a frame, as they are while it is the innermost one or waits for its callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Base {
    /// The stack pointer.
    pub sp: u64,
    /// The register rbp, whatever the frame uses it for.
    pub bp: u64,
}

/// The frame that holds an address of the stack, with what its variables are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Its index, from 0 for the innermost.
    pub index: usize,
    /// Its own registers.
    pub own: Base,
    /// Its canonical frame address: the stack pointer of its caller.
    pub cfa: u64,
    /// Registers of its callee, whose parameters on the stack lie in this frame; zeros for the innermost.
    pub callee: Base,
}

/// Looks for the frame that holds an address: from its own sp up to its caller's.
struct Holder {
    address: u64,
    frames: usize,
    /// Of the last two frames.
    last: Base,
    before: Base,
    found: Option<Holding>,
}

impl Holder {
    fn new(address: u64) -> Holder {
        Holder { address, frames: 0, last: Base::default(), before: Base::default(), found: None }
    }
}

impl Visitor for Holder {
    fn is_known(&mut self, state: State, _: &Range<u64>, _: &impl Memory) -> bool {
        if self.found.is_none() && state.sp > self.address {
            // Below the first there is none.
            let (own, callee, cfa) = (self.last, self.before, state.sp);
            self.found = self.frames.checked_sub(1).map(|index| Holding { index, own, cfa, callee });
            return true;
        }
        false
    }

    fn frame(&mut self, state: State, _: Option<u16>, _: &Modules) {
        self.frames += 1;
        self.before = core::mem::replace(&mut self.last, Base { sp: state.sp, bp: state.bp });
    }

    fn restart(&mut self) {
        *self = Holder::new(self.address);
    }
}

/// What an unwinder did since it was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Stacks asked for.
    pub walks: u64,
    /// Frames walked by [`Unwinder::stack`].
    pub frames: u64,
    /// Frames shared with the stack before, not walked.
    pub reused: u64,
    /// Rules compiled: misses of the rule cache.
    pub rules: u64,
}

/// Walks the stacks of one thread.
#[derive(Debug)]
pub struct Unwinder {
    rules: Rules,
    history: History,
    spare: u32,
    counters: Counters,
}

#[derive(Debug)]
struct Rules {
    cache: RuleCache,
    cfi: Evaluator,
    compiled: u64,
    /// See [`Unwinder::at_entry`].
    entry: u64,
}

/// One walk.
struct Walk<'w, M, V> {
    rules: &'w mut Rules,
    modules: &'w Modules,
    memory: &'w M,
    visitor: &'w mut V,
    stack: Range<u64>,
    limit: usize,
    depth: usize,
}

/// Where a step leads.
enum Step {
    To(State),
    End(End),
    /// CFI needs a register that the fast walk does not follow.
    NeedsRegisters,
}

impl Unwinder {
    /// An unwinder with a rule cache of `1 << log2_entries` entries of 16 bytes (8 to 20; 12 is a good
    /// number), and 120 KiB of working storage. All that it ever allocates.
    pub fn new(log2_entries: u32) -> Unwinder {
        let cache = RuleCache::new(log2_entries.clamp(8, 20));
        Unwinder {
            rules: Rules { cache, cfi: Evaluator::new(), compiled: 0, entry: u64::MAX },
            history: History::new(),
            spare: 0,
            counters: Counters::default(),
        }
    }

    /// Walks a stack, innermost frame first, up to the capacity of `out`, which is cleared before.
    pub fn walk<M: Memory, const N: usize>(
        &mut self,
        modules: &Modules,
        start: &impl Start,
        memory: &M,
        out: &mut FrameBuf<N>,
    ) -> End {
        out.clear();
        self.counters.walks += 1;
        self.enter(modules);
        let stack = memory.stack(start.rsp());
        self.rules.walk(modules, start, stack, memory, out, N)
    }

    /// The id of a stack in `tree`, which is 0 when `limit` is 0. At most `limit` (and [`MAX_DEPTH`])
    /// innermost frames count. `emit` is called for each node that is new, callers first. All stacks of an
    /// unwinder must go to the same tree.
    pub fn stack<M: Memory>(
        &mut self,
        modules: &Modules,
        start: &impl Start,
        memory: &M,
        tree: &StackTree,
        limit: usize,
        emit: impl FnMut(NewNode),
    ) -> u32 {
        self.counters.walks += 1;
        self.enter(modules);
        let limit = limit.min(MAX_DEPTH);
        // At the entry of a function, the word at sp is the return address.
        let stack = memory.stack(start.rsp());
        let place = stack.as_ref().and_then(|stack| word(memory, stack, start.rsp()));
        self.history.begin(limit, place.unwrap_or(0) ^ start.rsp());
        let end = self.rules.walk(modules, start, stack, memory, &mut self.history, limit);
        self.counters.frames += self.history.walked() as u64;
        self.counters.reused += self.history.shared() as u64;
        self.history.finish(end, modules, tree, &mut self.spare, emit)
    }

    /// The frame that holds `address`; `None` when it lies below the stack, or beyond the `limit` frames that are looked
    /// at.
    pub fn frame_of<M: Memory>(
        &mut self,
        modules: &Modules,
        start: &impl Start,
        memory: &M,
        address: u64,
        limit: usize,
    ) -> Option<Holding> {
        let mut holder = Holder::new(address);
        self.counters.walks += 1;
        self.enter(modules);
        let stack = memory.stack(start.rsp());
        self.rules.walk(modules, start, stack, memory, &mut holder, limit.min(MAX_DEPTH));
        holder.found
    }

    /// The next stacks are taken at the first instruction of the function at `pc`, whose return address is on
    /// top of the stack, also when no unwind information says so.
    pub fn at_entry(&mut self, pc: u64) {
        self.rules.entry = pc;
    }

    /// Forgets the last stacks, and an id kept for a later node: the next stack is walked in full. Needed when the tree
    /// is another one, or a copy (fork).
    pub fn forget(&mut self) {
        self.history.forget();
        self.spare = 0;
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        Counters { rules: self.rules.compiled, ..self.counters }
    }

    fn enter(&mut self, modules: &Modules) {
        if self.rules.cache.enter(modules.generation()) {
            self.history.forget();
        }
    }
}

impl Rules {
    #[inline]
    fn walk<M: Memory, V: Visitor>(
        &mut self,
        modules: &Modules,
        start: &impl Start,
        stack: Option<Range<u64>>,
        memory: &M,
        visitor: &mut V,
        limit: usize,
    ) -> End {
        // No stack: the innermost frame is known all the same.
        let stack = stack.unwrap_or(0..0);
        let mut walk = Walk { rules: self, modules, memory, visitor, stack, limit, depth: 0 };
        match walk.fast(start) {
            Some(end) => end,
            None => {
                walk.visitor.restart();
                walk.stack = memory.stack(start.rsp()).unwrap_or(0..0);
                walk.full(start.registers())
            }
        }
    }

    /// The rule of a frame whose rule is not in the cache. `None` when its return address does not lie in
    /// code.
    #[cold]
    fn compile(&mut self, modules: &Modules, memory: &impl Memory, key: u64) -> Option<Rule> {
        let state = State { key, sp: 0, bp: 0 };
        self.compiled += 1;
        let slot = modules.find(state.lookup());
        if slot.is_none() && !state.is_exact() && !fallback::is_code(memory, state.lookup()) {
            return None;
        }
        let rule = slot.and_then(|slot| self.cfi.rule(modules.slot(slot)?, state.lookup()));
        // A handler returns to the first byte of the restorer, so CFI for the byte before it may be a
        // neighbour's.
        let by_bytes =
            !state.is_exact() && rule.is_none_or(|rule| rule.form() != Form::Cfi) || rule.is_none();
        if rule.is_none()
            && state.is_exact()
            && state.pc() == self.entry
            && let Some(at_entry) = Rule::plain(Form::Sp, 8, Saved::Same, 0)
        {
            return Some(at_entry.in_module(slot));
        }
        let rule = if by_bytes && fallback::is_sigreturn(memory, state.pc(), state.is_exact()) {
            Rule::of(Form::Signal)
        } else {
            rule.unwrap_or(Rule::of(Form::None))
        };
        Some(rule.in_module(slot))
    }
}

impl<M: Memory, V: Visitor> Walk<'_, M, V> {
    /// Follows pc, sp and bp only. `None` when other registers are needed.
    ///
    /// The hot loop: a frame is four dependent steps (hash, rule, add, load); everything else runs beside
    /// them. The state is kept in scalars and passed as such: a structure that is stored by words and loaded
    /// as a whole stalls for longer than all the rest takes.
    #[inline]
    fn fast(&mut self, start: &impl Start) -> Option<End> {
        if self.limit == 0 {
            return Some(End::Limit);
        }
        let Step::To(State { mut key, mut sp, mut bp }) =
            self.arrive(start.rip(), start.rsp(), start.rbp(), Frame::EXACT)
        else {
            return Some(End::Lost);
        };
        loop {
            // Only for what is inlined: a structure passed in memory would have to live there.
            let state = State { key, sp, bp };
            if self.visitor.is_known(state, &self.stack, self.memory) {
                return Some(End::Outermost);
            }
            let rule = match self.rules.cache.find(key) {
                Ok(rule) => rule,
                Err(miss) => {
                    let Some(rule) = self.rules.compile(self.modules, self.memory, key) else {
                        return Some(End::Lost);
                    };
                    self.rules.cache.insert(miss, rule);
                    rule
                }
            };
            self.visitor.frame(state, rule.slot(), self.modules);
            self.depth += 1;
            if self.depth == self.limit {
                return Some(End::Limit);
            }
            let cfa = match rule.form() {
                Form::Sp => sp.wrapping_add(rule.cfa_offset()),
                Form::Bp => bp.wrapping_add(rule.cfa_offset()),
                Form::DerefBp => {
                    let slot = bp.wrapping_add(rule.cfa_offset());
                    let Some(cfa) = self.word(slot) else { return Some(End::Lost) };
                    self.visitor.depends_on(slot, cfa);
                    cfa
                }
                Form::Outermost => return Some(End::Outermost),
                Form::Signal | Form::Cfi | Form::None => match self.special(key, sp, bp, rule) {
                    Step::To(next) => {
                        (key, sp, bp) = (next.key, next.sp, next.bp);
                        continue;
                    }
                    Step::End(end) => return Some(end),
                    Step::NeedsRegisters => return None,
                },
            };
            // `(pc, sp, bp) = *(cfa - 8), cfa, saved`, where sp must rise.
            let slot = cfa.wrapping_sub(8);
            if slot < sp || slot > cfa {
                return Some(End::Lost);
            }
            let Some(pc) = self.word(slot) else { return Some(End::Lost) };
            self.visitor.depends_on(slot, pc);
            if rule.saved() != Saved::Same {
                let base = if rule.saved() == Saved::AtCfa { cfa } else { bp };
                let slot = base.wrapping_add(rule.bp_offset());
                let Some(saved) = self.word(slot) else { return Some(End::Lost) };
                self.visitor.depends_on(slot, saved);
                bp = saved;
            }
            self.visitor.bp(rule.bp_use());
            (key, sp) = (pc, cfa);
            if pc <= 1 {
                return Some(End::Outermost);
            }
            if pc >= USER_END {
                return Some(End::Lost);
            }
        }
    }

    /// The frame at `pc`, if that can be one.
    #[inline]
    fn arrive(&self, pc: u64, sp: u64, bp: u64, flags: u64) -> Step {
        let exact = flags & Frame::EXACT != 0;
        if pc <= 1 && !exact {
            return Step::End(End::Outermost);
        }
        if pc >= USER_END {
            return Step::End(End::Lost);
        }
        Step::To(State { key: pc | flags, sp, bp })
    }

    /// The caller of a frame with a signal rule, a general rule, or none.
    #[cold]
    fn special(&mut self, key: u64, sp: u64, bp: u64, rule: Rule) -> Step {
        let state = State { key, sp, bp };
        match rule.form() {
            Form::Signal => {
                self.visitor.opaque();
                let at = |offset: u64| self.word(state.sp.wrapping_add(offset));
                match (at(UCONTEXT_RIP), at(UCONTEXT_RSP), at(UCONTEXT_RBP)) {
                    (Some(pc), Some(sp), Some(bp)) => self.interrupted(pc, sp, bp),
                    _ => Step::End(End::Lost),
                }
            }
            Form::Cfi => {
                self.visitor.opaque();
                let regs = Regs::minimal(state.pc(), state.sp, state.bp);
                match self.by_cfi(state, rule.slot(), &regs) {
                    Ok((step, _)) => step,
                    Err(Failure::Register) => Step::NeedsRegisters,
                    Err(Failure::Invalid) => Step::End(End::Lost),
                }
            }
            _ => self.without_cfi(state),
        }
    }

    /// The frame that a signal interrupted; it may be on another stack.
    fn interrupted(&mut self, pc: u64, sp: u64, bp: u64) -> Step {
        if !self.stack.contains(&sp) {
            self.stack = self.memory.stack(sp).unwrap_or(0..0);
        }
        self.arrive(pc, sp, bp, Frame::EXACT)
    }

    /// The caller by CFI in full, and its registers.
    fn by_cfi(&mut self, state: State, slot: Option<u16>, regs: &Regs) -> Result<(Step, Regs), Failure> {
        let module = slot.and_then(|slot| self.modules.slot(slot)).ok_or(Failure::Invalid)?;
        let (stack, memory) = (&self.stack, self.memory);
        let read = |address| word(memory, stack, address);
        match self.rules.cfi.caller(module, state.lookup(), regs, read)? {
            Caller::Outermost => Ok((Step::End(End::Outermost), *regs)),
            Caller::At { regs, signal: true } => {
                Ok((self.interrupted(regs.rip, regs.rsp(), regs.rbp()), regs))
            }
            Caller::At { regs, signal: false } => {
                if regs.rsp() <= state.sp || regs.rsp() > self.stack.end {
                    return Ok((Step::End(End::Lost), regs));
                }
                Ok((self.arrive(regs.rip, regs.rsp(), regs.rbp(), 0), regs))
            }
        }
    }

    /// The caller of a frame without CFI.
    fn without_cfi(&mut self, state: State) -> Step {
        // The ABI's mark of the outermost frame. An innermost frame may well use rbp for something else.
        if state.bp == 0 && !state.is_exact() {
            self.visitor.bp(BpUse { reads: true, restores: false });
            return Step::End(End::Outermost);
        }
        self.visitor.opaque();
        let (pc, exact) = (state.pc(), state.is_exact());
        match fallback::guess(self.memory, &self.stack, pc, exact, state.sp, state.bp) {
            Some(guess) => self.arrive(guess.pc, guess.sp, guess.bp, Frame::GUESSED),
            None => Step::End(End::Lost),
        }
    }

    /// Follows all registers, without the rule cache. For the rare stack with a frame whose CFI needs them
    /// (the dynamic linker's resolver; hand-written assembly).
    #[cold]
    fn full(&mut self, mut regs: Regs) -> End {
        let mut flags = Frame::EXACT;
        self.depth = 0;
        loop {
            let state = match self.arrive(regs.rip, regs.rsp(), regs.rbp(), flags) {
                Step::To(state) => state,
                _ => return End::Lost,
            };
            let Some(rule) = self.rules.compile(self.modules, self.memory, state.key) else {
                return End::Lost;
            };
            self.visitor.frame(state, rule.slot(), self.modules);
            self.visitor.opaque();
            self.depth += 1;
            if self.depth == self.limit {
                return End::Limit;
            }
            let step = match rule.form() {
                Form::None => self.without_cfi(state),
                // A trampoline that was recognised by its bytes, or by CFI that says the same.
                Form::Signal => {
                    regs = self.all_from_ucontext(state).unwrap_or(regs);
                    self.special(state.key, state.sp, state.bp, rule)
                }
                _ => match self.by_cfi(state, rule.slot(), &regs) {
                    Ok((step, caller)) => {
                        regs = caller;
                        step
                    }
                    Err(_) => Step::End(End::Lost),
                },
            };
            match step {
                Step::To(next) => {
                    regs.follow(next.pc(), next.sp, next.bp);
                    flags = next.key & (Frame::EXACT | Frame::GUESSED);
                }
                Step::End(end) => return end,
                Step::NeedsRegisters => return End::Lost,
            }
        }
    }

    /// All registers that the kernel saved in the ucontext at sp.
    fn all_from_ucontext(&self, state: State) -> Option<Regs> {
        let mut gpr = [0; 16];
        // r8 .. r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp from offset 40 on, by DWARF number.
        const ORDER: [usize; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7];
        for (n, register) in ORDER.into_iter().enumerate() {
            gpr[register] = self.word(state.sp.wrapping_add(40 + 8 * n as u64))?;
        }
        Some(Regs::from_dwarf_order(self.word(state.sp.wrapping_add(UCONTEXT_RIP))?, gpr))
    }

    #[inline]
    fn word(&self, address: u64) -> Option<u64> {
        word(self.memory, &self.stack, address)
    }
}

/// The word at `address`, when it lies within the stack.
#[inline]
fn word(memory: &impl Memory, stack: &Range<u64>, address: u64) -> Option<u64> {
    let last = stack.end.checked_sub(8)?;
    if address < stack.start || address > last { None } else { memory.word(address) }
}

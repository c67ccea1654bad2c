//! DWARF call frame information: finding the entry of a pc, compiling it to a [`Rule`], and evaluating it in
//! full.
//!
//! Invariants: works on untrusted bytes; every failure is "no CFI here" or a [`Failure`]. All storage is in
//! [`Evaluator`], so nothing is allocated after its creation.
//! Not here: what is done without CFI (`fallback`).

use crate::memory::{CALLEE_SAVED, Regs, number};
use crate::modules::{Loaded, Section};
use crate::rule::{Form, Rule, Saved};
use alloc::{boxed::Box, vec::Vec};
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EhFrameOffset, Encoding, EndianSlice, Evaluation,
    EvaluationResult, EvaluationStorage, FrameDescriptionEntry, LittleEndian, Location, Piece, Register,
    RegisterRule, UnwindContext, UnwindContextStorage, UnwindExpression, UnwindSection, UnwindTableRow,
    Value,
};

type Bytes = EndianSlice<'static, LittleEndian>;
type Row = UnwindTableRow<usize, Storage>;

/// Operations that one expression may execute: real ones have up to ten.
const EXPRESSION_OPERATIONS_MAX: u32 = 256;

/// Fixed storage for gimli. A signal frame has 17 rules; hand-written CFI may add vector registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Storage;

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); 40];
    type Stack = [UnwindTableRow<usize, Self>; 6];
}

impl EvaluationStorage<Bytes> for Storage {
    type Stack = [Value; 32];
    type ExpressionStack = [(Bytes, Bytes); 1];
    type Result = [Piece<Bytes>; 1];
}

/// Finds the frame description entry (FDE) of a pc.
#[derive(Debug)]
pub(crate) enum SearchTable {
    /// The binary search table of `.eh_frame_hdr`: pairs of start and FDE address, relative to the section at
    /// `base`.
    Header { base: u64, entries: &'static [[u8; 8]] },
    /// `(start, offset in .eh_frame)`, sorted: made by reading all of `.eh_frame`.
    Index(Vec<(u64, usize)>),
}

impl SearchTable {
    pub(crate) fn new(hdr: Option<Section>, eh_frame: Option<&Section>) -> SearchTable {
        if let Some((base, entries)) = hdr.and_then(|hdr| Some((hdr.avma, header_table(&hdr)?))) {
            return SearchTable::Header { base, entries };
        }
        let mut index = Vec::new();
        if let Some(section) = eh_frame {
            let (eh_frame, bases) = open(section);
            let mut entries = eh_frame.entries(&bases);
            while let Ok(Some(entry)) = entries.next() {
                if let CieOrFde::Fde(partial) = entry
                    && let Ok(fde) = partial.parse(EhFrame::cie_from_offset)
                {
                    index.push((fde.initial_address(), fde.offset()));
                }
            }
        }
        index.sort_unstable();
        SearchTable::Index(index)
    }

    /// Whether an FDE begins at `pc`.
    pub(crate) fn begins(&self, pc: u64) -> bool {
        match self {
            SearchTable::Header { base, entries } => {
                let relative = pc.wrapping_sub(*base) as i64;
                entries.binary_search_by_key(&relative, |entry| half(entry, 0)).is_ok()
            }
            SearchTable::Index(index) => index.binary_search_by_key(&pc, |&(start, _)| start).is_ok(),
        }
    }

    /// Offset in `.eh_frame` (at `eh_frame` in the guest) of the last FDE that starts at or below `pc`.
    fn find(&self, eh_frame: u64, pc: u64) -> Option<usize> {
        match self {
            SearchTable::Header { base, entries } => {
                let relative = pc.wrapping_sub(*base) as i64;
                let at = entries.partition_point(|entry| half(entry, 0) <= relative);
                let fde = base.wrapping_add(half(entries.get(at.checked_sub(1)?)?, 4) as u64);
                usize::try_from(fde.checked_sub(eh_frame)?).ok()
            }
            SearchTable::Index(index) => {
                let at = index.partition_point(|&(start, _)| start <= pc);
                Some(index.get(at.checked_sub(1)?)?.1)
            }
        }
    }
}

/// The signed 32-bit half of an entry at byte 0 or 4.
fn half(entry: &[u8; 8], at: usize) -> i64 {
    let word = u64::from_le_bytes(*entry);
    i64::from((word >> (8 * at)) as i32)
}

/// Reads an encoded pointer at `*at` (DW_EH_PE: the size in the low half, what it is relative to in the high
/// half).
fn encoded(hdr: &Section, encoding: u8, at: &mut usize) -> Option<u64> {
    let size = match encoding & 0xf {
        0x3 | 0xb => 4,
        0x0 | 0x4 | 0xc => 8,
        _ => return None,
    };
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(hdr.bytes.get(*at..*at + size)?);
    let mut value = u64::from_le_bytes(raw);
    if encoding & 0xf == 0xb {
        value = value as i32 as u64;
    }
    let base = match encoding >> 4 {
        0 => 0,
        1 => hdr.avma.wrapping_add(*at as u64),
        3 => hdr.avma,
        _ => return None,
    };
    *at += size;
    Some(base.wrapping_add(value))
}

/// Where `.eh_frame_hdr` says that `.eh_frame` lies.
pub(crate) fn eh_frame_avma(hdr: &Section) -> Option<u64> {
    match hdr.bytes {
        [1, encoding, ..] => encoded(hdr, *encoding, &mut 4),
        _ => None,
    }
}

/// The search table of `.eh_frame_hdr` in the one encoding that linkers write (datarel sdata4).
fn header_table(hdr: &Section) -> Option<&'static [[u8; 8]]> {
    let [1, pointer, count, 0x3b, ..] = *hdr.bytes else { return None };
    let mut at = 4;
    encoded(hdr, pointer, &mut at)?;
    let count = usize::try_from(encoded(hdr, count, &mut at)?).ok()?;
    let (entries, _) = hdr.bytes.get(at..)?.as_chunks::<8>();
    Some(&entries[..count.min(entries.len())]).filter(|entries| !entries.is_empty())
}

fn open(section: &Section) -> (EhFrame<Bytes>, BaseAddresses) {
    let eh_frame = EhFrame::from(EndianSlice::new(section.bytes, LittleEndian));
    (eh_frame, BaseAddresses::default().set_eh_frame(section.avma))
}

/// Why a frame's caller cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A register is needed whose value is not known here.
    Register,
    /// The CFI is corrupt or asks for something that a stack does not have.
    Invalid,
}

/// The caller of a frame by CFI.
#[derive(Debug)]
pub(crate) enum Caller {
    /// There is none.
    Outermost,
    /// Its registers; `signal` when the frame is a signal trampoline, so that rip is exact.
    At { regs: Regs, signal: bool },
}

/// gimli's working storage.
#[derive(Debug)]
pub(crate) struct Evaluator {
    context: Box<UnwindContext<usize, Storage>>,
}

/// The unwind table row of a pc.
struct Found<'e> {
    row: &'e Row,
    section: EhFrame<Bytes>,
    encoding: Encoding,
    signal: bool,
}

/// The FDE of a pc, and what reads it.
fn describe(
    module: &Loaded,
    pc: u64,
) -> Option<(EhFrame<Bytes>, BaseAddresses, FrameDescriptionEntry<Bytes>)> {
    let eh_frame = module.eh_frame.as_ref()?;
    let offset = module.table.find(eh_frame.avma, pc)?;
    let (section, bases) = open(eh_frame);
    let fde: FrameDescriptionEntry<Bytes> =
        section.fde_from_offset(&bases, EhFrameOffset(offset), EhFrame::cie_from_offset).ok()?;
    fde.contains(pc).then_some((section, bases, fde))
}

/// First address of the code that the CFI of a pc is about.
pub(crate) fn function(module: &Loaded, pc: u64) -> Option<u64> {
    describe(module, pc).map(|(_, _, fde)| fde.initial_address())
}

impl Evaluator {
    pub(crate) fn new() -> Evaluator {
        Evaluator { context: Box::new(UnwindContext::new_in()) }
    }

    /// The rule at `pc` (the address to look up); `None` without (valid) CFI.
    pub(crate) fn rule(&mut self, module: &Loaded, pc: u64) -> Option<Rule> {
        self.find(module, pc).map(|found| found.compile())
    }

    /// Whether the frame at `pc` is a return address, at the stack pointer, and nothing else.
    pub(crate) fn is_return_address(&mut self, module: &Loaded, pc: u64) -> bool {
        self.find(module, pc).is_some_and(|found| {
            let cfa = found.row.cfa();
            matches!(*cfa, CfaRule::RegisterAndOffset { register: Register(number::RSP), offset: 8 })
                && matches!(found.rule_of(number::RIP), Some(RegisterRule::Offset(-8)))
        })
    }

    /// Evaluates the CFI at `pc` (the address to look up) for a frame with these registers. `read` reads its
    /// stack.
    pub(crate) fn caller(
        &mut self,
        module: &Loaded,
        pc: u64,
        regs: &Regs,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Result<Caller, Failure> {
        self.find(module, pc).ok_or(Failure::Invalid)?.caller(regs, &read)
    }

    fn find(&mut self, module: &Loaded, pc: u64) -> Option<Found<'_>> {
        let (section, bases, fde) = describe(module, pc)?;
        let row = fde.unwind_info_for_address(&section, &bases, &mut self.context, pc).ok()?;
        Some(Found { row, section, encoding: fde.cie().encoding(), signal: fde.is_signal_trampoline() })
    }
}

/// DW_OP_breg0, DW_OP_deref, and the offsets of registers in the kernel's ucontext.
const OP_BREG: u8 = 0x70;
const OP_DEREF: u8 = 0x06;
pub(crate) const UCONTEXT_RBP: u64 = 120;
pub(crate) const UCONTEXT_RSP: u64 = 160;
pub(crate) const UCONTEXT_RIP: u64 = 168;

impl Found<'_> {
    fn compile(&self) -> Rule {
        if self.signal {
            return Rule::of(if self.is_kernel_frame() { Form::Signal } else { Form::Cfi });
        }
        match self.rule_of(number::RIP) {
            Some(RegisterRule::Undefined) => return Rule::of(Form::Outermost),
            Some(RegisterRule::Offset(-8)) => {}
            _ => return Rule::of(Form::Cfi),
        }
        self.plain().unwrap_or(Rule::of(Form::Cfi))
    }

    /// The plain rule of this row, when it has one; the return address is known to be at `cfa - 8`.
    fn plain(&self) -> Option<Rule> {
        match self.rule_of(number::RSP) {
            None | Some(RegisterRule::ValOffset(0)) => {}
            Some(_) => return None,
        }
        let (form, cfa) = match *self.row.cfa() {
            CfaRule::RegisterAndOffset { register: Register(number::RSP), offset } => (Form::Sp, offset),
            CfaRule::RegisterAndOffset { register: Register(number::RBP), offset } => (Form::Bp, offset),
            CfaRule::Expression(ref expression) => match self.register_plus(expression, number::RBP)? {
                (offset, [OP_DEREF]) => (Form::DerefBp, offset),
                _ => return None,
            },
            _ => return None,
        };
        let (saved, bp) = match self.rule_of(number::RBP) {
            // A frame whose caller's rbp is lost: an unwinder may as well keep the value.
            None | Some(RegisterRule::SameValue | RegisterRule::Undefined) => (Saved::Same, 0),
            Some(RegisterRule::Offset(offset)) => (Saved::AtCfa, offset),
            Some(RegisterRule::Expression(expression)) => {
                match self.register_plus(&expression, number::RBP)? {
                    (offset, []) => (Saved::AtBp, offset),
                    _ => return None,
                }
            }
            Some(_) => return None,
        };
        Rule::plain(form, cfa, saved, bp)
    }

    /// True when this is the row of a restorer (`rt_sigreturn`): its registers are in the ucontext at rsp.
    fn is_kernel_frame(&self) -> bool {
        let cfa = match self.row.cfa() {
            CfaRule::Expression(expression) => self.register_plus(expression, number::RSP),
            CfaRule::RegisterAndOffset { .. } => None,
        };
        let at = |register, offset| match self.rule_of(register) {
            Some(RegisterRule::Expression(expression)) => {
                self.register_plus(&expression, number::RSP) == Some((offset as i64, &[][..]))
            }
            _ => false,
        };
        cfa == Some((UCONTEXT_RSP as i64, &[OP_DEREF][..]))
            && at(number::RIP, UCONTEXT_RIP)
            && at(number::RBP, UCONTEXT_RBP)
    }

    /// Takes `register + offset` from the start of an expression: the offset, and the rest of the bytes.
    fn register_plus(
        &self,
        expression: &UnwindExpression<usize>,
        register: u16,
    ) -> Option<(i64, &'static [u8])> {
        let bytes = expression.get(&self.section).ok()?.0.slice();
        let (&op, mut rest) = bytes.split_first()?;
        if u16::from(op) != u16::from(OP_BREG) + register {
            return None;
        }
        let (mut value, mut shift) = (0i64, 0);
        loop {
            let (&byte, tail) = rest.split_first()?;
            rest = tail;
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                // Sign extension of an LEB128 number.
                let unused = 64 - shift;
                return Some((value << unused >> unused, rest));
            }
            if shift > 56 {
                return None;
            }
        }
    }

    fn rule_of(&self, register: u16) -> Option<RegisterRule<usize>> {
        self.row.register(Register(register))
    }

    fn caller(&self, regs: &Regs, read: &impl Fn(u64) -> Option<u64>) -> Result<Caller, Failure> {
        let cfa = match *self.row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                regs.get(register.0).ok_or(Failure::Register)?.wrapping_add(offset as u64)
            }
            CfaRule::Expression(ref expression) => self.evaluate(expression, None, regs, read)?,
        };
        let mut caller = *regs;
        caller.keep(CALLEE_SAVED);
        caller.set(number::RSP, cfa);
        let mut has_return_address = false;
        for &(Register(register), ref rule) in self.row.registers() {
            if register > number::RIP {
                continue;
            }
            let at = |address: u64| read(address).ok_or(Failure::Invalid);
            let value = match *rule {
                RegisterRule::Undefined if register == number::RIP => return Ok(Caller::Outermost),
                RegisterRule::Undefined => {
                    // The stack and frame pointer are always known, rightly or not.
                    caller.keep(!(1 << register) | 1 << number::RSP | 1 << number::RBP);
                    continue;
                }
                RegisterRule::SameValue => regs.get(register).ok_or(Failure::Register),
                RegisterRule::Offset(offset) => at(cfa.wrapping_add(offset as u64)),
                RegisterRule::ValOffset(offset) => Ok(cfa.wrapping_add(offset as u64)),
                RegisterRule::Register(Register(other)) => regs.get(other).ok_or(Failure::Register),
                RegisterRule::Expression(ref expression) => {
                    self.evaluate(expression, Some(cfa), regs, read).and_then(at)
                }
                RegisterRule::ValExpression(ref expression) => {
                    self.evaluate(expression, Some(cfa), regs, read)
                }
                _ => Err(Failure::Invalid),
            };
            match (value, register) {
                (Ok(value), _) => {
                    caller.set(register, value);
                    has_return_address |= register == number::RIP;
                }
                (Err(failure), number::RIP | number::RSP | number::RBP) => return Err(failure),
                (Err(_), _) => caller.keep(!(1 << register)),
            }
        }
        if !has_return_address {
            return Err(Failure::Invalid);
        }
        Ok(Caller::At { regs: caller, signal: self.signal })
    }

    fn evaluate(
        &self,
        expression: &UnwindExpression<usize>,
        initial: Option<u64>,
        regs: &Regs,
        read: &impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, Failure> {
        let invalid = |_| Failure::Invalid;
        let expression = expression.get(&self.section).map_err(invalid)?;
        let mut evaluation = Evaluation::<Bytes, Storage>::new_in(expression.0, self.encoding);
        evaluation.set_max_iterations(EXPRESSION_OPERATIONS_MAX);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut state = evaluation.evaluate();
        loop {
            state = match state.map_err(invalid)? {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresMemory { address, size: size @ 1..=8, space: None, .. } => {
                    let word = read(address).ok_or(Failure::Invalid)?;
                    evaluation
                        .resume_with_memory(Value::Generic(word & u64::MAX >> (64 - 8 * u32::from(size))))
                }
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = regs.get(register.0).ok_or(Failure::Register)?;
                    evaluation.resume_with_register(Value::Generic(value))
                }
                _ => return Err(Failure::Invalid),
            };
        }
        match evaluation.as_result() {
            [Piece { location: Location::Address { address }, .. }] => Ok(*address),
            [Piece { location: Location::Value { value: Value::Generic(value) }, .. }] => Ok(*value),
            _ => Err(Failure::Invalid),
        }
    }
}

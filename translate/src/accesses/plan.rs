//! Where emitted code puts down what the accesses of a block are made of.

use super::form::{self, Access, Form, Piece, Special, Sum, Term};
use super::values::Values;
use super::{advance, store, store_imm, vector_words, whole};
use crate::address::Address;
use crate::decode::{Block, Flow, Insn, number};
use crate::emit::{Emitter, reg};
use crate::layout::{self, Fix};
use crate::operand::Tools;
use crate::references::branch::{artificial, branch};
use crate::references::{Place, Reference, When, references};
use alloc::boxed::Box;
use alloc::vec::Vec;
use iced_x86::{Code, EncodingKind, Instruction, InstructionInfoFactory, MemoryOperand, Register};

/// Words that a record has at most, in order that the first store to it does not miss the page behind the log.
const MOST_WORDS: u16 = 480;
/// What is put down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A general register.
    General(u8),
    /// A vector register, of at most 32 bytes if it is not wide.
    Vector { register: u8, wide: bool },
    /// A mask register.
    Mask(u8),
}

/// Something that is put down in front of an instruction, or behind it.
#[derive(Debug, Clone, Copy)]
struct Store {
    insn: usize,
    behind: bool,
    what: What,
    /// Words put down before it in its record.
    number: u16,
}

/// A run.
#[derive(Debug)]
struct Run {
    first: usize,
    last: usize,
    /// Holds the place in the log.
    register: u8,
    /// Of `stores`.
    stores: (usize, usize),
    /// Behind the first one.
    words: u16,
    form: Form,
    /// Offsets in the code: from which on it has begun a record, and has ended it.
    code: (usize, usize),
}

impl Run {
    /// Where a store goes, by words from the record's first.
    fn word(&self, number: u16, words: u16) -> u16 {
        self.words + 1 - number - words
    }
}

/// What the interrupted thread has done of a run, by offset in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// Offset in the code from which on the record has been begun.
    pub begun: u16,
    /// And from which on it is there.
    pub done: u16,
}

/// The runs of one block.
pub(crate) struct AccessPlan {
    info: InstructionInfoFactory,
    references: Vec<Reference>,
    runs: Vec<Run>,
    stores: Vec<Store>,
    values: Values,
    /// The run whose instructions are being emitted.
    at: usize,
}

impl AccessPlan {
    pub(crate) fn new() -> AccessPlan {
        AccessPlan {
            info: InstructionInfoFactory::new(),
            references: Vec::new(),
            runs: Vec::new(),
            stores: Vec::new(),
            values: Values::default(),
            at: 0,
        }
    }

    /// Plans for a block; `rare`: only instructions whose accesses depend on more than general registers are told of.
    pub(crate) fn plan(&mut self, block: &Block<'_>, rare: bool, tools: &mut Tools) {
        self.runs.clear();
        self.stores.clear();
        self.at = 0;
        let mut first = 0;
        while first < block.insns.len() && is_executed(&block.insns[first]) {
            if rare && !self.is_special(&block.insns[first].iced) {
                first += 1;
            } else {
                first = self.run(block, first, tools);
            }
        }
    }

    fn is_special(&mut self, insn: &Instruction) -> bool {
        self.references.clear();
        references(insn, &mut self.info, &mut self.references);
        !self.references.iter().all(Reference::is_plain)
    }

    /// Plans the run that begins with an instruction; returns the one that the next begins with.
    fn run(&mut self, block: &Block<'_>, first: usize, tools: &mut Tools) -> usize {
        let insns = &block.insns;
        let start = insns[first].pc();
        self.values = Values::default();
        let first_store = self.stores.len();
        let (mut accesses, mut pieces) = (Vec::new(), Vec::new());
        let (mut words, mut used, mut special, mut sets_base) = (0, 1 << reg::RSP, None, None);
        let mut last = first;
        for (i, insn) in insns.iter().enumerate().skip(first) {
            self.references.clear();
            references(&insn.iced, &mut self.info, &mut self.references);
            let is_special = !self.references.iter().all(Reference::is_plain);
            let base = set_base(&insn.iced);
            let together = used | tools.may_use(&insn.iced);
            let too_many = idle(together).is_none() || words + 8 > MOST_WORDS;
            if i > first && (!is_executed(insn) || is_special || base.is_some() || too_many) {
                break;
            }
            used = together;
            last = i;
            pieces.push(Piece {
                offset: insn.pc().wrapping_sub(start) as u16,
                length: insn.iced.len() as u8,
                artificial: artificial(&insn.iced),
            });
            if is_special {
                special = Some(self.special(&insn.iced, i, &mut words));
                break;
            }
            for at in 0..self.references.len() {
                let Reference { kind, size, place, .. } = self.references[at];
                if let Place::Sum(address) = place {
                    let sum = self.sum(address, i, &mut words);
                    accesses.push(Access { instruction: (i - first) as u16, kind, size, sum });
                }
            }
            if let Some((slot, register)) = base {
                let word = register.map_or(0, |register| self.term(register, i, &mut words).word);
                sets_base = Some(form::SetBase { slot, word, narrow: is_narrow(&insn.iced) });
                break;
            }
            self.values.execute(&insn.iced, tools);
            if insn.flow.leaves() {
                break;
            }
        }
        let mut run = Run {
            first,
            last,
            register: idle(used).unwrap_or(reg::R11),
            stores: (first_store, self.stores.len()),
            words,
            form: Form {
                start,
                end: insns[last].next_pc(),
                words: words + 1,
                pieces: pieces.into_boxed_slice(),
                accesses: accesses.into_boxed_slice(),
                branch: branch(&insns[last].iced),
                sets_base,
                special: special.map(Box::new),
            },
            code: (0, 0),
        };
        run.form.place_words();
        self.runs.push(run);
        last + 1
    }

    /// The value of a register in front of an instruction: its number in the order in which words are put down, from 1.
    fn term(&mut self, register: u8, insn: usize, words: &mut u16) -> Term {
        let value = self.values.get(register);
        let value = value.unwrap_or_else(|| {
            let number = *words;
            self.stores.push(Store { insn, behind: false, what: What::General(register), number });
            *words += 1;
            self.values.set(register, number);
            super::values::Value { word: number, added: 0 }
        });
        Term { word: value.word + 1, added: value.added }
    }

    fn sum(&mut self, address: Address, insn: usize, words: &mut u16) -> Sum {
        let parts = address.parts();
        let mut term = |register: Option<u8>| {
            register.map_or(Term::default(), |register| self.term(register, insn, words))
        };
        let (base, index) = (term(parts.base), term(parts.index));
        let constant = parts.displacement.wrapping_add(base.added).wrapping_add(index.added << parts.scale);
        Sum {
            constant,
            base: base.word,
            index: index.word,
            scale: parts.scale,
            narrow: parts.narrow,
            segment: parts.segment.unwrap_or(0),
        }
    }

    /// Everything that the accesses of an instruction depend on.
    fn special(&mut self, insn: &Instruction, at: usize, words: &mut u16) -> Special {
        let list = core::mem::take(&mut self.references);
        let mut needed = Needed::default();
        list.iter().for_each(|reference| needed.add(reference));
        let wide = insn.encoding() == EncodingKind::EVEX;
        let references = list.clone().into_boxed_slice();
        let mut special = Special { references, wide, ..Special::default() };
        self.references = list;
        for register in (0..16).filter(|register| needed.general & 1 << register != 0) {
            special.general[usize::from(register)] = Some(self.term(register, at, words));
        }
        let mut put = |behind, what, size| {
            let number = *words;
            self.stores.push(Store { insn: at, behind, what, number });
            *words += size;
            number + 1
        };
        let vectors = (0..32).filter(|register| needed.vectors & 1 << register != 0);
        special.vectors = vectors
            .map(|register| (register, put(false, What::Vector { register, wide }, vector_words(wide))))
            .collect();
        let masks = (0..8).filter(|register| needed.masks & 1 << register != 0);
        special.masks = masks.map(|register| (register, put(false, What::Mask(register), 1))).collect();
        if needed.rounds {
            for register in [reg::RCX, reg::RSI, reg::RDI] {
                if needed.general & 1 << register != 0 {
                    special.after[usize::from(register)] = Some(put(true, What::General(register), 1));
                }
            }
        }
        special
    }

    /// The forms, of which the first has the number `first`, and where their records are begun and done.
    pub(crate) fn take(&mut self) -> Vec<(Form, Logged)> {
        let logged = |(begun, done): (usize, usize)| Logged { begun: begun as u16, done: done as u16 };
        self.runs.drain(..).map(|run| (run.form, logged(run.code))).collect()
    }

    /// Emits what is to be done in front of an instruction; `first` is the number of the block's first run.
    pub(crate) fn emit(
        &mut self,
        e: &mut Emitter<'_>,
        (i, insn): (usize, &Insn),
        first: u32,
        tools: &mut Tools,
    ) {
        let Some(run) = self.runs.get_mut(self.at) else { return };
        let pc = insn.pc();
        if run.first == i {
            run.code.0 = e.offset();
            e.mark(pc, Fix::NONE);
            e.store_ctx(layout::LOG_HOME, run.register);
            e.log = Some(run.register);
            e.mark(pc, Fix::NONE);
            e.load_ctx(run.register, layout::LOG);
        }
        self.put(e, i, false, tools);
        if self.runs[self.at].last == i && insn.flow.leaves() {
            self.end(e, pc, first);
        }
    }

    /// Emits what is to be done behind an instruction that goes on with the next one. Whether a record ended there.
    pub(crate) fn emit_behind(
        &mut self,
        e: &mut Emitter<'_>,
        (i, insn): (usize, &Insn),
        first: u32,
        tools: &mut Tools,
    ) -> bool {
        if self.runs.get(self.at).is_none() {
            return false;
        }
        self.put(e, i, true, tools);
        let ends = self.runs[self.at].last == i;
        if ends {
            self.end(e, insn.next_pc(), first);
        }
        ends
    }

    /// The block is left in front of an instruction that cannot be emitted.
    pub(crate) fn give_up(&mut self, e: &mut Emitter<'_>, pc: u64) {
        if let Some(register) = e.log.take() {
            e.load_ctx(register, layout::LOG_HOME);
            e.mark(pc, Fix::NONE);
        }
    }

    fn put(&self, e: &mut Emitter<'_>, i: usize, behind: bool, tools: &mut Tools) {
        let run = &self.runs[self.at];
        let stores = &self.stores[run.stores.0..run.stores.1];
        for &Store { what, number, .. } in
            stores.iter().filter(|store| (store.insn, store.behind) == (i, behind))
        {
            match what {
                What::General(register) => store(e, run.register, run.word(number, 1), register),
                What::Vector { register, wide } => {
                    let (code, from) = match wide {
                        true => (Code::EVEX_Vmovdqu64_zmmm512_k1z_zmm, Register::ZMM0),
                        false => (Code::VEX_Vmovdqu_ymmm256_ymm, Register::YMM0),
                    };
                    let word = run.word(number, vector_words(wide));
                    put_vector(e, tools, run.register, word, code, from + u32::from(register));
                }
                What::Mask(register) => {
                    let (code, word) = (Code::VEX_Kmovw_m16_kr, run.word(number, 1));
                    put_vector(e, tools, run.register, word, code, Register::K0 + u32::from(register));
                }
            }
        }
    }

    fn end(&mut self, e: &mut Emitter<'_>, pc: u64, first: u32) {
        let number = first + self.at as u32;
        let run = &mut self.runs[self.at];
        store_imm(e, run.register, 0, whole(number) as u32);
        advance(e, run.register, run.words + 1);
        e.store_ctx(layout::LOG, run.register);
        run.code.1 = e.offset();
        e.load_ctx(run.register, layout::LOG_HOME);
        e.log = None;
        e.mark(pc, Fix::NONE);
        self.at += 1;
    }
}

fn put_vector(e: &mut Emitter<'_>, tools: &mut Tools, log: u8, word: u16, code: Code, from: Register) {
    let place =
        MemoryOperand::with_base_displ(crate::operand::GENERAL[usize::from(log)], i64::from(8 * word));
    let encoded = Instruction::with2(code, place, from).is_ok_and(|insn| tools.encode(e, &insn));
    debug_assert!(encoded, "a plain store of a register");
}

/// Whether the code executes it: what the engine handles is executed by itself, as a block of its own if at all.
fn is_executed(insn: &Insn) -> bool {
    !matches!(insn.flow, Flow::Special(_) | Flow::Beyond)
}

/// A register that is none of these, and that a store can be based on by a short form.
fn idle(used: u16) -> Option<u8> {
    const CANDIDATES: [u8; 14] = [15, 14, 13, 11, 10, 9, 8, 3, 5, 7, 6, 2, 1, 0];
    CANDIDATES.into_iter().find(|number| used & 1 << number == 0)
}

/// The segment whose base an instruction sets, by its slot, and the register that it sets it to; none: 0.
fn set_base(insn: &Instruction) -> Option<(u32, Option<u8>)> {
    let slot = |fs: bool| if fs { layout::GUEST_FS } else { layout::GUEST_GS };
    Some(match insn.code() {
        Code::Wrfsbase_r32 | Code::Wrfsbase_r64 => (slot(true), number(insn.op0_register())),
        Code::Wrgsbase_r32 | Code::Wrgsbase_r64 => (slot(false), number(insn.op0_register())),
        Code::Mov_Sreg_r32m16 | Code::Mov_Sreg_rm16 | Code::Mov_Sreg_r64m16 => match insn.op0_register() {
            Register::FS => (slot(true), None),
            Register::GS => (slot(false), None),
            _ => return None,
        },
        _ => return None,
    })
}

/// Whether an instruction sets the base of a segment.
pub(crate) fn sets_base(insn: &Instruction) -> bool {
    set_base(insn).is_some()
}

/// Whether such an instruction sets it to 32 bits.
fn is_narrow(insn: &Instruction) -> bool {
    matches!(insn.code(), Code::Wrfsbase_r32 | Code::Wrgsbase_r32)
}

/// The registers that the accesses of an instruction depend on, by number.
#[derive(Default)]
struct Needed {
    general: u16,
    vectors: u32,
    masks: u8,
    rounds: bool,
}

impl Needed {
    fn add(&mut self, reference: &Reference) {
        let address = match reference.place {
            Place::Sum(address) => address,
            Place::PlusAl(address) => {
                self.general |= 1 << reg::RAX;
                address
            }
            Place::Bit { address, register, .. } | Place::BitWithin { address, register, .. } => {
                self.general |= 1 << register;
                address
            }
            Place::Element { address, index, mask, .. } => {
                self.vectors |= 1 << index;
                if let Some(mask) = mask {
                    self.vectors |= 1 << mask.register;
                    self.general |= 1 << reg::RSP;
                }
                address
            }
        };
        let parts = address.parts();
        for register in [parts.base, parts.index].into_iter().flatten() {
            self.general |= 1 << register;
        }
        match reference.when {
            When::Always => (),
            When::Round(_) => {
                self.general |= 1 << reg::RCX;
                self.rounds = true;
            }
            When::Sign(sign) => self.vectors |= 1 << sign.register,
            When::Mask { register, .. } => self.masks |= 1 << register,
            When::Component(_) => self.general |= 1 << reg::RAX,
        }
    }
}

//! The form of a run's records: how the addresses of its accesses follow from their words.

use crate::layout;
use crate::references::branch::{Artificial, Branch};
use crate::references::{Kind, Reference, Registers, When};
use alloc::boxed::Box;

/// An instruction of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Bytes from the run's start.
    pub offset: u16,
    /// Bytes.
    pub length: u8,
    /// `Bc` that Valgrind counts in it where the processor has no branch.
    pub artificial: Option<Artificial>,
}

/// The bases of FS and GS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bases {
    /// Of FS.
    pub fs: u64,
    /// Of GS.
    pub gs: u64,
}

/// A register in a record: a word of it, and what is to be added. Without a word it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Term {
    /// 0 is the first word, which says what record it is.
    pub(super) word: u16,
    /// Put in front of the sum, since a register may be scaled.
    pub(super) added: u64,
}

/// An access that each execution makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Number of its instruction in the run.
    pub instruction: u16,
    /// What it does.
    pub kind: Kind,
    /// Bytes.
    pub size: u16,
    pub(super) sum: Sum,
}

impl Access {
    /// Its address, from a record of its run, of which all words are there.
    #[inline(always)]
    pub fn address(&self, record: &[u64], bases: Bases) -> u64 {
        self.sum.value(record, bases)
    }
}

/// Registers in a record, a constant, and a segment's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    /// All that is known.
    pub(super) constant: u64,
    /// 0: there is none.
    pub(super) base: u16,
    pub(super) index: u16,
    pub(super) scale: u8,
    /// The sum has 32 bits.
    pub(super) narrow: bool,
    /// The slot of the segment's base; 0: there is none.
    pub(super) segment: u32,
}

impl Sum {
    #[inline(always)]
    fn value(&self, record: &[u64], bases: Bases) -> u64 {
        // Without a branch, which would be mispredicted: the first word is put out.
        let word = |at: u16| {
            let word = record.get(usize::from(at)).copied().unwrap_or(0);
            word & 0u64.wrapping_sub(u64::from(at != 0))
        };
        let sum = self.constant.wrapping_add(word(self.base)).wrapping_add(word(self.index) << self.scale);
        if !self.narrow && self.segment == 0 {
            return sum;
        }
        let sum = if self.narrow { u64::from(sum as u32) } else { sum };
        sum.wrapping_add(match self.segment {
            layout::GUEST_FS => bases.fs,
            layout::GUEST_GS => bases.gs,
            _ => 0,
        })
    }
}

/// The base of a segment, by its slot, is set to a word; 0: to 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetBase {
    pub(super) slot: u32,
    pub(super) word: u16,
    /// Its low 32 bits count.
    pub(super) narrow: bool,
}

/// What one instruction's record holds whose accesses depend on more than general registers before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Special {
    pub(super) references: Box<[Reference]>,
    /// Vector registers are put down with 64 bytes, not with 32.
    pub(super) wide: bool,
    /// By register number.
    pub(super) general: [Option<Term>; 16],
    /// Those that are put down behind the instruction: words, by register number.
    pub(super) after: [Option<u16>; 16],
    /// First words, by register number.
    pub(super) vectors: Box<[(u8, u16)]>,
    pub(super) masks: Box<[(u8, u16)]>,
}

/// What the rounds of a repeated string instruction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    /// How many there were.
    pub count: u64,
    /// It went on until the count was 0, rather than that a comparison ended it.
    pub ran_out: bool,
    /// Towards lower addresses.
    pub backwards: bool,
}

/// What a run is, and what its records hold.
#[derive(Debug, Clone)]
pub struct Form {
    /// Guest pc of its first instruction.
    pub start: u64,
    /// Guest pc behind its last one.
    pub end: u64,
    /// Words of a record, the first one included.
    pub words: u16,
    /// Its instructions.
    pub pieces: Box<[Piece]>,
    /// The accesses that each execution makes; of a run with special ones none.
    pub accesses: Box<[Access]>,
    /// What the last instruction is for the predictors of branches.
    pub branch: Option<Branch>,
    /// What the last instruction sets the base of a segment to, if it does.
    pub(super) sets_base: Option<SetBase>,
    pub(super) special: Option<Box<Special>>,
}

/// What the first word of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// This run, whole.
    Whole(u32),
    /// Up to this byte of it.
    Partly(u32, u16),
    /// The thread goes on here, but not because of a branch.
    GoesOn(u64),
    /// It is of a call or a return: see [`calls`](crate::calls).
    Call,
}

impl Head {
    /// Of a record's first word.
    pub fn of(word: u64) -> Head {
        const WHOLE: u64 = 0xffff_ffff << 32;
        let number = || (!(word as u32)).wrapping_sub(super::FIRST_RUN);
        match word >> 62 {
            0 => Head::Call,
            1 => Head::GoesOn(word & ((1 << 62) - 1)),
            2 => Head::Partly(number(), (word >> 32) as u16),
            _ if word & WHOLE == WHOLE && !(word as u32) >= super::FIRST_RUN => Head::Whole(number()),
            _ => Head::Call,
        }
    }
}

impl Form {
    /// Numbers of words in the order in which they are put down, from 1, become places in the record, whose highest one is filled
    /// first.
    pub(super) fn place_words(&mut self) {
        let words = self.words;
        let place = |number: &mut u16, size: u16| {
            if *number != 0 {
                *number = words + 1 - *number - size;
            }
        };
        for access in &mut self.accesses {
            place(&mut access.sum.base, 1);
            place(&mut access.sum.index, 1);
        }
        if let Some(set) = &mut self.sets_base {
            place(&mut set.word, 1);
        }
        let Some(special) = &mut self.special else { return };
        let vectors = super::vector_words(special.wide);
        special.general.iter_mut().flatten().for_each(|term| place(&mut term.word, 1));
        special.after.iter_mut().flatten().for_each(|word| place(word, 1));
        special.vectors.iter_mut().for_each(|(_, word)| place(word, vectors));
        special.masks.iter_mut().for_each(|(_, word)| place(word, 1));
    }

    /// Whether its last instruction sets the base of a segment.
    pub fn sets_base(&self) -> bool {
        self.sets_base.is_some()
    }

    /// What the bases are behind the last instruction.
    pub fn bases_behind(&self, record: &[u64], mut bases: Bases) -> Bases {
        if let Some(SetBase { slot, word, narrow }) = self.sets_base {
            let base = match word {
                0 => 0,
                word => record.get(usize::from(word)).copied().unwrap_or(0),
            };
            let base = if narrow { u64::from(base as u32) } else { base };
            *(if slot == layout::GUEST_FS { &mut bases.fs } else { &mut bases.gs }) = base;
        }
        bases
    }

    /// The address of an access of its own, from a record, of which all words are there.
    pub fn address(&self, access: &Access, record: &[u64], bases: Bases) -> u64 {
        access.address(record, bases)
    }

    /// Whether the accesses of its only instruction depend on more than general registers.
    pub fn is_special(&self) -> bool {
        self.special.is_some()
    }

    /// Tells of each access of its only instruction, which is special: kind, bytes, address of the first round.
    pub fn special(&self, record: &[u64], bases: Bases, mut access: impl FnMut(Kind, u16, u64)) {
        let Some(special) = &self.special else { return };
        let registers = Recorded { special, record, bases };
        for reference in &special.references {
            if let Some(address) = reference.address(&registers) {
                access(reference.kind, reference.size, address);
            }
        }
    }

    /// Whether a record is not whole before something is put down behind the last instruction.
    pub fn ends_behind(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.after.iter().any(Option::is_some))
    }

    /// The rounds of its only instruction, if that is repeated.
    pub fn rounds(&self, record: &[u64]) -> Option<Rounds> {
        const RCX: usize = crate::emit::reg::RCX as usize;
        let special = self.special.as_deref()?;
        let reference = special.references.first()?;
        let When::Round(rounds) = reference.when else { return None };
        let registers = Recorded { special, record, bases: Bases::default() };
        let cut = |count: u64| if rounds.narrow { u64::from(count as u32) } else { count };
        let after = |register: usize| {
            special.after[register].and_then(|word| record.get(usize::from(word)).copied()).unwrap_or(0)
        };
        let (before, left) = (cut(registers.general(RCX as u8)), cut(after(RCX)));
        let moved = [crate::emit::reg::RSI, crate::emit::reg::RDI].into_iter().find_map(|register| {
            special.after[usize::from(register)]?;
            Some(after(register.into()).wrapping_sub(registers.general(register)) as i64)
        });
        Some(Rounds {
            count: before.wrapping_sub(left),
            ran_out: left == 0,
            backwards: moved.is_some_and(|moved| moved < 0),
        })
    }
}

/// The registers before a special instruction, as far as its record has them.
struct Recorded<'a> {
    special: &'a Special,
    record: &'a [u64],
    bases: Bases,
}

impl Recorded<'_> {
    fn word(&self, at: usize) -> u64 {
        self.record.get(at).copied().unwrap_or(0)
    }
}

impl Registers for Recorded<'_> {
    fn general(&self, number: u8) -> u64 {
        let term = self.special.general[usize::from(number & 15)];
        term.map_or(0, |term| self.word(usize::from(term.word)).wrapping_add(term.added))
    }

    fn base(&self, slot: u32) -> u64 {
        if slot == layout::GUEST_FS { self.bases.fs } else { self.bases.gs }
    }

    fn vector(&self, number: u8, from: usize) -> u64 {
        let Some((_, first)) = self.special.vectors.iter().find(|(register, _)| *register == number) else {
            return 0;
        };
        let at = usize::from(*first) + from / 8;
        let (low, high) = (self.word(at), self.word(at + 1));
        match from % 8 {
            0 => low,
            bytes => low >> (8 * bytes) | high << (64 - 8 * bytes),
        }
    }

    fn mask(&self, number: u8) -> u64 {
        let found = self.special.masks.iter().find(|(register, _)| *register == number);
        found.map_or(0, |(_, word)| self.word(usize::from(*word)))
    }
}

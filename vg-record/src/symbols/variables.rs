//! Which variable lies at an address, by DWARF: of a function that was running, or of the file's data.
//!
//! One pass over a unit answers all that is asked of it. Always holds: a variable is named only when its location could be
//! computed from the registers that are known, and its bytes, as far as they are known, hold the address; where several do, the innermost block's.
//! Malformed input gives no answer and no panic. Not here: what is inside a variable (`types`), which units are loaded
//! (`sections`).

use super::types::{Die, Slice, Units};
use gimli::{
    AttributeValue, DwTag, Dwarf, EvaluationResult, Expression, Location, Operation, Piece, Register,
    UnitOffset, Value, constants as dw,
};

type Entry<'a> = gimli::DebuggingInformationEntry<Slice<'a>>;

/// Steps of an expression that may have a loop.
const MOST_STEPS: u32 = 10_000;

/// A variable that holds an address. Empty texts and zeros: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VariableText {
    /// Its name, without the scope that it is in.
    pub name: String,
    /// Path of the file that declares it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Its bytes.
    pub size: u64,
    /// The address less its first byte.
    pub offset: u64,
    /// What of it holds the address: `[3].x`; empty when that is the whole.
    pub part: String,
    /// The address less the first byte of that part.
    pub part_offset: u64,
}

/// What is known of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registers {
    /// The canonical frame address.
    pub cfa: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The register rbp.
    pub bp: u64,
}

/// An address whose variable is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// In a frame of the stack.
    Local {
        /// Of an instruction in the function, in the file.
        code: u64,
        /// In memory.
        address: u64,
        /// The frame's.
        registers: Registers,
    },
    /// In the file's data.
    Global {
        /// In the file.
        address: u64,
    },
}

impl Sought {
    /// The function's instruction.
    pub(super) fn code(&self) -> Option<u64> {
        match self {
            Sought::Local { code, .. } => Some(*code),
            Sought::Global { .. } => None,
        }
    }
}

/// Fills in what is found.
pub(super) fn find(dwarf: &Dwarf<Slice<'_>>, sought: &[Sought], found: &mut [Option<VariableText>]) {
    let units = Units::new(dwarf);
    let global = |(index, sought): (usize, &Sought)| match sought {
        Sought::Global { address } => Some((*address, index)),
        Sought::Local { .. } => None,
    };
    let mut globals: Vec<(u64, usize)> = sought.iter().enumerate().filter_map(global).collect();
    globals.sort_unstable();
    let mut search = Search { units: &units, sought, globals: &globals, best: vec![None; sought.len()] };
    for at in 0..units.count() {
        // A unit that is damaged somewhere has said what comes before.
        let _ = search.unit(at);
    }
    for (candidate, found) in search.best.into_iter().zip(found) {
        *found = candidate.and_then(|candidate| candidate.describe(&units));
    }
}

/// A variable that holds an address.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// Depth of its block.
    depth: isize,
    unit: usize,
    entry: UnitOffset,
    size: u64,
    offset: u64,
}

impl Candidate {
    fn describe(&self, units: &Units<'_, '_>) -> Option<VariableText> {
        let die = units.die(self.unit, self.entry)?;
        let name = units.attribute(&die, dw::DW_AT_name).and_then(|(unit, name)| units.text(unit, name))?;
        let file = units
            .attribute(&die, dw::DW_AT_decl_file)
            .and_then(|(unit, value)| match value {
                AttributeValue::FileIndex(index) => units.file(unit, index),
                value => units.file(unit, value.udata_value()?),
            })
            .unwrap_or_default();
        let line = units.attribute(&die, dw::DW_AT_decl_line).and_then(|(_, line)| line.udata_value());
        let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        let of = units.type_of(&die);
        let (part, part_offset) = of.map_or((String::new(), self.offset), |of| units.part(of, self.offset));
        Some(VariableText { name, file, line, size: self.size, offset: self.offset, part, part_offset })
    }
}

/// A function or a block that is being looked through.
struct Scope<'a> {
    depth: isize,
    /// Of what is sought, that which was running in it.
    running: Vec<usize>,
    frame_base: Option<AttributeValue<Slice<'a>>>,
}

/// One pass over all units.
struct Search<'s, 'd, 'a> {
    units: &'s Units<'d, 'a>,
    sought: &'s [Sought],
    /// Addresses of data, in rising order, with their places in `sought`.
    globals: &'s [(u64, usize)],
    best: Vec<Option<Candidate>>,
}

impl<'a> Search<'_, '_, 'a> {
    fn unit(&mut self, at: usize) -> gimli::Result<()> {
        let units = self.units;
        let Some(unit) = units.unit(at) else { return Ok(()) };
        let all: Vec<usize> = (0..self.sought.len()).collect();
        let here = self.running(at, &units.root(at)?, &all);
        if self.globals.is_empty() && here.is_some_and(|here| here.is_empty()) {
            return Ok(());
        }
        let mut scopes: Vec<Scope<'a>> = Vec::new();
        let mut cursor = unit.entries();
        while let Some(entry) = cursor.next_dfs()? {
            let depth = entry.depth();
            while scopes.last().is_some_and(|scope| scope.depth >= depth) {
                scopes.pop();
            }
            let outer = scopes.last();
            match entry.tag() {
                dw::DW_TAG_subprogram => {
                    // Also within another one, whose code it is no part of.
                    let running = self.running(at, entry, &all).unwrap_or_default();
                    scopes.push(Scope { depth, running, frame_base: entry.attr_value(dw::DW_AT_frame_base) });
                }
                tag if is_block(tag) => {
                    let among = outer.map_or(&[][..], |outer| &outer.running);
                    let running = match among {
                        [] => Vec::new(),
                        among => self.running(at, entry, among).unwrap_or_default(),
                    };
                    let frame_base = outer.and_then(|outer| outer.frame_base);
                    scopes.push(Scope { depth, running, frame_base });
                }
                dw::DW_TAG_variable | dw::DW_TAG_formal_parameter => {
                    if let Some(location) = entry.attr_value(dw::DW_AT_location) {
                        self.in_data(at, entry, location);
                        if let Some(scope) = outer {
                            self.in_frame(at, entry, location, scope);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Which of `among` were running in the code of an entry. `None` when it has no addresses of code.
    fn running(&self, at: usize, entry: &Entry<'a>, among: &[usize]) -> Option<Vec<usize>> {
        let ranges = self.units.ranges(at, entry)?;
        let is_in = |code: u64| ranges.iter().any(|range| (range.begin..range.end).contains(&code));
        let code = |index: &usize| self.sought.get(*index).and_then(Sought::code);
        Some(among.iter().copied().filter(|index| code(index).is_some_and(is_in)).collect())
    }

    /// Bytes of a variable; 0 when they are not known: clang leaves out the types of libraries.
    fn size_of(&self, at: usize, entry: &Entry<'a>) -> u64 {
        let die = Die { unit: at, entry: entry.clone() };
        self.units.type_of(&die).and_then(|of| self.units.size(&of)).unwrap_or(0)
    }

    /// A variable whose address is fixed.
    fn in_data(&mut self, at: usize, entry: &Entry<'a>, location: AttributeValue<Slice<'a>>) {
        let AttributeValue::Exprloc(expression) = location else { return };
        if self.globals.is_empty() {
            return;
        }
        let Some(place) = fixed(self.units, at, expression) else { return };
        let first = self.globals.partition_point(|(address, _)| *address < place);
        let behind = self.globals.get(first..).unwrap_or_default();
        if behind.is_empty() {
            return;
        }
        let size = self.size_of(at, entry);
        for (address, index) in behind.iter().take_while(|(address, _)| holds(size, address - place)) {
            let offset = address - place;
            let candidate = Candidate { depth: entry.depth(), unit: at, entry: entry.offset(), size, offset };
            self.offer(*index, candidate);
        }
    }

    /// A variable of a function or a block.
    fn in_frame(
        &mut self,
        at: usize,
        entry: &Entry<'a>,
        location: AttributeValue<Slice<'a>>,
        scope: &Scope<'a>,
    ) {
        for &index in &scope.running {
            let Some(Sought::Local { code, address, registers }) = self.sought.get(index) else { continue };
            let start = || {
                let frame_base =
                    scope.frame_base.and_then(|base| frame_base_of(self.units, at, base, *code, registers));
                let expression = expression_at(self.units, at, location, *code)?;
                let pieces = evaluate(self.units, at, expression, registers, frame_base)?;
                piece_with(&pieces, *address)
            };
            let Some((place, skipped)) = start() else { continue };
            let size = self.size_of(at, entry);
            let offset = (address - place).saturating_add(skipped);
            let candidate = Candidate { depth: entry.depth(), unit: at, entry: entry.offset(), size, offset };
            if holds(size, offset) {
                self.offer(index, candidate);
            }
        }
    }

    /// Of several, the innermost block's counts.
    fn offer(&mut self, index: usize, candidate: Candidate) {
        if let Some(best) = self.best.get_mut(index)
            && best.is_none_or(|best| best.depth < candidate.depth)
        {
            *best = Some(candidate);
        }
    }
}

/// Whether an offset lies in a variable; of one whose size is not known, only its first byte is sure to.
fn holds(size: u64, offset: u64) -> bool {
    offset < size.max(1)
}

fn is_block(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_lexical_block
            | dw::DW_TAG_try_block
            | dw::DW_TAG_catch_block
            | dw::DW_TAG_with_stmt
    )
}

/// The address of a variable that lies in the file's data.
fn fixed<'a>(units: &Units<'_, 'a>, at: usize, expression: Expression<Slice<'a>>) -> Option<u64> {
    let unit = units.unit(at)?;
    let mut operations = expression.operations(unit.encoding());
    let mut address = match operations.next().ok()?? {
        Operation::Address { address } => address,
        Operation::AddressIndex { index } => units.dwarf().address(unit, index).ok()?,
        _ => return None,
    };
    while let Some(operation) = operations.next().ok()? {
        let Operation::PlusConstant { value } = operation else { return None };
        address = address.wrapping_add(value);
    }
    // The linker has left out what begins there.
    (address != 0).then_some(address)
}

/// What says where something is while an instruction runs.
fn expression_at<'a>(
    units: &Units<'_, 'a>,
    at: usize,
    value: AttributeValue<Slice<'a>>,
    code: u64,
) -> Option<Expression<Slice<'a>>> {
    if let AttributeValue::Exprloc(expression) = value {
        return Some(expression);
    }
    let mut list = units.dwarf().attr_locations(units.unit(at)?, value).ok()??;
    while let Some(entry) = list.next().ok()? {
        if (entry.range.begin..entry.range.end).contains(&code) {
            return Some(entry.data);
        }
    }
    None
}

fn frame_base_of<'a>(
    units: &Units<'_, 'a>,
    at: usize,
    value: AttributeValue<Slice<'a>>,
    code: u64,
    registers: &Registers,
) -> Option<u64> {
    let expression = expression_at(units, at, value, code)?;
    match evaluate(units, at, expression, registers, None)?[..] {
        [Piece { location: Location::Address { address }, .. }] => Some(address),
        // What the register holds, and not the register.
        [Piece { location: Location::Register { register }, .. }] => registers.get(register),
        _ => None,
    }
}

impl Registers {
    /// By DWARF's number. The others of a frame are not known.
    fn get(&self, register: Register) -> Option<u64> {
        match register {
            gimli::X86_64::RBP => Some(self.bp),
            gimli::X86_64::RSP => Some(self.sp),
            _ => None,
        }
    }
}

fn evaluate<'a>(
    units: &Units<'_, 'a>,
    at: usize,
    expression: Expression<Slice<'a>>,
    registers: &Registers,
    frame_base: Option<u64>,
) -> Option<Vec<Piece<Slice<'a>>>> {
    let mut evaluation = expression.evaluation(units.unit(at)?.encoding());
    evaluation.set_max_iterations(MOST_STEPS);
    let mut state = evaluation.evaluate().ok()?;
    loop {
        state = match state {
            EvaluationResult::Complete => return Some(evaluation.result()),
            EvaluationResult::RequiresRegister { register, .. } => {
                evaluation.resume_with_register(Value::Generic(registers.get(register)?))
            }
            EvaluationResult::RequiresFrameBase => evaluation.resume_with_frame_base(frame_base?),
            EvaluationResult::RequiresCallFrameCfa => evaluation.resume_with_call_frame_cfa(registers.cfa),
            // What was in memory, or in other registers, is gone.
            _ => return None,
        }
        .ok()?;
    }
}

/// Of the piece in memory that holds an address: its place, and how far into the variable it begins.
fn piece_with(pieces: &[Piece<Slice<'_>>], address: u64) -> Option<(u64, u64)> {
    let mut skipped = 0u64;
    for piece in pieces {
        let bytes = piece.size_in_bits.map(|bits| bits / 8);
        if let Location::Address { address: place } = piece.location
            && address.checked_sub(place).is_some_and(|offset| bytes.is_none_or(|bytes| offset < bytes))
        {
            return Some((place, skipped));
        }
        skipped = skipped.checked_add(bytes?)?;
    }
    None
}

#[cfg(test)]
mod tests;

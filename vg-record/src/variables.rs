//! Which variables errors are about: what is to be looked up for an address, and how the answer is told.
//!
//! An error is written when it happens, and its address again when the names are known. Always holds: an address that no
//! variable holds stays what the engine said. Not here: debug information (`symbols`), errors (`errors`).

use crate::decode::{Recording, Stream};
use crate::modules::Binary;
use crate::stacks::Stacks;
use crate::symbols::{self, Registers, Sought, VariableText};
use ring::record::{FRAME_WORDS, Record, halves};
use schema::{AddressInfo, AddressKind, Error};
use std::collections::{BTreeMap, HashMap};

/// An error whose address may be a variable's.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    process: u32,
    /// Of the error in its process.
    number: u32,
    address: u64,
    /// What is known without.
    about: AddressInfo,
    /// Where to look, in order.
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// As frames name it.
    module: u32,
    sought: Sought,
    /// 1 and the index of the frame; 0 for data.
    frame: u32,
}

/// Where a process has mapped a module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped {
    /// Its id in the trace.
    pub module: u32,
    /// The module that frames name.
    pub for_frames: u32,
    /// Address in memory less the address in the file.
    pub bias: u64,
}

impl Recording {
    /// Where the module with this number is mapped. An inherited mapping is its parent's.
    pub(crate) fn mapped(&mut self, stream: &mut Stream, number: u32) -> Option<Mapped> {
        let image = self.image(stream);
        let owner = self.images.owner_of_module(image, number);
        self.mapped.get(&(owner, number)).copied()
    }

    /// What is to be looked up for an error; nothing where its address is no variable's.
    pub(crate) fn wish(&mut self, stream: &mut Stream, record: Record<'_>, error: &Error) -> Option<Wish> {
        let about = error.about.clone()?;
        let address = error.address;
        let frame: [u64; FRAME_WORDS] = std::array::from_fn(|at| record.word(15 + at));
        let places = match about.kind {
            AddressKind::Stack => in_frames(&self.trace.stacks, error.stack, about.frame, address, frame),
            // A function that calls no other may have variables below the stack pointer.
            AddressKind::BelowStack => {
                in_frames(&self.trace.stacks, error.stack, 1, address, frame).into_iter().take(1).collect()
            }
            AddressKind::Data => {
                let (_, number) = halves(record.word(6));
                let mapped = self.mapped(stream, number)?;
                let sought = Sought::Global { address: address.wrapping_sub(mapped.bias) };
                vec![Place { module: mapped.for_frames, sought, frame: 0 }]
            }
            _ => Vec::new(),
        };
        let (process, number) = (error.process, error.number);
        (!places.is_empty()).then_some(Wish { process, number, address, about, places })
    }
}

/// The frame with this number, and its callee: of that one's parameters, some lie in its caller's frame.
fn in_frames(
    stacks: &Stacks,
    stack: u32,
    number: u32,
    address: u64,
    frame: [u64; FRAME_WORDS],
) -> Vec<Place> {
    let [cfa, sp, bp, callee_sp, callee_bp] = frame;
    if cfa == 0 {
        return Vec::new();
    }
    let own = (number, Registers { cfa, sp, bp });
    let callee = (number.saturating_sub(1), Registers { cfa: sp, sp: callee_sp, bp: callee_bp });
    let place = |(number, registers): (u32, Registers)| {
        let code = stacks.frame_of(stack, number.checked_sub(1)?)?;
        let probe = symbols::Wanted { frame: 0, rva: code.rva, exact: code.exact }.probe();
        let sought = Sought::Local { code: probe, address, registers };
        (code.module != 0).then_some(Place { module: code.module, sought, frame: number })
    };
    [own, callee].into_iter().filter_map(place).collect()
}

/// Looks up all that was wished for. For each wish the address as it is to be told, with the path of the variable's
/// file, or nothing. `binary` gives the file that frames name by a module.
pub(crate) fn look_up<'b>(
    wishes: &[Wish],
    binary: impl Fn(u32) -> Option<&'b Binary>,
) -> Vec<Option<(AddressInfo, String)>> {
    // By module: what is sought, with the wish and the rank of the place in it.
    let mut by_module: BTreeMap<u32, Vec<(Sought, usize, usize)>> = BTreeMap::new();
    for (at, wish) in wishes.iter().enumerate() {
        for (rank, place) in wish.places.iter().enumerate() {
            by_module.entry(place.module).or_default().push((place.sought, at, rank));
        }
    }
    let mut work = Vec::new();
    let mut owners = Vec::new();
    for (module, sought) in by_module {
        if let Some(binary) = binary(module) {
            work.push((binary, sought.iter().map(|(sought, ..)| *sought).collect()));
            owners.push(sought);
        }
    }
    let mut best: Vec<Option<(usize, VariableText)>> = vec![None; wishes.len()];
    for (owners, answers) in owners.into_iter().zip(symbols::variables(&work)) {
        for ((_, at, rank), answer) in owners.into_iter().zip(answers) {
            if let (Some(best), Some(answer)) = (best.get_mut(at), answer)
                && best.as_ref().is_none_or(|(other, _)| rank < *other)
            {
                *best = Some((rank, answer));
            }
        }
    }
    let told = |(wish, best): (&Wish, Option<(usize, VariableText)>)| {
        let (rank, variable) = best?;
        Some((wish.told(wish.places.get(rank)?.frame, &variable)?, variable.file))
    };
    wishes.iter().zip(best).map(told).collect()
}

impl Wish {
    /// Whether it is about an error.
    pub(crate) fn is_of(&self, error: &Error) -> bool {
        (self.process, self.number) == (error.process, error.number)
    }

    fn told(&self, frame: u32, variable: &VariableText) -> Option<AddressInfo> {
        let kind = if frame == 0 { self.about.kind } else { AddressKind::Stack };
        Some(AddressInfo {
            kind,
            frame,
            start: self.address.wrapping_sub(variable.offset),
            size: variable.size,
            offset: i64::try_from(variable.offset).ok()?,
            text: variable.name.clone(),
            line: variable.line,
            part: variable.part.clone(),
            part_offset: variable.part_offset,
            ..self.about.clone()
        })
    }
}

/// Writes what is found about all errors so far.
pub(crate) fn write(recording: &mut Recording) {
    let wishes = recording.errors.take_wishes();
    if wishes.is_empty() || recording.trace.has_failed() {
        return;
    }
    let binaries: HashMap<u32, &Binary> =
        recording.modules.binaries().iter().map(|binary| (binary.module, binary.as_ref())).collect();
    let found = look_up(&wishes, |module| binaries.get(&module).copied());
    let counts = recording.errors.counts();
    let mut errors = Vec::new();
    for (wish, found) in wishes.iter().zip(found) {
        let (Some((about, file)), Some(&count)) = (found, counts.get(&(wish.process, wish.number))) else {
            continue;
        };
        let about = AddressInfo { file: recording.trace.string(&file), ..about };
        let (number, process) = (wish.number, wish.process);
        errors.push(Error { number, process, count, about: Some(about), ..Error::default() });
    }
    if !errors.is_empty() {
        recording.trace.put(|writer| writer.errors(&errors));
    }
}

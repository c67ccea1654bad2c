//! What addresses of one file are called: by DWARF first, by the symbol table where DWARF has no name, and executed code by
//! where its function begins where there is no symbol.
//!
//! Many addresses have few names, so each name is made once. Each address is sought in addr2line by itself: of 100 ms for the
//! 40,000 of sqlite3 that is 15, no more than one more pass over all entries would take, which finds where inlined code
//! begins. Always holds: the answer for an address does not depend on which others are asked for. Not here: opening
//! files (`elf`).

use super::PlaceText;
use super::demangle::demangle;
use super::labels::{self, Labels};
use super::path::normal;
use super::plt::{Stub, Stubs};
use super::table::{Symbol, Table};
use crate::mix::BuildMix;
use addr2line::Context;
use gimli::{EndianSlice, LittleEndian};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// Bytes of a section.
pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Names of addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The different ones: a function and what it was inlined into, innermost first; never empty.
    pub places: Vec<Vec<PlaceText>>,
    /// For each address 1 + the index of its places; 0: nothing is known.
    pub of: Vec<u32>,
    /// Where the file's linkage stubs lie; of executed code alone.
    pub stubs: Stubs,
}

/// Looks up addresses, which are sorted, and whose symbols are in the table. With `code` they are of executed code: what
/// has no name gets one, and columns are left out, for what is a statement's is counted together.
pub(super) fn look_up<'c>(
    context: Option<&'c Context<Slice<'_>>>,
    table: &Table<'_>,
    addresses: &[u64],
    mut code: Option<&mut Labels<'_>>,
) -> Named {
    let stubs = code.as_deref().map(|labels| labels.sections().clone()).unwrap_or_default();
    let mut named = Named { places: Vec::new(), of: Vec::with_capacity(addresses.len()), stubs };
    let mut known: HashMap<Key<'c>, u32, BuildMix> = HashMap::default();
    let mut names = Names::default();
    // Of the address before, with the number of its places; neighbours often have the same.
    let mut last = (Key::default(), 0);
    let mut key = Key::default();
    for (nth, &address) in addresses.iter().enumerate() {
        let symbol = table.at(nth);
        key.frames.clear();
        if let Some(context) = context
            && !symbol.is_some_and(|(_, symbol)| symbol.stands_for_another(address))
        {
            frames(context, address, code.is_none(), &mut key.frames);
        }
        let of_code = code.as_deref_mut().and_then(|labels| {
            if named.stubs.hold(address)
                && let Some(stub) = labels.stub(address)
            {
                return Some(Outermost::Stub(stub.range.start));
            }
            let is_named = key.frames.last().is_some_and(|frame| !frame.name.0.is_empty());
            function(labels, address, symbol.map(|(_, symbol)| symbol), is_named)
        });
        key.outermost = match (of_code, symbol) {
            (Some(label), _) => label,
            (None, Some((number, _))) => Outermost::Symbol(number),
            (None, None) => Outermost::Unknown,
        };
        if key != last.0 {
            let number = known.get(&key).copied().unwrap_or_else(|| {
                let mut places = names.places(&key.frames);
                match (key.outermost, symbol, code.as_deref()) {
                    (Outermost::Stub(_), _, Some(labels)) => {
                        places = labels.stub(address).map(stub).into_iter().collect();
                    }
                    (Outermost::Function(start), ..) => name_function(&mut places, start),
                    (Outermost::Symbol(_), Some((_, symbol)), _) => {
                        name_by_symbol(&mut places, symbol.name())
                    }
                    _ => {}
                }
                let number = named.add(places);
                known.insert(key.clone(), number);
                number
            });
            std::mem::swap(&mut last.0, &mut key);
            last.1 = number;
        }
        named.of.push(last.1);
    }
    named
}

/// Where the function at an address begins, when that is its name.
fn function(
    labels: &mut Labels<'_>,
    address: u64,
    symbol: Option<&Symbol<'_>>,
    is_named: bool,
) -> Option<Outermost> {
    if is_named || symbol.is_some_and(Symbol::has_size) {
        return None;
    }
    let start = labels.function(address)?;
    // A symbol without a size may be of another function, far before.
    symbol.is_none_or(|symbol| symbol.start() < start).then_some(Outermost::Function(start))
}

fn stub(stub: &Stub) -> PlaceText {
    PlaceText { function: stub.function.clone(), raw_name: stub.raw_name.clone(), ..PlaceText::default() }
}

impl Named {
    /// The number of new places.
    fn add(&mut self, places: Vec<PlaceText>) -> u32 {
        if places.is_empty() {
            return 0;
        }
        self.places.push(places);
        self.places.len() as u32
    }
}

/// What names an address: its frames, innermost first, and what tells the name of the function that is no inlined one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
struct Key<'a> {
    outermost: Outermost,
    frames: Vec<Frame<'a>>,
}

/// What the function is called by, beside its frame.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
enum Outermost {
    #[default]
    Unknown,
    /// The number of a symbol.
    Symbol(u32),
    /// Where a linkage stub begins.
    Stub(u64),
    /// Where a function without a name begins.
    Function(u64),
}

/// Bytes that are told apart by where they lie: in the file's sections, or in what addr2line has made of them.
#[derive(Debug, Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.as_ptr() as usize).hash(state);
    }
}

/// A function that is running at an address, as DWARF has it; empty and 0 when not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Frame<'a> {
    name: Text<'a>,
    file: Text<'a>,
    line: u32,
    column: u32,
}

/// The function at an address and what was inlined into it there, innermost first.
fn frames<'c>(context: &'c Context<Slice<'_>>, address: u64, columns: bool, out: &mut Vec<Frame<'c>>) {
    // Split DWARF files are not followed: their skeleton's lines and the symbol table serve instead.
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return };
    while let Ok(Some(frame)) = frames.next() {
        let location = frame.location.as_ref();
        let column = location.and_then(|location| location.column).filter(|_| columns);
        out.push(Frame {
            name: Text(frame.function.map_or(&[], |function| function.name.slice())),
            file: Text(location.and_then(|location| location.file).unwrap_or_default().as_bytes()),
            line: location.and_then(|location| location.line).unwrap_or(0),
            column: column.unwrap_or(0),
        });
    }
}

/// Texts that were made already.
#[derive(Default)]
struct Names<'a> {
    /// Names of functions: demangled, and as they are.
    functions: HashMap<Text<'a>, (String, String), BuildMix>,
    files: HashMap<Text<'a>, String, BuildMix>,
}

impl<'a> Names<'a> {
    /// The texts of frames.
    fn places(&mut self, frames: &[Frame<'a>]) -> Vec<PlaceText> {
        let mut places: Vec<PlaceText> = frames.iter().map(|frame| self.place(frame)).collect();
        places.retain(|place| *place != PlaceText::default());
        places
    }

    fn place(&mut self, frame: &Frame<'a>) -> PlaceText {
        let (function, raw_name) = self.functions.entry(frame.name).or_insert_with_key(|name| {
            let raw = String::from_utf8_lossy(name.0);
            (demangle(&raw), raw.into_owned())
        });
        let file = self.files.entry(frame.file);
        let file = file.or_insert_with_key(|file| normal(&String::from_utf8_lossy(file.0)).into_owned());
        PlaceText {
            function: function.clone(),
            raw_name: raw_name.clone(),
            file: file.clone(),
            line: frame.line,
            column: frame.column,
        }
    }
}

/// Names a function without a symbol by where it begins.
fn name_function(places: &mut Vec<PlaceText>, start: u64) {
    match places.last_mut() {
        Some(place) if place.function.is_empty() => place.function = labels::name(start),
        _ => places.push(PlaceText { function: labels::name(start), ..PlaceText::default() }),
    }
}

/// Chooses between DWARF's name of a function and the symbol table's. For C the table knows the public name: malloc,
/// where DWARF says __GI___libc_malloc.
fn name_by_symbol(places: &mut Vec<PlaceText>, symbol: &str) {
    if places.is_empty() {
        places.push(PlaceText::default());
    }
    let Some(place) = places.last_mut() else { return };
    let mangled = place.raw_name.starts_with("_Z") || place.raw_name.starts_with("_R");
    if place.raw_name.is_empty() || (!mangled && place.function != symbol) {
        // The compiler's copies of a function ("work.part.0") go by its own name.
        let copy = symbol.strip_prefix(place.function.as_str()).is_some_and(|rest| rest.starts_with('.'));
        if !copy || place.function.is_empty() {
            place.function = demangle(symbol);
        }
        symbol.clone_into(&mut place.raw_name);
    }
}

#[cfg(test)]
mod tests;

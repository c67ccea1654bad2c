//! What addresses of one file are called: by DWARF first, by the symbol table where DWARF has no name.
//!
//! Many addresses have few names, so each name is made once. Each address is sought in addr2line by itself: of 100 ms for the
//! 40,000 of sqlite3 that is 15, no more than one more pass over all entries would take, which finds where inlined code
//! begins. Always holds: the answer for an address does not depend on which others are asked for. Not here: opening
//! files (`elf`).

use super::PlaceText;
use super::demangle::demangle;
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
}

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Columns too.
    Columns,
    /// No columns: what is a statement's is one place.
    Lines,
}

/// Looks up addresses, which are sorted, and whose symbols are in the table.
pub(super) fn look_up(
    context: Option<&Context<Slice<'_>>>,
    table: &Table<'_>,
    addresses: &[u64],
    detail: Detail,
) -> Named {
    let mut named = Named { places: Vec::new(), of: Vec::with_capacity(addresses.len()) };
    let mut known: HashMap<Key<'_>, u32, BuildMix> = HashMap::default();
    let mut names = Names::default();
    // Of the address before, with the number of its places; neighbours often have the same.
    let mut last = (Key::default(), 0);
    let mut key = Key::default();
    for (nth, &address) in addresses.iter().enumerate() {
        let symbol = table.at(nth);
        key.symbol = symbol.map(|(number, _)| number);
        key.frames.clear();
        if let Some(context) = context
            && !symbol.is_some_and(|(_, symbol)| symbol.stands_for_another(address))
        {
            frames(context, address, detail, &mut key.frames);
        }
        if key != last.0 {
            let number = known.get(&key).copied().unwrap_or_else(|| {
                let number = named.add(names.places(&key.frames, symbol.map(|(_, symbol)| symbol)));
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

/// What names an address: the number of its symbol, and its frames, innermost first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
struct Key<'a> {
    symbol: Option<u32>,
    frames: Vec<Frame<'a>>,
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
fn frames<'c>(context: &'c Context<Slice<'_>>, address: u64, detail: Detail, out: &mut Vec<Frame<'c>>) {
    // Split DWARF files are not followed: their skeleton's lines and the symbol table serve instead.
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return };
    while let Ok(Some(frame)) = frames.next() {
        let location = frame.location.as_ref();
        let column = location.and_then(|location| location.column).filter(|_| detail == Detail::Columns);
        out.push(Frame {
            name: Text(frame.function.map_or(&[], |function| function.name.slice())),
            file: Text(location.and_then(|location| location.file).unwrap_or_default().as_bytes()),
            line: location.and_then(|location| location.line).unwrap_or(0),
            column: column.unwrap_or(0),
        });
    }
}

/// Names that were made already.
#[derive(Default)]
struct Names<'a> {
    demangled: HashMap<Text<'a>, (String, String), BuildMix>,
}

impl<'a> Names<'a> {
    /// The texts of frames, of which the symbol may tell the outermost one better.
    fn places(&mut self, frames: &[Frame<'a>], symbol: Option<&Symbol<'_>>) -> Vec<PlaceText> {
        let mut places: Vec<PlaceText> = frames.iter().map(|frame| self.place(frame)).collect();
        places.retain(|place| *place != PlaceText::default());
        if let Some(symbol) = symbol {
            if places.is_empty() {
                places.push(PlaceText::default());
            }
            if let Some(function) = places.last_mut() {
                prefer_symbol(function, symbol.name());
            }
        }
        places
    }

    fn place(&mut self, frame: &Frame<'a>) -> PlaceText {
        let (function, raw_name) = self.demangled.entry(frame.name).or_insert_with_key(|name| {
            let raw = String::from_utf8_lossy(name.0);
            (demangle(&raw), raw.into_owned())
        });
        PlaceText {
            function: function.clone(),
            raw_name: raw_name.clone(),
            file: String::from_utf8_lossy(frame.file.0).into_owned(),
            line: frame.line,
            column: frame.column,
        }
    }
}

/// Chooses between DWARF's name of a function and the symbol table's. For C the table knows the public name: malloc,
/// where DWARF says __GI___libc_malloc.
fn prefer_symbol(place: &mut PlaceText, symbol: &str) {
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

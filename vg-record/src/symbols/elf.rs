//! Looking up addresses in one ELF file: code by DWARF first, by the symbol table where DWARF has no name; variables.
//!
//! Files are mapped and parsed lazily, unit by unit, so a few frames of a large file cost little. Always holds:
//! malformed files give fewer names and no panic.
#![allow(unsafe_code, reason = "maps files that others may change")]

use super::debug_file::{self, Check};
use super::demangle::demangle;
use super::variables::{self, Sought, VariableText};
use super::{Answer, PlaceText, Quality, Wanted, sections};
use crate::modules::Binary;
use addr2line::Context;
use gimli::{EndianSlice, LittleEndian};
use memmap2::Mmap;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, SymbolFlags, SymbolKind};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Looks up frames of one file.
pub(super) fn look_up(binary: &Binary, wanted: &[Wanted]) -> Answer {
    if binary.is_synthetic() {
        return Answer { frames: Vec::new(), quality: Quality::NoFile };
    }
    let answer = binary.open().and_then(|file| in_file(&binary.path, &file, wanted, None));
    answer.unwrap_or(Answer { frames: Vec::new(), quality: Quality::Unreadable })
}

/// Looks up variables of one file, each in its place.
pub(super) fn look_up_variables(binary: &Binary, sought: &[Sought]) -> Vec<Option<VariableText>> {
    let file = if binary.is_synthetic() { None } else { binary.open() };
    let found = file.and_then(|file| variables_in_file(&binary.path, &file, sought, None));
    found.unwrap_or_else(|| vec![None; sought.len()])
}

/// Looks up variables in `file`, whose path is `path`. `debug_root` replaces the system's directory in tests.
pub(super) fn variables_in_file(
    path: &Path,
    file: &File,
    sought: &[Sought],
    debug_root: Option<&Path>,
) -> Option<Vec<Option<VariableText>>> {
    with_files(path, file, debug_root, |files| {
        let mut found = vec![None; sought.len()];
        // Data may be of any unit, and tables of units name their code.
        let mut code: Option<Vec<u64>> = sought.iter().map(Sought::code).collect();
        code.iter_mut().for_each(|code| code.sort_unstable());
        let sections = sections::load(files.debug(), code.as_deref(), true);
        let shared = files.shared.map(|elf| sections::load(elf, None, false));
        let dwarf =
            sections.borrow_with_sup(shared.as_ref(), |section| EndianSlice::new(section, LittleEndian));
        variables::find(&dwarf, sought, &mut found);
        for (sought, found) in sought.iter().zip(&mut found) {
            if let (Sought::Global { address }, None) = (sought, &found) {
                *found = data_symbol(files, *address);
            }
        }
        found
    })
}

/// What the symbol table says about data.
fn data_symbol(files: &Files<'_, '_>, address: u64) -> Option<VariableText> {
    for elf in files.tables() {
        for symbol in elf.symbols().chain(elf.dynamic_symbols()) {
            let holds = address.checked_sub(symbol.address()).filter(|offset| *offset < symbol.size());
            let is_data = symbol.kind() == SymbolKind::Data && symbol.is_definition();
            if let (Some(offset), true, Ok(name)) = (holds, is_data, symbol.name()) {
                let name = demangle(name.split('@').next().unwrap_or_default());
                return Some(VariableText { name, size: symbol.size(), offset, ..VariableText::default() });
            }
        }
    }
    None
}

fn map(file: &File) -> Option<Mmap> {
    // SAFETY: the mapping is private and read-only. A file that is cut short while it is read would end this
    // process with SIGBUS: it is the code of a program that ran, and build tools replace programs rather than cut them.
    unsafe { Mmap::map(file) }.ok()
}

/// A program's file, and those that hold debug information for it.
struct Files<'e, 'data> {
    main: &'e ElfFile64<'data>,
    separate: Option<&'e ElfFile64<'data>>,
    /// What several files of debug information have in common.
    shared: Option<&'e ElfFile64<'data>>,
}

impl<'e, 'data> Files<'e, 'data> {
    fn debug(&self) -> &'e ElfFile64<'data> {
        self.separate.unwrap_or(self.main)
    }

    /// Those that have symbol tables.
    fn tables(&self) -> Vec<&'e ElfFile64<'data>> {
        std::iter::once(self.main).chain(self.separate).collect()
    }
}

/// Opens `file`, whose path is `path`, and what belongs to it.
fn with_files<T>(
    path: &Path,
    file: &File,
    debug_root: Option<&Path>,
    look: impl FnOnce(&Files<'_, '_>) -> T,
) -> Option<T> {
    let main_bytes = map(file)?;
    let main = ElfFile64::<object::Endianness>::parse(&main_bytes[..]).ok()?;
    let separate_file =
        if has_lines(&main) { None } else { separate(debug_file::candidates(path, &main, debug_root)) };
    let separate_elf = separate_file.as_ref().and_then(|(_, bytes)| ElfFile64::parse(&bytes[..]).ok());
    let debug_path = separate_file.as_ref().map_or(path, |(path, _)| path);
    let debug = separate_elf.as_ref().unwrap_or(&main);
    let shared = separate(debug_file::supplementary(debug_path, debug).into_iter().collect());
    let shared_elf = shared.as_ref().and_then(|(_, bytes)| ElfFile64::parse(&bytes[..]).ok());
    Some(look(&Files { main: &main, separate: separate_elf.as_ref(), shared: shared_elf.as_ref() }))
}

/// Looks up frames in `file`, whose path is `path`. `debug_root` replaces the system's directory in tests.
pub(super) fn in_file(
    path: &Path,
    file: &File,
    wanted: &[Wanted],
    debug_root: Option<&Path>,
) -> Option<Answer> {
    with_files(path, file, debug_root, |files| frames(files, wanted))
}

fn frames(files: &Files<'_, '_>, wanted: &[Wanted]) -> Answer {
    let debug = files.debug();
    let mut addresses: Vec<u64> = wanted.iter().map(Wanted::probe).collect();
    addresses.sort_unstable();
    let sections = sections::load(debug, Some(&addresses), false);
    let shared_sections = files.shared.map(|elf| sections::load(elf, None, false));
    let dwarf =
        sections.borrow_with_sup(shared_sections.as_ref(), |section| EndianSlice::new(section, LittleEndian));
    let context = Context::from_dwarf(dwarf).ok();

    let symbols = Symbols::find(&files.tables(), wanted);
    let mut frames = Vec::new();
    for wanted in wanted {
        let mut places = context.as_ref().map(|context| places(context, wanted.probe())).unwrap_or_default();
        if symbols.stands_for_another(wanted.probe()) {
            places.clear();
        }
        if let Some(symbol) = symbols.name(wanted.probe()) {
            if places.is_empty() {
                places.push(PlaceText::default());
            }
            if let Some(function) = places.last_mut() {
                prefer_symbol(function, symbol);
            }
        }
        if !places.is_empty() {
            frames.push((wanted.frame, places));
        }
    }
    let quality =
        if has_lines(debug) { Quality::Lines } else { Quality::NoLines { rust: is_rust(files.main) } };
    Answer { frames, quality }
}

/// The first candidate that exists and belongs to the binary.
fn separate(candidates: Vec<(PathBuf, Check)>) -> Option<(PathBuf, Mmap)> {
    candidates.into_iter().find_map(|(path, check)| {
        let bytes = map(&debug_file::open(&path)?)?;
        let elf = ElfFile64::parse(&bytes[..]).ok()?;
        check.holds(&bytes, &elf).then_some(())?;
        Some((path, bytes))
    })
}

fn has_lines(elf: &ElfFile64<'_>) -> bool {
    let filled = |name| elf.section_by_name(name).is_some_and(|section| section.size() != 0);
    filled(".debug_info") && filled(".debug_line")
}

/// rustc leaves its version in the comment section, also in stripped files.
fn is_rust(elf: &ElfFile64<'_>) -> bool {
    let comment = elf.section_by_name(".comment").and_then(|section| section.data().ok());
    comment.is_some_and(|data| data.windows(5).any(|window| window == b"rustc"))
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The function at `probe` and what was inlined into it there, innermost first.
fn places(context: &Context<Slice<'_>>, probe: u64) -> Vec<PlaceText> {
    let mut list = Vec::new();
    // Split DWARF files are not followed: their skeleton's lines and the symbol table serve instead.
    let Ok(mut frames) = context.find_frames(probe).skip_all_loads() else { return list };
    while let Ok(Some(frame)) = frames.next() {
        let mut place = PlaceText::default();
        if let Some(function) = &frame.function
            && let Ok(raw) = function.raw_name()
        {
            name(&mut place, &raw);
        }
        if let Some(location) = &frame.location {
            place.file = location.file.unwrap_or_default().to_owned();
            place.line = location.line.unwrap_or(0);
            place.column = location.column.unwrap_or(0);
        }
        list.push(place);
    }
    list.retain(|place| *place != PlaceText::default());
    list
}

/// Chooses between DWARF's name of a function and the symbol table's. For C the table knows the public name: malloc,
/// where DWARF says __GI___libc_malloc.
fn prefer_symbol(place: &mut PlaceText, symbol: &str) {
    let mangled = place.raw_name.starts_with("_Z") || place.raw_name.starts_with("_R");
    if place.raw_name.is_empty() || (!mangled && place.function != symbol) {
        // The compiler's copies of a function ("work.part.0") go by its own name.
        let copy = symbol.strip_prefix(place.function.as_str()).is_some_and(|rest| rest.starts_with('.'));
        if copy && !place.function.is_empty() {
            place.raw_name = symbol.to_owned();
        } else {
            name(place, symbol);
        }
    }
}

fn name(place: &mut PlaceText, raw: &str) {
    place.function = demangle(raw);
    place.raw_name = raw.to_owned();
}

/// Names from symbol tables, for the wanted addresses only: sorting a table of a million symbols for ten frames
/// would cost more than everything else.
struct Symbols(BTreeMap<u64, Candidate>);

/// The best symbol so far for an address.
#[derive(Default)]
struct Candidate {
    rank: Option<Rank>,
    name: String,
    /// Address of a function that chooses the one of this name; 0 for others.
    chooser: u64,
}

/// Greater is better: a symbol with a size that covers the address, the nearest start, the fewest leading
/// underscores; then the name, so that the choice does not depend on the order of the table.
type Rank = (bool, u64, std::cmp::Reverse<usize>, std::cmp::Reverse<String>);

impl Symbols {
    fn find(tables: &[&ElfFile64<'_>], wanted: &[Wanted]) -> Symbols {
        let mut symbols =
            Symbols(wanted.iter().map(|wanted| (wanted.probe(), Candidate::default())).collect());
        for elf in tables {
            for symbol in elf.symbols().chain(elf.dynamic_symbols()) {
                symbols.consider(elf, &symbol);
            }
        }
        symbols
    }

    fn consider<'data>(&mut self, elf: &ElfFile64<'data>, symbol: &impl ObjectSymbol<'data>) {
        let chooses = matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. }
            if st_info.st_type() == object::elf::STT_GNU_IFUNC);
        // Labels of assembly have no type; ifuncs are no definitions for the reader.
        if !symbol.is_definition()
            && !chooses
            && symbol.kind() != SymbolKind::Label
            && symbol.kind() != SymbolKind::Unknown
        {
            return;
        }
        if matches!(
            symbol.kind(),
            SymbolKind::Data | SymbolKind::Tls | SymbolKind::File | SymbolKind::Section
        ) {
            return;
        }
        let (start, size) = (symbol.address(), symbol.size());
        let Some(index) = symbol.section_index().filter(|_| start != 0) else { return };
        let end = if size != 0 {
            start.saturating_add(size)
        } else {
            // Without a size it reaches to the end of its section, unless a nearer symbol is found.
            let section = elf.section_by_index(index).ok();
            section.map_or(start, |section| section.address().saturating_add(section.size()))
        };
        // A section that ends before its symbol: damaged, or made by a linker script.
        if start >= end || self.0.range(start..end).next().is_none() {
            return;
        }
        let Ok(name) = symbol.name() else { return };
        // Versions ("name@VERSION") are not part of the name.
        let name = name.split('@').next().unwrap_or_default();
        if name.is_empty() {
            return;
        }
        let underscores = name.bytes().take_while(|&byte| byte == b'_').count();
        // Mangled names begin with one underscore of their own.
        let underscores = underscores - usize::from(name.starts_with("_Z") || name.starts_with("_R"));
        let rank = (size != 0, start, std::cmp::Reverse(underscores), std::cmp::Reverse(name.to_owned()));
        for candidate in self.0.range_mut(start..end).map(|(_, candidate)| candidate) {
            if candidate.rank.as_ref().is_none_or(|best| *best < rank) {
                candidate.rank = Some(rank.clone());
                candidate.name = name.to_owned();
                candidate.chooser = if chooses { start } else { 0 };
            }
        }
    }

    /// Whether the function that begins there only chooses one of several with its name: an engine that stands in for
    /// those names their frames by it, for what was chosen often has no symbol.
    fn stands_for_another(&self, probe: u64) -> bool {
        probe != 0 && self.0.get(&probe).is_some_and(|candidate| candidate.chooser == probe)
    }

    fn name(&self, probe: u64) -> Option<&str> {
        self.0.get(&probe).map(|candidate| candidate.name.as_str()).filter(|name| !name.is_empty())
    }
}

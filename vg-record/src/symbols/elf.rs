//! One ELF file: opening it and what belongs to it, and looking up code and variables in it.
//!
//! Files are mapped and parsed lazily, unit by unit, so a few frames of a large file cost little. Always holds:
//! malformed files give fewer names and no panic.
#![allow(unsafe_code, reason = "maps files that others may change")]

use super::debug_file::{self, Check};
use super::demangle::demangle;
use super::labels::Labels;
use super::names::{self, Named, Slice};
use super::plt::Stubs;
use super::table::Table;
use super::variables::{self, Sought, VariableText};
use super::{Answer, Quality, Wanted, sections};
use crate::modules::Binary;
use addr2line::Context;
use gimli::{EndianSlice, LittleEndian};
use memmap2::Mmap;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
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

/// Looks up executed code of one file, whose addresses are sorted; nothing when the file cannot be read.
pub(super) fn look_up_code(binary: &Binary, addresses: &[u64]) -> Named {
    let file = if binary.is_synthetic() { None } else { binary.open() };
    let found = file.and_then(|file| code_in_file(&binary.path, &file, addresses));
    found.unwrap_or_else(|| Named { of: vec![0; addresses.len()], ..Named::default() })
}

/// Looks up code in `file`, whose path is `path`.
pub(super) fn code_in_file(path: &Path, file: &File, addresses: &[u64]) -> Option<Named> {
    with_files(path, file, None, |files| {
        let mut labels = Labels::read(files.main, addresses);
        name(files, addresses, Some(&mut labels))
    })
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
pub(super) struct Files<'e, 'data> {
    pub(super) main: &'e ElfFile64<'data>,
    separate: Option<&'e ElfFile64<'data>>,
    /// What several files of debug information have in common.
    shared: Option<&'e ElfFile64<'data>>,
}

impl<'e, 'data> Files<'e, 'data> {
    fn debug(&self) -> &'e ElfFile64<'data> {
        self.separate.unwrap_or(self.main)
    }

    /// Those that have symbol tables.
    pub(super) fn tables(&self) -> Vec<&'e ElfFile64<'data>> {
        std::iter::once(self.main).chain(self.separate).collect()
    }
}

/// Opens `file`, whose path is `path`, and what belongs to it.
pub(super) fn with_files<T>(
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
    let mut addresses: Vec<u64> = wanted.iter().map(Wanted::probe).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let named = name(files, &addresses, None);
    let places = |wanted: &Wanted| {
        let nth = addresses.binary_search(&wanted.probe()).ok()?;
        let number = (*named.of.get(nth)? as usize).checked_sub(1)?;
        Some((wanted.frame, named.places.get(number)?.clone()))
    };
    Answer { frames: wanted.iter().filter_map(places).collect(), quality: quality(files) }
}

fn quality(files: &Files<'_, '_>) -> Quality {
    if has_lines(files.debug()) { Quality::Lines } else { Quality::NoLines { rust: is_rust(files.main) } }
}

/// Names addresses, which are sorted, as [`names::look_up`] does.
fn name(files: &Files<'_, '_>, addresses: &[u64], code: Option<&mut Labels<'_>>) -> Named {
    let table = Table::read(&files.tables(), addresses);
    with_lines(files, addresses, |context| names::look_up(context, &table, addresses, code))
}

/// Debug information about addresses, which are sorted.
pub(super) fn with_lines<T>(
    files: &Files<'_, '_>,
    addresses: &[u64],
    look: impl FnOnce(Option<&Context<Slice<'_>>>) -> T,
) -> T {
    // No unit tells anything about stubs: for one, all units would be looked through.
    let stubs = Stubs::read(files.main);
    let others: Vec<u64> = addresses.iter().copied().filter(|&address| !stubs.hold(address)).collect();
    let sections = sections::load(files.debug(), Some(&others), false);
    let shared_sections = files.shared.map(|elf| sections::load(elf, None, false));
    let dwarf =
        sections.borrow_with_sup(shared_sections.as_ref(), |section| EndianSlice::new(section, LittleEndian));
    look(Context::from_dwarf(dwarf).ok().as_ref())
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

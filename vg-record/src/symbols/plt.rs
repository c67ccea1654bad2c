//! Stubs of the procedure linkage table: through them a module calls functions of others.
//!
//! The linker makes them, so there is neither debug information nor a symbol for them. Each jumps to what a slot of the global
//! offset table holds, and the slot's relocation says which function that is: `objdump` names them in the same way. Always
//! holds: a damaged table gives fewer names.

use super::demangle::demangle;
use object::elf::{R_X86_64_GLOB_DAT, R_X86_64_IRELATIVE, R_X86_64_JUMP_SLOT, STT_GNU_IFUNC};
use object::read::elf::{ElfFile64, Rela as _, SectionHeader as _};
use object::{Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, SymbolFlags, SymbolIndex};
use std::collections::HashMap;
use std::ops::Range;

/// Names of the sections that hold stubs.
const SECTIONS: [&str; 3] = [".plt", ".plt.sec", ".plt.got"];

/// Where the stubs of a file lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stubs(Vec<Range<u64>>);

impl Stubs {
    /// By the file's sections.
    pub(super) fn read(elf: &ElfFile64<'_>) -> Stubs {
        let sections = SECTIONS.iter().filter_map(|name| elf.section_by_name(name));
        let range = |section: object::read::elf::ElfSection64<'_, '_>| {
            section.address()..section.address().saturating_add(section.size())
        };
        Stubs(sections.map(range).collect())
    }

    /// Whether there is a stub, or what stubs have in common, at an address in the file.
    pub(crate) fn hold(&self, rva: u64) -> bool {
        self.0.iter().any(|section| section.contains(&rva))
    }
}

/// A stub that calls a known function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stub {
    /// Its addresses.
    pub range: Range<u64>,
    /// The function, demangled, and `@plt`.
    pub function: String,
    /// The function's symbol and `@plt`.
    pub raw_name: String,
}

/// The stubs of a file, by rising address.
pub(super) fn stubs(elf: &ElfFile64<'_>) -> Vec<Stub> {
    let relocations = Relocations::read(elf);
    let mut stubs = Vec::new();
    for section in SECTIONS.iter().filter_map(|name| elf.section_by_name(name)) {
        let Ok(code) = section.data() else { continue };
        let jumps = relocations.jumps(section.address(), code);
        let next = jumps.iter().skip(1).map(|(start, _)| *start);
        let ends = next.chain([section.address().saturating_add(code.len() as u64)]);
        stubs.extend(jumps.iter().zip(ends).filter_map(|((start, name), end)| {
            let raw = name.as_ref()?;
            let function = format!("{}@plt", demangle(raw));
            Some(Stub { range: *start..end, function, raw_name: format!("{raw}@plt") })
        }));
    }
    stubs.sort_by_key(|stub| stub.range.start);
    stubs
}

/// Functions that relocations name.
struct Relocations {
    by_slot: HashMap<u64, String>,
    /// Slots of `.rela.plt`, by the number that a stub pushes.
    lazy: Vec<u64>,
}

impl Relocations {
    fn read(elf: &ElfFile64<'_>) -> Relocations {
        let endian = elf.endian();
        let mut relocations = Relocations { by_slot: HashMap::new(), lazy: Vec::new() };
        let mut choosers = None;
        for section in elf.sections() {
            let Ok(Some((table, _))) = section.elf_section_header().rela(endian, elf.data()) else {
                continue;
            };
            let is_lazy = section.name() == Ok(".rela.plt");
            for rela in table {
                let slot = rela.r_offset(endian);
                if is_lazy {
                    relocations.lazy.push(slot);
                }
                let name = match rela.r_type(endian, false) {
                    R_X86_64_JUMP_SLOT | R_X86_64_GLOB_DAT => {
                        name_of(elf, SymbolIndex(rela.r_sym(endian, false) as usize))
                    }
                    R_X86_64_IRELATIVE => {
                        let chooser = rela.r_addend(endian) as u64;
                        let known = choosers.get_or_insert_with(|| names_of_choosers(elf));
                        let name = known.get(&chooser).cloned();
                        Some(name.unwrap_or_else(|| format!("*ABS*+{chooser:#x}")))
                    }
                    _ => None,
                };
                if let Some(name) = name {
                    relocations.by_slot.insert(slot, name);
                }
            }
        }
        relocations
    }

    /// Where the stubs in these bytes, which lie at `address`, begin, and what they call. How long a stub is, linkers do not
    /// always say, and nothing but a few forms of instructions is in there.
    fn jumps(&self, address: u64, code: &[u8]) -> Vec<(u64, Option<&String>)> {
        let mut jumps = Vec::new();
        let mut at = 0;
        // Where the prefixes of the instruction begin, and where the last jump ends.
        let (mut start, mut behind_jump) = (0, usize::MAX);
        while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
            let here = address.wrapping_add(start as u64);
            let length = match *rest {
                // endbr64; bnd. A prefix of the next instruction.
                [0xf3, 0x0f, 0x1e, 0xfa, ..] => {
                    at += 4;
                    continue;
                }
                [0xf2, ..] => {
                    at += 1;
                    continue;
                }
                // jmp *displacement(%rip)
                [0xff, 0x25, a, b, c, d, ..] => {
                    let displacement = i32::from_le_bytes([a, b, c, d]);
                    let slot = address.wrapping_add(at as u64 + 6).wrapping_add_signed(displacement.into());
                    jumps.push((here, self.by_slot.get(&slot)));
                    behind_jump = at + 6;
                    6
                }
                // push displacement(%rip)
                [0xff, 0x35, _, _, _, _, ..] => 6,
                // push $number. Behind a jump it belongs to that; otherwise the jump is in .plt.sec.
                [0x68, a, b, c, d, ..] => {
                    if at != behind_jump {
                        let number = u32::from_le_bytes([a, b, c, d]) as usize;
                        let name = self.lazy.get(number).and_then(|slot| self.by_slot.get(slot));
                        jumps.push((here, name));
                    }
                    5
                }
                // jmp
                [0xe9, _, _, _, _, ..] => 5,
                // Padding.
                _ => 1,
            };
            at += length;
            start = at;
        }
        jumps
    }
}

fn name_of(elf: &ElfFile64<'_>, index: SymbolIndex) -> Option<String> {
    let symbol = elf.dynamic_symbol_table()?.symbol_by_index(index).ok()?;
    symbol.name().ok().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Names of the functions that choose one of several, by address; of several names the one with the fewest underscores.
fn names_of_choosers(elf: &ElfFile64<'_>) -> HashMap<u64, String> {
    let mut names: HashMap<u64, String> = HashMap::new();
    let rank = |name: &str| (name.bytes().take_while(|&byte| byte == b'_').count(), name.to_owned());
    for symbol in elf.symbols().chain(elf.dynamic_symbols()) {
        let chooses =
            matches!(symbol.flags(), SymbolFlags::Elf { st_info, .. } if st_info.st_type() == STT_GNU_IFUNC);
        let Some(name) = symbol.name().ok().filter(|_| chooses) else { continue };
        let name = name.split('@').next().unwrap_or_default();
        let known = names.entry(symbol.address()).or_insert_with(|| name.to_owned());
        if rank(name) < rank(known) {
            name.clone_into(known);
        }
    }
    names
}

//! Stubs of the procedure linkage table: through them a module calls functions of others.
//!
//! The linker makes them, so there is no debug information for them. Always holds: a damaged table gives fewer stubs.

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
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
        Stubs(
            sections
                .map(|section| section.address()..section.address().saturating_add(section.size()))
                .collect(),
        )
    }

    /// Whether there is a stub, or what stubs have in common, at an address in the file.
    pub(crate) fn hold(&self, rva: u64) -> bool {
        self.0.iter().any(|section| section.contains(&rva))
    }
}

//! Names for executed code that has none: linkage stubs, and functions without a symbol, which are called by where
//! they begin.
//!
//! Stripped programs keep what unwinds their stacks, and that tells where each function begins and ends. Such a function is
//! called by its first address less the module's bias, in 16 digits, as callgrind does: `0x0000000000001139`. Code that
//! was moved out of a function (`.cold`) is one of its own. Always holds: damaged tables give fewer names. Not here:
//! frames of stacks, which stay without a name.

use super::plt::{self, Stub, Stubs};
use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice, LittleEndian, UnwindSection as _,
};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::ops::Range;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Where functions of a file and its stubs begin.
pub(super) struct Labels<'data> {
    sections: Stubs,
    stubs: Vec<Stub>,
    unwind: Option<Unwind<'data>>,
}

impl<'data> Labels<'data> {
    /// Of a program's file, not of that with its debug information. The addresses that are going to be asked for tell
    /// what is needed.
    pub(super) fn read(elf: &ElfFile64<'data>, addresses: &[u64]) -> Labels<'data> {
        let sections = Stubs::read(elf);
        let stubs = if addresses.iter().any(|&address| sections.hold(address)) {
            plt::stubs(elf)
        } else {
            Vec::new()
        };
        Labels { sections, stubs, unwind: Unwind::read(elf) }
    }

    /// Where stubs lie.
    pub(super) fn sections(&self) -> &Stubs {
        &self.sections
    }

    /// The stub at an address.
    pub(super) fn stub(&self, address: u64) -> Option<&Stub> {
        let at = self.stubs.partition_point(|stub| stub.range.end <= address);
        self.stubs.get(at).filter(|stub| stub.range.contains(&address))
    }

    /// The first address of the function at an address.
    pub(super) fn function(&mut self, address: u64) -> Option<u64> {
        self.unwind.as_mut()?.start(address)
    }
}

/// The name of a function without a symbol.
pub(super) fn name(start: u64) -> String {
    format!("{start:#018x}")
}

/// The unwind tables of a file.
struct Unwind<'data> {
    header: gimli::ParsedEhFrameHdr<Slice<'data>>,
    entries: EhFrame<Slice<'data>>,
    bases: BaseAddresses,
    /// The function that was found last.
    last: Range<u64>,
}

impl<'data> Unwind<'data> {
    fn read(elf: &ElfFile64<'data>) -> Option<Unwind<'data>> {
        let address = |name| elf.section_by_name(name).map_or(0, |section| section.address());
        let data = |name| Some(EndianSlice::new(elf.section_by_name(name)?.data().ok()?, LittleEndian));
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(address(".eh_frame_hdr"))
            .set_eh_frame(address(".eh_frame"))
            .set_text(address(".text"))
            .set_got(address(".got"));
        let mut entries = EhFrame::from(data(".eh_frame")?);
        entries.set_address_size(8);
        let header = EhFrameHdr::from(data(".eh_frame_hdr")?).parse(&bases, 8).ok()?;
        Some(Unwind { header, entries, bases, last: 0..0 })
    }

    fn start(&mut self, address: u64) -> Option<u64> {
        if !self.last.contains(&address) {
            // Not by gimli's own way from the table to the entry, which overflows in damaged tables.
            let pointer = self.header.table()?.lookup(address, &self.bases).ok()?.direct().ok()?;
            let section = self.header.eh_frame_ptr().direct().ok()?;
            let offset = EhFrameOffset(usize::try_from(pointer.checked_sub(section)?).ok()?);
            let entry = self.entries.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
            if !entry.contains(address) {
                return None;
            }
            self.last = entry.initial_address()..entry.end_address();
        }
        Some(self.last.start)
    }
}

#[cfg(test)]
mod tests;

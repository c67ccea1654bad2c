//! The DWARF sections of a file, as far as the wanted addresses need them.
//!
//! A recording asks for a few functions of files with thousands of compilation units, and whoever reads DWARF from
//! the start parses the head of every one; distributions compress it on top. `.debug_aranges` tells which units hold
//! which addresses: only those are kept of `.debug_info`, and nothing behind the last one is decompressed. Always
//! holds: when in doubt (no such table, references from one unit into another) all units are there. Not here: what
//! the units say (`elf`).

use flate2::{Decompress, FlushDecompress, Status};
use gimli::{DebugAranges, DebugInfo, DwarfSections, EndianSlice, LittleEndian, Reader, SectionId, UnitType};
use object::read::elf::ElfFile64;
use object::{CompressionFormat, Object, ObjectSection};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The sections of one file.
pub(super) type Sections<'data> = DwarfSections<Cow<'data, [u8]>>;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// What says where variables live, which is looked at for an error that is about one.
const LOCATIONS: [SectionId; 2] = [SectionId::DebugLoc, SectionId::DebugLocLists];

/// Often large, and never looked at.
const UNUSED: [SectionId; 4] =
    [SectionId::DebugMacro, SectionId::DebugMacinfo, SectionId::DebugNames, SectionId::DebugTypes];

/// Bytes that are decompressed in one go while it is not known how many are needed.
const STEP: usize = 64 << 10;

/// Loads the sections that are needed for `addresses`, which are sorted; for `None` all units. With `locations`, also
/// those of variables.
pub(super) fn load<'data>(
    elf: &ElfFile64<'data>,
    addresses: Option<&[u64]>,
    locations: bool,
) -> Sections<'data> {
    let abbreviations = data(elf, SectionId::DebugAbbrev);
    let mut units = addresses.and_then(|addresses| excerpt(elf, addresses, &abbreviations));
    let is_excerpt = units.is_some();
    let mut abbreviations = Some(abbreviations);
    let loaded = DwarfSections::load(|id| {
        Ok::<_, std::convert::Infallible>(match id {
            SectionId::DebugInfo => units.take().map_or_else(|| data(elf, id), Cow::Owned),
            SectionId::DebugAbbrev => abbreviations.take().unwrap_or_default(),
            // It names units by where they were.
            SectionId::DebugAranges if is_excerpt => Cow::default(),
            _ if UNUSED.contains(&id) || !locations && LOCATIONS.contains(&id) => Cow::default(),
            _ => data(elf, id),
        })
    });
    match loaded {
        Ok(sections) => sections,
        Err(never) => match never {},
    }
}

fn data<'data>(elf: &ElfFile64<'data>, id: SectionId) -> Cow<'data, [u8]> {
    let section = elf.section_by_name(id.name());
    section.and_then(|section| section.uncompressed_data().ok()).unwrap_or_default()
}

/// The units that hold `addresses`, one behind the other; `None` when there is no saying which, or when they refer to
/// other units.
fn excerpt(elf: &ElfFile64<'_>, addresses: &[u64], abbreviations: &[u8]) -> Option<Vec<u8>> {
    let table = data(elf, SectionId::DebugAranges);
    let ranges = Ranges::read(&table, addresses)?;
    let mut info = Info::open(elf)?;
    let mut kept = Vec::new();
    let mut keep = |unit: &[u8]| {
        let header = DebugInfo::new(unit, LittleEndian).units().next().ok()??;
        let at = abbreviations.get(header.debug_abbrev_offset().0..)?;
        if refers_to_other_units(at)? {
            return None;
        }
        kept.extend_from_slice(unit);
        Some(())
    };
    if ranges.complete {
        for &at in &ranges.units {
            keep(info.unit(at)?)?;
        }
        return Some(kept);
    }
    // Some addresses may lie in units that the table leaves out.
    let bytes = info.whole()?;
    let mut headers = DebugInfo::new(bytes, LittleEndian).units();
    while let Some(header) = headers.next().ok()? {
        let at = header.debug_info_offset()?.0;
        let has_code =
            !matches!(header.type_(), UnitType::Partial | UnitType::Type { .. } | UnitType::SplitType { .. });
        if ranges.units.contains(&at) || has_code && !ranges.listed.contains(&at) {
            keep(bytes.get(at..at + header.length_including_self())?)?;
        }
    }
    Some(kept)
}

/// What `.debug_aranges` says.
struct Ranges {
    /// Offsets of the units that hold a wanted address.
    units: BTreeSet<usize>,
    /// Offsets of all units in the table.
    listed: BTreeSet<usize>,
    /// Each wanted address lies in one of the units.
    complete: bool,
}

impl Ranges {
    /// `None` when the table is empty or damaged.
    fn read(table: &[u8], addresses: &[u64]) -> Option<Ranges> {
        let mut ranges = Ranges { units: BTreeSet::new(), listed: BTreeSet::new(), complete: false };
        let mut found = vec![false; addresses.len()];
        let mut headers = DebugAranges::new(table, LittleEndian).headers();
        while let Some(header) = headers.next().ok()? {
            let unit = header.debug_info_offset().0;
            ranges.listed.insert(unit);
            let mut entries = header.entries();
            while let Some(entry) = entries.next().ok()? {
                let range = entry.range();
                let first = addresses.partition_point(|&address| address < range.begin);
                let end = addresses.partition_point(|&address| address < range.end);
                if first < end {
                    found[first..end].fill(true);
                    ranges.units.insert(unit);
                }
            }
        }
        ranges.complete = found.iter().all(|&found| found);
        (!ranges.listed.is_empty()).then_some(ranges)
    }
}

/// Whether an abbreviation table has an attribute that points into another unit. `None` when it is damaged.
fn refers_to_other_units(table: &[u8]) -> Option<bool> {
    let mut input = Slice::new(table, LittleEndian);
    let mut number = || input.read_uleb128().ok();
    while number()? != 0 {
        let _tag = number()?;
        // One byte, 0 or 1: the same as a number.
        let _children = number()?;
        loop {
            let (name, form) = (number()?, number()?);
            if (name, form) == (0, 0) {
                break;
            }
            if form == u64::from(gimli::DW_FORM_ref_addr.0) {
                return Some(true);
            }
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                // Signed, but as long as an unsigned one.
                number()?;
            }
        }
    }
    Some(false)
}

/// `.debug_info`, decompressed as far as somebody has looked.
enum Info<'data> {
    Plain(Cow<'data, [u8]>),
    Zlib(Zlib<'data>),
}

impl<'data> Info<'data> {
    fn open(elf: &ElfFile64<'data>) -> Option<Info<'data>> {
        let section = elf.section_by_name(SectionId::DebugInfo.name())?;
        let compressed = section.compressed_data().ok()?;
        if compressed.format != CompressionFormat::Zlib {
            return Some(Info::Plain(compressed.decompress().ok()?));
        }
        let size = usize::try_from(compressed.uncompressed_size).ok()?;
        let mut bytes = Vec::new();
        // Taken page by page as it is filled.
        bytes.try_reserve_exact(size).ok()?;
        Some(Info::Zlib(Zlib { decompress: Decompress::new(true), input: compressed.data, size, bytes }))
    }

    /// The bytes up to `end` at least.
    fn upto(&mut self, end: usize) -> Option<&[u8]> {
        let bytes = match self {
            Info::Plain(bytes) => &bytes[..],
            Info::Zlib(zlib) => zlib.upto(end)?,
        };
        (bytes.len() >= end).then_some(bytes)
    }

    fn whole(&mut self) -> Option<&[u8]> {
        let size = match self {
            Info::Plain(bytes) => bytes.len(),
            Info::Zlib(zlib) => zlib.size,
        };
        self.upto(size)
    }

    /// The unit at this offset, with its header.
    fn unit(&mut self, at: usize) -> Option<&[u8]> {
        let head = self.upto(at.checked_add(4)?)?.get(at..)?;
        let end = match u32::from_le_bytes(*head.first_chunk()?) {
            0xffff_ffff => {
                let head = self.upto(at.checked_add(12)?)?.get(at + 4..)?;
                let length = u64::from_le_bytes(*head.first_chunk()?);
                at.checked_add(12)?.checked_add(usize::try_from(length).ok()?)?
            }
            length => at.checked_add(4)?.checked_add(length as usize)?,
        };
        self.upto(end)?.get(at..end)
    }
}

/// A compressed section, from its start up to some point.
struct Zlib<'data> {
    decompress: Decompress,
    input: &'data [u8],
    size: usize,
    bytes: Vec<u8>,
}

impl Zlib<'_> {
    fn upto(&mut self, end: usize) -> Option<&[u8]> {
        let end = end.min(self.size).next_multiple_of(STEP).min(self.size);
        let mut filled = self.bytes.len();
        if filled < end {
            self.bytes.resize(end, 0);
        }
        while filled < end {
            let (read, written) = (self.decompress.total_in(), self.decompress.total_out());
            let status = self.decompress.decompress(
                self.input.get(usize::try_from(read).ok()?..)?,
                &mut self.bytes[filled..],
                FlushDecompress::None,
            );
            let new = self.decompress.total_out() - written;
            filled += new as usize;
            let stuck = new == 0 && self.decompress.total_in() == read;
            if filled < end && (stuck || !matches!(status, Ok(Status::Ok))) {
                // Cut short or damaged.
                self.bytes.truncate(filled);
                return None;
            }
        }
        Some(&self.bytes)
    }
}

//! Types of variables, by DWARF: how large they are, and what of them lies at an offset.
//!
//! Owns the units of a file and references between their entries. Always holds: chains of references end, since no more
//! than a few are followed; what is not understood has no size. Not here: where variables are (`variables`).

use super::path::normal;
use gimli::{
    AttributeValue, DebugInfoOffset, DebuggingInformationEntry, DwAt, Dwarf, EndianSlice, LittleEndian,
    Range, Unit, UnitOffset, UnitSectionOffset, constants as dw,
};

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// References that are followed from one entry: typedefs of typedefs, members of members.
const MOST_REFERENCES: usize = 32;

/// An entry and the unit that it is in.
#[derive(Clone)]
pub(super) struct Die<'a> {
    pub(super) unit: usize,
    pub(super) entry: DebuggingInformationEntry<Slice<'a>>,
}

/// The units of a file, in rising order of their offsets.
pub(super) struct Units<'d, 'a> {
    dwarf: &'d Dwarf<Slice<'a>>,
    list: Vec<(UnitSectionOffset, Unit<Slice<'a>>)>,
}

impl<'d, 'a> Units<'d, 'a> {
    pub(super) fn new(dwarf: &'d Dwarf<Slice<'a>>) -> Self {
        let mut list = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let offset = header.offset();
            list.extend(dwarf.unit(header).ok().map(|unit| (offset, unit)));
        }
        Units { dwarf, list }
    }

    pub(super) fn dwarf(&self) -> &'d Dwarf<Slice<'a>> {
        self.dwarf
    }

    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn unit(&self, at: usize) -> Option<&Unit<Slice<'a>>> {
        self.list.get(at).map(|(_, unit)| unit)
    }

    /// The entry of the unit itself.
    pub(super) fn root(&self, at: usize) -> gimli::Result<DebuggingInformationEntry<Slice<'a>>> {
        let unit = self.unit(at).ok_or(gimli::Error::MissingUnitDie)?;
        unit.entry(unit.header.root_offset())
    }

    pub(super) fn die(&self, unit: usize, offset: UnitOffset) -> Option<Die<'a>> {
        Some(Die { unit, entry: self.unit(unit)?.entry(offset).ok()? })
    }

    fn follow(&self, unit: usize, reference: AttributeValue<Slice<'a>>) -> Option<Die<'a>> {
        match reference {
            AttributeValue::UnitRef(offset) => self.die(unit, offset),
            AttributeValue::DebugInfoRef(DebugInfoOffset(offset)) => {
                let at = UnitSectionOffset(offset);
                let unit = self.list.partition_point(|(first, _)| *first <= at).checked_sub(1)?;
                self.die(unit, at.to_unit_offset(&self.unit(unit)?.header)?)
            }
            _ => None,
        }
    }

    /// An attribute of an entry, or of the one that it completes, with the unit that it is in.
    pub(super) fn attribute(&self, die: &Die<'a>, name: DwAt) -> Option<(usize, AttributeValue<Slice<'a>>)> {
        let mut die = die.clone();
        for _ in 0..MOST_REFERENCES {
            if let Some(value) = die.entry.attr_value(name) {
                return Some((die.unit, value));
            }
            let origin = die.entry.attr_value(dw::DW_AT_abstract_origin);
            die = self.follow(die.unit, origin.or(die.entry.attr_value(dw::DW_AT_specification))?)?;
        }
        None
    }

    pub(super) fn text(&self, unit: usize, value: AttributeValue<Slice<'a>>) -> Option<String> {
        let text = self.dwarf.attr_string(self.unit(unit)?, value).ok()?;
        Some(text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
    }

    /// Path of a source file by its number.
    pub(super) fn file(&self, unit: usize, index: u64) -> Option<String> {
        let unit = self.unit(unit)?;
        let header = unit.line_program.as_ref()?.header();
        let file = header.file(index)?;
        let text = |value| Some(self.dwarf.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
        let mut path = std::path::PathBuf::new();
        path.extend(unit.comp_dir.map(|directory| directory.to_string_lossy().into_owned()));
        // Number 0 is the directory of the compilation.
        if file.directory_index() != 0 {
            path.extend(file.directory(header).and_then(text));
        }
        path.push(text(file.path_name())?);
        Some(normal(&path.to_string_lossy()).into_owned())
    }

    /// Addresses of an entry's code; `None` when it says nothing about them.
    pub(super) fn ranges(
        &self,
        unit: usize,
        entry: &DebuggingInformationEntry<Slice<'_>>,
    ) -> Option<Vec<Range>> {
        let unit = self.unit(unit)?;
        if let Some(value) = entry.attr_value(dw::DW_AT_ranges) {
            let offset = match value {
                AttributeValue::RangeListsRef(offset) => self.dwarf.ranges_offset_from_raw(unit, offset),
                AttributeValue::DebugRngListsIndex(index) => self.dwarf.ranges_offset(unit, index).ok()?,
                _ => return None,
            };
            let mut ranges = Vec::new();
            let mut list = self.dwarf.ranges(unit, offset).ok()?;
            while let Ok(Some(range)) = list.next() {
                ranges.push(range);
            }
            return Some(ranges);
        }
        let address = |value| match value {
            AttributeValue::Addr(address) => Some(address),
            AttributeValue::DebugAddrIndex(index) => self.dwarf.address(unit, index).ok(),
            _ => None,
        };
        let begin = address(entry.attr_value(dw::DW_AT_low_pc)?)?;
        let high = entry.attr_value(dw::DW_AT_high_pc)?;
        let end = match high.udata_value() {
            Some(size) => begin.saturating_add(size),
            None => address(high)?,
        };
        Some(vec![Range { begin, end }])
    }

    /// The type of a variable, a member, or of what a type is made from.
    pub(super) fn type_of(&self, die: &Die<'a>) -> Option<Die<'a>> {
        let (unit, value) = self.attribute(die, dw::DW_AT_type)?;
        self.follow(unit, value)
    }

    /// A type without other names and qualifiers.
    fn plain(&self, mut of: Die<'a>) -> Option<Die<'a>> {
        for _ in 0..MOST_REFERENCES {
            match of.entry.tag() {
                dw::DW_TAG_typedef
                | dw::DW_TAG_const_type
                | dw::DW_TAG_volatile_type
                | dw::DW_TAG_restrict_type
                | dw::DW_TAG_atomic_type => of = self.type_of(&of)?,
                _ => return Some(of),
            }
        }
        None
    }

    /// Bytes of a type.
    pub(super) fn size(&self, of: &Die<'a>) -> Option<u64> {
        self.size_within(of, MOST_REFERENCES)
    }

    fn size_within(&self, of: &Die<'a>, references: usize) -> Option<u64> {
        let of = self.plain(of.clone())?;
        if let Some(size) = of.entry.attr_value(dw::DW_AT_byte_size) {
            return size.udata_value();
        }
        let references = references.checked_sub(1)?;
        match of.entry.tag() {
            dw::DW_TAG_array_type => {
                let element = self.size_within(&self.type_of(&of)?, references)?;
                self.dimensions(&of)?.into_iter().try_fold(element, u64::checked_mul)
            }
            dw::DW_TAG_pointer_type
            | dw::DW_TAG_reference_type
            | dw::DW_TAG_rvalue_reference_type
            | dw::DW_TAG_ptr_to_member_type => Some(8),
            dw::DW_TAG_enumeration_type => self.size_within(&self.type_of(&of)?, references),
            _ => None,
        }
    }

    /// Entries directly within one.
    fn children(&self, of: &Die<'a>) -> Vec<Die<'a>> {
        let mut children = Vec::new();
        let Some(unit) = self.unit(of.unit) else { return children };
        let Ok(mut cursor) = unit.entries_at_offset(of.entry.offset()) else { return children };
        if !of.entry.has_children() || !matches!(cursor.next_dfs(), Ok(Some(_))) {
            return children;
        }
        let mut next = cursor.next_dfs().ok().flatten().cloned();
        while let Some(entry) = next {
            children.push(Die { unit: of.unit, entry });
            next = cursor.next_sibling().ok().flatten().cloned();
        }
        children
    }

    /// How many elements an array has, from the outermost dimension on.
    fn dimensions(&self, of: &Die<'a>) -> Option<Vec<u64>> {
        let ranges = self.children(of).into_iter().filter(|die| die.entry.tag() == dw::DW_TAG_subrange_type);
        let counts = ranges.map(|range| {
            let number = |name| range.entry.attr_value(name).and_then(|value| value.udata_value());
            match number(dw::DW_AT_count) {
                Some(count) => Some(count),
                None => {
                    let first = number(dw::DW_AT_lower_bound).unwrap_or(0);
                    number(dw::DW_AT_upper_bound)?.checked_sub(first)?.checked_add(1)
                }
            }
        });
        counts.collect::<Option<Vec<_>>>().filter(|counts| !counts.is_empty())
    }

    /// What of a type lies at an offset, and how far into it the offset is: `[3].x` and 1.
    pub(super) fn part(&self, of: Die<'a>, offset: u64) -> (String, u64) {
        let mut text = String::new();
        let (mut of, mut offset) = (of, offset);
        for _ in 0..MOST_REFERENCES {
            let Some(step) = self.step(of, offset) else { break };
            text += &step.text;
            (of, offset) = (step.of, step.offset);
        }
        (text, offset)
    }

    fn step(&self, of: Die<'a>, offset: u64) -> Option<Step<'a>> {
        let of = self.plain(of)?;
        match of.entry.tag() {
            dw::DW_TAG_array_type => {
                let element = self.type_of(&of)?;
                let size = self.size(&element).filter(|size| *size != 0)?;
                let mut index = offset / size;
                let mut text = String::new();
                for (at, count) in self.dimensions(&of)?.into_iter().enumerate().rev() {
                    // The outermost may have no end.
                    let (inner, outer) =
                        if at == 0 { (index, 0) } else { (index.checked_rem(count)?, index / count) };
                    text.insert_str(0, &format!("[{inner}]"));
                    index = outer;
                }
                Some(Step { text, of: element, offset: offset % size })
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type => {
                // A base without members lies where the first member does.
                let (bases, members): (Vec<_>, Vec<_>) =
                    self.children(&of).into_iter().partition(|die| die.entry.tag() == dw::DW_TAG_inheritance);
                members.into_iter().chain(bases).find_map(|member| self.member(member, offset))
            }
            // Of a union, nobody knows which member it holds.
            _ => None,
        }
    }

    /// A member or a base that holds an offset.
    fn member(&self, member: Die<'a>, offset: u64) -> Option<Step<'a>> {
        let is_base = member.entry.tag() == dw::DW_TAG_inheritance;
        let has = |name| member.entry.attr_value(name).is_some();
        if !is_base && member.entry.tag() != dw::DW_TAG_member {
            return None;
        }
        // Static members lie elsewhere; several fields of bits share a byte.
        if has(dw::DW_AT_external) || has(dw::DW_AT_declaration) || has(dw::DW_AT_bit_size) {
            return None;
        }
        let first = match member.entry.attr_value(dw::DW_AT_data_member_location) {
            Some(value) => value.udata_value()?,
            None => 0,
        };
        let of = self.type_of(&member)?;
        let offset = offset.checked_sub(first)?;
        if offset >= self.size(&of)? {
            return None;
        }
        let name = self.attribute(&member, dw::DW_AT_name).and_then(|(unit, name)| self.text(unit, name));
        // A base, or a structure without a name, whose members are named as if they were its owner's.
        let text = name.filter(|_| !is_base).map_or(String::new(), |name| format!(".{name}"));
        Some(Step { text, of, offset })
    }
}

/// One step into a type.
struct Step<'a> {
    text: String,
    of: Die<'a>,
    offset: u64,
}

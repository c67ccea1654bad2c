//! A case, and what the table's checks find on its registers and memory.
//!
//! What always holds: an address outside the arena is not mapped; one inside is, whether addressable or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use syscall_params::{Check, Memory, Need};

/// Where the program maps its arena, and how many bytes.
pub(crate) const ARENA: u64 = 0x3000_0000;
pub(crate) const ARENA_SIZE: u64 = 0x40000;
pub(crate) const PAGE: u64 = 0x1000;

/// All bits of a register, its upper half.
pub(crate) const WHOLE: u64 = u64::MAX;
pub(crate) const UPPER: u64 = 0xffff_ffff_0000_0000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) number: u64,
    pub(crate) arguments: [u64; 6],
    /// Undefined bits of the arguments.
    pub(crate) masks: [u64; 6],
    pub(crate) bytes: Vec<(u64, Vec<u8>)>,
    /// Ranges that are undefined, and not addressable; the latter count where both do.
    pub(crate) undefined: Vec<(u64, u64)>,
    pub(crate) closed: Vec<(u64, u64)>,
}

impl Case {
    pub(crate) fn new(number: u64, title: impl Into<String>, arguments: &[u64]) -> Case {
        let mut case = Case { number, title: title.into(), ..Case::default() };
        // Registers that the call does not have hold something that no call of Valgrind's own does.
        case.arguments = [0x5150, 0x5151, 0x5152, 0x5153, 0x5154, 0x5155];
        case.arguments[..arguments.len()].copy_from_slice(arguments);
        case
    }

    pub(crate) fn masked(mut self, mask: u64) -> Case {
        self.masks = [mask; 6];
        self
    }

    pub(crate) fn put(mut self, address: u64, bytes: &[u8]) -> Case {
        self.bytes.push((address, bytes.to_vec()));
        self
    }

    /// Words of 8 bytes.
    pub(crate) fn words(self, address: u64, words: &[u64]) -> Case {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(address, &bytes)
    }

    pub(crate) fn undefine(mut self, address: u64, size: u64) -> Case {
        self.undefined.push((address, size));
        self
    }

    pub(crate) fn close(mut self, address: u64, size: u64) -> Case {
        self.closed.push((address, size));
        self
    }

    /// The case as the program reads it.
    pub(crate) fn listed(&self, index: usize) -> String {
        let mut text = format!("case {index:x} {:x}", self.number);
        for word in self.arguments.iter().chain(&self.masks) {
            text += &format!(" {word:x}");
        }
        for (address, bytes) in &self.bytes {
            text += &format!("\nbytes {address:x} ");
            bytes.iter().for_each(|byte| text += &format!("{byte:02x}"));
        }
        for (address, size) in &self.undefined {
            text += &format!("\nundefined {address:x} {size:x}");
        }
        for (address, size) in &self.closed {
            text += &format!("\nclosed {address:x} {size:x}");
        }
        text + "\ngo\n"
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = syscall_params::name(self.number).unwrap_or("unknown");
        write!(f, "{} {name}: {}: {:x?}", self.number, self.title, self.arguments)
    }
}

struct Arena<'a> {
    case: &'a Case,
    bytes: BTreeMap<u64, u8>,
}

impl<'a> Arena<'a> {
    fn new(case: &'a Case) -> Arena<'a> {
        let bytes =
            case.bytes.iter().flat_map(|(address, bytes)| (*address..).zip(bytes.iter().copied())).collect();
        Arena { case, bytes }
    }

    fn mapped(address: u64) -> bool {
        (ARENA..ARENA + ARENA_SIZE).contains(&address)
    }

    fn addressable(&self, address: u64) -> bool {
        Arena::mapped(address) && !inside(&self.case.closed, address)
    }

    fn defined(&self, address: u64) -> bool {
        !inside(&self.case.undefined, address)
    }

    fn byte(&self, address: u64) -> u8 {
        self.bytes.get(&address).copied().unwrap_or(0)
    }
}

impl Memory for Arena<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        for (place, byte) in into.iter_mut().enumerate() {
            let at = address + place as u64;
            if !Arena::mapped(at) {
                return false;
            }
            *byte = self.byte(at);
        }
        true
    }
}

fn inside(ranges: &[(u64, u64)], address: u64) -> bool {
    ranges.iter().any(|(start, size)| (*start..start + size).contains(&address))
}

const UNDEFINED_REGISTER: &str = "contains uninitialised byte(s)";
const UNDEFINED: &str = "points to uninitialised byte(s)";
const CLOSED: &str = "points to unaddressable byte(s)";

/// The ranges that the table checks in a case, with what must hold of them; strings are left out.
pub(crate) fn ranges(case: &Case) -> Vec<(Need, u64, u64)> {
    let arena = Arena::new(case);
    let mut found = Vec::new();
    syscall_params::before(case.number, &case.arguments, &arena, true, &mut |check| {
        if let Check::Memory { need, address, size, .. } = check
            && need != Need::String
            && Arena::mapped(address)
            && Arena::mapped(address.wrapping_add(size))
        {
            found.push((need, address, size));
        }
    });
    found
}

/// What is wrong with the case, in Valgrind's words.
pub(crate) fn complaints(case: &Case) -> BTreeSet<String> {
    let arena = Arena::new(case);
    let mut found = BTreeSet::new();
    let before =
        syscall_params::before(case.number, &case.arguments, &arena, true, &mut |check| match check {
            Check::Register { parameter, index, size } => {
                let bits = u64::MAX >> (64 - 8 * size);
                if case.masks[index] & bits != 0 {
                    found.insert(format!("{parameter} {UNDEFINED_REGISTER}"));
                }
            }
            Check::Memory { parameter, need, address, size } => {
                for offset in 0..size {
                    let at = address.wrapping_add(offset);
                    let problem = if !arena.addressable(at) {
                        CLOSED
                    } else if need != Need::Write && !arena.defined(at) {
                        UNDEFINED
                    } else if need == Need::String && arena.byte(at) == 0 {
                        break;
                    } else {
                        continue;
                    };
                    found.insert(format!("{parameter} {problem}"));
                    break;
                }
            }
        });
    assert!(before.known, "{case} is not in the table");
    found
}

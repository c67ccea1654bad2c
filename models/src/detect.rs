//! The caches of this processor, by CPUID, as Valgrind finds them (`m_cache.c`, `cg_arch.c`).
//!
//! The last level is the highest unified one, whatever lies between. What always holds: the instruction is executed by
//! the caller, so everything here can be tested. Deviation: processors of Intel before 2011 that describe their caches
//! by leaf 2 only are asked by leaf 4, which has the same numbers; leaf 2 with trace caches (Pentium 4) is not read.

use crate::geometry::{Geometry, GeometryError};
use core::fmt;

/// The shapes of the three caches of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// First level, instructions.
    pub i1: Geometry,
    /// First level, data.
    pub d1: Geometry,
    /// Last level, unified.
    pub ll: Geometry,
}

/// Why the caches of this processor cannot be taken for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectError {
    /// The processor does not describe all three caches in a way that is known.
    Unknown,
    /// The named cache cannot be modelled.
    Unsupported(&'static str, GeometryError),
}

impl fmt::Display for DetectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DetectError::Unknown => f.write_str("the processor does not describe its caches"),
            DetectError::Unsupported(name, error) => {
                write!(f, "the processor's {name} cache cannot be modelled: {error}")
            }
        }
    }
}

impl core::error::Error for DetectError {}

/// A cache as the processor describes it: bytes, ways, bytes in a line.
type Described = (u32, u32, u32);

#[derive(Default)]
struct Found {
    i1: Option<Described>,
    d1: Option<Described>,
    /// Level and shape of the highest unified cache.
    ll: Option<(u32, Described)>,
}

impl Shapes {
    /// What Valgrind takes where the processor says nothing.
    pub const FALLBACK: Shapes = match (Geometry::new(65536, 2, 64), Geometry::new(262_144, 8, 64)) {
        (Ok(first), Ok(last)) => Shapes { i1: first, d1: first, ll: last },
        _ => panic!("constants"),
    };

    /// The caches of this processor; the last level is made fit by [`Geometry::fitted`].
    ///
    /// `cpuid` executes the instruction with a leaf (eax) and a subleaf (ecx) and gives eax, ebx, ecx, edx.
    ///
    /// # Errors
    ///
    /// If the processor does not say, or has a first-level cache that cannot be modelled: [`Shapes::FALLBACK`] is for
    /// that.
    pub fn of_processor(cpuid: impl Fn(u32, u32) -> [u32; 4]) -> Result<Shapes, DetectError> {
        let [leaves, first, third, second] = cpuid(0, 0);
        let vendor = [first, second, third].map(u32::to_le_bytes);
        let found = match vendor.as_flattened() {
            b"GenuineIntel" if leaves >= 4 => by_leaf_4(cpuid),
            b"AuthenticAMD" => by_extended_leaves(cpuid),
            _ => Found::default(),
        };
        let (Some(i1), Some(d1), Some((_, ll))) = (found.i1, found.d1, found.ll) else {
            return Err(DetectError::Unknown);
        };
        let named = |name, geometry: Result<Geometry, _>| {
            geometry.map_err(|error| DetectError::Unsupported(name, error))
        };
        Ok(Shapes {
            i1: named("I1", Geometry::new(i1.0, i1.1, i1.2))?,
            d1: named("D1", Geometry::new(d1.0, d1.1, d1.2))?,
            ll: named("LL", Geometry::fitted(ll.0, ll.1, ll.2))?,
        })
    }
}

/// Intel SDM, CPUID leaf 4: one cache for each subleaf.
fn by_leaf_4(cpuid: impl Fn(u32, u32) -> [u32; 4]) -> Found {
    let mut found = Found::default();
    // The loop ends also if a virtual machine's answer has no end.
    for subleaf in 0..16 {
        let [eax, ebx, ecx, _] = cpuid(4, subleaf);
        let (kind, level) = (eax & 0x1f, eax >> 5 & 7);
        if kind == 0 {
            break;
        }
        let (ways, parts, line) = ((ebx >> 22) + 1, (ebx >> 12 & 0x3ff) + 1, (ebx & 0xfff) + 1);
        let size = [ways, parts, line, ecx.saturating_add(1)].into_iter().fold(1, u32::saturating_mul);
        let shape = (size, ways, line);
        match (kind, level) {
            (1, 1) => found.d1 = Some(shape),
            (2, 1) => found.i1 = Some(shape),
            (3, _) if found.ll.is_none_or(|(below, _)| below < level) => found.ll = Some((level, shape)),
            _ => {}
        }
    }
    found
}

/// AMD APM 3, CPUID leaves 8000_0005 and 8000_0006.
fn by_extended_leaves(cpuid: impl Fn(u32, u32) -> [u32; 4]) -> Found {
    if cpuid(0x8000_0000, 0)[0] < 0x8000_0006 {
        return Found::default();
    }
    let [_, _, d1, i1] = cpuid(0x8000_0005, 0);
    let [_, _, l2, l3] = cpuid(0x8000_0006, 0);
    let first = |register: u32| Some(((register >> 24) << 10, register >> 16 & 0xff, register & 0xff));
    let second = (2, ((l2 >> 16) << 10, ways(l2), l2 & 0xff));
    // In units of 512 KiB.
    let third = l3 >> 18;
    let ll = if third > 0 { (3, (third.saturating_mul(512 << 10), ways(l3), l3 & 0xff)) } else { second };
    Found { i1: first(i1), d1: first(d1), ll: Some(ll) }
}

/// Ways of a second or third level cache of AMD. As in Valgrind, one for what this field cannot say: fully associative,
/// and 9 (other leaves know), which Zen has for its third level.
fn ways(register: u32) -> u32 {
    match register >> 12 & 0xf {
        2 => 2,
        4 => 4,
        6 => 8,
        8 => 16,
        0xa => 32,
        0xb => 48,
        0xc => 64,
        0xd => 96,
        0xe => 128,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vendor(name: &[u8; 12], leaves: u32) -> [u32; 4] {
        let word = |at: usize| u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        [leaves, word(0), word(8), word(4)]
    }

    fn geometry(size: u32, ways: u32, line: u32) -> Geometry {
        Geometry::new(size, ways, line).unwrap()
    }

    /// The registers of a Xeon (model 207), for which `valgrind -v -v` 3.19 says what is asserted.
    #[test]
    fn caches_of_intel_are_those_that_valgrind_finds() {
        let cpuid = |leaf, subleaf| match (leaf, subleaf) {
            (0, _) => vendor(b"GenuineIntel", 0x20),
            (4, 0) => [0x0400_0121, 0x02c0_003f, 0x3f, 0],
            (4, 1) => [0x0400_0122, 0x01c0_003f, 0x3f, 0],
            (4, 2) => [0x0400_0143, 0x03c0_003f, 0x7ff, 0],
            (4, 3) => [0x0400_4163, 0x04c0_003f, 0x3_bfff, 4],
            _ => [0; 4],
        };
        let shapes = Shapes::of_processor(cpuid).unwrap();
        assert_eq!(shapes.i1, geometry(32768, 8, 64));
        assert_eq!(shapes.d1, geometry(49152, 12, 64));
        assert_eq!(shapes.ll, geometry(318_767_104, 38, 64));
    }

    #[test]
    fn caches_of_amd_with_and_without_a_third_level() {
        let amd = |l2, l3| {
            move |leaf, _| match leaf {
                0 => vendor(b"AuthenticAMD", 0x10),
                0x8000_0000 => [0x8000_0028, 0, 0, 0],
                // 32 KiB of 8 ways each.
                0x8000_0005 => [0, 0, 0x2008_0140, 0x2008_0140],
                0x8000_0006 => [0, 0, l2, l3],
                _ => [0; 4],
            }
        };
        let with_third = Shapes::of_processor(amd(0x0200_6140, 32 << 18 | 8 << 12 | 0x140)).unwrap();
        assert_eq!(with_third.d1, geometry(32768, 8, 64));
        assert_eq!(with_third.ll, geometry(16 << 20, 16, 64));
        let without = Shapes::of_processor(amd(0x0200_6140, 0)).unwrap();
        assert_eq!(without.ll, geometry(512 << 10, 8, 64));
        // Zen's third level has 9 as its ways.
        let zen = Shapes::of_processor(amd(0x0200_6140, 64 << 18 | 9 << 12 | 0x140)).unwrap();
        assert_eq!(zen.ll, geometry(32 << 20, 1, 64));
        // A first level of three sets.
        let odd = |leaf, subleaf| match leaf {
            0x8000_0005 => [0, 0, 0x0302_0140, 0x2008_0140],
            _ => amd(0x0200_6140, 0)(leaf, subleaf),
        };
        assert_eq!(Shapes::of_processor(odd), Err(DetectError::Unsupported("D1", GeometryError::Sets)));
    }

    #[test]
    fn a_processor_that_says_nothing_is_unknown() {
        assert_eq!(Shapes::of_processor(|_, _| [0; 4]), Err(DetectError::Unknown));
        assert_eq!(Shapes::of_processor(|_, _| [u32::MAX; 4]), Err(DetectError::Unknown));
        let endless = |leaf, _| if leaf == 0 { vendor(b"GenuineIntel", 4) } else { [u32::MAX; 4] };
        assert_eq!(Shapes::of_processor(endless), Err(DetectError::Unknown));
        assert_eq!(Shapes::FALLBACK.ll, geometry(262_144, 8, 64));
    }
}

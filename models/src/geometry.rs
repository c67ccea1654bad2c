//! The shape of one cache: its size, its ways and its lines; as text, as it is checked, and made fit for the models.
//!
//! What always holds: a [`Geometry`] has a power of two of sets, lines of a power of two of bytes, at least
//! [`LINE_MIN`], and more than one line. The rules are those of Valgrind's `cg_arch.c`.

use core::fmt;
use core::str::FromStr;

/// Shortest line in bytes: an instruction of 15 bytes touches two lines at most.
pub const LINE_MIN: u32 = 16;

/// Largest size in bytes, as in Valgrind.
const SIZE_MAX: u64 = i32::MAX as u64;

/// Size, associativity and line size of a cache that can be modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    size: u32,
    ways: u32,
    line: u32,
}

/// Why a cache cannot be modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeometryError {
    /// The text is not three decimal numbers with commas between them.
    Syntax,
    /// A number is larger than 2^31-1.
    TooLarge,
    /// Size divided by ways and line size is not a power of two.
    Sets,
    /// The line size is not a power of two.
    LineNotPowerOfTwo,
    /// The line is shorter than [`LINE_MIN`].
    LineTooSmall,
    /// The cache has one line or less.
    SizeTooSmall,
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GeometryError::Syntax => "not three numbers SIZE,ASSOC,LINE",
            GeometryError::TooLarge => "a number is larger than 2147483647",
            GeometryError::Sets => "the number of sets, SIZE/ASSOC/LINE, is not a power of two",
            GeometryError::LineNotPowerOfTwo => "the line size is not a power of two",
            GeometryError::LineTooSmall => "the line size is smaller than 16 bytes",
            GeometryError::SizeTooSmall => "the cache is not larger than one line",
        })
    }
}

impl core::error::Error for GeometryError {}

impl Geometry {
    /// A cache of `size` bytes with `ways` lines of `line` bytes in each set.
    ///
    /// # Errors
    ///
    /// If it cannot be modelled: see [`GeometryError`].
    pub const fn new(size: u32, ways: u32, line: u32) -> Result<Geometry, GeometryError> {
        if size as u64 > SIZE_MAX || ways as u64 > SIZE_MAX || line as u64 > SIZE_MAX {
            return Err(GeometryError::TooLarge);
        }
        if !line.is_power_of_two() {
            return Err(GeometryError::LineNotPowerOfTwo);
        }
        if line < LINE_MIN {
            return Err(GeometryError::LineTooSmall);
        }
        if size <= line {
            return Err(GeometryError::SizeTooSmall);
        }
        let set = line as u64 * ways as u64;
        if set == 0 || !(size as u64).is_multiple_of(set) || !(size as u64 / set).is_power_of_two() {
            return Err(GeometryError::Sets);
        }
        Ok(Geometry { size, ways, line })
    }

    /// The nearest last-level cache that can be modelled: sets are brought down to a power of two, and ways up in the
    /// same proportion, so that the size stays about the same.
    ///
    /// # Errors
    ///
    /// As [`Geometry::new`], for what is left to check.
    pub fn fitted(size: u32, ways: u32, line: u32) -> Result<Geometry, GeometryError> {
        let set = u64::from(line) * u64::from(ways);
        let sets = u64::from(size).checked_div(set).unwrap_or(0);
        if sets == 0 {
            return Geometry::new(size, ways, line);
        }
        let fitted = 1 << sets.ilog2();
        // Rounded to the nearest, halves up.
        let ways = (2 * sets * u64::from(ways) + fitted) / (2 * fitted);
        let narrow = |number: u64| u32::try_from(number).map_err(|_| GeometryError::TooLarge);
        Geometry::new(narrow(u64::from(line) * ways * fitted)?, narrow(ways)?, line)
    }

    /// Bytes.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Lines in each set.
    pub const fn ways(&self) -> u32 {
        self.ways
    }

    /// Bytes in a line.
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// Number of sets.
    pub const fn sets(&self) -> u32 {
        self.size / self.line / self.ways
    }
}

/// Reads `SIZE,ASSOC,LINE` in decimal, as the options `--I1`, `--D1` and `--LL` have it.
impl FromStr for Geometry {
    type Err = GeometryError;

    fn from_str(text: &str) -> Result<Geometry, GeometryError> {
        let mut numbers = text.split(',').map(|number| {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(GeometryError::Syntax);
            }
            number.parse::<u32>().map_err(|_| GeometryError::TooLarge)
        });
        let mut next = || numbers.next().unwrap_or(Err(GeometryError::Syntax));
        let (size, ways, line) = (next()?, next()?, next()?);
        if numbers.next().is_some() {
            return Err(GeometryError::Syntax);
        }
        Geometry::new(size, ways, line)
    }
}

/// As in the `desc:` lines of Callgrind's files: `32768 B, 64 B, 8-way associative`.
impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B, {} B, ", self.size, self.line)?;
        if self.ways == 1 { f.write_str("direct-mapped") } else { write!(f, "{}-way associative", self.ways) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_option_is_read_and_shown_as_callgrind_does() {
        let geometry: Geometry = "49152,12,64".parse().unwrap();
        assert_eq!((geometry.size(), geometry.ways(), geometry.line(), geometry.sets()), (49152, 12, 64, 64));
        assert_eq!(geometry.to_string(), "49152 B, 64 B, 12-way associative");
        assert_eq!("8192,1,32".parse::<Geometry>().unwrap().to_string(), "8192 B, 32 B, direct-mapped");
    }

    #[test]
    fn what_cannot_be_modelled_is_named() {
        let error = |text: &str| text.parse::<Geometry>().unwrap_err();
        for text in ["", "1024", "1024,2", "1024,2,", "1024,2,64,1", "1024, 2,64", "-1024,2,64", "1k,2,64"] {
            assert_eq!(error(text), GeometryError::Syntax, "{text}");
        }
        assert_eq!(error("4294967296,2,64"), GeometryError::TooLarge);
        assert_eq!(error("2147483648,2,64"), GeometryError::TooLarge);
        assert_eq!(error("49152,8,64"), GeometryError::Sets);
        assert_eq!(error("1000,2,64"), GeometryError::Sets);
        assert_eq!(error("1024,0,64"), GeometryError::Sets);
        assert_eq!(error("1024,32,64"), GeometryError::Sets);
        assert_eq!(error("1024,2147483647,64"), GeometryError::Sets);
        assert_eq!(error("1024,2,0"), GeometryError::LineNotPowerOfTwo);
        assert_eq!(error("1152,2,96"), GeometryError::LineNotPowerOfTwo);
        assert_eq!(error("1024,2,8"), GeometryError::LineTooSmall);
        assert_eq!(error("64,1,64"), GeometryError::SizeTooSmall);
        assert_eq!(error("0,1,64"), GeometryError::SizeTooSmall);
    }

    #[test]
    fn a_last_level_cache_is_made_fit_as_in_valgrind() {
        let fitted = |size, ways, line| {
            Geometry::fitted(size, ways, line).map(|fitted| (fitted.size(), fitted.ways(), fitted.line()))
        };
        // A Core i7 of 12 MB, an AMD Phenom of 5 MB, and the Xeon whose tweak valgrind 3.19 reports.
        assert_eq!(fitted(12 << 20, 16, 64), Ok((12 << 20, 24, 64)));
        assert_eq!(fitted(5 << 20, 48, 64), Ok((5_242_880, 80, 64)));
        assert_eq!(fitted(314_572_800, 20, 64), Ok((318_767_104, 38, 64)));
        assert_eq!(fitted(1 << 20, 16, 64), Ok((1 << 20, 16, 64)));
        // The size is made to divide evenly.
        assert_eq!(fitted((1 << 20) + 100, 16, 64), Ok((1 << 20, 16, 64)));
        assert_eq!(fitted(0, 16, 64), Err(GeometryError::SizeTooSmall));
        assert_eq!(fitted(1 << 20, 0, 64), Err(GeometryError::Sets));
        assert_eq!(fitted(u32::MAX, 3, 64), Err(GeometryError::TooLarge));
    }
}
